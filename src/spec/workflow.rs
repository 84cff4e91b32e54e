//! The types of the language: one for each table of LANGUAGE.md, every key of it, as written and not yet checked against
//! anything outside the file.
//!
//! Their doc comments are what an editor shows: `schemas/workflow.schema.json` is generated from the types in
//! `spec/schema.rs`. Adding a key: add it here, there, and in `spec/decode.rs`; a test compares the three.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::duration::Period;
use crate::{id::StepId, job::TargetKind};

/// A workflow file.
#[derive(Clone, Debug, PartialEq)]
pub struct Workflow {
    /// `name`, else the file's stem.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// For people, and for filtering runs.
    pub labels: IndexMap<String, String>,
    /// The parameters of a run.
    pub inputs: IndexMap<String, Input>,
    /// Environment variables that templates may read as `secrets.NAME`.
    pub secrets: Vec<String>,
    /// Named values; each may be templated over inputs and earlier vars.
    pub vars: IndexMap<String, Value>,
    /// Defaults of every step.
    pub defaults: Defaults,
    /// How many jobs may be in flight, and the lock across runs.
    pub concurrency: Concurrency,
    /// The bound on what a run may spend.
    pub budget: Option<Budget>,
    /// The bound on a whole run but `finally`.
    pub timeout: Option<Period>,
    /// What happens after a failure.
    pub failure_policy: FailurePolicy,
    /// The steps, in the order of the file.
    pub steps: IndexMap<StepId, Step>,
    /// Steps that run after everything else.
    pub finally: IndexMap<StepId, Step>,
    /// The run's result: templates by name.
    pub outputs: IndexMap<String, Value>,
    /// When `dagwood serve` and `dagwood cron` start it.
    pub schedule: Vec<Schedule>,
    /// Who is told at the end of a run.
    pub notify: Vec<Notify>,
}

impl Workflow {
    /// Returns all steps in the file's order, those of `finally` last, and whether each is one of those.
    pub fn all_steps(&self) -> impl Iterator<Item = (&StepId, &Step, bool)> {
        let steps = self.steps.iter().map(|(id, step)| (id, step, false));
        steps.chain(self.finally.iter().map(|(id, step)| (id, step, true)))
    }
}

/// A parameter of a run (LANGUAGE.md, section 2).
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// The JSON Schema fragment, without Dagwood's own keys; for `type: file` that of a string.
    pub schema: Map<String, Value>,
    /// `type: file`: a local path or an http(s) URL.
    pub file: bool,
    /// With `type: file`: what is in the file.
    pub media: Option<Media>,
    /// Used when the caller gives none.
    pub default: Option<Value>,
    /// May be absent, and is `null` then.
    pub optional: bool,
    /// The value is redacted and never written down.
    pub secret: bool,
    /// For people.
    pub description: Option<String>,
}

impl Input {
    /// Says whether the caller must give a value.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.default.is_none() && !self.optional
    }

    /// Says whether the command line's text is taken as it is, not read as YAML: `type: string` and `type: file`.
    #[must_use]
    pub fn takes_text(&self) -> bool {
        self.file || self.schema.get("type").and_then(Value::as_str) == Some("string")
    }
}

/// The kind of a medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Media {
    /// `image`
    Image,
    /// `video`
    Video,
    /// `audio`
    Audio,
    /// `text`
    Text,
    /// `any`
    Any,
}

/// Defaults of every step; a step's own key wins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Defaults {
    /// Alias of a provider.
    pub provider: Option<String>,
    /// See [`Step::timeout`].
    pub timeout: Option<Period>,
    /// See [`Step::poll`].
    pub poll: Option<Period>,
    /// See [`Step::retry`].
    pub retry: Option<Retry>,
    /// See [`Step::cache`].
    pub cache: Option<Cache>,
    /// See [`Step::on_error`].
    pub on_error: Option<OnError>,
}

/// `concurrency`: a number, or a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Concurrency {
    /// Most jobs in flight; from 1.
    pub steps: u32,
    /// A template that names a lock across runs on the same state.
    pub group: Option<String>,
    /// What a run does that finds its group held.
    pub on_conflict: OnConflict,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self { steps: 16, group: None, on_conflict: OnConflict::default() }
    }
}

/// What a run does that finds its group held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// Waits.
    #[default]
    Queue,
    /// Does not start, quietly.
    Skip,
    /// Cancels the other run.
    CancelRunning,
    /// Does not start, and fails.
    Fail,
}

/// A bound on what may be spent: by a run (`budget`), or through an account in one day (`budget_per_day` of the project file). What is
/// absent is not bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Budget {
    /// Most credits, more than 0.
    pub credits: Option<f64>,
    /// Most tokens, from 1.
    pub tokens: Option<u64>,
}

/// What happens after a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailurePolicy {
    /// `drain`: no further step starts, what has started goes on.
    #[default]
    Drain,
    /// `continue`: every branch that can goes on.
    Continue,
    /// `cancel`: what runs is cancelled.
    Cancel,
}

