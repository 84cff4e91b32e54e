//! What a syntax error means: the parser's words and position become what a person did, where, and what to do instead.
//!
//! The parser says where it noticed, often a line after the mistake, and in the words of the YAML specification. Most files are
//! wrong in one of a dozen ways, which are recognised here by the message and the text around its place.

use std::{ops::Range, sync::Arc};

use super::Mask;
use crate::{
    diagnostic::{Code, Diagnostic, nearest},
    source::{Source, Span},
};

/// A syntax error, and the mask with which the file can be read on, if there is one.
pub(super) struct Trouble {
    pub(super) diagnostic: Diagnostic,
    pub(super) mask: Option<Mask>,
}

/// Tells of a template without quotes.
pub(super) fn unquoted(source: &Arc<Source>, span: Span) -> Diagnostic {
    let raw = source.text.get(span.range()).unwrap_or_default();
    let quoted = if raw.contains('"') { format!("'{}'", raw.replace('\'', "''")) } else { format!("\"{raw}\"") };
    let help = if raw.contains('\n') || raw.chars().count() > 60 {
        "put the value in quotes".to_owned()
    } else {
        format!("put it in quotes: `{quoted}`")
    };
    Diagnostic::error(Code::UnquotedTemplate, "a template needs quotes")
        .at(source, first_line(raw, span), "without them `{` starts a YAML map")
        .help(help)
}

/// Explains an error that the parser found at a byte of the source; `mark` bytes stand before the text.
pub(super) fn judge(source: &Arc<Source>, info: &str, byte: usize, mark: usize) -> Trouble {
    let text: &str = &source.text;
    let byte = floor(text, byte.min(text.len()));
    if let Some(trouble) = template(source, byte, mark).or_else(|| tab(source, info, byte)) {
        return trouble;
    }
    if info.contains("unknown anchor") {
        return alias(source, byte);
    }
    let here = Span { start: byte, end: byte + text[byte..].chars().next().map_or(0, char::len_utf8) };
    let scene = Scene { text, info, byte, line: line_of(text, byte), here };
    let known = scene.colons().or_else(|| scene.quotes()).or_else(|| scene.starts()).or_else(|| scene.indents());
    let mut code = Code::Syntax;
    let mut opened = None;
    let finding = if info.contains("recursion limit") {
        code = Code::TooLarge;
        scene.finding(
            "lists and maps are nested too deep",
            here,
            "too deep from here",
            "flatten it: no workflow needs this",
        )
    } else if let Some(open) =
        unclosed(text, byte, mark).filter(|_| scene.says(&["',' or '}'", "',' or ']'", "placement of ':'"]))
    {
        let close = if text[open..].starts_with('[') { ']' } else { '}' };
        let before = short(text[byte..scene.line.end].trim());
        opened = Some(Span { start: open, end: open + 1 });
        scene.finding(
            format!("a bracket is not closed, or a comma is missing before `{before}`"),
            here,
            "noticed here",
            format!("put commas between the entries and `{close}` at the end"),
        )
    } else {
        known.unwrap_or_else(|| {
            let words = info.replace("while scanning ", "in ").replace("while parsing ", "in ").replace('\'', "`");
            let help = "put the value in quotes if it is meant as text";
            scene.finding(format!("not valid YAML: {words}"), here, "noticed here", help)
        })
    };
    let mut diagnostic = Diagnostic::error(code, finding.message).at(source, finding.span, finding.label);
    if let Some(opened) = opened {
        diagnostic = diagnostic.also(source, opened, "opened here");
    }
    Trouble { diagnostic: diagnostic.help(finding.help), mask: None }
}

/// Where the parser stopped, and what it said.
struct Scene<'a> {
    text: &'a str,
    info: &'a str,
    byte: usize,
    line: Range<usize>,
    /// The character at the place.
    here: Span,
}

/// What happened there.
struct Finding {
    message: String,
    span: Span,
    label: &'static str,
    help: String,
}

