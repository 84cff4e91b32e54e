//! Real kills: the real binary against the emulator, ended by SIGKILL at many moments of runs, and resumed each time by a new process. One
//! kind of workflow a file.
//!
//! ```text
//! run ─✂─ resume ─✂─ resume ─ … ─✂─ resume ─▶ its end
//!          the n-th event told, or the emulator's n-th request
//! ```
//!
//! What must hold at the end, whatever was cut: the outputs and files of an undisturbed run, in the emulator its jobs and no other, and none
//! of them left over. The moments follow a seed: half of them come just after something was written and told, half just when the emulator got a
//! request, which is before its answer could be written down.

mod long;
mod parts;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    panic::{self, AssertUnwindSafe},
    path::PathBuf,
    time::Duration,
};

use dagwood::{
    id::Digest,
    job::JobState,
    journal::{
        History,
        event::{Event, SettledBy},
    },
    sandbox::{FaultScript, JobView, Sandbox, Settings, Speed},
    world::World,
};
use serde_json::Value;

use crate::{
    child::{Going, wait_until},
    cli::Scene,
};

/// What is run and killed.
#[derive(Debug)]
struct Course {
    /// The workflow that is run.
    name: &'static str,
    /// It, and those that it runs, by their names.
    workflows: Vec<(&'static str, String)>,
    /// How many jobs an undisturbed run has.
    jobs: usize,
    /// How many files it saves.
    files: usize,
    /// How often its processes are killed, over as many runs as that takes.
    kills: usize,
    /// How far apart the kills are, in ten events and six requests at the most.
    pace: u64,
}

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
    fn next(numbers: &mut Numbers, pace: u64) -> Self {
        match numbers.below(2) {
            0 => Self::Told(1 + numbers.below(10 * pace)),
            _ => Self::Asked(1 + numbers.below(6 * pace)),
        }
    }
}

/// Returns an emulator that has room for all of this, and a project in front of it.
fn stage(course: &Course, faults: FaultScript) -> (Sandbox, Scene) {
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
    for (name, text) in &course.workflows {
        scene.file(&format!("workflows/{name}.yaml"), text);
    }
    (sandbox, scene)
}

/// What a run leaves: its outputs, and what is in its files, by path.
#[derive(Debug, PartialEq)]
struct Left {
    outputs: Value,
    files: BTreeMap<PathBuf, Digest>,
}

fn left(course: &Course, scene: &Scene) -> Left {
    let run = scene.run(&["show", "last", "--format", "json"]).json();
    assert_eq!((&run["status"], &run["jobs"]), (&"succeeded".into(), &course.jobs.into()), "{run}");
    let files = scene.saved(run["run"].as_str().expect("an id"));
    Left { outputs: run["outputs"].clone(), files }
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

/// Runs the workflow, again and again, until its processes have been killed as often as it says, each time in a run that came to its end
/// well; returns how many submits were settled whose answers were lost.
fn killed(course: &Course, seed: u64, faults: &FaultScript) -> BTreeMap<&'static str, usize> {
    let expected = undisturbed(course);
    let mut numbers = Numbers(seed);
    let (mut kills, mut moments, mut settled) = (0, BTreeSet::new(), BTreeMap::new());
    while kills < course.kills {
        let (sandbox, scene) = stage(course, faults.clone());
        run_until_submits(course, &scene, &sandbox, 1);
        kills += 1;
        while kills < course.kills
            && cut(&scene, &sandbox, &["resume", "last"], &Moment::next(&mut numbers, course.pace))
        {
            kills += 1;
            moments.insert(sandbox.jobs().len());
        }
        let last = scene.run(&["resume", "last", "--format", "json"]);
        assert_eq!(last.code, Some(0), "seed {seed}: {}", last.all());
        is_as(course, &expected, &sandbox, &scene);
        settlements(&scene, &mut settled);
    }
    // Kills that come when all is done, or before anything is, prove nothing.
    assert!(moments.len() > course.jobs.min(course.kills) / 2, "seed {seed}: not spread over the run: {moments:?}");
    settled
}

/// Runs the workflow in a process that is killed when the emulator has got so many submits: by then the run is surely there to be
/// resumed.
fn run_until_submits(course: &Course, scene: &Scene, sandbox: &Sandbox, number: usize) {
    let going = Going::start(scene, &["run", course.name, "--format", "json"]);
    let submits = || sandbox.log().iter().filter(|request| request.method == "POST").count();
    wait_until("a submit", || submits() >= number);
    going.kill().expect("it still runs");
}

/// What an undisturbed run leaves, here and in the emulator.
fn undisturbed(course: &Course) -> (Left, BTreeMap<String, usize>) {
    let (sandbox, scene) = stage(course, FaultScript::default());
    let ran = scene.run(&["run", course.name]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    let (left, jobs) = (left(course, &scene), asked(&sandbox.jobs()));
    // Beside what is saved there is the manifest.
    assert_eq!((jobs.values().sum::<usize>(), left.files.len()), (course.jobs, course.files + 1));
    (left, jobs)
}

/// Compares what was killed with what was not.
fn is_as(
    course: &Course,
    (expected, expected_jobs): &(Left, BTreeMap<String, usize>),
    sandbox: &Sandbox,
    scene: &Scene,
) {
    let jobs = sandbox.jobs();
    assert_eq!(asked(&jobs), *expected_jobs, "a job is there twice, or is missing");
    assert!(jobs.iter().all(|job| job.state == JobState::Completed), "a job is left over: {jobs:?}");
    assert_eq!(left(course, scene), *expected);
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

/// The control: whoever forgets what was sent sends it again, and the check sees that.
fn forgets_its_journal(course: &Course) {
    let (sandbox, scene) = stage(course, FaultScript::default());
    run_until_submits(course, &scene, &sandbox, 5);
    fs::remove_dir_all(scene.path(".dagwood")).expect("the state is there");
    let ran = scene.run(&["run", course.name]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    let expected = undisturbed(course);
    let checked = panic::catch_unwind(AssertUnwindSafe(|| is_as(course, &expected, &sandbox, &scene)));
    let told = checked.expect_err("the check holds, whatever happened");
    let told = told.downcast_ref::<String>().expect("words");
    assert!(told.contains("a job is there twice"), "{told}");
}
