//! A staging store: objects that are named by their content, and URLs for them.
//!
//! What must stay true: an object is what its name says. The bytes are hashed again as they leave, and a file that changed meanwhile is
//! not put. How the store is reached is for [`objects`](crate::artifact::objects).

use bytes::Bytes;
use futures_util::future::BoxFuture;
use object_store::{Attribute, Attributes, Error, ObjectStoreExt as _, PutMultipartOptions, PutOptions, path::Path};
use reqwest::Method;

use super::{Staged, Staging, URL_LIFE};
use crate::{
    artifact::{
        ArtifactError, extension,
        local::Pieces,
        objects::{Connection, PART, Place, StoreProblem, Use},
        shown,
    },
    id::Digest,
    provider::{LocalFile, http::cause},
    secret::Secret,
    world::World,
};

/// A store from which APIs fetch.
#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
    world: World,
}

impl Store {
    /// Opens the store of a place.
    pub(super) fn open(place: Place, world: &World) -> Result<Self, StoreProblem> {
        Ok(Self { connection: Connection::open(place, Use::Staging, world)?, world: world.clone() })
    }

    async fn put_file(&self, file: &LocalFile, digest: &Digest) -> Result<Staged, ArtifactError> {
        let ext = extension(&file.content_type, &file.name);
        let name = self.connection.prefix.clone().join(format!("{digest}.{ext}"));
        let is_there = match self.connection.objects.head(&name).await {
            Ok(found) => found.size == file.bytes,
            // Where a key may put and not list, the absence of an object looks like this too.
            Err(Error::NotFound { .. } | Error::PermissionDenied { .. }) => false,
            Err(error) => return Err(self.connection.failed("look for a file", &error)),
        };
        if !is_there {
            self.upload(&name, file, digest).await?;
        }
        // Taken before the signing, so that it is never too late.
        let expires = self.world.now() + URL_LIFE;
        Ok(Staged { url: self.sign(Method::GET, &name, "sign a URL").await?, expires })
    }

    /// Puts all bytes of a file, or none.
    async fn upload(&self, name: &Path, file: &LocalFile, digest: &Digest) -> Result<(), ArtifactError> {
        let what = "put a file";
        let attributes = Attributes::from_iter([(Attribute::ContentType, file.content_type.clone())]);
        let mut pieces = Pieces::open(file).await?;
        if file.bytes <= PART as u64 {
            let mut bytes = Vec::new();
            while let Some(piece) = pieces.next(PART as u64).await? {
                bytes.extend(piece);
            }
            if pieces.digest() != *digest {
                return Err(pieces.changed().into());
            }
            let put = self.connection.objects.put_opts(
                name,
                bytes.into(),
                PutOptions { attributes, ..PutOptions::default() },
            );
            return put.await.map(|_| ()).map_err(|error| self.connection.failed(what, &error));
        }
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        let mut upload = self
            .connection
            .objects
            .put_multipart_opts(name, options)
            .await
            .map_err(|error| self.connection.failed(what, &error))?;
        let sent = async {
            while let Some(piece) = pieces.next(PART as u64).await? {
                upload.put_part(piece.into()).await.map_err(|error| self.connection.failed(what, &error))?;
            }
            if pieces.digest() != *digest {
                return Err(pieces.changed().into());
            }
            upload.complete().await.map(|_| ()).map_err(|error| self.connection.failed(what, &error))
        };
        let sent = sent.await;
        if sent.is_err() {
            // Parts without a whole cost storage; where this fails too, the store's own rules clear them away.
            let _ = upload.abort().await;
        }
        sent
    }

    async fn sign(&self, method: Method, name: &Path, what: &str) -> Result<Secret, ArtifactError> {
        let signed = self.connection.signer.signed_url(method, name, URL_LIFE).await;
        signed.map(|url| Secret::new(url.as_str())).map_err(|error| self.connection.failed(what, &error))
    }

    async fn try_out(&self) -> Result<(), ArtifactError> {
        let name = self.connection.prefix.clone().join(format!(".dagwood-check-{:016x}", self.world.random()));
        let bytes = Bytes::from_static(b"dagwood was here\n");
        let put = self.connection.objects.put(&name, bytes.clone().into()).await;
        put.map_err(|error| self.connection.failed("write an object", &error))?;
        let what = "fetch an object by its signed URL";
        let fetched = self.visit(Method::GET, &name, what, bytes.len()).await;
        // The library deletes in bulk, which not every store that speaks S3 understands.
        let deleted = self.visit(Method::DELETE, &name, "delete an object", 0).await;
        if fetched? != bytes {
            return Err(self.connection.error(what, "it holds something else than was written", false));
        }
        deleted.map(|_| ())
    }

    /// Does something with an object by its signed URL, as a stranger, and returns what it holds, which is one byte too many at most.
    async fn visit(&self, method: Method, name: &Path, what: &str, most: usize) -> Result<Vec<u8>, ArtifactError> {
        let url = self.sign(method.clone(), name, what).await?;
        let broken = |error: reqwest::Error| self.connection.error(what, &cause(&error.without_url()), true);
        let mut response = self.connection.stranger.request(method, url.expose()).send().await.map_err(broken)?;
        let status = response.status();
        if !status.is_success() {
            let why = format!("{} answered {status}", shown(response.url()));
            return Err(self.connection.error(what, &why, status.is_server_error()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            body.extend_from_slice(&chunk);
            if body.len() > most {
                body.truncate(most + 1);
                break;
            }
        }
        Ok(body)
    }
}

impl Staging for Store {
    fn place(&self) -> &str {
        &self.connection.place.shown
    }

    fn put<'a>(&'a self, file: &'a LocalFile, digest: &'a Digest) -> BoxFuture<'a, Result<Staged, ArtifactError>> {
        Box::pin(self.put_file(file, digest))
    }

    fn check(&self) -> BoxFuture<'_, Result<(), ArtifactError>> {
        Box::pin(self.try_out())
    }
}
