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
    /// A run has its output under `outputs`.
    OutputsKey,
    /// A run has its output under `result`.
    ResultKey,
    /// A run has its output under `results`.
    ResultsKey,
    /// A run has its output under `data.output`.
    DataOutput,
    /// A run has its output under `data.result`.
    DataResult,
    /// A run has its output under `data`.
    DataKey,
    /// The whole body of a completed run is its output.
    WholeBody,
    /// A run has its id under `run_id` alone.
    RunIdOnly,
    /// A run has its id under `runId` alone.
    CamelRunId,
    /// A run has its id under `data.id` alone.
    DataId,
    /// A run has no id.
    NoId,
    /// A run has its status under `state`.
    StateKey,
    /// A completed run has no status.
    NoStatus,
    /// What is done is answered with 201.
    Created,
    /// The `error` of a failed run is a text.
    FailureText,
    /// The `error` of a failed run is an object with `detail`.
    FailureDetail,
    /// A run has its cost under `cost`.
    CostOnTop,
    /// A run has its cost under `billing.cost`.
    CostInBilling,
    /// Money is a number for a text.
    MoneyAsNumber,
    /// A run has no cost.
    NoCost,
    /// A 202 says by `Location` where to look, and the run is nowhere else.
    LocationHeader,
    /// A 202 says by `links.self` where to look, and the run is nowhere else.
    LinksSelf,
    /// A 202 says by `status_url` where to look, and the run is nowhere else.
    StatusUrl,
    /// A 202 has a `status_url` on another origin, where no key must go.
    ForeignStatusUrl,
    /// A 202 has a `Location` and no body, and the run is nowhere else.
    #[serde(rename = "empty_202")]
    Empty202,
    /// A look at a run that goes on is answered with 202.
    #[serde(rename = "looks_202")]
    Looks202,
    /// A list is a bare array, and whole.
    ListArray,
    /// A list has its entries under `data`.
    ListData,
    /// A list has its entries under `items`.
    ListItems,
    /// A list of models has its entries under `models`.
    ListModels,
    /// The `next` of a list is a path.
    NextRelative,
    /// A list has `page` and `total_pages` for `next`.
    PageNumbers,
    /// A list has `next_cursor` for `next`.
    CursorPages,
    /// The `next` of a list is on another origin, where no key must go.
    ForeignNext,
    /// A list always has another page.
    EndlessPages,
    /// A model's operations stand under `contract.operations`.
    ContractOperations,
    /// A model's operations stand under `modes`.
    TopModes,
    /// A model's operations stand under `operations`.
    TopOperations,
    /// A model's operations are a list with `name`.
    ModeList,
    /// A model's operations are a list with `mode`.
    ModeListByMode,
    /// A model has the schemas of its only operation, as its own.
    FlatSchemas,
    /// A model's detail stands under `data`.
    DetailInData,
    /// A model's detail stands under `model`.
    DetailInModel,
    /// Schemas stand under `inputSchema` and `paramsSchema`.
    CamelSchemas,
    /// Schemas stand under `input` and `params`.
    InputKey,
    /// The schema of the input stands under `schema`.
    SchemaKey,
    /// That an operation needs a scope is said by `vector`.
    VectorKey,
    /// That an operation needs a scope is said by `vector_enabled`.
    VectorEnabledKey,
    /// That an operation needs a scope is said nowhere.
    NoVectorFlag,
    /// No model publishes a contract.
    NoContract,
    /// An `upload_url` is a path.
    RelativeUploadUrl,
    /// An upload is a POST, and says so by `method`.
    UploadMethod,
    /// An upload is a POST, and only the 405 to a PUT says so.
    UploadPost,
    /// An upload wants `headers` of its own.
    UploadHeaders,
    /// An upload is a form: POST, with `fields` first.
    UploadForm,
    /// The first `upload_url` has expired: 403.
    UploadExpired,
    /// The bytes of an upload are answered with 201.
    UploadCreated,
    /// The bytes of an upload are answered with 204.
    UploadNoContent,
    /// The first upload to be completed has lost its bytes.
    NotUploaded,
    /// A reference stands under `data.media_ref`.
    RefInData,
    /// A reference stands under `media.ref`.
    RefInMedia,
    /// A reference stands under `ref`.
    RefKey,
    /// Media in inputs are objects with `media_ref`, and contracts say so.
    MediaObjects,
    /// The references of the first run with media are no longer known.
    MediaForgotten,
    /// An error is a text under `error`.
    ErrorText,
    /// An error is an object with `message` under `error`.
    ErrorObject,
    /// An error is a text under `message`.
    ErrorMessage,
    /// An error is a list of objects with `field` and `message` under `errors`.
    ErrorList,
    /// An error is a list of texts under `errors`.
    ErrorTexts,
    /// An error is a map from fields to texts under `errors`.
    ErrorFields,
    /// An error is a list of objects with `loc` and `msg` under `detail`.
    DetailList,
    /// An error is a page.
    HtmlErrors,
    /// The wallet is not active, and pays for nothing.
    WalletSuspended,
    /// Wallet and usage stand under `data`.
    AccountInData,
    /// A path without a slash at its end is sent to the one with it: 301.
    #[serde(rename = "slash_301")]
    Slash301,
    /// A path without a slash at its end is sent to the one with it: 308.
    #[serde(rename = "slash_308")]
    Slash308,
    /// A read is sent to another origin, where no key must go: 307.
    ForeignRedirect,
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

