//! Staging: a local file is stored once, and fetched by anybody who has its signed URL, until that is over.
//!
//! The stores are small imitations on this machine that know the requests they are sent and the difference between a signed request and
//! a signed URL. Run with `--features stores`; without, only what needs no store is left.

use std::{collections::BTreeMap, fs, path::Path};

use dagwood::{
    artifact::{StoreProblem, local, staging},
    id::Digest,
    provider::LocalFile,
    world::World,
};

fn world(environment: &[(&str, &str)]) -> World {
    let environment: BTreeMap<_, _> =
        environment.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    World::scripted("2026-01-02T03:04:05Z".parse().expect("a time"), 7, environment)
}

#[test]
fn a_folder_is_served_by_nobody() {
    for place in ["some/dir", "file:///srv/files"] {
        let problem = staging::open(place, &world(&[])).expect_err(place);
        assert!(matches!(problem, StoreProblem::Folder { .. }), "{problem}");
        assert!(problem.help().expect("help").contains("s3://bucket/prefix"));
    }
}

/// Writes a file and looks at it.
async fn local(folder: &Path, name: &str, bytes: &[u8]) -> (LocalFile, Digest) {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("a file");
    let file = local::look(&path).await.expect("a file with something in it");
    let digest = local::digest(&file).await.expect("its digest");
    (file, digest)
}

#[tokio::test]
async fn the_digest_names_the_content_not_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, one) = local(folder.path(), "a.txt", b"hello").await;
    let (_, same) = local(folder.path(), "b.md", b"hello").await;
    let (_, other) = local(folder.path(), "c.txt", b"hallo").await;
    assert!(one == same && one != other);
}

#[cfg(feature = "stores")]
mod stores {
    use std::sync::{Arc, Mutex};

    use dagwood::artifact::{ArtifactError, Content, Downloader, Store, safe_path, staging::Staging};

    use super::*;
    use crate::wire::{Act, Request, Wire, answer, nobody};

    const SECRET: &str = "canary-secret-key-0123456789";

    /// What a store holds: by path, the media type and the bytes.
    type Objects = Arc<Mutex<BTreeMap<String, (String, String)>>>;

    /// Returns what an imitation of a store answers.
    fn serve(objects: &Objects, request: &Request) -> Act {
        let (method, target) = request.line().split_once(' ').expect("a request line");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        // A client of Google's encodes more in a name than a signer does, and both name the same object.
        let path = ["%2F", "%2E", "%2D"].iter().fold(path.to_owned(), |path, code| {
            let byte = u8::from_str_radix(&code[1..], 16).expect("a code");
            path.replace(code, char::from(byte).encode_utf8(&mut [0; 4]))
        });
        let path = path.as_str();
        let mut objects = objects.lock().expect("the objects");
        // A signed request has the header, a signed URL the query; never both.
        let has_header = request.header("authorization").is_some();
        let has_query = ["X-Amz-Signature=", "X-Goog-Signature=", "sig="].iter().any(|part| query.contains(part));
        if has_header == has_query {
            return Act::Send(answer("403 Forbidden", &[], "<Error><Code>AccessDenied</Code></Error>"));
        }
        let stamps = [("etag", "\"e\""), ("last-modified", "Fri, 02 Jan 2026 03:04:05 GMT")];
        match method {
            "HEAD" => match objects.get(path) {
                None => Act::Send(answer("404 Not Found", &[], "")),
                Some((_, body)) => Act::Send(
                    format!(
                        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{}: {}\r\n{}: {}\r\n\r\n",
                        body.len(),
                        stamps[0].0,
                        stamps[0].1,
                        stamps[1].0,
                        stamps[1].1
                    )
                    .into_bytes(),
                ),
            },
            "POST" if query.starts_with("uploads") => {
                let xml = "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>";
                objects.insert(path.to_owned(), (String::new(), String::new()));
                Act::Send(answer("200 OK", &[], xml))
            }
            "POST" => {
                let xml = "<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>";
                Act::Send(answer("200 OK", &stamps, xml))
            }
            "PUT" if query.contains("partNumber") => {
                objects.get_mut(path).expect("an upload").1.push_str(&request.body);
                Act::Send(answer("200 OK", &stamps, ""))
            }
            "PUT" => {
                // Azure's own header, whose other one is of the request.
                let content_type = request.header("x-ms-blob-content-type").or(request.header("content-type"));
                let content_type = content_type.unwrap_or_default().to_owned();
                objects.insert(path.to_owned(), (content_type, request.body.clone()));
                Act::Send(answer("201 Created", &stamps, ""))
            }
            "GET" => match objects.get(path) {
                None => Act::Send(answer("404 Not Found", &[], "")),
                Some((content_type, body)) => {
                    Act::Send(answer("200 OK", &[("content-type", content_type.as_str())], body))
                }
            },
            "DELETE" => {
                objects.remove(path);
                Act::Send(answer("204 No Content", &[], ""))
            }
            _ => Act::Send(answer("405 Method Not Allowed", &[], "")),
        }
    }

