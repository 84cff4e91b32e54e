//! A `decide` that keeps no queues: it looks at every step, every time, and knows only what a step says of itself. What the real one reads off
//! its agenda must be the same.

use std::collections::{BTreeMap, BTreeSet};

use dagwood::{
    job::JobState,
    journal::{
        event::{Event, Record, RunStatus},
        state::{Phase, RunState, StepIndex, StepState},
    },
    plan::{FailurePolicy, Trigger},
    result::StepStatus,
    run::decide::{Action, Facts, decide},
};
use jiff::SignedDuration;

use super::{Violation, random::Random, schedule::Story};

/// What is decided for one step, without words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    Skip,
    Prepare,
    Submit,
    Settle,
    Conclude,
    Fail,
    Restart,
    Cancelled,
    CallOff,
    Abandon,
    Item,
    Collect,
    Again,
}

/// Compares both on some states of a run, under facts of all kinds.
pub(super) fn agrees(story: &Story, random: &mut Random) -> Result<(), Violation> {
    let mut records = story.records.iter();
    let Some(first) = records.next() else { return Ok(()) };
    let mut state = RunState::begin(first).expect("a run begins");
    // A twentieth of the states is enough to meet all kinds of them over many seeds.
    for record in records {
        state.apply(record).expect("the journal folds");
        if random.percent(5) {
            compare(&state, record, random)?;
        }
    }
    Ok(())
}

fn compare(state: &RunState, record: &Record, random: &mut Random) -> Result<(), Violation> {
    let providers: BTreeSet<_> = state.steps.iter().filter_map(|step| step.brief.provider.clone()).collect();
    // No rate and no wish for one provider alone, so that what may leave is told by slots and ranks.
    let permits: BTreeMap<_, _> = providers.into_iter().map(|name| (name, 1_000)).collect();
    let indexes: Vec<StepIndex> = (0..).take(state.steps.len()).collect();
    let acting: BTreeSet<_> = indexes.iter().copied().filter(|_| random.percent(10)).collect();
    let facts = Facts {
        now: state.last_at.saturating_add(SignedDuration::from_secs(60)).expect("a time"),
        permits: &permits,
        acting: &acting,
        grace_over: random.percent(20),
        detach: random.percent(10),
    };
    let real = deeds(state, &decide(state, &facts));
    let naive = by_looking(state, &facts);
    if real == naive {
        return Ok(());
    }
    let how = format!("after record {} ({:?}): {real:?}, and by looking {naive:?}", record.seq, facts);
    Err(Violation::new("the naive `decide` agrees", how))
}

/// Returns what was decided; none where the run is to end.
fn deeds(state: &RunState, actions: &[Action]) -> Option<BTreeSet<(StepIndex, Deed)>> {
    let mut deeds = BTreeSet::new();
    for action in actions {
        deeds.insert(match action {
            Action::Finish => return None,
            Action::Prepare(ix) => (*ix, Deed::Prepare),
            Action::Submit(ix) => (*ix, Deed::Submit),
            Action::Unaffordable(ix) => (*ix, Deed::Fail),
            Action::Settle(ix) => (*ix, Deed::Settle),
            Action::Conclude(ix) => (*ix, Deed::Conclude),
            Action::Item(ix) => (*ix, Deed::Item),
            Action::Collect(ix) => (*ix, Deed::Collect),
            Action::Cancel(ix) => (*ix, Deed::CallOff),
            Action::Abandon(ix) => (*ix, Deed::Abandon),
            Action::Record(event) => {
                let (step, deed) = match event.as_ref() {
                    Event::StepSkipped { step, .. } => (step, Deed::Skip),
                    Event::StepFailed { step, .. } => (step, Deed::Fail),
                    Event::StepReady { step, .. } => (step, Deed::Restart),
                    Event::RetryScheduled { step, .. } => (step, Deed::Again),
                    Event::StepCancelled { step, .. } => (step, Deed::Cancelled),
                    other => unreachable!("nobody decides {other:?}"),
                };
                (state.position(step).expect("a step of the run"), deed)
            }
        });
    }
    Some(deeds)
}

