//! Steps that consist of others: what the items of a fan-out are, what a workflow that a step runs may read, and what comes of them together.

use std::{
    collections::{BTreeSet, HashSet},
    fmt::Write as _,
    sync::Arc,
};

use serde_json::{Map, Value, json};

use super::{Driver, succeeded};
use crate::{
    id::{StepId, StepPath},
    journal::{
        event::{EndedAs, Event, Payload, RunStatus, SkipReason},
        state::{FrameIndex, Phase, RunState, StepIndex},
    },
    plan::{
        Plan, PlannedInput, PlannedStep, StepIx, Work,
        room::{Room, too_large},
        settled,
    },
    result::{ErrorKind, StepError, StepStatus},
    run::decide::{Stop, stop_of, verdict},
    source::Pointer,
    template::{Reference, Root, Scope, Shown, TemplateError, is_url, names_file},
    tree::Tree,
};

/// How many failed items are told one by one.
const TOLD: usize = 3;

/// A template that failed, and where it is written.
type Failed = (Pointer, TemplateError);

/// Why a workflow cannot begin.
pub(super) enum Unfit {
    /// A template of its inputs failed.
    Template(Failed),
    /// A value does not fit what it declares.
    Value(String),
}

impl Driver {
    /// Returns the plan that a workflow runs by: the run's own, or that of the step that runs it.
    pub(super) fn plan_of(&self, frame: FrameIndex) -> &Arc<Plan> {
        let Some(step) = self.state.frames[frame as usize].step else { return &self.plan };
        match self.work(step) {
            Work::Workflow { plan, .. } => plan,
            Work::Run { .. } | Work::Set(_) => unreachable!("only a step with a workflow has steps of its own"),
        }
    }

    /// Returns the place of a step in the plan of its workflow; an item's is that of its fan-out.
    fn place_in_plan(&self, ix: StepIndex) -> StepIx {
        let step = self.state.step(ix);
        StepIx(step.item_of.unwrap_or(ix) - self.state.frame_of(step).base)
    }

    pub(super) fn planned(&self, ix: StepIndex) -> &PlannedStep {
        self.plan_of(self.state.step(ix).frame).step(self.place_in_plan(ix))
    }

    /// Returns what a step does: what is written, or what stands in for it by now.
    pub(super) fn work(&self, ix: StepIndex) -> &Work {
        let planned = self.planned(ix);
        match self.state.step(ix).fallback {
            0 => &planned.work,
            entry => &planned.fallback[entry as usize - 1].work,
        }
    }

    /// Returns the plan of a step's workflow, and the step in it, to be used while the state changes.
    pub(super) fn plan_and_step(&self, ix: StepIndex) -> (Arc<Plan>, StepIx) {
        (Arc::clone(self.plan_of(self.state.step(ix).frame)), self.place_in_plan(ix))
    }

    /// Returns what a step's templates may read: the values of its workflow, the results that they mention, and the item.
    pub(super) fn scope_of(&mut self, ix: StepIndex) -> Scope {
        let step = self.state.step(ix);
        match (step.item_of, step.item) {
            (Some(fan), Some(item)) => self.scope_of_item(fan, item),
            _ => self.scope_of_step(ix),
        }
    }

    fn scope_of_step(&mut self, ix: StepIndex) -> Scope {
        let frame = self.state.step(ix).frame;
        let planned = self.planned(ix);
        let (reads, finally) = (planned.reads.clone(), planned.finally);
        let scope = self.scope_with(frame, &reads);
        if !finally {
            return scope;
        }
        let step = self.state.step(ix);
        let ended = step.ended.as_deref().cloned().unwrap_or_else(|| self.ended_as(frame));
        scope.with(Root::Run, &self.run_facts(Some(&ended)))
    }

    /// Makes a step, or an item of it, ready.
    pub(super) fn ready(&mut self, ix: StepIndex, step: StepPath) {
        let ended = self.ended_of(ix);
        self.record(Event::StepReady { step, ended });
    }

    /// Returns how the workflow of a step of `finally` ended, which the step reads from now on: what it has sent must be what it would send
    /// again, though the run went on meanwhile.
    fn ended_of(&self, ix: StepIndex) -> Option<Box<EndedAs>> {
        let step = self.state.step(ix);
        let known = || step.ended.as_deref().cloned().unwrap_or_else(|| self.ended_as(step.frame));
        step.brief.finally.then(|| Box::new(known()))
    }

