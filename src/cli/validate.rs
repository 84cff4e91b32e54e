//! `dagwood validate`: checks files, and sends nothing but the reads of contracts.
//!
//! All files are read first, so that the contracts of all of them come with one look at each catalogue. What is wrong in a file is
//! the result and goes to standard output, with a line a file.

use std::{path::PathBuf, sync::Arc};

use serde_json::json;

use super::{
    args,
    context::{self, Context, WORKFLOWS},
    contracts::Contracts,
    failure::{Exit, Failure},
    home::Home,
    local_files,
    open::Backend,
    printer::Stream,
    reading::{self, Loaded},
    wants::Wants,
};
use crate::{diagnostic, spec::Document};

/// Files of one project.
#[derive(Debug)]
pub(crate) struct Group {
    /// The project.
    pub(crate) home: Home,
    /// The files.
    pub(crate) files: Vec<Loaded>,
}

impl Group {
    /// Returns the documents of the files that could be read.
    pub(crate) fn documents(&self) -> impl Iterator<Item = &Arc<Document>> {
        self.files.iter().filter_map(|file| file.document.as_ref())
    }
}

impl Loaded {
    pub(crate) fn errors(&self) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count()
    }

    fn warnings(&self) -> usize {
        self.diagnostics.len() - self.errors()
    }

    fn steps(&self) -> Option<usize> {
        self.document.as_ref().map(|document| document.workflow.steps.len() + document.workflow.finally.len())
    }
}

/// Checks files.
pub(crate) fn run(context: &Context, args: &args::Validate) -> Result<Exit, Failure> {
    let mut groups = gather(context, &args.paths)?;
    let mut told = Told::default();
    for group in &mut groups {
        check(context, args, group, &mut told)?;
    }
    let files: Vec<_> = groups.iter().flat_map(|group| &group.files).collect();
    tell(context, &files, &told);
    let wrong = files.iter().any(|file| file.errors() > 0);
    Ok(if wrong { Exit::Invalid } else { Exit::Done })
}

/// Reads the files that are meant, with the projects that they belong to.
///
/// # Errors
///
/// Where one cannot be opened, or a project file is wrong.
pub(crate) fn gather(context: &Context, given: &[PathBuf]) -> Result<Vec<Group>, Failure> {
    let mut groups: Vec<Group> = Vec::new();
    for path in paths(context, given)? {
        let file = reading::load(&path)?;
        let (root, project) = context.root_of(&path);
        match groups.iter_mut().find(|group| group.home.root == root) {
            Some(group) => group.files.push(file),
            None => groups.push(Group { home: Home::open(context, root, project)?, files: vec![file] }),
        }
    }
    Ok(groups)
}

/// What is told of contracts.
#[derive(Debug, Default)]
struct Told {
    /// Whether some were not read.
    unchecked: bool,
    notes: Vec<String>,
}

/// Checks the files of a project.
fn check(context: &Context, args: &args::Validate, group: &mut Group, told: &mut Told) -> Result<(), Failure> {
    let backend = Backend::open(context, &group.home, args.sandbox, None)?;
    let remotes = backend.remotes(context, &group.home, Vec::new());
    // By file: one that calls a provider by its name says nothing about the others.
    let offers: Vec<_> = group.files.iter().map(|file| remotes.offers(file.document.as_deref())).collect();
    let documents = group.files.iter().zip(&offers);
    let documents = documents.filter_map(|(file, offers)| Some((file.document.as_deref()?, offers.as_slice())));
    let wants = Wants::of_all(documents);
    let mut contracts = if args.offline {
        told.unchecked |= !wants.is_empty();
        Contracts::default()
    } else if args.locked {
        Contracts::locked(&group.home, &wants)?
    } else {
        Contracts::read(&backend, &remotes, &group.home, &wants)?
    };
    // What is wrong in the files themselves is worth more to a person than the state of the network.
    if let Some(failure) = contracts.failure()
        && group.files.iter().all(|file| file.errors() == 0)
    {
        return Err(failure);
    }
    let several = wants.by_alias().count() > 1;
    for missing in contracts.missing() {
        told.unchecked = true;
        let of = if several { format!(" of `{}`", missing.alias) } else { String::new() };
        told.notes.push(format!("contracts{of} were not checked: {}", missing.why));
    }
    for (file, offers) in group.files.iter_mut().zip(&offers) {
        if let Some(document) = &file.document {
            let unlocked = contracts.tell_unlocked(document, offers);
            let outcome = crate::plan::plan(document, None, &contracts.offers(offers));
            let told = std::mem::take(&mut file.diagnostics);
            file.diagnostics = crate::plan::beside(document, told, outcome.diagnostics);
            file.diagnostics.extend(unlocked);
            file.diagnostics.extend(local_files::check(&backend, &outcome.files));
        }
        diagnostic::arrange(&mut file.diagnostics);
    }
    Ok(())
}

/// Returns the files that are meant; those of a folder sorted, tests of workflows left out.
fn paths(context: &Context, given: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let given = if given.is_empty() {
        let folder = context.shorten(&context.root().join(WORKFLOWS));
        if !folder.is_dir() {
            return Err(Failure::usage("there is no folder `workflows` here").help("name files or folders to check"));
        }
        vec![folder]
    } else {
        given.to_vec()
    };
    let mut paths = Vec::new();
    for path in given {
        if !path.is_dir() {
            paths.push(path);
            continue;
        }
        let files = context::files(&path).map_err(|error| Failure::unreadable(&path, &error))?;
        if files.is_empty() {
            return Err(Failure::usage(format!("there are no workflows in `{}`", path.display()))
                .help("a workflow is a file that ends with `.yaml` or `.yml`"));
        }
        paths.extend(files);
    }
    paths.dedup();
    Ok(paths)
}

fn tell(context: &Context, files: &[&Loaded], told: &Told) {
    let printer = &context.printer;
    let all: Vec<_> = files.iter().flat_map(|file| file.diagnostics.iter().cloned()).collect();
    if super::is_json(context) {
        let mut document = reading::as_json(&all);
        document["files"] = files
            .iter()
            .map(|file| {
                let (errors, warnings) = (file.errors(), file.warnings());
                json!({"file": file.name, "errors": errors, "warnings": warnings, "steps": file.steps()})
            })
            .collect();
        document["contracts"] = json!(if told.unchecked { "unchecked" } else { "checked" });
        printer.json(&document);
        return;
    }
    for file in files {
        printer.result(&reading::render(printer, &file.diagnostics, Stream::Out));
        if !printer.quiet {
            printer.result(&summary(file));
        }
    }
    for note in &told.notes {
        printer.note(note);
    }
}

fn summary(file: &Loaded) -> String {
    let count = |number: usize, noun: &str| format!("{number} {noun}{}", if number == 1 { "" } else { "s" });
    let name = &file.name;
    let steps = file.steps().unwrap_or_default();
    let warnings = match file.warnings() {
        0 => String::new(),
        number => format!(", {}", count(number, "warning")),
    };
    match file.errors() {
        0 => format!("{name}: ok, {}{warnings}", count(steps, "step")),
        number => format!("{name}: {}{warnings}, nothing was sent", count(number, "error")),
    }
}
