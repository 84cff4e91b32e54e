//! `dagwood resume` and `dagwood cancel`: a run that stopped goes on, or is ended well.
//!
//! ```text
//! journal ─▶ records ─▶ what it was made from ─▶ the same plan ─▶ Execution::resume ─▶ attach
//!                 └── --update: the file as it is now ─▶ another plan ─▶ which steps to run anew
//! ```
//!
//! A run goes on with the text, the project file and the contracts that it started with, whatever has become of the files. Only keys and
//! secrets are those of now.

use std::{collections::HashSet, path::Path, sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    args,
    attach::{self, Way},
    context::Context,
    contracts::Contracts,
    definition,
    failure::{Exit, Failure},
    given::GivenNow,
    history,
    home::Home,
    inputs::Said,
    open::Backend,
    prepare::{self, Prepared},
    printer::Stream,
    reading,
    remotes::Remotes,
    run,
    wants::Wants,
};
use crate::{
    contract::lock,
    diagnostic::Diagnostic,
    id::{RunId, StepPath},
    job::JobHandle,
    journal::{
        Definition, History, Journal,
        event::{Record, RunStatus},
        state::{RunState, StepState},
    },
    plan::{Given, Plan},
    report,
    run::{Execution, Verdict, is_left_running, outputs_by},
    source::Source,
    spec,
};

/// How often it is looked whether a run that was asked to end has ended.
const LOOK: Duration = Duration::from_millis(200);

/// How long `cancel` waits for the process that runs it: its own grace is five seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the journal has of a run.
struct Known {
    home: Home,
    history: History,
    records: Vec<Record>,
    state: RunState,
}

/// A plan that a run goes on with.
struct Revived {
    plan: Arc<Plan>,
    remotes: Remotes,
    backend: Backend,
    home: Home,
    definition: Definition,
}

/// Goes on with a run.
pub(crate) fn resume(context: &Context, args: &args::Resume) -> Result<Exit, Failure> {
    let known = known(context, &args.run)?;
    let verdicts = verdicts(args)?;
    let run = known.state.run;
    if known.history.is_live(run) {
        return Err(attach::owned(run));
    }
    let is_done = known.state.status == RunStatus::Succeeded;
    if is_done && !args.update && verdicts.is_empty() {
        context.printer.note(&format!("run {run} succeeded: there is nothing to go on with"));
        return Ok(Exit::Done);
    }
    let revived = if args.update { updated(context, &known, args)? } else { revive(context, &known, &args.input)? };
    let mut change = None;
    if args.update {
        let rerun = rerun(&known.state, &revived.plan, &revived.backend)?;
        let says_the_same = || outputs_by(&revived.plan, &known.state) == known.state.outputs;
        if is_done && rerun.is_empty() && says_the_same() {
            context
                .printer
                .note(&format!("run {run} succeeded, and nothing has changed: there is nothing to go on with"));
            return Ok(Exit::Done);
        }
        change = Some(rerun);
    }
    let mut budget = known.state.start.budget;
    if args.update {
        budget = run::budget(&revived.plan, args.max_credits);
    } else if let Some(most) = args.max_credits {
        budget.credits = Some(most);
        change.get_or_insert_default();
    }
    let way = Way::GoOn { records: known.records, change, verdicts, to_end: false };
    revived.home.store(&revived.home.artifacts_of(&known.state), run)?;
    let execution = execution(&known.state, &revived, &known.home, budget, args.detach)?;
    attach::run(context, &revived.backend, &revived.remotes, &known.home.state(), execution, way)
}

