//! What a person says of submits of which nobody could tell: judged before anything is sent or recorded, then recorded.

use std::collections::BTreeSet;

use super::{Driver, RunError, execution::Execution};
use crate::{
    id::{Attempt, StepPath},
    job::{FaultKind, Job, JobHandle, JobState, TargetKind},
    journal::{
        event::{Event, SettledBy},
        state::{RunState, StepState},
    },
    plan::Work,
    result::ErrorKind,
};

/// What a person says of a submit of which nobody could tell whether it was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The step.
    pub step: StepPath,
    /// The job that it became; none where it did not arrive, and is to be sent again.
    pub job: Option<JobHandle>,
}

/// Why a verdict does not fit the run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerdictError {
    /// The run has no such step, or has not come to it.
    #[error("the run has sent nothing for a step `{0}`")]
    Unsent(StepPath),
    /// The step consists of others.
    #[error("step `{0}` has no submit of its own: its parts have")]
    Whole(StepPath),
    /// The step needs no verdict.
    #[error("step `{0}` waits for no verdict: whether its submit was accepted is known")]
    Known(StepPath),
    /// The step is a request of its own, which has no job.
    #[error("step `{0}` is an HTTP request, which no API lists: there is no job to adopt")]
    Request(StepPath),
    /// There are two verdicts on one step.
    #[error("two things are said of the submit of step `{0}`")]
    Twice(StepPath),
    /// Two steps are to have one job.
    #[error("the job {job} cannot be adopted for step `{step}` and for another one")]
    Shared {
        /// One of the steps.
        step: StepPath,
        /// The job.
        job: JobHandle,
    },
    /// The API does not know the job.
    #[error("`{provider}` knows no job {job}, which was to be adopted for step `{step}`")]
    NoJob {
        /// The step.
        step: StepPath,
        /// The job.
        job: JobHandle,
        /// The provider.
        provider: String,
    },
    /// The job belongs to another submit.
    #[error("the job {job} belongs to another submit, and cannot be adopted for step `{step}`")]
    Claimed {
        /// The step.
        step: StepPath,
        /// The job.
        job: JobHandle,
    },
}

/// Refuses verdicts on what needs none, and those that contradict each other.
pub(super) fn judge(state: &RunState, verdicts: &[Verdict]) -> Result<(), VerdictError> {
    let (mut steps, mut jobs) = (BTreeSet::new(), BTreeSet::new());
    for Verdict { step: path, job } in verdicts {
        let step = state.position(path).map(|ix| state.step(ix)).ok_or_else(|| VerdictError::Unsent(path.clone()))?;
        // The error of a whole says what became of its parts.
        if step.fan_out.is_some() || step.nested.is_some() {
            return Err(VerdictError::Whole(path.clone()));
        }
        if !is_unknown(step) {
            return Err(VerdictError::Known(path.clone()));
        }
        if job.is_some() && step.kind() == Some(TargetKind::Http) {
            return Err(VerdictError::Request(path.clone()));
        }
        if !steps.insert(path) {
            return Err(VerdictError::Twice(path.clone()));
        }
        if let Some(job) = job.as_ref().filter(|job| !jobs.insert((&step.brief.provider, &job.0))) {
            return Err(VerdictError::Shared { step: path.clone(), job: job.clone() });
        }
    }
    Ok(())
}

fn is_unknown(step: &StepState) -> bool {
    step.is_unanswered() || step.error.as_ref().is_some_and(|error| error.kind == ErrorKind::SubmitUnknown)
}

impl Execution {
    /// Looks whether the jobs are there that a person names, where the API can tell: a misspelt one would end as vanished.
    pub(super) async fn find_adopted(&self, state: &RunState, verdicts: &[Verdict]) -> Result<(), VerdictError> {
        for verdict in verdicts {
            let Some(job) = &verdict.job else { continue };
            let fallback = state.position(&verdict.step).map_or(0, |ix| state.step(ix).fallback as usize);
            let work = self.plan.work_at(&verdict.step, fallback);
            let Some(Work::Run { provider, contract, .. }) = work else { continue };
            let Some(api) = self.providers.get(provider).filter(|api| api.promises().blind.is_none()) else { continue };
            let asked = Job { id: job.clone(), target: contract.contract().target.clone(), look_at: None };
            let answer = api.look(std::slice::from_ref(&asked)).await;
            let is_missing = match answer.result {
                Ok(found) => found.is_empty(),
                Err(fault) => matches!(fault.kind, FaultKind::NotFound | FaultKind::Rejected),
            };
            if is_missing {
                return Err(VerdictError::NoJob {
                    step: verdict.step.clone(),
                    job: job.clone(),
                    provider: provider.clone(),
                });
            }
        }
        Ok(())
    }
}

impl Driver {
    /// Refuses a verdict that names a job of another submit.
    pub(super) fn judge_claims(&self, verdicts: &[Verdict]) -> Result<(), RunError> {
        for verdict in verdicts {
            let (Some(job), Some(ix)) = (&verdict.job, self.state.position(&verdict.step)) else { continue };
            let own = self.claimant(ix);
            let claimant = self.journal.claimant(self.lane_of(ix).provider.base_url(), job)?;
            if claimant.is_some_and(|claimant| claimant != own) {
                return Err(VerdictError::Claimed { step: verdict.step.clone(), job: job.clone() }.into());
            }
        }
        Ok(())
    }

    /// Records what people said of submits.
    pub(super) fn settle_by(&mut self, verdicts: &[Verdict]) {
        for verdict in verdicts {
            let Some(ix) = self.state.position(&verdict.step) else { continue };
            let Some(job) = &verdict.job else {
                self.record_settled(ix, SettledBy::Resubmitted);
                continue;
            };
            self.record_settled(ix, SettledBy::Adopted);
            let (step, attempt) = (self.path(ix), self.state.step(ix).attempt.unwrap_or(Attempt::FIRST));
            self.record(Event::Submitted {
                step,
                attempt,
                job: job.clone(),
                state: JobState::Processing,
                credits_charged: None,
                look_at: None,
            });
        }
    }
}
