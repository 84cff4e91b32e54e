//! Checks values against a contract: the parts that are known before the run, and the whole just before a submit.
//!
//! A contract becomes one JSON Schema (draft 2020-12) over the target's inputs, compiled once. What that schema refuses is told in
//! the words of the contract: the port's name, what it takes, and what to write instead. What the API does not promise to
//! be the whole truth (a range, the list of a model's settings) warns only.
//!
//! ```text
//! rendered ─▶ nulls out, text made of scalars ─▶ schema ─▶ inputs as the API wants them
//! ```

use std::fmt::Write as _;

use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value, json};

use super::{
    Contract, Port, ValueKind,
    published::Reading,
    schema::{Schema, describe, listed, path, shown},
};
use crate::{
    diagnostic::{Code, Severity, nearest},
    job::TargetKind,
};

/// A contract with its schema, compiled once and shared by all steps that run the target.
#[derive(Debug)]
pub struct Checker {
    contract: Contract,
    schema: Value,
    /// Of the schema without `required`.
    compiled: Schema,
}

/// Something that a contract refuses, or warns of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which kind of problem.
    pub code: Code,
    /// The id of the port, or the key that is none.
    pub port: Option<String>,
    /// Keys and indexes from the port's value to what is wrong.
    pub at: Vec<String>,
    /// How bad it is.
    pub severity: Severity,
    /// One sentence.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Checker {
    /// Builds the schema of a contract and compiles it.
    ///
    /// # Panics
    ///
    /// Never: a schema that this module generates compiles.
    #[must_use]
    pub fn new(contract: Contract) -> Self {
        let schema = schema(&contract);
        // What is required is checked by hand, so that parts can be checked by the same schema as the whole.
        let mut parts = schema.clone();
        parts.as_object_mut().map(|parts| parts.remove("required"));
        let compiled = Schema::compile(&parts).expect("a generated schema is a schema");
        Self { contract, schema, compiled }
    }

    /// Returns the contract.
    #[must_use]
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// Returns the JSON Schema over the target's inputs.
    #[must_use]
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// Makes rendered values what the API wants, and checks them whole. A null is left out unless the port may be null, and
    /// a number or boolean where only text is wanted becomes its text.
    ///
    /// # Errors
    ///
    /// All that is wrong, errors and warnings; warnings alone are no failure, see [`Checker::warnings`].
    pub fn prepare(&self, rendered: Vec<(String, Value)>) -> Result<Map<String, Value>, Vec<Violation>> {
        let mut inputs = Map::new();
        for (key, value) in rendered {
            let settled = match self.contract.port(&key) {
                Some(port) => settle(port, value),
                None => (!value.is_null()).then_some(value),
            };
            if let Some(value) = settled {
                inputs.insert(key, value);
            }
        }
        let required = self.contract.ports.iter().filter(|port| port.required);
        let mut violations: Vec<_> =
            required.filter(|port| !inputs.contains_key(&port.id)).map(|port| missing(&self.contract, port)).collect();
        let inputs = Value::Object(inputs);
        violations.extend(self.violations(&inputs));
        if violations.iter().any(|violation| violation.severity == Severity::Error) {
            return Err(violations);
        }
        match inputs {
            Value::Object(inputs) => Ok(inputs),
            _ => unreachable!("a map was built above"),
        }
    }

    /// Returns what is odd about prepared inputs and is sent all the same: values outside a range, unknown settings.
    #[must_use]
    pub fn warnings(&self, inputs: &Map<String, Value>) -> Vec<Violation> {
        let mut found = self.violations(&Value::Object(inputs.clone()));
        found.retain(|violation| violation.severity == Severity::Warning);
        if self.contract.open {
            let unknown = inputs.keys().filter(|key| !self.contract.takes(key));
            found.extend(unknown.map(|key| self.unknown(key)));
        }
        found
    }

    /// Checks the whole value of one port.
    #[must_use]
    pub fn check(&self, port: &Port, value: &Value) -> Vec<Violation> {
        let Some(value) = settle(port, value.clone()) else {
            // A null is left out, so for a required port it is missing.
            return if port.required { vec![missing(&self.contract, port)] } else { Vec::new() };
        };
        self.check_settled(port, &value)
    }

    /// Checks one value of a port: of a list port, one item.
    #[must_use]
    pub fn check_item(&self, port: &Port, item: &Value) -> Vec<Violation> {
        let item = text_of_scalar(port, item.clone());
        let mut found = self.check_settled(port, &if port.many { Value::Array(vec![item]) } else { item });
        if port.many {
            for violation in &mut found {
                // The list was made here; the caller knows the item's own place.
                if violation.at.first().is_some_and(|part| part == "0") {
                    violation.at.remove(0);
                }
            }
        }
        found
    }

    /// Returns what is to be said of a key that is no port: an error, or a warning where the contract is open.
    #[must_use]
    pub fn unknown(&self, key: &str) -> Violation {
        let Contract { target, name, open, .. } = &self.contract;
        let what = if *open { "setting" } else { "input" };
        Violation {
            code: if *open { Code::UnknownSetting } else { Code::UnknownInput },
            port: Some(key.to_owned()),
            at: Vec::new(),
            severity: if *open { Severity::Warning } else { Severity::Error },
            message: format!("{} `{name}` publishes no {what} `{key}`", target.kind),
            help: self.nearest(key).map(|name| format!("did you mean `{name}`?")),
        }
    }

    fn nearest(&self, key: &str) -> Option<&str> {
        let ports = &self.contract.ports;
        nearest(key, ports.iter().map(Port::name).chain(ports.iter().map(|port| port.id.as_str())))
    }

    fn check_settled(&self, port: &Port, value: &Value) -> Vec<Violation> {
        self.violations(&json!({ port.id.as_str(): value }))
    }

    fn violations(&self, inputs: &Value) -> Vec<Violation> {
        let mut found = Vec::new();
        if self.compiled.fits(inputs) {
            return found;
        }
        for error in self.compiled.errors(inputs) {
            let mut at = path(error.instance_path().as_str());
            let port = if at.is_empty() { None } else { self.contract.port(&at.remove(0)) };
            match (error.kind(), port) {
                (ValidationErrorKind::AdditionalProperties { unexpected }, None) => {
                    found.extend(unexpected.iter().map(|key| self.unknown(key)));
                }
                (kind, Some(port)) => found.push(violation(&self.contract, port, at, kind, error.instance())),
                // The schema says nothing else about the map of inputs itself.
                (_, None) => {}
            }
        }
        found
    }
}

