//! What a template can read: a [`Scope`] of names, and results of steps prepared for it ([`Shown`]).
//!
//! Values are converted for the engine once. A result is converted piece by piece when first read, and shared from then on, so
//! that thousands of dependents of one step do not copy its outputs. A scope holds only the steps that its template needs.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    sync::{Arc, OnceLock},
};

use minijinja::{
    Value,
    value::{DynObject, Enumerator, Object, ValueKind},
};
use serde_json::json;

use super::{
    Files, Reference, Root, Segment, TemplateError, TemplateErrorKind,
    error::Flaw,
    files::{self, FileFunction},
    value,
};
use crate::{
    diagnostic::nearest,
    id::StepId,
    result::{FIELDS, Medium, StepResult, StepStatus, plural, plural_of, singular},
    secret::{Redactor, Secret},
};

/// The names that a template may read, with their values. Cheap to clone.
#[derive(Clone, Default)]
pub struct Scope {
    names: Arc<Names>,
}

#[derive(Clone, Default)]
struct Names {
    values: BTreeMap<Root, Value>,
    steps: Arc<Steps>,
    /// The local files that may stand in values; none where the values do not go to a provider.
    files: Option<Files>,
    /// The result at hand, whose fields are names.
    result: Option<Arc<Shown>>,
    /// What no error may show.
    hidden: Vec<Secret>,
}

/// The results at hand, by step id.
#[derive(Clone, Debug, Default)]
struct Steps(BTreeMap<StepId, Arc<Shown>>);

/// A result as templates see it: `steps.ID`.
pub struct Shown {
    result: StepResult,
    media: OnceLock<Vec<Medium>>,
    /// What was read so far, by the place of the field in [`FIELDS`].
    fields: Vec<OnceLock<Value>>,
}

impl Scope {
    /// Builds a scope without a name in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a name.
    #[must_use]
    pub fn with(mut self, root: Root, value: &serde_json::Value) -> Self {
        Arc::make_mut(&mut self.names).values.insert(root, value::from_json(value));
        self.settle_files()
    }

    /// Lets local files stand in values, as the inputs or params of a step want them. In a scope without files, an input is its path as
    /// given, and `file` an error.
    #[must_use]
    pub fn with_files(mut self, files: &Files) -> Self {
        Arc::make_mut(&mut self.names).files = Some(files.clone());
        self.settle_files()
    }

    /// Makes vars errors to read: those that hold local files, in a scope whose values do not go to a provider.
    #[must_use]
    pub fn without_vars<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let absent = |name: &str| {
            let message = format!("`vars.{name}` holds a local file, and there are no files here");
            let error = Flaw::error(TemplateErrorKind::File, message, Some(files::ONLY_IN_STEPS.to_owned()));
            (name.to_owned(), Value::from(error))
        };
        self.change_vars(names.into_iter().map(absent))
    }

    /// Adds a var to those that are there; of one that could not be made, reading it is the error.
    #[must_use]
    pub fn with_var(self, name: &str, value: Result<&serde_json::Value, &TemplateError>) -> Self {
        let value = match value {
            Ok(value) => value::from_json(value),
            Err(error) => {
                let message = format!("`vars.{name}` could not be made: {}", error.message);
                Value::from(Flaw::error(error.kind, message, error.help.clone()))
            }
        };
        self.change_vars([(name.to_owned(), value)])
    }

    fn change_vars(mut self, changes: impl IntoIterator<Item = (String, Value)>) -> Self {
        let values = &mut Arc::make_mut(&mut self.names).values;
        let vars = values.get(&Root::Vars).cloned();
        let keys = vars.iter().filter_map(|vars| vars.try_iter().ok()).flatten();
        let present = keys.filter_map(|key| Some((key.as_str()?.to_owned(), vars.as_ref()?.get_item(&key).ok()?)));
        let mut present: BTreeMap<String, Value> = present.collect();
        present.extend(changes);
        values.insert(Root::Vars, Value::from_pairs(present));
        self
    }

    /// Puts file values in the place of the inputs that are local paths.
    fn settle_files(mut self) -> Self {
        if let Names { files: Some(files), values, .. } = Arc::make_mut(&mut self.names)
            && let Some(inputs) = values.get_mut(&Root::Inputs)
        {
            *inputs = files.inputs(inputs);
        }
        self
    }

    /// Adds the secrets, which no error of a rendering shows.
    #[must_use]
    pub fn with_secrets(mut self, secrets: &BTreeMap<String, Secret>) -> Self {
        let names = Arc::make_mut(&mut self.names);
        let values = Value::from_pairs(secrets.iter().map(|(name, secret)| (name.as_str(), secret.expose())));
        names.values.insert(Root::Secrets, values);
        names.hidden.extend(secrets.values().cloned());
        self
    }

    /// Keeps a value out of the errors of renderings, such as that of a secret input.
    #[must_use]
    pub fn hide(mut self, secret: Secret) -> Self {
        Arc::make_mut(&mut self.names).hidden.push(secret);
        self
    }

    /// Adds the result of a step.
    #[must_use]
    pub fn with_step(mut self, id: &StepId, result: &Arc<Shown>) -> Self {
        let names = Arc::make_mut(&mut self.names);
        Arc::make_mut(&mut names.steps).0.insert(id.clone(), Arc::clone(result));
        self
    }

    /// Adds the result at hand, whose fields are names: for `expect`.
    #[must_use]
    pub fn with_result(mut self, result: &Arc<Shown>) -> Self {
        Arc::make_mut(&mut self.names).result = Some(Arc::clone(result));
        self
    }

    pub(super) fn context(&self) -> Value {
        Value::from_dyn_object(Arc::clone(&self.names))
    }

    /// Returns the error of a file that became text inside an expression although an object stands for it.
    pub(super) fn textless(&self) -> Option<minijinja::Error> {
        self.names.files.as_ref()?.take_textless().map(|given| files::textless(&given))
    }

    pub(super) fn redact(&self, text: String) -> String {
        Redactor::new(self.names.hidden.iter().cloned()).text(text)
    }

    /// Says whether a reference leads to a null.
    pub(super) fn is_null(&self, reference: &Reference) -> bool {
        let root = self.names.get_value_by_str(reference.root.name());
        let end = reference.path.iter().try_fold(root, |value, segment| {
            let value = value?;
            Some(match segment {
                Segment::Key(key) => value.get_attr(key).ok(),
                Segment::Index(index) => value.get_item(&Value::from(*index)).ok(),
                Segment::Computed => None,
            })
        });
        end.flatten().is_some_and(|value| value.is_none())
    }

    /// Returns what is missing where a reference cannot be followed to its end.
    pub(super) fn missing(&self, reference: &Reference) -> Option<Missing> {
        let Some(mut value) = self.names.get_value_by_str(reference.root.name()) else {
            let name = reference.root.name();
            return Some(Missing {
                message: format!("`{name}` is not to be had here"),
                help: None,
                range: reference.range.start..reference.range.start + name.len(),
                spelt: name.to_owned(),
            });
        };
        for (at, segment) in reference.path.iter().enumerate() {
            let next = match segment {
                Segment::Key(key) => value.get_attr(key),
                Segment::Index(index) => value.get_item(&Value::from(*index)),
                Segment::Computed => return None,
            };
            match next {
                Ok(next) if !next.is_undefined() => value = next,
                _ => {
                    let (message, help) = absence(&reference.spelt(at), &value, segment);
                    let range = reference.segments.get(at).cloned().unwrap_or(reference.range.clone());
                    return Some(Missing { message, help, range, spelt: reference.spelt(at + 1) });
                }
            }
        }
        None
    }
}

