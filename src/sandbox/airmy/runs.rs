//! Runs of agents and of pipelines: submitted, looked at, listed, cancelled.
//!
//! What must stay true: one idempotency key makes one job, whatever happened to the answer. A key belongs to the API key that sent it and to
//! the path, and is forgotten after a day.

use std::{collections::HashMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::{
    super::{
        Api,
        catalog::Product,
        emulator::{Body, Call, Emulator, Reply, Wish},
        faults::{Effects, Variant},
        jobs::{Job, NotCancelled},
    },
    Caller, Done, Refusal, agent_of, body, lists, may_use, shapes, work,
};
use crate::{
    contract::schema::Schema,
    job::{JobState, TargetKind},
};

/// How long an idempotency key is remembered; the documents do not say.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// The longest idempotency key.
const LONGEST_KEY: usize = 255;

/// The submits that came with an idempotency key, by API key, path and idempotency key.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    first: HashMap<(String, String, String), Submission>,
}

#[derive(Debug)]
struct Submission {
    body: Option<Value>,
    job: String,
    at: Timestamp,
}

/// Answers `POST /runs`.
pub(super) fn submit(
    emulator: &mut Emulator,
    caller: &Caller,
    call: &Call,
    effects: &Effects,
    now: Timestamp,
) -> Result<Done, Refusal> {
    let body = body(call)?;
    let required = |key: &str| Refusal::new(400, format!("{key} is required"));
    let id = body.get("agent_id").and_then(Value::as_str).filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| required("agent_id"))?;
    let input = match body.get("input") {
        None | Some(Value::Null) => return Err(required("input")),
        Some(Value::Object(input)) => input.clone(),
        Some(_) => return Err(Refusal::new(400, "input must be an object")),
    };
    if let Some(done) = repeated(emulator, caller, call, effects, now)? {
        return Ok(done);
    }
    let agent = agent_of(emulator, caller, id)?;
    if let Some(schema) = &agent.input_schema {
        check(schema, &input)?;
    }
    let output = work::answer(agent, &input);
    let product = agent.product();
    let job = accept(emulator, "run_", product, input, output, effects, now);
    remember(emulator, caller, call, &job, now);
    let goes_on = goes_on(effects);
    let reply = goes_on.then(|| Reply::json(early(effects), shapes::run(&job, &emulator.origin, effects)));
    Ok(Done::Submitted { job: job.id, reply })
}

/// Answers `POST /pipelines/{id}/trigger`.
pub(super) fn trigger(
    emulator: &mut Emulator,
    caller: &Caller,
    id: &str,
    call: &Call,
    effects: &Effects,
    now: Timestamp,
) -> Result<Done, Refusal> {
    let input = trigger_input(call, effects)?;
    let counts = !effects.has(Variant::TriggerForgetsKey);
    if counts && let Some(done) = repeated(emulator, caller, call, effects, now)? {
        return Ok(done);
    }
    let offer = &emulator.airmy.offer;
    let pipeline = offer.pipelines.get(id).ok_or_else(|| Refusal::new(404, "Pipeline does not exist"))?;
    let mut seconds = 0.0;
    for step in &pipeline.steps {
        let agent = offer
            .agent_of_step(&step.agent)
            .ok_or_else(|| Refusal::new(422, format!("steps.{}.agent: no agent is called {}", step.id, step.agent)))?;
        if !may_use(caller, agent) {
            return Err(Refusal::new(403, "Insufficient permissions"));
        }
        seconds += agent.seconds;
    }
    let output = work::pipeline(pipeline, offer, &input);
    let product = pipeline.product(seconds);
    let job = accept(emulator, "plr_", product, input, output, effects, now);
    if counts {
        remember(emulator, caller, call, &job, now);
    }
    let waits = effects.has(Variant::Synchronous);
    let reply = (!waits).then(|| Reply::json(early(effects), shapes::triggered(&job, &emulator.origin, effects)));
    Ok(Done::Submitted { job: job.id, reply })
}

/// Answers a submit that has waited for its job.
pub(super) fn ended(emulator: &Emulator, job: &Job, effects: &Effects) -> Reply {
    let shape = if job.target().kind == TargetKind::Pipeline { shapes::triggered } else { shapes::run };
    Reply::json(200, shape(job, &emulator.origin, effects))
}

/// Answers `GET /runs/{id}`.
pub(super) fn look(emulator: &mut Emulator, id: &str, effects: &Effects, now: Timestamp) -> Result<Done, Refusal> {
    let origin = emulator.origin.clone();
    let is_shown = |job: &&Job| job.target().kind == TargetKind::Agent || effects.has(Variant::PipelineRunsAsRuns);
    let job = emulator.jobs.look(Api::Airmy, id, now).filter(is_shown).ok_or_else(no_run)?;
    Ok(Done::Reply(Reply::json(200, shapes::run(job, &origin, effects))))
}

