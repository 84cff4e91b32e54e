//! Claims, open intents and reservations in the database. These are asked by their keys, on a connection beside the writer's.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{
    super::{Claimant, JournalError, OpenIntent, Reservation, state::spending::Shortfall},
    Writer, database,
};
use crate::{
    id::{Attempt, Digest, RunId},
    job::JobHandle,
};

/// Reads or writes with the connection beside the writer's.
fn with<T>(writer: &Writer, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T, JournalError> {
    let mut connection = writer.beside.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    work(&mut connection).map_err(database(&writer.path))
}

fn id<T: std::str::FromStr<Err = crate::id::IdError>>(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<T> {
    row.get::<_, String>(column)?.parse().map_err(|error: crate::id::IdError| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

pub(in crate::journal) fn claimant(
    writer: &Writer,
    base_url: &str,
    job: &JobHandle,
) -> Result<Option<Claimant>, JournalError> {
    with(writer, |connection| read_claimant(connection, base_url, job))
}

fn read_claimant(connection: &Connection, base_url: &str, job: &JobHandle) -> rusqlite::Result<Option<Claimant>> {
    connection
        .prepare_cached("SELECT run, step, attempt FROM claims WHERE base_url = ?1 AND job = ?2")?
        .query_row(params![base_url, job.0], |row| {
            Ok(Claimant { run: id(row, 0)?, step: id(row, 1)?, attempt: Attempt(row.get(2)?) })
        })
        .optional()
}

pub(in crate::journal) fn claim(
    writer: &Writer,
    base_url: &str,
    job: &JobHandle,
    own: &Claimant,
) -> Result<bool, JournalError> {
    with(writer, |connection| {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute(
            "INSERT OR IGNORE INTO claims (base_url, job, run, step, attempt) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![base_url, job.0, own.run.to_string(), own.step.as_str(), own.attempt.0],
        )?;
        let owner = read_claimant(&transaction, base_url, job)?;
        if owner.as_ref() == Some(own) {
            transaction.execute(
                "DELETE FROM claims WHERE base_url = ?1 AND run = ?2 AND step = ?3 AND attempt = ?4 AND job <> ?5",
                params![base_url, own.run.to_string(), own.step.as_str(), own.attempt.0, job.0],
            )?;
        }
        transaction.commit()?;
        Ok(owner.as_ref() == Some(own))
    })
}

pub(in crate::journal) fn open(
    writer: &Writer,
    base_url: &str,
    class: &Digest,
    but: RunId,
) -> Result<Vec<OpenIntent>, JournalError> {
    with(writer, |connection| {
        connection
            .prepare_cached(
                "SELECT run, step, attempt, since, lost FROM intents
                 WHERE base_url = ?1 AND class = ?2 AND run <> ?3",
            )?
            .query_map(params![base_url, class.to_string(), but.to_string()], |row| {
                let since = jiff::Timestamp::from_millisecond(row.get(3)?).unwrap_or(jiff::Timestamp::MIN);
                Ok(OpenIntent {
                    run: id(row, 0)?,
                    step: id(row, 1)?,
                    attempt: Attempt(row.get(2)?),
                    since,
                    lost: row.get(4)?,
                })
            })?
            .collect()
    })
}

pub(in crate::journal) fn unanswered(writer: &Writer, base_url: &str, but: RunId) -> Result<usize, JournalError> {
    with(writer, |connection| {
        let count: i64 = connection
            .prepare_cached("SELECT count(*) FROM intents WHERE base_url = ?1 AND run <> ?2")?
            .query_row(params![base_url, but.to_string()], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or_default())
    })
}

pub(in crate::journal) fn reserve(
    writer: &Writer,
    reservation: &Reservation<'_>,
) -> Result<Result<(), Shortfall>, JournalError> {
    with(writer, |connection| {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let Reservation { account, day, run, step, attempt, credits, .. } = reservation;
        let (run, step) = (run.to_string(), step.as_str());
        let (spent, tokens): (f64, i64) = transaction.query_row(
            "SELECT coalesce(sum(credits), 0.0), coalesce(sum(tokens), 0) FROM spending
             WHERE account = ?1 AND day = ?2 AND NOT (run = ?3 AND step = ?4 AND attempt = ?5)",
            params![account, day, run, step, attempt.0],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        if let Err(shortfall) = reservation.judge(spent, u64::try_from(tokens).unwrap_or_default()) {
            return Ok(Err(shortfall));
        }
        transaction.execute(
            "INSERT OR REPLACE INTO spending (run, step, attempt, account, day, credits, tokens)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)",
            params![run, step, attempt.0, account, day, credits.unwrap_or_default()],
        )?;
        transaction.commit()?;
        Ok(Ok(()))
    })
}
