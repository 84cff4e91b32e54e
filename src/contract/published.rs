//! From a published JSON Schema to a contract: which inputs the schema names, of what kind, and whether it takes others.
//!
//! The ports that are read here are an upper bound of what the schema allows: good for names, labels, what may flow where, and for
//! making text of scalars. Whether a value fits is the schema's own to say ([`Checker`](super::Checker)), so whatever is not
//! understood here is a port that takes anything. References are followed inside the schema only, and a bounded number of times.

use std::mem;

use indexmap::IndexSet;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::{
    Contract, Mode, Port, ValueKind,
    schema::{Complaint, Schema},
};
use crate::{job::Target, source::Pointer};

/// How many maps of a schema are looked at for one port: references may lead in a circle.
const MOST_MAPS: usize = 32;

/// Words under which an input may say what medium it takes.
const MEDIA_WORDS: [&str; 6] = ["contentMediaType", "format", "media", "x-media", "media_type", "x-media-type"];

/// Words of a schema whose branches may name further inputs, none of which need hold.
const BRANCHES: [&str; 5] = ["anyOf", "oneOf", "then", "else", "if"];

/// What a schema says of the inputs of a target.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// The inputs, in the schema's order.
    pub(super) ports: Vec<Port>,
    /// Of each port, where its schemas stand.
    pub(super) places: Vec<Places>,
    /// Whether a name that the schema does not know is refused.
    pub(super) closed: bool,
    /// Whether the schema says of names that it does not know what they hold.
    pub(super) free: bool,
    /// Patterns of names that are allowed beside the ports.
    pub(super) patterns: Vec<String>,
}

/// Where the schemas of a port stand, as JSON pointers; all of them hold.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Of its value.
    pub(super) value: Vec<String>,
    /// Of each item of a list, where all items have the same.
    pub(super) item: Vec<String>,
    /// What it is, for people.
    pub(super) description: Option<String>,
}

impl Contract {
    /// Returns the contract that a published JSON Schema makes: its ports are read from `properties`, and the schema is kept to
    /// check with. A schema that cannot be used makes a contract that is unchecked, with a sentence that says why.
    #[must_use]
    pub fn of_schema(target: Target, name: impl Into<String>, schema: Value) -> (Self, Option<String>) {
        let mut contract = Self::unchecked(target, name);
        match usable(&schema) {
            Ok((reading, _)) => {
                contract.open = reading.open();
                contract.ports = reading.ports;
                contract.unchecked = false;
                contract.schema = Some(schema);
                (contract, None)
            }
            Err(why) => (contract, Some(why)),
        }
    }

    /// Adds the operations of a target. What `execute` takes becomes the contract's own where it has none; a schema that cannot be
    /// used is left out, each with a sentence that says why.
    #[must_use]
    pub fn with_modes(mut self, modes: Vec<Mode>) -> (Self, Vec<String>) {
        let mut told = Vec::new();
        self.modes = modes;
        for mode in &mut self.modes {
            for (schema, what) in [(&mut mode.schema, "input"), (&mut mode.params, "params")] {
                if let Some(Err(why)) = schema.as_ref().map(usable) {
                    told.push(format!("{what} of mode `{}`: {why}", mode.name));
                    *schema = None;
                }
            }
        }
        let default = self.modes.iter().find(|mode| mode.name == Mode::DEFAULT).and_then(|mode| mode.schema.clone());
        if let Some(schema) = default.filter(|_| self.schema.is_none() && self.ports.is_empty()) {
            let (read, _) = Self::of_schema(self.target.clone(), self.name.clone(), schema);
            (self.ports, self.open, self.unchecked, self.schema) = (read.ports, read.open, read.unchecked, read.schema);
        }
        (self, told)
    }

    /// Returns what a published schema says that a port is, for people.
    #[must_use]
    pub fn description_of(&self, port: &Port) -> Option<String> {
        let reading = Reading::of(self.schema.as_ref()?);
        let index = reading.ports.iter().position(|known| known.id == port.id)?;
        reading.places[index].description.clone()
    }
}

/// Says whether a published JSON Schema can be used.
pub(crate) fn is_usable(schema: &Value) -> bool {
    usable(schema).is_ok()
}

