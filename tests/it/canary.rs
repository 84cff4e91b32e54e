//! No key and no secret in anything that a command leaves behind, from outside: the real binary, with secrets given in every way that
//! there is, against servers that take, refuse and echo them, and a search through all that it printed and wrote.
//!
//! ```text
//! environment · …_KEY_FILE · project file · .env ─▶ every command, every end of a run ─▶ stdout, stderr, folder ─▶ search
//! ```
//!
//! A secret is looked for as it is, percent-encoded, and in base64. The control is an input that is no secret and that looks like
//! one: the same search finds it in each of these forms, so that a search which finds nothing means something.

use std::{
    collections::BTreeSet,
    fmt::{Debug, Write as _},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD},
};
use dagwood::{
    artifact::{Downloader, staging::Staged},
    plan::{self, Given},
    provider::{
        aimp::{Aimp, AimpSettings},
        airmy::{Airmy, AirmySettings},
        armox::{Armox, ArmoxSettings},
        http::{Client, ClientSettings, Credential},
        web::Web,
    },
    sandbox::{Api, FaultScript, Keys, Sandbox, Settings, Speed},
    secret::{Redactor, Secret},
    source::Source,
    spec,
    template::{Root, Scope},
    world::World,
};
use jiff::Timestamp;

use crate::cli::{Scene, signal, wait_for};

const ARMOX: &str = "sk_live_canary/Armox+0815=A";
const AIRMY: &str = "sk-airmy-canary/Airmy+4711=B";
const AIMP: &str = "aimp_canary/Aimp+2323=C";
const TOKEN: &str = "wf canary \"Token\" /+=&D";
const INPUT: &str = "input canary {Secret} /+=&E";
const AWS: &str = "aws/canary+Secret+Access+Key/F";
const AWS_SESSION: &str = "aws//canary+Session+Token==G";
const PROXY: &str = "proxy-canary-password-H";
const WEBHOOK: &str = "whsec_canary/Webhook+I=";

/// What must be nowhere.
const SECRETS: [&str; 9] = [ARMOX, AIRMY, AIMP, TOKEN, INPUT, AWS, AWS_SESSION, PROXY, WEBHOOK];

/// What is no secret, and looks like one: the control.
const PLAIN: &str = "plain canary \"Open\" /+=&Z";

/// Where the tests themselves keep secrets; everything else in the folder was left behind by the program.
const OURS: &str = "ours";

/// Returns what betrays a text: itself, percent-encoded in either case, and what is in base64 of anything that holds it.
fn forms(text: &str) -> BTreeSet<String> {
    let percent = |keep: &dyn Fn(u8) -> bool| -> [String; 2] {
        let upper = |byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
        let lower = |byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") };
        [text.bytes().map(upper).collect(), text.bytes().map(lower).collect()]
    };
    let mut forms = BTreeSet::from([text.to_owned()]);
    forms.extend(percent(&|_| false));
    // Of what a URL may hold as it is, each place takes other letters.
    for keeps in ["-._~", "-._~/", "-._~!'()*", "-._~/+=", "-._~/+=&"] {
        for encoded in percent(&|byte| byte.is_ascii_alphanumeric() || keeps.as_bytes().contains(&byte)) {
            forms.extend([encoded.replace("%20", "+"), encoded]);
        }
    }
    let json = serde_json::to_string(text).expect("JSON");
    forms.insert(json.trim_matches('"').to_owned());
    for engine in [BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD] {
        for before in 0..3 {
            let bytes = [&vec![0; before], text.as_bytes()].concat();
            let encoded = engine.encode(&bytes);
            forms.insert(encoded[(before * 8).div_ceil(6)..bytes.len() * 8 / 6].to_owned());
        }
    }
    forms
}

/// Everything that commands said and left behind, by where it is.
#[derive(Default)]
struct Left {
    found: Vec<(String, Vec<u8>)>,
}

