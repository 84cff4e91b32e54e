//! The job state machine behind every skin. Pure: time is passed in, ids follow a seed.
//!
//! ```text
//! submit ─▶ pending ─▶ processing ─▶ completed | failed
//!              └───────────┴───────▶ cancelled
//! ```
//!
//! A job knows from its birth when it will begin and end, so nothing runs between two requests: [`Jobs::settle`] brings all that is
//! due up to date before anybody looks. What must stay true: credits are taken once, when a job is accepted, and come back once,
//! when it fails or is cancelled before it began.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::{Api, catalog::Product};
use crate::{
    id::Digest,
    job::{JobState, Target},
};

/// What a fault script has in store for a job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fate {
    /// It never ends.
    pub stuck: bool,
    /// It fails, with this message.
    pub fails: Option<String>,
    /// It is gone this long after its acceptance.
    pub vanishes: Option<Duration>,
    /// It is listed only this long after its acceptance.
    pub listed: Option<Duration>,
    /// It is reported under this word until it ends.
    pub word: Option<String>,
    /// It completes without an output.
    pub silent: bool,
    /// It waits this long before it begins.
    pub pending: Option<Duration>,
    /// It takes this long, whatever the catalogue says.
    pub takes: Option<Duration>,
}

/// What is asked of the machine.
#[derive(Clone, Debug)]
pub struct Order {
    /// Which API it came through.
    pub api: Api,
    /// What the job's id begins with; where it is empty, the id is a UUID.
    pub prefix: &'static str,
    /// What is to run.
    pub product: Arc<Product>,
    /// With which inputs.
    pub inputs: Map<String, Value>,
    /// What else the request said, as the skin keeps it.
    pub beside: Map<String, Value>,
    /// How long it takes.
    pub takes: Duration,
    /// What happens to it.
    pub fate: Fate,
}

/// A job that was accepted.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// Which API it belongs to; the others do not know it.
    pub api: Api,
    /// What it runs.
    pub product: Arc<Product>,
    /// With which inputs.
    pub inputs: Map<String, Value>,
    /// What else the request said, as the skin keeps it.
    pub beside: Map<String, Value>,
    /// Where it stands, as of the last [`Jobs::settle`].
    pub state: JobState,
    /// What it cost.
    pub credits: f64,
    /// Whether that was given back.
    pub refunded: bool,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When it will end, unless it is stuck.
    pub ends_at: Option<Timestamp>,
    /// What happens to it.
    pub fate: Fate,
    begins_at: Timestamp,
    number: usize,
}

impl Job {
    /// Returns its target.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.product.contract.target
    }

    /// Returns what a rule of the fault script may call its target: the id and the name.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        vec![self.target().id.clone(), self.product.contract.name.clone()]
    }

    /// Says whether looks find it.
    #[must_use]
    pub fn is_there(&self, now: Timestamp) -> bool {
        self.fate.vanishes.is_none_or(|after| now < later(self.created_at, after))
    }

    fn is_listed(&self, now: Timestamp) -> bool {
        self.is_there(now) && self.fate.listed.is_none_or(|after| now >= later(self.created_at, after))
    }
}

/// Says that the account has too little.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TooPoor {
    /// What the job costs.
    pub required: f64,
    /// What is there.
    pub available: f64,
}

/// Says why a job was not cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotCancelled {
    /// There is no such job.
    Unknown,
    /// It is over.
    TooLate,
}

/// The money of an account: credits of Armox, the wallet of AIMP.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Purse {
    /// What is left.
    pub left: f64,
    /// What was taken and not given back.
    pub spent: f64,
}

/// All jobs of the accounts, and their money.
#[derive(Clone, Debug)]
pub struct Jobs {
    purses: BTreeMap<Api, Purse>,
    seed: u64,
    all: Vec<Job>,
    by_id: HashMap<String, usize>,
    /// When which job changes next; every live job that is not stuck has exactly one entry.
    due: BTreeSet<(Timestamp, usize)>,
}

impl Jobs {
    /// Begins without jobs, with so much money for the APIs that take any.
    #[must_use]
    pub fn new(money: BTreeMap<Api, f64>, seed: u64) -> Self {
        let purses = money.into_iter().map(|(api, left)| (api, Purse { left, spent: 0.0 })).collect();
        Self { purses, seed, all: Vec::new(), by_id: HashMap::new(), due: BTreeSet::new() }
    }

