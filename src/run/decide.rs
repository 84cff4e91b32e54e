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
        event::{CancelSource, Event, RunStatus, SkipReason},
        state::{
            Phase, RunState, StepIndex, StepState,
            spending::{Affords, Open, Shortfall, Spending},
        },
    },
    plan::{FailurePolicy, Trigger},
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
    /// Take an earlier equal result, which costs nothing; where there is none, the step fails, as the budget does not allow its submit.
    Unaffordable(StepIndex),
    /// Begin the next item of a fan-out: judge its `when`, and render it at once if no job does it.
    Item(StepIndex),
    /// Take together what came out of the parts of a step, all of which are over.
    Collect(StepIndex),
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
    time_out(state, facts, &mut actions);
    let mut places = Places { state, taken: BTreeMap::new() };
    judge(state, facts, &mut places, &mut actions);
    let idle = |ix: &&StepIndex| !facts.acting.contains(ix);
    actions.extend(state.agenda.collect.iter().filter(idle).take(TURN).map(|&ix| Action::Collect(ix)));
    actions.extend(state.agenda.ended.iter().filter(idle).map(|&ix| conclude(state, facts, ix)));
    settle(state, facts, &mut actions);
    if state.is_troubled() {
        stop(state, facts, &mut actions);
    }
    let mut turn = Turn::new(state, facts, places);
    turn.items(&mut actions);
    turn.resend(&mut actions);
    turn.start(&mut actions);
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

/// Ends the workflows whose `timeout` has passed.
fn time_out(state: &RunState, facts: &Facts<'_>, actions: &mut Vec<Action>) {
    let due = state.agenda.timeouts.iter().take_while(|&&(due, _)| due <= facts.now);
    actions.extend(due.take(TURN).map(|&(_, frame)| {
        let step = state.frames[frame as usize].step;
        let workflow = step.map(|step| state.step(step).path.clone());
        Action::Record(Box::new(Event::CancelRequested { by: CancelSource::Timeout, workflow, detach: false }))
    }));
}

/// Settles what is unsettled, whatever else happens: nothing of its class leaves before, and where one of its class is still under
/// way, its answer is waited for, since the job that is found may be that one's. What is called off has no time for it once the grace is
/// over; `finally` has.
fn settle(state: &RunState, facts: &Facts<'_>, actions: &mut Vec<Action>) {
    if state.cancelled_by.is_some() && facts.detach {
        return;
    }
    let has_time = |ix: &StepIndex| !facts.grace_over || !matches!(stop_of(state, *ix), Some(Stop::CallOff(_)));
    let due = state.agenda.unsettled.iter().take_while(|&&(due, _)| due <= facts.now).map(|&(_, ix)| ix);
    let is_alone = |ix: &StepIndex| {
        let class = state.step(*ix).class;
        class.is_none_or(|class| state.agenda.class(&class).sending == 0)
    };
    let due = due.filter(|ix| !facts.acting.contains(ix)).filter(has_time);
    actions.extend(due.filter(is_alone).take(TURN).map(Action::Settle));
}

/// What keeps a step from going on.
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    /// It does not start; had it started, it would go on.
    NoStart(SkipReason),
    /// It is called off.
    CallOff(SkipReason),
}

impl Stop {
    fn reason(&self) -> &SkipReason {
        let (Self::NoStart(why) | Self::CallOff(why)) = self;
        why
    }
}

