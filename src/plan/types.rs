//! What flows where: what is known of a value before it is there, and whether a target's input can take it.
//!
//! A type is an upper bound, and unknown where nothing is promised. A clash is told only when no value of the type could
//! ever fit; everything else is left to the whole check before the submit.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::{
    contract::{Checker, Port, ValueKind},
    diagnostic::Severity,
    spec::{Input, Media},
    template::{Segment, is_placeholder},
};

/// The most types that something may be one of; beyond that nothing is known of it.
const MOST_MEMBERS: usize = 64;

/// What is known of a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Type {
    /// Nothing.
    Any,
    Null,
    Boolean,
    Integer,
    Number,
    Text,
    /// The URL of a medium.
    Media(ValueKind),
    /// One of these.
    Options(Vec<Value>),
    List(Box<Self>),
    /// A map; with all its keys, where they are known.
    Map(Option<IndexMap<String, Self>>),
    /// A map of which some keys are known, though they may be absent; it may have others.
    Partly(IndexMap<String, Self>),
    /// One of these types.
    Either(Vec<Self>),
}

/// Why no value of a type can fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clash {
    /// A single value where a list is wanted.
    WantsList,
    /// A list where a single value is wanted.
    WantsOne,
    /// A medium of another kind.
    Media,
    /// A value of another kind.
    Kind,
    /// None of the possible values is an option.
    Options,
}

impl Type {
    pub(super) fn list(item: Self) -> Self {
        Self::List(Box::new(item))
    }

    /// Returns the type of a value that is known.
    pub(super) fn of_value(value: &Value) -> Self {
        match value {
            Value::Array(items) if items.is_empty() || items.len() > MOST_MEMBERS => Self::list(Self::Any),
            Value::Array(items) => Self::list(Self::union(items.iter().map(Self::of_value))),
            Value::Object(map) => {
                Self::Map(Some(map.iter().map(|(key, value)| (key.clone(), Self::of_value(value))).collect()))
            }
            Value::Null => Self::Null,
            // A local file: what stands for it where it is handed over, nobody knows yet.
            Value::String(text) if is_placeholder(text) => Self::Any,
            scalar => Self::Options(vec![scalar.clone()]),
        }
    }

    /// Returns the type of an input, by its declaration.
    pub(super) fn of_input(input: &Input) -> Self {
        let own = if input.file {
            match input.media {
                Some(Media::Image) => Self::Media(ValueKind::Image),
                Some(Media::Video) => Self::Media(ValueKind::Video),
                Some(Media::Audio) => Self::Media(ValueKind::Audio),
                _ => Self::Text,
            }
        } else {
            Self::of_schema(&input.schema)
        };
        // With a default, that stands for what is absent.
        match &input.default {
            None if input.optional => own.or_null(),
            Some(Value::Null) => own.or_null(),
            _ => own,
        }
    }

    fn of_schema(schema: &Map<String, Value>) -> Self {
        // What these say together with `type` is left open.
        if ["$ref", "anyOf", "oneOf", "allOf", "if", "not"].iter().any(|key| schema.contains_key(*key)) {
            return Self::Any;
        }
        if let Some(options) = schema.get("enum").and_then(Value::as_array) {
            return Self::Options(options.clone());
        }
        if let Some(only) = schema.get("const") {
            return Self::Options(vec![only.clone()]);
        }
        let of_name = |name: &Value| match name.as_str() {
            Some("string") => Self::Text,
            Some("integer") => Self::Integer,
            Some("number") => Self::Number,
            Some("boolean") => Self::Boolean,
            Some("null") => Self::Null,
            // The first items have schemas of their own.
            Some("array") if schema.contains_key("prefixItems") => Self::list(Self::Any),
            Some("array") => {
                Self::list(schema.get("items").and_then(Value::as_object).map_or(Self::Any, Self::of_schema))
            }
            Some("object") => Self::of_object(schema),
            _ => Self::Any,
        };
        match schema.get("type") {
            Some(Value::Array(names)) => Self::Either(names.iter().map(of_name).collect()),
            Some(name) => of_name(name),
            None => Self::Any,
        }
    }

