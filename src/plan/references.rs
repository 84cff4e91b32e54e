//! What templates may read, and where: every reference is checked against the workflow's inputs, vars, secrets and steps, and
//! against the fields that a result has (LANGUAGE.md, section 4).
//!
//! Only what is certain is told. A path into an output that only the API knows is left to the run.

mod fields;

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::{HashMap, HashSet},
    ops::Range,
    sync::Arc,
};

use indexmap::IndexMap;
use serde_json::{Map, Value};

use self::fields::{check_field, check_medium, check_set_key};
use super::{
    Plan,
    graph::StepIx,
    inputs::Facts,
    site::{At, Site, helped, suggestion},
    types::Type,
};
use crate::{
    contract::ValueKind,
    diagnostic::{Code, Diagnostic},
    id::StepId,
    result::{plural, singular},
    source::Pointer,
    spec::{Step, Verb},
    template::{Reference, Root, Segment, Template},
    tree::Tree,
};

pub(super) const JOB_FIELDS: &[&str] =
    &["id", "provider", "status", "credits_charged", "tokens_used", "latency_ms", "created_at", "completed_at"];
pub(super) const FILE_FIELDS: &[&str] = &["path", "url", "sha256", "bytes", "content_type"];
pub(super) const ERROR_FIELDS: &[&str] = &["kind", "message"];
const RUN_FIELDS: &[&str] = &["id", "name", "started_at"];
const RUN_END_FIELDS: &[&str] = &["status", "failed_steps"];
const STEP_FIELDS: &[&str] = &["id", "attempt"];

/// Where a template stands; it decides what the template may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    Vars,
    Inputs,
    Params,
    Options,
    Mode,
    Scope,
    Http,
    When,
    Set,
    Save,
    Outputs,
    Group,
    Foreach,
    Expect,
    CacheKey,
    Notify,
    /// Inputs of a step that runs a workflow, which declares this one as no secret.
    Nested,
}

impl Spot {
    fn takes_secrets(self) -> bool {
        matches!(self, Self::Inputs | Self::Params | Self::Http | Self::Notify)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Vars => "vars",
            Self::Inputs | Self::Nested => "inputs",
            Self::Params => "params",
            Self::Options => "options",
            Self::Mode => "mode",
            Self::Scope => "scope",
            Self::Http => "http",
            Self::When => "when",
            Self::Set => "set",
            Self::Save => "save",
            Self::Outputs => "outputs",
            Self::Group => "concurrency.group",
            Self::Foreach => "foreach",
            Self::Expect => "expect",
            Self::CacheKey => "cache.key",
            Self::Notify => "notify",
        }
    }
}

/// What references see of a step.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) step: &'a Step,
    /// The kind of medium that its target gives, where it is published.
    pub(super) output: Option<ValueKind>,
}

impl Seen<'_> {
    /// Says whether what stands in for the step gives another output: another verb, or another workflow.
    pub(super) fn may_give_other(&self) -> bool {
        let verbs = self.step.fallback.iter().filter_map(|entry| entry.verb.as_ref());
        verbs.into_iter().any(|verb| match (&self.step.verb, verb) {
            (Verb::Http(_), Verb::Http(_)) => false,
            (own, other) => own != other,
        })
    }
}

