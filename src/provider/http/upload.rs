//! Sending a file's bytes to where an API says: often another host, such as a storage with signed URLs.
//!
//! ```text
//! destination (from the API) ──judged──▶ one request without any credential ──▶ taken, or a fault
//! ```
//!
//! It is apart from the API's own client so that the key cannot leave by this door: the clients built here know no credential,
//! follow no redirect and take none of the headers that would carry one, even where the bytes go to the API's own host. What must
//! stay true besides:
//!
//! - The length is told and the file streams from the disk: storages refuse chunked encoding, and files are larger than memory.
//! - Bytes leave over https only, or in the clear on this machine, where the API itself is.
//! - What the destination says is bounded, in number and size, and messages name its host only: a signed URL is a credential.

use std::{fmt::Write as _, io, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use reqwest::{
    Body, Method, StatusCode, Url,
    header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, Take},
};

use super::{
    CONNECT_TIMEOUT, ClientProblem, ERROR_BODY_LIMIT, Exchange, Heads, Peers, base_url, body, bounded, build, builder,
    is_loopback, one_line,
};
use crate::{
    job::{Fault, FaultKind},
    provider::LocalFile,
    secret::Redactor,
    world::World,
};

/// The most headers, and form fields, that a destination may ask for. Signed forms of the known storages have about ten.
pub(crate) const MOST_PARTS: usize = 32;

/// The most bytes of one of their values; a signed policy has about two thousand.
const LONGEST_VALUE: usize = 16 * 1024;

/// What sending takes at most, beside the time that the bytes need.
const BASE_TIMEOUT: Duration = Duration::from_mins(2);

/// How many bytes a second are expected at least: a slow uplink has this several times over.
const SLOWEST: u64 = 32 * 1024;

/// How many bytes are read from the file at once.
const CHUNK: u64 = 64 * 1024;

/// Headers that a destination cannot ask for: those that carry credentials, and those that say how the message is framed and where
/// it goes, which are ours to say.
const NOT_TO_BE_SET: [&str; 14] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "x-api-key",
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "proxy-connection",
];

/// Where bytes are to go, as the API said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Destination {
    /// A URL, or one relative to the API's base.
    pub(crate) url: String,
    /// The method, where one is named; else PUT, or POST for a form.
    pub(crate) method: Option<String>,
    /// The headers to send.
    pub(crate) headers: Vec<(String, String)>,
    /// The fields of a form, where the bytes are to be sent as one.
    pub(crate) fields: Option<Vec<(String, String)>>,
}

/// Sends files to destinations that one API names.
#[derive(Clone, Debug)]
pub(crate) struct Uploader {
    base: Url,
    allow_http: bool,
    redactor: Redactor,
    world: World,
}

/// A destination that was judged.
struct Way {
    url: Url,
    method: Method,
    headers: HeaderMap,
    /// What the destination asked for and does not get.
    refused: Vec<String>,
    form: Option<Form>,
}

/// What stands around the bytes in a form.
struct Form {
    content_type: String,
    before: Bytes,
    after: Bytes,
}

impl Uploader {
    /// Builds an uploader for what an API with this base URL names; sends nothing.
    pub(crate) fn new(base: &str, allow_http: bool, redactor: Redactor, world: World) -> Result<Self, ClientProblem> {
        let mut base = base_url(base, allow_http)?;
        // A path without a slash in front is relative to the base, which is a folder.
        base.path_segments_mut().expect("a base URL is http or https").pop_if_empty().push("");
        Ok(Self { base, allow_http, redactor, world })
    }

    /// Sends a file. One that is refused with a 405 which allows POST is sent once more so.
    pub(crate) async fn send(&self, destination: &Destination, file: &LocalFile) -> Result<(), Fault> {
        let mut way = self.judge(destination, file)?;
        match self.once(&way, file).await {
            Err((_, true)) if way.method != Method::POST => {
                way.method = Method::POST;
                self.once(&way, file).await.map_err(|(fault, _)| fault)
            }
            other => other.map_err(|(fault, _)| fault),
        }
    }

