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
    Alternative, Expectation, FanOut, Given, Offer, Outcome, Plan, PlannedCache, PlannedStep, SavePath, Work, budget,
    definition, estimate, fan_out,
    fit::Fitter,
    graph::{Edge, Graph, StepIx},
    group,
    idle::{self, Rest},
    inputs::{self, Facts},
    local,
    nested::{self, Nested},
    notify,
    references::{Names, Reads, Spot},
    results,
    room::{Room, too_large},
    save, schedule,
    site::{At, Site},
    targets::{Found, Targets},
    types::Type,
    unused,
};
use crate::{
    contract::schema::Schema,
    diagnostic::{Code, Diagnostic, arrange},
    id::{Digest, StepPath},
    source::Pointer,
    spec::{Document, Fallback, OnError, Retry, RetryOn, Save, Step, Trigger, Verb, Workflow},
    template::{Files, Reference, Root, Scope, Template},
    tree::Tree,
};

/// The most steps of a workflow. Twice what the benches plan; a file beyond it is generated, and better a `foreach`.
pub const LONGEST_PLAN: usize = 200_000;

/// The most parts of the type of an output that those who run the workflow get to know: types of types of types grow.
const MOST_PARTS: usize = 1000;

/// LANGUAGE.md, section 3.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(30);

/// What a plan is asked for.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The values of the run; none where there are none yet.
    pub(super) given: Option<&'a Given>,
    pub(super) offers: &'a [Offer],
    /// Whether this is for a run.
    pub(super) to_run: bool,
}

/// Checks everything that the reader does not, and plans when nothing is wrong; what the reader told of the document is not
/// told again, and there is no plan then either, as far as it is seen here. Without `given` (`validate`) required inputs need no value.
#[must_use]
pub fn plan(document: &Arc<Document>, given: Option<&Given>, offers: &[Offer]) -> Outcome {
    let mut idle = Vec::new();
    let asked = Asked { given, offers, to_run: given.is_some() };
    let mut outcome = built(document, asked, &mut Nested::default(), &mut idle);
    // Once more without what the values do to steps that they keep from running.
    if outcome.plan.is_none() && idle.contains(&true) {
        outcome = built(document, asked, &mut Nested::default(), &mut idle);
    }
    if let Some(given) = given {
        nested_secrets(document, given, &mut outcome);
    }
    outcome
}

/// Takes the secrets that nested workflows name from the environment too, and tells those that are not there.
fn nested_secrets(document: &Document, given: &Given, outcome: &mut Outcome) {
    let nested = document.all().into_iter().skip(1);
    let named = nested
        .flat_map(|document| document.workflow.secrets.iter().enumerate().map(move |(n, name)| (document, n, name)));
    let mut missing = false;
    for (document, index, name) in named {
        if let Some(secret) = given.secrets.get(name) {
            if let Some(plan) = &mut outcome.plan {
                plan.secrets.insert(name.clone(), secret.clone());
            }
            continue;
        }
        let place = Pointer::from_iter(["secrets", &index.to_string()]);
        outcome.diagnostics.push(
            Diagnostic::error(Code::SecretMissing, format!("secret `{name}` is not in the environment"))
                .at(&document.source, document.map.value(&place), "named here")
                .help(format!("set the environment variable {name}")),
        );
        missing = true;
    }
    if missing {
        outcome.plan = None;
        arrange(&mut outcome.diagnostics);
    }
}

/// The same for a workflow that a step runs: its inputs are known only then, but it may be for a run all the same. Where something is wrong
/// and `idle` is empty, it takes which steps the given values keep from doing anything; else it says of which of them nothing is known.
pub(super) fn built(document: &Arc<Document>, asked: Asked<'_>, nested: &mut Nested, idle: &mut Vec<bool>) -> Outcome {
    let site = Site::new(document);
    let fallbacks = fallbacks(&document.workflow);
    let built = build(document, &site, asked, &fallbacks, nested, idle);
    let failed = site.has_failed();
    let (mut diagnostics, files) = site.into_parts();
    arrange(&mut diagnostics);
    let plan = built.filter(|_| !failed).map(|plan| Plan { warnings: diagnostics.clone(), ..plan });
    Outcome { plan, diagnostics, files }
}