/// All names that templates may read.
#[derive(Debug)]
pub(super) struct Names<'a> {
    pub(super) facts: &'a Facts,
    pub(super) steps: Vec<Seen<'a>>,
    pub(super) by_id: HashMap<&'a str, StepIx>,
    /// The vars so far, in the file's order: what is known of each.
    pub(super) vars: IndexMap<String, Type>,
    /// Those whose values are known.
    pub(super) known_vars: Map<String, Value>,
    /// Those that hold local files.
    pub(super) file_vars: IndexMap<String, Tree>,
    /// Whether some input is a secret.
    pub(super) has_secret_input: bool,
    /// Whether what is checked is of `finally`, which runs when all else is over.
    pub(super) at_end: Cell<bool>,
    /// Whether what is looked at surely does nothing in the run, so that no value is known to it.
    pub(super) is_idle: Cell<bool>,
    /// What was read so far.
    pub(super) record: RefCell<Record>,
    /// The inputs that some `when` asks about.
    pub(super) asked: OnceCell<HashSet<String>>,
    /// By step: whether it may be skipped.
    pub(super) skipped: OnceCell<Vec<bool>>,
    /// The plans of the workflows that steps run, by their paths; what they give is known from them.
    pub(super) nested: HashMap<&'a str, Arc<Plan>>,
    /// The step whose result `expect` looks at.
    pub(super) own: Cell<Option<StepIx>>,
    /// What is known of the outputs of steps, as far as it was asked for.
    pub(super) outputs: RefCell<HashMap<StepIx, Type>>,
    /// How deep in outputs of outputs that is.
    pub(super) depth: Cell<usize>,
}

/// What templates were seen to read.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// Inputs, vars and secrets by name.
    pub(super) names: HashSet<(Root, String)>,
    /// What was read as a whole, every name in it included.
    pub(super) whole: HashSet<Root>,
    /// Steps.
    pub(super) steps: HashSet<StepIx>,
    /// Each step with one that it reads.
    pub(super) edges: Vec<(StepIx, StepIx)>,
    /// Vars that depend on inputs.
    pub(super) derived: HashSet<String>,
}

/// What checking a template found out.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// The steps that it mentions, with the bytes that mention them.
    pub(super) steps: Vec<(StepIx, Range<usize>)>,
    /// Whether something is wrong with it, so that nothing more is to be said of it.
    pub(super) wrong: bool,
}

impl<'a> Names<'a> {
    pub(super) fn new(site: &Site<'a>, facts: &'a Facts) -> Self {
        let workflow = &site.document.workflow;
        let ids = workflow.all_steps().enumerate();
        let by_id = ids.map(|(index, (id, _, _))| (id.as_str(), StepIx::from_index(index))).collect();
        let steps = workflow.all_steps().map(|(_, step, _)| Seen { step, output: None }).collect();
        let has_secret_input = workflow.inputs.values().any(|input| input.secret);
        Self {
            facts,
            steps,
            by_id,
            vars: IndexMap::new(),
            known_vars: Map::new(),
            file_vars: IndexMap::new(),
            has_secret_input,
            at_end: Cell::new(false),
            is_idle: Cell::new(false),
            record: RefCell::default(),
            asked: OnceCell::new(),
            skipped: OnceCell::new(),
            nested: HashMap::new(),
            own: Cell::new(None),
            outputs: RefCell::default(),
            depth: Cell::new(0),
        }
    }

    /// Returns what has the only one, where a list is one of a step's media: `steps.ID.image` for `steps.ID.images`.
    pub(super) fn singular_of(&self, reference: &Reference) -> Option<String> {
        let [Segment::Key(id), Segment::Key(field)] = reference.path.as_slice() else { return None };
        let found = self.by_id.get(id.as_str()).filter(|_| reference.root == Root::Steps)?;
        let only = plural(field).filter(|_| !is_fan(self.steps[found.index()].step))?;
        Some(format!("steps.{id}.{}", only.word()))
    }

    /// Notes that what is looked at now belongs to no step.
    pub(super) fn leave_step(&self) {
        self.at_end.set(false);
        self.own.set(None);
        self.is_idle.set(false);
    }

    /// Says whether the value of a reference is known before the run.
    pub(super) fn is_known(&self, reference: &Reference) -> bool {
        if self.is_idle.get() {
            return false;
        }
        match (&reference.root, reference.key()) {
            (Root::Inputs, Some(key)) => self.facts.certain && self.facts.inputs.contains_key(key),
            (Root::Vars, Some(key)) => self.known_vars.contains_key(key),
            _ => false,
        }
    }

