//! What schemas are made of: keys with words for people, values of several forms, examples and defaults.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::spec::duration::Period;

/// A map of the language: these keys, and free ones that start with `x-`.
pub(super) fn map(description: &str, properties: Vec<(&str, Value)>) -> Value {
    let properties: Map<String, Value> = properties.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    json!({
        "type": "object",
        "description": description,
        "properties": properties,
        "patternProperties": { "^x-": true },
        "additionalProperties": false,
    })
}

/// A list that stands in for a single value. It has keys of its own, of which a list has none: the YAML language server takes forms without
/// title, text and keys for one and the same, and shows them all at once; a title it would show above the text of the key.
pub(super) fn several(one: &Value) -> Value {
    json!({ "type": "array", "items": one, "properties": {} })
}

/// A map that an editor proposes to write. An example it would be as little able to show as to write.
pub(super) fn snippet(label: &str, body: &Value) -> Value {
    json!({ "label": label, "body": body })
}

/// A map that stands in for a simpler value. It has no text: an editor would show it instead of the key's.
pub(super) fn alternative(properties: Vec<(&str, Value)>) -> Value {
    let mut map = map("", properties);
    map.as_object_mut().expect("a map is an object").shift_remove("description");
    map
}

pub(super) fn required(mut schema: Value, keys: &[&str]) -> Value {
    schema["required"] = json!(keys);
    schema
}

/// At least one of some keys is there. Said by a condition: of an `anyOf` an editor would show every alternative.
pub(super) fn some_key(mut schema: Value, keys: &[&str], message: &str) -> Value {
    let none: Map<String, Value> = keys.iter().map(|key| ((*key).to_owned(), json!(false))).collect();
    schema["if"] = json!({ "properties": none });
    schema["then"] = json!({ "required": keys[..1], "errorMessage": message });
    schema
}

/// `key` says nothing without `other`.
pub(super) fn dependent(mut schema: Value, key: &str, other: &str) -> Value {
    schema["dependentRequired"] = json!({ key: [other] });
    schema
}

pub(super) fn described(mut schema: Value, description: &str) -> Value {
    schema["description"] = json!(description);
    schema
}

/// Describes a key and shows what may stand there.
pub(super) fn shown(schema: Value, description: &str, examples: Value) -> Value {
    with_examples(described(schema, description), examples)
}

pub(super) fn with_examples(mut schema: Value, examples: Value) -> Value {
    schema["examples"] = examples;
    schema
}

pub(super) fn with_default(mut schema: Value, default: impl Into<Value>) -> Value {
    schema["default"] = default.into();
    schema
}

pub(super) fn reference(name: &str, description: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}"), "description": description })
}

pub(super) fn text() -> Value {
    json!({ "type": "string" })
}

pub(super) fn name() -> Value {
    json!({ "type": "string", "minLength": 1 })
}

pub(super) fn free() -> Value {
    json!({ "type": "object", "default": {} })
}

/// The schema that the type of durations has itself, in each place: an editor that follows a reference shows its text instead of the key's.
pub(super) fn period() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut period = <Period as schemars::JsonSchema>::json_schema(&mut generator).to_value();
    period["errorMessage"] =
        json!("A duration is whole numbers with units, largest first: `250ms`, `10s`, `15m`, `1h30m`");
    period
}

/// A duration that is longer than nothing.
pub(crate) fn long() -> Value {
    let mut period = period();
    let pattern = period["pattern"].as_str().expect("a duration has a pattern").trim_start_matches('^');
    period["pattern"] = json!(format!("^(?=.*[1-9]){pattern}"));
    period["errorMessage"] = json!(
        "A duration longer than nothing is whole numbers with units, largest first: `250ms`, `10s`, `15m`, `1h30m`"
    );
    period
}

/// A number of things that may be as many as the reader can hold.
pub(crate) fn count() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX })
}

/// One of some words, each with what it means.
pub(crate) fn one_of(words: &[(&str, &str)], default: Option<&str>) -> Value {
    let (words, texts): (Vec<_>, Vec<_>) = words.iter().copied().unzip();
    let mut schema = json!({ "enum": words, "enumDescriptions": texts });
    if let Some(default) = default {
        schema["default"] = json!(default);
    }
    schema
}

/// Some of some words, each with what it means.
pub(super) fn some_of(words: &[(&str, &str)]) -> Value {
    json!({ "type": "array", "items": one_of(words, None), "uniqueItems": true })
}

pub(super) fn labels() -> Value {
    json!({
        "type": "object",
        "default": {},
        "examples": [{ "team": "marketing" }],
        "patternProperties": { "^x-": true },
        "additionalProperties": { "type": "string" },
    })
}