impl Left {
    /// Reads every file below a folder, but for ours.
    fn folder(&mut self, root: &Path) {
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() && path != root.join(OURS) {
                    folders.push(path);
                } else if path.is_file() {
                    // A name can tell as much as what is in the file.
                    let bytes = std::fs::read(&path).expect("a file");
                    self.found
                        .push((path.display().to_string(), [path.display().to_string().as_bytes(), &bytes].concat()));
                }
            }
        }
    }

    /// Returns where a text is, in any form, together with the form.
    fn search(&self, text: &str) -> Vec<String> {
        let mut hits = Vec::new();
        for form in forms(text) {
            for (place, bytes) in &self.found {
                if bytes.windows(form.len()).any(|window| window == form.as_bytes()) {
                    hits.push(format!("`{form}` in {place}"));
                }
            }
        }
        hits
    }

    /// Checks that no secret is anywhere.
    fn assert_clean(&self) {
        for secret in SECRETS {
            let hits = self.search(secret);
            assert!(hits.is_empty(), "a secret is left behind: {}", hits.join("\n"));
        }
    }
}

/// A project with secrets given in every way that there is, and what its commands said.
struct Trial {
    scene: Scene,
    left: Left,
}

impl Trial {
    /// Builds a project whose accounts are at these base URLs: Armox, AIRMY, AIMP.
    fn new([armox, airmy, aimp]: [&str; 3]) -> Self {
        let mut scene = Scene::new();
        let project = format!(
            "providers:\n  armox: {{ base_url: \"{armox}\" }}\n  \
             airmy: {{ base_url: \"{airmy}\", api_key: \"{{{{ secrets.AIRMY_OF_OURS }}}}\" }}\n  \
             aimp: {{ base_url: \"{aimp}\" }}\nsecrets: [AIRMY_OF_OURS]\nenv_file: {OURS}/.env\n"
        );
        scene.file("dagwood.yaml", project);
        scene.file(
            &format!("{OURS}/.env"),
            format!(
                "export AIRMY_OF_OURS='{AIRMY}'\nAWS_SECRET_ACCESS_KEY={AWS}\nARMOX_WEBHOOK_SECRET=\"{WEBHOOK}\"\n"
            ),
        );
        scene.file(&format!("{OURS}/aimp.key"), format!("{AIMP}\n"));
        scene.file(
            &format!("{OURS}/in.yaml"),
            serde_json::json!({"token": INPUT, "plain": PLAIN, "picture": "picture.png"}).to_string(),
        );
        scene.file(&format!("{OURS}/picture.png"), b"\x89PNG\r\n\x1a\n");
        scene.file("tmp/here", "");
        let tmp = scene.path("tmp").display().to_string();
        let key_file = scene.path(&format!("{OURS}/aimp.key")).display().to_string();
        for (name, value) in [
            ("TMPDIR", tmp.as_str()),
            ("ARMOX_API_KEY", ARMOX),
            ("AIMP_API_KEY_FILE", &key_file),
            ("STYLE_TOKEN", TOKEN),
            ("AWS_ACCESS_KEY_ID", "AKIAPLAIN"),
            ("AWS_SESSION_TOKEN", AWS_SESSION),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("AWS_ALLOW_HTTP", "true"),
            ("HTTPS_PROXY", &format!("http://user:{PROXY}@127.0.0.1:1")),
            ("HTTP_PROXY", &format!("http://user:{PROXY}@127.0.0.1:1")),
        ] {
            scene.environment.insert(name, value.to_owned());
        }
        Self { scene, left: Left::default() }
    }

    /// Builds one against the emulators.
    fn against(servers: &Servers) -> Self {
        let [armox, airmy, aimp] = &servers.0;
        Self::new([&armox.base_url_of(Api::Armox), &airmy.base_url_of(Api::Airmy), &aimp.base_url_of(Api::Aimp)])
    }

    /// Runs a command and keeps what it says.
    fn run(&mut self, arguments: &[&str]) -> Option<i32> {
        let output = self.scene.command(arguments).output().expect("the binary runs");
        self.said(arguments, "stdout", output.stdout);
        self.said(arguments, "stderr", output.stderr);
        output.status.code()
    }

