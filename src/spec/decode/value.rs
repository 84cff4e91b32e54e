//! Single values: what kind was wanted, what was found, and what to write instead.

use std::{collections::HashMap, fmt};

use serde_json::{Map, Value};

use super::Decoder;
use crate::{
    diagnostic::{Code, Diagnostic, nearest},
    source::{Pointer, Span},
    spec::{duration::Period, keys::Key},
};

/// What other languages of workflows call things.
const ELSEWHERE: &[(&str, &str)] = &[
    ("depends_on", "needs"),
    ("dependsOn", "needs"),
    ("dependencies", "needs"),
    ("after", "needs"),
    ("if", "when"),
    ("condition", "when"),
    ("with", "inputs"),
    ("args", "inputs"),
    ("arguments", "inputs"),
    ("parameters", "inputs"),
    ("parameters", "params"),
    ("loop", "foreach"),
    ("with_items", "foreach"),
    ("retries", "retry"),
    ("variables", "vars"),
    ("env", "secrets"),
    ("environment", "secrets"),
    ("jobs", "steps"),
    ("tasks", "steps"),
    ("nodes", "steps"),
    ("title", "name"),
    ("results", "outputs"),
    ("returns", "outputs"),
    ("output_path", "save"),
];

/// The entries of a map of the language, without those that it does not have.
pub(crate) struct Fields<'v> {
    entries: HashMap<&'static str, (&'v Value, Pointer)>,
    /// Known keys that a misspelt one was probably meant for, with that one's value.
    meant: HashMap<&'static str, (&'v Value, Pointer)>,
}

impl<'v> Fields<'v> {
    pub(crate) fn get(&self, key: &str) -> Option<(&'v Value, Pointer)> {
        self.entries.get(key).cloned()
    }

    /// Says whether a misspelt key was probably meant for this one.
    pub(crate) fn misspelt(&self, key: &str) -> bool {
        self.meant.contains_key(key)
    }

    /// Returns the entry, also one that was probably meant for it.
    pub(crate) fn get_meant(&self, key: &str) -> Option<(&'v Value, Pointer)> {
        self.get(key).or_else(|| self.meant.get(key).cloned())
    }
}

