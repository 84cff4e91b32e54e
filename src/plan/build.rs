//! Builds a plan: every check of a workflow, in the order in which they can say most.
//!
//! Each part takes what it can use of the ones before it and goes on when they failed: a step whose target is unknown still has
//! its templates checked, and its place in the graph.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use indexmap::IndexMap;
use serde_json::Value;

use super::{
    Given, Offer, Outcome, Plan, PlannedStep, Work, budget, definition, estimate,
    fit::Fitter,
    graph::{Edge, Graph, StepIx},
    group,
    inputs::{self, Facts},
    local,
    references::{Names, Reads, Spot},
    results,
    site::{At, Site},
    targets::{Found, Targets},
    types::Type,
    unused,
};
use crate::{
    diagnostic::{Code, Diagnostic, arrange},
    id::{Digest, StepPath},
    source::Pointer,
    spec::{Document, Save, Step, Verb},
    template::{Files, Reference, Root, Scope, Template, mentions},
    tree::Tree,
};

/// The most steps of a workflow. Twice what the benches plan; a file beyond it is generated, and better a `foreach`.
pub const LONGEST_PLAN: usize = 200_000;

/// LANGUAGE.md, section 3.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(30);

/// LANGUAGE.md, section 6.
const DEFAULT_SAVE: &str = "{{ step.id }}/{{ n }}.{{ ext }}";

/// Checks everything that the reader does not, and plans when nothing is wrong; what the reader told of the document is not
/// told again, and there is no plan then either, as far as it is seen here. Without `given` (`validate`) required inputs need no value.
#[must_use]
pub fn plan(document: &Arc<Document>, given: Option<&Given>, offers: &[Offer]) -> Outcome {
    let site = Site::new(document);
    let built = build(document, &site, given, offers);
    let failed = site.has_failed();
    let (mut diagnostics, files) = site.into_parts();
    arrange(&mut diagnostics);
    let plan = built.filter(|_| !failed).map(|plan| Plan { warnings: diagnostics.clone(), ..plan });
    Outcome { plan, diagnostics, files }
}

fn build<'a>(document: &'a Arc<Document>, site: &Site<'a>, given: Option<&Given>, offers: &'a [Offer]) -> Option<Plan> {
    let workflow = &document.workflow;
    let count = workflow.steps.len();
    if count > LONGEST_PLAN {
        let message = format!("the workflow has {count} steps, and may have {LONGEST_PLAN}");
        let diagnostic = Diagnostic::error(Code::TooManySteps, message).help("run it in parts");
        site.tell(site.at(diagnostic, &At::Key(&Pointer::from_iter(["steps"])), "too many"));
        return None;
    }
    let facts = inputs::settle(site, given);
    let mut names = Names::new(site, &facts);
    let files = Files::new(local::folder(document)).with_inputs(&facts.files);
    let base = vars(site, &facts, &mut names, &files);
    let filed = base.clone().with_files(&files);
    let base = base.without_vars(names.file_vars.keys().map(String::as_str));

    let steps = Pointer::from_iter(["steps"]);
    let pointers: Vec<_> = workflow.steps.keys().map(|id| steps.join(id)).collect();
    let mut targets = Targets::new(offers, given.is_some());
    let mut found: Vec<Option<Found>> = Vec::with_capacity(count);
    for (step, pointer) in workflow.steps.values().zip(&pointers) {
        found.push(match &step.verb {
            Verb::Run { kind, name } => targets.find(site, step, pointer, *kind, name),
            Verb::Http(parts) => targets.request(site, step, pointer, parts),
            _ => None,
        });
    }
    for (seen, found) in names.steps.iter_mut().zip(&found) {
        seen.output = found.as_ref().and_then(|found| found.checker.contract().output);
    }

    let mut edges = Vec::new();
    let mut planned = Vec::with_capacity(count);
    for (index, ((id, step), (pointer, found))) in workflow.steps.iter().zip(pointers.iter().zip(found)).enumerate() {
        let ix = StepIx::from_index(index);
        let builder =
            StepBuilder { site, names: &names, scope: &base, filed: &filed, step, pointer, ix, edges: &mut edges };
        if let Some(built) = builder.build(found) {
            planned.push(PlannedStep { id: id.clone(), path: StepPath::top(id), ..built });
        }
    }
    let outputs = outputs(site, &names, &base);
    let group = group::group(site, &names, &base);
    let graph = match Graph::new(count, &edges) {
        Ok(graph) => graph,
        Err(cycles) => {
            for cycle in cycles {
                tell_cycle(site, &cycle);
            }
            return None;
        }
    };
    collisions(site, &pointers, &graph);
    if site.has_failed() {
        return None;
    }
    unused::check(site, &names);
    let definitions = definition::digests(document, &names, &planned);
    for (step, definition) in planned.iter_mut().zip(definitions) {
        step.definition = definition;
    }
    let mut vars = names.known_vars;
    vars.retain(|name, _| !names.file_vars.contains_key(name));
    let digest = digest(document, &facts, &planned);
    let plan = Plan {
        digest,
        document: Arc::clone(document),
        by_id: planned.iter().enumerate().map(|(index, step)| (step.id.clone(), StepIx::from_index(index))).collect(),
        vars,
        file_vars: names.file_vars,
        files,
        concurrency: workflow.concurrency.steps,
        group,
        budget: workflow.budget.unwrap_or_default(),
        outputs,
        warnings: Vec::new(),
        certain: facts.certain,
        steps: planned,
        graph,
        inputs: facts.inputs,
        secret_inputs: facts.secret_inputs,
        secrets: facts.secrets,
    };
    budget::check(site, &plan);
    Some(plan)
}

