//! The keys of the language, map by map: the one list that decoding, hints and the schema's test share.

/// A key of a map of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
}

/// Builds a key.
pub(crate) const fn key(name: &'static str) -> Key {
    Key { name }
}

/// Of a workflow.
pub const WORKFLOW: &[Key] = &[
    key("version"),
    key("name"),
    key("description"),
    key("labels"),
    key("inputs"),
    key("secrets"),
    key("vars"),
    key("defaults"),
    key("concurrency"),
    key("budget"),
    key("timeout"),
    key("failure_policy"),
    key("steps"),
    key("finally"),
    key("outputs"),
    key("schedule"),
    key("notify"),
];

/// Of an input, beside the words of JSON Schema.
pub const INPUT: &[Key] =
    &[key("type"), key("description"), key("default"), key("optional"), key("secret"), key("media")];

/// Of `defaults`.
pub const DEFAULTS: &[Key] =
    &[key("provider"), key("timeout"), key("poll"), key("retry"), key("cache"), key("on_error")];

/// Of `concurrency` as a map.
pub const CONCURRENCY: &[Key] = &[key("steps"), key("group"), key("on_conflict")];

/// Of `budget`.
pub const BUDGET: &[Key] = &[key("credits"), key("tokens")];

/// Of a step.
pub const STEP: &[Key] = &[
    key("model"),
    key("app"),
    key("agent"),
    key("pipeline"),
    key("workflow"),
    key("set"),
    key("http"),
    key("provider"),
    key("inputs"),
    key("mode"),
    key("scope"),
    key("params"),
    key("options"),
    key("needs"),
    key("when"),
    key("trigger"),
    key("foreach"),
    key("matrix"),
    key("max_parallel"),
    key("timeout"),
    key("poll"),
    key("retry"),
    key("fallback"),
    key("on_error"),
    key("cache"),
    key("save"),
    key("expect"),
    key("estimate"),
    key("description"),
    key("labels"),
];

/// The verbs among the keys of a step.
pub const VERBS: [&str; 7] = ["model", "app", "agent", "pipeline", "workflow", "set", "http"];

/// Of an entry of `fallback`.
pub const FALLBACK: &[Key] = &[
    key("model"),
    key("app"),
    key("agent"),
    key("pipeline"),
    key("workflow"),
    key("set"),
    key("http"),
    key("provider"),
    key("inputs"),
    key("params"),
];

/// Of `http`.
pub const HTTP: &[Key] =
    &[key("method"), key("url"), key("headers"), key("query"), key("json"), key("body"), key("expect_status")];

/// Of `retry`.
pub const RETRY: &[Key] = &[key("attempts"), key("on"), key("backoff")];

/// Of `retry.backoff`.
pub const BACKOFF: &[Key] = &[key("initial"), key("factor"), key("max")];

/// Of `cache` as a map.
pub const CACHE: &[Key] = &[key("ttl"), key("key")];

/// Of `expect` as a map.
pub const EXPECT: &[Key] = &[key("schema")];

/// Of `estimate`.
pub const ESTIMATE: &[Key] = &[key("credits"), key("seconds")];

/// Of an entry of `schedule`.
pub const SCHEDULE: &[Key] = &[key("cron"), key("timezone"), key("inputs"), key("catch_up"), key("jitter")];

/// Of an entry of `notify`.
pub const NOTIFY: &[Key] = &[key("on"), key("url"), key("format")];

/// The words of JSON Schema (2020-12) that the declaration of an input may use.
pub const SCHEMA_WORDS: &[&str] = &[
    "title",
    "examples",
    "enum",
    "const",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "items",
    "prefixItems",
    "contains",
    "minContains",
    "maxContains",
    "minItems",
    "maxItems",
    "uniqueItems",
    "properties",
    "required",
    "additionalProperties",
    "patternProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedItems",
    "unevaluatedProperties",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "$defs",
    "$ref",
    "$comment",
    "$schema",
    "$id",
    "$anchor",
    "contentEncoding",
    "contentMediaType",
    "deprecated",
    "readOnly",
    "writeOnly",
];

/// The words that a schema within the declaration of an input has besides: those that an input has keys of the same name for.
pub const WITHIN_SCHEMA: &[&str] = &["type", "description", "default"];

/// The words of JSON Schema that hold a schema.
pub const HOLD_A_SCHEMA: &[&str] = &[
    "items",
    "contains",
    "additionalProperties",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "not",
    "if",
    "then",
    "else",
];

/// The words of JSON Schema that hold a map of schemas, by names of its writer's own.
pub const HOLD_SCHEMAS_BY_NAME: &[&str] = &["properties", "patternProperties", "dependentSchemas", "$defs"];

/// The words of JSON Schema that hold a list of schemas.
pub const HOLD_A_LIST_OF_SCHEMAS: &[&str] = &["prefixItems", "allOf", "anyOf", "oneOf"];
