//! The database's part of pruning: what a run takes, removing it, and which payloads no event refers to.
//!
//! Events name a payload by its digest, in whatever place of their JSON. So a payload is garbage when its digest stands in no event at
//! all; one that only looks as if it were named stays, which costs room and nothing else. A table that names payloads must be read
//! in [`Pruner::garbage`] as well.
//!
//! All events are read for that, which may take a while. It is done beside running writers, on one snapshot; the short transaction
//! that removes looks only at what came later.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};

use super::{connect, database};
use crate::{
    id::RunId,
    journal::{JournalError, RunRow},
};

/// The length of a digest in hexadecimal digits.
const DIGITS: usize = 64;

/// A connection that removes.
#[derive(Debug)]
pub(in crate::journal) struct Pruner {
    connection: Connection,
    path: PathBuf,
}

/// Payloads that no event names, as of a moment.
#[derive(Debug)]
pub(in crate::journal) struct Garbage {
    /// Their digests and sizes.
    blobs: BTreeMap<String, u64>,
    /// The last event that was looked at, by run.
    seen: BTreeMap<String, i64>,
}

impl Garbage {
    /// Returns how many bytes they are.
    pub(in crate::journal) fn bytes(&self) -> u64 {
        self.blobs.values().sum()
    }

    /// Takes out what an event names.
    fn keep(&mut self, json: &str) {
        if !self.blobs.is_empty() {
            for digest in digests(json) {
                self.blobs.remove(digest);
            }
        }
    }
}

impl Pruner {
    pub(in crate::journal) fn open(path: &Path) -> Result<Self, JournalError> {
        Ok(Self { connection: connect(path)?, path: path.to_owned() })
    }

