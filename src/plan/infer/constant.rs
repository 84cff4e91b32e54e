//! Conditions that say the same whatever the data: a `when` that is always true or false, an expectation that is never met.

use serde_json::Value;

use super::{QUIET, Walk, outcome::after_success};
use crate::{
    diagnostic::{Code, Diagnostic},
    plan::{references::is_fan, types::Type},
    spec::Verb,
    template::{Comparison, Expression, Kind, Reference, Root, Scope},
};

impl Walk<'_, '_> {
    /// Tells of a `when` that does not depend on anything.
    pub(super) fn constant(&mut self, known: &Type) {
        let references = self.template.references();
        let fixed = |reference: &Reference| {
            reference.root == Root::Vars
                && reference.key().is_some_and(|key| {
                    self.names.known_vars.contains_key(key) && !self.names.record.borrow().derived.contains(key)
                })
        };
        // What is given to this run may be absent in the next.
        let is_null = |reference: &Reference| {
            reference.key().and_then(|key| self.names.facts.inputs.get(key)).is_some_and(Value::is_null)
        };
        let is_given = |reference: &Reference| {
            self.names.is_known(reference)
                && (self.may_be_absent(reference) || reference.root == Root::Inputs && is_null(reference))
        };
        let holds = if references.iter().all(fixed) {
            let read = references.iter().filter_map(|it| self.names.known_vars.get_key_value(it.key()?));
            let vars = Value::Object(read.map(|(name, value)| (name.clone(), value.clone())).collect());
            self.template.holds(&Scope::new().with(Root::Vars, &vars)).ok()
        } else {
            let whole = self.template.parts().first();
            let is_given = references.iter().any(is_given);
            let holds = whole.map_or_else(|| known.holds(), |whole| self.truth(whole));
            holds.or_else(|| self.is_output_of_set().then_some(true)).filter(|_| !is_given)
        };
        let Some(holds) = holds else { return };
        let (what, help) = if holds {
            ("always true, so the step always runs", "leave `when` out, or ask for what it depends on")
        } else {
            ("always false, so the step never runs", "take the step out, or ask for what it depends on")
        };
        let text = self.template.text();
        let start = text.len() - text.trim_start().len();
        let status = self.template.lone_reference().and_then(|it| self.read_after_success(it, "status"));
        let help = match known {
            _ if status.is_some() => {
                status.as_deref().map(|id| after_success(id, self.step.is_some())).unwrap_or_default()
            }
            Type::Options(options) if self.template.lone_reference().is_some() && options.len() > 1 => {
                format!("compare it, such as `{} == {}`", text.trim(), options[0])
            }
            _ => help.to_owned(),
        };
        let diagnostic = Diagnostic::warning(Code::ConstantWhen, format!("this `when` is {what}")).help(help);
        self.tell(&(start..text.trim_end().len()), if holds { "always true" } else { "always false" }, diagnostic);
    }

    /// Tells of an expectation that no result meets.
    pub(super) fn never_met(&mut self) {
        let template = self.template;
        let holds = match (template.lone_reference(), template.parts()) {
            (Some(reference), _) => self.reference(reference, QUIET).holds(),
            (None, [whole]) => self.truth(whole),
            _ => None,
        };
        let of_result = template.references().iter().any(|reference| matches!(reference.root, Root::Result(_)));
        if holds == Some(false) && of_result {
            let text = template.text();
            let start = text.len() - text.trim_start().len();
            let message = "this expectation is never met, so the step always fails";
            let diagnostic = Diagnostic::warning(Code::BadExpectation, message)
                .help("it is judged where a job has succeeded: ask for what should have come out");
            self.tell(&(start..text.trim_end().len()), "never true", diagnostic);
        }
    }

    /// Says whether an expression is true, or false, whatever the data.
    pub(super) fn truth(&mut self, expression: &Expression) -> Option<bool> {
        match &expression.kind {
            Kind::And(two) => match (self.truth(&two.0), self.truth(&two.1)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Kind::Or(two) => match (self.truth(&two.0), self.truth(&two.1)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => self.covers_all(expression).then_some(true),
            },
            Kind::Not(of) => self.truth(of).map(|holds| !holds),
            Kind::Compare(Comparison::In, two) => {
                let known = self.compared(&two.0, QUIET);
                let (Type::Options(options), Kind::Constant(Value::Array(all))) = (known, &two.1.kind) else {
                    return None;
                };
                options.iter().all(|option| all.contains(option)).then_some(true)
            }
            _ => self.compared(expression, QUIET).holds(),
        }
    }

    /// Says whether alternatives ask for each of the values that one thing may have: `A == 'x' or A == 'y'`.
    pub(super) fn covers_all(&mut self, expression: &Expression) -> bool {
        let mut asked: Vec<Value> = Vec::new();
        let mut subject: Option<&Expression> = None;
        let mut rest = vec![expression];
        while let Some(one) = rest.pop() {
            match &one.kind {
                Kind::Or(two) => rest.extend([&two.0, &two.1]),
                Kind::Compare(Comparison::Equal, two) => {
                    let (of, value) = match (&two.0.kind, &two.1.kind) {
                        (Kind::Reference, Kind::Constant(value)) => (&two.0, value),
                        (Kind::Constant(value), Kind::Reference) => (&two.1, value),
                        _ => return false,
                    };
                    if subject.is_some_and(|subject| self.spelt(subject) != self.spelt(of)) {
                        return false;
                    }
                    subject = Some(of);
                    asked.push(value.clone());
                }
                _ => return false,
            }
        }
        let Some(subject) = subject else { return false };
        match self.compared(subject, QUIET) {
            Type::Options(options) => options.iter().all(|option| asked.contains(option)),
            _ => false,
        }
    }

    /// Says whether the whole is what a step with `set` gave, which has keys.
    pub(super) fn is_output_of_set(&self) -> bool {
        let id = self.template.lone_reference().and_then(|it| self.read_after_success(it, "output"));
        let found = id.and_then(|id| self.names.by_id.get(id.as_str()).copied());
        found.is_some_and(|found| {
            let step = self.names.steps[found.index()].step;
            matches!(&step.verb, Verb::Set(map) if !map.is_empty()) && !is_fan(step)
        })
    }
}
