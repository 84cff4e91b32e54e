//! Checks values against a contract: the parts that are known before the run, and the whole just before a submit.
//!
//! A contract of ports becomes one JSON Schema (draft 2020-12) over the target's inputs, compiled once; a contract that was published as
//! a JSON Schema is checked by that (`rules`). What the schema refuses is told in the words of the contract: the port's name,
//! what it takes, and what to write instead. What the API does not promise to be the whole truth (a range, the list of a model's
//! settings) warns only.
//!
//! ```text
//! rendered ─▶ nulls out, text made of scalars ─▶ schema ─▶ inputs as the API wants them
//! ```
//!
//! A target with operations has a checker for each, which [`Checker::for_mode`] returns, and that one has another for its `params`.

use std::fmt::Write as _;

use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value, json};

use super::{
    Contract, Mode, Port, ValueKind,
    published::Reading,
    rules::Rules,
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
    judge: Judge,
    /// What people call what is checked.
    noun: &'static str,
    /// By the name of the operation, in the API's order.
    modes: Vec<(String, Self)>,
    params: Option<Box<Self>>,
    needs_scope: Option<bool>,
}

/// What a contract is checked by.
#[derive(Debug)]
enum Judge {
    /// Nothing is published.
    Nobody,
    /// The schema that its ports make, without `required`.
    Ports(Schema),
    /// The schema that was published.
    Published(Box<Rules>),
}

