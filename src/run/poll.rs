//! When to look at which job: one poller for all jobs of a key.
//!
//! The first look comes when the target's earlier runs suggest, else after a second; the waits then double up to 10 to 15 s, which
//! is what the documents of Armox advise. `poll` in a step replaces all that by a fixed wish. Where the API lists jobs and several are
//! due, one list call looks at all of them; a job that the list does not show is looked at singly.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use super::{backoff, decide::later};
use crate::{
    job::{Job, JobHandle},
    journal::state::StepIndex,
};

/// The first look where nothing is known of the target.
const FIRST: Duration = Duration::from_secs(1);

/// The bound that the waits double up to, times 1 to 1.5 by chance.
const SLOWEST: Duration = Duration::from_secs(10);

/// After a first look at the learned time the next waits start at a tenth of it, but not below this.
const FASTEST: Duration = Duration::from_millis(100);

/// Looks that may be out at once for one key.
const LOOKS: usize = 8;

/// A job that is due within this part of its wait is looked at along with one that is due now.
const ALONG: u32 = 4;

/// One call to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The jobs to look at; several are for one list call.
    pub jobs: Vec<(StepIndex, Job)>,
}

/// Word from outside makes a job be looked at no more often than this.
const HINTS: Duration = Duration::from_secs(1);

/// Decides when to look at which job.
#[derive(Debug, Default)]
pub struct Poller {
    jobs: HashMap<StepIndex, Watched>,
    by_job: HashMap<JobHandle, StepIndex>,
    due: BTreeSet<(Timestamp, StepIndex)>,
    looking: usize,
}

#[derive(Debug)]
struct Watched {
    job: Job,
    since: Timestamp,
    due: Timestamp,
    wait: Duration,
    fixed: bool,
    /// The list did not show it: the next look is a single one.
    unlisted: bool,
    /// Whether a look at it is out.
    looking: bool,
    /// Looks in a row at which the API did not know the job.
    missing: u32,
    /// Looks in a row that failed.
    failed: u32,
    /// When it was last looked at.
    looked_at: Option<Timestamp>,
    /// When word from outside that came during a look wants the next one.
    soon: Option<Timestamp>,
}

impl Poller {
    /// Begins to watch a job that was accepted now.
    pub fn watch(
        &mut self,
        step: StepIndex,
        job: Job,
        poll: Option<Duration>,
        learned: Option<Duration>,
        now: Timestamp,
    ) {
        let first = poll.or(learned).unwrap_or(FIRST).max(Duration::from_millis(1));
        let wait = match (poll, learned) {
            (Some(poll), _) => poll,
            (None, Some(learned)) => (learned / 10).max(FASTEST),
            (None, None) => FIRST,
        };
        let due = later(now, first);
        let watched = Watched {
            job,
            since: now,
            due,
            wait,
            fixed: poll.is_some(),
            unlisted: false,
            looking: false,
            missing: 0,
            failed: 0,
            looked_at: None,
            soon: None,
        };
        self.by_job.insert(watched.job.id.clone(), step);
        self.jobs.insert(step, watched);
        self.due.insert((due, step));
    }

    /// Ends watching.
    pub fn unwatch(&mut self, step: StepIndex) {
        if let Some(watched) = self.jobs.remove(&step) {
            self.by_job.remove(&watched.job.id);
            self.due.remove(&(watched.due, step));
        }
    }

    /// Notes word from outside that a job has changed: it is looked at soon, at most once a second. Says whether the job is watched.
    pub fn hint(&mut self, job: &JobHandle, now: Timestamp) -> bool {
        let Some(&step) = self.by_job.get(job) else { return false };
        let watched = self.jobs.get_mut(&step).expect("what is found by its job is watched");
        let soon = watched.looked_at.map_or(now, |looked_at| later(looked_at, HINTS)).max(now);
        if watched.looking {
            // What this look shows may be older than the word.
            watched.soon = Some(soon);
        } else if soon < watched.due {
            self.due.remove(&(watched.due, step));
            watched.due = soon;
            self.due.insert((soon, step));
        }
        true
    }

