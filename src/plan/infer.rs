//! The types of template expressions, and what they surely or perhaps get wrong: the checker walks each expression with what is known
//! of inputs, vars, items and results.
//!
//! ```text
//! Template::parts ──walk──▶ Type of each part, and problems
//!    constants, references, filters, operators, conditions
//! ```
//!
//! An error is told only of what surely fails: every type is an upper bound, only what is surely evaluated is looked at for errors, and
//! whatever a problem was told of is of any type from there on, so that one cause is told once. That something may be null is a warning,
//! and is not told of what a `when` asks about: whoever wrote that has thought of it.

mod comparison;
mod constant;
pub(super) mod outcome;
mod reference;

use std::ops::Range;

use serde_json::Value;

use super::{
    apply::{self, Computed},
    references::{Names, Spot},
    site::{At, Site, helped},
    types::Type,
};
use crate::{
    contract::schema::shown,
    diagnostic::{Code, Diagnostic},
    source::Pointer,
    spec::Step,
    template::{Arithmetic, Call, Choice, Expression, Kind, Reference, Root, Segment, Template},
};

/// A problem, and the bytes of the template that it is about.
struct Problem {
    diagnostic: Diagnostic,
    range: Range<usize>,
    label: String,
}

/// How surely an expression is evaluated, and what becomes of what is not there.
#[derive(Clone, Copy)]
struct Mood {
    /// Whether it is evaluated whatever the data.
    sure: bool,
    /// Whether something else stands in where it is not defined.
    excused: bool,
}

const SURE: Mood = Mood { sure: true, excused: false };
/// For asking what is known once everything was told.
const QUIET: Mood = Mood { sure: false, excused: true };

/// Walks the expressions of one template.
struct Walk<'w, 'a> {
    names: &'w Names<'a>,
    site: &'w Site<'a>,
    template: &'w Template,
    /// Where it stands; nothing where only its type is asked for.
    spot: Option<Spot>,
    step: Option<&'w Step>,
    problems: Vec<Problem>,
}

impl<'a> Names<'a> {
    /// Returns what is known of the value of a template that stands in no step.
    pub(super) fn type_of_template(&self, site: &Site<'a>, template: &Template) -> Type {
        self.type_within(site, template, None, None)
    }

    /// Returns what is known of the value of a template.
    pub(super) fn type_within(
        &self,
        site: &Site<'a>,
        template: &Template,
        spot: Option<Spot>,
        step: Option<&Step>,
    ) -> Type {
        if !template.is_lone() {
            return Type::Text;
        }
        Walk { names: self, site, template, spot, step, problems: Vec::new() }.whole()
    }

    /// Tells what is wrong with the expressions of a template whose references are right. Says whether an error was told.
    pub(super) fn judge(
        &self,
        site: &Site<'a>,
        template: &Template,
        pointer: &Pointer,
        spot: Spot,
        step: Option<&Step>,
    ) -> bool {
        let mut walk = Walk { names: self, site, template, spot: Some(spot), step, problems: Vec::new() };
        if template.is_lone() {
            let known = walk.whole();
            if walk.problems.is_empty() {
                match spot {
                    Spot::When => walk.constant(&known),
                    Spot::Expect => walk.never_met(),
                    _ => {}
                }
            }
        } else {
            walk.text();
        }
        // What is all known is rendered in these places, which says more exactly what fails.
        let is_rendered =
            matches!(spot, Spot::Vars | Spot::When | Spot::Set | Spot::Save | Spot::Outputs | Spot::Group)
                && template.references().iter().all(|reference| self.is_known(reference));
        let mut wrong = false;
        for Problem { diagnostic, range, label } in walk.problems {
            if is_rendered && diagnostic.is_error() {
                continue;
            }
            wrong |= diagnostic.is_error();
            site.tell(site.at(diagnostic, &At::Within(pointer, range), label));
        }
        wrong
    }
}

impl Walk<'_, '_> {
    fn tell(&mut self, range: &Range<usize>, label: impl Into<String>, diagnostic: Diagnostic) {
        // That one thing may be null is one problem of a text, however often it stands there.
        let is_told = |told: &Problem| told.diagnostic.message == diagnostic.message;
        if diagnostic.code == Code::PerhapsNull && self.problems.iter().any(is_told) {
            return;
        }
        self.problems.push(Problem { diagnostic, range: range.clone(), label: label.into() });
    }

