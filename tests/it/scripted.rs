//! A provider that does as it is told, under Tokio's (paused) clock, and a bench that runs a workflow on it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use dagwood::{
    artifact::staging::Staging,
    contract::{Catalog, Contract, Mode, Port, ValueKind},
    id::RunId,
    job::{
        self, Fault, FaultKind, IdempotencyKey, JobHandle, JobRequest, JobState, JobStatus, Submitted, Target,
        TargetKind,
    },
    journal::{Journal, event::Record, state::RunState},
    plan::{self, Given, Offer},
    provider::{Account, Answer, Cancelled, LocalFile, MediaRef, Promises, Provider, Recent, Wanted},
    run::{Bounds, Execution, Notice, RunError, Signal},
    source::Source,
    spec,
    world::World,
};
use futures_util::future::{self, BoxFuture, FutureExt};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

/// What a model does.
#[derive(Clone, Debug)]
pub(crate) struct Behaviour {
    /// How long its job takes.
    pub(crate) takes: Duration,
    /// Whether the submit's answer waits for the end.
    pub(crate) sync: bool,
    /// What comes out; `Err`: the job fails so.
    pub(crate) outcome: Result<Value, String>,
    /// Faults of the first submits, in turn: before or after the job was accepted.
    pub(crate) submit_faults: Vec<(When, Fault)>,
    /// How long after its acceptance a job is unknown to looks; for ever where it is `Duration::MAX`.
    pub(crate) unknown_for: Duration,
    /// Whether a cancel comes too late, and the job ends as it would.
    pub(crate) late_cancel: bool,
    /// Whether there is no way to call it off.
    pub(crate) unstoppable: bool,
    /// How many of its first jobs fail.
    pub(crate) fails_first: usize,
    /// The jobs fail whose prompts hold this.
    pub(crate) fails_on: Option<&'static str>,
    /// What its contract says that a job costs; each is charged 10 credits, whatever it says.
    pub(crate) cost: Option<f64>,
    /// The tokens that a job has used when it is done.
    pub(crate) tokens: Option<u64>,
}

/// Whether a fault came before the job was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Before,
    After,
    /// The answer never comes, though the job is accepted.
    Never,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            takes: Duration::from_millis(200),
            sync: false,
            outcome: Ok(json!({"outputImage": "https://files.example.com/a.png"})),
            submit_faults: Vec::new(),
            unknown_for: Duration::ZERO,
            late_cancel: false,
            unstoppable: false,
            fails_first: 0,
            fails_on: None,
            cost: Some(10.0),
            tokens: None,
        }
    }
}

#[derive(Clone, Debug)]
struct Job {
    model: String,
    /// Its place among the jobs of the model.
    number: usize,
    prompt: String,
    began: Timestamp,
    cancelled: bool,
}

#[derive(Debug, Default)]
struct Seen {
    jobs: Vec<Job>,
    submits: Vec<JobRequest>,
    looks: Vec<usize>,
    look_faults: Vec<Fault>,
    cancels: Vec<String>,
    peak: usize,
    /// The names of the files that were uploaded.
    uploads: Vec<String>,
    /// The job that each key made, where keys count.
    by_key: HashMap<String, JobHandle>,
}

/// A provider that does as it is told.
#[derive(Debug)]
pub(crate) struct Scripted {
    models: HashMap<String, Behaviour>,
    /// The operations of every model.
    modes: Vec<Mode>,
    batch: usize,
    /// Whether one key makes one job.
    idempotent: bool,
    /// Whether files can be uploaded.
    uploads: bool,
    /// What is said of a job that no look finds, where looks are not documented.
    blind: Option<&'static str>,
    world: World,
    seen: Mutex<Seen>,
}

