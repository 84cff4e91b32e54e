//! AIMP's skin: its routes, its rules and its texts, over the job machine that all skins share.
//!
//! The signatures are what `api` and `emulator` call; until the skin is written, there is nothing behind them: 404 for all.

use jiff::Timestamp;
use serde_json::json;

use super::{
    Settings,
    emulator::{Call, Emulator, Outcome, Reply},
    faults::{Door, Effects},
    jobs::Job,
};

/// The path that all of the API lies under.
pub(super) const BASE: &str = "/api";

/// What the skin keeps beside the jobs: its models, its rate, uploads and staged files.
#[derive(Debug)]
pub(super) struct State {}

impl State {
    /// Begins with what the settings say.
    pub(super) fn new(_: &Settings) -> Self {
        Self {}
    }
}

/// Returns which door a call below [`BASE`] comes through, and the names of the model that it is about.
pub(super) fn door(_: &Emulator, _: &Call) -> (Option<Door>, Vec<String>) {
    (None, Vec::new())
}

/// Answers a call below [`BASE`]: key, rate, then what was asked for. `place` is the call's place in the log: where a job is
/// accepted, its id belongs into `emulator.logged(place)`.
pub(super) fn serve(_: &mut Emulator, _: &Call, _: usize, effects: &Effects, _: Timestamp) -> Outcome {
    Outcome::Reply(error(404, "Not found", effects))
}

/// Answers a run that has waited for its job ([`Outcome::Wait`]), which is over now.
pub(super) fn ended(_: &Emulator, _: &Job, effects: &Effects) -> Reply {
    error(404, "Not found", effects)
}

/// Returns an answer that says what is wrong, in the form that the API's document assumes.
pub(super) fn error(status: u16, message: &str, _: &Effects) -> Reply {
    let code = match status {
        401 => "unauthorized",
        402 => "payment_required",
        403 => "forbidden",
        404 => "not_found",
        409 => "conflict",
        429 => "rate_limited",
        500.. => "upstream_failure",
        _ => "invalid_request",
    };
    Reply::json(status, json!({"detail": message, "code": code}))
}

/// Returns the door of a call below `/files/` that is about something which the skin keeps there (an upload, a staged file), with the names
/// of what it is about; none where it keeps no such file, and the path is one of an output.
pub(super) fn file_door(_: &Emulator, _: &Call) -> Option<(Door, Vec<String>)> {
    None
}

/// Answers a call below `/files/` for which [`file_door`] has a door, whatever its method. `call.bytes` are the bytes that were sent.
pub(super) fn file(_: &mut Emulator, _: &Call, effects: &Effects, _: Timestamp) -> Reply {
    error(404, "Not found", effects)
}