    /// Returns the type of the one expression that is the whole value.
    fn whole(&mut self) -> Type {
        let template = self.template;
        match (template.lone_reference(), template.parts()) {
            (Some(reference), _) => self.reference(reference, SURE),
            (None, [only]) => self.walk(only, SURE),
            _ => Type::Any,
        }
    }

    /// Looks at everything that becomes text.
    fn text(&mut self) {
        for part in self.template.parts() {
            self.written(part, SURE, true);
        }
    }

    /// Looks at an expression that becomes text, in which null is an error; `alone` says whether it stands between braces of its own.
    fn written(&mut self, expression: &Expression, mood: Mood, alone: bool) -> Type {
        let before = self.problems.len();
        let known = self.walk(expression, mood);
        if self.problems.len() > before || !mood.sure {
            return known;
        }
        let what = self.spelt(expression);
        if known == Type::Null {
            let diagnostic =
                Diagnostic::error(Code::PerhapsNull, format!("{what} is null, and null cannot stand in a text"))
                    .help("leave it out of the text");
            self.tell(&expression.range, "null", diagnostic);
        } else if known.may_be_null() && !self.is_asked_for(expression) {
            let Some(text) = self.nullable(expression) else { return known };
            let what = format!("`{text}`");
            let instead = if text.contains(" if ") {
                format!("({text}) | default(\"\", true)")
            } else {
                format!("{text} | default(\"\", true)")
            };
            let instead = if alone { format!("{{{{ {instead} }}}}") } else { format!("({instead})") };
            let why =
                self.template.reference_at(expression.range.start).map(|it| self.why_null(it)).unwrap_or_default();
            let diagnostic = Diagnostic::warning(
                Code::PerhapsNull,
                format!("{what} may be null{why}, and null cannot stand in a text"),
            )
            .help(format!("write what stands for it then: `{instead}`"));
            self.tell(&expression.range, "may be null", diagnostic);
        }
        known
    }

    /// Returns the text that may be null of an expression of which that is told: a reference, also behind a `default` that lets null pass.
    fn nullable(&self, expression: &Expression) -> Option<&str> {
        match &expression.kind {
            Kind::Reference => self.template.text().get(expression.range.clone()),
            Kind::Filter(call) if matches!(call.name.as_str(), "default" | "d") && call.arguments.len() < 2 => {
                self.nullable(&call.of)
            }
            _ => None,
        }
    }

    /// Says when a reference is null, as far as that is plain.
    fn why_null(&self, reference: &Reference) -> String {
        match (&reference.root, reference.key()) {
            (Root::Inputs, Some(_)) if self.may_be_absent(reference) => " where it is not given".to_owned(),
            (Root::Steps, Some(id)) => match reference.path.get(1) {
                Some(Segment::Key(field)) if field == "error" => format!(" where step `{id}` did not fail"),
                Some(Segment::Key(field)) if matches!(field.as_str(), "items" | "outputs") => {
                    format!(" where an item of step `{id}` has no result")
                }
                _ => format!(" where step `{id}` has no result"),
            },
            _ => String::new(),
        }
    }

    /// Says whether a reference reads an input that need not be given.
    fn may_be_absent(&self, reference: &Reference) -> bool {
        let input = reference.key().and_then(|key| self.site.document.workflow.inputs.get(key));
        reference.root == Root::Inputs && input.is_some_and(|input| input.optional)
    }

    /// Returns how an expression is named in a sentence.
    fn spelt(&self, expression: &Expression) -> String {
        match &expression.kind {
            Kind::Reference => match self.template.reference_at(expression.range.start) {
                Some(reference) => format!("`{reference}`"),
                None => "this".to_owned(),
            },
            Kind::Constant(value) => shown(value),
            _ => "this".to_owned(),
        }
    }

    fn reads_nothing(expression: &Expression) -> bool {
        let mut nothing = true;
        expression.each_reference(&mut |_| nothing = false);
        nothing
    }

