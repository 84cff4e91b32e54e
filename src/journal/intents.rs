//! Submits that have no answer, over all runs of a journal, and what was claimed and reserved for them.
//!
//! A job that an API shows belongs to at most one submit: claims are unique by base URL and job. Who settles a lost submit asks here
//! which submits of the same class other runs have open, since a job in the list may be theirs.

use jiff::Timestamp;

use super::{Journal, JournalError, Store, event::Limit, sqlite, state::spending::Shortfall};
use crate::{
    id::{Attempt, Digest, RunId, StepPath},
    job::JobHandle,
};

/// The submit that a job belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepPath,
    /// Which attempt of it.
    pub attempt: Attempt,
}

/// A submit of another run that has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenIntent {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepPath,
    /// Which attempt of it.
    pub attempt: Attempt,
    /// Jobs that were made before are others.
    pub since: Timestamp,
    /// Whether its answer is lost; else it is under way, or its process died with it.
    pub lost: bool,
}

/// What a submit would take of the budget of a day.
#[derive(Clone, Debug)]
pub struct Reservation<'a> {
    /// The alias of the account.
    pub account: &'a str,
    /// The day in UTC: `2026-01-31`.
    pub day: String,
    /// What may be spent on it.
    pub limit: Limit,
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: &'a StepPath,
    /// The attempt.
    pub attempt: Attempt,
    /// What it will cost, in credits, as far as is known.
    pub credits: Option<f64>,
}

impl Reservation<'_> {
    /// Says whether the day allows it, given what all others of it take.
    ///
    /// # Errors
    ///
    /// By what it does not.
    pub(super) fn judge(&self, credits: f64, tokens: u64) -> Result<(), Shortfall> {
        if let Some(limit) = self.limit.tokens
            && tokens >= limit
        {
            return Err(Shortfall::Tokens { used: tokens, limit });
        }
        match self.limit.credits {
            Some(limit)
                if self.credits.map_or(credits >= limit, |price| price > 0.0 && credits + price > limit + 1e-9) =>
            {
                Err(Shortfall::Credits { needs: self.credits, taken: credits, limit })
            }
            _ => Ok(()),
        }
    }
}

impl Journal {
    /// Returns the submit that a job belongs to, if it belongs to one.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub fn claimant(&self, base_url: &str, job: &JobHandle) -> Result<Option<Claimant>, JournalError> {
        match &self.store {
            Store::Sqlite(writer) => sqlite::intents::claimant(writer, base_url, job),
            Store::Memory(memory) => Ok(memory.claimant(base_url, job)),
        }
    }

    /// Claims a job for a submit, and waits until that survives the machine. Says whether it is this one's now; any other that it had
    /// claimed is free again, as a submit has one job.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written.
    pub async fn claim(&self, base_url: &str, job: &JobHandle, own: &Claimant) -> Result<bool, JournalError> {
        match &self.store {
            Store::Sqlite(writer) => {
                self.durable().await?;
                sqlite::intents::claim(writer, base_url, job, own)
            }
            Store::Memory(memory) => Ok(memory.claim(base_url, job, own)),
        }
    }

    /// Returns the submits of a class that other runs have open, with whether a process still works on each.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub fn open_intents(
        &self,
        base_url: &str,
        class: &Digest,
        but: RunId,
    ) -> Result<Vec<(OpenIntent, bool)>, JournalError> {
        let found = match &self.store {
            Store::Sqlite(writer) => sqlite::intents::open(writer, base_url, class, but)?,
            Store::Memory(memory) => memory.open_intents(base_url, class, but),
        };
        Ok(found.into_iter().map(|intent| (intent.clone(), self.locks.is_live(intent.run))).collect())
    }

    /// Returns how many submits other runs have open at an API.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub fn unanswered(&self, base_url: &str, but: RunId) -> Result<usize, JournalError> {
        match &self.store {
            Store::Sqlite(writer) => sqlite::intents::unanswered(writer, base_url, but),
            Store::Memory(memory) => Ok(memory.unanswered(base_url, but)),
        }
    }

    /// Takes what a submit will cost from the budget of a day, in one transaction with the look at what is left.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written.
    pub fn reserve(&self, reservation: &Reservation<'_>) -> Result<Result<(), Shortfall>, JournalError> {
        match &self.store {
            Store::Sqlite(writer) => sqlite::intents::reserve(writer, reservation),
            Store::Memory(memory) => Ok(memory.reserve(reservation)),
        }
    }
}
