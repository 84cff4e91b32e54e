//! The journal on disk: SQLite in WAL mode with full synchronisation, one writer thread, commits in groups.
//!
//! The thread takes all entries that wait, and commits when a barrier waits among them or [`LINGER`] after the first of a group, so
//! that records nobody waits for share one fsync, and are on disk soon all the same.

pub(super) mod cache;
mod fault;
pub(super) mod intents;
mod layout;
pub(super) mod prune;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use tokio::sync::oneshot;

use self::fault::fault;
use super::{Change, Entry, JournalError, RunFilter, RunRow, event::Record, event::RunStatus, memory::read_record};
use crate::{
    id::{Digest, RunId},
    job::Target,
};

/// How long an entry that nobody waits for may wait for company before it is committed.
const LINGER: Duration = Duration::from_millis(20);

/// How long the write lock of another process is waited for. It is held for one commit of a group; who holds it for this long has
/// something else in mind, such as a backup or a repair.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How many of a target's latest durations count.
const REMEMBERED: u32 = 21;

enum Message {
    Append(Entry),
    Change(RunId, Change),
    Barrier(oneshot::Sender<Result<(), JournalError>>),
}

/// The handle to the writer thread.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    sender: mpsc::Sender<Message>,
    path: Arc<Path>,
    digest_key: [u8; 32],
    /// For what is asked by its key while the writer writes.
    beside: Arc<Mutex<Connection>>,
    /// Results for reuse that are not in the database yet.
    underway: cache::Underway,
}

fn database(path: &Path) -> impl Fn(rusqlite::Error) -> JournalError + '_ {
    move |error| fault(path, &error)
}

fn connect(path: &Path) -> Result<Connection, JournalError> {
    connect_within(path, BUSY_TIMEOUT)
}

fn connect_within(path: &Path, busy_timeout: Duration) -> Result<Connection, JournalError> {
    let wrong = database(path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(&wrong)?;
    connection.busy_timeout(busy_timeout).map_err(&wrong)?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(&wrong)?;
    if version > layout::VERSION {
        return Err(JournalError::Newer { path: path.display().to_string(), found: version, known: layout::VERSION });
    }
    Ok(connection)
}

impl Writer {
    /// Opens or makes the database and starts its thread.
    pub(super) fn open(path: &Path) -> Result<Self, JournalError> {
        Self::open_within(path, BUSY_TIMEOUT)
    }

    fn open_within(path: &Path, busy_timeout: Duration) -> Result<Self, JournalError> {
        make_private_file(path)?;
        let wrong = database(path);
        let mut connection = connect_within(path, busy_timeout)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(&wrong)?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(&wrong)?;
        // Two processes may open a new database at the same moment: who gets the lock makes the tables.
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(&wrong)?;
        layout::bring_up_to_date(&transaction).map_err(&wrong)?;
        let digest_key: [u8; 32] = transaction
            .query_row("SELECT value FROM meta WHERE name = 'digest_key'", [], |row| row.get(0))
            .map_err(&wrong)?;
        transaction.commit().map_err(&wrong)?;

        let beside = connect(path)?;
        beside.pragma_update(None, "synchronous", "FULL").map_err(&wrong)?;
        let (sender, receiver) = mpsc::channel();
        let owned = path.to_owned();
        let underway = cache::Underway::default();
        let begun = underway.clone();
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || write_all(&mut connection, &owned, &receiver, &begun))
            .map_err(|source| JournalError::Io { path: path.display().to_string(), source: Arc::new(source) })?;
        Ok(Self { sender, path: path.into(), digest_key, beside: Arc::new(Mutex::new(beside)), underway })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn digest_key(&self) -> &[u8; 32] {
        &self.digest_key
    }

    pub(super) fn append(&self, entry: Entry) {
        self.underway.begin(&entry.changes);
        // A writer that is gone shows at the next barrier.
        let _ = self.sender.send(Message::Append(entry));
    }

    pub(super) fn change(&self, run: RunId, change: Change) {
        let _ = self.sender.send(Message::Change(run, change));
    }

    pub(super) async fn durable(&self) -> Result<(), JournalError> {
        let (sender, receiver) = oneshot::channel();
        self.sender.send(Message::Barrier(sender)).map_err(|_| JournalError::Closed)?;
        receiver.await.map_err(|_| JournalError::Closed)?
    }
}

/// Creates the file for its owner alone, before SQLite would create it for everybody.
fn make_private_file(path: &Path) -> Result<(), JournalError> {
    let mut options = fs::File::options();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(JournalError::Io { path: path.display().to_string(), source: Arc::new(source) }),
    }
}

