//! Downloads, and what else becomes a file: opened up to the headers, then read in pieces.
//!
//! A download that breaks off goes on where it stopped. The server is asked for the rest of the very same thing (`Range` with
//! `If-Range`), which takes something that tells one version from another: a strong `ETag`, or a `Last-Modified` that is old enough.
//! Whatever it answers that is not plainly the rest means the whole anew. What must stay true:
//!
//! - Pieces of two versions are never put together: a rest counts only where its beginning, its whole length and its `ETag` fit.
//! - What has been read is read once: the caller keeps it, or is told that it starts anew.

use std::{path::PathBuf, time::Duration};

use bytes::{Bytes, BytesMut};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimeParser};
use reqwest::{
    Response, StatusCode, Url,
    header::{
        ACCEPT_RANGES, CONTENT_RANGE, CONTENT_TYPE, DATE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_RANGE,
        LAST_MODIFIED, RANGE,
    },
    redirect,
};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::{ArtifactError, data, extension, root::Root, safe_path, shown};
use crate::{
    provider::http::{CONNECT_TIMEOUT, ClientProblem, Peers, build, builder, cause},
    result::SavedFile,
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

/// The bytes of a `Last-Modified` may still change within the second that it names (RFC 9110, section 8.8.2.2).
const SETTLED: SignedDuration = SignedDuration::from_secs(1);

/// What is to be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// What is at this URL, or in it: `data:` URLs are how AIMP answers raw bytes.
    Url(String),
    /// This text.
    Text(String),
    /// What an earlier run saved.
    Earlier(Earlier),
}

/// A file that an earlier run saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// That run's own root.
    pub root: Root,
    /// The file, as that run recorded it.
    pub file: SavedFile,
}

impl Earlier {
    /// Returns where the file lies, where that is on this machine.
    #[must_use]
    pub fn path(&self) -> Option<PathBuf> {
        let path = safe_path(&self.file.path).ok()?;
        self.root.folder().map(|folder| folder.join(path.as_str()))
    }

    /// Returns that the file cannot be had, and why.
    pub(super) fn gone(&self, why: impl Into<String>) -> ArtifactError {
        ArtifactError::Gone { path: self.file.path.clone(), place: self.root.to_string(), why: why.into() }
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
            Content::Earlier(earlier) => return Opened::earlier(earlier).await,
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
        let source = Source { client: self.client.clone(), shown: shown(&url), url, stall: self.stall };
        let response = source.whole().await?;
        let mut opened = Opened {
            content_type: String::new(),
            ext: String::new(),
            url: Some(given.clone()),
            body: Body::Download(Box::new(Download::of(source, response))),
        };
        opened.look_at_headers();
        Ok(opened)
    }
}

/// Where a download comes from.
#[derive(Clone, Debug)]
struct Source {
    client: reqwest::Client,
    url: Url,
    /// The URL for messages.
    shown: String,
    stall: Duration,
}

impl Source {
    fn failed(&self, why: String, transient: bool) -> ArtifactError {
        ArtifactError::Download { url: self.shown.clone(), why, transient }
    }

    /// Sends a request with these headers; an answer is one whatever its status.
    async fn ask(&self, headers: HeaderMap) -> Result<Response, ArtifactError> {
        let sent = self.client.get(self.url.clone()).headers(headers).send();
        match tokio::time::timeout(self.stall, sent).await {
            Err(_) => Err(self.failed(format!("no answer within {} s", self.stall.as_secs_f64()), true)),
            Ok(Err(error)) => {
                let transient = !(error.is_redirect() || error.is_builder());
                Err(self.failed(cause(&error.without_url()), transient))
            }
            Ok(Ok(response)) => Ok(response),
        }
    }

    /// Asks for all of it.
    async fn whole(&self) -> Result<Response, ArtifactError> {
        let response = self.ask(HeaderMap::new()).await?;
        match refusal(response.status()) {
            Some(transient) => Err(self.failed(format!("answered {}", response.status()), transient)),
            None => Ok(response),
        }
    }
}

