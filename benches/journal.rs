//! What the journal costs as a run grows, and how fast a run goes on: `cargo bench --bench journal`.
//!
//! - Bytes of records for each step and microseconds for each event, of runs of 100, 1,000 and 10,000 jobs that are done at once: work for each
//!   event must not grow with the run. The runs are told apart by their size alone; figures are compared within one process, and the
//!   bench fails where the largest is more than a fifth above the smallest that is not dominated by starting up.
//! - A run of 10,000 jobs that is cut off half-way, and how long it takes from opening the journal to the first call to the API: planning, reading
//!   and folding its records, taking up its jobs.

#![expect(clippy::print_stdout, reason = "a bench reports on standard output")]

mod shared;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use dagwood::{
    contract::Contract,
    id::RunId,
    job::{IdempotencyKey, Job, JobHandle, JobRequest, JobState, JobStatus, Submitted, TargetKind},
    journal::{
        History, Journal,
        event::{Record, RunStatus},
        state::RunState,
    },
    plan::{Given, Plan, plan},
    provider::{Account, Answer, Cancelled, LocalFile, MediaRef, Promises, Provider, Recent, Wanted},
    run::{Execution, observer::Observer},
    source::Source,
    spec,
    world::World,
};
use futures_util::{FutureExt as _, future::BoxFuture};
use serde_json::{Map, json};
use tokio::sync::{Notify, mpsc};

/// The sizes of runs.
const SIZES: [usize; 3] = [100, 1_000, 10_000];

/// How many runs of a size are made; the best counts, since a machine only ever takes time away.
const ROUNDS: usize = 3;

/// By how much a figure may be above that of a run a tenth as large.
const FLAT: f64 = 1.2;

/// How long the first action of a resume may take.
const FIRST_ACTION: Duration = Duration::from_secs(2);

/// An API in this process: jobs are done at once, or never.
#[derive(Debug, Default)]
struct Api {
    /// From which job on they are not done.
    done: usize,
    submitted: AtomicUsize,
    /// Told at the first call.
    called: Notify,
}

fn nothing<T: Send + 'static>() -> BoxFuture<'static, Answer<T>> {
    std::future::pending().boxed()
}

impl Provider for Api {
    fn promises(&self) -> Promises {
        Promises {
            idempotent: &[],
            findable: &[TargetKind::Model],
            settle_grace: Some(Duration::from_secs(10)),
            cancellable: true,
            batch_look: 100,
            webhooks: false,
            uploads: false,
            default_retry_after: Duration::from_secs(1),
            rate: None,
            blind: None,
        }
    }

    fn kinds(&self) -> &'static [TargetKind] {
        &[TargetKind::Model]
    }

    fn base_url(&self) -> &'static str {
        "bench://here"
    }

    fn catalog<'a>(&'a self, _: &'a Wanted) -> BoxFuture<'a, Answer<Vec<Contract>>> {
        nothing()
    }

    fn submit<'a>(&'a self, _: &'a JobRequest, _: &'a IdempotencyKey) -> BoxFuture<'a, Answer<Submitted>> {
        let number = self.submitted.fetch_add(1, Ordering::Relaxed);
        self.called.notify_one();
        let state = if number < self.done { JobState::Completed } else { JobState::Processing };
        let outputs = Map::from_iter([(String::new(), json!({"outputText": "a result of a few words"}))]);
        let status = JobStatus { node_outputs: outputs, ..JobStatus::of(state) };
        let submitted = Submitted { job: JobHandle(format!("job-{number}")), status, look_at: None };
        async { Answer::bare(Ok(submitted)) }.boxed()
    }

    fn look<'a>(&'a self, _: &'a [Job]) -> BoxFuture<'a, Answer<Vec<(JobHandle, JobStatus)>>> {
        self.called.notify_one();
        nothing()
    }

    fn recent(&self, _: jiff::Timestamp) -> BoxFuture<'_, Answer<Recent>> {
        self.called.notify_one();
        nothing()
    }

    fn cancel<'a>(&'a self, _: &'a Job) -> BoxFuture<'a, Answer<Cancelled>> {
        nothing()
    }

    fn upload<'a>(&'a self, _: &'a LocalFile) -> BoxFuture<'a, Answer<MediaRef>> {
        nothing()
    }

    fn account(&self) -> BoxFuture<'_, Answer<Account>> {
        nothing()
    }
}

/// Counts records, and tells when there are so many.
struct Counter {
    records: Arc<AtomicUsize>,
    stop_at: usize,
    stop: Arc<Notify>,
}

impl Observer for Counter {
    fn record(&mut self, _: &Record, _: &RunState) {
        if self.records.fetch_add(1, Ordering::Relaxed) + 1 == self.stop_at {
            self.stop.notify_one();
        }
    }
}

