//! Budgets: a job that would pass one is not sent, and a run goes on with more.

use super::{CAPTION, PICTURE, accepted, submits};
use crate::cli::{Scene, emulator};

#[test]
fn what_would_cost_too_much_is_not_sent_until_more_is_allowed() {
    let sandbox = emulator("");
    let scene = Scene::new().against(&sandbox);
    insta::assert_snapshot!(scene.run(&["run", "launch", "--max-credits", "72"]).all(), @r#"
exit 5
--- stdout
✖ launch failed after TOOK · 1 job · 70 credits

  ✔ picture  google/nano-banana TOOK  70 cr  1 image in picture/0.png
  ✖ caption  openai/gpt-5-mini       –      –  failed
  – note                             –      –  skipped

  1 file (SIZE) in artifacts/UUID

  caption failed: the job costs about 5 credits, and of the budget of 72 credits 70 are spent or reserved; nothing was sent
    so these did not run: note

  dagwood resume UUID   starts the failed steps again, and keeps what is finished
--- stderr
TIME run      launch RUN started: 3 steps, about 75 credits
TIME picture  submitted as JOB (70 credits)
TIME picture  succeeded in TOOK, 1 image, 1 file saved
TIME caption  failed: the job costs about 5 credits, and of the budget of 72 credits 70 are spent or reserved; nothing was sent
TIME note     skipped: `caption` did not succeed
TIME run      failed after TOOK · 1 job · 70 credits
help: `dagwood resume UUID --max-credits N` goes on with more
"#);
    assert_eq!(accepted(&sandbox), [PICTURE]);
    let ran = scene.run(&["resume"]);
    assert_eq!((ran.code, submits(&sandbox)), (Some(5), 1), "{}", ran.all());
    // What was spent counts.
    let ran = scene.run(&["resume", "--max-credits", "74"]);
    assert_eq!((ran.code, submits(&sandbox)), (Some(5), 1), "{}", ran.all());
    let ran = scene.run(&["resume", "--max-credits", "75"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert_eq!(accepted(&sandbox), [PICTURE, CAPTION]);
}

#[test]
fn the_budget_of_the_workflow_holds_whatever_the_flag_says() {
    let sandbox = emulator("");
    let scene = Scene::new().against(&sandbox);
    let launch = std::fs::read_to_string(scene.path("workflows/launch.yaml")).expect("a file");
    scene.file("workflows/launch.yaml", launch + "budget: { credits: 69 }\n");
    let ran = scene.run(&["run", "launch", "--max-credits", "1000"]);
    assert_eq!((ran.code, submits(&sandbox)), (Some(5), 0), "{}", ran.all());
}

#[test]
fn all_runs_of_a_day_share_the_budget_of_an_account() {
    let sandbox = emulator("");
    let scene = Scene::new().against(&sandbox);
    let allow = |credits: u32| {
        let account = format!("{{ kind: armox, budget_per_day: {{ credits: {credits} }} }}");
        scene.file("dagwood.yaml", format!("providers: {{ armox: {account} }}\n"));
    };
    allow(100);
    assert_eq!(scene.run(&["run", "launch", "-q"]).code, Some(0));
    insta::assert_snapshot!(scene.run(&["run", "launch"]).all(), @r#"
exit 5
--- stdout
✖ launch failed after TOOK

  ✖ picture  google/nano-banana      –    –  failed
  – caption  openai/gpt-5-mini       –    –  skipped
  – note                             –    –  skipped

  picture failed: today's budget of `armox`: the job costs about 70 credits, and of the budget of 100 credits 75 are spent or reserved; nothing was sent
    so these did not run: caption, note

  dagwood resume UUID   starts the failed steps again, and keeps what is finished
--- stderr
TIME run      launch RUN started: 3 steps, about 75 credits
TIME picture  failed: today's budget of `armox`: the job costs about 70 credits, and of the budget of 100 credits 75 are spent or reserved; nothing was sent
TIME caption  skipped: `picture` did not succeed
TIME note     skipped: `caption` did not succeed
TIME run      failed after TOOK
help: `dagwood resume UUID` goes on tomorrow, in UTC; with a higher `budget_per_day` in the project file, `dagwood resume UUID --update` goes on now
"#);
    assert_eq!(accepted(&sandbox), [PICTURE, CAPTION]);

    // The run keeps the project file that it started with, until it is told to take the new one.
    allow(150);
    let ran = scene.run(&["resume"]);
    assert_eq!((ran.code, submits(&sandbox)), (Some(5), 2), "{}", ran.all());
    let ran = scene.run(&["resume", "--update"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert_eq!(accepted(&sandbox), [PICTURE, CAPTION, PICTURE, CAPTION]);
}
