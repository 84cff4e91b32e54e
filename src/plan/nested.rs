//! Steps that run another workflow: it is planned once, whatever runs it, and its inputs are checked against what it declares.
//!
//! What a nested workflow says of the run as a whole does not hold in it: `concurrency`, `budget`, `schedule` and `notify` are those of the
//! file that is run. Its own `timeout`, `failure_policy`, `finally` and `defaults` do.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::{
    FanOut, Offer, Outcome, Plan, PlannedInput, Work,
    build::{Asked, built},
    fit::Fitter,
    inputs::settled,
    local,
    origin::reads,
    references::{Reads, Spot},
    site::{At, Site, helped, suggestion},
    types::Type,
};
use crate::{
    contract::{Checker, Contract, ValueKind, schema::Schema},
    diagnostic::{Code, Diagnostic, nearest},
    job::{Target, TargetKind},
    source::Pointer,
    spec::{Document, Input, Media},
    template::{FileCall, Root, Template, is_url, mentions, names_file},
    tree::Tree,
};

/// The workflows that are planned already, by their documents.
#[derive(Debug, Default)]
pub(super) struct Nested {
    known: HashMap<*const Document, Option<Arc<Plan>>>,
    checkers: HashMap<*const Document, Arc<Checker>>,
    /// How many workflows are being planned around the one at hand.
    depth: usize,
}

impl Nested {
    /// Says whether what is planned is a workflow that a step runs.
    pub(super) fn is_within(&self) -> bool {
        self.depth > 0
    }

    /// Returns what checks the inputs of a workflow.
    pub(super) fn checker(&mut self, document: &Arc<Document>) -> Arc<Checker> {
        let checker = self.checkers.entry(Arc::as_ptr(document));
        Arc::clone(checker.or_insert_with(|| Arc::new(checker_of(document))))
    }

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
        self.depth += 1;
        let asked = Asked { given: None, offers, to_run };
        let Outcome { plan, diagnostics, files } = built(document, asked, self, &mut Vec::new());
        self.depth -= 1;
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

/// A workflow that a step runs, as its inputs are checked against it.
pub(super) struct Run<'r> {
    /// What it declares; none where it could not be read.
    pub(super) document: Option<&'r Arc<Document>>,
    /// Its plan; none where something is wrong with it.
    pub(super) plan: Option<Arc<Plan>>,
    /// What checks its inputs.
    pub(super) checker: Option<Arc<Checker>>,
    /// The path, as it is written.
    pub(super) label: &'r str,
    /// Where that stands.
    pub(super) verb: &'r Pointer,
    /// What the inputs stand below.
    pub(super) inputs: &'r Pointer,
}