    /// Sends the bytes once; says of a refusal whether POST would be taken.
    async fn once(&self, way: &Way, file: &LocalFile) -> Result<(), (Fault, bool)> {
        let host = way.url.host_str().unwrap_or_default().to_owned();
        // A path can be a secret as much as a query.
        let path = format!("the upload URL at {host}");
        let exchange = Exchange { host, path, ..Exchange::new(way.method.clone(), &way.url) };
        let limit = BASE_TIMEOUT + Duration::from_secs(file.bytes / SLOWEST);
        let mut allows_post = false;
        let sent = async {
            let request = self.request(way, file).await?;
            let mut response = request.send().await.map_err(|error| exchange.transport(error))?;
            let status = response.status();
            if status.is_success() {
                return Ok(());
            }
            let allowed = response.headers().get(ALLOW).and_then(|methods| methods.to_str().ok()).unwrap_or_default();
            allows_post = status == StatusCode::METHOD_NOT_ALLOWED
                && allowed.split(',').any(|method| method.trim().eq_ignore_ascii_case("POST"));
            let retry_after = Heads::read(response.headers(), &self.world).retry_after;
            let headers = response.headers().clone();
            let (body, _) = body::read(&mut response, ERROR_BODY_LIMIT).await;
            let mut fault = exchange.refusal(status, &headers, &body, retry_after);
            if !way.refused.is_empty() {
                let _ = write!(
                    fault.message,
                    " (left out of what the API asked to send: the {} `{}`)",
                    if way.refused.len() == 1 { "header" } else { "headers" },
                    way.refused.join("`, `")
                );
            }
            Err(fault)
        };
        let result = tokio::time::timeout(limit, sent).await.unwrap_or_else(|_| {
            Err(exchange.fault(FaultKind::Timeout, &format!("gave no answer within {} s", limit.as_secs())))
        });
        result.map_err(|mut fault| {
            fault.message = bounded(self.redactor.text(fault.message));
            (fault, allows_post)
        })
    }

    /// Builds the request, on a connection of its own.
    async fn request(&self, way: &Way, file: &LocalFile) -> Result<reqwest::RequestBuilder, Fault> {
        let unreadable = |error: &io::Error| {
            let message = format!("failed to read `{}` for its upload: {error}", file.path.display());
            Fault::new(FaultKind::Rejected, message)
        };
        let opened = File::open(&file.path).await.map_err(|error| unreadable(&error))?;
        let length = opened.metadata().await.map_err(|error| unreadable(&error))?.len();
        if length != file.bytes {
            let message = format!("`{}` has {length} bytes now, and had {}", file.path.display(), file.bytes);
            return Err(Fault::new(FaultKind::Rejected, message));
        }
        let (before, after) =
            way.form.as_ref().map_or_else(Default::default, |form| (form.before.clone(), form.after.clone()));
        let whole = before.len() as u64 + length + after.len() as u64;
        let peers = if way.url.scheme() == "https" { Peers::Public } else { Peers::Plain };
        let client = builder(&self.world, peers)
            .and_then(|builder| {
                let builder = builder.connect_timeout(CONNECT_TIMEOUT).pool_max_idle_per_host(0);
                build(builder.redirect(redirect::Policy::none()))
            })
            .map_err(|problem| Fault::new(FaultKind::Rejected, problem.to_string()))?;
        let mut request = client.request(way.method.clone(), way.url.clone()).headers(way.headers.clone());
        let content_type = match &way.form {
            Some(form) => Some(form.content_type.as_str()),
            None if way.headers.contains_key(CONTENT_TYPE) => None,
            None => Some(file.content_type.as_str()),
        };
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        // A stream has no length of its own; with this header the body is not sent in chunks.
        Ok(request.header(CONTENT_LENGTH, whole).body(body(before, opened.take(length), after)))
    }

