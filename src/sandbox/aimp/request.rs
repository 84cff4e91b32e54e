//! A run as a client asks for it, checked field by field: only the six documented ones, each as the documents want it.
//!
//! Pure. The order is that of the documents' checklist: the shape, then the model, its mode, the scope, input and params against the
//! contract, media last.

use serde_json::{Map, Value};

use super::{
    super::emulator::{Body, Call},
    models::{Model, Models, NoModel, Rules},
    refusal::Refusal,
};
use crate::contract::schema::Schema;

/// The operation of a run that names none.
pub(super) const DEFAULT_MODE: &str = "execute";

/// What the platform decides, and no client.
const PLATFORM: [&str; 4] = ["resources", "alias", "collection", "namespace"];

/// The longest scope.
const LONGEST_SCOPE: usize = 64;

/// A run that was asked for, its shape as the documents want it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked<'a> {
    pub(super) model: &'a str,
    pub(super) mode: &'a str,
    pub(super) scope: Option<&'a str>,
    pub(super) input: &'a Map<String, Value>,
    pub(super) params: Option<&'a Map<String, Value>>,
    pub(super) options: Option<&'a Map<String, Value>>,
}

/// Returns a body as an object.
pub(super) fn object(call: &Call) -> Result<&Map<String, Value>, Refusal> {
    match &call.body {
        Body::Json(Value::Object(body)) => Ok(body),
        Body::Json(_) => Err(Refusal::new(400, "invalid_body", "The body must be a JSON object")),
        Body::TooLarge => Err(Refusal::new(400, "invalid_body", "The body is too large")),
        _ => Err(Refusal::new(400, "invalid_body", "The body is not JSON")),
    }
}

/// Returns a field that must be a text with something in it.
pub(super) fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Result<&'a str, Refusal> {
    match body.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        None => Err(Refusal::field("invalid_field", name, format!("{name} is required"))),
        Some(_) => Err(Refusal::field("invalid_field", name, format!("{name} must be a text that is not empty"))),
    }
}

/// Reads a run.
pub(super) fn read(call: &Call) -> Result<Asked<'_>, Refusal> {
    let body = object(call)?;
    for name in body.keys() {
        let detail = match name.as_str() {
            "model" | "mode" | "scope" | "input" | "params" | "options" => continue,
            "parameters" => "Unknown field parameters: use params".to_owned(),
            "hardware_tier" => {
                "hardware_tier must not be sent: hardware is resolved from the published model release".to_owned()
            }
            name if PLATFORM.contains(&name) => format!("{name} is managed by the platform and must not be supplied"),
            name => format!("Unknown field {name}"),
        };
        return Err(Refusal::field("unknown_field", name, detail));
    }
    let optional = |name: &str| body.contains_key(name).then(|| text(body, name)).transpose();
    let map = |name: &str| match body.get(name) {
        None => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(_) => Err(Refusal::field("invalid_field", name, format!("{name} must be a JSON object"))),
    };
    let model = text(body, "model")?;
    let mode = optional("mode")?.unwrap_or(DEFAULT_MODE);
    let scope = match body.get("scope") {
        None => None,
        Some(Value::String(scope)) if is_scope(scope) => Some(scope.as_str()),
        Some(_) => {
            let detail = "Invalid scope: it starts with a letter or number, may contain letters, numbers, ., _ and -, \
                          and has at most 64 characters";
            return Err(Refusal::field("invalid_scope", "scope", detail));
        }
    };
    let input = map("input")?.ok_or_else(|| Refusal::field("invalid_field", "input", "input is required"))?;
    let (params, options) = (map("params")?, map("options")?);
    let refused = options.iter().flat_map(|options| options.keys());
    if let Some(name) = refused.into_iter().find(|name| *name == "hardware_tier" || PLATFORM.contains(&name.as_str())) {
        let field = format!("options.{name}");
        return Err(Refusal::field(
            "unknown_field",
            &field,
            format!("{field} is managed by the platform and must not be supplied"),
        ));
    }
    Ok(Asked { model, mode, scope, input, params, options })
}

/// Says whether a text may be a scope: ASCII, the whole of it.
pub(super) fn is_scope(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    text.len() <= LONGEST_SCOPE && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(inner)
}

/// Finds the model that a request names.
pub(super) fn model<'a>(models: &'a Models, name: &str) -> Result<&'a Model, Refusal> {
    models.find(name).map_err(|why| match why {
        NoModel::Unknown => Refusal::new(404, "model_not_found", "Model not found or not published"),
        NoModel::Conflict => Refusal::new(409, "model_conflict", "Two published models claim this slug"),
    })
}

