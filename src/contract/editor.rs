//! A JSON Schema for editors: what the `inputs` of a step may hold for one target.
//!
//! What it refuses, a plan refuses too, so that an editor never underlines what is right: each value may also be a template, at any
//! depth; each name that a person may write is known, in the forms that mean it; text may be written as a number; what only warns
//! is no error. The first name of a port is the one that is completed. The schema is whole in itself, without references, and can
//! be put anywhere in another one.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{
    Contract, Port, ValueKind,
    names::fold,
    ports::URL_PATTERN,
    published::{Reading, referred},
    schema::shown,
    violation::severity_of_one,
};
use crate::diagnostic::Severity;

/// How deep a published schema is followed: deeper values are left to the plan.
const DEEPEST: usize = 6;

/// How many maps of a published schema are written for one input.
const MOST_MAPS: usize = 400;

/// Returns a JSON Schema (draft 2020-12) of the `inputs` of a step that runs the target.
#[must_use]
pub fn editor_schema(contract: &Contract) -> Value {
    let reading = contract.schema.as_ref().map(Reading::of);
    let mut properties = Map::new();
    let mut patterns = Map::new();
    let mut required = Vec::new();
    for (index, port) in contract.ports.iter().enumerate() {
        let mut value = value(contract, reading.as_ref(), port);
        let names = names(contract, index);
        for (place, name) in names.iter().enumerate() {
            if place == 1 {
                // Known to editors with the YAML language server; others do not mind it.
                value["doNotSuggest"] = json!(true);
            }
            properties.insert(name.clone(), value.clone());
        }
        let pattern = pattern(contract, port);
        if let Some(pattern) = &pattern {
            patterns.insert(pattern.clone(), value);
        }
        if port.required {
            let mut ways: Vec<_> = names.iter().map(|name| json!({ "required": [name] })).collect();
            // Some key matches: not all of them fail to.
            ways.extend(pattern.map(|pattern| json!({"not": {"propertyNames": {"not": {"pattern": pattern}}}})));
            required.push(if let [only] = ways.as_slice() { only.clone() } else { json!({ "anyOf": ways }) });
        }
    }
    let mut schema = json!({"type": "object", "title": contract.name, "properties": properties});
    if let Some(description) = &contract.description {
        schema["description"] = json!(description);
    }
    if let Some(reading) = &reading {
        for pattern in &reading.patterns {
            patterns.entry(pattern.clone()).or_insert_with(|| json!(true));
        }
    }
    if !patterns.is_empty() {
        schema["patternProperties"] = Value::Object(patterns);
    }
    if !required.is_empty() {
        schema["allOf"] = json!(required);
    }
    let closed = reading.map_or(!contract.open, |reading| reading.closed);
    if closed && !contract.unchecked {
        schema["additionalProperties"] = json!(false);
    }
    schema
}

