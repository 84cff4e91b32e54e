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

use std::ops::Range;

use serde_json::Value;

use super::{
    apply::{self, Computed},
    graph::StepIx,
    references::{Names, Spot, medium},
    results::STATUSES,
    site::{At, Site, helped, suggestion},
    types::Type,
    unused::mentioned,
};
use crate::{
    contract::schema::{listed, shown},
    diagnostic::{Code, Diagnostic, nearest},
    result::StepStatus,
    source::Pointer,
    spec::{OnError, Step, Trigger, Verb},
    template::{Arithmetic, Call, Choice, Comparison, Expression, Kind, Reference, Root, Scope, Segment, Template},
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

    /// Says whether a reference reads a var that depends on no input.
    fn is_switch(&self, reference: &Reference) -> bool {
        let record = self.names.record.borrow();
        reference.root == Root::Vars && !reference.key().is_some_and(|key| record.derived.contains(key))
    }

    /// Returns the type of a term of a comparison. A var is a switch in the file: what it is now says nothing of what it may be set to.
    fn compared(&mut self, term: &Expression, mood: Mood) -> Type {
        let known = self.walk(term, mood);
        let mut reads_var = false;
        term.each_reference(&mut |start| {
            reads_var |= self.template.reference_at(start).is_some_and(|reference| self.is_switch(reference));
        });
        if reads_var { known.weakened() } else { known }
    }

    /// Tells of a comparison of null with the error of a step that surely has none, and says whether it did.
    fn asks_for_no_error(&mut self, comparison: Comparison, two: &(Expression, Expression), of_null: bool) -> bool {
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
    fn compare(&mut self, comparison: Comparison, two: &(Expression, Expression), mood: Mood) {
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

    /// Tells of a `when` that does not depend on anything.
    fn constant(&mut self, known: &Type) {
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
    fn never_met(&mut self) {
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
    fn truth(&mut self, expression: &Expression) -> Option<bool> {
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
    fn covers_all(&mut self, expression: &Expression) -> bool {
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

    /// Returns the step of which an expression reads a field, where it surely has succeeded.
    fn after_success_of(&self, expression: &Expression, field: &str) -> Option<String> {
        let reference = self.template.reference_at(expression.range.start);
        reference.filter(|_| expression.kind == Kind::Reference).and_then(|it| self.read_after_success(it, field))
    }

    /// Returns the step of which a reference reads a field, where it surely has succeeded.
    fn read_after_success(&self, reference: &Reference, field: &str) -> Option<String> {
        let [Segment::Key(id), Segment::Key(read)] = reference.path.as_slice() else { return None };
        let found = self.names.by_id.get(id.as_str()).filter(|_| reference.root == Root::Steps && read == field)?;
        self.has_succeeded(*found).then(|| id.clone())
    }

    /// Says whether the whole is what a step with `set` gave, which has keys.
    fn is_output_of_set(&self) -> bool {
        let id = self.template.lone_reference().and_then(|it| self.read_after_success(it, "output"));
        let found = id.and_then(|id| self.names.by_id.get(id.as_str()).copied());
        found.is_some_and(|found| {
            let step = self.names.steps[found.index()].step;
            matches!(&step.verb, Verb::Set(map) if !map.is_empty()) && !super::references::is_fan(step)
        })
    }

    /// Returns the type of a reference, and tells of a part of it that is not there.
    fn reference(&mut self, reference: &Reference, mood: Mood) -> Type {
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
    fn absent(&mut self, reference: &Reference, place: usize, known: &Type, segment: &Segment) {
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
    fn no_job(&self, reference: &Reference) -> Option<String> {
        let is_job = matches!(reference.path.get(1), Some(Segment::Key(field)) if field == "job");
        let id = reference.key().filter(|_| is_job && reference.root == Root::Steps)?;
        let step = self.names.steps[self.names.by_id.get(id)?.index()].step;
        Some(if super::references::is_fan(step) {
            format!("each item has its own: `steps.{id}.items[0].job`")
        } else {
            "a step with `set` calls nothing".to_owned()
        })
    }

    /// Tells of what a step with items, or one that saves nothing, surely does not have; says whether it did.
    fn of_many(&mut self, reference: &Reference) -> bool {
        let (Root::Steps, [Segment::Key(id), Segment::Key(field), rest @ ..]) = (&reference.root, &*reference.path)
        else {
            return false;
        };
        let Some(&found) = self.names.by_id.get(id.as_str()).filter(|&&found| self.has_succeeded(found)) else {
            return false;
        };
        let seen = &self.names.steps[found.index()];
        let (message, label, help) = match (field.as_str(), rest) {
            ("output", _) if super::references::is_fan(seen.step) => (
                format!("step `{id}` runs for each item, and so has no one `output`"),
                "one of each item",
                format!("`steps.{id}.outputs` is the list of them, `steps.{id}.outputs[0]` the first"),
            ),
            (field, _) if medium(field).is_some_and(|kind| seen.output == Some(kind)) && gives_several(seen.step) => (
                format!("step `{id}` runs for several items, so `{field}` is not the only one"),
                "one of each item",
                format!("`steps.{id}.{}` is the list of all of them", plural(field)),
            ),
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
    fn perhaps_absent(&mut self, reference: &Reference, place: usize, wanted: &Type) {
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

    /// Says whether some `when` asks about what a reference reads.
    fn is_asked_for(&self, expression: &Expression) -> bool {
        let reference = self.template.reference_at(expression.range.start);
        reference.is_some_and(|it| self.names.is_asked_for(self.site, self.spot, self.step, it, it.path.len()))
    }

    /// Returns the type of the beginning of a reference, and how much of its path that is.
    fn root(&self, reference: &Reference) -> (Type, usize) {
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
                let may_lack = matches!(field.as_str(), "output" | "image" | "video" | "audio" | "text" | "model3d");
                if may_lack && self.may_lack_result(found) { (known.or_null(), 2) } else { (known, 2) }
            }
            _ => (Type::Any, reference.path.len()),
        }
    }

    /// Returns the type of an input whose value is known; where that is null and some `when` asks for it, nothing is known of it.
    fn given(&self, reference: &Reference, key: &str, known: Type) -> Type {
        if !self.names.facts.inputs.get(key).is_some_and(Value::is_null) {
            known.present()
        } else if self.names.is_asked_for(self.site, self.spot, self.step, reference, 1) {
            Type::Any
        } else {
            Type::Null
        }
    }

    /// Returns what is known of a field of the result that `expect` looks at.
    fn own(&self, name: &str) -> Type {
        match (name, self.names.own.get().filter(|_| self.spot == Some(Spot::Expect))) {
            ("status", Some(_)) => Type::Options(vec![StepStatus::Succeeded.as_str().into()]),
            ("error", Some(_)) => Type::Null,
            (_, Some(own)) => self.names.plain_field(self.site, name, own),
            (_, None) => Type::Any,
        }
    }

    /// Says whether a step may have no result where this template is rendered.
    fn may_lack_result(&self, found: StepIx) -> bool {
        !super::references::is_fan(self.names.steps[found.index()].step) && self.succeeded(found) == Some(false)
    }

    /// Says whether an item of a step may have no result where this template is rendered.
    fn may_lack_items(&self, found: StepIx) -> bool {
        self.succeeded(found) != Some(true) || judges_items(self.names.steps[found.index()].step)
    }

    /// Says whether a step surely succeeded, as a whole and without a failure that was handled, where this template is rendered.
    fn has_succeeded(&self, found: StepIx) -> bool {
        self.succeeded(found) == Some(true)
    }

    /// Says whether a step surely succeeded where this template is rendered; nothing where that is not known.
    fn succeeded(&self, found: StepIx) -> Option<bool> {
        let read = self.names.steps[found.index()].step;
        let is_handled = read.on_error.or(self.site.document.workflow.defaults.on_error) == Some(OnError::Continue);
        let is_final = |step: &Step| self.site.document.workflow.finally.values().any(|one| std::ptr::eq(one, step));
        match (self.step, self.spot) {
            (Some(step), Some(_)) if is_final(step) => Some(false),
            (Some(step), Some(_)) => Some(step.trigger == Trigger::AllSucceeded && !is_handled),
            (None, Some(Spot::Outputs)) => Some(!is_handled && !self.names.may_be_skipped(found)),
            _ => None,
        }
    }
}

/// Returns what to write where a step is read only once it has succeeded, and something else was meant.
fn after_success(id: &str, in_step: bool) -> String {
    let here = if in_step { "`trigger: all_done` here, or " } else { "" };
    format!("this is read only where `{id}` has succeeded: write {here}`on_error: continue` in `{id}`")
}

/// Says whether a step judges its `when` for each item, so that some may have no result though the step succeeded.
fn judges_items(step: &Step) -> bool {
    let when = step.when.as_deref().and_then(|when| Template::expression(when).ok());
    when.is_some_and(|when| when.references().iter().any(|it| matches!(it.root, Root::Item | Root::Index)))
}

/// Says whether a step that succeeded has surely run for more than one item.
pub(super) fn gives_several(step: &Step) -> bool {
    let length = |value: &Value| match value {
        Value::Array(items) => items.len(),
        Value::Object(map) => map.len(),
        _ => 0,
    };
    let count = match (&step.foreach, &step.matrix) {
        (Some(each), _) => length(each),
        (None, Some(lists)) => {
            let lists = lists.iter().filter(|(name, _)| !name.starts_with("x-"));
            lists.map(|(_, list)| if list.is_array() { length(list) } else { 0 }).product()
        }
        (None, None) => 0,
    };
    count > 1 && !judges_items(step)
}

/// Returns the list of all media of a kind, by the field that has the only one.
fn plural(field: &str) -> String {
    if field == "model3d" { "models3d".to_owned() } else { format!("{field}s") }
}

impl<'a> Names<'a> {
    /// Says whether a `when` asks about what a reference reads, so that whoever wrote it has thought of null: about a step or an item
    /// the `when` of the reader, about an input that of any step, as those that wait for it are skipped with it.
    pub(super) fn is_asked_for(
        &self,
        site: &Site<'a>,
        spot: Option<Spot>,
        step: Option<&Step>,
        reference: &Reference,
        depth: usize,
    ) -> bool {
        let Some(step) = step.filter(|_| spot != Some(Spot::When)) else { return false };
        if reference.root == Root::Item {
            let asks = |asked: &Reference| {
                asked.root == Root::Item && (asked.path.is_empty() && depth == 0 || asked.key() == reference.key())
            };
            let when = step.when.as_deref().and_then(|when| Template::expression(when).ok());
            return when.is_some_and(|when| when.references().iter().any(asks));
        }
        let Some(key) = reference.key() else { return false };
        match reference.root {
            Root::Steps => {
                let asks =
                    |step: &Step| step.when.as_deref().is_some_and(|when| mentioned(when).contains(&("steps", key)));
                asks(step) || step.trigger == Trigger::AllSucceeded && self.needed_by(step).into_iter().any(asks)
            }
            Root::Vars => step.when.as_deref().is_some_and(|when| mentioned(when).contains(&("vars", key))),
            Root::Inputs => {
                let asked = self.asked.get_or_init(|| {
                    let whens = site.document.workflow.steps.values().filter_map(|step| step.when.as_deref());
                    let names = whens.flat_map(mentioned).filter(|(root, _)| *root == "inputs");
                    names.map(|(_, name)| name.to_owned()).collect()
                });
                asked.contains(key)
            }
            _ => false,
        }
    }

    /// Returns the steps that a step reads or names under `needs`: where one of them is skipped, it is skipped with it.
    fn needed_by(&self, step: &Step) -> Vec<&'a Step> {
        let Some(index) = self.steps.iter().position(|seen| std::ptr::eq(seen.step, step)) else { return Vec::new() };
        let record = self.record.borrow();
        let read = record.edges.iter().filter(|(reader, _)| reader.index() == index).map(|(_, read)| *read);
        let named = step.needs.iter().filter_map(|id| self.by_id.get(id.as_str()).copied());
        read.chain(named).map(|needed| self.steps[needed.index()].step).collect()
    }

    /// Says whether a step may be skipped in a run that succeeds: by its own `when`, or with a step that it waits for. Only asked when all
    /// steps were checked.
    fn may_be_skipped(&self, step: StepIx) -> bool {
        let skipped = self.skipped.get_or_init(|| {
            let mut skipped: Vec<bool> = self.steps.iter().map(|seen| seen.step.when.is_some()).collect();
            let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); self.steps.len()];
            for &(step, needed) in &self.record.borrow().edges {
                dependents[needed.index()].push(step.index());
            }
            for (index, seen) in self.steps.iter().enumerate() {
                for needed in seen.step.needs.iter().filter_map(|id| self.by_id.get(id.as_str())) {
                    dependents[needed.index()].push(index);
                }
            }
            let mut rest: Vec<usize> = (0..skipped.len()).filter(|&index| skipped[index]).collect();
            while let Some(index) = rest.pop() {
                for &dependent in &dependents[index] {
                    if !skipped[dependent] && self.steps[dependent].step.trigger != Trigger::AllDone {
                        skipped[dependent] = true;
                        rest.push(dependent);
                    }
                }
            }
            skipped
        });
        skipped[step.index()]
    }
}
