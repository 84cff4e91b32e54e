//! How diagnostics look: for people, as data, and as annotations of GitHub's log.
//!
//! The text of a file is nobody's to trust: it may have a line of a megabyte or escape sequences. So lines are cut around what
//! is underlined, and control characters are shown, not obeyed. Spans are clamped: the drawing library panics on one that is
//! out of range.

use std::{fmt::Write as _, ops::Range, sync::Arc};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::{Value, json};

use super::{Diagnostic, Label, Severity};
use crate::source::{Source, Span};

/// The most characters of a line of source that are shown.
const LONGEST_LINE: usize = 160;

/// How many characters before the first underlined one are kept of a line that is cut.
const BEFORE: usize = 40;

/// Between labels that are further apart than this many lines, the lines are not even looked at.
const FARTHEST: usize = 2000;

/// The most diagnostics that are drawn: nobody reads further, and drawing costs more than finding.
const MOST: usize = 100;

/// Draws diagnostics for people, one after the other, with an empty line behind each; of very many only the first.
#[must_use]
pub fn human(diagnostics: &[Diagnostic], color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.term_width(LONGEST_LINE + 20);
    let mut out = String::new();
    for diagnostic in diagnostics.iter().take(MOST) {
        let drawn = draw(diagnostic, &renderer);
        for line in drawn.lines() {
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out.push('\n');
    }
    if let more @ 1.. = diagnostics.len().saturating_sub(MOST) {
        let _ = writeln!(out, "… and {more} more\n");
    }
    out
}

fn draw(diagnostic: &Diagnostic, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(visible(&diagnostic.message)).id(diagnostic.code.to_string());
    let mut group = Group::with_title(title);
    let mut sources: Vec<&Arc<Source>> = Vec::new();
    let primary = diagnostic.primary().into_iter();
    for label in primary.chain(&diagnostic.labels) {
        if !sources.contains(&&label.source) {
            sources.push(&label.source);
        }
    }
    // Where the library would say that a place is, and where it is: they differ on a line that was cut.
    let mut corrections = Vec::new();
    for source in sources {
        let name = visible(&source.name);
        let labels: Vec<&Label> = diagnostic.labels.iter().filter(|label| label.source == *source).collect();
        if source.text.is_empty() {
            group = group.element(Origin::path(name));
            continue;
        }
        for (start, text, spans) in windows(source, &labels) {
            for (range, label) in &spans {
                let line = text[..range.start].rfind('\n').map_or(0, |newline| newline + 1);
                let drawn = text[line..range.start].chars().count() + 1;
                let position = source.position(label.span.start);
                if drawn != position.column && label.primary {
                    let place = |column| format!("{name}:{}:{column}", position.line);
                    corrections.push((place(drawn), place(position.column)));
                }
            }
            let annotations = spans.into_iter().map(|(range, label)| {
                let kind = if label.primary { AnnotationKind::Primary } else { AnnotationKind::Context };
                let annotation = kind.span(range);
                if label.text.is_empty() { annotation } else { annotation.label(visible(&label.text)) }
            });
            let snippet = Snippet::source(text).line_start(start).path(name.clone()).fold(true);
            group = group.element(snippet.annotations(annotations.collect::<Vec<_>>()));
        }
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(visible(help)));
    }
    let mut drawn = renderer.render(&[group]);
    for (found, right) in corrections {
        drawn = drawn.replacen(&found, &right, 1);
    }
    drawn
}

/// A line of the source that is shown: its bytes, and what is shown of them.
struct Shown {
    range: Range<usize>,
    text: String,
    /// The bytes of the source that `text` shows, and how many bytes of `text` stand before them.
    kept: Range<usize>,
    before: usize,
}

/// Some lines: the number of the first, their text, and the bytes of each label in it.
type Window<'l> = (usize, String, Vec<(Range<usize>, &'l Label)>);

