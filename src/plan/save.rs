//! Where steps save, as far as that is known before the run: paths that no file can have, and two steps on one path.

use std::collections::HashMap;

use super::{
    graph::Graph,
    site::{At, Site},
};
use crate::{
    diagnostic::{Code, Diagnostic},
    id::{StepId, StepPath},
    path::safe_path,
    source::Pointer,
    spec::{Save, Step, Trigger, Verb},
    template::{mentions, with_stand_ins},
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

/// Says whether a path template surely leads out of the folder that it is relative to.
fn leaves_root(text: &str) -> bool {
    let text = text.trim();
    let drive = text.as_bytes().get(1) == Some(&b':') && text.as_bytes()[0].is_ascii_alphabetic();
    text.starts_with(['/', '\\']) || drive || text.split(['/', '\\']).any(|part| part.trim() == "..")
}

/// Tells of two steps that surely save on one path: both name the same one, and nothing can keep either from running.
pub(super) fn collisions(site: &Site<'_>, pointers: &[Pointer], graph: &Graph) {
    let steps: Vec<&Step> = site.document.workflow.all_steps().map(|(_, step, _)| step).collect();
    let mut sure = vec![false; steps.len()];
    for &step in graph.order() {
        let step_of = steps.get(step.index());
        let conditional = step_of.is_none_or(|step| step.when.is_some() || step.trigger != Trigger::AllSucceeded);
        sure[step.index()] = !conditional && graph.needs(step).all(|needed| sure[needed.index()]);
    }
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