fn is_over(step: &StepState) -> bool {
    matches!(step.phase, Phase::Over(_))
}

fn is_good(step: &StepState) -> bool {
    step.phase == Phase::Over(StepStatus::Succeeded) || step.handled
}

/// Says, by looking at every step around it, whether a step is not to start, or is to be called off.
fn stopped(state: &RunState, ix: StepIndex) -> Option<Halt> {
    let mut weakest = None;
    let (mut at, mut own) = (ix, true);
    loop {
        let step = state.step(at);
        if step.brief.finally {
            return weakest;
        }
        let frame = &state.frames[step.frame as usize];
        let around = &state.steps[frame.base as usize..(frame.base + frame.len) as usize];
        let failed = around.iter().any(|step| step.phase == Phase::Over(StepStatus::Failed) && !step.handled);
        let waits_for_the_end = own
            && failed
            && frame.failure_policy == FailurePolicy::Drain
            && step.brief.trigger == Trigger::AllSucceeded
            && step.item_of.is_none()
            && step.failed_attempts == 0
            && step.fallback == 0;
        if waits_for_the_end {
            weakest = Some(Halt::NoStart);
        }
        match step.item_of.or(frame.step) {
            Some(whole) => (at, own) = (whole, false),
            None => break,
        }
    }
    if state.cancelled_by.is_some() { Some(Halt::CallOff) } else { weakest }
}

/// What keeps a step from going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Halt {
    NoStart,
    CallOff,
}

/// Says whether what a step asks of those that it needs does not hold.
fn is_blocked(step: &StepState, needed: &[&StepState]) -> bool {
    let (good, bad) = (needed.iter().any(|step| is_good(step)), needed.iter().any(|step| !is_good(step)));
    bad && !step.brief.finally
        && match step.brief.trigger {
            Trigger::AllSucceeded => true,
            Trigger::AllDone => false,
            Trigger::AnySucceeded => !good,
        }
}

/// Adds what becomes of fan-outs that have begun.
fn of_fan_outs(
    state: &RunState,
    facts: &Facts<'_>,
    called_off: &dyn Fn(StepIndex) -> bool,
    deeds: &mut BTreeSet<(StepIndex, Deed)>,
) {
    let fan_outs = (0..).zip(&state.steps).filter(|(_, step)| !step.gone && step.phase == Phase::Expanded);
    for (ix, step) in fan_outs.filter(|(ix, _)| !facts.acting.contains(ix)) {
        let items = step.fan_out.as_ref().expect("its items are known");
        let open = items.begun.iter().filter(|item| !is_over(state.step(**item))).count();
        let more = !items.stopped && items.begun.len() < items.len as usize;
        let most = items.max_parallel.map_or(usize::MAX, |most| most as usize).min(state.start.concurrency as usize);
        // A run that is let go keeps what has not begun for its resume.
        if open == 0 && (!more || called_off(ix) && !facts.detach) {
            deeds.insert((ix, Deed::Collect));
        } else if more && open < most && !called_off(ix) {
            deeds.insert((ix, Deed::Item));
        }
    }
}

/// Returns what becomes of steps that run workflows: those whose steps are all over are taken together.
fn of_workflows(state: &RunState, facts: &Facts<'_>) -> BTreeSet<(StepIndex, Deed)> {
    let is_done = |step: &StepState| {
        let frame = &state.frames[step.nested.expect("its workflow has begun") as usize];
        state.steps[frame.base as usize..(frame.base + frame.len) as usize].iter().all(is_over)
    };
    let nested = (0..).zip(&state.steps).filter(|(_, step)| !step.gone && step.phase == Phase::Nested);
    let done = nested.filter(|(ix, step)| !facts.acting.contains(ix) && is_done(step));
    done.map(|(ix, _)| (ix, Deed::Collect)).collect()
}

