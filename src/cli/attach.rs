//! A run attached to this terminal: shown while it goes, ended by signals, told when it is over.
//!
//! ```text
//! Execution ──records──▶ reporter (live, lines, NDJSON)
//!    ▲              └─▶ RunState ─▶ closing, exit code
//! signals
//! ```

use std::{path::Path, time::Duration};

use tokio::sync::mpsc;

use super::{
    args::Format,
    context::Context,
    failure::{Exit, Failure, code_of_run, help_after},
    open::Backend,
    printer::Stream,
    remotes::Remotes,
    signals::{Caught, Signals},
};
use crate::{
    id::{RunId, StepPath},
    journal::{History, JournalError, event::Record, state::RunState},
    report::{self, Flavour, Lines, Live, Ndjson},
    run::{Execution, Notice, RunError, Signal, Verdict, VerdictError, observer::Observer},
};

/// How long the second signal waits for the journal: CI systems kill the process two seconds and a half after it.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// How a run begins here.
#[derive(Debug)]
pub(crate) enum Way {
    /// From its first record.
    Start,
    /// From what was written of it.
    GoOn {
        /// All of its records.
        records: Vec<Record>,
        /// The steps to run anew, where it goes on with another plan.
        change: Option<Vec<StepPath>>,
        /// What a person says of submits of which nobody could tell.
        verdicts: Vec<Verdict>,
        /// Whether it goes on only to be ended.
        to_end: bool,
    },
}

/// Makes a run, whose journal is in the folder `state`, and tells what came of it.
///
/// # Errors
///
/// Where it cannot begin or go on. A run that fails is no error: its exit code says so.
pub(crate) fn run(
    context: &Context,
    backend: &Backend,
    remotes: &Remotes,
    state: &Path,
    execution: Execution,
    way: Way,
) -> Result<Exit, Failure> {
    let folder = context.shown(&execution.artifacts.of_run(execution.run));
    let state = match backend.block_on(attached(context, state, execution, way)) {
        Ok(state) => state,
        Err(Stopped::Skipped(words)) => {
            context.printer.note(&words);
            return Ok(Exit::NotStarted);
        }
        Err(Stopped::Failed(failure)) => return Err(failure),
    };
    if !super::is_json(context) {
        let style = super::style(context, Stream::Out);
        context.printer.result(&report::closing_in(&state, &style, Some(&folder)));
    }
    let exit = code_of_run(&state);
    let key_of = |alias: &str| remotes.door(alias).map(|door| door.origin().key);
    if let Some(help) = help_after(exit, &state, key_of) {
        context.printer.note(&format!("help: {help}"));
    }
    Ok(exit)
}