/// Says what keeps a step from going on: that its workflow, or one that runs it, was called off, has had its time, or has failed. The
/// steps of `finally`, and what they run, are kept from nothing.
#[must_use]
pub fn stop_of(state: &RunState, ix: StepIndex) -> Option<Stop> {
    if !state.is_troubled() {
        return None;
    }
    let mut weakest = None;
    let (mut at, mut own) = (ix, true);
    loop {
        let step = state.step(at);
        if step.brief.finally {
            return weakest;
        }
        let frame = state.frame_of(step);
        if frame.timed_out {
            return Some(Stop::CallOff(SkipReason::RunTimedOut));
        }
        let cancels = frame.failure_policy == FailurePolicy::Cancel;
        let whole = step.item_of.map_or(step, |fan| state.step(fan));
        // A fan-out is kept from beginning further items as the items are.
        let item_failed = whole.fan_out.as_ref().is_some_and(|items| items.failed > 0) && !whole.brief.handles;
        if cancels && (item_failed || (frame.failing && !asks_for_failures(whole))) {
            return Some(Stop::CallOff(SkipReason::RunFailed));
        }
        // What has begun goes on, and what asks for failed steps starts after a failure.
        let starts = own && !step.has_begun() && step.brief.trigger == Trigger::AllSucceeded;
        if starts && frame.failing && frame.failure_policy == FailurePolicy::Drain {
            weakest = Some(Stop::NoStart(SkipReason::RunFailed));
        }
        match (step.item_of, frame.step) {
            // The whole stands in the same workflow, and has started.
            (None, Some(whole)) => (at, own) = (whole, false),
            (Some(fan), _) => (at, own) = (fan, false),
            (None, None) => break,
        }
    }
    if state.cancelled_by.is_some() { Some(Stop::CallOff(SkipReason::RunCancelled)) } else { weakest }
}

/// Says whether a step runs because of its `trigger` though one that it needs did not succeed: what calls off the others is what it waited for.
fn asks_for_failures(step: &StepState) -> bool {
    step.brief.trigger != Trigger::AllSucceeded && step.blocker().is_some()
}

/// Judges the steps with nothing left to wait for.
fn judge(state: &RunState, facts: &Facts<'_>, places: &mut Places<'_>, actions: &mut Vec<Action>) {
    let mut judged = 0;
    for &ix in &state.agenda.judge {
        if judged == TURN {
            break;
        }
        let step = state.step(ix);
        let stop = stop_of(state, ix);
        // A step that waits for its files has been judged; when the run stops, it is over all the same.
        if stop.is_none() && facts.acting.contains(&ix) {
            continue;
        }
        // An item that runs a workflow begins with it.
        if stop.is_none() && step.brief.workflow.is_some() && !places.take(ix) {
            continue;
        }
        judged += 1;
        let why = match (step.blocker().filter(|_| step.is_blocked()), &stop) {
            (Some(blocker), None | Some(Stop::NoStart(_) | Stop::CallOff(SkipReason::RunFailed))) => {
                Some(SkipReason::Needs(state.step(blocker).path.clone()))
            }
            (_, stop) => stop.as_ref().map(|stop| stop.reason().clone()),
        };
        actions.push(match why {
            Some(why) => Action::Record(Box::new(Event::StepSkipped { step: step.path.clone(), why })),
            None => Action::Prepare(ix),
        });
    }
}

/// Concludes a step whose job is over.
fn conclude(state: &RunState, facts: &Facts<'_>, ix: StepIndex) -> Action {
    let step = state.step(ix);
    let path = step.path.clone();
    let status = step.job.as_ref().map(|job| &job.status);
    let called_off = matches!(stop_of(state, ix), Some(Stop::CallOff(_)));
    match status {
        Some(JobState::Completed) => Action::Conclude(ix),
        // It was one of before the run was resumed: a new one may start, since this one does not run any more.
        Some(JobState::Cancelled | JobState::Failed) if step.leftover && !called_off => {
            Action::Record(Box::new(Event::StepReady { step: path, ended: None }))
        }
        Some(JobState::Cancelled) if called_off => {
            Action::Record(Box::new(Event::StepCancelled { step: path, confirmed: Some(true) }))
        }
        Some(JobState::Cancelled) => {
            let message = "the job was cancelled from outside".to_owned();
            fail(state, facts, ix, ErrorKind::JobFailed, message)
        }
        _ => {
            let message = step.job_error.clone().unwrap_or_else(|| "the API gave no reason".to_owned());
            fail(state, facts, ix, ErrorKind::JobFailed, message)
        }
    }
}

