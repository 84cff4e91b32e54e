//! `concurrency.group`: the lock of a workflow holds wherever it is run, also by who says nothing of it.

use dagwood::journal::event::RunStatus;

use super::takes;
use crate::scripted::Bench;

#[tokio::test(start_paused = true)]
async fn a_run_has_the_group_that_its_workflow_names() {
    let steps = "name: launch\nvars: { of: 'of {{ run.name }}' }\nsteps: { a: { model: m, inputs: { prompt: a } } }";
    let bench = || Bench::new().model("m", takes(100));
    let outcome = bench().run(&format!("concurrency: {{ group: 'posters {{{{ vars.of }}}}' }}\n{steps}")).await;
    assert_eq!(outcome.state.status, RunStatus::Succeeded);
    assert_eq!(outcome.state.start.group.as_deref(), Some("posters of launch"));
    // The control.
    assert_eq!(bench().run(steps).await.state.start.group, None);
}
