//! Builds a plan: every check of a workflow, in the order in which they can say most.
//!
//! Each part takes what it can use of the ones before it and goes on when they failed: a step whose target is unknown still has
//! its templates checked, and its place in the graph.

mod step;
mod vars;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use indexmap::IndexMap;

use self::{
    step::StepBuilder,
    vars::{file_vars, vars},
};
use super::{
    Given, Offer, Outcome, Plan, PlannedStep, Work, budget, definition,
    graph::{Edge, Graph, StepIx},
    group,
    idle::{self, Rest},
    inputs::{self, Facts},
    local,
    nested::Nested,
    notify,
    references::{Names, Spot},
    save, schedule,
    site::{At, Site},
    targets::{Found, Targets},
    types::Type,
    unused,
};
use crate::{
    diagnostic::{Code, Diagnostic, arrange},
    id::{Digest, StepPath},
    source::Pointer,
    spec::{Document, Fallback, Step, Verb, Workflow},
    template::{Files, Scope, Template},
    tree::Tree,
};

/// The most steps of a workflow. Twice what the benches plan; a file beyond it is generated, and better a `foreach`.
pub const LONGEST_PLAN: usize = 200_000;

/// The most parts of the type of an output that those who run the workflow get to know: types of types of types grow.
const MOST_PARTS: usize = 1000;

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
