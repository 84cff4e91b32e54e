//! AIMP over the wire: each row of what its documents say, or leave open, at least once.

use std::{
    collections::BTreeMap,
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use dagwood::{
    job::{
        Fault, FaultKind, IdempotencyKey, Job, JobHandle, JobRequest, JobState, JobStatus, Operation, Target,
        TargetKind,
    },
    provider::{
        Cancelled, LocalFile, MediaRef, Provider, Wanted,
        aimp::{Aimp, AimpSettings},
    },
    sandbox::{
        AIMP_KEY, Api, FaultScript, Sandbox, Settings, Speed,
        faults::{Deed, Door, Rule, Variant},
    },
    secret::Secret,
    world::World,
};
use serde_json::{Value, json};

use crate::wire::{self, Act, Wire, answer, nobody};

const KEY: &str = "aimp_key_canary";

/// The example of the API's document.
const FINISHED: &str = r#"{"id": "run_5d0c", "run_id": "run_5d0c", "model": "demo-model", "mode": "execute", "status": "completed",
    "output": {"text": "Echo: Hello"}, "usage": {"cost": "0.0010", "currency": "USD"}, "created_at": "2026-03-22T14:30:00Z"}"#;

fn settings(base_url: impl Into<String>) -> AimpSettings {
    AimpSettings::new(base_url, Secret::new(KEY))
}

fn aimp(wire: &Wire) -> Aimp {
    built(settings(wire.url("/api")))
}

fn built(settings: AimpSettings) -> Aimp {
    Aimp::new(settings, World::real()).expect("a provider")
}

fn key() -> IdempotencyKey {
    IdempotencyKey("run_1/caption/1".to_owned())
}

fn model(slug: &str) -> Target {
    Target { kind: TargetKind::Model, id: slug.to_owned() }
}

fn request(operation: Value) -> JobRequest {
    JobRequest {
        target: model("demo-model"),
        inputs: json!({"text": "Hello"}).as_object().cloned().expect("a map"),
        operation: serde_json::from_value(operation).expect("an operation"),
    }
}

fn job(id: &str, look_at: Option<&str>) -> Job {
    Job { id: JobHandle(id.to_owned()), target: model("demo-model"), look_at: look_at.map(str::to_owned) }
}

#[tokio::test]
async fn a_run_is_one_request_with_the_documented_fields() {
    let wire = Wire::start(|_| wire::json("200 OK", FINISHED)).await;
    for base in ["", "/", "/api", "/api/"] {
        let aimp = built(settings(wire.url(base)));
        assert_eq!(aimp.base_url(), wire.url("/api"));
        let whole = json!({"mode": "execute", "scope": "playground", "params": {}, "options": {"priority": "low"}});
        let done = aimp.submit(&request(whole), &key()).await.result.expect("a run");
        assert_eq!((done.job.0.as_str(), &done.status.state, &done.look_at), ("run_5d0c", &JobState::Completed, &None));
        assert_eq!(done.status.node_outputs[""], json!({"text": "Echo: Hello"}));
        assert_eq!(done.status.credits_charged, Some(0.001));
    }
    assert_eq!(wire.lines(), ["POST /api/runs"; 4]);
    for request in wire.requests() {
        assert!(
            request.head.contains(&format!("x-api-key: {KEY}")) && request.header("authorization").is_none(),
            "{}",
            request.head
        );
        let keys: Vec<_> = request.json().as_object().expect("a map").keys().cloned().collect();
        assert_eq!(keys, ["model", "mode", "scope", "input", "params", "options"]);
    }
}

#[tokio::test]
async fn what_the_documents_forbid_is_refused_before_it_leaves() {
    let wire = Wire::start(|_| wire::json("200 OK", FINISHED)).await;
    let aimp = aimp(&wire);
    for (operation, word) in [
        (json!({"scope": "test\n"}), "`test\\n` is no scope"),
        (json!({"scope": "tést"}), "is no scope"),
        (json!({"scope": ""}), "is no scope"),
        (json!({"options": {"hardware_tier": "a100"}}), "`hardware_tier`"),
        (json!({"options": {"parameters": {}}, "params": {"namespace": "n"}}), "`parameters`"),
        (json!({"options": {"parameters": {}}, "params": {"namespace": "n"}}), "`namespace`"),
    ] {
        let fault = aimp.submit(&request(operation.clone()), &key()).await.result.expect_err("a refusal");
        assert!(fault.kind == FaultKind::Rejected && fault.message.contains(word), "{operation}: {fault}");
    }
    for target in [model(" "), Target { kind: TargetKind::App, id: "a".to_owned() }] {
        let fault =
            aimp.submit(&JobRequest { target, ..request(json!({})) }, &key()).await.result.expect_err("a refusal");
        assert_eq!(fault.kind, FaultKind::Rejected);
    }
    assert!(wire.requests().is_empty(), "nothing was sent");
    aimp.submit(&request(json!({"scope": "test"})), &key()).await.result.expect("the control: a good one is");
}

