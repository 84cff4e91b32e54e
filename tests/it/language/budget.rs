//! `budget` and `estimate`: what is reserved before a submit, what is charged after it, and what is no longer sent.

use dagwood::journal::event::RunStatus;
use serde_json::json;

use super::takes;
use crate::scripted::{Behaviour, Bench, Outcome};

/// Runs six items at once under a budget; each job is charged 10 credits.
async fn six(budget: &str, more: &str, model: Behaviour) -> Outcome {
    let yaml = format!(
        "budget: {budget}\ndefaults: {{ poll: 10ms }}\nsteps: {{ a: {{ foreach: '{{{{ range(6) | list }}}}', {more} model: m, inputs: {{ prompt: '{{{{ item }}}}' }} }} }}"
    );
    Bench::new().model("m", model).run(&yaml).await
}

#[tokio::test(start_paused = true)]
async fn what_is_reserved_counts_so_that_no_submit_passes_the_budget() {
    let outcome = six("{ credits: 25 }", "", takes(200)).await;
    assert_eq!((outcome.state.status, outcome.accepted["m"], outcome.peak), (RunStatus::Failed, 2, 2));
    assert!(outcome.error("a").starts_with("budget_exceeded: "), "{}", outcome.error("a"));
    // The control.
    let outcome = six("{ credits: 60 }", "", takes(200)).await;
    assert_eq!((outcome.state.status, outcome.accepted["m"], outcome.peak), (RunStatus::Succeeded, 6, 6));
}

#[tokio::test(start_paused = true)]
async fn jobs_of_unknown_cost_go_one_at_a_time_and_one_at_most_passes_the_budget() {
    // The charge is in the answer, which comes when the job is done.
    let unknown = || Behaviour { cost: None, sync: true, ..takes(200) };
    let outcome = six("{ credits: 25 }", "", unknown()).await;
    // 10, 20, and the one that passes it.
    assert_eq!((outcome.state.status, outcome.accepted["m"], outcome.peak), (RunStatus::Failed, 3, 1));
    assert!(outcome.error("a").starts_with("budget_exceeded: "), "{}", outcome.error("a"));
    // The control: where no credits are counted nothing waits, but for the few that leave before the first answer.
    let outcome = six("{ tokens: 1000 }", "", unknown()).await;
    assert_eq!((outcome.state.status, outcome.accepted["m"]), (RunStatus::Succeeded, 6));
    assert!(outcome.peak > 1, "{}", outcome.peak);
}

#[tokio::test(start_paused = true)]
async fn an_estimate_counts_only_where_the_contract_names_no_cost() {
    let unknown = || Behaviour { cost: None, ..takes(200) };
    let outcome = six("{ credits: 60 }", "estimate: { credits: 10 },", unknown()).await;
    assert_eq!((outcome.state.status, outcome.peak), (RunStatus::Succeeded, 6), "known, so none waits");
    let outcome = six("{ credits: 60 }", "estimate: { credits: 61 },", unknown()).await;
    assert_eq!((outcome.state.status, outcome.submits.len()), (RunStatus::Failed, 0));
    let outcome = six("{ credits: 60 }", "estimate: { credits: 61 },", takes(200)).await;
    assert_eq!((outcome.state.status, outcome.accepted["m"]), (RunStatus::Succeeded, 6), "the contract says 10");
}

#[tokio::test(start_paused = true)]
async fn tokens_that_were_used_stop_the_next_submit() {
    let talks = || Behaviour { tokens: Some(40), ..takes(200) };
    let outcome = six("{ tokens: 100 }", "max_parallel: 1,", talks()).await;
    // 40, 80, 120: known only afterwards.
    assert_eq!((outcome.state.status, outcome.accepted["m"]), (RunStatus::Failed, 3));
    assert!(outcome.error("a").starts_with("budget_exceeded: "), "{}", outcome.error("a"));
    let outcome = six("{ tokens: 240 }", "max_parallel: 1,", talks()).await;
    assert_eq!((outcome.state.status, outcome.accepted["m"]), (RunStatus::Succeeded, 6), "the control");
}

#[tokio::test(start_paused = true)]
async fn a_workflow_in_the_workflow_spends_the_budget_of_the_run() {
    let part = "budget: { credits: 1000 }\nsteps: { b: { model: m, inputs: { prompt: b } } }";
    let outcome = Bench::new()
        .model("m", takes(200))
        .file("part.yaml", part.as_bytes())
        .run("budget: { credits: 25 }\nsteps: { a: { foreach: [1, 2, 3], workflow: part.yaml } }")
        .await;
    assert_eq!((outcome.state.status, outcome.accepted["m"]), (RunStatus::Failed, 2));
    let failed: Vec<_> =
        outcome.state.steps.iter().filter_map(|step| step.error.as_ref()).map(|error| error.kind).collect();
    assert!(failed.iter().any(|kind| json!(kind) == "budget_exceeded"), "{failed:?}");
}