    /// Says whether a reference is to an input, or to a var, that holds a local file in this run.
    fn is_local_file(&self, reference: &Reference) -> bool {
        match (&reference.root, reference.key()) {
            (Root::Inputs, Some(key)) => self.facts.certain && self.facts.files.contains(key),
            (Root::Vars, Some(key)) => self.facts.certain && self.file_vars.contains_key(key),
            _ => false,
        }
    }

    /// Says whether a template reads a secret or a secret input.
    pub(super) fn is_secret(&self, site: &Site<'_>, reference: &Reference) -> bool {
        match (&reference.root, reference.key()) {
            (Root::Secrets, _) => true,
            (Root::Inputs, Some(key)) => site.document.workflow.inputs.get(key).is_some_and(|input| input.secret),
            (Root::Inputs, None) => self.has_secret_input,
            _ => false,
        }
    }

    /// Checks all references of a template. `step` is the step that it belongs to, if it belongs to one.
    pub(super) fn check(
        &self,
        site: &Site<'a>,
        template: &Template,
        pointer: &Pointer,
        spot: Spot,
        step: Option<&Step>,
    ) -> Reads {
        let mut reads = Reads::default();
        if let Some(call) = template.files().first()
            && !matches!(spot, Spot::Vars | Spot::Inputs | Spot::Params | Spot::Nested)
        {
            reads.wrong = true;
            let message = format!("`{}` takes no local file", spot.name());
            let help = "`file` is of use only in a step's `inputs` or `params`";
            let diagnostic = Diagnostic::error(Code::NotHere, message).help(help);
            site.tell(site.at(diagnostic, &At::Within(pointer, call.range.clone()), "no file here"));
        } else if let Some(call) = template.files().iter().find(|call| call.roots.contains(&Root::Item))
            && step.is_some_and(has_items_of_results)
        {
            reads.wrong = true;
            let message = "a step's result may be part of the path of this file";
            let help = "the items come from a result, and no API's answer chooses a file of this machine: take them from an input";
            let diagnostic = Diagnostic::error(Code::TemplateFailed, message).help(help);
            site.tell(site.at(diagnostic, &At::Within(pointer, call.range.clone()), "whose file?"));
        }
        for reference in template.references() {
            self.note(reference, pointer);
            if spot == Spot::Foreach && self.is_local_file(reference) {
                reads.wrong = true;
                let message = format!("`{reference}` is a local file, and items are data");
                let help = "name it in the step's `inputs`, or give an http(s) URL";
                let diagnostic = Diagnostic::error(Code::TemplateFailed, message).help(help);
                site.tell(site.at(diagnostic, &At::Within(pointer, reference.range.clone()), "no item"));
                continue;
            }
            match self.check_one(site, reference, pointer, spot, step) {
                Ok(Some(read)) => {
                    let end = reference.segments.first().map_or(reference.range.end, |id| id.end);
                    reads.steps.push((read, reference.range.start..end));
                }
                Ok(None) => {}
                Err(diagnostic) => {
                    reads.wrong = true;
                    site.tell(*diagnostic);
                }
            }
        }
        if !reads.wrong {
            reads.wrong = self.judge(site, template, pointer, spot, step);
        }
        reads
    }

    /// Notes that something is read in a template at this place.
    fn note(&self, reference: &Reference, pointer: &Pointer) {
        let (step, var) = match pointer.parts() {
            [top, id, ..] if top == "steps" => (self.by_id.get(id.as_str()), None),
            [top, name, ..] if top == "vars" => (None, Some(name)),
            _ => (None, None),
        };
        let mut record = self.record.borrow_mut();
        match (&reference.root, reference.key()) {
            (Root::Steps, Some(id)) => {
                let Some(&read) = self.by_id.get(id) else { return };
                record.steps.insert(read);
                if let Some(&step) = step {
                    record.edges.push((step, read));
                }
            }
            (root, Some(key)) => {
                let is_derived = *root == Root::Inputs || (*root == Root::Vars && record.derived.contains(key));
                if let Some(var) = var.filter(|_| is_derived) {
                    record.derived.insert(var.clone());
                }
                record.names.insert((root.clone(), key.to_owned()));
            }
            (root, None) => {
                if let Some(var) = var {
                    record.derived.insert(var.clone());
                }
                record.whole.insert(root.clone());
            }
        }
    }

