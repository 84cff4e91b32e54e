//! A second host that must never see a key: every call of every provider against an API that sends it elsewhere, by redirects, by links in
//! its answers, by where files are to go and where they come from.
//!
//! The second host answers everything well, so that whoever is sent there stays. What must be so:
//!
//! - the calls of providers do not go there at all;
//! - a step's GET or HEAD goes there as a stranger, without the key and without any header of the step, and stays one when it is sent
//!   back; nothing else of a step follows;
//! - bytes of a file go there without any credential, whatever the answer asks to send;
//! - downloads carry no key, also from the API's own host.

use std::path::Path;

use dagwood::{
    artifact::{Content, Downloader},
    job::{IdempotencyKey, Job, JobHandle, JobRequest, Operation, Target, TargetKind},
    provider::{
        LocalFile, Provider, Wanted,
        aimp::{Aimp, AimpSettings},
        airmy::{Airmy, AirmySettings},
        armox::{Armox, ArmoxSettings},
    },
    secret::Secret,
    world::World,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::wire::{self, Act, Request, Wire, answer};

const KEY: &str = "key-canary-0123456789";

/// The statuses of redirects, those that turn a POST into a GET among them.
const MOVED: [&str; 5] =
    ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"];

/// Returns each provider with its key, at this API.
pub(crate) fn providers(api: &Wire) -> Vec<(&'static str, Box<dyn Provider>)> {
    let key = || Secret::new(KEY);
    let armox = ArmoxSettings { base_url: api.url("/api/v1"), ..ArmoxSettings::new(key()) };
    let airmy = AirmySettings { base_url: api.url("/v2"), look_at_runs: true, ..AirmySettings::new(key()) };
    let aimp = AimpSettings::new(api.url("/api"), key());
    vec![
        ("armox", Box::new(Armox::new(armox, World::real()).expect("a provider"))),
        ("airmy", Box::new(Airmy::new(airmy, World::real()).expect("a provider"))),
        ("aimp", Box::new(Aimp::new(aimp, World::real()).expect("a provider"))),
    ]
}

fn attempt() -> IdempotencyKey {
    IdempotencyKey("run/step/1".to_owned())
}

fn request(kind: TargetKind, id: &str, inputs: &Value) -> JobRequest {
    let target = Target { kind, id: id.to_owned() };
    JobRequest { target, inputs: inputs.as_object().cloned().expect("a map"), operation: Operation::default() }
}

/// Makes every call that a provider has, but for steps with `http`; how they end is not what this is about.
async fn every_call(provider: &dyn Provider, file: &Path, look_at: &str) {
    let kinds: Vec<_> = provider.kinds().iter().copied().filter(|kind| *kind != TargetKind::Http).collect();
    let _ = provider.account().await;
    let _ = provider.catalog(&Wanted::Kinds(kinds.clone())).await;
    let named = kinds.iter().map(|kind| (*kind, "thing".to_owned())).collect();
    let _ = provider.catalog(&Wanted::Named(named)).await;
    let _ = provider.recent(Timestamp::UNIX_EPOCH).await;
    for kind in kinds {
        let target = Target { kind, id: "thing".to_owned() };
        let _ = provider.submit(&request(kind, "thing", &json!({"text": "x"})), &attempt()).await;
        let _ = provider.recent_of(&target, Timestamp::UNIX_EPOCH).await;
        let job = |look_at| Job { id: JobHandle("run_1".to_owned()), target: target.clone(), look_at };
        for job in [job(None), job(Some(look_at.to_owned()))] {
            let _ = provider.look(std::slice::from_ref(&job)).await;
            let _ = provider.look(&[job.clone(), Job { id: JobHandle("run_2".to_owned()), ..job.clone() }]).await;
            let _ = provider.cancel(&job).await;
        }
    }
    let file = LocalFile {
        path: file.to_owned(),
        name: "picture.png".to_owned(),
        content_type: "image/png".to_owned(),
        bytes: std::fs::metadata(file).expect("a file").len(),
    };
    let _ = provider.upload(&file).await;
}

/// Makes a request as a step with `http` and `provider` does.
async fn step(provider: &dyn Provider, method: &str, url: &str) -> bool {
    let parts = json!({"method": method, "url": url, "headers": {"X-Private": "canary", "Cookie": "canary"}});
    provider.submit(&request(TargetKind::Http, &format!("{method} {url}"), &parts), &attempt()).await.result.is_ok()
}

/// Says whether a request has anything of a credential in it.
fn tells(request: &Request) -> bool {
    let all = format!("{}\n{}", request.head, request.body).to_lowercase();
    all.contains("canary") || ["authorization:", "x-api-key:", "cookie:"].iter().any(|name| all.contains(name))
}

/// A host where everything is well.
async fn elsewhere() -> Wire {
    Wire::start(|_| {
        wire::json("200 OK", r#"{"id": "run_1", "status": "completed", "output": "stolen", "data": [{"id": "run_1"}]}"#)
    })
    .await
}

fn picture() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "not really a picture").expect("a file");
    file
}

