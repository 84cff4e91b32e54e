//! What programs outside read: events and runs, against the schemas that ship.

use std::{fs, path::PathBuf};

use dagwood::{
    journal::{event::Record, state::RunState},
    report::{RunReport, schema},
    world::World,
};
use serde_json::{Value, json};

const RUN: &str = "019ab697-e800-7707-8707-070707070707";

/// Every kind of event, as it is on the wire.
fn events() -> Vec<Value> {
    let digest = "ab".repeat(32);
    let job = json!({"id": "0fefb57b", "provider": "armox", "status": "completed", "credits_charged": 200.0, "tokens_used": 7,
        "created_at": "2026-11-24T12:00:04Z", "completed_at": "2026-11-24T12:01:35Z"});
    let step = |step: &str, needs: &[u32]| {
        let mut brief = json!({"step": step, "verb": "app", "target": "Sketch to Render", "provider": "armox", "needs": needs, "rank": 60000,
            "credits": 200.0, "seconds": 60.0});
        if needs.is_empty() {
            brief.as_object_mut().expect("a map").remove("needs");
        }
        brief
    };
    let events = [
        json!({"kind": "run_started", "format": 1, "workflow": "product-launch", "file": "workflows/product-launch.yaml",
            "plan": digest, "labels": {"team": "launch"}, "inputs": {"brief": "a room", "token": {"$secret": digest}},
            "concurrency": 16, "sandbox": true,
            "steps": [step("render", &[]), step("clip", &[0]), step("crops", &[0]), step("teaser", &[1]),
                {"step": "caption", "verb": "set", "rank": 0}]}),
        json!({"kind": "step_ready", "step": "render"}),
        json!({"kind": "submit_intended", "step": "render", "attempt": 1, "provider": "armox", "base_url": "https://api.test/v1",
            "target": {"kind": "app", "id": "app_1"}, "inputs": {"Prompt": "a room"}, "key": "k"}),
        json!({"kind": "retry_scheduled", "step": "render", "attempt": 1, "due": "2026-11-24T12:00:09.000Z", "rate_limited": true,
            "why": "too many requests"}),
        json!({"kind": "rate_limited", "provider": "armox", "until": "2026-11-24T12:00:09.000Z"}),
        json!({"kind": "submitted", "step": "render", "attempt": 1, "job": "0fefb57b", "state": "warming", "credits_charged": 200.0}),
        json!({"kind": "job_observed", "step": "render", "job": job, "outputs": {"n1": {"outputImage": "https://cdn.test/a.png"}}}),
        json!({"kind": "artifact_saved", "step": "render", "file": {"path": "render/0.png", "url": "https://cdn.test/a.png",
            "sha256": digest, "bytes": 123, "content_type": "image/png"}}),
        json!({"kind": "step_succeeded", "step": "render", "cached": false}),
        json!({"kind": "step_succeeded", "step": "caption", "outputs": {"$stored": digest, "bytes": 70000}, "cached": false}),
        json!({"kind": "step_failed", "step": "clip", "error": {"kind": "job_failed", "message": "no"}, "handled": false}),
        json!({"kind": "step_skipped", "step": "teaser", "why": {"needs": "clip"}}),
        json!({"kind": "step_cancelled", "step": "crops", "confirmed": true}),
        json!({"kind": "cancel_requested", "by": "interrupt"}),
        json!({"kind": "warning", "step": "clip", "message": "odd"}),
        json!({"kind": "run_finished", "status": "failed", "error": {"kind": "template", "message": "no such thing"}}),
    ];
    (1..)
        .zip(events)
        .map(|(seq, mut event)| {
            let map = event.as_object_mut().expect("a map");
            map.insert("seq".to_owned(), seq.into());
            map.insert("at".to_owned(), "2026-11-24T12:00:03.000Z".into());
            map.insert("run".to_owned(), RUN.into());
            event
        })
        .collect()
}

fn records() -> Vec<Record> {
    events().into_iter().map(|event| serde_json::from_value(event).expect("a record")).collect()
}

/// Compares a schema with its file, or writes the file where `DAGWOOD_UPDATE` is set.
fn compare(name: &str, schema: &Value) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schemas").join(name);
    let made = format!("{}\n", serde_json::to_string_pretty(schema).expect("JSON"));
    if World::real().env("DAGWOOD_UPDATE").is_some() {
        fs::write(&path, made).expect("the schema's file can be written");
    } else {
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == made, "schemas/{name} is not what the types say: set DAGWOOD_UPDATE=1 to write it");
    }
}

#[test]
fn the_schemas_that_ship_are_those_of_the_types() {
    compare("event.schema.json", &schema::event());
    compare("run.schema.json", &schema::run());
}

#[test]
fn records_are_written_as_they_were_read_and_as_the_schema_says() {
    let validator = jsonschema::validator_for(&schema::event()).expect("a schema");
    for (event, record) in events().into_iter().zip(records()) {
        let written = serde_json::to_value(&record).expect("JSON");
        assert_eq!(written, event);
        let errors: Vec<String> = validator.iter_errors(&written).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{written:#}: {errors:?}");
    }
    // A control: the schema does say no.
    for wrong in [json!({}), json!({"seq": 1, "at": "x", "run": RUN, "kind": "step_redy", "step": "a"})] {
        assert!(!validator.is_valid(&wrong), "{wrong}");
    }
}

#[test]
fn runs_at_every_point_are_reported_as_the_schema_says() {
    let validator = jsonschema::validator_for(&schema::run()).expect("a schema");
    let records = records();
    for end in 1..=records.len() {
        let mut report = RunReport::of(&RunState::fold(&records[..end]).expect("a run"));
        for _ in 0..2 {
            let written = serde_json::to_value(&report).expect("JSON");
            let errors: Vec<String> = validator.iter_errors(&written).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{written:#}: {errors:?}");
            report.detail = None;
        }
    }
    assert!(!validator.is_valid(&json!({"run": RUN})));
}
