//! What was exercised, counted: so that a reader sees that what is promised to be survived does happen.

use std::{collections::BTreeMap, fmt};

use dagwood::{journal::event::Event, result::ErrorKind};

use super::schedule::Story;

/// Counts over any number of schedules.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    seeds: u64,
    steps: u64,
    counts: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts one seed with a workflow of so many steps.
    pub(super) fn of_seed(steps: usize) -> Self {
        Self { seeds: 1, steps: steps as u64, ..Self::default() }
    }

    /// Counts what happened in a run.
    pub(super) fn count(&mut self, story: &Story) {
        let mut note = |what: &str, count: u64| {
            if count > 0 {
                *self.counts.entry(what.to_owned()).or_default() += count;
            }
        };
        note("schedules", 1);
        note("records", story.records.len() as u64);
        note("crashes", story.crashes);
        note("records forgotten in crashes", story.forgotten);
        note("signals", story.signals);
        note("jumps of the clock", story.jumps);
        for truth in story.truths.values() {
            note("jobs accepted", truth.jobs.iter().filter(|job| job.key.is_some()).count() as u64);
            for (fault, count) in &truth.faults {
                note(&format!("fault: {fault}"), *count);
            }
        }
        for record in &story.records {
            match &record.event {
                Event::SubmitSettled { how, .. } => note(&format!("settled: {how:?}"), 1),
                Event::StepFailed { error, .. } if error.kind == ErrorKind::SubmitUnknown => note("submits unknown", 1),
                Event::StepFailed { error, .. } if error.kind == ErrorKind::BudgetExceeded => {
                    note("budgets exceeded", 1);
                }
                Event::StepCancelled { .. } => note("steps cancelled", 1),
                Event::StepSucceeded { step, .. } if step.as_str().contains('.') => note("nested steps done", 1),
                Event::RetryScheduled { .. } => note("retries", 1),
                Event::RunFinished { status, .. } => note(&format!("ended: {}", status.as_str()), 1),
                _ => {}
            }
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.steps += other.steps;
        for (what, count) in &other.counts {
            *self.counts.entry(what.clone()).or_default() += count;
        }
    }

    fn of(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or_default()
    }

    /// Fails unless everything happened that the simulator is for.
    pub(super) fn is_lively(&self) {
        for what in [
            "jobs accepted",
            "nested steps done",
            "crashes",
            "records forgotten in crashes",
            "jumps of the clock",
            "signals",
            "settled: SameKey",
            "settled: List",
            "settled: Absent",
            "submits unknown",
            "budgets exceeded",
        ] {
            assert!(self.of(what) > 0, "`{what}` never happened:\n{self}");
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} seeds, {} steps", self.seeds, self.steps)?;
        self.counts.iter().try_for_each(|(what, count)| write!(f, "\n{count:>9}  {what}"))
    }
}