#[tokio::test]
async fn no_redirect_takes_a_key_to_another_host() {
    let file = picture();
    for status in MOVED {
        let other = elsewhere().await;
        let there = other.url("/v2/stolen");
        let api = Wire::start(move |_| Act::Send(answer(status, &[("location", &there)], "{}"))).await;
        for (name, provider) in providers(&api) {
            let (before, elsewhere) = (api.requests().len(), other.requests().len());
            every_call(&*provider, file.path(), "/v2/runs/run_1").await;
            let calls = api.requests().split_off(before);
            assert!(calls.len() >= 8 && calls.iter().all(tells), "{name}: each call was made, with the key");
            assert_eq!(other.requests().len(), elsewhere, "{status}: {name} went there: {:?}", other.lines());

            for method in ["POST", "PUT", "PATCH", "DELETE"] {
                assert!(!step(&*provider, method, "/x").await, "{status}: {name}: {method} is not followed");
            }
            assert_eq!(other.requests().len(), elsewhere, "{status}: {name} went there: {:?}", other.lines());
            for method in ["GET", "HEAD"] {
                let seen = other.requests().len();
                assert!(step(&*provider, method, "/x").await, "{status}: {name}: {method} is followed");
                let strangers = other.requests().split_off(seen);
                assert!(strangers.len() == 1 && !strangers.iter().any(tells), "{status}: {name}: {strangers:?}");
            }
            // The control, which the others are held against.
            assert!(api.requests().iter().all(tells), "{status}: {name}: the API itself sees the key");
        }
        assert!(!other.requests().is_empty());
    }
}

/// Within the API's origin a read is followed with its key; that is what makes the test before this one say something.
#[tokio::test]
async fn a_redirect_within_the_origin_keeps_the_key_and_one_back_from_elsewhere_does_not() {
    for status in MOVED {
        let api = Wire::start(move |request| match request.line() {
            line if line.ends_with("/near") => Act::Send(answer(status, &[("location", "here")], "")),
            _ => wire::json("200 OK", "{}"),
        })
        .await;
        let back = api.url("/v2/back");
        let other = Wire::start(move |_| Act::Send(answer(status, &[("location", &back)], ""))).await;
        let there = other.url("/there");
        let sends_away = Wire::start(move |_| Act::Send(answer(status, &[("location", &there)], ""))).await;
        for (name, provider) in providers(&api) {
            let before = api.requests().len();
            assert!(step(&*provider, "GET", "/near").await, "{status}: {name}");
            let seen = api.requests().split_off(before);
            assert!(seen.len() == 2 && seen.iter().all(tells), "{status}: {name}: {seen:?}");
        }
        // Away, and by the other host to a third one, which for the key's sake may as well be where it came from.
        for (name, provider) in providers(&sends_away) {
            let before = api.requests().len();
            assert!(step(&*provider, "GET", "/away").await, "{status}: {name}");
            let seen = api.requests().split_off(before);
            assert!(seen.len() == 1 && !tells(&seen[0]), "{status}: {name}: {seen:?}");
        }
        assert!(!other.requests().iter().any(tells));
    }
    // The very host that the key is for, by way of another one: who comes from there is a stranger.
    let (own, other) = around().await;
    for (name, provider) in providers(&own) {
        let before = own.requests().len();
        assert!(step(&*provider, "GET", "/away").await, "{name}");
        let seen = own.requests().split_off(before);
        assert_eq!(seen.iter().map(tells).collect::<Vec<_>>(), [true, false], "{name}: {seen:?}");
    }
    assert!(!other.requests().iter().any(tells));
}

/// Returns an API that sends what asks for `/away` to another host, and that host, which sends everybody back.
async fn around() -> (Wire, Wire) {
    let home = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
    let back = std::sync::Arc::clone(&home);
    let other = Wire::start(move |_| {
        let back = back.get().expect("the API is there");
        Act::Send(answer("302 Found", &[("location", back)], ""))
    })
    .await;
    let there = other.url("/there");
    let own = Wire::start(move |request| match request.line() {
        line if line.ends_with("/away") => Act::Send(answer("302 Found", &[("location", &there)], "")),
        _ => wire::json("200 OK", "{}"),
    })
    .await;
    home.set(own.url("/v2/back")).expect("it is set once");
    (own, other)
}

