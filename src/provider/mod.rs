//! Providers: adapters that map Dagwood's words to an API's wire and back.
//!
//! A provider never retries, waits or logs: retry, limits and waiting belong to `run`, so they are the same for all. Each vendor
//! file is pure functions (build a request, read a response) plus the glue to the shared client in `provider/http.rs`.

pub mod aimp;
pub mod airmy;
pub mod armox;
pub mod http;
pub(crate) mod json;
pub mod status;
mod told;
pub mod web;

use std::{fmt, path::PathBuf, time::Duration};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    contract::Contract,
    job::{Fault, IdempotencyKey, Job, JobHandle, JobRequest, JobStatus, Submitted, Target, TargetKind},
};

/// What an API promises; `run` chooses its ways by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promises {
    /// The kinds of targets for which the same key submits once, however often it is sent.
    pub idempotent: &'static [TargetKind],
    /// The kinds of targets of which a submit whose answer was lost is looked for among the recent jobs.
    pub findable: &'static [TargetKind],
    /// How long a job that was accepted may take to be listed: after that, a list that reaches back and does not show it proves that it was
    /// not accepted. None where its absence proves nothing.
    pub settle_grace: Option<Duration>,
    /// A job can be called off.
    pub cancellable: bool,
    /// The most jobs that one look can show; 1 where each needs its own.
    pub batch_look: usize,
    /// Ends of jobs can be announced to a URL.
    pub webhooks: bool,
    /// Local files can be handed over.
    pub uploads: bool,
    /// What to wait after a 429 that names no time.
    pub default_retry_after: Duration,
    /// The rate that the documents name, where answers do not tell it.
    pub rate: Option<Rate>,
    /// Where the documents name no way to look at a job: what to tell people of one that no look finds. None where they do.
    pub blind: Option<&'static str>,
}

/// A documented rate: a bucket that holds `burst` requests and is refilled evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests a minute.
    pub per_minute: u32,
    /// Requests that may be sent at once when none was sent for a while.
    pub burst: u32,
}

/// What an answer's headers say about the key's rate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RateHint {
    /// Requests per window.
    pub limit: Option<u32>,
    /// What is left of it.
    pub remaining: Option<u32>,
    /// How long until the window is fresh.
    pub reset: Option<Duration>,
}

/// An answer together with what its headers said: about the rate, and what time the server had.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<T> {
    /// What was asked for, or what went wrong.
    pub result: Result<T, Fault>,
    /// The rate, as far as the answer says.
    pub rate: RateHint,
    /// The server's own time (`Date`), where it gave one.
    pub server_time: Option<Timestamp>,
}

impl<T> Answer<T> {
    /// Builds an answer without headers.
    #[must_use]
    pub fn bare(result: Result<T, Fault>) -> Self {
        Self { result, rate: RateHint::default(), server_time: None }
    }

    /// Returns the answer with another result, made from this one's.
    pub fn with_result<U>(self, map: impl FnOnce(Result<T, Fault>) -> Result<U, Fault>) -> Answer<U> {
        Answer { result: map(self.result), rate: self.rate, server_time: self.server_time }
    }

    /// Returns the answer with what its good result makes; a fault stays.
    pub fn and_then<U>(self, map: impl FnOnce(T) -> Result<U, Fault>) -> Answer<U> {
        self.with_result(|result| result.and_then(map))
    }
}

/// Jobs of the account, newest or not, and how far back they surely reach.
#[derive(Clone, Debug, PartialEq)]
pub struct Recent {
    /// The jobs with what the API echoes of their inputs.
    pub jobs: Vec<RecentJob>,
    /// Whether the list surely holds every job created since the time asked for.
    pub complete: bool,
}

/// A job in a list of recent ones.
#[derive(Clone, Debug, PartialEq)]
pub struct RecentJob {
    /// The job.
    pub job: JobHandle,
    /// How it stands.
    pub status: JobStatus,
    /// What it runs, where the API says.
    pub target: Option<Target>,
    /// The inputs as the API echoes them.
    pub inputs: Option<Value>,
}

/// What came of a wish to cancel.
#[derive(Clone, Debug, PartialEq)]
pub enum Cancelled {
    /// The job is cancelled.
    Done,
    /// The API took the wish; looks will show when it holds.
    Asked,
    /// It was over, or not to be stopped any more; a look shows how it ended.
    TooLate,
    /// The API has no way to call this job off: it goes on. The words say so to people.
    Impossible(String),
}

/// An account: what is there to spend, and what was spent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Account {
    /// Credits left, where the API counts them.
    pub credits: Option<f64>,
    /// The plan's name.
    pub plan: Option<String>,
    /// Further figures, by name, in the API's order.
    #[serde(default)]
    pub usage: Vec<(String, Value)>,
}

