//! A step's inputs against its target's contract: which port each key means, and whether what is known of the value fits it.
//!
//! What is known already is rendered and checked whole. Of the rest, parts without a template are checked as they are, and
//! parts with one by their type. A key with an error of its own is not looked at further.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::{
    PlannedInput,
    references::{Names, Spot},
    site::{At, Site, helped},
    targets::Found,
    types::{Clash, Type},
};
use crate::{
    contract::{Checker, Port, Unresolved, ValueKind, Violation, media, schema::listed, severity_of_one},
    diagnostic::{Code, Diagnostic, Severity},
    source::Pointer,
    spec::{Step, Verb},
    template::{Expression, Kind, Reference, Scope, Template, TemplateError, is_placeholder, mentions},
    tree::Tree,
};

/// What came of a step's inputs.
#[derive(Debug, Default)]
pub(super) struct Fitted {
    pub(super) inputs: Vec<PlannedInput>,
    pub(super) warnings: u32,
}

/// Checks the inputs of one step; `reads` takes what each template mentions.
pub(super) struct Fitter<'s, 'a> {
    pub(super) site: &'s Site<'a>,
    pub(super) names: &'s Names<'a>,
    pub(super) scope: &'s Scope,
    pub(super) step: &'a Step,
    /// `/steps/ID`
    pub(super) pointer: &'s Pointer,
    /// Whether the provider names an uploaded file by a reference, which an input may want as an object: AIMP's way.
    pub(super) media_objects: bool,
}

