//! Real kills: the real binary in the midst of a run, SIGKILL, and `resume`, a hundred times, against the emulator. Whatever the moment, each
//! job is submitted once, none is left over, and the outputs are those of a run that nobody killed.
//!
//! A moment is a line of the run's events or a request in the emulator's log, plus a few turns of this thread: nothing here sleeps.

#![cfg(unix)]

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout},
};

use dagwood::{
    job::JobState,
    sandbox::{FaultScript, Sandbox, Settings, Speed},
    world::World,
};
use serde_json::Value;

use crate::cli::Scene;

/// How often a process is killed.
const KILLS: usize = 100;

/// How many steps the workflow has.
const STEPS: usize = 30;

/// A workflow of texts and clips: chains beside each other, of jobs that are answered at once and of jobs that go on.
fn workflow() -> String {
    use std::fmt::Write as _;
    let mut text = "name: long\nconcurrency: 4\ndefaults: { poll: 5ms }\nsteps:\n".to_owned();
    let mut outputs = String::new();
    for n in 0..STEPS {
        let after = if n < 3 { String::new() } else { format!(" after {{{{ steps.s{}.status }}}}", n - 3) };
        let model = if n % 3 == 2 { "kling/video" } else { "openai/gpt-5-mini" };
        let _ = writeln!(text, "  s{n}: {{ model: {model}, inputs: {{ prompt: 'number {n}{after}' }} }}");
        if n % 3 != 2 {
            let _ = writeln!(outputs, "  o{n}: '{{{{ steps.s{n}.text }}}}'");
        }
    }
    format!("{text}outputs:\n{outputs}")
}

fn emulator(faults: &str) -> Sandbox {
    let settings = Settings {
        speed: Speed::Fixed(std::time::Duration::from_millis(10)),
        requests_per_minute: 1_000_000,
        faults: FaultScript::parse(faults).expect("a script"),
        ..Settings::default()
    };
    Sandbox::start_on_thread(settings, World::real()).expect("an emulator")
}

fn scene(sandbox: &Sandbox) -> Scene {
    let scene = Scene::new().against(sandbox);
    scene.file("workflows/long.yaml", workflow());
    scene.file("dagwood.yaml", "providers: { armox: { kind: armox, settle_grace: 300ms } }\n");
    scene
}

/// Small random numbers that a seed decides (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Starts a process, and waits for a moment. Says whether it still runs then.
fn until_a_moment(scene: &Scene, sandbox: &Sandbox, arguments: &[&str], random: &mut Random) -> (Child, bool) {
    let mut child = scene.command(arguments).spawn().expect("the binary runs");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
    let alive = if random.below(3) == 0 {
        requests(&mut child, sandbox, 1 + random.below(3))
    } else {
        events(&mut lines, 1 + random.below(5))
    };
    for _ in 0..random.below(200) {
        std::thread::yield_now();
    }
    // Its pipe is read to its end elsewhere, so that a process that goes on does not wait for a reader.
    std::thread::spawn(move || lines.lines().count());
    (child, alive)
}

/// Reads so many events; says whether there were so many.
fn events(lines: &mut BufReader<ChildStdout>, count: u64) -> bool {
    let mut line = String::new();
    (0..count).all(|_| lines.read_line(&mut line).is_ok_and(|read| read > 0))
}

