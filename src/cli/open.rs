//! What a command talks to: the API of the environment, or an emulator that lives as long as the command.
//!
//! The emulator has a thread and a runtime of its own, so that the client in front of it is measured and tested as over a network.
//! The command's runtime is one thread, made when something has to wait and not before.

use std::{cell::OnceCell, path::Path, sync::Arc};

use super::{
    context::Context,
    failure::{Failure, plain},
    remote::{Door, Remote},
};
use crate::{
    contract::lock,
    diagnostic::{Code, Diagnostic},
    sandbox::{FaultScript, Sandbox, Settings},
    secret::Secret,
    source::Source,
};

/// The file of contracts at a project's root.
const LOCK_FILE: &str = "dagwood.lock";

/// The API, or the emulator.
#[derive(Debug)]
pub(crate) struct Backend {
    sandbox: Option<Sandbox>,
    runtime: OnceCell<tokio::runtime::Runtime>,
}

impl Backend {
    /// Starts the emulator where it is asked for.
    ///
    /// # Errors
    ///
    /// Where it cannot start, or the fault script or the lock file at the root cannot be read.
    pub(crate) fn open(context: &Context, sandbox: bool, faults: Option<&Path>, root: &Path) -> Result<Self, Failure> {
        let sandbox = if sandbox {
            let settings = settings(context, faults, root)?;
            Some(start(context, settings)?)
        } else {
            None
        };
        Ok(Self { sandbox, runtime: OnceCell::new() })
    }

    /// Returns the way to it; these secrets are redacted from what comes back.
    ///
    /// # Errors
    ///
    /// Where there is no key.
    pub(crate) fn remote(&self, context: &Context, secrets: Vec<Secret>) -> Result<Remote, Failure> {
        self.find(context, secrets)?.ok_or_else(Failure::no_key)
    }

    /// Returns the way to it, or none where there is no key.
    ///
    /// # Errors
    ///
    /// Where key or URL cannot be used.
    pub(crate) fn find(&self, context: &Context, secrets: Vec<Secret>) -> Result<Option<Remote>, Failure> {
        let door = match &self.sandbox {
            Some(sandbox) => Some(Door { key: Secret::new(crate::sandbox::KEY), base_url: Some(sandbox.base_url()) }),
            None => Door::from_environment(context)?,
        };
        door.map(|door| Remote::new(context, door, secrets)).transpose()
    }

    /// Says whether this is the emulator.
    pub(crate) fn is_sandbox(&self) -> bool {
        self.sandbox.is_some()
    }

    /// Waits for something.
    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let runtime = self.runtime.get_or_init(|| {
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("the system gives a runtime")
        });
        runtime.block_on(future)
    }
}

/// Starts an emulator on a thread of its own.
pub(crate) fn start(context: &Context, settings: Settings) -> Result<Sandbox, Failure> {
    Sandbox::start_on_thread(settings, context.world.clone())
        .map_err(|error| Failure::machine("start the emulator", &error))
}

/// Returns the emulator's settings with the fault script and the project's own contracts.
pub(crate) fn settings(context: &Context, faults: Option<&Path>, root: &Path) -> Result<Settings, Failure> {
    let mut settings = Settings::default();
    if let Some(path) = faults {
        let text = std::fs::read_to_string(path).map_err(|error| Failure::unreadable(path, &error))?;
        settings.faults = FaultScript::parse(&text).map_err(|error| {
            let message = format!("`{}`: {error}", path.display());
            let help =
                "a script is a list of rules such as `- { on: submit, nth: 1, do: { status: 503, when: after } }`";
            Failure::Invalid(vec![Diagnostic::error(Code::FaultScript, message).help(help)])
        })?;
    }
    let path = root.join(LOCK_FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let source = Arc::new(Source::new(context.shorten(&path).display().to_string(), text));
            let locked = lock::read(&source).map_err(|diagnostic| Failure::Invalid(vec![*diagnostic]))?;
            settings.extra = locked.into_iter().map(|locked| locked.contract).collect();
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Failure::usage(format!("failed to read `{}`: {}", path.display(), plain(&error)))),
    }
    Ok(settings)
}
