//! What a plan costs and how long it takes, as far as anybody says: a contract's published cost, else the step's `estimate`.
//!
//! What nobody says is unknown, never zero: a sum carries how many of its parts are missing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Plan, StepIx, Work,
    count::{self, Runs},
    preview::known_scope,
};
use crate::{contract::Contract, job::TargetKind, spec::Estimate};

/// A sum of credits, as far as they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Credits {
    /// The sum of what is known.
    pub known: f64,
    /// How many jobs' credits are not known.
    pub unknown_jobs: u32,
}

/// Returns the credits of one job of a target.
pub(super) fn credits(contract: &Contract, estimate: Option<Estimate>) -> Option<f64> {
    contract.cost.or_else(|| estimate?.credits).filter(|credits| credits.is_finite())
}

impl Credits {
    /// Returns the sum with one more job.
    fn and(self, credits: Option<f64>) -> Self {
        match credits {
            Some(credits) => Self { known: self.known + credits, ..self },
            None => Self { unknown_jobs: self.unknown_jobs + 1, ..self },
        }
    }
}

/// Returns what all jobs of a plan cost together, if every step runs that may, and nothing is tried twice. Of a fan-out whose items are not known, one
/// job of unknown cost stands for all.
#[must_use]
pub fn total(plan: &Plan) -> Credits {
    jobs(plan).into_iter().fold(Credits::default(), |sum, (_, credits)| sum.and(credits))
}

/// Returns what the jobs of each provider cost together, by its alias, in the same way.
#[must_use]
pub fn by_provider(plan: &Plan) -> BTreeMap<&str, Credits> {
    jobs(plan).into_iter().fold(BTreeMap::new(), |mut sums, (provider, credits)| {
        let sum: &mut Credits = sums.entry(provider).or_default();
        *sum = sum.and(credits);
        sums
    })
}

/// Returns the provider and the credits of what each step costs that is counted. What no API counts in credits is not unknown: agents and
/// pipelines count as calls, and requests as nothing.
fn jobs(plan: &Plan) -> Vec<(&str, Option<f64>)> {
    let scope = known_scope(plan);
    let mut jobs = Vec::new();
    let runs = count::runs(plan, &scope);
    for (step, _) in plan.steps().iter().zip(runs).filter(|(_, runs)| *runs != Runs::Never) {
        let own: Vec<(&str, Option<f64>)> = match &step.work {
            Work::Run { provider, contract, .. } => {
                let paid = matches!(contract.contract().target.kind, TargetKind::Model | TargetKind::App);
                (paid || step.credits.is_some()).then_some((provider.as_str(), step.credits)).into_iter().collect()
            }
            Work::Set(_) => Vec::new(),
            Work::Workflow { plan, .. } => self::jobs(plan),
        };
        if step.fan_out.is_none() {
            jobs.extend(own);
            continue;
        }
        let items = count::items(plan, step, &scope);
        #[expect(clippy::cast_precision_loss, reason = "a fan-out has few items")]
        jobs.extend(
            own.into_iter().map(|(provider, credits)| (provider, credits.zip(items).map(|(one, n)| one * n as f64))),
        );
    }
    jobs
}

/// Returns how long the plan takes if all of a wave runs at once, and whether that is known of every step on the longest path.
pub(super) fn duration(plan: &Plan, seconds: &dyn Fn(StepIx) -> Option<f64>) -> Option<f64> {
    let path = plan.critical_path(|step| seconds(step).unwrap_or_default());
    let known: Vec<_> = path.iter().filter_map(|step| seconds(*step)).collect();
    (!known.is_empty()).then(|| known.iter().sum())
}