    fn walk(&mut self, expression: &Expression, mood: Mood) -> Type {
        let inner = Mood { excused: false, ..mood };
        let unsure = Mood { sure: false, excused: false };
        let held = Mood { excused: true, ..mood };
        match &expression.kind {
            Kind::Constant(value) => Type::of_value(value),
            Kind::Reference => {
                let template = self.template;
                template.reference_at(expression.range.start).map_or(Type::Any, |it| self.reference(it, mood))
            }
            Kind::Part(of, segment) => self.walk(of, inner).part(segment).unwrap_or(Type::Any),
            Kind::List(items) => {
                let items: Vec<_> = items.iter().map(|item| self.walk(item, held)).collect();
                Type::list(if items.is_empty() { Type::Any } else { Type::union(items) })
            }
            Kind::Map(entries) => {
                let types: Vec<_> = entries.iter().map(|(key, value)| (key.clone(), self.walk(value, held))).collect();
                Type::Map(types.into_iter().map(|(key, known)| Some((key?, known))).collect())
            }
            Kind::Filter(call) => self.filter(call, mood),
            Kind::Test(call) => {
                // Every test takes what is not defined.
                for part in std::iter::once(&call.of).chain(&call.arguments) {
                    self.walk(part, held);
                }
                Type::Boolean
            }
            Kind::Not(of) => {
                self.walk(of, inner);
                Type::Boolean
            }
            Kind::Negative(of) => self.negative(expression, of, inner),
            Kind::Arithmetic(operator, two) => self.arithmetic(*operator, two, inner),
            Kind::Joined(two) => {
                // Of anything else than a reference, null becomes the word for it.
                for part in [&two.0, &two.1] {
                    if part.kind == Kind::Reference {
                        self.written(part, inner, false)
                    } else {
                        self.walk(part, inner)
                    };
                }
                Type::Text
            }
            Kind::Compare(comparison, two) => {
                self.compare(*comparison, two, inner);
                Type::Boolean
            }
            Kind::Chain(terms) => {
                for (index, term) in terms.iter().enumerate() {
                    self.walk(term, if index < 2 { inner } else { unsure });
                }
                Type::Boolean
            }
            Kind::And(two) => {
                let left = self.walk(&two.0, inner);
                let right = self.walk(&two.1, unsure);
                Type::union([left, right])
            }
            Kind::Or(two) => {
                let left = self.walk(&two.0, inner);
                let right = self.walk(&two.1, unsure);
                match left {
                    Type::Null => right,
                    left => Type::union([left.present(), right]),
                }
            }
            Kind::If(choice) => {
                let Choice { condition, yes, no } = &**choice;
                self.walk(condition, inner);
                let yes = self.walk(yes, unsure);
                match no {
                    Some(no) => {
                        let no = self.walk(no, unsure);
                        Type::union([yes, no])
                    }
                    None => yes,
                }
            }
            Kind::Slice(of) => self.slice(expression, of, inner),
            Kind::Unknown => Type::Any,
        }
    }

    fn filter(&mut self, call: &Call, mood: Mood) -> Type {
        let falls_back = matches!(call.name.as_str(), "default" | "d");
        // These take what is not defined, and so may any argument.
        let excused = falls_back
            || matches!(
                call.name.as_str(),
                "tojson" | "urlencode" | "indent" | "e" | "escape" | "safe" | "string" | "pprint" | "chain" | "zip"
            );
        let held = Mood { excused: true, ..mood };
        let before = self.problems.len();
        let known = self.walk(&call.of, Mood { excused, ..mood });
        if self.problems[before..].iter().any(|problem| problem.diagnostic.is_error()) {
            return Type::Any;
        }
        let arguments: Vec<_> = call.arguments.iter().map(|argument| self.walk(argument, held)).collect();
        let named: Vec<_> = call.named.iter().map(|(name, value)| (name, self.walk(value, held))).collect();
        if call.splat {
            return Type::Any;
        }
        if falls_back {
            let default = arguments.first().cloned().unwrap_or(Type::Options(vec![Value::from("")]));
            let lax = call.arguments.get(1).map(|lax| &lax.kind) == Some(&Kind::Constant(Value::Bool(true)));
            let (null, known) = (known == Type::Null, if lax { known.present() } else { known });
            return if lax && null { default } else { Type::union([known, default]) };
        }
        let default = named.into_iter().find(|(name, _)| *name == "default").map(|(_, known)| known);
        let default = arguments.first().cloned().or(default);
        if mood.sure
            && let Some(wants) = apply::refused(&call.name, &known, default.is_some())
        {
            let what = self.spelt(&call.of);
            let found = known.describe();
            let message = format!("the filter `{}` takes {wants}, and {what} is {found}", call.name);
            let arguments = self.arguments_of(call);
            let with_arguments =
                if arguments.is_empty() { call.name.clone() } else { format!("{}({arguments})", call.name) };
            let help = (wants == "a text" && !known.may_be_null())
                .then(|| format!("make it text first: `| string | {with_arguments}`"))
                .filter(|_| matches!(known, Type::Integer | Type::Number))
                .or_else(|| {
                    (wants == "a text" && matches!(known, Type::List(_))).then(|| {
                        let comma = if arguments.is_empty() { "" } else { ", " };
                        format!("use it on each item: `| map(\"{}\"{comma}{arguments})`", call.name)
                    })
                })
                .or_else(|| {
                    (wants == "a number" && matches!(known, Type::Text))
                        .then(|| format!("make it a number first: `| float | {with_arguments}`"))
                });
            self.tell(&call.range, found, helped(Diagnostic::error(Code::CannotTake, message), help));
            return Type::Any;
        }
        apply::filtered(&call.name, &known, default)
    }

