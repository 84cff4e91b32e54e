//! Where a command works: the folder it was started in, the workflow that was named, and the project that it belongs to. Nothing is
//! created here.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{args::Global, failure::Failure, home::Home, printer::Printer};
use crate::{artifact::Root, diagnostic::nearest, project, world::World};

/// The folder of a project's workflows.
pub(crate) const WORKFLOWS: &str = "workflows";

/// A file that stands for whatever workflow lies in the working directory; it need not be there.
const ANY_WORKFLOW: &str = "workflow.yaml";

/// What every command has at hand.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// Clock, random numbers, environment.
    pub(crate) world: World,
    /// The way to the terminal.
    pub(crate) printer: Printer,
    /// Watches for panics, and hides secrets from their reports.
    pub(crate) watch: super::bug::Watch,
    /// The folder of journal and history that was asked for.
    pub(crate) state: Option<PathBuf>,
    project: Option<PathBuf>,
    folder: PathBuf,
}

/// A workflow's file that was named.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    /// Its path, as it is shown and opened.
    pub(crate) path: PathBuf,
    /// The project that it belongs to.
    pub(crate) home: Home,
}

impl Context {
    /// Looks at where the command was started.
    ///
    /// # Errors
    ///
    /// Where there is no working directory, or no such project file.
    pub(crate) fn new(
        global: &Global,
        world: World,
        printer: Printer,
        watch: super::bug::Watch,
    ) -> Result<Self, Failure> {
        let folder = std::env::current_dir().map_err(|error| Failure::machine("find the working directory", &error))?;
        let project = global.project.as_ref().map(|path| folder.join(path));
        if let (Some(path), Some(given)) = (&project, &global.project)
            && let Err(error) = std::fs::metadata(path)
        {
            return Err(Failure::unreadable(given, &error));
        }
        Ok(Self { world, printer, watch, state: global.state.clone(), project, folder })
    }

    /// Returns the project for commands that name no workflow: that of the working directory.
    ///
    /// # Errors
    ///
    /// Where its file cannot be read or is wrong.
    pub(crate) fn home(&self) -> Result<Home, Failure> {
        self.home_of(Path::new(ANY_WORKFLOW))
    }

    /// Returns the project that a workflow's file belongs to.
    ///
    /// # Errors
    ///
    /// Where its file cannot be read or is wrong.
    pub(crate) fn home_of(&self, workflow: &Path) -> Result<Home, Failure> {
        let (root, file) = self.root_of(workflow);
        Home::open(self, root, file)
    }

    /// Returns the root of the project of the working directory.
    pub(crate) fn root(&self) -> PathBuf {
        self.root_of(Path::new(ANY_WORKFLOW)).0
    }

    /// Returns the root that a workflow's file belongs to, and the project file there.
    pub(crate) fn root_of(&self, workflow: &Path) -> (PathBuf, Option<PathBuf>) {
        if let Some(file) = &self.project {
            return (file.parent().unwrap_or(&self.folder).to_owned(), Some(file.clone()));
        }
        let path = self.folder.join(workflow);
        let folder = path.parent().unwrap_or(&self.folder);
        // The folders above `a/../b` are not those that its text has.
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        match project::find(&folder) {
            Some(file) => (file.parent().unwrap_or(&folder).to_owned(), Some(file)),
            None => (root_of(&folder), None),
        }
    }

    /// Finds the file of a workflow that was named: by path, or by a name that stands for `workflows/NAME.yaml`.
    ///
    /// # Errors
    ///
    /// Where there is none; the nearest name is the hint. Where the project file is wrong.
    pub(crate) fn locate(&self, name: &str) -> Result<Located, Failure> {
        let path = self.find(name)?;
        Ok(Located { home: self.home_of(&path)?, path })
    }

    /// Finds the file of a workflow, whatever its project file says.
    ///
    /// # Errors
    ///
    /// Where there is none; the nearest name is the hint.
    pub(crate) fn find(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = find(&self.root(), name).map_err(|known| missing(name, &known))?;
        Ok(self.shorten(&path))
    }

    /// Returns the working directory.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns a path as a person in the working directory would write it.
    pub(crate) fn shorten(&self, path: &Path) -> PathBuf {
        shorten(path, &self.folder)
    }

    /// Returns a place of saved files as it is shown.
    pub(crate) fn shown(&self, root: &Root) -> String {
        root.folder().map_or_else(|| root.to_string(), |folder| self.shorten(folder).display().to_string())
    }
}

