//! AIRMY: agents and pipelines behind one key, every call a run.
//!
//! The glue between [`Provider`] and the shared client. What an answer means is read by pure functions, `read` for runs and lists,
//! `contract` for what agents take; both follow the rule that AIRMY's documents leave much open: take every form that may occur,
//! and fail only where nothing sensible can be made of an answer.
//!
//! What the documents promise is about agents: a run submitted twice with one key is one run. Of a pipeline they only say how to
//! start it and where its runs are listed. So the key goes with a trigger too, but nothing is built on it: a lost trigger is not sent
//! again ([`Provider::is_idempotent`]), it is looked for among the pipeline's runs ([`Provider::recent_of`]); a run of it is seen in that
//! list alone; and it can be called off only if `DELETE /runs/{id}` happens to know it.
//!
//! What must stay true: a submit is one request, sent once, and one attempt has one key; whether a run was synchronous is told by
//! the answer's `status` and `output` alone; no list is followed without end, and none to another host.

mod contract;
mod read;

use std::time::Duration;

use futures_util::{
    FutureExt as _,
    future::{self, BoxFuture},
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{
    contract::Contract,
    job::{Fault, FaultKind, IdempotencyKey, Job, JobHandle, JobRequest, JobStatus, Submitted, Target, TargetKind},
    provider::{
        Account, Answer, Cancelled, LocalFile, MediaRef, Promises, Provider, Rate, RateHint, Recent, Wanted,
        http::{
            self, Ask, Client, ClientProblem, ClientSettings, Credential, LIST_LIMIT, Method, Reach, Reply,
            SUBMIT_TIMEOUT, To, bounded, of_json, one_line,
        },
        json::{self, Next, is_segment, malformed, rejected},
        status::StatusWords,
        told::Told,
    },
    secret::{Redactor, Secret},
    world::World,
};

/// The most pages of a list that are read. Nothing is said of their size; at a usual 20 this is a thousand items.
const MOST_PAGES: usize = 50;

/// The longest key that is sent as it is; what is longer, or no visible ASCII, is sent as its digest. The usual bound of such headers.
const LONGEST_KEY: usize = 255;

/// What to wait after a 429 without `Retry-After`: the documents name no window, and the engine waits longer each time.
const AFTER_429: Duration = Duration::from_secs(1);

/// Where AIRMY is.
pub const BASE_URL: &str = "https://api.airmy.dev/v2";

/// The header that the idempotency key goes in, unless another is given; the documents do not name it.
pub const IDEMPOTENCY_HEADER: &str = "Idempotency-Key";

/// The name that a pipeline's input goes under, unless another is given; the documents do not name it.
pub const INPUT_WRAPPER: &str = "input";

/// The rate of the smallest plan, by the documents. The server's 429 is the truth where a key has a larger one.
pub const FREE_RATE: Rate = Rate { per_minute: 100, burst: 150 };

/// What an AIRMY provider is built from.
#[derive(Clone, Debug)]
pub struct AirmySettings {
    /// The URL that `/agents` and the rest stand under.
    pub base_url: String,
    /// The API key.
    pub key: Secret,
    /// What else to redact in answers: the workflow's secrets.
    pub redactor: Redactor,
    /// Whether a base URL outside this machine may be plain `http`.
    pub allow_http: bool,
    /// How long a submit may take: the documented answer carries the finished run.
    pub submit_timeout: Duration,
    /// The header that the idempotency key goes in; empty where none is to be sent.
    pub idempotency_header: String,
    /// The name that a pipeline's input goes under; empty where the input is the body.
    pub input_wrapper: String,
    /// Status words beside the usual ones.
    pub status_words: StatusWords,
    /// Whether a pipeline's run is looked at like an agent's, by `GET /runs/{id}`, before its pipeline's list is read.
    pub look_at_runs: bool,
    /// The rate of the key's plan; [`FREE_RATE`] where it is not said.
    pub rate: Option<Rate>,
}

impl AirmySettings {
    /// Returns the settings of AIRMY itself with this key.
    #[must_use]
    pub fn new(key: Secret) -> Self {
        Self {
            base_url: BASE_URL.to_owned(),
            key,
            redactor: Redactor::default(),
            allow_http: false,
            submit_timeout: SUBMIT_TIMEOUT,
            idempotency_header: IDEMPOTENCY_HEADER.to_owned(),
            input_wrapper: INPUT_WRAPPER.to_owned(),
            status_words: StatusWords::default(),
            look_at_runs: false,
            rate: None,
        }
    }
}

/// One AIRMY account, seen through one key.
#[derive(Clone, Debug)]
pub struct Airmy {
    client: Client,
    submit_timeout: Duration,
    /// In lower case; none where no key is to be sent.
    idempotency_header: Option<String>,
    input_wrapper: String,
    words: StatusWords,
    look_at_runs: bool,
    rate: Rate,
}

impl Airmy {
    /// Builds the provider; sends nothing.
    ///
    /// # Errors
    ///
    /// Where the base URL, the key, the idempotency header's name, or the environment's proxy cannot be used.
    pub fn new(settings: AirmySettings, world: World) -> Result<Self, ClientProblem> {
        let idempotency_header = match settings.idempotency_header.trim() {
            "" => None,
            name => Some(http::header_name(name)?),
        };
        let credential = Credential { header: "authorization", prefix: "Bearer ", key: settings.key };
        let client = ClientSettings {
            credential: Some(credential),
            redactor: settings.redactor,
            allow_http: settings.allow_http,
            ..ClientSettings::new(settings.base_url)
        };
        Ok(Self {
            client: Client::new(client, world)?,
            submit_timeout: settings.submit_timeout,
            idempotency_header,
            input_wrapper: settings.input_wrapper,
            words: settings.status_words,
            look_at_runs: settings.look_at_runs,
            rate: settings.rate.unwrap_or(FREE_RATE),
        })
    }

    /// Returns a request for JSON; a stream of events is never asked for.
    fn ask(method: Method, to: To<'_>) -> Ask<'_> {
        Ask { headers: vec![("accept", "application/json".to_owned())], ..Ask::new(method, to) }
    }

    async fn get(&self, told: &mut Told, to: To<'_>) -> Result<Reply, Fault> {
        told.take(self.client.send(Self::ask(Method::GET, to)).await)
    }

    /// Reads a list page by page, as long as `take` wants another, and says whether it was read to its end; none where the answers
    /// say nothing of that.
    async fn pages(
        &self,
        told: &mut Told,
        path: &[&str],
        names: &[&str],
        mut take: impl FnMut(&[Value]) -> bool + Send,
    ) -> Result<Option<bool>, Fault> {
        let mut asked: Vec<Next> = Vec::new();
        let mut read = 0;
        loop {
            let reply = match asked.last() {
                None => self.get(told, To::Path(path, &[])).await?,
                Some(Next::Parameter(name, value)) => {
                    self.get(told, To::Path(path, &[(*name, value.as_str())])).await?
                }
                Some(Next::Link(link)) => self.get(told, To::Link(link)).await?,
            };
            let Some(page) = json::page(&reply.body, names) else {
                return Err(malformed(&format!("GET /{}", path.join("/")), &reply, "no list in it"));
            };
            read += reply.length;
            let wants_more = take(page.items) && read <= LIST_LIMIT;
            match page.next {
                // A link to another host is a wrong turn of the API's; what was read until there still holds.
                Some(next)
                    if wants_more && asked.len() + 1 < MOST_PAGES && !asked.contains(&next) && self.is_own(&next) =>
                {
                    asked.push(next);
                }
                Some(_) => return Ok(Some(false)),
                // A page after others that names no further one is the last.
                None => return Ok(page.more.map(|more| !more).or((!asked.is_empty()).then_some(true))),
            }
        }
    }

    fn is_own(&self, next: &Next) -> bool {
        match next {
            Next::Link(link) => self.client.may_follow(link),
            Next::Parameter(..) => true,
        }
    }

    /// Reads all agents, as the list shows them.
    async fn agents(&self, told: &mut Told) -> Result<(Vec<Contract>, Option<bool>), Fault> {
        let mut agents = Vec::new();
        let take = |items: &[Value]| {
            agents.extend(items.iter().filter_map(|item| contract::of_agent(item, None)));
            true
        };
        let whole = self.pages(told, &["agents"], &contract::AGENT_LISTS, take).await?;
        Ok((agents, whole))
    }

    /// Reads the agent with this id; none where there is no such, or where it cannot be an id.
    async fn agent(&self, told: &mut Told, id: &str) -> Result<Option<Contract>, Fault> {
        if !is_segment(id) {
            return Ok(None);
        }
        match self.get(told, To::Path(&["agents", id], &[])).await {
            // What answers to the id and has another is not what was asked for: a name is looked up in the list, whole.
            Ok(reply) => Ok(contract::of_agent(&reply.body, Some(id)).filter(|agent| agent.target.id == id)),
            Err(fault) if matches!(fault.status, Some(400 | 404 | 410 | 422)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Reads agents by id or exact name. Two of one name are both returned; for a name that is not there, all that are.
    async fn named_agents(&self, told: &mut Told, names: &[&str]) -> Result<Vec<Contract>, Fault> {
        let (mut found, mut unknown) = (Vec::new(), Vec::new());
        for name in names {
            match self.agent(told, name).await? {
                Some(agent) => found.push(agent),
                None => unknown.push(*name),
            }
        }
        if unknown.is_empty() {
            return Ok(found);
        }
        let (listed, whole) = self.agents(told).await?;
        let mut nowhere = false;
        for name in unknown {
            let matches: Vec<_> = listed.iter().filter(|agent| agent.name == name || agent.target.id == name).collect();
            match matches[..] {
                [] if whole == Some(false) => {
                    return rejected(format!(
                        "`{}` is not among the {} agents that AIRMY listed, and there are more; name the agent by its id",
                        bounded(one_line(name)),
                        listed.len()
                    ));
                }
                [] => nowhere = true,
                // A list's item may show less than the agent itself.
                [agent] if agent.unchecked => {
                    let itself = self.agent(told, &agent.target.id).await?;
                    found.push(Contract { name: agent.name.clone(), ..itself.unwrap_or_else(|| agent.clone()) });
                }
                _ => found.extend(matches.into_iter().cloned()),
            }
        }
        // What is known best stands first: a list's item hides nothing of an agent that was read itself, for whatever name.
        if nowhere {
            found.extend(listed);
        }
        let mut seen = std::collections::HashSet::new();
        found.retain(|agent| seen.insert(agent.target.clone()));
        Ok(found)
    }

    async fn contracts(&self, told: &mut Told, wanted: &Wanted) -> Result<Vec<Contract>, Fault> {
        let mut contracts = match wanted {
            Wanted::Kinds(kinds) if kinds.contains(&TargetKind::Agent) => self.agents(told).await?.0,
            Wanted::Kinds(_) => Vec::new(),
            Wanted::Named(_) => {
                let names: Vec<_> = wanted.names(TargetKind::Agent).collect();
                self.named_agents(told, &names).await?
            }
        };
        contracts.extend(wanted.names(TargetKind::Pipeline).map(|id| {
            let target = Target { kind: TargetKind::Pipeline, id: id.to_owned() };
            Contract::unchecked(target, id)
        }));
        Ok(contracts)
    }

    async fn run(&self, told: &mut Told, job: &JobRequest, key: &IdempotencyKey) -> Result<Submitted, Fault> {
        let (target, inputs) = (&job.target, &job.inputs);
        let trigger = ["pipelines", target.id.as_str(), "trigger"];
        let (path, body) = match target.kind {
            TargetKind::Agent => (&["runs"][..], json!({"agent_id": target.id, "input": inputs})),
            TargetKind::Pipeline if !is_segment(&target.id) => return rejected(not_an_id(&target.id, "pipeline")),
            TargetKind::Pipeline if self.input_wrapper.is_empty() => (&trigger[..], Value::Object(inputs.clone())),
            TargetKind::Pipeline => {
                let wrapped = Map::from_iter([(self.input_wrapper.clone(), Value::Object(inputs.clone()))]);
                (&trigger[..], Value::Object(wrapped))
            }
            _ => return rejected(format!("AIRMY runs agents and pipelines, not the {target}")),
        };
        let mut ask = Self::ask(Method::POST, To::Path(path, &[]));
        ask.headers.extend(self.idempotency_header.as_deref().map(|name| (name, header_key(key))));
        let ask = Ask { body: Some(&body), timeout: self.submit_timeout, accept: &[409, 422], ..ask };
        let request = format!("POST /{}", path.join("/"));
        let reply = told.take(self.client.send(ask).await).map_err(|fault| match fault.kind {
            // A refusal is one also where its body is no JSON.
            FaultKind::Malformed if matches!(fault.status, Some(409 | 422)) => {
                Fault { kind: FaultKind::Rejected, ..fault }
            }
            _ => fault,
        })?;
        let (id, status) = match reply.status {
            409 | 422 => match read::conflicting(&reply.body, &self.words, target).filter(|_| reply.status == 409) {
                Some((id, status)) => (Some(id), status),
                None => return Err(refused(&request, &reply)),
            },
            _ => {
                let seen = read::run(&reply.body, &self.words, Some(target));
                (seen.id, seen.status)
            }
        };
        match id {
            Some(job) if is_segment(&job.0) => Ok(Submitted { job, status, look_at: None }),
            _ => Err(malformed(&request, &reply, "no usable run id in it")),
        }
    }

    /// Looks at one run by its id.
    async fn look_at_run(&self, told: &mut Told, job: &Job) -> Result<JobStatus, Fault> {
        let id = &job.id;
        let reply = self.get(told, To::Path(&["runs", &id.0], &[])).await?;
        let request = format!("GET /runs/{id}");
        let seen = read::run(&reply.body, &self.words, Some(&job.target));
        match seen.id {
            // Somebody else's output must never become this run's.
            Some(other) if other != *id => {
                Err(malformed(&request, &reply, &format!("another run in it, `{}`", bounded(one_line(&other.0)))))
            }
            _ if !reply.body.is_object() => Err(malformed(&request, &reply, "no run in it")),
            _ => Ok(seen.status),
        }
    }

    /// Looks for runs in one list, and returns those that it shows.
    async fn look_in(
        &self,
        told: &mut Told,
        path: &[&str],
        wanted: &[&Job],
    ) -> Result<Vec<(JobHandle, JobStatus)>, Fault> {
        let mut found: Vec<(JobHandle, JobStatus)> = Vec::new();
        let take = |items: &[Value]| {
            for item in items {
                let seen = read::run(item, &self.words, wanted.first().map(|job| &job.target));
                if let Some(id) = seen.id
                    && wanted.iter().any(|job| job.id == id)
                    && found.iter().all(|(known, _)| *known != id)
                {
                    found.push((id, seen.status));
                }
            }
            found.len() < wanted.len()
        };
        self.pages(told, path, &read::RUN_LISTS, take).await?;
        Ok(found)
    }

    async fn look_at(&self, told: &mut Told, jobs: &[Job]) -> Result<Vec<(JobHandle, JobStatus)>, Fault> {
        for job in jobs {
            judge(job)?;
        }
        let is_agent = |job: &&Job| job.target.kind == TargetKind::Agent;
        let mut found = match (jobs, jobs.iter().filter(is_agent).collect::<Vec<_>>()) {
            ([job], _) => return self.look_at_one(told, job).await.map(|status| vec![(job.id.clone(), status)]),
            (_, agents) if agents.is_empty() => Vec::new(),
            (_, agents) => self.look_in(told, &["runs"], &agents).await?,
        };
        let mut rest: Vec<&Job> = jobs.iter().filter(|job| !is_agent(job)).collect();
        while let Some(first) = rest.first() {
            let pipeline = first.target.id.clone();
            let (same, others): (Vec<&Job>, Vec<&Job>) = rest.into_iter().partition(|job| job.target.id == pipeline);
            found.extend(self.look_in(told, &["pipelines", &pipeline, "runs"], &same).await?);
            rest = others;
        }
        Ok(found)
    }

    async fn look_at_one(&self, told: &mut Told, job: &Job) -> Result<JobStatus, Fault> {
        if job.target.kind == TargetKind::Agent {
            return self.look_at_run(told, job).await;
        }
        if self.look_at_runs {
            match self.look_at_run(told, job).await {
                Err(fault) if fault.kind == FaultKind::NotFound => {}
                seen => return seen,
            }
        }
        let pipeline = &job.target.id;
        let found = self.look_in(told, &["pipelines", pipeline, "runs"], &[job]).await?;
        found.into_iter().next().map(|(_, status)| status).ok_or_else(|| {
            let what = format!("`GET /pipelines/{pipeline}/runs` does not show the run {}", job.id);
            Fault::new(FaultKind::NotFound, what)
        })
    }

    async fn runs(&self, told: &mut Told, target: Option<&Target>, since: Timestamp) -> Result<Recent, Fault> {
        let pipeline = target.filter(|target| target.kind == TargetKind::Pipeline);
        if let Some(pipeline) = pipeline.filter(|pipeline| !is_segment(&pipeline.id)) {
            return rejected(not_an_id(&pipeline.id, "pipeline"));
        }
        let its_own = pipeline.map(|pipeline| ["pipelines", pipeline.id.as_str(), "runs"]);
        let path = its_own.as_ref().map_or(&["runs"][..], |path| &path[..]);
        let mut runs = read::Runs::since(since);
        let take = |items: &[Value]| runs.take(items, &self.words, pipeline);
        let whole = self.pages(told, path, &read::RUN_LISTS, take).await?;
        let (jobs, complete) = runs.finish(whole);
        Ok(Recent { jobs, complete })
    }

    async fn call_off(&self, told: &mut Told, job: &Job) -> Result<Cancelled, Fault> {
        judge(job)?;
        let path = ["runs", job.id.0.as_str()];
        let ask = Ask { any_body: true, ..Self::ask(Method::DELETE, To::Path(&path, &[])) };
        let is_pipeline = job.target.kind == TargetKind::Pipeline;
        match told.take(self.client.send(ask).await) {
            // Whatever it says, a look shows whether it holds.
            Ok(_) => Ok(Cancelled::Asked),
            Err(fault) => match fault.status {
                Some(404 | 405) if is_pipeline => Ok(Cancelled::Impossible(format!(
                    "AIRMY documents no way to cancel the run of a pipeline, and does not know {} as a run of its own; it goes on",
                    job.id
                ))),
                Some(404 | 409 | 410 | 422) => Ok(Cancelled::TooLate),
                _ => Err(fault),
            },
        }
    }

    async fn reach(&self, told: &mut Told) -> Result<Account, Fault> {
        let (agents, whole) = self.agents(told).await?;
        let known = whole != Some(false);
        let usage = known.then(|| ("agents".to_owned(), json!(agents.len())));
        Ok(Account { credits: None, plan: None, usage: usage.into_iter().collect() })
    }
}

/// Returns the contracts in an answer of `GET /agents`, or of one agent's page.
#[must_use]
pub fn contracts_in(answer: &Value) -> Vec<Contract> {
    match json::page(answer, &contract::AGENT_LISTS) {
        Some(page) => page.items.iter().filter_map(|item| contract::of_agent(item, None)).collect(),
        None => contract::of_agent(answer, None).into_iter().collect(),
    }
}

impl Provider for Airmy {
    fn promises(&self) -> Promises {
        Promises {
            idempotent: if self.idempotency_header.is_some() { &[TargetKind::Agent] } else { &[] },
            findable: &[TargetKind::Agent, TargetKind::Pipeline],
            settle_grace: None,
            cancellable: true,
            batch_look: 1,
            webhooks: true,
            uploads: false,
            default_retry_after: AFTER_429,
            rate: Some(self.rate),
            blind: None,
        }
    }

    fn kinds(&self) -> &'static [TargetKind] {
        &[TargetKind::Agent, TargetKind::Pipeline, TargetKind::Http]
    }

    fn base_url(&self) -> &str {
        self.client.base_url()
    }

    fn clock(&self) -> Option<Timestamp> {
        self.client.clock()
    }

    fn rate(&self) -> Option<RateHint> {
        self.client.rate()
    }

    /// Agents as the list shows them, which may be without their schemas; a named one is read itself. Pipelines are in no catalogue:
    /// each that is named is taken to be there, and unchecked.
    fn catalog<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Answer<Vec<Contract>>> {
        async move {
            let mut told = Told::default();
            let result = self.contracts(&mut told, wanted).await;
            told.answer(result)
        }
        .boxed()
    }

    fn submit<'a>(&'a self, job: &'a JobRequest, key: &'a IdempotencyKey) -> BoxFuture<'a, Answer<Submitted>> {
        if job.target.kind == TargetKind::Http {
            return self.client.step(job, key, Reach::Api).boxed();
        }
        async move {
            let mut told = Told::default();
            let result = self.run(&mut told, job, key).await;
            told.answer(result)
        }
        .boxed()
    }

    /// An agent's run by its id; a pipeline's in the list of its pipeline's runs.
    fn look<'a>(&'a self, jobs: &'a [Job]) -> BoxFuture<'a, Answer<Vec<(JobHandle, JobStatus)>>> {
        async move {
            let mut told = Told::default();
            let result = self.look_at(&mut told, jobs).await;
            told.answer(result)
        }
        .boxed()
    }

    /// The runs of agents; those of pipelines are listed by [`Provider::recent_of`] alone.
    fn recent(&self, since: Timestamp) -> BoxFuture<'_, Answer<Recent>> {
        async move {
            let mut told = Told::default();
            let result = self.runs(&mut told, None, since).await;
            told.answer(result)
        }
        .boxed()
    }

    fn recent_of<'a>(&'a self, target: &'a Target, since: Timestamp) -> BoxFuture<'a, Answer<Recent>> {
        async move {
            let mut told = Told::default();
            let result = self.runs(&mut told, Some(target), since).await;
            told.answer(result)
        }
        .boxed()
    }

    fn cancel<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Answer<Cancelled>> {
        async move {
            let mut told = Told::default();
            let result = self.call_off(&mut told, job).await;
            told.answer(result)
        }
        .boxed()
    }

    fn upload<'a>(&'a self, _file: &'a LocalFile) -> BoxFuture<'a, Answer<MediaRef>> {
        future::ready(Answer::bare(rejected("AIRMY takes files by URL; it has nowhere to upload to"))).boxed()
    }

    /// AIRMY documents no account. What can be said is that the key works, and how many agents it sees.
    fn account(&self) -> BoxFuture<'_, Answer<Account>> {
        async move {
            let mut told = Told::default();
            let result = self.reach(&mut told).await;
            told.answer(result)
        }
        .boxed()
    }
}

