//! Who is told at the end of a run: `notify`, one POST for each that wants to know of this end.
//!
//! It is told once the end is settled and before it is recorded, so that what goes wrong with it is a warning of the run. A process that dies
//! in between tells it again when the run goes on. A few tries, and not for long: a run does not wait for a chat server.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use serde_json::{Map, Value, json};

use super::Driver;
use crate::{
    id::StepPath,
    job::{IdempotencyKey, JobRequest, Operation, Target, TargetKind},
    journal::event::{EndedAs, Event, RunStatus},
    plan::{PlannedNotify, RunEnd},
    provider::{Provider, web::Web},
    result::{StepError, StepStatus},
    run::backoff,
    template::Root,
};

/// How long one POST may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is tried.
const TRIES: u32 = 3;

impl Driver {
    /// Tells everybody who wants to know of this end.
    pub(super) async fn notify(
        &mut self,
        status: RunStatus,
        outputs: Option<&Map<String, Value>>,
        error: Option<&StepError>,
    ) {
        let plan = Arc::clone(&self.plan);
        let end = match status {
            RunStatus::Succeeded => RunEnd::Succeeded,
            RunStatus::Cancelled => RunEnd::Cancelled,
            RunStatus::Failed | RunStatus::SubmitUnknown | RunStatus::Running => RunEnd::Failed,
        };
        // A run that was called off and left its jobs running is not over.
        if self.detach && self.state.cancelled_by.is_some() {
            return;
        }
        for notify in plan.notify.iter().filter(|notify| notify.on.contains(&end)) {
            if let Err(why) = self.tell(notify, status, outputs, error).await {
                let message = format!("`notify` did not reach its URL ({}): {why}", self.place_at_top(notify));
                self.record(Event::Warning { step: None, message });
            }
        }
    }

    fn place_at_top(&self, notify: &PlannedNotify) -> String {
        let document = &self.plan.document;
        let position = document.source.position(document.map.value(&notify.pointer.join("url")).start);
        format!("{}:{}:{}", document.source.name, position.line, position.column)
    }

    async fn tell(
        &mut self,
        notify: &PlannedNotify,
        status: RunStatus,
        outputs: Option<&Map<String, Value>>,
        error: Option<&StepError>,
    ) -> Result<(), String> {
        let facts = self.run_facts(Some(&EndedAs { status, ..self.ended_as(0) }));
        let scope = self.scope.clone().with(Root::Run, &facts);
        let url = notify.url.render(&scope).map_err(|(_, error)| error.message)?;
        let url = url.as_str().ok_or("its URL is no text")?.to_owned();
        let body = if notify.slack { self.for_slack(status, error) } else { self.as_json(status, outputs, error) };
        let secrets = self.plan.secrets.values().chain(self.plan.secret_inputs.values()).cloned();
        let web = Web::new(secrets, self.sandbox, self.world.clone()).map_err(|problem| problem.to_string())?;
        let request = JobRequest {
            target: Target { kind: TargetKind::Http, id: "POST".to_owned() },
            inputs: Map::from_iter([
                ("method".to_owned(), json!("POST")),
                ("url".to_owned(), json!(url)),
                ("json".to_owned(), body),
            ]),
            operation: Operation::default(),
        };
        let key = IdempotencyKey(format!("{}/notify", self.state.run));
        for tries in 1.. {
            let answer = tokio::select! {
                biased;
                answer = web.submit(&request, &key) => answer.result,
                () = self.world.sleep(PATIENCE) => return Err("no answer came in time".to_owned()),
            };
            match answer {
                Ok(_) => return Ok(()),
                // To tell twice does no harm, so a server's own trouble is tried again, too.
                Err(fault) if tries < TRIES && (fault.is_transient() || fault.status >= Some(500)) => {
                    self.world.sleep(backoff::wait(tries, self.world.random())).await;
                }
                Err(fault) => return Err(fault.message),
            }
        }
        unreachable!("tries have a bound")
    }

    fn failed_paths(&self) -> Vec<&StepPath> {
        let failed = self.state.failed().filter(|step| step.status() == Some(StepStatus::Failed));
        failed.map(|step| &step.path).collect()
    }

    fn as_json(&self, status: RunStatus, outputs: Option<&Map<String, Value>>, error: Option<&StepError>) -> Value {
        let now = self.world.now();
        let seconds = now.duration_since(self.state.started_at).as_secs_f64();
        json!({
            "run": self.state.run,
            "workflow": self.state.start.workflow,
            "status": status,
            "started_at": format!("{:.3}", self.state.started_at),
            "finished_at": format!("{now:.3}"),
            "seconds": (seconds * 1000.0).round() / 1000.0,
            "jobs": self.state.submitted(),
            "credits": self.state.credits(),
            "failed_steps": self.failed_paths(),
            "outputs": outputs,
            "error": error,
        })
    }

    fn for_slack(&self, status: RunStatus, error: Option<&StepError>) -> Value {
        let (symbol, how) = match status {
            RunStatus::Succeeded => ("✔", "succeeded"),
            RunStatus::Cancelled => ("■", "was cancelled"),
            RunStatus::SubmitUnknown => ("✖", "stopped: whether a job was accepted is unknown"),
            RunStatus::Failed | RunStatus::Running => ("✖", "failed"),
        };
        let mut text = format!("{symbol} *{}* {how}", self.state.start.workflow);
        let failed: Vec<_> = self.failed_paths().into_iter().map(|path| format!("`{path}`")).collect();
        if !failed.is_empty() {
            let _ = write!(text, " at {}", failed.join(", "));
        }
        if let Some(error) = error {
            let _ = write!(text, ": {}", error.message.lines().next().unwrap_or_default());
        }
        if self.state.credits() > 0.0 {
            let _ = write!(text, " ({} credits)", self.state.credits());
        }
        let _ = write!(text, "\nrun {}", self.state.run);
        json!({ "text": text })
    }
}