    /// Returns the money of an account. An API without money costs nothing.
    #[must_use]
    pub fn purse(&self, api: Api) -> Purse {
        self.purses.get(&api).copied().unwrap_or(Purse { left: 0.0, spent: 0.0 })
    }

    /// Accepts a job and takes its credits.
    ///
    /// # Errors
    /// When the credits do not suffice; nothing happened then.
    pub fn submit(&mut self, order: Order, now: Timestamp) -> Result<&Job, TooPoor> {
        self.settle(now);
        let purse = self.purses.get_mut(&order.api);
        let required = if purse.is_some() { order.product.cost } else { 0.0 };
        if let Some(purse) = purse {
            if required > purse.left {
                return Err(TooPoor { required, available: purse.left });
            }
            purse.left -= required;
            purse.spent += required;
        }
        let number = self.all.len();
        let id = self.new_id(order.prefix, number);
        let begins_at = later(now, order.fate.pending.unwrap_or_default());
        let ends_at = (!order.fate.stuck).then(|| later(begins_at, order.fate.takes.unwrap_or(order.takes)));
        let begun = order.fate.pending.is_none();
        if let Some(next) = if begun { ends_at } else { Some(begins_at) } {
            self.due.insert((next, number));
        }
        self.by_id.insert(id.clone(), number);
        self.all.push(Job {
            id,
            api: order.api,
            product: order.product,
            inputs: order.inputs,
            beside: order.beside,
            state: if begun { JobState::Processing } else { JobState::Pending },
            credits: required,
            refunded: false,
            error: None,
            created_at: now,
            ended_at: None,
            ends_at,
            fate: order.fate,
            begins_at,
            number,
        });
        Ok(&self.all[number])
    }

    /// Brings every job up to date.
    pub fn settle(&mut self, now: Timestamp) {
        while let Some(&(at, number)) = self.due.first() {
            if at > now {
                break;
            }
            self.due.pop_first();
            let job = &mut self.all[number];
            if job.state == JobState::Pending {
                job.state = JobState::Processing;
                self.due.extend(job.ends_at.map(|end| (end, number)));
                continue;
            }
            job.ended_at = Some(at);
            if let Some(message) = job.fate.fails.clone() {
                job.state = JobState::Failed;
                job.error = Some(message);
                self.refund(number);
            } else {
                job.state = JobState::Completed;
            }
        }
    }

    /// Returns a job of an API as it stands, unless it has vanished.
    pub fn look(&mut self, api: Api, id: &str, now: Timestamp) -> Option<&Job> {
        self.settle(now);
        self.get(id).filter(|job| job.api == api && job.is_there(now))
    }

