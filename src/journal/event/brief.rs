//! What the journal says of each step before it runs: enough to go on with the run without its file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::is_default;
use crate::{
    id::{Digest, StepPath},
    plan::{FailurePolicy, Trigger},
    result::ErrorKind,
};

/// What a reader of the journal needs to know of a workflow that a step runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowBrief {
    /// Its file, as people know it.
    pub file: String,
    /// What happens after a failure.
    #[serde(default, skip_serializing_if = "is_default")]
    pub failure_policy: FailurePolicy,
    /// The bound on all but `finally`, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Its steps; `needs` are positions in this list, and `step` is the id alone.
    pub steps: Vec<StepBrief>,
}

/// What a reader of the journal needs to know of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepBrief {
    /// The step.
    #[schemars(with = "String")]
    pub step: StepPath,
    /// The verb: `model`, `app`, `set`, …
    pub verb: String,
    /// The target as the workflow names it; empty for a `set`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// Alias of the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The positions in this list of the steps that it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<u32>,
    /// Which goes first when slots are scarce: the longest remaining path, in milliseconds.
    pub rank: u64,
    /// What it is expected to cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credits: Option<f64>,
    /// How long it is expected to take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// The digest of its definition and of the data that is known before the run: a step whose digest changed is run anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub definition: Option<Digest>,
    /// Whether it stands in `finally`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub finally: bool,
    /// What must hold of the steps that it waits for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub trigger: Trigger,
    /// Whether its failure counts as handled (`on_error: continue`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub handles: bool,
    /// Which failures make another attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryBrief>,
    /// What is tried when it has failed for good, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<FallbackBrief>,
    /// How it runs for items, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fan_out: Option<FanOutBrief>,
    /// The workflow that it runs: a position in the run's `workflows`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<u32>,
    /// The bound on a workflow that it runs, in milliseconds, where one is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

impl StepBrief {
    /// Says whether the step consists of others: of items, or of the steps of a workflow.
    #[must_use]
    pub fn has_parts(&self) -> bool {
        self.fan_out.is_some() || self.workflow.is_some()
    }

    /// Returns what is known of a step of which nothing is known but its name and verb.
    #[must_use]
    pub fn bare(step: StepPath, verb: &str) -> Self {
        Self {
            step,
            verb: verb.to_owned(),
            target: String::new(),
            provider: None,
            needs: Vec::new(),
            rank: 0,
            credits: None,
            seconds: None,
            definition: None,
            finally: false,
            trigger: Trigger::default(),
            handles: false,
            retry: None,
            fallback: Vec::new(),
            fan_out: None,
            workflow: None,
            timeout_ms: None,
        }
    }

    /// Returns what is known of the step when it has come to an entry of its `fallback`, from 1.
    #[must_use]
    pub fn fallen_back(&self, entry: u32) -> Self {
        let mut brief = self.clone();
        let place = usize::try_from(entry).unwrap_or(usize::MAX).wrapping_sub(1);
        if let Some(FallbackBrief { verb, target, provider, credits, seconds, workflow }) = self.fallback.get(place) {
            (brief.verb, brief.target, brief.provider) = (verb.clone(), target.clone(), provider.clone());
            (brief.credits, brief.seconds, brief.workflow) = (*credits, *seconds, *workflow);
        }
        brief
    }
}

/// Which failures of a step make another attempt, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RetryBrief {
    /// The most attempts.
    pub attempts: u32,
    /// The kinds of failures.
    pub on: Vec<ErrorKind>,
    /// The first wait, in milliseconds.
    pub initial_ms: u64,
    /// By how much each wait is longer than the one before.
    pub factor: f64,
    /// The longest wait, in milliseconds.
    pub max_ms: u64,
}

/// What stands in for a step that has failed for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FallbackBrief {
    /// As of the step.
    pub verb: String,
    /// As of the step.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// As of the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// As of the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credits: Option<f64>,
    /// As of the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// As of the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<u32>,
}

/// How a step runs for items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FanOutBrief {
    /// The most items in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
}
