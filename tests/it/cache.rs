//! `cache` and `dagwood cache`: what a run has paid for, a later process reuses, whole or not at all, and says why.

use std::fs;

use dagwood::sandbox::KEY;

use crate::cli::{Ran, Scene, emulator};

fn workflow(prompt: &str, cache: &str) -> String {
    format!(
        "name: pictures
steps:
  picture:
    model: google/nano-banana
    inputs: {{ prompt: {prompt}, aspect_ratio: '1:1' }}
    cache: {cache}
    save: 'picture.{{{{ ext }}}}'
outputs: {{ url: '{{{{ steps.picture.image }}}}' }}
"
    )
}

/// Runs the workflow, and returns what it says of the run.
fn run(scene: &Scene, text: &str) -> serde_json::Value {
    scene.file("workflows/pictures.yaml", text);
    let ran = scene.run(&["run", "pictures", "--sandbox", "-q"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    scene.run(&["show", "last", "--format", "json"]).json()
}

fn explain(scene: &Scene) -> Ran {
    scene.run(&["cache", "explain"])
}

#[test]
fn what_was_paid_for_is_reused_by_later_processes_with_its_files() {
    let scene = Scene::new();
    insta::assert_snapshot!(scene.run(&["cache", "ls"]).all(), @r"
    exit 0
    --- stdout
    --- stderr
    no result is kept for reuse here; steps with `cache` make them
    ");
    let first = run(&scene, &workflow("a tree", "true"));
    assert_eq!((&first["jobs"], &first["steps"][0]["cached"]), (&1.into(), &serde_json::Value::Null), "{first:#}");
    insta::assert_snapshot!(explain(&scene).all(), @r"
    exit 0
    --- stdout
    picture  missed  there was no result of this target
    --- stderr
    ");
    // The order of the inputs makes no difference.
    let text = workflow("a tree", "{ ttl: 24h }")
        .replace("{ prompt: a tree, aspect_ratio: '1:1' }", "{ aspect_ratio: '1:1', prompt: a tree }");
    let second = run(&scene, &text);
    assert_eq!((&second["jobs"], &second["steps"][0]["cached"]), (&0.into(), &true.into()), "{second:#}");
    assert_eq!(second["outputs"], first["outputs"]);
    let file = |run: &serde_json::Value| {
        let path = format!(
            "artifacts/{}/{}",
            run["run"].as_str().expect("an id"),
            run["steps"][0]["files"][0]["path"].as_str().expect("a path")
        );
        fs::read(scene.path(&path)).expect("a saved file")
    };
    assert_eq!(file(&first), file(&second));
    insta::assert_snapshot!(explain(&scene).all(), @r"
    exit 0
    --- stdout
    picture  hit  the result of PREFIX
    --- stderr
    ");

    let third = run(&scene, &workflow("a house", "true"));
    assert_eq!(third["jobs"], 1);
    insta::assert_snapshot!(explain(&scene).all(), @r"
    exit 0
    --- stdout
    picture  missed  the nearest result, picture of PREFIX, differs in `inputs.prompt`
    --- stderr
    ");
    assert_eq!(scene.run(&["cache", "ls", "--format", "json"]).json().as_array().map(Vec::len), Some(2));
}

#[test]
fn a_result_that_is_too_old_unexpected_or_without_its_files_is_passed_over() {
    let scene = Scene::new();
    let first = run(&scene, &workflow("a tree", "true"));
    run(&scene, &workflow("a tree", "{ ttl: 1ms }"));
    insta::assert_snapshot!(explain(&scene).all(), @r"
    exit 0
    --- stdout
    picture  missed  the result of an equal submit was older than `ttl`
    --- stderr
    ");
    let path = format!("artifacts/{}", first["run"].as_str().expect("an id"));
    fs::remove_dir_all(scene.path(&path)).expect("files");
    let second =
        scene.run(&["runs", "-n", "1", "--format", "json"]).json()[0]["run"].as_str().expect("an id").to_owned();
    fs::remove_dir_all(scene.path(&format!("artifacts/{second}"))).expect("files");
    assert_eq!(run(&scene, &workflow("a tree", "true"))["jobs"], 1);
    insta::assert_snapshot!(explain(&scene).all(), @r"
    exit 0
    --- stdout
    picture  missed  files of the result of an equal submit were gone or changed
    --- stderr
    ");
    // An equal submit would fail here just so: it is sent, and its own result is judged.
    scene.file(
        "workflows/pictures.yaml",
        workflow("a tree", "true").replace("    save:", "    expect: images | length > 5\n    save:"),
    );
    assert_eq!(scene.run(&["run", "pictures", "--sandbox", "-q"]).code, Some(1));
    let json = scene.run(&["cache", "explain", "last", "picture", "--format", "json"]).json();
    assert_eq!(json, serde_json::json!([{"step": "picture", "outcome": "passed_over", "why": "unexpected"}]));
}

#[test]
fn a_key_of_ones_own_and_the_bytes_of_files_tell_results_apart() {
    let scene = Scene::new();
    let jobs = |cache: &str| run(&scene, &workflow("a tree", cache))["jobs"].clone();
    assert_eq!([jobs("{ key: one }"), jobs("{ key: one }")], [1, 0]);
    assert_eq!([jobs("{ key: two }"), jobs("true")], [1, 1]);
    assert_eq!([jobs("{ key: '{{ step.id }}' }"), jobs("{ key: picture }")], [1, 0], "a template");

    let caption = "steps:
  caption: { provider: aimp, model: image-captioner, inputs: { image: \"{{ file('a.png') }}\" }, cache: true }
outputs: { text: '{{ steps.caption.output }}' }
";
    let jobs = |bytes: &[u8]| {
        scene.file("workflows/a.png", [b"\x89PNG\r\n\x1a\n", bytes].concat());
        run(&scene, caption)["jobs"].clone()
    };
    assert_eq!([jobs(b"one"), jobs(b"one"), jobs(b"two")], [1, 0, 1]);
    let explained = explain(&scene).all();
    assert!(explained.contains("differs in `content of ") && explained.contains("a.png`"), "{explained}");
    assert_eq!(jobs(b"one"), 0);
}

#[test]
fn another_account_and_another_contract_have_results_of_their_own() {
    let sandbox = emulator("");
    let scene = Scene::new().with("K", KEY);
    let account = format!("{{ kind: armox, base_url: '{}', api_key: '{{{{ secrets.K }}}}' }}", sandbox.base_url());
    scene.file("dagwood.yaml", format!("secrets: [K]\nproviders: {{ one: {account}, two: {account} }}\n"));
    let jobs = |provider: &str| {
        let text = format!(
            "steps: {{ a: {{ provider: {provider}, model: google/nano-banana, inputs: {{ prompt: x }}, cache: true }} }}\noutputs: {{ a: '{{{{ steps.a.images }}}}' }}"
        );
        scene.file("workflows/own.yaml", text);
        let ran = scene.run(&["run", "own", "-q"]);
        assert_eq!(ran.code, Some(0), "{}", ran.all());
        sandbox.jobs().len()
    };
    assert_eq!([jobs("one"), jobs("one"), jobs("two")], [1, 1, 2]);
    assert!(explain(&scene).all().contains("differs in `provider`"), "{}", explain(&scene).all());

    let text = "steps: { a: { provider: aimp, model: free-form, inputs: { text: x }, cache: true } }\noutputs: { a: '{{ steps.a.output }}' }";
    let jobs = |schema: &str| {
        scene.file("dagwood.yaml", format!("contracts: {{ aimp/free-form: {schema} }}\n"));
        run(&scene, text)["jobs"].clone()
    };
    let (one, two) = ("{ type: object }", "{ type: object, properties: { text: { type: string } } }");
    assert_eq!([jobs(one), jobs(one), jobs(two)], [1, 0, 1]);
    assert!(explain(&scene).all().contains("differs in `contract`"), "{}", explain(&scene).all());
}

#[test]
fn another_base_url_and_another_target_have_results_of_their_own() {
    let (one, two) = (emulator(""), emulator(""));
    let scene = Scene::new().against(&one);
    let text = |model: &str| {
        format!(
            "defaults: {{ cache: true }}\nsteps: {{ a: {{ provider: armox, model: {model}, inputs: {{ prompt: x }} }} }}\noutputs: {{ a: '{{{{ steps.a.images }}}}' }}"
        )
    };
    let run = |scene: &Scene, model: &str| {
        scene.file("workflows/own.yaml", text(model));
        let ran = scene.run(&["run", "own", "-q"]);
        assert_eq!(ran.code, Some(0), "{}", ran.all());
        (one.jobs().len(), two.jobs().len())
    };
    assert_eq!((run(&scene, "google/nano-banana"), run(&scene, "google/nano-banana")), ((1, 0), (1, 0)));
    assert_eq!(run(&scene, "bytedance/seedream-4"), (2, 0));
    let scene = scene.against(&two);
    assert_eq!((run(&scene, "google/nano-banana"), run(&scene, "google/nano-banana")), ((2, 1), (2, 1)));
}

#[test]
fn items_are_reused_one_by_one() {
    let scene = Scene::new();
    let jobs = |items: &str| {
        let text = format!(
            "steps: {{ a: {{ foreach: {items}, model: google/nano-banana, inputs: {{ prompt: '{{{{ item }}}}' }}, cache: true }} }}\noutputs: {{ a: '{{{{ steps.a.images }}}}' }}"
        );
        run(&scene, &text)["jobs"].clone()
    };
    assert_eq!([jobs("[x, y]"), jobs("[z, y, x]"), jobs("[x, y, z]")], [2, 1, 0]);
}

#[test]
fn what_is_forgotten_is_paid_for_again() {
    let scene = Scene::new();
    let text = workflow("a tree", "true");
    run(&scene, &text);
    let key =
        scene.run(&["cache", "ls", "--format", "json"]).json()[0]["key"]["key"].as_str().expect("a key").to_owned();
    insta::assert_snapshot!(scene.run(&["cache", "rm"]).all(), @r"
    exit 2
    --- stdout
    --- stderr
    error: the following required arguments were not provided:
      <KEY|--older-than <WHEN>|--all>

    Usage: dagwood cache rm <KEY|--older-than <WHEN>|--all>

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(scene.run(&["cache", "rm", "xyz"]).all(), @r"
    exit 2
    --- stdout
    --- stderr
    error: the cache has no key that begins with `xyz`
      = help: `dagwood cache ls` lists the keys
    ");
    insta::assert_snapshot!(scene.run(&["cache", "rm", "--older-than", "24h"]).all(), @r"
    exit 0
    --- stdout
    there are no such results to remove
    --- stderr
    ");
    assert_eq!(run(&scene, &text)["jobs"], 0);
    insta::assert_snapshot!(scene.run(&["cache", "rm", &key[..12]]).all(), @r"
    exit 0
    --- stdout
    removed 1 result
    --- stderr
    ");
    assert_eq!(run(&scene, &text)["jobs"], 1);
    assert_eq!(scene.run(&["cache", "rm", "--all", "--format", "json"]).json(), serde_json::json!({"removed": 1}));
    assert_eq!(run(&scene, &text)["jobs"], 1);
    insta::assert_snapshot!(scene.run(&["cache", "explain", "last", "nope"]).all(), @r"
    exit 2
    --- stdout
    --- stderr
    error: the run UUID has sent no step `nope` that reuses results
      = help: `dagwood show` lists the steps of a run; those with `cache` reuse results
    ");
}

#[test]
fn with_keep_going_what_does_not_need_the_failed_step_runs() {
    let scene = Scene::new();
    scene.file(
        "workflows/two.yaml",
        "
concurrency: 1
steps:
  bad: { model: google/nano-banana, inputs: { prompt: x }, expect: images | length > 5 }
  after: { set: { url: '{{ steps.bad.image }}' } }
  first: { model: google/nano-banana, inputs: { prompt: x } }
  last: { set: { url: '{{ steps.first.image }}' } }
outputs: { bad: '{{ steps.after.output.url }}', good: '{{ steps.last.output.url }}' }
",
    );
    let statuses = |arguments: &[&str]| {
        let ran = scene.run(arguments);
        assert_eq!(ran.code, Some(1), "{}", ran.all());
        let run = scene.run(&["show", "last", "--format", "json"]).json();
        let steps = run["steps"].as_array().expect("steps").clone();
        steps.iter().map(|step| step["status"].as_str().expect("a status").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(statuses(&["run", "two", "--sandbox", "-q"]), ["failed", "skipped", "skipped", "skipped"]);
    let kept_going = statuses(&["run", "two", "--sandbox", "-q", "--keep-going"]);
    assert_eq!(kept_going, ["failed", "skipped", "succeeded", "succeeded"]);
}

/// What a step of this very run has paid for, the next one need not pay again, though the disk is still busy with it.
#[test]
fn an_equal_step_of_the_same_run_is_paid_for_once() {
    let scene = Scene::new();
    let step = "model: openai/gpt-5-mini, inputs: { prompt: x }, cache: true";
    let chain = format!(
        "steps:\n  a: {{ {step} }}\n  between: {{ set: {{ x: '{{{{ steps.a.text }}}}' }} }}\n  b: {{ needs: [between], {step} }}\n  c: {{ needs: [b], {step} }}\n"
    );
    let fan = format!("steps:\n  a: {{ foreach: [1, 2, 3, 4], max_parallel: 1, {step} }}\n");
    for text in [chain, fan] {
        scene.run(&["cache", "rm", "--all"]);
        assert_eq!(run(&scene, &text)["jobs"], 1, "{text}");
    }
}

/// A result that is there already costs nothing, so no budget stands in its way, nor is anything held back for it.
#[test]
fn a_budget_does_not_refuse_what_costs_nothing() {
    let scene = Scene::new();
    let text = |budget: &str, more: &str| {
        format!(
            "{budget}steps:\n  a: {{ model: google/nano-banana, inputs: {{ prompt: x }}, cache: true }}\n{more}outputs: {{ a: '{{{{ steps.a.image }}}}' }}\n"
        )
    };
    assert_eq!(run(&scene, &text("", ""))["jobs"], 1);
    assert_eq!(run(&scene, &text("budget: { credits: 5 }\n", ""))["jobs"], 0);
    let ran = scene.run(&["run", "pictures", "--sandbox", "-q", "--max-credits", "3"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    let beside = "  b: { model: google/nano-banana, inputs: { prompt: y } }\n";
    assert_eq!(run(&scene, &text("budget: { credits: 70 }\n", beside))["jobs"], 1);
    // The control: what is not there is refused.
    scene.file("workflows/pictures.yaml", text("budget: { credits: 5 }\n", "").replace("prompt: x", "prompt: z"));
    assert_eq!(scene.run(&["run", "pictures", "--sandbox", "-q"]).code, Some(5));
}
