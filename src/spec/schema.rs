//! The JSON Schema of the language, for editors and other programs: `schemas/workflow.schema.json` is this, written out.
//!
//! It is built by hand and not from the types: what a person may write (a number or a map, `true` or a path) is wider than what
//! it becomes, and an editor's texts want to be written for it. A test compares its keys with those that are decoded. Whatever
//! may hold a template may be a string here, whatever else it is.

mod words;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use self::words::schema_word;
use super::{duration::Period, keys};

/// Returns the schema of a workflow file (JSON Schema 2020-12).
#[must_use]
pub fn workflow_schema() -> Value {
    let mut whole = Map::new();
    whole.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    // No `title`: editors would show it above the text of every key.
    let about = "A Dagwood workflow: the inputs of a run, its steps, and what comes out. The graph comes from what the steps mention of each other.";
    if let Value::Object(mut schema) = map(about, workflow()) {
        whole.append(&mut schema);
    }
    whole.insert("required".to_owned(), json!(["steps"]));
    whole.insert("$defs".to_owned(), definitions());
    told(Value::Object(whole))
}

/// Makes a schema tell its defaults, in plain text and in Markdown.
pub(crate) fn told(mut schema: Value) -> Value {
    tell_defaults(&mut schema);
    mark_down(&mut schema);
    schema
}

/// Says in the text of a key what it is unless it is given: most editors show the text alone.
fn tell_defaults(schema: &mut Value) {
    match schema {
        Value::Object(entries) => {
            if let (Some(default), Some(Value::String(text))) = (entries.get("default"), entries.get("description"))
                && let Some(default) = in_words(default)
                && !text.contains("Default: ")
            {
                let text = json!(format!("{text} Default: `{default}`."));
                entries.insert("description".to_owned(), text);
            }
            entries.values_mut().for_each(tell_defaults);
        }
        Value::Array(items) => items.iter_mut().for_each(tell_defaults),
        _ => {}
    }
}

fn in_words(default: &Value) -> Option<String> {
    match default {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(default.to_string()),
        _ => None,
    }
}

