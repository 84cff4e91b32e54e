//! Results of earlier equal submits (`cache`): what makes two submits equal, and how a result is taken.
//!
//! Equal are provider, target, contract, the inputs as rendered, and the contents of files, whatever stands for them; a `key` of the workflow's
//! own takes the place of contract and inputs. What an emulator gave is kept apart from what an API gave. A result is taken only whole: one
//! that is too old, that this step's `expect` refuses, or whose saved files are gone while this step saves, is none. Files in a folder are
//! looked at first; those in a store are found missing when they are copied, and the step runs then.

use std::{collections::HashMap, path::Path, sync::Arc};

use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use super::{Driver, RunError};
use crate::{
    artifact::{self, Earlier},
    id::Digest,
    job::{Operation, Target},
    journal::{
        cache::CachedResult,
        event::{CacheKey, Event, GivenFile, PassedOver, Payload},
        state::StepIndex,
    },
    plan::{PlannedStep, Work},
    source::Pointer,
    template::{Root, Scope, TemplateError},
};

/// An earlier result that is being taken.
pub(super) struct Hit {
    found: CachedResult,
    /// The local files in the inputs.
    given: Vec<GivenFile>,
}

impl Driver {
    /// Returns what an equal submit would look for, where the step's results may be reused.
    pub(super) fn cache_key(
        &self,
        ix: StepIndex,
        step: &PlannedStep,
        work: &Work,
        (target, inputs, operation): (&Target, &Map<String, Value>, &Operation),
        scope: &Scope,
    ) -> Result<Option<CacheKey>, (Pointer, TemplateError)> {
        let (Some(cache), Work::Run { provider, contract, .. }) = (&step.cache, work) else { return Ok(None) };
        let lane = &self.lanes[provider];
        let of_contract = Digest::of(&serde_json::to_vec(contract.contract()).expect("a contract is plain data"));
        let what = if let Some(key) = &cache.key {
            let facts = json!({ "id": step.id, "attempt": self.state.step(ix).next_attempt() });
            json!({ "key": key.render(&scope.clone().with(Root::Step, &facts))? })
        } else {
            let mut inputs = Value::Object(inputs.clone());
            lane.media.by_content(&mut inputs);
            json!({ "contract": of_contract, "inputs": canonical(&inputs), "operation": operation })
        };
        let whole = json!({ "version": 2, "provider": provider, "at": lane.known_as, "target": target, "what": what });
        Ok(Some(CacheKey { key: Digest::of(whole.to_string().as_bytes()), contract: of_contract, passed_over: None }))
    }

    /// Takes an earlier equal result, where there is one; says whether it did, or has begun to. Where it does not, the key says why.
    pub(super) fn take_cached(
        &mut self,
        ix: StepIndex,
        step: &PlannedStep,
        key: &mut CacheKey,
        scope: &Scope,
        given: &[GivenFile],
    ) -> Result<bool, RunError> {
        if self.missed.contains(&ix) {
            return Ok(false);
        }
        let Some(found) = self.journal.cached(&key.key)? else { return Ok(false) };
        let ttl = step.cache.as_ref().and_then(|cache| cache.ttl).and_then(|ttl| SignedDuration::try_from(ttl).ok());
        let mut pass_over = |why| {
            key.passed_over = Some(why);
            Ok(false)
        };
        if ttl.is_some_and(|ttl| self.world.now().duration_since(found.at) > ttl) {
            return pass_over(PassedOver::TooOld);
        }
        if self.unmet(ix, &found.outputs, scope).is_some() {
            return pass_over(PassedOver::Unexpected);
        }
        if step.save.is_none() {
            self.taken(ix, Hit { found, given: given.to_vec() });
            return Ok(true);
        }
        let Some(copies) = copies(&found) else { return pass_over(PassedOver::FilesGone) };
        let attempt = self.state.step(ix).next_attempt();
        let outputs = Arc::clone(&found.outputs);
        self.save(ix, attempt, found.kind, outputs, scope.clone(), copies);
        self.hits.insert(ix, Hit { found, given: given.to_vec() });
        Ok(true)
    }

    /// Lets a step run whose earlier equal result cannot be taken whole.
    pub(super) fn miss(&mut self, ix: StepIndex, why: &str) {
        self.missed.insert(ix);
        let step = self.path(ix);
        let message = format!("an earlier equal result is not taken: {why}");
        self.record(Event::Warning { step: Some(step), message });
    }

    /// Ends a step with an earlier result, whose files are saved here by now.
    pub(super) fn taken(&mut self, ix: StepIndex, Hit { found, given }: Hit) {
        let id = self.planned(ix).id.to_string();
        let step = self.path(ix);
        // A single node is called after the step, whatever that of the earlier one was called.
        let earlier = found.step.id().to_string();
        let outputs = if earlier == id || !found.outputs.contains_key(&earlier) {
            found.outputs
        } else {
            let named = |(node, value): (String, Value)| (if node == earlier { id.clone() } else { node }, value);
            Arc::new(Arc::unwrap_or_clone(found.outputs).into_iter().map(named).collect())
        };
        self.record(Event::StepSucceeded {
            step,
            outputs: Some(Payload::new(outputs)),
            cached: true,
            of: Some(found.run),
            job: found.job.map(Box::new),
            files: Vec::new(),
            given,
        });
    }
}

/// Returns the files of an earlier result by the URLs that they came from; none where one of them is gone.
fn copies(found: &CachedResult) -> Option<HashMap<String, Earlier>> {
    let Some(folder) = &found.folder else { return Some(HashMap::new()) };
    let root = artifact::Root::read(Path::new(folder), Path::new(""));
    let mut copies = HashMap::new();
    for file in &found.files {
        let earlier = Earlier { root: root.clone(), file: file.clone() };
        if root.folder().is_some() && !earlier.path().is_some_and(|path| is_file_of(&path, file.bytes)) {
            return None;
        }
        if let Some(url) = &file.url {
            copies.insert(url.clone(), earlier);
        }
    }
    Some(copies)
}

fn is_file_of(path: &Path, bytes: u64) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == bytes)
}

/// Returns a value whose maps are in the order of their keys, so that the order in a file makes no difference.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(canonical).collect()),
        Value::Object(map) => {
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort_unstable();
            Value::Object(keys.into_iter().map(|key| (key.clone(), canonical(&map[key]))).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_keys_makes_no_difference() {
        let one = json!({ "b": [{ "y": 1, "x": 2 }], "a": null });
        let other = json!({ "a": null, "b": [{ "x": 2, "y": 1 }] });
        assert_eq!(canonical(&one).to_string(), canonical(&other).to_string());
        assert_ne!(canonical(&json!([1, 2])).to_string(), canonical(&json!([2, 1])).to_string());
    }
}
