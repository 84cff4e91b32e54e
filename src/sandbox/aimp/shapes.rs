//! The JSON of a run. Pure: a job and the effects of the fault script in, a value out.
//!
//! The documents show no body of a run at all. The plain form has what a reader would look for; every other form that a client must
//! bear is a [`Variant`] of it.

use serde_json::{Map, Value, json};

use super::super::{
    emulator::{Content, Reply},
    faults::{Effects, Variant},
    jobs::Job,
    media,
};
use crate::job::JobState;

/// The currency of every wallet.
pub(super) const CURRENCY: &str = "USD";

/// Returns an amount of money as the API writes it.
pub(super) fn money(amount: f64) -> String {
    format!("{amount:.4}")
}

/// Answers with a run that has ended: its JSON, or its text or bytes alone.
pub(super) fn ended(job: &Job, origin: &str, effects: &Effects) -> Reply {
    let status = if effects.has(Variant::Created) { 201 } else { 200 };
    if job.state == JobState::Completed && !job.fate.silent {
        let node = &job.product.nodes[0];
        match job.beside.get("answer").and_then(Value::as_str) {
            Some("text") => {
                let text = job.beside.get("output").and_then(Value::as_str).unwrap_or_default();
                let body = Content::File { content_type: "text/plain; charset=utf-8".into(), bytes: text.into() };
                return Reply { status, headers: Vec::new(), body };
            }
            Some("bytes") => {
                if let Some((content_type, bytes)) = media::file(job, &node.id, &media::file_name(node, 0)) {
                    let body = Content::File { content_type: content_type.into(), bytes };
                    return Reply { status, headers: Vec::new(), body };
                }
            }
            _ => {}
        }
        if effects.has(Variant::WholeBody) {
            return Reply::json(status, output(job, origin));
        }
    }
    Reply::json(status, run(job, origin, effects))
}

/// Returns a run.
pub(super) fn run(job: &Job, origin: &str, effects: &Effects) -> Value {
    let mut run = identity(job, effects);
    let said = |key: &str| job.beside.get(key).cloned().unwrap_or(Value::Null);
    run.insert("model".to_owned(), json!(job.target().id));
    run.insert("mode".to_owned(), said("mode"));
    status(job, effects, &mut run);
    match job.state {
        JobState::Completed => place(output(job, origin), effects, &mut run),
        JobState::Failed => {
            run.insert("error".to_owned(), failure(job.error.as_deref().unwrap_or("Runtime failure"), effects));
        }
        _ => {}
    }
    if job.state.is_terminal() {
        cost(if job.refunded { 0.0 } else { job.credits }, effects, &mut run);
    }
    run.insert("created_at".to_owned(), json!(job.created_at.to_string()));
    if let Some(ended_at) = job.ended_at {
        run.insert("completed_at".to_owned(), json!(ended_at.to_string()));
    }
    Value::Object(run)
}

/// Answers with a run that goes on: 202, and where to look.
pub(super) fn accepted(job: &Job, origin: &str, effects: &Effects) -> Reply {
    let link = format!("/api/runs/{}/status", job.id);
    let mut body = if effects.has(Variant::Minimal202) {
        identity(job, effects)
    } else {
        match run(job, origin, effects) {
            Value::Object(run) => run,
            _ => unreachable!("a run is an object"),
        }
    };
    if effects.has(Variant::LinksSelf) {
        body.insert("links".to_owned(), json!({"self": link}));
    }
    if effects.has(Variant::StatusUrl) {
        body.insert("status_url".to_owned(), json!(format!("{origin}{link}")));
    }
    if effects.has(Variant::ForeignStatusUrl) {
        body.insert("status_url".to_owned(), json!(format!("{}{link}", foreign(origin))));
    }
    let mut reply = Reply::json(202, Value::Object(body));
    if effects.has(Variant::Empty202) {
        reply.body = Content::Nothing;
    }
    if effects.has(Variant::LocationHeader) || effects.has(Variant::Empty202) {
        reply.headers.push(("Location", link));
    }
    reply
}

