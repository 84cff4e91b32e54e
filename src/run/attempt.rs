//! The effects of a run: one task for each call, which ends in one message to the loop. A task makes calls and waits; it decides
//! nothing that the journal should know of.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{
    backoff,
    driver::{Handed, Message},
    settle::{self, Found, Lost, Owner, Rules},
};
use crate::{
    artifact::{
        local::{self, LocalProblem},
        staging::Staging,
    },
    id::Digest,
    job::{Fault, FaultKind, IdempotencyKey, Job, JobRequest, JobStatus, Submitted},
    journal::{Claimant, Journal, JournalError, OpenIntent, state::StepIndex},
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
        biased;
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
        biased;
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

/// A lost submit, and what is needed to settle it.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) step: StepIndex,
    pub(super) own: Claimant,
    pub(super) provider: Arc<dyn Provider>,
    /// The name under which claims of jobs are kept.
    pub(super) base_url: String,
    pub(super) lost: Lost,
    pub(super) class: Option<Digest>,
    /// How many submits of the class this run has open.
    pub(super) intents: usize,
    /// How long an accepted job may take to be listed.
    pub(super) grace: Duration,
    /// Whether its absence after that proves that it was not accepted.
    pub(super) absence_proves: bool,
    /// One look is enough, as the same key settles what it does not.
    pub(super) once: bool,
    /// How long to look.
    pub(super) bound: Duration,
    pub(super) rules: Rules,
    pub(super) journal: Journal,
    pub(super) world: World,
}

/// What became of a lost submit.
#[derive(Debug)]
pub(super) enum Settled {
    /// It is this job, which is claimed.
    Found(Box<Submitted>),
    /// It was not accepted.
    Absent,
    /// No list shows it, which says nothing.
    Unseen,
    /// Nobody can tell, for this reason.
    Open(String),
    /// The journal does not work.
    Unwritten(JournalError),
}

/// Looks for a lost submit in the API's list of jobs.
pub(super) async fn settle(search: Search) -> Message {
    let mut told = Vec::new();
    let settled = search_list(&search, &mut told).await;
    let settled = settled.unwrap_or_else(Settled::Unwritten);
    Message::Settled { step: search.step, settled, told }
}

/// Looks for a submit of another run whose process is gone.
pub(super) async fn settle_other(search: Search, intent: OpenIntent) -> Message {
    let mut told = Vec::new();
    let settled = search_list(&search, &mut told).await;
    let settled = settled.unwrap_or_else(Settled::Unwritten);
    Message::SettledElsewhere { step: search.step, intent: Box::new(intent), settled, told }
}

/// What is said where the list of jobs says nothing of a submit.
const BEYOND: &str = "the list of jobs does not reach back to it";

