//! The emulator, asked over its socket. Every answer, good or bad, goes before the judge, unless a fault broke it on purpose.

use std::time::Duration;

use dagwood::{
    sandbox::{FREE_KEY, FaultScript, KEY, Sandbox, Settings, Speed},
    world::World,
};
use serde_json::{Value, json};

use crate::{
    openapi::judge,
    raw::{self, Answer},
};

const SKETCH: &str = "cb2bbd2d-b538-4d34-a54e-a9158c2e0dbb";
const IMAGES: &str = "93197f6b-0180-4da1-ad4a-87890d2c7d4a";
const ASPECT: &str = "ced4aa7b-a2a8-4b53-b9ea-1b3e7d9194b5";

/// An emulator with a client that has every answer judged.
struct Bench {
    sandbox: Sandbox,
    world: World,
}

impl Bench {
    async fn start(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings { requests_per_minute: 100_000, ..Settings::default() };
        change(&mut settings);
        let (sandbox, world) = raw::emulator(settings, "2026-03-26T12:30:00Z").await;
        Self { sandbox, world }
    }

    async fn with_faults(script: &str) -> Self {
        Self::start(|settings| settings.faults = FaultScript::parse(script).expect(script)).await
    }

    fn address(&self) -> String {
        self.sandbox.address().to_string()
    }

    /// Asks without the judge.
    async fn raw(&self, method: &str, path: &str, key: Option<&str>, body: Option<&Value>) -> Option<Answer> {
        let path = if path.starts_with("/files") { path.to_owned() } else { format!("/api/v1{path}") };
        let body = body.map(|body| body.to_string().into_bytes());
        raw::send(&self.address(), method, &path, key, body.as_deref()).await
    }

    /// Asks with a key, and has the answer judged.
    async fn with_key(&self, method: &str, path: &str, key: Option<&str>, body: Option<&Value>) -> Answer {
        let answer = self.raw(method, path, key, body).await.expect("an answer");
        judge(method, path, answer.status, &answer.json()).unwrap_or_else(|told| panic!("{told}"));
        let rate = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];
        for header in rate {
            assert_eq!(answer.header(header).is_some(), answer.status < 300, "{header} on {}", answer.status);
        }
        assert!(answer.header("date").is_some_and(|date| date.ends_with("GMT")), "{:?}", answer.headers);
        answer
    }

    async fn get(&self, path: &str) -> Answer {
        self.with_key("GET", path, Some(KEY), None).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.with_key("POST", path, Some(KEY), Some(&body)).await
    }

    async fn run(&self, model: &str, input: Value) -> Answer {
        self.post("/models/run", json!({"model": model, "input": input})).await
    }

    async fn sketch(&self) -> Answer {
        let inputs = json!({IMAGES: ["https://example.com/reference-image.jpg"], ASPECT: "auto"});
        self.post("/apps/run", json!({"app_id": SKETCH, "inputs": inputs})).await
    }

    async fn job(&self, id: &Value) -> Value {
        self.get(&format!("/jobs/{}", id.as_str().expect("an id"))).await.json()
    }

    async fn file(&self, url: &Value) -> Answer {
        let url = url.as_str().expect("a URL");
        let path = url.strip_prefix(&format!("http://{}", self.address())).expect("a file of this emulator");
        self.raw("GET", path, None, None).await.expect("an answer")
    }

    async fn credits(&self) -> Value {
        self.get("/account").await.json()["credits"].clone()
    }
}

fn error(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error"].as_str().expect("an error").to_owned())
}

fn told(status: u16, text: &str) -> (u16, String) {
    (status, text.to_owned())
}

