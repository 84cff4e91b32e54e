//! The declarations of inputs: a JSON Schema fragment with a few keys of the language's own.
//!
//! Whether the fragment is a schema, and whether the default fits it, is the schema library's to say, later. Here the words are
//! known and of their kind, so that a misspelt `minimun` is not silently a schema without it; in the schemas within the fragment, too.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::{
    Decoder, describe,
    value::{Fields, list},
};
use crate::{
    diagnostic::{Code, Diagnostic, nearest},
    id::StepId,
    source::Pointer,
    spec::{
        keys,
        workflow::{Input, Media},
    },
};

const TYPES: [&str; 8] = ["string", "number", "integer", "boolean", "array", "object", "null", "file"];

const MEDIA: [(&str, Media); 5] = [
    ("image", Media::Image),
    ("video", Media::Video),
    ("audio", Media::Audio),
    ("text", Media::Text),
    ("any", Media::Any),
];

const NEEDED: &str = "an input is required unless it has `default` or `optional: true`";

impl Decoder<'_> {
    pub(super) fn inputs(&mut self, value: &Value, at: &Pointer) -> IndexMap<String, Input> {
        let mut inputs = IndexMap::new();
        for (name, value) in self.object(value, at).into_iter().flatten() {
            if name.starts_with("x-") {
                continue;
            }
            let at = at.join(name);
            if name.parse::<StepId>().is_err() {
                self.bad_name(name, self.map.key(&at), "the name of an input", None);
            }
            inputs.insert(name.clone(), self.input(value, &at));
        }
        inputs
    }

    fn input(&mut self, value: &Value, at: &Pointer) -> Input {
        let mut input = Input {
            schema: Map::new(),
            file: false,
            media: None,
            default: None,
            optional: false,
            secret: false,
            description: None,
        };
        let Value::Object(entries) = value else {
            let help = match value {
                Value::String(text) if TYPES.contains(&text.as_str()) => format!("write `{{ type: {text} }}`"),
                Value::Null => "write `{}` for an input of any type, or `{ type: string }`".to_owned(),
                _ => "write its type, and the value as its default: `{ type: string, default: … }`".to_owned(),
            };
            self.wrong(value, at, "the declaration of an input, a map", Some(help));
            return input;
        };
        let mut own = Map::new();
        for (key, value) in entries {
            if keys::SCHEMA_WORDS.contains(&key.as_str()) {
                self.schema_word(key, value, &at.join(key));
                self.schemas_below(key, value, &at.join(key));
                input.schema.insert(key.clone(), value.clone());
            } else {
                own.insert(key.clone(), value.clone());
            }
        }
        let own = self.own_keys(own, at);
        let fields = self.fields(&own, at, "an input", keys::INPUT);
        if let Some((value, at)) = fields.get("description") {
            input.description = self.text(value, &at);
            if let Some(text) = &input.description {
                input.schema.insert("description".to_owned(), json!(text));
            }
        }
        if let Some((value, at)) = fields.get("optional") {
            input.optional = self.boolean(value, &at).unwrap_or(false);
        }
        if let Some((value, at)) = fields.get("secret") {
            input.secret = self.boolean(value, &at).unwrap_or(false);
        }
        input.default = fields.get("default").map(|(value, _)| value.clone());
        self.kind(&fields, &mut input);
        self.media(&fields, &mut input);
        input
    }

    /// Tells of keys whose nearest known one is a word of JSON Schema, and drops them.
    fn own_keys(&mut self, own: Map<String, Value>, at: &Pointer) -> Map<String, Value> {
        own.into_iter()
            .filter(|(key, _)| {
                if key.starts_with("x-") || keys::INPUT.iter().any(|known| known.name == key) {
                    return true;
                }
                let own = keys::INPUT.iter().map(|known| known.name);
                let near = nearest(key, own.chain(keys::SCHEMA_WORDS.iter().copied()));
                let help = match near {
                    Some("required") => Some(NEEDED.to_owned()),
                    near => near.map(|near| format!("did you mean `{near}`?")),
                };
                let help = help.unwrap_or_else(|| {
                    let own = list(keys::INPUT.iter().map(|known| known.name));
                    format!("the keys are {own}, and the words of JSON Schema")
                });
                self.report(
                    Diagnostic::error(Code::UnknownKey, format!("an input has no key `{key}`"))
                        .at(self.source, self.map.key(&at.join(key)), "unknown key")
                        .help(help),
                );
                false
            })
            .collect()
    }

    /// Looks through the schemas that a word of JSON Schema holds. What `enum`, `const`, `default` and `examples` hold is data.
    fn schemas_below(&mut self, word: &str, value: &Value, at: &Pointer) {
        if keys::HOLD_A_SCHEMA.contains(&word) {
            self.schema_within(value, at);
        } else if keys::HOLD_SCHEMAS_BY_NAME.contains(&word) {
            for (name, schema) in value.as_object().into_iter().flatten() {
                self.schema_within(schema, &at.join(name));
            }
        } else if keys::HOLD_A_LIST_OF_SCHEMAS.contains(&word) {
            for (index, schema) in value.as_array().into_iter().flatten().enumerate() {
                self.schema_within(schema, &at.join(index));
            }
        }
    }

    /// Tells of the words in a schema that JSON Schema does not have: the library takes them for notes.
    pub(super) fn schema_within(&mut self, schema: &Value, at: &Pointer) {
        for (word, value) in schema.as_object().into_iter().flatten().filter(|(word, _)| !word.starts_with("x-")) {
            let at = at.join(word);
            let known = || keys::SCHEMA_WORDS.iter().chain(keys::WITHIN_SCHEMA).copied();
            if known().any(|known| known == word) {
                if word == "type" {
                    self.type_within(value, &at);
                }
                self.schemas_below(word, value, &at);
                continue;
            }
            let help = if keys::INPUT.iter().any(|key| key.name == word) {
                format!("`{word}` is a key of the input itself, not of a schema within it")
            } else {
                nearest(word, known()).map_or_else(
                    || "the words are those of JSON Schema 2020-12; words of your own start with `x-`".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                )
            };
            self.report(
                Diagnostic::error(Code::UnknownKey, format!("a schema has no word `{word}`"))
                    .at(self.source, self.map.key(&at), "unknown word")
                    .help(help),
            );
        }
    }

    /// Tells of a type that JSON Schema does not have, within the schema of an input.
    fn type_within(&mut self, value: &Value, at: &Pointer) {
        let is_of_input = at.parts().first().is_some_and(|top| top == "inputs");
        match value.as_str().filter(|_| is_of_input) {
            Some("file") => {
                let help = "write `type: string`: a file is an input of its own, and a part of one is the URL";
                let message = "`file` is a type of inputs, not of their parts".to_owned();
                self.bad_schema(at, message, "inside of an input", help.to_owned());
            }
            Some(text) if !TYPES.contains(&text) => {
                let types: Vec<_> = TYPES.into_iter().filter(|word| *word != "file").collect();
                self.bad_schema(at, format!("there is no type `{text}`"), "unknown type", meant(text, &types));
            }
            _ => {}
        }
    }

    fn kind(&mut self, fields: &Fields<'_>, input: &mut Input) {
        let Some((value, at)) = fields.get("type") else { return };
        let words: Vec<(&Value, Pointer)> = match value {
            Value::Array(items) => items.iter().enumerate().map(|(index, item)| (item, at.join(index))).collect(),
            _ => vec![(value, at.clone())],
        };
        let mut good = true;
        for (word, at) in &words {
            let Some(text) = word.as_str() else {
                good = false;
                self.bad_schema(
                    at,
                    "`type` must be a word".to_owned(),
                    describe(word),
                    format!("one of {}", list(TYPES)),
                );
                continue;
            };
            if text == "file" && words.len() > 1 {
                good = false;
                let help = "use `type: file` alone; `optional: true` lets it be absent";
                self.bad_schema(
                    at,
                    "`file` cannot be one of several types".to_owned(),
                    "in a list of types",
                    help.to_owned(),
                );
            } else if !TYPES.contains(&text) {
                good = false;
                let help = match text {
                    "image" | "video" | "audio" => format!("write `type: file` with `media: {text}`"),
                    _ => meant(text, &TYPES),
                };
                self.bad_schema(at, format!("there is no type `{text}`"), "unknown type", help);
            }
        }
        if !good {
            return;
        }
        if value.as_str() == Some("file") {
            input.file = true;
            input.schema.insert("type".to_owned(), json!("string"));
        } else {
            input.schema.insert("type".to_owned(), value.clone());
        }
    }

    fn media(&mut self, fields: &Fields<'_>, input: &mut Input) {
        let Some((value, at)) = fields.get("media") else { return };
        input.media = self.word(value, &at, &MEDIA);
        if !input.file && (fields.get("type").is_none() || input.schema.contains_key("type")) {
            self.report(
                Diagnostic::error(Code::BadInputSchema, "`media` goes with `type: file` only")
                    .at(self.source, self.map.key(&at), "says what is in a file")
                    .help("write `type: file`, or leave `media` out"),
            );
        }
    }

    fn bad_schema(&mut self, at: &Pointer, message: String, label: impl Into<String>, help: String) {
        let label: String = label.into();
        self.report(
            Diagnostic::error(Code::BadInputSchema, message).at(self.source, self.value_span(at), label).help(help),
        );
    }

    fn schema_word(&mut self, word: &str, value: &Value, at: &Pointer) {
        let (fits, wanted) = match word {
            "required" if value.is_boolean() => {
                let help = NEEDED;
                self.bad_schema(
                    at,
                    "`required` is the list of an object's required properties".to_owned(),
                    format!("found {}", describe(value)),
                    help.to_owned(),
                );
                return;
            }
            "enum" | "examples" | "prefixItems" | "allOf" | "anyOf" | "oneOf" => {
                (value.as_array().is_some_and(|items| !items.is_empty()), "a list of one value or more")
            }
            "required" => (value.as_array().is_some_and(|items| items.iter().all(Value::is_string)), "a list of names"),
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
                (value.is_number(), "a number")
            }
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" | "minContains"
            | "maxContains" => (value.is_u64(), "a whole number from 0"),
            "pattern" | "format" | "title" | "$ref" | "$comment" | "$schema" | "$id" => (value.is_string(), "a string"),
            "uniqueItems" | "deprecated" | "readOnly" | "writeOnly" => (value.is_boolean(), "`true` or `false`"),
            "items" | "contains" | "additionalProperties" | "propertyNames" | "not" | "if" | "then" | "else" => {
                (value.is_object() || value.is_boolean(), "a schema, a map")
            }
            "properties" | "patternProperties" | "$defs" | "dependentSchemas" | "dependentRequired" => {
                (value.is_object(), "a map")
            }
            _ => (true, ""),
        };
        if !fits {
            let help = match (word, value) {
                ("items", Value::String(text)) => format!("write `items: {{ type: {text} }}`"),
                _ => "these words are those of JSON Schema 2020-12".to_owned(),
            };
            let found = if value.as_array().is_some_and(Vec::is_empty) {
                "found an empty list".to_owned()
            } else {
                format!("found {}", describe(value))
            };
            self.bad_schema(at, format!("`{word}` must be {wanted}"), found, help);
        }
    }
}

/// Returns what to write in the place of a word that is no type.
fn meant(text: &str, types: &[&'static str]) -> String {
    match text {
        "text" | "str" | "url" | "uri" => "write `type: string`".to_owned(),
        "int" | "whole" => "write `type: integer`".to_owned(),
        "float" | "double" | "decimal" => "write `type: number`".to_owned(),
        "bool" => "write `type: boolean`".to_owned(),
        "list" => "write `type: array`".to_owned(),
        "map" | "dict" | "hash" => "write `type: object`".to_owned(),
        _ => nearest(text, types.iter().copied()).map_or_else(
            || format!("one of {}", list(types.iter().copied())),
            |near| format!("did you mean `{near}`?"),
        ),
    }
}