/// The most messages in one group, so that a steady stream that nobody waits for reaches the disk too.
const GROUP: usize = 1024;

/// The writer thread: groups, until all handles are gone or a group fails.
fn write_all(connection: &mut Connection, path: &Path, receiver: &mpsc::Receiver<Message>, underway: &cache::Underway) {
    while let Ok(first) = receiver.recv() {
        let (group, barriers) = gather(receiver, first);
        let result = write_group(connection, &group).map_err(database(path));
        for message in group.iter().filter(|_| result.is_ok()) {
            if let Message::Append(entry) = message {
                underway.end(&entry.changes);
            }
        }
        for barrier in barriers {
            let _ = barrier.send(result.clone());
        }
        if let Err(error) = result {
            // Nothing after a failed group may be taken for written: every later barrier hears of it.
            while let Ok(message) = receiver.recv() {
                if let Message::Barrier(barrier) = message {
                    let _ = barrier.send(Err(error.clone()));
                }
            }
        }
    }
}

type Barriers = Vec<oneshot::Sender<Result<(), JournalError>>>;

/// Takes what waits; goes on for [`LINGER`] while no barrier is among it. No lock is held meanwhile.
fn gather(receiver: &mpsc::Receiver<Message>, first: Message) -> (Vec<Message>, Barriers) {
    let (mut group, mut barriers) = (Vec::new(), Vec::new());
    let mut next = Some(first);
    while let Some(message) = next.take() {
        match message {
            Message::Barrier(barrier) => barriers.push(barrier),
            other => group.push(other),
        }
        if group.len() >= GROUP {
            break;
        }
        next = match receiver.try_recv() {
            Ok(message) => Some(message),
            Err(_) if barriers.is_empty() => receiver.recv_timeout(LINGER).ok(),
            Err(_) => None,
        };
    }
    (group, barriers)
}

fn write_group(connection: &mut Connection, group: &[Message]) -> rusqlite::Result<()> {
    if group.is_empty() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for message in group {
        match message {
            Message::Append(entry) => write_entry(&transaction, entry)?,
            Message::Change(run, change) => write_change(&transaction, *run, 0, change)?,
            Message::Barrier(_) => {}
        }
    }
    transaction.commit()
}

fn write_entry(connection: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    if let Some((digest, bytes)) = &entry.blob {
        connection
            .prepare_cached("INSERT OR IGNORE INTO blobs (digest, bytes) VALUES (?1, ?2)")?
            .execute(params![digest.to_string(), bytes])?;
    }
    let at = entry.at.as_millisecond();
    connection.prepare_cached("INSERT INTO events (run, seq, at, json) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        entry.run.to_string(),
        entry.seq.cast_signed(),
        at,
        entry.json
    ])?;
    entry.changes.iter().try_for_each(|change| write_change(connection, entry.run, at, change))
}

