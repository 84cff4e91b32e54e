//! `dagwood logs`: what happened in a run, as an attached run shows it, read from the journal.
//!
//! ```text
//! journal ──records after the last one──▶ RunState ──▶ the same lines, or the same NDJSON
//!    ▲                                       │
//!    └────── twice a second, with `-f` ◀─────┘  until the run is over or its process is gone
//! ```
//!
//! Another process writes the journal, and what it commits is seen from here: nothing is asked of that process, so that a run whose
//! process hangs can be followed, too. The events are what was asked for, so they go to standard output; what is said about them goes
//! to standard error.

use std::time::Duration;

use super::{
    args,
    attach::in_lines,
    context::Context,
    failure::{Exit, Failure},
    history,
    open::Backend,
    printer::Stream,
    signals::Signals,
};
use crate::{
    id::RunId,
    journal::{History, event::RunStatus, state::RunState},
    run::observer::Observer,
};

/// How often the journal is looked at: what a person takes for at once. A look at a run without news reads a page or two.
const EVERY: Duration = Duration::from_millis(500);

/// Shows what happened in a run.
pub(crate) fn run(context: &Context, args: &args::Logs) -> Result<Exit, Failure> {
    let (history, run) = history::locate(context, &args.run)?;
    let mut tail = Tail { history, run, state: None, teller: in_lines(context, Stream::Out) };
    if args.follow {
        return Backend::unlocked(context, false)?.block_on(follow(context, tail));
    }
    // Before the records, as below.
    let live = tail.is_live();
    if super::is_json(context) {
        let records = tail.history.records(run).map_err(|error| Failure::journal("read the run", &error))?;
        context.printer.json(&records);
        tail.state = Some(RunState::fold(&records).map_err(|error| history::unfolded(&error))?);
    } else {
        tail.look()?;
    }
    if !live && !tail.is_over() {
        history::tell_interrupted(context, run);
    }
    Ok(Exit::Done)
}

/// Shows what happens in a run, until nothing more does.
async fn follow(context: &Context, mut tail: Tail) -> Result<Exit, Failure> {
    let mut signals = Signals::listen().map_err(|error| Failure::machine("listen for signals", &error))?;
    loop {
        // Before the records: what a process wrote before it went is among them then.
        let live = tail.is_live();
        let any = tail.look()?;
        if !live {
            if !tail.is_over() {
                history::tell_interrupted(context, tail.run);
            }
            return Ok(Exit::Done);
        }
        // A process that has just taken over a run that was over has one more look's time to say so.
        let over = tail.is_over() && !any;
        if over || context.printer.is_gone(Stream::Out) {
            return Ok(Exit::Done);
        }
        tokio::select! {
            caught = signals.next() => return Ok(caught.exit()),
            () = context.world.sleep(EVERY) => {}
        }
    }
}

/// A run as far as it was shown.
struct Tail {
    history: History,
    run: RunId,
    /// None before the first record.
    state: Option<RunState>,
    teller: Box<dyn Observer>,
}

impl Tail {
    fn is_live(&self) -> bool {
        self.history.is_live(self.run)
    }

    fn is_over(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.status != RunStatus::Running)
    }

    /// Shows what is new, and says whether anything is.
    fn look(&mut self) -> Result<bool, Failure> {
        let seen = self.state.as_ref().map_or(0, |state| state.seq);
        let records = self.history.records_after(self.run, seen);
        let records = records.map_err(|error| Failure::journal("read the run", &error))?;
        for record in &records {
            let folded = match &mut self.state {
                Some(state) => state.apply(record),
                None => RunState::begin(record).map(|state| self.state = Some(state)),
            };
            folded.map_err(|error| history::unfolded(&error))?;
            self.teller.record(record, self.state.as_ref().expect("the first record began it"));
        }
        Ok(!records.is_empty())
    }
}
