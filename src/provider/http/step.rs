//! One HTTP request as a step with `http` asks for it (LANGUAGE.md, section 3), with the key of a provider or without any.
//!
//! ```text
//! method, url, headers, query, json | body ──▶ one request ──▶ {status, headers, body}, or a fault
//! ```
//!
//! What must stay true: a provider's key goes to its own origin and nowhere else; a redirect to another origin, which only GET and
//! HEAD follow, carries neither the key nor any header of the step, since any of them may be a credential; nothing here sends a
//! request twice. A POST or PATCH that was answered is never repeated, whatever the status: only one without an answer leaves open
//! whether it happened.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION},
};
use serde_json::{Map, Value, json};

use super::{Client, Exchange, Reply, bounded, is_loopback, one_line};
use crate::{
    job::{Fault, FaultKind, IdempotencyKey, JobHandle, JobRequest, JobState, JobStatus, Submitted},
    provider::Answer,
};

/// The bound on one exchange; the step's own timeout, which the engine keeps, is shorter as a rule.
const LONGEST_EXCHANGE: Duration = Duration::from_hours(24);

/// How many redirects are followed.
const MOST_REDIRECTS: usize = 10;

/// The most headers that a step may set.
const MOST_STEP_HEADERS: usize = 100;

/// Headers that the connection owns.
const OF_THE_CONNECTION: [&str; 5] = ["host", "content-length", "transfer-encoding", "connection", "upgrade"];

/// Headers that carry a provider's key.
const OF_THE_KEY: [&str; 2] = ["authorization", "x-api-key"];

/// Which hosts a request may go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The API's own origin, with its key; a URL may be a path of the API.
    Api,
    /// Any host, without a key.
    Anywhere,
    /// This machine alone, without a key: a run in the emulator.
    Loopback,
}

/// A request, read from the parts of a step.
struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
    expected: Vec<u16>,
}

impl Client {
    /// Makes the request that a job of kind `http` describes, and returns its answer as a finished job. The job is called after the key:
    /// an answer has no name of its own.
    pub async fn step(&self, job: &JobRequest, key: &IdempotencyKey, reach: Reach) -> Answer<Submitted> {
        let request = match self.read(&job.inputs, reach) {
            Ok(request) => request,
            Err(message) => return Answer::bare(Err(Fault::new(FaultKind::Rejected, self.redact(message)))),
        };
        let repeatable = !matches!(request.method, Method::POST | Method::PATCH);
        let answer = self.follow(request, reach).await;
        answer.with_result(|result| match result {
            Ok(reply) => Ok(Submitted {
                job: JobHandle(key.0.clone()),
                status: JobStatus {
                    node_outputs: Map::from_iter([(String::new(), output(&reply))]),
                    ..JobStatus::of(JobState::Completed)
                },
                look_at: None,
            }),
            // It was answered: whether to do it again is for a person to say.
            Err(fault) if fault.kind == FaultKind::Unavailable && fault.status.is_some() && !repeatable => {
                Err(Fault { kind: FaultKind::Rejected, ..fault })
            }
            // Nor does one that leads elsewhere change by being asked again.
            Err(fault) if fault.status.is_some_and(|status| (300..400).contains(&status)) => {
                Err(Fault { kind: FaultKind::Rejected, ..fault })
            }
            Err(fault) => Err(fault),
        })
    }

