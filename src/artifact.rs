//! Saving what comes out: downloads and texts become files under the run's artifact root, whole or not at all.
//!
//! ```text
//! Content ──Downloader::open──▶ Opened (content type known) ──the caller renders the path──▶ safe_path ──Store::save──▶ SavedFile
//! ```
//!
//! Two steps, since a path may hold `{{ ext }}`, which only the answer's headers tell. Nothing here knows of workflows, and nothing
//! here retries: [`ArtifactError::is_transient`] says whether it is worth another try.
//!
//! What must stay true: downloads carry no API key, ever, to whatever host an API's answer points or redirects; what a server says
//! about file names (`Content-Disposition`) is not read; sizes are bounded while streaming; a file shows up under its name only
//! when all of it is on disk.
//!
//! The other way, what goes in, is [`local`] (files of this machine, looked at before they are handed over) and [`staging`] (stores
//! from which APIs fetch them).

mod data;
pub mod local;
mod path;
pub mod staging;
mod store;

use std::{io, path::PathBuf, time::Duration};

use bytes::{Bytes, BytesMut};
use reqwest::{Response, StatusCode, Url, header::CONTENT_TYPE, redirect};
use tokio::io::AsyncReadExt as _;

pub use self::{
    path::{LONGEST_PATH, PathProblem, RelativePath, extension, safe_path},
    store::{MANIFEST, Manifest, ManifestFile, SIZE_LIMIT, Store},
};
use crate::{
    provider::http::{CONNECT_TIMEOUT, ClientProblem, Peers, build, builder, cause},
    world::World,
};

/// How long a download may go without a byte, from the request on.
pub const STALL_TIMEOUT: Duration = Duration::from_mins(1);

/// How many bytes must come within [`STALL_TIMEOUT`], unless the end does: about a kilobyte a second. Who sends a byte a minute would
/// otherwise hold a run for longer than anybody waits.
const LEAST: usize = 64 * 1024;

/// How many redirects a download follows, whatever the hosts.
pub const MOST_REDIRECTS: usize = 10;

/// The media type of what does not say its own.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// What is to be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// What is at this URL, or in it: `data:` URLs are how AIMP answers raw bytes.
    Url(String),
    /// This text.
    Text(String),
    /// What an earlier run saved from a URL.
    File {
        /// The file.
        path: PathBuf,
        /// Where it came from.
        url: String,
        /// Its media type.
        content_type: String,
    },
}

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
    /// The staging store did not do what was asked.
    #[error("failed to {what} in `{place}`: {why}")]
    Staging {
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
    #[error("failed to save `{path}`: there is already another file")]
    Exists {
        /// Where it was to be saved.
        path: String,
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
        matches!(self, Self::Download { transient: true, .. } | Self::Staging { transient: true, .. })
    }
}

/// Fetches what outputs point to, as a stranger: without credentials.
#[derive(Clone, Debug)]
pub struct Downloader {
    client: reqwest::Client,
    stall: Duration,
}

impl Downloader {
    /// Builds a downloader that obeys the environment's proxy.
    ///
    /// # Errors
    ///
    /// Where the proxy cannot be used.
    pub fn new(world: &World) -> Result<Self, ClientProblem> {
        let client = builder(world, Peers::Public)?
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::limited(MOST_REDIRECTS));
        Ok(Self { client: build(client)?, stall: STALL_TIMEOUT })
    }

    /// Returns the same downloader with another limit for silence.
    #[must_use]
    pub fn with_stall_timeout(mut self, stall: Duration) -> Self {
        self.stall = stall;
        self
    }

    /// Begins a download, up to its headers; a text is there already.
    ///
    /// # Errors
    ///
    /// Where the content is no URL, or its server does not give it.
    pub async fn open(&self, content: &Content) -> Result<Opened, ArtifactError> {
        let given = match content {
            Content::Text(text) => {
                return Ok(Opened::ready("text/plain".to_owned(), Bytes::from(text.clone())));
            }
            Content::File { path, url, content_type } => {
                let file = tokio::fs::File::open(path).await;
                let file = file.map_err(|source| ArtifactError::File { path: path.display().to_string(), source })?;
                return Ok(Opened {
                    content_type: content_type.clone(),
                    ext: extension(content_type, path.to_str().unwrap_or_default()),
                    url: Some(url.clone()),
                    body: Body::File { file, shown: path.display().to_string() },
                });
            }
            Content::Url(given) => given,
        };
        let wrong = |why: &str| {
            // Of a `data:` URL the beginning is enough to know it, and the rest may be private.
            let most = if data::is(given) { 40 } else { 100 };
            let url = given.chars().take(most).flat_map(char::escape_debug).collect();
            ArtifactError::Url { url, why: why.to_owned() }
        };
        if data::is(given) {
            let (declared, bytes) = data::read(given).map_err(wrong)?;
            return Ok(Opened::ready(media_type(declared), bytes.into()));
        }
        let url = Url::parse(given).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| wrong("it is not an http, https or data URL"))?;
        let shown = shown(&url);
        let fail = |why, transient| ArtifactError::Download { url: shown.clone(), why, transient };
        let sent = tokio::time::timeout(self.stall, self.client.get(url.clone()).send()).await;
        let response = match sent {
            Err(_) => return Err(fail(format!("no answer within {} s", self.stall.as_secs_f64()), true)),
            Ok(Err(error)) => {
                let transient = !(error.is_redirect() || error.is_builder());
                return Err(fail(cause(&error.without_url()), transient));
            }
            Ok(Ok(response)) => response,
        };
        let status = response.status();
        if !status.is_success() {
            let again = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
            return Err(fail(format!("answered {status}"), status.is_server_error() || again.contains(&status)));
        }
        let declared = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = media_type(declared.unwrap_or_default());
        let ext = extension(&content_type, url.path());
        Ok(Opened {
            content_type,
            ext,
            url: Some(given.clone()),
            body: Body::Download { response, shown, stall: self.stall },
        })
    }
}