impl Port {
    /// Returns in words what the port takes: "a list of image URLs".
    #[must_use]
    pub fn wants(&self) -> String {
        let (one, several) = match self.kind {
            ValueKind::Text | ValueKind::Scalar => ("text", "texts"),
            ValueKind::Number => ("a number", "numbers"),
            ValueKind::Integer => ("a whole number", "whole numbers"),
            ValueKind::Boolean => ("true or false", "booleans"),
            ValueKind::Image => ("the URL of an image", "image URLs"),
            ValueKind::Video => ("the URL of a video", "video URLs"),
            ValueKind::Audio => ("the URL of an audio recording", "audio URLs"),
            ValueKind::Model3d => ("the URL of a 3d model", "URLs of 3d models"),
            ValueKind::Any => ("any value", "any values"),
        };
        if self.many { format!("a list of {several}") } else { one.to_owned() }
    }
}

/// Returns how bad one value is where a list is wanted. That a model takes its media as lists is inferred from the kinds that it
/// publishes, so there it only warns.
pub(crate) fn severity_of_one(open: bool, port: &Port) -> Severity {
    if open && port.kind.is_media() { Severity::Warning } else { Severity::Error }
}

impl Contract {
    /// Returns the name of a port that people write: a model's keys are meant for it, an app's are only numbers.
    #[must_use]
    pub fn name_of<'a>(&self, port: &'a Port) -> &'a str {
        if self.target.kind == TargetKind::Model { &port.id } else { port.name() }
    }

    /// Says whether a key may stand in a request without a remark: it is a port, or one of those that a model takes though it
    /// does not publish them; a published schema speaks for itself, and of an unchecked contract nothing can be said.
    #[must_use]
    pub fn takes(&self, id: &str) -> bool {
        if self.unchecked || self.port(id).is_some() {
            return true;
        }
        match &self.schema {
            Some(schema) => Reading::of(schema).allows(id),
            None => self.open && (id == "prompt" || id.ends_with("_input")),
        }
    }

    /// Returns the ports in words, required ones first: "Input Images (image, list, required), Aspect Ratio (text)".
    #[must_use]
    pub fn summary(&self) -> String {
        const MOST: usize = 12;
        let mut ports: Vec<_> = self.ports.iter().collect();
        ports.sort_by_key(|port| !port.required);
        let mut text = String::new();
        for port in ports.iter().take(MOST) {
            if !text.is_empty() {
                text.push_str(", ");
            }
            let kind = if port.kind == ValueKind::Scalar { "text" } else { port.kind.word() };
            let list = if port.many { ", list" } else { "" };
            let required = if port.required { ", required" } else { "" };
            let _ = write!(text, "{} ({kind}{list}{required})", self.name_of(port));
        }
        match ports.len() {
            0 => "none".to_owned(),
            count if count > MOST => format!("{text}, and {} more", count - MOST),
            _ => text,
        }
    }
}

