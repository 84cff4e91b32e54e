//! JSON Schema behind one door: compiling a schema and listing what is wrong with a value.
//!
//! Draft 2020-12, formats asserted, no reference that leaves the schema, and regular expressions of linear time only, because
//! people write these schemas in workflow files and a file must not be able to hang or to call out.

use std::fmt;

use jsonschema::{
    Draft, PatternOptions, Registry, RegistryBuilder, ValidationError, ValidationOptions,
    error::{TypeKind, ValidationErrorKind},
};
use serde_json::Value;

use super::{effort::Effort, measure::measure};
use crate::source::Pointer;

/// Bounds the memory that one regular expression of a schema may take.
const PATTERN_BYTES: usize = 1 << 20;

/// Bounds the steps of an expression that linear time does not do: one with a look ahead, in a schema that an API publishes.
const PATTERN_STEPS: usize = 10_000;

/// What a schema calls the published one that it refers to; see [`Schema::beside`].
pub(super) const PUBLISHED: &str = "urn:dagwood:published";

/// A compiled JSON Schema.
pub struct Schema {
    validator: jsonschema::Validator,
    /// Where it refers to itself, what tells what a value costs.
    effort: Option<Effort>,
}

/// Something that is wrong, and where: in a value, or in a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Keys and indexes from the root of the value.
    pub at: Vec<String>,
    /// A clause for people: "must be a whole number, not text".
    pub message: String,
}

impl Complaint {
    /// Returns the place below a root, with dots between: `input.query`.
    #[must_use]
    pub fn place(&self, root: &str) -> String {
        std::iter::once(root).chain(self.at.iter().map(String::as_str)).collect::<Vec<_>>().join(".")
    }
}

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    ///
    /// When it is no schema, or refers to something outside itself; the complaint's place is one in the schema.
    pub fn compile(schema: &Value) -> Result<Self, Complaint> {
        let effort = measure(schema)?.then(|| Effort::new(schema, None));
        let built = linear(Draft::Draft202012).build(schema);
        built.map(|validator| Self { validator, effort }).map_err(|error| match dangling(schema, schema) {
            Some(place) => {
                Complaint { at: Vec::new(), message: format!("refers to `{place}`, and there is nothing there") }
            }
            None => complaint(&error),
        })
    }

    /// Compiles a schema that an API publishes: of the draft that it names, with expressions that need not be linear.
    pub(super) fn published(schema: &Value) -> Result<Self, Complaint> {
        let effort = measure(schema)?.then(|| Effort::new(schema, None));
        let draft = draft(schema);
        // The first complaint is the one of the common case.
        linear(draft)
            .build(schema)
            .or_else(|first| bounded(draft).build(schema).map_err(|_| first))
            .map(|validator| Self { validator, effort })
            .map_err(|error| complaint(&error))
    }

    /// Compiles a schema that refers to a published one as [`PUBLISHED`].
    pub(super) fn beside(published: &Value, schema: &Value) -> Result<Self, Complaint> {
        let returns = [measure(published)?, measure(schema)?].contains(&true);
        let effort = returns.then(|| Effort::new(schema, Some(published)));
        let draft = draft(published);
        let apart = |_| Complaint { at: Vec::new(), message: "refers to something that is not in it".to_owned() };
        let registry =
            Registry::new().draft(draft).add(PUBLISHED, published).and_then(RegistryBuilder::prepare).map_err(apart)?;
        linear(draft)
            .with_registry(&registry)
            .build(schema)
            .or_else(|first| bounded(draft).with_registry(&registry).build(schema).map_err(|_| first))
            .map(|validator| Self { validator, effort })
            .map_err(|error| complaint(&error))
    }

    /// Says whether the value fits.
    #[must_use]
    pub fn fits(&self, value: &Value) -> bool {
        self.refusal(value).is_none() && self.validator.is_valid(value)
    }

    /// Returns everything that is wrong with the value.
    #[must_use]
    pub fn complaints(&self, value: &Value) -> Vec<Complaint> {
        if let Some(refusal) = self.refusal(value) {
            return vec![refusal];
        }
        self.errors(value)
            .map(|error| Complaint { at: path(error.instance_path().as_str()), message: clause(&error) })
            .collect()
    }

    /// Refuses a value that would take too much work to check.
    pub(super) fn refusal(&self, value: &Value) -> Option<Complaint> {
        self.effort.as_ref().filter(|effort| effort.is_too_much(value)).map(|_| Complaint {
            at: Vec::new(),
            message: "is too much work to check: its schema refers to itself, over and over".to_owned(),
        })
    }

    /// Returns everything that is wrong with a value that is not refused.
    pub(super) fn errors<'i>(&'i self, value: &'i Value) -> impl Iterator<Item = ValidationError<'i>> {
        self.validator.iter_errors(value)
    }
}