impl Scene<'_> {
    fn says(&self, words: &[&str]) -> bool {
        words.iter().any(|words| self.info.contains(words))
    }

    #[expect(clippy::unused_self, reason = "reads as part of the scene")]
    fn finding(&self, message: impl Into<String>, span: Span, label: &'static str, help: impl Into<String>) -> Finding {
        Finding { message: message.into(), span, label, help: help.into() }
    }

    /// From the place to the end of its line.
    fn rest(&self) -> Span {
        trimmed(self.text, self.byte..self.line.end)
    }

    /// Colons that are missing, or one too many.
    fn colons(&self) -> Option<Finding> {
        let Self { text, byte, ref line, .. } = *self;
        if self.says(&["mapping values are not allowed"]) {
            let before = &text[line.start..byte];
            if let Some(colon) = before.find(": ") {
                let span = trimmed(text, line.start + colon + 2..line.end);
                let help = format!("put the value in quotes: `\"{}\"`", short(&text[span.range()]));
                return Some(self.finding(
                    "a value with `: ` in it needs quotes",
                    span,
                    "reads as a map inside a value",
                    help,
                ));
            }
            if let Some(above) = above(text, line.start)
                && !text[above.range()].contains(": ")
                && !text[above.range()].ends_with([':', '"', '\''])
            {
                let help = format!("write `{}:`", short(&text[above.range()]));
                return Some(self.finding("expected `key:`", above, "has no colon, but keys below it", help));
            }
            let message = "this key is indented deeper than the one above it";
            let help = "give it as many spaces as the keys that it belongs to";
            return Some(self.finding(message, trimmed(text, line.start..byte), "does not fit the value above", help));
        }
        if self.says(&["simple key expect"]) {
            let before = text[..byte].trim_end();
            let span = trimmed(text, line_of(text, before.len().saturating_sub(1).min(byte)));
            let found = &text[span.range()];
            let help = match found.split_once(':') {
                Some((key, value)) if !value.is_empty() => format!("put a space after the colon: `{key}: {value}`"),
                _ => format!("write `{}: …`, or indent the line if it goes on with the value above", short(found)),
            };
            return Some(self.finding("expected `key: value`", span, "has no colon with a space behind it", help));
        }
        None
    }

    /// Quotes that are not closed or closed too early, and escapes within them.
    fn quotes(&self) -> Option<Finding> {
        let Self { text, byte, ref line, here, .. } = *self;
        if self.says(&["trailing content after double-quoted"]) {
            let quote = text[line.start..byte].find(['"', '\'']).map_or(byte, |at| line.start + at);
            let help = if text[quote..].starts_with('\'') {
                "inside `'…'` write a quote twice: `''`"
            } else {
                "put the whole value in the quotes; inside `\"…\"` write a quote as `\\\"`"
            };
            return Some(self.finding(
                "text goes on after the closing quote",
                self.rest(),
                "this is outside of the quotes",
                help,
            ));
        }
        if self.says(&["indentation in quoted scalar", "quoted scalar, found unexpected"]) {
            return Some(self.finding(
                "a quote is never closed",
                here,
                "opened here",
                "close it at the end of the value",
            ));
        }
        if self.says(&["unknown escape"]) {
            let help = "write a backslash as `\\\\`, or use single quotes, in which it stands for itself";
            return Some(self.finding(
                "an escape that YAML does not have",
                escape(text, byte),
                "in a double-quoted string",
                help,
            ));
        }
        None
    }

    /// Values that start with something that YAML keeps for itself.
    fn starts(&self) -> Option<Finding> {
        let Self { text, byte, here, .. } = *self;
        if self.says(&["block sequence entries are not allowed"]) {
            let help = "start the list on the next line, or write it as `[a, b]`";
            return Some(self.finding(
                "a list with `-` cannot start on the line of its key",
                here,
                "starts here",
                help,
            ));
        }
        if self.says(&["unexpected character"]) {
            let found = text[byte..].chars().next().unwrap_or(' ');
            let help = format!("put it in quotes: `\"{}\"`", short(&text[self.rest().range()]));
            return Some(self.finding(format!("a value cannot start with `{found}`"), here, "reserved by YAML", help));
        }
        if self.says(&["misplaced bracket"]) {
            let message = "a bracket is closed that was not opened";
            return Some(self.finding(message, here, "closes nothing", "remove it, or open it before"));
        }
        if self.says(&["expected node content"]) {
            let help = "put the value in quotes if it starts with a special character";
            return Some(self.finding("expected a value", here, "found this instead", help));
        }
        None
    }

    /// Lines that fit nothing around them.
    fn indents(&self) -> Option<Finding> {
        let Self { text, byte, ref line, .. } = *self;
        let said =
            ["block mapping, did not find expected key", "block collection, did not find", "expected <document start>"];
        if !self.says(&said) {
            return None;
        }
        let content = text[line.clone()].trim_start();
        if !text[line.start..byte].trim().is_empty() && !content.starts_with("- ") {
            let help = "put the whole value in quotes";
            return Some(self.finding("text goes on after the value", self.rest(), "this does not belong to it", help));
        }
        let mapping = self.says(&["mapping"]);
        let (message, help) = if mapping && content.starts_with('-') {
            ("a list entry stands where a key is expected", "indent the `-` below the key that the list belongs to")
        } else if mapping {
            ("this line's indentation fits no map above it", "give it as many spaces as the keys that it belongs to")
        } else {
            let message = "this line fits neither the list above nor anything around it";
            (message, "start it with `- `, or indent it like the keys that it belongs to")
        };
        Some(self.finding(message, trimmed(text, line.clone()), "belongs to nothing", help))
    }
}

