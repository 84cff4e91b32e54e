//! The result of a step, as templates, reports and the journal see it.
//!
//! The API's payloads are kept as they came; which media are among them is told by their keys (`outputImage`, …) or by
//! `{type, url}` objects, tolerantly, because the API does not document its outputs. An agent's answer is a text under a name of its
//! own, or the text itself, so what an agent gave is also looked through for that.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    contract::ValueKind,
    id::StepId,
    job::{JobHandle, JobState, TargetKind},
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
    /// The server answered a step's own request with a 5xx.
    ServerError,
    /// A local file could not be handed over to the API.
    Upload,
    /// The submit would have passed a budget, and was not sent.
    BudgetExceeded,
    /// What came out is not what `expect` wants.
    ExpectationFailed,
}

impl ErrorKind {
    /// Says whether a further job would surely end in the same way: no further item of a fan-out starts after it.
    #[must_use]
    pub fn stops_fan_out(self) -> bool {
        matches!(
            self,
            Self::Rejected
                | Self::Unauthorized
                | Self::Forbidden
                | Self::Credits
                | Self::BudgetExceeded
                | Self::SubmitUnknown
        )
    }
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
    /// How long it took by the API's own account, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
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
#[derive(Clone, Debug, PartialEq)]
pub struct StepResult {
    /// The step.
    pub step: StepId,
    /// What kind of target it ran; none for a `set`.
    pub kind: Option<TargetKind>,
    /// How it ended.
    pub status: StepStatus,
    /// Node id → payload, as the API gave it, in its order; a model run and a `set` have one node, named after the step.
    /// Shared with the state of the run: a large output is in memory once.
    pub node_outputs: Arc<Map<String, Value>>,
    /// The job behind it.
    pub job: Option<JobFacts>,
    /// What `save` wrote.
    pub files: Vec<SavedFile>,
    /// Why it failed.
    pub error: Option<StepError>,
    /// The results of the items of a fan-out, in their order; none of an item that never began.
    pub items: Option<Vec<Option<StepResult>>>,
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

/// The fields that read the media of a result: of each kind the list of all. That of the only one is called as the kind is.
const MEDIA_FIELDS: [(ValueKind, &str); 5] = [
    (ValueKind::Image, "images"),
    (ValueKind::Video, "videos"),
    (ValueKind::Audio, "audios"),
    (ValueKind::Text, "texts"),
    (ValueKind::Model3d, "models3d"),
];

/// Returns the kind of the only medium that a field reads: `image`, and so on.
#[must_use]
pub fn singular(field: &str) -> Option<ValueKind> {
    MEDIA_FIELDS.iter().map(|(kind, _)| *kind).find(|kind| kind.word() == field)
}

/// Returns the kind of all the media that a field reads: `images`, and so on.
#[must_use]
pub fn plural(field: &str) -> Option<ValueKind> {
    MEDIA_FIELDS.iter().find(|(_, all)| *all == field).map(|(kind, _)| *kind)
}

/// Returns the field that reads all media of a kind; none where results have none of it.
#[must_use]
pub fn plural_of(kind: ValueKind) -> Option<&'static str> {
    MEDIA_FIELDS.iter().find(|(of, _)| *of == kind).map(|(_, all)| *all)
}

impl StepResult {
    /// Returns the payload of the only node; null where the step did not succeed.
    ///
    /// # Errors
    /// Says which nodes there are where there is not exactly one.
    pub fn output(&self) -> Result<&Value, String> {
        if self.status != StepStatus::Succeeded {
            return Ok(&Value::Null);
        }
        if let Some(items) = &self.items {
            return Err(format!("step `{}` has the outputs of {} items", self.step, items.len()));
        }
        let mut payloads = self.node_outputs.values();
        match (payloads.next(), payloads.next()) {
            (Some(payload), None) => Ok(payload),
            (None, _) => Err(format!("step `{}` gave no output", self.step)),
            (Some(_), Some(_)) => {
                let nodes: Vec<_> = self.node_outputs.keys().map(|node| format!("`{node}`")).collect();
                Err(format!("step `{}` has the outputs of {} nodes: {}", self.step, nodes.len(), nodes.join(", ")))
            }
        }
    }

