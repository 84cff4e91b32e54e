//! The command line, from outside: the real binary in a folder, a home and an environment of its own, whole outputs compared.
//!
//! What changes from run to run (ids, ports, times) is replaced by words first; everything else must stay as it is, since people's
//! scripts and eyes rely on it.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use dagwood::{
    id::Digest,
    job::JobState,
    sandbox::{FaultScript, KEY, Sandbox, Settings, Speed},
    world::World,
};
use regex::Regex;
use serde_json::{Value, json};

/// A workflow with a picture, a clip of it, and a text.
const LAUNCH: &str = r#"version: 1
name: launch
labels: { team: film }
inputs:
  subject: { type: string, default: a lighthouse }
  loud: { type: boolean, default: false }
steps:
  picture:
    model: google/nano-banana
    inputs:
      prompt: "{{ inputs.subject }} at dusk"
      aspect_ratio: "16:9"
    save: true
  caption:
    model: openai/gpt-5-mini
    inputs:
      prompt: "Describe {{ steps.picture.image }}"
  note:
    set: { loud: "{{ inputs.loud }}", words: "{{ steps.caption.text | length }}" }
outputs:
  picture: "{{ steps.picture.image }}"
  loud: "{{ steps.note.output.loud }}"
"#;

/// A workflow with one long job.
const CLIP: &str = r#"name: clip
steps:
  clip:
    model: kling/video
    inputs: { prompt: Slow dolly in }
outputs: { clip: "{{ steps.clip.video }}" }
"#;

/// A folder, a home and an environment of a test's own.
pub(crate) struct Scene {
    folder: tempfile::TempDir,
    pub(crate) environment: BTreeMap<&'static str, String>,
}

/// What came of a command.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    /// Standard output as it was.
    pub(crate) raw: String,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Scene {
    /// Builds a project with the two workflows.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let environment = [
            ("HOME", folder.path().join("home").display().to_string()),
            ("LANG", "C.UTF-8".to_owned()),
            ("PATH", "/usr/bin:/bin".to_owned()),
            ("TMPDIR", std::env::temp_dir().display().to_string()),
        ];
        let scene = Self { folder, environment: environment.into() };
        scene.file("workflows/launch.yaml", LAUNCH);
        scene.file("workflows/clip.yaml", CLIP);
        scene
    }

    /// Sets a variable.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.insert(name, value.into());
        self
    }

    /// Lets the API be this emulator.
    pub(crate) fn against(self, sandbox: &Sandbox) -> Self {
        self.with("ARMOX_BASE_URL", sandbox.base_url()).with("ARMOX_API_KEY", KEY)
    }

    /// Writes a file.
    pub(crate) fn file(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Returns what a run has saved, by path; of the manifest, which names run and times, only that it is there.
    pub(crate) fn saved(&self, run: &str) -> BTreeMap<PathBuf, Digest> {
        let root = self.path("artifacts").join(run);
        let (mut files, mut folders) = (BTreeMap::new(), vec![root.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let name = path.strip_prefix(&root).expect("a path below it").to_owned();
                let is_manifest = name.as_os_str() == "manifest.json";
                let bytes = if is_manifest { Vec::new() } else { std::fs::read(&path).expect("a file") };
                files.insert(name, Digest::of(&bytes));
            }
        }
        files
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dagwood"));
        command.args(arguments);
        self.placed(command)
    }

    /// Builds the command of a shell that does something first, and then becomes the program.
    #[cfg(unix)]
    pub(crate) fn shell(&self, first: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("{first}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_dagwood")]).args(arguments);
        self.placed(command)
    }

    fn placed(&self, mut command: Command) -> Command {
        command.current_dir(self.folder.path()).env_clear().envs(&self.environment);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.finish(self.command(arguments))
    }

    /// Runs a command to its end.
    pub(crate) fn finish(&self, mut command: Command) -> Ran {
        self.finish_with(&mut command)
    }

    pub(crate) fn finish_with(&self, command: &mut Command) -> Ran {
        let output = command.output().expect("the binary runs");
        let raw = String::from_utf8(output.stdout).expect("UTF-8");
        Ran {
            code: output.status.code(),
            out: self.tidy(&raw),
            raw,
            err: self.tidy(&String::from_utf8(output.stderr).expect("UTF-8")),
        }
    }

    /// Replaces what changes from run to run.
    pub(crate) fn tidy(&self, text: &str) -> String {
        let folder = self.folder.path().canonicalize().expect("a folder");
        let text = text.replace(&*folder.to_string_lossy(), "FOLDER");
        let text = text.replace(&*self.folder.path().to_string_lossy(), "FOLDER");
        [
            (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
            (r"\b[0-9a-f]{8}-[0-9a-f]{4}\b", "PREFIX"),
            (r"\b[0-9a-f]{64}\b", "DIGEST"),
            (r"\b[0-9a-f]{4}…[0-9a-f]{4}\b", "RUN"),
            (r"(submitted as|job) [0-9a-f]{8}\b", "$1 JOB"),
            (r"127\.0\.0\.1:[0-9]+", "HOST"),
            (r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+(Z| UTC)", "TIME"),
            (r"\b[0-9]{2}:[0-9]{2}:[0-9]{2}\b", "TIME"),
            (r"between [0-9:]+ and [0-9:]+ UTC on [0-9-]+", "between TIME and TIME"),
            (r" *\b[0-9]+\.[0-9]s", " TOOK"),
            (r"\b[0-9.]+ (k|M)?B\b", "SIZE"),
        ]
        .iter()
        .fold(text, |text, (pattern, word)| {
            Regex::new(pattern).expect("a pattern").replace_all(&text, *word).into_owned()
        })
    }
}

impl Ran {
    /// Returns all of it.
    pub(crate) fn all(&self) -> String {
        format!("exit {}\n--- stdout\n{}--- stderr\n{}", self.code.unwrap_or(-1), self.out, self.err)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.raw).unwrap_or_else(|error| panic!("{error}: {}", self.all()))
    }
}

/// Starts an emulator whose jobs take 20 ms.
pub(crate) fn emulator(faults: &str) -> Sandbox {
    let faults = FaultScript::parse(faults).expect("a script");
    let settings = Settings { faults, speed: Speed::Fixed(Duration::from_millis(20)), ..Settings::default() };
    Sandbox::start_on_thread(settings, World::real()).expect("an emulator")
}

