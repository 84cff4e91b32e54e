//! The fold: a run's state from its records, live, on resume, in a report and in a test alike.
//!
//! ```text
//! Waiting ─▶ Ready ─▶ Submitting ─▶ Running ─▶ Ended ─▶ Succeeded
//!    │  │      │        ▲     │        │         └────▶ Failed, Cancelled
//!    │  │      │        └─ Retrying ◀──┴─ another attempt, a fallback
//!    │  └─▶ Expanded, Nested ─▶ Succeeded, Failed, Cancelled, when all of its parts are over
//!    └─▶ Skipped
//! ```
//!
//! A submit whose answer is lost, by the network, by a 5xx or by a crash, is `Retrying` and *unsettled*: whether the API accepted it has
//! to be found out before anything else of its class leaves.
//!
//! [`RunState::apply`] is the only way that state changes, and it takes O(out-degree + log n) for one record: a step that is over
//! lowers the `unmet` of its dependents, and what reaches zero is put up for judging. The queues of the [`Agenda`] are heads for
//! `run/decide.rs`: it reads their first entries and never scans the steps. Only `run_resumed` and `plan_changed` look at every step,
//! once a process (`resume`).

mod agenda;
mod parts;
mod resume;
pub mod spending;
mod step;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use jiff::Timestamp;
use serde_json::{Map, Value};

pub use self::{
    agenda::{Agenda, Class},
    parts::{FanOut, Frame},
    step::{Phase, StepState},
};
use self::{
    spending::{Affords, Spending, price},
    step::waiting,
};
use super::cache::Sent;
use super::event::{CancelSource, Event, Record, RunStarted, RunStatus, SettledBy, StepBrief};
use crate::{
    id::{Attempt, RunId, StepPath},
    job::TargetKind,
    result::{ErrorKind, JobFacts, StepError, StepResult, StepStatus},
};

/// The position of a step in a run: of one of the run's own workflow the same as in its plan and in [`RunStarted::steps`]; behind
/// those come the items of fan-outs and the steps of workflows that steps run, as they begin.
pub type StepIndex = u32;

/// The position of a workflow that runs: 0 is the run's own.
pub type FrameIndex = u32;

/// A run, as far as its records go.
#[derive(Clone, Debug, PartialEq)]
pub struct RunState {
    /// The run.
    pub run: RunId,
    /// Its first event.
    pub start: Arc<RunStarted>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was over.
    pub finished_at: Option<Timestamp>,
    /// The time of the last record.
    pub last_at: Timestamp,
    /// The number of the last record.
    pub seq: u64,
    /// How it stands.
    pub status: RunStatus,
    /// Its steps, in the file's order; behind them the parts of those that consist of others.
    pub steps: Vec<StepState>,
    /// The workflows that run: its own, and those of its steps.
    pub frames: Vec<Frame>,
    /// The workflow's outputs, when it succeeded.
    pub outputs: Option<Map<String, Value>>,
    /// Why it failed where no step did.
    pub error: Option<StepError>,
    /// Who wanted it to end.
    pub cancelled_by: Option<CancelSource>,
    /// Whether it leaves its remote jobs running as it ends.
    pub detached: bool,
    /// What is to be done next.
    pub agenda: Agenda,
    /// Warnings, in order.
    pub warnings: Vec<(Option<StepPath>, String)>,
    /// What was spent, and what is held back.
    spending: Spending,
    /// The credits that each step of the run's own workflow was charged, whatever has become of its attempts and parts.
    spent: HashMap<StepPath, f64>,
    /// Whether some workflow that runs has failed, was called off, or has had its time.
    troubled: bool,
    /// Submits that the API accepted.
    submitted: u64,
    /// Providers that wait, and until when.
    limited: BTreeMap<String, Timestamp>,
    index: HashMap<StepPath, StepIndex>,
    /// The steps of the workflows that steps run, shared by all that run them.
    templates: Vec<Vec<Arc<StepBrief>>>,
    /// The last attempts of parts that are not there any more, by their paths.
    used: HashMap<StepPath, Attempt>,
}

