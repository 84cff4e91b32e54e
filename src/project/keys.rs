//! The keys of the project file, map by map: the one list that decoding, hints and the schema's test share. A key that is not alive would
//! be read and refused, like those of workflows; at present all are.

use super::Kind;
use crate::spec::keys::{Key, alive};

/// Of the file.
pub const PROJECT: &[Key] = &[
    alive("providers"),
    alive("secrets"),
    alive("env_file"),
    alive("state"),
    alive("artifacts"),
    alive("staging"),
    alive("contracts"),
];

/// Of an account of Armox.
pub const ARMOX: &[Key] = &[
    alive("kind"),
    alive("api_key"),
    alive("base_url"),
    alive("allow_http"),
    alive("requests_per_minute"),
    alive("burst"),
    alive("max_jobs"),
    alive("submit_timeout"),
    alive("budget_per_day"),
    alive("settle"),
    alive("settle_grace"),
];

/// Of an account of AIRMY.
pub const AIRMY: &[Key] = &[
    alive("kind"),
    alive("api_key"),
    alive("base_url"),
    alive("allow_http"),
    alive("requests_per_minute"),
    alive("burst"),
    alive("max_jobs"),
    alive("submit_timeout"),
    alive("budget_per_day"),
    alive("idempotency_header"),
    alive("input_wrapper"),
    alive("look_at_runs"),
    alive("status_words"),
];

/// Of an account of AIMP.
pub const AIMP: &[Key] = &[
    alive("kind"),
    alive("api_key"),
    alive("base_url"),
    alive("allow_http"),
    alive("requests_per_minute"),
    alive("burst"),
    alive("max_jobs"),
    alive("submit_timeout"),
    alive("budget_per_day"),
    alive("poll_path"),
    alive("output_path"),
    alive("media_ref_object"),
    alive("safe_to_repeat"),
    alive("status_words"),
];

/// Of `status_words`.
pub const STATUS_WORDS: &[Key] = &[alive("done"), alive("failed"), alive("cancelled")];

/// Returns the keys of an account of this system.
#[must_use]
pub fn of(kind: Kind) -> &'static [Key] {
    match kind {
        Kind::Armox => ARMOX,
        Kind::Airmy => AIRMY,
        Kind::Aimp => AIMP,
    }
}
