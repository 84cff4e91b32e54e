//! The plan: a workflow whose every name is settled, in the order in which it can run (LANGUAGE.md, sections 2, 3, 5).
//!
//! ```text
//! Document + Given + offers ──plan──▶ Plan, or everything that is wrong
//!    inputs ─▶ vars ─▶ targets ─▶ templates' references ─▶ values against contracts ─▶ graph
//! ```
//!
//! A [`Plan`] holds no unknown step, no cycle, no unknown target and no input that its contract surely refuses: what is
//! wrong is a diagnostic, and then there is no plan. All checks of a file are made, whatever is wrong beside them. The work is
//! linear in the size of the file; each target's contract is compiled once.

mod apply;
mod beside;
mod budget;
mod build;
pub mod count;
mod definition;
pub mod estimate;
mod fan_out;
mod fit;
pub mod graph;
mod group;
mod idle;
mod infer;
#[cfg(test)]
mod infer_tests;
mod inputs;
mod local;
mod nested;
mod notify;
mod operation;
mod origin;
pub mod preview;
mod references;
mod request;
mod results;
pub(crate) mod room;
mod save;
mod schedule;
mod site;
mod targets;
#[cfg(test)]
mod tests;
mod types;
mod unused;

use std::{collections::BTreeMap, collections::HashMap, fmt, sync::Arc, time::Duration};

use indexmap::IndexMap;
use serde_json::{Map, Value};

pub use beside::beside;
pub use build::{LONGEST_PLAN, plan};
pub use graph::StepIx;
pub use group::Group;
pub use inputs::settled;
pub use local::NamedFile;
pub use preview::{Preview, preview};
pub use save::{SavePath, default_path};
pub use schedule::PlannedSchedule;

pub use crate::spec::{Budget, FailurePolicy, Trigger};
use crate::{
    contract::{Catalog, Checker, schema::Schema},
    diagnostic::Diagnostic,
    id::{Digest, StepId, StepPath},
    job::TargetKind,
    secret::Secret,
    source::Pointer,
    spec::{Document, Retry},
    template::{Files, Reference, Root, Template},
    tree::Tree,
};

/// What one configured provider offers to workflows.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The name that workflows call it by.
    pub alias: String,
    /// The kinds of targets that it runs.
    pub kinds: Vec<TargetKind>,
    /// Whether it is named in the project, or its key is there.
    pub configured: bool,
    /// Its contracts. None: they were not read, and its targets are not checked.
    pub catalog: Option<Catalog>,
    /// Where it is, for the URLs of steps with `http`; none where that is not known.
    pub base_url: Option<String>,
    /// Whether a local file can be handed to it.
    pub takes_files: bool,
    /// Whether its runs take `mode`, `scope`, `params` and `options`: AIMP's do.
    pub takes_operation: bool,
}

impl Offer {
    /// Returns the offer of a provider whose contracts were not read, and which takes no files.
    #[must_use]
    pub fn new(alias: impl Into<String>, kinds: &[TargetKind]) -> Self {
        Self {
            alias: alias.into(),
            kinds: kinds.to_vec(),
            configured: true,
            catalog: None,
            base_url: None,
            takes_files: false,
            takes_operation: false,
        }
    }
}

/// Values for a run.
#[derive(Clone, Default)]
pub struct Given {
    /// The inputs, by name.
    pub inputs: Map<String, Value>,
    /// The secrets that the workflow names, from the environment.
    pub secrets: BTreeMap<String, Secret>,
}

impl fmt::Debug for Given {
    /// Names the inputs without their values: only the workflow knows which of them are secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inputs: Vec<_> = self.inputs.keys().collect();
        f.debug_struct("Given").field("inputs", &inputs).field("secrets", &self.secrets).finish()
    }
}

/// What came of planning.
#[derive(Debug)]
pub struct Outcome {
    /// The plan; none when there is an error, here or in reading the document.
    pub plan: Option<Plan>,
    /// Everything that was found, arranged for reading; warnings also beside a plan.
    pub diagnostics: Vec<Diagnostic>,
    /// The local files that the run would surely hand over; whether they are there is for the caller to see.
    pub files: Vec<NamedFile>,
}

