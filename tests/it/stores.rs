//! Saving to object stores: whole objects or none, nothing of others overwritten, nothing outside the prefix; and whole runs of the real
//! binary that save to one.
//!
//! The store is an imitation on this machine ([`crate::bucket`]).

use std::{collections::BTreeMap, sync::Arc};

use dagwood::{
    artifact::{
        ArtifactError, Content, Downloader, Earlier, Manifest, Onward, Opened, Root, Store, StoreProblem, safe_path,
    },
    result::SavedFile,
    world::World,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    bucket::{Bucket, refusal},
    cli::{Ran, Scene, emulator},
    wire::{Act, Request, Wire, answer},
};

const SECRET: &str = "canary-secret-key-0123456789";

/// More than one part.
const LARGE: usize = 9_000_000;

/// Where a large download breaks off: after its first part.
const BREAK: usize = 8_900_000;

const MEBIBYTE: usize = 1 << 20;

fn world(environment: &[(&str, &str)]) -> World {
    let environment: BTreeMap<_, _> =
        environment.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    World::scripted("2026-01-02T03:04:05Z".parse().expect("a time"), 7, environment)
}

/// A kind of store: where it is, and how a client is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    S3,
    Gcs,
    Azure,
}

impl Kind {
    const ALL: [Self; 3] = [Self::S3, Self::Gcs, Self::Azure];

    fn root(self) -> Root {
        let scheme = match self {
            Self::S3 => "s3",
            Self::Gcs => "gs",
            Self::Azure => "az",
        };
        Root::Objects(format!("{scheme}://bucket/a prefix/run"))
    }

    /// Opens the store of a run.
    fn open(self, bucket: &Bucket) -> Store {
        at(bucket, &self.root())
    }
}

/// Opens a place in a store, with the keys of all.
fn at(bucket: &Bucket, root: &Root) -> Store {
    let url = bucket.url();
    // Made for tests, and good for nothing else.
    let account = json!({
        "private_key": include_str!("../fixtures/staging/throwaway-rsa-key.pem"),
        "private_key_id": "1",
        "client_email": "nobody@example.com",
        "disable_oauth": true,
    })
    .to_string();
    let world = world(&[
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ENDPOINT_URL", &url),
        ("GOOGLE_SERVICE_ACCOUNT_KEY", &account),
        ("GOOGLE_BASE_URL", &url),
        ("AZURE_STORAGE_ACCOUNT_NAME", "account"),
        ("AZURE_STORAGE_ACCOUNT_KEY", "Y2FuYXJ5LXNlY3JldC1rZXktMDEyMzQ1Njc4OQ=="),
        ("AZURE_STORAGE_ENDPOINT", &url),
    ]);
    Store::open(root, &world).expect("a store")
}

fn bytes(length: usize) -> Vec<u8> {
    let pattern: Vec<_> = (0..65_537_usize).map(|at| u8::try_from((at * at / 7 + at) % 251).expect("a byte")).collect();
    let mut bytes = pattern.repeat(length / pattern.len() + 1);
    bytes.truncate(length);
    bytes
}

fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A server of files: `/LENGTH` is that long.
async fn files() -> Wire {
    Wire::start(|request| {
        let length = request.line().trim_start_matches("GET /").parse().expect("a length");
        Act::Close(answer("200 OK", &[("content-type", "video/mp4")], bytes(length)))
    })
    .await
}

async fn open(content: Content) -> Opened {
    Downloader::new(&world(&[])).expect("a downloader").open(&content).await.expect("it opens")
}

async fn text(text: &str) -> Opened {
    open(Content::Text(text.to_owned())).await
}

async fn save(store: &Store, path: &str, opened: Opened) -> Result<SavedFile, ArtifactError> {
    store.save(&safe_path(path).expect("a path"), opened).await
}

/// Says which requests a fault is about.
type When = fn(&Request) -> bool;

fn is_put(request: &Request) -> bool {
    request.line().starts_with("PUT ")
}

