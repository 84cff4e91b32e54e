//! Drift: what changed between a contract that is locked and the one that the API publishes now, in words for people, and whether a step
//! that was right may be wrong for it.
//!
//! Pure and cautious: a change that may break some step is said to, whether or not a step of this project has anything to do
//! with it. Which steps do break is seen by planning them against both contracts.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Contract, Mode, Port, ValueKind,
    checker::of_mode,
    names::fold,
    published::Reading,
    schema::{listed, shown},
};
use crate::job::TargetKind;

/// One thing that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Change {
    /// What it is about.
    pub what: What,
    /// The operation that it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The id of the input or param that it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// Whether a step that was right before may be wrong now.
    pub can_break: bool,
    /// One sentence: "input `Prompt` is required now".
    pub message: String,
}

/// What a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A target that was not there.
    TargetNew,
    /// A target that is not there any more.
    TargetGone,
    /// The target's name.
    Name,
    /// What the target is, for people.
    Description,
    /// What a run costs.
    Cost,
    /// What comes out.
    Output,
    /// Whether anything is published of what the target takes.
    Published,
    /// Whether names that are not published are refused.
    Unknown,
    /// An input that was not there.
    InputNew,
    /// An input that is not there any more.
    InputGone,
    /// The name of an input for people.
    Label,
    /// The other name of an input.
    Handle,
    /// What kind of value an input takes.
    Kind,
    /// Whether an input takes a list.
    List,
    /// Whether an input may be null.
    Null,
    /// Whether an input must be given.
    Required,
    /// The values that an input may have.
    Options,
    /// The smallest or largest value.
    Range,
    /// What is taken where nothing is given.
    Default,
    /// Something else that the JSON Schema says.
    Schema,
    /// An operation that was not there.
    ModeNew,
    /// An operation that is not there any more.
    ModeGone,
    /// Whether an operation needs a scope.
    Scope,
}

/// Returns the change that a target is not there any more.
#[must_use]
pub fn gone(old: &Contract) -> Change {
    let message = format!("{} `{}` is not there any more", old.target.kind, old.name);
    Change { what: What::TargetGone, mode: None, input: None, can_break: true, message }
}

/// Returns the change that a target is there that was not locked.
#[must_use]
pub fn new(new: &Contract) -> Change {
    let message = format!("{} `{}` is not in the lock file", new.target.kind, new.name);
    Change { what: What::TargetNew, mode: None, input: None, can_break: false, message }
}

/// Returns what changed, what can break a step first; nothing where the contracts say the same.
#[must_use]
pub fn drift(old: &Contract, new: &Contract) -> Vec<Change> {
    let mut found = Found { mode: None, noun: "input", changes: Vec::new() };
    if old == new {
        return found.changes;
    }
    target(&mut found, old, new);
    if old.modes.is_empty() && new.modes.is_empty() {
        inputs(&mut found, old, new);
    } else {
        modes(&mut found, old, new);
    }
    found.changes.sort_by_key(|change| !change.can_break);
    found.changes
}

struct Found {
    mode: Option<String>,
    noun: &'static str,
    changes: Vec<Change>,
}

impl Found {
    fn add(&mut self, what: What, input: Option<&str>, can_break: bool, message: String) {
        let message = match &self.mode {
            Some(mode) => format!("mode `{mode}`: {message}"),
            None => message,
        };
        let change = Change { what, mode: self.mode.clone(), input: input.map(str::to_owned), can_break, message };
        self.changes.push(change);
    }
}

fn target(found: &mut Found, old: &Contract, new: &Contract) {
    let kind = new.target.kind;
    if old.name != new.name {
        // A model is found by its id alone.
        let can_break = kind != TargetKind::Model;
        found.add(What::Name, None, can_break, format!("it is called `{}` now, and was `{}`", new.name, old.name));
    }
    if old.description != new.description {
        found.add(What::Description, None, false, "its description changed".to_owned());
    }
    if old.cost != new.cost {
        let credits =
            |cost: Option<f64>| cost.map_or_else(|| "an unknown number of".to_owned(), |cost| cost.to_string());
        let message = format!("a run costs {} credits now, and was {}", credits(new.cost), credits(old.cost));
        found.add(What::Cost, None, false, message);
    }
    if old.output != new.output {
        let word = |output: Option<ValueKind>| output.map_or("something that is not published", ValueKind::word);
        // `steps.ID.image` of a step that gives videos has nothing.
        let can_break = old.output.is_some() && new.output.is_some();
        found.add(
            What::Output,
            None,
            can_break,
            format!("what comes out is {} now, and was {}", word(new.output), word(old.output)),
        );
    }
}

