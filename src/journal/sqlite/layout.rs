//! The layout of the database, and how one of an earlier release becomes one of this.
//!
//! The version stands in `PRAGMA user_version`. A change of the layout is a step here, with the number that it brings: a new database takes
//! all steps, an old one those that it lacks, in one transaction. A database of a newer release is refused before anything is read.
//! Events are never rewritten: what was added to them since is absent in old ones and has a meaning then.

use rusqlite::Connection;

/// The version of this release.
pub(super) const VERSION: i64 = 2;

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
