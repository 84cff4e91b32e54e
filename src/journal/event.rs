//! Records and events: what a run writes down, and the one vocabulary that the journal, the terminal, `--format json`, reports
//! and the fold read.
//!
//! Adding a field is compatible, removing or renaming one is not: `schemas/event.schema.json` is generated from these types, and
//! journals of earlier releases are read again. An intent is recorded before its effect, a result after it.

mod brief;
mod payload;
mod wire;

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::wire::{OptionalUnit, Unit, milliseconds, optional_milliseconds, optional_unit, unit};
pub use self::{
    brief::{FallbackBrief, FanOutBrief, RetryBrief, StepBrief, WorkflowBrief},
    payload::{INLINE_LIMIT, Payload},
};
use crate::{
    id::{Attempt, Digest, RunId, StepId, StepPath},
    job::{IdempotencyKey, JobHandle, JobState, Operation, Target},
    plan::{Budget, FailurePolicy, estimate::Credits},
    result::{JobFacts, SavedFile, StepError},
};

/// One line of a run's journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// From 1, without gaps.
    pub seq: u64,
    /// When, in milliseconds of UTC.
    #[serde(with = "milliseconds")]
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// The run.
    #[schemars(with = "String")]
    pub run: RunId,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The run began; everything that a reader needs to follow it is here.
    RunStarted(Box<RunStarted>),
    /// The run waits for its group, which another run holds.
    RunWaiting {
        /// The group's name.
        group: String,
        /// The run that holds it, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>")]
        holder: Option<RunId>,
    },
    /// The run goes on after it stopped, however it stopped: what had finished stays, failed and cancelled steps start again, and an
    /// intent without its answer is to be settled.
    RunResumed {},
    /// The run goes on with another text: the steps are these now.
    PlanChanged(Box<PlanChanged>),
    /// Nothing more is waited for: the step is to start as soon as a slot is free.
    StepReady {
        /// The step.
        #[serde(flatten, with = "unit")]
        #[schemars(with = "Unit")]
        step: StepPath,
        /// How its workflow ended; of a step of `finally`, which reads it from now on, whatever comes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ended: Option<Box<EndedAs>>,
    },
    /// The step runs once for each item of a list or map, which is known now.
    StepExpanded {
        /// The step.
        #[serde(flatten, with = "unit")]
        #[schemars(with = "Unit")]
        step: StepPath,
        /// How many items there are.
        count: u32,
        /// As of a step that is ready.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ended: Option<Box<EndedAs>>,
    },
    /// The step does not run.
    StepSkipped {
        /// The step.
        #[serde(flatten, with = "unit")]
        #[schemars(with = "Unit")]
        step: StepPath,
        /// Why not.
        why: SkipReason,
    },
    /// A submit is about to leave; on disk before its first byte does.
    SubmitIntended {
        /// The step.
        #[serde(flatten, with = "unit")]
        #[schemars(with = "Unit")]
        step: StepPath,
        /// Which attempt; the same when it is sent again because nothing had happened.
        attempt: Attempt,
        /// Alias of the provider.
        provider: String,
        /// The provider's base URL.
        base_url: String,
        /// What is to run.
        target: Target,
        /// The inputs as sent; a value whose template mentions a secret is `{"$secret": DIGEST}`.
        inputs: Map<String, Value>,
        /// What goes beside the inputs, in the same way.
        #[serde(default, skip_serializing_if = "Operation::is_empty")]
        operation: Box<Operation>,
        /// The key that goes with it where the API takes one.
        #[schemars(with = "String")]
        key: IdempotencyKey,
        /// What it shares with every submit that the API could not tell from it: base URL, target and inputs. Where a lost submit is looked
        /// for among the API's jobs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>")]
        class: Option<Digest>,
        /// What an equal submit of a later run would look for, where its result may be reused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cache: Option<Box<CacheKey>>,
        /// The time by the API's own clock, where an earlier answer told it.
        #[serde(default, with = "optional_milliseconds", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>")]
        server_at: Option<Timestamp>,
        /// The local files in its inputs; none are named by earlier releases.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        given: Vec<GivenFile>,
    },
    /// A local file was handed over to an API, once for its content.
    MediaUploaded {
        /// Alias of the provider.
        provider: String,
        /// The file's name, without folders.
        name: String,
        /// The digest of its content.
        #[schemars(with = "String")]
        digest: Digest,
        /// Its size.
        bytes: u64,
        /// What is in it, as a media type.
        content_type: String,
        /// What stands for it in inputs; of a URL, what comes before its query.
        reference: String,
    },
    /// The API accepted the submit.
    Submitted {
        /// The step.
        #[serde(flatten, with = "unit")]
        #[schemars(with = "Unit")]
        step: StepPath,
        /// Which attempt.
        attempt: Attempt,
        /// The job's id.
        job: JobHandle,
        /// How it stands.
        state: JobState,
        /// What it costs, as given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        credits_charged: Option<f64>,
        /// Where the API said that it can be seen, if it said so: a path or URL of its own origin.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        look_at: Option<String>,
    },
    /// A job changed.
    JobObserved {
        /// The step.
        #[serde(flatten, with = "unit")]
        #[schemars(with = "Unit")]
        step: StepPath,
        /// What is known of the job.
        job: JobFacts,
        /// What came out; with a completed job.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<Value>")]
        outputs: Option<Payload>,
        /// Why it failed, in the API's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// What may pass by itself is tried again: a submit only where nothing had happened, or where the same key settles whether it had. With
    /// `failed`, the attempt is over, and another one follows (`retry`), or what stands in for it (`fallback`).
    RetryScheduled {
        /// The step.
        #[serde(flatten, with = "unit")]
        #[schemars(with = "Unit")]
        step: StepPath,
        /// Which attempt goes on.
        attempt: Attempt,
        /// When.
        #[serde(with = "milliseconds")]
        #[schemars(with = "String")]
        due: Timestamp,
        /// Whether the API asked for the wait, so that it does not count towards the step's timeout.
        rate_limited: bool,
        /// Whether the API may have accepted the submit: it is sent again with the same key, which makes one job of both.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unsettled: bool,
        /// What went wrong.
        why: String,
        /// Why the attempt failed, where another job is to be submitted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failed: Option<StepError>,
        /// Which entry of `fallback` is tried next, from 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fallback: Option<u32>,
    },
    /// It is known what became of a submit whose answer had been lost.
    SubmitSettled {
        /// The step.
        #[serde(flatten, with = "unit")]
        #[schemars(with = "Unit")]
        step: StepPath,
        /// Which attempt.
        attempt: Attempt,
        /// How that was learned.
        how: SettledBy,
    },
    /// An API said that there were too many requests.
    RateLimited {
        /// Alias of the provider.
        provider: String,
        /// Until when nothing is sent to it.
        #[serde(with = "milliseconds")]
        #[schemars(with = "String")]
        until: Timestamp,
    },
    /// A medium is on disk.
    ArtifactSaved {
        /// The step.
        #[serde(flatten, with = "unit")]
        #[schemars(with = "Unit")]
        step: StepPath,
        /// The file.
        file: SavedFile,
    },
    /// The step has its result.
    StepSucceeded {
        /// The step.
        #[serde(flatten, with = "unit")]
        #[schemars(with = "Unit")]
        step: StepPath,
        /// What came out, where no job did it (`set`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<Value>")]
        outputs: Option<Payload>,
        /// Whether an earlier result was used.
        cached: bool,
        /// The run whose result was taken.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>")]
        of: Option<RunId>,
        /// The job behind a result that was taken.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        job: Option<Box<JobFacts>>,
        /// The files of a result that was taken.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        files: Vec<SavedFile>,
        /// The local files in the inputs of a submit that was not made, as an equal one had been made before.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        given: Vec<GivenFile>,
    },
    /// The step has none.
    StepFailed {
        /// The step.
        #[serde(flatten, with = "unit")]
        #[schemars(with = "Unit")]
        step: StepPath,
        /// Why.
        error: StepError,
        /// Whether the failure counts as handled.
        handled: bool,
    },
    /// The step was called off.
    StepCancelled {
        /// The step.
        #[serde(flatten, with = "unit")]
        #[schemars(with = "Unit")]
        step: StepPath,
        /// Whether the API confirmed that the job is cancelled, where there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confirmed: Option<bool>,
    },
    /// Somebody wants the run to end.
    CancelRequested {
        /// Who or what.
        by: CancelSource,
        /// The step whose workflow is to end, where it is not the run itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>")]
        workflow: Option<StepPath>,
        /// Whether its remote jobs are left running, for a resume.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        detach: bool,
    },
    /// Something is odd and does no harm.
    Warning {
        /// The step that it is about, if it is about one.
        #[serde(flatten, with = "optional_unit")]
        #[schemars(with = "OptionalUnit")]
        step: Option<StepPath>,
        /// For people.
        message: String,
    },
    /// The run is over.
    RunFinished {
        /// How it ended.
        status: RunStatus,
        /// The workflow's `outputs`; of a run that succeeded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outputs: Option<Map<String, Value>>,
        /// Why the run failed where no step did: an output's template.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<StepError>,
    },
}

