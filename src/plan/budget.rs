//! The bound on what a run may spend, seen before the run: where it surely does not reach, nobody should have to find out by paying for
//! the first half.
//!
//! Only what is sure is told: steps that nothing can keep from running, at credits that somebody says. The engine reserves the same
//! figures, so a plan that is warned of here stops there, unless a job is charged less than its published cost.

use super::{
    Plan, PlannedStep, Work,
    preview::{known_scope, verdict},
    site::{At, Site},
};
use crate::{
    diagnostic::{Code, Diagnostic},
    source::Pointer,
    spec::Budget,
};

/// Warns where the steps that surely run cost more credits than the budget has.
pub(super) fn check(site: &Site<'_>, plan: &Plan) {
    let Budget { credits: Some(most), .. } = plan.budget else { return };
    let sure = sure(plan);
    let paid: Vec<_> = sure.filter(|step| step.credits.is_some_and(|credits| credits > 0.0)).collect();
    let sum: f64 = paid.iter().filter_map(|step| step.credits).sum();
    // Ten times 0.1 is 1, whatever its last bits are.
    let cost = (sum * 1e6).round() / 1e6;
    if cost <= most {
        return;
    }
    let costs = match paid[..] {
        [step] => format!("the step `{}` costs about", step.id),
        _ => "the steps that surely run cost at least".to_owned(),
    };
    let message = format!("{costs} {cost} credits, and the budget is {most}");
    let diagnostic = Diagnostic::warning(Code::BudgetTooSmall, message).help(format!(
        "a submit that would pass the budget is not sent, and its step fails: raise it to {cost} or more, or run fewer steps"
    ));
    let at = Pointer::from_iter(["budget", "credits"]);
    site.tell(site.at(diagnostic, &At::Value(&at), "not enough"));
}

/// Returns the steps that nothing but a failure can keep from running: no `when` that may be false, here or in what they need.
fn sure(plan: &Plan) -> impl Iterator<Item = &PlannedStep> {
    let scope = known_scope(plan);
    let mut sure = vec![false; plan.steps().len()];
    for &ix in plan.order() {
        let step = plan.step(ix);
        // How many items there are is known only then, or is some number: one of them at least is not sure.
        let whole = step.fan_out.is_none() && step.cache.is_none() && !matches!(step.work, Work::Workflow { .. });
        let runs = whole && step.when.as_ref().is_none_or(|when| verdict(plan, when, &scope) == Some(true));
        sure[ix.index()] = runs && plan.needs(ix).all(|needed| sure[needed.index()]);
    }
    plan.steps().iter().zip(sure).filter_map(|(step, sure)| sure.then_some(step))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::{
        diagnostic::Code,
        job::TargetKind,
        plan::{Budget, Given, Offer, plan},
        source::Source,
        spec,
    };

    /// Plans two models of 70 and 210 credits, the second with this `when`, and returns the budget and what was warned of.
    fn warned(budget: &str, when: &str) -> (Budget, Vec<Code>) {
        let text = format!(
            "{budget}
inputs: {{ clip: {{ type: boolean, default: false }} }}
steps:
  draw: {{ model: acme/draw, estimate: {{ credits: 70 }} }}
  clip: {{ model: acme/clip, estimate: {{ credits: 210 }}, needs: [draw], when: {when} }}
  last: {{ model: acme/draw, needs: [clip] }}
"
        );
        let (document, told) = spec::load(Arc::new(Source::new("test.yaml", text)), "test");
        assert_eq!(told, []);
        let document = Arc::new(document.expect("a document"));
        let outcome = plan(&document, Some(&Given::default()), &[Offer::new("armox", &[TargetKind::Model])]);
        let plan = outcome.plan.expect("a plan");
        let codes = plan.warnings().iter().map(|warning| warning.code).filter(|code| *code == Code::BudgetTooSmall);
        (plan.budget, codes.collect())
    }

    #[test]
    fn what_surely_costs_more_than_the_budget_is_told() {
        let warned = |budget: &str, when: &str| warned(budget, when).1;
        assert_eq!(warned("budget: { credits: 279.5 }", "true"), [Code::BudgetTooSmall]);
        assert_eq!(warned("budget: { credits: 280 }", "true"), [], "the last step's credits are not known");
        assert_eq!(warned("budget: { credits: 100 }", "not inputs.clip"), [Code::BudgetTooSmall], "known to run");
        assert_eq!(warned("budget: { credits: 100 }", "inputs.clip"), [], "known not to run");
        assert_eq!(warned("budget: { credits: 100 }", "steps.draw.image != ''"), [], "nobody knows yet");
        assert_eq!(warned("budget: { credits: 60 }", "inputs.clip"), [Code::BudgetTooSmall], "by one step alone");
        assert_eq!(warned("budget: { tokens: 1 }", "true"), []);
        assert_eq!(warned("", "true"), []);
    }

    #[test]
    fn a_plan_has_the_budget_as_it_is_written() {
        let budget = Budget { credits: Some(500.5), tokens: Some(5_000_000_000) };
        assert_eq!(warned("budget: { credits: 500.5, tokens: 5000000000 }", "true").0, budget);
        assert_eq!(warned("", "true").0, Budget::default());
    }
}