    /// Returns how a workflow ended, but for `finally`.
    pub(super) fn ended_as(&self, frame: FrameIndex) -> EndedAs {
        EndedAs { status: self.status_of(frame), failed_steps: self.failed_steps(frame) }
    }

    fn scope_of_item(&mut self, fan: StepIndex, item: u32) -> Scope {
        let scope = self.scope_of_step(fan);
        let items = self.items.get(&fan).cloned();
        let items = items.map_or_else(|| self.items_of(fan, &scope), Ok).expect("the items were there when they began");
        let value = items.get(item as usize).unwrap_or(&Value::Null);
        scope.with(Root::Item, value).with(Root::Index, &json!(item))
    }

    /// Returns the items of a fan-out.
    fn items_of(&mut self, fan: StepIndex, scope: &Scope) -> Result<Arc<Vec<Value>>, Failed> {
        let planned = self.planned(fan);
        let fan_out = planned.fan_out.as_ref().expect("only a step with items is asked for them");
        let items = Arc::new(fan_out.items(scope)?);
        self.items.insert(fan, Arc::clone(&items));
        Ok(items)
    }

    /// Returns what the templates of a workflow may read, with the results of some of its steps.
    pub(super) fn scope_with(&mut self, frame: FrameIndex, reads: &[StepIx]) -> Scope {
        let mut scope = self.scope_of_frame(frame);
        let base = self.state.frames[frame as usize].base;
        for &StepIx(read) in reads {
            let ix = base + read;
            if !self.shown.contains_key(&ix)
                && let Some(result) = self.state.result(ix)
            {
                self.shown.insert(ix, Arc::new(crate::template::Shown::new(result)));
            }
            if let Some(shown) = self.shown.get(&ix) {
                scope = scope.with_step(&self.state.step(ix).path.id(), shown);
            }
        }
        scope
    }

    fn scope_of_frame(&mut self, frame: FrameIndex) -> Scope {
        if frame == 0 {
            return self.scope.clone();
        }
        if let Some(scope) = self.scopes.get(&frame) {
            return scope.clone();
        }
        let step = self.state.frames[frame as usize].step.expect("only the run's own frame has no step");
        let outer = self.scope_of(step);
        let Work::Workflow { plan, inputs, .. } = self.work(step) else {
            unreachable!("only a step with a workflow has steps of its own")
        };
        let (plan, inputs) = (Arc::clone(plan), inputs.clone());
        let scope = match self.inner_scope(step, &plan, &inputs, &outer) {
            Ok(scope) => scope,
            // They were good when the workflow began.
            Err(_) => Scope::new(),
        };
        self.scopes.insert(frame, scope.clone());
        scope
    }

