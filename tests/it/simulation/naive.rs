//! A `decide` that keeps no queues: it looks at every step, every time, and knows only what a step says of itself. What the real one reads off
//! its agenda must be the same.

use std::collections::{BTreeMap, BTreeSet};

use dagwood::{
    job::JobState,
    journal::{
        event::{Event, Record, RunStatus},
        state::{Phase, RunState, StepIndex, StepState},
    },
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
}

/// Compares both on some states of a run, under facts of all kinds.
pub(super) fn agrees(story: &Story, random: &mut Random) -> Result<(), Violation> {
    let mut records = story.records.iter();
    let Some(first) = records.next() else { return Ok(()) };
    let mut state = RunState::begin(first).expect("a run begins");
    // A tenth of the states is enough to meet all kinds of them over many seeds.
    for record in records {
        state.apply(record).expect("the journal folds");
        if random.percent(10) {
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
                    Event::StepReady { step } => (step, Deed::Restart),
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

/// Decides by looking at every step.
fn by_looking(state: &RunState, facts: &Facts<'_>) -> Option<BTreeSet<(StepIndex, Deed)>> {
    let mut deeds = BTreeSet::new();
    if state.status != RunStatus::Running {
        return Some(deeds);
    }
    let steps: Vec<(StepIndex, &StepState)> = (0..).zip(&state.steps).collect();
    let all = |phase: Phase| steps.iter().filter(move |(_, step)| step.phase == phase);
    let needed =
        |step: &StepState| step.brief.needs.iter().map(|need| &state.steps[*need as usize]).collect::<Vec<_>>();
    let waits_for_nothing =
        |step: &StepState| step.phase == Phase::Waiting && needed(step).iter().all(|step| is_over(step));
    let cancelled = state.cancelled_by.is_some();
    let failed = steps.iter().any(|(_, step)| step.phase == Phase::Over(StepStatus::Failed) && !step.handled);
    let stops = cancelled || failed;

    let rest = [Phase::Ready, Phase::Ended].iter().any(|phase| all(*phase).next().is_some());
    let sending = all(Phase::Submitting).next().is_some() || !facts.acting.is_empty();
    let lets_go = cancelled
        && facts.detach
        && !rest
        && !steps.iter().any(|(_, step)| waits_for_nothing(step))
        && (!sending || facts.grace_over);
    if steps.iter().all(|(_, step)| is_over(step)) || lets_go {
        return None;
    }
    for (ix, step) in steps.iter().filter(|(_, step)| waits_for_nothing(step)) {
        let blocked = needed(step).iter().any(|step| !is_good(step));
        if !stops && facts.acting.contains(ix) {
            // It waits for its files.
        } else if stops || blocked {
            deeds.insert((*ix, Deed::Skip));
        } else {
            deeds.insert((*ix, Deed::Prepare));
        }
    }
    for (ix, step) in all(Phase::Ended).filter(|(ix, _)| !facts.acting.contains(ix)) {
        let status = step.job.as_ref().map(|job| job.status.clone());
        let lost = matches!(status, Some(JobState::Cancelled | JobState::Failed));
        let deed = match status {
            Some(JobState::Completed) => Deed::Conclude,
            _ if lost && step.leftover && !cancelled => Deed::Restart,
            Some(JobState::Cancelled) if cancelled => Deed::Cancelled,
            _ => Deed::Fail,
        };
        deeds.insert((*ix, deed));
    }
    let unsettled = || all(Phase::Retrying).filter(|(_, step)| step.unsettled);
    let is_due = |step: &StepState| step.due_at.is_some_and(|due| due <= facts.now);
    if !(cancelled && (facts.detach || facts.grace_over)) {
        for (ix, step) in unsettled().filter(|(ix, step)| is_due(step) && !facts.acting.contains(ix)) {
            let alone = !all(Phase::Submitting).any(|(_, other)| step.class.is_some() && other.class == step.class);
            if alone {
                deeds.insert((*ix, Deed::Settle));
            }
        }
    }
    let held = |step: &StepState| {
        matches!(step.phase, Phase::Submitting | Phase::Running | Phase::Ended) || step.is_unsettled()
    };
    let busy = steps.iter().filter(|(_, step)| held(step)).count();
    let waiting = all(Phase::Ready).filter(|(ix, _)| facts.acting.contains(ix)).count();
    let mut free = (state.start.concurrency as usize).saturating_sub(busy + waiting);
    let send = |mut queue: Vec<(StepIndex, &StepState)>, free: &mut usize, deeds: &mut BTreeSet<_>| {
        queue.retain(|(ix, _)| !facts.acting.contains(ix));
        for (ix, _) in queue.into_iter().take(*free) {
            deeds.insert((ix, Deed::Submit));
            *free -= 1;
        }
    };
    let mut again: Vec<_> = all(Phase::Retrying).filter(|(_, step)| !step.unsettled && is_due(step)).copied().collect();
    again.sort_by_key(|(ix, step)| (step.due_at, *ix));
    if !stops {
        send(again, &mut free, &mut deeds);
        let mut ready: Vec<_> = all(Phase::Ready).copied().collect();
        ready.sort_by_key(|(ix, step)| (std::cmp::Reverse(step.brief.rank), *ix));
        send(ready, &mut free, &mut deeds);
        return Some(deeds);
    }
    deeds.extend(all(Phase::Ready).map(|(ix, _)| (*ix, Deed::Skip)));
    if !cancelled {
        send(again, &mut free, &mut deeds);
        return Some(deeds);
    }
    if facts.detach {
        return Some(deeds);
    }
    deeds.extend(all(Phase::Retrying).filter(|(_, step)| !step.unsettled).map(|(ix, _)| (*ix, Deed::Cancelled)));
    deeds.extend(all(Phase::Running).filter(|(ix, _)| !facts.acting.contains(ix)).map(|(ix, _)| (*ix, Deed::CallOff)));
    if facts.grace_over {
        deeds.extend(all(Phase::Submitting).map(|(ix, _)| (*ix, Deed::Abandon)));
        deeds.extend(unsettled().map(|(ix, _)| (*ix, Deed::Fail)));
    }
    Some(deeds)
}
