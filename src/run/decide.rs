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
        state::{
            Phase, RunState, StepIndex, StepState,
            spending::{Affords, Open, Shortfall, Spending},
        },
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
    /// Steps for which a save, a cancel, a last look, the settling of a submit or the handing over of files is under way, or whose submit
    /// waits for another of its class to be settled.
    pub acting: &'a BTreeSet<StepIndex>,
    /// Whether the time that a cancelled run gives its unanswered submits is over.
    pub grace_over: bool,
    /// Whether a cancelled run leaves its remote jobs running, for a resume.
    pub detach: bool,
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
    /// Find out whether the submit, whose answer is lost, was accepted.
    Settle(StepIndex),
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
    if state.open() == 0 || has_let_go(state, facts) {
        return vec![Action::Finish];
    }
    let stopping = stopping(state);
    // A step that waits for its files has been judged; when the run stops, it is over all the same.
    let waits = |ix: &&StepIndex| stopping.is_none() && facts.acting.contains(ix);
    let judged = state.agenda.judge.iter().filter(|ix| !waits(ix)).take(TURN);
    actions.extend(judged.map(|&ix| judge(state, ix, stopping.as_ref())));
    actions.extend(state.agenda.ended.iter().filter(|ix| !facts.acting.contains(ix)).map(|&ix| conclude(state, ix)));
    settle(state, facts, &mut actions);
    match &stopping {
        Some(why) => stop(state, facts, why, &mut actions),
        None => start(state, facts, &mut actions),
    }
    actions
}

/// Says whether a cancelled run that leaves its jobs running has nothing left to do but to end: no answer is waited for any more, no
/// result is being saved, nothing that never began is left to be told so.
fn has_let_go(state: &RunState, facts: &Facts<'_>) -> bool {
    let agenda = &state.agenda;
    let quiet = (agenda.submitting.is_empty() && facts.acting.is_empty() || facts.grace_over)
        && agenda.judge.is_empty()
        && agenda.ended.is_empty()
        && agenda.ready.values().all(BTreeSet::is_empty);
    state.cancelled_by.is_some() && facts.detach && quiet
}

/// Settles what is unsettled, whatever else happens: nothing of its class leaves before, and where one of its class is still under
/// way, its answer is waited for, since the job that is found may be that one's.
fn settle(state: &RunState, facts: &Facts<'_>, actions: &mut Vec<Action>) {
    if state.cancelled_by.is_some() && (facts.detach || facts.grace_over) {
        return;
    }
    let due = state.agenda.unsettled.iter().take_while(|&&(due, _)| due <= facts.now).map(|&(_, ix)| ix);
    let is_alone = |ix: &StepIndex| {
        let class = state.step(*ix).class;
        class.is_none_or(|class| state.agenda.class(&class).sending == 0)
    };
    actions.extend(due.filter(|ix| !facts.acting.contains(ix)).filter(is_alone).take(TURN).map(Action::Settle));
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
        // It was one of before the run was resumed: a new one may start, since this one does not run any more.
        Some(JobState::Cancelled | JobState::Failed) if step.leftover && state.cancelled_by.is_none() => {
            Action::Record(Box::new(Event::StepReady { step: path }))
        }
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
        // A submit that waits for its class has not left.
        Action::Record(Box::new(Event::StepSkipped { step: state.step(ix).brief.step.clone(), why: why.clone() }))
    }));
    let mut turn = Turn::new(state, facts);
    if state.cancelled_by.is_none() {
        turn.resend(actions);
        return;
    }
    if facts.detach {
        return;
    }
    let idle = |ix: &StepIndex| !facts.acting.contains(ix);
    // What had no effect leaves no job to call off.
    actions.extend(state.agenda.due.iter().take(TURN).map(|&(_, ix)| {
        let event = Event::StepCancelled { step: state.step(ix).brief.step.clone(), confirmed: None };
        Action::Record(Box::new(event))
    }));
    actions.extend(state.agenda.running.iter().copied().filter(idle).map(Action::Cancel));
    if facts.grace_over {
        actions.extend(state.agenda.submitting.iter().map(|&ix| Action::Abandon(ix)));
        // There may be a job: what was looked for in vain until now, nobody can tell.
        let unknown =
            |&(_, ix): &(Timestamp, StepIndex)| fail(state.step(ix), ErrorKind::SubmitUnknown, UNSETTLED.to_owned());
        actions.extend(state.agenda.unsettled.iter().map(unknown));
    }
}