    async fn imitation() -> (Wire, Objects) {
        let objects = Objects::default();
        let held = Arc::clone(&objects);
        (Wire::start(move |request| serve(&held, request)).await, objects)
    }

    fn s3(endpoint: &str) -> Arc<dyn Staging> {
        let world = world(&[
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_REGION", "eu-central-1"),
        ]);
        staging::open("s3://bucket/a prefix", &world).expect("a store")
    }

    fn gcs(endpoint: &str) -> Arc<dyn Staging> {
        // Made for this test, and good for nothing else.
        let key = include_str!("../fixtures/staging/throwaway-rsa-key.pem");
        let account = serde_json::json!({
            "type": "service_account",
            "private_key": key,
            "private_key_id": "1",
            "client_email": "nobody@example.com",
        });
        let world = world(&[("GOOGLE_SERVICE_ACCOUNT_KEY", &account.to_string()), ("GOOGLE_BASE_URL", endpoint)]);
        staging::open("gs://bucket/a prefix", &world).expect("a store")
    }

    fn azure(endpoint: &str) -> Arc<dyn Staging> {
        let world = world(&[
            ("AZURE_STORAGE_ACCOUNT_NAME", "account"),
            ("AZURE_STORAGE_ACCOUNT_KEY", "Y2FuYXJ5LXNlY3JldC1rZXktMDEyMzQ1Njc4OQ=="),
            ("AZURE_STORAGE_ENDPOINT", endpoint),
        ]);
        staging::open("az://container/a prefix", &world).expect("a store")
    }

    /// Fetches a URL as an API would, and saves it.
    async fn fetch(url: &str) -> (String, String) {
        let folder = tempfile::tempdir().expect("a folder");
        let opened = Downloader::new(&world(&[])).expect("a downloader").open(&Content::Url(url.to_owned())).await;
        let store = Store::new(folder.path(), world(&[]));
        let saved = store.save(&safe_path("got").expect("a path"), opened.expect("an answer")).await.expect("a file");
        (saved.content_type, fs::read_to_string(folder.path().join("got")).expect("text"))
    }