    /// Judges a destination; nothing is sent to one that is refused.
    fn judge(&self, destination: &Destination, file: &LocalFile) -> Result<Way, Fault> {
        let refused = |why: String| Fault::new(FaultKind::Malformed, format!("the API's upload URL {why}"));
        let url = self.base.join(destination.url.trim()).map_err(|error| refused(format!("is none: {error}")))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            // A Gateway elsewhere has no business on this machine.
            "http" if is_loopback(&url) && is_loopback(&self.base) => {}
            "http" => {
                return Err(refused(format!("at {host} is plain http, where anybody on the way could read the file")));
            }
            other => return Err(refused(format!("begins with `{}:`, not with `https:`", one_line(other)))),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused(format!("at {host} has a user name in it")));
        }
        let method = match destination.method.as_deref().map(|method| method.trim().to_ascii_uppercase()).as_deref() {
            None | Some("") if destination.fields.is_some() => Method::POST,
            None | Some("" | "PUT") => Method::PUT,
            Some("POST") => Method::POST,
            Some("PATCH") => Method::PATCH,
            Some(other) => {
                let other = bounded(one_line(other));
                return Err(refused(format!(
                    "at {host} wants the method `{other}`; files are sent by PUT, POST or PATCH"
                )));
            }
        };
        let parts = destination.headers.iter().chain(destination.fields.iter().flatten());
        if destination.headers.len() > MOST_PARTS
            || destination.fields.as_ref().is_some_and(|fields| fields.len() > MOST_PARTS)
            || parts.into_iter().any(|(name, value)| name.len() + value.len() > LONGEST_VALUE)
        {
            return Err(refused(format!("at {host} wants more, or longer, headers or fields than are sent")));
        }
        let (mut headers, mut left_out) = (HeaderMap::new(), Vec::new());
        for (name, value) in &destination.headers {
            let lower = name.trim().to_ascii_lowercase();
            // What describes our message is ours to say, and is said; that needs no word.
            if NOT_TO_BE_SET.contains(&lower.as_str()) {
                if lower != "content-length" && lower != "host" {
                    left_out.push(lower);
                }
                continue;
            }
            match (HeaderName::from_bytes(lower.as_bytes()), HeaderValue::from_str(value)) {
                // A form's type holds its boundary.
                (Ok(CONTENT_TYPE), Ok(_)) if destination.fields.is_some() => {}
                (Ok(name), Ok(value)) => drop(headers.insert(name, value)),
                _ => return Err(refused(format!("at {host} wants a header that cannot be sent"))),
            }
        }
        let form = destination.fields.as_ref().map(|fields| self.form(fields, file));
        Ok(Way { url, method, headers, refused: left_out, form })
    }

    /// Writes what stands around the bytes in a form: the fields first, the file last.
    fn form(&self, fields: &[(String, String)], file: &LocalFile) -> Form {
        let boundary = format!("dagwood-{:016x}{:016x}", self.world.random(), self.world.random());
        let mut before = String::new();
        for (name, value) in fields {
            let _ = write!(
                before,
                "--{boundary}\r\ncontent-disposition: form-data; name=\"{}\"\r\n\r\n{value}\r\n",
                quoted(name)
            );
        }
        let _ = write!(
            before,
            "--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{}\"\r\ncontent-type: {}\r\n\r\n",
            quoted(&file.name),
            one_line(&file.content_type)
        );
        Form {
            content_type: format!("multipart/form-data; boundary={boundary}"),
            before: before.into(),
            after: format!("\r\n--{boundary}--\r\n").into(),
        }
    }
}

/// Returns a name as it stands between quotes in a form (WHATWG's multipart encoding).
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