/// Adds what becomes of that which is not to go on.
fn of_what_is_called_off(
    state: &RunState,
    facts: &Facts<'_>,
    called_off: &dyn Fn(StepIndex) -> bool,
    deeds: &mut BTreeSet<(StepIndex, Deed)>,
) {
    let to_cancel = |phase: Phase| {
        let steps = (0..).zip(&state.steps).filter(move |(_, step)| !step.gone && step.phase == phase);
        steps.filter(|(ix, _)| called_off(*ix))
    };
    deeds.extend(to_cancel(Phase::Retrying).filter(|(_, step)| !step.unsettled).map(|(ix, _)| (ix, Deed::Cancelled)));
    deeds.extend(
        to_cancel(Phase::Running).filter(|(ix, _)| !facts.acting.contains(ix)).map(|(ix, _)| (ix, Deed::CallOff)),
    );
    if facts.grace_over {
        deeds.extend(to_cancel(Phase::Submitting).map(|(ix, _)| (ix, Deed::Abandon)));
        deeds.extend(to_cancel(Phase::Retrying).filter(|(_, step)| step.unsettled).map(|(ix, _)| (ix, Deed::Fail)));
    }
}

fn holds_slot(step: &StepState) -> bool {
    matches!(step.phase, Phase::Submitting | Phase::Running | Phase::Ended) || step.is_unsettled()
}

/// What may be in flight of each fan-out: its items that began before the run went on are so only as `max_parallel` has it.
struct Places<'a> {
    state: &'a RunState,
    taken: BTreeMap<StepIndex, usize>,
}

impl Places<'_> {
    /// Says whether a step may be in flight, and takes its place.
    fn take(&mut self, step: &StepState) -> bool {
        let state = self.state;
        let Some((fan, items)) = step.item_of.and_then(|fan| Some((fan, state.step(fan).fan_out.as_ref()?))) else {
            return true;
        };
        let in_flight = |item: &&StepIndex| holds_slot(state.step(**item)) || state.step(**item).phase == Phase::Nested;
        let taken = self.taken.entry(fan).or_default();
        let busy = items.begun.iter().filter(in_flight).count() + *taken;
        let is_free = items.max_parallel.is_none_or(|most| busy < most as usize);
        *taken += usize::from(is_free);
        is_free
    }
}

