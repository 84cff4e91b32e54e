//! Saving what came out of a step: `save`.
//!
//! Everything is opened first, so that the content types are known, all paths can be rendered, and two values on one path are found
//! before either is written. Then each is streamed to its place. What breaks off by itself is fetched again a few times; a
//! download that keeps failing fails the step, and the job's result stays in the journal.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use serde_json::{Map, Value, json};

use super::{backoff, driver::Message};
use crate::{
    artifact::{ArtifactError, Content, Downloader, Manifest, ManifestFile, Opened, RelativePath, Store, safe_path},
    contract::ValueKind,
    id::{Attempt, StepId},
    job::TargetKind,
    journal::{
        Journal,
        state::{RunState, StepIndex},
    },
    result::{ErrorKind, Medium, SavedFile, StepError, media_of},
    template::{Root, Scope},
    tree::Tree,
    world::World,
};

/// How often a download is tried.
const TRIES: u32 = 5;

/// What is to be saved of one step.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) step: StepIndex,
    pub(super) id: StepId,
    pub(super) attempt: Attempt,
    pub(super) outputs: Arc<Map<String, Value>>,
    /// What kind of target gave them.
    pub(super) kind: Option<TargetKind>,
    /// The path's template.
    pub(super) path: Tree,
    /// What it may read, beyond what saving adds.
    pub(super) scope: Scope,
    /// `file:line:column` of the `save` key.
    pub(super) place: String,
    pub(super) store: Arc<Store>,
    pub(super) downloader: Downloader,
    /// Files that an earlier run saved, by the URLs that they came from.
    pub(super) copies: HashMap<String, (PathBuf, String)>,
}

/// Saves a step's media, once the result that they belong to is on disk.
pub(super) async fn save(job: Job, journal: Journal, world: World) -> Message {
    if let Err(error) = journal.durable().await {
        return Message::Unwritten(error);
    }
    let mut files = Vec::new();
    let problem = save_all(&job, &world, &mut files).await.err();
    Message::Saved { step: job.step, files, problem }
}

async fn save_all(job: &Job, world: &World, files: &mut Vec<SavedFile>) -> Result<(), StepError> {
    let mut opened = Vec::new();
    let mut taken = HashMap::new();
    for (n, medium) in media_of(job.kind, &job.outputs).iter().enumerate() {
        let content = content(medium, &job.copies);
        let first = open(job, world, &content).await?;
        let path = path(job, n, &first)?;
        if let Some(other) = taken.insert(path.as_str().to_owned(), n) {
            let message = format!(
                "values {other} and {n} of the result would both be saved as `{}`\n  at {}\n  help: use `{{{{ n }}}}` in the path",
                path.as_str(),
                job.place
            );
            return Err(StepError { kind: ErrorKind::Artifact, message });
        }
        opened.push((path, content, first));
    }
    for (path, content, first) in opened {
        let mut next = Some(first);
        for tries in 1.. {
            let source = match next.take() {
                Some(first) => first,
                None => open(job, world, &content).await?,
            };
            match job.store.save(&path, source).await {
                Ok(file) => {
                    files.push(file);
                    break;
                }
                Err(error) if error.is_transient() && tries < TRIES => {
                    world.sleep(backoff::wait(tries, world.random())).await;
                }
                Err(error) => return Err(artifact(&error, job)),
            }
        }
    }
    Ok(())
}

fn content(medium: &Medium, copies: &HashMap<String, (PathBuf, String)>) -> Content {
    match (medium.kind, copies.get(&medium.value)) {
        (ValueKind::Text, _) => Content::Text(medium.value.clone()),
        (_, Some((path, content_type))) => {
            Content::File { path: path.clone(), url: medium.value.clone(), content_type: content_type.clone() }
        }
        (_, None) => Content::Url(medium.value.clone()),
    }
}

async fn open(job: &Job, world: &World, content: &Content) -> Result<Opened, StepError> {
    let mut tries = 1;
    loop {
        match job.downloader.open(content).await {
            Ok(opened) => return Ok(opened),
            Err(error) if error.is_transient() && tries < TRIES => {
                world.sleep(backoff::wait(tries, world.random())).await;
                tries += 1;
            }
            Err(error) => return Err(artifact(&error, job)),
        }
    }
}

fn path(job: &Job, n: usize, opened: &Opened) -> Result<RelativePath, StepError> {
    let scope = job
        .scope
        .clone()
        .with(Root::Step, &json!({"id": job.id, "attempt": job.attempt}))
        .with(Root::Ext, &json!(opened.ext()))
        .with(Root::N, &json!(n));
    let wrong = |kind, message: String| StepError { kind, message: format!("{message}\n  at {}", job.place) };
    let rendered = job.path.render(&scope).map_err(|(_, error)| wrong(ErrorKind::Template, error.message))?;
    let text = match rendered {
        Value::String(text) => text,
        other => other.to_string(),
    };
    safe_path(&text).map_err(|problem| wrong(ErrorKind::Artifact, problem.to_string()))
}

fn artifact(error: &ArtifactError, job: &Job) -> StepError {
    let message = format!("{error}\n  at {}\n  the job's result is kept in the journal", job.place);
    StepError { kind: ErrorKind::Artifact, message }
}

/// Writes the list of a run's files beside them, if there are any.
///
/// # Errors
///
/// Where the file system refuses.
pub(super) async fn manifest(store: &Store, state: &RunState) -> Result<(), ArtifactError> {
    let files: Vec<_> = state
        .leaves()
        .flat_map(|step| step.files.iter().map(|file| ManifestFile { step: step.path.to_string(), file: file.clone() }))
        .collect();
    if files.is_empty() {
        return Ok(());
    }
    store.write_manifest(&Manifest::new(state.run, state.start.workflow.clone(), files)).await
}
