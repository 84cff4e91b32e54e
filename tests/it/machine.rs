//! The machine that a run is on: surroundings as cron's, and faults of disk and journal. Nothing of it may panic, lose what was recorded,
//! or send what is not written down.

use std::{collections::BTreeMap, path::Path, process::Stdio};

use dagwood::sandbox::{Settings, Speed};
use serde_json::Value;

use crate::cli::{Ran, Scene, emulator};

fn status(scene: &Scene, arguments: &[&str]) -> Value {
    scene.run(&[&["show", "--format", "json"], arguments].concat()).json()["status"].clone()
}

fn calm(ran: &Ran) {
    assert!(!ran.err.contains("panic") && !ran.err.contains("this is a bug"), "{}", ran.all());
}

#[test]
fn a_run_needs_nothing_of_its_environment() {
    let scene = Scene::new();
    for lonely in [true, false] {
        let mut command = scene.command(&["run", "launch", "--sandbox"]);
        command.env_clear();
        if !lonely {
            // What cron gives.
            command.envs([("SHELL", "/bin/sh"), ("LOGNAME", "nobody")]);
        }
        let ran = scene.finish(command);
        assert_eq!(ran.code, Some(0), "{}", ran.all());
        // Without a locale and a terminal nothing is shown that a log cannot hold.
        assert!(ran.out.is_ascii() && ran.err.is_ascii(), "{}", ran.all());
    }
}

/// A program that cron or a supervisor starts may have none of the three streams.
#[cfg(unix)]
#[test]
fn closed_streams_are_no_error() {
    let closed = ["exec <&-", "exec >&-", "exec 2>&-", "exec <&- >&- 2>&-"];
    for (place, close) in closed.into_iter().enumerate() {
        for format in ["plain", "json"] {
            let scene = Scene::new();
            let ran = scene.finish(scene.shell(close, &["run", "launch", "--sandbox", "--format", format]));
            assert_eq!(ran.code, Some(0), "{place}, {format}: {}", ran.all());
            calm(&ran);
            assert_eq!(status(&scene, &[]), "succeeded");
            // Nothing was written into a file that took the place of a stream.
            let check = rusqlite::Connection::open(scene.path(".dagwood/state.db")).expect("a database");
            let check: String = check.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a word");
            assert_eq!(check, "ok");
        }
    }
}

/// A file that is cut without a word would be taken for whole.
#[cfg(target_os = "linux")]
#[test]
fn a_result_that_has_no_room_is_told() {
    let full = || Stdio::from(std::fs::File::options().write(true).open("/dev/full").expect("a full device"));
    let scene = Scene::new();
    let told = "error: standard output is cut: there was no room for it\n  = help: free space; `dagwood runs` lists what was run\n";
    for arguments in [
        &["models", "--sandbox"][..],
        &["run", "launch", "--sandbox", "-q"],
        &["run", "launch", "--sandbox", "--format", "json"],
    ] {
        let mut child = scene.command(arguments);
        let ran = scene.finish_with(child.stdout(full()));
        assert!(ran.code == Some(1) && ran.err.ends_with(told), "{arguments:?}: {}", ran.all());
    }
    assert_eq!(status(&scene, &[]), "succeeded", "the run is not to blame");
    // What is said beside the result is no result.
    let mut child = scene.command(&["run", "launch", "--sandbox"]);
    let ran = scene.finish_with(child.stderr(full()));
    assert!(ran.code == Some(0) && ran.out.contains("launch succeeded"), "{}", ran.all());
}

