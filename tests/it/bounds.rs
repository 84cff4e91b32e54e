//! What comes from outside has bounds: answers, lists, files, and the places that they may name. Each test has a server or a file that
//! has none.
//!
//! Bodies, headers, redirects and silence are with their modules (`http.rs`, `request.rs`, `artifact.rs`); expressions and schemas in
//! `contract/measure.rs`.

use std::time::Duration;

use dagwood::{
    artifact::{Content, Downloader, Store},
    job::{FaultKind, IdempotencyKey, JobRequest, Operation, Target, TargetKind},
    provider::Wanted,
    world::World,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{
    cli::{Scene, emulator},
    hosts::providers,
    wire::{self, Act, Wire, answer},
};

/// Answers that are small on the wire and large, or deep, in memory.
#[tokio::test]
async fn an_answer_that_unfolds_is_refused_by_every_provider() {
    let zeros = format!("{{\"data\": [{}0]}}", "0,".repeat(3_000_000));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (body, told) in [(zeros, "values"), (deep, "no JSON")] {
        let api =
            Wire::start(move |_| Act::Send(answer("200 OK", &[("content-type", "application/json")], &body))).await;
        for (name, provider) in providers(&api) {
            let kinds = Wanted::Kinds(provider.kinds().to_vec());
            let fault = provider.catalog(&kinds).await.result.expect_err("it is refused");
            assert!(fault.kind == FaultKind::Malformed && fault.message.contains(told), "{name}: {fault}");
            let target = Target { kind: TargetKind::Http, id: "POST /x".to_owned() };
            let inputs = json!({"method": "POST", "url": "/x"}).as_object().cloned().expect("a map");
            let request = JobRequest { target, inputs, operation: Operation::default() };
            let result = provider.submit(&request, &IdempotencyKey("a/b/1".to_owned())).await.result;
            // What is too deep to be JSON is a text, which takes no more than its own length.
            assert_eq!(result.is_ok(), told == "no JSON", "{name}");
        }
    }
}

/// A list whose pages are within their bound each, and that never ends.
#[tokio::test]
async fn a_list_of_large_pages_is_left_when_it_is_too_large_as_a_whole() {
    let api = Wire::start(|request| {
        let page = request.line().rsplit_once('=').map_or(1, |(_, page)| page.parse::<u32>().expect("a number"));
        let item = json!({"id": format!("m{page}"), "slug": format!("m{page}"), "description": "x".repeat(20 << 20)});
        wire::json("200 OK", &json!({"next": page + 1, "data": [item]}).to_string())
    })
    .await;
    for (name, provider) in providers(&api).into_iter().filter(|(name, _)| *name != "armox") {
        let before = api.requests().len();
        let kinds = Wanted::Kinds(provider.kinds().to_vec());
        let contracts = provider.catalog(&kinds).await.result.expect("what was read until then");
        let pages = api.requests().len() - before;
        assert_eq!((contracts.len(), pages), (4, 4), "{name}: 64 MiB are reached with the fourth page");
    }
}

/// A sender that is never silent for long and never done.
#[tokio::test(start_paused = true)]
async fn a_download_that_trickles_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/a.bin", listener.local_addr().expect("an address"));
    let mut server = tokio::task::JoinSet::new();
    server.spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(b"x").await.is_ok() {
            World::real().sleep(Duration::from_secs(5)).await;
        }
    });
    let world = World::real();
    let began = world.now();
    let downloader = Downloader::new(&world).expect("a downloader");
    let folder = tempfile::tempdir().expect("a folder");
    let opened = downloader.open(&Content::Url(url)).await.expect("headers");
    let path = dagwood::artifact::safe_path("a.bin").expect("a path");
    let error = Store::new(folder.path(), world.clone()).save(&path, opened).await.expect_err("it is given up");
    assert!(error.is_transient() && error.to_string().contains("bytes came in 60 s"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "and nothing of it is left");
    assert!(world.now().duration_since(began).as_secs() < 50, "the clock of the test is not the real one");
}

