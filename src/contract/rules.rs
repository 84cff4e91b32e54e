//! What a published JSON Schema refuses, in the contract's words.
//!
//! The schema is compiled three times over: whole, for inputs just before a submit; the schemas of its properties alone, for a
//! value that is known before the others are; and those of the items of its lists. The latter two refer to the published schema, so that its
//! own references hold. All that a published schema refuses is an error: it is what the API checks with.
//!
//! A message names the input and the place inside its value. Where several forms are possible, the one that is probably meant
//! is told of, else what each form wants. Values show only where they are the input's own: of another one, which may be secret,
//! nothing is repeated.

use jsonschema::{ValidationError, error::ValidationErrorKind};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::{
    Contract, Port, ValueKind, Violation,
    published::{Reading, usable},
    schema::{Complaint, PUBLISHED, Schema, clause, describe, listed, path, shown, spelt},
    violation::{missing, quoted, retyped, unknown},
};
use crate::diagnostic::{Code, Severity, nearest};

/// How many possible forms are told of.
const MOST_FORMS: usize = 4;

/// A published schema, compiled.
#[derive(Debug)]
pub(super) struct Rules {
    reading: Reading,
    whole: Schema,
    values: Schema,
    items: Schema,
}

impl Rules {
    /// Compiles a published schema.
    pub(super) fn compile(published: &Value) -> Result<Self, Complaint> {
        let (reading, whole) = usable(published).map_err(|message| Complaint { at: Vec::new(), message })?;
        let mut values = Map::new();
        let mut items = Map::new();
        for (port, places) in reading.ports.iter().zip(&reading.places) {
            values.insert(port.id.clone(), all_of(&places.value));
            items.insert(port.id.clone(), all_of(&places.item));
        }
        Ok(Self {
            whole,
            values: Schema::beside(published, &json!({ "properties": values }))?,
            items: Schema::beside(published, &json!({ "properties": items }))?,
            reading,
        })
    }

    /// Says whether a key that is no port is refused.
    pub(super) fn refuses(&self, key: &str) -> bool {
        self.reading.closed && !self.reading.allows(key)
    }

    /// Checks all inputs of a submit.
    pub(super) fn whole(&self, contract: &Contract, noun: &'static str, inputs: &Value) -> Vec<Violation> {
        Teller { contract, noun, item: false, found: Vec::new() }.all(&self.whole, inputs)
    }

    /// Checks the whole value of one input.
    pub(super) fn value(&self, contract: &Contract, noun: &'static str, port: &Port, value: &Value) -> Vec<Violation> {
        let inputs = json!({ port.id.as_str(): value });
        Teller { contract, noun, item: false, found: Vec::new() }.all(&self.values, &inputs)
    }

    /// Checks one item of an input that is a list.
    pub(super) fn item(&self, contract: &Contract, noun: &'static str, port: &Port, item: &Value) -> Vec<Violation> {
        let inputs = json!({ port.id.as_str(): item });
        Teller { contract, noun, item: true, found: Vec::new() }.all(&self.items, &inputs)
    }
}

fn all_of(places: &[String]) -> Value {
    if places.is_empty() {
        return json!(true);
    }
    let references = places.iter().map(|place| json!({ "$ref": format!("{PUBLISHED}#{}", fragment(place)) }));
    json!({ "allOf": references.collect::<Vec<_>>() })
}

/// Writes a JSON pointer as the fragment of a URI.
fn fragment(pointer: &str) -> String {
    /// All but a pointer's slash and what RFC 3986 calls unreserved.
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(pointer, RESERVED).to_string()
}

/// Collects what is wrong.
struct Teller<'c> {
    contract: &'c Contract,
    noun: &'static str,
    /// Whether what is checked stands for one item of a list.
    item: bool,
    found: Vec<Violation>,
}

