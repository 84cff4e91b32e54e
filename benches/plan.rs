//! How long a plan takes as workflows grow: `cargo bench --bench plan`.
//!
//! Reading, checking and ordering a chain of 1,000, 4,000 and 16,000 steps, in microseconds for each step: work for each step must not grow
//! with the workflow. The figures are compared within one process; the bench fails where the largest is more than twice the smallest,
//! which quadratic work would pass by far, and what a larger heap costs does not reach.

#![expect(clippy::print_stdout, reason = "a bench reports on standard output")]

mod shared;

use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use dagwood::{
    plan::{Given, plan},
    source::Source,
    spec,
};

/// The sizes of workflows.
const SIZES: [usize; 3] = [1_000, 4_000, 16_000];

/// How many plans of a size are made; the best counts, since a machine only ever takes time away.
const ROUNDS: usize = 3;

/// By how much the figures may differ.
const FLAT: f64 = 2.0;

fn main() {
    let figures = SIZES.map(|size| {
        let text = chain(size);
        let best = (0..ROUNDS).map(|_| planned(&text, size)).min().expect("there are rounds");
        let each = best.as_secs_f64() * 1e6 / f64::from(u32::try_from(size).expect("a size is small"));
        println!("{size:>6} steps   {each:>7.1} µs a step");
        each
    });
    let least = figures.iter().copied().fold(f64::INFINITY, f64::min);
    let most = figures.iter().copied().fold(0.0, f64::max);
    assert!(most <= least * FLAT, "work for each step grows with the workflow");
}

fn chain(count: usize) -> String {
    let mut text = "steps:\n  s0: { model: m, inputs: { prompt: first } }\n".to_owned();
    for n in 1..count {
        let before = n - 1;
        writeln!(text, "  s{n}: {{ model: m, inputs: {{ prompt: '{n} after {{{{ steps.s{before}.text }}}}' }} }}")
            .expect("a string grows");
    }
    text
}

/// Makes a plan of a text, and returns how long that took.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn planned(text: &str, steps: usize) -> Duration {
    let offer = shared::offer();
    let began = Instant::now();
    let (document, diagnostics) = spec::load(Arc::new(Source::new("bench.yaml", text)), "bench");
    let document = Arc::new(document.unwrap_or_else(|| panic!("{diagnostics:#?}")));
    let outcome = plan(&document, Some(&Given::default()), &[offer]);
    let took = began.elapsed();
    assert_eq!(outcome.plan.unwrap_or_else(|| panic!("{:#?}", outcome.diagnostics)).steps().len(), steps);
    took
}
