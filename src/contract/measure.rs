//! What a JSON Schema may cost, looked at before it is compiled: APIs publish them and people write them, and neither may be able to take
//! the memory, the stack or the afternoon of who reads them.
//!
//! A schema of a few lines can be enormous: thirty definitions that each refer to the next one twice are a thousand million schemas when
//! followed, a definition for each of a hundred thousand names is a stack as deep, and an expression of seven letters takes a megabyte
//! when compiled. So what counts is the schema with its references followed, each counted as often as it is met.
//!
//! A schema that refers to itself is as deep as the value that is checked, which is bounded elsewhere; here it counts once.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::schema::{Complaint, PUBLISHED};

/// How many values a schema may have as it is written. The largest known ones, of whole products, have twenty thousand.
const MOST_VALUES: usize = 100_000;

/// How many values it may have with all references followed.
const MOST_FOLLOWED: usize = 5_000_000;

/// How deep it may be with all references followed.
const DEEPEST: usize = 512;

/// How many regular expressions it may have: each may take a megabyte and some milliseconds.
const MOST_PATTERNS: usize = 100;

/// How many bytes they may have together.
const LONGEST_PATTERNS: usize = 64 * 1024;

/// Words that refer to a schema.
pub(super) const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// Words that name one.
const NAMES: [&str; 4] = ["$id", "id", "$anchor", "$dynamicAnchor"];

/// Says whether a schema refers to itself, so that what it costs depends on the value; see `effort`.
///
/// # Errors
///
/// When it is not within bounds, with what is too much in it.
pub(super) fn measure(schema: &Value) -> Result<bool, Complaint> {
    let names = Names { root: schema, named: HashMap::new(), published: None };
    let mut measure = Measure { names, known: HashMap::new(), returns: false };
    let mut counts = Counts::default();
    measure.names.look(schema, &mut counts);
    if counts.values > MOST_VALUES {
        return too_much(format!("has more than {MOST_VALUES} values"));
    }
    if counts.patterns > MOST_PATTERNS || counts.letters > LONGEST_PATTERNS {
        return too_much(format!("has more than {MOST_PATTERNS} regular expressions, or longer ones than are taken"));
    }
    match measure.follow(schema, 0) {
        Some(whole) if whole.values <= MOST_FOLLOWED && whole.height <= DEEPEST => Ok(measure.returns),
        Some(whole) if whole.height <= DEEPEST => {
            too_much("is too large once its references are followed: they multiply".to_owned())
        }
        _ => too_much("is nested too deeply once its references are followed".to_owned()),
    }
}

fn too_much(message: String) -> Result<bool, Complaint> {
    Err(Complaint { at: Vec::new(), message })
}

/// What is in a schema as it is written.
#[derive(Default)]
struct Counts {
    values: usize,
    patterns: usize,
    letters: usize,
}

/// The size of a part with its references followed.
#[derive(Clone, Copy)]
struct Size {
    values: usize,
    height: usize,
}

/// A part that is followed, or was.
#[derive(Clone, Copy)]
enum Part {
    Under,
    Done(Size),
}

/// What references in a schema refer to.
pub(super) struct Names<'s> {
    root: &'s Value,
    /// Parts that have a name, by its last segment. That two have the same one makes no difference to a bound.
    named: HashMap<&'s str, &'s Value>,
    /// What [`PUBLISHED`] names.
    published: Option<&'s Value>,
}

struct Measure<'s> {
    names: Names<'s>,
    /// Parts by their place in memory, which is where they stay while they are borrowed.
    known: HashMap<*const Value, Part>,
    /// Whether some part leads back to itself.
    returns: bool,
}

impl<'s> Names<'s> {
    /// Returns the names in a schema.
    pub(super) fn of(schema: &'s Value) -> Self {
        let mut names = Self { root: schema, named: HashMap::new(), published: None };
        names.look(schema, &mut Counts::default());
        names
    }

    /// Adds the names in the published schema, which the other one refers to.
    pub(super) fn add_published(&mut self, published: &'s Value) {
        self.published = Some(published);
        self.look(published, &mut Counts::default());
    }

