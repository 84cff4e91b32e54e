//! The words of JSON Schema that the declaration of an input may use: what each may hold, what it says, an example.

use serde_json::{Value, json};

use super::shape::{described, map, reference, several, shown, text};
use crate::spec::keys;

/// The types of JSON Schema.
pub(super) const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "array", "object", "null"];

/// Several types.
pub(super) fn types() -> Value {
    let mut types = several(&json!({ "type": "string", "enum": TYPES }));
    types["uniqueItems"] = json!(true);
    types
}

/// A schema within the declaration of an input: the words of JSON Schema, at any depth.
pub(super) fn schema() -> Value {
    let own = |word: &str| match word {
        "type" => json!({
            "description": "The type of the value.",
            "examples": ["string", "integer"],
            "anyOf": [{ "type": "string", "enum": TYPES }, types()],
        }),
        "description" => shown(text(), "What the value is, for people.", json!(["The width in pixels"])),
        "default" => json!({
            "description": "What the value is where it is not given, for people: nothing puts it there.",
            "examples": [3],
        }),
        other => unreachable!("`{other}` is a word of a schema without a text"),
    };
    let words = keys::WITHIN_SCHEMA.iter().map(|word| (*word, own(word)));
    let words = words.chain(keys::SCHEMA_WORDS.iter().map(|word| (*word, schema_word(word))));
    let mut schema = map("A JSON Schema (2020-12).", words.collect());
    schema["type"] = json!(["object", "boolean"]);
    for word in schema["properties"].as_object_mut().into_iter().flat_map(|words| words.values_mut()) {
        // Editors write out every default in a map that they complete, and these would be noise in each.
        if let Some(default) = word.as_object_mut().and_then(|word| word.shift_remove("default")) {
            let says = word["description"].as_str().unwrap_or_default();
            word["description"] = json!(format!("{says} Default: `{default}`."));
        }
    }
    schema
}

