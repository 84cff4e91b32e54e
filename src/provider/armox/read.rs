//! Reading Armox's answers: jobs in all their forms, lists, the account. Pure functions.
//!
//! A job is shown by six answers (a finished run, an accepted run, one look, a list, a cancel, a webhook), whose documents name
//! the same things differently; one reader takes them all. Nothing here fails: what is missing stays empty, what is odd becomes a
//! warning of the status, and the caller decides whether that is enough.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::{
    job::{JobHandle, JobState, JobStatus, Target, TargetKind},
    provider::{
        Account, Cancelled, Recent, RecentJob,
        http::{bounded, of_json, one_line},
        json::{self, number, present},
        status,
    },
};

/// Keys of an app's output that say which app it was, beside its nodes.
const APP_KEYS: [&str; 3] = ["app_id", "app_name", "node_outputs"];

/// A job as an answer shows it.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) id: Option<JobHandle>,
    pub(super) status: JobStatus,
    pub(super) target: Option<Target>,
    pub(super) inputs: Option<Value>,
}

/// Reads a job; where it names no status, it is `assumed`.
pub(super) fn job(value: &Value, assumed: &JobState) -> Seen {
    let mut warnings = Vec::new();
    let state = match present(value, &["status"]).and_then(Value::as_str) {
        Some(word) => state(word),
        None => assumed.clone(),
    };
    warnings.extend(status::warning(&state));
    let created_at = json::time(value, &["created_at"], &mut warnings);
    let completed_at = json::time(value, &["completed_at"], &mut warnings);
    let node_outputs = if state == JobState::Completed { node_outputs(value) } else { Map::new() };
    let error = present(value, &["error_message", "error"]).and_then(of_json).map(|said| bounded(one_line(said)));
    let status = JobStatus {
        node_outputs,
        error,
        credits_charged: present(value, &["credits_charged"]).and_then(number),
        tokens_used: present(value, &["tokens_used"]).and_then(Value::as_u64),
        created_at,
        completed_at,
        warnings,
        ..JobStatus::of(state)
    };
    Seen {
        id: present(value, &["id"]).and_then(json::id).map(JobHandle),
        status,
        target: target(value),
        inputs: inputs(value),
    }
}

/// Returns the state of an accepted run that names none: under way, unless it is a 200 that has its output.
pub(super) fn assumed_after_submit(http_status: u16, value: &Value) -> JobState {
    if http_status == 200 && output(value).is_some() { JobState::Completed } else { JobState::Processing }
}

/// Reads a status word; American spelling and two synonyms are taken, anything else is kept as it is.
fn state(word: &str) -> JobState {
    match word.trim().to_ascii_lowercase().as_str() {
        "pending" => JobState::Pending,
        "processing" => JobState::Processing,
        "completed" | "succeeded" => JobState::Completed,
        "failed" | "error" => JobState::Failed,
        "cancelled" | "canceled" => JobState::Cancelled,
        _ => JobState::Unknown(bounded(one_line(word))),
    }
}

/// Returns what came out: a run's answer and a webhook say `output`, a job says `output_data`.
fn output(value: &Value) -> Option<&Value> {
    present(value, &["output", "output_data"])
}

/// Returns the payloads by node; one without a name has the key `""`.
fn node_outputs(value: &Value) -> Map<String, Value> {
    let output = output(value);
    let by_node = output
        .and_then(|output| present(output, &["node_outputs"]))
        .or_else(|| present(value, &["node_outputs"]))
        .and_then(Value::as_object);
    match (by_node, output) {
        (Some(nodes), _) => nodes.clone(),
        (None, None) => Map::new(),
        // An app without outputs still says which app it was.
        (None, Some(Value::Object(map)))
            if map.keys().all(|key| APP_KEYS.contains(&key.as_str())) && !map.is_empty() =>
        {
            Map::new()
        }
        (None, Some(payload)) => Map::from_iter([(String::new(), payload.clone())]),
    }
}

/// Returns what a job ran, where it says so.
fn target(value: &Value) -> Option<Target> {
    let app = || present(value, &["app_id"]).and_then(Value::as_str);
    let model = || present(value, &["model_id", "model"]).and_then(Value::as_str);
    let (kind, id) = match present(value, &["run_type"]).and_then(Value::as_str) {
        Some("app") => (TargetKind::App, app()?),
        Some("model") => (TargetKind::Model, model()?),
        _ => app().map(|id| (TargetKind::App, id)).or_else(|| Some((TargetKind::Model, model()?)))?,
    };
    Some(Target { kind, id: id.to_owned() })
}

/// Returns what a job echoes of its inputs, without the envelope that they were sent in.
fn inputs(value: &Value) -> Option<Value> {
    let sent = present(value, &["input_data"])?;
    Some(present(sent, &["input", "inputs"]).unwrap_or(sent).clone())
}

/// Returns the items of a list: under `data`, or the bare array.
pub(super) fn list(value: &Value) -> Option<&[Value]> {
    json::page(value, &["data"]).map(|page| page.items)
}

/// Reads the newest jobs of the account; `limit` is how many were asked for.
pub(super) fn recent(items: &[Value], since: Timestamp, limit: usize) -> Recent {
    let seen: Vec<_> = items.iter().map(|item| job(item, &JobState::Unknown(String::new()))).collect();
    let readable = seen.iter().all(|seen| seen.id.is_some());
    // A list that is not full has all there is; a full one has the newest, in whatever order, and so everything that is newer than
    // its oldest.
    let reaches =
        items.len() < limit || seen.iter().any(|seen| seen.status.created_at.is_some_and(|created| created < since));
    let jobs = seen
        .into_iter()
        .filter_map(|seen| {
            Some(RecentJob { job: seen.id?, status: seen.status, target: seen.target, inputs: seen.inputs })
        })
        .collect();
    Recent { jobs, complete: readable && reaches }
}

/// Reads what came of a wish to cancel.
pub(super) fn cancelled(value: &Value) -> Cancelled {
    match present(value, &["status"]).and_then(Value::as_str).map(state) {
        Some(JobState::Cancelled) => Cancelled::Done,
        Some(JobState::Completed | JobState::Failed) => Cancelled::TooLate,
        None if present(value, &["cancelled_at", "canceled_at"]).is_some() => Cancelled::Done,
        _ => Cancelled::Asked,
    }
}

/// Reads the account.
pub(super) fn account(value: &Value) -> Option<Account> {
    let map = value.as_object()?;
    let mut usage = Vec::new();
    for (name, figure) in map {
        match figure {
            Value::Object(inner) if name == "usage" => usage.extend(inner.clone()),
            Value::Object(inner) => {
                usage.extend(inner.iter().map(|(key, figure)| (format!("{name}_{key}"), figure.clone())));
            }
            _ => {}
        }
    }
    Some(Account {
        credits: present(value, &["credits"]).and_then(number),
        plan: present(value, &["subscription", "plan"]).and_then(of_json).map(str::to_owned),
        usage,
    })
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