/// Plans a workflow of so many jobs, a tenth of them in each of ten waves.
fn planned(count: usize) -> Arc<Plan> {
    let mut text = "concurrency: 40\nsteps:\n".to_owned();
    let wave = (count / 10).max(1);
    for n in 0..count {
        let prompt =
            if n < wave { format!("number {n}") } else { format!("{n} after {{{{ steps.s{}.text }}}}", n - wave) };
        writeln!(text, "  s{n}: {{ model: m, inputs: {{ prompt: '{prompt}' }} }}").expect("a string grows");
    }
    let (document, diagnostics) = spec::load(Arc::new(Source::new("bench.yaml", text)), "bench");
    let document = Arc::new(document.unwrap_or_else(|| panic!("{diagnostics:#?}")));
    let offer = shared::offer();
    let outcome = plan(&document, Some(&Given::default()), &[offer]);
    Arc::new(outcome.plan.unwrap_or_else(|| panic!("{:#?}", outcome.diagnostics)))
}

fn execution(plan: &Arc<Plan>, run: RunId, api: &Arc<Api>, folder: &Path) -> Execution {
    let journal = Journal::open(folder).expect("a journal");
    let providers = BTreeMap::from([("api".to_owned(), Arc::clone(api) as Arc<dyn Provider>)]);
    Execution { providers, ..Execution::new(Arc::clone(plan), run, journal, folder.to_owned(), World::real()) }
}

/// Makes a whole run; returns bytes for each step and microseconds for each event.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
async fn whole(count: usize) -> (f64, f64) {
    let folder = tempfile::tempdir().expect("a folder");
    let (plan, api) = (planned(count), Arc::new(Api { done: usize::MAX, ..Api::default() }));
    let records = Arc::new(AtomicUsize::new(0));
    let counter = Counter { records: Arc::clone(&records), stop_at: usize::MAX, stop: Arc::default() };
    let execution = execution(&plan, World::real().run_id(), &api, folder.path());
    let (_notices, inbox) = mpsc::channel(1);
    let began = Instant::now();
    let state = execution.run(inbox, vec![Box::new(counter)]).await.expect("the journal works");
    let took = began.elapsed();
    assert_eq!(state.status, RunStatus::Succeeded, "{:#?}", state.failed().next());
    assert_eq!(api.submitted.load(Ordering::Relaxed), count);
    // The file grows in pages and its log is cut now and then: what was written of the run is told better by its records.
    let history = History::open(folder.path()).expect("it opens").expect("there is a journal");
    let written = history.records(state.run).expect("records");
    let bytes: usize = written.iter().map(|record| serde_json::to_vec(record).expect("JSON").len()).sum();
    let bytes = bytes as u64;
    let events = records.load(Ordering::Relaxed);
    (ratio(bytes, count as u64), ratio(took.as_micros().try_into().unwrap_or(u64::MAX), events as u64))
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// Cuts a run off when half its jobs are done, and returns how long its resume takes to its first call.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
async fn resumed(count: usize) -> Duration {
    let folder = tempfile::tempdir().expect("a folder");
    let run = World::real().run_id();
    {
        let (plan, api) = (planned(count), Arc::new(Api { done: count / 2, ..Api::default() }));
        let stop = Arc::new(Notify::new());
        // A step has five records: ready, intended, submitted, observed, succeeded.
        let counter = Counter { records: Arc::default(), stop_at: count / 2 * 5, stop: Arc::clone(&stop) };
        let execution = execution(&plan, run, &api, folder.path());
        let (_notices, inbox) = mpsc::channel(1);
        tokio::select! {
            state = execution.run(inbox, vec![Box::new(counter)]) => panic!("it ended: {:?}", state.map(|state| state.status)),
            () = stop.notified() => {}
        }
    }
    let api = Arc::new(Api::default());
    let began = Instant::now();
    let history = History::open(folder.path()).expect("it opens").expect("there is a journal");
    let records = history.records(run).expect("records");
    let plan = planned(count);
    let execution = execution(&plan, run, &api, folder.path());
    let (_notices, inbox) = mpsc::channel(1);
    tokio::select! {
        state = execution.resume(&records, None, &[], inbox, Vec::new()) => panic!("it ended: {:?}", state.map(|state| state.status)),
        () = api.called.notified() => {}
    }
    let took = began.elapsed();
    let state = RunState::fold(&records).expect("they fold");
    let done = state.steps.iter().filter(|step| step.status().is_some()).count();
    println!("  {} records, {done} of {count} steps finished before it was cut off", records.len());
    took
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!("journal: bytes of records for each step, microseconds for each event (best of {ROUNDS})");
    let mut figures = Vec::new();
    for size in SIZES {
        let mut best = (f64::MAX, f64::MAX);
        for _ in 0..ROUNDS {
            let (bytes, micros) = whole(size).await;
            best = (best.0.min(bytes), best.1.min(micros));
        }
        println!("  {size:>6} steps   {:>8.0} bytes   {:>7.1} µs", best.0, best.1);
        figures.push(best);
    }
    println!("a run of 10,000 jobs, cut off half-way, to the first action of its resume (aim: {FIRST_ACTION:?})");
    let took = resumed(10_000).await;
    println!("  {took:.2?}");
    let flat = figures.windows(2).all(|pair| pair[1].0 <= pair[0].0 * FLAT && pair[1].1 <= pair[0].1 * FLAT);
    println!("work for each event {} with the run (bound: a fifth)", if flat { "does not grow" } else { "GROWS" });
    assert!(flat && took < FIRST_ACTION, "see above");
}