/// A step (LANGUAGE.md, section 3).
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What it does.
    pub verb: Verb,
    /// Alias of a provider.
    pub provider: Option<String>,
    /// What the target gets, templated.
    pub inputs: Map<String, Value>,
    /// AIMP: the operation.
    pub mode: Option<String>,
    /// AIMP: the vector scope.
    pub scope: Option<String>,
    /// AIMP: parameters.
    pub params: Option<Map<String, Value>>,
    /// AIMP: execution options.
    pub options: Option<Map<String, Value>>,
    /// Steps to wait for beyond those that the templates mention. Not yet checked to exist.
    pub needs: Vec<StepId>,
    /// Expression; false: the step is skipped.
    pub when: Option<String>,
    /// What must hold of the needed steps.
    pub trigger: Trigger,
    /// A list or map, or an expression (a string) that gives one.
    pub foreach: Option<Value>,
    /// Lists by name.
    pub matrix: Option<Map<String, Value>>,
    /// Most items in flight.
    pub max_parallel: Option<u32>,
    /// Bound on one attempt.
    pub timeout: Option<Period>,
    /// How often to look at the job.
    pub poll: Option<Period>,
    /// Further attempts.
    pub retry: Option<Retry>,
    /// What is tried when it has failed for good, in order.
    pub fallback: Vec<Fallback>,
    /// Whether a failure counts as handled.
    pub on_error: Option<OnError>,
    /// Whether an earlier equal result is reused.
    pub cache: Option<Cache>,
    /// Where the media that come out are written.
    pub save: Option<Save>,
    /// Expressions over the result, or `{schema: …}`.
    pub expect: Option<Value>,
    /// A hint where the contract has none.
    pub estimate: Option<Estimate>,
    /// For people.
    pub description: Option<String>,
    /// For people.
    pub labels: IndexMap<String, String>,
}

/// An entry of `fallback`: what it does not say is as in its step.
#[derive(Clone, Debug, PartialEq)]
pub struct Fallback {
    /// What it does.
    pub verb: Option<Verb>,
    /// Alias of a provider.
    pub provider: Option<String>,
    /// What the target gets, templated.
    pub inputs: Option<Map<String, Value>>,
    /// AIMP: parameters.
    pub params: Option<Map<String, Value>>,
}

/// What a step does: exactly one verb.
#[derive(Clone, Debug, PartialEq)]
pub enum Verb {
    /// `model`, `app`, `agent`, `pipeline`: one run of the named target.
    Run {
        /// Which of the four.
        kind: TargetKind,
        /// The id, or for apps and agents a name or an id.
        name: String,
    },
    /// `workflow`: another file.
    Workflow(String),
    /// `set`: the rendered map is the output.
    Set(Map<String, Value>),
    /// `http`: one request, as written.
    Http(Map<String, Value>),
}

impl Verb {
    /// Returns the key that the verb is written with.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::Run { kind, .. } => kind.verb(),
            Self::Workflow(_) => "workflow",
            Self::Set(_) => "set",
            Self::Http(_) => "http",
        }
    }
}

/// What must hold of the needed steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// `all_succeeded`
    #[default]
    AllSucceeded,
    /// `all_done`
    AllDone,
    /// `any_succeeded`
    AnySucceeded,
}

/// `retry`: `{attempts, on, backoff}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// Submits of a job, from 1.
    pub attempts: u32,
    /// Which failures make another.
    pub on: Vec<RetryOn>,
    /// How long to wait between them.
    pub backoff: Option<Backoff>,
}

/// A failure that may make another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryOn {
    /// `job_failed`
    JobFailed,
    /// `timeout`
    Timeout,
    /// `expectation_failed`
    ExpectationFailed,
    /// `server_error` (of `http` steps)
    ServerError,
    /// `network` (of `http` steps)
    Network,
}

/// How the waits between attempts grow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The first wait.
    pub initial: Option<Period>,
    /// By how much each is longer than the one before.
    pub factor: Option<f64>,
    /// The longest wait.
    pub max: Option<Period>,
}

/// What a failure of the step means for the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// `fail`
    #[default]
    Fail,
    /// `continue`: it counts as handled.
    Continue,
}

/// `cache`: `true`, `false`, or `{ttl, key}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Cache {
    /// Whether results are reused at all.
    pub enabled: bool,
    /// How old a result may be.
    pub ttl: Option<Period>,
    /// A template that replaces the key.
    pub key: Option<String>,
}

/// `save`: `true`, `false`, or a path template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Save {
    /// `true`: at the default path, `STEP/N.EXT`.
    Default,
    /// At this path, relative to the run's artifact root.
    Path(String),
}

/// `estimate`: a hint where the contract has none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Credits of one job.
    pub credits: Option<f64>,
    /// Seconds that one job takes.
    pub seconds: Option<f64>,
}

/// An entry of `schedule`.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// The cron expression.
    pub cron: String,
    /// An IANA time zone.
    pub timezone: Option<String>,
    /// Inputs of the run.
    pub inputs: Map<String, Value>,
    /// What happens to starts that were missed.
    pub catch_up: CatchUp,
    /// Most by which a start is put off.
    pub jitter: Option<Period>,
}

/// What happens to starts that were missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CatchUp {
    /// `none`
    #[default]
    None,
    /// `last`
    Last,
    /// `all`
    All,
}

/// An entry of `notify`.
#[derive(Clone, Debug, PartialEq)]
pub struct Notify {
    /// After which ends: `succeeded`, `failed`, `cancelled`.
    pub on: Vec<String>,
    /// Where to POST to; a template.
    pub url: String,
    /// `json` or `slack`.
    pub slack: bool,
}
