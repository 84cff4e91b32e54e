//! The queues that `run/decide.rs` reads: what is to be done next, without a scan of the steps.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use jiff::Timestamp;

use super::{FrameIndex, Phase, StepIndex, StepState};
use crate::id::Digest;

/// The queues that `decide` reads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Agenda {
    /// Steps with nothing left to wait for, not yet judged.
    pub judge: BTreeSet<StepIndex>,
    /// Steps that may start, by provider, the longest remaining path first.
    pub ready: BTreeMap<String, BTreeSet<(Reverse<u64>, StepIndex)>>,
    /// Submits to send again, by time.
    pub due: BTreeSet<(Timestamp, StepIndex)>,
    /// Submits of which it is to be found out whether they were accepted, by time. Each holds a slot.
    pub unsettled: BTreeSet<(Timestamp, StepIndex)>,
    /// Steps whose submit is unanswered.
    pub submitting: BTreeSet<StepIndex>,
    /// Steps whose job runs.
    pub running: BTreeSet<StepIndex>,
    /// Steps whose job is over, to be concluded.
    pub ended: BTreeSet<StepIndex>,
    /// Fan-outs with items that have not begun, the longest remaining path first.
    pub fan_outs: BTreeSet<(Reverse<u64>, StepIndex)>,
    /// Steps whose parts are all over.
    pub collect: BTreeSet<StepIndex>,
    /// When the `timeout` of each workflow passes.
    pub timeouts: BTreeSet<(Timestamp, FrameIndex)>,
    /// Submits that an API could not tell apart, as far as they are not answered.
    pub(super) classes: BTreeMap<Digest, Class>,
    /// How many jobs hold a slot, by provider.
    held: BTreeMap<String, usize>,
    /// How many submits are not answered, by provider.
    unanswered: BTreeMap<String, usize>,
    /// How many jobs hold a slot.
    in_flight: usize,
}

/// The submits of one class that are not answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Class {
    /// How many are under way.
    pub sending: usize,
    /// How many may have been accepted, though no answer came.
    pub unsettled: usize,
}

impl Agenda {
    /// Takes a step out of every queue and count; it is put back with [`Agenda::enter`] when it has changed.
    pub(super) fn leave(&mut self, ix: StepIndex, step: &StepState) {
        match step.phase {
            Phase::Waiting => {
                self.judge.remove(&ix);
            }
            Phase::Ready => {
                if let Some(queue) = self.ready.get_mut(provider(step)) {
                    queue.remove(&(Reverse(step.brief.rank), ix));
                }
            }
            Phase::Retrying => {
                if let Some(due) = step.due_at {
                    self.resends(step).remove(&(due, ix));
                }
            }
            Phase::Submitting => {
                self.submitting.remove(&ix);
            }
            Phase::Running => {
                self.running.remove(&ix);
            }
            Phase::Ended => {
                self.ended.remove(&ix);
            }
            Phase::Expanded => {
                self.fan_outs.remove(&(Reverse(step.brief.rank), ix));
                self.collect.remove(&ix);
            }
            Phase::Nested => {
                self.collect.remove(&ix);
            }
            Phase::Over(_) => {}
        }
        if step.holds_slot() {
            self.in_flight -= 1;
            *entry(&mut self.held, provider(step)) -= 1;
        }
        if step.is_unanswered() {
            *entry(&mut self.unanswered, provider(step)) -= 1;
            if let Some(class) = step.class
                && let Some(counts) = self.classes.get_mut(&class)
            {
                *counts.of(step) -= 1;
                if *counts == Class::default() {
                    self.classes.remove(&class);
                }
            }
        }
    }

    /// Puts a step into the queue and the counts of its phase.
    pub(super) fn enter(&mut self, ix: StepIndex, step: &StepState) {
        match step.phase {
            Phase::Waiting => self.enter_waiting(ix, step),
            Phase::Ready => {
                entry(&mut self.ready, provider(step)).insert((Reverse(step.brief.rank), ix));
            }
            Phase::Retrying => {
                if let Some(due) = step.due_at {
                    self.resends(step).insert((due, ix));
                }
            }
            Phase::Submitting => {
                self.submitting.insert(ix);
            }
            Phase::Running => {
                self.running.insert(ix);
            }
            Phase::Ended => {
                self.ended.insert(ix);
            }
            Phase::Expanded => {
                if let Some(items) = &step.fan_out {
                    if !items.is_exhausted() {
                        self.fan_outs.insert((Reverse(step.brief.rank), ix));
                    } else if items.is_over() {
                        self.collect.insert(ix);
                    }
                }
            }
            // It is put up when the last of its steps is over.
            Phase::Nested | Phase::Over(_) => {}
        }
        if step.holds_slot() {
            self.in_flight += 1;
            *entry(&mut self.held, provider(step)) += 1;
        }
        if step.is_unanswered() {
            *entry(&mut self.unanswered, provider(step)) += 1;
            if let Some(class) = step.class {
                *self.classes.entry(class).or_default().of(step) += 1;
            }
        }
    }

    /// Puts a step up for judging that waits for nothing more.
    pub(super) fn enter_waiting(&mut self, ix: StepIndex, step: &StepState) {
        if step.phase == Phase::Waiting && step.unmet == 0 && !step.held {
            self.judge.insert(ix);
        }
    }

    /// Returns the queue of a step whose submit was put off.
    fn resends(&mut self, step: &StepState) -> &mut BTreeSet<(Timestamp, StepIndex)> {
        if step.unsettled { &mut self.unsettled } else { &mut self.due }
    }

    /// Returns the submits of a class that are not answered.
    #[must_use]
    pub fn class(&self, class: &Digest) -> Class {
        self.classes.get(class).cloned().unwrap_or_default()
    }

    /// Returns how many jobs hold a slot: submits that are under way or unsettled, jobs that run, results being saved.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Returns how many of those are a provider's.
    #[must_use]
    pub fn in_flight_at(&self, provider: &str) -> usize {
        self.held.get(provider).copied().unwrap_or_default()
    }

    /// Returns how many submits of a provider are not answered.
    #[must_use]
    pub fn unanswered_at(&self, provider: &str) -> usize {
        self.unanswered.get(provider).copied().unwrap_or_default()
    }
}

impl Class {
    /// Returns the count that an unanswered step belongs to.
    fn of(&mut self, step: &StepState) -> &mut usize {
        if step.phase == Phase::Submitting { &mut self.sending } else { &mut self.unsettled }
    }
}

fn provider(step: &StepState) -> &str {
    step.brief.provider.as_deref().unwrap_or_default()
}

/// Returns the entry of a name, which is copied only when it is new.
fn entry<'a, T: Default>(map: &'a mut BTreeMap<String, T>, name: &str) -> &'a mut T {
    if !map.contains_key(name) {
        map.insert(name.to_owned(), T::default());
    }
    map.get_mut(name).expect("it was just put there")
}
