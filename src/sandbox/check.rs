//! What the API checks of a run before it accepts it. Pure; the error is the text that the API answers with.
//!
//! Apps are checked as their documents say. Models are checked as far as their lists say: keys that no list names are let through, since
//! the documents leave open whether the lists are whole.

use serde_json::{Map, Value};

use crate::contract::{Contract, Port, ValueKind};

/// Checks the inputs of an app run.
///
/// # Errors
/// What the API answers with.
pub fn app(contract: &Contract, inputs: &Map<String, Value>) -> Result<(), String> {
    let unknown: Vec<_> = inputs.keys().filter(|key| !contract.ports.iter().any(|port| port.id == **key)).collect();
    if !unknown.is_empty() {
        let unknown: Vec<_> = unknown.into_iter().map(String::as_str).collect();
        return Err(format!("Unknown inputs: {}", unknown.join(", ")));
    }
    all(contract, inputs)
}

/// Checks the inputs of a model run.
///
/// # Errors
/// What the API answers with.
pub fn model(contract: &Contract, inputs: &Map<String, Value>) -> Result<(), String> {
    all(contract, inputs)
}

fn all(contract: &Contract, inputs: &Map<String, Value>) -> Result<(), String> {
    let missing: Vec<_> =
        contract.ports.iter().filter(|port| port.required && is_missing(inputs.get(&port.id))).map(label).collect();
    if !missing.is_empty() {
        return Err(format!("Missing required inputs: {}", missing.join(", ")));
    }
    contract.ports.iter().filter_map(|port| Some((port, inputs.get(&port.id)?))).try_for_each(|(port, value)| {
        match (port.many, value) {
            (_, Value::Null) if port.nullable => Ok(()),
            (true, Value::Array(items)) => items.iter().try_for_each(|item| one(port, item)),
            // The documents show a list for images alone, so one video or recording may come without.
            (true, value) if matches!(port.kind, ValueKind::Video | ValueKind::Audio | ValueKind::Model3d) => {
                one(port, value)
            }
            (true, _) => Err(format!("Invalid input {}: expected an array", label(port))),
            (false, Value::Array(_)) if port.kind != ValueKind::Any => {
                Err(format!("Invalid input {}: expected {}, got an array", label(port), wanted(port.kind)))
            }
            (false, value) => one(port, value),
        }
    })
}

fn one(port: &Port, value: &Value) -> Result<(), String> {
    let fits = match port.kind {
        ValueKind::Text => value.is_string(),
        ValueKind::Scalar => value.is_string() || value.is_number() || value.is_boolean(),
        ValueKind::Number => value.is_number(),
        ValueKind::Integer => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        ValueKind::Boolean => value.is_boolean(),
        ValueKind::Any => true,
        ValueKind::Image | ValueKind::Video | ValueKind::Audio | ValueKind::Model3d => {
            value.as_str().is_some_and(is_url)
        }
    };
    if !fits {
        return Err(format!("Invalid input {}: expected {}", label(port), wanted(port.kind)));
    }
    if !port.options.is_empty() && !port.options.iter().any(|option| same(option, value)) {
        let options: Vec<_> =
            port.options.iter().map(|option| option.as_str().map_or(option.to_string(), str::to_owned)).collect();
        return Err(format!("Invalid input {}: must be one of {}", label(port), options.join(", ")));
    }
    if let Some(number) = value.as_f64() {
        if let Some(minimum) = port.minimum.filter(|minimum| number < *minimum) {
            return Err(format!("Invalid input {}: must be at least {minimum}", label(port)));
        }
        if let Some(maximum) = port.maximum.filter(|maximum| number > *maximum) {
            return Err(format!("Invalid input {}: must be at most {maximum}", label(port)));
        }
    }
    Ok(())
}

/// Says whether a text is a URL that the API could fetch.
#[must_use]
pub fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !text.contains(char::is_whitespace))
}

fn is_missing(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(_) => false,
    }
}

/// Compares as JSON does: `5` and `5.0` are one number.
fn same(option: &Value, value: &Value) -> bool {
    match (option.as_f64(), value.as_f64()) {
        (Some(option), Some(value)) => (option - value).abs() < f64::EPSILON,
        _ => option == value,
    }
}

