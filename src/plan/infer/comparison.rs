//! Comparisons whose answer is always the same.

use serde_json::Value;

use super::{Mood, Walk, outcome::after_success};
use crate::{
    contract::schema::{listed, shown},
    diagnostic::{Code, Diagnostic, nearest},
    plan::{results::STATUSES, site::helped, types::Type},
    result::StepStatus,
    template::{Comparison, Expression, Kind, Reference, Root},
};

impl Walk<'_, '_> {
    /// Says whether a reference reads a var that depends on no input.
    pub(super) fn is_switch(&self, reference: &Reference) -> bool {
        let record = self.names.record.borrow();
        reference.root == Root::Vars && !reference.key().is_some_and(|key| record.derived.contains(key))
    }

    /// Returns the type of a term of a comparison. A var is a switch in the file: what it is now says nothing of what it may be set to.
    pub(super) fn compared(&mut self, term: &Expression, mood: Mood) -> Type {
        let known = self.walk(term, mood);
        let mut reads_var = false;
        term.each_reference(&mut |start| {
            reads_var |= self.template.reference_at(start).is_some_and(|reference| self.is_switch(reference));
        });
        if reads_var { known.weakened() } else { known }
    }

    /// Tells of a comparison of null with the error of a step that surely has none, and says whether it did.
    pub(super) fn asks_for_no_error(
        &mut self,
        comparison: Comparison,
        two: &(Expression, Expression),
        of_null: bool,
    ) -> bool {
        let given = match comparison {
            Comparison::Equal if of_null => "this is always true",
            Comparison::Unequal if of_null => "this is always false",
            _ => return false,
        };
        let read = |one: &Expression| self.after_success_of(one, "error");
        let Some(id) = read(&two.0).or_else(|| read(&two.1)) else { return false };
        let message = format!("where this is read, step `{id}` has no error, so {given}");
        let diagnostic = Diagnostic::warning(Code::NeverEqual, message).help(after_success(&id, self.step.is_some()));
        self.tell(&(two.0.range.start..two.1.range.end), "always the same", diagnostic);
        true
    }

    /// Tells of a comparison whose answer is always the same.
    pub(super) fn compare(&mut self, comparison: Comparison, two: &(Expression, Expression), mood: Mood) {
        let before = self.problems.len();
        let left = self.compared(&two.0, mood);
        let right = self.compared(&two.1, mood);
        if self.problems.len() > before || (Self::reads_nothing(&two.0) && Self::reads_nothing(&two.1)) {
            return;
        }
        if self.asks_for_no_error(comparison, two, left == Type::Null || right == Type::Null) {
            return;
        }
        // Whether something is null is asked for good reasons, and an input that is given now may be absent next time.
        if left == Type::Null || right == Type::Null {
            return;
        }
        let items = Type::union(right.members().iter().map(|one| match one {
            Type::List(item) => (**item).clone(),
            _ => Type::Any,
        }));
        let (never, given) = match comparison {
            Comparison::In => (left.is_never(&items), "`in` is always false"),
            Comparison::Equal => (left.is_never(&right), "this is always false"),
            Comparison::Unequal => (left.is_never(&right), "this is always true"),
            Comparison::Order => {
                let kinds = (left.clone().weakened(), right.clone().weakened());
                (kinds.0.is_never(&kinds.1), "comparing them by size says nothing")
            }
        };
        if !never {
            return;
        }
        let is_in = comparison == Comparison::In;
        let (subject, subject_type, fixed, fixed_type) =
            if Self::reads_nothing(&two.0) { (&two.1, &right, &two.0, &left) } else { (&two.0, &left, &two.1, &right) };
        let what = self.spelt(subject);
        let fixed_text = match &fixed.kind {
            Kind::Constant(value) => Some(value),
            _ => None,
        };
        let same_sort = !subject_type.clone().weakened().is_never(&fixed_type.clone().weakened());
        let (is, other) = (subject_type.describe(), fixed_type.describe());
        let (message, label) = match fixed_text {
            _ if is_in && Self::reads_nothing(&two.0) => {
                (format!("{what} never has {}, so {given}", self.spelt(fixed)), "never in it".to_owned())
            }
            _ if is_in => (format!("{what} is never any of these, so {given}"), "never one of these".to_owned()),
            _ if comparison == Comparison::Order => {
                (format!("{what} is {is}, and {} is {other}: {given}", self.spelt(fixed)), other)
            }
            Some(value) if same_sort => {
                (format!("{what} is never {}, so {given}", shown(value)), "never this".to_owned())
            }
            Some(_) => (format!("{what} is {is} and never {other}, so {given}"), other),
            None => (format!("{what} is {is} and {} is {other}, so {given}", self.spelt(fixed)), String::new()),
        };
        let status = self.after_success_of(subject, "status");
        let help = match (subject_type, fixed_text) {
            (_, Some(Value::String(text))) if status.is_some() => {
                let all = STATUSES.map(StepStatus::as_str);
                match nearest(text, all) {
                    _ if all.contains(&text.as_str()) => status.map(|id| after_success(&id, self.step.is_some())),
                    Some(near) => Some(format!("did you mean `{near}`?")),
                    None => Some(format!("it is one of {}", listed(&all.map(Value::from)))),
                }
            }
            (_, Some(Value::Array(_))) if status.is_some() => status.map(|id| after_success(&id, self.step.is_some())),
            (Type::Options(options), Some(Value::String(text))) => {
                let names = options.iter().filter_map(Value::as_str);
                match nearest(text, names) {
                    Some(near) => Some(format!("did you mean `{near}`?")),
                    None => Some(format!("it is one of {}", listed(options))),
                }
            }
            (Type::Options(options), _) if same_sort || is_in => Some(format!("it is one of {}", listed(options))),
            (Type::List(item), Some(_)) if is_in => match &**item {
                Type::Options(options) => Some(format!("its items are {}", listed(options))),
                _ => None,
            },
            (Type::Integer | Type::Number, Some(Value::String(text))) if text.parse::<f64>().is_ok() => {
                Some(format!("write it without quotes: `{text}`"))
            }
            (Type::Text, Some(Value::Number(number))) => Some(format!("write it in quotes: `\"{number}\"`")),
            (Type::Boolean, Some(Value::String(text))) if ["true", "false"].contains(&text.as_str()) => {
                Some(format!("write it without quotes: `{text}`"))
            }
            (Type::List(_), _) if !is_in => {
                let text = self.template.text().get(subject.range.clone()).unwrap_or_default();
                let fixed = self.template.text().get(fixed.range.clone()).unwrap_or_default();
                Some(format!("ask whether it is among them: `{fixed} in {text}`"))
            }
            _ => None,
        };
        let range = if matches!(fixed.kind, Kind::Constant(_) | Kind::List(_)) {
            fixed.range.clone()
        } else {
            two.0.range.start..two.1.range.end
        };
        self.tell(&range, label, helped(Diagnostic::warning(Code::NeverEqual, message), help));
    }
}
