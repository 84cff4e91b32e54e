//! The workflows that steps run (`workflow: PATH`): read along with the file that names them, and what those name in turn.
//!
//! A path is relative to the file that it stands in. Each file is read once, however many steps run it; files that run each other are told
//! with the way round, since no run of them would end. Who reads is the caller's to say: from a disk ([`super::open`]), or from what a run
//! keeps of its texts, so that a changed file does not change a run that goes on.

use std::{
    collections::HashMap,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use super::{Document, Verb};
use crate::{
    diagnostic::{Code, Diagnostic},
    source::{Pointer, Source},
};

/// How deep workflows may run others. Each level is a level of the run's names, and of the people's minds who read them.
const DEEPEST: usize = 16;

/// The most files that one workflow reads.
const MOST: usize = 1_000;

/// Reads a file: its path, and its name in diagnostics. The error is a sentence.
pub type Read<'r> = dyn Fn(&Path, &str) -> Result<Arc<Source>, String> + 'r;

/// What is read so far.
pub(super) struct Reader<'r> {
    read: &'r Read<'r>,
    /// By normal path; none of one that could not be read as a workflow.
    known: HashMap<PathBuf, Option<Arc<Document>>>,
    /// The files that are being read, outermost first, with their names.
    stack: Vec<(PathBuf, String)>,
}

impl<'r> Reader<'r> {
    pub(super) fn new(read: &'r Read<'r>, path: &Path, shown: &str) -> Self {
        Self { read, known: HashMap::new(), stack: vec![(normal(path), shown.to_owned())] }
    }

    /// Reads what the steps of a document run, and puts it there.
    pub(super) fn complete(&mut self, document: &mut Document, diagnostics: &mut Vec<Diagnostic>) {
        let parts = [("steps", &document.workflow.steps), ("finally", &document.workflow.finally)];
        let mut named: Vec<(String, Pointer)> = Vec::new();
        for (part, steps) in parts {
            for (id, step) in steps {
                let pointer = Pointer::from_iter([part, id.as_str()]);
                if let Verb::Workflow(path) = &step.verb {
                    named.push((path.clone(), pointer.join("workflow")));
                }
                for (place, entry) in step.fallback.iter().enumerate() {
                    if let Some(Verb::Workflow(path)) = &entry.verb {
                        named.push((path.clone(), pointer.join("fallback").join(place).join("workflow")));
                    }
                }
            }
        }
        for (path, pointer) in named {
            if !document.workflows.contains_key(&path)
                && let Some(nested) = self.one(document, &path, &pointer, diagnostics)
            {
                document.workflows.insert(path, nested);
            }
        }
    }