async fn search_list(search: &Search, told: &mut Vec<Told>) -> Result<Settled, JournalError> {
    let Search { provider, base_url, lost, own, journal, world, rules, .. } = search;
    // By the clock that never jumps: a grace that somebody's putting the clock on cut short would prove nothing.
    let began = world.elapsed();
    let (mut looks, mut failures) = (0, 0);
    loop {
        let elapsed = world.elapsed().saturating_sub(began);
        let due = search.grace.mul_f64(settle::LOOKS[looks.min(settle::LOOKS.len() - 1)]);
        if !search.once {
            let wait = due.saturating_sub(elapsed);
            // After the grace, a look that settles nothing is made again only because something of the class is still under way.
            world.sleep(if looks >= settle::LOOKS.len() { backoff::wait(3, world.random()) } else { wait }).await;
        }
        let answer = provider.recent_of(&lost.target, lost.since).await;
        told.push((answer.rate, answer.result.as_ref().err().cloned()));
        let recent = match answer.result {
            Ok(recent) => recent,
            Err(_) if search.once => return Ok(Settled::Unseen),
            Err(fault) => {
                failures += 1;
                let over = world.elapsed().saturating_sub(began) > search.bound;
                if !fault.is_transient() || over {
                    return Ok(Settled::Open(format!("the list of jobs cannot be read: {}", fault.message)));
                }
                let wait = backoff::wait(failures, world.random());
                world.sleep(wait.max(fault.retry_after.unwrap_or_default())).await;
                continue;
            }
        };
        looks += 1;
        let is_last = search.once || looks >= settle::LOOKS.len();
        // After the list was read: whoever has a job in it had written down its intent before.
        let mut intents = search.intents;
        let mut under_way = false;
        if let Some(class) = &search.class {
            for (intent, is_live) in journal.open_intents(base_url, class, own.run)? {
                intents += 1;
                under_way |= is_live && !intent.lost;
            }
        }
        if under_way {
            // Its answer says which job is its own.
            continue;
        }
        let mut wrong = None;
        let most = if rules.by_count { intents } else { usize::MAX };
        let found = settle::find(lost, most, &recent, |job| {
            let claimant = journal.claimant(base_url, job).unwrap_or_else(|error| {
                wrong = Some(error);
                None
            });
            match claimant {
                None => Owner::Nobody,
                Some(claimant) if claimant == *own => Owner::This,
                Some(_) => Owner::Another,
            }
        });
        if let Some(error) = wrong {
            return Err(error);
        }
        match found {
            Found::Own(submitted) => {
                if journal.claim(base_url, &submitted.job, own).await? {
                    return Ok(Settled::Found(submitted));
                }
                looks -= 1;
            }
            // Its own job may lie further back, and this one be that of an equal submit.
            Found::One(_) if intents > 1 && !recent.complete && !search.once && rules.by_count => {
                if is_last {
                    return Ok(Settled::Open(BEYOND.to_owned()));
                }
            }
            // Of several, the key says which is whose, and the list does not.
            Found::One(_) if search.once && intents > 1 => return Ok(Settled::Unseen),
            Found::One(submitted) if is_last || intents == 1 || !rules.by_count => {
                if journal.claim(base_url, &submitted.job, own).await? {
                    return Ok(Settled::Found(submitted));
                }
                // Somebody else was faster: the next look shows what is left.
                looks -= 1;
            }
            Found::None | Found::Open(_) if is_last && search.once => return Ok(Settled::Unseen),
            Found::None if is_last => {
                return Ok(match (search.absence_proves, recent.complete) {
                    (true, true) => Settled::Absent,
                    (true, false) => Settled::Open(BEYOND.to_owned()),
                    (false, _) => Settled::Open("the list of jobs does not show it, which proves nothing".to_owned()),
                });
            }
            Found::Open(jobs) if is_last => {
                let ids: Vec<_> = jobs.iter().take(5).map(ToString::to_string).collect();
                return Ok(Settled::Open(format!("new since then, and perhaps it: {}", ids.join(", "))));
            }
            Found::One(_) | Found::None | Found::Open(_) => {}
        }
    }
}

/// Looks at jobs, with one call.
pub(super) async fn look(lane: String, provider: Arc<dyn Provider>, jobs: Vec<(StepIndex, Job)>) -> Message {
    let handles: Vec<_> = jobs.iter().map(|(_, job)| job.clone()).collect();
    let answer = provider.look(&handles).await;
    Message::Looked { lane, jobs, answer: Box::new(answer) }
}

/// Ends a job before its time: after a timeout with one more look, since it may just be done; then by cancelling it, and where that
/// is too late or not immediate, with further looks.
pub(super) async fn end(
    step: StepIndex,
    provider: Arc<dyn Provider>,
    job: Job,
    why: Why,
    journal: Journal,
    world: World,
) -> Message {
    // Who goes on with the run has to know that it was this run that called its jobs off, and not somebody else.
    if why == Why::Cancel
        && let Err(error) = journal.durable().await
    {
        return Message::Unwritten(error);
    }
    let (mut told, mut note) = (Vec::new(), None);
    let work = end_job(&provider, &job, why, &world, &mut told, &mut note);
    let (status, confirmed) = tokio::select! {
        biased;
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