/// Returns for each step, in the order of [`Workflow::all_steps`], what stands in for it: whole steps, with what their entries of `fallback`
/// leave out as it is in the step.
fn fallbacks(workflow: &Workflow) -> Vec<Vec<Step>> {
    let whole = |step: &Step, entry: &Fallback| {
        let verb = entry.verb.clone().unwrap_or_else(|| step.verb.clone());
        let alike = verb.key() == step.verb.key();
        Step {
            // Who runs the one thing need not have the other.
            provider: entry.provider.clone().or_else(|| step.provider.clone().filter(|_| alike)),
            inputs: entry.inputs.clone().unwrap_or_else(|| step.inputs.clone()),
            params: entry.params.clone().or_else(|| step.params.clone().filter(|_| alike)),
            mode: step.mode.clone().filter(|_| alike),
            scope: step.scope.clone().filter(|_| alike),
            options: step.options.clone().filter(|_| alike),
            verb,
            fallback: Vec::new(),
            ..step.clone()
        }
    };
    workflow.all_steps().map(|(_, step, _)| step.fallback.iter().map(|entry| whole(step, entry)).collect()).collect()
}

fn build<'a>(
    document: &'a Arc<Document>,
    site: &Site<'a>,
    Asked { given, offers, to_run }: Asked<'a>,
    fallbacks: &'a [Vec<Step>],
    nested: &mut Nested,
    idle: &mut Vec<bool>,
) -> Option<Plan> {
    let workflow = &document.workflow;
    let main = workflow.steps.len();
    let count = main + workflow.finally.len();
    if count > LONGEST_PLAN {
        too_long(site, count);
        return None;
    }
    let facts = inputs::settle(site, given);
    let mut names = Names::new(site, &facts);
    let files = Files::new(local::folder(document)).with_inputs(&facts.files);
    let (base, var_trees) = vars(site, &facts, &mut names, &files);
    let filed = base.clone().with_files(&files);
    let base = base.without_vars(names.file_vars.keys().map(String::as_str));

    let pointers = pointers(workflow);
    let (found, found_instead) = find_all(document, site, offers, to_run, fallbacks, &pointers);
    outputs_of_targets(&mut names, &found, &found_instead);
    names.nested = nested_plans(site, &pointers, offers, to_run, nested);

    let mut edges = Vec::new();
    let mut planned = Vec::with_capacity(count);
    let mut rests = vec![Rest::No; count];
    let parts = workflow.all_steps().zip(&pointers).zip(found.into_iter().zip(found_instead).zip(fallbacks));
    for (index, (((id, step, late), pointer), ((found, found_instead), instead))) in parts.enumerate() {
        let ix = StepIx::from_index(index);
        names.at_end.set(late);
        names.own.set(Some(ix));
        names.is_idle.set(idle.get(index) == Some(&true));
        let builder = StepBuilder {
            site,
            names: &names,
            scope: &base,
            filed: &filed,
            step,
            pointer,
            ix,
            edges: &mut edges,
            offers,
            to_run,
            nested,
            rest: &mut rests[index],
        };
        if let Some(built) = builder.build(found, found_instead, instead) {
            local::named_by_items(site, &names, &base, &files, &built);
            planned.push(PlannedStep { id: id.clone(), path: StepPath::top(id), finally: late, ..built });
        }
    }
    names.leave_step();
    let outputs = outputs(site, &names, &base);
    let group = group::group(site, &names, &base);
    let notify = notify::compile(site, &names, &base);
    let schedule = schedule::compile(site);
    let cycles = |cycles: Vec<Vec<Edge>>| cycles.iter().for_each(|cycle| tell_cycle(site, cycle));
    let graph = Graph::new(count, main, &edges).map_err(cycles).ok()?;
    save::collisions(site, &pointers, &graph);
    save::collisions_of_parts(site, &planned, &graph);
    if site.has_failed() {
        if facts.certain && idle.is_empty() {
            let steps: Vec<&Step> = workflow.all_steps().map(|(_, step, _)| step).collect();
            *idle = idle::idle(&rests, &steps, &graph, main);
        }
        return None;
    }
    unused::check(site, &names);
    let definitions = definition::digests(document, &names, &var_trees, &planned);
    for (step, definition) in planned.iter_mut().zip(definitions) {
        step.definition = definition;
    }
    let output_types = if nested.is_within() { output_types(site, &names) } else { IndexMap::new() };
    let mut vars = names.known_vars;
    vars.retain(|name, _| !names.file_vars.contains_key(name));
    let digest = digest(document, &facts, &planned);
    let plan = Plan {
        digest,
        document: Arc::clone(document),
        by_id: planned.iter().enumerate().map(|(index, step)| (step.id.clone(), StepIx::from_index(index))).collect(),
        vars,
        file_vars: if facts.certain { names.file_vars } else { file_vars(document, &names.file_vars, &var_trees) },
        files,
        concurrency: workflow.concurrency.steps,
        group,
        budget: workflow.budget.unwrap_or_default(),
        outputs,
        output_types,
        notify,
        schedule,
        var_trees,
        schemas: Arc::new(facts.schemas),
        warnings: Vec::new(),
        certain: facts.certain,
        steps: planned,
        graph,
        inputs: facts.inputs,
        secret_inputs: facts.secret_inputs,
        secrets: facts.secrets,
    };
    // The budget of a workflow that a step runs does not hold.
    if !nested.is_within() {
        budget::check(site, &plan);
    }
    Some(plan)
}

