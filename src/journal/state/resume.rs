//! What `run_resumed` and `plan_changed` mean for a run's state: what stays, what is settled first, what starts again (LANGUAGE.md,
//! section 8).

use std::sync::Arc;

use jiff::Timestamp;

use super::{Frame, FrameIndex, Phase, RunState, StepIndex, StepState, waiting};
use crate::{
    journal::event::{PlanChanged, RunStatus, SkipReason, StepBrief},
    result::{ErrorKind, StepStatus},
};

/// What is said of a submit whose process ended before its answer came.
const CUT_OFF: &str = "the process ended before the answer came";

impl RunState {
    /// Goes on after the process that ran it is gone, or the run is over. `before` is the time of the last record until then: what passed
    /// since is nobody's wait for an answer.
    pub(super) fn resume(&mut self, before: Timestamp, at: Timestamp) {
        let was_cancelled = self.cancelled_by.is_some() || self.frames.iter().any(|frame| frame.timed_out);
        (self.status, self.finished_at, self.outputs, self.error) = (RunStatus::Running, None, None, None);
        (self.cancelled_by, self.detached, self.troubled) = (None, false, false);
        for frame in &mut self.frames {
            // A run that was over, or had had its time, has all of it again; what passed while no process worked on it is excused.
            let again = frame.timed_out || frame.open == 0;
            frame.began_at =
                if again { at } else { frame.began_at.saturating_add(at.duration_since(before)).unwrap_or(at) };
            frame.timed_out = false;
        }
        for ix in 0..self.steps.len() {
            let called_off = was_cancelled && !self.is_of_finally(ix);
            let step = &mut self.steps[ix];
            if step.gone {
                continue;
            }
            if matches!(step.phase, Phase::Submitting | Phase::Retrying) {
                step.excused += at.duration_since(before);
            }
            // What the run itself had begun to call off starts again, as far as it is cancelled by now.
            step.leftover |= called_off && matches!(step.phase, Phase::Running | Phase::Ended);
        }
        self.all_go_on(at, |_, _| true);
        self.finally_again(|_, _| true);
        self.rebuild();
        self.troubled = self.frames.iter().any(|frame| frame.failing);
    }

    /// Says whether a step is one of `finally`, or runs within one: nothing calls those off.
    fn is_of_finally(&self, ix: usize) -> bool {
        let mut at = Some(ix);
        while let Some(ix) = at {
            let step = &self.steps[ix];
            if step.brief.finally {
                return true;
            }
            at = step.item_of.or(self.frames[step.frame as usize].step).map(|whole| whole as usize);
        }
        false
    }

    /// Lets steps go on, or start again, that are not over in good order. What another step has built on, and that one is under way still,
    /// stays as it is: what was sent must be what would be sent again, and a fan-out has the same items at its end as at its beginning.
    pub(super) fn all_go_on(&mut self, at: Timestamp, concerns: impl Fn(&Self, usize) -> bool) {
        let (kept, sandbox) = (self.built_on(), self.start.sandbox);
        // A whole comes before its parts, so it is known by then whether it goes on.
        for (ix, kept) in kept.into_iter().enumerate() {
            if !self.steps[ix].gone && !kept && concerns(self, ix) && !self.is_settled_whole(ix) {
                let at_whole = StepIndex::try_from(ix).expect("a run has fewer than 2^32 steps");
                let step = &self.steps[ix];
                let kind = step.error.as_ref().filter(|_| !step.handled).map(|error| error.kind);
                if kind.is_some_and(|kind| self.is_refused_whole(at_whole, kind)) {
                    self.bury_parts(ix);
                    start_again(&mut self.steps[ix]);
                    continue;
                }
                go_on(&mut self.steps[ix], at, sandbox);
            }
        }
        for ix in 0..self.steps.len() {
            let step = &self.steps[ix];
            let has_begun = matches!(step.phase, Phase::Ready | Phase::Expanded | Phase::Nested);
            let waits = |need: &StepIndex| self.steps[self.need(step, *need)].status().is_none();
            if !step.gone && has_begun && step.item_of.is_none() && step.brief.needs.iter().any(waits) {
                self.bury_parts(ix);
                start_again(&mut self.steps[ix]);
            }
        }
    }

    /// Says of each step whether one that is under way has built on it: needs it, directly or through others.
    fn built_on(&self) -> Vec<bool> {
        let mut kept = vec![false; self.steps.len()];
        let mut open = Vec::new();
        for ix in (0..self.steps.len()).filter(|&ix| !self.steps[ix].gone && self.steps[ix].is_under_way()) {
            let mut at = Some(ix);
            while let Some(ix) = at {
                open.push(ix);
                let step = &self.steps[ix];
                at = step.item_of.or(self.frames[step.frame as usize].step).map(|whole| whole as usize);
            }
        }
        while let Some(ix) = open.pop() {
            let step = &self.steps[ix];
            for need in step.brief.needs.iter().map(|need| self.need(step, *need)) {
                if matches!(self.steps[need].phase, Phase::Over(_)) && !std::mem::replace(&mut kept[need], true) {
                    open.push(need);
                }
            }
        }
        kept
    }

