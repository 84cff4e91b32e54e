//! Between JSON and the engine's values, with bounds.
//!
//! The engine's values can be lazy (`[0] * 100000000` is a few bytes) or even hold themselves (a namespace), so what comes out
//! is walked with a [`Budget`] of bytes, nodes and depth, and a walk that passes it is an error, not memory.

use std::borrow::Cow;

use minijinja::{Error, Output, State, Value, value::ValueKind};
use serde_json::{Map, Number};

use super::{
    error::{Flaw, TemplateErrorKind},
    files,
};

/// The most bytes of text in one rendered value: what an API takes in one request is below this by far.
const BYTES: usize = 16 * 1024 * 1024;

/// The most nodes of one rendered value: a list of a million numbers is data for a file, not for a request.
const NODES: usize = 1_000_000;

/// The deepest nesting, that of JSON parsers (serde_json stops at 128 too).
const DEPTH: usize = 128;

/// What is left to be made.
pub(super) struct Budget {
    bytes: usize,
    nodes: usize,
    depth: usize,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self { bytes: BYTES, nodes: NODES, depth: DEPTH }
    }

    /// Takes some bytes of text.
    pub(super) fn bytes(&mut self, count: usize) -> Result<(), Error> {
        self.bytes = self.bytes.checked_sub(count).ok_or_else(|| too_large("it has more than 16 MiB of text"))?;
        Ok(())
    }

    /// Takes some nodes of a tree.
    fn nodes(&mut self, count: usize) -> Result<(), Error> {
        self.nodes = self.nodes.checked_sub(count).ok_or_else(|| too_large("it has more than a million parts"))?;
        Ok(())
    }

    /// Checks that this many more could be taken, so that a long list is refused before it is begun.
    fn foresee(&self, count: Option<usize>) -> Result<(), Error> {
        if count.is_some_and(|count| count > self.nodes) {
            Err(too_large("it has more than a million parts"))
        } else {
            Ok(())
        }
    }

    fn deeper<T>(&mut self, walk: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        self.depth = self.depth.checked_sub(1).ok_or_else(|| too_large("it is nested more than 128 deep"))?;
        let result = walk(self)?;
        self.depth += 1;
        Ok(result)
    }
}

fn too_large(why: &str) -> Error {
    Flaw::error(TemplateErrorKind::TooLarge, format!("the value is too large: {why}"), None)
}

/// Checks that a value may have so many parts.
pub(super) fn foresee(parts: usize) -> Result<(), Error> {
    Budget::new().foresee(Some(parts))
}

/// Returns what it costs in fuel to walk over all of a value: its parts, and a part for each 64 bytes of text. What could not come out of a
/// rendering is too large to be walked over.
pub(super) fn weigh(value: &Value) -> Result<u64, Error> {
    let mut budget = Budget::new();
    take(value, &mut budget)?;
    Ok(((NODES - budget.nodes) + (BYTES - budget.bytes) / 64) as u64)
}

fn take(value: &Value, budget: &mut Budget) -> Result<(), Error> {
    budget.nodes(1)?;
    match value.kind() {
        ValueKind::String | ValueKind::Bytes => budget.bytes(value.as_bytes().map_or(0, <[u8]>::len)),
        // What has no length may be read once only.
        ValueKind::Seq | ValueKind::Iterable if value.len().is_some() => {
            budget.foresee(value.len())?;
            let Ok(mut items) = value.try_iter() else { return Ok(()) };
            budget.deeper(|budget| items.try_for_each(|item| take(&item, budget)))
        }
        ValueKind::Map => {
            let Ok(mut keys) = value.try_iter() else { return Ok(()) };
            budget.deeper(|budget| {
                keys.try_for_each(|key| {
                    take(&key, budget)?;
                    // That a part cannot be read is for whoever reads it to tell.
                    value.get_item(&key).map_or(Ok(()), |item| take(&item, budget))
                })
            })
        }
        _ => Ok(()),
    }
}

/// The error of a value that is not there; which one, the references tell.
pub(super) fn undefined() -> Error {
    Error::from(minijinja::ErrorKind::UndefinedError)
}

