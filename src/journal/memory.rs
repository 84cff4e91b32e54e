//! A journal in memory: the same records, kept as the same text, so that what does not survive writing shows in tests.
//!
//! It can also play a disk ([`Disk`]): slow, and forgetful of what was not yet durable when the process died. That is for the simulator,
//! which crashes a run after every record.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use jiff::Timestamp;

use super::{
    Change, Claimant, Entry, JournalError, OpenIntent, Reservation, event::Payload, event::Record,
    state::spending::Shortfall,
};
use crate::{
    id::{Attempt, Digest, RunId, StepPath},
    job::{JobHandle, Target},
    world::World,
};

/// A disk that is played.
#[derive(Clone, Debug)]
pub struct Disk {
    /// Its clock and its chance.
    pub world: World,
    /// The longest that making records durable takes.
    pub slowest: Duration,
    /// Whether records are durable when that is said. A disk that lies is the control of the simulator: its runs pay twice.
    pub honest: bool,
}

/// Records and projections in memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    tables: Arc<Mutex<Tables>>,
    disk: Option<Disk>,
}

#[derive(Debug, Default)]
struct Tables {
    events: HashMap<RunId, Vec<Line>>,
    /// How many records of a run are durable.
    durable: HashMap<RunId, usize>,
    blobs: HashMap<Digest, Vec<u8>>,
    durations: HashMap<(String, Target), Vec<f64>>,
    /// What was claimed before it was recorded.
    settled: HashMap<(String, JobHandle), Claimant>,
    claims: HashMap<(String, JobHandle), Claimant>,
    intents: HashMap<(RunId, StepPath), Intent>,
    /// What submits cost that count towards the budget of a day.
    spending: HashMap<(RunId, StepPath, u32), Paid>,
    cache: HashMap<Digest, String>,
    locks: HashMap<String, RunId>,
    wishes: HashSet<RunId>,
}

#[derive(Debug)]
struct Line {
    json: String,
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
struct Intent {
    base_url: String,
    class: Digest,
    attempt: Attempt,
    since: Timestamp,
    lost: bool,
}

#[derive(Clone, Debug)]
struct Paid {
    account: String,
    day: String,
    credits: f64,
    tokens: u64,
}

impl Memory {
    /// Returns one that plays a disk.
    pub(super) fn on(disk: Disk) -> Self {
        Self { tables: Arc::default(), disk: Some(disk) }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().expect("no panic while the tables are held")
    }

    pub(super) fn append(&self, entry: Entry) {
        let mut tables = self.tables();
        for change in &entry.changes {
            tables.change(entry.run, change);
        }
        tables.blobs.extend(entry.blob);
        tables.events.entry(entry.run).or_default().push(Line { json: entry.json, changes: entry.changes });
    }

    pub(super) async fn durable(&self) {
        let Some(disk) = &self.disk else { return };
        let written: Vec<_> = self.tables().events.iter().map(|(run, lines)| (*run, lines.len())).collect();
        if !disk.honest {
            return;
        }
        let slowest = u64::try_from(disk.slowest.as_micros()).unwrap_or(u64::MAX);
        disk.world.sleep(Duration::from_micros(disk.world.random() % (slowest + 1))).await;
        let mut tables = self.tables();
        for (run, lines) in written {
            let durable = tables.durable.entry(run).or_default();
            *durable = lines.max(*durable);
        }
    }

    /// Forgets some of what is not durable, by chance, and all locks: the process is gone.
    pub(super) fn crash(&self, random: u64) {
        let mut tables = self.tables();
        tables.locks.clear();
        let tables = &mut *tables;
        for (run, lines) in &mut tables.events {
            let durable = tables.durable.get(run).copied().unwrap_or_default();
            let more = (lines.len() - durable) as u64;
            let kept = usize::try_from(random % (more + 1)).expect("it is at most a length");
            lines.truncate(durable + kept);
            tables.durable.insert(*run, lines.len());
        }
        tables.claims = tables.settled.clone();
        tables.intents.clear();
        let events = std::mem::take(&mut tables.events);
        for (run, lines) in &events {
            for change in lines.iter().flat_map(|line| &line.changes) {
                tables.change(*run, change);
            }
        }
        tables.events = events;
    }

    pub(super) fn change(&self, run: RunId, change: &Change) {
        self.tables().change(run, change);
    }

    pub(super) fn learned(&self, base_url: &str, target: &Target) -> Vec<f64> {
        self.tables().durations.get(&(base_url.to_owned(), target.clone())).cloned().unwrap_or_default()
    }

    pub(super) fn cached(&self, key: &Digest) -> Option<super::cache::CachedResult> {
        serde_json::from_str(self.tables().cache.get(key)?).ok()
    }

    pub(super) fn claimant(&self, base_url: &str, job: &JobHandle) -> Option<Claimant> {
        self.tables().claims.get(&(base_url.to_owned(), job.clone())).cloned()
    }