/// Files that are larger than they look, deeper than they look, or no files at all.
#[test]
fn files_that_people_name_are_read_within_bounds() {
    let bomb = |key: &str| {
        let lines: Vec<_> = (1..40).map(|n| format!("a{n}: &a{n} [*a{0}, *a{0}]", n - 1)).collect();
        format!("a0: &a0 [x, x]\n{}\n{key}: *a39\n", lines.join("\n"))
    };
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let large = "# a comment\n".repeat(2_000_000);
    for (file, arguments) in [
        ("dagwood.yaml", &["validate", "workflows/clip.yaml"][..]),
        ("dagwood.lock", &["run", "clip", "--sandbox", "--locked"]),
        ("workflows/clip.yaml", &["validate", "workflows/clip.yaml"]),
        ("faults.yaml", &["run", "clip", "--sandbox", "--faults", "faults.yaml"]),
        ("in.yaml", &["run", "clip", "--sandbox", "--inputs", "in.yaml"]),
    ] {
        let key = if file == "dagwood.lock" { "contracts" } else { "steps" };
        for text in [bomb(key), deep.clone(), large.clone() + "steps: { a: { set: { b: c } }"] {
            let scene = Scene::new();
            scene.file(file, &text);
            let ran = scene.run(arguments);
            assert!(matches!(ran.code, Some(2 | 3)), "{file}: {:?}: {:.500}", ran.code, ran.err);
            assert!(ran.err.len() + ran.out.len() < 20_000, "{file}: {} bytes are told", ran.err.len());
        }
    }
    // What never ends, for everything that is read whole.
    let scene = Scene::new().with("ARMOX_API_KEY_FILE", "/dev/zero");
    assert_eq!(scene.run(&["account"]).code, Some(2));
    scene.file("dagwood.yaml", "env_file: /dev/zero\n");
    assert_eq!(scene.run(&["account"]).code, Some(3));
    let scene = Scene::new();
    for arguments in [
        &["validate", "/dev/zero"][..],
        &["run", "clip", "--sandbox", "--faults", "/dev/zero"],
        &["run", "clip", "--sandbox", "--inputs", "/dev/zero"],
        &["run", "launch", "--sandbox", "-i", "subject=@/dev/zero"],
        &["validate", "--project", "/dev/zero", "workflows/clip.yaml"],
    ] {
        let ran = scene.run(arguments);
        assert!(matches!(ran.code, Some(2 | 3)), "{arguments:?}: {}", ran.all());
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/dev/zero", scene.path(".gitignore")).expect("a link");
        assert_eq!(scene.run(&["init"]).code, Some(1));
    }
}

/// A `type: file` input that is no file is told before anything is sent.
#[cfg(unix)]
#[test]
fn an_input_that_is_no_file_is_not_opened() {
    let sandbox = emulator("");
    let scene = Scene::new().against(&sandbox);
    scene.file(
        "workflows/see.yaml",
        "inputs: { picture: { type: file } }\n\
         steps: { a: { provider: armox, model: topaz/image-upscale, inputs: { image_input: [\"{{ inputs.picture }}\"] } } }",
    );
    let pipe = scene.path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.is_ok_and(|status| status.success()), "a pipe");
    std::os::unix::fs::symlink("/dev/zero", scene.path("link.png")).expect("a link");
    for given in ["pipe", "link.png", "/dev/zero", "/dev/stdin", "workflows", "file:///etc/passwd", "no/such.png"] {
        let ran = scene.run(&["run", "see", "-i", &format!("picture={given}")]);
        assert_eq!(ran.code, Some(3), "{given}: {}", ran.all());
    }
    assert!(sandbox.log().iter().all(|request| request.method == "GET"), "{:?}", sandbox.log());
}