    /// Returns all media, in node order; none where the step did not succeed. Those of a fan-out are those of its items that did.
    #[must_use]
    pub fn media(&self) -> Vec<Medium> {
        if let Some(items) = &self.items {
            return items.iter().flatten().flat_map(Self::media).collect();
        }
        if self.status == StepStatus::Succeeded { media_of(self.kind, &self.node_outputs) } else { Vec::new() }
    }

    /// Returns the values of all media of a kind, in node order.
    #[must_use]
    pub fn media_of(&self, kind: ValueKind) -> Vec<String> {
        self.media().into_iter().filter(|medium| medium.kind == kind).map(|medium| medium.value).collect()
    }

    /// Returns the only medium of a kind among the result's media; none where the step did not succeed.
    ///
    /// # Errors
    /// Says how many there are where there is not exactly one.
    pub fn only<'a>(&self, media: &'a [Medium], kind: ValueKind) -> Result<Option<&'a Medium>, String> {
        if self.status != StepStatus::Succeeded {
            return Ok(None);
        }
        let mut found = media.iter().filter(|medium| medium.kind == kind);
        let word = kind.word();
        match (found.next(), found.count()) {
            (Some(medium), 0) => Ok(Some(medium)),
            (None, _) => Err(format!("step `{}` gave no `{word}`", self.step)),
            (Some(_), more) => Err(format!("step `{}` gave {} values for `{word}`, not one", self.step, more + 1)),
        }
    }
}

/// How deep lists and objects are looked through for media. Outputs are one or two deep; a parser stops at 128.
const DEEPEST_MEDIUM: usize = 32;

/// Returns the media among the payloads of nodes, in their order.
#[must_use]
pub fn media(node_outputs: &Map<String, Value>) -> Vec<Medium> {
    let mut found = Vec::new();
    for payload in node_outputs.values() {
        payload_media(payload, DEEPEST_MEDIUM, &mut found);
    }
    found
}

/// Where an agent's text is, if its output is an object (`apis/airmy.md`).
const TEXTS: [&str; 4] = ["result", "text", "answer", "content"];

/// Returns the media of what a target of this kind gave: those that their keys tell, and where no text is among them, what an agent or
/// a pipeline said.
#[must_use]
pub fn media_of(kind: Option<TargetKind>, node_outputs: &Map<String, Value>) -> Vec<Medium> {
    let mut found = media(node_outputs);
    let speaks = matches!(kind, Some(TargetKind::Agent | TargetKind::Pipeline));
    if speaks && found.iter().all(|medium| medium.kind != ValueKind::Text) {
        let said = node_outputs.values().filter_map(said);
        found.extend(said.map(|text| Medium { kind: ValueKind::Text, value: text.to_owned() }));
    }
    found
}

/// Returns the text of an agent's payload.
fn said(payload: &Value) -> Option<&str> {
    payload.as_str().or_else(|| TEXTS.iter().find_map(|key| payload.get(*key)?.as_str()))
}

/// Looks through a payload: its keys say what their values are.
fn payload_media(payload: &Value, depth: usize, found: &mut Vec<Medium>) {
    if depth == 0 {
        return;
    }
    match payload {
        Value::Array(items) => items.iter().for_each(|item| payload_media(item, depth - 1, found)),
        Value::Object(map) if typed(map).is_some() => value_media(payload, None, depth, found),
        Value::Object(map) => {
            for (key, value) in map {
                match key_of_output(key) {
                    Some(Output::Medium(kind)) => value_media(value, Some(kind), depth - 1, found),
                    // `output` and the like hold what a payload holds.
                    Some(Output::Plain) => payload_media(value, depth - 1, found),
                    None => typed_media(value, depth - 1, found),
                }
            }
        }
        _ => {}
    }
}

