//! The place that one run's files go to: streamed, hashed, and under their names only when they are whole.
//!
//! ```text
//! Store::claim ─▶ begin ─▶ Saving::write … (start_anew) ─▶ finish ─▶ SavedFile
//!                              ├── a folder: a file in the making, linked to its name
//!                              └── an object store: one put, or an upload in parts that is completed
//! ```
//!
//! What must stay true, wherever it is: nothing is overwritten that this run did not write, by its record; the very same bytes found there
//! are no other file; one path belongs to one step of the run, which the step claims before it writes anything.

mod folder;
#[cfg(feature = "object-stores")]
mod objects;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use self::folder::Folder;
#[cfg(feature = "object-stores")]
use super::objects::{Connection, Use};
use super::{ArtifactError, Earlier, MANIFEST, Opened, RelativePath, Root, StoreProblem, objects::Place, safe_path};
use crate::{id::RunId, result::SavedFile, world::World};

/// The most bytes of one file unless told otherwise: hours of video.
pub const SIZE_LIMIT: u64 = 8 * 1024 * 1024 * 1024;

/// The version of the manifest's form.
const MANIFEST_VERSION: u32 = 1;

/// A place for one run's files.
#[derive(Debug)]
pub struct Store {
    root: Root,
    limit: u64,
    inner: Inner,
    /// Paths that steps of this run have, now or before it was resumed.
    claims: Mutex<BTreeMap<String, Claim>>,
}

/// Where the files go.
#[derive(Debug)]
enum Inner {
    Folder(Folder),
    #[cfg(feature = "object-stores")]
    Objects(objects::Objects),
    /// Nowhere: why the store could not be opened.
    Closed(StoreProblem),
}

/// A path of a step.
#[derive(Clone, Debug, Default)]
struct Claim {
    /// Its step; none where it may be anybody's.
    step: Option<String>,
    /// Whether the step has written it, by its record.
    is_written: bool,
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
    pub fn new(folder: impl Into<PathBuf>, world: World) -> Self {
        let root = folder.into();
        Self::of(&Root::Folder(root.clone()), Inner::Folder(Folder { root, world }))
    }

    /// Opens the place of a run's own root; sends nothing, and creates nothing.
    ///
    /// # Errors
    ///
    /// Where it is no store, this program was built without it, or the environment has no credentials for it.
    pub fn open(root: &Root, world: &World) -> Result<Self, StoreProblem> {
        let inner = match root {
            Root::Folder(folder) => Inner::Folder(Folder { root: folder.clone(), world: world.clone() }),
            Root::Objects(place) => Inner::objects(place, world)?,
        };
        Ok(Self::of(root, inner))
    }

    /// Returns a place to which nothing can be saved: each file fails with this problem. A run that is only to be ended needs no other.
    #[must_use]
    pub fn closed(root: &Root, problem: StoreProblem) -> Self {
        Self::of(root, Inner::Closed(problem))
    }

    fn of(root: &Root, inner: Inner) -> Self {
        Self { root: root.clone(), limit: SIZE_LIMIT, inner, claims: Mutex::default() }
    }

    /// Returns the same store with another bound on the size of one file.
    #[must_use]
    pub fn with_limit(mut self, limit: u64) -> Self {
        self.limit = limit;
        self
    }

    /// Lets each step replace these files, which it wrote in this run's earlier life; those of no step, any one.
    pub fn own(&self, files: impl IntoIterator<Item = (Option<String>, String)>) {
        let files = files.into_iter().map(|(step, path)| (path, Claim { step, is_written: true }));
        self.claims().extend(files);
    }

    /// Takes a path for a step, before anything is written.
    ///
    /// # Errors
    ///
    /// Where another step of this run has it.
    pub fn claim(&self, path: &RelativePath, step: &str) -> Result<(), ArtifactError> {
        let mut claims = self.claims();
        let claim = claims.entry(path.as_str().to_owned());
        let owner = claim.or_default().step.get_or_insert_with(|| step.to_owned());
        if owner == step {
            return Ok(());
        }
        let (path, step, other) = (path.as_str().to_owned(), step.to_owned(), owner.clone());
        Err(ArtifactError::Taken { path, step, other })
    }

    /// Removes the files in the making that a process of this run left behind when it was killed. For whoever owns the run alone.
    pub fn sweep(&self) {
        if let Inner::Folder(folder) = &self.inner {
            folder::sweep(&folder.root);
        }
    }

    /// Returns the run's own root.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Writes all bytes of what was opened to a path; where that fails, nothing is left there.
    ///
    /// # Errors
    ///
    /// Where the download breaks off, the size passes the bound, another file is in the way, or the place refuses.
    pub async fn save(&self, path: &RelativePath, mut opened: Opened) -> Result<SavedFile, ArtifactError> {
        let mut saving = self.begin(path, &opened).await?;
        saving.write(&mut opened).await?;
        saving.finish(&opened).await
    }