/// Says why records are not those of a run.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The first record is something else.
    #[error("a run's records begin with `run_started`")]
    NotStarted,
    /// A record of a format that this release does not know.
    #[error("the run was written by a newer release (format {0})")]
    Format(u32),
    /// A record names a step that the run does not have.
    #[error("record {seq} names the step `{step}`, which the run does not have")]
    UnknownStep {
        /// The record.
        seq: u64,
        /// The step.
        step: String,
    },
    /// A record is missing.
    #[error("record {expected} is missing: {found} follows")]
    Gap {
        /// The number that should have come.
        expected: u64,
        /// The number that came.
        found: u64,
    },
}

/// The version of the journal's format.
pub const FORMAT: u32 = 1;

impl RunState {
    /// Begins a run's state from its first record.
    ///
    /// # Errors
    ///
    /// Where the record is not a `run_started` of a known format.
    pub fn begin(record: &Record) -> Result<Self, FoldError> {
        let Event::RunStarted(start) = &record.event else { return Err(FoldError::NotStarted) };
        if start.format > FORMAT {
            return Err(FoldError::Format(start.format));
        }
        let mut steps: Vec<StepState> = own_steps(start);
        resume::link(&mut steps, 0);
        let index = start.steps.iter().zip(0..).map(|(brief, ix)| (brief.step.clone(), ix)).collect();
        let mut state = Self {
            run: record.run,
            start: Arc::new(start.as_ref().clone()),
            started_at: record.at,
            finished_at: None,
            last_at: record.at,
            seq: record.seq,
            status: RunStatus::Running,
            frames: vec![own_frame(start, record.at)],
            steps,
            outputs: None,
            error: None,
            cancelled_by: None,
            detached: false,
            agenda: Agenda::default(),
            warnings: Vec::new(),
            spending: Spending::default(),
            spent: HashMap::new(),
            troubled: false,
            submitted: 0,
            limited: BTreeMap::new(),
            index,
            templates: parts::templates(start),
            used: HashMap::new(),
        };
        state.rebuild();
        Ok(state)
    }