/// An API whose answers are full of links to the other host, under every name that a link may have, and that asks to send its key there.
#[tokio::test]
async fn no_link_in_an_answer_takes_a_key_to_another_host() {
    let file = picture();
    for (state, status) in [("queued", "202 Accepted"), ("completed", "200 OK"), ("running", "201 Created")] {
        let other = elsewhere().await;
        let link = other.url("/v2/stolen?page=2");
        let at = link.clone();
        let api = Wire::start(move |_| {
            let items = json!([{"id": "run_1", "slug": "thing", "name": "thing", "status": state, "status_url": at, "url": at}]);
            let asked = json!({"Authorization": format!("Bearer {KEY}"), "X-API-Key": KEY, "Cookie": KEY, "X-Custom": KEY});
            let body = json!({
                "id": "run_1", "job_id": "run_1", "upload_id": "u", "slug": "thing", "name": "thing", "status": state,
                "data": items, "results": items, "items": items,
                "next": at, "next_url": at, "next_page": at, "nextPage": at, "has_more": true,
                "pagination": {"next": at, "next_url": at}, "meta": {"next": at},
                "links": {"self": at, "next": at, "status": at}, "_links": {"self": {"href": at}, "next": {"href": at}},
                "status_url": at, "statusUrl": at, "location": at, "href": at, "url": at, "poll_url": at, "result_url": at,
                "callback_url": at, "webhook_url": at, "base_url": at, "redirect": at,
                "upload_url": at, "method": "PUT", "headers": asked, "media_ref": "m",
                "output": {"url": at, "image": at}, "balance": 1, "credits": 1,
            });
            let next = format!("<{at}>; rel=\"next\"");
            let headers = [
                ("content-type", "application/json"),
                ("location", at.as_str()),
                ("content-location", &at),
                ("link", &next),
                ("refresh", &next),
                ("operation-location", &at),
            ];
            Act::Send(answer(status, &headers, body.to_string()))
        })
        .await;
        for (name, provider) in providers(&api) {
            let before = other.requests().len();
            every_call(&*provider, file.path(), &link).await;
            let seen = other.requests().split_off(before);
            // Only a file's bytes may go there, once the API has said so.
            assert!(seen.iter().all(|request| request.line() == "PUT /v2/stolen?page=2"), "{state}: {name}: {seen:?}");
            assert_eq!(seen.is_empty(), name != "aimp", "{state}: {name}: the control: AIMP has uploads");
            assert!(!seen.iter().any(tells), "{state}: {name}: {seen:?}");
            assert!(!step(&*provider, "GET", &link).await, "{name}: a step's URL on another host");
        }
        assert!(!api.requests().is_empty() && api.requests().iter().all(tells), "the control: the API sees the key");
        assert!(other.requests().iter().all(|request| request.line().starts_with("PUT ")), "{:?}", other.lines());
    }
}

/// A link that looks like the API's own host and is another one.
#[tokio::test]
async fn what_only_looks_like_the_own_host_is_another_one() {
    let api = Wire::start(|_| wire::json("200 OK", "{}")).await;
    let host = api.url("").trim_start_matches("http://").to_owned();
    let port = host.rsplit(':').next().expect("a port").to_owned();
    for (name, provider) in providers(&api) {
        for url in [
            format!("http://{host}@127.0.0.1:1/x"),
            format!("http://127.0.0.1:{port}@127.0.0.1:1/x"),
            format!("http://localhost:{port}/x"),
            format!("http://127.0.0.2:{port}/x"),
            format!("https://{host}/x"),
            format!("http:\\\\127.0.0.1:1\\x://{host}"),
            "http://[::1]:1/x".to_owned(),
            format!("http://{host}.evil.invalid/x"),
            format!("ftp://{host}/x"),
            "/%2e%2e/%2e%2e/admin".to_owned(),
        ] {
            assert!(!step(&*provider, "GET", &url).await, "{name}: {url}");
            let job = Job {
                id: JobHandle("run_1".to_owned()),
                target: Target { kind: TargetKind::Model, id: "thing".to_owned() },
                look_at: Some(url.clone()),
            };
            if name == "aimp" && !url.starts_with('/') {
                assert!(provider.look(&[job]).await.result.is_err(), "{name}: {url}");
            }
            assert!(api.requests().is_empty(), "{name}: {url}: {:?}", api.lines());
        }
    }
    for (_, provider) in providers(&api) {
        // A path that only looks like a host is a path below the API.
        assert!(step(&*provider, "GET", &format!("//127.0.0.1:1\\@{host}/x")).await);
    }
    assert!(
        api.lines().iter().zip(["/api/v1/", "/v2/", "/api/"]).all(|(line, base)| line.contains(base)),
        "{:?}",
        api.lines()
    );
    let (_, aimp) = providers(&api).pop().expect("the last");
    assert!(step(&*aimp, "GET", &format!("http://{host}/api/x")).await, "the control");
    assert_eq!(api.lines().last().map(String::as_str), Some("GET /api/x"));
}

/// What comes out is fetched as a stranger, from wherever it lies and wherever that leads.
#[tokio::test]
async fn downloads_carry_no_key_also_to_the_apis_own_host() {
    let (own, other) = around().await;
    // A provider with its key has talked to the host before: that leaves nothing behind.
    for (_, provider) in providers(&own) {
        let _ = provider.account().await;
    }
    let told = own.requests().len();
    assert!(own.requests().iter().all(tells), "the control");
    let downloader = Downloader::new(&World::real()).expect("a downloader");
    for url in [own.url("/files/a.png"), own.url("/away"), other.url("/b.png")] {
        downloader.open(&Content::Url(url)).await.expect("it is there");
    }
    let fetched: Vec<_> = own.requests().split_off(told).into_iter().chain(other.requests()).collect();
    assert_eq!(fetched.len(), 6, "{fetched:?}");
    assert!(!fetched.iter().any(tells), "{fetched:?}");
}
