//! The shared HTTP client of all providers: one request, one answer, every way it can go wrong put into words.
//!
//! ```text
//! path, query, body ──▶ request to the provider's origin ──▶ status, headers, bounded body ──▶ Answer<Reply>
//! ```
//!
//! Why it is more than a few calls to reqwest: a submit costs money, so this is where it is decided whether the API may have
//! seen a request. What must stay true:
//!
//! - Nothing here sends a POST twice. Submits get a client of their own that keeps no idle connections: on a fresh connection the
//!   HTTP stack has nothing to retry, and a server that closes an idle connection cannot make a submit ambiguous. Redirects of a
//!   POST are never followed.
//! - The key goes to the provider's origin only: it is set on each request, and a redirect elsewhere is not followed.
//! - [`FaultKind::Network`] is said only where nothing was sent: the connection was never made.
//! - Every request has a time limit, every body a size limit, and secrets that the API echoes are redacted before anybody
//!   else sees them. Messages name method and path, never a key, a query or a request's body.

mod body;
mod exchange;
mod headers;
mod settings;
mod step;
mod tls;
pub(crate) mod upload;
mod words;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;
pub use reqwest::Method;
use reqwest::{
    NoProxy, Proxy, Url,
    header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
    redirect, retry,
};
use serde_json::Value;

pub use self::{
    body::BODY_LIMIT,
    settings::{ClientProblem, ClientSettings, Credential},
    step::Reach,
};
pub(crate) use self::{
    body::is_json_type,
    exchange::cause,
    settings::header_name,
    tls::Peers,
    words::{bounded, of_json, one_line, said},
};
use self::{
    body::{End, MOST_VALUES, calls_itself_json},
    exchange::Exchange,
    settings::{base_url, is_loopback},
};
use crate::{
    job::{Fault, FaultKind},
    provider::{Answer, RateHint},
    secret::Redactor,
    world::World,
};

/// How long a connection may take to be made, name lookup and TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an exchange that reads something may take.
pub const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a submit may take: a synchronous run finishes inside the request, and pictures take minutes on a bad day.
pub const SUBMIT_TIMEOUT: Duration = Duration::from_mins(5);

/// How many bytes the pages of one list may have together.
pub(crate) const LIST_LIMIT: usize = 64 * 1024 * 1024;

/// How many bytes of an error's body are read: its words are in its beginning.
const ERROR_BODY_LIMIT: usize = 64 * 1024;

/// How many headers of an answer are kept. No API sends half as many; a server gone wild may.
pub const MOST_HEADERS: usize = 100;

/// How many redirects of a GET within the origin are followed.
const MOST_REDIRECTS: usize = 5;

/// What the process calls itself.
const USER_AGENT: &str = concat!("dagwood/", env!("CARGO_PKG_VERSION"));

/// An answer that is no fault: its status, 200 to 299 unless others were asked for, its headers and its body.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers by their names in lower case, secrets redacted; at most [`MOST_HEADERS`].
    pub headers: Vec<(String, String)>,
    /// The body, secrets redacted: JSON; where [`Ask::any_body`] was said, also a text, or null where there is none or [`Reply::bytes`].
    pub body: Value,
    /// The body where it is neither JSON nor text, secrets as asterisks; only with [`Ask::any_body`].
    pub bytes: Option<Bytes>,
    /// How many bytes the body had.
    pub length: usize,
}

impl Reply {
    /// Returns the first header of this name, which is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Where a request goes; always to the origin of the base URL.
#[derive(Clone, Copy, Debug)]
pub enum To<'a> {
    /// To segments below the base URL, which are percent-encoded here, with a query.
    Path(&'a [&'a str], &'a [(&'a str, &'a str)]),
    /// To a link that the API gave: a path, or a URL. One to another origin is refused, and nothing is sent.
    Link(&'a str),
}

/// One request, for [`Client::send`].
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// The method. Only GET and HEAD follow redirects, and only within the origin.
    pub method: Method,
    /// Where it goes.
    pub to: To<'a>,
    /// Its body, as JSON.
    pub body: Option<&'a Value>,
    /// Headers beside those that every request has.
    pub headers: Vec<(&'a str, String)>,
    /// How long the whole exchange may take.
    pub timeout: Duration,
    /// Statuses beside 200 to 299 whose answers are replies, not faults.
    pub accept: &'a [u16],
    /// Whether a body need not be JSON. One that says of itself that it is JSON must be: what is broken is no text that was meant.
    pub any_body: bool,
}

impl<'a> Ask<'a> {
    /// Returns a request with nothing but method and address.
    #[must_use]
    pub fn new(method: Method, to: To<'a>) -> Self {
        Self { method, to, body: None, headers: Vec::new(), timeout: READ_TIMEOUT, accept: &[], any_body: false }
    }
}

/// A client for one API with one key.
#[derive(Clone)]
pub struct Client {
    base: Url,
    /// For what may be asked again: keeps connections, follows redirects within the origin.
    asking: reqwest::Client,
    /// For what may happen only once: a fresh connection each, no redirects.
    submitting: reqwest::Client,
    credential: Option<(HeaderName, HeaderValue)>,
    redactors: [Redactor; 2],
    body_limit: usize,
    /// What the latest answer said about the key's rate; clones share the key and so share this.
    told: Arc<Mutex<Option<RateHint>>>,
    /// The server's time in its latest answer, and when that came by the clock that never jumps.
    clock: Arc<Mutex<Option<(Timestamp, Duration)>>>,
    world: World,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base_url", &self.base_url()).finish_non_exhaustive()
    }
}