fn too_long(site: &Site<'_>, count: usize) {
    let message = format!("the workflow has {count} steps, and may have {LONGEST_PLAN}");
    let diagnostic = Diagnostic::error(Code::TooManySteps, message).help("run it in parts");
    site.tell(site.at(diagnostic, &At::Key(&Pointer::from_iter(["steps"])), "too many"));
}

/// Returns where each step is written, in the order of [`Workflow::all_steps`].
fn pointers(workflow: &Workflow) -> Vec<Pointer> {
    let (steps, finally) = (Pointer::from_iter(["steps"]), Pointer::from_iter(["finally"]));
    workflow.all_steps().map(|(id, _, late)| if late { finally.join(id) } else { steps.join(id) }).collect()
}

/// Plans the workflows that steps run, so that what they give is known to whoever reads it.
fn nested_plans<'a>(
    site: &Site<'a>,
    pointers: &[Pointer],
    offers: &[Offer],
    to_run: bool,
    nested: &mut Nested,
) -> HashMap<&'a str, Arc<Plan>> {
    let steps = site.document.workflow.all_steps().zip(pointers);
    let run = steps.filter_map(|((_, step, _), pointer)| match &step.verb {
        Verb::Workflow(path) => {
            let plan = nested.plan(site, path, &pointer.join("workflow"), offers, to_run)?;
            Some((path.as_str(), plan))
        }
        _ => None,
    });
    run.collect()
}

/// Notes what each step's target gives, where that is published and what stands in for it gives the same.
fn outputs_of_targets(names: &mut Names<'_>, found: &[Option<Found>], found_instead: &[Vec<Option<Found>>]) {
    let gives = |found: &Option<Found>| found.as_ref().and_then(|found| found.checker.contract().output);
    for (seen, (found, instead)) in names.steps.iter_mut().zip(found.iter().zip(found_instead)) {
        seen.output = gives(found).filter(|_| instead.iter().all(|instead| gives(instead) == gives(found)));
    }
}

/// What each step runs, and what stands in for it.
type AllFound = (Vec<Option<Found>>, Vec<Vec<Option<Found>>>);

/// Finds what every step runs, and what stands in for it.
fn find_all<'a>(
    document: &'a Document,
    site: &Site<'a>,
    offers: &'a [Offer],
    to_run: bool,
    fallbacks: &'a [Vec<Step>],
    pointers: &[Pointer],
) -> AllFound {
    let mut targets = Targets::new(offers, to_run);
    let mut find = |step: &'a Step, pointer: &Pointer| match &step.verb {
        Verb::Run { kind, name } => targets.find(site, step, pointer, *kind, name),
        Verb::Http(parts) => targets.request(site, step, pointer, parts),
        Verb::Set(_) | Verb::Workflow(_) => None,
    };
    let mut found: Vec<Option<Found>> = Vec::new();
    let mut found_instead: Vec<Vec<Option<Found>>> = Vec::new();
    for (((_, step, _), pointer), instead) in document.workflow.all_steps().zip(pointers).zip(fallbacks) {
        found.push(find(step, pointer));
        let entries = instead.iter().zip(&step.fallback).enumerate();
        let entries = entries.map(|(place, (whole, entry))| find(whole, &place_of(pointer, place, entry)));
        found_instead.push(entries.collect());
    }
    (found, found_instead)
}

