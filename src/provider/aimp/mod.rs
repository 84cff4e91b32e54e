//! AIMP: published models behind a Gateway, run with one request and one answer.
//!
//! The glue between [`Provider`] and the shared client. What an answer means is read by pure functions, `read` for runs and the
//! account, `contract` for what models take; `media` hands files over. The documents show requests and hardly an answer, so every
//! form that may occur is taken.
//!
//! What must stay true:
//!
//! - A run is one request, sent once. Nothing can tell whether it happened when the answer is lost: there is no idempotency key and
//!   no list of runs, so only what a person has marked as safe to repeat is ever sent again.
//! - A request has the six documented fields and no other; what the documents forbid is refused before it leaves.
//! - The key goes in `X-API-Key` to the Gateway's origin, and nowhere else: not as a bearer token, not along a redirect or a link to
//!   another host, not to where files are uploaded.

mod contract;
mod media;
mod read;

use std::{collections::HashSet, time::Duration};

use futures_util::{
    FutureExt as _,
    future::{self, BoxFuture},
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{
    contract::{
        Contract,
        operation::{self, Asked},
    },
    diagnostic::Severity,
    job::{Fault, FaultKind, IdempotencyKey, Job, JobHandle, JobRequest, JobStatus, Submitted, Target, TargetKind},
    provider::{
        Account, Answer, Cancelled, LocalFile, MediaRef, Promises, Provider, RateHint, Recent, Wanted,
        http::{
            Ask, Client, ClientProblem, ClientSettings, Credential, LIST_LIMIT, Method, Reach, Reply, To, bounded,
            one_line, upload::Uploader,
        },
        is_repeatable_request,
        json::{Next, is_segment, malformed, rejected},
        status::StatusWords,
        told::Told,
    },
    secret::{Redactor, Secret},
    world::World,
};

/// Where a Gateway is by default: on this machine, as the documents have it for development.
pub const LOCAL_URL: &str = "http://localhost:8080/api";

/// How long a run's request may take, unless the step's timeout ends it sooner: one answer comes at its very end.
pub const RUN_TIMEOUT: Duration = Duration::from_mins(30);

/// What to wait after a 429 without `Retry-After`: what the documents' example shows.
const RATE_WINDOW: Duration = Duration::from_mins(1);

/// What to tell people of a run that goes on and cannot be found.
const NO_LOOKS: &str =
    "AIMP documents no way to look at a run; where the Gateway has one, name its path with the setting `poll_path`";

/// The most pages of the marketplace's list that are read.
const MOST_PAGES: usize = 50;

/// How many details are read at a time.
const DETAILS_AT_ONCE: usize = 4;

/// What an AIMP provider is built from.
#[derive(Clone, Debug)]
pub struct AimpSettings {
    /// The Gateway's URL: its root, or its root with `/api`.
    pub base_url: String,
    /// The API key.
    pub key: Secret,
    /// What else to redact in answers: the workflow's secrets.
    pub redactor: Redactor,
    /// Whether a base URL outside this machine may be plain `http`.
    pub allow_http: bool,
    /// How long a run's request may take.
    pub submit_timeout: Duration,
    /// Status words beside the usual ones.
    pub status_words: StatusWords,
    /// Where a run that goes on can be seen, with `{id}` in place of its id, where its answer names no link: a path below the base URL,
    /// or from the root where it begins with `/`. Without it that is `runs/{id}`.
    pub poll_path: Option<String>,
    /// Where in an answer the output is, as names and indexes with dots between; without it the usual places.
    pub output_path: Option<String>,
    /// Whether an uploaded file stands in an input as `{"media_ref": …}`, where the contract does not say; else as bare text.
    pub media_ref_object: bool,
    /// Models whose runs may be sent again when an answer was lost: a person has said so.
    pub safe_to_repeat: Vec<String>,
}

impl AimpSettings {
    /// Returns the settings of a Gateway with this key.
    #[must_use]
    pub fn new(base_url: impl Into<String>, key: Secret) -> Self {
        Self {
            base_url: base_url.into(),
            key,
            redactor: Redactor::default(),
            allow_http: false,
            submit_timeout: RUN_TIMEOUT,
            status_words: StatusWords::default(),
            poll_path: None,
            output_path: None,
            media_ref_object: false,
            safe_to_repeat: Vec::new(),
        }
    }
}

/// One AIMP workspace, seen through one key.
#[derive(Clone, Debug)]
pub struct Aimp {
    client: Client,
    uploader: Uploader,
    submit_timeout: Duration,
    words: StatusWords,
    poll_path: Option<String>,
    output_path: Option<String>,
    media_ref_object: bool,
    safe_to_repeat: Vec<String>,
}

impl Aimp {
    /// Builds the provider; sends nothing.
    ///
    /// # Errors
    ///
    /// Where the base URL, the key, or the environment's proxy cannot be used.
    pub fn new(settings: AimpSettings, world: World) -> Result<Self, ClientProblem> {
        let base_url = gateway(&settings.base_url);
        let credential = Credential { header: "x-api-key", prefix: "", key: settings.key };
        let client = ClientSettings {
            credential: Some(credential),
            redactor: settings.redactor.clone(),
            allow_http: settings.allow_http,
            ..ClientSettings::new(base_url.clone())
        };
        Ok(Self {
            client: Client::new(client, world.clone())?,
            uploader: Uploader::new(&base_url, settings.allow_http, settings.redactor, world)?,
            submit_timeout: settings.submit_timeout,
            words: settings.status_words,
            poll_path: settings.poll_path,
            output_path: settings.output_path,
            media_ref_object: settings.media_ref_object,
            safe_to_repeat: settings.safe_to_repeat,
        })
    }

    fn reading(&self) -> read::Reading<'_> {
        read::Reading { words: &self.words, output_path: self.output_path.as_deref() }
    }

    async fn run(&self, job: &JobRequest, key: &IdempotencyKey) -> Answer<Submitted> {
        let body = match request(job) {
            Ok(body) => body,
            Err(fault) => return Answer::bare(Err(fault)),
        };
        let ask = Ask {
            body: Some(&body),
            timeout: self.submit_timeout,
            any_body: true,
            ..Ask::new(Method::POST, To::Path(&["runs"], &[]))
        };
        self.client.send(ask).await.and_then(|reply| self.submitted(&reply, key))
    }

    /// Reads the answer to a run: how it ended, or where it will be seen to end.
    fn submitted(&self, reply: &Reply, key: &IdempotencyKey) -> Result<Submitted, Fault> {
        let mut seen = read::run(reply, &self.reading());
        let id = seen.id.filter(|id| is_segment(id));
        // A run without an id is known by what we call it; nobody will ask the API for that.
        let handle = JobHandle(id.clone().unwrap_or_else(|| key.0.clone()));
        if seen.status.state.is_terminal() {
            return Ok(Submitted { job: handle, status: seen.status, look_at: None });
        }
        let look_at = seen.links.iter().find(|link| self.client.may_follow(link)).cloned();
        if look_at.as_ref() != seen.links.first() {
            seen.status.warnings.push(
                "the answer's link to the run leads to another host, where the key must not go; it is not followed"
                    .to_owned(),
            );
        }
        if look_at.is_none() && id.is_none() {
            let what =
                format!("a run that goes on (`{}`), but neither a usable id of it nor a link to it", seen.status.state);
            return Err(malformed("POST /runs", reply, &what));
        }
        Ok(Submitted { job: handle, status: seen.status, look_at })
    }

    async fn look_at_one(&self, job: &Job) -> Answer<(JobHandle, JobStatus)> {
        let id = job.id.0.as_str();
        let polled = || self.poll_path.as_ref().map(|path| path.replace("{id}", &read::encoded(id)));
        let link = match &job.look_at {
            Some(link) => Some(link.clone()),
            None if !is_segment(id) => {
                let message = format!("`{}` cannot be the id of an AIMP run", bounded(id.escape_debug().to_string()));
                return Answer::bare(rejected(message));
            }
            None => polled(),
        };
        let path = ["runs", id];
        let to = link.as_deref().map_or(To::Path(&path, &[]), To::Link);
        let ask = Ask { any_body: true, ..Ask::new(Method::GET, to) };
        self.client.send(ask).await.and_then(|reply| {
            let seen = read::run(&reply, &self.reading());
            match seen.id {
                // Somebody else's output must never become this run's. A link may lead to something with an id of its own.
                Some(other) if other != id && job.look_at.is_none() => {
                    let what = format!("another run in it, `{}`", bounded(one_line(&other)));
                    Err(malformed(&format!("GET a look at the run {id}"), &reply, &what))
                }
                _ => Ok((job.id.clone(), seen.status)),
            }
        })
    }

    /// Reads the marketplace's list, page by page.
    async fn list(&self, told: &mut Told) -> Result<Vec<Value>, Fault> {
        let mut items: Vec<Value> = Vec::new();
        let mut next: Option<Next> = None;
        let mut asked = Vec::new();
        let mut read = 0;
        for _ in 0..MOST_PAGES {
            let answer = match &next {
                None => self.client.get(&contract::LIST, &[]).await,
                Some(Next::Link(link)) => self.client.send(Ask::new(Method::GET, To::Link(link))).await,
                Some(Next::Parameter(name, value)) => self.client.get(&contract::LIST, &[(name, value)]).await,
            };
            let reply = told.take(answer)?;
            let page = contract::page(&reply.body)
                .ok_or_else(|| malformed("GET /marketplace/models", &reply, "no list in it"))?;
            items.extend_from_slice(page.items);
            read += reply.length;
            asked.push(next);
            // A page that was read already would go on for ever; one on another host is not for this key.
            next = page.next.filter(|next| !asked.contains(&Some(next.clone())));
            match &next {
                Some(Next::Link(link)) if !self.client.may_follow(link) => break,
                Some(_) if !page.items.is_empty() && read <= LIST_LIMIT => {}
                _ => break,
            }
        }
        Ok(items)
    }

    /// Reads one model's detail; none where there is no such slug.
    async fn detail(&self, slug: &str) -> Answer<Option<Value>> {
        if !contract::is_slug(slug) {
            return Answer::bare(Ok(None));
        }
        let [first, second] = contract::LIST;
        let answer = self.client.get(&[first, second, slug], &[]).await;
        answer.with_result(|result| match result {
            Ok(reply) if reply.body.is_object() => Ok(Some(reply.body)),
            Ok(reply) => Err(malformed("GET /marketplace/models/{slug}", &reply, "no model in it")),
            Err(fault) if fault.kind == FaultKind::NotFound => Ok(None),
            Err(fault) => Err(fault),
        })
    }

    async fn contracts(&self, wanted: &Wanted, told: &mut Told) -> Result<Vec<Contract>, Fault> {
        let Wanted::Named(_) = wanted else {
            if !wanted.kinds().contains(&TargetKind::Model) {
                return Ok(Vec::new());
            }
            let items = self.list(told).await?;
            return Ok(once_each(items.iter().filter_map(|item| contract::of_model(item, None))));
        };
        let mut names: Vec<&str> = wanted.names(TargetKind::Model).collect();
        names.sort_unstable();
        names.dedup();
        let (mut found, mut unknown) = (Vec::new(), Vec::new());
        for names in names.chunks(DETAILS_AT_ONCE) {
            let answers = future::join_all(names.iter().map(|name| self.detail(name))).await;
            for (name, answer) in names.iter().zip(answers) {
                match told.take(answer)? {
                    Some(body) => found.extend(contract::of_model(&body, Some(name))),
                    None => unknown.push(*name),
                }
            }
        }
        if unknown.is_empty() {
            return Ok(found);
        }
        // What is near to an unknown name is a help, so its absence is no fault.
        let items = self.list(told).await.unwrap_or_default();
        for name in unknown {
            // A model may be named by its identifier, while its page is found by its slug.
            let Some(slug) = contract::slug_of(&items, name) else { continue };
            if let Some(body) = told.take(self.detail(slug).await)? {
                found.extend(contract::of_model(&body, Some(name)));
            }
        }
        // What is known best stands first.
        Ok(once_each(found.into_iter().chain(items.iter().filter_map(|item| contract::of_model(item, None)))))
    }
}

