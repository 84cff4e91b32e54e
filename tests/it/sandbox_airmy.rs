//! The emulator's AIRMY, asked over its socket. Every answer goes before the judge, unless a fault or a variant beyond the document is in it.

mod faults;
mod variants;

use std::time::Duration;

use dagwood::{
    contract::Contract,
    job::{JobState, Target, TargetKind},
    sandbox::{
        AIRMY_DEMO_KEY, AIRMY_KEY, Api, FaultScript, KEY, LoggedRequest, Sandbox, Settings, faults::Variant,
        rate::Refill,
    },
    world::World,
};
use serde_json::{Value, json};

use crate::{
    openapi::{judge_of, judge_request},
    raw::{self, Answer},
};

const ANALYST: &str = "ag_01HXYZ";
const REVENUE: &str = "pl_01HXYZ";

/// An emulator with a client that has every answer judged.
struct Bench {
    sandbox: Sandbox,
    world: World,
}

impl Bench {
    async fn start(change: impl FnOnce(&mut Settings)) -> Self {
        let airmy_rate = Refill { per_minute: 100_000, burst: 100_000 };
        let mut settings = Settings { airmy_rate, ..Settings::default() };
        change(&mut settings);
        let (sandbox, world) = raw::emulator(settings, "2026-03-22T14:30:00Z").await;
        Self { sandbox, world }
    }

    async fn with_faults(script: &str) -> Self {
        Self::start(|settings| settings.faults = FaultScript::parse(script).expect(script)).await
    }

    /// Starts with one variant for all requests, and a fate for the first job.
    async fn with_variant(variant: &str, fate: Option<&str>) -> Self {
        let fate = fate.map(|fate| format!("- {{ on: submit, nth: 1, do: {fate} }}\n")).unwrap_or_default();
        Self::with_faults(&format!("- {{ on: any, do: {{ variant: {variant} }} }}\n{fate}")).await
    }

    /// Asks without the judge.
    async fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Option<Answer> {
        let path = if path.starts_with("/files") { path.to_owned() } else { format!("/v2{path}") };
        let body = body.map(|body| body.to_string().into_bytes());
        let mut headers = headers.to_vec();
        headers.extend(body.as_ref().map(|_| ("Content-Type", "application/json")));
        raw::send_with(&self.sandbox.address().to_string(), method, &path, &headers, body.as_deref()).await
    }

    /// Asks with the key, without the judge.
    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.raw(method, path, &[("Authorization", &bearer(AIRMY_KEY))], body).await.expect("an answer")
    }

    /// Asks with headers, and has the answer judged; where it is good, the request too.
    async fn judged(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
        let answer = self.raw(method, path, headers, body).await.expect("an answer");
        judge_of(Api::Airmy, method, path, answer.status, &json_of(&answer)).unwrap_or_else(|told| panic!("{told}"));
        // The document has nothing to say of an empty body.
        if let Some(body) = body.filter(|body| answer.status < 300 && **body != json!({})) {
            judge_request(Api::Airmy, method, path, body).unwrap_or_else(|told| panic!("{told}"));
        }
        assert!(answer.header("x-request-id").is_some() && answer.header("date").is_some(), "{:?}", answer.headers);
        assert!(answer.headers.keys().all(|name| !name.starts_with("x-ratelimit")), "none are documented");
        assert_eq!(answer.header("retry-after").is_some(), answer.status == 429);
        answer
    }

    async fn get(&self, path: &str) -> Answer {
        self.judged("GET", path, &[("Authorization", &bearer(AIRMY_KEY))], None).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.judged("POST", path, &[("Authorization", &bearer(AIRMY_KEY))], Some(&body)).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.judged("DELETE", path, &[("Authorization", &bearer(AIRMY_KEY))], None).await
    }

    async fn with_key(&self, key: &str, path: &str, body: Value) -> Answer {
        let headers = [("Authorization", &*bearer(AIRMY_KEY)), ("Idempotency-Key", key)];
        self.judged("POST", path, &headers, Some(&body)).await
    }

    async fn run(&self, agent: &str, input: Value) -> Answer {
        self.post("/runs", json!({"agent_id": agent, "input": input})).await
    }

    /// Begins a run of the analyst without the judge, and returns the answer.
    async fn begin(&self) -> Answer {
        self.ask("POST", "/runs", Some(&analyst())).await
    }

    async fn wait(&self, seconds: u64) {
        self.world.sleep(Duration::from_secs(seconds)).await;
    }

    fn count(&self) -> usize {
        self.sandbox.jobs().len()
    }
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

