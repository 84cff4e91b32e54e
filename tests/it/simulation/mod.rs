//! The simulator: the real driver, `decide`, fold and journal, on random workflows, before a server that is as unkind as the documents
//! allow, under virtual time.
//!
//! ```text
//! seed ─▶ workflow (dag) ─▶ the undisturbed run ─▶ schedules: crashes, faults, signals, jumps ─▶ checks: journal against server
//! ```
//!
//! Everything comes from one seed, so that a failure is one line to repeat. The checks can fail: the controls at the end take a part of the
//! engine away, and what the part is for shows at once.

mod checks;
mod dag;
mod naive;
pub(crate) mod random;
mod schedule;
mod server;
mod tally;

use std::{
    fmt,
    io::Write as _,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use self::{
    dag::Dag,
    random::Random,
    schedule::{Schedule, play},
    server::{Foreign, Nature, Promise},
    tally::Tally,
};

/// What is taken away from the engine, so that the checks can show that they find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Control {
    Nothing,
    /// Nothing waits for what is unsettled of its class.
    NoFence,
    /// The first job that fits is claimed, however many there are.
    NoCount,
    /// Nothing waits for the disk.
    NoOrder,
}

/// How long a server may take to list a job: with the way there, less than the grace that a client gives it.
const SLOWEST_LIST: Duration = Duration::from_millis(6_500);

/// The most records of a run with nested workflows that is made to crash after each of them: it soon has many more than others.
const MOST_CRASHES: u64 = 60;

/// How a seed is simulated.
#[derive(Clone, Copy, Debug)]
struct Setup {
    control: Control,
    /// Whether everything that happens is said.
    loud: bool,
}

/// What does not hold.
#[derive(Debug)]
struct Violation {
    what: &'static str,
    how: String,
}

impl Violation {
    fn new(what: &'static str, how: String) -> Self {
        Self { what, how }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it does not hold that {}\n  {}", self.what, self.how)
    }
}

/// A seed at which something does not hold.
struct Failure {
    seed: u64,
    violation: Violation,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, violation } = self;
        let line = format!("DAGWOOD_SEED={seed} cargo test --test it simulation::one_seed -- --ignored --nocapture");
        write!(f, "seed {seed}: {violation}\nto see it: {line}")
    }
}

/// Simulates what a seed says.
fn simulate(seed: u64, setup: Setup) -> Result<Tally, Violation> {
    let mut random = Random::new(seed);
    let providers = if random.percent(75) { 1 } else { 2 };
    let alike = random.percent(8);
    let mut branch = random.branch();
    let dag = if alike { Dag::alike(&mut branch) } else { Dag::new(&mut branch, providers) };
    let mut natures: Vec<_> = dag.providers.iter().map(|alias| nature(&mut random, alias, &dag)).collect();
    if alike {
        // A list that is slow, and complete.
        let promise = Promise::List;
        for nature in &mut natures {
            (nature.promise, nature.listing, nature.foreign) = (promise, SLOWEST_LIST, Foreign::None);
        }
    }
    let mut branch = random.branch();
    if setup.loud {
        let _ = writeln!(std::io::stderr(), "{}\n{:#?}\n{natures:#?}", dag.text, dag.parts);
    }
    let mut tally = Tally::of_seed(dag.plan.steps().len());
    let calm = play(&dag, &natures, &Schedule::calm(), &mut branch, Setup { loud: false, ..setup })?;
    checks::story(&dag, &Schedule::calm(), &calm.state, &calm)?;
    let records = calm.records.len() as u64;
    let schedules = if alike { vec![Schedule::cut_off(&mut random)] } else { schedules(&mut random, &dag, records) };
    for schedule in schedules {
        if setup.loud {
            let _ = writeln!(std::io::stderr(), "{schedule:#?}");
        }
        let story = play(&dag, &natures, &schedule, &mut branch, setup)?;
        tally.count(&story);
        // The one that looks at every step has no account.
        if schedule.budget.is_none() {
            naive::agrees(&story, &mut random)?;
        }
        checks::story(&dag, &schedule, &calm.state, &story)?;
    }
    Ok(tally)
}

/// Returns what is done to a workflow: mostly anything, at times a crash after every record.
fn schedules(random: &mut Random, dag: &Dag, records: u64) -> Vec<Schedule> {
    let is_short = dag.parts.is_empty() || records <= MOST_CRASHES;
    if dag.plan.steps().len() <= 3 && random.percent(15) && is_short {
        let turns = u32::try_from(random.below(3)).expect("small");
        return (1..=records).map(|number| Schedule::crash_after(number, turns)).collect();
    }
    let sqlite = random.percent(3) && dag.plan.steps().len() <= 6;
    vec![Schedule { sqlite, ..Schedule::random(random, records) }]
}

