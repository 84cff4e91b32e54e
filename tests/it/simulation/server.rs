//! The server: a provider that is as unkind as the documents allow, under virtual time.
//!
//! ```text
//! submit ──▶ the wire ──(later, even if the client is gone)──▶ arrival: accepted or not ──(later, or never)──▶ answer
//! ```
//!
//! What the client does and what the server does are apart: a request that was sent arrives when its time has come, whether or not
//! anybody still waits for the answer. The wire is a queue by time that is worked off up to now at every access, so nothing needs a task
//! of its own that a crash of the client could take along.
//!
//! The server knows more than its API tells: which key came with which request. The checks look there (`checks.rs`).

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use dagwood::{
    contract::Contract,
    id::Digest,
    job::{
        self, Fault, FaultKind, IdempotencyKey, JobHandle, JobRequest, JobState, JobStatus, Submitted, Target,
        TargetKind,
    },
    provider::{Account, Answer, Cancelled, LocalFile, MediaRef, Promises, Provider, Recent, RecentJob, Wanted},
    world::World,
};
use futures_util::future::{BoxFuture, FutureExt as _};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::{
    dag::{Model, PRICE},
    random::Random,
    say,
};

/// The most jobs that one list shows.
const LIST: usize = 100;

/// How long an accepted job may take to be listed, as the client believes.
const GRACE: Duration = Duration::from_secs(10);

/// What an API promises about a submit whose answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    /// The same key makes one job.
    SameKey,
    /// The job is among the recent ones soon.
    List,
    /// Nothing.
    Nothing,
}

/// Which jobs of other clients the account has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Foreign {
    None,
    /// Some, with other inputs.
    Others,
    /// Some with the very inputs of a job of ours, made at the same time: nobody can tell them apart.
    Twins,
    /// At times more at once than a list shows.
    Flood,
}

/// What the server is like; the same for the undisturbed run and the disturbed ones.
#[derive(Clone, Debug)]
pub(super) struct Nature {
    pub(super) alias: String,
    pub(super) promise: Promise,
    pub(super) models: Vec<Model>,
    /// How long a key is remembered: longer than the hour that a client relies on.
    pub(super) key_life: Duration,
    /// Whether answers carry its time.
    pub(super) tells_time: bool,
    /// How far its clock is ahead.
    pub(super) skew: SignedDuration,
    /// After how long an accepted job is listed at the latest.
    pub(super) listing: Duration,
    /// For how long an accepted job is unknown to single looks at most.
    pub(super) hidden: Duration,
    pub(super) foreign: Foreign,
}

/// How likely faults are; it changes with each life of the client.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weather {
    /// Faults in a hundred submits.
    pub(super) submits: u64,
    /// Faults in a hundred looks and lists.
    pub(super) looks: u64,
    /// Faults in a hundred cancels.
    pub(super) cancels: u64,
    /// Whether the way takes seconds at times.
    pub(super) slow: bool,
    /// Faults that are left: then the sky is clear.
    pub(super) left: u32,
}

/// What a job is told apart by: the target and the inputs as sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Class {
    pub(super) provider: String,
    pub(super) model: String,
    pub(super) inputs: String,
}

/// A job that the server accepted.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) class: Class,
    inputs: Map<String, Value>,
    /// The key that came with it; none with another client's.
    pub(super) key: Option<String>,
    pub(super) accepted: Timestamp,
    pub(super) ends: Timestamp,
    pub(super) cancelled: Option<Timestamp>,
    listed: Timestamp,
    visible: Timestamp,
}

impl Job {
    /// Returns when it stopped to run.
    pub(super) fn over(&self) -> Timestamp {
        self.cancelled.map_or(self.ends, |at| at.min(self.ends))
    }
}

/// What became of the submits with one key.
#[derive(Clone, Debug, Default)]
pub(super) struct Sendings {
    pub(super) sent: u32,
    /// After which the client could not know whether there is a job.
    pub(super) lost: u32,
    /// When the first one left.
    pub(super) first: Option<Timestamp>,
}

