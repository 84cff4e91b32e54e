//! The plan: a text read as a workflow and planned against what the emulator offers, without inputs and with some. Whatever the text
//! is, everything wrong is told at its place, and a plan can be shown in every form.

use std::{collections::BTreeMap, sync::Arc};

use dagwood::{
    diagnostic::Diagnostic,
    plan::{self, Given, Outcome, Plan},
    report::{
        self, Style,
        picture::{Direction, Picture, ascii, dot, mermaid, svg},
    },
    secret::Secret,
    spec::{self, Document, Input},
};
use serde_json::{Value, json};

use super::{
    offers::offers,
    reader::{read, tell},
};

/// Plans a workflow.
pub fn run(bytes: &[u8]) {
    let Ok(source) = spec::file::text(bytes.to_vec(), "fuzz.yaml") else { return };
    let (document, told) = read(&source);
    let Some(document) = document.map(Arc::new) else { return };
    for given in [None, Some(given(&document))] {
        let Outcome { plan, diagnostics, .. } = plan::plan(&document, given.as_ref(), offers());
        assert!(plan.is_none() || !diagnostics.iter().any(Diagnostic::is_error), "a plan with an error");
        tell(&plan::beside(&document, told.clone(), diagnostics));
        if let Some(plan) = plan {
            show(&plan);
        }
    }
}

/// Returns values for a run of a workflow: one for each required input, good or bad, and one for each secret.
pub(super) fn given(document: &Document) -> Given {
    let value = |input: &Input| match input.schema.get("type").and_then(Value::as_str) {
        _ if input.schema.contains_key("enum") => input.schema["enum"][0].clone(),
        Some("array") => json!(["a", "b"]),
        Some("boolean") => json!(true),
        Some("integer" | "number") => json!(3),
        Some("object") => json!({"a": 1}),
        _ if input.file => json!("https://example.com/a.png"),
        _ => json!("text"),
    };
    let workflow = &document.workflow;
    let required = workflow.inputs.iter().filter(|(_, input)| input.is_required());
    let secrets = workflow.secrets.iter().map(|name| (name.clone(), Secret::new("hunter2-of-the-fuzzer")));
    Given {
        inputs: required.map(|(name, input)| (name.clone(), value(input))).collect(),
        secrets: secrets.collect::<BTreeMap<_, _>>(),
    }
}

/// Shows a plan in every form.
pub(super) fn show(plan: &Plan) {
    for plan in plan.all() {
        let order = plan.order();
        assert_eq!(order.len(), plan.steps().len(), "each step stands in the order once");
        let preview = plan::preview(plan, &|step| plan.step(step).seconds);
        let written = serde_json::to_value(&preview).expect("a preview is plain data");
        assert_eq!(serde_json::from_value::<plan::Preview>(written).ok().as_ref(), Some(&preview));
        let _ = report::preview::preview(&preview, Some(100.0), &Style::PLAIN);
        let picture = Picture::of_plan(plan);
        for direction in [Direction::Right, Direction::Down] {
            let _ = (dot(&picture, direction), mermaid(&picture, direction));
        }
        let _ = (svg(&picture), ascii(&picture, &Style::PLAIN));
    }
}