    fn check_one(
        &self,
        site: &Site<'a>,
        reference: &Reference,
        pointer: &Pointer,
        spot: Spot,
        step: Option<&Step>,
    ) -> Result<Option<StepIx>, Box<Diagnostic>> {
        let place = Place { site, reference, pointer };
        if self.is_secret(site, reference) && !spot.takes_secrets() {
            let what = match (&reference.root, reference.key()) {
                (Root::Secrets, Some(_)) => "is a secret",
                (Root::Secrets, None) => "are all secrets",
                (_, Some(_)) => "is a secret input",
                (_, None) => "holds a secret input",
            };
            let message = format!("`{reference}` {what}, and `{}` could show it", spot.name());
            let help = match spot {
                Spot::Nested => "declare the input with `secret: true` in the workflow that this step runs",
                _ => {
                    "secrets may stand only in values under a step's `inputs`, `params` or `http`, and in the `url` of `notify`"
                }
            };
            let help = help.to_owned();
            return place.whole(Code::SecretPlace, message, "secret", Some(help));
        }
        match (&reference.root, reference.key()) {
            (Root::Inputs | Root::Vars | Root::Secrets, Some(name)) => self.declared(&place, name)?,
            (Root::Steps, _) if spot == Spot::Vars => {
                let help = "vars are made before the first step; write the reference where it is used".to_owned();
                let message = "vars cannot read the results of steps".to_owned();
                return place.whole(Code::NotHere, message, "not yet there", Some(help));
            }
            (Root::Steps, _) if spot == Spot::Group => {
                let help = "the group is settled before the first step; name it by inputs, vars or `run`".to_owned();
                let message = "`concurrency.group` cannot read the results of steps".to_owned();
                return place.whole(Code::NotHere, message, "not yet there", Some(help));
            }
            (Root::Steps, _) if spot == Spot::Notify => {
                let help =
                    "`run.status` and `run.failed_steps` tell how it ended; what a step gave goes into `outputs`";
                let message = "`notify` cannot read the results of steps".to_owned();
                return place.whole(Code::NotHere, message, "not to be had here", Some(help.to_owned()));
            }
            (Root::Steps, None) => {
                let help = "write the step's id, such as `steps.render.image`".to_owned();
                let message = "the step is not named, so what this waits for is not known".to_owned();
                return place.whole(Code::ComputedStep, message, "which step?", Some(help));
            }
            (Root::Steps, Some(id)) => {
                let is_late = |found: &&StepIx| found.index() >= site.document.workflow.steps.len();
                let Some(&found) = self.by_id.get(id).filter(|found| self.at_end.get() || !is_late(found)) else {
                    if site.is_written("steps", id) {
                        site.told_before();
                        return Ok(None);
                    }
                    return Err(Box::new(Self::unknown_step(site, id, &place.segment(0))));
                };
                check_field(&place, id, &self.steps[found.index()])?;
                return Ok(Some(found));
            }
            (Root::Item | Root::Index, _) => {
                if !step.is_some_and(is_fan) {
                    let message = format!("`{}` is there only in a step with `foreach`", reference.root.name());
                    return place.whole(Code::NoItem, message, "no item here", None);
                }
            }
            (Root::Step, _) if !matches!(spot, Spot::Save | Spot::CacheKey) => {
                let message = "`step` is there only in `save` and `cache.key`".to_owned();
                return place.whole(Code::NotHere, message, "not to be had here", None);
            }
            (Root::Ext | Root::N, _) if spot != Spot::Save => {
                let message = format!("`{}` is there only in `save`", reference.root.name());
                return place.whole(Code::NotHere, message, "not to be had here", None);
            }
            (Root::Step, Some(key)) => place.field("step", key, STEP_FIELDS, 0)?,
            (Root::Run, Some(key)) if RUN_END_FIELDS.contains(&key) && (self.at_end.get() || spot == Spot::Notify) => {}
            (Root::Run, Some(key)) if RUN_END_FIELDS.contains(&key) => {
                let message = format!("`run.{key}` is there only when the steps are over: in `finally` and `notify`");
                return place.part(0, Code::NotHere, message, "not to be had here", None);
            }
            (Root::Run, Some(key)) => place.field("run", key, RUN_FIELDS, 0)?,
            (Root::Result(name), _) if spot == Spot::Expect => self.check_own(&place, name)?,
            (Root::Result(name), _) => {
                let help = suggestion(site, name, Root::NAMES.iter().copied(), "there are");
                let message = format!("templates have no name `{name}`");
                return place.whole(Code::UnknownName, message, "unknown name", help);
            }
            // The whole of what is there: any of it may be read.
            (Root::Inputs | Root::Vars | Root::Secrets | Root::Run | Root::Step | Root::Ext | Root::N, _) => {}
        }
        Ok(None)
    }

