//! What `dagwood plan` shows: the waves, each request with what is already known filled in, and what it costs.
//!
//! Data only; the command line draws it. No secret is in it: a template that mentions one stays its text.

use std::cell::RefCell;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Budget, Plan, PlannedInput, SavePath, StepIx, Trigger, Work,
    count::{self, Requests},
    estimate::{self, Credits},
    room::Room,
    save,
};
use crate::{
    id::{Digest, StepId},
    spec::OnConflict,
    template::{Root, Scope, Template},
    tree::Tree,
};

/// A plan as data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Preview {
    /// The workflow's name.
    pub name: String,
    /// The plan's digest: the same text, inputs and contracts have the same.
    #[schemars(with = "String")]
    pub digest: Digest,
    /// How many of what there are.
    pub counts: Counts,
    /// What can run at the same time, one wave after the other.
    pub waves: Vec<Vec<PreviewedStep>>,
    /// What all jobs cost together, if every step runs.
    pub credits: Credits,
    /// How long it takes, as far as it is known of the steps on the critical path; null where of none of them.
    pub seconds: Option<f64>,
    /// The longest path in time.
    #[schemars(with = "Vec<String>")]
    pub critical_path: Vec<StepId>,
    /// The bound on what the run may spend; null where there is none.
    #[serde(default)]
    pub budget: Option<Budget>,
    /// The lock across runs; null where there is none.
    #[serde(default)]
    pub group: Option<PreviewedGroup>,
    /// How many requests that start jobs it may send.
    pub requests: Requests,
    /// When it is to start by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedule: Vec<PreviewedSchedule>,
    /// The run's result: what is known of it; other templates as their text.
    pub outputs: Map<String, Value>,
}

/// An entry of `schedule`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PreviewedSchedule {
    /// The cron expression.
    pub cron: String,
    /// The time zone.
    pub timezone: String,
    /// The next start, where the time is known.
    #[schemars(with = "Option<String>")]
    pub next: Option<jiff::Timestamp>,
}

/// The lock across runs that a run takes first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PreviewedGroup {
    /// Its name, or the template's text where it is known only at the run.
    pub name: String,
    /// What the run does that finds it held.
    pub on_conflict: OnConflict,
}

/// How many of what a plan has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Steps.
    pub steps: usize,
    /// Waves.
    pub waves: usize,
    /// Requests that start jobs, if every step runs.
    pub requests: usize,
    /// Edges of the graph.
    pub edges: usize,
    /// Warnings of planning.
    pub warnings: usize,
}

/// A step of a preview.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PreviewedStep {
    /// Its id.
    #[schemars(with = "String")]
    pub id: StepId,
    /// What it does.
    #[serde(flatten)]
    pub work: PreviewedWork,
    /// The steps that it waits for.
    #[schemars(with = "Vec<String>")]
    pub needs: Vec<StepId>,
    /// When it runs; null where always.
    pub when: Option<When>,
    /// What it runs for; null where once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreach: Option<PreviewedItems>,
    /// Whether it runs after all others, whatever happened.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub finally: bool,
    /// What must hold of the steps that it waits for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub trigger: Trigger,
    /// Most attempts, where there may be more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// What is tried when it has failed for good, by verb and target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<String>,
    /// Whether its failure counts as handled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub handles: bool,
    /// Whether an earlier equal result is reused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cached: bool,
    /// Where its media are written: the path template; null where nowhere.
    pub save: Option<String>,
    /// Credits of its job; null where unknown.
    pub credits: Option<f64>,
    /// Seconds that it takes; null where unknown.
    pub seconds: Option<f64>,
}

/// What a step runs for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PreviewedItems {
    /// The expression, or the lists, as written.
    pub text: String,
    /// How many items there are; null where that is known only at the run.
    pub count: Option<u64>,
    /// Most in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands the field over so")]
fn is_default(trigger: &Trigger) -> bool {
    *trigger == Trigger::default()
}

