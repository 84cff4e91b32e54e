//! The project that a command works in: its root, what its file says, and the environment with that of its `env_file` (LANGUAGE.md,
//! section 7). State, artifacts and lock lie at the root. Nothing is created here, and no key is read before it is asked for.

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{context::Context, failure::Failure, reading};
use crate::{
    artifact::{
        Root, Store, StoreProblem,
        staging::{self, Staging},
    },
    contract::lock::{self, Locked},
    diagnostic::{Code, Diagnostic},
    id::RunId,
    journal::state::RunState,
    project::{self, ProjectFile},
    secret::Secret,
    source::{Pointer, Source},
    spec,
    world::World,
};

/// The file of contracts at a project's root.
pub(crate) const LOCK_FILE: &str = "dagwood.lock";

/// The secret of Armox's webhooks, which a later release takes; until then it is only kept out of what is shown.
const WEBHOOK_SECRET: &str = "ARMOX_WEBHOOK_SECRET";

/// The most bytes of a file with a key.
const LARGEST_KEY: u64 = 64 * 1024;

/// A project.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    /// Its root.
    pub(crate) root: PathBuf,
    /// What its file says.
    pub(crate) file: ProjectFile,
    /// Clock, random numbers, and the environment with the variables of `env_file`.
    pub(crate) world: World,
    context: Context,
}

impl Home {
    /// Reads the project file of a root, where it has one. What is odd about it is told.
    ///
    /// # Errors
    ///
    /// Where it or its `env_file` cannot be read, or is wrong.
    pub(crate) fn open(context: &Context, root: PathBuf, file: Option<PathBuf>) -> Result<Self, Failure> {
        let file = match file {
            None => ProjectFile::absent(root.clone()),
            Some(path) => {
                let shown = context.shorten(&path);
                let opened = project::open(&path, &shown.display().to_string());
                let (file, wrong) = opened.map_err(|error| Failure::unreadable(&shown, &error.error))?;
                match file {
                    Some(file) if !wrong.iter().any(Diagnostic::is_error) => {
                        reading::tell_warnings(&context.printer, &wrong);
                        file
                    }
                    _ => return Err(Failure::Invalid(wrong)),
                }
            }
        };
        Self::with(context, root, file)
    }

    /// Takes a project file whose text was kept: that of a run that goes on.
    ///
    /// # Errors
    ///
    /// Where it is wrong, or its `env_file` cannot be read.
    pub(crate) fn of_text(context: &Context, path: &Path, text: &str) -> Result<Self, Failure> {
        let shown = context.shorten(path).display().to_string();
        let root = path.parent().map(Path::to_owned).unwrap_or_default();
        let (file, wrong) = project::load(&Arc::new(Source::new(shown, text)), root.clone());
        match file {
            Some(file) if !wrong.iter().any(Diagnostic::is_error) => Self::with(context, root, file),
            _ => Err(Failure::Invalid(wrong)),
        }
    }

    fn with(context: &Context, root: PathBuf, file: ProjectFile) -> Result<Self, Failure> {
        let further = match file.env_file() {
            Some(path) => further(context, &file, &path)?,
            None => BTreeMap::new(),
        };
        // Whatever else happens, no report of a bug shows what such a file is for.
        for value in further.values() {
            context.watch.hide(&Secret::new(value.as_str()));
        }
        if let Some(secret) = context.world.env(WEBHOOK_SECRET) {
            context.watch.hide(&Secret::new(secret));
        }
        Ok(Self { root, file, world: context.world.clone().with_further(further), context: context.clone() })
    }

    /// Returns the folder of journal and history.
    pub(crate) fn state(&self) -> PathBuf {
        self.context.state.clone().unwrap_or_else(|| self.file.state())
    }

    /// Returns where files are saved: a folder, or a place in an object store.
    pub(crate) fn artifacts(&self) -> Root {
        Root::read(Path::new(self.file.artifacts()), &self.root)
    }

    /// Returns where a run of this record saves: where it says, or, in journals of the first release, where the project says.
    pub(crate) fn artifacts_of(&self, state: &RunState) -> Root {
        let recorded = state.start.artifacts.as_ref();
        recorded.map_or_else(|| self.artifacts(), |root| Root::read(Path::new(root), &self.root))
    }

