//! AIMP's skin: its routes, its rules and its texts, over the job machine that all skins share.
//!
//! ```text
//! marketplace ─▶ contract      media: init ─▶ storage (no key!) ─▶ complete ─▶ media_ref
//!                    └───────────────▶ request ─▶ work ─▶ job ─▶ shapes ◀──────┘
//! ```
//!
//! The documents say what to send and nearly nothing of what comes back, so requests are held to the letter, and answers have one plain
//! form and, by [`Variant`]s, all others that a client must bear. What must stay true: a key comes in `X-API-Key` or not at all; nothing
//! but the six documented fields is taken; without a variant, every answer is one that the API's document allows.

mod marketplace;
mod media;
mod models;
mod refusal;
mod request;
mod shapes;
mod work;

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use self::{
    models::{Models, Work},
    refusal::Refusal,
    work::{Indexes, Seen},
};
use super::{
    AIMP_READER_KEY, Api, Settings,
    api::FILES,
    emulator::{Call, Emulator, Outcome, Reply, Wish},
    faults::{Door, Effects, Variant},
    headers::{rate, retry_after},
    jobs::Job,
    rate::Standing,
    storage::{STAGED, Storage, Stored, UPLOADS},
};
use crate::job::JobState;

/// The path that all of the API lies under.
pub(super) const BASE: &str = "/api";

/// What the skin keeps beside the jobs.
#[derive(Debug)]
pub(super) struct State {
    models: Models,
    indexes: Indexes,
    /// Uploads, and files that were staged.
    pub(super) storage: Storage,
    /// The requests that a key may make in a minute.
    limit: u32,
    /// The variants that have happened, of those that happen once.
    happened: BTreeSet<Variant>,
}

impl State {
    /// Begins with what the settings say.
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            models: Models::new(&settings.extra_aimp),
            indexes: Indexes::default(),
            storage: Storage::new(settings.seed),
            limit: settings.aimp_requests_per_minute,
            happened: BTreeSet::new(),
        }
    }

    /// Says whether a variant happens now that happens to the first request alone.
    fn once(&mut self, variant: Variant, effects: &Effects) -> bool {
        effects.has(variant) && self.happened.insert(variant)
    }
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Operation {
    Run,
    /// A look at a run, under its own path or under the one that a link names.
    Look {
        id: String,
        linked: bool,
    },
    Models,
    Model(String),
    BeginUpload,
    CompleteUpload,
    Wallet,
    Usage,
}

impl Operation {
    fn of(method: &str, path: &str) -> Result<Self, Refusal> {
        let path = path.strip_prefix(BASE).unwrap_or(path);
        let parts: Vec<_> = path.split('/').skip(1).collect();
        let (wanted, operation) = match parts.as_slice() {
            ["runs"] => ("POST", Self::Run),
            ["runs", id] if !id.is_empty() => ("GET", Self::Look { id: (*id).to_owned(), linked: false }),
            ["runs", id, "status"] if !id.is_empty() => ("GET", Self::Look { id: (*id).to_owned(), linked: true }),
            ["marketplace", "models"] => ("GET", Self::Models),
            ["marketplace", "models", slug] if !slug.is_empty() => ("GET", Self::Model((*slug).to_owned())),
            ["media", "upload", "init"] => ("POST", Self::BeginUpload),
            ["media", "upload", "complete"] => ("POST", Self::CompleteUpload),
            ["billing", "wallet"] => ("GET", Self::Wallet),
            ["billing", "usage", "summary"] => ("GET", Self::Usage),
            _ => return Err(Refusal::new(404, "not_found", "Not found")),
        };
        if method == wanted {
            Ok(operation)
        } else {
            Err(Refusal::new(405, "method_not_allowed", "Method not allowed"))
        }
    }
}

