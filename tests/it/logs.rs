//! `dagwood logs`: what an attached run shows, read from the journal by another process.

use std::io::{BufReader, Read as _};

use crate::cli::{Scene, emulator, signal, wait_for};

/// A script by which the one job of `clip` lasts until it is cancelled.
const LONG: &str = "- { on: submit, do: { takes: 300s } }";

#[test]
fn the_lines_of_a_run_are_those_that_it_showed() {
    let scene = Scene::new();
    let ran = scene.run(&["run", "launch", "--sandbox"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    let logs = scene.run(&["logs"]);
    assert_eq!((logs.code, &logs.out, logs.err.as_str()), (Some(0), &ran.err, ""), "{}", logs.all());
    insta::assert_snapshot!(logs.all(), @r#"
    exit 0
    --- stdout
    TIME run      launch RUN started: 3 steps, about 75 credits, sandbox
    TIME picture  submitted as JOB (70 credits)
    TIME picture  succeeded in TOOK, 1 image, 1 file saved
    TIME caption  submitted as JOB (5 credits)
    TIME caption  succeeded in TOOK, 1 text
    TIME note     succeeded
    TIME run      succeeded in TOOK · 2 jobs · 75 credits · sandbox
    --- stderr
    "#);
    // A run that is over is not waited for, and `-q` does not take away what was asked for.
    assert_eq!(scene.run(&["logs", "last", "--follow", "-q"]).out, ran.err);
}

#[test]
fn events_are_those_that_the_run_printed() {
    let scene = Scene::new();
    let ran = scene.run(&["run", "launch", "--sandbox", "--format", "json"]);
    assert!(ran.raw.lines().count() > 10, "{}", ran.all());
    let followed = scene.run(&["logs", "-f", "--format", "json"]);
    assert_eq!((followed.code, &followed.raw, followed.err.as_str()), (Some(0), &ran.raw, ""), "{}", followed.all());
    // Without `-f` they are one document.
    let logs = scene.run(&["logs", "--format", "json"]);
    let lines: Vec<serde_json::Value> =
        ran.raw.lines().map(|line| serde_json::from_str(line).expect("an event")).collect();
    assert_eq!((logs.code, logs.json(), logs.err.as_str()), (Some(0), serde_json::Value::Array(lines), ""));
}

#[test]
fn failures_are_annotations_on_github() {
    let sandbox = emulator("- { on: submit, do: { fail: The model is overloaded } }");
    let scene = Scene::new().against(&sandbox);
    let ran = scene.run(&["run", "clip", "--format", "github"]);
    let logs = scene.run(&["logs", "--format", "github"]);
    assert_eq!((logs.code, &logs.out), (Some(0), &ran.err), "{}", logs.all());
    assert!(logs.out.contains("::error file=workflows/clip.yaml,title=clip failed::"), "{}", logs.all());
}

#[test]
fn a_run_that_is_not_there_is_an_error_of_usage() {
    let scene = Scene::new();
    assert_eq!(scene.run(&["logs"]).code, Some(2));
    scene.run(&["run", "launch", "--sandbox", "-q"]);
    insta::assert_snapshot!(scene.run(&["logs", "ffff", "-f"]).all(), @r#"
    exit 2
    --- stdout
    --- stderr
    error: there is no run `ffff`
      = help: `dagwood runs` lists them; a unique prefix is enough
    "#);
}

/// A run is followed from its middle to its end, in both formats, while another process makes it.
#[cfg(unix)]
#[test]
fn a_run_that_goes_on_is_followed_to_its_end() {
    let scene = Scene::new();
    scene.file("faults.yaml", LONG);
    let mut run =
        scene.command(&["run", "clip", "--sandbox", "--faults", "faults.yaml"]).spawn().expect("the binary runs");
    let mut shown = BufReader::new(run.stderr.take().expect("a pipe"));
    let mut seen = wait_for(&mut shown, "submitted as");
    let followers = [&["logs", "-f"][..], &["logs", "-f", "--format", "json"]];
    let mut followers = followers.map(|arguments| {
        let mut child = scene.command(arguments).spawn().expect("the binary runs");
        let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
        // What there was when it began is shown first.
        let beginning = wait_for(&mut out, "submitted");
        (child, out, beginning)
    });
    signal(&run, "TERM");
    shown.read_to_string(&mut seen).expect("UTF-8");
    assert_eq!(run.wait().expect("it ends").code(), Some(143));
    let texts = followers.each_mut().map(|(child, out, text)| {
        out.read_to_string(text).expect("UTF-8");
        assert_eq!(child.wait().expect("it ends by itself").code(), Some(0), "{text}");
        text.clone()
    });
    // The run said one thing more, which is no event.
    let lines: Vec<_> = seen.split_inclusive('\n').filter(|line| !line.starts_with("a second signal")).collect();
    let seen = lines.concat();
    assert_eq!(texts[0], seen);
    assert_eq!(texts[1], scene.run(&["logs", "-f", "--format", "json"]).raw);
    assert!(texts[1].lines().last().is_some_and(|line| line.contains("run_finished")), "{}", texts[1]);
}

/// Who is killed cannot say so: whoever follows sees it all the same.
#[cfg(unix)]
#[test]
fn a_run_whose_process_is_killed_is_told_as_interrupted() {
    let sandbox = emulator(LONG);
    let scene = Scene::new().against(&sandbox);
    let mut run = scene.command(&["run", "clip"]).spawn().expect("the binary runs");
    wait_for(&mut BufReader::new(run.stderr.take().expect("a pipe")), "submitted as");
    let mut follower = scene.command(&["logs", "-f"]).spawn().expect("the binary runs");
    let mut out = BufReader::new(follower.stdout.take().expect("a pipe"));
    wait_for(&mut out, "submitted as");
    signal(&run, "KILL");
    run.wait().expect("it ends");
    let mut said = String::new();
    follower.stderr.take().expect("a pipe").read_to_string(&mut said).expect("UTF-8");
    assert_eq!(follower.wait().expect("it ends by itself").code(), Some(0));
    let expected = "the process that ran it is gone: the run was interrupted; `dagwood resume UUID` goes on with it\n";
    assert_eq!(scene.tidy(&said), expected);
    // Later, and without following, the same is said.
    for arguments in [&["logs"][..], &["logs", "-f"], &["show"]] {
        let ran = scene.run(arguments);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), expected), "{}", ran.all());
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_following_and_not_the_run() {
    let sandbox = emulator(LONG);
    let scene = Scene::new().against(&sandbox);
    let mut run = scene.command(&["run", "clip"]).spawn().expect("the binary runs");
    let mut shown = BufReader::new(run.stderr.take().expect("a pipe"));
    wait_for(&mut shown, "submitted as");
    for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 143)] {
        let mut follower = scene.command(&["logs", "-f"]).spawn().expect("the binary runs");
        let mut out = BufReader::new(follower.stdout.take().expect("a pipe"));
        wait_for(&mut out, "submitted as");
        signal(&follower, name);
        let mut said = String::new();
        follower.stderr.take().expect("a pipe").read_to_string(&mut said).expect("UTF-8");
        assert_eq!((follower.wait().expect("it ends").code(), said.as_str()), (Some(code), ""), "{name}");
    }
    // The control: the run is there, and takes its own signal.
    assert_eq!(scene.run(&["runs", "--format", "json"]).json()[0]["live"], true);
    signal(&run, "INT");
    assert_eq!(run.wait().expect("it ends").code(), Some(130));
}

/// `dagwood logs -f | head -1` must end when `head` has: at the next line that it cannot write.
#[cfg(unix)]
#[test]
fn following_ends_when_nobody_reads_it() {
    let sandbox = emulator(LONG);
    let scene = Scene::new().against(&sandbox);
    let mut run = scene.command(&["run", "clip"]).spawn().expect("the binary runs");
    wait_for(&mut BufReader::new(run.stderr.take().expect("a pipe")), "submitted as");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut follower = scene.command(&["logs", "-f"]).stdout(writer).spawn().expect("the binary runs");
    assert_eq!(follower.wait().expect("it ends by itself").code(), Some(0));
    assert!(run.try_wait().expect("a look").is_none(), "the run goes on");
    signal(&run, "TERM");
    run.wait().expect("it ends");
}
