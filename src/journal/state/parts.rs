//! Steps that consist of others: fan-outs of their items, and steps that run a workflow of that workflow's steps.
//!
//! ```text
//! run (frame 0) ── step ── step[0], step[1], …            items, as they begin
//!              └── step ── step.child, step.other          a frame of its own
//!              └── step[2] ── step[2].child, …
//! ```
//!
//! A part is a step like any other, behind those of the run's own workflow; it is made when it begins, so that a wide fan-out takes room for
//! what has begun alone. When its last part is over, the whole is put up to be collected. Each record changes a number of counts that
//! does not grow with the run.

use std::sync::Arc;

use super::{FrameIndex, Phase, RunState, StepIndex, StepState, waiting};
use crate::{
    id::{Attempt, StepPath},
    journal::event::StepBrief,
    plan::FailurePolicy,
    result::{ErrorKind, StepStatus},
};
use jiff::Timestamp;

/// The steps of one workflow that runs: of the run itself, or of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// The step that runs the workflow; none for the run's own.
    pub step: Option<StepIndex>,
    /// The position of the first of its steps.
    pub base: StepIndex,
    /// How many steps it has, those of `finally` included.
    pub len: u32,
    /// Steps that are not over, but for those of `finally`.
    pub open: u32,
    /// Steps of `finally` that are not over.
    pub open_finally: u32,
    /// Whether an unhandled failure has happened.
    pub failing: bool,
    /// Whether its own `timeout` has passed.
    pub timed_out: bool,
    /// When it began.
    pub began_at: Timestamp,
    /// The bound on all but `finally`, in milliseconds: its own `timeout` or that of the step, whichever is shorter.
    pub timeout_ms: Option<u64>,
    /// What happens after a failure.
    pub failure_policy: FailurePolicy,
}

impl Frame {
    /// Says whether all of its steps are over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.open == 0 && self.open_finally == 0
    }

    /// Returns when its `timeout` passes, as long as that matters.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let timeout = i64::try_from(self.timeout_ms?).unwrap_or(i64::MAX);
        let timeout = jiff::SignedDuration::from_millis(timeout);
        (self.open > 0 && !self.timed_out).then(|| self.began_at.saturating_add(timeout).unwrap_or(Timestamp::MAX))
    }
}

/// The items of a step that runs once for each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FanOut {
    /// How many there are.
    pub len: u32,
    /// Those that have begun, by position.
    pub begun: Vec<StepIndex>,
    /// How many of those are not over.
    pub open: u32,
    /// How many failed.
    pub failed: u32,
    /// Whether no further one begins: a failure that the next would share.
    pub stopped: bool,
    /// Most items in flight.
    pub max_parallel: Option<u32>,
    /// How many items are in flight: they hold a slot, or run a workflow.
    pub in_flight: u32,
}

impl FanOut {
    /// Returns the position of the item that begins next.
    #[must_use]
    pub fn next(&self) -> u32 {
        u32::try_from(self.begun.len()).expect("a fan-out has fewer than 2^32 items")
    }

    /// Says whether no item is left to begin.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.stopped || self.next() == self.len
    }

    /// Says whether all that began is over, and no more begins.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.open == 0 && self.is_exhausted()
    }

    /// Returns how many more items may be in flight: of those that begun before the run went on, all may be waiting to be sent again.
    #[must_use]
    pub fn free(&self) -> u32 {
        self.max_parallel.map_or(u32::MAX, |most| most.saturating_sub(self.in_flight))
    }

    /// Returns how many items may begin now, where so many jobs may be in flight.
    #[must_use]
    pub fn room(&self, concurrency: u32) -> u32 {
        if self.stopped {
            return 0;
        }
        let most = self.max_parallel.map_or(concurrency, |most| most.min(concurrency));
        most.saturating_sub(self.open).min(self.len - self.next())
    }
}