    /// Folds a whole journal.
    ///
    /// # Errors
    ///
    /// Where the records are not those of one run, in order and without gaps.
    pub fn fold<'a>(records: impl IntoIterator<Item = &'a Record>) -> Result<Self, FoldError> {
        let mut records = records.into_iter();
        let mut state = Self::begin(records.next().ok_or(FoldError::NotStarted)?)?;
        for record in records {
            state.apply(record)?;
        }
        Ok(state)
    }

    /// Applies the next record.
    ///
    /// # Errors
    ///
    /// Where it is not the next one, or names a step that the run does not have; the state is unchanged then.
    pub fn apply(&mut self, record: &Record) -> Result<(), FoldError> {
        if record.seq != self.seq + 1 {
            return Err(FoldError::Gap { expected: self.seq + 1, found: record.seq });
        }
        let ix = match step_of(&record.event) {
            Some(path) => Some(
                self.reach(path).ok_or_else(|| FoldError::UnknownStep { seq: record.seq, step: path.to_string() })?,
            ),
            None => None,
        };
        let before = std::mem::replace(&mut self.last_at, record.at);
        self.seq = record.seq;
        match ix {
            Some(ix) => {
                let anew = self.is_to_begin_anew(ix, &record.event);
                let (before, spent) = (self.steps[ix as usize].is_in_flight(), self.spending.credits);
                self.agenda.leave(ix, &self.steps[ix as usize]);
                self.apply_step(ix, record);
                self.agenda.enter(ix, &self.steps[ix as usize]);
                self.count_in_flight(ix, before);
                self.count_spent(ix, self.spending.credits - spent);
                if anew {
                    self.steps[ix as usize].nested = None;
                    self.bury_parts(ix as usize);
                }
                if matches!(record.event, Event::StepReady { .. }) && self.steps[ix as usize].phase == Phase::Nested {
                    self.begin_workflow(ix, record.at);
                }
            }
            None => self.apply_run(record, before),
        }
        Ok(())
    }

    /// Says whether an event lets what a step consists of begin anew: what stands in for it is another, and where all of it succeeded and the whole
    /// is refused, nothing else could change that.
    fn is_to_begin_anew(&self, ix: StepIndex, event: &Event) -> bool {
        match event {
            Event::RetryScheduled { fallback: Some(_), .. } => true,
            Event::RetryScheduled { failed: Some(error), .. } => self.is_refused_whole(ix, error.kind),
            _ => false,
        }
    }

    /// Counts an item that has come to be in flight, or is no more.
    fn count_in_flight(&mut self, ix: StepIndex, before: bool) {
        let step = &self.steps[ix as usize];
        let after = step.is_in_flight();
        let fan_out = step.item_of.and_then(|fan| self.steps[fan as usize].fan_out.as_mut());
        if let Some(items) = fan_out.filter(|_| before != after) {
            items.in_flight = if after { items.in_flight + 1 } else { items.in_flight - 1 };
        }
    }

    /// Counts credits that a step was charged, or got back.
    fn count_spent(&mut self, ix: StepIndex, credits: f64) {
        if credits != 0.0 {
            *self.spent.entry(self.steps[ix as usize].path.whole()).or_default() += credits;
        }
    }

    fn apply_run(&mut self, record: &Record, before: Timestamp) {
        match &record.event {
            Event::RateLimited { provider, until } => {
                self.limited.insert(provider.clone(), *until);
            }
            Event::RunResumed {} => self.resume(before, record.at),
            Event::PlanChanged(change) => self.change_plan(change),
            Event::CancelRequested { by: CancelSource::Timeout, workflow, .. } => {
                let step = workflow.as_ref().and_then(|path| self.position(path));
                let frame = step.map_or(Some(0), |step| self.steps[step as usize].nested);
                if let Some(frame) = frame {
                    let own = &mut self.frames[frame as usize];
                    if let Some(deadline) = own.deadline() {
                        self.agenda.timeouts.remove(&(deadline, frame));
                    }
                    own.timed_out = true;
                    self.troubled = true;
                }
            }
            Event::CancelRequested { by, detach, .. } => {
                self.cancelled_by = self.cancelled_by.or(Some(*by));
                self.detached = *detach;
                self.troubled = true;
            }
            Event::Warning { step, message } => self.warnings.push((step.clone(), message.clone())),
            Event::RunFinished { status, outputs, error } => {
                self.status = *status;
                self.outputs.clone_from(outputs);
                self.error.clone_from(error);
                self.finished_at = Some(record.at);
            }
            _ => {}
        }
    }

    /// Changes one step, which is in no queue meanwhile.
    fn apply_step(&mut self, ix: StepIndex, record: &Record) {
        let step = &mut self.steps[ix as usize];
        match &record.event {
            Event::StepReady { ended, .. } => {
                step.ended = ended.as_deref().cloned().map(Arc::new).or(step.ended.take());
                if step.brief.workflow.is_some() {
                    step.phase = Phase::Nested;
                    step.began_at = step.began_at.or(Some(record.at));
                    step.fresh = false;
                    return;
                }
                step.phase = Phase::Ready;
                self.spending.begin(&mut step.open);
                (step.job, step.look_at, step.leftover, step.job_error) = (None, None, false, None);
                // Where it starts again, its time begins anew, and that of its key.
                (step.started_at, step.excused, step.retries) = (None, jiff::SignedDuration::ZERO, 0);
            }
            Event::StepExpanded { count, ended, .. } => {
                step.ended = ended.as_deref().cloned().map(Arc::new);
                step.phase = Phase::Expanded;
                step.began_at = step.began_at.or(Some(record.at));
                let max_parallel = step.brief.fan_out.and_then(|fan_out| fan_out.max_parallel);
                step.fan_out = Some(Box::new(FanOut { len: *count, max_parallel, ..FanOut::default() }));
            }
            Event::SubmitIntended { .. }
            | Event::RetryScheduled { .. }
            | Event::SubmitSettled { .. }
            | Event::Submitted { .. }
            | Event::JobObserved { .. } => self.apply_job(ix, record),
            Event::ArtifactSaved { file, .. } => step.files.push(file.clone()),
            Event::StepSkipped { why, .. } => {
                step.skipped = Some(why.clone());
                self.finish_step(ix, StepStatus::Skipped, record.at);
            }
            Event::StepSucceeded { outputs, job, files, cached, given, .. } => {
                step.cached = *cached;
                step.take_given(given);
                if let Some(outputs) = outputs {
                    step.outputs = outputs.value().cloned();
                }
                if let Some(job) = job {
                    step.job = Some(job.as_ref().clone());
                }
                step.files.extend(files.iter().cloned());
                self.finish_step(ix, StepStatus::Succeeded, record.at);
            }
            Event::StepFailed { error, handled, .. } => {
                if error.kind == ErrorKind::SubmitUnknown {
                    // It may have been charged: the budget counts it.
                    step.unsettled |= step.job.is_none();
                    self.spending.doubt(&mut step.open);
                }
                step.error = Some(error.clone());
                step.handled = *handled;
                self.finish_step(ix, StepStatus::Failed, record.at);
            }
            Event::StepCancelled { .. } => self.finish_step(ix, StepStatus::Cancelled, record.at),
            _ => {}
        }
    }

    /// Changes one step by what happened to its submit or its job.
    fn apply_job(&mut self, ix: StepIndex, record: &Record) {
        let step = &mut self.steps[ix as usize];
        match &record.event {
            Event::SubmitIntended {
                attempt,
                class,
                server_at,
                cache,
                provider,
                base_url,
                target,
                inputs,
                operation,
                given,
                ..
            } => {
                step.take_given(given);
                step.sent = cache.as_deref().map(|key| {
                    Arc::new(Sent {
                        key: *key,
                        provider: provider.clone(),
                        base_url: base_url.clone(),
                        target: target.clone(),
                        inputs: inputs.clone(),
                        operation: operation.as_ref().clone(),
                        given: given.clone(),
                    })
                });
                step.phase = Phase::Submitting;
                step.fresh = false;
                step.began_at = step.began_at.or(Some(record.at));
                step.due_at = None;
                step.attempt = Some(*attempt);
                step.class = *class;
                step.server_at = *server_at;
                step.started_at = step.started_at.or(Some(record.at));
                step.intended_at = Some(record.at);
                self.spending.reserve(&mut step.open, price(&step.brief));
            }
            Event::RetryScheduled { due, failed: Some(_), fallback, why, .. } => {
                self.spending.begin(&mut step.open);
                step.attempt_again(*due, *fallback, why);
            }
            Event::RetryScheduled { due, rate_limited, unsettled, why, .. } => {
                step.unsettled |= *unsettled;
                step.unsettled_at = step.unsettled_at.or(Some(record.at)).filter(|_| step.unsettled);
                step.why = Some(why.clone());
                step.phase = Phase::Retrying;
                step.due_at = Some(*due);
                step.retries += 1;
                if *rate_limited {
                    step.excused += due.duration_since(record.at);
                }
            }
            Event::SubmitSettled { how: SettledBy::Absent | SettledBy::Resubmitted, .. } => {
                (step.job, step.look_at) = (None, None);
                // To find out takes the time of whoever asks, not the job's.
                if let Some(since) = step.unsettled_at.take() {
                    step.excused += record.at.duration_since(since);
                }
                (step.phase, step.due_at, step.unsettled) = (Phase::Retrying, Some(record.at), false);
            }
            Event::Submitted { job, state, credits_charged, look_at, .. } => {
                step.look_at.clone_from(look_at);
                // A request of its own is no job.
                self.submitted += u64::from(step.brief.verb != TargetKind::Http.verb());
                self.spending.charge(&mut step.open, *credits_charged);
                step.phase = Phase::Running;
                (step.due_at, step.unsettled, step.why, step.retries) = (None, false, None, 0);
                step.unsettled_at = None;
                step.job = Some(JobFacts {
                    id: job.clone(),
                    provider: step.brief.provider.clone().unwrap_or_default(),
                    status: state.clone(),
                    credits_charged: *credits_charged,
                    tokens_used: None,
                    latency_ms: None,
                    created_at: None,
                    completed_at: None,
                });
            }
            Event::JobObserved { job, outputs, error, .. } => {
                let before = step.job.as_ref();
                let tokens = before.and_then(|job| job.tokens_used);
                let mut job = job.clone();
                job.credits_charged = job.credits_charged.or(before.and_then(|job| job.credits_charged));
                self.spending.observe(&mut step.open, tokens, &job);
                if job.status.is_terminal() && step.phase == Phase::Running {
                    step.phase = Phase::Ended;
                }
                step.job = Some(job);
                step.job_error.clone_from(error);
                if let Some(outputs) = outputs {
                    step.outputs = outputs.value().cloned();
                }
            }
            _ => {}
        }
    }

    fn finish_step(&mut self, ix: StepIndex, status: StepStatus, at: Timestamp) {
        let step = &mut self.steps[ix as usize];
        if matches!(step.phase, Phase::Over(_)) {
            return;
        }
        let good = status == StepStatus::Succeeded || step.handled;
        if !step.may_run() {
            self.spending.release(&mut step.open);
        }
        // What nobody can tell of is for a person to decide, not to be done once more.
        let unknown = step.error.as_ref().is_some_and(|error| error.kind == ErrorKind::SubmitUnknown);
        if step.again && !unknown {
            self.bury_parts(ix as usize);
            let step = &mut self.steps[ix as usize];
            resume::start_again(step);
            step.held = self.frames[step.frame as usize].open > 0;
            return;
        }
        (step.phase, step.due_at, step.ended_at) = (Phase::Over(status), None, Some(at));
        let dependents = std::mem::take(&mut step.dependents);
        for &dependent in &dependents {
            let waiting = &mut self.steps[dependent as usize];
            waiting.unmet -= 1;
            waiting.any_good |= good;
            if !good && waiting.blocker.is_none() {
                waiting.blocker = Some(ix);
            }
            self.agenda.enter_waiting(dependent, waiting);
        }
        self.steps[ix as usize].dependents = dependents;
        self.finish_part(ix, status);
    }

    /// Returns the position of a step.
    #[must_use]
    pub fn position(&self, step: &StepPath) -> Option<StepIndex> {
        self.index.get(step).copied()
    }

    /// Returns a step.
    ///
    /// # Panics
    ///
    /// Where the run has no such position.
    #[must_use]
    pub fn step(&self, ix: StepIndex) -> &StepState {
        &self.steps[ix as usize]
    }

    /// Returns the steps of the run's own workflow, in the file's order.
    #[must_use]
    pub fn own(&self) -> &[StepState] {
        &self.steps[..self.start.steps.len()]
    }

    /// Returns how many steps of the run's own workflow are not over.
    #[must_use]
    pub fn open(&self) -> usize {
        let own = &self.frames[0];
        (own.open + own.open_finally) as usize
    }

    /// Says whether an unhandled failure has happened in the run's own workflow.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.frames[0].failing
    }

    /// Says whether some workflow that runs has failed, was called off, or has had its time; else nothing keeps a step from starting.
    #[must_use]
    pub fn is_troubled(&self) -> bool {
        self.troubled
    }

    /// Returns the workflow whose step this is.
    #[must_use]
    pub fn frame_of(&self, step: &StepState) -> &Frame {
        &self.frames[step.frame as usize]
    }

    /// Returns the result of a step as templates see it, that of a fan-out with those of its items; its files are those of its parts. Outputs
    /// are shared, not copied.
    #[must_use]
    pub fn result(&self, ix: StepIndex) -> Option<StepResult> {
        let step = self.step(ix);
        let result = step.own_result()?;
        if step.nested.is_some() {
            let files = self.leaves_of(ix).into_iter().flat_map(|leaf| leaf.files.iter().cloned()).collect();
            return Some(StepResult { files, ..result });
        }
        let Some(fan_out) = &step.fan_out else {
            // Skipped, or failed before its items were known: its lists are empty, as those of any step without success.
            let fans_out = step.brief.fan_out.is_some() && step.item_of.is_none();
            return Some(StepResult { items: fans_out.then(Vec::new), ..result });
        };
        let mut items: Vec<_> = fan_out.begun.iter().map(|&item| self.result(item)).collect();
        items.resize(fan_out.len as usize, None);
        let files = items.iter().flatten().flat_map(|item| item.files.iter().cloned()).collect();
        Some(StepResult { node_outputs: Arc::default(), files, items: Some(items), ..result })
    }

    /// Returns the parts of a step that are no whole of others themselves, in the order in which they began; the step alone where it has none.
    #[must_use]
    pub fn leaves_of(&self, ix: StepIndex) -> Vec<&StepState> {
        let step = self.step(ix);
        let parts: Vec<StepIndex> = match (&step.fan_out, step.nested) {
            (Some(items), _) => items.begun.clone(),
            (None, Some(frame)) => {
                let Frame { base, len, .. } = self.frames[frame as usize];
                (base..base + len).collect()
            }
            (None, None) => return vec![step],
        };
        parts.into_iter().flat_map(|part| self.leaves_of(part)).collect()
    }

    /// Returns the steps that are no whole of others, in the order in which they began: those that have jobs, requests and files.
    pub fn leaves(&self) -> impl Iterator<Item = &StepState> {
        self.steps.iter().filter(|step| !step.gone && step.fan_out.is_none() && step.nested.is_none())
    }

    /// Returns the credits that a step of the run's own workflow was charged, over all of its attempts and parts, less those of failed jobs.
    #[must_use]
    pub fn spent_on(&self, step: &StepPath) -> f64 {
        self.spent.get(step).copied().unwrap_or_default()
    }

    /// Returns the credits spent so far: what accepted jobs cost, less those of failed jobs, which the API gives back.
    #[must_use]
    pub fn credits(&self) -> f64 {
        self.spending.credits
    }

    /// Returns the tokens used so far.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.spending.tokens
    }

    /// Returns what was spent and what is held back.
    #[must_use]
    pub fn spending(&self) -> &Spending {
        &self.spending
    }

    /// Says whether the submit of a step may leave under the run's budget.
    #[must_use]
    pub fn affords(&self, ix: StepIndex) -> Affords {
        self.spending.affords(&self.start.budget, self.step(ix).price())
    }

    /// Returns how many submits the API accepted.
    #[must_use]
    pub fn submitted(&self) -> u64 {
        self.submitted
    }

    /// Returns until when a provider waits after a 429, as last recorded.
    #[must_use]
    pub fn limited_until(&self, provider: &str) -> Option<Timestamp> {
        self.limited.get(provider).copied()
    }

    /// Says whether a step failed because nobody can tell whether its submit was accepted.
    #[must_use]
    pub fn has_unknown_submit(&self) -> bool {
        self.troubled
            && self.leaves().any(|step| {
                let kind = step.error.as_ref().map(|error| error.kind);
                step.status() == Some(StepStatus::Failed) && kind == Some(ErrorKind::SubmitUnknown)
            })
    }

    /// Returns the failed steps of the run's own workflow whose failure is not handled, in the file's order.
    pub fn failed(&self) -> impl Iterator<Item = &StepState> {
        self.own().iter().filter(|step| step.status() == Some(StepStatus::Failed) && !step.handled)
    }
}

