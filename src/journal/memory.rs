//! A journal in memory: the same records, kept as the same text, so that what does not survive writing shows in tests.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
};

use super::{Change, Entry, JournalError, event::Payload, event::Record};
use crate::{
    id::{Digest, RunId},
    job::{JobHandle, Target},
};

/// Records and projections in memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory(Arc<Mutex<Tables>>);

#[derive(Debug, Default)]
struct Tables {
    events: HashMap<RunId, Vec<String>>,
    blobs: HashMap<Digest, Vec<u8>>,
    durations: HashMap<(String, Target), Vec<f64>>,
    claims: HashSet<(String, JobHandle)>,
}

impl Memory {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().expect("no panic while the tables are held")
    }

    pub(super) fn append(&self, entry: Entry) {
        let mut tables = self.tables();
        tables.events.entry(entry.run).or_default().push(entry.json);
        tables.blobs.extend(entry.blob);
        for change in entry.changes {
            if let Change::Claimed { base_url, job, .. } = change {
                tables.claims.insert((base_url, JobHandle(job)));
            }
        }
    }

    pub(super) fn change(&self, change: Change) {
        if let Change::Took { base_url, target, seconds } = change {
            self.tables().durations.entry((base_url, target)).or_default().push(seconds);
        }
    }

    pub(super) fn learned(&self, base_url: &str, target: &Target) -> Vec<f64> {
        self.tables().durations.get(&(base_url.to_owned(), target.clone())).cloned().unwrap_or_default()
    }

    pub(super) fn is_claimed(&self, base_url: &str, job: &JobHandle) -> bool {
        self.tables().claims.contains(&(base_url.to_owned(), job.clone()))
    }

    pub(super) fn records(&self, run: RunId) -> Result<Vec<Record>, JournalError> {
        let tables = self.tables();
        let texts = tables.events.get(&run).map(Vec::as_slice).unwrap_or_default();
        texts
            .iter()
            .zip(1..)
            .map(|(json, seq)| read_record(run, seq, json, |digest| Ok(tables.blobs.get(digest).cloned())))
            .collect()
    }
}

/// Reads a record's text and puts its large payload back in place.
pub(super) fn read_record(
    run: RunId,
    seq: u64,
    json: &str,
    blob: impl Fn(&Digest) -> Result<Option<Vec<u8>>, JournalError>,
) -> Result<Record, JournalError> {
    use super::event::Event;

    let wrong = |message: String| JournalError::Record { run, seq, message };
    let mut record: Record = serde_json::from_str(json).map_err(|error| wrong(error.to_string()))?;
    if let Event::JobObserved { outputs: Some(outputs), .. } | Event::StepSucceeded { outputs: Some(outputs), .. } =
        &mut record.event
        && let Payload::Stored { digest, value, .. } = outputs
    {
        let bytes = blob(digest)?.ok_or_else(|| wrong(format!("its payload {digest} is missing")))?;
        let map = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        *value = Some(Arc::new(map));
    }
    Ok(record)
}
