//! The last look before a run: whether each account that counts credits has what the plan's jobs cost there.
//!
//! A run may go on with fewer: steps may be skipped, and jobs may cost less than is published. So too few credits are a warning, and an
//! account that does not answer at once is no reason to wait or to stop. Nothing is asked where no cost is known, or where nobody would
//! read the answer (`-q`).

use std::time::Duration;

use super::{
    context::Context,
    prepare::Prepared,
    reading,
    remotes::{Door, Remotes},
};
use crate::{
    plan::estimate::{self, Credits},
    project::Kind,
    report,
};

/// The longest that a run waits for an account: the figure is a service, and no condition.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the accounts that the plan is known to spend credits of, all at a time, and warns of those that have too few.
pub(crate) fn check(context: &Context, prepared: &Prepared) {
    if context.printer.quiet {
        return;
    }
    let costs = estimate::by_provider(&prepared.plan);
    let asked = prepared.remotes.of_plan(&prepared.plan).into_iter().filter_map(|door| {
        let needed = *costs.get(door.alias.as_str())?;
        // AIRMY counts runs and tokens.
        let counts = door.account.kind() != Kind::Airmy;
        (counts && needed.known > 0.0).then_some((door, needed))
    });
    let looks = asked.map(|(door, needed): (&Door, Credits)| async move {
        let left = left(context, &prepared.remotes, door).await?;
        report::too_few_credits(&door.alias, left, needed)
    });
    let looks: Vec<_> = looks.collect();
    if looks.is_empty() {
        return;
    }
    let warnings = prepared.backend.block_on(futures_util::future::join_all(looks));
    reading::tell_warnings(&context.printer, &warnings.into_iter().flatten().collect::<Vec<_>>());
}

/// Returns the credits that an account has, where it counts them and says so at the first asking. Why not is a detail.
pub(crate) async fn left(context: &Context, remotes: &Remotes, door: &Door) -> Option<f64> {
    // One that cannot be reached at all is told of by whoever needs it.
    let remote = remotes.find(door).ok()??;
    let answer = tokio::select! {
        answer = remote.credits_left() => answer,
        () = context.world.sleep(PATIENCE) => {
            context.printer.detail(&format!("the account of `{}` does not answer: its credits are not known", door.alias));
            return None;
        }
    };
    match answer {
        Ok(credits) => credits,
        Err(failure) => {
            context.printer.detail(&reading::sentence(&failure));
            None
        }
    }
}
