//! The shared client: every way an exchange can end, and what the key and a submit must never do.

use std::{collections::BTreeMap, time::Duration};

use dagwood::{
    job::{Fault, FaultKind},
    provider::{
        Answer, RateHint,
        http::{Client, ClientSettings, Credential, Reply},
    },
    secret::{Redactor, Secret},
    world::World,
};
use serde_json::json;

use crate::wire::{self, Act, Wire, answer};

const CANARY: &str = "sk_live_canary_0123456789";
const OTHER: &str = "workflow_canary_987654321";

fn client_with(url: &str, change: impl FnOnce(&mut ClientSettings), environment: &[(&str, &str)]) -> Client {
    let environment: BTreeMap<_, _> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut settings = ClientSettings {
        credential: Some(Credential { header: "authorization", prefix: "Bearer ", key: Secret::new(CANARY) }),
        redactor: Redactor::new([Secret::new(OTHER)]),
        ..ClientSettings::new(url)
    };
    change(&mut settings);
    assert!(!format!("{settings:?}").contains("canary"));
    Client::new(settings, World::real().with_environment(environment)).expect("a client")
}

fn client(url: &str) -> Client {
    client_with(url, |_| {}, &[])
}

async fn post(client: &Client) -> Answer<Reply> {
    client.post(&["run"], Some(&json!({"prompt": "private words"})), Duration::from_secs(30)).await
}

/// Checks that nothing of an answer tells a secret or what was asked, and returns its fault.
fn fault(answer: &Answer<Reply>) -> Fault {
    let fault = answer.result.clone().expect_err("a fault");
    let shown = format!("{fault} {answer:?}");
    assert!(!shown.contains("canary") && !shown.contains("private words"), "{shown}");
    fault
}

#[tokio::test]
async fn a_refused_connection_proves_that_nothing_was_sent() {
    let fault = fault(&post(&client(&wire::nobody().await)).await);
    assert_eq!(fault.kind, FaultKind::Network, "{fault}");
    assert!(fault.message.contains("`POST /run` was not sent") && !fault.may_have_happened(), "{fault}");
}

#[tokio::test]
async fn a_failed_tls_handshake_proves_that_nothing_was_sent() {
    let wire = Wire::start(|_| Act::Close(Vec::new())).await;
    // Whatever a plain server says to a client's hello, it is no TLS.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("https://{}", listener.local_addr().expect("an address"));
    let mut server = tokio::task::JoinSet::new();
    server.spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    });
    let fault = fault(&post(&client(&url)).await);
    assert_eq!(fault.kind, FaultKind::Network, "{fault}");
    assert!(wire.requests().is_empty());
}

#[tokio::test]
async fn a_connection_that_ends_without_an_answer_is_ambiguous_and_sent_once() {
    let wire = Wire::start(|_| Act::Close(Vec::new())).await;
    let fault = fault(&post(&client(&wire.url(""))).await);
    assert_eq!(fault.kind, FaultKind::Ambiguous, "{fault}");
    assert_eq!(wire.lines(), ["POST /run"]);
    assert_eq!(wire.requests()[0].body, r#"{"prompt":"private words"}"#);
}

#[tokio::test]
async fn a_submit_is_sent_once_on_a_fresh_connection_though_idle_ones_close() {
    // Each connection is kept alive in words and closed in deed: just what a reused connection trips over.
    let wire = Wire::start(|_| Act::Close(answer("200 OK", &[("connection", "keep-alive")], "{}"))).await;
    let client = client(&wire.url(""));
    for _ in 0..20 {
        // A look may trip, and is asked again by its caller.
        let _ = client.get(&["jobs"], &[]).await;
        post(&client).await.result.expect("an answer");
    }
    let posts: Vec<_> = wire.requests().into_iter().filter(|request| request.line() == "POST /run").collect();
    assert_eq!(posts.len(), 20);
}

#[tokio::test]
async fn looks_share_a_connection_and_submits_do_not() {
    let wire = Wire::start(|_| wire::json("200 OK", "{}")).await;
    let client = client(&wire.url(""));
    for _ in 0..3 {
        client.get(&["jobs"], &[("limit", "100")]).await.result.expect("an answer");
    }
    for _ in 0..2 {
        post(&client).await.result.expect("an answer");
    }
    let connections: Vec<_> = wire.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0, 0, 1, 2]);
    assert_eq!(wire.lines()[0], "GET /jobs?limit=100");
}