/// What a reference names and the scope does not have.
pub(super) struct Missing {
    pub(super) message: String,
    pub(super) help: Option<String>,
    pub(super) range: Range<usize>,
    /// The part of the reference that is undefined, as the engine writes it.
    pub(super) spelt: String,
}

/// Says that a value does not have a key or an index, and what it has instead.
fn absence(holder: &str, value: &Value, segment: &Segment) -> (String, Option<String>) {
    let wanted = match segment {
        Segment::Key(key) => format!("`{key}`"),
        Segment::Index(index) => format!("item {index}"),
        Segment::Computed => "this item".to_owned(),
    };
    let length = value.len().unwrap_or_default();
    let message = match value.kind() {
        ValueKind::None => format!("`{holder}` is null and has no {wanted}"),
        ValueKind::Seq | ValueKind::Iterable if matches!(segment, Segment::Key(_)) => {
            format!("`{holder}` is a list and has no {wanted}")
        }
        ValueKind::Seq | ValueKind::Iterable => format!("`{holder}` has no {wanted}: it has {length}, counted from 0"),
        ValueKind::Map => format!("`{holder}` has no {wanted}"),
        _ if files::is_file(value) => format!("`{holder}` is a file and has no {wanted}"),
        kind => format!("`{holder}` is a {kind} and has no {wanted}"),
    };
    let (ValueKind::Map, Segment::Key(key)) = (value.kind(), segment) else { return (message, None) };
    if value.downcast_object_ref::<Shown>().is_some() && matches!(key.as_str(), "items" | "outputs") {
        return (message, Some("only a `foreach` step has it".to_owned()));
    }
    let keys: Vec<String> = value
        .try_iter()
        .into_iter()
        .flatten()
        .filter_map(|key| key.as_str().map(ToOwned::to_owned))
        .take(1000)
        .collect();
    let help = match nearest(key, keys.iter().map(String::as_str)) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if keys.is_empty() => Some(format!("`{holder}` is empty")),
        None if keys.len() <= 24 => {
            let names: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
            Some(format!("it has {}", names.join(", ")))
        }
        None => None,
    };
    (message, help)
}

impl fmt::Debug for Scope {
    /// Shows the names only: the values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.names, f)
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).entries(self.steps.0.keys()).finish()
    }
}

impl Object for Names {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        if key == Root::Steps.name() {
            return Some(Value::from_dyn_object(Arc::clone(&self.steps)));
        }
        if key == files::FUNCTION {
            return Some(Value::from_object(FileFunction(self.files.clone())));
        }
        let root = Root::of(key).unwrap_or_else(|| Root::Result(key.to_owned()));
        let field = || self.result.as_ref().filter(|_| matches!(root, Root::Result(_)))?.field(key);
        self.values.get(&root).cloned().or_else(field)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.values.keys().map(|root| Value::from(root.name())).collect())
    }
}

