//! Saving what comes out: downloads and texts become files under the run's artifact root, whole or not at all.
//!
//! ```text
//! Content ──Downloader::open──▶ Opened (content type known) ──the caller renders the path──▶ safe_path ──Store::save──▶ SavedFile
//!                                  ▲ └─ it breaks off ─▶ Opened::go_on: where it stopped, or anew ─┐
//!                                  └───────────────────────────────────────────────────────────────┘
//! ```
//!
//! Two steps, since a path may hold `{{ ext }}`, which only the answer's headers tell. A [`Root`] is a folder or a prefix in an object
//! store, and [`Store`] is one run's part of it. Nothing here knows of workflows, and nothing here decides to try again:
//! [`ArtifactError::is_transient`] says whether it is worth it.
//!
//! What must stay true: downloads carry no API key, ever, to whatever host an API's answer points or redirects; what a server says
//! about file names (`Content-Disposition`) is not read; sizes are bounded while streaming; a file shows up under its name only
//! when all of it is there, and takes no name from a file that this step of this run did not write.
//!
//! The other way, what goes in, is [`local`] (files of this machine, looked at before they are handed over) and [`staging`] (stores
//! from which APIs fetch them).

mod data;
mod download;
mod extension;
pub mod local;
mod objects;
mod root;
pub mod staging;
mod store;

use std::io;

use reqwest::Url;

pub use self::{
    download::{Content, Downloader, Earlier, MOST_REDIRECTS, Onward, Opened, STALL_TIMEOUT},
    extension::extension,
    objects::StoreProblem,
    root::Root,
    store::{Manifest, ManifestFile, SIZE_LIMIT, Saving, Store},
};
pub use crate::path::{LONGEST_PATH, MANIFEST, PathProblem, RelativePath, safe_path};

/// Says why something could not be saved.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The API gave something else than a URL.
    #[error("failed to download `{url}`: {why}")]
    Url {
        /// As given, shortened.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The local file cannot be handed over.
    #[error(transparent)]
    Local(#[from] local::LocalProblem),
    /// The object store did not do what was asked.
    #[error("failed to {what} in `{place}`: {why}")]
    Store {
        /// The store, without credentials.
        place: String,
        /// What was tried.
        what: String,
        /// What happened, in the store's words where it gave any.
        why: String,
        /// Whether another try may fare better.
        transient: bool,
    },
    /// The server did not give it.
    #[error("failed to download `{url}`: {why}")]
    Download {
        /// Where it should have come from, without query.
        url: String,
        /// What happened.
        why: String,
        /// Whether another try may fare better.
        transient: bool,
    },
    /// More bytes than are allowed.
    #[error("failed to save `{path}`: it is larger than {limit} bytes")]
    TooLarge {
        /// Where it was to be saved.
        path: String,
        /// The bound.
        limit: u64,
    },
    /// The disk has no room.
    #[error("failed to save `{path}`: the disk is full")]
    DiskFull {
        /// Where it was to be saved.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is a file that this run did not write.
    #[error("failed to save `{path}`: there is already another file, which this run did not write")]
    Exists {
        /// Where it was to be saved.
        path: String,
    },
    /// Another step of this run saves there.
    #[error("failed to save `{path}` for `{step}`: `{other}` of this run saves there")]
    Taken {
        /// Where it was to be saved.
        path: String,
        /// The step that wants the path.
        step: String,
        /// The step that has it.
        other: String,
    },
    /// What an earlier run saved cannot be had any more.
    #[error("failed to copy `{path}` from `{place}`: {why}")]
    Gone {
        /// The file, below its run's root.
        path: String,
        /// Where it should be.
        place: String,
        /// What is the matter.
        why: String,
    },
    /// On the way to the file there is something else than a folder.
    #[error("failed to save `{path}`: `{part}` is {what}, and nothing is saved through it")]
    NotAFolder {
        /// Where it was to be saved.
        path: String,
        /// The part that is not a folder.
        part: String,
        /// What it is, with its article.
        what: &'static str,
    },
    /// The file system refused.
    #[error("failed to save `{path}`: {source}")]
    File {
        /// Where it was to be saved.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl ArtifactError {
    /// Says whether the same may succeed when tried again by itself.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Download { transient: true, .. } | Self::Store { transient: true, .. })
    }
}

/// Returns a URL for messages: without what may be a credential, a query's signature or a user name.
fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_urls_hold_no_credentials() {
        let url = Url::parse("https://user:canary@example.com/a.png?signature=canary#canary").expect("a URL");
        assert_eq!(shown(&url), "https://example.com/a.png");
    }
}