    /// Returns the inputs of the workflow that a step runs which may hold something of a result, of whatever step around it.
    fn of_results<'i>(&self, ix: StepIndex, inputs: &'i [PlannedInput]) -> HashSet<&'i str> {
        let frame = self.state.step(ix).frame;
        let own = match self.state.frames[frame as usize].step {
            None => HashSet::new(),
            Some(around) => match self.work(around) {
                Work::Workflow { inputs, .. } => {
                    self.of_results(around, inputs).into_iter().map(ToOwned::to_owned).collect()
                }
                Work::Run { .. } | Work::Set(_) => unreachable!("only a step with a workflow has steps of its own"),
            },
        };
        self.plan_of(frame).of_results(self.planned(ix), inputs, &own)
    }

    /// Returns what the templates of a workflow may read that a step runs with these inputs.
    pub(super) fn inner_scope(
        &self,
        ix: StepIndex,
        plan: &Plan,
        inputs: &[PlannedInput],
        outer: &Scope,
    ) -> Result<Scope, Unfit> {
        let mut given = Map::new();
        let of_results = if plan.file_inputs().next().is_some() { self.of_results(ix, inputs) } else { HashSet::new() };
        let frame = self.state.step(ix).frame;
        for input in inputs {
            let takes_file = plan.document.workflow.inputs.get(&input.port).is_some_and(|declared| declared.file);
            let value = if takes_file { self.as_path(frame, input, outer) } else { input.tree.render(outer) };
            given.insert(input.port.clone(), value.map_err(Unfit::Template)?);
        }
        let mut values = Map::new();
        let mut hidden = Vec::new();
        let mut wrong = Vec::new();
        for (name, declared) in &plan.document.workflow.inputs {
            let given = given.remove(name).filter(|value| !(value.is_null() && declared.optional));
            let value = match given.and_then(|value| settled(value, plan.schemas.get(name))) {
                Some(value) => value,
                None => plan.inputs.get(name).cloned().unwrap_or(Value::Null),
            };
            let absent = value.is_null() && declared.optional;
            for complaint in
                plan.schemas.get(name).filter(|_| !absent).into_iter().flat_map(|schema| schema.complaints(&value))
            {
                let part =
                    if complaint.at.is_empty() { String::new() } else { format!(" (at `{}`)", complaint.at.join(".")) };
                let message = if declared.secret { "does not fit its schema".to_owned() } else { complaint.message };
                wrong.push(format!("input `{name}`{part} {message}"));
            }
            if let Some(text) = value.as_str().filter(|_| declared.file) {
                if let Err(why) = names_file(text) {
                    wrong.push(format!("input `{name}` names no file: {why}"));
                } else if of_results.contains(name.as_str()) && !is_url(text) {
                    // What an API answers must never choose a file of this machine.
                    wrong.push(format!("input `{name}` must be a URL where it comes from a step's result"));
                }
            }
            if declared.secret {
                hidden
                    .push(crate::secret::Secret::new(value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
            }
            values.insert(name.clone(), value);
        }
        if !wrong.is_empty() {
            let file = &plan.document.source.name;
            return Err(Unfit::Value(format!(
                "the inputs do not fit `{file}`, so nothing was sent:\n  {}",
                wrong.join("\n  ")
            )));
        }
        let secrets = self.plan.secrets.iter().filter(|(name, _)| plan.document.workflow.secrets.contains(name));
        let secrets = secrets.map(|(name, secret)| (name.clone(), secret.clone())).collect();
        let mut scope = hidden.into_iter().fold(Scope::new(), Scope::hide).with(Root::Inputs, &Value::Object(values));
        scope = scope.with(Root::Run, &self.run_facts(None));
        let (mut vars, mut room) = (Map::new(), Room::of_vars());
        let mut file_vars = Vec::new();
        for (name, tree) in &plan.var_trees {
            let scope = scope.clone().with(Root::Vars, &Value::Object(vars.clone()));
            let value = if plan.file_vars.contains_key(name) {
                let files = plan.files.fresh().of(plan.files.folder(), plan.file_inputs());
                let value = tree.render(&scope.with_files(&files)).map_err(Unfit::Template)?;
                let reads = |held: &&str| {
                    tree.references().any(|(_, read)| read.root == Root::Vars && read.key() == Some(*held))
                };
                if !files.used().is_empty() || file_vars.iter().any(reads) {
                    file_vars.push(name.as_str());
                }
                value
            } else {
                tree.render(&scope).map_err(Unfit::Template)?
            };
            if !room.take(&value) {
                return Err(Unfit::Template(too_large(Pointer::from_iter(["vars", name]))));
            }
            vars.insert(name.clone(), value);
        }
        // What holds a local file is made anew where its value goes to a provider.
        let scope = scope.with(Root::Vars, &Value::Object(vars)).with_secrets(&secrets);
        Ok(scope.without_vars(file_vars))
    }

    /// Returns `run` as templates see it; at the end with how the workflow ended, but for `finally`.
    pub(super) fn run_facts(&self, ended: Option<&EndedAs>) -> Value {
        let started_at = format!("{:.3}", self.state.started_at);
        let mut facts = json!({
            "id": self.state.run,
            "name": self.plan.document.workflow.name,
            "started_at": started_at,
        });
        if let Some(EndedAs { status, failed_steps }) = ended {
            facts["status"] = json!(status.as_str());
            facts["failed_steps"] = json!(failed_steps);
        }
        facts
    }

    fn failed_steps(&self, frame: FrameIndex) -> Vec<StepId> {
        let crate::journal::state::Frame { base, len, .. } = self.state.frames[frame as usize];
        let failed = (base..base + len)
            .map(|ix| self.state.step(ix))
            .filter(|step| step.status() == Some(StepStatus::Failed) && !step.handled);
        failed.map(|step| step.path.id()).collect()
    }

    /// Returns how a workflow ended, but for `finally`. What is not to be told from the outside is failed.
    pub(super) fn status_of(&self, frame: FrameIndex) -> RunStatus {
        let own = &self.state.frames[frame as usize];
        let Some(step) = own.step else {
            let status = match verdict(&self.state) {
                RunStatus::SubmitUnknown => RunStatus::Failed,
                other => other,
            };
            // Its outputs may be what failed, which `finally` may want to know.
            let failed = status == RunStatus::Succeeded && self.output_failure.is_some();
            return if failed { RunStatus::Failed } else { status };
        };
        if own.timed_out || own.failing {
            return RunStatus::Failed;
        }
        match stop_of(&self.state, step) {
            Some(Stop::CallOff(SkipReason::RunCancelled)) => RunStatus::Cancelled,
            Some(Stop::CallOff(_)) => RunStatus::Failed,
            _ => RunStatus::Succeeded,
        }
    }

    /// Learns what the items of a step are.
    pub(super) fn expand(&mut self, ix: StepIndex, scope: &Scope) {
        match self.items_of(ix, scope) {
            Ok(items) => {
                let count = u32::try_from(items.len()).expect("items are bounded");
                let (step, ended) = (self.path(ix), self.ended_of(ix));
                self.record(Event::StepExpanded { step, count, ended });
            }
            Err((pointer, error)) => self.template_failed(ix, &pointer, &error),
        }
    }

    /// Begins the next item of a fan-out.
    pub(super) fn item(&mut self, fan: StepIndex) {
        // An item of the same turn may have failed.
        if matches!(stop_of(&self.state, fan), Some(Stop::CallOff(_))) {
            return;
        }
        let Some(item) =
            self.state.step(fan).fan_out.as_ref().filter(|items| !items.is_exhausted()).map(|items| items.next())
        else {
            return;
        };
        let path = self.path(fan).item(item);
        let scope = self.scope_of_item(fan, item);
        let (plan, place) = self.plan_and_step(fan);
        let step = plan.step(place);
        if let Some(when) =
            step.when.as_ref().filter(|_| step.fan_out.as_ref().is_some_and(|items| items.when_per_item))
        {
            match when.holds(&scope) {
                Ok(true) => {}
                Ok(false) => return self.record(Event::StepSkipped { step: path, why: SkipReason::When }),
                Err(error) => return self.item_failed(fan, path, &step.pointer.join("when"), &error),
            }
        }
        match &step.work {
            Work::Run { .. } => {
                self.ready(fan, path.clone());
                let ix = self.state.position(&path).expect("it has just begun");
                // What is wrong with the inputs is told when they are rendered to be sent.
                let _ = self.wants_files(ix, &scope);
            }
            Work::Set(tree) => match tree.render(&scope) {
                Ok(value) => {
                    let outputs = Arc::new(Map::from_iter([(step.id.to_string(), value)]));
                    let event = match self.unmet(fan, &outputs, &scope) {
                        None => succeeded(path, Some(Payload::new(outputs))),
                        Some(error) => Event::StepFailed { step: path, error, handled: false },
                    };
                    self.record(event);
                }
                Err((pointer, error)) => self.item_failed(fan, path, &pointer, &error),
            },
            Work::Workflow { plan: inner, inputs, .. } => match self.inner_scope(fan, inner, inputs, &scope) {
                Ok(inner) => self.begin_workflow(fan, &path, inner),
                Err(Unfit::Template((pointer, error))) => self.item_failed(fan, path, &pointer, &error),
                Err(Unfit::Value(message)) => {
                    let error = StepError { kind: ErrorKind::Rejected, message };
                    self.record(Event::StepFailed { step: path, error, handled: false });
                }
            },
        }
    }

    fn item_failed(&mut self, fan: StepIndex, path: StepPath, pointer: &Pointer, error: &TemplateError) {
        let message = self.template_message(fan, pointer, error);
        let error = StepError { kind: ErrorKind::Template, message };
        self.record(Event::StepFailed { step: path, error, handled: false });
    }

    /// Begins the workflow of a step, or of an item of it, whose templates read this.
    pub(super) fn begin_workflow(&mut self, ix: StepIndex, path: &StepPath, scope: Scope) {
        self.ready(ix, path.clone());
        let frame = self.state.position(path).and_then(|ix| self.state.step(ix).nested);
        if let Some(frame) = frame {
            self.scopes.insert(frame, scope);
        }
    }

    /// Takes together what came out of the parts of a step.
    pub(super) fn collect(&mut self, ix: StepIndex) {
        let step = self.state.step(ix);
        let called_off = matches!(stop_of(&self.state, ix), Some(Stop::CallOff(_)));
        if step.phase == Phase::Nested {
            return self.collect_workflow(ix, called_off);
        }
        let Some(items) = &step.fan_out else { return };
        let begun = || items.begun.iter().map(|&item| self.state.step(item));
        let cut = !items.is_exhausted()
            || begun().any(|item| {
                item.status() == Some(StepStatus::Cancelled)
                    || item.skipped.as_ref().is_some_and(|why| *why != SkipReason::When)
            });
        let path = step.path.clone();
        if items.failed > 0 {
            let failed: Vec<_> = begun().filter(|item| item.status() == Some(StepStatus::Failed)).collect();
            // What a person must decide about comes before all else.
            let kinds = || failed.iter().filter_map(|item| item.error.as_ref().map(|error| error.kind));
            let kind = kinds()
                .find(|kind| *kind == ErrorKind::SubmitUnknown)
                .or_else(|| kinds().find(|kind| kind.stops_fan_out()));
            let kind = kind.or_else(|| kinds().next()).unwrap_or(ErrorKind::JobFailed);
            let mut message = format!("{} of {} items failed", items.failed, items.len);
            for item in failed.iter().take(TOLD) {
                let words = item.error.as_ref().map(|error| in_short(&error.message)).unwrap_or_default();
                let _ = write!(message, "\n  [{}]: {words}", item.item.unwrap_or_default());
            }
            if failed.len() > TOLD {
                let _ = write!(message, "\n  and {} more", failed.len() - TOLD);
            }
            return self.fail(ix, kind, message);
        }
        if called_off && cut {
            return self.record(Event::StepCancelled { step: path, confirmed: None });
        }
        self.record(succeeded(path, None));
    }

    fn collect_workflow(&mut self, ix: StepIndex, called_off: bool) {
        let step = self.state.step(ix);
        let Some(frame) = step.nested else { return };
        let path = step.path.clone();
        let own = &self.state.frames[frame as usize];
        let (base, len) = (own.base, own.len);
        if own.timed_out {
            let timeout =
                crate::spec::duration::Period(std::time::Duration::from_millis(own.timeout_ms.unwrap_or_default()));
            return self.fail(ix, ErrorKind::Timeout, format!("its workflow had no result within {timeout}"));
        }
        if own.failing {
            let failed = (base..base + len)
                .map(|ix| self.state.step(ix))
                .filter(|step| step.status() == Some(StepStatus::Failed) && !step.handled);
            let failed: Vec<_> = failed.collect();
            let unknown = |step: &&&crate::journal::state::StepState| {
                step.error.as_ref().is_some_and(|error| error.kind == ErrorKind::SubmitUnknown)
            };
            let first = failed.iter().find(unknown).or_else(|| failed.first());
            let kind = first.and_then(|step| step.error.as_ref()).map_or(ErrorKind::JobFailed, |error| error.kind);
            let names: Vec<_> = failed.iter().map(|step| format!("`{}`", step.path)).collect();
            let what = if names.len() == 1 { "its step" } else { "its steps" };
            return self.fail(ix, kind, format!("{what} {} failed", names.join(", ")));
        }
        let cut = (base..base + len)
            .map(|ix| self.state.step(ix))
            .any(|step| step.status() == Some(StepStatus::Cancelled) || step.skipped == Some(SkipReason::RunCancelled));
        if called_off && cut {
            return self.record(Event::StepCancelled { step: path, confirmed: None });
        }
        let plan = Arc::clone(self.plan_of(frame));
        match self.outputs_of(frame, &plan) {
            Ok(outputs) => {
                let id = self.state.step(ix).path.id().to_string();
                let outputs = Map::from_iter([(id, Value::Object(outputs))]);
                self.finished(ix, outputs);
            }
            Err((pointer, error)) => {
                let message = place_message(&plan, &pointer, &error);
                self.fail(ix, ErrorKind::Template, message);
            }
        }
    }

    /// Ends a step whose result is there without a job: what came out is judged, and kept.
    pub(super) fn finished(&mut self, ix: StepIndex, outputs: Map<String, Value>) {
        let (scope, outputs) = (self.scope_of(ix), Arc::new(outputs));
        if let Some(StepError { kind, message }) = self.unmet(ix, &outputs, &scope) {
            return self.fail(ix, kind, message);
        }
        let path = self.path(ix);
        self.record(succeeded(path, Some(Payload::new(outputs))));
    }

    /// Renders the outputs of a workflow. Where only some steps were asked for, what tells of others has nothing to tell.
    pub(super) fn outputs_of(&mut self, frame: FrameIndex, plan: &Plan) -> Result<Map<String, Value>, Failed> {
        let base = self.state.frames[frame as usize].base;
        let scope = self.scope_with(frame, &read_by_outputs(plan));
        told_outputs(plan, &scope, |StepIx(ix)| self.state.step(base + ix).skipped == Some(SkipReason::NotSelected))
    }
}

/// Returns what the outputs of a run whose steps are over are by a plan; none where a template fails.
#[must_use]
pub fn outputs_by(plan: &Plan, state: &RunState) -> Option<Map<String, Value>> {
    let position = |ix: StepIx| state.position(&plan.step(ix).path);
    let mut scope = super::begin::scope(plan, state.run, state.started_at);
    for ix in read_by_outputs(plan) {
        if let Some(result) = position(ix).and_then(|ix| state.result(ix)) {
            scope = scope.with_step(&plan.step(ix).id, &Arc::new(Shown::new(result)));
        }
    }
    let is_left_out = |ix| position(ix).is_some_and(|ix| state.step(ix).skipped == Some(SkipReason::NotSelected));
    told_outputs(plan, &scope, is_left_out).ok()
}

fn step_of(plan: &Plan, reference: &Reference) -> Option<StepIx> {
    reference.key().filter(|_| reference.root == Root::Steps).and_then(|key| plan.find(key))
}

/// Returns the steps that the outputs of a workflow mention.
fn read_by_outputs(plan: &Plan) -> Vec<StepIx> {
    let references = plan.outputs.values().flat_map(Tree::references);
    let reads: BTreeSet<StepIx> = references.filter_map(|(_, reference)| step_of(plan, reference)).collect();
    Vec::from_iter(reads)
}

/// Renders the outputs of a workflow but for those that tell of steps that were not asked for.
fn told_outputs(
    plan: &Plan,
    scope: &Scope,
    is_left_out: impl Fn(StepIx) -> bool,
) -> Result<Map<String, Value>, Failed> {
    let tells_of_none =
        |tree: &Tree| tree.references().any(|(_, reference)| step_of(plan, reference).is_some_and(&is_left_out));
    let told = plan.outputs.iter().filter(|(_, tree)| !tells_of_none(tree));
    told.map(|(name, tree)| Ok((name.clone(), tree.render(scope)?))).collect()
}

/// Returns the first line of a message; where that only leads up to the reason, with the next.
fn in_short(message: &str) -> String {
    let mut lines = message.lines();
    let first = lines.next().unwrap_or_default();
    match lines.next().filter(|_| first.ends_with(':')) {
        Some(reason) => format!("{first} {}", reason.trim()),
        None => first.to_owned(),
    }
}

/// Returns a template's error with the place where it is written.
pub(super) fn place_message(plan: &Plan, pointer: &Pointer, error: &TemplateError) -> String {
    let document = &plan.document;
    let position = document.source.position(document.map.within(pointer, error.range.clone()).start);
    let place = format!("{}:{}:{}", document.source.name, position.line, position.column);
    let help = error.help.as_ref().map(|help| format!("\n  help: {help}")).unwrap_or_default();
    format!("{}\n  at {place}{help}", error.message)
}
