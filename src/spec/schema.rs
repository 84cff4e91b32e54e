//! The JSON Schema of the language, for editors and other programs: `schemas/workflow.schema.json` is this, written out.
//!
//! It is built by hand and not from the types: what a person may write (a number or a map, `true` or a path) is wider than what
//! it becomes, and an editor's texts want to be written for it. A test compares its keys with those that are decoded. Whatever
//! may hold a template may be a string here, whatever else it is.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::{duration::Period, keys};

/// Returns the schema of a workflow file (JSON Schema 2020-12).
#[must_use]
pub fn workflow_schema() -> Value {
    let mut whole = Map::new();
    whole.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    whole.insert("title".to_owned(), json!("Dagwood workflow"));
    if let Value::Object(mut schema) = map("A Dagwood workflow.", workflow()) {
        whole.append(&mut schema);
    }
    whole.insert("required".to_owned(), json!(["steps"]));
    whole.insert("$defs".to_owned(), definitions());
    Value::Object(whole)
}

fn definitions() -> Value {
    json!({
        "duration": duration(),
        "name": { "type": "string", "pattern": NAME },
        "input": input(),
        "step": step(),
        "steps": {
            "type": "object",
            "description": "Steps by their ids.",
            "patternProperties": { "^x-": true, NAME: { "$ref": "#/$defs/step" } },
            "additionalProperties": false,
        },
        "retry": map("Further attempts after a failure.", vec![
            ("attempts", described(json!({ "type": "integer", "minimum": 1, "default": 1 }), "Most submits of a job.")),
            ("on", described(some_of(&["job_failed", "timeout", "expectation_failed", "server_error", "network"]), "Which failures make another attempt; the last two are for `http`.")),
            ("backoff", map("How long to wait between attempts.", vec![
                ("initial", described(period(), "The first wait.")),
                ("factor", described(json!({ "type": "number", "minimum": 1 }), "By how much each wait is longer than the one before.")),
                ("max", described(period(), "The longest wait.")),
            ])),
        ]),
        "cache": {
            "description": "Whether the result of an earlier equal submit is reused.",
            "default": false,
            "anyOf": [
                { "type": "boolean" },
                map("Reuse, with bounds.", vec![
                    ("ttl", described(period(), "How old a result may be.")),
                    ("key", described(text(), "A template that replaces the key.")),
                ]),
            ],
        },
        "on_error": described(one_of(&["fail", "continue"], "fail"), "`continue`: a failure counts as handled."),
        "labels": labels(),
        "estimate": map("A hint where the contract has none.", vec![
            ("credits", described(json!({ "type": "number", "minimum": 0 }), "Credits of one job.")),
            ("seconds", described(json!({ "type": "number", "minimum": 0 }), "Seconds that one job takes.")),
        ]),
        "http": http(),
    })
}

const NAME: &str = "^[A-Za-z_][A-Za-z0-9_]*$";

