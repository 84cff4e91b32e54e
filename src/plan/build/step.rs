//! One step: each of its keys checked and made ready for the run.

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;
use serde_json::Value;

use super::render_known;
use crate::{
    contract::schema::Schema,
    diagnostic::{Code, Diagnostic},
    id::{Digest, StepPath},
    plan::{
        Alternative, Expectation, FanOut, Offer, PlannedCache, PlannedStep, SavePath, Work, estimate, fan_out,
        fit::Fitter,
        graph::{Edge, StepIx},
        idle::Rest,
        nested::{self, Nested},
        references::{Names, Reads, Spot},
        results, save,
        site::{At, Site},
        targets::Found,
    },
    source::Pointer,
    spec::{OnError, Retry, RetryOn, Save, Step, Trigger, Verb},
    template::{Reference, Root, Scope, Template},
    tree::Tree,
};

/// LANGUAGE.md, section 3.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(30);

/// Builds one step.
pub(super) struct StepBuilder<'s, 'a> {
    pub(super) site: &'s Site<'a>,
    pub(super) names: &'s Names<'a>,
    /// What templates may read that are known before the run.
    pub(super) scope: &'s Scope,
    /// The same with local files.
    pub(super) filed: &'s Scope,
    pub(super) step: &'a Step,
    pub(super) pointer: &'s Pointer,
    pub(super) ix: StepIx,
    pub(super) edges: &'s mut Vec<Edge>,
    pub(super) offers: &'s [Offer],
    /// Whether this is for a run.
    pub(super) to_run: bool,
    pub(super) nested: &'s mut Nested,
    /// Takes what keeps the step from doing anything.
    pub(super) rest: &'s mut Rest,
}