/// Returns the root that belongs to a workflow's folder.
pub(crate) fn root_of(folder: &Path) -> PathBuf {
    match (folder.file_name(), folder.parent()) {
        (Some(name), Some(parent)) if name == WORKFLOWS => parent.to_owned(),
        _ => folder.to_owned(),
    }
}

/// Finds a workflow's file, or returns the names that there are.
fn find(root: &Path, name: &str) -> Result<PathBuf, Vec<String>> {
    let as_path = Path::new(name);
    let looks_like_path =
        as_path.components().count() > 1 || ["yaml", "yml"].iter().any(|ext| has_extension(as_path, ext));
    if looks_like_path {
        // A file that cannot be opened is told when it is read.
        return Ok(as_path.to_owned());
    }
    let folder = root.join(WORKFLOWS);
    let named = ["yaml", "yml"].map(|extension| folder.join(format!("{name}.{extension}")));
    if let Some(path) = named.into_iter().find(|path| path.is_file()) {
        return Ok(path);
    }
    if as_path.is_file() { Ok(as_path.to_owned()) } else { Err(names(&folder)) }
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

fn missing(name: &str, known: &[String]) -> Failure {
    if name == "-" {
        return Failure::usage("a workflow is not read from standard input")
            .help("give a path, or a name that stands for `workflows/NAME.yaml`");
    }
    let failure = Failure::usage(format!("there is no workflow `{name}`"));
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => failure.help(format!("did you mean `{near}`?")),
        None if known.is_empty() => failure.help("give a path: there is no folder `workflows` with workflows here"),
        None => {
            let names: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
            failure.help(format!("there are {}", names.join(", ")))
        }
    }
}

/// Returns the names of the workflows in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    files(folder).unwrap_or_default().iter().filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect()
}

/// Returns the workflow files in a folder, sorted; tests of workflows (`*.test.yaml`) are none.
pub(crate) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let stem = ["yaml", "yml"].iter().find_map(|extension| name.strip_suffix(extension)?.strip_suffix('.'));
        let is_workflow = stem.is_some_and(|stem| {
            !stem.is_empty() && !stem.starts_with('.') && stem.rsplit_once('.').is_none_or(|(_, last)| last != "test")
        });
        // A project file that lies among workflows is none of them.
        if is_workflow && path.is_file() && name != project::FILE {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Returns `path` relative to `folder` where it lies below it.
fn shorten(path: &Path, folder: &Path) -> PathBuf {
    match path.strip_prefix(folder) {
        Ok(rest) if rest.as_os_str().is_empty() => PathBuf::from("."),
        Ok(rest) => rest.to_owned(),
        Err(_) => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_the_workflows_folder_or_the_parent_of_workflows() {
        assert_eq!(root_of(Path::new("/p/workflows")), Path::new("/p"));
        assert_eq!(root_of(Path::new("/p/flows")), Path::new("/p/flows"));
        assert_eq!(root_of(Path::new("/")), Path::new("/"));
    }

    #[test]
    fn names_stand_for_files_and_tests_are_no_workflows() {
        let folder = tempfile::tempdir().expect("a folder");
        let workflows = folder.path().join(WORKFLOWS);
        std::fs::create_dir(&workflows).expect("a folder");
        for name in ["launch.yaml", "launch.test.yaml", "other.yml", "notes.txt", ".hidden.yaml"] {
            std::fs::write(workflows.join(name), "").expect("a file");
        }
        assert_eq!(names(&workflows), ["launch", "other"]);
        assert_eq!(find(folder.path(), "launch"), Ok(workflows.join("launch.yaml")));
        assert_eq!(find(folder.path(), "other"), Ok(workflows.join("other.yml")));
        assert_eq!(find(folder.path(), "lunch"), Err(vec!["launch".to_owned(), "other".to_owned()]));
        assert_eq!(find(folder.path(), "a/b.yaml"), Ok(PathBuf::from("a/b.yaml")));
    }

    #[test]
    fn a_misspelt_name_gets_the_nearest_one() {
        let failure = missing("lunch", &["launch".to_owned()]);
        let Failure::Other(complaint) = failure else { panic!("a complaint") };
        assert_eq!(complaint.help.as_deref(), Some("did you mean `launch`?"));
    }
}
