//! The embedded driver: one loop owns a run.
//!
//! ```text
//!        ┌──────────── decide(state, facts) ───────────┐
//!        │                                             ▼
//!   RunState ◀─ apply ─ Record ◀─ append ─ journal   Actions ─▶ tasks in a JoinSet
//!        ▲                                                        │
//!        └──────────── messages, timers, signals ◀────────────────┘
//! ```
//!
//! Every change is a record: applied to the state, handed to the journal, shown to the observers, in this order. A submit leaves
//! only after its intent is on disk; everything else may be lost and found again by looking. No lock is shared: tasks send messages.

mod answers;
mod begin;
mod cache;
mod execution;
mod expect;
mod files;
mod group;
mod inbox;
mod notify;
mod parts;
mod settle;
mod submit;
mod verdicts;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use tokio::task::{AbortHandle, JoinSet};

pub(super) use self::files::Handed;
use self::{begin::Lane, inbox::Early, settle::Fence};
pub use self::{
    begin::scope as scope_of_run,
    execution::{Bounds, Execution, RunError, Signal, Taken, is_left_running},
    group::GroupWish,
    inbox::{Notice, Observation},
    parts::outputs_by,
    verdicts::{Verdict, VerdictError},
};
use super::{
    attempt::{self, CANCEL_GRACE, Settled, Told, Why},
    decide::{Action, Facts, Repeat, UNSETTLED, decide, failure, later, verdict},
    limits::{Purpose, Wait},
    observer::Observer,
    save,
    settle::{MOST_UNANSWERED, Rules},
};
use crate::{
    artifact::{Downloader, Earlier, Store, staging::Staging},
    id::{Attempt, Digest, StepPath},
    job::{Job, JobHandle, JobStatus, Submitted, TargetKind},
    journal::{
        Journal, JournalError, OpenIntent, Ownership,
        event::{CancelSource, Event, Payload, Record, RunStatus, SkipReason},
        state::{FrameIndex, Phase, RunState, StepIndex},
    },
    plan::{Plan, Work},
    provider::{Answer, LocalFile, MediaRef},
    result::{ErrorKind, SavedFile, StepError},
    source::Pointer,
    template::{Scope, Shown, TemplateError},
    world::World,
};

/// How long a job may be unknown to the API right after it was accepted.
const APPEARS_WITHIN: SignedDuration = SignedDuration::from_secs(30);

/// How often in a row a job may be unknown in that time.
const APPEARS_TRIES: u32 = 6;

/// How often in a row a job may not be found where no way to look at one is documented (`apis/aimp.md`).
const BLIND_TRIES: u32 = 3;

/// How often it is looked whether another process wishes the run to end.
const WISHES: Duration = Duration::from_millis(500);

/// How often a display that moves is told the time.
const TICK: Duration = Duration::from_millis(100);

/// What a task tells the loop.
#[derive(Debug)]
pub(super) enum Message {
    Submitted {
        step: StepIndex,
        answer: Box<Answer<Submitted>>,
    },
    Settled {
        step: StepIndex,
        settled: Settled,
        told: Vec<Told>,
    },
    SettledElsewhere {
        /// The step that waits for it.
        step: StepIndex,
        intent: Box<OpenIntent>,
        settled: Settled,
        told: Vec<Told>,
    },
    Examined {
        lane: String,
        path: PathBuf,
        found: Handed<(LocalFile, Digest)>,
    },
    HandedOver {
        lane: String,
        file: Box<LocalFile>,
        digest: Digest,
        result: Handed<MediaRef>,
        told: Vec<Told>,
    },
    Looked {
        lane: String,
        jobs: Vec<(StepIndex, Job)>,
        answer: Box<Answer<Vec<(JobHandle, JobStatus)>>>,
    },
    Ended {
        step: StepIndex,
        why: Why,
        status: Option<Box<JobStatus>>,
        confirmed: bool,
        told: Vec<Told>,
        note: Option<String>,
    },
    Saved {
        step: StepIndex,
        files: Vec<SavedFile>,
        problem: Option<save::Problem>,
    },
    Unwritten(JournalError),
}

