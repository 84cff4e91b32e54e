//! The project file and the commands over several providers, from outside: the real binary in a folder and an environment of its own.

use std::time::Duration;

use dagwood::{
    sandbox::{AIMP_KEY, AIRMY_KEY, Api, KEY, Keys, Sandbox, Settings, Speed},
    secret::Secret,
    world::World,
};

use crate::cli::{Scene, emulator};

/// A workflow of two systems.
const BOTH: &str = "\
steps:
  caption: { provider: aimp, model: free-form, inputs: { text: A quay } }
  render: { model: google/nano-banana, provider: armox, inputs: { prompt: \"Paint {{ steps.caption.output }}\" } }
";

/// A project of three accounts, each with its own variable for its key.
const PROJECT: &str = r#"
providers:
  paint: { kind: armox, api_key: "{{ secrets.PAINT_KEY }}", max_jobs: 3 }
  armox: null
secrets: [PAINT_KEY]
state: runs
artifacts: out
"#;

fn against_all(scene: Scene, sandbox: &Sandbox) -> Scene {
    scene
        .against(sandbox)
        .with("AIRMY_BASE_URL", sandbox.base_url_of(Api::Airmy))
        .with("AIRMY_API_KEY", AIRMY_KEY)
        .with("AIMP_GATEWAY_URL", sandbox.base_url_of(Api::Aimp))
        .with("AIMP_API_KEY", AIMP_KEY)
}

#[test]
fn an_alias_has_its_own_key_and_places_are_those_of_the_file() {
    let sandbox = emulator("");
    let scene = Scene::new().with("ARMOX_BASE_URL", sandbox.base_url()).with("PAINT_KEY", KEY);
    scene.file("dagwood.yaml", PROJECT);
    let ran = scene.run(&["run", "launch"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert!(ran.out.contains(" in out/UUID\n"), "{}", ran.all());
    assert!(scene.path("runs/state.db").is_file() && !scene.path(".dagwood").exists());
    // From another folder, the file above is found, and the same places are meant.
    scene.file("workflows/deep/er/clip.yaml", "steps: { a: { set: { b: c } } }");
    let ran = scene.run(&["run", "workflows/deep/er/clip.yaml"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert_eq!(scene.run(&["runs", "--format", "json"]).json().as_array().map(Vec::len), Some(2));
}

/// Writes a project file with an account beside the usual one, at another emulator.
fn with_another_account(scene: &Scene, other: &Sandbox) {
    scene.file(
        "dagwood.yaml",
        format!(
            "providers:\n  other: {{ kind: armox, base_url: \"{}\", api_key: \"{{{{ secrets.OTHER_KEY }}}}\" }}\nsecrets: [OTHER_KEY]\n",
            other.base_url()
        ),
    );
}

#[test]
fn two_accounts_of_one_system_each_get_their_own_key() {
    let keys = Keys { armox: Secret::new("sk_live_the_other_one"), ..Keys::default() };
    let settings = Settings { keys, speed: Speed::Fixed(Duration::from_millis(20)), ..Settings::default() };
    let other = Sandbox::start_on_thread(settings, World::real()).expect("an emulator");
    let own = emulator("");
    let scene = Scene::new().against(&own).with("OTHER_KEY", "sk_live_the_other_one");
    with_another_account(&scene, &other);
    scene.file(
        "workflows/two.yaml",
        "steps:\n  a: { provider: armox, model: kling/video, inputs: { prompt: x } }\n  b: { provider: other, model: kling/video, inputs: { prompt: y } }\n",
    );
    let ran = scene.run(&["run", "two"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    // Each emulator takes its own key alone.
    assert_eq!((own.jobs().len(), other.jobs().len()), (1, 1));
    assert!(own.log().iter().chain(&other.log()).all(|request| request.status != Some(401)));
    let journal = std::fs::read(scene.path(".dagwood/state.db")).expect("a journal");
    for key in ["sk_live_the_other_one", KEY] {
        assert!(!journal.windows(key.len()).any(|part| part == key.as_bytes()) && !ran.all().contains(key));
    }
}

#[test]
fn another_account_may_stand_in_for_one_that_fails() {
    let (own, other) = (emulator("- { on: submit, do: fail }"), emulator(""));
    let scene = Scene::new().against(&own).with("OTHER_KEY", KEY);
    with_another_account(&scene, &other);
    scene.file(
        "workflows/two.yaml",
        "steps: { a: { provider: armox, model: kling/video, inputs: { prompt: x }, fallback: [{ provider: other }] } }\noutputs: { by: '{{ steps.a.job.provider }}' }",
    );
    let ran = scene.run(&["run", "two"]);
    assert_eq!((ran.code, own.jobs().len(), other.jobs().len()), (Some(0), 1, 1), "{}", ran.all());
    assert_eq!(own.jobs()[0].inputs, other.jobs()[0].inputs);
    assert!(ran.out.contains("  by  \"other\"\n"), "{}", ran.all());
}

#[test]
fn a_wrong_project_file_is_told_before_anything_is_sent() {
    let sandbox = emulator("");
    let scene = Scene::new().against(&sandbox);
    scene.file("dagwood.yaml", "providers:\n  eu: { kind: armox, api_key: sk_live_canary }\nstat: here\n");
    insta::assert_snapshot!(scene.run(&["run", "launch"]).all(), @r#"
exit 3
--- stdout
--- stderr
error[DW704]: `api_key` is no key, but says where the key is
 --> dagwood.yaml:2:31
  |
2 |   eu: { kind: armox, api_key: ****************
  |                               ^^^^^^^^^^^^^^ hidden here: it may be one
  |
  = help: put the key into `ARMOX_API_KEY` and leave `api_key` out, or write `"{{ secrets.NAME }}"` with NAME under `secrets`

error[DW103]: a project file has no key `stat`
 --> dagwood.yaml:3:1
  |
3 | stat: here
  | ^^^^ unknown key
  |
  = help: did you mean `state`?

2 errors, nothing was sent
"#);
    assert!(sandbox.log().is_empty());
    let ran = scene.run(&["validate", "--project", "nowhere.yaml"]);
    assert_eq!(ran.err, "error: failed to read `nowhere.yaml`: no such file or directory\n");
}

#[test]
fn the_project_file_may_lie_elsewhere() {
    let sandbox = emulator("");
    let scene = Scene::new().with("ARMOX_BASE_URL", sandbox.base_url()).with("PAINT_KEY", KEY);
    scene.file("etc/paint.yaml", PROJECT);
    let ran = scene.run(&["run", "workflows/launch.yaml", "--project", "etc/paint.yaml"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert!(scene.path("etc/runs/state.db").is_file());
}

#[test]
fn an_env_file_gives_keys_and_the_real_environment_wins() {
    let sandbox = emulator("");
    let scene = Scene::new().with("ARMOX_BASE_URL", sandbox.base_url());
    scene.file("dagwood.yaml", "env_file: .env\n");
    // A checkout has no such file, and needs none.
    assert_eq!(scene.run(&["account"]).code, Some(4));
    scene.file(".env", format!("# for cron\nexport ARMOX_API_KEY=\"{KEY}\"\nARMOX_BASE_URL=http://127.0.0.1:1\n"));
    let ran = scene.run(&["account", "--format", "json"]);
    assert_eq!(ran.json()["armox"]["credits"], 10_000.0);
    scene.file(".env", "ARMOX_API_KEY='sk_live_canary\n");
    insta::assert_snapshot!(scene.run(&["account"]).all(), @r#"
exit 3
--- stdout
--- stderr
error[DW705]: the value of `ARMOX_API_KEY` has a quote that is not closed on its line
 --> .env:1:1
  |
1 | ARMOX_API_KEY=***************
  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: close it; a line break is written as `\n` within `"…"`

1 error, nothing was sent
"#);
}

#[test]
fn each_key_may_lie_in_a_file() {
    let sandbox = emulator("");
    for (variable, in_file, key) in [
        ("ARMOX_API_KEY", "ARMOX_API_KEY_FILE", KEY),
        ("AIRMY_API_KEY", "AIRMY_API_KEY_FILE", AIRMY_KEY),
        ("AIMP_API_KEY", "AIMP_API_KEY_FILE", AIMP_KEY),
    ] {
        let mut scene = against_all(Scene::new(), &sandbox);
        scene.environment.remove(variable);
        assert!(!scene.run(&["account"]).out.contains(&variable[..5].to_lowercase()), "the control: {variable}");
        scene.file("key", format!("{key}\n"));
        let path = scene.path("key").display().to_string();
        let ran = scene.with(in_file, path).run(&["account", "--format", "json"]);
        assert_eq!((ran.code, ran.json().as_object().map(serde_json::Map::len)), (Some(0), Some(3)), "{}", ran.all());
    }
}

#[test]
fn a_missing_key_fails_only_what_needs_it() {
    let sandbox = emulator("");
    let scene = Scene::new().against(&sandbox);
    scene.file("workflows/both.yaml", BOTH);
    insta::assert_snapshot!(scene.run(&["run", "both"]).all(), @r#"
exit 4
--- stdout
--- stderr
error: there is no key for `aimp`: `AIMP_API_KEY` is not set
  = help: set `AIMP_API_KEY` (or `AIMP_API_KEY_FILE`), or try it with `--sandbox`: no key, no credits
"#);
    assert!(sandbox.jobs().is_empty());
    insta::assert_snapshot!(scene.run(&["validate", "workflows/both.yaml"]).all(), @r#"
exit 0
--- stdout
workflows/both.yaml: ok, 2 steps
--- stderr
contracts of `aimp` were not checked: there is no key (`AIMP_API_KEY`); `--sandbox` checks against the emulator
"#);
    assert_eq!(scene.run(&["run", "launch"]).code, Some(0));
    // A step that no account with a key can run.
    scene.file("workflows/agent.yaml", "steps: { a: { agent: Analyst, inputs: { query: x } } }");
    let ran = scene.run(&["run", "agent"]);
    assert_eq!(ran.code, Some(4), "{}", ran.all());
    assert!(ran.err.contains("`AIRMY_API_KEY` is not set"), "{}", ran.all());
    // What is wrong in the file is told first.
    scene.file("workflows/both.yaml", BOTH.replace("steps.caption.output", "steps.captoin.output"));
    assert_eq!(scene.run(&["run", "both"]).code, Some(3));
}

#[test]
fn only_the_accounts_that_a_file_needs_are_asked() {
    let sandbox = emulator("");
    let scene = against_all(Scene::new(), &sandbox);
    scene.file("workflows/agent.yaml", "steps: { a: { agent: ag_01HXYZ, inputs: { query: x } } }");
    let ran = scene.run(&["validate", "workflows/agent.yaml"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    let log = sandbox.log();
    assert!(!log.is_empty() && log.iter().all(|request| request.api == Some(Api::Airmy)), "{log:?}");
}

#[test]
fn in_the_emulator_a_file_says_nothing_about_the_others() {
    let scene = Scene::new();
    // One file calls AIMP by its name; a model that names nobody is still Armox's, and still checked.
    scene.file("workflows/both.yaml", BOTH);
    scene.file("workflows/clip.yaml", "steps: { clip: { model: kling/video, inputs: { promt: Slow } } }");
    let ran = scene.run(&["validate", "--sandbox"]);
    assert!(ran.out.contains("warning[DW211]") && ran.out.contains("workflows/both.yaml: ok"), "{}", ran.all());
}

#[test]
fn in_the_emulator_all_aliases_are_there_and_nothing_real_is_reached() {
    let scene = Scene::new();
    scene.file("workflows/both.yaml", BOTH);
    // A base URL that would be reached fails the run.
    let project =
        "providers:\n  aimp: { base_url: \"http://127.0.0.1:1/api\", output_path: no.where, poll_path: \"x/{id}\" }\n";
    scene.file("dagwood.yaml", project);
    let ran = scene.run(&["run", "both", "--sandbox"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    let without = scene.run(&["run", "both"]);
    assert_eq!(without.code, Some(4), "{}", without.all());
}

#[test]
fn several_accounts_that_fit_are_an_error_that_lists_them() {
    let sandbox = emulator("");
    let scene = against_all(Scene::new(), &sandbox);
    insta::assert_snapshot!(scene.run(&["validate", "workflows/clip.yaml"]).all(), @r#"
exit 3
--- stdout
error[DW602]: several providers run steps with `model`: `armox`, `aimp`
 --> workflows/clip.yaml:4:5
  |
4 |     model: kling/video
  |     ^^^^^ which one is meant?
  |
  = help: name one: `provider: armox` in the step, or under `defaults`

workflows/clip.yaml: 1 error, nothing was sent
--- stderr
"#);
}

#[test]
fn models_of_several_accounts_stand_under_their_aliases() {
    let sandbox = emulator("");
    let scene = against_all(Scene::new(), &sandbox);
    let ran = scene.run(&["models"]);
    let heads: Vec<_> = ran.out.lines().filter(|line| !line.starts_with(' ') && !line.is_empty()).collect();
    assert_eq!(heads, ["armox", "aimp"], "{}", ran.all());
    let json = scene.run(&["models", "--format", "json"]).json();
    assert!(json["armox"].is_array() && json["aimp"].is_array() && json["airmy"].is_null(), "{json}");
    let one = scene.run(&["models", "image-captioner"]);
    assert!(one.out.contains("    provider: aimp\n"), "{}", one.all());
    assert_eq!(scene.run(&["models", "image-captioner", "--provider", "armox"]).code, Some(2));
    assert_eq!(scene.run(&["models", "--provider", "airmy"]).err, "error: `airmy` has no models\n");
    assert!(scene.run(&["models", "--provider", "amox"]).err.contains("did you mean `armox`?"));
}

#[test]
fn an_account_that_fails_does_not_hide_the_others() {
    let sandbox = emulator("");
    let scene = against_all(Scene::new(), &sandbox).with("AIMP_API_KEY", "wrong-key-of-aimp");
    let ran = scene.run(&["account"]);
    assert_eq!(ran.code, Some(4), "{}", ran.all());
    assert!(ran.out.contains("armox\n") && ran.out.contains("airmy\n") && !ran.out.contains("aimp\n"), "{}", ran.all());
    assert!(ran.err.contains("check `AIMP_API_KEY`") && !ran.all().contains("wrong-key"), "{}", ran.all());
    let json = scene.run(&["account", "--format", "json"]);
    assert_eq!((json.code, json.json()["armox"]["credits"].as_f64()), (Some(4), Some(10_000.0)));
}

#[test]
fn a_base_url_that_cannot_be_is_told_at_its_place() {
    let scene = Scene::new().with("ARMOX_API_KEY", KEY);
    scene.file("dagwood.yaml", "providers:\n  armox: { base_url: \"http://armox.example/api\" }\n");
    let ran = scene.run(&["models"]);
    assert_eq!(ran.code, Some(3), "{}", ran.all());
    assert!(ran.err.contains("dagwood.yaml:2:3") && ran.err.contains("use https"), "{}", ran.all());
}

#[test]
fn the_schema_of_the_project_file_is_printed() {
    let schema = Scene::new().run(&["schema", "project"]).json();
    assert!(schema["properties"]["providers"].is_object(), "{schema}");
}

#[test]
fn the_doctor_looks_at_everything() {
    let scene = Scene::new();
    let took = regex::Regex::new("in [0-9]+ ms").expect("a pattern");
    let ran = scene.run(&["doctor", "--sandbox"]).all();
    insta::assert_snapshot!(took.replace_all(&ran, "in SOME ms"), @r#"
exit 0
--- stdout
-       project        no `dagwood.yaml`; the root is `.`
ok      state          `.dagwood` can be made when it is needed
-       lock           no `dagwood.lock`; `dagwood lock` writes one
ok      artifacts      `artifacts` can be made when it is needed
-       staging        the emulator keeps files itself
ok      armox key      the emulator's
ok      armox api      `http://HOST/api/v1` accepts the key, in SOME ms; plan agency
ok      armox credits  10000 left
ok      armox clock    agrees with ours
ok      armox rate     600 requests a window, 599 left
ok      airmy key      the emulator's
ok      airmy api      `http://HOST/v2` accepts the key, in SOME ms
ok      airmy clock    agrees with ours
ok      airmy rate     not told; by the documents 100 a minute, 150 at once
ok      aimp key       the emulator's
ok      aimp api       `http://HOST/api` accepts the key, in SOME ms
ok      aimp credits   100 left
ok      aimp clock     agrees with ours
ok      aimp rate      100 requests a window, 98 left
--- stderr
"#);
    assert!(!scene.path(".dagwood").exists() && !scene.path("artifacts").exists(), "a look leaves nothing behind");
    let ran = scene.run(&["doctor"]);
    assert_eq!(ran.code, Some(4), "{}", ran.all());
}

#[test]
fn the_doctor_ends_with_the_code_of_the_first_failure() {
    let sandbox = emulator("");
    let scene = against_all(Scene::new(), &sandbox);
    assert_eq!(scene.run(&["doctor"]).code, Some(0));
    let scene = scene.with("AIRMY_API_KEY", "sk-airmy-wrong-key");
    let ran = scene.run(&["doctor"]);
    assert_eq!(ran.code, Some(4), "{}", ran.all());
    assert!(ran.out.contains("failed  airmy api"), "{}", ran.all());
    assert!(ran.out.contains("help: check `AIRMY_API_KEY`") && !ran.all().contains("wrong-key"), "{}", ran.all());
    let json = scene.run(&["doctor", "--format", "json"]).json();
    assert_eq!(json["ok"], false);
    let checks = json["checks"].as_array().expect("a list");
    let failed: Vec<_> = checks.iter().filter(|check| check["verdict"] == "failed").collect();
    assert!(failed.len() == 1 && failed[0]["check"] == "airmy api" && failed[0]["help"].is_string(), "{json}");
    // A file in the way of the state folder comes first.
    scene.file(".dagwood", "no folder");
    let ran = scene.run(&["doctor"]);
    assert_eq!(ran.code, Some(1), "{}", ran.all());
    scene.file("dagwood.yaml", "- no map");
    assert_eq!(scene.run(&["doctor"]).code, Some(3));
}

#[test]
fn the_doctor_tells_an_empty_purse_and_an_api_that_is_not_there() {
    let settings = Settings { credits: 0.0, ..Settings::default() };
    let sandbox = Sandbox::start_on_thread(settings, World::real()).expect("an emulator");
    let scene = Scene::new().against(&sandbox);
    let ran = scene.run(&["doctor"]);
    assert_eq!(ran.code, Some(5), "{}", ran.all());
    let ran = scene.with("ARMOX_BASE_URL", "http://127.0.0.1:1").run(&["doctor"]);
    assert_eq!(ran.code, Some(1), "{}", ran.all());
    assert!(ran.out.contains("is not reached"), "{}", ran.all());
}