impl Scripted {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no panic while it is held")
    }

    fn status(&self, job: &Job) -> JobStatus {
        let behaviour = &self.models[&job.model];
        let ends = job.began.saturating_add(behaviour.takes).expect("a short time");
        if job.cancelled {
            return JobStatus::of(JobState::Cancelled);
        }
        if self.world.now() < ends {
            return JobStatus { credits_charged: Some(10.0), ..JobStatus::of(JobState::Processing) };
        }
        let base = JobStatus {
            credits_charged: Some(10.0),
            tokens_used: behaviour.tokens,
            created_at: Some(job.began),
            completed_at: Some(ends),
            ..JobStatus::of(JobState::Completed)
        };
        let fails =
            job.number < behaviour.fails_first || behaviour.fails_on.is_some_and(|word| job.prompt.contains(word));
        match &behaviour.outcome {
            Ok(_) if fails => {
                let error = format!("job {} of {} fails", job.number, job.model);
                JobStatus { state: JobState::Failed, error: Some(error), ..base }
            }
            Ok(output) => JobStatus { node_outputs: Map::from_iter([(String::new(), output.clone())]), ..base },
            Err(error) => JobStatus { state: JobState::Failed, error: Some(error.clone()), ..base },
        }
    }

    fn running(&self, seen: &Seen) -> usize {
        seen.jobs.iter().filter(|job| !self.status(job).state.is_terminal()).count()
    }

    fn find(&self, handle: &JobHandle) -> Result<(JobHandle, JobStatus), Fault> {
        let seen = self.seen();
        let ix: usize = handle.0.strip_prefix("job").and_then(|ix| ix.parse().ok()).expect("one of ours");
        let job = &seen.jobs[ix];
        let age = self.world.now().duration_since(job.began);
        if age
            < jiff::SignedDuration::try_from(self.models[&job.model].unknown_for).unwrap_or(jiff::SignedDuration::MAX)
        {
            return Err(Fault::new(FaultKind::NotFound, "Job not found"));
        }
        Ok((handle.clone(), self.status(job)))
    }
}

impl Provider for Scripted {
    fn promises(&self) -> Promises {
        Promises {
            idempotent: if self.idempotent { &[TargetKind::Model] } else { &[] },
            findable: &[],
            settle_grace: None,
            cancellable: true,
            batch_look: self.batch,
            webhooks: false,
            uploads: self.uploads,
            default_retry_after: Duration::from_mins(1),
            rate: None,
            blind: self.blind,
        }
    }

