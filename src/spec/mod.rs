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
pub mod nested;
pub mod schema;
pub mod workflow;
pub mod yaml;

use std::{collections::HashMap, path::Path, sync::Arc};

use indexmap::IndexMap;
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
    /// The workflows that its steps run, by the paths as they are written.
    pub workflows: IndexMap<String, Arc<Document>>,
}

impl Document {
    /// Returns this document and all that its steps run, directly or through others, each once.
    #[must_use]
    pub fn all(&self) -> Vec<&Document> {
        let mut found: Vec<&Document> = vec![self];
        let mut at = 0;
        while let Some(document) = found.get(at) {
            let nested: Vec<&Document> = document.workflows.values().map(|nested| &**nested).collect();
            for one in nested {
                if !found.iter().any(|known| std::ptr::eq(*known, one)) {
                    found.push(one);
                }
            }
            at += 1;
        }
        found
    }
}

/// The keys of a step that change no result: for people, or only how long is waited.
const WITHOUT_EFFECT: [&str; 5] = ["description", "labels", "timeout", "poll", "estimate"];

/// Returns the digest of what a file says of each step.
fn definitions(value: &Value, workflow: &Workflow) -> HashMap<StepId, Digest> {
    let part = |part: &str, id: &StepId| value.get(part)?.get(id.as_str())?.as_object();
    let written = |id: &StepId| part("steps", id).or_else(|| part("finally", id));
    let digest = |id: &StepId| {
        let mut keys: Vec<_> = written(id)?.iter().filter(|(key, _)| !WITHOUT_EFFECT.contains(&key.as_str())).collect();
        keys.sort_by_key(|(key, _)| *key);
        let text = serde_json::to_vec(&keys).expect("what was read from YAML is JSON");
        Some((id.clone(), Digest::of(&text)))
    };
    workflow.steps.keys().chain(workflow.finally.keys()).filter_map(digest).collect()
}

/// Reads a workflow from a text; `stem` is its name unless it gives one. Workflows that its steps run are read from the disk, from paths
/// relative to the source's name.
///
/// There may be a document beside errors: what could be read, so that later stages can tell what else is wrong. It must not be
/// run.
#[must_use]
pub fn load(source: Arc<Source>, stem: &str) -> (Option<Document>, Vec<Diagnostic>) {
    let path = Path::new(&*source.name).to_owned();
    load_with(source, stem, &path, &nested::from_disk)
}

/// The same for a text that stands in the file `path`; what its steps run is read by `read`.
#[must_use]
pub fn load_with(
    source: Arc<Source>,
    stem: &str,
    path: &Path,
    with: &nested::Read<'_>,
) -> (Option<Document>, Vec<Diagnostic>) {
    let shown = source.name.clone();
    let (document, mut diagnostics) = read(source, stem);
    let document = document.map(|mut document| {
        nested::Reader::new(with, path, &shown).complete(&mut document, &mut diagnostics);
        document
    });
    arrange(&mut diagnostics);
    (document, diagnostics)
}

/// Reads one text.
fn read(source: Arc<Source>, stem: &str) -> (Option<Document>, Vec<Diagnostic>) {
    let yaml::Reading { value, map, mut diagnostics } = yaml::read(&source);
    let Some(value) = value else {
        arrange(&mut diagnostics);
        return (None, diagnostics);
    };
    let text = Arc::clone(&source.text);
    let (workflow, mut more) = decode::decode(&source, &value, &map, stem);
    let document = workflow.map(|workflow| {
        let definitions = definitions(&value, &workflow);
        Document { source, map, workflow, definitions, workflows: IndexMap::new() }
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
        Ok(source) => load_with(source, &stem, path, &nested::from_disk),
        Err(diagnostic) => (None, vec![*diagnostic]),
    })
}
