//! One run of one step: the emulator with its faults, the real provider, the real catalogue, the engine with a journal in memory.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, LazyLock},
    time::Duration,
};

use dagwood::{
    contract::{Catalog, Contract},
    job::{Fault, JobHandle, JobState, TargetKind},
    journal::{Journal, event::RunStatus},
    plan::{self, Given, Offer},
    provider::{
        Provider, Rate, Wanted,
        aimp::{Aimp, AimpSettings},
        airmy::{Airmy, AirmySettings},
        armox::{Armox, ArmoxSettings},
    },
    result::StepError,
    run::{Execution, Notice, Signal},
    sandbox::{Api, FaultScript, JobView, LoggedRequest, Sandbox, Settings, Speed, faults::Rule, rate::Refill},
    secret::Secret,
    source::Source,
    spec,
    world::World,
};
use regex::Regex;
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// How far the clock goes at each tick.
const STEP: Duration = Duration::from_millis(40);

/// The real time between two ticks.
const TICK: Duration = Duration::from_millis(1);

/// A job without a name of its own is called after its key.
static OF_KEYS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/a/1").expect("a pattern"));

/// The ids of requests.
static OF_REQUESTS: LazyLock<Regex> = LazyLock::new(|| Regex::new("req_[0-9]+").expect("a pattern"));

/// How often a run looks at its job.
const POLL: &str = "200ms";

/// After how many seconds a run is told to stop though its moment has not come.
const LATEST_STOP: i64 = 10;

/// Does work under a paused clock that goes in steps, many times as fast as the real one.
///
/// A paused clock alone would jump to the next timeout whenever a packet takes a moment to arrive. A blocking thread keeps it from jumping,
/// and gives the ticks; a tick that comes while the last one is not yet done is dropped, so that on a busy machine time goes slower.
pub(super) async fn hurried<T>(work: impl Future<Output = T>) -> T {
    let (tell, mut ticks) = mpsc::channel::<()>(1);
    tokio::task::spawn_blocking(move || {
        while !tell.is_closed() {
            #[expect(clippy::disallowed_methods, reason = "the beat of the clock that all else follows")]
            std::thread::sleep(TICK);
            // Full: the last tick is not yet done.
            let _ = tell.try_send(());
        }
    });
    let clock = async move {
        while ticks.recv().await.is_some() {
            tokio::time::advance(STEP).await;
        }
    };
    tokio::select! {
        done = work => done,
        () = clock => unreachable!("the ticks end with the work"),
    }
}

/// A way to submit: what each promises is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    Armox,
    Agent,
    Pipeline,
    Aimp,
}

impl Way {
    pub(super) const ALL: [Self; 4] = [Self::Armox, Self::Agent, Self::Pipeline, Self::Aimp];

    /// Returns what people call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Armox => "Armox",
            Self::Agent => "AIRMY agent",
            Self::Pipeline => "AIRMY pipeline",
            Self::Aimp => "AIMP",
        }
    }

    pub(super) fn api(self) -> Api {
        match self {
            Self::Armox => Api::Armox,
            Self::Agent | Self::Pipeline => Api::Airmy,
            Self::Aimp => Api::Aimp,
        }
    }

    pub(super) fn kind(self) -> TargetKind {
        match self {
            Self::Armox | Self::Aimp => TargetKind::Model,
            Self::Agent => TargetKind::Agent,
            Self::Pipeline => TargetKind::Pipeline,
        }
    }

    /// Returns what is run: something that ends within the request, as far as there is such a thing.
    pub(super) fn target(self) -> &'static str {
        match self {
            Self::Armox => "google/nano-banana",
            Self::Agent => "ag_01HXYZ",
            Self::Pipeline => "pl_01HXYZ",
            Self::Aimp => "demo-model",
        }
    }

    pub(super) fn inputs(self) -> Value {
        match self {
            Self::Armox => json!({"prompt": "A fox"}),
            Self::Agent | Self::Pipeline => json!({"query": "Q1 revenue"}),
            Self::Aimp => json!({"text": "A fox"}),
        }
    }
}