/// Returns the key as the header carries it: the digest of one that a header, or a server's column, may not hold.
fn header_key(key: &IdempotencyKey) -> String {
    let is_plain = (1..=LONGEST_KEY).contains(&key.0.len()) && key.0.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain { key.0.clone() } else { blake3::hash(key.0.as_bytes()).to_hex().to_string() }
}

/// Says whether a run can be asked for.
fn judge(job: &Job) -> Result<(), Fault> {
    match job.target.kind {
        TargetKind::Agent | TargetKind::Pipeline if !is_segment(&job.id.0) => rejected(not_an_id(&job.id.0, "run")),
        TargetKind::Pipeline if !is_segment(&job.target.id) => rejected(not_an_id(&job.target.id, "pipeline")),
        TargetKind::Agent | TargetKind::Pipeline => Ok(()),
        _ => rejected(format!("AIRMY has runs of agents and pipelines, not of the {}", job.target)),
    }
}

fn not_an_id(id: &str, of: &str) -> String {
    format!("`{}` cannot be the id of an AIRMY {of}", bounded(id.escape_debug().to_string()))
}

/// Puts a refusal (409, 422) into words; one that is about the key says what a person can do.
fn refused(request: &str, reply: &Reply) -> Fault {
    let reason = if reply.status == 409 { "Conflict" } else { "Unprocessable Entity" };
    let said = of_json(&reply.body).map(|said| format!(": {}", bounded(one_line(said)))).unwrap_or_default();
    let request_id = ["x-request-id", "request-id", "cf-ray"].iter().find_map(|name| reply.header(name));
    let request_id = request_id.map(|id| format!(" (request id {})", one_line(id))).unwrap_or_default();
    let key = if read::names_idempotency(&reply.body) {
        "; it refuses this attempt's idempotency key, so an earlier request of the attempt may have become a run: look at the runs in \
         AIRMY before the step is started again. No other key is tried, since that might run it twice"
    } else {
        ""
    };
    let message = format!("`{request}` answered {} {reason}{said}{request_id}{key}", reply.status);
    Fault { status: Some(reply.status), ..Fault::new(FaultKind::Rejected, message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row: name of the idempotency header; the key itself must fit into any.
    #[test]
    fn a_key_that_no_header_can_carry_is_sent_as_its_digest() {
        let sent = |key: &str| header_key(&IdempotencyKey(key.to_owned()));
        let plain = "0196f0a2-7a3c-7000-8000-000000000000/crops[2]/1";
        assert_eq!(sent(plain), plain);
        assert_eq!(sent(&"k".repeat(255)), "k".repeat(255));
        for odd in ["", "a b", "a\nb", "café", &"k".repeat(256)] {
            let digest = sent(odd);
            assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{odd}: {digest}");
            assert_eq!(sent(odd), digest, "the same for every sending");
        }
        assert_ne!(sent("a b"), sent("a c"));
    }

    #[test]
    fn debug_shows_no_key() {
        let settings = AirmySettings::new(Secret::new("sk-airmy-canary"));
        let shown = format!("{settings:?} {:?}", Airmy::new(settings.clone(), World::real()).expect("a provider"));
        assert!(!shown.contains("canary"), "{shown}");
    }

    #[test]
    fn settings_that_cannot_be_used_are_refused_before_anything_is_sent() {
        let settings = || AirmySettings::new(Secret::new("sk-airmy-canary"));
        let problem = |settings| Airmy::new(settings, World::real()).expect_err("a problem");
        let plain = AirmySettings { base_url: "http://api.airmy.dev/v2".to_owned(), ..settings() };
        assert!(matches!(problem(plain), ClientProblem::PlainHttp { .. }));
        for name in ["Authorization", "two words"] {
            let header = AirmySettings { idempotency_header: name.to_owned(), ..settings() };
            assert_eq!(problem(header), ClientProblem::Header { name: name.to_owned() });
        }
    }

    /// Row: whether the key also counts for a trigger; meaning of burst.
    #[test]
    fn only_agents_may_be_submitted_again_and_only_with_a_key() {
        let airmy = |header: &str| {
            let settings = AirmySettings {
                idempotency_header: header.to_owned(),
                ..AirmySettings::new(Secret::new("sk-airmy-canary"))
            };
            Airmy::new(settings, World::real()).expect("a provider")
        };
        let target = |kind| Target { kind, id: "GET /metrics".to_owned() };
        for (header, agent) in [(IDEMPOTENCY_HEADER, true), ("X-Key", true), ("", false)] {
            let airmy = airmy(header);
            assert_eq!(airmy.is_idempotent(&target(TargetKind::Agent)), agent, "{header}");
            assert!(!airmy.is_idempotent(&target(TargetKind::Pipeline)), "{header}");
            assert!(airmy.is_idempotent(&target(TargetKind::Http)), "a GET may be repeated");
            assert_eq!(airmy.promises().rate, Some(Rate { per_minute: 100, burst: 150 }));
        }
    }
}
