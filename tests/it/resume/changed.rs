//! A run keeps the text that it started with, until somebody asks for the new one.

use super::{CAPTION, PICTURE, accepted, last, states, submits};
use crate::{
    child::Going,
    cli::{Scene, emulator},
};
use dagwood::job::JobState;

/// Changes a text in a file of the scene.
fn change(scene: &Scene, path: &str, from: &str, to: &str) {
    let text = std::fs::read_to_string(scene.path(path)).expect("a file");
    assert!(text.contains(from), "{text}");
    scene.file(path, text.replace(from, to));
}

#[test]
fn a_changed_file_does_not_change_a_run_that_goes_on() {
    let sandbox = emulator("- { on: submit, target: openai/gpt-5-mini, nth: 1, do: fail }");
    let scene = Scene::new().against(&sandbox);
    assert_eq!(scene.run(&["run", "launch", "-q"]).code, Some(1));
    change(&scene, "workflows/launch.yaml", "Describe {{", "Praise {{");
    scene.file("dagwood.yaml", "providers: { armox: null }\n");
    let ran = scene.run(&["resume"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    std::fs::remove_file(scene.path("workflows/launch.yaml")).expect("it is there");
    let prompts: Vec<_> = sandbox.jobs()[1..].iter().map(|job| job.inputs["prompt"].clone()).collect();
    assert!(prompts.len() == 2 && prompts[0] == prompts[1], "{prompts:?}");
}

#[test]
fn a_run_keeps_the_workflows_in_it_and_the_contracts_that_it_was_planned_with() {
    let sandbox = emulator("- { on: submit, nth: 1, do: fail }");
    let scene = Scene::new().against(&sandbox);
    scene.file(
        "workflows/part.yaml",
        "steps: { draw: { model: google/nano-banana, inputs: { prompt: Old } } }\noutputs: { url: '{{ steps.draw.image }}' }",
    );
    scene.file(
        "workflows/whole.yaml",
        "name: whole\nsteps: { part: { workflow: part.yaml } }\noutputs: { url: '{{ steps.part.output.url }}' }",
    );
    let prompts = || sandbox.jobs().iter().map(|job| job.inputs["prompt"].clone()).collect::<Vec<_>>();
    let asked = || sandbox.log().iter().filter(|call| call.path.ends_with("/models")).count();
    assert_eq!(scene.run(&["run", "whole", "-q"]).code, Some(1));
    let before = asked();
    change(&scene, "workflows/part.yaml", "Old", "New");
    let ran = scene.run(&["resume", "-q"]);
    assert_eq!((ran.code, prompts()), (Some(0), vec!["Old".into(), "Old".into()]), "{}", ran.all());
    assert!(before > 0 && asked() == before, "no contract is asked for again");
    let ran = scene.run(&["resume", "--update", "-q"]);
    assert_eq!((ran.code, prompts()), (Some(0), vec!["Old".into(), "Old".into(), "New".into()]), "{}", ran.all());
    assert!(asked() > before, "the control");
}

#[test]
fn an_update_runs_what_changed_and_what_follows_from_it() {
    let sandbox = emulator("");
    let scene = Scene::new().against(&sandbox);
    assert_eq!(scene.run(&["run", "launch", "-q"]).code, Some(0));
    insta::assert_snapshot!(scene.run(&["resume", "--update"]).all(), @r#"
exit 0
--- stdout
--- stderr
run UUID succeeded, and nothing has changed: there is nothing to go on with
"#);

    change(&scene, "workflows/launch.yaml", "Describe {{", "Praise {{");
    insta::assert_snapshot!(scene.run(&["resume", "--update"]).all(), @r#"
exit 0
--- stdout
✔ launch succeeded in TOOK · 3 jobs · 80 credits

  picture  http://HOST/files/UUID/output/0.png
  loud     false

  ✔ picture  google/nano-banana TOOK  70 cr  1 image in picture/0.png
  ✔ caption  openai/gpt-5-mini TOOK  10 cr  1 text
  ✔ note                             –      –

  1 file (SIZE) in artifacts/UUID
--- stderr
TIME run      goes on: what had finished stays
TIME run      goes on with the workflow as it is now: 2 steps to run anew
TIME caption  submitted as JOB (5 credits)
TIME caption  succeeded in TOOK, 1 text
TIME note     succeeded
TIME run      succeeded in TOOK · 3 jobs · 80 credits
"#);
    assert_eq!(accepted(&sandbox), [PICTURE, CAPTION, CAPTION]);
    let prompt = sandbox.jobs()[2].inputs["prompt"].clone();
    assert!(prompt.as_str().is_some_and(|prompt| prompt.starts_with("Praise")), "{prompt}");

    // What is saved again takes the place of what the run saved before.
    let run = last(&scene)["run"].as_str().expect("an id").to_owned();
    let picture = scene.path("artifacts").join(run).join("picture/0.png");
    let before = std::fs::read(&picture).expect("a picture");
    change(&scene, "workflows/launch.yaml", "at dusk", "at dawn");
    let ran = scene.run(&["resume", "--update"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert_eq!(accepted(&sandbox), [PICTURE, CAPTION, CAPTION, PICTURE, CAPTION]);
    assert_ne!(std::fs::read(&picture).expect("a picture"), before);

    let ran = scene.run(&["resume", "--update"]);
    assert!(ran.code == Some(0) && ran.err.contains("nothing has changed"), "{}", ran.all());
    assert_eq!(submits(&sandbox), 5);
}

#[test]
fn an_update_takes_new_inputs_and_only_an_update_does() {
    let sandbox = emulator("");
    let scene = Scene::new().against(&sandbox);
    assert_eq!(scene.run(&["run", "launch", "-q"]).code, Some(0));
    let ran = scene.run(&["resume", "--update", "-i", "loud=true"]);
    assert_eq!((ran.code, &last(&scene)["outputs"]["loud"]), (Some(0), &true.into()), "{}", ran.all());
    assert_eq!(submits(&sandbox), 2, "no job reads it");
}

#[test]
fn a_step_with_a_job_under_way_cannot_change() {
    let sandbox = emulator("- { on: submit, do: { takes: 60s } }");
    let scene = Scene::new().against(&sandbox);
    let mut going = Going::start(&scene, &["run", "clip"]);
    going.until_told("submitted as");
    going.kill().expect("it still runs");
    change(&scene, "workflows/clip.yaml", "Slow dolly", "Fast dolly");
    insta::assert_snapshot!(scene.run(&["resume", "--update"]).all(), @r#"
exit 2
--- stdout
--- stderr
error: step `clip` has changed, and a job of it may be under way
  = help: go on without `--update` first, or end the run with `dagwood cancel`
"#);
    assert_eq!((submits(&sandbox), states(&sandbox)), (1, vec![JobState::Processing]));
}

/// What a var gives that reads `run` is known only in the run, so that its text counts.
#[test]
fn a_var_of_the_run_counts_as_it_is_written() {
    let sandbox = emulator("");
    let scene = Scene::new().against(&sandbox);
    let vars = "vars: { when: '{{ run.name }} at dusk', twice: '{{ vars.when }} {{ vars.when }}', other: '{{ run.id }}' }\nsteps:";
    change(&scene, "workflows/launch.yaml", "steps:", vars);
    change(&scene, "workflows/launch.yaml", "{{ inputs.subject }} at dusk", "{{ inputs.subject }} {{ vars.twice }}");
    assert_eq!(scene.run(&["run", "launch", "-q"]).code, Some(0));
    assert_eq!(sandbox.jobs()[0].inputs["prompt"], "a lighthouse launch at dusk launch at dusk");
    change(&scene, "workflows/launch.yaml", "'{{ run.id }}'", "'{{ run.name }}'");
    let ran = scene.run(&["resume", "--update"]);
    assert!(ran.err.contains("nothing has changed"), "no step reads it: {}", ran.all());
    change(&scene, "workflows/launch.yaml", "{{ run.name }} at dusk", "{{ run.name }} at dawn");
    assert_eq!(scene.run(&["resume", "--update", "-q"]).code, Some(0));
    assert_eq!(accepted(&sandbox), [PICTURE, CAPTION, PICTURE, CAPTION]);
}

#[test]
fn an_update_of_the_outputs_alone_renders_them_anew() {
    let sandbox = emulator("");
    let scene = Scene::new().against(&sandbox);
    let text = |outputs: &str| {
        format!(
            "name: told\nvars: {{ word: one }}\nsteps: {{ a: {{ model: openai/gpt-5-mini, inputs: {{ prompt: x }} }} }}\noutputs: {{ {outputs} }}\n"
        )
    };
    scene.file("workflows/told.yaml", text("n: '{{ steps.a.texts | length }}'"));
    assert_eq!(scene.run(&["run", "told", "-q"]).code, Some(0));
    let ran = scene.run(&["resume", "--update"]);
    assert!(ran.code == Some(0) && ran.err.contains("nothing has changed"), "the control: {}", ran.all());
    scene.file("workflows/told.yaml", text("n: '{{ steps.a.texts | length }}', word: '{{ vars.word }}'"));
    let ran = scene.run(&["resume", "--update"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert_eq!(last(&scene)["outputs"], serde_json::json!({"n": 1, "word": "one"}));
    change(&scene, "workflows/told.yaml", "word: one", "word: two");
    assert_eq!(scene.run(&["resume", "--update"]).code, Some(0));
    assert_eq!(last(&scene)["outputs"], serde_json::json!({"n": 1, "word": "two"}));
    assert_eq!(submits(&sandbox), 1);
}

/// A longer timeout is no reason to run a step anew, and holds for the workflow that goes on.
#[test]
fn an_update_takes_the_new_timeout_of_a_workflow_that_goes_on() {
    let sandbox = emulator("- { on: submit, nth: 1, do: stuck }");
    let scene = Scene::new().against(&sandbox);
    scene.file("workflows/part.yaml", "steps: { draw: { model: kling/video, inputs: { prompt: x } } }");
    scene.file("workflows/whole.yaml", "name: whole\nsteps: { part: { workflow: part.yaml, timeout: 2s } }");
    let ran = scene.run(&["run", "whole", "-q"]);
    assert_eq!((ran.code, states(&sandbox)), (Some(1), vec![JobState::Cancelled]), "{}", ran.all());
    assert_eq!(last(&scene)["steps"][0]["error"]["kind"], "timeout");
    change(&scene, "workflows/whole.yaml", "2s", "5m");
    let ran = scene.run(&["resume", "--update", "-q"]);
    assert_eq!((ran.code, submits(&sandbox)), (Some(0), 2), "{}", ran.all());
}
