//! The effects of a run: one task for each call, which ends in one message to the loop. A task makes calls and waits; it decides
//! nothing that the journal should know of.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    backoff,
    driver::{Handed, Message},
    settle::{self, Found},
};
use crate::{
    artifact::{
        local::{self, LocalProblem},
        staging::Staging,
    },
    id::Digest,
    job::{Fault, FaultKind, IdempotencyKey, Job, JobHandle, JobRequest, JobStatus},
    journal::{Journal, state::StepIndex},
    provider::{Answer, Cancelled, LocalFile, MediaRef, Provider, RateHint},
    result::ErrorKind,
    world::World,
};

/// How long calling a job off may take: CI systems kill a process some seconds after the first signal.
pub(super) const CANCEL_GRACE: Duration = Duration::from_secs(5);

/// How often a file is handed over that an API or a store did not take because of something that passes.
const UPLOAD_TRIES: u32 = 5;

/// What an answer said about the key's rate, for the limiter.
pub(super) type Told = (RateHint, Option<Fault>);

/// Why a job is to end before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The run was cancelled.
    Cancel,
    /// The step's timeout passed.
    Timeout,
}

/// Sends a submit once its intent is on disk. No answer within `timeout` is an answer of its own kind.
pub(super) async fn submit(
    step: StepIndex,
    provider: Arc<dyn Provider>,
    request: JobRequest,
    key: IdempotencyKey,
    timeout: Duration,
    journal: Journal,
    world: World,
) -> Message {
    if let Err(error) = journal.durable().await {
        return Message::Unwritten(error);
    }
    let answer = tokio::select! {
        answer = provider.submit(&request, &key) => answer,
        () = world.sleep(timeout) => {
            let message = format!("the submit of {} had no answer within the step's timeout", request.target);
            Answer::bare(Err(Fault::new(FaultKind::Timeout, message)))
        }
    };
    Message::Submitted { step, answer: Box::new(answer) }
}

/// Looks at a local file and reads it through for its digest.
pub(super) async fn examine(lane: String, path: PathBuf) -> Message {
    let found = async {
        let file = local::look(&path).await?;
        let digest = local::digest(&file).await?;
        Ok((file, digest))
    };
    let found = found.await.map_err(|problem: LocalProblem| (ErrorKind::Upload, problem.to_string()));
    Message::Examined { lane, path, found }
}

/// Hands a local file over, to the API itself or to the store that it fetches from. What passes by itself is tried again.
pub(super) async fn hand_over(
    lane: String,
    provider: Arc<dyn Provider>,
    staging: Option<Arc<dyn Staging>>,
    file: LocalFile,
    digest: Digest,
    timeout: Duration,
    world: World,
) -> Message {
    let mut told = Vec::new();
    let result = tokio::select! {
        result = handed(&provider, staging.as_ref(), &file, digest, &world, &mut told) => result,
        () = world.sleep(timeout) => {
            Err((ErrorKind::Upload, format!("`{}` was not handed over within the step's timeout", file.name)))
        }
    };
    Message::HandedOver { lane, file: Box::new(file), digest, result, told }
}

async fn handed(
    provider: &Arc<dyn Provider>,
    staging: Option<&Arc<dyn Staging>>,
    file: &LocalFile,
    digest: Digest,
    world: &World,
    told: &mut Vec<Told>,
) -> Handed<MediaRef> {
    for tries in 1.. {
        let mut wait = backoff::wait(tries, world.random());
        if let Some(staging) = staging {
            match staging.put(file, &digest).await {
                Ok(staged) => return Ok(MediaRef(staged.url.expose().to_owned())),
                Err(error) if error.is_transient() && tries < UPLOAD_TRIES => {}
                Err(error) => return Err((ErrorKind::Upload, error.to_string())),
            }
        } else {
            let answer = provider.upload(file).await;
            told.push((answer.rate, answer.result.as_ref().err().cloned()));
            match answer.result {
                Ok(media) => return Ok(media),
                // An upload that happened twice costs nothing and is no job.
                Err(fault)
                    if fault.is_transient() && (tries < UPLOAD_TRIES || fault.kind == FaultKind::RateLimited) =>
                {
                    if fault.kind == FaultKind::RateLimited {
                        wait = wait.max(fault.retry_after.unwrap_or(provider.promises().default_retry_after));
                    }
                }
                Err(fault) => {
                    let kind = match fault.kind {
                        FaultKind::Unauthorized => ErrorKind::Unauthorized,
                        FaultKind::Forbidden => ErrorKind::Forbidden,
                        FaultKind::Credits => ErrorKind::Credits,
                        _ => ErrorKind::Upload,
                    };
                    return Err((kind, format!("`{}` was not uploaded: {}", file.name, fault.message)));
                }
            }
        }
        world.sleep(wait).await;
    }
    unreachable!("tries have a bound, and a rate limit ends")
}

