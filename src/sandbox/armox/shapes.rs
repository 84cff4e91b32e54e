//! The JSON of Armox's answers. Pure: a job, a product, the effects of the fault script in; a value out.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::{
    catalog::{Access, Node, Product, word},
    emulator::THUMBNAILS,
    faults::{Effects, Variant},
    jobs::Job,
    media,
};
use crate::{
    contract::{Port, ValueKind},
    job::{JobState, TargetKind},
};

/// Returns a number as people write it: whole ones without a fraction.
pub(super) fn number(value: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}

/// Returns a model of the list.
pub(super) fn model(product: &Product, effects: &Effects) -> Value {
    let contract = &product.contract;
    let prompt = contract.ports.iter().find(|port| port.id == "prompt");
    let takes: Vec<_> = prompt
        .map(|_| "text")
        .into_iter()
        .chain(contract.ports.iter().filter(|port| port.kind.is_media()).map(|port| word(port.kind)))
        .collect();
    let settings = contract.ports.iter().filter(|port| port.id != "prompt" && !port.kind.is_media());
    let medium = word(product.gives());
    json!({
        "id": contract.target.id,
        "name": contract.name,
        "modality": medium,
        "cost": number(product.cost),
        "inputTypes": takes,
        "promptRequired": prompt.is_some_and(|port| port.required),
        "outputType": medium,
        "description": optional(contract.description.as_deref(), effects),
        "settings": settings.map(|port| setting(port, effects)).collect::<Vec<_>>(),
    })
}

fn setting(port: &Port, effects: &Effects) -> Value {
    let kind = match port.kind {
        _ if !port.options.is_empty() => "select",
        ValueKind::Number | ValueKind::Integer => "number",
        ValueKind::Boolean => "toggle",
        _ => "text",
    };
    let mut setting = Map::new();
    setting.insert("key".to_owned(), json!(port.id));
    setting.insert("label".to_owned(), json!(port.label.as_deref().unwrap_or(&port.id)));
    setting.insert("inputType".to_owned(), json!(kind));
    if let Some(default) = &port.default {
        setting.insert("defaultValue".to_owned(), default.clone());
    }
    if effects.has(Variant::NoOptions) {
        return Value::Object(setting);
    }
    if !port.options.is_empty() {
        let option = |option: &Value| {
            if effects.has(Variant::OptionObjects) {
                let label = option.as_str().map_or_else(|| option.to_string(), str::to_owned);
                json!({"value": option, "label": label})
            } else {
                option.clone()
            }
        };
        setting.insert("options".to_owned(), port.options.iter().map(option).collect());
    }
    for (key, bound) in [("min", port.minimum), ("max", port.maximum)] {
        if let Some(bound) = bound {
            setting.insert(key.to_owned(), number(bound));
        }
    }
    Value::Object(setting)
}

/// Returns an app of the list.
pub(super) fn app(product: &Product, origin: &str, effects: &Effects) -> Value {
    let contract = &product.contract;
    let thumbnail = (product.access == Access::Template)
        .then(|| format!("{origin}/files/{THUMBNAILS}/{}/0.png", contract.target.id));
    json!({
        "id": contract.target.id,
        "name": contract.name,
        "description": optional(contract.description.as_deref(), effects),
        "icon": null,
        "thumbnail_url": optional(thumbnail.as_deref(), effects),
        "is_template": product.access == Access::Template,
        "brain_id": optional(product.brain.as_deref(), effects),
        "tags": if effects.has(Variant::Nulls) { Value::Null } else { json!(product.tags) },
        "inputs": contract.ports.iter().map(|port| input(port, effects)).collect::<Vec<_>>(),
    })
}

fn input(port: &Port, effects: &Effects) -> Value {
    let label = port.label.as_deref().unwrap_or(&port.id);
    if effects.has(Variant::OldInputs) {
        return json!({"id": port.id, "label": label, "required": port.required});
    }
    let mut input = json!({"id": port.id, "type": word(port.kind), "label": label, "required": port.required});
    if let Some(handle) = &port.handle {
        input["targetHandle"] = json!(handle);
    }
    if port.many {
        input["allowMultiple"] = json!(true);
    }
    input
}

/// Returns the answer to a submit that goes on as a job.
pub(super) fn accepted(job: &Job, effects: &Effects) -> Value {
    if effects.has(Variant::Minimal202) {
        return json!({"id": job.id});
    }
    let mut answer = json!({"id": job.id, "object": "job", "status": status(job, effects)});
    if is_app(job) {
        answer["run_type"] = json!("app");
        answer["app_id"] = json!(job.target().id);
        answer["app_name"] = json!(job.product.contract.name);
    } else {
        answer["model"] = json!(job.target().id);
    }
    charge(&mut answer, job, effects);
    answer["created_at"] = time(job.created_at, job, effects);
    answer
}

/// Returns the answer to a submit whose job ended within the request.
pub(super) fn synchronous(job: &Job, origin: &str, effects: &Effects) -> Value {
    let mut answer = json!({
        "id": job.id,
        "object": "job",
        "status": status(job, effects),
        "model": job.target().id,
    });
    let key = if effects.has(Variant::OutputData) { "output_data" } else { "output" };
    answer[key] = output(job, origin, effects);
    if let Some(error) = &job.error {
        answer["error_message"] = json!(error);
    }
    charge(&mut answer, job, effects);
    answer["created_at"] = time(job.created_at, job, effects);
    if let Some(ended) = job.ended_at {
        answer["completed_at"] = time(ended, job, effects);
    }
    answer
}

