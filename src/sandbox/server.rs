//! The server: sockets and bytes on one side, the pure emulator on the other, and all the waiting.
//!
//! ```text
//! connection ─▶ read whole ─▶ meet the fault script ─▶ wait ─▶ skin ─▶ (wait for the job) ─▶ spoil ─▶ answer
//! ```
//!
//! It serves connections itself, without a framework's `serve`, since a fault may be that a connection closes without an
//! answer: the service then returns an error, on which hyper drops the connection.

use std::{
    borrow::Cow,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    body::{self, Body as Payload, Bytes},
    http::{HeaderName, HeaderValue, Request, Response, StatusCode},
};
use futures_util::{StreamExt, stream};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Notify,
    task::JoinSet,
};

use super::{
    Api, SandboxError,
    api::FILES,
    emulator::{Body, Call, Content, Emulator, Met, Outcome, Reply},
    faults::{Door, Spoil, Variant},
    headers::{http_date, retry_after},
    storage::LARGEST_FILE,
};
use crate::world::World;

/// The largest body that is read of a request to an API. One that brings a file may be larger.
const LARGEST_BODY: usize = 4 << 20;

/// Connections that may wait to be accepted: a burst of a thousand must not meet a full queue and its one-second retry.
const BACKLOG: u32 = 4096;

/// The media type of all answers but files.
const JSON: Cow<'static, str> = Cow::Borrowed("application/json");

/// The page of a proxy that stands in for an answer.
const PAGE: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n\
                    <hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    world: World,
    emulator: Mutex<Emulator>,
    /// Told when a job was cancelled, since a request may wait for its end.
    cancelled: Notify,
}

impl Shared {
    pub(super) fn new(world: World, emulator: Emulator) -> Self {
        Self { world, emulator: Mutex::new(emulator), cancelled: Notify::new() }
    }

    /// Locks the emulator. Held between two lines, never over an await.
    pub(super) fn emulator(&self) -> MutexGuard<'_, Emulator> {
        self.emulator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.world.now()
    }
}

/// Binds a socket.
pub(super) fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), SandboxError> {
    let wrap = |source| SandboxError::Bind { address, source };
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(wrap)?;
    socket.set_reuseaddr(true).map_err(wrap)?;
    socket.bind(address).map_err(wrap)?;
    let listener = socket.listen(BACKLOG).map_err(wrap)?;
    let bound = listener.local_addr().map_err(wrap)?;
    Ok((listener, bound))
}

/// Serves until dropped; its connections end with it.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&shared)));
                }
                // Out of file descriptors, as a rule: some will come back.
                Err(_) => shared.world.sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    // Without it, small answers may wait for an acknowledgement; where it cannot be set, they do.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { answer(&shared, request).await }
    });
    // The emulator sends its own `Date`, by its world's clock. How a connection ended is the client's to notice.
    let _ = http1::Builder::new().auto_date_header(false).serve_connection(TokioIo::new(stream), service).await;
}

/// Says that a connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the fault script closes the connection")]
struct HangUp;

async fn answer(shared: &Shared, request: Request<Incoming>) -> Result<Response<Payload>, HangUp> {
    let call = read(request).await;
    let met = shared.emulator().meet(&call, shared.now());
    let effects = &met.effects;
    if !effects.latency.is_zero() {
        shared.world.sleep(effects.latency).await;
    }
    if effects.refuse {
        return Err(HangUp);
    }
    let (spoil, reply) = if let Some(before) = &effects.before {
        (before, None)
    } else {
        let reply = reply(shared, &call, &met).await;
        let Some(after) = &effects.after else { return Ok(finish(shared, &met, reply)) };
        (after, Some(reply))
    };
    spoiled(shared, &call, &met, spoil, reply)
}

async fn read(request: Request<Incoming>) -> Call {
    let (parts, incoming) = request.into_parts();
    let text = |(name, value): (&HeaderName, &HeaderValue)| Some((name.to_string(), value.to_str().ok()?.to_owned()));
    let path = parts.uri.path().to_owned();
    let is_file = path.starts_with(FILES);
    let largest = if is_file { LARGEST_FILE } else { LARGEST_BODY };
    let (body, bytes) = match body::to_bytes(Payload::new(incoming), largest).await {
        Ok(bytes) if bytes.is_empty() => (Body::Empty, Bytes::new()),
        Ok(bytes) if is_file => (Body::NoJson, bytes),
        Ok(bytes) => (serde_json::from_slice(&bytes).map_or(Body::NoJson, Body::Json), bytes),
        Err(_) => (Body::TooLarge, Bytes::new()),
    };
    Call {
        method: parts.method.as_str().to_owned(),
        path,
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers.iter().filter_map(text).collect(),
        body,
        bytes: bytes.into(),
    }
}