    /// Returns the arguments of a filter as they are written.
    fn arguments_of(&self, call: &Call) -> String {
        let all = call.arguments.iter().map(|value| (None, value));
        let all = all.chain(call.named.iter().map(|(name, value)| (Some(name), value)));
        let spelt = all.map(|(name, value)| {
            let text = self.template.text().get(value.range.clone()).unwrap_or_default();
            name.map_or_else(|| text.to_owned(), |name| format!("{name}={text}"))
        });
        spelt.collect::<Vec<_>>().join(", ")
    }

    fn negative(&mut self, whole: &Expression, of: &Expression, mood: Mood) -> Type {
        let known = self.walk(of, mood);
        if mood.sure && apply::has_no_negative(&known) {
            let found = known.describe();
            let message = format!("only numbers have a negative, and {} is {found}", self.spelt(of));
            self.tell(&whole.range, found, Diagnostic::error(Code::CannotTake, message));
            return Type::Any;
        }
        if known == Type::Integer { Type::Integer } else { Type::Number }
    }

    fn slice(&mut self, whole: &Expression, of: &Expression, mood: Mood) -> Type {
        let known = self.walk(of, mood);
        if mood.sure && apply::has_no_slice(&known) {
            let found = known.describe();
            let message = format!("only a list or a text has parts, and {} is {found}", self.spelt(of));
            self.tell(&whole.range, found, Diagnostic::error(Code::CannotTake, message));
            return Type::Any;
        }
        match known {
            Type::List(item) => Type::List(item),
            Type::Text | Type::Media(_) => Type::Text,
            _ => Type::Any,
        }
    }

    fn arithmetic(&mut self, operator: Arithmetic, two: &(Expression, Expression), mood: Mood) -> Type {
        let before = self.problems.len();
        let left = self.walk(&two.0, mood);
        let right = self.walk(&two.1, mood);
        match apply::computed(operator, &left, &right) {
            Computed::Gives(known) => known,
            Computed::Fails => {
                if mood.sure && self.problems.len() == before {
                    let sign = operator.sign();
                    let (left, right) = (left.describe(), right.describe());
                    let message = format!("`{sign}` cannot be used between {left} and {right}");
                    let is_text = |known: &str| known == "text";
                    let help = (operator == Arithmetic::Add && (is_text(&left) || is_text(&right)))
                        .then(|| "write `~` to put texts together, whatever they are".to_owned());
                    let range = two.0.range.start..two.1.range.end;
                    self.tell(&range, "", helped(Diagnostic::error(Code::CannotTake, message), help));
                }
                Type::Any
            }
        }
    }

    /// Says whether some `when` asks about what a reference reads.
    fn is_asked_for(&self, expression: &Expression) -> bool {
        let reference = self.template.reference_at(expression.range.start);
        reference.is_some_and(|it| self.names.is_asked_for(self.site, self.spot, self.step, it, it.path.len()))
    }
}
