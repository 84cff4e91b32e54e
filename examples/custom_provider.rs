//! A provider of your own: two "models" that run on this machine, behind the same workflows, plans, journal and reports.
//!
//! ```text
//! cargo run --example custom_provider
//! ```
//!
//! A provider maps words to a wire and back. It never retries, waits or logs: the engine does that, the same for all providers. This
//! one has no wire. Its jobs take a moment, so that the engine has something to look at.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use dagwood::{
    contract::{Catalog, Contract, Port, ValueKind},
    diagnostic::render,
    job::{
        self, Fault, FaultKind, IdempotencyKey, JobHandle, JobRequest, JobState, JobStatus, Submitted, Target,
        TargetKind,
    },
    journal::Journal,
    plan::{self, Given, Offer},
    provider::{Account, Answer, Cancelled, LocalFile, MediaRef, Promises, Provider, Recent, Wanted},
    run::Execution,
    source::Source,
    spec,
    world::World,
};
use futures_util::future::{BoxFuture, FutureExt};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

/// Two texts are measured side by side, then compared.
const WORKFLOW: &str = r#"
name: two-headlines
inputs:
  first: { type: string, default: Chairs that last }
  second: { type: string, default: Why your grandmother's armchair will outlive you }
defaults: { provider: desk }
steps:
  a:
    model: desk/measure
    inputs: { text: "{{ inputs.first }}" }
  b:
    model: desk/measure
    inputs: { text: "{{ inputs.second }}" }
  poster:
    model: desk/frame
    inputs:
      text: "{{ inputs.first if steps.a.output.letters <= steps.b.output.letters else inputs.second }}"
outputs:
  letters: ["{{ steps.a.output.letters }}", "{{ steps.b.output.letters }}"]
  poster: "{{ steps.poster.text }}"
"#;

/// How long a job takes.
const TAKES: SignedDuration = SignedDuration::from_millis(200);

/// A job of the desk.
#[derive(Clone, Debug)]
struct Job {
    model: String,
    text: String,
    began: Timestamp,
    cancelled: bool,
}

/// The provider: what it was asked for, and the world that its clock comes from.
#[derive(Debug)]
struct Desk {
    jobs: Mutex<BTreeMap<JobHandle, Job>>,
    world: World,
}

impl Desk {
    fn jobs(&self) -> MutexGuard<'_, BTreeMap<JobHandle, Job>> {
        self.jobs.lock().expect("nobody panics while holding the jobs")
    }

    /// Returns how a job stands now.
    fn status(&self, job: &Job) -> JobStatus {
        let ends = job.began + TAKES;
        if job.cancelled {
            return JobStatus::of(JobState::Cancelled);
        }
        if self.world.now() < ends {
            return JobStatus::of(JobState::Processing);
        }
        // A job with one node has the one key "". `outputText` makes the value a text for templates and `save`.
        let output = if job.model == "desk/measure" {
            json!({"letters": job.text.chars().count(), "words": job.text.split_whitespace().count()})
        } else {
            let line = "─".repeat(job.text.chars().count() + 2);
            json!({"outputText": format!("┌{line}┐\n│ {} │\n└{line}┘", job.text)})
        };
        JobStatus {
            node_outputs: Map::from_iter([(String::new(), output)]),
            created_at: Some(job.began),
            completed_at: Some(ends),
            ..JobStatus::of(JobState::Completed)
        }
    }
}

impl Provider for Desk {
    /// Says what the engine may rely on.
    fn promises(&self) -> Promises {
        Promises {
            idempotent: &[],
            findable: &[],
            settle_grace: None,
            cancellable: true,
            blind: None,
            batch_look: 100,
            webhooks: false,
            uploads: false,
            default_retry_after: Duration::from_secs(1),
            rate: None,
        }
    }

