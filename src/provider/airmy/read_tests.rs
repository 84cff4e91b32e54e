//! The rows of "What the documents leave open" that are about runs: one case each, named after its row.

use serde_json::json;

use super::*;

fn target(kind: TargetKind, id: &str) -> Target {
    Target { kind, id: id.to_owned() }
}

fn seen(answer: &Value) -> Seen {
    run(answer, &StatusWords::default(), Some(&target(TargetKind::Agent, "ag_1")))
}

fn status(answer: &Value) -> JobStatus {
    seen(answer).status
}

#[test]
fn the_documents_own_run() {
    let body = json!({
        "id": "run_01HXYZ123", "status": "completed", "output": {"result": "Q1 revenue was $4.2M, up 18% YoY..."},
        "latency_ms": 48, "tokens_used": 1247, "created_at": "2026-03-22T14:30:00Z",
    });
    let seen = seen(&body);
    assert_eq!(seen.id, Some(JobHandle("run_01HXYZ123".to_owned())));
    assert_eq!(
        (seen.status.state, seen.status.latency_ms, seen.status.tokens_used),
        (JobState::Completed, Some(48), Some(1247))
    );
    assert_eq!(seen.status.node_outputs[""], body["output"]);
    assert_eq!(seen.status.created_at, "2026-03-22T14:30:00Z".parse().ok());
    assert_eq!(seen.status.credits_charged, None, "row: none is documented");
    assert!(seen.status.warnings.is_empty() && seen.target.is_none());
}

/// Rows: status words; `status` absent.
#[test]
fn a_run_is_over_by_its_word_or_its_output() {
    for (row, body, state) in [
        ("a word", json!({"status": "Succeeded"}), JobState::Completed),
        ("timed out", json!({"status": "timed_out"}), JobState::Failed),
        ("cancelled", json!({"status": "canceled"}), JobState::Cancelled),
        ("queued", json!({"status": "queued", "output": {"result": "partial"}}), JobState::Pending),
        ("unknown", json!({"status": "reheating", "output": {}}), JobState::Unknown("reheating".to_owned())),
        ("no word at all", json!({"status": 200}), JobState::Unknown("200".to_owned())),
        ("absent, with output", json!({"id": "r", "output": {"result": "x"}}), JobState::Completed),
        ("absent, with an empty output", json!({"id": "r", "output": ""}), JobState::Completed),
        ("absent, output null", json!({"id": "r", "output": null}), JobState::Processing),
        ("absent, without", json!({"id": "r", "status": null}), JobState::Processing),
        ("not even a map", json!("r"), JobState::Processing),
    ] {
        let status = status(&body);
        assert_eq!(status.warnings.len(), usize::from(matches!(status.state, JobState::Unknown(_))), "{row}");
        assert_eq!(status.state, state, "{row}");
    }
    let words = StatusWords { done: vec!["ready".to_owned()], ..StatusWords::default() };
    assert_eq!(run(&json!({"status": "READY"}), &words, None).status.state, JobState::Completed);
}

/// Row: `output` as object, string, list or null.
#[test]
fn outputs_are_kept_as_they_are() {
    for output in
        [json!({"result": "x", "n": [1]}), json!("x"), json!([{"type": "image", "url": "u"}]), json!(7), json!(false)]
    {
        assert_eq!(status(&json!({"status": "completed", "output": output})).node_outputs[""], output);
    }
    for none in [json!({"status": "completed", "output": null}), json!({"status": "completed"})] {
        assert!(status(&none).node_outputs.is_empty(), "{none}");
    }
    for early in ["running", "failed"] {
        let status = status(&json!({"status": early, "output": {"result": "half"}}));
        assert!(status.node_outputs.is_empty(), "nothing comes out of what is {early}");
    }
}

