//! The emulator's AIMP, asked over its socket. Every answer that the API's document knows goes before the judge, unless a fault or a
//! variant changed it on purpose.

use std::time::Duration;

use dagwood::{
    sandbox::{
        AIMP_KEY, AIMP_READER_KEY, Api, FaultScript, Sandbox, Settings,
        faults::{Deed, Door, Rule, Variant},
    },
    world::World,
};
use serde_json::{Value, json};

use crate::{
    openapi::judge_of,
    raw::{self, Answer},
};

/// Returns a body of the documents.
macro_rules! fixture {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!("../fixtures/aimp/", $name, ".json"))).expect("JSON")
    };
}

/// An emulator with a client that has every answer judged.
struct Bench {
    sandbox: Sandbox,
    world: World,
}

impl Bench {
    async fn start(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings { aimp_requests_per_minute: 100_000, ..Settings::default() };
        change(&mut settings);
        let (sandbox, world) = raw::emulator(settings, "2026-03-26T12:30:00Z").await;
        Self { sandbox, world }
    }

    async fn with_faults(script: &str) -> Self {
        Self::start(|settings| settings.faults = FaultScript::parse(script).expect(script)).await
    }

    async fn with_variant(variant: &str) -> Self {
        Self::with_faults(&format!("- {{ on: any, do: {{ variant: {variant} }} }}")).await
    }

    fn address(&self) -> String {
        self.sandbox.address().to_string()
    }

    /// Asks without the judge.
    async fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
        raw::send_with(&self.address(), method, path, headers, body).await.expect("an answer")
    }

    /// Asks below `/api` with a key, without the judge.
    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map(|body| body.to_string().into_bytes());
        let headers = [("X-API-Key", AIMP_KEY), ("Content-Type", "application/json")];
        self.raw(method, &format!("/api{path}"), &headers, body.as_deref()).await
    }

    async fn judged(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let answer = self.ask(method, path, body).await;
        judge_of(Api::Aimp, method, path, answer.status, &answer.json()).unwrap_or_else(|told| panic!("{told}"));
        for header in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] {
            assert_eq!(answer.header(header).is_some(), answer.status != 401, "{header} on {}", answer.status);
        }
        answer
    }

    async fn get(&self, path: &str) -> Answer {
        self.judged("GET", path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.judged("POST", path, Some(&body)).await
    }

    async fn run(&self, model: &str, input: Value) -> Answer {
        self.post("/runs", json!({"model": model, "input": input})).await
    }

    /// Looks at a run. The document does not know such a request, so the answer is judged as one to the run itself.
    async fn look(&self, id: &Value) -> Value {
        let answer = self.ask("GET", &format!("/runs/{}", id.as_str().expect("an id")), None).await;
        judge_of(Api::Aimp, "POST", "/runs", answer.status, &answer.json()).unwrap_or_else(|told| panic!("{told}"));
        answer.json()
    }

    fn path_of<'a>(&self, url: &'a Value) -> &'a str {
        let url = url.as_str().expect("a URL");
        url.strip_prefix(&format!("http://{}", self.address())).unwrap_or(url)
    }

    async fn file(&self, url: &Value) -> Answer {
        self.raw("GET", self.path_of(url), &[], None).await
    }

    async fn begin(&self, bytes: &[u8]) -> Value {
        let mut body = fixture!("request_upload");
        body["size_bytes"] = json!(bytes.len());
        self.ask("POST", "/media/upload/init", Some(&body)).await.json()
    }

    async fn deliver(&self, begun: &Value, bytes: &[u8]) -> Answer {
        self.raw("PUT", self.path_of(&begun["upload_url"]), &[("Content-Type", "image/png")], Some(bytes)).await
    }

    async fn complete(&self, begun: &Value) -> Answer {
        self.ask("POST", "/media/upload/complete", Some(&json!({"upload_id": begun["upload_id"]}))).await
    }

    /// Uploads a picture as the documents say, and returns its reference.
    async fn upload(&self, bytes: &[u8]) -> Value {
        let begun = self.begin(bytes).await;
        assert_eq!(self.deliver(&begun, bytes).await.status, 200);
        let completed = self.complete(&begun).await;
        judge_of(Api::Aimp, "POST", "/media/upload/complete", completed.status, &completed.json())
            .expect("as documented");
        completed.json()["media_ref"].clone()
    }
}

fn error(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["detail"].as_str().expect("a detail").to_owned())
}

fn told(status: u16, text: &str) -> (u16, String) {
    (status, text.to_owned())
}

#[test]
fn the_bodies_of_the_documents_pass_the_judge() {
    for (method, path, status, body) in [
        ("POST", "/runs", 200, fixture!("run")),
        ("GET", "/marketplace/models", 200, fixture!("models")),
        ("GET", "/marketplace/models/demo-model", 200, fixture!("model")),
        ("POST", "/media/upload/init", 200, fixture!("upload_begun")),
        ("POST", "/media/upload/complete", 200, fixture!("upload_completed")),
        ("GET", "/billing/wallet", 200, fixture!("wallet")),
        ("GET", "/billing/usage/summary", 200, fixture!("usage")),
        ("POST", "/runs", 400, fixture!("error_400")),
        ("POST", "/runs", 401, fixture!("error_401")),
        ("POST", "/runs", 402, fixture!("error_402")),
        ("POST", "/runs", 403, fixture!("error_403")),
        ("POST", "/runs", 404, fixture!("error_404")),
        ("POST", "/runs", 409, fixture!("error_409")),
        ("POST", "/runs", 429, fixture!("error_429")),
        ("POST", "/runs", 502, fixture!("error_502")),
    ] {
        assert_eq!(judge_of(Api::Aimp, method, path, status, &body), Ok(()));
    }
    let mut tampered = fixture!("upload_completed");
    tampered["media_ref"] = json!(3);
    assert!(
        judge_of(Api::Aimp, "POST", "/media/upload/complete", 200, &tampered)
            .is_err_and(|told| told.contains("media_ref"))
    );
}