    /// Returns the position of a step that another one of the same workflow needs.
    fn need(&self, step: &StepState, need: StepIndex) -> usize {
        (self.frames[step.frame as usize].base + need) as usize
    }

    /// Lets the steps of `finally` run again where any other step of their workflow does, but for those that were not asked for; one whose job is
    /// under way first comes to its end.
    pub(super) fn finally_again(&mut self, concerns: impl Fn(&Self, FrameIndex) -> bool) {
        for frame in 0..self.frames.len() {
            if !concerns(self, FrameIndex::try_from(frame).expect("a run has fewer than 2^32 workflows")) {
                continue;
            }
            let Frame { base, len, .. } = self.frames[frame];
            let own = base as usize..(base + len) as usize;
            let goes_on = |step: &StepState| !step.brief.finally && step.status().is_none();
            if self.steps[own.clone()].iter().any(goes_on) {
                let wanted = |step: &StepState| step.brief.finally && step.skipped != Some(SkipReason::NotSelected);
                let finally: Vec<usize> = own.filter(|&ix| wanted(&self.steps[ix])).collect();
                for ix in finally {
                    let at = StepIndex::try_from(ix).expect("a run has fewer than 2^32 steps");
                    let under_way =
                        |leaf: &StepState| leaf.holds_slot() || leaf.phase == Phase::Retrying && leaf.unsettled;
                    if self.leaves_of(at).into_iter().any(under_way) {
                        let step = &mut self.steps[ix];
                        step.again = true;
                        if let Some(items) = &mut step.fan_out {
                            items.stopped = true;
                        }
                        continue;
                    }
                    self.bury_parts(ix);
                    start_again(&mut self.steps[ix]);
                }
            }
        }
    }

    /// Takes the steps of another text; those that are not to run again keep what they have, their parts included.
    pub(super) fn change_plan(&mut self, change: &PlanChanged) {
        let old = std::mem::take(&mut self.steps);
        let (count, frames) = (self.start.steps.len(), std::mem::take(&mut self.frames));
        self.start = Arc::new(change.start.clone());
        self.templates = super::parts::templates(&self.start);
        self.steps = super::own_steps(&self.start);
        let began_at = frames[0].began_at;
        self.frames = vec![Frame { began_at, ..super::own_frame(&self.start, began_at) }];
        self.index = self.steps.iter().zip(0..).map(|(step, ix)| (step.path.clone(), ix)).collect();

        let mut moved: Vec<Option<StepIndex>> = vec![None; old.len()];
        let mut moved_frames: Vec<Option<FrameIndex>> = vec![None; frames.len()];
        moved_frames[0] = Some(0);
        for (ix, mut step) in old.into_iter().enumerate() {
            if step.gone {
                continue;
            }
            let whole = step.item_of.or(frames[step.frame as usize].step);
            let kept = match whole {
                None if ix < count => self.position(&step.path).filter(|_| !change.rerun.contains(&step.path)),
                None => None,
                Some(whole) => moved[whole as usize].map(|_| {
                    let at = StepIndex::try_from(self.steps.len()).expect("a run has fewer than 2^32 steps");
                    self.index.insert(step.path.clone(), at);
                    at
                }),
            };
            let Some(at) = kept else {
                match self.position(&step.path) {
                    // The next submit is another one, with a key of its own.
                    Some(again) => self.steps[again as usize].attempt = step.attempt,
                    None => self.remember_attempt(&step.path, step.attempt),
                }
                continue;
            };
            moved[ix] = Some(at);
            step.dependents = Vec::new();
            if whole.is_none() {
                let new = &mut self.steps[at as usize];
                (step.written, step.brief) = (Arc::clone(&new.written), Arc::clone(&new.brief));
                if step.fallback > 0 {
                    step.brief = Arc::new(step.written.fallen_back(step.fallback));
                }
                *new = step;
                continue;
            }
            // The frame of a step that runs a workflow comes over with the first of its steps.
            let frame = step.frame as usize;
            if moved_frames[frame].is_none() {
                let index = FrameIndex::try_from(self.frames.len()).expect("a run has fewer than 2^32 workflows");
                moved_frames[frame] = Some(index);
                let own = frames[frame].step.and_then(|step| moved[step as usize]);
                let mut moved = Frame { step: own, base: at, ..frames[frame].clone() };
                // What changes no result is no reason to run a step anew, and holds from now on.
                if let Some(bounds) = own.and_then(|own| self.bounds_of(&self.steps[own as usize].brief)) {
                    (moved.timeout_ms, moved.failure_policy) = bounds;
                }
                self.frames.push(moved);
            }
            step.frame = moved_frames[frame].unwrap_or_default();
            step.item_of = step.item_of.and_then(|of| moved[of as usize]);
            // It says the same as before, but for the places of workflows in the list of all.
            if let Some(brief) = self.brief_again(&step, at) {
                step.brief = Arc::new(brief.fallen_back(step.fallback));
                step.written = brief;
            }
            self.steps.push(step);
        }
        for step in &mut self.steps {
            if let Some(items) = &mut step.fan_out {
                items.begun = items.begun.iter().filter_map(|&item| moved[item as usize]).collect();
            }
            step.nested = step.nested.and_then(|frame| moved_frames[frame as usize]);
        }
        for frame in 0..self.frames.len() {
            let Frame { base, len, .. } = self.frames[frame];
            link(&mut self.steps[base as usize..(base + len) as usize], base);
        }
        self.finally_again(|_, _| true);
        self.rebuild();
        self.troubled = self.frames.iter().any(|frame| frame.failing);
    }
}