impl<'a> Fitter<'_, 'a> {
    /// Checks everything. The templates' own checks run whether or not the target is known; `found` is none where it is not.
    pub(super) fn fit(
        &self,
        found: Option<&Found>,
        mut edges: impl FnMut(&Pointer, super::references::Reads),
    ) -> Fitted {
        let mut fitted = Fitted::default();
        let inputs = self.pointer.join("inputs");
        let checker = found.map(|found| &*found.checker);
        // Of a target with operations, the contract of the one that is asked for counts.
        let own =
            checker.filter(|_| found.is_some_and(|found| found.read)).and_then(|checker| self.of_operation(checker));
        let is_read = own.is_some_and(|own| !own.contract().unchecked);
        let checker = own.or(checker);
        // By port: the key that named it.
        let mut named: HashMap<usize, &'a str> = HashMap::new();
        // Ports that a wrong key was probably meant for: that they are missing would follow from it.
        let mut meant: HashSet<usize> = HashSet::new();
        let mut sound = true;
        for (key, value) in &self.step.inputs {
            let pointer = inputs.join(key);
            let (input, wrong) = self.compiled(key, value, &pointer, Spot::Inputs, found, &mut edges);
            sound &= !wrong;
            // That no input has such a name follows from it.
            let Some(checker) = checker.filter(|_| !mentions(key)) else { continue };
            if !is_read {
                fitted.inputs.push(input);
                continue;
            }
            let contract = checker.contract();
            let port = match contract.resolve(key) {
                Ok(port) => port,
                Err(Unresolved::Unknown { nearest }) => {
                    if !contract.takes(key) {
                        meant.extend(nearest.as_deref().and_then(|name| contract.resolve(name).ok()));
                        let severity = self.unknown(checker, key, &pointer, nearest.as_deref());
                        fitted.warnings += u32::from(severity == Severity::Warning);
                    }
                    if contract.open {
                        fitted.inputs.push(input);
                    }
                    continue;
                }
                Err(Unresolved::Ambiguous { by, ports }) => {
                    self.ambiguous(checker, key, &pointer, by, &ports);
                    meant.extend(ports);
                    continue;
                }
            };
            if let Some(first) = named.insert(port, key) {
                self.twice(contract.name_of(&contract.ports[port]), first, key, &inputs);
                continue;
            }
            let port = &contract.ports[port];
            if !wrong {
                fitted.warnings += self.value(checker, port, &input.tree, &pointer);
            }
            fitted.inputs.push(PlannedInput { port: port.id.clone(), ..input });
        }
        if let Some(checker) = checker.filter(|_| is_read) {
            if sound {
                self.together(checker, &fitted.inputs);
            }
            for (index, port) in checker.contract().ports.iter().enumerate() {
                if port.required && !named.contains_key(&index) && !meant.contains(&index) {
                    self.missing(port, checker);
                }
            }
        }
        fitted
    }

    /// Checks one value, and returns how many warnings there were.
    pub(super) fn value(&self, checker: &Checker, port: &Port, tree: &Tree, pointer: &Pointer) -> u32 {
        if self.is_known(tree) {
            return match self.rendered(tree, checker.schema_of(&port.id)) {
                Ok(value) => self.violations(checker, checker.check(port, &value), pointer, tree),
                Err((place, error)) => {
                    self.site.tell_template(&place, &error);
                    0
                }
            };
        }
        self.typed(checker, port, tree, pointer)
    }

    /// Checks one value by its type, as far as that is known, and returns how many warnings there were.
    pub(super) fn typed(&self, checker: &Checker, port: &Port, tree: &Tree, pointer: &Pointer) -> u32 {
        match tree {
            Tree::List(items) if port.many => {
                let item = |(index, item)| self.item(checker, port, items, item, &pointer.join(index));
                items.iter().enumerate().map(item).sum()
            }
            Tree::List(items) if port.kind != ValueKind::Any => {
                let help = match items.as_slice() {
                    [Tree::Template { template, .. }] => format!("write the value alone: `{}`", template.text()),
                    _ => "pick one of them".to_owned(),
                };
                self.clash(checker, port, Clash::WantsOne, "a list", &At::Value(pointer), Some(help));
                0
            }
            Tree::Map(_) => {
                let known = Type::Map(None);
                if let Some(clash) = known.clash(checker, port) {
                    self.clash(checker, port, clash, &known.describe(), &At::Value(pointer), None);
                }
                0
            }
            Tree::Template { template, .. } => {
                let known = self.type_of(template);
                match known.clash(checker, port) {
                    Some(clash) => self.template_clash(checker, port, template, &known, clash, pointer),
                    None => self.perhaps(checker, port, template, &known, pointer),
                }
            }
            // A literal reads nothing, so it was rendered above; a list of anything fits.
            Tree::Literal(_) | Tree::List(_) => 0,
        }
    }

    /// Tells of what may not fit, and returns how many warnings there were: some of several values that are no options, and null for an
    /// input that must be there.
    fn perhaps(&self, checker: &Checker, port: &Port, template: &Template, known: &Type, pointer: &Pointer) -> u32 {
        let misfits = self.perhaps_no_option(checker, port, template, known, pointer);
        let is_asked_for =
            |it: &Reference| self.names.is_asked_for(self.site, Some(Spot::Inputs), Some(self.step), it, it.path.len());
        let is_thought_of = || template.references().iter().any(is_asked_for);
        if misfits > 0 || !port.required || port.nullable || !known.may_be_null() || is_thought_of() {
            return misfits;
        }
        let what = template.lone_reference().map_or_else(|| "this".to_owned(), |reference| format!("`{reference}`"));
        let name = checker.contract().name_of(port);
        let (target, noun) = (self.target_name(), checker.noun());
        let message = format!("{target} needs the {noun} `{name}`, and {what} may be null");
        let inner = operand(template);
        let help = match port.kind {
            _ if port.many => format!("write what stands for it then: `{{{{ {inner} | default([…], true) }}}}`"),
            ValueKind::Text | ValueKind::Scalar => {
                format!("write what stands for it then: `{{{{ {inner} | default(\"…\", true) }}}}`")
            }
            _ => format!("write what stands for it then: `{{{{ {inner} | default(…, true) }}}}`"),
        };
        let diagnostic = Diagnostic::warning(Code::PerhapsNull, message).help(help);
        self.site.tell(self.in_step(self.site.at(diagnostic, &Self::place_of(template, pointer), "may be null")));
        1
    }

    /// Tells of possible values that are no options where others are.
    fn perhaps_no_option(
        &self,
        checker: &Checker,
        port: &Port,
        template: &Template,
        known: &Type,
        pointer: &Pointer,
    ) -> u32 {
        let misfits = known.misfits(checker, port);
        if misfits.is_empty() || self.asks_for_what_it_reads(template) {
            return 0;
        }
        let name = checker.contract().name_of(port);
        let what = template.lone_reference().map_or_else(|| "this".to_owned(), |reference| format!("`{reference}`"));
        let (values, verb) = (listed(&misfits), if misfits.len() == 1 { "is no option" } else { "are no options" });
        let message = format!(
            "{what} may be {values}, and {} {verb} of {} `{name}`",
            if misfits.len() == 1 { "that" } else { "these" },
            checker.noun(),
        );
        let help = format!("its options are {}", listed(&port.options));
        let diagnostic = Diagnostic::warning(code_of(checker, Code::NotAnOption), message).help(help);
        self.site.tell(self.in_step(self.site.at(diagnostic, &Self::place_of(template, pointer), known.describe())));
        1
    }

    /// Says whether a condition of a template, or the step's `when`, asks about something that the template reads: which values it may have
    /// where it is read then, is not looked into.
    fn asks_for_what_it_reads(&self, template: &Template) -> bool {
        let mut asked: Vec<String> = Vec::new();
        for part in template.parts() {
            part.each_condition(&mut |condition| {
                condition
                    .each_reference(&mut |start| asked.extend(template.reference_at(start).map(ToString::to_string)));
            });
        }
        let when = self.step.when.as_deref().and_then(|when| Template::expression(when).ok());
        let in_branches = template.references().iter().map(ToString::to_string);
        let is_read_twice = asked.iter().any(|name| in_branches.clone().filter(|read| read == name).count() > 1);
        is_read_twice
            || when.is_some_and(|when| {
                when.references()
                    .iter()
                    .any(|asked| template.references().iter().any(|read| read.to_string() == asked.to_string()))
            })
    }

    /// Tells of a value of which none of the kinds that it may have fits, and says whether it did; `wants` is what it is to be, as a sentence
    /// begins.
    pub(super) fn never(
        &self,
        wants: &str,
        code: impl Fn(&Type) -> Code,
        tree: &Tree,
        pointer: &Pointer,
        misfit: impl Fn(&Type) -> bool,
    ) -> bool {
        let (known, at, reference) = match tree {
            Tree::Template { template, .. } => {
                (self.type_of(template), Self::place_of(template, pointer), template.lone_reference())
            }
            Tree::List(_) | Tree::Literal(Value::Array(_)) => (Type::list(Type::Any), At::Value(pointer), None),
            Tree::Map(_) | Tree::Literal(Value::Object(_)) => (Type::Map(None), At::Value(pointer), None),
            Tree::Literal(_) => return false,
        };
        if !known.members().iter().all(misfit) {
            return false;
        }
        let what = reference.map_or_else(|| "this".to_owned(), |reference| format!("`{reference}`"));
        let diagnostic = Diagnostic::error(code(&known), format!("{wants}, and {what} is {}", known.describe()));
        self.site.tell(self.in_step(self.site.at(diagnostic, &at, known.describe())));
        true
    }

    /// Returns the smallest place that stands for the whole value of a template.
    pub(super) fn place_of<'p>(template: &Template, pointer: &'p Pointer) -> At<'p> {
        match template.lone_reference() {
            Some(reference) => At::Within(pointer, reference.range.clone()),
            None => At::Value(pointer),
        }
    }

    pub(super) fn type_of(&self, template: &Template) -> Type {
        self.names.type_within(self.site, template, Some(Spot::Inputs), Some(self.step))
    }

    /// Renders a value that is known, with local files in the form that they will have where this schema holds.
    fn rendered(&self, tree: &Tree, schema: Option<&Value>) -> Result<Value, (Pointer, TemplateError)> {
        let mut value = tree.render(self.scope)?;
        if self.media_objects {
            media::each_place(&mut value, schema, |value, wanted| {
                let is_file = value.as_str().is_some_and(is_placeholder);
                if is_file && wanted.and_then(media::takes_media_object) == Some(true) {
                    *value = json!({"media_ref": value.take()});
                }
            });
        }
        Ok(value)
    }

    /// Checks one item of a list.
    fn item(&self, checker: &Checker, port: &Port, items: &[Tree], item: &Tree, pointer: &Pointer) -> u32 {
        if self.is_known(item) {
            let schema = checker.schema_of(&port.id).and_then(|schema| schema.get("items"));
            return match self.rendered(item, schema) {
                Ok(value) => self.violations(checker, checker.check_item(port, &value), pointer, item),
                Err((place, error)) => {
                    self.site.tell_template(&place, &error);
                    0
                }
            };
        }
        let known = match item {
            Tree::Template { template, .. } => self.type_of(template),
            Tree::List(_) => Type::list(Type::Any),
            Tree::Map(_) => Type::Map(None),
            Tree::Literal(_) => return 0,
        };
        if let (None, Tree::Template { template, .. }) = (known.clash_of_item(checker, port), item) {
            return self.perhaps_no_option(checker, port, template, &known, pointer);
        }
        if let Some(clash) = known.clash_of_item(checker, port) {
            match item {
                Tree::Template { template, .. } if clash == Clash::WantsOne && items.len() > 1 => {
                    let help = self.joined(items).map(|joined| format!("put the lists together: `{joined}`"));
                    let what = template.lone_reference().map_or_else(|| "this".to_owned(), |it| format!("`{it}`"));
                    let what = format!("{what} is {}, as one item of this list", known.describe());
                    let at = Self::place_of(template, pointer);
                    self.site.tell(helped(self.misfit(checker, port, clash, &what, &known.describe(), &at), help));
                }
                Tree::Template { template, .. } => {
                    return self.template_clash(checker, port, template, &known, clash, pointer);
                }
                _ => self.clash(checker, port, clash, &known.describe(), &At::Value(pointer), None),
            }
        }
        0
    }

    /// Returns the expression that makes one list of items of which some are lists themselves.
    fn joined(&self, items: &[Tree]) -> Option<String> {
        let mut lists: Vec<(bool, Vec<String>)> = Vec::new();
        for item in items {
            let (text, is_list) = match item {
                Tree::Template { template, .. } if template.is_lone() => {
                    (expression_of(template).to_owned(), matches!(self.type_of(template), Type::List(_)))
                }
                Tree::Literal(Value::String(text)) if !text.contains('\'') => (format!("'{text}'"), false),
                _ => return None,
            };
            match lists.last_mut() {
                Some((false, singles)) if !is_list => singles.push(text),
                _ => lists.push((is_list, vec![text])),
            }
        }
        let lists = lists.into_iter().map(|(is_list, texts)| {
            let texts = texts.join(", ");
            if is_list { texts } else { format!("[{texts}]") }
        });
        Some(format!("{{{{ {} }}}}", lists.collect::<Vec<_>>().join(" + ")))
    }

    /// Tells that the value of a template does not fit, with what to write instead; returns how many warnings that were.
    fn template_clash(
        &self,
        checker: &Checker,
        port: &Port,
        template: &Template,
        known: &Type,
        clash: Clash,
        pointer: &Pointer,
    ) -> u32 {
        let text = template.text().trim();
        let reference = template.lone_reference();
        let help = match clash {
            Clash::WantsList => Some(format!("write it as a list: `[\"{text}\"]`")),
            // It stands as an item of a list.
            Clash::WantsOne if port.many => {
                Some(format!("the list is one already: write `{text}` without the brackets around it"))
            }
            Clash::WantsOne => reference.map(|reference| {
                let first = format!("`{{{{ {reference}[0] }}}}`");
                match self.names.singular_of(reference) {
                    Some(only) => format!("write `{{{{ {only} }}}}` for the only one, or {first} for the first"),
                    None => format!("write {first} for the first item"),
                }
            }),
            Clash::Media | Clash::Kind | Clash::Options => None,
        };
        let at = Self::place_of(template, pointer);
        let what = match reference {
            Some(reference) => format!("`{reference}` is {}", known.described_with_value()),
            None => format!("this is {}", known.described_with_value()),
        };
        let severity = match clash {
            Clash::WantsList => severity_of_one(checker.contract(), port),
            _ => Severity::Error,
        };
        let diagnostic = self.misfit(checker, port, clash, &what, &known.describe(), &at);
        self.site.tell(helped(Diagnostic { severity, ..diagnostic }, help));
        u32::from(severity == Severity::Warning)
    }

    fn clash(&self, checker: &Checker, port: &Port, clash: Clash, found: &str, at: &At<'_>, help: Option<String>) {
        self.site.tell(helped(self.misfit(checker, port, clash, &format!("this is {found}"), found, at), help));
    }

    fn misfit(&self, checker: &Checker, port: &Port, clash: Clash, what: &str, found: &str, at: &At<'_>) -> Diagnostic {
        let code = match clash {
            Clash::WantsList | Clash::WantsOne => Code::ListOrOne,
            Clash::Media => Code::WrongMedia,
            Clash::Kind => Code::InputType,
            Clash::Options => Code::NotAnOption,
        };
        let wants = match clash {
            Clash::Options => format!("one of {}", listed(&port.options)),
            Clash::WantsOne if !port.many => format!("one value ({})", port.wants()),
            _ => port.wants(),
        };
        let message = format!("{} `{}` takes {wants}, and {what}", checker.noun(), checker.contract().name_of(port));
        self.in_step(self.site.at(Diagnostic::error(code_of(checker, code), message), at, found))
    }

    /// Tells what a checked value violates, and returns how many warnings there were.
    fn violations(&self, checker: &Checker, found: Vec<Violation>, pointer: &Pointer, tree: &Tree) -> u32 {
        let mut warnings = 0;
        for Violation { code, at, severity, message, help, .. } in found {
            // Places inside a rendered value are not in the file.
            let inner = match tree {
                Tree::Literal(_) | Tree::List(_) | Tree::Map(_) => {
                    at.iter().fold(pointer.clone(), |pointer, part| pointer.join(part))
                }
                Tree::Template { .. } => pointer.clone(),
            };
            let diagnostic = Diagnostic { severity, ..Diagnostic::error(code_of(checker, code), message) };
            let text = match tree {
                Tree::Template { template, .. } => {
                    template.lone_reference().map(|reference| format!("`{reference}`")).unwrap_or_default()
                }
                _ => String::new(),
            };
            let help = match (code, tree) {
                // The value itself stands elsewhere: here the template is what can be put right.
                (Code::ListOrOne, Tree::Template { template, .. })
                    if help.as_deref().is_some_and(|h| h.starts_with("write it")) =>
                {
                    Some(format!("write it as a list: `[\"{}\"]`", template.text().trim()))
                }
                _ => help,
            };
            self.site.tell(helped(self.in_step(self.site.at(diagnostic, &At::Value(&inner), text)), help));
            warnings += u32::from(severity == Severity::Warning);
        }
        warnings
    }

    /// Adds the label that shows which step it is.
    pub(super) fn in_step(&self, diagnostic: Diagnostic) -> Diagnostic {
        self.site.also(diagnostic, &At::Key(self.pointer), "in this step")
    }

    /// Adds the labels that show the step and what its target takes.
    fn at_target(&self, diagnostic: Diagnostic, checker: &Checker) -> Diagnostic {
        let target = self.target();
        let what = if checker.contract().open { "its published inputs" } else { "its inputs" };
        let inputs = format!("{what}: {}", checker.contract().summary());
        self.site.also(self.in_step(diagnostic), &At::Value(&target), inputs)
    }

    fn target(&self) -> Pointer {
        self.pointer.join(self.step.verb.key())
    }

    fn target_name(&self) -> String {
        match &self.step.verb {
            Verb::Run { kind, name } => format!("{kind} `{name}`"),
            Verb::Workflow(path) => format!("workflow `{path}`"),
            other => format!("`{}`", other.key()),
        }
    }

    /// Tells of a key that is no input, and returns how bad it is.
    fn unknown(&self, checker: &Checker, key: &str, pointer: &Pointer, nearest: Option<&str>) -> Severity {
        let Violation { code, severity, .. } = checker.unknown(key);
        let open = severity == Severity::Warning;
        let what = if open { "publishes no input" } else { "has no input" };
        let message = format!("{} {what} `{key}`", self.target_name());
        let diagnostic = Diagnostic { severity, ..Diagnostic::error(code, message) };
        let diagnostic = self.site.at(diagnostic, &At::Key(pointer), "unknown input");
        let help = match nearest {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if open => Some("it is sent all the same: the list may not be whole".to_owned()),
            None => None,
        };
        self.site.tell(helped(self.at_target(diagnostic, checker), help));
        severity
    }

    /// Tells of conditions over several inputs that they do not meet, where all of them are known.
    fn together(&self, checker: &Checker, inputs: &[PlannedInput]) {
        if checker.contract().schema.is_none() || !inputs.iter().all(|input| self.is_known(&input.tree)) {
            return;
        }
        let rendered = inputs.iter().map(|input| {
            let value = self.rendered(&input.tree, checker.schema_of(&input.port)).ok()?;
            Some((input.port.clone(), value))
        });
        let Some(rendered) = rendered.collect::<Option<serde_json::Map<_, _>>>() else { return };
        for Violation { code, severity, message, help, .. } in checker.together(&rendered) {
            let diagnostic = Diagnostic { severity, ..Diagnostic::error(code, message) };
            let diagnostic = self.site.at(diagnostic, &At::Key(&self.pointer.join("inputs")), "");
            self.site.tell(helped(self.in_step(diagnostic), help));
        }
    }

    fn ambiguous(&self, checker: &Checker, key: &str, pointer: &Pointer, by: &str, ports: &[usize]) {
        let ports = &ports.iter().map(|port| &checker.contract().ports[*port]).collect::<Vec<_>>();
        let named: Vec<_> = ports.iter().map(|port| format!("`{}` ({})", port.id, port.name())).collect();
        let message = format!("`{key}` is the {by} of {} inputs of {}", ports.len(), self.target_name());
        let diagnostic =
            Diagnostic::error(Code::AmbiguousInput, message).help(format!("name one by its id: {}", named.join(", ")));
        self.site.tell(self.in_step(self.site.at(diagnostic, &At::Key(pointer), "which one is meant?")));
    }

    fn twice(&self, name: &str, first: &str, second: &str, inputs: &Pointer) {
        let message = format!("`{first}` and `{second}` both name the input `{name}`");
        let diagnostic = Diagnostic::error(Code::SameInputTwice, message).help("keep one of them");
        let diagnostic = self.site.at(diagnostic, &At::Key(&inputs.join(second)), "named again");
        self.site.tell(self.site.also(diagnostic, &At::Key(&inputs.join(first)), "named here"));
    }

    fn missing(&self, port: &Port, checker: &Checker) {
        let name = checker.contract().name_of(port);
        let message = format!("{} needs the input `{name}`", self.target_name());
        let form = if port.many { "[…]" } else { "…" };
        let diagnostic = Diagnostic::error(Code::MissingInput, message)
            .help(format!("add `{name}: {form}` under `inputs`; it takes {}", port.wants()));
        let target = self.target();
        let inputs = format!("its inputs: {}", checker.contract().summary());
        self.site.tell(self.in_step(self.site.at(diagnostic, &At::Value(&target), inputs)));
    }
}

/// Returns the code by which a misfit is told: those of `params` have one for all.
fn code_of(checker: &Checker, code: Code) -> Code {
    if checker.is_of_params() { Code::BadParams } else { code }
}

/// Returns a lone template's expression as a filter or an operator can follow it: in parentheses where it is more than one thing.
pub(super) fn operand(template: &Template) -> String {
    let text = expression_of(template);
    let binds = |expression: &Expression| {
        matches!(
            expression.kind,
            Kind::Reference
                | Kind::Constant(_)
                | Kind::Part(..)
                | Kind::List(_)
                | Kind::Map(_)
                | Kind::Filter(_)
                | Kind::Slice(_)
        )
    };
    if template.parts().iter().all(binds) { text.to_owned() } else { format!("({text})") }
}

/// Returns what stands between the braces of a lone template.
pub(super) fn expression_of(template: &Template) -> &str {
    let text = template.text().trim();
    text.strip_prefix("{{").and_then(|text| text.strip_suffix("}}")).unwrap_or(text).trim()
}