/// Ends a run: by its own process, where there is one, else here.
pub(crate) fn cancel(context: &Context, args: &args::Cancel) -> Result<Exit, Failure> {
    let known = known(context, &args.run)?;
    let run = known.state.run;
    let journal = open(&known.home)?;
    if known.history.is_live(run) {
        journal.wish_end(run).map_err(|error| Failure::machine("leave word for the run's process", &error))?;
        return wait_for_end(context, &known, &journal);
    }
    if known.state.status != RunStatus::Running && !is_left_running(&known.state) {
        context
            .printer
            .note(&format!("run {run} is over ({}): there is nothing to cancel", known.state.status.as_str()));
        return Ok(Exit::Done);
    }
    let revived = revive(context, &known, &args.input)?;
    let execution = execution(&known.state, &revived, &known.home, known.state.start.budget, false)?;
    let way = Way::GoOn { records: known.records, change: None, verdicts: Vec::new(), to_end: true };
    match attach::run(context, &revived.backend, &revived.remotes, &known.home.state(), execution, way)? {
        // That the run ended so is what was asked for.
        Exit::Failed => Ok(Exit::Done),
        exit => Ok(exit),
    }
}

/// Waits until the process that runs it has ended it.
fn wait_for_end(context: &Context, known: &Known, journal: &Journal) -> Result<Exit, Failure> {
    let run = known.state.run;
    let began = context.world.elapsed();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::machine("wait for the run", &error))?;
    while known.history.is_live(run) {
        if context.world.elapsed().saturating_sub(began) > PATIENCE {
            context.printer.note("the run's process was told, and still ends it");
            return Ok(Exit::Done);
        }
        runtime.block_on(context.world.sleep(LOOK));
    }
    let state = history::fold(&known.history, run)?;
    if state.status == RunStatus::Running {
        // It died before it saw the wish: nobody else will end what it left.
        journal.clear_wish(run).map_err(|error| Failure::machine("take back the word for the run", &error))?;
        return Err(Failure::not_started(format!("the process of run {run} is gone before it ended the run"))
            .help(format!("`dagwood cancel {run}` ends it now")));
    }
    if super::is_json(context) {
        context.printer.json(&report::RunReport::of(&state));
    } else {
        context.printer.result(&report::closing_in(&state, &super::style(context, Stream::Out), None));
    }
    Ok(Exit::Done)
}

fn open(home: &Home) -> Result<Journal, Failure> {
    Journal::open(&home.state()).map_err(|error| Failure::journal("open the journal", &error))
}

fn known(context: &Context, name: &str) -> Result<Known, Failure> {
    let home = context.home()?;
    let (history, run) = history::locate_in(context, &home, name)?;
    let records = history.records(run).map_err(|error| Failure::journal("read the run", &error))?;
    let state = RunState::fold(&records).map_err(|error| history::unfolded(&error))?;
    Ok(Known { home, history, records, state })
}

/// Reads what people say of unknown submits.
fn verdicts(args: &args::Resume) -> Result<Vec<Verdict>, Failure> {
    let step = |text: &str| {
        text.parse::<StepPath>().map_err(|error| {
            Failure::usage(error.to_string()).help("name a step as `show` does; an item of a fan-out as `STEP[3]`")
        })
    };
    let mut verdicts = Vec::new();
    for text in &args.adopt {
        let Some((name, job)) = text.split_once('=').filter(|(_, job)| !job.trim().is_empty()) else {
            return Err(Failure::usage(format!("`--adopt {text}` names no job")).help("write `--adopt STEP=JOB`"));
        };
        verdicts.push(Verdict { step: step(name)?, job: Some(JobHandle(job.trim().to_owned())) });
    }
    for text in &args.resubmit {
        verdicts.push(Verdict { step: step(text)?, job: None });
    }
    Ok(verdicts)
}

