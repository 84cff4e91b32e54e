//! The state of an emulator, which every skin works on, and the words between a skin and the server: calls in, replies out.
//!
//! Pure: the server passes the time in, and does the waiting.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    LoggedRequest, Settings, Speed, armox,
    catalog::{Catalog, Product},
    faults::{Effects, Faults},
    jobs::{Fate, Job, Jobs, Order, TooPoor},
    media,
    rate::Window,
};
use crate::{job::TargetKind, secret::Secret};

/// The most requests that the log keeps; the oldest go first. An emulator that stays up for months must not grow by them.
const LONGEST_LOG: usize = 200_000;

/// The folder of the apps' pictures, beside those of the jobs.
pub(super) const THUMBNAILS: &str = "thumbnails";

/// The state of an emulator.
#[derive(Debug)]
pub(super) struct Emulator {
    pub(super) catalog: Catalog,
    pub(super) jobs: Jobs,
    pub(super) key: Secret,
    pub(super) limit: u32,
    /// Where it listens, `http://127.0.0.1:PORT`; its files are under it.
    pub(super) origin: String,
    pub(super) windows: BTreeMap<String, Window>,
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
    /// The value of `Authorization`.
    pub(super) authorization: Option<String>,
    pub(super) body: Body,
}

/// What a request carried.
#[derive(Clone, Debug)]
pub(super) enum Body {
    Empty,
    Json(Value),
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
    Json(Value),
    File { content_type: &'static str, bytes: Vec<u8> },
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

    /// Returns an answer that says what is wrong, in the form that all skins of today share.
    pub(super) fn error(status: u16, message: impl Into<String>) -> Self {
        Self::json(status, serde_json::json!({ "error": message.into() }))
    }
}

impl Emulator {
    pub(super) fn new(settings: Settings, origin: String) -> Self {
        Self {
            catalog: Catalog::new(&settings.extra),
            jobs: Jobs::new(settings.credits, settings.seed),
            key: settings.key,
            limit: settings.requests_per_minute,
            origin,
            windows: BTreeMap::new(),
            faults: Faults::new(settings.faults),
            speed: settings.speed,
            log: VecDeque::new(),
            forgotten: 0,
        }
    }

    /// Logs a call and finds what the fault script has for it. Returns its place in the log.
    pub(super) fn meet(&mut self, call: &Call, now: Timestamp) -> (usize, Effects) {
        self.jobs.settle(now);
        let (door, names) = armox::door(self, call);
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let effects = door.map(|door| self.faults.meet(door, &names)).unwrap_or_default();
        if self.log.len() == LONGEST_LOG {
            self.log.pop_front();
            self.forgotten += 1;
        }
        self.log.push_back(LoggedRequest {
            method: call.method.clone(),
            path: call.path.clone(),
            query: call.query.clone(),
            body: if let Body::Json(body) = &call.body { Some(body.clone()) } else { None },
            at: now,
            status: None,
            job: None,
            faults: effects.told.clone(),
        });
        (self.forgotten + self.log.len() - 1, effects)
    }

    /// Returns an entry of the log, unless it has gone.
    pub(super) fn logged(&mut self, place: usize) -> Option<&mut LoggedRequest> {
        self.log.get_mut(place.checked_sub(self.forgotten)?)
    }

    /// Returns the log, the oldest first.
    pub(super) fn log(&self) -> impl Iterator<Item = &LoggedRequest> {
        self.log.iter()
    }

    /// Accepts a job.
    pub(super) fn submit(
        &mut self,
        product: Arc<Product>,
        inputs: serde_json::Map<String, Value>,
        fate: Fate,
        now: Timestamp,
    ) -> Result<Job, TooPoor> {
        let takes = match self.speed {
            Speed::Factor(factor) => Duration::try_from_secs_f64(product.seconds() * factor).unwrap_or(Duration::MAX),
            Speed::Fixed(takes) => takes,
        };
        self.jobs.submit(Order { product, inputs, takes, fate }, now).cloned()
    }

    /// Answers a request for an output file: `/files/JOB/NODE/NUMBER.EXTENSION`, without any key, as storages do.
    pub(super) fn file(&mut self, call: &Call, now: Timestamp) -> Reply {
        if !matches!(call.method.as_str(), "GET" | "HEAD") {
            return Reply::error(405, "Method not allowed");
        }
        let gone = || Reply::error(404, "File not found");
        let mut parts = call.path.trim_start_matches("/files/").split('/');
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
            body: Content::File { content_type, bytes },
        })
    }
}
