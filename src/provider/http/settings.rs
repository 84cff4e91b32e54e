//! What a client is built from, judged before anything is sent: the base URL, the key, the names of headers.

use std::net::IpAddr;

use reqwest::{Url, header::HeaderName};

use super::{BODY_LIMIT, bounded, one_line};
use crate::secret::{Redactor, Secret};

/// What a client is built from.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// The URL that all paths are relative to.
    pub base_url: String,
    /// The key and the header that carries it.
    pub credential: Option<Credential>,
    /// What to redact in answers, beside the credential itself.
    pub redactor: Redactor,
    /// Whether a base URL outside this machine may be plain `http`.
    pub allow_http: bool,
    /// The most bytes of an answer.
    pub body_limit: usize,
}

impl ClientSettings {
    /// Returns the settings with defaults for all but the base URL.
    #[must_use]
    pub fn new(base_url: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            credential: None,
            redactor: Redactor::default(),
            allow_http: false,
            body_limit: BODY_LIMIT,
        }
    }
}

/// A key and how it is presented.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The header's name, in lower case.
    pub header: &'static str,
    /// What stands before the key, such as `Bearer `.
    pub prefix: &'static str,
    /// The key.
    pub key: Secret,
}

/// Says why no client could be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientProblem {
    /// The base URL is not one.
    #[error("`{url}` cannot be a base URL: {why}")]
    BaseUrl {
        /// As given, or its harmless part.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// A key would travel in the clear.
    #[error("`{url}` is plain http on another machine, where anybody on the way could read the key; use https")]
    PlainHttp {
        /// As given.
        url: String,
    },
    /// The key is not one.
    #[error("the API key is empty or has characters that no HTTP header can carry, such as a line break")]
    Key,
    /// A header's name is not one, or is the name of one that requests have anyway.
    #[error("`{name}` cannot be the name of a header of its own")]
    Header {
        /// As given.
        name: String,
    },
    /// The proxy's URL is not one; it may hold a password, so it is not shown.
    #[error("the environment's `{variable}` is not the URL of a proxy")]
    Proxy {
        /// The variable's name.
        variable: &'static str,
    },
    /// The HTTP library refused.
    #[error("failed to set up HTTP: {0}")]
    Setup(String),
}

/// Headers that say what a request is, to whom, and for whom: nothing else may be put in them.
const OWN_HEADERS: [&str; 11] = [
    "accept",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "proxy-authorization",
    "transfer-encoding",
    "user-agent",
    "x-api-key",
];

/// Judges the name of a header that a person chose, and returns it in lower case.
pub(crate) fn header_name(given: &str) -> Result<String, ClientProblem> {
    match HeaderName::from_bytes(given.trim().as_bytes()) {
        Ok(name) if !OWN_HEADERS.contains(&name.as_str()) => Ok(name.as_str().to_owned()),
        _ => Err(ClientProblem::Header { name: bounded(one_line(given)) }),
    }
}

/// Parses and judges a base URL.
pub(super) fn base_url(given: &str, allow_http: bool) -> Result<Url, ClientProblem> {
    // What comes before an `@` may be a password, and what comes after a `?` a key.
    let shown = given.split(['?', '#']).next().unwrap_or_default();
    let shown = shown.rsplit_once('@').map_or_else(|| shown.to_owned(), |(_, rest)| format!("…@{rest}"));
    let shown = bounded(one_line(&shown));
    let problem = |why: &str| ClientProblem::BaseUrl { url: shown.clone(), why: why.to_owned() };
    let url = Url::parse(given.trim()).map_err(|error| problem(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(problem("it must begin with `https://`"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(problem("it has a user name in it; keys are given apart"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(problem("it has a `?` or `#` part"));
    }
    if url.scheme() == "http" && !allow_http && !is_loopback(&url) {
        return Err(ClientProblem::PlainHttp { url: shown });
    }
    Ok(url)
}

/// Says whether a URL's host is this machine by its very name.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host.parse::<IpAddr>().map_or_else(|_| host == "localhost" || host.ends_with(".localhost"), |ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_https_or_on_this_machine() {
        for good in [
            "https://armox.ai/api/v1",
            "http://localhost:8080/",
            "http://127.8.9.1",
            "http://[::1]:3/api",
            "http://a.localhost",
        ] {
            assert!(base_url(good, false).is_ok(), "{good}");
        }
        assert!(matches!(base_url("http://armox.ai", false), Err(ClientProblem::PlainHttp { .. })));
        assert!(matches!(base_url("http://localhost.evil.com", false), Err(ClientProblem::PlainHttp { .. })));
        assert!(matches!(base_url("http://127.0.0.1.evil.com", false), Err(ClientProblem::PlainHttp { .. })));
        assert!(base_url("http://10.0.0.1", true).is_ok());
        for bad in [
            "armox.ai",
            "ftp://armox.ai",
            "https://user:pass@armox.ai",
            "https://armox.ai/?key=pass",
            "https://armox.ai/#pass",
            "",
        ] {
            let problem = base_url(bad, false).expect_err(bad);
            assert!(!format!("{problem} {problem:?}").contains("pass"), "{problem}");
        }
    }

    #[test]
    fn a_header_of_its_own_takes_no_others_place() {
        for (given, name) in [("Idempotency-Key", "idempotency-key"), (" X-Request-Key ", "x-request-key")] {
            assert_eq!(header_name(given).as_deref(), Ok(name), "{given}");
        }
        for bad in ["Authorization", "HOST", "content-length", "a b", "a:b", "a\nb", "", "é"] {
            assert!(matches!(header_name(bad), Err(ClientProblem::Header { .. })), "{bad}");
        }
    }
}