impl RunState {
    /// Returns the step that an event names; the next item of a fan-out is made where it is that one's turn.
    pub(super) fn reach(&mut self, path: &StepPath) -> Option<StepIndex> {
        if let Some(ix) = self.position(path) {
            return Some(ix);
        }
        let (step, item) = path.split_item()?;
        let fan = self.position(&step)?;
        let whole = &self.steps[fan as usize];
        if whole.fan_out.as_ref().is_none_or(|items| item != items.next() || item >= items.len) {
            return None;
        }
        let ix = StepIndex::try_from(self.steps.len()).expect("a run has fewer than 2^32 steps");
        let mut unit = waiting(Arc::clone(&whole.written), path.clone());
        (unit.frame, unit.item_of, unit.item) = (whole.frame, Some(fan), Some(item));
        unit.attempt = self.used.remove(path);
        self.index.insert(path.clone(), ix);
        self.agenda.leave(fan, &self.steps[fan as usize]);
        let items = self.steps[fan as usize].fan_out.as_mut().expect("it was looked at above");
        items.begun.push(ix);
        items.open += 1;
        self.steps.push(unit);
        self.agenda.enter(fan, &self.steps[fan as usize]);
        self.agenda.enter(ix, &self.steps[ix as usize]);
        Some(ix)
    }

    /// Begins the workflow that a step runs. Where it ran before, what has finished there stays.
    pub(super) fn begin_workflow(&mut self, ix: StepIndex, at: Timestamp) {
        let step = &self.steps[ix as usize];
        if let Some(frame) = step.nested {
            return self.begin_again(frame, at);
        }
        let Some((timeout_ms, failure_policy)) = self.bounds_of(&step.brief) else { return };
        let base = StepIndex::try_from(self.steps.len()).expect("a run has fewer than 2^32 steps");
        let frame = FrameIndex::try_from(self.frames.len()).expect("a run has fewer than 2^32 workflows");
        let parent = step.path.clone();
        let mut units: Vec<StepState> = self.templates[step.brief.workflow.unwrap_or_default() as usize]
            .iter()
            .map(|brief| {
                let mut unit = waiting(Arc::clone(brief), parent.child(&brief.step.id()));
                (unit.frame, unit.held) = (frame, brief.finally);
                unit.attempt = self.used.remove(&unit.path);
                unit
            })
            .collect();
        super::resume::link(&mut units, base);
        let len = u32::try_from(units.len()).expect("a plan has fewer than 2^32 steps");
        let open_finally = count(units.iter().filter(|unit| unit.brief.finally));
        self.frames.push(Frame {
            step: Some(ix),
            base,
            len,
            open: len - open_finally,
            open_finally,
            failing: false,
            timed_out: false,
            began_at: at,
            timeout_ms,
            failure_policy,
        });
        for (unit, ix) in units.iter().zip(base..) {
            self.index.insert(unit.path.clone(), ix);
            self.agenda.enter(ix, unit);
        }
        self.steps.extend(units);
        self.steps[ix as usize].nested = Some(frame);
        self.arm(frame);
    }

    /// Returns the `timeout` and the policy of the workflow that a step runs. Of its own bound and that of the step, the shorter one counts.
    pub(super) fn bounds_of(&self, brief: &StepBrief) -> Option<(Option<u64>, FailurePolicy)> {
        let workflow = self.start.workflows.get(brief.workflow? as usize)?;
        Some((workflow.timeout_ms.into_iter().chain(brief.timeout_ms).min(), workflow.failure_policy))
    }

    /// Lets a workflow go on whose step is tried again: like a resumed run, with what has finished kept.
    fn begin_again(&mut self, frame: FrameIndex, at: Timestamp) {
        let own = &mut self.frames[frame as usize];
        (own.failing, own.timed_out, own.began_at) = (false, false, at);
        self.all_go_on(at, |state, ix| state.is_within(ix, frame));
        self.finally_again(|state, other| {
            other == frame || state.is_within(state.frames[other as usize].base as usize, frame)
        });
        self.rebuild();
    }

    /// Says whether a step that runs a workflow failed by itself and not by one of its parts, though it had the time: it is not what it should be.
    pub(super) fn is_refused_whole(&self, ix: StepIndex, kind: ErrorKind) -> bool {
        let frame = self.steps[ix as usize].nested.map(|frame| &self.frames[frame as usize]);
        kind == ErrorKind::ExpectationFailed && frame.is_some_and(|frame| !frame.failing && !frame.timed_out)
    }