/// Says whether a status gives nothing, and then whether another try may fare better.
fn refusal(status: StatusCode) -> Option<bool> {
    let again = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    (!status.is_success()).then(|| status.is_server_error() || again.contains(&status))
}

/// How a download goes on that broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onward {
    /// Where it stopped: what was read of it stays.
    Continued,
    /// From its beginning: what was read of it is void.
    Anew,
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
    /// All of it, and whether it was read.
    Ready(Bytes, bool),
    Download(Box<Download>),
    File {
        file: tokio::fs::File,
        shown: String,
    },
    /// What lies in an object store: its bytes need not come this way.
    Kept(Earlier),
}

#[derive(Debug)]
struct Download {
    source: Source,
    response: Response,
    /// How many bytes were read of it, over all answers.
    read: u64,
    /// How many there are, where that is known.
    total: Option<u64>,
    /// What tells this version of it from another, where anything does.
    version: Option<HeaderValue>,
    /// Why it broke off, to be told once what came before is read.
    broken: Option<String>,
}

impl Download {
    fn of(source: Source, response: Response) -> Self {
        let (total, version) = (response.content_length(), version(response.headers()));
        Self { source, response, read: 0, total, version, broken: None }
    }

    /// Returns the next bytes, none at the end.
    async fn chunk(&mut self) -> Result<Option<Bytes>, ArtifactError> {
        if let Some(why) = self.broken.clone() {
            return Err(self.source.failed(why, true));
        }
        let (response, stall) = (&mut self.response, self.source.stall);
        let mut bytes = BytesMut::new();
        let enough = async {
            while bytes.len() < LEAST {
                match response.chunk().await? {
                    Some(chunk) => bytes.extend_from_slice(&chunk),
                    None => return Ok(true),
                }
            }
            Ok::<_, reqwest::Error>(false)
        };
        let ended = tokio::time::timeout(stall, enough).await;
        let came = self.read + bytes.len() as u64;
        let why = match ended {
            // A rest may be shorter than what was asked for.
            Ok(Ok(true)) if self.total.is_some_and(|total| came < total) => {
                Some(format!("it broke off: it ended after {came} bytes"))
            }
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(format!("it broke off: {}", cause(&error.without_url()))),
            Err(_) if bytes.is_empty() => Some(format!("nothing came for {} s", stall.as_secs_f64())),
            Err(_) => Some(format!("only {} bytes came in {} s", bytes.len(), stall.as_secs_f64())),
        };
        self.broken.clone_from(&why);
        self.read = came;
        match why {
            Some(why) if bytes.is_empty() => Err(self.source.failed(why, true)),
            _ => Ok(Some(bytes.freeze()).filter(|bytes| !bytes.is_empty())),
        }
    }

    /// Asks for the rest, or for all of it where there is no rest to be had.
    async fn go_on(&mut self) -> Result<Onward, ArtifactError> {
        if let Some(version) = self.version.clone().filter(|_| self.read > 0) {
            let from = HeaderValue::try_from(format!("bytes={}-", self.read)).expect("digits are a header");
            let response = self.source.ask(HeaderMap::from_iter([(RANGE, from), (IF_RANGE, version)])).await?;
            let status = response.status();
            if status == StatusCode::PARTIAL_CONTENT && self.is_rest(response.headers()) {
                self.response = response;
                self.broken = None;
                return Ok(Onward::Continued);
            }
            match refusal(status) {
                Some(true) => return Err(self.source.failed(format!("answered {status}"), true)),
                // It changed, or the server knows no ranges: this is all of it.
                None if status != StatusCode::PARTIAL_CONTENT => {
                    *self = Self::of(self.source.clone(), response);
                    return Ok(Onward::Anew);
                }
                _ => {}
            }
        }
        self.start_anew().await.map(|()| Onward::Anew)
    }

    async fn start_anew(&mut self) -> Result<(), ArtifactError> {
        let response = self.source.whole().await?;
        *self = Self::of(self.source.clone(), response);
        Ok(())
    }

