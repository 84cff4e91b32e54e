//! The `http` verb over the wire: what is sent, what comes back, where keys and headers go, what may be sent again.

use dagwood::{
    job::{FaultKind, IdempotencyKey, JobRequest, JobStatus, Operation, Target, TargetKind},
    provider::{
        Provider,
        armox::{Armox, ArmoxSettings},
        web::Web,
    },
    secret::Secret,
    world::World,
};
use serde_json::{Value, json};

use crate::wire::{self, Act, Wire, answer};

fn request(parts: &Value) -> JobRequest {
    let method = parts["method"].as_str().unwrap_or("GET");
    JobRequest {
        target: Target { kind: TargetKind::Http, id: format!("{method} {}", parts["url"].as_str().expect("a URL")) },
        inputs: parts.as_object().cloned().expect("a map"),
        operation: Operation::default(),
    }
}

fn key() -> IdempotencyKey {
    IdempotencyKey("run/step/1".to_owned())
}

/// Asks as a stranger, as a run outside the emulator does.
async fn ask(parts: Value) -> Result<JobStatus, dagwood::job::Fault> {
    let web = Web::new([Secret::new("canary-secret")], false, World::real()).expect("a client");
    web.submit(&request(&parts), &key()).await.result.map(|submitted| submitted.status)
}

/// Asks with the key of a provider at this base.
async fn ask_api(wire: &Wire, parts: Value) -> Result<JobStatus, dagwood::job::Fault> {
    let settings = ArmoxSettings { base_url: wire.url("/v2/"), ..ArmoxSettings::new(Secret::new("sk_live_canary")) };
    let provider = Armox::new(settings, World::real()).expect("a provider");
    provider.submit(&request(&parts), &key()).await.result.map(|submitted| submitted.status)
}

fn output(status: &JobStatus) -> &Value {
    &status.node_outputs[""]
}

