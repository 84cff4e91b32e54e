//! `dagwood validate`: checks files, and sends nothing but the reads of contracts.
//!
//! All files are read first, so that the contracts of all of them come with one look at the catalogue. What is wrong in a file is
//! the result and goes to standard output, with a line a file.

use std::path::PathBuf;

use serde_json::json;

use super::{
    args,
    context::{self, Context, WORKFLOWS},
    failure::{Exit, Failure},
    open::Backend,
    prepare,
    printer::Stream,
    reading::{self, Loaded},
};
use crate::{contract::Catalog, diagnostic};

impl Loaded {
    fn errors(&self) -> usize {
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
    let mut files = Vec::new();
    for path in paths(context, &args.paths)? {
        files.push(reading::load(&path)?);
    }
    let (catalog, contracts) = contracts(context, args, &files)?;
    for file in &mut files {
        if let Some(document) = &file.document {
            let outcome = crate::plan::plan(document, None, &[prepare::offer(true, catalog.clone())]);
            file.diagnostics.extend(outcome.diagnostics);
        }
        diagnostic::arrange(&mut file.diagnostics);
    }
    tell(context, &files, &contracts);
    let wrong = files.iter().any(|file| file.errors() > 0);
    Ok(if wrong { Exit::Invalid } else { Exit::Done })
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

/// What became of the contracts.
#[derive(Debug)]
enum Contracts {
    /// They were read, or none was needed.
    Read,
    /// Nobody wanted them.
    Left,
    /// They could not be read, for this reason.
    Missing(String),
}

/// Reads the contracts that the files need; else says why they are not checked.
fn contracts(
    context: &Context,
    args: &args::Validate,
    files: &[Loaded],
) -> Result<(Option<Catalog>, Contracts), Failure> {
    let kinds = prepare::kinds(files.iter().filter_map(|file| file.document.as_deref()));
    if kinds.is_empty() {
        return Ok((Some(Catalog::default()), Contracts::Read));
    }
    if args.offline {
        return Ok((None, Contracts::Left));
    }
    let backend = Backend::open(context, args.sandbox, None, &context.root())?;
    let Some(remote) = backend.find(context, Vec::new())? else {
        let why = "there is no key (`ARMOX_API_KEY`); `--sandbox` checks against the emulator";
        return Ok((None, Contracts::Missing(why.to_owned())));
    };
    match backend.block_on(remote.catalog(&kinds)) {
        Ok(catalog) => Ok((Some(catalog), Contracts::Read)),
        // What is wrong in the files themselves is worth more to a person than the state of the network.
        Err(failure) if files.iter().any(|file| file.errors() > 0) => {
            Ok((None, Contracts::Missing(reading::sentence(&failure))))
        }
        Err(failure) => Err(failure),
    }
}

fn tell(context: &Context, files: &[Loaded], contracts: &Contracts) {
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
        document["contracts"] = json!(if matches!(contracts, Contracts::Read) { "checked" } else { "unchecked" });
        printer.json(&document);
        return;
    }
    for file in files {
        printer.result(&reading::render(printer, &file.diagnostics, Stream::Out));
        if !printer.quiet {
            printer.result(&summary(file));
        }
    }
    if let Contracts::Missing(why) = contracts {
        printer.note(&format!("contracts were not checked: {why}"));
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
