//! The content of a local file is data of the steps that it goes into: `--update` looks whether it is another one now.

use std::fs;

use dagwood::sandbox::{AIMP_KEY, Api, Sandbox};

use crate::cli::{Ran, Scene, emulator};

/// Steps that get files in every way there is.
const PICTURES: &str = r#"
inputs: { picture: { type: file, default: input.png } }
vars: { still: '{{ file("var.png") }}', unread: '{{ file("unread.png") }}' }
defaults: { provider: aimp }
steps:
  input: { model: image-captioner, inputs: { image: "{{ inputs.picture }}" } }
  var: { model: image-captioner, inputs: { image: "{{ vars.still }}" } }
  call: { model: image-captioner, inputs: { image: "{{ file('call.png') }}" }, cache: true }
  each: { foreach: [item.png, other.png], model: image-captioner, inputs: { image: "{{ file(item) }}" } }
  part: { workflow: part.yaml }
  plain: { set: { name: "{{ inputs.picture | basename }}" } }
  after: { set: { caption: "{{ steps.input.output.caption }}" } }
"#;

const PART: &str = "steps: { inner: { model: image-captioner, inputs: { image: \"{{ file('part.png') }}\" } } }";

const FILES: [&str; 7] = ["input", "var", "unread", "call", "item", "other", "part"];

/// How many jobs a run makes.
const JOBS: usize = 6;

/// Returns what a picture begins with, and these words.
fn picture(words: &str) -> Vec<u8> {
    [b"\x89PNG\r\n\x1a\n", words.as_bytes()].concat()
}

fn scene(sandbox: &Sandbox) -> Scene {
    let scene = Scene::new().with("AIMP_GATEWAY_URL", sandbox.base_url_of(Api::Aimp)).with("AIMP_API_KEY", AIMP_KEY);
    scene.file("workflows/pictures.yaml", PICTURES);
    scene.file("workflows/part.yaml", PART);
    for name in FILES {
        scene.file(&format!("workflows/{name}.png"), picture(name));
    }
    scene
}

fn update(scene: &Scene) -> Ran {
    let ran = scene.run(&["resume", "--update"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    ran
}

#[test]
fn an_update_runs_the_steps_whose_files_have_changed() {
    let sandbox = emulator("");
    let scene = scene(&sandbox);
    let ran = scene.run(&["run", "pictures", "-q"]);
    assert_eq!((ran.code, sandbox.jobs().len()), (Some(0), JOBS), "{}", ran.all());
    let mut jobs = JOBS;
    for (name, runs) in [("input", 1), ("var", 1), ("unread", 0), ("call", 1), ("item", 2), ("part", 1)] {
        // As it is written anew, it is still the same.
        scene.file(&format!("workflows/{name}.png"), picture(name));
        assert!(update(&scene).err.contains("nothing has changed"), "{name}");
        scene.file(&format!("workflows/{name}.png"), picture(&format!("another {name}")));
        let ran = update(&scene);
        jobs += runs;
        assert_eq!(sandbox.jobs().len(), jobs, "{name}: {}", ran.all());
        assert_eq!(ran.err.contains("nothing has changed"), runs == 0, "{name}: {}", ran.all());
        assert!(update(&scene).err.contains("nothing has changed"), "{name}");
    }
}

#[test]
fn what_was_taken_from_the_cache_has_files_too() {
    let sandbox = emulator("");
    let scene = scene(&sandbox);
    for jobs in [JOBS, 2 * JOBS - 1] {
        assert_eq!(scene.run(&["run", "pictures", "-q"]).code, Some(0));
        assert_eq!(sandbox.jobs().len(), jobs, "`call` is taken from the cache the second time");
    }
    scene.file("workflows/call.png", picture("another call"));
    update(&scene);
    assert_eq!(sandbox.jobs().len(), 2 * JOBS);
}

#[test]
fn a_file_that_is_gone_is_told_before_anything_is_sent() {
    let sandbox = emulator("");
    let scene = scene(&sandbox);
    // Which items are run for is known only then, so their files are not looked at before.
    let pictures = PICTURES.replace("foreach: [item.png", "when: index < 9, foreach: [item.png");
    scene.file("workflows/pictures.yaml", &pictures);
    assert_eq!(scene.run(&["run", "pictures", "-q"]).code, Some(0));
    fs::remove_file(scene.path("workflows/item.png")).expect("it is there");
    let ran = scene.run(&["resume", "--update"]);
    let path = scene.path("workflows/item.png");
    let told =
        format!("whether a file of step `each[0]` has changed cannot be told: there is no file `{}`", path.display());
    assert!(ran.code == Some(2) && ran.raw.is_empty(), "{}", ran.all());
    assert!(ran.err.contains(&scene.tidy(&told)), "{}", ran.all());
    assert_eq!(sandbox.jobs().len(), JOBS);
    // Where the step is another one by now, nobody asks for what it had.
    scene.file("workflows/pictures.yaml", pictures.replace("[item.png, other.png]", "[other.png]"));
    update(&scene);
    assert_eq!(sandbox.jobs().len(), JOBS + 1);
    // Of what is surely run for they are.
    scene.file("workflows/pictures.yaml", PICTURES);
    let ran = scene.run(&["resume", "--update"]);
    assert!(ran.code == Some(3) && ran.err.contains("there is no file"), "{}", ran.all());
    assert_eq!(sandbox.jobs().len(), JOBS + 1);
}

#[test]
fn a_var_counts_by_the_file_that_it_names() {
    let sandbox = emulator("");
    let scene = scene(&sandbox);
    assert_eq!(scene.run(&["run", "pictures", "-q"]).code, Some(0));
    // Of the same name, so that nothing but the folder tells them apart.
    scene.file("workflows/other/var.png", picture("another var"));
    scene.file("workflows/pictures.yaml", PICTURES.replace("\"var.png", "\"other/var.png"));
    update(&scene);
    assert_eq!(sandbox.jobs().len(), JOBS + 1);
}