    /// Copies a file that an earlier run saved to the same path here.
    ///
    /// # Errors
    ///
    /// Where it is gone, or as for [`Store::save`].
    pub async fn take(&self, earlier: &Earlier) -> Result<SavedFile, ArtifactError> {
        let path = safe_path(&earlier.file.path).map_err(|problem| earlier.gone(problem.to_string()))?;
        self.save(&path, Opened::earlier(earlier).await?).await
    }

    /// Begins a file at a path.
    ///
    /// # Errors
    ///
    /// Where what was opened is too large, or the place refuses.
    pub async fn begin(&self, path: &RelativePath, opened: &Opened) -> Result<Saving<'_>, ArtifactError> {
        if opened.announced().is_some_and(|bytes| bytes > self.limit) {
            return Err(self.too_large(path.as_str()));
        }
        let part = self.inner.begin(path.as_str(), opened, self.may_replace(path.as_str())).await?;
        Ok(Saving { store: self, path: path.clone(), part, hash: Sha256::new(), bytes: 0 })
    }

    /// Writes the run's list of files beside them, replacing an earlier one of the same run.
    ///
    /// # Errors
    ///
    /// Where there is another run's manifest, or the place refuses.
    pub async fn write_manifest(&self, manifest: &Manifest) -> Result<(), ArtifactError> {
        let is_own = match self.inner.read(MANIFEST).await? {
            Some(text) => serde_json::from_slice::<Manifest>(&text).is_ok_and(|earlier| earlier.run == manifest.run),
            None => false,
        };
        let mut text = serde_json::to_vec_pretty(manifest).map_err(|error| folder::failed(MANIFEST, error.into()))?;
        text.push(b'\n');
        let sha256 = hex(&Sha256::digest(&text));
        let mut part = self.inner.begin_with(MANIFEST, "application/json", is_own).await?;
        part.write(&text.into()).await?;
        part.finish(&sha256, is_own).await
    }

    fn may_replace(&self, path: &str) -> bool {
        self.claims().get(path).is_some_and(|claim| claim.is_written)
    }

    fn claims(&self) -> MutexGuard<'_, BTreeMap<String, Claim>> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn too_large(&self, path: &str) -> ArtifactError {
        ArtifactError::TooLarge { path: path.to_owned(), limit: self.limit }
    }
}

impl Inner {
    fn objects(place: &str, world: &World) -> Result<Self, StoreProblem> {
        let place = Place::parse(place)?.built_in()?;
        #[cfg(feature = "object-stores")]
        return Ok(Self::Objects(objects::Objects::of(Connection::open(
            place,
            Use::Saving { largest: SIZE_LIMIT },
            world,
        )?)));
        #[cfg(not(feature = "object-stores"))]
        unreachable!("without stores {world:?} has nowhere to put {place:?}")
    }

    /// Begins a file of what was opened.
    async fn begin(&self, path: &str, opened: &Opened, replaces: bool) -> Result<Part, ArtifactError> {
        match (self, opened.kept()) {
            #[cfg(feature = "object-stores")]
            (Self::Objects(objects), Some(earlier)) => {
                objects.copy(path, earlier, replaces).await?;
                Ok(Part::Copied(earlier.file.sha256.clone(), earlier.file.bytes))
            }
            (_, Some(earlier)) => {
                Err(earlier.gone("this run saves to another place, to which nothing is copied from there"))
            }
            (inner, None) => inner.begin_with(path, opened.content_type(), replaces).await,
        }
    }

    /// Begins a file of this type.
    async fn begin_with(&self, path: &str, content_type: &str, replaces: bool) -> Result<Part, ArtifactError> {
        match self {
            Self::Folder(folder) => folder.begin(path).await.map(Part::File),
            #[cfg(feature = "object-stores")]
            Self::Objects(objects) => {
                objects.begin(path, content_type, replaces).await.map(|part| Part::Object(Box::new(part)))
            }
            Self::Closed(problem) => {
                let _ = (content_type, replaces);
                Err(closed(path, problem))
            }
        }
    }

    /// Returns the bytes at a path, where there are any that can be read.
    async fn read(&self, path: &str) -> Result<Option<Vec<u8>>, ArtifactError> {
        match self {
            Self::Folder(folder) => Ok(folder.read(path).await),
            #[cfg(feature = "object-stores")]
            Self::Objects(objects) => objects.read(path).await,
            Self::Closed(problem) => Err(closed(path, problem)),
        }
    }
}