    /// Returns a job as it stood last, vanished or not.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Job> {
        self.by_id.get(id).map(|&number| &self.all[number])
    }

    /// Returns the jobs that a list of an API shows, the newest first.
    pub fn list(&mut self, api: Api, now: Timestamp) -> impl Iterator<Item = &Job> {
        self.settle(now);
        self.all.iter().rev().filter(move |job| job.api == api && job.is_listed(now))
    }

    /// Calls a job off. One that had not begun is refunded.
    ///
    /// # Errors
    /// When there is none, or it is over.
    pub fn cancel(&mut self, api: Api, id: &str, now: Timestamp) -> Result<&Job, NotCancelled> {
        let job = self.look(api, id, now).ok_or(NotCancelled::Unknown)?;
        if job.state.is_terminal() {
            return Err(NotCancelled::TooLate);
        }
        let (number, begun) = (job.number, job.state != JobState::Pending);
        let next = if begun { job.ends_at } else { Some(job.begins_at) };
        if let Some(next) = next {
            self.due.remove(&(next, number));
        }
        if !begun {
            self.refund(number);
        }
        let job = &mut self.all[number];
        job.state = JobState::Cancelled;
        job.ended_at = Some(now);
        Ok(job)
    }

    /// Returns every job ever accepted, the oldest first.
    #[must_use]
    pub fn all(&self) -> &[Job] {
        &self.all
    }

    fn refund(&mut self, number: usize) {
        let job = &mut self.all[number];
        job.refunded = true;
        if let Some(purse) = self.purses.get_mut(&job.api) {
            purse.left += job.credits;
            purse.spent -= job.credits;
        }
    }

    fn new_id(&self, prefix: &str, number: usize) -> String {
        let digest = Digest::of(format!("job {} {number}", self.seed).as_bytes()).to_string();
        if !prefix.is_empty() {
            return format!("{prefix}{}", digest[..16].to_uppercase());
        }
        let bits = u128::from_str_radix(&digest[..32], 16).expect("a digest is hexadecimal");
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid().to_string()
    }
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| time.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{job::TargetKind, sandbox::catalog::Catalog};

    fn jobs(credits: f64) -> Jobs {
        Jobs::new(BTreeMap::from([(Api::Armox, credits)]), 1)
    }

    fn order(fate: Fate) -> Order {
        let product = Catalog::new(&[]).get(TargetKind::Model, "kling/video").expect("a model").clone();
        Order {
            api: Api::Armox,
            prefix: "",
            product,
            inputs: Map::new(),
            beside: Map::new(),
            takes: Duration::from_secs(10),
            fate,
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("a timestamp")
    }

    fn state(jobs: &mut Jobs, id: &str, now: Timestamp) -> Option<JobState> {
        jobs.look(Api::Armox, id, now).map(|job| job.state.clone())
    }

    #[test]
    fn a_job_lives_and_a_failed_one_is_refunded() {
        let mut jobs = jobs(500.0);
        let first = jobs.submit(order(Fate::default()), at(0)).expect("credits").id.clone();
        let fate = Fate { fails: Some("no".to_owned()), ..Fate::default() };
        let second = jobs.submit(order(fate), at(0)).expect("credits").id.clone();
        assert_eq!(
            jobs.submit(order(Fate::default()), at(1)).err(),
            Some(TooPoor { required: 210.0, available: 80.0 })
        );
        assert_eq!(state(&mut jobs, &first, at(9)), Some(JobState::Processing));
        assert_eq!(state(&mut jobs, &first, at(10)), Some(JobState::Completed));
        assert_eq!(state(&mut jobs, &second, at(10)), Some(JobState::Failed));
        assert!((jobs.purse(Api::Armox).left - 290.0).abs() < 0.01);
        assert_eq!(jobs.cancel(Api::Armox, &first, at(11)).err(), Some(NotCancelled::TooLate));
        assert_eq!(jobs.cancel(Api::Armox, "nothing", at(11)).err(), Some(NotCancelled::Unknown));
    }

    #[test]
    fn pending_jobs_are_refunded_when_cancelled_and_begun_ones_are_not() {
        let mut jobs = jobs(1000.0);
        let pending = Fate { pending: Some(Duration::from_secs(5)), ..Fate::default() };
        let first = jobs.submit(order(pending.clone()), at(0)).expect("credits").id.clone();
        let second = jobs.submit(order(pending), at(0)).expect("credits").id.clone();
        assert_eq!(state(&mut jobs, &first, at(4)), Some(JobState::Pending));
        assert!(jobs.cancel(Api::Armox, &first, at(4)).is_ok_and(|job| job.refunded));
        assert_eq!(state(&mut jobs, &second, at(6)), Some(JobState::Processing));
        assert!(jobs.cancel(Api::Armox, &second, at(6)).is_ok_and(|job| !job.refunded));
        assert_eq!(state(&mut jobs, &second, at(60)), Some(JobState::Cancelled));
        assert!((jobs.purse(Api::Armox).left - 790.0).abs() < 0.01);
    }

    #[test]
    fn stuck_vanishing_and_late_listed_jobs() {
        let mut jobs = jobs(10_000.0);
        let wait = Some(Duration::from_secs(3));
        let stuck = jobs.submit(order(Fate { stuck: true, ..Fate::default() }), at(0)).expect("credits").id.clone();
        let gone = jobs.submit(order(Fate { vanishes: wait, ..Fate::default() }), at(0)).expect("credits").id.clone();
        let late = jobs.submit(order(Fate { listed: wait, ..Fate::default() }), at(0)).expect("credits").id.clone();
        let listed = |jobs: &mut Jobs, now| jobs.list(Api::Armox, now).map(|job| job.id.clone()).collect::<Vec<_>>();
        assert_eq!(listed(&mut jobs, at(0)), [gone.clone(), stuck.clone()]);
        assert_eq!(listed(&mut jobs, at(3)), [late, stuck.clone()]);
        assert_eq!(state(&mut jobs, &gone, at(3)), None);
        assert_eq!(state(&mut jobs, &stuck, at(100_000)), Some(JobState::Processing));
    }
}