/// A local file in the inputs of a step, as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GivenFile {
    /// Where it is.
    pub path: String,
    /// The digest of its content.
    #[schemars(with = "String")]
    pub digest: Digest,
}

/// The first event of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunStarted {
    /// The version of this format.
    pub format: u32,
    /// The workflow's name.
    pub workflow: String,
    /// The file, as it was named.
    pub file: String,
    /// The digest of text, inputs and contracts.
    #[schemars(with = "String")]
    pub plan: Digest,
    /// The workflow's labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The inputs with defaults; secret ones are `{"$secret": DIGEST}`.
    pub inputs: Map<String, Value>,
    /// Most jobs in flight.
    pub concurrency: u32,
    /// Whether it runs against the emulator.
    pub sandbox: bool,
    /// The digest of what the run was made from, which is kept beside the event; none in journals of the first release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub definition: Option<Digest>,
    /// What it may spend.
    #[serde(default, skip_serializing_if = "Limit::is_none")]
    pub budget: Limit,
    /// The group that no two runs hold at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The folder, or the place in a store, below which its files lie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<String>,
    /// The run whose results it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub of: Option<RunId>,
    /// What happens after a failure.
    #[serde(default, skip_serializing_if = "is_default")]
    pub failure_policy: FailurePolicy,
    /// The bound on all but `finally`, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// What its jobs cost together, as far as that was known before; none where only a part of the steps runs, and in older journals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credits: Option<Credits>,
    /// The steps, in the file's order; those of `finally` come last.
    pub steps: Vec<StepBrief>,
    /// The workflows that steps run, and those that their steps run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workflows: Vec<WorkflowBrief>,
}

