//! `run --only` and `run --from` where the steps before, at and after the named one are fan-outs or run workflows: what is taken over, with
//! its files, what runs, and what is refused.

use std::collections::BTreeMap;

use dagwood::sandbox::Sandbox;
use serde_json::{Value, json};

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
const FILES: [&str; 4] = ["album/cover/0.png", "manifest.json", "pictures/0/0.png", "pictures/1/0.png"];

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

/// Counts the prompts of the jobs from one on, by their first words; none of them may be new, where the texts are.
fn asked(sandbox: &Sandbox, from: usize) -> BTreeMap<String, usize> {
    let jobs = sandbox.jobs();
    let prompt = |job: &dagwood::sandbox::JobView| job.inputs["prompt"].as_str().expect("a prompt").to_owned();
    let known: Vec<_> = jobs[..from].iter().map(prompt).collect();
    let mut counts = BTreeMap::new();
    for prompt in jobs[from..].iter().map(prompt) {
        assert!(known.contains(&prompt), "not what the whole run asked: {prompt}");
        *counts.entry(prompt.split(' ').next().unwrap_or_default().to_owned()).or_default() += 1;
    }
    counts
}

/// Returns the paths of what a run has saved.
fn saved(scene: &Scene, run: &Value) -> Vec<String> {
    let root = run["run"].as_str().expect("an id");
    if !scene.path("artifacts").join(root).exists() {
        return Vec::new();
    }
    scene.saved(root).into_keys().map(|path| path.display().to_string()).collect()
}

fn statuses(run: &Value) -> BTreeMap<&str, &str> {
    let steps = run["steps"].as_array().expect("steps");
    steps
        .iter()
        .map(|step| (step["step"].as_str().expect("a name"), step["status"].as_str().expect("a word")))
        .collect()
}

