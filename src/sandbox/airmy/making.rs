//! What requests make and change: agents, pipelines, alerts, webhooks, session tokens.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::{
    super::{
        catalog::Access,
        check::is_url,
        emulator::{Call, Emulator, Reply},
        faults::Effects,
    },
    Caller, Done, Refusal, agent_of, body, lists,
    offer::{Agent, Pipeline, PipelineStep},
    shapes,
    work::{self, Skill},
};
use crate::contract::schema::Schema;

/// How long a session token lives.
const TOKEN_LIVES: SignedDuration = SignedDuration::from_hours(1);

/// The events that can be subscribed to.
const EVENTS: [&str; 7] = [
    "run.completed",
    "run.failed",
    "deployment.created",
    "deployment.rollback",
    "alert.triggered",
    "agent.updated",
    "pipeline.completed",
];

/// How long a run of an agent that a request made takes, in seconds.
const SECONDS: f64 = 0.3;

/// Answers `GET /agents`.
pub(super) fn agents(emulator: &Emulator, call: &Call, effects: &Effects) -> Result<Done, Refusal> {
    let listed = emulator.airmy.offer.agents.values().filter(|agent| agent.access != Access::Foreign);
    let items = listed.map(|agent| shapes::agent(agent, true, effects)).collect();
    Ok(Done::Reply(Reply::json(200, lists::page(call, "agents", items, &emulator.origin, effects)?)))
}

/// Answers `GET /agents/{id}`.
pub(super) fn agent(emulator: &Emulator, caller: &Caller, id: &str, effects: &Effects) -> Result<Done, Refusal> {
    Ok(Done::Reply(Reply::json(200, shapes::agent(agent_of(emulator, caller, id)?, false, effects))))
}

/// Answers `POST /agents`.
pub(super) fn create_agent(
    emulator: &mut Emulator,
    call: &Call,
    effects: &Effects,
    now: Timestamp,
) -> Result<Done, Refusal> {
    let wanted = AgentWish::read(body(call)?)?;
    let name = wanted.name.ok_or_else(|| Refusal::new(400, "name is required"))?;
    let agent = Agent {
        id: emulator.airmy.new_id("ag_"),
        name,
        description: wanted.description,
        input_schema: wanted.input_schema,
        skill: Skill::Answer,
        seconds: SECONDS,
        access: Access::Template,
        created_at: now,
    };
    let reply = Reply::json(201, shapes::agent(&agent, false, effects));
    emulator.airmy.offer.agents.insert(agent.id.clone(), agent);
    Ok(Done::Reply(reply))
}

/// Answers `PATCH /agents/{id}`.
pub(super) fn update_agent(
    emulator: &mut Emulator,
    caller: &Caller,
    id: &str,
    call: &Call,
    effects: &Effects,
) -> Result<Done, Refusal> {
    let wanted = AgentWish::read(body(call)?)?;
    agent_of(emulator, caller, id)?;
    let agent = emulator.airmy.offer.agents.get_mut(id).expect("it was there a line ago");
    agent.name = wanted.name.unwrap_or_else(|| agent.name.clone());
    agent.description = wanted.description.or_else(|| agent.description.take());
    agent.input_schema = wanted.input_schema.or_else(|| agent.input_schema.take());
    Ok(Done::Reply(Reply::json(200, shapes::agent(agent, false, effects))))
}

/// Answers `DELETE /agents/{id}`.
pub(super) fn delete_agent(emulator: &mut Emulator, caller: &Caller, id: &str) -> Result<Done, Refusal> {
    agent_of(emulator, caller, id)?;
    emulator.airmy.offer.agents.shift_remove(id);
    Ok(Done::Reply(Reply::empty(204)))
}

/// What a request says of an agent.
struct AgentWish {
    name: Option<String>,
    description: Option<String>,
    input_schema: Option<Value>,
}

impl AgentWish {
    fn read(body: &Map<String, Value>) -> Result<Self, Refusal> {
        let name = text(body, "name")?;
        if name.as_deref() == Some("") {
            return Err(Refusal::new(400, "name must not be empty"));
        }
        let input_schema = match body.get("input_schema") {
            None => None,
            Some(schema @ Value::Object(_)) => {
                Schema::compile(schema).map_err(|wrong| {
                    Refusal::new(422, format!("{}: {}", wrong.place("input_schema"), wrong.message))
                })?;
                Some(schema.clone())
            }
            Some(_) => return Err(Refusal::new(400, "input_schema must be an object")),
        };
        Ok(Self { name, description: text(body, "description")?, input_schema })
    }
}