/// Checks and renders the vars, each over the inputs and those before it. Returns what templates may read before the run.
fn vars<'a>(site: &Site<'a>, facts: &Facts, names: &mut Names<'a>, files: &Files) -> Scope {
    let base = Scope::new().with(Root::Inputs, &Value::Object(facts.inputs.clone()));
    let top = Pointer::from_iter(["vars"]);
    for (name, value) in &site.document.workflow.vars {
        let (tree, errors) = Tree::compile(value, &top.join(name));
        let mut wrong = !errors.is_empty();
        for (place, error) in &errors {
            site.tell_template(place, error);
        }
        for (place, template) in tree.templates() {
            wrong |= names.check(site, template, place, Spot::Vars, None).wrong;
        }
        let mut known = if wrong { Type::Any } else { names.written(site, value, None) };
        if !wrong && tree.references().all(|(_, reference)| names.is_known(reference)) {
            // Only those that it reads, so that many vars take linear time.
            let read = tree.references().filter(|(_, reference)| reference.root == Root::Vars);
            let read: serde_json::Map<_, _> = read
                .filter_map(|(_, reference)| names.known_vars.get_key_value(reference.key()?))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            let files = files.fresh();
            match tree.render(&base.clone().with(Root::Vars, &Value::Object(read)).with_files(&files)) {
                Ok(value) => {
                    let reads_file_var = |(_, reference): (_, &Reference)| {
                        reference.root == Root::Vars
                            && reference.key().is_some_and(|key| names.file_vars.contains_key(key))
                    };
                    if !files.used().is_empty() || tree.references().any(reads_file_var) {
                        names.file_vars.insert(name.clone(), tree.clone());
                    }
                    // What depends on inputs is another in the next run.
                    if !names.record.borrow().derived.contains(name) {
                        known = Type::of_value(&value);
                    }
                    names.known_vars.insert(name.clone(), value);
                }
                Err((place, error)) => site.tell_template(&place, &error),
            }
        }
        names.vars.insert(name.clone(), known);
    }
    base.with(Root::Vars, &Value::Object(names.known_vars.clone()))
}

fn outputs(site: &Site<'_>, names: &Names<'_>, scope: &Scope) -> IndexMap<String, Tree> {
    let top = Pointer::from_iter(["outputs"]);
    let mut outputs = IndexMap::new();
    for (name, value) in &site.document.workflow.outputs {
        let pointer = top.join(name);
        let (tree, errors) = Tree::compile(value, &pointer);
        for (place, error) in &errors {
            site.tell_template(place, error);
        }
        for (place, template) in tree.templates() {
            let reads = names.check(site, template, place, Spot::Outputs, None);
            render_known(site, names, scope, template, place, reads.wrong);
        }
        outputs.insert(name.clone(), tree);
    }
    outputs
}

/// Renders a template whose data is all known, so that its failure is told before the run.
fn render_known(
    site: &Site<'_>,
    names: &Names<'_>,
    scope: &Scope,
    template: &Template,
    pointer: &Pointer,
    wrong: bool,
) {
    if !wrong
        && template.references().iter().all(|reference| names.is_known(reference))
        && let Err(error) = template.render(scope)
    {
        site.tell_template(pointer, &error);
    }
}

/// Builds one step.
struct StepBuilder<'s, 'a> {
    site: &'s Site<'a>,
    names: &'s Names<'a>,
    /// What templates may read that are known before the run.
    scope: &'s Scope,
    /// The same with local files.
    filed: &'s Scope,
    step: &'a Step,
    pointer: &'s Pointer,
    ix: StepIx,
    edges: &'s mut Vec<Edge>,
}