/// Sends what is due again, then starts what is ready: the longest remaining path first, over all providers whose rate allows it.
fn start(state: &RunState, facts: &Facts<'_>, actions: &mut Vec<Action>) {
    let mut turn = Turn::new(state, facts);
    turn.resend(actions);
    let mut queues: Vec<_> = state
        .agenda
        .ready
        .iter()
        .map(|(provider, queue)| {
            (provider, queue.iter().filter(|(_, ix)| !facts.acting.contains(ix)).take(TURN).peekable())
        })
        .collect();
    while turn.free > 0 {
        let best = queues
            .iter_mut()
            .filter(|(provider, _)| turn.permits.get(*provider).is_some_and(|&left| left > 0))
            .filter_map(|(provider, queue)| Some((**queue.peek()?, *provider)))
            .min();
        let Some(((_, ix), provider)) = best else { break };
        for (_, queue) in queues.iter_mut().filter(|(other, _)| *other == provider) {
            queue.next();
        }
        match turn.affords(ix) {
            Affords::Yes => {
                actions.push(Action::Submit(ix));
                turn.free -= 1;
                *turn.permits.get_mut(provider).expect("it was filtered by its permits") -= 1;
            }
            Affords::Later => {}
            Affords::No(shortfall) => {
                actions.push(fail(state.step(ix), ErrorKind::BudgetExceeded, words(&shortfall)));
            }
        }
    }
}

/// What may still be sent in this turn.
struct Turn<'a> {
    state: &'a RunState,
    facts: &'a Facts<'a>,
    /// Slots that are free.
    free: usize,
    permits: BTreeMap<String, usize>,
    /// The run's account, with what this turn sends.
    spending: Spending,
}

impl<'a> Turn<'a> {
    fn new(state: &'a RunState, facts: &'a Facts<'a>) -> Self {
        // A submit that waits for its class has a slot, so that a wide fan of equal ones is not rendered at once.
        let waits = |ix: &&StepIndex| state.step(**ix).phase == Phase::Ready;
        let held = if facts.acting.is_empty() { 0 } else { facts.acting.iter().filter(waits).count() };
        let free = (state.start.concurrency as usize).saturating_sub(state.agenda.in_flight() + held).min(TURN);
        Self { state, facts, free, permits: facts.permits.clone(), spending: *state.spending() }
    }

    /// Asks the budget, and holds back what the submit will cost.
    fn affords(&mut self, ix: StepIndex) -> Affords {
        let price = self.state.step(ix).price();
        let answer = self.spending.affords(&self.state.start.budget, price);
        if answer == Affords::Yes {
            self.spending.reserve(&mut Open::default(), price);
        }
        answer
    }

    /// Sends submits again whose time has come. What they cost is held back since they were sent first.
    fn resend(&mut self, actions: &mut Vec<Action>) {
        let facts = self.facts;
        for &(_, ix) in self.state.agenda.due.iter().take_while(|&&(due, _)| due <= facts.now).take(TURN) {
            let step = self.state.step(ix);
            if facts.acting.contains(&ix) {
                continue;
            }
            let provider = step.brief.provider.as_deref().unwrap_or_default();
            let Some(left) = self.permits.get_mut(provider).filter(|left| **left > 0) else { continue };
            if self.free == 0 {
                break;
            }
            *left -= 1;
            self.free -= 1;
            actions.push(Action::Submit(ix));
        }
    }
}

/// Says to people why a budget does not allow a submit.
#[must_use]
pub fn words(shortfall: &Shortfall) -> String {
    match shortfall {
        Shortfall::Credits { needs: Some(needs), taken, limit } => format!(
            "the job costs about {needs} credits, and of the budget of {limit} credits {taken} are spent or reserved; nothing was sent"
        ),
        Shortfall::Credits { needs: None, taken, limit } => {
            format!(
                "{taken} credits of the budget of {limit} are spent, and nobody knows what the job costs; nothing was sent"
            )
        }
        Shortfall::Tokens { used, limit } => {
            format!("{used} tokens are used of the budget of {limit}; nothing was sent")
        }
    }
}

/// How long a key is taken to be remembered by an API that takes one: how long it is, is not documented, so a key is used soon or not at
/// all (LANGUAGE.md, section 8).
pub const KEY_LIFE: SignedDuration = SignedDuration::from_hours(1);

/// Whether a submit whose answer was lost may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Never: a second job might come of it.
    Never,
    /// Once the API's list of jobs has shown that it was not accepted.
    Findable,
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
    // A request that may be repeated is not settled, only answered.
    let was_unsettled = step.unsettled && repeat != Repeat::Harmless;
    let unsettled = was_unsettled || (lost && matches!(repeat, Repeat::SameKey | Repeat::Findable));
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
    if lost && repeat == Repeat::Findable {
        return again(now, false);
    }
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
        _ if was_unsettled => return unknown("since this refuses only the last sending of it"),
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
        // What is left running for a resume is not over.
        matches!(step.status(), None | Some(StepStatus::Cancelled)) || step.skipped == Some(SkipReason::RunCancelled)
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
