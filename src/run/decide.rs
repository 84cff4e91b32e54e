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

/// What the state does not say.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The time.
    pub now: Timestamp,
    /// How many submits each provider's rate allows now.
    pub permits: &'a BTreeMap<String, usize>,
    /// Steps for which a save, a cancel or a last look is under way.
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
    actions.extend(state.agenda.judge.iter().take(TURN).map(|&ix| judge(state, ix, stopping.as_ref())));
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
    actions.extend(state.agenda.due.iter().take(TURN).map(|&(_, ix)| {
        // Its submit had no effect, so there is no job to call off.
        Action::Record(Box::new(Event::StepCancelled { step: state.step(ix).brief.step.clone(), confirmed: None }))
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

/// Decides what a submit that was not answered well means: it is sent again only where it is proved that nothing had happened.
#[must_use]
pub fn after_submit(
    step: &StepState,
    fault: &Fault,
    timeout: Duration,
    limited_until: Option<Timestamp>,
    random: u64,
    now: Timestamp,
) -> Event {
    let attempt = step.attempt.unwrap_or(Attempt::FIRST);
    let path = step.brief.step.clone();
    if fault.may_have_happened() {
        let message =
            format!("{}; nobody can tell whether the API accepted the job, so it is not sent again", fault.message);
        return failure(step, ErrorKind::SubmitUnknown, message);
    }
    let kind = match fault.kind {
        FaultKind::RateLimited => {
            let due = limited_until.unwrap_or(now);
            // A little later than the others, by chance: the key's workers do not all come back at once.
            let spread = backoff::spread(Duration::from_secs(1), 0.0, 1.0, random);
            return Event::RetryScheduled {
                step: path,
                attempt,
                due: later(due, spread),
                rate_limited: true,
                why: fault.message.clone(),
            };
        }
        FaultKind::Network => {
            let began = step.started_at.unwrap_or(now);
            let spent = now.duration_since(began) - step.excused;
            let wait = backoff::wait(step.retries + 1, random);
            if spent + signed(wait) <= signed(timeout) {
                return Event::RetryScheduled {
                    step: path,
                    attempt,
                    due: later(now, wait),
                    rate_limited: false,
                    why: fault.message.clone(),
                };
            }
            ErrorKind::Unreachable
        }
        FaultKind::Unauthorized => ErrorKind::Unauthorized,
        FaultKind::Forbidden => ErrorKind::Forbidden,
        FaultKind::Credits => ErrorKind::Credits,
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