/// What arrives.
#[derive(Debug)]
enum Arrival {
    Submit { ticket: u64, request: JobRequest, key: String, then: Then },
    Cancel { ticket: u64, job: usize, lost: bool },
    Foreign { class: Class, inputs: Map<String, Value> },
}

/// What the server makes of a submit that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Answer,
    Limited(Option<Duration>),
    /// A 5xx, and no job.
    BrokenBefore,
    /// A 5xx, and a job.
    BrokenAfter,
    /// The answer is lost.
    Lost,
    /// No answer comes.
    Silence,
    /// The answer is no JSON.
    Malformed,
    /// Nobody waits any more.
    Unheard,
}

/// What a client will be told, and when.
#[derive(Debug)]
enum Reply {
    Job(usize),
    Cancelled(Cancelled),
    Fault(Fault),
}

#[derive(Debug)]
struct Inner {
    random: Random,
    weather: Weather,
    wire: BTreeMap<(Timestamp, u64), Arrival>,
    tickets: u64,
    replies: HashMap<u64, (Timestamp, Reply)>,
    jobs: Vec<Job>,
    keys: HashMap<String, usize>,
    sendings: BTreeMap<String, Sendings>,
    /// How often each fault happened.
    faults: BTreeMap<&'static str, u64>,
    floods: u32,
    /// The time that the client was told last, and when; a client that is started anew knows nothing of it.
    told: Option<(Timestamp, Duration)>,
}

/// A server with what happened to it.
#[derive(Debug)]
pub(super) struct Server {
    nature: Nature,
    url: String,
    clock: World,
    loud: bool,
    inner: Mutex<Inner>,
}

/// What the server knows after a run.
#[derive(Debug)]
pub(super) struct Truth {
    pub(super) nature: Nature,
    pub(super) jobs: Vec<Job>,
    pub(super) sendings: BTreeMap<String, Sendings>,
    pub(super) faults: BTreeMap<&'static str, u64>,
}

impl Server {
    /// Makes a server whose clock begins at `start`, by its own account.
    pub(super) fn new(nature: Nature, start: Timestamp, mut random: Random, loud: bool) -> Self {
        let clock = World::scripted(later(start, nature.skew), random.next(), BTreeMap::new());
        let url = format!("https://{}.example.com", nature.alias);
        let mut inner = Inner {
            random,
            weather: Weather::default(),
            wire: BTreeMap::new(),
            tickets: 0,
            replies: HashMap::new(),
            jobs: Vec::new(),
            keys: HashMap::new(),
            sendings: BTreeMap::new(),
            faults: BTreeMap::new(),
            floods: 0,
            told: None,
        };
        if nature.foreign != Foreign::None {
            for n in 0..inner.random.below(12) {
                let at = later(clock.now(), signed(inner.random.milliseconds(0, 600_000)));
                let model = &inner.random.pick(&nature.models).id;
                let prompt = json!({"prompt": format!("of another client: {n}")});
                let inputs = prompt.as_object().expect("a map").clone();
                let class = class(&nature.alias, model, &inputs);
                inner.put(at, Arrival::Foreign { class, inputs });
            }
        }
        Self { nature, url, clock, loud, inner: Mutex::new(inner) }
    }

    pub(super) fn alias(&self) -> &str {
        &self.nature.alias
    }

    /// Returns the server's time.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Another process of the client begins, under this weather.
    pub(super) fn begin(&self, weather: Weather) {
        let mut inner = self.inner();
        (inner.weather, inner.told) = (weather, None);
    }

