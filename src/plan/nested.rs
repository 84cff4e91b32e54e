//! Steps that run another workflow: it is planned once, whatever runs it, and its inputs are checked against what it declares.
//!
//! What a nested workflow says of the run as a whole does not hold in it: `concurrency`, `budget`, `schedule` and `notify` are those of the
//! file that is run. Its own `timeout`, `failure_policy`, `finally` and `defaults` do.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde_json::{Map, Value};

use super::{
    FanOut, Offer, Outcome, Plan, PlannedInput, Work,
    build::built,
    inputs::settled,
    origin::reads,
    references::Spot,
    site::{At, Site, helped, suggestion},
};
use crate::{
    diagnostic::{Code, Diagnostic},
    source::Pointer,
    spec::Document,
    template::{FileCall, Root, Template, mentions},
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
        let Outcome { plan, diagnostics, files } = built(document, None, offers, to_run, self, &mut Vec::new());
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
            // That there is no such input follows from a key that is a template.
            if !mentions(name) {
                let message = format!("workflow `{}` has no input `{name}`", plan.document.workflow.name);
                site.tell(helped(
                    site.at(Diagnostic::error(Code::UnknownInput, message), &At::Key(&place), "unknown input"),
                    help,
                ));
            }
            let _ = compile(name, value, &place, Spot::Inputs);
            continue;
        };
        let spot = if input.secret { Spot::Inputs } else { Spot::Nested };
        let (compiled, wrong) = compile(name, value, &place, spot);
        if let (Some(value), false, Some(schema)) = (compiled.tree.literal(), wrong, plan.schemas.get(name)) {
            let value = settled(value.clone(), Some(schema)).or_else(|| input.is_required().then_some(Value::Null));
            if let Some(value) = value {
                super::inputs::misfits(site, Code::InputType, name, schema, &value, &place);
            }
        }
        if compiled.of_results && makes_a_path_of(&plan, name) {
            let message = format!(
                "a step's result may be part of `{name}`, of which `{}` makes the path of a file",
                plan.document.workflow.name
            );
            let help = "no API's answer chooses a file of this machine: write the path, or take it from an input";
            let diagnostic = Diagnostic::error(Code::TemplateFailed, message).help(help);
            site.tell(site.at(diagnostic, &At::Value(&place), "whose file?"));
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

/// Says whether an input of a workflow may become part of the path that `file()` takes: by itself, by a var, as an item, or in a workflow in
/// it.
fn makes_a_path_of(plan: &Plan, name: &str) -> bool {
    let (own, mut vars) = (HashSet::from([name.to_owned()]), HashSet::new());
    for (var, tree) in &plan.var_trees {
        if tree.templates().any(|(_, template)| reads(template, &own, &vars)) {
            if tree.templates().any(|(_, template)| !template.files().is_empty()) {
                return true;
            }
            vars.insert(var.clone());
        }
    }
    plan.steps().iter().any(|step| {
        let items = step.fan_out.iter().flat_map(FanOut::templates);
        let of_items = items.into_iter().any(|(_, template)| reads(template, &own, &vars));
        let is_path = |template: &Template| {
            let has = |call: &FileCall| {
                call.roots.iter().any(|root| match root {
                    Root::Inputs | Root::Vars => reads(template, &own, &vars),
                    Root::Item => of_items,
                    _ => false,
                })
            };
            template.files().iter().any(has)
        };
        let works = std::iter::once(&step.work).chain(step.fallback.iter().map(|entry| &entry.work));
        works.into_iter().any(|work| match work {
            Work::Run { inputs, operation, .. } => inputs
                .iter()
                .chain(operation)
                .any(|input| input.tree.templates().any(|(_, template)| is_path(template))),
            Work::Workflow { plan: inner, inputs, .. } => inputs.iter().any(|input| {
                let read = input.tree.templates().any(|(_, template)| {
                    reads(template, &own, &vars)
                        || of_items && template.references().iter().any(|reference| reference.root == Root::Item)
                });
                read && makes_a_path_of(inner, &input.port)
            }),
            Work::Set(_) => false,
        })
    })
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use crate::{
        job::TargetKind,
        plan::{Given, Offer, plan},
        source::Source,
        spec,
    };

    /// Plans a workflow that runs a part with a step's result as its input `x`, and returns the errors.
    fn told(part: &str) -> Vec<String> {
        told_of("x: '{{ steps.s.text }}', y: a.png", part)
    }

    /// Plans a workflow that runs a part with these inputs, and returns the errors.
    fn told_of(inputs: &str, part: &str) -> Vec<String> {
        let text = format!(
            "steps: {{ s: {{ model: m, inputs: {{ prompt: a }} }}, p: {{ workflow: part.yaml, inputs: {{ {inputs} }} }} }}"
        );
        let read = |path: &Path, shown: &str| {
            let text = match path.file_name().and_then(|name| name.to_str()) {
                Some("deep.yaml") => {
                    "inputs: { z: {} }\nsteps: { a: { model: m, inputs: { p: \"{{ file(inputs.z) }}\" } } }"
                }
                _ => part,
            };
            Ok(Arc::new(Source::new(shown, text)))
        };
        let source = Arc::new(Source::new("a.yaml", text));
        let (document, told) = spec::load_with(source, "a", Path::new("a.yaml"), &read);
        assert_eq!(told, []);
        let offers = [Offer { takes_files: true, ..Offer::new("aimp", &[TargetKind::Model]) }];
        let outcome = plan(&Arc::new(document.expect("a document")), Some(&Given::default()), &offers);
        outcome.diagnostics.iter().filter(|told| told.is_error()).map(|told| told.message.clone()).collect()
    }

    /// A key that is a template is told as that alone.
    #[test]
    fn a_template_for_a_key_is_told_once() {
        let part = "inputs: { x: { optional: true } }\nsteps: { a: { set: { b: '{{ inputs.x }}' } } }";
        let key = "needed: '{{ steps.s.status }}', '{{ steps.s.text }}': 1";
        let expected = ["workflow `part` has no input `needed`", "a key cannot be a template"];
        assert_eq!(told_of(key, part), expected);
    }

    /// What is written of an API's answer by way of a nested workflow's input is no path, however it gets there.
    #[test]
    fn no_result_becomes_the_path_of_a_file_within() {
        let part = |vars: &str, step: &str| {
            format!("inputs: {{ x: {{}}, y: {{ type: string }} }}\nvars: {{ {vars} }}\nsteps: {{ a: {{ {step} }} }}\n")
        };
        for (vars, step) in [
            ("", "model: m, inputs: { p: \"{{ file('in/' ~ inputs.x) }}\" }"),
            ("v: '{{ inputs.x }}', w: 'a/{{ vars.v }}'", "model: m, inputs: { p: '{{ file(vars.w) }}' }"),
            ("v: '{{ file(inputs.x) }}'", "model: m, inputs: { p: '{{ vars.v }}' }"),
            ("", "foreach: inputs.x, model: m, inputs: { p: '{{ file(item) }}' }"),
            ("", "model: m, inputs: { p: b }, fallback: [{ inputs: { p: '{{ file(inputs.x) }}' } }]"),
            ("", "workflow: deep.yaml, inputs: { z: '{{ inputs.x }}' }"),
        ] {
            let told = told(&part(vars, step));
            let expected = "a step's result may be part of `x`, of which `part` makes the path of a file";
            assert_eq!(told, [expected], "{vars} {step}");
        }
        // The control: what the workflow itself says may be a path.
        for step in [
            "model: m, inputs: { p: '{{ file(inputs.y) }}', q: '{{ inputs.x }}' }",
            "workflow: deep.yaml, inputs: { z: '{{ inputs.y }}' }",
        ] {
            assert_eq!(told(&part("", step)), [""; 0], "{step}");
        }
    }
}
