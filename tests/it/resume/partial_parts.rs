//! `run --only` and `run --from` where the steps before, at and after the named one are fan-outs or run workflows: what is taken over, with
//! its files, what runs, and what is refused.

use dagwood::sandbox::Sandbox;
use serde_json::Value;

use super::last;
use crate::cli::{Scene, emulator};

/// A fan-out, one over its items, a workflow, and after that a single job and another fan-out. Each prompt begins with a word of its step's.
const PARTS: &str = r#"name: parts
steps:
  words: { foreach: [red, green], model: openai/gpt-5-mini, inputs: { prompt: "Word {{ item }}" } }
  pictures:
    foreach: steps.words.items
    model: google/nano-banana
    inputs: { prompt: "Draw {{ item.text if item else '' }}" }
    save: true
  album: { workflow: album.yaml, inputs: { title: "{{ steps.pictures.images | length }} pictures" } }
  letter:
    model: openai/gpt-5-mini
    inputs: { prompt: "Letter {{ steps.album.output.pages }} {{ steps.album.files[0].path }}" }
  notes:
    foreach: steps.album.output.pages
    model: openai/gpt-5-mini
    inputs: { prompt: "Note {{ item }}" }
finally:
  farewell: { model: openai/gpt-5-mini, inputs: { prompt: "Farewell {{ run.status }}" } }
outputs:
  letter: "{{ steps.letter.text }}"
  notes: "{{ steps.notes.texts }}"
  pictures: "{{ steps.pictures.items | length }}"
"#;

const ALBUM: &str = r#"inputs: { title: { type: string } }
steps:
  pages: { foreach: [one, two], model: openai/gpt-5-mini, inputs: { prompt: "Page {{ item }} of {{ inputs.title }}" } }
  cover:
    model: google/nano-banana
    inputs: { prompt: "Cover {{ steps.pages.texts | length }}" }
    save: true
finally:
  index: { model: openai/gpt-5-mini, inputs: { prompt: "Index {{ run.status }}" } }
outputs: { pages: "{{ steps.pages.texts }}" }
"#;

/// The files of a whole run.
const FILES: [&str; 4] = ["cover/0.png", "manifest.json", "pictures/0/0.png", "pictures/1/0.png"];

fn scene(sandbox: &Sandbox) -> Scene {
    let scene = Scene::new().against(sandbox);
    scene.file("workflows/parts.yaml", PARTS);
    scene.file("workflows/album.yaml", ALBUM);
    scene
}

/// Returns a whole run's scene, and its record.
fn whole() -> (Sandbox, Scene, Value) {
    let sandbox = emulator("");
    let scene = scene(&sandbox);
    let ran = scene.run(&["run", "parts", "-q"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    let run = last(&scene);
    assert_eq!((sandbox.jobs().len(), saved(&scene, &run)), (12, FILES.map(str::to_owned).into()));
    (sandbox, scene, run)
}

/// Returns the paths of what a run has saved.
fn saved(scene: &Scene, run: &Value) -> Vec<String> {
    let root = run["run"].as_str().expect("an id");
    if !scene.path("artifacts").join(root).exists() {
        return Vec::new();
    }
    scene.saved(root).into_keys().map(|path| path.display().to_string()).collect()
}

#[test]
fn what_was_taken_over_may_be_saved_anew_where_it_runs_after_all() {
    let (sandbox, scene, first) = whole();
    assert_eq!(scene.run(&["run", "parts", "-q", "--from", "letter"]).code, Some(0));
    let run = last(&scene);
    scene.file("workflows/parts.yaml", PARTS.replace("Draw {{", "Paint {{"));
    scene.file("workflows/album.yaml", ALBUM.replace("Cover {{", "Front {{"));
    let before = sandbox.jobs().len();
    let ran = scene.run(&["resume", "-q", "--update"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    // All but the words.
    assert_eq!(sandbox.jobs().len() - before, 10);
    let [old, new] = [&first, &run].map(|run| scene.saved(run["run"].as_str().expect("an id")));
    assert_eq!(
        (new.len(), new.iter().filter(|(path, digest)| old[*path] == **digest).count()),
        (4, 1),
        "{old:?} {new:?}"
    );
}
