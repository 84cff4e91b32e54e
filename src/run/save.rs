//! Saving what came out of a step: `save`.
//!
//! Everything is opened first, so that the content types are known, all paths can be rendered, and two values on one path are found
//! before either is written, be they of one step or of two. Then each is streamed to its place. What breaks off by itself goes on a few
//! times where it stopped, or starts anew where that cannot be; a download that keeps failing fails the step, and the job's result stays in
//! the journal.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Map, Value, json};

use super::{backoff, driver::Message};
use crate::{
    artifact::{
        ArtifactError, Content, Downloader, Earlier, Manifest, ManifestFile, Onward, Opened, RelativePath, Saving,
        Store, safe_path,
    },
    contract::ValueKind,
    id::{Attempt, StepId, StepPath},
    job::TargetKind,
    journal::{
        Journal,
        state::{RunState, StepIndex},
    },
    plan::SavePath,
    result::{ErrorKind, Medium, SavedFile, StepError, media_of},
    template::{Root, Scope},
    world::World,
};

/// How often a download is tried.
const TRIES: u32 = 5;

/// What is to be saved of one step.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) step: StepIndex,
    pub(super) id: StepId,
    /// The step's path, to which its files belong.
    pub(super) owner: StepPath,
    pub(super) attempt: Attempt,
    pub(super) outputs: Arc<Map<String, Value>>,
    /// What kind of target gave them.
    pub(super) kind: Option<TargetKind>,
    /// Where to.
    pub(super) path: SavePath,
    /// What it may read, beyond what saving adds.
    pub(super) scope: Scope,
    /// `file:line:column` of the `save` key.
    pub(super) place: String,
    pub(super) store: Arc<Store>,
    pub(super) downloader: Downloader,
    /// Files that an earlier run saved, by the URLs that they came from.
    pub(super) copies: HashMap<String, Earlier>,
}

/// Why a step's media are not saved.
#[derive(Debug)]
pub(super) enum Problem {
    /// What fails the step.
    Step(StepError),
    /// A file that an earlier run saved cannot be had any more, and why.
    Gone(String),
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

async fn save_all(job: &Job, world: &World, files: &mut Vec<SavedFile>) -> Result<(), Problem> {
    let mut opened = Vec::new();
    let mut taken = HashMap::new();
    for (n, medium) in media_of(job.kind, &job.outputs).iter().enumerate() {
        let content = content(medium, &job.copies);
        let first = open(job, world, &content).await.map_err(|error| problem(&error, job))?;
        let path = path(job, n, &first).map_err(Problem::Step)?;
        if let Some(other) = taken.insert(path.as_str().to_owned(), n) {
            let message = format!(
                "values {other} and {n} of the result would both be saved as `{}`\n  at {}\n  help: use `{{{{ n }}}}` in the path",
                path.as_str(),
                job.place
            );
            return Err(Problem::Step(StepError { kind: ErrorKind::Artifact, message }));
        }
        opened.push((path, first));
    }
    for (path, _) in &opened {
        job.store.claim(path, job.owner.as_str()).map_err(|error| problem(&error, job))?;
    }
    for (path, source) in opened {
        let file = save_one(job, world, &path, source).await;
        files.push(file.map_err(|error| problem(&error, job))?);
    }
    Ok(())
}

/// Saves one value, in a few tries.
async fn save_one(
    job: &Job,
    world: &World,
    path: &RelativePath,
    mut source: Opened,
) -> Result<SavedFile, ArtifactError> {
    let (mut saving, mut tries) = (None, 1);
    loop {
        let error = match to_the_end(job, path, &mut saving, &mut source).await {
            Ok(file) => return Ok(file),
            Err(error) => error,
        };
        // Where the place did not take it, what was sent there is void, and so is what was read.
        let broke_off = matches!(error, ArtifactError::Download { .. });
        rest(world, &mut tries, error).await?;
        match &mut saving {
            Some(saving) if broke_off => {
                if go_on(world, &mut source).await? == Onward::Anew {
                    saving.start_anew().await?;
                }
            }
            _ => {
                saving = None;
                start_anew(world, &mut source).await?;
            }
        }
    }
}

/// Streams a value from where it stands to the end of its file.
async fn to_the_end<'a>(
    job: &'a Job,
    path: &RelativePath,
    saving: &mut Option<Saving<'a>>,
    source: &mut Opened,
) -> Result<SavedFile, ArtifactError> {
    let file = match saving {
        Some(file) => file,
        None => saving.insert(job.store.begin(path, source).await?),
    };
    file.write(source).await?;
    let file = saving.take().expect("it was begun");
    file.finish(source).await
}

