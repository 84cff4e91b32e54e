//! References: what is known of what they read, and parts of it that are not there, or may not be.

use serde_json::Value;

use super::{Mood, Walk, outcome::gives_several};
use crate::{
    diagnostic::{Code, Diagnostic},
    plan::{
        references::{Spot, is_fan},
        site::{helped, suggestion},
        types::Type,
    },
    result::{StepStatus, plural_of, singular},
    spec::Verb,
    template::{Reference, Root, Segment},
};

impl Walk<'_, '_> {
    /// Returns the type of a reference, and tells of a part of it that is not there.
    pub(super) fn reference(&mut self, reference: &Reference, mood: Mood) -> Type {
        if mood.sure && !mood.excused && self.of_many(reference) {
            return Type::Any;
        }
        let (mut known, start) = self.root(reference);
        for (place, segment) in reference.path.iter().enumerate().skip(start) {
            let Some(part) = known.part(segment) else {
                if mood.sure && !mood.excused {
                    self.absent(reference, place, &known, segment);
                }
                return Type::Any;
            };
            if mood.sure
                && !mood.excused
                && known.may_be_null()
                && !matches!(segment, Segment::Computed)
                && !self.names.is_asked_for(self.site, self.spot, self.step, reference, place)
            {
                let rest = reference.path.iter().skip(place + 1);
                let wanted = rest.fold(part.clone(), |known, segment| known.part(segment).unwrap_or(Type::Any));
                self.perhaps_absent(reference, place, &wanted);
            }
            known = part;
        }
        known
    }

    /// Tells of a part that a value surely does not have.
    pub(super) fn absent(&mut self, reference: &Reference, place: usize, known: &Type, segment: &Segment) {
        let holder = reference.spelt(place);
        let wanted = match segment {
            Segment::Key(key) => format!("no `{key}`"),
            _ => "no items".to_owned(),
        };
        let help = match (known, segment) {
            (Type::Map(Some(keys)), Segment::Key(key)) => {
                suggestion(self.site, key, keys.keys().map(String::as_str), "it has")
            }
            (Type::List(_), Segment::Key(key)) => Some(match key.as_str() {
                "length" | "size" | "count" => format!("write `{holder} | length`"),
                "first" | "last" => format!("write `{holder} | {key}`"),
                _ => format!("`{holder}[0]` is its first item"),
            }),
            (Type::Text, Segment::Key(key)) if key == "length" => Some(format!("write `{holder} | length`")),
            (Type::Media(_), Segment::Key(_)) => Some(format!("`{holder}` is the URL itself")),
            (Type::Null, _) if place == 2 => self.no_job(reference),
            _ => None,
        };
        let found = known.clone().weakened().describe();
        let message = format!("`{holder}` is {found}, which has {wanted}");
        let range = reference.segments.get(place).unwrap_or(&reference.range).clone();
        self.tell(&range, "not there", helped(Diagnostic::error(Code::UnknownField, message), help));
    }

    /// Says why there is no job of a step.
    pub(super) fn no_job(&self, reference: &Reference) -> Option<String> {
        let is_job = matches!(reference.path.get(1), Some(Segment::Key(field)) if field == "job");
        let id = reference.key().filter(|_| is_job && reference.root == Root::Steps)?;
        let step = self.names.steps[self.names.by_id.get(id)?.index()].step;
        Some(if is_fan(step) {
            format!("each item has its own: `steps.{id}.items[0].job`")
        } else {
            "a step with `set` calls nothing".to_owned()
        })
    }

    /// Tells of what a step with items, or one that saves nothing, surely does not have; says whether it did.
    pub(super) fn of_many(&mut self, reference: &Reference) -> bool {
        let (Root::Steps, [Segment::Key(id), Segment::Key(field), rest @ ..]) = (&reference.root, &*reference.path)
        else {
            return false;
        };
        let Some(&found) = self.names.by_id.get(id.as_str()).filter(|&&found| self.has_succeeded(found)) else {
            return false;
        };
        let seen = &self.names.steps[found.index()];
        let (message, label, help) = match (field.as_str(), rest) {
            ("output", _) if is_fan(seen.step) => (
                format!("step `{id}` runs for each item, and so has no one `output`"),
                "one of each item",
                format!("`steps.{id}.outputs` is the list of them, `steps.{id}.outputs[0]` the first"),
            ),
            (field, _) if singular(field).is_some_and(|kind| seen.output == Some(kind)) && gives_several(seen.step) => {
                (
                    format!("step `{id}` runs for several items, so `{field}` is not the only one"),
                    "one of each item",
                    format!(
                        "`steps.{id}.{}` is the list of all of them",
                        singular(field).and_then(plural_of).unwrap_or_default()
                    ),
                )
            }
            ("files", [Segment::Index(_), ..])
                if seen.step.save.is_none() && matches!(seen.step.verb, Verb::Run { .. }) =>
            {
                (
                    format!("step `{id}` saves nothing, so `files` is empty"),
                    "always empty",
                    format!("write `save: true` in step `{id}`"),
                )
            }
            _ => return false,
        };
        let range = reference.segments.get(1).unwrap_or(&reference.range).clone();
        self.tell(&range, label, Diagnostic::error(Code::UnknownField, message).help(help));
        true
    }

