//! What a run takes beside its inputs: `mode`, `scope`, `params` and `options`, as AIMP names them.
//!
//! What is known already is checked against the rules of the API and the contract of the target; the whole again before each submit.

use super::{
    PlannedInput,
    fit::Fitter,
    references::{Reads, Spot},
    site::At,
    targets::Found,
};
use crate::{
    diagnostic::{Code, Diagnostic},
    source::Pointer,
};

/// What came of a step's operation.
#[derive(Debug, Default)]
pub(super) struct Operated {
    pub(super) inputs: Vec<PlannedInput>,
    pub(super) warnings: u32,
}

impl Fitter<'_, '_> {
    /// Compiles and checks what goes beside the inputs; `edges` takes what each template mentions.
    pub(super) fn operation(&self, found: Option<&Found>, mut edges: impl FnMut(&Pointer, Reads)) -> Operated {
        let mut operated = Operated::default();
        let step = self.step;
        let text = |text: &Option<String>| text.clone().map(serde_json::Value::String);
        let map = |map: &Option<serde_json::Map<_, _>>| map.clone().map(serde_json::Value::Object);
        let parts = [
            ("mode", text(&step.mode), Spot::Mode),
            ("scope", text(&step.scope), Spot::Scope),
            ("params", map(&step.params), Spot::Params),
            ("options", map(&step.options), Spot::Options),
        ];
        for (name, value, spot) in parts {
            let Some(value) = value else { continue };
            let pointer = self.pointer.join(name);
            if let Some(found) = found.filter(|found| !found.takes.operation) {
                let message =
                    format!("`{name}` is for models of AIMP, and `{}` is none of its providers", found.provider);
                let diagnostic =
                    Diagnostic::error(Code::KeyOfOtherVerb, message).help("write the values under `inputs`");
                self.site.tell(self.in_step(self.site.at(diagnostic, &At::Key(&pointer), "does not belong here")));
            }
            let (input, _) = self.compiled(name, &value, &pointer, spot, found, &mut edges);
            operated.inputs.push(input);
        }
        operated
    }
}
