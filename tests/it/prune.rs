//! `dagwood runs prune`: old runs go, with what only they refer to; nothing else does.

use std::{collections::BTreeSet, io::BufReader};

use crate::cli::{Scene, emulator, signal, wait_for};

/// Answers of more than 64 KiB, which are stored beside the events; the same for the same inputs.
const LARGE: &str = r#"name: large
inputs: { mark: { type: string } }
steps:
  text: { set: { long: "{{ inputs.mark }}" } }
"#;

/// The ids of the runs there are, the newest first.
fn runs(scene: &Scene) -> Vec<String> {
    let rows = scene.run(&["runs", "-n", "0", "--format", "json"]).json();
    rows.as_array().expect("a list").iter().map(|row| row["run"].as_str().expect("an id").to_owned()).collect()
}

fn query<T: rusqlite::types::FromSql>(scene: &Scene, sql: &str) -> Vec<T> {
    let connection = rusqlite::Connection::open(scene.path(".dagwood/state.db")).expect("a database");
    let mut statement = connection.prepare(sql).expect("a query");
    let rows = statement.query_map([], |row| row.get(0)).expect("rows");
    rows.collect::<Result<_, _>>().expect("rows")
}

#[test]
fn all_but_the_newest_go_with_what_only_they_refer_to() {
    let scene = Scene::new();
    scene.file("workflows/large.yaml", LARGE);
    for mark in ["a", "b", "a"] {
        scene.file("mark.txt", mark.repeat(70_000));
        let ran = scene.run(&["run", "large", "-q", "-i", "mark=@mark.txt"]);
        assert_eq!(ran.code, Some(0), "{}", ran.all());
    }
    assert_eq!(scene.run(&["run", "launch", "--sandbox", "-q"]).code, Some(0));
    let before = runs(&scene);
    // Two large payloads, and what the two workflows were made from.
    assert_eq!((before.len(), query::<String>(&scene, "SELECT digest FROM blobs").len()), (4, 4));
    let claims: BTreeSet<String> = query(&scene, "SELECT job FROM claims").into_iter().collect();
    let size = || scene.path(".dagwood/state.db").metadata().expect("a file").len();

    let dry = scene.run(&["runs", "prune", "--keep", "2", "--dry-run"]);
    insta::assert_snapshot!(dry.all(), @r#"
    exit 0
    --- stdout
       run            workflow  started   took  jobs  credits
    ✔  PREFIX  large     TIME TOOK     0        0  succeeded
    ✔  PREFIX  large     TIME TOOK     0        0  succeeded
    would remove 2 runs (SIZE)
    --- stderr
    "#);
    assert_eq!(runs(&scene), before, "nothing is removed");

    let full = size();
    let json = scene.run(&["runs", "prune", "--keep", "2", "--format", "json", "--dry-run"]).json();
    let gone = scene.run(&["runs", "prune", "--keep", "2"]);
    insta::assert_snapshot!(gone.all(), @r#"
    exit 0
    --- stdout
    removed 2 runs (SIZE)
    --- stderr
    "#);
    assert_eq!(json["runs"], serde_json::json!(before[2..]));
    assert!(json["bytes"].as_u64().is_some_and(|bytes| bytes > 70_000), "{json}");
    assert_eq!(runs(&scene), before[..2]);
    // The payload of the first run is that of the third, too.
    assert_eq!(query::<String>(&scene, "SELECT digest FROM blobs").len(), 3);
    assert_eq!(scene.run(&["show", &before[1], "--format", "json"]).json()["status"], "succeeded");
    assert_eq!(scene.run(&["show", &before[3]]).code, Some(2));
    assert!(size() < full, "the file shrinks: {} of {full}", size());
    let locks = std::fs::read_dir(scene.path(".dagwood/locks")).expect("a folder").count();
    assert_eq!(locks, 2);

    // Of what remains, all goes but the claims: a job that was paid for is nobody else's.
    assert_eq!(scene.run(&["runs", "prune", "--older-than", "0s"]).code, Some(0));
    assert_eq!(runs(&scene), [""; 0]);
    assert_eq!(query::<String>(&scene, "SELECT digest FROM blobs").len(), 0);
    assert_eq!(query::<String>(&scene, "SELECT run FROM events").len(), 0);
    assert!(
        claims.len() == 2
            && query::<String>(&scene, "SELECT job FROM claims").into_iter().collect::<BTreeSet<_>>() == claims
    );
    assert!(scene.path("artifacts").read_dir().expect("a folder").count() == 1, "saved files stay");
    // And the next run finds a journal that works.
    assert_eq!(scene.run(&["run", "launch", "--sandbox", "-q"]).code, Some(0));
}

#[cfg(unix)]
#[test]
fn a_live_run_stays_always_and_an_unfinished_one_unless_it_is_named() {
    let sandbox = emulator("- { on: submit, do: { takes: 300s } }");
    let scene = Scene::new().against(&sandbox);
    let start = || {
        let mut child = scene.command(&["run", "clip"]).spawn().expect("the binary runs");
        wait_for(&mut BufReader::new(child.stderr.take().expect("a pipe")), "submitted as");
        child
    };
    let mut killed = start();
    signal(&killed, "KILL");
    killed.wait().expect("it ends");
    let mut live = start();
    let before = runs(&scene);
    assert_eq!(before.len(), 2);

    insta::assert_snapshot!(scene.run(&["runs", "prune", "--keep", "0"]).all(), @r#"
    exit 0
    --- stdout
    there are no such runs to remove
    --- stderr
    1 unfinished run stays: `--unfinished` removes it, too
    "#);
    assert_eq!(runs(&scene), before);
    insta::assert_snapshot!(scene.run(&["runs", "prune", "--keep", "0", "--unfinished"]).all(), @r#"
    exit 0
    --- stdout
    removed 1 run (SIZE)
    --- stderr
    "#);
    assert_eq!(runs(&scene), before[..1], "the live one is there");

    signal(&live, "TERM");
    assert_eq!(live.wait().expect("it ends").code(), Some(143), "it went on as if nothing had been");
    assert_eq!(scene.run(&["show", "--format", "json"]).json()["status"], "cancelled");
    assert_eq!(scene.run(&["runs", "prune", "--keep", "0", "-q"]).code, Some(0));
    assert_eq!(runs(&scene), [""; 0]);
}

#[test]
fn a_run_that_waits_for_a_person_is_not_finished() {
    let scene = Scene::new();
    scene.file("dagwood.yaml", "providers: { armox: { kind: armox, settle: ask, settle_grace: 100ms } }\n");
    scene.file("faults.yaml", "- { on: submit, do: refuse }");
    assert_eq!(scene.run(&["run", "clip", "--sandbox", "--faults", "faults.yaml"]).code, Some(8));
    insta::assert_snapshot!(scene.run(&["runs", "prune", "--older-than", "0s"]).all(), @r#"
    exit 0
    --- stdout
    there are no such runs to remove
    --- stderr
    1 unfinished run stays: `--unfinished` removes it, too
    "#);
    assert_eq!(runs(&scene).len(), 1);
    assert_eq!(
        scene.run(&["runs", "prune", "--older-than", "1h", "--unfinished"]).out,
        "there are no such runs to remove\n"
    );
    assert_eq!(scene.run(&["runs", "prune", "--older-than", "0s", "--unfinished"]).code, Some(0));
    assert_eq!(runs(&scene), [""; 0]);
}

#[test]
fn pruning_says_what_it_wants() {
    let scene = Scene::new();
    insta::assert_snapshot!(scene.run(&["runs", "prune"]).all(), @r#"
    exit 2
    --- stdout
    --- stderr
    error: the following required arguments were not provided:
      <--older-than <WHEN>|--keep <N>>

    Usage: dagwood runs prune <--older-than <WHEN>|--keep <N>>

    For more information, try '--help'.
    "#);
    for arguments in [
        &["runs", "prune", "--keep", "1", "--older-than", "1h"][..],
        &["runs", "prune", "--keep", "-1"],
        &["runs", "prune", "--older-than", "a while"],
        &["runs", "-n", "1", "prune", "--keep", "1"],
    ] {
        let ran = scene.run(arguments);
        assert!(ran.code == Some(2) && !ran.err.is_empty(), "{arguments:?}: {}", ran.all());
    }
    // A journal is not made to find nothing in it.
    assert_eq!(scene.run(&["runs", "prune", "--keep", "1"]).out, "there are no such runs to remove\n");
    assert!(!scene.path(".dagwood").exists());
    insta::assert_snapshot!(scene.run(&["runs", "prune", "--help"]).all(), @r#"
    exit 0
    --- stdout
    Remove old runs from the journal; saved files stay

    Runs that a process has in hand are never removed; those that were interrupted, and those with a
    submit of which nobody knows whether it was accepted, only with `--unfinished`. What a removed run
    knew of its jobs is kept as far as it keeps them from being taken for another run's.

    Usage: dagwood runs prune [OPTIONS] <--older-than <WHEN>|--keep <N>>

    Options:
          --older-than <WHEN>
              Those that ended before then: a duration such as `720h`, a date, or a time (RFC 3339)

          --keep <N>
              All but the newest N

          --unfinished
              Also those that are not over, though no process has them in hand: they cannot be resumed
              then

          --dry-run
              Remove nothing: say what would be

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
