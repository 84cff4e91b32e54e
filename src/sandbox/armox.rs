//! Armox's skin: its routes, its rules and its texts, over the job machine that all skins share.
//!
//! Written from the API's documents. Where they are silent, the plain reading is the default and [`Variant`]s give the
//! others.

mod shapes;

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    Api, FREE_KEY,
    catalog::Access,
    check,
    emulator::{Body, Call, Emulator, Outcome, Reply, Wish},
    faults::{Door, Effects, Variant},
    headers::{rate, retry_after},
    jobs::{Job, NotCancelled, TooPoor},
    rate::Standing,
};
use crate::job::{JobState, TargetKind};

/// The path that all of the API lies under.
pub(super) const BASE: &str = "/api/v1";

/// The jobs that a list shows without a limit of its own, and with the highest.
const LIMIT: usize = 20;
const HIGHEST_LIMIT: usize = 100;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Operation {
    Models,
    RunModel,
    Apps,
    RunApp,
    Jobs,
    Job(String),
    Cancel(String),
    Account,
}

impl Operation {
    fn of(method: &str, path: &str) -> Result<Self, Reply> {
        let path = path.strip_prefix(BASE).ok_or_else(|| Reply::error(404, "Not found"))?;
        let parts: Vec<_> = path.split('/').skip(1).collect();
        let (wanted, operation) = match parts.as_slice() {
            ["models"] => ("GET", Self::Models),
            ["models", "run"] => ("POST", Self::RunModel),
            ["apps"] => ("GET", Self::Apps),
            ["apps", "run"] => ("POST", Self::RunApp),
            ["jobs"] => ("GET", Self::Jobs),
            ["jobs", id] if !id.is_empty() => ("GET", Self::Job((*id).to_owned())),
            ["jobs", id, "cancel"] if !id.is_empty() => ("POST", Self::Cancel((*id).to_owned())),
            ["account"] => ("GET", Self::Account),
            _ => return Err(Reply::error(404, "Not found")),
        };
        if method == wanted { Ok(operation) } else { Err(Reply::error(405, "Method not allowed")) }
    }
}

/// Returns which door a call comes through, and the names of the model or app that it is about.
pub(super) fn door(emulator: &Emulator, call: &Call) -> (Option<Door>, Vec<String>) {
    let named = |kind, key: &str| {
        let Body::Json(body) = &call.body else { return Vec::new() };
        let Some(id) = body.get(key).and_then(Value::as_str) else { return Vec::new() };
        let name = emulator.catalog.get(kind, id).map(|product| product.contract.name.clone());
        std::iter::once(id.to_owned()).chain(name).collect()
    };
    let of_job = |id: &str| emulator.jobs.get(id).map(Job::names).unwrap_or_default();
    match Operation::of(&call.method, &call.path) {
        Err(_) => (None, Vec::new()),
        Ok(Operation::Models | Operation::Apps) => (Some(Door::Catalog), Vec::new()),
        Ok(Operation::RunModel) => (Some(Door::Submit), named(TargetKind::Model, "model")),
        Ok(Operation::RunApp) => (Some(Door::Submit), named(TargetKind::App, "app_id")),
        Ok(Operation::Jobs) => (Some(Door::List), Vec::new()),
        Ok(Operation::Job(id)) => (Some(Door::Look), of_job(&id)),
        Ok(Operation::Cancel(id)) => (Some(Door::Cancel), of_job(&id)),
        Ok(Operation::Account) => (Some(Door::Account), Vec::new()),
    }
}

/// Answers a call: key, plan, rate, then what was asked for. `place` is the call's place in the log.
pub(super) fn serve(emulator: &mut Emulator, call: &Call, place: usize, effects: &Effects, now: Timestamp) -> Outcome {
    let standing = match admit(emulator, call, effects, now) {
        Ok(standing) => standing,
        Err(refusal) => return Outcome::Reply(refusal),
    };
    let operation = match Operation::of(&call.method, &call.path) {
        Ok(operation) => operation,
        Err(refusal) => return Outcome::Reply(refusal),
    };
    let reply = match operation {
        Operation::RunModel => run_model(emulator, call, effects, now),
        Operation::RunApp => run_app(emulator, call, effects, now),
        other => read(emulator, other, call, effects, now),
    };
    let mut reply = match reply {
        Ok(Done::Reply(reply)) => reply,
        Ok(Done::Submitted { job, reply }) => {
            emulator.note_job(place, &job);
            match reply {
                Some(reply) => reply,
                None => return Outcome::Wait { job, headers: rate(standing, effects, now) },
            }
        }
        Err(refusal) => return Outcome::Reply(refusal),
    };
    reply.headers.extend(rate(standing, effects, now));
    Outcome::Reply(reply)
}

