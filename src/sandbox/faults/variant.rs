//! The forms that an answer may also have, as far as the APIs' documents say: what a client must be able to read. Which of them belong to
//! which API is in `dialects`.

use schemars::JsonSchema;
use serde::Deserialize;

/// A form that an answer may also have, as far as the API's documents say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    // Of AIRMY.
    /// A run or pipeline run that goes on is answered with 201.
    #[serde(rename = "asynchronous_201")]
    Asynchronous201,
    /// A run or pipeline run that goes on is answered with 200.
    #[serde(rename = "asynchronous_200")]
    Asynchronous200,
    /// A cancel is answered with 204 and no body.
    #[serde(rename = "cancel_204")]
    Cancel204,
    /// A cancel is answered with 202 and a run that is `cancelling`.
    #[serde(rename = "cancel_202")]
    Cancel202,
    /// A cancel is answered with 202, and the run goes on to its end.
    CancelWithoutEffect,
    /// A cancel of what is over is answered with 200 and the run.
    #[serde(rename = "late_cancel_200")]
    LateCancel200,
    /// A cancel of what is over is answered with 404.
    #[serde(rename = "late_cancel_404")]
    LateCancel404,
    /// A cancel of what is over is answered with 410.
    #[serde(rename = "late_cancel_410")]
    LateCancel410,
    /// A cancel of what is over is answered with 422.
    #[serde(rename = "late_cancel_422")]
    LateCancel422,
    /// A pipeline run cannot be cancelled: 404.
    #[serde(rename = "pipeline_cancel_404")]
    PipelineCancel404,
    /// Status words: `done`, `timed_out`, `aborted`, `pending`, `in_progress`.
    SynonymsDone,
    /// Status words: `success`, `expired`, `canceled`, `waiting`, `thinking`.
    SynonymsSuccess,
    /// Status words: `completed`, `errored`, `canceled`, and `timeout` for a run that failed with one.
    SynonymsErrored,
    /// Status words in upper case.
    StatusUpperCase,
    /// Why a run failed stands in `error` as text.
    ReasonAsText,
    /// Why a run failed stands in `error_message`.
    ReasonInErrorMessage,
    /// Why a run failed stands in `failure_reason`.
    ReasonInFailureReason,
    /// Why a run failed stands in `message`.
    ReasonInMessage,
    /// Why a run failed stands in `output.error`.
    ReasonInOutput,
    /// The output is a text.
    OutputText,
    /// The output is a list of texts.
    OutputTextList,
    /// The output is null.
    OutputNull,
    /// The output has `text` for `result`.
    OutputInText,
    /// The output has `answer` for `result`.
    OutputInAnswer,
    /// The output has `content` for `result`.
    OutputInContent,
    /// Errors are `{"detail": "…"}`.
    ErrorInDetail,
    /// Errors are `{"title": "…", "status": …}`.
    ErrorInTitle,
    /// Errors have no body.
    ErrorWithoutBody,
    /// Lists are under their own name: `agents`, `runs`.
    ListByName,
    /// Lists come in pages of two, the URL of the next one in `next`.
    PagedNext,
    /// Lists come in pages of two, the path of the next one in `next`.
    PagedNextPath,
    /// Lists come in pages of two, the next one by `cursor`, which is in `next_cursor`.
    PagedNextCursor,
    /// Lists come in pages of two, the next one by `page_token`, which is in `next_page_token`.
    PagedNextPageToken,
    /// The list of agents has them whole, with their schemas.
    ListedWhole,
    /// A repeated idempotency key is answered with 201 and the run.
    #[serde(rename = "repeat_201")]
    Repeat201,
    /// A repeated idempotency key is answered with 409 and the run.
    #[serde(rename = "repeat_409_with_run")]
    Repeat409WithRun,
    /// A repeated idempotency key is answered with 409 and the run's id.
    #[serde(rename = "repeat_409_with_id")]
    Repeat409WithId,
    /// A repeated idempotency key is answered with the run as it stands, also while it is under way.
    RepeatAtOnce,
    /// An idempotency key with another body is answered with 409.
    #[serde(rename = "other_body_409")]
    OtherBody409,
    /// Idempotency keys do not count for pipelines.
    TriggerForgetsKey,
    /// A pipeline takes its input as the bare body.
    TriggerBare,
    /// The id of a pipeline run is in `run_id`.
    TriggerRunId,
    /// The id of a pipeline run is in `pipeline_run_id`.
    TriggerPipelineRunId,
    /// The id of a pipeline run is in `run.id`.
    TriggerNested,
    /// Pipeline runs can be looked at like runs.
    PipelineRunsAsRuns,
    /// Runs, of agents and of pipelines, say with which `input` they were made.
    InputInRuns,
    /// An agent's schema is in `inputSchema`.
    SchemaCamelCase,
    /// An agent's schema is in `schema.input`.
    SchemaInSchema,
    /// An agent's schema is in `config.input_schema`.
    SchemaInConfig,
    /// An agent's schema is in `parameters`.
    SchemaInParameters,
    /// An agent's schema is a text for people.
    SchemaAsText,
    /// Agents publish no schema.
    NoSchema,
    /// The request's id is in `Request-Id`.
    RequestId,
    /// The request's id is in `CF-Ray`.
    CfRay,
    /// The request has no id.
    NoRequestId,
    /// Neither `tokens_used` nor `latency_ms`.
    NoUsage,
    /// `tokens_used` and `latency_ms` are null.
    NullUsage,

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
    /// A run that has its output has no `status`; in AIRMY, neither has one that is under way.
    NoStatus,
    /// Errors are `{"error": "…"}`.
    ErrorText,
    /// Errors are `{"message": "…"}`.
    ErrorMessage,
    /// Errors are `{"errors": […]}`, objects with `message` in it.
    ErrorList,
    /// Errors are `{"errors": ["…"]}`.
    ErrorTexts,
    /// Lists are under `items`.
    ListItems,
    /// Lists are bare arrays, and whole.
    ListArray,
    /// Lists always have another page.
    EndlessPages,
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
    /// A list has its entries under `data`.
    ListData,
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
    /// An error is an object with `message` under `error`.
    ErrorObject,
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