    /// Returns what a reference that stands in `root` refers to, and in which document that stands.
    pub(super) fn referred(&self, root: &'s Value, reference: &str) -> Option<(&'s Value, &'s Value)> {
        let (base, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let base = match base {
            "" => root,
            PUBLISHED if self.published.is_some() => self.published?,
            name => self.named.get(segment(name)).copied()?,
        };
        let root =
            if std::ptr::eq(base, self.root) || self.published.is_some_and(|published| std::ptr::eq(base, published)) {
                base
            } else {
                root
            };
        let found = match fragment {
            "" => base,
            pointer if pointer.starts_with('/') => base.pointer(&percent_decode_str(pointer).decode_utf8_lossy())?,
            name => self.named.get(name).copied()?,
        };
        Some((found, root))
    }

    /// Counts what is written, and notes what has a name.
    fn look(&mut self, value: &'s Value, counts: &mut Counts) {
        counts.values += 1;
        match value {
            _ if counts.values > MOST_VALUES => {}
            Value::Array(items) => items.iter().for_each(|item| self.look(item, counts)),
            Value::Object(map) => {
                for name in NAMES.iter().filter_map(|word| map.get(*word)?.as_str()) {
                    self.named.entry(segment(name)).or_insert(value);
                }
                let mut pattern = |text: &str| {
                    counts.patterns += 1;
                    counts.letters += text.len();
                };
                map.get("pattern").and_then(Value::as_str).map(&mut pattern);
                let names = map.get("patternProperties").and_then(Value::as_object);
                names.into_iter().flat_map(serde_json::Map::keys).for_each(|text| pattern(text));
                map.values().for_each(|item| self.look(item, counts));
            }
            _ => {}
        }
    }
}

impl<'s> Measure<'s> {
    /// Returns the size of a part; none where it is too deep.
    fn follow(&mut self, value: &'s Value, depth: usize) -> Option<Size> {
        if depth > DEEPEST {
            return None;
        }
        let parts: Vec<&'s Value> = match value {
            Value::Array(items) => items.iter().collect(),
            Value::Object(map) => {
                let references = REFERENCES.iter().filter_map(|word| map.get(*word)?.as_str());
                let referred = |reference| Some(self.names.referred(self.names.root, reference)?.0);
                references.filter_map(referred).chain(map.values()).collect()
            }
            _ => return Some(Size { values: 1, height: 1 }),
        };
        match self.known.insert(value, Part::Under) {
            // It leads back to itself.
            Some(Part::Under) => {
                self.returns = true;
                return Some(Size { values: 1, height: 1 });
            }
            Some(done @ Part::Done(size)) => {
                self.known.insert(value, done);
                return Some(size);
            }
            None => {}
        }
        let mut whole = Size { values: 1, height: 1 };
        for part in parts {
            let size = self.follow(part, depth + 1)?;
            whole.values = whole.values.saturating_add(size.values);
            whole.height = whole.height.max(size.height + 1);
        }
        self.known.insert(value, Part::Done(whole));
        Some(whole)
    }
}

