//! Uploaded files in inputs: where they may stand, and whether a schema wants the bare reference there or an object that holds it.

use serde_json::Value;

/// Calls `place` for each part of an input's value where a file may stand, with the schema of it: the value, or each item of a list.
pub fn each_place(value: &mut Value, schema: Option<&Value>, place: impl Fn(&mut Value, Option<&Value>)) {
    match value {
        Value::Array(items) => {
            let schema = schema.and_then(|schema| schema.get("items"));
            for item in items {
                place(item, schema);
            }
        }
        one => place(one, schema),
    }
}

/// Says whether the schema of an input takes `{"media_ref": …}` or bare text, where it takes one alone (`apis/aimp.md`, the row on
/// `media_ref`).
#[must_use]
pub fn takes_media_object(schema: &Value) -> Option<bool> {
    let has_key = schema.pointer("/properties/media_ref").is_some();
    let types = match schema.get("type") {
        Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(word)) => vec![word.as_str()],
        _ => Vec::new(),
    };
    match (types.contains(&"string"), has_key || types.contains(&"object")) {
        (true, false) => return Some(false),
        (false, true) => return Some(true),
        // Both are fine.
        (true, true) => return None,
        (false, false) => {}
    }
    let parts = ["anyOf", "oneOf", "allOf"].iter().filter_map(|key| schema.get(*key)?.as_array()).flatten();
    let said: Vec<bool> = parts.filter_map(takes_media_object).collect();
    let first = *said.first()?;
    said.iter().all(|other| *other == first).then_some(first)
}
