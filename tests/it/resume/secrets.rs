//! Secret inputs are not written down, so a run that goes on asks for them again, and knows a wrong one.

use std::path::Path;

use super::{events, submits};
use crate::cli::{Scene, emulator};

const WORKFLOW: &str = r#"name: styled
inputs:
  style: { type: string, secret: true }
  subject: { type: string, default: a lighthouse }
steps:
  picture: { model: google/nano-banana, inputs: { prompt: "{{ inputs.subject }} in {{ inputs.style }}" } }
"#;

/// The value that is nobody's business.
const SECRET: &str = "canary-style-5e1f";

/// Says whether a file below a folder holds a text.
fn holds(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).expect("a folder").any(|entry| {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            return holds(&path, text);
        }
        let bytes = std::fs::read(&path).expect("a file");
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[test]
fn a_secret_input_is_asked_for_again_and_a_wrong_one_refused() {
    let sandbox = emulator("- { on: submit, nth: 1, do: { fail: no } }");
    let scene = Scene::new().against(&sandbox);
    scene.file("workflows/styled.yaml", WORKFLOW);
    let given = format!("style={SECRET}");
    assert_eq!(scene.run(&["run", "styled", "-i", &given]).code, Some(1));
    let before = events(&scene);
    insta::assert_snapshot!(scene.run(&["resume"]).all(), @r#"
exit 2
--- stdout
--- stderr
error: the secret input `style` is not written down, and is needed again
  = help: give it with `-i style=…`
"#);
    insta::assert_snapshot!(scene.run(&["resume", "-i", "style=another one"]).all(), @r#"
exit 2
--- stdout
--- stderr
error: this is not the value of `style` that the run started with
"#);
    let ran = scene.run(&["resume", "-i", &given, "-i", "subject=a quay"]);
    assert!(ran.code == Some(2) && ran.err.contains("`subject` is no secret"), "{}", ran.all());
    assert_eq!((submits(&sandbox), events(&scene)), (1, before), "nothing was sent, nothing recorded");

    let ran = scene.run(&["resume", "-i", &given]);
    assert!(ran.code == Some(0) && !ran.all().contains(SECRET), "{}", ran.all());
    assert_eq!(sandbox.jobs()[1].inputs, sandbox.jobs()[0].inputs);
    assert_eq!(sandbox.jobs()[1].inputs["prompt"], format!("a lighthouse in {SECRET}"));
    let state = scene.path(".dagwood");
    assert!(!holds(&state, SECRET) && holds(&state, "a lighthouse"), "the secret is in the state folder");
}
