//! A value with templates in it, compiled once: `inputs`, `set`, `outputs` and the like.
//!
//! Lists and maps without a template in them stay one literal, so that rendering copies them whole and checks can look at them.

use std::collections::VecDeque;

use indexmap::IndexMap;
use serde_json::Value;

use crate::{
    source::Pointer,
    template::{Reference, Root, Scope, Template, TemplateError, TemplateErrorKind, mentions},
};

/// A value with templates in it.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// A value without a template.
    Literal(Value),
    /// A string with a template in it.
    Template {
        /// The template.
        template: Template,
        /// Where it is written.
        pointer: Pointer,
    },
    /// A list with a template somewhere in it.
    List(Vec<Tree>),
    /// A map with a template somewhere in it.
    Map(IndexMap<String, Tree>),
}

impl Tree {
    /// Compiles a value that is written at `pointer`. All errors come back beside the tree, in which null stands for what is
    /// wrong, so that the rest can be checked all the same.
    #[must_use]
    pub fn compile(value: &Value, pointer: &Pointer) -> (Self, Vec<(Pointer, TemplateError)>) {
        let mut errors = Vec::new();
        let tree = compile(value, pointer, &mut errors);
        (tree, errors)
    }

    /// Compiles the value of an entry of a map, which is written at `pointer`, and checks its key, which is never a template.
    #[must_use]
    pub fn compile_entry(key: &str, value: &Value, pointer: &Pointer) -> (Self, Vec<(Pointer, TemplateError)>) {
        let mut errors = Vec::new();
        let tree = entry(key, value, pointer, &mut errors);
        (tree, errors)
    }

    /// Renders every template.
    ///
    /// # Errors
    /// The first thing that went wrong, and where its template is written.
    pub fn render(&self, scope: &Scope) -> Result<Value, (Pointer, TemplateError)> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Template { template, pointer } => template.render(scope).map_err(|error| (pointer.clone(), error)),
            Self::List(items) => {
                items.iter().map(|item| item.render(scope)).collect::<Result<_, _>>().map(Value::Array)
            }
            Self::Map(map) => map
                .iter()
                .map(|(key, item)| Ok((key.clone(), item.render(scope)?)))
                .collect::<Result<_, _>>()
                .map(Value::Object),
        }
    }

    /// Renders what reads only known references; any other template, and one that fails, stays its text.
    #[must_use]
    pub fn partial(&self, is_known: &dyn Fn(&Reference) -> bool, scope: &Scope) -> Value {
        match self {
            Self::Literal(value) => value.clone(),
            Self::Template { template, .. } => {
                let text = || Value::String(template.text().to_owned());
                if template.references().iter().all(is_known) {
                    template.render(scope).unwrap_or_else(|_| text())
                } else {
                    text()
                }
            }
            Self::List(items) => Value::Array(items.iter().map(|item| item.partial(is_known, scope)).collect()),
            Self::Map(map) => {
                Value::Object(map.iter().map(|(key, item)| (key.clone(), item.partial(is_known, scope))).collect())
            }
        }
    }

    /// Returns the value with the text of every template in its place.
    #[must_use]
    pub fn written(&self) -> Value {
        match self {
            Self::Literal(value) => value.clone(),
            Self::Template { template, .. } => Value::String(template.text().to_owned()),
            Self::List(items) => items.iter().map(Self::written).collect(),
            Self::Map(map) => Value::Object(map.iter().map(|(key, item)| (key.clone(), item.written())).collect()),
        }
    }

    /// Returns every template with the place where it is written, in the order of the file.
    pub fn templates(&self) -> impl Iterator<Item = (&Pointer, &Template)> {
        let mut rest = VecDeque::from([self]);
        std::iter::from_fn(move || {
            loop {
                match rest.pop_front()? {
                    Self::Literal(_) => {}
                    Self::Template { template, pointer } => return Some((pointer, template)),
                    Self::List(items) => items.iter().rev().for_each(|item| rest.push_front(item)),
                    Self::Map(map) => map.values().rev().for_each(|item| rest.push_front(item)),
                }
            }
        })
    }

    /// Returns everything that the templates read, in the order of the file.
    pub fn references(&self) -> impl Iterator<Item = (&Pointer, &Reference)> {
        self.templates()
            .flat_map(|(pointer, template)| template.references().iter().map(move |reference| (pointer, reference)))
    }

    /// Returns the value, where there is no template in it.
    #[must_use]
    pub fn literal(&self) -> Option<&Value> {
        match self {
            Self::Literal(value) => Some(value),
            _ => None,
        }
    }

    /// Says whether there is no template in it.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        self.literal().is_some()
    }

    /// Says whether a template reads `secrets`. A secret input is for the caller to know: see [`Tree::references`].
    #[must_use]
    pub fn mentions_secret(&self) -> bool {
        self.references().any(|(_, reference)| reference.root == Root::Secrets)
    }
}

