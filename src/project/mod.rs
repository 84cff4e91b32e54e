//! The project file, `dagwood.yaml` (LANGUAGE.md, section 7): which accounts there are, where things lie, and contracts that no API
//! publishes.
//!
//! ```text
//! text ──yaml::read──▶ Value + SourceMap ──decode──▶ Project ──▶ accounts by alias, paths from the root
//! ```
//!
//! All of it is optional: without a file there is [`ProjectFile::absent`], with the three built-in providers. Nothing here reads a key
//! or asks an API; what is read is what was written. A key itself never stands in the file: `api_key` is a template over `secrets`, and
//! what looks like a key is told without being shown.

mod decode;
mod env_file;
mod hidden;
pub mod keys;
pub mod schema;
#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use indexmap::IndexMap;
use serde_json::Value;

pub use self::env_file::{LARGEST_ENV_FILE, variables};
use crate::{
    diagnostic::{Diagnostic, arrange},
    job::TargetKind,
    source::{Pointer, Source, SourceMap},
    spec::{self, Budget, OpenError, duration::Period, yaml},
    template::Template,
};

/// The file's name at a project's root.
pub const FILE: &str = "dagwood.yaml";

/// How long an accepted job may be missing from Armox's list of recent ones (LANGUAGE.md, section 8). Its documents do not say how fresh
/// that list is; a few seconds are to be allowed (`apis/armox.md`).
pub const SETTLE_GRACE: Duration = Duration::from_secs(10);

/// A project as its file describes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Project {
    /// The entries under `providers`, by alias; none where `NAME: null` takes one away.
    pub providers: IndexMap<String, Option<Account>>,
    /// Environment variables that `api_key` may read.
    pub secrets: Vec<String>,
    /// A file with further variables, as written.
    pub env_file: Option<String>,
    /// The folder of journal and cache, as written.
    pub state: Option<String>,
    /// The folder of saved files, or the place in an object store that they go to, as written.
    pub artifacts: Option<String>,
    /// The store through which local files reach an API by URL, as written.
    pub staging: Option<String>,
    /// Contracts that replace published ones.
    pub contracts: Vec<Supplied>,
}

/// An account of one system: how it is reached, and within which limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// The key, a template over `secrets`; else it is read from the environment under the system's own name.
    pub api_key: Option<Template>,
    /// The base URL; else the environment's, else the system's own.
    pub base_url: Option<String>,
    /// Whether the base URL may be plain `http` on another machine.
    pub allow_http: bool,
    /// The most requests a minute, over what the API says of itself.
    pub requests_per_minute: Option<u32>,
    /// The most requests at once when none was sent for a while.
    pub burst: Option<u32>,
    /// The most jobs in flight.
    pub max_jobs: Option<u32>,
    /// How long a submit may take, a synchronous run included.
    pub submit_timeout: Option<Period>,
    /// The most that runs on this project's state may spend through it in one day, from midnight to midnight UTC.
    pub budget_per_day: Option<Budget>,
    /// What only this system has.
    pub options: Options,
}

/// The options of one system.
#[derive(Clone, Debug, PartialEq)]
pub enum Options {
    /// Armox's.
    Armox(ArmoxOptions),
    /// AIRMY's.
    Airmy(AirmyOptions),
    /// AIMP's.
    Aimp(AimpOptions),
}

/// What becomes of a submit to Armox whose answer was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArmoxOptions {
    /// Whether a job that is not listed counts as not accepted.
    pub settle: Settle,
    /// How long it may be missing from the list before it does; [`SETTLE_GRACE`] unless given.
    pub settle_grace: Option<Period>,
}

/// What it means that no list shows a job whose submit was not answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Settle {
    /// `auto`: after the grace it was not accepted, and is sent again.
    #[default]
    Auto,
    /// `ask`: nothing; a person is asked.
    Ask,
}

/// What AIRMY's documents leave open, and how an account has it (`apis/airmy.md`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AirmyOptions {
    /// The header that carries the idempotency key; an empty name switches it off.
    pub idempotency_header: Option<String>,
    /// The key that the input of a pipeline stands under.
    pub input_wrapper: Option<String>,
    /// Whether a pipeline's runs are also looked for under `/runs/{id}`.
    pub look_at_runs: bool,
    /// Further words for how a run stands.
    pub status_words: Words,
}