    fn kinds(&self) -> &'static [TargetKind] {
        &[TargetKind::Model, TargetKind::Http]
    }

    fn base_url(&self) -> &'static str {
        "https://scripted.example.com"
    }

    fn catalog<'a>(&'a self, _: &'a Wanted) -> BoxFuture<'a, Answer<Vec<Contract>>> {
        let offered = |(id, behaviour): (&String, &Behaviour)| {
            Contract { cost: behaviour.cost, ..contract(id) }.with_modes(self.modes.clone()).0
        };
        future::ready(Answer::bare(Ok(self.models.iter().map(offered).collect()))).boxed()
    }

    fn submit<'a>(&'a self, job: &'a JobRequest, key: &'a IdempotencyKey) -> BoxFuture<'a, Answer<Submitted>> {
        async {
            let behaviour = &self.models[&job.target.id];
            let earlier = {
                let mut seen = self.seen();
                seen.submits.push(job.clone());
                seen.submits.iter().filter(|submit| submit.target == job.target).count() - 1
            };
            let fault = behaviour.submit_faults.get(earlier).cloned();
            if let Some((When::Before, fault)) = fault {
                return Answer::bare(Err(fault));
            }
            let number = self.seen().jobs.iter().filter(|other| other.model == job.target.id).count();
            let prompt = job.inputs.get("prompt").map(ToString::to_string).unwrap_or_default();
            let mut new =
                Job { model: job.target.id.clone(), number, prompt, began: self.world.now(), cancelled: false };
            let handle = {
                let mut seen = self.seen();
                if let Some(known) = seen.by_key.get(&key.0).filter(|_| self.idempotent).cloned() {
                    new = seen.jobs[place(&known)].clone();
                    known
                } else {
                    seen.jobs.push(new.clone());
                    seen.peak = seen.peak.max(self.running(&seen));
                    let handle = JobHandle(format!("job{}", seen.jobs.len() - 1));
                    seen.by_key.insert(key.0.clone(), handle.clone());
                    handle
                }
            };
            match fault {
                Some((When::Never, _)) => std::future::pending().await,
                Some((_, fault)) => return Answer::bare(Err(fault)),
                None => {}
            }
            if behaviour.sync {
                self.world.sleep(behaviour.takes).await;
            }
            Answer::bare(Ok(Submitted { job: handle, status: self.status(&new), look_at: None }))
        }
        .boxed()
    }

    fn look<'a>(&'a self, jobs: &'a [job::Job]) -> BoxFuture<'a, Answer<Vec<(JobHandle, JobStatus)>>> {
        async {
            let fault = {
                let mut seen = self.seen();
                seen.looks.push(jobs.len());
                seen.look_faults.pop()
            };
            if let Some(fault) = fault {
                return Answer::bare(Err(fault));
            }
            let found: Vec<_> = jobs.iter().map(|job| self.find(&job.id)).collect();
            match <[_; 1]>::try_from(found) {
                Ok([one]) => Answer::bare(one.map(|one| vec![one])),
                Err(all) => Answer::bare(Ok(all.into_iter().filter_map(Result::ok).collect())),
            }
        }
        .boxed()
    }

    fn recent(&self, _: Timestamp) -> BoxFuture<'_, Answer<Recent>> {
        async { Answer::bare(Ok(Recent { jobs: Vec::new(), complete: false })) }.boxed()
    }

    fn cancel<'a>(&'a self, job: &'a job::Job) -> BoxFuture<'a, Answer<Cancelled>> {
        async {
            let mut seen = self.seen();
            seen.cancels.push(job.id.0.clone());
            let ix = place(&job.id);
            if self.models[&seen.jobs[ix].model].late_cancel {
                return Answer::bare(Ok(Cancelled::TooLate));
            }
            if self.models[&seen.jobs[ix].model].unstoppable {
                return Answer::bare(Ok(Cancelled::Impossible("it goes on".to_owned())));
            }
            seen.jobs[ix].cancelled = true;
            Answer::bare(Ok(Cancelled::Done))
        }
        .boxed()
    }

    fn upload<'a>(&'a self, file: &'a LocalFile) -> BoxFuture<'a, Answer<MediaRef>> {
        async {
            self.world.sleep(Duration::from_millis(50)).await;
            let mut seen = self.seen();
            seen.uploads.push(file.name.clone());
            Answer::bare(Ok(MediaRef(format!("https://media.example.com/{}", seen.uploads.len()))))
        }
        .boxed()
    }

    fn media_input(&self, media: &MediaRef, wanted: Option<&Value>) -> Value {
        let as_object = wanted.is_some_and(|schema| schema.pointer("/properties/media_ref").is_some());
        if as_object { json!({"media_ref": media.0}) } else { json!(media.0) }
    }

    fn lost_media(&self, fault: &Fault, media: &[MediaRef]) -> bool {
        media.iter().any(|media| fault.message.contains(&media.0))
    }

    fn account(&self) -> BoxFuture<'_, Answer<Account>> {
        async { Answer::bare(Ok(Account { credits: None, plan: None, usage: Vec::new() })) }.boxed()
    }
}

/// Returns the place of a job among all.
fn place(job: &JobHandle) -> usize {
    job.0.strip_prefix("job").and_then(|ix| ix.parse().ok()).expect("one of ours")
}

fn contract(id: &str) -> Contract {
    let port = |id: &str, kind, many| Port {
        id: id.to_owned(),
        label: None,
        handle: None,
        required: false,
        kind,
        many,
        nullable: false,
        options: Vec::new(),
        minimum: None,
        maximum: None,
        default: None,
    };
    Contract {
        schema: None,
        modes: Vec::new(),
        unchecked: false,
        target: Target { kind: TargetKind::Model, id: id.to_owned() },
        name: id.to_owned(),
        description: None,
        cost: None,
        output: None,
        open: true,
        ports: vec![port("prompt", ValueKind::Text, false), port("image_input", ValueKind::Image, true)],
    }
}

/// A workflow on a scripted provider.
pub(crate) struct Bench {
    models: HashMap<String, Behaviour>,
    modes: Vec<Mode>,
    batch: usize,
    idempotent: bool,
    uploads: bool,
    blind: Option<&'static str>,
    folder: tempfile::TempDir,
    staging: Option<Arc<dyn Staging>>,
    bounds: Bounds,
    look_faults: Vec<Fault>,
    given: Given,
    notices: Vec<(Duration, Notice)>,
}

