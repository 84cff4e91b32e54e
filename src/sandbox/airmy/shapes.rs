//! The JSON of AIRMY's answers. Pure: a run, an agent, the effects of the fault script in; a value out.
//!
//! What is not documented has the form of the API's example where there is one, and [`Variant`]s for the others.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    super::{
        emulator::Reply,
        faults::{Effects, Variant},
        jobs::Job,
        media,
    },
    offer::{Agent, Pipeline},
};
use crate::{
    contract::ValueKind,
    job::{JobState, TargetKind},
};

/// Returns an answer that says what is wrong.
pub(super) fn error(status: u16, message: &str, effects: &Effects) -> Reply {
    let name = match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        410 => "Gone",
        422 => "Unprocessable Entity",
        429 => "Rate Limited",
        _ => "Internal Error",
    };
    let body = if effects.has(Variant::ErrorText) {
        json!({"error": message})
    } else if effects.has(Variant::ErrorMessage) {
        json!({"message": message})
    } else if effects.has(Variant::ErrorInDetail) {
        json!({"detail": message})
    } else if effects.has(Variant::ErrorInTitle) {
        json!({"type": "about:blank", "title": message, "status": status})
    } else if effects.has(Variant::ErrorList) {
        json!({"errors": [{"code": status, "message": message}]})
    } else if effects.has(Variant::ErrorTexts) {
        json!({"errors": [message]})
    } else if effects.has(Variant::ErrorWithoutBody) {
        return Reply::empty(status);
    } else {
        json!({"error": {"code": status, "name": name, "message": message}})
    };
    Reply::json(status, body)
}

/// Returns the id of a request, as a header.
pub(super) fn request_id(place: usize, effects: &Effects) -> Option<(&'static str, String)> {
    if effects.has(Variant::NoRequestId) {
        return None;
    }
    let name = if effects.has(Variant::RequestId) {
        "Request-Id"
    } else if effects.has(Variant::CfRay) {
        "CF-Ray"
    } else {
        "X-Request-Id"
    };
    Some((name, format!("req_{:06}", place + 1)))
}