/// Returns the steps of the run's own workflow, none of which has begun.
fn own_steps(start: &RunStarted) -> Vec<StepState> {
    let step = |brief: &StepBrief| {
        let path = brief.step.clone();
        StepState { held: brief.finally, ..waiting(Arc::new(brief.clone()), path) }
    };
    start.steps.iter().map(step).collect()
}

/// Returns the run's own frame; its counts are made by [`RunState::rebuild`].
fn own_frame(start: &RunStarted, at: Timestamp) -> Frame {
    Frame {
        step: None,
        base: 0,
        len: StepIndex::try_from(start.steps.len()).expect("a plan has fewer than 2^32 steps"),
        open: 0,
        open_finally: 0,
        failing: false,
        timed_out: false,
        began_at: at,
        timeout_ms: start.timeout_ms,
        failure_policy: start.failure_policy,
    }
}

/// Returns the step that an event changes; a warning changes none.
fn step_of(event: &Event) -> Option<&StepPath> {
    match event {
        Event::StepReady { step, .. }
        | Event::StepExpanded { step, .. }
        | Event::StepSkipped { step, .. }
        | Event::SubmitIntended { step, .. }
        | Event::Submitted { step, .. }
        | Event::JobObserved { step, .. }
        | Event::RetryScheduled { step, .. }
        | Event::SubmitSettled { step, .. }
        | Event::ArtifactSaved { step, .. }
        | Event::StepSucceeded { step, .. }
        | Event::StepFailed { step, .. }
        | Event::StepCancelled { step, .. } => Some(step),
        Event::RunStarted(_)
        | Event::RunWaiting { .. }
        | Event::RunResumed {}
        | Event::PlanChanged(_)
        | Event::MediaUploaded { .. }
        | Event::RateLimited { .. }
        | Event::CancelRequested { .. }
        | Event::Warning { .. }
        | Event::RunFinished { .. } => None,
    }
}
