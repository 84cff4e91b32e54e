//! Armox: models and apps behind one key, every run a job.
//!
//! The glue between [`Provider`] and the shared client. What an answer means is read by pure functions, `read` for jobs and lists,
//! `contract` for what targets take; both follow the rule that Armox's documents leave much open: take every form that may occur,
//! and fail only where nothing sensible can be made of an answer.
//!
//! What must stay true: a submit is one request, sent once; whether a run was synchronous is told by the answer's status code and
//! `status` field alone, never by what kind of model it was.

mod contract;
mod read;

use std::time::Duration;

use futures_util::{
    FutureExt as _,
    future::{self, BoxFuture},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    contract::Contract,
    job::{IdempotencyKey, Job, JobHandle, JobRequest, JobState, JobStatus, Submitted, TargetKind},
    provider::{
        Account, Answer, Cancelled, LocalFile, MediaRef, Promises, Provider, RateHint, Recent, Wanted,
        http::{
            Client, ClientProblem, ClientSettings, Credential, READ_TIMEOUT, Reach, SUBMIT_TIMEOUT, bounded, one_line,
        },
        json::{is_segment, malformed, rejected},
    },
    secret::{Redactor, Secret},
    world::World,
};

/// Where Armox is.
pub const BASE_URL: &str = "https://armox.ai/api/v1";

/// The most jobs that a list shows, by the documents; nothing larger is ever asked for.
const LIST_LIMIT: usize = 100;

/// How long a job may take to be listed once it was accepted. No document says so (`apis/armox.md`, the row on `GET /jobs`).
const SETTLE_GRACE: Duration = Duration::from_secs(10);

/// What to wait after a 429 without `Retry-After`: the rate's window, and what the documents' example shows.
const RATE_WINDOW: Duration = Duration::from_mins(1);

/// What an Armox provider is built from.
#[derive(Clone, Debug)]
pub struct ArmoxSettings {
    /// The URL that `/models` and the rest stand under.
    pub base_url: String,
    /// The API key.
    pub key: Secret,
    /// What else to redact in answers: the workflow's secrets.
    pub redactor: Redactor,
    /// Whether a base URL outside this machine may be plain `http`.
    pub allow_http: bool,
    /// How long a submit may take, a synchronous run included.
    pub submit_timeout: Duration,
}

impl ArmoxSettings {
    /// Returns the settings of Armox itself with this key.
    #[must_use]
    pub fn new(key: Secret) -> Self {
        Self {
            base_url: BASE_URL.to_owned(),
            key,
            redactor: Redactor::default(),
            allow_http: false,
            submit_timeout: SUBMIT_TIMEOUT,
        }
    }
}

/// One Armox account, seen through one key.
#[derive(Clone, Debug)]
pub struct Armox {
    client: Client,
    submit_timeout: Duration,
}

impl Armox {
    /// Builds the provider; sends nothing.
    ///
    /// # Errors
    ///
    /// Where the base URL, the key, or the environment's proxy cannot be used.
    pub fn new(settings: ArmoxSettings, world: World) -> Result<Self, ClientProblem> {
        let credential = Credential { header: "authorization", prefix: "Bearer ", key: settings.key };
        let client = ClientSettings {
            credential: Some(credential),
            redactor: settings.redactor,
            allow_http: settings.allow_http,
            ..ClientSettings::new(settings.base_url)
        };
        Ok(Self { client: Client::new(client, world)?, submit_timeout: settings.submit_timeout })
    }

    async fn contracts(&self, kind: TargetKind) -> Answer<Vec<Contract>> {
        let path = match kind {
            TargetKind::Model => "models",
            TargetKind::App => "apps",
            _ => return Answer::bare(Ok(Vec::new())),
        };
        self.client.get(&[path], &[]).await.and_then(|reply| {
            contracts_in(kind, &reply.body).ok_or_else(|| malformed(&format!("GET /{path}"), &reply, "no list in it"))
        })
    }

    async fn run(&self, job: &JobRequest) -> Answer<Submitted> {
        let inputs = &job.inputs;
        let (path, body) = match job.target.kind {
            TargetKind::Model => (["models", "run"], json!({"model": job.target.id, "input": inputs})),
            TargetKind::App => (["apps", "run"], json!({"app_id": job.target.id, "inputs": inputs})),
            _ => {
                return Answer::bare(rejected(format!("Armox runs models and apps, not the {}", job.target)));
            }
        };
        self.client.post(&path, Some(&body), self.submit_timeout).await.and_then(|reply| {
            let seen = read::job(&reply.body, &read::assumed_after_submit(reply.status, &reply.body));
            match seen.id {
                Some(job) if is_segment(&job.0) => Ok(Submitted { job, status: seen.status, look_at: None }),
                _ => Err(malformed(&format!("POST /{}", path.join("/")), &reply, "no usable job id in it")),
            }
        })
    }