/// Returns a job as a single look shows it.
pub(super) fn job(job: &Job, origin: &str, effects: &Effects) -> Value {
    let Value::Object(listed) = listed(job, origin, effects) else { unreachable!("a job is an object") };
    let mut answer = Map::new();
    answer.insert("object".to_owned(), json!("job"));
    answer.extend(listed);
    answer.insert("webhook_delivered".to_owned(), json!(false));
    Value::Object(answer)
}

/// Returns a job as a list shows it: without `object` and `webhook_delivered`, as in the documents.
pub(super) fn listed(job: &Job, origin: &str, effects: &Effects) -> Value {
    let app = is_app(job);
    let id = json!(job.target().id);
    let mut answer = json!({
        "id": job.id,
        "run_type": if app { "app" } else { "model" },
        "model_id": if app { Value::Null } else { id.clone() },
        "app_id": if app { id } else { Value::Null },
        "status": status(job, effects),
        "input_data": if effects.has(Variant::NoEcho) { Value::Null } else { echo(job, effects) },
    });
    let output = output(job, origin, effects);
    if effects.has(Variant::FlatNodeOutputs) && app && output.is_object() {
        answer["node_outputs"] = output["node_outputs"].clone();
    } else {
        let key = if effects.has(Variant::OutputInJob) { "output" } else { "output_data" };
        answer[key] = output;
    }
    answer["error_message"] = json!(job.error);
    charge(&mut answer, job, effects);
    answer["created_at"] = time(job.created_at, job, effects);
    answer["completed_at"] = job.ended_at.map_or(Value::Null, |ended| time(ended, job, effects));
    answer
}

/// Returns the answer to a cancel.
pub(super) fn cancelled(job: &Job, effects: &Effects) -> Value {
    let at = job.ended_at.unwrap_or(job.created_at);
    json!({"id": job.id, "object": "job", "status": status(job, effects), "cancelled_at": time(at, job, effects)})
}

fn is_app(job: &Job) -> bool {
    job.target().kind == TargetKind::App
}

fn optional(text: Option<&str>, effects: &Effects) -> Value {
    if effects.has(Variant::Nulls) { Value::Null } else { json!(text) }
}

fn charge(answer: &mut Value, job: &Job, effects: &Effects) {
    if !effects.has(Variant::NoCredits) {
        answer["credits_charged"] = number(job.credits);
    }
}

fn status(job: &Job, effects: &Effects) -> String {
    if let Some(word) = &effects.word {
        return word.clone();
    }
    match &job.state {
        state if !state.is_terminal() => job.fate.word.clone().unwrap_or_else(|| state.to_string()),
        JobState::Completed if effects.has(Variant::Synonyms) => "succeeded".to_owned(),
        JobState::Cancelled if effects.has(Variant::Synonyms) => "canceled".to_owned(),
        JobState::Failed if effects.has(Variant::Synonyms) => "error".to_owned(),
        state => state.to_string(),
    }
}

fn echo(job: &Job, effects: &Effects) -> Value {
    let mut inputs = job.inputs.clone();
    if effects.has(Variant::DefaultsInEcho) {
        for port in &job.product.contract.ports {
            if let Some(default) = &port.default {
                inputs.entry(port.id.clone()).or_insert_with(|| default.clone());
            }
        }
    }
    if is_app(job) { json!({"app_id": job.target().id, "inputs": inputs}) } else { json!({"input": inputs}) }
}

/// Writes a time as the documents show it: with milliseconds and `Z` for models, with microseconds and an offset for apps.
fn time(time: Timestamp, job: &Job, effects: &Effects) -> Value {
    if effects.has(Variant::BadTimes) {
        return json!("just now");
    }
    let form = match (effects.has(Variant::WholeSeconds), is_app(job)) {
        (true, _) => "%Y-%m-%dT%H:%M:%SZ",
        (false, false) => "%Y-%m-%dT%H:%M:%S.%3fZ",
        (false, true) => "%Y-%m-%dT%H:%M:%S.%6f+00:00",
    };
    json!(time.strftime(form).to_string())
}

fn output(job: &Job, origin: &str, effects: &Effects) -> Value {
    if job.state != JobState::Completed || job.fate.silent {
        return Value::Null;
    }
    let payloads: Map<String, Value> =
        job.product.nodes.iter().map(|node| (node.id.clone(), payload(job, node, origin, effects))).collect();
    if is_app(job) {
        json!({"app_id": job.target().id, "app_name": job.product.contract.name, "node_outputs": payloads})
    } else {
        payloads.into_iter().next().map_or(Value::Null, |(_, payload)| payload)
    }
}

fn payload(job: &Job, node: &Node, origin: &str, effects: &Effects) -> Value {
    let key = match node.gives {
        ValueKind::Video => "outputVideo",
        ValueKind::Audio => "outputAudio",
        ValueKind::Model3d => "output3d",
        ValueKind::Image => "outputImage",
        _ => return json!({"outputText": media::text(job, node)}),
    };
    let one = |number| {
        let url = media::url(origin, job, node, number);
        if effects.has(Variant::OutputObjects) { json!({"type": word(node.gives), "url": url}) } else { json!(url) }
    };
    let count = media::count(job, node);
    if count > 1 || effects.has(Variant::OutputLists) {
        let mut payload = Map::new();
        payload.insert(format!("{key}s"), (0..count).map(one).collect());
        Value::Object(payload)
    } else {
        let mut payload = Map::new();
        payload.insert(key.to_owned(), one(0));
        Value::Object(payload)
    }
}