/// Takes the media of a value whose key has said their kind.
fn value_media(value: &Value, kind: Option<ValueKind>, depth: usize, found: &mut Vec<Medium>) {
    if depth == 0 {
        return;
    }
    match value {
        Value::String(text) => found.extend(kind.map(|kind| Medium { kind, value: text.clone() })),
        Value::Array(items) => items.iter().for_each(|item| value_media(item, kind, depth - 1, found)),
        Value::Object(map) => {
            let Some(kind) = typed(map).or(kind) else { return };
            let names: &[&str] = if kind == ValueKind::Text { &["text", "value", "content", "url"] } else { &["url"] };
            let value = names.iter().find_map(|name| map.get(*name)?.as_str());
            found.extend(value.map(|value| Medium { kind, value: value.to_owned() }));
        }
        _ => {}
    }
}

/// Takes the `{type, url}` objects of a value whose key says nothing.
fn typed_media(value: &Value, depth: usize, found: &mut Vec<Medium>) {
    match value {
        Value::Array(items) if depth > 0 => items.iter().for_each(|item| typed_media(item, depth - 1, found)),
        Value::Object(map) if map.get("url").is_some_and(Value::is_string) && typed(map).is_some() => {
            value_media(value, None, 1, found);
        }
        _ => {}
    }
}

/// Returns the kind that an object's `type` names, where it has a value beside it.
fn typed(map: &Map<String, Value>) -> Option<ValueKind> {
    let kind = kind_of_word(map.get("type")?.as_str()?)?;
    let has_value = map.contains_key("url") || (kind == ValueKind::Text && map.contains_key("text"));
    has_value.then_some(kind)
}

enum Output {
    Medium(ValueKind),
    Plain,
}

/// Reads a key such as `outputImages`; case, plural, `_` and `-` do not matter.
fn key_of_output(key: &str) -> Option<Output> {
    let folded: String = key.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect();
    let rest = folded.strip_prefix("output")?;
    Some(match rest {
        "" | "s" => Output::Plain,
        rest => Output::Medium(kind_of_word(rest)?),
    })
}