impl ValueKind {
    /// Returns the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Model3d => "model3d",
            Self::Scalar => "scalar",
            Self::Any => "any",
        }
    }
}

fn missing(contract: &Contract, port: &Port) -> Violation {
    Violation {
        code: Code::MissingInput,
        port: Some(port.id.clone()),
        at: Vec::new(),
        severity: Severity::Error,
        message: format!("required input `{}` is missing", contract.name_of(port)),
        help: Some(format!("it takes {}", port.wants())),
    }
}

fn violation(
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
            (
                Code::ListOrOne,
                severity_of_one(contract.open, port),
                message,
                Some(format!("write it as a list: `{text}`")),
            )
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
            let help = "give an http(s) URL; local files cannot be handed over yet".to_owned();
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

/// Returns how to write a text that reads as what the port takes.
fn retyped(port: &Port, value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let reads = match port.kind {
        ValueKind::Number => text.parse::<f64>().is_ok_and(f64::is_finite),
        ValueKind::Integer => text.parse::<i64>().is_ok(),
        ValueKind::Boolean => matches!(text, "true" | "false"),
        _ => false,
    };
    reads.then(|| format!("write it without quotes: `{text}`"))
}

fn quoted(value: &Value) -> String {
    const LONGEST: usize = 80;
    let text = value.to_string();
    if text.len() > LONGEST { "…".to_owned() } else { text }
}

/// Leaves a null out and makes text of scalars where only text is wanted.
fn settle(port: &Port, value: Value) -> Option<Value> {
    match value {
        Value::Null if port.nullable => Some(Value::Null),
        Value::Null => None,
        Value::Array(items) if port.many => {
            Some(Value::Array(items.into_iter().map(|item| text_of_scalar(port, item)).collect()))
        }
        // A scalar for a list stays what it is: it is refused as a whole.
        other if port.many => Some(other),
        other => Some(text_of_scalar(port, other)),
    }
}

/// Makes of a scalar what the port takes: the option that it spells, or text where only text is wanted.
fn text_of_scalar(port: &Port, value: Value) -> Value {
    if !port.options.is_empty() && !port.options.contains(&value) {
        let text = spelt(&value);
        if let Some(option) =
            text.and_then(|text| port.options.iter().find(|option| spelt(option).as_ref() == Some(&text)))
        {
            return option.clone();
        }
    }
    match (port.kind, value) {
        (ValueKind::Text | ValueKind::Scalar, Value::Number(number)) => Value::String(number.to_string()),
        (ValueKind::Text | ValueKind::Scalar, Value::Bool(truth)) => Value::String(truth.to_string()),
        (_, other) => other,
    }
}

fn spelt(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

fn schema(contract: &Contract) -> Value {
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
        // Any scheme of two letters and more: a drive letter is a local path.
        one.insert("pattern".to_owned(), json!("^[A-Za-z][A-Za-z0-9+.-]+:"));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Target;

    fn port(id: &str, kind: ValueKind) -> Port {
        Port {
            id: id.to_owned(),
            label: None,
            handle: None,
            required: false,
            kind,
            many: false,
            nullable: false,
            options: Vec::new(),
            minimum: None,
            maximum: None,
            default: None,
        }
    }

    fn checker(open: bool) -> Checker {
        let prompt = Port { required: true, label: Some("Prompt".to_owned()), ..port("prompt", ValueKind::Text) };
        let images = Port { many: true, ..port("image_input", ValueKind::Image) };
        let aspect = Port { options: vec![json!("1:1"), json!("16:9"), json!(4)], ..port("aspect", ValueKind::Text) };
        let steps = Port { minimum: Some(1.0), maximum: Some(50.0), ..port("steps", ValueKind::Integer) };
        let seed = Port { nullable: true, ..port("seed", ValueKind::Number) };
        Checker::new(Contract {
            schema: None,
            modes: Vec::new(),
            unchecked: false,
            target: Target { kind: TargetKind::Model, id: "google/nano".to_owned() },
            name: "Nano".to_owned(),
            description: None,
            cost: None,
            output: Some(ValueKind::Image),
            open,
            ports: vec![prompt, images, aspect, steps, seed],
        })
    }

    fn given(value: Value) -> Vec<(String, Value)> {
        match value {
            Value::Object(map) => map.into_iter().collect(),
            _ => panic!("a map"),
        }
    }

    #[test]
    fn nulls_go_and_scalars_become_text() {
        let checker = checker(false);
        let inputs =
            given(json!({"prompt": 3, "aspect": "4", "steps": null, "seed": null, "image_input": ["https://a/b.png"]}));
        let sent = checker.prepare(inputs).expect("they fit");
        let expected = json!({"prompt": "3", "aspect": 4, "seed": null, "image_input": ["https://a/b.png"]});
        assert_eq!(Value::Object(sent), expected);
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let inputs = given(json!({
            "image_input": "https://a/b.png", "aspect": "1;1", "steps": "3", "seed": [1], "colour": "red",
        }));
        let found = checker(false).prepare(inputs).expect_err("they do not fit");
        let mut codes: Vec<_> = found.iter().map(|v| (v.port.as_deref().unwrap_or(""), v.code)).collect();
        codes.sort_unstable();
        assert_eq!(
            codes,
            [
                ("aspect", Code::NotAnOption),
                ("colour", Code::UnknownInput),
                ("image_input", Code::ListOrOne),
                ("prompt", Code::MissingInput),
                ("seed", Code::ListOrOne),
                ("steps", Code::InputType),
            ]
        );
        let help = |code| found.iter().find(|v| v.code == code).and_then(|v| v.help.clone()).unwrap_or_default();
        assert_eq!(help(Code::ListOrOne), r#"write it as a list: `["https://a/b.png"]`"#);
        assert_eq!(help(Code::NotAnOption), "did you mean `1:1`?");
        assert_eq!(help(Code::InputType), "write it without quotes: `3`");
    }

    #[test]
    fn ranges_and_unknown_settings_of_open_contracts_only_warn() {
        let checker = checker(true);
        let sent =
            checker.prepare(given(json!({"prompt": "a", "steps": 99, "colour": "red"}))).expect("sent all the same");
        let codes: Vec<_> = checker.warnings(&sent).iter().map(|v| v.code).collect();
        assert_eq!(codes, [Code::OutsideRange, Code::UnknownSetting]);
    }

    #[test]
    fn a_path_is_no_medium_and_an_item_is_checked_alone() {
        let checker = checker(false);
        let port = checker.contract().port("image_input").expect("it is there").clone();
        for path in ["sketch.png", "./a", "/a/b", r"C:\a.png"] {
            let found = checker.check_item(&port, &json!(path));
            assert_eq!(
                found.iter().map(|v| (v.code, v.at.len())).collect::<Vec<_>>(),
                [(Code::InputType, 0)],
                "{path}"
            );
        }
        assert!(checker.check_item(&port, &json!("https://a/ä b.png")).is_empty());
        let found = checker.check(&port, &json!(["https://a", 3]));
        assert_eq!(found[0].at, ["1"]);
    }
}
