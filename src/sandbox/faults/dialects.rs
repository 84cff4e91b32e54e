//! Which variants mean something to which API, so that a suite can walk through all that a provider may meet.
//!
//! What must stay true: every variant is in at least one list.

use super::Variant;
use crate::sandbox::Api;

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

const AIRMY: &[Variant] = &[
    Variant::Asynchronous201,
    Variant::Asynchronous200,
    Variant::Cancel204,
    Variant::Cancel202,
    Variant::CancelWithoutEffect,
    Variant::LateCancel200,
    Variant::LateCancel404,
    Variant::LateCancel410,
    Variant::LateCancel422,
    Variant::PipelineCancel404,
    Variant::SynonymsDone,
    Variant::SynonymsSuccess,
    Variant::SynonymsErrored,
    Variant::StatusUpperCase,
    Variant::NoStatus,
    Variant::ReasonAsText,
    Variant::ReasonInErrorMessage,
    Variant::ReasonInFailureReason,
    Variant::ReasonInMessage,
    Variant::ReasonInOutput,
    Variant::OutputText,
    Variant::OutputTextList,
    Variant::OutputNull,
    Variant::OutputInText,
    Variant::OutputInAnswer,
    Variant::OutputInContent,
    Variant::ErrorText,
    Variant::ErrorMessage,
    Variant::ErrorInDetail,
    Variant::ErrorInTitle,
    Variant::ErrorList,
    Variant::ErrorTexts,
    Variant::ErrorWithoutBody,
    Variant::ListItems,
    Variant::ListByName,
    Variant::ListArray,
    Variant::PagedNext,
    Variant::PagedNextPath,
    Variant::PagedNextCursor,
    Variant::PagedNextPageToken,
    Variant::EndlessPages,
    Variant::ListedWhole,
    Variant::Repeat201,
    Variant::Repeat409WithRun,
    Variant::Repeat409WithId,
    Variant::RepeatAtOnce,
    Variant::OtherBody409,
    Variant::TriggerForgetsKey,
    Variant::TriggerBare,
    Variant::TriggerRunId,
    Variant::TriggerPipelineRunId,
    Variant::TriggerNested,
    Variant::PipelineRunsAsRuns,
    Variant::InputInRuns,
    Variant::SchemaCamelCase,
    Variant::SchemaInSchema,
    Variant::SchemaInConfig,
    Variant::SchemaInParameters,
    Variant::SchemaAsText,
    Variant::NoSchema,
    Variant::RequestId,
    Variant::CfRay,
    Variant::NoRequestId,
    Variant::NoUsage,
    Variant::NullUsage,
    Variant::Asynchronous,
    Variant::Synchronous,
    Variant::Synonyms,
    Variant::BadTimes,
    Variant::Nulls,
];

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
