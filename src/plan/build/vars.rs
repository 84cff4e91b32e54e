//! Vars: checked and rendered as far as they are known before the run, and which of them hold local files.

use indexmap::IndexMap;
use serde_json::Value;

use crate::{
    plan::{
        inputs::Facts,
        references::{Names, Spot},
        room::{Room, too_large},
        site::Site,
        types::Type,
    },
    source::Pointer,
    spec::Document,
    template::{Files, Reference, Root, Scope},
    tree::Tree,
};

/// Checks and renders the vars, each over the inputs and those before it. Returns what templates may read before the run, and the vars as
/// they are written.
pub(super) fn vars<'a>(
    site: &Site<'a>,
    facts: &Facts,
    names: &mut Names<'a>,
    files: &Files,
) -> (Scope, IndexMap<String, Tree>) {
    let mut trees = IndexMap::new();
    let base = Scope::new().with(Root::Inputs, &Value::Object(facts.inputs.clone()));
    let top = Pointer::from_iter(["vars"]);
    let mut room = Room::of_vars();
    for (name, value) in &site.document.workflow.vars {
        let (tree, errors) = Tree::compile_entry(name, value, &top.join(name));
        let mut wrong = !errors.is_empty();
        for (place, error) in &errors {
            site.tell_template(place, error);
        }
        for (place, template) in tree.templates() {
            wrong |= names.check(site, template, place, Spot::Vars, None).wrong;
        }
        let mut known = if wrong { Type::Any } else { names.written(site, value, None, None) };
        // Once they are too large, which is told of the first that makes them so, no more are rendered.
        if !wrong && !room.is_empty() && tree.references().all(|(_, reference)| names.is_known(reference)) {
            // Only those that it reads, so that many vars take linear time.
            let read = tree.references().filter(|(_, reference)| reference.root == Root::Vars);
            let read: serde_json::Map<_, _> = read
                .filter_map(|(_, reference)| names.known_vars.get_key_value(reference.key()?))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            let files = files.fresh();
            let rendered = tree.render(&base.clone().with(Root::Vars, &Value::Object(read)).with_files(&files));
            match rendered.and_then(|value| if room.take(&value) { Ok(value) } else { Err(too_large(top.join(name))) })
            {
                Ok(value) => {
                    let reads_file_var = |(_, reference): (_, &Reference)| {
                        reference.root == Root::Vars
                            && reference.key().is_some_and(|key| names.file_vars.contains_key(key))
                    };
                    if !files.used().is_empty() || tree.references().any(reads_file_var) {
                        names.file_vars.insert(name.clone(), tree.clone());
                    }
                    // What depends on inputs is another in the next run.
                    if !names.record.borrow().derived.contains(name) {
                        known = Type::of_value(&value);
                    }
                    names.known_vars.insert(name.clone(), value);
                }
                Err((place, error)) => site.tell_template(&place, &error),
            }
        } else if !wrong && facts.certain && may_hold_file(names, &tree) {
            names.file_vars.insert(name.clone(), tree.clone());
        }
        names.vars.insert(name.clone(), known);
        trees.insert(name.clone(), tree);
    }
    (base.with(Root::Vars, &Value::Object(names.known_vars.clone())), trees)
}

/// Returns the vars that hold local files, and those that may, as they read inputs whose values come only at the run.
pub(super) fn file_vars(
    document: &Document,
    known: &IndexMap<String, Tree>,
    trees: &IndexMap<String, Tree>,
) -> IndexMap<String, Tree> {
    let inputs = &document.workflow.inputs;
    let mut held: IndexMap<String, Tree> = IndexMap::new();
    for (name, tree) in trees {
        let is_file = |reference: &Reference| match (&reference.root, reference.key()) {
            (Root::Inputs, Some(key)) => inputs.get(key).is_some_and(|input| input.file),
            (Root::Vars, Some(key)) => held.contains_key(key),
            _ => false,
        };
        let may_hold = tree
            .templates()
            .any(|(_, template)| !template.files().is_empty() || template.references().iter().any(is_file));
        if may_hold || known.contains_key(name) {
            held.insert(name.clone(), tree.clone());
        }
    }
    held
}

/// Says whether a var whose value is not known before the run, as it reads `run`, mentions a local file.
fn may_hold_file(names: &Names<'_>, tree: &Tree) -> bool {
    let is_file = |reference: &Reference| match (&reference.root, reference.key()) {
        (Root::Inputs, Some(key)) => names.facts.files.contains(key),
        (Root::Vars, Some(key)) => names.file_vars.contains_key(key),
        _ => false,
    };
    tree.templates().any(|(_, template)| !template.files().is_empty() || template.references().iter().any(is_file))
}
