//! The rows of "What the documents leave open" that are about jobs, lists and the account: one case each, named after its row.

use serde_json::json;

use super::*;

fn unknown() -> JobState {
    JobState::Unknown(String::new())
}

fn status(value: &Value) -> JobStatus {
    job(value, &unknown()).status
}

fn one(payload: Value) -> Map<String, Value> {
    Map::from_iter([(String::new(), payload)])
}

#[test]
fn the_documents_own_bodies() {
    let seen = job(&fixture(include_str!("../../../tests/fixtures/armox/app_job_completed.json")), &unknown());
    assert_eq!(seen.id, Some(JobHandle("0fefb57b-a89a-46f3-b7f6-da24841722f4".to_owned())));
    assert_eq!(seen.status.state, JobState::Completed);
    assert_eq!(seen.status.node_outputs.keys().collect::<Vec<_>>(), ["6fa95504-bf6c-44e6-bdda-c418903abc8c"]);
    assert_eq!(seen.status.credits_charged, Some(200.0));
    assert_eq!(seen.status.created_at, "2026-04-06T11:15:14.964978Z".parse().ok());
    assert_eq!(seen.status.completed_at, "2026-04-06T11:17:14.985Z".parse().ok());
    assert!(seen.status.warnings.is_empty(), "{:?}", seen.status.warnings);
    assert_eq!(
        seen.target.map(|target| target.to_string()).as_deref(),
        Some("app cb2bbd2d-b538-4d34-a54e-a9158c2e0dbb")
    );
    assert_eq!(seen.inputs.expect("inputs")["ced4aa7b-a2a8-4b53-b9ea-1b3e7d9194b5"], "auto");

    let run = fixture(include_str!("../../../tests/fixtures/armox/model_run_finished.json"));
    let run = job(&run, &assumed_after_submit(200, &run));
    assert_eq!(run.status.state, JobState::Completed);
    assert!(run.status.node_outputs[""]["outputImage"].is_string());

    let account = account(&fixture(include_str!("../../../tests/fixtures/armox/account.json"))).expect("an account");
    assert_eq!((account.credits, account.plan.as_deref()), (Some(8420.0), Some("agency")));
    let usage: Vec<_> = account.usage.iter().map(|(name, figure)| format!("{name}={figure}")).collect();
    assert_eq!(
        usage,
        ["credits_used_last_30d=12480", "total_requests_last_30d=931", "total_jobs=415", "api_keys_active=3"]
    );
}

fn fixture(text: &str) -> Value {
    serde_json::from_str(text).expect("a fixture is JSON")
}

/// Row: sync 200 has `output`, a job has `output_data`, a webhook has `job.output`; apps' `node_outputs` at either level.
#[test]
fn outputs_are_found_under_either_key_at_either_level() {
    let image = json!({"outputImage": "https://a/b.png"});
    let nodes = json!({"n2": image, "n1": {"outputText": "x"}});
    for (row, body, expected) in [
        ("output", json!({"output": image}), one(image.clone())),
        ("output_data", json!({"output_data": image}), one(image.clone())),
        ("the first that is not null", json!({"output": null, "output_data": image}), one(image.clone())),
        (
            "nodes inside",
            json!({"output_data": {"app_id": "a", "node_outputs": nodes}}),
            nodes.as_object().cloned().expect("a map"),
        ),
        ("nodes inside output", json!({"output": {"node_outputs": nodes}}), nodes.as_object().cloned().expect("a map")),
        (
            "nodes outside",
            json!({"output_data": null, "node_outputs": nodes}),
            nodes.as_object().cloned().expect("a map"),
        ),
        ("completed with null: an empty output", json!({"output_data": null}), Map::new()),
        ("completed with nothing", json!({}), Map::new()),
        (
            "an app without nodes",
            json!({"output_data": {"app_id": "a", "app_name": "A", "node_outputs": null}}),
            Map::new(),
        ),
        ("a bare string is kept raw", json!({"output": "https://a/b.png"}), one(json!("https://a/b.png"))),
        (
            "a list is kept raw",
            json!({"output": [{"type": "image", "url": "u"}]}),
            one(json!([{"type": "image", "url": "u"}])),
        ),
        (
            "unknown keys are kept raw",
            json!({"output": {"output3d": {"url": "u"}, "x": 1}}),
            one(json!({"output3d": {"url": "u"}, "x": 1})),
        ),
    ] {
        let mut body = body;
        body["status"] = json!("completed");
        assert_eq!(status(&body).node_outputs, expected, "{row}");
        let order: Vec<_> = status(&body).node_outputs.keys().cloned().collect();
        assert_eq!(order, expected.keys().cloned().collect::<Vec<_>>(), "{row}: the API's order");
    }
    let running = status(&json!({"status": "processing", "output_data": image}));
    assert!(running.node_outputs.is_empty(), "nothing comes out before the end");
}

