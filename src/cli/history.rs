//! `dagwood runs` and `dagwood show`: what the journal tells of runs, running or over.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::{
    args,
    context::Context,
    failure::{Exit, Failure},
    home::Home,
    printer::Stream,
};
use crate::{
    id::RunId,
    journal::{History, JournalError, RunFilter, event::RunStatus, state::RunState},
    report::{self, RunReport},
    spec::duration::Period,
};

/// Opens the history of the project that the command was started in.
pub(crate) fn open(home: &Home) -> Result<Option<History>, Failure> {
    History::open(&home.state()).map_err(|error| Failure::machine("open the history", &error))
}

/// Finds a run of the working directory's project and folds its records.
pub(crate) fn find(context: &Context, name: &str) -> Result<(History, RunState), Failure> {
    find_in(context, &context.home()?, name)
}

/// Finds a run of a project and folds its records.
pub(crate) fn find_in(context: &Context, home: &Home, name: &str) -> Result<(History, RunState), Failure> {
    let (history, run) = locate(context, home, name)?;
    let state = fold(&history, run)?;
    Ok((history, state))
}

/// Finds a run of a project.
pub(crate) fn locate(context: &Context, home: &Home, name: &str) -> Result<(History, RunId), Failure> {
    let state = home.state();
    let Some(history) = open(home)? else { return Err(no_history(context, &state, name)) };
    let run = history.find(name).map_err(|error| not_found(context, &state, name, &error))?;
    Ok((history, run))
}

/// Folds the records of a run.
pub(crate) fn fold(history: &History, run: RunId) -> Result<RunState, Failure> {
    let records = history.records(run).map_err(|error| Failure::machine("read the run", &error))?;
    RunState::fold(&records).map_err(|error| Failure::machine("read the run", &error))
}

fn no_history(context: &Context, state: &Path, name: &str) -> Failure {
    Failure::usage(format!(
        "there is no run `{name}`: nothing has run yet with its state in `{}`",
        context.shorten(state).display()
    ))
    .help("start one with `dagwood run WORKFLOW`, or name its state folder with `--state DIR`")
}

fn not_found(context: &Context, state: &Path, name: &str, error: &JournalError) -> Failure {
    match error {
        JournalError::NoRun(_) if name == "last" => no_history(context, state, name),
        JournalError::NoRun(_) => Failure::usage(format!("there is no run `{name}`"))
            .help("`dagwood runs` lists them; a unique prefix is enough"),
        JournalError::Ambiguous { found, .. } => Failure::usage(format!("`{name}` stands for several runs"))
            .help(format!("write more of it: {}", found.join(", "))),
        error => Failure::machine("find the run", error),
    }
}

/// Lists runs, the newest first.
pub(crate) fn runs(context: &Context, args: &args::Runs) -> Result<Exit, Failure> {
    let now = context.world.now();
    let filter = filter(args, now)?;
    let rows = match open(&context.home()?)? {
        Some(history) => history.runs(&filter).map_err(|error| Failure::machine("list the runs", &error))?,
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
        since: args.since.as_deref().map(|text| since(text, now)).transpose()?,
        limit: args.number,
    })
}

/// Reads a duration back from now, a date (its first moment in UTC), or a time.
fn since(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    if let Ok(period) = text.parse::<Period>() {
        let back = SignedDuration::try_from(period.0).unwrap_or(SignedDuration::MAX);
        return Ok(now.checked_sub(back).unwrap_or(Timestamp::MIN));
    }
    let as_date = || format!("{text}T00:00:00Z").parse();
    text.parse().or_else(|_| as_date()).map_err(|_: jiff::Error| {
        Failure::usage(format!("`--since {text}` is no time"))
            .help("write `2h`, `2026-01-31` or `2026-01-31T12:00:00Z`")
    })
}

/// Shows one run.
pub(crate) fn show(context: &Context, args: &args::Show) -> Result<Exit, Failure> {
    let (history, state) = find(context, &args.run)?;
    let live = history.is_live(state.run);
    if super::is_json(context) {
        context.printer.json(&RunReport { live: Some(live), ..RunReport::of(&state) });
    } else {
        let style = super::style(context, Stream::Out);
        let root = state.start.artifacts.as_ref().map(PathBuf::from);
        let root = root.map_or_else(|| Ok(context.home()?.artifacts()), Ok::<_, Failure>)?;
        let folder = context.shorten(&root.join(state.run.to_string()));
        let folder = folder.to_str().filter(|_| folder.is_dir());
        context.printer.result(&report::show_in(&state, &style, folder));
        if state.status == RunStatus::Running && !live {
            let words = format!("the process that ran it is gone: `dagwood resume {}` goes on with it", state.run);
            context.printer.note(&words);
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
            assert_eq!(since(text, now).expect(text).to_string(), expected);
        }
        assert_eq!(since("yesterday", now).expect_err("no time").exit(), Exit::Usage);
    }
}