/// The project's folder is not written to when state and artifacts lie elsewhere. That root may write anywhere proves nothing here: the
/// run is started in a folder that takes files from nobody, and the folder of the project is compared, file by file.
#[cfg(target_os = "linux")]
#[test]
fn a_project_that_cannot_be_written_runs_with_its_state_elsewhere() {
    let scene = Scene::new();
    let elsewhere = tempfile::tempdir().expect("a folder");
    let path = |name: &str| elsewhere.path().join(name).display().to_string();
    let (state, artifacts) = (path("state"), path("artifacts"));
    // Where nothing can be made, whoever asks: a file stands in the place of each folder.
    scene.file(".dagwood", "");
    scene.file("artifacts", "");
    std::fs::set_permissions(scene.path("."), std::os::unix::fs::PermissionsExt::from_mode(0o555)).expect("a mode");
    let before = tree(&scene.path("."));
    let workflow = scene.path("workflows/launch.yaml").display().to_string();
    let run = |more: &[&str]| {
        let mut command = scene.command(&[&["run", &workflow, "--sandbox"], more].concat());
        command.current_dir("/proc/self");
        scene.finish(command)
    };
    let ran = run(&["--state", &state, "--artifacts", &artifacts]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert_eq!(tree(&scene.path(".")), before, "nothing of the project has changed");
    assert_eq!(status(&scene, &["--state", &state]), "succeeded");
    assert_eq!(std::fs::read_dir(&artifacts).expect("the folder of artifacts").count(), 1);

    // The controls: without the one, nothing is sent; without the other, the job's result is kept.
    let ran = run(&["--artifacts", &artifacts]);
    insta::assert_snapshot!(ran.all(), @r#"
    exit 1
    --- stdout
    --- stderr
    error: failed to open the journal: failed to use `FOLDER/.dagwood`: File exists (os error 17)
      = help: it must be possible to read and write it, and its folder; `--state DIR`, or `state` in the project file, names another folder; then try again
    "#);
    let ran = run(&["--state", &state]);
    assert!(ran.code == Some(1) && ran.out.contains("the job's result is kept in the journal"), "{}", ran.all());
    std::fs::set_permissions(scene.path("."), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a mode");
}

/// Every file below a folder with its content, every folder with none.
fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(tree(&path));
            found.insert(path.display().to_string(), Vec::new());
        } else {
            found.insert(path.display().to_string(), std::fs::read(&path).expect("a file"));
        }
    }
    found
}

/// What a shell says so that files cannot grow beyond so many blocks of 512 bytes, and so that a write which would is refused.
#[cfg(target_os = "linux")]
fn at_most(blocks: u32) -> String {
    format!("trap '' XFSZ; ulimit -f {blocks}")
}

/// A disk that fills up, at every stage of a run: opening the journal, its first record, each later one. The run stops, says so, and
/// nothing that was sent is unknown to the journal.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_stops_the_run_and_loses_nothing() {
    let settings = Settings { speed: Speed::Fixed(std::time::Duration::from_millis(5)), ..Settings::default() };
    let sandbox =
        dagwood::sandbox::Sandbox::start_on_thread(settings, dagwood::world::World::real()).expect("an emulator");
    let text = "x".repeat(2000);
    let step = |n: u32| format!("  s{n}: {{ model: openai/gpt-5-mini, inputs: {{ prompt: \"{n} {text}\" }} }}\n");
    let steps = (0..8).map(step).collect::<Vec<_>>().concat();
    let (mut unopened, mut unbegun, mut stopped, mut done) = (0, 0, 0, 0);
    for blocks in [8, 60, 80, 130, 170, 210, 260, 330, 420, 20_000] {
        let scene = Scene::new().against(&sandbox);
        scene.file("workflows/fan.yaml", format!("concurrency: 2\nsteps:\n{steps}"));
        let before = sandbox.jobs().len();
        let ran = scene.finish(scene.shell(&at_most(blocks), &["run", "fan"]));
        let sent = sandbox.jobs().len() - before;
        calm(&ran);
        // The control of the search: read without the limit, the journal has an intent for everything that was sent.
        let logs = scene.run(&["logs", "-f", "--format", "json"]);
        let intents = logs.raw.lines().filter(|line| line.contains("\"kind\":\"submit_intended\"")).count();
        assert!(sent <= intents, "{blocks}: {sent} jobs, {intents} intents\n{}", ran.all());
        assert_eq!(scene.run(&["runs"]).code, Some(0), "{blocks}");
        if ran.code == Some(0) {
            done += 1;
            assert_eq!((sent, intents), (8, 8), "the control");
            continue;
        }
        assert_eq!(ran.code, Some(1), "{blocks}: {}", ran.all());
        assert_eq!(ran.err.matches("error: ").count(), 1, "{}", ran.all());
        assert!(ran.err.contains("the journal `FOLDER/.dagwood/state.db` cannot be written"), "{}", ran.all());
        let help = |rest: &str| {
            let help = "  = help: free space on the disk that it lies on, or raise the limit that it met (a quota, `ulimit -f`); then ";
            assert!(ran.err.ends_with(&format!("{help}{rest}\n")), "{blocks}: {}", ran.all());
        };
        if ran.err.contains("failed to open the journal") {
            unopened += 1;
            help("try again");
        } else if ran.err.contains("failed to begin the run") {
            unbegun += 1;
            help("run it again: nothing was sent");
            assert_eq!((sent, logs.code), (0, Some(2)), "{}", logs.all());
        } else {
            stopped += 1;
            help("`dagwood resume UUID`: what was recorded is safe, and jobs that were accepted may still run");
            assert_eq!(logs.code, Some(0), "{}", logs.all());
            assert!(scene.run(&["runs"]).out.contains("interrupted"));
        }
    }
    assert!(unopened >= 1 && unbegun >= 1 && stopped >= 3 && done == 1, "{unopened} {unbegun} {stopped} {done}");
}

