//! Failures: whose fault it was, which hint helps, and the exit code, decided here once.
//!
//! Three families come in (INTERFACE.md, "Exit codes"): what the user wrote ([`Diagnostic`], 3), what an API did ([`Fault`], 4,
//! 5 or 1), what the machine did (1); usage is 2. Of a run that has started, [`code_of_run`] tells by its state.

use std::{error::Error, fmt::Write as _, path::Path};

use super::account::Origin;
use crate::{
    diagnostic::Diagnostic,
    id::RunId,
    job::{Fault, FaultKind},
    journal::{
        JournalError,
        event::{CancelSource, Limit, RunStatus},
        state::RunState,
    },
    result::ErrorKind,
};

/// What to do about a journal that is somewhere else, or nowhere.
const OTHER_FOLDER: &str = "`--state DIR`, or `state` in the project file, names another folder; ";

/// What to do about a file that cannot grow.
const NO_ROOM: &str = "free space on the disk that it lies on, or raise the limit that it met (a quota, `ulimit -f`)";

/// A number that the process ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// The run failed, or the machine did.
    Failed = 1,
    /// Unknown flag, unreadable file.
    Usage = 2,
    /// The workflow, its inputs or its contracts are invalid.
    Invalid = 3,
    /// The API refused the key or the plan, or there is no key.
    Refused = 4,
    /// Not enough credits.
    Credits = 5,
    /// The run did not start: another run holds its group, or another process the run.
    NotStarted = 6,
    /// Contracts have changed.
    Drift = 7,
    /// A person must decide about a submit.
    SubmitUnknown = 8,
    /// A bug in Dagwood.
    Bug = 70,
    /// SIGINT.
    Interrupted = 130,
    /// SIGTERM.
    Terminated = 143,
}

impl Exit {
    /// Returns the number.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }
}

/// Why a command did not do what was asked.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// Something that the person wrote in files or inputs; nothing was sent.
    Invalid(Vec<Diagnostic>),
    /// Anything else.
    Other(Complaint),
}

/// What went wrong in one sentence, what helps, and the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// The code.
    pub(crate) exit: Exit,
    /// One sentence without a full stop.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) help: Option<String>,
}

impl Failure {
    /// Builds a failure of usage.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::other(Exit::Usage, message)
    }

    /// Builds the failure of a run that did not start because of another.
    pub(crate) fn not_started(message: impl Into<String>) -> Self {
        Self::other(Exit::NotStarted, message)
    }

    /// Builds a failure of the machine: "failed to …", with the sources of the error.
    pub(crate) fn machine(doing: &str, error: &(dyn Error + 'static)) -> Self {
        Self::other(Exit::Failed, format!("failed to {doing}: {}", chain(error)))
    }

    /// Builds the failure of the journal: what was being done, what is wrong with it, and what a person can do about that.
    pub(crate) fn journal(doing: &str, error: &JournalError) -> Self {
        match error {
            JournalError::NoRun(name) => Self::usage(format!("there is no run `{name}`"))
                .help("`dagwood runs` lists them; a unique prefix is enough"),
            JournalError::Ambiguous { prefix, found } => Self::usage(format!("`{prefix}` stands for several runs"))
                .help(format!("write more of it: {}", found.join(", "))),
            _ => Self::machine(doing, error).help(help_of_journal(error, OTHER_FOLDER, "try again")),
        }
    }

    /// Builds the failure of a run whose journal let it down; `recorded` says whether there is anything of it.
    pub(crate) fn stopped(error: &JournalError, run: RunId, recorded: bool) -> Self {
        if !recorded {
            return Self::machine("begin the run", error).help(help_of_journal(
                error,
                OTHER_FOLDER,
                "run it again: nothing was sent",
            ));
        }
        let then =
            format!("`dagwood resume {run}`: what was recorded is safe, and jobs that were accepted may still run");
        // Another folder would know nothing of it.
        Self::machine("go on with the run", error).help(help_of_journal(error, "", &then))
    }

    /// Builds the failure to read a file that was named.
    pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        Self::usage(format!("failed to read `{}`: {}", path.display(), plain(error)))
    }

    /// Builds the failure of a file that cannot be written, as people know its path.
    pub(crate) fn unwritable(path: &Path, error: &std::io::Error) -> Self {
        Self::machine(&format!("write `{}`", path.display()), &std::io::Error::other(plain(error)))
    }

    /// Builds the failure of a missing key; another account would do whose key is in one of these variables.
    pub(crate) fn no_key(origin: &Origin, others: &[&str]) -> Self {
        let Origin { alias, key, key_help, .. } = origin;
        let others: Vec<_> = others.iter().map(|other| format!(" or `{other}`")).collect();
        let others = others.concat();
        Self::other(Exit::Refused, format!("there is no key for `{alias}`: {key} is not set"))
            .help(format!("set {key_help}{others}, or try it with `--sandbox`: no key, no credits"))
    }

    /// Builds the failure of a call that was made before any run: what it was for, and what the API did.
    pub(crate) fn fault(doing: &str, fault: &Fault, base_url: &str, origin: &Origin) -> Self {
        let exit = match fault.kind {
            FaultKind::Unauthorized | FaultKind::Forbidden => Exit::Refused,
            FaultKind::Credits => Exit::Credits,
            _ => Exit::Failed,
        };
        let Origin { key, url, .. } = origin;
        let help = match fault.kind {
            FaultKind::Unauthorized => format!("check {key}: the API does not know this key"),
            FaultKind::Forbidden => {
                "the account's plan needs API access, and the key access to what it asks for".to_owned()
            }
            FaultKind::Credits => "top the account up; `dagwood account` shows what is left".to_owned(),
            FaultKind::RateLimited => "wait a minute, and see whether something else uses the same key".to_owned(),
            FaultKind::Network => format!(
                "is `{base_url}` reachable from here? `HTTPS_PROXY` and {url} are obeyed; `--sandbox` needs no network"
            ),
            FaultKind::NotFound | FaultKind::Malformed => format!("is `{base_url}` the API? {url} changes it"),
            FaultKind::Rejected => "this may be a change of the API that this release does not know".to_owned(),
            FaultKind::Unavailable | FaultKind::Timeout | FaultKind::Ambiguous => {
                "the API has trouble: try again later".to_owned()
            }
        };
        Self::other(exit, format!("failed to {doing}: {fault}")).help(help)
    }

    /// Adds what to do about it.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        if let Self::Other(complaint) = &mut self {
            complaint.help = Some(help.into());
        }
        self
    }

    fn other(exit: Exit, message: impl Into<String>) -> Self {
        Self::Other(Complaint { exit, message: message.into(), help: None })
    }

    /// Returns the code to end with.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Invalid(_) => Exit::Invalid,
            Self::Other(complaint) => complaint.exit,
        }
    }
}

