//! What can be wrong with a template, and where: from the engine's errors to ranges of the text and to diagnostics.
//!
//! The engine speaks of offsets in what it compiled; here they become bytes of the text as written. A message about something
//! undefined is made anew from the reference at that place, because it can then name what is there instead. What a secret's
//! value could have got into is redacted.

use std::{fmt, ops::Range, sync::Arc};

use minijinja::{Error, ErrorKind};

use super::{Reference, Scope};
use crate::{
    diagnostic::{Code, Diagnostic},
    source::{Pointer, Source, SourceMap},
};

/// Something wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// Which kind.
    pub kind: TemplateErrorKind,
    /// One sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The bytes of the template's text that are wrong.
    pub range: Range<usize>,
}

/// The kinds of what can be wrong with a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TemplateErrorKind {
    /// It cannot be read.
    Syntax,
    /// A name that templates do not have.
    UnknownName,
    /// A filter, test or function that templates do not have.
    UnknownFilter,
    /// A step whose name is known only when it is rendered.
    ComputedStep,
    /// A template in a key.
    InKey,
    /// Something that is not there was read.
    Undefined,
    /// A null in text.
    Null,
    /// A local file where none can be, or a path of one that cannot be.
    File,
    /// It does too much work.
    OutOfFuel,
    /// It, or what it makes, is too large.
    TooLarge,
    /// Anything else that failed while it was rendered.
    Failed,
}

impl TemplateErrorKind {
    /// Returns the code of its diagnostic.
    #[must_use]
    pub fn code(self) -> Code {
        match self {
            Self::Syntax => Code::TemplateSyntax,
            Self::UnknownName => Code::UnknownName,
            Self::UnknownFilter => Code::UnknownFilter,
            Self::ComputedStep => Code::ComputedStep,
            Self::InKey => Code::NoTemplateHere,
            Self::Undefined | Self::Null | Self::File | Self::OutOfFuel | Self::TooLarge | Self::Failed => {
                Code::TemplateFailed
            }
        }
    }
}

