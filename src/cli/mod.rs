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
mod attach;
mod bug;
mod cache;
mod context;
mod contracts;
mod definition;
mod doctor;
mod draw;
mod emulator;
mod failure;
mod given;
mod history;
mod home;
mod init;
mod inputs;
mod local_files;
mod lock;
mod logs;
mod narrow;
mod open;
mod partial;
mod plan;
mod preflight;
mod prepare;
mod printer;
mod reading;
mod reference;
mod remote;
mod remotes;
mod resume;
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
    let mut exit = done.ok().filter(|_| !watch.has_seen_panic()).unwrap_or(Exit::Bug);
    if printer.is_cut(Stream::Out) {
        printer.problem("error: standard output is cut: there was no room for it\n  = help: free space; `dagwood runs` lists what was run");
        if exit == Exit::Done {
            exit = Exit::Failed;
        }
    }
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
        Command::Resume(args) => resume::resume(&context, &args),
        Command::Cancel(args) => resume::cancel(&context, &args),
        Command::Validate(args) => validate::run(&context, &args),
        Command::Plan(args) => plan::run(&context, &args.chosen),
        Command::Graph(args) => draw::run(&context, &args),
        Command::Models(args) => targets::run(&context, TargetKind::Model, &args),
        Command::Apps(args) => targets::run(&context, TargetKind::App, &args),
        Command::Agents(args) => targets::run(&context, TargetKind::Agent, &args),
        Command::Account(args) => targets::account(&context, &args),
        Command::Runs(args) => history::runs(&context, &args),
        Command::Show(args) => history::show(&context, &args),
        Command::Logs(args) => logs::run(&context, &args),
        Command::Cache(args) => cache::run(&context, &args),
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

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::{project, secret::Secret};

    /// Whatever a command holds may end in a panic's message or a log: none of it shows a key, once all of them are read.
    #[test]
    fn debug_shows_no_key_of_what_commands_hold() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(project::FILE);
        let accounts = "providers:\n  paint: { kind: armox, api_key: \"{{ secrets.PAINT }}\" }\nsecrets: [PAINT]\nenv_file: .env\n";
        std::fs::write(&file, accounts).expect("a file");
        std::fs::write(folder.path().join(".env"), "PAINT=paint-canary-1\nAWS_SECRET_ACCESS_KEY=aws-canary-1\n")
            .expect("a file");
        std::fs::write(folder.path().join("key"), "aimp-canary-1\n").expect("a file");
        let key = folder.path().join("key").display().to_string();
        let variables =
            [("ARMOX_API_KEY", "armox-canary-1"), ("AIRMY_API_KEY", "airmy-canary-1"), ("AIMP_API_KEY_FILE", &key)];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let world = World::real().with_environment(variables.into());
        let line = ["dagwood", "run", "x", "-i", "token=input-canary-1", "--project", &file.display().to_string()];
        let args = Args::try_parse_from(line).expect("a command line");
        let mut shown = format!("{args:?}");
        let printer = Printer::new(&args.global, &world);
        let context = Context::new(&args.global, world, printer, Watch::default()).expect("a context");
        let home = context.home().expect("a project");
        let remotes = remotes::Remotes::new(&context, &home, None, vec![Secret::new("workflow-canary-1")]);
        let mut names = Vec::new();
        for door in remotes.doors() {
            let remote = remotes.remote(door).expect("a key");
            let _ = write!(shown, "{remote:?} {remote:#?} {:?}", door.origin());
            names.push(door.alias.as_str());
        }
        assert_eq!(names, ["armox", "airmy", "aimp", "paint"]);
        let said = inputs::Said::read(&["token=input-canary-1".to_owned()], None).expect("the flags are read");
        let _ = write!(shown, "{context:?} {home:?} {home:#?} {remotes:?} {remotes:#?} {said:?}");
        assert!(!shown.contains("canary-1") && shown.contains("****"), "{shown}");
        // The control: the keys were read, and are known to what hides them from the reports of bugs.
        for name in ["armox", "airmy", "aimp", "paint"] {
            let (said, _) = context.watch.told(format!("{name}-canary-1"), "", "");
            assert!(!said.contains("canary-1"), "{said}");
        }
    }
}