/// Answers a submit whose job ended within the request.
pub(super) fn ended(job: &Job, origin: &str, effects: &Effects) -> Reply {
    if job.state == JobState::Failed && effects.has(Variant::FailureAsError) {
        return Reply::error(500, job.error.as_deref().unwrap_or("Internal server error"));
    }
    Reply::json(200, shapes::synchronous(job, origin, effects))
}

/// What came of an operation.
enum Done {
    Reply(Reply),
    /// A job was accepted; without a reply, its end is the reply.
    Submitted {
        job: String,
        reply: Option<Reply>,
    },
}

fn admit(emulator: &mut Emulator, call: &Call, effects: &Effects, now: Timestamp) -> Result<Standing, Reply> {
    let key = call
        .header("authorization")
        .and_then(|value| value.strip_prefix("Bearer "))
        .map(str::trim)
        .filter(|key| !key.is_empty())
        .ok_or_else(|| Reply::error(401, "Missing Authorization Bearer token"))?;
    if key == FREE_KEY {
        return Err(Reply::error(403, "Public API access requires Agency, Master/Business, or Enterprise plan."));
    }
    if key != emulator.keys.of(Api::Armox).expose() {
        return Err(Reply::error(401, "Invalid API key"));
    }
    let limit = emulator.limit;
    emulator.windows.entry((Api::Armox, key.to_owned())).or_default().take(limit, now).map_err(|wait| {
        let mut reply = Reply::error(429, "Rate limit exceeded");
        reply.headers.extend(retry_after(wait.max(Duration::from_secs(1)), effects, now));
        reply
    })
}

fn read(
    emulator: &mut Emulator,
    operation: Operation,
    call: &Call,
    effects: &Effects,
    now: Timestamp,
) -> Result<Done, Reply> {
    let body = match operation {
        Operation::Models => {
            let models = emulator.catalog.listed(TargetKind::Model).map(|model| shapes::model(model, effects));
            json!({"object": "list", "data": models.collect::<Vec<_>>()})
        }
        Operation::Apps => {
            let origin = &emulator.origin;
            let apps = emulator.catalog.listed(TargetKind::App).map(|app| shapes::app(app, origin, effects));
            json!({"object": "list", "data": apps.collect::<Vec<_>>()})
        }
        Operation::Jobs => {
            let limit = limit(call.query.as_deref(), effects)?;
            let origin = emulator.origin.clone();
            let mut jobs: Vec<_> = emulator
                .jobs
                .list(Api::Armox, now)
                .take(limit)
                .map(|job| shapes::listed(job, &origin, effects))
                .collect();
            if effects.has(Variant::OldestFirst) {
                jobs.reverse();
            }
            json!({"object": "list", "data": jobs})
        }
        Operation::Job(id) => {
            let origin = emulator.origin.clone();
            let job = emulator.jobs.look(Api::Armox, &id, now).ok_or_else(|| Reply::error(404, "Job not found"))?;
            shapes::job(job, &origin, effects)
        }
        Operation::Cancel(id) => match emulator.jobs.cancel(Api::Armox, &id, now) {
            Ok(job) => shapes::cancelled(job, effects),
            Err(NotCancelled::Unknown) => return Err(Reply::error(404, "Job not found")),
            Err(NotCancelled::TooLate) => {
                return Err(Reply::error(409, "Job cannot be cancelled in current state"));
            }
        },
        Operation::Account => {
            let requests = emulator.log().filter(|request| request.api == Some(Api::Armox)).count();
            json!({
                "object": "account",
                "user_id": "user_sandbox",
                "credits": shapes::number(emulator.jobs.purse(Api::Armox).left),
                "subscription": "agency",
                "usage": {
                    "credits_used_last_30d": shapes::number(emulator.jobs.purse(Api::Armox).spent),
                    "total_requests_last_30d": requests,
                    "total_jobs": emulator.jobs.all().iter().filter(|job| job.api == Api::Armox).count(),
                },
                "api_keys": {"active": 1},
            })
        }
        Operation::RunModel | Operation::RunApp => unreachable!("runs have their own functions"),
    };
    Ok(Done::Reply(Reply::json(200, body)))
}