#[expect(clippy::too_many_lines, reason = "a table, one entry a key")]
fn workflow() -> Vec<(&'static str, Value)> {
    vec![
        ("version", described(json!({ "const": 1, "default": 1 }), "The version of the language.")),
        ("name", described(name(), "Shown everywhere; the file's stem unless it is given.")),
        ("description", described(text(), "For people.")),
        ("labels", reference("labels", "For people, and for filtering runs.")),
        (
            "inputs",
            json!({
                "type": "object",
                "description": "The parameters of a run.",
                "default": {},
                "patternProperties": { "^x-": true, NAME: { "$ref": "#/$defs/input" } },
                "additionalProperties": false,
            }),
        ),
        (
            "secrets",
            json!({
                "type": "array",
                "description": "Environment variables that templates may read as `secrets.NAME`; nothing else of the environment is visible.",
                "default": [],
                "items": { "$ref": "#/$defs/name" },
                "uniqueItems": true,
            }),
        ),
        ("vars", described(free(), "Named values; may use `inputs` and earlier `vars`.")),
        (
            "defaults",
            map(
                "Defaults of every step; a step's own key wins.",
                vec![
                    ("provider", described(name(), "Alias of a provider.")),
                    ("timeout", described(period(), "Bound on one attempt.")),
                    ("poll", described(period(), "How often to look at a job.")),
                    ("retry", reference("retry", "Further attempts after a failure.")),
                    ("cache", reference("cache", "Whether earlier results are reused.")),
                    ("on_error", reference("on_error", "Whether failures count as handled.")),
                ],
            ),
        ),
        (
            "concurrency",
            json!({
                "description": "Most jobs in flight, or a map with a lock across runs.",
                "default": 16,
                "anyOf": [
                    { "type": "integer", "minimum": 1 },
                    dependent(map("With a lock across runs.", vec![
                        ("steps", described(json!({ "type": "integer", "minimum": 1, "default": 16 }), "Most jobs in flight.")),
                        ("group", described(name(), "A template that names a lock across runs on the same state; without it there is none.")),
                        ("on_conflict", described(one_of(&["queue", "skip", "cancel_running", "fail"], "queue"), "What a run does that finds its group held.")),
                    ]), "on_conflict", "group"),
                ],
            }),
        ),
        (
            "budget",
            budget(
                "Most that a run may spend. Costs are reserved before a submit; one that would pass the budget is not sent.",
            ),
        ),
        ("timeout", described(period(), "Bound on the whole run but `finally`.")),
        (
            "failure_policy",
            described(
                one_of(&["drain", "continue", "cancel"], "drain"),
                "After a failure. `drain`: no further step starts, but what has started goes on. `continue`: every branch that can goes on. `cancel`: what runs is cancelled.",
            ),
        ),
        (
            "steps",
            json!({ "$ref": "#/$defs/steps", "minProperties": 1, "description": "Steps by their ids. Their order is for the reader: the graph comes from the references." }),
        ),
        (
            "finally",
            json!({ "$ref": "#/$defs/steps", "default": {}, "description": "Steps that run after everything else, whatever happened." }),
        ),
        ("outputs", described(free(), "The run's result: templates by name.")),
        (
            "schedule",
            json!({
                "type": "array",
                "description": "When `dagwood serve` and `dagwood cron` start it.",
                "default": [],
                "items": required(map("A schedule.", vec![
                    ("cron", described(name(), "A cron expression.")),
                    ("timezone", described(name(), "An IANA time zone.")),
                    ("inputs", described(free(), "Inputs of the run.")),
                    ("catch_up", described(one_of(&["none", "last", "all"], "none"), "What happens to starts that were missed.")),
                    ("jitter", described(period(), "Most by which a start is put off.")),
                ]), &["cron"]),
            }),
        ),
        (
            "notify",
            json!({
                "type": "array",
                "description": "Who is told at the end of a run, by a POST.",
                "default": [],
                "items": required(map("A notification.", vec![
                    ("on", described(some_of(&["succeeded", "failed", "cancelled"]), "After which ends; all of them unless given.")),
                    ("url", described(name(), "Where to POST to; a template.")),
                    ("format", described(one_of(&["json", "slack"], "json"), "The form of the body.")),
                ]), &["url"]),
            }),
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table, one entry a key")]
fn step() -> Value {
    let properties = vec![
        ("model", described(name(), "Runs a model, by its id.")),
        ("app", described(name(), "Runs an app, by its name or id.")),
        ("agent", described(name(), "Runs an agent, by its name or id.")),
        ("pipeline", described(name(), "Runs a pipeline, by its id.")),
        ("workflow", described(name(), "Runs another workflow file, relative to this one.")),
        ("set", described(free(), "Calls nothing: the rendered map is the output.")),
        ("http", reference("http", "Makes one HTTP request; the output is `{status, headers, body}`.")),
        ("provider", described(name(), "Alias of a provider; needed where several have the verb.")),
        (
            "inputs",
            described(
                free(),
                "What the target gets, templated, and checked against its contract before anything runs.",
            ),
        ),
        ("mode", described(text(), "AIMP: the operation.")),
        ("scope", described(text(), "AIMP: the scope.")),
        ("params", described(free(), "AIMP: parameters.")),
        ("options", described(free(), "AIMP: execution options.")),
        (
            "needs",
            json!({
                "type": "array",
                "description": "Steps to wait for, beyond those that the templates mention.",
                "default": [],
                "items": { "$ref": "#/$defs/name" },
                "uniqueItems": true,
            }),
        ),
        (
            "when",
            described(
                json!({ "type": ["string", "boolean"], "minLength": 1, "default": true }),
                "An expression; when it is false the step is skipped.",
            ),
        ),
        (
            "trigger",
            described(
                one_of(&["all_succeeded", "all_done", "any_succeeded"], "all_succeeded"),
                "What must hold of the needed steps; otherwise the step is skipped.",
            ),
        ),
        (
            "foreach",
            described(
                json!({ "type": ["string", "array", "object"] }),
                "A list or map, or an expression that gives one: one job per item.",
            ),
        ),
        (
            "matrix",
            json!({
                "type": "object",
                "description": "Lists by name: one job for each combination, `item.NAME`.",
                "patternProperties": { "^x-": true },
                "additionalProperties": { "type": "array" },
            }),
        ),
        ("max_parallel", described(json!({ "type": "integer", "minimum": 1 }), "Most items of this step in flight.")),
        ("timeout", {
            let mut value = described(period(), "Bound on one attempt, from its submit until it is done.");
            value["default"] = json!("30m");
            value
        }),
        ("poll", described(period(), "How often to look at the job; adaptive unless given.")),
        ("retry", reference("retry", "Further attempts after a failure.")),
        (
            "fallback",
            json!({
                "type": "array",
                "description": "Partial steps, tried in order when the step has failed for good.",
                "default": [],
                "items": map("A partial step.", vec![
                    ("model", described(name(), "Another model.")),
                    ("app", described(name(), "Another app.")),
                    ("agent", described(name(), "Another agent.")),
                    ("pipeline", described(name(), "Another pipeline.")),
                    ("workflow", described(name(), "Another workflow.")),
                    ("set", described(free(), "A fixed output.")),
                    ("http", reference("http", "A request.")),
                    ("provider", described(name(), "Another provider.")),
                    ("inputs", described(free(), "Other inputs.")),
                    ("params", described(free(), "Other parameters.")),
                ]),
            }),
        ),
        ("on_error", reference("on_error", "Whether a failure counts as handled.")),
        ("cache", reference("cache", "Whether the result of an earlier equal submit is reused.")),
        (
            "save",
            described(
                json!({ "type": ["boolean", "string"], "minLength": 1, "default": false }),
                "Where the media that come out are written: a path template below the run's artifacts, or `true` for `STEP/N.EXT`.",
            ),
        ),
        (
            "expect",
            json!({
                "description": "What must hold of the result, or the step fails.",
                "anyOf": [
                    { "type": "string" },
                    { "type": "array", "items": { "type": "string" } },
                    required(map("A schema of the output.", vec![("schema", json!({ "type": ["object", "boolean"], "description": "A JSON Schema." }))]), &["schema"]),
                ],
            }),
        ),
        ("estimate", reference("estimate", "A hint where the contract has none.")),
        ("description", described(text(), "For people.")),
        ("labels", reference("labels", "For people.")),
    ];
    let mut step = map("One step: exactly one verb, and what goes with it.", properties);
    step["oneOf"] = keys::VERBS.iter().map(|verb| json!({ "required": [verb] })).collect();
    step
}

fn input() -> Value {
    let mut input = map(
        "A parameter of a run: a JSON Schema fragment, and a few keys more.",
        vec![
            (
                "type",
                json!({
                    "description": "The type; `file` is a local path or an http(s) URL.",
                    "anyOf": [
                        { "enum": ["string", "number", "integer", "boolean", "array", "object", "null", "file"] },
                        { "type": "array", "items": { "enum": ["string", "number", "integer", "boolean", "array", "object", "null"] }, "uniqueItems": true },
                    ],
                }),
            ),
            ("description", described(text(), "For people.")),
            (
                "default",
                json!({ "description": "Used when the caller gives none. Without `default` and `optional` the input is required." }),
            ),
            (
                "optional",
                described(json!({ "type": "boolean", "default": false }), "May be absent, and is `null` then."),
            ),
            (
                "secret",
                described(
                    json!({ "type": "boolean", "default": false }),
                    "The value is redacted and never written down.",
                ),
            ),
            (
                "media",
                described(
                    json!({ "enum": ["image", "video", "audio", "text", "any"] }),
                    "With `type: file`: what is in the file.",
                ),
            ),
        ],
    );
    for word in keys::SCHEMA_WORDS {
        input["properties"][*word] = schema_word(word);
    }
    input
}

fn schema_word(word: &str) -> Value {
    match word {
        "enum" | "examples" | "prefixItems" | "allOf" | "anyOf" | "oneOf" => json!({ "type": "array", "minItems": 1 }),
        "required" => json!({ "type": "array", "items": { "type": "string" } }),
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => json!({ "type": "number" }),
        "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" | "minContains"
        | "maxContains" => {
            json!({ "type": "integer", "minimum": 0 })
        }
        "pattern" | "format" | "title" | "$ref" | "$comment" | "$schema" | "$id" => json!({ "type": "string" }),
        "uniqueItems" | "deprecated" | "readOnly" | "writeOnly" => json!({ "type": "boolean" }),
        "items" | "contains" | "additionalProperties" | "propertyNames" | "not" | "if" | "then" | "else" => {
            json!({ "type": ["object", "boolean"] })
        }
        "properties" | "patternProperties" | "$defs" | "dependentSchemas" | "dependentRequired" => {
            json!({ "type": "object" })
        }
        _ => json!(true),
    }
}

fn http() -> Value {
    let status = json!({ "type": "integer", "minimum": 100, "maximum": 599 });
    let http = map(
        "One HTTP request.",
        vec![
            (
                "method",
                described(one_of(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], "GET"), "The method."),
            ),
            ("url", described(name(), "Where to; with `provider` also a path of its API.")),
            ("headers", described(free(), "Headers.")),
            ("query", described(free(), "Parameters of the query.")),
            ("json", json!({ "description": "A body that is sent as JSON." })),
            ("body", json!({ "description": "A body that is sent as text." })),
            (
                "expect_status",
                json!({
                    "description": "Which answers are good; 2xx unless given.",
                    "anyOf": [status, { "type": "array", "items": status }],
                }),
            ),
        ],
    );
    required(http, &["url"])
}

/// A bound on what may be spent; that of an account in the project file is the same.
pub(crate) fn budget(description: &str) -> Value {
    let mut budget = map(
        description,
        vec![
            ("credits", described(json!({ "type": "number", "exclusiveMinimum": 0 }), "Most credits.")),
            ("tokens", described(json!({ "type": "integer", "minimum": 1 }), "Most tokens.")),
        ],
    );
    budget["anyOf"] = keys::BUDGET.iter().map(|key| json!({ "required": [key.name] })).collect();
    budget
}

fn labels() -> Value {
    json!({
        "type": "object",
        "default": {},
        "patternProperties": { "^x-": true },
        "additionalProperties": { "type": "string" },
    })
}

/// A map of the language: these keys, and free ones that start with `x-`.
fn map(description: &str, properties: Vec<(&str, Value)>) -> Value {
    let properties: Map<String, Value> = properties.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    json!({
        "type": "object",
        "description": description,
        "properties": properties,
        "patternProperties": { "^x-": true },
        "additionalProperties": false,
    })
}

fn required(mut schema: Value, keys: &[&str]) -> Value {
    schema["required"] = json!(keys);
    schema
}

/// `key` says nothing without `other`.
fn dependent(mut schema: Value, key: &str, other: &str) -> Value {
    schema["dependentRequired"] = json!({ key: [other] });
    schema
}

fn described(mut schema: Value, description: &str) -> Value {
    schema["description"] = json!(description);
    schema
}

fn reference(name: &str, description: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}"), "description": description })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn name() -> Value {
    json!({ "type": "string", "minLength": 1 })
}

fn free() -> Value {
    json!({ "type": "object", "default": {} })
}

fn period() -> Value {
    json!({ "$ref": "#/$defs/duration" })
}

/// The schema that the type of durations has itself.
fn duration() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    <Period as schemars::JsonSchema>::json_schema(&mut generator).to_value()
}