/// Row: where a failure's reason is.
#[test]
fn reasons_of_a_failure_in_their_order() {
    let all = json!({
        "status": "failed", "error": {"code": 7, "message": "first\nline"}, "error_message": "second", "failure_reason": "third",
        "message": "fourth", "output": {"error": "fifth"},
    });
    let mut body = all;
    for (key, said) in [
        ("error", Some("first line")),
        ("error_message", Some("second")),
        ("failure_reason", Some("third")),
        ("message", Some("fourth")),
        ("output", Some("fifth")),
        ("status", None),
    ] {
        assert_eq!(status(&body).error.as_deref(), said, "{key}");
        body[key] = if key == "output" { json!("no map") } else { json!(null) };
    }
    assert_eq!(status(&json!({"status": "error", "error": "a string"})).error.as_deref(), Some("a string"));
    assert_eq!(status(&json!({"status": "completed", "message": "well done"})).error, None);
}

/// Row: `latency_ms`, `tokens_used` missing or null.
#[test]
fn figures_that_are_missing_are_absent() {
    for (given, read) in
        [(json!(null), None), (json!(0), Some(0)), (json!("12"), Some(12)), (json!(48.0), Some(48)), (json!("?"), None)]
    {
        let status = status(&json!({"status": "completed", "latency_ms": given, "tokens_used": given}));
        assert_eq!((status.latency_ms, status.tokens_used), (read, read), "{given}");
    }
    assert_eq!(status(&json!({"status": "completed"})).latency_ms, None);
}

/// Row: the answer of a trigger: `id`, `run_id`, `pipeline_run_id`, `run.id`.
#[test]
fn the_id_of_a_run_in_every_place() {
    let pipeline = target(TargetKind::Pipeline, "pl_1");
    for (body, id) in [
        (json!({"id": "plr_1", "pipeline_id": "pl_1", "status": "running"}), Some("plr_1")),
        (json!({"run_id": "plr_1"}), Some("plr_1")),
        (json!({"pipeline_run_id": "plr_1", "status": "queued"}), Some("plr_1")),
        (json!({"run": {"id": "plr_1", "status": "running"}}), Some("plr_1")),
        (json!({"data": {"run_id": "plr_1"}}), Some("plr_1")),
        (json!({"id": "pl_1", "run_id": "plr_1"}), Some("plr_1")),
        (json!({"id": 17}), Some("17")),
        (json!({"id": "pl_1", "name": "the pipeline itself"}), None),
        (json!({"status": "running"}), None),
        (json!([]), None),
    ] {
        let seen = run(&body, &StatusWords::default(), Some(&pipeline));
        assert_eq!(seen.id.as_ref().map(|id| id.0.as_str()), id, "{body}");
    }
    let wrapped = run(
        &json!({"run": {"id": "plr_1", "status": "failed", "error": "no"}}),
        &StatusWords::default(),
        Some(&pipeline),
    );
    assert_eq!((wrapped.status.state, wrapped.status.error.as_deref()), (JobState::Failed, Some("no")));
}

/// Row: the answer to a repeated key: for a 409 look in the body for a run or run id.
#[test]
fn a_conflict_may_have_the_run_in_it() {
    let agent = target(TargetKind::Agent, "ag_1");
    for (row, body, found) in [
        ("the run itself", json!({"id": "run_1", "status": "running"}), Some(("run_1", JobState::Processing))),
        (
            "the run itself, failed",
            json!({"id": "run_1", "agent_id": "ag_1", "status": "failed", "error": "no"}),
            Some(("run_1", JobState::Failed)),
        ),
        (
            "wrapped",
            json!({"error": "exists", "run": {"id": "run_1", "status": "completed", "output": {}}}),
            Some(("run_1", JobState::Completed)),
        ),
        ("an id", json!({"error": "exists", "run_id": "run_1"}), Some(("run_1", JobState::Processing))),
        (
            "an id within the error",
            json!({"error": {"message": "exists", "run_id": "run_1"}}),
            Some(("run_1", JobState::Processing)),
        ),
        (
            "an id within its details",
            json!({"error": {"message": "exists", "details": {"run_id": "run_1"}}}),
            Some(("run_1", JobState::Processing)),
        ),
        ("an error's own id", json!({"id": "err_1", "status": 409, "title": "Conflict"}), None),
        ("an error's own id and word", json!({"id": "err_1", "status": "error", "message": "exists"}), None),
        ("another agent's run", json!({"run": {"id": "run_1", "agent_id": "ag_2", "status": "running"}}), None),
        ("nothing", json!({"error": {"message": "Conflict"}}), None),
        ("no JSON of use", json!("run_1"), None),
    ] {
        let seen = conflicting(&body, &StatusWords::default(), &agent);
        let seen = seen.map(|(job, status)| (job.0, status.state));
        assert_eq!(seen, found.map(|(job, state)| (job.to_owned(), state)), "{row}");
    }
}