#[tokio::test]
async fn what_is_small_is_one_put_that_takes_no_name_that_is_taken() {
    for kind in Kind::ALL {
        let bucket = Bucket::start().await;
        let store = kind.open(&bucket);
        let saved = save(&store, "step/a b 100%.txt", text("hello").await).await.expect("it is saved");
        assert_eq!((saved.bytes, saved.path.as_str()), (5, "step/a b 100%.txt"));
        assert_eq!(saved.sha256, sha256(b"hello"));
        let objects = bucket.objects();
        let (name, (content_type, held)) = objects.first_key_value().expect("an object");
        assert!(name.ends_with("/bucket/a prefix/run/step/a b 100%.txt"), "{kind:?}: {name}");
        assert_eq!((content_type.as_str(), held.as_slice()), ("text/plain", b"hello".as_slice()), "{kind:?}");
        assert_eq!(objects.len(), 1);
        let puts: Vec<_> = bucket.requests().into_iter().filter(is_put).collect();
        let condition = puts[0].header("if-none-match").or(puts[0].header("x-goog-if-generation-match"));
        assert_eq!((puts.len(), condition.is_some()), (1, true), "{kind:?}");
        // What this run wrote it may write again.
        save(&store, "step/a b 100%.txt", text("newer").await).await.expect("it is this run's own");
        assert_eq!(bucket.bytes("a b 100%.txt"), b"newer", "{kind:?}");
        assert!(!format!("{store:?}").contains("canary"));
    }
}

#[tokio::test]
async fn what_is_large_goes_in_parts_and_shows_up_whole() {
    let source = files().await;
    for kind in Kind::ALL {
        let bucket = Bucket::start().await;
        let seen = Arc::new(std::sync::Mutex::new(0));
        let count = Arc::clone(&seen);
        bucket.fault(move |request| {
            if is_put(request) {
                *count.lock().expect("a count") += usize::from(request.bytes.len() > 1000);
            }
            None
        });
        let store = kind.open(&bucket);
        let mut opened = open(Content::Url(source.url(&format!("/{LARGE}")))).await;
        let path = safe_path("clip.mp4").expect("a path");
        let mut saving = store.begin(&path, &opened).await.expect("it begins");
        saving.write(&mut opened).await.expect("it is sent");
        assert!(bucket.objects().is_empty(), "{kind:?}: nothing shows up before the end");
        let saved = saving.finish(&opened).await.expect("it is whole");
        assert_eq!((saved.bytes, saved.sha256), (LARGE as u64, sha256(&bytes(LARGE))), "{kind:?}");
        assert_eq!((saved.content_type.as_str(), bucket.objects().len()), ("video/mp4", 1));
        assert!(bucket.bytes("clip.mp4") == bytes(LARGE), "{kind:?}: the parts are put together as they came");
        assert_eq!(*seen.lock().expect("a count"), 2, "{kind:?}: parts");
        assert_eq!(bucket.open_uploads(), 0);
    }
}

#[tokio::test]
async fn exactly_one_part_is_one_put() {
    let (source, bucket) = (files().await, Bucket::start().await);
    let store = Kind::S3.open(&bucket);
    for (length, parts) in [(8 * MEBIBYTE, 0), (8 * MEBIBYTE + 1, 2)] {
        let opened = open(Content::Url(source.url(&format!("/{length}")))).await;
        save(&store, &format!("{length}"), opened).await.expect("it is saved");
        assert_eq!(bucket.asked("partNumber="), parts, "{length}");
        assert_eq!(bucket.bytes(&length.to_string()).len(), length);
    }
    let empty = save(&store, "empty.txt", text("").await).await.expect("it is saved");
    assert_eq!((empty.bytes, bucket.bytes("empty.txt").len()), (0, 0));
}

