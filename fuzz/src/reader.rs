//! The reader: bytes as a workflow file and as a project file. Whatever they are, what is wrong is told at places that are in the text.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use dagwood::{
    diagnostic::{Diagnostic, render},
    project,
    source::Source,
    spec::{self, Document},
};

/// Where the text is said to stand. There is no such file.
const PATH: &str = "fuzz.yaml";

/// What `workflow: nested.yaml` runs.
const NESTED: &str = r#"
inputs:
  place: { type: string, default: Lisbon }
  pictures: { type: array, items: { type: string }, default: [] }
steps:
  note: { set: { text: "{{ inputs.place }}", count: "{{ inputs.pictures | length }}" } }
outputs:
  text: "{{ steps.note.output.text }}"
  count: "{{ steps.note.output.count }}"
"#;

/// Reads a workflow and a project file.
pub fn run(bytes: &[u8]) {
    let source = match spec::file::text(bytes.to_vec(), PATH) {
        Ok(source) => source,
        Err(diagnostic) => return tell(&[*diagnostic]),
    };
    tell(&read(&source).1);
    tell(&project::load(&source, PathBuf::from(".")).1);
}

/// Reads a workflow whose steps may run [`NESTED`] and the text itself, and nothing from a disk.
pub(super) fn read(source: &Arc<Source>) -> (Option<Document>, Vec<Diagnostic>) {
    let (document, diagnostics) =
        spec::load_with(Arc::clone(source), "fuzz", Path::new(PATH), &|path, shown| match path.to_str() {
            Some("nested.yaml") => Ok(Arc::new(Source::new(shown, NESTED))),
            Some(PATH) => Ok(Arc::clone(source)),
            _ => Err("there is no such file".to_owned()),
        });
    assert!(document.is_some() || diagnostics.iter().any(Diagnostic::is_error), "nothing was read, and nothing told");
    (document, diagnostics)
}

/// Tells what is wrong in every form. Each place must be one that a person can be shown.
pub(super) fn tell(diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        for label in &diagnostic.labels {
            let shown = label.source.text.get(label.span.range());
            assert!(shown.is_some(), "{:?} is no part of the text: {diagnostic:?}", label.span);
        }
    }
    let _ = render::human(diagnostics, true);
    let _ = render::json(diagnostics).to_string();
    let _ = render::github(diagnostics);
    let _ = render::summary_line(PATH, diagnostics);
}
