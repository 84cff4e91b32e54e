//! The schema of a step, and of its larger keys.

use serde_json::{Map, Value, json};

use super::shape::{
    alternative, count, described, free, long, map, name, one_of, reference, required, several, shown, snippet,
    some_key, some_of, text, with_default, with_examples,
};
use crate::spec::keys;

#[expect(clippy::too_many_lines, reason = "a table, one entry a key")]
pub(super) fn step() -> Value {
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
pub(super) fn one_verb(mut step: Value, message: &str) -> Value {
    let alone = |verb: &str| {
        let others = keys::VERBS.iter().filter(|other| **other != verb);
        let others: Map<String, Value> = others.map(|other| ((*other).to_owned(), json!(false))).collect();
        (verb.to_owned(), json!({ "properties": others, "errorMessage": message }))
    };
    step["dependentSchemas"] = Value::Object(keys::VERBS.iter().map(|verb| alone(verb)).collect());
    step
}

pub(super) fn retry() -> Value {
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

pub(super) fn cache() -> Value {
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

pub(super) fn http() -> Value {
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
