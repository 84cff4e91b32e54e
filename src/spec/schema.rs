//! The JSON Schema of the language, for editors and other programs: `schemas/workflow.schema.json` is this, written out.
//!
//! It is built by hand and not from the types: what a person may write (a number or a map, `true` or a path) is wider than what
//! it becomes, and an editor's texts want to be written for it. A test compares its keys with those that are decoded. Whatever
//! may hold a template may be a string here, whatever else it is.

mod input;
mod shape;
mod step;
mod words;
mod workflow;

use serde_json::{Map, Value, json};

use self::{
    input::input,
    shape::{described, labels, map, shown, with_examples},
    step::{cache, http, retry, step},
    workflow::workflow,
};
pub(crate) use self::{
    shape::{count, long, one_of},
    workflow::budget,
};

/// Returns the schema of a workflow file (JSON Schema 2020-12).
#[must_use]
pub fn workflow_schema() -> Value {
    let mut whole = Map::new();
    whole.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    // No `title`: editors would show it above the text of every key.
    let about = "A Dagwood workflow: the inputs of a run, its steps, and what comes out. The graph comes from what the steps mention of each other.";
    if let Value::Object(mut schema) = map(about, workflow()) {
        whole.append(&mut schema);
    }
    whole.insert("required".to_owned(), json!(["steps"]));
    whole.insert("$defs".to_owned(), definitions());
    told(Value::Object(whole))
}

/// Makes a schema tell its defaults, in plain text and in Markdown.
pub(crate) fn told(mut schema: Value) -> Value {
    tell_defaults(&mut schema);
    mark_down(&mut schema);
    schema
}

/// Says in the text of a key what it is unless it is given: most editors show the text alone.
fn tell_defaults(schema: &mut Value) {
    match schema {
        Value::Object(entries) => {
            if let (Some(default), Some(Value::String(text))) = (entries.get("default"), entries.get("description"))
                && let Some(default) = in_words(default)
                && !text.contains("Default: ")
            {
                let text = json!(format!("{text} Default: `{default}`."));
                entries.insert("description".to_owned(), text);
            }
            entries.values_mut().for_each(tell_defaults);
        }
        Value::Array(items) => items.iter_mut().for_each(tell_defaults),
        _ => {}
    }
}

fn in_words(default: &Value) -> Option<String> {
    match default {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(default.to_string()),
        _ => None,
    }
}

