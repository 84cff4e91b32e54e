//! What to do next: a pure function of a run's state and a few facts. All policy is here: order, limits, what a failure means, how a
//! run ends.
//!
//! `decide` reads the heads of the agenda's queues, at most [`TURN`] a turn, and never scans the steps. Applying the records of an
//! action removes its head, so that the two cannot loop. It never renders a template: that is an action whose result is recorded.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use super::backoff;
use crate::{
    id::Attempt,
    job::{Fault, FaultKind, JobState},
    journal::{
        event::{Event, RunStatus, SkipReason},
        state::{RunState, StepIndex, StepState},
    },
    result::{ErrorKind, StepError, StepStatus},
};

/// The most actions of one turn, so that nothing waits long behind a wide fan.
pub const TURN: usize = 256;

/// What is said of a submit that a cancelled run could not settle in time.
pub const UNSETTLED: &str =
    "the run was cancelled while the submit was unanswered: nobody can tell whether the API accepted it";

/// What the state does not say.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The time.
    pub now: Timestamp,
    /// How many submits each provider's rate allows now.
    pub permits: &'a BTreeMap<String, usize>,
    /// Steps for which a save, a cancel, a last look or the handing over of files is under way.
    pub acting: &'a BTreeSet<StepIndex>,
    /// Whether the time that a cancelled run gives its unanswered submits is over.
    pub grace_over: bool,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Write this down; nothing else is to be done.
    Record(Box<Event>),
    /// Judge the step's `when`, and render it at once if no job does it.
    Prepare(StepIndex),
    /// Render the request, record the intent, and send it.
    Submit(StepIndex),
    /// Save what came out, then succeed.
    Conclude(StepIndex),
    /// Call the job off.
    Cancel(StepIndex),
    /// Give up waiting for the answer to a submit.
    Abandon(StepIndex),
    /// Render the outputs and end the run.
    Finish,
}

/// Decides what to do next; nothing means: wait.
#[must_use]
pub fn decide(state: &RunState, facts: &Facts<'_>) -> Vec<Action> {
    let mut actions = Vec::new();
    if state.status != RunStatus::Running {
        return actions;
    }
    if state.open() == 0 {
        return vec![Action::Finish];
    }
    let stopping = stopping(state);
    // A step that waits for its files has been judged; when the run stops, it is over all the same.
    let waits = |ix: &&StepIndex| stopping.is_none() && facts.acting.contains(ix);
    let judged = state.agenda.judge.iter().filter(|ix| !waits(ix)).take(TURN);
    actions.extend(judged.map(|&ix| judge(state, ix, stopping.as_ref())));
    actions.extend(state.agenda.ended.iter().filter(|ix| !facts.acting.contains(ix)).map(|&ix| conclude(state, ix)));
    match &stopping {
        Some(why) => stop(state, facts, why, &mut actions),
        None => start(state, facts, &mut actions),
    }
    actions
}

/// Why nothing new starts, if nothing does. A cancelled run says so even where a step had failed before.
fn stopping(state: &RunState) -> Option<SkipReason> {
    if state.cancelled_by.is_some() {
        Some(SkipReason::RunCancelled)
    } else if state.is_failing() {
        Some(SkipReason::RunFailed)
    } else {
        None
    }
}

/// Judges a step with nothing left to wait for.
fn judge(state: &RunState, ix: StepIndex, stopping: Option<&SkipReason>) -> Action {
    let step = state.step(ix);
    let why = match (step.blocker(), stopping) {
        (Some(blocker), None | Some(SkipReason::RunFailed)) => {
            Some(SkipReason::Needs(state.step(blocker).brief.step.clone()))
        }
        (_, why) => why.cloned(),
    };
    match why {
        Some(why) => Action::Record(Box::new(Event::StepSkipped { step: step.brief.step.clone(), why })),
        None => Action::Prepare(ix),
    }
}

/// Concludes a step whose job is over.
fn conclude(state: &RunState, ix: StepIndex) -> Action {
    let step = state.step(ix);
    let path = step.brief.step.clone();
    let status = step.job.as_ref().map(|job| &job.status);
    match status {
        Some(JobState::Completed) => Action::Conclude(ix),
        Some(JobState::Cancelled) if state.cancelled_by.is_some() => {
            Action::Record(Box::new(Event::StepCancelled { step: path, confirmed: Some(true) }))
        }
        Some(JobState::Cancelled) => {
            let message = "the job was cancelled from outside".to_owned();
            fail(step, ErrorKind::JobFailed, message)
        }
        _ => {
            let message = step.job_error.clone().unwrap_or_else(|| "the API gave no reason".to_owned());
            fail(step, ErrorKind::JobFailed, message)
        }
    }
}