    /// Says whether an answer is the rest of what was read.
    fn is_rest(&mut self, headers: &HeaderMap) -> bool {
        let Some((first, total)) = text(headers, &CONTENT_RANGE).and_then(range) else { return false };
        if first != self.read || matches!((self.total, total), (Some(known), Some(told)) if known != told) {
            return false;
        }
        // A server that does not know `If-Range` sends the rest of whatever is there.
        if headers.contains_key(ETAG)
            && etag(headers).as_ref() != self.version.as_ref().filter(|version| is_etag(version))
        {
            return false;
        }
        let modified =
            headers.get(LAST_MODIFIED).filter(|_| self.version.as_ref().is_some_and(|version| !is_etag(version)));
        if modified.is_some() && modified != self.version.as_ref() {
            return false;
        }
        self.total = self.total.or(total);
        true
    }
}

/// Returns what tells this version from another, where a range of it may be asked for.
fn version(headers: &HeaderMap) -> Option<HeaderValue> {
    if text(headers, &ACCEPT_RANGES).is_some_and(|unit| unit.eq_ignore_ascii_case("none")) {
        return None;
    }
    etag(headers).or_else(|| {
        let modified = headers.get(LAST_MODIFIED)?;
        let (at, now) = (date(modified.to_str().ok()?)?, date(text(headers, &DATE)?)?);
        (now.duration_since(at) >= SETTLED).then(|| modified.clone())
    })
}

/// Returns the tag of what is byte for byte the same.
fn etag(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(ETAG).filter(|tag| is_etag(tag)).cloned()
}

fn is_etag(value: &HeaderValue) -> bool {
    value.as_bytes().starts_with(b"\"")
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn date(text: &str) -> Option<Timestamp> {
    static PARSER: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);
    PARSER.parse_timestamp(text).ok()
}

/// Reads `Content-Range`: where the bytes begin, and how many there are in all, where that is told.
fn range(text: &str) -> Option<(u64, Option<u64>)> {
    let (unit, rest) = text.split_once(' ')?;
    let (span, total) = rest.split_once('/')?;
    let (first, last) = span.split_once('-')?;
    let (first, last) = (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?);
    let total = if total == "*" { None } else { Some(total.parse::<u64>().ok()?) };
    let fits = unit.eq_ignore_ascii_case("bytes") && first <= last && total.is_none_or(|total| last < total);
    fits.then_some((first, total))
}

impl Opened {
    /// Builds what is there already. It has no URL: that of a `data:` URL would put all of it into every record of the file.
    fn ready(content_type: String, bytes: Bytes) -> Self {
        let ext = extension(&content_type, "");
        Self { content_type, ext, url: None, body: Body::Ready(bytes, false) }
    }

    /// Opens a file of an earlier run.
    pub(super) async fn earlier(earlier: &Earlier) -> Result<Self, ArtifactError> {
        let SavedFile { path, url, content_type, .. } = &earlier.file;
        let body = match (&earlier.root, earlier.path()) {
            (Root::Objects(_), _) => Body::Kept(earlier.clone()),
            (Root::Folder(_), None) => return Err(earlier.gone("its path leads elsewhere")),
            (Root::Folder(_), Some(path)) => {
                let file = tokio::fs::File::open(&path).await;
                let file = file.map_err(|error| earlier.gone(error.to_string()))?;
                Body::File { file, shown: path.display().to_string() }
            }
        };
        Ok(Self { content_type: content_type.clone(), ext: extension(content_type, path), url: url.clone(), body })
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

    /// Returns the URL that it is from; none for what was there already.
    pub(super) fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// Returns how many bytes are announced, where they are.
    pub(super) fn announced(&self) -> Option<u64> {
        match &self.body {
            Body::Ready(bytes, _) => Some(bytes.len() as u64),
            Body::Download(download) => download.total,
            Body::File { .. } => None,
            Body::Kept(earlier) => Some(earlier.file.bytes),
        }
    }

    /// Returns the file of an earlier run in an object store, where it is one.
    pub(super) fn kept(&self) -> Option<&Earlier> {
        match &self.body {
            Body::Kept(earlier) => Some(earlier),
            _ => None,
        }
    }

    /// Returns the next bytes, none at the end; as many as the sender is fast, and few only at the end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, ArtifactError> {
        match &mut self.body {
            Body::Ready(_, true) => Ok(None),
            Body::Ready(bytes, read) => {
                *read = true;
                Ok(Some(bytes.clone()))
            }
            Body::Download(download) => download.chunk().await,
            Body::File { file, shown } => {
                let mut bytes = BytesMut::with_capacity(LEAST);
                let read = file.read_buf(&mut bytes).await;
                read.map_err(|source| ArtifactError::File { path: shown.clone(), source })?;
                Ok(Some(bytes.freeze()).filter(|bytes| !bytes.is_empty()))
            }
            Body::Kept(earlier) => Err(earlier.gone("it lies in another store than this run saves to")),
        }
    }

