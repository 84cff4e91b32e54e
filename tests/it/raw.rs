//! A client that speaks plain HTTP/1.1 over one connection a request, so that tests see the bytes and the break of a connection, not what a
//! library makes of them.

use std::{collections::BTreeMap, fmt::Write};

use dagwood::{
    sandbox::{Sandbox, Settings},
    world::World,
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Starts an emulator in a scripted world whose clock stands at this time.
pub(crate) async fn emulator(settings: Settings, start: &str) -> (Sandbox, World) {
    let world = World::scripted(start.parse().expect("a timestamp"), 7, BTreeMap::new());
    (Sandbox::start(settings, world.clone()).await.expect("a free port"), world)
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// Whether the body is as long as announced.
    pub(crate) whole: bool,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{error} in status {}: {}", self.status, String::from_utf8_lossy(&self.body))
        })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// Sends JSON, with a key as a bearer token; nothing comes back where the connection closed without an answer.
pub(crate) async fn send(
    address: &str,
    method: &str,
    path: &str,
    key: Option<&str>,
    body: Option<&[u8]>,
) -> Option<Answer> {
    let bearer = key.map(|key| format!("Bearer {key}"));
    let mut headers: Vec<_> = bearer.iter().map(|bearer| ("Authorization", bearer.as_str())).collect();
    headers.extend(body.map(|_| ("Content-Type", "application/json")));
    send_with(address, method, path, &headers, body).await
}

/// Sends a request with these headers, and `Content-Length` unless the body comes in chunks; nothing comes back where the connection
/// closed without an answer.
pub(crate) async fn send_with(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    let chunked = headers.iter().any(|(name, _)| *name == "Transfer-Encoding");
    if let Some(body) = body.filter(|_| !chunked) {
        let _ = write!(head, "Content-Length: {}\r\n", body.len());
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await.expect("the request is taken");
    // The server may have refused a large body before all of it was sent.
    let _ = stream.write_all(body.unwrap_or_default()).await;
    let mut bytes = Vec::new();
    // A reset after the answer is the end of it.
    let _ = stream.read_to_end(&mut bytes).await;
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).expect("a head is text");
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().expect("a status is a number");
    let headers: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let rest = &bytes[end + 4..];
    let (body, whole) = match headers.get("content-length") {
        Some(length) => (rest.to_vec(), rest.len() == length.parse::<usize>().expect("a length is a number")),
        None if headers.contains_key("transfer-encoding") => chunks(rest),
        None => (rest.to_vec(), true),
    };
    Some(Answer { status, headers, body, whole })
}

fn chunks(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let Some(size) = size else { break };
        if size == 0 {
            return (body, true);
        }
        let Some(chunk) = rest.get(end + 2..end + 2 + size) else { break };
        body.extend(chunk);
        rest = rest.get(end + 4 + size..).unwrap_or_default();
    }
    (body, false)
}
