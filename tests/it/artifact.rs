//! Saving what comes out: whole files or none, no key to anybody, nothing outside the root.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use dagwood::{
    artifact::{ArtifactError, Content, Downloader, Manifest, ManifestFile, Opened, Store, safe_path},
    result::SavedFile,
    world::World,
};

use crate::{
    scripted::{Behaviour, Bench},
    wire::{self, Act, Wire, answer},
};

fn world() -> World {
    World::scripted("2026-01-02T03:04:05Z".parse().expect("a time"), 7, BTreeMap::new())
}

async fn open(url: &str) -> Result<Opened, ArtifactError> {
    Downloader::new(&world()).expect("a downloader").open(&Content::Url(url.to_owned())).await
}

async fn text(text: &str) -> Opened {
    Downloader::new(&world()).expect("a downloader").open(&Content::Text(text.to_owned())).await.expect("a text")
}

async fn save(store: &Store, path: &str, opened: Opened) -> Result<SavedFile, ArtifactError> {
    store.save(&safe_path(path).expect("a safe path"), opened).await
}

/// Returns all files under a folder, hidden ones too.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect();
    found.sort();
    found
}

#[tokio::test]
async fn a_download_is_streamed_hashed_and_named_by_its_type() {
    let picture: Vec<u8> = (0..3_000_000_u32).map(|at| u8::try_from(at % 251).expect("a byte")).collect();
    let body = picture.clone();
    let disposition = ("content-disposition", "attachment; filename=\"../../evil.sh\"");
    let wire =
        Wire::start(move |_| Act::Close(answer("200 OK", &[("Content-Type", "Image/PNG; q=1"), disposition], &body)))
            .await;
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::new(folder.path().join("run"), world());
    let url = wire.url("/a.exe?signature=s");
    let opened = open(&url).await.expect("an answer");
    assert_eq!((opened.content_type(), opened.ext()), ("image/png", "png"));
    let saved = save(&store, "render/0.png", opened).await.expect("a file");
    assert_eq!(
        (saved.bytes, saved.url.as_deref(), saved.content_type.as_str()),
        (3_000_000, Some(url.as_str()), "image/png")
    );
    assert_eq!(saved.sha256.len(), 64);
    assert_eq!(fs::read(folder.path().join("run/render/0.png")).expect("the file"), picture);
    assert_eq!(files(folder.path()).len(), 1, "nothing but the file");
    assert!(!wire.requests()[0].head.to_lowercase().contains("authorization"));
}

#[tokio::test]
async fn a_text_is_a_file_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::new(folder.path(), world());
    let opened = text("hello").await;
    assert_eq!(opened.ext(), "txt");
    let saved = save(&store, "caption.txt", opened).await.expect("a file");
    assert_eq!(saved.sha256, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    assert_eq!((saved.bytes, saved.url, saved.content_type.as_str()), (5, None, "text/plain"));
}