fn fail(step: &StepState, kind: ErrorKind, message: String) -> Action {
    Action::Record(Box::new(failure(step, kind, message)))
}

/// Returns the event of a step's failure.
#[must_use]
pub fn failure(step: &StepState, kind: ErrorKind, message: String) -> Event {
    Event::StepFailed { step: step.brief.step.clone(), error: StepError { kind, message }, handled: false }
}

/// Ends what has not started, and calls off what runs when the run was cancelled. A failure lets running jobs go on.
fn stop(state: &RunState, facts: &Facts<'_>, why: &SkipReason, actions: &mut Vec<Action>) {
    let ready = state.agenda.ready.values().flatten().take(TURN);
    actions.extend(ready.map(|&(_, ix)| {
        Action::Record(Box::new(Event::StepSkipped { step: state.step(ix).brief.step.clone(), why: why.clone() }))
    }));
    if state.cancelled_by.is_none() {
        resend(state, facts, free_slots(state), &mut facts.permits.clone(), actions);
        return;
    }
    actions.extend(state.agenda.due.iter().take(TURN).filter_map(|&(due, ix)| {
        let step = state.step(ix);
        if !step.unsettled {
            // Its submit had no effect, so there is no job to call off.
            let event = Event::StepCancelled { step: step.brief.step.clone(), confirmed: None };
            return Some(Action::Record(Box::new(event)));
        }
        // There may be a job: the same key finds it, and then it is called off.
        if facts.grace_over {
            return Some(fail(step, ErrorKind::SubmitUnknown, UNSETTLED.to_owned()));
        }
        (due <= facts.now).then_some(Action::Submit(ix))
    }));
    let idle = |ix: &&StepIndex| !facts.acting.contains(ix);
    actions.extend(state.agenda.running.iter().filter(idle).map(|&ix| Action::Cancel(ix)));
    if facts.grace_over {
        actions.extend(state.agenda.submitting.iter().map(|&ix| Action::Abandon(ix)));
    }
}

fn free_slots(state: &RunState) -> usize {
    (state.start.concurrency as usize).saturating_sub(state.in_flight()).min(TURN)
}

/// Sends what is due again, then starts what is ready: the longest remaining path first, over all providers whose rate allows it.
fn start(state: &RunState, facts: &Facts<'_>, actions: &mut Vec<Action>) {
    let mut permits = facts.permits.clone();
    let mut free = resend(state, facts, free_slots(state), &mut permits, actions);
    let mut queues: Vec<_> =
        state.agenda.ready.iter().map(|(provider, queue)| (provider, queue.iter().peekable())).collect();
    while free > 0 {
        let best = queues
            .iter_mut()
            .filter(|(provider, _)| permits.get(*provider).is_some_and(|&left| left > 0))
            .filter_map(|(provider, queue)| Some((**queue.peek()?, *provider)))
            .min();
        let Some(((_, ix), provider)) = best else { break };
        actions.push(Action::Submit(ix));
        free -= 1;
        *permits.get_mut(provider).expect("it was filtered by its permits") -= 1;
        for (_, queue) in queues.iter_mut().filter(|(other, _)| *other == provider) {
            queue.next();
        }
    }
}

/// Sends submits again whose time has come; returns the slots that are left.
fn resend(
    state: &RunState,
    facts: &Facts<'_>,
    mut free: usize,
    permits: &mut BTreeMap<String, usize>,
    actions: &mut Vec<Action>,
) -> usize {
    for &(_, ix) in state.agenda.due.iter().take_while(|&&(due, _)| due <= facts.now).take(TURN) {
        let provider = state.step(ix).brief.provider.as_deref().unwrap_or_default();
        let Some(left) = permits.get_mut(provider).filter(|left| **left > 0) else { continue };
        if free == 0 {
            break;
        }
        *left -= 1;
        free -= 1;
        actions.push(Action::Submit(ix));
    }
    free
}

/// How long a key is taken to be remembered by an API that takes one: how long it is, is not documented, so a key is used soon or not at
/// all (LANGUAGE.md, section 8).
const KEY_LIFE: SignedDuration = SignedDuration::from_hours(1);