/// Returns which door a call below [`BASE`] comes through, and the names of the model that it is about.
pub(super) fn door(emulator: &Emulator, call: &Call) -> (Option<Door>, Vec<String>) {
    let named = |name: &str| match emulator.aimp.models.find(name) {
        Ok(model) => vec![model.slug.clone(), model.id.clone(), model.name().to_owned()],
        Err(_) => vec![name.to_owned()],
    };
    match Operation::of(&call.method, call.path.trim_end_matches('/')) {
        Err(_) => (None, Vec::new()),
        Ok(Operation::Run) => {
            let model = request::object(call).ok().and_then(|body| body.get("model")?.as_str());
            (Some(Door::Submit), model.map(named).unwrap_or_default())
        }
        Ok(Operation::Look { id, .. }) => {
            let job = emulator.jobs.get(&id).filter(|job| job.api == Api::Aimp);
            (Some(Door::Look), job.map(|job| named(&job.target().id)).unwrap_or_default())
        }
        Ok(Operation::Model(slug)) => (Some(Door::Catalog), named(&slug)),
        Ok(Operation::Models) => (Some(Door::Catalog), Vec::new()),
        Ok(Operation::BeginUpload | Operation::CompleteUpload) => (Some(Door::Upload), Vec::new()),
        Ok(Operation::Wallet | Operation::Usage) => (Some(Door::Account), Vec::new()),
    }
}

/// Answers a call below [`BASE`]: redirects, key, rate, then what was asked for. `place` is the call's place in the log.
pub(super) fn serve(emulator: &mut Emulator, call: &Call, place: usize, effects: &Effects, now: Timestamp) -> Outcome {
    if let Some(reply) = redirect(call, &emulator.origin, effects) {
        return Outcome::Reply(reply);
    }
    let standing = match admit(emulator, call, effects, now) {
        Ok(standing) => standing,
        Err(refusal) => return Outcome::Reply(refusal.reply(effects)),
    };
    let slashes = effects.has(Variant::Slash301) || effects.has(Variant::Slash308);
    let path = if slashes { call.path.trim_end_matches('/') } else { &call.path };
    let outcome = match Operation::of(&call.method, path) {
        Ok(Operation::Run) => run(emulator, call, place, effects, now),
        Ok(operation) => answer(emulator, &operation, call, effects, now).map(Outcome::Reply),
        Err(refusal) => Err(refusal),
    };
    let mut outcome = outcome.unwrap_or_else(|refusal| Outcome::Reply(refusal.reply(effects)));
    match &mut outcome {
        Outcome::Reply(Reply { headers, .. }) | Outcome::Wait { headers, .. } => {
            headers.extend(rate(standing, effects, now));
        }
    }
    outcome
}

/// Answers a run that has waited for its job, which is over now.
pub(super) fn ended(emulator: &Emulator, job: &Job, effects: &Effects) -> Reply {
    if job.state == JobState::Failed && effects.has(Variant::FailureAsError) {
        return error(502, job.error.as_deref().unwrap_or("Runtime failure"), effects);
    }
    shapes::ended(job, &emulator.origin, effects)
}

/// Returns an answer that says what is wrong, in the form that the API's document assumes.
pub(super) fn error(status: u16, message: &str, effects: &Effects) -> Reply {
    let code = match status {
        401 => "unauthorized",
        402 => "payment_required",
        403 => "forbidden",
        404 => "not_found",
        409 => "conflict",
        429 => "rate_limited",
        500.. => "upstream_failure",
        _ => "invalid_request",
    };
    Refusal::new(status, code, message).reply(effects)
}

/// Returns the door of a call below `/files/` that is about something which the skin keeps there: an upload, a staged file. None where the
/// path is one of an output.
pub(super) fn file_door(call: &Call) -> Option<Door> {
    match call.path.strip_prefix(FILES)?.split('/').next()? {
        UPLOADS => Some(Door::Upload),
        STAGED => Some(Door::File),
        _ => None,
    }
}

/// Answers a call below `/files/` for which [`file_door`] has a door, whatever its method.
pub(super) fn file(emulator: &mut Emulator, call: &Call) -> Reply {
    emulator.aimp.storage.serve(call)
}

