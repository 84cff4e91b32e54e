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

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use jiff::Timestamp;
use serde_json::{Map, Value};

use self::spending::{Affords, Open, Spending, price};
pub use self::{
    agenda::{Agenda, Class},
    parts::{FanOut, Frame},
};
use super::cache::Sent;
use super::event::{CancelSource, EndedAs, Event, Record, RunStarted, RunStatus, SettledBy, SkipReason, StepBrief};
use crate::{
    id::{Attempt, Digest, RunId, StepPath},
    job::TargetKind,
    plan::Trigger,
    result::{ErrorKind, JobFacts, SavedFile, StepError, StepResult, StepStatus},
};

/// The position of a step in a run: of one of the run's own workflow the same as in its plan and in [`RunStarted::steps`]; behind
/// those come the items of fan-outs and the steps of workflows that steps run, as they begin.
pub type StepIndex = u32;

/// The position of a workflow that runs: 0 is the run's own.
pub type FrameIndex = u32;

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It waits for other steps.
    Waiting,
    /// It waits for a slot or a rate.
    Ready,
    /// Its submit is under way.
    Submitting,
    /// Its submit is to be sent again, later; an unsettled one is to be settled first.
    Retrying,
    /// Its job runs.
    Running,
    /// Its job is over; what came out is not yet saved.
    Ended,
    /// It runs once for each item.
    Expanded,
    /// It runs a workflow.
    Nested,
    /// It is over.
    Over(StepStatus),
}

/// A step of a run.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each says one thing of a step, and any may hold beside any other")]
pub struct StepState {
    /// Its place in the run.
    pub path: StepPath,
    /// What the journal says of it from the start; after a fallback, what stands in for it.
    pub brief: Arc<StepBrief>,
    /// The same before any fallback.
    pub written: Arc<StepBrief>,
    /// The workflow whose step it is.
    pub frame: FrameIndex,
    /// The fan-out that it is an item of.
    pub item_of: Option<StepIndex>,
    /// Its position among the items.
    pub item: Option<u32>,
    /// Its items, once they are known.
    pub fan_out: Option<Box<FanOut>>,
    /// The workflow that it runs, once it has begun.
    pub nested: Option<FrameIndex>,
    /// Which entry of `fallback` it has come to, from 1; 0: none.
    pub fallback: u32,
    /// How many attempts failed, since the last fallback.
    pub failed_attempts: u32,
    /// Whether its next submit is another attempt.
    pub fresh: bool,
    /// What its latest submit sent, where its result may be reused.
    pub sent: Option<Arc<Sent>>,
    /// Of a step of `finally`: how its workflow had ended when it began.
    pub ended: Option<Arc<EndedAs>>,
    /// When its first attempt began.
    pub began_at: Option<Timestamp>,
    /// Where it stands.
    pub phase: Phase,
    /// Which attempt it is at, or was last at; none before the first.
    pub attempt: Option<Attempt>,
    /// When the first submit of this attempt was intended.
    pub started_at: Option<Timestamp>,
    /// When the latest submit was intended.
    pub intended_at: Option<Timestamp>,
    /// How long it has waited because the API said so, since `started_at`.
    pub excused: jiff::SignedDuration,
    /// When its submit is to be sent again.
    pub due_at: Option<Timestamp>,
    /// Whether the API may have accepted an earlier sending of its submit.
    pub unsettled: bool,
    /// What came in place of the answer to its latest submit.
    pub why: Option<String>,
    /// Since when it is to be found out whether its submit was accepted.
    pub unsettled_at: Option<Timestamp>,
    /// What it shares with the submits that the API could not tell from its own.
    pub class: Option<Digest>,
    /// The API's time at its latest intent.
    pub server_at: Option<Timestamp>,
    /// Whether its job is one of before a resume that may still run: without a result from it, the step starts again.
    pub leftover: bool,
    /// How often its submit was put off in a row.
    pub retries: u32,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// The job behind it.
    pub job: Option<JobFacts>,
    /// Where the API said that the job can be seen.
    pub look_at: Option<String>,
    /// What the API said of a failed job.
    pub job_error: Option<String>,
    /// What came out, by node.
    pub outputs: Option<Arc<Map<String, Value>>>,
    /// What was saved.
    pub files: Vec<SavedFile>,
    /// Why it failed.
    pub error: Option<StepError>,
    /// Whether the failure counts as handled.
    pub handled: bool,
    /// Whether its result is that of an equal submit of before (`cache`).
    pub cached: bool,
    /// Why it was skipped.
    pub skipped: Option<SkipReason>,
    /// What it has open in the run's account.
    open: Open,
    /// The needed steps that are not over.
    unmet: u32,
    /// The first needed step that ended without success.
    blocker: Option<StepIndex>,
    /// Whether some needed step succeeded, or failed and was handled.
    any_good: bool,
    /// Whether it waits until all but `finally` is over.
    held: bool,
    /// Whether it is to run once more when it is over: a step of `finally` whose job was under way when the run went on.
    again: bool,
    /// Whether it is no part of the run any more: what it was a part of began anew.
    pub gone: bool,
    dependents: Vec<StepIndex>,
}

