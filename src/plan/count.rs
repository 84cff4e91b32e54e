//! How many requests that start jobs a run may send: known, bounded, or unknown.
//!
//! Counted is what the workflow asks for, retries and fallbacks included as what may come; what the transport sends again is not counted,
//! since it makes no second job.

use serde::{Deserialize, Serialize};

use super::{
    Plan, PlannedStep, Trigger, Work,
    preview::{known_scope, verdict},
};
use crate::template::{Scope, Template};

/// How many requests there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Requests {
    /// At least so many, where nothing fails.
    pub least: u64,
    /// At most so many; null where nobody knows before the run.
    pub most: Option<u64>,
}

impl Requests {
    /// Returns a number that is known.
    #[must_use]
    pub fn exactly(count: u64) -> Self {
        Self { least: count, most: Some(count) }
    }

    /// Says whether the number is known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.most == Some(self.least)
    }

    fn and(self, other: Self) -> Self {
        let most = self.most.zip(other.most).map(|(a, b)| a.saturating_add(b));
        Self { least: self.least.saturating_add(other.least), most }
    }

    fn times(self, count: Option<u64>) -> Self {
        match count {
            Some(count) => {
                Self { least: self.least.saturating_mul(count), most: self.most.map(|most| most.saturating_mul(count)) }
            }
            // None at all, or any number of some; none of none.
            None => Self { least: 0, most: self.most.filter(|most| *most == 0) },
        }
    }
}

/// Whether a step runs where nothing fails, as far as that is known before the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runs {
    /// It does.
    Surely,
    /// What its `when` reads, or that of a step that it needs, is not known yet.
    Perhaps,
    /// It is skipped.
    Never,
}

/// Says of each step of a plan, by its index, whether it runs where nothing fails.
pub(super) fn runs(plan: &Plan, scope: &Scope) -> Vec<Runs> {
    let mut known = vec![Runs::Surely; plan.steps().len()];
    for &ix in plan.order() {
        let step = plan.step(ix);
        let needed = || plan.needs(ix).map(|needed| known[needed.index()]);
        let any = |runs: Runs| needed().any(|needed| needed == runs);
        let by_needs = match step.trigger {
            Trigger::AllSucceeded if !step.finally => [Runs::Never, Runs::Perhaps].into_iter().find(|runs| any(*runs)),
            Trigger::AnySucceeded if !step.finally => {
                [Runs::Surely, Runs::Perhaps, Runs::Never].into_iter().find(|runs| any(*runs))
            }
            _ => None,
        };
        // Without steps that it needs, nothing keeps it.
        let by_needs = by_needs.unwrap_or(Runs::Surely);
        // A step of which each item is asked for itself runs, though perhaps for none of them.
        let per_item = step.fan_out.as_ref().is_some_and(|fan_out| fan_out.when_per_item);
        let by_when = match step.when.as_ref().filter(|_| !per_item).map(|when| verdict(plan, when, scope)) {
            None | Some(Some(true)) => Runs::Surely,
            Some(None) => Runs::Perhaps,
            Some(Some(false)) => Runs::Never,
        };
        known[ix.index()] = match (by_needs, by_when) {
            (Runs::Never, _) | (_, Runs::Never) => Runs::Never,
            (Runs::Surely, Runs::Surely) => Runs::Surely,
            _ => Runs::Perhaps,
        };
    }
    known
}

/// Returns how many requests that start jobs a run of a plan may send.
#[must_use]
pub fn requests(plan: &Plan) -> Requests {
    let scope = known_scope(plan);
    let runs = runs(plan, &scope);
    let mut sum = Requests::exactly(0);
    for (step, runs) in plan.steps().iter().zip(runs) {
        let mut own = of_step(plan, step, &scope);
        match runs {
            Runs::Never => continue,
            Runs::Perhaps => own.least = 0,
            Runs::Surely => {}
        }
        sum = sum.and(own);
    }
    sum
}

fn of_step(plan: &Plan, step: &PlannedStep, scope: &Scope) -> Requests {
    let retries = u64::from(step.retry.as_ref().map_or(1, |retry| retry.attempts));
    let mut own = of_work(&step.work);
    // Another attempt comes only after a failure.
    own.most = own.most.map(|most| most.saturating_mul(retries));
    for entry in &step.fallback {
        let more = of_work(&entry.work);
        own.most = own.most.zip(more.most).map(|(a, b)| a.saturating_add(b.saturating_mul(retries)));
    }
    if step.cache.is_some() {
        own.least = 0;
    }
    match &step.fan_out {
        Some(fan_out) => {
            let mut all = own.times(items(plan, step, scope));
            if fan_out.when_per_item {
                all.least = 0;
            }
            all
        }
        None => own,
    }
}

/// Returns for how many items a step runs, where that is known before the run.
#[must_use]
pub fn known_items(plan: &Plan, step: &PlannedStep) -> Option<u64> {
    items(plan, step, &known_scope(plan))
}

/// Returns for how many items a step runs, where that is known.
#[must_use]
pub fn items(plan: &Plan, step: &PlannedStep, scope: &Scope) -> Option<u64> {
    let is_known = |template: &Template| template.references().iter().all(|reference| plan.knows(reference));
    let count = step.fan_out.as_ref()?.count(scope, &is_known)?;
    u64::try_from(count).ok()
}

fn of_work(work: &Work) -> Requests {
    match work {
        Work::Run { .. } => Requests::exactly(1),
        Work::Set(_) => Requests::exactly(0),
        Work::Workflow { plan, .. } => requests(plan),
    }
}
