//! The types of what steps give: each field of a result, and the item of a fan-out (LANGUAGE.md, sections 3 and 4).
//!
//! What only the API knows is of any type. What a `set` gives is inferred from its templates, each step once, and not deeper than a
//! few steps into each other: a chain of many is left to the run, and so is a cycle, which is told elsewhere.

use indexmap::IndexMap;
use serde_json::Value;

use super::{
    apply::Sort,
    fit::{expression_of, operand},
    graph::StepIx,
    references::{ERROR_FIELDS, FILE_FIELDS, JOB_FIELDS, Names, Spot, is_fan},
    site::{At, Site, helped},
    types::Type,
};
use crate::{
    contract::ValueKind,
    diagnostic::{Code, Diagnostic},
    result::{FIELDS, StepStatus, plural, singular},
    source::Pointer,
    spec::{Step, Verb},
    template::{Template, mentions},
};

/// How a step may have ended.
pub(super) const STATUSES: [StepStatus; 4] =
    [StepStatus::Succeeded, StepStatus::Failed, StepStatus::Skipped, StepStatus::Cancelled];

/// How deep outputs that read outputs are followed.
const DEEPEST: usize = 16;

impl<'a> Names<'a> {
    /// Returns what is known of a field of a step's result, where the step succeeded; `may_lack` says whether an item may have no result.
    pub(super) fn field(&self, site: &Site<'a>, name: &str, step: StepIx, may_lack: bool) -> Type {
        let or_null = |known: Type| if may_lack { known.or_null() } else { known };
        match name {
            "items" => {
                let plain = FIELDS.iter().copied().filter(|field| !matches!(*field, "items" | "outputs"));
                let fields = plain.map(|field| (field.to_owned(), self.plain_field(site, field, step)));
                Type::list(or_null(Type::Map(Some(fields.collect()))))
            }
            "outputs" => Type::list(or_null(self.output(site, step))),
            "output" if is_fan(self.steps[step.index()].step) => Type::Any,
            // Each item has a job of its own.
            "job" if is_fan(self.steps[step.index()].step) => Type::Null,
            _ => self.plain_field(site, name, step),
        }
    }

    /// Returns what is known of a field of the result of a step without items, or of one item.
    pub(super) fn plain_field(&self, site: &Site<'a>, name: &str, step: StepIx) -> Type {
        let of_kind = |kind| if kind == ValueKind::Text { Type::Text } else { Type::Media(kind) };
        if let Some(kind) = singular(name) {
            return of_kind(kind);
        }
        if let Some(kind) = plural(name) {
            return Type::list(of_kind(kind));
        }
        let fields = |fields: &[&str], known: &dyn Fn(&str) -> Type| {
            Type::Map(Some(fields.iter().map(|field| ((*field).to_owned(), known(field))).collect()))
        };
        let seen = &self.steps[step.index()];
        match name {
            "status" => Type::Options(STATUSES.map(|status| Value::from(status.as_str())).to_vec()),
            "node_outputs" => Type::Map(None),
            "files" => Type::list(fields(FILE_FIELDS, &|field| match field {
                "bytes" => Type::Integer,
                // Of a text there is none.
                "url" => Type::Any,
                _ => Type::Text,
            })),
            "job" if matches!(seen.step.verb, Verb::Set(_)) && !seen.may_give_other() => Type::Null,
            "job" => fields(JOB_FIELDS, &|field| match field {
                "credits_charged" | "tokens_used" | "latency_ms" => Type::Number,
                _ => Type::Text,
            }),
            "error" => fields(ERROR_FIELDS, &|_| Type::Text).or_null(),
            "output" => self.output(site, step),
            _ => Type::Any,
        }
    }

    /// Returns what is known of the output of a step, or of an item of it.
    fn output(&self, site: &Site<'a>, step: StepIx) -> Type {
        let seen = &self.steps[step.index()];
        if seen.may_give_other() {
            return Type::Any;
        }
        let read = seen.step;
        match &read.verb {
            Verb::Set(map) => {
                if let Some(known) = self.outputs.borrow().get(&step) {
                    return known.clone();
                }
                let depth = self.depth.get();
                if depth == DEEPEST {
                    return Type::Map(None);
                }
                self.depth.set(depth + 1);
                // What reads itself is a cycle.
                self.outputs.borrow_mut().insert(step, Type::Map(None));
                let keys = map
                    .iter()
                    .map(|(key, value)| (key.clone(), self.written(site, value, Some(Spot::Set), Some(read))));
                let known = Type::Map(Some(keys.collect()));
                self.outputs.borrow_mut().insert(step, known.clone());
                self.depth.set(depth);
                known
            }
            Verb::Http(_) => Type::Map(Some(IndexMap::from([
                ("status".to_owned(), Type::Integer),
                ("headers".to_owned(), Type::Map(None)),
                ("body".to_owned(), Type::Any),
            ]))),
            Verb::Workflow(path) => match self.nested.get(path.as_str()) {
                Some(plan) => Type::Map(Some(plan.output_types.clone())),
                None => Type::Map(site.document.workflows.get(path).map(|nested| {
                    let outputs = nested.workflow.outputs.keys();
                    outputs.map(|name| (name.clone(), Type::Any)).collect()
                })),
            },
            Verb::Run { .. } => Type::Any,
        }
    }