/// Sleeps for a time, or for ever.
async fn sleep(world: &World, duration: Option<Duration>) {
    match duration {
        Some(duration) => world.sleep(duration).await,
        None => std::future::pending().await,
    }
}

struct Driver {
    plan: Arc<Plan>,
    world: World,
    journal: Journal,
    _ownership: Ownership,
    store: Arc<Store>,
    staging: Option<Arc<dyn Staging>>,
    /// There where a step saves: building a TLS client takes a while.
    downloader: Option<Downloader>,
    lanes: BTreeMap<String, Lane>,
    state: RunState,
    observers: Vec<Box<dyn Observer>>,
    ticks: bool,
    tasks: JoinSet<Message>,
    submits: HashMap<StepIndex, AbortHandle>,
    fence: Fence,
    early: Early,
    rules: Rules,
    /// Whether a cancelled run leaves its remote jobs running.
    detach: bool,
    acting: BTreeSet<StepIndex>,
    /// Steps that wait for local files to be handed over, and how many.
    waiting: HashMap<StepIndex, usize>,
    /// Steps whose files were handed over anew.
    renewing: HashSet<StepIndex>,
    /// When each attempt's timeout passes; entries of ended attempts are dropped when their time comes.
    deadlines: BTreeSet<(Timestamp, StepIndex)>,
    /// Results as templates see them, made when first read.
    shown: HashMap<StepIndex, Arc<Shown>>,
    /// The items of fan-outs, made when they begin.
    items: HashMap<StepIndex, Arc<Vec<Value>>>,
    /// What the templates of the workflows may read that steps run.
    scopes: HashMap<FrameIndex, Scope>,
    /// Earlier results that are being taken: their files are copied.
    hits: HashMap<StepIndex, cache::Hit>,
    /// Steps whose earlier equal result could not be taken, which run all the same.
    missed: HashSet<StepIndex>,
    /// Steps whose time is over, and whose old job must end before another is submitted.
    overdue: HashSet<StepIndex>,
    /// Why the outputs cannot be rendered, where they cannot; they are rendered before `finally` runs.
    output_failure: Option<StepError>,
    /// Whether it runs against the emulator.
    sandbox: bool,
    /// What every template may read.
    scope: Scope,
    cancelled_at: Option<Timestamp>,
    /// Warnings that were given, so that each is given once.
    warned: HashSet<(StepIndex, String)>,
}

impl Driver {
    /// Applies an event and writes it down.
    fn record(&mut self, mut event: Event) {
        // What is lived is what is written: to the millisecond, and up, so that nothing is sent before its time.
        if let Event::RetryScheduled { due: time, .. } | Event::RateLimited { until: time, .. } = &mut event {
            *time = milliseconds_up(*time);
        }
        // Time in a journal does not go back, whatever the clock does.
        let at = milliseconds(self.world.now()).max(self.state.last_at);
        let record = Record { seq: self.state.seq + 1, at, run: self.state.run, event };
        let begins_again = self.begins_again(&record.event);
        self.state.apply(&record).expect("the driver's own records apply");
        if begins_again {
            self.forget();
        }
        let base_url = match &record.event {
            Event::Submitted { step, .. } | Event::SubmitIntended { step, .. } => {
                self.state.position(step).and_then(|ix| self.lane_name(ix))
            }
            _ => None,
        };
        let base_url = base_url.and_then(|name| self.lanes.get(&name)).map(|lane| lane.provider.base_url().to_owned());
        self.publish(&record, base_url.as_deref());
    }

    /// Says whether a workflow runs again whose steps have results by now.
    fn begins_again(&self, event: &Event) -> bool {
        let Event::StepReady { step, .. } = event else { return false };
        self.state.position(step).is_some_and(|ix| self.state.step(ix).nested.is_some())
    }

    /// Forgets what was made from results that may be others by now, and watches the jobs that go on with a workflow.
    fn forget(&mut self) {
        self.shown.clear();
        self.items.clear();
        self.scopes.clear();
        self.watch_again();
    }

