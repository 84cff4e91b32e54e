//! What must hold after every schedule. Each check looks at what the journal says and at what the server knows, and at nothing that the
//! engine keeps in between.

use std::collections::{BTreeMap, BTreeSet};

use dagwood::{
    id::StepPath,
    job::JobHandle,
    journal::{
        event::{Event, Record, RunStatus, SettledBy},
        state::{RunState, StepState},
    },
    result::{ErrorKind, StepStatus},
};
use jiff::{SignedDuration, Timestamp};

use super::{
    Violation,
    dag::{Dag, PRICE},
    schedule::{Schedule, Story},
    server::{Class, Foreign, Job, Promise, Truth, class, later, outcome, place},
};

/// How long a key may be relied on.
const KEY_LIFE: SignedDuration = SignedDuration::from_hours(1);

/// One attempt of a step, as the journal tells it.
#[derive(Clone, Debug)]
struct Attempt {
    step: StepPath,
    number: u32,
    class: Class,
    key: String,
    /// The record of its first intent.
    intended: u64,
    job: Option<JobHandle>,
    /// The record by which it was over, and how, where it did not end by its result.
    over: Option<(u64, Option<ErrorKind>)>,
    /// The record by which the run first gave it up, since nobody could tell of it: what `finally` does from there on may be beside it.
    given_up: Option<u64>,
    /// Whether it was unanswered when a process took the run over.
    orphaned: bool,
    /// Whether it was unanswered when the run was cancelled.
    cancelled: bool,
    /// Whether it failed, and another was to follow.
    retried: bool,
}

impl Attempt {
    fn is_unknown(&self) -> bool {
        self.job.is_none() && self.over.is_some_and(|(_, kind)| kind == Some(ErrorKind::SubmitUnknown))
    }
}

/// Reads the attempts out of a journal.
fn attempts(records: &[Record]) -> Vec<Attempt> {
    let mut all: Vec<Attempt> = Vec::new();
    let mut latest: BTreeMap<StepPath, usize> = BTreeMap::new();
    let mut cancelled = false;
    for Record { seq, event, .. } in records {
        let open = |attempt: &&mut Attempt| attempt.job.is_none() && attempt.over.is_none();
        match event {
            Event::SubmitIntended { step, attempt, provider, target, inputs, key, .. } => {
                let known = latest.get(step).filter(|&&ix| all[ix].number == attempt.0);
                if known.is_none() {
                    latest.insert(step.clone(), all.len());
                    all.push(Attempt {
                        step: step.clone(),
                        number: attempt.0,
                        class: class(provider, &target.id, inputs),
                        key: key.0.clone(),
                        intended: *seq,
                        job: None,
                        over: None,
                        given_up: None,
                        orphaned: false,
                        cancelled,
                        retried: false,
                    });
                }
            }
            Event::Submitted { step, job, .. } => {
                if let Some(&ix) = latest.get(step) {
                    // What was unknown when the run ended may be found when it goes on.
                    (all[ix].job, all[ix].over) = (Some(job.clone()), None);
                }
            }
            Event::SubmitSettled { step, how: SettledBy::Absent, .. } => {
                if let Some(&ix) = latest.get(step) {
                    all[ix].over = None;
                }
            }
            Event::RetryScheduled { step, failed: Some(error), .. } => {
                if let Some(&ix) = latest.get(step) {
                    all[ix].over = all[ix].over.or(Some((*seq, Some(error.kind))));
                    all[ix].retried = true;
                }
            }
            Event::StepFailed { step, error, .. } => {
                if let Some(&ix) = latest.get(step) {
                    let unknown = (error.kind == ErrorKind::SubmitUnknown).then_some(*seq);
                    all[ix].given_up = all[ix].given_up.or(unknown);
                    all[ix].over = all[ix].over.or(Some((*seq, Some(error.kind))));
                }
            }
            Event::StepCancelled { step, .. } => {
                if let Some(&ix) = latest.get(step) {
                    all[ix].over = all[ix].over.or(Some((*seq, None)));
                }
            }
            Event::StepReady { step, .. } => {
                // It starts again: its job of before was called off by a run that did not come to write that down.
                if let Some(&ix) = latest.get(step) {
                    all[ix].over = all[ix].over.or(Some((*seq, None)));
                }
            }
            Event::CancelRequested { .. } => {
                cancelled = true;
                all.iter_mut().filter(open).for_each(|attempt| attempt.cancelled = true);
            }
            _ if is_resumption(event) => {
                cancelled = false;
                all.iter_mut().filter(open).for_each(|attempt| (attempt.orphaned, attempt.cancelled) = (true, false));
            }
            _ => {}
        }
    }
    all
}

