//! Which steps surely do nothing with the inputs that are given: what their templates would do with those is no mistake of the file.
//!
//! `when: inputs.n is not none` keeps a step from running that reads `inputs.n + 1`. So where values that are given make something fail, it
//! is found out which steps they keep from running, and the workflow is checked once more: those steps as if nothing were known yet.

use super::{FanOut, graph::Graph, references::Names};
use crate::{
    spec::{Step, Trigger},
    template::{Expression, Kind, Scope, Template},
};

/// What keeps a step from doing anything, if something surely does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// It may run.
    No,
    /// There are no items: it succeeds, and what needs it runs.
    NoItems,
    /// It is skipped, and with it what needs it.
    Skipped,
}

impl Rest {
    /// Finds out what the step's own keys say.
    pub(super) fn of(when: Option<&Template>, fan_out: Option<&FanOut>, names: &Names<'_>, scope: &Scope) -> Self {
        let is_known = |template: &Template| template.references().iter().all(|reference| names.is_known(reference));
        if when.is_some_and(|when| is_false(when, names, scope)) {
            Self::Skipped
        } else if fan_out.is_some_and(|fan_out| fan_out.count(scope, &is_known) == Some(0)) {
            Self::NoItems
        } else {
            Self::No
        }
    }
}

/// Returns which steps do nothing, those that others keep from running among them.
pub(super) fn idle(rests: &[Rest], steps: &[&Step], graph: &Graph, late_from: usize) -> Vec<bool> {
    let mut skipped: Vec<bool> = rests.iter().map(|rest| *rest == Rest::Skipped).collect();
    for &ix in graph.order() {
        let index = ix.index();
        // What stands in `finally` runs whatever happened.
        let Some(step) = steps.get(index).filter(|_| index < late_from) else { continue };
        let mut needs = graph.needs(ix).map(|needed| skipped[needed.index()]).peekable();
        skipped[index] |= needs.peek().is_some()
            && match step.trigger {
                Trigger::AllSucceeded => needs.any(|skipped| skipped),
                Trigger::AnySucceeded => needs.all(|skipped| skipped),
                Trigger::AllDone => false,
            };
    }
    skipped.iter().zip(rests).map(|(skipped, rest)| *skipped || *rest == Rest::NoItems).collect()
}

/// Says whether a `when` is false whatever is not known yet: all of it is known, or one of the terms that `and` joins.
fn is_false(when: &Template, names: &Names<'_>, scope: &Scope) -> bool {
    let [whole] = when.parts() else { return is_known_false(when, names, scope) };
    is_known_false(when, names, scope) || term_is_false(whole, when.text(), names, scope)
}

fn term_is_false(term: &Expression, text: &str, names: &Names<'_>, scope: &Scope) -> bool {
    match &term.kind {
        Kind::And(terms) => term_is_false(&terms.0, text, names, scope) || term_is_false(&terms.1, text, names, scope),
        Kind::Or(terms) => term_is_false(&terms.0, text, names, scope) && term_is_false(&terms.1, text, names, scope),
        _ => {
            let own = text.get(term.range.clone()).and_then(|text| Template::expression(text).ok());
            own.is_some_and(|own| is_known_false(&own, names, scope))
        }
    }
}

fn is_known_false(when: &Template, names: &Names<'_>, scope: &Scope) -> bool {
    when.references().iter().all(|reference| names.is_known(reference)) && when.holds(scope).is_ok_and(|holds| !holds)
}