/// Returns the contracts in an answer of `GET /marketplace/models`, or of one model's page.
#[must_use]
pub fn contracts_in(answer: &Value) -> Vec<Contract> {
    match contract::page(answer) {
        Some(page) => page.items.iter().filter_map(|item| contract::of_model(item, None)).collect(),
        None => contract::of_model(answer, None).into_iter().collect(),
    }
}

impl Provider for Aimp {
    fn promises(&self) -> Promises {
        Promises {
            idempotent: &[],
            findable: &[],
            settle_grace: None,
            cancellable: false,
            batch_look: 1,
            webhooks: false,
            uploads: true,
            default_retry_after: RATE_WINDOW,
            rate: None,
            blind: Some(NO_LOOKS),
        }
    }

    fn is_idempotent(&self, target: &Target) -> bool {
        match target.kind {
            TargetKind::Model => self.safe_to_repeat.contains(&target.id),
            TargetKind::Http => is_repeatable_request(target),
            _ => false,
        }
    }

    fn kinds(&self) -> &'static [TargetKind] {
        &[TargetKind::Model, TargetKind::Http]
    }

    fn base_url(&self) -> &str {
        self.client.base_url()
    }

    fn rate(&self) -> Option<RateHint> {
        self.client.rate()
    }

    fn catalog<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Answer<Vec<Contract>>> {
        async move {
            let mut told = Told::default();
            let result = self.contracts(wanted, &mut told).await;
            told.answer(result)
        }
        .boxed()
    }

    fn submit<'a>(&'a self, job: &'a JobRequest, key: &'a IdempotencyKey) -> BoxFuture<'a, Answer<Submitted>> {
        match job.target.kind {
            TargetKind::Http => self.client.step(job, key, Reach::Api).boxed(),
            _ => self.run(job, key).boxed(),
        }
    }

    /// Looks at each by itself: there is no list.
    fn look<'a>(&'a self, jobs: &'a [Job]) -> BoxFuture<'a, Answer<Vec<(JobHandle, JobStatus)>>> {
        async move {
            let (mut told, mut found) = (Told::default(), Vec::new());
            for job in jobs {
                match told.take(self.look_at_one(job).await) {
                    Ok(seen) => found.push(seen),
                    Err(fault) => return told.answer(Err(fault)),
                }
            }
            told.answer(Ok(found))
        }
        .boxed()
    }

    fn recent(&self, _since: Timestamp) -> BoxFuture<'_, Answer<Recent>> {
        future::ready(Answer::bare(Ok(Recent { jobs: Vec::new(), complete: false }))).boxed()
    }

    fn cancel<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Answer<Cancelled>> {
        let words = format!("AIMP has no way to call off the run {}: it goes on, and may cost", job.id);
        future::ready(Answer::bare(Ok(Cancelled::Impossible(words)))).boxed()
    }

    fn upload<'a>(&'a self, file: &'a LocalFile) -> BoxFuture<'a, Answer<MediaRef>> {
        async move {
            let mut told = Told::default();
            let result = media::hand_over(&self.client, &self.uploader, file, &mut told).await;
            told.answer(result)
        }
        .boxed()
    }

    fn media_input(&self, media: &MediaRef, wanted: Option<&Value>) -> Value {
        media::input(media, wanted, self.media_ref_object)
    }

    fn lost_media(&self, fault: &Fault, media: &[MediaRef]) -> bool {
        media::names_media_ref(fault, media)
    }

    fn account(&self) -> BoxFuture<'_, Answer<Account>> {
        async move {
            let mut told = Told::default();
            let wallet = told.take(self.client.get(&["billing", "wallet"], &[]).await);
            let result = match wallet {
                Err(fault) => Err(fault),
                Ok(wallet) => {
                    // A wallet without the usage is an account; what went wrong is shown in its place.
                    let usage = told.take(self.client.get(&["billing", "usage", "summary"], &[]).await);
                    let usage = usage.map_or_else(|fault| Value::String(fault.message), |reply| reply.body);
                    read::account(&wallet.body, &usage)
                        .ok_or_else(|| malformed("GET /billing/wallet", &wallet, "no wallet in it"))
                }
            };
            told.answer(result)
        }
        .boxed()
    }
}