    fn said(&mut self, arguments: &[&str], stream: &str, bytes: Vec<u8>) {
        self.left.found.push((format!("{stream} of `dagwood {}`", arguments.join(" ")), bytes));
    }

    /// Returns what the last command said.
    fn last(&self) -> String {
        let last = &self.left.found[self.left.found.len() - 2..];
        let told: Vec<_> =
            last.iter().map(|(place, said)| format!("--- {place}\n{}", String::from_utf8_lossy(said))).collect();
        told.concat()
    }

    /// Returns all of it, the folder with it.
    fn end(mut self) -> Left {
        self.left.folder(&self.scene.path(""));
        self.left
    }
}

/// An emulator for each system, each with our key of it, and on an origin of its own.
struct Servers([Sandbox; 3]);

impl Servers {
    fn new<F: AsRef<str>>(faults: [F; 3]) -> Self {
        Self(faults.map(|faults| {
            let settings = Settings {
                faults: FaultScript::parse(faults.as_ref()).expect("a script"),
                speed: Speed::Fixed(Duration::from_millis(20)),
                keys: Keys { armox: Secret::new(ARMOX), airmy: Secret::new(AIRMY), aimp: Secret::new(AIMP) },
                ..Settings::default()
            };
            Sandbox::start_on_thread(settings, World::real()).expect("an emulator")
        }))
    }
}

/// A server that answers each request with all that it was sent: as it is, percent-encoded, in base64; in its body and in headers.
struct Mirror {
    address: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Mirror {
    fn start(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        // It ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = reflect(stream, status, &seen);
            }
        });
        Self { address, heads }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn heads(&self) -> String {
        self.heads.lock().expect("the heads").join("\n")
    }
}

fn reflect(stream: TcpStream, status: &str, heads: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? <= 2 {
            break;
        }
        if let Some((name, value)) =
            line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        {
            length = value.trim().parse().unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    heads.lock().expect("the heads").push(format!("{head}\n{}", String::from_utf8_lossy(&body)));
    let line_of = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value).to_owned()
    };
    let credential = line_of("authorization") + &line_of("x-api-key") + &line_of("x-token");
    let all = format!("{head}{}", String::from_utf8_lossy(&body));
    let percent: Vec<_> = credential.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let percent = percent.concat();
    let within = serde_json::to_string(&serde_json::json!({"said": all})).expect("JSON");
    let echo = serde_json::json!({
        "error": {"message": format!("{credential} is no key ({percent}, {})", BASE64_STANDARD.encode(&credential))},
        "headers": all, "within": within, "base64": BASE64_STANDARD.encode(&all), credential.clone(): true,
        "percent": percent,
    });
    let body = echo.to_string();
    let mut answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
    for (name, value) in [
        ("X-Request-Id", &credential),
        ("WWW-Authenticate", &format!("Bearer realm=\"{credential}\"")),
        ("X-Percent", &percent),
    ] {
        let _ = write!(answer, "{name}: {value}\r\n");
    }
    let mut stream = reader.into_inner();
    stream.write_all(format!("{answer}\r\n{body}").as_bytes())
}

/// A workflow of all systems and of the web, with secrets wherever they may stand.
const ALL: &str = r#"
version: 1
name: all
secrets: [STYLE_TOKEN]
inputs:
  token: { type: string, secret: true }
  plain: { type: string }
  picture: { type: file }
