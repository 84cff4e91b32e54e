//! How the steps that a template reads have surely ended where it is rendered, and what a `when` has asked about before.

use serde_json::Value;

use super::Walk;
use crate::{
    plan::{
        graph::StepIx,
        references::{Names, Spot, is_fan},
        site::Site,
        unused::mentioned,
    },
    spec::{OnError, Step, Trigger},
    template::{Expression, Kind, Reference, Root, Segment, Template},
};

impl Walk<'_, '_> {
    /// Returns the step of which an expression reads a field, where it surely has succeeded.
    pub(super) fn after_success_of(&self, expression: &Expression, field: &str) -> Option<String> {
        let reference = self.template.reference_at(expression.range.start);
        reference.filter(|_| expression.kind == Kind::Reference).and_then(|it| self.read_after_success(it, field))
    }

    /// Returns the step of which a reference reads a field, where it surely has succeeded.
    pub(super) fn read_after_success(&self, reference: &Reference, field: &str) -> Option<String> {
        let [Segment::Key(id), Segment::Key(read)] = reference.path.as_slice() else { return None };
        let found = self.names.by_id.get(id.as_str()).filter(|_| reference.root == Root::Steps && read == field)?;
        self.has_succeeded(*found).then(|| id.clone())
    }

    /// Says whether a step may have no result where this template is rendered.
    pub(super) fn may_lack_result(&self, found: StepIx) -> bool {
        !is_fan(self.names.steps[found.index()].step) && self.succeeded(found) == Some(false)
    }

    /// Says whether an item of a step may have no result where this template is rendered.
    pub(super) fn may_lack_items(&self, found: StepIx) -> bool {
        self.succeeded(found) != Some(true) || judges_items(self.names.steps[found.index()].step)
    }

    /// Says whether a step surely succeeded, as a whole and without a failure that was handled, where this template is rendered.
    pub(super) fn has_succeeded(&self, found: StepIx) -> bool {
        self.succeeded(found) == Some(true)
    }

    /// Says whether a step surely succeeded where this template is rendered; nothing where that is not known.
    pub(super) fn succeeded(&self, found: StepIx) -> Option<bool> {
        let read = self.names.steps[found.index()].step;
        let is_handled = read.on_error.or(self.site.document.workflow.defaults.on_error) == Some(OnError::Continue);
        let is_final = |step: &Step| self.site.document.workflow.finally.values().any(|one| std::ptr::eq(one, step));
        match (self.step, self.spot) {
            (Some(step), Some(_)) if is_final(step) => Some(false),
            (Some(step), Some(_)) => Some(step.trigger == Trigger::AllSucceeded && !is_handled),
            (None, Some(Spot::Outputs)) => Some(!is_handled && !self.names.may_be_skipped(found)),
            _ => None,
        }
    }
}

/// Returns what to write where a step is read only once it has succeeded, and something else was meant.
pub(super) fn after_success(id: &str, in_step: bool) -> String {
    let here = if in_step { "`trigger: all_done` here, or " } else { "" };
    format!("this is read only where `{id}` has succeeded: write {here}`on_error: continue` in `{id}`")
}

/// Says whether a step judges its `when` for each item, so that some may have no result though the step succeeded.
pub(super) fn judges_items(step: &Step) -> bool {
    let when = step.when.as_deref().and_then(|when| Template::expression(when).ok());
    when.is_some_and(|when| when.references().iter().any(|it| matches!(it.root, Root::Item | Root::Index)))
}

/// Says whether a step that succeeded has surely run for more than one item.
pub(in crate::plan) fn gives_several(step: &Step) -> bool {
    let length = |value: &Value| match value {
        Value::Array(items) => items.len(),
        Value::Object(map) => map.len(),
        _ => 0,
    };
    let count = match (&step.foreach, &step.matrix) {
        (Some(each), _) => length(each),
        (None, Some(lists)) => {
            let lists = lists.iter().filter(|(name, _)| !name.starts_with("x-"));
            lists.map(|(_, list)| if list.is_array() { length(list) } else { 0 }).product()
        }
        (None, None) => 0,
    };
    count > 1 && !judges_items(step)
}

impl<'a> Names<'a> {
    /// Says whether a `when` asks about what a reference reads, so that whoever wrote it has thought of null: about a step or an item
    /// the `when` of the reader, about an input that of any step, as those that wait for it are skipped with it.
    pub(in crate::plan) fn is_asked_for(
        &self,
        site: &Site<'a>,
        spot: Option<Spot>,
        step: Option<&Step>,
        reference: &Reference,
        depth: usize,
    ) -> bool {
        let Some(step) = step.filter(|_| spot != Some(Spot::When)) else { return false };
        if reference.root == Root::Item {
            let asks = |asked: &Reference| {
                asked.root == Root::Item && (asked.path.is_empty() && depth == 0 || asked.key() == reference.key())
            };
            let when = step.when.as_deref().and_then(|when| Template::expression(when).ok());
            return when.is_some_and(|when| when.references().iter().any(asks));
        }
        let Some(key) = reference.key() else { return false };
        match reference.root {
            Root::Steps => {
                let asks =
                    |step: &Step| step.when.as_deref().is_some_and(|when| mentioned(when).contains(&("steps", key)));
                asks(step) || step.trigger == Trigger::AllSucceeded && self.needed_by(step).into_iter().any(asks)
            }
            Root::Vars => step.when.as_deref().is_some_and(|when| mentioned(when).contains(&("vars", key))),
            Root::Inputs => {
                let asked = self.asked.get_or_init(|| {
                    let whens = site.document.workflow.steps.values().filter_map(|step| step.when.as_deref());
                    let names = whens.flat_map(mentioned).filter(|(root, _)| *root == "inputs");
                    names.map(|(_, name)| name.to_owned()).collect()
                });
                asked.contains(key)
            }
            _ => false,
        }
    }

    /// Returns the steps that a step reads or names under `needs`: where one of them is skipped, it is skipped with it.
    pub(super) fn needed_by(&self, step: &Step) -> Vec<&'a Step> {
        let Some(index) = self.steps.iter().position(|seen| std::ptr::eq(seen.step, step)) else { return Vec::new() };
        let record = self.record.borrow();
        let read = record.edges.iter().filter(|(reader, _)| reader.index() == index).map(|(_, read)| *read);
        let named = step.needs.iter().filter_map(|id| self.by_id.get(id.as_str()).copied());
        read.chain(named).map(|needed| self.steps[needed.index()].step).collect()
    }

    /// Says whether a step may be skipped in a run that succeeds: by its own `when`, or with a step that it waits for. Only asked when all
    /// steps were checked.
    pub(super) fn may_be_skipped(&self, step: StepIx) -> bool {
        let skipped = self.skipped.get_or_init(|| {
            let mut skipped: Vec<bool> = self.steps.iter().map(|seen| seen.step.when.is_some()).collect();
            let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); self.steps.len()];
            for &(step, needed) in &self.record.borrow().edges {
                dependents[needed.index()].push(step.index());
            }
            for (index, seen) in self.steps.iter().enumerate() {
                for needed in seen.step.needs.iter().filter_map(|id| self.by_id.get(id.as_str())) {
                    dependents[needed.index()].push(index);
                }
            }
            let mut rest: Vec<usize> = (0..skipped.len()).filter(|&index| skipped[index]).collect();
            while let Some(index) = rest.pop() {
                for &dependent in &dependents[index] {
                    if !skipped[dependent] && self.steps[dependent].step.trigger != Trigger::AllDone {
                        skipped[dependent] = true;
                        rest.push(dependent);
                    }
                }
            }
            skipped
        });
        skipped[step.index()]
    }
}
