//! The judge: says whether an answer, or the body of a request, is one that an API's document in `schemas/apis` allows.
//!
//! Each schema is judged inside the whole document, so that its `$ref`s hold as they are written.

use std::{collections::BTreeMap, sync::LazyLock};

use dagwood::sandbox::Api;
use serde_json::{Value, json};

static DOCUMENTS: LazyLock<BTreeMap<Api, Value>> = LazyLock::new(|| {
    let read = |api: Api| {
        let path =
            format!("{}/schemas/apis/{}.openapi.yaml", env!("CARGO_MANIFEST_DIR"), api.to_string().to_lowercase());
        let text = std::fs::read_to_string(path).expect("the document is there");
        (api, serde_yaml::from_str(&text).expect("the document is YAML"))
    };
    Api::ALL.into_iter().map(read).collect()
});

/// Judges an answer of Armox.
pub(crate) fn judge(method: &str, path: &str, status: u16, body: &Value) -> Result<(), String> {
    judge_of(Api::Armox, method, path, status, body)
}

/// Judges an answer to `method` at `path`, which may be concrete, with base path and query, or a template of the document. An answer without
/// a body is null here.
pub(crate) fn judge_of(api: Api, method: &str, path: &str, status: u16, body: &Value) -> Result<(), String> {
    let about = format!("{api}: {method} {path} {status}");
    let operation = operation(api, method, path).map_err(|told| format!("{about}: {told}"))?;
    let response = operation["responses"]
        .get(status.to_string())
        .ok_or_else(|| format!("{about}: the document has no such status"))?;
    let response = followed(api, response)?;
    if response.get("content").is_none() && body.is_null() {
        return Ok(());
    }
    let schema = response
        .pointer("/content/application~1json/schema")
        .ok_or_else(|| format!("{about}: the document has no schema"))?;
    fit(api, schema, body).map_err(|told| format!("{about}: {told}"))
}

/// Judges the body of a request.
pub(crate) fn judge_request(api: Api, method: &str, path: &str, body: &Value) -> Result<(), String> {
    let about = format!("{api}: {method} {path}, the request");
    let operation = operation(api, method, path).map_err(|told| format!("{about}: {told}"))?;
    let schema = operation
        .pointer("/requestBody/content/application~1json/schema")
        .ok_or_else(|| format!("{about}: the document has no schema"))?;
    fit(api, schema, body).map_err(|told| format!("{about}: {told}"))
}

fn operation(api: Api, method: &str, path: &str) -> Result<&'static Value, String> {
    let path = path.split('?').next().unwrap_or(path);
    let path = path.strip_prefix(api.base()).unwrap_or(path);
    let paths = DOCUMENTS[&api]["paths"].as_object().ok_or("the document has no paths")?;
    // A path that is written out wins over a template that also fits.
    let template = paths
        .keys()
        .find(|template| *template == path)
        .or_else(|| paths.keys().find(|template| fits(template, path)))
        .ok_or("the document has no such path")?;
    paths[template].get(method.to_lowercase()).ok_or_else(|| "the document has no such method".to_owned())
}

fn followed(api: Api, value: &'static Value) -> Result<&'static Value, String> {
    match value.get("$ref").and_then(Value::as_str) {
        Some(pointer) => {
            DOCUMENTS[&api].pointer(pointer.trim_start_matches('#')).ok_or(format!("{pointer} leads nowhere"))
        }
        None => Ok(value),
    }
}

fn fit(api: Api, schema: &Value, body: &Value) -> Result<(), String> {
    let mut root = DOCUMENTS[&api].clone();
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["allOf"] = json!([schema]);
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&root)
        .map_err(|error| format!("the schema cannot be read: {error}"))?;
    let wrong: Vec<_> =
        validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect();
    if wrong.is_empty() { Ok(()) } else { Err(format!("{}\nin {body:#}", wrong.join("; "))) }
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

#[test]
fn requests_and_empty_answers_are_judged_too() {
    let run = |body: Value| judge_request(Api::Airmy, "POST", "/v2/runs", &body);
    assert_eq!(run(json!({"agent_id": "ag_01HXYZ", "input": {"query": "a"}})), Ok(()));
    assert!(run(json!({"agent_id": "ag_01HXYZ"})).is_err_and(|told| told.contains("input")));
    assert!(run(json!({"agent_id": "", "input": {}})).is_err_and(|told| told.contains("agent_id")));
    assert!(judge_request(Api::Airmy, "GET", "/runs", &json!({})).is_err_and(|told| told.contains("no schema")));
    assert_eq!(judge_of(Api::Airmy, "DELETE", "/agents/a", 204, &Value::Null), Ok(()));
    assert!(judge_of(Api::Airmy, "DELETE", "/agents/a", 204, &json!({})).is_err());
    assert!(judge_of(Api::Airmy, "GET", "/agents/a", 200, &Value::Null).is_err_and(|told| told.contains("object")));
}
