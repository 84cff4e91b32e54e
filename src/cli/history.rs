//! `dagwood runs`, `dagwood runs prune` and `dagwood show`: what the journal tells of runs, running or over, and for how long it does.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{
    args,
    context::Context,
    failure::{Exit, Failure},
    home::Home,
    printer::Stream,
};
use crate::{
    artifact::Root,
    id::RunId,
    journal::{
        History, Journal, JournalError, RunFilter,
        event::RunStatus,
        prune::{Age, Pruned, Pruning},
        state::{FoldError, RunState},
    },
    report::{self, RunReport},
    spec::duration::Period,
};

/// Opens the history of the project that the command was started in.
pub(crate) fn open(home: &Home) -> Result<Option<History>, Failure> {
    History::open(&home.state()).map_err(|error| Failure::journal("open the journal", &error))
}

/// Finds a run in the history of the project that the command was started in.
pub(crate) fn locate(context: &Context, name: &str) -> Result<(History, RunId), Failure> {
    locate_in(context, &context.home()?, name)
}

/// Finds a run in the history of a project.
pub(crate) fn locate_in(context: &Context, home: &Home, name: &str) -> Result<(History, RunId), Failure> {
    let state = home.state();
    let Some(history) = open(home)? else { return Err(no_history(context, &state, name)) };
    match history.find(name) {
        Ok(run) => Ok((history, run)),
        Err(JournalError::NoRun(_)) if name == "last" => Err(no_history(context, &state, name)),
        Err(error) => Err(Failure::journal("find the run", &error)),
    }
}

/// Finds a run of the working directory's project and folds its records.
pub(crate) fn find(context: &Context, name: &str) -> Result<(History, RunState), Failure> {
    find_in(context, &context.home()?, name)
}

/// Finds a run of a project and folds its records.
pub(crate) fn find_in(context: &Context, home: &Home, name: &str) -> Result<(History, RunState), Failure> {
    let (history, run) = locate_in(context, home, name)?;
    let state = fold(&history, run)?;
    Ok((history, state))
}

/// Folds the records of a run.
pub(crate) fn fold(history: &History, run: RunId) -> Result<RunState, Failure> {
    let records = history.records(run).map_err(|error| Failure::journal("read the run", &error))?;
    RunState::fold(&records).map_err(|error| unfolded(&error))
}

/// Builds the failure of records that are not those of a run.
pub(crate) fn unfolded(error: &FoldError) -> Failure {
    let failure = Failure::machine("read the run", error);
    match error {
        FoldError::Format(_) => failure.help("use the release that wrote it, or a newer one"),
        _ => failure.help(
            "the journal is damaged; a backup of it may have the run whole, and other runs are not touched by this",
        ),
    }
}

/// Tells of a run whose process is gone that it is not over, and how to go on.
pub(crate) fn tell_interrupted(context: &Context, run: RunId) {
    context.printer.note(&format!(
        "the process that ran it is gone: the run was interrupted; `dagwood resume {run}` goes on with it"
    ));
}

fn no_history(context: &Context, state: &Path, name: &str) -> Failure {
    Failure::usage(format!(
        "there is no run `{name}`: nothing has run yet with its state in `{}`",
        context.shorten(state).display()
    ))
    .help("start one with `dagwood run WORKFLOW`, or name its state folder with `--state DIR`")
}

/// Lists runs, the newest first.
pub(crate) fn runs(context: &Context, args: &args::Runs) -> Result<Exit, Failure> {
    if let Some(args::RunsCommand::Prune(args)) = &args.command {
        return prune(context, args);
    }
    let now = context.world.now();
    let filter = filter(args, now)?;
    let rows = match open(&context.home()?)? {
        Some(history) => history.runs(&filter).map_err(|error| Failure::journal("list the runs", &error))?,
        None => Vec::new(),
    };
    if super::is_json(context) {
        context.printer.json(&rows);
    } else if rows.is_empty() {
        context.printer.note("there are no such runs here");
    } else {
        context.printer.result(&report::runs::runs(&rows, now, &super::style(context, Stream::Out)));
    }
    Ok(Exit::Done)
}