/// Returns what a person can do about a journal: `elsewhere`, where another one would do, and what then.
fn help_of_journal(error: &JournalError, elsewhere: &str, then: &str) -> String {
    match error {
        JournalError::Unwritable { .. } => format!("{NO_ROOM}; then {then}"),
        JournalError::Io { source, .. } if is_full(source) => format!("{NO_ROOM}; then {then}"),
        JournalError::Busy { .. } => {
            format!("wait until that process is done with it (a backup, a repair, a database browser); then {then}")
        }
        JournalError::Io { .. } | JournalError::Database { .. } => {
            format!("it must be possible to read and write it, and its folder; {elsewhere}then {then}")
        }
        JournalError::Damaged { path, .. } => format!(
            "put a backup in its place; or move it away, with `{path}-wal` and `{path}-shm` if they are there, and the next run begins a \
             new one. Lost are then the history, and what is known of the jobs of unfinished runs: look for those in the accounts \
             before their workflows run again. Saved files stay"
        ),
        JournalError::Record { run, .. } => format!(
            "if a newer release wrote it, use that one; else the journal is damaged, and a backup of it may have run `{run}` whole. Other \
             runs are not touched by this"
        ),
        JournalError::Newer { .. } => format!("use the release that wrote it, or a newer one; {elsewhere}then {then}"),
        JournalError::Owned(run) => format!("`dagwood logs {run} -f` shows what it does; when it is done, {then}"),
        JournalError::Closed | JournalError::NoRun(_) | JournalError::Ambiguous { .. } => then.to_owned(),
    }
}

/// Says whether the system has no room for what was to be written.
pub(crate) fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

/// Returns an error with its sources, each told once.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.contains(&next) {
            let _ = write!(text, ": {next}");
        }
        source = error.source();
    }
    text
}

/// Returns an I/O error without the number that Rust adds.
pub(crate) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    match letters.next() {
        // "No such file": a sentence's start, unlike "IO", stands before a small letter.
        Some(first) if letters.as_str().starts_with(char::is_lowercase) => {
            first.to_lowercase().collect::<String>() + letters.as_str()
        }
        _ => text.to_owned(),
    }
}