/// What came of a run.
pub(crate) struct Outcome {
    pub(crate) state: RunState,
    pub(crate) records: Vec<Record>,
    /// The jobs that the provider accepted, by model.
    pub(crate) accepted: BTreeMap<String, usize>,
    pub(crate) submits: Vec<JobRequest>,
    /// How many jobs each look asked for.
    pub(crate) looks: Vec<usize>,
    pub(crate) cancels: Vec<String>,
    /// The names of the files that were uploaded.
    pub(crate) uploads: Vec<String>,
    /// Most jobs that ran at once.
    pub(crate) peak: usize,
    pub(crate) took: Duration,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            models: HashMap::new(),
            modes: Vec::new(),
            batch: 100,
            idempotent: false,
            uploads: false,
            blind: None,
            folder: tempfile::tempdir().expect("a folder"),
            staging: None,
            bounds: Bounds::default(),
            look_faults: Vec::new(),
            given: Given::default(),
            notices: Vec::new(),
        }
    }

    pub(crate) fn model(mut self, id: &str, behaviour: Behaviour) -> Self {
        self.models.insert(id.to_owned(), behaviour);
        self
    }

    pub(crate) fn input(mut self, name: &str, value: Value) -> Self {
        self.given.inputs.insert(name.to_owned(), value);
        self
    }

    /// One key makes one job.
    pub(crate) fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Every model has these operations.
    pub(crate) fn modes(mut self, modes: Vec<Mode>) -> Self {
        self.modes = modes;
        self
    }

    /// Files can be uploaded.
    pub(crate) fn uploads(mut self) -> Self {
        self.uploads = true;
        self
    }

    /// No way to look at a job is documented; this is said of one that no look finds.
    pub(crate) fn blind(mut self, words: &'static str) -> Self {
        self.blind = Some(words);
        self
    }

    /// Files are handed over by URL.
    pub(crate) fn staging(mut self, staging: Arc<dyn Staging>) -> Self {
        self.staging = Some(staging);
        self
    }

    /// There is a file beside the workflow.
    pub(crate) fn file(self, name: &str, content: &[u8]) -> Self {
        std::fs::write(self.folder.path().join(name), content).expect("a file");
        self
    }

    /// What the provider may be asked at most.
    pub(crate) fn bounds(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// The first looks fail so, in turn.
    pub(crate) fn look_faults(mut self, faults: Vec<Fault>) -> Self {
        self.look_faults = faults.into_iter().rev().collect();
        self
    }

    pub(crate) fn cancel_after(self, time: Duration) -> Self {
        self.notice_after(time, Notice::Signal(Signal::Interrupt))
    }

    /// The run is told this so long after it began; in the order of time.
    pub(crate) fn notice_after(mut self, time: Duration, notice: Notice) -> Self {
        self.notices.push((time, notice));
        self
    }

    /// Runs the workflow to its end, in memory, and checks that the fold of the journal is the live state.
    pub(crate) async fn run(self, yaml: &str) -> Outcome {
        let world = World::scripted("2026-01-02T03:04:05Z".parse().expect("a timestamp"), 7, BTreeMap::new());
        let file = self.folder.path().join("test.yaml");
        let source = Arc::new(Source::new(file.display().to_string(), yaml));
        let (document, diagnostics) = spec::load(source, "test");
        let document = Arc::new(document.unwrap_or_else(|| panic!("{diagnostics:#?}")));
        let provider = Arc::new(Scripted {
            models: self.models,
            modes: self.modes,
            batch: self.batch,
            idempotent: self.idempotent,
            uploads: self.uploads,
            blind: self.blind,
            world: world.clone(),
            seen: Mutex::new(Seen { look_faults: self.look_faults, ..Seen::default() }),
        });
        let contracts = provider.catalog(&Wanted::Kinds(Vec::new())).await.result.expect("contracts");
        let offers = [Offer {
            catalog: Some(Catalog::new(contracts)),
            takes_files: self.uploads || self.staging.is_some(),
            takes_operation: !provider.modes.is_empty(),
            ..Offer::new("scripted", provider.kinds())
        }];
        let outcome = plan::plan(&document, Some(&self.given), &offers);
        let plan = Arc::new(outcome.plan.unwrap_or_else(|| panic!("{:#?}", outcome.diagnostics)));
        let journal = Journal::memory();
        let run: RunId = world.run_id();
        let execution = Execution {
            providers: [("scripted".to_owned(), Arc::clone(&provider) as Arc<dyn Provider>)].into(),
            bounds: [("scripted".to_owned(), self.bounds)].into(),
            staging: self.staging,
            ..Execution::new(plan, run, journal.clone(), self.folder.path().join("artifacts"), world.clone())
        };
        let (sender, receiver) = mpsc::channel(4);
        let began = world.now();
        let signal = async {
            for (after, notice) in self.notices {
                let passed = Duration::try_from(world.now().duration_since(began)).expect("time goes on");
                world.sleep(after.saturating_sub(passed)).await;
                sender.send(notice).await.expect("the run listens");
            }
            std::future::pending::<()>().await;
        };
        let state: Result<RunState, RunError> = tokio::select! {
            state = execution.run(receiver, Vec::new()) => state,
            () = signal => unreachable!("it waits for ever"),
        };
        let state = state.expect("the journal works");
        let records = journal.records(run).expect("records");
        same(&RunState::fold(&records).expect("the records fold"), &state);
        let seen = provider.seen();
        let mut accepted = BTreeMap::new();
        for job in &seen.jobs {
            *accepted.entry(job.model.clone()).or_insert(0) += 1;
        }
        Outcome {
            accepted,
            submits: seen.submits.clone(),
            looks: seen.looks.clone(),
            cancels: seen.cancels.clone(),
            uploads: seen.uploads.clone(),
            peak: seen.peak,
            took: Duration::try_from(world.now().duration_since(began)).expect("time goes on"),
            state,
            records,
        }
    }
}