/// What AIMP's documents leave open, and how a gateway has it (`apis/aimp.md`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AimpOptions {
    /// The path at which a run that is not over is seen, with `{id}`.
    pub poll_path: Option<String>,
    /// Where the output stands in the answer: keys with dots between them.
    pub output_path: Option<String>,
    /// Whether a media reference is sent as `{"media_ref": …}`.
    pub media_ref_object: bool,
    /// The models whose runs may be sent again after a lost answer.
    pub safe_to_repeat: Vec<String>,
    /// Further words for how a run stands.
    pub status_words: Words,
}

/// Words for how a run stands, beyond those that are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// It is done.
    pub done: Vec<String>,
    /// It has failed.
    pub failed: Vec<String>,
    /// It was called off.
    pub cancelled: Vec<String>,
}

/// A contract that the project file gives a target.
#[derive(Clone, Debug, PartialEq)]
pub struct Supplied {
    /// Alias of the provider.
    pub provider: String,
    /// The target's id.
    pub id: String,
    /// The JSON Schema over its inputs.
    pub schema: Value,
}

/// A hosted system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Armox.
    Armox,
    /// AIRMY.
    Airmy,
    /// AIMP.
    Aimp,
}

impl Kind {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Armox, Self::Airmy, Self::Aimp];

    /// Returns its word in `kind`, which is also the alias that it has without a project file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Armox => "armox",
            Self::Airmy => "airmy",
            Self::Aimp => "aimp",
        }
    }

    /// Returns the system that goes by this name.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// Returns the environment variable of its key; with `_FILE` behind it, that of a file with the key.
    #[must_use]
    pub fn key_variable(self) -> &'static str {
        match self {
            Self::Armox => "ARMOX_API_KEY",
            Self::Airmy => "AIRMY_API_KEY",
            Self::Aimp => "AIMP_API_KEY",
        }
    }

    /// Returns the environment variable of its base URL.
    #[must_use]
    pub fn url_variable(self) -> &'static str {
        match self {
            Self::Armox => "ARMOX_BASE_URL",
            Self::Airmy => "AIRMY_BASE_URL",
            Self::Aimp => "AIMP_GATEWAY_URL",
        }
    }

    /// Returns the kinds of targets that it runs (LANGUAGE.md, section 3).
    #[must_use]
    pub fn targets(self) -> &'static [TargetKind] {
        match self {
            Self::Armox => &[TargetKind::Model, TargetKind::App],
            Self::Airmy => &[TargetKind::Agent, TargetKind::Pipeline],
            Self::Aimp => &[TargetKind::Model],
        }
    }
}

impl Account {
    /// Returns an account of a system of which nothing is said.
    #[must_use]
    pub fn of(kind: Kind) -> Self {
        Self {
            api_key: None,
            base_url: None,
            allow_http: false,
            requests_per_minute: None,
            burst: None,
            max_jobs: None,
            submit_timeout: None,
            budget_per_day: None,
            options: match kind {
                Kind::Armox => Options::Armox(ArmoxOptions::default()),
                Kind::Airmy => Options::Airmy(AirmyOptions::default()),
                Kind::Aimp => Options::Aimp(AimpOptions::default()),
            },
        }
    }

    /// Returns the account as one of a system that has no ways of its own: what it may be asked stays, and what it is safe to repeat.
    #[must_use]
    pub fn plain(&self) -> Self {
        let mut plain = Self {
            requests_per_minute: self.requests_per_minute,
            burst: self.burst,
            max_jobs: self.max_jobs,
            submit_timeout: self.submit_timeout,
            budget_per_day: self.budget_per_day,
            ..Self::of(self.kind())
        };
        if let (Options::Aimp(plain), Options::Aimp(own)) = (&mut plain.options, &self.options) {
            plain.safe_to_repeat.clone_from(&own.safe_to_repeat);
        }
        plain
    }

    /// Returns the system.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.options {
            Options::Armox(_) => Kind::Armox,
            Options::Airmy(_) => Kind::Airmy,
            Options::Aimp(_) => Kind::Aimp,
        }
    }
}

impl Project {
    /// Returns which system an alias is an account of; none where there is no such account.
    #[must_use]
    pub fn kind(&self, alias: &str) -> Option<Kind> {
        match self.providers.get(alias) {
            Some(account) => account.as_ref().map(Account::kind),
            None => Kind::named(alias),
        }
    }