    /// Lets everything arrive that is on the way, and returns what happened.
    pub(super) fn truth(&self) -> Truth {
        let mut inner = self.inner();
        self.advance(&mut inner, Timestamp::MAX);
        Truth {
            nature: self.nature.clone(),
            jobs: inner.jobs.clone(),
            sendings: inner.sendings.clone(),
            faults: inner.faults.clone(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic while it is held")
    }

    /// Waits until the server's clock shows this time.
    async fn until(&self, at: Timestamp) {
        let wait = Duration::try_from(at.duration_since(self.now())).unwrap_or_default();
        if wait > Duration::ZERO {
            self.clock.sleep(wait).await;
        }
    }

    /// Works off what has arrived by now.
    fn advance(&self, inner: &mut Inner, now: Timestamp) {
        while let Some(entry) = inner.wire.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((at, _), arrival) = entry.remove_entry();
            if self.loud {
                say(later(at, -self.nature.skew), &format!("    {}: {arrival:?}", self.nature.alias));
            }
            match arrival {
                Arrival::Submit { ticket, request, key, then } => {
                    let reply = self.arrived(inner, at, &request, &key, then);
                    inner.replies.insert(ticket, reply);
                }
                Arrival::Cancel { ticket, job, lost } => {
                    let reply = called_off(inner, at, job, lost);
                    inner.replies.insert(ticket, reply);
                }
                Arrival::Foreign { class, inputs } => {
                    self.accept(inner, at, class, inputs, None);
                }
            }
        }
    }

    /// Takes a submit that arrived: returns the answer and when it is back.
    fn arrived(
        &self,
        inner: &mut Inner,
        at: Timestamp,
        request: &JobRequest,
        key: &str,
        then: Then,
    ) -> (Timestamp, Reply) {
        let back = later(at, signed(inner.way()));
        let model = self.model(&request.target.id);
        let fault = |kind, status: Option<u16>, retry_after, words: &str| {
            let message = format!("the submit of {}: {words}", request.target.id);
            Reply::Fault(Fault { status, retry_after, ..Fault::new(kind, message) })
        };
        match then {
            Then::Limited(after) => {
                return (back, fault(FaultKind::RateLimited, Some(429), after, "too many requests"));
            }
            Then::BrokenBefore => return (back, fault(FaultKind::Unavailable, Some(503), None, "unavailable")),
            _ => {}
        }
        let known = (self.nature.promise == Promise::SameKey).then(|| inner.keys.get(key).copied()).flatten();
        let known = known.filter(|&job| inner.jobs[job].accepted >= later(at, -signed(self.nature.key_life)));
        let job = known.unwrap_or_else(|| {
            let class = class(&self.nature.alias, &request.target.id, &request.inputs);
            self.company(inner, at, &class, &request.inputs);
            self.accept(inner, at, class, request.inputs.clone(), Some(key.to_owned()))
        });
        inner.keys.insert(key.to_owned(), job);
        match then {
            Then::BrokenAfter => (back, fault(FaultKind::Unavailable, Some(500), None, "internal error")),
            Then::Lost => (back, fault(FaultKind::Ambiguous, None, None, "the connection broke")),
            Then::Malformed => (back, fault(FaultKind::Malformed, Some(200), None, "the answer is no JSON")),
            Then::Silence => {
                (later(at, signed(Duration::from_mins(1))), fault(FaultKind::Timeout, None, None, "no answer"))
            }
            _ if model.sync => (inner.jobs[job].ends.max(back), Reply::Job(job)),
            _ => (back, Reply::Job(job)),
        }
    }

    /// Lets other clients do the same or very much at the same time, where the account is like that.
    fn company(&self, inner: &mut Inner, at: Timestamp, class: &Class, inputs: &Map<String, Value>) {
        match self.nature.foreign {
            Foreign::Twins if inner.random.percent(30) => {
                let at = later(at, signed(inner.random.milliseconds(0, 4_000)));
                inner.put(at, Arrival::Foreign { class: class.clone(), inputs: inputs.clone() });
            }
            Foreign::Flood if inner.floods < 2 && inner.random.percent(10) => {
                inner.floods += 1;
                for n in 0..LIST + 20 {
                    let at = later(at, signed(inner.random.milliseconds(1, 2_000)));
                    let inputs = Map::from_iter([("prompt".to_owned(), json!(format!("one of many: {n}")))]);
                    let class = self::class(&class.provider, &class.model, &inputs);
                    inner.put(at, Arrival::Foreign { class, inputs });
                }
            }
            _ => {}
        }
    }

    fn accept(
        &self,
        inner: &mut Inner,
        at: Timestamp,
        class: Class,
        inputs: Map<String, Value>,
        key: Option<String>,
    ) -> usize {
        let takes = self
            .model(&class.model)
            .takes
            .mul_f64(f64::from(u32::try_from(inner.random.between(5, 15)).expect("small")) / 10.0);
        let mut after = |longest: Duration| {
            let longest = u64::try_from(longest.as_millis()).expect("a short time");
            later(at, signed(inner.random.milliseconds(0, longest)))
        };
        let (listed, visible) = (after(self.nature.listing), after(self.nature.hidden));
        inner.jobs.push(Job {
            class,
            inputs,
            key,
            accepted: at,
            ends: later(at, signed(takes)),
            cancelled: None,
            listed,
            visible,
        });
        inner.jobs.len() - 1
    }

    fn model(&self, id: &str) -> &Model {
        self.nature.models.iter().find(|model| model.id == id).expect("a model of the server")
    }

    fn status(&self, job: &Job, at: Timestamp) -> JobStatus {
        let base = JobStatus {
            credits_charged: Some(PRICE),
            created_at: Some(milliseconds(job.accepted)),
            ..JobStatus::of(JobState::Processing)
        };
        if at < job.over() {
            return base;
        }
        if job.over() < job.ends {
            return JobStatus { state: JobState::Cancelled, ..base };
        }
        let completed_at = Some(milliseconds(job.ends));
        if self.model(&job.class.model).fails {
            return JobStatus {
                state: JobState::Failed,
                error: Some("it always fails".to_owned()),
                completed_at,
                ..base
            };
        }
        let node_outputs = Map::from_iter([(String::new(), json!({"outputText": outcome(&job.class)}))]);
        JobStatus { state: JobState::Completed, node_outputs, completed_at, ..base }
    }

    /// Puts a submit on the wire, or into the ground: returns its ticket and when to ask for the answer.
    fn send(&self, request: &JobRequest, key: &IdempotencyKey) -> (u64, Timestamp) {
        let now = self.now();
        let mut inner = self.inner();
        self.advance(&mut inner, now);
        let ticket = inner.ticket();
        let way = inner.way();
        let arrives = later(now, signed(way));
        let faulty = inner.weather.submits;
        let kind = inner.strikes(faulty).then(|| inner.random.below(10));
        let sendings = inner.sendings.entry(key.0.clone()).or_default();
        sendings.sent += 1;
        sendings.first = sendings.first.or(Some(now));
        let unheard = |kind, words: &str| Fault::new(kind, format!("the submit of {}: {words}", request.target.id));
        let (name, then) = match kind {
            None => ("", Then::Answer),
            Some(0) => ("submit refused", Then::Answer),
            Some(1) => {
                let after = inner.random.percent(70).then(|| inner.random.milliseconds(0, 20_000));
                ("submit limited", Then::Limited(after))
            }
            Some(2) => ("submit 5xx before acceptance", Then::BrokenBefore),
            Some(3) => ("submit 5xx after acceptance", Then::BrokenAfter),
            Some(4) => ("submit lost before acceptance", Then::Unheard),
            Some(5) => ("submit lost before it arrived", Then::Unheard),
            Some(6) => ("submit's answer lost", Then::Lost),
            Some(7) => ("submit never answered", Then::Silence),
            Some(8) => ("submit never arrived", Then::Unheard),
            Some(_) => ("submit's answer malformed", Then::Malformed),
        };
        inner.note(name);
        if self.loud && !name.is_empty() {
            say(later(now, -self.nature.skew), &format!("    {}: {name}, {}", self.nature.alias, key.0));
        }
        let known = matches!(then, Then::Answer | Then::Limited(_));
        let lost = u32::from(!known);
        inner.sendings.get_mut(&key.0).expect("it was just put there").lost += lost;
        // What is told before, or without, an arrival.
        let told = match kind {
            Some(0) => Some((arrives, unheard(FaultKind::Network, "the connection was refused"))),
            Some(4) => Some((arrives, unheard(FaultKind::Ambiguous, "the connection broke"))),
            Some(5) => Some((later(now, signed(way / 3)), unheard(FaultKind::Ambiguous, "the connection broke"))),
            Some(8) => Some((later(now, SignedDuration::from_mins(1)), unheard(FaultKind::Timeout, "no answer"))),
            _ => None,
        };
        let arrival = |ticket| Arrival::Submit { ticket, request: request.clone(), key: key.0.clone(), then };
        let Some((at, fault)) = told else {
            inner.put(arrives, arrival(ticket));
            return (ticket, arrives);
        };
        inner.replies.insert(ticket, (at, Reply::Fault(fault)));
        if kind == Some(5) {
            // Nobody waits for the answer to this ticket.
            let other = inner.ticket();
            inner.put(arrives, arrival(other));
        }
        (ticket, at)
    }

    /// Waits for the answer that belongs to a ticket.
    async fn receive(&self, ticket: u64, at: Timestamp) -> Reply {
        self.until(at).await;
        let (at, reply) = {
            let mut inner = self.inner();
            self.advance(&mut inner, self.now());
            inner.replies.remove(&ticket).expect("what arrived has an answer")
        };
        self.until(at).await;
        reply
    }

    fn answer<T>(&self, result: Result<T, Fault>) -> Answer<T> {
        // `Date` has whole seconds.
        let seconds = Timestamp::from_second(self.now().as_second()).expect("it was a time before");
        if self.nature.tells_time {
            self.inner().told = Some((seconds, self.clock.elapsed()));
        }
        Answer { server_time: self.nature.tells_time.then_some(seconds), ..Answer::bare(result) }
    }

    /// Reads something after its way there: the fault instead, if there is one, and by how much what is seen is old.
    async fn read(&self, what: &'static str) -> Result<Duration, Fault> {
        let (way, fault) = {
            let mut inner = self.inner();
            let faulty = inner.weather.looks;
            let fault = inner.strikes(faulty).then(|| inner.random.below(4));
            if fault.is_some() {
                inner.note(what);
            }
            (inner.way(), fault)
        };
        self.clock.sleep(way).await;
        match fault {
            Some(0) => {
                Err(Fault { status: Some(502), ..Fault::new(FaultKind::Unavailable, format!("{what}: bad gateway")) })
            }
            Some(1) => Err(Fault::new(FaultKind::Ambiguous, format!("{what}: the connection broke"))),
            Some(2) => {
                self.clock.sleep(Duration::from_secs(30)).await;
                Err(Fault::new(FaultKind::Timeout, format!("{what}: no answer")))
            }
            Some(_) => Ok(Duration::from_secs(3)),
            None => Ok(Duration::ZERO),
        }
    }
}

impl Inner {
    fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    fn put(&mut self, at: Timestamp, arrival: Arrival) {
        let order = self.ticket();
        self.wire.insert((at, order), arrival);
    }