/// Of a file that has no room, the step fails; what the job gave is in the journal.
#[cfg(target_os = "linux")]
#[test]
fn a_file_without_room_fails_its_step_and_not_the_journal() {
    let sandbox = emulator("- { on: file, do: { huge: 2000000 } }");
    let scene = Scene::new().against(&sandbox);
    let ran = scene.finish(scene.shell(&at_most(2000), &["run", "launch"]));
    insta::assert_snapshot!(ran.all(), @r#"
    exit 1
    --- stdout
    ✖ launch failed after TOOK · 1 job · 70 credits

      ✖ picture  google/nano-banana TOOK  70 cr  failed
      – caption  openai/gpt-5-mini       –      –  skipped
      – note                             –      –  skipped

      picture failed: failed to save `picture/0.json`: File too large (os error 27)
          at workflows/launch.yaml:13:11
          the job's result is kept in the journal
        so these did not run: caption, note

      dagwood resume UUID   starts the failed steps again, and keeps what is finished
    --- stderr
    TIME run      launch RUN started: 3 steps, about 75 credits
    TIME picture  submitted as JOB (70 credits)
    TIME picture  failed after TOOK: failed to save `picture/0.json`: File too large (os error 27)
                      |   at workflows/launch.yaml:13:11
                      |   the job's result is kept in the journal
    TIME caption  skipped: `picture` did not succeed
    TIME note     skipped: `caption` did not succeed
    TIME run      failed after TOOK · 1 job · 70 credits
    help: when what was in the way is gone, `dagwood resume UUID` goes on: what the jobs gave is kept
    "#);
    let run = scene.run(&["show", "--format", "json"]).json();
    assert_eq!((&run["status"], &run["steps"][0]["error"]["kind"]), (&"failed".into(), &"artifact".into()));
    // Nothing half stands where a file was to be, under whatever name.
    let files: Vec<_> = tree(&scene.path("artifacts")).into_iter().filter(|(_, bytes)| !bytes.is_empty()).collect();
    assert!(files.is_empty(), "{:?}", files.iter().map(|(path, _)| path).collect::<Vec<_>>());
    // The control: with room the same run succeeds.
    assert_eq!(scene.run(&["run", "launch", "-q"]).code, Some(0));
}

/// Everything that reads the journal, and how each may end where it is not to be read.
const READERS: [&[&str]; 8] = [
    &["run", "launch", "--sandbox"],
    &["runs"],
    &["show"],
    &["logs"],
    &["logs", "-f"],
    &["graph", "last"],
    &["runs", "prune", "--keep", "0"],
    &["doctor", "--sandbox"],
];

/// Runs all readers, and returns what the distinct ones of their errors are.
fn errors(scene: &Scene) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for arguments in READERS {
        let ran = scene.run(arguments);
        calm(&ran);
        assert_eq!(ran.code, Some(1), "{arguments:?}: {}", ran.all());
        let told = if arguments[0] == "doctor" { &ran.out } else { &ran.err };
        assert!(told.contains("state.db"), "{arguments:?}: {}", ran.all());
        // The same in one sentence for programs.
        if arguments[0] == "runs" {
            let json = scene.run(&[arguments, &["--format", "json"]].concat()).json();
            assert!(json["error"]["help"].is_string() && json["error"]["exit"] == 1, "{json}");
        }
        if arguments[0] != "doctor" && !found.contains(told) {
            found.push(told.clone());
        }
    }
    found
}

