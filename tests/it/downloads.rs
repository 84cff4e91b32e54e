//! Downloads that break off: they go on where they stopped, where the server tells one version from another, and start anew elsewhere.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use dagwood::{
    artifact::{ArtifactError, Content, Downloader, Onward, Opened, Store, safe_path},
    result::SavedFile,
    world::World,
};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{
    scripted::{Behaviour, Bench},
    wire::{Act, Request, Wire, answer},
};

const TAG: (&str, &str) = ("etag", "\"v1\"");

fn world() -> World {
    World::scripted("2026-01-02T03:04:05Z".parse().expect("a time"), 7, BTreeMap::new())
}

/// Returns bytes that are nowhere the same as a little further on.
fn picture(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at * at / 7 + at) % 251).expect("a byte")).collect()
}

fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Returns what was asked for from here on.
fn from(request: &Request) -> Option<usize> {
    let range = request.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?;
    range.parse().ok()
}

/// Returns an answer with all of it that breaks off after so many bytes.
fn cut(headers: &[(&str, &str)], body: &[u8], at: usize) -> Act {
    let whole = answer("200 OK", headers, body);
    Act::Close(whole[..whole.len() - body.len() + at].to_vec())
}

/// Returns an answer with the rest.
fn rest(headers: &[(&str, &str)], body: &[u8], first: usize) -> Vec<u8> {
    let range = format!("bytes {first}-{}/{}", body.len() - 1, body.len());
    answer("206 Partial Content", &[&[("content-range", range.as_str())], headers].concat(), &body[first..])
}

/// Saves a URL, and opens it again as often as it breaks off; returns how it went on each time.
async fn save(url: &str, store: &Store) -> (Result<SavedFile, ArtifactError>, Vec<Onward>) {
    let downloader = Downloader::new(&world()).expect("a downloader");
    let mut opened: Opened = downloader.open(&Content::Url(url.to_owned())).await.expect("headers");
    let path = safe_path("a.bin").expect("a path");
    let mut saving = store.begin(&path, &opened).await.expect("a file in the making");
    let mut story = Vec::new();
    while let Err(error) = saving.write(&mut opened).await {
        if !error.is_transient() || story.len() == 5 {
            return (Err(error), story);
        }
        match opened.go_on().await {
            Ok(Onward::Anew) => {
                saving.start_anew().await.expect("it is emptied");
                story.push(Onward::Anew);
            }
            Ok(Onward::Continued) => story.push(Onward::Continued),
            Err(error) => return (Err(error), story),
        }
    }
    (saving.finish(&opened).await, story)
}

#[tokio::test]
async fn a_download_goes_on_where_it_stopped() {
    let body = picture(500_000);
    // Early, in the midst of a piece, at the end of one, late; with each thing that tells versions apart.
    let dated: &[(&str, &str)] =
        &[("last-modified", "Fri, 02 Jan 2026 03:04:05 GMT"), ("date", "Fri, 02 Jan 2026 04:00:00 GMT")];
    for (headers, condition) in
        [(&[TAG, ("accept-ranges", "bytes")][..], TAG.1), (&[TAG], TAG.1), (dated, "Fri, 02 Jan 2026 03:04:05 GMT")]
    {
        for at in [1, 1000, 65_536, 70_000, 499_999] {
            let (served, kept): (_, Vec<(String, String)>) =
                (body.clone(), headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect());
            let wire = Wire::start(move |request| {
                let headers: Vec<_> = kept.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                match from(request) {
                    None => cut(&headers, &served, at),
                    Some(first) => Act::Close(rest(&headers, &served, first)),
                }
            })
            .await;
            let folder = tempfile::tempdir().expect("a folder");
            let (saved, story) = save(&wire.url("/a?signature=s"), &Store::new(folder.path(), world())).await;
            let saved = saved.expect("it is whole");
            assert_eq!(story, [Onward::Continued], "{at}");
            assert_eq!((saved.bytes, saved.sha256), (500_000, sha256(&body)), "{at}");
            assert_eq!(fs::read(folder.path().join("a.bin")).expect("the file"), body, "{at}");
            let requests = wire.requests();
            assert_eq!(requests.len(), 2);
            assert_eq!(from(&requests[1]), Some(at), "nothing is fetched twice");
            assert_eq!(requests[1].header("if-range"), Some(condition));
            assert_eq!(requests[1].line(), "GET /a?signature=s");
            assert_eq!(requests[0].header("range"), None);
        }
    }
}