/// A template without quotes on the line of the error: YAML cannot read on after it.
fn template(source: &Arc<Source>, byte: usize, mark: usize) -> Option<Trouble> {
    let text: &str = &source.text;
    let line = line_of(text, byte);
    let content = &text[line.clone()];
    let mut from = 0;
    while let Some(at) = content[from..].find("{{").map(|at| at + from) {
        from = at + 2;
        let before = content[..at].trim_end();
        let starts_value =
            at + line.start == mark || before.is_empty() || before.ends_with([':', '-', ',', '[', '{', '?']);
        // Only what stands in no quotes, and not behind a comment.
        let quotes = |quote: char| before.matches(quote).count() % 2 == 1;
        if !starts_value || quotes('"') || quotes('\'') || before.contains(" #") || line.start + at > byte {
            continue;
        }
        let rest = &content[at..];
        let close = rest.find("}}").map_or(rest.len(), |close| close + 2);
        let after = rest[close..].trim_start();
        let inside_flow = before.contains(['[', '{']) && after.starts_with([',', ']', '}']);
        let end = if after.is_empty() || inside_flow || after.starts_with('#') {
            close
        } else {
            rest.find(" #").unwrap_or(rest.len()).max(close)
        };
        let end = at + rest[..end].trim_end().len();
        let span = Span { start: line.start + at, end: line.start + end };
        return Some(Trouble {
            diagnostic: unquoted(source, span),
            mask: Some(Mask { range: span.range(), with: 'x' }),
        });
    }
    None
}

fn tab(source: &Arc<Source>, info: &str, byte: usize) -> Option<Trouble> {
    let text: &str = &source.text;
    if info.contains("must be followed by a valid YAML whitespace") {
        let last = text[..byte].rfind('\t')?;
        let start = text[..=last].trim_end_matches('\t').len();
        let end = start + text[start..].len() - text[start..].trim_start_matches('\t').len();
        let diagnostic = Diagnostic::error(Code::Tab, "a tab stands between a key and its value")
            .at(source, Span { start, end }, "a tab")
            .help("use a space");
        return Some(Trouble { diagnostic, mask: Some(Mask { range: start..end, with: ' ' }) });
    }
    if !info.contains("tab") {
        return None;
    }
    // The parser may notice on the line before the tab.
    let first = line_of(text, byte);
    let mut lines = vec![first.clone()];
    if first.end < text.len() {
        lines.push(line_of(text, first.end + 1));
    }
    let line = lines.into_iter().find(|line| {
        let content = &text[line.clone()];
        content[..content.len() - content.trim_start().len()].contains('\t')
    })?;
    let start = line.start + text[line.clone()].find('\t')?;
    let end = start + text[start..].len() - text[start..].trim_start_matches('\t').len();
    let diagnostic = Diagnostic::error(Code::Tab, "a line is indented with a tab")
        .at(source, Span { start, end }, "a tab")
        .help("indent with spaces: YAML gives a tab no width");
    Some(Trouble { diagnostic, mask: None })
}