/// What a step of a preview does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PreviewedWork {
    /// One model run.
    Model(Request),
    /// One app run.
    App(Request),
    /// One agent run.
    Agent(Request),
    /// One pipeline run.
    Pipeline(Request),
    /// One HTTP request.
    Http(Request),
    /// No call.
    Set {
        /// The output, as far as it is known; other templates as their text.
        output: Value,
    },
    /// Another workflow.
    Workflow {
        /// Its file, as written.
        file: String,
        /// Its inputs, as far as they are known; other templates as their text.
        inputs: Map<String, Value>,
        /// What it does.
        plan: Box<Preview>,
    },
}

/// A request that starts a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Request {
    /// Alias of the provider.
    pub provider: String,
    /// The target's id.
    pub target: String,
    /// The target's name, for people.
    pub name: String,
    /// What it gets, by the API's names: what is known is filled in, other templates stand as their text.
    pub inputs: Map<String, Value>,
    /// What goes beside the inputs, in the same way: `mode`, `scope`, `params`, `options`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub operation: Map<String, Value>,
    /// How many of all these are known whole.
    pub known: usize,
    /// How many are known only at run time.
    pub unknown: usize,
    /// What came of checking them.
    pub contract: ContractCheck,
}

/// What came of checking a step against its contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ContractCheck {
    /// Nothing is wrong.
    Ok,
    /// There is no contract to check against.
    Unchecked,
    /// Something is odd, and is sent all the same.
    Warnings,
}

/// When a step runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct When {
    /// The expression as written.
    pub text: String,
    /// What it gives, where that is known already.
    pub verdict: Option<bool>,
}

/// Returns what a plan would do. `seconds` says how long a step takes, from its estimate or from earlier runs.
#[must_use]
pub fn preview(plan: &Plan, seconds: &dyn Fn(StepIx) -> Option<f64>) -> Preview {
    within(plan, seconds, &RefCell::new(Room::of_preview()))
}

/// The same, with so much room for values.
fn within(plan: &Plan, seconds: &dyn Fn(StepIx) -> Option<f64>, room: &RefCell<Room>) -> Preview {
    let scope = known_scope(plan);
    let shown = |tree: &Tree| shown(plan, tree, &scope, room);
    let waves =
        plan.waves().iter().map(|wave| wave.iter().map(|&step| previewed(plan, step, &scope, seconds, room)).collect());
    let requests = plan.steps().iter().filter(|step| matches!(step.work, Work::Run { .. })).count();
    let outputs = plan.outputs.iter().map(|(name, tree)| (name.clone(), shown(tree)));
    Preview {
        name: plan.document.workflow.name.clone(),
        digest: plan.digest,
        counts: Counts {
            steps: plan.steps().len(),
            waves: plan.waves().len(),
            requests,
            edges: plan.edge_count(),
            warnings: plan.warnings().len(),
        },
        waves: waves.collect(),
        credits: estimate::total(plan),
        seconds: estimate::duration(plan, seconds),
        critical_path: plan
            .critical_path(|step| seconds(step).unwrap_or_default())
            .into_iter()
            .map(|step| plan.step(step).id.clone())
            .collect(),
        budget: Some(plan.budget).filter(|budget| *budget != Budget::default()),
        group: plan.group.as_ref().map(|group| PreviewedGroup {
            name: match shown(&group.tree) {
                Value::String(name) => name.trim().to_owned(),
                other => other.to_string(),
            },
            on_conflict: group.on_conflict,
        }),
        requests: count::requests(plan),
        schedule: plan
            .schedule
            .iter()
            .map(|entry| PreviewedSchedule {
                cron: entry.cron.clone(),
                timezone: entry.timezone.iana_name().unwrap_or("UTC").to_owned(),
                next: None,
            })
            .collect(),
        outputs: outputs.collect(),
    }
}

/// Returns what templates may read before the run, as far as it is known; no secret is in it.
pub(super) fn known_scope(plan: &Plan) -> Scope {
    Scope::new()
        .with(Root::Inputs, &Value::Object(plan.inputs.clone()))
        .with(Root::Vars, &Value::Object(plan.vars.clone()))
}

