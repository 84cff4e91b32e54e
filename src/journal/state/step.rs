//! One step of a run: where it stands, and what its records have told of it.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    FanOut, FrameIndex, StepIndex,
    spending::{Open, price},
};
use crate::{
    id::{Attempt, Digest, StepPath},
    job::TargetKind,
    journal::{
        cache::Sent,
        event::{EndedAs, GivenFile, SkipReason, StepBrief},
    },
    plan::Trigger,
    result::{ErrorKind, JobFacts, SavedFile, StepError, StepResult, StepStatus},
};

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It waits for other steps.
    Waiting,
    /// It waits for a slot or a rate.
    Ready,
    /// Its submit is under way.
    Submitting,
    /// Its submit is to be sent again, later; an unsettled one is to be settled first.
    Retrying,
    /// Its job runs.
    Running,
    /// Its job is over; what came out is not yet saved.
    Ended,
    /// It runs once for each item.
    Expanded,
    /// It runs a workflow.
    Nested,
    /// It is over.
    Over(StepStatus),
}

/// A step of a run.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each says one thing of a step, and any may hold beside any other")]
pub struct StepState {
    /// Its place in the run.
    pub path: StepPath,
    /// What the journal says of it from the start; after a fallback, what stands in for it.
    pub brief: Arc<StepBrief>,
    /// The same before any fallback.
    pub written: Arc<StepBrief>,
    /// The workflow whose step it is.
    pub frame: FrameIndex,
    /// The fan-out that it is an item of.
    pub item_of: Option<StepIndex>,
    /// Its position among the items.
    pub item: Option<u32>,
    /// Its items, once they are known.
    pub fan_out: Option<Box<FanOut>>,
    /// The workflow that it runs, once it has begun.
    pub nested: Option<FrameIndex>,
    /// Which entry of `fallback` it has come to, from 1; 0: none.
    pub fallback: u32,
    /// How many attempts failed, since the last fallback.
    pub failed_attempts: u32,
    /// Whether its next submit is another attempt.
    pub fresh: bool,
    /// What its latest submit sent, where its result may be reused.
    pub sent: Option<Arc<Sent>>,
    /// Of a step of `finally`: how its workflow had ended when it began.
    pub ended: Option<Arc<EndedAs>>,
    /// When its first attempt began.
    pub began_at: Option<Timestamp>,
    /// Where it stands.
    pub phase: Phase,
    /// Which attempt it is at, or was last at; none before the first.
    pub attempt: Option<Attempt>,
    /// When the first submit of this attempt was intended.
    pub started_at: Option<Timestamp>,
    /// When the latest submit was intended.
    pub intended_at: Option<Timestamp>,
    /// How long it has waited because the API said so, since `started_at`.
    pub excused: jiff::SignedDuration,
    /// When its submit is to be sent again.
    pub due_at: Option<Timestamp>,
    /// Whether the API may have accepted an earlier sending of its submit.
    pub unsettled: bool,
    /// What came in place of the answer to its latest submit.
    pub why: Option<String>,
    /// Since when it is to be found out whether its submit was accepted.
    pub unsettled_at: Option<Timestamp>,
    /// What it shares with the submits that the API could not tell from its own.
    pub class: Option<Digest>,
    /// The API's time at its latest intent.
    pub server_at: Option<Timestamp>,
    /// Whether its job is one of before a resume that may still run: without a result from it, the step starts again.
    pub leftover: bool,
    /// How often its submit was put off in a row.
    pub retries: u32,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// The job behind it.
    pub job: Option<JobFacts>,
    /// Where the API said that the job can be seen.
    pub look_at: Option<String>,
    /// What the API said of a failed job.
    pub job_error: Option<String>,
    /// What came out, by node.
    pub outputs: Option<Arc<Map<String, Value>>>,
    /// What was saved.
    pub files: Vec<SavedFile>,
    /// The local files in the inputs of its submits, as they were last.
    pub given: Vec<GivenFile>,
    /// Why it failed.
    pub error: Option<StepError>,
    /// Whether the failure counts as handled.
    pub handled: bool,
    /// Whether its result is that of an equal submit of before (`cache`).
    pub cached: bool,
    /// Why it was skipped.
    pub skipped: Option<SkipReason>,
    /// What it has open in the run's account.
    pub(super) open: Open,
    /// The needed steps that are not over.
    pub(super) unmet: u32,
    /// The first needed step that ended without success.
    pub(super) blocker: Option<StepIndex>,
    /// Whether some needed step succeeded, or failed and was handled.
    pub(super) any_good: bool,
    /// Whether it waits until all but `finally` is over.
    pub(super) held: bool,
    /// Whether it is to run once more when it is over: a step of `finally` whose job was under way when the run went on.
    pub(super) again: bool,
    /// Whether it is no part of the run any more: what it was a part of began anew.
    pub gone: bool,
    pub(super) dependents: Vec<StepIndex>,
}

impl StepState {
    /// Returns how the step ended, if it has.
    #[must_use]
    pub fn status(&self) -> Option<StepStatus> {
        match self.phase {
            Phase::Over(status) => Some(status),
            _ => None,
        }
    }

    /// Returns what kind of target the step runs, if any.
    #[must_use]
    pub fn kind(&self) -> Option<TargetKind> {
        TargetKind::of_verb(&self.brief.verb)
    }

    /// Returns the needed step because of which this one cannot run.
    #[must_use]
    pub fn blocker(&self) -> Option<StepIndex> {
        self.blocker
    }