/// Returns where an entry of `fallback` stands whose verb or provider is looked at: where it says neither, that is the step itself.
fn place_of(step: &Pointer, place: usize, entry: &Fallback) -> Pointer {
    if entry.verb.is_some() || entry.provider.is_some() { step.join("fallback").join(place) } else { step.clone() }
}

/// Checks and renders the vars, each over the inputs and those before it. Returns what templates may read before the run, and the vars as
/// they are written.
fn vars<'a>(site: &Site<'a>, facts: &Facts, names: &mut Names<'a>, files: &Files) -> (Scope, IndexMap<String, Tree>) {
    let mut trees = IndexMap::new();
    let base = Scope::new().with(Root::Inputs, &Value::Object(facts.inputs.clone()));
    let top = Pointer::from_iter(["vars"]);
    let mut room = Room::of_vars();
    for (name, value) in &site.document.workflow.vars {
        let (tree, errors) = Tree::compile_entry(name, value, &top.join(name));
        let mut wrong = !errors.is_empty();
        for (place, error) in &errors {
            site.tell_template(place, error);
        }
        for (place, template) in tree.templates() {
            wrong |= names.check(site, template, place, Spot::Vars, None).wrong;
        }
        let mut known = if wrong { Type::Any } else { names.written(site, value, None, None) };
        // Once they are too large, which is told of the first that makes them so, no more are rendered.
        if !wrong && !room.is_empty() && tree.references().all(|(_, reference)| names.is_known(reference)) {
            // Only those that it reads, so that many vars take linear time.
            let read = tree.references().filter(|(_, reference)| reference.root == Root::Vars);
            let read: serde_json::Map<_, _> = read
                .filter_map(|(_, reference)| names.known_vars.get_key_value(reference.key()?))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            let files = files.fresh();
            let rendered = tree.render(&base.clone().with(Root::Vars, &Value::Object(read)).with_files(&files));
            match rendered.and_then(|value| if room.take(&value) { Ok(value) } else { Err(too_large(top.join(name))) })
            {
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
        } else if !wrong && facts.certain && may_hold_file(names, &tree) {
            names.file_vars.insert(name.clone(), tree.clone());
        }
        names.vars.insert(name.clone(), known);
        trees.insert(name.clone(), tree);
    }
    (base.with(Root::Vars, &Value::Object(names.known_vars.clone())), trees)
}

/// Returns the vars that hold local files, and those that may, as they read inputs whose values come only at the run.
fn file_vars(
    document: &Document,
    known: &IndexMap<String, Tree>,
    trees: &IndexMap<String, Tree>,
) -> IndexMap<String, Tree> {
    let inputs = &document.workflow.inputs;
    let mut held: IndexMap<String, Tree> = IndexMap::new();
    for (name, tree) in trees {
        let is_file = |reference: &Reference| match (&reference.root, reference.key()) {
            (Root::Inputs, Some(key)) => inputs.get(key).is_some_and(|input| input.file),
            (Root::Vars, Some(key)) => held.contains_key(key),
            _ => false,
        };
        let may_hold = tree
            .templates()
            .any(|(_, template)| !template.files().is_empty() || template.references().iter().any(is_file));
        if may_hold || known.contains_key(name) {
            held.insert(name.clone(), tree.clone());
        }
    }
    held
}

/// Says whether a var whose value is not known before the run, as it reads `run`, mentions a local file.
fn may_hold_file(names: &Names<'_>, tree: &Tree) -> bool {
    let is_file = |reference: &Reference| match (&reference.root, reference.key()) {
        (Root::Inputs, Some(key)) => names.facts.files.contains(key),
        (Root::Vars, Some(key)) => names.file_vars.contains_key(key),
        _ => false,
    };
    tree.templates().any(|(_, template)| !template.files().is_empty() || template.references().iter().any(is_file))
}

