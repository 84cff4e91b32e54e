//! What signals do to a run, from outside, beyond what `cli.rs` has: SIGHUP, signals that were ignored from the start, the second
//! signal of each kind, and what a CI system does.
//!
//! Nothing here sleeps: a signal is sent when the process has said what the test waits for.

#![cfg(unix)]

use std::{
    io::BufReader,
    process::{Child, ChildStderr},
};

use dagwood::{job::JobState, sandbox::Sandbox};
use jiff::Timestamp;
use serde_json::Value;

use crate::cli::{Scene, emulator, signal, wait_for};

/// Jobs that last until they are cancelled.
const LONG: &str = "- { on: submit, do: { takes: 300s } }";

/// Jobs that last, and cancels that are not answered: only a second signal ends this in time.
const STUBBORN: &str = "- { on: submit, do: { takes: 300s } }\n- { on: cancel, do: { latency: 60s } }";

/// Starts the run of a clip from a shell that says first what becomes of signals, and waits until its job is there.
fn started(scene: &Scene, trap: &str) -> (Child, BufReader<ChildStderr>) {
    let mut child = scene.shell(trap, &["run", "clip"]).spawn().expect("the binary runs");
    let mut err = BufReader::new(child.stderr.take().expect("a pipe"));
    wait_for(&mut err, "submitted as");
    (child, err)
}

fn states(sandbox: &Sandbox) -> Vec<JobState> {
    sandbox.jobs().into_iter().map(|job| job.state).collect()
}

/// Waits for the end, and returns its code and what was said until then.
fn ended(mut child: Child, mut err: impl std::io::Read) -> (Option<i32>, String) {
    let mut rest = String::new();
    err.read_to_string(&mut rest).expect("UTF-8");
    (child.wait().expect("it ends").code(), rest)
}

#[test]
fn a_hangup_is_like_a_wish_to_terminate() {
    let sandbox = emulator(LONG);
    let scene = Scene::new().against(&sandbox);
    let (child, err) = started(&scene, ":");
    signal(&child, "HUP");
    let (code, said) = ended(child, err);
    assert_eq!((code, states(&sandbox)), (Some(143), vec![JobState::Cancelled]), "{said}");
    assert!(said.contains("terminated: cancelling what runs"), "{said}");
    assert_eq!(scene.run(&["show", "--format", "json"]).json()["status"], "cancelled");
}

/// As `nohup` starts what it runs, and as a shell without job control starts what runs in the background.
#[test]
fn a_signal_that_was_ignored_from_the_start_does_nothing() {
    for (name, trap) in [("HUP", "trap '' HUP"), ("INT", "trap '' INT")] {
        let sandbox = emulator(STUBBORN);
        let scene = Scene::new().against(&sandbox);
        let (child, mut err) = started(&scene, trap);
        signal(&child, name);
        // Had it been taken for the first one, this would be the second, and end the process at once.
        signal(&child, "TERM");
        wait_for(&mut err, "a second signal ends at once");
        wait_for(&mut err, "terminated: cancelling what runs");
        signal(&child, "TERM");
        let (code, said) = ended(child, err);
        assert!(code == Some(143) && said.contains("stopped at once"), "{name}: {code:?}: {said}");

        // The control: without the trap, the two signals are the first and the second.
        let (child, mut err) = started(&scene, "trap - HUP INT");
        signal(&child, name);
        wait_for(&mut err, "a second signal ends at once");
        signal(&child, "TERM");
        let (code, said) = ended(child, err);
        assert!(code == Some(143) && said.contains("stopped at once"), "{name}: {code:?}: {said}");
    }
}

#[test]
fn a_second_signal_of_any_kind_ends_at_once_with_its_own_code() {
    for (first, second, code) in
        [("INT", "INT", 130), ("INT", "TERM", 143), ("TERM", "HUP", 143), ("HUP", "INT", 130), ("HUP", "HUP", 143)]
    {
        let sandbox = emulator(STUBBORN);
        let scene = Scene::new().against(&sandbox);
        let (child, mut err) = started(&scene, ":");
        signal(&child, first);
        wait_for(&mut err, "a second signal ends at once");
        signal(&child, second);
        let (found, said) = ended(child, err);
        assert_eq!(found, Some(code), "{first}, {second}: {said}");
        assert!(said.ends_with("stopped at once: the journal is whole, remote jobs may go on\n"), "{said}");
        // All that was said is there: the intent, the job, and the wish.
        let logs = scene.run(&["logs", "-f", "--format", "json"]);
        let kinds: Vec<_> = events(&logs.raw).iter().map(|event| event["kind"].clone()).collect();
        for kind in ["run_started", "submit_intended", "submitted", "cancel_requested"] {
            assert!(kinds.iter().any(|found| found == kind), "{kind}: {kinds:?}");
        }
        assert!(scene.run(&["runs"]).out.contains("interrupted"));
    }
}

/// GitHub Actions sends SIGINT, 7.5 s later SIGTERM, and 2.5 s later SIGKILL. The first must be enough, even where one of the jobs does
/// not let itself be cancelled.
#[test]
fn the_first_signal_of_a_ci_system_is_enough() {
    let sandbox = emulator("- { on: submit, do: { takes: 300s } }\n- { on: cancel, nth: 2, do: { latency: 60s } }");
    let scene = Scene::new().against(&sandbox).with("GITHUB_ACTIONS", "true");
    let steps = ["a", "b", "c"].map(|id| format!("  {id}: {{ model: kling/video, inputs: {{ prompt: {id} }} }}\n"));
    scene.file("workflows/clip.yaml", format!("name: clip\nsteps:\n{}", steps.concat()));
    let (child, mut err) = started(&scene, ":");
    wait_for(&mut err, "submitted as");
    wait_for(&mut err, "submitted as");
    signal(&child, "INT");
    let (code, said) = ended(child, err);
    assert_eq!(code, Some(130), "{said}");
    let cancels = sandbox.log().iter().filter(|request| request.path.ends_with("/cancel")).count();
    assert_eq!(cancels, 3, "{:?}", sandbox.log());
    let cancelled = states(&sandbox).iter().filter(|state| **state == JobState::Cancelled).count();
    assert_eq!(cancelled, 2, "the third was asked, and did not answer");
    let events = events(&scene.run(&["logs", "-f", "--format", "json"]).raw);
    let at = |kind: &str| -> Timestamp {
        let event = events.iter().find(|event| event["kind"] == kind).expect(kind);
        event["at"].as_str().expect("a time").parse().expect("a time")
    };
    let took = at("run_finished").duration_since(at("cancel_requested"));
    assert!(took.as_millis() < 7_500, "{took}");
    // What is not known is not claimed.
    assert!(said.contains("the API did not confirm that its job is"), "{said}");
}

fn events(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}
