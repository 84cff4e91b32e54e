//! Steps that run another workflow: it is planned once, whatever runs it, and its inputs are checked against what it declares.
//!
//! What a nested workflow says of the run as a whole does not hold in it: `concurrency`, `budget`, `schedule` and `notify` are those of the
//! file that is run. Its own `timeout`, `failure_policy`, `finally` and `defaults` do.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Map, Value};

use super::{
    Offer, Outcome, Plan, PlannedInput, Work,
    build::built,
    references::Spot,
    site::{At, Site, helped, suggestion},
};
use crate::{
    diagnostic::{Code, Diagnostic},
    source::Pointer,
    spec::Document,
};

/// The workflows that are planned already, by their documents.
#[derive(Debug, Default)]
pub(super) struct Nested {
    known: HashMap<*const Document, Option<Arc<Plan>>>,
}

impl Nested {
    /// Returns the plan of a workflow that a step runs; what is wrong with it is told once.
    pub(super) fn plan(
        &mut self,
        site: &Site<'_>,
        path: &str,
        pointer: &Pointer,
        offers: &[Offer],
        to_run: bool,
    ) -> Option<Arc<Plan>> {
        let Some(document) = site.document.workflows.get(path) else {
            // Why it could not be read was told.
            site.told_before();
            return None;
        };
        let key = Arc::as_ptr(document);
        if let Some(known) = self.known.get(&key) {
            if known.is_none() {
                site.told_before();
            }
            return known.clone();
        }
        let Outcome { plan, diagnostics, files } = built(document, None, offers, to_run, self);
        for diagnostic in diagnostics {
            site.tell(diagnostic);
        }
        for file in files {
            site.names(file);
        }
        let plan = plan.map(Arc::new);
        if plan.is_none() {
            site.told_before();
        }
        if let Some(plan) = &plan {
            unheeded(site, plan, pointer);
        }
        self.known.insert(key, plan.clone());
        plan
    }
}

/// Warns of what a workflow says that does not hold where a step runs it.
fn unheeded(site: &Site<'_>, plan: &Plan, pointer: &Pointer) {
    let workflow = &plan.document.workflow;
    let says = [
        ("budget", workflow.budget.is_some()),
        ("concurrency", workflow.concurrency != crate::spec::Concurrency::default()),
        ("notify", !workflow.notify.is_empty()),
    ];
    for (key, _) in says.into_iter().filter(|(_, says)| *says) {
        let message = format!("the `{key}` of `{}` does not hold where a step runs it", plan.document.source.name);
        let diagnostic = Diagnostic::warning(Code::NoEffect, message)
            .help(format!("the `{key}` of this file holds for the whole run"));
        let place = Pointer::from_iter([key]);
        let diagnostic = site.at(diagnostic, &At::Value(pointer), "runs it");
        site.tell(diagnostic.also(&plan.document.source, plan.document.map.key(&place), "says so"));
    }
}

/// What `compiled` of `fit` does for one value.
type Compile<'c> = dyn FnMut(&str, &Value, &Pointer, Spot) -> (PlannedInput, bool) + 'c;

/// Checks the inputs of a step against what the workflow declares that it runs.
pub(super) fn work(
    site: &Site<'_>,
    plan: Arc<Plan>,
    label: &str,
    verb: &Pointer,
    given: &Map<String, Value>,
    inputs: &Pointer,
    compile: &mut Compile<'_>,
) -> Work {
    let declared = &plan.document.workflow.inputs;
    let mut planned = Vec::with_capacity(given.len());
    for (name, value) in given {
        let place = inputs.join(name);
        let Some(input) = declared.get(name) else {
            let names = declared.keys().map(String::as_str);
            let help = suggestion(site, name, names, "its inputs are")
                .or_else(|| Some("it declares no inputs".to_owned()).filter(|_| declared.is_empty()));
            let message = format!("workflow `{}` has no input `{name}`", plan.document.workflow.name);
            site.tell(helped(
                site.at(Diagnostic::error(Code::UnknownInput, message), &At::Key(&place), "unknown input"),
                help,
            ));
            let _ = compile(name, value, &place, Spot::Inputs);
            continue;
        };
        let spot = if input.secret { Spot::Inputs } else { Spot::Nested };
        let (compiled, wrong) = compile(name, value, &place, spot);
        if let (Some(value), false, Some(schema)) = (compiled.tree.literal(), wrong, plan.schemas.get(name)) {
            misfits(site, name, schema, value, &place);
        }
        planned.push(compiled);
    }
    for (name, input) in declared.iter().filter(|(name, input)| input.is_required() && !given.contains_key(*name)) {
        let what = input.description.as_ref().map_or_else(String::new, |text| format!(" ({text})"));
        let message = format!("workflow `{}` needs the input `{name}`{what}", plan.document.workflow.name);
        let diagnostic = site.at(Diagnostic::error(Code::MissingInput, message), &At::Value(verb), "run here");
        let declared = Pointer::from_iter(["inputs", name]);
        let diagnostic = diagnostic.also(&plan.document.source, plan.document.map.key(&declared), "declared here");
        site.tell(diagnostic.help(format!("add `{name}: …` under `inputs`")));
    }
    Work::Workflow { plan, inputs: planned, label: label.to_owned() }
}

/// Tells of a value that does not fit what the workflow declares.
fn misfits(site: &Site<'_>, name: &str, schema: &crate::contract::schema::Schema, value: &Value, place: &Pointer) {
    for complaint in schema.complaints(value) {
        let inner = complaint.at.iter().fold(place.clone(), |place, part| place.join(part));
        let message = format!("input `{name}` {}", complaint.message);
        site.tell(site.at(Diagnostic::error(Code::InputType, message), &At::Value(&inner), ""));
    }
}