/// Waits until the emulator got so many more requests; says whether the process lived until then.
fn requests(child: &mut Child, sandbox: &Sandbox, count: u64) -> bool {
    let before = sandbox.log().len() as u64;
    while (sandbox.log().len() as u64) < before + count {
        if child.try_wait().expect("a process").is_some() {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

/// What came of a run.
struct Came {
    outputs: Value,
    kills: usize,
}

/// Runs the workflow, kills it at most so often, and lets it come to its end.
fn run(scene: &Scene, sandbox: &Sandbox, most: usize, random: &mut Random) -> Came {
    let mut kills = 0;
    let mut arguments = vec!["run", "long", "--format", "json"];
    if most == 0 {
        assert_eq!(scene.run(&arguments).code, Some(0));
    }
    while kills < most {
        let (mut child, alive) = until_a_moment(scene, sandbox, &arguments, random);
        if alive {
            child.kill().expect("it is killed");
            kills += 1;
        }
        let code = child.wait().expect("it ends").code();
        if !scene.path(".dagwood/state.db").exists()
            || scene.run(&["runs", "--format", "json"]).json() == serde_json::json!([])
        {
            // It was killed before its first record was on disk: nothing was sent, and nothing can go on.
            continue;
        }
        arguments = vec!["resume", "--format", "json"];
        if code == Some(0) {
            break;
        }
    }
    let last = scene.run(&["resume", "--format", "json"]);
    assert_eq!(last.code, Some(0), "{}", last.all());
    let shown = scene.run(&["show", "--format", "json"]).json();
    assert_eq!((&shown["status"], &shown["jobs"]), (&Value::from("succeeded"), &Value::from(STEPS)), "{shown}");
    Came { outputs: shown["outputs"].clone(), kills }
}

/// Says what is wrong with the emulator's account of a run, if anything.
fn account(sandbox: &Sandbox) -> Result<(), String> {
    let jobs = sandbox.jobs();
    let mut prompts: Vec<String> = jobs.iter().map(|job| Value::Object(job.inputs.clone()).to_string()).collect();
    prompts.sort();
    prompts.dedup();
    if jobs.len() != prompts.len() {
        return Err(format!("{} jobs of {} different requests", jobs.len(), prompts.len()));
    }
    if jobs.len() != STEPS {
        return Err(format!("{} jobs of {STEPS} steps", jobs.len()));
    }
    match jobs.iter().find(|job| job.state != JobState::Completed) {
        Some(job) => Err(format!("the job {} is left over: {}", job.id, job.state)),
        None => Ok(()),
    }
}

/// Kills runs, one after the other, until there were enough kills.
fn killed(faults: &str, seed: u64) {
    let calm = {
        let sandbox = emulator("[]");
        run(&scene(&sandbox), &sandbox, 0, &mut Random(0))
    };
    let (mut random, mut kills) = (Random(seed), 0);
    while kills < KILLS {
        let sandbox = emulator(faults);
        let came = run(&scene(&sandbox), &sandbox, KILLS - kills, &mut random);
        kills += came.kills;
        account(&sandbox).unwrap_or_else(|wrong| panic!("after {kills} kills: {wrong}"));
        assert_eq!(came.outputs, calm.outputs, "after {kills} kills");
    }
    assert_eq!(kills, KILLS);
}

#[test]
fn a_hundred_kills_change_nothing() {
    killed("[]", 1);
}

#[test]
fn a_hundred_kills_change_nothing_where_every_third_answer_is_lost_or_a_503() {
    let rule = |n: usize| {
        let deed = if n.is_multiple_of(2) { "lose_reply" } else { "{ status: 503, when: after }" };
        format!("- {{ on: submit, nth: {}, do: {deed} }}\n", 3 * n + 2)
    };
    killed(&(0..20).map(rule).collect::<String>(), 2);
}

/// The control: a run that lost its journal pays again, and the account says so.
#[test]
fn without_its_journal_a_killed_run_pays_again() {
    let sandbox = emulator("[]");
    let scene = scene(&sandbox);
    let mut child = scene.command(&["run", "long", "--format", "json"]).spawn().expect("the binary runs");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
    assert!(events(&mut lines, 20), "it is under way");
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    std::fs::remove_dir_all(scene.path(".dagwood")).expect("the journal is gone");
    assert_eq!(scene.run(&["run", "long", "-q"]).code, Some(0));
    assert!(account(&sandbox).is_err(), "{:?}", sandbox.jobs().len());
}