impl<'a> StepBuilder<'_, 'a> {
    /// Returns the step, or nothing where it cannot be planned.
    pub(super) fn build(
        mut self,
        found: Option<Found>,
        found_instead: Vec<Option<Found>>,
        instead: &'a [Step],
    ) -> Option<PlannedStep> {
        let first_edge = self.edges.len();
        if self.names.at_end.get() && self.step.trigger == Trigger::AnySucceeded {
            without_trigger(self.site, self.pointer);
        }
        let when = self.when();
        let (fan_out, wrong) = self.fan_out(when.as_ref());
        *self.rest = Rest::of(when.as_ref(), fan_out.as_ref(), self.names, self.scope);
        results::fan_out(self.site, self.names, self.step, self.pointer, &wrong);
        let save = self.save();
        let cache = self.cache();
        let expect = self.expect();
        let retry = self.retry();
        let (work, mut warnings) = self.work(self.step, self.pointer, self.pointer, found);
        let mut fallback = Vec::with_capacity(instead.len());
        for (place, (whole, found)) in instead.iter().zip(found_instead).enumerate() {
            let entry = &self.step.fallback[place];
            let own = self.pointer.join("fallback").join(place);
            let verb = if entry.verb.is_some() { own.clone() } else { self.pointer.clone() };
            let inputs = if entry.inputs.is_some() || entry.verb.is_some() && whole.inputs.is_empty() {
                own
            } else {
                self.pointer.clone()
            };
            let (work, more) = self.work(whole, &verb, &inputs, found);
            warnings += more;
            fallback.push((work, whole.estimate.filter(|_| entry.verb.is_none())));
        }
        let mut reads: Vec<_> = self.edges[first_edge..].iter().map(|edge| edge.needs).collect();
        reads.sort_unstable();
        reads.dedup();
        self.needs();
        let defaults = &self.site.document.workflow.defaults;
        let work = work?;
        let own_credits = credits(&work, self.step.estimate);
        let seconds = match &work {
            Work::Set(_) => Some(0.0),
            Work::Run { .. } | Work::Workflow { .. } => self.step.estimate.and_then(|estimate| estimate.seconds),
        };
        let fallback: Option<Vec<_>> = fallback
            .into_iter()
            .map(|(work, estimate)| {
                let work = work?;
                Some(Alternative { credits: credits(&work, estimate), work })
            })
            .collect();
        let (id, _, _) = self.site.document.workflow.all_steps().nth(self.ix.index())?;
        let on_error = self.step.on_error.or(defaults.on_error).unwrap_or_default();
        let fallback: Vec<Alternative> = fallback?;
        let timeout = self.step.timeout.or(defaults.timeout).map(|timeout| timeout.0);
        let is_workflow = |work: &Work| matches!(work, Work::Workflow { .. });
        let runs_workflow = is_workflow(&work) || fallback.iter().any(|entry| is_workflow(&entry.work));
        Some(PlannedStep {
            path: StepPath::top(id),
            id: id.clone(),
            pointer: self.pointer.clone(),
            finally: false,
            trigger: self.step.trigger,
            handles: on_error == OnError::Continue,
            retry,
            fallback,
            fan_out,
            cache,
            expect,
            work,
            when,
            timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
            timeout_of_workflow: timeout.filter(|_| runs_workflow),
            poll: self.step.poll.or(defaults.poll).map(|poll| poll.0),
            save,
            credits: own_credits,
            seconds,
            reads,
            definition: Digest::of(b""),
            warnings,
        })
    }

    /// Returns what a step does, or what stands in for it; `verb` is where the verb is written, `inputs` what the inputs stand below.
    fn work(&mut self, step: &'a Step, verb: &Pointer, inputs: &Pointer, found: Option<Found>) -> (Option<Work>, u32) {
        let media_objects = found.as_ref().is_some_and(|found| found.takes.operation);
        let is_run = matches!(step.verb, Verb::Run { .. } | Verb::Workflow(_));
        let fitter = Fitter {
            site: self.site,
            names: self.names,
            scope: if is_run { self.filed } else { self.scope },
            step,
            pointer: if matches!(step.verb, Verb::Run { .. }) { inputs } else { verb },
            media_objects: media_objects && is_run,
        };
        let (edges, ix) = (&mut *self.edges, self.ix);
        match &step.verb {
            Verb::Run { name, .. } => {
                let fitted = fitter.fit(found.as_ref(), |place, reads| note(edges, ix, place, reads));
                let operation = fitter.operation(found.as_ref(), |place, reads| note(edges, ix, place, reads));
                let work = found.map(|Found { provider, checker, read, .. }| Work::Run {
                    provider,
                    checked: read && !checker.contract().unchecked,
                    contract: checker,
                    inputs: fitted.inputs,
                    operation: operation.inputs,
                    label: name.clone(),
                });
                (work, fitted.warnings + operation.warnings)
            }
            Verb::Http(parts) => {
                let inputs = fitter.request(parts, found.as_ref(), |place, reads| note(edges, ix, place, reads));
                let work = found.map(|Found { provider, checker, .. }| Work::Run {
                    provider,
                    label: checker.contract().name.clone(),
                    contract: checker,
                    checked: true,
                    inputs,
                    operation: Vec::new(),
                });
                (work, 0)
            }
            Verb::Set(map) => (Some(Work::Set(self.set(map, verb))), 0),
            Verb::Workflow(path) => {
                let verb = verb.join("workflow");
                let plan = self.nested.plan(self.site, path, &verb, self.offers, self.to_run);
                let document = self.site.document.workflows.get(path);
                let checker = document.map(|document| self.nested.checker(document));
                let inputs = inputs.join("inputs");
                let run = nested::Run { document, plan, checker, label: path, verb: &verb, inputs: &inputs };
                run.work(&fitter, |place, reads| note(edges, ix, place, reads))
            }
        }
    }

    /// Returns the items, and the places of those that have an error of their own.
    fn fan_out(&mut self, when: Option<&Template>) -> (Option<FanOut>, Vec<Pointer>) {
        let (site, step, pointer) = (self.site, self.step, self.pointer);
        let mut wrong = Vec::new();
        let fan_out = fan_out::compile(site, step, pointer, when, |template, place, spot| {
            if self.template(template, place, spot) {
                wrong.push(place.clone());
            }
        });
        (fan_out, wrong)
    }

    fn cache(&mut self) -> Option<PlannedCache> {
        let defaults = &self.site.document.workflow.defaults;
        let cached = matches!(self.step.verb, Verb::Run { .. } | Verb::Http(_));
        let cache = self.step.cache.as_ref().or(defaults.cache.as_ref()).filter(|cache| cache.enabled && cached)?;
        let key = cache.key.as_ref().map(|key| {
            let own = self.step.cache.is_some();
            let at = if own { self.pointer.clone() } else { Pointer::from_iter(["defaults"]) };
            let pointer = at.join("cache").join("key");
            let (tree, errors) = Tree::compile(&Value::String(key.clone()), &pointer);
            for (place, error) in &errors {
                self.site.tell_template(place, error);
            }
            for (place, template) in tree.templates() {
                self.template(template, place, Spot::CacheKey);
            }
            tree
        });
        Some(PlannedCache { ttl: cache.ttl.map(|ttl| ttl.0), key })
    }

    fn expect(&mut self) -> Vec<Expectation> {
        let Some(value) = &self.step.expect else { return Vec::new() };
        let pointer = self.pointer.join("expect");
        let written: Vec<(&str, Pointer)> = match value {
            Value::String(text) => vec![(text, pointer)],
            Value::Array(items) => {
                let items = items.iter().enumerate();
                items.filter_map(|(index, item)| Some((item.as_str()?, pointer.join(index)))).collect()
            }
            Value::Object(map) => {
                let Some(schema) = map.get("schema") else { return Vec::new() };
                let pointer = pointer.join("schema");
                return match Schema::compile(schema) {
                    Ok(schema) => vec![Expectation::Fits { schema: Arc::new(schema), pointer }],
                    Err(complaint) => {
                        let place = complaint.at.iter().fold(pointer, |place, part| place.join(part));
                        let message = format!("this is no JSON Schema: it {}", complaint.message);
                        let diagnostic = Diagnostic::error(Code::BadExpectation, message);
                        self.site.tell(self.site.at(diagnostic, &At::Value(&place), ""));
                        Vec::new()
                    }
                };
            }
            _ => return Vec::new(),
        };
        let mut expect = Vec::with_capacity(written.len());
        for (text, pointer) in written {
            match Template::expectation(text) {
                Ok(template) => {
                    let wrong = self.template(&template, &pointer, Spot::Expect);
                    // That it waits for itself is told with the graph.
                    let reads_itself = |reference: &Reference| {
                        reference.root == Root::Steps
                            && reference.key().and_then(|id| self.names.by_id.get(id)) == Some(&self.ix)
                    };
                    let of_result =
                        |reference: &Reference| matches!(reference.root, Root::Result(_)) || reads_itself(reference);
                    if !wrong && !template.references().iter().any(of_result) {
                        let message = "this expectation reads nothing of the result".to_owned();
                        let diagnostic = Diagnostic::warning(Code::BadExpectation, message).help(
                            "it is judged when the result is there: `images | length > 0`; `when` decides before",
                        );
                        self.site.tell(self.site.at(diagnostic, &At::Value(&pointer), "the same whatever comes out"));
                    }
                    expect.push(Expectation::Holds { template, pointer });
                }
                Err(errors) => {
                    for error in &errors {
                        self.site.tell_template(&pointer, error);
                    }
                }
            }
        }
        expect
    }

    /// Returns which failures make another attempt: those that are named, else all that can; the words of requests hold for requests alone.
    fn retry(&mut self) -> Option<Retry> {
        let defaults = &self.site.document.workflow.defaults;
        let is_http = matches!(self.step.verb, Verb::Http(_));
        if matches!(self.step.verb, Verb::Set(_)) {
            return None;
        }
        let mut retry = self.step.retry.clone().or_else(|| defaults.retry.clone())?;
        let of_requests = |on: &RetryOn| matches!(on, RetryOn::ServerError | RetryOn::Network);
        if let Some(own) = &self.step.retry
            && !is_http
            && let Some(place) = own.on.iter().position(of_requests)
        {
            let word = if own.on[place] == RetryOn::Network { "network" } else { "server_error" };
            let message = format!("`{word}` is for steps with `http`");
            let help =
                "failures of the transport are tried again within an attempt, for as long as its `timeout` lasts";
            let diagnostic = Diagnostic::error(Code::NoEffect, message).help(help);
            let at = self.pointer.join("retry").join("on").join(place);
            self.site.tell(self.site.at(diagnostic, &At::Value(&at), "not a failure of a job"));
        }
        if retry.on.is_empty() {
            retry.on = vec![RetryOn::JobFailed, RetryOn::Timeout, RetryOn::ExpectationFailed];
            retry.on.extend(is_http.then_some([RetryOn::ServerError, RetryOn::Network]).into_iter().flatten());
        }
        retry.on.retain(|on| is_http || !of_requests(on));
        Some(retry).filter(|retry| retry.attempts > 1)
    }

    /// Checks a template, and says whether something is wrong with it.
    fn template(&mut self, template: &Template, pointer: &Pointer, spot: Spot) -> bool {
        let reads = self.names.check(self.site, template, pointer, spot, Some(self.step));
        render_known(self.site, self.names, self.scope, template, pointer, reads.wrong, spot);
        let wrong = reads.wrong;
        note(self.edges, self.ix, pointer, reads);
        wrong
    }

    fn when(&mut self) -> Option<Template> {
        let text = self.step.when.as_ref()?;
        let pointer = self.pointer.join("when");
        match Template::expression(text) {
            Ok(template) => {
                self.template(&template, &pointer, Spot::When);
                Some(template)
            }
            Err(errors) => {
                for error in &errors {
                    self.site.tell_template(&pointer, error);
                }
                None
            }
        }
    }

    fn save(&mut self) -> Option<SavePath> {
        let pointer = self.pointer.join("save");
        let text = match self.step.save.as_ref()? {
            Save::Default => return Some(SavePath::OfStep),
            Save::Path(path) => path,
        };
        let (tree, errors) = Tree::compile(&Value::String(text.clone()), &pointer);
        for (place, error) in &errors {
            self.site.tell_template(place, error);
        }
        for (place, template) in tree.templates() {
            self.template(template, place, Spot::Save);
        }
        save::no_path(self.site, text, &pointer);
        if errors.is_empty() {
            save::one_for_all(self.site, self.step, &tree, &pointer);
        }
        Some(SavePath::Template(tree))
    }

    fn set(&mut self, map: &serde_json::Map<String, Value>, verb: &Pointer) -> Tree {
        let pointer = verb.join("set");
        let mut tree = IndexMap::with_capacity(map.len());
        for (key, value) in map {
            let (item, errors) = Tree::compile_entry(key, value, &pointer.join(key));
            for (place, error) in &errors {
                self.site.tell_template(place, error);
            }
            for (place, template) in item.templates() {
                self.template(template, place, Spot::Set);
            }
            tree.insert(key.clone(), item);
        }
        Tree::Map(tree)
    }

    fn needs(&mut self) {
        let pointer = self.pointer.join("needs");
        for (index, needed) in self.step.needs.iter().enumerate() {
            let place = pointer.join(index);
            match self.names.by_id.get(needed.as_str()) {
                Some(&needs) if needs != self.ix => {
                    self.edges.push(Edge { step: self.ix, needs, pointer: place, range: None });
                }
                // An unknown step, or the step itself.
                _ => self.site.told_before(),
            }
        }
    }
}

/// Warns of a `trigger` that keeps no step of `finally` from running.
fn without_trigger(site: &Site<'_>, pointer: &Pointer) {
    let message = "a step of `finally` runs whatever happened, so its `trigger` has no effect";
    let diagnostic = Diagnostic::warning(Code::NoEffect, message).help("ask in `when` what must hold");
    site.tell(site.at(diagnostic, &At::Value(&pointer.join("trigger")), "no effect"));
}

/// Returns what one job of this work costs, as far as anybody says; a workflow's jobs have costs of their own.
fn credits(work: &Work, estimate: Option<crate::spec::Estimate>) -> Option<f64> {
    match work {
        Work::Run { contract, .. } => estimate::credits(contract.contract(), estimate),
        Work::Set(_) | Work::Workflow { .. } => Some(0.0),
    }
}

fn note(edges: &mut Vec<Edge>, step: StepIx, pointer: &Pointer, reads: Reads) {
    for (needs, range) in reads.steps {
        edges.push(Edge { step, needs, pointer: pointer.clone(), range: Some(range) });
    }
}