    /// Says whether a step stands in a workflow that runs, however deep.
    fn is_within(&self, ix: usize, frame: FrameIndex) -> bool {
        let mut at = self.steps[ix].frame;
        loop {
            if at == frame {
                return true;
            }
            match self.frames[at as usize].step {
                Some(step) => at = self.steps[step as usize].frame,
                None => return false,
            }
        }
    }

    /// Says whether a step is part of one whose result stands, and so stays as it is.
    pub(super) fn is_settled_whole(&self, ix: usize) -> bool {
        let step = &self.steps[ix];
        let whole = step.item_of.or(self.frames[step.frame as usize].step);
        whole.is_some_and(|whole| {
            let over = matches!(self.steps[whole as usize].phase, Phase::Over(_));
            over || self.is_settled_whole(whole as usize)
        })
    }

    /// Notes when the `timeout` of a workflow passes.
    pub(super) fn arm(&mut self, frame: FrameIndex) {
        if let Some(deadline) = self.frames[frame as usize].deadline() {
            self.agenda.timeouts.insert((deadline, frame));
        }
    }

    /// Counts the end of a step where it is a part, and wakes what waits for that.
    pub(super) fn finish_part(&mut self, ix: StepIndex, status: StepStatus) {
        let step = &self.steps[ix as usize];
        let (kind, unhandled) = (step.error.as_ref().map(|error| error.kind), !step.handled);
        if let Some(fan) = step.item_of {
            self.agenda.leave(fan, &self.steps[fan as usize]);
            let items = self.steps[fan as usize].fan_out.as_mut().expect("an item has a fan-out");
            items.open -= 1;
            if status == StepStatus::Failed {
                self.troubled = true;
                items.failed += 1;
                items.stopped |= kind.is_some_and(crate::result::ErrorKind::stops_fan_out);
            }
            self.agenda.enter(fan, &self.steps[fan as usize]);
            return;
        }
        let (index, finally) = (step.frame, step.brief.finally);
        let frame = &mut self.frames[index as usize];
        let deadline = frame.deadline();
        if status == StepStatus::Failed && unhandled {
            frame.failing = true;
            self.troubled = true;
        }
        if finally {
            frame.open_finally -= 1;
        } else {
            frame.open -= 1;
            if frame.open == 0 {
                if let Some(deadline) = deadline {
                    self.agenda.timeouts.remove(&(deadline, index));
                }
                self.release(index);
            }
        }
        let frame = &self.frames[index as usize];
        if let (true, Some(whole)) = (frame.is_over(), frame.step)
            && self.steps[whole as usize].phase == Phase::Nested
        {
            self.agenda.collect.insert(whole);
        }
    }

    /// Puts the steps of `finally` up for judging that wait for nothing else.
    fn release(&mut self, frame: FrameIndex) {
        let Frame { base, len, open_finally, .. } = self.frames[frame as usize];
        if open_finally == 0 {
            return;
        }
        // They are the last ones.
        for ix in (base..base + len).rev() {
            let step = &self.steps[ix as usize];
            if !step.brief.finally {
                break;
            }
            let step = &mut self.steps[ix as usize];
            step.held = false;
            self.agenda.enter_waiting(ix, step);
        }
    }