/// A workflow that is ready to run. Made for `validate` (without given values) it shows the graph and cannot be run: its inputs
/// are only the defaults.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Over the document's text, the inputs' values and the contracts used; secrets are not in it.
    pub digest: Digest,
    /// What it was made from.
    pub document: Arc<Document>,
    /// The inputs: given ones, defaults, and null for absent ones. Secret inputs are not here.
    pub inputs: Map<String, Value>,
    /// The inputs with `secret: true`.
    pub secret_inputs: BTreeMap<String, Secret>,
    /// The secrets that the workflow names.
    pub secrets: BTreeMap<String, Secret>,
    /// The vars, rendered, but for those that hold local files.
    pub vars: Map<String, Value>,
    /// The vars that hold local files, or may where the inputs come only at the run: what they are depends on the provider that takes them.
    pub file_vars: IndexMap<String, Tree>,
    /// The vars as written, for a workflow whose inputs come only at the run.
    pub var_trees: IndexMap<String, Tree>,
    /// What the values of the inputs must be.
    pub schemas: Arc<BTreeMap<String, Schema>>,
    /// The table of local files that steps' inputs may hold, none of them handed over.
    pub files: Files,
    /// Most jobs in flight.
    pub concurrency: u32,
    /// The lock across runs, if there is one.
    pub group: Option<Group>,
    /// The bound on what the run may spend.
    pub budget: Budget,
    /// The run's result, to be rendered when it has succeeded.
    pub outputs: IndexMap<String, Tree>,
    /// Who is told at the end of the run.
    pub notify: Vec<PlannedNotify>,
    /// When the workflow is to start by itself.
    pub schedule: Vec<PlannedSchedule>,
    /// What is known of the outputs before they are there, of a workflow that a step runs.
    output_types: IndexMap<String, types::Type>,
    warnings: Vec<Diagnostic>,
    /// Whether the inputs are those of a run.
    certain: bool,
    steps: Vec<PlannedStep>,
    by_id: HashMap<StepId, StepIx>,
    graph: graph::Graph,
}

/// A step that is ready to run.
#[derive(Clone, Debug)]
pub struct PlannedStep {
    /// Its id.
    pub id: StepId,
    /// Its place in the run.
    pub path: StepPath,
    /// Where it is written: `/steps/ID`, or `/finally/ID`.
    pub pointer: Pointer,
    /// Whether it stands in `finally`.
    pub finally: bool,
    /// What must hold of the steps that it needs.
    pub trigger: Trigger,
    /// Whether its failure counts as handled.
    pub handles: bool,
    /// Which failures make another attempt.
    pub retry: Option<Retry>,
    /// What is tried when it has failed for good, in order.
    pub fallback: Vec<Alternative>,
    /// The items that it runs for.
    pub fan_out: Option<FanOut>,
    /// Whether an earlier equal result is reused.
    pub cache: Option<PlannedCache>,
    /// What must hold of its result.
    pub expect: Vec<Expectation>,
    /// What it does.
    pub work: Work,
    /// False: it is skipped.
    pub when: Option<Template>,
    /// The bound on one attempt.
    pub timeout: Duration,
    /// The bound on a workflow that it runs, or that stands in for it: the same, where it is written.
    pub timeout_of_workflow: Option<Duration>,
    /// The wish to look at the job this often.
    pub poll: Option<Duration>,
    /// Where its media are written.
    pub save: Option<SavePath>,
    /// Credits of one job: what the contract publishes, else the estimate; none when neither says.
    pub credits: Option<f64>,
    /// Seconds that one job takes, by the estimate.
    pub seconds: Option<f64>,
    /// The steps that its templates mention, in the file's order; all of them are needed.
    pub reads: Vec<StepIx>,
    /// The digest of its definition, and of the data that it reads and that is known before the run.
    pub definition: Digest,
    /// How many warnings its inputs gave.
    pub warnings: u32,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Work {
    /// One job, or one HTTP request, whose parts are its inputs.
    Run {
        /// Alias of the provider.
        provider: String,
        /// The target's contract. Its target is what is to run.
        contract: Arc<Checker>,
        /// Whether the contract was read; else nothing is known of the target, and an app's id may be its name.
        checked: bool,
        /// What the target gets, in the file's order.
        inputs: Vec<PlannedInput>,
        /// What goes beside the inputs, by the API's names: `mode`, `scope`, `params`, `options`.
        operation: Vec<PlannedInput>,
        /// The target's name as written.
        label: String,
    },
    /// No call: the rendered map is the output.
    Set(Tree),
    /// Another workflow: its outputs are the output.
    Workflow {
        /// The workflow. Its inputs are those of this step, known at the run.
        plan: Arc<Plan>,
        /// Its inputs.
        inputs: Vec<PlannedInput>,
        /// Its file, as written.
        label: String,
    },
}

impl Work {
    /// Returns the verb.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Run { contract, .. } => contract.contract().target.kind.verb(),
            Self::Set(_) => "set",
            Self::Workflow { .. } => "workflow",
        }
    }

    /// Returns the target as people know it; empty for a `set`.
    #[must_use]
    pub fn label(&self) -> &str {
        match self {
            Self::Run { label, .. } | Self::Workflow { label, .. } => label,
            Self::Set(_) => "",
        }
    }
}

