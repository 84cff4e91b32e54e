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
    references::{Names, Spot},
    site::{At, Site, helped, suggestion},
    types::Type,
    unused::mentioned,
};
use crate::{
    contract::schema::{listed, shown},
    diagnostic::{Code, Diagnostic, nearest},
    source::Pointer,
    spec::{OnError, Step, Trigger},
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
            if spot == Spot::When && walk.problems.is_empty() {
                walk.constant(&known);
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
            self.written(part, SURE);
        }
    }

    /// Looks at an expression that becomes text, in which null is an error.
    fn written(&mut self, expression: &Expression, mood: Mood) -> Type {
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
        } else if known.may_be_null() && expression.kind == Kind::Reference && !self.is_asked_for(expression) {
            let text = &self.template.text()[expression.range.clone()];
            let why =
                self.template.reference_at(expression.range.start).map(|it| self.why_null(it)).unwrap_or_default();
            let diagnostic = Diagnostic::warning(
                Code::PerhapsNull,
                format!("{what} may be null{why}, and null cannot stand in a text"),
            )
            .help(format!("write what stands for it then: `{{{{ {text} | default(\"\", true) }}}}`"));
            self.tell(&expression.range, "may be null", diagnostic);
        }
        known
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
            Kind::Negative(of) => match self.walk(of, inner) {
                Type::Integer => Type::Integer,
                _ => Type::Number,
            },
            Kind::Arithmetic(operator, two) => self.arithmetic(*operator, two, inner),
            Kind::Joined(two) => {
                // Of anything else than a reference, null becomes the word for it.
                for part in [&two.0, &two.1] {
                    if part.kind == Kind::Reference {
                        self.written(part, inner)
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
            Kind::Slice(of) => match self.walk(of, inner) {
                Type::List(item) => Type::List(item),
                Type::Text | Type::Media(_) => Type::Text,
                _ => Type::Any,
            },
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
            let help = (wants == "a text" && !known.may_be_null())
                .then(|| format!("make it text first: `| string | {}`", call.name))
                .filter(|_| matches!(known, Type::Integer | Type::Number))
                .or_else(|| {
                    (wants == "a text" && matches!(known, Type::List(_)))
                        .then(|| format!("use it on each item: `| map(\"{}\")`", call.name))
                })
                .or_else(|| {
                    (wants == "a number" && matches!(known, Type::Text))
                        .then(|| format!("make it a number first: `| float | {}`", call.name))
                });
            self.tell(&call.range, found, helped(Diagnostic::error(Code::CannotTake, message), help));
            return Type::Any;
        }
        apply::filtered(&call.name, &known, default)
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

    /// Returns the type of a term of a comparison. A var is a switch in the file: what it is now says nothing of what it may be set to.
    fn compared(&mut self, term: &Expression, mood: Mood) -> Type {
        let known = self.walk(term, mood);
        let mut reads_var = false;
        term.each_reference(&mut |start| {
            reads_var |= self.template.reference_at(start).is_some_and(|reference| reference.root == Root::Vars);
        });
        if reads_var { known.weakened() } else { known }
    }

    /// Tells of a comparison whose answer is always the same.
    fn compare(&mut self, comparison: Comparison, two: &(Expression, Expression), mood: Mood) {
        let before = self.problems.len();
        let left = self.compared(&two.0, mood);
        let right = self.compared(&two.1, mood);
        if self.problems.len() > before || (Self::reads_nothing(&two.0) && Self::reads_nothing(&two.1)) {
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
        let help = match (subject_type, fixed_text) {
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
                Some(format!("ask whether it is among them: `VALUE in {}`", what.trim_matches('`')))
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
            known.holds().filter(|_| !references.iter().any(is_given))
        };
        let Some(holds) = holds else { return };
        let (what, help) = if holds {
            ("always true, so the step always runs", "leave `when` out, or ask for what it depends on")
        } else {
            ("always false, so the step never runs", "take the step out, or ask for what it depends on")
        };
        let text = self.template.text();
        let start = text.len() - text.trim_start().len();
        let help = match known {
            Type::Options(options) if !references.is_empty() && options.len() > 1 => {
                format!("compare it, such as `{} == {}`", text.trim(), options[0])
            }
            _ => help.to_owned(),
        };
        let diagnostic = Diagnostic::warning(Code::ConstantWhen, format!("this `when` is {what}")).help(help);
        self.tell(&(start..text.trim_end().len()), if holds { "always true" } else { "always false" }, diagnostic);
    }

    /// Returns the type of a reference, and tells of a part of it that is not there.
    fn reference(&mut self, reference: &Reference, mood: Mood) -> Type {
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
                && !self.names.is_asked_for(self.site, self.spot, self.step, reference)
            {
                self.perhaps_absent(reference, place);
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
            _ => None,
        };
        let found = known.clone().weakened().describe();
        let message = format!("`{holder}` is {found}, which has {wanted}");
        let range = reference.segments.get(place).unwrap_or(&reference.range).clone();
        self.tell(&range, "not there", helped(Diagnostic::error(Code::UnknownField, message), help));
    }

    /// Tells of a part of something that may be null.
    fn perhaps_absent(&mut self, reference: &Reference, place: usize) {
        let holder = reference.spelt(place);
        let range = reference.segments.get(place).unwrap_or(&reference.range).clone();
        let why = self.why_null(reference);
        let message = format!("`{holder}` may be null{why}, and null has no parts");
        let whole = reference.to_string();
        let help = format!("ask first: `{whole} if {holder} else \"\"`");
        self.tell(&range, "not there then", Diagnostic::warning(Code::PerhapsNull, message).help(help));
    }

    /// Says whether some `when` asks about what a reference reads.
    fn is_asked_for(&self, expression: &Expression) -> bool {
        let reference = self.template.reference_at(expression.range.start);
        reference.is_some_and(|reference| self.names.is_asked_for(self.site, self.spot, self.step, reference))
    }

    /// Returns the type of the beginning of a reference, and how much of its path that is.
    fn root(&self, reference: &Reference) -> (Type, usize) {
        let names = self.names;
        let key = reference.key();
        match (&reference.root, key) {
            (Root::Index | Root::N, _) => (Type::Integer, 0),
            (Root::Ext, _) => (Type::Text, 0),
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
                let known = names.field(self.site, field, found);
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
        } else if self.names.is_asked_for(self.site, self.spot, self.step, reference) {
            Type::Any
        } else {
            Type::Null
        }
    }

    /// Says whether a step may have no result where this template is rendered.
    fn may_lack_result(&self, found: StepIx) -> bool {
        let names = self.names;
        let read = names.steps[found.index()].step;
        if super::references::is_fan(read) {
            return false;
        }
        let is_handled = read.on_error.or(self.site.document.workflow.defaults.on_error) == Some(OnError::Continue);
        let is_final = |step: &Step| self.site.document.workflow.finally.values().any(|one| std::ptr::eq(one, step));
        match (self.step, self.spot) {
            (Some(step), Some(_)) if is_final(step) => true,
            (Some(step), Some(_)) => step.trigger != Trigger::AllSucceeded || is_handled,
            (None, Some(Spot::Outputs)) => is_handled || names.may_be_skipped(found),
            _ => false,
        }
    }
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
    ) -> bool {
        let Some(step) = step.filter(|_| spot != Some(Spot::When)) else { return false };
        if reference.root == Root::Item {
            let asks = |asked: &Reference| asked.root == Root::Item && asked.key() == reference.key();
            let when = step.when.as_deref().and_then(|when| Template::expression(when).ok());
            return when.is_some_and(|when| when.references().iter().any(asks));
        }
        let Some(key) = reference.key() else { return false };
        match reference.root {
            Root::Steps => step.when.as_deref().is_some_and(|when| mentioned(when).contains(&("steps", key))),
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
