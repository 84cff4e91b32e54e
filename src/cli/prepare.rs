//! From a named workflow and what the command line says to a plan: read, check, ask for contracts, plan.
//!
//! ```text
//! file ─▶ Document ─▶ targets named ─▶ contracts (the only thing that is asked for) ─▶ Plan, or everything that is wrong
//! ```
//!
//! Nothing but catalogue reads is sent before the plan is good. What is wrong in the file comes before what is wrong with the way to
//! the API: a person without a key still sees every problem that can be seen without one.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use super::{
    args::Chosen,
    context::{Context, Located},
    contracts::Contracts,
    failure::Failure,
    home::Home,
    inputs::Said,
    local_files,
    open::Backend,
    reading::{self, Loaded},
    remotes::Remotes,
    wants::Wants,
};
use crate::{
    diagnostic::{self, Code, Diagnostic},
    plan::{Given, Plan},
    secret::Secret,
    spec::Document,
};

/// A workflow that can be run.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Its plan.
    pub(crate) plan: Arc<Plan>,
    /// The accounts of its project.
    pub(crate) remotes: Remotes,
    /// Its file, and its project.
    pub(crate) located: Located,
    /// The APIs, or the emulator.
    pub(crate) backend: Backend,
}

/// Makes a plan of what the command line names. Warnings are told.
///
/// # Errors
///
/// Everything that is wrong with file, inputs and contracts; else what the API or the machine did.
pub(crate) fn prepare(context: &Context, chosen: &Chosen) -> Result<Prepared, Failure> {
    prepare_with(context, chosen, Map::new())
}

/// Makes a plan of what the command line names, with these inputs of an earlier run as far as they are declared and nothing else is said.
///
/// # Errors
///
/// As for [`prepare`].
pub(crate) fn prepare_with(
    context: &Context,
    chosen: &Chosen,
    earlier: Map<String, Value>,
) -> Result<Prepared, Failure> {
    let located = context.locate(&chosen.workflow)?;
    let home = &located.home;
    let said = Said::read(&chosen.input, chosen.inputs.as_deref())?;
    let Loaded { document, diagnostics: mut wrong, .. } = reading::load(&located.path)?;
    let backend = Backend::open(context, home, chosen.sandbox, chosen.faults.as_deref())?;
    let Some(document) = document else { return Err(Failure::Invalid(wrong)) };

    let (mut inputs, wrong_inputs) = said.values(&document.workflow.inputs, reading::inputs);
    for (name, value) in earlier {
        if document.workflow.inputs.contains_key(&name) && !inputs.contains_key(&name) {
            inputs.insert(name, value);
        }
    }
    wrong.extend(wrong_inputs);
    let secrets = secrets(home, &document);
    let hidden = secrets.values().cloned().chain(secret_inputs(&document, &inputs)).collect::<Vec<_>>();
    for secret in &hidden {
        context.watch.hide(secret);
    }
    let given = Given { inputs, secrets };

    let remotes = backend.remotes(context, home, hidden);
    let offers = remotes.offers(Some(&document));
    let wants = Wants::of(&document, &offers);
    let mut contracts = if chosen.locked {
        Contracts::locked(home, &wants)?
    } else {
        Contracts::read(&backend, &remotes, home, &wants)?
    };
    let unlocked = contracts.tell_unlocked(&document, &offers);
    let outcome = crate::plan::plan(&document, Some(&given), &contracts.offers(&offers));
    let mut wrong = crate::plan::beside(&document, wrong, outcome.diagnostics);
    wrong.extend(unlocked);
    wrong.extend(local_files::check(&backend, &outcome.files));
    let without_key = remotes.without_key(&wants).next();
    if without_key.is_some() {
        // Told below, with its own exit code. Of the plan's words of missing providers, those about keys have a help.
        wrong.retain(|diagnostic| diagnostic.code != Code::NoProvider || diagnostic.help.is_none());
    }
    diagnostic::arrange(&mut wrong);
    if wrong.iter().any(Diagnostic::is_error) {
        match contracts.failure() {
            Some(failure) => {
                context.printer.note(&format!("note: contracts were not checked: {}", reading::sentence(&failure)));
            }
            None if !contracts.missing().is_empty() => {
                context.printer.note("note: contracts were not checked: there is no key");
            }
            None => {}
        }
        return Err(Failure::Invalid(wrong));
    }
    if let Some(failure) = contracts.failure() {
        return Err(failure);
    }
    if let Some(door) = without_key {
        return Err(Failure::no_key(&door.origin(), &[]));
    }
    reading::tell_warnings(&context.printer, &wrong);
    let plan = outcome.plan.expect("a workflow without errors has a plan");
    Ok(Prepared { plan: Arc::new(plan), remotes, located, backend })
}

/// Reads the secrets that the workflow names from the environment; the plan tells those that are not there.
pub(crate) fn secrets(home: &Home, document: &Document) -> BTreeMap<String, Secret> {
    let named = document.all().into_iter().flat_map(|document| &document.workflow.secrets);
    named.filter_map(|name| Some((name.clone(), Secret::new(home.world.env(name)?)))).collect()
}

/// Returns the values of inputs with `secret: true`, given or by default, so that what echoes them is redacted: a text, and of anything
/// else the texts in it and the whole as it is written.
pub(crate) fn secret_inputs<'a>(
    document: &'a Document,
    inputs: &'a serde_json::Map<String, Value>,
) -> impl Iterator<Item = Secret> + 'a {
    let declared = document.workflow.inputs.iter().filter(|(_, input)| input.secret);
    let values = declared.filter_map(|(name, input)| inputs.get(name).or(input.default.as_ref()));
    values.flat_map(|value| {
        let mut found = Vec::new();
        texts(value, &mut found);
        if !matches!(value, Value::String(_) | Value::Null | Value::Bool(_)) {
            found.push(Secret::new(value.to_string()));
        }
        found
    })
}

fn texts(value: &Value, found: &mut Vec<Secret>) {
    match value {
        Value::String(text) => found.push(Secret::new(text.as_str())),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(map) => map.values().for_each(|item| texts(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
