//! The way of a submit: its parts are rendered, checked whole, written down as an intent, and only then sent.
//!
//! ```text
//! templates ──render──▶ values ──contract──▶ JobRequest ──record──▶ submit_intended ──on disk──▶ the API
//! ```

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Driver, RunError, attempt, milliseconds};
use crate::{
    contract::{
        Checker, Violation, media,
        operation::{self, Asked, Part},
    },
    diagnostic::Severity,
    job::{IdempotencyKey, JobRequest, Operation, Target, TargetKind},
    journal::{
        Reservation,
        event::Event,
        state::{
            StepIndex,
            spending::{Affords, Shortfall},
        },
    },
    plan::{PlannedInput, PlannedStep, Work},
    result::ErrorKind,
    run::decide::{later, words},
    source::Pointer,
    template::{Scope, TemplateError},
};

/// Why a request cannot be made: nothing was sent.
pub(super) enum Refusal {
    /// A template failed.
    Template(Pointer, TemplateError),
    /// The values do not fit the contract.
    Contract(Vec<Violation>),
}

impl From<(Pointer, TemplateError)> for Refusal {
    fn from((pointer, error): (Pointer, TemplateError)) -> Self {
        Self::Template(pointer, error)
    }
}

impl Driver {
    /// Renders the request, records its intent, and sends it, unless a submit of its class is unsettled or the budget of the day is spent.
    ///
    /// # Errors
    ///
    /// Where the journal cannot be read.
    pub(super) fn submit(&mut self, ix: StepIndex) -> Result<(), RunError> {
        self.send(ix, None)
    }

    /// Takes an earlier equal result for a step whose submit the budget does not allow, or fails it. A result that was taken in the meantime
    /// may have left room for it: it is judged again then.
    ///
    /// # Errors
    ///
    /// Where the journal cannot be read.
    pub(super) fn reuse(&mut self, ix: StepIndex) -> Result<(), RunError> {
        let Affords::No(shortfall) = self.state.affords(ix) else { return Ok(()) };
        if self.planned(ix).cache.is_some() {
            return self.send(ix, Some(&shortfall));
        }
        self.fail(ix, ErrorKind::BudgetExceeded, words(&shortfall));
        Ok(())
    }

    fn send(&mut self, ix: StepIndex, short: Option<&Shortfall>) -> Result<(), RunError> {
        let scope = self.scope_of(ix);
        let (plan, place) = self.plan_and_step(ix);
        let step = plan.step(place);
        let work = self.work(ix).clone();
        let Work::Run { provider, contract, inputs, operation, .. } = &work else {
            unreachable!("only steps with a job become ready")
        };
        let request = self.with_files(self.state.step(ix).frame, &scope, &work).and_then(|(scope, files)| {
            let settle = |value: &mut Value, schema: Option<&Value>| self.with_media(value, schema, provider);
            let request = request(contract, inputs, operation, &scope, settle)?;
            Ok((request, self.given(provider, &files)))
        });
        let (request, given) = match request {
            Ok(made) => made,
            Err(Refusal::Template(pointer, error)) => {
                self.template_failed(ix, &pointer, &error);
                return Ok(());
            }
            Err(Refusal::Contract(violations)) => {
                self.refused(ix, step, &work, &violations);
                return Ok(());
            }
        };
        let (shown_inputs, shown_operation) = self.without_secrets(&request, provider, inputs, operation);
        let mut cache =
            match self.cache_key(ix, step, &work, (&request.target, &shown_inputs, &shown_operation), &scope) {
                Ok(cache) => cache,
                Err((pointer, error)) => {
                    self.template_failed(ix, &pointer, &error);
                    return Ok(());
                }
            };
        // Whatever an earlier sending of this very submit came to is settled, and not passed by.
        if let Some(cache) = cache.as_mut().filter(|_| !self.state.step(ix).unsettled)
            && self.take_cached(ix, step, cache, &scope, &given)?
        {
            return Ok(());
        }
        if let Some(shortfall) = short {
            self.fail(ix, ErrorKind::BudgetExceeded, words(shortfall));
            return Ok(());
        }
        let class = self.class_of(provider, &request.target, &shown_inputs);
        if self.is_fenced(ix, provider, class, &request.target, &shown_inputs)? || self.is_over_the_day(ix, provider)? {
            return Ok(());
        }
        let attempt = self.state.step(ix).next_attempt();
        let path = self.path(ix);
        let key = IdempotencyKey(format!("{}/{path}/{attempt}", self.state.run));
        let (api, base_url) = {
            let lane = &self.lanes[provider];
            (Arc::clone(&lane.provider), lane.provider.base_url().to_owned())
        };
        if class.is_some() {
            self.fence.sent.insert(ix, (request.target.clone(), shown_inputs.clone()));
        }
        self.record(Event::SubmitIntended {
            step: path,
            attempt,
            provider: provider.clone(),
            base_url,
            target: request.target.clone(),
            inputs: shown_inputs,
            operation: Box::new(shown_operation),
            key: key.clone(),
            class,
            cache: cache.map(Box::new),
            server_at: api.clock().map(milliseconds),
            given,
        });
        let now = self.world.now();
        self.lane(ix).limiter.force(now);
        self.deadlines.insert((later(now, step.timeout), ix));
        let task = attempt::submit(ix, api, request, key, step.timeout, self.journal.clone(), self.world.clone());
        let handle = self.tasks.spawn(task);
        self.submits.insert(ix, handle);
        Ok(())
    }

