//! The simulator: the real driver, `decide`, fold and journal, on random workflows, before a server that is as unkind as the documents
//! allow, under virtual time. Everything comes from one seed.

mod checks;
mod dag;
mod random;
mod schedule;
mod server;

use std::{fmt, io::Write as _, ops::Range, time::Duration};

use jiff::SignedDuration;

use self::{
    dag::Dag,
    random::Random,
    schedule::{Schedule, play},
    server::{Foreign, Nature, Promise},
};

/// What is taken away from the engine, so that the checks can show that they find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    Nothing,
}

/// What does not hold.
#[derive(Debug)]
pub(crate) struct Violation {
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
        write!(f, "not so: {}\n  {}", self.what, self.how)
    }
}

/// Simulates what a seed says.
fn simulate(seed: u64, control: Control) -> Result<(), Violation> {
    let mut random = Random::new(seed);
    let providers = if random.percent(75) { 1 } else { 2 };
    let dag = Dag::new(&mut random.branch(), providers);
    let natures: Vec<_> = dag.providers.iter().map(|alias| nature(&mut random, alias, &dag)).collect();
    let mut branch = random.branch();
    let calm = play(&dag, &natures, &Schedule::calm(), &mut branch, control)?;
    checks::story(&dag, &Schedule::calm(), &calm.state, &calm)?;
    let mut schedule = Schedule::random(&mut random, calm.records.len() as u64);
    schedule.lives = vec![schedule.lives.pop().expect("one")];
    let story = play(&dag, &natures, &schedule, &mut branch, control)?;
    checks::story(&dag, &schedule, &calm.state, &story)
}

fn nature(random: &mut Random, alias: &str, dag: &Dag) -> Nature {
    Nature {
        alias: alias.to_owned(),
        promise: *random.pick(&[Promise::SameKey, Promise::List, Promise::List, Promise::Nothing]),
        models: dag.models.clone(),
        key_life: Duration::from_secs(3_900) + random.milliseconds(0, 7_200_000),
        tells_time: random.percent(80),
        skew: SignedDuration::from_millis(i64::try_from(random.below(480_000)).expect("small") - 240_000),
        listing: *random.pick(&[Duration::ZERO, Duration::from_secs(2), Duration::from_secs(5)]),
        hidden: *random.pick(&[Duration::ZERO, Duration::from_millis(600)]),
        foreign: *random.pick(&[Foreign::None, Foreign::None, Foreign::Others, Foreign::Others, Foreign::Twins, Foreign::Flood]),
    }
}

fn sweep(seeds: Range<u64>) {
    for seed in seeds {
        if let Err(violation) = simulate(seed, Control::Nothing) {
            let _ = writeln!(std::io::stderr(), "seed {seed}: {violation}");
        }
    }
}

#[test]
fn two_thousand_seeds() {
    sweep(0..200);
}
#[test]
fn only_plans() {
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let _ = Dag::new(&mut random.branch(), 1);
    }
}
