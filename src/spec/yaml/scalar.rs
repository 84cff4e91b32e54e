//! Scalars: what the YAML 1.2 core schema takes a plain text for, and where each character of a string stands in the source.
//!
//! The parser hands out the text of a scalar with quoting, escapes and folding undone. To point into it later, that work is
//! done once more here, noting where each piece came from. Where the two disagree, which no test could provoke, the string
//! has no runs and is pointed at as a whole.

use std::sync::Arc;

use serde_json::{Number, Value};

use crate::{
    diagnostic::{Code, Diagnostic},
    source::{Source, Span},
};

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
    /// Literal or folded.
    Block,
}

/// A scalar's value, and for a string the places of its pieces (see `Place::runs`).
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    pub(super) value: Value,
    pub(super) runs: Vec<(usize, usize)>,
    /// Whether it is written without quotes, on one line.
    pub(super) plain: bool,
}

impl Scalar {
    /// A string that is taken from the source as it stands.
    pub(super) fn raw(text: &str, span: Span) -> Self {
        Self { value: Value::String(text.to_owned()), runs: vec![(0, span.start)], plain: false }
    }

    /// A string in quotes or in a block.
    pub(super) fn string(text: &str, style: Style, source: &Source, span: Span) -> Self {
        let slice = source.text.get(span.range()).unwrap_or_default();
        let runs = match style {
            Style::Plain if slice == text => vec![(0, span.start)],
            Style::Block => block_runs(text, source, span),
            _ => flow_runs(text, slice, style, span.start),
        };
        Self { value: Value::String(text.to_owned()), runs, plain: false }
    }

    /// A scalar without quotes: null, a boolean, a number, or a string.
    pub(super) fn plain(text: &str, source: &Arc<Source>, span: Span) -> (Self, Option<Diagnostic>) {
        let mut diagnostic = None;
        let value = match text {
            "" | "~" | "null" | "Null" | "NULL" => Value::Null,
            "true" | "True" | "TRUE" => Value::Bool(true),
            "false" | "False" | "FALSE" => Value::Bool(false),
            _ if text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) => match number(text) {
                None => return (Self { plain: true, ..Self::string(text, Style::Plain, source, span) }, None),
                Some(Read::Number(number)) => {
                    let digits = text.trim_start_matches(['+', '-']);
                    if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()) {
                        diagnostic = Some(
                            Diagnostic::warning(Code::LeadingZero, format!("`{text}` is the number {number}"))
                                .at(source, span, "the leading zero means nothing")
                                .help(format!("write `{number}`, or `\"{text}\"` for the text")),
                        );
                    }
                    Value::Number(number)
                }
                Some(Read::NotFinite) => {
                    diagnostic = Some(
                        Diagnostic::error(Code::OutOfRange, format!("`{text}` is no number that JSON has"))
                            .at(source, span, "neither infinities nor NaN can be sent")
                            .help(format!("write a number, or `\"{text}\"` for the text")),
                    );
                    Value::Null
                }
                Some(Read::TooLarge) => {
                    diagnostic = Some(
                        Diagnostic::error(Code::OutOfRange, "the number is too large to be kept exactly")
                            .at(source, span, "does not fit into 64 bits")
                            .help(format!("put it in quotes if it is a name or an id: `\"{text}\"`")),
                    );
                    Value::Null
                }
            },
            _ => return (Self { plain: true, ..Self::string(text, Style::Plain, source, span) }, None),
        };
        (Self { value, runs: Vec::new(), plain: true }, diagnostic)
    }
}

enum Read {
    Number(Number),
    NotFinite,
    TooLarge,
}

/// Reads a number of the core schema; none where the text is a string.
fn number(text: &str) -> Option<Read> {
    if let Some(digits) = text.strip_prefix("0x") {
        return based(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return based(digits, 8);
    }
    if text == ".nan" || text == ".NaN" || text == ".NAN" {
        return Some(Read::NotFinite);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Some(Read::NotFinite);
    }
    if !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit()) {
        let number = text.strip_prefix('+').unwrap_or(text);
        let number = number.parse::<i64>().map(Number::from).or_else(|_| number.parse::<u64>().map(Number::from));
        return Some(number.map_or(Read::TooLarge, Read::Number));
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let good = digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|e| {
            let e = e.strip_prefix(['+', '-']).unwrap_or(e);
            !e.is_empty() && digits(e)
        });
    if !good {
        return None;
    }
    let number = text.parse::<f64>().ok().and_then(Number::from_f64);
    Some(number.map_or(Read::TooLarge, Read::Number))
}

fn based(digits: &str, base: u32) -> Option<Read> {
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    Some(u64::from_str_radix(digits, base).map_or(Read::TooLarge, |number| Read::Number(number.into())))
}

/// Returns how long a text in quotes is, the quotes included; nothing where it has none.
pub(super) fn closed(raw: &str, style: Style) -> Option<usize> {
    let quote = match style {
        Style::Single => '\'',
        Style::Double => '"',
        Style::Plain | Style::Block => return None,
    };
    let mut rest = raw.char_indices().peekable();
    rest.next_if(|(_, first)| *first == quote)?;
    while let Some((at, char)) = rest.next() {
        if char == '\\' && quote == '"' {
            rest.next();
        } else if char == quote && (quote == '"' || rest.next_if(|(_, next)| *next == quote).is_none()) {
            return Some(at + 1);
        }
    }
    None
}