    /// Fails a step whose submit would pass what its account may spend in a day, over all runs on the state; else holds back what it
    /// will cost.
    fn is_over_the_day(&mut self, ix: StepIndex, provider: &str) -> Result<bool, RunError> {
        let limit = self.lanes[provider].per_day;
        if limit.is_none() {
            return Ok(false);
        }
        let step = self.state.step(ix);
        let reservation = Reservation {
            account: provider,
            day: self.world.now().strftime("%Y-%m-%d").to_string(),
            limit,
            run: self.state.run,
            step: &step.path,
            attempt: step.next_attempt(),
            credits: step.price(),
        };
        let Err(shortfall) = self.journal.reserve(&reservation)? else { return Ok(false) };
        let message = format!("today's budget of `{provider}`: {}", words(&shortfall));
        self.fail(ix, ErrorKind::BudgetExceeded, message);
        Ok(true)
    }

    /// Puts an uploaded file into the form that its place in an input wants: an API's name for it, or an object with it.
    fn with_media(&self, value: &mut Value, schema: Option<&Value>, provider: &str) {
        let lane = &self.lanes[provider];
        if lane.media.is_empty() || !lane.promises.uploads {
            return;
        }
        media::each_place(value, schema, |value, wanted| {
            if let Some(media) = lane.media.reference(value) {
                *value = lane.provider.media_input(media, wanted);
            }
        });
    }

    /// Returns the parts of a request as they are written down: what mentions a secret only as its keyed digest, URLs of files that were
    /// handed over without their signatures.
    fn without_secrets(
        &self,
        request: &JobRequest,
        provider: &str,
        inputs: &[PlannedInput],
        operation: &[PlannedInput],
    ) -> (Map<String, Value>, Operation) {
        let digest = |value: &Value| json!({"$secret": self.journal.digest(value.to_string().as_bytes())});
        let mut shown = request.inputs.clone();
        let media = &self.lanes[provider].media;
        if !media.is_empty() {
            shown.values_mut().for_each(|value| media.unsign(value));
        }
        for input in inputs.iter().filter(|input| input.secret) {
            if let Some(value) = shown.get_mut(&input.port) {
                *value = digest(value);
            }
        }
        let mut beside = request.operation.clone();
        // Secrets may stand in `params` alone of what goes beside the inputs.
        if operation.iter().any(|input| input.secret)
            && let Some(params) = &mut beside.params
        {
            *params = Map::from_iter([(
                "$secret".to_owned(),
                digest(&Value::Object(std::mem::take(params)))["$secret"].take(),
            )]);
        }
        (shown, beside)
    }

