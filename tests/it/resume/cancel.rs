//! `dagwood cancel`: a run of another process, of a process that is gone, and one that is over.

use super::{last, states};
use crate::{
    child::Going,
    cli::{Scene, emulator},
};
use dagwood::job::JobState;

#[test]
fn a_run_of_another_process_ends_with_its_remote_jobs() {
    let sandbox = emulator("- { on: submit, do: { takes: 60s } }");
    let scene = Scene::new().against(&sandbox);
    let mut going = Going::start(&scene, &["run", "clip"]);
    going.until_told("submitted as");
    insta::assert_snapshot!(scene.run(&["cancel"]).all(), @r#"
exit 0
--- stdout
■ clip cancelled after TOOK · 1 job · 210 credits

  ■ clip  kling/video TOOK  210 cr  cancelled

  dagwood resume UUID   goes on where it was cancelled
--- stderr
"#);
    let ended = going.end(&scene);
    assert_eq!(ended.code, Some(1), "{}", ended.all());
    assert_eq!((states(&sandbox), &last(&scene)["status"]), (vec![JobState::Cancelled], &"cancelled".into()));
}

#[test]
fn what_a_killed_process_left_is_cancelled_here() {
    let sandbox = emulator("- { on: submit, do: { takes: 60s } }");
    let scene = Scene::new().against(&sandbox);
    let mut going = Going::start(&scene, &["run", "clip"]);
    going.until_told("submitted as");
    going.kill().expect("it still runs");
    let ran = scene.run(&["cancel"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert_eq!((states(&sandbox), &last(&scene)["status"]), (vec![JobState::Cancelled], &"cancelled".into()));
    let again = scene.run(&["cancel"]);
    assert!(again.code == Some(0) && again.err.contains("nothing to cancel"), "{}", again.all());
}

#[test]
fn of_a_run_that_is_over_there_is_nothing_to_cancel() {
    let sandbox = emulator("");
    let scene = Scene::new().against(&sandbox);
    assert_eq!(scene.run(&["run", "clip", "-q"]).code, Some(0));
    let before = sandbox.log().len();
    insta::assert_snapshot!(scene.run(&["cancel"]).all(), @r#"
exit 0
--- stdout
--- stderr
run UUID is over (succeeded): there is nothing to cancel
"#);
    assert_eq!((sandbox.log().len(), &last(&scene)["status"]), (before, &"succeeded".into()));
}
