//! The journal: where the records of runs are kept, and read again.
//!
//! [`Journal`] is the writing end: [`Journal::append`] hands a record over without waiting, [`Journal::durable`] waits until all that
//! was handed over is on disk. One writer thread commits in groups: a waiting barrier commits at once, and what arrives meanwhile
//! forms the next group. [`History`] is the reading end, for this process or another.
//!
//! What must stay true: a record that `durable` has answered for survives the machine; records of a run are in order and without
//! gaps; the `events` table is the truth, and all other tables can be made from it.

pub mod cache;
mod definition;
pub mod event;
pub mod explain;
mod intents;
mod lock;
mod memory;
pub mod prune;
mod sqlite;
pub mod state;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

pub use self::{
    definition::Definition,
    intents::{Claimant, OpenIntent, Reservation},
    lock::{Group, Ownership},
    memory::Disk,
};
use self::{
    event::{Event, Payload, Record, RunStatus, SettledBy},
    lock::Locks,
    state::RunState,
};
use crate::{
    artifact::Root,
    id::{Attempt, Digest, RunId, StepPath},
    job::Target,
};

/// What the machine did to the journal.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JournalError {
    /// A file or folder cannot be made, read or written.
    #[error("failed to use `{path}`")]
    Io {
        /// Which.
        path: String,
        /// Why.
        source: Arc<io::Error>,
    },
    /// The database does not work.
    #[error("failed to use the journal `{path}`: {message}")]
    Database {
        /// Its path.
        path: String,
        /// What SQLite says.
        message: String,
    },
    /// Another process holds the database's write lock, and does not let go.
    #[error("the journal `{path}` is locked by another process")]
    Busy {
        /// Its path.
        path: String,
    },
    /// The file is not what was written: garbage, or a part of it.
    #[error("the journal `{path}` is damaged: {message}")]
    Damaged {
        /// Its path.
        path: String,
        /// What SQLite says.
        message: String,
    },
    /// The system does not take more bytes: a full disk, a quota, a limit.
    #[error("the journal `{path}` cannot be written: {message}")]
    Unwritable {
        /// Its path.
        path: String,
        /// What SQLite says.
        message: String,
    },
    /// The journal was written by a newer release.
    #[error("the journal `{path}` was written by a newer release (version {found}; this one knows up to {known})")]
    Newer {
        /// Its path.
        path: String,
        /// Its version.
        found: i64,
        /// The newest version that this release knows.
        known: i64,
    },
    /// The writer is gone, after an error that was told before.
    #[error("the journal is closed")]
    Closed,
    /// No run has this name.
    #[error("no run `{0}`")]
    NoRun(String),
    /// A prefix of several runs' ids.
    #[error("`{prefix}` stands for several runs: {}", found.join(", "))]
    Ambiguous {
        /// What was given.
        prefix: String,
        /// Some of the ids.
        found: Vec<String>,
    },
    /// A record cannot be read.
    #[error("record {seq} of run {run} cannot be read: {message}")]
    Record {
        /// The run.
        run: RunId,
        /// The record.
        seq: u64,
        /// Why.
        message: String,
    },
    /// Another process owns the run.
    #[error("run {0} belongs to another process that is still alive")]
    Owned(RunId),
}

/// The writing end of a journal. Clones write to the same one.
#[derive(Clone, Debug)]
pub struct Journal {
    store: Store,
    locks: Locks,
}

#[derive(Clone, Debug)]
enum Store {
    Sqlite(sqlite::Writer),
    Memory(memory::Memory),
}

/// What is written for one record: its text, a large payload beside it, and what it changes in the projections.
#[derive(Debug)]
struct Entry {
    run: RunId,
    seq: u64,
    at: Timestamp,
    json: String,
    blob: Option<(Digest, Vec<u8>)>,
    changes: Vec<Change>,
}

/// What a record changes in the projections.
#[derive(Debug)]
enum Change {
    Started { workflow: String, file: String, sandbox: bool, labels: String },
    Spent { credits: f64, jobs: u64 },
    Resumed,
    Finished { status: RunStatus, credits: f64 },
    Claimed { base_url: String, job: String, step: StepPath, attempt: Attempt },
    Kept { digest: Digest, bytes: Vec<u8> },
    Intended { base_url: String, class: Digest, step: StepPath, attempt: Attempt, since: Timestamp },
    Lost { step: StepPath },
    AllLost,
    Answered { step: StepPath },
    Paid { step: StepPath, attempt: Attempt, credits: f64, tokens: u64 },
    Took { base_url: String, target: Target, seconds: f64 },
    Cached { key: Digest, json: String },
}