fn is_unknown_end(event: &Event) -> bool {
    matches!(event, Event::RunFinished { status: RunStatus::SubmitUnknown, .. })
}

fn is_resumption(event: &Event) -> bool {
    matches!(event, Event::RunResumed {})
}

/// Checks a run that has ended for good; `calm` is the undisturbed one.
pub(super) fn story(dag: &Dag, schedule: &Schedule, calm: &RunState, story: &Story) -> Result<(), Violation> {
    let attempts = attempts(&story.records);
    for truth in story.truths.values() {
        let own: Vec<_> = attempts.iter().filter(|attempt| attempt.class.provider == truth.nature.alias).collect();
        intended(&own, truth)?;
        claimed(&own, truth)?;
        once(&own, truth)?;
        none_lost(&own, truth)?;
        unknown_only_where_nobody_can_tell(&own, truth, story)?;
    }
    restarted(&attempts, &story.records)?;
    limits(dag, schedule, &attempts, story)?;
    budget(dag, schedule, story)?;
    results(&attempts, &story.state)?;
    ends_as(dag, calm, story)
}

/// Nothing was sent of which the journal says nothing.
fn intended(attempts: &[&Attempt], truth: &Truth) -> Result<(), Violation> {
    let keys: BTreeSet<_> = attempts.iter().map(|attempt| attempt.key.as_str()).collect();
    match truth.sendings.keys().find(|key| !keys.contains(key.as_str())) {
        Some(key) => Err(Violation::new("an intent is on disk before its request leaves", key.clone())),
        None => Ok(()),
    }
}

/// A job belongs to one attempt, an attempt has one job, and the job does what was asked for.
fn claimed(attempts: &[&Attempt], truth: &Truth) -> Result<(), Violation> {
    let mut owners = BTreeMap::new();
    for attempt in attempts {
        let Some(handle) = &attempt.job else { continue };
        let job = &truth.jobs[place(handle)];
        if job.class != attempt.class {
            let how = format!("{attempt:?} has the job {job:?}");
            return Err(Violation::new("a step's job is what it asked for", how));
        }
        if job.key.is_none() && truth.nature.foreign != Foreign::Twins {
            return Err(Violation::new("a step has a job of this run", format!("{attempt:?} has the job {job:?}")));
        }
        if let Some(other) = owners.insert(handle, attempt) {
            return Err(Violation::new("no job belongs to two steps", format!("{other:?} and {attempt:?}")));
        }
    }
    Ok(())
}

/// As many jobs as attempts, at the most, of those that the API cannot tell apart.
fn once(attempts: &[&Attempt], truth: &Truth) -> Result<(), Violation> {
    let mut accepted: BTreeMap<&Class, Vec<&Job>> = BTreeMap::new();
    for job in truth.jobs.iter().filter(|job| job.key.is_some()) {
        accepted.entry(&job.class).or_default().push(job);
    }
    for (class, jobs) in accepted {
        let intents: Vec<_> = attempts.iter().filter(|attempt| attempt.class == *class).collect();
        if jobs.len() > intents.len() {
            let how = format!("{} jobs for {} attempts\n  {jobs:?}\n  {intents:?}", jobs.len(), intents.len());
            return Err(Violation::new("no job is submitted twice", how));
        }
    }
    Ok(())
}

