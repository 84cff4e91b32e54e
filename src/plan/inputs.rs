//! The inputs of a run: what was given, checked against the workflow's declarations (LANGUAGE.md, section 2).
//!
//! Everything is checked and told at once: what is missing, what is unknown, and each value against its JSON Schema. A value
//! that does not fit counts as unknown from there on, so that nothing follows from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde_json::{Map, Value};

use super::{
    Given, local,
    site::{At, Site, helped, suggestion},
};
use crate::{
    contract::schema::{Complaint, Schema},
    diagnostic::{Code, Diagnostic},
    secret::Secret,
    source::Pointer,
    spec::Input,
    template::{is_url, names_file},
};

/// What is known of the data of a run.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The inputs of the run that are no secrets: given ones, defaults, and null for absent ones.
    pub(super) inputs: Map<String, Value>,
    /// Those with `secret: true`.
    pub(super) secret_inputs: BTreeMap<String, Secret>,
    /// The secrets that the workflow names.
    pub(super) secrets: BTreeMap<String, Secret>,
    /// The inputs whose values are local paths; absolute ones.
    pub(super) files: BTreeSet<String>,
    /// Whether the values are those of a run; else only of a workflow that is validated, whose runs may have others.
    pub(super) certain: bool,
    /// What the values must be, by input.
    pub(super) schemas: BTreeMap<String, Schema>,
}

/// Checks the declarations, and what was given for them.
pub(super) fn settle(site: &Site<'_>, given: Option<&Given>) -> Facts {
    let workflow = &site.document.workflow;
    let mut facts = Facts { certain: given.is_some(), ..Facts::default() };
    let top = Pointer::from_iter(["inputs"]);
    let compiled =
        workflow.inputs.iter().map(|(name, input)| Some((name.clone(), compile(site, &top.join(name), input)?)));
    let schemas: BTreeMap<String, Schema> = compiled.flatten().collect();
    for (name, input) in &workflow.inputs {
        let pointer = top.join(name);
        let schema = schemas.get(name);
        let default = input.default.as_ref().filter(|default| {
            let place = pointer.join("default");
            check(site, name, input, schema, default, &At::Value(&place), "this default")
        });
        let mut folder = None;
        let value = match given.map(|given| given.inputs.get(name)) {
            Some(Some(value)) if !(value.is_null() && input.optional) => {
                if !check(site, name, input, schema, value, &At::Key(&pointer), "the value given for it") {
                    continue;
                }
                Some(value)
            }
            // A default that is there and wrong was told already.
            _ if input.default.is_some() => {
                folder = Some(local::folder(site.document));
                default
            }
            _ if input.optional => Some(&Value::Null),
            Some(_) => {
                missing(site, name, input, &pointer);
                None
            }
            None => None,
        };
        let Some(value) = value else { continue };
        let local = value.as_str().filter(|text| input.file && !is_url(text));
        if let Some(path) = local {
            // A path on the command line is relative to the working directory, one in the file to the file.
            let path = folder.as_deref().unwrap_or(Path::new("")).join(path);
            let path = std::path::absolute(&path).unwrap_or(path);
            local::named(site, path.clone(), local::wanted(input.media), &At::Key(&pointer));
            facts.files.insert(name.clone());
            facts.inputs.insert(name.clone(), Value::String(path.to_string_lossy().into_owned()));
            continue;
        }
        // That a secret is absent is no secret.
        if input.secret && !value.is_null() {
            let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            facts.secret_inputs.insert(name.clone(), Secret::new(text));
        } else {
            facts.inputs.insert(name.clone(), value.clone());
        }
    }
    if let Some(given) = given {
        for name in given.inputs.keys().filter(|name| !workflow.inputs.contains_key(*name)) {
            let names = workflow.inputs.keys().map(String::as_str);
            let help = suggestion(site, name, names, "its inputs are")
                .or_else(|| Some("it declares no inputs".to_owned()).filter(|_| workflow.inputs.is_empty()));
            let message = format!("workflow `{}` has no input `{name}`", workflow.name);
            site.tell(helped(Diagnostic::error(Code::InputUnknown, message), help));
        }
        for (index, name) in workflow.secrets.iter().enumerate() {
            if let Some(secret) = given.secrets.get(name) {
                facts.secrets.insert(name.clone(), secret.clone());
            } else {
                let place = Pointer::from_iter(["secrets", &index.to_string()]);
                let diagnostic =
                    Diagnostic::error(Code::SecretMissing, format!("secret `{name}` is not in the environment"))
                        .help(format!("set the environment variable {name}"));
                site.tell(site.at(diagnostic, &At::Value(&place), "named here"));
            }
        }
    }
    facts.schemas = schemas;
    facts
}