/// Checks a run against its model's contract, and returns the references to media in its input with their places.
///
/// `objects` says that media come as `{"media_ref": …}`.
pub(super) fn check(model: &Model, asked: &Asked<'_>, objects: bool) -> Result<Vec<(String, String)>, Refusal> {
    let input = Value::Object(asked.input.clone());
    if model.modes.is_empty() {
        if asked.mode != DEFAULT_MODE {
            return Err(unsupported(asked.mode, &[DEFAULT_MODE]));
        }
        let mut found = Vec::new();
        named(&input, "input", &mut found);
        return Ok(found);
    }
    let modes: Vec<_> = model.modes.keys().map(String::as_str).collect();
    let rules = model.modes.get(asked.mode).ok_or_else(|| unsupported(asked.mode, &modes))?;
    if rules.requires_scope && asked.scope.is_none() {
        let detail = format!("scope is required for mode {}", asked.mode);
        return Err(Refusal::field("invalid_scope", "scope", detail));
    }
    let schema = input_schema(rules, objects);
    let params = Value::Object(asked.params.cloned().unwrap_or_default());
    let mut wrong = complaints(schema.as_ref(), &input, "input");
    wrong.extend(complaints(rules.params_schema.as_ref(), &params, "params"));
    if !wrong.is_empty() {
        let told: Vec<_> = wrong.iter().map(|(field, told)| format!("{field} {told}")).collect();
        return Err(Refusal::fields(
            "schema_mismatch",
            format!("The request does not match the contract: {}", told.join("; ")),
            wrong,
        ));
    }
    let mut found = Vec::new();
    if let Some(schema) = &schema {
        media(schema, &input, "input", &mut found);
    }
    Ok(found)
}

/// Returns the schema of an operation's input, as the contract publishes it.
pub(super) fn input_schema(rules: &Rules, objects: bool) -> Option<Value> {
    let mut schema = rules.input_schema.clone()?;
    if objects {
        wrap(&mut schema);
    }
    Some(schema)
}

/// Makes each medium of a schema an object with the reference in it.
fn wrap(schema: &mut Value) {
    if schema["format"] == "media_ref" {
        let inner = schema.take();
        let title = inner.get("title").cloned();
        *schema = serde_json::json!({
            "type": "object",
            "required": ["media_ref"],
            "properties": {"media_ref": inner},
            "additionalProperties": false,
        });
        if let Some(title) = title {
            schema["title"] = title;
        }
        return;
    }
    if let Some(items) = schema.get_mut("items") {
        wrap(items);
    }
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(wrap);
    }
}

fn unsupported(mode: &str, modes: &[&str]) -> Refusal {
    let detail = format!("Unsupported mode {mode}: this model has {}", modes.join(", "));
    Refusal::field("unsupported_mode", "mode", detail)
}

fn complaints(schema: Option<&Value>, value: &Value, root: &str) -> Vec<(String, String)> {
    let Some(schema) = schema else { return Vec::new() };
    // A contract of the user's own may hold a schema that is none: what cannot be checked is let through.
    let Ok(schema) = Schema::compile(schema) else { return Vec::new() };
    schema.complaints(value).into_iter().map(|wrong| (wrong.place(root), wrong.message)).collect()
}

/// Finds the references to media where the schema says that they are.
fn media(schema: &Value, value: &Value, place: &str, found: &mut Vec<(String, String)>) {
    if schema["format"] == "media_ref" {
        found.extend(value.as_str().map(|reference| (place.to_owned(), reference.to_owned())));
        return;
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        for (index, value) in values.iter().enumerate() {
            media(items, value, &format!("{place}.{index}"), found);
        }
    }
    if let (Some(properties), Some(values)) = (schema.get("properties").and_then(Value::as_object), value.as_object()) {
        for (key, schema) in properties {
            if let Some(value) = values.get(key) {
                media(schema, value, &format!("{place}.{key}"), found);
            }
        }
    }
}

/// Finds the references to media where nothing is published: objects that say so themselves.
fn named(value: &Value, place: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| named(item, &format!("{place}.{index}"), found));
        }
        Value::Object(map) => {
            for (key, value) in map {
                let place = format!("{place}.{key}");
                match value {
                    Value::String(reference) if key == "media_ref" => found.push((place, reference.clone())),
                    other => named(other, &place, found),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scopes_are_ascii_and_whole() {
        let longest = "a".repeat(64);
        for good in ["test", "0", "a.b_c-d", "A9", &longest] {
            assert!(is_scope(good), "{good}");
        }
        let too_long = "a".repeat(65);
        for bad in ["", ".a", "_a", "-a", "a b", "a\n", "\na", "ä", "a/b", "a٣", &too_long] {
            assert!(!is_scope(bad), "{bad:?}");
        }
    }

    #[test]
    fn media_are_found_in_lists_and_as_objects() {
        let models = Models::new(&[]);
        let album = models.find("album-captioner").expect("the model");
        let rules = &album.modes["execute"];
        let find = |input: Value, objects: bool| {
            let mut found = Vec::new();
            media(&input_schema(rules, objects).expect("a schema"), &input, "input", &mut found);
            found
        };
        let two = [("input.images.0".to_owned(), "a".to_owned()), ("input.images.1".to_owned(), "b".to_owned())];
        assert_eq!(find(json!({"images": ["a", "b"]}), false), two);
        let found = find(json!({"images": [{"media_ref": "a"}]}), true);
        assert_eq!(found, [("input.images.0.media_ref".to_owned(), "a".to_owned())]);
        let mut found = Vec::new();
        named(&json!({"x": [{"media_ref": "c"}], "media_ref": 3}), "input", &mut found);
        assert_eq!(found, [("input.x.0.media_ref".to_owned(), "c".to_owned())]);
    }
}