fn modes(found: &mut Found, old: &Contract, new: &Contract) {
    let of = |contract: &Contract, name: &str| contract.modes.iter().find(|mode| mode.name == name).cloned();
    let called =
        |name: &str| if name.is_empty() { "a mode that is not listed".to_owned() } else { format!("mode `{name}`") };
    for mode in &old.modes {
        let Some(now) = of(new, &mode.name) else {
            // Without a list, or with an entry for all others, nothing is refused.
            let can_break = !new.modes.is_empty() && of(new, "").is_none();
            found.add(What::ModeGone, None, can_break, format!("{} is not there any more", called(&mode.name)));
            continue;
        };
        found.mode = Some(mode.name.clone()).filter(|name| !name.is_empty());
        inputs(found, &of_mode(old, mode), &of_mode(new, &now));
        found.noun = "param";
        inputs(found, &params(old, mode), &params(new, &now));
        found.noun = "input";
        if mode.needs_scope != now.needs_scope {
            let (can_break, message) = match now.needs_scope {
                Some(true) => (true, "it needs a `scope` now"),
                Some(false) => (false, "it needs no `scope` any more"),
                None => (false, "whether it needs a `scope` is not published any more"),
            };
            found.add(What::Scope, None, can_break, message.to_owned());
        }
        found.mode = None;
    }
    for mode in new.modes.iter().filter(|mode| of(old, &mode.name).is_none()) {
        found.add(What::ModeNew, None, false, format!("{} is new", called(&mode.name)));
    }
    if old.modes.is_empty() && of(new, Mode::DEFAULT).is_none() && of(new, "").is_none() {
        found.add(
            What::ModeGone,
            None,
            true,
            format!("the modes are listed now, and `{}` is none of them", Mode::DEFAULT),
        );
    }
}

/// Returns what the params of an operation are.
fn params(contract: &Contract, mode: &Mode) -> Contract {
    let (target, name) = (contract.target.clone(), contract.name.clone());
    match &mode.params {
        Some(schema) => Contract::of_schema(target, name, schema.clone()).0,
        None => Contract::unchecked(target, name),
    }
}

/// Compares what may be given.
fn inputs(found: &mut Found, old: &Contract, new: &Contract) {
    let noun = found.noun;
    match (old.unchecked, new.unchecked) {
        (true, true) => return,
        (true, false) => {
            let message = format!("its {noun}s are published now: {}", new.summary());
            return found.add(What::Published, None, true, message);
        }
        (false, true) => {
            return found.add(What::Published, None, false, format!("its {noun}s are not published any more"));
        }
        (false, false) => {}
    }
    match (old.open, new.open) {
        (true, false) => {
            found.add(What::Unknown, None, true, format!("{noun}s that it does not publish are refused now"));
        }
        (false, true) => {
            found.add(What::Unknown, None, false, format!("{noun}s that it does not publish are not refused any more"));
        }
        _ => {}
    }
    let renumbered = |port: &Port, other: &Contract| {
        // An app that was edited may give an input another id, under the same name.
        let label = port.label.as_deref()?;
        let mut same = other.ports.iter().filter(|other| other.label.as_deref() == Some(label));
        same.next().filter(|_| same.next().is_none()).cloned()
    };
    let mut changed = HashSet::new();
    let mut seen = HashSet::new();
    for port in &old.ports {
        let before = found.changes.len();
        let name = old.name_of(port);
        if let Some(now) = new.port(&port.id) {
            seen.insert(now.id.clone());
            compare(found, old, new, port, now);
        } else if let Some(now) = renumbered(port, new).filter(|now| old.port(&now.id).is_none()) {
            seen.insert(now.id.clone());
            let message = format!("{noun} `{name}` has the id `{}` now, and had `{}`", now.id, port.id);
            found.add(What::Label, Some(&port.id), true, message);
            compare(found, old, new, port, &now);
        } else {
            let can_break = !new.open;
            let more = if can_break { "" } else { "; it is sent all the same" };
            found.add(
                What::InputGone,
                Some(&port.id),
                can_break,
                format!("{noun} `{name}` is not there any more{more}"),
            );
        }
        if found.changes.len() > before {
            changed.insert(port.id.as_str());
        }
    }
    for port in new.ports.iter().filter(|port| !seen.contains(&port.id)) {
        let required = if port.required { ", and required" } else { "" };
        let message = format!("{noun} `{}` is new{required}; it takes {}", new.name_of(port), port.wants());
        // An open contract may have taken such a name, with any value.
        found.add(What::InputNew, Some(&port.id), port.required || old.open, message);
    }
    details(found, old, new, &changed);
}

