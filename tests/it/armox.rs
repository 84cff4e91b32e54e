//! Armox over the wire, with the bodies of its documents.

use std::time::Duration;

use dagwood::{
    contract::ValueKind,
    job::{FaultKind, IdempotencyKey, Job, JobHandle, JobRequest, JobState, Operation, Target, TargetKind},
    provider::{
        Cancelled, LocalFile, Provider, Wanted,
        armox::{Armox, ArmoxSettings},
    },
    secret::Secret,
    world::World,
};
use serde_json::{Value, json};

use crate::wire::{self, Act, Wire, answer};

macro_rules! body {
    ($name:literal) => {
        include_str!(concat!("../fixtures/armox/", $name, ".json"))
    };
}

fn armox(wire: &Wire) -> Armox {
    let settings =
        ArmoxSettings { base_url: wire.url("/api/v1/"), ..ArmoxSettings::new(Secret::new("sk_live_canary")) };
    Armox::new(settings, World::real()).expect("a provider")
}

fn key() -> IdempotencyKey {
    IdempotencyKey("any".to_owned())
}

fn request(kind: TargetKind, id: &str, inputs: &Value) -> JobRequest {
    JobRequest {
        target: Target { kind, id: id.to_owned() },
        inputs: inputs.as_object().cloned().expect("a map"),
        operation: Operation::default(),
    }
}

fn id(id: &str) -> JobHandle {
    JobHandle(id.to_owned())
}

fn job(id: &str) -> Job {
    let target = Target { kind: TargetKind::Model, id: "any".to_owned() };
    Job { id: JobHandle(id.to_owned()), target, look_at: None }
}