#[tokio::test]
async fn a_part_that_is_refused_leaves_no_object_and_no_upload() {
    let (source, bucket) = (files().await, Bucket::start().await);
    let store = Kind::S3.open(&bucket);
    let faults: [(&str, When); 3] = [
        ("the beginning", |request| request.line().starts_with("POST ") && request.line().contains("?uploads")),
        ("a part", |request| request.line().contains("partNumber=2")),
        ("the completion", |request| request.line().starts_with("POST ") && request.line().contains("uploadId=")),
    ];
    for (what, when) in faults {
        bucket.fault(move |request| when(request).then(|| refusal("403 Forbidden", "AccessDenied")));
        let before = bucket.asked("DELETE ");
        let opened = open(Content::Url(source.url(&format!("/{LARGE}")))).await;
        let error = save(&store, "clip.mp4", opened).await.expect_err(what);
        let message = error.to_string();
        assert!(message.contains("failed to put a file in `s3://bucket/a prefix/run`: answered 403"), "{message}");
        assert!(message.contains("AccessDenied: as told") && !error.is_transient(), "{message}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        // An upload that is dropped is aborted by a task of its own.
        while bucket.open_uploads() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(bucket.objects().is_empty(), "{what}");
        assert_eq!(bucket.asked("DELETE ") - before, usize::from(what != "the beginning"), "{what}");
    }
    bucket.well();
    let opened = open(Content::Url(source.url(&format!("/{LARGE}")))).await;
    save(&store, "clip.mp4", opened).await.expect("the control: nothing else kept it from being saved");
}

#[tokio::test]
async fn a_connection_that_breaks_is_a_part_sent_again() {
    let (source, bucket) = (files().await, Bucket::start().await);
    let mut broken = false;
    bucket.fault(move |request| {
        let breaks = request.line().contains("partNumber=2") && !std::mem::replace(&mut broken, true);
        breaks.then(|| Act::Close(Vec::new()))
    });
    let opened = open(Content::Url(source.url(&format!("/{LARGE}")))).await;
    let saved = save(&Kind::S3.open(&bucket), "clip.mp4", opened).await.expect("it is sent again");
    assert_eq!(saved.sha256, sha256(&bucket.bytes("clip.mp4")));
    assert_eq!(bucket.asked("partNumber=2"), 2);
}

#[tokio::test]
async fn a_save_that_is_called_off_aborts_its_upload() {
    let bucket = Bucket::start().await;
    let body = bytes(LARGE);
    let source = Wire::start(move |_| {
        let whole = answer("200 OK", &[], &body);
        Act::Close(whole[..BREAK].to_vec())
    })
    .await;
    let store = Kind::S3.open(&bucket);
    let mut opened = open(Content::Url(source.url("/"))).await;
    let path = safe_path("clip.mp4").expect("a path");
    let mut saving = store.begin(&path, &opened).await.expect("it begins");
    saving.write(&mut opened).await.expect_err("it breaks off");
    assert_eq!(bucket.open_uploads(), 1);
    drop(saving);
    while bucket.open_uploads() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(bucket.objects().is_empty());
}

#[tokio::test]
async fn a_download_that_breaks_off_goes_on_into_the_same_upload_or_starts_it_anew() {
    let body = bytes(LARGE);
    for tag in [true, false] {
        let bucket = Bucket::start().await;
        let (served, asked) = (body.clone(), std::sync::atomic::AtomicUsize::new(0));
        let source = Wire::start(move |request| {
            let headers: &[(&str, &str)] = if tag { &[("etag", "\"v1\"")] } else { &[] };
            let whole = answer("200 OK", headers, &served);
            let range =
                request.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
            match (asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed), range) {
                (0, _) => Act::Close(whole[..BREAK].to_vec()),
                (_, None::<usize>) => Act::Close(whole),
                (_, Some(first)) => {
                    let range = format!("bytes {first}-{}/{}", served.len() - 1, served.len());
                    Act::Close(answer(
                        "206 Partial Content",
                        &[headers, &[("content-range", &range)]].concat(),
                        &served[first..],
                    ))
                }
            }
        })
        .await;
        let store = Kind::S3.open(&bucket);
        let mut opened = open(Content::Url(source.url("/"))).await;
        let path = safe_path("clip.mp4").expect("a path");
        let mut saving = store.begin(&path, &opened).await.expect("it begins");
        assert!(saving.write(&mut opened).await.expect_err("it breaks off").is_transient());
        let onward = opened.go_on().await.expect("an answer");
        assert_eq!(onward == Onward::Continued, tag);
        if onward == Onward::Anew {
            saving.start_anew().await.expect("it is emptied");
            assert_eq!(bucket.open_uploads(), 0, "what was sent is void");
        }
        saving.write(&mut opened).await.expect("the rest");
        let saved = saving.finish(&opened).await.expect("it is whole");
        assert_eq!(saved.sha256, sha256(&body));
        assert!(bucket.bytes("clip.mp4") == body);
        assert_eq!(bucket.asked("?uploads"), if tag { 1 } else { 2 });
        assert_eq!(bucket.open_uploads(), 0);
    }
}