/// Returns the URL that `/runs` and the rest stand under, given a Gateway's root with or without `/api`.
fn gateway(given: &str) -> String {
    let given = given.trim().trim_end_matches('/');
    let path = given.split_once("://").map_or(given, |(_, rest)| rest);
    // What cannot be a base URL is refused in the form that it was given in.
    if path.ends_with("/api") || given.contains(['?', '#']) { given.to_owned() } else { format!("{given}/api") }
}

/// Returns the contracts without those whose target was there before: pages may overlap.
fn once_each(contracts: impl Iterator<Item = Contract>) -> Vec<Contract> {
    let mut seen = HashSet::new();
    contracts.filter(|contract| seen.insert(contract.target.clone())).collect()
}

/// Returns the body of a run's request, or why it is not sent.
fn request(job: &JobRequest) -> Result<Value, Fault> {
    if job.target.kind != TargetKind::Model {
        return rejected(format!("AIMP runs models, not the {}", job.target));
    }
    if job.target.id.trim().is_empty() {
        return rejected("the run was not sent: no model is named");
    }
    // Last of all looks at it, whoever has before: here everything is filled in.
    let refused = operation::violations(&Asked::from(&job.operation), None).into_iter();
    let told: Vec<_> = refused.filter(|found| found.severity == Severity::Error).map(|found| found.message).collect();
    if !told.is_empty() {
        return rejected(bounded(format!("the run was not sent: {}", told.join("; "))));
    }
    let operation = &job.operation;
    let mut body = Map::from_iter([("model".to_owned(), json!(job.target.id))]);
    body.extend(operation.mode.as_ref().map(|mode| ("mode".to_owned(), json!(mode))));
    body.extend(operation.scope.as_ref().map(|scope| ("scope".to_owned(), json!(scope))));
    body.insert("input".to_owned(), Value::Object(job.inputs.clone()));
    // An object even if empty, as the documents' checklist has it.
    body.insert("params".to_owned(), Value::Object(operation.params.clone().unwrap_or_default()));
    body.extend(operation.options.as_ref().map(|options| ("options".to_owned(), json!(options))));
    Ok(Value::Object(body))
}