fn compile(value: &Value, pointer: &Pointer, errors: &mut Vec<(Pointer, TemplateError)>) -> Tree {
    match value {
        Value::String(text) if mentions(text) => match Template::compile(text) {
            Ok(template) => Tree::Template { template, pointer: pointer.clone() },
            Err(found) => {
                errors.extend(found.into_iter().map(|error| (pointer.clone(), error)));
                Tree::Literal(Value::Null)
            }
        },
        Value::Array(items) => {
            let items: Vec<_> =
                items.iter().enumerate().map(|(index, item)| compile(item, &pointer.join(index), errors)).collect();
            if items.iter().all(Tree::is_constant) {
                Tree::Literal(Value::Array(items.into_iter().map(constant).collect()))
            } else {
                Tree::List(items)
            }
        }
        Value::Object(map) => {
            let mut items = IndexMap::with_capacity(map.len());
            for (key, item) in map {
                items.insert(key.clone(), entry(key, item, &pointer.join(key), errors));
            }
            if items.values().all(Tree::is_constant) {
                Tree::Literal(Value::Object(items.into_iter().map(|(key, item)| (key, constant(item))).collect()))
            } else {
                Tree::Map(items)
            }
        }
        other => Tree::Literal(other.clone()),
    }
}

fn entry(key: &str, value: &Value, pointer: &Pointer, errors: &mut Vec<(Pointer, TemplateError)>) -> Tree {
    if mentions(key) {
        let error = TemplateError {
            kind: TemplateErrorKind::InKey,
            message: "a key cannot be a template".to_owned(),
            help: Some("write the key itself, and the template into its value".to_owned()),
            range: 0..key.len(),
        };
        errors.push((pointer.clone(), error));
    }
    compile(value, pointer, errors)
}

fn constant(tree: Tree) -> Value {
    match tree {
        Tree::Literal(value) => value,
        _ => unreachable!("only constant trees are folded"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tree(value: &Value) -> Tree {
        let (tree, errors) = Tree::compile(value, &Pointer::parse("/steps/a/inputs"));
        assert_eq!(errors, []);
        tree
    }

    #[test]
    fn a_tree_renders_with_types_and_order() {
        let tree = tree(&json!({ "z": "{{ inputs.list }}", "a": ["{{ inputs.n }}px", { "k": [1, null] }] }));
        let scope = Scope::new().with(Root::Inputs, &json!({ "list": [1, 2], "n": 3 }));
        let rendered = tree.render(&scope).unwrap();
        assert_eq!(rendered.to_string(), r#"{"z":[1,2],"a":["3px",{"k":[1,null]}]}"#);
        let places: Vec<_> = tree.references().map(|(pointer, reference)| format!("{pointer} {reference}")).collect();
        assert_eq!(places, ["/steps/a/inputs/z inputs.list", "/steps/a/inputs/a/0 inputs.n"]);
    }

    #[test]
    fn constants_are_folded() {
        let value = json!({ "a": [1, { "b": "c" }] });
        assert_eq!(tree(&value), Tree::Literal(value));
        assert!(!tree(&json!(["{{ inputs.a }}"])).is_constant());
    }

    #[test]
    fn all_errors_come_with_their_places_and_the_rest_still_works() {
        let value = json!({ "a": "{{ nope }}", "b": ["{{ inputs.x | uper }}", "{{ inputs.x }}"], "{{ k }}": 1 });
        let (tree, errors) = Tree::compile(&value, &Pointer::root());
        let found: Vec<_> = errors.iter().map(|(pointer, error)| (pointer.to_string(), error.kind)).collect();
        assert_eq!(
            found,
            [
                ("/a".to_owned(), TemplateErrorKind::UnknownName),
                ("/b/0".to_owned(), TemplateErrorKind::UnknownFilter),
                ("/{{ k }}".to_owned(), TemplateErrorKind::InKey),
            ]
        );
        let scope = Scope::new().with(Root::Inputs, &json!({ "x": 1 }));
        assert_eq!(tree.render(&scope).unwrap()["b"], json!([null, 1]));
    }

    #[test]
    fn what_is_known_is_rendered_early() {
        let tree = tree(&json!(["{{ inputs.x }}", "{{ steps.a.image }}", "{{ inputs.gone }}", "{{ 1 + 1 }}"]));
        let scope = Scope::new().with(Root::Inputs, &json!({ "x": true }));
        let rendered = tree.partial(&|reference| reference.root == Root::Inputs, &scope);
        assert_eq!(rendered, json!([true, "{{ steps.a.image }}", "{{ inputs.gone }}", 2]));
    }

    #[test]
    fn secrets_are_seen_wherever_they_are() {
        assert!(tree(&json!([{ "a": "{{ inputs.x ~ secrets['KEY'] }}" }])).mentions_secret());
        assert!(!tree(&json!("{{ 'secrets.KEY' }}")).mentions_secret());
    }
}