#[tokio::test]
async fn somebody_elses_object_stays_whatever_the_size() {
    let source = files().await;
    for kind in Kind::ALL {
        for length in [5, LARGE] {
            let bucket = Bucket::start().await;
            let store = kind.open(&bucket);
            let url = || Content::Url(source.url(&format!("/{length}")));
            save(&store, "probe", text("x").await).await.expect("it is saved");
            let name = bucket.objects().into_keys().next().expect("a name").replace("probe", "a.mp4");
            bucket.hold(&name, "text/plain", "mine");
            let error = save(&store, "a.mp4", open(url()).await).await.expect_err("it is taken");
            assert!(matches!(error, ArtifactError::Exists { .. }), "{kind:?} {length}: {error}");
            assert_eq!(bucket.bytes("a.mp4"), b"mine", "{kind:?} {length}");
            // As long, and another.
            bucket.hold(&name, "text/plain", vec![0; length]);
            let error = save(&store, "a.mp4", open(url()).await).await.expect_err("it is taken");
            assert!(matches!(error, ArtifactError::Exists { .. }), "{kind:?} {length}: {error}");
            // A crash between writing and recording: the same bytes are no other file, and are not sent again.
            bucket.hold(&name, "video/mp4", bytes(length));
            let before = bucket.requests().len();
            let saved = save(&store, "a.mp4", open(url()).await).await.expect("the same bytes");
            assert_eq!(saved.sha256, sha256(&bytes(length)));
            assert!(!bucket.requests()[before..].iter().any(is_put), "{kind:?} {length}");
            // By its record it is this run's.
            let resumed = kind.open(&bucket);
            resumed.own([(Some("step".to_owned()), "a.mp4".to_owned())]);
            bucket.hold(&name, "text/plain", "older");
            save(&resumed, "a.mp4", open(url()).await).await.expect("it was this run's before");
            assert!(bucket.bytes("a.mp4") == bytes(length), "{kind:?} {length}");
        }
    }
}

/// Somebody writes the object between the look and the put: the store itself must refuse.
#[tokio::test]
async fn a_name_that_is_taken_meanwhile_is_not_overwritten() {
    let source = files().await;
    for (kind, length) in [(Kind::S3, 5), (Kind::S3, LARGE), (Kind::Gcs, 5), (Kind::Azure, 5)] {
        for heedless in [false, true] {
            let bucket = Bucket::start().await;
            let store = kind.open(&bucket);
            save(&store, "probe", text("x").await).await.expect("it is saved");
            let name = bucket.objects().into_keys().next().expect("a name").replace("probe", "a.mp4");
            bucket.hold(&name, "text/plain", "mine");
            // It is not seen when it is looked for.
            bucket.fault(|request| {
                request.line().starts_with("HEAD ").then(|| Act::Send(answer("404 Not Found", &[], "")))
            });
            if heedless {
                bucket.heedless();
            }
            let opened = open(Content::Url(source.url(&format!("/{length}")))).await;
            let saved = save(&store, "a.mp4", opened).await;
            if heedless {
                // The control: it is the condition that kept it.
                saved.expect("nothing keeps it");
                assert_ne!(bucket.bytes("a.mp4"), b"mine");
            } else {
                let error = saved.expect_err("it is taken");
                assert!(matches!(error, ArtifactError::Exists { .. }), "{kind:?} {length}: {error}");
                assert_eq!(bucket.bytes("a.mp4"), b"mine", "{kind:?} {length}");
                assert_eq!(bucket.open_uploads(), 0, "{kind:?} {length}");
            }
        }
    }
}