/// Every job that was accepted is a step's, or of an attempt of which the run says that nobody can tell.
fn none_lost(attempts: &[&Attempt], truth: &Truth) -> Result<(), Violation> {
    let taken: BTreeSet<_> = attempts.iter().filter_map(|attempt| attempt.job.as_ref()).map(place).collect();
    let mut lost: BTreeMap<&Class, Vec<&Job>> = BTreeMap::new();
    for (ix, job) in truth.jobs.iter().enumerate() {
        if job.key.is_some() && !taken.contains(&ix) {
            lost.entry(&job.class).or_default().push(job);
        }
    }
    for (class, jobs) in lost {
        let alike = attempts.iter().filter(|attempt| attempt.class == *class);
        // Where another client made the same job, one of ours may have been taken for its.
        let strange =
            |attempt: &&&Attempt| attempt.job.as_ref().is_some_and(|job| truth.jobs[place(job)].key.is_none());
        let excused =
            alike.clone().filter(|attempt| attempt.is_unknown()).count() + alike.clone().filter(strange).count();
        if jobs.len() > excused {
            let how = format!("{jobs:?}\n  {:?}", alike.collect::<Vec<_>>());
            return Err(Violation::new("no job is lost", how));
        }
    }
    Ok(())
}

/// `submit_unknown` is the last resort.
fn unknown_only_where_nobody_can_tell(attempts: &[&Attempt], truth: &Truth, story: &Story) -> Result<(), Violation> {
    for attempt in attempts.iter().filter(|attempt| attempt.is_unknown()) {
        let sendings = truth.sendings.get(&attempt.key).cloned().unwrap_or_default();
        let (over, _) = attempt.over.expect("what is unknown is over");
        let asked = attempt.orphaned || sendings.lost > 0;
        let excused = attempt.cancelled
            || match truth.nature.promise {
                Promise::Nothing => asked,
                Promise::SameKey => {
                    let from = later(story.times[&attempt.intended], KEY_LIFE - story.astray);
                    asked && story.times[&over] >= from
                }
                Promise::List => {
                    let twin = truth.jobs.iter().any(|job| job.key.is_none() && job.class == attempt.class);
                    asked && (twin || truth.jobs.len() >= 100)
                }
            };
        if !excused {
            let how = format!("{:?}: {attempt:?}, {sendings:?}", truth.nature);
            return Err(Violation::new("`submit_unknown` only where nobody can tell", how));
        }
    }
    Ok(())
}

/// A step has a further attempt only where its `retry` or `fallback` asks for it, or where a process took the run over after the one before
/// had failed or was cancelled.
fn restarted(attempts: &[Attempt], records: &[Record]) -> Result<(), Violation> {
    let resumptions: Vec<_> = records.iter().filter(|record| is_resumption(&record.event)).map(|r| r.seq).collect();
    for attempt in attempts.iter().filter(|attempt| attempt.number > 1) {
        let before = attempts.iter().find(|other| other.step == attempt.step && other.number == attempt.number - 1);
        let excused = before.is_some_and(|before| {
            before.over.is_some_and(|(over, kind)| {
                kind != Some(ErrorKind::SubmitUnknown)
                    && over < attempt.intended
                    && (before.retried
                        || resumptions.iter().any(|&seq| before.intended < seq && seq < attempt.intended))
            })
        });
        if !excused {
            return Err(Violation::new("a further attempt has a reason", format!("{attempt:?} after {before:?}")));
        }
    }
    Ok(())
}

