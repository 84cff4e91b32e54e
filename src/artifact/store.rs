//! The folder that a run's files go to: streamed, hashed, and put under their names only when they are whole.
//!
//! A file is written under a name of our own in its own folder, synced, and then linked to its name, which fails where there is
//! something already: a check followed by a rename would leave a moment in which somebody else's file is lost. What this run
//! wrote itself, by its record, it may replace: that is how a resumed run fetches again.
//!
//! Symbolic links below the root are refused rather than followed. Somebody who can swap folders for links while a run writes can
//! write there himself; keeping him out would need `openat`, which the standard library does not have.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::{
    ArtifactError, Opened,
    path::{OWN_PREFIX, RelativePath},
};
use crate::{id::RunId, result::SavedFile, world::World};

/// The most bytes of one file unless told otherwise: hours of video.
pub const SIZE_LIMIT: u64 = 8 * 1024 * 1024 * 1024;

/// The name of a run's list of files, in its artifact root.
pub const MANIFEST: &str = "manifest.json";

/// The version of the manifest's form.
const MANIFEST_VERSION: u32 = 1;

/// A folder for one run's files.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    limit: u64,
    world: World,
    /// Paths that this run wrote, now or before it was resumed.
    own: Mutex<BTreeSet<String>>,
}

/// A run's list of files: `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this form.
    pub version: u32,
    /// The run.
    pub run: RunId,
    /// The workflow's name.
    pub workflow: String,
    /// Its files, in the order of their steps.
    pub files: Vec<ManifestFile>,
}

/// A file and the step that it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// The step's path.
    pub step: String,
    /// The file.
    #[serde(flatten)]
    pub file: SavedFile,
}

impl Manifest {
    /// Builds a manifest in the present form.
    #[must_use]
    pub fn new(run: RunId, workflow: impl Into<String>, files: Vec<ManifestFile>) -> Self {
        Self { version: MANIFEST_VERSION, run, workflow: workflow.into(), files }
    }
}

