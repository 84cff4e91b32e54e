//! AIRMY over the wire: the documents' own bodies, and the tolerant behaviour that each row of "What the documents leave open" asks
//! for. What single answers mean is tested beside the readers.

use std::{collections::BTreeMap, time::Duration};

use dagwood::{
    contract::Contract,
    job::{FaultKind, IdempotencyKey, Job, JobHandle, JobRequest, JobState, Operation, Target, TargetKind},
    provider::{
        Cancelled, LocalFile, Provider, Wanted,
        airmy::{Airmy, AirmySettings},
        status::StatusWords,
    },
    secret::Secret,
    world::World,
};
use serde_json::json;

use crate::wire::{self, Act, Wire, answer};

const CANARY: &str = "sk-airmy-canary-0123456789";

/// The answer that the reference shows.
const RUN: &str = r#"{"id": "run_01HXYZ123", "status": "completed", "output": {"result": "Q1 revenue was $4.2M, up 18% YoY..."},
    "latency_ms": 48, "tokens_used": 1247, "created_at": "2026-03-22T14:30:00Z"}"#;

/// An agent as the machine-readable sheet shows it.
const AGENT: &str = r#"{"id": "ag_01HXYZ", "name": "Analyst", "status": "active", "created_at": "2026-01-10T09:00:00Z",
    "input_schema": {"type": "object", "required": ["query"], "properties": {"query": {"type": "string"}}}}"#;

const NOT_FOUND: &str = r#"{"error": {"code": 404, "name": "Not Found", "message": "Run does not exist"}}"#;

fn airmy_with(wire: &Wire, change: impl FnOnce(&mut AirmySettings)) -> Airmy {
    let mut settings = AirmySettings { base_url: wire.url("/v2/"), ..AirmySettings::new(Secret::new(CANARY)) };
    change(&mut settings);
    Airmy::new(settings, World::real()).expect("a provider")
}

fn airmy(wire: &Wire) -> Airmy {
    airmy_with(wire, |_| {})
}

fn key() -> IdempotencyKey {
    IdempotencyKey("run-1/caption/1".to_owned())
}

fn target(kind: TargetKind, id: &str) -> Target {
    Target { kind, id: id.to_owned() }
}

fn request(kind: TargetKind, id: &str) -> JobRequest {
    let inputs = json!({"query": "Summarize Q1 revenue drivers"}).as_object().cloned().expect("a map");
    JobRequest { target: target(kind, id), inputs, operation: Operation::default() }
}

fn agent() -> JobRequest {
    request(TargetKind::Agent, "ag_01HXYZ")
}

fn pipeline() -> JobRequest {
    request(TargetKind::Pipeline, "pl_1")
}

fn job(kind: TargetKind, of: &str, id: &str) -> Job {
    Job { id: JobHandle(id.to_owned()), target: target(kind, of), look_at: None }
}

fn agent_run(id: &str) -> Job {
    job(TargetKind::Agent, "ag_01HXYZ", id)
}

fn pipeline_run(id: &str) -> Job {
    job(TargetKind::Pipeline, "pl_1", id)
}

fn named(names: &[(TargetKind, &str)]) -> Wanted {
    Wanted::Named(names.iter().map(|(kind, name)| (*kind, (*name).to_owned())).collect())
}

/// A server that gives everything the same answer.
async fn always(status: &'static str, body: impl Into<String>) -> Wire {
    let body = body.into();
    Wire::start(move |_| wire::json(status, &body)).await
}

/// A server that answers by request line, and 404 to all else.
async fn by_line(answers: &[(&str, &str, &str)]) -> Wire {
    let answers: BTreeMap<_, _> = answers
        .iter()
        .map(|(line, status, body)| ((*line).to_owned(), ((*status).to_owned(), (*body).to_owned())))
        .collect();
    Wire::start(move |request| match answers.get(request.line()) {
        Some((status, body)) => wire::json(status, body),
        None => wire::json("404 Not Found", NOT_FOUND),
    })
    .await
}

fn names(contracts: &[Contract]) -> Vec<(&str, &str)> {
    contracts.iter().map(|contract| (contract.target.id.as_str(), contract.name.as_str())).collect()
}

#[tokio::test]
async fn an_agents_run_is_what_the_reference_shows() {
    let wire = always("200 OK", RUN).await;
    let submitted = airmy(&wire).submit(&agent(), &key()).await.result.expect("a run");
    assert_eq!((submitted.job.0.as_str(), &submitted.status.state), ("run_01HXYZ123", &JobState::Completed));
    assert_eq!(submitted.status.node_outputs[""], json!({"result": "Q1 revenue was $4.2M, up 18% YoY..."}));
    assert_eq!((submitted.status.tokens_used, submitted.status.latency_ms), (Some(1247), Some(48)));
    let requests = wire.requests();
    let [request] = requests.as_slice() else { panic!("one request") };
    assert_eq!(request.line(), "POST /v2/runs");
    assert_eq!(request.json(), json!({"agent_id": "ag_01HXYZ", "input": {"query": "Summarize Q1 revenue drivers"}}));
    for (name, value) in [
        ("authorization", format!("Bearer {CANARY}")),
        ("content-type", "application/json".to_owned()),
        // Row: SSE is never asked for.
        ("accept", "application/json".to_owned()),
        ("idempotency-key", "run-1/caption/1".to_owned()),
    ] {
        assert_eq!(request.header(name), Some(value.as_str()), "{name}");
    }
}