impl Client {
    /// Builds a client; reads no file but the system's root certificates, and sends nothing.
    ///
    /// # Errors
    ///
    /// Where the base URL, the key, or the environment's proxy cannot be used.
    pub fn new(settings: ClientSettings, world: World) -> Result<Self, ClientProblem> {
        let base = base_url(&settings.base_url, settings.allow_http)?;
        let (credential, own) = match settings.credential {
            None => (None, Redactor::default()),
            Some(Credential { header, prefix, key }) => {
                let mut value =
                    HeaderValue::from_str(&format!("{prefix}{}", key.expose())).map_err(|_| ClientProblem::Key)?;
                if key.expose().trim().is_empty() {
                    return Err(ClientProblem::Key);
                }
                value.set_sensitive(true);
                (Some((HeaderName::from_static(header), value)), Redactor::new([key]))
            }
        };
        let origin = base.origin();
        let within_origin = redirect::Policy::custom(move |attempt| {
            if attempt.url().origin() == origin && attempt.previous().len() <= MOST_REDIRECTS {
                attempt.follow()
            } else {
                attempt.stop()
            }
        });
        let peers = if base.scheme() == "https" { Peers::Public } else { Peers::Plain };
        let builder = || builder(&world, peers).map(|builder| builder.connect_timeout(CONNECT_TIMEOUT));
        let asking = builder()?.redirect(within_origin);
        let submitting = builder()?.redirect(redirect::Policy::none()).pool_max_idle_per_host(0);
        Ok(Self {
            base,
            asking: build(asking)?,
            submitting: build(submitting)?,
            credential,
            redactors: [settings.redactor, own],
            body_limit: settings.body_limit,
            told: Arc::new(Mutex::new(None)),
            clock: Arc::new(Mutex::new(None)),
            world,
        })
    }

    /// Returns what the latest answer said about the key's rate; none before the first.
    #[must_use]
    pub fn rate(&self) -> Option<RateHint> {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the server's time now, as far as its latest answer told it.
    #[must_use]
    pub fn clock(&self) -> Option<Timestamp> {
        let (then, at) = (*self.clock.lock().unwrap_or_else(PoisonError::into_inner))?;
        let passed = self.world.elapsed().saturating_sub(at);
        then.checked_add(passed).ok()
    }

    /// Returns the base URL without a slash at its end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Returns the text with all secrets replaced that this client knows.
    #[must_use]
    pub fn redact(&self, text: String) -> String {
        self.redactors.iter().fold(text, |text, redactor| redactor.text(text))
    }

    /// Reads what is at a path, given as segments that are percent-encoded here.
    pub async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Answer<Reply> {
        self.send(Ask::new(Method::GET, To::Path(path, query))).await
    }

    /// Posts a body once, or none.
    pub async fn post(&self, path: &[&str], body: Option<&Value>, timeout: Duration) -> Answer<Reply> {
        self.send(Ask { body, timeout, ..Ask::new(Method::POST, To::Path(path, &[])) }).await
    }

    /// Says whether a link that the API gave leads to its own origin.
    #[must_use]
    pub fn may_follow(&self, link: &str) -> bool {
        self.address(To::Link(link)).is_ok()
    }

    /// Sends one request, once.
    pub async fn send(&self, ask: Ask<'_>) -> Answer<Reply> {
        let url = match self.address(ask.to) {
            Ok(url) => url,
            Err(fault) => return Answer::bare(Err(fault)),
        };
        let is_read = matches!(ask.method, Method::GET | Method::HEAD);
        let client = if is_read { &self.asking } else { &self.submitting };
        let mut request = client.request(ask.method.clone(), url.clone());
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        if let Some(body) = ask.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let exchange =
            Exchange { accept: ask.accept.to_vec(), any_body: ask.any_body, ..Exchange::new(ask.method, &url) };
        self.exchange(request, &exchange, ask.timeout).await
    }

    /// Returns the URL that a request goes to.
    fn address(&self, to: To<'_>) -> Result<Url, Fault> {
        match to {
            To::Path(path, query) => {
                let mut url = self.url(path);
                if !query.is_empty() {
                    url.query_pairs_mut().extend_pairs(query);
                }
                Ok(url)
            }
            To::Link(link) => {
                let refused = |why: &str| {
                    Fault::new(FaultKind::Malformed, format!("the API's link `{}` {why}", bounded(one_line(link))))
                };
                // A path without a slash in front is relative to the base, which is a folder.
                let mut base = self.base.clone();
                base.path_segments_mut().expect("a base URL is http or https").pop_if_empty().push("");
                let url = base.join(link).map_err(|error| refused(&format!("cannot be followed: {error}")))?;
                if url.origin() != self.base.origin() || !url.username().is_empty() || url.password().is_some() {
                    return Err(refused("leads to another host, where this key must not go"));
                }
                Ok(url)
            }
        }
    }

    /// Returns the URL of a path below the base.
    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut().expect("a base URL is http or https").pop_if_empty().extend(path);
        url
    }