    pub(super) fn claim(&self, base_url: &str, job: &JobHandle, own: &Claimant) -> bool {
        let mut tables = self.tables();
        let key = (base_url.to_owned(), job.clone());
        let owner = tables.claims.entry(key.clone()).or_insert_with(|| own.clone()).clone();
        if owner != *own {
            return false;
        }
        // A submit has one job.
        let is_stale = |(url, other): &(String, JobHandle), claimant: &Claimant| {
            url == base_url && other != job && claimant == own
        };
        tables.claims.retain(|key, claimant| !is_stale(key, claimant));
        tables.settled.retain(|key, claimant| !is_stale(key, claimant));
        tables.settled.insert(key, owner);
        true
    }

    pub(super) fn open_intents(&self, base_url: &str, class: &Digest, but: RunId) -> Vec<OpenIntent> {
        let tables = self.tables();
        let others = tables
            .intents
            .iter()
            .filter(|((run, _), intent)| *run != but && intent.base_url == base_url && intent.class == *class);
        let open = |((run, step), intent): (&(RunId, StepPath), &Intent)| OpenIntent {
            run: *run,
            step: step.clone(),
            attempt: intent.attempt,
            since: intent.since,
            lost: intent.lost,
        };
        others.map(open).collect()
    }

    pub(super) fn unanswered(&self, base_url: &str, but: RunId) -> usize {
        self.tables().intents.iter().filter(|((run, _), intent)| *run != but && intent.base_url == base_url).count()
    }

    pub(super) fn lock(&self, name: &str, run: RunId) -> bool {
        let mut tables = self.tables();
        if tables.locks.contains_key(name) {
            return false;
        }
        tables.locks.insert(name.to_owned(), run);
        true
    }

    pub(super) fn unlock(&self, name: &str) {
        self.tables().locks.remove(name);
    }

    pub(super) fn holder(&self, name: &str) -> Option<RunId> {
        self.tables().locks.get(name).copied()
    }

    pub(super) fn wish_end(&self, run: RunId, wished: bool) {
        let mut tables = self.tables();
        if wished {
            tables.wishes.insert(run);
        } else {
            tables.wishes.remove(&run);
        }
    }

    pub(super) fn is_wished_to_end(&self, run: RunId) -> bool {
        self.tables().wishes.contains(&run)
    }

    pub(super) fn records(&self, run: RunId) -> Result<Vec<Record>, JournalError> {
        let tables = self.tables();
        let lines = tables.events.get(&run).map(Vec::as_slice).unwrap_or_default();
        lines
            .iter()
            .zip(1..)
            .map(|(line, seq)| read_record(run, seq, &line.json, |digest| Ok(tables.blobs.get(digest).cloned())))
            .collect()
    }

    pub(super) fn reserve(&self, reservation: &Reservation<'_>) -> Result<(), Shortfall> {
        let mut tables = self.tables();
        let key = (reservation.run, reservation.step.clone(), reservation.attempt.0);
        let others = tables.spending.iter().filter(|(other, paid)| {
            **other != key && paid.account == reservation.account && paid.day == reservation.day
        });
        let (credits, tokens) = others.fold((0.0, 0), |sum, (_, paid)| (sum.0 + paid.credits, sum.1 + paid.tokens));
        reservation.judge(credits, tokens)?;
        let (account, day) = (reservation.account.to_owned(), reservation.day.clone());
        let paid = Paid { account, day, credits: reservation.credits.unwrap_or_default(), tokens: 0 };
        tables.spending.insert(key, paid);
        Ok(())
    }
}

impl Tables {
    fn change(&mut self, run: RunId, change: &Change) {
        match change {
            Change::Claimed { base_url, job, step, attempt } => {
                let claimant = Claimant { run, step: step.clone(), attempt: *attempt };
                self.claims.entry((base_url.clone(), JobHandle(job.clone()))).or_insert(claimant);
            }
            Change::Kept { digest, bytes } => {
                self.blobs.insert(*digest, bytes.clone());
            }
            Change::Intended { base_url, class, step, attempt, since } => {
                let base_url = base_url.clone();
                let intent = Intent { base_url, class: *class, attempt: *attempt, since: *since, lost: false };
                self.intents.insert((run, step.clone()), intent);
            }
            Change::Lost { step } => {
                if let Some(intent) = self.intents.get_mut(&(run, step.clone())) {
                    intent.lost = true;
                }
            }
            Change::AllLost => {
                self.intents
                    .iter_mut()
                    .filter(|((other, _), _)| *other == run)
                    .for_each(|(_, intent)| intent.lost = true);
            }
            Change::Answered { step } => {
                self.intents.remove(&(run, step.clone()));
            }
            Change::Took { base_url, target, seconds } => {
                self.durations.entry((base_url.clone(), target.clone())).or_default().push(*seconds);
            }
            Change::Paid { step, attempt, credits, tokens } => {
                if let Some(paid) = self.spending.get_mut(&(run, step.clone(), attempt.0)) {
                    (paid.credits, paid.tokens) = (*credits, *tokens);
                }
            }
            Change::Cached { key, json } => {
                self.cache.insert(*key, json.clone());
            }
            Change::Started { .. } | Change::Spent { .. } | Change::Resumed | Change::Finished { .. } => {}
        }
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
