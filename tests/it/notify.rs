//! `notify`: who is told at the end of a run, of what, and what is said where that fails.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::task::spawn_blocking;

use crate::{
    cli::{Ran, Scene},
    wire::{self, Act, Wire},
};

/// A step that succeeds, or fails where the input is not met.
fn workflow(notify: &str) -> String {
    format!(
        "name: told
inputs: {{ most: {{ type: integer, default: 9 }} }}
secrets: [HOOK]
notify: {notify}
steps:
  sum: {{ set: {{ n: 4 }}, expect: 'output.n < inputs.most' }}
outputs: {{ n: '{{{{ steps.sum.output.n }}}}' }}
"
    )
}

async fn run(scene: &Arc<Scene>, arguments: &'static [&'static str]) -> Ran {
    let (scene, arguments) = (Arc::clone(scene), [&["run", "told", "--sandbox"], arguments].concat());
    spawn_blocking(move || scene.run(&arguments)).await.expect("it ends")
}

#[tokio::test]
async fn each_is_told_once_of_the_ends_that_it_wants_to_know() {
    let wire = Wire::start(|_| Act::Send(wire::answer("200 OK", &[("content-type", "text/plain")], "ok"))).await;
    let scene = Arc::new(Scene::new().with("HOOK", wire.url("/hooks/canary")));
    let notify = format!(
        "[{{ on: [failed], url: '{{{{ secrets.HOOK }}}}', format: slack }}, {{ on: [succeeded, failed], url: '{}{{{{ run.status }}}}' }}]",
        wire.url("/ends/")
    );
    scene.file("workflows/told.yaml", workflow(&notify));
    assert_eq!(run(&scene, &["-q"]).await.code, Some(0));
    assert_eq!(wire.lines(), ["POST /ends/succeeded"]);
    let told = wire.requests()[0].json();
    let shown = scene.run(&["show", "last", "--format", "json"]).json();
    assert_eq!(
        (&told["run"], &told["workflow"], &told["status"], &told["outputs"], &told["failed_steps"]),
        (&shown["run"], &"told".into(), &"succeeded".into(), &serde_json::json!({"n": 4}), &serde_json::json!([]))
    );

    assert_eq!(run(&scene, &["-q", "-i", "most=2"]).await.code, Some(1));
    assert_eq!(wire.lines()[1..], ["POST /hooks/canary", "POST /ends/failed"]);
    let slack = wire.requests()[1].json();
    let text = slack["text"].as_str().expect("a text");
    assert!(text.starts_with("✖ *told* failed at `sum`\nrun "), "{text}");
    assert_eq!(wire.requests()[2].json()["failed_steps"], serde_json::json!(["sum"]));
    // The control: the key of the hook is in nothing that stays.
    assert!(!scene.run(&["logs", "last", "--format", "json"]).raw.contains("canary"));
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_again_and_a_refusal_is_a_warning_of_the_run() {
    let asked = AtomicUsize::new(0);
    let wire = Wire::start(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => wire::json("503 Service Unavailable", "{}"),
        1 => wire::json("200 OK", "{}"),
        _ => wire::json("404 Not Found", "{}"),
    })
    .await;
    let scene = Arc::new(Scene::new().with("HOOK", wire.url("/hooks/canary")));
    scene.file("workflows/told.yaml", workflow("[{ on: [succeeded], url: '{{ secrets.HOOK }}' }]"));
    let ran = run(&scene, &[]).await;
    assert_eq!((ran.code, wire.lines().len()), (Some(0), 2), "{}", ran.all());
    assert!(!ran.all().contains("`notify` did not reach"), "{}", ran.all());

    let ran = run(&scene, &[]).await;
    // The run is as good as before: it is over, and its end is settled.
    assert_eq!((ran.code, wire.lines().len()), (Some(0), 3), "{}", ran.all());
    assert!(ran.all().contains("`notify` did not reach its URL (workflows/told.yaml:4:"), "{}", ran.all());
    assert!(!ran.all().contains("canary"), "{}", ran.all());
}

#[tokio::test]
async fn in_the_sandbox_no_other_machine_is_told() {
    let scene = Arc::new(Scene::new().with("HOOK", "https://hooks.example.com/canary"));
    scene.file("workflows/told.yaml", workflow("[{ on: [succeeded], url: '{{ secrets.HOOK }}' }]"));
    let ran = run(&scene, &[]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert!(ran.all().contains("`notify` did not reach its URL"), "{}", ran.all());
}