fn linear<'r>(draft: Draft) -> ValidationOptions<'r> {
    let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES);
    jsonschema::options().with_draft(draft).should_validate_formats(true).offline().with_pattern_options(patterns)
}

fn bounded<'r>(draft: Draft) -> ValidationOptions<'r> {
    let patterns = PatternOptions::fancy_regex()
        .backtrack_limit(PATTERN_STEPS)
        .size_limit(PATTERN_BYTES)
        .dfa_size_limit(PATTERN_BYTES);
    jsonschema::options().with_draft(draft).should_validate_formats(true).offline().with_pattern_options(patterns)
}

/// Returns the draft that a schema names, else the last one.
fn draft(schema: &Value) -> Draft {
    match Draft::default().detect(schema) {
        Draft::Unknown => Draft::default(),
        known => known,
    }
}

fn complaint(error: &ValidationError<'_>) -> Complaint {
    Complaint {
        at: path(error.instance_path().as_str()),
        message: match error.kind() {
            ValidationErrorKind::Referencing(_) => {
                "refers to something that is not in it: only `#/…` can be followed".to_owned()
            }
            _ => clause(error),
        },
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").finish_non_exhaustive()
    }
}

/// Returns a reference to a place of the schema at which there is nothing.
fn dangling<'s>(schema: &'s Value, root: &Value) -> Option<&'s str> {
    match schema {
        Value::Object(words) => {
            let own = words.get("$ref").and_then(Value::as_str);
            let own = own.filter(|place| {
                place.strip_prefix('#').is_some_and(|place| place.starts_with('/') && root.pointer(place).is_none())
            });
            own.or_else(|| words.values().find_map(|value| dangling(value, root)))
        }
        Value::Array(items) => items.iter().find_map(|item| dangling(item, root)),
        _ => None,
    }
}

/// Splits a JSON pointer.
pub(super) fn path(pointer: &str) -> Vec<String> {
    Pointer::parse(pointer).parts().to_vec()
}

/// Returns what a value is, with its article: "a list".
#[must_use]
pub fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a number",
        Value::Number(_) => "a whole number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// Returns a value as people write it, in backticks, shortened.
#[must_use]
pub fn shown(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = spelt(value);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}

/// Returns a value as people write it: text without quotes, a whole number without a fraction.
pub(super) fn spelt(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            number.as_f64().map_or_else(String::new, |number| number.to_string())
        }
        other => other.to_string(),
    }
}

/// Returns options as people write them, shortened to the first dozen.
#[must_use]
pub fn listed(options: &[Value]) -> String {
    const MOST: usize = 12;
    let mut text = options.iter().take(MOST).map(shown).collect::<Vec<_>>().join(", ");
    if options.len() > MOST {
        text.push_str(", …");
    }
    text
}

