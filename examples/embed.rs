//! Dagwood as a library: the whole path from a file to outputs, in one program.
//!
//! ```text
//! cargo run --example embed
//! ```
//!
//! It starts the emulator inside this process, so it needs no account and no network. For the real API, leave the emulator
//! out and give [`ArmoxSettings`] your key.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::{error::Error, path::Path, sync::Arc};

use dagwood::{
    contract::Catalog,
    diagnostic::render,
    job::TargetKind,
    journal::{
        Journal,
        event::{Event, Record},
        state::RunState,
    },
    plan::{self, Given, Offer},
    provider::{
        Provider, Wanted,
        armox::{Armox, ArmoxSettings},
    },
    run::{Execution, observer::Observer},
    sandbox::{self, Sandbox, Settings},
    secret::Secret,
    spec,
    world::World,
};
use serde_json::json;
use tokio::sync::mpsc;

/// What runs when nothing else is said.
const WORKFLOW: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/workflows/sketch-to-render.yaml");

/// Prints what a person would want to follow. It is told each event after it was written down.
struct Teller;

impl Observer for Teller {
    fn record(&mut self, record: &Record, state: &RunState) {
        match &record.event {
            Event::RunStarted(start) => println!("run {} of {} steps", record.run, start.steps.len()),
            Event::Submitted { step, job, .. } => println!("  {step}: accepted as job {job}"),
            Event::ArtifactSaved { step, file } => println!("  {step}: wrote {}", file.path),
            Event::StepSucceeded { step, .. } => println!("  {step}: done"),
            Event::StepFailed { step, error, .. } => println!("  {step}: failed: {}", error.message),
            Event::RunFinished { status, .. } => println!("{} for {} credits", status.as_str(), state.credits()),
            _ => {}
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // The world is the only door to clock, random numbers and environment.
    let world = World::real();

    // An API to talk to.
    let sandbox = Sandbox::start(Settings::default(), world.clone()).await?;
    let settings = ArmoxSettings { base_url: sandbox.base_url(), ..ArmoxSettings::new(Secret::new(sandbox::KEY)) };
    let armox: Arc<dyn Provider> = Arc::new(Armox::new(settings, world.clone())?);

    // Text becomes a document: the workflow, and where each part of it stands.
    let (document, wrong) = spec::open(Path::new(WORKFLOW), "sketch-to-render.yaml")?;
    let Some(document) = document.filter(|_| wrong.is_empty()) else { return Err(render::human(&wrong, false).into()) };

    // The document becomes a plan: checked against what the API says its models and apps take.
    let kinds = [TargetKind::Model, TargetKind::App];
    let catalog = Catalog::new(armox.catalog(&Wanted::Kinds(kinds.to_vec())).await.result?);
    let offer = Offer { catalog: Some(catalog), ..Offer::new("armox", &kinds) };
    let mut given = Given::default();
    given.inputs.insert("aspect".to_owned(), json!("1:1"));
    let outcome = plan::plan(&Arc::new(document), Some(&given), &[offer]);
    let Some(plan) = outcome.plan else { return Err(render::human(&outcome.diagnostics, false).into()) };
    for (number, wave) in plan.waves().iter().enumerate() {
        let ids: Vec<_> = wave.iter().map(|&ix| plan.step(ix).id.as_str()).collect();
        println!("wave {}: {}", number + 1, ids.join(", "));
    }

    // The plan becomes records, and the records a state. `Journal::open` would keep them in a folder.
    let artifacts = tempfile::tempdir()?;
    let execution = Execution {
        sandbox: true,
        providers: [("armox".to_owned(), armox)].into(),
        ..Execution::new(Arc::new(plan), world.run_id(), Journal::memory(), artifacts.path().to_owned(), world)
    };
    // Whoever holds the other end may send a `Signal`, and the run ends `cancelled`.
    let (_cancel, signals) = mpsc::channel(1);
    let state = execution.run(signals, vec![Box::new(Teller)]).await?;

    // A run that fails is no error of `run`: its state says so, step by step.
    let outputs = state.outputs.as_ref().ok_or("the run has no outputs")?;
    for (name, value) in outputs {
        println!("{name} = {value}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() {
        super::main().expect("the example runs");
    }
}