/// Cuts out the lines that the labels stand on, with those between.
fn windows<'l>(source: &Source, labels: &[&'l Label]) -> Vec<Window<'l>> {
    let text: &str = &source.text;
    if text.is_empty() {
        return Vec::new();
    }
    let mut placed: Vec<(usize, Span, &Label)> =
        labels.iter().map(|label| (source.position(label.span.start).line, clamp(text, label.span), *label)).collect();
    placed.sort_by_key(|&(line, span, _)| (line, span));
    let mut out = Vec::new();
    let mut last_line = 0;
    for group in placed.chunk_by(|a, b| b.0 - a.0 <= FARTHEST) {
        let first_line = group[0].0;
        let mut number = first_line;
        let mut shown = String::new();
        let mut annotations = Vec::new();
        let mut at = text[..group[0].1.start].rfind('\n').map_or(0, |newline| newline + 1);
        last_line = group.last().map_or(last_line, |&(line, _, _)| line);
        while number <= last_line {
            let end = text[at..].find('\n').map_or(text.len(), |newline| at + newline);
            let here: Vec<_> = group.iter().filter(|(line, _, _)| *line == number).collect();
            let line = cut(text, at..end, here.first().map(|(_, span, _)| span.start));
            for (_, span, label) in here {
                let offset = |byte: usize| {
                    shown.len() + line.before + byte.clamp(line.kept.start, line.kept.end) - line.kept.start
                };
                // A place behind the end of a line is shown just behind it.
                annotations.push((offset(span.start)..offset(span.end.min(line.range.end).max(span.start)), *label));
            }
            shown.push_str(&line.text);
            shown.push('\n');
            at = (end + 1).min(text.len());
            number += 1;
        }
        out.push((first_line, shown, annotations));
    }
    out
}

/// Shows a line, of a long one a part around what matters.
fn cut(text: &str, range: Range<usize>, matters: Option<usize>) -> Shown {
    let line = &text[range.clone()];
    let line = line.strip_suffix('\r').unwrap_or(line);
    let line_end = range.start + line.len();
    let mut kept = range.start..line_end;
    // Not counted to the end: a file of one line may have a thousand mistakes.
    if line.len() > LONGEST_LINE && line.chars().nth(LONGEST_LINE).is_some() {
        let from = matters.unwrap_or(range.start).min(line_end);
        let back = text[range.start..from].char_indices().rev().take(BEFORE).last();
        let cuts_start = text[range.start..from].chars().nth(LONGEST_LINE / 2).is_some();
        kept.start = if cuts_start { back.map_or(from, |(at, _)| range.start + at) } else { range.start };
        kept.end =
            text[kept.start..line_end].char_indices().nth(LONGEST_LINE).map_or(line_end, |(at, _)| kept.start + at);
    }
    let mut shown = String::new();
    if kept.start > range.start {
        shown.push('…');
    }
    let before = shown.len();
    shown.push_str(&text[kept.clone()]);
    if kept.end < line_end {
        shown.push('…');
    }
    Shown { range: range.start..line_end, text: shown, kept, before }
}

/// Puts a span inside its text, on boundaries of characters, and on one line.
fn clamp(text: &str, span: Span) -> Span {
    let floor = |mut byte: usize| {
        byte = byte.min(text.len());
        while !text.is_char_boundary(byte) {
            byte -= 1;
        }
        byte
    };
    let start = floor(span.start);
    let end = floor(span.end.max(start));
    let line = text[start..end].lines().next().unwrap_or_default();
    Span { start, end: start + line.len() }
}