/// What stands in for a step that has failed for good.
#[derive(Clone, Debug)]
pub struct Alternative {
    /// What it does.
    pub work: Work,
    /// Credits of one job; none when nobody says.
    pub credits: Option<f64>,
}

/// The items that a step runs for.
#[derive(Clone, Debug)]
pub struct FanOut {
    /// What they are.
    pub items: Items,
    /// Where that is written.
    pub pointer: Pointer,
    /// Most items in flight.
    pub max_parallel: Option<u32>,
    /// Whether `when` is judged for each item.
    pub when_per_item: bool,
}

/// What the items of a step are.
#[derive(Clone, Debug)]
pub enum Items {
    /// What an expression gives: a list, or a map.
    Expression(Template),
    /// A list or a map, as written.
    Literal(Tree),
    /// Every combination of lists: each by a name, as an expression or as written.
    Matrix(IndexMap<String, Items>),
}

/// How results of earlier equal submits are reused.
#[derive(Clone, Debug)]
pub struct PlannedCache {
    /// How old one may be.
    pub ttl: Option<Duration>,
    /// What is compared in place of contract and inputs.
    pub key: Option<Tree>,
}

/// What must hold of a result.
#[derive(Clone, Debug)]
pub enum Expectation {
    /// This expression is true.
    Holds {
        /// The expression, over the result.
        template: Template,
        /// Where it is written.
        pointer: Pointer,
    },
    /// The output fits this JSON Schema.
    Fits {
        /// The schema.
        schema: Arc<Schema>,
        /// Where it is written.
        pointer: Pointer,
    },
}

/// Somebody who is told at the end of a run.
#[derive(Clone, Debug)]
pub struct PlannedNotify {
    /// After which ends.
    pub on: Vec<RunEnd>,
    /// Where to.
    pub url: Tree,
    /// Whether as Slack wants it, in place of JSON.
    pub slack: bool,
    /// Where it is written.
    pub pointer: Pointer,
}

/// How a run can end for whom it concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// `succeeded`
    Succeeded,
    /// `failed`, or not to be told
    Failed,
    /// `cancelled`
    Cancelled,
}

/// One input of a job.
#[derive(Clone, Debug)]
pub struct PlannedInput {
    /// The id that the API wants.
    pub port: String,
    /// The value.
    pub tree: Tree,
    /// Where it is written.
    pub pointer: Pointer,
    /// Whether it mentions a secret or a secret input.
    pub secret: bool,
    /// Whether the result of a step may be part of it.
    pub of_results: bool,
}

impl Plan {
    /// Returns all steps, in the file's order.
    #[must_use]
    pub fn steps(&self) -> &[PlannedStep] {
        &self.steps
    }

    /// Returns a step.
    #[must_use]
    pub fn step(&self, ix: StepIx) -> &PlannedStep {
        &self.steps[ix.index()]
    }

    /// Returns the places of all steps, in the file's order.
    pub fn indexes(&self) -> impl Iterator<Item = StepIx> + use<> {
        (0..self.steps.len()).map(StepIx::from_index)
    }