/// Returns what is wrong as a clause: "must be text, not a list". It never repeats the value, which may be secret.
pub(super) fn clause(error: &ValidationError<'_>) -> String {
    let value = error.instance();
    match error.kind() {
        ValidationErrorKind::Type { kind } => {
            let name = |kind: String| match kind.as_str() {
                "string" => "text".to_owned(),
                "integer" => "a whole number".to_owned(),
                "number" => "a number".to_owned(),
                "boolean" => "true or false".to_owned(),
                "array" => "a list".to_owned(),
                "object" => "a map".to_owned(),
                _ => kind,
            };
            let wanted = match kind {
                TypeKind::Single(kind) => name(kind.to_string()),
                TypeKind::Multiple(kinds) => {
                    kinds.iter().map(|kind| name(kind.to_string())).collect::<Vec<_>>().join(" or ")
                }
            };
            format!("must be {wanted}, not {}", describe(value))
        }
        ValidationErrorKind::Enum { options } => {
            let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
            format!("must be one of {}", listed(options))
        }
        ValidationErrorKind::Constant { expected_value } => format!("must be {}", shown(expected_value)),
        ValidationErrorKind::Minimum { limit } => format!("must be at least {}", spelt(limit)),
        ValidationErrorKind::Maximum { limit } => format!("must be at most {}", spelt(limit)),
        ValidationErrorKind::ExclusiveMinimum { limit } => format!("must be more than {}", spelt(limit)),
        ValidationErrorKind::ExclusiveMaximum { limit } => format!("must be less than {}", spelt(limit)),
        ValidationErrorKind::MinLength { limit } => format!("must have at least {limit} characters"),
        ValidationErrorKind::MaxLength { limit } => format!("must have at most {limit} characters"),
        ValidationErrorKind::MinItems { limit } => format!("must have at least {limit} items"),
        ValidationErrorKind::MaxItems { limit } => format!("must have at most {limit} items"),
        ValidationErrorKind::UniqueItems => "must not hold the same item twice".to_owned(),
        ValidationErrorKind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        ValidationErrorKind::Pattern { pattern } => format!("must match the pattern `{pattern}`"),
        ValidationErrorKind::Format { format } => format!("must be of the format `{format}`"),
        ValidationErrorKind::Required { property } => {
            format!("must have the key {}", shown(property))
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            format!("must not have the key `{}`", unexpected.join("`, `"))
        }
        ValidationErrorKind::MinProperties { limit } => format!("must have at least {limit} keys"),
        ValidationErrorKind::MaxProperties { limit } => format!("must have at most {limit} keys"),
        ValidationErrorKind::AnyOf { .. } | ValidationErrorKind::OneOfNotValid { .. } => {
            "must have one of the forms that its schema names".to_owned()
        }
        ValidationErrorKind::OneOfMultipleValid { .. } => {
            "must have only one of the forms that its schema names".to_owned()
        }
        ValidationErrorKind::Not { .. } => "must not have the form that its schema excludes".to_owned(),
        ValidationErrorKind::FalseSchema => "must not be there".to_owned(),
        // The value is not repeated: it may be secret.
        other => format!("does not fit its schema (`{}`)", other.keyword()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn complaints_say_where_and_what() {
        let schema = Schema::compile(&json!({
            "type": "array", "items": {"type": "string", "enum": ["a", "b"]}, "maxItems": 2,
        }))
        .expect("a schema");
        assert!(schema.fits(&json!(["a"])));
        let found = schema.complaints(&json!(["a", 3, "c"]));
        let found: Vec<_> = found.iter().map(|c| (c.at.join("/"), c.message.as_str())).collect();
        assert!(found.contains(&(String::new(), "must have at most 2 items")), "{found:?}");
        assert!(found.contains(&("1".to_owned(), "must be text, not a whole number")), "{found:?}");
        assert!(found.contains(&("2".to_owned(), "must be one of `a`, `b`")), "{found:?}");
    }

    #[test]
    fn what_is_no_schema_is_told_with_its_place() {
        let complaint = Schema::compile(&json!({"type": "text"})).expect_err("no such type");
        assert_eq!(complaint.at, ["type"]);
        let complaint = Schema::compile(&json!({"$ref": "https://example.com/a.json"})).expect_err("remote");
        assert!(complaint.message.contains("not in it"), "{complaint:?}");
        assert!(Schema::compile(&json!({"pattern": "("})).is_err());
        assert!(Schema::compile(&json!({"pattern": "((((a{1,99}){1,99}){1,99}){1,99})"})).is_err());
    }

    #[test]
    fn formats_are_asserted_and_schemas_that_go_in_circles_end() {
        let schema = Schema::compile(&json!({"type": "string", "format": "date"})).expect("a schema");
        assert!(schema.fits(&json!("2026-01-01")) && !schema.fits(&json!("soon")));
        let schema = Schema::compile(&json!({"$ref": "#"}));
        assert!(schema.map_or(true, |schema| schema.fits(&json!(1)) || !schema.fits(&json!(1))));
    }
}