    /// Checks a name of the result that `expect` looks at: that of one job, before anything of it is saved.
    fn check_own(&self, place: &Place<'_, 'a>, name: &str) -> Result<(), Box<Diagnostic>> {
        let Some(seen) = self.own.get().map(|own| &self.steps[own.index()]) else { return Ok(()) };
        match (name, place.reference.path.first()) {
            ("items" | "outputs", _) => {
                let message = format!("`expect` looks at the result of one job, which has no `{name}`");
                let help = "`output` is its output, `images` the list of its images".to_owned();
                return place.whole(Code::UnknownField, message, "not a field of this result", Some(help));
            }
            ("files", _) => {
                let message =
                    "`files` is always empty in `expect`: what comes out is saved only once it is as expected";
                let help = "ask for the media themselves, such as `images | length > 0`";
                let at = At::Within(place.pointer, place.reference.range.clone());
                let diagnostic = Diagnostic::warning(Code::BadExpectation, message).help(help);
                place.site.tell(place.site.at(diagnostic, &at, "always empty"));
            }
            ("job", Some(Segment::Key(key))) => place.field("job", key, JOB_FIELDS, 0)?,
            ("output", Some(Segment::Key(key))) => check_set_key(place, None, seen, key)?,
            _ => {}
        }
        singular(name).map_or(Ok(()), |wanted| check_medium(place, None, seen, name, wanted))
    }