#[tokio::test]
async fn the_bound_holds_and_leaves_nothing() {
    let bucket = Bucket::start().await;
    let body = bytes(LARGE);
    // It does not say how much there is.
    let source = Wire::start(move |_| {
        Act::Close([b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec(), body.clone()].concat())
    })
    .await;
    let store = Kind::S3.open(&bucket).with_limit(BREAK as u64);
    let error = save(&store, "a", open(Content::Url(source.url("/"))).await).await.expect_err("it is too large");
    assert!(matches!(error, ArtifactError::TooLarge { .. }), "{error}");
    while bucket.open_uploads() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(bucket.objects().is_empty());
    save(&store, "b.txt", text("small").await).await.expect("the control: it fits");
}

#[tokio::test]
async fn the_manifest_is_the_runs_own() {
    for kind in Kind::ALL {
        let bucket = Bucket::start().await;
        let (store, ids) = (kind.open(&bucket), world(&[]));
        let (run, other) = (ids.run_id(), ids.run_id());
        store.write_manifest(&Manifest::new(run, "demo", Vec::new())).await.expect("a manifest");
        store.write_manifest(&Manifest::new(run, "newer", Vec::new())).await.expect("a newer one");
        let held: Value = serde_json::from_slice(&bucket.bytes("manifest.json")).expect("JSON");
        assert_eq!(held["workflow"], "newer", "{kind:?}");
        let error = store.write_manifest(&Manifest::new(other, "demo", Vec::new())).await.expect_err("another run's");
        assert!(matches!(error, ArtifactError::Exists { .. }), "{error}");
        assert_eq!(bucket.objects().into_values().next().expect("a manifest").0, "application/json");
    }
}

#[tokio::test]
async fn what_an_earlier_run_saved_is_copied_by_the_store_itself() {
    for kind in Kind::ALL {
        let bucket = Bucket::start().await;
        let store = kind.open(&bucket);
        let file = save(&store, "a é%20b.txt", text("hello").await).await.expect("it is saved");
        let later = match kind.root() {
            Root::Objects(place) => Root::Objects(place.replace("/run", "/later")),
            Root::Folder(_) => unreachable!("it is a store"),
        };
        let earlier = Earlier { root: kind.root(), file: file.clone() };
        let wanted = |earlier: &Earlier| Content::Earlier(earlier.clone());
        // Another prefix of the same bucket.
        let second = at(&bucket, &later);
        let before = bucket.requests().len();
        let copied = save(&second, "c.txt", open(wanted(&earlier)).await).await.expect("it is copied");
        assert_eq!(copied, SavedFile { path: "c.txt".to_owned(), ..file.clone() });
        assert_eq!(bucket.bytes("/later/c.txt"), b"hello", "{kind:?}");
        assert!(
            bucket.requests()[before..].iter().all(|request| request.bytes.is_empty()),
            "{kind:?}: nothing is sent"
        );
        assert_eq!(second.take(&earlier).await.expect("it is copied"), file);
        // One that was replaced, and one that is gone.
        let longer = Earlier { file: SavedFile { bytes: 6, ..file.clone() }, ..earlier.clone() };
        let missing = Earlier { file: SavedFile { path: "none".to_owned(), ..file.clone() }, ..earlier.clone() };
        let elsewhere = Earlier { root: Root::Objects("s3://other/run".to_owned()), file: file.clone() };
        for (gone, why) in [(longer, "another size"), (missing, "not there"), (elsewhere, "another store")] {
            let error = save(&second, "d.txt", open(wanted(&gone)).await).await.expect_err(why);
            assert!(
                matches!(error, ArtifactError::Gone { .. }) && error.to_string().contains(why),
                "{kind:?}: {error}"
            );
        }
        // A folder takes nothing from a store, and a store takes a file of this machine.
        let folder = tempfile::tempdir().expect("a folder");
        let here = Store::new(folder.path(), world(&[]));
        assert!(matches!(here.take(&earlier).await, Err(ArtifactError::Gone { .. })));
        let file = save(&here, "e.txt", text("from here").await).await.expect("it is saved");
        let earlier = Earlier { root: folder.path().to_owned().into(), file };
        second.take(&earlier).await.expect("it is sent");
        assert_eq!(bucket.bytes("e.txt"), b"from here", "{kind:?}");
        // What is there is not overwritten by a copy either.
        bucket.hold(
            &bucket.objects().into_keys().find(|name| name.ends_with("e.txt")).expect("a name"),
            "text/plain",
            "mine",
        );
        let again = at(&bucket, &later).take(&earlier).await;
        assert!(matches!(again, Err(ArtifactError::Exists { .. })), "{again:?}");
    }
}

