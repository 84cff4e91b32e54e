//! Results that equal submits of later runs reuse (`cache`, LANGUAGE.md, section 3).
//!
//! The `cache` table is a projection: a submit says in its intent what an equal one would look for, and its step's success makes the entry.
//! An entry holds the result whole, so that it outlives the run that made it; its files stay where that run saved them.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Journal, JournalError, Store, sqlite};
use crate::{
    id::{Digest, RunId, StepPath},
    job::{Operation, Target, TargetKind},
    journal::event::{CacheKey, GivenFile},
    result::{JobFacts, SavedFile},
};

/// What was sent of a submit whose result may be reused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// The digests that an equal submit has.
    pub key: CacheKey,
    /// Alias of the provider.
    pub provider: String,
    /// The provider's base URL.
    pub base_url: String,
    /// What ran.
    pub target: Target,
    /// The inputs as they are written down.
    pub inputs: Map<String, Value>,
    /// What went beside them.
    #[serde(default, skip_serializing_if = "Operation::is_empty")]
    pub operation: Operation,
    /// The local files in the inputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<GivenFile>,
}

/// An entry of the cache.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CachedResult {
    /// What was sent.
    #[serde(flatten)]
    pub sent: Sent,
    /// The run that has it.
    pub run: RunId,
    /// The step.
    pub step: StepPath,
    /// The workflow's name.
    pub workflow: String,
    /// When the result was there.
    pub at: Timestamp,
    /// What kind of target gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<TargetKind>,
    /// What came out, by node.
    pub outputs: Arc<Map<String, Value>>,
    /// The job behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobFacts>,
    /// What was saved of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<SavedFile>,
    /// The folder, or the place in a store, below which they lie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
}

impl Journal {
    /// Returns the result of an earlier equal submit, if there is one.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub fn cached(&self, key: &Digest) -> Result<Option<CachedResult>, JournalError> {
        match &self.store {
            Store::Sqlite(writer) => sqlite::cache::find(writer, key),
            Store::Memory(memory) => Ok(memory.cached(key)),
        }
    }
}

impl super::History {
    /// Returns all entries of the cache, the newest first.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read.
    pub fn cache(&self) -> Result<Vec<CachedResult>, JournalError> {
        sqlite::cache::all(&self.folder.join("state.db"))
    }

    /// Removes entries of the cache, and says how many there were.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written.
    pub fn forget(&self, keys: &[Digest]) -> Result<usize, JournalError> {
        sqlite::cache::remove(&self.folder.join("state.db"), keys)
    }
}