fn outputs(site: &Site<'_>, names: &Names<'_>, scope: &Scope) -> IndexMap<String, Tree> {
    let top = Pointer::from_iter(["outputs"]);
    let mut outputs = IndexMap::new();
    for (name, value) in &site.document.workflow.outputs {
        let pointer = top.join(name);
        let (tree, errors) = Tree::compile_entry(name, value, &pointer);
        for (place, error) in &errors {
            site.tell_template(place, error);
        }
        for (place, template) in tree.templates() {
            let reads = names.check(site, template, place, Spot::Outputs, None);
            render_known(site, names, scope, template, place, reads.wrong, Spot::Outputs);
        }
        outputs.insert(name.clone(), tree);
    }
    outputs
}

/// Returns what is known of each of the outputs.
fn output_types<'a>(site: &Site<'a>, names: &Names<'a>) -> IndexMap<String, Type> {
    let outputs = site.document.workflow.outputs.iter();
    outputs
        .map(|(name, value)| {
            let known = names.written(site, value, Some(Spot::Outputs), None);
            (name.clone(), if known.parts() > MOST_PARTS { Type::Any } else { known })
        })
        .collect()
}

/// Renders a template whose data is all known, so that its failure is told before the run.
pub(super) fn render_known(
    site: &Site<'_>,
    names: &Names<'_>,
    scope: &Scope,
    template: &Template,
    pointer: &Pointer,
    wrong: bool,
    spot: Spot,
) {
    if wrong || !template.references().iter().all(|reference| names.is_known(reference)) {
        return;
    }
    // Of a condition no value is made, only whether it holds.
    let rendered = if spot == Spot::When { template.holds(scope).map(drop) } else { template.render(scope).map(drop) };
    if let Err(error) = rendered {
        site.tell_template(pointer, &error);
    }
}

/// Warns of a `trigger` that keeps no step of `finally` from running.
fn without_trigger(site: &Site<'_>, pointer: &Pointer) {
    let message = "a step of `finally` runs whatever happened, so its `trigger` has no effect";
    let diagnostic = Diagnostic::warning(Code::NoEffect, message).help("ask in `when` what must hold");
    site.tell(site.at(diagnostic, &At::Value(&pointer.join("trigger")), "no effect"));
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
    offers: &'s [Offer],
    /// Whether this is for a run.
    to_run: bool,
    nested: &'s mut Nested,
    /// Takes what keeps the step from doing anything.
    rest: &'s mut Rest,
}