/// How a workflow ended, but for `finally`: `run.status` and `run.failed_steps`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndedAs {
    /// How.
    pub status: RunStatus,
    /// The steps whose failure is not handled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_steps: Vec<StepId>,
}

/// What a run goes on with in place of what it started with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanChanged {
    /// The new first event of the run: its steps, inputs, digests.
    pub start: RunStarted,
    /// The steps that keep nothing of before: their definition or data changed, or those of a step that they need.
    #[schemars(with = "Vec<String>")]
    pub rerun: Vec<StepPath>,
}

/// The bound on what a run may spend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Limit {
    /// Most credits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credits: Option<f64>,
    /// Most tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
}

impl From<Budget> for Limit {
    fn from(Budget { credits, tokens }: Budget) -> Self {
        Self { credits, tokens }
    }
}

impl Limit {
    /// Says whether nothing is bounded.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.credits.is_none() && self.tokens.is_none()
    }
}

/// By what an equal submit finds an earlier result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CacheKey {
    /// The digest of all that counts.
    #[schemars(with = "String")]
    pub key: Digest,
    /// That of the contract alone, to tell what differs.
    #[schemars(with = "String")]
    pub contract: Digest,
    /// Why the result of an equal submit was there and is not reused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed_over: Option<PassedOver>,
}

