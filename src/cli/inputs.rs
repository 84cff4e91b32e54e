//! The inputs of a run from the command line: `-i NAME=VALUE`, `-i NAME=@FILE`, `--inputs FILE`.
//!
//! ```text
//! --inputs FILE ─┐
//!                ├─▶ name → value  (-i wins), and every problem at once
//! -i NAME=VALUE ─┘
//! ```
//!
//! Only reading happens here; whether a value fits its declaration is the plan's to check. A `type: string` or `file` input takes
//! the text as it is, other types are read as YAML. What is read is bounded: nobody means a gigabyte of input.

use std::{
    fmt,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::failure::{Failure, plain};
use crate::{
    diagnostic::{Code, Diagnostic, nearest},
    source::{Pointer, Source, SourceMap, Span},
    spec::Input,
};

/// The most bytes of a file of inputs, or of a file that `@FILE` names.
const LARGEST_FILE: u64 = 16 * 1024 * 1024;

/// The most bytes of a value that is read as YAML: its reader wants time that grows faster than the text.
const LARGEST_VALUE: usize = 64 * 1024;

/// The deepest nesting of brackets in a value: real ones have a handful.
const DEEPEST_VALUE: usize = 100;

/// What the command line says of inputs, files read.
#[derive(Default)]
pub(crate) struct Said {
    file: Option<Arc<Source>>,
    given: Vec<(String, String)>,
    folder: PathBuf,
}

impl fmt::Debug for Said {
    /// Names the inputs without their values, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given: Vec<_> = self.given.iter().map(|(name, _)| name).collect();
        f.debug_struct("Said").field("given", &given).field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Said {
    /// Takes the flags and reads the file of `--inputs`.
    ///
    /// # Errors
    ///
    /// Where a flag has no `=`, or the file cannot be read.
    pub(crate) fn read(given: &[String], file: Option<&Path>) -> Result<Self, Failure> {
        let mut said = Self::default();
        for text in given {
            let Some((name, value)) = text.split_once('=') else {
                return Err(Failure::usage(format!("`-i {text}` has no value"))
                    .help(format!("write `-i {text}=VALUE`, or `-i {text}=@FILE` for a file's text")));
            };
            said.given.push((name.trim().to_owned(), value.to_owned()));
        }
        if let Some(path) = file {
            let (name, text) = if path == Path::new("-") {
                let text = bounded(std::io::stdin().lock()).map_err(|error| {
                    Failure::usage(format!("failed to read the inputs from standard input: {}", plain(&error)))
                })?;
                ("<standard input>".to_owned(), text)
            } else {
                let text = read(path).map_err(|error| Failure::unreadable(path, &error))?;
                said.folder = path.parent().map(Path::to_owned).unwrap_or_default();
                (path.display().to_string(), text)
            };
            said.file = Some(Arc::new(Source::new(name, text)));
        }
        Ok(said)
    }

    /// Returns the values by name for a workflow that declares these inputs, and what is wrong with them.
    ///
    /// `read_file` turns the text of `--inputs` into a value and its places.
    pub(crate) fn values(
        &self,
        declared: &IndexMap<String, Input>,
        read_file: impl FnOnce(&Arc<Source>) -> Result<(Value, SourceMap), Vec<Diagnostic>>,
    ) -> (Map<String, Value>, Vec<Diagnostic>) {
        let (mut values, mut wrong) = (Map::new(), Vec::new());
        // Of a file with secrets in it, a wrong line is not shown for what else is on it.
        let hides = declared.values().any(|input| input.secret);
        let shown = |source: &Arc<Source>, key| if hides { hidden(source, key) } else { Arc::clone(source) };
        if let Some(source) = &self.file {
            match read_file(source) {
                Ok((Value::Object(map), places)) => {
                    for (name, value) in map {
                        let key = places.key(&Pointer::root().join(&name));
                        match declared.get(&name) {
                            Some(input) => {
                                values.insert(name, self.beside_file(input, value));
                            }
                            None => wrong.push(unknown(&name, declared).at(&shown(source, key), key, "not declared")),
                        }
                    }
                }
                Ok((Value::Null, _)) => {}
                Ok((_, places)) => wrong.push(
                    Diagnostic::error(Code::InputFile, "a file of inputs is a map from names to values")
                        .at(&shown(source, Span::default()), places.value(&Pointer::root()), "not a map")
                        .help("write one `name: value` a line"),
                ),
                Err(mut diagnostics) => {
                    let shown = shown(source, Span::default());
                    for label in diagnostics.iter_mut().flat_map(|diagnostic| &mut diagnostic.labels) {
                        label.source = Arc::clone(&shown);
                    }
                    wrong.extend(diagnostics);
                }
            }
        }
        let mut seen: IndexMap<&str, ()> = IndexMap::new();
        for (name, text) in &self.given {
            let Some(input) = declared.get(name) else {
                wrong.push(unknown(name, declared));
                continue;
            };
            if seen.insert(name, ()).is_some() {
                wrong.push(
                    Diagnostic::error(Code::InputInvalid, format!("the input `{name}` is given twice with `-i`"))
                        .help("a list is one value: `-i NAME='[a, b]'`"),
                );
            }
            match value(name, text, input) {
                Ok(value) => {
                    values.insert(name.clone(), value);
                }
                Err(diagnostic) => wrong.push(*diagnostic),
            }
        }
        (values, wrong)
    }

    /// Returns the value with a file's path made relative to the file of inputs.
    fn beside_file(&self, input: &Input, value: Value) -> Value {
        match value {
            Value::String(path) if input.file && !path.contains("://") && !self.folder.as_os_str().is_empty() => {
                Value::String(self.folder.join(path).display().to_string())
            }
            value => value,
        }
    }
}

/// Returns a file with everything but one place as asterisks, byte for byte.
fn hidden(source: &Source, place: Span) -> Arc<Source> {
    let stars = |text: &str| -> String {
        text.bytes().map(|byte| if byte.is_ascii_whitespace() { char::from(byte) } else { '*' }).collect()
    };
    let text = &source.text;
    let text = format!("{}{}{}", stars(&text[..place.start]), &text[place.range()], stars(&text[place.end..]));
    Arc::new(Source::new(source.name.clone(), text))
}

fn unknown(name: &str, declared: &IndexMap<String, Input>) -> Diagnostic {
    let diagnostic = Diagnostic::error(Code::InputUnknown, format!("the workflow has no input `{name}`"));
    match nearest(name, declared.keys().map(String::as_str)) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None if declared.is_empty() => diagnostic.help("it takes no inputs"),
        None => {
            let names: Vec<_> = declared.keys().map(|name| format!("`{name}`")).collect();
            diagnostic.help(format!("its inputs: {}", names.join(", ")))
        }
    }
}

/// Reads the text of one `-i`.
fn value(name: &str, text: &str, input: &Input) -> Result<Value, Box<Diagnostic>> {
    let from_file = match text.strip_prefix('@') {
        Some(path) => Some(read(Path::new(path)).map_err(|error| {
            let message = format!("the file `{path}` for the input `{name}` cannot be read: {}", plain(&error));
            let help = "a text that begins with `@` can be given in a file of inputs (`--inputs FILE`)";
            Box::new(Diagnostic::error(Code::InputFile, message).help(help))
        })?),
        None => None,
    };
    let text = from_file.as_deref().unwrap_or(text);
    if input.takes_text() {
        return Ok(Value::String(text.to_owned()));
    }
    yaml(text).map_err(|why| {
        let message = format!("the value of the input `{name}` is not YAML: {why}");
        let help = format!("quote it for the shell: `-i '{name}=[1, 2]'`");
        Box::new(Diagnostic::error(Code::InputInvalid, message).help(help))
    })
}

/// Reads YAML whose size and depth are bounded beforehand.
fn yaml(text: &str) -> Result<Value, String> {
    if text.len() > LARGEST_VALUE {
        return Err(format!("it has more than {LARGEST_VALUE} bytes; use `--inputs FILE`"));
    }
    if text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() > DEEPEST_VALUE && depth(text) > DEEPEST_VALUE {
        return Err("it is nested too deeply".to_owned());
    }
    let value: Option<Value> = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    Ok(value.unwrap_or(Value::Null))
}

/// Returns the deepest nesting of brackets; those inside quotes count too, which is the safe side.
fn depth(text: &str) -> usize {
    let (mut now, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => now += 1,
            b']' | b'}' => now = now.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(now);
    }
    deepest
}

/// Reads a file of text, no larger than [`LARGEST_FILE`].
fn read(path: &Path) -> std::io::Result<String> {
    bounded(std::fs::File::open(path)?)
}

fn bounded(reader: impl std::io::Read) -> std::io::Result<String> {
    let mut text = String::new();
    let read = reader.take(LARGEST_FILE + 1).read_to_string(&mut text)?;
    if read as u64 > LARGEST_FILE {
        return Err(std::io::Error::other(format!("it is larger than {} MiB", LARGEST_FILE >> 20)));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn input(kind: &str) -> Input {
        let schema = json!({"type": kind}).as_object().expect("a map").clone();
        let file = kind == "file";
        let schema = if file { Map::new() } else { schema };
        Input { schema, file, media: None, default: None, optional: false, secret: false, description: None }
    }

    fn declared() -> IndexMap<String, Input> {
        [("prompt", "string"), ("count", "integer"), ("formats", "array"), ("sketch", "file")]
            .map(|(name, kind)| (name.to_owned(), input(kind)))
            .into()
    }

    fn said(given: &[&str]) -> Said {
        let given: Vec<_> = given.iter().map(|&text| text.to_owned()).collect();
        Said::read(&given, None).expect("the flags are read")
    }

    fn none(_: &Arc<Source>) -> Result<(Value, SourceMap), Vec<Diagnostic>> {
        panic!("there is no file")
    }

    #[test]
    fn texts_are_taken_as_they_are_and_others_are_yaml() {
        let said = said(&["prompt=[not: yaml", "count=3", "formats=[\"1:1\", '4:5']", "sketch=a=b.png"]);
        let (values, wrong) = said.values(&declared(), none);
        assert!(wrong.is_empty(), "{wrong:?}");
        let expected = json!({"prompt": "[not: yaml", "count": 3, "formats": ["1:1", "4:5"], "sketch": "a=b.png"});
        assert_eq!(Value::Object(values), expected);
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let said = said(&["promt=x", "count=[", "formats=@/no/such/file", "count=1"]);
        let (_, wrong) = said.values(&declared(), none);
        let told: Vec<_> = wrong.iter().map(|d| (d.code, d.help.clone().unwrap_or_default())).collect();
        assert_eq!(told[0], (Code::InputUnknown, "did you mean `prompt`?".to_owned()));
        assert_eq!(
            told.iter().map(|(code, _)| *code).collect::<Vec<_>>(),
            [Code::InputUnknown, Code::InputInvalid, Code::InputFile, Code::InputInvalid]
        );
    }

    #[test]
    fn the_flag_wins_over_the_file_and_paths_are_beside_it() {
        let mut said = said(&["count=2"]);
        said.file = Some(Arc::new(Source::new("in/puts.yaml", "…")));
        said.folder = PathBuf::from("in");
        let value = json!({"count": 1, "sketch": "s.png", "extra": 1});
        let (values, wrong) = said.values(&declared(), |_| Ok((value, SourceMap::default())));
        assert_eq!(Value::Object(values), json!({"count": 2, "sketch": "in/s.png"}));
        assert_eq!(wrong.len(), 1);
        assert_eq!(wrong[0].message, "the workflow has no input `extra`");
    }

    #[test]
    fn of_a_file_with_secrets_only_the_wrong_name_is_shown() {
        let declared = |secret| {
            let token = Input { secret, ..input("string") };
            IndexMap::from([("token".to_owned(), token)])
        };
        for (text, told) in
            [("{token: sk_canary, tokne: é}", "tokne"), ("sk_canary", "not a map"), ("token: [sk_canary", "in.yaml")]
        {
            let mut said = said(&[]);
            said.file = Some(Arc::new(Source::new("in.yaml", text)));
            let shown = |secret| {
                let (_, wrong) = said.values(&declared(secret), super::super::reading::inputs);
                crate::diagnostic::render::human(&wrong, false)
            };
            assert!(shown(true).contains(told) && !shown(true).contains("canary"), "{}", shown(true));
            assert!(shown(false).contains("canary"), "the control: {}", shown(false));
        }
    }

    #[test]
    fn deep_and_large_values_are_refused_before_they_are_read() {
        assert!(yaml(&"[".repeat(60_000)).expect_err("too deep").contains("deeply"));
        assert!(yaml(&"x".repeat(70_000)).expect_err("too large").contains("bytes"));
        assert_eq!(yaml(""), Ok(Value::Null));
    }

    #[test]
    fn a_flag_without_a_value_is_an_error_of_usage() {
        let failure = Said::read(&["prompt".to_owned()], None).expect_err("no value");
        assert_eq!(failure.exit(), super::super::failure::Exit::Usage);
    }
}
