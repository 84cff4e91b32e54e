//! Reading AIRMY's answers: runs of agents and pipelines in all their forms, and what a conflict says. Pure functions.
//!
//! The documents show one run, completed. So one reader takes what every answer may call a run (the answer to a submit, one look,
//! a list's item, the body of a conflict). Nothing here fails: what is missing stays empty, what is odd becomes a warning of the
//! status, and the caller decides whether that is enough.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::{
    job::{JobHandle, JobState, JobStatus, Target, TargetKind},
    provider::{
        RecentJob,
        http::{bounded, of_json, one_line},
        json::{count, id, present, time},
        status::{self, StatusWords},
    },
};

/// Where an answer may wrap a run.
const WRAPPERS: [&str; 3] = ["run", "pipeline_run", "data"];

/// What a run's id may be called where the answer is not the run itself.
const RUN_IDS: [&str; 4] = ["run_id", "runId", "pipeline_run_id", "existing_run_id"];

/// The names of lists of runs.
pub(super) const RUN_LISTS: [&str; 3] = ["data", "items", "runs"];

/// No API pages by fewer; a shorter list that says nothing of pages is whole.
const SHORTEST_FULL_PAGE: usize = 10;

/// A run as an answer shows it.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) id: Option<JobHandle>,
    pub(super) status: JobStatus,
    pub(super) target: Option<Target>,
    pub(super) inputs: Option<Value>,
}

/// Reads a run. An `id` that is the target's own is not the run's.
pub(super) fn run(answer: &Value, words: &StatusWords, target: Option<&Target>) -> Seen {
    let run = record(answer);
    let mut warnings = Vec::new();
    let output = present(run, &["output"]);
    let state = match present(run, &["status"]) {
        Some(Value::String(word)) => words.state(word),
        Some(odd) => JobState::Unknown(bounded(one_line(&odd.to_string()))),
        None if output.is_some() => JobState::Completed,
        None => JobState::Processing,
    };
    warnings.extend(status::warning(&state));
    let created_at = time(run, &["created_at"], &mut warnings);
    let completed_at = time(run, &["completed_at", "finished_at", "ended_at"], &mut warnings);
    let node_outputs = match output {
        Some(output) if state == JobState::Completed => Map::from_iter([(String::new(), output.clone())]),
        _ => Map::new(),
    };
    let is_lost = matches!(state, JobState::Failed | JobState::Cancelled);
    let status = JobStatus {
        node_outputs,
        error: if is_lost { reason(run) } else { None },
        tokens_used: present(run, &["tokens_used"]).and_then(count),
        latency_ms: present(run, &["latency_ms"]).and_then(count),
        created_at,
        completed_at,
        warnings,
        ..JobStatus::of(state)
    };
    Seen { id: run_id(answer, target), status, target: ran(run), inputs: present(run, &["input"]).cloned() }
}

/// Returns the part of an answer that is the run: the whole, unless it is wrapped.
fn record(answer: &Value) -> &Value {
    if present(answer, &["status", "output"]).is_some() {
        return answer;
    }
    present(answer, &WRAPPERS).filter(|inner| inner.is_object()).unwrap_or(answer)
}

/// Returns the id of the run: `id`, `run_id`, `pipeline_run_id`, `run.id`.
fn run_id(answer: &Value, target: Option<&Target>) -> Option<JobHandle> {
    let own = |id: &String| target.is_none_or(|target| target.id != *id);
    let named = |value: &Value| {
        let plain = value.get("id").and_then(id).filter(own);
        plain.or_else(|| RUN_IDS.iter().find_map(|key| value.get(*key).and_then(id)))
    };
    let wrapped = || WRAPPERS.iter().filter_map(|key| answer.get(*key)).find_map(named);
    named(answer).or_else(wrapped).map(JobHandle)
}

/// Returns why a run failed, in the documents' likely places.
fn reason(run: &Value) -> Option<String> {
    let at = |keys: &[&str]| present(run, keys).and_then(of_json);
    let said = ["error", "error_message", "failure_reason", "message"].iter().find_map(|key| at(&[*key]));
    let said = said.or_else(|| run.get("output")?.get("error").and_then(of_json))?;
    Some(bounded(one_line(said))).filter(|said| !said.is_empty())
}