/// Reads `image`, `Images`, `image/png`, `3d`, `model/gltf-binary`, ….
fn kind_of_word(word: &str) -> Option<ValueKind> {
    let word = word.to_lowercase();
    let word = word.split('/').next().unwrap_or_default();
    Some(match word.strip_suffix('s').unwrap_or(word) {
        "image" => ValueKind::Image,
        "video" => ValueKind::Video,
        "audio" => ValueKind::Audio,
        "text" => ValueKind::Text,
        "3d" | "model" | "model3d" | "models3d" | "3dmodel" => ValueKind::Model3d,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(payload: &Value) -> Vec<(ValueKind, String)> {
        let outputs = json!({ "n": payload });
        media(outputs.as_object().unwrap()).into_iter().map(|medium| (medium.kind, medium.value)).collect()
    }

    #[test]
    fn media_are_recognised_by_key_or_type() {
        use ValueKind::{Audio, Image, Model3d, Text, Video};
        for (payload, expected) in [
            (json!({ "outputImage": "u" }), vec![(Image, "u")]),
            (json!({ "outputImages": ["u", "v"] }), vec![(Image, "u"), (Image, "v")]),
            (json!({ "OUTPUT_VIDEO": "u" }), vec![(Video, "u")]),
            (json!({ "outputAudio": { "url": "u", "seconds": 3 } }), vec![(Audio, "u")]),
            (json!({ "outputText": "hello" }), vec![(Text, "hello")]),
            (json!({ "output3d": "u", "outputModel3d": "v" }), vec![(Model3d, "u"), (Model3d, "v")]),
            (
                json!({ "outputImages": [["u"], [{ "type": "image/png", "url": "v" }]] }),
                vec![(Image, "u"), (Image, "v")],
            ),
            (json!({ "result": { "type": "Video", "url": "u" } }), vec![(Video, "u")]),
            (
                json!([{ "type": "image", "url": "u" }, { "type": "model/gltf-binary", "url": "v" }]),
                vec![(Image, "u"), (Model3d, "v")],
            ),
            (json!({ "output": { "outputImage": "u" } }), vec![(Image, "u")]),
            (json!({ "outputImage": { "type": "video", "url": "u" } }), vec![(Video, "u")]),
            // What is no medium.
            (json!({ "outputImage": null, "outputVideo": 7, "image": "u", "outputSeed": "4", "result": "u" }), vec![]),
            (json!("u"), vec![]),
            (json!({ "input": { "nested": { "outputImage": "u" } } }), vec![]),
            (json!({ "x": { "type": "strange", "url": "u" } }), vec![]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(kind, value)| (kind, value.to_owned())).collect();
            assert_eq!(found(&payload), expected, "{payload}");
        }
    }

    /// Row "`output` as object, string, list or null" of `apis/airmy.md`; and the control: nobody else's output is read so.
    #[test]
    fn what_an_agent_says_is_a_text() {
        use ValueKind::{Image, Text};
        for (payload, expected) in [
            (json!({ "result": "r", "text": "t" }), vec![(Text, "r")]),
            (json!({ "result": null, "text": "t", "content": "c" }), vec![(Text, "t")]),
            (json!({ "answer": "a", "content": "c" }), vec![(Text, "a")]),
            (json!({ "content": "c" }), vec![(Text, "c")]),
            (json!("bare"), vec![(Text, "bare")]),
            (json!({ "outputImage": "u", "result": "r" }), vec![(Image, "u"), (Text, "r")]),
            (json!({ "outputText": "t", "result": "r" }), vec![(Text, "t")]),
            (json!({ "result": { "inner": "r" } }), vec![]),
            (json!(["r"]), vec![]),
            (json!(null), vec![]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(kind, value)| (kind, value.to_owned())).collect();
            let outputs = json!({ "caption": payload });
            let outputs = outputs.as_object().unwrap();
            for kind in [TargetKind::Agent, TargetKind::Pipeline] {
                let found = media_of(Some(kind), outputs).into_iter().map(|medium| (medium.kind, medium.value));
                assert_eq!(found.collect::<Vec<_>>(), expected, "{kind} {payload}");
            }
            for kind in [None, Some(TargetKind::Model), Some(TargetKind::App), Some(TargetKind::Http)] {
                assert_eq!(media_of(kind, outputs), media(outputs), "{kind:?} {payload}");
            }
        }
    }

    #[test]
    fn a_deep_payload_ends() {
        let deep = (0..100).fold(json!("u"), |inner, _| Value::Array(vec![inner]));
        assert_eq!(found(&json!({ "outputImages": deep })), []);
    }

    #[test]
    fn the_only_output_and_the_only_medium() {
        let result = |status, outputs: Value| StepResult {
            step: "a".parse().unwrap(),
            kind: None,
            status,
            node_outputs: Arc::new(outputs.as_object().unwrap().clone()),
            job: None,
            files: Vec::new(),
            items: None,
            error: None,
        };
        let one = result(StepStatus::Succeeded, json!({ "a": { "outputImages": ["u", "v"] } }));
        assert_eq!(one.output(), Ok(&json!({ "outputImages": ["u", "v"] })));
        assert_eq!(one.media_of(ValueKind::Image), ["u", "v"]);
        assert_eq!(
            one.only(&one.media(), ValueKind::Image),
            Err("step `a` gave 2 values for `image`, not one".to_owned())
        );
        assert_eq!(one.only(&one.media(), ValueKind::Text), Err("step `a` gave no `text`".to_owned()));
        let two = result(StepStatus::Succeeded, json!({ "n1": {}, "n2": {} }));
        assert_eq!(two.output(), Err("step `a` has the outputs of 2 nodes: `n1`, `n2`".to_owned()));
        let failed = result(StepStatus::Failed, json!({ "a": { "outputImage": "u" } }));
        assert_eq!(failed.output(), Ok(&Value::Null));
        assert_eq!(failed.only(&failed.media(), ValueKind::Image), Ok(None));
        assert_eq!(failed.media_of(ValueKind::Image), Vec::<String>::new());
        let caption = StepResult {
            kind: Some(TargetKind::Agent),
            ..result(StepStatus::Succeeded, json!({ "a": { "result": "r" } }))
        };
        assert_eq!(
            (caption.media_of(ValueKind::Text), caption.output()),
            (vec!["r".to_owned()], Ok(&json!({ "result": "r" })))
        );
    }
}
