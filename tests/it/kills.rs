//! Real kills: the real binary against the emulator, ended by SIGKILL at a hundred moments of runs of 30 steps, and resumed each time by a
//! new process.
//!
//! ```text
//! run ─✂─ resume ─✂─ resume ─ … ─✂─ resume ─▶ its end
//!          the n-th event told, or the emulator's n-th request
//! ```
//!
//! What must hold at the end, whatever was cut: the outputs and files of an undisturbed run, in the emulator one job a step, and none of them
//! left over. The moments follow a seed: half of them come just after something was written and told, half just when the emulator got a
//! request, which is before its answer could be written down.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    time::Duration,
};

use dagwood::{
    id::Digest,
    job::JobState,
    journal::{
        History,
        event::{Event, SettledBy},
    },
    sandbox::{
        FaultScript, JobView, Sandbox, Settings, Speed,
        faults::{Deed, Door, Rule, When},
    },
    world::World,
};
use serde_json::Value;

use crate::{
    child::{Going, wait_until},
    cli::Scene,
};

/// How often the process is killed.
const KILLS: usize = 100;

/// The steps of the workflow.
const STEPS: usize = 30;

/// Numbers that a seed gives, for moments: xorshift is good enough, and the same everywhere.
struct Numbers(u64);

impl Numbers {
    /// Returns a number from 0 up to a bound, which is left out.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// When a process is killed.
#[derive(Debug)]
enum Moment {
    /// After it has told so many events.
    Told(u64),
    /// When the emulator has got so many more requests.
    Asked(u64),
}

impl Moment {
    fn next(numbers: &mut Numbers) -> Self {
        match numbers.below(2) {
            0 => Self::Told(1 + numbers.below(10)),
            _ => Self::Asked(1 + numbers.below(6)),
        }
    }
}

/// Returns 30 steps in three chains that feed each other: texts, every fifth a picture that is saved, and two pairs of twins, whose
/// requests the API could not tell apart.
fn workflow() -> String {
    let mut text = "name: long\nconcurrency: { steps: 3 }\ndefaults: { poll: 30ms }\nsteps:\n".to_owned();
    for number in 1..=STEPS {
        let (before, prompt) = match number {
            1..=3 => (None, format!("Begin {number}")),
            // The second of a pair says the same as the first.
            11 | 12 | 21 | 22 => (Some(number - 3), "One of two".to_owned()),
            _ if (number - 3) % 5 == 0 => (Some(number - 3), format!("Go on {number}")),
            _ => (None, format!("Go on {number} after {{{{ steps.s{:02}.text }}}}", number - 3)),
        };
        let (model, save) =
            if number % 5 == 0 { ("google/nano-banana", ", save: true") } else { ("openai/gpt-5-mini", "") };
        let needs = before.map_or_else(String::new, |before| format!(", needs: [s{before:02}]"));
        let step = format!("{{ model: {model}, inputs: {{ prompt: \"{prompt}\" }}{needs}{save} }}");
        writeln!(text, "  s{number:02}: {step}").expect("a string takes it");
    }
    text += "outputs:\n";
    for number in [17, 26, 27, 29] {
        writeln!(text, "  o{number}: \"{{{{ steps.s{number:02}.text }}}}\"").expect("a string takes it");
    }
    text
}

/// Returns an emulator that has room for all of this, and a project in front of it.
fn stage(faults: FaultScript) -> (Sandbox, Scene) {
    let settings = Settings {
        faults,
        speed: Speed::Fixed(Duration::from_millis(20)),
        credits: 1e9,
        requests_per_minute: 1_000_000,
        ..Settings::default()
    };
    let sandbox = Sandbox::start_on_thread(settings, World::real()).expect("an emulator");
    let scene = Scene::new().against(&sandbox);
    // The emulator lists a job at once, so that a short grace is an honest one.
    scene.file(
        "dagwood.yaml",
        "providers: { armox: { kind: armox, settle_grace: 300ms, requests_per_minute: 1000000 } }\n",
    );
    scene.file("workflows/long.yaml", workflow());
    (sandbox, scene)
}

/// What a run leaves: its outputs, and what is in its files, by path.
#[derive(Debug, PartialEq)]
struct Left {
    outputs: Value,
    files: BTreeMap<PathBuf, Digest>,
}

fn left(scene: &Scene) -> Left {
    let run = scene.run(&["show", "last", "--format", "json"]).json();
    assert_eq!((&run["status"], &run["jobs"]), (&"succeeded".into(), &STEPS.into()), "{run}");
    let root = scene.path("artifacts").join(run["run"].as_str().expect("an id"));
    let mut files = BTreeMap::new();
    gather(&root, &root, &mut files);
    Left { outputs: run["outputs"].clone(), files }
}

/// Reads the files of a folder; the manifest, which names run and times, only counts as there.
fn gather(root: &Path, folder: &Path, files: &mut BTreeMap<PathBuf, Digest>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            gather(root, &path, files);
            continue;
        }
        let name = path.strip_prefix(root).expect("a path below it").to_owned();
        let is_manifest = name.as_os_str() == "manifest.json";
        let bytes = if is_manifest { Vec::new() } else { fs::read(&path).expect("a file") };
        files.insert(name, Digest::of(&bytes));
    }
}

/// Counts the jobs by what they were asked.
fn asked(jobs: &[JobView]) -> BTreeMap<String, usize> {
    let mut asked = BTreeMap::new();
    for job in jobs {
        *asked.entry(format!("{} {}", job.target, Value::Object(job.inputs.clone()))).or_default() += 1;
    }
    asked
}

