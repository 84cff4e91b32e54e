//! Where a workflow can be changed so that it is wrong, and how.
//!
//! The text is read by the project's own reader, so each place is a range of bytes of a key, of a value, or of a name within a template;
//! what kind of mistake fits there follows from where in the language it is, and for inputs from the target's contract.

use std::{
    collections::BTreeSet,
    ops::Range,
    path::Path,
    sync::{Arc, LazyLock},
};

use dagwood::{
    contract::{Contract, ValueKind},
    job::TargetKind,
    plan::Offer,
    result::FIELDS,
    source::{Pointer, Source, SourceMap, Span},
    spec::{keys, keys::Key, yaml},
};
use regex::Regex;
use serde_json::Value;

use crate::simulation::random::Random;

/// The kinds of mistakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Key,
    Input,
    Definition,
    Reference,
    Field,
    Filter,
    Type,
    Required,
    Value,
    Target,
}

impl Kind {
    pub(super) const ALL: [Self; 10] = [
        Self::Key,
        Self::Input,
        Self::Definition,
        Self::Reference,
        Self::Field,
        Self::Filter,
        Self::Type,
        Self::Required,
        Self::Value,
        Self::Target,
    ];

    pub(super) fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// One change of a text.
#[derive(Clone, Debug)]
pub(super) struct Mutation {
    pub(super) kind: Kind,
    pub(super) range: Range<usize>,
    pub(super) text: String,
}

impl Mutation {
    pub(super) fn applied(&self, text: &str) -> String {
        format!("{}{}{}", &text[..self.range.start], self.text, &text[self.range.end..])
    }

    /// Returns the line, and what stands there now for what stood there.
    pub(super) fn shown(&self, text: &str) -> String {
        let line = text[..self.range.start].matches('\n').count() + 1;
        let kind = self.kind.name();
        format!("line {line}: {kind}: `{}` became `{}`", &text[self.range.clone()], self.text)
    }
}

/// What may be done at a place.
#[derive(Clone, Debug)]
enum How {
    /// The word is misspelt, so that it is none of these, whatever case and punctuation.
    Misspell(BTreeSet<String>),
    /// One of these is written instead.
    Write(Vec<String>),
    /// It is taken out.
    Remove,
}

/// A place where a change is a mistake.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) kind: Kind,
    pub(super) range: Range<usize>,
    how: How,
}

impl Place {
    /// Draws a change; none where the word that came out is another good one.
    pub(super) fn mutation(&self, text: &str, random: &mut Random) -> Option<Mutation> {
        let text = match &self.how {
            How::Misspell(taken) => {
                let word = &text[self.range.clone()];
                misspelt(word, random)
                    .filter(|other| plain(other) != plain(word) && !taken.contains(&plain(other)))
                    .filter(|other| !plain(other).is_empty())?
            }
            How::Write(others) => random.pick(others).clone(),
            How::Remove => String::new(),
        };
        Some(Mutation { kind: self.kind, range: self.range.clone(), text })
    }
}

/// Returns a word without case and punctuation, as lenient rules compare names.
fn plain(word: &str) -> String {
    word.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

fn taken<'a>(words: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    words.into_iter().map(plain).collect()
}

fn names(keys: &[Key]) -> BTreeSet<String> {
    taken(keys.iter().map(|key| key.name))
}

/// Swaps two letters, leaves one out, doubles one, or writes another.
fn misspelt(word: &str, random: &mut Random) -> Option<String> {
    let mut letters: Vec<char> = word.chars().collect();
    let places: Vec<usize> = (0..letters.len()).filter(|&at| letters[at].is_ascii_alphanumeric()).collect();
    let at = *places.get(random.index(places.len().max(1)))?;
    match random.below(4) {
        0 if letters.get(at + 1).is_some_and(char::is_ascii_alphanumeric) => letters.swap(at, at + 1),
        // A name does not begin with a digit, and one letter is not left out of one.
        1 if places.len() > 2 && letters[places[1]].is_ascii_alphabetic() => drop(letters.remove(at)),
        2 => letters.insert(at, letters[at]),
        _ => letters[at] = if letters[at] == 'q' { 'k' } else { 'q' },
    }
    Some(letters.into_iter().collect())
}