#[tokio::test]
async fn a_download_that_breaks_off_leaves_no_half_file() {
    let start = b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 1000000\r\n\r\nhalf".to_vec();
    let wire = Wire::start(move |request| match request.line() {
        "GET /closed" => Act::Close(start.clone()),
        _ => Act::Silence(start.clone()),
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::new(folder.path(), world());
    for (path, said) in [("/closed", "broke off"), ("/stalled", "came in 60 s")] {
        let error = save(&store, "a/b.png", open(&wire.url(path)).await.expect("headers")).await.expect_err(path);
        assert!(error.is_transient() && error.to_string().contains(said), "{error}");
        assert_eq!(files(folder.path()), Vec::<PathBuf>::new(), "{path}");
    }
}

#[tokio::test]
async fn a_save_that_is_called_off_leaves_nothing() {
    let start = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nhalf".to_vec();
    let wire = Wire::start(move |_| Act::Silence(start.clone())).await;
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::new(folder.path(), world());
    let opened = open(&wire.url("/")).await.expect("headers");
    let limit = std::time::Duration::from_secs(1);
    assert!(tokio::time::timeout(limit, save(&store, "a.bin", opened)).await.is_err());
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn answers_that_are_no_file_say_whether_to_try_again() {
    let wire = Wire::start(|request| {
        let status = request.line().trim_start_matches("GET /").replace('-', " ");
        Act::Send(answer(&status, &[], "words"))
    })
    .await;
    for (status, transient) in
        [("500-Error", true), ("503-Busy", true), ("429-Slow", true), ("404-Gone", false), ("403-Expired", false)]
    {
        let error = open(&wire.url(&format!("/{status}?signature=canary"))).await.expect_err(status);
        assert_eq!(error.is_transient(), transient, "{error}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }
    assert!(open(&wire::nobody().await).await.expect_err("nobody").is_transient());
    for odd in ["", "a.png", "file:///etc/passwd", "ftp://example.com/a", "data:text/plain", "\u{1b}[31m"] {
        let error = open(odd).await.expect_err(odd);
        assert!(matches!(error, ArtifactError::Url { .. }) && !error.to_string().contains('\u{1b}'), "{error}");
    }
}

#[tokio::test]
async fn redirects_go_across_hosts_without_credentials_and_end() {
    let second = Wire::start(|_| Act::Send(answer("200 OK", &[("content-type", "video/mp4")], "clip"))).await;
    let beyond = second.url("/clip");
    let first = Wire::start(move |request| {
        let to = |target: &str| Act::Send(answer("302 Found", &[("location", target)], ""));
        match request.line() {
            "GET /far" => to(&beyond),
            "GET /file" => to("file:///etc/passwd"),
            _ => to("/loop"),
        }
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let with_user = first.url("/far").replace("http://", "http://user:canary@");
    let opened = open(&with_user).await.expect("an answer");
    assert_eq!(opened.ext(), "mp4");
    save(&Store::new(folder.path(), world()), "clip.mp4", opened).await.expect("a file");
    let head = second.requests()[0].head.to_lowercase();
    assert!(!head.contains("authorization") && !head.contains("cookie") && !head.contains("referer"), "{head}");
    let endless = open(&first.url("/loop")).await.expect_err("a loop");
    assert!(!endless.is_transient() && endless.to_string().contains("too many redirects"), "{endless}");
    assert!(first.requests().len() < 15);
    open(&first.url("/file")).await.expect_err("not a file of this machine");
}

#[tokio::test]
async fn what_is_too_large_is_refused_announced_or_not() {
    let wire = Wire::start(|request| match request.line() {
        "GET /announced" => Act::Close(answer("200 OK", &[], "x".repeat(101))),
        _ => Act::Close(format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", "x".repeat(101)).into_bytes()),
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::new(folder.path(), world()).with_limit(100);
    for path in ["/announced", "/endless"] {
        let error = save(&store, "a.bin", open(&wire.url(path)).await.expect("headers")).await.expect_err(path);
        assert!(matches!(error, ArtifactError::TooLarge { limit: 100, .. }) && !error.is_transient(), "{error}");
        assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
    }
    save(&store, "fits.txt", text(&"x".repeat(100)).await).await.expect("it fits");
}

#[tokio::test]
async fn somebody_elses_file_stays_and_the_runs_own_is_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("notes.txt"), "mine").expect("a file");
    let store = Store::new(folder.path(), world());
    let error = save(&store, "notes.txt", text("theirs").await).await.expect_err("it is taken");
    assert!(matches!(error, ArtifactError::Exists { .. }), "{error}");
    assert_eq!(fs::read_to_string(folder.path().join("notes.txt")).expect("the file"), "mine");
    // A crash between writing and recording: the same bytes are no other file.
    save(&store, "notes.txt", text("mine").await).await.expect("the same bytes");
    save(&store, "notes.txt", text("newer").await).await.expect("it is this run's by now");
    let resumed = Store::new(folder.path(), world());
    resumed.own([(None, "notes.txt".to_owned())]);
    save(&resumed, "notes.txt", text("newest").await).await.expect("it was this run's before");
    assert_eq!(fs::read_to_string(folder.path().join("notes.txt")).expect("the file"), "newest");
    assert_eq!(files(folder.path()).len(), 1);
}

#[test]
fn a_path_belongs_to_the_step_that_took_it_first() {
    let store = Store::new("nowhere", world());
    let path = safe_path("a.png").expect("a path");
    store.claim(&path, "one").expect("it is free");
    store.claim(&path, "one").expect("it is its own");
    let error = store.claim(&path, "two").expect_err("it is taken");
    assert_eq!(error.to_string(), "failed to save `a.png` for `two`: `one` of this run saves there");
    store.claim(&safe_path("b.png").expect("a path"), "two").expect("the control: another path");
    // By the record of an earlier life.
    let resumed = Store::new("nowhere", world());
    resumed.own([(Some("one".to_owned()), "a.png".to_owned()), (None, "old.png".to_owned())]);
    resumed.claim(&path, "one").expect("it may replace it");
    resumed.claim(&path, "two").expect_err("it is taken");
    // A step that is gone from the workflow leaves its paths to whoever comes first.
    let old = safe_path("old.png").expect("a path");
    resumed.claim(&old, "two").expect("it is nobody's");
    resumed.claim(&old, "one").expect_err("it is taken by now");
}

/// Returns a bench whose models give their own names as bytes.
fn naming(models: &[&str]) -> Bench {
    models.iter().fold(Bench::new(), |bench, model| {
        let outcome = Ok(serde_json::json!({ "outputImage": format!("data:image/png,{model}") }));
        bench.model(model, Behaviour { outcome, sync: true, ..Behaviour::default() })
    })
}

#[tokio::test(start_paused = true)]
async fn two_steps_on_one_path_are_told_by_their_names_and_neither_overwrites() {
    // Known only in the run: from the plan the paths look different.
    let workflow = |second: &str| {
        format!(
            "failure_policy: continue\ninputs: {{ name: {{ type: string, default: same }}, other: {{ type: string, default: same }} }}\nsteps:\n  \
             first: {{ model: one, inputs: {{ prompt: x }}, save: \"{{{{ inputs.name }}}}.{{{{ ext }}}}\" }}\n  \
             second: {{ needs: [first], model: two, inputs: {{ prompt: x }}, save: \"{second}.{{{{ ext }}}}\" }}\n"
        )
    };
    let outcome = naming(&["one", "two"]).run(&workflow("{{ inputs.other }}")).await;
    assert_eq!((outcome.status("first").as_str(), outcome.status("second").as_str()), ("succeeded", "failed"));
    let error = outcome.error("second");
    assert!(
        error.starts_with("artifact: failed to save `same.png` for `second`: `first` of this run saves there"),
        "{error}"
    );
    assert!(error.contains("test.yaml:5:") && error.contains("use `{{ step.id }}`"), "{error}");
    let saved = outcome.story().into_iter().filter(|event| event.starts_with("artifact_saved")).collect::<Vec<_>>();
    assert_eq!(saved, ["artifact_saved first"], "the second is not written at all");
    let outcome = naming(&["one", "two"]).run(&workflow("{{ inputs.other }}-2")).await;
    assert_eq!(outcome.status("second"), "succeeded", "the control");
}

#[tokio::test(start_paused = true)]
async fn two_items_on_one_path_are_told_by_their_names() {
    let workflow = |path: &str| {
        format!(
            "inputs: {{ names: {{ type: array, items: {{ type: string }}, default: [a, b, a] }} }}\nsteps:\n  \
             shots: {{ foreach: inputs.names, max_parallel: 1, model: one, inputs: {{ prompt: x }}, on_error: continue, save: \"{path}\" }}\n"
        )
    };
    let outcome = naming(&["one"]).run(&workflow("{{ item }}.png")).await;
    let error = outcome.error("shots[2]");
    assert!(error.contains("failed to save `a.png` for `shots[2]`: `shots[0]` of this run saves there"), "{error}");
    assert_eq!(outcome.status("shots[1]"), "succeeded");
    let outcome = naming(&["one"]).run(&workflow("{{ index }}-{{ item }}.png")).await;
    assert_eq!(outcome.status("shots[2]"), "succeeded", "the control");
}

#[tokio::test(start_paused = true)]
async fn two_values_on_one_path_are_told_before_either_is_written() {
    let outcome = Ok(serde_json::json!({ "outputImages": ["data:image/png,0", "data:image/png,1"] }));
    let several =
        || Bench::new().model("one", Behaviour { outcome: outcome.clone(), sync: true, ..Behaviour::default() });
    let workflow = |path: &str| format!("steps: {{ a: {{ model: one, inputs: {{ prompt: x }}, save: \"{path}\" }} }}");
    let run = several().run(&workflow("same.{{ ext }}")).await;
    assert!(
        run.error("a").contains("values 0 and 1 of the result would both be saved as `same.png`"),
        "{}",
        run.error("a")
    );
    assert!(!run.story().iter().any(|event| event.starts_with("artifact_saved")));
    assert_eq!(several().run(&workflow("{{ n }}.{{ ext }}")).await.status("a"), "succeeded", "the control");
}

#[cfg(unix)]
#[test]
fn what_a_killed_process_had_in_the_making_is_swept_away() {
    let (folder, outside) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    fs::create_dir_all(folder.path().join("a/b")).expect("folders");
    for name in [".dagwood-1.part", "a/b/.dagwood-2.part", "a/b/notes.part", "a/kept.txt"] {
        fs::write(folder.path().join(name), "x").expect("a file");
    }
    fs::write(outside.path().join(".dagwood-3.part"), "x").expect("a file");
    std::os::unix::fs::symlink(outside.path(), folder.path().join("out")).expect("a link");
    Store::new(folder.path(), world()).sweep();
    assert!(!folder.path().join(".dagwood-1.part").exists() && !folder.path().join("a/b/.dagwood-2.part").exists());
    assert!(folder.path().join("a/b/notes.part").exists() && folder.path().join("a/kept.txt").exists());
    assert!(outside.path().join(".dagwood-3.part").exists(), "a link is not followed");
    Store::new(folder.path().join("none"), world()).sweep();
}

#[cfg(unix)]
#[tokio::test]
async fn links_are_not_followed_out_of_the_root() {
    let (folder, outside) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    fs::write(outside.path().join("precious"), "old").expect("a file");
    std::os::unix::fs::symlink(outside.path(), folder.path().join("out")).expect("a link");
    std::os::unix::fs::symlink(outside.path().join("precious"), folder.path().join("file")).expect("a link");
    std::os::unix::fs::symlink("nowhere", folder.path().join("dangling")).expect("a link");
    fs::write(folder.path().join("plain"), "x").expect("a file");
    fs::create_dir(folder.path().join("dir")).expect("a folder");
    let store = Store::new(folder.path(), world());
    store.own([(None, "file".to_owned())]);
    for path in ["out/precious", "out/new", "file", "dangling", "dangling/x", "plain/x", "dir"] {
        let error = save(&store, path, text("new").await).await.expect_err(path);
        assert!(matches!(error, ArtifactError::NotAFolder { .. }), "{path}: {error}");
    }
    assert_eq!(fs::read_to_string(outside.path().join("precious")).expect("the file"), "old");
    assert_eq!(files(outside.path()).len(), 1);
}

#[test]
fn a_full_disk_is_said_plainly() {
    let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let error = ArtifactError::DiskFull { path: "a.png".to_owned(), source };
    assert_eq!(error.to_string(), "failed to save `a.png`: the disk is full");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn the_manifest_is_the_runs_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = world();
    let store = Store::new(folder.path(), world.clone());
    let file = save(&store, "a.txt", text("a").await).await.expect("a file");
    let (run, other) = (world.run_id(), world.run_id());
    store.write_manifest(&Manifest::new(run, "demo", Vec::new())).await.expect("a manifest");
    let whole = Manifest::new(run, "demo", vec![ManifestFile { step: "caption".to_owned(), file }]);
    store.write_manifest(&whole).await.expect("a newer one");
    let written = fs::read_to_string(folder.path().join("manifest.json")).expect("the manifest");
    assert_eq!(serde_json::from_str::<Manifest>(&written).expect("JSON"), whole);
    for key in [
        "\"version\": 1",
        "\"step\": \"caption\"",
        "\"path\": \"a.txt\"",
        "\"sha256\"",
        "\"bytes\": 1",
        "\"content_type\"",
    ] {
        assert!(written.contains(key), "{written}");
    }
    let error = store.write_manifest(&Manifest::new(other, "demo", Vec::new())).await.expect_err("another run's");
    assert!(matches!(error, ArtifactError::Exists { .. }), "{error}");
    assert_eq!(files(folder.path()).len(), 2);
}

#[tokio::test]
async fn bytes_in_a_data_url_are_saved_like_any_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::new(folder.path(), world()).with_limit(100);
    let opened = open("data:Image/PNG;base64,iVBORw0KGgo=").await.expect("bytes");
    assert_eq!((opened.content_type(), opened.ext()), ("image/png", "png"));
    let saved = save(&store, "a.png", opened).await.expect("a file");
    // The URL is the file: it is not written down a second time.
    assert_eq!((saved.url, saved.bytes), (None, 8));
    assert_eq!(fs::read(folder.path().join("a.png")).expect("the file"), b"\x89PNG\r\n\x1a\n");
    let odd = open("data:../../x;base64,YQ").await.expect("bytes");
    assert_eq!((odd.content_type(), odd.ext()), ("application/octet-stream", "bin"));
    let large = open(&format!("data:,{}", "x".repeat(101))).await.expect("bytes");
    assert!(matches!(save(&store, "b", large).await, Err(ArtifactError::TooLarge { .. })));
    let error = open(&format!("data:image/png;base64,canary!{}", "A".repeat(1000))).await.expect_err("no base64");
    assert!(!error.is_transient() && error.to_string().len() < 200, "{error}");
}

/// Whatever an API calls its files, what is saved lies under the root, under a name that was asked for.
#[tokio::test]
async fn no_name_from_outside_leads_out_of_the_root() {
    let long = format!("attachment; filename=\"{}\"", "a/".repeat(2000));
    let wire = Wire::start(move |_| {
        let named = ("content-disposition", "attachment; filename*=UTF-8''%2e%2e%2fevil%00.sh");
        Act::Send(answer("200 OK", &[named, ("content-disposition", &long), ("content-type", "x/../../y")], "x"))
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::new(folder.path().join("run"), world());
    let targets = [
        "/a.zip/../../etc/passwd",
        "/a.zip/%2e%2e/%2e%2e/etc/passwd",
        "/a.zip/..%2f..%2fetc%2fpasswd",
        "/a.zip!/../../evil.sh%00.png",
        "/..%5c..%5cevil.exe",
        "/NUL.con",
        "/a.%2e%2e",
        &format!("/{}.png", "a".repeat(5000)),
    ];
    for (number, target) in targets.iter().enumerate() {
        let opened = open(&wire.url(target)).await.expect(target);
        let ext = opened.ext().to_owned();
        assert!(ext.len() <= 8 && ext.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{target}: {ext}");
        save(&store, &format!("step/{number}.{ext}"), opened).await.expect(target);
        // A template that takes a name over from the URL makes either a name, or an error.
        let name = target.rsplit('/').next().unwrap_or_default();
        if let Ok(path) = safe_path(name) {
            store.save(&path, open(&wire.url(target)).await.expect(target)).await.expect(target);
        }
    }
    let root = folder.path().join("run");
    let saved = files(folder.path());
    assert!(saved.len() >= targets.len(), "{saved:?}");
    for file in saved {
        let parts: Vec<_> = file.strip_prefix(&root).expect("it lies under the root").iter().collect();
        assert!(parts.len() <= 2 && parts.iter().all(|part| *part != ".."), "{}", file.display());
    }
}

#[tokio::test]
async fn headers_are_bounded_in_number_and_size() {
    let wire = Wire::start(|request| {
        let count = if request.line() == "GET /many" { 500 } else { 1 };
        let value = if count == 1 { "x".repeat(2_000_000) } else { "x".to_owned() };
        let headers: Vec<_> = (0..count).map(|at| (format!("x-{at}"), value.clone())).collect();
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Act::Close(answer("200 OK", &headers, "x"))
    })
    .await;
    for path in ["/many", "/long"] {
        let error = open(&wire.url(path)).await.expect_err(path);
        assert!(error.to_string().len() < 400, "{error}");
    }
}