    /// Returns every account by its alias, and whether the file names it: the built-in ones first, but for those that the file takes
    /// away.
    #[must_use]
    pub fn accounts(&self) -> Vec<(String, Account, bool)> {
        let built_in = Kind::ALL.into_iter().filter_map(|kind| match self.providers.get(kind.word()) {
            None => Some((kind.word().to_owned(), Account::of(kind), false)),
            Some(Some(account)) => Some((kind.word().to_owned(), account.clone(), true)),
            Some(None) => None,
        });
        let own = self.providers.iter().filter(|(alias, _)| Kind::named(alias).is_none());
        built_in.chain(own.filter_map(|(alias, account)| Some((alias.clone(), account.clone()?, true)))).collect()
    }
}

/// A project file that was read; or none, and where it would lie.
#[derive(Clone, Debug)]
pub struct ProjectFile {
    /// The project's root: where the file lies.
    pub root: PathBuf,
    /// Its text and places; none where there is no file.
    pub written: Option<(Arc<Source>, SourceMap)>,
    /// What it says.
    pub project: Project,
}

impl ProjectFile {
    /// Returns the project of a root without a file.
    #[must_use]
    pub fn absent(root: PathBuf) -> Self {
        Self { root, written: None, project: Project::default() }
    }

    /// Returns the folder of journal and cache.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.root.join(self.project.state.as_deref().unwrap_or(".dagwood"))
    }

    /// Returns where files are saved, as written: a folder below the root or an absolute one, or a place in an object store.
    #[must_use]
    pub fn artifacts(&self) -> &str {
        self.project.artifacts.as_deref().unwrap_or("artifacts")
    }

    /// Returns the file with further variables.
    #[must_use]
    pub fn env_file(&self) -> Option<PathBuf> {
        self.project.env_file.as_ref().map(|path| self.root.join(path))
    }

    /// Adds the place of a value of the file to a diagnostic, where there is a file.
    #[must_use]
    pub fn at(&self, diagnostic: Diagnostic, pointer: &Pointer, label: &str) -> Diagnostic {
        match &self.written {
            Some((source, map)) => diagnostic.at(&hidden::shown(source), map.value(pointer), label),
            None => diagnostic,
        }
    }

    /// Adds the place of a key of the file to a diagnostic, where there is a file.
    #[must_use]
    pub fn at_key(&self, diagnostic: Diagnostic, pointer: &Pointer, label: &str) -> Diagnostic {
        match &self.written {
            Some((source, map)) => diagnostic.at(&hidden::shown(source), map.key(pointer), label),
            None => diagnostic,
        }
    }
}

/// Finds the project file for a folder: in it, or in the nearest folder above that has one.
#[must_use]
pub fn find(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().map(|folder| folder.join(FILE)).find(|path| path.is_file())
}

/// Reads a project from a text; `root` is the folder that its paths are relative to.
///
/// There may be a project beside errors, so that later stages can tell what else is wrong; nothing may be sent with it.
#[must_use]
pub fn load(source: &Arc<Source>, root: PathBuf) -> (Option<ProjectFile>, Vec<Diagnostic>) {
    let yaml::Reading { value, map, mut diagnostics } = yaml::read(source);
    let project = value.and_then(|value| {
        let (project, more) = decode::decode(source, &value, &map);
        let mut more = spec::untold(&source.text, &diagnostics, more);
        diagnostics.append(&mut more);
        project
    });
    hidden::hide(source, &mut diagnostics);
    arrange(&mut diagnostics);
    let file = project.map(|project| ProjectFile { root, written: Some((Arc::clone(source), map)), project });
    (file, diagnostics)
}

/// Reads a project file; `shown` is its name in diagnostics.
///
/// # Errors
///
/// When the file cannot be read. What is wrong within it is a diagnostic.
pub fn open(path: &Path, shown: &str) -> Result<(Option<ProjectFile>, Vec<Diagnostic>), OpenError> {
    let root = path.parent().map(Path::to_owned).unwrap_or_default();
    Ok(match spec::file::read(path, shown)? {
        Ok(source) => load(&source, root),
        Err(diagnostic) => (None, vec![*diagnostic]),
    })
}