/// Does what was asked for, and waits for the job where the answer does.
async fn reply(shared: &Shared, call: &Call, met: &Met) -> Reply {
    let effects = &met.effects;
    let outcome = {
        let mut emulator = shared.emulator();
        match Api::of(&call.path) {
            Some(api) => api.serve(&mut emulator, call, met.place, effects, shared.now()),
            None => Outcome::Reply(emulator.other(call, shared.now())),
        }
    };
    if met.door == Some(Door::Cancel) {
        shared.cancelled.notify_waiters();
    }
    let (job, headers) = match outcome {
        Outcome::Reply(reply) => return reply,
        Outcome::Wait { job, headers } => (job, headers),
    };
    if matches!(effects.after, Some(Spoil::Lost | Spoil::Status { .. } | Spoil::Html(_))) {
        // The job goes on; an answer that nobody will see need not wait for it.
        return Reply { headers, ..Reply::json(200, serde_json::Value::Null) };
    }
    loop {
        let told = shared.cancelled.notified();
        let now = shared.now();
        let (ends, reply) = {
            let mut emulator = shared.emulator();
            emulator.jobs.settle(now);
            let job = emulator.jobs.get(&job).expect("a job is never forgotten");
            (job.ends_at, job.state.is_terminal().then(|| job.api.ended(&emulator, job, effects)))
        };
        if let Some(mut reply) = reply {
            reply.headers.extend(headers);
            return reply;
        }
        match ends {
            Some(end) => {
                let left = Duration::try_from(end.duration_since(now)).unwrap_or(Duration::ZERO);
                tokio::select! {
                    // Timers have a grain of a millisecond, and may wake on the wrong side of it.
                    () = shared.world.sleep(left.max(Duration::from_millis(1))) => {}
                    () = told => {}
                }
            }
            None => told.await,
        }
    }
}

fn spoiled(
    shared: &Shared,
    call: &Call,
    met: &Met,
    spoil: &Spoil,
    reply: Option<Reply>,
) -> Result<Response<Payload>, HangUp> {
    let effects = &met.effects;
    let (status, mut headers) = reply.as_ref().map_or((200, Vec::new()), |reply| (reply.status, reply.headers.clone()));
    match spoil {
        Spoil::Lost => Err(HangUp),
        Spoil::Status { status, message, retry_after: wait } => {
            let mut answer = match Api::of(&call.path) {
                Some(api) => api.error(*status, message, effects),
                None => Reply::error(*status, message.clone()),
            };
            answer.headers.extend(wait.and_then(|wait| retry_after(wait, effects, shared.now())));
            Ok(finish(shared, met, answer))
        }
        Spoil::Html(status) => {
            let body = Content::File { content_type: Cow::Borrowed("text/html"), bytes: PAGE.as_bytes().to_vec() };
            Ok(finish(shared, met, Reply { status: *status, headers: Vec::new(), body }))
        }
        Spoil::Broken => {
            headers.push(("Content-Type", "application/json".to_owned()));
            let payload = Payload::from(r#"{"id": "0fefb57b, "status: processing}"#);
            Ok(respond(shared, met, status, headers, payload))
        }
        Spoil::Truncated => {
            let (content_type, bytes) = reply.map_or((None, Vec::new()), |reply| bytes(reply.body));
            headers.push(("Content-Type", content_type.unwrap_or(JSON).into_owned()));
            headers.push(("Content-Length", bytes.len().max(2).to_string()));
            let half = Bytes::copy_from_slice(&bytes[..bytes.len() / 2]);
            // The break comes a turn later, so that the first half is on its way.
            let end = stream::once(async {
                tokio::task::yield_now().await;
                Err(HangUp)
            });
            let payload = Payload::from_stream(stream::iter([Ok(half)]).chain(end));
            Ok(respond(shared, met, status, headers, payload))
        }
        Spoil::Huge(size) => {
            headers.push(("Content-Type", "application/json".to_owned()));
            Ok(respond(shared, met, status, headers, huge(*size)))
        }
    }
}

/// Returns a body of so many bytes, a JSON string, without ever holding it.
fn huge(size: u64) -> Payload {
    const PIECE: u64 = 64 << 10;
    let filler = Bytes::from(vec![b'x'; usize::try_from(PIECE).expect("a small piece")]);
    let inner = size.saturating_sub(2);
    let pieces = (0..inner.div_ceil(PIECE)).map(move |number| {
        let length = PIECE.min(inner - number * PIECE);
        filler.slice(..usize::try_from(length).expect("at most a piece"))
    });
    let quote = || std::iter::once(Bytes::from_static(b"\""));
    Payload::from_stream(stream::iter(quote().chain(pieces).chain(quote()).map(Ok::<_, Infallible>)))
}

fn bytes(content: Content) -> (Option<Cow<'static, str>>, Vec<u8>) {
    match content {
        Content::Nothing => (None, Vec::new()),
        Content::Json(value) => (Some(JSON), value.to_string().into_bytes()),
        Content::File { content_type, bytes } => (Some(content_type), bytes),
    }
}

fn finish(shared: &Shared, met: &Met, reply: Reply) -> Response<Payload> {
    let (content_type, bytes) = bytes(reply.body);
    let mut headers = reply.headers;
    headers.extend(content_type.map(|content_type| ("Content-Type", content_type.into_owned())));
    respond(shared, met, reply.status, headers, Payload::from(bytes))
}

fn respond(
    shared: &Shared,
    met: &Met,
    status: u16,
    headers: Vec<(&'static str, String)>,
    payload: Payload,
) -> Response<Payload> {
    if let Some(entry) = shared.emulator().logged(met.place) {
        entry.status = Some(status);
    }
    let mut response = Response::new(payload);
    *response.status_mut() = StatusCode::from_u16(status).expect("statuses are checked where they are written");
    let date = (!met.effects.has(Variant::NoDate)).then(|| ("Date", http_date(shared.now())));
    for (name, value) in headers.into_iter().chain(date) {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("our own header names are valid");
        let value = HeaderValue::from_str(&value).expect("our own header values are valid");
        response.headers_mut().insert(name, value);
    }
    response
}