steps:
  draw:
    provider: armox
    model: google/nano-banana
    inputs: { prompt: "{{ inputs.plain }} {{ secrets.STYLE_TOKEN }} {{ inputs.token }}" }
    save: true
  words:
    provider: armox
    model: openai/gpt-5-mini
    inputs: { prompt: "{{ secrets.STYLE_TOKEN | urlencode }} {{ inputs.token | b64encode }}" }
    save: "words.{{ ext }}"
  think:
    provider: airmy
    agent: ag_01HXYZ
    inputs: { query: "{{ inputs.token }} {{ secrets.STYLE_TOKEN }}" }
  list:
    provider: airmy
    http: { url: "/agents", headers: { X-Token: "{{ secrets.STYLE_TOKEN }}" } }
  say:
    provider: aimp
    model: demo-model
    inputs: { text: "{{ secrets.STYLE_TOKEN }}, {{ inputs.token }}" }
    save: true
  see:
    provider: aimp
    model: image-captioner
    inputs: { image: "{{ inputs.picture }}" }
  hook:
    http:
      method: POST
      url: "MIRROR/hook"
      headers: { Authorization: "Bearer {{ secrets.STYLE_TOKEN }}", X-Token: "{{ inputs.token }}", X-Plain: "{{ inputs.plain }}" }
      query: { key: "{{ inputs.token }}", basic: "{{ ('user:' ~ secrets.STYLE_TOKEN) | b64encode }}" }
      json: { token: "{{ secrets.STYLE_TOKEN }}", list: ["{{ inputs.token }}"] }
outputs:
  said: "{{ steps.say.output }}"
  hook: "{{ steps.hook.output }}"
  plain: "{{ inputs.plain }}"
  percent: "{{ inputs.plain | urlencode }}"
  base64: "{{ ('user:' ~ inputs.plain) | b64encode }}"
"#;

const IN: &str = "ours/in.yaml";

/// Every command and every format, against accounts that work.
#[test]
fn a_run_that_succeeds_leaves_no_secret_behind() {
    let (servers, mirror) = (Servers::new(["", "", ""]), Mirror::start("200 OK"));
    let mut trial = Trial::against(&servers);
    trial.scene.file("workflows/all.yaml", ALL.replace("MIRROR", &mirror.url("")));
    trial.scene.file("workflows/clip.yaml", "steps: { a: { set: { b: c } } }");
    trial.scene.file("workflows/launch.yaml", "steps: { a: { set: { b: c } } }");
    for format in ["human", "plain", "json", "github"] {
        let code = trial.run(&["run", "all", "--inputs", IN, "-v", "--format", format]);
        assert_eq!(code, Some(0), "{}", trial.last());
    }
    for arguments in [
        &["plan", "all", "--inputs", IN, "-v"][..],
        &["plan", "all", "--inputs", IN, "--format", "json"],
        &["run", "all", "--inputs", IN, "--sandbox", "-v"],
        &["validate", "-v"],
        &["validate", "--format", "json"],
        &["lock", "-v"],
        &["lock", "--check"],
        &["run", "all", "--inputs", IN, "--locked"],
        &["doctor", "-v"],
        &["doctor", "--format", "json"],
        &["account", "-v"],
        &["account", "--format", "json"],
        &["models", "-v"],
        &["models", "demo-model"],
        &["apps"],
        &["agents", "--format", "json"],
        &["runs", "-v"],
        &["runs", "--format", "json"],
        &["show", "-v"],
        &["show", "last", "--format", "json"],
        &["graph", "last"],
        &["graph", "all", "--format", "svg"],
        &["schema", "--for", "all"],
        &["init"],
        &["init", "--model", "demo-model"],
        &["init", "--agent", "ag_01HXYZ"],
        &["init", "--app", "Sketch to Render"],
    ] {
        assert_eq!(trial.run(arguments), Some(0), "{}", trial.last());
    }
    // The secrets were there: every emulator took its key, and the values arrived.
    let [armox, airmy, aimp] = &servers.0;
    for (server, header) in [(armox, "authorization"), (airmy, "authorization"), (aimp, "x-api-key")] {
        assert!(server.log().iter().any(|request| request.credentials == [header] && request.status == Some(200)));
        let inputs = serde_json::to_value(server.jobs()).expect("JSON");
        let words = texts(&inputs).join("\n");
        assert!(words.contains(TOKEN) && words.contains(INPUT), "{words}");
    }
    // Bytes go to the storage, and files come from it, without any key.
    let files = |server: &Sandbox| server.log().into_iter().filter(|request| request.api.is_none()).collect::<Vec<_>>();
    assert!(!files(armox).is_empty() && !files(aimp).is_empty());
    assert!([armox, aimp].iter().all(|server| files(server).iter().all(|request| request.credentials.is_empty())));
    assert!(mirror.heads().contains(TOKEN) && mirror.heads().contains(INPUT), "{}", mirror.heads());

    let left = trial.end();
    left.assert_clean();
    // The control: what is no secret is found, in every form, on the screen, in the journal, and among the files.
    let hits = left.search(PLAIN);
    let found = |what: &str, place: &str| hits.iter().any(|hit| hit.contains(what) && hit.contains(place));
    assert!(found("plain canary \\\"Open", "stdout of `dagwood run"), "{hits:?}");
    assert!(found("plain canary", "state.db"), "{hits:?}");
    assert!(found("plain%20canary", "stdout of `dagwood run"), "{hits:?}");
    assert!(hits.iter().any(|hit| !hit.contains("canary")), "base64: {hits:?}");
    for file in ["dagwood.lock", "workflows/demo-model.yaml", "manifest.json", "words.txt", "state.db"] {
        assert!(left.found.iter().any(|(place, _)| place.ends_with(file)), "{file} was searched");
    }
}