/// Makes the plan of a run again from what it was made from.
fn revive(context: &Context, known: &Known, input: &[String]) -> Result<Revived, Failure> {
    let definition = definition_of(known)?;
    let home = match &definition.project {
        Some((path, text)) => Home::of_text(context, path, text)?,
        None => Home::open(context, context.root_of(&definition.path).0, None)?,
    };
    // Paths in the text are relative to its file, wherever this command was started.
    let shown = context.shorten(&definition.path).display().to_string();
    let stem = definition.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
    let source = Arc::new(Source::new(shown, definition.text.as_str()));
    let read = |path: &Path, shown: &str| {
        let kept = definition.workflows.iter().find(|(kept, _)| kept == path);
        let (_, text) = kept.ok_or_else(|| "the run has not kept it".to_owned())?;
        Ok(Arc::new(Source::new(shown, text.as_str())))
    };
    let (document, wrong) = spec::load_with(source, &stem, &definition.path, &read);
    let Some(document) = document.map(Arc::new) else { return Err(Failure::Invalid(wrong)) };

    let given = given(&home, known, &document, input)?;
    let backend = Backend::open(context, &home, known.state.start.sandbox, None)?;
    let hidden =
        given.secrets.values().cloned().chain(prepare::secret_inputs(&document, &given.inputs)).collect::<Vec<_>>();
    for secret in &hidden {
        context.watch.hide(secret);
    }
    let remotes = backend.remotes(context, &home, hidden);
    let mut offers = remotes.offers(Some(&document));
    // Steps that name no provider keep the one that they had, whatever keys are there now.
    let start = &known.state.start;
    let briefs = start.steps.iter().chain(start.workflows.iter().flat_map(|workflow| &workflow.steps));
    let named: HashSet<&str> = briefs
        .flat_map(|brief| {
            brief.provider.iter().chain(brief.fallback.iter().filter_map(|entry| entry.provider.as_ref()))
        })
        .map(String::as_str)
        .collect();
    for offer in &mut offers {
        offer.configured = named.contains(offer.alias.as_str());
    }
    let wants = Wants::of(&document, &offers);
    let locked = Arc::new(Source::new("contracts of the run", definition.contracts.as_str()));
    let locked = lock::read(&locked).map_err(|diagnostic| Failure::Invalid(vec![*diagnostic]))?;
    let mut contracts = Contracts::of(lock::catalogs(locked), &wants);
    contracts.complete(&home, &wants)?;
    let outcome = crate::plan::plan(&document, Some(&given), &contracts.offers(&offers));
    let wrong = crate::plan::beside(&document, wrong, outcome.diagnostics);
    let Some(plan) = outcome.plan.filter(|_| !wrong.iter().any(Diagnostic::is_error)) else {
        return Err(Failure::Invalid(wrong));
    };
    if let Some(door) = remotes.without_key(&wants).next() {
        return Err(Failure::no_key(&door.origin(), &[]));
    }
    Ok(Revived { plan: Arc::new(plan), remotes, backend, home, definition })
}

fn definition_of(known: &Known) -> Result<Definition, Failure> {
    let run = known.state.run;
    let missing = || {
        Failure::usage(format!("run {run} was written by a release that did not keep its text"))
            .help("start it anew with `dagwood run`: what it has finished cannot be taken over")
    };
    let digest = known.state.start.definition.ok_or_else(missing)?;
    let bytes = known.history.blob(&digest).map_err(|error| Failure::journal("read the run", &error))?;
    Definition::read(&bytes.ok_or_else(missing)?).map_err(|error| Failure::machine("read the run", &error))
}

/// Returns the values that the run has; secret inputs, which are not written down, are asked for again.
fn given(home: &Home, known: &Known, document: &spec::Document, input: &[String]) -> Result<Given, Failure> {
    let declared = &document.workflow.inputs;
    let (said, wrong) = Said::read(input, None)?.values(declared, reading::inputs);
    if wrong.iter().any(Diagnostic::is_error) {
        return Err(Failure::Invalid(wrong));
    }
    let journal = open(&known.home)?;
    let mut inputs = serde_json::Map::new();
    for (name, value) in &known.state.start.inputs {
        let Some(declaration) = declared.get(name) else { continue };
        let digest = value.get("$secret").and_then(Value::as_str).filter(|_| declaration.secret);
        let Some(digest) = digest else {
            if said.contains_key(name) {
                return Err(Failure::usage(format!(
                    "`{name}` is no secret: a run keeps the inputs that it started with"
                ))
                .help("`--update` takes new ones, and runs anew what reads them"));
            }
            if !value.is_null() {
                inputs.insert(name.clone(), value.clone());
            }
            continue;
        };
        let Some(value) = said.get(name) else {
            return Err(Failure::usage(format!("the secret input `{name}` is not written down, and is needed again"))
                .help(format!("give it with `-i {name}=…`")));
        };
        let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        if journal.digest(text.as_bytes()).to_string() != digest {
            return Err(Failure::usage(format!("this is not the value of `{name}` that the run started with")));
        }
        inputs.insert(name.clone(), value.clone());
    }
    Ok(Given { inputs, secrets: prepare::secrets(home, document) })
}