impl RunState {
    /// Returns what the run's present text says of a part that comes over at this position.
    fn brief_again(&self, step: &StepState, at: StepIndex) -> Option<Arc<StepBrief>> {
        if let Some(fan) = step.item_of {
            return Some(Arc::clone(&self.steps[fan as usize].written));
        }
        let frame = &self.frames[step.frame as usize];
        let workflow = self.steps[frame.step? as usize].brief.workflow?;
        self.templates.get(workflow as usize)?.get((at - frame.base) as usize).cloned()
    }
}

/// Notes for each step of a workflow which steps wait for it, and for how many it waits, where none is over. `base` is the position of the
/// first of them.
pub(super) fn link(steps: &mut [StepState], base: StepIndex) {
    for ix in 0..steps.len() {
        let position = base + StepIndex::try_from(ix).expect("a plan has fewer than 2^32 steps");
        let needs = steps[ix].brief.needs.clone();
        steps[ix].unmet = StepIndex::try_from(needs.len()).expect("a step has fewer needs than there are steps");
        for need in needs {
            if let Some(needed) = steps.get_mut(need as usize) {
                needed.dependents.push(position);
            }
        }
    }
}

/// Decides where a step goes on. What an emulator ran that lived as long as its process is gone with it.
pub(super) fn go_on(step: &mut StepState, at: Timestamp, sandbox: bool) {
    let settle = |step: &mut StepState| {
        (step.phase, step.due_at, step.unsettled) = (Phase::Retrying, Some(at), true);
        step.unsettled_at = Some(at);
        (step.error, step.ended_at) = (None, None);
    };
    match step.phase {
        Phase::Running | Phase::Submitting | Phase::Ended if sandbox => start_again(step),
        Phase::Retrying if sandbox && step.unsettled => start_again(step),
        // What passed until now is excused already.
        Phase::Retrying if step.unsettled => step.unsettled_at = Some(at),
        Phase::Waiting
        | Phase::Ready
        | Phase::Retrying
        | Phase::Running
        | Phase::Expanded
        | Phase::Nested
        | Phase::Over(StepStatus::Succeeded) => {}
        Phase::Submitting => {
            step.why = Some(CUT_OFF.to_owned());
            settle(step);
        }
        // What was saved of it is saved again, or found to be there.
        Phase::Ended => step.files.clear(),
        Phase::Over(StepStatus::Skipped) => {
            if !matches!(step.skipped, Some(SkipReason::When | SkipReason::NotSelected)) {
                start_again(step);
            }
        }
        Phase::Over(StepStatus::Failed) if step.handled => {}
        // Its parts decide: each of them goes on in its own way.
        Phase::Over(StepStatus::Failed | StepStatus::Cancelled) if step.fan_out.is_some() || step.nested.is_some() => {
            step.phase = if step.fan_out.is_some() { Phase::Expanded } else { Phase::Nested };
            (step.error, step.ended_at) = (None, None);
            step.failed_attempts = 0;
        }
        Phase::Over(StepStatus::Failed | StepStatus::Cancelled) => {
            let kind = step.error.as_ref().map(|error| error.kind);
            match kind {
                _ if sandbox => start_again(step),
                Some(ErrorKind::SubmitUnknown) if step.job.is_none() => settle(step),
                Some(ErrorKind::JobVanished) => start_again(step),
                // The job is done: only its files are missing. A result of before is looked for once more.
                Some(ErrorKind::Artifact) if step.job.is_some() => {
                    (step.phase, step.error, step.ended_at) = (Phase::Ended, None, None);
                    step.files.clear();
                }
                _ if step.may_run() => {
                    (step.phase, step.error, step.ended_at) = (Phase::Running, None, None);
                    step.leftover = kind != Some(ErrorKind::SubmitUnknown);
                }
                _ => start_again(step),
            }
        }
    }
}

/// Lets a step begin anew; the number of its next attempt is another, so that its key is.
pub(super) fn start_again(step: &mut StepState) {
    let old = std::mem::replace(step, waiting(Arc::clone(&step.written), step.path.clone()));
    (step.attempt, step.dependents) = (old.attempt, old.dependents);
    (step.frame, step.item_of, step.item) = (old.frame, old.item_of, old.item);
}
