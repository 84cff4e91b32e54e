//! What a shape cannot say and needs neither templates nor contracts: that names which steps use for each other exist.

use crate::{
    diagnostic::{Code, Diagnostic, nearest},
    id::StepId,
    source::Pointer,
    spec::Document,
};

/// Checks the names within a document.
#[must_use]
pub fn check(document: &Document) -> Vec<Diagnostic> {
    let Document { source, map, workflow, .. } = document;
    let mut diagnostics = Vec::new();
    let root = Pointer::root();
    for id in workflow.finally.keys().filter(|id| workflow.steps.contains_key(*id)) {
        let diagnostic = Diagnostic::error(Code::DuplicateKey, format!("two steps are called `{id}`"))
            .at(source, map.key(&root.join("finally").join(id)), "here again")
            .also(source, map.key(&root.join("steps").join(id)), "first here")
            .help("rename one of the two: results are read as `steps.ID`");
        diagnostics.push(diagnostic);
    }
    let parts = [("steps", &workflow.steps), ("finally", &workflow.finally)];
    for (part, steps) in parts {
        for (id, step) in steps {
            let list = root.join(part).join(id).join("needs");
            // The list may hold entries that could not be read: the places are found by what they say.
            let place = |need: &StepId| {
                let says = |at: &Pointer| {
                    let raw = source.text.get(map.value(at).range());
                    raw.is_some_and(|raw| raw.trim_matches(['"', '\'']) == need.as_str())
                };
                let mut entries =
                    std::iter::successors(Some(0), |index| Some(index + 1_usize)).map(|index| list.join(index));
                let found = entries.by_ref().take_while(|at| map.get(at).is_some()).find(says);
                map.value(&found.unwrap_or_else(|| list.clone()))
            };
            for need in &step.needs {
                let later =
                    part == "steps" && workflow.finally.contains_key(need) && !workflow.steps.contains_key(need);
                if need == id {
                    let diagnostic = Diagnostic::error(Code::Cycle, format!("step `{id}` waits for itself"))
                        .at(source, place(need), "its own id")
                        .help("remove it from `needs`");
                    diagnostics.push(diagnostic);
                } else if later {
                    let diagnostic =
                        Diagnostic::error(Code::NotHere, format!("`{need}` runs after all steps, in `finally`"))
                            .at(source, place(need), "cannot be waited for")
                            .help("remove it from `needs`");
                    diagnostics.push(diagnostic);
                } else if !workflow.steps.contains_key(need) && !steps.contains_key(need) {
                    let known = workflow.steps.keys().filter(|known| *known != id).map(StepId::as_str);
                    let help = nearest(need.as_str(), known).map_or_else(
                        || "`needs` lists ids of steps in this file".to_owned(),
                        |near| format!("did you mean `{near}`?"),
                    );
                    let diagnostic = Diagnostic::error(Code::UnknownStep, format!("there is no step `{need}`"))
                        .at(source, place(need), "unknown step")
                        .also(source, map.key(&root.join(part).join(id)), "needed by this step")
                        .help(help);
                    diagnostics.push(diagnostic);
                }
            }
        }
    }
    diagnostics
}