#[test]
fn a_file_that_is_no_journal_is_told_with_what_to_do() {
    let scene = Scene::new();
    scene.file(".dagwood/state.db", "this is no database, though it is long enough to be one. ".repeat(200));
    insta::assert_snapshot!(errors(&scene).concat(), @r#"
    error: failed to open the journal: the journal `FOLDER/.dagwood/state.db` is damaged: file is not a database
      = help: put a backup in its place; or move it away, with `FOLDER/.dagwood/state.db-wal` and `FOLDER/.dagwood/state.db-shm` if they are there, and the next run begins a new one. Lost are then the history, and what is known of the jobs of unfinished runs: look for those in the accounts before their workflows run again. Saved files stay
    "#);
    // What is said helps.
    std::fs::rename(scene.path(".dagwood/state.db"), scene.path("moved")).expect("it is moved away");
    assert_eq!(scene.run(&["run", "launch", "--sandbox", "-q"]).code, Some(0));
}

#[test]
fn a_journal_with_damaged_pages_is_told_with_what_to_do() {
    let scene = Scene::new();
    for _ in 0..3 {
        assert_eq!(scene.run(&["run", "launch", "--sandbox", "-q"]).code, Some(0));
    }
    // All in one file, as after a machine's restart.
    let path = scene.path(".dagwood/state.db");
    let copy = scene.path("copy.db");
    rusqlite::Connection::open(&path)
        .expect("a database")
        .execute("VACUUM INTO ?1", [copy.to_str().expect("UTF-8")])
        .expect("a copy");
    let mut bytes = std::fs::read(&copy).expect("a file");
    let place = |bytes: &mut [u8]| {
        std::fs::write(&path, bytes).expect("a file");
        for name in ["state.db-wal", "state.db-shm"] {
            let _ = std::fs::remove_file(scene.path(".dagwood").join(name));
        }
    };
    place(&mut bytes);
    assert_eq!(scene.run(&["logs"]).code, Some(0), "the control: the copy is whole");
    // All but the first page, which says what is where.
    bytes[4096..].fill(0xff);
    place(&mut bytes);
    insta::assert_snapshot!(errors(&scene).concat(), @r#"
    error: failed to open the journal: the journal `FOLDER/.dagwood/state.db` is damaged: database disk image is malformed
      = help: put a backup in its place; or move it away, with `FOLDER/.dagwood/state.db-wal` and `FOLDER/.dagwood/state.db-shm` if they are there, and the next run begins a new one. Lost are then the history, and what is known of the jobs of unfinished runs: look for those in the accounts before their workflows run again. Saved files stay
    error: failed to list the runs: the journal `FOLDER/.dagwood/state.db` is damaged: database disk image is malformed
      = help: put a backup in its place; or move it away, with `FOLDER/.dagwood/state.db-wal` and `FOLDER/.dagwood/state.db-shm` if they are there, and the next run begins a new one. Lost are then the history, and what is known of the jobs of unfinished runs: look for those in the accounts before their workflows run again. Saved files stay
    error: failed to find the run: the journal `FOLDER/.dagwood/state.db` is damaged: database disk image is malformed
      = help: put a backup in its place; or move it away, with `FOLDER/.dagwood/state.db-wal` and `FOLDER/.dagwood/state.db-shm` if they are there, and the next run begins a new one. Lost are then the history, and what is known of the jobs of unfinished runs: look for those in the accounts before their workflows run again. Saved files stay
    "#);
}

#[test]
fn a_journal_of_a_newer_release_is_told_with_what_to_do() {
    let scene = Scene::new();
    assert_eq!(scene.run(&["run", "launch", "--sandbox", "-q"]).code, Some(0));
    rusqlite::Connection::open(scene.path(".dagwood/state.db"))
        .expect("a database")
        .pragma_update(None, "user_version", 99)
        .expect("a version");
    insta::assert_snapshot!(errors(&scene).concat(), @r#"
    error: failed to open the journal: the journal `FOLDER/.dagwood/state.db` was written by a newer release (version 99; this one knows up to 3)
      = help: use the release that wrote it, or a newer one; `--state DIR`, or `state` in the project file, names another folder; then try again
    "#);
}

/// A process that was stopped before the tables were on disk leaves a file with nothing in it: that is no history, and no damage.
#[test]
fn an_empty_file_is_no_history() {
    let scene = Scene::new();
    scene.file(".dagwood/state.db", "");
    assert_eq!(scene.run(&["runs"]).err, "there are no such runs here\n");
    assert_eq!(scene.run(&["show"]).code, Some(2));
    assert_eq!(scene.run(&["run", "launch", "--sandbox", "-q"]).code, Some(0));
    assert_eq!(status(&scene, &[]), "succeeded");
}
