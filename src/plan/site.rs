//! Where a problem stands: builds diagnostics with places of one document.

use std::{cell::RefCell, ops::Range};

use super::local::NamedFile;
use crate::{
    diagnostic::{Diagnostic, Severity},
    source::{Pointer, Span},
    spec::Document,
    template::{self, TemplateError},
};

/// How many problems of one document are told. Somebody who has more has one mistake many times.
const MOST: usize = 1000;

/// A document, and the problems found in it so far.
#[derive(Debug)]
pub(super) struct Site<'a> {
    pub(super) document: &'a Document,
    found: RefCell<Vec<Diagnostic>>,
    files: RefCell<Vec<NamedFile>>,
    failed: RefCell<bool>,
}

/// A place in the document.
#[derive(Clone, Debug)]
pub(super) enum At<'a> {
    /// The key of a node.
    Key(&'a Pointer),
    /// The value of a node.
    Value(&'a Pointer),
    /// Some bytes of a string.
    Within(&'a Pointer, Range<usize>),
}

impl<'a> Site<'a> {
    pub(super) fn new(document: &'a Document) -> Self {
        Self { document, found: RefCell::default(), files: RefCell::default(), failed: RefCell::new(false) }
    }

    /// Takes a problem.
    pub(super) fn tell(&self, diagnostic: Diagnostic) {
        if diagnostic.severity == Severity::Error {
            self.failed.replace(true);
        }
        let mut found = self.found.borrow_mut();
        // What stands in for a step has its inputs: one mistake of theirs is told once.
        if found.len() < MOST && !found.contains(&diagnostic) {
            found.push(diagnostic);
        }
    }

    /// Takes a local file that is surely handed over.
    pub(super) fn names(&self, file: NamedFile) {
        self.files.borrow_mut().push(file);
    }

    /// Notes that there can be no plan because of something that the reader has told already.
    pub(super) fn told_before(&self) {
        self.failed.replace(true);
    }

    /// Says whether something is written in the file, though it could not be read.
    pub(super) fn is_written(&self, part: &str, name: &str) -> bool {
        self.document.map.get(&Pointer::from_iter([part, name])).is_some()
    }

    /// Takes the problems of a template.
    pub(super) fn tell_template(&self, pointer: &Pointer, error: &TemplateError) {
        self.tell(template::diagnostic(error, &self.document.source, &self.document.map, pointer));
    }

    /// Says whether names that are near to a wrong one are still looked for: with very many wrong ones that would take long.
    pub(super) fn has_time(&self) -> bool {
        self.found.borrow().len() < MOST / 10
    }

    pub(super) fn has_failed(&self) -> bool {
        *self.failed.borrow()
    }

    pub(super) fn into_parts(self) -> (Vec<Diagnostic>, Vec<NamedFile>) {
        (self.found.into_inner(), self.files.into_inner())
    }

    pub(super) fn span(&self, at: &At<'_>) -> Span {
        let map = &self.document.map;
        match at {
            At::Key(pointer) => map.key(pointer),
            At::Value(pointer) => map.value(pointer),
            At::Within(pointer, range) => map.within(pointer, range.clone()),
        }
    }

    /// Adds the place that is wrong.
    pub(super) fn at(&self, diagnostic: Diagnostic, at: &At<'_>, text: impl Into<String>) -> Diagnostic {
        diagnostic.at(&self.document.source, self.span(at), text)
    }

    /// Adds a place that explains.
    pub(super) fn also(&self, diagnostic: Diagnostic, at: &At<'_>, text: impl Into<String>) -> Diagnostic {
        diagnostic.also(&self.document.source, self.span(at), text)
    }
}

/// Adds a help where there is one.
pub(super) fn helped(diagnostic: Diagnostic, help: Option<String>) -> Diagnostic {
    match help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

/// Returns "did you mean …?" for a misspelt name, else the list of what there is.
pub(super) fn suggestion<'n>(
    site: &Site<'_>,
    found: &str,
    known: impl Iterator<Item = &'n str> + Clone,
    there_are: &str,
) -> Option<String> {
    const MOST_LISTED: usize = 12;
    if !site.has_time() {
        return None;
    }
    if let Some(near) = crate::diagnostic::nearest(found, known.clone()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let mut names: Vec<_> = known.take(MOST_LISTED + 1).map(|name| format!("`{name}`")).collect();
    if names.is_empty() {
        return None;
    }
    if names.len() > MOST_LISTED {
        "…".clone_into(&mut names[MOST_LISTED]);
    }
    Some(format!("{there_are} {}", names.join(", ")))
}
