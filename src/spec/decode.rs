//! From a value to a [`Workflow`]: every key known, every value of its kind, all that is wrong told at once.
//!
//! Decoding never stops. A wrong value is told and then taken for absent; a misspelt key is told and then taken for nothing but
//! keeps its likely meaning from being missed; so one mistake is one diagnostic, and the stages behind still see the rest of
//! the file. Shapes are all that is judged here: names that refer to something are `check`'s and `plan`'s.

mod input;
mod parts;
mod step;
mod value;

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Value};

pub(crate) use self::value::{Fields, describe, list};
use super::{
    keys,
    workflow::{Concurrency, Defaults, FailurePolicy, OnConflict, Workflow},
};
use crate::{
    diagnostic::{Code, Diagnostic},
    id::StepId,
    source::{Pointer, Source, SourceMap},
};

/// The version of the language that this release reads.
pub const VERSION: u64 = 1;

/// Decodes a workflow; none where there is nothing to call a workflow.
///
/// `stem` is its name unless it gives one.
#[must_use]
pub fn decode(source: &Arc<Source>, value: &Value, map: &SourceMap, stem: &str) -> (Option<Workflow>, Vec<Diagnostic>) {
    let mut decoder = Decoder::new(source, map, "dagwood schema");
    let workflow = decoder.workflow(value, stem);
    (workflow, decoder.diagnostics)
}

/// Reads the maps of a file, and collects what is wrong with them; the project file is read with it, too.
pub(crate) struct Decoder<'a> {
    pub(crate) source: &'a Arc<Source>,
    pub(crate) map: &'a SourceMap,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// The command that prints all keys.
    schema: &'static str,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(source: &'a Arc<Source>, map: &'a SourceMap, schema: &'static str) -> Self {
        Self { source, map, diagnostics: Vec::new(), schema }
    }
}