fn limit(query: Option<&str>, effects: &Effects) -> Result<usize, Reply> {
    let pairs = query.unwrap_or_default().split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let given: BTreeMap<_, _> = pairs.collect();
    let Some(text) = given.get("limit") else { return Ok(LIMIT) };
    let clamps = effects.has(Variant::ClampLimit);
    match text.parse::<i64>() {
        Ok(limit) if clamps => Ok(usize::try_from(limit).unwrap_or(1).clamp(1, HIGHEST_LIMIT)),
        Ok(limit @ 1..=100) => Ok(usize::try_from(limit).expect("1 to 100 fits")),
        _ => Err(Reply::error(400, "limit must be between 1 and 100")),
    }
}

fn body(call: &Call) -> Result<&Map<String, Value>, Reply> {
    match &call.body {
        Body::Json(Value::Object(body)) => Ok(body),
        Body::TooLarge => Err(Reply::error(400, "Request body too large")),
        Body::Empty | Body::NoJson | Body::Json(_) => Err(Reply::error(400, "Invalid JSON body")),
    }
}

/// Reads what the bodies of both runs have in common: the target's id, the inputs under their key, the webhook.
fn run<'a>(call: &'a Call, id: &str, inputs: &str) -> Result<(&'a str, Map<String, Value>), Reply> {
    let body = body(call)?;
    let target = body
        .get(id)
        .and_then(Value::as_str)
        .filter(|target| !target.is_empty())
        .ok_or_else(|| Reply::error(400, format!("{id} is required")))?;
    let inputs = match body.get(inputs) {
        None => Map::new(),
        Some(Value::Object(inputs)) => inputs.clone(),
        Some(_) => return Err(Reply::error(400, format!("{inputs} must be an object"))),
    };
    if body.get("webhook_url").is_some_and(|url| !url.as_str().is_some_and(check::is_url)) {
        return Err(Reply::error(400, "webhook_url must be a URL"));
    }
    Ok((target, inputs))
}

fn poor(poor: TooPoor) -> Reply {
    let text = format!("Insufficient credits. Required {}, available {}", poor.required, poor.available);
    Reply::error(402, text)
}

fn run_model(emulator: &mut Emulator, call: &Call, effects: &Effects, now: Timestamp) -> Result<Done, Reply> {
    let (id, inputs) = run(call, "model", "input")?;
    let product = emulator
        .catalog
        .get(TargetKind::Model, id)
        .ok_or_else(|| Reply::error(400, format!("Invalid model: {id}")))?
        .clone();
    check::model(&product.contract, &inputs).map_err(|text| Reply::error(400, text))?;
    let waits =
        if product.is_synchronous() { !effects.has(Variant::Asynchronous) } else { effects.has(Variant::Synchronous) };
    let job = emulator.submit(Wish::new(Api::Armox, product, inputs), effects, now).map_err(poor)?;
    let reply = (!waits).then(|| Reply::json(202, shapes::accepted(&job, effects)));
    Ok(Done::Submitted { job: job.id, reply })
}

fn run_app(emulator: &mut Emulator, call: &Call, effects: &Effects, now: Timestamp) -> Result<Done, Reply> {
    let (id, inputs) = run(call, "app_id", "inputs")?;
    let product = emulator.catalog.get(TargetKind::App, id).ok_or_else(|| Reply::error(404, "App not found"))?.clone();
    if product.access == Access::Foreign {
        return Err(Reply::error(403, "You do not have access to this app"));
    }
    check::app(&product.contract, &inputs).map_err(|text| Reply::error(400, text))?;
    let job = emulator.submit(Wish::new(Api::Armox, product, inputs), effects, now).map_err(poor)?;
    let reply = Some(Reply::json(202, shapes::accepted(&job, effects)));
    Ok(Done::Submitted { job: job.id, reply })
}