    fn of_object(schema: &Map<String, Value>) -> Self {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Self::Map(None) };
        let keys =
            properties.iter().map(|(key, schema)| (key.clone(), schema.as_object().map_or(Self::Any, Self::of_schema)));
        let is_closed = schema.get("additionalProperties") == Some(&Value::Bool(false))
            && !schema.contains_key("patternProperties");
        if is_closed { Self::Map(Some(keys.collect())) } else { Self::Partly(keys.collect()) }
    }

    /// Returns the type of what is of one of these types.
    pub(super) fn union(types: impl IntoIterator<Item = Self>) -> Self {
        let mut members: Vec<Self> = Vec::new();
        let mut options: Vec<Value> = Vec::new();
        for one in types {
            let parts = if let Self::Either(parts) = one { parts } else { vec![one] };
            for part in parts {
                match part {
                    Self::Any => return Self::Any,
                    Self::Options(more) => {
                        for option in more {
                            if !options.contains(&option) {
                                options.push(option);
                            }
                        }
                    }
                    part if members.contains(&part) => {}
                    part => members.push(part),
                }
            }
        }
        // What is one of a kind says more than one of its values.
        options.retain(|option| !members.contains(&Self::kind_of(option)));
        if !options.is_empty() {
            members.push(Self::Options(options));
        }
        match (members.len(), members.pop()) {
            (1, Some(only)) => only,
            (0, _) | (_, None) => Self::Any,
            (count, Some(_)) if count > MOST_MEMBERS => Self::Any,
            (_, Some(last)) => {
                members.push(last);
                Self::Either(members)
            }
        }
    }

    /// Returns the types that it may be one of; only itself where it is one.
    pub(super) fn members(&self) -> &[Self] {
        match self {
            Self::Either(members) => members,
            one => std::slice::from_ref(one),
        }
    }

    /// Returns the type of a value without saying which value it is.
    pub(super) fn kind_of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Boolean,
            Value::Number(number) if number.is_f64() => Self::Number,
            Value::Number(_) => Self::Integer,
            Value::String(_) => Self::Text,
            Value::Array(_) => Self::list(Self::Any),
            Value::Object(_) => Self::Map(None),
        }
    }

    /// Returns the type without the values and keys that it names: what is left where those may be others in the next run.
    pub(super) fn weakened(self) -> Self {
        match self {
            Self::Options(options) => Self::union(options.iter().map(Self::kind_of)),
            Self::List(item) => Self::list(item.weakened()),
            Self::Map(_) | Self::Partly(_) => Self::Map(None),
            Self::Either(members) => Self::union(members.into_iter().map(Self::weakened)),
            one => one,
        }
    }

    /// Returns how many types it is made of.
    pub(super) fn parts(&self) -> usize {
        1 + match self {
            Self::List(item) => item.parts(),
            Self::Map(Some(keys)) | Self::Partly(keys) => keys.values().map(Self::parts).sum(),
            Self::Either(members) => members.iter().map(Self::parts).sum(),
            _ => 0,
        }
    }

    /// Says whether it may be null.
    pub(super) fn may_be_null(&self) -> bool {
        self.members().iter().any(|one| match one {
            Self::Null => true,
            Self::Options(options) => options.iter().any(Value::is_null),
            _ => false,
        })
    }

    /// Returns the type of what is this or null.
    pub(super) fn or_null(self) -> Self {
        // Of anything, that it may be null is all that is known.
        if self == Self::Any { Self::Either(vec![Self::Any, Self::Null]) } else { Self::union([self, Self::Null]) }
    }

    /// Returns the type of what is not null.
    pub(super) fn present(self) -> Self {
        match self {
            Self::Either(members) => Self::union(members.into_iter().filter(|one| *one != Self::Null)),
            Self::Options(mut options) => {
                options.retain(|option| !option.is_null());
                if options.is_empty() { Self::Any } else { Self::Options(options) }
            }
            Self::Null => Self::Any,
            one => one,
        }
    }

    /// Returns the type of what a list or a text goes through; nothing where it has no items.
    pub(super) fn item(&self) -> Self {
        Self::union(self.members().iter().map(|one| match one {
            Self::List(item) => (**item).clone(),
            Self::Text => Self::Text,
            _ => Self::Any,
        }))
    }

    /// Returns the type of a part of such a value, or nothing where none of them has it.
    pub(super) fn part(&self, segment: &Segment) -> Option<Self> {
        // Names of methods that maps have in templates.
        let is_method = |key: &str| matches!(key, "items" | "keys" | "values" | "get");
        match (self, segment) {
            (Self::Either(members), _) => {
                let parts: Vec<_> = members.iter().filter_map(|one| one.part(segment)).collect();
                (!parts.is_empty()).then(|| Self::union(parts))
            }
            (Self::Options(options), _) => {
                options.iter().any(|option| Self::kind_of(option).part(segment).is_some()).then_some(Self::Any)
            }
            (Self::List(item), Segment::Index(_)) => Some((**item).clone()),
            (Self::Map(Some(keys)), Segment::Key(key)) => match keys.get(key) {
                Some(known) => Some(known.clone()),
                None => is_method(key).then_some(Self::Any),
            },
            (Self::Partly(keys), Segment::Key(key)) => Some(keys.get(key).cloned().unwrap_or(Self::Any)),
            (Self::Null | Self::Boolean | Self::Integer | Self::Number, Segment::Key(_) | Segment::Index(_))
            | (Self::Text | Self::Media(_) | Self::List(_), Segment::Key(_)) => None,
            _ => Some(Self::Any),
        }
    }

    /// Says whether no value of one type ever equals one of the other, by the engine's rules.
    pub(super) fn is_never(&self, other: &Self) -> bool {
        let sort = |one: &Self| match one {
            Self::Any | Self::Either(_) | Self::Options(_) => None,
            Self::Null => Some(0),
            // The engine lets true equal 1.
            Self::Boolean | Self::Integer | Self::Number => Some(1),
            Self::Text | Self::Media(_) => Some(2),
            Self::List(_) => Some(3),
            Self::Map(_) | Self::Partly(_) => Some(4),
        };
        match (self, other) {
            (Self::Either(members), _) => members.iter().all(|one| one.is_never(other)),
            (_, Self::Either(members)) => members.iter().all(|one| self.is_never(one)),
            (Self::Options(a), Self::Options(b)) => !a.iter().any(|a| b.iter().any(|b| may_equal(a, b))),
            (Self::Options(options), one) | (one, Self::Options(options)) => {
                options.iter().all(|option| Self::kind_of(option).is_never(one))
            }
            (a, b) => match (sort(a), sort(b)) {
                (Some(a), Some(b)) => a != b,
                _ => false,
            },
        }
    }

    /// Says whether every such value is true, or every one false, in a condition.
    pub(super) fn holds(&self) -> Option<bool> {
        let same = |mut all: Vec<Option<bool>>| {
            all.dedup();
            if let [only] = all.as_slice() { *only } else { None }
        };
        match self {
            Self::Null => Some(false),
            Self::Options(options) => same(
                options
                    .iter()
                    .map(|option| match option {
                        Value::Null => Some(false),
                        Value::Bool(value) => Some(*value),
                        Value::Number(number) => number.as_f64().map(|number| number != 0.0),
                        Value::String(text) => Some(!text.is_empty()),
                        Value::Array(items) => Some(!items.is_empty()),
                        Value::Object(map) => Some(!map.is_empty()),
                    })
                    .collect(),
            ),
            Self::Either(members) => same(members.iter().map(Self::holds).collect()),
            _ => None,
        }
    }

    /// Returns what such a value is, with its article: "the URL of a video".
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Any => "any value".to_owned(),
            Self::Null => "null".to_owned(),
            Self::Boolean => "true or false".to_owned(),
            Self::Integer => "a whole number".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Media(kind) => match kind {
                ValueKind::Image => "the URL of an image".to_owned(),
                ValueKind::Video => "the URL of a video".to_owned(),
                ValueKind::Audio => "the URL of an audio recording".to_owned(),
                ValueKind::Model3d => "the URL of a 3d model".to_owned(),
                other => other.word().to_owned(),
            },
            Self::Options(options) => match options.as_slice() {
                [only] => crate::contract::schema::describe(only).to_owned(),
                all => format!("one of {}", crate::contract::schema::listed(all)),
            },
            Self::List(item) => match (**item).clone().weakened() {
                Self::Media(kind) => format!("a list of {} URLs", kind.word()),
                Self::Text => "a list of texts".to_owned(),
                Self::Integer | Self::Number => "a list of numbers".to_owned(),
                _ => "a list".to_owned(),
            },
            Self::Map(_) | Self::Partly(_) => "a map".to_owned(),
            Self::Either(types) => {
                let mut words: Vec<_> = types.iter().filter(|one| **one != Self::Null).map(Self::describe).collect();
                words.dedup();
                words.join(" or ")
            }
        }
    }

    /// Returns what such a value is, and which one, where that is known: "text (`bad`)".
    pub(super) fn described_with_value(&self) -> String {
        match self {
            Self::Options(options) => match options.as_slice() {
                [only] if !only.is_array() && !only.is_object() => {
                    format!("{} ({})", self.describe(), crate::contract::schema::shown(only))
                }
                _ => self.describe(),
            },
            _ => self.describe(),
        }
    }

    /// Says why no such value can be the whole value of a port, if so.
    pub(super) fn clash(&self, checker: &Checker, port: &Port) -> Option<Clash> {
        match self {
            Self::Any | Self::Null => None,
            Self::Either(types) => {
                all(types.iter().filter(|one| **one != Self::Null).map(|one| one.clash(checker, port)))
            }
            Self::Options(options) => all(options.iter().map(|option| match option {
                Value::Null => None,
                Value::Array(_) if !port.many && port.kind != ValueKind::Any => Some(Clash::WantsOne),
                Value::Array(items) => items.iter().find_map(|item| refused(checker, port, item)),
                _ if port.many => Some(Clash::WantsList),
                scalar => refused(checker, port, scalar),
            })),
            Self::List(item) if port.many => item.clash_of_item(checker, port),
            Self::List(_) if port.kind == ValueKind::Any => None,
            Self::List(_) => Some(Clash::WantsOne),
            _ if port.many => Some(Clash::WantsList),
            one => one.clash_of_item(checker, port),
        }
    }

    /// Returns the possible values that are no options of a port, where it publishes some.
    pub(super) fn misfits(&self, checker: &Checker, port: &Port) -> Vec<Value> {
        if port.options.is_empty() {
            return Vec::new();
        }
        let mut found = Vec::new();
        for one in self.members() {
            match one {
                Self::Options(options) => {
                    let scalar = options.iter().filter(|option| !option.is_array() && !option.is_object());
                    found.extend(scalar.filter(|option| refused(checker, port, option).is_some()).cloned());
                }
                Self::List(item) if port.many => found.extend(item.misfits(checker, port)),
                _ => {}
            }
        }
        found
    }

    /// Says why no such value can be one value of a port, if so.
    pub(super) fn clash_of_item(&self, checker: &Checker, port: &Port) -> Option<Clash> {
        let fits = match (port.kind, self) {
            // A null is left out where it is the whole value; as an item it may be one of several possibilities.
            (_, Self::Any | Self::Null) | (ValueKind::Any, _) => true,
            (_, Self::Either(types)) => {
                let types = types.iter().filter(|one| **one != Self::Null);
                return all(types.map(|one| one.clash_of_item(checker, port)));
            }
            (_, Self::Options(options)) => {
                return all(options.iter().map(|option| refused(checker, port, option)));
            }
            (_, Self::List(_)) => return Some(Clash::WantsOne),
            (_, Self::Map(_) | Self::Partly(_)) => false,
            // What spells an option becomes that option.
            (_, one) if !port.options.is_empty() => {
                return (!port.options.iter().any(|option| one.may_spell(option))).then_some(Clash::Options);
            }
            (ValueKind::Text | ValueKind::Scalar, _) => true,
            (ValueKind::Number | ValueKind::Integer, one) => matches!(one, Self::Number | Self::Integer),
            (ValueKind::Boolean, one) => *one == Self::Boolean,
            (kind, Self::Media(found)) if kind.is_media() => return (kind != *found).then_some(Clash::Media),
            (_, one) => *one == Self::Text,
        };
        (!fits).then_some(Clash::Kind)
    }
}