/// Returns the names that mean a port, the one for people first.
fn names(contract: &Contract, index: usize) -> Vec<String> {
    let port = &contract.ports[index];
    let all = [Some(contract.name_of(port)), port.label.as_deref(), Some(port.id.as_str()), port.handle.as_deref()];
    let mut names: Vec<String> = Vec::new();
    for name in all.into_iter().flatten() {
        if contract.resolve(name) == Ok(index) && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// Returns a pattern of the label with any case, spaces, `_` and `-`; none where that is not the port's alone.
fn pattern(contract: &Contract, port: &Port) -> Option<String> {
    let folded = fold(port.label.as_deref()?);
    let means = |other: &&Port| {
        let names = [other.label.as_deref(), Some(other.id.as_str()), other.handle.as_deref()];
        names.into_iter().flatten().any(|name| fold(name) == folded)
    };
    // What an editor could read as something else keeps its exact names.
    let odd = |c: char| !c.is_alphanumeric() && !c.is_ascii_punctuation();
    let shared = contract.ports.iter().filter(means).any(|other| other.id != port.id);
    if folded.is_empty() || folded.contains(odd) || shared {
        return None;
    }
    let one = |c: char| match c.to_uppercase().collect::<Vec<_>>().as_slice() {
        _ if c.is_ascii_punctuation() => format!("\\{c}"),
        [upper] if *upper != c => format!("[{c}{upper}]"),
        _ => c.to_string(),
    };
    Some(format!("^[ _-]*{}[ _-]*$", folded.chars().map(one).collect::<Vec<_>>().join("[ _-]*")))
}

/// Returns the schema of what may be written for a port.
fn value(contract: &Contract, reading: Option<&Reading>, port: &Port) -> Value {
    let places = reading.and_then(|reading| {
        let index = reading.ports.iter().position(|known| known.id == port.id)?;
        Some(&reading.places[index])
    });
    let mut forms = Vec::new();
    if let (Some(places), Some(root)) = (places, &contract.schema) {
        let mut writer = Writer { root, left: MOST_MAPS };
        let schemas = places.value.iter().filter_map(|place| root.pointer(place));
        let mut schemas: Vec<_> = schemas.map(|schema| writer.loosened(schema, DEEPEST)).collect();
        schemas.retain(|schema| *schema != json!(true));
        forms.push(match schemas.as_slice() {
            [] => json!(true),
            [only] => only.clone(),
            _ => json!({ "allOf": schemas }),
        });
    } else if port.many {
        forms.push(json!({"type": "array", "items": or_template(one(port))}));
        if severity_of_one(contract, port) == Severity::Warning {
            forms.push(one(port));
        }
    } else {
        forms.push(one(port));
    }
    // A null is left out.
    if !port.required || port.nullable {
        forms.push(json!({"type": "null"}));
    }
    let mut schema = json!({});
    if !forms.contains(&json!(true)) {
        // Where any text will do, a template is one.
        if !forms.contains(&any_text()) {
            forms.push(template());
        }
        match forms.as_slice() {
            [Value::Object(only)] => schema = json!(only),
            _ => schema["anyOf"] = json!(forms),
        }
    }
    schema["title"] = json!(port.name());
    let own = places.and_then(|places| places.description.as_deref());
    let text = described(contract, own, port);
    // What an API says of itself is shown as it stands.
    if own.is_none() && text.contains('`') {
        schema["markdownDescription"] = json!(text);
    }
    schema["description"] = json!(text);
    if let Some(default) = &port.default {
        schema["default"] = default.clone();
    }
    schema
}

/// Returns what is to be known of a port, for people.
fn described(contract: &Contract, own: Option<&str>, port: &Port) -> String {
    let mut text = own.map(|own| format!("{own}\n\n")).unwrap_or_default();
    text.push_str(if port.required { "Required. " } else { "" });
    let wants = port.wants();
    text.push_str(&wants[..1].to_uppercase());
    text.push_str(&wants[1..]);
    if let Some(bounds) = port.bounds() {
        let _ = write!(text, ", {bounds}");
    }
    if let Some(default) = &port.default {
        let _ = write!(text, "; {} where it is not given", shown(default));
    }
    if contract.name_of(port) != port.id {
        let _ = write!(text, " (id `{}`)", port.id);
    }
    text
}

/// Returns the schema of one value of a port.
fn one(port: &Port) -> Value {
    if !port.options.is_empty() {
        return json!({ "enum": spellings(&port.options) });
    }
    match port.kind {
        ValueKind::Text | ValueKind::Scalar => any_text(),
        ValueKind::Number => json!({"type": "number"}),
        ValueKind::Integer => json!({"type": "integer"}),
        ValueKind::Boolean => json!({"type": "boolean"}),
        ValueKind::Any => json!(true),
        _ => json!({"type": "string", "pattern": URL_PATTERN}),
    }
}

/// A number or a boolean becomes its text.
fn any_text() -> Value {
    json!({"type": ["string", "number", "boolean"]})
}

/// Returns options with the numbers and booleans that spell one: YAML takes `4` for a number.
fn spellings(options: &[Value]) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    let spelt = |option: &Value| match option {
        Value::String(text) => {
            serde_json::from_str::<Value>(text).ok().filter(|read| read.is_number() || read.is_boolean())
        }
        Value::Number(_) | Value::Bool(_) => Some(json!(option.to_string())),
        _ => None,
    };
    for option in options.iter().cloned().chain(options.iter().filter_map(spelt)) {
        if !all.contains(&option) {
            all.push(option);
        }
    }
    all
}

/// It has a title so that an editor can tell it from the other forms: where all look alike, the YAML language server shows each of them.
fn template() -> Value {
    json!({"type": "string", "pattern": "\\{\\{", "title": "Template"})
}

fn or_template(schema: Value) -> Value {
    if schema == json!(true) { schema } else { json!({ "anyOf": [schema, template()] }) }
}

/// Writes a published schema such that each value may be a template.
struct Writer<'s> {
    root: &'s Value,
    left: usize,
}

