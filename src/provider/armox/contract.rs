//! From Armox's lists to contracts: `GET /models` and `GET /apps`, item by item. Pure functions.
//!
//! An app's `inputs` are the whole of what it takes. A model's are guessed together from `promptRequired`, `inputTypes` and
//! `settings`, whose forms are hardly documented; so a model's contract is open, and whatever cannot be read for certain limits
//! nothing: an unknown kind takes any value, a list of options that cannot be read is no list, and a default allows no less.

use serde_json::Value;

use crate::{
    contract::{Contract, Port, ValueKind},
    job::{Target, TargetKind},
    provider::json::{number, present, text},
};

/// Where a setting's allowed values may be.
const OPTION_KEYS: [&str; 4] = ["options", "values", "choices", "enum"];

/// Reads a model; one without an id cannot be run and is left out.
pub(super) fn of_model(value: &Value) -> Option<Contract> {
    let id = text(value, &["id"])?;
    let mut ports = vec![Port { required: flag(value, "promptRequired"), ..Port::new("prompt", ValueKind::Text) }];
    ports[0].label = Some("Prompt".to_owned());
    for medium in media(value) {
        let kind = medium_kind(medium);
        if kind != ValueKind::Text {
            // Only the list of pictures is documented; other media are taken to work likewise.
            add(
                &mut ports,
                Port { many: true, ..Port::new(format!("{}_input", medium.trim().to_ascii_lowercase()), kind) },
            );
        }
    }
    for setting in present(value, &["settings"]).and_then(Value::as_array).into_iter().flatten() {
        if let Some(setting) = of_setting(setting) {
            add(&mut ports, setting);
        }
    }
    Some(Contract {
        schema: None,
        modes: Vec::new(),
        unchecked: false,
        target: Target { kind: TargetKind::Model, id: id.clone() },
        name: text(value, &["name"]).unwrap_or(id),
        description: text(value, &["description"]),
        cost: present(value, &["cost"]).and_then(number),
        output: text(value, &["outputType", "modality"]).and_then(|word| output_kind(&word)),
        open: true,
        ports,
    })
}

/// Reads an app; one without an id cannot be run and is left out.
pub(super) fn of_app(value: &Value) -> Option<Contract> {
    let id = text(value, &["id"])?;
    let mut ports = Vec::new();
    for input in present(value, &["inputs"]).and_then(Value::as_array).into_iter().flatten() {
        if let Some(input) = of_input(input) {
            add(&mut ports, input);
        }
    }
    Some(Contract {
        schema: None,
        modes: Vec::new(),
        unchecked: false,
        target: Target { kind: TargetKind::App, id: id.clone() },
        name: text(value, &["name"]).unwrap_or(id),
        description: text(value, &["description"]),
        cost: present(value, &["cost"]).and_then(number),
        output: text(value, &["outputType"]).and_then(|word| output_kind(&word)),
        open: false,
        ports,
    })
}

/// Returns the media that a model says it takes; where it says nothing, it may take any.
fn media(value: &Value) -> Vec<&str> {
    present(value, &["inputTypes"])
        .and_then(Value::as_array)
        .map_or_else(|| vec!["image", "video", "audio"], |types| types.iter().filter_map(Value::as_str).collect())
}

/// Reads a model's setting.
fn of_setting(value: &Value) -> Option<Port> {
    let key = text(value, &["key", "id"])?;
    let options = options(value);
    let word = text(value, &["inputType"]).map(|word| word.trim().to_ascii_lowercase());
    let kind = match word.as_deref() {
        Some("select" | "dropdown" | "radio") => Some(ValueKind::of_options(&options)),
        None if !options.is_empty() => Some(ValueKind::of_options(&options)),
        Some("number" | "slider" | "range") => Some(ValueKind::Number),
        Some("integer" | "int") => Some(ValueKind::Integer),
        Some("toggle" | "switch" | "checkbox" | "boolean" | "bool") => Some(ValueKind::Boolean),
        Some("text" | "textarea" | "string") => Some(ValueKind::Text),
        // Whatever it is, its values may have a form that its options do not show.
        _ => None,
    };
    let mut port = limited(Port::new(key, kind.unwrap_or(ValueKind::Any)), value);
    port.options = if kind.is_some() { options } else { Vec::new() };
    Some(port)
}

/// Reads an app's input.
fn of_input(value: &Value) -> Option<Port> {
    let id = text(value, &["id"])?;
    let kind = match text(value, &["type"]).map(|word| word.trim().to_ascii_lowercase()).as_deref() {
        Some("text" | "string" | "textarea" | "prompt") => ValueKind::Text,
        Some("number" | "float" | "slider") => ValueKind::Number,
        Some("integer" | "int") => ValueKind::Integer,
        Some("boolean" | "bool" | "toggle" | "switch" | "checkbox") => ValueKind::Boolean,
        Some(word) => match medium_kind(word) {
            ValueKind::Any => ValueKind::Scalar,
            kind => kind,
        },
        None => ValueKind::Scalar,
    };
    let mut port = limited(Port::new(id, kind), value);
    port.handle = text(value, &["targetHandle"]);
    port.many = flag(value, "allowMultiple");
    port.options = options(value);
    Some(port)
}

/// Fills in what settings and inputs say in the same words.
fn limited(mut port: Port, value: &Value) -> Port {
    port.label = text(value, &["label"]);
    port.required = flag(value, "required");
    port.minimum = present(value, &["min", "minimum"]).and_then(number);
    port.maximum = present(value, &["max", "maximum"]).and_then(number);
    port.default = present(value, &["defaultValue", "default"]).cloned();
    port
}

/// Reads a list of allowed values, scalars or objects with a `value`; empty where there is none, or where one cannot be read.
fn options(value: &Value) -> Vec<Value> {
    let read = |option: &Value| match option {
        Value::Object(map) => map.get("value").or_else(|| map.get("id")).filter(|value| is_scalar(value)).cloned(),
        scalar => Some(scalar.clone()).filter(is_scalar),
    };
    OPTION_KEYS
        .iter()
        .filter_map(|key| value.get(*key)?.as_array())
        .find(|list| !list.is_empty())
        .and_then(|list| list.iter().map(read).collect())
        .unwrap_or_default()
}

fn is_scalar(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_))
}

/// Reads the word for a medium.
fn medium_kind(word: &str) -> ValueKind {
    match word.trim().to_ascii_lowercase().as_str() {
        "text" | "prompt" => ValueKind::Text,
        "image" | "images" => ValueKind::Image,
        "video" | "videos" => ValueKind::Video,
        "audio" | "audios" => ValueKind::Audio,
        "3d" | "model3d" | "mesh" => ValueKind::Model3d,
        _ => ValueKind::Any,
    }
}

/// Reads what comes out; an unknown word says nothing.
fn output_kind(word: &str) -> Option<ValueKind> {
    Some(medium_kind(word)).filter(|kind| *kind != ValueKind::Any)
}

/// Adds a port, unless one has its name already: the documented one knows more.
fn add(ports: &mut Vec<Port>, port: Port) {
    if ports.iter().all(|known| known.id != port.id) {
        ports.push(port);
    }
}

fn flag(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_bool).unwrap_or(false)
}

#[cfg(test)]
#[path = "contract_tests.rs"]
mod tests;