    fn publish(&mut self, record: &Record, base_url: Option<&str>) {
        self.journal.append(record, &self.state, base_url);
        for observer in &mut self.observers {
            observer.record(record, &self.state);
        }
    }

    fn path(&self, ix: StepIndex) -> StepPath {
        self.state.step(ix).path.clone()
    }

    fn lane_name(&self, ix: StepIndex) -> Option<String> {
        self.state.step(ix).brief.provider.clone()
    }

    fn lane_of(&self, ix: StepIndex) -> &Lane {
        let name = self.state.step(ix).brief.provider.as_deref().expect("a step with a job has a provider");
        &self.lanes[name]
    }

    fn lane(&mut self, ix: StepIndex) -> &mut Lane {
        let name = self.state.step(ix).brief.provider.as_deref().expect("a step with a job has a provider");
        self.lanes.get_mut(name).expect("a lane for every provider of the plan was made at the start")
    }

    /// Does everything that can be done now.
    async fn act(&mut self) -> Result<(), RunError> {
        self.expire();
        loop {
            self.unfence();
            let now = self.world.now();
            let permits = self.permits(now)?;
            let grace_over = self.cancelled_at.is_some_and(|at| later(at, CANCEL_GRACE) <= now);
            let facts = Facts { now, permits: &permits, acting: &self.acting, grace_over, detach: self.detach };
            let actions = decide(&self.state, &facts);
            if actions.is_empty() {
                break;
            }
            for action in actions {
                self.perform(action).await?;
            }
            if self.state.status != RunStatus::Running {
                return Ok(());
            }
        }
        self.look();
        Ok(())
    }

    /// Returns how many submits may leave now, by provider.
    fn permits(&mut self, now: Timestamp) -> Result<BTreeMap<String, usize>, RunError> {
        let (state, journal) = (&self.state, &self.journal);
        let mut permits = BTreeMap::new();
        for (name, lane) in &mut self.lanes {
            let agenda = &state.agenda;
            let mut free = lane.most_jobs.saturating_sub(agenda.in_flight_at(name));
            let wanted = agenda.ready.get(name).is_some_and(|queue| !queue.is_empty()) || !agenda.due.is_empty();
            if wanted && lane.absence_proves {
                // So many that a list of the API's latest jobs reaches back to all of them.
                let others = journal.unanswered(lane.provider.base_url(), state.run)?;
                free = free.min(MOST_UNANSWERED.saturating_sub(agenda.unanswered_at(name) + others));
            }
            permits.insert(name.clone(), lane.limiter.available(Purpose::Submit, now).unwrap_or(0).min(free));
        }
        Ok(permits)
    }

    async fn perform(&mut self, action: Action) -> Result<(), RunError> {
        match action {
            Action::Record(event) => self.record(*event),
            Action::Prepare(ix) => self.prepare(ix),
            Action::Submit(ix) => self.submit(ix)?,
            Action::Unaffordable(ix) => self.reuse(ix)?,
            Action::Item(ix) => self.item(ix),
            Action::Collect(ix) => self.collect(ix),
            Action::Settle(ix) => self.settle(ix)?,
            Action::Conclude(ix) => self.conclude(ix),
            Action::Cancel(ix) => self.end(ix, Why::Cancel),
            Action::Abandon(ix) => {
                if let Some(task) = self.submits.remove(&ix) {
                    task.abort();
                    self.lane(ix).limiter.given_up();
                }
                if self.repeat(ix) == Repeat::Harmless {
                    let step = self.path(ix);
                    self.record(Event::StepCancelled { step, confirmed: None });
                    return Ok(());
                }
                self.fail(ix, ErrorKind::SubmitUnknown, UNSETTLED.to_owned());
            }
            Action::Finish => self.finish().await,
        }
        Ok(())
    }

