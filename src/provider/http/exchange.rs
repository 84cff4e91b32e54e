//! One request as messages call it, the answers that it takes, and every way it can go wrong put into words.

use std::time::Duration;

use reqwest::{
    Method, StatusCode, Url,
    header::{HeaderMap, LOCATION},
};

use super::{one_line, words};
use crate::job::{Fault, FaultKind};

/// What messages call a request, and which answers it takes.
pub(super) struct Exchange {
    pub(super) method: Method,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) accept: Vec<u16>,
    pub(super) any_body: bool,
    /// Whether a body that calls itself JSON must be, even where any body is taken.
    pub(super) holds_to_type: bool,
    pub(super) with_key: bool,
}

impl Exchange {
    pub(super) fn new(method: Method, url: &Url) -> Self {
        Self {
            method,
            host: url.host_str().unwrap_or_default().to_owned(),
            path: url.path().to_owned(),
            accept: Vec::new(),
            any_body: false,
            holds_to_type: true,
            with_key: true,
        }
    }

    pub(super) fn fault(&self, kind: FaultKind, what: &str) -> Fault {
        Fault::new(kind, format!("`{} {}` {what}", self.method, self.path))
    }

    /// Puts an error of the transport into words.
    pub(super) fn transport(&self, error: reqwest::Error) -> Fault {
        let error = error.without_url();
        let cause = cause(&error);
        if error.is_connect() {
            self.fault(FaultKind::Network, &format!("was not sent: no connection to {}: {cause}", self.host))
        } else if error.is_builder() {
            self.fault(FaultKind::Rejected, &format!("was not sent: {cause}"))
        } else if error.is_timeout() {
            self.fault(FaultKind::Timeout, &format!("was sent, but the connection gave up: {cause}"))
        } else {
            self.fault(FaultKind::Ambiguous, &format!("was sent, but no answer came: {cause}"))
        }
    }

    /// Puts an answer outside 200 to 299 into words.
    pub(super) fn refusal(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        retry_after: Option<Duration>,
    ) -> Fault {
        let kind = match status.as_u16() {
            401 => FaultKind::Unauthorized,
            402 => FaultKind::Credits,
            403 => FaultKind::Forbidden,
            404 | 410 => FaultKind::NotFound,
            429 => FaultKind::RateLimited,
            // 408 and 425: the server gave up on the request, or would not take it yet, much as with a 5xx.
            408 | 425 | 500..=599 => FaultKind::Unavailable,
            400..=499 => FaultKind::Rejected,
            // For a POST, "see other" may well be said after the deed; a GET changes nothing and will not fare better again.
            300..=399 if self.method == Method::GET => FaultKind::Rejected,
            _ => FaultKind::Malformed,
        };
        let said = if status.is_redirection() {
            let to = headers.get(LOCATION).and_then(|to| to.to_str().ok()).and_then(|to| Url::parse(to).ok());
            let to =
                to.map_or_else(|| "elsewhere".to_owned(), |to| format!("to {}", to.origin().ascii_serialization()));
            // A step goes where its own URL says.
            let help = if self.any_body { "" } else { "; check the base URL" };
            format!(": a redirect {to}, which is not followed{help}")
        } else {
            words::of_body(body).map(|said| format!(": {said}")).unwrap_or_default()
        };
        // What the vendor's support will ask for.
        let request_id =
            ["x-request-id", "request-id", "cf-ray"].iter().find_map(|name| headers.get(*name)?.to_str().ok());
        let request_id = request_id.map(|id| format!(" (request id {})", one_line(id))).unwrap_or_default();
        let retry_after = retry_after.filter(|_| matches!(kind, FaultKind::RateLimited | FaultKind::Unavailable));
        Fault {
            status: Some(status.as_u16()),
            retry_after,
            ..self.fault(kind, &format!("answered {status}{said}{request_id}"))
        }
    }
}

/// Returns the innermost reason of an error, which is the one that says something.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    one_line(&cause.to_string())
}
