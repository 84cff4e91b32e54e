//! `dagwood plan`: what a run would do, before it costs anything.

use super::{
    args::Chosen,
    context::Context,
    failure::{Exit, Failure},
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
    // Nobody pays in the emulator, and without a job nobody pays at all.
    let asks = preview_of_plan.counts.requests > 0;
    let left =
        prepared.remote.as_ref().filter(|_| asks).and_then(|remote| prepared.backend.block_on(remote.credits_left()));
    context.printer.result(&preview::preview(&preview_of_plan, left, &super::style(context, Stream::Out)));
    context.printer.note("nothing was sent");
    Ok(Exit::Done)
}

/// Fills in what the plan knows, and how long its steps took before.
fn preview_of(context: &Context, prepared: &Prepared) -> Preview {
    let learned = learned(context, prepared);
    let seconds = |ix: StepIx| prepared.plan.step(ix).seconds.or_else(|| learned[ix.index()]);
    crate::plan::preview(&prepared.plan, &seconds)
}

/// Returns how long each step's target took in earlier runs. A project without runs gets no state by a mere look.
fn learned(context: &Context, prepared: &Prepared) -> Vec<Option<f64>> {
    let state = context.state(&prepared.located.root);
    let steps = prepared.plan.steps();
    let Some(base_url) = prepared.remote.as_ref().map(|remote| remote.provider.base_url().to_owned()) else {
        return vec![None; steps.len()];
    };
    let base_url = if prepared.backend.is_sandbox() { "sandbox".to_owned() } else { base_url };
    let journal = state.join("state.db").exists().then(|| crate::journal::Journal::open(&state).ok()).flatten();
    let Some(journal) = journal else { return vec![None; steps.len()] };
    steps
        .iter()
        .map(|step| match &step.work {
            Work::Run { contract, .. } => journal.learned(&base_url, &contract.contract().target).ok().flatten(),
            Work::Set(_) => None,
        })
        .collect()
}
