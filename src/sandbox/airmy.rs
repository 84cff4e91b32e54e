//! AIRMY's skin: its routes, its rules and its texts, over the job machine that all skins share.
//!
//! ```text
//! airmy ─▶ runs, deployments, making ─▶ shapes, lists     JSON
//! routes   what requests do          ─▶ offer, work       what there is, and what it answers
//! ```
//!
//! Written from the API's documents, which leave much open. The documented example is the default (a run ends within the request), what
//! is silent has the plain reading, and [`super::faults::Variant`]s give the others. That only HTTPS is taken is of no meaning here.

mod deployments;
mod lists;
mod making;
mod offer;
mod runs;
mod shapes;
mod work;

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use indexmap::IndexMap;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use self::{
    deployments::Deployment,
    offer::{Agent, Offer},
    runs::Repeats,
};
use super::{
    AIRMY_DEMO_KEY, Api, Settings,
    catalog::Access,
    emulator::{Body, Call, Emulator, Outcome, Reply},
    faults::{Door, Effects},
    headers::retry_after,
    jobs::Job,
    rate::{Bucket, Refill},
};
use crate::id::Digest;

/// The path that all of the API lies under.
pub(super) const BASE: &str = "/v2";

/// What the skin keeps beside the jobs.
#[derive(Debug)]
pub(super) struct State {
    offer: Offer,
    deployments: IndexMap<String, Deployment>,
    repeats: Repeats,
    /// Session tokens, with whom each stands for and its end.
    tokens: HashMap<String, (Caller, Timestamp)>,
    refill: Refill,
    buckets: BTreeMap<String, Bucket>,
    seed: u64,
    made: u64,
}

impl State {
    /// Begins with what the settings say.
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            offer: Offer::new(&settings.extra),
            deployments: IndexMap::new(),
            repeats: Repeats::default(),
            tokens: HashMap::new(),
            refill: settings.airmy_rate,
            buckets: BTreeMap::new(),
            seed: settings.seed,
            made: 0,
        }
    }

    /// Returns a new id that begins so.
    fn new_id(&mut self, prefix: &str) -> String {
        self.made += 1;
        let digest = Digest::of(format!("airmy {} {}", self.seed, self.made).as_bytes()).to_string();
        format!("{prefix}{}", digest[..16].to_uppercase())
    }
}

/// Who calls: an API key, and whether it is the demo key.
#[derive(Clone, Debug)]
struct Caller {
    key: String,
    demo: bool,
}

/// Says no.
#[derive(Debug)]
struct Refusal {
    status: u16,
    message: String,
    /// What `Retry-After` says.
    wait: Option<Duration>,
}

impl Refusal {
    fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), wait: None }
    }
}