impl<'a> StepBuilder<'_, 'a> {
    /// Returns the step, or nothing where it cannot be planned.
    fn build(
        mut self,
        found: Option<Found>,
        found_instead: Vec<Option<Found>>,
        instead: &'a [Step],
    ) -> Option<PlannedStep> {
        let first_edge = self.edges.len();
        if self.names.at_end.get() && self.step.trigger == Trigger::AnySucceeded {
            without_trigger(self.site, self.pointer);
        }
        let when = self.when();
        let (fan_out, wrong) = self.fan_out(when.as_ref());
        *self.rest = Rest::of(when.as_ref(), fan_out.as_ref(), self.names, self.scope);
        results::fan_out(self.site, self.names, self.step, self.pointer, &wrong);
        let save = self.save();
        let cache = self.cache();
        let expect = self.expect();
        let retry = self.retry();
        let (work, mut warnings) = self.work(self.step, self.pointer, self.pointer, found);
        let mut fallback = Vec::with_capacity(instead.len());
        for (place, (whole, found)) in instead.iter().zip(found_instead).enumerate() {
            let entry = &self.step.fallback[place];
            let own = self.pointer.join("fallback").join(place);
            let verb = if entry.verb.is_some() { own.clone() } else { self.pointer.clone() };
            let inputs = if entry.inputs.is_some() || entry.verb.is_some() && whole.inputs.is_empty() {
                own
            } else {
                self.pointer.clone()
            };
            let (work, more) = self.work(whole, &verb, &inputs, found);
            warnings += more;
            fallback.push((work, whole.estimate.filter(|_| entry.verb.is_none())));
        }
        let mut reads: Vec<_> = self.edges[first_edge..].iter().map(|edge| edge.needs).collect();
        reads.sort_unstable();
        reads.dedup();
        self.needs();
        let defaults = &self.site.document.workflow.defaults;
        let work = work?;
        let own_credits = credits(&work, self.step.estimate);
        let seconds = match &work {
            Work::Set(_) => Some(0.0),
            Work::Run { .. } | Work::Workflow { .. } => self.step.estimate.and_then(|estimate| estimate.seconds),
        };
        let fallback: Option<Vec<_>> = fallback
            .into_iter()
            .map(|(work, estimate)| {
                let work = work?;
                Some(Alternative { credits: credits(&work, estimate), work })
            })
            .collect();
        let (id, _, _) = self.site.document.workflow.all_steps().nth(self.ix.index())?;
        let on_error = self.step.on_error.or(defaults.on_error).unwrap_or_default();
        let fallback: Vec<Alternative> = fallback?;
        let timeout = self.step.timeout.or(defaults.timeout).map(|timeout| timeout.0);
        let is_workflow = |work: &Work| matches!(work, Work::Workflow { .. });
        let runs_workflow = is_workflow(&work) || fallback.iter().any(|entry| is_workflow(&entry.work));
        Some(PlannedStep {
            path: StepPath::top(id),
            id: id.clone(),
            pointer: self.pointer.clone(),
            finally: false,
            trigger: self.step.trigger,
            handles: on_error == OnError::Continue,
            retry,
            fallback,
            fan_out,
            cache,
            expect,
            work,
            when,
            timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
            timeout_of_workflow: timeout.filter(|_| runs_workflow),
            poll: self.step.poll.or(defaults.poll).map(|poll| poll.0),
            save,
            credits: own_credits,
            seconds,
            reads,
            definition: Digest::of(b""),
            warnings,
        })
    }

    /// Returns what a step does, or what stands in for it; `verb` is where the verb is written, `inputs` what the inputs stand below.
    fn work(&mut self, step: &'a Step, verb: &Pointer, inputs: &Pointer, found: Option<Found>) -> (Option<Work>, u32) {
        let media_objects = found.as_ref().is_some_and(|found| found.takes.operation);
        let is_run = matches!(step.verb, Verb::Run { .. } | Verb::Workflow(_));
        let fitter = Fitter {
            site: self.site,
            names: self.names,
            scope: if is_run { self.filed } else { self.scope },
            step,
            pointer: if matches!(step.verb, Verb::Run { .. }) { inputs } else { verb },
            media_objects: media_objects && is_run,
        };
        let (edges, ix) = (&mut *self.edges, self.ix);
        match &step.verb {
            Verb::Run { name, .. } => {
                let fitted = fitter.fit(found.as_ref(), |place, reads| note(edges, ix, place, reads));
                let operation = fitter.operation(found.as_ref(), |place, reads| note(edges, ix, place, reads));
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
                let inputs = fitter.request(parts, found.as_ref(), |place, reads| note(edges, ix, place, reads));
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
            Verb::Set(map) => (Some(Work::Set(self.set(map, verb))), 0),
            Verb::Workflow(path) => {
                let verb = verb.join("workflow");
                let plan = self.nested.plan(self.site, path, &verb, self.offers, self.to_run);
                let document = self.site.document.workflows.get(path);
                let checker = document.map(|document| self.nested.checker(document));
                let inputs = inputs.join("inputs");
                let run = nested::Run { document, plan, checker, label: path, verb: &verb, inputs: &inputs };
                run.work(&fitter, |place, reads| note(edges, ix, place, reads))
            }
        }
    }

    /// Returns the items, and the places of those that have an error of their own.
    fn fan_out(&mut self, when: Option<&Template>) -> (Option<FanOut>, Vec<Pointer>) {
        let (site, step, pointer) = (self.site, self.step, self.pointer);
        let mut wrong = Vec::new();
        let fan_out = fan_out::compile(site, step, pointer, when, |template, place, spot| {
            if self.template(template, place, spot) {
                wrong.push(place.clone());
            }
        });
        (fan_out, wrong)
    }

    fn cache(&mut self) -> Option<PlannedCache> {
        let defaults = &self.site.document.workflow.defaults;
        let cached = matches!(self.step.verb, Verb::Run { .. } | Verb::Http(_));
        let cache = self.step.cache.as_ref().or(defaults.cache.as_ref()).filter(|cache| cache.enabled && cached)?;
        let key = cache.key.as_ref().map(|key| {
            let own = self.step.cache.is_some();
            let at = if own { self.pointer.clone() } else { Pointer::from_iter(["defaults"]) };
            let pointer = at.join("cache").join("key");
            let (tree, errors) = Tree::compile(&Value::String(key.clone()), &pointer);
            for (place, error) in &errors {
                self.site.tell_template(place, error);
            }
            for (place, template) in tree.templates() {
                self.template(template, place, Spot::CacheKey);
            }
            tree
        });
        Some(PlannedCache { ttl: cache.ttl.map(|ttl| ttl.0), key })
    }

    fn expect(&mut self) -> Vec<Expectation> {
        let Some(value) = &self.step.expect else { return Vec::new() };
        let pointer = self.pointer.join("expect");
        let written: Vec<(&str, Pointer)> = match value {
            Value::String(text) => vec![(text, pointer)],
            Value::Array(items) => {
                let items = items.iter().enumerate();
                items.filter_map(|(index, item)| Some((item.as_str()?, pointer.join(index)))).collect()
            }
            Value::Object(map) => {
                let Some(schema) = map.get("schema") else { return Vec::new() };
                let pointer = pointer.join("schema");
                return match Schema::compile(schema) {
                    Ok(schema) => vec![Expectation::Fits { schema: Arc::new(schema), pointer }],
                    Err(complaint) => {
                        let place = complaint.at.iter().fold(pointer, |place, part| place.join(part));
                        let message = format!("this is no JSON Schema: it {}", complaint.message);
                        let diagnostic = Diagnostic::error(Code::BadExpectation, message);
                        self.site.tell(self.site.at(diagnostic, &At::Value(&place), ""));
                        Vec::new()
                    }
                };
            }
            _ => return Vec::new(),
        };
        let mut expect = Vec::with_capacity(written.len());
        for (text, pointer) in written {
            match Template::expectation(text) {
                Ok(template) => {
                    let wrong = self.template(&template, &pointer, Spot::Expect);
                    // That it waits for itself is told with the graph.
                    let reads_itself = |reference: &Reference| {
                        reference.root == Root::Steps
                            && reference.key().and_then(|id| self.names.by_id.get(id)) == Some(&self.ix)
                    };
                    let of_result =
                        |reference: &Reference| matches!(reference.root, Root::Result(_)) || reads_itself(reference);
                    if !wrong && !template.references().iter().any(of_result) {
                        let message = "this expectation reads nothing of the result".to_owned();
                        let diagnostic = Diagnostic::warning(Code::BadExpectation, message).help(
                            "it is judged when the result is there: `images | length > 0`; `when` decides before",
                        );
                        self.site.tell(self.site.at(diagnostic, &At::Value(&pointer), "the same whatever comes out"));
                    }
                    expect.push(Expectation::Holds { template, pointer });
                }
                Err(errors) => {
                    for error in &errors {
                        self.site.tell_template(&pointer, error);
                    }
                }
            }
        }
        expect
    }

    /// Returns which failures make another attempt: those that are named, else all that can; the words of requests hold for requests alone.
    fn retry(&mut self) -> Option<Retry> {
        let defaults = &self.site.document.workflow.defaults;
        let is_http = matches!(self.step.verb, Verb::Http(_));
        if matches!(self.step.verb, Verb::Set(_)) {
            return None;
        }
        let mut retry = self.step.retry.clone().or_else(|| defaults.retry.clone())?;
        let of_requests = |on: &RetryOn| matches!(on, RetryOn::ServerError | RetryOn::Network);
        if let Some(own) = &self.step.retry
            && !is_http
            && let Some(place) = own.on.iter().position(of_requests)
        {
            let word = if own.on[place] == RetryOn::Network { "network" } else { "server_error" };
            let message = format!("`{word}` is for steps with `http`");
            let help =
                "failures of the transport are tried again within an attempt, for as long as its `timeout` lasts";
            let diagnostic = Diagnostic::error(Code::NoEffect, message).help(help);
            let at = self.pointer.join("retry").join("on").join(place);
            self.site.tell(self.site.at(diagnostic, &At::Value(&at), "not a failure of a job"));
        }
        if retry.on.is_empty() {
            retry.on = vec![RetryOn::JobFailed, RetryOn::Timeout, RetryOn::ExpectationFailed];
            retry.on.extend(is_http.then_some([RetryOn::ServerError, RetryOn::Network]).into_iter().flatten());
        }
        retry.on.retain(|on| is_http || !of_requests(on));
        Some(retry).filter(|retry| retry.attempts > 1)
    }

    /// Checks a template, and says whether something is wrong with it.
    fn template(&mut self, template: &Template, pointer: &Pointer, spot: Spot) -> bool {
        let reads = self.names.check(self.site, template, pointer, spot, Some(self.step));
        render_known(self.site, self.names, self.scope, template, pointer, reads.wrong, spot);
        let wrong = reads.wrong;
        note(self.edges, self.ix, pointer, reads);
        wrong
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

    fn save(&mut self) -> Option<SavePath> {
        let pointer = self.pointer.join("save");
        let text = match self.step.save.as_ref()? {
            Save::Default => return Some(SavePath::OfStep),
            Save::Path(path) => path,
        };
        let (tree, errors) = Tree::compile(&Value::String(text.clone()), &pointer);
        for (place, error) in &errors {
            self.site.tell_template(place, error);
        }
        for (place, template) in tree.templates() {
            self.template(template, place, Spot::Save);
        }
        save::no_path(self.site, text, &pointer);
        if errors.is_empty() {
            save::one_for_all(self.site, self.step, &tree, &pointer);
        }
        Some(SavePath::Template(tree))
    }

    fn set(&mut self, map: &serde_json::Map<String, Value>, verb: &Pointer) -> Tree {
        let pointer = verb.join("set");
        let mut tree = IndexMap::with_capacity(map.len());
        for (key, value) in map {
            let (item, errors) = Tree::compile_entry(key, value, &pointer.join(key));
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

/// Returns what one job of this work costs, as far as anybody says; a workflow's jobs have costs of their own.
fn credits(work: &Work, estimate: Option<crate::spec::Estimate>) -> Option<f64> {
    match work {
        Work::Run { contract, .. } => estimate::credits(contract.contract(), estimate),
        Work::Set(_) | Work::Workflow { .. } => Some(0.0),
    }
}

fn note(edges: &mut Vec<Edge>, step: StepIx, pointer: &Pointer, reads: Reads) {
    for (needs, range) in reads.steps {
        edges.push(Edge { step, needs, pointer: pointer.clone(), range: Some(range) });
    }
}

fn tell_cycle(site: &Site<'_>, cycle: &[Edge]) {
    const SHOWN: usize = 8;
    let name =
        |step: StepIx| site.document.workflow.all_steps().nth(step.index()).map_or("?", |(id, _, _)| id.as_str());
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
    let works =
        steps.iter().flat_map(|step| std::iter::once(&step.work).chain(step.fallback.iter().map(|entry| &entry.work)));
    let mut nested = Vec::new();
    for work in works {
        match work {
            Work::Run { provider, contract, .. } if seen.insert((provider, Arc::as_ptr(contract))) => {
                contracts.push((provider, contract.contract()));
            }
            Work::Workflow { plan, .. } => nested.push(plan.digest),
            Work::Run { .. } | Work::Set(_) => {}
        }
    }
    nested.sort_unstable();
    nested.dedup();
    contracts.sort_by(|a, b| (a.0, &a.1.target).cmp(&(b.0, &b.1.target)));
    let mut inputs: Vec<_> = facts.inputs.iter().collect();
    inputs.sort_by_key(|(name, _)| *name);
    let text = if nested.is_empty() {
        serde_json::to_vec(&(&*document.source.text, inputs, contracts))
    } else {
        serde_json::to_vec(&(&*document.source.text, inputs, contracts, nested))
    };
    Digest::of(&text.expect("these are plain data"))
}