/// Answers `GET /runs`.
pub(super) fn list(emulator: &mut Emulator, call: &Call, effects: &Effects, now: Timestamp) -> Result<Done, Refusal> {
    let origin = emulator.origin.clone();
    let (agent, status) = (lists::asked(call, "agent_id"), lists::asked(call, "status"));
    let is_asked_for = |job: &&Job| {
        job.target().kind == TargetKind::Agent
            && agent.is_none_or(|agent| job.target().id == agent)
            && status.is_none_or(|word| shapes::status(job, effects).as_deref() == Some(word))
    };
    let jobs = emulator.jobs.list(Api::Airmy, now).filter(is_asked_for);
    let items = jobs.map(|job| shapes::run(job, &origin, effects)).collect();
    Ok(Done::Reply(Reply::json(200, lists::page(call, "runs", items, &origin, effects)?)))
}

/// Answers `GET /pipelines/{id}/runs`.
pub(super) fn list_of_pipeline(
    emulator: &mut Emulator,
    id: &str,
    call: &Call,
    effects: &Effects,
    now: Timestamp,
) -> Result<Done, Refusal> {
    if !emulator.airmy.offer.pipelines.contains_key(id) {
        return Err(Refusal::new(404, "Pipeline does not exist"));
    }
    let origin = emulator.origin.clone();
    let is_of = |job: &&Job| job.target().kind == TargetKind::Pipeline && job.target().id == id;
    let jobs = emulator.jobs.list(Api::Airmy, now).filter(is_of);
    let items = jobs.map(|job| shapes::run(job, &origin, effects)).collect();
    Ok(Done::Reply(Reply::json(200, lists::page(call, "runs", items, &origin, effects)?)))
}

/// Answers `DELETE /runs/{id}`, which calls off pipeline runs too.
pub(super) fn cancel(emulator: &mut Emulator, id: &str, effects: &Effects, now: Timestamp) -> Result<Done, Refusal> {
    let origin = emulator.origin.clone();
    let job = emulator.jobs.look(Api::Airmy, id, now).ok_or_else(no_run)?;
    if effects.has(Variant::PipelineCancel404) && job.target().kind == TargetKind::Pipeline {
        return Err(no_run());
    }
    if effects.has(Variant::CancelWithoutEffect) && !job.state.is_terminal() {
        return Ok(Done::Reply(Reply::json(202, cancelling(job, &origin, effects))));
    }
    match emulator.jobs.cancel(Api::Airmy, id, now) {
        Ok(_) if effects.has(Variant::Cancel204) => Ok(Done::Reply(Reply::empty(204))),
        Ok(job) if effects.has(Variant::Cancel202) => {
            Ok(Done::Reply(Reply::json(202, cancelling(job, &origin, effects))))
        }
        Ok(job) => Ok(Done::Reply(Reply::json(200, shapes::run(job, &origin, effects)))),
        Err(NotCancelled::Unknown) => Err(no_run()),
        Err(NotCancelled::TooLate) if effects.has(Variant::LateCancel200) => {
            // Not by a look: that shows no runs of pipelines.
            let job = emulator.jobs.look(Api::Airmy, id, now).ok_or_else(no_run)?;
            Ok(Done::Reply(Reply::json(200, shapes::run(job, &origin, effects))))
        }
        Err(NotCancelled::TooLate) if effects.has(Variant::LateCancel404) => Err(no_run()),
        Err(NotCancelled::TooLate) => {
            let status = if effects.has(Variant::LateCancel410) {
                410
            } else if effects.has(Variant::LateCancel422) {
                422
            } else {
                409
            };
            Err(Refusal::new(status, "Run is already in a terminal state"))
        }
    }
}

/// Returns the run of a cancel that was only taken note of.
fn cancelling(job: &Job, origin: &str, effects: &Effects) -> Value {
    let mut run = shapes::run(job, origin, effects);
    run["status"] = json!("cancelling");
    run
}

fn no_run() -> Refusal {
    Refusal::new(404, "Run does not exist")
}

/// Says whether a run is answered before its end.
fn goes_on(effects: &Effects) -> bool {
    [Variant::Asynchronous, Variant::Asynchronous201, Variant::Asynchronous200]
        .into_iter()
        .any(|variant| effects.has(variant))
}

fn early(effects: &Effects) -> u16 {
    if effects.has(Variant::Asynchronous200) {
        200
    } else if effects.has(Variant::Asynchronous201) {
        201
    } else {
        202
    }
}

fn accept(
    emulator: &mut Emulator,
    prefix: &'static str,
    product: Arc<Product>,
    inputs: Map<String, Value>,
    output: Map<String, Value>,
    effects: &Effects,
    now: Timestamp,
) -> Job {
    let mut beside = Map::new();
    beside.insert("tokens_used".to_owned(), json!(work::tokens(&inputs, &output)));
    beside.insert("output".to_owned(), Value::Object(output));
    let wish = Wish { prefix, beside, ..Wish::new(Api::Airmy, product, inputs) };
    emulator.submit(wish, effects, now).expect("AIRMY takes no money for a run")
}

