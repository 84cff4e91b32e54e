//! What a plan costs and how long it takes, as far as anybody says: a contract's published cost, else the step's `estimate`.
//!
//! What nobody says is unknown, never zero: a sum carries how many of its parts are missing.

use serde::{Deserialize, Serialize};

use super::{Plan, StepIx, Work};
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

/// Returns what all jobs of a plan cost together, if every step runs.
#[must_use]
pub fn total(plan: &Plan) -> Credits {
    // What no API counts in credits is not unknown: agents and pipelines count as calls, and requests as nothing.
    let counts = |step: &&super::PlannedStep| match &step.work {
        Work::Run { contract, .. } => {
            matches!(contract.contract().target.kind, TargetKind::Model | TargetKind::App) || step.credits.is_some()
        }
        Work::Set(_) => true,
    };
    plan.steps().iter().filter(counts).fold(Credits::default(), |sum, step| match step.credits {
        Some(credits) => Credits { known: sum.known + credits, ..sum },
        None => Credits { unknown_jobs: sum.unknown_jobs + 1, ..sum },
    })
}

/// Returns how long the plan takes if all of a wave runs at once, and whether that is known of every step on the longest path.
pub(super) fn duration(plan: &Plan, seconds: &dyn Fn(StepIx) -> Option<f64>) -> Option<f64> {
    let path = plan.critical_path(|step| seconds(step).unwrap_or_default());
    let known: Vec<_> = path.iter().filter_map(|step| seconds(*step)).collect();
    (!known.is_empty()).then(|| known.iter().sum())
}