impl Object for Steps {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let shown = self.0.get(&key.parse::<StepId>().ok()?)?;
        Some(Value::from_dyn_object(DynObject::new(Arc::clone(shown))))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.keys().map(|id| Value::from(id.as_str())).collect())
    }
}

impl Shown {
    /// Prepares a result for templates.
    #[must_use]
    pub fn new(result: StepResult) -> Self {
        Self { result, media: OnceLock::new(), fields: FIELDS.iter().map(|_| OnceLock::new()).collect() }
    }

    /// Returns the result itself.
    #[must_use]
    pub fn result(&self) -> &StepResult {
        &self.result
    }

    /// Returns the media of the result, in node order; none where it did not succeed.
    #[must_use]
    pub fn media(&self) -> &[Medium] {
        self.media.get_or_init(|| self.result.media())
    }

    fn field(&self, name: &str) -> Option<Value> {
        let place = FIELDS.iter().position(|&field| field == name)?;
        // A plain step has neither; they come with fan-outs.
        if matches!(name, "items" | "outputs") && self.result.items.is_none() {
            return None;
        }
        Some(self.fields[place].get_or_init(|| self.make(name)).clone())
    }

    fn make(&self, name: &str) -> Value {
        let result = &self.result;
        if let Some(kind) = plural(name) {
            return self
                .media()
                .iter()
                .filter(|medium| medium.kind == kind)
                .map(|medium| medium.value.as_str())
                .collect();
        }
        if let Some(kind) = singular(name) {
            return match result.only(self.media(), kind) {
                Ok(medium) => medium.map_or_else(|| Value::from(()), |medium| Value::from(medium.value.as_str())),
                Err(message) => {
                    let all = plural_of(kind).expect("a kind of media");
                    invalid(message, Some(format!("`steps.{}.{all}` is the list of all of them", result.step)))
                }
            };
        }
        match name {
            "status" => Value::from(result.status.as_str()),
            "node_outputs" => {
                let outputs = result.node_outputs.iter();
                Value::from_pairs(outputs.map(|(node, payload)| (node.as_str(), value::from_json(payload))))
            }
            // Shared with `node_outputs`, so that a large output is converted once.
            "output" => match (result.status, result.node_outputs.len()) {
                (StepStatus::Succeeded, 1) => {
                    let outputs = self.field("node_outputs").expect("a field of every result");
                    let node = result.node_outputs.keys().next().expect("there is one node");
                    outputs.get_attr(node).unwrap_or_else(Value::from)
                }
                _ => result.output().map_or_else(
                    |message| {
                        let help = "`node_outputs` has the outputs of all nodes, by node id";
                        invalid(message, Some(help.to_owned()))
                    },
                    value::from_json,
                ),
            },
            "job" => result.job.as_ref().map_or_else(
                || Value::from(()),
                |job| {
                    value::from_json(&json!({
                        "id": job.id,
                        "provider": job.provider,
                        "status": job.status,
                        "credits_charged": job.credits_charged,
                        "tokens_used": job.tokens_used,
                        "latency_ms": job.latency_ms,
                        "created_at": job.created_at,
                        "completed_at": job.completed_at,
                    }))
                },
            ),
            "items" | "outputs" => {
                let items = self.result.items.as_deref().unwrap_or_default();
                let items = items.iter().map(|item| match item {
                    // A hole where there is nothing to read.
                    Some(item) if item.status == StepStatus::Succeeded => {
                        let shown = Self::new(item.clone());
                        if name == "items" {
                            Value::from_object(shown)
                        } else {
                            Arc::new(shown).field("output").unwrap_or_default()
                        }
                    }
                    _ => Value::from(()),
                });
                items.collect()
            }
            "files" => {
                let files = result.files.iter().map(|file| {
                    json!({
                        "path": file.path,
                        "url": file.url,
                        "sha256": file.sha256,
                        "bytes": file.bytes,
                        "content_type": file.content_type,
                    })
                });
                files.map(|file| value::from_json(&file)).collect()
            }
            "error" => result.error.as_ref().map_or_else(
                || Value::from(()),
                |error| value::from_json(&json!({ "kind": error.kind, "message": error.message })),
            ),
            _ => unreachable!("every field is made above"),
        }
    }
}

/// A value that fails when a template reads it.
fn invalid(message: String, help: Option<String>) -> Value {
    Value::from(Flaw::error(TemplateErrorKind::Failed, message, help))
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shown").field(&self.result.step).finish()
    }
}

impl Object for Shown {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.field(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.field(key)
    }

    /// Lists the fields that can be read: a result as a whole (`steps.a | tojson`) leaves out those that would be an error.
    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let readable =
            FIELDS.iter().filter(|field| self.field(field).is_some_and(|value| value.kind() != ValueKind::Invalid));
        Enumerator::Values(readable.map(|field| Value::from(*field)).collect())
    }
}
