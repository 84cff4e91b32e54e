//! What nothing uses: inputs, vars and secrets that no template reads, and steps whose result goes nowhere.
//!
//! All of it is a warning, told only of a file in which nothing is wrong: what is misspelt in one place is unused in another, and that is
//! one mistake. A name that stands in any template of the file's text counts as read, whether or not the plan looks at that place.

use std::collections::HashSet;

use super::{
    graph::StepIx,
    references::Names,
    site::{At, Site},
};
use crate::{
    contract::Mode,
    diagnostic::{Code, Diagnostic},
    id::StepId,
    job::TargetKind,
    source::Pointer,
    spec::{Step, Verb},
    template::{Root, mentions},
};

/// Tells of everything that nothing uses.
pub(super) fn check<'a>(site: &Site<'a>, names: &Names<'a>) {
    let workflow = &site.document.workflow;
    let record = names.record.borrow();
    let text = without_comments(&site.document.source.text);
    let mentioned = mentioned(&text);
    let is_read = |root: Root, name: &str| {
        record.whole.contains(&root)
            || mentioned.contains(&(root.name(), name))
            || record.names.contains(&(root, name.to_owned()))
    };
    let tell = |code, what: String, at: At<'_>, help: &str| {
        site.tell(site.at(Diagnostic::warning(code, what).help(help), &at, "not used"));
    };
    for name in workflow.inputs.keys().filter(|name| !is_read(Root::Inputs, name)) {
        let place = Pointer::from_iter(["inputs", name]);
        let help = format!("read it as `{{{{ inputs.{name} }}}}`, or take it out");
        tell(Code::Unused, format!("nothing reads the input `{name}`"), At::Key(&place), &help);
    }
    for (index, name) in workflow.secrets.iter().enumerate().filter(|(_, name)| !is_read(Root::Secrets, name)) {
        let place = Pointer::from_iter(["secrets", &index.to_string()]);
        let help = "take it out: a run asks for every secret that is named here";
        tell(Code::Unused, format!("nothing reads the secret `{name}`"), At::Value(&place), help);
    }
    for name in workflow.vars.keys().filter(|name| !is_read(Root::Vars, name)) {
        let place = Pointer::from_iter(["vars", name]);
        tell(Code::Unused, format!("nothing reads the var `{name}`"), At::Key(&place), "take it out");
    }
    let only_sets = |step: &Step| matches!(step.verb, Verb::Set(_)) && step.expect.is_none();
    for id in workflow.finally.iter().filter(|(_, step)| only_sets(step)).map(|(id, _)| id) {
        let is_read = workflow.finally.values().any(|other| other.needs.contains(id))
            || mentioned.contains(&(Root::Steps.name(), id.as_str()));
        if !is_read {
            let place = Pointer::from_iter(["finally", id.as_str()]);
            let message = format!("nothing uses the result of step `{id}`");
            let help = "nothing reads `finally` from outside: take the step out, or read it in another of its steps";
            tell(Code::UnusedStep, message, At::Key(&place), help);
        }
    }
    // Where a file says nowhere what comes of it, its last steps are the result.
    if workflow.outputs.is_empty() && workflow.steps.values().all(|step| step.save.is_none()) {
        return;
    }
    let needed: HashSet<&str> = workflow
        .steps
        .values()
        .chain(workflow.finally.values())
        .flat_map(|step| &step.needs)
        .map(StepId::as_str)
        .collect();
    for (index, (id, step)) in workflow.steps.iter().enumerate() {
        let id = id.as_str();
        if record.steps.contains(&StepIx::from_index(index))
            || needed.contains(id)
            || mentioned.contains(&(Root::Steps.name(), id))
            || does_something(step)
        {
            continue;
        }
        let place = Pointer::from_iter(["steps", id]);
        let help = match step.verb {
            Verb::Set(_) => "name it under `outputs`, or take the step out",
            _ => "save it, name it under `outputs`, or take the step out",
        };
        let message = format!("nothing uses the result of step `{id}`");
        tell(Code::UnusedStep, message, At::Key(&place), help);
    }
}

/// Says whether a step is of use though nobody reads its result.
fn does_something(step: &Step) -> bool {
    let acts = match &step.verb {
        // Another operation of a model than the one that gives a result: it may index, or delete.
        Verb::Run { .. } if step.mode.as_deref().is_some_and(|mode| mode != Mode::DEFAULT) => true,
        Verb::Run { kind, .. } => matches!(kind, TargetKind::Agent | TargetKind::Pipeline),
        Verb::Http(_) | Verb::Workflow(_) => true,
        Verb::Set(_) => false,
    };
    acts || step.save.is_some() || step.expect.is_some()
}

/// Returns a file's text without the lines that are comments. In a block of text such a line may be a heading, so one with a template stays.
fn without_comments(text: &str) -> String {
    let is_comment = |line: &&str| line.trim_start().starts_with('#') && !mentions(line);
    text.lines().filter(|line| !is_comment(line)).collect::<Vec<_>>().join("\n")
}

/// Returns every name that follows `inputs`, `vars`, `secrets` or `steps` in a text.
pub(super) fn mentioned(text: &str) -> HashSet<(&'static str, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let mut found = HashSet::new();
    for name in ["inputs", "vars", "secrets", "steps"] {
        for (at, _) in text.match_indices(name) {
            let rest = &text[at + name.len()..];
            let Some(rest) =
                rest.strip_prefix('.').or_else(|| rest.strip_prefix("['")).or_else(|| rest.strip_prefix("[\""))
            else {
                continue;
            };
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            found.insert((name, &rest[..end]));
        }
    }
    found
}