/// Answers `POST /pipelines`.
pub(super) fn create_pipeline(
    emulator: &mut Emulator,
    call: &Call,
    effects: &Effects,
    now: Timestamp,
) -> Result<Done, Refusal> {
    let body = body(call)?;
    let name = required_text(body, "name")?;
    let steps = body.get("steps").filter(|steps| steps.as_array().is_some_and(|steps| !steps.is_empty()));
    let steps = steps.ok_or_else(|| Refusal::new(400, "steps is required"))?;
    let steps: Vec<PipelineStep> =
        serde_json::from_value(steps.clone()).map_err(|error| Refusal::new(400, format!("steps: {error}")))?;
    if let Some(step) = steps.iter().find(|step| step.id.is_empty() || step.agent.is_empty()) {
        return Err(Refusal::new(400, format!("steps.{}: id and agent must not be empty", step.id)));
    }
    work::ordered(&steps).map_err(|wrong| Refusal::new(422, wrong))?;
    for step in &steps {
        if emulator.airmy.offer.agent_of_step(&step.agent).is_none() {
            return Err(Refusal::new(422, format!("steps.{}.agent: no agent is called {}", step.id, step.agent)));
        }
    }
    let pipeline = Pipeline { id: emulator.airmy.new_id("pl_"), name, steps, created_at: now };
    let reply = Reply::json(201, shapes::pipeline(&pipeline, effects));
    emulator.airmy.offer.pipelines.insert(pipeline.id.clone(), pipeline);
    Ok(Done::Reply(reply))
}

/// Answers `POST /auth/token`: a token that stands for the key for an hour.
pub(super) fn token(emulator: &mut Emulator, caller: &Caller, now: Timestamp) -> Done {
    let token = emulator.airmy.new_id("st-airmy-");
    let ends = now.checked_add(TOKEN_LIVES).unwrap_or(Timestamp::MAX);
    emulator.airmy.tokens.insert(token.clone(), (caller.clone(), ends));
    Done::Reply(Reply::json(200, json!({"token": token, "token_type": "Bearer", "expires_in": TOKEN_LIVES.as_secs()})))
}

/// Answers `POST /alerts`.
pub(super) fn alert(emulator: &mut Emulator, call: &Call, effects: &Effects, now: Timestamp) -> Result<Done, Refusal> {
    let name = required_text(body(call)?, "name")?;
    let id = emulator.airmy.new_id("al_");
    let created_at = shapes::time(now, effects);
    Ok(Done::Reply(Reply::json(201, json!({"id": id, "name": name, "active": true, "created_at": created_at}))))
}

/// Answers `POST /webhooks`. The secret is not echoed, and nothing is ever sent.
pub(super) fn webhook(
    emulator: &mut Emulator,
    call: &Call,
    effects: &Effects,
    now: Timestamp,
) -> Result<Done, Refusal> {
    let body = body(call)?;
    let url = required_text(body, "url")?;
    let events = body.get("events").and_then(Value::as_array).filter(|events| !events.is_empty());
    let events = events.ok_or_else(|| Refusal::new(400, "events is required"))?;
    if !is_url(&url) {
        return Err(Refusal::new(422, "url: must be an http(s) URL"));
    }
    if let Some(other) = events.iter().find(|event| !event.as_str().is_some_and(|event| EVENTS.contains(&event))) {
        return Err(Refusal::new(422, format!("events: {other} is no event")));
    }
    let active = body.get("active").and_then(Value::as_bool).unwrap_or(true);
    let id = emulator.airmy.new_id("wh_");
    let created_at = shapes::time(now, effects);
    let answer = json!({"id": id, "url": url, "events": events, "active": active, "created_at": created_at});
    Ok(Done::Reply(Reply::json(201, answer)))
}

fn text(body: &Map<String, Value>, key: &str) -> Result<Option<String>, Refusal> {
    match body.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Refusal::new(400, format!("{key} must be a string"))),
    }
}

fn required_text(body: &Map<String, Value>, key: &str) -> Result<String, Refusal> {
    let text = text(body, key)?.filter(|text| !text.is_empty());
    text.ok_or_else(|| Refusal::new(400, format!("{key} is required")))
}