fn texts(value: &serde_json::Value) -> Vec<String> {
    match value {
        serde_json::Value::String(text) => vec![text.clone()],
        serde_json::Value::Array(items) => items.iter().flat_map(texts).collect(),
        serde_json::Value::Object(map) => map.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// A workflow of one step at a system.
fn one(provider: &str) -> String {
    let step = match provider {
        "armox" => "model: google/nano-banana, inputs: { prompt: \"WORDS\" }",
        "airmy" => "agent: ag_01HXYZ, inputs: { query: \"WORDS\" }",
        _ => "model: demo-model, inputs: { text: \"WORDS\" }",
    };
    let step = step.replace("WORDS", "{{ inputs.token }} {{ secrets.STYLE_TOKEN }} {{ inputs.plain }}");
    format!(
        "secrets: [STYLE_TOKEN]\ninputs: {{ token: {{ type: string, secret: true }}, plain: {{ type: string }}, picture: {{ type: file }} }}\n\
         steps:\n  it: {{ provider: {provider}, {step} }}\n"
    )
}

const SYSTEMS: [&str; 3] = ["armox", "airmy", "aimp"];

/// Every way in which a run ends badly, with an API that repeats in its words what it was sent.
#[test]
fn a_run_that_ends_badly_leaves_no_secret_behind() {
    // Each API repeats what it was sent: its own key, and the secrets.
    let says = |key: &str| serde_json::to_string(&format!("{key} {TOKEN} {INPUT} {PLAIN} is wrong")).expect("JSON");
    let mut seen = BTreeSet::new();
    for (faults, is_told) in [
        ("- { on: submit, do: { fail: SAID } }", true),
        ("- { on: submit, do: { status: 400, message: SAID } }", true),
        ("- { on: submit, do: { status: 401, message: SAID } }", true),
        ("- { on: submit, do: { status: 402, message: SAID } }", true),
        ("- { on: catalog, do: { status: 403, message: SAID } }", true),
        ("- { on: look, do: { status: 404, message: SAID } }", false),
        ("- { on: submit, nth: 1, do: lose_reply }", false),
        ("- { on: submit, nth: 1, do: broken_json }", false),
    ] {
        let servers = Servers::new([ARMOX, AIRMY, AIMP].map(|key| faults.replace("SAID", &says(key))));
        let mut trial = Trial::against(&servers);
        for system in SYSTEMS {
            trial.scene.file("workflows/one.yaml", one(system));
            let code = trial.run(&["run", "one", "--inputs", IN, "-v"]);
            // What is lost may be settled, by which the run goes on: how it ends then is for other tests to say.
            assert!(!is_told || code != Some(0), "{faults}: {}", trial.last());
            let told = trial.last();
            assert!(!is_told || (told.contains("****") && told.contains("is wrong")), "{faults}: the control: {told}");
            seen.insert(code);
            trial.run(&["show", "-v"]);
            trial.run(&["show", "--format", "json"]);
        }
        let left = trial.end();
        left.assert_clean();
        assert!(!is_told || !left.search(PLAIN).is_empty(), "the control: {faults}");
    }
    assert!([1, 4, 5, 8].iter().all(|code| seen.contains(&Some(*code))), "the ends that there were: {seen:?}");
}

/// A server that refuses every key and says which, in its body and in its headers.
#[test]
fn a_refusal_that_repeats_the_key_is_told_without_it() {
    for status in
        ["401 Unauthorized", "403 Forbidden", "422 Unprocessable Entity", "200 OK", "500 Internal Server Error"]
    {
        let mirror = Mirror::start(status);
        let mut trial = Trial::new([&mirror.url("/api/v1"), &mirror.url("/v2"), &mirror.url("/api")]);
        let mut ends = BTreeSet::new();
        for system in SYSTEMS {
            trial.scene.file("workflows/one.yaml", one(system));
            // A 500 is asked about several times, with waits in between; an answer that makes no sense is asked for anew for an hour
            // where the API makes one run of both.
            let commands: &[&[&str]] = match (status, system) {
                ("500 Internal Server Error", _) => &[&["run", "one", "--inputs", IN, "-v"]],
                ("200 OK", "airmy") => &[&["plan", "one", "--inputs", IN, "-v"], &["lock", "workflows/one.yaml"]],
                _ => &[
                    &["run", "one", "--inputs", IN, "-v"],
                    &["run", "one", "--inputs", IN, "--format", "json"],
                    &["run", "one", "--inputs", IN, "--format", "github"],
                    &["validate", "workflows/one.yaml", "-v"],
                    &["account", "--provider", system, "-v"],
                    &["doctor", "-v"],
                    &["lock", "workflows/one.yaml"],
                    &["schema", "--for", "one"],
                ],
            };
            for arguments in commands {
                ends.insert(trial.run(arguments));
            }
        }
        let heads = mirror.heads();
        assert!([ARMOX, AIRMY, AIMP].iter().all(|key| heads.contains(key)), "{status}: each key was sent: {heads}");
        assert!(ends.iter().any(|code| *code != Some(0)), "{status}: {ends:?}");
        let left = trial.end();
        left.assert_clean();
        // The control: the echo was told, with asterisks in it.
        let told = left.found.iter().any(|(_, said)| String::from_utf8_lossy(said).contains("**** is no key"));
        assert!(told || status == "200 OK", "{status}: the refusal is told");
    }
}

/// The first signal cancels; what was sent by then is in the journal.
#[cfg(unix)]
#[test]
fn a_run_that_is_called_off_leaves_no_secret_behind() {
    let slow = "- { on: submit, do: { takes: 60s } }";
    let servers = Servers::new([slow; 3]);
    let mut trial = Trial::against(&servers);
    trial.scene.file("workflows/one.yaml", one("armox").replace("google/nano-banana", "kling/video"));
    for name in ["INT", "TERM"] {
        let arguments = ["run", "one", "--inputs", IN, "-v"];
        let mut child = trial.scene.command(&arguments).stdout(Stdio::piped()).spawn().expect("the binary runs");
        let mut err = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut said = wait_for(&mut err, "submitted as");
        signal(&child, name);
        err.read_to_string(&mut said).expect("UTF-8");
        let output = child.wait_with_output().expect("it ends");
        assert!(matches!(output.status.code(), Some(130 | 143)), "{said}");
        trial.said(&arguments, "stderr", said.into_bytes());
        trial.said(&arguments, "stdout", output.stdout);
    }
    trial.run(&["show", "--format", "json"]);
    let left = trial.end();
    left.assert_clean();
    assert!(!left.search(PLAIN).is_empty(), "the control");
}

/// What is wrong before anything is sent: bad files, bad flags, bad accounts, stores that cannot be used.
#[test]
fn what_is_wrong_is_told_without_secrets() {
    let mirror = Mirror::start("200 OK");
    let url = mirror.url("/v2");
    let with_user = format!("https://user:{PROXY}@api.example.com");
    let with_query = format!("https://api.example.com/?key={AWS}");
    for (airmy, file, text) in [
        // Wrong inputs, beside secret ones.
        (url.as_str(), "ours/in.yaml", format!("{{token: {}, plian: x, plain: y}}", serde_json::json!(INPUT))),
        (&url, "ours/in.yaml", format!("token: {}\nplain: [", serde_json::json!(INPUT))),
        (&url, "ours/in.yaml", format!("token: [{}]\nplain: x", serde_json::json!(INPUT))),
        (&url, "ours/in.yaml", serde_json::json!(INPUT).to_string()),
        // Wrong files with keys.
        (&url, "ours/.env", format!("AIRMY_OF_OURS='{AIRMY}\n")),
        (&url, "ours/.env", format!("AIRMY_OF_OURS={AIRMY}\n{AWS}\n")),
        (&url, "ours/.env", format!("AIRMY_OF_OURS=\"{AIRMY}\u{1}\"\n")),
        (&url, "ours/aimp.key", format!("{AIMP}\nsecond line {AIMP}")),
        // Wrong places.
        (&with_user, "nothing", String::new()),
        (&with_query, "nothing", String::new()),
        ("https://api.invalid/v2", "nothing", String::new()),
        (&url, "dagwood.yaml", format!("staging: s3://bucket/prefix\nenv_file: {OURS}/.env\n")),
        (&url, "dagwood.yaml", format!("staging: \"s3://{AWS}@bucket/prefix\"\n")),
        (&url, "dagwood.yaml", format!("providers: {{ airmy: {{ api_key: \"{AIRMY}\" }} }}\n")),
        (&url, "dagwood.yaml", format!("providers: {{ airmy: {{ api_key: {AIRMY} }}\n")),
        (&url, "dagwood.yaml", format!("providers:\n  airmy:\n    base_url: \"https://{PROXY}:x@api.example.com\"\n")),
    ] {
        let mut trial = Trial::new([&mirror.url("/api/v1"), airmy, &mirror.url("/api")]);
        trial.scene.file(file, &text);
        // AIMP's, for the file of its key; AIRMY's for the rest.
        trial.scene.file("workflows/one.yaml", one(if file.ends_with("aimp.key") { "aimp" } else { "airmy" }));
        let code = trial.run(&["run", "one", "--inputs", IN, "-v"]);
        assert_ne!(code, Some(0), "{file}: {text}: {}", trial.last());
        trial.run(&["run", "one", "--inputs", IN, "--format", "json"]);
        trial.run(&["validate", "-v"]);
        trial.run(&["doctor", "-v", "--format", "json"]);
        trial.run(&["doctor", "--format", "github"]);
        // What we wrote into it ourselves is no find.
        std::fs::remove_file(trial.scene.path("dagwood.yaml")).expect("it is there");
        let left = trial.end();
        left.assert_clean();
    }
}

/// The control of the search itself: each form of each text is found, and no form of one is taken for another.
#[test]
fn the_search_finds_what_it_looks_for() {
    for text in SECRETS.into_iter().chain([PLAIN]) {
        for form in forms(text) {
            let left = Left { found: vec![("here".to_owned(), format!("x{form}y").into_bytes())] };
            assert!(!left.search(text).is_empty(), "{form}");
            let others = SECRETS.into_iter().chain([PLAIN]).filter(|other| *other != text);
            assert!(others.into_iter().all(|other| left.search(other).is_empty()), "{form}");
        }
        for around in ["", "a", "ab", "user:"] {
            let encoded = BASE64_STANDARD.encode(format!("{around}{text}{around}"));
            let left = Left { found: vec![("here".to_owned(), encoded.into_bytes())] };
            assert!(!left.search(text).is_empty(), "{around}");
        }
    }
    let scene = Scene::new();
    scene.file("a/b/c.bin", [b"\xff\0", PLAIN.as_bytes()].concat());
    scene.file("ours/d", PLAIN);
    let mut left = Left::default();
    left.folder(&scene.path(""));
    assert_eq!(left.search(PLAIN).len(), 1, "in its own file, and not in ours");
}

/// Whatever holds a secret may end in a panic's message or a log.
#[test]
fn debug_shows_no_secret_of_anything_that_holds_one() {
    let secret = || Secret::new("canary-of-a-key");
    let world = World::real().with_environment([("ARMOX_API_KEY".to_owned(), "canary-of-a-key".to_owned())].into());
    let redactor = Redactor::new([secret()]);
    let armox = ArmoxSettings { redactor: redactor.clone(), ..ArmoxSettings::new(secret()) };
    let airmy = AirmySettings { redactor: redactor.clone(), ..AirmySettings::new(secret()) };
    let aimp = AimpSettings { redactor: redactor.clone(), ..AimpSettings::new("https://aimp.example.com", secret()) };
    let credential = Credential { header: "x-api-key", prefix: "", key: secret() };
    let client = ClientSettings {
        credential: Some(credential.clone()),
        redactor: redactor.clone(),
        ..ClientSettings::new("https://api.example.com")
    };
    let keys = Keys { armox: secret(), airmy: secret(), aimp: secret() };
    let settings = Settings { keys: keys.clone(), ..Settings::default() };
    let text = "secrets: [KEY]\ninputs: { token: { type: string, secret: true } }\nsteps: { a: { set: { b: c } } }";
    let (document, wrong) = spec::load(Arc::new(Source::new("a.yaml", text)), "a");
    assert!(wrong.is_empty(), "{wrong:?}");
    let inputs = serde_json::json!({"token": "canary-of-a-key"}).as_object().cloned().expect("a map");
    let given = Given { inputs, secrets: [("KEY".to_owned(), secret())].into() };
    let plan = plan::plan(&Arc::new(document.expect("a workflow")), Some(&given), &[]).plan.expect("a plan");
    assert_eq!(plan.secret_inputs["token"].expose(), "canary-of-a-key");
    let scope =
        Scope::new().with_secrets(&given.secrets).with(Root::Inputs, &serde_json::json!({"token": "canary-of-a-key"}));
    let staged =
        Staged { url: Secret::new("https://files.example.com/a?signature=canary"), expires: Timestamp::UNIX_EPOCH };
    let shown: Vec<(&str, &dyn Debug)> = vec![
        ("Secret", &plan.secrets),
        ("Redactor", &redactor),
        ("World", &world),
        ("Credential", &credential),
        ("ClientSettings", &client),
        ("ArmoxSettings", &armox),
        ("AirmySettings", &airmy),
        ("AimpSettings", &aimp),
        ("Keys", &keys),
        ("Settings", &settings),
        ("Given", &given),
        ("Plan", &plan),
        ("Scope", &scope),
        ("Staged", &staged),
    ];
    let built: Vec<(&str, Box<dyn Debug>)> = vec![
        ("Client", Box::new(Client::new(client.clone(), world.clone()).expect("a client"))),
        ("Armox", Box::new(Armox::new(armox.clone(), world.clone()).expect("a provider"))),
        ("Airmy", Box::new(Airmy::new(airmy.clone(), world.clone()).expect("a provider"))),
        ("Aimp", Box::new(Aimp::new(aimp.clone(), world.clone()).expect("a provider"))),
        ("Web", Box::new(Web::new([secret()], false, world.clone()).expect("a provider"))),
        ("Downloader", Box::new(Downloader::new(&world).expect("a downloader"))),
        ("Sandbox", Box::new(Sandbox::start_on_thread(settings.clone(), world.clone()).expect("an emulator"))),
    ];
    let all = shown.into_iter().chain(built.iter().map(|(name, built)| (*name, &**built)));
    for (name, value) in all {
        for text in [format!("{value:?}"), format!("{value:#?}")] {
            assert!(!text.contains("canary-of") && !text.contains("signature"), "{name}: {text}");
        }
    }
    assert_eq!(format!("{:?}", secret()), "****");
}