fn analyst() -> Value {
    json!({"agent_id": ANALYST, "input": {"query": "Summarize Q1 revenue drivers"}})
}

fn json_of(answer: &Answer) -> Value {
    if answer.body.is_empty() { Value::Null } else { answer.json() }
}

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap_or_else(|| panic!("no id in {value}"))
}

fn error(answer: &Answer) -> (u16, String) {
    let body = answer.json();
    assert_eq!(body["error"]["code"], answer.status);
    assert!(body["error"]["name"].is_string());
    (answer.status, body["error"]["message"].as_str().expect("a message").to_owned())
}

fn told(status: u16, text: &str) -> (u16, String) {
    (status, text.to_owned())
}

fn fixture(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/airmy/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).expect(&path)
}

/// Says what of an example an answer does not have: a key, or a value of the same type.
fn missing(example: &Value, answer: &Value, at: &str) -> Vec<String> {
    match (example, answer) {
        (Value::Object(example), Value::Object(answer)) => example
            .iter()
            .flat_map(|(key, value)| match answer.get(key) {
                Some(found) => missing(value, found, &format!("{at}/{key}")),
                None => vec![format!("{at}/{key}")],
            })
            .collect(),
        (Value::Array(example), Value::Array(answer)) => match (example.first(), answer.first()) {
            (Some(example), Some(answer)) => missing(example, answer, &format!("{at}/0")),
            (Some(_), None) => vec![format!("{at}/0")],
            _ => Vec::new(),
        },
        _ if std::mem::discriminant(example) == std::mem::discriminant(answer) => Vec::new(),
        _ => vec![at.to_owned()],
    }
}

#[test]
fn the_bodies_of_the_documents_pass_the_judge() {
    for (name, method, path, status) in [
        ("run_finished", "POST", "/runs", 200),
        ("run_finished", "GET", "/runs/run_01HXYZ123", 200),
        ("run_accepted", "POST", "/runs", 202),
        ("runs", "GET", "/runs", 200),
        ("agent", "GET", "/agents/ag_01HXYZ", 200),
        ("agents", "GET", "/agents", 200),
        ("pipeline_run_accepted", "POST", "/pipelines/pl_01HXYZ/trigger", 202),
        ("pipeline_runs", "GET", "/pipelines/pl_01HXYZ/runs", 200),
        ("session_token", "POST", "/auth/token", 200),
        ("error_400", "POST", "/runs", 400),
        ("error_401", "POST", "/runs", 401),
        ("error_403", "POST", "/runs", 403),
        ("error_404", "GET", "/runs/a", 404),
        ("error_409", "DELETE", "/runs/a", 409),
        ("error_422", "POST", "/runs", 422),
        ("error_429", "POST", "/runs", 429),
        ("error_500", "POST", "/runs", 500),
    ] {
        assert_eq!(judge_of(Api::Airmy, method, path, status, &fixture(name)), Ok(()), "{name}");
    }
    for (name, path) in [
        ("run_request", "/runs"),
        ("pipeline_request", "/pipelines"),
        ("trigger_request", "/pipelines/pl_01HXYZ/trigger"),
        ("webhook_request", "/webhooks"),
    ] {
        assert_eq!(judge_request(Api::Airmy, "POST", path, &fixture(name)), Ok(()), "{name}");
    }
    let mut run = fixture("run_finished");
    run["status"] = json!(3);
    assert!(judge_of(Api::Airmy, "POST", "/runs", 200, &run).is_err_and(|told| told.contains("status")));
}