#[tokio::test(start_paused = true)]
async fn the_marketplace_has_pages_and_contracts() {
    let bench = Bench::start(|_| {}).await;
    let mut path = "/marketplace/models".to_owned();
    let mut cards = Vec::new();
    loop {
        let page = bench.get(&path).await.json();
        cards.extend(page["results"].as_array().expect("a list").clone());
        assert!(cards.len() <= page["count"].as_u64().and_then(|count| usize::try_from(count).ok()).expect("a count"));
        if page["next"].is_null() {
            break;
        }
        path = bench.path_of(&page["next"]).strip_prefix("/api").expect("of the API").to_owned();
    }
    let slugs: Vec<_> = cards.iter().map(|card| card["slug"].as_str().expect("a slug")).collect();
    assert!(slugs.len() >= 9 && !slugs.contains(&"draft-model"), "{slugs:?}");
    for slug in slugs {
        bench.get(&format!("/marketplace/models/{slug}")).await;
    }
    let search = bench.get("/marketplace/models/demo-search").await.json();
    assert_eq!(search["modes"], json!(["index", "search"]));
    let mode = &search["contract"]["modes"]["search"];
    assert_eq!(
        (&mode["requires_scope"], &mode["params_schema"]["properties"]["top_k"]["type"]),
        (&json!(true), &json!("integer"))
    );
    let demo = bench.get("/marketplace/models/demo-model").await.json();
    let (mode, documented) =
        (&demo["contract"]["modes"]["execute"], fixture!("model")["contract"]["modes"]["execute"].clone());
    assert_eq!(mode["input_schema"]["required"], documented["input_schema"]["required"]);
    assert_eq!(bench.get("/marketplace/models/free-form").await.json().get("contract"), None);
    let by_id = demo["id"].as_str().expect("an id");
    assert_eq!(bench.get(&format!("/marketplace/models/{by_id}")).await.json(), demo);
    for (slug, documented) in [("draft-model", fixture!("error_404")), ("twin-model", fixture!("error_409"))] {
        assert_eq!(bench.get(&format!("/marketplace/models/{slug}")).await.json(), documented);
    }
    // What the document does not have at all is not for the judge.
    for (method, path, status) in [
        ("GET", "/nothing", 404),
        ("GET", "/runs", 405),
        ("PUT", "/runs", 405),
        ("GET", "/marketplace/models?page=9", 400),
        ("GET", "/marketplace/models/", 404),
    ] {
        let answer = bench.ask(method, path, None).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(answer.json()["detail"].is_string());
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_comes_in_its_own_header_or_not_at_all() {
    let bench = Bench::start(|_| {}).await;
    let bearer = format!("Bearer {AIMP_KEY}");
    let reads = ["/marketplace/models", "/marketplace/models/demo-model", "/billing/wallet", "/billing/usage/summary"];
    let writes = ["/runs", "/media/upload/init", "/media/upload/complete"];
    let body = fixture!("request_run").to_string().into_bytes();
    for (headers, status) in [
        (vec![], 401),
        (vec![("X-API-Key", "")], 401),
        (vec![("X-API-Key", "wrong")], 401),
        (vec![("X-API-Key", dagwood::sandbox::KEY)], 401),
        (vec![("Authorization", bearer.as_str())], 401),
        (vec![("X-API-Key", AIMP_KEY), ("Authorization", bearer.as_str())], 401),
        (vec![("X-API-Key", AIMP_READER_KEY)], 403),
    ] {
        for path in reads {
            let answer = bench.raw("GET", &format!("/api{path}"), &headers, None).await;
            assert_eq!(answer.status, if status == 403 { 200 } else { 401 }, "{headers:?} {path}");
            judge_of(Api::Aimp, "GET", path, answer.status, &answer.json()).expect("as documented");
        }
        for path in writes {
            let answer = bench.raw("POST", &format!("/api{path}"), &headers, Some(&body)).await;
            assert_eq!(answer.status, status, "{headers:?} {path}");
            judge_of(Api::Aimp, "POST", path, answer.status, &answer.json()).expect("as documented");
        }
    }
    assert!(bench.sandbox.jobs().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_run_ends_within_the_request_and_is_paid() {
    let bench = Bench::start(|_| {}).await;
    let before = bench.world.now();
    let answer = bench.post("/runs", fixture!("request_run")).await;
    assert!(bench.world.now().duration_since(before).as_millis() >= 300);
    let (run, documented) = (answer.json(), fixture!("run"));
    let keys = |value: &Value| {
        value.as_object().expect("an object").keys().cloned().collect::<std::collections::BTreeSet<_>>()
    };
    assert!(keys(&run).is_superset(&keys(&documented)), "{run:#}");
    for key in ["model", "mode", "status", "output", "usage"] {
        assert_eq!(run[key], documented[key], "{key}");
    }
    assert_eq!(bench.look(&run["id"]).await, run);
    assert_eq!(
        bench.get("/billing/wallet").await.json(),
        json!({"balance": "99.9990", "currency": "USD", "status": "active"})
    );
    let usage = bench.get("/billing/usage/summary").await.json();
    assert_eq!(usage, json!({"total_runs": 1, "total_cost": "0.0010", "currency": "USD"}));
    let job = &bench.sandbox.jobs()[0];
    assert_eq!(
        (job.api, &job.beside["scope"], &job.inputs["text"]),
        (Api::Aimp, &json!("playground"), &json!("Hello"))
    );
    assert_eq!(bench.run("free-form", json!({"any": [1]})).await.json()["output"], json!({"received": {"any": [1]}}));
}

#[tokio::test(start_paused = true)]
async fn a_long_run_goes_on_and_is_looked_at() {
    let bench = Bench::start(|_| {}).await;
    let answer = bench.run("story-video", json!({"text": "A fox"})).await;
    assert_eq!((answer.status, &answer.json()["status"]), (202, &json!("running")));
    let id = answer.json()["id"].clone();
    assert_eq!(bench.look(&id).await["status"], "running");
    bench.world.sleep(Duration::from_secs(3)).await;
    let run = bench.look(&id).await;
    assert_eq!((&run["status"], &run["usage"]["cost"]), (&json!("completed"), &json!("0.3500")));
    let film = bench.file(&run["output"]["video"]["url"]).await;
    assert_eq!(film.header("content-type"), Some("video/mp4"));
    assert_eq!(bench.ask("GET", "/runs/run_0", None).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn pictures_have_urls_and_some_answers_are_no_json() {
    let bench = Bench::start(|_| {}).await;
    let run = bench.run("poster-maker", json!({"prompt": "A fair", "aspect_ratio": "1:1"})).await.json();
    let picture = bench.file(&run["output"]["image"]["url"]).await;
    assert!(picture.body.starts_with(b"\x89PNG"));
    let ask = async |model: &str, input: Value| {
        bench.ask("POST", "/runs", Some(&json!({"model": model, "input": input}))).await
    };
    let poem = ask("plain-poet", json!({"theme": "rain"})).await;
    assert_eq!((poem.status, poem.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    assert!(String::from_utf8_lossy(&poem.body).starts_with("rain,\n"));
    let tone = ask("raw-tone", json!({"text": "la"})).await;
    assert_eq!((tone.status, tone.header("content-type")), (200, Some("audio/wav")));
    assert!(tone.body.starts_with(b"RIFF"));
    assert!(tone.header("x-ratelimit-limit").is_some());
}

#[tokio::test(start_paused = true)]
async fn what_is_indexed_is_found_under_its_scope_alone() {
    let bench = Bench::start(|_| {}).await;
    let ask = async |mode: &str, scope: &str, input: Value, params: Value| {
        let body = json!({"model": "demo-search", "mode": mode, "scope": scope, "input": input, "params": params});
        bench.post("/runs", body).await.json()["output"].clone()
    };
    ask("index", "test", json!({"id": "shoe", "text": "Red shoes"}), json!({})).await;
    ask("index", "test", json!({"id": "hat", "text": "A red hat"}), json!({})).await;
    let found = bench.post("/runs", fixture!("request_search")).await.json()["output"]["matches"].clone();
    assert_eq!(found.as_array().map(Vec::len), Some(2));
    assert_eq!((&found[0]["id"], &found[0]["score"]), (&json!("shoe"), &json!(1.0)));
    assert_eq!(
        ask("search", "test", json!({"text": "red"}), json!({"top_k": 1})).await["matches"].as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(ask("search", "other", json!({"text": "red"}), json!({})).await, json!({"matches": []}));
}

#[tokio::test(start_paused = true)]
async fn wrong_requests_are_refused_and_cost_nothing() {
    let bench = Bench::start(|_| {}).await;
    let scope = "Invalid scope: it starts with a letter or number, may contain letters, numbers, ., _ and -, and has at most 64 characters";
    let with = |key: &str, value: Value| {
        let mut body = fixture!("request_run");
        body[key] = value;
        body
    };
    let search = |key: &str, value: Option<Value>| {
        let mut body = fixture!("request_search");
        match value {
            Some(value) => body[key] = value,
            None => drop(body.as_object_mut().expect("an object").remove(key)),
        }
        body
    };
    let caption = |image: Value| json!({"model": "image-captioner", "input": {"image": image}});
    for (body, text) in [
        (json!([]), told(400, "The body must be a JSON object")),
        (json!({}), told(400, "model is required")),
        (json!({"model": "demo-model"}), told(400, "input is required")),
        (with("model", json!("")), told(400, "model must be a text that is not empty")),
        (with("input", json!("Hello")), told(400, "input must be a JSON object")),
        (with("params", json!(null)), told(400, "params must be a JSON object")),
        (with("params", json!([])), told(400, "params must be a JSON object")),
        (with("options", json!(3)), told(400, "options must be a JSON object")),
        (with("mode", json!(null)), told(400, "mode must be a text that is not empty")),
        (with("mode", json!("search")), told(400, "Unsupported mode search: this model has execute")),
        (with("parameters", json!({})), told(400, "Unknown field parameters: use params")),
        (
            with("hardware_tier", json!("a")),
            told(400, "hardware_tier must not be sent: hardware is resolved from the published model release"),
        ),
        (with("resources", json!({})), told(400, "resources is managed by the platform and must not be supplied")),
        (with("alias", json!("a")), told(400, "alias is managed by the platform and must not be supplied")),
        (with("collection", json!("a")), told(400, "collection is managed by the platform and must not be supplied")),
        (with("namespace", json!("a")), told(400, "namespace is managed by the platform and must not be supplied")),
        (with("seed", json!(1)), told(400, "Unknown field seed")),
        (
            with("options", json!({"hardware_tier": "a"})),
            told(400, "options.hardware_tier is managed by the platform and must not be supplied"),
        ),
        (with("scope", json!("-a")), told(400, scope)),
        (with("scope", json!("a\n")), told(400, scope)),
        (with("scope", json!(null)), told(400, scope)),
        (search("scope", None), told(400, "scope is required for mode search")),
        (search("mode", None), told(400, "Unsupported mode execute: this model has index, search")),
        (with("model", json!("draft-model")), told(404, "Model not found or not published")),
        (with("model", json!("twin-model")), told(409, "Two published models claim this slug")),
        (caption(json!("media_0c9d2f")), told(400, "Unknown media_ref media_0c9d2f in input.image")),
        (
            caption(json!("https://example.com/a.png")),
            told(400, "Unknown media_ref https://example.com/a.png in input.image"),
        ),
        (
            json!({"model": "free-form", "input": {"a": [{"media_ref": "media_1"}]}}),
            told(400, "Unknown media_ref media_1 in input.a.0.media_ref"),
        ),
    ] {
        assert_eq!(error(&bench.post("/runs", body.clone()).await), text, "{body}");
    }
    for (body, fields) in [
        (with("input", json!({})), vec!["input"]),
        (with("input", json!({"text": 3, "more": 1})), vec!["input", "input.text"]),
        (search("params", Some(json!({"top_k": 0}))), vec!["params.top_k"]),
        (caption(json!({"media_ref": "media_1"})), vec!["input.image"]),
    ] {
        let answer = bench.post("/runs", body.clone()).await;
        let errors = answer.json()["errors"].as_array().expect("a list").clone();
        let mut found: Vec<_> =
            errors.iter().map(|error| error["field"].as_str().expect("a field").to_owned()).collect();
        found.sort();
        assert_eq!((answer.status, found), (400, fields.into_iter().map(str::to_owned).collect()), "{body}");
    }
    let key = [("X-API-Key", AIMP_KEY)];
    assert_eq!(error(&bench.raw("POST", "/api/runs", &key, Some(b"{")).await), told(400, "The body is not JSON"));
    assert!(bench.sandbox.jobs().is_empty());
    assert!((bench.sandbox.wallet() - 100.0).abs() < 1e-9);
}

#[tokio::test(start_paused = true)]
async fn a_picture_is_uploaded_and_captioned() {
    let bench = Bench::start(|_| {}).await;
    let reference = bench.upload(b"a picture").await;
    let first = bench.run("image-captioner", json!({"image": reference})).await.json()["output"]["caption"].clone();
    assert!(first.as_str().is_some_and(|caption| caption.contains("image/png, 9 bytes")), "{first}");
    let again = bench.upload(b"a picture").await;
    assert_ne!(again, reference);
    assert_eq!(bench.run("image-captioner", json!({"image": again})).await.json()["output"]["caption"], first);
    let other = bench.upload(b"another one").await;
    let captions =
        bench.run("album-captioner", json!({"images": [reference, other]})).await.json()["output"]["captions"].clone();
    assert_eq!(captions[0], first);
    assert_ne!(captions[1], first);
    let video = bench.run("story-video", json!({"text": "A fox", "first_frame": reference})).await;
    assert_eq!(video.status, 202);
}

#[tokio::test(start_paused = true)]
async fn uploads_are_held_to_what_was_declared() {
    let bench = Bench::start(|_| {}).await;
    let begin = async |key: &str, value: Value| {
        let mut body = fixture!("request_upload");
        body[key] = value;
        error(&bench.post("/media/upload/init", body).await)
    };
    assert_eq!(begin("size_bytes", json!(0)).await, told(400, "size_bytes must be a whole number from 1 to 67108864"));
    assert_eq!(begin("size_bytes", json!("9")).await.0, 400);
    assert_eq!(
        begin("content_type", json!("png")).await,
        told(400, "content_type must be a media type such as image/png")
    );
    assert_eq!(
        begin("media_type", json!("picture")).await,
        told(400, "media_type must be one of image, audio, video, file")
    );
    assert_eq!(begin("filename", json!("")).await.0, 400);
    assert_eq!(begin("checksum", json!("a")).await, told(400, "Unknown field checksum"));
    assert_eq!(
        error(&bench.post("/media/upload/complete", fixture!("request_complete")).await),
        told(404, "Upload not found")
    );

    let begun = bench.begin(b"nine byte").await;
    let id = begun["upload_id"].as_str().expect("an id");
    assert!(id.starts_with("studio_upload_"));
    let early = bench.post("/media/upload/complete", json!({"upload_id": id})).await;
    assert_eq!(error(&early), (400, format!("The file of {id} is not uploaded: send its bytes first")));
    let path = bench.path_of(&begun["upload_url"]);
    let png = ("Content-Type", "image/png");
    let bearer = format!("Bearer {AIMP_KEY}");
    let unsigned = path.split('?').next().expect("a path");
    let foreign = "/files/uploads/nothing?sig=a";
    for (method, path, headers, bytes, status) in [
        ("PUT", path, vec![png, ("X-API-Key", AIMP_KEY)], b"nine byte".as_slice(), 400),
        ("PUT", path, vec![png, ("Authorization", bearer.as_str())], b"nine byte", 400),
        ("PUT", path, vec![("Content-Type", "image/jpeg")], b"nine byte", 400),
        ("PUT", path, vec![], b"nine byte", 400),
        ("PUT", path, vec![png], b"eight by", 400),
        ("PUT", path, vec![png], b"ten bytes!", 400),
        ("PUT", unsigned, vec![png], b"nine byte", 403),
        ("PUT", foreign, vec![png], b"nine byte", 404),
        ("POST", path, vec![png], b"nine byte", 405),
        ("GET", path, vec![], b"", 405),
    ] {
        let answer = bench.raw(method, path, &headers, Some(bytes)).await;
        assert_eq!(answer.status, status, "{method} {path} {headers:?}");
        assert_eq!(answer.header("content-type"), Some("application/xml"));
    }
    let chunked = [png, ("Transfer-Encoding", "chunked")];
    assert_eq!(
        bench.raw("PUT", path, &chunked, Some(b"9\r\nnine byte\r\n0\r\n\r\n")).await.status,
        411,
        "the length must be told before"
    );
    assert_eq!(bench.complete(&begun).await.status, 400, "nothing of it was taken");
    assert_eq!(bench.deliver(&begun, b"nine byte").await.status, 200);
    let (once, twice) = (bench.complete(&begun).await.json(), bench.complete(&begun).await.json());
    assert_eq!(once, twice);
    let uploads = |request: &&dagwood::sandbox::LoggedRequest| request.path.starts_with("/files/uploads/");
    let leaks: Vec<_> =
        bench.sandbox.log().iter().filter(uploads).flat_map(|request| request.credentials.clone()).collect();
    assert_eq!(leaks, ["x-api-key", "authorization"], "the log names who leaked, and never the key");
}

#[tokio::test(start_paused = true)]
async fn staged_files_are_served_to_everybody_and_to_no_key() {
    let bench = Bench::start(|_| {}).await;
    let url = json!(bench.sandbox.stage("reference image.png", "image/png", b"picture".to_vec()).expect("room"));
    assert!(url.as_str().is_some_and(|url| url.ends_with("/reference-image.png")), "{url}");
    assert_eq!(json!(bench.sandbox.stage("reference image.png", "image/png", b"picture".to_vec()).expect("room")), url);
    let file = bench.file(&url).await;
    assert_eq!(
        (file.status, file.header("content-type"), file.body.as_slice()),
        (200, Some("image/png"), b"picture".as_slice())
    );
    let path = bench.path_of(&url);
    for (method, path, headers, status) in [
        ("GET", path, vec![("X-API-Key", AIMP_KEY)], 400),
        ("GET", path, vec![("Authorization", "Bearer sk_live_sandbox")], 400),
        ("DELETE", path, vec![], 405),
        ("GET", "/files/staged/nothing/a.png", vec![], 404),
        ("GET", "/files/staged", vec![], 404),
    ] {
        assert_eq!(bench.raw(method, path, &headers, None).await.status, status, "{method} {path} {headers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_wallet_pays_gets_back_and_may_not_suffice() {
    let bench = Bench::start(|settings| {
        settings.wallet = 0.5;
        settings.faults =
            FaultScript::parse("- { on: submit, nth: 1, do: { fail: The runtime broke } }").expect("a script");
    })
    .await;
    let video = async || bench.run("story-video", json!({"text": "A fox"})).await;
    let id = video().await.json()["id"].clone();
    let poor = video().await;
    assert_eq!(
        error(&poor),
        told(402, "The workspace wallet cannot pay for this run: it costs 0.3500, and 0.1500 is left")
    );
    bench.world.sleep(Duration::from_secs(3)).await;
    let failed = bench.look(&id).await;
    assert_eq!((&failed["status"], &failed["error"]["message"]), (&json!("failed"), &json!("The runtime broke")));
    assert_eq!(failed["usage"]["cost"], "0.0000");
    assert_eq!(bench.get("/billing/wallet").await.json()["balance"], "0.5000");
    assert_eq!(video().await.status, 202);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_fails_within_the_request_says_so_in_a_200() {
    let bench = Bench::with_faults("- { on: submit, target: demo-model, do: fail }").await;
    let run = bench.post("/runs", fixture!("request_run")).await;
    assert_eq!((run.status, &run.json()["status"]), (200, &json!("failed")));
    assert_eq!(run.json()["error"], json!({"code": "runtime_failure", "message": "Generation failed"}));
    let index = json!({"model": "demo-search", "mode": "index", "scope": "a", "input": {"text": "red"}});
    let bench = Bench::with_faults("- { on: submit, nth: 1, do: fail }").await;
    bench.post("/runs", index).await;
    let search = json!({"model": "demo-search", "mode": "search", "scope": "a", "input": {"text": "red"}});
    assert_eq!(bench.post("/runs", search).await.json()["output"], json!({"matches": []}), "what failed is not found");
}

#[tokio::test(start_paused = true)]
async fn the_rate_of_a_key_is_limited() {
    let bench = Bench::start(|settings| settings.aimp_requests_per_minute = 2).await;
    assert_eq!(bench.get("/billing/wallet").await.header("x-ratelimit-remaining"), Some("1"));
    bench.world.sleep(Duration::from_secs(20)).await;
    bench.get("/billing/wallet").await;
    let refused = bench.get("/billing/wallet").await;
    assert_eq!(refused.json(), fixture!("error_429"));
    assert_eq!((refused.header("retry-after"), refused.header("x-ratelimit-remaining")), (Some("40"), Some("0")));
    let reset = bench.world.now().as_second() + 40;
    assert_eq!(refused.header("x-ratelimit-reset"), Some(reset.to_string().as_str()));
    bench.world.sleep(Duration::from_secs(40)).await;
    bench.get("/billing/wallet").await;
}

#[tokio::test(start_paused = true)]
async fn scripted_errors_have_the_form_of_the_api() {
    let bench = Bench::with_faults("- { on: submit, do: { status: 502, message: Runtime failure } }").await;
    assert_eq!(bench.ask("POST", "/runs", Some(&fixture!("request_run"))).await.json(), fixture!("error_502"));
    assert!(bench.sandbox.jobs().is_empty());
}

mod variants {
    use super::*;

    /// Asks for a bit of everything, and returns what was said, addresses and times of the answers left out.
    async fn transcript(variant: Option<Variant>) -> String {
        let bench = Bench::start(|settings| {
            settings.aimp_requests_per_minute = 18;
            let mut rules = FaultScript::parse("- { on: submit, nth: 3, do: fail }").expect("a rule").0;
            rules.extend(variant.map(|variant| Rule::new(Door::Any, Deed::Variant(variant))));
            settings.faults = FaultScript(rules);
        })
        .await;
        let run = |model: &str, input: Value| Some(json!({"model": model, "input": input}));
        let search = json!({"model": "demo-search", "mode": "search", "scope": "a", "input": {"text": "red"}});
        let mut answers = Vec::new();
        for (method, path, body) in [
            ("GET", "/marketplace/models", None),
            ("GET", "/marketplace/models?page=3", None),
            ("GET", "/marketplace/models/demo-search", None),
            ("GET", "/marketplace/models/image-captioner", None),
            ("GET", "/billing/wallet", None),
            ("POST", "/runs", run("demo-model", json!({"text": "Hello"}))),
            ("POST", "/runs", run("story-video", json!({"text": "Hello"}))),
            ("POST", "/runs", run("demo-model", json!({"text": "This one fails"}))),
            ("POST", "/runs", Some(search)),
            ("POST", "/runs", run("demo-model", json!({}))),
        ] {
            answers.push(bench.ask(method, path, body.as_ref()).await);
        }
        let long = bench.sandbox.jobs().into_iter().find(|job| job.target.id == "story-video");
        if let Some(long) = long {
            answers.push(bench.ask("GET", &format!("/runs/{}", long.id), None).await);
        }
        // An uploaded picture, as far as the storage takes a plain PUT.
        let mut begin = fixture!("request_upload");
        begin["size_bytes"] = json!(1);
        let begun = bench.ask("POST", "/media/upload/init", Some(&begin)).await;
        if let Ok(place) = serde_json::from_slice::<Value>(&begun.body) {
            answers.push(bench.deliver(&place, b"a").await);
            let completed = bench.complete(&place).await;
            let reference = serde_json::from_slice::<Value>(&completed.body).unwrap_or_default()["media_ref"].clone();
            answers.extend([
                completed,
                bench.ask("POST", "/runs", run("image-captioner", json!({"image": reference})).as_ref()).await,
            ]);
        }
        answers.push(begun);
        for _ in 0..5 {
            answers.push(bench.ask("GET", "/billing/wallet", None).await);
        }
        let text: Vec<_> = answers
            .iter()
            .map(|answer| format!("{} {:?} {}", answer.status, answer.headers, String::from_utf8_lossy(&answer.body)))
            .collect();
        text.join("\n").replace(&bench.address(), "HERE")
    }

    /// A variant that changes nothing would let every client pass.
    #[tokio::test(start_paused = true)]
    async fn every_variant_changes_something() {
        let plain = transcript(None).await;
        assert!(transcript(None).await == plain, "the control: nothing but a variant changes it");
        assert!(plain.contains("429"), "the transcript meets the rate limit");
        for variant in Variant::of(Api::Aimp) {
            assert!(transcript(Some(variant)).await != plain, "{variant:?} changes nothing");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_has_its_parts_elsewhere() {
        let text = json!({"text": "Echo: Hello"});
        for (variant, pointer, value) in [
            ("outputs_key", "/outputs", &text),
            ("result_key", "/result", &text),
            ("results_key", "/results", &text),
            ("data_output", "/data/output", &text),
            ("data_result", "/data/result", &text),
            ("data_key", "/data", &text),
            ("whole_body", "", &text),
            ("state_key", "/state", &json!("completed")),
            ("synonyms", "/status", &json!("succeeded")),
            ("cost_on_top", "/cost", &json!("0.0010")),
            ("cost_in_billing", "/billing/cost", &json!("0.0010")),
            ("money_as_number", "/usage/cost", &json!(0.001)),
        ] {
            let bench = Bench::with_variant(variant).await;
            let run = bench.ask("POST", "/runs", Some(&fixture!("request_run"))).await.json();
            assert_eq!(run.pointer(pointer), Some(value), "{variant}: {run:#}");
        }
        for (variant, pointer, gone) in [
            ("run_id_only", "/run_id", "/id"),
            ("camel_run_id", "/runId", "/id"),
            ("data_id", "/data/id", "/id"),
            ("no_id", "/output", "/run_id"),
            ("no_status", "/output", "/status"),
            ("no_cost", "/output", "/usage"),
        ] {
            let bench = Bench::with_variant(variant).await;
            let run = bench.ask("POST", "/runs", Some(&fixture!("request_run"))).await.json();
            assert!(run.pointer(pointer).is_some() && run.pointer(gone).is_none(), "{variant}: {run:#}");
        }
        let bench = Bench::with_variant("created").await;
        assert_eq!(bench.ask("POST", "/runs", Some(&fixture!("request_run"))).await.status, 201);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_told_in_other_ways() {
        for (variant, status, pointer) in [
            ("failure_text", 200, "/error"),
            ("failure_detail", 200, "/error/detail"),
            ("failure_as_error", 502, "/detail"),
        ] {
            let script =
                format!("- {{ on: submit, do: {{ variant: {variant} }} }}\n- {{ on: submit, do: {{ fail: Broken }} }}");
            let bench = Bench::with_faults(&script).await;
            let answer = bench.ask("POST", "/runs", Some(&fixture!("request_run"))).await;
            assert_eq!((answer.status, answer.json().pointer(pointer)), (status, Some(&json!("Broken"))), "{variant}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_202_says_where_to_look_and_there_alone_is_the_run() {
        for variant in ["location_header", "links_self", "status_url", "empty_202"] {
            let bench = Bench::with_variant(variant).await;
            let accepted =
                bench.ask("POST", "/runs", Some(&json!({"model": "story-video", "input": {"text": "a"}}))).await;
            assert_eq!(accepted.status, 202);
            let body: Value = serde_json::from_slice(&accepted.body).unwrap_or_default();
            let link = match variant {
                "links_self" => body["links"]["self"].clone(),
                "status_url" => body["status_url"].clone(),
                _ => json!(accepted.header("location")),
            };
            let id = bench.sandbox.jobs()[0].id.clone();
            assert_eq!(bench.ask("GET", &format!("/runs/{id}"), None).await.status, 404, "{variant}");
            let path = bench.path_of(&link).strip_prefix("/api").expect("of the API").to_owned();
            assert_eq!(bench.ask("GET", &path, None).await.json()["status"], "running");
            bench.world.sleep(Duration::from_secs(3)).await;
            assert_eq!(bench.ask("GET", &path, None).await.json()["status"], "completed", "{variant}");
        }
        let bench = Bench::with_variant("foreign_status_url").await;
        let accepted =
            bench.ask("POST", "/runs", Some(&json!({"model": "story-video", "input": {"text": "a"}}))).await.json();
        assert!(accepted["status_url"].as_str().is_some_and(|url| url.starts_with("http://localhost:")));
        assert_eq!(bench.look(&accepted["id"]).await["status"], "running");
        let bench = Bench::with_variant("asynchronous").await;
        assert_eq!(bench.post("/runs", fixture!("request_run")).await.status, 202);
        let bench = Bench::with_variant("synchronous").await;
        assert_eq!(bench.run("story-video", json!({"text": "a"})).await.json()["status"], "completed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_may_be_gone_for_a_while() {
        let script = "- { on: look, times: 2, do: { status: 404 } }\n- { on: submit, target: demo-model, do: vanish }";
        let bench = Bench::with_faults(script).await;
        let id = bench.run("story-video", json!({"text": "a"})).await.json()["id"].clone();
        let path = format!("/runs/{}", id.as_str().expect("an id"));
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(bench.ask("GET", &path, None).await.status);
        }
        assert_eq!(statuses, [404, 404, 200]);
    }

    #[tokio::test(start_paused = true)]
    async fn lists_have_other_envelopes_and_pages() {
        for (variant, key) in [("list_data", "data"), ("list_items", "items"), ("list_models", "models")] {
            let list = Bench::with_variant(variant).await.ask("GET", "/marketplace/models", None).await.json();
            assert_eq!(list[key].as_array().map(Vec::len), Some(4), "{variant}");
        }
        let all = Bench::with_variant("list_array").await.ask("GET", "/marketplace/models", None).await.json();
        let count = all.as_array().map(Vec::len).expect("an array");
        for (variant, parameter) in [("page_numbers", "page"), ("cursor_pages", "cursor"), ("next_relative", "")] {
            let bench = Bench::with_variant(variant).await;
            let mut path = "/marketplace/models".to_owned();
            let mut seen = 0;
            loop {
                let page = bench.ask("GET", &path, None).await.json();
                seen += page["results"].as_array().map(Vec::len).expect("a page");
                let next = match parameter {
                    "page" if page["page"] != page["total_pages"] => json!(page["page"].as_u64().expect("a page") + 1),
                    "cursor" => page["next_cursor"].clone(),
                    "page" => Value::Null,
                    _ => page["next"].clone(),
                };
                path = match &next {
                    Value::Null => break,
                    Value::String(path) if parameter.is_empty() => {
                        path.strip_prefix("/api").expect("a path").to_owned()
                    }
                    Value::String(next) => format!("/marketplace/models?{parameter}={next}"),
                    next => format!("/marketplace/models?{parameter}={next}"),
                };
            }
            assert_eq!(seen, count, "{variant}");
        }
        let bench = Bench::with_variant("endless_pages").await;
        assert!(bench.ask("GET", "/marketplace/models?page=3", None).await.json()["next"].is_string());
        let foreign = Bench::with_variant("foreign_next").await.ask("GET", "/marketplace/models", None).await.json();
        assert!(foreign["next"].as_str().is_some_and(|next| next.starts_with("http://localhost:")));
    }

    #[tokio::test(start_paused = true)]
    async fn contracts_stand_in_other_places() {
        for (variant, pointer) in [
            ("contract_operations", "/contract/operations/search/input_schema/type"),
            ("top_modes", "/modes/search/input_schema/type"),
            ("top_operations", "/operations/search/input_schema/type"),
            ("mode_list", "/contract/modes/1/input_schema/type"),
            ("mode_list_by_mode", "/contract/modes/1/input_schema/type"),
            ("flat_schemas", "/input_schema/type"),
            ("detail_in_data", "/data/contract/modes/search/input_schema/type"),
            ("detail_in_model", "/model/contract/modes/search/input_schema/type"),
            ("camel_schemas", "/contract/modes/search/inputSchema/type"),
            ("input_key", "/contract/modes/search/input/type"),
            ("schema_key", "/contract/modes/search/schema/type"),
        ] {
            let bench = Bench::with_variant(variant).await;
            let detail = bench.ask("GET", "/marketplace/models/demo-search", None).await.json();
            assert_eq!(detail.pointer(pointer), Some(&json!("object")), "{variant}: {detail:#}");
        }
        for (variant, key, value) in [
            ("vector_key", "vector", json!(true)),
            ("vector_enabled_key", "vector_enabled", json!(true)),
            ("no_vector_flag", "requires_scope", Value::Null),
        ] {
            let bench = Bench::with_variant(variant).await;
            let detail = bench.ask("GET", "/marketplace/models/demo-search", None).await.json();
            assert_eq!(detail["contract"]["modes"]["search"][key], value, "{variant}");
        }
        let bench = Bench::with_variant("no_contract").await;
        assert_eq!(bench.get("/marketplace/models/demo-search").await.json().get("contract"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_are_wanted_in_other_ways() {
        let png = ("Content-Type", "image/png");
        let bench = Bench::with_variant("relative_upload_url").await;
        assert!(bench.begin(b"a").await["upload_url"].as_str().is_some_and(|url| url.starts_with("/files/uploads/")));
        for (variant, method) in [("upload_method", json!("POST")), ("upload_post", Value::Null)] {
            let bench = Bench::with_variant(variant).await;
            let begun = bench.begin(b"a").await;
            assert_eq!(begun["method"], method);
            let refused = bench.deliver(&begun, b"a").await;
            assert_eq!((refused.status, refused.header("allow")), (405, Some("POST")));
            let path = bench.path_of(&begun["upload_url"]);
            assert_eq!(bench.raw("POST", path, &[png], Some(b"a")).await.status, 200, "{variant}");
            assert_eq!(bench.complete(&begun).await.status, 200);
        }
        let bench = Bench::with_variant("upload_headers").await;
        let begun = bench.begin(b"a").await;
        assert_eq!(bench.deliver(&begun, b"a").await.status, 400, "a header is missing");
        let token = begun["headers"]["X-Upload-Token"].as_str().expect("a header");
        let headers = [png, ("X-Upload-Token", token)];
        assert_eq!(bench.raw("PUT", bench.path_of(&begun["upload_url"]), &headers, Some(b"a")).await.status, 200);
        for (variant, status) in [("upload_created", 201), ("upload_no_content", 204)] {
            let bench = Bench::with_variant(variant).await;
            let begun = bench.begin(b"a").await;
            assert_eq!(bench.deliver(&begun, b"a").await.status, status);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_form_has_its_fields_first_and_its_file_last() {
        let bench = Bench::with_variant("upload_form").await;
        let begun = bench.begin(b"picture").await;
        let field = |name: &str, value: &str| {
            format!("--xyz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let fields = begun["fields"].as_object().expect("fields");
        let fields: String = fields.iter().map(|(name, value)| field(name, value.as_str().expect("a text"))).collect();
        let file = "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\npicture\r\n";
        let form = [("Content-Type", "multipart/form-data; boundary=xyz")];
        let path = bench.path_of(&begun["upload_url"]);
        for (body, status) in [
            (format!("{file}{fields}--xyz--\r\n"), 400),
            (format!("{file}--xyz--\r\n"), 400),
            (format!("{fields}--xyz--\r\n"), 400),
            (format!("{fields}{file}--xyz--\r\n"), 200),
        ] {
            let answer = bench.raw("POST", path, &form, Some(body.as_bytes())).await;
            assert_eq!(answer.status, status, "{body}\n{}", String::from_utf8_lossy(&answer.body));
        }
        assert_eq!(bench.deliver(&begun, b"picture").await.status, 405, "a PUT is no form");
        let completed = bench.complete(&begun).await.json();
        assert_eq!(completed["size_bytes"], 7);
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_wrong_once_goes_well_the_second_time() {
        let bench = Bench::with_variant("upload_expired").await;
        let (first, second) = (bench.begin(b"a").await, bench.begin(b"a").await);
        assert_eq!(bench.deliver(&first, b"a").await.status, 403);
        assert_eq!(bench.deliver(&second, b"a").await.status, 200);

        let bench = Bench::with_variant("not_uploaded").await;
        let begun = bench.begin(b"a").await;
        bench.deliver(&begun, b"a").await;
        assert_eq!(bench.complete(&begun).await.status, 400);
        bench.deliver(&begun, b"a").await;
        assert_eq!(bench.complete(&begun).await.status, 200);

        let bench = Bench::with_variant("media_forgotten").await;
        let reference = bench.upload(b"a").await;
        let refused = bench.run("image-captioner", json!({"image": reference})).await;
        assert_eq!(
            error(&refused),
            (400, format!("Unknown media_ref {} in input.image", reference.as_str().expect("a text")))
        );
        let again = bench.upload(b"a").await;
        assert_eq!(bench.run("image-captioner", json!({"image": again})).await.status, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn references_stand_in_other_places_and_are_objects() {
        for (variant, pointer) in
            [("ref_in_data", "/data/media_ref"), ("ref_in_media", "/media/ref"), ("ref_key", "/ref")]
        {
            let bench = Bench::with_variant(variant).await;
            let begun = bench.begin(b"a").await;
            bench.deliver(&begun, b"a").await;
            let completed = bench.complete(&begun).await.json();
            let reference = completed.pointer(pointer).expect(variant);
            assert_eq!(bench.run("image-captioner", json!({"image": reference})).await.status, 200);
        }
        let bench = Bench::with_variant("media_objects").await;
        let reference = bench.upload(b"a").await;
        let schema = bench.get("/marketplace/models/image-captioner").await.json();
        let image = &schema["contract"]["modes"]["execute"]["input_schema"]["properties"]["image"];
        assert_eq!((&image["type"], &image["required"]), (&json!("object"), &json!(["media_ref"])));
        assert_eq!(bench.run("image-captioner", json!({"image": reference})).await.status, 400);
        assert_eq!(bench.run("image-captioner", json!({"image": {"media_ref": reference}})).await.status, 200);
        let lists = json!({"images": [{"media_ref": reference}]});
        assert_eq!(bench.run("album-captioner", lists).await.status, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn accounts_and_redirects() {
        let bench = Bench::with_variant("wallet_suspended").await;
        assert_eq!(bench.get("/billing/wallet").await.json()["status"], "suspended");
        assert_eq!(
            error(&bench.post("/runs", fixture!("request_run")).await),
            told(402, "The workspace wallet is not active")
        );
        let wallet = Bench::with_variant("account_in_data").await.get("/billing/wallet").await.json();
        assert_eq!(wallet["data"]["balance"], "100.0000");
        for (variant, status) in [("slash_301", 301), ("slash_308", 308)] {
            let bench = Bench::with_variant(variant).await;
            let sent = bench.ask("GET", "/marketplace/models?page=2", None).await;
            assert_eq!((sent.status, sent.header("location")), (status, Some("/api/marketplace/models/?page=2")));
            assert_eq!(bench.ask("GET", "/marketplace/models/?page=2", None).await.status, 200);
            let post = bench.ask("POST", "/runs", Some(&fixture!("request_run"))).await;
            assert_eq!((post.status, bench.sandbox.jobs().len()), (status, 0));
        }
        let sent = Bench::with_variant("foreign_redirect").await.ask("GET", "/billing/wallet", None).await;
        assert!(sent.status == 307 && sent.header("location").is_some_and(|to| to.starts_with("http://localhost:")));
    }
}