    /// Returns the step with this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<StepIx> {
        self.by_id.get(&id.parse::<StepId>().ok()?).copied()
    }

    /// Returns this plan and those of the workflows that its steps run, directly or through others, each once.
    #[must_use]
    pub fn all(&self) -> Vec<&Self> {
        let mut found: Vec<&Self> = vec![self];
        let mut at = 0;
        while let Some(plan) = found.get(at) {
            for nested in plan.works().filter_map(|work| match work {
                Work::Workflow { plan, .. } => Some(&**plan),
                Work::Run { .. } | Work::Set(_) => None,
            }) {
                if !found.iter().any(|known| std::ptr::eq(*known, nested)) {
                    found.push(nested);
                }
            }
            at += 1;
        }
        found
    }

    /// Returns what the steps do, and what stands in for them.
    pub fn works(&self) -> impl Iterator<Item = &Work> {
        self.steps
            .iter()
            .flat_map(|step| std::iter::once(&step.work).chain(step.fallback.iter().map(|entry| &entry.work)))
    }

    /// Returns what the step at a place in the run does, items and steps of nested workflows included; by its fallback of this number, from 1,
    /// where it has come to one.
    #[must_use]
    pub fn work_at(&self, path: &StepPath, fallback: usize) -> Option<&Work> {
        let mut plan = self;
        let mut parts = path.as_str().split('.').peekable();
        while let Some(part) = parts.next() {
            let step = plan.step(plan.find(part.split('[').next().unwrap_or_default())?);
            let mut works = std::iter::once(&step.work).chain(step.fallback.iter().map(|entry| &entry.work));
            if parts.peek().is_none() {
                return works.nth(fallback);
            }
            plan = works.find_map(|work| match work {
                Work::Workflow { plan, .. } => Some(&**plan),
                Work::Run { .. } | Work::Set(_) => None,
            })?;
        }
        None
    }

    /// Returns the names of the inputs that may hold a local path.
    pub fn file_inputs(&self) -> impl Iterator<Item = &str> {
        let inputs = self.document.workflow.inputs.iter();
        inputs.filter(|(_, input)| input.file).map(|(name, _)| name.as_str())
    }

    /// Says whether inputs of a run hold local paths, or may, where the values come only at the run.
    #[must_use]
    pub fn has_file_inputs(&self) -> bool {
        self.files.has_inputs() || (!self.certain && self.file_inputs().next().is_some())
    }

    /// Returns the steps that wait for this one, in O(their number).
    pub fn dependents(&self, ix: StepIx) -> impl Iterator<Item = StepIx> {
        self.graph.dependents(ix)
    }

    /// Returns the steps that this one waits for.
    pub fn needs(&self, ix: StepIx) -> impl Iterator<Item = StepIx> {
        self.graph.needs(ix)
    }

    /// Returns how many edges the graph has.
    #[must_use]
    pub fn edge_count(&self) -> usize {
        self.graph.edge_count()
    }

    /// Returns the waves: what a run with room for all would do one after the other.
    #[must_use]
    pub fn waves(&self) -> &[Vec<StepIx>] {
        self.graph.waves()
    }

    /// Returns all steps, each after those that it needs.
    #[must_use]
    pub fn order(&self) -> &[StepIx] {
        self.graph.order()
    }

    /// Returns for each step the longest remaining path in time, its own time included.
    #[must_use]
    pub fn ranks(&self, seconds: impl Fn(StepIx) -> f64) -> Vec<f64> {
        self.graph.ranks(seconds)
    }

    /// Returns the longest path in time from a first step to a last one.
    #[must_use]
    pub fn critical_path(&self, seconds: impl Fn(StepIx) -> f64) -> Vec<StepIx> {
        self.graph.critical_path(seconds)
    }

    /// Returns the warnings that planning gave.
    #[must_use]
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// Says whether the value of a reference is known before the run, and no secret.
    #[must_use]
    pub fn knows(&self, reference: &Reference) -> bool {
        match (&reference.root, reference.key()) {
            (Root::Inputs, Some(key)) => self.certain && self.inputs.contains_key(key),
            (Root::Vars, Some(key)) => self.vars.contains_key(key),
            _ => false,
        }
    }
}