    /// Reads the parts of a step's request.
    fn read(&self, parts: &Map<String, Value>, reach: Reach) -> Result<Request, String> {
        let method = parts.get("method").and_then(Value::as_str).unwrap_or("GET");
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| format!("`{method}` is no method"))?;
        let given = parts.get("url").and_then(Value::as_str).unwrap_or_default().trim();
        let mut url = self.reached(given, reach)?;
        if let Some(query) = parts.get("query").filter(|query| !query.is_null()) {
            let query = query.as_object().ok_or("`query` must be a map")?;
            let mut pairs = url.query_pairs_mut();
            for (name, value) in query {
                for value in value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice) {
                    if let Some(text) =
                        scalar(value).map_err(|()| format!("`query.{name}` must be a scalar or a list of them"))?
                    {
                        pairs.append_pair(name, &text);
                    }
                }
            }
        }
        let mut headers = HeaderMap::new();
        if let Some(given) = parts.get("headers").filter(|headers| !headers.is_null()) {
            let given = given.as_object().ok_or("`headers` must be a map")?;
            if given.len() > MOST_STEP_HEADERS {
                return Err(format!("a request may set {MOST_STEP_HEADERS} headers"));
            }
            for (name, value) in given {
                let Some(text) = scalar(value).map_err(|()| format!("`headers.{name}` must be text"))? else {
                    continue;
                };
                let known = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is no header"))?;
                if OF_THE_CONNECTION.contains(&known.as_str()) {
                    return Err(format!("the header `{name}` is set by the connection itself"));
                }
                if reach == Reach::Api && OF_THE_KEY.contains(&known.as_str()) {
                    return Err(format!("the header `{name}` is the provider's own: leave it out, its key is sent"));
                }
                let value = HeaderValue::from_str(&text);
                let mut value = value
                    .map_err(|_| format!("the value of the header `{name}` has characters that no header can carry"))?;
                value.set_sensitive(true);
                headers.insert(known, value);
            }
        }
        let body = match (parts.get("json"), parts.get("body").filter(|body| !body.is_null())) {
            (Some(json), _) => {
                headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
                Some(json.to_string().into_bytes())
            }
            (None, Some(body)) => {
                headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("text/plain; charset=utf-8"));
                Some(scalar(body).unwrap_or_else(|()| Some(body.to_string())).unwrap_or_default().into_bytes())
            }
            (None, None) => None,
        };
        let expected = match parts.get("expect_status") {
            Some(Value::Array(statuses)) => statuses.iter().filter_map(Value::as_u64).collect(),
            Some(status) => status.as_u64().into_iter().collect(),
            None => Vec::new(),
        };
        let expected = expected.into_iter().filter_map(|status| u16::try_from(status).ok()).collect();
        Ok(Request { method, url, headers, body, expected })
    }

    /// Returns the URL that a step means, if it may go there.
    fn reached(&self, given: &str, reach: Reach) -> Result<Url, String> {
        let shown = bounded(one_line(given.split(['?', '#']).next().unwrap_or_default()));
        if reach == Reach::Api && !given.contains("://") {
            return self.below(given).ok_or_else(|| format!("`{shown}` is no path of this API"));
        }
        let url = Url::parse(given).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| format!("`{shown}` is not an http or https URL"))?;
        match reach {
            Reach::Api if url.origin() != self.base.origin() => {
                let host = self.base.origin().ascii_serialization();
                Err(format!(
                    "`{shown}` is on another host than `{host}`, where this provider's key must not go; leave `provider` out"
                ))
            }
            Reach::Loopback if !is_loopback(&url) => {
                Err(format!("`{shown}` is on another machine, and a run in the emulator reaches none"))
            }
            _ => Ok(url),
        }
    }

    /// Returns the URL of a path below the base, with its query; none where it leads elsewhere.
    fn below(&self, path: &str) -> Option<Url> {
        let base = self.base.as_str().trim_end_matches('/');
        let url = Url::parse(&format!("{base}/{}", path.trim_start_matches('/'))).ok()?;
        // Parsing has resolved `..`, however it was spelt.
        let under = self.base.path().trim_end_matches('/');
        let inside = url.path().strip_prefix(under).is_some_and(|rest| rest.starts_with('/'));
        (url.origin() == self.base.origin() && inside).then_some(url)
    }

    /// Sends the request, and for GET and HEAD follows redirects.
    async fn follow(&self, request: Request, reach: Reach) -> Answer<Reply> {
        let Request { method, mut url, mut headers, body, expected } = request;
        let follows = matches!(method, Method::GET | Method::HEAD);
        let origin = url.origin();
        let mut own = reach == Reach::Api;
        let mut redirects = 0;
        loop {
            let mut accept = expected.clone();
            if follows && redirects < MOST_REDIRECTS {
                accept.extend([301, 302, 303, 307, 308]);
            }
            let builder = self.submitting.request(method.clone(), url.clone()).headers(headers.clone());
            let builder = match &body {
                Some(body) => builder.body(body.clone()),
                None => builder,
            };
            let exchange = Exchange {
                accept,
                any_body: true,
                // A step takes what it is given: whether it is what it says is for the workflow to judge.
                holds_to_type: false,
                with_key: own,
                ..Exchange::new(method.clone(), &url)
            };
            let answer = self.exchange(builder, &exchange, LONGEST_EXCHANGE).await;
            let next = match &answer.result {
                Ok(reply) if is_redirect(reply.status) && !expected.contains(&reply.status) => {
                    reply.header(LOCATION.as_str()).and_then(|to| url.join(to).ok())
                }
                _ => return answer.and_then(|reply| expect(reply, &expected, &method, &url)),
            };
            let Some(next) = next.filter(|next| {
                matches!(next.scheme(), "http" | "https") && (reach != Reach::Loopback || is_loopback(next))
            }) else {
                let message = format!("`{method} {}` answered with a redirect that leads nowhere", url.path());
                return answer.and_then(|reply| {
                    Err(Fault { status: Some(reply.status), ..Fault::new(FaultKind::Rejected, message) })
                });
            };
            if next.origin() != origin {
                // Whatever comes later goes on as a stranger, also where a further redirect leads back.
                own = false;
                headers.clear();
            }
            url = next;
            redirects += 1;
        }
    }
}

fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// Refuses a status that the step does not expect.
fn expect(reply: Reply, expected: &[u16], method: &Method, url: &Url) -> Result<Reply, Fault> {
    if expected.is_empty() || expected.contains(&reply.status) {
        return Ok(reply);
    }
    let wanted: Vec<_> = expected.iter().map(u16::to_string).collect();
    let message =
        format!("`{method} {}` answered {}, and {} is expected", url.path(), reply.status, wanted.join(" or "));
    Err(Fault { status: Some(reply.status), ..Fault::new(FaultKind::Rejected, message) })
}

/// Returns a scalar as text, and none of a null, which is left out.
fn scalar(value: &Value) -> Result<Option<String>, ()> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Number(_) | Value::Bool(_) => Ok(Some(value.to_string())),
        Value::Array(_) | Value::Object(_) => Err(()),
    }
}

/// Returns what templates see of an answer. A body that is neither JSON nor text is a `data:` URL under its kind, so that `save` writes
/// it as the medium that it is.
fn output(reply: &Reply) -> Value {
    let mut headers = Map::new();
    for (name, value) in &reply.headers {
        let joined = match headers.get(name).and_then(Value::as_str) {
            Some(before) => format!("{before}, {value}"),
            None => value.clone(),
        };
        headers.insert(name.clone(), Value::String(joined));
    }
    let body = match &reply.bytes {
        None => reply.body.clone(),
        Some(bytes) => {
            let kind = reply
                .header("content-type")
                .and_then(|kind| kind.split(';').next())
                .unwrap_or("application/octet-stream");
            let kind = kind.trim().to_ascii_lowercase();
            let medium = kind.split('/').next().unwrap_or_default();
            json!({"type": medium, "url": format!("data:{kind};base64,{}", STANDARD.encode(bytes))})
        }
    };
    json!({"status": reply.status, "headers": headers, "body": body})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        provider::http::{ClientSettings, Credential},
        secret::Secret,
        world::World,
    };

    fn client() -> Client {
        let credential = Credential { header: "authorization", prefix: "Bearer ", key: Secret::new("sk-canary") };
        let settings =
            ClientSettings { credential: Some(credential), ..ClientSettings::new("https://api.example.com/v2") };
        Client::new(settings, World::real()).expect("a client")
    }

    fn read(parts: &Value, reach: Reach) -> Result<String, String> {
        let parts = parts.as_object().expect("a map");
        client().read(parts, reach).map(|request| format!("{} {}", request.method, request.url))
    }

    #[test]
    fn a_path_stays_below_the_api_and_a_url_on_its_host() {
        let ok = |url: &str| read(&json!({"url": url}), Reach::Api);
        assert_eq!(ok("/deployments"), Ok("GET https://api.example.com/v2/deployments".to_owned()));
        assert_eq!(ok("metrics?since=1"), Ok("GET https://api.example.com/v2/metrics?since=1".to_owned()));
        assert_eq!(ok("https://api.example.com/v2/x"), Ok("GET https://api.example.com/v2/x".to_owned()));
        for bad in [
            "/../admin",
            "/%2e%2e/admin",
            "/a/../../b",
            "//evil.example.com/x/../../..",
            "https://evil.example.com/v2/x",
            "https://api.example.com.evil.com/",
            "https://api.example.com@evil.com/",
            "http://api.example.com/v2/x",
            "ftp://api.example.com/v2",
        ] {
            assert!(ok(bad).is_err(), "{bad}: {:?}", ok(bad));
        }
        // A path that only looks like a host is one.
        assert_eq!(ok("//evil.example.com/x"), Ok("GET https://api.example.com/v2/evil.example.com/x".to_owned()));
    }

    #[test]
    fn a_run_in_the_emulator_reaches_no_other_machine() {
        assert!(read(&json!({"url": "http://127.0.0.1:3/x"}), Reach::Loopback).is_ok());
        assert!(
            read(&json!({"url": "https://example.com/x"}), Reach::Loopback)
                .is_err_and(|told| told.contains("emulator"))
        );
        assert!(read(&json!({"url": "https://example.com/x"}), Reach::Anywhere).is_ok());
    }

    #[test]
    fn queries_take_lists_and_nulls_go() {
        let url =
            read(&json!({"method": "PUT", "url": "/x", "query": {"a": [1, "b c"], "n": null, "t": true}}), Reach::Api);
        assert_eq!(url, Ok("PUT https://api.example.com/v2/x?a=1&a=b+c&t=true".to_owned()));
        assert!(read(&json!({"url": "/x", "query": {"a": {}}}), Reach::Api).is_err());
    }

    #[test]
    fn headers_of_the_connection_and_of_the_key_are_refused() {
        for name in ["Host", "content-length", "Authorization", "X-Api-Key", "bad name"] {
            assert!(read(&json!({"url": "/x", "headers": {name: "v"}}), Reach::Api).is_err(), "{name}");
        }
        assert!(
            read(&json!({"url": "https://a.example.com", "headers": {"Authorization": "Bearer x"}}), Reach::Anywhere)
                .is_ok()
        );
        assert!(read(&json!({"url": "/x", "headers": {"X-A": "a\nb"}}), Reach::Api).is_err());
    }
}