#[test]
fn a_run_in_the_emulator_needs_no_key() {
    let scene = Scene::new();
    let ran = scene.run(&["run", "launch", "--sandbox", "-i", "loud=true"]);
    insta::assert_snapshot!(ran.all(), @r#"
exit 0
--- stdout
✔ launch succeeded in TOOK · 2 jobs · 75 credits · sandbox

  picture  http://HOST/files/UUID/output/0.png
  loud     true

  ✔ picture  google/nano-banana TOOK  70 cr  1 image in picture/0.png
  ✔ caption  openai/gpt-5-mini TOOK   5 cr  1 text
  ✔ note                             –      –

  1 file (SIZE) in artifacts/UUID
--- stderr
TIME run      launch RUN started: 3 steps, about 75 credits, sandbox
TIME picture  submitted as JOB (70 credits)
TIME picture  succeeded in TOOK, 1 image, 1 file saved
TIME caption  submitted as JOB (5 credits)
TIME caption  succeeded in TOOK, 1 text
TIME note     succeeded
TIME run      succeeded in TOOK · 2 jobs · 75 credits · sandbox
"#);
    assert!(scene.path(".dagwood/state.db").is_file());
}

#[test]
fn validate_tells_a_line_a_file() {
    let scene = Scene::new();
    scene.file("workflows/launch.test.yaml", "no: workflow");
    insta::assert_snapshot!(scene.run(&["validate", "--sandbox"]).all(), @r#"
exit 0
--- stdout
workflows/clip.yaml: ok, 1 step
workflows/launch.yaml: ok, 3 steps
--- stderr
"#);
    insta::assert_snapshot!(scene.run(&["validate", "workflows/clip.yaml"]).all(), @r#"
exit 0
--- stdout
workflows/clip.yaml: ok, 1 step
--- stderr
contracts were not checked: there is no key (`ARMOX_API_KEY`); `--sandbox` checks against the emulator
"#);
    let ran = scene.run(&["validate", "--offline", "workflows", "--format", "json"]);
    insta::assert_snapshot!(ran.all(), @r#"
exit 0
--- stdout
{"kind":"diagnostics","diagnostics":[],"files":[{"file":"workflows/clip.yaml","errors":0,"warnings":0,"steps":1},{"file":"workflows/launch.yaml","errors":0,"warnings":0,"steps":3}],"contracts":"unchecked"}
--- stderr
"#);
}

#[test]
fn a_wrong_file_ends_with_3_and_sends_nothing_but_reads() {
    let sandbox = emulator("");
    let scene = Scene::new().against(&sandbox);
    let wrong =
        LAUNCH.replace("aspect_ratio: \"16:9\"", "aspect_ratio: \"16:10\"").replace("inputs.loud }}", "inputs.lout }}");
    scene.file("workflows/launch.yaml", wrong);
    insta::assert_snapshot!(scene.run(&["validate", "workflows/launch.yaml"]).all(), @r#"
exit 3
--- stdout
error[DW207]: `16:10` is not an option of input `aspect_ratio`
  --> workflows/launch.yaml:12:21
   |
 8 |   picture:
   |   ------- in this step
...
12 |       aspect_ratio: "16:10"
   |                     ^^^^^^^
   |
   = help: did you mean `1:1`?

error[DW303]: the workflow declares no input `lout`
  --> workflows/launch.yaml:19:29
   |
19 |     set: { loud: "{{ inputs.lout }}", words: "{{ steps.caption.text | length }}" }
   |                             ^^^^ not declared
   |
   = help: did you mean `loud`?

workflows/launch.yaml: 2 errors, nothing was sent
--- stderr
"#);
    let ran = scene.run(&["run", "launch"]);
    insta::assert_snapshot!(ran.all(), @r#"
exit 3
--- stdout
--- stderr
error[DW207]: `16:10` is not an option of input `aspect_ratio`
  --> workflows/launch.yaml:12:21
   |
 8 |   picture:
   |   ------- in this step
...
12 |       aspect_ratio: "16:10"
   |                     ^^^^^^^
   |
   = help: did you mean `1:1`?

error[DW303]: the workflow declares no input `lout`
  --> workflows/launch.yaml:19:29
   |
19 |     set: { loud: "{{ inputs.lout }}", words: "{{ steps.caption.text | length }}" }
   |                             ^^^^ not declared
   |
   = help: did you mean `loud`?

2 errors, nothing was sent
"#);
    let ran = scene.run(&["run", "launch", "--format", "json"]);
    assert_eq!((ran.code, ran.out.lines().count()), (Some(3), 1));
    assert_eq!(ran.json()["kind"], "diagnostics");
    let ran = scene.run(&["run", "launch", "--format", "github"]);
    assert!(ran.err.starts_with("::error file=workflows/launch.yaml,line="), "{}", ran.all());
    assert!(sandbox.log().iter().all(|request| request.method == "GET"), "{:?}", sandbox.log());
}

#[test]
fn wrong_inputs_are_told_all_at_once() {
    let scene = Scene::new();
    scene.file("in.yaml", "subject: 3\nsubjet: x\n");
    let ran = scene.run(&["run", "launch", "--sandbox", "--inputs", "in.yaml", "-i", "loud=maybe", "-i", "lout=1"]);
    insta::assert_snapshot!(ran.all(), @r#"
exit 3
--- stdout
--- stderr
error[DW502]: the workflow has no input `lout`
 |
 = help: did you mean `loud`?

error[DW502]: the workflow has no input `subjet`
 --> in.yaml:2:1
  |
2 | subjet: x
  | ^^^^^^ not declared
  |
  = help: did you mean `subject`?

error[DW503]: input `subject`: the value given for it must be text, not a whole number
 --> workflows/launch.yaml:5:3
  |
5 |   subject: { type: string, default: a lighthouse }
  |   ^^^^^^^ declared here

error[DW503]: input `loud`: the value given for it must be true or false, not text
 --> workflows/launch.yaml:6:3
  |
6 |   loud: { type: boolean, default: false }
  |   ^^^^ declared here

4 errors, nothing was sent
"#);
    let ran = scene.run(&["run", "launch", "--sandbox", "-i", "loud"]);
    insta::assert_snapshot!(ran.all(), @r#"
exit 2
--- stdout
--- stderr
error: `-i loud` has no value
  = help: write `-i loud=VALUE`, or `-i loud=@FILE` for a file's text
"#);
}

#[test]
fn inputs_come_from_a_file_and_flags_win() {
    let sandbox = emulator("");
    let scene = Scene::new().against(&sandbox);
    scene.file("in.yaml", "subject: from the file\nloud: true\n");
    scene.file("subject.txt", "a [quiet] harbour");
    let ran = scene.run(&["run", "launch", "--inputs", "in.yaml", "-i", "subject=@subject.txt"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert!(ran.out.contains("loud     true"), "{}", ran.all());
    assert_eq!(sandbox.jobs()[0].inputs["prompt"], "a [quiet] harbour at dusk");
}

#[test]
fn inputs_come_from_standard_input() {
    let scene = Scene::new();
    let mut child = scene
        .command(&["plan", "launch", "--sandbox", "--inputs", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    child.stdin.take().expect("a pipe").write_all(b"{\"subject\": \"a quay\"}").expect("it is read");
    let output = child.wait_with_output().expect("it ends");
    let out = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success() && out.contains("prompt        \"a quay at dusk\""), "{out}");
}

#[test]
fn a_plan_shows_waves_requests_and_credits() {
    let scene = Scene::new();
    let ran = scene.run(&["plan", "launch", "--sandbox", "-i", "subject=a harbour"]);
    insta::assert_snapshot!(ran.all(), @r#"
exit 0
--- stdout
launch · 3 steps · 3 waves · 2 requests · about 75 credits (10,000 left)

wave 1  picture  model  armox  google/nano-banana  70 cr  contract ok, saves its media
wave 2  caption  model  armox  openai/gpt-5-mini    5 cr  contract ok, 1 value known at run time
wave 3  note     set

picture
  prompt        "a harbour at dusk"
  aspect_ratio  "16:9"

caption
  prompt  "Describe {{ steps.picture.image }}"

note
  loud   false
  words  "{{ steps.caption.text | length }}"

outputs
  picture  "{{ steps.picture.image }}"
  loud     "{{ steps.note.output.loud }}"
--- stderr
nothing was sent
"#);
    let dry = scene.run(&["run", "launch", "--sandbox", "--dry-run", "-i", "subject=a harbour"]);
    assert_eq!(dry.all(), ran.all());
    let json = scene.run(&["plan", "launch", "--sandbox", "--format", "json"]).json();
    assert_eq!(json["counts"]["requests"], 2);
    assert!(!scene.path(".dagwood").exists(), "a plan leaves nothing behind");
}

#[test]
fn graphs_need_no_key() {
    let scene = Scene::new();
    insta::assert_snapshot!(scene.run(&["graph", "launch"]).all(), @r#"
exit 0
--- stdout
launch  3 steps · 3 waves

  [picture]
      │
      ↓
  [caption]
      │
      ↓
   [note]
--- stderr
"#);
    insta::assert_snapshot!(scene.run(&["graph", "launch", "--format", "mermaid"]).all(), @r#"
exit 0
--- stdout
---
title: "launch"
---
flowchart LR
  s0["picture<br/>google/nano-banana<br/>armox"]
  s1["caption<br/>openai/gpt-5-mini<br/>armox"]
  s2["note"]
  s0 --> s1
  s1 --> s2
--- stderr
"#);
    insta::assert_snapshot!(scene.run(&["graph", "launch", "--format", "dot"]).all(), @r##"
exit 0
--- stdout
digraph "launch" {
  rankdir=LR;
  label="launch"; labelloc=t; labeljust=l;
  graph [fontname="Helvetica", nodesep=0.3, ranksep=0.6];
  node [shape=box, style="rounded,filled", fillcolor="#ffffff", color="#8c959f", fontname="Helvetica", fontsize=11];
  edge [color="#8c959f", arrowsize=0.7];
  "picture" [label="picture\ngoogle/nano-banana\narmox"];
  "caption" [label="caption\nopenai/gpt-5-mini\narmox"];
  "note" [label="note"];
  "picture" -> "caption";
  "caption" -> "note";
}
--- stderr
"##);
    let svg = scene.run(&["graph", "launch", "--format", "svg"]);
    assert!(svg.code == Some(0) && svg.out.starts_with("<svg") && svg.out.ends_with("</svg>\n"), "{}", svg.all());
    assert_eq!(scene.run(&["graph", "last"]).code, Some(2));
    assert_eq!(scene.run(&["graph", "launch", "--format", "json"]).code, Some(2));
}

#[test]
fn models_and_apps_are_listed_and_shown() {
    let scene = Scene::new();
    insta::assert_snapshot!(scene.run(&["models", "--sandbox", "--provider", "armox"]).all(), @r#"
exit 0
--- stdout
id                      name               credits  takes        gives
google/nano-banana      Nano Banana             70  text, image  image
bytedance/seedream-4    Seedream 4              90  text, image  image
kling/video             Kling Video            210  text, image  video
google/veo-3.1          Veo 3.1                480  text, image  video
elevenlabs/speech       ElevenLabs Speech       30  text         audio
suno/music              Suno Music             120  text         audio
openai/gpt-5-mini       GPT-5 mini               5  text, image  text
topaz/image-upscale     Topaz Upscale           40  image        image
bria/remove-background  Remove Background       20  image        image
tencent/hunyuan-3d      Hunyuan 3D             300  image        model3d
--- stderr
"#);
    insta::assert_snapshot!(scene.run(&["models", "kling/video", "--sandbox", "--provider", "armox"]).all(), @r#"
exit 0
--- stdout
Kling Video  model kling/video
A short clip from a prompt, with or without a first frame
210 credits · gives video

  id               label            type                     options          default
  prompt           Prompt           text           required
  image_input                       list of image
  duration         Duration         integer                  5, 10            5
  aspect_ratio     Aspect Ratio     text                     16:9, 9:16, 1:1  "16:9"
  cfg_scale        Prompt Strength  number                   0–1              0.5
  negative_prompt  Negative Prompt  text
  sound            Sound            boolean                                   false

The API does not promise that this list is whole: other settings are passed on with a warning.

steps:
  kling_video:
    model: kling/video
    inputs:
      prompt: "write it here"
      # image_input: ["https://example.com/picture.png"]
      # duration: 5
      # aspect_ratio: "16:9"
      # cfg_scale: 0.5
      # negative_prompt: "write it here"
      # sound: false
--- stderr
"#);
    insta::assert_snapshot!(scene.run(&["apps", "sketch to render", "--sandbox"]).all(), @r#"
exit 0
--- stdout
Sketch to Render  app UUID
Convert sketches into photorealistic renders
credits unknown

  id                                    label         type                     options  default
  UUID  Input Images  list of image  required
  UUID  Aspect Ratio  text           required

steps:
  sketch_to_render:
    app: Sketch to Render
    # or by id: UUID
    inputs:
      Input Images: ["https://example.com/picture.png"]
      Aspect Ratio: "write it here"
--- stderr
"#);
    insta::assert_snapshot!(scene.run(&["models", "kling/vidoe", "--sandbox"]).all(), @r#"
exit 2
--- stdout
--- stderr
error: no account has a model `kling/vidoe`
  = help: did you mean `kling/video`?
"#);
    let apps = scene.run(&["apps", "--sandbox", "--format", "json"]).json();
    assert!(apps["armox"].as_array().is_some_and(|apps| apps.len() >= 4), "{apps}");
}

#[test]
fn every_step_that_is_offered_for_pasting_is_valid() {
    let scene = Scene::new();
    for kind in ["models", "apps", "agents"] {
        let all = scene.run(&[kind, "--sandbox", "--format", "json"]).json();
        let lists = all.as_object().expect("lists by alias").values();
        let contracts = lists.flat_map(|list| list.as_array().expect("a list"));
        for id in contracts.map(|contract| &contract["target"]["id"]) {
            let id = id.as_str().expect("an id");
            let page = scene.run(&[kind, id, "--sandbox"]).raw;
            let step = &page[page.find("steps:").expect("a step")..];
            scene.file("pasted.yaml", step);
            let ran = scene.run(&["validate", "pasted.yaml", "--sandbox"]);
            assert_eq!(ran.out, "pasted.yaml: ok, 1 step\n", "{step}{}", ran.all());
            // What is offered as a comment is right, too.
            let empty = if step.contains("      # ") { "inputs:" } else { "inputs: {}" };
            scene.file("pasted.yaml", step.replace("      # ", "      ").replace("inputs: {}", empty));
            let ran = scene.run(&["validate", "pasted.yaml", "--sandbox"]);
            assert_eq!(ran.code, Some(0), "{step}{}", ran.all());
        }
    }
}

#[test]
fn the_account_is_shown() {
    let scene = Scene::new();
    insta::assert_snapshot!(scene.run(&["account", "--sandbox", "--provider", "armox"]).all(), @r#"
exit 0
--- stdout
armox
  credits                  10,000
  plan                     agency
  credits used last 30d         0
  total requests last 30d       1
  total jobs                    0
  api keys active               1
--- stderr
"#);
    assert_eq!(scene.run(&["account", "--sandbox", "--format", "json"]).json()["armox"]["credits"], 10_000.0);
}

#[test]
fn history_is_listed_filtered_and_shown() {
    let sandbox = emulator("");
    let scene = Scene::new().against(&sandbox);
    insta::assert_snapshot!(scene.run(&["runs"]).all(), @r#"
exit 0
--- stdout
--- stderr
there are no such runs here
"#);
    insta::assert_snapshot!(scene.run(&["show", "last"]).all(), @r#"
exit 2
--- stdout
--- stderr
error: there is no run `last`: nothing has run yet with its state in `.dagwood`
  = help: start one with `dagwood run WORKFLOW`, or name its state folder with `--state DIR`
"#);
    assert_eq!(scene.run(&["run", "clip", "-q"]).code, Some(0));
    assert_eq!(scene.run(&["run", "launch", "-q"]).code, Some(0));
    insta::assert_snapshot!(scene.run(&["runs"]).all(), @r#"
exit 0
--- stdout
   run            workflow  started   took  jobs  credits
✔  PREFIX  launch    TIME TOOK     2       75  succeeded
✔  PREFIX  clip      TIME TOOK     1      210  succeeded
--- stderr
"#);
    insta::assert_snapshot!(scene.run(&["show"]).all(), @r#"
exit 0
--- stdout
✔ launch succeeded in TOOK · 2 jobs · 75 credits

  run       UUID
  file      workflows/launch.yaml
  started   TIME
  finished  TIME
  labels    team=film

inputs
  subject  "a lighthouse"
  loud     false

outputs
  picture  http://HOST/files/UUID/output/0.png
  loud     false

steps
  ✔ picture  google/nano-banana TOOK  70 cr  1 image in picture/0.png
  ✔ caption  openai/gpt-5-mini TOOK   5 cr  1 text
  ✔ note                             –      –

  1 file (SIZE) in artifacts/UUID
--- stderr
"#);
    let rows = |arguments: &[&str]| {
        let rows = scene.run(&[&["runs", "--format", "json"], arguments].concat()).json();
        rows.as_array()
            .expect("a list")
            .iter()
            .map(|row| row["workflow"].as_str().expect("a name").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(rows(&[]), ["launch", "clip"]);
    assert_eq!(rows(&["-n", "1"]), ["launch"]);
    assert_eq!(rows(&["--workflow", "clip"]), ["clip"]);
    assert_eq!(rows(&["--label", "team=film"]), ["launch"]);
    assert_eq!(rows(&["--status", "failed"]), [""; 0]);
    assert_eq!(rows(&["--since", "2h"]), ["launch", "clip"]);
    let shown = scene.run(&["show", "last", "--format", "json"]).json();
    let run = shown["run"].as_str().expect("an id");
    assert_eq!((shown["status"].as_str(), shown["steps"][0]["step"].as_str()), (Some("succeeded"), Some("picture")));
    // `runs` shows a prefix that every command takes.
    let prefix = &run[..13];
    assert!(scene.run(&["runs", "-n", "1"]).raw.contains(&format!("  {prefix}  ")));
    assert_eq!(scene.run(&["show", prefix, "--format", "json"]).json()["run"], run);
    assert_eq!(scene.run(&["show", "0000"]).code, Some(2));
    insta::assert_snapshot!(scene.run(&["graph", "last"]).all(), @r#"
exit 0
--- stdout
launch  succeeded in TOOK · 2 jobs · 75 credits

  [✔ picture]
       │
       ↓
  [✔ caption]
       │
       ↓
   [✔ note]
--- stderr
"#);
}

#[test]
fn a_run_as_json_is_a_stream_of_events() {
    let sandbox = emulator("");
    let scene = Scene::new().against(&sandbox);
    let ran = scene.run(&["run", "launch", "--format", "json"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{}", ran.all());
    let events: Vec<serde_json::Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let kinds: Vec<_> = events.iter().map(|event| event["kind"].as_str().expect("a kind")).collect();
    assert_eq!((kinds[0], kinds[kinds.len() - 1]), ("run_started", "run_finished"));
    assert!(events.iter().zip(1..).all(|(event, seq)| event["seq"] == seq));
}

#[test]
fn a_missing_or_refused_key_ends_with_4() {
    let sandbox = emulator("");
    insta::assert_snapshot!(Scene::new().run(&["run", "launch"]).all(), @r#"
exit 4
--- stdout
--- stderr
error: there is no key for `armox`: `ARMOX_API_KEY` is not set
  = help: set `ARMOX_API_KEY` (or `ARMOX_API_KEY_FILE`), or try it with `--sandbox`: no key, no credits
"#);
    let scene = Scene::new().against(&sandbox).with("ARMOX_API_KEY", "sk_live_wrong");
    insta::assert_snapshot!(scene.run(&["run", "launch"]).all(), @r#"
exit 4
--- stdout
--- stderr
error: failed to read the models of `armox`: `GET /api/v1/models` answered 401 Unauthorized: Invalid API key
  = help: check `ARMOX_API_KEY`: the API does not know this key
"#);
    let ran = scene.run(&["run", "launch", "--format", "json"]);
    assert_eq!((ran.code, &ran.json()["error"]["exit"]), (Some(4), &4.into()));
    let scene = Scene::new().against(&sandbox).with("ARMOX_API_KEY", dagwood::sandbox::FREE_KEY);
    assert_eq!(scene.run(&["models"]).code, Some(4));
    assert!(sandbox.jobs().is_empty());
}

#[test]
fn a_key_may_lie_in_a_file() {
    let sandbox = emulator("");
    let mut scene = Scene::new().against(&sandbox);
    scene.environment.remove("ARMOX_API_KEY");
    scene.file("key", format!("{KEY}\n"));
    let path = scene.path("key").display().to_string();
    let scene = scene.with("ARMOX_API_KEY_FILE", path);
    assert_eq!(scene.run(&["account"]).code, Some(0));
}

#[test]
fn an_api_that_cannot_be_reached_is_told_with_its_address() {
    let scene = Scene::new().with("ARMOX_BASE_URL", "http://127.0.0.1:1/api/v1").with("ARMOX_API_KEY", KEY);
    insta::assert_snapshot!(scene.run(&["models"]).all(), @r#"
exit 1
--- stdout
--- stderr
error: failed to read the models of `armox`: `GET /api/v1/models` was not sent: no connection to 127.0.0.1: Connection refused (os error 111)
  = help: is `http://HOST/api/v1` reachable from here? `HTTPS_PROXY` and `ARMOX_BASE_URL` are obeyed; `--sandbox` needs no network
"#);
}

#[test]
fn a_catalogue_that_stumbles_is_asked_again() {
    let sandbox = emulator("- { on: catalog, times: 2, do: { status: 503 } }");
    let scene = Scene::new().against(&sandbox);
    assert_eq!(scene.run(&["models"]).code, Some(0));
    assert_eq!(sandbox.log().len(), 3);
}

#[test]
fn too_few_credits_end_with_5() {
    let settings = Settings { credits: 50.0, ..Settings::default() };
    let sandbox = Sandbox::start_on_thread(settings, World::real()).expect("an emulator");
    insta::assert_snapshot!(Scene::new().against(&sandbox).run(&["run", "launch"]).all(), @r#"
exit 5
--- stdout
✖ launch failed after TOOK

  ✖ picture  google/nano-banana TOOK    –  failed
  – caption  openai/gpt-5-mini       –    –  skipped
  – note                             –    –  skipped

  picture failed: `POST /api/v1/models/run` answered 402 Payment Required: Insufficient credits. Required 70, available 50
    so these did not run: caption, note

  dagwood resume UUID   starts the failed steps again, and keeps what is finished
--- stderr
warning[DW605]: `armox` has 50 credits left, and the jobs of this run cost about 75 there
 |
 = help: top the account up: a job that it cannot pay is refused; `dagwood account` shows what is left

TIME run      launch RUN started: 3 steps, about 75 credits
TIME picture  failed after TOOK: `POST /api/v1/models/run` answered 402 Payment Required: Insufficient credits. Required 70, available 50
TIME caption  skipped: `picture` did not succeed
TIME note     skipped: `caption` did not succeed
TIME run      failed after TOOK
help: top the account up; `dagwood account` shows what is left
"#);
}

#[test]
fn an_account_is_asked_once_before_a_run_that_costs_something() {
    let asked = |sandbox: &Sandbox| sandbox.log().iter().filter(|request| request.path.ends_with("/account")).count();
    let poor = |faults: &str| {
        let faults = FaultScript::parse(faults).expect("a script");
        let speed = Speed::Fixed(Duration::from_millis(20));
        let settings = Settings { credits: 209.0, faults, speed, ..Settings::default() };
        Sandbox::start_on_thread(settings, World::real()).expect("an emulator")
    };
    let warning = "warning[DW605]: `armox` has 209 credits left, and the jobs of this run cost about 210 there";

    let sandbox = poor("[]");
    let told = Scene::new().against(&sandbox).run(&["run", "clip", "--format", "json"]);
    assert!(told.err.starts_with(warning) && !told.out.contains("DW605"), "{}", told.all());
    assert_eq!(asked(&sandbox), 1);
    let quiet = Scene::new().against(&sandbox).run(&["run", "clip", "-q"]);
    assert!(!quiet.err.contains("DW605") && asked(&sandbox) == 1, "{}", quiet.all());
    let scene = Scene::new().against(&sandbox);
    scene.file("workflows/free.yaml", "steps: { note: { set: { a: 1 } } }\n");
    assert_eq!((scene.run(&["run", "free"]).code, asked(&sandbox)), (Some(0), 1), "nothing to pay");

    // One that does not answer keeps no run from starting, and is asked no second time.
    let sandbox = emulator("- { on: account, do: { status: 503 } }");
    let scene = Scene::new().against(&sandbox);
    let ran = scene.run(&["run", "clip"]);
    assert!(ran.code == Some(0) && !ran.err.contains("account"), "{}", ran.all());
    assert_eq!(asked(&sandbox), 1);
    let verbose = scene.run(&["run", "clip", "-v"]);
    assert!(verbose.err.contains("failed to read the account of `armox`"), "{}", verbose.all());
}

#[test]
fn a_plan_shows_budget_and_group_and_warns_of_a_budget_that_is_too_small() {
    let scene = Scene::new();
    let rules = "budget: { credits: 200, tokens: 1000 }\nconcurrency: { group: \"{{ run.name }}-{{ inputs.team }}\" }\ninputs: { team: { type: string } }\n";
    scene.file("workflows/clip.yaml", format!("{rules}{CLIP}"));
    insta::assert_snapshot!(scene.run(&["plan", "clip", "--sandbox", "-i", "team=film"]).all(), @r#"
exit 0
--- stdout
clip · 1 step · 1 wave · 1 request · about 210 credits (10,000 left)
budget  200 credits, 1,000 tokens
group   {{ run.name }}-{{ inputs.team }}, waits for a run that holds it

wave 1  clip  model  armox  kling/video  210 cr  contract ok

clip
  prompt  "Slow dolly in"

outputs
  clip  "{{ steps.clip.video }}"
--- stderr
warning[DW406]: the step `clip` costs about 210 credits, and the budget is 200
 --> workflows/clip.yaml:1:20
  |
1 | budget: { credits: 200, tokens: 1000 }
  |                    ^^^ not enough
  |
  = help: a submit that would pass the budget is not sent, and its step fails: raise it to 210 or more, or run fewer steps

nothing was sent
"#);
    let json = scene.run(&["plan", "clip", "--sandbox", "-i", "team=film", "--format", "json"]).json();
    assert_eq!(json["budget"], json!({ "credits": 200.0, "tokens": 1000 }));
    assert_eq!(json["group"], json!({ "name": "{{ run.name }}-{{ inputs.team }}", "on_conflict": "queue" }));
    let none = scene.run(&["plan", "launch", "--sandbox", "--format", "json"]).json();
    assert_eq!((&none["budget"], &none["group"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_job_that_fails_ends_with_1() {
    let sandbox = emulator("- { on: submit, do: { fail: The model is overloaded } }");
    insta::assert_snapshot!(Scene::new().against(&sandbox).run(&["run", "clip"]).all(), @r#"
exit 1
--- stdout
✖ clip failed after TOOK · 1 job

  ✖ clip  kling/video TOOK    –  failed

  clip failed: The model is overloaded

  dagwood resume UUID   starts the failed steps again, and keeps what is finished
--- stderr
TIME run   clip RUN started: 1 step, about 210 credits
TIME clip  submitted as JOB (210 credits)
TIME clip  failed after TOOK: The model is overloaded
TIME run   failed after TOOK · 1 job
"#);
}

#[test]
fn a_lost_answer_to_a_submit_is_settled_by_the_list_of_jobs() {
    let scene = Scene::new();
    scene.file("dagwood.yaml", "providers: { armox: { kind: armox, settle_grace: 100ms } }\n");
    scene.file("faults.yaml", "- { on: submit, do: lose_reply }");
    let ran = scene.run(&["run", "clip", "--sandbox", "--faults", "faults.yaml"]);
    insta::assert_snapshot!(ran.all(), @r#"
exit 0
--- stdout
✔ clip succeeded in TOOK · 1 job · 210 credits · sandbox

  clip  http://HOST/files/UUID/output/0.mp4

  ✔ clip  kling/video TOOK  210 cr  1 video
--- stderr
TIME run   clip RUN started: 1 step, about 210 credits, sandbox
TIME clip  finding out whether the API accepted the submit: `POST /api/v1/models/run` was sent, but no answer came: connection closed before message completed
TIME clip  the lost submit was accepted: it was found in the API's list
TIME clip  submitted as JOB (210 credits)
TIME clip  succeeded in TOOK, 1 video
TIME run   succeeded in TOOK · 1 job · 210 credits · sandbox
"#);
    // Another emulator gives the same ids to other jobs: what was claimed of the first is none of the second's.
    let again = scene.run(&["run", "clip", "--sandbox", "--faults", "faults.yaml"]);
    assert!(again.code == Some(0) && again.err.contains("it was found in the API's list"), "{}", again.all());
}

#[test]
fn a_lost_answer_that_nothing_settles_ends_with_8() {
    let scene = Scene::new();
    scene.file("dagwood.yaml", "providers: { armox: { kind: armox, settle: ask, settle_grace: 100ms } }\n");
    scene.file("faults.yaml", "- { on: submit, do: refuse }");
    let ran = scene.run(&["run", "clip", "--sandbox", "--faults", "faults.yaml"]);
    insta::assert_snapshot!(ran.all(), @r#"
exit 8
--- stdout
✖ clip stopped: the answer to one submit was lost, and whether armox accepted it is unknown

  ✖ clip  kling/video TOOK    –  failed

  clip  sent TIME, `POST /api/v1/models/run` was sent, but no answer came: connection closed before message completed; nobody can tell whether the API accepted the job: the list of jobs does not show it, which proves nothing
        up to 1 job (210 credits) may have been charged

  Look in the job list of the armox account for a job of `kling/video` created between TIME and TIME
  then
    dagwood resume UUID --adopt clip=JOB   it arrived: take its result
    dagwood resume UUID --resubmit clip    it did not: send it again
--- stderr
TIME run   clip RUN started: 1 step, about 210 credits, sandbox
TIME clip  finding out whether the API accepted the submit: `POST /api/v1/models/run` was sent, but no answer came: connection closed before message completed
TIME clip  failed after TOOK: `POST /api/v1/models/run` was sent, but no answer came: connection closed before message completed; nobody can tell whether the API accepted the job: the list of jobs does not show it, which proves nothing
TIME run   stopped after TOOK: whether a job was accepted is unknown · sandbox
"#);
}

#[test]
fn errors_of_usage_end_with_2() {
    let scene = Scene::new();
    insta::assert_snapshot!(scene.run(&["run", "launch", "--lokced"]).all(), @r#"
exit 2
--- stdout
--- stderr
error: unexpected argument '--lokced' found

  tip: a similar argument exists: '--locked'

Usage: dagwood run --locked <WORKFLOW>

For more information, try '--help'.
"#);
    insta::assert_snapshot!(scene.run(&["run", "lunch"]).all(), @r#"
exit 2
--- stdout
--- stderr
error: there is no workflow `lunch`
  = help: did you mean `launch`?
"#);
    insta::assert_snapshot!(scene.run(&["validate", "no/such.yaml"]).all(), @r#"
exit 2
--- stdout
--- stderr
error: failed to read `no/such.yaml`: no such file or directory
"#);
    insta::assert_snapshot!(scene.run(&["run", "launch", "--sandbox", "--inputs", "none.yaml"]).all(), @r#"
exit 2
--- stdout
--- stderr
error: failed to read `none.yaml`: no such file or directory
"#);
    for arguments in [
        &["run", "-"][..],
        &["run", "workflows"],
        &["run", "workflows/"],
        &["validate", "--project", "dagwood.yaml"],
        &["explain", "DW999"],
        &["resume"],
        &["runs", "--since", "yesterday"],
        &["run", "launch", "--faults", "x.yaml"],
        &["run", "launch", "--sandbox", "--faults", "x.yaml"],
        &["validate", "--offline", "--sandbox"],
        &["show", "last"],
    ] {
        let ran = scene.run(arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.all());
        assert!(!ran.err.is_empty() && ran.out.is_empty(), "{arguments:?}: {}", ran.all());
    }
}

#[test]
fn a_wrong_fault_script_ends_with_3() {
    let scene = Scene::new();
    scene.file("faults.yaml", "- { on: submits }");
    insta::assert_snapshot!(scene.run(&["run", "clip", "--sandbox", "--faults", "faults.yaml"]).all(), @r#"
exit 3
--- stdout
--- stderr
error[DW701]: `faults.yaml`: the fault script cannot be read: .[0].on: unknown variant `submits`, expected one of `submit`, `look`, `list`, `cancel`, `catalog`, `account`, `upload`, `other`, `file`, `any` at line 1 column 9
 |
 = help: a script is a list of rules such as `- { on: submit, nth: 1, do: { status: 503, when: after } }`

1 error, nothing was sent
"#);
}

#[test]
fn a_missing_secret_is_told_and_a_present_one_is_never_shown() {
    let sandbox = emulator("");
    let workflow = LAUNCH
        .replace("version: 1", "version: 1\nsecrets: [STYLE_TOKEN]")
        .replace("at dusk", "{{ secrets.STYLE_TOKEN }}");
    let scene = Scene::new().against(&sandbox);
    scene.file("workflows/launch.yaml", &workflow);
    insta::assert_snapshot!(scene.run(&["run", "launch"]).all(), @r#"
exit 3
--- stdout
--- stderr
error[DW505]: secret `STYLE_TOKEN` is not in the environment
 --> workflows/launch.yaml:2:11
  |
2 | secrets: [STYLE_TOKEN]
  |           ^^^^^^^^^^^ named here
  |
  = help: set the environment variable STYLE_TOKEN

1 error, nothing was sent
"#);
    let scene = scene.with("STYLE_TOKEN", "tok_1234567890");
    for format in ["plain", "json"] {
        let ran = scene.run(&["run", "launch", "--format", format]);
        assert_eq!(ran.code, Some(0), "{}", ran.all());
        assert!(!ran.all().contains("tok_1234567890"), "{}", ran.all());
    }
    assert!(sandbox.jobs()[0].inputs["prompt"].as_str().is_some_and(|prompt| prompt.contains("tok_1234567890")));
    for text in [scene.run(&["show"]).all(), scene.run(&["plan", "launch"]).all()] {
        assert!(!text.contains("tok_1234567890"), "{text}");
    }
}

#[test]
fn the_emulator_serves_the_contracts_of_the_lock_file() {
    let scene = Scene::new();
    scene.file(
        "dagwood.lock",
        "version: 1\ncontracts:\n- provider: armox\n  target: { kind: model, id: own/model }\n  name: Own\n  cost: 3\n  output: image\n  \
         ports:\n  - { id: prompt, required: true, kind: text }\n",
    );
    let ran = scene.run(&["models", "own/model", "--sandbox"]);
    assert!(ran.code == Some(0) && ran.out.starts_with("Own  model own/model\n"), "{}", ran.all());
}

#[test]
fn colour_follows_the_flag_and_no_color() {
    let escapes = |scene: &Scene, arguments: &[&str]| scene.run(arguments).out.contains('\u{1b}');
    let scene = Scene::new();
    assert!(!escapes(&scene, &["models", "--sandbox"]), "a pipe is no terminal");
    assert!(escapes(&scene, &["models", "--sandbox", "--color", "always"]));
    let scene = scene.with("NO_COLOR", "1");
    assert!(!escapes(&scene, &["models", "--sandbox"]));
    assert!(escapes(&scene, &["models", "--sandbox", "--color", "always"]), "a flag is the stronger word");
}

#[test]
fn a_locale_without_symbols_gets_plain_ones() {
    let scene = Scene::new().with("LANG", "C");
    for arguments in [&["models", "--sandbox"][..], &["plan", "launch", "--sandbox"], &["graph", "launch"]] {
        let ran = scene.run(arguments);
        assert!(ran.out.is_ascii(), "{}", ran.all());
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let scene = Scene::new();
    for arguments in
        [&["models", "--sandbox"][..], &["graph", "launch", "--format", "svg"], &["run", "launch", "--sandbox"]]
    {
        let mut child = scene.command(arguments).spawn().expect("the binary runs");
        // The reader is gone before anything is written.
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut said).expect("UTF-8");
        assert_eq!(child.wait().expect("it ends").code(), Some(0), "{arguments:?}: {said}");
        assert!(!said.contains("panic") && !said.contains("error"), "{arguments:?}: {said}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "what is told is long")]
fn help_is_a_result() {
    let scene = Scene::new();
    insta::assert_snapshot!(scene.run(&[]).all(), @r#"
exit 0
--- stdout
Runs declarative workflows of hosted models, apps and agents

Usage: dagwood [OPTIONS] [COMMAND]

Commands:
  run       Run a workflow
  resume    Go on with a run that stopped, failed or was cancelled
  cancel    Cancel a run of this or another process, its remote jobs included
  validate  Check workflow files: syntax, references, types, contracts
  plan      Show what a run would do: waves, requests, credits
  graph     Draw a workflow, or a run by its status
  models    List models, or show one with its contract
  apps      List apps, or show one with its contract
  agents    List agents, or show one with its contract
  account   Show credits and usage of each provider
  lock      Write down the contracts of the workflows' targets, or check what has changed
  init      Write a project to start from, or a workflow for one target
  doctor    Check keys, accounts, clocks and folders
  runs      List runs, the newest first, or remove old ones
  show      Show one run
  logs      Show what happened in a run, event by event
  cache     Show results that later runs reuse, forget them, or say why a run reused one or did not
  sandbox   Start the emulator by itself, for other clients
  schema    Print the JSON Schema of workflows, or of the project file
  explain   Explain a diagnostic at length, with a wrong and a right example

Options:
  -h, --help     Print help (see more with '--help')
  -V, --version  Print version

Everywhere:
      --format <FORMAT>  How output looks [default: human on a terminal, github in GitHub Actions,
                         else plain] [possible values: human, json, github, plain]
      --color <WHEN>     When to use colours; `NO_COLOR` is obeyed [possible values: auto, always,
                         never]
  -q, --quiet            Say only what went wrong
  -v, --verbose          Say more
      --state <DIR>      The folder of journal and history [default: .dagwood at the project root]
      --project <FILE>   The project file

Start with: dagwood run workflows/sketch-to-render.yaml --sandbox
--- stderr
"#);
    insta::assert_snapshot!(scene.run(&["run", "--help"]).all(), @r#"
exit 0
--- stdout
Run a workflow

Usage: dagwood run [OPTIONS] <WORKFLOW>

Arguments:
  <WORKFLOW>
          A path, or a name that stands for `workflows/NAME.yaml`

Options:
  -i, --input <NAME=VALUE>
          An input: YAML, for text inputs the text as it is; `NAME=@FILE` reads a file's text

      --inputs <FILE>
          Inputs from a YAML or JSON file (`-`: from standard input); `-i` wins

      --sandbox
          Use the built-in emulator: no key, no network, no credits

      --locked
          Check against the contracts of `dagwood.lock`, and read none

      --faults <FILE>
          A script of faults for the emulator

      --dry-run
          Only show what would happen (the same as `plan`)

      --artifacts <PLACE>
          The folder for saved files, or a place such as s3://BUCKET/PREFIX [default: artifacts at
          the project root]

      --only <STEP>...
          Run only these steps; what they need comes from the last run of this workflow

      --from <STEP>...
          Run these steps and what follows from them; what comes before is taken from the last run
          of this workflow

      --of <RUN>
          The run whose results are taken

      --max-credits <N>
          The most credits that the run may spend

      --keep-going
          After a failure start everything that does not need the failed step (`failure_policy:
          continue`)

      --detach-on-signal
          Leave remote jobs running when a signal ends the run: `dagwood resume` goes on with them

  -h, --help
          Print help (see a summary with '-h')

Everywhere:
      --format <FORMAT>
          How output looks [default: human on a terminal, github in GitHub Actions, else plain]

          Possible values:
          - human:  For people at a terminal
          - json:   For programs
          - github: For GitHub Actions: annotations
          - plain:  For logs: no redraw

      --color <WHEN>
          When to use colours; `NO_COLOR` is obeyed

          Possible values:
          - auto:   On a terminal
          - always: Always
          - never:  Never

  -q, --quiet
          Say only what went wrong

  -v, --verbose
          Say more

      --state <DIR>
          The folder of journal and history [default: .dagwood at the project root]

      --project <FILE>
          The project file
--- stderr
"#);
}

#[test]
fn version_schema_and_explanations_are_results() {
    let scene = Scene::new();
    assert_eq!(scene.run(&["--version"]).out, concat!("dagwood ", env!("CARGO_PKG_VERSION"), "\n"));
    let schema = scene.run(&["schema"]).json();
    assert!(schema["properties"]["steps"].is_object(), "{schema}");
    for code in ["DW204", "204", "dw204"] {
        let ran = scene.run(&["explain", code]);
        assert!(ran.code == Some(0) && ran.out.contains("DW204"), "{}", ran.all());
    }
    let ran = scene.run(&["explain", "DW299"]);
    insta::assert_snapshot!(ran.all(), @r#"
exit 2
--- stdout
--- stderr
error: there is no diagnostic `DW299`
  = help: the nearest one is `DW301`: A template that cannot be read
"#);
}

/// Waits until a line of a stream holds a text, and returns the lines up to it.
pub(crate) fn wait_for(stream: &mut impl std::io::BufRead, text: &str) -> String {
    let mut seen = String::new();
    for line in stream.by_ref().lines() {
        let line = line.expect("UTF-8");
        seen.push_str(&line);
        seen.push('\n');
        if line.contains(text) {
            return seen;
        }
    }
    panic!("`{text}` never came: {seen}");
}

pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "the signal is sent");
}

#[cfg(unix)]
#[test]
fn the_first_signal_cancels_the_remote_job() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let sandbox = emulator("- { on: submit, do: { takes: 60s } }");
        let scene = Scene::new().against(&sandbox);
        let mut child = scene.command(&["run", "clip"]).spawn().expect("the binary runs");
        let mut err = BufReader::new(child.stderr.take().expect("a pipe"));
        wait_for(&mut err, "submitted as");
        signal(&child, name);
        let mut rest = String::new();
        err.read_to_string(&mut rest).expect("UTF-8");
        assert_eq!(child.wait().expect("it ends").code(), Some(code), "{rest}");
        assert_eq!(sandbox.jobs().iter().map(|job| job.state.clone()).collect::<Vec<_>>(), [JobState::Cancelled]);
        let shown = scene.run(&["show", "--format", "json"]).json();
        assert_eq!(shown["status"], "cancelled");
    }
}

#[cfg(unix)]
#[test]
fn the_second_signal_ends_at_once_and_the_journal_is_whole() {
    // The cancel is not answered for a minute: only the second signal can end this in time.
    let sandbox = emulator("- { on: submit, do: { takes: 60s } }\n- { on: cancel, do: { latency: 60s } }");
    let scene = Scene::new().against(&sandbox);
    let mut child = scene.command(&["run", "clip"]).spawn().expect("the binary runs");
    let mut err = BufReader::new(child.stderr.take().expect("a pipe"));
    wait_for(&mut err, "submitted as");
    signal(&child, "TERM");
    wait_for(&mut err, "a second signal ends at once");
    signal(&child, "INT");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    let row = scene.run(&["runs", "--format", "json"]).json()[0].clone();
    assert_eq!((row["status"].as_str(), row["live"].as_bool()), (Some("running"), Some(false)), "{row}");
    assert!(scene.run(&["runs"]).out.contains("interrupted"));
}

#[cfg(unix)]
#[test]
fn the_emulator_by_itself_serves_other_commands_until_a_signal() {
    let scene = Scene::new();
    let mut child =
        scene.command(&["sandbox", "--credits", "77", "--format", "json"]).spawn().expect("the binary runs");
    let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    out.read_line(&mut line).expect("UTF-8");
    let told: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    let word = |name: &str| told[name].as_str().expect(name).to_owned();
    let client = Scene::new().with("ARMOX_BASE_URL", word("base_url")).with("ARMOX_API_KEY", word("key"));
    assert_eq!(client.run(&["account", "--format", "json"]).json()["armox"]["credits"], 77.0);
    signal(&child, "TERM");
    assert_eq!(child.wait().expect("it ends").code(), Some(143));
}

#[test]
fn the_workflows_that_ship_validate_plan_and_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("workflows");
    let scene = Scene::new();
    let state = scene.path("state").display().to_string();
    let artifacts = scene.path("artifacts").display().to_string();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("the folder of workflows") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let stem =
            name.strip_suffix(".yaml").filter(|stem| stem.rsplit_once('.').is_none_or(|(_, last)| last != "test"));
        let Some(stem) = stem else { continue };
        names.push(stem.to_owned());
        let file = path.display().to_string();
        for arguments in [
            &["validate", "--sandbox", &file][..],
            &["validate", "--offline", &file],
            &["plan", &file, "--sandbox", "--state", &state],
            &["graph", &file],
            &["run", &file, "--sandbox", "--state", &state, "--artifacts", &artifacts],
        ] {
            let ran = scene.run(arguments);
            assert_eq!(ran.code, Some(0), "{name}: {}", ran.all());
            assert!(!ran.all().contains("warning"), "{name}: {}", ran.all());
        }
    }
    names.sort();
    let expected = [
        "campaign",
        "caption-to-render",
        "deploy-agent",
        "launch-kit",
        "podcast-episode",
        "product-launch",
        "revenue-report",
        "sketch-to-render",
        "text-to-video",
    ];
    assert_eq!(names, expected);
}

/// A file is looked at before anything is sent, and what is wrong with it is told where it is named.
#[test]
fn local_files_are_looked_at_first() {
    let scene = Scene::new();
    scene.file(
        "workflows/album.yaml",
        r#"inputs:
  picture: { type: file, media: image, default: gone.png }
steps:
  first:
    provider: aimp
    model: image-captioner
    inputs: { image: "{{ inputs.picture }}" }
  more:
    provider: aimp
    model: album-captioner
    inputs: { images: ["{{ file('empty.png') }}", "{{ file('.') }}"] }
"#,
    );
    scene.file("workflows/empty.png", "");
    insta::assert_snapshot!(scene.run(&["run", "album", "--sandbox"]).all(), @r#"
exit 3
--- stdout
--- stderr
error[DW506]: there is no file `FOLDER/workflows/gone.png`
 --> workflows/album.yaml:2:3
  |
2 |   picture: { type: file, media: image, default: gone.png }
  |   ^^^^^^^
  |
  = help: a path in the workflow is relative to the workflow file, one on the command line to the working directory

error[DW506]: the file `FOLDER/workflows/empty.png` is empty
  --> workflows/album.yaml:11:33
   |
11 |     inputs: { images: ["{{ file('empty.png') }}", "{{ file('.') }}"] }
   |                                 ^^^^^^^^^^^

error[DW506]: `FOLDER/workflows` is a folder, not a file
  --> workflows/album.yaml:11:60
   |
11 |     inputs: { images: ["{{ file('empty.png') }}", "{{ file('.') }}"] }
   |                                                            ^^^
   |
   = help: name one file

3 errors, nothing was sent
"#);
    scene.file("notes.txt", "no picture");
    let ran = scene.run(&["plan", "album", "--sandbox", "-i", "picture=notes.txt"]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.err.contains("the file `FOLDER/notes.txt` holds text/plain, and an image is wanted"), "{}", ran.err);

    // What the file goes into says so too, and items that are known make paths that are.
    let told = |steps: &str| {
        scene.file("workflows/own.yaml", steps);
        scene.run(&["validate", "workflows/own.yaml", "--sandbox"]).all()
    };
    scene.file("workflows/notes.txt", "no picture");
    scene.file("workflows/a.png", b"\x89PNG\r\n\x1a\n");
    let one = told(
        "steps: { a: { provider: aimp, model: image-captioner, inputs: { image: \"{{ file('notes.txt') }}\" }, save: true } }",
    );
    assert!(one.contains("holds text/plain, and an image is wanted"), "{one}");
    let each = |items: &str| {
        told(&format!(
            "steps: {{ a: {{ foreach: {items}, provider: aimp, model: image-captioner, inputs: {{ image: \"{{{{ file(item ~ '.png') }}}}\" }}, save: true }} }}"
        ))
    };
    let all = each("[a, gone]");
    assert!(all.contains("there is no file `FOLDER/workflows/gone.png`") && !all.contains("a.png`"), "{all}");
    assert!(each("[a]").starts_with("exit 0"), "{}", each("[a]"));

    // An item is data, so that a local file is none: whether it is one is known with the values of the run.
    let item = "inputs: { f: { type: file, default: a.png } }\nsteps: { a: { foreach: '[inputs.f]', provider: aimp, model: image-captioner, inputs: { image: '{{ item }}' }, save: true } }";
    assert!(told(item).starts_with("exit 0"), "{}", told(item));
    let planned = |more: &[&str]| scene.run(&[&["plan", "workflows/own.yaml", "--sandbox"], more].concat()).all();
    let local = planned(&[]);
    assert!(local.starts_with("exit 3") && local.contains("`inputs.f` is a local file, and items are data"), "{local}");
    let far = planned(&["-i", "f=https://example.com/a.png"]);
    assert!(far.starts_with("exit 0"), "{far}");
}

/// Runs a workflow that ships, and returns the outputs and the steps' statuses of its run.
fn shipped(scene: &Scene, name: &str, more: &[&str]) -> (Value, BTreeMap<String, String>) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("workflows").join(name).with_extension("yaml");
    let file = file.display().to_string();
    let ran = scene.run(&[&["run", &file, "--sandbox", "--state", "state", "--artifacts", "artifacts"], more].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    // Jobs have the API's names; a request has none worth telling.
    assert!(ran.err.contains("submitted as") && !ran.err.contains("submitted as UUID"), "{}", ran.err);
    let run = scene.run(&["show", "last", "--state", "state", "--format", "json"]).json();
    let word = |step: &Value, key: &str| step[key].as_str().expect(key).to_owned();
    let steps = run["steps"].as_array().expect("the steps");
    (run["outputs"].clone(), steps.iter().map(|step| (word(step, "step"), word(step, "status"))).collect())
}

#[test]
fn one_workflow_uses_all_three_systems() {
    let scene = Scene::new();
    let picture = scene.path("own.png");
    let drawing = Path::new(env!("CARGO_MANIFEST_DIR")).join("workflows/assets/sketch.png");
    std::fs::copy(drawing, &picture).expect("a copy");
    let (outputs, steps) = shipped(&scene, "caption-to-render", &["-i", "picture=own.png", "-i", "wording=plain"]);
    assert!(steps.values().all(|status| status == "succeeded"), "{steps:?}");
    // The caption tells of the file's own bytes, and goes on through all of the steps.
    let bytes = std::fs::metadata(&picture).expect("a file").len();
    let caption = outputs["caption"].as_str().expect("a caption");
    assert!(caption.contains(&format!("image/png, {bytes} bytes")), "{caption}");
    assert!(outputs["prompt"].as_str().expect("a prompt").starts_with(caption), "{outputs}");
    let run = scene.run(&["show", "last", "--state", "state", "--format", "json"]).json();
    let providers: Vec<_> = run["steps"].as_array().expect("steps").iter().map(|step| &step["provider"]).collect();
    assert_eq!(providers, ["aimp", "airmy", "armox", "armox"]);
    let saved = scene.path("artifacts").join(run["run"].as_str().expect("an id")).join("render.png");
    assert!(std::fs::read(&saved).expect("the render").starts_with(b"\x89PNG"));
}

#[test]
fn an_agent_is_deployed_tried_and_rolled_back_where_it_is_not_healthy() {
    let scene = Scene::new();
    let (outputs, steps) = shipped(&scene, "deploy-agent", &[]);
    assert_eq!((&outputs["deployment"], &outputs["rolled_back"]), (&json!("active"), &json!(false)));
    assert_eq!((&*steps["trial"], &*steps["rollback"], &*steps["alert"]), ("succeeded", "skipped", "succeeded"));
    assert!(outputs["answer"]["after"].as_str().expect("an answer").starts_with("Analyst on"), "{outputs}");

    let hook = ["-i", "agent=ag_08CANARY", "-i", "hook=https://example.com/hook", "-i", "hook_secret=canary-2f81c9"];
    let (outputs, steps) = shipped(&scene, "deploy-agent", &hook);
    assert_eq!((&outputs["deployment"], &outputs["rolled_back"]), (&json!("failed"), &json!(true)));
    assert_eq!((&*steps["trial"], &*steps["rollback"], &*steps["webhook"]), ("skipped", "succeeded", "succeeded"));
    assert_eq!(outputs["answer"], Value::Null);
    let holds = |text: &[u8]| {
        let files = ["state.db", "state.db-wal"].map(|name| std::fs::read(scene.path("state").join(name)));
        files.iter().flatten().any(|journal| journal.windows(text.len()).any(|window| window == text))
    };
    assert!(!holds(b"canary-2f81c9") && holds(b"ag_08CANARY"), "a secret is in the journal");
}

#[test]
fn a_campaign_of_forty_steps_skips_its_dear_part_and_ends_well() {
    let scene = Scene::new();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("workflows/campaign.yaml").display().to_string();
    let plan = scene.run(&["plan", &file, "--sandbox", "--state", "state"]);
    assert!(plan.out.starts_with("campaign · 40 steps · 11 waves · 54 to 63 requests · "), "{}", plan.out);
    let (outputs, steps) = shipped(&scene, "campaign", &[]);
    let skipped: Vec<_> = steps.iter().filter(|(_, status)| *status != "succeeded").map(|(step, _)| &**step).collect();
    assert_eq!(skipped, ["premiere", "turntable"]);
    let count = |name: &str| outputs[name].as_array().map(Vec::len);
    assert_eq!((count("feeds"), count("posters")), (Some(3), Some(3)));
    assert_eq!(outputs["film"], outputs["page"]["film"]);
    assert!(outputs["film"].is_string() && outputs["review"].is_string(), "{outputs}");
}

#[test]
fn a_pipeline_is_one_step_of_a_workflow() {
    let scene = Scene::new();
    let (outputs, _) = shipped(&scene, "revenue-report", &[]);
    assert_eq!(outputs["steps"], json!(["intent", "analyse"]));
    assert!(outputs["summary"].as_str().expect("a summary").starts_with("Summariser on For people in a hurry: {"));
    let (outputs, _) = shipped(&scene, "revenue-report", &["-i", "question=What is the weather?"]);
    assert_eq!((&outputs["result"], &outputs["steps"]), (&json!("general"), &json!(["intent"])));
}

#[test]
fn a_plan_shows_when_its_schedule_starts_it_next() {
    let scene = Scene::new();
    scene.file(
        "workflows/nightly.yaml",
        "schedule: [{ cron: '30 6 * * 1', timezone: Europe/Berlin }]
steps: { a: { set: { b: 1 } } }
outputs: { b: '{{ steps.a.output.b }}' }
",
    );
    let plan = scene.run(&["plan", "nightly", "--format", "json"]).json();
    let next: jiff::Timestamp = plan["schedule"][0]["next"].as_str().expect("a time").parse().expect("a time");
    let there = next.to_zoned(jiff::tz::TimeZone::get("Europe/Berlin").expect("a zone"));
    assert_eq!((there.weekday(), there.hour(), there.minute()), (jiff::civil::Weekday::Monday, 6, 30), "{next}");
    let shown = scene.run(&["plan", "nightly"]);
    let expected = format!("30 6 * * 1 Europe/Berlin, next {}", next.strftime("%Y-%m-%d %H:%M UTC"));
    assert!(shown.raw.contains(&expected), "{}", shown.all());
}