/// Gives every description that has code in it to the editors that draw Markdown; others show the plain one.
fn mark_down(schema: &mut Value) {
    match schema {
        Value::Object(entries) => {
            if let Some(Value::String(text)) = entries.get("description").filter(|text| shows_code(text)) {
                let text = json!(text);
                entries.insert("markdownDescription".to_owned(), text);
            }
            if let Some(texts) = entries.get("enumDescriptions").cloned() {
                entries.insert("markdownEnumDescriptions".to_owned(), texts);
            }
            for (key, value) in entries {
                // Data, not schemas.
                if !["default", "examples", "enum", "const"].contains(&key.as_str()) || value.is_object() {
                    mark_down(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mark_down),
        _ => {}
    }
}

fn shows_code(text: &Value) -> bool {
    text.as_str().is_some_and(|text| text.contains('`'))
}

fn definitions() -> Value {
    json!({
        "name": { "type": "string", "pattern": NAME, "description": "A letter or `_`, then letters, digits and `_`." },
        "input": input(),
        "step": step(),
        "schema": words::schema(),
        "retry": retry(),
        "cache": cache(),
        "on_error": described(one_of(&[
            ("fail", "The failure is one of the run, too."),
            ("continue", "The failure counts as handled: what follows and the run see a success, `status` is `failed` and `output` is `null`."),
        ], Some("fail")), "What a failure of the step means for the run. `continue`: it counts as handled, and what follows goes on with an `output` of `null`."),
        "labels": labels(),
        "estimate": with_examples(map("What one job costs and takes, where the contract does not say. Budgets and plans count with it.", vec![
            ("credits", shown(json!({ "type": "number", "minimum": 0 }), "Credits of one job.", json!([200]))),
            ("seconds", shown(json!({ "type": "number", "minimum": 0 }), "Seconds that one job takes.", json!([40]))),
        ]), json!([{ "credits": 200, "seconds": 40 }])),
        "http": http(),
    })
}

/// A map of steps. It stands in each place as it is: of a reference with a bound beside it, editors lose the text.
fn steps(own: Value) -> Value {
    let mut steps = json!({
        "type": "object",
        "patternProperties": { "^x-": true, NAME: { "$ref": "#/$defs/step" } },
        "additionalProperties": false,
        "errorMessage": "Steps are a map, and an id is a letter or `_`, then letters, digits and `_`",
    });
    if let (Value::Object(steps), Value::Object(mut own)) = (&mut steps, own) {
        steps.append(&mut own);
    }
    steps
}

fn retry() -> Value {
    let failures = [
        ("job_failed", "The API says that the job has failed."),
        ("timeout", "The attempt took longer than `timeout`. The next one waits until the old job is over."),
        ("expectation_failed", "The result is not what `expect` wants."),
        ("server_error", "Of `http` steps: the answer was a 5xx."),
        ("network", "Of `http` steps: the connection was lost."),
    ];
    let backoff = map(
        "How long to wait between attempts.",
        vec![
            ("initial", with_default(shown(long(), "The first wait.", json!(["5s"])), "1s")),
            (
                "factor",
                shown(
                    json!({ "type": "number", "minimum": 1, "default": 2 }),
                    "By how much each wait is longer than the one before.",
                    json!([1.5]),
                ),
            ),
            ("max", with_default(shown(long(), "The longest wait.", json!(["2m"])), "1m")),
        ],
    );
    let about = "Further attempts after a failure, each a job of its own that may cost again. Lost connections, 5xx and 429 need none of this: they are dealt with inside an attempt, without a second job.";
    let retry = map(
        about,
        vec![
            (
                "attempts",
                shown(
                    with_default(count(), 1),
                    "Most submits of a job, the first included. 1: no further attempt.",
                    json!([3]),
                ),
            ),
            ("on", {
                let about = "Which failures make another attempt; `server_error` and `network` are for `http` steps. Without it all that the step can have do: `job_failed`, `timeout` and `expectation_failed`, of an `http` step all five.";
                let mut on = shown(some_of(&failures), about, json!([["job_failed", "timeout"]]));
                on["minItems"] = json!(1);
                with_default(on, json!(["job_failed", "timeout", "expectation_failed"]))
            }),
            ("backoff", with_examples(backoff, json!([{ "initial": "5s", "factor": 2, "max": "2m" }]))),
        ],
    );
    with_examples(retry, json!([{ "attempts": 3, "on": ["job_failed", "timeout"] }]))
}

fn cache() -> Value {
    let about = "Whether the result of an earlier equal submit is reused: same account, target, contract, inputs and contents of files. `true`, or a map with bounds.";
    json!({
        "description": about,
        "default": false,
        "examples": [true],
        "defaultSnippets": [snippet("{ ttl: 24h }", &json!({ "ttl": "24h" }))],
        "anyOf": [
            { "type": "boolean" },
            alternative(vec![
                ("ttl", shown(long(), "How old a result may be; without it any age is good.", json!(["24h"]))),
                ("key", shown(text(), "A template that takes the place of the inputs in the comparison: results of equal keys are equal.", json!(["{{ inputs.sku }}"]))),
            ]),
        ],
    })
}

const NAME: &str = "^[A-Za-z_][A-Za-z0-9_]*$";

#[expect(clippy::too_many_lines, reason = "a table, one entry a key")]
fn workflow() -> Vec<(&'static str, Value)> {
    vec![
        (
            "version",
            shown(
                json!({ "const": 1, "default": 1 }),
                "The version of the language. There is one so far: 1.",
                json!([1]),
            ),
        ),
        (
            "name",
            shown(
                name(),
                "What the workflow is called in lists, logs and reports. Default: the file's name without `.yaml`.",
                json!(["product-launch"]),
            ),
        ),
        (
            "description",
            shown(text(), "What the workflow is for, for people.", json!(["A sketch becomes a render and a clip."])),
        ),
        (
            "labels",
            reference("labels", "Words of your own, by which `dagwood runs --label NAME=VALUE` finds its runs."),
        ),
        (
            "inputs",
            json!({
                "type": "object",
                "description": "The parameters of a run, by name: each a JSON Schema fragment with a few keys more. Templates read them as `inputs.NAME`.",
                "default": {},
                "examples": [{ "sketch": { "type": "file", "media": "image" }, "count": { "type": "integer", "default": 3 } }],
                "patternProperties": { "^x-": true, NAME: { "$ref": "#/$defs/input" } },
                "additionalProperties": false,
                "errorMessage": "Inputs are a map, and a name is a letter or `_`, then letters, digits and `_`",
            }),
        ),
        (
            "secrets",
            json!({
                "type": "array",
                "description": "Environment variables that templates may read as `secrets.NAME`; nothing else of the environment is visible. Their values are never shown or stored.",
                "default": [],
                "examples": [["WEBHOOK_TOKEN"]],
                "items": { "$ref": "#/$defs/name" },
                "uniqueItems": true,
            }),
        ),
        (
            "vars",
            shown(
                free(),
                "Named values, read as `vars.NAME`. They may use `inputs` and the vars above them.",
                json!([{ "look": "{{ inputs.product }}, studio light" }]),
            ),
        ),
        (
            "defaults",
            shown(
                map(
                    "What holds for every step that does not say otherwise.",
                    vec![
                        (
                            "provider",
                            shown(
                                name(),
                                "Alias of a provider, for the steps that have a verb of it.",
                                json!(["armox", "airmy", "aimp"]),
                            ),
                        ),
                        (
                            "timeout",
                            with_default(
                                shown(
                                    long(),
                                    "Bound on one attempt, from its submit until it is done.",
                                    json!(["15m"]),
                                ),
                                "30m",
                            ),
                        ),
                        (
                            "poll",
                            shown(
                                long(),
                                "How often to look at a job. Default: adaptive, up to every 10 to 15 s.",
                                json!(["5s"]),
                            ),
                        ),
                        ("retry", reference("retry", "Further attempts after a failure, each a job of its own.")),
                        (
                            "cache",
                            with_default(
                                reference("cache", "Whether results of earlier equal submits are reused."),
                                false,
                            ),
                        ),
                        (
                            "on_error",
                            with_default(
                                reference("on_error", "Whether failures count as handled: `fail` or `continue`."),
                                "fail",
                            ),
                        ),
                    ],
                ),
                "What holds for every step that does not say otherwise: `provider`, `timeout`, `poll`, `retry`, `cache`, `on_error`.",
                json!([{ "provider": "armox", "timeout": "15m" }]),
            ),
        ),
        (
            "concurrency",
            json!({
                "description": "Most jobs in flight; or a map, which may name a lock that runs share.",
                "default": 16,
                "examples": [4],
                "defaultSnippets": [snippet("{ steps: 8, group: nightly, … }", &json!({ "steps": 8, "group": "nightly", "on_conflict": "skip" }))],
                "anyOf": [
                    count(),
                    dependent(alternative(vec![
                        ("steps", shown(with_default(count(), 16), "Most jobs in flight.", json!([4]))),
                        ("group", shown(name(), "A template that names a lock: of the runs in one state folder, one at a time holds it. Default: no lock.", json!(["nightly", "{{ inputs.client }}"]))),
                        ("on_conflict", described(one_of(&[
                            ("queue", "It waits until the other run is over."),
                            ("skip", "It does not start; exit code 6."),
                            ("cancel_running", "It cancels the other run, then starts."),
                            ("fail", "It does not start, and fails; exit code 6."),
                        ], Some("queue")), "What a run does when another one holds its `group`.")),
                    ]), "on_conflict", "group"),
                ],
            }),
        ),
        (
            "budget",
            with_examples(
                budget(
                    "The most that a run may spend. What a job costs is set aside before it is sent; one that would pass the budget is not sent, and its step fails with `budget_exceeded`. Default: no bound.",
                ),
                json!([{ "credits": 500 }]),
            ),
        ),
        (
            "timeout",
            shown(
                long(),
                "Bound on the whole run but `finally`. Past it the run fails, running jobs are cancelled, and `finally` runs. Default: none.",
                json!(["2h"]),
            ),
        ),
        (
            "failure_policy",
            described(
                one_of(
                    &[
                        (
                            "drain",
                            "No further step starts, but what has started goes on, and so does what asks for it by `trigger`.",
                        ),
                        ("continue", "Every branch that does not need the failed step goes on."),
                        ("cancel", "What runs is cancelled at once."),
                    ],
                    Some("drain"),
                ),
                "What happens to the rest of the run after a step has failed.",
            ),
        ),
        (
            "steps",
            shown(
                steps(json!({ "minProperties": 1 })),
                "The steps by their ids, at least one. Their order is for the reader: a step waits for those that its templates mention.",
                json!([{ "render": { "model": "google/nano-banana", "inputs": { "prompt": "A house by the sea" } } }]),
            ),
        ),
        (
            "finally",
            shown(
                steps(json!({ "default": {} })),
                "Steps that run after everything else, whatever happened, a first Ctrl-C included. They may read `run.status`, `run.failed_steps` and all steps.",
                json!([{ "tell": { "http": { "method": "POST", "url": "https://example.com/done", "json": { "status": "{{ run.status }}" } } } }]),
            ),
        ),
        (
            "outputs",
            shown(
                free(),
                "What the run gives when it succeeds: templates by name.",
                json!([{ "picture": "{{ steps.render.image }}" }]),
            ),
        ),
        (
            "schedule",
            json!({
                "type": "array",
                "description": "When the workflow is to start by itself. It is read and checked; what starts runs by it comes with a later release: until then a scheduler of your own calls `dagwood run`.",
                "default": [],
                "examples": [[{ "cron": "0 6 * * 1-5", "timezone": "Europe/Lisbon" }]],
                "items": required(map("One schedule: when, and with which inputs.", vec![
                    ("cron", shown(name(), "Five fields: minute, hour, day of the month, month, day of the week.", json!(["0 6 * * 1-5"]))),
                    ("timezone", with_default(shown(name(), "The IANA time zone that `cron` is read in.", json!(["Europe/Lisbon"])), "UTC")),
                    ("inputs", shown(free(), "The inputs of the run.", json!([{ "day": "today" }]))),
                    ("catch_up", described(one_of(&[
                        ("none", "Missed starts are left out."),
                        ("last", "The last of them is made up for."),
                        ("all", "Each of them is made up for."),
                    ], Some("none")), "What happens to starts that were missed, because the machine was off.")),
                    ("jitter", shown(period(), "The most by which a start is put off, so that not everything starts on the hour. Default: nothing.", json!(["5m"]))),
                ]), &["cron"]),
            }),
        ),
        (
            "notify",
            json!({
                "type": "array",
                "description": "Who is told at the end of a run, by a POST.",
                "default": [],
                "examples": [[{ "on": ["failed"], "url": "{{ secrets.SLACK_URL }}", "format": "slack" }]],
                "items": required(map("One notification: after which ends, where to, in which form.", vec![
                    ("on", {
                        let ends = [("succeeded", "Everything went well."), ("failed", "A step has failed."), ("cancelled", "The run was called off.")];
                        let mut on = shown(some_of(&ends), "After which ends of a run; all three unless given.", json!([["failed", "cancelled"]]));
                        on["default"] = json!(["succeeded", "failed", "cancelled"]);
                        on
                    }),
                    ("url", shown(name(), "Where to POST to; a template, which may read `secrets`.", json!(["{{ secrets.SLACK_URL }}"]))),
                    ("format", described(one_of(&[("json", "The run as JSON."), ("slack", "A message as Slack's webhooks take it.")], Some("json")), "The form of the body.")),
                ]), &["url"]),
            }),
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table, one entry a key")]
fn step() -> Value {
    let properties = vec![
        (
            "model",
            shown(
                name(),
                "Runs a model of Armox or AIMP, by its id. `dagwood models` lists them.",
                json!(["google/nano-banana"]),
            ),
        ),
        (
            "app",
            shown(
                name(),
                "Runs an app of Armox, by its name or id. `dagwood apps` lists them.",
                json!(["Sketch to Render"]),
            ),
        ),
        (
            "agent",
            shown(
                name(),
                "Runs an agent of AIRMY, by its name or id. `dagwood agents` lists them.",
                json!(["Analyst", "ag_01HXYZ"]),
            ),
        ),
        ("pipeline", shown(name(), "Runs a pipeline of AIRMY, by its id.", json!(["pl_01HXYZ"]))),
        (
            "workflow",
            shown(
                name(),
                "Runs another workflow file, by its path from this one; its `outputs` are this step's `output`.",
                json!(["parts/resize.yaml"]),
            ),
        ),
        (
            "set",
            shown(
                free(),
                "Calls nothing and costs nothing: the rendered map is the step's `output`.",
                json!([{ "title": "{{ inputs.product | upper }}" }]),
            ),
        ),
        ("http", reference("http", "Makes one HTTP request; the step's `output` is `{status, headers, body}`.")),
        (
            "provider",
            shown(
                name(),
                "Alias of the provider that runs it. Default: `defaults.provider`, else the only account that has the verb.",
                json!(["armox", "airmy", "aimp"]),
            ),
        ),
        (
            "inputs",
            shown(
                free(),
                "What the target gets, templated, and checked against its contract before anything runs. `dagwood models NAME` shows what it takes.",
                json!([{ "prompt": "{{ inputs.subject }} at dusk", "aspect_ratio": "16:9" }]),
            ),
        ),
        (
            "mode",
            with_default(
                shown(text(), "Of models of AIMP: which operation is run.", json!(["search", "index"])),
                "execute",
            ),
        ),
        (
            "scope",
            shown(
                text(),
                "Of models of AIMP: the data set of a vector operation. What was indexed under a scope is found only under it.",
                json!(["our-house"]),
            ),
        ),
        ("params", shown(free(), "Of models of AIMP: parameters of the operation.", json!([{ "temperature": 0.7 }]))),
        ("options", shown(free(), "Of models of AIMP: options of the execution.", json!([{ "priority": "low" }]))),
        (
            "needs",
            json!({
                "type": "array",
                "description": "Steps to wait for, beyond those that the templates mention.",
                "default": [],
                "examples": [["render"]],
                "items": { "$ref": "#/$defs/name" },
                "uniqueItems": true,
            }),
        ),
        (
            "when",
            shown(
                json!({ "type": ["string", "boolean"], "minLength": 1, "default": true }),
                "An expression, without `{{ }}`; when it is false the step is skipped, and so is what needs it. With `foreach` it is judged per item where it mentions `item` or `index`.",
                json!(["inputs.aspect != '1:1'"]),
            ),
        ),
        (
            "trigger",
            described(
                one_of(
                    &[
                        ("all_succeeded", "Every needed step has succeeded."),
                        ("all_done", "Every needed step is over, however it ended."),
                        ("any_succeeded", "All are over, and at least one has succeeded."),
                    ],
                    Some("all_succeeded"),
                ),
                "What must hold of the needed steps; otherwise the step is skipped.",
            ),
        ),
        (
            "foreach",
            shown(
                json!({ "type": ["string", "array", "object"] }),
                "One job per item of a list or a map, or of an expression (without `{{ }}`) that gives one. Templates of the step read `item` and `index`; of a map, `item.key` and `item.value`.",
                json!(["inputs.formats", ["1:1", "16:9"]]),
            ),
        ),
        (
            "matrix",
            json!({
                "type": "object",
                "description": "Lists by name, or expressions that give them: one job for each combination, which reads them as `item.NAME`.",
                "examples": [{ "style": ["film", "anime"], "aspect": ["1:1", "16:9"] }],
                "minProperties": 1,
                "patternProperties": { "^x-": true },
                // A plain word is no expression that could give a list.
                "additionalProperties": { "type": ["array", "string"], "pattern": "\\{\\{|[.(]" },
            }),
        ),
        (
            "max_parallel",
            shown(count(), "Most items of this step in flight. Default: as many as `concurrency` lets.", json!([4])),
        ),
        (
            "timeout",
            with_default(
                shown(
                    long(),
                    "Bound on one attempt, from its submit until it is done; waits for a slot or a rate before it do not count. Past it the job is cancelled, and the step fails with `timeout`.",
                    json!(["15m"]),
                ),
                "30m",
            ),
        ),
        (
            "poll",
            shown(long(), "How often to look at the job. Default: adaptive, up to every 10 to 15 s.", json!(["5s"])),
        ),
        (
            "retry",
            reference(
                "retry",
                "Further attempts after a failure, each a job of its own that may cost again. Default: none.",
            ),
        ),
        (
            "fallback",
            json!({
                "type": "array",
                "description": "What to try when the step has failed for good: partial steps, in order. What one of them does not say is as in the step.",
                "default": [],
                "examples": [[{ "model": "bytedance/seedream-4" }]],
                "items": one_verb(map("A partial step: what it does otherwise.", vec![
                    ("model", shown(name(), "Another model.", json!(["bytedance/seedream-4"]))),
                    ("app", shown(name(), "Another app.", json!(["Moodboard Mixer"]))),
                    ("agent", shown(name(), "Another agent.", json!(["Summariser"]))),
                    ("pipeline", shown(name(), "Another pipeline.", json!(["pl_02DIGEST"]))),
                    ("workflow", shown(name(), "Another workflow file.", json!(["parts/plain.yaml"]))),
                    ("set", shown(free(), "A fixed output, without a call.", json!([{ "result": "no caption" }]))),
                    ("http", reference("http", "A request instead.")),
                    ("provider", shown(name(), "Another provider.", json!(["airmy"]))),
                    ("inputs", shown(free(), "Other inputs: the whole map, not a part of it.", json!([{ "prompt": "A house by the sea" }]))),
                    ("params", shown(free(), "Of models of AIMP: other parameters.", json!([{ "temperature": 0.2 }]))),
                ]), "A fallback has at most one verb"),
            }),
        ),
        (
            "on_error",
            with_default(
                reference(
                    "on_error",
                    "What a failure of the step means for the run. `continue`: it counts as handled, and what follows goes on with an `output` of `null`.",
                ),
                "fail",
            ),
        ),
        (
            "cache",
            with_default(
                reference("cache", "Whether the result of an earlier equal submit is reused, which costs nothing."),
                false,
            ),
        ),
        (
            "save",
            shown(
                json!({ "type": ["boolean", "string"], "minLength": 1, "default": false }),
                "Where the media that come out are written: a path template below the run's folder of artifacts, or `true` for `STEP/N.EXT`. Texts are written as text.",
                json!([true, "views/dusk.{{ ext }}", "crops/{{ index }}-{{ n }}.{{ ext }}"]),
            ),
        ),
        (
            "expect",
            json!({
                "description": "What must hold of the result: an expression over its fields (without `{{ }}`), a list of them, or a schema of `output`. Where it does not, the step fails with `expectation_failed`.",
                "examples": ["images | length > 0", ["output.score >= 7", "text | length < 200"]],
                "defaultSnippets": [snippet("{ schema: … }", &json!({ "schema": { "type": "object", "required": ["title"] } }))],
                "anyOf": [
                    { "type": "string" },
                    several(&json!({ "type": "string" })),
                    required(alternative(vec![("schema", with_examples(reference("schema", "A JSON Schema that `output` must fit."), json!([{ "type": "object", "required": ["title"] }])))]), &["schema"]),
                ],
            }),
        ),
        (
            "estimate",
            reference(
                "estimate",
                "What one job costs and takes, where the contract does not say. Budgets and plans count with it.",
            ),
        ),
        ("description", shown(text(), "What the step is for, for people.", json!(["The hero picture, without text"]))),
        ("labels", reference("labels", "Words of your own about the step.")),
    ];
    let step = map(
        "One step: exactly one verb (`model`, `app`, `agent`, `pipeline`, `workflow`, `set` or `http`), and what goes with it.",
        properties,
    );
    let verbs = "A step has exactly one verb: `model`, `app`, `agent`, `pipeline`, `workflow`, `set` or `http`";
    let mut step = one_verb(some_key(step, &keys::VERBS, verbs), verbs);
    step["dependentSchemas"]["foreach"] =
        json!({ "properties": { "matrix": false }, "errorMessage": "A step has either `foreach` or `matrix`" });
    let fans_out = "`max_parallel` goes with `foreach` or `matrix`";
    step["dependentSchemas"]["max_parallel"] = some_key(json!({}), &["foreach", "matrix"], fans_out);
    step
}

/// No second verb beside one, said so that an editor's message is a sentence about it.
fn one_verb(mut step: Value, message: &str) -> Value {
    let alone = |verb: &str| {
        let others = keys::VERBS.iter().filter(|other| **other != verb);
        let others: Map<String, Value> = others.map(|other| ((*other).to_owned(), json!(false))).collect();
        (verb.to_owned(), json!({ "properties": others, "errorMessage": message }))
    };
    step["dependentSchemas"] = Value::Object(keys::VERBS.iter().map(|verb| alone(verb)).collect());
    step
}

fn input() -> Value {
    let whole = [words::TYPES.as_slice(), &["file"]].concat();
    let types = words::types();
    let mut input = map(
        "A parameter of a run: a JSON Schema fragment, with `default`, `optional`, `secret` and `type: file` besides. It is required unless it has a `default` or is `optional`.",
        vec![
            (
                "type",
                json!({
                    "description": "The type of the value. `file` is a local path or an http(s) URL.",
                    "examples": ["string", "file", ["string", "integer"]],
                    "anyOf": [
                        { "type": "string", "enum": whole },
                        types,
                    ],
                }),
            ),
            (
                "description",
                shown(
                    text(),
                    "What the input is for; `dagwood init` and error messages show it.",
                    json!(["The designer's sketch"]),
                ),
            ),
            (
                "default",
                json!({
                    "description": "Used when the caller gives none. Without `default` and `optional` the input is required. The path of a file is relative to this file.",
                    "examples": ["16:9", 3, ["1:1", "16:9"]],
                }),
            ),
            (
                "optional",
                shown(
                    json!({ "type": "boolean", "default": false }),
                    "Whether it may be absent; it is `null` then.",
                    json!([true]),
                ),
            ),
            (
                "secret",
                shown(
                    json!({ "type": "boolean", "default": false }),
                    "Whether its value is a secret: never shown, never written down. `resume` asks for it again.",
                    json!([true]),
                ),
            ),
            (
                "media",
                described(
                    one_of(
                        &[
                            ("image", "A picture."),
                            ("video", "A video."),
                            ("audio", "A sound."),
                            ("text", "A text."),
                            ("any", "Anything."),
                        ],
                        None,
                    ),
                    "With `type: file`: what is in the file. Another kind is refused before the run.",
                ),
            ),
        ],
    );
    for word in keys::SCHEMA_WORDS {
        input["properties"][*word] = schema_word(word);
    }
    input["dependentSchemas"] = json!({
        "media": {
            "properties": { "type": { "const": "file" } },
            "required": ["type"],
            "errorMessage": "`media` goes with `type: file`",
        },
    });
    input
}

fn http() -> Value {
    let status = json!({ "type": "integer", "minimum": 100, "maximum": 599 });
    let about = "One HTTP request; the step's `output` is `{status, headers, body}`, the body parsed where it is JSON. GET, HEAD, PUT and DELETE are repeated after a lost connection; a lost POST or PATCH is `submit_unknown`.";
    let methods = [
        ("GET", "Reads."),
        ("HEAD", "Reads the headers alone."),
        ("POST", "Sends; never repeated after a lost answer."),
        ("PUT", "Puts in place."),
        ("PATCH", "Changes; never repeated after a lost answer."),
        ("DELETE", "Removes."),
        ("OPTIONS", "Asks what is allowed."),
    ];
    let http = map(
        about,
        vec![
            ("method", described(one_of(&methods, Some("GET")), "The method.")),
            (
                "url",
                shown(
                    name(),
                    "Where to: an http(s) URL. With `provider` also a path of its API, sent with its key and under its limits; the key goes to no other host.",
                    json!(["https://example.com/hook", "/deployments"]),
                ),
            ),
            ("headers", shown(free(), "Headers by name.", json!([{ "Authorization": "Bearer {{ secrets.TOKEN }}" }]))),
            (
                "query",
                shown(
                    free(),
                    "Parameters of the query by name; they are encoded.",
                    json!([{ "agent_id": "{{ inputs.agent }}" }]),
                ),
            ),
            (
                "json",
                json!({ "description": "A body that is sent as JSON. Either this or `body`.", "examples": [{ "text": "It is done" }] }),
            ),
            (
                "body",
                json!({ "description": "A body that is sent as text. Either this or `json`.", "examples": ["{{ steps.caption.text }}"] }),
            ),
            (
                "expect_status",
                json!({
                    "description": "Which statuses are good; another fails the step. Default: 200 to 299.",
                    "examples": [201, [200, 404]],
                    "anyOf": [status.clone(), several(&status)],
                }),
            ),
        ],
    );
    let example =
        json!({ "method": "POST", "url": "https://example.com/hook", "json": { "text": "{{ steps.caption.text }}" } });
    required(with_examples(http, json!([example])), &["url"])
}

/// A bound on what may be spent; that of an account in the project file is the same.
pub(crate) fn budget(description: &str) -> Value {
    let budget = map(
        description,
        vec![
            (
                "credits",
                shown(json!({ "type": "number", "exclusiveMinimum": 0 }), "Most credits, more than 0.", json!([500])),
            ),
            (
                "tokens",
                shown(
                    json!({ "type": "integer", "minimum": 1 }),
                    "Most tokens. They are known only afterwards: past the bound no further job is sent.",
                    json!([200_000]),
                ),
            ),
        ],
    );
    let bounds: Vec<&str> = keys::BUDGET.iter().map(|key| key.name).collect();
    some_key(budget, &bounds, "A budget bounds `credits`, `tokens`, or both")
}

fn labels() -> Value {
    json!({
        "type": "object",
        "default": {},
        "examples": [{ "team": "marketing" }],
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

/// A list that stands in for a single value. It has keys of its own, of which a list has none: the YAML language server takes forms without
/// title, text and keys for one and the same, and shows them all at once; a title it would show above the text of the key.
fn several(one: &Value) -> Value {
    json!({ "type": "array", "items": one, "properties": {} })
}

/// A map that an editor proposes to write. An example it would be as little able to show as to write.
fn snippet(label: &str, body: &Value) -> Value {
    json!({ "label": label, "body": body })
}

/// A map that stands in for a simpler value. It has no text: an editor would show it instead of the key's.
fn alternative(properties: Vec<(&str, Value)>) -> Value {
    let mut map = map("", properties);
    map.as_object_mut().expect("a map is an object").shift_remove("description");
    map
}

fn required(mut schema: Value, keys: &[&str]) -> Value {
    schema["required"] = json!(keys);
    schema
}

/// At least one of some keys is there. Said by a condition: of an `anyOf` an editor would show every alternative.
fn some_key(mut schema: Value, keys: &[&str], message: &str) -> Value {
    let none: Map<String, Value> = keys.iter().map(|key| ((*key).to_owned(), json!(false))).collect();
    schema["if"] = json!({ "properties": none });
    schema["then"] = json!({ "required": keys[..1], "errorMessage": message });
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

/// Describes a key and shows what may stand there.
fn shown(schema: Value, description: &str, examples: Value) -> Value {
    with_examples(described(schema, description), examples)
}

fn with_examples(mut schema: Value, examples: Value) -> Value {
    schema["examples"] = examples;
    schema
}

fn with_default(mut schema: Value, default: impl Into<Value>) -> Value {
    schema["default"] = default.into();
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

/// The schema that the type of durations has itself, in each place: an editor that follows a reference shows its text instead of the key's.
fn period() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut period = <Period as schemars::JsonSchema>::json_schema(&mut generator).to_value();
    period["errorMessage"] =
        json!("A duration is whole numbers with units, largest first: `250ms`, `10s`, `15m`, `1h30m`");
    period
}

/// A duration that is longer than nothing.
pub(crate) fn long() -> Value {
    let mut period = period();
    let pattern = period["pattern"].as_str().expect("a duration has a pattern").trim_start_matches('^');
    period["pattern"] = json!(format!("^(?=.*[1-9]){pattern}"));
    period["errorMessage"] = json!(
        "A duration longer than nothing is whole numbers with units, largest first: `250ms`, `10s`, `15m`, `1h30m`"
    );
    period
}

/// A number of things that may be as many as the reader can hold.
pub(crate) fn count() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX })
}

/// One of some words, each with what it means.
pub(crate) fn one_of(words: &[(&str, &str)], default: Option<&str>) -> Value {
    let (words, texts): (Vec<_>, Vec<_>) = words.iter().copied().unzip();
    let mut schema = json!({ "enum": words, "enumDescriptions": texts });
    if let Some(default) = default {
        schema["default"] = json!(default);
    }
    schema
}

/// Some of some words, each with what it means.
fn some_of(words: &[(&str, &str)]) -> Value {
    json!({ "type": "array", "items": one_of(words, None), "uniqueItems": true })
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
        let within = &schema["$defs"]["schema"];
        let words: Vec<&str> = within["properties"].as_object().expect("keys").keys().map(String::as_str).collect();
        let known: Vec<&str> = keys::WITHIN_SCHEMA.iter().chain(keys::SCHEMA_WORDS).copied().collect();
        assert_eq!(words, known);
        for word in keys::HOLD_A_SCHEMA {
            assert_eq!(within["properties"][*word]["$ref"], "#/$defs/schema", "{word}");
        }
        for word in keys::HOLD_SCHEMAS_BY_NAME {
            assert_eq!(within["properties"][*word]["additionalProperties"]["$ref"], "#/$defs/schema", "{word}");
        }
        for word in keys::HOLD_A_LIST_OF_SCHEMAS {
            assert_eq!(within["properties"][*word]["items"]["$ref"], "#/$defs/schema", "{word}");
        }
    }
}