impl Teller<'_> {
    fn all(mut self, schema: &Schema, inputs: &Value) -> Vec<Violation> {
        if let Some(refusal) = schema.refusal(inputs) {
            self.error(Code::InputType, None, refusal.at, format!("what it is given {}", refusal.message), None);
        } else if !schema.fits(inputs) {
            schema.errors(inputs).for_each(|error| self.tell(&error));
        }
        self.found
    }

    fn push(&mut self, violation: Violation) {
        // One thing may be refused by two schemas.
        if !self.found.contains(&violation) {
            self.found.push(violation);
        }
    }

    fn error(&mut self, code: Code, port: Option<&str>, at: Vec<String>, message: String, help: Option<String>) {
        let port = port.map(str::to_owned);
        self.push(Violation { code, port, at, severity: Severity::Error, message, help });
    }

    fn tell(&mut self, error: &ValidationError<'_>) {
        let mut at = path(error.instance_path().as_str());
        if let Some(forms) = forms(error.kind())
            && let Some(meant) = meant(forms, at.len())
        {
            return meant.iter().for_each(|error| self.tell(error));
        }
        if at.is_empty() {
            return self.together(error);
        }
        let key = at.remove(0);
        if let Some(port) = self.contract.port(&key) {
            return self.of_port(&port.clone(), at, error);
        }
        // A name that the schema allows without listing it.
        let message = format!("{} {}", self.subject(&key, &at), clause(error));
        self.error(Code::InputType, Some(&key), at, message, None);
    }

    /// Returns the words for a place in an input.
    fn subject(&self, name: &str, at: &[String]) -> String {
        let item = if self.item { "an item of " } else { "" };
        let place = if at.is_empty() { String::new() } else { format!(" (at `{}`)", at.join(".")) };
        format!("{item}{} `{name}`{place}", self.noun)
    }

    fn of_port(&mut self, port: &Port, at: Vec<String>, error: &ValidationError<'_>) {
        let value = &**error.instance();
        let name = self.contract.name_of(port).to_owned();
        let (noun, whole) = (self.noun, at.is_empty());
        let subject = self.subject(&name, &at);
        let is_scalar = !(value.is_array() || value.is_object());
        let out_of_range =
            |words: String| (Code::OutsideRange, format!("{subject} is {}, {words}", shown(value)), None);
        let (code, message, help) = match error.kind() {
            ValidationErrorKind::Enum { options } if is_scalar => {
                let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
                not_an_option(value, &subject, options)
            }
            ValidationErrorKind::Constant { expected_value } if is_scalar => {
                not_an_option(value, &subject, std::slice::from_ref(&**expected_value))
            }
            ValidationErrorKind::Minimum { limit } => {
                out_of_range(format!("below its published minimum {}", shown(limit)))
            }
            ValidationErrorKind::Maximum { limit } => {
                out_of_range(format!("above its published maximum {}", shown(limit)))
            }
            ValidationErrorKind::ExclusiveMinimum { limit } => {
                out_of_range(format!("and must be more than {}", shown(limit)))
            }
            ValidationErrorKind::ExclusiveMaximum { limit } => {
                out_of_range(format!("and must be less than {}", shown(limit)))
            }
            ValidationErrorKind::Type { .. } if whole && !self.item && port.many && !value.is_array() => {
                let text = if value.is_object() { "[…]".to_owned() } else { format!("[{}]", quoted(value)) };
                let message = format!("{noun} `{name}` takes {}, not a single value", port.wants());
                (Code::ListOrOne, message, Some(format!("write it as a list: `{text}`")))
            }
            ValidationErrorKind::Type { .. }
                if whole && !port.many && value.is_array() && port.kind != ValueKind::Any =>
            {
                let message = format!("{noun} `{name}` takes one value ({}), not a list", port.wants());
                let help = match value.as_array().map(Vec::as_slice) {
                    Some([only]) => format!("write the item alone: {}", shown(only)),
                    _ => "pick one item of the list".to_owned(),
                };
                (Code::ListOrOne, message, Some(help))
            }
            ValidationErrorKind::Type { .. }
                if port.kind != ValueKind::Any && (whole || (port.many && at.len() == 1)) =>
            {
                let message = if whole && !self.item {
                    format!("{noun} `{name}` takes {}, not {}", port.wants(), describe(value))
                } else {
                    format!("{noun} `{name}` takes {}, and this part of it is {}", port.wants(), describe(value))
                };
                (Code::InputType, message, retyped(port, value))
            }
            kind => {
                let help = forms(kind).map(|forms| self.choice(forms, "it"));
                (Code::InputType, format!("{subject} {}", clause(error)), help)
            }
        };
        self.error(code, Some(&port.id), at, message, help);
    }

    /// Tells of a condition over the inputs together.
    fn together(&mut self, error: &ValidationError<'_>) {
        let noun = self.noun;
        let given = error.instance().as_object().map_or(0, Map::len);
        let (message, help) = match error.kind() {
            ValidationErrorKind::Required { property } => {
                let name = spelt(property);
                let port = self.contract.port(&name).cloned().unwrap_or_else(|| Port::new(name, ValueKind::Any));
                let mut violation = missing(self.contract, noun, &port);
                // Only beside another one, or only in the form that is meant.
                if !port.required {
                    violation.message =
                        format!("{noun} `{}` is missing: what is given needs it", self.contract.name_of(&port));
                }
                return self.push(violation);
            }
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                return unexpected.iter().for_each(|key| self.push(unknown(self.contract, noun, false, key)));
            }
            ValidationErrorKind::PropertyNames { error } => {
                let name = spelt(error.instance());
                let message = format!("no {noun} can be called `{name}`: its name {}", clause(error));
                return self.error(Code::UnknownInput, Some(&name), Vec::new(), message, None);
            }
            ValidationErrorKind::MinProperties { limit } => {
                (format!("{given} {noun}s are given, and at least {limit} are needed"), None)
            }
            ValidationErrorKind::MaxProperties { limit } => {
                (format!("{given} {noun}s are given, and at most {limit} are allowed"), None)
            }
            ValidationErrorKind::OneOfMultipleValid { .. } => {
                (format!("the {noun}s fit several of the forms of which one at a time is allowed"), None)
            }
            ValidationErrorKind::Not { .. } => (format!("these {noun}s are not allowed together"), None),
            kind => match forms(kind) {
                Some(forms) => (
                    format!("the {noun}s have none of the forms that are allowed"),
                    Some(self.choice(forms, &format!("the {noun}s"))),
                ),
                None => (format!("the {noun}s together do not fit: they {}", clause(error)), None),
            },
        };
        self.error(Code::InputsTogether, None, Vec::new(), message, help);
    }

    /// Returns what each of several forms wants: "either `a` must be given, or `b` must be given".
    fn choice(&self, forms: &[Vec<ValidationError<'static>>], subject: &str) -> String {
        let mut wants: Vec<String> = Vec::new();
        for form in forms {
            let reasons: Vec<_> = form.iter().take(2).map(|error| self.reason(error, subject)).collect();
            let reasons = reasons.join(" and ");
            if !reasons.is_empty() && !wants.contains(&reasons) {
                wants.push(reasons);
            }
        }
        let more = if wants.len() > MOST_FORMS { ", or …" } else { "" };
        wants.truncate(MOST_FORMS);
        match wants.as_slice() {
            [only] => format!("{only}{more}"),
            several => format!("either {}{more}", several.join(", or ")),
        }
    }

    fn reason(&self, error: &ValidationError<'_>, subject: &str) -> String {
        let at = path(error.instance_path().as_str());
        match (error.kind(), at.as_slice()) {
            (ValidationErrorKind::Required { property }, []) => format!("`{}` must be given", spelt(property)),
            (_, []) => format!("{subject} {}", clause(error)),
            (_, [_]) if subject == "it" => format!("it {}", clause(error)),
            (_, [key, rest @ ..]) => {
                let key = self.contract.port(key).map_or(key.as_str(), |port| self.contract.name_of(port));
                let place = rest.iter().fold(key.to_owned(), |place, part| format!("{place}.{part}"));
                format!("`{place}` {}", clause(error))
            }
        }
    }
}