/// Row: status words outside the five.
#[test]
fn status_words() {
    for (word, state) in [
        ("pending", JobState::Pending),
        ("processing", JobState::Processing),
        ("completed", JobState::Completed),
        ("failed", JobState::Failed),
        ("cancelled", JobState::Cancelled),
        ("canceled", JobState::Cancelled),
        ("succeeded", JobState::Completed),
        ("error", JobState::Failed),
        (" Completed ", JobState::Completed),
    ] {
        let status = status(&json!({"status": word}));
        assert_eq!((status.state, status.warnings.len()), (state, 0), "{word}");
    }
    let odd = status(&json!({"status": "queued\u{1b}"}));
    assert_eq!(odd.state, JobState::Unknown("queued".to_owned()));
    assert!(!odd.state.is_terminal() && odd.warnings.len() == 1, "{odd:?}");
    let missing = status(&json!({"id": "a", "status": null}));
    assert!(!missing.state.is_terminal() && missing.warnings.len() == 1, "{missing:?}");
}

/// Rows: fields of the model's 202; whether a sync model can answer 202, or an async one 200.
#[test]
fn a_submit_is_judged_by_code_and_status_alone() {
    let output = json!({"outputImage": "u"});
    for (row, code, body, state) in [
        ("a 202 needs only an id", 202, json!({"id": "j"}), JobState::Processing),
        ("a 202 that is done", 202, json!({"id": "j", "status": "completed", "output": output}), JobState::Completed),
        ("a 200 that goes on", 200, json!({"id": "j", "status": "processing"}), JobState::Processing),
        ("a 200 with an output and no status", 200, json!({"id": "j", "output": output}), JobState::Completed),
        ("a 200 with neither", 200, json!({"id": "j"}), JobState::Processing),
        ("a 200 that failed", 200, json!({"id": "j", "status": "failed", "error": "no"}), JobState::Failed),
    ] {
        assert_eq!(job(&body, &assumed_after_submit(code, &body)).status.state, state, "{row}");
    }
    for key in ["model", "model_id"] {
        let target = job(&json!({"id": "j", key: "kling/video"}), &unknown()).target;
        assert_eq!(target, Some(Target { kind: TargetKind::Model, id: "kling/video".to_owned() }), "{key}");
    }
}

/// Row: what a sync model answers when it fails.
#[test]
fn reasons_of_a_failure() {
    for (row, body, said) in [
        ("error_message", json!({"error_message": "too dark"}), Some("too dark")),
        ("error", json!({"error_message": null, "error": "too dark"}), Some("too dark")),
        ("an object", json!({"error": {"code": 7, "message": "too\ndark"}}), Some("too dark")),
        ("none", json!({}), None),
    ] {
        let mut body = body;
        body["status"] = json!("failed");
        assert_eq!(status(&body).error.as_deref(), said, "{row}");
    }
}

/// Row: time formats.
#[test]
fn times_are_rfc_3339_in_full_and_bad_ones_are_warnings() {
    for text in ["2026-03-26T12:30:00.000Z", "2026-03-26T12:30:00.000000+00:00", "2026-03-26T14:30:00+02:00"] {
        let status = status(&json!({"status": "pending", "created_at": text}));
        assert_eq!(status.created_at, "2026-03-26T12:30:00Z".parse().ok(), "{text}");
        assert!(status.warnings.is_empty(), "{text}");
    }
    for bad in [json!("yesterday"), json!(1_774_528_200), json!("2026-03-26T12:30:00")] {
        let status = status(&json!({"status": "pending", "created_at": bad, "completed_at": null}));
        assert_eq!((status.created_at, status.warnings.len()), (None, 1), "{bad}");
    }
}

