//! The words of the job APIs, for the providers and the journal alike: what is asked for, what runs, how it stands, what went
//! wrong.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What kind of thing a job runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TargetKind {
    /// A model.
    Model,
    /// An app: a graph of nodes behind one id.
    App,
    /// An agent.
    Agent,
    /// A pipeline.
    Pipeline,
    /// One HTTP request: a step with `http`. Its target is named by method and URL, its inputs are the parts of the request.
    Http,
}

impl TargetKind {
    /// Returns the verb of the language that names such a target.
    #[must_use]
    pub fn verb(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::App => "app",
            Self::Agent => "agent",
            Self::Pipeline => "pipeline",
            Self::Http => "http",
        }
    }

    /// Returns the kind that a verb names; none for one that runs nothing at an API.
    #[must_use]
    pub fn of_verb(verb: &str) -> Option<Self> {
        [Self::Model, Self::App, Self::Agent, Self::Pipeline, Self::Http].into_iter().find(|kind| kind.verb() == verb)
    }
}

impl fmt::Display for TargetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verb())
    }
}

/// A thing that can be run, by the id that its API knows it by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// What it is.
    pub kind: TargetKind,
    /// Its id in the API.
    pub id: String,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

/// One job to submit: everything that the API will be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobRequest {
    /// What is to run.
    pub target: Target,
    /// Its inputs, by the names that the API wants, nothing templated any more.
    pub inputs: Map<String, Value>,
    /// What goes beside the inputs; empty for all but AIMP.
    #[serde(default, skip_serializing_if = "Operation::is_empty")]
    pub operation: Operation,
}

/// What an AIMP run takes beside its input, by the API's own names (`apis/aimp.md`, POST /api/runs).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Operation {
    /// Which of the model's operations; the API takes `execute` where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The data set of a vector operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Parameters of the operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Map<String, Value>>,
    /// Execution options.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Map<String, Value>>,
}

impl Operation {
    /// Says whether nothing is given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A key that tells two submits apart where the API takes one; the same for every sending of one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IdempotencyKey(pub String);

/// A job that the API accepted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct JobHandle(pub String);

impl fmt::Display for JobHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A job that runs, with all that is needed to find it again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Job {
    /// Its id.
    pub id: JobHandle,
    /// What it runs: AIRMY shows a pipeline's runs only under the pipeline.
    pub target: Target,
    /// Where the API said that it can be seen, if it said so: a path or URL of the API's own origin.
    pub look_at: Option<String>,
}

/// Where a job stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Accepted, not begun.
    Pending,
    /// Under way.
    Processing,
    /// Done, with its output.
    Completed,
    /// Over without an output.
    Failed,
    /// Called off.
    Cancelled,
    /// A word that Dagwood does not know: not terminal.
    #[serde(untagged)]
    Unknown(String),
}

impl JobState {
    /// Says whether the job will not change any more.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Unknown(word) => word,
        })
    }
}

/// What one look at a job showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobStatus {
    /// Where it stands.
    pub state: JobState,
    /// The payloads by node id, in the API's order, as the API gave them. A job with one node and no name for it (a model run) has
    /// the one key `""`. Empty until completed, and where a completed job has no output.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub node_outputs: Map<String, Value>,
    /// Why it failed, in the API's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it cost, as given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credits_charged: Option<f64>,
    /// Tokens used, as given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_used: Option<u64>,
    /// How long it took by the API's own account, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// When the API accepted it, by the API's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When it ended, by the API's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// What was odd about the answer and did no harm: an unreadable time, an unknown status word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl JobStatus {
    /// Returns a status that says only this.
    #[must_use]
    pub fn of(state: JobState) -> Self {
        Self {
            state,
            node_outputs: Map::new(),
            error: None,
            credits_charged: None,
            tokens_used: None,
            latency_ms: None,
            created_at: None,
            completed_at: None,
            warnings: Vec::new(),
        }
    }
}

/// The answer to a submit: the API has accepted the job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Submitted {
    /// The job.
    pub job: JobHandle,
    /// How it stood at once; a synchronous run is completed already.
    pub status: JobStatus,
    /// Where it can be seen, where the answer says so; see [`Job::look_at`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look_at: Option<String>,
}

/// What kind of thing an API did wrong, or said no to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The request is not acceptable (400, 405, 409, 413, 415, 422): nothing happened.
    Rejected,
    /// The key is missing or wrong (401): nothing happened.
    Unauthorized,
    /// The plan or the access does not allow it (403): nothing happened.
    Forbidden,
    /// There is no such thing (404, 410): nothing happened.
    NotFound,
    /// Not enough credits (402): nothing happened.
    Credits,
    /// Too many requests (429): nothing happened.
    RateLimited,
    /// The server failed (5xx): on a submit, it may have happened.
    Unavailable,
    /// The connection could not be made (refused, DNS, TLS): nothing was sent.
    Network,
    /// No answer in time: on a submit, it may have happened.
    Timeout,
    /// The answer could not be read: on a submit, it may have happened.
    Malformed,
    /// The connection broke after the request was under way: on a submit, it may have happened.
    Ambiguous,
}

/// What an API, or the way to it, did instead of what was asked. Holds no secret and no request body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What kind of fault.
    pub kind: FaultKind,
    /// For people: what was tried and what came back, in the API's words where it gave any.
    pub message: String,
    /// The HTTP status, where there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How long the API asked to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
}

impl Fault {
    /// Builds a fault without status.
    #[must_use]
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), status: None, retry_after: None }
    }

    /// Says whether a submit that ended so may have been accepted all the same. Only a refused connection, DNS, TLS, 429, and a
    /// readable refusal (4xx) prove that nothing happened.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        matches!(self.kind, FaultKind::Unavailable | FaultKind::Timeout | FaultKind::Malformed | FaultKind::Ambiguous)
    }

    /// Says whether the same request may succeed later by itself. For a submit, ask [`Fault::may_have_happened`] first.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.may_have_happened() || matches!(self.kind, FaultKind::RateLimited | FaultKind::Network)
    }
}