/// The fold of what was written is the state that was lived.
fn same(folded: &RunState, live: &RunState) {
    assert_eq!((folded.seq, folded.status, &folded.outputs), (live.seq, live.status, &live.outputs));
    assert!((folded.credits() - live.credits()).abs() < 1e-9);
    assert_eq!(folded.steps.len(), live.steps.len());
    for (ix, (folded_step, live_step)) in (0..).zip(folded.steps.iter().zip(&live.steps)) {
        assert_eq!((folded_step.phase, &folded_step.path), (live_step.phase, &live_step.path));
        assert_eq!(folded.result(ix), live.result(ix));
        assert_eq!((folded_step.started_at, folded_step.ended_at), (live_step.started_at, live_step.ended_at));
    }
    assert_eq!((&folded.frames, &folded.agenda), (&live.frames, &live.agenda));
}

impl Outcome {
    pub(crate) fn status(&self, step: &str) -> String {
        let step = self.state.steps.iter().find(|state| state.path.as_str() == step).expect("a step");
        step.status().expect("it is over").as_str().to_owned()
    }

    /// The prompts that were submitted, in order.
    pub(crate) fn prompts(&self) -> Vec<String> {
        self.submits.iter().map(|submit| submit.inputs["prompt"].as_str().expect("a text").to_owned()).collect()
    }

    /// The outputs of the run.
    pub(crate) fn outputs(&self) -> Value {
        json!(self.state.outputs)
    }

    pub(crate) fn error(&self, step: &str) -> String {
        let step = self.state.steps.iter().find(|state| state.path.as_str() == step).expect("a step");
        let error = step.error.as_ref().expect("it failed");
        format!("{}: {}", serde_json::to_value(error.kind).expect("JSON").as_str().expect("a word"), error.message)
    }

    /// The kinds of all events, in order, with the step where there is one.
    pub(crate) fn story(&self) -> Vec<String> {
        self.records
            .iter()
            .map(|record| {
                let json = serde_json::to_value(record).expect("JSON");
                let kind = json["kind"].as_str().expect("a kind").to_owned();
                json["step"].as_str().map_or_else(|| kind.clone(), |step| format!("{kind} {step}"))
            })
            .collect()
    }
}
