//! The JSON Schemas of what is printed: `schemas/event.schema.json` (a line of `run --format json`) and
//! `schemas/run.schema.json` (`show --format json`; `runs` prints a list of such).
//!
//! They are generated from the types; a test compares the files and writes them anew where `DAGWOOD_UPDATE` is set.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

use super::run::RunReport;
use crate::journal::event::Record;

/// Returns the schema of one record.
#[must_use]
pub fn event() -> Value {
    of::<Record>("event", "An event of a run")
}

/// Returns the schema of one run.
#[must_use]
pub fn run() -> Value {
    of::<RunReport>("run", "A run of a workflow")
}

fn of<T: JsonSchema>(name: &str, title: &str) -> Value {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    let mut value = schema.to_value();
    if let Value::Object(map) = &mut value {
        map.shift_insert(1, "$id".to_owned(), format!("https://dagwood.dev/schemas/{name}.schema.json").into());
        map.insert("title".to_owned(), title.into());
    }
    value
}
