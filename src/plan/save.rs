//! Where steps save, as far as that is known before the run: paths that no file can have, and two steps on one path.

use std::collections::HashMap;

use serde_json::Value;

use super::{
    FanOut, PlannedStep, Work,
    graph::Graph,
    infer::outcome::gives_several,
    site::{At, Site},
};
use crate::{
    diagnostic::{Code, Diagnostic},
    id::{StepId, StepPath},
    path::safe_path,
    source::Pointer,
    spec::{Save, Step, Trigger, Verb},
    template::{Reference, Root, Scope, mentions, with_stand_ins},
    tree::Tree,
};

/// A path as people may write one; of a step of the run's own workflow it is that of `save: true`.
const SUCH_AS: &str = "{{ step.id }}/{{ n }}.{{ ext }}";

/// Where a step saves what comes out.
#[derive(Clone, Debug)]
pub enum SavePath {
    /// `save: true`: `STEP/N.EXT`, `STEP/ITEM/N.EXT` of an item (LANGUAGE.md, section 6); of a step of a workflow that a step runs,
    /// below the folder of that step, so that a workflow can run many times in one run.
    OfStep,
    /// A path template.
    Template(Tree),
}

impl SavePath {
    /// Returns the path on which `save: true` saves the `n`th value of a step.
    #[must_use]
    pub fn of_step(step: &StepPath, n: usize, ext: &str) -> String {
        let folder: String =
            step.as_str().chars().filter(|c| *c != ']').map(|c| if matches!(c, '.' | '[') { '/' } else { c }).collect();
        format!("{folder}/{n}.{ext}")
    }

    /// Returns the path template, where one is written.
    #[must_use]
    pub fn template(&self) -> Option<&Tree> {
        match self {
            Self::OfStep => None,
            Self::Template(tree) => Some(tree),
        }
    }
}

/// Returns the path template that would be that of `save: true`, for a step of the run's own workflow.
#[must_use]
pub fn default_path(step: &StepId, fans_out: bool) -> String {
    let item = if fans_out { "{{ index }}/" } else { "" };
    format!("{step}/{item}{{{{ n }}}}.{{{{ ext }}}}")
}

/// What stands for each `{{ }}` of a path while it is looked at: a part of a path that is as good as any.
const STAND_IN: &str = "x";

/// Tells of a path template that makes no path below the folder of the run's artifacts, whatever its values are.
pub(super) fn no_path(site: &Site<'_>, text: &str, pointer: &Pointer) {
    if leaves_root(text) {
        let diagnostic =
            Diagnostic::error(Code::PathEscapes, format!("`{text}` leaves the folder of the run's artifacts"))
                .help("write a relative path without `..`");
        site.tell(site.at(diagnostic, &At::Value(pointer), "leaves its root"));
    } else if let Some(path) = with_stand_ins(text, STAND_IN)
        && let Err(problem) = safe_path(&path)
    {
        let diagnostic =
            Diagnostic::error(Code::PathEscapes, format!("no file can be saved on `{text}`: {}", problem.why))
                .help(format!("write the path of a file, such as `{SUCH_AS}`"));
        site.tell(site.at(diagnostic, &At::Value(pointer), "no path of a file"));
    }
}

/// Tells of a path that all items of a step share.
pub(super) fn one_for_all(site: &Site<'_>, step: &Step, template: &Tree, pointer: &Pointer) {
    let is_fixed = |reference: &Reference| match reference.root {
        Root::Inputs | Root::Vars | Root::Run => true,
        Root::Step => reference.key() == Some("id"),
        _ => false,
    };
    let is_run = matches!(step.verb, Verb::Run { .. });
    if is_run && gives_several(step) && template.references().all(|(_, reference)| is_fixed(reference)) {
        let message = "every item of this step saves on the same path";
        let diagnostic = Diagnostic::error(Code::PathCollision, message)
            .help("give each its own, such as `{{ step.id }}/{{ index }}.{{ ext }}`, or write `save: true`");
        site.tell(site.at(diagnostic, &At::Value(pointer), "the same for each"));
    }
}

/// Says whether a path template surely leads out of the folder that it is relative to.
fn leaves_root(text: &str) -> bool {
    let text = text.trim();
    let drive = text.as_bytes().get(1) == Some(&b':') && text.as_bytes()[0].is_ascii_alphabetic();
    text.starts_with(['/', '\\']) || drive || text.split(['/', '\\']).any(|part| part.trim() == "..")
}

/// Returns which steps nothing can keep from running, but that another one fails.
fn surely_run(count: usize, graph: &Graph, is_conditional: impl Fn(usize) -> bool) -> Vec<bool> {
    let mut sure = vec![false; count];
    for &step in graph.order() {
        let is_sure = !is_conditional(step.index()) && graph.needs(step).all(|needed| sure[needed.index()]);
        sure[step.index()] = is_sure;
    }
    sure
}