    /// Says whether what `trigger` asks of the needed steps does not hold, now that all of them are over.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        // `finally` runs whatever happened.
        !self.brief.finally
            && self.blocker.is_some()
            && match self.brief.trigger {
                Trigger::AllSucceeded => true,
                Trigger::AllDone => false,
                Trigger::AnySucceeded => !self.any_good,
            }
    }

    /// Says whether it has begun: an attempt of it was made, or it is a part of what has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.fallback > 0 || self.failed_attempts > 0 || self.item_of.is_some()
    }

    /// Returns the number of its next submit: the same one while it is sent again because nothing had happened, or nothing is known.
    #[must_use]
    pub fn next_attempt(&self) -> Attempt {
        match (self.phase, self.attempt) {
            (_, None) => Attempt::FIRST,
            (Phase::Retrying | Phase::Submitting, Some(attempt)) if !self.fresh => attempt,
            (_, Some(Attempt(number))) => Attempt(number + 1),
        }
    }

    /// Says whether it holds a slot: its job runs, or may run.
    #[must_use]
    pub fn holds_slot(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Ended) || self.is_unanswered()
    }

    /// Says whether it counts for the `max_parallel` of its fan-out: it holds a slot, or what it runs may hold some.
    #[must_use]
    pub fn is_in_flight(&self) -> bool {
        self.holds_slot() || self.phase == Phase::Nested
    }

    /// Says whether a submit of it has no answer.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        self.phase == Phase::Submitting || self.is_unsettled()
    }

    /// Says whether it has to be found out whether its submit was accepted.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        self.phase == Phase::Retrying && self.unsettled
    }

    /// Returns what its job will cost, in credits; none where nobody knows.
    #[must_use]
    pub fn price(&self) -> Option<f64> {
        price(&self.brief)
    }

    /// Returns what was charged or is held back for it.
    #[must_use]
    pub fn paid(&self) -> f64 {
        self.open.total()
    }

    /// Says whether the job that it names may still run, as far as is known.
    #[must_use]
    pub fn may_run(&self) -> bool {
        self.job.as_ref().is_some_and(|job| !job.status.is_terminal())
    }

    /// Says whether something of it is under way, or must be settled on a resume.
    pub(super) fn is_under_way(&self) -> bool {
        let unknown = self.error.as_ref().is_some_and(|error| error.kind == ErrorKind::SubmitUnknown);
        match self.phase {
            Phase::Submitting | Phase::Retrying | Phase::Running | Phase::Ended | Phase::Expanded | Phase::Nested => {
                true
            }
            Phase::Over(StepStatus::Failed | StepStatus::Cancelled) => {
                self.may_run()
                    || unknown && self.job.is_none() && self.brief.workflow.is_none() && self.fan_out.is_none()
            }
            Phase::Waiting | Phase::Ready | Phase::Over(_) => false,
        }
    }

    /// Returns the steps that wait for this one.
    #[must_use]
    pub fn dependents(&self) -> &[StepIndex] {
        &self.dependents
    }

    /// Notes the local files in the inputs of a submit, beside those of earlier ones.
    pub(super) fn take_given(&mut self, given: &[GivenFile]) {
        self.given.retain(|old| !given.iter().any(|new| new.path == old.path));
        self.given.extend_from_slice(given);
    }

    /// Ends an attempt that failed, with another one to come, or what stands in for the step.
    pub(super) fn attempt_again(&mut self, due: Timestamp, fallback: Option<u32>, why: &str) {
        (self.job, self.look_at, self.leftover, self.job_error) = (None, None, false, None);
        (self.outputs, self.files) = (None, Vec::new());
        (self.started_at, self.excused, self.retries) = (None, jiff::SignedDuration::ZERO, 0);
        (self.unsettled, self.unsettled_at, self.class) = (false, None, None);
        (self.phase, self.due_at, self.fresh) = (Phase::Retrying, Some(due), true);
        self.why = Some(why.to_owned());
        if let Some(entry) = fallback {
            self.brief = Arc::new(self.written.fallen_back(entry));
            // What it ran before is another workflow.
            (self.fallback, self.failed_attempts, self.nested) = (entry, 0, None);
        } else {
            self.failed_attempts += 1;
        }
    }

    pub(super) fn own_result(&self) -> Option<StepResult> {
        let status = self.status()?;
        let succeeded = status == StepStatus::Succeeded;
        let outputs = if succeeded { self.outputs.clone() } else { None };
        Some(StepResult {
            step: self.path.id(),
            kind: self.kind(),
            status,
            node_outputs: outputs.unwrap_or_default(),
            job: self.job.clone(),
            files: self.files.clone(),
            error: self.error.clone(),
            items: None,
        })
    }
}

/// Returns a step that waits for others, and has done nothing yet.
pub(super) fn waiting(brief: Arc<StepBrief>, path: StepPath) -> StepState {
    StepState {
        path,
        written: Arc::clone(&brief),
        brief,
        frame: 0,
        item_of: None,
        item: None,
        fan_out: None,
        nested: None,
        fallback: 0,
        failed_attempts: 0,
        fresh: false,
        sent: None,
        ended: None,
        began_at: None,
        phase: Phase::Waiting,
        attempt: None,
        started_at: None,
        intended_at: None,
        excused: jiff::SignedDuration::ZERO,
        due_at: None,
        unsettled: false,
        why: None,
        unsettled_at: None,
        class: None,
        server_at: None,
        leftover: false,
        retries: 0,
        ended_at: None,
        job: None,
        look_at: None,
        job_error: None,
        outputs: None,
        files: Vec::new(),
        given: Vec::new(),
        error: None,
        handled: false,
        cached: false,
        skipped: None,
        open: Open::default(),
        unmet: 0,
        blocker: None,
        any_good: false,
        held: false,
        again: false,
        gone: false,
        dependents: Vec::new(),
    }
}