impl Store {
    /// Returns the store of a folder, which is created with the first file.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>, world: World) -> Self {
        Self { root: root.into(), limit: SIZE_LIMIT, world, own: Mutex::new(BTreeSet::new()) }
    }

    /// Returns the same store with another bound on the size of one file.
    #[must_use]
    pub fn with_limit(mut self, limit: u64) -> Self {
        self.limit = limit;
        self
    }

    /// Returns the same store with files of this run's earlier life, which it may replace.
    #[must_use]
    pub fn owning(self, paths: impl IntoIterator<Item = String>) -> Self {
        self.own(paths);
        self
    }

    /// Lets the store replace these files of this run's earlier life.
    pub fn own(&self, paths: impl IntoIterator<Item = String>) {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).extend(paths);
    }

    /// Removes the files in the making that a process of this run left behind when it was killed. For whoever owns the run alone.
    pub fn sweep(&self) {
        sweep(&self.root);
    }

    /// Returns the folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Writes all bytes of what was opened to a path; where that fails, nothing is left there.
    ///
    /// # Errors
    ///
    /// Where the download breaks off, the size passes the bound, another file is in the way, or the file system refuses.
    pub async fn save(&self, path: &RelativePath, mut opened: Opened) -> Result<SavedFile, ArtifactError> {
        if opened.announced().is_some_and(|bytes| bytes > self.limit) {
            return Err(self.too_large(path.as_str()));
        }
        let target = self.prepare(path.as_str()).await?;
        let mut part = self.begin(path.as_str(), &target).await?;
        let (mut hash, mut bytes) = (Sha256::new(), 0_u64);
        while let Some(chunk) = opened.chunk().await? {
            bytes += chunk.len() as u64;
            if bytes > self.limit {
                return Err(self.too_large(path.as_str()));
            }
            hash.update(&chunk);
            part.file.write_all(&chunk).await.map_err(|source| failed(path.as_str(), source))?;
        }
        let sha256 = hex(&hash.finalize());
        self.finish(path.as_str(), part, &target, &sha256).await?;
        self.own.lock().unwrap_or_else(PoisonError::into_inner).insert(path.as_str().to_owned());
        Ok(SavedFile {
            path: path.as_str().to_owned(),
            url: opened.url,
            sha256,
            bytes,
            content_type: opened.content_type,
        })
    }

    /// Writes the run's list of files beside them, replacing an earlier one of the same run.
    ///
    /// # Errors
    ///
    /// Where there is another run's manifest, or the file system refuses.
    pub async fn write_manifest(&self, manifest: &Manifest) -> Result<(), ArtifactError> {
        let target = self.prepare(MANIFEST).await?;
        let own = match tokio::fs::read(&target).await {
            Ok(text) => serde_json::from_slice::<Manifest>(&text).is_ok_and(|earlier| earlier.run == manifest.run),
            Err(_) => false,
        };
        let mut text = serde_json::to_vec_pretty(manifest).map_err(|error| failed(MANIFEST, error.into()))?;
        text.push(b'\n');
        let mut part = self.begin(MANIFEST, &target).await?;
        part.file.write_all(&text).await.map_err(|source| failed(MANIFEST, source))?;
        part.sync(MANIFEST).await?;
        if own { part.replace(MANIFEST, &target).await } else { part.link(MANIFEST, &target).await }
    }

    fn too_large(&self, path: &str) -> ArtifactError {
        ArtifactError::TooLarge { path: path.to_owned(), limit: self.limit }
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

    /// Opens a file in the making beside the target.
    async fn begin(&self, path: &str, target: &Path) -> Result<Part, ArtifactError> {
        let name = target.with_file_name(format!("{OWN_PREFIX}{:016x}.part", self.world.random()));
        let file = tokio::fs::OpenOptions::new().write(true).create_new(true).open(&name).await;
        Ok(Part { file: file.map_err(|source| failed(path, source))?, name })
    }

    /// Puts a whole file under its name.
    async fn finish(&self, path: &str, mut part: Part, target: &Path, sha256: &str) -> Result<(), ArtifactError> {
        part.sync(path).await?;
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner).contains(path);
        if own {
            return part.replace(path, target).await;
        }
        match part.link(path, target).await {
            // A run that was stopped between writing a file and recording it finds the very same bytes.
            Err(ArtifactError::Exists { .. }) if digest(target).await.is_ok_and(|found| found == sha256) => Ok(()),
            result => result,
        }
    }
}

/// A file in the making; gone with this value, whether it was finished, failed or called off.
struct Part {
    file: tokio::fs::File,
    name: PathBuf,
}

impl Part {
    async fn sync(&mut self, path: &str) -> Result<(), ArtifactError> {
        self.file.flush().await.map_err(|source| failed(path, source))?;
        self.file.sync_all().await.map_err(|source| failed(path, source))
    }

    /// Gives the file its name, which must be free.
    async fn link(self, path: &str, target: &Path) -> Result<(), ArtifactError> {
        match tokio::fs::hard_link(&self.name, target).await {
            Ok(()) => sync_folder(path, target).await,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(ArtifactError::Exists { path: path.to_owned() })
            }
            // Some file systems have no hard links; there a check must do.
            Err(_) if tokio::fs::symlink_metadata(target).await.is_ok() => {
                Err(ArtifactError::Exists { path: path.to_owned() })
            }
            Err(_) => self.replace(path, target).await,
        }
    }

    /// Gives the file its name, whoever has it.
    async fn replace(self, path: &str, target: &Path) -> Result<(), ArtifactError> {
        tokio::fs::rename(&self.name, target).await.map_err(|source| failed(path, source))?;
        sync_folder(path, target).await
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
fn sweep(folder: &Path) {
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

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn failed(path: &str, source: io::Error) -> ArtifactError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ArtifactError::DiskFull { path, source },
        _ => ArtifactError::File { path, source },
    }
}
