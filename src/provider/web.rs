//! Any server on the web, without a key: what a step with `http` and no `provider` goes to.
//!
//! It stands behind the same trait as the job APIs, so that such a step is intended, sent, answered, repeated and cancelled like any
//! other. It has no targets, no jobs to look at, and no rate.

use std::time::Duration;

use futures_util::{
    FutureExt as _,
    future::{self, BoxFuture},
};
use jiff::Timestamp;

use super::{
    Account, Answer, Cancelled, LocalFile, MediaRef, Promises, Provider, Recent, Wanted,
    http::{Client, ClientProblem, ClientSettings, Reach},
};
use crate::{
    contract::Contract,
    job::{Fault, FaultKind, IdempotencyKey, Job, JobHandle, JobRequest, JobStatus, Submitted, TargetKind},
    secret::{Redactor, Secret},
    world::World,
};

/// The name that plans and journals call it by.
pub const ALIAS: &str = "http";

/// The web.
#[derive(Clone, Debug)]
pub struct Web {
    client: Client,
    reach: Reach,
}

impl Web {
    /// Builds it; these secrets are redacted from what comes back. In the emulator only this machine is reached.
    ///
    /// # Errors
    ///
    /// Where the environment's proxy cannot be used.
    pub fn new(secrets: impl IntoIterator<Item = Secret>, sandbox: bool, world: World) -> Result<Self, ClientProblem> {
        // No request goes to the base URL: each has its own.
        let settings =
            ClientSettings { redactor: Redactor::new(secrets), ..ClientSettings::new("https://web.invalid") };
        let reach = if sandbox { Reach::Loopback } else { Reach::Anywhere };
        Ok(Self { client: Client::new(settings, world)?, reach })
    }
}

fn nothing<T: Send + 'static>(what: &str) -> BoxFuture<'static, Answer<T>> {
    let fault = Fault::new(FaultKind::Rejected, format!("an HTTP request has no {what}"));
    future::ready(Answer::bare(Err(fault))).boxed()
}

impl Provider for Web {
    fn promises(&self) -> Promises {
        Promises {
            idempotent: &[],
            findable: &[],
            settle_grace: None,
            cancellable: false,
            batch_look: 1,
            webhooks: false,
            uploads: false,
            default_retry_after: Duration::from_secs(1),
            rate: None,
            blind: None,
        }
    }

    fn kinds(&self) -> &'static [TargetKind] {
        &[TargetKind::Http]
    }

    fn base_url(&self) -> &'static str {
        ALIAS
    }

    fn catalog<'a>(&'a self, _: &'a Wanted) -> BoxFuture<'a, Answer<Vec<Contract>>> {
        future::ready(Answer::bare(Ok(Vec::new()))).boxed()
    }

    fn submit<'a>(&'a self, job: &'a JobRequest, key: &'a IdempotencyKey) -> BoxFuture<'a, Answer<Submitted>> {
        self.client.step(job, key, self.reach).boxed()
    }

    fn look<'a>(&'a self, _: &'a [Job]) -> BoxFuture<'a, Answer<Vec<(JobHandle, JobStatus)>>> {
        nothing("job to look at")
    }

    fn recent(&self, _: Timestamp) -> BoxFuture<'_, Answer<Recent>> {
        future::ready(Answer::bare(Ok(Recent { jobs: Vec::new(), complete: false }))).boxed()
    }

    fn cancel<'a>(&'a self, _: &'a Job) -> BoxFuture<'a, Answer<Cancelled>> {
        nothing("job to cancel")
    }

    fn upload<'a>(&'a self, _: &'a LocalFile) -> BoxFuture<'a, Answer<MediaRef>> {
        nothing("place for files")
    }

    fn account(&self) -> BoxFuture<'_, Answer<Account>> {
        nothing("account")
    }
}