/// Returns the code that a run's end means: of several, the first of 8, 130 or 143, 4, 5, 1 counts.
pub(crate) fn code_of_run(state: &RunState) -> Exit {
    if state.status == RunStatus::SubmitUnknown || state.has_unknown_submit() {
        return Exit::SubmitUnknown;
    }
    match (state.status, state.cancelled_by) {
        (RunStatus::Succeeded, _) => return Exit::Done,
        // Also of a run in which something failed besides.
        (_, Some(CancelSource::Interrupt)) => return Exit::Interrupted,
        (_, Some(CancelSource::Terminate)) => return Exit::Terminated,
        _ => {}
    }
    if failed(state, &[ErrorKind::Unauthorized, ErrorKind::Forbidden]) {
        Exit::Refused
    } else if failed(state, &[ErrorKind::Credits, ErrorKind::BudgetExceeded]) {
        Exit::Credits
    } else {
        Exit::Failed
    }
}

/// Returns what helps after a run that ended so, where its report does not say it already. `key_of` says which variable holds the key
/// of a provider.
pub(crate) fn help_after(exit: Exit, state: &RunState, key_of: impl Fn(&str) -> Option<String>) -> Option<String> {
    match exit {
        Exit::Refused => {
            let refused = |kind: ErrorKind| matches!(kind, ErrorKind::Unauthorized | ErrorKind::Forbidden);
            let steps = state.failed().filter(|step| step.error.as_ref().is_some_and(|error| refused(error.kind)));
            let mut keys: Vec<_> = steps.filter_map(|step| key_of(step.brief.provider.as_deref()?)).collect();
            keys.sort();
            keys.dedup();
            let keys = if keys.is_empty() { "the key".to_owned() } else { keys.join(" and ") };
            Some(format!("check {keys}, and that the account's plan has API access"))
        }
        Exit::Credits if failed(state, &[ErrorKind::Credits]) => {
            Some("top the account up; `dagwood account` shows what is left".to_owned())
        }
        // The run has no bound of its own: what was passed is what all runs of a day may spend.
        Exit::Credits if state.start.budget == Limit::default() => Some(format!(
            "`dagwood resume {run}` goes on tomorrow, in UTC; with a higher `budget_per_day` in the project file, `dagwood resume {run} \
             --update` goes on now",
            run = state.run
        )),
        Exit::Credits => Some(format!("`dagwood resume {} --max-credits N` goes on with more", state.run)),
        Exit::Failed if failed(state, &[ErrorKind::Artifact]) => Some(format!(
            "when what was in the way is gone, `dagwood resume {}` goes on: what the jobs gave is kept",
            state.run
        )),
        _ => None,
    }
}

/// Says whether a step failed in one of these ways.
fn failed(state: &RunState, kinds: &[ErrorKind]) -> bool {
    state.failed().any(|step| step.error.as_ref().is_some_and(|error| kinds.contains(&error.kind)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::{Account, Kind};

    #[test]
    fn faults_before_a_run_end_as_the_table_says() {
        for (kind, code) in [
            (FaultKind::Unauthorized, 4),
            (FaultKind::Forbidden, 4),
            (FaultKind::Credits, 5),
            (FaultKind::Network, 1),
            (FaultKind::Unavailable, 1),
        ] {
            let origin = Origin::of("armox", &Account::of(Kind::Armox));
            let failure = Failure::fault("read the models", &Fault::new(kind, "no"), "http://x", &origin);
            assert_eq!(failure.exit().code(), code, "{kind:?}");
            let Failure::Other(complaint) = failure else { panic!("a complaint") };
            assert!(complaint.help.is_some() && complaint.message == "failed to read the models: no");
        }
    }

    #[test]
    fn a_missing_key_is_told_by_the_variable_that_it_is_read_from() {
        let origin = Origin::of("aimp", &Account::of(Kind::Aimp));
        let Failure::Other(complaint) = Failure::no_key(&origin, &["ARMOX_API_KEY"]) else { panic!("a complaint") };
        assert_eq!(complaint.message, "there is no key for `aimp`: `AIMP_API_KEY` is not set");
        let help = "set `AIMP_API_KEY` (or `AIMP_API_KEY_FILE`) or `ARMOX_API_KEY`, or try it with `--sandbox`: no key, no credits";
        assert_eq!(complaint.help.as_deref(), Some(help));
    }

    #[test]
    fn errors_of_the_machine_are_told_without_numbers() {
        let error = std::io::Error::from_raw_os_error(2);
        assert_eq!(plain(&error), "no such file or directory");
    }
}