impl Type {
    /// Says whether a scalar of this type may be written as an option is.
    fn may_spell(&self, option: &Value) -> bool {
        match (self, option) {
            (Self::Boolean, Value::String(text)) => matches!(text.as_str(), "true" | "false"),
            (Self::Boolean, other) => other.is_boolean(),
            (Self::Integer | Self::Number, Value::String(text)) => text.parse::<f64>().is_ok(),
            (Self::Integer | Self::Number, other) => other.is_number(),
            _ => true,
        }
    }
}

/// Says whether the engine may take two values for equal.
fn may_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(_), Value::String(_)) | (Value::Null, Value::Null) => a == b,
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (a, b) => !Type::kind_of(a).is_never(&Type::kind_of(b)),
    }
}

fn refused(checker: &Checker, port: &Port, value: &Value) -> Option<Clash> {
    if value.is_null() {
        return None;
    }
    let found = checker.check_item(port, value);
    let error = found.iter().find(|violation| violation.severity == Severity::Error)?;
    Some(match error.code {
        crate::diagnostic::Code::NotAnOption => Clash::Options,
        crate::diagnostic::Code::ListOrOne => Clash::WantsOne,
        _ => Clash::Kind,
    })
}

/// Returns the first clash if there is nothing but clashes.
fn all(clashes: impl Iterator<Item = Option<Clash>>) -> Option<Clash> {
    let mut first = None;
    for clash in clashes {
        first = first.or(Some(clash?));
    }
    first
}

#[cfg(test)]
impl Type {
    /// Says whether a value is of the type.
    pub(super) fn has(&self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::Null => value.is_null(),
            Self::Boolean => value.is_boolean(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::Text | Self::Media(_) => value.is_string(),
            Self::Options(options) => options.iter().any(|option| may_equal(option, value)),
            Self::List(item) => value.as_array().is_some_and(|items| items.iter().all(|value| item.has(value))),
            Self::Map(Some(keys)) => value
                .as_object()
                .is_some_and(|map| map.iter().all(|(key, value)| keys.get(key).is_some_and(|known| known.has(value)))),
            Self::Map(None) | Self::Partly(_) => value.is_object(),
            Self::Either(types) => types.iter().any(|one| one.has(value)),
        }
    }
}
