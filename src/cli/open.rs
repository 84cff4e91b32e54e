//! What a command talks to: the APIs of the project's accounts, or an emulator that lives as long as the command.
//!
//! The emulator has a thread and a runtime of its own, so that the client in front of it is measured and tested as over a network.
//! The command's runtime is one thread, made when something has to wait and not before.

use std::{cell::OnceCell, path::Path, sync::Arc};

use super::{context::Context, failure::Failure, home::Home, local_files::Emulated, remotes::Remotes};
use crate::{
    artifact::staging::Staging,
    diagnostic::{Code, Diagnostic},
    project::Kind,
    sandbox::{FaultScript, Sandbox, Settings},
    secret::Secret,
    spec,
};

/// The APIs, or the emulator.
#[derive(Debug)]
pub(crate) struct Backend {
    sandbox: Option<Arc<Sandbox>>,
    runtime: OnceCell<tokio::runtime::Runtime>,
}

impl Backend {
    /// Starts the emulator where it is asked for.
    ///
    /// # Errors
    ///
    /// Where it cannot start, or the fault script or the lock file at the root cannot be read.
    pub(crate) fn open(context: &Context, home: &Home, sandbox: bool, faults: Option<&Path>) -> Result<Self, Failure> {
        let sandbox = if sandbox {
            let settings = settings(home, faults)?;
            Some(Arc::new(start(context, settings)?))
        } else {
            None
        };
        Ok(Self { sandbox, runtime: OnceCell::new() })
    }

    /// Starts the emulator where it is asked for, with what it has to offer of its own: the lock file says nothing to it.
    ///
    /// # Errors
    ///
    /// Where it cannot start.
    pub(crate) fn unlocked(context: &Context, sandbox: bool) -> Result<Self, Failure> {
        let sandbox = if sandbox { Some(Arc::new(start(context, Settings::default())?)) } else { None };
        Ok(Self { sandbox, runtime: OnceCell::new() })
    }

    /// Returns the accounts of the project, here or there; these secrets are redacted from what comes back.
    pub(crate) fn remotes(&self, context: &Context, home: &Home, secrets: Vec<Secret>) -> Remotes {
        Remotes::new(context, home, self.sandbox.as_deref(), secrets)
    }

    /// Returns the place from which APIs fetch local files: the emulator itself, or the project's store, if it names one.
    ///
    /// # Errors
    ///
    /// Where the store cannot be used.
    pub(crate) fn staging(&self, home: &Home) -> Result<Option<Arc<dyn Staging>>, Failure> {
        match &self.sandbox {
            Some(sandbox) => Ok(Some(Arc::new(Emulated::new(Arc::clone(sandbox), home.world.clone())))),
            None => home.staging(),
        }
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
pub(crate) fn settings(home: &Home, faults: Option<&Path>) -> Result<Settings, Failure> {
    let mut settings = Settings::default();
    if let Some(path) = faults {
        let source = spec::file::read(path, &path.display().to_string());
        let source = source.map_err(|error| Failure::unreadable(path, &error.error))?;
        let text = &source.map_err(|diagnostic| Failure::Invalid(vec![*diagnostic]))?.text;
        settings.faults = FaultScript::parse(text).map_err(|error| {
            let message = format!("`{}`: {error}", path.display());
            let help =
                "a script is a list of rules such as `- { on: submit, nth: 1, do: { status: 503, when: after } }`";
            Failure::Invalid(vec![Diagnostic::error(Code::FaultScript, message).help(help)])
        })?;
    }
    for locked in home.locked()?.unwrap_or_default() {
        match home.file.project.kind(&locked.provider) {
            Some(Kind::Aimp) => settings.extra_aimp.push(locked.contract),
            _ => settings.extra.push(locked.contract),
        }
    }
    Ok(settings)
}