    /// Judges `when` and makes a step ready: its items, its workflow, its files; a `set` is rendered at once.
    fn prepare(&mut self, ix: StepIndex) {
        let step = self.state.step(ix);
        if step.brief.finally && step.frame == 0 {
            self.render_early();
        }
        let scope = self.scope_of(ix);
        let (plan, place) = self.plan_and_step(ix);
        let step = plan.step(place);
        let path = self.path(ix);
        let state = self.state.step(ix);
        let (is_item, begun) = (state.item_of.is_some(), state.fresh || state.fallback > 0);
        let per_item = step.fan_out.as_ref().is_some_and(|items| items.when_per_item);
        // What has begun was judged then.
        if let Some(when) = step.when.as_ref().filter(|_| !begun && is_item == per_item) {
            match when.holds(&scope) {
                Ok(true) => {}
                Ok(false) => {
                    return self.record(Event::StepSkipped { step: path, why: SkipReason::When });
                }
                Err(error) => return self.template_failed(ix, &step.pointer.join("when"), &error),
            }
        }
        if step.fan_out.is_some() && !is_item {
            return self.expand(ix, &scope);
        }
        match self.work(ix).clone() {
            Work::Run { .. } => match self.wants_files(ix, &scope) {
                Ok(true) => {}
                // What is wrong with the inputs is told when they are rendered to be sent.
                Ok(false) | Err(_) => self.ready(ix, path),
            },
            Work::Set(tree) => match tree.render(&scope) {
                Ok(value) => self.finished(ix, Map::from_iter([(step.id.to_string(), value)])),
                Err((pointer, error)) => self.template_failed(ix, &pointer, &error),
            },
            Work::Workflow { plan: inner, inputs, .. } => match self.inner_scope(ix, &inner, &inputs, &scope) {
                Ok(inner) => self.begin_workflow(ix, &path, inner),
                Err(parts::Unfit::Template((pointer, error))) => self.template_failed(ix, &pointer, &error),
                Err(parts::Unfit::Value(message)) => self.fail(ix, ErrorKind::Rejected, message),
            },
        }
    }

    /// Takes the failure of an attempt: another one follows, or what stands in for the step, or its end.
    fn fail(&mut self, ix: StepIndex, kind: ErrorKind, message: String) {
        self.overdue.remove(&ix);
        let event = failure(&self.state, ix, kind, message, self.world.now());
        self.record(event);
    }

    /// Returns `file:line:column` of a place in the workflow of a step.
    fn place(&self, ix: StepIndex, pointer: &Pointer) -> String {
        let document = &self.plan_of(self.state.step(ix).frame).document;
        let position = document.source.position(document.map.value(pointer).start);
        format!("{}:{}:{}", document.source.name, position.line, position.column)
    }

    fn template_failed(&mut self, ix: StepIndex, pointer: &Pointer, error: &TemplateError) {
        let message = self.template_message(ix, pointer, error);
        self.fail(ix, ErrorKind::Template, message);
    }

    fn template_message(&self, ix: StepIndex, pointer: &Pointer, error: &TemplateError) -> String {
        parts::place_message(self.plan_of(self.state.step(ix).frame), pointer, error)
    }

    /// Ends a step whose job is done: what came out is judged, then saved.
    fn conclude(&mut self, ix: StepIndex) {
        let scope = self.scope_of(ix);
        let outputs = self.state.step(ix).outputs.clone().unwrap_or_default();
        if let Some(StepError { kind, message }) = self.unmet(ix, &outputs, &scope) {
            return self.fail(ix, kind, message);
        }
        if self.planned(ix).save.is_none() {
            let step = self.path(ix);
            return self.record(succeeded(step, None));
        }
        let state = self.state.step(ix);
        let (attempt, kind) = (state.attempt.unwrap_or(Attempt::FIRST), state.kind());
        self.save(ix, attempt, kind, outputs, scope, HashMap::new());
    }

