//! The state of an emulator, which every skin works on, and the words between a skin and the server: calls in, replies out.
//!
//! Pure: the server passes the time in, and does the waiting.

use std::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    Api, Keys, LoggedRequest, Settings, Speed, aimp, airmy,
    api::FILES,
    catalog::{Catalog, Product},
    faults::{Door, Effects, Faults},
    jobs::{Job, Jobs, Order, TooPoor},
    media,
    rate::Window,
};
use crate::job::TargetKind;

/// The most requests that the log keeps; the oldest go first. An emulator that stays up for months must not grow by them.
const LONGEST_LOG: usize = 200_000;

/// The headers that carry credentials; the log keeps that they were there, and never what they said.
pub(super) const CREDENTIALS: [&str; 3] = ["authorization", "x-api-key", "cookie"];

/// The folder of the apps' pictures, beside those of the jobs.
pub(super) const THUMBNAILS: &str = "thumbnails";

/// The state of an emulator.
#[derive(Debug)]
pub(super) struct Emulator {
    /// What Armox offers; the other skins keep their own.
    pub(super) catalog: Catalog,
    /// The jobs of all APIs.
    pub(super) jobs: Jobs,
    pub(super) keys: Keys,
    /// The requests that a key of Armox may make in a minute.
    pub(super) limit: u32,
    /// Where it listens, `http://127.0.0.1:PORT`; its files are under it.
    pub(super) origin: String,
    /// The rates by API and key, of those that have a rolling window.
    pub(super) windows: BTreeMap<(Api, String), Window>,
    pub(super) airmy: airmy::State,
    pub(super) aimp: aimp::State,
    faults: Faults,
    speed: Speed,
    log: VecDeque<LoggedRequest>,
    /// How many entries of the log are gone.
    forgotten: usize,
}

/// A request, read whole.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: Option<String>,
    /// The headers that are text, names in lower case; of several with one name, the last.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Body,
    /// The body as it came; empty where it was too large.
    pub(super) bytes: Vec<u8>,
}

impl Call {
    /// Returns the value of a header, its name in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What a request carried.
#[derive(Clone, Debug)]
pub(super) enum Body {
    Empty,
    Json(Value),
    /// Something else, in [`Call::bytes`]. What is sent below `/files/` is never read as JSON.
    NoJson,
    TooLarge,
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Content,
}

/// What an answer carries.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// Nothing: the answer of a 204.
    Nothing,
    Json(Value),
    File {
        content_type: Cow<'static, str>,
        bytes: Vec<u8>,
    },
}

/// How a call begins: its place in the log, its door, and what the fault script has for it.
#[derive(Debug)]
pub(super) struct Met {
    pub(super) place: usize,
    pub(super) door: Option<Door>,
    pub(super) effects: Effects,
}

/// A job that a skin has found nothing wrong with.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) api: Api,
    /// See [`Order::prefix`].
    pub(super) prefix: &'static str,
    pub(super) product: Arc<Product>,
    pub(super) inputs: Map<String, Value>,
    /// See [`Order::beside`].
    pub(super) beside: Map<String, Value>,
}

impl Wish {
    /// Returns a wish with a UUID for an id, and nothing beside the inputs.
    pub(super) fn new(api: Api, product: Arc<Product>, inputs: Map<String, Value>) -> Self {
        Self { api, prefix: "", product, inputs, beside: Map::new() }
    }
}

/// What came of a call.
#[derive(Debug)]
pub(super) enum Outcome {
    /// An answer.
    Reply(Reply),
    /// A job whose end the request waits for.
    Wait {
        /// The job.
        job: String,
        /// The headers of the answer.
        headers: Vec<(&'static str, String)>,
    },
}

impl Reply {
    pub(super) fn json(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body: Content::Json(body) }
    }

    /// Returns an answer without a body.
    pub(super) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Content::Nothing }
    }

    /// Returns an answer that says what is wrong, in the form of Armox and of the files.
    pub(super) fn error(status: u16, message: impl Into<String>) -> Self {
        Self::json(status, serde_json::json!({ "error": message.into() }))
    }
}

impl Emulator {
    pub(super) fn new(settings: Settings, origin: String) -> Self {
        let money = BTreeMap::from([(Api::Armox, settings.credits), (Api::Aimp, settings.wallet)]);
        let is_armox = |kind| matches!(kind, TargetKind::Model | TargetKind::App);
        let own: Vec<_> = settings.extra.iter().filter(|own| is_armox(own.target.kind)).cloned().collect();
        Self {
            catalog: Catalog::new(&own),
            jobs: Jobs::new(money, settings.seed),
            airmy: airmy::State::new(&settings),
            aimp: aimp::State::new(&settings),
            keys: settings.keys,
            limit: settings.requests_per_minute,
            origin,
            windows: BTreeMap::new(),
            faults: Faults::new(settings.faults),
            speed: settings.speed,
            log: VecDeque::new(),
            forgotten: 0,
        }
    }