    /// Draws how long one way takes.
    fn way(&mut self) -> Duration {
        let slow = self.weather.slow && self.random.percent(10);
        if slow { self.random.milliseconds(500, 3_000) } else { self.random.milliseconds(1, 120) }
    }

    fn strikes(&mut self, percent: u64) -> bool {
        let strikes = self.weather.left > 0 && self.random.percent(percent);
        self.weather.left -= u32::from(strikes);
        strikes
    }

    fn note(&mut self, fault: &'static str) {
        if !fault.is_empty() {
            *self.faults.entry(fault).or_default() += 1;
        }
    }
}

impl Provider for Server {
    fn promises(&self) -> Promises {
        Promises {
            idempotent: if self.nature.promise == Promise::SameKey { &[TargetKind::Model] } else { &[] },
            findable: if self.nature.promise == Promise::List { &[TargetKind::Model] } else { &[] },
            settle_grace: (self.nature.promise == Promise::List).then_some(GRACE),
            cancellable: true,
            batch_look: if self.nature.promise == Promise::List { LIST } else { 1 },
            webhooks: false,
            uploads: false,
            default_retry_after: Duration::from_mins(1),
            rate: None,
            blind: None,
        }
    }

    fn kinds(&self) -> &'static [TargetKind] {
        &[TargetKind::Model]
    }

