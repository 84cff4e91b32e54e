//! The APIs that the emulator speaks, and the way from a path to the skin behind it.
//!
//! ```text
//! /api/v1/… ─▶ armox        /v2/… ─▶ airmy        /api/… ─▶ aimp        /files/… ─▶ outputs, and what aimp keeps
//! ```
//!
//! What AIMP keeps below `/files/` is chosen in `emulator`. A skin is four functions, and this is the only place that chooses between them: `door` says what a call is about, `serve` answers
//! it, `ended` answers once the job that a request waits for is over, `error` writes what is wrong in the API's own form. All skins are on
//! one origin, since a client must be told where an API is, and not that it has a host of its own.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    AIMP_KEY, AIRMY_KEY, KEY, aimp, airmy, armox,
    emulator::{Call, Emulator, Outcome, Reply},
    faults::{Door, Effects},
    jobs::Job,
};

/// The path that all files lie under, outputs and what was uploaded.
pub(super) const FILES: &str = "/files/";

/// An API that the emulator speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// Armox: models and apps, paid in credits.
    Armox,
    /// AIRMY: agents and pipelines.
    Airmy,
    /// AIMP: models behind a gateway.
    Aimp,
}

impl Api {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Armox, Self::Airmy, Self::Aimp];

    /// Returns the path that all of the API lies under.
    #[must_use]
    pub fn base(self) -> &'static str {
        match self {
            Self::Armox => armox::BASE,
            Self::Airmy => airmy::BASE,
            Self::Aimp => aimp::BASE,
        }
    }

    /// Returns the key that the API takes, unless the emulator is told another.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Armox => KEY,
            Self::Airmy => AIRMY_KEY,
            Self::Aimp => AIMP_KEY,
        }
    }

    /// Returns the API that a path belongs to; none for files, and for what lies under no API.
    #[must_use]
    pub fn of(path: &str) -> Option<Self> {
        // Armox lies below AIMP's path, so it is asked first.
        Self::ALL.into_iter().find(|api| {
            let rest = path.strip_prefix(api.base());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// Returns which door a call comes through, and the names of what it is about.
    pub(super) fn door(self, emulator: &Emulator, call: &Call) -> (Option<Door>, Vec<String>) {
        match self {
            Self::Armox => armox::door(emulator, call),
            Self::Airmy => airmy::door(emulator, call),
            Self::Aimp => aimp::door(emulator, call),
        }
    }

    /// Answers a call. `place` is its place in the log.
    pub(super) fn serve(
        self,
        emulator: &mut Emulator,
        call: &Call,
        place: usize,
        effects: &Effects,
        now: Timestamp,
    ) -> Outcome {
        match self {
            Self::Armox => armox::serve(emulator, call, place, effects, now),
            Self::Airmy => airmy::serve(emulator, call, place, effects, now),
            Self::Aimp => aimp::serve(emulator, call, place, effects, now),
        }
    }

    /// Answers a request that has waited for its job, which is over now.
    pub(super) fn ended(self, emulator: &Emulator, job: &Job, effects: &Effects) -> Reply {
        match self {
            Self::Armox => armox::ended(job, &emulator.origin, effects),
            Self::Airmy => airmy::ended(emulator, job, effects),
            Self::Aimp => aimp::ended(emulator, job, effects),
        }
    }

    /// Returns an answer that says what is wrong, in the API's own form.
    pub(super) fn error(self, status: u16, message: &str, effects: &Effects) -> Reply {
        match self {
            Self::Armox => Reply::error(status, message),
            Self::Airmy => airmy::error(status, message, effects),
            Self::Aimp => aimp::error(status, message, effects),
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Armox => "Armox",
            Self::Airmy => "AIRMY",
            Self::Aimp => "AIMP",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_which_api_is_asked() {
        for (path, api) in [
            ("/api/v1", Some(Api::Armox)),
            ("/api/v1/models", Some(Api::Armox)),
            ("/api/v1x", Some(Api::Aimp)),
            ("/api/runs", Some(Api::Aimp)),
            ("/api", Some(Api::Aimp)),
            ("/v2/runs", Some(Api::Airmy)),
            ("/v20/runs", None),
            ("/files/a/b/0.png", None),
            ("/", None),
        ] {
            assert_eq!(Api::of(path), api, "{path}");
        }
    }
}