/// Turns JSON into a value of the engine.
pub(super) fn from_json(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::from(()),
        serde_json::Value::Bool(bool) => Value::from(*bool),
        serde_json::Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), _, _) => Value::from(number),
            (_, Some(number), _) => Value::from(number),
            (_, _, number) => Value::from(number.unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(items) => items.iter().map(from_json).collect(),
        serde_json::Value::Object(map) => {
            Value::from_pairs(map.iter().map(|(key, item)| (key.as_str(), from_json(item))))
        }
    }
}

/// Turns a value of the engine into JSON.
pub(super) fn to_json(value: &Value, budget: &mut Budget) -> Result<serde_json::Value, Error> {
    budget.nodes(1)?;
    Ok(match value.kind() {
        ValueKind::Undefined => return Err(undefined()),
        ValueKind::None => serde_json::Value::Null,
        ValueKind::Bool => serde_json::Value::Bool(value.is_true()),
        ValueKind::Number => serde_json::Value::Number(number(value)?),
        ValueKind::String | ValueKind::Bytes => {
            let text = value.as_str().ok_or_else(|| failed("bytes that are not UTF-8 cannot be a value"))?;
            budget.bytes(text.len())?;
            serde_json::Value::String(text.to_owned())
        }
        ValueKind::Seq | ValueKind::Iterable => {
            budget.foresee(value.len())?;
            serde_json::Value::Array(budget.deeper(|budget| {
                value.try_iter()?.checked().map(|item| to_json(&item?, budget)).collect::<Result<_, _>>()
            })?)
        }
        ValueKind::Map => {
            budget.foresee(value.len())?;
            serde_json::Value::Object(budget.deeper(|budget| {
                value
                    .try_iter()?
                    .checked()
                    .map(|key| {
                        let key = key?;
                        let item = to_json(&value.get_item(&key)?, budget)?;
                        let key = match key.as_str() {
                            Some(text) => text.to_owned(),
                            None if key.is_integer() => key.to_string(),
                            None => return Err(failed(format!("a {} cannot be a key of a map", key.kind()))),
                        };
                        budget.bytes(key.len())?;
                        Ok((key, item))
                    })
                    .collect::<Result<Map<_, _>, _>>()
            })?)
        }
        ValueKind::Invalid => return Err(failed(value.to_string())),
        // The reference takes part in the bounds like any other value.
        ValueKind::Plain if let Some(reference) = files::reference(value) => to_json(&from_json(&reference), budget)?,
        _ => return Err(failed("a function is not a value")),
    })
}

fn number(value: &Value) -> Result<Number, Error> {
    if value.is_integer() {
        if let Ok(number) = u64::try_from(value.clone()) {
            return Ok(number.into());
        }
        return i64::try_from(value.clone())
            .map(Number::from)
            .map_err(|_| failed("the whole number does not fit in 64 bits"));
    }
    f64::try_from(value.clone())
        .ok()
        .and_then(Number::from_f64)
        .ok_or_else(|| failed("infinity and `nan` are no numbers of JSON"))
}

fn failed(message: impl Into<String>) -> Error {
    Flaw::error(TemplateErrorKind::Failed, message, None)
}

/// Writes a value into text.
pub(super) fn write(out: &mut Output, _: &mut State, value: &Value) -> Result<(), Error> {
    out.write_str(&text(value)?).map_err(Error::from)
}

/// Returns the text of a value: strings as they are, a file as what stands for it, null is an error, all else as JSON.
pub(super) fn text(value: &Value) -> Result<Cow<'_, str>, Error> {
    if let Some(text) = value.as_str() {
        return Ok(text.into());
    }
    if value.is_none() {
        return Err(Flaw::error(
            TemplateErrorKind::Null,
            "this is null, which has no text",
            Some("say what stands for it, such as `| default(\"\", true)`".to_owned()),
        ));
    }
    // An `if` without an `else`, as in Jinja: the engine refuses every other undefined value before it comes here.
    if value.is_undefined() {
        return Ok("".into());
    }
    if let Some(text) = files::text(value) {
        return text.map(Cow::from);
    }
    Ok(to_json(value, &mut Budget::new())?.to_string().into())
}