/// Rows: `credits_charged` after a refund is reported as given; new fields are ignored.
#[test]
fn figures_are_taken_as_given() {
    for (given, credits) in
        [(json!(200), Some(200.0)), (json!("12.5"), Some(12.5)), (json!(null), None), (json!("lots"), None)]
    {
        let body = json!({"status": "failed", "credits_charged": given, "tokens_used": 7, "new_field": {"a": [1]}});
        assert_eq!(status(&body).credits_charged, credits, "{given}");
        assert_eq!(status(&body).tokens_used, Some(7));
    }
}

/// Row: order, freshness and reach of `GET /jobs`.
#[test]
fn a_list_reaches_back_when_it_is_not_full_or_shows_something_older() {
    let since: Timestamp = "2026-03-26T12:00:00Z".parse().expect("a time");
    let item = |id: usize, minute: usize| json!({"id": id.to_string(), "created_at": format!("2026-03-26T12:{minute:02}:00Z")});
    let older = json!({"id": "old", "created_at": "2026-03-26T11:59:59Z"});
    let full: Vec<_> = (0..100).map(|at| item(at, at % 60)).collect();
    let mut reaching = full.clone();
    reaching[37] = older.clone();
    let mut unreadable = reaching.clone();
    unreadable[1] = json!({"created_at": "2026-03-26T12:00:00Z"});
    for (row, items, complete) in [
        ("few", vec![item(1, 1)], true),
        ("none", vec![], true),
        ("full, all newer: cannot tell", full, false),
        ("full, an older one anywhere", reaching, true),
        ("one that cannot be read", unreadable, false),
    ] {
        assert_eq!(recent(&items, since, 100).complete, complete, "{row}");
    }
}

/// Row: whether `input_data` echoes everything; both envelopes of the documents.
#[test]
fn echoed_inputs_lose_their_envelope() {
    for (row, body, inputs) in [
        ("a model", json!({"input_data": {"input": {"prompt": "x"}}}), Some(json!({"prompt": "x"}))),
        ("an app", json!({"input_data": {"app_id": "a", "inputs": {"i": [1]}}}), Some(json!({"i": [1]}))),
        ("bare", json!({"input_data": {"prompt": "x"}}), Some(json!({"prompt": "x"}))),
        ("null", json!({"input_data": null}), None),
    ] {
        assert_eq!(job(&body, &unknown()).inputs, inputs, "{row}");
    }
}

#[test]
fn what_comes_of_a_cancel() {
    for (body, outcome) in [
        (json!({"status": "cancelled"}), Cancelled::Done),
        (json!({"status": "canceled"}), Cancelled::Done),
        (json!({"cancelled_at": "2026-03-26T12:35:00.000Z"}), Cancelled::Done),
        (json!({"status": "processing"}), Cancelled::Asked),
        (json!({"status": "cancelling"}), Cancelled::Asked),
        (json!({}), Cancelled::Asked),
        (json!({"status": "completed"}), Cancelled::TooLate),
    ] {
        assert_eq!(cancelled(&body), outcome, "{body}");
    }
}

#[test]
fn lists_and_odd_bodies() {
    assert_eq!(list(&json!({"data": [1]})).map(<[_]>::len), Some(1));
    assert_eq!(list(&json!([1, 2])).map(<[_]>::len), Some(2));
    for odd in [json!({}), json!({"data": null}), json!("x"), json!(null)] {
        assert_eq!(list(&odd), None, "{odd}");
        let seen = job(&odd, &unknown());
        assert!(seen.id.is_none() && seen.target.is_none() && !seen.status.state.is_terminal(), "{odd}");
    }
    assert!(account(&json!([])).is_none());
    assert_eq!(account(&json!({"credits": null})).expect("an account").credits, None);
}
