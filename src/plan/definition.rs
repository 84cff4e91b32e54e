//! The digest of a step: of what the file says of it, of its contract, and of the data that it reads and that is known before the run.
//!
//! `resume --update` runs a step anew whose digest has changed. What changes no result is not in it: texts for people, timeouts, how often to
//! look, estimates. Nor are secrets, which are rotated: a new key is no reason to pay again.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{PlannedStep, Work, references::Names};
use crate::{
    id::Digest,
    spec::Document,
    template::{Reference, Root},
};

/// Returns the digest of each step.
pub(super) fn digests(document: &Document, names: &Names<'_>, steps: &[PlannedStep]) -> Vec<Digest> {
    let mut contracts = std::collections::HashMap::new();
    steps.iter().map(|step| digest(document, names, step, &mut contracts)).collect()
}

fn digest(
    document: &Document,
    names: &Names<'_>,
    step: &PlannedStep,
    contracts: &mut std::collections::HashMap<*const crate::contract::Checker, Digest>,
) -> Digest {
    let written = document.definitions.get(&step.id);
    let mut data: BTreeMap<String, &Value> = BTreeMap::new();
    let mut note = |reference: &Reference| {
        let Some(key) = reference.key() else { return };
        let (root, value) = match reference.root {
            Root::Inputs => ("inputs", names.facts.inputs.get(key)),
            Root::Vars => ("vars", names.known_vars.get(key)),
            _ => return,
        };
        if let Some(value) = value {
            data.insert(format!("{root}.{key}"), value);
        }
    };
    let (mut trees, mut target) = (Vec::new(), None);
    match &step.work {
        Work::Run { provider, contract, inputs, operation, .. } => {
            trees.extend(inputs.iter().chain(operation).map(|input| &input.tree));
            let own = contracts.entry(std::sync::Arc::as_ptr(contract)).or_insert_with(|| {
                Digest::of(&serde_json::to_vec(contract.contract()).expect("a contract is plain data"))
            });
            target = Some((provider, *own));
        }
        Work::Set(tree) => trees.push(tree),
    }
    trees.extend(&step.save);
    trees.iter().flat_map(|tree| tree.references()).for_each(|(_, reference)| note(reference));
    step.when.iter().flat_map(crate::template::Template::references).for_each(note);
    Digest::of(&serde_json::to_vec(&(written, target, data)).expect("these are plain data"))
}
