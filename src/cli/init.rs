//! `dagwood init`: a project to start from, or a workflow for one target, written from its contract.
//!
//! Nothing is ever overwritten: what is there stays as it is, and a workflow of the name is an error. The schemas of workflows and of the project
//! file come with a project, and its files say in their first line where they are, so that an editor completes from the first word on.

use std::{
    io::{ErrorKind, Write as _},
    path::Path,
};

use serde_json::{Value, json};

use super::{
    args,
    context::{Context, WORKFLOWS},
    failure::{Exit, Failure},
    open::Backend,
    printer::Stream,
    reading, targets,
};
use crate::{
    contract::{Catalog, scaffold},
    diagnostic::{self, Diagnostic},
    job::TargetKind,
    project::{self, schema::project_schema},
    spec::{Document, schema::workflow_schema},
};

/// The project file of a new project.
const PROJECT: &str = "\
# yaml-language-server: $schema=schemas/project.schema.json
# What the workflows here have in common; all of it is optional. `dagwood schema project` prints every key.
#
# Three providers are there already, each with its key from the environment: armox (ARMOX_API_KEY),
# airmy (AIRMY_API_KEY) and aimp (AIMP_API_KEY, AIMP_GATEWAY_URL).
#
# providers:
#   studio: { kind: armox, api_key: \"{{ secrets.STUDIO_KEY }}\", requests_per_minute: 60, max_jobs: 20 }
# secrets: [STUDIO_KEY]

# Keys for where nobody sets an environment; the real one wins. It is never committed.
env_file: .env
";

/// The first workflow of a new project.
const WORKFLOW: &str = "\
# yaml-language-server: $schema=../schemas/workflow.schema.json
# A first workflow. `dagwood run hello --sandbox` runs it against the built-in emulator: no key, no credits.
version: 1
name: hello
description: A picture of what you name, and a sentence about it.

inputs:
  subject: { type: string, default: a lighthouse at dusk }

defaults:
  provider: armox

steps:
  picture:
    model: google/nano-banana
    inputs:
      prompt: \"{{ inputs.subject }}\"
    save: true

  caption:
    model: openai/gpt-5-mini
    inputs:
      prompt: \"Describe in one sentence: {{ steps.picture.image }}\"

outputs:
  picture: \"{{ steps.picture.image }}\"
  caption: \"{{ steps.caption.text }}\"
";

/// Where the schema of workflows lies in a project.
const SCHEMA: &str = "schemas/workflow.schema.json";

/// What is not committed.
const IGNORED: [&str; 3] = [".dagwood/", "artifacts/", ".env"];

/// The largest `.gitignore` that is read.
const LARGEST_IGNORE: u64 = 1 << 20;

/// Writes a project, or a workflow.
pub(crate) fn run(context: &Context, args: &args::Init) -> Result<Exit, Failure> {
    let wanted = [(TargetKind::App, &args.app), (TargetKind::Model, &args.model), (TargetKind::Agent, &args.agent)];
    match wanted.into_iter().find_map(|(kind, name)| Some((kind, name.as_ref()?))) {
        Some((kind, name)) => workflow(context, args, kind, name),
        None => start(context),
    }
}

/// Writes what is not there yet of a project.
fn start(context: &Context) -> Result<Exit, Failure> {
    let folder = context.folder();
    let mut created = Vec::new();
    let mut kept = Vec::new();
    let (workflows, projects) = (written(&workflow_schema()), written(&project_schema()));
    for (name, text) in [
        (project::FILE, PROJECT),
        ("workflows/hello.yaml", WORKFLOW),
        (SCHEMA, &*workflows),
        ("schemas/project.schema.json", &*projects),
    ] {
        let path = folder.join(name);
        if create(context, &path, text)? { created.push(name) } else { kept.push(name) }
    }
    let ignored =
        ignore(&folder.join(".gitignore")).map_err(|error| Failure::unwritable(Path::new(".gitignore"), &error))?;
    if ignored {
        created.push(".gitignore");
    }
    if super::is_json(context) {
        context.printer.json(&json!({"written": created, "kept": kept}));
        return Ok(Exit::Done);
    }
    let lines = created.iter().map(|name| format!("wrote {name}\n"));
    let lines = lines.chain(kept.iter().map(|name| format!("kept {name}, which was there\n")));
    context.printer.result(&lines.collect::<String>());
    context.printer.note("next: `dagwood run hello --sandbox`, then `dagwood doctor` once a key is set");
    Ok(Exit::Done)
}

/// Returns a schema as `dagwood schema` prints it.
fn written(schema: &Value) -> String {
    serde_json::to_string_pretty(schema).expect("a schema is JSON") + "\n"
}