/// Why there is no run to tell of.
enum Stopped {
    /// It was not to start, and that is no error.
    Skipped(String),
    /// It could not begin or go on.
    Failed(Failure),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Runs it while signals are listened to.
async fn attached(context: &Context, folder: &Path, execution: Execution, way: Way) -> Result<RunState, Stopped> {
    let signals = Signals::listen().map_err(|error| Failure::machine("listen for signals", &error))?;
    let (sender, receiver) = mpsc::channel(1);
    let printer = context.printer.clone();
    let shown_live = is_live(context);
    let detaches = execution.detach;
    let on_first = move |_: Caught| {
        // A display that moves says it by itself, and a line in the midst of it would be overwritten.
        if shown_live {
            return;
        }
        printer.note(if detaches {
            "leaving the remote jobs running: `dagwood resume` goes on with them"
        } else {
            "a second signal ends at once; remote jobs may go on then"
        });
    };
    let observers = vec![reporter(context)];
    let (run, journal, world) = (execution.run, execution.journal.clone(), execution.world.clone());
    let made = async {
        match way {
            Way::Start => execution.run(receiver, observers).await,
            Way::GoOn { records, change, verdicts, to_end } => {
                if to_end {
                    // It is in the inbox before anything is decided, so that nothing starts.
                    let (own, inbox) = mpsc::channel(1);
                    let _ = own.send(Notice::Signal(Signal::Cancel)).await;
                    return execution.resume(&records, change, &verdicts, inbox, observers).await;
                }
                execution.resume(&records, change, &verdicts, receiver, observers).await
            }
        }
    };
    tokio::select! {
        biased;
        done = made => done.map_err(|error| stopped(error, folder, run)),
        second = signals.forward(sender, on_first) => {
            // What was shown is written in a moment; a disk that takes longer is not waited for.
            tokio::select! {
                _ = journal.durable() => {}
                () = world.sleep(LAST_WRITE) => {}
            }
            context.printer.problem("stopped at once: the journal is whole, remote jobs may go on");
            leave(second)
        }
    }
}

/// Ends the process, whatever is still under way: what is recorded is on disk.
fn leave(second: Caught) -> ! {
    #[expect(clippy::exit, reason = "the second signal asks for exactly this: no task and no thread is waited for")]
    std::process::exit(second.exit().code().into())
}

/// Returns what a person is told, who finds the run, if it was recorded, in the journal of this folder.
fn stopped(error: RunError, folder: &Path, run: RunId) -> Stopped {
    Stopped::Failed(match error {
        RunError::Busy { group, skip, .. } if skip => {
            return Stopped::Skipped(format!("not started: another run holds the group `{group}`"));
        }
        error @ RunError::Busy { .. } => Failure::not_started(format!("not started: {error}"))
            .help("wait for it, end it with `dagwood cancel`, or set `on_conflict: queue`"),
        RunError::Journal(JournalError::Owned(run)) => owned(run),
        RunError::Verdict(error) => {
            let help = match &error {
                VerdictError::Request(step) => {
                    format!("where it did not arrive, `dagwood resume {run} --resubmit {step}` sends it again")
                }
                _ => format!("`dagwood show {run}` says which submits are unknown"),
            };
            Failure::usage(error.to_string()).help(help)
        }
        error @ (RunError::Plan(_) | RunError::Fold(_)) => Failure::machine("go on with the run", &error)
            .help("was it started by another release? `dagwood resume --update` takes the workflow as it is now"),
        RunError::Journal(error) => {
            let records = match History::open(folder) {
                Ok(Some(history)) => history.records_after(run, 0).map(|records| !records.is_empty()),
                Ok(None) => Ok(false),
                Err(error) => Err(error),
            };
            // The beginning of a run is on disk before anything is sent. Where that cannot be seen, it is not claimed.
            Failure::stopped(&error, run, records.unwrap_or(true))
        }
        error => Failure::machine("run it", &error),
    })
}

/// Returns the failure to touch a run that another process works on.
pub(crate) fn owned(run: RunId) -> Failure {
    Failure::not_started(format!("another process works on the run {run}"))
        .help(format!("`dagwood logs {run} -f` follows it, `dagwood cancel {run}` ends it"))
}

/// Says whether the run is shown as a display that moves.
fn is_live(context: &Context) -> bool {
    let printer = &context.printer;
    printer.format == Format::Human && !printer.quiet && printer.is_terminal(Stream::Err)
}

/// Returns who tells what happens: a display that moves on a terminal, lines elsewhere, records for programs.
fn reporter(context: &Context) -> Box<dyn Observer> {
    let printer = &context.printer;
    match printer.format {
        Format::Json => in_lines(context, Stream::Out),
        _ if printer.quiet => Box::new(Silent),
        _ if is_live(context) => {
            let size = printer.clone();
            let size = Box::new(move || size.size());
            Box::new(Live::new(Box::new(printer.pen(Stream::Err)), super::style(context, Stream::Err), size))
        }
        _ => in_lines(context, Stream::Err),
    }
}

/// Returns who tells what happens to a stream that is only ever written on: lines for people, records for programs.
pub(crate) fn in_lines(context: &Context, stream: Stream) -> Box<dyn Observer> {
    let pen = Box::new(context.printer.pen(stream));
    let style = super::style(context, stream);
    match context.printer.format {
        Format::Json => Box::new(Ndjson::new(pen)),
        Format::Github => Box::new(Lines::new(pen, Flavour::GitHub, style)),
        _ => Box::new(Lines::new(pen, Flavour::Plain, style)),
    }
}

/// Tells nothing: `-q`.
struct Silent;

impl Observer for Silent {
    fn record(&mut self, _: &Record, _: &RunState) {}
}
