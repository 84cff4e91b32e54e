//! A contract of ports as a JSON Schema (draft 2020-12), and what that refuses in the contract's words.

use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value, json};

use super::{
    Contract, Port, ValueKind, Violation,
    schema::{describe, listed, shown},
    violation::{quoted, retyped, severity_of_one},
};
use crate::diagnostic::{Code, Severity, nearest};

/// What the URL of a medium looks like. Any scheme of two letters and more: a drive letter is a local path.
pub(super) const URL_PATTERN: &str = "^[A-Za-z][A-Za-z0-9+.-]+:";

/// Returns the JSON Schema over the inputs.
pub(super) fn schema(contract: &Contract) -> Value {
    let properties: Map<String, Value> =
        contract.ports.iter().map(|port| (port.id.clone(), port_schema(port))).collect();
    let required: Vec<_> = contract.ports.iter().filter(|port| port.required).map(|port| port.id.as_str()).collect();
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": contract.name,
        "type": "object",
        "properties": properties,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if !contract.open {
        schema["additionalProperties"] = json!(false);
    }
    schema
}

fn port_schema(port: &Port) -> Value {
    let kind = match port.kind {
        ValueKind::Number => Some("number"),
        ValueKind::Integer => Some("integer"),
        ValueKind::Boolean => Some("boolean"),
        ValueKind::Any => None,
        _ => Some("string"),
    };
    let may_be_null = port.nullable && !port.many;
    let mut one = Map::new();
    // Options have their own types.
    if let Some(kind) = kind.filter(|_| port.options.is_empty()) {
        one.insert("type".to_owned(), if may_be_null { json!([kind, "null"]) } else { json!(kind) });
    }
    if port.kind.is_media() {
        one.insert("pattern".to_owned(), json!(URL_PATTERN));
    }
    if !port.options.is_empty() {
        let mut options: Vec<_> = Vec::with_capacity(port.options.len() + 1);
        for option in &port.options {
            if !options.contains(option) {
                options.push(option.clone());
            }
        }
        if may_be_null && !options.contains(&Value::Null) {
            options.push(Value::Null);
        }
        one.insert("enum".to_owned(), Value::Array(options));
    }
    if matches!(port.kind, ValueKind::Number | ValueKind::Integer) {
        for (key, limit) in [("minimum", port.minimum), ("maximum", port.maximum)] {
            if let Some(limit) = limit.filter(|limit| limit.is_finite()) {
                one.insert(key.to_owned(), json!(limit));
            }
        }
    }
    let mut whole = if port.many {
        let kind = if port.nullable { json!(["array", "null"]) } else { json!("array") };
        Map::from_iter([("type".to_owned(), kind), ("items".to_owned(), Value::Object(one))])
    } else {
        one
    };
    if let Some(label) = &port.label {
        whole.insert("title".to_owned(), json!(label));
    }
    Value::Object(whole)
}

/// Puts what the schema refuses of a port's value into words; `at` is its place inside the value.
pub(super) fn violation(
    contract: &Contract,
    port: &Port,
    at: Vec<String>,
    kind: &ValidationErrorKind,
    value: &Value,
) -> Violation {
    let name = contract.name_of(port);
    let whole = at.is_empty();
    let (code, severity, message, help) = match kind {
        ValidationErrorKind::Enum { .. } if !(value.is_array() || value.is_object()) => {
            let names: Vec<_> = port.options.iter().filter_map(Value::as_str).collect();
            let near = value.as_str().and_then(|found| nearest(found, names));
            let help = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("its options are {}", listed(&port.options)),
            };
            (
                Code::NotAnOption,
                Severity::Error,
                format!("{} is not an option of input `{name}`", shown(value)),
                Some(help),
            )
        }
        ValidationErrorKind::Minimum { limit } => {
            let message = format!("input `{name}` is {}, below its published minimum {}", shown(value), shown(limit));
            (Code::OutsideRange, Severity::Warning, message, None)
        }
        ValidationErrorKind::Maximum { limit } => {
            let message = format!("input `{name}` is {}, above its published maximum {}", shown(value), shown(limit));
            (Code::OutsideRange, Severity::Warning, message, None)
        }
        ValidationErrorKind::Type { .. } if whole && port.many && !value.is_array() => {
            let text = if value.is_object() { "[…]".to_owned() } else { format!("[{}]", quoted(value)) };
            let message = format!("input `{name}` takes {}, not a single value", port.wants());
            (Code::ListOrOne, severity_of_one(contract, port), message, Some(format!("write it as a list: `{text}`")))
        }
        _ if whole && !port.many && value.is_array() => {
            let message = format!("input `{name}` takes one value ({}), not a list", port.wants());
            (
                Code::ListOrOne,
                Severity::Error,
                message,
                Some(match value.as_array().map(Vec::as_slice) {
                    Some([only]) => format!("write the item alone: {}", shown(only)),
                    _ => "pick one item of the list".to_owned(),
                }),
            )
        }
        ValidationErrorKind::Pattern { .. } => {
            let message = format!("input `{name}` takes {}, and this is no URL", port.wants());
            let help = "give an http(s) URL, or a local file as `{{ file('PATH') }}`".to_owned();
            (Code::InputType, Severity::Error, message, Some(help))
        }
        _ => {
            let found = describe(value);
            let message = if whole {
                format!("input `{name}` takes {}, not {found}", port.wants())
            } else {
                format!("input `{name}` takes {}, and this part of it is {found}", port.wants())
            };
            (Code::InputType, Severity::Error, message, retyped(port, value))
        }
    };
    Violation { code, port: Some(port.id.clone()), at, severity, message, help }
}