    async fn look_at_one(&self, job: &JobHandle) -> Answer<Vec<(JobHandle, JobStatus)>> {
        if !is_segment(&job.0) {
            return Answer::bare(rejected(format!("`{}` cannot be the id of an Armox job", job.0.escape_debug())));
        }
        self.client.get(&["jobs", &job.0], &[]).await.and_then(|reply| {
            let seen = read::job(&reply.body, &JobState::Unknown(String::new()));
            match seen.id {
                // Somebody else's output must never become this job's.
                Some(id) if id != *job => Err(malformed(
                    &format!("GET /jobs/{job}"),
                    &reply,
                    &format!("another job in it, `{}`", bounded(one_line(&id.0))),
                )),
                _ if !reply.body.is_object() => Err(malformed(&format!("GET /jobs/{job}"), &reply, "no job in it")),
                _ => Ok(vec![(job.clone(), seen.status)]),
            }
        })
    }

    async fn list(&self) -> Answer<Vec<Value>> {
        let limit = LIST_LIMIT.to_string();
        self.client.get(&["jobs"], &[("limit", &limit)]).await.and_then(|reply| {
            read::list(&reply.body).map(<[_]>::to_vec).ok_or_else(|| malformed("GET /jobs", &reply, "no list in it"))
        })
    }
}

/// Returns the contracts in an answer of `GET /models` or `GET /apps`; none where there is no list in it.
#[must_use]
pub fn contracts_in(kind: TargetKind, answer: &Value) -> Option<Vec<Contract>> {
    let read = if kind == TargetKind::Model { contract::of_model } else { contract::of_app };
    Some(read::list(answer)?.iter().filter_map(read).collect())
}

impl Provider for Armox {
    fn promises(&self) -> Promises {
        Promises {
            idempotent: &[],
            findable: &[TargetKind::Model, TargetKind::App],
            settle_grace: Some(SETTLE_GRACE),
            cancellable: true,
            batch_look: LIST_LIMIT,
            webhooks: true,
            uploads: false,
            default_retry_after: RATE_WINDOW,
            rate: None,
            blind: None,
        }
    }

    fn kinds(&self) -> &'static [TargetKind] {
        &[TargetKind::Model, TargetKind::App, TargetKind::Http]
    }

    fn base_url(&self) -> &str {
        self.client.base_url()
    }

    /// Lists are short and whole here, so what is named is read with its list.
    fn catalog<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Answer<Vec<Contract>>> {
        async move {
            let answers = future::join_all(wanted.kinds().into_iter().map(|kind| self.contracts(kind))).await;
            answers.into_iter().fold(Answer::bare(Ok(Vec::new())), |whole, part| Answer {
                result: whole.result.and_then(|mut contracts| {
                    contracts.extend(part.result?);
                    Ok(contracts)
                }),
                rate: part.rate,
                server_time: part.server_time.or(whole.server_time),
            })
        }
        .boxed()
    }

    fn submit<'a>(&'a self, job: &'a JobRequest, key: &'a IdempotencyKey) -> BoxFuture<'a, Answer<Submitted>> {
        match job.target.kind {
            TargetKind::Http => self.client.step(job, key, Reach::Api).boxed(),
            _ => self.run(job).boxed(),
        }
    }

    fn look<'a>(&'a self, jobs: &'a [Job]) -> BoxFuture<'a, Answer<Vec<(JobHandle, JobStatus)>>> {
        async move {
            match jobs {
                [] => Answer::bare(Ok(Vec::new())),
                [job] => self.look_at_one(&job.id).await,
                _ => self.list().await.and_then(|items| {
                    Ok(items
                        .iter()
                        .map(|item| read::job(item, &JobState::Unknown(String::new())))
                        .filter_map(|seen| {
                            Some((seen.id.filter(|id| jobs.iter().any(|job| job.id == *id))?, seen.status))
                        })
                        .collect())
                }),
            }
        }
        .boxed()
    }

    fn recent(&self, since: Timestamp) -> BoxFuture<'_, Answer<Recent>> {
        async move { self.list().await.and_then(|items| Ok(read::recent(&items, since, LIST_LIMIT))) }.boxed()
    }

    fn cancel<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Answer<Cancelled>> {
        async move {
            let job = &job.id;
            if !is_segment(&job.0) {
                return Answer::bare(rejected(format!("`{}` cannot be the id of an Armox job", job.0.escape_debug())));
            }
            let answer = self.client.post(&["jobs", &job.0, "cancel"], None, READ_TIMEOUT).await;
            answer.with_result(|result| match result {
                Ok(reply) => Ok(read::cancelled(&reply.body)),
                Err(fault) if fault.status == Some(409) => Ok(Cancelled::TooLate),
                Err(fault) => Err(fault),
            })
        }
        .boxed()
    }

    fn upload<'a>(&'a self, _file: &'a LocalFile) -> BoxFuture<'a, Answer<MediaRef>> {
        future::ready(Answer::bare(rejected("Armox takes files by URL; it has nowhere to upload to".to_owned())))
            .boxed()
    }

    fn rate(&self) -> Option<RateHint> {
        self.client.rate()
    }

    fn clock(&self) -> Option<Timestamp> {
        self.client.clock()
    }

    fn account(&self) -> BoxFuture<'_, Answer<Account>> {
        async move {
            self.client.get(&["account"], &[]).await.and_then(|reply| {
                read::account(&reply.body).ok_or_else(|| malformed("GET /account", &reply, "no account in it"))
            })
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_key() {
        let settings = ArmoxSettings::new(Secret::new("sk_live_canary"));
        let shown = format!("{settings:?} {:?}", Armox::new(settings.clone(), World::real()).expect("a provider"));
        assert!(!shown.contains("canary"), "{shown}");
    }
}
