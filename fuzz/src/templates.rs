//! Templates: a text compiled in each of the three ways, and rendered over a few values of every kind. What is wrong is told at a place
//! that is in the text, and what comes out reads the same when it is made again.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use dagwood::{
    id::StepId,
    result::{StepResult, StepStatus},
    secret::Secret,
    template::{Files, Root, Scope, Shown, Template, TemplateError},
};
use serde_json::{Value, json};

/// Compiles and renders a template.
pub fn run(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    for compiled in [Template::compile(text), Template::expression(text), Template::expectation(text)] {
        match compiled {
            Ok(template) => render(text, &template),
            Err(errors) => errors.iter().for_each(|error| judge(text, error)),
        }
    }
}

fn render(text: &str, template: &Template) {
    for reference in template.references() {
        let written = text.get(reference.range.clone());
        assert!(written.is_some(), "{reference} is no part of {text:?}");
        assert!(
            reference.segments.iter().all(|segment| text.get(segment.clone()).is_some()),
            "{reference} in {text:?}"
        );
    }
    let scope = scope();
    // As texts: of a value of a million parts there is one at a time.
    let rendered = || template.render(scope).map(|value| value.to_string());
    match rendered() {
        Ok(value) => assert!(rendered() == Ok(value), "{text:?} has two values"),
        Err(error) => judge(text, &error),
    }
    if let Err(error) = template.holds(scope) {
        judge(text, &error);
    }
}

fn judge(text: &str, error: &TemplateError) {
    assert!(text.get(error.range.clone()).is_some(), "the place is no part of {text:?}: {error:?}");
    assert!(!error.message.contains(SECRET), "{text:?} shows a secret: {error:?}");
}

/// A secret that no error may show.
const SECRET: &str = "hunter2-of-the-fuzzer";

fn scope() -> &'static Scope {
    static SCOPE: OnceLock<Scope> = OnceLock::new();
    SCOPE.get_or_init(|| {
        let inputs = json!({
            "text": "Two words, ünïcode", "n": 3, "x": -0.5, "yes": true, "none": null, "list": ["a", "b", 3],
            "map": {"k": {"deep": [1, {"z": null}]}}, "url": "https://example.com/a.png",
        });
        let done = json!({
            "n1": {"outputImages": ["https://example.com/1.png", "https://example.com/2.png"], "score": 0.5},
        });
        let failed = StepResult { status: StepStatus::Failed, ..result("failed", &json!({})) };
        let items = vec![Some(result("each", &json!({"each": {"outputText": "one"}}))), None, Some(failed.clone())];
        let each = StepResult { items: Some(items), ..result("each", &json!({})) };
        let secrets = BTreeMap::from([("KEY".to_owned(), Secret::new(SECRET))]);
        let results =
            [result("done", &done), failed, each].map(|result| (result.step.clone(), Arc::new(Shown::new(result))));
        let scope = Scope::new()
            .with(Root::Inputs, &inputs)
            .with(Root::Vars, &json!({"style": "ink", "sizes": [1, 2, 3]}))
            .with(Root::Item, &json!({"key": "k", "value": [1, 2]}))
            .with(Root::Index, &json!(2))
            .with(Root::Step, &json!({"id": "done", "attempt": 1}))
            .with(Root::Ext, &json!("png"))
            .with(Root::N, &json!(0))
            .with(Root::Run, &json!({"id": "0197", "name": "fuzz", "status": "succeeded", "failed_steps": []}))
            .with_files(&Files::new("."))
            .with_secrets(&secrets);
        let scope = results.iter().fold(scope, |scope, (id, shown)| scope.with_step(id, shown));
        scope.with_result(&results[0].1)
    })
}

fn result(id: &str, node_outputs: &Value) -> StepResult {
    StepResult {
        step: id.parse::<StepId>().expect("an id"),
        kind: None,
        status: StepStatus::Succeeded,
        node_outputs: node_outputs.as_object().cloned().expect("a map").into(),
        job: None,
        files: Vec::new(),
        error: None,
        items: None,
    }
}