    /// Returns when the next look is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        if self.looking >= LOOKS {
            return None;
        }
        self.due.first().map(|&(due, _)| due)
    }

    /// Returns when a job is looked at next.
    #[must_use]
    pub fn next_look(&self, step: StepIndex) -> Option<Timestamp> {
        self.jobs.get(&step).filter(|watched| !watched.looking).map(|watched| watched.due)
    }

    /// Returns how long a job has been watched.
    #[must_use]
    pub fn watched_for(&self, step: StepIndex, now: Timestamp) -> Option<SignedDuration> {
        self.jobs.get(&step).map(|watched| now.duration_since(watched.since))
    }

    /// Takes the next call that is due. `batch` is the most jobs that one call can show. The jobs are out until
    /// [`Poller::looked`] is told.
    pub fn take(&mut self, batch: usize, now: Timestamp) -> Option<Look> {
        if self.next_due()? > now {
            return None;
        }
        let mut jobs = Vec::new();
        if batch > 1 {
            let soon = |&(due, step): &(Timestamp, StepIndex)| {
                let watched = &self.jobs[&step];
                !watched.unlisted && due <= later(now, watched.wait.min(SLOWEST) / ALONG)
            };
            // What is due after the slowest wait's part cannot be due soon: the scan ends there.
            let end = later(now, SLOWEST / ALONG);
            jobs = self.due.iter().take_while(|&&(due, _)| due <= end).filter(|&entry| soon(entry)).copied().collect();
        }
        if jobs.len() < 2 {
            jobs = self.due.first().copied().into_iter().collect();
        }
        for entry in &jobs {
            self.due.remove(entry);
        }
        self.looking += 1;
        let jobs = jobs
            .into_iter()
            .map(|(_, step)| {
                let watched = self.jobs.get_mut(&step).expect("what is due is watched");
                watched.looking = true;
                watched.looked_at = Some(now);
                (step, watched.job.clone())
            })
            .collect();
        Some(Look { jobs })
    }

    /// Notes that a call is back.
    pub fn looked(&mut self) {
        self.looking = self.looking.saturating_sub(1);
    }

    /// Plans the next look at a job that was seen and still runs.
    pub fn seen(&mut self, step: StepIndex, random: u64, now: Timestamp) {
        self.again(step, now, |watched| {
            watched.missing = 0;
            watched.failed = 0;
            watched.unlisted = false;
            let wait = watched.wait;
            if watched.fixed {
                return wait;
            }
            watched.wait = (wait * 2).min(SLOWEST);
            if wait >= SLOWEST { backoff::spread(SLOWEST, 1.0, 1.5, random) } else { wait }
        });
    }

    /// Plans a single look at once for a job that a list did not show.
    pub fn unlisted(&mut self, step: StepIndex, now: Timestamp) {
        self.again(step, now, |watched| {
            watched.unlisted = true;
            Duration::ZERO
        });
    }

    /// Plans the next look at a job that the API did not know, and returns how often in a row that was so.
    pub fn missing(&mut self, step: StepIndex, random: u64, now: Timestamp) -> u32 {
        let mut times = 0;
        self.again(step, now, |watched| {
            watched.missing += 1;
            times = watched.missing;
            backoff::wait(times, random)
        });
        times
    }

    /// Plans the next look after one that failed, and returns how often in a row that was so.
    pub fn failed(&mut self, step: StepIndex, random: u64, now: Timestamp) -> u32 {
        let mut times = 0;
        self.again(step, now, |watched| {
            watched.failed += 1;
            times = watched.failed;
            backoff::wait(times, random)
        });
        times
    }

    fn again(&mut self, step: StepIndex, now: Timestamp, plan: impl FnOnce(&mut Watched) -> Duration) {
        let Some(watched) = self.jobs.get_mut(&step) else { return };
        self.due.remove(&(watched.due, step));
        watched.looking = false;
        watched.due = later(now, plan(watched));
        if let Some(soon) = watched.soon.take() {
            watched.due = watched.due.min(soon.max(now));
        }
        self.due.insert((watched.due, step));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Target, TargetKind};

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(1_000_000_000 + milliseconds).expect("a timestamp")
    }

    fn job(name: &str) -> Job {
        let target = Target { kind: TargetKind::Model, id: "m".to_owned() };
        Job { id: JobHandle(name.to_owned()), target, look_at: None }
    }

    /// Returns when a job is looked at that never ends.
    fn looks(poll: Option<Duration>, learned: Option<Duration>, count: usize) -> Vec<i64> {
        let mut poller = Poller::default();
        poller.watch(0, job("a"), poll, learned, at(0));
        (0..count)
            .map(|_| {
                let due = poller.next_due().expect("it is watched");
                let look = poller.take(100, due).expect("it is due");
                assert_eq!(look.jobs.len(), 1);
                poller.looked();
                poller.seen(0, 0, due);
                due.duration_since(at(0)).as_millis().try_into().expect("small")
            })
            .collect()
    }

    #[test]
    fn waits_double_up_to_ten_seconds_or_are_as_wished_or_learned() {
        assert_eq!(looks(None, None, 7), [1000, 2000, 4000, 8000, 16_000, 26_000, 36_000]);
        let wish = Some(Duration::from_millis(20));
        assert_eq!(looks(wish, Some(Duration::from_mins(1)), 3), [20, 40, 60]);
        assert_eq!(looks(None, Some(Duration::from_millis(200)), 4), [200, 300, 500, 900]);
        assert_eq!(looks(None, Some(Duration::from_secs(90)), 3), [90_000, 99_000, 109_000]);
    }

    #[test]
    fn several_due_jobs_share_a_list_call_and_the_unlisted_are_looked_at_singly() {
        let mut poller = Poller::default();
        for (step, name) in [(0, "a"), (1, "b"), (2, "c")] {
            poller.watch(step, job(name), None, None, at(i64::from(step)));
        }
        let look = poller.take(100, at(1000)).expect("the first is due");
        assert_eq!(look.jobs.len(), 3, "the others are due almost now");
        assert_eq!(poller.take(100, at(1000)), None, "all are out");
        poller.looked();
        poller.seen(0, 0, at(1000));
        poller.unlisted(1, at(1000));
        poller.unwatch(2);
        assert_eq!(poller.take(100, at(1000)), Some(Look { jobs: vec![(1, job("b"))] }));
        // Without a list every job has its own call.
        poller.looked();
        poller.seen(1, 0, at(1000));
        poller.watch(3, job("d"), None, None, at(1000));
        let (first, second) = (poller.take(1, at(2000)), poller.take(1, at(2000)));
        assert!([first, second].iter().all(|look| look.as_ref().is_some_and(|look| look.jobs.len() == 1)));
    }

    #[test]
    fn a_job_that_is_missing_is_counted_until_it_is_seen() {
        let mut poller = Poller::default();
        poller.watch(0, job("a"), None, None, at(0));
        assert_eq!((poller.missing(0, 0, at(0)), poller.missing(0, 0, at(0))), (1, 2));
        poller.seen(0, 0, at(0));
        assert_eq!(poller.missing(0, 0, at(0)), 1);
        assert_eq!(poller.missing(9, 0, at(0)), 0, "what is not watched is not counted");
    }

    #[test]
    fn word_from_outside_brings_the_next_look_forward_and_no_flood_of_it_brings_more() {
        let mut poller = Poller::default();
        poller.watch(0, job("a"), Some(Duration::from_mins(1)), None, at(0));
        assert!(!poller.hint(&JobHandle("b".to_owned()), at(10)), "nobody watches it");
        assert!(poller.hint(&JobHandle("a".to_owned()), at(10)));
        assert_eq!(poller.next_due(), Some(at(10)));
        poller.take(1, at(10)).expect("it is due");
        // Word that comes while it is looked at: the look may have shown what was before.
        assert!(poller.hint(&JobHandle("a".to_owned()), at(20)));
        poller.looked();
        poller.seen(0, 0, at(30));
        assert_eq!(poller.next_due(), Some(at(1010)), "but a second after the last look at the earliest");
        for _ in 0..100 {
            poller.hint(&JobHandle("a".to_owned()), at(40));
        }
        assert_eq!(poller.next_due(), Some(at(1010)));
        poller.unwatch(0);
        assert!(!poller.hint(&JobHandle("a".to_owned()), at(50)));
    }
}
