//! `dagwood lock`, `--locked`, `lock --check`, and what is written from contracts: the narrowed schema and new workflows.

use std::time::Duration;

use dagwood::{
    contract::{Contract, Port, ValueKind},
    job::{Target, TargetKind},
    sandbox::{Sandbox, Settings, Speed},
    world::World,
};
use serde_json::json;

use crate::cli::{Scene, emulator};

/// Two steps: one of the model that changes, and one that reads its picture.
const WORKFLOW: &str = r#"name: own
defaults: { provider: armox }
steps:
  picture:
    model: own/model
    inputs: { prompt: A quay, aspect_ratio: "16:9" }
  caption:
    model: openai/gpt-5-mini
    inputs: { prompt: "Describe {{ steps.picture.image }}" }
"#;

fn own(options: &[&str], output: ValueKind) -> Contract {
    let target = Target { kind: TargetKind::Model, id: "own/model".to_owned() };
    let options = options.iter().map(|&option| json!(option)).collect();
    let ports = vec![
        Port { required: true, ..Port::new("prompt", ValueKind::Text) },
        Port { options, ..Port::new("aspect_ratio", ValueKind::Text) },
    ];
    Contract { cost: Some(3.0), output: Some(output), ports, unchecked: false, ..Contract::unchecked(target, "Own") }
}

fn emulator_with(contract: Contract) -> Sandbox {
    let settings =
        Settings { extra: vec![contract], speed: Speed::Fixed(Duration::from_millis(20)), ..Settings::default() };
    Sandbox::start_on_thread(settings, World::real()).expect("an emulator")
}

/// A project whose only workflow is the one above.
fn scene(sandbox: &Sandbox) -> Scene {
    let scene = Scene::new().against(sandbox);
    for name in ["launch", "clip"] {
        std::fs::remove_file(scene.path(&format!("workflows/{name}.yaml"))).expect("it was there");
    }
    scene.file("workflows/own.yaml", WORKFLOW);
    scene
}