fn one_of(words: &[&str], default: &str) -> Value {
    json!({ "enum": words, "default": default })
}

fn some_of(words: &[&str]) -> Value {
    json!({ "type": "array", "items": { "enum": words }, "uniqueItems": true })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::keys::Key;

    #[test]
    fn the_schema_has_the_keys_that_are_decoded() {
        let schema = workflow_schema();
        for (pointer, known) in [
            ("", keys::WORKFLOW),
            ("/properties/defaults", keys::DEFAULTS),
            ("/properties/concurrency/anyOf/1", keys::CONCURRENCY),
            ("/properties/budget", keys::BUDGET),
            ("/properties/schedule/items", keys::SCHEDULE),
            ("/properties/notify/items", keys::NOTIFY),
            ("/$defs/step", keys::STEP),
            ("/$defs/step/properties/fallback/items", keys::FALLBACK),
            ("/$defs/step/properties/expect/anyOf/2", keys::EXPECT),
            ("/$defs/retry", keys::RETRY),
            ("/$defs/retry/properties/backoff", keys::BACKOFF),
            ("/$defs/cache/anyOf/1", keys::CACHE),
            ("/$defs/estimate", keys::ESTIMATE),
            ("/$defs/http", keys::HTTP),
        ] {
            let part = schema.pointer(pointer).expect(pointer);
            let found: Vec<&str> = part["properties"].as_object().expect(pointer).keys().map(String::as_str).collect();
            let known: Vec<&str> = known.iter().map(|Key { name, .. }| *name).collect();
            assert_eq!(found, known, "{pointer}");
            assert_eq!(part["additionalProperties"], json!(false), "{pointer}");
            assert_eq!(part["patternProperties"]["^x-"], json!(true), "{pointer}");
            for (key, value) in part["properties"].as_object().expect(pointer) {
                assert!(value["description"].is_string(), "{pointer}/{key} says nothing to an editor");
            }
        }
        let words: Vec<&str> =
            schema["$defs"]["input"]["properties"].as_object().expect("keys").keys().map(String::as_str).collect();
        let known: Vec<&str> =
            keys::INPUT.iter().map(|key| key.name).chain(keys::SCHEMA_WORDS.iter().copied()).collect();
        assert_eq!(words, known);
    }
}
