//! Settling by a list: whether a submit whose answer was lost is among the jobs that the API shows. Pure.
//!
//! A job is the lost one when it echoes everything that was sent, was made after the intent, and belongs to no other submit. Exactly one such
//! job settles it; everything else leaves it open, since to take somebody else's job for one's own would be a guess.

use std::{collections::HashSet, time::Duration};

use jiff::Timestamp;

use crate::{
    job::{JobHandle, JobRequest, Submitted},
    provider::{Recent, RecentJob},
};

/// By how much the API's clock may be behind ours, where it does not tell its time.
pub const CLOCK_SKEW: Duration = Duration::from_mins(5);

/// When to look for a lost submit, after its connection ended: an accepted job need not be listed at once.
pub const LOOKS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(6)];

/// What a list says of a lost submit.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// It was accepted as this job.
    One(Box<Submitted>),
    /// It cannot be told; these jobs are new, and one of them may be it.
    Open(Vec<JobHandle>),
}

/// Looks for a lost submit among recent jobs. `is_claimed` says whether a job belongs to another submit.
#[must_use]
pub fn find(request: &JobRequest, recent: Recent, since: Timestamp, is_claimed: impl Fn(&JobHandle) -> bool) -> Found {
    let is_new = |job: &RecentJob| {
        job.status.created_at.is_none_or(|created| created >= since)
            && job.target.as_ref().is_none_or(|target| *target == request.target)
    };
    let mut new: Vec<_> = recent.jobs.into_iter().filter(|job| is_new(job) && !is_claimed(&job.job)).collect();
    // Pages that overlap show a job twice.
    let mut seen = HashSet::new();
    new.retain(|job| seen.insert(job.job.clone()));
    let fits = |job: &&RecentJob| {
        let dated = job.status.created_at.is_some();
        let echoed = job.inputs.as_ref().and_then(|inputs| inputs.as_object()).is_some_and(|echo| {
            !echo.is_empty() && request.inputs.iter().all(|(key, value)| echo.get(key) == Some(value))
        });
        dated && echoed
    };
    let mut fitting = new.iter().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some(job), None) => {
            Found::One(Box::new(Submitted { job: job.job.clone(), status: job.status.clone(), look_at: None }))
        }
        _ => Found::Open(new.into_iter().map(|job| job.job).collect()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::job::{JobState, JobStatus, Operation, Target, TargetKind};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).expect("a timestamp")
    }

    fn job(id: &str, created: i64, inputs: Option<Value>) -> RecentJob {
        let status = JobStatus { created_at: Some(at(created)), ..JobStatus::of(JobState::Processing) };
        RecentJob { job: JobHandle(id.to_owned()), status, target: None, inputs }
    }

    fn look(jobs: Vec<RecentJob>, claimed: &[&str]) -> Result<String, Vec<String>> {
        let request = JobRequest {
            target: Target { kind: TargetKind::Pipeline, id: "pl_1".to_owned() },
            inputs: json!({"query": "Q1"}).as_object().expect("a map").clone(),
            operation: Operation::default(),
        };
        let recent = Recent { jobs, complete: true };
        match find(&request, recent, at(0), |job| claimed.contains(&job.0.as_str())) {
            Found::One(submitted) => Ok(submitted.job.0),
            Found::Open(jobs) => Err(jobs.into_iter().map(|job| job.0).collect()),
        }
    }

    #[test]
    fn the_only_new_job_that_echoes_what_was_sent_is_the_lost_one() {
        let own = || Some(json!({"query": "Q1", "region": "default"}));
        assert_eq!(
            look(vec![job("a", 1, own()), job("b", -10, own()), job("c", 2, Some(json!({"query": "Q2"})))], &[]),
            Ok("a".to_owned())
        );
        // A job of another submit is none of ours.
        assert_eq!(look(vec![job("a", 1, own()), job("d", 2, own())], &["d"]), Ok("a".to_owned()));
        // Shown twice, it is one job all the same.
        assert_eq!(look(vec![job("a", 1, own()), job("a", 1, own())], &[]), Ok("a".to_owned()));
        // Two of them, or one that does not say what it was sent, settle nothing.
        assert_eq!(look(vec![job("a", 1, own()), job("d", 2, own())], &[]), Err(vec!["a".to_owned(), "d".to_owned()]));
        assert_eq!(look(vec![job("e", 1, None)], &[]), Err(vec!["e".to_owned()]));
        assert_eq!(look(vec![job("e", 1, Some(json!({})))], &[]), Err(vec!["e".to_owned()]));
        assert_eq!(look(Vec::new(), &[]), Err(Vec::new()));
    }
}
