//! A run in the built-in emulator, which dies with the process: a resume begins anew what was under way there.

use serde_json::Value;

use super::last;
use crate::{
    child::{Going, wait_until},
    cli::Scene,
};

/// Returns the steps of the submits that the last run has recorded as accepted.
fn recorded(scene: &Scene) -> Vec<String> {
    let events: Vec<Value> =
        serde_json::from_value(scene.run(&["logs", "last", "--format", "json"]).json()).expect("a list");
    let submitted = events.iter().filter(|event| event["kind"] == "submitted");
    submitted.map(|event| event["step"].as_str().expect("a step").to_owned()).collect()
}

#[test]
fn what_was_under_way_in_a_lost_emulator_starts_again() {
    let scene = Scene::new();
    scene.file("faults.yaml", "- { on: submit, do: { takes: 60s } }\n");
    let mut going = Going::start(&scene, &["run", "clip", "--sandbox", "--faults", "faults.yaml"]);
    going.until_told("clip  submitted as");
    // What is told is on disk a moment later.
    wait_until("the record of the submit", || recorded(&scene) == ["clip"]);
    going.kill().expect("it still runs");
    insta::assert_snapshot!(scene.run(&["resume"]).all(), @r#"
exit 0
--- stdout
✔ clip succeeded in TOOK · 2 jobs · 420 credits · sandbox

  clip  http://HOST/files/UUID/output/0.mp4

  ✔ clip  kling/video TOOK  420 cr  1 video
--- stderr
TIME run   goes on: what had finished stays
TIME clip  submitted as JOB (210 credits)
TIME clip  succeeded in TOOK, 1 video
TIME run   succeeded in TOOK · 2 jobs · 420 credits · sandbox
"#);
    assert_eq!(recorded(&scene), ["clip", "clip"]);
    let run = last(&scene);
    assert_eq!((&run["status"], &run["sandbox"]), (&"succeeded".into(), &true.into()), "{run}");
}
