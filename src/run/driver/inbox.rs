//! What comes to a run from outside: signals, and word that a job has changed.
//!
//! Word from outside is a hint and never a fact: the job is looked at, as soon as the rate allows, and what the look shows counts. So word
//! that comes twice, is forged, or comes late changes nothing. Word of a job that is not known yet is kept for a while, since it may come before
//! the answer to the submit does.

use std::{collections::VecDeque, time::Duration};

use jiff::Timestamp;

use super::{Driver, Signal};
use crate::{
    job::JobHandle,
    journal::{event::CancelSource, event::Event, state::StepIndex},
    run::decide::later,
};

/// What is handed to a run while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It is to end.
    Signal(Signal),
    /// A job has changed, somebody says.
    Observation(Observation),
}

/// Word from outside that a job has changed: from a webhook, say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Alias of the provider.
    pub provider: String,
    /// The job.
    pub job: JobHandle,
}

/// How long word of an unknown job is kept: an answer to a submit takes longer than a webhook only by seconds.
const KEPT: Duration = Duration::from_secs(30);

/// The most words that are kept; whoever sends more is no API of ours.
const MOST_KEPT: usize = 1000;

/// Word of jobs that are not known yet.
#[derive(Debug, Default)]
pub(super) struct Early(VecDeque<(Timestamp, Observation)>);

impl Early {
    fn keep(&mut self, until: Timestamp, observation: Observation) {
        if self.0.len() == MOST_KEPT {
            self.0.pop_front();
        }
        self.0.push_back((until, observation));
    }

    /// Takes the word of a job, if there was one; drops what is too old.
    fn take(&mut self, provider: &str, job: &JobHandle, now: Timestamp) -> bool {
        while self.0.front().is_some_and(|&(until, _)| until <= now) {
            self.0.pop_front();
        }
        let is_it = |(_, word): &(Timestamp, Observation)| word.provider == provider && word.job == *job;
        let Some(place) = self.0.iter().position(is_it) else { return false };
        self.0.remove(place);
        true
    }
}

impl Driver {
    pub(super) fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Signal(signal) => self.cancel(match signal {
                Signal::Interrupt => CancelSource::Interrupt,
                Signal::Terminate => CancelSource::Terminate,
                Signal::Cancel => CancelSource::Caller,
            }),
            Notice::Observation(observation) => self.hint(observation),
        }
    }

    fn hint(&mut self, observation: Observation) {
        let now = self.world.now();
        let Some(lane) = self.lanes.get_mut(&observation.provider) else { return };
        if !lane.poller.hint(&observation.job, now) {
            self.early.keep(later(now, KEPT), observation);
        }
    }

    /// Looks at a job soon of which word came before it was known.
    pub(super) fn take_early(&mut self, ix: StepIndex, job: &JobHandle) {
        let now = self.world.now();
        let name = self.lane_name(ix).expect("a step with a job has a provider");
        if self.early.take(&name, job, now) {
            self.lane(ix).poller.hint(job, now);
        }
    }

    /// Ends the run as soon as that can be done well.
    pub(super) fn cancel(&mut self, by: CancelSource) {
        if self.cancelled_at.is_some() {
            return;
        }
        self.cancelled_at = Some(self.world.now());
        self.record(Event::CancelRequested { by, workflow: None, detach: self.detach });
        self.drop_fence();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn early_word_is_kept_for_a_while_and_within_bounds() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let word = |job: &str| Observation { provider: "armox".to_owned(), job: JobHandle(job.to_owned()) };
        let mut early = Early::default();
        early.keep(at(30), word("a"));
        early.keep(at(40), word("b"));
        assert!(!early.take("airmy", &JobHandle("b".to_owned()), at(10)), "of another account");
        assert!(!early.take("armox", &JobHandle("a".to_owned()), at(30)), "too old");
        assert!(early.take("armox", &JobHandle("b".to_owned()), at(30)));
        for number in 0..2 * MOST_KEPT {
            early.keep(at(50), word(&number.to_string()));
        }
        assert_eq!(early.0.len(), MOST_KEPT);
    }
}
