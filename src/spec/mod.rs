//! A workflow as written: the types of the language (`spec/LANGUAGE.md` of the project's design, in short `docs`), reading them
//! from YAML, and the checks that need no contract.
//!
//! ```text
//! text ──yaml::read──▶ Value + SourceMap ──decode──▶ Workflow ──check──▶ Document
//! ```
//!
//! Values that may hold templates stay [`serde_json::Value`]s here; `plan` compiles them. Places are JSON pointers into
//! [`Document::map`], so no type carries spans.

pub mod duration;
pub mod workflow;

use std::sync::Arc;

pub use workflow::*;

use crate::source::{Source, SourceMap};

/// A file that was read: its text, where everything stands, and what it says.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file.
    pub source: Arc<Source>,
    /// From JSON pointers to places in it. Merged keys point to where they are written.
    pub map: SourceMap,
    /// What it says.
    pub workflow: Workflow,
}
