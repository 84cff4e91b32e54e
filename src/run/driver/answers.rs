//! What the messages of tasks mean: answers to submits and looks, ends of jobs, saved files. Each becomes records, or a later look.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{APPEARS_TRIES, APPEARS_WITHIN, BLIND_TRIES, Driver, Message, RunError, milliseconds_up, succeeded};
use crate::{
    id::Attempt,
    job::{Fault, FaultKind, Job, JobHandle, JobState, JobStatus, Submitted, Target, TargetKind},
    journal::{
        event::{Event, Payload, SettledBy},
        state::{Phase, StepIndex},
    },
    plan::Work,
    provider::Answer,
    result::{ErrorKind, JobFacts, SavedFile, StepError},
    run::{
        attempt::{Told, Why},
        decide::{Repeat, Unanswered, after_submit, failure, later},
        save::Problem,
    },
};

impl Driver {
    pub(super) fn take(&mut self, message: Result<Message, tokio::task::JoinError>) -> Result<(), RunError> {
        match message {
            Ok(Message::Submitted { step, answer }) => self.submitted(step, *answer),
            Ok(Message::Settled { step, settled, told }) => self.settled(step, settled, &told)?,
            Ok(Message::SettledElsewhere { step, intent, settled, told }) => {
                self.settled_elsewhere(step, *intent, &settled, &told)?;
            }
            Ok(Message::Examined { lane, path, found }) => self.examined(&lane, &path, found),
            Ok(Message::HandedOver { lane, file, digest, result, told }) => {
                self.handed_over(&lane, &file, digest, result, &told);
            }
            Ok(Message::Looked { lane, jobs, answer }) => self.looked(&lane, jobs, *answer),
            Ok(Message::Ended { step, why, status, confirmed, told, note }) => {
                if let Some(note) = note {
                    self.warn_once(step, note);
                }
                self.ended(step, why, status.map(|status| *status), confirmed, &told);
            }
            Ok(Message::Saved { step, files, problem }) => self.saved(step, files, problem),
            Ok(Message::Unwritten(error)) => return Err(error.into()),
            Err(error) if error.is_cancelled() => {}
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
        Ok(())
    }

    /// Tells a key's limiter what an answer said, and records a 429. Returns until when the key is held back.
    pub(super) fn heed(&mut self, name: &str, told: &Told) -> Option<Timestamp> {
        let now = self.world.now();
        let lane = self.lanes.get_mut(name).expect("a lane for every provider of the plan was made at the start");
        let (rate, fault) = told;
        let until = lane.limiter.answered(rate, fault.as_ref(), lane.promises.default_retry_after, now)?;
        if self.state.limited_until(name).is_none_or(|before| before < milliseconds_up(until)) {
            self.record(Event::RateLimited { provider: name.to_owned(), until });
        }
        Some(until)
    }

    fn submitted(&mut self, ix: StepIndex, answer: Answer<Submitted>) {
        self.submits.remove(&ix);
        let name = self.lane_name(ix).expect("a submitted step has a provider");
        let limited = self.heed(&name, &(answer.rate, answer.result.as_ref().err().cloned()));
        if self.state.step(ix).phase != Phase::Submitting {
            return;
        }
        match answer.result {
            Ok(submitted) => {
                if self.state.step(ix).unsettled {
                    self.record_settled(ix, SettledBy::SameKey);
                }
                self.accepted(ix, submitted);
            }
            Err(fault) if self.renew(ix, &fault) => {}
            Err(fault) => self.unanswered(ix, &fault, limited),
        }
    }

    /// Takes a submit that was accepted.
    pub(super) fn accepted(&mut self, ix: StepIndex, Submitted { job, status, look_at }: Submitted) {
        self.fence.sent.remove(&ix);
        let attempt = self.state.step(ix).attempt.unwrap_or(Attempt::FIRST);
        self.record(Event::Submitted {
            step: self.path(ix),
            attempt,
            job,
            state: status.state.clone(),
            credits_charged: status.credits_charged,
            look_at,
        });
        if status.state.is_terminal() {
            return self.observe(ix, status);
        }
        self.warn(ix, &status);
        let (now, planned) = (self.world.now(), self.planned(ix));
        let (poll, timeout) = (planned.poll, planned.timeout);
        let job = self.job(ix).expect("it was just submitted");
        let lane = self.lane(ix);
        let learned = lane.learned.get(&job.target).map(|&learned| learned.min(timeout / 2));
        let id = job.id.clone();
        lane.poller.watch(ix, job, poll, learned, now);
        self.take_early(ix, &id);
    }

    /// Takes a submit that was not answered, or refused.
    fn unanswered(&mut self, ix: StepIndex, fault: &Fault, limited_until: Option<Timestamp>) {
        let (now, random) = (self.world.now(), self.world.random());
        let (repeat, timeout) = (self.repeat(ix), self.planned(ix).timeout);
        let unanswered = Unanswered { fault, repeat, timeout, limited_until, random, now };
        let event = after_submit(&self.state, ix, &unanswered);
        self.record(event);
    }

    /// Says whether the submit of a step may be sent again though an earlier sending may have been accepted.
    pub(super) fn repeat(&self, ix: StepIndex) -> Repeat {
        let target = self.target(ix);
        let lane = self.lane_of(ix);
        match (lane.provider.is_idempotent(&target), target.kind) {
            (true, TargetKind::Http) => Repeat::Harmless,
            (true, _) => Repeat::SameKey,
            (false, kind) if lane.promises.findable.contains(&kind) => Repeat::Findable,
            (false, _) => Repeat::Never,
        }
    }

    pub(super) fn target(&self, ix: StepIndex) -> Target {
        match self.work(ix) {
            Work::Run { contract, .. } => contract.contract().target.clone(),
            Work::Set(_) | Work::Workflow { .. } => unreachable!("only what an API runs has a target"),
        }
    }

    fn looked(&mut self, name: &str, jobs: Vec<(StepIndex, Job)>, answer: Answer<Vec<(JobHandle, JobStatus)>>) {
        self.heed(name, &(answer.rate, answer.result.as_ref().err().cloned()));
        let lane = self.lanes.get_mut(name).expect("a lane for every provider of the plan was made at the start");
        lane.poller.looked();
        let single = jobs.len() == 1;
        match answer.result {
            Ok(found) => {
                let mut found: HashMap<_, _> = found.into_iter().collect();
                for (ix, job) in jobs {
                    match found.remove(&job.id) {
                        Some(status) => self.observe(ix, status),
                        None if single => self.missing(ix, &job.id),
                        None => {
                            let now = self.world.now();
                            self.lane(ix).poller.unlisted(ix, now);
                        }
                    }
                }
            }
            Err(fault) => {
                for (ix, job) in jobs {
                    match fault.kind {
                        FaultKind::NotFound if single => self.missing(ix, &job.id),
                        FaultKind::Unauthorized | FaultKind::Forbidden => {
                            let kind = if fault.kind == FaultKind::Forbidden {
                                ErrorKind::Forbidden
                            } else {
                                ErrorKind::Unauthorized
                            };
                            let message = format!("{}; the job {} may still run", fault.message, job.id);
                            self.give_up(ix, kind, message);
                        }
                        _ => self.look_failed(ix, &fault.message),
                    }
                }
            }
        }
    }

    fn look_failed(&mut self, ix: StepIndex, message: &str) {
        let (now, random) = (self.world.now(), self.world.random());
        // One failed look is nothing; a few in a row are worth a word.
        if self.lane(ix).poller.failed(ix, random, now) == 3 {
            let message = format!("{message}; looking again until the step's timeout");
            self.warn_once(ix, message);
        }
    }

    /// Takes an answer that says that there is no such job: right after its acceptance it may still appear. Where looks are not documented,
    /// it says nothing of the job.
    fn missing(&mut self, ix: StepIndex, job: &JobHandle) {
        let (now, random) = (self.world.now(), self.world.random());
        let lane = self.lane(ix);
        let age = lane.poller.watched_for(ix, now);
        let times = lane.poller.missing(ix, random, now);
        if let Some(words) = lane.promises.blind {
            if age.is_some() && times >= BLIND_TRIES {
                let message = format!(
                    "the API accepted the job {job}, but {times} looks in a row did not find it: {words}. Nobody can tell how it ends, so \
                     it is not submitted again"
                );
                self.give_up(ix, ErrorKind::SubmitUnknown, message);
            }
            return;
        }
        if age.is_some_and(|age| age > APPEARS_WITHIN || times >= APPEARS_TRIES) {
            let message = format!("the API does not know the job {job} any more; it is not submitted again");
            self.give_up(ix, ErrorKind::JobVanished, message);
        }
    }

    fn give_up(&mut self, ix: StepIndex, kind: ErrorKind, message: String) {
        self.lane(ix).poller.unwatch(ix);
        if self.state.step(ix).phase == Phase::Running && !self.acting.contains(&ix) {
            self.fail(ix, kind, message);
        }
    }

    /// Takes what a look showed; what has not changed is not recorded.
    fn observe(&mut self, ix: StepIndex, status: JobStatus) {
        let (now, random) = (self.world.now(), self.world.random());
        let step = self.state.step(ix);
        if step.phase != Phase::Running || self.acting.contains(&ix) {
            return;
        }
        self.warn(ix, &status);
        if status.state.is_terminal() {
            self.lane(ix).poller.unwatch(ix);
            if status.state == JobState::Completed {
                self.learn(ix, &status);
            }
            let late = self.overdue.remove(&ix) && status.state != JobState::Completed;
            self.observed(ix, status);
            if late {
                let message = self.no_result(ix, "it has ended by now");
                self.fail(ix, ErrorKind::Timeout, message);
            }
        } else {
            self.lane(ix).poller.seen(ix, random, now);
            if self.state.step(ix).job.as_ref().is_none_or(|job| job.status != status.state) {
                self.observed(ix, status);
            }
        }
    }

    fn observed(&mut self, ix: StepIndex, status: JobStatus) {
        let id = self.planned(ix).id.to_string();
        let step = self.state.step(ix);
        let before = step.job.as_ref().expect("a job that is observed was submitted");
        let job = JobFacts {
            id: before.id.clone(),
            provider: before.provider.clone(),
            status: status.state.clone(),
            credits_charged: status.credits_charged.or(before.credits_charged),
            tokens_used: status.tokens_used.or(before.tokens_used),
            latency_ms: status.latency_ms.or(before.latency_ms),
            created_at: status.created_at.or(before.created_at),
            completed_at: status.completed_at,
        };
        // A run of a single model has one node without a name: it is called after the step.
        let named = |(node, value): (String, Value)| (if node.is_empty() { id.clone() } else { node }, value);
        let outputs = (status.state == JobState::Completed)
            .then(|| Payload::new(status.node_outputs.into_iter().map(named).collect::<Map<_, _>>()));
        self.record(Event::JobObserved { step: self.path(ix), job, outputs, error: status.error });
    }

    /// Notes how long a job took: by the API's own clock where it says so.
    fn learn(&mut self, ix: StepIndex, status: &JobStatus) {
        let now = self.world.now();
        let step = self.state.step(ix);
        let measured = match (status.created_at, status.completed_at) {
            (Some(created), Some(completed)) if completed >= created => completed.duration_since(created),
            _ => now.duration_since(step.intended_at.unwrap_or(now)),
        };
        let (target, run) = (self.target(ix), self.state.run);
        let known_as = self.lane(ix).known_as.clone();
        self.journal.learn(run, &known_as, &target, measured.as_secs_f64().max(0.0));
    }

    fn warn(&mut self, ix: StepIndex, status: &JobStatus) {
        for warning in &status.warnings {
            self.warn_once(ix, warning.clone());
        }
    }

    fn warn_once(&mut self, ix: StepIndex, message: String) {
        if self.warned.insert((ix, message.clone())) {
            let step = Some(self.path(ix));
            self.record(Event::Warning { step, message });
        }
    }

    /// Takes the end of a job that was to end before its time.
    fn ended(&mut self, ix: StepIndex, why: Why, status: Option<JobStatus>, confirmed: bool, told: &[Told]) {
        self.acting.remove(&ix);
        let name = self.lane_name(ix).expect("a step with a job has a provider");
        for told in told {
            self.heed(&name, told);
        }
        if let Some(status) = status
            && status.state != JobState::Cancelled
        {
            // It was done all the same: that counts.
            return self.observe(ix, status);
        }
        if self.state.step(ix).phase != Phase::Running {
            return;
        }
        if confirmed {
            self.observed(ix, JobStatus::of(JobState::Cancelled));
            if why == Why::Timeout && self.state.step(ix).leftover {
                // A job of before the run was resumed: what it left to do starts again.
                return;
            }
        }
        match why {
            Why::Cancel => {
                let step = self.path(ix);
                self.record(Event::StepCancelled { step, confirmed: Some(confirmed) });
            }
            Why::Timeout if self.overdue.contains(&ix) && !confirmed => self.never_ended(ix),
            Why::Timeout => {
                let message = if confirmed {
                    self.no_result(ix, "the job was cancelled")
                } else {
                    self.no_result(ix, "cancelling the job was not confirmed, so it may still run")
                };
                let event = failure(&self.state, ix, ErrorKind::Timeout, message, self.world.now());
                if !confirmed && matches!(event, Event::RetryScheduled { .. }) {
                    return self.wait_for_end(ix);
                }
                self.record(event);
            }
        }
    }

    fn no_result(&self, ix: StepIndex, what: &str) -> String {
        format!("no result within {}; {what}", crate::spec::duration::Period(self.planned(ix).timeout))
    }

    /// Looks on at a job that did not end in time, and whose end is not confirmed: another one is submitted only once it is over.
    fn wait_for_end(&mut self, ix: StepIndex) {
        let (now, planned) = (self.world.now(), self.planned(ix));
        let (timeout, poll) = (planned.timeout, planned.poll);
        self.overdue.insert(ix);
        self.deadlines.insert((later(now, timeout), ix));
        if let Some(job) = self.job(ix) {
            self.lane(ix).poller.watch(ix, job, poll, None, now);
        }
    }

    /// Gives up a step whose old job does not end, so that no other may be submitted.
    fn never_ended(&mut self, ix: StepIndex) {
        let message = self.no_result(
            ix,
            "the job could not be cancelled and has not ended since, so nobody can tell what becomes of it, and no other is submitted",
        );
        self.fail(ix, ErrorKind::SubmitUnknown, message);
    }

    fn saved(&mut self, ix: StepIndex, files: Vec<SavedFile>, problem: Option<Problem>) {
        self.acting.remove(&ix);
        let hit = self.hits.remove(&ix);
        for file in files {
            let step = self.path(ix);
            self.record(Event::ArtifactSaved { step, file });
        }
        match (problem, hit) {
            (None, Some(hit)) => self.taken(ix, hit),
            (None, None) => {
                let step = self.path(ix);
                self.record(succeeded(step, None));
            }
            (Some(Problem::Gone(why)), Some(_)) => self.miss(ix, &why),
            (Some(Problem::Gone(message)), None) => self.fail(ix, ErrorKind::Artifact, message),
            (Some(Problem::Step(StepError { kind, message })), _) => self.fail(ix, kind, message),
        }
    }
}
