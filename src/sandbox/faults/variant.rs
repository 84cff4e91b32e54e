//! The forms that an answer may also have, as far as the APIs' documents say: what a client must be able to read.
//!
//! Each API has a list of its own, so that a suite can walk through all that a provider may meet. What must stay true: every variant is in
//! at least one list.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::sandbox::Api;

/// A form that an answer may also have, as far as the API's documents say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    // Of Armox.
    /// A finished model run has `output_data` for `output`.
    OutputData,
    /// A job has `output` for `output_data`.
    OutputInJob,
    /// An app's `node_outputs` stand at the level of the job.
    FlatNodeOutputs,
    /// Outputs are objects with `type` and `url`.
    OutputObjects,
    /// Outputs are lists, under plural names.
    OutputLists,
    /// A 202 has only the job's id.
    #[serde(rename = "minimal_202")]
    Minimal202,
    /// A job that goes on as a rule ends within the request.
    Synchronous,
    /// A run that fails within the request is a 500.
    FailureAsError,
    /// `credits_charged` is absent.
    NoCredits,
    /// Times have no fraction.
    WholeSeconds,
    /// Jobs do not echo their inputs.
    NoEcho,
    /// Jobs echo the defaults beside what was sent.
    DefaultsInEcho,
    /// Jobs are listed the oldest first.
    OldestFirst,
    /// A limit outside 1 to 100 is clamped.
    ClampLimit,
    /// The options of settings are objects with `value` and `label`.
    OptionObjects,
    /// Settings have no options and ranges.
    NoOptions,
    /// Inputs of apps have only `id`, `label` and `required`.
    OldInputs,
    /// What may be absent in lists is null.
    Nulls,

    // Of more than one API.
    /// A run that ends within the request as a rule is accepted first (202).
    Asynchronous,
    /// Times cannot be read.
    BadTimes,
    /// Status words that mean the same: `succeeded`, `canceled`, `error` and the like.
    Synonyms,
    /// `X-RateLimit-Reset` is a span for a point in time.
    ResetAsSpan,
    /// No `X-RateLimit-*`.
    NoRate,
    /// `Retry-After` is an HTTP date.
    RetryAfterDate,
    /// `Retry-After` is 0.
    RetryAfterZero,
    /// No `Retry-After`.
    NoRetryAfter,
    /// No `Date`.
    NoDate,
    // Of AIMP.
}

/// What an API of which nothing is known may do.
const HEADERS: &[Variant] = &[Variant::RetryAfterDate, Variant::RetryAfterZero, Variant::NoRetryAfter, Variant::NoDate];

const ARMOX: &[Variant] = &[
    Variant::OutputData,
    Variant::OutputInJob,
    Variant::FlatNodeOutputs,
    Variant::OutputObjects,
    Variant::OutputLists,
    Variant::Minimal202,
    Variant::Synchronous,
    Variant::FailureAsError,
    Variant::NoCredits,
    Variant::WholeSeconds,
    Variant::NoEcho,
    Variant::DefaultsInEcho,
    Variant::OldestFirst,
    Variant::ClampLimit,
    Variant::OptionObjects,
    Variant::NoOptions,
    Variant::OldInputs,
    Variant::Nulls,
    Variant::Asynchronous,
    Variant::BadTimes,
    Variant::Synonyms,
    Variant::ResetAsSpan,
    Variant::NoRate,
];

const AIRMY: &[Variant] = &[];

const AIMP: &[Variant] = &[];

impl Variant {
    /// Returns the variants that mean something to an API.
    pub fn of(api: Api) -> impl Iterator<Item = Self> {
        let own = match api {
            Api::Armox => ARMOX,
            Api::Airmy => AIRMY,
            Api::Aimp => AIMP,
        };
        own.iter().chain(HEADERS).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::sandbox::FaultScript;

    #[test]
    fn every_variant_belongs_to_an_api() {
        let schema = FaultScript::schema();
        let all = &schema["$defs"]["Variant"]["oneOf"];
        let words = all.as_array().expect("the variants").iter().filter_map(|word| word["const"].as_str());
        let all: BTreeSet<Variant> =
            words.map(|word| serde_json::from_value(word.into()).expect("a variant")).collect();
        let listed: BTreeSet<Variant> = Api::ALL.into_iter().flat_map(Variant::of).collect();
        assert_eq!(all, listed);
        for api in Api::ALL {
            let mut once = BTreeSet::new();
            assert!(Variant::of(api).all(|variant| once.insert(variant)), "{api} has one twice");
        }
    }
}
