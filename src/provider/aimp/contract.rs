//! From AIMP's marketplace to contracts: `GET /marketplace/models` and one model's detail. Pure functions.
//!
//! That a contract is published at all, and where in the detail, is not documented; it is looked for in every place where it may be.
//! What is found and is no JSON Schema checks nothing, and a model of which nothing is found is `unchecked`: the inputs go as they
//! are, and people are told.

use serde_json::{Map, Value};

use crate::{
    contract::{Contract, Mode, is_usable},
    job::{Target, TargetKind},
    provider::json::{self, Next, Page, count, id, number, present, text},
};

/// Where the list is, and each model's detail below it.
pub(super) const LIST: [&str; 2] = ["marketplace", "models"];

/// Where a list may be in its answer.
const ENVELOPES: [&str; 5] = ["results", "data", "items", "models", "list"];

/// Where the schema of an input may be.
const INPUT_KEYS: [&str; 4] = ["input_schema", "inputSchema", "input", "schema"];

/// Where the schema of the `params` may be.
const PARAMS_KEYS: [&str; 3] = ["params_schema", "paramsSchema", "params"];

/// Flags that say that an operation works on a data set, and so needs a scope.
const SCOPE_KEYS: [&str; 3] = ["requires_scope", "vector", "vector_enabled"];

/// What a JSON Schema has one of at least.
const SCHEMA_WORDS: [&str; 12] = [
    "type",
    "properties",
    "$ref",
    "anyOf",
    "oneOf",
    "allOf",
    "required",
    "additionalProperties",
    "enum",
    "const",
    "$schema",
    "patternProperties",
];

/// Reads a model; `asked` is what the workflow calls it, else it is known by its slug. One without a name cannot be run and is left
/// out.
pub(super) fn of_model(value: &Value, asked: Option<&str>) -> Option<Contract> {
    let bodies = bodies(value);
    let own = bodies.iter().find_map(|body| slug(body));
    let target = asked.map(str::to_owned).or_else(|| own.clone())?;
    let find = |keys: &[&str]| bodies.iter().find_map(|body| text(body, keys));
    // In a body the contract comes first: what stands beside it is a summary.
    let holders: Vec<&Value> = bodies
        .iter()
        .flat_map(|body| [body.get("contract").filter(|inner| inner.is_object()), Some(*body)])
        .flatten()
        .collect();

    let mut modes = modes(&holders);
    let find_schema = |keys: &[&str]| holders.iter().find_map(|holder| schema(holder, keys));
    let (schema, params) = (find_schema(&INPUT_KEYS), find_schema(&PARAMS_KEYS));
    let needs_scope = holders.iter().find_map(|holder| needs_scope(holder));
    let schema = if modes.is_empty() {
        // A contract that names no operation is about each. Without any schema beside it, a flag is about the model as a whole.
        if params.is_some() || (schema.is_some() && needs_scope.is_some()) {
            modes.push(Mode { name: String::new(), schema: schema.clone(), params, needs_scope });
        }
        schema
    } else {
        main(&mut modes).and_then(|main| {
            main.schema = main.schema.take().or(schema);
            main.params = main.params.take().or(params);
            main.schema.clone()
        })
    };
    let name = find(&["name", "title", "display_name"]).or(own).unwrap_or_else(|| target.clone());
    let target = Target { kind: TargetKind::Model, id: target };
    // What is found is usable, so there is nothing to tell of it.
    let contract = match schema {
        Some(schema) => Contract::of_schema(target, name, schema).0,
        None => Contract::unchecked(target, name),
    };
    let contract = contract.with_modes(modes).0;
    Some(Contract {
        description: find(&["description", "summary"]),
        cost: bodies.iter().find_map(|body| present(body, &["cost"]).and_then(number)),
        unchecked: contract.schema.is_none() && contract.modes.iter().all(|mode| mode.schema.is_none()),
        ..contract
    })
}

/// Returns where a model's facts may be: the answer itself, then what it wraps.
fn bodies(value: &Value) -> Vec<&Value> {
    let wrapped = |value: &'_ Value| -> Vec<&'static str> {
        ["data", "model"].into_iter().filter(|key| value.get(*key).is_some_and(Value::is_object)).collect()
    };
    let mut found = vec![value];
    for key in wrapped(value) {
        found.push(&value[key]);
        found.extend(wrapped(&value[key]).into_iter().map(|inner| &value[key][inner]));
    }
    found
}

fn slug(body: &Value) -> Option<String> {
    present(body, &["slug", "id", "name"]).and_then(id).filter(|slug| !slug.trim().is_empty())
}

