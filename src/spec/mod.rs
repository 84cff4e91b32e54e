//! A workflow as written: the types of the language (`spec/LANGUAGE.md` of the project's design, in short `docs`), reading them
//! from YAML, and the checks that need no contract.
//!
//! ```text
//! text ──yaml::read──▶ Value + SourceMap ──decode──▶ Workflow ──check──▶ Document
//! ```
//!
//! Values that may hold templates stay [`serde_json::Value`]s here; `plan` compiles them. Places are JSON pointers into
//! [`Document::map`], so no type carries spans.

pub mod check;
pub mod decode;
pub mod duration;
pub mod file;
pub mod keys;
pub mod schema;
pub mod workflow;
pub mod yaml;

use std::{collections::HashMap, path::Path, sync::Arc};

use serde_json::Value;

pub use workflow::*;

pub use self::file::OpenError;
use crate::{
    diagnostic::{Code, Diagnostic, arrange},
    id::{Digest, StepId},
    source::{Source, SourceMap, Span},
};

/// A file that was read: its text, where everything stands, and what it says.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file.
    pub source: Arc<Source>,
    /// From JSON pointers to places in it. Merged keys point to where they are written.
    pub map: SourceMap,
    /// What it says.
    pub workflow: Workflow,
    /// The digest of what it says of each step, as far as that can change the step's result.
    pub definitions: HashMap<StepId, Digest>,
}

/// The keys of a step that change no result: for people, or only how long is waited.
const WITHOUT_EFFECT: [&str; 5] = ["description", "labels", "timeout", "poll", "estimate"];

/// Returns the digest of what a file says of each step.
fn definitions(value: &Value, workflow: &Workflow) -> HashMap<StepId, Digest> {
    let written = |id: &StepId| value.get("steps")?.get(id.as_str())?.as_object();
    let digest = |id: &StepId| {
        let mut keys: Vec<_> = written(id)?.iter().filter(|(key, _)| !WITHOUT_EFFECT.contains(&key.as_str())).collect();
        keys.sort_by_key(|(key, _)| *key);
        let text = serde_json::to_vec(&keys).expect("what was read from YAML is JSON");
        Some((id.clone(), Digest::of(&text)))
    };
    workflow.steps.keys().filter_map(digest).collect()
}

/// Reads a workflow from a text; `stem` is its name unless it gives one.
///
/// There may be a document beside errors: what could be read, so that later stages can tell what else is wrong. It must not be
/// run.
#[must_use]
pub fn load(source: Arc<Source>, stem: &str) -> (Option<Document>, Vec<Diagnostic>) {
    let yaml::Reading { value, map, mut diagnostics } = yaml::read(&source);
    let Some(value) = value else {
        arrange(&mut diagnostics);
        return (None, diagnostics);
    };
    let text = Arc::clone(&source.text);
    let (workflow, mut more) = decode::decode(&source, &value, &map, stem);
    let document = workflow.map(|workflow| {
        let definitions = definitions(&value, &workflow);
        Document { source, map, workflow, definitions }
    });
    if let Some(document) = &document {
        more.extend(check::check(document));
    }
    diagnostics.append(&mut untold(&text, &diagnostics, more));
    arrange(&mut diagnostics);
    (document, diagnostics)
}

/// Returns what the decoder tells without what the reader told of the same places in its own words.
pub(crate) fn untold(text: &str, told: &[Diagnostic], mut more: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let told: Vec<_> = told
        .iter()
        .filter(|diagnostic| diagnostic.is_error())
        .filter_map(|diagnostic| {
            let Span { start, end } = diagnostic.primary()?.span;
            // What a tag stands before is not what it would be without the tag.
            let tagged = diagnostic.code == Code::Tag;
            let end = if tagged { text[end..].find('\n').map_or(text.len(), |line| end + line) } else { end };
            Some(Span { start, end })
        })
        .collect();
    more.retain(|diagnostic| {
        let Some(label) = diagnostic.primary() else { return true };
        !told.iter().any(|span| {
            span.start < label.span.end.max(label.span.start + 1) && label.span.start < span.end.max(span.start + 1)
        })
    });
    more
}

/// Reads a workflow from a file; `shown` is the file's name in diagnostics.
///
/// # Errors
///
/// When the file cannot be read. What is wrong within it is a diagnostic.
pub fn open(path: &Path, shown: &str) -> Result<(Option<Document>, Vec<Diagnostic>), OpenError> {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(match file::read(path, shown)? {
        Ok(source) => load(source, &stem),
        Err(diagnostic) => (None, vec![*diagnostic]),
    })
}