/// Returns what a schema says of inputs, and the schema compiled, or why it cannot be used.
pub(super) fn usable(schema: &Value) -> Result<(Reading, Schema), String> {
    let told = |Complaint { at, message }: Complaint| {
        let place = if at.is_empty() { String::new() } else { format!(" (at `{}`)", at.join(".")) };
        format!("its JSON Schema cannot be used: it{place} {message}")
    };
    let root = schema.as_object().ok_or("its JSON Schema cannot be used: it is no map")?;
    let compiled = Schema::published(schema).map_err(told)?;
    let mut chain = Chain::default();
    chain.follow(schema, schema, "");
    match chain.kinds() {
        Some(kinds) if !kinds.contains(&"object") => Err(format!(
            "its JSON Schema cannot be used: it describes `{}`, and inputs are a map",
            kinds.first().copied().unwrap_or_default()
        )),
        _ if root.get("type").is_some_and(|kind| !kind.is_string() && !kind.is_array()) => {
            Err("its JSON Schema cannot be used: its `type` is no word".to_owned())
        }
        _ => Ok((Reading::of(schema), compiled)),
    }
}

impl Reading {
    /// Reads the inputs that a schema names.
    pub(super) fn of(schema: &Value) -> Self {
        let mut root = Chain::default();
        root.follow(schema, schema, "");
        let mut reading = Self::default();
        let mut names: Vec<&str> = Vec::new();
        let mut chains: Vec<Chain<'_>> = Vec::new();
        let mut required = IndexSet::new();
        for (place, map) in &root.maps {
            required
                .extend(map.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str));
            for (name, property) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
                let index = names.iter().position(|known| known == name).unwrap_or_else(|| {
                    names.push(name);
                    chains.push(Chain::default());
                    reading.places.push(Places::default());
                    names.len() - 1
                });
                let place = format!("{place}/properties{}", Pointer::root().join(name));
                chains[index].follow(schema, property, &place);
                reading.places[index].value.push(place);
            }
            reading.patterns.extend(
                map.get("patternProperties")
                    .and_then(Value::as_object)
                    .into_iter()
                    .flatten()
                    .map(|(key, _)| key.clone()),
            );
            reading.free |=
                map.get("additionalProperties").and_then(Value::as_object).is_some_and(|schema| !schema.is_empty());
            reading.closed |= ["additionalProperties", "unevaluatedProperties"]
                .iter()
                .any(|word| map.get(*word) == Some(&Value::Bool(false)));
        }
        for (index, chain) in chains.iter().enumerate() {
            let mut port = chain.port(names[index], schema);
            port.required = required.contains(names[index]);
            reading.places[index].item = chain.item_places();
            reading.places[index].description = chain.text("description");
            reading.ports.push(port);
        }
        // What only a branch names may be anything here: whether the branch holds is not known before the whole is.
        let mut further = Vec::new();
        root.maps.iter().for_each(|(_, map)| branches(schema, map, &mut further, MOST_MAPS));
        for name in further.into_iter().chain(required.iter().copied()) {
            if reading.ports.iter().all(|port| port.id != *name) {
                let required = required.contains(name);
                reading.ports.push(Port { required, ..Port::new(name, ValueKind::Any) });
                reading.places.push(Places::default());
            }
        }
        reading.shut(&root);
        reading.free |= reading.ports.is_empty() && !reading.closed;
        reading
    }

    /// Drops ports that `additionalProperties: false` beside other properties refuses.
    fn shut(&mut self, root: &Chain<'_>) {
        for (_, map) in &root.maps {
            if map.get("additionalProperties") != Some(&Value::Bool(false)) || map.contains_key("patternProperties") {
                continue;
            }
            let own = map.get("properties").and_then(Value::as_object);
            let all = mem::take(&mut self.ports).into_iter().zip(mem::take(&mut self.places));
            (self.ports, self.places) =
                all.filter(|(port, _)| own.is_some_and(|own| own.contains_key(&port.id))).unzip();
        }
    }

    /// Says whether names that are no ports may be given at all.
    pub(super) fn open(&self) -> bool {
        !self.closed || !self.patterns.is_empty()
    }

    /// Says whether a name that is no port is allowed in so many words.
    pub(super) fn allows(&self, name: &str) -> bool {
        let matches = |pattern: &String| {
            Schema::published(&serde_json::json!({ "pattern": pattern })).is_ok_and(|schema| schema.fits(&name.into()))
        };
        self.free || self.patterns.iter().any(matches)
    }
}

