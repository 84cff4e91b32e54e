//! From a named workflow and what the command line says to a plan: read, check, ask for contracts, plan.
//!
//! ```text
//! file ─▶ Document ─▶ kinds used ─▶ contracts (the only thing that is asked for) ─▶ Plan, or everything that is wrong
//! ```
//!
//! Nothing but catalogue reads is sent before the plan is good. What is wrong in the file comes before what is wrong with the way to
//! the API: a person without a key still sees every problem that can be seen without one.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::{
    args::Chosen,
    context::{Context, Located},
    failure::Failure,
    inputs::Said,
    open::Backend,
    reading::{self, Loaded},
    remote::{ARMOX, Remote},
};
use crate::{
    contract::Catalog,
    diagnostic::{self, Diagnostic},
    job::TargetKind,
    plan::{Given, Offer, Plan},
    secret::Secret,
    spec::{Document, Verb},
};

/// The kinds of targets that this release's provider runs.
const KINDS: [TargetKind; 3] = [TargetKind::Model, TargetKind::App, TargetKind::Http];

/// A workflow that can be run.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Its plan.
    pub(crate) plan: Arc<Plan>,
    /// The way to the API; none where no step needs one and there is no key.
    pub(crate) remote: Option<Remote>,
    /// Its file.
    pub(crate) located: Located,
    /// The API, or the emulator.
    pub(crate) backend: Backend,
}

/// Makes a plan of what the command line names. Warnings are told.
///
/// # Errors
///
/// Everything that is wrong with file, inputs and contracts; else what the API or the machine did.
pub(crate) fn prepare(context: &Context, chosen: &Chosen) -> Result<Prepared, Failure> {
    let located = context.locate(&chosen.workflow)?;
    let said = Said::read(&chosen.input, chosen.inputs.as_deref())?;
    let Loaded { document, diagnostics: mut wrong, .. } = reading::load(&located.path)?;
    let backend = Backend::open(context, chosen.sandbox, chosen.faults.as_deref(), &located.root)?;
    let Some(document) = document else { return Err(Failure::Invalid(wrong)) };

    let (inputs, wrong_inputs) = said.values(&document.workflow.inputs, reading::inputs);
    wrong.extend(wrong_inputs);
    let secrets = secrets(context, &document);
    let hidden = secrets.values().cloned().chain(secret_inputs(&document, &inputs)).collect::<Vec<_>>();
    for secret in &hidden {
        context.watch.hide(secret);
    }
    let given = Given { inputs, secrets };

    let kinds = kinds([&*document]);
    let remote = backend.find(context, hidden);
    let catalog = match (&remote, kinds.is_empty()) {
        (_, true) => Ok(Some(Catalog::default())),
        (Ok(Some(remote)), false) => backend.block_on(remote.catalog(&kinds)).map(Some),
        (Ok(None) | Err(_), false) => Ok(None),
    };
    let (catalog, failure) = match catalog {
        Ok(catalog) => (catalog, None),
        Err(failure) => (None, Some(failure)),
    };
    let checked = catalog.is_some();
    let outcome = crate::plan::plan(&document, Some(&given), &[offer(true, catalog)]);
    wrong.extend(outcome.diagnostics);
    diagnostic::arrange(&mut wrong);
    if wrong.iter().any(Diagnostic::is_error) {
        if let Some(failure) = failure {
            context.printer.note(&format!("note: contracts were not checked: {}", reading::sentence(&failure)));
        } else if !checked {
            context.printer.note("note: contracts were not checked: there is no key");
        }
        return Err(Failure::Invalid(wrong));
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    let remote = remote?;
    if remote.is_none() && !kinds.is_empty() {
        return Err(Failure::no_key());
    }
    reading::tell_warnings(&context.printer, &wrong);
    let plan = outcome.plan.expect("a workflow without errors has a plan");
    Ok(Prepared { plan: Arc::new(plan), remote, located, backend })
}

/// Returns what the provider of this release offers. Where contracts are not read, targets go unchecked, key or not.
pub(crate) fn offer(configured: bool, catalog: Option<Catalog>) -> Offer {
    Offer { configured, catalog, ..Offer::new(ARMOX, &KINDS) }
}

/// Returns the kinds of targets that workflows use, of those that can be asked for.
pub(crate) fn kinds<'a>(documents: impl IntoIterator<Item = &'a Document>) -> Vec<TargetKind> {
    let mut used = Vec::new();
    for document in documents {
        let steps = document.workflow.steps.values().chain(document.workflow.finally.values());
        used.extend(steps.filter_map(|step| match step.verb {
            Verb::Run { kind, .. } => Some(kind),
            _ => None,
        }));
    }
    KINDS.into_iter().filter(|kind| used.contains(kind)).collect()
}

/// Reads the secrets that the workflow names from the environment; the plan tells those that are not there.
fn secrets(context: &Context, document: &Document) -> BTreeMap<String, Secret> {
    let named = document.workflow.secrets.iter();
    named.filter_map(|name| Some((name.clone(), Secret::new(context.world.env(name)?)))).collect()
}

/// Returns the values of inputs with `secret: true`, so that what echoes them is redacted.
fn secret_inputs<'a>(
    document: &'a Document,
    inputs: &'a serde_json::Map<String, Value>,
) -> impl Iterator<Item = Secret> + 'a {
    let is_secret = |name: &str| document.workflow.inputs.get(name).is_some_and(|input| input.secret);
    inputs.iter().filter(move |(name, _)| is_secret(name)).filter_map(|(_, value)| value.as_str().map(Secret::new))
}