fn label(port: &Port) -> &str {
    port.label.as_deref().unwrap_or(&port.id)
}

fn wanted(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Text => "a string",
        ValueKind::Scalar => "a scalar",
        ValueKind::Number => "a number",
        ValueKind::Integer => "a whole number",
        ValueKind::Boolean => "true or false",
        ValueKind::Any => "anything",
        ValueKind::Image | ValueKind::Video | ValueKind::Audio | ValueKind::Model3d => "an http(s) URL",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{job::TargetKind, sandbox::catalog::Catalog};

    fn told(kind: TargetKind, id: &str, inputs: Value) -> Result<(), String> {
        let catalog = Catalog::new(&[]);
        let contract = &catalog.get(kind, id).expect("a product").contract;
        let Value::Object(inputs) = inputs else { panic!("inputs are an object") };
        if kind == TargetKind::App { app(contract, &inputs) } else { model(contract, &inputs) }
    }

    #[test]
    fn models_are_checked_as_far_as_their_lists_say() {
        let banana = |inputs| told(TargetKind::Model, "google/nano-banana", inputs);
        assert_eq!(banana(json!({"prompt": "a", "image_input": ["https://a.b/c.png"], "aspect_ratio": "4:5"})), Ok(()));
        assert_eq!(banana(json!({"prompt": "a", "unheard_of": 1})), Ok(()));
        for (inputs, text) in [
            (json!({}), "Missing required inputs: Prompt"),
            (json!({"prompt": ""}), "Missing required inputs: Prompt"),
            (json!({"prompt": 3}), "Invalid input Prompt: expected a string"),
            (json!({"prompt": "a", "image_input": "https://a.b"}), "Invalid input Input image: expected an array"),
            (
                json!({"prompt": "a", "image_input": ["file:///a"]}),
                "Invalid input Input image: expected an http(s) URL",
            ),
            (json!({"prompt": "a", "output_format": "gif"}), "Invalid input Output Format: must be one of png, jpeg"),
        ] {
            assert_eq!(banana(inputs).expect_err(text), text);
        }
        let kling = |inputs| told(TargetKind::Model, "kling/video", inputs);
        assert_eq!(kling(json!({"prompt": "a", "duration": 10.0, "sound": true, "cfg_scale": 1})), Ok(()));
        for (inputs, text) in [
            (json!({"prompt": "a", "sound": "true"}), "Invalid input Sound: expected true or false"),
            (json!({"prompt": "a", "cfg_scale": "1"}), "Invalid input Prompt Strength: expected a number"),
            (json!({"prompt": "a", "cfg_scale": 2}), "Invalid input Prompt Strength: must be at most 1"),
            (json!({"prompt": "a", "duration": "5"}), "Invalid input Duration: must be one of 5, 10"),
        ] {
            assert_eq!(kling(inputs).expect_err(text), text);
        }
        assert_eq!(
            told(TargetKind::Model, "topaz/image-upscale", json!({})).expect_err("no image"),
            "Missing required inputs: Input image"
        );
    }

    #[test]
    fn apps_are_checked_whole() {
        let (images, aspect) = ("93197f6b-0180-4da1-ad4a-87890d2c7d4a", "ced4aa7b-a2a8-4b53-b9ea-1b3e7d9194b5");
        let sketch = |inputs| told(TargetKind::App, "cb2bbd2d-b538-4d34-a54e-a9158c2e0dbb", inputs);
        assert_eq!(sketch(json!({images: ["https://a.b/c.png"], aspect: "auto"})), Ok(()));
        for (inputs, text) in [
            (json!({}), "Missing required inputs: Input Images, Aspect Ratio"),
            (json!({"Aspect Ratio": "auto"}), "Unknown inputs: Aspect Ratio"),
            (json!({images: "https://a.b/c.png", aspect: "auto"}), "Invalid input Input Images: expected an array"),
            (
                json!({images: ["https://a.b/c.png"], aspect: ["auto"]}),
                "Invalid input Aspect Ratio: expected a string, got an array",
            ),
        ] {
            assert_eq!(sketch(inputs).expect_err(text), text);
        }
    }
}