/// Returns what a run ran, where it says so.
fn ran(run: &Value) -> Option<Target> {
    let named = |key: &str, kind| present(run, &[key]).and_then(id).map(|id| Target { kind, id });
    named("pipeline_id", TargetKind::Pipeline).or_else(|| named("agent_id", TargetKind::Agent))
}

/// Returns the run that a conflict (409) is about: the run itself, or its id. What names another target is not it.
pub(super) fn conflicting(body: &Value, words: &StatusWords, target: &Target) -> Option<(JobHandle, JobStatus)> {
    let places = [Some(body), body.get("error"), body.get("details"), body.get("error").and_then(|e| e.get("details"))];
    for place in places.into_iter().flatten() {
        let wrapped = WRAPPERS.iter().filter_map(|key| place.get(*key)).find(|inner| inner.is_object());
        for (value, is_wrapped) in [(wrapped, true), (Some(place), false)] {
            let Some(value) = value else { continue };
            let seen = run(value, words, Some(target));
            if seen.target.as_ref().is_some_and(|other| other != target) {
                return None;
            }
            // An error's own `id` is not a run's: without a wrapper, the whole must look like a run.
            let is_run = is_wrapped || seen.target.is_some() || looks_like_a_run(value);
            if let Some(job) = seen.id.filter(|_| is_run) {
                return Some((job, seen.status));
            }
        }
        if let Some(id) = RUN_IDS.iter().find_map(|key| place.get(*key).and_then(id)) {
            return Some((JobHandle(id), JobStatus::of(JobState::Processing)));
        }
    }
    None
}

fn looks_like_a_run(value: &Value) -> bool {
    let says_error = ["error", "errors", "message", "detail", "title"].iter().any(|key| value.get(*key).is_some());
    value.get("status").is_some_and(Value::is_string) && !says_error
}

/// Says whether a refusal is about the idempotency key.
pub(super) fn names_idempotency(body: &Value) -> bool {
    body.to_string().to_ascii_lowercase().contains("idempoten")
}

/// What was read of a list of runs, page by page.
#[derive(Debug)]
pub(super) struct Runs {
    since: Timestamp,
    /// The runs created since then, or at nobody knows what time.
    jobs: Vec<RecentJob>,
    items: usize,
    /// Whether every item has an id and a time, none newer than the one before it.
    is_descending: bool,
    oldest: Option<Timestamp>,
}

impl Runs {
    /// Begins to read.
    pub(super) fn since(since: Timestamp) -> Self {
        Self { since, jobs: Vec::new(), items: 0, is_descending: true, oldest: None }
    }

    /// Takes a page, and says whether the next one is wanted: not where the newest come first and all that is newer was seen.
    pub(super) fn take(&mut self, items: &[Value], words: &StatusWords, target: Option<&Target>) -> bool {
        for item in items {
            self.items += 1;
            let seen = run(item, words, target);
            let created = seen.status.created_at;
            let follows = created.is_some_and(|created| self.oldest.is_none_or(|oldest| created <= oldest));
            self.is_descending &= follows && seen.id.is_some();
            self.oldest = created.or(self.oldest);
            if created.is_some_and(|created| created < self.since) {
                continue;
            }
            if let Some(job) = seen.id {
                let target = seen.target.or_else(|| target.cloned());
                self.jobs.push(RecentJob { job, status: seen.status, target, inputs: seen.inputs });
            }
        }
        !self.reaches()
    }

    fn reaches(&self) -> bool {
        self.is_descending && self.oldest.is_some_and(|oldest| oldest < self.since)
    }

    /// Returns the runs, and whether they surely are all: by the list's own word, by their order, or because they are so few.
    pub(super) fn finish(self, whole: Option<bool>) -> (Vec<RecentJob>, bool) {
        let few = whole.is_none() && self.items < SHORTEST_FULL_PAGE;
        let complete = whole == Some(true) || few || self.reaches();
        (self.jobs, complete)
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
