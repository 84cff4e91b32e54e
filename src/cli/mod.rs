//! The command line: what people and scripts type, and what they get to see.
//!
//! ```text
//! args ──▶ context ──▶ one file a command ──▶ printer (the only writer), failure (whose fault, hints, exit code)
//!             │
//!             └─ home (the project) ── open (the APIs, or the emulator) ── remotes (the accounts, each with its key)
//!                                          └─ prepare (file + inputs + contracts ─▶ plan)
//! ```
//!
//! A command reads, asks the library, and prints; what it decides is only where things are and how they look. Nothing heavy is made
//! before it is needed, so that `validate --offline` is as fast as its file is small. A panic is caught here, reported, and ends
//! with 70.

mod account;
mod args;
mod bug;
mod context;
mod contracts;
mod doctor;
mod draw;
mod emulator;
mod failure;
mod history;
mod home;
mod init;
mod inputs;
mod local_files;
mod lock;
mod narrow;
mod open;
mod plan;
mod prepare;
mod printer;
mod reading;
mod reference;
mod remote;
mod remotes;
mod run;
mod signals;
mod targets;
mod validate;
mod wants;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use self::{
    args::{Args, Command, Format, Global},
    bug::Watch,
    context::Context,
    failure::{Exit, Failure},
    printer::{Printer, Stream},
};
use crate::{job::TargetKind, report::Style, world::World};

/// How wide lines are where nobody looks at them on a terminal: they are not cut.
const UNBOUNDED: usize = 100_000;

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let world = World::real();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return ExitCode::from(misread(&error, &world)),
    };
    let printer = Printer::new(&args.global, &world);
    let watch = Watch::install(&printer, &world);
    let done = Watch::guard(|| {
        command(args, world, printer.clone(), watch.clone()).unwrap_or_else(|failure| {
            reading::tell(&printer, &failure);
            failure.exit()
        })
    });
    // A thread's panic that nobody waited for is a bug all the same.
    let exit = done.ok().filter(|_| !watch.has_seen_panic()).unwrap_or(Exit::Bug);
    ExitCode::from(exit.code())
}

/// Prints what clap has to say: help and version are results, anything else an error of usage.
fn misread(error: &clap::Error, world: &World) -> u8 {
    let printer = Printer::new(&Global::default(), world);
    let text = error.render().ansi().to_string();
    if error.use_stderr() {
        printer.problem(&text);
        Exit::Usage.code()
    } else {
        printer.result(&text);
        Exit::Done.code()
    }
}

fn command(args: Args, world: World, printer: Printer, watch: Watch) -> Result<Exit, Failure> {
    let Some(command) = args.command else {
        printer.result(&Args::command().render_help().ansi().to_string());
        return Ok(Exit::Done);
    };
    let context = Context::new(&args.global, world, printer, watch)?;
    match command {
        Command::Run(args) => run::run(&context, &args),
        Command::Validate(args) => validate::run(&context, &args),
        Command::Plan(args) => plan::run(&context, &args.chosen),
        Command::Graph(args) => draw::run(&context, &args),
        Command::Models(args) => targets::run(&context, TargetKind::Model, &args),
        Command::Apps(args) => targets::run(&context, TargetKind::App, &args),
        Command::Agents(args) => targets::run(&context, TargetKind::Agent, &args),
        Command::Account(args) => targets::account(&context, &args),
        Command::Runs(args) => history::runs(&context, &args),
        Command::Show(args) => history::show(&context, &args),
        Command::Sandbox(args) => emulator::run(&context, &args),
        Command::Schema(args) => reference::schema(&context, &args),
        Command::Doctor(args) => doctor::run(&context, &args),
        Command::Lock(args) => lock::run(&context, &args),
        Command::Init(args) => init::run(&context, &args),
        Command::Explain(args) => reference::explain(&context, &args),
    }
}

/// Says whether a program reads what is printed.
fn is_json(context: &Context) -> bool {
    context.printer.format == Format::Json
}

/// Returns how text on a stream may look.
fn style(context: &Context, stream: Stream) -> Style {
    let printer = &context.printer;
    let width = if printer.is_terminal(stream) { printer.width() } else { None };
    Style { color: printer.has_color(stream), unicode: printer.unicode, width: width.unwrap_or(UNBOUNDED) }
}
