//! Why the steps of a run reused an earlier result, or did not (`dagwood cache explain`): what the run wrote down as it sent, beside the
//! entries that were there by then and still are.

use std::collections::{HashMap, hash_map::Entry};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::cache::{CachedResult, Sent};
use crate::{
    id::{RunId, StepPath},
    journal::event::{Event, GivenFile, PassedOver, Record},
};

/// What became of one step that may reuse results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explained {
    /// The step.
    pub step: StepPath,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Whether a result was reused.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The result of an equal submit was taken.
    Hit {
        /// The run that has it.
        of: Option<RunId>,
    },
    /// One was there, and was not taken.
    PassedOver {
        /// Why.
        why: PassedOver,
    },
    /// There was no result of an equal submit.
    Missed {
        /// The result of the same target that differs least, where there is one.
        nearest: Option<Nearest>,
    },
}

/// A result that was not equal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Nearest {
    /// The run that has it.
    pub run: RunId,
    /// The step.
    pub step: StepPath,
    /// When it was there.
    pub at: Timestamp,
    /// What differs: `provider`, `base_url`, `contract`, `operation`, `inputs.NAME`, `content of PATH`. Nothing where it is a `cache.key`.
    pub differs: Vec<String>,
}

/// Explains each step of a run that may reuse results, in the order in which they were sent.
#[must_use]
pub fn explain(records: &[Record], entries: &[CachedResult]) -> Vec<Explained> {
    let mut explained: Vec<Explained> = Vec::new();
    let mut known: HashMap<StepPath, usize> = HashMap::new();
    for record in records {
        let (step, outcome) = match &record.event {
            Event::StepSucceeded { step, cached: true, of, .. } => (step, Outcome::Hit { of: *of }),
            Event::SubmitIntended {
                step,
                cache: Some(key),
                base_url,
                provider,
                target,
                inputs,
                operation,
                given,
                ..
            } => {
                let sent = Sent {
                    key: **key,
                    provider: provider.clone(),
                    base_url: base_url.clone(),
                    target: target.clone(),
                    inputs: inputs.clone(),
                    operation: operation.as_ref().clone(),
                    given: given.clone(),
                };
                let missed = || Outcome::Missed { nearest: nearest(&sent, record, entries) };
                (step, key.passed_over.map_or_else(missed, |why| Outcome::PassedOver { why }))
            }
            _ => continue,
        };
        match known.entry(step.clone()) {
            // Of several attempts, the first met what was there before the run; a hit is the last word.
            Entry::Occupied(known) => {
                if matches!(outcome, Outcome::Hit { .. }) {
                    explained[*known.get()].outcome = outcome;
                }
            }
            Entry::Vacant(new) => {
                new.insert(explained.len());
                explained.push(Explained { step: step.clone(), outcome });
            }
        }
    }
    explained
}

/// Returns the entry for the same target, made before, that differs least; of equals the newest, which comes first.
fn nearest(sent: &Sent, record: &Record, entries: &[CachedResult]) -> Option<Nearest> {
    let earlier = entries.iter().filter(|entry| entry.at < record.at && entry.sent.target == sent.target);
    let differing = earlier.map(|entry| (differs(sent, &entry.sent), entry));
    let (differs, entry) = differing.min_by_key(|(differs, _)| differs.len())?;
    Some(Nearest { run: entry.run, step: entry.step.clone(), at: entry.at, differs })
}

fn differs(one: &Sent, other: &Sent) -> Vec<String> {
    let whole = [
        ("provider", one.provider != other.provider),
        ("base_url", one.base_url != other.base_url && !(is_emulated(one) && is_emulated(other))),
        ("contract", one.key.contract != other.key.contract),
        ("operation", one.operation != other.operation),
    ];
    let whole = whole.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name.to_owned());
    let inputs = names(&one.inputs, &other.inputs).filter(|name| one.inputs.get(*name) != other.inputs.get(*name));
    let content = |file: &&GivenFile| other.given.iter().any(|old| old.path == file.path && old.digest != file.digest);
    let contents = one.given.iter().filter(content).map(|file| format!("content of {}", file.path));
    whole.chain(inputs.map(|name| format!("inputs.{name}"))).chain(contents).collect()
}

/// Says whether a submit went to this machine: the emulator listens on another port each time, and its results are one store's.
fn is_emulated(sent: &Sent) -> bool {
    sent.base_url.starts_with("http://127.0.0.1:")
}

fn names<'a>(one: &'a Map<String, Value>, other: &'a Map<String, Value>) -> impl Iterator<Item = &'a String> {
    one.keys().chain(other.keys().filter(|name| !one.contains_key(*name)))
}