impl Decoder<'_> {
    fn workflow(&mut self, value: &Value, stem: &str) -> Option<Workflow> {
        let root = Pointer::root();
        let Value::Object(entries) = value else {
            let diagnostic = if value.is_null() {
                Diagnostic::error(Code::NoWorkflow, "the file holds no workflow").at(
                    self.source,
                    self.first_line(&root),
                    "empty",
                )
            } else {
                Diagnostic::error(Code::NoWorkflow, format!("a workflow is a map, this is {}", describe(value))).at(
                    self.source,
                    self.first_line(&root),
                    "expected keys such as `steps:`",
                )
            };
            self.diagnostics
                .push(diagnostic.help("write at least one step: `steps: { first: { model: ID, inputs: { … } } }`"));
            return None;
        };
        let fields = self.fields(entries, &root, "a workflow", keys::WORKFLOW);
        if let Some((value, at)) = fields.get("version") {
            self.version(value, &at);
        }
        let name = fields.get("name").and_then(|(value, at)| self.name(value, &at)).unwrap_or_else(|| stem.to_owned());
        let steps = fields.get("steps").map(|(value, at)| self.steps(value, &at, true));
        if steps.is_none() && !fields.misspelt("steps") {
            let diagnostic = Diagnostic::error(Code::MissingKey, "a workflow needs `steps`")
                .at(self.source, self.first_line(&root), "no `steps` in this file")
                .help("write at least one step: `steps: { first: { model: ID, inputs: { … } } }`");
            self.diagnostics.push(diagnostic);
        }
        let workflow = Workflow {
            name,
            description: self.optional_text(&fields, "description"),
            labels: self.labels(&fields),
            inputs: fields.get("inputs").map(|(value, at)| self.inputs(value, &at)).unwrap_or_default(),
            secrets: fields.get("secrets").map(|(value, at)| self.secrets(value, &at)).unwrap_or_default(),
            vars: self.free_map(&fields, "vars"),
            defaults: fields.get("defaults").map(|(value, at)| self.defaults(value, &at)).unwrap_or_default(),
            concurrency: fields
                .get("concurrency")
                .and_then(|(value, at)| self.concurrency(value, &at))
                .unwrap_or_default(),
            budget: fields.get("budget").and_then(|(value, at)| self.budget(value, &at)),
            timeout: fields.get("timeout").and_then(|(value, at)| self.period(value, &at, true)),
            failure_policy: fields
                .get("failure_policy")
                .and_then(|(value, at)| {
                    let words = [
                        ("drain", FailurePolicy::Drain),
                        ("continue", FailurePolicy::Continue),
                        ("cancel", FailurePolicy::Cancel),
                    ];
                    self.word(value, &at, &words)
                })
                .unwrap_or_default(),
            steps: steps.unwrap_or_default(),
            finally: fields.get("finally").map(|(value, at)| self.steps(value, &at, false)).unwrap_or_default(),
            outputs: self.free_map(&fields, "outputs"),
            schedule: fields.get("schedule").map(|(value, at)| self.schedule(value, &at)).unwrap_or_default(),
            notify: fields.get("notify").map(|(value, at)| self.notify(value, &at)).unwrap_or_default(),
        };
        Some(workflow).filter(|workflow| !workflow.steps.is_empty())
    }

    fn version(&mut self, value: &Value, at: &Pointer) {
        if value.as_f64().is_some_and(|version| version.to_bits() == 1.0_f64.to_bits()) {
            return;
        }
        let help = format!("this release knows version {VERSION}: write `version: {VERSION}`");
        let diagnostic = if value.is_number() {
            Diagnostic::error(Code::Version, format!("version {value} of the language is not known")).at(
                self.source,
                self.map.value(at),
                "unknown version",
            )
        } else {
            Diagnostic::error(Code::Version, "`version` must be a whole number").at(
                self.source,
                self.value_span(at),
                format!("found {}", describe(value)),
            )
        };
        self.diagnostics.push(diagnostic.help(help));
    }

    pub(crate) fn secrets(&mut self, value: &Value, at: &Pointer) -> Vec<String> {
        let help = "name environment variables: `secrets: [MY_KEY]`";
        let names = self.words_list(value, at, help);
        let mut secrets: Vec<String> = Vec::new();
        for (name, at) in names {
            if name.parse::<StepId>().is_err() {
                self.bad_name(&name, self.map.value(&at), "the name of a secret", None);
            } else {
                secrets.push(name);
            }
        }
        secrets
    }

    fn defaults(&mut self, value: &Value, at: &Pointer) -> Defaults {
        let Some(entries) = self.object(value, at) else { return Defaults::default() };
        let fields = self.fields(entries, at, "`defaults`", keys::DEFAULTS);
        Defaults {
            provider: fields.get("provider").and_then(|(value, at)| self.name(value, &at)),
            timeout: fields.get("timeout").and_then(|(value, at)| self.period(value, &at, true)),
            poll: fields.get("poll").and_then(|(value, at)| self.period(value, &at, true)),
            retry: fields.get("retry").and_then(|(value, at)| self.retry(value, &at)),
            cache: fields.get("cache").and_then(|(value, at)| self.cache(value, &at)),
            on_error: fields.get("on_error").and_then(|(value, at)| self.on_error(value, &at)),
        }
    }

    fn concurrency(&mut self, value: &Value, at: &Pointer) -> Option<Concurrency> {
        let Value::Object(entries) = value else {
            let steps = self.count(value, at, 1)?;
            return Some(Concurrency { steps, ..Concurrency::default() });
        };
        let fields = self.fields(entries, at, "`concurrency`", keys::CONCURRENCY);
        let mut concurrency = Concurrency::default();
        if let Some(steps) = fields.get("steps").and_then(|(value, at)| self.count(value, &at, 1)) {
            concurrency.steps = steps;
        }
        concurrency.group = fields.get("group").and_then(|(value, at)| self.name(value, &at));
        if let Some((value, at)) = fields.get("on_conflict") {
            if fields.get_meant("group").is_none() {
                let diagnostic = Diagnostic::error(Code::MissingKey, "`on_conflict` goes with `group`")
                    .at(self.source, self.map.key(&at), "says nothing alone")
                    .help("add `group: …`: without one there is no lock that could be held");
                self.diagnostics.push(diagnostic);
            }
            let words = [
                ("queue", OnConflict::Queue),
                ("skip", OnConflict::Skip),
                ("cancel_running", OnConflict::CancelRunning),
                ("fail", OnConflict::Fail),
            ];
            concurrency.on_conflict = self.word(value, &at, &words).unwrap_or_default();
        }
        Some(concurrency)
    }

    fn labels(&mut self, fields: &value::Fields<'_>) -> IndexMap<String, String> {
        let Some((value, at)) = fields.get("labels") else { return IndexMap::new() };
        let Some(entries) = self.object(value, &at) else { return IndexMap::new() };
        entries
            .iter()
            .filter(|(key, _)| !key.starts_with("x-"))
            .filter_map(|(key, value)| Some((key.clone(), self.text(value, &at.join(key))?)))
            .collect()
    }

    /// Reads a map whose keys are the author's own and whose values are templated later.
    fn free_map(&mut self, fields: &value::Fields<'_>, key: &str) -> IndexMap<String, Value> {
        let Some((value, at)) = fields.get(key) else { return IndexMap::new() };
        let entries: Option<&Map<String, Value>> = self.object(value, &at);
        let own = entries.into_iter().flatten().filter(|(key, _)| !key.starts_with("x-"));
        own.map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

#[cfg(test)]
mod tests;