    fn kinds(&self) -> &'static [TargetKind] {
        &[TargetKind::Model]
    }

    /// The journal keeps learned durations under this name.
    fn base_url(&self) -> &'static str {
        "desk://here"
    }

    /// Contracts: with them, a wrong key or type in a workflow is an error before anything runs.
    fn catalog<'a>(&'a self, _: &'a Wanted) -> BoxFuture<'a, Answer<Vec<Contract>>> {
        let text = Port { required: true, ..Port::new("text", ValueKind::Text) };
        let contract = |id: &str, output| Contract {
            schema: None,
            modes: Vec::new(),
            unchecked: false,
            target: Target { kind: TargetKind::Model, id: id.to_owned() },
            name: id.to_owned(),
            description: None,
            cost: Some(0.0),
            output,
            open: false,
            ports: vec![text.clone()],
        };
        let contracts = vec![contract("desk/measure", None), contract("desk/frame", Some(ValueKind::Text))];
        async move { Answer::bare(Ok(contracts)) }.boxed()
    }

    /// Takes a job. Its intent is on disk when this is called; an error here must say whether it may have happened all the same.
    fn submit<'a>(&'a self, job: &'a JobRequest, _: &'a IdempotencyKey) -> BoxFuture<'a, Answer<Submitted>> {
        async {
            let Some(text) = job.inputs.get("text").and_then(Value::as_str) else {
                return Answer::bare(Err(Fault::new(FaultKind::Rejected, "there is no text")));
            };
            let new =
                Job { model: job.target.id.clone(), text: text.to_owned(), began: self.world.now(), cancelled: false };
            let status = self.status(&new);
            let mut jobs = self.jobs();
            let handle = JobHandle(format!("desk-{}", jobs.len() + 1));
            jobs.insert(handle.clone(), new);
            Answer::bare(Ok(Submitted { job: handle, status, look_at: None }))
        }
        .boxed()
    }

    /// Looks at jobs. Of several, those that it does not know are left out; a single one that it does not know is a fault.
    fn look<'a>(&'a self, wanted: &'a [job::Job]) -> BoxFuture<'a, Answer<Vec<(JobHandle, JobStatus)>>> {
        async move {
            let jobs = self.jobs();
            let found: Vec<_> =
                wanted.iter().filter_map(|job| Some((job.id.clone(), self.status(jobs.get(&job.id)?)))).collect();
            match wanted {
                [one] if found.is_empty() => {
                    Answer::bare(Err(Fault::new(FaultKind::NotFound, format!("there is no job {}", one.id))))
                }
                _ => Answer::bare(Ok(found)),
            }
        }
        .boxed()
    }

    fn recent(&self, _: Timestamp) -> BoxFuture<'_, Answer<Recent>> {
        async { Answer::bare(Ok(Recent { jobs: Vec::new(), complete: false })) }.boxed()
    }

    fn cancel<'a>(&'a self, wanted: &'a job::Job) -> BoxFuture<'a, Answer<Cancelled>> {
        async move {
            let mut jobs = self.jobs();
            match jobs.get_mut(&wanted.id) {
                Some(job) if self.status(job).state.is_terminal() => Answer::bare(Ok(Cancelled::TooLate)),
                Some(job) => {
                    job.cancelled = true;
                    Answer::bare(Ok(Cancelled::Done))
                }
                None => Answer::bare(Err(Fault::new(FaultKind::NotFound, format!("there is no job {}", wanted.id)))),
            }
        }
        .boxed()
    }

    fn upload<'a>(&'a self, _: &'a LocalFile) -> BoxFuture<'a, Answer<MediaRef>> {
        async { Answer::bare(Err(Fault::new(FaultKind::Rejected, "the desk takes no files"))) }.boxed()
    }

    fn account(&self) -> BoxFuture<'_, Answer<Account>> {
        async { Answer::bare(Ok(Account { credits: None, plan: None, usage: Vec::new() })) }.boxed()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let world = World::real();
    let desk: Arc<dyn Provider> = Arc::new(Desk { jobs: Mutex::default(), world: world.clone() });

    let (document, wrong) = spec::load(Arc::new(Source::new("two-headlines.yaml", WORKFLOW)), "two-headlines");
    let Some(document) = document.filter(|_| wrong.is_empty()) else { return Err(render::human(&wrong, false).into()) };
    let catalog = Catalog::new(desk.catalog(&Wanted::Kinds(desk.kinds().to_vec())).await.result?);
    let offer = Offer { catalog: Some(catalog), ..Offer::new("desk", desk.kinds()) };
    let outcome = plan::plan(&Arc::new(document), Some(&Given::default()), &[offer]);
    let Some(plan) = outcome.plan else { return Err(render::human(&outcome.diagnostics, false).into()) };

    let artifacts = tempfile::tempdir()?;
    let execution = Execution {
        providers: [("desk".to_owned(), desk)].into(),
        ..Execution::new(Arc::new(plan), world.run_id(), Journal::memory(), artifacts.path().to_owned(), world)
    };
    let (_cancel, signals) = mpsc::channel(1);
    let state = execution.run(signals, Vec::new()).await?;
    let outputs = state.outputs.as_ref().ok_or("the run has no outputs")?;
    println!("letters: {}", outputs["letters"]);
    println!("{}", outputs["poster"].as_str().unwrap_or_default());
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() {
        super::main().expect("the example runs");
    }
}