/// The jobs that run at the servers are never more than the limits allow, but for those that the run had to give up.
fn limits(dag: &Dag, schedule: &Schedule, attempts: &[Attempt], story: &Story) -> Result<(), Violation> {
    let mut all = Vec::new();
    for truth in story.truths.values() {
        let mut own = Vec::new();
        for (ix, job) in truth.jobs.iter().enumerate() {
            let Some(key) = &job.key else { continue };
            let holder = attempts
                .iter()
                .find(|a| a.job.as_ref().is_some_and(|job| a.class == truth.jobs[ix].class && place(job) == ix));
            let sender = attempts.iter().find(|attempt| attempt.key == *key);
            // Another client's equal job was taken for it: nobody holds it, and nobody could know.
            if holder.is_none() && sender.is_some_and(|attempt| attempt.job.is_some()) {
                continue;
            }
            let holder = holder.or(sender);
            let begins = later(job.accepted, -truth.nature.skew);
            let ends = later(job.over(), -truth.nature.skew);
            let over = holder.and_then(|attempt| attempt.over).map(|(seq, _)| seq);
            let released = [over, holder.and_then(|attempt| attempt.given_up)].into_iter().flatten().min();
            let ends = released.map_or(ends, |released| ends.min(story.times[&released]));
            if begins < ends {
                own.extend([(begins, 1), (ends, -1)]);
            }
        }
        if let Some(most) = schedule.jobs {
            at_most(&mut own, i64::from(most), "a provider has no more jobs than it is allowed")?;
        }
        all.append(&mut own);
    }
    at_most(&mut all, i64::from(dag.plan.concurrency), "no more jobs are in flight than the concurrency allows")
}

fn at_most(changes: &mut [(Timestamp, i64)], most: i64, what: &'static str) -> Result<(), Violation> {
    // An end comes before a begin at the same moment.
    changes.sort_unstable();
    let mut running = 0;
    for (at, change) in changes {
        running += *change;
        if running > most {
            return Err(Violation::new(what, format!("{running} run at {at}, {most} may")));
        }
    }
    Ok(())
}

/// What the servers keep of what they charged is within the budget; where nobody knows what a job costs, one may pass it.
fn budget(dag: &Dag, schedule: &Schedule, story: &Story) -> Result<(), Violation> {
    let Some(most) = schedule.budget else { return Ok(()) };
    let fails = |job: &Job| dag.models.iter().any(|model| model.fails && model.id == job.class.model);
    let kept = |job: &&Job| job.key.is_some() && !(fails(job) && job.cancelled.is_none());
    let charged: f64 = story.truths.values().flat_map(|truth| &truth.jobs).filter(kept).map(|_| PRICE).sum();
    let priced = dag.plan.steps().iter().all(|step| step.credits.is_some());
    let allowed = if priced { most } else { most + PRICE };
    if charged > allowed + 1e-9 {
        return Err(Violation::new(
            "a run spends no more than its budget",
            format!("{charged} of {most}, priced: {priced}"),
        ));
    }
    Ok(())
}

/// What came out of a step is what comes out of the job that it asked for.
fn results(attempts: &[Attempt], state: &RunState) -> Result<(), Violation> {
    for step in state.leaves().filter(|step| step.status() == Some(StepStatus::Succeeded) && step.kind().is_some()) {
        let attempt = attempts.iter().rev().find(|attempt| attempt.step == step.path);
        let expected = attempt.map(|attempt| outcome(&attempt.class));
        let found = text(step);
        if found != expected {
            let how = format!("{}: {found:?} instead of {expected:?}", step.path);
            return Err(Violation::new("a step has its own job's result", how));
        }
    }
    Ok(())
}

fn text(step: &StepState) -> Option<String> {
    let outputs = step.outputs.as_ref()?;
    let (_, output) = outputs.iter().next()?;
    Some(output.get("outputText")?.as_str()?.to_owned())
}