fn compile(site: &Site<'_>, pointer: &Pointer, input: &Input) -> Option<Schema> {
    match Schema::compile(&Value::Object(input.schema.clone())) {
        Ok(schema) => Some(schema),
        Err(Complaint { at, message }) => {
            let place = at.iter().fold(pointer.clone(), |place, part| place.join(part));
            let diagnostic = Diagnostic::error(Code::BadInputSchema, format!("this is no JSON Schema: it {message}"));
            site.tell(site.at(diagnostic, &At::Value(&place), ""));
            None
        }
    }
}

fn missing(site: &Site<'_>, name: &str, input: &Input, pointer: &Pointer) {
    let what = input.description.as_ref().map_or_else(String::new, |text| format!(" ({text})"));
    let diagnostic =
        Diagnostic::error(Code::InputMissing, format!("input `{name}` is required and was not given{what}"));
    let help =
        if input.secret { format!("give it with `-i {name}=…`") } else { format!("give it with `-i {name}=VALUE`") };
    site.tell(site.at(diagnostic, &At::Key(pointer), "declared here").help(help));
}

/// Says whether a value fits its declaration, and tells what does not.
fn check(
    site: &Site<'_>,
    name: &str,
    input: &Input,
    schema: Option<&Schema>,
    value: &Value,
    at: &At<'_>,
    what: &str,
) -> bool {
    let Some(schema) = schema else { return true };
    let mut fits = true;
    let label = if matches!(at, At::Key(_)) { "declared here" } else { "" };
    for Complaint { at: place, message } in schema.complaints(value) {
        let part = if place.is_empty() { String::new() } else { format!(" (at `{}`)", place.join(".")) };
        let message = if input.secret { "does not fit its schema".to_owned() } else { message };
        let diagnostic = Diagnostic::error(Code::InputInvalid, format!("input `{name}`: {what}{part} {message}"));
        let inner;
        let at = match at {
            At::Value(pointer) => {
                inner = place.iter().fold((*pointer).clone(), |pointer, part| pointer.join(part));
                At::Value(&inner)
            }
            other => other.clone(),
        };
        site.tell(site.at(diagnostic, &at, label));
        fits = false;
    }
    if let Some(Err(why)) = value.as_str().filter(|_| input.file && fits).map(names_file) {
        let why = if input.secret { String::new() } else { format!(": {why}") };
        let message = format!("input `{name}`: {what} names no file{why}");
        let diagnostic = Diagnostic::error(Code::InputInvalid, message).help("give a local path or an http(s) URL");
        site.tell(site.at(diagnostic, at, label));
        fits = false;
    }
    fits
}

/// Makes a value that a step hands to a workflow what the input takes, as with inputs of a contract: a null is left out unless it is allowed,
/// and a number or boolean becomes its text where only text fits. Returns none for what is left out.
#[must_use]
pub fn settled(value: Value, schema: Option<&Schema>) -> Option<Value> {
    match value {
        Value::Null => schema.is_none_or(|schema| schema.fits(&value)).then_some(value),
        Value::Number(_) | Value::Bool(_) if schema.is_some_and(|schema| !schema.fits(&value)) => {
            let text = Value::String(value.to_string());
            Some(if schema.is_some_and(|schema| schema.fits(&text)) { text } else { value })
        }
        _ => Some(value),
    }
}

/// Tells of a value that does not fit what the workflow declares for an input.
pub(super) fn misfits(site: &Site<'_>, code: Code, name: &str, schema: &Schema, value: &Value, place: &Pointer) {
    for complaint in schema.complaints(value) {
        let inner = complaint.at.iter().fold(place.clone(), |place, part| place.join(part));
        let message = format!("input `{name}` {}", complaint.message);
        site.tell(site.at(Diagnostic::error(code, message), &At::Value(&inner), ""));
    }
}
