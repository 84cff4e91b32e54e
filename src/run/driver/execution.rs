//! A run to be made, or to go on: what it needs, how it begins, and the loop that owns it until it is over.

use std::{
    collections::BTreeMap, collections::BTreeSet, collections::HashMap, collections::HashSet, sync::Arc, time::Duration,
};

use jiff::Timestamp;
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    Driver, GroupWish, Notice,
    begin::{lanes, scope, started},
    group, milliseconds,
    parts::place_message,
    sleep, succeeded,
    verdicts::{self, Verdict, VerdictError},
};
use crate::{
    artifact::{Downloader, Root, Store, StoreProblem, staging::Staging},
    id::{RunId, StepPath},
    journal::{
        Definition, Journal, JournalError,
        event::{Event, Limit, PlanChanged, Record, RunStatus, SkipReason},
        state::{FoldError, Phase, RunState, StepIndex},
    },
    plan::{FailurePolicy, Plan},
    provider::{MediaRef, Provider, Rate, http::ClientProblem},
    result::{StepResult, StepStatus},
    run::{decide::later, observer::Observer, settle::Rules},
    world::World,
};

/// A run to be made.
#[derive(Debug)]
pub struct Execution {
    /// What to run.
    pub plan: Arc<Plan>,
    /// Its id.
    pub run: RunId,
    /// The workflow's file, as it was named.
    pub file: String,
    /// Whether it runs against the emulator.
    pub sandbox: bool,
    /// The providers by alias; every one that the plan names.
    pub providers: BTreeMap<String, Arc<dyn Provider>>,
    /// Where it is written down.
    pub journal: Journal,
    /// What each provider may be asked at most, by alias; one that is not here by its own promises.
    pub bounds: BTreeMap<String, Bounds>,
    /// Where local files can be fetched by APIs that take them by URL, if there is such a place.
    pub staging: Option<Arc<dyn Staging>>,
    /// The root of artifacts; the run has its own folder below it.
    pub artifacts: Root,
    /// Clock, sleep, random numbers.
    pub world: World,
    /// What it may spend: what its workflow says, unless somebody says less.
    pub budget: Limit,
    /// The group that no two runs hold at a time, where that is not as the workflow says.
    pub group: Option<GroupWish>,
    /// What it was made from, kept so that it can go on unchanged.
    pub definition: Option<Definition>,
    /// Results of another run that are taken in place of running these steps.
    pub taken: Option<Taken>,
    /// Whether a signal leaves remote jobs running, for a resume.
    pub detach: bool,
    /// What happens after a failure, where that is not as the workflow says.
    pub failure_policy: Option<FailurePolicy>,
    /// What keeps it from paying twice.
    pub rules: Rules,
}

/// What a run takes from another one.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// The run.
    pub of: Option<RunId>,
    /// The results, by step. Their files lie in this run's folder already.
    pub results: BTreeMap<StepPath, StepResult>,
    /// Steps that do not run: only others were asked for.
    pub left_out: BTreeSet<StepPath>,
}

/// What a provider may be asked at most, beyond what its API says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bounds {
    /// Requests a minute and at once; else what the API's documents name, if anything.
    pub rate: Option<Rate>,
    /// Most jobs in flight.
    pub jobs: Option<u32>,
    /// How long an accepted job may take to be listed; else what the provider promises.
    pub settle_grace: Option<Duration>,
    /// Whether the absence of a job in a list proves nothing: a person is asked.
    pub ask: bool,
    /// What all runs on the state may spend in a day, in UTC.
    pub per_day: Limit,
}

/// A wish to end a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// The caller's own wish.
    Cancel,
}

