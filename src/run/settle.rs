//! Settling: whether a submit whose answer is lost was accepted, by what the API lists. Pure; the looks are made in `attempt`.
//!
//! ```text
//! lost ─▶ class still under way? wait ─▶ look at the list, three times over the grace
//!            one that fits ─▶ claimed      none, and the list reaches back ─▶ not accepted: sent again
//!            more than intents, or an API that cannot tell ─▶ submit_unknown
//! ```
//!
//! A job fits when it runs the same target, echoes every key that was sent with an equal value, was made after the intent by the API's own
//! clock, and is claimed by no other submit. Equal submits cannot be told apart and need not be: their jobs are claimed by count. Several
//! are claimed only when the grace has passed, since one that is listed late would else count as missing, and only where the list reaches back
//! to the intent: what it does not show may be this one's job, and what it shows another's. More jobs than intents means that somebody
//! else submits the same: nothing is guessed then.
//!
//! That an accepted job is listed within the grace is an assumption that no document confirms; `settle: ask` refuses to make it.

use std::{collections::HashSet, time::Duration};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{
    id::Digest,
    job::{JobHandle, Submitted, Target},
    provider::{Recent, RecentJob},
};

/// How long an API may take to list a job that it accepted, unless the account says otherwise (LANGUAGE.md, section 8).
pub const GRACE: Duration = Duration::from_secs(10);

/// How many looks must have shown a list without the job, and when each comes, as parts of the grace.
pub const LOOKS: [f64; 3] = [0.1, 0.4, 1.0];

/// The most submits of an API that lists jobs that are unanswered at a time, so that a list of 100 reaches back to all of them.
pub const MOST_UNANSWERED: usize = 50;

/// What keeps a run from paying twice, for the simulator to take away: each of these is needed, and a run without it is shown to go
/// wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Nothing of a class leaves while one of it is unsettled.
    pub fence: bool,
    /// Jobs are claimed by count: never while there are more of them than intents, and several only when the grace has passed.
    pub by_count: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { fence: true, by_count: true }
    }
}

/// A submit whose answer is lost.
#[derive(Clone, Debug, PartialEq)]
pub struct Lost {
    /// What was to run.
    pub target: Target,
    /// The inputs as they are written down: of a secret its digest, of a local file its URL without the signature.
    pub inputs: Map<String, Value>,
    /// Jobs made before are others.
    pub since: Timestamp,
}

/// Returns the class of a submit: what the API could not tell from it. Secrets are redacted in what an API echoes, so that submits that
/// differ in a secret alone are of one class.
#[must_use]
pub fn class(base_url: &str, target: &Target, inputs: &Map<String, Value>) -> Digest {
    let mut shown: Vec<(&String, Value)> = inputs
        .iter()
        .map(|(key, value)| (key, if is_secret(value) { json!("$secret") } else { value.clone() }))
        .collect();
    shown.sort_by_key(|(key, _)| *key);
    let text = serde_json::to_vec(&(base_url, target, shown)).expect("these are plain data");
    Digest::of(&text)
}

/// Whose a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// No submit has claimed it.
    Nobody,
    /// The submit that is looked for has.
    This,
    /// Another submit has.
    Another,
}

/// What a list says of a lost submit.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// It was accepted as this job, which it has claimed before.
    Own(Box<Submitted>),
    /// It was accepted as this job, or an equal one was.
    One(Box<Submitted>),
    /// It does not show it.
    None,
    /// It cannot be told: there are more such jobs than submits, or jobs that do not say what they run. One of these may be it.
    Open(Vec<JobHandle>),
}

