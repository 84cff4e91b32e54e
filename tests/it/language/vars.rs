//! `vars`: what is known only in the run, which is `run`, is there when the first step begins.

use dagwood::journal::event::RunStatus;
use serde_json::json;

use super::takes;
use crate::scripted::Bench;

const VARS: &str = "
name: launch
vars:
  plain: x
  tag: '{{ run.name }} {{ run.id }} {{ run.started_at }}'
  twice: { of: ['{{ vars.tag | upper }}', '{{ vars.plain }}'] }
steps:
  a: { model: m, inputs: { prompt: '{{ vars.tag }}' } }
  p: { needs: [a], workflow: part.yaml }
outputs: { twice: '{{ vars.twice.of }}' }
";

#[tokio::test(start_paused = true)]
async fn vars_read_the_run_in_the_files_order() {
    let part = "vars: { own: 'of {{ run.id }}' }\nsteps: { a: { model: m, inputs: { prompt: '{{ vars.own }}' } } }";
    let outcome = Bench::new().model("m", takes(100)).file("part.yaml", part.as_bytes()).run(VARS).await;
    assert_eq!(outcome.state.status, RunStatus::Succeeded, "{:?}", outcome.story());
    let tag = format!("launch {} {:.3}", outcome.state.run, outcome.state.started_at);
    assert_eq!(outcome.prompts(), [tag.clone(), format!("of {}", outcome.state.run)]);
    assert_eq!(outcome.outputs(), json!({"twice": [tag.to_uppercase(), "x"]}));
}

#[tokio::test(start_paused = true)]
async fn a_var_of_the_run_may_name_a_file() {
    let outcome = Bench::new()
        .uploads()
        .model("m", takes(100))
        .file("launch.png", b"a picture")
        .run("name: launch\nvars: { still: \"{{ file(run.name ~ '.png') }}\" }\nsteps: { a: { model: m, inputs: { prompt: x, image_input: ['{{ vars.still }}'] } } }")
        .await;
    assert_eq!((outcome.state.status, outcome.uploads), (RunStatus::Succeeded, vec!["launch.png".to_owned()]));
}

/// A var with a file goes to the providers of the steps that read it, and to no other.
#[tokio::test(start_paused = true)]
async fn a_file_in_a_var_that_no_step_reads_is_not_handed_over() {
    let outcome = Bench::new()
        .uploads()
        .model("m", takes(100))
        .file("a.png", b"a")
        .file("b.png", b"b")
        .run("vars: { a: \"{{ file('a.png') }}\", b: \"{{ file('b.png') }}\", all: ['{{ vars.b }}'] }\nsteps: { a: { model: m, inputs: { prompt: x, image_input: '{{ vars.all }}' } } }\n")
        .await;
    assert_eq!((outcome.state.status, outcome.uploads), (RunStatus::Succeeded, vec!["b.png".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_var_that_cannot_be_made_fails_the_steps_that_read_it() {
    let outcome = Bench::new()
        .model("m", takes(100))
        .run("vars: { wrong: '{{ run.name | fromjson }}', right: x }\nfailure_policy: continue\nsteps:\n  a: { model: m, inputs: { prompt: '{{ vars.wrong }}' } }\n  b: { model: m, inputs: { prompt: '{{ vars.right }}' } }")
        .await;
    assert_eq!((outcome.state.status, outcome.prompts()), (RunStatus::Failed, vec!["x".to_owned()]));
    assert!(outcome.error("a").starts_with("template: `vars.wrong` could not be made: "), "{}", outcome.error("a"));
}