/// Why a run could not go on. What it has recorded stays.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The journal does not work: nothing more may be sent.
    #[error("the run stopped, because its journal cannot be written")]
    Journal(#[from] JournalError),
    /// The plan names a provider that was not given.
    #[error("the plan needs the provider `{0}`, which was not given")]
    Provider(String),
    /// The store that files are saved to cannot be opened.
    #[error("files cannot be saved: {0}")]
    Store(#[from] StoreProblem),
    /// The HTTP client for downloads or for requests of steps cannot be made.
    #[error("failed to make an HTTP client")]
    Client(#[from] ClientProblem),
    /// Another run holds the group.
    #[error("the group `{group}` is held by {}", holder.map_or_else(|| "another run".to_owned(), |run| format!("run {run}")))]
    Busy {
        /// The group.
        group: String,
        /// The run that holds it, where it can be told.
        holder: Option<RunId>,
        /// Whether that is no error.
        skip: bool,
    },
    /// The template of the group's name fails.
    #[error("the group has no name: {0}")]
    Group(String),
    /// The records do not fold.
    #[error("the run cannot go on")]
    Fold(#[from] FoldError),
    /// The plan is another one than the run's.
    #[error("the plan is not the one that the run has: {0}")]
    Plan(String),
    /// What a person says of a submit does not fit.
    #[error(transparent)]
    Verdict(#[from] VerdictError),
}

impl Execution {
    /// Returns a run of a plan with nothing but what every run needs: no provider, no bound but the workflow's own budget, no file handed
    /// out.
    #[must_use]
    pub fn new(plan: Arc<Plan>, run: RunId, journal: Journal, artifacts: impl Into<Root>, world: World) -> Self {
        Self {
            file: plan.document.source.name.clone(),
            budget: Limit::from(plan.budget),
            plan,
            run,
            sandbox: false,
            providers: BTreeMap::new(),
            journal,
            bounds: BTreeMap::new(),
            staging: None,
            artifacts: artifacts.into(),
            world,
            group: None,
            definition: None,
            taken: None,
            detach: false,
            failure_policy: None,
            rules: Rules::default(),
        }
    }

    /// Makes the run: returns when it is over, or when it can no longer be written down.
    ///
    /// # Errors
    ///
    /// Where the journal cannot be written, a provider is missing, or the run does not start because of its group. A run that fails is no
    /// error: its state says so.
    pub async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Notice>,
        observers: Vec<Box<dyn Observer>>,
    ) -> Result<RunState, RunError> {
        self.name_group(self.world.now())?;
        let entry = group::enter(&self.journal, self.group.as_ref(), self.run)?;
        let cancels = self.cancels_others();
        let taken = self.taken.clone().unwrap_or_default();
        let mut driver = Driver::begin(self, observers)?;
        driver.take_over(taken);
        let _group = driver.wait_for_group(entry, cancels, &mut inbox).await?;
        driver.drive(inbox).await
    }

    /// Goes on with a run that stopped, however it stopped. `records` are all that was written of it; `change` is another text to go on
    /// with; verdicts settle submits of which nobody could tell.
    ///
    /// # Errors
    ///
    /// As for [`Execution::run`]; where another process owns the run, the plan is not the run's, or a verdict does not fit. Nothing is
    /// recorded then.
    pub async fn resume(
        mut self,
        records: &[Record],
        change: Option<Vec<StepPath>>,
        verdicts: &[Verdict],
        mut inbox: mpsc::Receiver<Notice>,
        observers: Vec<Box<dyn Observer>>,
    ) -> Result<RunState, RunError> {
        let ownership = self.journal.own(self.run)?;
        let state = RunState::fold(records)?;
        verdicts::judge(&state, verdicts)?;
        self.find_adopted(&state, verdicts).await?;
        self.name_group(records.first().map_or_else(|| self.world.now(), |record| record.at))?;
        let entry = group::enter(&self.journal, self.group.as_ref(), self.run)?;
        let cancels = self.cancels_others();
        let mut driver = Driver::go_on(self, ownership, (records, state), change, verdicts, observers)?;
        let _group = driver.wait_for_group(entry, cancels, &mut inbox).await?;
        driver.drive(inbox).await
    }

    /// Takes the group that the workflow names, where nothing else was said.
    fn name_group(&mut self, began: Timestamp) -> Result<(), RunError> {
        if self.group.is_none() {
            let named = GroupWish::of(&self.plan, self.run, began);
            self.group =
                named.map_err(|(pointer, error)| RunError::Group(place_message(&self.plan, &pointer, &error)))?;
        }
        Ok(())
    }

    fn cancels_others(&self) -> bool {
        self.group.as_ref().is_some_and(|group| group.on_conflict == crate::spec::OnConflict::CancelRunning)
    }
}

impl Driver {
    /// Begins a new run.
    fn begin(execution: Execution, observers: Vec<Box<dyn Observer>>) -> Result<Self, RunError> {
        let ownership = execution.journal.own(execution.run)?;
        execution.journal.clear_wish(execution.run)?;
        let lanes = execution.lanes()?;
        let store = execution.store()?;
        let at = milliseconds(execution.world.now());
        let start = started(&execution, &lanes);
        let record = Record { seq: 1, at, run: execution.run, event: Event::RunStarted(Box::new(start)) };
        let state = RunState::begin(&record).expect("the driver's own first record begins a run");
        execution.keep_definition();
        let mut driver = Self::with(execution, ownership, lanes, store, state, observers)?;
        driver.publish(&record, None);
        Ok(driver)
    }

    /// Goes on with a run that was written down: from its records and what they fold to.
    fn go_on(
        execution: Execution,
        ownership: crate::journal::Ownership,
        (records, state): (&[Record], RunState),
        change: Option<Vec<StepPath>>,
        verdicts: &[Verdict],
        observers: Vec<Box<dyn Observer>>,
    ) -> Result<Self, RunError> {
        execution.journal.clear_wish(execution.run)?;
        let lanes = execution.lanes()?;
        let start = change.is_some().then(|| started(&execution, &lanes));
        if start.is_none() {
            same_steps(&execution.plan, &state)?;
        }
        execution.keep_definition();
        // A run that is only to be ended saves nothing.
        let store = execution.store().unwrap_or_else(|problem| Store::closed(&execution.artifacts, problem));
        let mut driver = Self::with(execution, ownership, lanes, store, state, observers)?;
        driver.remember(records);
        driver.judge_claims(verdicts)?;
        driver.record(Event::RunResumed {});
        if let (Some(start), Some(rerun)) = (start, change) {
            driver.record(Event::PlanChanged(Box::new(PlanChanged { start, rerun })));
        }
        driver.settle_by(verdicts);
        driver.take_back_files(records);
        driver.watch_again();
        Ok(driver)
    }

    fn with(
        execution: Execution,
        ownership: crate::journal::Ownership,
        lanes: BTreeMap<String, super::Lane>,
        store: Store,
        state: RunState,
        observers: Vec<Box<dyn Observer>>,
    ) -> Result<Self, RunError> {
        let Execution { plan, run, staging, journal, world, detach, rules, sandbox, .. } = execution;
        let saves = plan.all().into_iter().flat_map(Plan::steps).any(|step| step.save.is_some());
        Ok(Self {
            scope: scope(&plan, run, state.started_at),
            ticks: observers.iter().any(|observer| observer.wants_ticks()),
            staging,
            store: Arc::new(store),
            downloader: saves.then(|| Downloader::new(&world)).transpose()?,
            _ownership: ownership,
            plan,
            world,
            journal,
            lanes,
            state,
            observers,
            tasks: JoinSet::new(),
            submits: HashMap::new(),
            fence: super::Fence::default(),
            early: super::Early::default(),
            rules,
            detach,
            acting: BTreeSet::new(),
            waiting: HashMap::new(),
            renewing: HashSet::new(),
            deadlines: BTreeSet::new(),
            shown: HashMap::new(),
            items: HashMap::new(),
            scopes: HashMap::new(),
            hits: HashMap::new(),
            missed: HashSet::new(),
            overdue: HashSet::new(),
            output_failure: None,
            sandbox,
            cancelled_at: None,
            warned: HashSet::new(),
        })
    }

    /// The loop that owns the run.
    async fn drive(mut self, mut inbox: mpsc::Receiver<Notice>) -> Result<RunState, RunError> {
        self.journal.durable().await?;
        let mut inbox_open = true;
        while self.state.status == RunStatus::Running {
            self.act().await?;
            if self.state.status != RunStatus::Running {
                break;
            }
            let wake = self.wake();
            // In this order, so that the same things at the same time go the same way: an answer that is here counts before a signal that
            // comes along with it.
            tokio::select! {
                biased;
                Some(message) = self.tasks.join_next() => self.take(message)?,
                notice = inbox.recv(), if inbox_open => match notice {
                    Some(notice) => self.notice(notice),
                    None => inbox_open = false,
                },
                () = sleep(&self.world, wake) => self.heed_wish(),
            }
            while let Some(message) = self.tasks.try_join_next() {
                self.take(message)?;
            }
            // Nor does a signal wait for a moment without answers.
            while let Ok(notice) = inbox.try_recv() {
                self.notice(notice);
            }
            self.tick();
        }
        self.journal.durable().await?;
        Ok(self.state)
    }

    /// Records what is taken from another run, and what is left out.
    fn take_over(&mut self, taken: Taken) {
        for step in taken.left_out {
            self.record(Event::StepSkipped { step, why: SkipReason::NotSelected });
        }
        for (step, result) in taken.results {
            if let Some(items) = &result.items {
                let count = u32::try_from(items.len()).expect("items are bounded");
                self.record(Event::StepExpanded { step: step.clone(), count, ended: None });
            }
            for (result, item) in result.items.iter().flatten().zip(0..) {
                self.take_item(&step, item, result.as_ref(), taken.of);
            }
            let outputs = crate::journal::event::Payload::new(result.node_outputs);
            let event = match succeeded(step, Some(outputs)) {
                Event::StepSucceeded { step, outputs, .. } => Event::StepSucceeded {
                    step,
                    outputs,
                    cached: true,
                    of: taken.of,
                    job: result.job.map(Box::new),
                    files: result.files,
                    given: Vec::new(),
                },
                other => other,
            };
            self.give_back(&event);
            self.record(event);
        }
    }

    /// Records the result of an item that is taken from another run; the first one says how many there are.
    fn take_item(&mut self, step: &StepPath, item: u32, result: Option<&StepResult>, of: Option<RunId>) {
        let path = step.item(item);
        let event = match result {
            Some(result) if result.status == StepStatus::Succeeded => Event::StepSucceeded {
                step: path,
                outputs: Some(crate::journal::event::Payload::new(Arc::clone(&result.node_outputs))),
                cached: true,
                of,
                job: result.job.clone().map(Box::new),
                files: result.files.clone(),
                given: Vec::new(),
            },
            _ => Event::StepSkipped { step: path, why: SkipReason::When },
        };
        self.give_back(&event);
        self.record(event);
    }

    /// Takes from the records what the state does not hold: what was sent of submits without an answer, and which files were handed over.
    fn remember(&mut self, records: &[Record]) {
        for record in records {
            match &record.event {
                Event::SubmitIntended { step, target, inputs, .. } => {
                    if let Some(ix) = self.state.position(step) {
                        self.fence.sent.insert(ix, (target.clone(), inputs.clone()));
                    }
                }
                Event::Submitted { step, .. } => {
                    if let Some(ix) = self.state.position(step) {
                        self.fence.sent.remove(&ix);
                    }
                }
                Event::MediaUploaded { provider, digest, reference, .. } => {
                    // A URL was written down without its signature: it is made anew.
                    if let Some(lane) = self.lanes.get_mut(provider)
                        && lane.promises.uploads
                        && !reference.starts_with("http")
                    {
                        lane.media.know(*digest, MediaRef(reference.clone()));
                    }
                }
                _ => {}
            }
        }
    }

    /// Gives steps the paths back that they wrote: those that are not done may replace them, and no other step may. What a killed process had in
    /// the making goes away.
    fn take_back_files(&self, records: &[Record]) {
        self.store.sweep();
        for record in records {
            self.give_back(&record.event);
        }
    }

    /// Gives a step the paths of the files that an event says it has. Those of a whole belong to its parts, and those of a step
    /// that is gone from the workflow to whoever wants them; so do those of a whole that was taken from another run and has no parts yet.
    fn give_back(&self, event: &Event) {
        let (step, files) = match event {
            Event::ArtifactSaved { step, file } => (step, std::slice::from_ref(file)),
            Event::StepSucceeded { step, files, .. } => (step, files.as_slice()),
            _ => return,
        };
        let owner = match self.state.position(step).map(|ix| self.state.step(ix)) {
            Some(state) if state.gone => None,
            Some(state) if state.fan_out.is_some() || state.nested.is_some() => return,
            Some(state) if state.phase == Phase::Waiting && state.brief.has_parts() => None,
            Some(_) => Some(step.to_string()),
            None => None,
        };
        self.store.own(files.iter().map(|file| (owner.clone(), file.path.clone())));
    }

    /// Watches the jobs that run and that nobody watches: when the run goes on, or a part of it.
    pub(super) fn watch_again(&mut self) {
        let now = self.world.now();
        let running: Vec<StepIndex> = self.state.agenda.running.iter().copied().collect();
        for ix in running {
            if self.acting.contains(&ix) || self.lane(ix).poller.watched_for(ix, now).is_some() {
                continue;
            }
            let planned = self.planned(ix);
            let (poll, timeout) = (planned.poll, planned.timeout);
            let intended = self.state.step(ix).intended_at.unwrap_or(now);
            let Some(job) = self.job(ix) else { continue };
            self.deadlines.insert((later(intended, timeout), ix));
            // It may be over: it is looked at soon, many with one call.
            self.lane(ix).poller.watch(ix, job, poll, Some(Duration::ZERO), now);
        }
    }
}

impl Execution {
    fn store(&self) -> Result<Store, StoreProblem> {
        Store::open(&self.artifacts.of_run(self.run), &self.world)
    }

    fn lanes(&self) -> Result<BTreeMap<String, super::Lane>, RunError> {
        lanes(&self.world, &self.plan, self.providers.clone(), &self.bounds, self.sandbox, &self.journal)
    }

    fn keep_definition(&self) {
        if let Some(definition) = &self.definition {
            let bytes = definition.bytes();
            self.journal.keep(self.run, crate::id::Digest::of(&bytes), bytes);
        }
    }
}

/// Refuses a plan whose steps are not those of the run: a plan of the same text by another release may be another.
fn same_steps(plan: &Plan, state: &RunState) -> Result<(), RunError> {
    if plan.steps().len() != state.own().len() {
        return Err(RunError::Plan(format!("it has {} steps, and the run {}", plan.steps().len(), state.own().len())));
    }
    for (planned, step) in plan.steps().iter().zip(state.own()) {
        if planned.path != step.path {
            return Err(RunError::Plan(format!("`{}` stands where the run has `{}`", planned.path, step.path)));
        }
    }
    Ok(())
}

/// Says whether a step still runs or waits: for callers that ask whether a finished run left something behind.
#[must_use]
pub fn is_left_running(state: &RunState) -> bool {
    state.steps.iter().any(|step| step.phase == Phase::Running || step.is_unanswered())
}
