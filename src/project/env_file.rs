//! `env_file`: variables for where nobody sets an environment, such as cron: `NAME=VALUE` lines.
//!
//! The forms are those that shells and other tools agree on: `export ` before a name, `#` comments, `'…'` taken as it is, `"…"` with
//! `\n`, `\t`, `\"`, `\\` and `\$`. Nothing is expanded: a `$` is a `$`. A value is most often a key, so no diagnostic shows one.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    diagnostic::{Code, Diagnostic},
    source::{Source, Span},
};

/// The most bytes of such a file: a hundred keys take some kilobytes.
pub const LARGEST_ENV_FILE: u64 = 1 << 20;

/// Reads the variables of an env file.
///
/// # Errors
///
/// Everything that is wrong with it, values hidden.
pub fn variables(source: &Source) -> Result<BTreeMap<String, String>, Vec<Diagnostic>> {
    let shown = Arc::new(Source::new(source.name.clone(), hidden(&source.text)));
    let mut found: BTreeMap<String, (String, Span)> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut start = 0;
    for line in source.text.split_inclusive('\n') {
        let span = trimmed(line, start);
        start += line.len();
        let line = &source.text[span.range()];
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match assignment(line) {
            Ok((name, value)) => {
                if let Some((_, first)) = found.insert(name.to_owned(), (value, span)) {
                    wrong.push(
                        Diagnostic::error(Code::EnvFile, format!("the variable `{name}` is set twice"))
                            .at(&shown, span, "here again")
                            .also(&shown, first, "first here")
                            .help("keep one of the two"),
                    );
                }
            }
            Err((message, help)) => {
                wrong.push(Diagnostic::error(Code::EnvFile, message).at(&shown, span, "").help(help));
            }
        }
    }
    if wrong.is_empty() { Ok(found.into_iter().map(|(name, (value, _))| (name, value)).collect()) } else { Err(wrong) }
}

/// Returns the span of a line without the white space around it; the mark at a file's start is such, too.
fn trimmed(line: &str, start: usize) -> Span {
    let blank = |c: char| c.is_whitespace() || c == '\u{feff}';
    let text = line.trim_start_matches(blank);
    let start = start + line.len() - text.len();
    Span { start, end: start + text.trim_end_matches(blank).len() }
}

/// Reads `NAME=VALUE`; the error is a message and a help.
fn assignment(line: &str) -> Result<(&str, String), (String, &'static str)> {
    const FORM: &str = "write `NAME=VALUE`, one a line";
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    let Some((name, value)) = line.split_once('=') else {
        return Err(("a line is no variable: it has no `=`".to_owned(), FORM));
    };
    let name = name.trim_end();
    if !is_name(name) {
        return Err(("what stands before the `=` is no name of a variable".to_owned(), FORM));
    }
    let value = value.trim_start();
    let (value, rest) = match value.chars().next() {
        Some('\'') => single(&value[1..]),
        Some('"') => double(&value[1..]),
        _ => Some((bare(value).to_owned(), "")),
    }
    .ok_or_else(|| {
        let message = format!("the value of `{name}` has a quote that is not closed on its line");
        (message, "close it; a line break is written as `\\n` within `\"…\"`")
    })?;
    let rest = rest.trim_start();
    if !rest.is_empty() && !rest.starts_with('#') {
        let message = format!("the value of `{name}` goes on after its quotes");
        return Err((message, "put the whole value in quotes"));
    }
    Ok((name, value))
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Returns a value without quotes up to its comment, which begins after white space.
fn bare(value: &str) -> &str {
    let comment =
        value.char_indices().find(|&(at, c)| c == '#' && (at == 0 || value[..at].ends_with(char::is_whitespace)));
    comment.map_or(value, |(at, _)| &value[..at]).trim_end()
}

/// Reads up to the closing `'`.
fn single(text: &str) -> Option<(String, &str)> {
    text.split_once('\'').map(|(value, rest)| (value.to_owned(), rest))
}

/// Reads up to the closing `"`.
fn double(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match letters.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                escaped @ ('"' | '\\' | '$') => value.push(escaped),
                other => value.extend(['\\', other]),
            },
            letter => value.push(letter),
        }
    }
    None
}

/// Returns the text with everything but the names of variables as asterisks, byte for byte.
fn hidden(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| {
            let named = line.find('=').filter(|&at| {
                let name = line[..at].trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
                is_name(name.strip_prefix("export ").unwrap_or(name).trim_start())
            });
            let (name, value) = line.split_at(named.map_or(0, |at| at + 1));
            let value: String =
                value.bytes().map(|byte| if byte.is_ascii_whitespace() { char::from(byte) } else { '*' }).collect();
            name.to_owned() + &value
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<BTreeMap<String, String>, Vec<Diagnostic>> {
        variables(&Source::new(".env", text))
    }

    #[test]
    fn the_usual_forms_are_read() {
        let text = "\u{feff}# keys\nA=1\n\nexport B = two words # not this\r\nC='as # it $is'  # this\nD=\"x\\ny \\\"z\\\" \\$1 \\d\"\nE=\nF=a#b\nG=a=b\n";
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "as # it $is"),
            ("D", "x\ny \"z\" $1 \\d"),
            ("E", ""),
            ("F", "a#b"),
            ("G", "a=b"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(read(text), Ok(BTreeMap::from(expected)));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_no_value() {
        let text = "A=sk_first\nsk_live_key\nB='sk_open\n3C=sk_x\nD=\"sk\" sk_more\nA=sk_second\n";
        let wrong = read(text).expect_err("it is wrong");
        assert_eq!(wrong.len(), 5);
        let told = crate::diagnostic::render::human(&wrong, false);
        assert!(!told.contains("sk"), "{told}");
        for place in [".env:2:1", ".env:3:1", ".env:4:1", ".env:5:1", ".env:6:1"] {
            assert!(told.contains(place), "{told}");
        }
    }
}