/// The second witness: what the documents show, the emulator has, key by key.
#[tokio::test(start_paused = true)]
async fn answers_have_all_that_the_documents_show() {
    let bench = Bench::start(|_| {}).await;
    let compare = |name: &str, answer: &Answer| {
        assert_eq!(missing(&fixture(name), &answer.json(), ""), Vec::<String>::new(), "{name}: {}", answer.json());
    };
    let run = bench.post("/runs", fixture("run_request")).await;
    assert_eq!(run.status, 200);
    compare("run_finished", &run);
    compare("run_finished", &bench.get(&format!("/runs/{}", id(&run.json()))).await);
    compare("runs", &bench.get("/runs").await);
    compare("agent", &bench.get("/agents/ag_01HXYZ").await);
    compare("agents", &bench.get("/agents").await);
    compare("pipeline_run_accepted", &bench.post("/pipelines/pl_01HXYZ/trigger", fixture("trigger_request")).await);
    compare("pipeline_runs", &bench.get("/pipelines/pl_01HXYZ/runs").await);
    compare("session_token", &bench.post("/auth/token", json!({})).await);
    assert_eq!(bench.post("/pipelines", fixture("pipeline_request")).await.status, 201);
    assert_eq!(bench.post("/webhooks", fixture("webhook_request")).await.status, 201);
    compare("error_400", &bench.post("/runs", json!({})).await);
    compare("error_422", &bench.run(ANALYST, json!({})).await);
    compare("error_404", &bench.get("/runs/nothing").await);
    let wrong = missing(&fixture("run_finished"), &json!({"id": "a", "output": "text"}), "");
    assert_eq!(wrong, ["/status", "/output", "/latency_ms", "/tokens_used", "/created_at"], "the control");
}

#[tokio::test(start_paused = true)]
async fn a_run_ends_within_the_request() {
    let bench = Bench::start(|_| {}).await;
    let before = bench.world.now();
    let answer = bench.run(ANALYST, json!({"query": "Q1 revenue"})).await;
    let run = answer.json();
    assert_eq!((answer.status, &run["status"], &run["agent_id"]), (200, &json!("completed"), &json!(ANALYST)));
    assert!(run["output"]["result"].as_str().is_some_and(|text| text.contains("Q1 revenue")), "{run}");
    assert_eq!(run["created_at"], "2026-03-22T14:30:00Z");
    let took = bench.world.now().duration_since(before).as_millis();
    assert!((300..400).contains(&took) && run["latency_ms"] == 300, "{took} {run}");
    assert!(run["tokens_used"].as_u64().is_some_and(|tokens| tokens > 400), "{run}");
    assert_eq!(bench.get(&format!("/runs/{}", id(&run))).await.json(), run);
    let again = bench.run(ANALYST, json!({"query": "Q1 revenue"})).await.json();
    assert_eq!(
        (&again["output"], &again["tokens_used"]),
        (&run["output"], &run["tokens_used"]),
        "same input, same answer"
    );
    assert_ne!(again["id"], run["id"]);
    assert!((bench.sandbox.credits() - 10_000.0).abs() < 0.01, "agents cost no credits of Armox");
}

#[tokio::test(start_paused = true)]
async fn a_prompt_writer_writes_and_an_illustrator_draws() {
    let bench = Bench::start(|_| {}).await;
    let prompt = bench.run("ag_04PROMPT", json!({"query": "a lighthouse", "style": "an engraving"})).await.json();
    assert_eq!(
        prompt["output"],
        json!({"result": "a lighthouse, an engraving, fine detail, calm composition, muted colours"})
    );
    let picture = bench.run("ag_05ILLUS", json!({"query": "a lighthouse"})).await.json();
    let url = picture["output"]["image_url"].as_str().expect("a URL").to_owned();
    let path = url.strip_prefix(&format!("http://{}", bench.sandbox.address())).expect("a file of this emulator");
    let file = bench.raw("GET", path, &[], None).await.expect("an answer");
    assert_eq!(file.header("content-type"), Some("image/png"));
}

#[tokio::test(start_paused = true)]
async fn keys_are_checked_first() {
    let bench = Bench::start(|_| {}).await;
    let unauthorized = told(401, "API key missing or invalid");
    let operations = [
        ("POST", "/auth/token"),
        ("GET", "/agents"),
        ("POST", "/agents"),
        ("GET", "/agents/ag_01HXYZ"),
        ("PATCH", "/agents/ag_01HXYZ"),
        ("DELETE", "/agents/ag_01HXYZ"),
        ("POST", "/runs"),
        ("GET", "/runs"),
        ("GET", "/runs/a"),
        ("DELETE", "/runs/a"),
        ("POST", "/pipelines"),
        ("POST", "/pipelines/pl_01HXYZ/trigger"),
        ("GET", "/pipelines/pl_01HXYZ/runs"),
        ("POST", "/deployments"),
        ("GET", "/deployments/a"),
        ("POST", "/deployments/a/rollback"),
        ("GET", "/deployments/a/logs"),
        ("GET", "/metrics"),
        ("GET", "/logs"),
        ("POST", "/alerts"),
        ("POST", "/webhooks"),
    ];
    for (method, path) in operations {
        let body = (method == "POST" || method == "PATCH").then(analyst);
        let other = bearer(KEY);
        // No key, a key of another API, and the right key as AIMP takes it.
        for headers in [&[][..], &[("Authorization", &*other)], &[("X-API-Key", AIRMY_KEY)]] {
            let answer = bench.judged(method, path, headers, body.as_ref()).await;
            assert_eq!(error(&answer), unauthorized, "{method} {path}");
        }
    }
    assert_eq!(bench.count(), 0);
    // The demo key has no private connectors, and nobody has another account's agents.
    let demo = bearer(AIRMY_DEMO_KEY);
    let ledger = json!({"agent_id": "ag_09LEDGER", "input": {}});
    let answer = bench.judged("POST", "/runs", &[("Authorization", &demo)], Some(&ledger)).await;
    assert_eq!(error(&answer), told(403, "Insufficient permissions"));
    assert_eq!(bench.judged("POST", "/runs", &[("Authorization", &demo)], Some(&analyst())).await.status, 200);
    assert_eq!(bench.post("/runs", ledger).await.status, 200);
    assert_eq!(bench.run("ag_10OTHER", json!({})).await.status, 403);
    assert_eq!(bench.get("/agents/ag_10OTHER").await.status, 403);
    assert!(!bench.get("/agents").await.json().to_string().contains("ag_10OTHER"), "nor are they listed");
}

