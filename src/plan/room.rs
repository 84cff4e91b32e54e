//! How much many values may hold together. Each value of a template is bounded by itself; vars that double what others hold, or a hundred
//! steps that all repeat the largest one, are bounded here.

use serde_json::Value;

use crate::{
    source::Pointer,
    template::{TemplateError, TemplateErrorKind},
};

/// The most of all vars: as much as one value may have.
const OF_VARS: usize = 16 << 20;

/// The most that a preview shows: more than anybody reads, and several copies of it fit in memory.
const OF_PREVIEW: usize = 8 << 20;

/// What a number, a list or a map counts beside the text in it: about what it takes.
const OF_NODE: usize = 16;

/// What is left.
pub(crate) struct Room(usize);

impl Room {
    /// Returns the room for the vars of a workflow.
    pub(crate) fn of_vars() -> Self {
        Self(OF_VARS)
    }

    /// Returns the room for the values of a preview.
    pub(super) fn of_preview() -> Self {
        Self(OF_PREVIEW)
    }

    /// Takes the room of a value. Says whether there was enough; if not, nothing is left.
    pub(crate) fn take(&mut self, value: &Value) -> bool {
        let left = self.0.checked_sub(size(value));
        self.0 = left.unwrap_or(0);
        left.is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0 == 0
    }
}

/// Returns the error of the var, written at `pointer`, for which there is no room.
pub(crate) fn too_large(pointer: Pointer) -> (Pointer, TemplateError) {
    let error = TemplateError {
        kind: TemplateErrorKind::TooLarge,
        message: format!("the vars are too large: together they have more than {} MiB", OF_VARS >> 20),
        help: Some("a var that holds another one copies it: mention that one where it is needed".to_owned()),
        range: 0..0,
    };
    (pointer, error)
}

fn size(value: &Value) -> usize {
    OF_NODE
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(size).sum(),
            Value::Object(map) => map.iter().map(|(key, value)| key.len() + size(value)).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write as _, sync::Arc};

    use serde_json::json;

    use super::*;
    use crate::{
        diagnostic::Code,
        plan::{Given, plan, preview, preview::PreviewedWork},
        source::Source,
        spec,
    };

    #[test]
    fn texts_and_nodes_are_counted() {
        assert_eq!(size(&json!({"ab": ["cde", 1, null]})), 5 * OF_NODE + 5);
        let mut room = Room(40);
        assert!(room.take(&json!("12345678")) && room.take(&json!(1)) && room.is_empty() && !room.take(&json!(1)));
    }

    /// A hundred bytes, doubled so often, and copied so often.
    fn workflow(doubled: usize, copies: usize, steps: usize) -> String {
        let mut text = format!("vars:\n  d0: {}\n", "x".repeat(100));
        for n in 1..=doubled {
            writeln!(text, "  d{n}: '{{{{ vars.d{0} }}}}{{{{ vars.d{0} }}}}'", n - 1).expect("a string grows");
        }
        for n in 0..copies {
            writeln!(text, "  c{n}: '{{{{ vars.d{doubled} }}}}'").expect("a string grows");
        }
        text.push_str("steps:\n");
        for n in 0..steps {
            writeln!(text, "  s{n}: {{ set: {{ copy: '{{{{ vars.d{doubled} }}}}' }} }}").expect("a string grows");
        }
        text
    }

    fn planned(text: &str) -> crate::plan::Outcome {
        let (document, told) = spec::load(Arc::new(Source::new("test.yaml", text)), "test");
        assert_eq!(told, []);
        plan(&Arc::new(document.expect("a document")), Some(&Given::default()), &[])
    }

    #[test]
    fn vars_are_bounded_together() {
        assert!(planned(&workflow(14, 5, 1)).plan.is_some());
        let outcome = planned(&workflow(14, 40, 1));
        let [told] = &outcome.diagnostics[..] else { panic!("{:?}", outcome.diagnostics) };
        assert_eq!(told.code, Code::TemplateFailed);
        assert!(told.message.contains("together"), "{told:?}");
    }

    #[test]
    fn what_a_preview_has_no_room_for_stays_as_it_is_written() {
        let plan = planned(&workflow(14, 0, 20)).plan.expect("a plan");
        let preview = preview(&plan, &|_| None);
        let shown: Vec<usize> = preview.waves[0]
            .iter()
            .map(|step| match &step.work {
                PreviewedWork::Set { output } => output["copy"].as_str().expect("a text").len(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!((shown[0], shown[19]), (100 << 14, "{{ vars.d14 }}".len()), "{shown:?}");
    }
}
