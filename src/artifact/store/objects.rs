//! A prefix in an object store: one put for what is small, an upload in parts for what is not.
//!
//! Before anything is sent it is looked whether the name is taken, which spares sending gigabytes for nothing; what comes is then only hashed
//! and compared. The look alone would leave a moment in which somebody else's object is lost, so the store is asked to take no name that is
//! taken: S3 whatever the size, Google's and Azure's stores in one put alone. Google's knows no such condition where an upload in parts is
//! completed, and Azure's wants it signed, which the library has no way to ask for: there it is looked once more just before. What must
//! stay true:
//!
//! - An object shows up whole or not at all, and an upload that fails or is called off is aborted.
//! - What is there already is an error, unless it is this step's own, or the very same bytes.
//!
//! A process that is killed leaves the parts of an upload behind, which nobody sees and the store may charge for: a lifecycle rule of the
//! bucket clears them away.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;
use object_store::{
    Attribute, Attributes, CopyMode, CopyOptions, Error, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt as _,
    PutMode, PutMultipartOptions, PutOptions, path::Path,
};
use sha2::{Digest as _, Sha256};

use super::hex;
use crate::artifact::{
    ArtifactError, Earlier,
    objects::{Connection, PART, Place},
    safe_path,
};

/// The largest object that a store copies by itself: S3's bound.
const LARGEST_COPY: u64 = 5 * 1024 * 1024 * 1024;

/// The largest list of files that is read to see whose it is.
const LARGEST_READ: u64 = 64 * 1024 * 1024;

/// A prefix that objects go to.
#[derive(Clone, Debug)]
pub(super) struct Objects {
    connection: Arc<Connection>,
}

impl Objects {
    pub(super) fn of(connection: Connection) -> Self {
        Self { connection: Arc::new(connection) }
    }

    fn name(&self, path: &str) -> Path {
        below(&self.connection.prefix, path)
    }

    /// Returns what is known of an object; none where there is none that can be seen.
    async fn look(&self, name: &Path) -> Result<Option<ObjectMeta>, ArtifactError> {
        match self.connection.objects.head(name).await {
            Ok(found) => Ok(Some(found)),
            // Where a key may put and not list, the absence of an object looks like a refusal.
            Err(Error::NotFound { .. } | Error::PermissionDenied { .. }) => Ok(None),
            Err(error) => Err(self.connection.failed("look for a file", &error)),
        }
    }

    /// Returns the bytes at a path, where there are any that can be read.
    pub(super) async fn read(&self, path: &str) -> Result<Option<Vec<u8>>, ArtifactError> {
        let found = match self.connection.objects.get(&self.name(path)).await {
            Ok(found) => found,
            Err(Error::NotFound { .. } | Error::PermissionDenied { .. }) => return Ok(None),
            Err(error) => return Err(self.connection.failed("read a file", &error)),
        };
        if found.meta.size > LARGEST_READ {
            return Ok(None);
        }
        let bytes = found.bytes().await.map_err(|error| self.connection.failed("read a file", &error))?;
        Ok(Some(bytes.into()))
    }

    /// Begins an object at a path.
    pub(super) async fn begin(&self, path: &str, content_type: &str, replaces: bool) -> Result<Upload, ArtifactError> {
        let name = self.name(path);
        let is_there = !replaces && self.look(&name).await?.is_some();
        let attributes = Attributes::from_iter([(Attribute::ContentType, content_type.to_owned())]);
        let (path, bytes) = (path.to_owned(), 0);
        Ok(Upload {
            objects: self.clone(),
            name,
            path,
            attributes,
            replaces,
            is_there,
            bytes,
            rest: BytesMut::new(),
            parts: None,
        })
    }

    /// Copies the object of an earlier run within the store.
    pub(super) async fn copy(&self, path: &str, earlier: &Earlier, replaces: bool) -> Result<(), ArtifactError> {
        let source = Place::parse(&earlier.root.to_string()).map_err(|problem| earlier.gone(problem.to_string()))?;
        if !self.connection.place.is_beside(&source) {
            return Err(earlier.gone("it lies in another store than this run saves to"));
        }
        if earlier.file.bytes > LARGEST_COPY {
            return Err(earlier.gone("it is larger than what a store copies by itself"));
        }
        let from = safe_path(&earlier.file.path).map_err(|problem| earlier.gone(problem.to_string()))?;
        let from = below(&source.prefix.iter().map(String::as_str).collect(), from.as_str());
        match self.look(&from).await? {
            Some(found) if found.size == earlier.file.bytes => {}
            Some(_) => return Err(earlier.gone("it has another size by now")),
            None => return Err(earlier.gone("it is not there any more")),
        }
        let name = self.name(path);
        if !replaces && self.look(&name).await?.is_some() {
            return self.same(&name, path, &earlier.file.sha256, earlier.file.bytes).await;
        }
        // S3 copies to a name that is taken unless it is asked in another way than other stores that speak its language.
        let mode = if replaces || self.connection.exclusive.is_some() { CopyMode::Overwrite } else { CopyMode::Create };
        match self.connection.objects.copy_opts(&from, &name, CopyOptions { mode, ..CopyOptions::default() }).await {
            Ok(()) => Ok(()),
            Err(Error::AlreadyExists { .. }) => self.same(&name, path, &earlier.file.sha256, earlier.file.bytes).await,
            Err(Error::NotFound { .. }) => Err(earlier.gone("it is not there any more")),
            Err(error) => Err(self.connection.failed("copy a file", &error)),
        }
    }