/// Returns a value as far as it is known. When there is no room left, its templates stay as they are written.
fn shown(plan: &Plan, tree: &Tree, scope: &Scope, room: &RefCell<Room>) -> Value {
    let mut room = room.borrow_mut();
    if room.is_empty() {
        return tree.written();
    }
    let value = tree.partial(&|reference| plan.knows(reference), scope);
    room.take(&value);
    value
}

fn previewed(
    plan: &Plan,
    ix: StepIx,
    scope: &Scope,
    seconds: &dyn Fn(StepIx) -> Option<f64>,
    room: &RefCell<Room>,
) -> PreviewedStep {
    let step = plan.step(ix);
    let shown = |tree: &Tree| shown(plan, tree, scope, room);
    let work = match &step.work {
        Work::Set(tree) => PreviewedWork::Set { output: shown(tree) },
        Work::Workflow { plan: inner, inputs, label } => PreviewedWork::Workflow {
            file: label.clone(),
            inputs: inputs.iter().map(|input| (input.port.clone(), shown(&input.tree))).collect(),
            plan: Box::new(within(inner, &|_| None, room)),
        },
        Work::Run { provider, contract, checked, inputs, operation, .. } => {
            let all = || inputs.iter().chain(operation);
            let is_known = |input: &&PlannedInput| input.tree.references().all(|(_, reference)| plan.knows(reference));
            let known = all().filter(is_known).count();
            let shown =
                |inputs: &[PlannedInput]| inputs.iter().map(|input| (input.port.clone(), shown(&input.tree))).collect();
            let target = &contract.contract().target;
            let request = Request {
                provider: provider.clone(),
                target: target.id.clone(),
                name: contract.contract().name.clone(),
                inputs: shown(inputs),
                operation: shown(operation),
                known,
                unknown: all().count() - known,
                contract: match (checked, step.warnings) {
                    (false, _) => ContractCheck::Unchecked,
                    (true, 0) => ContractCheck::Ok,
                    (true, _) => ContractCheck::Warnings,
                },
            };
            match target.kind {
                crate::job::TargetKind::Model => PreviewedWork::Model(request),
                crate::job::TargetKind::App => PreviewedWork::App(request),
                crate::job::TargetKind::Agent => PreviewedWork::Agent(request),
                crate::job::TargetKind::Pipeline => PreviewedWork::Pipeline(request),
                crate::job::TargetKind::Http => PreviewedWork::Http(request),
            }
        }
    };
    let mut needs: Vec<_> = plan.needs(ix).collect();
    needs.sort_unstable();
    PreviewedStep {
        id: step.id.clone(),
        work,
        needs: needs.into_iter().map(|needed| plan.step(needed).id.clone()).collect(),
        when: step.when.as_ref().map(|when| When { text: when.text().to_owned(), verdict: verdict(plan, when, scope) }),
        foreach: step.fan_out.as_ref().map(|items| PreviewedItems {
            text: items.items.to_string(),
            count: count::items(plan, step, scope),
            max_parallel: items.max_parallel,
        }),
        finally: step.finally,
        trigger: step.trigger,
        attempts: step.retry.as_ref().map(|retry| retry.attempts),
        fallback: step
            .fallback
            .iter()
            .map(|entry| format!("{} {}", entry.work.verb(), entry.work.label()).trim_end().to_owned())
            .collect(),
        handles: step.handles,
        cached: step.cache.is_some(),
        save: step.save.as_ref().map(|path| match path {
            SavePath::OfStep => save::default_path(&step.id, step.fan_out.is_some()),
            SavePath::Template(Tree::Template { template, .. }) => template.text().to_owned(),
            SavePath::Template(other) => other.literal().and_then(Value::as_str).unwrap_or_default().to_owned(),
        }),
        credits: step.credits,
        seconds: seconds(ix),
    }
}

/// Returns what `when` gives, where everything that it reads is known.
#[must_use]
pub fn verdict(plan: &Plan, when: &Template, scope: &Scope) -> Option<bool> {
    let known = when.references().iter().all(|reference| plan.knows(reference));
    known.then(|| when.holds(scope).ok()).flatten()
}