    /// Logs a call and finds what the fault script has for it.
    pub(super) fn meet(&mut self, call: &Call, now: Timestamp) -> Met {
        self.jobs.settle(now);
        let (door, names) = match Api::of(&call.path) {
            Some(api) => api.door(self, call),
            None => self.file_door(call),
        };
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let effects = door.map(|door| self.faults.meet(door, &names)).unwrap_or_default();
        if self.log.len() == LONGEST_LOG {
            self.log.pop_front();
            self.forgotten += 1;
        }
        let credentials = CREDENTIALS.iter().filter(|name| call.headers.contains_key(**name));
        self.log.push_back(LoggedRequest {
            api: Api::of(&call.path),
            method: call.method.clone(),
            path: call.path.clone(),
            query: call.query.clone(),
            body: if let Body::Json(body) = &call.body { Some(body.clone()) } else { None },
            bytes: call.bytes.len(),
            content_type: call.header("content-type").map(str::to_owned),
            idempotency_key: call.header("idempotency-key").map(str::to_owned),
            credentials: credentials.map(|name| (*name).to_owned()).collect(),
            at: now,
            status: None,
            job: None,
            faults: effects.told.clone(),
        });
        Met { place: self.forgotten + self.log.len() - 1, door, effects }
    }

    /// Returns an entry of the log, unless it has gone.
    pub(super) fn logged(&mut self, place: usize) -> Option<&mut LoggedRequest> {
        self.log.get_mut(place.checked_sub(self.forgotten)?)
    }

    /// Notes in the log which job a request has made.
    pub(super) fn note_job(&mut self, place: usize, job: &str) {
        if let Some(entry) = self.logged(place) {
            entry.job = Some(job.to_owned());
        }
    }

    /// Returns the log, the oldest first.
    pub(super) fn log(&self) -> impl Iterator<Item = &LoggedRequest> {
        self.log.iter()
    }

    /// Accepts a job.
    pub(super) fn submit(&mut self, wish: Wish, effects: &Effects, now: Timestamp) -> Result<Job, TooPoor> {
        let Wish { api, prefix, product, inputs, beside } = wish;
        let takes = self.span(product.seconds());
        let fate = effects.fate.clone();
        self.jobs.submit(Order { api, prefix, product, inputs, beside, takes, fate }, now).cloned()
    }

    /// Returns how long something takes that takes so many seconds as a rule.
    pub(super) fn span(&self, seconds: f64) -> Duration {
        match self.speed {
            Speed::Factor(factor) => Duration::try_from_secs_f64(seconds * factor).unwrap_or(Duration::MAX),
            Speed::Fixed(takes) => takes,
        }
    }

    /// Returns which door a call comes through that is made to no API, and the names of the target whose file it is about.
    fn file_door(&self, call: &Call) -> (Option<Door>, Vec<String>) {
        let Some(path) = call.path.strip_prefix(FILES) else { return (None, Vec::new()) };
        if let Some(door) = aimp::file_door(call) {
            return (Some(door), Vec::new());
        }
        let job = self.jobs.get(path.split('/').next().unwrap_or_default());
        (Some(Door::File), job.map(Job::names).unwrap_or_default())
    }

    /// Answers a call that is made to no API: one for a file, or for nothing.
    pub(super) fn other(&mut self, call: &Call, now: Timestamp) -> Reply {
        if !call.path.starts_with(FILES) {
            return Reply::error(404, "Not found");
        }
        if aimp::file_door(call).is_some() { aimp::file(self, call) } else { self.file(call, now) }
    }

    /// Answers a request for an output file: `/files/JOB/NODE/NUMBER.EXTENSION`, without any key, as storages do.
    fn file(&mut self, call: &Call, now: Timestamp) -> Reply {
        if !matches!(call.method.as_str(), "GET" | "HEAD") {
            return Reply::error(405, "Method not allowed");
        }
        let gone = || Reply::error(404, "File not found");
        let mut parts = call.path.trim_start_matches(FILES).split('/');
        let (Some(id), Some(node), Some(name), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return gone();
        };
        let file = if id == THUMBNAILS {
            self.catalog.get(TargetKind::App, node).map(|app| ("image/png", media::thumbnail(app)))
        } else {
            self.jobs.settle(now);
            self.jobs.get(id).and_then(|job| media::file(job, node, name))
        };
        file.map_or_else(gone, |(content_type, bytes)| Reply {
            status: 200,
            headers: Vec::new(),
            body: Content::File { content_type: Cow::Borrowed(content_type), bytes },
        })
    }
}