    /// Passes where an object has these very bytes: a run that was stopped between writing and recording finds its own.
    async fn same(&self, name: &Path, path: &str, sha256: &str, bytes: u64) -> Result<(), ArtifactError> {
        let what = "compare a file that is there already";
        let failed = |error: Error| self.connection.failed(what, &error);
        let other = || ArtifactError::Exists { path: path.to_owned() };
        let found = match self.connection.objects.get(name).await {
            Ok(found) => found,
            // It may be read by others alone.
            Err(Error::PermissionDenied { .. }) => return Err(other()),
            // It went away again, or somebody is at it: the next try will tell.
            Err(Error::NotFound { .. }) => return Err(self.connection.error(what, "it went away meanwhile", true)),
            Err(error) => return Err(failed(error)),
        };
        if found.meta.size != bytes {
            return Err(other());
        }
        let (mut hash, mut stream) = (Sha256::new(), found.into_stream());
        while let Some(piece) = stream.try_next().await.map_err(failed)? {
            hash.update(&piece);
        }
        if hex(&hash.finalize()) == sha256 { Ok(()) } else { Err(other()) }
    }
}

/// Returns the name of an object: the path as it is. Joined part by part, a `%` in it would be encoded.
fn below(prefix: &Path, path: &str) -> Path {
    Path::parse(format!("{prefix}/{path}")).unwrap_or_else(|_| path.split('/').fold(prefix.clone(), Path::join))
}

/// An object in the making.
#[derive(Debug)]
pub(super) struct Upload {
    objects: Objects,
    name: Path,
    /// The path for messages.
    path: String,
    attributes: Attributes,
    replaces: bool,
    /// Whether something is there already, so that what comes is only compared with it.
    is_there: bool,
    bytes: u64,
    /// What is not sent yet.
    rest: BytesMut,
    /// The upload in parts, where more came than fits into one.
    parts: Option<Box<dyn MultipartUpload>>,
}

impl Upload {
    /// Takes the next bytes, and sends what fills a part.
    pub(super) async fn write(&mut self, bytes: &Bytes) -> Result<(), ArtifactError> {
        self.bytes += bytes.len() as u64;
        if self.is_there {
            return Ok(());
        }
        self.rest.extend_from_slice(bytes);
        while self.rest.len() > PART {
            let part = self.rest.split_to(PART).freeze();
            self.put_part(part).await?;
        }
        Ok(())
    }

    async fn put_part(&mut self, part: Bytes) -> Result<(), ArtifactError> {
        let connection = &self.objects.connection;
        let failed = |error: Error| connection.failed("put a file", &error);
        if self.parts.is_none() {
            let store = connection.exclusive.as_ref().filter(|_| !self.replaces).unwrap_or(&connection.objects);
            let options = PutMultipartOptions { attributes: self.attributes.clone(), ..PutMultipartOptions::default() };
            self.parts = Some(store.put_multipart_opts(&self.name, options).await.map_err(failed)?);
        }
        let upload = self.parts.as_mut().expect("it was begun");
        upload.put_part(part.into()).await.map_err(failed)
    }

    /// Takes back what was sent.
    pub(super) async fn start_anew(&mut self) {
        self.bytes = 0;
        self.rest.clear();
        self.abort().await;
    }

    /// Makes the object of what was sent.
    pub(super) async fn finish(&mut self, sha256: &str) -> Result<(), ArtifactError> {
        let made = if self.is_there { Ok(false) } else { self.make().await };
        match made {
            Ok(true) => Ok(()),
            Ok(false) => self.objects.same(&self.name, &self.path, sha256, self.bytes).await,
            Err(error) => Err(error),
        }
    }

    /// Makes the object, and says whether its name was free.
    async fn make(&mut self) -> Result<bool, ArtifactError> {
        let rest = self.rest.split().freeze();
        if self.parts.is_some() {
            let completed = self.complete(rest).await;
            if !matches!(completed, Ok(true)) {
                self.abort().await;
            }
            self.parts = None;
            return completed;
        }
        let connection = &self.objects.connection;
        let mode = if self.replaces { PutMode::Overwrite } else { PutMode::Create };
        let options = PutOptions { mode, attributes: self.attributes.clone(), ..PutOptions::default() };
        match connection.objects.put_opts(&self.name, rest.into(), options).await {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) if !self.replaces => Ok(false),
            Err(error) => Err(connection.failed("put a file", &error)),
        }
    }

    /// Sends the last part and completes the upload; says whether the name was free.
    async fn complete(&mut self, last: Bytes) -> Result<bool, ArtifactError> {
        self.put_part(last).await?;
        let is_told = self.objects.connection.exclusive.is_some();
        if !self.replaces && !is_told && self.objects.look(&self.name).await?.is_some() {
            return Ok(false);
        }
        let upload = self.parts.as_mut().expect("a part was put");
        match upload.complete().await {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) if !self.replaces => Ok(false),
            // The answer to an earlier completion was lost: the object is there, and the upload is not.
            Err(Error::NotFound { .. }) if self.objects.look(&self.name).await?.is_some() => Ok(false),
            Err(error) => Err(self.objects.connection.failed("put a file", &error)),
        }
    }

    async fn abort(&mut self) {
        if let Some(mut upload) = self.parts.take() {
            // Parts without a whole cost storage; where this fails too, the store's own rules clear them away.
            let _ = upload.abort().await;
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Failed or called off half way: whoever stops waiting still leaves nothing behind, as long as the program runs.
        if let (Some(mut upload), Ok(runtime)) = (self.parts.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                let _ = upload.abort().await;
            });
        }
    }
}
