//! The filters, tests and functions of templates: the engine's own, and the few that workflows need beyond them.
//!
//! All are pure, and none takes more time or memory than its input pays for in fuel.

use std::{collections::HashMap, fmt::Write};

use base64::{Engine, prelude::BASE64_STANDARD};
use minijinja::{
    Environment, Error, State, Value,
    functions::Function,
    value::{FunctionArgs, FunctionResult, Rest, ValueOrKwargs},
};
use regex::{Regex, RegexBuilder};
use sha2::{Digest, Sha256};

use super::{
    error::{Flaw, TemplateErrorKind},
    files, value,
};

/// The filters that templates have.
pub(super) const FILTERS: &[&str] = &[
    "abs",
    "attr",
    "b64encode",
    "basename",
    "batch",
    "bool",
    "capitalize",
    "chain",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "file_ext",
    "first",
    "float",
    "format",
    "fromjson",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "regex_replace",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "sha256",
    "slice",
    "slugify",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
    "urlencode",
    "zip",
];

/// The tests that templates have.
pub(super) const TESTS: &[&str] = &[
    "!=",
    "<",
    "<=",
    "==",
    ">",
    ">=",
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "equalto",
    "escaped",
    "even",
    "false",
    "filter",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "int",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "safe",
    "sameas",
    "sequence",
    "startingwith",
    "string",
    "test",
    "true",
    "undefined",
    "upper",
];

/// The functions that templates have; `file` is the scope's own.
pub(super) const FUNCTIONS: &[&str] = &["dict", "file", "namespace", "range"];

/// The longest pattern of `regex_replace`, in bytes, and the most memory of a compiled one.
const LONGEST_PATTERN: usize = 4096;
const LARGEST_REGEX: usize = 512 * 1024;

/// What compiling a pattern costs: up to a millisecond, as long as a thousand instructions of the engine.
const REGEX_FUEL: u64 = 2_000;

/// The bytes that one fuel pays for, as in the engine.
const BYTES_PER_FUEL: usize = 64;

/// Adds the language's filters, and takes away what shows the template's insides.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.remove_global("debug");
    environment.add_filter("basename", |path: &Value| path_of(path).map(|path| basename(path).to_owned()));
    environment.add_filter("file_ext", |path: &Value| path_of(path).map(file_ext));
    environment.add_filter("slugify", |text: &str| slugify(text));
    environment.add_filter("sha256", |text: &str| sha256(text));
    environment.add_filter("b64encode", |text: &str| BASE64_STANDARD.encode(text));
    environment.add_filter("fromjson", from_json);
    environment.add_filter("regex_replace", regex_replace);
    environment.add_filter(FORMAT_OF_THE_ENGINE, minijinja::filters::format);
    environment.add_filter("format", |state: &mut State, values: Rest<ValueOrKwargs>| -> Result<Value, Error> {
        let values = values.into_values();
        if let Some(text) = values.first().and_then(Value::as_str) {
            format_is_ascii(text)?;
        }
        state.apply_filter(FORMAT_OF_THE_ENGINE, &values)
    });
    weighed(environment, "join", minijinja::filters::join, 1);
    weighed(environment, "pprint", minijinja::filters::pprint, 1);
    weighed(environment, "string", minijinja::filters::string, 1);
    weighed(environment, "unique", minijinja::filters::unique, 1);
    // Each byte may become a part of a list, which is dozens of bytes.
    weighed(environment, "lines", minijinja::filters::lines, 8);
    weighed(environment, "split", minijinja::filters::split, 8);
}

/// What the engine's own `format` is called here; no template can spell it.
const FORMAT_OF_THE_ENGINE: &str = "format of the engine";

/// Refuses what the engine's `format` panics at: it walks over what stands behind a `%` byte by byte, also where that is part of a character.
fn format_is_ascii(text: &str) -> Result<(), Error> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(sign) = bytes[at..].iter().position(|byte| *byte == b'%') {
        let mut end = at + sign + 1;
        if bytes.get(end) == Some(&b'(') {
            end += bytes[end..].iter().position(|byte| *byte == b')' || !byte.is_ascii()).unwrap_or(bytes.len() - end);
            end += usize::from(bytes.get(end) == Some(&b')'));
        }
        let is_part = |byte: &u8| byte.is_ascii_digit() || b"-+ #.*hlL".contains(byte);
        end += bytes[end..].iter().take_while(|byte| is_part(byte)).count();
        if bytes.get(end).is_some_and(|byte| !byte.is_ascii()) {
            let message = "`format` takes only ASCII between a `%` and the letter that ends it".to_owned();
            let help = "write `%%` for a percent sign, or join texts with `~`".to_owned();
            return Err(Flaw::error(TemplateErrorKind::Failed, message, Some(help)));
        }
        at = (end + 1).min(bytes.len());
    }
    Ok(())
}

/// Adds a filter of the engine that walks all of a value, whatever it is made of, and is paid for afterwards or not at all: a list of a
/// thousand times the same long text, or of itself and itself, is a few bytes as a value and does not fit in memory as a text. So what it
/// is given is looked at before, and paid for so many times.
fn weighed<F, Rv, Args>(environment: &mut Environment<'static>, name: &'static str, filter: F, times: u64)
where
    F: Function<Rv, Args>,
    Rv: FunctionResult,
    Args: for<'a> FunctionArgs<'a>,
{
    // No template can spell this name.
    let engine = format!("{name} of the engine");
    environment.add_filter(engine.clone(), filter);
    environment.add_filter(name, move |state: &mut State, values: Rest<ValueOrKwargs>| -> Result<Value, Error> {
        let values = values.into_values();
        if let Some(value) = values.first() {
            state.consume_fuel(value::weigh(value)? * times)?;
        }
        state.apply_filter(&engine, &values)
    });
}

