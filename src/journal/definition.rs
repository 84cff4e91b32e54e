//! What a run was made from: the texts, word for word, so that changed files do not change a run that goes on (LANGUAGE.md, section 8).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::id::Digest;

/// The texts that a run was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// The workflow's file, absolute: what it names is relative to it.
    pub path: PathBuf,
    /// The file's name as it was given, for messages.
    pub shown: String,
    /// The workflow's text.
    pub text: String,
    /// The project file, where there is one: its path and text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<(PathBuf, String)>,
    /// The workflows that its steps run: their absolute paths and texts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workflows: Vec<(PathBuf, String)>,
    /// The contracts of its targets, as a lock file has them.
    pub contracts: String,
}

impl Definition {
    /// Returns it as it is kept.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts are JSON")
    }

    /// Reads it as it was kept.
    ///
    /// # Errors
    ///
    /// Where it is something else.
    pub fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// Returns the digest by which it is found.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes())
    }
}