/// Row: whether POST /runs waits for the end, or answers early; any 2xx with an id counts as the run.
#[tokio::test]
async fn a_run_may_be_answered_early() {
    for (status, body, state) in [
        ("200 OK", json!({"id": "run_1", "status": "queued", "output": null}), JobState::Pending),
        ("201 Created", json!({"id": "run_1", "status": "completed", "output": "x"}), JobState::Completed),
        ("202 Accepted", json!({"id": "run_1", "status": "in_progress"}), JobState::Processing),
        ("202 Accepted", json!({"id": "run_1"}), JobState::Processing),
        ("200 OK", json!({"id": "run_1", "output": {"result": "x"}}), JobState::Completed),
        ("200 OK", json!({"run": {"id": "run_1", "status": "failed", "error": "no"}}), JobState::Failed),
        (
            "203 Non-Authoritative Information",
            json!({"run_id": "run_1", "status": "reheating"}),
            JobState::Unknown("reheating".to_owned()),
        ),
    ] {
        let wire = always(status, body.to_string()).await;
        let submitted = airmy(&wire).submit(&agent(), &key()).await.result.expect("a run");
        assert_eq!((submitted.job.0.as_str(), submitted.status.state), ("run_1", state), "{status} {body}");
    }
    let wire = always("200 OK", r#"{"id": "run_1", "status": "Ready"}"#).await;
    let words = StatusWords { done: vec!["ready".to_owned()], ..StatusWords::default() };
    let submitted = airmy_with(&wire, |settings| settings.status_words = words).submit(&agent(), &key()).await;
    assert_eq!(submitted.result.expect("a run").status.state, JobState::Completed, "a word that a person added");
}

/// Row: allow a long read timeout (configurable).
#[tokio::test]
async fn a_run_that_is_not_answered_in_time_may_have_happened() {
    let wire = Wire::start(|_| Act::Silence(Vec::new())).await;
    let airmy = airmy_with(&wire, |settings| settings.submit_timeout = Duration::from_mins(15));
    let fault = airmy.submit(&agent(), &key()).await.result.expect_err("a fault");
    assert!(fault.kind == FaultKind::Timeout && fault.may_have_happened(), "{fault}");
    assert!(fault.message.contains("900 s"), "{fault}");
}

#[tokio::test]
async fn a_submit_without_a_usable_run_id_may_have_happened() {
    for body in
        [r#"{"status": "running"}"#, r#"{"id": "../agents"}"#, r#"{"id": ""}"#, "[]", "null", "<html>ok</html>", ""]
    {
        let wire = always("202 Accepted", body).await;
        let fault = airmy(&wire).submit(&agent(), &key()).await.result.expect_err(body);
        assert!(fault.kind == FaultKind::Malformed && fault.may_have_happened(), "{body}: {fault}");
    }
}

/// Row: name of the idempotency header: configurable, an empty name switches it off; a key that fits no header goes as its digest.
#[tokio::test]
async fn the_keys_header_has_the_name_that_it_is_given() {
    let wire = always("200 OK", RUN).await;
    for (name, key, seen) in [
        ("Idempotency-Key", "run/step/1", Some(("idempotency-key", "run/step/1".to_owned()))),
        ("X-Request-Key", "run/step/1", Some(("x-request-key", "run/step/1".to_owned()))),
        ("  ", "run/step/1", None),
        (
            "Idempotency-Key",
            "run/crème brûlée/1",
            Some(("idempotency-key", blake3::hash("run/crème brûlée/1".as_bytes()).to_string())),
        ),
    ] {
        let airmy = airmy_with(&wire, |settings| settings.idempotency_header = name.to_owned());
        for request in [agent(), pipeline()] {
            airmy.submit(&request, &IdempotencyKey(key.to_owned())).await.result.expect("a run");
            let request = wire.requests().pop().expect("a request");
            match &seen {
                Some((name, value)) => assert_eq!(request.header(name), Some(value.as_str()), "{name}"),
                None => assert!(!request.head.contains("run/step/1"), "{}", request.head),
            }
        }
        assert_eq!(airmy.is_idempotent(&agent().target), seen.is_some(), "without a key nothing may be sent again");
    }
}

/// Rows: same key with another body (409? 422?); the answer to a repeated key.
#[tokio::test]
async fn a_conflict_is_the_run_or_an_error_for_a_person() {
    for (row, status, body, run) in [
        (
            "409 with the run",
            "409 Conflict",
            r#"{"id": "run_1", "agent_id": "ag_01HXYZ", "status": "running"}"#,
            Some(JobState::Processing),
        ),
        (
            "409 with the run within",
            "409 Conflict",
            r#"{"error": "repeated", "run": {"id": "run_1", "status": "completed", "output": 1}}"#,
            Some(JobState::Completed),
        ),
        (
            "409 with an id",
            "409 Conflict",
            r#"{"error": {"message": "repeated idempotency key", "run_id": "run_1"}}"#,
            Some(JobState::Processing),
        ),
        (
            "409 with another agent's run",
            "409 Conflict",
            r#"{"run": {"id": "run_1", "agent_id": "ag_2", "status": "running"}}"#,
            None,
        ),
        ("409 without", "409 Conflict", r#"{"error": {"message": "Idempotency key in use"}}"#, None),
        ("409 with a page", "409 Conflict", "<title>Conflict</title>", None),
        ("409 with nothing", "409 Conflict", "", None),
        (
            "422",
            "422 Unprocessable Entity",
            r#"{"error": {"message": "Idempotency key was used with another body"}, "run_id": "run_1"}"#,
            None,
        ),
        ("422 of another kind", "422 Unprocessable Entity", r#"{"error": {"message": "input.query: required"}}"#, None),
    ] {
        let wire = always(status, body).await;
        let submitted = airmy(&wire).submit(&agent(), &key()).await.result;
        assert_eq!(wire.requests().len(), 1, "{row}: it is sent once, under one key");
        match (submitted, run) {
            (Ok(submitted), Some(state)) => {
                assert_eq!((submitted.job.0.as_str(), submitted.status.state), ("run_1", state), "{row}");
            }
            (Err(fault), None) => {
                assert!(
                    fault.kind == FaultKind::Rejected && fault.status.is_some() && !fault.is_transient(),
                    "{row}: {fault}"
                );
                let names_key = body.to_lowercase().contains("idempotency");
                assert_eq!(fault.message.contains("No other key is tried"), names_key, "{row}: {fault}");
            }
            (submitted, _) => panic!("{row}: {submitted:?}"),
        }
    }
    let wire = always(
        "422 Unprocessable Entity",
        r#"{"error": {"code": 422, "name": "Unprocessable Entity", "message": "input.query: required"}}"#,
    )
    .await;
    let fault = airmy(&wire).submit(&agent(), &key()).await.result.expect_err("a fault");
    assert_eq!(fault.message, "`POST /runs` answered 422 Unprocessable Entity: input.query: required");
}

/// Errors, and the row: error body.
#[tokio::test]
async fn what_an_error_says_is_told() {
    for (status, body, kind, said) in [
        (
            "400 Bad Request",
            r#"{"error": {"code": 400, "message": "agent_id is required"}}"#,
            FaultKind::Rejected,
            "agent_id is required",
        ),
        (
            "401 Unauthorized",
            r#"{"error": "API key missing or invalid"}"#,
            FaultKind::Unauthorized,
            "API key missing or invalid",
        ),
        (
            "403 Forbidden",
            r#"{"message": "Insufficient permissions"}"#,
            FaultKind::Forbidden,
            "Insufficient permissions",
        ),
        ("404 Not Found", r#"{"detail": "Agent does not exist"}"#, FaultKind::NotFound, "Agent does not exist"),
        ("422 Unprocessable Entity", r#"{"title": "no such field"}"#, FaultKind::Rejected, "no such field"),
        (
            "429 Too Many Requests",
            r#"{"errors": [{"message": "Rate limit exceeded"}]}"#,
            FaultKind::RateLimited,
            "Rate limit exceeded",
        ),
        ("500 Internal Server Error", "", FaultKind::Unavailable, "500 Internal Server Error"),
    ] {
        let head: &[_] = &[("x-request-id", "req_7"), ("retry-after", "0")];
        let bytes = answer(status, head, body);
        let wire = Wire::start(move |_| Act::Send(bytes.clone())).await;
        for request in [agent(), pipeline()] {
            let fault = airmy(&wire).submit(&request, &key()).await.result.expect_err(status);
            assert_eq!((fault.kind, fault.message.contains(said)), (kind, true), "{fault}");
            // Row: request id header.
            assert!(fault.message.contains("req_7"), "{fault}");
            if kind == FaultKind::RateLimited {
                // Row: `Retry-After` as date, missing, 0.
                assert_eq!(fault.retry_after, Some(Duration::from_secs(1)), "lower bound");
            }
        }
    }
    let long = format!(r#"{{"error": "{}"}}"#, "x".repeat(9000));
    let wire = always("422 Unprocessable Entity", long).await;
    let fault = airmy(&wire).submit(&agent(), &key()).await.result.expect_err("a fault");
    assert!(fault.message.len() < 2200, "{}", fault.message.len());
    let wire = always("200 OK", RUN).await;
    assert_eq!(airmy(&wire).promises().default_retry_after, Duration::from_secs(1), "missing: own backoff from 1 s");
}

/// Row: body of trigger, and its answer.
#[tokio::test]
async fn a_pipeline_is_triggered_with_its_input_wrapped() {
    let input = json!({"query": "Summarize Q1 revenue drivers"});
    for (wrapper, body) in
        [("input", json!({"input": input})), ("parameters", json!({"parameters": input})), ("", input.clone())]
    {
        let wire = always("202 Accepted", r#"{"id": "pl_1", "pipeline_run_id": "plr_01", "status": "running"}"#).await;
        let airmy = airmy_with(&wire, |settings| settings.input_wrapper = wrapper.to_owned());
        let submitted = airmy.submit(&pipeline(), &key()).await.result.expect("a run");
        assert_eq!((submitted.job.0.as_str(), submitted.status.state), ("plr_01", JobState::Processing));
        let request = wire.requests().pop().expect("a request");
        assert_eq!((request.line(), request.json()), ("POST /v2/pipelines/pl_1/trigger", body));
        assert_eq!(request.header("idempotency-key"), Some("run-1/caption/1"), "row: send it there too");
    }
    let wire = always("202 Accepted", r#"{"id": "plr_01"}"#).await;
    for (kind, bad) in [
        (TargetKind::Pipeline, "../agents"),
        (TargetKind::Pipeline, ""),
        (TargetKind::Model, "m"),
        (TargetKind::App, "a"),
    ] {
        let fault = airmy(&wire).submit(&request(kind, bad), &key()).await.result.expect_err(bad);
        assert_eq!(fault.kind, FaultKind::Rejected, "{fault}");
    }
    assert!(wire.requests().is_empty(), "nothing is sent that cannot be meant");
}

#[tokio::test]
async fn an_agents_run_is_seen_by_its_id() {
    let wire = by_line(&[
        ("GET /v2/runs/run_01HXYZ123", "200 OK", RUN),
        (
            "GET /v2/runs/a%20b%25%3F",
            "200 OK",
            r#"{"data": {"id": "a b%?", "status": "failed", "output": {"error": "too dark"}}}"#,
        ),
        ("GET /v2/runs/other", "200 OK", RUN),
        ("GET /v2/runs/list", "200 OK", "[]"),
    ])
    .await;
    let airmy = airmy(&wire);
    let seen = airmy.look(&[agent_run("run_01HXYZ123")]).await.result.expect("a look");
    assert_eq!((seen.len(), seen[0].0.0.as_str(), &seen[0].1.state), (1, "run_01HXYZ123", &JobState::Completed));
    let failed = airmy.look(&[agent_run("a b%?")]).await.result.expect("a look");
    assert_eq!((&failed[0].1.state, failed[0].1.error.as_deref()), (&JobState::Failed, Some("too dark")));
    for (id, kind) in [("other", FaultKind::Malformed), ("list", FaultKind::Malformed), ("gone", FaultKind::NotFound)] {
        assert_eq!(airmy.look(&[agent_run(id)]).await.result.expect_err(id).kind, kind, "{id}");
    }
    let before = wire.requests().len();
    for bad in ["", "..", "a/b", "../agents"] {
        for job in [
            agent_run(bad),
            pipeline_run(bad),
            job(TargetKind::Pipeline, bad, "plr_1"),
            job(TargetKind::Model, "m", "j"),
        ] {
            assert_eq!(airmy.look(std::slice::from_ref(&job)).await.result.expect_err(bad).kind, FaultKind::Rejected);
            assert_eq!(airmy.cancel(&job).await.result.expect_err(bad).kind, FaultKind::Rejected);
        }
    }
    assert!(airmy.look(&[]).await.result.expect("nothing").is_empty());
    assert_eq!(wire.requests().len(), before, "no request for what cannot be an id");
}

/// Row: how to see one pipeline run.
#[tokio::test]
async fn a_pipelines_run_is_seen_in_its_pipelines_list() {
    let list = r#"{"runs": [{"id": "plr_2", "status": "running"}, {"id": "plr_1", "status": "completed", "output": ["x"]}], "next_cursor": "c2"}"#;
    let second = r#"{"runs": [{"id": "plr_0", "status": "failed", "error": "no"}]}"#;
    let wire = by_line(&[
        ("GET /v2/pipelines/pl_1/runs", "200 OK", list),
        ("GET /v2/pipelines/pl_1/runs?cursor=c2", "200 OK", second),
        ("GET /v2/runs/plr_9", "200 OK", r#"{"id": "plr_9", "status": "completed", "output": {"answer": "x"}}"#),
    ])
    .await;
    let airmy = airmy_with(&wire, |settings| settings.look_at_runs = false);
    let seen = airmy.look(&[pipeline_run("plr_1")]).await.result.expect("a look");
    assert_eq!((&seen[0].1.state, &seen[0].1.node_outputs[""]), (&JobState::Completed, &json!(["x"])));
    assert_eq!(wire.lines(), ["GET /v2/pipelines/pl_1/runs"], "no page more than needed, and no GET /runs/{{id}}");
    let seen = airmy.look(&[pipeline_run("plr_0")]).await.result.expect("a look");
    assert_eq!(seen[0].1.error.as_deref(), Some("no"), "it is on the second page");
    let fault = airmy.look(&[pipeline_run("plr_9")]).await.result.expect_err("a fault");
    assert_eq!(fault.kind, FaultKind::NotFound, "{fault}");
    // Several of one pipeline share its list.
    let before = wire.requests().len();
    let several = airmy.look(&[pipeline_run("plr_1"), pipeline_run("plr_2")]).await.result.expect("a look");
    assert_eq!(several.iter().map(|(job, _)| job.0.as_str()).collect::<Vec<_>>(), ["plr_2", "plr_1"]);
    assert_eq!(wire.requests().len(), before + 1);

    let configured = airmy_with(&wire, |settings| settings.look_at_runs = true);
    let before = wire.requests().len();
    let seen = configured.look(&[pipeline_run("plr_9")]).await.result.expect("a look");
    assert_eq!(seen[0].1.state, JobState::Completed);
    configured.look(&[pipeline_run("plr_1")]).await.result.expect("what GET /runs/{id} does not know is in the list");
    assert_eq!(wire.lines()[before..], ["GET /v2/runs/plr_9", "GET /v2/runs/plr_1", "GET /v2/pipelines/pl_1/runs"]);
}

#[tokio::test]
async fn several_runs_are_looked_at_with_a_list_for_each_kind() {
    let wire = by_line(&[
        (
            "GET /v2/runs",
            "200 OK",
            r#"{"data": [{"id": "run_1", "status": "completed"}, {"id": "run_2", "status": "running"}]}"#,
        ),
        ("GET /v2/pipelines/pl_1/runs", "200 OK", r#"[{"id": "plr_1", "status": "completed"}]"#),
        ("GET /v2/pipelines/pl_2/runs", "200 OK", r#"[{"id": "plr_1", "status": "failed"}]"#),
    ])
    .await;
    let jobs =
        [agent_run("run_1"), pipeline_run("plr_1"), agent_run("run_9"), job(TargetKind::Pipeline, "pl_2", "plr_7")];
    let seen = airmy(&wire).look(&jobs).await.result.expect("a look");
    assert_eq!(
        seen.iter().map(|(job, _)| job.0.as_str()).collect::<Vec<_>>(),
        ["run_1", "plr_1"],
        "lists need not show all"
    );
    assert_eq!(seen[1].1.state, JobState::Completed, "the other pipeline's run of that id is not this one");
    assert_eq!(wire.lines(), ["GET /v2/runs", "GET /v2/pipelines/pl_1/runs", "GET /v2/pipelines/pl_2/runs"]);
}

/// Rows: code and body of `DELETE /runs/{id}`; how to cancel a pipeline run.
#[tokio::test]
async fn a_cancel_is_asked_for_once() {
    let running = r#"{"id": "run_1", "status": "cancelled"}"#;
    for (status, body, of_agent, of_pipeline) in [
        ("200 OK", running, Ok(Cancelled::Asked), Ok(Cancelled::Asked)),
        ("202 Accepted", "", Ok(Cancelled::Asked), Ok(Cancelled::Asked)),
        ("204 No Content", "", Ok(Cancelled::Asked), Ok(Cancelled::Asked)),
        ("404 Not Found", NOT_FOUND, Ok(Cancelled::TooLate), Ok(Cancelled::Impossible(String::new()))),
        ("409 Conflict", "{}", Ok(Cancelled::TooLate), Ok(Cancelled::TooLate)),
        ("410 Gone", "{}", Ok(Cancelled::TooLate), Ok(Cancelled::TooLate)),
        ("422 Unprocessable Entity", "{}", Ok(Cancelled::TooLate), Ok(Cancelled::TooLate)),
        ("405 Method Not Allowed", "{}", Err(FaultKind::Rejected), Ok(Cancelled::Impossible(String::new()))),
        ("403 Forbidden", "{}", Err(FaultKind::Forbidden), Err(FaultKind::Forbidden)),
        ("500 Internal Server Error", "{}", Err(FaultKind::Unavailable), Err(FaultKind::Unavailable)),
    ] {
        for (job, expected) in [(agent_run("run_1"), of_agent), (pipeline_run("run_1"), of_pipeline)] {
            let wire = always(status, body).await;
            let outcome = airmy(&wire).cancel(&job).await.result.map_err(|fault| fault.kind);
            let outcome = outcome.map(|outcome| match outcome {
                Cancelled::Impossible(words) => {
                    assert!(words.contains("run_1") && words.contains("goes on"), "{words}");
                    Cancelled::Impossible(String::new())
                }
                other => other,
            });
            assert_eq!(outcome, expected, "{status} {job:?}");
            assert_eq!(wire.lines(), ["DELETE /v2/runs/run_1"], "{status}");
        }
    }
}

/// Row: agent addressed by id only? By id directly; by name through `GET /agents`, exact match, two matches are the caller's to refuse.
#[tokio::test]
async fn agents_are_found_by_id_or_by_exact_name() {
    let list = json!({"agents": [
        {"id": "ag_01HXYZ", "name": "Analyst"}, {"id": "ag_2", "name": "Twin"}, {"id": "ag_3", "name": "Twin"}, {"id": "ag_4", "name": "analyst"},
    ]});
    let wire = by_line(&[
        ("GET /v2/agents", "200 OK", &list.to_string()),
        ("GET /v2/agents/ag_01HXYZ", "200 OK", AGENT),
        ("GET /v2/agents/slug", "200 OK", AGENT),
        ("GET /v2/agents/a%20name", "400 Bad Request", r#"{"error": "not an id"}"#),
    ])
    .await;
    let airmy = airmy(&wire);
    let all = [("ag_01HXYZ", "Analyst"), ("ag_2", "Twin"), ("ag_3", "Twin"), ("ag_4", "analyst")];
    for (name, found, lines) in [
        ("ag_01HXYZ", &all[..1], &["GET /v2/agents/ag_01HXYZ"][..]),
        ("Analyst", &all[..1], &["GET /v2/agents/Analyst", "GET /v2/agents", "GET /v2/agents/ag_01HXYZ"]),
        ("Twin", &all[1..3], &["GET /v2/agents/Twin", "GET /v2/agents"]),
        ("Analist", &all, &["GET /v2/agents/Analist", "GET /v2/agents"]),
        ("a name", &all, &["GET /v2/agents/a%20name", "GET /v2/agents"]),
        ("a/../name", &all, &["GET /v2/agents"]),
        ("slug", &all, &["GET /v2/agents/slug", "GET /v2/agents"]),
    ] {
        let before = wire.requests().len();
        let contracts = airmy.catalog(&named(&[(TargetKind::Agent, name)])).await.result.expect("contracts");
        assert_eq!(names(&contracts), found, "{name}");
        assert_eq!(wire.lines()[before..], *lines, "{name}");
    }
    let contracts = airmy.catalog(&named(&[(TargetKind::Agent, "Analyst")])).await.result.expect("contracts");
    let schema = contracts[0].schema.as_ref().expect("the agent itself has the schema that the list leaves out");
    assert_eq!((&schema["required"], contracts[0].unchecked), (&json!(["query"]), false));

    // One list serves all names, and no agent is told twice.
    let before = wire.requests().len();
    let several = named(&[(TargetKind::Agent, "ag_01HXYZ"), (TargetKind::Agent, "Twin"), (TargetKind::Agent, "none")]);
    let contracts = airmy.catalog(&several).await.result.expect("contracts");
    assert_eq!(names(&contracts), all);
    assert!(!contracts[0].unchecked, "what is known best stands first");
    assert_eq!(wire.lines()[before..].iter().filter(|line| *line == "GET /v2/agents").count(), 1);

    let everything = airmy.catalog(&Wanted::Kinds(airmy.kinds().to_vec())).await.result.expect("contracts");
    assert_eq!(names(&everything), all);
}

/// Row: pipeline input and output contract.
#[tokio::test]
async fn a_pipeline_is_taken_at_its_word_and_unchecked() {
    let wire = by_line(&[]).await;
    let airmy = airmy(&wire);
    let contracts = airmy
        .catalog(&named(&[(TargetKind::Pipeline, "pl_1"), (TargetKind::Model, "m")]))
        .await
        .result
        .expect("contracts");
    assert_eq!(names(&contracts), [("pl_1", "pl_1")]);
    assert!(contracts[0].unchecked && contracts[0].open && contracts[0].target.kind == TargetKind::Pipeline);
    assert!(
        airmy.catalog(&Wanted::Kinds(vec![TargetKind::Pipeline])).await.result.expect("none are listed").is_empty()
    );
    assert!(wire.requests().is_empty());
}

/// Row: list envelope and paging.
#[tokio::test]
async fn lists_are_followed_in_every_form_and_never_without_end() {
    let wanted = Wanted::Kinds(vec![TargetKind::Agent]);
    let item = |id: &str| json!({"id": id, "name": id});
    for (row, first, second_line, second) in [
        (
            "next_cursor",
            json!({"data": [item("a")], "next_cursor": "c 2"}),
            "GET /v2/agents?cursor=c+2",
            json!({"data": [item("b")]}),
        ),
        (
            "next_page_token",
            json!({"items": [item("a")], "next_page_token": "t"}),
            "GET /v2/agents?page_token=t",
            json!({"items": [item("b")]}),
        ),
        ("next, a token", json!({"agents": [item("a")], "next": "t"}), "GET /v2/agents?cursor=t", json!([item("b")])),
        (
            "next, a path",
            json!({"data": [item("a")], "next": "/v2/agents?page=2"}),
            "GET /v2/agents?page=2",
            json!({"data": [item("b")], "next": null}),
        ),
        (
            "cursor and has_more",
            json!({"data": [item("a")], "cursor": "c", "has_more": true}),
            "GET /v2/agents?cursor=c",
            json!({"data": [item("b")], "cursor": "d", "has_more": false}),
        ),
    ] {
        let wire =
            by_line(&[("GET /v2/agents", "200 OK", &first.to_string()), (second_line, "200 OK", &second.to_string())])
                .await;
        let contracts = airmy(&wire).catalog(&wanted).await.result.expect("contracts");
        assert_eq!(names(&contracts), [("a", "a"), ("b", "b")], "{row}");
        assert_eq!(wire.lines(), ["GET /v2/agents", second_line], "{row}: no parameter that was not given");
    }
    for (row, body, requests) in [
        ("a bare list", json!([item("a")]), 1),
        ("more, and no way to it", json!({"data": [item("a")], "has_more": true}), 1),
        ("a page that names itself", json!({"data": [item("a")], "next_cursor": "c"}), 2),
    ] {
        let wire = always("200 OK", body.to_string()).await;
        airmy(&wire).catalog(&wanted).await.result.expect("contracts");
        assert_eq!(wire.requests().len(), requests, "{row}");
    }
    // Each page names another one.
    let endless = Wire::start(|request| {
        let page: usize = request.line().rsplit_once('=').map_or(0, |(_, page)| page.parse().expect("a number"));
        wire::json("200 OK", &json!({"data": [{"id": format!("ag_{page}")}], "next": page + 1}).to_string())
    })
    .await;
    assert_eq!(airmy(&endless).catalog(&wanted).await.result.expect("contracts").len(), 50);
    assert_eq!(endless.requests().len(), 50);
    let fault = airmy(&endless).catalog(&named(&[(TargetKind::Agent, "a/b")])).await.result.expect_err("a fault");
    assert!(fault.kind == FaultKind::Rejected && fault.message.contains("by its id"), "{fault}");

    for body in [r#"{"object": "list"}"#, "{}", "null", r#""x""#] {
        let wire = always("200 OK", body).await;
        let airmy = airmy(&wire);
        for kind in [
            airmy.catalog(&wanted).await.result.expect_err(body).kind,
            airmy.look(&[pipeline_run("plr_1")]).await.result.expect_err(body).kind,
            airmy.recent("2026-03-22T14:00:00Z".parse().expect("a time")).await.result.expect_err(body).kind,
            airmy.account().await.result.expect_err(body).kind,
        ] {
            assert_eq!(kind, FaultKind::Malformed, "{body}");
        }
    }
}

/// Rows: filters of `GET /runs`: none; after a lost trigger look at the pipeline's runs.
#[tokio::test]
async fn recent_runs_are_asked_for_without_filters_and_by_pipeline() {
    let run = json!({"id": "run_1", "agent_id": "ag_01HXYZ", "status": "running", "created_at": "2026-03-22T14:30:00Z", "input": {"query": "x"}});
    let old = json!({"id": "run_0", "status": "completed", "created_at": "2026-03-22T13:30:00Z"});
    let wire = by_line(&[
        ("GET /v2/runs", "200 OK", &json!({"data": [run, old], "next_cursor": "c2", "has_more": true}).to_string()),
        ("GET /v2/pipelines/pl_1/runs", "200 OK", r#"{"data": [{"id": "plr_1", "status": "running", "created_at": "2026-03-22T14:30:00Z"}], "has_more": true}"#),
    ])
    .await;
    let airmy = airmy(&wire);
    let since = "2026-03-22T14:00:00Z".parse().expect("a time");
    for recent in [airmy.recent(since).await, airmy.recent_of(&agent().target, since).await] {
        let recent = recent.result.expect("runs");
        assert!(recent.complete, "the newest stand first, and an older one was seen");
        let [found] = recent.jobs.as_slice() else { panic!("one run: {recent:?}") };
        assert_eq!((found.job.0.as_str(), &found.target), ("run_1", &Some(agent().target)));
        assert_eq!(found.inputs, Some(json!({"query": "x"})));
    }
    let recent = airmy.recent_of(&pipeline().target, since).await.result.expect("runs");
    assert_eq!((recent.jobs.len(), recent.complete), (1, false), "there is more, and no way to it");
    assert_eq!(recent.jobs[0].target, Some(pipeline().target));
    assert_eq!(
        wire.lines(),
        ["GET /v2/runs", "GET /v2/runs", "GET /v2/pipelines/pl_1/runs"],
        "no filter, no page too many"
    );
    let bad = airmy.recent_of(&target(TargetKind::Pipeline, "../x"), since).await.result.expect_err("a fault");
    assert_eq!((bad.kind, wire.requests().len()), (FaultKind::Rejected, 3));
}

/// A step with `http` and `provider: airmy` is one request of the key's own.
#[tokio::test]
async fn a_request_of_its_own_goes_below_the_base_with_the_key() {
    let wire = by_line(&[("GET /v2/metrics?window=1h", "200 OK", r#"{"runs": 7}"#)]).await;
    let airmy = airmy(&wire);
    let inputs =
        json!({"method": "GET", "url": "/metrics", "query": {"window": "1h"}}).as_object().cloned().expect("a map");
    let step = JobRequest { target: target(TargetKind::Http, "GET /metrics"), inputs, operation: Operation::default() };
    let submitted = airmy.submit(&step, &key()).await.result.expect("an answer");
    assert_eq!(submitted.status.state, JobState::Completed);
    assert_eq!(submitted.status.node_outputs[""]["body"], json!({"runs": 7}));
    assert_eq!(wire.requests()[0].header("authorization"), Some(format!("Bearer {CANARY}").as_str()));
}

/// Row: cost per call: none is documented; and there is no account.
#[tokio::test]
async fn the_account_is_no_more_than_that_the_key_works() {
    let wire = always("200 OK", json!({"data": [{"id": "a"}, {"id": "b"}], "has_more": false}).to_string()).await;
    let airmy = airmy(&wire);
    let account = airmy.account().await.result.expect("an account");
    assert_eq!((account.credits, account.plan), (None, None));
    assert_eq!(account.usage, [("agents".to_owned(), json!(2))]);
    assert_eq!(wire.lines(), ["GET /v2/agents"]);
    let file =
        LocalFile { path: "a.png".into(), name: "a.png".to_owned(), content_type: "image/png".to_owned(), bytes: 1 };
    let fault = airmy.upload(&file).await.result.expect_err("a fault");
    assert_eq!((fault.kind, wire.requests().len()), (FaultKind::Rejected, 1));
}

/// A key goes to its own host only, whatever that host says.
#[tokio::test]
async fn the_key_never_goes_to_another_host() {
    let other = always("200 OK", r#"{"data": [{"id": "stolen"}]}"#).await;
    let elsewhere = other.url("/v2/runs");
    let location = elsewhere.clone();
    let moved =
        Wire::start(move |_| Act::Send(answer("307 Temporary Redirect", &[("location", &location)], "{}"))).await;
    let airmy_moved = airmy(&moved);
    for request in [agent(), pipeline()] {
        let fault = airmy_moved.submit(&request, &key()).await.result.expect_err("a redirect is not followed");
        assert!(fault.message.contains("redirect") && !fault.message.contains("canary"), "{fault}");
    }
    airmy_moved.look(&[agent_run("run_1")]).await.result.expect_err("a redirect elsewhere is not followed");
    airmy_moved.cancel(&agent_run("run_1")).await.result.expect_err("nor for a cancel");
    assert_eq!(moved.requests().len(), 4, "each was sent once");

    let page = json!({"data": [{"id": "ag_1"}], "next": elsewhere}).to_string();
    let paged = always("200 OK", page).await;
    let contracts =
        airmy(&paged).catalog(&Wanted::Kinds(vec![TargetKind::Agent])).await.result.expect("the first page");
    assert_eq!(names(&contracts), [("ag_1", "ag_1")]);
    assert!(other.requests().is_empty(), "the other host saw nothing at all");

    // The control: the same redirect within the host is followed by a GET, and by nothing else.
    let within = Wire::start(|request| match request.line() {
        "GET /v2/runs/moved" => {
            Act::Send(answer("307 Temporary Redirect", &[("location", "/v2/runs/run_01HXYZ123")], "{}"))
        }
        "GET /v2/runs/run_01HXYZ123" => wire::json("200 OK", r#"{"status": "running"}"#),
        _ => Act::Send(answer("307 Temporary Redirect", &[("location", "/v2/runs/run_01HXYZ123")], "{}")),
    })
    .await;
    airmy(&within).look(&[agent_run("moved")]).await.result.expect("a look");
    airmy(&within).submit(&agent(), &key()).await.result.expect_err("a submit is not followed");
    assert_eq!(within.lines(), ["GET /v2/runs/moved", "GET /v2/runs/run_01HXYZ123", "POST /v2/runs"]);
}

/// What the API echoes of the key is redacted, and nothing of ours shows it.
#[tokio::test]
async fn an_echoed_key_is_not_passed_on() {
    let body = json!({"id": "run_1", "status": "completed", "output": {"result": format!("your key is {CANARY}")}, "note": CANARY});
    for (status, body) in
        [("200 OK", body.to_string()), ("409 Conflict", json!({"error": format!("idempotency: {CANARY}")}).to_string())]
    {
        let wire = always(status, body).await;
        let airmy = airmy(&wire);
        let shown = format!("{:?} {airmy:?}", airmy.submit(&agent(), &key()).await);
        assert!(!shown.contains("canary") && shown.contains("****"), "{shown}");
    }
}