impl Writer<'_> {
    /// Returns the schema of one value, without the template that may stand for it; `true` where it is too deep.
    fn loosened(&mut self, schema: &Value, depth: usize) -> Value {
        const KEPT: [&str; 14] = [
            "title",
            "description",
            "default",
            "examples",
            "deprecated",
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "multipleOf",
            "minItems",
            "maxItems",
            "required",
            "minProperties",
        ];
        let Value::Object(map) = schema else { return schema.clone() };
        if depth == 0 || self.left == 0 {
            return json!(true);
        }
        self.left -= 1;
        let mut kept: Map<String, Value> = map
            .iter()
            .filter(|(key, _)| KEPT.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        // Draft 4 has a boolean here.
        kept.retain(|key, value| !(key.starts_with("exclusive") && value.is_boolean()));
        let inner = |writer: &mut Self, schema: &Value| or_template(writer.loosened(schema, depth - 1));
        let mut all = Vec::new();
        if let Some((_, target)) = map.get("$ref").and_then(Value::as_str).and_then(|at| referred(self.root, at)) {
            all.push(self.loosened(target, depth - 1));
        }
        let own_options = || -> Option<Vec<Value>> {
            let options = map.get("enum").and_then(Value::as_array).cloned();
            options.or_else(|| map.get("const").map(|only| vec![only.clone()]))
        };
        if let Some(options) = own_options() {
            kept.insert("enum".to_owned(), json!(spellings(&options)));
        } else if let Some(kind) = map.get("type") {
            kept.insert("type".to_owned(), written(kind));
        }
        // Text is a template or has none: what a pattern or a length says of it can be said.
        let text = map.get("type").and_then(Value::as_str) == Some("string");
        for word in ["pattern", "minLength", "maxLength", "format"] {
            if let Some(value) = map.get(word).filter(|_| text) {
                kept.insert(word.to_owned(), value.clone());
            }
        }
        let items = map.get("items").filter(|items| items.is_object() && !map.contains_key("prefixItems"));
        if let Some(items) = items {
            let items = inner(self, items);
            kept.insert("items".to_owned(), items);
        }
        if let Some(properties) = map.get("properties").and_then(Value::as_object) {
            let written: Map<String, Value> =
                properties.iter().map(|(key, schema)| (key.clone(), inner(self, schema))).collect();
            kept.insert("properties".to_owned(), Value::Object(written));
            if map.get("additionalProperties") == Some(&json!(false)) && !map.contains_key("patternProperties") {
                kept.insert("additionalProperties".to_owned(), json!(false));
            }
        }
        for schema in map.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            all.push(self.loosened(schema, depth - 1));
        }
        for word in ["anyOf", "oneOf"] {
            if let Some(schemas) = map.get(word).and_then(Value::as_array) {
                // With templates several may hold where one must.
                let ways: Vec<_> = schemas.iter().map(|schema| self.loosened(schema, depth - 1)).collect();
                all.push(json!({ "anyOf": ways }));
            }
        }
        all.retain(|schema| *schema != json!(true));
        if !all.is_empty() {
            kept.insert("allOf".to_owned(), json!(all));
        }
        if kept.is_empty() { json!(true) } else { Value::Object(kept) }
    }
}

