//! Local files around a run: they are looked at before anything is sent, and in the emulator they are kept by the emulator itself.

use std::sync::Arc;

use futures_util::{FutureExt as _, future::BoxFuture};
use jiff::SignedDuration;

use super::open::Backend;
use crate::{
    artifact::{
        ArtifactError, local,
        staging::{Staged, Staging},
    },
    diagnostic::{Code, Diagnostic},
    id::Digest,
    plan::NamedFile,
    provider::LocalFile,
    sandbox::Sandbox,
    secret::Secret,
    world::World,
};

/// Returns what is wrong with the files that a run would hand over.
pub(crate) fn check(backend: &Backend, files: &[NamedFile]) -> Vec<Diagnostic> {
    let look = |file: &NamedFile| {
        let (path, wanted) = (file.path.clone(), file.wanted);
        backend.block_on(async move {
            let found = local::look(&path).await?;
            wanted.map_or(Ok(()), |wanted| local::fits(&found, wanted))
        })
    };
    let told = files.iter().filter_map(|file| {
        let problem = look(file).err()?;
        let diagnostic = Diagnostic::error(Code::LocalFile, problem.to_string()).at(&file.source, file.span, "");
        Some(match problem.help() {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        })
    });
    told.collect()
}

/// How long a URL of the emulator is said to hold: as long as any run in it.
const LIFE: SignedDuration = SignedDuration::from_hours(24);

/// The emulator as a place from which its own APIs fetch files.
#[derive(Debug)]
pub(crate) struct Emulated {
    sandbox: Arc<Sandbox>,
    world: World,
}

impl Emulated {
    pub(crate) fn new(sandbox: Arc<Sandbox>, world: World) -> Self {
        Self { sandbox, world }
    }
}

impl Staging for Emulated {
    fn place(&self) -> &'static str {
        "the emulator"
    }

    fn put<'a>(&'a self, file: &'a LocalFile, _digest: &'a Digest) -> BoxFuture<'a, Result<Staged, ArtifactError>> {
        async move {
            let failed = |source| ArtifactError::File { path: file.path.display().to_string(), source };
            let bytes = tokio::fs::read(&file.path).await.map_err(failed)?;
            let url = self.sandbox.stage(&file.name, &file.content_type, bytes);
            let url = url.map_err(|full| failed(std::io::Error::other(full.to_string())))?;
            let expires = self.world.now().saturating_add(LIFE).expect("a day is no overflow");
            Ok(Staged { url: Secret::new(url), expires })
        }
        .boxed()
    }

    /// There is nothing to check: it is this process.
    fn check(&self) -> BoxFuture<'_, Result<(), ArtifactError>> {
        async { Ok(()) }.boxed()
    }
}
