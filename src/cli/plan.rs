//! `dagwood plan`: what a run would do, before it costs anything.

use super::{
    args::Chosen,
    context::Context,
    failure::{Exit, Failure},
    preflight,
    prepare::{self, Prepared},
    printer::Stream,
};
use crate::{
    plan::{Preview, StepIx, Work},
    report::preview,
};

/// Prints what a run would do.
pub(crate) fn run(context: &Context, chosen: &Chosen) -> Result<Exit, Failure> {
    let prepared = prepare::prepare(context, chosen)?;
    let preview_of_plan = preview_of(context, &prepared);
    if super::is_json(context) {
        context.printer.json(&preview_of_plan);
        return Ok(Exit::Done);
    }
    let left = left(context, &prepared);
    context.printer.result(&preview::preview(&preview_of_plan, left, &super::style(context, Stream::Out)));
    context.printer.note("nothing was sent");
    Ok(Exit::Done)
}

/// Returns the credits that are left where one account pays for all; a sum over several would be nobody's.
fn left(context: &Context, prepared: &Prepared) -> Option<f64> {
    let [door] = prepared.remotes.of_plan(&prepared.plan)[..] else { return None };
    prepared.backend.block_on(preflight::left(context, &prepared.remotes, door))
}

/// Fills in what the plan knows, how long its steps took before, and when it starts next by its schedule.
fn preview_of(context: &Context, prepared: &Prepared) -> Preview {
    let learned = learned(prepared);
    let seconds = |ix: StepIx| prepared.plan.step(ix).seconds.or_else(|| learned[ix.index()]);
    let mut preview = crate::plan::preview(&prepared.plan, &seconds);
    for (shown, entry) in preview.schedule.iter_mut().zip(&prepared.plan.schedule) {
        shown.next = entry.next(context.world.now());
    }
    preview
}

/// Returns how long each step's target took in earlier runs. A project without runs gets no state by a mere look.
fn learned(prepared: &Prepared) -> Vec<Option<f64>> {
    let state = prepared.located.home.state();
    let steps = prepared.plan.steps();
    let journal = state.join("state.db").exists().then(|| crate::journal::Journal::open(&state).ok()).flatten();
    let Some(journal) = journal else { return vec![None; steps.len()] };
    let base_url = |alias: &str| {
        if prepared.backend.is_sandbox() {
            return Some("sandbox".to_owned());
        }
        let remote = prepared.remotes.find(prepared.remotes.door(alias)?).ok()??;
        Some(remote.provider.base_url().to_owned())
    };
    steps
        .iter()
        .map(|step| match &step.work {
            Work::Run { provider, contract, .. } => {
                journal.learned(&base_url(provider)?, &contract.contract().target).ok().flatten()
            }
            Work::Set(_) | Work::Workflow { .. } => None,
        })
        .collect()
}