/// Returns what a word of JSON Schema may hold in the declaration of an input, what it says, and an example.
#[expect(clippy::too_many_lines, reason = "a table, one entry a word")]
pub(super) fn schema_word(word: &str) -> Value {
    let list = || json!({ "type": "array", "minItems": 1 });
    let number = || json!({ "type": "number" });
    let count = || json!({ "type": "integer", "minimum": 0 });
    let boolean = || json!({ "type": "boolean", "default": false });
    let schema = || reference("schema", "");
    let schemas = || json!({ "type": "object", "additionalProperties": reference_alone() });
    let schema_list = || json!({ "type": "array", "minItems": 1, "items": reference_alone() });
    let any = || json!({});
    let (shape, says, example) = match word {
        "title" => (text(), "A short name, for people.", json!("Aspect ratio")),
        "examples" => (list(), "Some good values, for people.", json!(["1:1", "16:9"])),
        "enum" => (list(), "The values that are allowed.", json!(["auto", "1:1", "16:9"])),
        "const" => (any(), "The one value that is allowed.", json!("auto")),
        "minimum" => (number(), "The least number.", json!(1)),
        "maximum" => (number(), "The greatest number.", json!(10)),
        "exclusiveMinimum" => (number(), "A number that the value must be above.", json!(0)),
        "exclusiveMaximum" => (number(), "A number that the value must be below.", json!(1)),
        "multipleOf" => (
            json!({ "type": "number", "exclusiveMinimum": 0 }),
            "A number that the value must be a multiple of.",
            json!(8),
        ),
        "minLength" => (count(), "The least number of characters.", json!(1)),
        "maxLength" => (count(), "The greatest number of characters.", json!(280)),
        "pattern" => (text(), "A regular expression that the text must match somewhere.", json!("^[A-Z]{2}-[0-9]+$")),
        "format" => (text(), "What the text is: `uri`, `date`, `email` and so on.", json!("uri")),
        "items" => (schema(), "What each entry of the list must fit.", json!({ "type": "string" })),
        "prefixItems" => (
            schema_list(),
            "What the first entries of the list must fit, one after the other.",
            json!([{ "type": "string" }, { "type": "integer" }]),
        ),
        "contains" => (schema(), "What at least one entry of the list must fit.", json!({ "const": "1:1" })),
        "minContains" => (count(), "How many entries must fit `contains` at least; 1 unless given.", json!(2)),
        "maxContains" => (count(), "How many entries may fit `contains` at most.", json!(3)),
        "minItems" => (count(), "The least number of entries.", json!(1)),
        "maxItems" => (count(), "The greatest number of entries.", json!(20)),
        "uniqueItems" => (boolean(), "Whether every entry must be another.", json!(true)),
        "properties" => {
            (schemas(), "What the values of a map must fit, by key.", json!({ "width": { "type": "integer" } }))
        }
        "required" => (
            json!({ "type": "array", "items": { "type": "string" } }),
            "Keys that the map must have. Whether the input itself must be given is said by `default` and `optional`.",
            json!(["width"]),
        ),
        "additionalProperties" => {
            (schema(), "What the values of all other keys must fit; `false`: there are no others.", json!(false))
        }
        "patternProperties" => (
            schemas(),
            "What values must fit whose keys match a regular expression.",
            json!({ "^size_": { "type": "integer" } }),
        ),
        "propertyNames" => (schema(), "What every key of the map must fit.", json!({ "pattern": "^[a-z]+$" })),
        "minProperties" => (count(), "The least number of keys.", json!(1)),
        "maxProperties" => (count(), "The greatest number of keys.", json!(10)),
        "dependentRequired" => {
            let names = json!({ "type": "array", "items": { "type": "string" } });
            (
                json!({ "type": "object", "additionalProperties": names }),
                "Keys that must be there when another one is.",
                json!({ "width": ["height"] }),
            )
        }
        "dependentSchemas" => {
            (schemas(), "What the map must fit when a key is there.", json!({ "width": { "required": ["height"] } }))
        }
        "unevaluatedItems" => (schema(), "What entries must fit that nothing else speaks of.", json!(false)),
        "unevaluatedProperties" => (schema(), "What values must fit that nothing else speaks of.", json!(false)),
        "allOf" => {
            (schema_list(), "Schemas that the value must all fit.", json!([{ "minLength": 1 }, { "maxLength": 9 }]))
        }
        "anyOf" => (
            schema_list(),
            "Schemas of which the value must fit at least one.",
            json!([{ "type": "string" }, { "type": "integer" }]),
        ),
        "oneOf" => (
            schema_list(),
            "Schemas of which the value must fit exactly one.",
            json!([{ "type": "string" }, { "type": "integer" }]),
        ),
        "not" => (schema(), "What the value must not fit.", json!({ "const": "" })),
        "if" => (
            schema(),
            "A condition: where the value fits it, `then` holds, else `else`.",
            json!({ "properties": { "kind": { "const": "clip" } } }),
        ),
        "then" => (schema(), "What holds where the value fits `if`.", json!({ "required": ["seconds"] })),
        "else" => (schema(), "What holds where the value does not fit `if`.", json!({ "required": ["aspect"] })),
        "$defs" => (schemas(), "Schemas to refer to.", json!({ "size": { "type": "integer", "minimum": 1 } })),
        "$ref" => (text(), "A schema of `$defs` that the value must fit.", json!("#/$defs/size")),
        "$comment" => (text(), "A note that nothing reads.", json!("kept for old callers")),
        "$schema" => (
            text(),
            "The dialect of the schema: JSON Schema 2020-12.",
            json!("https://json-schema.org/draft/2020-12/schema"),
        ),
        "$id" => (text(), "A name of the schema that others refer to.", json!("https://example.com/size")),
        "$anchor" => (text(), "A name of this place that `$ref` may refer to.", json!("size")),
        "contentEncoding" => (text(), "How the text encodes bytes. It is not checked.", json!("base64")),
        "contentMediaType" => {
            (text(), "What the text is, as a media type. It is not checked.", json!("application/json"))
        }
        "deprecated" => (boolean(), "Whether callers should no longer give it. It is not checked.", json!(true)),
        "readOnly" => (boolean(), "A note that the value is only read, never given. It is not checked.", json!(true)),
        "writeOnly" => (boolean(), "A note that the value is only given, never shown. It is not checked.", json!(true)),
        other => unreachable!("`{other}` is a word of JSON Schema without a text"),
    };
    // Editors write an example out when the word is completed; of lists of maps they make nothing that could be read.
    if example.as_array().is_some_and(|items| items.iter().any(Value::is_object)) {
        return described(shape, &format!("{says} Example: `{example}`."));
    }
    shown(shape, says, json!([example]))
}

fn reference_alone() -> Value {
    json!({ "$ref": "#/$defs/schema" })
}
