//! Hand-made runs for the tests of this module.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::{
    id::{Attempt, Digest, RunId, StepPath},
    job::{IdempotencyKey, JobHandle, JobState, Target, TargetKind},
    journal::{
        event::{Event, Limit, Payload, Record, RunStarted, RunStatus, StepBrief},
        state::RunState,
    },
    result::{ErrorKind, JobFacts, SavedFile, StepError},
    run::observer::Observer,
};

/// What was written, readable from outside the writer.
#[derive(Clone, Default)]
pub(super) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    pub(super) fn writer(&self) -> Box<dyn Write + Send> {
        Box::new(self.clone())
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.lock().expect("no test panics while it writes").clone()
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.bytes()).expect("UTF-8")
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no test panics while it writes").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Tells an observer a whole run.
pub(super) fn observe(records: &[Record], observer: &mut dyn Observer) -> RunState {
    let mut state = RunState::begin(&records[0]).expect("a run begins");
    observer.record(&records[0], &state);
    for record in &records[1..] {
        state.apply(record).expect("the next record");
        observer.record(record, &state);
    }
    state
}

/// Folds a whole run.
pub(super) fn fold(records: &[Record]) -> RunState {
    RunState::fold(records).expect("a run")
}

/// Says when the hand-made runs begin.
pub(super) fn noon() -> Timestamp {
    "2026-11-24T12:00:03Z".parse().expect("a time")
}

/// A step of a hand-made run: id, verb, target, needs, credits.
pub(super) type Step<'a> = (&'a str, &'a str, &'a str, &'a [u32], Option<f64>);

/// Writes records one after the other.
pub(super) struct Script {
    pub(super) records: Vec<Record>,
    at: Timestamp,
}

