//! `run --only` and `run --from`: a run of some steps, with results of an earlier one.

use super::{CAPTION, PICTURE, accepted, last, submits};
use crate::cli::{Scene, emulator};

#[test]
fn some_steps_run_and_take_what_they_need_from_an_earlier_run() {
    let sandbox = emulator("");
    let scene = Scene::new().against(&sandbox);
    assert_eq!(scene.run(&["run", "launch", "-q"]).code, Some(0));
    let first = last(&scene)["run"].as_str().expect("an id").to_owned();
    let saved = |run: &str| std::fs::read(scene.path("artifacts").join(run).join("picture/0.png"));

    insta::assert_snapshot!(scene.run(&["run", "launch", "--only", "caption"]).all(), @r#"
exit 0
--- stdout
✔ launch succeeded in TOOK · 1 job · 5 credits

  picture  http://HOST/files/UUID/output/0.png

  ✔ picture  google/nano-banana      –     –  1 image in picture/0.png, from an earlier result
  ✔ caption  openai/gpt-5-mini TOOK  5 cr  1 text
  – note                             –     –  skipped: only other steps were asked for

  1 file (SIZE) in artifacts/UUID
--- stderr
TIME run      launch RUN started: 3 steps, about 75 credits
TIME note     skipped: only other steps were asked for
TIME picture  succeeded (from an earlier result), 1 image, 1 file saved
TIME caption  submitted as JOB (5 credits)
TIME caption  succeeded in TOOK, 1 text
TIME run      succeeded in TOOK · 1 job · 5 credits
"#);
    assert_eq!(accepted(&sandbox), [PICTURE, CAPTION, CAPTION]);
    let second = last(&scene)["run"].as_str().expect("an id").to_owned();
    assert_eq!(saved(&second).expect("its own copy"), saved(&first).expect("a picture"));
    // What it was asked about is the picture of the first run.
    assert_eq!(sandbox.jobs()[2].inputs, sandbox.jobs()[1].inputs);

    let ran = scene.run(&["run", "launch", "--from", "caption", "--of", &first]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert_eq!(accepted(&sandbox), [PICTURE, CAPTION, CAPTION, CAPTION]);
    let third = last(&scene);
    assert_eq!((&third["status"], &third["outputs"]["loud"]), (&"succeeded".into(), &false.into()));
    assert!(saved(third["run"].as_str().expect("an id")).is_ok());
}

/// What was skipped has no result, and needs none: its `when` is judged again.
#[test]
fn a_step_that_was_skipped_is_judged_anew_where_a_run_begins_behind_it() {
    let sandbox = emulator("");
    let scene = Scene::new().against(&sandbox);
    scene.file(
        "workflows/perhaps.yaml",
        "inputs: { film: { type: boolean, default: false } }
steps:
  clip: { model: google/nano-banana, when: inputs.film, inputs: { prompt: A fox } }
  note: { needs: [clip], trigger: all_done, set: { clip: '{{ steps.clip.status }}' } }
outputs: { clip: '{{ steps.note.output.clip }}' }
",
    );
    assert_eq!(scene.run(&["run", "perhaps", "-q"]).code, Some(0));
    let first = last(&scene)["run"].as_str().expect("an id").to_owned();
    let clip = |arguments: &[&str]| {
        let ran = scene.run(&[&["run", "perhaps", "--from", "note", "--of", &first], arguments].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.all());
        (last(&scene)["outputs"]["clip"].clone(), submits(&sandbox))
    };
    assert_eq!(clip(&[]), ("skipped".into(), 0));
    assert_eq!(clip(&["-i", "film=true"]), ("succeeded".into(), 1));
}

#[test]
fn what_is_missing_or_misspelt_is_told_before_anything_is_sent() {
    let sandbox = emulator("- { on: submit, target: google/nano-banana, do: fail }");
    let scene = Scene::new().against(&sandbox);
    insta::assert_snapshot!(scene.run(&["run", "launch", "--only", "caption"]).all(), @r#"
exit 2
--- stdout
--- stderr
error: there is no earlier run of `launch` to take results from
  = help: run it as a whole first, or name a run with `--of RUN`
"#);
    insta::assert_snapshot!(scene.run(&["run", "launch", "--from", "captoin"]).all(), @r#"
exit 2
--- stdout
--- stderr
error: the workflow has no step `captoin`
  = help: did you mean `caption`?
"#);
    insta::assert_snapshot!(scene.run(&["run", "launch", "--of", "last"]).all(), @r#"
exit 2
--- stdout
--- stderr
error: `--of` says which run's results are taken, and a run of all steps takes none
  = help: name the steps that run: `--from STEP` with what follows from them, `--only STEP` without
"#);
    assert_eq!(submits(&sandbox), 0);
    assert_eq!(scene.run(&["run", "launch", "-q"]).code, Some(1));
    insta::assert_snapshot!(scene.run(&["run", "launch", "--only", "caption"]).all(), @r#"
exit 2
--- stdout
--- stderr
error: step `picture`, which `caption` needs, has no result in run UUID
  = help: name an earlier run with `--of RUN`, or run this step too
"#);
    assert_eq!(submits(&sandbox), 1);
}