/// Places that a command is told, or that a hostile answer would have it write to.
#[test]
fn names_lead_nowhere_else() {
    let scene = Scene::new();
    // Names of workflows are names, or paths to what is a workflow.
    for (name, code) in [
        ("../../../../../../etc/passwd", 3),
        ("../nothing.yaml", 2),
        ("..", 2),
        ("a\u{1b}[31mb", 2),
        ("a\nb", 2),
        ("workflows/../workflows", 2),
    ] {
        for verb in ["run", "plan", "validate"] {
            if verb == "validate" && !name.contains('/') {
                continue;
            }
            let ran = scene.run(&[verb, name]);
            let wanted = if name.ends_with("workflows") && verb == "validate" { 0 } else { code };
            assert_eq!(ran.code, Some(wanted), "{verb} {name:?}: {}", ran.all());
            assert!(!ran.all().contains('\u{1b}'), "{verb} {name:?}: {}", ran.all().escape_debug());
        }
    }
    assert!(!scene.path(".dagwood").exists(), "nothing was begun");
    // A workflow's own name is no path.
    for name in ["../x", "a/b", "a\\u001bb", "..", ""] {
        scene.file("workflows/named.yaml", format!("name: \"{name}\"\nsteps: {{ a: {{ set: {{ b: c }} }} }}"));
        let ran = scene.run(&["run", "named"]);
        assert!(!ran.all().contains('\u{1b}'), "{name}: {}", ran.all().escape_debug());
        assert!(matches!(ran.code, Some(0 | 3)), "{name}: {}", ran.all());
    }
    // What a target is called is no path either.
    for (name, kind) in [("../../x", "model"), ("/etc/x", "model"), ("..\\..\\x", "app"), ("a\u{1b}b\n", "app")] {
        let scene = Scene::new();
        let lock = json!({"version": 1, "contracts": [{
            "provider": "armox", "target": {"kind": kind, "id": name}, "name": name, "cost": 3, "output": "image",
            "ports": [{"id": "prompt", "required": true, "kind": "text"}],
        }]});
        scene.file("dagwood.lock", lock.to_string());
        let before = list(&scene);
        let ran = scene.run(&["init", &format!("--{kind}"), name, "--sandbox"]);
        let new: Vec<_> = list(&scene).into_iter().filter(|path| !before.contains(path)).collect();
        assert!(new.iter().all(|path| path.parent() == Some(&scene.path("workflows"))), "{name:?}: {new:?}");
        assert_eq!((ran.code, new.len()), (Some(0), 1), "{name:?}: {}", ran.all());
        assert!(!ran.all().contains('\u{1b}'), "{}", ran.all().escape_debug());
    }
    assert_eq!(scene.run(&["init", "--app", "../../x", "--sandbox"]).code, Some(2));
    // The folders of a project lie below it, or where an absolute path says; a file in their way stays.
    for text in [
        "state: ../x",
        "artifacts: a/../../x",
        "env_file: ../../.env",
        "state: \"\"",
        "artifacts: file:///x",
        "state: [a]",
    ] {
        scene.file("dagwood.yaml", text);
        assert_eq!(scene.run(&["run", "clip", "--sandbox"]).code, Some(3), "{text}");
    }
    for text in ["state: workflows/clip.yaml", "artifacts: workflows/clip.yaml"] {
        scene.file("dagwood.yaml", text);
        let before = std::fs::read(scene.path("workflows/clip.yaml")).expect("a file");
        scene.file(
            "workflows/saves.yaml",
            "steps: { a: { model: google/nano-banana, provider: armox, inputs: { prompt: x }, save: true } }",
        );
        let ran = scene.run(&["run", "saves", "--sandbox"]);
        assert_eq!(ran.code, Some(1), "{text}: {}", ran.all());
        assert_eq!(std::fs::read(scene.path("workflows/clip.yaml")).expect("a file"), before, "{text}");
    }
}

fn list(scene: &Scene) -> Vec<std::path::PathBuf> {
    let mut folders = vec![scene.path("")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

/// A path that is made from what an API answered stays under the run's folder, and what an API answered is no local file.
#[test]
fn outputs_name_no_place_of_this_machine() {
    // The emulator says what it is told: so does the step's output, which the path is made from.
    for (text, fits) in [
        ("../../../evil", false),
        ("/etc/evil", false),
        ("a/../../evil", false),
        ("%2e%2e/evil", false),
        ("a\\\\..\\\\evil", false),
        ("CON", false),
        ("manifest.json", false),
        ("a\\u0000b", false),
        ("fine", true),
    ] {
        let scene = Scene::new();
        scene.file(
            "workflows/save.yaml",
            format!(
                "inputs: {{ name: {{ type: string, default: \"{text}\" }} }}\nsteps:\n  \
                 say: {{ provider: aimp, model: free-form, inputs: {{ text: \"{{{{ inputs.name }}}}\" }} }}\n  \
                 draw: {{ provider: armox, model: google/nano-banana, inputs: {{ prompt: x }}, save: \"{{{{ steps.say.output.received.text }}}}\" }}\n"
            ),
        );
        let before = list(&scene);
        let ran = scene.run(&["run", "save", "--sandbox"]);
        assert_eq!(ran.code == Some(0), fits, "{text}: {}", ran.all());
        let new = list(&scene).into_iter().filter(|path| !before.contains(path));
        let outside = |path: &std::path::PathBuf| {
            !path.starts_with(scene.path("artifacts")) && !path.starts_with(scene.path(".dagwood"))
        };
        assert_eq!(new.filter(outside).collect::<Vec<_>>(), [] as [std::path::PathBuf; 0], "{text}");
    }
    // No answer can name a file to read: neither as a path, nor through `file`.
    let scene = Scene::new();
    scene.file(
        "workflows/read.yaml",
        "steps:\n  say: { provider: aimp, model: free-form, inputs: { text: /etc/passwd } }\n  \
        see: { provider: aimp, model: image-captioner, inputs: { image: \"{{ file(steps.say.output.received.text) }}\" } }\n",
    );
    let ran = scene.run(&["run", "read", "--sandbox"]);
    assert_eq!(ran.code, Some(3), "{}", ran.all());
    assert!(ran.err.contains("file"), "{}", ran.all());
}