async fn open(job: &Job, world: &World, content: &Content) -> Result<Opened, ArtifactError> {
    let mut tries = 1;
    loop {
        match job.downloader.open(content).await {
            Ok(opened) => return Ok(opened),
            Err(error) => rest(world, &mut tries, error).await?,
        }
    }
}

/// Opens what broke off, where it stopped or anew.
async fn go_on(world: &World, source: &mut Opened) -> Result<Onward, ArtifactError> {
    let mut tries = 1;
    loop {
        match source.go_on().await {
            Ok(onward) => return Ok(onward),
            Err(error) => rest(world, &mut tries, error).await?,
        }
    }
}

async fn start_anew(world: &World, source: &mut Opened) -> Result<(), ArtifactError> {
    let mut tries = 1;
    while let Err(error) = source.start_anew().await {
        rest(world, &mut tries, error).await?;
    }
    Ok(())
}

/// Waits before another try of what may pass by itself; gives the error back where there is none.
async fn rest(world: &World, tries: &mut u32, error: ArtifactError) -> Result<(), ArtifactError> {
    if !error.is_transient() || *tries >= TRIES {
        return Err(error);
    }
    world.sleep(backoff::wait(*tries, world.random())).await;
    *tries += 1;
    Ok(())
}

fn content(medium: &Medium, copies: &HashMap<String, Earlier>) -> Content {
    match (medium.kind, copies.get(&medium.value)) {
        (ValueKind::Text, _) => Content::Text(medium.value.clone()),
        (_, Some(earlier)) => Content::Earlier(earlier.clone()),
        (_, None) => Content::Url(medium.value.clone()),
    }
}

fn path(job: &Job, n: usize, opened: &Opened) -> Result<RelativePath, StepError> {
    // Whatever is wrong with the path, the job is done: its result is kept, and only saved again.
    let wrong =
        |message: String| StepError { kind: ErrorKind::Artifact, message: format!("{message}\n  at {}", job.place) };
    let template = match &job.path {
        SavePath::Template(template) => template,
        SavePath::OfStep => {
            return safe_path(&SavePath::of_step(&job.owner, n, opened.ext()))
                .map_err(|problem| wrong(problem.to_string()));
        }
    };
    let scope = job
        .scope
        .clone()
        .with(Root::Step, &json!({"id": job.id, "attempt": job.attempt}))
        .with(Root::Ext, &json!(opened.ext()))
        .with(Root::N, &json!(n));
    let rendered = template.render(&scope).map_err(|(_, error)| wrong(error.message))?;
    let text = match rendered {
        Value::String(text) => text,
        other => other.to_string(),
    };
    safe_path(&text).map_err(|problem| wrong(problem.to_string()))
}

/// Returns what an error means for the step.
fn problem(error: &ArtifactError, job: &Job) -> Problem {
    let help = match error {
        ArtifactError::Gone { .. } => return Problem::Gone(error.to_string()),
        ArtifactError::Taken { .. } if job.owner.as_str().contains('.') => {
            "\n  help: a workflow that runs more than once needs what tells its runs apart in the path, such as an input; `save: true` has it"
        }
        ArtifactError::Taken { .. } => "\n  help: use `{{ step.id }}`, or in a fan-out `{{ index }}`, in the path",
        _ => "\n  the job's result is kept in the journal",
    };
    Problem::Step(StepError { kind: ErrorKind::Artifact, message: format!("{error}\n  at {}{help}", job.place) })
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
