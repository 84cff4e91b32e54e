//! What a run begins with: the lanes of its providers, the first event, and what every template may read.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Bounds, Execution, RunError, files::Media};
use crate::{
    id::RunId,
    job::Target,
    journal::{
        Definition, Journal,
        event::{Limit, RunStarted, StepBrief},
        state::FORMAT,
    },
    plan::{Plan, StepIx, Work},
    provider::{
        Promises, Provider,
        web::{self, Web},
    },
    run::{limits::Limiter, poll::Poller, settle::GRACE},
    template::{Root, Scope},
    world::World,
};

/// How long a step is expected to take of which nothing is known, for its rank.
const UNKNOWN_SECONDS: f64 = 10.0;

/// One provider with what belongs to its key.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) provider: Arc<dyn Provider>,
    pub(super) promises: Promises,
    /// Most jobs in flight.
    pub(super) most_jobs: usize,
    pub(super) limiter: Limiter,
    pub(super) poller: Poller,
    pub(super) media: Media,
    /// The name under which durations are kept: what one emulator teaches holds for the next, though each has another port. Claims are kept under
    /// the URL itself, since each emulator gives the same ids to other jobs.
    pub(super) known_as: String,
    pub(super) learned: HashMap<Target, Duration>,
    /// How long an accepted job may take to be listed.
    pub(super) settle_grace: Duration,
    /// Whether its absence after that proves that it was not accepted.
    pub(super) absence_proves: bool,
    /// What all runs may spend through it in a day.
    pub(super) per_day: Limit,
}

/// Makes the lanes of all providers that the plan names.
pub(super) fn lanes(
    world: &World,
    plan: &Plan,
    mut providers: BTreeMap<String, Arc<dyn Provider>>,
    bounds: &BTreeMap<String, Bounds>,
    sandbox: bool,
    journal: &Journal,
) -> Result<BTreeMap<String, Lane>, RunError> {
    let mut lanes: BTreeMap<String, Lane> = BTreeMap::new();
    for step in plan.steps() {
        let Work::Run { provider: name, contract, .. } = &step.work else { continue };
        if !lanes.contains_key(name) {
            let provider = match providers.remove(name) {
                Some(provider) => provider,
                None if name == web::ALIAS => {
                    let secrets = plan.secrets.values().chain(plan.secret_inputs.values()).cloned();
                    Arc::new(Web::new(secrets, sandbox, world.clone())?)
                }
                None => return Err(RunError::Provider(name.clone())),
            };
            let known_as = if sandbox { "sandbox".to_owned() } else { provider.base_url().to_owned() };
            let promises = provider.promises();
            let (now, bounds) = (world.now(), bounds.get(name).copied().unwrap_or_default());
            let paced = bounds.rate.or(promises.rate).map(|rate| Limiter::paced(rate, now));
            let (mut limiter, poller, learned) = (paced.unwrap_or_default(), Poller::default(), HashMap::new());
            let media = Media::new(plan.files.fresh());
            let most_jobs = bounds.jobs.map_or(usize::MAX, |jobs| jobs as usize);
            if let Some(rate) = provider.rate() {
                limiter.answered(&rate, None, promises.default_retry_after, now);
            }
            let settle_grace = bounds.settle_grace.or(promises.settle_grace).unwrap_or(GRACE);
            let lane = Lane {
                provider,
                promises,
                most_jobs,
                limiter,
                poller,
                media,
                known_as,
                learned,
                settle_grace,
                absence_proves: promises.settle_grace.is_some() && !bounds.ask,
                // The emulator takes nobody's credits.
                per_day: if sandbox { Limit::default() } else { bounds.per_day },
            };
            lanes.insert(name.clone(), lane);
        }
        let lane = lanes.get_mut(name).expect("it was just made");
        let target = &contract.contract().target;
        if !lane.learned.contains_key(target)
            && let Some(seconds) = journal.learned(&lane.known_as, target)?
        {
            lane.learned.insert(target.clone(), Duration::try_from_secs_f64(seconds).unwrap_or_default());
        }
    }
    Ok(lanes)
}

/// Returns the first event: what a reader of the journal needs to know of the plan.
pub(super) fn started(execution: &Execution, lanes: &BTreeMap<String, Lane>) -> RunStarted {
    let Execution { plan, journal, .. } = execution;
    let known = |ix: StepIx| {
        let step = plan.step(ix);
        let learned = match &step.work {
            Work::Run { provider, contract, .. } => lanes[provider].learned.get(&contract.contract().target),
            Work::Set(_) => Some(&Duration::ZERO),
        };
        learned.map(Duration::as_secs_f64).or(step.seconds)
    };
    let ranks = plan.ranks(|ix| known(ix).unwrap_or(UNKNOWN_SECONDS));
    let steps = plan
        .steps()
        .iter()
        .zip(0..)
        .zip(ranks)
        .map(|((step, ix), rank)| {
            let (verb, target, provider) = match &step.work {
                Work::Run { provider, contract, label, .. } => {
                    (contract.contract().target.kind.verb(), label.clone(), Some(provider.clone()))
                }
                Work::Set(_) => ("set", String::new(), None),
            };
            StepBrief {
                step: step.path.clone(),
                verb: verb.to_owned(),
                target,
                provider,
                needs: plan.needs(StepIx(ix)).map(|StepIx(need)| need).collect(),
                rank: rank_of(rank),
                credits: step.credits,
                seconds: known(StepIx(ix)),
                definition: Some(step.definition),
            }
        })
        .collect();
    let mut inputs = plan.inputs.clone();
    for (name, secret) in &plan.secret_inputs {
        inputs.insert(name.clone(), json!({"$secret": journal.digest(secret.expose().as_bytes())}));
    }
    let workflow = &plan.document.workflow;
    RunStarted {
        format: FORMAT,
        workflow: workflow.name.clone(),
        file: execution.file.clone(),
        plan: plan.digest,
        labels: workflow.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        inputs,
        concurrency: plan.concurrency,
        sandbox: execution.sandbox,
        definition: execution.definition.as_ref().map(Definition::digest),
        budget: execution.budget,
        group: execution.group.as_ref().map(|group| group.name.clone()),
        artifacts: Some(execution.artifacts.display().to_string()),
        of: execution.taken.as_ref().and_then(|taken| taken.of),
        steps,
    }
}

/// Returns a rank in whole milliseconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
fn rank_of(seconds: f64) -> u64 {
    (seconds * 1000.0).clamp(0.0, 1e15) as u64
}

/// Returns what every template of the run may read.
#[must_use]
pub fn scope(plan: &Plan, run: RunId, at: Timestamp) -> Scope {
    let mut inputs = plan.inputs.clone();
    for (name, secret) in &plan.secret_inputs {
        inputs.insert(name.clone(), Value::String(secret.expose().to_owned()));
    }
    let facts = json!({"id": run, "name": plan.document.workflow.name, "started_at": format!("{at:.3}")});
    let hidden = plan.secret_inputs.values().fold(Scope::new(), |scope, secret| scope.hide(secret.clone()));
    hidden
        .with(Root::Inputs, &Value::Object(inputs))
        .with(Root::Vars, &Value::Object(plan.vars.clone()))
        .without_vars(plan.file_vars.keys().map(String::as_str))
        .with(Root::Run, &facts)
        .with_secrets(&plan.secrets)
}