/// Returns the types that may be written for one that is published: text may be a number or a boolean.
fn written(kind: &Value) -> Value {
    if kind == "string" { json!(["string", "number", "boolean"]) } else { kind.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contract::schema::Schema,
        job::{Target, TargetKind},
    };

    fn target(kind: TargetKind) -> Target {
        Target { kind, id: "t".to_owned() }
    }

    fn app() -> Contract {
        let port = |id: &str, label: &str, kind| Port { label: Some(label.to_owned()), ..Port::new(id, kind) };
        let ratio = vec![json!("1:1"), json!("4"), json!(3)];
        let ports = vec![
            Port {
                required: true,
                handle: Some("image".to_owned()),
                many: true,
                ..port("n1", "Input Images", ValueKind::Image)
            },
            Port { options: ratio, default: Some(json!("1:1")), ..port("n2", "Aspect Ratio", ValueKind::Text) },
            Port { minimum: Some(1.0), maximum: Some(9.0), ..port("n3", "Steps (all)", ValueKind::Integer) },
            port("n4", "Prompt", ValueKind::Text),
            port("n5", "prompt", ValueKind::Text),
        ];
        Contract { open: false, unchecked: false, ports, ..Contract::unchecked(target(TargetKind::App), "Sketch") }
    }

    fn agent() -> Contract {
        let (contract, why) = Contract::of_schema(
            target(TargetKind::Agent),
            "writer",
            json!({
                "required": ["query"], "additionalProperties": false,
                "properties": {
                    "query": {"type": "string", "minLength": 3, "description": "What to write."},
                    "size": {"$ref": "#/$defs/Size"},
                    "seed": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
                    "tree": {"$ref": "#/$defs/Tree"},
                },
                "$defs": {
                    "Size": {
                        "type": "object", "required": ["width"], "additionalProperties": false,
                        "properties": {"width": {"type": "integer", "maximum": 9}, "unit": {"enum": ["px", "em"]}},
                    },
                    "Tree": {"type": "object", "properties": {"left": {"$ref": "#/$defs/Tree"}, "v": {"type": "integer"}}},
                },
            }),
        );
        assert_eq!(why, None);
        contract
    }

    fn fits(contract: &Contract, inputs: &Value) -> bool {
        Schema::compile(&editor_schema(contract)).expect("a schema").fits(inputs)
    }

    #[test]
    fn every_name_and_every_form_of_a_value_is_known() {
        let image = json!(["https://a/b.png"]);
        for right in [
            json!({"Input Images": image}),
            json!({"n1": image}),
            json!({"image": image}),
            json!({"input-images": image}),
            json!({"INPUT_IMAGES": "{{ inputs.pictures }}"}),
            json!({"n1": ["{{ inputs.picture }}", "https://a/b.png"]}),
            json!({"n1": image, "Aspect Ratio": "{{ inputs.ratio }}"}),
            json!({"n1": image, "aspect ratio": 4}),
            json!({"n1": image, "Aspect Ratio": "3"}),
            json!({"n1": image, "Aspect Ratio": null}),
            json!({"n1": image, "Steps (all)": 99, "Prompt": 5, "prompt": true}),
            json!({"n1": image, "steps(ALL)": 2}),
        ] {
            assert!(fits(&app(), &right), "{right}");
        }
        for wrong in [
            json!({}),
            json!({"Prompt": "a"}),
            json!({"n1": "https://a/b.png"}),
            json!({"n1": ["sketch.png"]}),
            json!({"n1": image, "Aspect Ratio": "5:4"}),
            json!({"n1": image, "aspect-ratio": "5:4"}),
            json!({"n1": image, "Steps (all)": "many"}),
            json!({"n1": image, "PROMPT": "which of the two?"}),
            json!({"n1": image, "colour": "red"}),
        ] {
            assert!(!fits(&app(), &wrong), "{wrong}");
        }
    }

    #[test]
    fn names_for_people_come_first_and_alone() {
        let schema = editor_schema(&app());
        let suggested: Vec<_> = schema["properties"]
            .as_object()
            .expect("a map")
            .iter()
            .filter(|(_, value)| value.get("doNotSuggest").is_none())
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(suggested, ["Input Images", "Aspect Ratio", "Steps (all)", "Prompt", "prompt"]);
        let of = |name: &str| schema["properties"][name]["description"].as_str().unwrap_or_default().to_owned();
        assert_eq!(of("Input Images"), "Required. A list of image URLs (id `n1`)");
        assert_eq!(of("Aspect Ratio"), "Text; `1:1` where it is not given (id `n2`)");
        assert_eq!(of("Steps (all)"), "A whole number, from 1 to 9 (id `n3`)");
    }

    #[test]
    fn published_schemas_keep_their_words_with_a_template_for_any_value() {
        for right in [
            json!({"query": "A house"}),
            json!({"query": 12345}),
            json!({"query": "{{ x }}"}),
            json!({"query": "A house", "size": {"width": "{{ inputs.width }}", "unit": "px"}}),
            json!({"query": "A house", "size": "{{ inputs.size }}", "seed": null}),
            json!({"query": "A house", "tree": {"left": {"left": {"v": 1}}}}),
        ] {
            assert!(fits(&agent(), &right), "{right}");
        }
        for wrong in [
            json!({}),
            json!({"query": "A"}),
            json!({"query": "A house", "size": {}}),
            json!({"query": "A house", "size": {"width": 10}}),
            json!({"query": "A house", "size": {"width": 1, "depth": 1}}),
            json!({"query": "A house", "seed": 0}),
            json!({"query": "A house", "tree": {"left": {"v": "x"}}}),
            json!({"query": "A house", "quary": 1}),
        ] {
            assert!(!fits(&agent(), &wrong), "{wrong}");
        }
        let schema = editor_schema(&agent());
        assert_eq!(schema["properties"]["query"]["description"], "What to write.\n\nRequired. Text");
        assert!(!schema.to_string().contains("$ref"), "it can stand anywhere");
    }

    #[test]
    fn what_is_open_or_only_warns_is_not_refused() {
        let images = Port { many: true, ..Port::new("image_input", ValueKind::Image) };
        let model =
            Contract { unchecked: false, ports: vec![images], ..Contract::unchecked(target(TargetKind::Model), "m") };
        assert!(fits(&model, &json!({"image_input": "https://a/b.png", "anything": [1]})));
        assert!(!fits(&model, &json!({"image_input": 3})));
        assert!(fits(&Contract::unchecked(target(TargetKind::Pipeline), "p"), &json!({"anything": {}})));
    }
}