/// What came of an operation.
#[derive(Debug)]
enum Done {
    Reply(Reply),
    /// A job was accepted; without a reply, its end is the reply.
    Submitted {
        job: String,
        reply: Option<Reply>,
    },
    /// A job of an earlier request is still under way; its end is the reply.
    Wait(String),
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Operation {
    Token,
    Agents,
    CreateAgent,
    Agent(String),
    UpdateAgent(String),
    DeleteAgent(String),
    Submit,
    Runs,
    Run(String),
    Cancel(String),
    CreatePipeline,
    Trigger(String),
    PipelineRuns(String),
    Deploy,
    Deployment(String),
    RollBack(String),
    DeploymentLogs(String),
    Metrics,
    Logs,
    Alert,
    Webhook,
}

impl Operation {
    fn of(method: &str, path: &str) -> Result<Self, Refusal> {
        let parts: Vec<_> = path.strip_prefix(BASE).unwrap_or_default().split('/').skip(1).collect();
        if parts.iter().any(|part| part.is_empty()) {
            return Err(Refusal::new(404, "Not found"));
        }
        let id = || parts.get(1).copied().unwrap_or_default().to_owned();
        Ok(match (parts.as_slice(), method) {
            (["auth", "token"], "POST") => Self::Token,
            (["agents"], "GET") => Self::Agents,
            (["agents"], "POST") => Self::CreateAgent,
            (["agents", _], "GET") => Self::Agent(id()),
            (["agents", _], "PATCH") => Self::UpdateAgent(id()),
            (["agents", _], "DELETE") => Self::DeleteAgent(id()),
            (["runs"], "POST") => Self::Submit,
            (["runs"], "GET") => Self::Runs,
            (["runs", _], "GET") => Self::Run(id()),
            (["runs", _], "DELETE") => Self::Cancel(id()),
            (["pipelines"], "POST") => Self::CreatePipeline,
            (["pipelines", _, "trigger"], "POST") => Self::Trigger(id()),
            (["pipelines", _, "runs"], "GET") => Self::PipelineRuns(id()),
            (["deployments"], "POST") => Self::Deploy,
            (["deployments", _], "GET") => Self::Deployment(id()),
            (["deployments", _, "rollback"], "POST") => Self::RollBack(id()),
            (["deployments", _, "logs"], "GET") => Self::DeploymentLogs(id()),
            (["metrics"], "GET") => Self::Metrics,
            (["logs"], "GET") => Self::Logs,
            (["alerts"], "POST") => Self::Alert,
            (["webhooks"], "POST") => Self::Webhook,
            (
                ["auth", "token"]
                | ["agents" | "runs" | "pipelines" | "deployments" | "metrics" | "logs" | "alerts" | "webhooks"]
                | ["agents" | "runs" | "deployments", _]
                | ["pipelines", _, "trigger" | "runs"]
                | ["deployments", _, "rollback" | "logs"],
                _,
            ) => return Err(Refusal::new(405, "Method not allowed")),
            _ => return Err(Refusal::new(404, "Not found")),
        })
    }
}

/// Returns which door a call comes through, and the names of the agent or pipeline that it is about.
pub(super) fn door(emulator: &Emulator, call: &Call) -> (Option<Door>, Vec<String>) {
    let offer = &emulator.airmy.offer;
    let agent = |id: &str| {
        let name = offer.agents.get(id).map(|agent| agent.name.clone());
        std::iter::once(id.to_owned()).chain(name).collect::<Vec<_>>()
    };
    let pipeline = |id: &str| {
        let name = offer.pipelines.get(id).map(|pipeline| pipeline.name.clone());
        std::iter::once(id.to_owned()).chain(name).collect::<Vec<_>>()
    };
    let named = || {
        let Body::Json(body) = &call.body else { return Vec::new() };
        body.get("agent_id").and_then(Value::as_str).map(agent).unwrap_or_default()
    };
    let of_job =
        |id: &str| emulator.jobs.get(id).filter(|job| job.api == Api::Airmy).map(Job::names).unwrap_or_default();
    let Ok(operation) = Operation::of(&call.method, &call.path) else { return (None, Vec::new()) };
    let (door, names) = match operation {
        Operation::Submit => (Door::Submit, named()),
        Operation::Trigger(id) => (Door::Submit, pipeline(&id)),
        Operation::Run(id) => (Door::Look, of_job(&id)),
        // The only way to see a pipeline run.
        Operation::PipelineRuns(id) => (Door::Look, pipeline(&id)),
        Operation::Runs => (Door::List, Vec::new()),
        Operation::Cancel(id) => (Door::Cancel, of_job(&id)),
        Operation::Agents => (Door::Catalog, Vec::new()),
        Operation::Agent(id) => (Door::Catalog, agent(&id)),
        Operation::Metrics => (Door::Account, Vec::new()),
        Operation::UpdateAgent(id) | Operation::DeleteAgent(id) => (Door::Other, agent(&id)),
        Operation::Deploy => (Door::Other, named()),
        Operation::Deployment(id) | Operation::RollBack(id) | Operation::DeploymentLogs(id) => {
            (Door::Other, deployments::agent(emulator, &id).map(agent).unwrap_or_default())
        }
        Operation::Token
        | Operation::CreateAgent
        | Operation::CreatePipeline
        | Operation::Logs
        | Operation::Alert
        | Operation::Webhook => (Door::Other, Vec::new()),
    };
    (Some(door), names)
}

/// Answers a call: key, rate, then what was asked for. `place` is the call's place in the log.
pub(super) fn serve(emulator: &mut Emulator, call: &Call, place: usize, effects: &Effects, now: Timestamp) -> Outcome {
    let headers: Vec<_> = shapes::request_id(place, effects).into_iter().collect();
    let mut reply = match answer(emulator, call, effects, now) {
        Ok(Done::Reply(reply)) => reply,
        Ok(Done::Wait(job)) => return Outcome::Wait { job, headers },
        Ok(Done::Submitted { job, reply }) => {
            emulator.note_job(place, &job);
            match reply {
                Some(reply) => reply,
                None => return Outcome::Wait { job, headers },
            }
        }
        Err(Refusal { status, message, wait }) => {
            let mut reply = shapes::error(status, &message, effects);
            reply.headers.extend(wait.and_then(|wait| retry_after(wait, effects, now)));
            reply
        }
    };
    reply.headers.extend(headers);
    Outcome::Reply(reply)
}

fn answer(emulator: &mut Emulator, call: &Call, effects: &Effects, now: Timestamp) -> Result<Done, Refusal> {
    let caller = admit(emulator, call, now)?;
    match Operation::of(&call.method, &call.path)? {
        Operation::Token => Ok(making::token(emulator, &caller, now)),
        Operation::Agents => making::agents(emulator, call, effects),
        Operation::CreateAgent => making::create_agent(emulator, call, effects, now),
        Operation::Agent(id) => making::agent(emulator, &caller, &id, effects),
        Operation::UpdateAgent(id) => making::update_agent(emulator, &caller, &id, call, effects),
        Operation::DeleteAgent(id) => making::delete_agent(emulator, &caller, &id),
        Operation::Submit => runs::submit(emulator, &caller, call, effects, now),
        Operation::Runs => runs::list(emulator, call, effects, now),
        Operation::Run(id) => runs::look(emulator, &id, effects, now),
        Operation::Cancel(id) => runs::cancel(emulator, &id, effects, now),
        Operation::CreatePipeline => making::create_pipeline(emulator, call, effects, now),
        Operation::Trigger(id) => runs::trigger(emulator, &caller, &id, call, effects, now),
        Operation::PipelineRuns(id) => runs::list_of_pipeline(emulator, &id, call, effects, now),
        Operation::Deploy => deployments::create(emulator, &caller, call, effects, now),
        Operation::Deployment(id) => deployments::look(emulator, &id, effects, now),
        Operation::RollBack(id) => deployments::roll_back(emulator, &id, effects, now),
        Operation::DeploymentLogs(id) => deployments::logs(emulator, &id, call, effects, now),
        Operation::Metrics => Ok(Done::Reply(Reply::json(200, json!({"data": runs::metrics(emulator)})))),
        Operation::Logs => logs(emulator, call, effects),
        Operation::Alert => making::alert(emulator, call, effects, now),
        Operation::Webhook => making::webhook(emulator, call, effects, now),
    }
}

/// Answers a run that has waited for its job, which is over now.
pub(super) fn ended(emulator: &Emulator, job: &Job, effects: &Effects) -> Reply {
    runs::ended(emulator, job, effects)
}

/// Returns an answer that says what is wrong, in the form that the API's document assumes.
pub(super) fn error(status: u16, message: &str, effects: &Effects) -> Reply {
    shapes::error(status, message, effects)
}

/// Answers `GET /logs`: the requests so far, the newest first.
fn logs(emulator: &Emulator, call: &Call, effects: &Effects) -> Result<Done, Refusal> {
    let own = emulator.log().filter(|request| request.api == Some(Api::Airmy));
    let mut items: Vec<_> = own
        .map(|request| {
            let at = shapes::time(request.at, effects);
            json!({"at": at, "method": request.method, "path": request.path, "status": request.status})
        })
        .collect();
    items.reverse();
    Ok(Done::Reply(Reply::json(200, lists::page(call, "logs", items, &emulator.origin, effects)?)))
}

fn admit(emulator: &mut Emulator, call: &Call, now: Timestamp) -> Result<Caller, Refusal> {
    let unauthorized = || Refusal::new(401, "API key missing or invalid");
    let given = call.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
    let given = given.ok_or_else(unauthorized)?;
    let caller = if let Some((caller, ends)) = emulator.airmy.tokens.get(given) {
        if now >= *ends {
            return Err(Refusal::new(401, "Session token has expired"));
        }
        caller.clone()
    } else if given == emulator.keys.of(Api::Airmy).expose() || given == AIRMY_DEMO_KEY {
        Caller { key: given.to_owned(), demo: given == AIRMY_DEMO_KEY }
    } else {
        return Err(unauthorized());
    };
    let state = &mut emulator.airmy;
    let bucket = state.buckets.entry(caller.key.clone()).or_insert_with(|| Bucket::new(state.refill, now));
    bucket.take(state.refill, now).map_err(|wait| Refusal {
        wait: Some(wait.max(Duration::from_secs(1))),
        ..Refusal::new(429, "Rate limit exceeded")
    })?;
    Ok(caller)
}

fn body(call: &Call) -> Result<&Map<String, Value>, Refusal> {
    match &call.body {
        Body::Json(Value::Object(body)) => Ok(body),
        Body::TooLarge => Err(Refusal::new(400, "Request body too large")),
        Body::Empty | Body::NoJson | Body::Json(_) => Err(Refusal::new(400, "The body must be a JSON object")),
    }
}

/// Returns an agent that the caller may use.
fn agent_of<'a>(emulator: &'a Emulator, caller: &Caller, id: &str) -> Result<&'a Agent, Refusal> {
    let agent = emulator.airmy.offer.agents.get(id).ok_or_else(|| Refusal::new(404, "Agent does not exist"))?;
    if may_use(caller, agent) { Ok(agent) } else { Err(Refusal::new(403, "Insufficient permissions")) }
}

/// Says whether an agent may be used: not one of another account, and one with private connectors not with the demo key.
fn may_use(caller: &Caller, agent: &Agent) -> bool {
    match agent.access {
        Access::Template => true,
        Access::Private => !caller.demo,
        Access::Foreign => false,
    }
}
