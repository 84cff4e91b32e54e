//! What must hold of a result: `expect`, judged when the result is there and before it is saved.

use std::{fmt::Write as _, sync::Arc};

use serde_json::{Map, Value};

use super::Driver;
use crate::{
    journal::state::StepIndex,
    plan::Expectation,
    result::{ErrorKind, StepError, StepResult, StepStatus},
    template::{Root, Scope, Segment, Shown},
};

/// The longest value that is shown beside an expectation that is not met.
const SHOWN: usize = 200;

impl Driver {
    /// Returns why what came out is not what the step expects, if it is not. `ix` is the step, or the fan-out of an item that reads `scope`.
    pub(super) fn unmet(&self, ix: StepIndex, outputs: &Arc<Map<String, Value>>, scope: &Scope) -> Option<StepError> {
        let planned = self.planned(ix);
        if planned.expect.is_empty() {
            return None;
        }
        let step = self.state.step(ix);
        let result = StepResult {
            step: planned.id.clone(),
            kind: step.kind(),
            status: StepStatus::Succeeded,
            node_outputs: Arc::clone(outputs),
            job: step.job.clone(),
            files: Vec::new(),
            error: None,
            items: None,
        };
        let shown = Arc::new(Shown::new(result));
        let scope = scope.clone().with_result(&shown);
        let error = |kind, message| Some(StepError { kind, message });
        for expectation in &planned.expect {
            match expectation {
                Expectation::Holds { template, pointer } => match template.holds(&scope) {
                    Ok(true) => {}
                    Ok(false) => {
                        let place = self.place(ix, pointer);
                        let mut message =
                            format!("`{}` does not hold of the result\n  at {place}", template.text().trim());
                        for reference in template.references() {
                            if matches!(reference.root, Root::Result(_)) && !reference.path.contains(&Segment::Computed)
                            {
                                let value = crate::template::Template::expectation(&reference.to_string());
                                let value = value.ok().and_then(|template| template.render(&scope).ok());
                                let text =
                                    value.map_or_else(|| "not there".to_owned(), |value| cut(&value.to_string()));
                                let _ = write!(message, "\n  `{reference}` is {text}");
                            }
                        }
                        return error(ErrorKind::ExpectationFailed, message);
                    }
                    Err(problem) => {
                        let message = self.template_message(ix, pointer, &problem);
                        return error(ErrorKind::ExpectationFailed, message);
                    }
                },
                Expectation::Fits { schema, pointer } => {
                    let complaints = match shown.result().output() {
                        Ok(output) => schema.complaints(output),
                        Err(_) => schema.complaints(&Value::Object(outputs.as_ref().clone())),
                    };
                    if complaints.is_empty() {
                        continue;
                    }
                    let mut message = format!("the output does not fit the schema\n  at {}", self.place(ix, pointer));
                    for complaint in complaints.iter().take(5) {
                        let _ = write!(message, "\n  {} {}", complaint.place("output"), complaint.message);
                    }
                    return error(ErrorKind::ExpectationFailed, message);
                }
            }
        }
        None
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    format!("{}…", text.chars().take(SHOWN).collect::<String>())
}
