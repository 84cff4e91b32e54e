//! Groups: no two runs hold one at a time, and each says what it does where another does.

use super::{last, states, submits};
use crate::{
    child::Going,
    cli::{Scene, emulator},
};
use dagwood::{job::JobState, sandbox::Sandbox};

/// Returns a scene whose workflow `clip` has a group, with a first run of it that holds the group: its job takes a minute.
fn held(on_conflict: &str) -> (Sandbox, Scene, Going) {
    let sandbox = emulator("- { on: submit, nth: 1, do: { takes: 60s } }");
    let scene = Scene::new().against(&sandbox);
    let clip = std::fs::read_to_string(scene.path("workflows/clip.yaml")).expect("a file");
    let rule = format!("concurrency: {{ group: film, on_conflict: {on_conflict} }}\n");
    scene.file("workflows/clip.yaml", rule + &clip);
    let mut first = Going::start(&scene, &["run", "clip"]);
    first.until_told("submitted as");
    (sandbox, scene, first)
}

#[test]
fn a_run_waits_for_its_group_and_says_so() {
    let (sandbox, scene, first) = held("queue");
    let mut second = Going::start(&scene, &["run", "clip"]);
    let told = second.until_told("waits for the group `film`");
    let mut third = Going::start(&scene, &["run", "clip", "--format", "json"]);
    third.until("\"kind\":\"run_waiting\"");
    assert_eq!(submits(&sandbox), 1, "{told}");
    first.signal("INT");
    assert_eq!(first.end(&scene).code, Some(130));
    for next in [second, third] {
        let ended = next.end(&scene);
        assert_eq!(ended.code, Some(0), "{}", ended.all());
    }
    assert_eq!(states(&sandbox), [JobState::Cancelled, JobState::Completed, JobState::Completed]);
}

#[test]
fn a_run_that_waits_can_be_called_off() {
    let (sandbox, scene, _first) = held("queue");
    let mut second = Going::start(&scene, &["run", "clip"]);
    second.until_told("waits for the group");
    second.signal("TERM");
    let ended = second.end(&scene);
    assert_eq!((ended.code, submits(&sandbox)), (Some(143), 1), "{}", ended.all());
    assert_eq!(last(&scene)["status"], "cancelled");
}

#[test]
fn a_run_may_not_start_at_all() {
    let (sandbox, scene, _first) = held("skip");
    insta::assert_snapshot!(scene.run(&["run", "clip"]).all(), @r#"
exit 6
--- stdout
--- stderr
not started: another run holds the group `film`
"#);
    let clip = std::fs::read_to_string(scene.path("workflows/clip.yaml")).expect("a file");
    scene.file("workflows/clip.yaml", clip.replace("on_conflict: skip", "on_conflict: fail"));
    insta::assert_snapshot!(scene.run(&["run", "clip"]).all(), @r#"
exit 6
--- stdout
--- stderr
error: not started: the group `film` is held by run UUID
  = help: wait for it, end it with `dagwood cancel`, or set `on_conflict: queue`
"#);
    let runs = scene.run(&["runs", "--format", "json"]).json();
    assert_eq!((submits(&sandbox), runs.as_array().map(Vec::len)), (1, Some(1)), "{runs}");
}

#[test]
fn a_run_may_cancel_the_one_that_runs() {
    let (sandbox, scene, first) = held("cancel_running");
    let second = scene.run(&["run", "clip"]);
    assert_eq!(second.code, Some(0), "{}", second.all());
    let first = first.end(&scene);
    assert_eq!(first.code, Some(1), "{}", first.all());
    assert_eq!(states(&sandbox), [JobState::Cancelled, JobState::Completed]);
}