const AIMP: &[Variant] = &[
    Variant::Minimal202,
    Variant::Asynchronous,
    Variant::Synchronous,
    Variant::FailureAsError,
    Variant::Synonyms,
    Variant::ResetAsSpan,
    Variant::NoRate,
    Variant::OutputsKey,
    Variant::ResultKey,
    Variant::ResultsKey,
    Variant::DataOutput,
    Variant::DataResult,
    Variant::DataKey,
    Variant::WholeBody,
    Variant::RunIdOnly,
    Variant::CamelRunId,
    Variant::DataId,
    Variant::NoId,
    Variant::StateKey,
    Variant::NoStatus,
    Variant::Created,
    Variant::FailureText,
    Variant::FailureDetail,
    Variant::CostOnTop,
    Variant::CostInBilling,
    Variant::MoneyAsNumber,
    Variant::NoCost,
    Variant::LocationHeader,
    Variant::LinksSelf,
    Variant::StatusUrl,
    Variant::ForeignStatusUrl,
    Variant::Empty202,
    Variant::Looks202,
    Variant::ListArray,
    Variant::ListData,
    Variant::ListItems,
    Variant::ListModels,
    Variant::NextRelative,
    Variant::PageNumbers,
    Variant::CursorPages,
    Variant::ForeignNext,
    Variant::EndlessPages,
    Variant::ContractOperations,
    Variant::TopModes,
    Variant::TopOperations,
    Variant::ModeList,
    Variant::ModeListByMode,
    Variant::FlatSchemas,
    Variant::DetailInData,
    Variant::DetailInModel,
    Variant::CamelSchemas,
    Variant::InputKey,
    Variant::SchemaKey,
    Variant::VectorKey,
    Variant::VectorEnabledKey,
    Variant::NoVectorFlag,
    Variant::NoContract,
    Variant::RelativeUploadUrl,
    Variant::UploadMethod,
    Variant::UploadPost,
    Variant::UploadHeaders,
    Variant::UploadForm,
    Variant::UploadExpired,
    Variant::UploadCreated,
    Variant::UploadNoContent,
    Variant::NotUploaded,
    Variant::RefInData,
    Variant::RefInMedia,
    Variant::RefKey,
    Variant::MediaObjects,
    Variant::MediaForgotten,
    Variant::ErrorText,
    Variant::ErrorObject,
    Variant::ErrorMessage,
    Variant::ErrorList,
    Variant::ErrorTexts,
    Variant::ErrorFields,
    Variant::DetailList,
    Variant::HtmlErrors,
    Variant::WalletSuspended,
    Variant::AccountInData,
    Variant::Slash301,
    Variant::Slash308,
    Variant::ForeignRedirect,
];

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