/// Returns every place of a workflow.
pub(super) fn places(path: &Path, text: &str, offers: &[Offer]) -> Vec<Place> {
    let source = Arc::new(Source::new(path.to_string_lossy(), text));
    let yaml::Reading { value, map, diagnostics } = yaml::read(&source);
    assert_eq!(diagnostics, []);
    let value = value.expect("a workflow");
    let mut finder =
        Finder { path, text, map: &map, offers, root: &value, mentioned: BTreeSet::new(), places: Vec::new() };
    finder.workflow();
    finder.places
}

/// What one value takes, as a contract says it.
#[derive(Clone, Debug, Default)]
struct Port {
    names: Vec<String>,
    required: bool,
    kind: Option<ValueKind>,
    many: bool,
    options: Vec<Value>,
    maximum: Option<f64>,
}

/// Returns what a target takes; nothing where its API does not say.
fn ports(contract: &Contract) -> Vec<Port> {
    if contract.unchecked {
        return Vec::new();
    }
    let published = contract.ports.iter().map(|port| Port {
        names: [Some(&port.id), port.label.as_ref(), port.handle.as_ref()].into_iter().flatten().cloned().collect(),
        required: port.required,
        kind: Some(port.kind),
        many: port.many,
        options: port.options.clone(),
        maximum: port.maximum,
    });
    let published: Vec<Port> = published.collect();
    let schema = contract.schema.as_ref().or_else(|| contract.modes.first()?.schema.as_ref());
    if published.is_empty() { schema.map(of_schema).unwrap_or_default() } else { published }
}

/// The same of a JSON Schema.
fn of_schema(schema: &Value) -> Vec<Port> {
    let required = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    let kind = |of: &Value| match of["type"].as_str() {
        Some("string") => Some(ValueKind::Text),
        Some("integer") => Some(ValueKind::Integer),
        Some("number") => Some(ValueKind::Number),
        Some("boolean") => Some(ValueKind::Boolean),
        _ => None,
    };
    let port = |(name, of): (&String, &Value)| Port {
        names: vec![name.clone()],
        required: required(name),
        kind: kind(of),
        options: of["enum"].as_array().cloned().unwrap_or_default(),
        maximum: of["maximum"].as_f64(),
        many: false,
    };
    schema["properties"].as_object().into_iter().flatten().map(port).collect()
}

const JOB: [&str; 7] = ["id", "provider", "status", "credits_charged", "tokens_used", "created_at", "completed_at"];

const STATUS: [&str; 4] = ["succeeded", "failed", "skipped", "cancelled"];

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern")
}

