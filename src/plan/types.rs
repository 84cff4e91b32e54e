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
};

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
    /// A map; with its keys, where they are known.
    Map(Option<IndexMap<String, Self>>),
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
            Value::Array(items) => match items.split_first() {
                Some((first, [])) => Self::list(Self::of_value(first)),
                _ => Self::list(Self::Any),
            },
            Value::Object(map) => {
                Self::Map(Some(map.iter().map(|(key, value)| (key.clone(), Self::of_value(value))).collect()))
            }
            Value::Null => Self::Null,
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
        if input.optional { Self::Either(vec![own, Self::Null]) } else { own }
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
            Some("array") => {
                Self::list(schema.get("items").and_then(Value::as_object).map_or(Self::Any, Self::of_schema))
            }
            Some("object") => Self::Map(None),
            _ => Self::Any,
        };
        match schema.get("type") {
            Some(Value::Array(names)) => Self::Either(names.iter().map(of_name).collect()),
            Some(name) => of_name(name),
            None => Self::Any,
        }
    }

    /// Returns the type of an item of a list.
    pub(super) fn item(&self) -> Self {
        match self {
            Self::List(item) => (**item).clone(),
            _ => Self::Any,
        }
    }

    /// Returns the type of the value of a key.
    pub(super) fn key(&self, key: &str) -> Self {
        match self {
            Self::Map(Some(keys)) => keys.get(key).cloned().unwrap_or(Self::Any),
            _ => Self::Any,
        }
    }

    /// Says what such a value surely is, where that has no items.
    pub(super) fn no_items(&self) -> Option<String> {
        let has_none = match self {
            Self::Any | Self::List(_) | Self::Map(_) => false,
            Self::Null | Self::Boolean | Self::Integer | Self::Number | Self::Text | Self::Media(_) => true,
            Self::Options(options) => !options.iter().any(|option| option.is_array() || option.is_object()),
            Self::Either(types) => types.iter().all(|one| one.no_items().is_some()),
        };
        has_none.then(|| self.describe())
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
            Self::List(item) => match &**item {
                Self::Media(kind) => format!("a list of {} URLs", kind.word()),
                Self::Text => "a list of texts".to_owned(),
                Self::Integer | Self::Number => "a list of numbers".to_owned(),
                _ => "a list".to_owned(),
            },
            Self::Map(_) => "a map".to_owned(),
            Self::Either(types) => {
                types.iter().filter(|one| **one != Self::Null).map(Self::describe).collect::<Vec<_>>().join(" or ")
            }
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
            (_, Self::Map(_)) => false,
            (ValueKind::Text | ValueKind::Scalar, _) => true,
            (ValueKind::Number | ValueKind::Integer, one) => matches!(one, Self::Number | Self::Integer),
            (ValueKind::Boolean, one) => *one == Self::Boolean,
            (kind, Self::Media(found)) if kind.is_media() => return (kind != *found).then_some(Clash::Media),
            (_, one) => *one == Self::Text,
        };
        (!fits).then_some(Clash::Kind)
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