#[tokio::test]
async fn a_request_is_sent_as_written_and_its_answer_is_the_output() {
    let wire = Wire::start(|_| {
        Act::Send(answer(
            "201 Created",
            &[("Content-Type", "application/json"), ("X-Echo", "canary-secret")],
            r#"{"id": 7, "said": "canary-secret"}"#,
        ))
    })
    .await;
    let status = ask(json!({
        "method": "POST", "url": wire.url("/hook?a=1"), "headers": {"X-Token": "t", "X-N": 3}, "query": {"b": [1, 2]}, "json": {"x": null},
    }))
    .await
    .expect("an answer");
    let sent = &wire.requests()[0];
    assert_eq!((sent.line(), sent.body.as_str()), ("POST /hook?a=1&b=1&b=2", r#"{"x":null}"#));
    for header in ["x-token: t", "x-n: 3", "content-type: application/json"] {
        assert!(sent.head.to_lowercase().contains(header), "{}", sent.head);
    }
    let output = output(&status);
    assert_eq!((&output["status"], &output["body"]["id"]), (&json!(201), &json!(7)));
    // A secret that comes back is redacted, in the body and in headers.
    assert_eq!((&output["body"]["said"], &output["headers"]["x-echo"]), (&json!("****"), &json!("****")));
}

#[tokio::test]
async fn a_text_is_a_text_and_bytes_are_a_medium() {
    let wire = Wire::start(|request| match request.line() {
        "GET /text" => Act::Send(answer("200 OK", &[("Content-Type", "text/plain")], "just words")),
        "GET /none" => Act::Send(answer("204 No Content", &[], "")),
        _ => Act::Send(answer("200 OK", &[("Content-Type", "image/png")], [0x89, b'P', 0xff, 0x00])),
    })
    .await;
    assert_eq!(output(&ask(json!({"url": wire.url("/text")})).await.expect("text"))["body"], json!("just words"));
    assert_eq!(output(&ask(json!({"url": wire.url("/none")})).await.expect("nothing"))["body"], Value::Null);
    let picture = ask(json!({"url": wire.url("/picture")})).await.expect("bytes");
    assert_eq!(output(&picture)["body"], json!({"type": "image", "url": "data:image/png;base64,iVD/AA=="}));
}

#[tokio::test]
async fn a_status_counts_as_the_step_says() {
    let wire = Wire::start(|request| match request.line().split(' ').next() {
        Some("GET") => wire::json("404 Not Found", r#"{"error": "gone"}"#),
        Some("POST") => wire::json("503 Service Unavailable", r#"{"error": "later"}"#),
        _ => wire::json("500 Internal Server Error", "{}"),
    })
    .await;
    let url = wire.url("/x");
    assert_eq!(ask(json!({"url": url})).await.expect_err("a fault").kind, FaultKind::NotFound);
    let expected = ask(json!({"url": url, "expect_status": [200, 404]})).await.expect("it is expected");
    assert_eq!(output(&expected)["status"], 404);
    // An answered POST is settled, whatever it says; a GET may be asked again.
    let post = ask(json!({"method": "POST", "url": url})).await.expect_err("a fault");
    assert_eq!((post.kind, post.status, post.may_have_happened()), (FaultKind::Rejected, Some(503), false));
    assert_eq!(ask(json!({"method": "PUT", "url": url})).await.expect_err("a fault").kind, FaultKind::Unavailable);
    let wire = Wire::start(|_| wire::json("200 OK", "{}")).await;
    let fault = ask(json!({"url": wire.url("/x"), "expect_status": 404})).await.expect_err("404 is expected");
    assert_eq!((fault.kind, fault.status), (FaultKind::Rejected, Some(200)));
}

#[tokio::test]
async fn a_lost_post_may_have_happened_and_is_sent_once() {
    let wire = Wire::start(|_| Act::Close(Vec::new())).await;
    let web = Web::new([], false, World::real()).expect("a client");
    for (method, again) in
        [("POST", false), ("PATCH", false), ("GET", true), ("HEAD", true), ("PUT", true), ("DELETE", true)]
    {
        let request = request(&json!({"method": method, "url": wire.url("/x")}));
        let fault = web.submit(&request, &key()).await.result.expect_err(method);
        assert!(fault.may_have_happened(), "{method}: {fault}");
        assert_eq!(web.is_idempotent(&request.target), again, "{method}");
    }
    assert_eq!(wire.requests().len(), 6, "each once");
}

#[tokio::test]
async fn redirects_of_reads_are_followed_and_lose_every_header_on_another_host() {
    let other = Wire::start(|_| wire::json("200 OK", r#"{"from": "other"}"#)).await;
    let there = other.url("/elsewhere");
    let wire = Wire::start(move |request| match request.line() {
        "GET /v2/near" | "POST /v2/near" => {
            Act::Send(answer("307 Temporary Redirect", &[("Location", "/v2/here")], ""))
        }
        "GET /v2/far" => Act::Send(answer("302 Found", &[("Location", &there)], "")),
        "GET /v2/loop" => Act::Send(answer("302 Found", &[("Location", "/v2/loop")], "")),
        "GET /v2/file" => Act::Send(answer("302 Found", &[("Location", "file:///etc/passwd")], "")),
        _ => wire::json("200 OK", r#"{"from": "here"}"#),
    })
    .await;
    let headers = json!({"X-Private": "mine"});
    let near = ask_api(&wire, json!({"url": "/near", "headers": headers})).await.expect("it is followed");
    assert_eq!(output(&near)["body"]["from"], "here");
    let followed = wire.requests().last().expect("a request").head.to_lowercase();
    assert!(followed.contains("authorization: bearer sk_live_canary") && followed.contains("x-private"), "{followed}");
    let far = ask_api(&wire, json!({"url": "/far", "headers": headers})).await.expect("it is followed");
    assert_eq!(output(&far)["body"]["from"], "other");
    let stranger = &other.requests()[0].head.to_lowercase();
    assert!(
        !stranger.contains("canary") && !stranger.contains("authorization") && !stranger.contains("x-private"),
        "{stranger}"
    );
    // The same without a provider: any header may be a credential.
    ask(json!({"url": wire.url("/v2/far"), "headers": {"X-Api-Key": "mine"}})).await.expect("it is followed");
    assert!(!other.requests()[1].head.to_lowercase().contains("x-api-key"));
    let post = ask_api(&wire, json!({"method": "POST", "url": "/near"})).await.expect_err("a POST is not redirected");
    assert_eq!(post.status, Some(307));
    for path in ["/loop", "/file"] {
        assert!(ask_api(&wire, json!({"url": path})).await.is_err(), "{path}");
    }
    assert!(wire.requests().len() < 30, "a loop ends");
}

#[tokio::test]
async fn a_key_goes_to_no_url_on_another_host() {
    let other = Wire::start(|_| wire::json("200 OK", "{}")).await;
    let wire = Wire::start(|_| wire::json("200 OK", "{}")).await;
    for url in [other.url("/x"), "//127.0.0.1:1/../../..".to_owned(), "/../admin".to_owned()] {
        let fault = ask_api(&wire, json!({"url": url})).await.expect_err("refused");
        assert_eq!((fault.kind, other.requests().len(), wire.requests().len()), (FaultKind::Rejected, 0, 0), "{url}");
    }
    ask_api(&wire, json!({"url": wire.url("/v2/x")})).await.expect("the same host");
    assert_eq!(wire.lines(), ["GET /v2/x"]);
}

#[tokio::test]
async fn what_comes_back_is_bounded() {
    let wire = Wire::start(|_| {
        let many: Vec<_> = (0..90).map(|n| (format!("X-Many-{n}"), "v".repeat(50))).collect();
        let many: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Act::Send(answer("200 OK", &many, "{}"))
    })
    .await;
    let status = ask(json!({"url": wire.url("/x")})).await.expect("an answer");
    assert!(output(&status)["headers"].as_object().expect("a map").len() <= 100);
    // A server that sends headers without end is cut off by the HTTP stack, and a body without end by the limit.
    let wire = Wire::start(|request| {
        if request.line() == "GET /headers" {
            let many: Vec<_> = (0..2000).map(|n| (format!("X-Many-{n}"), "v".repeat(500))).collect();
            let many: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            return Act::Send(answer("200 OK", &many, "{}"));
        }
        Act::Close(answer("200 OK", &[], "x".repeat(33 * 1024 * 1024)))
    })
    .await;
    assert!(ask(json!({"url": wire.url("/headers")})).await.is_err());
    assert_eq!(ask(json!({"url": wire.url("/body")})).await.expect_err("too long").kind, FaultKind::Malformed);
}