/// What runs of the parts, by the first words of their prompts, and what is in its folder then.
type Expected<'a> = (&'a [&'a str], &'a [(&'a str, usize)], &'a [&'a str]);

#[test]
fn parts_before_at_and_after_the_named_step_are_taken_over_or_run_as_wholes() {
    let (sandbox, scene, first) = whole();
    let of = first["run"].as_str().expect("an id");
    let pictures = &FILES[1..];
    let album = [("Cover", 1), ("Index", 1), ("Page", 2)];
    let cases: [Expected<'_>; 9] = [
        (&["--only", "words"], &[("Word", 2)], &[]),
        (&["--only", "pictures"], &[("Draw", 2)], pictures),
        (&["--only", "album"], &album, &FILES),
        (&["--only", "letter"], &[("Letter", 1)], &FILES[..2]),
        (&["--only", "notes"], &[("Note", 2)], &FILES[..2]),
        (&["--from", "notes"], &[("Farewell", 1), ("Note", 2)], &FILES),
        (&["--from", "letter"], &[("Farewell", 1), ("Letter", 1)], &FILES),
        (
            &["--from", "album"],
            &[&album[..1], &[("Farewell", 1)], &album[1..2], &[("Letter", 1), ("Note", 2)], &album[2..]].concat(),
            &FILES,
        ),
        (
            &["--from", "pictures"],
            &[("Cover", 1), ("Draw", 2), ("Farewell", 1), ("Index", 1), ("Letter", 1), ("Note", 2), ("Page", 2)],
            &FILES,
        ),
    ];
    for (arguments, jobs, files) in cases {
        let before = sandbox.jobs().len();
        let ran = scene.run(&[&["run", "parts", "-q", "--of", of], arguments].concat());
        assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.all());
        let jobs = jobs.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect();
        assert_eq!(asked(&sandbox, before), jobs, "{arguments:?}");
        let run = last(&scene);
        assert_eq!(saved(&scene, &run), files, "{arguments:?}");
        for (path, digest) in scene.saved(of) {
            let own = run["run"].as_str().expect("an id");
            if files.contains(&&*path.display().to_string()) {
                assert_eq!(scene.saved(own)[&path], digest, "{arguments:?}: {}", path.display());
            }
        }
        if arguments[0] == "--from" {
            assert_eq!(run["outputs"], first["outputs"], "{arguments:?}");
            assert!(statuses(&run).values().all(|status| *status == "succeeded"), "{arguments:?}: {run}");
        }
    }
}

#[test]
fn a_fan_out_or_workflow_that_did_not_succeed_is_not_taken_over_in_parts() {
    // The second picture fails.
    let sandbox = emulator(
        "- { on: submit, target: google/nano-banana, nth: 2, do: fail }\n- { on: submit, target: google/nano-banana, nth: 5, do: fail }",
    );
    let scene = scene(&sandbox);
    assert_eq!(scene.run(&["run", "parts", "-q"]).code, Some(1));
    let before = sandbox.log().iter().filter(|request| request.method == "POST").count();
    let refused = |arguments: &[&str], told: &str| {
        let ran = scene.run(&[&["run", "parts"], arguments].concat());
        assert!(ran.code == Some(2) && ran.err.contains(told), "{arguments:?}: {}", ran.all());
    };
    refused(&["--only", "album"], "step `pictures`, which `album` needs, has no result in run UUID");
    refused(&["--from", "letter"], "step `album`, which `letter` needs, has no result in run UUID");
    refused(&["--only", "pictures[1]"], "the workflow has no step `pictures[1]`\n  = help: `pictures` runs as a whole");
    refused(&["--from", "album.cover"], "the workflow has no step `album.cover`\n  = help: `album` runs as a whole");
    refused(&["--from", "picture[1]"], "the workflow has no step `picture[1]`");
    assert_eq!(sandbox.log().iter().filter(|request| request.method == "POST").count(), before, "something was sent");

    // All pictures are drawn again, and the cover fails.
    let ran = scene.run(&["run", "parts", "-q", "--from", "pictures"]);
    assert_eq!(ran.code, Some(1), "{}", ran.all());
    let run = last(&scene);
    assert_eq!((statuses(&run)["pictures"], statuses(&run)["album"]), ("succeeded", "failed"), "{run}");
    refused(&["--only", "notes"], "step `album`, which `notes` needs, has no result in run UUID");
    let ran = scene.run(&["run", "parts", "-q", "--from", "album"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert_eq!(last(&scene)["outputs"]["pictures"], json!(2));
}

#[test]
fn finally_runs_again_though_it_mentions_nothing_and_what_it_looks_at_may_be_missing() {
    let sandbox = emulator("- { on: submit, nth: 1, do: fail }");
    let scene = Scene::new().against(&sandbox);
    scene.file(
        "workflows/parts.yaml",
        r#"failure_policy: continue
steps:
  bad: { model: openai/gpt-5-mini, inputs: { prompt: Bad } }
  good: { needs: [bad], trigger: all_done, model: openai/gpt-5-mini, inputs: { prompt: Good } }
  apart: { needs: [good], model: openai/gpt-5-mini, inputs: { prompt: Apart } }
finally:
  farewell: { model: openai/gpt-5-mini, inputs: { prompt: "Farewell {{ run.status }} {{ steps.bad.status }}" } }
outputs: { apart: "{{ steps.apart.text }}" }
"#,
    );
    let ran = scene.run(&["run", "parts", "-q"]);
    assert_eq!((ran.code, sandbox.jobs().len()), (Some(1), 4), "{}", ran.all());
    let ran = scene.run(&["run", "parts", "-q", "--from", "apart"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    let mut prompts: Vec<_> = sandbox.jobs()[4..].iter().map(|job| job.inputs["prompt"].clone()).collect();
    prompts.sort_by_key(ToString::to_string);
    assert_eq!(prompts, ["Apart", "Bad", "Farewell succeeded succeeded"]);
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

#[test]
fn what_was_left_out_stays_so_when_the_run_goes_on() {
    // The first picture of the second run fails.
    let sandbox = emulator("- { on: submit, nth: 13, do: fail }");
    let scene = scene(&sandbox);
    assert_eq!(scene.run(&["run", "parts", "-q"]).code, Some(0));
    assert_eq!(scene.run(&["run", "parts", "-q", "--only", "pictures"]).code, Some(1));
    let ran = scene.run(&["resume", "-q"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert_eq!(asked(&sandbox, 12), [("Draw".to_owned(), 3)].into());
    assert_eq!(statuses(&last(&scene))["farewell"], "skipped");
}
