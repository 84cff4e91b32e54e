//! A folder: files under names of our own until they are whole, then linked to their names.
//!
//! A file is written under a name of our own in its own folder, synced, and then linked to its name, which fails where there is
//! something already: a check followed by a rename would leave a moment in which somebody else's file is lost. What this run
//! wrote itself, by its record, it may replace: that is how a resumed run fetches again.
//!
//! Symbolic links below the root are refused rather than followed. Somebody who can swap folders for links while a run writes can
//! write there himself; keeping him out would need `openat`, which the standard library does not have.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};

use super::hex;
use crate::{artifact::ArtifactError, path::OWN_PREFIX, world::World};

/// A run's folder, which is created with the first file.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) root: PathBuf,
    pub(super) world: World,
}

impl Folder {
    /// Opens a file in the making beside the place of a path.
    pub(super) async fn begin(&self, path: &str) -> Result<Part, ArtifactError> {
        let target = self.prepare(path).await?;
        let name = target.with_file_name(format!("{OWN_PREFIX}{:016x}.part", self.world.random()));
        let file = tokio::fs::OpenOptions::new().write(true).create_new(true).open(&name).await;
        let file = file.map_err(|source| failed(path, source))?;
        Ok(Part { file, name, target, path: path.to_owned() })
    }

    /// Returns the bytes of a file, where it can be read.
    pub(super) async fn read(&self, path: &str) -> Option<Vec<u8>> {
        let target = self.prepare(path).await.ok()?;
        tokio::fs::read(target).await.ok()
    }

    /// Makes the folders of a path, refusing anything on the way that is not a folder.
    async fn prepare(&self, path: &str) -> Result<PathBuf, ArtifactError> {
        let fail = |source| failed(path, source);
        tokio::fs::create_dir_all(&self.root).await.map_err(fail)?;
        let mut folder = self.root.clone();
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            folder.push(part);
            let is_last = parts.peek().is_none();
            let what = match tokio::fs::symlink_metadata(&folder).await {
                Ok(found) if found.is_symlink() => Some("a symbolic link"),
                Ok(found) if is_last => found.is_dir().then_some("a folder"),
                Ok(found) => (!found.is_dir()).then_some("a file"),
                Err(error) if error.kind() == io::ErrorKind::NotFound && is_last => None,
                Err(error) if error.kind() == io::ErrorKind::NotFound => match tokio::fs::create_dir(&folder).await {
                    // Two files that go to the same new folder make it at the same time.
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(fail(error)),
                    _ => None,
                },
                Err(error) => return Err(fail(error)),
            };
            if let Some(what) = what {
                return Err(ArtifactError::NotAFolder { path: path.to_owned(), part: part.to_owned(), what });
            }
        }
        Ok(folder)
    }
}

/// A file in the making; gone with this value, whether it was finished, failed or called off.
#[derive(Debug)]
pub(super) struct Part {
    file: tokio::fs::File,
    name: PathBuf,
    target: PathBuf,
    /// The path for messages.
    path: String,
}

impl Part {
    /// Writes the next bytes.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), ArtifactError> {
        self.file.write_all(bytes).await.map_err(|source| failed(&self.path, source))
    }

    /// Takes back what was written.
    pub(super) async fn start_anew(&mut self) -> Result<(), ArtifactError> {
        let emptied = async {
            self.file.flush().await?;
            self.file.rewind().await?;
            self.file.set_len(0).await
        };
        emptied.await.map_err(|source| failed(&self.path, source))
    }

    /// Puts the whole file under its name, which must be free unless it may be replaced.
    pub(super) async fn finish(&mut self, sha256: &str, replaces: bool) -> Result<(), ArtifactError> {
        self.sync().await?;
        if replaces {
            return self.replace().await;
        }
        match self.link().await {
            // A run that was stopped between writing a file and recording it finds the very same bytes.
            Err(ArtifactError::Exists { .. }) if digest(&self.target).await.is_ok_and(|found| found == sha256) => {
                Ok(())
            }
            result => result,
        }
    }

    async fn sync(&mut self) -> Result<(), ArtifactError> {
        self.file.flush().await.map_err(|source| failed(&self.path, source))?;
        self.file.sync_all().await.map_err(|source| failed(&self.path, source))
    }

    /// Gives the file its name, which must be free.
    async fn link(&self) -> Result<(), ArtifactError> {
        let taken = || ArtifactError::Exists { path: self.path.clone() };
        match tokio::fs::hard_link(&self.name, &self.target).await {
            Ok(()) => sync_folder(&self.path, &self.target).await,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(taken()),
            // Some file systems have no hard links; there a check must do.
            Err(_) if tokio::fs::symlink_metadata(&self.target).await.is_ok() => Err(taken()),
            Err(_) => self.replace().await,
        }
    }

    /// Gives the file its name, whoever has it.
    async fn replace(&self) -> Result<(), ArtifactError> {
        tokio::fs::rename(&self.name, &self.target).await.map_err(|source| failed(&self.path, source))?;
        sync_folder(&self.path, &self.target).await
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // After a rename there is nothing left, which is fine; in any other case nobody could do more about it.
        let _ = fs::remove_file(&self.name);
    }
}

/// Removes files in the making from a folder and those below it; links are not followed. What cannot be read or removed stays: it is in nobody's
/// way.
pub(super) fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(OWN_PREFIX));
        if kind.is_dir() {
            sweep(&entry.path());
        } else if kind.is_file() && is_ours {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Makes a new name in a folder durable, where the system has a way to.
async fn sync_folder(path: &str, target: &Path) -> Result<(), ArtifactError> {
    if cfg!(unix)
        && let Some(folder) = target.parent()
    {
        let folder = tokio::fs::File::open(folder).await.map_err(|source| failed(path, source))?;
        folder.sync_all().await.map_err(|source| failed(path, source))?;
    }
    Ok(())
}

/// Returns the SHA-256 of a file.
async fn digest(path: &Path) -> io::Result<String> {
    use tokio::io::AsyncReadExt as _;
    let mut file = tokio::fs::File::open(path).await?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 64 * 1024]);
    loop {
        match file.read(&mut buffer).await? {
            0 => return Ok(hex(&hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

pub(super) fn failed(path: &str, source: io::Error) -> ArtifactError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ArtifactError::DiskFull { path, source },
        _ => ArtifactError::File { path, source },
    }
}