fn closed(path: &str, problem: &StoreProblem) -> ArtifactError {
    let (what, why) = (format!("save `{path}`"), problem.to_string());
    ArtifactError::Store { place: problem.place().to_owned(), what, why, transient: false }
}

/// A file on its way to its place; where this is dropped before the end, nothing is left there.
#[derive(Debug)]
pub struct Saving<'a> {
    store: &'a Store,
    path: RelativePath,
    part: Part,
    hash: Sha256,
    bytes: u64,
}

#[derive(Debug)]
enum Part {
    File(folder::Part),
    #[cfg(feature = "object-stores")]
    Object(Box<objects::Upload>),
    /// It was copied within its store: its hash and its size are those of the copied file.
    #[cfg(feature = "object-stores")]
    Copied(String, u64),
}

impl Part {
    async fn write(&mut self, bytes: &Bytes) -> Result<(), ArtifactError> {
        match self {
            Self::File(part) => part.write(bytes).await,
            #[cfg(feature = "object-stores")]
            Self::Object(upload) => upload.write(bytes).await,
            #[cfg(feature = "object-stores")]
            Self::Copied(..) => unreachable!("what was copied is not written"),
        }
    }

    async fn start_anew(&mut self) -> Result<(), ArtifactError> {
        match self {
            Self::File(part) => part.start_anew().await,
            #[cfg(feature = "object-stores")]
            Self::Object(upload) => {
                upload.start_anew().await;
                Ok(())
            }
            #[cfg(feature = "object-stores")]
            Self::Copied(..) => Ok(()),
        }
    }

    async fn finish(&mut self, sha256: &str, replaces: bool) -> Result<(), ArtifactError> {
        match self {
            Self::File(part) => part.finish(sha256, replaces).await,
            #[cfg(feature = "object-stores")]
            Self::Object(upload) => upload.finish(sha256).await,
            #[cfg(feature = "object-stores")]
            Self::Copied(..) => Ok(()),
        }
    }
}

impl Saving<'_> {
    /// Writes what is left of what was opened, to its end.
    ///
    /// # Errors
    ///
    /// Where the download breaks off, the size passes the bound, or the place refuses.
    pub async fn write(&mut self, opened: &mut Opened) -> Result<(), ArtifactError> {
        #[cfg(feature = "object-stores")]
        if matches!(self.part, Part::Copied(..)) {
            return Ok(());
        }
        while let Some(chunk) = opened.chunk().await? {
            self.bytes += chunk.len() as u64;
            if self.bytes > self.store.limit {
                return Err(self.store.too_large(self.path.as_str()));
            }
            self.hash.update(&chunk);
            self.part.write(&chunk).await?;
        }
        Ok(())
    }

    /// Takes back what was written.
    ///
    /// # Errors
    ///
    /// Where the place refuses.
    pub async fn start_anew(&mut self) -> Result<(), ArtifactError> {
        (self.hash, self.bytes) = (Sha256::new(), 0);
        self.part.start_anew().await
    }

    /// Puts the whole file under its name.
    ///
    /// # Errors
    ///
    /// Where another file is in the way, or the place refuses.
    pub async fn finish(mut self, opened: &Opened) -> Result<SavedFile, ArtifactError> {
        let path = self.path.as_str();
        let (sha256, bytes) = match &self.part {
            #[cfg(feature = "object-stores")]
            Part::Copied(sha256, bytes) => (sha256.clone(), *bytes),
            _ => (hex(&self.hash.finalize()), self.bytes),
        };
        self.part.finish(&sha256, self.store.may_replace(path)).await?;
        self.store.claims().entry(path.to_owned()).or_default().is_written = true;
        Ok(SavedFile {
            path: path.to_owned(),
            url: opened.url().map(ToOwned::to_owned),
            sha256,
            bytes,
            content_type: opened.content_type().to_owned(),
        })
    }
}

/// Returns bytes in hexadecimal.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_that_could_not_be_opened_says_why_with_each_file() {
        let root = Root::Objects("s3://b/run".to_owned());
        let problem = StoreProblem::Feature { place: root.to_string(), feature: "s3" };
        let error =
            Store::closed(&root, problem).write_manifest(&Manifest::new(World::real().run_id(), "x", Vec::new())).await;
        let error = error.expect_err("nothing is saved");
        assert!(error.to_string().contains("built without the feature `s3`") && !error.is_transient(), "{error}");
    }

    #[cfg(not(feature = "object-stores"))]
    #[test]
    fn a_store_that_was_not_built_in_names_its_feature() {
        let problem = Store::open(&Root::Objects("gs://b/run".to_owned()), &World::real()).expect_err("no store");
        assert!(problem.to_string().contains("feature `gcs`"), "{problem}");
        assert!(problem.help().is_some_and(|help| help.contains("--features gcs")));
    }
}
