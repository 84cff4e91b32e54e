//! The judge: says whether an answer is one that `schemas/apis/armox.openapi.yaml` allows.
//!
//! Each schema is judged inside the whole document, so that its `$ref`s hold as they are written.

use std::sync::LazyLock;

use serde_json::{Value, json};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/apis/armox.openapi.yaml");
    let text = std::fs::read_to_string(path).expect("the document is there");
    serde_yaml::from_str(&text).expect("the document is YAML")
});

/// Judges an answer to `method` at `path`, which may be concrete, with base path and query, or a template of the document.
pub(crate) fn judge(method: &str, path: &str, status: u16, body: &Value) -> Result<(), String> {
    let path = path.split('?').next().unwrap_or(path);
    let path = path.strip_prefix("/api/v1").unwrap_or(path);
    let about = format!("{method} {path} {status}");
    let paths = DOCUMENT["paths"].as_object().ok_or("the document has no paths")?;
    // A path that is written out wins over a template that also fits.
    let template = paths
        .keys()
        .find(|template| *template == path)
        .or_else(|| paths.keys().find(|template| fits(template, path)))
        .ok_or_else(|| format!("{about}: the document has no such path"))?;
    let operation = paths[template]
        .get(method.to_lowercase())
        .ok_or_else(|| format!("{about}: the document has no such method"))?;
    let response = operation["responses"]
        .get(status.to_string())
        .ok_or_else(|| format!("{about}: the document has no such status"))?;
    let response = match response.get("$ref").and_then(Value::as_str) {
        Some(pointer) => DOCUMENT.pointer(pointer.trim_start_matches('#')).ok_or(format!("{pointer} leads nowhere"))?,
        None => response,
    };
    let schema = response
        .pointer("/content/application~1json/schema")
        .ok_or_else(|| format!("{about}: the document has no schema"))?;
    let mut root = DOCUMENT.clone();
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["allOf"] = json!([schema]);
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&root)
        .map_err(|error| format!("{about}: the schema cannot be read: {error}"))?;
    let wrong: Vec<_> =
        validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect();
    if wrong.is_empty() { Ok(()) } else { Err(format!("{about}: {}\nin {body:#}", wrong.join("; "))) }
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template.iter().zip(&path).all(|(part, found)| part == found || part.starts_with('{') && !found.is_empty())
}

#[test]
fn the_examples_of_the_document_pass_and_tampered_ones_do_not() {
    let mut job = json!({
        "object": "job", "id": "a", "run_type": "app", "model_id": null, "status": "completed",
        "created_at": "2026-04-06T11:15:14.964978+00:00", "credits_charged": 200,
    });
    assert_eq!(judge("GET", "/api/v1/jobs/a", 200, &job), Ok(()));
    assert_eq!(judge("GET", "/jobs/{id}", 404, &json!({"error": "Job not found"})), Ok(()));
    for (key, wrong) in [
        ("id", json!(3)),
        ("status", json!("done")),
        ("run_type", json!("agent")),
        ("created_at", json!("yesterday")),
        ("credits_charged", json!("200")),
    ] {
        let right = std::mem::replace(&mut job[key], wrong);
        assert!(judge("GET", "/jobs/a", 200, &job).is_err_and(|told| told.contains(key)), "{key} is tampered with");
        job[key] = right;
    }
    assert!(judge("GET", "/jobs/a", 418, &job).is_err_and(|told| told.contains("no such status")));
    assert!(judge("PUT", "/jobs/a", 200, &job).is_err_and(|told| told.contains("no such method")));
    assert!(judge("GET", "/nothing", 200, &job).is_err_and(|told| told.contains("no such path")));
    let list = json!({"object": "list", "data": [job, {"id": "b"}]});
    assert!(judge("GET", "/jobs?limit=3", 200, &list).is_err_and(|told| told.contains("/data/1")));
    assert!(judge("POST", "/models/run", 401, &json!({"message": "no"})).is_err_and(|told| told.contains("error")));
}
