//! Runs that stop and go on, are ended by others, or are made in parts: the real binary from outside, against an emulator.
//!
//! One idea a file. What counts each time is what the emulator has got: a job that was sent is paid for.

mod budget;
mod cancel;
mod changed;
mod fence;
mod files;
mod groups;
mod onward;
mod owner;
mod partial;
mod partial_parts;
mod requests;
mod sandbox;
mod secrets;
mod unknown;
mod unknown_parts;

use dagwood::{job::JobState, sandbox::Sandbox};
use serde_json::Value;

use crate::cli::Scene;

/// The model of the picture, and that of the caption, in the workflow `launch`.
const PICTURE: &str = "google/nano-banana";
const CAPTION: &str = "openai/gpt-5-mini";

/// Returns what the emulator's jobs run, in the order of their acceptance.
fn accepted(sandbox: &Sandbox) -> Vec<String> {
    sandbox.jobs().into_iter().map(|job| job.target.id).collect()
}

/// Returns how the emulator's jobs stand.
fn states(sandbox: &Sandbox) -> Vec<JobState> {
    sandbox.jobs().into_iter().map(|job| job.state).collect()
}

/// Counts the requests that could have made a job.
fn submits(sandbox: &Sandbox) -> usize {
    sandbox.log().iter().filter(|request| request.method == "POST" && request.path.ends_with("/run")).count()
}

/// Returns the last run as `show` has it.
fn last(scene: &Scene) -> Value {
    scene.run(&["show", "last", "--format", "json"]).json()
}

/// Counts the events of the last run.
fn events(scene: &Scene) -> usize {
    scene.run(&["logs", "last", "--format", "json"]).json().as_array().map_or(0, Vec::len)
}
