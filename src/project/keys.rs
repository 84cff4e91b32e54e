//! The keys of the project file, map by map: the one list that decoding, hints and the schema's test share.

use super::Kind;
use crate::spec::keys::{Key, key};

/// Of the file.
pub const PROJECT: &[Key] = &[
    key("providers"),
    key("secrets"),
    key("env_file"),
    key("state"),
    key("artifacts"),
    key("staging"),
    key("contracts"),
];

/// Of an account of Armox.
pub const ARMOX: &[Key] = &[
    key("kind"),
    key("api_key"),
    key("base_url"),
    key("allow_http"),
    key("requests_per_minute"),
    key("burst"),
    key("max_jobs"),
    key("submit_timeout"),
    key("budget_per_day"),
    key("settle"),
    key("settle_grace"),
];

/// Of an account of AIRMY.
pub const AIRMY: &[Key] = &[
    key("kind"),
    key("api_key"),
    key("base_url"),
    key("allow_http"),
    key("requests_per_minute"),
    key("burst"),
    key("max_jobs"),
    key("submit_timeout"),
    key("budget_per_day"),
    key("idempotency_header"),
    key("input_wrapper"),
    key("look_at_runs"),
    key("status_words"),
];

/// Of an account of AIMP.
pub const AIMP: &[Key] = &[
    key("kind"),
    key("api_key"),
    key("base_url"),
    key("allow_http"),
    key("requests_per_minute"),
    key("burst"),
    key("max_jobs"),
    key("submit_timeout"),
    key("budget_per_day"),
    key("poll_path"),
    key("output_path"),
    key("media_ref_object"),
    key("safe_to_repeat"),
    key("status_words"),
];

/// Of `status_words`.
pub const STATUS_WORDS: &[Key] = &[key("done"), key("failed"), key("cancelled")];

/// Returns the keys of an account of this system.
#[must_use]
pub fn of(kind: Kind) -> &'static [Key] {
    match kind {
        Kind::Armox => ARMOX,
        Kind::Airmy => AIRMY,
        Kind::Aimp => AIMP,
    }
}