impl Script {
    /// Begins a run of these steps.
    pub(super) fn new(workflow: &str, steps: &[Step<'_>]) -> Self {
        let steps = steps
            .iter()
            .map(|(step, verb, target, needs, credits)| StepBrief {
                target: (*target).to_owned(),
                provider: (!target.is_empty()).then(|| "armox".to_owned()),
                needs: needs.to_vec(),
                rank: 1000 * (10 - needs.len() as u64),
                credits: *credits,
                seconds: credits.map(|_| 60.0),
                ..StepBrief::bare(path(step), verb)
            })
            .collect();
        let mut script = Self { records: Vec::new(), at: noon() };
        script.push(Event::RunStarted(Box::new(RunStarted {
            format: 1,
            workflow: workflow.to_owned(),
            file: format!("workflows/{workflow}.yaml"),
            plan: Digest::of(workflow.as_bytes()),
            labels: [("team".to_owned(), "launch".to_owned())].into(),
            inputs: map(json!({"brief": "a living room", "token": {"$secret": "ab"}})),
            concurrency: 16,
            sandbox: true,
            definition: None,
            budget: Limit::default(),
            group: None,
            artifacts: None,
            of: None,
            failure_policy: crate::plan::FailurePolicy::default(),
            timeout_ms: None,
            workflows: Vec::new(),
            credits: None,
            steps,
        })));
        script
    }

    pub(super) fn push(&mut self, event: Event) -> &mut Self {
        let seq = self.records.len() as u64 + 1;
        self.records.push(Record { seq, at: self.at, run: RunId::new(1_764_000_000_000, [7; 10]), event });
        self
    }

    /// Lets time pass.
    pub(super) fn wait(&mut self, seconds: f64) -> &mut Self {
        #[expect(clippy::cast_possible_truncation, reason = "a test's seconds are few")]
        let milliseconds = (seconds * 1000.0) as i64;
        self.at += SignedDuration::from_millis(milliseconds);
        self
    }

    pub(super) fn intend(&mut self, step: &str, target: &str) -> &mut Self {
        self.push(Event::StepReady { step: path(step), ended: None });
        self.send(step, target)
    }

    pub(super) fn send(&mut self, step: &str, target: &str) -> &mut Self {
        self.push(Event::SubmitIntended {
            step: path(step),
            attempt: Attempt::FIRST,
            provider: "armox".to_owned(),
            base_url: "https://armox.test/v1".to_owned(),
            target: Target { kind: TargetKind::Model, id: target.to_owned() },
            inputs: map(json!({"prompt": "a living room"})),
            operation: Box::default(),
            key: IdempotencyKey("k".to_owned()),
            cache: None,
            class: None,
            server_at: None,
            given: Vec::new(),
        })
    }

    pub(super) fn submit(&mut self, step: &str, target: &str, credits: f64) -> &mut Self {
        self.intend(step, target).wait(0.2).accept(step, credits)
    }

    pub(super) fn accept(&mut self, step: &str, credits: f64) -> &mut Self {
        let job = JobHandle(uuid(step));
        self.push(Event::Submitted {
            step: path(step),
            attempt: Attempt::FIRST,
            job,
            state: JobState::Processing,
            credits_charged: Some(credits),
            look_at: None,
        })
    }

    pub(super) fn look(
        &mut self,
        step: &str,
        status: JobState,
        outputs: Option<Value>,
        error: Option<&str>,
    ) -> &mut Self {
        let job = JobFacts {
            id: JobHandle(uuid(step)),
            provider: "armox".to_owned(),
            status,
            credits_charged: None,
            tokens_used: None,
            latency_ms: None,
            created_at: Some(self.at),
            completed_at: None,
        };
        let outputs = outputs.map(|outputs| Payload::new(map(outputs)));
        self.push(Event::JobObserved { step: path(step), job, outputs, error: error.map(str::to_owned) })
    }

    pub(super) fn save(&mut self, step: &str, file: &str) -> &mut Self {
        let file = SavedFile {
            path: file.to_owned(),
            url: Some(format!("https://cdn.test/{file}")),
            sha256: "00".repeat(32),
            bytes: 1234,
            content_type: "image/png".to_owned(),
        };
        self.push(Event::ArtifactSaved { step: path(step), file })
    }

    pub(super) fn succeed(&mut self, step: &str) -> &mut Self {
        self.push(Event::StepSucceeded {
            step: path(step),
            outputs: None,
            cached: false,
            of: None,
            job: None,
            files: Vec::new(),
            given: Vec::new(),
        })
    }

    pub(super) fn fail(&mut self, step: &str, kind: ErrorKind, message: &str) -> &mut Self {
        let error = StepError { kind, message: message.to_owned() };
        self.push(Event::StepFailed { step: path(step), error, handled: false })
    }

    pub(super) fn finish(&mut self, status: RunStatus, outputs: Option<Value>) -> &mut Self {
        self.push(Event::RunFinished { status, outputs: outputs.map(map), error: None })
    }
}

pub(super) fn path(step: &str) -> StepPath {
    step.parse().expect("a step path")
}

pub(super) fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => panic!("a map was expected"),
    }
}

fn uuid(step: &str) -> String {
    let digest = Digest::of(step.as_bytes()).to_string();
    format!("{}-{}-{}-{}-{}", &digest[..8], &digest[8..12], &digest[12..16], &digest[16..20], &digest[20..32])
}

/// The steps of the hand-made diamond.
const DIAMOND: [Step<'static>; 4] = [
    ("render", "app", "Sketch to Render", &[], Some(200.0)),
    ("crops", "model", "google/nano-banana", &[0], Some(210.0)),
    ("clip", "model", "kling/video", &[0], Some(210.0)),
    ("caption", "set", "", &[1, 2], None),
];