impl StepBuilder<'_, '_> {
    /// Returns the step, or nothing where it cannot be planned.
    fn build(mut self, found: Option<Found>) -> Option<PlannedStep> {
        let first_edge = self.edges.len();
        let when = self.when();
        results::foreach(self.site, self.names, self.step, self.pointer);
        let save = self.save();
        let (work, warnings) = match &self.step.verb {
            Verb::Run { name, .. } => {
                let inputs = Fitter {
                    site: self.site,
                    names: self.names,
                    scope: self.filed,
                    step: self.step,
                    pointer: self.pointer,
                    media_objects: found.as_ref().is_some_and(|found| found.takes.operation),
                };
                let (edges, ix) = (&mut *self.edges, self.ix);
                let fitted = inputs.fit(found.as_ref(), |place, reads| note(edges, ix, place, reads));
                let operation = inputs.operation(found.as_ref(), |place, reads| note(edges, ix, place, reads));
                let work = found.map(|Found { provider, checker, read, .. }| Work::Run {
                    provider,
                    checked: read && !checker.contract().unchecked,
                    contract: checker,
                    inputs: fitted.inputs,
                    operation: operation.inputs,
                    label: name.clone(),
                });
                (work, fitted.warnings + operation.warnings)
            }
            Verb::Http(parts) => {
                let request = Fitter {
                    site: self.site,
                    names: self.names,
                    scope: self.scope,
                    step: self.step,
                    pointer: self.pointer,
                    media_objects: false,
                };
                let (edges, ix) = (&mut *self.edges, self.ix);
                let inputs = request.request(parts, found.as_ref(), |place, reads| note(edges, ix, place, reads));
                let work = found.map(|Found { provider, checker, .. }| Work::Run {
                    provider,
                    label: checker.contract().name.clone(),
                    contract: checker,
                    checked: true,
                    inputs,
                    operation: Vec::new(),
                });
                (work, 0)
            }
            Verb::Set(map) => (Some(Work::Set(self.set(map))), 0),
            // Not alive yet.
            Verb::Workflow(_) => {
                self.site.told_before();
                (None, 0)
            }
        };
        let mut reads: Vec<_> = self.edges[first_edge..].iter().map(|edge| edge.needs).collect();
        reads.sort_unstable();
        reads.dedup();
        self.needs();
        let defaults = &self.site.document.workflow.defaults;
        let work = work?;
        let (credits, seconds) = match &work {
            Work::Run { contract, .. } => (
                estimate::credits(contract.contract(), self.step.estimate),
                self.step.estimate.and_then(|estimate| estimate.seconds),
            ),
            Work::Set(_) => (Some(0.0), Some(0.0)),
        };
        let id = self.site.document.workflow.steps.get_index(self.ix.index()).map(|(id, _)| id.clone())?;
        Some(PlannedStep {
            path: StepPath::top(&id),
            id,
            pointer: self.pointer.clone(),
            work,
            when,
            timeout: self.step.timeout.or(defaults.timeout).map_or(DEFAULT_TIMEOUT, |timeout| timeout.0),
            poll: self.step.poll.or(defaults.poll).map(|poll| poll.0),
            save,
            credits,
            seconds,
            reads,
            definition: Digest::of(b""),
            warnings,
        })
    }

    fn template(&mut self, template: &Template, pointer: &Pointer, spot: Spot) {
        let reads = self.names.check(self.site, template, pointer, spot, Some(self.step));
        render_known(self.site, self.names, self.scope, template, pointer, reads.wrong);
        note(self.edges, self.ix, pointer, reads);
    }

    fn when(&mut self) -> Option<Template> {
        let text = self.step.when.as_ref()?;
        let pointer = self.pointer.join("when");
        match Template::expression(text) {
            Ok(template) => {
                self.template(&template, &pointer, Spot::When);
                Some(template)
            }
            Err(errors) => {
                for error in &errors {
                    self.site.tell_template(&pointer, error);
                }
                None
            }
        }
    }

    fn save(&mut self) -> Option<Tree> {
        let pointer = self.pointer.join("save");
        let text = match self.step.save.as_ref()? {
            Save::Default => DEFAULT_SAVE,
            Save::Path(path) => path,
        };
        if leaves_root(text) {
            let diagnostic =
                Diagnostic::error(Code::PathEscapes, format!("`{text}` leaves the folder of the run's artifacts"))
                    .help("write a relative path without `..`");
            self.site.tell(self.site.at(diagnostic, &At::Value(&pointer), "leaves its root"));
        }
        let (tree, errors) = Tree::compile(&Value::String(text.to_owned()), &pointer);
        for (place, error) in &errors {
            self.site.tell_template(place, error);
        }
        for (place, template) in tree.templates() {
            self.template(template, place, Spot::Save);
        }
        Some(tree)
    }

    fn set(&mut self, map: &serde_json::Map<String, Value>) -> Tree {
        let pointer = self.pointer.join("set");
        let mut tree = IndexMap::with_capacity(map.len());
        for (key, value) in map {
            let (item, errors) = Tree::compile(value, &pointer.join(key));
            for (place, error) in &errors {
                self.site.tell_template(place, error);
            }
            for (place, template) in item.templates() {
                self.template(template, place, Spot::Set);
            }
            tree.insert(key.clone(), item);
        }
        Tree::Map(tree)
    }

