//! Tests of decoding: a whole file becomes its types. What is wrong with files is in `tests/diagnostics`.

use std::sync::Arc;

use serde_json::json;

use crate::{
    diagnostic::{Code, Diagnostic},
    job::TargetKind,
    source::Source,
    spec::{CatchUp, Concurrency, Document, Media, Save, Verb, load},
};

fn loaded(text: &str) -> (Option<Document>, Vec<Diagnostic>) {
    load(Arc::new(Source::new("test.yaml", text)), "test")
}

fn codes(text: &str) -> Vec<Code> {
    loaded(text).1.iter().map(|diagnostic| diagnostic.code).collect()
}

#[test]
fn a_workflow_becomes_its_types() {
    let text = r#"
version: 1
description: d
labels: { team: a, x-own: 1 }
inputs:
  sketch: { type: file, media: image, description: The sketch }
  count: { type: integer, minimum: 1, default: 2 }
  key: { type: string, secret: true, optional: true }
secrets: [TOKEN]
vars: { size: "{{ inputs.count }}" }
defaults: { provider: armox, timeout: 15m, poll: 2s }
concurrency: 4
steps:
  render:
    app: Sketch to Render
    inputs: { Input Images: ["{{ inputs.sketch }}"] }
    when: inputs.count > 1
    save: "a/{{ n }}.{{ ext }}"
  note:
    set: { a: "{{ steps.render.image }}" }
    needs: [render]
outputs: { hero: "{{ steps.render.image }}" }
"#;
    let (document, diagnostics) = loaded(text);
    assert_eq!(diagnostics, []);
    let workflow = document.expect("a document").workflow;
    assert_eq!(workflow.name, "test");
    assert_eq!(workflow.labels.len(), 1);
    let sketch = &workflow.inputs["sketch"];
    assert!(sketch.file && sketch.is_required() && sketch.takes_text());
    assert_eq!(sketch.media, Some(Media::Image));
    let count = &workflow.inputs["count"];
    assert_eq!(serde_json::Value::Object(count.schema.clone()), json!({ "minimum": 1, "type": "integer" }));
    assert_eq!(count.default, Some(json!(2)));
    assert!(workflow.inputs["key"].secret && !workflow.inputs["key"].is_required());
    assert_eq!(workflow.concurrency, Concurrency { steps: 4, ..Concurrency::default() });
    let render = workflow.steps.values().next().expect("a step");
    assert_eq!(render.verb, Verb::Run { kind: TargetKind::App, name: "Sketch to Render".to_owned() });
    assert_eq!(render.save, Some(Save::Path("a/{{ n }}.{{ ext }}".to_owned())));
    assert_eq!(workflow.steps.values().last().map(|step| step.needs.len()), Some(1));
}

#[test]
fn one_mistake_is_one_diagnostic() {
    for (text, expected) in [
        ("steps: { a: { modle: m } }", vec![Code::UnknownKey]),
        ("step: { a: { model: m } }", vec![Code::UnknownKey]),
        ("steps: { a: { model: m, inputs: { p: {{ x }} } } }", vec![Code::UnquotedTemplate]),
        ("steps: { 1: { model: m } }", vec![Code::KeyNotString]),
        ("steps: { a: { model: !x m, timeout: !y 5 } }", vec![Code::Tag, Code::Tag]),
        ("steps: { a: { app: m, params: {} } }", vec![Code::KeyOfOtherVerb]),
        ("steps: { a: { workflow: m.yaml } }", vec![Code::NestedWorkflow]),
        ("steps: { a: {} }", vec![Code::Verb]),
        ("steps: { a: }", vec![Code::WrongKind]),
        ("steps: { a: { model: m, needs: [b] } }", vec![Code::UnknownStep]),
        ("steps: { a: { model: m, timeout: 30 } }", vec![Code::BadDuration]),
        ("inputs: { a: { type: text } }\nsteps: { a: { model: m } }", vec![Code::BadInputSchema]),
        ("inputs: { a: { typ: text } }\nsteps: { a: { model: m } }", vec![Code::UnknownKey]),
        ("inputs: { a: { minimun: 1 } }\nsteps: { a: { model: m } }", vec![Code::UnknownKey]),
        ("", vec![Code::NoWorkflow]),
        ("- a", vec![Code::NoWorkflow]),
        ("steps:", vec![Code::MissingKey]),
        ("name: x", vec![Code::MissingKey]),
        ("steps: { a: { model: m }, x-b: 1 }\nx-c: 2", vec![]),
    ] {
        assert_eq!(codes(text), expected, "{text}");
    }
}

#[test]
fn keys_that_start_with_x_are_free_at_every_level() {
    let text = r#"
x-top: &own [1, { a: b }]
labels: { team: a, x-label: 1 }
inputs: { a: { type: string, default: y, x-own: 1 }, x-input: 1 }
defaults: { timeout: 1m, x-own: 1, retry: { x-own: 1, attempts: 2, backoff: { x-own: 1, initial: 1s } }, cache: { x-own: 1, ttl: 1h } }
concurrency: { steps: 3, x-own: 1 }
budget: { credits: 9, x-own: 1 }
schedule: [{ cron: "0 3 * * *", x-own: 1 }]
notify: [{ on: [failed], url: "https://example.com/a", x-own: 1 }]
steps:
  a:
    x-own: *own
    http: { url: "https://example.com", x-own: 1 }
    expect: { schema: { type: object }, x-own: 1 }
    estimate: { credits: 0, x-own: 1 }
    fallback: [{ model: m, x-own: 1 }]
  x-step: { foo: 1 }
finally: { x-step: 1, b: { set: { c: 1 } } }
outputs: { d: 1, x-output: 1 }
"#;
    let (document, told) = loaded(text);
    assert_eq!(told, []);
    let workflow = document.expect("a document").workflow;
    assert_eq!((workflow.steps.len(), workflow.finally.len(), workflow.inputs.len()), (1, 1, 1));
    assert_eq!((workflow.schedule[0].catch_up, workflow.schedule[0].jitter), (CatchUp::None, None), "the defaults");
    // The control: what does not start so is told.
    assert_eq!(codes(&text.replace("x-own", "own")), vec![Code::UnknownKey; text.matches("x-own").count()]);
}

#[test]
fn a_workflow_without_a_name_has_that_of_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let named = |text: &str| {
        let path = folder.path().join("my.launch.yaml");
        std::fs::write(&path, text).expect("a file");
        crate::spec::open(&path, "my.launch.yaml").expect("it is read").0.expect("a document").workflow.name
    };
    assert_eq!(named("steps: { a: { set: { b: 1 } } }"), "my.launch");
    assert_eq!(named("name: own\nsteps: { a: { set: { b: 1 } } }"), "own");
}
