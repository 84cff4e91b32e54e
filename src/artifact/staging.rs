//! Staging: stores where local files are put so that an API can fetch them by URL.
//!
//! ```text
//! LocalFile + Digest ──put──▶ PREFIX/DIGEST.EXT in the store, once ──▶ a URL for a day, which anybody who has it can read
//! ```
//!
//! A file is named by its content, so that it is stored once however many steps and runs use it, and so that nothing that is there is
//! ever replaced by something else. The URL is a credential by itself: it is a [`Secret`] here, and what shows has no query.
//!
//! Which stores there are, and how they are reached, is for `artifact::objects`.

#[cfg(feature = "object-stores")]
mod store;

use std::{fmt, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::{
    ArtifactError,
    objects::{Place, StoreProblem},
};
use crate::{id::Digest, provider::LocalFile, secret::Secret, world::World};

/// How long a URL can be fetched. A job may wait in an API's queue for hours; stores sign for a week at most.
pub const URL_LIFE: Duration = Duration::from_hours(24);

/// A store that APIs can fetch from.
pub trait Staging: fmt::Debug + Send + Sync {
    /// Returns where it is, for people: without credentials.
    fn place(&self) -> &str;

    /// Puts a file there, unless its content is there already, and signs a URL for it.
    fn put<'a>(&'a self, file: &'a LocalFile, digest: &'a Digest) -> BoxFuture<'a, Result<Staged, ArtifactError>>;

    /// Writes a tiny object, fetches it by its URL as an API would, and deletes it.
    fn check(&self) -> BoxFuture<'_, Result<(), ArtifactError>>;
}

/// A file that can be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// The URL; whoever has it can read the file.
    pub url: Secret,
    /// Until when.
    pub expires: Timestamp,
}

impl Staged {
    /// Returns the URL for people: without the signature.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.url.expose().split(['?', '#']).next().unwrap_or_default()
    }
}

/// Opens a staging store; sends nothing. `place` is `SCHEME://BUCKET/PREFIX`.
///
/// # Errors
///
/// Where the place is no store, this program was built without it, or the environment has no credentials for it.
pub fn open(place: &str, world: &World) -> Result<Arc<dyn Staging>, StoreProblem> {
    let place = Place::parse(place)?.built_in()?;
    #[cfg(feature = "object-stores")]
    return Ok(Arc::new(store::Store::open(place, world)?));
    #[cfg(not(feature = "object-stores"))]
    unreachable!("without stores {world:?} has nowhere to put {place:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(not(feature = "object-stores"))]
    #[test]
    fn a_store_that_was_not_built_in_names_its_feature() {
        for (place, feature) in [("s3://b", "s3"), ("gs://b", "gcs"), ("az://b", "azure")] {
            let problem = open(place, &World::real()).expect_err(place);
            assert!(problem.to_string().contains(&format!("feature `{feature}`")), "{problem}");
            assert!(problem.help().expect("help").contains(&format!("--features {feature}")));
        }
    }

    #[test]
    fn a_staged_file_does_not_show_its_signature() {
        let staged = Staged { url: Secret::new("https://b.example/a.png?sig=canary"), expires: Timestamp::UNIX_EPOCH };
        assert_eq!(staged.shown(), "https://b.example/a.png");
        assert!(!format!("{staged:?}").contains("canary"));
    }
}