/// Sends a request elsewhere, as gateways do before they know who asks.
fn redirect(call: &Call, origin: &str, effects: &Effects) -> Option<Reply> {
    let query = call.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let bare = !call.path.ends_with('/');
    let (status, location) = if effects.has(Variant::ForeignRedirect) && call.method == "GET" {
        (307, format!("{}{}{query}", shapes::foreign(origin), call.path))
    } else if effects.has(Variant::Slash301) && bare {
        (301, format!("{}/{query}", call.path))
    } else if effects.has(Variant::Slash308) && bare {
        (308, format!("{}/{query}", call.path))
    } else {
        return None;
    };
    Some(Reply { headers: vec![("Location", location)], ..Reply::empty(status) })
}

fn admit(emulator: &mut Emulator, call: &Call, effects: &Effects, now: Timestamp) -> Result<Standing, Refusal> {
    let unauthorized = |detail: &str| Refusal::new(401, "unauthorized", detail);
    if call.header("authorization").is_some() {
        let detail = "Authorization is for signed-in browser sessions: send an API key as X-API-Key, and nothing as a bearer token";
        return Err(unauthorized(detail));
    }
    let key = call.header("x-api-key").filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| unauthorized("Missing or invalid authentication"))?;
    let may_write = key == emulator.keys.of(Api::Aimp).expose();
    if !may_write && key != AIMP_READER_KEY {
        return Err(unauthorized("Missing or invalid authentication"));
    }
    let limit = emulator.aimp.limit;
    let window = emulator.windows.entry((Api::Aimp, key.to_owned())).or_default();
    let standing = window.take(limit, now).map_err(|wait| {
        let mut refusal = Refusal::new(429, "rate_limited", "Rate limit exceeded");
        refusal.headers.extend(retry_after(wait.max(Duration::from_secs(1)), effects, now));
        refusal.headers.extend(rate(Standing { limit, remaining: 0, reset: wait }, effects, now));
        refusal
    })?;
    if call.method == "POST" && !may_write {
        let mut refusal = Refusal::new(403, "forbidden", "The credential lacks permission");
        refusal.headers.extend(rate(standing, effects, now));
        return Err(refusal);
    }
    Ok(standing)
}

/// Answers all but runs.
fn answer(
    emulator: &mut Emulator,
    operation: &Operation,
    call: &Call,
    effects: &Effects,
    now: Timestamp,
) -> Result<Reply, Refusal> {
    let origin = emulator.origin.clone();
    let created = if effects.has(Variant::Created) { 201 } else { 200 };
    let (status, body) = match operation {
        Operation::Look { id, linked } => {
            let elsewhere = [Variant::LocationHeader, Variant::LinksSelf, Variant::StatusUrl, Variant::Empty202];
            let hidden = !linked && elsewhere.into_iter().any(|variant| effects.has(variant));
            let job = emulator.jobs.look(Api::Aimp, id, now).filter(|_| !hidden);
            let job = job.ok_or_else(|| Refusal::new(404, "run_not_found", "Run not found"))?;
            return Ok(shapes::looked(job, &origin, effects));
        }
        Operation::Models => {
            let models = emulator.aimp.models.listed();
            (200, marketplace::list(&models, call.query.as_deref(), &origin, effects)?)
        }
        Operation::Model(slug) => {
            let model = request::model(&emulator.aimp.models, slug)?;
            (200, marketplace::detail(model, effects))
        }
        Operation::BeginUpload => {
            let expired = emulator.aimp.once(Variant::UploadExpired, effects);
            let body = request::object(call)?;
            (created, media::begin(&mut emulator.aimp.storage, body, &origin, expired, effects)?)
        }
        Operation::CompleteUpload => {
            let lost = emulator.aimp.once(Variant::NotUploaded, effects);
            (created, media::complete(&mut emulator.aimp.storage, request::object(call)?, lost, effects)?)
        }
        Operation::Wallet => (200, wallet(emulator, effects)),
        Operation::Usage => (200, usage(emulator, effects)),
        Operation::Run => unreachable!("runs have a function of their own"),
    };
    Ok(Reply::json(status, body))
}

fn wallet(emulator: &Emulator, effects: &Effects) -> Value {
    let left = emulator.jobs.purse(Api::Aimp).left;
    let balance = if effects.has(Variant::MoneyAsNumber) { json!(left) } else { json!(shapes::money(left)) };
    let status = if effects.has(Variant::WalletSuspended) { "suspended" } else { "active" };
    let wallet = json!({"balance": balance, "currency": shapes::CURRENCY, "status": status});
    if effects.has(Variant::AccountInData) { json!({ "data": wallet }) } else { wallet }
}

