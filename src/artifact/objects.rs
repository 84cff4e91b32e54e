//! Object stores: what names one, and the connection that staging and saving share.
//!
//! ```text
//! s3://BUCKET/PREFIX ──Place::parse──▶ Place ──Connection::open──▶ put, head, get, copy, sign
//! ```
//!
//! Stores are behind cargo features (`s3`, `gcs`, `azure`), since their libraries cost as much compile time as the rest; a place whose
//! feature is missing is an error that says so. Credentials come from the environment that [`World`](crate::world::World) hands in, never
//! from the place: it is shown and written down.

#[cfg(feature = "object-stores")]
mod connection;

#[cfg(feature = "object-stores")]
pub(super) use self::connection::{Connection, PART, Use};

/// How the places of stores begin.
const SCHEMES: [&str; 3] = ["s3", "gs", "az"];

/// Says whether a text is meant as the place of a store rather than as a folder.
pub(super) fn is_store(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)))
}

/// Says why a place cannot be a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreProblem {
    /// It is a folder, where only a store will do.
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
    #[error("`{place}` cannot be a store: {why}")]
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

impl StoreProblem {
    /// Returns the place, without credentials.
    #[must_use]
    pub fn place(&self) -> &str {
        match self {
            Self::Folder { place }
            | Self::Unknown { place }
            | Self::Place { place, .. }
            | Self::Feature { place, .. }
            | Self::Credentials { place, .. }
            | Self::Setup { place, .. } => place,
        }
    }

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

/// The kinds of stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    S3,
    Gcs,
    Azure,
}

impl Kind {
    /// Returns the cargo feature, and whether this program was built with it.
    pub(super) fn feature(self) -> (&'static str, bool) {
        match self {
            Self::S3 => ("s3", cfg!(feature = "s3")),
            Self::Gcs => ("gcs", cfg!(feature = "gcs")),
            Self::Azure => ("azure", cfg!(feature = "azure")),
        }
    }
}

/// A place, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) kind: Kind,
    /// As given, without a slash at its end.
    pub(super) shown: String,
    /// The bucket, or container.
    pub(super) bucket: String,
    /// The parts below it.
    pub(super) prefix: Vec<String>,
}

impl Place {
    /// Takes a place apart.
    pub(super) fn parse(given: &str) -> Result<Self, StoreProblem> {
        let given = given.trim();
        let Some((scheme, rest)) = given.split_once("://") else {
            return Err(StoreProblem::Folder { place: given.to_owned() });
        };
        // What comes before an `@` or after a `?` may be a credential.
        let harmless = rest.split(['?', '#']).next().unwrap_or_default();
        let harmless = harmless.rsplit('@').next().unwrap_or_default().trim_end_matches('/');
        let shown = format!("{scheme}://{harmless}");
        let kind = match scheme.to_ascii_lowercase().as_str() {
            "s3" => Kind::S3,
            "gs" => Kind::Gcs,
            "az" => Kind::Azure,
            "file" => return Err(StoreProblem::Folder { place: shown }),
            _ => return Err(StoreProblem::Unknown { place: shown }),
        };
        let problem = |why: &str| StoreProblem::Place { place: shown.clone(), why: why.to_owned() };
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

    /// Returns the place, unless this program was built without its kind of store.
    pub(super) fn built_in(self) -> Result<Self, StoreProblem> {
        match self.kind.feature() {
            (_, true) => Ok(self),
            (feature, false) => Err(StoreProblem::Feature { place: self.shown, feature }),
        }
    }

    /// Says whether two places are in one bucket, so that the store itself can copy between them.
    #[cfg(feature = "object-stores")]
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        (self.kind, &self.bucket) == (other.kind, &other.bucket)
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
            ("s3://id:canary@b/x", "`s3://b/x` cannot be a store: credentials"),
            ("s3://b/x?secret=canary", "`s3://b/x` cannot be a store: credentials"),
        ] {
            let problem = Place::parse(given).expect_err(given);
            assert!(problem.to_string().contains(message), "{given}: {problem}");
            assert!(!format!("{problem:?}").contains("canary"), "{problem:?}");
            assert!(problem.help().is_some_and(|help| help.contains("s3://bucket/prefix")), "{given}");
        }
    }
}