    /// Begins to save what came out; `copies` are files that an earlier run saved, by the URLs that they came from.
    fn save(
        &mut self,
        ix: StepIndex,
        attempt: Attempt,
        kind: Option<TargetKind>,
        outputs: Arc<Map<String, Value>>,
        scope: Scope,
        copies: HashMap<String, Earlier>,
    ) {
        let planned = self.planned(ix);
        let job = save::Job {
            step: ix,
            id: planned.id.clone(),
            owner: self.path(ix),
            attempt,
            outputs,
            kind,
            path: planned.save.clone().expect("only a step that saves is saved"),
            scope,
            place: self.place(ix, &planned.pointer.join("save")),
            store: Arc::clone(&self.store),
            downloader: self.downloader.clone().expect("it was made, as a step of the plan saves"),
            copies,
        };
        self.acting.insert(ix);
        self.tasks.spawn(save::save(job, self.journal.clone(), self.world.clone()));
    }

    fn end(&mut self, ix: StepIndex, why: Why) {
        let Some(job) = self.job(ix) else { return };
        let (now, world, journal) = (self.world.now(), self.world.clone(), self.journal.clone());
        let lane = self.lane(ix);
        lane.poller.unwatch(ix);
        // A cancel does not wait for the rate: seconds count, and a job that runs on costs credits.
        lane.limiter.force(now);
        let provider = Arc::clone(&lane.provider);
        self.acting.insert(ix);
        self.tasks.spawn(attempt::end(ix, provider, job, why, journal, world));
    }

    /// Returns the job of a step, as its provider wants it named.
    fn job(&self, ix: StepIndex) -> Option<Job> {
        let step = self.state.step(ix);
        let id = step.job.as_ref()?.id.clone();
        Some(Job { id, target: self.target(ix), look_at: step.look_at.clone() })
    }

    /// Ends the attempts whose timeout has passed. A submit under way has its own end, and so has what is being saved.
    fn expire(&mut self) {
        let now = self.world.now();
        while let Some(&(deadline, ix)) = self.deadlines.first().filter(|&&(deadline, _)| deadline <= now) {
            self.deadlines.remove(&(deadline, ix));
            let step = self.state.step(ix);
            let current = step
                .intended_at
                .is_some_and(|at| later(at, self.planned(ix).timeout) <= later(deadline, Duration::from_millis(1)));
            // It is over by now, or nobody can tell.
            let current = current || self.overdue.contains(&ix);
            let current = current || step.leftover;
            if current && step.phase == Phase::Running && !self.acting.contains(&ix) {
                self.end(ix, Why::Timeout);
            }
        }
    }

    /// Sends the looks that are due, as far as the rate allows.
    fn look(&mut self) {
        let now = self.world.now();
        for (name, lane) in &mut self.lanes {
            while lane.poller.next_due().is_some_and(|due| due <= now)
                && lane.limiter.available(Purpose::Look, now).is_ok()
                && let Some(look) = lane.poller.take(lane.promises.batch_look, now)
            {
                lane.limiter.force(now);
                self.tasks.spawn(attempt::look(name.clone(), Arc::clone(&lane.provider), look.jobs));
            }
        }
    }

    /// Returns how long to sleep when nothing else happens.
    fn wake(&mut self) -> Option<Duration> {
        let now = self.world.now();
        let mut next: Option<Timestamp> = self.deadlines.first().map(|&(deadline, _)| deadline);
        let mut consider = |time: Timestamp| next = Some(next.map_or(time, |next| next.min(time)));
        let slots = (self.state.start.concurrency as usize) > self.state.agenda.in_flight();
        for (name, lane) in &mut self.lanes {
            if let Some(due) = lane.poller.next_due() {
                match lane.limiter.available(Purpose::Look, due.max(now)) {
                    Ok(_) => consider(due),
                    Err(Wait::Until(time)) => consider(time.max(due)),
                    Err(Wait::Answer) => {}
                }
            }
            let ready = self.state.agenda.ready.get(name).is_some_and(|queue| !queue.is_empty());
            let due = self.state.agenda.due.first().is_some_and(|&(due, _)| due <= now);
            if slots
                && (ready || due)
                && let Err(Wait::Until(time)) = lane.limiter.available(Purpose::Submit, now)
            {
                consider(time);
            }
        }
        let agenda = &self.state.agenda;
        if let Some(&(deadline, _)) = agenda.timeouts.first() {
            consider(deadline);
        }
        for queue in [&agenda.due, &agenda.unsettled] {
            if let Some(&(due, _)) = queue.range((now, 0)..).next() {
                consider(due);
            }
        }
        let unanswered = !(agenda.submitting.is_empty() && agenda.due.is_empty() && agenda.unsettled.is_empty());
        if let Some(at) = self.cancelled_at.filter(|_| unanswered || self.detach) {
            consider(later(at, CANCEL_GRACE));
        }
        if let Some(recheck) = self.next_recheck() {
            consider(recheck);
        }
        if self.cancelled_at.is_none() {
            consider(later(now, WISHES));
        }
        if self.ticks {
            consider(later(now, TICK));
        }
        // Tokio's timer counts milliseconds; rounding up keeps the loop from waking just before the time.
        next.map(|next| Duration::try_from(next.duration_since(now)).unwrap_or_default() + Duration::from_micros(100))
    }

