//! The digest of a step: of what the file says of it, of its contract, and of the data that it reads and that is known before the run. A var
//! of which that is not known, as it reads `run` or stands for a file, counts as it is written, with what it reads.
//!
//! `resume --update` runs a step anew whose digest has changed. What changes no result is not in it: texts for people, timeouts, how often to
//! look, estimates. Nor are secrets, which are rotated: a new key is no reason to pay again.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde_json::Value;

use super::{PlannedStep, Work, references::Names};
use crate::{
    id::Digest,
    spec::Document,
    template::{Reference, Root},
    tree::Tree,
};

/// Returns the digest of each step.
pub(super) fn digests(
    document: &Document,
    names: &Names<'_>,
    vars: &IndexMap<String, Tree>,
    steps: &[PlannedStep],
) -> Vec<Digest> {
    let mut contracts = std::collections::HashMap::new();
    steps.iter().map(|step| digest(document, names, vars, step, &mut contracts)).collect()
}

fn digest(
    document: &Document,
    names: &Names<'_>,
    vars: &IndexMap<String, Tree>,
    step: &PlannedStep,
    contracts: &mut std::collections::HashMap<*const crate::contract::Checker, Digest>,
) -> Digest {
    let written = document.definitions.get(&step.id);
    let mut data = BTreeMap::new();
    let mut note = |reference: &Reference| note(document, names, vars, reference, &mut data);
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
    trees.extend(step.save.as_ref().and_then(super::SavePath::template));
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

/// Notes the data behind a reference.
fn note<'a>(
    document: &'a Document,
    names: &'a Names<'_>,
    vars: &IndexMap<String, Tree>,
    reference: &Reference,
    data: &mut BTreeMap<String, &'a Value>,
) {
    let Some(key) = reference.key() else { return };
    match reference.root {
        Root::Inputs => {
            if let Some(value) = names.facts.inputs.get(key) {
                data.insert(format!("inputs.{key}"), value);
            }
        }
        Root::Vars => {
            if let Some(value) = names.known_vars.get(key).filter(|_| !names.file_vars.contains_key(key)) {
                data.insert(format!("vars.{key}"), value);
            } else if let (Some(tree), Some(written)) = (vars.get(key), document.workflow.vars.get(key))
                && data.insert(format!("written.{key}"), written).is_none()
            {
                tree.references().for_each(|(_, reference)| note(document, names, vars, reference, data));
            }
        }
        _ => {}
    }
}
