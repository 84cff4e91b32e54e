//! A submit of which nobody could tell, of an item or of a step in a workflow in the workflow: what the failure says to type is typed.
//!
//! AIMP lists no runs, so that every lost answer is for a person to judge.

#![cfg(unix)]

use dagwood::{
    job::JobState,
    sandbox::{AIMP_KEY, Api, Sandbox},
};

use super::{events, last, states};
use crate::cli::{Ran, Scene, emulator};

/// Four items, one after the other.
const LIST: &str = r#"name: lost
defaults: { provider: aimp }
steps:
  list: { foreach: [a, b, c, d], max_parallel: 1, model: demo-model, inputs: { text: "{{ item }}" } }
outputs: { list: "{{ steps.list.outputs }}" }
"#;

/// A workflow for each of two items, one after the other, and one by itself.
const NESTED: &str = r#"name: lost
defaults: { provider: aimp }
steps:
  each: { foreach: [a, b], max_parallel: 1, workflow: part.yaml, inputs: { name: "{{ item }}" } }
  own: { needs: [each], workflow: part.yaml, inputs: { name: own } }
outputs: { each: "{{ steps.each.outputs }}", own: "{{ steps.own.output }}" }
"#;

const PART: &str = r#"inputs: { name: { type: string } }
defaults: { provider: aimp }
steps:
  first: { model: demo-model, inputs: { text: "First {{ inputs.name }}" } }
  rest:
    needs: [first]
    foreach: [x, y]
    max_parallel: 1
    model: demo-model
    inputs: { text: "{{ item }} of {{ inputs.name }}" }
outputs: { first: "{{ steps.first.output }}", rest: "{{ steps.rest.outputs }}" }
"#;

/// Returns a project at AIMP, with the program on the path, whose Gateway shows runs by their ids.
fn at_aimp(sandbox: &Sandbox, workflow: &str) -> Scene {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_dagwood"));
    let folder = program.parent().expect("a folder").display();
    let scene = Scene::new()
        .with("PATH", format!("{folder}:/usr/bin:/bin"))
        .with("AIMP_GATEWAY_URL", sandbox.base_url_of(Api::Aimp))
        .with("AIMP_API_KEY", AIMP_KEY);
    scene.file("dagwood.yaml", "providers: { aimp: { kind: aimp, poll_path: 'runs/{id}' } }\n");
    scene.file("workflows/lost.yaml", workflow);
    scene.file("workflows/part.yaml", PART);
    scene
}

/// Counts the requests that could have made a job.
fn submits(sandbox: &Sandbox) -> usize {
    sandbox.log().iter().filter(|request| request.method == "POST").count()
}

/// Types what a failure says to type, with this job for the one that it leaves open, where files lie about whose names the shell could take
/// for what is meant.
fn typed(scene: &Scene, ran: &Ran, option: &str, job: &str) -> Ran {
    let line = ran.raw.lines().find(|line| line.contains(option)).unwrap_or_else(|| panic!("{}", ran.all()));
    let (line, _) = line.trim().split_once("   ").expect("words behind it");
    let line = line.replace("JOB", job);
    let (_, argument) = line.rsplit_once(' ').expect("an argument");
    scene.file(&argument.replace(['[', ']', '\''], ""), "");
    scene.finish(scene.shell(&format!("exec {line}"), &[]))
}