#[test]
fn a_refusal_that_names_the_key() {
    for (body, names) in [
        (json!({"error": {"code": "idempotency_mismatch"}}), true),
        (json!("Idempotency-Key was used before"), true),
        (json!({"error": {"message": "input.query: required"}}), false),
    ] {
        assert_eq!(names_idempotency(&body), names, "{body}");
    }
}

/// Row: filters of `GET /runs`: none is used, so it must be told here what is recent, and whether the list reaches.
#[test]
fn a_list_reaches_by_its_word_its_order_or_its_shortness() {
    let since: Timestamp = "2026-03-22T14:00:00Z".parse().expect("a time");
    let item =
        |minute: usize| json!({"id": format!("run_{minute}"), "created_at": format!("2026-03-22T14:{minute:02}:00Z")});
    let older = json!({"id": "old", "created_at": "2026-03-22T13:59:59Z"});
    let newest_first: Vec<_> = (0..20).rev().map(item).chain([older.clone()]).collect();
    let oldest_first: Vec<_> = newest_first.iter().rev().cloned().collect();
    let no_times: Vec<_> = (0..20).map(|at| json!({"id": format!("run_{at}")})).collect();
    for (row, items, whole, jobs, complete) in [
        ("the newest first, down to an older one", newest_first, None, 20, true),
        ("the oldest first: what is newer may be on another page", oldest_first.clone(), None, 20, false),
        ("the same, the list being whole", oldest_first.clone(), Some(true), 20, true),
        ("the same, there being more", oldest_first, Some(false), 20, false),
        ("no times", no_times, None, 20, false),
        ("few", vec![item(1), older], None, 1, true),
        ("few, and more", vec![item(1)], Some(false), 1, false),
        ("none", vec![], None, 0, true),
    ] {
        let mut runs = Runs::since(since);
        runs.take(&items, &StatusWords::default(), None);
        let (found, is_complete) = runs.finish(whole);
        assert_eq!((found.len(), is_complete), (jobs, complete), "{row}");
    }
}

#[test]
fn a_run_in_a_list_says_what_it_ran() {
    let body = json!({"id": "run_1", "agent_id": "ag_1", "status": "completed", "input": {"query": "x"}});
    let mut runs = Runs::since(Timestamp::UNIX_EPOCH);
    assert!(runs.take(&[body], &StatusWords::default(), None), "nothing older was seen");
    let (jobs, _) = runs.finish(None);
    assert_eq!(
        (&jobs[0].target, &jobs[0].inputs),
        (&Some(target(TargetKind::Agent, "ag_1")), &Some(json!({"query": "x"})))
    );
    let pipeline = target(TargetKind::Pipeline, "pl_1");
    let mut runs = Runs::since(Timestamp::UNIX_EPOCH);
    runs.take(&[json!({"id": "plr_1"})], &StatusWords::default(), Some(&pipeline));
    assert_eq!(runs.finish(None).0[0].target, Some(pipeline), "a pipeline's list is about that pipeline");
}