/// Adds the entries that a `.gitignore` does not have; says whether it wrote.
fn ignore(path: &Path) -> std::io::Result<bool> {
    let text = match std::fs::metadata(path) {
        // What is no file is not read, and not written to: it may be anything, and never end.
        Ok(found) if !found.is_file() => return Err(std::io::Error::other("it is no file")),
        Ok(found) if found.len() > LARGEST_IGNORE => return Err(std::io::Error::other("it is too large to be one")),
        Ok(_) => std::fs::read_to_string(path)?,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    let has = |entry: &str| {
        let bare = |line: &str| line.trim().trim_matches('/').to_owned();
        text.lines().any(|line| bare(line) == bare(entry))
    };
    let missing: Vec<_> = IGNORED.into_iter().filter(|entry| !has(entry)).collect();
    if missing.is_empty() {
        return Ok(false);
    }
    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let added = missing.join("\n") + "\n";
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(format!("{gap}{added}").as_bytes())?;
    Ok(true)
}

/// Writes a file that is not there; says whether it did.
fn create(context: &Context, path: &Path, text: &str) -> Result<bool, Failure> {
    let written = path
        .parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::OpenOptions::new().write(true).create_new(true).open(path))
        .and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_file() => Ok(false),
        Err(error) => Err(Failure::unwritable(&context.shorten(path), &error)),
    }
}

/// Writes a workflow that runs one target, and checks it at once.
fn workflow(context: &Context, args: &args::Init, kind: TargetKind, name: &str) -> Result<Exit, Failure> {
    let home = context.home()?;
    let backend = Backend::open(context, &home, args.sandbox, None)?;
    let remotes = backend.remotes(context, &home, Vec::new());
    let doors = targets::doors(&remotes, args.provider.as_deref(), kind)?;
    let (found, failures) = targets::read(&home, &backend, &remotes, &doors, kind, Some(name))?;
    let (alias, contract) = targets::one(kind, name, &found, failures.first())?;
    let mut text = scaffold(alias, contract);
    let path = home.root.join(WORKFLOWS).join(format!("{}.yaml", called(&text)));
    let shown = context.shorten(&path);
    if home.root.join(SCHEMA).is_file() {
        text.insert_str(0, &format!("# yaml-language-server: $schema=../{SCHEMA}\n"));
    }
    if !create(context, &path, &text)? {
        return Err(Failure::usage(format!("`{}` is there already", shown.display()))
            .help("move it away, or rename it: nothing is overwritten"));
    }
    let file = reading::load(&shown)?;
    let mut wrong = file.diagnostics.clone();
    if let Some(document) = &file.document {
        let mut offers = remotes.offers(Some(document));
        for offer in offers.iter_mut().filter(|offer| offer.alias == alias) {
            offer.catalog = Some(Catalog::new([contract.clone()]));
        }
        wrong = crate::plan::beside(document, wrong, crate::plan::plan(document, None, &offers).diagnostics);
    }
    diagnostic::arrange(&mut wrong);
    if super::is_json(context) {
        let mut document = reading::as_json(&wrong);
        document["written"] = json!([shown]);
        context.printer.json(&document);
    } else {
        context.printer.result(&reading::render(&context.printer, &wrong, Stream::Out));
        context.printer.result(&format!("wrote {}\n", shown.display()));
        next(context, &shown, file.document.as_deref(), args.sandbox);
    }
    Ok(if wrong.iter().any(Diagnostic::is_error) { Exit::Invalid } else { Exit::Done })
}

/// Returns the name that a workflow gives itself.
fn called(text: &str) -> String {
    let value: Value = serde_yaml::from_str(text).unwrap_or_default();
    value["name"].as_str().unwrap_or("workflow").to_owned()
}

fn next(context: &Context, path: &Path, document: Option<&Document>, sandbox: bool) {
    let flag = if sandbox { " --sandbox" } else { "" };
    let inputs = document.into_iter().flat_map(|document| &document.workflow.inputs);
    let required = inputs.filter(|(_, input)| input.is_required());
    let given = required.map(|(name, _)| format!(" -i {name}=…")).collect::<Vec<_>>().concat();
    context.printer.note(&format!("next: `dagwood plan {}{flag}{given}` shows what a run would do", path.display()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_already_is_not_added() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(".gitignore");
        std::fs::write(&path, "target\n/artifacts").expect("a file");
        assert!(ignore(&path).expect("it is written"));
        let expected = "target\n/artifacts\n.dagwood/\n.env\n";
        assert_eq!(std::fs::read_to_string(&path).expect("a file"), expected);
        assert!(!ignore(&path).expect("it is read"));
        assert_eq!(std::fs::read_to_string(&path).expect("a file"), expected);
    }
}