    fn needs(&mut self) {
        let pointer = self.pointer.join("needs");
        for (index, needed) in self.step.needs.iter().enumerate() {
            let place = pointer.join(index);
            match self.names.by_id.get(needed.as_str()) {
                Some(&needs) if needs != self.ix => {
                    self.edges.push(Edge { step: self.ix, needs, pointer: place, range: None });
                }
                // An unknown step, or the step itself.
                _ => self.site.told_before(),
            }
        }
    }
}

fn note(edges: &mut Vec<Edge>, step: StepIx, pointer: &Pointer, reads: Reads) {
    for (needs, range) in reads.steps {
        edges.push(Edge { step, needs, pointer: pointer.clone(), range: Some(range) });
    }
}

/// Says whether a path template surely leads out of the folder that it is relative to.
fn leaves_root(text: &str) -> bool {
    let text = text.trim();
    let drive = text.as_bytes().get(1) == Some(&b':') && text.as_bytes()[0].is_ascii_alphabetic();
    text.starts_with(['/', '\\']) || drive || text.split(['/', '\\']).any(|part| part.trim() == "..")
}

/// Tells of two steps that surely save on one path: both name the same one, and nothing can keep either from running.
fn collisions(site: &Site<'_>, pointers: &[Pointer], graph: &Graph) {
    let steps = &site.document.workflow.steps;
    let mut sure = vec![false; steps.len()];
    for &step in graph.order() {
        let conditional = steps.get_index(step.index()).is_none_or(|(_, step)| step.when.is_some());
        sure[step.index()] = !conditional && graph.needs(step).all(|needed| sure[needed.index()]);
    }
    let mut first_on: HashMap<&str, usize> = HashMap::new();
    for (index, step) in steps.values().enumerate().filter(|(index, _)| sure[*index]) {
        let Some(Save::Path(path)) = &step.save else { continue };
        if mentions(path) || !matches!(step.verb, Verb::Run { .. }) {
            continue;
        }
        let path = path.strip_prefix("./").unwrap_or(path);
        if let Some(first) = first_on.get(path) {
            let diagnostic = Diagnostic::error(Code::PathCollision, format!("two steps save on the path `{path}`"))
                .help(format!("give each its own, such as `{DEFAULT_SAVE}`"));
            let diagnostic = site.at(diagnostic, &At::Value(&pointers[index].join("save")), "again here");
            site.tell(site.also(diagnostic, &At::Value(&pointers[*first].join("save")), "first here"));
        } else {
            first_on.insert(path, index);
        }
    }
}

fn tell_cycle(site: &Site<'_>, cycle: &[Edge]) {
    const SHOWN: usize = 8;
    let name = |step: StepIx| site.document.workflow.steps.get_index(step.index()).map_or("?", |(id, _)| id.as_str());
    let first = &cycle[0];
    let message = if cycle.len() == 1 {
        format!("step `{}` waits for itself", name(first.step))
    } else {
        let mut path: Vec<_> = cycle.iter().take(SHOWN).map(|edge| format!("`{}`", name(edge.step))).collect();
        if cycle.len() > SHOWN {
            path.push("…".to_owned());
        }
        format!("these steps wait for each other: {} → `{}`", path.join(" → "), name(first.step))
    };
    let mut diagnostic = Diagnostic::error(Code::Cycle, message).help(if cycle.len() == 1 {
        "take the reference out"
    } else {
        "take out one of these references"
    });
    for (index, edge) in cycle.iter().take(SHOWN).enumerate() {
        let at = match &edge.range {
            Some(range) => At::Within(&edge.pointer, range.clone()),
            None => At::Value(&edge.pointer),
        };
        let text = format!("`{}` waits for `{}`", name(edge.step), name(edge.needs));
        diagnostic = if index == 0 { site.at(diagnostic, &at, text) } else { site.also(diagnostic, &at, text) };
    }
    site.tell(diagnostic);
}

fn digest(document: &Document, facts: &Facts, steps: &[PlannedStep]) -> Digest {
    let mut contracts = Vec::new();
    let mut seen = HashSet::new();
    for step in steps {
        if let Work::Run { provider, contract, .. } = &step.work
            && seen.insert((provider, Arc::as_ptr(contract)))
        {
            contracts.push((provider, contract.contract()));
        }
    }
    contracts.sort_by(|a, b| (a.0, &a.1.target).cmp(&(b.0, &b.1.target)));
    let mut inputs: Vec<_> = facts.inputs.iter().collect();
    inputs.sort_by_key(|(name, _)| *name);
    let text = serde_json::to_vec(&(&*document.source.text, inputs, contracts)).expect("these are plain data");
    Digest::of(&text)
}
