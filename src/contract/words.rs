//! A contract in words: what people call its inputs, and what each takes.

use std::fmt::Write as _;

use strsim::damerau_levenshtein;

use super::{Contract, Port, ValueKind, published::Reading};
use crate::job::TargetKind;

/// The bytes of a name that nobody misspells.
const LONGEST_NAME: usize = 200;

impl Port {
    /// Returns in words what the port takes: "a list of image URLs".
    #[must_use]
    pub fn wants(&self) -> String {
        let (one, several) = match self.kind {
            ValueKind::Text | ValueKind::Scalar => ("text", "texts"),
            ValueKind::Number => ("a number", "numbers"),
            ValueKind::Integer => ("a whole number", "whole numbers"),
            ValueKind::Boolean => ("true or false", "booleans"),
            ValueKind::Image => ("the URL of an image", "image URLs"),
            ValueKind::Video => ("the URL of a video", "video URLs"),
            ValueKind::Audio => ("the URL of an audio recording", "audio URLs"),
            ValueKind::Model3d => ("the URL of a 3d model", "URLs of 3d models"),
            ValueKind::Any => ("any value", "any values"),
        };
        if self.many { format!("a list of {several}") } else { one.to_owned() }
    }

    /// Returns in words between which bounds its numbers lie, where some are published: "from 1 to 9".
    pub(super) fn bounds(&self) -> Option<String> {
        Some(match (self.minimum, self.maximum) {
            (None, None) => return None,
            (Some(minimum), None) => format!("from {minimum}"),
            (None, Some(maximum)) => format!("up to {maximum}"),
            (Some(minimum), Some(maximum)) => format!("from {minimum} to {maximum}"),
        })
    }
}

impl Contract {
    /// Returns the name of a port that people write: the keys of a model and of a published schema are meant for it, an app's are
    /// only numbers.
    #[must_use]
    pub fn name_of<'a>(&self, port: &'a Port) -> &'a str {
        if self.target.kind == TargetKind::Model || self.schema.is_some() { &port.id } else { port.name() }
    }

    /// Says whether a key may stand in a request without a remark: it is a port, or one of those that a model takes though it
    /// does not publish them, and no misspelt one; a published schema speaks for itself, and of an unchecked contract nothing can be said.
    #[must_use]
    pub fn takes(&self, id: &str) -> bool {
        if self.unchecked || self.port(id).is_some() {
            return true;
        }
        match &self.schema {
            Some(schema) => Reading::of(schema).allows(id),
            None => self.open && (id == "prompt" || (id.ends_with("_input") && !self.misspells(id))),
        }
    }

    /// Says whether a key is so near to a port that it is meant: `imaeg_input` is, `video_input` beside `audio_input` is not.
    fn misspells(&self, id: &str) -> bool {
        const NEAR: usize = 2;
        let near = |port: &Port| port.id.len().abs_diff(id.len()) <= NEAR && damerau_levenshtein(id, &port.id) <= NEAR;
        id.len() < LONGEST_NAME && self.ports.iter().any(near)
    }

    /// Returns the ports in words, required ones first: "Input Images (image, list, required), Aspect Ratio (text)".
    #[must_use]
    pub fn summary(&self) -> String {
        const MOST: usize = 12;
        let mut ports: Vec<_> = self.ports.iter().collect();
        ports.sort_by_key(|port| !port.required);
        let mut text = String::new();
        for port in ports.iter().take(MOST) {
            if !text.is_empty() {
                text.push_str(", ");
            }
            let kind = if port.kind == ValueKind::Scalar { "text" } else { port.kind.word() };
            let list = if port.many { ", list" } else { "" };
            let required = if port.required { ", required" } else { "" };
            let _ = write!(text, "{} ({kind}{list}{required})", self.name_of(port));
        }
        match ports.len() {
            0 => "none".to_owned(),
            count if count > MOST => format!("{text}, and {} more", count - MOST),
            _ => text,
        }
    }
}

impl ValueKind {
    /// Returns the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Model3d => "model3d",
            Self::Scalar => "scalar",
            Self::Any => "any",
        }
    }
}