/// Finds the tag and the end of the properties (`&anchor`, `!tag`) that a node's span starts with.
pub(super) fn properties(source: &Source, span: Span) -> (Option<Span>, usize) {
    let bytes = source.text.as_bytes();
    let mut at = span.start;
    let mut tag = None;
    loop {
        let found = match bytes.get(at) {
            Some(b'&') => false,
            Some(b'!') => true,
            _ => return (tag, at),
        };
        let start = at;
        while at < span.end && bytes.get(at).is_some_and(|byte| !byte.is_ascii_whitespace()) {
            at += 1;
        }
        if found {
            tag = Some(Span { start, end: at });
        }
        // White space and comments up to the content.
        let end = at;
        loop {
            match bytes.get(at) {
                Some(byte) if byte.is_ascii_whitespace() && at < span.end => at += 1,
                Some(b'#') if at < span.end => {
                    while at < span.end && bytes.get(at).is_some_and(|&byte| byte != b'\n') {
                        at += 1;
                    }
                }
                _ => break,
            }
        }
        if start == end {
            return (tag, at);
        }
    }
}

/// Where the characters of a plain or quoted scalar come from.
fn flow_runs(value: &str, slice: &str, style: Style, start: usize) -> Vec<(usize, usize)> {
    let inner = match style {
        Style::Plain | Style::Block => 0..slice.len(),
        Style::Single | Style::Double => 1..slice.len().saturating_sub(1).max(1),
    };
    let Some(text) = slice.get(inner.clone()) else { return Vec::new() };
    let base = start + inner.start;
    let mut runs = vec![(0, base)];
    let mut out = String::with_capacity(value.len());
    let mut at = 0;
    while at < text.len() {
        // The parser's span of a broken text may end within a quote.
        let Some(rest) = text.get(at..) else { return Vec::new() };
        let Some(c) = rest.chars().next() else { break };
        match c {
            '\'' if style == Style::Single => {
                if !rest.starts_with("''") {
                    return Vec::new();
                }
                out.push('\'');
                at += 2;
                runs.push((out.len(), base + at));
            }
            '\\' if style == Style::Double => {
                let Some((piece, length)) = escape(rest) else { return Vec::new() };
                runs.push((out.len(), base + at));
                if let Some(piece) = piece {
                    out.push(piece);
                }
                at += length;
                runs.push((out.len(), base + at));
            }
            ' ' | '\t' | '\r' | '\n' => {
                let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
                let breaks = rest[..blank].bytes().filter(|&byte| byte == b'\n').count();
                if breaks == 0 {
                    out.push_str(&rest[..blank]);
                    at += blank;
                } else {
                    runs.push((out.len(), base + at));
                    if breaks == 1 {
                        out.push(' ');
                    } else {
                        out.extend(std::iter::repeat_n('\n', breaks - 1));
                    }
                    at += blank;
                    runs.push((out.len(), base + at));
                }
            }
            c => {
                out.push(c);
                at += c.len_utf8();
            }
        }
    }
    if out != value {
        return Vec::new();
    }
    // Of several runs at one byte of the value the last one counts.
    runs.reverse();
    runs.dedup_by_key(|&mut (value, _)| value);
    runs.reverse();
    runs
}

/// Reads an escape of a double-quoted scalar: its character, if it has one, and its length.
fn escape(rest: &str) -> Option<(Option<char>, usize)> {
    let letter = rest[1..].chars().next()?;
    let simple = match letter {
        '0' => '\0',
        'a' => '\u{7}',
        'b' => '\u{8}',
        't' | '\t' => '\t',
        'n' => '\n',
        'v' => '\u{b}',
        'f' => '\u{c}',
        'r' => '\r',
        'e' => '\u{1b}',
        ' ' | '"' | '/' | '\\' => letter,
        'N' => '\u{85}',
        '_' => '\u{a0}',
        'L' => '\u{2028}',
        'P' => '\u{2029}',
        'x' | 'u' | 'U' => {
            let digits = match letter {
                'x' => 2,
                'u' => 4,
                _ => 8,
            };
            let code = u32::from_str_radix(rest.get(2..2 + digits)?, 16).ok()?;
            return Some((Some(char::from_u32(code)?), 2 + digits));
        }
        '\n' | '\r' => {
            let after = rest[1..].trim_start_matches('\r');
            let after = after.strip_prefix('\n')?;
            let blank = after.trim_start_matches([' ', '\t']);
            return Some((None, rest.len() - blank.len()));
        }
        _ => return None,
    };
    Some((Some(simple), 1 + letter.len_utf8()))
}

/// Where the lines of a literal or folded scalar come from. The span starts at its first character.
fn block_runs(value: &str, source: &Source, span: Span) -> Vec<(usize, usize)> {
    let text = &source.text;
    let line_start = text[..span.start].rfind('\n').map_or(0, |newline| newline + 1);
    let lines: Vec<(usize, &str)> = text[line_start..span.end]
        .split_inclusive('\n')
        .scan(line_start, |at, line| {
            let start = *at;
            *at += line.len();
            Some((start, line.trim_end_matches(['\n', '\r'])))
        })
        .filter(|(_, line)| !line.trim().is_empty())
        .collect();
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let common = lines.iter().map(|(_, line)| indent(line)).min().unwrap_or(0);
    let mut runs = Vec::with_capacity(lines.len());
    let mut at = 0;
    for (start, line) in lines {
        let content = &line[common..];
        let Some(found) = value[at..].find(|c| !matches!(c, ' ' | '\n' | '\t')).map(|found| found + at) else { break };
        // Step back over the spaces that belong to the line itself.
        let own = content.len() - content.trim_start_matches([' ', '\t']).len();
        let own = own.min(found - at);
        at = found - own;
        let content_start = start + common + (content.len() - content.trim_start_matches([' ', '\t']).len()) - own;
        runs.push((at, content_start));
        // The last line of the span has lost its trailing white space, its value may still have it.
        at += content.trim_end().len() - (content_start - start - common);
        if at > value.len() || !value.is_char_boundary(at) {
            return Vec::new();
        }
    }
    runs
}