/// Why the result of an equal submit is not reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PassedOver {
    /// It is older than the step's `ttl`.
    TooOld,
    /// It does not meet the step's `expect`.
    Unexpected,
    /// A file that was saved of it is gone or has another size, and the step saves.
    FilesGone,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Why a step does not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// Its `when` is false.
    When,
    /// This step, which it needs, has not succeeded.
    Needs(#[schemars(with = "String")] StepPath),
    /// Another step failed, and nothing new starts after a failure.
    RunFailed,
    /// The run was cancelled before the step began.
    RunCancelled,
    /// The workflow's `timeout` passed before the step began.
    RunTimedOut,
    /// Only other steps were asked for.
    NotSelected,
}

/// How a lost submit was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SettledBy {
    /// The same key was sent again, and the API answered with the job.
    SameKey,
    /// The job was found in a list of the API.
    List,
    /// The API's list reaches back to the intent and does not show it: it was not accepted, and is sent again.
    Absent,
    /// A person said which job it became.
    Adopted,
    /// A person said that it did not arrive: it is sent again.
    Resubmitted,
}

/// Who wants a run to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CancelSource {
    /// SIGINT: exit code 130.
    Interrupt,
    /// SIGTERM: exit code 143.
    Terminate,
    /// The program that embeds Dagwood.
    Caller,
    /// `dagwood cancel` of another process.
    Command,
    /// The workflow's own `timeout` has passed.
    Timeout,
}

/// How a run stands or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// It is not over.
    Running,
    /// Every step succeeded or was skipped by its own `when`, and the outputs are there.
    Succeeded,
    /// A step failed, or an output did.
    Failed,
    /// It was called off.
    Cancelled,
    /// For at least one submit nobody can tell whether the API accepted it.
    SubmitUnknown,
}

impl RunStatus {
    /// Returns the word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::SubmitUnknown => "submit_unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_reads_as_its_interface_says_and_comes_back() {
        let record = Record {
            seq: 3,
            at: "2026-01-02T03:04:05.678901Z".parse().expect("a timestamp"),
            run: RunId::new(1, [1; 10]),
            event: Event::StepSkipped {
                step: "b".parse().expect("a path"),
                why: SkipReason::Needs("a".parse().expect("a path")),
            },
        };
        let json = serde_json::to_value(&record).expect("JSON");
        assert_eq!(
            json,
            json!({"seq": 3, "at": "2026-01-02T03:04:05.678Z", "run": record.run, "kind": "step_skipped", "step": "b",
                "why": {"needs": "a"}})
        );
        let back: Record = serde_json::from_value(json).expect("a record");
        assert_eq!(back.event, record.event);
    }

    #[test]
    fn large_payloads_are_in_the_event_only_by_digest() {
        let small = Payload::new(json!({"n": {"outputText": "x"}}).as_object().expect("a map").clone());
        assert!(matches!(small, Payload::Inline(_)));
        let large = Payload::new(json!({"n": "x".repeat(INLINE_LIMIT)}).as_object().expect("a map").clone());
        let text = serde_json::to_string(&large).expect("JSON");
        assert!(text.len() < 200, "{text}");
        let back: Payload = serde_json::from_str(&text).expect("a payload");
        assert!(matches!(back, Payload::Stored { value: None, .. }) && large.value().is_some());
    }
}