/// Returns the bytes of a file, with others before and after, as they are read.
fn body(before: Bytes, file: Take<File>, after: Bytes) -> Body {
    /// What comes next.
    enum Next {
        Before(Bytes, Take<File>, Bytes),
        File(Take<File>, Bytes),
        End,
    }
    Body::wrap_stream(stream::try_unfold(Next::Before(before, file, after), |next| async {
        match next {
            Next::Before(before, file, after) => Ok(Some((before, Next::File(file, after)))),
            Next::File(mut file, after) => {
                let wanted = file.limit().min(CHUNK);
                if wanted == 0 {
                    return Ok(Some((after, Next::End)));
                }
                let mut chunk = Vec::with_capacity(usize::try_from(wanted).expect("a chunk fits in memory"));
                let mut part = file.take(wanted);
                if part.read_to_end(&mut chunk).await? as u64 != wanted {
                    return Err(io::Error::other("the file became shorter while it was sent"));
                }
                file = part.into_inner();
                Ok(Some((Bytes::from(chunk), Next::File(file, after))))
            }
            Next::End => Ok::<_, io::Error>(None),
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uploader(base: &str) -> Uploader {
        Uploader::new(base, false, Redactor::default(), World::real()).expect("an uploader")
    }

    fn file() -> LocalFile {
        LocalFile {
            path: "a.png".into(),
            name: "a \"b\"\r\n.png".to_owned(),
            content_type: "image/png".to_owned(),
            bytes: 3,
        }
    }

    fn to(url: &str) -> Destination {
        Destination { url: url.to_owned(), ..Destination::default() }
    }

    fn way(base: &str, destination: &Destination) -> Result<Way, String> {
        uploader(base).judge(destination, &file()).map_err(|fault| fault.message)
    }

    /// Row: `upload_url` relative, on another host.
    #[test]
    fn where_bytes_may_go() {
        let local = "http://127.0.0.1:8080/api";
        for (base, url, to_url) in [
            ("https://gateway.example/api", "https://storage.example/a?sig=1", "https://storage.example/a?sig=1"),
            ("https://gateway.example/api", "/uploads/1", "https://gateway.example/uploads/1"),
            ("https://gateway.example/api", "media/1", "https://gateway.example/api/media/1"),
            ("https://gateway.example/api", "//storage.example/1", "https://storage.example/1"),
            (local, "http://localhost:9000/bucket/a", "http://localhost:9000/bucket/a"),
            (local, "https://storage.example/a", "https://storage.example/a"),
        ] {
            assert_eq!(way(base, &to(url)).map(|way| way.url.to_string()), Ok(to_url.to_owned()), "{url}");
        }
        for (base, url, word) in [
            ("https://gateway.example/api", "http://storage.example/a", "plain http"),
            ("https://gateway.example/api", "http://127.0.0.1:9000/a", "plain http"),
            (local, "http://storage.example/a", "plain http"),
            (local, "https://user:hunter2@storage.example/a", "user name"),
            (local, "file:///etc/passwd", "begins with `file:`"),
            (local, "https://", "is none"),
        ] {
            let told = way(base, &to(url)).err().expect(url);
            assert!(told.contains(word) && !told.contains("hunter2"), "{url}: {told}");
        }
    }

    /// Row: HTTP method of `upload_url`.
    #[test]
    fn methods() {
        let of = |method: Option<&str>, form: bool| {
            let fields = form.then(Vec::new);
            way("https://gateway.example", &Destination { method: method.map(str::to_owned), fields, ..to("/a") })
                .map(|way| way.method.to_string())
        };
        assert_eq!(of(None, false), Ok("PUT".to_owned()));
        assert_eq!(of(Some("post"), false), Ok("POST".to_owned()));
        assert_eq!(of(None, true), Ok("POST".to_owned()));
        assert_eq!(of(Some("PUT"), true), Ok("PUT".to_owned()));
        assert!(of(Some("DELETE"), false).expect_err("no way to send a file").contains("`DELETE`"));
    }

    /// Rows: headers of that request; credentials on `upload_url`.
    #[test]
    fn headers_cannot_carry_credentials_or_change_the_frame() {
        let asked = |headers: &[(&str, &str)]| Destination {
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..to("/a")
        };
        let headers = [
            ("Content-Type", "image/webp"),
            ("x-amz-acl", "private"),
            ("AUTHORIZATION", "Bearer x"),
            ("X-API-Key", "x"),
            ("Host", "x"),
            ("Content-Length", "9"),
            ("Transfer-Encoding", "chunked"),
        ];
        let way = way("https://gateway.example", &asked(&headers)).expect("a way");
        let mut names: Vec<_> = way.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-type", "x-amz-acl"]);
        assert_eq!(way.refused, ["authorization", "x-api-key", "transfer-encoding"]);
        for bad in [("a b", "x"), ("a", "x\r\nauthorization: y"), ("", "x")] {
            assert!(super::tests::way("https://gateway.example", &asked(&[bad])).is_err(), "{bad:?}");
        }
        let long = "x".repeat(LONGEST_VALUE);
        assert!(super::tests::way("https://gateway.example", &asked(&[("a", &long)])).is_err());
        assert!(super::tests::way("https://gateway.example", &asked(&vec![("a", "b"); MOST_PARTS + 1])).is_err());
    }

    /// Row: form upload (`fields` in the answer).
    #[test]
    fn a_form_has_its_fields_first_and_the_file_last() {
        let fields = Some(vec![("key".to_owned(), "a/b".to_owned()), ("po\"licy".to_owned(), "e30=".to_owned())]);
        let form =
            way("https://gateway.example", &Destination { fields, ..to("/a") }).expect("a way").form.expect("a form");
        let boundary = form.content_type.strip_prefix("multipart/form-data; boundary=").expect("a boundary").to_owned();
        let before = String::from_utf8(form.before.to_vec()).expect("text").replace(&boundary, "B");
        assert_eq!(
            before,
            "--B\r\ncontent-disposition: form-data; name=\"key\"\r\n\r\na/b\r\n\
             --B\r\ncontent-disposition: form-data; name=\"po%22licy\"\r\n\r\ne30=\r\n\
             --B\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a %22b%22%0D%0A.png\"\r\n\
             content-type: image/png\r\n\r\n"
        );
        assert_eq!(form.after, format!("\r\n--{boundary}--\r\n"));
    }
}
