//! Whether a value comes from a step's result, followed through vars, items and the inputs of workflows that steps run: what an API answers
//! chooses no file of this machine.
//!
//! A template's own references say so within one workflow ([`PlannedInput::of_results`]). In a workflow that a step runs, it depends on the step
//! which of its inputs hold something of a result; one workflow may be run by several steps.

use std::collections::HashSet;

use super::{FanOut, Plan, PlannedInput, PlannedStep};
use crate::template::{Root, Template};

impl Plan {
    /// Returns those of a step's inputs that something of a result may be part of, where these inputs of the workflow itself may be.
    #[must_use]
    pub fn of_results<'i>(
        &self,
        step: &PlannedStep,
        inputs: &'i [PlannedInput],
        own: &HashSet<String>,
    ) -> HashSet<&'i str> {
        let mut vars = HashSet::new();
        for (name, tree) in &self.var_trees {
            if tree.templates().any(|(_, template)| reads(template, own, &vars)) {
                vars.insert(name.clone());
            }
        }
        let items = step.fan_out.iter().flat_map(FanOut::templates);
        let of_items = items.into_iter().any(|(_, template)| reads(template, own, &vars));
        let is_of_results = |input: &&PlannedInput| {
            input.of_results
                || input.tree.templates().any(|(_, template)| reads(template, own, &vars))
                || of_items && input.tree.references().any(|(_, reference)| reference.root == Root::Item)
        };
        inputs.iter().filter(is_of_results).map(|input| input.port.as_str()).collect()
    }
}

/// Says whether a template reads one of these inputs or vars.
pub(super) fn reads(template: &Template, inputs: &HashSet<String>, vars: &HashSet<String>) -> bool {
    template.references().iter().any(|reference| {
        let among = |names: &HashSet<String>| reference.key().map_or(!names.is_empty(), |key| names.contains(key));
        match reference.root {
            Root::Inputs => among(inputs),
            Root::Vars => among(vars),
            _ => false,
        }
    })
}