    fn base_url(&self) -> &str {
        &self.url
    }

    fn clock(&self) -> Option<Timestamp> {
        let (seconds, at) = self.inner().told?;
        Some(later(seconds, signed(self.clock.elapsed().saturating_sub(at))))
    }

    fn catalog<'a>(&'a self, _: &'a Wanted) -> BoxFuture<'a, Answer<Vec<Contract>>> {
        unreachable!("the plan is made before")
    }

    fn submit<'a>(&'a self, job: &'a JobRequest, key: &'a IdempotencyKey) -> BoxFuture<'a, Answer<Submitted>> {
        async move {
            let (ticket, at) = self.send(job, key);
            self.answer(match self.receive(ticket, at).await {
                Reply::Job(job) => {
                    let inner = self.inner();
                    let status = self.status(&inner.jobs[job], self.now());
                    Ok(Submitted { job: handle(self.alias(), job), status, look_at: None })
                }
                Reply::Fault(fault) => Err(fault),
                Reply::Cancelled(_) => unreachable!("no cancel was sent"),
            })
        }
        .boxed()
    }

    fn look<'a>(&'a self, jobs: &'a [job::Job]) -> BoxFuture<'a, Answer<Vec<(JobHandle, JobStatus)>>> {
        async move {
            let old = match self.read("look").await {
                Ok(old) => old,
                Err(fault) => return self.answer(Err(fault)),
            };
            let now = self.now();
            let mut inner = self.inner();
            self.advance(&mut inner, now);
            let seen = |ix: usize| {
                let job = &inner.jobs[ix];
                // What is shown may be old, but not from before there was anything to show.
                let at = later(now, -signed(old)).max(job.accepted);
                (handle(self.alias(), ix), self.status(job, at))
            };
            let result = if let [job] = jobs {
                let ix = place(&job.id);
                if inner.jobs[ix].visible <= now {
                    Ok(vec![seen(ix)])
                } else {
                    Err(Fault::new(FaultKind::NotFound, "no such job"))
                }
            } else {
                let (listed, _) = listed(&inner, now);
                let wanted: Vec<_> = jobs.iter().map(|job| place(&job.id)).collect();
                Ok(listed.into_iter().filter(|ix| wanted.contains(ix)).map(seen).collect())
            };
            drop(inner);
            self.answer(result)
        }
        .boxed()
    }

    fn recent(&self, since: Timestamp) -> BoxFuture<'_, Answer<Recent>> {
        async move {
            if self.nature.promise == Promise::Nothing {
                return self.answer(Ok(Recent { jobs: Vec::new(), complete: false }));
            }
            if let Err(fault) = self.read("list").await {
                return self.answer(Err(fault));
            }
            let now = self.now();
            let mut inner = self.inner();
            self.advance(&mut inner, now);
            let (listed, all) = listed(&inner, now);
            let reaches = listed.last().is_none_or(|&oldest| inner.jobs[oldest].accepted < since);
            let shown = listed.into_iter().map(|ix| {
                let job = &inner.jobs[ix];
                let mut echo = job.inputs.clone();
                echo.insert("quality".to_owned(), json!("a default that was filled in"));
                RecentJob {
                    job: handle(self.alias(), ix),
                    status: self.status(job, now),
                    target: Some(Target { kind: TargetKind::Model, id: job.class.model.clone() }),
                    inputs: Some(Value::Object(echo)),
                }
            });
            let recent = Recent { jobs: shown.collect(), complete: all || reaches };
            drop(inner);
            self.answer(Ok(recent))
        }
        .boxed()
    }

    fn cancel<'a>(&'a self, job: &'a job::Job) -> BoxFuture<'a, Answer<Cancelled>> {
        async move {
            let (ticket, at) = {
                let mut inner = self.inner();
                let faulty = inner.weather.cancels;
                let fault = inner.strikes(faulty).then(|| inner.random.below(3));
                let (ticket, at) = (inner.ticket(), later(self.now(), signed(inner.way())));
                let lost = match fault {
                    Some(0) => Some("the connection was refused"),
                    Some(1) => Some("the connection broke before"),
                    _ => None,
                };
                if fault.is_some() {
                    inner.note("cancel lost");
                }
                if let Some(words) = lost {
                    let fault = Fault::new(FaultKind::Ambiguous, format!("the cancel: {words}"));
                    inner.replies.insert(ticket, (at, Reply::Fault(fault)));
                } else {
                    inner.put(at, Arrival::Cancel { ticket, job: place(&job.id), lost: fault.is_some() });
                }
                (ticket, at)
            };
            self.answer(match self.receive(ticket, at).await {
                Reply::Cancelled(cancelled) => Ok(cancelled),
                Reply::Fault(fault) => Err(fault),
                Reply::Job(_) => unreachable!("no submit was sent"),
            })
        }
        .boxed()
    }

    fn upload<'a>(&'a self, _: &'a LocalFile) -> BoxFuture<'a, Answer<MediaRef>> {
        unreachable!("no step has a file")
    }

    fn account(&self) -> BoxFuture<'_, Answer<Account>> {
        unreachable!("a run does not ask")
    }
}