    #[tokio::test]
    async fn each_store_takes_a_file_once_and_gives_it_to_who_has_the_url() {
        for (open, life) in [
            (s3 as fn(&str) -> Arc<dyn Staging>, "X-Amz-Expires=86400"),
            (gcs, "X-Goog-Expires=86400"),
            (azure, "se=2"),
        ] {
            let (wire, objects) = imitation().await;
            let staging = open(wire.url("").as_str());
            let folder = tempfile::tempdir().expect("a folder");
            let (file, digest) = local(folder.path(), "notes.txt", b"hello there").await;
            let first = staging.put(&file, &digest).await.expect("it is stored");
            let again = staging.put(&file, &digest).await.expect("it is there");
            // A file of the same content has the same name.
            let (copy, same) = local(folder.path(), "copy.txt", b"hello there").await;
            staging.put(&copy, &same).await.expect("it is there");

            let puts: Vec<_> = wire.requests().into_iter().filter(|request| request.head.starts_with("PUT ")).collect();
            assert_eq!(puts.len(), 1, "{}: {:?}", staging.place(), wire.lines());
            assert_eq!(puts[0].body, "hello there");
            let (path, (content_type, _)) = objects
                .lock()
                .expect("the objects")
                .first_key_value()
                .map(|(path, object)| (path.clone(), object.clone()))
                .expect("one object");
            assert!(path.ends_with(&format!("/a%20prefix/{digest}.txt")), "{path}");
            assert_eq!(content_type, "text/plain");

            assert!(first.url.expose().contains(life), "{}", first.url.expose());
            let expires = first.expires.to_string();
            assert!(expires.starts_with("2026-01-03T03:04:"), "{expires}");
            assert_eq!(first.shown(), wire.url(&path));
            assert_eq!(fetch(again.url.expose()).await, ("text/plain".to_owned(), "hello there".to_owned()));
            // The control: without its signature the URL opens nothing.
            let bare = Downloader::new(&world(&[])).expect("a downloader");
            bare.open(&Content::Url(first.shown().to_owned())).await.expect_err("no signature");
        }
    }

    #[tokio::test]
    async fn a_large_file_goes_in_parts() {
        let (wire, objects) = imitation().await;
        let folder = tempfile::tempdir().expect("a folder");
        let text = "0123456789abcdef".repeat(600_000);
        let (file, digest) = local(folder.path(), "large.txt", text.as_bytes()).await;
        let staged = s3(&wire.url("")).put(&file, &digest).await.expect("it is stored");
        let parts = wire.lines().iter().filter(|line| line.contains("partNumber=")).count();
        assert_eq!(parts, 2, "{:?}", wire.lines());
        assert!(objects.lock().expect("the objects").values().all(|(_, body)| *body == text));
        assert_eq!(fetch(staged.url.expose()).await.1.len(), text.len());
    }

    #[tokio::test]
    async fn a_file_that_changed_is_not_stored_under_the_name_of_another() {
        let (wire, objects) = imitation().await;
        let folder = tempfile::tempdir().expect("a folder");
        let (file, digest) = local(folder.path(), "a.txt", b"hello").await;
        fs::write(folder.path().join("a.txt"), "hallo").expect("it changes");
        let error = s3(&wire.url("")).put(&file, &digest).await.expect_err("it changed");
        assert!(matches!(error, ArtifactError::Local(_)) && error.to_string().contains("changed"), "{error}");
        assert!(objects.lock().expect("the objects").is_empty());
    }

    #[tokio::test]
    async fn a_check_writes_fetches_and_deletes() {
        for open in [s3, gcs, azure] {
            let (wire, objects) = imitation().await;
            let staging = open(wire.url("").as_str());
            staging.check().await.expect("all is well");
            let methods: Vec<_> =
                wire.lines().iter().map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect();
            assert_eq!(methods, ["PUT", "GET", "DELETE"], "{}", staging.place());
            assert!(objects.lock().expect("the objects").is_empty());
        }
    }

