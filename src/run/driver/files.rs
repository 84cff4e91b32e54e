//! Local files on their way into inputs: each content reaches a provider once a run, before the first step that wants it starts.
//!
//! ```text
//! render ─▶ files wanted ─▶ look, digest ─▶ known content? ─▶ its reference
//!                                          └─ new ─▶ upload, or staging ─▶ media_uploaded ─▶ its reference
//! ```
//!
//! A step whose inputs hold a file that nothing stands for yet waits while it is handed over; several steps, or several names of one
//! content, wait for one hand-over. What an API has forgotten is handed over anew, once a step.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;

use super::Driver;
use crate::{
    id::{Attempt, Digest},
    job::{Fault, FaultKind, TargetKind},
    journal::{
        event::{Event, GivenFile},
        state::{FrameIndex, Phase, StepIndex},
    },
    plan::{Plan, PlannedInput, Work},
    provider::{LocalFile, MediaRef},
    result::ErrorKind,
    run::attempt::{self, Told},
    secret::Secret,
    source::Pointer,
    template::{Files, Root, Scope, TemplateError},
    tree::Tree,
};

/// The local files of one provider.
#[derive(Debug)]
pub(super) struct Media {
    /// What stands for which file in inputs.
    table: Files,
    /// What stands for which content.
    known: HashMap<Digest, MediaRef>,
    /// What was in which file when it was handed over.
    contents: HashMap<PathBuf, Digest>,
    /// The files that are looked at or handed over, and the steps that wait for them.
    waiters: BTreeMap<PathBuf, Vec<StepIndex>>,
    /// The contents that are handed over, and the files that have them.
    handing: HashMap<Digest, Vec<PathBuf>>,
}

impl Media {
    pub(super) fn new(table: Files) -> Self {
        Self {
            table,
            known: HashMap::new(),
            contents: HashMap::new(),
            waiters: BTreeMap::new(),
            handing: HashMap::new(),
        }
    }

    /// Returns what stands for a value, where it is a file that was handed over.
    pub(super) fn reference(&self, value: &Value) -> Option<&MediaRef> {
        let text = value.as_str()?;
        self.known.values().find(|media| media.0 == text)
    }