impl Journal {
    /// Opens the journal in a state folder, and makes both where they are missing.
    ///
    /// # Errors
    ///
    /// Where the folder or the database cannot be made or read, or a newer release wrote it.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        make_private_folder(folder)?;
        let store = Store::Sqlite(sqlite::Writer::open(&folder.join("state.db"))?);
        Ok(Self { store, locks: Locks::Folder(folder.to_owned()) })
    }

    /// Returns a journal that lives as long as the process: for tests and for programs that embed Dagwood without a disk.
    #[must_use]
    pub fn memory() -> Self {
        Self::in_memory(memory::Memory::default())
    }

    /// Returns one in memory that plays a disk, for the simulator.
    #[must_use]
    pub fn simulated(disk: Disk) -> Self {
        Self::in_memory(memory::Memory::on(disk))
    }

    fn in_memory(memory: memory::Memory) -> Self {
        Self { locks: Locks::Memory(memory.clone()), store: Store::Memory(memory) }
    }

    /// Plays the death of the process on a journal in memory: some of what was not durable is forgotten, by chance, and all locks are.
    /// One on disk needs no play: it is dropped and opened again.
    pub fn crash(&self, random: u64) {
        if let Store::Memory(memory) = &self.store {
            memory.crash(random);
        }
    }

    /// Hands a record over to be written, with the state after it. Does not wait; an error shows at the next [`Journal::durable`].
    pub fn append(&self, record: &Record, state: &RunState, base_url: Option<&str>) {
        let entry = Entry {
            run: record.run,
            seq: record.seq,
            at: record.at,
            json: serde_json::to_string(record).expect("a record is JSON"),
            blob: blob(&record.event),
            changes: changes(record, state, base_url),
        };
        match &self.store {
            Store::Sqlite(writer) => writer.append(entry),
            Store::Memory(memory) => memory.append(entry),
        }
    }

    /// Waits until all records handed over so far survive the machine.
    ///
    /// # Errors
    ///
    /// Where one of them could not be written: nothing may be done that relies on them.
    pub async fn durable(&self) -> Result<(), JournalError> {
        match &self.store {
            Store::Sqlite(writer) => writer.durable().await,
            Store::Memory(memory) => {
                memory.durable().await;
                Ok(())
            }
        }
    }

    /// Returns how long earlier jobs of a target took, in seconds: the median of the latest ones.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub fn learned(&self, base_url: &str, target: &Target) -> Result<Option<f64>, JournalError> {
        let mut seconds = match &self.store {
            Store::Sqlite(writer) => sqlite::learned(writer.path(), base_url, target)?,
            Store::Memory(memory) => memory.learned(base_url, target),
        };
        seconds.sort_by(f64::total_cmp);
        Ok(seconds.get(seconds.len() / 2).copied())
    }

    /// Returns the digest by which a secret value is written down: under a key of this state folder, so that a guess cannot be tested
    /// against the journal alone.
    #[must_use]
    pub fn digest(&self, secret: &[u8]) -> Digest {
        match &self.store {
            Store::Sqlite(writer) => Digest::keyed(writer.digest_key(), secret),
            // Nothing in memory outlives the process that knows the secret.
            Store::Memory(_) => Digest::of(secret),
        }
    }

    /// Returns what was written of a run, in order. For tests and embedders that keep the journal in memory.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub fn records(&self, run: RunId) -> Result<Vec<Record>, JournalError> {
        match &self.store {
            Store::Sqlite(writer) => sqlite::Reader::open(writer.path())?.records(run),
            Store::Memory(memory) => memory.records(run),
        }
    }
}

/// Which runs to list.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Only those of this workflow.
    pub workflow: Option<String>,
    /// Only those that stand so.
    pub status: Option<RunStatus>,
    /// Only those with this label.
    pub label: Option<(String, String)>,
    /// Only those that began then or later.
    pub since: Option<Timestamp>,
    /// At most so many; all where it is 0.
    pub limit: usize,
}

/// A run in a list.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct RunRow {
    /// Its id.
    #[schemars(with = "String")]
    pub run: RunId,
    /// The workflow's name.
    pub workflow: String,
    /// The file.
    pub file: String,
    /// How it stands.
    pub status: RunStatus,
    /// Whether the process that runs it is alive; `running` without one was interrupted.
    pub live: bool,
    /// When it began.
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// When it was over.
    #[schemars(with = "Option<String>")]
    pub finished_at: Option<Timestamp>,
    /// Credits spent.
    pub credits: f64,
    /// Jobs accepted.
    pub jobs: u64,
    /// Whether it ran against the emulator.
    pub sandbox: bool,
    /// The workflow's labels.
    pub labels: BTreeMap<String, String>,
}