/// A diamond that succeeds in 1m41s.
pub(super) fn diamond() -> Vec<Record> {
    let mut script = Script::new("product-launch", &DIAMOND);
    script.wait(0.2).submit("render", "app_1", 200.0).wait(91.0);
    script.look(
        "render",
        JobState::Completed,
        Some(json!({"n1": {"outputImage": "https://cdn.test/render.png"}})),
        None,
    );
    script.succeed("render");
    script.submit("crops", "google/nano-banana", 210.0).submit("clip", "kling/video", 210.0).wait(8.0);
    let crops: Vec<String> = (0..3).map(|n| format!("https://cdn.test/crop-{n}.png")).collect();
    script.look("crops", JobState::Completed, Some(json!({"crops": {"outputImages": crops}})), None);
    script
        .save("crops", "crops/0.png")
        .save("crops", "crops/1.png")
        .save("crops", "crops/2.png")
        .succeed("crops")
        .wait(1.0);
    script.look("clip", JobState::Completed, Some(json!({"clip": {"outputVideo": "https://cdn.test/clip.mp4"}})), None);
    script.succeed("clip");
    script.push(Event::StepSucceeded {
        step: path("caption"),
        outputs: Some(Payload::new(map(json!({"caption": {"text": "From a pencil line to a living room."}})))),
        cached: false,
        of: None,
        job: None,
        files: Vec::new(),
        given: Vec::new(),
    });
    let outputs = json!({
        "hero": "https://cdn.test/render.png",
        "caption": "From a pencil line to a living room.",
        "crops": crops,
    });
    script.finish(RunStatus::Succeeded, Some(outputs));
    script.records
}

/// A diamond whose clip fails after the crops succeeded.
pub(super) fn failing() -> Vec<Record> {
    let mut script = Script::new("product-launch", &DIAMOND);
    script.wait(0.2).submit("render", "app_1", 200.0).wait(91.0);
    script.look(
        "render",
        JobState::Completed,
        Some(json!({"n1": {"outputImage": "https://cdn.test/render.png"}})),
        None,
    );
    script.succeed("render");
    script.submit("crops", "google/nano-banana", 210.0).intend("clip", "kling/video");
    script.push(Event::RetryScheduled {
        step: path("clip"),
        attempt: Attempt::FIRST,
        due: script.at + SignedDuration::from_secs(4),
        rate_limited: true,
        unsettled: false,
        failed: None,
        fallback: None,
        why: "too many requests".to_owned(),
    });
    script.push(Event::RateLimited { provider: "armox".to_owned(), until: script.at + SignedDuration::from_secs(4) });
    script.push(Event::Warning { step: Some(path("crops")), message: "the API calls the job `warming`".to_owned() });
    script.wait(4.0).send("clip", "kling/video").wait(0.1).accept("clip", 210.0).wait(2.0);
    script.look("crops", JobState::Completed, Some(json!({"crops": {"outputImage": "https://cdn.test/c.png"}})), None);
    script.succeed("crops");
    script.look("clip", JobState::Failed, None, Some("the prompt was refused\u{1b}[2J"));
    script.fail(
        "clip",
        ErrorKind::JobFailed,
        "the job failed: the prompt was refused\u{1b}[2J\n  --> workflows/product-launch.yaml:30:7\n::error::boo",
    );
    script.push(Event::StepSkipped {
        step: path("caption"),
        why: crate::journal::event::SkipReason::Needs(path("clip")),
    });
    script.finish(RunStatus::Failed, None);
    script.records
}

/// A run whose second submit's answer is lost.
pub(super) fn unknown() -> Vec<Record> {
    let mut script = Script::new("product-launch", &DIAMOND[..2]);
    script.wait(0.2).submit("render", "app_1", 200.0).wait(91.0);
    script.look(
        "render",
        JobState::Completed,
        Some(json!({"n1": {"outputImage": "https://cdn.test/render.png"}})),
        None,
    );
    script.succeed("render").intend("crops", "google/nano-banana").wait(1.0);
    script.fail("crops", ErrorKind::SubmitUnknown, "the connection closed before an answer came");
    script.finish(RunStatus::SubmitUnknown, None);
    script.records
}