/// Something that a contract refuses, or warns of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which kind of problem.
    pub code: Code,
    /// The id of the port, or the key that is none; none where it is about inputs together, or about what goes beside them.
    pub port: Option<String>,
    /// Keys and indexes from the port's value to what is wrong; of what goes beside the inputs, from the step: `params`, `top_k`.
    pub at: Vec<String>,
    /// How bad it is.
    pub severity: Severity,
    /// One sentence.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Checker {
    /// Builds the schema of a contract and compiles it, and those of its operations.
    ///
    /// # Panics
    ///
    /// Never: a schema that this module generates compiles, and a published one that does not is not used.
    #[must_use]
    pub fn new(contract: Contract) -> Self {
        let modes = contract.modes.iter().map(|mode| (mode.name.clone(), Self::of_mode(&contract, mode))).collect();
        Self { modes, ..Self::plain(contract, "input") }
    }

    fn plain(contract: Contract, noun: &'static str) -> Self {
        let rules = contract.schema.as_ref().and_then(|published| Some((published, Rules::compile(published).ok()?)));
        let (schema, judge) = match rules {
            Some((published, rules)) => (published.clone(), Judge::Published(Box::new(rules))),
            None if contract.unchecked => (schema(&contract), Judge::Nobody),
            None => {
                let schema = schema(&contract);
                // What is required is checked by hand, so that parts can be checked by the same schema as the whole.
                let mut parts = schema.clone();
                parts.as_object_mut().map(|parts| parts.remove("required"));
                let compiled = Schema::compile(&parts).expect("a generated schema is a schema");
                (schema, Judge::Ports(compiled))
            }
        };
        Self { contract, schema, judge, noun, modes: Vec::new(), params: None, needs_scope: None }
    }

    fn of_mode(contract: &Contract, mode: &Mode) -> Self {
        let params = mode.params.as_ref().map(|schema| {
            let (target, name) = (contract.target.clone(), contract.name.clone());
            Contract::of_schema(target, name, schema.clone()).0
        });
        Self {
            params: params.filter(|params| !params.unchecked).map(|params| Box::new(Self::plain(params, "param"))),
            needs_scope: mode.needs_scope,
            ..Self::plain(of_mode(contract, mode), "input")
        }
    }

    /// Returns what checks the inputs of an operation, the default one where none is named. A target without operations is
    /// checked alike whatever is named: the API knows better.
    ///
    /// # Errors
    ///
    /// When the target publishes its operations and has none of this name.
    pub fn for_mode(&self, mode: Option<&str>) -> Result<&Self, Violation> {
        if self.modes.is_empty() {
            return Ok(self);
        }
        let name = mode.unwrap_or(Mode::DEFAULT);
        let of_name = |wanted: &str| self.modes.iter().find(|(known, _)| known == wanted).map(|(_, checker)| checker);
        of_name(name).or_else(|| of_name("")).ok_or_else(|| {
            let Contract { target, name: of, .. } = &self.contract;
            let names = || self.modes.iter().map(|(name, _)| name.as_str());
            let listed = names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let (message, help) = match mode {
                Some(_) => (
                    format!("{} `{of}` has no mode `{name}`", target.kind),
                    match nearest(name, names()) {
                        Some(near) => format!("did you mean `{near}`? its modes are {listed}"),
                        None => format!("its modes are {listed}"),
                    },
                ),
                None => (
                    format!("{} `{of}` has no mode `{name}`, which is run where none is named", target.kind),
                    format!("name one with `mode`: {listed}"),
                ),
            };
            beside(Code::UnknownMode, Severity::Error, &["mode"], message, Some(help))
        })
    }

    /// Returns the names of the target's operations; none where it publishes none.
    pub fn modes(&self) -> impl Iterator<Item = &str> {
        self.modes.iter().map(|(name, _)| name.as_str()).filter(|name| !name.is_empty())
    }

    /// Returns what checks the `params` of this operation, where a schema of them is published.
    #[must_use]
    pub fn params(&self) -> Option<&Self> {
        self.params.as_deref()
    }

    /// Says whether this operation needs a `scope`, where that is published.
    #[must_use]
    pub fn needs_scope(&self) -> Option<bool> {
        self.needs_scope
    }

    /// Checks the whole `params` of this operation; errors and warnings.
    #[must_use]
    pub fn check_params(&self, params: &Map<String, Value>) -> Vec<Violation> {
        let Some(checker) = self.params() else { return Vec::new() };
        let (prepared, mut found) = checker.judged(params.clone().into_iter());
        found.extend(checker.warnings(&prepared));
        found.into_iter().map(of_params).collect()
    }

    /// Makes rendered `params` what the API wants, as [`Checker::prepare`] does with inputs.
    ///
    /// # Errors
    ///
    /// All that is wrong.
    pub fn prepare_params(&self, params: Map<String, Value>) -> Result<Map<String, Value>, Vec<Violation>> {
        let Some(checker) = self.params() else { return Ok(params) };
        checker.prepare(params.into_iter().collect()).map_err(|found| found.into_iter().map(of_params).collect())
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
        let (inputs, violations) = self.judged(rendered.into_iter());
        if violations.iter().any(|violation| violation.severity == Severity::Error) {
            return Err(violations);
        }
        Ok(inputs)
    }

    /// Returns inputs as the API wants them, and what is wrong with them.
    fn judged(&self, rendered: impl Iterator<Item = (String, Value)>) -> (Map<String, Value>, Vec<Violation>) {
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
        let mut violations = Vec::new();
        // A published schema says itself what it requires.
        if matches!(self.judge, Judge::Ports(_)) {
            let required = self.contract.ports.iter().filter(|port| port.required);
            violations.extend(required.filter(|port| !inputs.contains_key(&port.id)).map(|port| self.missing(port)));
        }
        let inputs = Value::Object(inputs);
        violations.extend(self.violations(&inputs));
        match inputs {
            Value::Object(inputs) => (inputs, violations),
            _ => unreachable!("a map was built above"),
        }
    }

    /// Returns what is wrong with inputs that are all known though each fits: a condition of a published schema over several
    /// of them. [`Checker::prepare`] tells it too.
    #[must_use]
    pub fn together(&self, inputs: &Map<String, Value>) -> Vec<Violation> {
        if !matches!(self.judge, Judge::Published(_)) {
            return Vec::new();
        }
        let (prepared, mut found) = self.judged(inputs.clone().into_iter());
        let alone = prepared.iter().filter_map(|(key, value)| Some((self.contract.port(key)?, value)));
        let alone: Vec<_> = alone.flat_map(|(port, value)| self.check_settled(port, value)).collect();
        found.retain(|violation| {
            let of_itself = match (&violation.port, violation.code) {
                (Some(_), Code::UnknownInput) => true,
                (Some(port), Code::MissingInput) => self.contract.port(port).is_some_and(|port| port.required),
                _ => false,
            };
            !of_itself && !alone.contains(violation)
        });
        found
    }

    /// Returns what is odd about prepared inputs and is sent all the same: values outside a range, unknown settings.
    #[must_use]
    pub fn warnings(&self, inputs: &Map<String, Value>) -> Vec<Violation> {
        let mut found = self.violations(&Value::Object(inputs.clone()));
        found.retain(|violation| violation.severity == Severity::Warning);
        if self.contract.open {
            let unknown = inputs.keys().filter(|key| !self.contract.takes(key)).map(|key| self.unknown(key));
            found.extend(unknown.filter(|violation| violation.severity == Severity::Warning));
        }
        found
    }

    /// Checks the whole value of one port.
    #[must_use]
    pub fn check(&self, port: &Port, value: &Value) -> Vec<Violation> {
        let Some(value) = settle(port, value.clone()) else {
            // A null is left out, so for a required port it is missing.
            return if port.required { vec![self.missing(port)] } else { Vec::new() };
        };
        self.check_settled(port, &value)
    }

    /// Checks one value of a port: of a list port, one item.
    #[must_use]
    pub fn check_item(&self, port: &Port, item: &Value) -> Vec<Violation> {
        let item = text_of_scalar(port, item.clone());
        if let (Judge::Published(rules), true) = (&self.judge, port.many) {
            return rules.item(&self.contract, self.noun, port, &item);
        }
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
        let open = match &self.judge {
            Judge::Published(rules) => !rules.refuses(key),
            Judge::Ports(_) | Judge::Nobody => self.contract.open,
        };
        unknown(&self.contract, self.noun, open, key)
    }

    fn missing(&self, port: &Port) -> Violation {
        missing(&self.contract, self.noun, port)
    }

    fn check_settled(&self, port: &Port, value: &Value) -> Vec<Violation> {
        match &self.judge {
            Judge::Published(rules) => rules.value(&self.contract, self.noun, port, value),
            _ => self.violations(&json!({ port.id.as_str(): value })),
        }
    }

    fn violations(&self, inputs: &Value) -> Vec<Violation> {
        let mut found = Vec::new();
        let compiled = match &self.judge {
            Judge::Nobody => return found,
            Judge::Published(rules) => return rules.whole(&self.contract, self.noun, inputs),
            Judge::Ports(compiled) => compiled,
        };
        if compiled.fits(inputs) {
            return found;
        }
        for error in compiled.errors(inputs) {
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

    /// Returns in words between which bounds its numbers lie, where some are published: "from 1 to 9".
    pub(super) fn bounds(&self) -> Option<String> {
        Some(match (self.minimum, self.maximum) {
            (None, None) => return None,
            (Some(minimum), None) => format!("from {minimum}"),
            (None, Some(maximum)) => format!("up to {maximum}"),
            (Some(minimum), Some(maximum)) => format!("from {minimum} to {maximum}"),
        })
    }
}

/// Returns how bad one value is where a list is wanted. That a model takes its media as lists is inferred from the kinds that it
/// publishes, so there it only warns; a schema that was published says it.
pub(crate) fn severity_of_one(contract: &Contract, port: &Port) -> Severity {
    let inferred = contract.open && contract.schema.is_none() && port.kind.is_media();
    if inferred { Severity::Warning } else { Severity::Error }
}

impl Contract {
    /// Returns the name of a port that people write: the keys of a model and of a published schema are meant for it, an app's are
    /// only numbers.
    #[must_use]
    pub fn name_of<'a>(&self, port: &'a Port) -> &'a str {
        if self.target.kind == TargetKind::Model || self.schema.is_some() { &port.id } else { port.name() }
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

/// Returns the contract of one operation.
pub(super) fn of_mode(contract: &Contract, mode: &Mode) -> Contract {
    let Contract { target, name, description, cost, output, .. } = contract.clone();
    let default = contract.modes.iter().find(|mode| mode.name == Mode::DEFAULT);
    let own = match &mode.schema {
        Some(schema) => Contract::of_schema(target, name, schema.clone()).0,
        // What the default operation takes says nothing of another.
        None if contract.schema.is_some() && default.is_some_and(|default| default.schema == contract.schema) => {
            Contract::unchecked(target, name)
        }
        None => Contract { modes: Vec::new(), ..contract.clone() },
    };
    Contract { description, cost, output, ..own }
}

/// Returns what is to be said of a key that is no port.
pub(super) fn unknown(contract: &Contract, noun: &str, open: bool, key: &str) -> Violation {
    let Contract { target, name, ports, .. } = contract;
    let noun = if open && noun == "input" && contract.schema.is_none() { "setting" } else { noun };
    let names = ports.iter().map(Port::name).chain(ports.iter().map(|port| port.id.as_str()));
    Violation {
        code: if open { Code::UnknownSetting } else { Code::UnknownInput },
        port: Some(key.to_owned()),
        at: Vec::new(),
        severity: if open { Severity::Warning } else { Severity::Error },
        message: format!("{} `{name}` publishes no {noun} `{key}`", target.kind),
        help: nearest(key, names).map(|name| format!("did you mean `{name}`?")),
    }
}

pub(super) fn missing(contract: &Contract, noun: &str, port: &Port) -> Violation {
    Violation {
        code: Code::MissingInput,
        port: Some(port.id.clone()),
        at: Vec::new(),
        severity: Severity::Error,
        message: format!("required {noun} `{}` is missing", contract.name_of(port)),
        help: Some(format!("it takes {}", port.wants())),
    }
}

/// Returns something that is wrong with what goes beside the inputs of a step.
pub(super) fn beside(
    code: Code,
    severity: Severity,
    at: &[&str],
    message: impl Into<String>,
    help: Option<String>,
) -> Violation {
    let at = at.iter().map(|part| (*part).to_owned()).collect();
    Violation { code, port: None, at, severity, message: message.into(), help }
}

/// Moves something that is wrong with a param to its place in the step.
pub(super) fn of_params(violation: Violation) -> Violation {
    let at = ["params".to_owned()].into_iter().chain(violation.port).chain(violation.at).collect();
    Violation { code: Code::BadParams, port: None, at, ..violation }
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
pub(super) fn retyped(port: &Port, value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let reads = match port.kind {
        ValueKind::Number => text.parse::<f64>().is_ok_and(f64::is_finite),
        ValueKind::Integer => text.parse::<i64>().is_ok(),
        ValueKind::Boolean => matches!(text, "true" | "false"),
        _ => false,
    };
    reads.then(|| format!("write it without quotes: `{text}`"))
}

pub(super) fn quoted(value: &Value) -> String {
    const LONGEST: usize = 80;
    let text = value.to_string();
    if text.len() > LONGEST { "…".to_owned() } else { text }
}

/// Leaves a null out and makes text of scalars where only text is wanted.
pub(super) fn settle(port: &Port, value: Value) -> Option<Value> {
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
    if port.options.contains(&value) {
        return value;
    }
    let spells = |option: &&Value| spelt(option).is_some() && spelt(option) == spelt(&value);
    if let Some(option) = port.options.iter().find(spells) {
        return option.clone();
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

    fn checker(open: bool) -> Checker {
        let prompt = Port { required: true, label: Some("Prompt".to_owned()), ..Port::new("prompt", ValueKind::Text) };
        let images = Port { many: true, ..Port::new("image_input", ValueKind::Image) };
        let aspect =
            Port { options: vec![json!("1:1"), json!("16:9"), json!(4)], ..Port::new("aspect", ValueKind::Text) };
        let steps = Port { minimum: Some(1.0), maximum: Some(50.0), ..Port::new("steps", ValueKind::Integer) };
        let seed = Port { nullable: true, ..Port::new("seed", ValueKind::Number) };
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
        assert!(
            checker.check(checker.contract().port("aspect").expect("it is there"), &json!(4)).is_empty(),
            "an option"
        );
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
