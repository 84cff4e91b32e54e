//! The committed schemas are the generated ones, are schemas, and agree with the reader. `DAGWOOD_UPDATE=1` writes them anew.

use std::{fs, path::Path, sync::Arc};

use dagwood::{
    contract::lock,
    diagnostic::{Code, explain::explain, render},
    project,
    sandbox::FaultScript,
    source::Source,
    spec::{schema, yaml},
};
use serde_json::Value;

use crate::{diagnostics, update};

fn committed(name: &str, generated: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(name);
    let text = format!("{}\n", serde_json::to_string_pretty(generated).expect("a schema is JSON"));
    if update() {
        fs::write(&path, &text).expect("the schema can be written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "{} is not what the code generates: run the tests with DAGWOOD_UPDATE=1", path.display());
}

#[test]
fn the_schema_of_workflows_is_committed() {
    let schema = schema::workflow_schema();
    assert!(jsonschema::meta::is_valid(&schema));
    committed("workflow.schema.json", &schema);
}

#[test]
fn the_schema_of_lock_files_is_committed() {
    let schema = lock::json_schema();
    assert!(jsonschema::meta::is_valid(&schema));
    committed("lock.schema.json", &schema);
}

#[test]
fn the_schema_of_projects_is_committed_and_agrees_with_the_reader() {
    let schema = project::schema::project_schema();
    assert!(jsonschema::meta::is_valid(&schema));
    committed("project.schema.json", &schema);
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for &code in Code::ALL.iter().filter(|code| code.is_of_project()) {
        let read = |text: &str| yaml::read(&Arc::new(Source::new("example.yaml", text))).value.expect("it can be read");
        let example = explain(code);
        assert!(validator.is_valid(&read(example.right.expect("a right file"))), "{code}");
        // What a schema is, no schema can say.
        let wrong = read(example.wrong.expect("a wrong file"));
        assert!(code == Code::BadContract || !validator.is_valid(&wrong), "{code}");
    }
}

#[test]
fn the_schema_of_diagnostics_is_committed() {
    let schema = render::json_schema();
    assert!(jsonschema::meta::is_valid(&schema));
    committed("diagnostics.schema.json", &schema);
}

#[test]
fn the_schema_of_fault_scripts_is_committed() {
    let schema = FaultScript::schema();
    assert!(jsonschema::meta::is_valid(&schema));
    committed("faults.schema.json", &schema);
}

#[test]
fn right_examples_fit_the_schema() {
    let schema = schema::workflow_schema();
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let mut checked = 0;
    for &code in Code::ALL {
        let Some(right) = explain(code).right.filter(|_| !code.is_of_project()) else { continue };
        let value = yaml::read(&Arc::new(Source::new("right.yaml", right))).value.expect("a right example can be read");
        let problems: Vec<String> =
            validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(problems.is_empty(), "{code}: {problems:?}\n{right}");
        checked += 1;
    }
    assert!(checked > 40, "{checked}");
}

#[test]
fn what_is_of_the_wrong_shape_does_not_fit_the_schema() {
    let shapes = [
        Code::UnknownKey,
        Code::WrongKind,
        Code::MissingKey,
        Code::Version,
        Code::BadName,
        Code::BadDuration,
        Code::Verb,
        Code::BadInputSchema,
        Code::OutOfRange,
    ];
    let validator = jsonschema::validator_for(&schema::workflow_schema()).expect("a schema");
    let (mut refused, mut fitting) = (0, 0);
    for path in diagnostics::files() {
        let codes: Vec<Code> = diagnostics::check(&path).iter().map(|diagnostic| diagnostic.code).collect();
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let Some(value) = yaml::read(&Arc::new(Source::new("wrong.yaml", text))).value else { continue };
        if codes.iter().any(|code| shapes.contains(code)) {
            // YAML's infinities are gone before a schema could see them.
            assert!(
                !validator.is_valid(&value) || path.ends_with("not-a-number.yaml"),
                "{} fits the schema",
                path.display()
            );
            refused += 1;
        } else if codes.iter().all(|code| code.number() >= 200) {
            // What is wrong there is no matter of shapes.
            assert!(validator.is_valid(&value), "{} does not fit the schema", path.display());
            fitting += 1;
        }
    }
    assert!(refused > 15 && fitting > 1, "{refused} {fitting}");
}

/// The keys that have a default, where the schema is read as an editor reads it.
const DEFAULTS: &[(&str, &str)] = &[
    ("/properties/version", "1"),
    ("/properties/inputs", "{}"),
    ("/properties/secrets", "[]"),
    ("/properties/vars", "{}"),
    ("/properties/concurrency", "16"),
    ("/properties/concurrency/anyOf/1/properties/steps", "16"),
    ("/properties/concurrency/anyOf/1/properties/on_conflict", "\"queue\""),
    ("/properties/failure_policy", "\"drain\""),
    ("/properties/finally", "{}"),
    ("/properties/outputs", "{}"),
    ("/properties/schedule", "[]"),
    ("/properties/schedule/items/properties/timezone", "\"UTC\""),
    ("/properties/schedule/items/properties/catch_up", "\"none\""),
    ("/properties/notify", "[]"),
    ("/properties/notify/items/properties/format", "\"json\""),
    ("/properties/defaults/properties/timeout", "\"30m\""),
    ("/properties/defaults/properties/cache", "false"),
    ("/properties/defaults/properties/on_error", "\"fail\""),
    ("/$defs/input/properties/optional", "false"),
    ("/$defs/input/properties/secret", "false"),
    ("/$defs/step/properties/inputs", "{}"),
    ("/$defs/step/properties/needs", "[]"),
    ("/$defs/step/properties/when", "true"),
    ("/$defs/step/properties/trigger", "\"all_succeeded\""),
    ("/$defs/step/properties/timeout", "\"30m\""),
    ("/$defs/step/properties/fallback", "[]"),
    ("/$defs/step/properties/on_error", "\"fail\""),
    ("/$defs/step/properties/cache", "false"),
    ("/$defs/step/properties/save", "false"),
    ("/$defs/retry/properties/attempts", "1"),
    ("/$defs/retry/properties/on", r#"["job_failed","timeout","expectation_failed"]"#),
    ("/$defs/retry/properties/backoff/properties/initial", "\"1s\""),
    ("/$defs/retry/properties/backoff/properties/factor", "2"),
    ("/$defs/retry/properties/backoff/properties/max", "\"1m\""),
    ("/$defs/step/properties/mode", "\"execute\""),
    ("/$defs/http/properties/method", "\"GET\""),
];

/// The same of the project file.
const PROJECT_DEFAULTS: &[(&str, &str)] = &[
    ("/properties/secrets", "[]"),
    ("/properties/state", "\".dagwood\""),
    ("/properties/artifacts", "\"artifacts\""),
    ("/properties/contracts", "{}"),
    ("/$defs/armox/properties/allow_http", "false"),
    ("/$defs/armox/properties/settle", "\"auto\""),
    ("/$defs/armox/properties/settle_grace", "\"10s\""),
    ("/$defs/airmy/properties/idempotency_header", "\"Idempotency-Key\""),
    ("/$defs/airmy/properties/input_wrapper", "\"input\""),
    ("/$defs/airmy/properties/look_at_runs", "false"),
    ("/$defs/aimp/properties/media_ref_object", "false"),
];

/// Returns what an editor would have nothing to show for, or would show wrongly.
fn silent_keys(schema: &Value, defaults: &[(&str, &str)]) -> Vec<String> {
    let mut problems = Vec::new();
    walk(schema, schema, "", &mut problems);
    for (pointer, default) in defaults {
        let found = schema.pointer(pointer).map(|key| key["default"].to_string());
        if found.as_deref() != Some(default) {
            problems.push(format!("{pointer}: default {found:?}, not {default}"));
        }
    }
    problems
}

fn walk(whole: &Value, schema: &Value, at: &str, problems: &mut Vec<String>) {
    for word in ["properties", "patternProperties", "$defs"] {
        for (name, entry) in schema[word].as_object().into_iter().flatten() {
            let at = format!("{at}/{word}/{name}");
            if word == "properties" {
                key(whole, entry, &at, problems);
            }
            walk(whole, entry, &at, problems);
        }
    }
    for word in ["anyOf", "oneOf", "allOf"] {
        for (index, entry) in schema[word].as_array().into_iter().flatten().enumerate() {
            walk(whole, entry, &format!("{at}/{word}/{index}"), problems);
        }
    }
    for word in ["items", "additionalProperties"] {
        if let Some(entry) = schema.get(word) {
            walk(whole, entry, &format!("{at}/{word}"), problems);
        }
    }
}

fn key(whole: &Value, entry: &Value, at: &str, problems: &mut Vec<String>) {
    let referred = entry["$ref"].as_str().and_then(|name| whole.pointer(name.trim_start_matches('#')));
    let has = |word: &str| entry.get(word).or_else(|| referred?.get(word));
    let text = entry["description"].as_str().unwrap_or_default();
    if !(text.ends_with('.') && text.len() > 8) {
        problems.push(format!("{at}: no description"));
    }
    if let Some(default @ (Value::String(_) | Value::Number(_) | Value::Bool(_))) = has("default") {
        let default = default.as_str().map_or_else(|| default.to_string(), ToOwned::to_owned);
        if !text.contains(&format!("Default: `{default}`.")) {
            problems.push(format!("{at}: its default is not in its text"));
        }
    }
    if text.contains('`') && entry["markdownDescription"] != entry["description"] {
        problems.push(format!("{at}: code in plain text alone"));
    }
    let forms = has("anyOf").and_then(Value::as_array).into_iter().flatten();
    let single =
        forms.clone().any(|form| form["type"] != "object" && form["type"] != "null" && form.get("$ref").is_none());
    let examples = has("examples").and_then(Value::as_array).into_iter().flatten();
    if single && examples.clone().any(Value::is_object) {
        problems.push(format!("{at}: completed as `[object Object]`"));
    }
    for form in forms.filter(|form| form.get("title").is_some()) {
        problems.push(format!("{at}: {} heads its text", form["title"]));
    }
    if let Some(Value::Array(words)) = has("enum")
        && words.iter().any(|word| word == "null")
        && has("type") != Some(&Value::from("string"))
    {
        problems.push(format!("{at}: the word `null` would be written as none"));
    }
    // Beside a reference with a bound of its own, the text is that of what it refers to.
    let told = ["description", "markdownDescription", "default", "examples", "$ref"];
    if entry.get("$ref").is_some()
        && let Some(bound) = entry.as_object().and_then(|entry| entry.keys().find(|key| !told.contains(&key.as_str())))
    {
        problems.push(format!("{at}: `{bound}` beside a reference"));
    }
    let is_shown = ["default", "examples", "enum"].iter().any(|word| has(word).is_some()) || text.contains("Example: ");
    if !is_shown {
        problems.push(format!("{at}: neither a default nor an example"));
    }
    if let (Some(Value::Array(words)), texts) = (has("enum"), has("enumDescriptions")) {
        let texts = texts.and_then(Value::as_array).map_or(0, Vec::len);
        if texts != words.len() {
            problems.push(format!("{at}: {} words, {texts} of them described", words.len()));
        }
    }
    let alone = serde_json::json!({ "$defs": whole["$defs"], "allOf": [entry] });
    let validator = jsonschema::validator_for(&alone).expect("a part of a schema");
    let examples = has("examples").and_then(Value::as_array).into_iter().flatten();
    for value in examples.chain(has("default")) {
        if let Err(error) = validator.validate(value) {
            problems.push(format!("{at}: {value} does not fit: {error}"));
        }
    }
}

#[test]
fn an_editor_has_something_to_show_for_every_key() {
    let mut problems = silent_keys(&schema::workflow_schema(), DEFAULTS);
    problems.extend(silent_keys(&project::schema::project_schema(), PROJECT_DEFAULTS));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn what_an_editor_would_not_show_is_found() {
    type Spoil = fn(&mut Value);
    let breaks: [(&str, Spoil); 8] = [
        ("/$defs/step/properties/cache: completed as `[object Object]`", |schema| {
            schema["$defs"]["cache"]["examples"] = serde_json::json!([{ "ttl": "24h" }]);
        }),
        ("/$defs/input/properties/type: \"Several\" heads its text", |schema| {
            schema["$defs"]["input"]["properties"]["type"]["anyOf"][1]["title"] = "Several".into();
        }),
        ("/properties/labels: `minProperties` beside a reference", |schema| {
            schema["properties"]["labels"]["minProperties"] = 1.into();
        }),
        ("/$defs/step/properties/needs: no description", |schema| {
            schema["$defs"]["step"]["properties"]["needs"]["description"] = "".into();
        }),
        ("/$defs/retry/properties/attempts: default", |schema| {
            schema["$defs"]["retry"]["properties"]["attempts"]["default"] = 2.into();
        }),
        ("/$defs/http/properties/query: neither a default nor an example", |schema| {
            let query = schema["$defs"]["http"]["properties"]["query"].as_object_mut().expect("a key");
            query.retain(|word, _| word != "default" && word != "examples");
        }),
        ("/$defs/step/properties/poll: 12 does not fit", |schema| {
            schema["$defs"]["step"]["properties"]["poll"]["examples"] = vec![12].into();
        }),
        ("/properties/failure_policy: 3 words, 0 of them described", |schema| {
            schema["properties"]["failure_policy"]["enumDescriptions"] = Value::Array(Vec::new());
        }),
    ];
    for (expected, spoil) in breaks {
        let mut schema = schema::workflow_schema();
        spoil(&mut schema);
        let problems = silent_keys(&schema, DEFAULTS);
        assert!(problems.iter().any(|problem| problem.starts_with(expected)), "{expected}: {problems:?}");
    }
}