fn usage(emulator: &Emulator, effects: &Effects) -> Value {
    let spent = emulator.jobs.purse(Api::Aimp).spent;
    let cost = if effects.has(Variant::MoneyAsNumber) { json!(spent) } else { json!(shapes::money(spent)) };
    let runs = emulator.jobs.all().iter().filter(|job| job.api == Api::Aimp).count();
    let usage = json!({"total_runs": runs, "total_cost": cost, "currency": shapes::CURRENCY});
    if effects.has(Variant::AccountInData) { json!({ "data": usage }) } else { usage }
}

/// Runs a model: all checks, then the work, then the job.
fn run(
    emulator: &mut Emulator,
    call: &Call,
    place: usize,
    effects: &Effects,
    now: Timestamp,
) -> Result<Outcome, Refusal> {
    let asked = request::read(call)?;
    let left = emulator.jobs.purse(Api::Aimp).left;
    let State { models, indexes, storage, happened, .. } = &mut emulator.aimp;
    let model = request::model(models, asked.model)?;
    let references = request::check(model, &asked, effects.has(Variant::MediaObjects))?;
    let mut seen = Vec::new();
    let forgets =
        !references.is_empty() && effects.has(Variant::MediaForgotten) && happened.insert(Variant::MediaForgotten);
    for (field, reference) in &references {
        if forgets {
            storage.forget(reference);
        }
        let unknown = || Refusal::field("unknown_media", field, format!("Unknown media_ref {reference} in {field}"));
        seen.push(storage.media(reference).map(Seen::from).ok_or_else(unknown)?);
    }
    let payment = |detail: &str| Refusal::new(402, "payment_required", detail);
    if effects.has(Variant::WalletSuspended) {
        return Err(payment("The workspace wallet is not active"));
    }
    let price = model.product.cost;
    if price > left {
        let (price, left) = (shapes::money(price), shapes::money(left));
        return Err(payment(&format!(
            "The workspace wallet cannot pay for this run: it costs {price}, and {left} is left"
        )));
    }
    // What fails must not be found by a later search.
    let fails = effects.fate.fails.is_some();
    let output = if fails { Value::Null } else { work::perform(model, &asked, &seen, indexes) };
    let mut beside = Map::new();
    let maps = [("params", asked.params), ("options", asked.options)];
    beside.insert("mode".to_owned(), json!(asked.mode));
    beside.extend(asked.scope.map(|scope| ("scope".to_owned(), json!(scope))));
    beside.extend(maps.into_iter().filter_map(|(key, map)| Some((key.to_owned(), Value::Object(map?.clone())))));
    beside.insert("answer".to_owned(), json!(answer_of(model.work)));
    beside.insert("output".to_owned(), output);
    let waits = if model.long { effects.has(Variant::Synchronous) } else { !effects.has(Variant::Asynchronous) };
    let product = std::sync::Arc::clone(&model.product);
    let wish = Wish { api: Api::Aimp, prefix: "run_", product, inputs: asked.input.clone(), beside };
    let job =
        emulator.submit(wish, effects, now).map_err(|_| payment("The workspace wallet cannot pay for this run"))?;
    emulator.note_job(place, &job.id);
    Ok(if waits {
        Outcome::Wait { job: job.id, headers: Vec::new() }
    } else {
        Outcome::Reply(shapes::accepted(&job, &emulator.origin, effects))
    })
}

/// Returns what the answer to a run is made of.
fn answer_of(work: Work) -> &'static str {
    match work {
        Work::Echo | Work::Search | Work::Caption | Work::Open => "json",
        Work::File => "file",
        Work::Poem => "text",
        Work::Bytes => "bytes",
    }
}

impl From<&Stored> for Seen {
    fn from(stored: &Stored) -> Self {
        Self { size: stored.bytes.len(), content_type: stored.content_type.clone(), digest: stored.digest() }
    }
}