    /// Returns when each run that is not over recorded its last event.
    pub(in crate::journal) fn last_times(&self) -> Result<BTreeMap<RunId, Timestamp>, JournalError> {
        let wrong = database(&self.path);
        let query =
            "SELECT run, (SELECT at FROM events WHERE events.run = runs.run ORDER BY seq DESC LIMIT 1) FROM runs
             WHERE finished_at IS NULL";
        let mut statement = self.connection.prepare(query).map_err(&wrong)?;
        let rows = statement
            .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?)))
            .map_err(&wrong)?;
        let mut times = BTreeMap::new();
        for row in rows {
            let (run, at) = row.map_err(&wrong)?;
            if let (Ok(run), Some(at)) = (run.parse(), at.and_then(|at| Timestamp::from_millisecond(at).ok())) {
                times.insert(run, at);
            }
        }
        Ok(times)
    }

    /// Returns how many bytes a run's events are.
    pub(in crate::journal) fn bytes_of(&self, run: RunId) -> Result<u64, JournalError> {
        bytes_of(&self.connection, run).map_err(database(&self.path))
    }

    /// Removes a run, if it still stands as it did, and returns how many bytes its events were. Its claims stay.
    pub(in crate::journal) fn remove(&mut self, row: &RunRow) -> Result<Option<u64>, JournalError> {
        let path = self.path.clone();
        let wrong = database(&path);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&wrong)?;
        let finished = row.finished_at.map(Timestamp::as_millisecond);
        let found = transaction
            .execute(
                "DELETE FROM runs WHERE run = ?1 AND status = ?2 AND finished_at IS ?3",
                params![row.run.to_string(), row.status.as_str(), finished],
            )
            .map_err(&wrong)?;
        if found == 0 {
            return Ok(None);
        }
        let bytes = bytes_of(&transaction, row.run).map_err(&wrong)?;
        for table in ["events", "intents", "spending"] {
            let delete = format!("DELETE FROM {table} WHERE run = ?1");
            transaction.execute(&delete, [row.run.to_string()]).map_err(&wrong)?;
        }
        transaction.commit().map_err(&wrong)?;
        Ok(Some(bytes))
    }

    /// Returns the payloads that no event of other runs than these names.
    pub(in crate::journal) fn garbage(&mut self, except: &BTreeSet<RunId>) -> Result<Garbage, JournalError> {
        let path = self.path.clone();
        let wrong = database(&path);
        let except: BTreeSet<_> = except.iter().map(ToString::to_string).collect();
        // One snapshot for both, so that a payload is never seen without its event.
        let transaction = self.connection.transaction().map_err(&wrong)?;
        let mut garbage = Garbage { blobs: BTreeMap::new(), seen: BTreeMap::new() };
        {
            let mut statement = transaction.prepare("SELECT digest, length(bytes) FROM blobs").map_err(&wrong)?;
            let mut rows = statement.query([]).map_err(&wrong)?;
            while let Some(row) = rows.next().map_err(&wrong)? {
                let bytes: i64 = row.get(1).map_err(&wrong)?;
                garbage.blobs.insert(row.get(0).map_err(&wrong)?, bytes.cast_unsigned());
            }
            let mut statement = transaction.prepare("SELECT run, seq, json FROM events").map_err(&wrong)?;
            let mut rows = statement.query([]).map_err(&wrong)?;
            while let Some(row) = rows.next().map_err(&wrong)? {
                let run: String = row.get(0).map_err(&wrong)?;
                if except.contains(&run) {
                    continue;
                }
                garbage.keep(row.get_ref(2).and_then(|json| Ok(json.as_str()?)).map_err(&wrong)?);
                garbage.seen.insert(run, row.get(1).map_err(&wrong)?);
            }
        }
        transaction.commit().map_err(&wrong)?;
        Ok(garbage)
    }

    /// Removes payloads, unless an event that was written since names them, and returns how many bytes they were.
    pub(in crate::journal) fn sweep(&mut self, mut garbage: Garbage) -> Result<u64, JournalError> {
        if garbage.blobs.is_empty() {
            return Ok(0);
        }
        let path = self.path.clone();
        let wrong = database(&path);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&wrong)?;
        {
            // By run, since the events of one run are found at once by their number.
            let mut runs = transaction.prepare("SELECT run FROM runs").map_err(&wrong)?;
            let mut later =
                transaction.prepare("SELECT json FROM events WHERE run = ?1 AND seq > ?2").map_err(&wrong)?;
            let mut runs = runs.query([]).map_err(&wrong)?;
            while let Some(row) = runs.next().map_err(&wrong)? {
                let run: String = row.get(0).map_err(&wrong)?;
                let seen = garbage.seen.get(&run).copied().unwrap_or_default();
                let mut rows = later.query(params![run, seen]).map_err(&wrong)?;
                while let Some(row) = rows.next().map_err(&wrong)? {
                    garbage.keep(row.get_ref(0).and_then(|json| Ok(json.as_str()?)).map_err(&wrong)?);
                }
            }
            let mut remove = transaction.prepare("DELETE FROM blobs WHERE digest = ?1").map_err(&wrong)?;
            for digest in garbage.blobs.keys() {
                remove.execute([digest]).map_err(&wrong)?;
            }
        }
        transaction.commit().map_err(&wrong)?;
        Ok(garbage.bytes())
    }

    /// Gives the room of what was removed back to the system.
    pub(in crate::journal) fn compact(&self) -> Result<(), JournalError> {
        self.connection.execute_batch("VACUUM").map_err(database(&self.path))
    }
}

fn bytes_of(connection: &Connection, run: RunId) -> rusqlite::Result<u64> {
    let query = "SELECT coalesce(sum(octet_length(json)), 0) FROM events WHERE run = ?1";
    connection.query_row(query, [run.to_string()], |row| row.get(0)).map(i64::cast_unsigned)
}

/// Returns what may be a digest in a text: every 64 hexadecimal digits in a row.
fn digests(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !matches!(character, '0'..='9' | 'a'..='f'))
        .filter(|digits| digits.len() >= DIGITS)
        .flat_map(|digits| (0..=digits.len() - DIGITS).map(move |at| &digits[at..at + DIGITS]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Digest;

    #[test]
    fn digests_are_found_wherever_they_stand() {
        let (first, second) = (Digest::of(b"1").to_string(), Digest::of(b"2").to_string());
        let text = format!("{{\"$stored\":\"{first}\",\"key\":\"{second}0\",\"short\":\"{}\"}}", &first[1..]);
        let found: Vec<_> = digests(&text).collect();
        assert!(found.contains(&first.as_str()) && found.contains(&second.as_str()), "{found:?}");
        // The long one has two windows; the short one has none.
        assert_eq!(found.len(), 3);
    }
}
