//! A run as data: `show --format json` gives a [`RunReport`], `runs --format json` a list of them without their `detail`.
//!
//! `schemas/run.schema.json` is generated from these types. Adding a field is compatible, removing or renaming one is not.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::steps;
use crate::{
    journal::{
        event::{CancelSource, RunStatus, SkipReason},
        state::{Phase, RunState, StepState},
    },
    result::{JobFacts, SavedFile, StepError, StepStatus},
};

/// A run: how it stands or ended, and, where one run is asked for, all of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunReport {
    /// The run's id.
    pub run: String,
    /// The workflow's name.
    pub workflow: String,
    /// The file, as it was named.
    pub file: String,
    /// How it stands or ended.
    pub status: RunStatus,
    /// Whether a process works on it, where that was asked: a run that is `running` and not live was interrupted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<bool>,
    /// When it began.
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub finished_at: Option<Timestamp>,
    /// Credits of accepted jobs, less those of failed ones.
    pub credits: f64,
    /// Submits that an API accepted.
    pub jobs: u64,
    /// Whether it ran against the emulator.
    pub sandbox: bool,
    /// The workflow's labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// All of it.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<RunDetail>,
}

/// What a list of runs leaves out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunDetail {
    /// The digest of text, inputs and contracts.
    pub plan: String,
    /// The inputs with defaults; secret ones are `{"$secret": DIGEST}`.
    pub inputs: Map<String, Value>,
    /// The workflow's outputs; of a run that succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Map<String, Value>>,
    /// Why it failed where no step did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<StepError>,
    /// Who wanted it to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_by: Option<CancelSource>,
    /// The steps, in the file's order.
    pub steps: Vec<StepReport>,
    /// What was odd and did no harm, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<WarningReport>,
}

/// Where a step stands, or how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepStand {
    /// It waits for other steps, or for a slot.
    Waiting,
    /// It is under way.
    Running,
    /// With a result.
    Succeeded,
    /// Without one.
    Failed,
    /// It was not to run.
    Skipped,
    /// It was called off.
    Cancelled,
}

impl StepStand {
    /// Returns where a phase stands.
    #[must_use]
    pub fn of(phase: Phase) -> Self {
        match phase {
            Phase::Waiting | Phase::Ready => Self::Waiting,
            Phase::Submitting | Phase::Retrying | Phase::Running | Phase::Ended | Phase::Expanded | Phase::Nested => {
                Self::Running
            }
            Phase::Over(StepStatus::Succeeded) => Self::Succeeded,
            Phase::Over(StepStatus::Failed) => Self::Failed,
            Phase::Over(StepStatus::Skipped) => Self::Skipped,
            Phase::Over(StepStatus::Cancelled) => Self::Cancelled,
        }
    }

    /// Returns the word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A step of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepReport {
    /// The step's path.
    pub step: String,
    /// The verb: `model`, `app`, `set`, …
    pub verb: String,
    /// The target as the workflow names it; empty for a `set`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// Alias of the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The steps that it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// Where it stands, or how it ended.
    pub status: StepStand,
    /// Which attempt it is at, or was last at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// When its first submit was intended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub started_at: Option<Timestamp>,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub ended_at: Option<Timestamp>,
    /// How long it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// The job behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobFacts>,
    /// What came out, by node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Map<String, Value>>,
    /// What `save` wrote.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<SavedFile>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<StepError>,
    /// Whether the failure counts as handled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub handled: bool,
    /// Whether its result is that of an equal submit of before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cached: bool,
    /// Why it was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<SkipReason>,
    /// The entry of `fallback` that it has come to, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<u32>,
    /// How many items it runs for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Its items that have begun, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<StepReport>,
    /// The steps of the workflow that it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepReport>,
}

/// A warning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WarningReport {
    /// The step that it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// For people.
    pub message: String,
}

impl RunReport {
    /// Reports all of a run.
    #[must_use]
    pub fn of(state: &RunState) -> Self {
        let start = &state.start;
        Self {
            run: state.run.to_string(),
            workflow: start.workflow.clone(),
            file: start.file.clone(),
            status: state.status,
            live: None,
            started_at: state.started_at,
            finished_at: state.finished_at,
            credits: state.credits(),
            jobs: state.submitted(),
            sandbox: start.sandbox,
            labels: start.labels.clone(),
            detail: Some(RunDetail {
                plan: start.plan.to_string(),
                inputs: start.inputs.clone(),
                outputs: state.outputs.clone(),
                error: state.error.clone(),
                cancelled_by: state.cancelled_by,
                steps: state.own().iter().map(|step| step_report(step, state)).collect(),
                warnings: state
                    .warnings
                    .iter()
                    .map(|(step, message)| WarningReport {
                        step: step.as_ref().map(ToString::to_string),
                        message: message.clone(),
                    })
                    .collect(),
            }),
        }
    }
}

fn step_report(step: &StepState, state: &RunState) -> StepReport {
    let brief = &step.brief;
    let base = state.frame_of(step).base;
    let parts = |parts: &[crate::journal::state::StepIndex]| -> Vec<StepReport> {
        parts.iter().map(|&part| step_report(state.step(part), state)).collect()
    };
    let nested: Vec<_> = step
        .nested
        .map(|frame| &state.frames[frame as usize])
        .map_or_else(Vec::new, |frame| (frame.base..frame.base + frame.len).collect());
    StepReport {
        step: step.path.to_string(),
        verb: brief.verb.clone(),
        target: brief.target.clone(),
        provider: brief.provider.clone(),
        needs: brief.needs.iter().map(|&need| state.step(base + need).path.to_string()).collect(),
        status: StepStand::of(step.phase),
        attempt: step.attempt.map(|attempt| attempt.0),
        started_at: step.began_at,
        ended_at: step.ended_at,
        seconds: steps::took(step, None).map(|took| took.as_secs_f64()),
        job: step.job.clone(),
        outputs: step.outputs.as_deref().cloned(),
        files: step.files.clone(),
        error: step.error.clone(),
        handled: step.handled,
        cached: step.cached,
        skipped: step.skipped.clone(),
        fallback: Some(step.fallback).filter(|entry| *entry > 0),
        count: step.fan_out.as_ref().map(|items| items.len),
        items: step.fan_out.as_ref().map(|items| parts(&items.begun)).unwrap_or_default(),
        steps: parts(&nested),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::{diamond, failing, fold, unknown};

    #[test]
    fn a_report_comes_back_whole_with_and_without_its_detail() {
        for records in [diamond(), failing(), unknown(), diamond()[..6].to_vec()] {
            let mut report = RunReport::of(&fold(&records));
            let json = serde_json::to_value(&report).expect("JSON");
            assert_eq!(serde_json::from_value::<RunReport>(json.clone()).expect("a report"), report);
            assert_eq!(json["steps"][0]["step"], "render");
            report.detail = None;
            let json = serde_json::to_value(&report).expect("JSON");
            assert!(json.get("steps").is_none());
            assert_eq!(serde_json::from_value::<RunReport>(json).expect("a report"), report);
        }
    }
}