/// Says what a value is, for "found …".
pub(crate) fn describe(value: &Value) -> String {
    let short = |text: &str| {
        let line = text.lines().next().unwrap_or_default();
        if line.chars().count() > 40 || line.len() < text.trim_end().len() {
            format!("{}…", line.chars().take(39).collect::<String>())
        } else {
            line.to_owned()
        }
    };
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Number(number) => format!("the number `{number}`"),
        Value::String(text) if text.is_empty() => "an empty string".to_owned(),
        Value::String(text) => format!("the string `{}`", short(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
    }
}

impl Decoder<'_> {
    /// Sorts the entries of a map; tells of keys that it does not have. Keys that start with `x-` are free.
    pub(crate) fn fields<'v>(
        &mut self,
        entries: &'v Map<String, Value>,
        at: &Pointer,
        what: &str,
        known: &[Key],
    ) -> Fields<'v> {
        let mut fields = Fields { entries: HashMap::new(), meant: HashMap::new() };
        for (name, value) in entries {
            let pointer = at.join(name);
            if let Some(key) = known.iter().find(|key| key.name == name) {
                fields.entries.insert(key.name, (value, pointer));
            } else if !name.starts_with("x-") {
                // Only keys that are not there already can have been meant.
                let missing = || known.iter().filter(|key| !entries.contains_key(key.name)).map(|key| key.name);
                let mut elsewhere = ELSEWHERE.iter().filter(|(word, _)| word == name).map(|&(_, key)| key);
                let near = elsewhere.find(|key| missing().any(|other| other == *key));
                let near = near.or_else(|| nearest(name, missing()));
                if let Some(key) = known.iter().find(|key| Some(key.name) == near) {
                    fields.meant.insert(key.name, (value, pointer.clone()));
                }
                let help = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if known.len() > 12 => {
                        format!("`{}` prints all keys; keys of your own start with `x-`", self.schema)
                    }
                    None => format!(
                        "the keys are {}; keys of your own start with `x-`",
                        list(known.iter().map(|key| key.name))
                    ),
                };
                self.report(
                    Diagnostic::error(Code::UnknownKey, format!("{what} has no key `{name}`"))
                        .at(self.source, self.map.key(&pointer), "unknown key")
                        .help(help),
                );
            }
        }
        fields
    }

    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Returns what is underlined for a value: its first line, or its key where there is nothing to underline.
    pub(crate) fn value_span(&self, at: &Pointer) -> Span {
        let span = self.first_line(at);
        if span.start == span.end { self.map.key(at) } else { span }
    }

    pub(crate) fn first_line(&self, at: &Pointer) -> Span {
        let span = self.map.value(at);
        let text = self.source.text.get(span.range()).unwrap_or_default();
        let line = text.lines().next().unwrap_or_default().trim_end();
        Span { start: span.start, end: span.start + line.len() }
    }

    /// Tells that a value is of the wrong kind; `wanted` has its article.
    pub(crate) fn wrong(&mut self, value: &Value, at: &Pointer, wanted: &str, help: Option<String>) {
        let name = at.parts().last().map_or("", String::as_str);
        // An entry of a list is called after the list.
        let subject = match (name.parse::<usize>(), at.parent().and_then(|parent| parent.parts().last().cloned())) {
            (Ok(_), Some(list)) => format!("an entry of `{list}`"),
            _ => format!("`{name}`"),
        };
        let block = matches!(value, Value::Array(_) | Value::Object(_))
            && self.map.get(at).is_some_and(|place| place.key.is_some());
        // The key of a list or map says more than the first of its lines.
        let span = if block { self.map.key(at) } else { self.value_span(at) };
        let mut diagnostic = Diagnostic::error(Code::WrongKind, format!("{subject} must be {wanted}")).at(
            self.source,
            span,
            format!("found {}", describe(value)),
        );
        diagnostic.help = help;
        self.report(diagnostic);
    }

    /// Tells that a value is outside what its key allows.
    pub(crate) fn outside(&mut self, at: &Pointer, message: String, label: impl Into<String>, help: impl Into<String>) {
        self.report(
            Diagnostic::error(Code::OutOfRange, message).at(self.source, self.value_span(at), label).help(help),
        );
    }

    pub(crate) fn bad_name(&mut self, name: &str, span: Span, what: &str, help: Option<String>) {
        let proposal: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect::<String>();
        let proposal =
            if proposal.starts_with(|c: char| c.is_ascii_digit()) { format!("_{proposal}") } else { proposal };
        let proposal = help.unwrap_or_else(|| {
            if proposal.trim_matches('_').is_empty() {
                "a name is a letter or `_`, then letters, digits and `_`".to_owned()
            } else {
                format!("a name is a letter or `_`, then letters, digits and `_`: `{proposal}`")
            }
        });
        self.report(
            Diagnostic::error(Code::BadName, format!("`{name}` cannot be {what}"))
                .at(self.source, span, "not a name")
                .help(proposal),
        );
    }

    /// Reads a text. Numbers and booleans are told with the quotes that would make them one.
    pub(crate) fn text(&mut self, value: &Value, at: &Pointer) -> Option<String> {
        if let Value::String(text) = value {
            return Some(text.clone());
        }
        let help = match value {
            Value::Number(_) | Value::Bool(_) => {
                let raw = self.source.text.get(self.map.value(at).range()).unwrap_or_default();
                Some(format!("put it in quotes: `\"{raw}\"`"))
            }
            Value::Null => Some("write a text, or leave the key out".to_owned()),
            _ => None,
        };
        self.wrong(value, at, "a string", help);
        None
    }

    /// Reads a text that is not empty.
    pub(crate) fn name(&mut self, value: &Value, at: &Pointer) -> Option<String> {
        let text = self.text(value, at)?;
        if text.trim().is_empty() {
            let name = at.parts().last().cloned().unwrap_or_default();
            self.outside(
                at,
                format!("`{name}` must not be empty"),
                "found an empty string",
                "write a name, or leave the key out",
            );
            return None;
        }
        Some(text)
    }

    pub(crate) fn optional_text(&mut self, fields: &Fields<'_>, key: &str) -> Option<String> {
        fields.get(key).and_then(|(value, at)| self.text(value, &at))
    }

    pub(crate) fn object<'v>(&mut self, value: &'v Value, at: &Pointer) -> Option<&'v Map<String, Value>> {
        if let Value::Object(entries) = value {
            return Some(entries);
        }
        let help = value.is_null().then(|| "indent its entries below it, or leave the key out".to_owned());
        self.wrong(value, at, "a map", help);
        None
    }

    pub(crate) fn list<'v>(&mut self, value: &'v Value, at: &Pointer, help: &str) -> Option<&'v [Value]> {
        if let Value::Array(items) = value {
            return Some(items);
        }
        let help = match value {
            Value::String(text) if !text.contains('\n') => format!("write `[{text}]`"),
            _ => help.to_owned(),
        };
        self.wrong(value, at, "a list", Some(help));
        None
    }

    pub(crate) fn boolean(&mut self, value: &Value, at: &Pointer) -> Option<bool> {
        if let Value::Bool(value) = value {
            return Some(*value);
        }
        let help = match value {
            Value::String(text) if matches!(text.to_lowercase().as_str(), "yes" | "on" | "true") => {
                "write `true`: in YAML 1.2 words such as `yes` are strings"
            }
            Value::String(text) if matches!(text.to_lowercase().as_str(), "no" | "off" | "false") => {
                "write `false`: in YAML 1.2 words such as `no` are strings"
            }
            _ => "write `true` or `false`",
        };
        self.wrong(value, at, "`true` or `false`", Some(help.to_owned()));
        None
    }

    /// Reads a whole number from `least`.
    pub(crate) fn count<T>(&mut self, value: &Value, at: &Pointer, least: T) -> Option<T>
    where
        T: Copy + TryFrom<u64> + PartialOrd + fmt::Display,
    {
        let name = at.parts().last().cloned().unwrap_or_default();
        let help = format!("write a whole number from {least}");
        let Value::Number(number) = value else {
            self.wrong(value, at, "a whole number", Some(help));
            return None;
        };
        let count = number.as_u64().and_then(|count| T::try_from(count).ok()).filter(|count| *count >= least);
        if count.is_none() {
            self.outside(
                at,
                format!("`{name}` must be a whole number from {least}"),
                format!("found `{number}`"),
                help,
            );
        }
        count
    }

    /// Reads a number from `least`.
    pub(crate) fn amount(&mut self, value: &Value, at: &Pointer, least: f64) -> Option<f64> {
        let name = at.parts().last().cloned().unwrap_or_default();
        let Some(amount) = value.as_f64() else {
            self.wrong(value, at, "a number", Some(format!("write a number from {least}")));
            return None;
        };
        if amount < least {
            self.outside(
                at,
                format!("`{name}` must be at least {least}"),
                format!("found `{value}`"),
                format!("write a number from {least}"),
            );
            return None;
        }
        Some(amount)
    }

    /// Reads a duration; `positive`: not zero.
    pub(crate) fn period(&mut self, value: &Value, at: &Pointer, positive: bool) -> Option<Period> {
        let name = at.parts().last().cloned().unwrap_or_default();
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => {
                self.report(
                    Diagnostic::error(Code::BadDuration, format!("`{name}` must be a duration"))
                        .at(self.source, self.value_span(at), format!("found {}", describe(value)))
                        .help("write a duration such as `250ms`, `10s`, `15m`, `2h` or `1h30m`"),
                );
                return None;
            }
        };
        match text.parse::<Period>() {
            Ok(period) if positive && period.0.is_zero() => {
                self.outside(
                    at,
                    format!("`{name}` must be longer than nothing"),
                    "found a duration of zero",
                    "write a duration such as `10s`, or leave the key out",
                );
                None
            }
            Ok(period) => Some(period),
            Err(help) => {
                let label = if value.is_number() {
                    format!("found the bare number `{text}`")
                } else {
                    format!("found {}", describe(value))
                };
                self.report(
                    Diagnostic::error(Code::BadDuration, format!("`{name}` must be a duration"))
                        .at(self.source, self.value_span(at), label)
                        .help(help),
                );
                None
            }
        }
    }

    /// Reads one of some words.
    pub(crate) fn word<T: Copy>(&mut self, value: &Value, at: &Pointer, words: &[(&str, T)]) -> Option<T> {
        let names = || words.iter().map(|&(word, _)| word);
        let name = at.parts().iter().rev().find(|part| part.parse::<usize>().is_err()).cloned().unwrap_or_default();
        let all = list(names());
        let Value::String(text) = value else {
            self.wrong(value, at, &format!("one of {all}"), None);
            return None;
        };
        if let Some((_, found)) = words.iter().find(|(word, _)| word == text) {
            return Some(*found);
        }
        if text.contains("{{") {
            let message = format!("`{name}` takes no template: it is settled before the run");
            self.outside(at, message, "a template", format!("write one of {all}"));
            return None;
        }
        let help = nearest(text, names())
            .map_or_else(|| format!("write one of {all}"), |near| format!("did you mean `{near}`?"));
        self.outside(at, format!("`{name}` does not know `{text}`"), "not a word it knows", help);
        None
    }

    /// Reads a list of strings, each once.
    pub(crate) fn words_list(&mut self, value: &Value, at: &Pointer, help: &str) -> Vec<(String, Pointer)> {
        let mut words: Vec<(String, Pointer)> = Vec::new();
        for (index, item) in self.list(value, at, help).unwrap_or_default().iter().enumerate() {
            let at = at.join(index);
            let Some(text) = self.text(item, &at) else { continue };
            if let Some((_, first)) = words.iter().find(|(word, _)| *word == text) {
                self.report(
                    Diagnostic::error(Code::Twice, format!("`{text}` stands twice in the list"))
                        .at(self.source, self.map.value(&at), "here again")
                        .also(self.source, self.map.value(first), "first here")
                        .help("once is enough"),
                );
                continue;
            }
            words.push((text, at));
        }
        words
    }
}

/// Writes names as prose: `a`, `b` or `c`.
pub(crate) fn list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}
