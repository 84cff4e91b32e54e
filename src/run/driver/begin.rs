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
        event::{FallbackBrief, FanOutBrief, Limit, RetryBrief, RunStarted, StepBrief, WorkflowBrief},
        state::FORMAT,
    },
    plan::{
        Plan, PlannedStep, StepIx, Work, estimate,
        room::{Room, too_large},
    },
    provider::{
        Promises, Provider,
        web::{self, Web},
    },
    result::ErrorKind,
    run::{limits::Limiter, poll::Poller, settle::GRACE},
    source::Pointer,
    spec::{Retry, RetryOn},
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
    for work in plan.all().into_iter().flat_map(Plan::works) {
        let Work::Run { provider: name, contract, .. } = work else { continue };
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
    let all = plan.all();
    let briefs = Briefs { lanes, nested: &all[1..] };
    let steps = briefs.of(plan);
    let workflows = all[1..].iter().map(|plan| {
        let workflow = &plan.document.workflow;
        WorkflowBrief {
            file: plan.document.source.name.clone(),
            failure_policy: workflow.failure_policy,
            timeout_ms: workflow.timeout.map(|timeout| whole_milliseconds(timeout.0)),
            steps: briefs.of(plan),
        }
    });
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
        artifacts: Some(execution.artifacts.to_string()),
        of: execution.taken.as_ref().and_then(|taken| taken.of),
        failure_policy: execution.failure_policy.unwrap_or(workflow.failure_policy),
        timeout_ms: workflow.timeout.map(|timeout| whole_milliseconds(timeout.0)),
        credits: execution.taken.is_none().then(|| estimate::total(plan)),
        steps,
        workflows: workflows.collect(),
    }
}

fn whole_milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Says of plans what a reader of the journal needs to know.
struct Briefs<'a> {
    lanes: &'a BTreeMap<String, Lane>,
    /// The workflows that steps run.
    nested: &'a [&'a Plan],
}

/// The first wait between two attempts, by how much each is longer, and the longest, where `retry.backoff` does not say.
const BACKOFF: (Duration, f64, Duration) = (Duration::from_secs(1), 2.0, Duration::from_mins(1));

impl Briefs<'_> {
    fn of(&self, plan: &Plan) -> Vec<StepBrief> {
        let known = |ix: StepIx| self.seconds(&plan.step(ix).work).or(plan.step(ix).seconds);
        let ranks = plan.ranks(|ix| known(ix).unwrap_or(UNKNOWN_SECONDS));
        let brief = |((step, ix), rank): ((&PlannedStep, u32), f64)| {
            let own = self.part(&step.work, step.credits, known(StepIx(ix)));
            // Those of `finally` wait for all others: what they read of them is there then.
            let needs = plan.needs(StepIx(ix)).filter(|need| !step.finally || plan.step(*need).finally);
            StepBrief {
                step: step.path.clone(),
                verb: own.verb,
                target: own.target,
                provider: own.provider,
                needs: needs.map(|StepIx(need)| need).collect(),
                rank: rank_of(rank),
                credits: own.credits,
                seconds: own.seconds,
                definition: Some(step.definition),
                finally: step.finally,
                trigger: step.trigger,
                handles: step.handles,
                retry: step.retry.as_ref().map(retry),
                fallback: step.fallback.iter().map(|entry| self.part(&entry.work, entry.credits, None)).collect(),
                fan_out: step.fan_out.as_ref().map(|items| FanOutBrief { max_parallel: items.max_parallel }),
                workflow: own.workflow,
                timeout_ms: step.timeout_of_workflow.map(whole_milliseconds),
            }
        };
        plan.steps().iter().zip(0..).zip(ranks).map(brief).collect()
    }

    fn seconds(&self, work: &Work) -> Option<f64> {
        match work {
            Work::Run { provider, contract, .. } => {
                self.lanes[provider].learned.get(&contract.contract().target).map(Duration::as_secs_f64)
            }
            Work::Set(_) => Some(0.0),
            Work::Workflow { plan, .. } => {
                let known = |ix: StepIx| self.seconds(&plan.step(ix).work).or(plan.step(ix).seconds);
                let path = plan.critical_path(|ix| known(ix).unwrap_or_default());
                path.iter().map(|ix| known(*ix)).sum()
            }
        }
    }

    /// Says what one verb does: that of the step, or of what stands in for it.
    fn part(&self, work: &Work, credits: Option<f64>, seconds: Option<f64>) -> FallbackBrief {
        let (provider, workflow) = match work {
            Work::Run { provider, .. } => (Some(provider.clone()), None),
            Work::Set(_) => (None, None),
            Work::Workflow { plan, .. } => {
                let place = self.nested.iter().position(|known| std::ptr::eq(*known, &raw const **plan));
                let place = place.expect("every nested plan is among all");
                (None, Some(u32::try_from(place).expect("there are few workflows")))
            }
        };
        FallbackBrief {
            verb: work.verb().to_owned(),
            target: work.label().to_owned(),
            provider,
            credits,
            seconds: seconds.or_else(|| self.seconds(work)),
            workflow,
        }
    }
}

fn retry(retry: &Retry) -> RetryBrief {
    let (initial, factor, max) = BACKOFF;
    let backoff = retry.backoff.as_ref();
    let kind = |on: &RetryOn| match on {
        RetryOn::JobFailed => ErrorKind::JobFailed,
        RetryOn::Timeout => ErrorKind::Timeout,
        RetryOn::ExpectationFailed => ErrorKind::ExpectationFailed,
        RetryOn::ServerError => ErrorKind::ServerError,
        RetryOn::Network => ErrorKind::Unreachable,
    };
    RetryBrief {
        attempts: retry.attempts,
        on: retry.on.iter().map(kind).collect(),
        initial_ms: whole_milliseconds(backoff.and_then(|backoff| backoff.initial).map_or(initial, |wait| wait.0)),
        factor: backoff.and_then(|backoff| backoff.factor).unwrap_or(factor),
        max_ms: whole_milliseconds(backoff.and_then(|backoff| backoff.max).map_or(max, |wait| wait.0)),
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
    let known = hidden
        .with(Root::Inputs, &Value::Object(inputs))
        .with(Root::Vars, &Value::Object(plan.vars.clone()))
        .without_vars(plan.file_vars.keys().map(String::as_str))
        .with(Root::Run, &facts);
    // What reads `run` could not be rendered before there was one.
    let late =
        plan.var_trees.iter().filter(|(name, _)| !plan.vars.contains_key(*name) && !plan.file_vars.contains_key(*name));
    let mut room = Room::of_vars();
    let whole = late.fold(known, |scope, (name, tree)| {
        let value = tree.render(&scope);
        let value = value.and_then(|value| if room.take(&value) { Ok(value) } else { Err(too_large(Pointer::root())) });
        scope.with_var(name, value.as_ref().map_err(|(_, error)| error))
    });
    whole.with_secrets(&plan.secrets)
}