/// Returns the last segment of a name, which is all that tells names in one schema apart.
fn segment(name: &str) -> &str {
    let bare = name.trim_end_matches('#').trim_end_matches('/');
    bare.rsplit(['/', '#', ':']).next().unwrap_or(bare)
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::contract::schema::Schema;

    /// A schema of definitions `a0`, `a1`, …, each made from the name of the next one.
    fn chain(length: usize, definition: impl Fn(&str) -> Value) -> Value {
        let mut definitions: Map<String, Value> =
            (0..length).map(|at| (format!("a{at}"), definition(&format!("a{}", at + 1)))).collect();
        definitions.insert(format!("a{length}"), json!({"type": "string"}));
        json!({"properties": {"x": {"$ref": "#/$defs/a0"}}, "$defs": definitions})
    }

    fn complaint(schema: &Value) -> String {
        // What is refused is refused before it is compiled, by every door.
        let told = Schema::compile(schema).expect_err("too much").message;
        assert_eq!(Schema::published(schema).expect_err("too much").message, told);
        assert_eq!(measure(schema).expect_err("too much").message, told);
        told
    }

    #[test]
    fn references_that_multiply_are_refused_by_any_name() {
        let pointers =
            |next: &str| json!({"allOf": [{"$ref": format!("#/$defs/{next}")}, {"$ref": format!("#/%24defs/{next}")}]});
        let ids = |next: &str| json!({"allOf": [{"$ref": next}, {"$ref": format!("#{next}")}]});
        let mut named = chain(40, ids);
        for (name, definition) in named["$defs"].as_object_mut().expect("a map") {
            definition["$id"] = json!(format!("https://example.com/{name}"));
            definition["$anchor"] = json!(name);
        }
        for schema in [chain(40, pointers), named] {
            assert!(complaint(&schema).contains("multiply"), "{schema}");
        }
        // The control: a few are fine, and so is one that leads back to itself.
        let few = Schema::compile(&chain(5, pointers)).expect("a schema");
        assert!(few.fits(&json!({"x": "a"})) && !few.fits(&json!({"x": 1})));
        let tree = json!({"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}, "n": {"type": "integer"}}});
        let tree = Schema::compile(&tree).expect("a schema");
        assert!(
            tree.fits(&json!({"left": {"right": {"n": 1}}})) && !tree.fits(&json!({"left": {"right": {"n": "1"}}}))
        );
    }

    #[test]
    fn a_chain_of_references_takes_no_stack() {
        let chained = chain(30_000, |next| json!({"$ref": format!("#/$defs/{next}")}));
        assert!(complaint(&chained).contains("deeply"));
        // In the other order, where each is known before it is referred to.
        let mut backwards: Vec<_> = chained["$defs"].as_object().expect("a map").clone().into_iter().collect();
        backwards.reverse();
        let backwards = json!({"$defs": Map::from_iter(backwards), "properties": chained["properties"]});
        assert!(complaint(&backwards).contains("deeply"));
        // The control: what is within the bound is compiled, on the small stack of a test's thread.
        let within = chain(DEEPEST - 10, |next| json!({"$ref": format!("#/$defs/{next}")}));
        let within = Schema::compile(&within).expect("a schema");
        assert!(within.fits(&json!({"x": "a"})) && !within.fits(&json!({"x": 1})));
    }

    #[test]
    fn expressions_are_bounded_in_number_and_length() {
        let many: Map<String, Value> =
            (0..=MOST_PATTERNS).map(|at| (format!("p{at}"), json!({"pattern": "\\w{200}"}))).collect();
        assert!(complaint(&json!({"properties": many})).contains("regular expressions"));
        let names: Map<String, Value> = (0..=MOST_PATTERNS).map(|at| (format!("^{at}"), json!(true))).collect();
        assert!(complaint(&json!({"patternProperties": names})).contains("regular expressions"));
        assert!(complaint(&json!({"pattern": "a".repeat(LONGEST_PATTERNS + 1)})).contains("longer"));
        // An input may be called `pattern`.
        assert!(Schema::compile(&json!({"properties": {"pattern": {"type": "string"}}})).is_ok());
    }

    #[test]
    fn a_schema_with_everything_in_it_is_refused() {
        let options: Vec<_> = (0..=MOST_VALUES).collect();
        assert!(complaint(&json!({"enum": options})).contains("values"));
        assert!(Schema::compile(&json!({"enum": &options[..2000]})).is_ok());
    }

    #[test]
    fn an_expression_that_goes_back_and_forth_is_given_up() {
        // With a look ahead it is not one of linear time, and on this text it would take 2^40 steps.
        let schema = Schema::published(&json!({"pattern": "^(?=a)(a+)+\\1$"})).expect("a schema");
        assert!(!schema.fits(&json!(format!("{}b", "a".repeat(40)))));
        assert!(schema.fits(&json!("aa")));
        // In a workflow's own schema there are none.
        assert!(Schema::compile(&json!({"pattern": "^(?=a)(a+)+\\1$"})).is_err());
    }
}
