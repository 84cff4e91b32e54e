//! A failed run goes on: finished steps stay, failed ones start again.

use super::{CAPTION, PICTURE, accepted, last};
use crate::cli::{Scene, emulator};

#[test]
fn what_failed_starts_again_and_what_was_done_stays() {
    let sandbox =
        emulator("- { on: submit, target: openai/gpt-5-mini, times: 2, do: { fail: The model is overloaded } }");
    let scene = Scene::new().against(&sandbox);
    assert_eq!(scene.run(&["run", "launch"]).code, Some(1));
    let again = scene.run(&["resume"]);
    assert_eq!(again.code, Some(1), "{}", again.all());
    let picture = last(&scene)["steps"][0].clone();
    insta::assert_snapshot!(scene.run(&["resume"]).all(), @r#"
exit 0
--- stdout
✔ launch succeeded in TOOK · 4 jobs · 75 credits

  picture  http://HOST/files/UUID/output/0.png
  loud     false

  ✔ picture  google/nano-banana TOOK  70 cr  1 image in picture/0.png
  ✔ caption  openai/gpt-5-mini TOOK   5 cr  1 text
  ✔ note                             –      –

  1 file (SIZE) in artifacts/UUID
--- stderr
TIME run      goes on: what had finished stays
TIME caption  submitted as JOB (5 credits)
TIME caption  succeeded in TOOK, 1 text
TIME note     succeeded
TIME run      succeeded in TOOK · 4 jobs · 75 credits
"#);
    assert_eq!(accepted(&sandbox), [PICTURE, CAPTION, CAPTION, CAPTION]);
    let run = last(&scene);
    assert_eq!((&run["status"], &run["steps"][0]), (&"succeeded".into(), &picture));

    insta::assert_snapshot!(scene.run(&["resume", "last"]).all(), @r#"
exit 0
--- stdout
--- stderr
run UUID succeeded: there is nothing to go on with
"#);
    assert_eq!(sandbox.jobs().len(), 4);
}

/// A run with a step that its own `when` skips, one whose failure is handled, one that fails twice, and what follows from it.
const STAYS: &str = r#"name: stays
failure_policy: continue
inputs: { dear: { type: boolean, default: false } }
steps:
  dear: { when: inputs.dear, model: google/nano-banana, inputs: { prompt: dear } }
  clip: { model: kling/video, inputs: { prompt: clip }, on_error: continue }
  caption:
    model: openai/gpt-5-mini
    inputs: { prompt: caption }
    retry: { attempts: 2, on: [job_failed], backoff: { initial: 10ms } }
  note: { needs: [caption], set: { n: 3 } }
finally:
  end: { model: google/nano-banana, inputs: { prompt: "end {{ run.status }} {{ run.failed_steps }}" } }
outputs: { dear: "{{ steps.dear.status }}", clip: "{{ steps.clip.status }}", note: "{{ steps.note.output.n }}" }
"#;

#[test]
fn what_was_decided_otherwise_stays_attempts_are_counted_anew_and_finally_runs_again() {
    let sandbox = emulator(
        "- { on: submit, target: openai/gpt-5-mini, times: 3, do: { fail: overloaded } }\n- { on: submit, target: kling/video, do: { fail: no } }",
    );
    let scene = Scene::new().against(&sandbox);
    scene.file("workflows/stays.yaml", STAYS);
    let prompts = || {
        let mut prompts: Vec<_> =
            sandbox.jobs().iter().map(|job| job.inputs["prompt"].as_str().expect("a text").to_owned()).collect();
        prompts.sort();
        prompts
    };
    let ran = scene.run(&["run", "stays", "-q"]);
    assert_eq!(ran.code, Some(1), "{}", ran.all());
    assert_eq!(prompts(), ["caption", "caption", "clip", "end failed [\"caption\"]"]);
    // Of the two attempts that it has again, the first fails too.
    let ran = scene.run(&["resume", "-q"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert_eq!(
        prompts(),
        ["caption", "caption", "caption", "caption", "clip", "end failed [\"caption\"]", "end succeeded []"]
    );
    assert_eq!(last(&scene)["outputs"], serde_json::json!({"dear": "skipped", "clip": "failed", "note": 3}));
}

#[test]
fn what_could_not_be_fetched_fails_as_artifact_and_is_fetched_again_without_another_job() {
    let sandbox = emulator("- { on: file, times: 1, do: { status: 404 } }");
    let scene = Scene::new().against(&sandbox);
    let ran = scene.run(&["run", "launch", "-q"]);
    assert_eq!((ran.code, accepted(&sandbox).len()), (Some(1), 1), "{}", ran.all());
    assert_eq!(last(&scene)["steps"][0]["error"]["kind"], "artifact");
    let picture = || scene.path("artifacts").join(last(&scene)["run"].as_str().expect("an id")).join("picture/0.png");
    assert!(!picture().exists());
    let ran = scene.run(&["resume", "-q"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert!(picture().is_file());
    assert_eq!(accepted(&sandbox), [PICTURE, CAPTION]);
}

#[test]
fn a_run_is_named_by_its_id_or_a_prefix_of_it() {
    let sandbox = emulator("- { on: submit, nth: 1, do: { fail: no } }");
    let scene = Scene::new().against(&sandbox);
    assert_eq!(scene.run(&["run", "clip", "-q"]).code, Some(1));
    let run = last(&scene)["run"].as_str().expect("an id").to_owned();
    assert_eq!(scene.run(&["run", "launch", "-q"]).code, Some(0));
    let ran = scene.run(&["resume", &run[..13], "--format", "json"]);
    assert!(ran.code == Some(0) && ran.raw.contains(&run), "{}", ran.all());
    insta::assert_snapshot!(scene.run(&["resume", "0000"]).all(), @r#"
exit 2
--- stdout
--- stderr
error: there is no run `0000`
  = help: `dagwood runs` lists them; a unique prefix is enough
"#);
}

/// All items of a fan-out start again at once, and no more of them are in flight than before.
#[test]
fn max_parallel_holds_for_items_that_start_again() {
    let sandbox = emulator("");
    let scene = Scene::new().against(&sandbox);
    scene.file(
        "workflows/wide.yaml",
        "name: wide\nsteps:\n  b: { foreach: [1, 2, 3, 4], max_parallel: 1, model: openai/gpt-5-mini, inputs: { prompt: '{{ item }}' }, expect: text | length > 9999 }\n",
    );
    assert_eq!(scene.run(&["run", "wide", "-q"]).code, Some(1));
    assert_eq!(scene.run(&["resume", "-q"]).code, Some(1));
    assert_eq!(sandbox.jobs().len(), 8);
    let (mut in_flight, mut most) = (0, 0);
    for event in scene.run(&["logs", "last", "--format", "json"]).json().as_array().expect("events") {
        let is_item = event["step"] == "b" && event["item"].is_number();
        match event["kind"].as_str() {
            Some("submit_intended") if is_item => in_flight += 1,
            Some("step_failed") if is_item => in_flight -= 1,
            _ => {}
        }
        most = most.max(in_flight);
    }
    assert_eq!((most, in_flight), (1, 0));
}

#[test]
fn a_workflow_that_was_refused_as_a_whole_runs_anew() {
    let sandbox = emulator("");
    let scene = Scene::new().against(&sandbox);
    scene.file(
        "workflows/part.yaml",
        "steps: { draw: { model: google/nano-banana, inputs: { prompt: x } } }\noutputs: { url: '{{ steps.draw.image }}' }",
    );
    scene.file(
        "workflows/whole.yaml",
        "name: whole\nsteps:\n  part: { workflow: part.yaml, expect: output.url | length > 9999 }\n  parts: { foreach: [1], workflow: part.yaml, on_error: continue, expect: output.url | length > 9999 }\n",
    );
    for jobs in [2, 3] {
        let (command, ran) = match jobs {
            2 => ("run", scene.run(&["run", "whole", "-q"])),
            _ => ("resume", scene.run(&["resume", "-q"])),
        };
        assert_eq!(ran.code, Some(1), "{command}: {}", ran.all());
        // The handled failure stays.
        assert_eq!(accepted(&sandbox).len(), jobs, "{command}");
    }
    assert_eq!(last(&scene)["steps"][0]["error"]["kind"], "expectation_failed");
}

#[test]
fn where_the_path_of_a_file_cannot_be_made_the_result_is_kept() {
    let sandbox = emulator("");
    let scene = Scene::new().against(&sandbox);
    scene.file(
        "workflows/save.yaml",
        "name: save\nsteps:\n  t: { set: { name: no JSON } }\n  p: { model: google/nano-banana, inputs: { prompt: x }, save: '{{ steps.t.output.name | fromjson }}.{{ ext }}', fallback: [{ model: kling/video }] }\n",
    );
    let ran = scene.run(&["run", "save", "-q"]);
    assert_eq!(ran.code, Some(1), "{}", ran.all());
    let error = last(&scene)["steps"][1]["error"].clone();
    assert_eq!(error["kind"], "artifact", "{error}");
    assert!(error["message"].as_str().is_some_and(|message| message.contains("save.yaml:4:")), "{error}");
    assert_eq!(scene.run(&["resume", "-q"]).code, Some(1));
    assert_eq!(accepted(&sandbox), [PICTURE]);
}

/// Nor is a result of before given up, which has no job in this run.
#[test]
fn where_the_path_of_a_file_cannot_be_made_an_earlier_result_is_looked_for_again() {
    let sandbox = emulator("");
    let scene = Scene::new().against(&sandbox);
    let text = |save: &str| {
        format!(
            "name: save\nsteps:\n  t: {{ set: {{ name: no JSON }} }}\n  p: {{ model: google/nano-banana, inputs: {{ prompt: x }}, cache: true, save: {save} }}\n"
        )
    };
    scene.file("workflows/save.yaml", text("true"));
    assert_eq!(scene.run(&["run", "save", "-q"]).code, Some(0));
    scene.file("workflows/save.yaml", text("'{{ steps.t.output.name | fromjson }}.{{ ext }}'"));
    for command in [&["run", "save", "-q"][..], &["resume", "-q"]] {
        assert_eq!(scene.run(command).code, Some(1), "{command:?}");
        assert_eq!(last(&scene)["steps"][1]["error"]["kind"], "artifact", "{command:?}");
    }
    assert_eq!(accepted(&sandbox), [PICTURE]);
}