/// When a run is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// Its submit is under way.
    Submitted,
    /// Its job has been looked at.
    Looked,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) kind: TargetKind,
    pub(super) target: String,
    pub(super) inputs: Value,
    pub(super) timeout: &'static str,
    /// When it is told to stop, if it is.
    pub(super) stop: Option<Moment>,
    /// Nobody listens any more when the run begins.
    pub(super) gone: bool,
}

impl Task {
    pub(super) fn of(way: Way) -> Self {
        let target = way.target().to_owned();
        Self { kind: way.kind(), target, inputs: way.inputs(), timeout: "2m", stop: None, gone: false }
    }
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) status: RunStatus,
    pub(super) error: Option<StepError>,
    /// What came out, without what differs from one emulator to the next.
    pub(super) output: Value,
    pub(super) warnings: Vec<String>,
    /// The job as the engine knows it, and where it was looked at, if the API said so.
    pub(super) job: Option<(JobHandle, Option<String>)>,
    /// The jobs that the emulator accepted.
    pub(super) jobs: Vec<JobView>,
    /// The requests that it got.
    pub(super) requests: Vec<LoggedRequest>,
}

impl Outcome {
    /// Returns how often a job was asked for.
    pub(super) fn submits(&self) -> usize {
        self.requests.iter().filter(|request| is_submit(request)).count()
    }

    /// Says whether every job was called off.
    pub(super) fn is_called_off(&self) -> bool {
        self.jobs.iter().all(|job| job.state == JobState::Cancelled)
    }
}

fn is_submit(request: &LoggedRequest) -> bool {
    let ends = ["/run", "/runs", "/trigger"].iter().any(|end| request.path.ends_with(end));
    request.method == "POST" && ends
}

/// What a person may set for an account, beside the key.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wishes {
    /// A pipeline's input is the body.
    pub(super) bare_input: bool,
    /// Pipeline runs are looked at like runs.
    pub(super) look_at_runs: bool,
    /// AIMP's model may be run twice.
    pub(super) safe_to_repeat: bool,
}

/// An emulator, and the provider that speaks to it.
pub(super) struct System {
    pub(super) world: World,
    /// None once nobody listens.
    pub(super) sandbox: Option<Sandbox>,
    pub(super) provider: Arc<dyn Provider>,
    journal: Journal,
}

impl System {
    /// Starts an emulator with these faults and further targets.
    pub(super) async fn start(api: Api, faults: Vec<Rule>, extra: Vec<Contract>, wishes: Wishes) -> Self {
        let world = World::scripted("2026-01-02T03:04:05Z".parse().expect("a timestamp"), 7, BTreeMap::new());
        let (extra, extra_aimp) = if api == Api::Aimp { (Vec::new(), extra) } else { (extra, Vec::new()) };
        let settings = Settings {
            faults: FaultScript(faults),
            requests_per_minute: 1_000_000,
            airmy_rate: Refill { per_minute: 1_000_000, burst: 100_000 },
            aimp_requests_per_minute: 1_000_000,
            speed: Speed::Fixed(STEP),
            extra,
            extra_aimp,
            ..Settings::default()
        };
        let sandbox = Sandbox::start(settings, world.clone()).await.expect("a free port");
        let provider = provider(&sandbox, api, wishes, &world);
        Self { world, sandbox: Some(sandbox), provider, journal: Journal::memory() }
    }

    pub(super) fn sandbox(&self) -> &Sandbox {
        self.sandbox.as_ref().expect("it still listens")
    }

    /// Returns a text without what differs from one emulator to the next: its address, ids of jobs and of requests.
    pub(super) fn plain(&self, text: &str) -> String {
        let sandbox = self.sandbox();
        let text = text.replace(&sandbox.address().to_string(), "HOST");
        let text = sandbox.jobs().iter().fold(text, |text, job| text.replace(&job.id, "JOB"));
        let text = OF_KEYS.replace_all(&text, "JOB").into_owned();
        OF_REQUESTS.replace_all(&text, "REQ").into_owned()
    }

