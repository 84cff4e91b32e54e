//! The result of a step, as templates, reports and the journal see it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    contract::ValueKind,
    id::StepId,
    job::{JobHandle, JobState},
};
use jiff::Timestamp;
use schemars::JsonSchema;

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StepStatus {
    /// With a result.
    Succeeded,
    /// Without one.
    Failed,
    /// It was not to run.
    Skipped,
    /// It was called off.
    Cancelled,
}

impl StepStatus {
    /// Returns the word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Why a step failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The API ran the job and it failed.
    JobFailed,
    /// The API does not know the job any more.
    JobVanished,
    /// The step's timeout passed.
    Timeout,
    /// The API refused the request (400, 404, 409, …), or the contract did just before it was sent.
    Rejected,
    /// The key is missing or wrong (401).
    Unauthorized,
    /// The plan or the access does not allow it (403).
    Forbidden,
    /// Not enough credits (402).
    Credits,
    /// Nobody can tell whether the API accepted the submit.
    SubmitUnknown,
    /// A template failed.
    Template,
    /// A medium could not be saved.
    Artifact,
    /// The API could not be reached, or failed, for as long as the timeout lasted.
    Unreachable,
}

/// A failed step's error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepError {
    /// What kind.
    pub kind: ErrorKind,
    /// For people; may have several lines, the last ones showing the place in the workflow's file.
    pub message: String,
}

/// What is known of the job behind a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobFacts {
    /// The API's id.
    pub id: JobHandle,
    /// Alias of the provider.
    pub provider: String,
    /// Where it stood at the last look.
    pub status: JobState,
    /// What it cost, as given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credits_charged: Option<f64>,
    /// Tokens used, as given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_used: Option<u64>,
    /// When the API accepted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub created_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub completed_at: Option<Timestamp>,
}

/// A file that `save` wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SavedFile {
    /// Relative to the run's artifact root, with `/`.
    pub path: String,
    /// Where it came from; none for a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Hexadecimal.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// Its media type, without parameters.
    pub content_type: String,
}

/// One medium among the outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Medium {
    /// `Image`, `Video`, `Audio`, `Model3d` (a URL) or `Text` (the text itself).
    pub kind: ValueKind,
    /// The URL, or the text.
    pub value: String,
}

/// The result of a step: `steps.ID` in templates (LANGUAGE.md, section 4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepResult {
    /// The step.
    pub step: StepId,
    /// How it ended.
    pub status: StepStatus,
    /// Node id → payload, as the API gave it, in its order; a model run and a `set` have one node, named after the step.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub node_outputs: Map<String, Value>,
    /// The job behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobFacts>,
    /// What `save` wrote.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<SavedFile>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<StepError>,
}

/// The fields of a result that templates may read.
pub const FIELDS: &[&str] = &[
    "status",
    "node_outputs",
    "output",
    "image",
    "video",
    "audio",
    "text",
    "model3d",
    "images",
    "videos",
    "audios",
    "texts",
    "models3d",
    "job",
    "files",
    "error",
    "items",
    "outputs",
];