/// Makes a plan of the file as it is now, with the run's inputs and what was said besides.
fn updated(context: &Context, known: &Known, args: &args::Resume) -> Result<Revived, Failure> {
    let definition = definition_of(known)?;
    let before = known.state.start.inputs.clone();
    let kept = before.into_iter().filter(|(_, value)| !value.is_null() && value.get("$secret").is_none());
    let name = context.shorten(&definition.path).display().to_string();
    let chosen = args::Chosen {
        workflow: name,
        input: args.input.clone(),
        inputs: None,
        sandbox: known.state.start.sandbox,
        locked: args.locked,
        faults: None,
    };
    let Prepared { plan, remotes, located, backend } = prepare::prepare_with(context, &chosen, kept.collect())?;
    let definition = definition::of(&located.home, &plan);
    Ok(Revived { plan, remotes, backend, home: located.home, definition })
}

/// Returns the steps that run anew with another plan: those whose definition or data changed, and what follows from them.
///
/// # Errors
///
/// Where one of them has a job under way, which nobody would look after any more, or a file that went into a step cannot be read.
fn rerun(state: &RunState, plan: &Plan, backend: &Backend) -> Result<Vec<StepPath>, Failure> {
    let busy = |path: &StepPath| {
        let Some(ix) = state.position(path) else { return false };
        let under_way = |step: &StepState| step.status().is_none() && (step.holds_slot() || step.may_run());
        state.leaves_of(ix).into_iter().any(under_way)
    };
    let refuse = |path: &StepPath, what: &str| {
        Err(Failure::usage(format!("step `{path}` {what}, and a job of it may be under way"))
            .help("go on without `--update` first, or end the run with `dagwood cancel`"))
    };
    let mut given = GivenNow::new(backend);
    let mut changed = vec![false; plan.steps().len()];
    for &ix in plan.order() {
        let step = plan.step(ix);
        let before = state.position(&step.path).map(|ix| state.step(ix).brief.definition);
        let follows = plan.needs(ix).any(|needed| changed[needed.index()]);
        changed[ix.index()] =
            follows || before != Some(Some(step.definition)) || given.has_changed(state, &step.path)?;
    }
    for (step, changed) in plan.steps().iter().zip(&changed) {
        if *changed && busy(&step.path) {
            return refuse(&step.path, "has changed");
        }
    }
    let planned: HashSet<&StepPath> = plan.steps().iter().map(|step| &step.path).collect();
    for step in state.own() {
        let is_gone = !planned.contains(&step.path);
        if is_gone && busy(&step.path) {
            return refuse(&step.path, "is gone from the workflow");
        }
    }
    let changed = plan.steps().iter().zip(changed).filter(|(_, changed)| *changed);
    Ok(changed.map(|(step, _)| step.path.clone()).collect())
}

fn execution(
    state: &RunState,
    revived: &Revived,
    journal_home: &Home,
    budget: crate::journal::event::Limit,
    detach: bool,
) -> Result<Execution, Failure> {
    let run: RunId = state.run;
    let Revived { plan, remotes, backend, home, definition } = revived;
    let artifacts = home.artifacts_of(state);
    Ok(Execution {
        providers: remotes.by_alias(plan)?,
        bounds: remotes.bounds(),
        staging: backend.staging(home)?,
        file: state.start.file.clone(),
        sandbox: state.start.sandbox,
        budget,
        group: run::group(plan, run, state.started_at)?,
        definition: Some(definition.clone()),
        detach,
        ..Execution::new(Arc::clone(plan), run, open(journal_home)?, artifacts, home.world.clone())
    })
}