    /// Goes on after what was read broke off, where it stopped or from the beginning.
    ///
    /// # Errors
    ///
    /// Where its server does not give it.
    pub async fn go_on(&mut self) -> Result<Onward, ArtifactError> {
        let Body::Download(download) = &mut self.body else {
            return self.start_anew().await.map(|()| Onward::Anew);
        };
        let onward = download.go_on().await?;
        if onward == Onward::Anew {
            self.look_at_headers();
        }
        Ok(onward)
    }

    /// Starts from the beginning, whatever was read.
    ///
    /// # Errors
    ///
    /// Where its server does not give it, or the file cannot be read.
    pub async fn start_anew(&mut self) -> Result<(), ArtifactError> {
        match &mut self.body {
            Body::Ready(_, read) => *read = false,
            Body::File { file, shown } => {
                let begun = file.rewind().await;
                begun.map_err(|source| ArtifactError::File { path: shown.clone(), source })?;
            }
            Body::Kept(_) => {}
            Body::Download(download) => download.start_anew().await?,
        }
        self.look_at_headers();
        Ok(())
    }

    /// Takes the type from the headers of a download.
    fn look_at_headers(&mut self) {
        let Body::Download(download) = &self.body else { return };
        let declared = text(download.response.headers(), &CONTENT_TYPE);
        self.content_type = media_type(declared.unwrap_or_default());
        self.ext = extension(&self.content_type, download.source.url.path());
    }
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
    fn only_what_tells_versions_apart_lets_a_download_go_on() {
        let headers = |pairs: &[(HeaderName, &'static str)]| -> HeaderMap {
            pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
        };
        let (early, late) = ("Fri, 02 Jan 2026 03:04:05 GMT", "Fri, 02 Jan 2026 03:04:06 GMT");
        for (pairs, expected) in [
            (vec![(ETAG, "\"a\"")], Some("\"a\"")),
            (vec![(ETAG, "\"a\""), (ACCEPT_RANGES, "bytes"), (LAST_MODIFIED, early)], Some("\"a\"")),
            (vec![(ETAG, "\"a\""), (ACCEPT_RANGES, "none")], None),
            (vec![(ETAG, "W/\"a\"")], None),
            (vec![(ETAG, "W/\"a\""), (LAST_MODIFIED, early), (DATE, late)], Some(early)),
            (vec![(LAST_MODIFIED, early), (DATE, early)], None),
            (vec![(LAST_MODIFIED, early)], None),
            (vec![(LAST_MODIFIED, "yesterday"), (DATE, late)], None),
            (vec![(ACCEPT_RANGES, "bytes")], None),
        ] {
            let version = version(&headers(&pairs));
            assert_eq!(version.as_ref().and_then(|value| value.to_str().ok()), expected, "{pairs:?}");
        }
    }

    #[test]
    fn a_content_range_is_read_whole_or_not_at_all() {
        assert_eq!(range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(range("Bytes 5-9/*"), Some((5, None)));
        for odd in [
            "",
            "bytes",
            "bytes 5-",
            "bytes 5-9",
            "bytes 9-5/10",
            "bytes 5-10/10",
            "bytes -5/10",
            "bytes */10",
            "lines 5-9/10",
        ] {
            assert_eq!(range(odd), None, "{odd}");
        }
    }
}