    fn one(
        &mut self,
        document: &Document,
        written: &str,
        pointer: &Pointer,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Arc<Document>> {
        let tell = |code, message: String, label: &str, help: &str| {
            Diagnostic::error(code, message).at(&document.source, document.map.value(pointer), label).help(help)
        };
        if written.contains("{{") {
            let help = "name the file; steps with `when` choose between several";
            let message = "`workflow` takes no template".to_owned();
            diagnostics.push(tell(Code::NoTemplateHere, message, "must be known before the run", help));
            return None;
        }
        if Path::new(written).is_absolute() || written.contains("://") {
            let help = "write it relative to this file, such as `parts/crop.yaml`";
            let message = format!("`{written}` is no path relative to this file");
            diagnostics.push(tell(Code::NestedWorkflow, message, "not relative", help));
            return None;
        }
        let (path, shown) = self.stack.last().expect("the outermost file is on the stack").clone();
        let beside = |of: &Path| of.parent().unwrap_or(Path::new("")).join(written);
        let (path, shown) = (normal(&beside(&path)), normal(&beside(Path::new(&shown))).display().to_string());
        if let Some(start) = self.stack.iter().position(|(known, _)| *known == path) {
            let way: Vec<_> = self.stack[start..].iter().map(|(_, name)| format!("`{name}`")).collect();
            let message = format!("these workflows run each other: {} → `{shown}`", way.join(" → "));
            let help = "take one of these steps out: no run of them would end";
            diagnostics.push(tell(Code::NestedWorkflow, message, "leads back", help));
            return None;
        }
        if let Some(known) = self.known.get(&path) {
            return known.clone();
        }
        if self.stack.len() >= DEEPEST || self.known.len() >= MOST {
            let message = format!("workflows run workflows {DEEPEST} deep here, or more than {MOST} of them");
            diagnostics.push(tell(Code::NestedWorkflow, message, "too much", "run some of them by themselves"));
            return None;
        }
        let source = match (self.read)(&path, &shown) {
            Ok(source) => source,
            Err(why) => {
                let message = format!("cannot read `{shown}`: {why}");
                let help = "the path is relative to the file that it stands in";
                diagnostics.push(tell(Code::NestedWorkflow, message, "this file", help));
                self.known.insert(path, None);
                return None;
            }
        };
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let (nested, told) = super::read(source, &stem);
        diagnostics.extend(told);
        self.stack.push((path.clone(), shown));
        let nested = nested.map(|mut nested| {
            self.complete(&mut nested, diagnostics);
            Arc::new(nested)
        });
        self.stack.pop();
        self.known.insert(path, nested.clone());
        nested
    }
}

/// Reads a file from the disk.
pub(super) fn from_disk(path: &Path, shown: &str) -> Result<Arc<Source>, String> {
    match super::file::read(path, shown) {
        Ok(Ok(source)) => Ok(source),
        Ok(Err(diagnostic)) => Err(diagnostic.message),
        Err(error) => Err(match error.error.kind() {
            std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
            std::io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
            _ => error.error.to_string(),
        }),
    }
}

/// Takes `.` and `..` out of a path, as far as they can be.
#[must_use]
pub fn normal(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(parts.components().next_back(), Some(Component::Normal(_))) => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a workflow among files that are only here.
    fn load(files: &[(&str, &str)]) -> (Option<Document>, Vec<String>) {
        let files: HashMap<PathBuf, String> =
            files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect();
        let read = |path: &Path, shown: &str| {
            let text = files.get(path).ok_or_else(|| "there is no such file".to_owned())?;
            Ok(Arc::new(Source::new(shown, text.as_str())))
        };
        let text = files[Path::new("a.yaml")].as_str();
        let source = Arc::new(Source::new("a.yaml", text));
        let (document, told) = crate::spec::load_with(source, "a", Path::new("a.yaml"), &read);
        (document, told.into_iter().map(|diagnostic| diagnostic.message).collect())
    }

    #[test]
    fn what_steps_run_is_read_once_relative_to_its_file() {
        let (document, told) = load(&[
            ("a.yaml", "steps: { b: { workflow: parts/b.yaml }, c: { workflow: ./parts/b.yaml }, d: { set: {} } }"),
            ("parts/b.yaml", "steps: { x: { workflow: ../c.yaml } }"),
            ("c.yaml", "steps: { x: { set: { a: 1 } } }"),
        ]);
        assert_eq!(told, Vec::<String>::new());
        let document = document.expect("a document");
        let (first, second) = (&document.workflows["parts/b.yaml"], &document.workflows["./parts/b.yaml"]);
        assert!(Arc::ptr_eq(first, second));
        assert_eq!((&*first.source.name, &*first.workflows["../c.yaml"].source.name), ("parts/b.yaml", "c.yaml"));
    }

    #[test]
    fn files_that_run_each_other_or_are_not_there_are_told() {
        let (_, told) = load(&[
            ("a.yaml", "steps: { b: { workflow: b.yaml }, c: { workflow: none.yaml }, d: { workflow: /etc/x.yaml } }"),
            ("b.yaml", "steps: { x: { workflow: a.yaml } }"),
        ]);
        assert_eq!(
            told,
            [
                "cannot read `none.yaml`: there is no such file",
                "`/etc/x.yaml` is no path relative to this file",
                "these workflows run each other: `a.yaml` → `b.yaml` → `a.yaml`",
            ]
        );
    }
}
