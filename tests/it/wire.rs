//! A server that speaks raw HTTP as a test tells it, and remembers what it was sent.
//!
//! It is raw so that it can do what no decent server would: break off, close, say too much, or fall silent. Nothing sleeps: where a
//! test is about waiting, the server pauses Tokio's clock, which then jumps to the next timer.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Which connection it came on, counted from 0.
    pub(crate) connection: usize,
    /// Request line and headers.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: String,
    /// The body, where it is no text.
    pub(crate) bytes: Vec<u8>,
}

impl Request {
    /// Returns the method and the target, `GET /jobs?limit=100`.
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1")
    }

    /// Returns the first header of this name, whatever its case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        headers.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// Returns the body, which is JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// What the server does about a request.
pub(crate) enum Act {
    /// Sends these bytes and waits for the next request.
    Send(Vec<u8>),
    /// Sends these bytes, perhaps none, and closes.
    Close(Vec<u8>),
    /// Sends these bytes, then lets time pass without another word.
    Silence(Vec<u8>),
}

/// A running server.
pub(crate) struct Wire {
    address: SocketAddr,
    log: Arc<Mutex<Vec<Request>>>,
    _server: JoinSet<()>,
}

impl Wire {
    /// Starts a server that acts as told.
    pub(crate) async fn start(act: impl Fn(&Request) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let log = Arc::new(Mutex::new(Vec::new()));
        let (mut server, seen, act) = (JoinSet::new(), Arc::clone(&log), Arc::new(act));
        server.spawn(async move {
            let mut connections = JoinSet::new();
            for number in 0.. {
                let (stream, _) = listener.accept().await.expect("a connection");
                let (seen, act) = (Arc::clone(&seen), Arc::clone(&act));
                connections.spawn(async move { serve(stream, number, &seen, &*act).await });
            }
        });
        Self { address, log, _server: server }
    }

    /// Returns `http://127.0.0.1:PORT` with this path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns the requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log.lock().expect("the log").clone()
    }

    /// Returns the request lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.requests().iter().map(|request| request.line().to_owned()).collect()
    }
}

/// Returns the URL of a port that nobody listens on.
pub(crate) async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    format!("http://{}", listener.local_addr().expect("an address"))
}

/// Returns a whole answer.
pub(crate) fn answer(status: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len()).into_bytes();
    for (name, value) in headers {
        answer.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    answer.extend_from_slice(b"\r\n");
    answer.extend_from_slice(body);
    answer
}

/// Returns a whole answer with JSON in it.
pub(crate) fn json(status: &str, body: &str) -> Act {
    Act::Send(answer(status, &[("content-type", "application/json")], body))
}

async fn serve(mut stream: TcpStream, connection: usize, log: &Mutex<Vec<Request>>, act: &impl Fn(&Request) -> Act) {
    while let Some((head, bytes)) = read(&mut stream).await {
        let body = String::from_utf8_lossy(&bytes).into_owned();
        let request = Request { connection, head, body, bytes };
        log.lock().expect("the log").push(request.clone());
        let (bytes, stays) = match act(&request) {
            Act::Send(bytes) => (bytes, true),
            Act::Close(bytes) => (bytes, false),
            Act::Silence(bytes) => {
                let _ = stream.write_all(&bytes).await;
                tokio::time::pause();
                std::future::pending().await
            }
        };
        // A client that has read enough may be gone.
        if stream.write_all(&bytes).await.is_err() || !stays {
            return;
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map_or(0, |(_, value)| value.trim().parse().expect("a length"));
            if bytes.len() >= end + 4 + length {
                return Some((head, bytes[end + 4..].to_vec()));
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}