fn alias(source: &Arc<Source>, byte: usize) -> Trouble {
    let text: &str = &source.text;
    let name_end = |start: usize| {
        let rest = &text[start..];
        start + rest.find(|c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']' | '{' | '}')).unwrap_or(rest.len())
    };
    let end = name_end(byte);
    let name = text[byte..end].trim_start_matches('*');
    let anchors =
        text.match_indices('&').map(|(at, _)| &text[at + 1..name_end(at + 1)]).filter(|anchor| !anchor.is_empty());
    let later = text[end..].contains(&format!("&{name}"));
    let help = match nearest(name, anchors) {
        Some(_) if later => "an anchor must stand before its aliases: put it further up".to_owned(),
        Some(near) => format!("did you mean `*{near}`?"),
        None => format!("mark the value with `&{name}` first; text that starts with `*` needs quotes"),
    };
    let diagnostic = Diagnostic::error(Code::UnknownAlias, format!("no value before this is marked `&{name}`"))
        .at(source, Span { start: byte, end }, "unknown alias")
        .help(help);
    Trouble { diagnostic, mask: Some(Mask { range: byte..end, with: 'x' }) }
}

/// Finds the innermost bracket that is open before a byte.
fn unclosed(text: &str, byte: usize, mark: usize) -> Option<usize> {
    let mut open = Vec::new();
    let mut quote = None;
    for (at, c) in text[mark..byte].char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"') => quote = Some(c),
            (None, '[' | '{') => open.push(mark + at),
            (None, ']' | '}') => {
                open.pop();
            }
            _ => {}
        }
    }
    open.pop()
}

/// Finds the first escape after a quote that YAML does not have.
fn escape(text: &str, quote: usize) -> Span {
    let mut characters = text[quote..].char_indices();
    while let Some((at, c)) = characters.next() {
        if c == '\\'
            && let Some((_, letter)) = characters.next()
            && !"0abtnvfre \"/\\N_LPxuU\t\r\n".contains(letter)
        {
            let start = quote + at;
            return Span { start, end: start + 1 + letter.len_utf8() };
        }
    }
    Span { start: quote, end: quote + 1 }
}

fn line_of(text: &str, byte: usize) -> Range<usize> {
    let byte = floor(text, byte.min(text.len()));
    let start = text[..byte].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[byte..].find('\n').map_or(text.len(), |newline| byte + newline);
    let end = if text[byte..end].ends_with('\r') { end - 1 } else { end };
    start..end
}

fn trimmed(text: &str, range: Range<usize>) -> Span {
    let content = &text[range.clone()];
    let start = range.start + content.len() - content.trim_start().len();
    Span { start, end: start + content.trim().len() }
}

fn first_line(raw: &str, span: Span) -> Span {
    let line = raw.lines().next().unwrap_or_default();
    Span { start: span.start, end: span.start + line.len() }
}

/// Finds the nearest line above that is not empty.
fn above(text: &str, line_start: usize) -> Option<Span> {
    let end = text[..line_start].trim_end().len();
    (end > 0).then(|| trimmed(text, line_of(text, end - 1)))
}

fn short(text: &str) -> String {
    if text.chars().count() <= 40 { text.to_owned() } else { text.chars().take(39).chain(['…']).collect() }
}

fn floor(text: &str, mut byte: usize) -> usize {
    while !text.is_char_boundary(byte) {
        byte -= 1;
    }
    byte
}
