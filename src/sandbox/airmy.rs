//! AIRMY's skin: its routes, its rules and its texts, over the job machine that all skins share.
//!
//! The signatures are what `api` calls; until the skin is written, there is nothing behind them: 404 for all.

use jiff::Timestamp;
use serde_json::json;

use super::{
    Settings,
    emulator::{Call, Emulator, Outcome, Reply},
    faults::{Door, Effects},
    jobs::Job,
};

/// The path that all of the API lies under.
pub(super) const BASE: &str = "/v2";

/// What the skin keeps beside the jobs.
#[derive(Debug)]
pub(super) struct State {}

impl State {
    /// Begins with what the settings say.
    pub(super) fn new(_: &Settings) -> Self {
        Self {}
    }
}

/// Returns which door a call comes through, and the names of the agent or pipeline that it is about.
pub(super) fn door(_: &Emulator, _: &Call) -> (Option<Door>, Vec<String>) {
    (None, Vec::new())
}

/// Answers a call: key, rate, then what was asked for. `place` is the call's place in the log.
pub(super) fn serve(_: &mut Emulator, _: &Call, _: usize, effects: &Effects, _: Timestamp) -> Outcome {
    Outcome::Reply(error(404, "Not found", effects))
}

/// Answers a run that has waited for its job, which is over now.
pub(super) fn ended(_: &Emulator, _: &Job, effects: &Effects) -> Reply {
    error(404, "Not found", effects)
}

/// Returns an answer that says what is wrong, in the form that the API's document assumes.
pub(super) fn error(status: u16, message: &str, _: &Effects) -> Reply {
    let name = match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        422 => "Unprocessable Entity",
        429 => "Rate Limited",
        _ => "Internal Error",
    };
    Reply::json(status, json!({"error": {"code": status, "name": name, "message": message}}))
}