    /// Tells of a part of something that may be null.
    pub(super) fn perhaps_absent(&mut self, reference: &Reference, place: usize, wanted: &Type) {
        let holder = reference.spelt(place);
        let range = reference.segments.get(place).unwrap_or(&reference.range).clone();
        let why = self.why_null(reference);
        let message = format!("`{holder}` may be null{why}, and null has no parts");
        let whole = reference.to_string();
        let instead = match wanted.clone().present() {
            Type::List(_) => "[]",
            Type::Integer | Type::Number => "0",
            Type::Boolean => "false",
            Type::Map(_) | Type::Partly(_) => "{}",
            _ => "\"\"",
        };
        let help = format!("ask first: `{whole} if {holder} else {instead}`");
        self.tell(&range, "not there then", Diagnostic::warning(Code::PerhapsNull, message).help(help));
    }

    /// Returns the type of the beginning of a reference, and how much of its path that is.
    pub(super) fn root(&self, reference: &Reference) -> (Type, usize) {
        let names = self.names;
        let key = reference.key();
        match (&reference.root, key) {
            (Root::Index | Root::N, _) => (Type::Integer, 0),
            (Root::Ext, _) => (Type::Text, 0),
            // Its own item is not there yet.
            (Root::Item, _) if self.spot == Some(Spot::Foreach) => (Type::Any, 0),
            (Root::Result(name), _) => (self.own(name), 0),
            (Root::Item, _) => (self.step.map_or(Type::Any, |step| names.item(self.site, step)), 0),
            (Root::Inputs, Some(key)) => {
                let Some(input) = self.site.document.workflow.inputs.get(key) else { return (Type::Any, 1) };
                let known = Type::of_input(input);
                (if names.is_known(reference) { self.given(reference, key, known) } else { known }, 1)
            }
            (Root::Vars, Some(key)) => (names.vars.get(key).cloned().unwrap_or(Type::Any), 1),
            (Root::Run, Some("failed_steps")) => (Type::list(Type::Text), 1),
            (Root::Secrets | Root::Run, Some(_)) => (Type::Text, 1),
            (Root::Steps, Some(id)) => {
                let Some(Segment::Key(field)) = reference.path.get(1) else {
                    return (if reference.path.len() == 1 { Type::Map(None) } else { Type::Any }, reference.path.len());
                };
                let Some(&found) = names.by_id.get(id) else { return (Type::Any, 2) };
                let known = names.field(self.site, field, found, self.may_lack_items(found));
                if field == "status" && self.has_succeeded(found) {
                    return (Type::Options(vec![StepStatus::Succeeded.as_str().into()]), 2);
                }
                let may_lack = field == "output" || singular(field).is_some();
                if may_lack && self.may_lack_result(found) { (known.or_null(), 2) } else { (known, 2) }
            }
            _ => (Type::Any, reference.path.len()),
        }
    }

    /// Returns the type of an input whose value is known; where that is null and some `when` asks for it, nothing is known of it.
    pub(super) fn given(&self, reference: &Reference, key: &str, known: Type) -> Type {
        if !self.names.facts.inputs.get(key).is_some_and(Value::is_null) {
            known.present()
        } else if self.names.is_asked_for(self.site, self.spot, self.step, reference, 1) {
            Type::Any
        } else {
            Type::Null
        }
    }

    /// Returns what is known of a field of the result that `expect` looks at.
    pub(super) fn own(&self, name: &str) -> Type {
        match (name, self.names.own.get().filter(|_| self.spot == Some(Spot::Expect))) {
            ("status", Some(_)) => Type::Options(vec![StepStatus::Succeeded.as_str().into()]),
            ("error", Some(_)) => Type::Null,
            (_, Some(own)) => self.names.plain_field(self.site, name, own),
            (_, None) => Type::Any,
        }
    }
}