#[test]
fn what_cannot_be_opened_says_why() {
    for (place, environment, said) in [
        ("s3://b", vec![], "no credentials for `s3://b`"),
        ("s3://b?secret=canary", vec![("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")], "cannot be a store"),
        ("s3://", vec![], "proper name"),
    ] {
        let problem: StoreProblem =
            Store::open(&Root::Objects(place.to_owned()), &world(&environment)).expect_err("a problem");
        assert!(problem.to_string().contains(said) && !problem.to_string().contains("canary"), "{problem}");
        assert!(problem.help().is_some());
    }
}

/// A workflow with a picture that is saved, and what a store is named by.
const WORKFLOW: &str = "name: draw\nsteps:\n  \
     picture: { provider: armox, model: google/nano-banana, inputs: { prompt: x }, save: \"pictures/{{ n }}.{{ ext }}\", cache: true }\n  \
     again: { provider: armox, model: google/nano-banana, inputs: { prompt: \"{{ steps.picture.image }}\" }, save: true }\n";

impl Bucket {
    fn scene(&self) -> Scene {
        let scene = Scene::new()
            .with("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .with("AWS_SECRET_ACCESS_KEY", SECRET)
            .with("AWS_REGION", "eu-central-1")
            .with("AWS_ENDPOINT_URL", self.url());
        scene.file("workflows/draw.yaml", WORKFLOW);
        scene.file("dagwood.yaml", "artifacts: s3://bucket/prefix/\n");
        scene
    }
}

/// Runs the real binary while the store serves it.
async fn run(scene: &Arc<Scene>, arguments: &[&str]) -> Ran {
    let (scene, arguments) = (Arc::clone(scene), arguments.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
    let run = tokio::task::spawn_blocking(move || scene.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()));
    run.await.expect("the binary runs")
}

async fn last(scene: &Arc<Scene>) -> Value {
    let ran = run(scene, &["show", "last", "--format", "json"]).await;
    serde_json::from_str(&ran.raw).expect("JSON")
}

#[tokio::test]
async fn a_run_saves_to_the_projects_store() {
    let bucket = Bucket::start().await;
    let scene = Arc::new(bucket.scene());
    let ran = run(&scene, &["run", "draw", "--sandbox"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert!(ran.out.contains("2 files (SIZE) in s3://bucket/prefix/UUID"), "{}", ran.out);
    assert!(!scene.path("artifacts").exists() && !scene.path("s3:").exists());
    let shown = last(&scene).await;
    let id = shown["run"].as_str().expect("an id");
    let names: Vec<_> = bucket.objects().into_keys().collect();
    let below = |path: &str| format!("/bucket/prefix/{id}/{path}");
    assert_eq!(names, [below("again/0.png"), below("manifest.json"), below("pictures/0.png")]);
    let picture = bucket.bytes("pictures/0.png");
    assert!(picture.starts_with(b"\x89PNG"));
    let manifest: Manifest = serde_json::from_slice(&bucket.bytes("manifest.json")).expect("a manifest");
    assert_eq!(manifest.files.len(), 2);
    let file = &manifest.files.iter().find(|file| file.step == "picture").expect("its file").file;
    assert_eq!((file.sha256.clone(), file.bytes), (sha256(&picture), picture.len() as u64));
    let ran = run(&scene, &["show", "last"]).await;
    assert!(ran.out.contains("in s3://bucket/prefix/UUID"), "{}", ran.out);
    assert!(!ran.all().contains("canary"));
    // Another place for one run, and a folder.
    let ran = run(&scene, &["run", "draw", "--sandbox", "--artifacts", "s3://bucket/other"]).await;
    assert!(ran.out.contains("2 files (SIZE) in s3://bucket/other/UUID"), "{}", ran.all());
    let ran = run(&scene, &["run", "draw", "--sandbox", "--artifacts", "out"]).await;
    assert!(ran.out.contains("2 files (SIZE) in out/UUID"), "{}", ran.all());
}

#[tokio::test]
async fn parts_of_a_run_take_the_files_of_an_earlier_one_within_the_store() {
    let bucket = Bucket::start().await;
    let scene = Arc::new(bucket.scene());
    assert_eq!(run(&scene, &["run", "draw", "--sandbox"]).await.code, Some(0));
    let ran = run(&scene, &["run", "draw", "--sandbox", "--from", "again"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    let id = last(&scene).await["run"].as_str().expect("an id").to_owned();
    assert!(bucket.objects().contains_key(&format!("/bucket/prefix/{id}/pictures/0.png")));
    let copies: Vec<_> =
        bucket.requests().into_iter().filter(|request| request.header("x-amz-copy-source").is_some()).collect();
    assert_eq!(copies.len(), 1);
    // To a folder nothing can be copied from there, and nothing is sent.
    let ran = run(&scene, &["run", "draw", "--sandbox", "--from", "again", "--artifacts", "out"]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.all());
    assert!(ran.err.contains("failed to copy `pictures/0.png` from `s3://bucket/prefix/UUID`"), "{}", ran.err);
    assert!(ran.err.contains("run this step too"), "{}", ran.err);
    // Nor from where it is gone.
    let name = format!("/bucket/prefix/{id}/pictures/0.png");
    bucket.remove(&name);
    let ran = run(&scene, &["run", "draw", "--sandbox", "--from", "again"]).await;
    assert!(ran.err.contains("it is not there any more"), "{}", ran.err);
}

#[tokio::test]
async fn a_result_from_the_cache_takes_its_files_within_the_store_or_runs() {
    let bucket = Bucket::start().await;
    let scene = Arc::new(bucket.scene());
    let cached = async |arguments: &[&str]| {
        let ran = run(&scene, &[&["run", "draw", "--sandbox"], arguments].concat()).await;
        assert_eq!(ran.code, Some(0), "{}", ran.all());
        let ran = run(&scene, &["logs", "last", "--format", "json"]).await;
        let records: Vec<Value> = serde_json::from_str(&ran.raw).expect("a list");
        let taken = records.iter().any(|record| record["kind"] == "step_succeeded" && record["cached"] == true);
        let warned = records.iter().find(|record| record["kind"] == "warning");
        (taken, warned.map(|record| record["message"].as_str().expect("text").to_owned()))
    };
    assert_eq!(cached(&[]).await, (false, None));
    assert_eq!(cached(&[]).await, (true, None));
    let id = last(&scene).await["run"].as_str().expect("an id").to_owned();
    assert!(
        bucket.objects().contains_key(&format!("/bucket/prefix/{id}/pictures/0.png")),
        "the run is whole by itself"
    );
    // To a folder nothing is copied from a store: the step runs, and says why.
    let (taken, warned) = cached(&["--artifacts", "out"]).await;
    let warned = warned.expect("a warning");
    assert!(!taken && warned.contains("an earlier equal result is not taken: failed to copy"), "{warned}");
    assert!(scene.path("out").is_dir());
    // From the folder the store takes it.
    assert_eq!(cached(&[]).await, (true, None));
    // What is gone is no result.
    for name in bucket.objects().into_keys().filter(|name| name.ends_with("pictures/0.png")) {
        bucket.remove(&name);
    }
    for entry in std::fs::read_dir(scene.path("out")).expect("a folder") {
        std::fs::remove_dir_all(entry.expect("an entry").path()).expect("it goes");
    }
    assert!(!cached(&[]).await.0);
}

#[tokio::test]
async fn a_run_that_could_not_save_goes_on_without_another_job() {
    // The first download comes half, and then nothing: it starts anew.
    let (bucket, api) = (Bucket::start().await, emulator("- { on: file, nth: 1, do: truncated_json }"));
    let scene = Arc::new(bucket.scene().against(&api));
    bucket.fault(|request| {
        (is_put(request) && request.line().contains("again")).then(|| refusal("403 Forbidden", "AccessDenied"))
    });
    let ran = run(&scene, &["run", "draw"]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.all());
    let said = "failed to put a file in `s3://bucket/prefix/UUID`: answered 403 Forbidden: AccessDenied: as told";
    assert!(ran.out.contains(said), "{}", ran.out);
    assert!(ran.out.contains("the job's result is kept in the journal"), "{}", ran.out);
    assert!(!bucket.objects().keys().any(|name| name.contains("again")));
    assert!(bucket.bytes("pictures/0.png").starts_with(b"\x89PNG"));
    let jobs = async || {
        last(&scene).await["steps"]
            .as_array()
            .expect("steps")
            .iter()
            .map(|step| step["job"]["id"].clone())
            .collect::<Vec<_>>()
    };
    let before = jobs().await;
    bucket.well();
    let ran = run(&scene, &["resume", "last"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert!(bucket.bytes("again/0.png").starts_with(b"\x89PNG"));
    assert_eq!(jobs().await, before, "the same jobs");
    assert!(before.iter().all(Value::is_string), "{before:?}");
}

#[tokio::test]
async fn a_store_that_cannot_be_used_is_told_before_anything_is_sent() {
    let bucket = Bucket::start().await;
    let mut scene = bucket.scene();
    scene.environment.remove("AWS_SECRET_ACCESS_KEY");
    let scene = Arc::new(scene);
    let ran = run(&scene, &["run", "draw", "--sandbox"]).await;
    assert_eq!(ran.code, Some(3), "{}", ran.all());
    assert!(ran.err.contains("there are no credentials for `s3://bucket/prefix`"), "{}", ran.err);
    assert!(ran.err.contains("dagwood.yaml:1:12") && ran.err.contains("AWS_SECRET_ACCESS_KEY"), "{}", ran.err);
    assert!(bucket.requests().is_empty());
    let ran = run(&scene, &["run", "draw", "--sandbox", "--artifacts", "out"]).await;
    assert_eq!(ran.code, Some(0), "the control: {}", ran.all());
}

#[tokio::test]
async fn the_doctor_tries_the_store() {
    let bucket = Bucket::start().await;
    let scene = Arc::new(bucket.scene());
    let ran = run(&scene, &["doctor", "--sandbox"]).await;
    assert!(ran.out.contains("artifacts      `s3://bucket/prefix` can be written"), "{}", ran.all());
    assert!(bucket.objects().is_empty(), "nothing is left");
    bucket.fault(|request| is_put(request).then(|| refusal("403 Forbidden", "AccessDenied")));
    let ran = run(&scene, &["doctor", "--sandbox"]).await;
    assert!(ran.out.contains("AccessDenied"), "{}", ran.all());
}