    /// Reads the target's contract and runs a workflow of one step.
    ///
    /// # Errors
    /// Where the catalogue cannot be read, or the workflow does not fit it.
    pub(super) async fn run(&mut self, task: &Task) -> Result<Outcome, String> {
        let wanted = Wanted::Named(vec![(task.kind, task.target.clone())]);
        let contracts = self.provider.catalog(&wanted).await.result.map_err(|fault: Fault| fault.message)?;
        let offer = Offer { catalog: Some(Catalog::new(contracts)), ..Offer::new("system", self.provider.kinds()) };
        let step = json!({task.kind.verb(): task.target, "inputs": task.inputs, "timeout": task.timeout, "poll": POLL});
        let text = json!({"name": "suite", "steps": {"a": step}}).to_string();
        let (document, wrong) = spec::load(Arc::new(Source::new("suite.yaml", text)), "suite");
        let document = Arc::new(document.unwrap_or_else(|| panic!("{wrong:#?}")));
        let planned = plan::plan(&document, Some(&Given::default()), &[offer]);
        let plan = planned.plan.ok_or_else(|| format!("{:?}", planned.diagnostics))?;

        let (old_jobs, old_requests) = (self.sandbox().jobs().len(), self.sandbox().log().len());
        if task.gone {
            self.sandbox = None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let execution = Execution {
            providers: [("system".to_owned(), Arc::clone(&self.provider))].into(),
            ..Execution::new(
                Arc::new(plan),
                self.world.run_id(),
                self.journal.clone(),
                folder.path().to_owned(),
                self.world.clone(),
            )
        };
        let (sender, receiver) = mpsc::channel(1);
        let stop = async {
            if let Some(moment) = task.stop {
                let has_come = |request: &LoggedRequest| match moment {
                    Moment::Submitted => is_submit(request),
                    Moment::Looked => request.method == "GET",
                };
                let begun = self.world.now();
                let is_late = || self.world.now().duration_since(begun).as_secs() >= LATEST_STOP;
                while !self.sandbox().log()[old_requests..].iter().any(has_come) && !is_late() {
                    self.world.sleep(STEP).await;
                }
                sender.send(Notice::Signal(Signal::Interrupt)).await.expect("the run listens");
            }
            std::future::pending::<()>().await;
        };
        let state = tokio::select! {
            state = Box::pin(execution.run(receiver, Vec::new())) => state.expect("the journal works"),
            () = stop => unreachable!("it waits for ever"),
        };
        let step = &state.steps[0];
        let output = state.result(0).map(|result| json!(result.node_outputs)).unwrap_or_default();
        let (jobs, requests, output) = match &self.sandbox {
            Some(sandbox) => {
                let plain = self.plain(&output.to_string());
                let output = serde_json::from_str(&plain).expect("as much JSON as before");
                (sandbox.jobs().split_off(old_jobs), sandbox.log().split_off(old_requests), output)
            }
            None => (Vec::new(), Vec::new(), output),
        };
        Ok(Outcome {
            status: state.status,
            error: step.error.clone(),
            output,
            job: step.job.as_ref().map(|job| (job.id.clone(), step.look_at.clone())),
            warnings: state.warnings.iter().map(|(_, warning)| warning.clone()).collect(),
            jobs,
            requests,
        })
    }
}

fn provider(sandbox: &Sandbox, api: Api, wishes: Wishes, world: &World) -> Arc<dyn Provider> {
    let (base_url, key) = (sandbox.base_url_of(api), Secret::new(api.key()));
    match api {
        Api::Armox => {
            let settings = ArmoxSettings { base_url, ..ArmoxSettings::new(key) };
            Arc::new(Armox::new(settings, world.clone()).expect("a provider"))
        }
        Api::Airmy => {
            let mut settings = AirmySettings {
                base_url,
                rate: Some(Rate { per_minute: 1_000_000, burst: 100_000 }),
                look_at_runs: wishes.look_at_runs,
                ..AirmySettings::new(key)
            };
            if wishes.bare_input {
                settings.input_wrapper.clear();
            }
            Arc::new(Airmy::new(settings, world.clone()).expect("a provider"))
        }
        Api::Aimp => {
            let mut settings = AimpSettings::new(base_url, key);
            if wishes.safe_to_repeat {
                settings.safe_to_repeat.push(Way::Aimp.target().to_owned());
            }
            Arc::new(Aimp::new(settings, world.clone()).expect("a provider"))
        }
    }
}
