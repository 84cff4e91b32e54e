//! Staging: stores where local files are put so that an API can fetch them by URL.
//!
//! ```text
//! LocalFile + Digest ──put──▶ PREFIX/DIGEST.EXT in the store, once ──▶ a URL for a day, which anybody who has it can read
//! ```
//!
//! A file is named by its content, so that it is stored once however many steps and runs use it, and so that nothing that is there is
//! ever replaced by something else. The URL is a credential by itself: it is a [`Secret`] here, and what shows has no query.
//!
//! Stores are behind cargo features (`s3`, `gcs`, `azure`), since their libraries cost as much compile time as the rest; a place whose
//! feature is missing is an error that says so. Credentials come from the environment that [`World`] hands in.

#[cfg(feature = "object-stores")]
mod store;

use std::{fmt, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::ArtifactError;
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

/// Says why a place cannot be a staging store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StagingProblem {
    /// It is a folder.
    #[error("`{place}` is a folder, from which no API can fetch a file")]
    Folder {
        /// As given.
        place: String,
    },
    /// It is no store that Dagwood knows.
    #[error("`{place}` is not a store")]
    Unknown {
        /// Its harmless part.
        place: String,
    },
    /// The place is written wrongly.
    #[error("`{place}` cannot be a staging store: {why}")]
    Place {
        /// Its harmless part.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// This program was built without it.
    #[error("`{place}` cannot be used: this dagwood was built without the feature `{feature}`")]
    Feature {
        /// As given.
        place: String,
        /// The cargo feature.
        feature: &'static str,
    },
    /// The environment has no credentials for it.
    #[error("there are no credentials for `{place}` in the environment")]
    Credentials {
        /// As given.
        place: String,
        /// What to set.
        wanted: &'static str,
    },
    /// The library refused.
    #[error("failed to set up `{place}`: {why}")]
    Setup {
        /// As given.
        place: String,
        /// What it said.
        why: String,
    },
}

impl StagingProblem {
    /// Returns what a person can do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let stores = "name a store: `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`";
        Some(match self {
            Self::Folder { .. } | Self::Unknown { .. } => stores.to_owned(),
            Self::Place { .. } => "write it as `s3://bucket/prefix`".to_owned(),
            Self::Feature { feature, .. } => format!("build it with `cargo install dagwood --features {feature}`"),
            Self::Credentials { wanted, .. } => format!("set {wanted}"),
            Self::Setup { .. } => return None,
        })
    }
}

/// Opens a staging store; sends nothing. `place` is `SCHEME://BUCKET/PREFIX`.
///
/// # Errors
///
/// Where the place is no store, this program was built without it, or the environment has no credentials for it.
pub fn open(place: &str, world: &World) -> Result<Arc<dyn Staging>, StagingProblem> {
    let place = Place::parse(place)?;
    let (feature, is_built_in) = place.kind.feature();
    if !is_built_in {
        return Err(StagingProblem::Feature { place: place.shown, feature });
    }
    #[cfg(feature = "object-stores")]
    return Ok(Arc::new(store::Store::open(place, world)?));
    #[cfg(not(feature = "object-stores"))]
    unreachable!("without stores {world:?} has nowhere to put {place:?}")
}

/// The kinds of stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    S3,
    Gcs,
    Azure,
}

impl Kind {
    /// Returns the cargo feature, and whether this program was built with it.
    fn feature(self) -> (&'static str, bool) {
        match self {
            Self::S3 => ("s3", cfg!(feature = "s3")),
            Self::Gcs => ("gcs", cfg!(feature = "gcs")),
            Self::Azure => ("azure", cfg!(feature = "azure")),
        }
    }
}

/// A place, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    kind: Kind,
    /// As given, without a slash at its end.
    shown: String,
    /// The bucket, or container.
    bucket: String,
    /// The parts below it.
    prefix: Vec<String>,
}

impl Place {
    fn parse(given: &str) -> Result<Self, StagingProblem> {
        let given = given.trim();
        let Some((scheme, rest)) = given.split_once("://") else {
            return Err(StagingProblem::Folder { place: given.to_owned() });
        };
        // What comes before an `@` or after a `?` may be a credential.
        let harmless = rest.split(['?', '#']).next().unwrap_or_default();
        let harmless = harmless.rsplit('@').next().unwrap_or_default().trim_end_matches('/');
        let shown = format!("{scheme}://{harmless}");
        let kind = match scheme.to_ascii_lowercase().as_str() {
            "s3" => Kind::S3,
            "gs" => Kind::Gcs,
            "az" => Kind::Azure,
            "file" => return Err(StagingProblem::Folder { place: shown }),
            _ => return Err(StagingProblem::Unknown { place: shown }),
        };
        let problem = |why: &str| StagingProblem::Place { place: shown.clone(), why: why.to_owned() };
        if rest.trim_end_matches('/') != harmless {
            return Err(problem("credentials and options stand in the environment, not in it"));
        }
        let mut parts = harmless.split('/');
        let bucket = parts.next().unwrap_or_default();
        let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        if bucket.is_empty() || bucket.len() > 255 || !is_word(bucket) || bucket.starts_with('.') {
            return Err(problem("its bucket has no proper name"));
        }
        let prefix: Vec<_> = parts.map(ToOwned::to_owned).collect();
        if prefix.iter().any(|part| part.is_empty() || part == "." || part == "..") {
            return Err(problem("its prefix has an empty part, or a `.` or `..`"));
        }
        if harmless.len() > 512 || harmless.contains(char::is_control) {
            return Err(problem("its prefix is too long, or has control characters"));
        }
        Ok(Self { kind, bucket: bucket.to_owned(), prefix, shown })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_bucket_and_a_prefix() {
        for (given, kind, bucket, prefix) in [
            ("s3://my-bucket/some/prefix/", Kind::S3, "my-bucket", vec!["some", "prefix"]),
            ("gs://b.c_d", Kind::Gcs, "b.c_d", vec![]),
            (" AZ://container/a b ", Kind::Azure, "container", vec!["a b"]),
        ] {
            let place = Place::parse(given).expect(given);
            assert_eq!((place.kind, place.bucket.as_str()), (kind, bucket), "{given}");
            assert_eq!(place.prefix, prefix, "{given}");
        }
    }

    #[test]
    fn what_is_no_store_is_told_without_its_credentials() {
        for (given, message) in [
            ("some/dir", "is a folder"),
            ("", "is a folder"),
            ("C:\\files", "is a folder"),
            ("file:///srv/files", "`file:///srv/files` is a folder"),
            ("https://example.com/files", "`https://example.com/files` is not a store"),
            ("s3://", "proper name"),
            ("s3://../x", "proper name"),
            ("s3://b ucket", "proper name"),
            ("s3://b/../x", "`..`"),
            ("s3://b//x", "empty part"),
            ("s3://id:canary@b/x", "`s3://b/x` cannot be a staging store: credentials"),
            ("s3://b/x?secret=canary", "`s3://b/x` cannot be a staging store: credentials"),
        ] {
            let problem = Place::parse(given).expect_err(given);
            assert!(problem.to_string().contains(message), "{given}: {problem}");
            assert!(!format!("{problem:?}").contains("canary"), "{problem:?}");
            assert!(problem.help().is_some_and(|help| help.contains("s3://bucket/prefix")), "{given}");
        }
    }

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
