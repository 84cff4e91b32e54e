//! The schema of the uppermost keys.

use serde_json::{Value, json};

use super::{
    NAME,
    shape::{
        alternative, count, dependent, described, free, long, map, name, one_of, period, reference, required, shown,
        snippet, some_key, some_of, text, with_default, with_examples,
    },
    steps,
};
use crate::spec::keys;

#[expect(clippy::too_many_lines, reason = "a table, one entry a key")]
pub(super) fn workflow() -> Vec<(&'static str, Value)> {
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