#[tokio::test(start_paused = true)]
async fn session_tokens_live_an_hour() {
    let bench = Bench::start(|_| {}).await;
    let token = bench.post("/auth/token", json!({})).await.json();
    assert_eq!((&token["token_type"], &token["expires_in"]), (&json!("Bearer"), &json!(3600)));
    let session = bearer(token["token"].as_str().expect("a token"));
    let ask = async || bench.judged("GET", "/runs", &[("Authorization", &session)], None).await;
    bench.wait(3599).await;
    assert_eq!(ask().await.status, 200);
    bench.wait(1).await;
    assert_eq!(error(&ask().await), told(401, "Session token has expired"));
}

#[tokio::test(start_paused = true)]
async fn wrong_requests_are_refused_and_make_nothing() {
    let bench = Bench::start(|_| {}).await;
    let run = |input: Value| json!({"agent_id": ANALYST, "input": input});
    for (path, body, text) in [
        ("/runs", json!([]), told(400, "The body must be a JSON object")),
        ("/runs", json!({"input": {}}), told(400, "agent_id is required")),
        ("/runs", json!({"agent_id": "", "input": {}}), told(400, "agent_id is required")),
        ("/runs", json!({"agent_id": 3, "input": {}}), told(400, "agent_id is required")),
        ("/runs", json!({"agent_id": ANALYST}), told(400, "input is required")),
        ("/runs", run(Value::Null), told(400, "input is required")),
        ("/runs", run(json!("query")), told(400, "input must be an object")),
        ("/runs", json!({"agent_id": "ag_none", "input": {}}), told(404, "Agent does not exist")),
        ("/runs", json!({"agent_id": "Analyst", "input": {}}), told(404, "Agent does not exist")),
        ("/pipelines/pl_none/trigger", json!({"input": {}}), told(404, "Pipeline does not exist")),
        ("/pipelines/pl_01HXYZ/trigger", json!({"input": "Q1"}), told(400, "input must be an object")),
        (
            "/pipelines/pl_01HXYZ/trigger",
            json!({"query": "Q1"}),
            told(400, "query is unknown: the input belongs under input"),
        ),
        ("/agents", json!({}), told(400, "name is required")),
        ("/agents", json!({"name": ""}), told(400, "name must not be empty")),
        ("/agents", json!({"name": "a", "input_schema": []}), told(400, "input_schema must be an object")),
        ("/pipelines", json!({"name": "a", "steps": []}), told(400, "steps is required")),
        (
            "/pipelines",
            json!({"name": "a", "steps": [{"id": "b", "agent": "nobody"}]}),
            told(422, "steps.b.agent: no agent is called nobody"),
        ),
        ("/deployments", json!({}), told(400, "agent_id is required")),
        ("/deployments", json!({"agent_id": "ag_none"}), told(404, "Agent does not exist")),
        ("/deployments/dep_none/rollback", json!({}), told(404, "Deployment does not exist")),
        ("/alerts", json!({}), told(400, "name is required")),
        ("/webhooks", json!({"url": "https://a.example"}), told(400, "events is required")),
        ("/webhooks", json!({"url": "nowhere", "events": ["run.failed"]}), told(422, "url: must be an http(s) URL")),
        ("/webhooks", json!({"url": "https://a.example", "events": ["run"]}), told(422, "events: \"run\" is no event")),
    ] {
        assert_eq!(error(&bench.post(path, body.clone()).await), text, "{path} {body}");
    }
    for (input, part) in [
        (json!({}), "query"),
        (json!({"query": ""}), "input.query: "),
        (json!({"query": 3}), "input.query: "),
        (json!({"query": "a", "depth": 9}), "input.depth: "),
        (json!({"query": "a", "dept": 1}), "dept"),
    ] {
        let (status, text) = error(&bench.post("/runs", run(input.clone())).await);
        assert!(status == 422 && text.starts_with("input") && text.contains(part), "{input}: {text}");
    }
    let schema = json!({"name": "a", "input_schema": {"type": "nothing"}});
    assert_eq!(bench.post("/agents", schema).await.status, 422);
    for path in ["/runs?limit=0", "/runs?limit=1001", "/runs?limit=many", "/agents?cursor=3"] {
        assert_eq!(bench.get(path).await.status, 400, "{path}");
    }
    // What the document does not have at all is not for the judge.
    for (method, path, status) in
        [("GET", "/nothing", 404), ("GET", "/pipelines", 405), ("PUT", "/runs", 405), ("GET", "/agents/", 404)]
    {
        assert_eq!(error(&bench.ask(method, path, None).await).0, status, "{method} {path}");
    }
    let headers = [("Authorization", &*bearer(AIRMY_KEY)), ("Content-Type", "application/json")];
    let broken = raw::send_with(&bench.sandbox.address().to_string(), "POST", "/v2/runs", &headers, Some(b"{")).await;
    assert_eq!(broken.map(|answer| answer.status), Some(400));
    assert_eq!(bench.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn agents_are_made_changed_and_deleted() {
    let bench = Bench::start(|_| {}).await;
    let schema = json!({"type": "object", "required": ["topic"], "properties": {"topic": {"type": "string"}}});
    let made = bench.post("/agents", json!({"name": "Reviewer", "input_schema": schema})).await;
    let agent = made.json();
    assert_eq!((made.status, &agent["input_schema"]), (201, &schema));
    let path = format!("/agents/{}", id(&agent));
    assert_eq!(bench.get(&path).await.json(), agent);
    assert_eq!(bench.run(id(&agent), json!({})).await.status, 422, "its schema counts");
    assert_eq!(bench.run(id(&agent), json!({"topic": "a"})).await.status, 200);
    let change = json!({"description": "Reads twice"});
    let key = bearer(AIRMY_KEY);
    let changed = bench.judged("PATCH", &path, &[("Authorization", &key)], Some(&change)).await.json();
    assert_eq!((&changed["name"], &changed["description"]), (&json!("Reviewer"), &json!("Reads twice")));
    let listed = bench.get("/agents").await.json();
    let listed = listed["data"].as_array().expect("agents");
    assert!(listed.iter().any(|found| found["id"] == agent["id"] && found.get("input_schema").is_none()));
    assert_eq!(listed.iter().filter(|found| found["name"] == "Translator").count(), 2, "two of one name");
    assert_eq!(bench.delete(&path).await.status, 204);
    assert_eq!(bench.get(&path).await.status, 404);
    assert_eq!(bench.run(id(&agent), json!({"topic": "a"})).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn own_contracts_are_offered() {
    let target = |kind, id: &str| Target { kind, id: id.to_owned() };
    let bench = Bench::start(|settings| {
        let mut agent = Contract::unchecked(target(TargetKind::Agent, "ag_mine"), "Analyst");
        agent.schema = Some(json!({"type": "object", "required": ["topic"]}));
        settings.extra = vec![agent, Contract::unchecked(target(TargetKind::Pipeline, "pl_mine"), "weekly")];
    })
    .await;
    assert_eq!(bench.run("ag_mine", json!({})).await.status, 422);
    assert_eq!(bench.run("ag_mine", json!({"topic": "a"})).await.status, 200);
    assert_eq!(bench.get("/agents/ag_01HXYZ").await.status, 404, "the user's own is meant by the name");
    assert_eq!(bench.post("/pipelines/pl_mine/trigger", json!({"input": {}})).await.status, 202);
}

#[tokio::test(start_paused = true)]
async fn one_idempotency_key_makes_one_run() {
    let bench = Bench::start(|_| {}).await;
    let first = bench.with_key("run-1/step/1", "/runs", analyst()).await.json();
    let again = bench.with_key("run-1/step/1", "/runs", analyst()).await;
    assert_eq!((again.status, again.json()), (200, first.clone()));
    let reordered = json!({"input": {"query": "Summarize Q1 revenue drivers"}, "agent_id": ANALYST});
    assert_eq!(bench.with_key("run-1/step/1", "/runs", reordered).await.json(), first);
    assert_eq!(bench.count(), 1);
    let other = json!({"agent_id": ANALYST, "input": {"query": "something else"}});
    let refused = bench.with_key("run-1/step/1", "/runs", other).await;
    assert_eq!(error(&refused), told(422, "Idempotency-Key was used before with another request body"));
    assert_eq!(bench.count(), 1);
    assert_ne!(bench.with_key("run-1/step/2", "/runs", analyst()).await.json()["id"], first["id"]);
    // A key belongs to the key that sent it.
    let demo = [("Authorization", &*bearer(AIRMY_DEMO_KEY)), ("Idempotency-Key", "run-1/step/1")];
    assert_ne!(bench.judged("POST", "/runs", &demo, Some(&analyst())).await.json()["id"], first["id"]);
    let long = "x".repeat(256);
    for key in ["with space", &long] {
        assert_eq!(bench.with_key(key, "/runs", analyst()).await.status, 400, "{key}");
    }
    let triggered = bench.with_key("t", "/pipelines/pl_01HXYZ/trigger", json!({"input": {}})).await.json();
    let again = bench.with_key("t", "/pipelines/pl_01HXYZ/trigger", json!({"input": {}})).await.json();
    assert_eq!(triggered["id"], again["id"]);
    assert_eq!(bench.count(), 4);
    bench.wait(24 * 3600 + 1).await;
    bench.with_key("run-1/step/1", "/runs", analyst()).await;
    assert_eq!(bench.count(), 5, "a day later, it is forgotten");
    let keys: Vec<_> = bench.sandbox.log().into_iter().filter_map(|request| request.idempotency_key).collect();
    assert_eq!(keys.first().map(String::as_str), Some("run-1/step/1"));
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_found_by_its_key_while_the_run_is_under_way() {
    let bench =
        Bench::with_faults("- { on: submit, nth: 1, do: lose_reply }\n- { on: submit, nth: 1, do: { takes: 5s } }\n")
            .await;
    let headers = [("Authorization", &*bearer(AIRMY_KEY)), ("Idempotency-Key", "k")];
    assert!(bench.raw("POST", "/runs", &headers, Some(&analyst())).await.is_none());
    let listed = bench.get("/runs").await.json();
    assert_eq!((&listed["data"][0]["status"], &listed["data"][0]["output"]), (&json!("running"), &Value::Null));
    let before = bench.world.now();
    let again = bench.with_key("k", "/runs", analyst()).await.json();
    assert_eq!((&again["status"], &again["id"]), (&json!("completed"), &listed["data"][0]["id"]));
    assert!(bench.world.now().duration_since(before).as_secs() >= 4, "it waited for the run of the first request");
    assert_eq!(bench.count(), 1);
    let log = bench.sandbox.log();
    let made = |request: &LoggedRequest| request.job.is_some();
    assert_eq!(log.iter().filter(|request| made(request)).count(), 1);
    assert_eq!((log[0].api, log[0].credentials.as_slice()), (Some(Api::Airmy), &["authorization".to_owned()][..]));
}

#[tokio::test(start_paused = true)]
async fn runs_are_listed_filtered_and_cancelled() {
    let bench = Bench::with_faults("- { on: submit, nth: 3, do: { fail: The model is overloaded } }").await;
    let first = bench.run(ANALYST, json!({"query": "a"})).await.json();
    let second = bench.run("ag_02SUMM", json!({"anything": [1, 2]})).await.json();
    let third = bench.run(ANALYST, json!({"query": "b"})).await.json();
    assert_eq!((&third["status"], &third["error"]["message"]), (&json!("failed"), &json!("The model is overloaded")));
    assert_eq!((&third["output"], third.get("tokens_used")), (&Value::Null, None));
    let ids = async |path: &str| -> Vec<Value> {
        let list = bench.get(path).await.json();
        list["data"].as_array().expect("runs").iter().map(|run| run["id"].clone()).collect()
    };
    assert_eq!(ids("/runs").await, [third["id"].clone(), second["id"].clone(), first["id"].clone()]);
    assert_eq!(ids("/runs?agent_id=ag_02SUMM").await, [second["id"].clone()]);
    assert_eq!(ids("/runs?status=failed").await, [third["id"].clone()]);
    let page = bench.get("/runs?limit=2").await.json();
    assert_eq!((page["data"].as_array().map(Vec::len), &page["has_more"]), (Some(2), &json!(true)));
    let late = bench.delete(&format!("/runs/{}", id(&first))).await;
    assert_eq!(error(&late), told(409, "Run is already in a terminal state"));
    assert_eq!(bench.delete("/runs/nothing").await.status, 404);
    let metrics = bench.get("/metrics").await.json();
    assert_eq!(metrics["data"]["runs"], json!({"completed": 2, "failed": 1}));
    assert!(metrics["data"]["tokens_used"].as_u64() > first["tokens_used"].as_u64());
    let logs = bench.get("/logs?limit=1").await.json();
    assert_eq!(logs["data"][0]["path"], "/v2/logs");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_ends_the_request_that_waits_for_it() {
    let bench = Bench::with_faults("- { on: submit, do: stuck }").await;
    let cancel = async {
        let id = loop {
            if let Some(job) = bench.sandbox.jobs().first() {
                break job.id.clone();
            }
            bench.world.sleep(Duration::from_millis(10)).await;
        };
        bench.delete(&format!("/runs/{id}")).await
    };
    let (run, cancelled) = tokio::join!(bench.run(ANALYST, json!({"query": "a"})), cancel);
    assert_eq!((run.status, &run.json()["status"]), (200, &json!("cancelled")));
    assert_eq!((cancelled.status, cancelled.json()), (200, run.json()));
    assert_eq!(bench.sandbox.jobs()[0].state, JobState::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn pipelines_run_their_steps_and_are_seen_under_themselves() {
    let bench = Bench::start(|_| {}).await;
    let trigger = format!("/pipelines/{REVENUE}/trigger");
    let answer = bench.post(&trigger, json!({"input": {"query": "Q1 revenue"}})).await;
    let run = answer.json();
    assert_eq!((answer.status, &run["status"], &run["pipeline_id"]), (202, &json!("running"), &json!(REVENUE)));
    let list = format!("/pipelines/{REVENUE}/runs");
    assert_eq!(bench.get(&list).await.json()["data"][0]["status"], "running");
    bench.wait(1).await;
    let done = bench.get(&list).await.json()["data"][0].clone();
    assert_eq!((&done["id"], &done["status"]), (&run["id"], &json!("completed")));
    assert_eq!(done["output"]["steps"]["intent"]["result"], "financial");
    assert!(done["output"]["result"].as_str().is_some_and(|text| text.starts_with("data-analyst-v3")), "{done}");
    assert_eq!(bench.get(&format!("/runs/{}", id(&run))).await.status, 404, "not among the runs of agents");
    assert!(bench.get("/runs").await.json()["data"].as_array().is_some_and(Vec::is_empty));
    assert_eq!(bench.get("/pipelines/pl_02DIGEST/runs").await.json()["data"], json!([]));
    assert_eq!(bench.get("/pipelines/pl_none/runs").await.status, 404);
    // Without a body there is no input, and a run that goes on can be cancelled.
    let bare = bench.judged("POST", &trigger, &[("Authorization", &bearer(AIRMY_KEY))], None).await.json();
    assert_eq!(bench.delete(&format!("/runs/{}", id(&bare))).await.json()["status"], "cancelled");
    let steps =
        json!([{"id": "one", "agent": "Summariser"}, {"id": "two", "agent": "ag_04PROMPT", "depends_on": ["one"]}]);
    let made = bench.post("/pipelines", json!({"name": "own", "steps": steps})).await.json();
    bench.post(&format!("/pipelines/{}/trigger", id(&made)), json!({"input": {"query": "a boat"}})).await;
    bench.wait(1).await;
    let own = bench.get(&format!("/pipelines/{}/runs", id(&made))).await.json();
    assert!(own["data"][0]["output"]["result"].as_str().is_some_and(|text| text.starts_with("a boat")), "{own}");
}

#[tokio::test(start_paused = true)]
async fn an_unhealthy_deployment_fails_and_can_be_rolled_back() {
    let bench = Bench::start(|_| {}).await;
    let deploy = async |agent: &str| bench.post("/deployments", json!({"agent_id": agent})).await;
    let status = async |deployment: &Value| bench.get(&format!("/deployments/{}", id(deployment))).await.json();
    let good = deploy(ANALYST).await;
    assert_eq!((good.status, &good.json()["status"]), (201, &json!("deploying")));
    let good = good.json();
    let bad = deploy("ag_08CANARY").await.json();
    bench.wait(1).await;
    let active = status(&good).await;
    assert_eq!((&active["status"], &active["health"]), (&json!("active"), &json!("healthy")));
    let failed = status(&bad).await;
    assert_eq!((&failed["status"], &failed["error"]["message"]), (&json!("failed"), &json!("The health check failed")));
    let back = bench.post(&format!("/deployments/{}/rollback", id(&bad)), json!({})).await.json();
    assert_eq!(back["status"], "rolled_back");
    bench.wait(1).await;
    assert_eq!(
        bench.post(&format!("/deployments/{}/rollback", id(&bad)), json!({})).await.json(),
        back,
        "once is enough"
    );
    let logs = bench.get(&format!("/deployments/{}/logs", id(&bad))).await.json();
    let messages: Vec<_> = logs["data"].as_array().expect("lines").iter().map(|line| line["message"].clone()).collect();
    assert_eq!(messages, ["Deployment created", "Health check failed", "Rolled back"]);
    // An agent of one's own can be made unhealthy, and another version is counted.
    let own = bench.post("/agents", json!({"name": "Unhealthy on purpose"})).await.json();
    deploy(id(&own)).await;
    let second = deploy(id(&own)).await.json();
    assert_eq!(second["version"], 2);
    bench.wait(1).await;
    assert_eq!(status(&second).await["status"], "failed");
}

#[tokio::test(start_paused = true)]
async fn alerts_and_webhooks_are_taken() {
    let bench = Bench::start(|_| {}).await;
    let alert = bench.post("/alerts", json!({"name": "Error rate"})).await;
    assert_eq!((alert.status, &alert.json()["name"]), (201, &json!("Error rate")));
    let webhook = bench.post("/webhooks", fixture("webhook_request")).await.json();
    assert_eq!(webhook["active"], true);
    assert!(!webhook.to_string().contains("whsec"), "the secret is not echoed");
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_a_bucket_that_fills_again() {
    let bench = Bench::start(|settings| settings.airmy_rate = Refill { per_minute: 60, burst: 3 }).await;
    for _ in 0..3 {
        assert_eq!(bench.get("/metrics").await.status, 200);
    }
    let refused = bench.get("/metrics").await;
    assert_eq!(error(&refused), told(429, "Rate limit exceeded"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    let nobody = bench.judged("GET", "/metrics", &[], None).await;
    assert_eq!(nobody.status, 401, "the key comes first");
    let demo = bearer(AIRMY_DEMO_KEY);
    assert_eq!(bench.judged("GET", "/metrics", &[("Authorization", &demo)], None).await.status, 200, "by key");
    bench.wait(2).await;
    assert_eq!(bench.get("/metrics").await.status, 200);
    assert_eq!(bench.get("/metrics").await.status, 200);
    assert_eq!(bench.get("/metrics").await.status, 429);
    let free = Refill::default();
    assert_eq!((free.per_minute, free.burst), (100, 150), "as documented of the free plan");
}

#[tokio::test(start_paused = true)]
async fn the_apis_share_an_origin_and_nothing_else() {
    let bench = Bench::start(|_| {}).await;
    let origin = format!("http://{}", bench.sandbox.address());
    assert_eq!(bench.sandbox.base_url_of(Api::Airmy), format!("{origin}/v2"));
    assert_eq!(bench.sandbox.base_url_of(Api::Aimp), format!("{origin}/api"));
    assert_eq!(bench.sandbox.base_url_of(Api::Armox), bench.sandbox.base_url());
    let run = bench.run(ANALYST, json!({"query": "a"})).await.json();
    let address = bench.sandbox.address().to_string();
    let armox = async |path: &str| raw::send(&address, "GET", path, Some(KEY), None).await.expect("an answer");
    assert_eq!(armox(&format!("/api/v1/jobs/{}", id(&run))).await.status, 404, "a run is no job of Armox");
    assert_eq!(armox("/api/v1/jobs").await.json()["data"], json!([]));
    assert_eq!(armox("/api/v1/account").await.json()["usage"]["total_jobs"], 0);
    assert_eq!(armox("/v2/runs").await.status, 401, "a key of Armox is none here");
    assert_eq!(bench.sandbox.jobs()[0].api, Api::Airmy);
}
