//! Two runs on one state that send equal jobs: neither takes the job of the other.

use dagwood::job::JobState;

use super::{last, states, submits};
use crate::{
    child::Going,
    cli::{Scene, emulator},
};

/// The first submit is accepted, its answer is lost, and the list shows the job a while later.
const LOST: &str = "- { on: submit, nth: 1, do: { slow_listing: 700ms } }\n- { on: submit, nth: 1, do: lose_reply }";

/// Begins a run that dies while it does not know whether its submit was accepted, and returns its id.
fn cut_off(scene: &Scene) -> String {
    let mut first = Going::start(scene, &["run", "clip"]);
    first.until_told("finding out whether");
    first.kill().expect("it still runs");
    last(scene)["run"].as_str().expect("an id").to_owned()
}

#[test]
fn a_second_run_finds_out_what_became_of_an_equal_submit_of_the_first() {
    let sandbox = emulator(LOST);
    let scene = Scene::new().against(&sandbox);
    let first = cut_off(&scene);
    let second = scene.run(&["run", "clip", "-q"]);
    assert_eq!((second.code, submits(&sandbox)), (Some(0), 2), "{}", second.all());
    let of_second = last(&scene)["steps"][0]["job"]["id"].clone();
    let resumed = scene.run(&["resume", &first, "-q"]);
    assert_eq!((resumed.code, submits(&sandbox)), (Some(0), 2), "{}", resumed.all());
    let of_first = scene.run(&["show", &first, "--format", "json"]).json()["steps"][0]["job"]["id"].clone();
    let made: Vec<_> = sandbox.jobs().into_iter().map(|job| job.id).collect();
    assert_eq!((of_first.as_str(), of_second.as_str()), (Some(made[0].as_str()), Some(made[1].as_str())));
    assert_eq!(states(&sandbox), [JobState::Completed, JobState::Completed]);
}

/// The control: a run on another state knows nothing of the first, and then nobody can tell which job is whose.
#[test]
fn runs_that_do_not_share_a_state_leave_it_to_a_person() {
    let sandbox = emulator(LOST);
    let scene = Scene::new().against(&sandbox);
    let first = cut_off(&scene);
    let elsewhere = scene.run(&["run", "clip", "-q", "--state", "elsewhere"]);
    assert_eq!((elsewhere.code, submits(&sandbox)), (Some(0), 2), "{}", elsewhere.all());
    let resumed = scene.run(&["resume", &first, "-q"]);
    assert_eq!((resumed.code, submits(&sandbox)), (Some(8), 2), "{}", resumed.all());
}