    #[tokio::test]
    async fn a_stores_refusal_is_told_in_its_words_and_without_a_key() {
        let body = format!(
            "<?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code><Message>It does not match {SECRET}\n\
             at all</Message><StringToSign>canary</StringToSign></Error>"
        );
        let wire = Wire::start(move |_| Act::Send(answer("403 Forbidden", &[], &body))).await;
        let staging = s3(&wire.url(""));
        let folder = tempfile::tempdir().expect("a folder");
        let (file, digest) = local(folder.path(), "a.txt", b"hello").await;
        for error in
            [staging.put(&file, &digest).await.expect_err("refused"), staging.check().await.expect_err("refused")]
        {
            let text = error.to_string();
            assert!(
                text.contains("in `s3://bucket/a prefix`: answered 403 Forbidden: SignatureDoesNotMatch: It"),
                "{text}"
            );
            assert!(!error.is_transient());
            for canary in ["canary", "X-Amz"] {
                assert!(!format!("{error:?} {text} {staging:?}").contains(canary), "{error:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_redirect_takes_no_request_elsewhere() {
        let (second, _) = imitation().await;
        let target = second.url("/bucket/x");
        let first =
            Wire::start(move |_| Act::Send(answer("307 Temporary Redirect", &[("location", &target)], ""))).await;
        s3(&first.url("")).check().await.expect_err("it is not followed");
        assert!(!first.requests().is_empty());
        assert_eq!(second.lines(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn what_may_pass_is_told_from_what_will_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, digest) = local(folder.path(), "a.txt", b"hello").await;
        let error = s3(&nobody().await).put(&file, &digest).await.expect_err("nobody is there");
        assert!(error.is_transient() && error.to_string().contains("refused"), "{error}");
        let missing = Wire::start(|request| {
            let xml = "<Error><Code>NoSuchBucket</Code><Message>The bucket does not exist</Message></Error>";
            Act::Send(answer("404 Not Found", &[], if request.head.starts_with("HEAD") { "" } else { xml }))
        })
        .await;
        let error = s3(&missing.url("")).put(&file, &digest).await.expect_err("no bucket");
        assert!(!error.is_transient() && error.to_string().contains("NoSuchBucket"), "{error}");
    }

    #[tokio::test]
    async fn nothing_leaves_in_the_clear_but_on_this_machine() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, digest) = local(folder.path(), "a.txt", b"hello").await;
        let error = s3("http://store.invalid").put(&file, &digest).await.expect_err("plain http");
        assert!(error.to_string().contains("plain http") && !error.is_transient(), "{error}");
    }

    #[test]
    fn credentials_come_from_the_environment_that_is_handed_in() {
        for (place, environment, wanted) in [
            ("s3://b", vec![], "AWS_ACCESS_KEY_ID"),
            ("s3://b", vec![("AWS_ACCESS_KEY_ID", "only half")], "AWS_SECRET_ACCESS_KEY"),
            ("gs://b", vec![("GOOGLE_BASE_URL", "http://127.0.0.1")], "GOOGLE_APPLICATION_CREDENTIALS"),
            ("az://b", vec![("AZURE_STORAGE_ACCOUNT_NAME", "a")], "AZURE_STORAGE_ACCOUNT_KEY"),
            ("az://b", vec![("AZURE_STORAGE_ACCOUNT_KEY", "Y2FuYXJ5")], "AZURE_STORAGE_ACCOUNT_NAME"),
        ] {
            let problem = staging::open(place, &world(&environment)).expect_err(place);
            assert!(matches!(problem, StoreProblem::Credentials { .. }), "{problem}");
            assert!(problem.help().expect("help").contains(wanted), "{problem:?}");
        }
        let odd = world(&[("GOOGLE_SERVICE_ACCOUNT_KEY", "{\"canary-canary\": 1}")]);
        let problem = staging::open("gs://b", &odd).expect_err("no key");
        assert!(matches!(problem, StoreProblem::Setup { .. }), "{problem}");
        assert!(!format!("{problem:?}").contains("canary-canary"), "{problem:?}");
        let odd = world(&[("AZURE_STORAGE_ACCOUNT_NAME", "a"), ("AZURE_STORAGE_ACCOUNT_KEY", "canary canary")]);
        let problem = staging::open("az://b", &odd).expect_err("no key");
        assert!(!format!("{problem:?}").contains("canary canary"), "{problem:?}");
    }
}
