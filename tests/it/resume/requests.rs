//! `http` steps, which no API lists: what is said of one whose answer is lost, and of one that is answered otherwise than it should be.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::last;
use crate::{
    cli::{Ran, Scene},
    wire::{self, Act, Wire},
};

async fn run(scene: &Arc<Scene>, arguments: &'static [&'static str]) -> Ran {
    let scene = Arc::clone(scene);
    spawn_blocking(move || scene.run(arguments)).await.expect("it ends")
}

fn scene(wire: &Wire, path: &str) -> Arc<Scene> {
    let scene = Scene::new();
    scene.file(
        "workflows/post.yaml",
        format!("name: post\nsteps: {{ drop: {{ http: {{ method: POST, url: '{}' }} }} }}\n", wire.url(path)),
    );
    Arc::new(scene)
}

#[tokio::test]
async fn a_lost_request_has_no_job_to_adopt() {
    let wire = Wire::start(|_| Act::Close(Vec::new())).await;
    let scene = scene(&wire, "/drop");
    insta::assert_snapshot!(run(&scene, &["run", "post"]).await.all(), @r#"
exit 8
--- stdout
✖ post stopped: the answer to one submit was lost, and whether the server accepted it is unknown

  ✖ drop  POST http://HOST/drop TOOK    –  failed

  drop  sent TIME, `POST /drop` was sent, but no answer came: connection closed before message completed; nobody can tell whether the API accepted the job, so it is not sent again
        the request may have been carried out

  Look at the server whether `POST http://HOST/drop` arrived between TIME and TIME
  then
    dagwood resume UUID --resubmit drop   it did not arrive: send it again
--- stderr
TIME run   post RUN started: 1 step
TIME drop  failed after TOOK: `POST /drop` was sent, but no answer came: connection closed before message completed; nobody can tell whether the API accepted the job, so it is not sent again
TIME run   stopped after TOOK: whether a job was accepted is unknown
"#);
    insta::assert_snapshot!(run(&scene, &["resume", "--adopt", "drop=1"]).await.all(), @r#"
exit 2
--- stdout
--- stderr
error: step `drop` is an HTTP request, which no API lists: there is no job to adopt
  = help: where it did not arrive, `dagwood resume UUID --resubmit drop` sends it again
"#);
    assert_eq!(wire.requests().len(), 1);
    assert_eq!(run(&scene, &["resume", "--resubmit", "drop", "-q"]).await.code, Some(8));
    assert_eq!(wire.requests().len(), 2);
}

/// The answer came, and says that the request was not done here: nothing is unknown.
#[tokio::test]
async fn a_redirect_that_is_not_followed_is_a_plain_failure() {
    for method in ["POST", "PUT"] {
        let wire =
            Wire::start(|_| Act::Send(wire::answer("302 Found", &[("location", "https://example.com/")], ""))).await;
        let scene = scene(&wire, "/moved");
        let text = std::fs::read_to_string(scene.path("workflows/post.yaml")).expect("a file");
        scene.file("workflows/post.yaml", text.replace("POST", method));
        let ran = run(&scene, &["run", "post", "-q"]).await;
        assert_eq!((ran.code, wire.requests().len()), (Some(1), 1), "{}", ran.all());
        let error = last(&scene)["steps"][0]["error"].clone();
        assert_eq!(error["kind"], "rejected", "{error}");
        let words = "answered 302 Found: a redirect to https://example.com, which is not followed";
        assert!(error["message"].as_str().is_some_and(|message| message.ends_with(words)), "{error}");
    }
}