    /// Checks that an input, a var or a secret is declared.
    fn declared(&self, place: &Place<'_, 'a>, name: &str) -> Result<(), Box<Diagnostic>> {
        let site = place.site;
        let workflow = &site.document.workflow;
        if place.reference.root == Root::Inputs
            && !workflow.inputs.contains_key(name)
            && site.is_written("inputs", name)
        {
            site.told_before();
            return Ok(());
        }
        match place.reference.root {
            Root::Inputs if !workflow.inputs.contains_key(name) => {
                let names = workflow.inputs.keys().map(String::as_str);
                let help = suggestion(site, name, names, "the inputs are")
                    .or_else(|| Some(format!("declare it under `inputs`: `{name}: {{ type: string }}`")));
                let message = format!("the workflow declares no input `{name}`");
                place.part(0, Code::UndeclaredInput, message, "not declared", help)
            }
            Root::Vars if !self.vars.contains_key(name) => {
                let (message, text, help) = if workflow.vars.contains_key(name) {
                    let help =
                        "vars are made in the file's order: put the one that is read above the one that reads it";
                    (format!("var `{name}` is defined only later"), "not yet defined", Some(help.to_owned()))
                } else {
                    let help = suggestion(site, name, self.vars.keys().map(String::as_str), "the vars are");
                    (format!("the workflow defines no var `{name}`"), "not defined", help)
                };
                place.part(0, Code::UndefinedVar, message, text, help)
            }
            Root::Secrets if !workflow.secrets.iter().any(|secret| secret == name) => {
                let names = workflow.secrets.iter().map(String::as_str);
                let help = crate::diagnostic::nearest(name, names).map_or_else(
                    || format!("name it at the top of the file: `secrets: [{name}]`"),
                    |near| format!("did you mean `{near}`?"),
                );
                let message = format!("the workflow names no secret `{name}`");
                place.part(0, Code::UndeclaredSecret, message, "not named under `secrets`", Some(help))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn unknown_step(site: &Site<'_>, id: &str, at: &At<'_>) -> Diagnostic {
        let workflow = &site.document.workflow;
        let finally = id.parse::<StepId>().is_ok_and(|id| workflow.finally.contains_key(&id));
        let (message, help) = if finally {
            (format!("`{id}` is a step of `finally`, and those run after all others"), None)
        } else {
            let names = workflow.steps.keys().map(StepId::as_str);
            (format!("there is no step `{id}`"), suggestion(site, id, names, "the steps are"))
        };
        helped(site.at(Diagnostic::error(Code::UnknownStep, message), at, "unknown step"), help)
    }
}

/// A reference, and where it stands.
struct Place<'p, 'a> {
    site: &'p Site<'a>,
    reference: &'p Reference,
    pointer: &'p Pointer,
}

impl Place<'_, '_> {
    /// Returns the place of a part of the path.
    fn segment(&self, index: usize) -> At<'_> {
        let range = self.reference.segments.get(index).unwrap_or(&self.reference.range);
        At::Within(self.pointer, range.clone())
    }

    fn error<T>(
        &self,
        code: Code,
        message: String,
        at: &At<'_>,
        text: &str,
        help: Option<String>,
    ) -> Result<T, Box<Diagnostic>> {
        Err(Box::new(helped(self.site.at(Diagnostic::error(code, message), at, text), help)))
    }

    /// Returns an error about the reference.
    fn whole<T>(&self, code: Code, message: String, text: &str, help: Option<String>) -> Result<T, Box<Diagnostic>> {
        let at = At::Within(self.pointer, self.reference.range.clone());
        self.error(code, message, &at, text, help)
    }

    /// Returns an error about a part of its path.
    fn part<T>(
        &self,
        index: usize,
        code: Code,
        message: String,
        text: &str,
        help: Option<String>,
    ) -> Result<T, Box<Diagnostic>> {
        self.error(code, message, &self.segment(index), text, help)
    }

    /// Checks that something has a field.
    fn field(&self, holder: &str, key: &str, fields: &[&'static str], index: usize) -> Result<(), Box<Diagnostic>> {
        if fields.contains(&key) {
            return Ok(());
        }
        let help = suggestion(self.site, key, fields.iter().copied(), "it has");
        let message = format!("`{holder}` has no field `{key}`");
        self.part(index, Code::UnknownField, message, "unknown field", help)
    }
}

pub(super) fn is_fan(step: &Step) -> bool {
    step.foreach.is_some() || step.matrix.is_some()
}

/// Says whether what a template of a step reads here may hold something of another step's result.
pub(super) fn may_hold_result(reference: &Reference, step: &Step) -> bool {
    match reference.root {
        Root::Steps | Root::Result(_) => true,
        Root::Item => has_items_of_results(step),
        _ => false,
    }
}

/// Says whether the items of a step come from the results of others.
fn has_items_of_results(step: &Step) -> bool {
    let of_step = |reference: &Reference| reference.root == Root::Steps;
    step.foreach.iter().chain(step.matrix.iter().flat_map(Map::values)).any(|items| match items {
        Value::String(text) => Template::expression(text).is_ok_and(|items| items.references().iter().any(of_step)),
        literal => Tree::compile(literal, &Pointer::root()).0.references().any(|(_, reference)| of_step(reference)),
    })
}