    /// Returns what is known of a value that is written with templates in it.
    pub(super) fn written(&self, site: &Site<'a>, value: &Value, spot: Option<Spot>, step: Option<&Step>) -> Type {
        match value {
            Value::String(text) if mentions(text) => match Template::compile(text) {
                Ok(template) => self.type_within(site, &template, spot, step),
                Err(_) => Type::Any,
            },
            Value::Array(items) if items.iter().any(has_template) => {
                Type::list(Type::union(items.iter().map(|item| self.written(site, item, spot, step))))
            }
            Value::Object(map) => Type::Map(Some(
                map.iter().map(|(key, value)| (key.clone(), self.written(site, value, spot, step))).collect(),
            )),
            constant => Type::of_value(constant),
        }
    }

    /// Returns what is known of `item` in a step.
    pub(super) fn item(&self, site: &Site<'a>, step: &Step) -> Type {
        if let Some(matrix) = &step.matrix {
            let names = matrix.iter().filter(|(name, _)| !name.starts_with("x-"));
            let types = names.map(|(name, values)| (name.clone(), self.each(site, step, values).item()));
            return Type::Map(Some(types.collect()));
        }
        let Some(each) = &step.foreach else { return Type::Any };
        let known = self.each(site, step, each);
        Type::union(known.members().iter().filter_map(|one| {
            let value = match one {
                Type::List(item) => return Some((**item).clone()),
                Type::Map(Some(keys)) if !keys.is_empty() => Type::union(keys.values().cloned()),
                Type::Map(_) | Type::Partly(_) => Type::Any,
                Type::Any | Type::Options(_) | Type::Either(_) => return Some(Type::Any),
                _ => return None,
            };
            let keys = [("key".to_owned(), Type::Text), ("value".to_owned(), value)];
            Some(Type::Map(Some(keys.into_iter().collect())))
        }))
    }

    /// Returns what is known of what a fan-out goes over.
    fn each(&self, site: &Site<'a>, step: &Step, each: &Value) -> Type {
        let spot = Some(Spot::Foreach);
        match each {
            Value::String(text) => Template::expression(text)
                .map_or(Type::Any, |template| self.type_within(site, &template, spot, Some(step))),
            literal => self.written(site, literal, spot, Some(step)),
        }
    }
}

/// Tells of a fan-out over something that is surely neither a list nor a map, or of a matrix of what is surely no list.
/// Nothing more is said of what stands at the `wrong` places.
pub(super) fn fan_out<'a>(site: &Site<'a>, names: &Names<'a>, step: &Step, pointer: &Pointer, wrong: &[Pointer]) {
    if let Some(Value::String(text)) = &step.foreach
        && !wrong.contains(&pointer.join("foreach"))
    {
        let takes = "`foreach` takes a list or a map".to_owned();
        let each = Each { text, place: pointer.join("foreach"), takes, over: "`foreach` over" };
        each.check(site, names, step, &[Sort::List, Sort::Map]);
    }
    let pointer = pointer.join("matrix");
    for (name, value) in step.matrix.iter().flatten() {
        let Value::String(text) = value else { continue };
        if wrong.contains(&pointer.join(name)) {
            continue;
        }
        let takes = format!("`{name}` of `matrix` takes a list");
        let each = Each { text, place: pointer.join(name), takes, over: "a `matrix` of" };
        each.check(site, names, step, &[Sort::List]);
    }
}

/// An expression that gives items.
struct Each<'e> {
    text: &'e str,
    place: Pointer,
    takes: String,
    over: &'static str,
}

impl Each<'_> {
    fn check<'a>(&self, site: &Site<'a>, names: &Names<'a>, step: &Step, fits: &[Sort]) {
        let Ok(template) = Template::expression(self.text) else { return };
        let known = names.type_within(site, &template, Some(Spot::Foreach), Some(step));
        let Some(sorts) = Sort::of(&known) else { return };
        // An input that is absent in this run may be there in the next, and the step may handle its failure.
        let is_absent = known == Type::Null && template.references().iter().all(|it| names.is_known(it));
        let fits = if is_absent { &[Sort::Null] } else { fits };
        let (at, what) = match template.lone_reference() {
            Some(reference) => (At::Within(&self.place, reference.range.clone()), format!("`{reference}`")),
            None => (At::Value(&self.place), "this".to_owned()),
        };
        let text = operand(&template);
        if !sorts.iter().any(|sort| fits.contains(sort)) {
            let found = known.describe();
            let message = format!("{}, and {what} is {found}", self.takes);
            let help = match known {
                Type::Text => Some(format!("make a list of it: `{text} | split(\",\")`")),
                Type::Null => Some(format!("write what stands for it then: `{text} | default([], true)`")),
                Type::Integer => Some(format!("to count to it, write `range({})`", expression_of(&template))),
                Type::Media(_) => Some(format!("write it as a list of one: `[{}]`", expression_of(&template))),
                _ => None,
            };
            site.tell(helped(site.at(Diagnostic::error(Code::NotEach, message), &at, found), help));
        } else if sorts.contains(&Sort::Null)
            && template
                .lone_reference()
                .is_some_and(|it| !names.is_asked_for(site, None, Some(step), it, it.path.len()))
        {
            let message = format!("{what} may be null, and {} null fails", self.over);
            let help = format!("write what stands for it then: `{text} | default([], true)`");
            site.tell(site.at(Diagnostic::warning(Code::PerhapsNull, message).help(help), &at, "may be null"));
        }
    }
}

fn has_template(value: &Value) -> bool {
    match value {
        Value::String(text) => mentions(text),
        Value::Array(items) => items.iter().any(has_template),
        Value::Object(map) => map.values().any(has_template),
        _ => false,
    }
}
