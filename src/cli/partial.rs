//! `run --only` and `run --from`: a run of some steps, which takes the results of others from an earlier run.
//!
//! Nothing is guessed: a step that another needs has its result in the earlier run, or the command ends before anything is sent. Saved files
//! are copied, within an object store by the store itself, so that the new run's folder is whole by itself.

use std::collections::{BTreeMap, BTreeSet};

use super::{args, context::Context, failure::Failure, history, home::Home, prepare::Prepared};
use crate::{
    artifact::{Earlier, Root, Store},
    diagnostic::nearest,
    journal::{RunFilter, event::SkipReason, state::RunState},
    plan::{Plan, StepIx},
    result::{SavedFile, StepResult, StepStatus},
    run::Taken,
};

/// Returns what a run takes from an earlier one; none where it runs as a whole. Their files are copied to where the run saves.
///
/// # Errors
///
/// Where a step is unknown, there is no earlier run, or it has no result of what a step needs.
pub(crate) fn taken(
    context: &Context,
    home: &Home,
    prepared: &Prepared,
    args: &args::Run,
    store: &Store,
) -> Result<Option<Taken>, Failure> {
    let plan = &prepared.plan;
    let (named, only) = match (args.only.is_empty(), args.from.is_empty()) {
        (true, true) => return Ok(None),
        (false, _) => (steps(plan, &args.only)?, true),
        (true, false) => (steps(plan, &args.from)?, false),
    };
    let earlier = earlier(context, home, plan, args.of.as_deref())?;
    let results = results(&earlier);
    let runs = |ix: StepIx| named.contains(&ix);
    let (runs, left_out) = if only {
        let needed: BTreeSet<_> = named.iter().flat_map(|&ix| plan.needs(ix)).collect();
        let left_out = plan.indexes().filter(|ix| !runs(*ix) && !needed.contains(ix)).collect();
        (named, left_out)
    } else {
        let mut runs = named;
        let mut rest: Vec<_> = runs.iter().copied().collect();
        while let Some(ix) = rest.pop() {
            rest.extend(plan.dependents(ix).filter(|next| runs.insert(*next)));
        }
        // It follows from every step, though it may mention none.
        runs.extend(plan.indexes().filter(|ix| plan.step(*ix).finally));
        // What the earlier run did not come to, and nobody needs for the rest, is run too. So is what its own `when` kept from running: it is
        // judged anew.
        let missing: Vec<_> = plan.indexes().filter(|ix| !results.contains_key(plan.step(*ix).id.as_str())).collect();
        let rest = runs.iter().filter(|ix| !plan.step(**ix).finally);
        let needed: BTreeSet<_> = rest.flat_map(|&ix| plan.needs(ix)).collect();
        let skipped = |ix: &StepIx| {
            let before = earlier.position(&plan.step(*ix).path).map(|ix| earlier.step(ix));
            before.is_some_and(|step| step.skipped == Some(SkipReason::When))
        };
        runs.extend(missing.into_iter().filter(|ix| !needed.contains(ix) || skipped(ix)));
        (runs, BTreeSet::new())
    };
    let mut taken = Taken { of: Some(earlier.run), results: BTreeMap::new(), left_out: BTreeSet::new() };
    for ix in plan.indexes().filter(|ix| !runs.contains(ix)) {
        let step = plan.step(ix);
        if left_out.contains(&ix) {
            taken.left_out.insert(step.path.clone());
            continue;
        }
        let Some(result) = results.get(step.id.as_str()) else {
            let needs = runs.iter().find(|other| plan.needs(**other).any(|needed| needed == ix));
            let who = needs.map_or_else(String::new, |other| format!(", which `{}` needs,", plan.step(*other).id));
            return Err(Failure::usage(format!("step `{}`{who} has no result in run {}", step.id, earlier.run))
                .help("name an earlier run with `--of RUN`, or run this step too"));
        };
        let before = earlier.position(&step.path).and_then(|ix| earlier.step(ix).brief.definition);
        if before != Some(step.definition) {
            context.printer.note(&format!(
                "note: step `{}` has changed since run {}: its earlier result is taken all the same",
                step.id,
                earlier.run.short()
            ));
        }
        let mut result = result.clone();
        prepared.backend.block_on(copy(&home.artifacts_of(&earlier), &earlier, &mut result, store))?;
        taken.results.insert(step.path.clone(), result);
    }
    Ok(Some(taken))
}

/// Returns the steps of these names.
fn steps(plan: &Plan, names: &[String]) -> Result<BTreeSet<StepIx>, Failure> {
    let find = |name: &String| {
        plan.find(name).ok_or_else(|| {
            let failure = Failure::usage(format!("the workflow has no step `{name}`"));
            let whole = name.split(['.', '[']).next().filter(|whole| whole.len() < name.len());
            if let Some(whole) = whole.filter(|whole| plan.find(whole).is_some()) {
                return failure.help(format!("`{whole}` runs as a whole: name it without its parts"));
            }
            match nearest(name, plan.steps().iter().map(|step| step.id.as_str())) {
                Some(near) => failure.help(format!("did you mean `{near}`?")),
                None => failure,
            }
        })
    };
    names.iter().map(find).collect()
}

/// Finds the run whose results are taken: the one that was named, else the last of this workflow.
fn earlier(context: &Context, home: &Home, plan: &Plan, of: Option<&str>) -> Result<RunState, Failure> {
    if let Some(name) = of {
        let (_, state) = history::find_in(context, home, name)?;
        return Ok(state);
    }
    let workflow = &plan.document.workflow.name;
    let none = || {
        Failure::usage(format!("there is no earlier run of `{workflow}` to take results from"))
            .help("run it as a whole first, or name a run with `--of RUN`")
    };
    let history = history::open(home)?.ok_or_else(none)?;
    let filter = RunFilter { workflow: Some(workflow.clone()), limit: 1, ..RunFilter::default() };
    let rows = history.runs(&filter).map_err(|error| Failure::journal("list the runs", &error))?;
    history::fold(&history, rows.first().ok_or_else(none)?.run)
}

/// Returns the results of a run that can be taken: of steps that succeeded.
fn results(state: &RunState) -> BTreeMap<&str, StepResult> {
    let own = (0..).zip(state.own());
    let good = own.filter(|(_, step)| step.status() == Some(StepStatus::Succeeded));
    good.filter_map(|(ix, step)| Some((step.path.as_str(), state.result(ix)?))).collect()
}

/// Copies the files of a result, and of its items, to where the new run saves.
async fn copy(root: &Root, earlier: &RunState, result: &mut StepResult, store: &Store) -> Result<(), Failure> {
    let root = root.of_run(earlier.run);
    let step = result.step.clone();
    // A fan-out's files are those of its items.
    let files: Vec<&mut SavedFile> = match &mut result.items {
        Some(items) => items.iter_mut().flatten().flat_map(|item| &mut item.files).collect(),
        None => result.files.iter_mut().collect(),
    };
    for file in files {
        let copied = store.take(&Earlier { root: root.clone(), file: file.clone() }).await;
        *file = copied.map_err(|error| {
            Failure::machine("take over a file", &error)
                .help(format!("step `{step}` saved it in run {}: run this step too", earlier.run))
        })?;
    }
    if let Some(items) = &result.items {
        result.files = items.iter().flatten().flat_map(|item| item.files.iter().cloned()).collect();
    }
    Ok(())
}