    /// Opens the place of a run's files. Sends nothing.
    ///
    /// # Errors
    ///
    /// Where it is no store that this program has, or its credentials are not in the environment.
    pub(crate) fn store(&self, root: &Root, run: RunId) -> Result<Store, Failure> {
        Store::open(&root.of_run(run), &self.world).map_err(|problem| {
            // What is wrong is wrong with the place that was written, without the run.
            let problem = Store::open(root, &self.world).err().unwrap_or(problem);
            let diagnostic = no_store(&problem);
            // Its place is in the file, unless another one was named on the command line.
            Failure::Invalid(vec![match &self.file.project.artifacts {
                Some(written) if *root == Root::read(Path::new(written), &self.root) => {
                    self.file.at(diagnostic, &Pointer::from_iter(["artifacts"]), "cannot be used")
                }
                _ => diagnostic,
            }])
        })
    }

    /// Returns the file of contracts.
    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join(LOCK_FILE)
    }

    /// Reads the file of contracts; none where there is no such file.
    ///
    /// # Errors
    ///
    /// Where it cannot be read, or is none.
    pub(crate) fn locked(&self) -> Result<Option<Vec<Locked>>, Failure> {
        let path = self.lock();
        let shown = self.context.shorten(&path);
        let source = match spec::file::read(&path, &shown.display().to_string()) {
            Ok(source) => source.map_err(|diagnostic| Failure::Invalid(vec![*diagnostic]))?,
            Err(error) if error.error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::unreadable(&shown, &error.error)),
        };
        lock::read(&source).map(Some).map_err(|diagnostic| Failure::Invalid(vec![*diagnostic]))
    }

    /// Opens the store through which local files reach an API by URL; none where the project names none. Sends nothing.
    ///
    /// # Errors
    ///
    /// Where it is no store that this program has, or its credentials are not in the environment.
    pub(crate) fn staging(&self) -> Result<Option<Arc<dyn Staging>>, Failure> {
        let Some(place) = &self.file.project.staging else { return Ok(None) };
        staging::open(place, &self.world).map(Some).map_err(|problem| {
            let diagnostic = no_store(&problem);
            Failure::Invalid(vec![self.file.at(diagnostic, &Pointer::from_iter(["staging"]), "cannot be used")])
        })
    }

    /// Says whether a key is in the environment; reads no file.
    pub(crate) fn has_key(&self, name: &str) -> bool {
        self.world.env(name).is_some() || self.world.env(&format!("{name}_FILE")).is_some()
    }

    /// Returns a key from the environment: `NAME`, else the text of the file that `NAME_FILE` names.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub(crate) fn key(&self, name: &str) -> Result<Option<Secret>, Failure> {
        let secret = if let Some(key) = self.world.env(name) {
            Secret::new(key.trim())
        } else if let Some(path) = self.world.env(&format!("{name}_FILE")) {
            let text =
                bounded(Path::new(path), LARGEST_KEY).map_err(|error| Failure::unreadable(Path::new(path), &error))?;
            if text.trim().is_empty() {
                return Err(Failure::usage(format!("`{name}_FILE` names an empty file: `{path}`")));
            }
            Secret::new(text.trim())
        } else {
            return Ok(None);
        };
        self.hide(&secret);
        Ok(Some(secret))
    }

    /// Notes a value that no report of a bug may show.
    pub(crate) fn hide(&self, secret: &Secret) {
        self.context.watch.hide(secret);
    }
}

/// Returns what a person reads of a store that cannot be used.
fn no_store(problem: &StoreProblem) -> Diagnostic {
    Diagnostic { help: problem.help(), ..Diagnostic::error(Code::OutOfRange, problem.to_string()) }
}

/// Reads the variables of `env_file`. One that is not there is none: where the environment is set by others, it is not needed.
fn further(context: &Context, file: &ProjectFile, path: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let shown = context.shorten(path);
    let text = match bounded(path, project::LARGEST_ENV_FILE) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            context.printer.detail(&format!("there is no `{}`: the environment is taken as it is", shown.display()));
            return Ok(BTreeMap::new());
        }
        Err(error) => {
            let message = format!("failed to read `{}`: {}", shown.display(), super::failure::plain(&error));
            let diagnostic = Diagnostic::error(Code::EnvFile, message);
            let at = Pointer::from_iter(["env_file"]);
            return Err(Failure::Invalid(vec![file.at(diagnostic, &at, "named here")]));
        }
    };
    let source = Arc::new(Source::new(shown.display().to_string(), text));
    project::variables(&source).map_err(Failure::Invalid)
}

/// Reads a text file no larger than this.
fn bounded(path: &Path, most: u64) -> std::io::Result<String> {
    let mut text = String::new();
    let read = std::fs::File::open(path)?.take(most + 1).read_to_string(&mut text)?;
    if read as u64 > most {
        return Err(std::io::Error::other(format!("it is larger than {} KiB", most >> 10)));
    }
    Ok(text)
}