/// What to read of a catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All targets of these kinds.
    Kinds(Vec<TargetKind>),
    /// These targets, as workflows name them: by id, or an app or agent by its name.
    Named(Vec<(TargetKind, String)>),
}

impl Wanted {
    /// Returns the kinds that are asked for, each once.
    #[must_use]
    pub fn kinds(&self) -> Vec<TargetKind> {
        let mut kinds = match self {
            Self::Kinds(kinds) => kinds.clone(),
            Self::Named(names) => names.iter().map(|(kind, _)| *kind).collect(),
        };
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// Returns the names of a kind that are asked for; none where all of the kind are.
    pub fn names(&self, kind: TargetKind) -> impl Iterator<Item = &str> {
        let names = match self {
            Self::Kinds(_) => &[][..],
            Self::Named(names) => names,
        };
        names.iter().filter(move |(other, _)| *other == kind).map(|(_, name)| name.as_str())
    }
}

/// A local file that an API is to be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its name without folders.
    pub name: String,
    /// What is in it, as a media type.
    pub content_type: String,
    /// Its size.
    pub bytes: u64,
}

/// The API's name for an uploaded file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaRef(pub String);

/// One hosted API with one key.
pub trait Provider: fmt::Debug + Send + Sync {
    /// Returns what the API promises.
    fn promises(&self) -> Promises;

    /// Says whether a submit whose answer was lost may be sent again with the same key: the API makes one job of both, or the target is an
    /// HTTP request whose method may be repeated (RFC 9110, section 9.2.2).
    fn is_idempotent(&self, target: &Target) -> bool {
        match target.kind {
            TargetKind::Http => is_repeatable_request(target),
            kind => self.promises().idempotent.contains(&kind),
        }
    }

    /// Returns the kinds of targets that it runs.
    fn kinds(&self) -> &'static [TargetKind];

    /// Returns the base URL, without a slash at its end and without credentials.
    fn base_url(&self) -> &str;

    /// Returns what the latest answer said about the key's rate; none before the first. A run that starts after its contracts were read
    /// so knows how many submits may leave at once.
    fn rate(&self) -> Option<RateHint> {
        None
    }

    /// Returns the API's own time now, as far as its latest answer told it, whatever happened to the clock of this machine since.
    fn clock(&self) -> Option<Timestamp> {
        None
    }

    /// Reads contracts: all of some kinds, or those of named targets. Of a name that the API does not know, what is near to it may be
    /// among the answer, so that a person can be told.
    fn catalog<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Answer<Vec<Contract>>>;

    /// Submits a job, once.
    fn submit<'a>(&'a self, job: &'a JobRequest, key: &'a IdempotencyKey) -> BoxFuture<'a, Answer<Submitted>>;

    /// Looks at jobs: at exactly one singly, at several with one list call, which may not show all of them.
    fn look<'a>(&'a self, jobs: &'a [Job]) -> BoxFuture<'a, Answer<Vec<(JobHandle, JobStatus)>>>;

    /// Lists the account's recent jobs.
    fn recent(&self, since: Timestamp) -> BoxFuture<'_, Answer<Recent>>;

    /// Lists the recent jobs among which one of this target must be, if there is one: all of the account's, unless the API lists some
    /// apart (AIRMY lists a pipeline's runs under the pipeline).
    fn recent_of<'a>(&'a self, _target: &'a Target, since: Timestamp) -> BoxFuture<'a, Answer<Recent>> {
        self.recent(since)
    }

    /// Wishes a job cancelled.
    fn cancel<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Answer<Cancelled>>;

    /// Hands over a local file.
    fn upload<'a>(&'a self, file: &'a LocalFile) -> BoxFuture<'a, Answer<MediaRef>>;

    /// Returns an uploaded file as it is to stand in an input; `wanted` is the JSON Schema of its place, where one is known.
    fn media_input(&self, media: &MediaRef, wanted: Option<&Value>) -> Value {
        let _ = wanted;
        Value::String(media.0.clone())
    }

    /// Says whether a submit was refused because the API does not have one of these uploaded files any more. Nothing happened then:
    /// the files can be handed over anew and the job submitted with them.
    fn lost_media(&self, fault: &Fault, media: &[MediaRef]) -> bool {
        let _ = (fault, media);
        false
    }

    /// Reads the account.
    fn account(&self) -> BoxFuture<'_, Answer<Account>>;
}

/// Says whether the method of a step's HTTP request may be repeated (RFC 9110, section 9.2.2).
#[must_use]
pub fn is_repeatable_request(target: &Target) -> bool {
    let method = target.id.split(' ').next().unwrap_or_default();
    target.kind == TargetKind::Http && ["GET", "HEAD", "PUT", "DELETE"].contains(&method)
}