fn fail(state: &RunState, facts: &Facts<'_>, ix: StepIndex, kind: ErrorKind, message: String) -> Action {
    Action::Record(Box::new(failure(state, ix, kind, message, facts.now)))
}

/// Returns what the failure of an attempt comes to: another one, what stands in for the step, or its end.
///
/// A submit of which nobody can tell whether it was accepted is never followed by another; nor is a job whose result is there and could only
/// not be saved.
#[must_use]
pub fn failure(state: &RunState, ix: StepIndex, kind: ErrorKind, message: String, now: Timestamp) -> Event {
    let step = state.step(ix);
    let error = StepError { kind, message };
    let brief = &step.brief;
    let goes_on = !matches!(kind, ErrorKind::SubmitUnknown | ErrorKind::Artifact)
        // The items of a fan-out have attempts of their own.
        && step.fan_out.is_none()
        && !matches!(stop_of(state, ix), Some(Stop::CallOff(_)));
    // A step that consists of others has no submits that count.
    let attempt = match step.nested {
        Some(_) => Attempt(step.failed_attempts + 1),
        None => step.attempt.unwrap_or(Attempt::FIRST),
    };
    let again = |due: Timestamp, fallback: Option<u32>| Event::RetryScheduled {
        step: step.path.clone(),
        attempt,
        due,
        rate_limited: false,
        unsettled: false,
        why: error.message.clone(),
        failed: Some(error.clone()),
        fallback,
    };
    if goes_on {
        if let Some(retry) = brief.retry.as_ref().filter(|retry| retry.on.contains(&kind))
            && step.failed_attempts + 1 < retry.attempts
        {
            let wait = backoff::between_attempts(retry, step.failed_attempts, &format!("{}/{}", state.run, step.path));
            return again(later(now, wait), None);
        }
        if (step.fallback as usize) < step.written.fallback.len() {
            return again(now, Some(step.fallback + 1));
        }
    }
    let handled = brief.handles && kind != ErrorKind::SubmitUnknown && step.item_of.is_none();
    Event::StepFailed { step: step.path.clone(), error, handled }
}

/// Ends what has not started and is not to, and calls off what runs and is not to go on.
fn stop(state: &RunState, facts: &Facts<'_>, actions: &mut Vec<Action>) {
    let skipped = |ix: StepIndex, why: &Stop| {
        Action::Record(Box::new(Event::StepSkipped { step: state.step(ix).path.clone(), why: why.reason().clone() }))
    };
    for &(_, ix) in state.agenda.ready.values().flat_map(|queue| queue.iter().take(TURN)) {
        // A submit that waits for its class has not left.
        if let Some(why) = stop_of(state, ix) {
            actions.push(skipped(ix, &why));
        }
    }
    if facts.detach && state.cancelled_by.is_some() {
        return;
    }
    let called_off = |ix: StepIndex| matches!(stop_of(state, ix), Some(Stop::CallOff(_)));
    let idle = |ix: &StepIndex| !facts.acting.contains(ix);
    // What had no effect leaves no job to call off.
    let due = state.agenda.due.iter().map(|&(_, ix)| ix).filter(|&ix| called_off(ix)).take(TURN);
    actions.extend(due.map(|ix| {
        let event = Event::StepCancelled { step: state.step(ix).path.clone(), confirmed: None };
        Action::Record(Box::new(event))
    }));
    let running = state.agenda.running.iter().copied().filter(idle).filter(|&ix| called_off(ix));
    actions.extend(running.map(Action::Cancel));
    // Items that have not begun never will.
    let quiet = |ix: &StepIndex| state.step(*ix).fan_out.as_ref().is_some_and(|items| items.open == 0);
    let fan_outs = state.agenda.fan_outs.iter().map(|&(_, ix)| ix).filter(quiet).filter(idle);
    actions.extend(fan_outs.filter(|&ix| called_off(ix)).take(TURN).map(Action::Collect));
    if facts.grace_over {
        actions.extend(state.agenda.submitting.iter().copied().filter(|&ix| called_off(ix)).map(Action::Abandon));
        // There may be a job: what was looked for in vain until now, nobody can tell.
        let unsettled = state.agenda.unsettled.iter().map(|&(_, ix)| ix).filter(|&ix| called_off(ix));
        actions.extend(unsettled.map(|ix| fail(state, facts, ix, ErrorKind::SubmitUnknown, UNSETTLED.to_owned())));
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
    places: Places<'a>,
}

/// What fan-outs with a `max_parallel` may have in flight: their items that begun before the run went on are all ready at once.
struct Places<'a> {
    state: &'a RunState,
    /// The places that this turn takes.
    taken: BTreeMap<StepIndex, u32>,
}

