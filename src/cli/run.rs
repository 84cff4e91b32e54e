//! `dagwood run`: a workflow file becomes a finished run, attached to this terminal.
//!
//! ```text
//! prepare ─▶ Plan ─▶ Execution ──records──▶ reporter (live, lines, NDJSON)
//!                       ▲                └─▶ RunState ─▶ closing, exit code
//!                    signals
//! ```

use tokio::sync::mpsc;

use super::{
    args::{self, Format},
    context::Context,
    failure::{Exit, Failure, code_of_run, help_after},
    plan, prepare,
    printer::Stream,
    signals::{Caught, Signals},
};
use crate::{
    journal::{Journal, state::RunState},
    report::{self, Flavour, Lines, Live, Ndjson},
    run::{Execution, RunError, observer::Observer},
};

/// Runs a workflow.
pub(crate) fn run(context: &Context, args: &args::Run) -> Result<Exit, Failure> {
    if args.only_plan {
        return plan::run(context, &args.chosen);
    }
    let prepared = prepare::prepare(context, &args.chosen)?;
    let home = &prepared.located.home;
    let journal = Journal::open(&home.state()).map_err(|error| Failure::machine("open the journal", &error))?;
    let artifacts = args.artifacts.clone().unwrap_or_else(|| home.artifacts());
    let run = context.world.run_id();
    let folder = context.shorten(&artifacts.join(run.to_string()));
    let remotes = &prepared.remotes;
    let execution = Execution {
        providers: remotes.by_alias(&prepared.plan)?,
        bounds: remotes.bounds(),
        staging: prepared.backend.staging(home)?,
        file: prepared.located.path.display().to_string(),
        sandbox: prepared.backend.is_sandbox(),
        ..Execution::new(prepared.plan, run, journal, artifacts, home.world.clone())
    };
    let state = prepared.backend.block_on(attached(context, execution))?;
    if !super::is_json(context) {
        let style = super::style(context, Stream::Out);
        context.printer.result(&report::closing_in(&state, &style, folder.to_str()));
    }
    let exit = code_of_run(&state);
    let key_of = |alias: &str| remotes.door(alias).map(|door| door.origin().key);
    if let Some(help) = help_after(exit, &state, key_of) {
        context.printer.note(&format!("help: {help}"));
    }
    Ok(exit)
}

/// Runs it while signals are listened to.
async fn attached(context: &Context, execution: Execution) -> Result<RunState, Failure> {
    let signals = Signals::listen().map_err(|error| Failure::machine("listen for signals", &error))?;
    let (sender, receiver) = mpsc::channel(1);
    let printer = context.printer.clone();
    let shown_live = is_live(context);
    let on_first = move |_: Caught| {
        // A display that moves says it by itself, and a line in the midst of it would be overwritten.
        if shown_live {
            return;
        }
        printer.note("a second signal ends at once; remote jobs may go on then");
    };
    tokio::select! {
        biased;
        done = execution.run(receiver, vec![reporter(context)]) => done.map_err(|error| stopped(&error)),
        second = signals.forward(sender, on_first) => {
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

fn stopped(error: &RunError) -> Failure {
    Failure::machine("go on with the run", error)
        .help("what was recorded is safe; jobs that were accepted may still run: see `dagwood show last`")
}

/// Says whether the run is shown as a display that moves.
fn is_live(context: &Context) -> bool {
    let printer = &context.printer;
    printer.format == Format::Human && !printer.quiet && printer.is_terminal(Stream::Err)
}

/// Returns who tells what happens: a display that moves on a terminal, lines elsewhere, records for programs.
fn reporter(context: &Context) -> Box<dyn Observer> {
    let printer = &context.printer;
    let style = super::style(context, Stream::Err);
    match printer.format {
        Format::Json => Box::new(Ndjson::new(Box::new(printer.pen(Stream::Out)))),
        _ if printer.quiet => Box::new(Silent),
        Format::Human if is_live(context) => {
            let size = printer.clone();
            let size = Box::new(move || size.size());
            Box::new(Live::new(Box::new(printer.pen(Stream::Err)), style, size))
        }
        Format::Github => Box::new(Lines::new(Box::new(printer.pen(Stream::Err)), Flavour::GitHub, style)),
        _ => Box::new(Lines::new(Box::new(printer.pen(Stream::Err)), Flavour::Plain, style)),
    }
}

/// Tells nothing: `-q`.
struct Silent;

impl Observer for Silent {
    fn record(&mut self, _: &crate::journal::event::Record, _: &RunState) {}
}