/// Collects the names of the properties of branches.
fn branches<'s>(root: &'s Value, map: &'s Map<String, Value>, names: &mut Vec<&'s str>, left: usize) {
    if left == 0 {
        return;
    }
    let branch = |schema: &'s Value, names: &mut Vec<&'s str>| {
        let mut chain = Chain::default();
        chain.follow(root, schema, "");
        for (_, map) in &chain.maps {
            for name in map.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::keys) {
                if !names.contains(&name.as_str()) {
                    names.push(name);
                }
            }
            branches(root, map, names, left / 4);
        }
    };
    for word in BRANCHES {
        match map.get(word) {
            Some(Value::Array(schemas)) => schemas.iter().for_each(|schema| branch(schema, names)),
            Some(schema) => branch(schema, names),
            None => {}
        }
    }
    for word in ["dependentSchemas", "dependencies"] {
        let schemas = map.get(word).and_then(Value::as_object).into_iter().flat_map(Map::values);
        schemas.for_each(|schema| branch(schema, names));
    }
}

/// The maps of a schema that hold of one value: its own, then those that it refers to. The first one that has a word decides.
#[derive(Debug, Default)]
struct Chain<'s> {
    maps: Vec<(String, &'s Map<String, Value>)>,
    /// Whether null is one of several possibilities.
    nullable: bool,
    /// Several possibilities of which one holds, where nothing else is known.
    either: Vec<(String, &'s Value)>,
}

impl<'s> Chain<'s> {
    fn follow(&mut self, root: &'s Value, schema: &'s Value, place: &str) {
        let Value::Object(map) = schema else { return };
        if self.maps.len() >= MOST_MAPS {
            return;
        }
        self.maps.push((place.to_owned(), map));
        if let Some((place, target)) = map.get("$ref").and_then(Value::as_str).and_then(|at| referred(root, at)) {
            self.follow(root, target, &place);
        }
        for (index, schema) in map.get("allOf").and_then(Value::as_array).into_iter().flatten().enumerate() {
            self.follow(root, schema, &format!("{place}/allOf/{index}"));
        }
        for word in ["anyOf", "oneOf"] {
            let Some(schemas) = map.get(word).and_then(Value::as_array) else { continue };
            let real: Vec<_> = schemas.iter().enumerate().filter(|(_, schema)| !is_null(schema)).collect();
            self.nullable |= real.len() < schemas.len();
            let placed = |index: usize| format!("{place}/{word}/{index}");
            match real.as_slice() {
                [(index, only)] => self.follow(root, only, &placed(*index)),
                several => self.either.extend(several.iter().map(|(index, schema)| (placed(*index), *schema))),
            }
        }
    }

    fn get(&self, word: &str) -> Option<&'s Value> {
        self.maps.iter().find_map(|(_, map)| map.get(word))
    }

    fn text(&self, word: &str) -> Option<String> {
        self.get(word)?.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// Returns the words of `type`, if it is there.
    fn kinds(&self) -> Option<Vec<&'s str>> {
        Some(match self.get("type")? {
            Value::Array(words) => words.iter().filter_map(Value::as_str).collect(),
            word => vec![word.as_str()?],
        })
    }

    /// Returns the only values, if they are listed.
    fn options(&self, root: &'s Value) -> Option<Vec<Value>> {
        if let Some(options) = self.get("enum").and_then(Value::as_array) {
            return Some(options.clone());
        }
        if let Some(only) = self.get("const") {
            return Some(vec![only.clone()]);
        }
        let mut options = Vec::new();
        for (place, schema) in &self.either {
            let mut chain = Chain::default();
            chain.follow(root, schema, place);
            // Deeper alternatives are not worth the way there.
            chain.either.clear();
            options.extend(chain.options(root)?);
        }
        (!options.is_empty()).then_some(options)
    }

    fn port(&self, name: &str, root: &'s Value) -> Port {
        let mut port = self.unnamed(root, true);
        name.clone_into(&mut port.id);
        port.label = self.text("title").filter(|title| title != name);
        port.default = self.get("default").cloned();
        port
    }

    /// Returns what a value is; `deep` looks into the items of a list.
    fn unnamed(&self, root: &'s Value, deep: bool) -> Port {
        let mut port = Port::new(String::new(), ValueKind::Any);
        port.nullable = self.nullable;
        if let Some(mut options) = self.options(root) {
            let all = options.len();
            options.retain(|option| !option.is_null());
            port.nullable |= options.len() < all;
            if !options.iter().any(|option| option.is_array() || option.is_object()) {
                port.kind = ValueKind::of_options(&options);
                port.options = options;
            }
            return port;
        }
        let Some(mut kinds) = self.kinds() else {
            port.kind = self.common(root, deep).unwrap_or(ValueKind::Any);
            return port;
        };
        let all = kinds.len();
        kinds.retain(|kind| *kind != "null");
        port.nullable |= kinds.len() < all;
        port.kind = match kinds.as_slice() {
            ["string"] => self.medium().unwrap_or(ValueKind::Text),
            ["integer"] => ValueKind::Integer,
            ["number"] | ["integer", "number"] | ["number", "integer"] => ValueKind::Number,
            ["boolean"] => ValueKind::Boolean,
            ["array"] if deep => {
                port.many = true;
                let mut item = Chain::default();
                for (place, map) in &self.maps {
                    if let Some(schema) = map.get("items") {
                        item.follow(root, schema, &format!("{place}/items"));
                    }
                }
                let items = item.unnamed(root, false);
                if self.item_places().is_empty() {
                    ValueKind::Any
                } else {
                    port.options = items.options;
                    (port.minimum, port.maximum) = (items.minimum, items.maximum);
                    items.kind
                }
            }
            _ => ValueKind::Any,
        };
        if matches!(port.kind, ValueKind::Number | ValueKind::Integer) && !port.many {
            port.minimum = self.get("minimum").or_else(|| self.get("exclusiveMinimum")).and_then(Value::as_f64);
            port.maximum = self.get("maximum").or_else(|| self.get("exclusiveMaximum")).and_then(Value::as_f64);
        }
        port
    }

    /// Returns the kind that all possibilities have, if they have one.
    fn common(&self, root: &'s Value, deep: bool) -> Option<ValueKind> {
        let kinds = self.either.iter().map(|(place, schema)| {
            let mut chain = Chain::default();
            chain.follow(root, schema, place);
            chain.either.clear();
            let port = chain.unnamed(root, false);
            (port.options.is_empty() && !port.many).then_some(port.kind)
        });
        let kinds: Option<Vec<_>> = kinds.collect();
        match kinds.filter(|_| deep)?.as_slice() {
            [first, rest @ ..] if rest.iter().all(|kind| kind == first) => Some(*first),
            _ => None,
        }
    }

    /// Returns where the schema of each item stands.
    fn item_places(&self) -> Vec<String> {
        // With `prefixItems` (once: a list under `items`) each item has its own.
        if self.get("prefixItems").is_some() || self.get("items").is_some_and(Value::is_array) {
            return Vec::new();
        }
        let with_items = self.maps.iter().filter(|(_, map)| map.contains_key("items"));
        with_items.map(|(place, _)| format!("{place}/items")).collect()
    }

    /// Returns the medium whose URL or reference a text is, where the schema says so.
    fn medium(&self) -> Option<ValueKind> {
        // Encoded contents are no URL.
        if self.get("contentEncoding").is_some() {
            return None;
        }
        MEDIA_WORDS.iter().find_map(|word| {
            let text = self.get(word)?.as_str()?.to_ascii_lowercase();
            match text.split(['/', '-', '_']).next()? {
                "image" => Some(ValueKind::Image),
                "video" => Some(ValueKind::Video),
                "audio" => Some(ValueKind::Audio),
                "model3d" => Some(ValueKind::Model3d),
                "model" if text.starts_with("model/") => Some(ValueKind::Model3d),
                _ => None,
            }
        })
    }
}

