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

use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value, json};

use super::{
    Contract, Mode, Port, ValueKind, ports,
    rules::Rules,
    schema::{Schema, path},
    violation::{Violation, beside, missing, of_params, unknown},
};
use crate::diagnostic::{Code, Severity, nearest};

/// What people call a value of `params`.
const PARAM: &str = "param";

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
            None if contract.unchecked => (ports::schema(&contract), Judge::Nobody),
            None => {
                let schema = ports::schema(&contract);
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
            params: params.filter(|params| !params.unchecked).map(|params| Box::new(Self::plain(params, PARAM))),
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

    /// Says whether it checks the `params` of an operation.
    #[must_use]
    pub fn is_of_params(&self) -> bool {
        self.noun == PARAM
    }

    /// Returns what people call what is checked: `input` or `param`.
    #[must_use]
    pub fn noun(&self) -> &'static str {
        self.noun
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

    /// Returns the JSON Schema over one input.
    #[must_use]
    pub fn schema_of(&self, port: &str) -> Option<&Value> {
        self.schema.get("properties")?.get(port)
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
                (kind, Some(port)) => found.push(ports::violation(&self.contract, port, at, kind, error.instance())),
                // The schema says nothing else about the map of inputs itself.
                (_, None) => {}
            }
        }
        found
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Target, TargetKind};

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