    /// Takes the signatures out of URLs that stand for files, wherever they are in a value: whoever has one can read the file.
    pub(super) fn unsign(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                for media in self.known.values() {
                    if let Some((bare, _)) = media.0.split_once('?')
                        && text.contains(&media.0)
                    {
                        *text = text.replace(&media.0, bare);
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.unsign(item)),
            Value::Object(map) => map.values_mut().for_each(|item| self.unsign(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Puts the digest of the content in the place of what stands for a file, wherever it is in a value: what is handed over anew stands for
    /// the same content by another name.
    pub(super) fn by_content(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                for (digest, media) in &self.known {
                    let bare = media.0.split('?').next().unwrap_or_default();
                    if *text == media.0 || *text == bare {
                        *text = format!("file:{digest}");
                        return;
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.by_content(item)),
            Value::Object(map) => map.values_mut().for_each(|item| self.by_content(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Notes what stands for a content that was handed over before the run went on.
    pub(super) fn know(&mut self, digest: Digest, media: MediaRef) {
        self.known.insert(digest, media);
    }

    /// Says whether no file of this run has been handed over here.
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

/// What came of looking at a file, or of handing it over: an error is one for people, with its kind.
pub(in crate::run) type Handed<T> = Result<T, (ErrorKind, String)>;

impl Driver {
    /// Returns a scope in which local files stand in inputs of this provider, with the table that notes which ones were wanted. An HTTP
    /// request has no files: the scope is as it was, and so is what the plan made of the request.
    pub(super) fn with_files(
        &self,
        frame: FrameIndex,
        scope: &Scope,
        work: &Work,
    ) -> Result<(Scope, Files), super::submit::Refusal> {
        let Work::Run { provider, contract, inputs, operation, .. } = work else {
            unreachable!("only what is sent has files")
        };
        let files = self.lanes[provider].media.table.fresh();
        let files = match frame {
            0 => files,
            // Paths of a nested workflow are relative to its own file, and its inputs are its own.
            _ => files.of(self.plan_of(frame).files.folder(), self.plan_of(frame).file_inputs()),
        };
        if contract.contract().target.kind == TargetKind::Http {
            return Ok((scope.clone(), files));
        }
        let scope = scope.clone().with_files(&files);
        Ok((with_file_vars(self.plan_of(frame), inputs.iter().chain(operation), scope)?, files))
    }

    /// Renders an input of a workflow that a step runs, with the path of a local file where one is meant.
    pub(super) fn as_path(
        &self,
        frame: FrameIndex,
        input: &PlannedInput,
        scope: &Scope,
    ) -> Result<Value, (Pointer, TemplateError)> {
        let plan = self.plan_of(frame);
        let mut files = match frame {
            0 => plan.files.fresh(),
            _ => plan.files.fresh().of(plan.files.folder(), plan.file_inputs()),
        };
        loop {
            let filed = scope.clone().with_files(&files);
            let value = input.tree.render(&with_file_vars(plan, std::iter::once(input), filed)?)?;
            let missing = files.missing();
            if missing.is_empty() {
                return Ok(value);
            }
            for path in missing {
                let text = Value::String(path.to_string_lossy().into_owned());
                files.insert(path, text);
            }
        }
    }

    /// Returns the files that something stands for in rendered inputs, but for those whose path has a secret in it.
    pub(super) fn given(&self, provider: &str, files: &Files) -> Vec<GivenFile> {
        let wanted = files.wanted();
        if wanted.is_empty() {
            return Vec::new();
        }
        let contents = &self.lanes[provider].media.contents;
        let given = wanted.iter().filter_map(|path| Some((path.to_str()?, *contents.get(path)?)));
        let is_shown = |path: &str| {
            let secrets = self.plan.secrets.values().chain(self.plan.secret_inputs.values()).map(Secret::expose);
            !secrets.filter(|secret| !secret.is_empty()).any(|secret| path.contains(secret))
        };
        let shown = given.filter(|(path, _)| is_shown(path));
        shown.map(|(path, digest)| GivenFile { path: path.to_owned(), digest }).collect()
    }

    /// Begins to hand over the files that a step's inputs want and that nothing stands for yet. Says whether there are some; the step
    /// waits for them then.
    pub(super) fn wants_files(&mut self, ix: StepIndex, scope: &Scope) -> Result<bool, super::submit::Refusal> {
        let frame = self.state.step(ix).frame;
        let plan = Arc::clone(self.plan_of(frame));
        let work = self.work(ix).clone();
        let Work::Run { provider, inputs, operation, .. } = &work else {
            return Ok(false);
        };
        // Most workflows have no files, and their inputs need not be rendered to see that.
        let calls = |input: &PlannedInput| input.tree.templates().any(|(_, template)| !template.files().is_empty());
        if plan.file_vars.is_empty() && !plan.has_file_inputs() && !inputs.iter().chain(operation).any(calls) {
            return Ok(false);
        }
        let (scope, files) = self.with_files(frame, scope, &work)?;
        for input in inputs.iter().chain(operation) {
            input.tree.render(&scope)?;
        }
        let missing = files.missing();
        if missing.is_empty() {
            return Ok(false);
        }
        self.acting.insert(ix);
        self.waiting.insert(ix, missing.len());
        for path in missing {
            let media = &mut self.lanes.get_mut(provider).expect("a lane for every provider").media;
            let waiters = media.waiters.entry(path.clone()).or_default();
            waiters.push(ix);
            if waiters.len() == 1 {
                self.tasks.spawn(attempt::examine(provider.clone(), path));
            }
        }
        Ok(true)
    }

    /// Takes what was seen of a file: its content may be known already.
    pub(super) fn examined(&mut self, lane: &str, path: &Path, found: Handed<(LocalFile, Digest)>) {
        let (file, digest) = match found {
            Ok(found) => found,
            Err(problem) => return self.not_handed(lane, path, &problem),
        };
        let own = self.lanes.get_mut(lane).expect("a lane for every provider");
        if own.media.known.contains_key(&digest) {
            return self.handed(lane, digest, path);
        }
        let paths = own.media.handing.entry(digest).or_default();
        paths.push(path.to_owned());
        if paths.len() > 1 {
            return;
        }
        let first = own.media.waiters.get(path).and_then(|waiters| waiters.first()).copied();
        let timeout = first.map(|ix| self.planned(ix).timeout).unwrap_or_default();
        let now = self.world.now();
        let own = self.lanes.get_mut(lane).expect("a lane for every provider");
        let staging = if own.promises.uploads {
            None
        } else if let Some(staging) = &self.staging {
            Some(Arc::clone(staging))
        } else {
            let message = format!(
                "`{lane}` takes files by URL, and the project has no `staging` store to hand `{}` out",
                file.name
            );
            own.media.handing.remove(&digest);
            return self.not_handed(lane, path, &(ErrorKind::Upload, message));
        };
        if staging.is_none() {
            own.limiter.force(now);
        }
        let task = attempt::hand_over(
            lane.to_owned(),
            Arc::clone(&own.provider),
            staging,
            file,
            digest,
            timeout,
            self.world.clone(),
        );
        self.tasks.spawn(task);
    }

    /// Takes a file that was handed over, or was not.
    pub(super) fn handed_over(
        &mut self,
        lane: &str,
        file: &LocalFile,
        digest: Digest,
        result: Handed<MediaRef>,
        told: &[Told],
    ) {
        for told in told {
            self.heed(lane, told);
        }
        let own = self.lanes.get_mut(lane).expect("a lane for every provider");
        let paths = own.media.handing.remove(&digest).unwrap_or_default();
        match result {
            Ok(media) => {
                // A signature in a URL lets whoever has it read the file.
                let reference = media.0.split('?').next().unwrap_or_default().to_owned();
                own.media.known.insert(digest, media);
                self.record(Event::MediaUploaded {
                    provider: lane.to_owned(),
                    name: file.name.clone(),
                    digest,
                    bytes: file.bytes,
                    content_type: file.content_type.clone(),
                    reference,
                });
                for path in paths {
                    self.handed(lane, digest, &path);
                }
            }
            Err(problem) => {
                for path in paths {
                    self.not_handed(lane, &path, &problem);
                }
            }
        }
    }

    /// Notes what stands for a file, and lets the steps go on that waited for it.
    fn handed(&mut self, lane: &str, digest: Digest, path: &Path) {
        let own = self.lanes.get_mut(lane).expect("a lane for every provider");
        let media = &own.media.known[&digest];
        let value = own.provider.media_input(media, None);
        own.media.table.insert(path, value);
        own.media.contents.insert(path.to_owned(), digest);
        for ix in own.media.waiters.remove(path).unwrap_or_default() {
            let left = self.waiting.get_mut(&ix).map_or(0, |left| {
                *left -= 1;
                *left
            });
            if left == 0 {
                self.waiting.remove(&ix);
                self.acting.remove(&ix);
                self.renewed(ix);
            }
        }
    }

    fn not_handed(&mut self, lane: &str, path: &Path, (kind, message): &(ErrorKind, String)) {
        let own = self.lanes.get_mut(lane).expect("a lane for every provider");
        for ix in own.media.waiters.remove(path).unwrap_or_default() {
            self.waiting.remove(&ix);
            self.acting.remove(&ix);
            if self.state.step(ix).status().is_none() {
                self.fail(ix, *kind, message.clone());
            }
        }
    }

    /// Hands files over anew that the API has forgotten, once a step. Says whether the refusal means that; nothing had happened then.
    pub(super) fn renew(&mut self, ix: StepIndex, fault: &Fault) -> bool {
        if fault.kind != FaultKind::Rejected || self.renewing.contains(&ix) || self.state.step(ix).unsettled {
            return false;
        }
        let name = self.lane_name(ix).expect("a submitted step has a provider");
        let lane = self.lanes.get_mut(&name).expect("a lane for every provider");
        let media: Vec<_> = lane.media.known.values().cloned().collect();
        if media.is_empty() || !lane.provider.lost_media(fault, &media) {
            return false;
        }
        lane.media.known.clear();
        lane.media.table = self.plan.files.fresh();
        self.renewing.insert(ix);
        let scope = self.scope_of(ix);
        self.wants_files(ix, &scope).unwrap_or(false)
    }

    /// Sends a submit again whose files were handed over anew.
    fn renewed(&mut self, ix: StepIndex) {
        let step = self.state.step(ix);
        if step.phase != Phase::Submitting || !self.renewing.contains(&ix) {
            return;
        }
        let event = Event::RetryScheduled {
            step: step.path.clone(),
            attempt: step.attempt.unwrap_or(Attempt::FIRST),
            due: self.state.last_at,
            rate_limited: false,
            unsettled: false,
            why: "the API did not know an uploaded file any more; it was uploaded anew".to_owned(),
            failed: None,
            fallback: None,
        };
        self.record(event);
    }
}

/// Renders the vars of a workflow that may hold files and that these inputs read: what none of them reads is not handed over.
fn with_file_vars<'a>(
    plan: &'a Plan,
    inputs: impl Iterator<Item = &'a PlannedInput>,
    mut scope: Scope,
) -> Result<Scope, (Pointer, TemplateError)> {
    if plan.file_vars.is_empty() {
        return Ok(scope);
    }
    let read = file_vars_of(plan, inputs);
    for (name, tree) in plan.file_vars.iter().filter(|(name, _)| read.contains(name.as_str())) {
        let value = tree.render(&scope)?;
        scope = scope.with_var(name, Ok(&value));
    }
    Ok(scope)
}

/// Returns the vars with local files that inputs read, by themselves or through other vars.
fn file_vars_of<'a>(plan: &'a Plan, inputs: impl Iterator<Item = &'a PlannedInput>) -> HashSet<&'a str> {
    let mut found: HashSet<&str> = HashSet::new();
    let mut open: Vec<&Tree> = inputs.map(|input| &input.tree).collect();
    while let Some(tree) = open.pop() {
        for (_, reference) in tree.references().filter(|(_, reference)| reference.root == Root::Vars) {
            let is_read = |name: &str| reference.key().is_none_or(|key| key == name);
            for (name, tree) in plan.file_vars.iter().filter(|(name, _)| is_read(name)) {
                if found.insert(name) {
                    open.push(tree);
                }
            }
        }
    }
    found
}
