//! The cache in the database: entries by their keys.

use std::path::Path;

use rusqlite::{OptionalExtension, TransactionBehavior, params};

use super::{connect, database};
use crate::{
    id::Digest,
    journal::{JournalError, cache::CachedResult},
};

/// Returns the entry of a key. One that cannot be read is none: the next result replaces it.
pub(in crate::journal) fn find(path: &Path, key: &Digest) -> Result<Option<CachedResult>, JournalError> {
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