#[test]
fn with_a_lock_nothing_is_asked_of_a_catalogue() {
    let sandbox = emulator_with(own(&["1:1", "16:9"], ValueKind::Image));
    let scene = scene(&sandbox);
    insta::assert_snapshot!(scene.run(&["lock"]).all(), @r#"
exit 0
--- stdout
dagwood.lock: 2 contracts, 2 new
--- stderr
"#);
    insta::assert_snapshot!(scene.run(&["lock", "--check"]).all(), @r#"
exit 0
--- stdout
--- stderr
`dagwood.lock` is as the APIs have it
"#);
    let before = sandbox.log().len();
    let reads = || sandbox.log()[before..].iter().filter(|call| call.path.ends_with("/models")).count();
    assert_eq!(scene.run(&["validate", "--locked"]).out, "workflows/own.yaml: ok, 2 steps\n");
    assert_eq!(scene.run(&["plan", "own", "--locked"]).code, Some(0));
    let ran = scene.run(&["run", "own", "--locked"]);
    assert_eq!((ran.code, reads()), (Some(0), 0), "{}", ran.all());
    // The control: without the flag it is read.
    scene.run(&["validate"]);
    assert_eq!(reads(), 1);
    // What is locked is what is checked, with no key as well.
    scene.file("workflows/own.yaml", WORKFLOW.replace("16:9", "4:3"));
    let mut offline = scene;
    offline.environment.remove("ARMOX_API_KEY");
    assert_eq!(offline.run(&["validate", "--locked"]).code, Some(3));
}

#[test]
fn a_target_that_is_not_locked_is_named_with_its_place() {
    let sandbox = emulator_with(own(&["16:9"], ValueKind::Image));
    let scene = scene(&sandbox);
    assert_eq!(scene.run(&["validate", "--locked"]).code, Some(2));
    assert_eq!(scene.run(&["lock"]).code, Some(0));
    scene.file("workflows/own.yaml", WORKFLOW.replace("openai/gpt-5-mini", "google/nano-banana"));
    insta::assert_snapshot!(scene.run(&["validate", "--locked"]).all(), @r#"
exit 3
--- stdout
error[DW707]: `dagwood.lock` has no model `google/nano-banana` of `armox`
 --> workflows/own.yaml:8:12
  |
8 |     model: google/nano-banana
  |            ^^^^^^^^^^^^^^^^^^ not locked
  |
  = help: `dagwood lock` reads its contract and adds it

workflows/own.yaml: 1 error, nothing was sent
--- stderr
"#);
    // In each file that names it.
    scene.file("workflows/too.yaml", WORKFLOW.replace("openai/gpt-5-mini", "google/nano-banana"));
    assert_eq!(scene.run(&["validate", "--locked"]).out.matches("error[DW707]").count(), 2);
    let ran = scene.run(&["run", "own", "--locked"]);
    assert_eq!(ran.code, Some(3), "{}", ran.all());
    assert!(sandbox.jobs().is_empty());
}

#[test]
fn a_change_is_told_with_the_steps_that_it_breaks() {
    let before = emulator_with(own(&["1:1", "16:9"], ValueKind::Image));
    let scene = scene(&before);
    assert_eq!(scene.run(&["lock"]).code, Some(0));
    let after = emulator_with(own(&["1:1", "4:3"], ValueKind::Video));
    let scene = scene.against(&after);
    insta::assert_snapshot!(scene.run(&["lock", "--check"]).all(), @r#"
exit 7
--- stdout
armox model own/model
  what comes out is video now, and was image
  input `aspect_ratio` does not take `16:9` any more
  input `aspect_ratio` also takes `4:3` now
  breaks step `picture`, workflows/own.yaml:6:45: `16:9` is not an option of input `aspect_ratio` (DW207)
    help: did you mean `1:1`?
  breaks step `caption`, workflows/own.yaml:9:50: `own/model` gives videos, so `steps.picture` has no `image` (DW212)
    help: did you mean `steps.picture.video`?
--- stderr
1 contract has changed, 2 steps are touched; `dagwood lock` takes the new ones
"#);
    let json = scene.run(&["lock", "--check", "--format", "json"]);
    assert_eq!(json.code, Some(7));
    let breaks = json.json()["drift"][0]["breaks"].clone();
    assert_eq!((&breaks[0]["line"], &breaks[0]["step"]), (&json!(6), &json!("picture")), "{breaks}");
    // The control: a change that touches nothing that a file uses.
    let harmless = emulator_with(own(&["1:1", "16:9", "4:3"], ValueKind::Image));
    let scene = scene.against(&harmless);
    insta::assert_snapshot!(scene.run(&["lock", "--check"]).all(), @r#"
exit 7
--- stdout
armox model own/model
  input `aspect_ratio` also takes `4:3` now
  breaks nothing
--- stderr
1 contract has changed, no step is touched; `dagwood lock` takes the new ones
"#);
    insta::assert_snapshot!(scene.run(&["lock"]).all(), @r#"
exit 0
--- stdout
dagwood.lock: 2 contracts, 1 changed

armox model own/model
  input `aspect_ratio` also takes `4:3` now
--- stderr
"#);
    assert_eq!(scene.run(&["lock", "--check"]).code, Some(0));
}

#[test]
fn a_target_that_is_gone_breaks_its_steps() {
    let before = emulator_with(own(&["16:9"], ValueKind::Image));
    let scene = scene(&before);
    assert_eq!(scene.run(&["lock"]).code, Some(0));
    let without = emulator("");
    let scene = scene.against(&without);
    let ran = scene.run(&["lock", "--check"]);
    assert_eq!(ran.code, Some(7), "{}", ran.all());
    assert!(
        ran.out.contains("own/model` is not there any more") || ran.out.contains("is not there any more"),
        "{}",
        ran.all()
    );
    assert!(ran.out.contains("breaks step `picture`, workflows/own.yaml:5:12"), "{}", ran.all());
    // It cannot be locked either, and the old lock stays.
    let locked = std::fs::read_to_string(scene.path("dagwood.lock")).expect("a lock");
    assert_eq!(scene.run(&["lock"]).code, Some(3));
    assert_eq!(std::fs::read_to_string(scene.path("dagwood.lock")).expect("a lock"), locked);
}

#[test]
fn files_that_are_named_leave_the_rest_of_the_lock_alone() {
    let sandbox = emulator_with(own(&["16:9"], ValueKind::Image));
    let scene = scene(&sandbox);
    assert_eq!(scene.run(&["lock"]).code, Some(0));
    scene.file("workflows/other.yaml", "steps: { a: { provider: armox, model: kling/video, inputs: { prompt: x } } }");
    assert_eq!(scene.run(&["lock", "workflows/other.yaml"]).out, "dagwood.lock: 3 contracts, 1 new\n");
    std::fs::remove_file(scene.path("workflows/other.yaml")).expect("it was there");
    assert_eq!(scene.run(&["lock"]).out, "dagwood.lock: 2 contracts, 1 dropped\n");
}

#[test]
fn contracts_of_the_project_file_win_over_published_ones() {
    let sandbox = emulator_with(own(&["16:9"], ValueKind::Image));
    let scene = scene(&sandbox);
    scene.file(
        "dagwood.yaml",
        "contracts:\n  armox/own/model: { type: object, properties: { prompt: { type: string, maxLength: 3 } }, required: [prompt] }\n",
    );
    for arguments in [&["validate"][..], &["lock"], &["validate", "--locked"]] {
        let ran = scene.run(arguments);
        let expected = if arguments == ["lock"] { 0 } else { 3 };
        assert_eq!(ran.code, Some(expected), "{arguments:?}: {}", ran.all());
    }
    assert!(!std::fs::read_to_string(scene.path("dagwood.lock")).expect("a lock").contains("maxLength"));
}

#[test]
fn the_schema_is_narrowed_to_what_the_accounts_have() {
    let scene = Scene::new();
    let text = scene.run(&["schema", "--for", "launch", "--sandbox"]);
    let validator = jsonschema::validator_for(&text.json()).expect("a schema");
    let fits = |step: serde_json::Value| validator.is_valid(&json!({"steps": {"a": step}}));
    let banana = |inputs: serde_json::Value| json!({"model": "google/nano-banana", "inputs": inputs});
    assert!(fits(banana(json!({"prompt": "A quay", "aspect_ratio": "16:9"}))));
    assert!(fits(banana(json!({"prompt": "{{ inputs.x }}", "aspect_ratio": "{{ inputs.y }}"}))));
    assert!(!fits(banana(json!({"prompt": "A quay", "aspect_ratio": "16:10"}))));
    assert!(!fits(banana(json!({}))));
    assert!(!fits(json!({"model": "google/nano-banan"})));
    assert!(fits(json!({"agent": "Analyst", "inputs": {"query": "x"}})));
    assert!(!fits(json!({"app": "Sketch to Rendr"})));
    let offers = scene.run(&["schema", "--for", "launch"]);
    assert_eq!(offers.code, Some(4), "{}", offers.all());
}

#[test]
fn a_workflow_is_written_from_a_contract_and_validates_at_once() {
    let scene = Scene::new();
    for (flag, name, file) in [
        ("--app", "sketch to render", "sketch-to-render"),
        ("--model", "kling/video", "kling-video"),
        ("--agent", "Analyst", "analyst"),
    ] {
        let ran = scene.run(&["init", flag, name, "--sandbox"]);
        assert_eq!(ran.out, format!("wrote workflows/{file}.yaml\n"), "{}", ran.all());
        assert_eq!(ran.code, Some(0), "{}", ran.all());
        let path = format!("workflows/{file}.yaml");
        let checked = scene.run(&["validate", "--sandbox", &path]);
        assert!(checked.code == Some(0) && !checked.out.contains("warning"), "{}", checked.all());
        let again = scene.run(&["init", flag, name, "--sandbox"]);
        assert_eq!(again.code, Some(2), "{}", again.all());
    }
    assert_eq!(scene.run(&["init", "--app", "a", "--model", "b"]).code, Some(2));
}

#[test]
fn a_new_project_runs_and_nothing_is_overwritten() {
    let scene = Scene::new();
    scene.file(".gitignore", "target");
    insta::assert_snapshot!(scene.run(&["init"]).all(), @r#"
exit 0
--- stdout
wrote dagwood.yaml
wrote workflows/hello.yaml
wrote schemas/workflow.schema.json
wrote schemas/project.schema.json
wrote .gitignore
--- stderr
next: `dagwood run hello --sandbox`, then `dagwood doctor` once a key is set
"#);
    let ran = scene.run(&["run", "hello", "--sandbox"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    // An editor finds the schema of each file where its first line says.
    assert!(scene.run(&["init", "--model", "kling/video", "--sandbox"]).code == Some(0));
    for file in ["dagwood.yaml", "workflows/hello.yaml", "workflows/kling-video.yaml"] {
        let text = std::fs::read_to_string(scene.path(file)).expect("a file");
        let line = text.lines().next().expect("a line");
        let schema = line.strip_prefix("# yaml-language-server: $schema=").expect(line);
        let schema = scene.path(file).parent().expect("a folder").join(schema);
        let schema = std::fs::read_to_string(&schema).expect("a schema");
        let of = if file == "dagwood.yaml" { "project" } else { "workflow" };
        assert_eq!(schema, scene.run(&["schema", of]).raw, "{file}");
    }
    scene.file("dagwood.yaml", "# mine\n");
    let again = scene.run(&["init"]);
    let kept = ["dagwood.yaml", "workflows/hello.yaml", "schemas/workflow.schema.json", "schemas/project.schema.json"];
    assert_eq!(again.out, kept.map(|name| format!("kept {name}, which was there\n")).concat());
    assert_eq!(std::fs::read_to_string(scene.path("dagwood.yaml")).expect("a file"), "# mine\n");
    assert_eq!(
        std::fs::read_to_string(scene.path(".gitignore")).expect("a file"),
        "target\n.dagwood/\nartifacts/\n.env\n"
    );
}

/// The emulator is locked as it is of itself: what a lock file says does not become true in it.
#[test]
fn a_lock_can_be_tried_in_the_emulator() {
    let scene = Scene::new();
    insta::assert_snapshot!(scene.run(&["lock", "--sandbox"]).all(), @r#"
exit 0
--- stdout
dagwood.lock: 3 contracts, 3 new
--- stderr
note: these are the emulator's contracts, not those of your accounts
"#);
    let ran = scene.run(&["run", "launch", "--locked", "--sandbox"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert_eq!(scene.run(&["lock", "--check", "--sandbox"]).code, Some(0));
    let path = scene.path("dagwood.lock");
    let text = std::fs::read_to_string(&path).expect("the lock file");
    std::fs::write(&path, text.replacen("- 16:9", "- 17:9", 1)).expect("another lock file");
    let ran = scene.run(&["lock", "--check", "--sandbox"]);
    assert_eq!(ran.code, Some(7), "{}", ran.all());
}