    async fn exchange(&self, request: reqwest::RequestBuilder, exchange: &Exchange, limit: Duration) -> Answer<Reply> {
        let request = match &self.credential {
            Some((name, value)) if exchange.with_key => request.header(name.clone(), value.clone()),
            _ => request,
        };
        let mut heads = Heads::default();
        // The limit stands round the whole exchange; making the connection has a smaller one of its own, inside reqwest, whose
        // passing shows as a failure to connect. So what this one cuts off was sent, or may have been.
        let result = match tokio::time::timeout(limit, self.converse(request, exchange, &mut heads)).await {
            Ok(result) => result,
            Err(_) => {
                Err(exchange.fault(FaultKind::Timeout, &format!("gave no answer within {} s", limit.as_secs_f64())))
            }
        };
        let result = result.map_err(|mut fault| {
            fault.message = bounded(self.redact(fault.message));
            fault
        });
        if result.is_ok() {
            *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(heads.rate);
        }
        if let Some(time) = heads.server_time {
            let at = self.world.elapsed();
            *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some((time, at));
        }
        Answer { result, rate: heads.rate, server_time: heads.server_time }
    }

    /// Sends the request and reads the answer, filling in `heads` as soon as they are known.
    async fn converse(
        &self,
        request: reqwest::RequestBuilder,
        exchange: &Exchange,
        heads: &mut Heads,
    ) -> Result<Reply, Fault> {
        let mut response = request.send().await.map_err(|error| exchange.transport(error))?;
        *heads = Heads::read(response.headers(), &self.world);
        let status = response.status();
        if !(status.is_success() || exchange.accept.contains(&status.as_u16())) {
            // The status counts even where the body breaks off.
            let (body, _) = body::read(&mut response, ERROR_BODY_LIMIT).await;
            return Err(exchange.refusal(status, response.headers(), &body, heads.retry_after));
        }
        let fault = |kind, what: &str| Fault { status: Some(status.as_u16()), ..exchange.fault(kind, what) };
        let body = match body::read(&mut response, self.body_limit).await {
            (body, End::Whole) => body,
            (_, End::TooLong) => {
                let what = format!("answered {status} with more than {} bytes", self.body_limit);
                return Err(fault(FaultKind::Malformed, &what));
            }
            (_, End::Broken(error)) => {
                let what = format!("answered {status}, but the answer broke off: {}", cause(&error));
                return Err(fault(FaultKind::Ambiguous, &what));
            }
        };
        let headers = self.headers(response.headers());
        let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body);
        let mut reply = Reply { status: status.as_u16(), headers, body: Value::Null, bytes: None, length: body.len() };
        match body::parse(text) {
            Ok(Some(body)) => reply.body = body,
            Ok(None) => {
                return Err(fault(
                    FaultKind::Malformed,
                    &format!("answered {status} with more than {MOST_VALUES} values"),
                ));
            }
            Err(_) if exchange.any_body && text.is_empty() => {}
            Err(_) if exchange.any_body && !(exchange.holds_to_type && calls_itself_json(&reply)) => {
                if let Ok(text) = std::str::from_utf8(text) {
                    reply.body = Value::String(text.to_owned());
                } else {
                    let mut body = body;
                    self.redactors.iter().for_each(|redactor| redactor.bytes(&mut body));
                    reply.bytes = Some(Bytes::from(body));
                }
            }
            Err(error) => {
                let said = match (text.is_empty(), words::of_body(text)) {
                    (true, _) => "an empty body".to_owned(),
                    (false, Some(said)) if text.trim_ascii_start().starts_with(b"<") => {
                        format!("a page called `{said}`")
                    }
                    (false, _) => format!("a body that is no JSON ({error})"),
                };
                return Err(fault(FaultKind::Malformed, &format!("answered {status} with {said}")));
            }
        }
        for redactor in &self.redactors {
            redactor.json(&mut reply.body);
        }
        Ok(reply)
    }

    /// Returns an answer's headers as texts, secrets redacted.
    fn headers(&self, headers: &HeaderMap) -> Vec<(String, String)> {
        let texts = headers.iter().filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?)));
        texts.take(MOST_HEADERS).map(|(name, value)| (name, self.redact(value.to_owned()))).collect()
    }
}

