//! The JSON Schema of the project file, for editors: `schemas/project.schema.json` is this, written out. A test compares its keys with
//! those that are decoded.

use serde_json::{Map, Value, json};

use super::{Kind, keys};
use crate::spec::schema::{budget, count, long, one_of, told};

/// Returns the schema of a project file (JSON Schema 2020-12).
#[must_use]
pub fn project_schema() -> Value {
    // No `title`: editors would show it above the text of every key.
    let mut schema = map("A Dagwood project.", Kind::Armox, keys::PROJECT);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["$defs"] = json!({
        "account": any_account(),
        "name": { "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" },
        "armox": account(Kind::Armox),
        "airmy": account(Kind::Airmy),
        "aimp": account(Kind::Aimp),
    });
    told(schema)
}

/// A map with these keys, and free ones that start with `x-`.
fn map(description: &str, kind: Kind, keys: &[crate::spec::keys::Key]) -> Value {
    let properties: Map<String, Value> =
        keys.iter().map(|key| (key.name.to_owned(), property(key.name, kind))).collect();
    json!({
        "type": "object",
        "description": description,
        "properties": properties,
        "patternProperties": { "^x-": true },
        "additionalProperties": false,
    })
}

fn account(kind: Kind) -> Value {
    let description = match kind {
        Kind::Armox => "An account of Armox.",
        Kind::Airmy => "An account of AIRMY.",
        Kind::Aimp => "A workspace behind an AIMP gateway.",
    };
    map(description, kind, keys::of(kind))
}

fn of(kind: Kind) -> String {
    format!("#/$defs/{}", kind.word())
}

/// Returns an entry of `providers`: which keys it has is for `kind` to say.
fn any_account() -> Value {
    let by_kind = |kind: Kind| json!({ "if": { "properties": { "kind": { "const": kind.word() } }, "required": ["kind"] }, "then": { "$ref": of(kind) } });
    json!({
        "type": "object",
        "description": "A provider, by the alias that steps name it by.",
        "properties": { "kind": property("kind", Kind::Armox) },
        "required": ["kind"],
        "allOf": Kind::ALL.map(by_kind),
    })
}

/// Returns the entries of `providers`; the built-in names need no `kind`.
fn providers() -> Value {
    let built_in = |kind: Kind| {
        json!({
            "description": format!("The built-in provider `{}`; `null` takes it away.", kind.word()),
            "examples": [{ "max_jobs": 20 }],
            "anyOf": [{ "type": "null" }, { "$ref": "#/$defs/account" }, { "$ref": of(kind) }],
        })
    };
    let built_in: Map<String, Value> =
        Kind::ALL.into_iter().map(|kind| (kind.word().to_owned(), built_in(kind))).collect();
    json!({
        "type": "object",
        "properties": built_in,
        "patternProperties": { "^x-": true },
        "propertyNames": { "pattern": "^[A-Za-z][A-Za-z0-9_-]*$" },
        "additionalProperties": { "$ref": "#/$defs/account" },
    })
}

/// Returns what may stand under a key, for editors to propose.
fn example(key: &str, kind: Kind) -> Value {
    match key {
        "providers" => json!({ "studio": { "kind": "armox", "api_key": "{{ secrets.STUDIO_KEY }}" } }),
        "secrets" => json!(["STUDIO_KEY"]),
        "env_file" => json!(".env"),
        "state" => json!("/var/lib/dagwood"),
        "artifacts" => json!("s3://bucket/results"),
        "staging" => json!("s3://bucket/prefix"),
        "contracts" => json!({ "airmy/pl_01HXYZ": { "type": "object", "required": ["query"] } }),
        "kind" => json!(kind.word()),
        "api_key" => json!("{{ secrets.STUDIO_KEY }}"),
        "base_url" => json!(match kind {
            Kind::Armox => "https://eu.example.com/api/v1",
            Kind::Airmy => "https://eu.example.com/v2",
            Kind::Aimp => "https://gateway.example.com/api",
        }),
        "requests_per_minute" => json!(60),
        "burst" => json!(10),
        "max_jobs" => json!(20),
        "submit_timeout" => json!("5m"),
        "budget_per_day" => json!({ "credits": 2000 }),
        "settle" => json!("ask"),
        "settle_grace" => json!("20s"),
        "idempotency_header" => json!("X-Request-Id"),
        "input_wrapper" => json!("payload"),
        "poll_path" => json!("runs/{id}/status"),
        "output_path" => json!("result.output"),
        "safe_to_repeat" => json!(["image-captioner"]),
        "status_words" => json!({ "done": ["finished"] }),
        "done" => json!(["finished"]),
        "failed" => json!(["broken"]),
        "cancelled" => json!(["revoked"]),
        // What is left is a switch that is off.
        _ => json!(true),
    }
}