/// Returns a time as the documents show it.
pub(super) fn time(time: Timestamp, effects: &Effects) -> Value {
    if effects.has(Variant::BadTimes) {
        return json!("just now");
    }
    json!(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// Returns an agent. A list has it without its schema, as the documents' example does.
pub(super) fn agent(agent: &Agent, listed: bool, effects: &Effects) -> Value {
    let mut answer = json!({"id": agent.id, "name": agent.name});
    match &agent.description {
        Some(description) if !effects.has(Variant::Nulls) => answer["description"] = json!(description),
        None if !effects.has(Variant::Nulls) => {}
        _ => answer["description"] = Value::Null,
    }
    answer["status"] = json!("active");
    if !effects.has(Variant::NoSchema) && (!listed || effects.has(Variant::ListedWhole)) {
        match &agent.input_schema {
            Some(schema) => put_schema(&mut answer, schema, effects),
            None if effects.has(Variant::Nulls) => answer["input_schema"] = Value::Null,
            None => {}
        }
    }
    answer["created_at"] = time(agent.created_at, effects);
    answer
}

fn put_schema(answer: &mut Value, schema: &Value, effects: &Effects) {
    if effects.has(Variant::SchemaCamelCase) {
        answer["inputSchema"] = schema.clone();
    } else if effects.has(Variant::SchemaInSchema) {
        answer["schema"] = json!({"input": schema, "output": {"type": "object"}});
    } else if effects.has(Variant::SchemaInConfig) {
        answer["config"] = json!({"model": "default", "input_schema": schema});
    } else if effects.has(Variant::SchemaInParameters) {
        answer["parameters"] = schema.clone();
    } else if effects.has(Variant::SchemaAsText) {
        answer["input_schema"] = json!("see the dashboard");
    } else {
        answer["input_schema"] = schema.clone();
    }
}

/// Returns a pipeline.
pub(super) fn pipeline(pipeline: &Pipeline, effects: &Effects) -> Value {
    json!({
        "id": pipeline.id,
        "name": pipeline.name,
        "steps": pipeline.steps,
        "created_at": time(pipeline.created_at, effects),
    })
}

/// Returns a run of an agent or of a pipeline.
pub(super) fn run(job: &Job, origin: &str, effects: &Effects) -> Value {
    let mut answer = json!({"id": job.id});
    let about = if is_pipeline(job) { "pipeline_id" } else { "agent_id" };
    answer[about] = json!(job.target().id);
    if let Some(word) = status(job, effects) {
        answer["status"] = json!(word);
    }
    if effects.has(Variant::InputInRuns) {
        answer["input"] = json!(job.inputs);
    }
    answer["output"] = output(job, origin, effects);
    if let Some(reason) = &job.error {
        put_reason(&mut answer, reason, effects);
    }
    if !is_pipeline(job) {
        put_usage(&mut answer, job, effects);
    }
    answer["created_at"] = time(job.created_at, effects);
    answer
}

/// Returns the answer to a trigger that goes on.
pub(super) fn triggered(job: &Job, origin: &str, effects: &Effects) -> Value {
    let run = run(job, origin, effects);
    let key = if effects.has(Variant::TriggerRunId) {
        "run_id"
    } else if effects.has(Variant::TriggerPipelineRunId) {
        "pipeline_run_id"
    } else if effects.has(Variant::TriggerNested) {
        return json!({"run": run});
    } else {
        return run;
    };
    let Value::Object(run) = run else { unreachable!("a run is an object") };
    Value::Object(
        run.into_iter().map(|(name, value)| (if name == "id" { key.to_owned() } else { name }, value)).collect(),
    )
}

/// Returns the word for where a run stands, unless it is left out.
pub(super) fn status(job: &Job, effects: &Effects) -> Option<String> {
    if let Some(word) = &effects.word {
        return Some(word.clone());
    }
    let named = if job.state.is_terminal() { None } else { job.fate.word.clone() };
    let has_ended_badly = matches!(job.state, JobState::Failed | JobState::Cancelled);
    if effects.has(Variant::NoStatus) && !has_ended_badly {
        return None;
    }
    let [pending, processing, completed, failed, cancelled] = words(job, effects);
    let word = named.unwrap_or_else(|| {
        match &job.state {
            JobState::Pending => pending,
            JobState::Processing => processing,
            JobState::Completed => completed,
            JobState::Failed => failed,
            JobState::Cancelled => cancelled,
            JobState::Unknown(word) => word,
        }
        .to_owned()
    });
    Some(if effects.has(Variant::StatusUpperCase) { word.to_uppercase() } else { word })
}

/// Returns the words of a dialect, from pending to cancelled.
fn words(job: &Job, effects: &Effects) -> [&'static str; 5] {
    if effects.has(Variant::Synonyms) {
        ["queued", "in_progress", "succeeded", "error", "canceled"]
    } else if effects.has(Variant::SynonymsDone) {
        ["pending", "in_progress", "done", "timed_out", "aborted"]
    } else if effects.has(Variant::SynonymsSuccess) {
        ["waiting", "thinking", "success", "expired", "canceled"]
    } else if effects.has(Variant::SynonymsErrored) {
        let ran_out = job.error.as_deref().is_some_and(|reason| reason.contains("timeout"));
        ["queued", "running", "completed", if ran_out { "timeout" } else { "errored" }, "canceled"]
    } else {
        ["queued", "running", "completed", "failed", "cancelled"]
    }
}

fn put_reason(answer: &mut Value, reason: &str, effects: &Effects) {
    if effects.has(Variant::ReasonInOutput) {
        answer["output"] = json!({"error": reason});
        return;
    }
    let (key, value) = if effects.has(Variant::ReasonAsText) {
        ("error", json!(reason))
    } else if effects.has(Variant::ReasonInErrorMessage) {
        ("error_message", json!(reason))
    } else if effects.has(Variant::ReasonInFailureReason) {
        ("failure_reason", json!(reason))
    } else if effects.has(Variant::ReasonInMessage) {
        ("message", json!(reason))
    } else {
        ("error", json!({"code": "run_failed", "message": reason}))
    };
    answer[key] = value;
}

fn put_usage(answer: &mut Value, job: &Job, effects: &Effects) {
    let Some(ended) = job.ended_at.filter(|_| !effects.has(Variant::NoUsage)) else { return };
    if effects.has(Variant::NullUsage) {
        answer["latency_ms"] = Value::Null;
        answer["tokens_used"] = Value::Null;
        return;
    }
    let latency = ended.duration_since(job.created_at).as_millis();
    answer["latency_ms"] = json!(i64::try_from(latency).unwrap_or(i64::MAX));
    if job.state == JobState::Completed {
        answer["tokens_used"] = job.beside.get("tokens_used").cloned().unwrap_or_default();
    }
}

fn output(job: &Job, origin: &str, effects: &Effects) -> Value {
    let Some(Value::Object(output)) = job.beside.get("output") else { return Value::Null };
    if job.state != JobState::Completed || job.fate.silent || effects.has(Variant::OutputNull) {
        return Value::Null;
    }
    let mut output = output.clone();
    if let Some(node) = job.product.nodes.iter().find(|node| node.gives == ValueKind::Image) {
        output.insert("image_url".to_owned(), json!(media::url(origin, job, node, 0)));
    }
    let result = output.get("result").cloned().unwrap_or_default();
    if effects.has(Variant::OutputText) {
        return result;
    }
    if effects.has(Variant::OutputTextList) {
        return json!([result]);
    }
    let key = if effects.has(Variant::OutputInText) {
        "text"
    } else if effects.has(Variant::OutputInAnswer) {
        "answer"
    } else if effects.has(Variant::OutputInContent) {
        "content"
    } else {
        return Value::Object(output);
    };
    let renamed: Map<_, _> =
        output.into_iter().map(|(name, value)| (if name == "result" { key.to_owned() } else { name }, value)).collect();
    Value::Object(renamed)
}

fn is_pipeline(job: &Job) -> bool {
    job.target().kind == TargetKind::Pipeline
}