    /// Fails a step whose rendered parts do not fit the contract: nothing was sent.
    fn refused(&mut self, ix: StepIndex, step: &PlannedStep, work: &Work, violations: &[Violation]) {
        let mut lines: Vec<String> = vec!["the inputs do not fit the contract, so nothing was sent:".to_owned()];
        for violation in violations {
            let place = match (&violation.port, work) {
                (Some(port), Work::Run { inputs, .. }) => inputs.iter().find(|input| input.port == *port),
                // Beside the inputs, the first key says which part it is.
                (None, Work::Run { operation, .. }) => {
                    operation.iter().find(|part| violation.at.first() == Some(&part.port))
                }
                _ => None,
            };
            let pointer = place.map_or_else(|| step.pointer.clone(), |input| input.pointer.clone());
            if place.is_some_and(|input| input.secret) {
                // The message may show the value.
                lines.push(format!("  {}: the secret value does not fit this input", self.place(ix, &pointer)));
                continue;
            }
            lines.push(format!("  {}: {}", self.place(ix, &pointer), violation.message));
            if let Some(help) = &violation.help {
                lines.push(format!("    help: {help}"));
            }
        }
        self.fail(ix, ErrorKind::Rejected, lines.join("\n"));
    }
}

/// Renders the parts of a request and checks them whole; `settle` puts uploaded files into an input, whose schema it takes.
fn request(
    contract: &Checker,
    inputs: &[PlannedInput],
    parts: &[PlannedInput],
    scope: &Scope,
    settle: impl Fn(&mut Value, Option<&Value>),
) -> Result<JobRequest, Refusal> {
    let rendered = inputs.iter().map(|input| Ok((input.port.clone(), input.tree.render(scope)?)));
    let mut rendered = rendered.collect::<Result<Vec<_>, Refusal>>()?;
    let mut beside = rendered_operation(parts, contract, scope)?;
    // Of a target with operations, the contract of the one that is asked for counts.
    let own = contract.for_mode(beside.mode.as_deref()).map_err(|wrong| Refusal::Contract(vec![wrong]))?;
    for (port, value) in &mut rendered {
        settle(value, own.schema_of(port));
    }
    let values = own.prepare(rendered).map_err(Refusal::Contract)?;
    if let Some(params) = beside.params.take() {
        beside.params = Some(own.prepare_params(params).map_err(Refusal::Contract)?);
    }
    let mut target = contract.contract().target.clone();
    if target.kind == TargetKind::Http {
        target = request_target(&values, inputs, &target);
    }
    Ok(JobRequest { target, inputs: values, operation: beside })
}

/// Renders `mode`, `scope`, `params` and `options` and checks them. A null is left out: none of them may be sent as one
/// (`apis/aimp.md`).
fn rendered_operation(parts: &[PlannedInput], contract: &Checker, scope: &Scope) -> Result<Operation, Refusal> {
    let (mut asked, mut operation) = (Asked::default(), Operation::default());
    for part in parts {
        let value = part.tree.render(scope)?;
        let (text, map) = (value.as_str().map(str::to_owned), value.as_object().cloned());
        let place = match part.port.as_str() {
            "mode" => {
                operation.mode = text;
                &mut asked.mode
            }
            "scope" => {
                operation.scope = text;
                &mut asked.scope
            }
            "params" => {
                operation.params = map;
                &mut asked.params
            }
            _ => {
                operation.options = map;
                &mut asked.options
            }
        };
        *place = Part::Known(value);
    }
    let wrong = operation::violations(&asked, Some(contract));
    if wrong.iter().any(|violation| violation.severity == Severity::Error) {
        return Err(Refusal::Contract(wrong));
    }
    Ok(operation)
}

/// Returns the target of an HTTP request: method and URL without its query, as far as they are no secret.
fn request_target(values: &Map<String, Value>, inputs: &[PlannedInput], planned: &Target) -> Target {
    if inputs.iter().any(|input| input.port == "url" && input.secret) {
        return planned.clone();
    }
    let text = |part: &str| values.get(part).and_then(Value::as_str);
    let url = text("url").unwrap_or_default().split(['?', '#']).next().unwrap_or_default();
    Target { kind: TargetKind::Http, id: format!("{} {url}", text("method").unwrap_or("GET")) }
}