    /// Counts everything anew that follows from the phases of the steps.
    pub(super) fn rebuild(&mut self) {
        self.agenda = super::Agenda::default();
        for frame in &mut self.frames {
            (frame.open, frame.open_finally, frame.failing) = (0, 0, false);
        }
        for ix in 0..self.steps.len() {
            if self.steps[ix].item_of.is_none() && !self.steps[ix].gone {
                self.recount(ix);
            }
        }
        for ix in 0..self.steps.len() {
            let again = self.steps[ix].again;
            let Some(items) = &self.steps[ix].fan_out else { continue };
            let begun = || items.begun.iter().map(|&ix| &self.steps[ix as usize]);
            let open = count(begun().filter(|step| step.status().is_none()));
            let failed = count(begun().filter(|step| step.status() == Some(StepStatus::Failed)));
            let in_flight = count(begun().filter(|step| step.is_in_flight()));
            let kind = |step: &StepState| step.error.as_ref().map(|error| error.kind);
            let stopped =
                begun().any(|step| kind(step).is_some_and(crate::result::ErrorKind::stops_fan_out) && !step.handled);
            let items = self.steps[ix].fan_out.as_mut().expect("it was just there");
            (items.open, items.failed, items.stopped) = (open, failed, stopped || again);
            items.in_flight = in_flight;
        }
        for ix in 0..self.steps.len() {
            let at = StepIndex::try_from(ix).expect("a run has fewer than 2^32 steps");
            let open = self.frames[self.steps[ix].frame as usize].open;
            let step = &mut self.steps[ix];
            step.held = step.brief.finally && step.item_of.is_none() && open > 0;
            self.agenda.enter(at, step);
            let step = &self.steps[ix];
            let over = step.nested.is_some_and(|frame| self.frames[frame as usize].is_over());
            if step.phase == Phase::Nested && over {
                self.agenda.collect.insert(at);
            }
        }
        for frame in 0..self.frames.len() {
            let frame = FrameIndex::try_from(frame).expect("a run has fewer than 2^32 workflows");
            let lives = |step: StepIndex| self.steps[step as usize].nested == Some(frame);
            if self.frames[frame as usize].step.is_none_or(lives) {
                self.arm(frame);
            }
        }
    }

    /// Counts what a step waits for, and what it counts for in its frame.
    fn recount(&mut self, ix: usize) {
        let step = &self.steps[ix];
        let (frame, finally) = (step.frame, step.brief.finally);
        let base = self.frames[frame as usize].base;
        let (mut unmet, mut blocker, mut any_good) = (0, None, false);
        for need in &step.brief.needs {
            let need = base + need;
            let Some(needed) = self.steps.get(need as usize) else { continue };
            match needed.status() {
                None => unmet += 1,
                Some(StepStatus::Succeeded) => any_good = true,
                Some(_) if needed.handled => any_good = true,
                Some(_) => blocker = blocker.or(Some(need)),
            }
        }
        let (open, failed) = (step.status().is_none(), step.status() == Some(StepStatus::Failed) && !step.handled);
        let own = &mut self.frames[frame as usize];
        own.failing |= failed;
        if finally {
            own.open_finally += u32::from(open);
        } else {
            own.open += u32::from(open);
        }
        let step = &mut self.steps[ix];
        (step.unmet, step.blocker, step.any_good) = (unmet, blocker, any_good);
    }

    /// Takes the parts of a step out of the run: it begins anew, and they with it. Their attempts stay counted.
    pub(super) fn bury_parts(&mut self, of: usize) {
        for ix in of + 1..self.steps.len() {
            if self.steps[ix].gone || !self.is_part(ix, of) {
                continue;
            }
            let at = StepIndex::try_from(ix).expect("a run has fewer than 2^32 steps");
            self.agenda.leave(at, &self.steps[ix]);
            let step = &mut self.steps[ix];
            (step.gone, step.phase) = (true, Phase::Over(StepStatus::Cancelled));
            let (path, attempt) = (step.path.clone(), step.attempt);
            self.index.remove(&path);
            self.remember_attempt(&path, attempt);
        }
    }

    /// Says whether a step is part of another, directly or through others.
    fn is_part(&self, ix: usize, of: usize) -> bool {
        let step = &self.steps[ix];
        let whole = step.item_of.or(self.frames[step.frame as usize].step);
        whole.is_some_and(|whole| whole as usize == of || self.is_part(whole as usize, of))
    }

    /// Remembers the number of the last attempt of a step that is made anew, so that its next key is another.
    pub(super) fn remember_attempt(&mut self, path: &StepPath, attempt: Option<Attempt>) {
        if let Some(attempt) = attempt {
            self.used.insert(path.clone(), attempt);
        }
    }
}

/// Returns the briefs of every workflow that steps run, shared by all that run it.
pub(super) fn templates(start: &crate::journal::event::RunStarted) -> Vec<Vec<Arc<StepBrief>>> {
    start.workflows.iter().map(|workflow| workflow.steps.iter().cloned().map(Arc::new).collect()).collect()
}

/// Counts within what a plan may hold.
pub(super) fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).expect("a run has fewer than 2^32 steps")
}