impl Run<'_> {
    /// Checks what a step gives against what the workflow declares, and returns how many warnings there were; the work, where there is a plan.
    pub(super) fn work(self, fitter: &Fitter<'_, '_>, mut edges: impl FnMut(&Pointer, Reads)) -> (Option<Work>, u32) {
        let (site, given) = (fitter.site, &fitter.step.inputs);
        let none = IndexMap::new();
        let declared = self.document.map_or(&none, |document| &document.workflow.inputs);
        let mut planned = Vec::with_capacity(given.len());
        // Inputs that a wrong key was probably meant for: that they are missing would follow from it.
        let mut meant: HashSet<&str> = HashSet::new();
        let mut warnings = 0;
        for (name, value) in given {
            let place = self.inputs.join(name);
            let Some(input) = declared.get(name) else {
                let known = || declared.keys().map(String::as_str);
                // That there is no such input follows from a key that is a template, or from a declaration that could not be read.
                let is_written =
                    |document: &Arc<Document>| document.map.get(&Pointer::from_iter(["inputs", name])).is_some();
                if let Some(document) = self.document.filter(|document| !mentions(name) && !is_written(document)) {
                    meant.extend(nearest(name, known()));
                    let help = suggestion(site, name, known(), "its inputs are")
                        .or_else(|| Some("it declares no inputs".to_owned()).filter(|_| declared.is_empty()));
                    let message = format!("workflow `{}` has no input `{name}`", document.workflow.name);
                    let told =
                        site.at(Diagnostic::error(Code::UnknownInput, message), &At::Key(&place), "unknown input");
                    site.tell(helped(told, help));
                }
                let _ = fitter.compiled(name, value, &place, Spot::Inputs, None, &mut edges);
                continue;
            };
            let spot = if input.secret { Spot::Inputs } else { Spot::Nested };
            let (compiled, wrong) = fitter.compiled(name, value, &place, spot, None, &mut edges);
            if !wrong {
                warnings += self.fits(fitter, name, input, &compiled);
            }
            let plan = self.plan.as_ref().filter(|_| compiled.of_results);
            if let Some(plan) = plan.filter(|plan| makes_a_path_of(plan, name)) {
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
        if let Some(document) = self.document {
            let is_missing = |name: &str, input: &Input| input.is_required() && !given.contains_key(name);
            for (name, input) in declared.iter().filter(|(name, input)| is_missing(name, input)) {
                if !meant.contains(name.as_str()) {
                    self.missing(site, document, name, input);
                }
            }
        }
        let label = self.label.to_owned();
        (self.plan.map(|plan| Work::Workflow { plan, inputs: planned, label }), warnings)
    }

    fn missing(&self, site: &Site<'_>, document: &Document, name: &str, input: &Input) {
        let what = input.description.as_ref().map_or_else(String::new, |text| format!(" ({text})"));
        let message = format!("workflow `{}` needs the input `{name}`{what}", document.workflow.name);
        let diagnostic = site.at(Diagnostic::error(Code::MissingInput, message), &At::Value(self.verb), "run here");
        let declared = Pointer::from_iter(["inputs", name]);
        let diagnostic = diagnostic.also(&document.source, document.map.key(&declared), "declared here");
        site.tell(diagnostic.help(format!("add `{name}: …` under `inputs`")));
    }

    /// Checks the value of one input, and returns how many warnings there were.
    fn fits(&self, fitter: &Fitter<'_, '_>, name: &str, input: &Input, given: &PlannedInput) -> u32 {
        if let Some(value) = given.tree.literal() {
            // Where something else is wrong with the workflow, it has no plan.
            let planned = self.plan.as_ref().and_then(|plan| plan.schemas.get(name));
            let own = if planned.is_none() { Schema::compile(&Value::Object(input.schema.clone())).ok() } else { None };
            let schema = planned.or(own.as_ref());
            let value = settled(value.clone(), schema).or_else(|| input.is_required().then_some(Value::Null));
            if let (Some(value), Some(schema)) = (&value, schema) {
                super::inputs::misfits(fitter.site, Code::InputType, name, schema, value, &given.pointer);
            }
            if let Some(document) = self.document.filter(|_| input.file)
                && let Some(path) = value.as_ref().and_then(Value::as_str).filter(|text| !is_url(text))
                && names_file(path).is_ok()
            {
                // A path is relative to the file that declares the input.
                let path = local::folder(document).join(path);
                let path = std::path::absolute(&path).unwrap_or(path);
                local::named(fitter.site, path, local::wanted(input.media), &At::Value(&given.pointer));
            }
        }
        if given.tree.literal().is_some() || input.secret {
            return 0;
        }
        if input.file {
            fitter.file(name, input.media, &given.tree, &given.pointer);
            return 0;
        }
        let Some(checker) = &self.checker else { return 0 };
        let port = checker.contract().port(name);
        port.map_or(0, |port| fitter.typed(checker, port, &given.tree, &given.pointer))
    }
}

impl Fitter<'_, '_> {
    /// Tells of a value that is never a file, or a file of another kind than is wanted.
    fn file(&self, name: &str, media: Option<Media>, tree: &Tree, pointer: &Pointer) {
        let wanted = local::wanted(media).filter(|kind| kind.is_media());
        let misfit = |one: &Type| match one {
            Type::Any | Type::Null | Type::Text | Type::Either(_) => false,
            Type::Media(kind) => wanted.is_some_and(|wanted| wanted != *kind),
            Type::Options(options) => !options.iter().any(|option| option.is_string() || option.is_null()),
            Type::Boolean | Type::Integer | Type::Number | Type::List(_) | Type::Map(_) | Type::Partly(_) => true,
        };
        let takes = wanted.map_or("a file", |wanted| match wanted {
            ValueKind::Image => "the file of an image",
            ValueKind::Video => "the file of a video",
            _ => "the file of an audio recording",
        });
        let code = |known: &Type| if matches!(known, Type::Media(_)) { Code::WrongMedia } else { Code::InputType };
        self.never(&format!("input `{name}` takes {takes}"), code, tree, pointer, misfit);
    }
}

/// Returns what checks the inputs that a workflow declares, as the contract of a target would be; files are no part of that.
fn checker_of(document: &Document) -> Checker {
    let inputs = document.workflow.inputs.iter();
    let properties: Map<String, Value> = inputs
        .map(|(name, input)| {
            // What refers to another part of itself would refer to nothing here.
            let refers = || Value::Object(input.schema.clone()).to_string().contains("\"$ref\"");
            let schema = if input.file || refers() { Map::new() } else { input.schema.clone() };
            (name.clone(), Value::Object(schema))
        })
        .collect();
    let inputs = document.workflow.inputs.iter();
    let required: Vec<&String> = inputs.filter(|(_, input)| input.is_required()).map(|(name, _)| name).collect();
    let schema = json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    });
    let name = document.workflow.name.clone();
    let target = Target { kind: TargetKind::Model, id: name.clone() };
    Checker::new(Contract::of_schema(target, name, schema).0)
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
        contract::ValueKind,
        diagnostic::Code,
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

    /// A path that stands in the file is looked at before the run, as one of the folder of the workflow that takes it.
    #[test]
    fn a_file_that_is_handed_on_is_named() {
        let read = |_: &Path, shown: &str| {
            let part =
                "inputs: { pic: { type: file, media: image } }\nsteps: { a: { set: { b: '{{ inputs.pic }}' } } }";
            Ok(Arc::new(Source::new(shown, part)))
        };
        let source = Arc::new(Source::new("a.yaml", "steps: { p: { workflow: d/part.yaml, inputs: { pic: b.png } } }"));
        let (document, _) = spec::load_with(source, "a", Path::new("a.yaml"), &read);
        let outcome = plan(&Arc::new(document.expect("a document")), Some(&Given::default()), &[]);
        let named: Vec<_> = outcome.files.iter().map(|file| (file.path.ends_with("d/b.png"), file.wanted)).collect();
        assert_eq!(named, [(true, Some(ValueKind::Image))]);
    }

    /// That a budget does not hold is all that is to be said of it, not that it is too small.
    #[test]
    fn a_budget_that_does_not_hold_is_told_once() {
        let read = |_: &Path, shown: &str| {
            let part = "budget: { credits: 1 }\nsteps: { a: { model: m, estimate: { credits: 5 }, inputs: { p: b } } }";
            Ok(Arc::new(Source::new(shown, part)))
        };
        let source = Arc::new(Source::new("a.yaml", "steps: { p: { workflow: part.yaml } }"));
        let (document, _) = spec::load_with(source, "a", Path::new("a.yaml"), &read);
        let offers = [Offer::new("aimp", &[TargetKind::Model])];
        let outcome = plan(&Arc::new(document.expect("a document")), Some(&Given::default()), &offers);
        let codes: Vec<_> = outcome.diagnostics.iter().map(|told| told.code).collect();
        assert_eq!(codes, [Code::NoEffect]);
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