/// Returns the outputs of a run that nothing disturbs.
fn undisturbed(workflow: &str) -> serde_json::Value {
    let sandbox = emulator("");
    let scene = at_aimp(&sandbox, workflow);
    let ran = scene.run(&["run", "lost", "-q"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    last(&scene)["outputs"].clone()
}

#[test]
fn an_item_takes_the_job_that_a_person_found() {
    let sandbox = emulator("- { on: submit, nth: 4, do: lose_reply }");
    let scene = at_aimp(&sandbox, LIST);
    let ran = scene.run(&["run", "lost", "-q"]);
    insta::assert_snapshot!(ran.all(), @r#"
exit 8
--- stdout
✖ lost stopped: the answer to one submit was lost, and whether aimp accepted it is unknown

  ✖ list  demo-model TOOK  0.003 cr  failed: 1 of 4 items

  list[3]  sent TIME, `POST /api/runs` was sent, but no answer came: connection closed before message completed; nobody can tell whether the API accepted the job, so it is not sent again
           up to 1 job may have been charged

  Look in the job list of the aimp account for a job of `demo-model` created between TIME and TIME
  then
    dagwood resume UUID --adopt 'list[3]=JOB'   it arrived: take its result
    dagwood resume UUID --resubmit 'list[3]'    it did not: send it again
--- stderr
"#);
    let job = sandbox.jobs()[3].id.clone();
    let ran = typed(&scene, &ran, "--adopt", &job);
    assert_eq!((ran.code, submits(&sandbox)), (Some(0), 4), "{}", ran.all());
    assert!(states(&sandbox).iter().all(|state| *state == JobState::Completed), "{:?}", states(&sandbox));
    assert_eq!(last(&scene)["outputs"], undisturbed(LIST));
}

#[test]
fn an_item_is_sent_again_and_those_that_had_not_begun_begin() {
    let sandbox = emulator("- { on: submit, nth: 2, do: refuse }");
    let scene = at_aimp(&sandbox, LIST);
    let ran = scene.run(&["run", "lost"]);
    assert_eq!(ran.code, Some(8), "{}", ran.all());
    let ran = typed(&scene, &ran, "--resubmit", "");
    // Of the first nothing is sent again.
    assert_eq!((ran.code, sandbox.jobs().len(), submits(&sandbox)), (Some(0), 4, 5), "{}", ran.all());
    assert_eq!(last(&scene)["outputs"], undisturbed(LIST));
}

#[test]
fn steps_within_nested_workflows_are_settled_by_their_paths() {
    // The second item of the second workflow's fan-out is lost on the way, and the answer to the first step of the last workflow on the way back.
    let sandbox = emulator("- { on: submit, nth: 6, do: refuse }\n- { on: submit, nth: 8, do: lose_reply }");
    let scene = at_aimp(&sandbox, NESTED);
    let ran = scene.run(&["run", "lost"]);
    assert!(ran.code == Some(8) && ran.out.contains("--resubmit 'each[1].rest[1]'   "), "{}", ran.all());
    let ran = typed(&scene, &ran, "--resubmit", "");
    assert!(ran.code == Some(8) && ran.out.contains("--adopt own.first=JOB   "), "{}", ran.all());
    let job = sandbox.jobs().last().expect("a job").id.clone();
    let ran = typed(&scene, &ran, "--adopt", &job);
    assert_eq!((ran.code, sandbox.jobs().len(), submits(&sandbox)), (Some(0), 9, 10), "{}", ran.all());
    assert_eq!(last(&scene)["outputs"], undisturbed(NESTED));
}

#[test]
fn words_that_fit_no_lost_submit_are_refused_before_anything_is_sent() {
    // Two submits are lost: each of an item, one of them in a workflow.
    let sandbox = emulator("- { on: submit, nth: 2, times: 2, do: lose_reply }");
    let scene = at_aimp(&sandbox, LIST);
    scene.file(
        "workflows/lost.yaml",
        LIST.replace(
            "outputs:",
            "  own: { needs: [list], trigger: all_done, workflow: part.yaml, inputs: { name: own } }\noutputs:",
        ),
    );
    let ran = scene.run(&["run", "lost", "-q"]);
    assert!(ran.code == Some(8) && ran.out.contains("the answers to 2 submits were lost"), "{}", ran.all());
    let known = sandbox.jobs()[0].id.clone();
    let before = (events(&scene), sandbox.log().len());
    let adopt_known = format!("list[1]={known}");
    for (arguments, told) in [
        (&["--resubmit", "list[9]"][..], "the run has sent nothing for a step `list[9]`"),
        (&["--adopt", "list[9]=run_1"], "the run has sent nothing for a step `list[9]`"),
        (&["--adopt", "list[3]=run_1"], "the run has sent nothing for a step `list[3]`"),
        (&["--resubmit", "first"], "the run has sent nothing for a step `first`"),
        (&["--resubmit", "own.last"], "the run has sent nothing for a step `own.last`"),
        (&["--resubmit", "own.rest[0]"], "the run has sent nothing for a step `own.rest[0]`"),
        (&["--resubmit", "list[0]"], "step `list[0]` waits for no verdict: whether its submit was accepted is known"),
        (&["--resubmit", "own.rest"], "step `own.rest` waits for no verdict: whether its submit was accepted is known"),
        (&["--resubmit", "list"], "step `list` has no submit of its own: its parts have"),
        (&["--adopt", "own=run_1"], "step `own` has no submit of its own: its parts have"),
        (&["--resubmit", "list[x]"], "`list[x]` is not a step path such as `parent[3].child`"),
        (&["--resubmit", "list[1]", "--adopt", "list[1]=run_1"], "two things are said of the submit of step `list[1]`"),
        (
            &["--adopt", "list[1]=run_1", "--adopt", "own.first=run_1"],
            "the job run_1 cannot be adopted for step `own.first` and for another one",
        ),
        (
            &["--adopt", &adopt_known],
            &format!("the job {known} belongs to another submit, and cannot be adopted for step `list[1]`"),
        ),
    ] {
        let ran = scene.run(&[&["resume"], arguments].concat());
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.all());
        assert!(ran.err.starts_with(&format!("error: {told}\n  = help: ")), "{arguments:?}: {}", ran.all());
        assert_eq!((ran.err.lines().count(), &*ran.out), (2, ""), "{arguments:?}: {}", ran.all());
        assert_eq!((events(&scene), sandbox.log().len()), before, "{arguments:?}: something was sent or recorded");
    }
}
