//! What the reader told and what planning found, as one list: what follows from an error that was told is left out.
//!
//! A document with errors is planned all the same, so that everything wrong is told at once. But where the reader could not read
//! something, the plan would tell of the hole: an input that is missing because its key is misspelt, a schema that both of them
//! look at.

use std::sync::Arc;

use crate::{
    diagnostic::{Code, Diagnostic, arrange},
    source::{Pointer, Span},
    spec::Document,
};

/// Joins what the reader told of a document with what planning it found, arranged for reading.
#[must_use]
pub fn beside(document: &Document, told: Vec<Diagnostic>, found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let errors: Vec<(Code, Span)> = told
        .iter()
        .filter(|diagnostic| diagnostic.is_error())
        .filter_map(|diagnostic| Some((diagnostic.code, place_in(document, diagnostic)?)))
        .collect();
    let mut all = told;
    if errors.is_empty() {
        all.extend(found);
    } else {
        let holes = holes(document, &errors);
        all.extend(found.into_iter().filter(|diagnostic| {
            let Some(span) = place_in(document, diagnostic) else { return true };
            let follows = diagnostic.code == Code::MissingInput && holes.iter().any(|hole| touches(*hole, span));
            // What is unused in a file with a mistake in it may be so because of that.
            let unused = matches!(diagnostic.code, Code::Unused | Code::UnusedStep);
            !follows && !unused && !errors.iter().any(|(_, error)| touches(*error, span))
        }));
    }
    arrange(&mut all);
    all
}

/// Returns the place of a problem in this document; those in other files say nothing of it.
fn place_in(document: &Document, diagnostic: &Diagnostic) -> Option<Span> {
    diagnostic.primary().filter(|label| Arc::ptr_eq(&label.source, &document.source)).map(|label| label.span)
}

/// Returns the steps whose keys or inputs could not all be read.
fn holes(document: &Document, errors: &[(Code, Span)]) -> Vec<Span> {
    let makes_hole = |code: Code| {
        matches!(
            code,
            Code::UnknownKey | Code::KeyOfOtherVerb | Code::WrongKind | Code::DuplicateKey | Code::UnquotedTemplate
        )
    };
    let errors: Vec<_> = errors.iter().filter(|(code, _)| makes_hole(*code)).map(|(_, span)| *span).collect();
    if errors.is_empty() {
        return Vec::new();
    }
    let steps = Pointer::from_iter(["steps"]);
    document
        .workflow
        .steps
        .keys()
        .map(|id| document.map.value(&steps.join(id)))
        .filter(|step| errors.iter().any(|error| touches(*step, *error)))
        .collect()
}

fn touches(a: Span, b: Span) -> bool {
    a.start < b.end.max(b.start + 1) && b.start < a.end.max(a.start + 1)
}