fn is_null(schema: &Value) -> bool {
    schema.get("type") == Some(&Value::String("null".to_owned()))
        || schema.get("const") == Some(&Value::Null)
        || schema
            .get("enum")
            .and_then(Value::as_array)
            .is_some_and(|all| all.iter().all(Value::is_null) && !all.is_empty())
}

/// Returns what a reference inside the schema refers to, and where that stands.
pub(super) fn referred<'s>(root: &'s Value, reference: &str) -> Option<(String, &'s Value)> {
    let pointer = percent_decode_str(reference.strip_prefix('#')?).decode_utf8().ok()?.into_owned();
    // Anything else is the name of an anchor.
    (pointer.is_empty() || pointer.starts_with('/')).then_some(())?;
    Some((pointer.clone(), root.pointer(&pointer)?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::job::TargetKind;

    fn target() -> Target {
        Target { kind: TargetKind::Agent, id: "ag_1".to_owned() }
    }

    fn of(schema: Value) -> Contract {
        let (contract, why) = Contract::of_schema(target(), "Agent", schema);
        assert_eq!(why, None);
        contract
    }

    fn port(schema: &Value) -> Port {
        let contract = of(json!({"type": "object", "properties": {"x": schema}, "$defs": {
            "Size": {"title": "Picture Size", "type": "integer", "minimum": 1},
            "Loop": {"$ref": "#/$defs/Loop"},
        }}));
        contract.port("x").expect("it is there").clone()
    }

    #[test]
    fn kinds_are_read_from_types() {
        let kind = |schema: &Value| {
            let port = port(schema);
            (port.kind, port.many, port.nullable)
        };
        for (schema, expected) in [
            (json!({"type": "string"}), (ValueKind::Text, false, false)),
            (json!({"type": ["string", "null"]}), (ValueKind::Text, false, true)),
            (json!({"anyOf": [{"type": "string"}, {"type": "null"}]}), (ValueKind::Text, false, true)),
            (json!({"type": ["integer", "number"]}), (ValueKind::Number, false, false)),
            (json!({"type": ["string", "integer"]}), (ValueKind::Any, false, false)),
            (json!({"type": "array", "items": {"type": "integer"}}), (ValueKind::Integer, true, false)),
            (json!({"type": ["array", "null"]}), (ValueKind::Any, true, true)),
            (json!({"type": "array", "prefixItems": [{"type": "string"}]}), (ValueKind::Any, true, false)),
            (json!({"type": "object"}), (ValueKind::Any, false, false)),
            (json!({}), (ValueKind::Any, false, false)),
            (json!(true), (ValueKind::Any, false, false)),
            (json!({"type": "string", "contentMediaType": "image/png"}), (ValueKind::Image, false, false)),
            (
                json!({"type": "string", "contentMediaType": "image/png", "contentEncoding": "base64"}),
                (ValueKind::Text, false, false),
            ),
            (
                json!({"type": "array", "items": {"type": "string", "x-media": "video"}}),
                (ValueKind::Video, true, false),
            ),
            (
                json!({"anyOf": [{"type": "string", "format": "uri"}, {"type": "string"}]}),
                (ValueKind::Text, false, false),
            ),
            (json!({"anyOf": [{"type": "string"}, {"type": "array"}]}), (ValueKind::Any, false, false)),
            (json!({"enum": ["a", null]}), (ValueKind::Text, false, true)),
            (json!({"oneOf": [{"const": 1, "title": "One"}, {"const": 2}]}), (ValueKind::Integer, false, false)),
            (json!({"$ref": "#/$defs/Size"}), (ValueKind::Integer, false, false)),
            (json!({"allOf": [{"$ref": "#/%24defs/Size"}], "default": 3}), (ValueKind::Integer, false, false)),
            (json!({"$ref": "#/$defs/Loop"}), (ValueKind::Any, false, false)),
        ] {
            assert_eq!(kind(&schema), expected, "{schema}");
        }
    }

    /// Names that are only required keep the order of the schema: equal schemas make equal contracts, on every machine.
    #[test]
    fn what_is_only_required_keeps_its_order() {
        let names = ["q", "c", "z", "a", "m", "b", "x", "k"];
        let contract = of(json!({"type": "object", "properties": {"p": {"type": "string"}}, "required": names}));
        let found: Vec<_> = contract.ports.iter().map(|port| port.id.as_str()).collect();
        assert_eq!(found, [&["p"], names.as_slice()].concat());
        assert!(contract.ports.iter().skip(1).all(|port| port.required));
    }

    #[test]
    fn what_people_read_comes_from_the_nearest_place() {
        let port = port(&json!({"$ref": "#/$defs/Size", "title": "Width", "default": 512, "maximum": 1024}));
        assert_eq!((port.label.as_deref(), port.default.as_ref()), (Some("Width"), Some(&json!(512))));
        assert_eq!((port.minimum, port.maximum), (Some(1.0), Some(1024.0)));
        let listed = super::tests::port(&json!({"oneOf": [{"const": "a", "title": "A"}, {"enum": ["b", "c"]}]}));
        assert_eq!(listed.options, [json!("a"), json!("b"), json!("c")]);
    }

    #[test]
    fn inputs_come_from_everything_that_must_hold() {
        let contract = of(json!({
            "$ref": "#/$defs/Input",
            "$defs": {"Input": {
                "type": "object", "required": ["a", "z"],
                "properties": {"a": {"type": "string", "description": "The first."}},
                "allOf": [{"properties": {"b": {"type": "integer"}, "a": {"minLength": 2}}, "required": ["b"]}],
                "anyOf": [{"properties": {"c": {"type": "string"}}}, {"properties": {"d": {}}}],
            }},
        }));
        let found: Vec<_> = contract.ports.iter().map(|port| (port.id.as_str(), port.kind, port.required)).collect();
        assert_eq!(
            found,
            [
                ("a", ValueKind::Text, true),
                ("b", ValueKind::Integer, true),
                ("c", ValueKind::Any, false),
                ("d", ValueKind::Any, false),
                ("z", ValueKind::Any, true),
            ]
        );
        assert_eq!(contract.description_of(&contract.ports[0]).as_deref(), Some("The first."));
        assert!(contract.open && !contract.unchecked);
    }

    #[test]
    fn open_and_closed() {
        assert!(!of(json!({"properties": {"a": {}}, "additionalProperties": false})).open);
        assert!(!of(json!({"properties": {"a": {}}, "unevaluatedProperties": false})).open);
        let shut =
            of(json!({"properties": {"a": {}}, "additionalProperties": false, "allOf": [{"properties": {"b": {}}}]}));
        assert_eq!(shut.ports.len(), 1, "`b` is refused by the schema");
        assert!(of(json!({"properties": {"a": {}}})).open);
        assert!(of(json!({"patternProperties": {"^x": {}}, "additionalProperties": false})).open);
    }

    #[test]
    fn what_cannot_be_used_is_unchecked_and_says_why() {
        for (schema, why) in [
            (json!({"type": "text"}), "(at `type`)"),
            (json!({"type": "string"}), "describes `string`"),
            (json!([]), "is no map"),
            (json!({"$ref": "https://example.com/a.json"}), "not in it"),
            (json!({"properties": {"a": {"$ref": "#/$defs/gone"}}}), "not in it"),
        ] {
            let (contract, told) = Contract::of_schema(target(), "Agent", schema.clone());
            assert!(contract.unchecked && contract.schema.is_none(), "{schema}");
            assert!(told.as_ref().is_some_and(|told| told.contains(why)), "{schema}: {told:?}");
        }
    }

    #[test]
    fn drafts_before_the_last_one_are_read_as_what_they_are() {
        let contract = of(json!({
            "$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"T": {"type": "string"}},
            "properties": {"pair": {"type": "array", "items": [{"$ref": "#/definitions/T"}, {"type": "integer"}]}},
        }));
        assert!(contract.ports[0].many && contract.ports[0].kind == ValueKind::Any);
        of(
            json!({"$schema": "http://json-schema.org/draft-04/schema#", "properties": {"a": {"minimum": 0, "exclusiveMinimum": true}}}),
        );
        of(json!({"properties": {"a": {"pattern": "^(?!x)"}}}));
    }

    #[test]
    fn what_the_default_mode_takes_is_the_contracts_own() {
        let mode = |name: &str, schema| Mode { name: name.to_owned(), schema, params: None, needs_scope: None };
        let text = json!({"properties": {"text": {"type": "string"}}});
        let (contract, told) = Contract::unchecked(target(), "m").with_modes(vec![
            mode("search", None),
            mode("execute", Some(text.clone())),
            mode("index", Some(json!(3))),
        ]);
        assert_eq!(contract.schema, Some(text));
        assert_eq!(contract.ports.len(), 1);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(contract.modes[2].schema.is_none() && told[0].starts_with("input of mode `index`: "));
    }
}