impl StepState {
    /// Returns how the step ended, if it has.
    #[must_use]
    pub fn status(&self) -> Option<StepStatus> {
        match self.phase {
            Phase::Over(status) => Some(status),
            _ => None,
        }
    }

    /// Returns what kind of target the step runs, if any.
    #[must_use]
    pub fn kind(&self) -> Option<TargetKind> {
        TargetKind::of_verb(&self.brief.verb)
    }

    /// Returns the needed step because of which this one cannot run.
    #[must_use]
    pub fn blocker(&self) -> Option<StepIndex> {
        self.blocker
    }

    /// Says whether what `trigger` asks of the needed steps does not hold, now that all of them are over.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        // `finally` runs whatever happened.
        !self.brief.finally
            && self.blocker.is_some()
            && match self.brief.trigger {
                Trigger::AllSucceeded => true,
                Trigger::AllDone => false,
                Trigger::AnySucceeded => !self.any_good,
            }
    }

    /// Says whether it has begun: an attempt of it was made, or it is a part of what has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.fallback > 0 || self.failed_attempts > 0 || self.item_of.is_some()
    }

    /// Returns the number of its next submit: the same one while it is sent again because nothing had happened, or nothing is known.
    #[must_use]
    pub fn next_attempt(&self) -> Attempt {
        match (self.phase, self.attempt) {
            (_, None) => Attempt::FIRST,
            (Phase::Retrying | Phase::Submitting, Some(attempt)) if !self.fresh => attempt,
            (_, Some(Attempt(number))) => Attempt(number + 1),
        }
    }

    /// Says whether it holds a slot: its job runs, or may run.
    #[must_use]
    pub fn holds_slot(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Ended) || self.is_unanswered()
    }

    /// Says whether a submit of it has no answer.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        self.phase == Phase::Submitting || self.is_unsettled()
    }

    /// Says whether it has to be found out whether its submit was accepted.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        self.phase == Phase::Retrying && self.unsettled
    }

    /// Returns what its job will cost, in credits; none where nobody knows.
    #[must_use]
    pub fn price(&self) -> Option<f64> {
        price(&self.brief)
    }

    /// Returns what was charged or is held back for it.
    #[must_use]
    pub fn paid(&self) -> f64 {
        self.open.total()
    }

    /// Says whether the job that it names may still run, as far as is known.
    #[must_use]
    pub fn may_run(&self) -> bool {
        self.job.as_ref().is_some_and(|job| !job.status.is_terminal())
    }

    /// Says whether something of it is under way, or must be settled on a resume.
    fn is_under_way(&self) -> bool {
        let unknown = self.error.as_ref().is_some_and(|error| error.kind == ErrorKind::SubmitUnknown);
        match self.phase {
            Phase::Submitting | Phase::Retrying | Phase::Running | Phase::Ended | Phase::Expanded | Phase::Nested => {
                true
            }
            Phase::Over(StepStatus::Failed | StepStatus::Cancelled) => {
                self.may_run()
                    || unknown && self.job.is_none() && self.brief.workflow.is_none() && self.fan_out.is_none()
            }
            Phase::Waiting | Phase::Ready | Phase::Over(_) => false,
        }
    }

    /// Returns the steps that wait for this one.
    #[must_use]
    pub fn dependents(&self) -> &[StepIndex] {
        &self.dependents
    }

    /// Ends an attempt that failed, with another one to come, or what stands in for the step.
    fn attempt_again(&mut self, due: Timestamp, fallback: Option<u32>, why: &str) {
        (self.job, self.look_at, self.leftover, self.job_error) = (None, None, false, None);
        (self.outputs, self.files) = (None, Vec::new());
        (self.started_at, self.excused, self.retries) = (None, jiff::SignedDuration::ZERO, 0);
        (self.unsettled, self.unsettled_at, self.class) = (false, None, None);
        (self.phase, self.due_at, self.fresh) = (Phase::Retrying, Some(due), true);
        self.why = Some(why.to_owned());
        if let Some(entry) = fallback {
            self.brief = Arc::new(self.written.fallen_back(entry));
            // What it ran before is another workflow.
            (self.fallback, self.failed_attempts, self.nested) = (entry, 0, None);
        } else {
            self.failed_attempts += 1;
        }
    }

    fn own_result(&self) -> Option<StepResult> {
        let status = self.status()?;
        let succeeded = status == StepStatus::Succeeded;
        let outputs = if succeeded { self.outputs.as_deref().cloned() } else { None };
        Some(StepResult {
            step: self.path.id(),
            kind: self.kind(),
            status,
            node_outputs: outputs.unwrap_or_default(),
            job: self.job.clone(),
            files: self.files.clone(),
            error: self.error.clone(),
            items: None,
        })
    }
}

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
                self.agenda.leave(ix, &self.steps[ix as usize]);
                self.apply_step(ix, record);
                self.agenda.enter(ix, &self.steps[ix as usize]);
                if matches!(record.event, Event::RetryScheduled { fallback: Some(_), .. }) {
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
            Event::StepSucceeded { outputs, job, files, cached, .. } => {
                step.cached = *cached;
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
                    self.spending.suspect(&mut step.open);
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
                ..
            } => {
                step.sent = cache.as_deref().map(|key| {
                    Arc::new(Sent {
                        key: *key,
                        provider: provider.clone(),
                        base_url: base_url.clone(),
                        target: target.clone(),
                        inputs: inputs.clone(),
                        operation: operation.clone(),
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

    /// Returns the result of a step as templates see it, that of a fan-out with those of its items. Outputs are shared, not copied, where
    /// they are inline.
    #[must_use]
    pub fn result(&self, ix: StepIndex) -> Option<StepResult> {
        let step = self.step(ix);
        let result = step.own_result()?;
        let Some(fan_out) = &step.fan_out else { return Some(result) };
        let mut items: Vec<_> = fan_out.begun.iter().map(|&item| self.result(item)).collect();
        items.resize(fan_out.len as usize, None);
        let files = items.iter().flatten().flat_map(|item| item.files.iter().cloned()).collect();
        Some(StepResult { node_outputs: Map::new(), files, items: Some(items), ..result })
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

fn waiting(brief: Arc<StepBrief>, path: StepPath) -> StepState {
    StepState {
        path,
        written: Arc::clone(&brief),
        brief,
        frame: 0,
        item_of: None,
        item: None,
        fan_out: None,
        nested: None,
        fallback: 0,
        failed_attempts: 0,
        fresh: false,
        sent: None,
        ended: None,
        began_at: None,
        phase: Phase::Waiting,
        attempt: None,
        started_at: None,
        intended_at: None,
        excused: jiff::SignedDuration::ZERO,
        due_at: None,
        unsettled: false,
        why: None,
        unsettled_at: None,
        class: None,
        server_at: None,
        leftover: false,
        retries: 0,
        ended_at: None,
        job: None,
        look_at: None,
        job_error: None,
        outputs: None,
        files: Vec::new(),
        error: None,
        handled: false,
        cached: false,
        skipped: None,
        open: Open::default(),
        unmet: 0,
        blocker: None,
        any_good: false,
        held: false,
        again: false,
        gone: false,
        dependents: Vec::new(),
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