#[tokio::test]
async fn it_goes_on_more_than_once() {
    let body = picture(400_000);
    let served = body.clone();
    let wire = Wire::start(move |request| {
        let first = from(request).unwrap_or_default();
        let whole = if first == 0 { answer("200 OK", &[TAG], &served) } else { rest(&[TAG], &served, first) };
        let left = served.len() - first;
        // Each answer holds a hundred thousand bytes of what is left.
        Act::Close(whole[..whole.len() - left + left.min(100_000)].to_vec())
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let (saved, story) = save(&wire.url("/"), &Store::new(folder.path(), world())).await;
    assert_eq!(saved.expect("it is whole").sha256, sha256(&body));
    assert_eq!(story, [Onward::Continued; 3]);
    assert_eq!(wire.requests().iter().filter_map(from).collect::<Vec<_>>(), [100_000, 200_000, 300_000]);
}

#[tokio::test]
async fn without_anything_that_tells_versions_apart_it_starts_anew() {
    for headers in [
        &[][..],
        &[("accept-ranges", "bytes")],
        &[("etag", "W/\"v1\"")],
        &[TAG, ("accept-ranges", "none")],
        // It may still change within this second.
        &[("last-modified", "Fri, 02 Jan 2026 03:04:05 GMT"), ("date", "Fri, 02 Jan 2026 03:04:05 GMT")],
    ] {
        let body = picture(200_000);
        let (served, asked) = (body.clone(), AtomicUsize::new(0));
        let kept: Vec<_> = headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let wire = Wire::start(move |_| {
            let headers: Vec<_> = kept.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            match asked.fetch_add(1, Ordering::Relaxed) {
                0 => cut(&headers, &served, 150_000),
                _ => Act::Close(answer("200 OK", &headers, &served)),
            }
        })
        .await;
        let folder = tempfile::tempdir().expect("a folder");
        let (saved, story) = save(&wire.url("/"), &Store::new(folder.path(), world())).await;
        assert_eq!(story, [Onward::Anew], "{headers:?}");
        assert_eq!(saved.expect("it is whole").sha256, sha256(&body), "{headers:?}");
        assert!(wire.requests().iter().all(|request| request.header("range").is_none()), "{headers:?}");
        assert_eq!(fs::read(folder.path().join("a.bin")).expect("the file"), body);
    }
}

/// Whatever a server answers that is not the rest of what was read, no file is made of two versions.
#[tokio::test]
async fn a_thing_that_changed_starts_anew() {
    type Answer = fn(&[u8], usize) -> Vec<u8>;
    let answers: [(&str, usize, Answer); 8] = [
        ("all of the new one", 180_000, |new, _| answer("200 OK", &[("etag", "\"v2\"")], new)),
        // A server that does not know `If-Range`.
        ("the rest of the new one", 200_000, |new, first| rest(&[("etag", "\"v2\"")], new, first)),
        ("a rest of another length", 180_000, |new, first| rest(&[], new, first)),
        ("a rest from elsewhere", 180_000, |new, first| {
            let range = format!("bytes {}-{}/200000", first + 1, new.len() - 1);
            answer("206 Partial Content", &[("content-range", &range), TAG], &new[first + 1..])
        }),
        ("a rest from nowhere", 200_000, |new, first| answer("206 Partial Content", &[TAG], &new[first..])),
        ("several rests", 180_000, |_, _| {
            answer("206 Partial Content", &[TAG, ("content-type", "multipart/byteranges; boundary=b")], "--b--")
        }),
        ("no such range", 180_000, |_, _| answer("416 Range Not Satisfiable", &[("content-range", "bytes */3")], "")),
        ("no ranges", 180_000, |_, _| answer("400 Bad Request", &[], "what is a range?")),
    ];
    for (what, length, told) in answers {
        let (old, new) = (picture(200_000), picture(length + 1)[1..].to_vec());
        let (served, asked) = (new.clone(), AtomicUsize::new(0));
        let wire = Wire::start(move |request| match (asked.fetch_add(1, Ordering::Relaxed), from(request)) {
            (0, None) => cut(&[TAG], &old, 150_000),
            (_, None) => Act::Close(answer("200 OK", &[("etag", "\"v2\"")], &served)),
            (_, Some(first)) => Act::Close(told(&served, first)),
        })
        .await;
        let folder = tempfile::tempdir().expect("a folder");
        let (saved, story) = save(&wire.url("/"), &Store::new(folder.path(), world())).await;
        assert_eq!(story, [Onward::Anew], "{what}");
        let saved = saved.expect(what);
        assert_eq!((saved.bytes, saved.sha256), (length as u64, sha256(&new)), "{what}");
        assert_eq!(fs::read(folder.path().join("a.bin")).expect("the file"), new, "{what}");
    }
}

#[tokio::test]
async fn a_rest_that_is_refused_says_whether_to_try_again() {
    for (status, transient) in [("503 Busy", true), ("404 Not Found", false), ("403 Forbidden", false)] {
        let body = picture(100_000);
        let asked = AtomicUsize::new(0);
        let wire = Wire::start(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
            0 => cut(&[TAG], &body, 50_000),
            _ => Act::Close(answer(status, &[], "")),
        })
        .await;
        let folder = tempfile::tempdir().expect("a folder");
        let (saved, _) = save(&wire.url("/?signature=canary"), &Store::new(folder.path(), world())).await;
        let error = saved.expect_err(status);
        assert_eq!(error.is_transient(), transient, "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0, "nothing is left");
    }
}

#[tokio::test]
async fn the_bound_counts_all_that_came() {
    let body = picture(200_000);
    let wire = Wire::start(move |request| match from(request) {
        // It does not say how much there is.
        None => {
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\netag: \"v1\"\r\n\r\n186a0\r\n".to_vec();
            Act::Close([head, body[..100_000].to_vec()].concat())
        }
        Some(first) => Act::Close(rest(&[TAG], &body, first)),
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::new(folder.path(), world()).with_limit(150_000);
    let (saved, story) = save(&wire.url("/"), &store).await;
    assert_eq!(story, [Onward::Continued]);
    assert!(matches!(saved, Err(ArtifactError::TooLarge { limit: 150_000, .. })), "{saved:?}");
    // The control: with room for it, it is saved.
    let (saved, _) = save(&wire.url("/"), &Store::new(folder.path(), world())).await;
    assert_eq!(saved.expect("it fits").bytes, 200_000);
}

/// A whole run: a download that breaks off twice is one file, and costs one job.
#[tokio::test]
async fn a_run_goes_on_with_what_broke_off() {
    let body = picture(300_000);
    let (served, asked) = (body.clone(), Arc::new(AtomicUsize::new(0)));
    let wire = Wire::start(move |request| match (from(request), asked.fetch_add(1, Ordering::Relaxed)) {
        (None, _) => cut(&[TAG, ("content-type", "image/png")], &served, 100_000),
        (Some(first), 1) => {
            let whole = rest(&[TAG], &served, first);
            Act::Close(whole[..whole.len() - 50_000].to_vec())
        }
        (Some(first), _) => Act::Close(rest(&[TAG], &served, first)),
    })
    .await;
    let behaviour =
        Behaviour { outcome: Ok(json!({ "outputImage": wire.url("/a.png") })), sync: true, ..Behaviour::default() };
    let outcome =
        Bench::new().model("m", behaviour).run("steps: { a: { model: m, inputs: { prompt: x }, save: true } }").await;
    assert_eq!(outcome.status("a"), "succeeded");
    let files = &outcome.state.steps[0].files;
    assert_eq!((files[0].bytes, &files[0].sha256), (300_000, &sha256(&body)));
    assert_eq!(wire.requests().iter().map(from).collect::<Vec<_>>(), [None, Some(100_000), Some(250_000)]);
    assert_eq!(outcome.submits.len(), 1);
}