#[expect(clippy::too_many_lines, reason = "a table, one entry a key")]
fn property(key: &str, kind: Kind) -> Value {
    let at_least_one = count();
    let words = json!({ "type": "array", "items": { "type": "string" }, "uniqueItems": true });
    let name = json!({ "type": "string", "minLength": 1 });
    let (mut schema, description) = match key {
        "providers" => (
            providers(),
            "Accounts by alias, beside the built-in `armox`, `airmy` and `aimp`, which read the environment."
                .to_owned(),
        ),
        "secrets" => (
            json!({ "type": "array", "items": { "$ref": "#/$defs/name" }, "uniqueItems": true, "default": [] }),
            "Environment variables that `api_key` may read as `secrets.NAME`.".to_owned(),
        ),
        "env_file" => {
            (name, "A file of `NAME=VALUE` lines, relative to this one; the real environment wins.".to_owned())
        }
        "state" => (
            with_default(name, json!(".dagwood")),
            "The folder of journal and cache, relative to this file or absolute.".to_owned(),
        ),
        "artifacts" => (
            with_default(name, json!("artifacts")),
            "What `save` writes to: a folder, relative to this file or absolute, or an object store: `s3://BUCKET/PREFIX`, `gs://…`, `az://…`.".to_owned(),
        ),
        "staging" => (
            json!({ "type": "string", "pattern": "^(s3|gs|az)://[^/@]+(/|$)" }),
            "The store through which local files reach Armox and AIRMY, by presigned URLs: `s3://BUCKET/PREFIX`."
                .to_owned(),
        ),
        "contracts" => (
            json!({
                "type": "object",
                "patternProperties": { "^x-": true, "^[^/]+/.+": { "type": ["object", "boolean"] } },
                "additionalProperties": false,
                "default": {},
            }),
            "JSON Schemas over the inputs of targets, by `ALIAS/ID`; they win over what the API publishes.".to_owned(),
        ),
        "kind" => {
            let kinds = [("armox", "Models and apps."), ("airmy", "Agents and pipelines."), ("aimp", "Models of a gateway.")];
            (one_of(&kinds, None), "The system.".to_owned())
        }
        "api_key" => (
            json!({ "type": "string", "pattern": "\\{\\{.*\\bsecrets\\b.*\\}\\}" }),
            format!(
                "Where the key is: a template such as `{{{{ secrets.NAME }}}}`; unless given, `{}`.",
                kind.key_variable()
            ),
        ),
        "base_url" => (
            json!({ "type": "string", "pattern": "^https?://" }),
            format!("The API's base URL; unless given, `{}`, else the system's own.", kind.url_variable()),
        ),
        "allow_http" => (
            with_default(json!({ "type": "boolean" }), json!(false)),
            "Allows a plain `http` URL on another machine, where anybody on the way can read the key.".to_owned(),
        ),
        "requests_per_minute" => {
            (at_least_one, "The most requests a minute; what the API says of itself holds besides.".to_owned())
        }
        "burst" => (at_least_one, "The most requests at once when none was sent for a while.".to_owned()),
        "max_jobs" => (at_least_one, "The most jobs in flight.".to_owned()),
        "submit_timeout" => (
            long(),
            "How long a submit may take, a synchronous run included.".to_owned(),
        ),
        "budget_per_day" => (
            budget(""),
            "The most that runs on this project's state may spend through this account in one day, from midnight to midnight UTC.".to_owned(),
        ),
        "settle" => {
            let words = [("auto", "After the grace it was not accepted, and is sent again."), ("ask", "A person says.")];
            let about = "What becomes of a submit whose answer was lost and whose job no list shows.";
            (one_of(&words, Some("auto")), about.to_owned())
        }
        "settle_grace" => (
            with_default(long(), json!("10s")),
            "How long an accepted job may be missing from the list of recent ones.".to_owned(),
        ),
        "idempotency_header" => (
            json!({ "type": "string", "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]*$", "default": "Idempotency-Key" }),
            "The header of the idempotency key; an empty name sends none.".to_owned(),
        ),
        "input_wrapper" => {
            (with_default(name, json!("input")), "The key that a pipeline's input stands under.".to_owned())
        }
        "look_at_runs" => (
            with_default(json!({ "type": "boolean" }), json!(false)),
            "Whether a pipeline's runs are also looked for under `/runs/{id}`.".to_owned(),
        ),
        "poll_path" => (
            json!({ "type": "string", "pattern": "\\{id\\}" }),
            "The path at which a run that is not over is seen, below the base URL, or from the root where it begins with `/`.".to_owned(),
        ),
        "output_path" => (name, "Where the output stands in the answer: keys with dots between them.".to_owned()),
        "media_ref_object" => (
            with_default(json!({ "type": "boolean" }), json!(false)),
            "Whether a media reference is sent as `{\"media_ref\": …}`.".to_owned(),
        ),
        "safe_to_repeat" => (words, "Models whose runs may be sent again after a lost answer.".to_owned()),
        "status_words" => (map("", kind, keys::STATUS_WORDS), "Further words for how a run stands.".to_owned()),
        "done" => (words, "It is done.".to_owned()),
        "failed" => (words, "It has failed.".to_owned()),
        "cancelled" => (words, "It was called off.".to_owned()),
        other => unreachable!("`{other}` is a key of the project file without a schema"),
    };
    schema["description"] = json!(description);
    schema["examples"] = json!([example(key, kind)]);
    schema
}

fn with_default(mut schema: Value, default: Value) -> Value {
    schema["default"] = default;
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_the_keys_that_are_decoded() {
        let schema = project_schema();
        for (pointer, known) in [
            ("", keys::PROJECT),
            ("/$defs/armox", keys::ARMOX),
            ("/$defs/airmy", keys::AIRMY),
            ("/$defs/aimp", keys::AIMP),
            ("/$defs/aimp/properties/status_words", keys::STATUS_WORDS),
            ("/$defs/airmy/properties/budget_per_day", crate::spec::keys::BUDGET),
        ] {
            let part = schema.pointer(pointer).expect(pointer);
            let found: Vec<&str> = part["properties"].as_object().expect(pointer).keys().map(String::as_str).collect();
            assert_eq!(found, known.iter().map(|key| key.name).collect::<Vec<_>>(), "{pointer}");
            assert_eq!(part["additionalProperties"], json!(false), "{pointer}");
        }
    }
}