/// Replaces control characters, so that a file's text cannot steer the terminal.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// Writes diagnostics as data, in the form of `schemas/diagnostics.schema.json`.
#[must_use]
pub fn json(diagnostics: &[Diagnostic]) -> Value {
    let span = |label: &Label| {
        let span = clamp_range(&label.source.text, label.span);
        json!({ "start": label.source.position(span.start), "end": label.source.position(span.end) })
    };
    diagnostics
        .iter()
        .map(|diagnostic| {
            let primary = diagnostic.primary();
            let labels: Value = diagnostic
                .labels
                .iter()
                .map(|label| json!({ "file": label.source.name, "span": span(label), "text": label.text, "primary": label.primary }))
                .collect();
            json!({
                "code": diagnostic.code,
                "severity": diagnostic.severity,
                "message": diagnostic.message,
                "file": primary.map(|label| &label.source.name),
                "span": primary.map(span),
                "labels": labels,
                "help": diagnostic.help,
            })
        })
        .collect()
}

fn clamp_range(text: &str, span: Span) -> Span {
    let start = span.start.min(text.len());
    Span { start, end: span.end.clamp(start, text.len()) }
}

/// Returns the JSON Schema of [`json()`]'s form.
#[must_use]
pub fn json_schema() -> Value {
    let position = json!({
        "type": "object",
        "properties": { "line": { "type": "integer", "minimum": 1 }, "column": { "type": "integer", "minimum": 1 } },
        "required": ["line", "column"],
        "additionalProperties": false,
    });
    let span = json!({
        "type": "object",
        "description": "Lines and columns from 1; columns count characters; the end is behind the last one.",
        "properties": { "start": { "$ref": "#/$defs/position" }, "end": { "$ref": "#/$defs/position" } },
        "required": ["start", "end"],
        "additionalProperties": false,
    });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Dagwood's diagnostics",
        "description": "What is wrong with files that people wrote: errors first, then by place.",
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "code": { "type": "string", "pattern": "^DW[0-9]{3}$", "description": "The kind of problem; `dagwood explain` tells more about it." },
                "severity": { "enum": ["error", "warning"] },
                "message": { "type": "string", "description": "One sentence; literals stand in backticks." },
                "file": { "type": ["string", "null"], "description": "The file of the place that is wrong." },
                "span": { "anyOf": [{ "$ref": "#/$defs/span" }, { "type": "null" }], "description": "The place that is wrong." },
                "labels": {
                    "type": "array",
                    "description": "All places, the one that is wrong first.",
                    "items": {
                        "type": "object",
                        "properties": {
                            "file": { "type": "string" },
                            "span": { "$ref": "#/$defs/span" },
                            "text": { "type": "string" },
                            "primary": { "type": "boolean", "description": "Whether this is the place that is wrong, not one that explains it." },
                        },
                        "required": ["file", "span", "text", "primary"],
                        "additionalProperties": false,
                    },
                },
                "help": { "type": ["string", "null"], "description": "What to do about it." },
            },
            "required": ["code", "severity", "message", "file", "span", "labels", "help"],
            "additionalProperties": false,
        },
        "$defs": { "position": position, "span": span },
    })
}

/// Writes diagnostics as workflow commands of GitHub Actions, which shows them beside the lines.
#[must_use]
pub fn github(diagnostics: &[Diagnostic]) -> String {
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    let mut out = String::new();
    for diagnostic in diagnostics {
        let severity = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let place = diagnostic.primary().map_or_else(String::new, |label| {
            let span = clamp_range(&label.source.text, label.span);
            let (start, end) = (label.source.position(span.start), label.source.position(span.end));
            let mut place = format!("file={},line={},col={},", property(&label.source.name), start.line, start.column);
            if end.line == start.line && end.column > start.column {
                // GitHub counts the last column in.
                let _ = write!(place, "endColumn={},", end.column - 1);
            }
            place
        });
        let mut message = diagnostic.message.clone();
        if let Some(help) = &diagnostic.help {
            message.push_str("\nhelp: ");
            message.push_str(help);
        }
        let _ = writeln!(out, "::{severity} {place}title={}::{}", diagnostic.code, data(&message));
    }
    out
}