impl Places<'_> {
    /// Says whether a place is free for a step; one that is no item needs none.
    fn is_free(&self, ix: StepIndex) -> bool {
        let Some(fan) = self.state.step(ix).item_of else { return true };
        let free = self.state.step(fan).fan_out.as_ref().map_or(u32::MAX, |items| items.free());
        free > self.taken.get(&fan).copied().unwrap_or_default()
    }

    /// Takes a place, where one is free.
    fn take(&mut self, ix: StepIndex) -> bool {
        let is_free = self.is_free(ix);
        if let Some(fan) = self.state.step(ix).item_of.filter(|_| is_free) {
            *self.taken.entry(fan).or_default() += 1;
        }
        is_free
    }
}

impl<'a> Turn<'a> {
    fn new(state: &'a RunState, facts: &'a Facts<'a>, places: Places<'a>) -> Self {
        // A submit that waits for its class has a slot, so that a wide fan of equal ones is not rendered at once.
        let waits = |ix: &&StepIndex| state.step(**ix).phase == Phase::Ready;
        let held = if facts.acting.is_empty() { 0 } else { facts.acting.iter().filter(waits).count() };
        let free = (state.start.concurrency as usize).saturating_sub(state.agenda.in_flight() + held).min(TURN);
        Self { state, facts, free, permits: facts.permits.clone(), spending: *state.spending(), places }
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

    /// Begins items of fan-outs, as many as there may be jobs: what waits takes room, and gains nothing.
    fn items(&self, actions: &mut Vec<Action>) {
        let state = self.state;
        let mut left = TURN;
        for &(_, ix) in &state.agenda.fan_outs {
            if left == 0 {
                break;
            }
            if self.facts.acting.contains(&ix) || matches!(stop_of(state, ix), Some(Stop::CallOff(_))) {
                continue;
            }
            let Some(items) = &state.step(ix).fan_out else { continue };
            let room = (items.room(state.start.concurrency) as usize).min(left);
            left -= room;
            actions.extend(std::iter::repeat_n(Action::Item(ix), room));
        }
    }

    /// Sends submits again whose time has come. What they cost is held back since they were sent first.
    fn resend(&mut self, actions: &mut Vec<Action>) {
        let facts = self.facts;
        for &(_, ix) in self.state.agenda.due.iter().take_while(|&&(due, _)| due <= facts.now).take(TURN) {
            let step = self.state.step(ix);
            if facts.acting.contains(&ix) || matches!(stop_of(self.state, ix), Some(Stop::CallOff(_))) {
                continue;
            }
            // Another attempt, or what stands in for the step: it is made ready like the first.
            if step.fresh {
                if step.brief.workflow.is_none() || self.places.take(ix) {
                    actions.push(Action::Prepare(ix));
                }
                continue;
            }
            let provider = step.brief.provider.as_deref().unwrap_or_default();
            let Some(left) = self.permits.get_mut(provider).filter(|left| **left > 0) else { continue };
            if self.free == 0 || !self.places.take(ix) {
                continue;
            }
            *left -= 1;
            self.free -= 1;
            actions.push(Action::Submit(ix));
        }
    }

    /// Starts what is ready: the longest remaining path first, over all providers whose rate allows it.
    fn start(&mut self, actions: &mut Vec<Action>) {
        let (state, facts) = (self.state, self.facts);
        let places = Places { state, taken: self.places.taken.clone() };
        let may = |ix: StepIndex| stop_of(state, ix).is_none() && places.is_free(ix);
        let mut queues: Vec<_> = state
            .agenda
            .ready
            .iter()
            .map(|(provider, queue)| {
                let idle = queue.iter().filter(|(_, ix)| !facts.acting.contains(ix) && may(*ix));
                (provider, idle.take(TURN).peekable())
            })
            .collect();
        while self.free > 0 {
            let best = queues
                .iter_mut()
                .filter(|(provider, _)| self.permits.get(*provider).is_some_and(|&left| left > 0))
                .filter_map(|(provider, queue)| Some((**queue.peek()?, *provider)))
                .min();
            let Some(((_, ix), provider)) = best else { break };
            for (_, queue) in queues.iter_mut().filter(|(other, _)| *other == provider) {
                queue.next();
            }
            if !self.places.is_free(ix) {
                continue;
            }
            match self.affords(ix) {
                Affords::Yes => {
                    self.places.take(ix);
                    actions.push(Action::Submit(ix));
                    self.free -= 1;
                    *self.permits.get_mut(provider).expect("it was filtered by its permits") -= 1;
                }
                Affords::Later => {}
                Affords::No(_) => actions.push(Action::Unaffordable(ix)),
            }
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
        Shortfall::Doubt { limit } => format!(
            "nobody knows what the job costs, nor whether an earlier one was charged to the budget of {limit} credits; nothing was sent"
        ),
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
pub fn after_submit(state: &RunState, ix: StepIndex, unanswered: &Unanswered<'_>) -> Event {
    let step = state.step(ix);
    let Unanswered { fault, repeat, timeout, limited_until, random, now } = *unanswered;
    let lost = fault.may_have_happened();
    // A request that may be repeated is not settled, only answered.
    let was_unsettled = step.unsettled && repeat != Repeat::Harmless;
    let unsettled = was_unsettled || (lost && matches!(repeat, Repeat::SameKey | Repeat::Findable));
    let unknown = |why: &str| {
        let message = format!("{}; nobody can tell whether the API accepted the job, {why}", fault.message);
        failure(state, ix, ErrorKind::SubmitUnknown, message, now)
    };
    if lost && repeat == Repeat::Never {
        return unknown("so it is not sent again");
    }
    let began = step.started_at.unwrap_or(now);
    let again = |due: Timestamp, rate_limited| Event::RetryScheduled {
        step: step.path.clone(),
        attempt: step.attempt.unwrap_or(Attempt::FIRST),
        due,
        rate_limited,
        unsettled,
        why: fault.message.clone(),
        failed: None,
        fallback: None,
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
    failure(state, ix, kind, fault.message.clone(), now)
}

/// Decides what it means that a lost submit was not accepted: it is sent again, unless the attempt has had its time. To find that out took
/// time that does not count.
#[must_use]
pub fn after_absence(state: &RunState, ix: StepIndex, timeout: Duration, now: Timestamp) -> Option<Event> {
    let step = state.step(ix);
    let spent = now.duration_since(step.started_at.unwrap_or(now)) - step.excused;
    let why = step.why.as_deref().unwrap_or("the answer was lost");
    let message = format!("{why}; the API did not accept it, and the step's timeout has passed");
    (spent > signed(timeout)).then(|| failure(state, ix, ErrorKind::Timeout, message, now))
}

/// Returns how a run ends in which every step is over; or how it stands when all but `finally` is.
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
    let main = || state.own().iter().filter(|step| !step.brief.finally);
    if state.cancelled_by.is_some() && main().any(cut) {
        return RunStatus::Cancelled;
    }
    if state.is_failing() || state.frames[0].timed_out { RunStatus::Failed } else { RunStatus::Succeeded }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// Returns the time `wait` after `time`.
#[must_use]
pub fn later(time: Timestamp, wait: Duration) -> Timestamp {
    time.saturating_add(signed(wait)).unwrap_or(Timestamp::MAX)
}