static TEMPLATE: LazyLock<Regex> = LazyLock::new(|| pattern(r"\{\{.*?\}\}"));
static LONE_INPUT: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\{\{ inputs\.(\w+) \}\}$"));
static MENTIONED: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b(?:steps|inputs|vars)\.\w+"));
static NAMED: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b(steps|inputs|vars|run)\.(\w+)"));
static OF_ITEM: LazyLock<Regex> = LazyLock::new(|| pattern(r"\bitem\.(\w+)"));
static OF_RESULT: LazyLock<Regex> = LazyLock::new(|| pattern(r"\bsteps\.(\w+)\.(\w+)(?:\.(\w+))?"));
static FIRST: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\w+"));
static FILTER: LazyLock<Regex> = LazyLock::new(|| pattern(r"\|\s*(\w+)"));
static STATUS_IS: LazyLock<Regex> = LazyLock::new(|| pattern(r#"\bsteps\.\w+\.status [!=]= ["'](\w+)["']"#));
static INPUT_IS: LazyLock<Regex> = LazyLock::new(|| pattern(r#"\binputs\.(\w+) [!=]= ["']([^"']+)["']"#));

struct Finder<'t> {
    path: &'t Path,
    text: &'t str,
    map: &'t SourceMap,
    offers: &'t [Offer],
    root: &'t Value,
    /// What templates name, as `steps.render`.
    mentioned: BTreeSet<String>,
    places: Vec<Place>,
}

impl<'t> Finder<'t> {
    fn workflow(&mut self) {
        let at = Pointer::root();
        for (pointer, value) in strings(self.root, &at) {
            if !is_templated(&pointer, value) {
                continue;
            }
            self.mentioned.extend(MENTIONED.find_iter(value).map(|found| found.as_str().to_owned()));
        }
        self.language(&at, keys::WORKFLOW);
        for (key, value) in entries(self.root) {
            let at = at.join(key);
            match key.as_str() {
                "version" => self.write(Kind::Value, &at, &["2", "one"]),
                "name" | "description" => self.write(Kind::Type, &at, &["[7]", "{ a: b }"]),
                "labels" | "outputs" => self.write(Kind::Type, &at, &["[7]", "seven"]),
                "vars" => self.write(Kind::Type, &at, &["seven", "7"]),
                "inputs" => entries(value).for_each(|(name, declared)| self.declaration(&at.join(name), declared)),
                "defaults" => self.settings(&at, value, keys::DEFAULTS),
                "concurrency" if value.is_object() => {
                    self.language(&at, keys::CONCURRENCY);
                    self.write(Kind::Type, &at.join("steps"), &["many", "[7]"]);
                }
                "concurrency" => self.write(Kind::Type, &at, &["many", "[7]"]),
                "steps" | "finally" => entries(value).for_each(|(id, step)| self.step(&at.join(id), step)),
                _ => {}
            }
            if matches!(key.as_str(), "inputs" | "vars" | "steps") {
                for (name, _) in entries(value) {
                    if self.mentioned.contains(&format!("{key}.{name}")) {
                        let known = taken(entries(value).map(|(name, _)| &**name));
                        self.misspell_key(Kind::Definition, &at.join(name), &known);
                        self.remove(Kind::Definition, &at.join(name));
                    }
                }
            }
        }
        for (pointer, value) in strings(self.root, &at) {
            if is_templated(&pointer, value) {
                self.templates(&pointer, value);
            }
        }
    }

    fn declaration(&mut self, at: &Pointer, declared: &Value) {
        let known: BTreeSet<String> =
            names(keys::INPUT).into_iter().chain(taken(keys::SCHEMA_WORDS.iter().copied())).collect();
        let default = declared.get("default");
        for (key, value) in entries(declared) {
            let at = at.join(key);
            self.misspell_key(Kind::Key, &at, &known);
            match key.as_str() {
                "type" => {
                    let all = ["string", "integer", "number", "boolean", "array", "object", "file", "null"];
                    self.misspell(Kind::Value, &at, &taken(all));
                    if let Some(default) = default {
                        let fits = |name: &str| match name {
                            "boolean" => default.is_boolean(),
                            "integer" => default.is_i64(),
                            _ => default.is_array(),
                        };
                        let others = ["boolean", "integer", "array"].into_iter().filter(|name| !fits(name));
                        self.write(Kind::Type, &at, &others.collect::<Vec<_>>());
                    }
                }
                "media" => self.misspell(Kind::Value, &at, &taken(["image", "video", "audio", "text", "any"])),
                "default" if declared["enum"].is_array() => {
                    self.another(&at, value, declared["enum"].as_array().expect("a list"));
                }
                "default" => self.write(Kind::Type, &at, if value.is_object() { &["7"] } else { &["{ a: b }"] }),
                "enum" => self.write(Kind::Type, &at, &["7", "seven"]),
                "items" => {
                    self.misspell(Kind::Value, &at.join("type"), &taken(["string", "integer", "number", "boolean"]));
                }
                "minLength" | "maxLength" | "minimum" | "maximum" | "minItems" | "maxItems" => {
                    self.write(Kind::Type, &at, &["many", "[7]"]);
                }
                "optional" | "secret" => self.write(Kind::Type, &at, &["perhaps", "7"]),
                "description" => self.write(Kind::Type, &at, &["[7]", "{ a: b }"]),
                _ => {}
            }
        }
    }

    /// What `defaults` and steps share.
    fn settings(&mut self, at: &Pointer, value: &Value, known: &[Key]) {
        self.language(at, known);
        for (key, value) in entries(value) {
            let at = at.join(key);
            match key.as_str() {
                "provider" => self.misspell(Kind::Value, &at, &taken(["armox", "airmy", "aimp"])),
                "timeout" | "poll" => self.write(Kind::Type, &at, &["15", "[15m]", "soon"]),
                "on_error" => self.misspell(Kind::Value, &at, &taken(["fail", "continue"])),
                "retry" => self.retry(&at, value),
                "cache" if value.is_object() => {
                    self.language(&at, keys::CACHE);
                    self.write(Kind::Type, &at.join("ttl"), &["24", "soon"]);
                }
                _ => {}
            }
        }
    }

    fn retry(&mut self, at: &Pointer, value: &Value) {
        self.language(at, keys::RETRY);
        self.write(Kind::Type, at, &["7", "often"]);
        self.write(Kind::Type, &at.join("attempts"), &["often", "[7]"]);
        for (item, _) in value["on"].as_array().into_iter().flatten().enumerate() {
            let all = ["job_failed", "timeout", "expectation_failed", "server_error", "network"];
            self.misspell(Kind::Value, &at.join("on").join(item), &taken(all));
        }
        if value["backoff"].is_object() {
            self.language(&at.join("backoff"), keys::BACKOFF);
            self.write(Kind::Type, &at.join("backoff").join("initial"), &["2", "soon"]);
        }
    }

    fn step(&mut self, at: &Pointer, step: &'t Value) {
        self.settings(at, step, keys::STEP);
        let ids = taken(self.steps().map(|(id, _)| &**id));
        for (key, value) in entries(step) {
            let at = at.join(key);
            if keys::VERBS.contains(&key.as_str()) {
                self.remove(Kind::Required, &at);
            }
            match key.as_str() {
                "needs" => {
                    self.write(Kind::Type, &at, &["7"]);
                    for (item, _) in value.as_array().into_iter().flatten().enumerate() {
                        self.misspell(Kind::Reference, &at.join(item), &ids);
                    }
                }
                "trigger" => self.misspell(Kind::Value, &at, &taken(["all_succeeded", "all_done", "any_succeeded"])),
                "when" | "save" | "description" => self.write(Kind::Type, &at, &["[7]", "{ a: b }"]),
                "foreach" | "matrix" | "expect" | "set" | "fallback" => self.write(Kind::Type, &at, &["7"]),
                "max_parallel" => self.write(Kind::Type, &at, &["two", "[7]"]),
                "estimate" => {
                    self.language(&at, keys::ESTIMATE);
                    self.write(Kind::Type, &at.join("credits"), &["dear", "[7]"]);
                }
                "http" => {
                    self.language(&at, keys::HTTP);
                    self.write(Kind::Type, &at, &["7"]);
                    self.remove(Kind::Required, &at.join("url"));
                    self.misspell(
                        Kind::Value,
                        &at.join("method"),
                        &taken(["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"]),
                    );
                    self.write(Kind::Type, &at.join("expect_status"), &["soon", "{ a: b }"]);
                }
                _ => {}
            }
        }
        self.target(at, step, step);
        for (entry, value) in step["fallback"].as_array().into_iter().flatten().enumerate() {
            let at = at.join("fallback").join(entry);
            self.language(&at, keys::FALLBACK);
            self.target(&at, value, step);
        }
    }

    /// The target that a step, or an entry of its `fallback`, names, and what goes to it.
    fn target(&mut self, at: &Pointer, written: &Value, step: &Value) {
        let word = |of: &Value, key: &str| of.get(key).and_then(Value::as_str).map(ToOwned::to_owned);
        let kinds = [TargetKind::Model, TargetKind::App, TargetKind::Agent];
        for kind in kinds {
            let known = self.offers.iter().filter_map(|offer| offer.catalog.as_ref()).flat_map(|all| all.of_kind(kind));
            let known = taken(known.flat_map(|contract| [&*contract.target.id, &*contract.name]));
            self.misspell(Kind::Target, &at.join(kind.verb()), &known);
        }
        self.misspell(Kind::Target, &at.join("workflow"), &BTreeSet::new());
        if written["workflow"].is_string() {
            let nested = self.nested(written["workflow"].as_str().expect("a path"));
            let known = taken(entries(&nested["inputs"]).map(|(name, _)| &**name));
            for (name, _) in entries(&written["inputs"]) {
                self.misspell_key(Kind::Input, &at.join("inputs").join(name), &known);
            }
            return;
        }
        let found = kinds.into_iter().find_map(|kind| {
            let name = word(written, kind.verb()).or_else(|| word(step, kind.verb()))?;
            let provider = word(written, "provider").or_else(|| word(step, "provider"));
            let provider = provider.or_else(|| word(self.root.get("defaults")?, "provider"));
            let fits = |offer: &&Offer| provider.as_ref().is_none_or(|alias| *alias == offer.alias);
            let catalogs = self.offers.iter().filter(fits).filter_map(|offer| offer.catalog.as_ref());
            catalogs.flat_map(|catalog| catalog.find(kind, &name)).next()
        });
        let Some(contract) = found else { return };
        self.inputs(&at.join("inputs"), &written["inputs"], &ports(contract));
        let params = contract.modes.first().and_then(|mode| mode.params.as_ref()).map(of_schema);
        self.inputs(&at.join("params"), &written["params"], &params.unwrap_or_default());
    }

    fn inputs(&mut self, at: &Pointer, written: &Value, ports: &[Port]) {
        let known = taken(ports.iter().flat_map(|port| &port.names).map(|name| &**name));
        for (name, value) in entries(written) {
            let named = |port: &&Port| port.names.iter().any(|one| plain(one) == plain(name));
            let Some(port) = ports.iter().find(named) else { continue };
            let at = at.join(name);
            self.misspell_key(Kind::Input, &at, &known);
            if port.required {
                self.remove(Kind::Required, &at);
            }
            match port.kind {
                _ if port.many => self.write(Kind::Type, &at, &["{ a: b }"]),
                Some(ValueKind::Text) => self.write(Kind::Type, &at, &["{ a: b }", "[seven]"]),
                Some(ValueKind::Number | ValueKind::Integer) => self.write(Kind::Type, &at, &["much", "[7]"]),
                Some(ValueKind::Boolean) => self.write(Kind::Type, &at, &["perhaps", "[true]"]),
                Some(kind) if kind.is_media() => self.write(Kind::Type, &at, &["7", "{ a: b }"]),
                _ => {}
            }
            if !port.options.is_empty() {
                self.another(&at, value, &port.options);
                self.declared_options(value, &port.options);
            } else if let (Some(maximum), true) = (port.maximum, value.is_number()) {
                self.write(Kind::Value, &at, &[&(maximum + 1.0).to_string()]);
            }
        }
    }

    /// Where a value is just an input that has an `enum`: its words, since the target has to know them all.
    fn declared_options(&mut self, value: &Value, options: &[Value]) {
        let Some(name) = value.as_str().and_then(|text| Some(LONE_INPUT.captures(text)?[1].to_owned())) else { return };
        let at = Pointer::from_iter(["inputs", &name, "enum"]);
        for (item, word) in self.root["inputs"][&name]["enum"].as_array().into_iter().flatten().enumerate() {
            self.another(&at.join(item), word, options);
        }
    }

    /// A value that is none of these.
    fn another(&mut self, at: &Pointer, value: &Value, allowed: &[Value]) {
        match value {
            Value::String(text) if !text.contains("{{") => {
                self.misspell(Kind::Value, at, &taken(allowed.iter().filter_map(Value::as_str)));
            }
            Value::Number(_) => self.write(Kind::Value, at, &["77", "101"]),
            _ => {}
        }
    }

    /// The names that templates and expressions use.
    fn templates(&mut self, at: &Pointer, value: &str) {
        if is_expression(at) {
            return self.expression(at, value, 0);
        }
        for template in TEMPLATE.find_iter(value) {
            self.expression(at, template.as_str(), template.start());
        }
    }

    fn expression(&mut self, at: &Pointer, text: &str, from: usize) {
        let mut note = |kind: Kind, found: regex::Match<'_>, taken: BTreeSet<String>| {
            let within = from + found.start()..from + found.end();
            let Span { start, end } = self.map.within(at, within);
            assert_eq!(&self.text[start..end], found.as_str());
            self.places.push(Place { kind, range: start..end, how: How::Misspell(taken) });
        };
        let root = self.root;
        let known = |of: &str| taken(entries(&root[of]).map(|(name, _)| &**name));
        let steps = || known("steps").into_iter().chain(known("finally")).collect::<BTreeSet<_>>();
        for found in NAMED.captures_iter(text) {
            let roots = ["steps", "step", "inputs", "vars", "run", "item", "index", "secrets", "output", "text"];
            note(Kind::Reference, found.get(1).expect("a root"), taken(roots));
            let names = match &found[1] {
                "steps" => steps(),
                "run" => taken(["id", "name", "started_at", "status", "failed_steps"]),
                of => known(of),
            };
            note(Kind::Reference, found.get(2).expect("a name"), names);
        }
        let step = at.parts().get(..2).map(|parts| &root[&parts[0]][&parts[1]]);
        if let Some(names) = step.and_then(|step| step["matrix"].as_object()) {
            for found in OF_ITEM.captures_iter(text) {
                note(Kind::Reference, found.get(1).expect("a name"), taken(names.keys().map(|name| &**name)));
            }
        }
        for found in OF_RESULT.captures_iter(text) {
            note(Kind::Field, found.get(2).expect("a field"), taken(FIELDS.iter().copied()));
            let Some(field) = found.get(3) else { continue };
            let step = &root["steps"][&found[1]];
            match &found[2] {
                "job" => note(Kind::Field, field, taken(JOB)),
                "output" if step["set"].is_object() => {
                    note(Kind::Field, field, taken(entries(&step["set"]).map(|(name, _)| &**name)));
                }
                "output" if step["http"].is_object() => note(Kind::Field, field, taken(["status", "headers", "body"])),
                "output" if step["workflow"].is_string() => {
                    let nested = nested(self.path, step["workflow"].as_str().expect("a path"));
                    note(Kind::Field, field, taken(entries(&nested["outputs"]).map(|(name, _)| &**name)));
                }
                _ => {}
            }
        }
        if at.parts().last().is_some_and(|key| key == "expect") {
            for found in FIRST.find_iter(text) {
                note(Kind::Field, found, taken(FIELDS.iter().copied()));
            }
        }
        for found in FILTER.captures_iter(text) {
            note(Kind::Filter, found.get(1).expect("a filter"), BTreeSet::new());
        }
        for found in STATUS_IS.captures_iter(text) {
            note(Kind::Value, found.get(1).expect("a word"), taken(STATUS));
        }
        for found in INPUT_IS.captures_iter(text) {
            if let Some(words) = root["inputs"][&found[1]]["enum"].as_array() {
                note(Kind::Value, found.get(2).expect("a word"), taken(words.iter().filter_map(Value::as_str)));
            }
        }
    }

    fn steps(&self) -> impl Iterator<Item = (&'t String, &'t Value)> {
        entries(&self.root["steps"]).chain(entries(&self.root["finally"]))
    }

    fn nested(&self, written: &str) -> Value {
        nested(self.path, written)
    }

    /// The keys of a map of the language.
    fn language(&mut self, at: &Pointer, known: &[Key]) {
        let Some(map) = part(self.root, at) else { return };
        for (key, _) in entries(map) {
            self.misspell_key(Kind::Key, &at.join(key), &names(known));
        }
    }

    fn misspell_key(&mut self, kind: Kind, at: &Pointer, taken: &BTreeSet<String>) {
        let Some(key) = self.map.get(at).and_then(|place| place.key) else { return };
        self.places.push(Place { kind, range: key.range(), how: How::Misspell(taken.clone()) });
    }

    fn misspell(&mut self, kind: Kind, at: &Pointer, taken: &BTreeSet<String>) {
        let Some(range) = self.value(at) else { return };
        self.places.push(Place { kind, range, how: How::Misspell(taken.clone()) });
    }

    fn write(&mut self, kind: Kind, at: &Pointer, others: &[&str]) {
        let Some(range) = self.value(at) else { return };
        // The sign of a folded text is not in its span, and would make a text of whatever is written.
        if !self.text[..range.start].trim_end().ends_with(['|', '>', '-']) {
            let others = others.iter().map(|&other| other.to_owned()).collect();
            self.places.push(Place { kind, range, how: How::Write(others) });
        }
    }

    /// Takes an entry out: its lines, or its part of a flow map.
    fn remove(&mut self, kind: Kind, at: &Pointer) {
        let Some(key) = self.map.get(at).and_then(|place| place.key) else { return };
        let Some(value) = self.value(at) else { return };
        let line = self.text[..key.start].rfind('\n').map_or(0, |newline| newline + 1);
        let before = &self.text[line..key.start];
        let range = if before.trim().is_empty() {
            line..self.text[value.end..].find('\n').map_or(self.text.len(), |newline| value.end + newline + 1)
        } else if let Some(comma) = before.rfind(',').filter(|comma| before[comma + 1..].trim().is_empty()) {
            line + comma..value.end
        } else if before.trim_end().ends_with('{') {
            let after = &self.text[value.end..];
            key.start..value.end + usize::from(after.starts_with(','))
        } else {
            return;
        };
        self.places.push(Place { kind, range, how: How::Remove });
    }

    /// Returns where a value stands; a block ends with its last line.
    fn value(&self, at: &Pointer) -> Option<Range<usize>> {
        let range = self.map.get(at)?.value.range();
        let written = self.text[range.clone()].trim_end();
        Some(range.start..range.start + written.len())
    }
}

/// Reads the workflow that a step runs.
fn nested(path: &Path, written: &str) -> Value {
    let text = std::fs::read_to_string(path.with_file_name(written)).expect("a nested workflow");
    yaml::read(&Arc::new(Source::new(written, text))).value.expect("a workflow")
}

/// Returns what stands at a place of a document.
fn part<'v>(root: &'v Value, at: &Pointer) -> Option<&'v Value> {
    at.parts().iter().try_fold(root, |value, part| match value {
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        _ => value.get(part),
    })
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// Returns every string of a document, with its place.
fn strings<'v>(value: &'v Value, at: &Pointer) -> Vec<(Pointer, &'v str)> {
    match value {
        Value::String(text) => vec![(at.clone(), text)],
        Value::Array(items) => items.iter().enumerate().flat_map(|(n, item)| strings(item, &at.join(n))).collect(),
        Value::Object(map) => map.iter().flat_map(|(key, item)| strings(item, &at.join(key))).collect(),
        _ => Vec::new(),
    }
}

/// Says whether a string is one expression as a whole.
fn is_expression(at: &Pointer) -> bool {
    let parts: Vec<&str> = at.parts().iter().map(String::as_str).collect();
    matches!(parts[..], ["steps" | "finally", _, "when" | "foreach" | "expect"])
}

/// Says whether names in a string are names of the language.
fn is_templated(at: &Pointer, text: &str) -> bool {
    let parts: Vec<&str> = at.parts().iter().map(String::as_str).collect();
    let takes = matches!(parts.first(), Some(&("steps" | "finally" | "vars" | "outputs")));
    is_expression(at) || (takes && text.contains("{{") && !matches!(parts[..], [_, _, "description"]))
}