#[tokio::test]
async fn each_status_has_its_kind() {
    let (ok, nothing, maybe) = (None, Some(false), Some(true));
    for (status, kind, happened) in [
        ("200 OK", None, ok),
        ("202 Accepted", None, ok),
        ("400 Bad Request", Some(FaultKind::Rejected), nothing),
        ("401 Unauthorized", Some(FaultKind::Unauthorized), nothing),
        ("402 Payment Required", Some(FaultKind::Credits), nothing),
        ("403 Forbidden", Some(FaultKind::Forbidden), nothing),
        ("404 Not Found", Some(FaultKind::NotFound), nothing),
        ("405 Method Not Allowed", Some(FaultKind::Rejected), nothing),
        ("409 Conflict", Some(FaultKind::Rejected), nothing),
        ("410 Gone", Some(FaultKind::NotFound), nothing),
        ("413 Payload Too Large", Some(FaultKind::Rejected), nothing),
        ("415 Unsupported Media Type", Some(FaultKind::Rejected), nothing),
        ("418 I'm a teapot", Some(FaultKind::Rejected), nothing),
        ("422 Unprocessable Entity", Some(FaultKind::Rejected), nothing),
        ("429 Too Many Requests", Some(FaultKind::RateLimited), nothing),
        ("408 Request Timeout", Some(FaultKind::Unavailable), maybe),
        ("500 Internal Server Error", Some(FaultKind::Unavailable), maybe),
        ("502 Bad Gateway", Some(FaultKind::Unavailable), maybe),
        ("503 Service Unavailable", Some(FaultKind::Unavailable), maybe),
    ] {
        let wire = Wire::start(move |_| wire::json(status, r#"{"error": "the API's words"}"#)).await;
        let answer = post(&client(&wire.url("/api/v1"))).await;
        assert_eq!(answer.result.as_ref().err().map(|fault| fault.kind), kind, "{status}");
        if kind.is_some() {
            let fault = fault(&answer);
            assert_eq!(Some(fault.may_have_happened()), happened, "{status}");
            assert_eq!(fault.status.map(|code| code.to_string()).as_deref(), status.split(' ').next());
            assert!(
                fault.message.starts_with("`POST /api/v1/run` answered ")
                    && fault.message.ends_with(": the API's words"),
                "{fault}"
            );
        }
        assert_eq!(wire.lines(), ["POST /api/v1/run"], "{status}");
    }
}

#[tokio::test]
async fn unreadable_answers_are_malformed_and_broken_ones_ambiguous() {
    let html = "<html><head><title>Welcome to\nthe hotel</title></head>";
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"id\":".to_vec();
    let chunks = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"id\"\r\n".to_vec();
    for (row, bytes, kind, said) in [
        ("whole but not JSON", answer("200 OK", &[], "{\"id\": \"j"), FaultKind::Malformed, "no JSON"),
        ("a page", answer("200 OK", &[], html), FaultKind::Malformed, "`Welcome to the hotel`"),
        ("nothing", answer("200 OK", &[], ""), FaultKind::Malformed, "an empty body"),
        ("deep", answer("200 OK", &[], "[".repeat(100_000)), FaultKind::Malformed, "no JSON"),
        ("cut off", cut, FaultKind::Ambiguous, "broke off"),
        ("cut off in chunks", chunks, FaultKind::Ambiguous, "broke off"),
        ("no HTTP", b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(), FaultKind::Ambiguous, "no answer came"),
    ] {
        let wire = Wire::start(move |_| Act::Close(bytes.clone())).await;
        let fault = fault(&post(&client(&wire.url(""))).await);
        assert_eq!(fault.kind, kind, "{row}: {fault}");
        assert!(fault.message.contains(said) && fault.may_have_happened(), "{row}: {fault}");
        assert_eq!(wire.requests().len(), 1, "{row}");
    }
}

#[tokio::test]
async fn a_body_is_read_up_to_its_bound() {
    let wire = Wire::start(|request| {
        let body = if request.line() == "GET /fits" {
            format!("\"{}\"", "x".repeat(998))
        } else {
            format!("\"{}\"", "x".repeat(999))
        };
        Act::Send(answer("200 OK", &[], body))
    })
    .await;
    let client = client_with(&wire.url(""), |settings| settings.body_limit = 1000, &[]);
    assert!(client.get(&["fits"], &[]).await.result.is_ok());
    let fault = fault(&client.get(&["more"], &[]).await);
    assert_eq!(fault.kind, FaultKind::Malformed);
    assert!(fault.message.contains("more than 1000 bytes"), "{fault}");
}

#[tokio::test]
async fn an_error_page_is_cut_to_its_title_and_long_words_to_two_kilobytes() {
    let page = format!("<!DOCTYPE html><title>502 Bad Gateway</title>{}", "x".repeat(1_000_000));
    let wire = Wire::start(move |request| {
        let body = if request.line() == "GET /page" { page.clone() } else { "word ".repeat(100_000) };
        Act::Close(answer("502 Bad Gateway", &[], body))
    })
    .await;
    let client = client(&wire.url(""));
    let page = fault(&client.get(&["page"], &[]).await);
    assert_eq!(page.message, "`GET /page` answered 502 Bad Gateway: 502 Bad Gateway");
    let words = fault(&client.get(&["words"], &[]).await);
    assert!(words.message.len() <= 2048 && words.message.ends_with('…'), "{}", words.message.len());
}

#[tokio::test]
async fn silence_before_and_within_an_answer_ends_with_a_timeout() {
    for said in ["", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\nx-ratelimit-limit: 60\r\n\r\n{"] {
        let wire = Wire::start(move |_| Act::Silence(said.as_bytes().to_vec())).await;
        let answer = post(&client(&wire.url(""))).await;
        let fault = fault(&answer);
        assert_eq!(fault.kind, FaultKind::Timeout, "{fault}");
        assert!(fault.message.contains("within 30 s") && fault.may_have_happened(), "{fault}");
        assert_eq!(wire.requests().len(), 1);
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_redirect_of_a_post_is_not_followed() {
    for status in
        ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
    {
        let wire = Wire::start(move |_| Act::Send(answer(status, &[("location", "/elsewhere")], ""))).await;
        let fault = fault(&post(&client(&wire.url(""))).await);
        assert_eq!((fault.kind, wire.lines().len()), (FaultKind::Malformed, 1), "{status}");
        assert!(fault.message.contains("redirect") && fault.may_have_happened(), "{fault}");
    }
}

#[tokio::test]
async fn a_get_follows_within_the_origin_and_never_beyond_it() {
    let other = Wire::start(|_| wire::json("200 OK", "{}")).await;
    let beyond = other.url("/login?token=canary");
    let wire = Wire::start(move |request| {
        let to = |target: &str| Act::Send(answer("302 Found", &[("location", target)], ""));
        match request.line() {
            "GET /near" => to("/jobs"),
            "GET /far" => to(&beyond),
            "GET /loop" => to("/loop"),
            _ => wire::json("200 OK", r#"{"here": true}"#),
        }
    })
    .await;
    let client = client(&wire.url(""));
    assert_eq!(client.get(&["near"], &[]).await.result.expect("an answer").body, json!({"here": true}));
    assert!(wire.requests().iter().all(|request| request.head.contains(CANARY)), "the origin gets the key");
    let far = fault(&client.get(&["far"], &[]).await);
    assert!(far.message.contains("which is not followed"), "{far}");
    assert!(other.requests().is_empty(), "another origin gets nothing");
    assert_eq!(fault(&client.get(&["loop"], &[]).await).kind, FaultKind::Rejected);
    assert!(wire.requests().len() < 12, "{}", wire.requests().len());
}

#[tokio::test]
async fn headers_tell_the_rate_the_time_and_how_long_to_wait() {
    let wire = Wire::start(|request| {
        let date = ("date", "Wed, 21 Oct 2026 07:28:00 GMT");
        let rate =
            [date, ("x-ratelimit-limit", "60"), ("x-ratelimit-remaining", "7"), ("x-ratelimit-reset", "1792567700")];
        Act::Send(match request.line() {
            "GET /fine" => answer("200 OK", &rate, "{}"),
            "GET /seconds" => {
                answer("429 Too Many Requests", &[("retry-after", "60"), ("x-ratelimit-remaining", "0")], "{}")
            }
            "GET /date" => {
                answer("503 Service Unavailable", &[date, ("retry-after", "Wed, 21 Oct 2026 07:28:30 GMT")], "")
            }
            "GET /zero" => answer("429 Too Many Requests", &[("retry-after", "0")], ""),
            _ => answer("429 Too Many Requests", &[], ""),
        })
    })
    .await;
    let client = client(&wire.url(""));
    let fine = client.get(&["fine"], &[]).await;
    assert_eq!(fine.server_time, "2026-10-21T07:28:00Z".parse().ok());
    assert_eq!(fine.rate, RateHint { limit: Some(60), remaining: Some(7), reset: Some(Duration::from_secs(20)) });
    let limited = client.get(&["seconds"], &[]).await;
    assert_eq!((limited.rate.remaining, fault(&limited).retry_after), (Some(0), Some(Duration::from_mins(1))));
    assert_eq!(fault(&client.get(&["date"], &[]).await).retry_after, Some(Duration::from_secs(30)));
    assert_eq!(fault(&client.get(&["zero"], &[]).await).retry_after, Some(Duration::from_secs(1)));
    assert_eq!(fault(&client.get(&["absent"], &[]).await).retry_after, None);
}

#[tokio::test]
async fn echoed_secrets_are_redacted_on_receipt() {
    let wire = Wire::start(|request| {
        let body = format!(r#"{{"error": "Bearer {CANARY} is no key", "{OTHER}": ["a {OTHER} b"]}}"#);
        match request.line() {
            "GET /good" => wire::json("200 OK", &body),
            "GET /page" => Act::Send(answer("500 Internal Server Error", &[], format!("key {CANARY}"))),
            _ => wire::json("401 Unauthorized", &body),
        }
    })
    .await;
    let client = client(&wire.url(""));
    let good = client.get(&["good"], &[]).await.result.expect("an answer").body;
    assert_eq!(good, json!({"error": "Bearer **** is no key", "****": ["a **** b"]}));
    assert!(fault(&client.get(&["bad"], &[]).await).message.ends_with("Bearer **** is no key"));
    assert!(fault(&client.get(&["page"], &[]).await).message.ends_with("key ****"));
    assert!(!format!("{client:?}").contains("canary"));
}

#[tokio::test]
async fn the_environments_proxy_is_obeyed_and_this_machine_never_proxied() {
    let proxy = Wire::start(|_| Act::Close(answer("403 Forbidden", &[], ""))).await;
    let url = proxy.url("").replace("http://", "http://user:canary@");
    let environment = [("HTTPS_PROXY", url.as_str()), ("HTTP_PROXY", url.as_str())];
    let far = client_with("https://api.example.com/v1", |_| {}, &environment);
    let refused = fault(&post(&far).await);
    assert_eq!(refused.kind, FaultKind::Network, "{refused}");
    assert_eq!(proxy.lines(), ["CONNECT api.example.com:443"]);
    assert!(!proxy.requests()[0].head.contains(CANARY), "the key is for the API");

    let near = Wire::start(|_| wire::json("200 OK", "{}")).await;
    client_with(&near.url(""), |_| {}, &environment).get(&["jobs"], &[]).await.result.expect("an answer");
    let port = near.url("").rsplit(':').next().map(str::to_owned).expect("a port");
    client_with(&format!("http://localhost:{port}"), |_| {}, &environment)
        .get(&["jobs"], &[])
        .await
        .result
        .expect("an answer");
    assert_eq!((near.lines().len(), proxy.lines().len()), (2, 1));
}

/// No machine has this address: it is one of a group, to which nothing connects, and no packet leaves.
#[tokio::test]
async fn what_no_proxy_names_is_not_asked_of_the_proxy() {
    let proxy = Wire::start(|_| Act::Close(answer("403 Forbidden", &[], ""))).await;
    let url = proxy.url("");
    for (exceptions, asked) in [("example.com,224.0.0.1", 0), ("example.com", 1)] {
        let environment = [("HTTPS_PROXY", url.as_str()), ("NO_PROXY", exceptions)];
        let client = client_with("https://224.0.0.1/v1", |_| {}, &environment);
        assert_eq!(fault(&post(&client).await).kind, FaultKind::Network);
        assert_eq!(proxy.lines().len(), asked, "{exceptions}");
    }
}