#[tokio::test(start_paused = true)]
async fn the_lists_are_as_documented() {
    let bench = Bench::start(|_| {}).await;
    let models = bench.get("/models").await.json();
    assert!(models["data"].as_array().is_some_and(|models| models.len() >= 8));
    assert_eq!(models["data"][0]["id"], "google/nano-banana");
    assert_eq!(
        models["data"][0]["settings"][0],
        json!({
            "key": "aspect_ratio", "label": "Aspect Ratio", "inputType": "select", "defaultValue": "1:1",
            "options": ["match_input_image", "1:1", "16:9", "9:16", "4:5", "3:2"],
        })
    );
    let apps = bench.get("/apps").await.json();
    let sketch = &apps["data"][0];
    assert_eq!(sketch["brain_id"], "f53d5c9f-b91d-469c-9390-dd1552878255");
    assert_eq!(
        sketch["inputs"],
        json!([
            {
                "id": IMAGES, "type": "image", "label": "Input Images", "required": true,
                "targetHandle": "image_input", "allowMultiple": true,
            },
            {"id": ASPECT, "type": "text", "label": "Aspect Ratio", "required": true, "targetHandle": "aspect_ratio"},
        ])
    );
    assert!(!apps.to_string().contains("Somebody Else"), "a foreign app is not listed");
    let thumbnail = bench.file(&sketch["thumbnail_url"]).await;
    assert_eq!(thumbnail.header("content-type"), Some("image/png"));
}