/// The run ends as the undisturbed one, unless nobody can tell of a submit. Where a job fails, how far the others get depends on who is
/// first; what succeeded in both is equal all the same.
fn ends_as(dag: &Dag, calm: &RunState, story: &Story) -> Result<(), Violation> {
    let state = &story.state;
    let is_short = |step: &StepState| step.error.as_ref().is_some_and(|error| error.kind == ErrorKind::BudgetExceeded);
    let unknown = state.status == RunStatus::SubmitUnknown || state.steps.iter().any(is_short);
    if state.status != calm.status && !unknown {
        let errors: Vec<_> = state.failed().map(|step| (&step.path, &step.error)).collect();
        let how = format!("{:?} instead of {:?}: {errors:?} {:?}", state.status, calm.status, state.error);
        return Err(Violation::new("the run ends as the undisturbed one", how));
    }
    // A step that can do without the lost one's result was over by then, and what is finished stays when the run goes on.
    let read_without = dag.rich && story.records.iter().any(|record| is_unknown_end(&record.event));
    let loose = unknown || read_without || dag.fails;
    if !loose && state.outputs != calm.outputs {
        let how = format!("{:?} instead of {:?}", state.outputs, calm.outputs);
        return Err(Violation::new("the outputs are those of the undisturbed run", how));
    }
    for step in state.steps.iter().filter(|step| !step.gone) {
        // Items begin in an order of their own.
        let Some(calm) = calm.position(&step.path).map(|ix| calm.step(ix)) else { continue };
        let both = [step, calm].iter().all(|step| step.status() == Some(StepStatus::Succeeded));
        // What a step reads may say how others ended.
        // So does `finally` where a signal came before it, and nothing started again behind that.
        let alike = (!loose || !(step.brief.finally || dag.rich)) && step.ended == calm.ended;
        if both && alike && step.outputs != calm.outputs {
            let how = format!("{}: {:?} instead of {:?}", step.path, step.outputs, calm.outputs);
            return Err(Violation::new("a step's outputs are those of the undisturbed run", how));
        }
        // Of several needed steps that were skipped, the one that was so first is named.
        let why = |step: &StepState| step.skipped.as_ref().map(std::mem::discriminant);
        if !loose && (step.phase, why(step)) != (calm.phase, why(calm)) {
            let seen = |step: &StepState| format!("{:?} {:?}", step.phase, step.skipped);
            let how = format!("{}: {} instead of {}", step.path, seen(step), seen(calm));
            return Err(Violation::new("a step ends as in the undisturbed run", how));
        }
    }
    Ok(())
}

/// The fold of what was written is the state that was lived, private parts included.
pub(super) fn folds(records: &[Record], live: &RunState) -> Result<(), Violation> {
    let folded = RunState::fold(records).map_err(|error| Violation::new("the journal folds", error.to_string()))?;
    if folded == *live {
        return Ok(());
    }
    let (folded, live) = (whole(&folded), whole(live));
    let differs = folded.iter().zip(&live).find(|(folded, live)| folded != live);
    match differs {
        Some((folded, live)) => {
            let same = folded.chars().zip(live.chars()).take_while(|(folded, live)| folded == live).count();
            let around = |text: &str| text.chars().skip(same.saturating_sub(120)).take(300).collect::<String>();
            let how = format!("folded: …{}\n  lived:  …{}", around(folded), around(live));
            Err(Violation::new("the fold is the live state", how))
        }
        None => Err(Violation::new("the fold is the live state", "in parts that have no words".to_owned())),
    }
}

fn whole(state: &RunState) -> Vec<String> {
    let mut parts: Vec<_> = state.steps.iter().map(|step| format!("{step:?}")).collect();
    parts.push(format!(
        "{:?}",
        (
            (state.run, &state.start, state.started_at, state.finished_at, state.last_at, state.seq, state.status),
            (&state.outputs, &state.error, state.cancelled_by, &state.agenda, &state.warnings),
            (state.open(), state.credits(), state.is_failing(), state.submitted(), state.has_unknown_submit()),
        )
    ));
    let providers = state.steps.iter().filter_map(|step| step.brief.provider.as_deref());
    parts.extend(
        providers.map(|name| format!("{name}: {:?}", (state.agenda.in_flight_at(name), state.limited_until(name)))),
    );
    parts
}