async fn documented() -> Wire {
    Wire::start(|request| match request.line() {
        "GET /api/v1/models" => wire::json("200 OK", body!("models")),
        "GET /api/v1/apps" => wire::json("200 OK", body!("apps")),
        "GET /api/v1/account" => wire::json("200 OK", body!("account")),
        "GET /api/v1/jobs?limit=100" => wire::json("200 OK", body!("jobs")),
        "GET /api/v1/jobs/0fefb57b-a89a-46f3-b7f6-da24841722f4" => wire::json("200 OK", body!("app_job_completed")),
        "POST /api/v1/models/run" if request.body.contains("kling") => {
            wire::json("202 Accepted", body!("model_run_accepted"))
        }
        "POST /api/v1/models/run" => wire::json("200 OK", body!("model_run_finished")),
        "POST /api/v1/apps/run" if request.body.contains("\"inputs\":{}") => {
            wire::json("400 Bad Request", body!("missing_inputs"))
        }
        "POST /api/v1/apps/run" => wire::json("202 Accepted", body!("app_run_accepted")),
        "POST /api/v1/jobs/job_123/cancel" => wire::json("200 OK", body!("cancelled")),
        "POST /api/v1/jobs/late/cancel" => {
            wire::json("409 Conflict", r#"{"error": "Job cannot be cancelled in current state"}"#)
        }
        _ => wire::json("404 Not Found", r#"{"error": "Job not found"}"#),
    })
    .await
}

#[tokio::test]
async fn the_catalogue_has_models_and_apps() {
    let wire = documented().await;
    let armox = armox(&wire);
    let contracts = armox.catalog(&Wanted::Kinds(armox.kinds().to_vec())).await.result.expect("contracts");
    let names: Vec<_> = contracts.iter().map(|contract| contract.name.as_str()).collect();
    assert_eq!(names, ["Nano Banana", "Sketch to Render"]);
    assert_eq!(contracts[1].ports[0].kind, ValueKind::Image);
    let apps = armox
        .catalog(&Wanted::Named(vec![(TargetKind::App, "x".to_owned()), (TargetKind::Agent, "y".to_owned())]))
        .await
        .result
        .expect("contracts");
    assert_eq!(apps.len(), 1);
    assert!(wire.requests().iter().all(|request| request.head.contains("authorization: Bearer sk_live_canary")));
    assert_eq!(armox.base_url(), wire.url("/api/v1"));
}

#[tokio::test]
async fn submits_send_what_the_documents_show() {
    let wire = documented().await;
    let armox = armox(&wire);
    let inputs = json!({"prompt": "x", "image_input": ["https://example.com/a.jpg"], "steps": 4, "hd": true});
    let done =
        armox.submit(&request(TargetKind::Model, "google/nano-banana", &inputs), &key()).await.result.expect("a job");
    assert_eq!((done.job, done.status.state), (id("a1b2c3d4-e5f6-7890-ab12-34567890abcd"), JobState::Completed));
    assert!(done.status.node_outputs[""]["outputImage"].is_string());
    let goes_on =
        armox.submit(&request(TargetKind::Model, "kling/video", &inputs), &key()).await.result.expect("a job");
    assert_eq!((goes_on.status.state, goes_on.status.credits_charged), (JobState::Processing, Some(900.0)));
    let app =
        armox.submit(&request(TargetKind::App, "cb2bbd2d", &json!({"i": "auto"})), &key()).await.result.expect("a job");
    assert_eq!(app.job, id("0fefb57b-a89a-46f3-b7f6-da24841722f4"));
    let bodies: Vec<Value> =
        wire.requests().iter().map(|request| serde_json::from_str(&request.body).expect("JSON")).collect();
    assert_eq!(bodies[0], json!({"model": "google/nano-banana", "input": inputs}));
    assert_eq!(bodies[2], json!({"app_id": "cb2bbd2d", "inputs": {"i": "auto"}}));

    let refused = armox.submit(&request(TargetKind::App, "a", &json!({})), &key()).await.result.expect_err("a fault");
    assert_eq!((refused.kind, refused.status), (FaultKind::Rejected, Some(400)));
    assert!(refused.message.ends_with("Missing required inputs: Prompt"), "{refused}");
    let never = armox.submit(&request(TargetKind::Agent, "a", &json!({})), &key()).await.result.expect_err("a fault");
    assert_eq!((never.kind, wire.requests().len()), (FaultKind::Rejected, 4));
}

#[tokio::test]
async fn a_submit_without_a_usable_job_id_may_have_happened() {
    for body in [r#"{"status": "processing"}"#, r#"{"id": "../account"}"#, r#"{"id": ""}"#, "[]", "null"] {
        let wire = Wire::start(move |_| wire::json("202 Accepted", body)).await;
        let fault =
            armox(&wire).submit(&request(TargetKind::Model, "m", &json!({})), &key()).await.result.expect_err(body);
        assert!(fault.kind == FaultKind::Malformed && fault.may_have_happened(), "{body}: {fault}");
    }
}

#[tokio::test]
async fn one_job_is_looked_at_singly_and_several_with_one_list() {
    let wire = documented().await;
    let armox = armox(&wire);
    let rendered = job("0fefb57b-a89a-46f3-b7f6-da24841722f4");
    let one = armox.look(std::slice::from_ref(&rendered)).await.result.expect("a look");
    assert_eq!((&one[0].0, &one[0].1.state), (&rendered.id, &JobState::Completed));
    let several = armox.look(&[rendered, job("job_123")]).await.result.expect("a look");
    assert_eq!(
        several.iter().map(|(job, _)| job.0.as_str()).collect::<Vec<_>>(),
        ["job_123"],
        "the list need not show all"
    );
    assert!(armox.look(&[]).await.result.expect("nothing").is_empty());
    assert_eq!(wire.lines(), ["GET /api/v1/jobs/0fefb57b-a89a-46f3-b7f6-da24841722f4", "GET /api/v1/jobs?limit=100"]);
    let gone = armox.look(&[job("a b%?")]).await.result.expect_err("a fault");
    assert_eq!(gone.kind, FaultKind::NotFound);
    assert_eq!(wire.lines()[2], "GET /api/v1/jobs/a%20b%25%3F");
    for bad in ["", "..", "a/b", "../account"] {
        assert_eq!(armox.look(&[job(bad)]).await.result.expect_err(bad).kind, FaultKind::Rejected);
        assert_eq!(armox.cancel(&job(bad)).await.result.expect_err(bad).kind, FaultKind::Rejected);
    }
    assert_eq!(wire.requests().len(), 3, "no request for what cannot be an id");
}

#[tokio::test]
async fn another_jobs_answer_is_not_taken_for_this_ones() {
    let wire = Wire::start(|_| wire::json("200 OK", body!("app_job_completed"))).await;
    let fault = armox(&wire).look(&[job("job_123")]).await.result.expect_err("a fault");
    assert_eq!(fault.kind, FaultKind::Malformed, "{fault}");
}

#[tokio::test]
async fn recent_jobs_carry_what_settling_needs() {
    let wire = documented().await;
    let recent = armox(&wire).recent("2026-03-26T12:00:00Z".parse().expect("a time")).await.result.expect("jobs");
    assert!(recent.complete);
    let [found] = recent.jobs.as_slice() else { panic!("one job: {recent:?}") };
    assert_eq!(found.target, Some(Target { kind: TargetKind::Model, id: "google/nano-banana".to_owned() }));
    assert_eq!(
        (found.inputs.clone(), found.status.created_at),
        (Some(json!({"prompt": "..."})), "2026-03-26T12:30:00Z".parse().ok())
    );
}

#[tokio::test]
async fn a_cancel_is_done_or_too_late_or_about_nothing() {
    let wire = documented().await;
    let armox = armox(&wire);
    assert_eq!(armox.cancel(&job("job_123")).await.result, Ok(Cancelled::Done));
    assert_eq!(armox.cancel(&job("late")).await.result, Ok(Cancelled::TooLate));
    assert_eq!(armox.cancel(&job("none")).await.result.expect_err("a fault").kind, FaultKind::NotFound);
    assert_eq!(wire.lines()[0], "POST /api/v1/jobs/job_123/cancel");
}

#[tokio::test]
async fn the_account_and_the_upload_that_is_none() {
    let wire = documented().await;
    let armox = armox(&wire);
    let account = armox.account().await.result.expect("an account");
    assert_eq!((account.credits, account.plan.as_deref()), (Some(8420.0), Some("agency")));
    let file =
        LocalFile { path: "a.png".into(), name: "a.png".to_owned(), content_type: "image/png".to_owned(), bytes: 1 };
    let fault = armox.upload(&file).await.result.expect_err("a fault");
    assert_eq!((fault.kind, wire.requests().len()), (FaultKind::Rejected, 1));
}

#[tokio::test]
async fn lists_that_are_none_are_malformed() {
    let wire = Wire::start(|_| Act::Send(answer("200 OK", &[], r#"{"object": "list"}"#))).await;
    let armox = armox(&wire);
    for kind in [
        armox.catalog(&Wanted::Kinds(vec![TargetKind::Model])).await.result.expect_err("a fault").kind,
        armox.look(&[job("a"), job("b")]).await.result.expect_err("a fault").kind,
        armox.recent("2026-03-26T12:00:00Z".parse().expect("a time")).await.result.expect_err("a fault").kind,
    ] {
        assert_eq!(kind, FaultKind::Malformed);
    }
}

/// What LANGUAGE.md says of a submit that was lost: the list of jobs shows it, or it is not there once ten seconds have passed.
#[tokio::test]
async fn a_lost_submit_has_ten_seconds_to_show_in_the_list() {
    let promises = armox(&documented().await).promises();
    assert_eq!(promises.settle_grace, Some(Duration::from_secs(10)));
    assert_eq!(promises.findable, [TargetKind::Model, TargetKind::App]);
    assert_eq!(promises.idempotent, [] as [TargetKind; 0]);
}