/// The reading end of a journal.
#[derive(Debug)]
pub struct History {
    reader: sqlite::Reader,
    folder: PathBuf,
}

impl History {
    /// Opens the journal of a state folder; none where nothing has run yet.
    ///
    /// # Errors
    ///
    /// Where it is there and cannot be read.
    pub fn open(folder: &Path) -> Result<Option<Self>, JournalError> {
        let path = folder.join("state.db");
        if !path.exists() {
            return Ok(None);
        }
        let reader = sqlite::Reader::open(&path)?;
        if reader.is_blank()? {
            return Ok(None);
        }
        Ok(Some(Self { reader, folder: folder.to_owned() }))
    }

    /// Lists runs, the newest first.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRow>, JournalError> {
        let mut rows = self.reader.runs(filter)?;
        for row in rows.iter_mut().filter(|row| row.status == RunStatus::Running) {
            row.live = self.is_live(row.run);
        }
        Ok(rows)
    }

    /// Finds a run by its id, a unique prefix of it, or `last`.
    ///
    /// # Errors
    ///
    /// Where none or several fit, or the database cannot be read.
    pub fn find(&self, name: &str) -> Result<RunId, JournalError> {
        let prefix = if name == "last" { "" } else { name };
        // A prefix of a UUID and nothing else: `LIKE` would take `%` and `_` for patterns.
        if !prefix.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
            return Err(JournalError::NoRun(name.to_owned()));
        }
        let mut found = self.reader.with_prefix(&prefix.to_ascii_lowercase())?;
        match found.len() {
            0 => Err(JournalError::NoRun(name.to_owned())),
            1 => Ok(found.remove(0)),
            _ if name == "last" => Ok(found.remove(0)),
            _ => Err(JournalError::Ambiguous {
                prefix: name.to_owned(),
                found: found.iter().map(ToString::to_string).collect(),
            }),
        }
    }

    /// Returns a run's records, large payloads included.
    ///
    /// # Errors
    ///
    /// Where one cannot be read.
    pub fn records(&self, run: RunId) -> Result<Vec<Record>, JournalError> {
        self.reader.records(run)
    }

    /// Returns what was committed of a run after one of its records, for whoever follows it: an empty list where there is nothing new.
    ///
    /// # Errors
    ///
    /// Where one cannot be read.
    pub fn records_after(&self, run: RunId, after: u64) -> Result<Vec<Record>, JournalError> {
        self.reader.records_after(run, after)
    }

    /// Says whether a process owns the run.
    #[must_use]
    pub fn is_live(&self, run: RunId) -> bool {
        lock::is_live(&self.folder, run)
    }

    /// Returns what stands beside the events under a digest.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, JournalError> {
        self.reader.blob(digest)
    }
}

/// Makes the folder with a `.gitignore` of its own: what is in it is nobody else's business.
fn make_private_folder(folder: &Path) -> Result<(), JournalError> {
    let io = |path: &Path, source| JournalError::Io { path: path.display().to_string(), source: Arc::new(source) };
    fs::create_dir_all(folder).map_err(|source| io(folder, source))?;
    let ignore = folder.join(".gitignore");
    if !ignore.exists() {
        fs::write(&ignore, "*\n").map_err(|source| io(&ignore, source))?;
    }
    Ok(())
}

/// Returns the payload that stands beside the event.
fn blob(event: &Event) -> Option<(Digest, Vec<u8>)> {
    let (Event::JobObserved { outputs, .. } | Event::StepSucceeded { outputs, .. }) = event else { return None };
    match outputs.as_ref()? {
        Payload::Stored { digest, value: Some(value), .. } => {
            Some((*digest, serde_json::to_vec(value.as_ref()).expect("a map with string keys is JSON")))
        }
        _ => None,
    }
}

