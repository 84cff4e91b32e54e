//! Deployments of agents: `deploying ─▶ active | failed`, and from anywhere `rolled_back`.
//!
//! A deployment of an agent that says of itself that it is unhealthy fails its health check. That is known from its birth, as with jobs:
//! nothing runs between two requests.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    super::{
        emulator::{Call, Emulator, Reply},
        faults::Effects,
    },
    Caller, Done, Refusal, agent_of, body, lists, shapes,
};

/// How long a deployment takes, in seconds, before `Settings::speed`.
const SECONDS: f64 = 0.5;

/// A deployment of an agent.
#[derive(Clone, Debug)]
pub(super) struct Deployment {
    id: String,
    agent: String,
    /// The number of the agent's deployments until this one.
    version: usize,
    unhealthy: bool,
    created_at: Timestamp,
    ready_at: Timestamp,
    rolled_back_at: Option<Timestamp>,
}

impl Deployment {
    fn status(&self, now: Timestamp) -> &'static str {
        if self.rolled_back_at.is_some() {
            "rolled_back"
        } else if now < self.ready_at {
            "deploying"
        } else if self.unhealthy {
            "failed"
        } else {
            "active"
        }
    }

    fn shape(&self, now: Timestamp, effects: &Effects) -> Value {
        let status = self.status(now);
        let mut answer = json!({
            "id": self.id,
            "agent_id": self.agent,
            "version": self.version,
            "status": status,
            "created_at": shapes::time(self.created_at, effects),
        });
        if now >= self.ready_at {
            answer["health"] = json!(if self.unhealthy { "unhealthy" } else { "healthy" });
        }
        if status == "failed" {
            answer["error"] = json!({"code": "unhealthy", "message": "The health check failed"});
        }
        if let Some(at) = self.rolled_back_at {
            answer["rolled_back_at"] = shapes::time(at, effects);
        }
        answer
    }

    fn logs(&self, now: Timestamp, effects: &Effects) -> Vec<Value> {
        let line = |at, message: &str| json!({"at": shapes::time(at, effects), "message": message});
        let mut lines = vec![line(self.created_at, "Deployment created")];
        if now >= self.ready_at {
            lines.push(line(self.ready_at, if self.unhealthy { "Health check failed" } else { "Health check passed" }));
        }
        lines.extend(self.rolled_back_at.map(|at| line(at, "Rolled back")));
        lines
    }
}

/// Answers `POST /deployments`.
pub(super) fn create(
    emulator: &mut Emulator,
    caller: &Caller,
    call: &Call,
    effects: &Effects,
    now: Timestamp,
) -> Result<Done, Refusal> {
    let id = body(call)?.get("agent_id").and_then(Value::as_str).filter(|id| !id.is_empty());
    let agent = agent_of(emulator, caller, id.ok_or_else(|| Refusal::new(400, "agent_id is required"))?)?;
    let (agent, unhealthy) = (agent.id.clone(), agent.is_unhealthy());
    let takes = SignedDuration::try_from(emulator.span(SECONDS)).unwrap_or(SignedDuration::MAX);
    let state = &mut emulator.airmy;
    let deployment = Deployment {
        id: state.new_id("dep_"),
        version: state.deployments.values().filter(|other| other.agent == agent).count() + 1,
        agent,
        unhealthy,
        created_at: now,
        ready_at: now.checked_add(takes).unwrap_or(Timestamp::MAX),
        rolled_back_at: None,
    };
    let reply = Reply::json(201, deployment.shape(now, effects));
    state.deployments.insert(deployment.id.clone(), deployment);
    Ok(Done::Reply(reply))
}

/// Answers `GET /deployments/{id}`.
pub(super) fn look(emulator: &Emulator, id: &str, effects: &Effects, now: Timestamp) -> Result<Done, Refusal> {
    let deployment = emulator.airmy.deployments.get(id).ok_or_else(none)?;
    Ok(Done::Reply(Reply::json(200, deployment.shape(now, effects))))
}

/// Answers `POST /deployments/{id}/rollback`; a second one changes nothing.
pub(super) fn roll_back(emulator: &mut Emulator, id: &str, effects: &Effects, now: Timestamp) -> Result<Done, Refusal> {
    let deployment = emulator.airmy.deployments.get_mut(id).ok_or_else(none)?;
    deployment.rolled_back_at.get_or_insert(now);
    Ok(Done::Reply(Reply::json(200, deployment.shape(now, effects))))
}

/// Answers `GET /deployments/{id}/logs`, which is a stream in the product and a list here.
pub(super) fn logs(
    emulator: &Emulator,
    id: &str,
    call: &Call,
    effects: &Effects,
    now: Timestamp,
) -> Result<Done, Refusal> {
    let deployment = emulator.airmy.deployments.get(id).ok_or_else(none)?;
    let lines = deployment.logs(now, effects);
    Ok(Done::Reply(Reply::json(200, lists::page(call, "logs", lines, &emulator.origin, effects)?)))
}

/// Returns the agent of a deployment.
pub(super) fn agent<'a>(emulator: &'a Emulator, id: &str) -> Option<&'a str> {
    emulator.airmy.deployments.get(id).map(|deployment| deployment.agent.as_str())
}

fn none() -> Refusal {
    Refusal::new(404, "Deployment does not exist")
}
