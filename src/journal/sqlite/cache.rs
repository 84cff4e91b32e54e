//! The cache in the database: entries by their keys.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex},
};

use rusqlite::{OptionalExtension, TransactionBehavior, params};

use super::{Writer, connect, database};
use crate::{
    id::Digest,
    journal::{Change, JournalError, cache::CachedResult},
};

/// Entries on their way to the database: a step that comes after an equal one's success must not have to wait for the disk to see it.
#[derive(Clone, Debug, Default)]
pub(super) struct Underway(Arc<Mutex<HashMap<Digest, String>>>);

impl Underway {
    /// Notes the entries among changes that are handed over to be written.
    pub(super) fn begin(&self, changes: &[Change]) {
        for (key, json) in entries(changes) {
            self.0.lock().expect("no panic while it is held").insert(*key, json.clone());
        }
    }

    /// Forgets the entries among changes that are in the database by now, but for those that have been replaced since.
    pub(super) fn end(&self, changes: &[Change]) {
        for (key, json) in entries(changes) {
            let mut underway = self.0.lock().expect("no panic while it is held");
            if underway.get(key) == Some(json) {
                underway.remove(key);
            }
        }
    }

    fn find(&self, key: &Digest) -> Option<CachedResult> {
        serde_json::from_str(self.0.lock().expect("no panic while it is held").get(key)?).ok()
    }
}

fn entries(changes: &[Change]) -> impl Iterator<Item = (&Digest, &String)> {
    changes.iter().filter_map(|change| match change {
        Change::Cached { key, json } => Some((key, json)),
        _ => None,
    })
}

/// Returns the entry of a key, also where it is on its way to the database. One that cannot be read is none: the next result replaces it.
pub(in crate::journal) fn find(writer: &Writer, key: &Digest) -> Result<Option<CachedResult>, JournalError> {
    // In this order: what is under way no more is in the database.
    if let Some(found) = writer.underway.find(key) {
        return Ok(Some(found));
    }
    let path = writer.path();
    let text: Option<String> = connect(path)?
        .query_row("SELECT json FROM cache WHERE key = ?1", [key.to_string()], |row| row.get(0))
        .optional()
        .map_err(database(path))?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

pub(in crate::journal) fn all(path: &Path) -> Result<Vec<CachedResult>, JournalError> {
    let wrong = database(path);
    let connection = connect(path)?;
    let mut statement = connection.prepare("SELECT json FROM cache ORDER BY at DESC, key").map_err(&wrong)?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).map_err(&wrong)?;
    let mut found = Vec::new();
    for row in rows {
        found.extend(serde_json::from_str(&row.map_err(&wrong)?).ok());
    }
    Ok(found)
}

pub(in crate::journal) fn remove(path: &Path, keys: &[Digest]) -> Result<usize, JournalError> {
    let wrong = database(path);
    let mut connection = connect(path)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&wrong)?;
    let mut removed = 0;
    for key in keys {
        removed += transaction.execute("DELETE FROM cache WHERE key = ?1", params![key.to_string()]).map_err(&wrong)?;
    }
    transaction.commit().map_err(&wrong)?;
    Ok(removed)
}