fn not_an_option(value: &Value, subject: &str, options: &[Value]) -> (Code, String, Option<String>) {
    let near = value.as_str().and_then(|found| nearest(found, options.iter().filter_map(Value::as_str)));
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("its options are {}", listed(options)),
    };
    (Code::NotAnOption, format!("{} is not an option of {subject}", shown(value)), Some(help))
}

/// Returns what is wrong by each of several forms.
fn forms(kind: &ValidationErrorKind) -> Option<&[Vec<ValidationError<'static>>]> {
    match kind {
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => Some(context),
        _ => None,
    }
}

/// Returns what is wrong by the form that is probably meant: the only one whose type fits, else the only one that is not told apart
/// by a constant.
fn meant<'f>(forms: &'f [Vec<ValidationError<'static>>], depth: usize) -> Option<&'f [ValidationError<'static>]> {
    let another = |error: &ValidationError<'_>, below: usize| {
        path(error.instance_path().as_str()).len() == depth + below
            && match error.kind() {
                ValidationErrorKind::Type { .. } => below == 0,
                ValidationErrorKind::Constant { .. } | ValidationErrorKind::Enum { .. } => below == 1,
                _ => false,
            }
    };
    let mut left: Vec<_> = forms.iter().filter(|form| !form.iter().any(|error| another(error, 0))).collect();
    if left.len() > 1 {
        left.retain(|form| !form.iter().any(|error| another(error, 1)));
    }
    match left.as_slice() {
        [only] => Some(only),
        _ => None,
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