/// Decides by looking at every step.
fn by_looking(state: &RunState, facts: &Facts<'_>) -> Option<BTreeSet<(StepIndex, Deed)>> {
    let mut deeds = BTreeSet::new();
    if state.status != RunStatus::Running {
        return Some(deeds);
    }
    let steps: Vec<(StepIndex, &StepState)> = (0..).zip(&state.steps).filter(|(_, step)| !step.gone).collect();
    let all = |phase: Phase| steps.iter().filter(move |(_, step)| step.phase == phase);
    let base = |step: &StepState| state.frames[step.frame as usize].base;
    let needed = |step: &StepState| {
        step.brief.needs.iter().map(|need| &state.steps[(base(step) + need) as usize]).collect::<Vec<_>>()
    };
    let is_held = |step: &StepState| {
        let frame = &state.frames[step.frame as usize];
        let around = &state.steps[frame.base as usize..(frame.base + frame.len) as usize];
        step.brief.finally && step.item_of.is_none() && around.iter().any(|step| !step.brief.finally && !is_over(step))
    };
    let waits_for_nothing = |step: &StepState| {
        step.phase == Phase::Waiting && needed(step).iter().all(|step| is_over(step)) && !is_held(step)
    };
    let cancelled = state.cancelled_by.is_some();
    let halt: Vec<Option<Halt>> = (0..).zip(&state.steps).map(|(ix, _)| stopped(state, ix)).collect();
    let halt = |ix: StepIndex| halt[ix as usize];
    let called_off = |ix: StepIndex| halt(ix) == Some(Halt::CallOff);

    let rest = [Phase::Ready, Phase::Ended].iter().any(|phase| all(*phase).next().is_some());
    let sending = all(Phase::Submitting).next().is_some() || !facts.acting.is_empty();
    let lets_go = cancelled
        && facts.detach
        && !rest
        && !steps.iter().any(|(_, step)| waits_for_nothing(step))
        && (!sending || facts.grace_over);
    if state.own().iter().all(is_over) || lets_go {
        return None;
    }
    let mut places = Places { state, taken: BTreeMap::new() };
    for (ix, step) in steps.iter().filter(|(_, step)| waits_for_nothing(step)) {
        let blocked = is_blocked(step, &needed(step));
        if halt(*ix).is_none() && facts.acting.contains(ix) {
            // It waits for its files.
        } else if halt(*ix).is_some() || blocked {
            deeds.insert((*ix, Deed::Skip));
        } else if step.brief.workflow.is_none() || places.take(step) {
            deeds.insert((*ix, Deed::Prepare));
        }
    }
    of_fan_outs(state, facts, &called_off, &mut deeds);
    deeds.extend(of_workflows(state, facts));
    for (ix, step) in all(Phase::Ended).filter(|(ix, _)| !facts.acting.contains(ix)) {
        let status = step.job.as_ref().map(|job| job.status.clone());
        let lost = matches!(status, Some(JobState::Cancelled | JobState::Failed));
        let deed = match status {
            Some(JobState::Completed) => Deed::Conclude,
            _ if lost && step.leftover && !called_off(*ix) => Deed::Restart,
            Some(JobState::Cancelled) if called_off(*ix) => Deed::Cancelled,
            _ if !called_off(*ix) && has_more(step) => Deed::Again,
            _ => Deed::Fail,
        };
        deeds.insert((*ix, deed));
    }
    let unsettled = || all(Phase::Retrying).filter(|(_, step)| step.unsettled);
    let is_due = |step: &StepState| step.due_at.is_some_and(|due| due <= facts.now);
    if !(cancelled && facts.detach) {
        let has_time = |ix: StepIndex| !(facts.grace_over && called_off(ix));
        let due = unsettled().filter(|(ix, step)| is_due(step) && !facts.acting.contains(ix));
        for (ix, step) in due.filter(|(ix, _)| has_time(*ix)) {
            let alone = !all(Phase::Submitting).any(|(_, other)| step.class.is_some() && other.class == step.class);
            if alone {
                deeds.insert((*ix, Deed::Settle));
            }
        }
    }
    let busy = steps.iter().filter(|(_, step)| holds_slot(step)).count();
    let waiting = all(Phase::Ready).filter(|(ix, _)| facts.acting.contains(ix)).count();
    let mut free = (state.start.concurrency as usize).saturating_sub(busy + waiting);
    let mut again: Vec<_> = all(Phase::Retrying)
        .filter(|(ix, step)| !step.unsettled && is_due(step) && !facts.acting.contains(ix) && !called_off(*ix))
        .copied()
        .collect();
    again.sort_by_key(|(ix, step)| (step.due_at, *ix));
    for (ix, step) in again {
        if step.fresh {
            if step.brief.workflow.is_none() || places.take(step) {
                deeds.insert((ix, Deed::Prepare));
            }
        } else if free > 0 && places.take(step) {
            deeds.insert((ix, Deed::Submit));
            free -= 1;
        }
    }
    let mut ready: Vec<_> = all(Phase::Ready).copied().collect();
    ready.sort_by_key(|(ix, step)| (std::cmp::Reverse(step.brief.rank), *ix));
    for (ix, step) in ready {
        if halt(ix).is_some() {
            deeds.insert((ix, Deed::Skip));
        } else if free > 0 && !facts.acting.contains(&ix) && places.take(step) {
            deeds.insert((ix, Deed::Submit));
            free -= 1;
        }
    }
    if cancelled && !facts.detach {
        of_what_is_called_off(state, facts, &called_off, &mut deeds);
    }
    Some(deeds)
}

/// Says whether a failed job is followed by another: by a further attempt, or by what stands in for the step.
fn has_more(step: &StepState) -> bool {
    let attempts = step.brief.retry.as_ref().map_or(1, |retry| retry.attempts);
    step.failed_attempts + 1 < attempts || (step.fallback as usize) < step.written.fallback.len()
}