fn compare(found: &mut Found, old: &Contract, new: &Contract, was: &Port, is: &Port) {
    let (noun, id) = (found.noun, Some(is.id.as_str()));
    let name = format!("{noun} `{}`", old.name_of(was));
    let called = |label: Option<&str>| label.map_or_else(|| "nothing".to_owned(), |label| format!("`{label}`"));
    if was.label != is.label {
        let same = |a: &str, b: &str| fold(a) == fold(b);
        // A name that goes away was one to write; of one that differs in spelling only, both spellings mean it.
        let can_break = was.label.as_deref().is_some_and(|was| !is.label.as_deref().is_some_and(|is| same(was, is)));
        let message = format!("{name} is called {} now", called(is.label.as_deref()));
        found.add(What::Label, id, can_break, message);
    }
    if was.handle != is.handle {
        let message = format!(
            "{name} has the `targetHandle` {} now, and had {}",
            called(is.handle.as_deref()),
            called(was.handle.as_deref())
        );
        found.add(What::Handle, id, was.handle.is_some(), message);
    }
    if was.many != is.many {
        let can_break = is.many || is.kind != ValueKind::Any;
        found.add(What::List, id, can_break, format!("{name} takes {} now, and took {}", is.wants(), was.wants()));
    } else if was.kind != is.kind {
        let can_break = !takes_all_of(is.kind, was.kind);
        found.add(What::Kind, id, can_break, format!("{name} takes {} now, and took {}", is.wants(), was.wants()));
    }
    match (was.required, is.required) {
        (false, true) => found.add(What::Required, id, true, format!("{name} is required now")),
        (true, false) => found.add(What::Required, id, false, format!("{name} is not required any more")),
        _ => {}
    }
    match (was.nullable, is.nullable) {
        // A null is left out now, which a required input cannot be.
        (true, false) => found.add(What::Null, id, is.required, format!("{name} may not be null any more")),
        (false, true) => found.add(What::Null, id, false, format!("{name} may be null now")),
        _ => {}
    }
    options(found, &name, was, is);
    if (was.minimum, was.maximum) != (is.minimum, is.maximum) {
        let narrower = |was: Option<f64>, is: Option<f64>, sign: f64| match (was, is) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(was), Some(is)) => is * sign > was * sign,
        };
        let narrower = narrower(was.minimum, is.minimum, 1.0) || narrower(was.maximum, is.maximum, -1.0);
        // Outside a range that no schema publishes there is only a warning.
        let message = format!("{name} goes {} now, and went {}", range(is), range(was));
        found.add(What::Range, id, narrower && new.schema.is_some(), message);
    }
    if was.default != is.default {
        let said = |default: &Option<Value>| default.as_ref().map_or_else(|| "nothing".to_owned(), shown);
        let message =
            format!("{name} is {} now where it is not given, and was {}", said(&is.default), said(&was.default));
        found.add(What::Default, id, false, message);
    }
}

fn options(found: &mut Found, name: &str, was: &Port, is: &Port) {
    let id = Some(is.id.as_str());
    let missing = |from: &[Value], of: &[Value]| -> Vec<Value> {
        of.iter().filter(|option| !from.contains(option)).cloned().collect()
    };
    match (was.options.is_empty(), is.options.is_empty()) {
        (true, true) => {}
        (true, false) => {
            found.add(What::Options, id, true, format!("{name} takes only {} now", listed(&is.options)));
        }
        (false, true) => {
            found.add(What::Options, id, false, format!("{name} takes other values than its options now"));
        }
        (false, false) => {
            let (gone, added) = (missing(&is.options, &was.options), missing(&was.options, &is.options));
            if !gone.is_empty() {
                found.add(What::Options, id, true, format!("{name} does not take {} any more", listed(&gone)));
            }
            if !added.is_empty() {
                found.add(What::Options, id, false, format!("{name} also takes {} now", listed(&added)));
            }
        }
    }
}