fn nature(random: &mut Random, alias: &str, dag: &Dag) -> Nature {
    Nature {
        alias: alias.to_owned(),
        promise: *random.pick(&[Promise::SameKey, Promise::List, Promise::List, Promise::Nothing]),
        models: dag.models.clone(),
        key_life: Duration::from_mins(65) + random.milliseconds(0, 7_200_000),
        tells_time: random.percent(80),
        skew: SignedDuration::from_millis(i64::try_from(random.below(480_000)).expect("small") - 240_000),
        listing: *random.pick(&[Duration::ZERO, Duration::from_secs(3), SLOWEST_LIST]),
        hidden: *random.pick(&[Duration::ZERO, Duration::from_millis(600)]),
        foreign: *random.pick(&[
            Foreign::None,
            Foreign::None,
            Foreign::None,
            Foreign::Others,
            Foreign::Others,
            Foreign::Others,
            Foreign::Twins,
            Foreign::Flood,
        ]),
    }
}

/// Simulates seeds on all cores, until one fails.
fn sweep(seeds: Range<u64>, setup: Setup) -> (Tally, Option<Failure>) {
    let (next, stop) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let result = Mutex::new((Tally::default(), None::<Failure>));
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                break;
            }
            let outcome = catch_unwind(AssertUnwindSafe(|| simulate(seed, setup))).unwrap_or_else(|panic| {
                let message = panic.downcast_ref::<String>().cloned();
                let message = message.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
                Err(Violation::new("no part panics", message.unwrap_or_default()))
            });
            let mut result = result.lock().expect("no panic while it is held");
            match outcome {
                Ok(tally) => result.0.add(&tally),
                Err(violation) => {
                    stop.store(true, Ordering::Relaxed);
                    if result.1.as_ref().is_none_or(|other| seed < other.seed) {
                        result.1 = Some(Failure { seed, violation });
                    }
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
        work();
    });
    result.into_inner().expect("no panic while it is held")
}

/// Says something to whoever watches one seed.
fn say(at: Timestamp, words: &str) {
    let _ = writeln!(std::io::stderr(), "{at:.3} {words}");
}

const HONEST: Setup = Setup { control: Control::Nothing, loud: false };

#[test]
fn two_thousand_seeds_break_no_promise() {
    let (tally, failure) = sweep(0..2_000, HONEST);
    if let Some(failure) = failure {
        panic!("{failure}");
    }
    tally.is_lively();
}

/// Looks for a seed at which a control breaks what it is to break, and returns what is said of it. The seeds begin where one is known to be near.
fn broken_by(control: Control, from: u64) -> String {
    let (_, failure) = sweep(from..from + 3_000, Setup { control, ..HONEST });
    let failure = failure.unwrap_or_else(|| panic!("{control:?} breaks nothing"));
    let _ = writeln!(std::io::stderr(), "{control:?}: seed {}: {}", failure.seed, failure.violation);
    failure.violation.what.to_owned()
}

#[test]
fn without_the_fence_a_job_is_lost_or_paid_twice_or_nobody_can_tell() {
    let what = broken_by(Control::NoFence, 0);
    let told = [
        "no job is lost",
        "no job is submitted twice",
        "no job belongs to two steps",
        "`submit_unknown` only where nobody can tell",
    ];
    assert!(told.contains(&what.as_str()), "{what}");
}

#[test]
fn without_the_claim_by_count_a_job_is_lost_or_paid_twice() {
    let what = broken_by(Control::NoCount, 400);
    let told =
        ["no job is lost", "no job is submitted twice", "no job belongs to two steps", "a step has a job of this run"];
    assert!(told.contains(&what.as_str()), "{what}");
}

#[test]
fn without_the_order_of_disk_and_wire_a_job_is_paid_twice() {
    let what = broken_by(Control::NoOrder, 0);
    let told = ["no job is submitted twice", "an intent is on disk before its request leaves", "no job is lost"];
    assert!(told.contains(&what.as_str()), "{what}");
}

/// `DAGWOOD_SEED=N` says everything that happens at a seed; `DAGWOOD_SEEDS=FROM..TO` simulates many, and counts. `DAGWOOD_CONTROL` takes the
/// `fence`, the `count` or the `order` away.
#[test]
#[ignore = "for a person who looks for or at a failure"]
#[expect(clippy::disallowed_methods, reason = "a switch of the tests themselves, not of the library")]
fn one_seed() {
    let number = |text: &str| text.trim().parse::<u64>().unwrap_or_else(|error| panic!("`{text}`: {error}"));
    let control = match std::env::var("DAGWOOD_CONTROL").as_deref() {
        Ok("fence") => Control::NoFence,
        Ok("count") => Control::NoCount,
        Ok("order") => Control::NoOrder,
        _ => Control::Nothing,
    };
    let setup = Setup { control, ..HONEST };
    if let Ok(range) = std::env::var("DAGWOOD_SEEDS") {
        let (from, to) = range.split_once("..").expect("DAGWOOD_SEEDS=FROM..TO");
        let (tally, failure) = sweep(number(from)..number(to), setup);
        let _ = writeln!(std::io::stderr(), "{tally}");
        if let Some(failure) = failure {
            panic!("{failure}");
        }
        return;
    }
    let seed = std::env::var("DAGWOOD_SEED").map_or(0, |seed| number(&seed));
    match simulate(seed, Setup { loud: true, ..setup }) {
        Ok(tally) => {
            let _ = writeln!(std::io::stderr(), "{tally}");
        }
        Err(violation) => panic!("{}", Failure { seed, violation }),
    }
}