fn filter(args: &args::Runs, now: Timestamp) -> Result<RunFilter, Failure> {
    let label = match &args.label {
        Some(label) => {
            Some(label.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(|| {
                Failure::usage(format!("`--label {label}` has no value")).help("write `--label NAME=VALUE`")
            })?)
        }
        None => None,
    };
    Ok(RunFilter {
        workflow: args.workflow.clone(),
        status: args.status.map(|status| match status {
            args::Status::Running => RunStatus::Running,
            args::Status::Succeeded => RunStatus::Succeeded,
            args::Status::Failed => RunStatus::Failed,
            args::Status::Cancelled => RunStatus::Cancelled,
            args::Status::SubmitUnknown => RunStatus::SubmitUnknown,
        }),
        label,
        since: args.since.as_deref().map(|text| since("--since", text, now)).transpose()?,
        limit: args.number,
    })
}

/// Reads a duration back from now, a date (its first moment in UTC), or a time.
pub(crate) fn since(flag: &str, text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    if let Ok(period) = text.parse::<Period>() {
        let back = SignedDuration::try_from(period.0).unwrap_or(SignedDuration::MAX);
        return Ok(now.checked_sub(back).unwrap_or(Timestamp::MIN));
    }
    let as_date = || format!("{text}T00:00:00Z").parse();
    text.parse().or_else(|_| as_date()).map_err(|_: jiff::Error| {
        Failure::usage(format!("`{flag} {text}` is no time")).help("write `2h`, `2026-01-31` or `2026-01-31T12:00:00Z`")
    })
}

/// Removes old runs.
fn prune(context: &Context, args: &args::Prune) -> Result<Exit, Failure> {
    let now = context.world.now();
    let age = match (&args.older_than, args.keep) {
        (Some(text), _) => Age::Before(since("--older-than", text, now)?),
        (None, keep) => Age::AllBut(keep.expect("clap wants one of the two")),
    };
    let pruning = Pruning { age, unfinished: args.unfinished, dry_run: args.dry_run };
    let home = context.home()?;
    // A journal is not made to find nothing in it.
    let pruned = if open(&home)?.is_some() {
        let journal = Journal::open(&home.state()).map_err(|error| Failure::journal("open the journal", &error))?;
        journal.prune(&pruning).map_err(|error| Failure::journal("remove runs", &error))?
    } else {
        Pruned::default()
    };
    if super::is_json(context) {
        let runs: Vec<_> = pruned.runs.iter().map(|row| row.run).collect();
        context.printer.json(&json!({
            "runs": runs,
            "bytes": pruned.bytes,
            "kept_unfinished": pruned.kept_unfinished,
            "dry_run": args.dry_run
        }));
        return Ok(Exit::Done);
    }
    let style = super::style(context, Stream::Out);
    if args.dry_run && !pruned.runs.is_empty() {
        context.printer.result(&report::runs::runs(&pruned.runs, now, &style));
    }
    context.printer.result(&report::runs::pruned(&pruned, args.dry_run));
    if pruned.kept_unfinished > 0 {
        context.printer.note(&report::runs::kept(pruned.kept_unfinished));
    }
    Ok(Exit::Done)
}

/// Shows one run.
pub(crate) fn show(context: &Context, args: &args::Show) -> Result<Exit, Failure> {
    let (history, state) = find(context, &args.run)?;
    let live = history.is_live(state.run);
    if super::is_json(context) {
        context.printer.json(&RunReport { live: Some(live), ..RunReport::of(&state) });
    } else {
        let style = super::style(context, Stream::Out);
        let root = match &state.start.artifacts {
            Some(root) => Root::read(Path::new(root), Path::new("")),
            None => context.home()?.artifacts(),
        };
        let root = root.of_run(state.run);
        // A store is not asked: nothing here waits for a network.
        let is_there = root.folder().is_none_or(Path::is_dir);
        let shown = context.shown(&root);
        context.printer.result(&report::show_in(&state, &style, Some(shown.as_str()).filter(|_| is_there)));
        if state.status == RunStatus::Running && !live {
            tell_interrupted(context, state.run);
        }
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_reads_spans_dates_and_times() {
        let now = "2026-02-03T12:00:00Z".parse().expect("a time");
        for (text, expected) in [
            ("2h", "2026-02-03T10:00:00Z"),
            ("2026-01-31", "2026-01-31T00:00:00Z"),
            ("2026-01-31T12:00:00+01:00", "2026-01-31T11:00:00Z"),
        ] {
            assert_eq!(since("--since", text, now).expect(text).to_string(), expected);
        }
        assert_eq!(since("--since", "yesterday", now).expect_err("no time").exit(), Exit::Usage);
    }
}
