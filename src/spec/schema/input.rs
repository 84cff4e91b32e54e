//! The schema of an input.

use serde_json::{Value, json};

use super::{
    shape::{described, map, one_of, shown, text},
    words::{self, schema_word},
};
use crate::spec::keys;

pub(super) fn input() -> Value {
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