/// What the headers of an answer say.
#[derive(Default)]
struct Heads {
    rate: RateHint,
    server_time: Option<Timestamp>,
    retry_after: Option<Duration>,
}

impl Heads {
    fn read(headers: &HeaderMap, world: &World) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let server_time = text(DATE.as_str()).and_then(headers::date);
        // Points in time are the server's, so they are held against its own clock.
        let now = server_time.unwrap_or_else(|| world.now());
        let retry_after = text(RETRY_AFTER.as_str()).and_then(|text| headers::retry_after(text, now));
        Self { rate: headers::rate(text, now), server_time, retry_after }
    }
}

/// Returns a builder with what all clients share: TLS, the environment's proxy, HTTP/1.1, no retries by the HTTP stack.
pub(crate) fn builder(world: &World, peers: Peers) -> Result<reqwest::ClientBuilder, ClientProblem> {
    let builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .tls_backend_preconfigured(tls::config(peers))
        .http1_only()
        .referer(false)
        .tcp_nodelay(true)
        .retry(retry::never())
        // Without this reqwest reads the process's environment by itself.
        .no_proxy();
    let either = |lower, upper| [lower, upper].into_iter().find_map(|name| Some((name, world.env(name)?)));
    let exceptions = either("no_proxy", "NO_PROXY").map_or("", |(_, list)| list);
    let exceptions = NoProxy::from_string(&format!("{exceptions},localhost,127.0.0.0/8,::1"));
    let mut builder = builder;
    if let Some((variable, url)) = either("https_proxy", "HTTPS_PROXY") {
        let proxy = Proxy::https(url).map_err(|_| ClientProblem::Proxy { variable })?;
        builder = builder.proxy(proxy.no_proxy(exceptions.clone()));
    }
    if let Some((variable, url)) = either("http_proxy", "HTTP_PROXY") {
        let proxy = Proxy::http(url).map_err(|_| ClientProblem::Proxy { variable })?;
        builder = builder.proxy(proxy.no_proxy(exceptions));
    }
    Ok(builder)
}

/// Builds a client, its problems in our words.
pub(crate) fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, ClientProblem> {
    builder.build().map_err(|error| ClientProblem::Setup(cause(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn segments_cannot_leave_the_base_path() {
        let client = Client::new(ClientSettings::new("https://example.com/api/v1/"), World::real()).expect("a client");
        assert_eq!(client.base_url(), "https://example.com/api/v1");
        assert_eq!(client.url(&["jobs", "a/b%?#é"]).as_str(), "https://example.com/api/v1/jobs/a%2Fb%25%3F%23%C3%A9");
    }

    #[test]
    fn a_key_that_no_header_can_carry_is_refused_unseen() {
        for key in ["sk_live_1\nX-Evil: 1", "", "  "] {
            let credential = Credential { header: "authorization", prefix: "Bearer ", key: Secret::new(key) };
            let settings =
                ClientSettings { credential: Some(credential), ..ClientSettings::new("https://example.com") };
            let problem = Client::new(settings, World::real()).expect_err("a problem");
            assert_eq!(problem, ClientProblem::Key);
        }
    }

    #[test]
    fn a_bad_proxy_is_named_and_not_shown() {
        let world = World::real().with_environment([("HTTPS_PROXY".into(), "http://user:hunter2@ bad".into())].into());
        let problem = Client::new(ClientSettings::new("https://example.com"), world).expect_err("a problem");
        assert_eq!(problem, ClientProblem::Proxy { variable: "HTTPS_PROXY" });
    }
}