fn called_off(inner: &mut Inner, at: Timestamp, job: usize, lost: bool) -> (Timestamp, Reply) {
    let back = later(at, signed(inner.way()));
    let done = inner.jobs[job].over() > at;
    if done {
        inner.jobs[job].cancelled = Some(at);
    }
    let reply = if lost {
        Reply::Fault(Fault::new(FaultKind::Ambiguous, "the cancel: the connection broke"))
    } else if done {
        Reply::Cancelled(Cancelled::Done)
    } else {
        Reply::Cancelled(Cancelled::TooLate)
    };
    (back, reply)
}

/// Returns the jobs that a list shows now, the newest first, and whether it shows all.
fn listed(inner: &Inner, now: Timestamp) -> (Vec<usize>, bool) {
    let mut listed: Vec<_> = (0..inner.jobs.len()).filter(|&job| inner.jobs[job].listed <= now).collect();
    listed.sort_by_key(|&job| std::cmp::Reverse(inner.jobs[job].accepted));
    let all = listed.len() < LIST;
    listed.truncate(LIST);
    (listed, all)
}

/// Returns what comes out of a job: equal jobs give equal results.
pub(super) fn outcome(class: &Class) -> String {
    let text = Digest::of(format!("{} {}", class.model, class.inputs).as_bytes()).to_string();
    text[..10].to_owned()
}

pub(super) fn class(provider: &str, model: &str, inputs: &Map<String, Value>) -> Class {
    let inputs = serde_json::to_string(inputs).expect("a map is JSON");
    Class { provider: provider.to_owned(), model: model.to_owned(), inputs }
}

/// Returns the id of a job.
pub(super) fn handle(alias: &str, job: usize) -> JobHandle {
    JobHandle(format!("{alias}/{job}"))
}

/// Returns the place of a job among all of its server.
pub(super) fn place(job: &JobHandle) -> usize {
    job.0.rsplit('/').next().and_then(|place| place.parse().ok()).expect("one of ours")
}

pub(super) fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}

pub(super) fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).expect("a time that fits")
}

fn milliseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).expect("it was a time before")
}