/// Returns the SHA-256 digest in hexadecimal.
fn sha256(text: &str) -> String {
    let mut out = String::with_capacity(64);
    for byte in Sha256::digest(text) {
        write!(out, "{byte:02x}").expect("a string takes all text");
    }
    out
}

/// Returns the path in a text, or that of a local file.
fn path_of(value: &Value) -> Result<&str, Error> {
    value.as_str().or_else(|| files::local_path(value)).ok_or_else(|| {
        let message = format!("a path or URL is wanted here, not a {}", value.kind());
        Flaw::error(TemplateErrorKind::Failed, message, None)
    })
}

/// Returns the last part of a path or URL, without the query.
pub(super) fn basename(path: &str) -> &str {
    let path = match path.split_once("://") {
        Some((_, rest)) => {
            let rest = rest.split(['?', '#']).next().unwrap_or_default();
            // Of a URL without a path there is no name.
            rest.split_once('/').map_or("", |(_, path)| path)
        }
        None => path,
    };
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// Returns the extension of a path or URL in lower case, without the dot; empty when there is none.
fn file_ext(path: &str) -> String {
    match basename(path).rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => extension.to_lowercase(),
        _ => String::new(),
    }
}

/// Returns the text as a part of a path: letters and digits in lower case, with single hyphens for all that is between.
fn slugify(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("-")
}

fn from_json(text: &str) -> Result<Value, Error> {
    // Each part takes a hundred bytes, and has two of the text.
    value::foresee(text.bytes().filter(|byte| matches!(byte, b',' | b':' | b'[' | b'{')).count())?;
    serde_json::from_str(text)
        .map(|json| value::from_json(&json))
        .map_err(|error| Flaw::error(TemplateErrorKind::Failed, format!("this text is not JSON: {error}"), None))
}

/// The patterns that one rendering has compiled.
#[derive(Default)]
struct Patterns(HashMap<String, Regex>);

/// Replaces every match; `$1` and `${name}` in the replacement are what the groups matched.
fn regex_replace(state: &mut State, text: &str, pattern: &str, replacement: &str) -> Result<String, Error> {
    if !state.get_or_insert_extension(Patterns::default()).0.contains_key(pattern) {
        state.consume_fuel(REGEX_FUEL)?;
        let regex = compile(pattern)?;
        state.get_or_insert_extension(Patterns::default()).0.insert(pattern.to_owned(), regex);
    }
    let regex = state.get_or_insert_extension(Patterns::default()).0[pattern].clone();
    let mut out = String::new();
    let mut rest = 0;
    for captures in regex.captures_iter(text) {
        let Some(found) = captures.get(0) else { continue };
        out.push_str(&text[rest..found.start()]);
        let before = out.len();
        captures.expand(replacement, &mut out);
        rest = found.end();
        // Paid for as it grows: a long replacement of many matches, each with a long group, would be huge before its end.
        state.consume_fuel(((out.len() - before) / BYTES_PER_FUEL) as u64 + 1)?;
    }
    out.push_str(&text[rest..]);
    Ok(out)
}

fn compile(pattern: &str) -> Result<Regex, Error> {
    let flaw = |message| Flaw::error(TemplateErrorKind::Failed, message, None);
    if pattern.len() > LONGEST_PATTERN {
        return Err(flaw(format!("the pattern has {} bytes, more than {LONGEST_PATTERN}", pattern.len())));
    }
    RegexBuilder::new(pattern).size_limit(LARGEST_REGEX).dfa_size_limit(LARGEST_REGEX).build().map_err(|error| {
        flaw(match error {
            regex::Error::CompiledTooBig(_) => "the pattern is too large when compiled".to_owned(),
            // The message draws the pattern over several lines; the last one says what is wrong.
            error => {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                format!("the pattern cannot be read: {}", last.trim_start_matches("error: "))
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_that_the_engine_cannot_read_is_refused() {
        for text in ["%é", "%(ключ)s", "%(a\u{3000}", "%5.2é", "%s %-é", "50 %é"] {
            assert!(format_is_ascii(text).is_err(), "{text}");
        }
        for text in ["", "%", "%%é", "é %s é", "%(key)sé", "%5.2fé", "100%% é %d", "%(", "%(a"] {
            assert!(format_is_ascii(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn names_of_paths_and_urls() {
        for (path, name, extension) in [
            ("a/b.PNG", "b.PNG", "png"),
            ("https://e.com/x/y.jpeg?sig=a/b.c#d", "y.jpeg", "jpeg"),
            ("https://e.com", "", ""),
            ("dir/", "dir", ""),
            (".bashrc", ".bashrc", ""),
            ("a.tar.gz", "a.tar.gz", "gz"),
            ("", "", ""),
        ] {
            assert_eq!((basename(path), file_ext(path).as_str()), (name, extension), "{path}");
        }
    }

    #[test]
    fn slugs_keep_letters_of_every_script() {
        assert_eq!(slugify("  Größe & Form: 1:1! "), "größe-form-1-1");
        assert_eq!(slugify("../../etc"), "etc");
        assert_eq!(slugify("—"), "");
    }

    #[test]
    fn every_listed_name_exists_and_no_other() {
        let environment = super::super::environment();
        let mut state = environment.empty_state();
        for filter in FILTERS {
            assert!(state.perform_test("filter", &[Value::from(*filter)]).unwrap(), "filter {filter}");
        }
        for test in TESTS {
            assert!(state.perform_test("test", &[Value::from(*test)]).unwrap(), "test {test}");
        }
        let mut globals: Vec<_> = environment.globals().map(|(name, _)| name.to_owned()).collect();
        globals.push(files::FUNCTION.to_owned());
        globals.sort();
        assert_eq!(globals, FUNCTIONS);
    }
}