#[tokio::test(start_paused = true)]
async fn keys_and_plans_are_checked_first() {
    let bench = Bench::start(|_| {}).await;
    let wrong = [
        (None, told(401, "Missing Authorization Bearer token")),
        (Some("sk_live_wrong"), told(401, "Invalid API key")),
        (Some(FREE_KEY), told(403, "Public API access requires Agency, Master/Business, or Enterprise plan.")),
    ];
    for (key, text) in wrong {
        for path in ["/models", "/apps", "/jobs", "/jobs/a", "/account"] {
            assert_eq!(error(&bench.with_key("GET", path, key, None).await), text, "{path}");
        }
        for path in ["/models/run", "/apps/run", "/jobs/a/cancel"] {
            let answer = bench.with_key("POST", path, key, Some(&json!({"model": "kling/video"}))).await;
            assert_eq!(error(&answer), text, "{path}");
        }
    }
    assert!(bench.sandbox.jobs().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_image_comes_within_the_request() {
    let bench = Bench::start(|_| {}).await;
    let before = bench.world.now();
    let answer = bench.run("google/nano-banana", json!({"prompt": "A night street"})).await;
    assert_eq!(answer.status, 200);
    let took = bench.world.now().duration_since(before);
    assert!(took.as_millis() >= 400, "{took}");
    let body = answer.json();
    assert_eq!((&body["status"], &body["credits_charged"]), (&json!("completed"), &json!(70)));
    let picture = bench.file(&body["output"]["outputImage"]).await;
    assert_eq!(picture.header("content-type"), Some("image/png"));
    assert!(picture.body.starts_with(b"\x89PNG"));
    let again = bench.run("google/nano-banana", json!({"prompt": "A night street"})).await.json();
    assert_eq!(bench.file(&again["output"]["outputImage"]).await.body, picture.body, "same inputs, same bytes");
    let job = bench.job(&body["id"]).await;
    assert_eq!(job["output_data"], body["output"]);
    assert_eq!(job["input_data"], json!({"input": {"prompt": "A night street"}}));
    assert_eq!((&job["model_id"], &job["app_id"]), (&json!("google/nano-banana"), &Value::Null));
    assert_eq!(bench.credits().await, 10_000 - 140);
    let text = bench.run("openai/gpt-5-mini", json!({"prompt": "Say hello"})).await.json();
    assert!(text["output"]["outputText"].as_str().is_some_and(|text| text.contains("Say hello")));
    let several = bench.run("bytedance/seedream-4", json!({"prompt": "Fog", "num_images": 3})).await.json();
    assert_eq!(several["output"]["outputImages"].as_array().map(Vec::len), Some(3));
}

#[tokio::test(start_paused = true)]
async fn video_audio_and_3d_go_on_as_jobs() {
    let bench = Bench::start(|_| {}).await;
    for (model, key, kind) in [
        ("kling/video", "outputVideo", "video/mp4"),
        ("elevenlabs/speech", "outputAudio", "audio/wav"),
        ("tencent/hunyuan-3d", "output3d", "model/gltf-binary"),
    ] {
        let answer = bench.run(model, json!({"prompt": "Slow dolly in"})).await;
        assert_eq!(answer.status, 202, "{model}");
        let id = answer.json()["id"].clone();
        let early = bench.job(&id).await;
        assert_eq!((&early["status"], &early["output_data"]), (&json!("processing"), &Value::Null));
        bench.world.sleep(Duration::from_secs(3)).await;
        let job = bench.job(&id).await;
        assert_eq!(job["status"], "completed");
        assert_eq!(bench.file(&job["output_data"][key]).await.header("content-type"), Some(kind));
    }
}

#[tokio::test(start_paused = true)]
async fn an_app_gives_outputs_by_node() {
    let bench = Bench::start(|_| {}).await;
    let answer = bench.sketch().await;
    let accepted = answer.json();
    assert_eq!(answer.status, 202);
    assert_eq!((&accepted["app_name"], &accepted["credits_charged"]), (&json!("Sketch to Render"), &json!(200)));
    bench.world.sleep(Duration::from_secs(1)).await;
    let job = bench.job(&accepted["id"]).await;
    assert_eq!(job["status"], "completed");
    assert_eq!(job["created_at"], accepted["created_at"]);
    let nodes = &job["output_data"]["node_outputs"];
    let render = bench.file(&nodes["6fa95504-bf6c-44e6-bdda-c418903abc8c"]["outputImage"]).await;
    assert!(render.body.starts_with(b"\x89PNG"));

    let kit = json!({
        "app_id": "5a0f4f0e-3c1b-4a86-9d57-20c8a1b6e4d3",
        "inputs": {
            "1e7c9a52-64bd-4f0e-8b3a-d2f5c07a9e16": "https://example.com/lamp.jpg",
            "7b3d5f91-0a2c-4e68-95d4-c8e1f6a7b230": "Lamp One",
        },
    });
    let id = bench.post("/apps/run", kit).await.json()["id"].clone();
    bench.world.sleep(Duration::from_secs(2)).await;
    let job = bench.job(&id).await;
    let nodes = job["output_data"]["node_outputs"].as_object().expect("nodes");
    let keys: Vec<_> = nodes.values().flat_map(|node| node.as_object().expect("a payload").keys()).collect();
    assert_eq!(keys, ["outputImage", "outputVideo", "outputText"]);
}

#[tokio::test(start_paused = true)]
async fn wrong_requests_are_refused_and_cost_nothing() {
    let bench = Bench::start(|_| {}).await;
    let inputs = |inputs: Value| json!({"app_id": SKETCH, "inputs": inputs});
    for (path, body, text) in [
        ("/models/run", json!([]), told(400, "Invalid JSON body")),
        ("/models/run", json!({}), told(400, "model is required")),
        ("/models/run", json!({"model": "no/such"}), told(400, "Invalid model: no/such")),
        ("/models/run", json!({"model": "kling/video"}), told(400, "Missing required inputs: Prompt")),
        ("/models/run", json!({"model": "kling/video", "input": []}), told(400, "input must be an object")),
        ("/apps/run", json!({"inputs": {}}), told(400, "app_id is required")),
        ("/apps/run", json!({"app_id": "no-such"}), told(404, "App not found")),
        ("/apps/run", inputs(json!({})), told(400, "Missing required inputs: Input Images, Aspect Ratio")),
        ("/apps/run", inputs(json!({"Prompt": "a"})), told(400, "Unknown inputs: Prompt")),
        (
            "/apps/run",
            inputs(json!({IMAGES: "https://a.b/c.png", ASPECT: "auto"})),
            told(400, "Invalid input Input Images: expected an array"),
        ),
        (
            "/apps/run",
            json!({"app_id": SKETCH, "inputs": {IMAGES: ["https://a.b"], ASPECT: "1:1"}, "webhook_url": "nowhere"}),
            told(400, "webhook_url must be a URL"),
        ),
        (
            "/apps/run",
            json!({"app_id": "11f0c3d8-e6b5-4a97-8d20-b4c9f7e5a316"}),
            told(403, "You do not have access to this app"),
        ),
        ("/jobs/nothing/cancel", json!({}), told(404, "Job not found")),
    ] {
        assert_eq!(error(&bench.post(path, body).await), text);
    }
    for path in ["/jobs?limit=0", "/jobs?limit=101", "/jobs?limit=many", "/jobs?limit="] {
        assert_eq!(error(&bench.get(path).await), told(400, "limit must be between 1 and 100"), "{path}");
    }
    assert_eq!(error(&bench.get("/jobs/nothing").await), told(404, "Job not found"));
    // What the document does not have at all is not for the judge.
    for (method, path, status) in [("GET", "/nothing", 404), ("PUT", "/jobs", 405), ("GET", "/models/run", 405)] {
        let answer = bench.raw(method, path, Some(KEY), None).await.expect("an answer");
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(answer.json()["error"].is_string());
    }
    let broken = raw::send(&bench.address(), "POST", "/api/v1/apps/run", Some(KEY), Some(b"{")).await;
    assert_eq!(broken.map(|answer| error(&answer)), Some(told(400, "Invalid JSON body")));
    let large = vec![b' '; 5 << 20];
    let large = raw::send(&bench.address(), "POST", "/api/v1/apps/run", Some(KEY), Some(&large)).await;
    // The connection may be reset before the answer is read, as the body was not.
    assert!(large.is_none_or(|answer| error(&answer) == told(400, "Request body too large")));
    assert_eq!(bench.credits().await, 10_000);
    assert!(bench.sandbox.jobs().is_empty());
}

#[tokio::test(start_paused = true)]
async fn credits_are_taken_refunded_and_may_not_suffice() {
    let script = "- { on: submit, nth: 1, do: { fail: The model is overloaded } }";
    let bench = Bench::start(|settings| {
        settings.credits = 300.0;
        settings.faults = FaultScript::parse(script).expect("a script");
    })
    .await;
    let id = bench.run("kling/video", json!({"prompt": "a"})).await.json()["id"].clone();
    assert_eq!(bench.credits().await, 90);
    let poor = bench.run("kling/video", json!({"prompt": "a"})).await;
    assert_eq!(error(&poor), told(402, "Insufficient credits. Required 210, available 90"));
    bench.world.sleep(Duration::from_secs(2)).await;
    let job = bench.job(&id).await;
    assert_eq!((&job["status"], &job["error_message"]), (&json!("failed"), &json!("The model is overloaded")));
    assert_eq!(bench.credits().await, 300, "a failed job is refunded");
    assert_eq!(bench.run("kling/video", json!({"prompt": "a"})).await.status, 202);
    let account = bench.get("/account").await.json();
    assert_eq!(account["usage"]["total_jobs"], 2);
    assert_eq!(account["usage"]["credits_used_last_30d"], 210);
    assert_eq!(bench.sandbox.jobs().iter().map(|job| job.refunded).collect::<Vec<_>>(), [true, false]);
}

#[tokio::test(start_paused = true)]
async fn jobs_are_listed_and_cancelled() {
    let bench = Bench::start(|_| {}).await;
    let mut ids = Vec::new();
    for number in 0..25 {
        ids.push(bench.run("kling/video", json!({"prompt": format!("{number}")})).await.json()["id"].clone());
    }
    ids.reverse();
    let list = bench.get("/jobs").await.json();
    let listed =
        |list: &Value| list["data"].as_array().expect("jobs").iter().map(|job| job["id"].clone()).collect::<Vec<_>>();
    assert_eq!(listed(&list), ids[..20]);
    assert_eq!(list["data"][0]["input_data"], json!({"input": {"prompt": "24"}}));
    assert_eq!(list["data"][0].get("object"), None, "as in the documents");
    assert_eq!(listed(&bench.get("/jobs?limit=100").await.json()), ids);
    let path = format!("/jobs/{}/cancel", ids[0].as_str().expect("an id"));
    assert_eq!(bench.post(&path, json!({})).await.json()["status"], "cancelled");
    assert_eq!(error(&bench.post(&path, json!({})).await), told(409, "Job cannot be cancelled in current state"));
    assert_eq!(bench.job(&ids[0]).await["status"], "cancelled");
    bench.world.sleep(Duration::from_secs(2)).await;
    let late = format!("/jobs/{}/cancel", ids[1].as_str().expect("an id"));
    assert_eq!(bench.post(&late, json!({})).await.status, 409);
}

#[tokio::test(start_paused = true)]
async fn the_rate_window_rolls() {
    let bench = Bench::start(|settings| settings.requests_per_minute = 3).await;
    for remaining in ["2", "1", "0"] {
        let answer = bench.get("/account").await;
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(remaining));
        assert_eq!(answer.header("x-ratelimit-limit"), Some("3"));
        let reset: i64 = answer.header("x-ratelimit-reset").and_then(|reset| reset.parse().ok()).expect("a number");
        assert!((reset - bench.world.now().as_second() - 60).abs() <= 20, "{reset}");
        bench.world.sleep(Duration::from_secs(10)).await;
    }
    let refused = bench.get("/account").await;
    assert_eq!(error(&refused), told(429, "Rate limit exceeded"));
    assert_eq!(refused.header("retry-after"), Some("30"));
    assert_eq!(bench.with_key("GET", "/account", None, None).await.status, 401, "the key comes first");
    bench.world.sleep(Duration::from_secs(31)).await;
    assert_eq!(bench.get("/account").await.status, 200);
}

#[tokio::test]
async fn two_hundred_jobs_at_once() {
    let bench = Bench::start(|settings| {
        settings.credits = 1_000_000.0;
        settings.speed = Speed::Fixed(Duration::ZERO);
    })
    .await;
    let submits = (0..200).map(|number| bench.run("google/nano-banana", json!({"prompt": format!("{number}")})));
    let answers = futures_util::future::join_all(submits).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    let jobs = bench.sandbox.jobs();
    assert_eq!(jobs.len(), 200);
    let prompts: std::collections::BTreeSet<_> = jobs.iter().map(|job| job.inputs["prompt"].to_string()).collect();
    assert_eq!(prompts.len(), 200, "each was submitted once");
    assert_eq!(bench.get("/jobs?limit=100").await.json()["data"].as_array().map(Vec::len), Some(100));
    let logged = bench.sandbox.log();
    assert_eq!(logged.iter().filter(|request| request.job.is_some() && request.status == Some(200)).count(), 200);
}

#[test]
fn a_thread_of_its_own_serves_and_stops() {
    let sandbox = Sandbox::start_on_thread(Settings::default(), World::real()).expect("a free port");
    let address = sandbox.address();
    assert_eq!(sandbox.base_url(), format!("http://{address}/api/v1"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let answer = runtime.block_on(raw::send(&address.to_string(), "GET", "/api/v1/account", Some(KEY), None));
    assert_eq!(answer.map(|answer| answer.status), Some(200));
    let taken = Settings { address, ..Settings::default() };
    let error = Sandbox::start_on_thread(taken, World::real()).expect_err("the port is taken");
    assert_eq!(error.to_string(), format!("failed to listen at {address}"));
    drop(sandbox);
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens any more");
}

mod faults {
    use super::*;

    #[test]
    fn the_schema_and_the_reader_agree() {
        let schema = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/faults.schema.json"));
        let schema: Value = serde_json::from_str(&schema.expect("the schema")).expect("JSON");
        let schema = jsonschema::validator_for(&schema).expect("a schema");
        let example = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/faults.yaml"));
        for (text, good) in [
            (example.expect("the example").as_str(), true),
            ("[]", true),
            ("- { on: submit, do: lose_repli }", false),
            ("- { on: submit, do: { status: 503, wen: after } }", false),
            ("- { on: submit, nth: 0, do: refuse }", false),
            ("- { on: sometimes, do: refuse }", false),
            ("- { do: refuse }", false),
            ("- { on: any, do: { variant: unheard_of } }", false),
            ("on: any", false),
        ] {
            let value: Value = serde_yaml::from_str(text).expect("YAML");
            assert_eq!(schema.is_valid(&value), good, "the schema on {text}");
            assert_eq!(FaultScript::parse(text).is_ok(), good, "the reader on {text}");
        }
    }

    async fn submit(bench: &Bench) -> Option<Answer> {
        let body = json!({"model": "kling/video", "input": {"prompt": "a"}});
        bench.raw("POST", "/models/run", Some(KEY), Some(&body)).await
    }

    #[tokio::test(start_paused = true)]
    async fn before_the_side_effect_nothing_happens_and_after_it_the_job_is_there() {
        let bench = Bench::with_faults(
            "- { on: submit, nth: 1, do: { status: 503, message: Down for repair, retry_after: 7s } }\n\
             - { on: submit, nth: 2, do: { status: 500, when: after } }\n\
             - { on: submit, nth: 3, do: refuse }\n\
             - { on: submit, nth: 4, do: lose_reply }\n\
             - { on: submit, nth: 5, do: html }\n\
             - { on: submit, nth: 6, do: { html: 200, when: after } }\n",
        )
        .await;
        let first = submit(&bench).await.expect("an answer");
        assert_eq!(error(&first), told(503, "Down for repair"));
        assert_eq!((first.header("retry-after"), bench.sandbox.jobs().len()), (Some("7"), 0));
        let second = submit(&bench).await.expect("an answer");
        assert_eq!((second.status, bench.sandbox.jobs().len()), (500, 1));
        judge("POST", "/models/run", 500, &second.json()).expect("a documented error");
        assert!(submit(&bench).await.is_none(), "refused");
        assert_eq!(bench.sandbox.jobs().len(), 1);
        assert!(submit(&bench).await.is_none(), "the reply is lost");
        assert_eq!(bench.sandbox.jobs().len(), 2);
        let page = submit(&bench).await.expect("an answer");
        assert_eq!((page.status, page.header("content-type")), (502, Some("text/html")));
        assert_eq!(bench.sandbox.jobs().len(), 2);
        assert_eq!(submit(&bench).await.map(|answer| answer.status), Some(200));
        assert_eq!(bench.sandbox.jobs().len(), 3);
        assert_eq!(submit(&bench).await.map(|answer| answer.status), Some(202), "the script is over");
        let log = bench.sandbox.log();
        assert_eq!(log[3].faults, ["lose_reply"]);
        assert_eq!((log[3].status, log[3].job.is_some()), (None, true));
        assert_eq!((log[0].status, log[0].job.is_some()), (Some(503), false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_reply_does_not_wait_for_a_job_within_the_request() {
        let bench = Bench::with_faults("- { on: submit, do: lose_reply }").await;
        let before = bench.world.now();
        let body = json!({"model": "google/nano-banana", "input": {"prompt": "a"}});
        assert!(bench.raw("POST", "/models/run", Some(KEY), Some(&body)).await.is_none());
        assert_eq!(bench.world.now(), before);
        assert_eq!(bench.get("/jobs").await.json()["data"][0]["status"], "processing");
    }

    #[tokio::test(start_paused = true)]
    async fn latency_and_bursts() {
        let bench = Bench::with_faults(
            "- { on: account, nth: 1, do: { latency: 90s } }\n\
             - { on: list, do: { burst_429: 2, retry_after: 3s } }\n\
             - { on: list, nth: 2, do: { variant: retry_after_date } }\n",
        )
        .await;
        let before = bench.world.now();
        bench.get("/account").await;
        assert_eq!(bench.world.now().duration_since(before).as_secs(), 90);
        bench.get("/account").await;
        assert_eq!(bench.world.now().duration_since(before).as_secs(), 90);
        let burst = bench.get("/jobs").await;
        assert_eq!(error(&burst), told(429, "Rate limit exceeded"));
        assert_eq!(burst.header("retry-after"), Some("3"));
        assert_eq!(bench.get("/jobs").await.header("retry-after"), Some("Thu, 26 Mar 2026 12:31:33 GMT"));
        assert_eq!(bench.get("/jobs").await.status, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_are_broken() {
        let bench = Bench::with_faults(
            "- { on: catalog, nth: 1, do: broken_json }\n\
             - { on: catalog, nth: 2, do: truncated_json }\n\
             - { on: catalog, nth: 3, do: { huge: 1000000 } }\n\
             - { on: file, nth: 2, do: truncated_json }\n",
        )
        .await;
        let ask = || async { bench.raw("GET", "/models", Some(KEY), None).await.expect("an answer") };
        let broken = ask().await;
        assert_eq!((broken.status, broken.whole), (200, true));
        assert!(serde_json::from_slice::<Value>(&broken.body).is_err());
        let truncated = ask().await;
        assert_eq!((truncated.status, truncated.whole), (200, false));
        assert!(truncated.body.len() > 1000, "the first half arrives");
        let huge = ask().await;
        assert_eq!((huge.body.len(), huge.whole), (1_000_000, true));
        assert!(huge.json().is_string());
        let url = bench.run("google/nano-banana", json!({"prompt": "a"})).await.json()["output"]["outputImage"].clone();
        let whole = bench.file(&url).await;
        let half = bench.file(&url).await;
        assert!(whole.whole && !half.whole && whole.body.starts_with(&half.body));
    }

    #[tokio::test(start_paused = true)]
    async fn jobs_meet_their_fate() {
        let bench = Bench::with_faults(
            "- { on: submit, nth: 1, do: stuck }\n\
             - { on: submit, nth: 2, do: { fail: Too dark } }\n\
             - { on: submit, nth: 3, do: { vanish: 1s } }\n\
             - { on: submit, nth: 4, do: { slow_listing: 1s } }\n\
             - { on: submit, nth: 5, do: null_output }\n\
             - { on: submit, nth: 6, do: { pending: 1s } }\n\
             - { on: submit, nth: 7, do: { takes: 10s } }\n",
        )
        .await;
        let mut ids = Vec::new();
        for _ in 0..7 {
            ids.push(bench.run("kling/video", json!({"prompt": "a"})).await.json()["id"].clone());
        }
        assert_eq!(bench.job(&ids[2]).await["status"], "processing");
        assert_eq!(bench.job(&ids[5]).await["status"], "pending");
        let listed = bench.get("/jobs").await.json().to_string();
        assert!(!listed.contains(ids[3].as_str().expect("an id")), "not listed yet");
        assert_eq!(bench.job(&ids[3]).await["status"], "processing", "but there");
        bench.world.sleep(Duration::from_secs(2)).await;
        let vanished = bench.get(&format!("/jobs/{}", ids[2].as_str().expect("an id"))).await;
        assert_eq!(error(&vanished), told(404, "Job not found"));
        let mut ends = Vec::new();
        for id in [0, 1, 3, 4, 5, 6].map(|number: usize| &ids[number]) {
            ends.push(bench.job(id).await["status"].clone());
        }
        assert_eq!(ends, ["processing", "failed", "completed", "completed", "processing", "processing"]);
        assert_eq!(bench.job(&ids[1]).await["error_message"], "Too dark");
        assert_eq!(bench.job(&ids[4]).await["output_data"], Value::Null);
        bench.world.sleep(Duration::from_secs(100_000)).await;
        assert_eq!(bench.job(&ids[0]).await["status"], "processing");
        assert_eq!(bench.job(&ids[6]).await["status"], "completed");
        let path = format!("/jobs/{}/cancel", ids[0].as_str().expect("an id"));
        assert_eq!(bench.post(&path, json!({})).await.status, 200, "a stuck job can be cancelled");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stuck_request_ends_when_its_job_is_cancelled() {
        let bench = Bench::with_faults("- { on: submit, do: stuck }").await;
        let cancel = async {
            let id = loop {
                if let Some(job) = bench.sandbox.jobs().first() {
                    break job.id.clone();
                }
                bench.world.sleep(Duration::from_millis(10)).await;
            };
            bench.post(&format!("/jobs/{id}/cancel"), json!({})).await
        };
        let (answer, _) = tokio::join!(bench.run("google/nano-banana", json!({"prompt": "a"})), cancel);
        assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("cancelled")));
    }

    #[tokio::test(start_paused = true)]
    async fn rules_are_about_a_target() {
        let bench = Bench::with_faults(
            "- { on: submit, target: Sketch to Render, do: { fail: no } }\n\
             - { on: look, target: kling/video, nth: 1, do: { status: 500 } }\n",
        )
        .await;
        let sketch = bench.sketch().await.json()["id"].clone();
        let video = bench.run("kling/video", json!({"prompt": "a"})).await.json()["id"].clone();
        bench.world.sleep(Duration::from_secs(3)).await;
        assert_eq!(bench.job(&sketch).await["status"], "failed");
        assert_eq!(bench.get(&format!("/jobs/{}", video.as_str().expect("an id"))).await.status, 500);
        assert_eq!(bench.job(&video).await["status"], "completed");
    }

    #[tokio::test(start_paused = true)]
    async fn variants_that_the_document_allows_pass_the_judge() {
        for variant in [
            "output_data",
            "output_in_job",
            "flat_node_outputs",
            "output_objects",
            "output_lists",
            "synchronous",
            "asynchronous",
            "failure_as_error",
            "no_credits",
            "whole_seconds",
            "reset_as_span",
            "no_echo",
            "defaults_in_echo",
            "oldest_first",
            "clamp_limit",
            "option_objects",
            "no_options",
            "old_inputs",
            "nulls",
        ] {
            let bench = Bench::with_faults(&format!("- {{ on: any, do: {{ variant: {variant} }} }}")).await;
            bench.get("/models").await;
            bench.get("/apps").await;
            let image = bench.run("google/nano-banana", json!({"prompt": "a"})).await;
            assert_eq!(image.status, if variant == "asynchronous" { 202 } else { 200 });
            let video = bench.run("kling/video", json!({"prompt": "a"})).await;
            assert_eq!(video.status, if variant == "synchronous" { 200 } else { 202 });
            bench.sketch().await;
            bench.world.sleep(Duration::from_secs(3)).await;
            let limit = if variant == "clamp_limit" { 1000 } else { 100 };
            let jobs = bench.get(&format!("/jobs?limit={limit}")).await.json();
            let jobs = jobs["data"].as_array().expect("jobs");
            assert_eq!(jobs.len(), 3);
            for job in jobs {
                bench.job(&job["id"]).await;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn variants_beyond_the_document() {
        let ask = async |variant: &str| {
            let script =
                format!("- {{ on: any, do: {{ {variant} }} }}\n- {{ on: submit, nth: 1, do: {{ fail: no }} }}");
            let script = if variant.starts_with("status_word") {
                "- { on: look, do: { status_word: resting } }".to_owned()
            } else {
                script
            };
            let bench = Bench::with_faults(&script).await;
            let submit = submit(&bench).await.expect("an answer");
            bench.world.sleep(Duration::from_secs(3)).await;
            let path = format!("/jobs/{}", submit.json()["id"].as_str().expect("an id"));
            (submit, bench.raw("GET", &path, Some(KEY), None).await.expect("an answer"))
        };
        let (submit, _) = ask("variant: minimal_202").await;
        assert_eq!(submit.json().as_object().map(serde_json::Map::len), Some(1));
        let (_, look) = ask("variant: synonyms").await;
        assert_eq!(look.json()["status"], "error");
        let (_, look) = ask("variant: bad_times").await;
        assert_eq!(look.json()["created_at"], "just now");
        let (_, look) = ask("variant: no_rate").await;
        assert_eq!(look.header("x-ratelimit-limit"), None);
        let (_, look) = ask("variant: no_date").await;
        assert_eq!(look.header("date"), None);
        let (_, look) = ask("status_word: resting").await;
        assert_eq!(look.json()["status"], "resting");
        assert!(judge("GET", "/jobs/{id}", 200, &look.json()).is_err());
    }
}