/// Something whose type is known and whose bytes are yet to come.
#[derive(Debug)]
pub struct Opened {
    content_type: String,
    ext: String,
    url: Option<String>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// All of it.
    Ready(Option<Bytes>),
    Download {
        response: Response,
        shown: String,
        stall: Duration,
    },
    File {
        file: tokio::fs::File,
        shown: String,
    },
}

impl Opened {
    /// Builds what is there already. It has no URL: that of a `data:` URL would put all of it into every record of the file.
    fn ready(content_type: String, bytes: Bytes) -> Self {
        let ext = extension(&content_type, "");
        Self { content_type, ext, url: None, body: Body::Ready(Some(bytes)) }
    }

    /// Returns the media type, in lower case, without parameters.
    #[must_use]
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// Returns the extension for file names, without a dot.
    #[must_use]
    pub fn ext(&self) -> &str {
        &self.ext
    }

    /// Returns how many bytes are announced, where they are.
    fn announced(&self) -> Option<u64> {
        match &self.body {
            Body::Ready(bytes) => bytes.as_ref().map(|bytes| bytes.len() as u64),
            Body::Download { response, .. } => response.content_length(),
            Body::File { .. } => None,
        }
    }

    /// Returns the next bytes, none at the end; as many as the sender is fast, and few only at the end.
    async fn chunk(&mut self) -> Result<Option<Bytes>, ArtifactError> {
        let (response, shown, stall) = match &mut self.body {
            Body::Ready(bytes) => return Ok(bytes.take()),
            Body::File { file, shown } => {
                let mut bytes = BytesMut::with_capacity(LEAST);
                let read = file.read_buf(&mut bytes).await;
                read.map_err(|source| ArtifactError::File { path: shown.clone(), source })?;
                return Ok(Some(bytes.freeze()).filter(|bytes| !bytes.is_empty()));
            }
            Body::Download { response, shown, stall } => (response, shown, *stall),
        };
        let mut bytes = BytesMut::new();
        let enough = async {
            while bytes.len() < LEAST {
                match response.chunk().await? {
                    Some(chunk) if bytes.is_empty() && chunk.len() >= LEAST => return Ok(Some(chunk)),
                    Some(chunk) => bytes.extend_from_slice(&chunk),
                    None => break,
                }
            }
            Ok::<_, reqwest::Error>(Some(bytes.split().freeze()).filter(|bytes| !bytes.is_empty()))
        };
        let why = match tokio::time::timeout(stall, enough).await {
            Ok(Ok(chunk)) => return Ok(chunk),
            Ok(Err(error)) => format!("it broke off: {}", cause(&error.without_url())),
            Err(_) if bytes.is_empty() => format!("nothing came for {} s", stall.as_secs_f64()),
            Err(_) => format!("only {} bytes came in {} s", bytes.len(), stall.as_secs_f64()),
        };
        Err(ArtifactError::Download { url: shown.clone(), why, transient: true })
    }
}

/// Returns a URL for messages: without what may be a credential, a query's signature or a user name.
fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

/// Returns a media type without parameters, in lower case; anything that is none becomes the unknown one.
fn media_type(declared: &str) -> String {
    let bare = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    match bare.split_once('/') {
        Some((kind, subtype)) if is_token(kind) && is_token(subtype) => bare,
        _ => UNKNOWN_TYPE.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_lose_their_parameters() {
        assert_eq!(media_type("Image/PNG; charset=binary"), "image/png");
        assert_eq!(media_type("image/svg+xml"), "image/svg+xml");
        for odd in ["", "png", "a/b/c", "image/../x", "text/ht ml"] {
            assert_eq!(media_type(odd), UNKNOWN_TYPE, "{odd}");
        }
    }

    #[test]
    fn shown_urls_hold_no_credentials() {
        let url = Url::parse("https://user:canary@example.com/a.png?signature=canary#canary").expect("a URL");
        assert_eq!(shown(&url), "https://example.com/a.png");
    }
}