fn changes(record: &Record, state: &RunState, base_url: Option<&str>) -> Vec<Change> {
    match &record.event {
        Event::RunStarted(start) => vec![Change::Started {
            workflow: start.workflow.clone(),
            file: start.file.clone(),
            sandbox: start.sandbox,
            labels: serde_json::to_string(&start.labels).expect("labels are JSON"),
        }],
        Event::RunResumed {} => vec![Change::Resumed, Change::AllLost],
        Event::SubmitIntended { step, attempt, class: Some(class), server_at, .. } => {
            let intended = |base_url: &str| Change::Intended {
                base_url: base_url.to_owned(),
                class: *class,
                step: step.clone(),
                attempt: *attempt,
                since: made_since(record.at, *server_at),
            };
            base_url.map(intended).into_iter().collect()
        }
        Event::RetryScheduled { step, unsettled: true, .. } => vec![Change::Lost { step: step.clone() }],
        Event::RetryScheduled { step, unsettled: false, .. }
        | Event::SubmitSettled { step, how: SettledBy::Absent | SettledBy::Resubmitted, .. } => {
            vec![Change::Answered { step: step.clone() }]
        }
        Event::Submitted { step, job, attempt, .. } => {
            let mut changes = vec![Change::Spent { credits: state.credits(), jobs: state.submitted() }];
            if let Some(base_url) = base_url {
                let base_url = base_url.to_owned();
                changes.push(Change::Claimed { base_url, job: job.0.clone(), step: step.clone(), attempt: *attempt });
            }
            changes.extend(settled(step, state));
            changes
        }
        Event::JobObserved { step, job, .. } if job.status.is_terminal() => settled(step, state),
        Event::StepSucceeded { step, cached: false, .. } => cached(record, step, state).into_iter().collect(),
        Event::StepFailed { step, .. } | Event::StepCancelled { step, .. } => settled(step, state),
        Event::RunFinished { status, .. } => vec![Change::Finished { status: *status, credits: state.credits() }],
        _ => Vec::new(),
    }
}

/// Returns the entry of the cache that a step's success makes.
fn cached(record: &Record, step: &StepPath, state: &RunState) -> Option<Change> {
    let known = state.step(state.position(step)?);
    let sent = known.sent.as_deref()?.clone();
    let key = sent.key.key;
    let artifacts = state.start.artifacts.as_ref();
    let entry = cache::CachedResult {
        sent,
        run: record.run,
        step: step.clone(),
        workflow: state.start.workflow.clone(),
        at: record.at,
        kind: known.kind(),
        outputs: known.outputs.clone().unwrap_or_default(),
        job: known.job.clone(),
        files: known.files.clone(),
        folder: artifacts.map(|root| Root::read(Path::new(root), Path::new("")).of_run(record.run).to_string()),
    };
    Some(Change::Cached { key, json: serde_json::to_string(&entry).expect("an entry is JSON") })
}

/// By how much an API's clock may be behind ours, where it does not tell its time.
const CLOCK_SKEW: Duration = Duration::from_mins(5);

/// By how much a job may seem to be older than its intent: APIs cut their times to seconds.
const RESOLUTION: Duration = Duration::from_secs(1);

/// Returns from when on a job can be that of an intent: by the API's own clock where it is known.
#[must_use]
pub fn made_since(intended_at: Timestamp, server_at: Option<Timestamp>) -> Timestamp {
    let since = match server_at {
        Some(server_at) => server_at.checked_sub(RESOLUTION),
        None => intended_at.checked_sub(CLOCK_SKEW),
    };
    since.unwrap_or(Timestamp::MIN)
}

/// Returns the changes of a submit that is answered: it is open no more, and what it costs is known better.
fn settled(step: &StepPath, state: &RunState) -> Vec<Change> {
    let mut changes = Vec::new();
    if let Some(known) = state.position(step).map(|ix| state.step(ix)) {
        if known.class.is_some() {
            changes.push(Change::Answered { step: step.clone() });
        }
        if let Some(attempt) = known.attempt {
            let tokens = known.job.as_ref().and_then(|job| job.tokens_used).unwrap_or_default();
            changes.push(Change::Paid { step: step.clone(), attempt, credits: known.paid(), tokens });
        }
    }
    changes
}

impl Journal {
    /// Keeps something that a record names by its digest, once.
    pub fn keep(&self, run: RunId, digest: Digest, bytes: Vec<u8>) {
        self.note(run, Change::Kept { digest, bytes });
    }

    fn note(&self, run: RunId, change: Change) {
        match &self.store {
            Store::Sqlite(writer) => writer.change(run, change),
            Store::Memory(memory) => memory.change(run, &change),
        }
    }

    /// Notes how long a job took, so that later runs know when to look first.
    pub fn learn(&self, run: RunId, base_url: &str, target: &Target, seconds: f64) {
        self.note(run, Change::Took { base_url: base_url.to_owned(), target: target.clone(), seconds });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_count_from_the_intent_by_the_servers_clock_else_with_room_for_skew() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        assert_eq!(made_since(at(1000), Some(at(40))), at(39));
        assert_eq!(made_since(at(1000), None), at(700));
    }
}