/// What is looked for where the answer to a submit was lost.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) request: JobRequest,
    /// Jobs made before are others.
    pub(super) since: Timestamp,
    /// What came instead of the answer.
    pub(super) fault: Fault,
    /// The name under which claims of jobs are kept.
    pub(super) base_url: String,
}

/// Looks for a lost submit in the API's list of jobs, a few times.
pub(super) async fn search(
    step: StepIndex,
    provider: Arc<dyn Provider>,
    lost: Lost,
    journal: Journal,
    world: World,
) -> Message {
    let (mut told, mut new) = (Vec::new(), Vec::new());
    for wait in settle::LOOKS {
        world.sleep(wait).await;
        let answer = provider.recent_of(&lost.request.target, lost.since).await;
        told.push((answer.rate, answer.result.as_ref().err().cloned()));
        let Ok(recent) = answer.result else { continue };
        // A job of which it is not known whose it is, is not taken.
        let is_claimed = |job: &JobHandle| journal.is_claimed(&lost.base_url, job).unwrap_or(true);
        match settle::find(&lost.request, recent, lost.since, is_claimed) {
            Found::One(submitted) => return Message::Sought { step, found: Some(submitted), fault: lost.fault, told },
            Found::Open(jobs) => new = jobs,
        }
    }
    let mut fault = lost.fault;
    if !new.is_empty() {
        let ids: Vec<_> = new.iter().take(5).map(ToString::to_string).collect();
        fault.message = format!("{}; new since then, and perhaps it: {}", fault.message, ids.join(", "));
    }
    Message::Sought { step, found: None, fault, told }
}

/// Looks at jobs, with one call.
pub(super) async fn look(lane: String, provider: Arc<dyn Provider>, jobs: Vec<(StepIndex, Job)>) -> Message {
    let handles: Vec<_> = jobs.iter().map(|(_, job)| job.clone()).collect();
    let answer = provider.look(&handles).await;
    Message::Looked { lane, jobs, answer: Box::new(answer) }
}

/// Ends a job before its time: after a timeout with one more look, since it may just be done; then by cancelling it, and where that
/// is too late or not immediate, with further looks.
pub(super) async fn end(step: StepIndex, provider: Arc<dyn Provider>, job: Job, why: Why, world: World) -> Message {
    let (mut told, mut note) = (Vec::new(), None);
    let work = end_job(&provider, &job, why, &world, &mut told, &mut note);
    let (status, confirmed) = tokio::select! {
        ended = work => ended,
        () = world.sleep(CANCEL_GRACE) => (None, false),
    };
    Message::Ended { step, why, status: status.map(Box::new), confirmed, told, note }
}

async fn end_job(
    provider: &Arc<dyn Provider>,
    job: &Job,
    why: Why,
    world: &World,
    told: &mut Vec<Told>,
    note: &mut Option<String>,
) -> (Option<JobStatus>, bool) {
    if why == Why::Timeout
        && let Some(status) = terminal(provider, job, told).await
    {
        return (Some(status), true);
    }
    let mut asked = false;
    for tries in 1.. {
        if !asked {
            let answer = provider.cancel(job).await;
            told.push((answer.rate, answer.result.as_ref().err().cloned()));
            match answer.result {
                Ok(Cancelled::Done) => return (None, true),
                Ok(Cancelled::Asked | Cancelled::TooLate) => asked = true,
                Ok(Cancelled::Impossible(words)) => {
                    let status = terminal(provider, job, told).await;
                    // What is over does not go on, whatever the API cannot do about it.
                    if status.is_none() {
                        *note = Some(words);
                    }
                    return (status, false);
                }
                Err(fault) if fault.is_transient() => {}
                // Refused for good: how it stands is all that can be learned.
                Err(_) => return (terminal(provider, job, told).await, false),
            }
        }
        if asked && let Some(status) = terminal(provider, job, told).await {
            return (Some(status), true);
        }
        world.sleep(backoff::wait(tries, world.random())).await;
    }
    (None, false)
}

/// Looks once, and returns the status of a job that is over.
async fn terminal(provider: &Arc<dyn Provider>, job: &Job, told: &mut Vec<Told>) -> Option<JobStatus> {
    let answer = provider.look(std::slice::from_ref(job)).await;
    told.push((answer.rate, answer.result.as_ref().err().cloned()));
    let (_, status) = answer.result.ok()?.into_iter().find(|(handle, _)| *handle == job.id)?;
    status.state.is_terminal().then_some(status)
}