#[cfg(test)]
mod tests {
    use crate::job::Operation;

    use super::*;

    #[test]
    fn the_gateway_is_given_with_or_without_api() {
        for (given, url) in [
            ("http://localhost:8080", "http://localhost:8080/api"),
            ("http://localhost:8080/", "http://localhost:8080/api"),
            (" http://localhost:8080/api/ ", "http://localhost:8080/api"),
            ("https://example.com/gateway", "https://example.com/gateway/api"),
            ("https://example.com/gateway/api", "https://example.com/gateway/api"),
            ("https://api", "https://api/api"),
            ("https://example.com/?a=/api", "https://example.com/?a=/api"),
        ] {
            assert_eq!(gateway(given), url, "{given}");
        }
    }

    fn of(operation: Value) -> JobRequest {
        JobRequest {
            target: Target { kind: TargetKind::Model, id: "demo-model".to_owned() },
            inputs: Map::from_iter([("text".to_owned(), json!("Hello"))]),
            operation: serde_json::from_value::<Operation>(operation).expect("an operation"),
        }
    }

    /// Rows: unknown top-level fields; `params: null`; `scope` with execute.
    #[test]
    fn a_request_has_the_six_fields_and_no_null() {
        let whole =
            json!({"mode": "execute", "scope": "playground", "params": {"top_k": 5}, "options": {"priority": "low"}});
        assert_eq!(
            request(&of(whole)).expect("a request").to_string(),
            r#"{"model":"demo-model","mode":"execute","scope":"playground","input":{"text":"Hello"},"params":{"top_k":5},"options":{"priority":"low"}}"#
        );
        let least = request(&of(json!({"params": null}))).expect("a request");
        assert_eq!(least, json!({"model": "demo-model", "input": {"text": "Hello"}, "params": {}}));
    }

    #[test]
    fn debug_shows_no_key() {
        let settings = AimpSettings::new(LOCAL_URL, Secret::new("aimp_key_canary"));
        let shown = format!("{settings:?} {:?}", Aimp::new(settings.clone(), World::real()).expect("a provider"));
        assert!(!shown.contains("canary"), "{shown}");
    }
}
