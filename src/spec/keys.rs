//! The keys of the language, map by map: the one list that decoding, hints and the schema's test share.
//!
//! A key that is not alive is part of the language and is decoded, but this release does not run it: using it is an error. To
//! bring one to life is to change its word here, once everything behind it works.

/// A key of a map of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// Whether this release runs it.
    pub alive: bool,
}

/// A key that this release runs.
pub(crate) const fn alive(name: &'static str) -> Key {
    Key { name, alive: true }
}

/// A key that is only read.
pub(crate) const fn later(name: &'static str) -> Key {
    Key { name, alive: false }
}

/// Of a workflow.
pub const WORKFLOW: &[Key] = &[
    alive("version"),
    alive("name"),
    alive("description"),
    alive("labels"),
    alive("inputs"),
    alive("secrets"),
    alive("vars"),
    alive("defaults"),
    alive("concurrency"),
    alive("budget"),
    later("timeout"),
    later("failure_policy"),
    alive("steps"),
    later("finally"),
    alive("outputs"),
    later("schedule"),
    later("notify"),
];

/// Of an input, beside the words of JSON Schema.
pub const INPUT: &[Key] =
    &[alive("type"), alive("description"), alive("default"), alive("optional"), alive("secret"), alive("media")];

/// Of `defaults`.
pub const DEFAULTS: &[Key] =
    &[alive("provider"), alive("timeout"), alive("poll"), later("retry"), later("cache"), later("on_error")];

/// Of `concurrency` as a map.
pub const CONCURRENCY: &[Key] = &[alive("steps"), alive("group"), alive("on_conflict")];

/// Of `budget`.
pub const BUDGET: &[Key] = &[alive("credits"), alive("tokens")];

/// Of a step.
pub const STEP: &[Key] = &[
    alive("model"),
    alive("app"),
    alive("agent"),
    alive("pipeline"),
    later("workflow"),
    alive("set"),
    alive("http"),
    alive("provider"),
    alive("inputs"),
    alive("mode"),
    alive("scope"),
    alive("params"),
    alive("options"),
    alive("needs"),
    alive("when"),
    later("trigger"),
    later("foreach"),
    later("matrix"),
    later("max_parallel"),
    alive("timeout"),
    alive("poll"),
    later("retry"),
    later("fallback"),
    later("on_error"),
    later("cache"),
    alive("save"),
    later("expect"),
    alive("estimate"),
    alive("description"),
    alive("labels"),
];

/// The verbs among the keys of a step.
pub const VERBS: [&str; 7] = ["model", "app", "agent", "pipeline", "workflow", "set", "http"];

/// Of an entry of `fallback`.
pub const FALLBACK: &[Key] = &[
    alive("model"),
    alive("app"),
    alive("agent"),
    alive("pipeline"),
    alive("workflow"),
    alive("set"),
    alive("http"),
    alive("provider"),
    alive("inputs"),
    alive("params"),
];

/// Of `http`.
pub const HTTP: &[Key] = &[
    alive("method"),
    alive("url"),
    alive("headers"),
    alive("query"),
    alive("json"),
    alive("body"),
    alive("expect_status"),
];

/// Of `retry`.
pub const RETRY: &[Key] = &[alive("attempts"), alive("on"), alive("backoff")];

/// Of `retry.backoff`.
pub const BACKOFF: &[Key] = &[alive("initial"), alive("factor"), alive("max")];

/// Of `cache` as a map.
pub const CACHE: &[Key] = &[alive("ttl"), alive("key")];

/// Of `expect` as a map.
pub const EXPECT: &[Key] = &[alive("schema")];

/// Of `estimate`.
pub const ESTIMATE: &[Key] = &[alive("credits"), alive("seconds")];

/// Of an entry of `schedule`.
pub const SCHEDULE: &[Key] = &[alive("cron"), alive("timezone"), alive("inputs"), alive("catch_up"), alive("jitter")];

/// Of an entry of `notify`.
pub const NOTIFY: &[Key] = &[alive("on"), alive("url"), alive("format")];

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