/// Says whether a name can be asked for as a slug. One with a slash in it is one segment of the path all the same.
pub(super) fn is_slug(name: &str) -> bool {
    json::is_segment(&name.replace('/', "-"))
}

/// Returns the slug of the listed model that has this identifier, where they differ.
pub(super) fn slug_of<'a>(items: &'a [Value], identifier: &str) -> Option<&'a str> {
    let has = |item: &&Value| {
        ["id", "model_id", "identifier"].iter().any(|key| item.get(*key).and_then(id).as_deref() == Some(identifier))
    };
    items.iter().find(has)?.get("slug")?.as_str().filter(|slug| *slug != identifier && is_slug(slug))
}

/// Returns the operation that runs when none is named: `execute`, or the only one.
fn main(modes: &mut [Mode]) -> Option<&mut Mode> {
    let at = modes.iter().position(|mode| mode.name == Mode::DEFAULT).or((modes.len() == 1).then_some(0))?;
    modes.get_mut(at)
}

/// Reads the operations: of all the places, the first whose operations have schemas, else the first that has any.
fn modes(holders: &[&Value]) -> Vec<Mode> {
    let found = holders.iter().flat_map(|holder| ["modes", "operations"].into_iter().filter_map(|key| holder.get(key)));
    let mut found: Vec<_> = found.map(list_of_modes).filter(|modes| !modes.is_empty()).collect();
    let says_more = |modes: &Vec<Mode>| modes.iter().any(|mode| mode.schema.is_some() || mode.params.is_some());
    let at = found.iter().position(says_more).unwrap_or(0);
    if found.is_empty() { Vec::new() } else { found.swap_remove(at) }
}

/// Reads operations: a map by name, a list of objects with a name, a list of names.
fn list_of_modes(value: &Value) -> Vec<Mode> {
    let mode = |name: String, value: &Value| Mode {
        name,
        schema: schema(value, &INPUT_KEYS),
        params: schema(value, &PARAMS_KEYS),
        needs_scope: needs_scope(value),
    };
    let mut modes: Vec<Mode> = Vec::new();
    let mut add = |name: Option<String>, value: &Value| {
        if let Some(name) = name.filter(|name| modes.iter().all(|known| known.name != *name)) {
            modes.push(mode(name, value));
        }
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| add(Some(name.clone()), value)),
        Value::Array(items) => items.iter().for_each(|item| match item {
            Value::String(name) => add(Some(name.clone()).filter(|name| !name.trim().is_empty()), &Value::Null),
            item => add(text(item, &["name", "mode"]), item),
        }),
        _ => {}
    }
    modes
}

fn needs_scope(value: &Value) -> Option<bool> {
    SCOPE_KEYS.iter().find_map(|key| value.get(*key)?.as_bool())
}

/// Returns the first JSON Schema under these keys; what cannot be one, such as an example, is none.
fn schema(value: &Value, keys: &[&str]) -> Option<Value> {
    let is_schema = |map: &Map<String, Value>| SCHEMA_WORDS.iter().any(|word| map.contains_key(*word));
    keys.iter()
        .filter_map(|key| value.get(*key))
        .filter(|found| found.as_object().is_some_and(is_schema))
        .find(|found| is_usable(found))
        .cloned()
}

/// Reads a page of the list; how to go on is a link, a cursor, or the number of the next page.
pub(super) fn page(value: &Value) -> Option<Page<'_>> {
    let mut page = json::page(value, &ENVELOPES)?;
    page.next = match page.next {
        Some(Next::Parameter("cursor", query)) if query.starts_with('?') => {
            Some(Next::Link(format!("{}{query}", LIST.join("/"))))
        }
        None => next_page(value).map(|number| Next::Parameter("page", number.to_string())),
        next => next,
    };
    Some(page)
}

/// Returns the number of the next page, where pages are numbered and this was not the last.
fn next_page(value: &Value) -> Option<u64> {
    let holders = [Some(value), value.get("data"), value.get("pagination"), value.get("meta")];
    holders.into_iter().flatten().find_map(|holder| {
        if let Some(next) = present(holder, &["next_page", "nextPage"]).and_then(count) {
            return Some(next);
        }
        let page = present(holder, &["page", "current_page"]).and_then(count)?;
        let last =
            present(holder, &["pages", "total_pages", "totalPages", "num_pages", "last_page"]).and_then(count)?;
        (page < last).then_some(page + 1)
    })
}

#[cfg(test)]
#[path = "contract_tests.rs"]
mod tests;