/// Counts what is wrong with a file in one line; none where nothing is.
#[must_use]
pub fn summary_line(name: &str, diagnostics: &[Diagnostic]) -> Option<String> {
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
    let warnings = diagnostics.len() - errors;
    let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
    let name = visible(name);
    match (errors, warnings) {
        (0, 0) => None,
        (0, warnings) => Some(format!("{name}: {}", count(warnings, "warning"))),
        (errors, 0) => Some(format!("{name}: {}, nothing was sent", count(errors, "error"))),
        (errors, warnings) => {
            Some(format!("{name}: {} and {}, nothing was sent", count(errors, "error"), count(warnings, "warning")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Code;

    fn source(text: &str) -> Arc<Source> {
        Arc::new(Source::new("workflows/a.yaml", text))
    }

    #[test]
    fn a_diagnostic_is_drawn_with_its_lines() {
        let source = source("steps:\n  render:\n    app: Sketch\n    inputs:\n      Aspect ration: x\n");
        let diagnostic = Diagnostic::error(Code::UnknownInput, "app `Sketch` has no input `Aspect ration`")
            .at(&source, Span::new(51..64), "unknown input")
            .also(&source, Span::new(9..15), "in this step")
            .help("did you mean `Aspect Ratio`?");
        let drawn = human(&[diagnostic], false);
        let expected = "\
error[DW204]: app `Sketch` has no input `Aspect ration`
 --> workflows/a.yaml:5:7
  |
2 |   render:
  |   ------ in this step
...
5 |       Aspect ration: x
  |       ^^^^^^^^^^^^^ unknown input
  |
  = help: did you mean `Aspect Ratio`?

";
        assert_eq!(drawn, expected, "{drawn}");
    }

    #[test]
    fn spans_out_of_range_and_endless_lines_are_survived() {
        let long = format!("a: {}é{}\n", "x".repeat(500_000), "y".repeat(500_000));
        let source = source(&long);
        for span in
            [0..1, 500_003..500_005, 0..long.len(), 5_000_000..6_000_000, 500_004..500_004, long.len()..long.len()]
        {
            let diagnostic =
                Diagnostic::error(Code::Syntax, "long\u{1b}[31m").at(&source, Span::new(span.clone()), "here");
            let drawn = human(std::slice::from_ref(&diagnostic), false);
            assert!(drawn.len() < 2000 && drawn.contains("here") && !drawn.contains('\u{1b}'), "{span:?}: {drawn}");
            assert!(json(&[diagnostic])[0]["span"]["start"]["line"].is_u64());
        }
        let many = vec![Diagnostic::error(Code::Syntax, "m").at(&source, Span::new(0..1), ""); 300];
        assert!(human(&many, false).ends_with("\n\n… and 200 more\n\n"));
        let empty = self::source("");
        let drawn = human(&[Diagnostic::error(Code::TooLarge, "m").at(&empty, Span::default(), "")], false);
        assert!(drawn.contains("--> workflows/a.yaml\n"), "{drawn}");
    }

    #[test]
    fn github_gets_its_escapes() {
        let source = Arc::new(Source::new("a,b.yaml", "x: y\n"));
        let diagnostic = Diagnostic::error(Code::Syntax, "100% wrong").at(&source, Span::new(3..4), "").help("fix: it");
        assert_eq!(
            github(&[diagnostic]),
            "::error file=a%2Cb.yaml,line=1,col=4,endColumn=4,title=DW101::100%25 wrong%0Ahelp: fix: it\n"
        );
    }

    #[test]
    fn a_file_is_summed_up() {
        let error = Diagnostic::error(Code::Syntax, "");
        let warning = Diagnostic::warning(Code::LeadingZero, "");
        assert_eq!(summary_line("a.yaml", &[]), None);
        assert_eq!(
            summary_line("a.yaml", std::slice::from_ref(&error)).as_deref(),
            Some("a.yaml: 1 error, nothing was sent")
        );
        assert_eq!(
            summary_line("a.yaml", &[error.clone(), error, warning]).as_deref(),
            Some("a.yaml: 2 errors and 1 warning, nothing was sent")
        );
    }
}