fn write_change(connection: &Connection, run: RunId, at: i64, change: &Change) -> rusqlite::Result<()> {
    let run = run.to_string();
    match change {
        Change::Started { workflow, file, sandbox, labels } => connection
            .prepare_cached(
                "INSERT INTO runs (run, workflow, file, sandbox, labels, status, started_at, finished_at, credits, jobs)
                 VALUES (?1, ?2, ?3, ?4, ?5, 'running', ?6, NULL, 0, 0)",
            )?
            .execute(params![run, workflow, file, sandbox, labels, at])?,
        Change::Spent { credits, jobs } => connection
            .prepare_cached("UPDATE runs SET credits = ?2, jobs = ?3 WHERE run = ?1")?
            .execute(params![run, credits, jobs.cast_signed()])?,
        Change::Finished { status, credits } => connection
            .prepare_cached("UPDATE runs SET status = ?2, finished_at = ?3, credits = ?4 WHERE run = ?1")?
            .execute(params![run, status.as_str(), at, credits])?,
        Change::Resumed => connection
            .prepare_cached("UPDATE runs SET status = 'running', finished_at = NULL WHERE run = ?1")?
            .execute(params![run])?,
        Change::Claimed { base_url, job, step, attempt } => connection
            .prepare_cached(
                "INSERT OR IGNORE INTO claims (base_url, job, run, step, attempt) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![base_url, job, run, step.as_str(), attempt.0])?,
        Change::Kept { digest, bytes } => connection
            .prepare_cached("INSERT OR IGNORE INTO blobs (digest, bytes) VALUES (?1, ?2)")?
            .execute(params![digest.to_string(), bytes])?,
        Change::Intended { base_url, class, step, attempt, since } => connection
            .prepare_cached(
                "INSERT OR REPLACE INTO intents (run, step, attempt, base_url, class, since, lost)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)",
            )?
            .execute(params![run, step.as_str(), attempt.0, base_url, class.to_string(), since.as_millisecond()])?,
        Change::Lost { step } => connection
            .prepare_cached("UPDATE intents SET lost = 1 WHERE run = ?1 AND step = ?2")?
            .execute(params![run, step.as_str()])?,
        Change::AllLost => {
            connection.prepare_cached("UPDATE intents SET lost = 1 WHERE run = ?1")?.execute(params![run])?
        }
        Change::Answered { step } => connection
            .prepare_cached("DELETE FROM intents WHERE run = ?1 AND step = ?2")?
            .execute(params![run, step.as_str()])?,
        Change::Paid { step, attempt, credits, tokens } => connection
            .prepare_cached(
                "UPDATE spending SET credits = ?4, tokens = ?5 WHERE run = ?1 AND step = ?2 AND attempt = ?3",
            )?
            .execute(params![run, step.as_str(), attempt.0, credits, tokens.cast_signed()])?,
        Change::Cached { key, json } => connection
            .prepare_cached("INSERT OR REPLACE INTO cache (key, at, json) VALUES (?1, ?2, ?3)")?
            .execute(params![key.to_string(), at, json])?,
        Change::Took { base_url, target, seconds } => {
            connection
                .prepare_cached(
                    "INSERT INTO durations (base_url, target_kind, target, seconds) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![base_url, target.kind.verb(), target.id, seconds])?;
            connection
                .prepare_cached(
                    "DELETE FROM durations WHERE base_url = ?1 AND target_kind = ?2 AND target = ?3 AND id <= (
                         SELECT id FROM durations WHERE base_url = ?1 AND target_kind = ?2 AND target = ?3
                         ORDER BY id DESC LIMIT 1 OFFSET ?4)",
                )?
                .execute(params![base_url, target.kind.verb(), target.id, REMEMBERED])?
        }
    };
    Ok(())
}

/// Returns how long the latest jobs of a target took, in seconds.
pub(super) fn learned(path: &Path, base_url: &str, target: &Target) -> Result<Vec<f64>, JournalError> {
    let wrong = database(path);
    let connection = connect(path)?;
    let mut statement = connection
        .prepare("SELECT seconds FROM durations WHERE base_url = ?1 AND target_kind = ?2 AND target = ?3")
        .map_err(&wrong)?;
    let rows =
        statement.query_map(params![base_url, target.kind.verb(), target.id], |row| row.get(0)).map_err(&wrong)?;
    rows.collect::<Result<_, _>>().map_err(&wrong)
}

/// A connection that reads.
#[derive(Debug)]
pub(super) struct Reader {
    connection: Connection,
    path: PathBuf,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self, JournalError> {
        Ok(Self { connection: connect(path)?, path: path.to_owned() })
    }

    pub(super) fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRow>, JournalError> {
        let wrong = database(&self.path);
        let mut statement = self
            .connection
            .prepare(
                "SELECT run, workflow, file, sandbox, labels, status, started_at, finished_at, credits, jobs FROM runs
                 WHERE (?1 IS NULL OR workflow = ?1) AND (?2 IS NULL OR status = ?2) AND (?3 IS NULL OR started_at >= ?3)
                 ORDER BY started_at DESC, run DESC",
            )
            .map_err(&wrong)?;
        let status = filter.status.map(RunStatus::as_str);
        let since = filter.since.map(jiff::Timestamp::as_millisecond);
        let mut rows = statement.query(params![filter.workflow, status, since]).map_err(&wrong)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(&wrong)? {
            let row = read_row(row).map_err(&wrong)?;
            let labelled = filter.label.as_ref().is_none_or(|(name, value)| row.labels.get(name) == Some(value));
            if labelled {
                found.push(row);
            }
            if filter.limit > 0 && found.len() == filter.limit {
                break;
            }
        }
        Ok(found)
    }

    /// Returns at most five runs whose id starts so, the newest first.
    pub(super) fn with_prefix(&self, prefix: &str) -> Result<Vec<RunId>, JournalError> {
        let wrong = database(&self.path);
        let mut statement = self
            .connection
            .prepare("SELECT run FROM runs WHERE run LIKE ?1 || '%' ORDER BY started_at DESC, run DESC LIMIT 5")
            .map_err(&wrong)?;
        let rows = statement.query_map([prefix], |row| row.get::<_, String>(0)).map_err(&wrong)?;
        rows.map(|id| {
            let id = id.map_err(&wrong)?;
            id.parse().map_err(|_| JournalError::NoRun(id))
        })
        .collect()
    }

    pub(super) fn records(&self, run: RunId) -> Result<Vec<Record>, JournalError> {
        let records = self.records_after(run, 0)?;
        if records.is_empty() {
            return Err(JournalError::NoRun(run.to_string()));
        }
        Ok(records)
    }

    /// Returns a run's records after one of them; none is no error.
    pub(super) fn records_after(&self, run: RunId, after: u64) -> Result<Vec<Record>, JournalError> {
        let wrong = database(&self.path);
        let mut statement = self
            .connection
            .prepare_cached("SELECT seq, json FROM events WHERE run = ?1 AND seq > ?2 ORDER BY seq")
            .map_err(&wrong)?;
        let mut rows = statement.query(params![run.to_string(), after.cast_signed()]).map_err(&wrong)?;
        let mut records = Vec::new();
        while let Some(row) = rows.next().map_err(&wrong)? {
            let seq: i64 = row.get(0).map_err(&wrong)?;
            let json: String = row.get(1).map_err(&wrong)?;
            records.push(read_record(run, seq.cast_unsigned(), &json, |digest| self.blob(digest))?);
        }
        Ok(records)
    }

    /// Says whether nothing was ever written here: who made the file was stopped before its tables were on disk.
    pub(super) fn is_blank(&self) -> Result<bool, JournalError> {
        let version: rusqlite::Result<i64> = self.connection.query_row("PRAGMA user_version", [], |row| row.get(0));
        Ok(version.map_err(database(&self.path))? == 0)
    }

    pub(super) fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, JournalError> {
        self.connection
            .query_row("SELECT bytes FROM blobs WHERE digest = ?1", [digest.to_string()], |row| row.get(0))
            .optional()
            .map_err(database(&self.path))
    }
}

fn read_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<RunRow> {
    let time = |column: usize, at: i64| {
        jiff::Timestamp::from_millisecond(at).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Integer, Box::new(error))
        })
    };
    let text = |column: usize, error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error)
    };
    let (id, labels, status): (String, String, String) = (row.get(0)?, row.get(4)?, row.get(5)?);
    let finished: Option<i64> = row.get(7)?;
    Ok(RunRow {
        run: id.parse().map_err(|error: crate::id::IdError| text(0, Box::new(error)))?,
        workflow: row.get(1)?,
        file: row.get(2)?,
        sandbox: row.get(3)?,
        labels: serde_json::from_str(&labels).map_err(|error| text(4, Box::new(error)))?,
        status: serde_json::from_value(status.into()).map_err(|error| text(5, Box::new(error)))?,
        live: false,
        started_at: time(6, row.get(6)?)?,
        finished_at: finished.map(|at| time(7, at)).transpose()?,
        credits: row.get(8)?,
        jobs: row.get::<_, i64>(9)?.cast_unsigned(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::Writer;
    use crate::{
        id::{Digest, RunId},
        job::{JobHandle, JobState, Target, TargetKind},
        journal::{
            History, Journal, JournalError, RunFilter,
            event::{Event, INLINE_LIMIT, Limit, Payload, Record, RunStarted, RunStatus, StepBrief},
            state::RunState,
        },
        result::JobFacts,
    };

    fn record(run: RunId, seq: u64, event: Event) -> Record {
        Record { seq, at: "2026-01-02T03:04:05.678Z".parse().expect("a timestamp"), run, event }
    }

    fn started(run: RunId) -> Record {
        let step = StepBrief {
            target: "m".to_owned(),
            provider: Some("armox".to_owned()),
            ..StepBrief::bare("a".parse().expect("a path"), "model")
        };
        let start = RunStarted {
            format: 1,
            workflow: "w".to_owned(),
            file: "w.yaml".to_owned(),
            plan: Digest::of(b""),
            labels: [("team".to_owned(), "a".to_owned())].into(),
            inputs: serde_json::Map::new(),
            concurrency: 1,
            sandbox: false,
            definition: None,
            budget: Limit::default(),
            group: None,
            artifacts: None,
            of: None,
            failure_policy: crate::plan::FailurePolicy::default(),
            timeout_ms: None,
            workflows: Vec::new(),
            credits: None,
            steps: vec![step],
        };
        record(run, 1, Event::RunStarted(Box::new(start)))
    }

    fn observed(run: RunId, seq: u64, outputs: Payload) -> Record {
        let job = JobFacts {
            id: JobHandle("j1".to_owned()),
            provider: "armox".to_owned(),
            status: JobState::Completed,
            credits_charged: Some(70.0),
            tokens_used: None,
            latency_ms: None,
            created_at: None,
            completed_at: None,
        };
        let step = "a".parse().expect("a path");
        record(run, seq, Event::JobObserved { step, job, outputs: Some(outputs), error: None })
    }

    #[tokio::test]
    async fn what_is_durable_is_read_by_another_connection_and_folds_alike() {
        let folder = tempfile::tempdir().expect("a folder");
        let run = RunId::new(1, [1; 10]);
        let journal = Journal::open(folder.path()).expect("a journal");
        let first = started(run);
        let mut state = RunState::begin(&first).expect("a state");
        journal.append(&first, &state, None);
        let large = Payload::new(json!({"n": "x".repeat(INLINE_LIMIT)}).as_object().expect("a map").clone());
        let submitted = Event::Submitted {
            step: "a".parse().expect("a path"),
            attempt: crate::id::Attempt::FIRST,
            job: JobHandle("j1".to_owned()),
            state: JobState::Processing,
            credits_charged: Some(70.0),
            look_at: None,
        };
        for record in [record(run, 2, submitted), observed(run, 3, large)] {
            state.apply(&record).expect("it applies");
            journal.append(&record, &state, Some("https://example.com"));
        }
        journal.durable().await.expect("it is written");

        let history = History::open(folder.path()).expect("it opens").expect("there is a journal");
        let records = history.records(run).expect("records");
        assert_eq!(records.len(), 3);
        let again = RunState::fold(&records).expect("they fold");
        assert_eq!(again.steps[0].outputs, state.steps[0].outputs);
        let rows = history.runs(&RunFilter::default()).expect("rows");
        assert_eq!((rows.len(), rows[0].credits, rows[0].jobs, rows[0].status), (1, 70.0, 1, RunStatus::Running));
        let none = RunFilter { label: Some(("team".to_owned(), "b".to_owned())), ..RunFilter::default() };
        assert_eq!(history.runs(&none).expect("rows"), []);
        assert_eq!(history.find("last").expect("a run"), run);
        assert_eq!(history.find(&run.to_string()[..6]).expect("a run"), run);
        assert!(matches!(history.find("%"), Err(JournalError::NoRun(_))));

        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            for name in ["state.db", "state.db-wal"] {
                let mode = folder.path().join(name).metadata().expect("a file").permissions().mode();
                assert_eq!(mode & 0o777, 0o600, "{name}");
            }
        }
    }

    #[tokio::test]
    async fn a_record_that_cannot_be_written_is_told_to_every_later_barrier() {
        let folder = tempfile::tempdir().expect("a folder");
        let run = RunId::new(1, [1; 10]);
        let journal = Journal::open(folder.path()).expect("a journal");
        let first = started(run);
        let state = RunState::begin(&first).expect("a state");
        journal.append(&first, &state, None);
        journal.durable().await.expect("the first one is written");
        // The same number twice breaks the key, as a full disk would break the commit.
        journal.append(&first, &state, None);
        assert!(matches!(journal.durable().await, Err(JournalError::Database { .. })));
        assert!(matches!(journal.durable().await, Err(JournalError::Database { .. })));
    }

    #[test]
    fn a_newer_database_and_a_broken_one_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        drop(Journal::open(folder.path()).expect("a journal"));
        let path = folder.path().join("state.db");
        let connection = rusqlite::Connection::open(&path).expect("a database");
        connection.pragma_update(None, "user_version", 99).expect("a version");
        drop(connection);
        assert!(matches!(Journal::open(folder.path()), Err(JournalError::Newer { found: 99, .. })));

        let broken = tempfile::tempdir().expect("a folder");
        std::fs::write(broken.path().join("state.db"), "this is no database, though it is long enough ".repeat(40))
            .expect("a file");
        assert!(matches!(Journal::open(broken.path()), Err(JournalError::Damaged { .. })));
    }

    #[test]
    fn one_process_owns_a_run_until_it_lets_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let run = RunId::new(1, [1; 10]);
        let journal = Journal::open(folder.path()).expect("a journal");
        let owner = journal.own(run).expect("nobody owns it");
        assert!(matches!(journal.own(run), Err(JournalError::Owned(_))));
        let history = History::open(folder.path()).expect("it opens").expect("there is a journal");
        assert!(history.is_live(run));
        drop(owner);
        assert!(!history.is_live(run));
        assert!(journal.own(run).is_ok());
    }

    #[tokio::test]
    async fn learned_durations_are_the_latest_of_their_target() {
        let folder = tempfile::tempdir().expect("a folder");
        let journal = Journal::open(folder.path()).expect("a journal");
        let target = Target { kind: TargetKind::Model, id: "m".to_owned() };
        let run = RunId::new(1, [1; 10]);
        assert_eq!(journal.learned("u", &target).expect("a look"), None);
        for seconds in (0..100_u8).map(f64::from) {
            journal.learn(run, "u", &target, seconds);
        }
        journal.durable().await.expect("written");
        assert_eq!(journal.learned("u", &target).expect("a look"), Some(89.0));
        assert_eq!(journal.learned("other", &target).expect("a look"), None);
    }

    #[tokio::test]
    async fn a_lock_that_another_process_holds_is_told_as_such() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.db");
        drop(Journal::open(folder.path()).expect("a journal"));
        let other = rusqlite::Connection::open(&path).expect("a database");
        let hold = || other.execute_batch("BEGIN IMMEDIATE").expect("the lock is free");
        let short = Duration::from_millis(1);
        hold();
        assert!(matches!(Writer::open_within(&path, short), Err(JournalError::Busy { .. })));
        other.execute_batch("ROLLBACK").expect("it lets go");

        let writer = Writer::open_within(&path, short).expect("the lock is free");
        let locks = crate::journal::lock::Locks::Folder(folder.path().to_owned());
        let journal = Journal { store: crate::journal::Store::Sqlite(writer), locks };
        let first = started(RunId::new(1, [1; 10]));
        let state = RunState::begin(&first).expect("a state");
        hold();
        journal.append(&first, &state, None);
        assert!(matches!(journal.durable().await, Err(JournalError::Busy { .. })));
        // Who only reads waits for nobody.
        let history = History::open(folder.path()).expect("it opens").expect("there is a journal");
        assert_eq!(history.runs(&RunFilter::default()).expect("rows"), []);
    }

    #[test]
    fn a_file_without_tables_is_no_history_and_becomes_a_journal() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("state.db"), "").expect("a file");
        assert!(History::open(folder.path()).expect("it opens").is_none());
        drop(Journal::open(folder.path()).expect("a journal"));
        assert!(History::open(folder.path()).expect("it opens").is_some());
    }

    /// Writes a run with a large payload, and returns the bytes of the database.
    async fn whole_database(run: RunId) -> Vec<u8> {
        let folder = tempfile::tempdir().expect("a folder");
        let journal = Journal::open(folder.path()).expect("a journal");
        let first = started(run);
        let mut state = RunState::begin(&first).expect("a state");
        journal.append(&first, &state, None);
        for seq in 2..40 {
            let value = json!({"n": "x".repeat(if seq == 20 { INLINE_LIMIT } else { 1000 })});
            let record = observed(run, seq, Payload::new(value.as_object().expect("a map").clone()));
            state.apply(&record).expect("it applies");
            journal.append(&record, &state, None);
        }
        journal.durable().await.expect("it is written");
        let connection = rusqlite::Connection::open(folder.path().join("state.db")).expect("a database");
        let copy = folder.path().join("copy.db");
        connection.execute("VACUUM INTO ?1", [copy.to_str().expect("UTF-8")]).expect("a copy in one file");
        std::fs::read(copy).expect("the file")
    }

    /// Reads everything that there is to read.
    fn read_all(folder: &std::path::Path, run: RunId) -> Result<(), JournalError> {
        let Some(history) = History::open(folder)? else { return Ok(()) };
        history.runs(&RunFilter::default())?;
        history.find(&run.to_string())?;
        let records = history.records(run)?;
        // Records that are read but do not fold are an error of their own.
        let _ = RunState::fold(&records);
        let journal = Journal::open(folder)?;
        journal.learned("u", &Target { kind: TargetKind::Model, id: "m".to_owned() })?;
        let age = crate::journal::prune::Age::AllBut(0);
        journal.prune(&crate::journal::prune::Pruning { age, unfinished: true, dry_run: true })?;
        Ok(())
    }

    #[tokio::test]
    async fn a_damaged_page_is_an_error_or_does_no_harm() {
        const PAGE: usize = 4096;
        let run = RunId::new(1, [1; 10]);
        let whole = whole_database(run).await;
        let read = |bytes: &[u8]| {
            let folder = tempfile::tempdir().expect("a folder");
            std::fs::write(folder.path().join("state.db"), bytes).expect("a file");
            read_all(folder.path(), run)
        };
        read(&whole).expect("the control: it is whole");
        let pages = whole.len() / PAGE;
        assert!(pages > 30, "{pages}");
        let mut damaged = 0;
        for page in 0..pages {
            for garbage in [0x00, 0x0d, 0xff] {
                let mut bytes = whole.clone();
                bytes[page * PAGE..(page + 1) * PAGE].fill(garbage);
                match read(&bytes) {
                    Err(JournalError::Damaged { .. }) => damaged += 1,
                    // What stands in a page may be a text or a payload, too, or nothing that is read.
                    Ok(()) | Err(JournalError::Record { .. } | JournalError::NoRun(_)) => {}
                    Err(error) => panic!("page {page}: {error:?}"),
                }
            }
        }
        assert!(damaged > 5, "{damaged}");
        assert!(matches!(read(&whole[..whole.len() / 2]), Err(JournalError::Damaged { .. })), "a part of it");
    }
}
