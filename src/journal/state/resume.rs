//! What `run_resumed` and `plan_changed` mean for a run's state: what stays, what is settled first, what starts again (LANGUAGE.md,
//! section 8).

use std::sync::Arc;

use jiff::Timestamp;

use super::{Agenda, Phase, RunState, StepIndex, StepState, waiting};
use crate::{
    journal::event::{PlanChanged, RunStatus, SkipReason},
    result::{ErrorKind, StepStatus},
};

/// What is said of a submit whose process ended before its answer came.
const CUT_OFF: &str = "the process ended before the answer came";

impl RunState {
    /// Goes on after the process that ran it is gone, or the run is over. `before` is the time of the last record until then: what passed
    /// since is nobody's wait for an answer.
    pub(super) fn resume(&mut self, before: Timestamp, at: Timestamp) {
        let was_cancelled = self.cancelled_by.is_some();
        (self.status, self.finished_at, self.outputs, self.error) = (RunStatus::Running, None, None, None);
        (self.cancelled_by, self.detached, self.failing) = (None, false, false);
        for step in &mut self.steps {
            if matches!(step.phase, Phase::Submitting | Phase::Retrying) {
                step.excused += at.duration_since(before);
            }
            // What the run itself had begun to call off starts again, as far as it is cancelled by now.
            step.leftover |= was_cancelled && matches!(step.phase, Phase::Running | Phase::Ended);
            go_on(step, at, self.start.sandbox);
        }
        self.rebuild();
    }

    /// Takes the steps of another text; those that are not to run again keep what they have.
    pub(super) fn change_plan(&mut self, change: &PlanChanged) {
        let before = std::mem::take(&mut self.steps);
        let mut before: std::collections::HashMap<_, _> =
            before.into_iter().map(|step| (step.brief.step.clone(), step)).collect();
        self.start = Arc::new(change.start.clone());
        self.steps = change.start.steps.iter().cloned().map(waiting).collect();
        self.index = change.start.steps.iter().zip(0..).map(|(brief, ix)| (brief.step.clone(), ix)).collect();
        for step in &mut self.steps {
            let Some(old) = before.remove(&step.brief.step) else { continue };
            if change.rerun.contains(&step.brief.step) {
                // The next submit is another one, with a key of its own.
                step.attempt = old.attempt;
                continue;
            }
            let brief = std::mem::replace(&mut step.brief, old.brief.clone());
            *step = StepState { brief, dependents: Vec::new(), ..old };
        }
        link(&mut self.steps);
        self.rebuild();
    }

    /// Counts everything anew that follows from the phases of the steps.
    fn rebuild(&mut self) {
        self.agenda = Agenda::default();
        self.open = 0;
        for ix in 0..self.steps.len() {
            let needs = self.steps[ix].brief.needs.clone();
            let (mut unmet, mut blocker) = (0, None);
            for need in needs {
                let Some(needed) = self.steps.get(need as usize) else { continue };
                match needed.status() {
                    None => unmet += 1,
                    Some(StepStatus::Succeeded) => {}
                    Some(_) if needed.handled => {}
                    Some(_) => blocker = blocker.or(Some(need)),
                }
            }
            let step = &mut self.steps[ix];
            (step.unmet, step.blocker) = (unmet, blocker);
            self.open += usize::from(step.status().is_none());
        }
        for (step, ix) in self.steps.iter().zip(0..) {
            self.agenda.enter(ix, step);
        }
    }
}

/// Notes for each step which steps wait for it, and for how many it waits, where none is over.
pub(super) fn link(steps: &mut [StepState]) {
    for ix in 0..steps.len() {
        let position = StepIndex::try_from(ix).expect("a plan has fewer than 2^32 steps");
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
fn go_on(step: &mut StepState, at: Timestamp, sandbox: bool) {
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
        Phase::Waiting | Phase::Ready | Phase::Retrying | Phase::Running | Phase::Over(StepStatus::Succeeded) => {}
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
        Phase::Over(StepStatus::Failed | StepStatus::Cancelled) => {
            let kind = step.error.as_ref().map(|error| error.kind);
            match kind {
                _ if sandbox => start_again(step),
                Some(ErrorKind::SubmitUnknown) if step.job.is_none() => settle(step),
                Some(ErrorKind::JobVanished) => start_again(step),
                // The job is done: only its files are missing.
                Some(ErrorKind::Artifact) => {
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
fn start_again(step: &mut StepState) {
    let old = std::mem::replace(step, waiting(step.brief.clone()));
    (step.attempt, step.dependents) = (old.attempt, old.dependents);
}
