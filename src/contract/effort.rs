//! What it costs to check a value by a schema that refers to itself. How often each part of the value is looked at is known only with the
//! value: a schema of two lines that applies itself twice to the items of a list looks 2³⁰ times at what lies thirty lists deep.
//!
//! The looks are counted before they are made, each pair of a part of the schema and a part of the value once, which takes no longer than
//! their product. A schema that does not refer to itself is bounded by its size, in `measure`.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::measure::{Names, REFERENCES};

/// How many looks a check may take: some tenths of a second. A thousand items, each checked by all parts of a large schema, are below it.
const MOST_LOOKS: u64 = 5_000_000;

/// How many pairs are counted.
const MOST_PAIRS: usize = 500_000;

/// How deep pairs lie in one another; each level takes some hundred bytes of a stack of two megabytes.
const DEEPEST: usize = 2_000;

/// Words whose schemas apply to the same value.
const SAME: [&str; 4] = ["not", "if", "then", "else"];
const SAME_LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];

/// Words whose schema applies to every part of the value.
const PARTS: [&str; 7] = [
    "items",
    "contains",
    "additionalItems",
    "unevaluatedItems",
    "additionalProperties",
    "unevaluatedProperties",
    "propertyNames",
];

/// A schema that refers to itself.
pub(super) struct Effort {
    schema: Value,
    /// The schema that `schema` refers to by its name.
    published: Option<Value>,
}

impl Effort {
    pub(super) fn new(schema: &Value, published: Option<&Value>) -> Self {
        Self { schema: schema.clone(), published: published.cloned() }
    }

    /// Says whether a value takes more looks than it may.
    pub(super) fn is_too_much(&self, value: &Value) -> bool {
        let mut names = Names::of(&self.schema);
        if let Some(published) = &self.published {
            names.add_published(published);
        }
        let mut count = Count { names, known: HashMap::new() };
        count.looks(&self.schema, &self.schema, value, 0) > MOST_LOOKS
    }
}

struct Count<'s> {
    names: Names<'s>,
    /// The looks of pairs, by the places of both in memory; none while they are counted.
    known: HashMap<(*const Value, *const Value), u64>,
}

impl<'s> Count<'s> {
    /// Counts the looks that `schema`, which stands in `root`, takes at a value and its parts.
    fn looks(&mut self, root: &'s Value, schema: &'s Value, value: &Value, depth: usize) -> u64 {
        let Some(words) = schema.as_object() else { return 1 };
        if depth > DEEPEST || self.known.len() > MOST_PAIRS {
            return u64::MAX;
        }
        // One that is being counted refers to itself at the same place, and is looked at no second time.
        if let Some(known) = self.known.insert((schema, value), 1) {
            self.known.insert((schema, value), known);
            return known;
        }
        let mut sum = 1_u64;
        for (schema, value, root) in self.applied(root, words, value) {
            sum = sum.saturating_add(self.looks(root, schema, value, depth + 1));
            if sum > MOST_LOOKS {
                sum = u64::MAX;
                break;
            }
        }
        self.known.insert((schema, value), sum);
        sum
    }

    /// Returns what the words of a schema apply, to what, and in which document each stands.
    fn applied<'v>(
        &self,
        root: &'s Value,
        words: &'s Map<String, Value>,
        value: &'v Value,
    ) -> Vec<(&'s Value, &'v Value, &'s Value)> {
        let mut found = Vec::new();
        for reference in REFERENCES.iter().filter_map(|word| words.get(*word)?.as_str()) {
            found.extend(self.names.referred(root, reference).map(|(schema, root)| (schema, value, root)));
        }
        found.extend(SAME.iter().filter_map(|word| Some((words.get(*word)?, value, root))));
        let lists = SAME_LISTS.iter().filter_map(|word| words.get(*word)?.as_array()).flatten();
        found.extend(lists.map(|schema| (schema, value, root)));
        let dependent = words.get("dependentSchemas").and_then(Value::as_object);
        found.extend(dependent.into_iter().flat_map(Map::values).map(|schema| (schema, value, root)));
        let parts: Vec<&Value> = match value {
            Value::Array(items) => items.iter().collect(),
            Value::Object(map) => map.values().collect(),
            _ => return found,
        };
        for schema in PARTS.iter().filter_map(|word| words.get(*word)).filter(|schema| schema.is_object()) {
            found.extend(parts.iter().map(|part| (schema, *part, root)));
        }
        let patterns = words.get("patternProperties").and_then(Value::as_object);
        for schema in patterns.into_iter().flat_map(Map::values) {
            found.extend(parts.iter().map(|part| (schema, *part, root)));
        }
        // Before 2020-12, `items` may be a list too.
        for list in ["prefixItems", "items"].iter().filter_map(|word| words.get(*word)?.as_array()) {
            found.extend(list.iter().zip(&parts).map(|(schema, part)| (schema, *part, root)));
        }
        let properties = words.get("properties").and_then(Value::as_object);
        let of_keys =
            properties.into_iter().flatten().filter_map(|(key, schema)| Some((schema, value.get(key)?, root)));
        found.extend(of_keys);
        found
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::contract::schema::Schema;

    fn deep(depth: usize) -> serde_json::Value {
        (0..depth).fold(json!("a"), |inner, _| json!([inner]))
    }

    #[test]
    fn what_a_schema_looks_at_over_and_over_is_refused_unchecked() {
        let again = json!({"items": {"$ref": "#/$defs/a"}});
        for word in ["allOf", "anyOf", "oneOf"] {
            let schema = json!({"$defs": {"a": {word: [again, again, {"type": "string"}]}}, "$ref": "#/$defs/a"});
            let compiled = Schema::compile(&schema).expect("a schema");
            let complaints = compiled.complaints(&deep(60));
            assert_eq!(complaints.len(), 1, "{word}: {complaints:?}");
            assert!(complaints[0].message.contains("too much work") && !compiled.fits(&deep(60)), "{complaints:?}");
            // The control: what is not so deep is checked.
            assert!(compiled.complaints(&deep(5)).iter().all(|complaint| !complaint.message.contains("work")));
        }
    }

    #[test]
    fn trees_are_checked_however_deep() {
        let tree = json!({"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}, "n": {"type": "integer"}}});
        let compiled = Schema::compile(&tree).expect("a schema");
        let value = (0..100).fold(json!({"n": 1}), |inner, _| json!({"left": inner, "right": {"n": 2}}));
        assert!(compiled.fits(&value), "{:?}", compiled.complaints(&value));
        let wide = json!({"items": {"anyOf": [{"$ref": "#"}, {"type": "integer"}]}});
        let compiled = Schema::compile(&wide).expect("a schema");
        assert!(compiled.fits(&json!(vec![json!([1, 2, 3]); 10_000])));
    }
}
