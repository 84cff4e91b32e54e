//! The layout of the database, and how one of an earlier release becomes one of this.
//!
//! The version stands in `PRAGMA user_version`. A change of the layout is a step here, with the number that it brings: a new database takes
//! all steps, an old one those that it lacks, in one transaction. A database of a newer release is refused before anything is read.
//! Events are never rewritten: what was added to them since is absent in old ones and has a meaning then.

use rusqlite::Connection;

/// The version of this release.
pub(super) const VERSION: i64 = 3;

/// What leads from one version to the next, from an empty file on.
const STEPS: &[&str] = &[
    // 1: records, payloads, and the projections of runs, claims and durations.
    "
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID, STRICT;
INSERT INTO meta (name, value) VALUES ('digest_key', randomblob(32));
CREATE TABLE events (run TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, json TEXT NOT NULL,
    PRIMARY KEY (run, seq)) WITHOUT ROWID, STRICT;
CREATE TABLE blobs (digest TEXT PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE runs (run TEXT PRIMARY KEY, workflow TEXT NOT NULL, file TEXT NOT NULL, sandbox INTEGER NOT NULL, labels TEXT NOT NULL,
    status TEXT NOT NULL, started_at INTEGER NOT NULL, finished_at INTEGER, credits REAL NOT NULL, jobs INTEGER NOT NULL)
    WITHOUT ROWID, STRICT;
CREATE TABLE claims (base_url TEXT NOT NULL, job TEXT NOT NULL, run TEXT NOT NULL, step TEXT NOT NULL,
    PRIMARY KEY (base_url, job)) WITHOUT ROWID, STRICT;
CREATE TABLE durations (id INTEGER PRIMARY KEY, base_url TEXT NOT NULL, target_kind TEXT NOT NULL, target TEXT NOT NULL,
    seconds REAL NOT NULL) STRICT;
CREATE INDEX durations_by_target ON durations (base_url, target_kind, target);
",
    // 2: submits without an answer, which attempt a job belongs to, and what counts towards the budget of a day.
    "
CREATE TABLE intents (run TEXT NOT NULL, step TEXT NOT NULL, attempt INTEGER NOT NULL, base_url TEXT NOT NULL, class TEXT NOT NULL,
    since INTEGER NOT NULL, lost INTEGER NOT NULL, PRIMARY KEY (run, step)) WITHOUT ROWID, STRICT;
CREATE INDEX intents_by_class ON intents (base_url, class);
CREATE TABLE spending (run TEXT NOT NULL, step TEXT NOT NULL, attempt INTEGER NOT NULL, account TEXT NOT NULL, day TEXT NOT NULL,
    credits REAL NOT NULL, tokens INTEGER NOT NULL, PRIMARY KEY (run, step, attempt)) WITHOUT ROWID, STRICT;
CREATE INDEX spending_by_day ON spending (account, day);
ALTER TABLE claims ADD COLUMN attempt INTEGER NOT NULL DEFAULT 1;
",
    // 3: results that equal submits of later runs reuse.
    "
CREATE TABLE cache (key TEXT PRIMARY KEY, at INTEGER NOT NULL, json TEXT NOT NULL) WITHOUT ROWID, STRICT;
",
];

/// Takes the steps that the database lacks.
pub(super) fn bring_up_to_date(connection: &Connection) -> rusqlite::Result<()> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let taken = usize::try_from(version).unwrap_or_default();
    for step in STEPS.iter().skip(taken) {
        connection.execute_batch(step)?;
    }
    if version < VERSION {
        connection.pragma_update(None, "user_version", VERSION)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use serde_json::json;

    use super::*;
    use crate::{
        id::RunId,
        journal::{History, Journal, JournalError, RunFilter, event::RunStatus, state::RunState},
        result::StepStatus,
    };

    /// Writes a journal as the first release did: its layout, and the events of a run in its words.
    fn of_the_first_release(path: &std::path::Path, run: RunId) {
        let connection = Connection::open(path).expect("a database");
        connection.execute_batch(STEPS[0]).expect("the first layout");
        connection.pragma_update(None, "user_version", 1).expect("a version");
        let digest = "00".repeat(32);
        let target = json!({"kind": "model", "id": "m"});
        let job = json!({"id": "j1", "provider": "armox", "status": "completed", "credits_charged": 70.0});
        let events = [
            json!({"kind": "run_started", "format": 1, "workflow": "w", "file": "w.yaml", "plan": digest, "inputs": {},
                "concurrency": 1, "sandbox": false,
                "steps": [{"step": "a", "verb": "model", "target": "m", "provider": "armox", "rank": 0},
                    {"step": "b", "verb": "model", "target": "m", "provider": "armox", "needs": [0], "rank": 0}]}),
            json!({"kind": "step_ready", "step": "a"}),
            json!({"kind": "submit_intended", "step": "a", "attempt": 1, "provider": "armox", "base_url": "u", "target": target,
                "inputs": {}, "key": "k"}),
            json!({"kind": "submitted", "step": "a", "attempt": 1, "job": "j1", "state": "processing", "credits_charged": 70.0}),
            json!({"kind": "job_observed", "step": "a", "job": job, "outputs": {"a": {"outputText": "x"}}}),
            json!({"kind": "step_succeeded", "step": "a", "cached": false}),
        ];
        for (event, seq) in events.into_iter().zip(1_i64..) {
            let mut record = json!({"seq": seq, "at": "2026-01-02T03:04:05.678Z", "run": run});
            record.as_object_mut().expect("a map").extend(event.as_object().expect("a map").clone());
            connection
                .execute(
                    "INSERT INTO events (run, seq, at, json) VALUES (?1, ?2, 0, ?3)",
                    rusqlite::params![run.to_string(), seq, record.to_string()],
                )
                .expect("an event");
        }
        connection
            .execute(
                "INSERT INTO runs VALUES (?1, 'w', 'w.yaml', 0, '{}', 'running', 0, NULL, 70.0, 1)",
                [run.to_string()],
            )
            .expect("a row");
        connection.execute("INSERT INTO claims VALUES ('u', 'j1', ?1, 'a')", [run.to_string()]).expect("a claim");
    }

    #[test]
    fn a_journal_of_the_first_release_is_brought_up_to_date_and_its_runs_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, run) = (folder.path().join("state.db"), RunId::new(1, [1; 10]));
        of_the_first_release(&path, run);
        // Whoever only reads needs nothing of what is new.
        let history = History::open(folder.path()).expect("it opens").expect("there is a journal");
        assert_eq!(history.runs(&RunFilter::default()).expect("rows")[0].status, RunStatus::Running);
        let journal = Journal::open(folder.path()).expect("it is brought up to date");
        let connection = Connection::open(&path).expect("a database");
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("a version");
        assert_eq!(version, VERSION);
        let state = RunState::fold(&journal.records(run).expect("records")).expect("they fold");
        assert_eq!((state.steps[0].status(), state.steps[1].status()), (Some(StepStatus::Succeeded), None));
        assert!((state.credits() - 70.0).abs() < 1e-9);
        // The job is claimed as it was, by the first attempt.
        let own =
            crate::journal::Claimant { run, step: "a".parse().expect("a path"), attempt: crate::id::Attempt::FIRST };
        let job = crate::job::JobHandle("j1".to_owned());
        assert_eq!(journal.claimant("u", &job).expect("a look").as_ref(), Some(&own));
        let other = crate::journal::Claimant { step: "b".parse().expect("a path"), ..own };
        assert_ne!(journal.claimant("u", &job).expect("a look").as_ref(), Some(&other));
        drop(journal);
        Journal::open(folder.path()).expect("a second time there is nothing to do");
    }

    /// The control: what is newer than this release is left alone.
    #[test]
    fn a_journal_of_a_newer_release_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.db");
        of_the_first_release(&path, RunId::new(1, [1; 10]));
        let connection = Connection::open(&path).expect("a database");
        connection.pragma_update(None, "user_version", VERSION + 1).expect("a version");
        let refused = |error: &JournalError| matches!(error, JournalError::Newer { .. });
        assert!(Journal::open(folder.path()).is_err_and(|error| refused(&error)));
        assert!(History::open(folder.path()).is_err_and(|error| refused(&error)));
        let tables: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_master WHERE name = 'intents'", [], |row| row.get(0))
            .expect("a count");
        assert_eq!(tables, 0);
    }
}
