//! A submit of which nobody can tell whether it was accepted: a person says what became of it.

use dagwood::{
    job::JobState,
    sandbox::{AIMP_KEY, Api},
};

use super::{events, last, states, submits};
use crate::cli::{Scene, emulator};

/// A project that takes no absence from a list for a proof.
fn asking(scene: Scene) -> Scene {
    scene.file("dagwood.yaml", "providers: { armox: { kind: armox, settle: ask, settle_grace: 300ms } }\n");
    scene
}

#[test]
fn a_submit_that_did_not_arrive_is_sent_again_where_a_person_says_so() {
    let sandbox = emulator("- { on: submit, nth: 1, do: refuse }");
    let scene = asking(Scene::new().against(&sandbox));
    insta::assert_snapshot!(scene.run(&["run", "clip"]).all(), @r#"
exit 8
--- stdout
✖ clip stopped: the answer to one submit was lost, and whether armox accepted it is unknown

  ✖ clip  kling/video TOOK    –  failed

  clip  sent TIME, `POST /api/v1/models/run` was sent, but no answer came: connection closed before message completed; nobody can tell whether the API accepted the job: the list of jobs does not show it, which proves nothing
        up to 1 job (210 credits) may have been charged

  Look in the job list of the armox account for a job of `kling/video` created between TIME and TIME
  then
    dagwood resume UUID --adopt clip=JOB   it arrived: take its result
    dagwood resume UUID --resubmit clip    it did not: send it again
--- stderr
TIME run   clip RUN started: 1 step, about 210 credits
TIME clip  finding out whether the API accepted the submit: `POST /api/v1/models/run` was sent, but no answer came: connection closed before message completed
TIME clip  failed after TOOK: `POST /api/v1/models/run` was sent, but no answer came: connection closed before message completed; nobody can tell whether the API accepted the job: the list of jobs does not show it, which proves nothing
TIME run   stopped after TOOK: whether a job was accepted is unknown
"#);
    let ran = scene.run(&["resume"]);
    assert_eq!((ran.code, submits(&sandbox)), (Some(8), 1), "{}", ran.all());

    let ran = scene.run(&["resume", "--resubmit", "clip"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert_eq!((submits(&sandbox), states(&sandbox)), (2, vec![JobState::Completed]));
}

#[test]
fn a_job_that_a_person_found_is_taken() {
    // The job is there, and its list does not show it for a long time.
    let sandbox =
        emulator("- { on: submit, nth: 1, do: { slow_listing: 10m } }\n- { on: submit, nth: 1, do: lose_reply }");
    let scene = asking(Scene::new().against(&sandbox));
    assert_eq!(scene.run(&["run", "clip"]).code, Some(8));
    let before = events(&scene);
    insta::assert_snapshot!(scene.run(&["resume", "--adopt", "clip=0000"]).all(), @r#"
exit 2
--- stdout
--- stderr
error: `armox` knows no job 0000, which was to be adopted for step `clip`
  = help: `dagwood show UUID` says which submits are unknown
"#);
    let ran = scene.run(&["resume", "--adopt", "clip"]);
    assert!(ran.code == Some(2) && ran.err.contains("names no job"), "{}", ran.all());
    let ran = scene.run(&["resume", "--resubmit", "clap"]);
    assert_eq!(ran.code, Some(2), "{}", ran.all());
    assert_eq!((submits(&sandbox), events(&scene)), (1, before), "nothing was sent, nothing recorded");

    let job = sandbox.jobs()[0].id.clone();
    let ran = scene.run(&["resume", "--adopt", &format!("clip={job}")]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert_eq!((submits(&sandbox), states(&sandbox)), (1, vec![JobState::Completed]));
    let clip = last(&scene)["outputs"]["clip"].clone();
    assert!(clip.as_str().is_some_and(|url| url.contains(&job)), "{clip}");
}

#[test]
fn a_word_on_a_step_that_needs_none_is_refused() {
    let sandbox = emulator("- { on: submit, nth: 1, do: { fail: no } }");
    let scene = Scene::new().against(&sandbox);
    assert_eq!(scene.run(&["run", "clip", "-q"]).code, Some(1));
    let before = events(&scene);
    insta::assert_snapshot!(scene.run(&["resume", "--resubmit", "clip"]).all(), @r#"
exit 2
--- stdout
--- stderr
error: step `clip` waits for no verdict: whether its submit was accepted is known
  = help: `dagwood show UUID` says which submits are unknown
"#);
    assert_eq!((submits(&sandbox), events(&scene)), (1, before));
    assert_eq!(scene.run(&["resume", "-q"]).code, Some(0));
    let ran = scene.run(&["resume", "--resubmit", "clip"]);
    assert_eq!((ran.code, submits(&sandbox)), (Some(2), 2), "a succeeded one: {}", ran.all());
}

/// The fallback's provider is asked for the job, not the step's own.
#[test]
fn a_job_of_a_fallback_is_looked_for_where_it_was_sent() {
    let script =
        "- { on: submit, target: kling/video, do: { fail: no } }\n- { on: submit, target: demo-model, do: lose_reply }";
    let sandbox = emulator(script);
    let scene = Scene::new().against(&sandbox);
    let scene = scene.with("AIMP_GATEWAY_URL", sandbox.base_url_of(Api::Aimp)).with("AIMP_API_KEY", AIMP_KEY);
    scene.file("dagwood.yaml", "providers: { aimp: { kind: aimp, poll_path: 'runs/{id}' } }\n");
    scene.file(
        "workflows/second.yaml",
        "steps:
  clip:
    provider: armox
    model: kling/video
    inputs: { prompt: A fox }
    fallback: [{ provider: aimp, model: demo-model, inputs: { text: A fox } }]
outputs: { clip: '{{ steps.clip.output }}' }
",
    );
    let ran = scene.run(&["run", "second", "-q"]);
    assert_eq!((ran.code, sandbox.jobs().len()), (Some(8), 2), "{}", ran.all());
    let job = sandbox.jobs()[1].id.clone();
    let ran = scene.run(&["resume", "--adopt", &format!("clip={job}")]);
    assert_eq!((ran.code, sandbox.jobs().len()), (Some(0), 2), "{}", ran.all());
}