    fn tick(&mut self) {
        if !self.ticks {
            return;
        }
        let now = self.world.now();
        let (state, lanes) = (&self.state, &self.lanes);
        let next_look = |ix: StepIndex| {
            let lane = lanes.get(state.step(ix).brief.provider.as_deref()?)?;
            lane.poller.next_look(ix)
        };
        for observer in &mut self.observers {
            observer.tick(state, now, &next_look);
        }
    }

    /// Ends the run where another process wishes it.
    fn heed_wish(&mut self) {
        if self.cancelled_at.is_none() && self.journal.is_wished_to_end(self.state.run) {
            self.cancel(CancelSource::Command);
        }
    }

    /// Renders the outputs once all but `finally` is over: how the run ended depends on it.
    fn render_early(&mut self) -> Option<Map<String, Value>> {
        let plan = Arc::clone(&self.plan);
        if self.output_failure.is_some() || verdict(&self.state) != RunStatus::Succeeded {
            return None;
        }
        match self.outputs_of(0, &plan) {
            Ok(outputs) => Some(outputs),
            Err((pointer, problem)) => {
                let message = parts::place_message(&plan, &pointer, &problem);
                self.output_failure = Some(StepError { kind: ErrorKind::Template, message });
                None
            }
        }
    }

    /// Renders the outputs, writes the manifest, tells who wants to know, and ends the run.
    async fn finish(&mut self) {
        if let Err(error) = save::manifest(&self.store, &self.state).await {
            // The files are there and in the journal: a list of them is no reason to lose a run.
            self.record(Event::Warning { step: None, message: error.to_string() });
        }
        let mut status = verdict(&self.state);
        let outputs = self.render_early().filter(|_| status == RunStatus::Succeeded);
        let mut error = None;
        if status == RunStatus::Succeeded && outputs.is_none() {
            status = RunStatus::Failed;
            error.clone_from(&self.output_failure);
        }
        if self.state.frames[0].timed_out && status == RunStatus::Failed {
            let timeout = Duration::from_millis(self.state.start.timeout_ms.unwrap_or_default());
            let message = format!("the run had no result within {}", crate::spec::duration::Period(timeout));
            error = Some(StepError { kind: ErrorKind::Timeout, message });
        }
        self.notify(status, outputs.as_ref(), error.as_ref()).await;
        self.record(Event::RunFinished { status, outputs, error });
    }
}

/// Returns the event of a step that has its result.
fn succeeded(step: StepPath, outputs: Option<Payload>) -> Event {
    Event::StepSucceeded { step, outputs, cached: false, of: None, job: None, files: Vec::new(), given: Vec::new() }
}

/// Cuts a time to what a record can hold, so that live state and fold agree.
fn milliseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

/// Brings a time to the next one that a record can hold.
fn milliseconds_up(time: Timestamp) -> Timestamp {
    let cut = milliseconds(time);
    if cut < time { later(cut, Duration::from_millis(1)) } else { cut }
}