/// The table of errors, and the rows about 500, 502, 409, `Retry-After`, and the forms of an error's body.
#[tokio::test]
async fn refusals_are_told_apart_and_in_the_apis_words() {
    for (status, headers, said, kind, may_have_happened, words) in [
        (
            "400 Bad Request",
            &[][..],
            r#"{"detail": "Invalid scope", "code": "invalid_scope"}"#,
            FaultKind::Rejected,
            false,
            "Invalid scope",
        ),
        (
            "400 Bad Request",
            &[],
            r#"{"detail": [{"loc": ["body", "input", "text"], "msg": "field required"}]}"#,
            FaultKind::Rejected,
            false,
            "input.text: field required",
        ),
        (
            "401 Unauthorized",
            &[],
            r#"{"error": "Missing or invalid authentication"}"#,
            FaultKind::Unauthorized,
            false,
            "invalid authentication",
        ),
        (
            "402 Payment Required",
            &[],
            r#"{"message": "The workspace wallet cannot pay"}"#,
            FaultKind::Credits,
            false,
            "cannot pay",
        ),
        (
            "403 Forbidden",
            &[],
            r#"{"errors": ["The credential lacks permission"]}"#,
            FaultKind::Forbidden,
            false,
            "lacks permission",
        ),
        (
            "404 Not Found",
            &[],
            r#"{"detail": "Model not found or not published"}"#,
            FaultKind::NotFound,
            false,
            "not published",
        ),
        (
            "409 Conflict",
            &[],
            r#"{"detail": "Two published models claim this slug"}"#,
            FaultKind::Rejected,
            false,
            "claim this slug",
        ),
        (
            "429 Too Many Requests",
            &[("retry-after", "7")],
            r#"{"detail": "Rate limit exceeded"}"#,
            FaultKind::RateLimited,
            false,
            "Rate limit",
        ),
        ("500 Internal Server Error", &[], "{}", FaultKind::Unavailable, true, "500"),
        (
            "502 Bad Gateway",
            &[("content-type", "text/html")],
            "<html><title>502 Bad Gateway</title><p>x",
            FaultKind::Unavailable,
            true,
            "Bad Gateway",
        ),
        ("503 Service Unavailable", &[], "", FaultKind::Unavailable, true, "503"),
        ("504 Gateway Timeout", &[], "", FaultKind::Unavailable, true, "504"),
        // Redirects of a POST are not followed, and may be said after the deed.
        ("307 Temporary Redirect", &[("location", "/api/runs/")], "", FaultKind::Malformed, true, "redirect"),
    ] {
        let sent = answer(status, headers, said);
        let wire = Wire::start(move |_| Act::Send(sent.clone())).await;
        let fault = aimp(&wire).submit(&request(json!({})), &key()).await.result.expect_err(status);
        assert_eq!((fault.kind, fault.may_have_happened()), (kind, may_have_happened), "{fault}");
        assert!(fault.message.contains(words) && !fault.message.contains('<'), "{fault}");
        assert_eq!(fault.retry_after, (status == "429 Too Many Requests").then_some(Duration::from_secs(7)));
        assert_eq!(wire.requests().len(), 1, "{status}: once");
    }
    let promises = built(settings("http://localhost:8080")).promises();
    assert_eq!((promises.default_retry_after, promises.findable), (Duration::from_mins(1), [].as_slice()));
}

/// Rows: a lost answer; what a person has marked as safe to repeat.
#[tokio::test]
async fn a_lost_answer_may_have_happened_and_a_refused_connection_not() {
    let wire = Wire::start(|_| Act::Close(Vec::new())).await;
    let lost = aimp(&wire).submit(&request(json!({})), &key()).await.result.expect_err("a fault");
    assert!(lost.may_have_happened() && wire.requests().len() == 1, "{lost}");
    let unsent = built(settings(nobody().await)).submit(&request(json!({})), &key()).await.result.expect_err("a fault");
    assert!(unsent.kind == FaultKind::Network && !unsent.may_have_happened(), "{unsent}");

    let aimp = built(AimpSettings { safe_to_repeat: vec!["embedder".to_owned()], ..settings("http://localhost:8080") });
    assert!(aimp.is_idempotent(&model("embedder")) && !aimp.is_idempotent(&model("demo-model")));
    let http = |id: &str| Target { kind: TargetKind::Http, id: id.to_owned() };
    assert!(aimp.is_idempotent(&http("GET https://a")) && !aimp.is_idempotent(&http("POST https://a")));
}

#[tokio::test]
async fn a_run_that_takes_too_long_may_have_happened() {
    let wire = Wire::start(|_| Act::Silence(Vec::new())).await;
    let aimp = built(AimpSettings { submit_timeout: Duration::from_mins(20), ..settings(wire.url("")) });
    let fault = aimp.submit(&request(json!({})), &key()).await.result.expect_err("a fault");
    assert!(fault.kind == FaultKind::Timeout && fault.may_have_happened(), "{fault}");
    assert!(fault.message.contains("1200 s"), "{fault}");
}

/// Rows: non-JSON answers; an answer without an id.
#[tokio::test]
async fn answers_that_are_no_json_are_kept() {
    for (content_type, sent, expected) in [
        ("text/plain", &b"A red shoe"[..], json!("A red shoe")),
        ("image/png", b"\x89PNG\xff", json!({"type": "image", "url": "data:image/png;base64,iVBOR/8="})),
    ] {
        let sent = answer("200 OK", &[("content-type", content_type)], sent);
        let wire = Wire::start(move |_| Act::Send(sent.clone())).await;
        let done = aimp(&wire).submit(&request(json!({})), &key()).await.result.expect("a run");
        assert_eq!((done.job.0.as_str(), done.status.warnings.len()), ("run_1/caption/1", 1));
        assert_eq!(done.status.node_outputs[""], expected);
    }
}