/// Starts a command and kills it at a moment, unless it comes to its end before; says whether it was killed.
fn cut(scene: &Scene, sandbox: &Sandbox, arguments: &[&str], moment: &Moment) -> bool {
    let before = sandbox.log().len();
    let mut going = Going::start(scene, &[arguments, &["--format", "json"]].concat());
    match *moment {
        Moment::Told(number) => {
            for _ in 0..number {
                if going.event().is_none() {
                    break;
                }
            }
        }
        Moment::Asked(number) => {
            let wanted = before + usize::try_from(number).expect("a small number");
            wait_until("a request", || sandbox.log().len() >= wanted || going.is_over());
        }
    }
    match going.kill() {
        Ok(()) => true,
        Err(told) => {
            assert!(told.starts_with("exit 0:"), "{told}");
            false
        }
    }
}

/// Runs the workflow, again and again, until its processes have been killed a hundred times, each time in a run that came to its end well;
/// returns how many submits were settled whose answers were lost.
fn killed(seed: u64, faults: &FaultScript) -> BTreeMap<&'static str, usize> {
    let expected = undisturbed();
    let mut numbers = Numbers(seed);
    let (mut kills, mut moments, mut settled) = (0, BTreeSet::new(), BTreeMap::new());
    while kills < KILLS {
        let (sandbox, scene) = stage(faults.clone());
        run_until_submits(&scene, &sandbox, 1);
        kills += 1;
        while kills < KILLS && cut(&scene, &sandbox, &["resume", "last"], &Moment::next(&mut numbers)) {
            kills += 1;
            moments.insert(sandbox.jobs().len());
        }
        let last = scene.run(&["resume", "last", "--format", "json"]);
        assert_eq!(last.code, Some(0), "seed {seed}: {}", last.all());
        is_as(&expected, &sandbox, &scene);
        settlements(&scene, &mut settled);
    }
    // Kills that come when all is done, or before anything is, prove nothing.
    assert!(kills == KILLS && moments.len() > STEPS / 2, "seed {seed}: not spread over the run: {moments:?}");
    settled
}

/// Runs the workflow in a process that is killed when the emulator has got so many submits: by then the run is surely there to be
/// resumed.
fn run_until_submits(scene: &Scene, sandbox: &Sandbox, number: usize) {
    let going = Going::start(scene, &["run", "long", "--format", "json"]);
    let submits = || sandbox.log().iter().filter(|request| request.method == "POST").count();
    wait_until("a submit", || submits() >= number);
    going.kill().expect("it still runs");
}

/// What an undisturbed run leaves, here and in the emulator.
fn undisturbed() -> (Left, BTreeMap<String, usize>) {
    let (sandbox, scene) = stage(FaultScript::default());
    let ran = scene.run(&["run", "long"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    let (left, jobs) = (left(&scene), asked(&sandbox.jobs()));
    assert_eq!((jobs.values().sum::<usize>(), left.files.len()), (STEPS, STEPS / 5 + 1));
    (left, jobs)
}

/// Compares what was killed with what was not.
fn is_as((expected, expected_jobs): &(Left, BTreeMap<String, usize>), sandbox: &Sandbox, scene: &Scene) {
    let jobs = sandbox.jobs();
    assert_eq!(asked(&jobs), *expected_jobs, "a job is there twice, or is missing");
    assert!(jobs.iter().all(|job| job.state == JobState::Completed), "a job is left over: {jobs:?}");
    assert_eq!(left(scene), *expected);
}

/// Counts how the submits of the last run were settled whose answers were lost.
fn settlements(scene: &Scene, settled: &mut BTreeMap<&'static str, usize>) {
    let history = History::open(&scene.path(".dagwood")).expect("a journal").expect("runs");
    let run = history.find("last").expect("a run");
    for record in history.records(run).expect("records") {
        if let Event::SubmitSettled { how, .. } = record.event {
            *settled.entry(if how == SettledBy::List { "found" } else { "absent" }).or_default() += 1;
        }
    }
}

#[test]
fn a_hundred_kills_change_nothing() {
    let settled = killed(1, &FaultScript::default());
    // Some came between the API's yes and its being written down, some before the request had left.
    assert!(settled.get("found").is_some_and(|found| *found > 5), "{settled:?}");
}

#[test]
fn a_hundred_kills_and_lost_answers_change_nothing() {
    // Every third submit is accepted and not answered well, until the run is over: by a closed connection, or by a 5xx.
    let rules = (1..=2 * u32::try_from(STEPS).expect("a small number")).map(|number| {
        let error = Deed::Status { status: 503, when: When::After, message: "Try again".to_owned(), retry_after: None };
        let deed = if number % 2 == 0 { error } else { Deed::LoseReply };
        Rule::new(Door::Submit, deed).nth(3 * number)
    });
    let settled = killed(2, &FaultScript(rules.collect()));
    assert!(settled.get("found").is_some_and(|found| *found > STEPS / 3), "{settled:?}");
}

/// The control: whoever forgets what was sent sends it again, and the check sees that.
#[test]
fn a_run_that_forgets_its_journal_is_seen_to_pay_twice() {
    let (sandbox, scene) = stage(FaultScript::default());
    run_until_submits(&scene, &sandbox, 5);
    fs::remove_dir_all(scene.path(".dagwood")).expect("the state is there");
    let ran = scene.run(&["run", "long"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    let expected = undisturbed();
    let checked = panic::catch_unwind(AssertUnwindSafe(|| is_as(&expected, &sandbox, &scene)));
    let told = checked.expect_err("the check holds, whatever happened");
    let told = told.downcast_ref::<String>().expect("words");
    assert!(told.contains("a job is there twice"), "{told}");
}