/// Tells of workflows that surely save on the path of another step, or on one path each time that they run.
pub(super) fn collisions_of_parts(site: &Site<'_>, planned: &[PlannedStep], graph: &Graph) {
    // Where a step could not be planned, the others have no places in the graph.
    if site.has_failed() {
        return;
    }
    let sure = surely_run(planned.len(), graph, |index| is_conditional(&planned[index]));
    let mut first_on: HashMap<String, &PlannedStep> = HashMap::new();
    for step in planned.iter().zip(&sure).filter(|(_, sure)| **sure).map(|(step, _)| step) {
        let is_workflow = matches!(step.work, Work::Workflow { .. });
        let place = |step: &PlannedStep| {
            step.pointer.join(if matches!(step.work, Work::Workflow { .. }) { "workflow" } else { "save" })
        };
        let several = step.fan_out.as_ref().and_then(written_items).is_some_and(|count| count > 1);
        let help = "a workflow that runs more than once needs what tells its runs apart in its paths, such as an input; `save: true` has it";
        for path in sure_paths(step) {
            let message = if several && is_workflow {
                format!("every item of this step saves on the path `{path}`")
            } else if let Some(first) =
                first_on.get(&path).filter(|first| is_workflow || matches!(first.work, Work::Workflow { .. }))
            {
                let diagnostic =
                    Diagnostic::error(Code::PathCollision, format!("two steps save on the path `{path}`")).help(help);
                let diagnostic = site.at(diagnostic, &At::Value(&place(step)), "again here");
                site.tell(site.also(diagnostic, &At::Value(&place(first)), "first here"));
                return;
            } else {
                first_on.insert(path, step);
                continue;
            };
            let diagnostic = Diagnostic::error(Code::PathCollision, message).help(help);
            return site.tell(site.at(diagnostic, &At::Value(&place(step)), "the same for each"));
        }
    }
}

fn is_conditional(step: &PlannedStep) -> bool {
    let may_be_empty = |fan_out: &FanOut| written_items(fan_out).is_none_or(|count| count == 0);
    step.when.is_some() || step.trigger != Trigger::AllSucceeded || step.fan_out.as_ref().is_some_and(may_be_empty)
}

/// Returns how many items there are, where the list is written in the file.
fn written_items(fan_out: &FanOut) -> Option<usize> {
    fan_out.count(&Scope::new(), &|_| false)
}

/// Returns the paths without a template on which a step, or what it runs, surely saves.
fn sure_paths(step: &PlannedStep) -> Vec<String> {
    if let Some(path) = step.save.as_ref().and_then(SavePath::template).and_then(Tree::literal).and_then(Value::as_str)
    {
        return vec![path.to_owned()];
    }
    let Work::Workflow { plan, .. } = &step.work else { return Vec::new() };
    let steps = plan.steps();
    let sure = surely_run(steps.len(), &plan.graph, |index| is_conditional(&steps[index]));
    let surely = steps.iter().zip(sure).filter(|(_, sure)| *sure);
    surely.flat_map(|(step, _)| sure_paths(step)).collect()
}

/// Tells of two steps that surely save on one path: both name the same one, and nothing can keep either from running.
pub(super) fn collisions(site: &Site<'_>, pointers: &[Pointer], graph: &Graph) {
    let steps: Vec<&Step> = site.document.workflow.all_steps().map(|(_, step, _)| step).collect();
    let sure = surely_run(steps.len(), graph, |index| {
        steps.get(index).is_none_or(|step| step.when.is_some() || step.trigger != Trigger::AllSucceeded)
    });
    let mut first_on: HashMap<&str, usize> = HashMap::new();
    for (index, step) in steps.iter().enumerate().filter(|(index, _)| sure[*index]) {
        let Some(Save::Path(path)) = &step.save else { continue };
        if mentions(path) || !matches!(step.verb, Verb::Run { .. }) {
            continue;
        }
        if let Some(first) = first_on.get(path.as_str()) {
            let diagnostic = Diagnostic::error(Code::PathCollision, format!("two steps save on the path `{path}`"))
                .help(format!("give each its own, such as `{SUCH_AS}`"));
            let diagnostic = site.at(diagnostic, &At::Value(&pointers[index].join("save")), "again here");
            site.tell(site.also(diagnostic, &At::Value(&pointers[*first].join("save")), "first here"));
        } else {
            first_on.insert(path, index);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use crate::{
        diagnostic::Code,
        job::TargetKind,
        plan::{Offer, plan},
        source::Source,
        spec,
    };

    /// Plans steps that may run a part, and says how many times a path is told to be taken.
    fn told(steps: &str, part: &str) -> usize {
        let read = |_: &Path, shown: &str| Ok(Arc::new(Source::new(shown, part)));
        let source = Arc::new(Source::new("a.yaml", format!("steps:\n{steps}")));
        let (document, told) = spec::load_with(source, "a", Path::new("a.yaml"), &read);
        assert_eq!(told, []);
        let offers = [Offer::new("aimp", &[TargetKind::Model])];
        let told = plan(&Arc::new(document.expect("a document")), None, &offers).diagnostics;
        told.iter().filter(|told| told.code == Code::PathCollision).count()
    }

    #[test]
    fn what_a_workflow_saves_each_time_on_one_path_is_told_before_it_is_paid_for() {
        let part = "inputs: { n: { default: 1 } }\nsteps: { a: { model: m, inputs: { p: x }, save: a.png } }";
        for steps in [
            "  one: { workflow: part.yaml }\n  two: { workflow: part.yaml }",
            "  one: { workflow: part.yaml }\n  two: { model: m, inputs: { p: x }, save: a.png }",
            "  each: { foreach: [1, 2], workflow: part.yaml }",
            "  each: { matrix: { a: [1], b: [1, 2] }, workflow: part.yaml }",
        ] {
            assert_eq!(told(steps, part), 1, "{steps}");
            assert_eq!(told(steps, &part.replace("save: a.png", "save: true")), 0, "{steps}");
            assert_eq!(told(steps, &part.replace("a.png", "'{{ inputs.n }}.png'")), 0, "{steps}");
            assert_eq!(told(steps, &part.replace("save:", "when: inputs.n == 2, save:")), 0, "{steps}");
        }
        for steps in [
            "  one: { workflow: part.yaml }\n  two: { when: steps.one.status == 'failed', workflow: part.yaml }",
            "  each: { foreach: [1], workflow: part.yaml }",
            "  z: { set: { l: [1, 2] } }\n  each: { foreach: steps.z.output.l, workflow: part.yaml }",
        ] {
            assert_eq!(told(steps, part), 0, "{steps}");
        }
    }
}