impl TemplateError {
    pub(crate) fn new(kind: TemplateErrorKind, message: impl Into<String>, range: Range<usize>) -> Self {
        Self { kind, message: message.into(), help: None, range }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// A null where text is wanted.
    pub(super) fn null(reference: &str, range: Range<usize>) -> Self {
        Self::new(TemplateErrorKind::Null, format!("`{reference}` is null, which has no text"), range)
            .help(format!("say what stands for it: `({reference} | default(\"\", true))`"))
    }

    /// Takes over an error of the parser. `offset` is where the parsed part begins in the text.
    pub(super) fn syntax(text: &str, offset: usize, error: &Error) -> Self {
        let detail = error.detail().map_or_else(|| error.kind().to_string(), ToOwned::to_owned);
        let kind =
            if detail.contains("maximum recursion") { TemplateErrorKind::TooLarge } else { TemplateErrorKind::Syntax };
        let mut range = place(text, offset..text.len(), error);
        let mut help = None;
        let mut message = match kind {
            TemplateErrorKind::TooLarge => "the template is nested too deeply".to_owned(),
            _ => format!("the template cannot be read: {detail}"),
        };
        if detail.contains("end of input") || detail.contains("unexpected end") {
            // The end of the text is where it was noticed; the opening that was never closed is what is wrong.
            let pairs = [("{{", "}}"), ("{%", "%}"), ("{#", "#}")];
            let open = pairs
                .iter()
                .filter_map(|&(open, close)| Some((text.rfind(open)?, open, close)))
                .filter(|&(at, _, close)| !text[at..].contains(close))
                .max();
            if let Some((at, open, close)) = open {
                range = at..at + open.len();
                message = format!("`{open}` is never closed");
                help = Some(format!("close it with `{close}`; for a literal `{open}` write `{{{{ \"{open}\" }}}}`"));
            }
        }
        Self { kind, message, help, range }
    }

    /// Takes over an error of the engine. `part` is what it rendered of the text.
    pub(super) fn rendering(
        text: &str,
        part: Range<usize>,
        error: &Error,
        references: &[Reference],
        scope: &Scope,
    ) -> Self {
        let mut range = place(text, part, error);
        // The engine's span of `a.b.c` starts at `.b`.
        if text[range.start..].starts_with(['.', '['])
            && let Some(whole) = references.iter().map(|it| &it.range).find(|it| it.contains(&range.start))
        {
            range.start = whole.start;
        }
        let flaw = Flaw::of(error);
        let kind = flaw.map_or_else(|| kind_of(error.kind()), |flaw| flaw.kind);
        let mut message = match kind {
            TemplateErrorKind::OutOfFuel => "the template does too much work".to_owned(),
            _ => error.detail().map_or_else(|| error.kind().to_string(), ToOwned::to_owned),
        };
        let mut help = flaw.and_then(|flaw| flaw.help.clone());
        let mut at = range.clone();
        if kind == TemplateErrorKind::Undefined {
            // The engine names the expression that was undefined, or at least its place or that of a filter behind it. Another
            // reference may be missing on purpose (`default`).
            let missing = references.iter().filter_map(|reference| Some((&reference.range, scope.missing(reference)?)));
            let found = if message.contains("` is undefined") {
                missing
                    .filter(|(_, missing)| message.contains(&format!("`{}`", missing.spelt)))
                    .map(|(_, missing)| missing)
                    .next()
            } else {
                let (inside, before): (Vec<_>, Vec<_>) = missing
                    .filter(|(place, _)| place.start < range.end)
                    .partition(|(place, _)| range.start < place.end);
                inside.into_iter().next().or(before.into_iter().next_back()).map(|(_, missing)| missing)
            };
            if let Some(missing) = found {
                (at, message) = (missing.range, missing.message);
                help = missing.help;
            } else if error.detail().is_none() {
                "this has no value".clone_into(&mut message);
                let has_condition = text.get(range.clone()).is_some_and(|part| part.contains(" if "));
                help = Some(if has_condition {
                    "an `if` without an `else` has no value when it does not hold".to_owned()
                } else {
                    "an empty list has no first and no last item, and a map no key that is not in it: write what stands for it then: `| default(…)`".to_owned()
                });
            }
        }
        Self { kind, message: scope.redact(message), help: help.map(|help| scope.redact(help)), range: at }
    }
}

/// Builds the diagnostic of a template's error, at its place in the file.
#[must_use]
pub fn diagnostic(error: &TemplateError, source: &Arc<Source>, map: &SourceMap, pointer: &Pointer) -> Diagnostic {
    let span = match error.kind {
        TemplateErrorKind::InKey => map.key(pointer),
        _ => map.within(pointer, error.range.clone()),
    };
    let diagnostic = Diagnostic::error(error.kind.code(), error.message.clone()).at(source, span, "");
    match &error.help {
        Some(help) => diagnostic.help(help.clone()),
        None => diagnostic,
    }
}

/// What our own filters, objects and limits say beyond a message; it travels as the source of the engine's error.
#[derive(Debug)]
pub(super) struct Flaw {
    kind: TemplateErrorKind,
    help: Option<String>,
}

impl Flaw {
    /// Builds an error of the engine that carries a kind and a help.
    pub(super) fn error(kind: TemplateErrorKind, message: impl Into<String>, help: Option<String>) -> Error {
        Error::new(ErrorKind::InvalidOperation, message.into()).with_source(Self { kind, help })
    }

    fn of(error: &Error) -> Option<&Self> {
        let mut source = std::error::Error::source(error);
        while let Some(error) = source {
            if let Some(flaw) = error.downcast_ref::<Self>() {
                return Some(flaw);
            }
            source = error.source();
        }
        None
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.help.as_deref().unwrap_or_default())
    }
}

impl std::error::Error for Flaw {}

fn kind_of(kind: ErrorKind) -> TemplateErrorKind {
    match kind {
        ErrorKind::SyntaxError => TemplateErrorKind::Syntax,
        ErrorKind::UndefinedError => TemplateErrorKind::Undefined,
        ErrorKind::OutOfFuel => TemplateErrorKind::OutOfFuel,
        ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction | ErrorKind::UnknownMethod => {
            TemplateErrorKind::UnknownFilter
        }
        _ => TemplateErrorKind::Failed,
    }
}

/// Returns the bytes of the text at which an error stands; the whole part where the engine does not say.
fn place(text: &str, part: Range<usize>, error: &Error) -> Range<usize> {
    match error.range() {
        Some(range) => fit(text, range.start + part.start..range.end + part.start),
        None => fit(text, part),
    }
}

/// Returns the range cut to the text and to whole characters.
pub(super) fn fit(text: &str, range: Range<usize>) -> Range<usize> {
    let mut end = range.end.min(text.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    let mut start = range.start.min(end);
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    start..end
}