/// What calls itself JSON and is none is no text that a model meant: a run may be behind it, and is not known.
#[tokio::test]
async fn broken_json_is_no_output() {
    for content_type in ["application/json", "application/problem+json; charset=utf-8"] {
        let sent = answer("200 OK", &[("content-type", content_type)], r#"{"id": "run_1", "status: completed}"#);
        let wire = Wire::start(move |_| Act::Send(sent.clone())).await;
        let fault = aimp(&wire).submit(&request(json!({})), &key()).await.result.expect_err("a fault");
        assert!(fault.kind == FaultKind::Malformed && fault.may_have_happened(), "{fault}");
        let job = Job { id: JobHandle("run_1".to_owned()), target: model("demo-model"), look_at: None };
        let fault = aimp(&wire).look(&[job]).await.result.expect_err("a look is no better");
        assert_eq!(fault.kind, FaultKind::Malformed, "{fault}");
    }
}

#[tokio::test]
async fn a_failed_run_inside_a_200() {
    let wire =
        Wire::start(|_| wire::json("200 OK", r#"{"id": "r", "status": "FAILED", "error": {"detail": "no GPU"}}"#))
            .await;
    let failed = aimp(&wire).submit(&request(json!({})), &key()).await.result.expect("an answer");
    assert_eq!((failed.status.state, failed.status.error.as_deref()), (JobState::Failed, Some("no GPU")));
}

/// Row: whether long models answer 202.
#[tokio::test]
async fn a_run_that_goes_on_is_seen_where_the_answer_says() {
    let other = Wire::start(|_| wire::json("200 OK", FINISHED)).await;
    let elsewhere = other.url("/runs/run_1");
    for (status, location, said, look_at, seen_at, warnings) in [
        (
            "202 Accepted",
            "/api/operations/7",
            json!({"id": "run_1", "status_url": "/api/x"}),
            Some("/api/operations/7"),
            "GET /api/operations/7",
            0,
        ),
        (
            "202 Accepted",
            "",
            json!({"id": "run_1", "links": {"self": "runs/run_1?full=1"}, "status_url": "/api/x"}),
            Some("runs/run_1?full=1"),
            "GET /api/runs/run_1?full=1",
            0,
        ),
        (
            "200 OK",
            "",
            json!({"id": "run_1", "status": "queued", "status_url": "/api/x"}),
            Some("/api/x"),
            "GET /api/x",
            0,
        ),
        ("202 Accepted", "", json!({"id": "run_1"}), None, "GET /api/runs/run_1", 0),
        ("202 Accepted", &elsewhere, json!({"id": "run_1", "status_url": "/api/x"}), Some("/api/x"), "GET /api/x", 1),
        ("202 Accepted", &elsewhere, json!({"id": "run_1"}), None, "GET /api/runs/run_1", 1),
        // Without an id the link is enough.
        ("202 Accepted", "/api/operations/7", json!(null), Some("/api/operations/7"), "GET /api/operations/7", 0),
    ] {
        let headers: Vec<_> = if location.is_empty() { vec![] } else { vec![("location", location)] };
        let accepted =
            answer(status, &[&headers[..], &[("content-type", "application/json")]].concat(), said.to_string());
        let wire = Wire::start(move |request| match request.line() {
            "POST /api/runs" => Act::Send(accepted.clone()),
            _ => wire::json("200 OK", r#"{"status": "completed", "output": 1}"#),
        })
        .await;
        let aimp = aimp(&wire);
        let submitted = aimp.submit(&request(json!({})), &key()).await.result.expect("an acceptance");
        assert!(!submitted.status.state.is_terminal() && submitted.status.node_outputs.is_empty(), "{submitted:?}");
        assert_eq!((submitted.look_at.as_deref(), submitted.status.warnings.len()), (look_at, warnings), "{said}");
        let job = Job { id: submitted.job, target: model("demo-model"), look_at: submitted.look_at };
        let looked = aimp.look(std::slice::from_ref(&job)).await.result.expect("a look");
        assert_eq!((&looked[0].0, &looked[0].1.node_outputs[""]), (&job.id, &json!(1)));
        assert_eq!(wire.lines()[1], seen_at);
        assert!(wire.requests().iter().all(|request| request.header("x-api-key").is_some()));
    }
    assert!(other.requests().is_empty(), "the key went nowhere else");
}

#[tokio::test]
async fn a_run_that_goes_on_out_of_sight_may_have_happened() {
    for said in
        [r#"{"status": "queued"}"#, r#"{"id": "../account"}"#, r#"{"status_url": "https://elsewhere.example/1"}"#]
    {
        let wire = Wire::start(move |_| wire::json("202 Accepted", said)).await;
        let fault = aimp(&wire).submit(&request(json!({})), &key()).await.result.expect_err(said);
        assert!(fault.kind == FaultKind::Malformed && fault.may_have_happened(), "{said}: {fault}");
    }
}

#[tokio::test]
async fn looks() {
    let other = Wire::start(|_| wire::json("200 OK", FINISHED)).await;
    let elsewhere = other.url("/api/runs/run_1");
    let to = elsewhere.clone();
    let wire = Wire::start(move |request| match request.line() {
        "GET /api/runs/run_5d0c" | "GET /v9/run_5d0c/state" | "GET /api/runs/moved/" => wire::json("200 OK", FINISHED),
        "GET /api/runs/slow" => wire::json("202 Accepted", "{}"),
        "GET /api/runs/moved" => Act::Send(answer("308 Permanent Redirect", &[("location", "/api/runs/moved/")], "")),
        "GET /api/runs/away" => Act::Send(answer("302 Found", &[("location", &to)], "")),
        "GET /api/runs/stranger" => wire::json("200 OK", r#"{"id": "another", "output": 1}"#),
        _ => wire::json("404 Not Found", r#"{"detail": "no such run"}"#),
    })
    .await;
    let own = aimp(&wire);
    let look =
        |provider: Aimp, job: Job| async move { provider.look(&[job]).await.result.map(|seen| seen[0].1.clone()) };
    assert_eq!(look(own.clone(), job("run_5d0c", None)).await.expect("a look").credits_charged, Some(0.001));
    assert_eq!(look(own.clone(), job("slow", None)).await.expect("a look").state, JobState::Processing);
    let gone = look(own.clone(), job("gone", None)).await.expect_err("a fault");
    assert_eq!(gone.kind, FaultKind::NotFound);
    assert!(gone.message.contains("no such run"), "{gone}");
    assert_eq!(look(own.clone(), job("stranger", None)).await.expect_err("a fault").kind, FaultKind::Malformed);
    assert_eq!(look(own.clone(), job("run_1/caption/1", None)).await.expect_err("a fault").kind, FaultKind::Rejected);
    // A slash more is followed with the key; another host is not, neither as redirect nor as link.
    assert_eq!(look(own.clone(), job("moved", None)).await.expect_err("another run's").kind, FaultKind::Malformed);
    assert_eq!(
        look(own.clone(), job("run_5d0c", Some("runs/moved"))).await.expect("a look").state,
        JobState::Completed
    );
    assert!(look(own.clone(), job("away", None)).await.is_err());
    assert!(look(own.clone(), job("away", Some(&elsewhere))).await.is_err());
    let polled = built(AimpSettings { poll_path: Some("/v9/{id}/state".to_owned()), ..settings(wire.url("")) });
    assert_eq!(look(polled.clone(), job("run_5d0c", None)).await.expect("a look").state, JobState::Completed);
    assert!(look(polled, job("a b?", None)).await.is_err());
    assert_eq!(wire.lines().last().map(String::as_str), Some("GET /v9/a%20b%3F/state"));
    let both = own.look(&[job("run_5d0c", None), job("slow", None)]).await.result.expect("looks");
    assert_eq!(both.len(), 2);
    assert!(other.requests().is_empty());
    assert!(
        wire.requests()
            .iter()
            .all(|request| request.header("x-api-key").is_some() && request.header("authorization").is_none())
    );
}

#[tokio::test]
async fn what_aimp_cannot_do_it_says() {
    let wire = Wire::start(|_| wire::json("200 OK", "{}")).await;
    let aimp = aimp(&wire);
    let recent = aimp.recent("2026-03-26T12:00:00Z".parse().expect("a time")).await.result.expect("an answer");
    assert!(recent.jobs.is_empty() && !recent.complete);
    let cancelled = aimp.cancel(&job("run_1", None)).await.result.expect("an answer");
    let Cancelled::Impossible(words) = cancelled else { panic!("{cancelled:?}") };
    assert!(words.contains("run_1") && words.contains("may cost"), "{words}");
    assert!(wire.requests().is_empty());
}

#[tokio::test]
async fn the_wallet_and_the_usage() {
    let wire = Wire::start(|request| match request.line() {
        "GET /api/billing/wallet" => {
            wire::json("200 OK", r#"{"balance": "100.0000", "currency": "USD", "status": "active"}"#)
        }
        _ => wire::json("403 Forbidden", r#"{"detail": "no billing role"}"#),
    })
    .await;
    let account = aimp(&wire).account().await.result.expect("an account");
    assert_eq!(account.credits, Some(100.0));
    let find = |name: &str| account.usage.iter().find(|(known, _)| known == name).map(|(_, figure)| figure.clone());
    assert_eq!(find("wallet_status"), Some(json!("active")));
    assert!(find("usage").is_some_and(|said| said.to_string().contains("no billing role")), "{account:?}");
    assert_eq!(wire.lines(), ["GET /api/billing/wallet", "GET /api/billing/usage/summary"]);
}

/// A marketplace in pages, with a page on another host at its end.
async fn marketplace(foreign: String) -> Wire {
    Wire::start(move |request| match request.line() {
        "GET /api/marketplace/models" => {
            wire::json("200 OK", r#"{"results": [{"slug": "demo-model", "name": "Demo"}], "next": "?page=2"}"#)
        }
        "GET /api/marketplace/models?page=2" => {
            wire::json("200 OK", r#"{"results": [{"id": "mdl_2", "slug": "demo-search"}], "next": "/api/marketplace/models/?page=3"}"#)
        }
        "GET /api/marketplace/models/?page=3" => {
            wire::json("200 OK", &json!({"results": [{"slug": "last"}], "next": foreign}).to_string())
        }
        "GET /api/marketplace/models/demo-model" => wire::json(
            "200 OK",
            r#"{"slug": "demo-model", "contract": {"modes": {"execute": {"input_schema": {"type": "object", "required": ["text"]}}}}}"#,
        ),
        "GET /api/marketplace/models/demo-search" => wire::json("200 OK", r#"{"slug": "demo-search"}"#),
        "GET /api/marketplace/models/broken" => wire::json("502 Bad Gateway", "{}"),
        _ => wire::json("404 Not Found", r#"{"detail": "Model not found or not published"}"#),
    })
    .await
}

#[tokio::test]
async fn the_catalogue() {
    let other = Wire::start(|_| wire::json("200 OK", r#"{"results": []}"#)).await;
    let wire = marketplace(other.url("/api/marketplace/models?page=4")).await;
    let aimp = aimp(&wire);
    let ids = |contracts: &[dagwood::contract::Contract]| -> Vec<String> {
        contracts.iter().map(|contract| contract.target.id.clone()).collect()
    };
    let named =
        |names: &[&str]| Wanted::Named(names.iter().map(|name| (TargetKind::Model, (*name).to_owned())).collect());

    let all = aimp.catalog(&Wanted::Kinds(vec![TargetKind::Model])).await.result.expect("contracts");
    assert_eq!(ids(&all), ["demo-model", "demo-search", "last"]);
    assert!(all.iter().all(|contract| contract.unchecked), "a list has no contracts");
    assert!(other.requests().is_empty(), "no page of another host is read");
    assert!(wire.requests().iter().all(|request| request.header("x-api-key").is_some()));
    let listed = wire.requests().len();

    let one = aimp.catalog(&named(&["demo-model"])).await.result.expect("contracts");
    assert_eq!((ids(&one), one[0].unchecked), (vec!["demo-model".to_owned()], false));
    assert_eq!(one[0].schema, Some(json!({"type": "object", "required": ["text"]})));
    assert_eq!(wire.requests().len(), listed + 1, "one request");

    // An identifier is found by its slug and keeps its name; beside an unknown name is what is there.
    let near = aimp.catalog(&named(&["demo-modle", "mdl_2", ".."])).await.result.expect("contracts");
    assert_eq!(ids(&near), ["mdl_2", "demo-model", "demo-search", "last"]);
    assert!(!wire.lines().iter().any(|line| line.contains("..")));

    let fault = aimp.catalog(&named(&["broken"])).await.result.expect_err("a fault");
    assert_eq!(fault.kind, FaultKind::Unavailable);
    let none = aimp.catalog(&Wanted::Kinds(vec![TargetKind::App])).await.result.expect("nothing");
    assert!(none.is_empty());
}

#[tokio::test]
async fn a_list_without_end_is_left() {
    let wire = Wire::start(|request| {
        let page = request.line().rsplit_once('=').map_or(1, |(_, page)| page.parse::<u32>().expect("a number"));
        wire::json("200 OK", &json!({"next": page + 1, "data": [{"slug": format!("m{page}")}]}).to_string())
    })
    .await;
    let all = aimp(&wire).catalog(&Wanted::Kinds(vec![TargetKind::Model])).await.result.expect("contracts");
    assert_eq!((all.len(), wire.requests().len()), (50, 50));
    let circle = Wire::start(|_| wire::json("200 OK", r#"{"items": [{"slug": "m"}], "next_cursor": "again"}"#)).await;
    let all = aimp(&circle).catalog(&Wanted::Kinds(vec![TargetKind::Model])).await.result.expect("contracts");
    assert_eq!(
        (all.len(), circle.requests().len()),
        (1, 2),
        "the page that names itself is left, and its model is one"
    );
    let odd = Wire::start(|_| wire::json("200 OK", r#"{"count": 0}"#)).await;
    let fault = aimp(&odd).catalog(&Wanted::Kinds(vec![TargetKind::Model])).await.result.expect_err("a fault");
    assert_eq!(fault.kind, FaultKind::Malformed);
}

/// What an upload did: the reference or the fault, what the Gateway was asked, and what the storage was sent.
struct Handed {
    result: Result<MediaRef, Fault>,
    gateway: Vec<wire::Request>,
    storage: Vec<wire::Request>,
}

const BYTES: &str = "not really a picture";

/// Hands a file over to a Gateway whose init answers this, `STORAGE` being the storage's URL, and whose completes answer these in turn.
async fn hand_over(
    init: Value,
    completes: Vec<Said>,
    storage: impl Fn(usize, &wire::Request) -> Act + Send + Sync + 'static,
) -> Handed {
    let count = AtomicUsize::new(0);
    let storage = Wire::start(move |request| storage(count.fetch_add(1, Ordering::Relaxed), request)).await;
    let init = init.to_string().replace("STORAGE", storage.url("").as_str());
    let turn = AtomicUsize::new(0);
    let gateway = Wire::start(move |request| match request.line() {
        "POST /api/media/upload/init" => wire::json("201 Created", &init),
        "POST /api/media/upload/complete" => {
            let turn = turn.fetch_add(1, Ordering::Relaxed);
            match completes.get(turn) {
                Some(Said::Json(status, body)) => wire::json(status, body),
                Some(Said::Close) => Act::Close(Vec::new()),
                None => wire::json("200 OK", r#"{"media_ref": "media_0c9d2f"}"#),
            }
        }
        // The Gateway's own storage.
        _ => Act::Send(answer("204 No Content", &[], "")),
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("image.png");
    fs::write(&path, BYTES).expect("a file");
    let bytes = BYTES.len() as u64;
    let file = LocalFile { path, name: "image.png".to_owned(), content_type: "image/png".to_owned(), bytes };
    let result = aimp(&gateway).upload(&file).await.result;
    Handed { result, gateway: gateway.requests(), storage: storage.requests() }
}

/// An answer to a complete.
#[derive(Clone)]
enum Said {
    Json(&'static str, &'static str),
    Close,
}

fn slot(more: &Value) -> Value {
    let mut slot = json!({"upload_id": "studio_upload_8f3a", "upload_url": "STORAGE/uploads/8f3a?sig=abc"});
    slot.as_object_mut().expect("a map").extend(more.as_object().cloned().expect("a map"));
    slot
}

fn taken(_: usize, _: &wire::Request) -> Act {
    Act::Send(answer("200 OK", &[], ""))
}

fn lines(requests: &[wire::Request]) -> Vec<&str> {
    requests.iter().map(wire::Request::line).collect()
}

/// Says that no credential came along.
fn bare(requests: &[wire::Request]) -> bool {
    let secret = |request: &wire::Request| {
        ["x-api-key", "authorization", "cookie", "transfer-encoding"].iter().any(|name| request.header(name).is_some())
            || request.head.contains(KEY)
            || request.body.contains(KEY)
    };
    !requests.is_empty() && !requests.iter().any(secret)
}

#[tokio::test]
async fn a_file_is_handed_over_in_three_steps() {
    let handed = hand_over(slot(&json!({})), vec![], taken).await;
    assert_eq!(handed.result, Ok(MediaRef("media_0c9d2f".to_owned())));
    assert_eq!(lines(&handed.gateway), ["POST /api/media/upload/init", "POST /api/media/upload/complete"]);
    assert_eq!(
        handed.gateway[0].json(),
        json!({"filename": "image.png", "content_type": "image/png", "media_type": "image", "size_bytes": BYTES.len()})
    );
    assert_eq!(handed.gateway[1].json(), json!({"upload_id": "studio_upload_8f3a"}));
    assert!(handed.gateway.iter().all(|request| request.header("x-api-key").is_some()));
    let [sent] = handed.storage.as_slice() else { panic!("one request") };
    assert_eq!((sent.line(), sent.body.as_str()), ("PUT /uploads/8f3a?sig=abc", BYTES));
    assert!(sent.head.contains("content-type: image/png") && sent.head.contains("content-length: 20"), "{}", sent.head);
    assert!(bare(&handed.storage), "{}", sent.head);
    assert!(!bare(&handed.gateway), "the control: a credential is seen where there is one");
}

#[tokio::test]
async fn method_and_headers_are_as_the_answer_says_but_for_credentials() {
    let headers = json!({"Content-Type": "image/webp", "x-amz-acl": "private", "Authorization": KEY, "X-Api-Key": "x", "Cookie": "x", "Transfer-Encoding": "chunked"});
    let handed = hand_over(slot(&json!({"method": "post", "headers": headers})), vec![], taken).await;
    handed.result.expect("a reference");
    let sent = &handed.storage[0];
    assert_eq!(sent.line(), "POST /uploads/8f3a?sig=abc");
    assert!(
        sent.head.contains("content-type: image/webp") && sent.head.contains("x-amz-acl: private"),
        "{}",
        sent.head
    );
    assert!(bare(&handed.storage), "{}", sent.head);
    // A storage that insists is told to have been the one that asked.
    let refusing = hand_over(slot(&json!({"headers": {"Authorization": "x"}})), vec![], |_, _| {
        Act::Send(answer("401 Unauthorized", &[], "no"))
    })
    .await;
    let fault = refusing.result.expect_err("a fault");
    assert!(fault.message.contains("the header `authorization`"), "{fault}");
    assert!(
        !fault.message.contains("sig=abc") && !fault.message.contains("8f3a"),
        "a signed URL is a credential: {fault}"
    );
}

#[tokio::test]
async fn a_form_has_the_file_last() {
    let handed = hand_over(slot(&json!({"fields": {"key": "a/b", "policy": "e30="}})), vec![], taken).await;
    handed.result.expect("a reference");
    let sent = &handed.storage[0];
    assert!(
        sent.line().starts_with("POST /uploads") && sent.head.contains("content-type: multipart/form-data; boundary=")
    );
    let at = |text: &str| sent.body.find(text).unwrap_or_else(|| panic!("{text}: {}", sent.body));
    assert!(at("name=\"key\"\r\n\r\na/b\r\n") < at("name=\"policy\"\r\n\r\ne30=\r\n"));
    assert!(
        at("name=\"policy\"")
            < at("name=\"file\"; filename=\"image.png\"\r\ncontent-type: image/png\r\n\r\nnot really")
    );
    assert!(sent.head.contains(&format!("content-length: {}", sent.body.len())), "{}", sent.head);
    assert!(bare(&handed.storage));
}

#[tokio::test]
async fn a_relative_upload_url_is_the_gateways_and_gets_no_key_either() {
    let mut init = slot(&json!({}));
    init["upload_url"] = json!("/uploads/8f3a");
    let handed = hand_over(init, vec![], taken).await;
    handed.result.expect("a reference");
    assert_eq!(handed.gateway[1].line(), "PUT /uploads/8f3a");
    assert!(handed.storage.is_empty() && bare(&handed.gateway[1..2]));
}

#[tokio::test]
async fn post_is_tried_once_where_a_405_allows_it() {
    let refuse = |_: usize, request: &wire::Request| match request.line() {
        line if line.starts_with("PUT") => {
            Act::Send(answer("405 Method Not Allowed", &[("allow", "OPTIONS, post")], ""))
        }
        _ => Act::Send(answer("201 Created", &[], "")),
    };
    let handed = hand_over(slot(&json!({})), vec![], refuse).await;
    handed.result.expect("a reference");
    assert_eq!(lines(&handed.storage), ["PUT /uploads/8f3a?sig=abc", "POST /uploads/8f3a?sig=abc"]);
    assert!(bare(&handed.storage));
    for allow in ["GET, HEAD", "POST"] {
        let stubborn = hand_over(slot(&json!({})), vec![], move |_, _| {
            Act::Send(answer("405 Method Not Allowed", &[("allow", allow)], ""))
        })
        .await;
        assert_eq!(stubborn.result.expect_err("a fault").status, Some(405));
        assert_eq!(stubborn.storage.len(), if allow == "POST" { 2 } else { 1 });
    }
}

#[tokio::test]
async fn an_expired_upload_is_begun_once_more() {
    let expired = |turn: usize, _: &wire::Request| {
        let status = if turn == 0 { "403 Forbidden" } else { "200 OK" };
        Act::Send(answer(status, &[], "expired"))
    };
    let handed = hand_over(slot(&json!({})), vec![], expired).await;
    handed.result.expect("a reference");
    let (init, complete) = ("POST /api/media/upload/init", "POST /api/media/upload/complete");
    assert_eq!(lines(&handed.gateway), [init, init, complete]);
    let always = hand_over(slot(&json!({})), vec![], |_, _| Act::Send(answer("403 Forbidden", &[], ""))).await;
    assert_eq!(always.result.expect_err("a fault").status, Some(403));
    assert_eq!((lines(&always.gateway), always.storage.len()), (vec![init, init], 2));
}

#[tokio::test]
async fn redirects_of_the_bytes_are_not_followed() {
    let handed = hand_over(slot(&json!({})), vec![], |_, _| {
        Act::Send(answer("307 Temporary Redirect", &[("location", "/elsewhere")], ""))
    })
    .await;
    assert!(handed.result.is_err());
    assert_eq!(lines(&handed.storage), ["PUT /uploads/8f3a?sig=abc"]);
}

#[tokio::test]
async fn complete_is_said_once_more_after_a_lost_answer_and_after_sending_again() {
    let not_uploaded = || Said::Json("409 Conflict", r#"{"detail": "The file was not uploaded yet"}"#);
    for (row, completes, sent, completed, well) in [
        ("lost", vec![Said::Close], 1, 2, true),
        ("lost behind a proxy", vec![Said::Json("502 Bad Gateway", "{}")], 1, 2, true),
        ("lost twice", vec![Said::Close, Said::Close], 1, 2, false),
        ("not uploaded", vec![not_uploaded()], 2, 2, true),
        ("never uploaded", vec![not_uploaded(), not_uploaded()], 2, 2, false),
        ("refused", vec![Said::Json("400 Bad Request", r#"{"detail": "too large"}"#)], 1, 1, false),
        ("no reference", vec![Said::Json("200 OK", r#"{"ok": true}"#); 2], 1, 2, false),
        ("elsewhere", vec![Said::Json("200 OK", r#"{"media": {"ref": "m"}}"#)], 1, 1, true),
    ] {
        let handed = hand_over(slot(&json!({})), completes, taken).await;
        assert_eq!(handed.result.is_ok(), well, "{row}: {:?}", handed.result);
        let count = lines(&handed.gateway).iter().filter(|line| line.ends_with("/complete")).count();
        assert_eq!((handed.storage.len(), count), (sent, completed), "{row}");
        assert!(bare(&handed.storage), "{row}");
    }
}

#[tokio::test]
async fn where_bytes_must_not_go_nothing_is_sent() {
    for url in ["http://storage.example/a", "https://user:hunter2@storage.example/a", "ftp://storage.example/a"] {
        let mut init = slot(&json!({}));
        init["upload_url"] = json!(url);
        let handed = hand_over(init, vec![], taken).await;
        let fault = handed.result.expect_err(url);
        assert!(fault.kind == FaultKind::Malformed && !fault.message.contains("hunter2"), "{fault}");
        assert_eq!(lines(&handed.gateway), ["POST /api/media/upload/init"]);
    }
    let without = hand_over(json!({"upload_url": "STORAGE/a"}), vec![], taken).await;
    assert_eq!(without.result.expect_err("no id").kind, FaultKind::Malformed);
    assert!(without.storage.is_empty());
}

#[tokio::test]
async fn a_file_that_changed_or_is_gone_is_not_sent() {
    let wire = Wire::start(|request| match request.line() {
        "POST /api/media/upload/init" => wire::json("200 OK", r#"{"upload_id": "u", "upload_url": "/put"}"#),
        _ => wire::json("200 OK", r#"{"media_ref": "m"}"#),
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.bin");
    let file = |bytes| LocalFile { path: path.clone(), name: "a.bin".to_owned(), content_type: String::new(), bytes };
    let gone = aimp(&wire).upload(&file(3)).await.result.expect_err("a fault");
    fs::write(&path, "four").expect("a file");
    let changed = aimp(&wire).upload(&file(3)).await.result.expect_err("a fault");
    assert_eq!((gone.kind, changed.kind), (FaultKind::Rejected, FaultKind::Rejected));
    assert!(changed.message.contains("4 bytes now"), "{changed}");
    assert!(!wire.lines().iter().any(|line| line.starts_with("PUT")));
    aimp(&wire).upload(&file(4)).await.result.expect("the control");
    let put = wire.requests().into_iter().find(|request| request.line() == "PUT /put").expect("the bytes");
    assert!(put.head.contains("content-type: application/octet-stream"), "{}", put.head);
}

/// A file larger than what is read at once arrives whole.
#[tokio::test]
async fn a_large_file_streams() {
    let wire = Wire::start(|request| match request.line() {
        "POST /api/media/upload/init" => wire::json("200 OK", r#"{"upload_id": "u", "upload_url": "/put"}"#),
        _ => wire::json("200 OK", r#"{"media_ref": "m"}"#),
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.txt");
    let text = (0..40_000).map(|n| format!("{n:06}")).collect::<Vec<_>>().join(" ");
    fs::write(&path, &text).expect("a file");
    let file =
        LocalFile { path, name: "a.txt".to_owned(), content_type: "text/plain".to_owned(), bytes: text.len() as u64 };
    aimp(&wire).upload(&file).await.result.expect("a reference");
    let put = wire.requests().into_iter().find(|request| request.line() == "PUT /put").expect("the bytes");
    assert!(put.body == text, "{} bytes of {}", put.body.len(), text.len());
}

#[tokio::test]
async fn an_uploaded_file_stands_in_an_input_as_the_contract_or_the_settings_say() {
    let media = MediaRef("media_0c9d2f".to_owned());
    let plain = built(settings("http://localhost:8080"));
    let objects = built(AimpSettings { media_ref_object: true, ..settings("http://localhost:8080") });
    assert_eq!(plain.media_input(&media, None), json!("media_0c9d2f"));
    assert_eq!(objects.media_input(&media, None), json!({"media_ref": "media_0c9d2f"}));
    assert_eq!(objects.media_input(&media, Some(&json!({"type": "string"}))), json!("media_0c9d2f"));

    let wire =
        Wire::start(|_| wire::json("400 Bad Request", r#"{"detail": "input.image: media_0c9d2f has expired"}"#)).await;
    let fault = aimp(&wire).submit(&request(json!({})), &key()).await.result.expect_err("a fault");
    assert!(plain.lost_media(&fault, std::slice::from_ref(&media)));
    assert!(!plain.lost_media(&fault, &[]), "nothing of ours is named");
}

/// A provider at the emulator, and the emulator.
async fn at_emulator(variant: Option<Variant>) -> (Aimp, Sandbox) {
    let rules = variant.map(|variant| Rule::new(Door::Any, Deed::Variant(variant))).into_iter().collect();
    let settings = Settings {
        faults: FaultScript(rules),
        speed: Speed::Fixed(Duration::from_millis(1)),
        aimp_requests_per_minute: 100_000,
        ..Settings::default()
    };
    let sandbox = Sandbox::start(settings, World::real()).await.expect("a free port");
    let aimp = built(AimpSettings::new(sandbox.base_url_of(Api::Aimp), Secret::new(AIMP_KEY)));
    (aimp, sandbox)
}

/// Runs a model to its end, as the engine would.
async fn finish(aimp: &Aimp, slug: &str, inputs: Value) -> Result<JobStatus, Fault> {
    let inputs = inputs.as_object().cloned().expect("a map");
    let request = JobRequest { target: model(slug), inputs, operation: Operation::default() };
    let submitted = aimp.submit(&request, &key()).await.result?;
    let job = Job { id: submitted.job, target: model(slug), look_at: submitted.look_at };
    let mut status = submitted.status;
    for _ in 0..1000 {
        if status.state.is_terminal() {
            return Ok(status);
        }
        World::real().sleep(Duration::from_millis(2)).await;
        status = aimp.look(std::slice::from_ref(&job)).await.result?.remove(0).1;
    }
    panic!("{slug} does not end: {status:?}")
}

/// Does everything that AIMP is for, and returns what came of each.
async fn tour(aimp: &Aimp) -> BTreeMap<&'static str, Result<Value, Fault>> {
    let text = |status: JobStatus| status.node_outputs.get("").cloned().unwrap_or_default();
    let mut came = BTreeMap::new();
    let all = aimp.catalog(&Wanted::Kinds(vec![TargetKind::Model])).await.result;
    came.insert("list", all.map(|all| json!(all.iter().map(|model| model.target.id.clone()).collect::<Vec<_>>())));
    let names = ["demo-model", "image-captioner"].map(|name| (TargetKind::Model, name.to_owned()));
    let contracts = aimp.catalog(&Wanted::Named(names.to_vec())).await.result;
    let place = contracts
        .as_ref()
        .ok()
        .and_then(|contracts| Some(contracts[1].schema.as_ref()?["properties"]["image"].clone()));
    came.insert(
        "contracts",
        contracts.map(|contracts| {
            json!(
                contracts
                    .iter()
                    .map(|contract| {
                        let [mode] = contract.modes.as_slice() else { return json!(contract.modes.len()) };
                        json!([
                            contract.schema,
                            contract.ports.len(),
                            mode.schema,
                            mode.params,
                            mode.needs_scope,
                            contract.unchecked
                        ])
                    })
                    .collect::<Vec<_>>()
            )
        }),
    );
    came.insert("echo", finish(aimp, "demo-model", json!({"text": "Hello"})).await.map(text));
    let priced = finish(aimp, "demo-model", json!({"text": "Hello"})).await;
    came.insert("cost", priced.map(|status| json!(status.credits_charged)));

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("image.png");
    fs::write(&path, BYTES).expect("a file");
    let bytes = BYTES.len() as u64;
    let file = LocalFile { path, name: "image.png".to_owned(), content_type: "image/png".to_owned(), bytes };
    let seen = async {
        let mut media = aimp.upload(&file).await.result?;
        let caption = |media: &MediaRef| json!({"image": aimp.media_input(media, place.as_ref())});
        let mut seen = finish(aimp, "image-captioner", caption(&media)).await;
        if seen.as_ref().is_err_and(|fault| aimp.lost_media(fault, std::slice::from_ref(&media))) {
            media = aimp.upload(&file).await.result?;
            seen = finish(aimp, "image-captioner", caption(&media)).await;
        }
        seen.map(text)
    };
    came.insert("caption", seen.await);

    let video = finish(aimp, "story-video", json!({"text": "A red shoe"})).await;
    came.insert("video", video.map(|status| json!(text(status)["video"]["url"].is_string())));
    let poem = finish(aimp, "plain-poet", json!({"theme": "shoes"})).await;
    came.insert("poem", poem.map(|status| json!([status.warnings.len(), text(status)])));
    let tone = finish(aimp, "raw-tone", json!({"text": "a"})).await;
    came.insert("tone", tone.map(|status| json!(text(status)["type"])));
    let account = aimp.account().await.result;
    came.insert("account", account.map(|account| json!([account.credits.is_some(), account.usage.len()])));
    came
}

/// Whatever form the answers have, the same comes of them, but for what a form takes away.
#[tokio::test]
async fn each_form_of_the_emulators_answers_gives_the_same() {
    let (aimp, sandbox) = at_emulator(None).await;
    let plain = tour(&aimp).await;
    assert!(plain.values().all(Result::is_ok), "{plain:#?}");
    assert!(plain["poem"].as_ref().is_ok_and(|poem| poem[0] == 1), "said once that it is no JSON: {plain:#?}");
    for request in sandbox.log() {
        let to_storage = request.path.starts_with("/files/");
        assert_eq!(request.credentials, if to_storage { vec![] } else { vec!["x-api-key"] }, "{}", request.path);
    }
    let (mut tried, mut wrong) = (0, Vec::new());
    for variant in Variant::of(Api::Aimp) {
        let (aimp, sandbox) = at_emulator(Some(variant)).await;
        let came = tour(&aimp).await;
        let differ: Vec<&str> = plain.keys().filter(|what| came[*what] != plain[*what]).copied().collect();
        let expected: &[&str] = match variant {
            // What is not said is not known.
            Variant::NoCost | Variant::WholeBody => &["cost"],
            Variant::NoContract | Variant::NoVectorFlag | Variant::MediaObjects => &["contracts"],
            // What goes on without an id or a link is out of sight.
            Variant::NoId => &["video"],
            // A page on another host is not read, nor one twice.
            Variant::ForeignNext | Variant::EndlessPages => &["list"],
            // Nobody pays; or redirects, which are followed by reads alone, and on one origin.
            Variant::WalletSuspended | Variant::Slash301 | Variant::Slash308 => {
                &["caption", "cost", "echo", "poem", "tone", "video"]
            }
            Variant::ForeignRedirect => &["account", "contracts", "list", "video"],
            _ => &[],
        };
        if differ != expected {
            let came: Vec<_> = differ.iter().map(|what| (what, &came[what])).collect();
            wrong.push(format!("{variant:?}: {differ:?}, not {expected:?}: {came:?}"));
        }
        let strays = sandbox.log().iter().any(|request| request.status == Some(401));
        assert!(!strays, "{variant:?}: a key went astray, or was missing");
        tried += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(tried > 50, "the variants are there");
}
