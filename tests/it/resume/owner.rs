//! One process owns a run as long as it lives, and no longer.

use super::{states, submits};
use crate::{
    child::Going,
    cli::{Scene, emulator},
};
use dagwood::job::JobState;

#[test]
fn a_second_process_is_refused_while_the_first_lives_and_takes_over_when_it_is_gone() {
    let sandbox = emulator("- { on: submit, do: { takes: 4s } }");
    let scene = Scene::new().against(&sandbox);
    let mut first = Going::start(&scene, &["run", "clip"]);
    first.until_told("submitted as");
    insta::assert_snapshot!(scene.run(&["resume"]).all(), @r#"
exit 6
--- stdout
--- stderr
error: another process works on the run UUID
  = help: `dagwood logs UUID -f` follows it, `dagwood cancel UUID` ends it
"#);
    first.kill().expect("it still runs");
    let ran = scene.run(&["resume"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert_eq!((submits(&sandbox), states(&sandbox)), (1, vec![JobState::Completed]));
}

#[test]
fn a_signal_may_leave_remote_jobs_running_for_a_resume() {
    let sandbox = emulator("- { on: submit, do: { takes: 2s } }");
    let scene = Scene::new().against(&sandbox);
    let mut going = Going::start(&scene, &["run", "clip", "--detach-on-signal"]);
    going.until_told("submitted as");
    going.signal("INT");
    insta::assert_snapshot!(going.end(&scene).all(), @r#"
exit 130
--- stdout
■ clip cancelled after TOOK · 1 job · 210 credits

  ● clip  kling/video      –  210 cr  processing

  dagwood resume UUID   goes on where it was cancelled
--- stderr
leaving the remote jobs running: `dagwood resume` goes on with them
TIME run   interrupted: leaving the remote jobs running
TIME run   cancelled after TOOK · 1 job · 210 credits
"#);
    assert!(!states(&sandbox).contains(&JobState::Cancelled) && sandbox.jobs().len() == 1);
    let ran = scene.run(&["resume"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert_eq!((submits(&sandbox), states(&sandbox)), (1, vec![JobState::Completed]));
}