/// Gives every description that has code in it to the editors that draw Markdown; others show the plain one.
fn mark_down(schema: &mut Value) {
    match schema {
        Value::Object(entries) => {
            if let Some(Value::String(text)) = entries.get("description").filter(|text| shows_code(text)) {
                let text = json!(text);
                entries.insert("markdownDescription".to_owned(), text);
            }
            if let Some(texts) = entries.get("enumDescriptions").cloned() {
                entries.insert("markdownEnumDescriptions".to_owned(), texts);
            }
            for (key, value) in entries {
                // Data, not schemas.
                if !["default", "examples", "enum", "const"].contains(&key.as_str()) || value.is_object() {
                    mark_down(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mark_down),
        _ => {}
    }
}

fn shows_code(text: &Value) -> bool {
    text.as_str().is_some_and(|text| text.contains('`'))
}

fn definitions() -> Value {
    json!({
        "name": { "type": "string", "pattern": NAME, "description": "A letter or `_`, then letters, digits and `_`." },
        "input": input(),
        "step": step(),
        "schema": words::schema(),
        "retry": retry(),
        "cache": cache(),
        "on_error": described(one_of(&[
            ("fail", "The failure is one of the run, too."),
            ("continue", "The failure counts as handled: what follows and the run see a success, `status` is `failed` and `output` is `null`."),
        ], Some("fail")), "What a failure of the step means for the run. `continue`: it counts as handled, and what follows goes on with an `output` of `null`."),
        "labels": labels(),
        "estimate": with_examples(map("What one job costs and takes, where the contract does not say. Budgets and plans count with it.", vec![
            ("credits", shown(json!({ "type": "number", "minimum": 0 }), "Credits of one job.", json!([200]))),
            ("seconds", shown(json!({ "type": "number", "minimum": 0 }), "Seconds that one job takes.", json!([40]))),
        ]), json!([{ "credits": 200, "seconds": 40 }])),
        "http": http(),
    })
}

/// A map of steps. It stands in each place as it is: of a reference with a bound beside it, editors lose the text.
fn steps(own: Value) -> Value {
    let mut steps = json!({
        "type": "object",
        "patternProperties": { "^x-": true, NAME: { "$ref": "#/$defs/step" } },
        "additionalProperties": false,
        "errorMessage": "Steps are a map, and an id is a letter or `_`, then letters, digits and `_`",
    });
    if let (Value::Object(steps), Value::Object(mut own)) = (&mut steps, own) {
        steps.append(&mut own);
    }
    steps
}

const NAME: &str = "^[A-Za-z_][A-Za-z0-9_]*$";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::keys::{self, Key};

    #[test]
    fn the_schema_has_the_keys_that_are_decoded() {
        let schema = workflow_schema();
        for (pointer, known) in [
            ("", keys::WORKFLOW),
            ("/properties/defaults", keys::DEFAULTS),
            ("/properties/concurrency/anyOf/1", keys::CONCURRENCY),
            ("/properties/budget", keys::BUDGET),
            ("/properties/schedule/items", keys::SCHEDULE),
            ("/properties/notify/items", keys::NOTIFY),
            ("/$defs/step", keys::STEP),
            ("/$defs/step/properties/fallback/items", keys::FALLBACK),
            ("/$defs/step/properties/expect/anyOf/2", keys::EXPECT),
            ("/$defs/retry", keys::RETRY),
            ("/$defs/retry/properties/backoff", keys::BACKOFF),
            ("/$defs/cache/anyOf/1", keys::CACHE),
            ("/$defs/estimate", keys::ESTIMATE),
            ("/$defs/http", keys::HTTP),
        ] {
            let part = schema.pointer(pointer).expect(pointer);
            let found: Vec<&str> = part["properties"].as_object().expect(pointer).keys().map(String::as_str).collect();
            let known: Vec<&str> = known.iter().map(|Key { name, .. }| *name).collect();
            assert_eq!(found, known, "{pointer}");
            assert_eq!(part["additionalProperties"], json!(false), "{pointer}");
            assert_eq!(part["patternProperties"]["^x-"], json!(true), "{pointer}");
            for (key, value) in part["properties"].as_object().expect(pointer) {
                assert!(value["description"].is_string(), "{pointer}/{key} says nothing to an editor");
            }
        }
        let words: Vec<&str> =
            schema["$defs"]["input"]["properties"].as_object().expect("keys").keys().map(String::as_str).collect();
        let known: Vec<&str> =
            keys::INPUT.iter().map(|key| key.name).chain(keys::SCHEMA_WORDS.iter().copied()).collect();
        assert_eq!(words, known);
        let within = &schema["$defs"]["schema"];
        let words: Vec<&str> = within["properties"].as_object().expect("keys").keys().map(String::as_str).collect();
        let known: Vec<&str> = keys::WITHIN_SCHEMA.iter().chain(keys::SCHEMA_WORDS).copied().collect();
        assert_eq!(words, known);
        for word in keys::HOLD_A_SCHEMA {
            assert_eq!(within["properties"][*word]["$ref"], "#/$defs/schema", "{word}");
        }
        for word in keys::HOLD_SCHEMAS_BY_NAME {
            assert_eq!(within["properties"][*word]["additionalProperties"]["$ref"], "#/$defs/schema", "{word}");
        }
        for word in keys::HOLD_A_LIST_OF_SCHEMAS {
            assert_eq!(within["properties"][*word]["items"]["$ref"], "#/$defs/schema", "{word}");
        }
    }
}