/// Says what is wrong with an input, as the API's document does: `input.query: …`.
fn check(schema: &Value, input: &Map<String, Value>) -> Result<(), Refusal> {
    let Ok(schema) = Schema::compile(schema) else { return Ok(()) };
    let complaints = schema.complaints(&Value::Object(input.clone()));
    let told: Vec<_> =
        complaints.into_iter().map(|wrong| format!("{}: {}", wrong.place("input"), wrong.message)).collect();
    if told.is_empty() { Ok(()) } else { Err(Refusal::new(422, told.join("; "))) }
}

/// Reads the body of a trigger: `{"input": {…}}`, or none.
fn trigger_input(call: &Call, effects: &Effects) -> Result<Map<String, Value>, Refusal> {
    if call.bytes.is_empty() {
        return Ok(Map::new());
    }
    let body = body(call)?;
    if effects.has(Variant::TriggerBare) {
        return Ok(body.clone());
    }
    if let Some(other) = body.keys().find(|key| *key != "input") {
        return Err(Refusal::new(400, format!("{other} is unknown: the input belongs under input")));
    }
    match body.get("input") {
        None => Ok(Map::new()),
        Some(Value::Object(input)) => Ok(input.clone()),
        Some(_) => Err(Refusal::new(400, "input must be an object")),
    }
}

/// Returns the answer to a submit whose idempotency key has been there before; none where it is new, or there is none.
fn repeated(
    emulator: &mut Emulator,
    caller: &Caller,
    call: &Call,
    effects: &Effects,
    now: Timestamp,
) -> Result<Option<Done>, Refusal> {
    let Some(key) = call.header("idempotency-key") else { return Ok(None) };
    if key.is_empty() || key.len() > LONGEST_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Refusal::new(400, "Idempotency-Key must be 1 to 255 visible ASCII characters"));
    }
    let repeats = &mut emulator.airmy.repeats.first;
    let place = (caller.key.clone(), call.path.clone(), key.to_owned());
    let Some(first) = repeats.get(&place) else { return Ok(None) };
    if now.duration_since(first.at) > REMEMBERED {
        repeats.remove(&place);
        return Ok(None);
    }
    if first.body.as_ref() != json_of(call) {
        let status = if effects.has(Variant::OtherBody409) { 409 } else { 422 };
        return Err(Refusal::new(status, "Idempotency-Key was used before with another request body"));
    }
    let id = first.job.clone();
    let origin = emulator.origin.clone();
    // A key outlives what looks find: the run is what it was.
    let job = emulator.jobs.get(&id).expect("a job is never forgotten");
    let is_pipeline = job.target().kind == TargetKind::Pipeline;
    let run = if is_pipeline { shapes::triggered } else { shapes::run };
    let conflict = |extra: &str, value: Value| {
        let mut body =
            json!({"error": {"code": 409, "name": "Conflict", "message": "Idempotency-Key was used before"}});
        body[extra] = value;
        Done::Reply(Reply::json(409, body))
    };
    if effects.has(Variant::Repeat409WithRun) {
        return Ok(Some(conflict("run", shapes::run(job, &origin, effects))));
    }
    if effects.has(Variant::Repeat409WithId) {
        return Ok(Some(conflict("run_id", json!(id))));
    }
    let reply = |status| Done::Reply(Reply::json(status, run(job, &origin, effects)));
    let is_over = job.state.is_terminal();
    Ok(Some(if effects.has(Variant::Repeat201) {
        reply(201)
    } else if is_over {
        reply(200)
    } else if is_pipeline || effects.has(Variant::RepeatAtOnce) || goes_on(effects) {
        reply(early(effects))
    } else {
        Done::Wait(id)
    }))
}

/// Returns the body as JSON: the order of its keys is no difference.
fn json_of(call: &Call) -> Option<&Value> {
    if let Body::Json(body) = &call.body { Some(body) } else { None }
}

fn remember(emulator: &mut Emulator, caller: &Caller, call: &Call, job: &Job, now: Timestamp) {
    if let Some(key) = call.header("idempotency-key") {
        let place = (caller.key.clone(), call.path.clone(), key.to_owned());
        let submission = Submission { body: json_of(call).cloned(), job: job.id.clone(), at: now };
        emulator.airmy.repeats.first.insert(place, submission);
    }
}

/// Returns how many runs stand where, and the tokens that they used.
pub(super) fn metrics(emulator: &Emulator) -> Value {
    let mut counts: Map<String, Value> = Map::new();
    let mut tokens = 0;
    for job in emulator.jobs.all().iter().filter(|job| job.api == Api::Airmy) {
        let count = counts.entry(job.state.to_string()).or_insert(json!(0));
        *count = json!(count.as_u64().unwrap_or(0) + 1);
        if job.state == JobState::Completed {
            tokens += job.beside.get("tokens_used").and_then(Value::as_u64).unwrap_or(0);
        }
    }
    let calls = emulator.log().filter(|request| request.api == Some(Api::Airmy)).count();
    json!({"calls": calls, "runs": counts, "tokens_used": tokens})
}
