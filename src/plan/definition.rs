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
    let (mut trees, mut targets, mut nested) = (Vec::new(), Vec::new(), Vec::new());
    for work in std::iter::once(&step.work).chain(step.fallback.iter().map(|entry| &entry.work)) {
        match work {
            Work::Run { provider, contract, inputs, operation, .. } => {
                trees.extend(inputs.iter().chain(operation).map(|input| &input.tree));
                let own = contracts.entry(std::sync::Arc::as_ptr(contract)).or_insert_with(|| {
                    Digest::of(&serde_json::to_vec(contract.contract()).expect("a contract is plain data"))
                });
                targets.push((provider, *own));
            }
            Work::Set(tree) => trees.push(tree),
            Work::Workflow { plan, inputs, .. } => {
                trees.extend(inputs.iter().map(|input| &input.tree));
                nested.push(plan.digest);
            }
        }
    }
    trees.extend(&step.save);
    for (_, template) in step.fan_out.iter().flat_map(super::FanOut::templates) {
        template.references().iter().for_each(&mut note);
    }
    trees.iter().flat_map(|tree| tree.references()).for_each(|(_, reference)| note(reference));
    step.when.iter().flat_map(crate::template::Template::references).for_each(note);
    // One target, and no workflow, in the form of before there were several: its digest stays.
    let text = match (targets.as_slice(), nested.is_empty()) {
        ([], true) => serde_json::to_vec(&(written, None::<()>, data)),
        ([target], true) => serde_json::to_vec(&(written, Some(target), data)),
        _ => serde_json::to_vec(&(written, targets, nested, data)),
    };
    Digest::of(&text.expect("these are plain data"))
}