/// Whether a submit whose answer was lost may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Never: a second job might come of it.
    Never,
    /// With the same key, of which the API makes one job.
    SameKey,
    /// As it is: an HTTP request whose method may be repeated.
    Harmless,
}

/// What decides about a submit that was not answered well.
#[derive(Debug)]
pub struct Unanswered<'a> {
    /// What came instead of an answer.
    pub fault: &'a Fault,
    /// Whether it may be sent again.
    pub repeat: Repeat,
    /// The bound on the attempt.
    pub timeout: Duration,
    /// Until when the provider is held back by a 429.
    pub limited_until: Option<Timestamp>,
    /// 64 random bits.
    pub random: u64,
    /// The time.
    pub now: Timestamp,
}

/// Decides what a submit that was not answered well means: it is sent again only where nothing had happened, or where sending it
/// again cannot make a second job. Once a sending is unsettled, only an accepted one settles it: a later refusal does not say that the first
/// had no effect.
#[must_use]
pub fn after_submit(step: &StepState, unanswered: &Unanswered<'_>) -> Event {
    let Unanswered { fault, repeat, timeout, limited_until, random, now } = *unanswered;
    let lost = fault.may_have_happened();
    let unsettled = step.unsettled || (lost && repeat == Repeat::SameKey);
    let unknown = |why: &str| {
        let message = format!("{}; nobody can tell whether the API accepted the job, {why}", fault.message);
        failure(step, ErrorKind::SubmitUnknown, message)
    };
    if lost && repeat == Repeat::Never {
        return unknown("so it is not sent again");
    }
    let began = step.started_at.unwrap_or(now);
    let again = |due: Timestamp, rate_limited| Event::RetryScheduled {
        step: step.brief.step.clone(),
        attempt: step.attempt.unwrap_or(Attempt::FIRST),
        due,
        rate_limited,
        unsettled,
        why: fault.message.clone(),
    };
    let too_old = |due: Timestamp| unsettled && due.duration_since(began) > KEY_LIFE;
    let kind = match fault.kind {
        FaultKind::RateLimited => {
            let due = limited_until.unwrap_or(now);
            // A little later than the others, by chance: the key's workers do not all come back at once.
            let due = later(due, backoff::spread(Duration::from_secs(1), 0.0, 1.0, random));
            return if too_old(due) { unknown("and its key is too old to ask") } else { again(due, true) };
        }
        _ if fault.is_transient() => {
            let spent = now.duration_since(began) - step.excused;
            let wait = backoff::wait(step.retries + 1, random).max(fault.retry_after.unwrap_or_default());
            let due = later(now, wait);
            if spent + signed(wait) <= signed(timeout) && !too_old(due) {
                return again(due, false);
            }
            if unsettled {
                return unknown("and sending it again with the same key did not settle it");
            }
            match (fault.kind, fault.status) {
                (_, Some(_)) => ErrorKind::ServerError,
                (FaultKind::Timeout, None) => ErrorKind::Timeout,
                _ => ErrorKind::Unreachable,
            }
        }
        _ if step.unsettled => return unknown("since this refuses only the last sending of it"),
        FaultKind::Unauthorized => ErrorKind::Unauthorized,
        FaultKind::Forbidden => ErrorKind::Forbidden,
        FaultKind::Credits => ErrorKind::Credits,
        _ if fault.status.is_some_and(|status| status >= 500) => ErrorKind::ServerError,
        _ => ErrorKind::Rejected,
    };
    failure(step, kind, fault.message.clone())
}

/// Returns how a run ends in which every step is over.
#[must_use]
pub fn verdict(state: &RunState) -> RunStatus {
    if state.has_unknown_submit() {
        return RunStatus::SubmitUnknown;
    }
    // A signal that came when everything was done has cancelled nothing.
    let cut = |step: &StepState| {
        step.status() == Some(StepStatus::Cancelled) || step.skipped == Some(SkipReason::RunCancelled)
    };
    if state.cancelled_by.is_some() && state.steps.iter().any(cut) {
        return RunStatus::Cancelled;
    }
    if state.is_failing() { RunStatus::Failed } else { RunStatus::Succeeded }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// Returns the time `wait` after `time`.
#[must_use]
pub fn later(time: Timestamp, wait: Duration) -> Timestamp {
    time.saturating_add(signed(wait)).unwrap_or(Timestamp::MAX)
}