/// Looks for a lost submit among recent jobs. `intents` is how many submits of its class are open, over all runs, this one included;
/// `owner` says whose a job is.
#[must_use]
pub fn find(lost: &Lost, intents: usize, recent: &Recent, mut owner: impl FnMut(&JobHandle) -> Owner) -> Found {
    let mut seen = HashSet::new();
    let (mut fitting, mut unclear) = (Vec::new(), Vec::new());
    for job in &recent.jobs {
        // Pages that overlap show a job twice.
        if !seen.insert(&job.job) {
            continue;
        }
        match owner(&job.job) {
            Owner::Another => continue,
            // It was found before a crash that lost the record of it. With another one it would own two, and somebody would miss one.
            Owner::This => return Found::Own(Box::new(accepted(job))),
            Owner::Nobody => {}
        }
        match fits(lost, job) {
            Some(true) => fitting.push(job),
            None => unclear.push(job.job.clone()),
            Some(false) => {}
        }
    }
    fitting.sort_by(|a, b| (a.status.created_at, &a.job).cmp(&(b.status.created_at, &b.job)));
    match fitting.first() {
        Some(_) if fitting.len() > intents => {
            Found::Open(fitting.into_iter().map(|job| job.job.clone()).chain(unclear).collect())
        }
        Some(job) => Found::One(Box::new(accepted(job))),
        None if unclear.is_empty() => Found::None,
        None => Found::Open(unclear),
    }
}

fn accepted(job: &RecentJob) -> Submitted {
    Submitted { job: job.job.clone(), status: job.status.clone(), look_at: None }
}

/// Says whether a job fits; none where it does not say enough.
fn fits(lost: &Lost, job: &RecentJob) -> Option<bool> {
    let is_older = job.status.created_at.is_some_and(|created| created < lost.since);
    let is_other = job.target.as_ref().is_some_and(|target| *target != lost.target);
    if is_older || is_other {
        return Some(false);
    }
    let echo =
        job.inputs.as_ref().and_then(Value::as_object).filter(|echo| !echo.is_empty() || lost.inputs.is_empty())?;
    if !lost.inputs.iter().all(|(key, value)| echo.get(key).is_some_and(|shown| is_equal(value, shown))) {
        return Some(false);
    }
    job.status.created_at.map(|_| true)
}

/// Says whether a value as it is written down may be the one that an API echoes.
fn is_equal(written: &Value, shown: &Value) -> bool {
    match (written, shown) {
        _ if is_secret(written) => true,
        // The signature of a file's URL is not written down.
        (Value::String(written), Value::String(shown)) => {
            written == shown
                || (written.contains("://") && shown.split_once('?').is_some_and(|(bare, _)| bare == written))
        }
        (Value::Array(written), Value::Array(shown)) => {
            written.len() == shown.len() && written.iter().zip(shown).all(|(written, shown)| is_equal(written, shown))
        }
        (Value::Object(written), Value::Object(shown)) => {
            written.len() == shown.len()
                && written.iter().all(|(key, value)| shown.get(key).is_some_and(|shown| is_equal(value, shown)))
        }
        (Value::Number(written), Value::Number(shown)) => written.as_f64() == shown.as_f64(),
        (written, shown) => written == shown,
    }
}