/// Answers a look at a run.
pub(super) fn looked(job: &Job, origin: &str, effects: &Effects) -> Reply {
    if job.state.is_terminal() {
        return ended(job, origin, effects);
    }
    Reply::json(if effects.has(Variant::Looks202) { 202 } else { 200 }, run(job, origin, effects))
}

/// Returns this emulator's origin under another name: another origin, whose requests it logs all the same.
pub(super) fn foreign(origin: &str) -> String {
    origin.replace("127.0.0.1", "localhost")
}

fn identity(job: &Job, effects: &Effects) -> Map<String, Value> {
    let id = json!(job.id);
    let pairs = if effects.has(Variant::NoId) {
        vec![]
    } else if effects.has(Variant::RunIdOnly) {
        vec![("run_id", id)]
    } else if effects.has(Variant::CamelRunId) {
        vec![("runId", id)]
    } else if effects.has(Variant::DataId) {
        vec![("data", json!({"id": id}))]
    } else {
        vec![("id", id.clone()), ("run_id", id)]
    };
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn status(job: &Job, effects: &Effects, run: &mut Map<String, Value>) {
    // Without any status a run counts as completed, so one that is not must have one.
    if effects.has(Variant::NoStatus) && job.state == JobState::Completed {
        return;
    }
    let [running, completed, failed] = if effects.has(Variant::Synonyms) {
        ["in_progress", "succeeded", "error"]
    } else {
        ["running", "completed", "failed"]
    };
    let word = match &job.state {
        JobState::Pending => "queued",
        JobState::Completed => completed,
        JobState::Failed => failed,
        JobState::Cancelled => "cancelled",
        _ => running,
    };
    let told = effects.word.as_deref().or(job.fate.word.as_deref().filter(|_| !job.state.is_terminal()));
    let key = if effects.has(Variant::StateKey) { "state" } else { "status" };
    run.insert(key.to_owned(), json!(told.unwrap_or(word)));
}

fn output(job: &Job, origin: &str) -> Value {
    if job.fate.silent {
        return Value::Null;
    }
    let node = &job.product.nodes[0];
    if job.beside.get("answer").and_then(Value::as_str) != Some("file") {
        return job.beside.get("output").cloned().unwrap_or(Value::Null);
    }
    let name = media::file_name(node, 0);
    let content_type = media::file(job, &node.id, &name).map(|(content_type, _)| content_type);
    let url = media::url(origin, job, node, 0);
    let word = super::super::catalog::word(node.gives);
    json!({word: {"url": url, "content_type": content_type}})
}

/// Puts the output where the script wants it.
fn place(output: Value, effects: &Effects, run: &mut Map<String, Value>) {
    let mut data = |key: &str, output: Value| {
        let data = run.entry("data").or_insert_with(|| json!({}));
        data[key] = output;
    };
    let key = if effects.has(Variant::DataOutput) {
        return data("output", output);
    } else if effects.has(Variant::DataResult) {
        return data("result", output);
    } else if effects.has(Variant::OutputsKey) {
        "outputs"
    } else if effects.has(Variant::ResultKey) {
        "result"
    } else if effects.has(Variant::ResultsKey) {
        "results"
    } else if effects.has(Variant::DataKey) {
        "data"
    } else {
        "output"
    };
    run.insert(key.to_owned(), output);
}

fn failure(message: &str, effects: &Effects) -> Value {
    if effects.has(Variant::FailureText) {
        json!(message)
    } else if effects.has(Variant::FailureDetail) {
        json!({"detail": message})
    } else {
        json!({"code": "runtime_failure", "message": message})
    }
}

fn cost(amount: f64, effects: &Effects, run: &mut Map<String, Value>) {
    let text = money(amount);
    let (key, value) = if effects.has(Variant::NoCost) {
        return;
    } else if effects.has(Variant::CostOnTop) {
        ("cost", json!(text))
    } else if effects.has(Variant::CostInBilling) {
        ("billing", json!({"cost": text, "currency": CURRENCY}))
    } else if effects.has(Variant::MoneyAsNumber) {
        ("usage", json!({"cost": amount, "currency": CURRENCY}))
    } else {
        ("usage", json!({"cost": text, "currency": CURRENCY}))
    };
    run.insert(key.to_owned(), value);
}
