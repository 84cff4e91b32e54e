//! What the fuzzer calls: one function for each target, from bytes to nothing, that panics where something is not as promised.
//!
//! ```text
//! fuzz_targets/TARGET.rs ──▶ TARGET::run ◀── tests/it/fuzz.rs, over corpus/TARGET and found/TARGET
//! ```
//!
//! The tests include this file, so that every input of the corpora and every input that once failed is run by `cargo test`, without the
//! fuzzer. So nothing in it may need the fuzzer, nothing may wait or reach a disk or a network, and equal bytes do equal work.

pub mod contracts;
pub mod durations;
mod offers;
pub mod plan;
pub mod reader;
pub mod templates;
pub mod workflows;

/// A target: its name, which is that of its folders, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 6] = [
    ("contracts", contracts::run),
    ("durations", durations::run),
    ("plan", plan::run),
    ("reader", reader::run),
    ("templates", templates::run),
    ("workflows", workflows::run),
];
