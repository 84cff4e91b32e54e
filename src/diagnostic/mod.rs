//! What is wrong with something that a person wrote, as data.
//!
//! A [`Diagnostic`] has a [`Code`], a severity, a message, labels (places in sources, one of them primary) and a help. The
//! stages collect them and go on; drawing them is `diagnostic/render.rs`, explaining a code at length is
//! `diagnostic/explain.rs`.

mod code;
pub mod explain;
pub mod render;

use std::sync::Arc;

use serde::Serialize;

pub use code::Code;

use crate::source::{Source, Span};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is sent.
    Error,
    /// The run goes on.
    Warning,
}

/// A place with a short text under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The file.
    pub source: Arc<Source>,
    /// The bytes that are underlined.
    pub span: Span,
    /// What stands under them; may be empty.
    pub text: String,
    /// Whether this is the place that is wrong, not one that explains it.
    pub primary: bool,
}

/// One problem, told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Which kind of problem; `dagwood explain` tells more about it.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// One sentence without a full stop; literals stand in backticks.
    pub message: String,
    /// Places, the primary one first.
    pub labels: Vec<Label>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Builds an error.
    #[must_use]
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, message: message.into(), labels: Vec::new(), help: None }
    }

    /// Builds a warning.
    #[must_use]
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Adds the place that is wrong, with a text under it.
    #[must_use]
    pub fn at(mut self, source: &Arc<Source>, span: Span, text: impl Into<String>) -> Self {
        let label = Label { source: Arc::clone(source), span, text: text.into(), primary: true };
        self.labels.insert(0, label);
        self
    }

    /// Adds a place that explains.
    #[must_use]
    pub fn also(mut self, source: &Arc<Source>, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { source: Arc::clone(source), span, text: text.into(), primary: false });
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Returns the primary label, if the problem has a place.
    #[must_use]
    pub fn primary(&self) -> Option<&Label> {
        self.labels.iter().find(|label| label.primary)
    }

    /// Says whether this is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Sorts for reading: errors first, then by place; and drops what is told twice.
pub fn arrange(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by(|a, b| {
        let place = |d: &Diagnostic| d.primary().map(|label| (label.source.name.clone(), label.span));
        (a.severity, place(a), a.code).cmp(&(b.severity, place(b), b.code))
    });
    diagnostics.dedup();
}

/// The longest name for which a near one is looked for, in characters: whoever writes a longer one does not misspell it.
const LONGEST_NAME: usize = 200;

/// Returns the known name that is nearest to a misspelt one, if one is near enough to be meant.
#[must_use]
pub fn nearest<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let fold = |text: &str| text.to_lowercase().replace(['_', '-', ' '], "");
    let (folded, length) = (fold(found), found.chars().count());
    known
        .into_iter()
        .filter_map(|name| {
            if fold(name) == folded {
                return Some((0, name));
            }
            let own = name.chars().count();
            let most = 1 + own.max(length) / 4;
            // The distance is no less than what one is longer, and takes time of the product of both: a file of long names must not take
            // seconds to be told of.
            if own.abs_diff(length) > most || own.max(length) > LONGEST_NAME {
                return None;
            }
            Some((strsim::damerau_levenshtein(found, name), name)).filter(|(distance, _)| *distance <= most)
        })
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_only_when_it_is_near() {
        let known = ["timeout", "inputs", "image_input"];
        assert_eq!(nearest("timout", known), Some("timeout"));
        assert_eq!(nearest("Image-Input", known), Some("image_input"));
        assert_eq!(nearest("colour", known), None);
        let long = "n".repeat(LONGEST_NAME + 1);
        assert_eq!(nearest(&long, [&*long.replacen('n', "m", 1)]), None, "nobody misspells that");
    }

    #[test]
    fn arranging_puts_errors_first_and_tells_nothing_twice() {
        let source = Arc::new(Source::new("a.yaml", "abc"));
        let late = Diagnostic::error(Code::UnknownKey, "late").at(&source, Span::new(2..3), "");
        let early = Diagnostic::error(Code::UnknownKey, "early").at(&source, Span::new(0..1), "");
        let warning = Diagnostic::warning(Code::LeadingZero, "w").at(&source, Span::new(0..1), "");
        let mut all = vec![warning.clone(), late.clone(), early.clone(), late.clone()];
        arrange(&mut all);
        assert_eq!(all, [early, late, warning]);
    }
}