fn is_secret(value: &Value) -> bool {
    value.as_object().is_some_and(|map| map.len() == 1 && map.contains_key("$secret"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{JobState, JobStatus, TargetKind};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).expect("a timestamp")
    }

    fn job(id: &str, created: i64, inputs: Option<Value>) -> RecentJob {
        let status = JobStatus { created_at: Some(at(created)), ..JobStatus::of(JobState::Processing) };
        RecentJob { job: JobHandle(id.to_owned()), status, target: None, inputs }
    }

    fn lost(inputs: &Value) -> Lost {
        let target = Target { kind: TargetKind::Model, id: "m".to_owned() };
        Lost { target, inputs: inputs.as_object().expect("a map").clone(), since: at(0) }
    }

    fn look(intents: usize, jobs: Vec<RecentJob>, claimed: &[&str]) -> Result<String, Vec<String>> {
        let recent = Recent { jobs, complete: true };
        let lost = lost(&json!({"query": "Q1"}));
        let owner = |job: &JobHandle| match job.0.as_str() {
            job if claimed.contains(&job) => Owner::Another,
            "own" => Owner::This,
            _ => Owner::Nobody,
        };
        match find(&lost, intents, &recent, owner) {
            Found::Own(submitted) | Found::One(submitted) => Ok(submitted.job.0),
            Found::None => Err(Vec::new()),
            Found::Open(jobs) => Err(jobs.into_iter().map(|job| job.0).collect()),
        }
    }

    #[test]
    fn the_only_new_job_that_echoes_what_was_sent_is_the_lost_one() {
        let own = || Some(json!({"query": "Q1", "region": "default"}));
        assert_eq!(
            look(1, vec![job("a", 1, own()), job("b", -10, own()), job("c", 2, Some(json!({"query": "Q2"})))], &[]),
            Ok("a".to_owned())
        );
        // A job of another submit is none of ours.
        assert_eq!(look(1, vec![job("a", 1, own()), job("d", 2, own())], &["d"]), Ok("a".to_owned()));
        // Shown twice, it is one job all the same.
        assert_eq!(look(1, vec![job("a", 1, own()), job("a", 1, own())], &[]), Ok("a".to_owned()));
        // One that does not say what it was sent settles nothing.
        assert_eq!(look(1, vec![job("e", 1, None)], &[]), Err(vec!["e".to_owned()]));
        assert_eq!(look(1, vec![job("e", 1, Some(json!({})))], &[]), Err(vec!["e".to_owned()]));
        assert_eq!(look(1, Vec::new(), &[]), Err(Vec::new()));
    }

    #[test]
    fn equal_submits_claim_equal_jobs_by_count() {
        let own = || Some(json!({"query": "Q1"}));
        let two = || vec![job("late", 2, own()), job("early", 1, own())];
        assert_eq!(
            look(1, two(), &[]),
            Err(vec!["early".to_owned(), "late".to_owned()]),
            "somebody else's is among them"
        );
        assert_eq!(look(2, two(), &[]), Ok("early".to_owned()));
        assert_eq!(look(2, two(), &["early"]), Ok("late".to_owned()));
        assert_eq!(look(2, two(), &["early", "late"]), Err(Vec::new()));
        // What it claimed before a crash it keeps, whatever else is there.
        let three = || two().into_iter().chain([job("own", 3, own())]).collect();
        assert_eq!(look(1, three(), &[]), Ok("own".to_owned()));
    }

    #[test]
    fn what_is_written_down_is_compared_with_what_is_echoed() {
        let written = json!({"key": {"$secret": "d"}, "image": ["https://s.example.com/a.png"], "n": 2, "o": {"a": 1}});
        let echoes = [
            (
                json!({"key": "****", "image": ["https://s.example.com/a.png?sig=x"], "n": 2.0, "o": {"a": 1}, "more": 1}),
                true,
            ),
            (json!({"image": ["https://s.example.com/a.png"], "n": 2, "o": {"a": 1}}), false),
            (json!({"key": "k", "image": ["https://s.example.com/b.png?sig=x"], "n": 2, "o": {"a": 1}}), false),
            (json!({"key": "k", "image": ["https://s.example.com/a.png"], "n": 2, "o": {"a": 1, "b": 2}}), false),
        ];
        for (echo, expected) in echoes {
            let recent = Recent { jobs: vec![job("a", 1, Some(echo.clone()))], complete: true };
            let found = find(&lost(&written), 1, &recent, |_| Owner::Nobody);
            assert_eq!(matches!(found, Found::One(_)), expected, "{echo}");
        }
    }

    #[test]
    fn a_class_is_what_the_api_cannot_tell_apart() {
        let target = Target { kind: TargetKind::Model, id: "m".to_owned() };
        let of = |inputs: Value| class("u", &target, inputs.as_object().expect("a map"));
        assert_eq!(of(json!({"a": 1, "b": 2})), of(json!({"b": 2, "a": 1})));
        assert_eq!(of(json!({"a": {"$secret": "1"}})), of(json!({"a": {"$secret": "2"}})));
        assert_ne!(of(json!({"a": 1})), of(json!({"a": 2})));
        assert_ne!(of(json!({"a": 1})), class("v", &target, json!({"a": 1}).as_object().expect("a map")));
    }
}