fn range(port: &Port) -> String {
    port.bounds().unwrap_or_else(|| "without bounds".to_owned())
}

/// Says whether whatever fitted one kind fits another.
fn takes_all_of(is: ValueKind, was: ValueKind) -> bool {
    match (is, was) {
        (ValueKind::Any, _) => true,
        // Numbers and booleans become text, and a URL is one.
        (ValueKind::Text | ValueKind::Scalar, was) => was != ValueKind::Any,
        (ValueKind::Number, was) => was == ValueKind::Integer,
        _ => false,
    }
}

/// Tells of what the schemas say beyond their ports.
fn details(found: &mut Found, old: &Contract, new: &Contract, changed: &HashSet<&str>) {
    let noun = found.noun;
    let (Some(was), Some(is)) = (&old.schema, &new.schema) else {
        if old.schema.is_some() != new.schema.is_some() {
            let message = if new.schema.is_some() {
                "a JSON Schema is published now"
            } else {
                "no JSON Schema is published any more"
            };
            found.add(What::Schema, None, new.schema.is_some(), message.to_owned());
        }
        return;
    };
    let own = |schema: &Value| -> Vec<(String, Vec<Value>)> {
        let reading = Reading::of(schema);
        let places = reading.places.iter().map(|places| {
            places.value.iter().filter_map(|place| schema.pointer(place)).map(|schema| essence(schema, true)).collect()
        });
        reading.ports.iter().map(|port| port.id.clone()).zip(places).collect()
    };
    let now = own(is);
    for (id, before) in own(was) {
        let Some((_, after)) = now.iter().find(|(other, _)| *other == id) else { continue };
        if *after == before || changed.contains(id.as_str()) {
            continue;
        }
        let name = new.port(&id).map_or(id.as_str(), |port| new.name_of(port));
        let words = differing(&before, after);
        found.add(What::Schema, Some(&id), true, format!("{noun} `{name}`: its JSON Schema changed{words}"));
    }
    let (before, after) = (essence(was, true), essence(is, true));
    let rest = |schema: &Value| -> Map<String, Value> {
        let rest = schema.as_object().cloned().unwrap_or_default();
        rest.into_iter()
            .filter(|(key, _)| !matches!(key.as_str(), "properties" | "required" | "additionalProperties"))
            .collect()
    };
    if rest(&before) != rest(&after) {
        let words = differing(&[Value::Object(rest(&before))], &[Value::Object(rest(&after))]);
        found.add(What::Schema, None, true, format!("its JSON Schema over the {noun}s changed{words}"));
    }
}

/// Returns in brackets which words of two schemas differ.
fn differing(was: &[Value], is: &[Value]) -> String {
    let words = |schemas: &[Value]| -> Map<String, Value> {
        schemas.iter().filter_map(Value::as_object).flat_map(Map::clone).collect()
    };
    let (was, is) = (words(was), words(is));
    let mut differ: Vec<_> = was
        .keys()
        .chain(is.keys())
        .filter(|word| was.get(*word) != is.get(*word))
        .map(|word| format!("`{word}`"))
        .collect();
    differ.sort();
    differ.dedup();
    if differ.is_empty() { String::new() } else { format!(" ({})", differ.join(", ")) }
}

/// Returns a schema without what it only tells people; `is_schema` says whether a map is one, or a map of some.
fn essence(value: &Value, is_schema: bool) -> Value {
    const WORDS: [&str; 9] =
        ["title", "description", "examples", "default", "deprecated", "readOnly", "writeOnly", "$comment", "$schema"];
    const MAPS: [&str; 6] =
        ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"];
    const VALUES: [&str; 3] = ["const", "enum", "required"];
    match value {
        Value::Object(map) => {
            let kept =
                map.iter().filter(|(key, _)| !is_schema || !(WORDS.contains(&key.as_str()) || key.starts_with("x-")));
            let essential = |(key, value): (&String, &Value)| {
                let value = if is_schema && VALUES.contains(&key.as_str()) {
                    unordered(value)
                } else {
                    essence(value, !(is_schema && MAPS.contains(&key.as_str())))
                };
                (key.clone(), value)
            };
            Value::Object(kept.map(essential).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| essence(item, is_schema)).collect()),
        scalar => scalar.clone(),
    }
}

/// Sorts a list whose order says nothing.
fn unordered(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items = items.clone();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        other => other.clone(),
    }
}

#[cfg(test)]
#[path = "drift_tests.rs"]
mod tests;
