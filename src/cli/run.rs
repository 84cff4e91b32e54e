//! `dagwood run`: a workflow file becomes a finished run, attached to this terminal.
//!
//! ```text
//! prepare ─▶ Plan ─▶ preflight ─▶ what is taken from an earlier run ─▶ Execution ─▶ attach
//! ```

use jiff::Timestamp;

use super::{
    args,
    attach::{self, Way},
    context::Context,
    definition,
    failure::{Exit, Failure},
    partial, plan, preflight, prepare,
};
use crate::{
    artifact::Root,
    journal::{Journal, event::Limit},
    plan::{FailurePolicy, Plan},
    run::{Execution, GroupWish},
};

/// Runs a workflow.
pub(crate) fn run(context: &Context, args: &args::Run) -> Result<Exit, Failure> {
    if args.of.is_some() && args.only.is_empty() && args.from.is_empty() {
        return Err(Failure::usage("`--of` says which run's results are taken, and a run of all steps takes none")
            .help("name the steps that run: `--from STEP` with what follows from them, `--only STEP` without"));
    }
    if args.only_plan {
        return plan::run(context, &args.chosen);
    }
    let prepared = prepare::prepare(context, &args.chosen)?;
    preflight::check(context, &prepared);
    let home = &prepared.located.home;
    let artifacts = match &args.artifacts {
        // Relative to where the command is given, not to the project.
        Some(said) => Root::read(said, context.folder()),
        None => home.artifacts(),
    };
    let run = context.world.run_id();
    let store = home.store(&artifacts, run)?;
    let taken = partial::taken(context, home, &prepared, args, &store)?;
    let journal = Journal::open(&home.state()).map_err(|error| Failure::journal("open the journal", &error))?;
    let remotes = &prepared.remotes;
    let execution = Execution {
        providers: remotes.by_alias(&prepared.plan)?,
        bounds: remotes.bounds(),
        staging: prepared.backend.staging(home)?,
        file: prepared.located.path.display().to_string(),
        sandbox: prepared.backend.is_sandbox(),
        budget: budget(&prepared.plan, args.max_credits),
        group: group(&prepared.plan, run, context.world.now())?,
        definition: Some(definition::of(home, &prepared.plan)),
        taken,
        failure_policy: args.keep_going.then_some(FailurePolicy::Continue),
        detach: args.detach,
        ..Execution::new(prepared.plan.clone(), run, journal, artifacts, home.world.clone())
    };
    attach::run(context, &prepared.backend, remotes, &home.state(), execution, Way::Start)
}

/// Returns what a run may spend: the smaller of the workflow's budget and what was said.
pub(crate) fn budget(plan: &Plan, max_credits: Option<f64>) -> Limit {
    let own = Limit::from(plan.budget);
    let credits = match (own.credits, max_credits) {
        (Some(own), Some(said)) => Some(own.min(said)),
        (own, said) => own.or(said),
    };
    Limit { credits, ..own }
}

/// Returns the group of a run that began then.
///
/// # Errors
///
/// Where its template fails.
pub(crate) fn group(plan: &Plan, run: crate::id::RunId, began: Timestamp) -> Result<Option<GroupWish>, Failure> {
    GroupWish::of(plan, run, began).map_err(|(pointer, error)| {
        Failure::Invalid(vec![crate::template::diagnostic(&error, &plan.document.source, &plan.document.map, &pointer)])
    })
}
