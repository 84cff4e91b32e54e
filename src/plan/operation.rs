//! What a run takes beside its inputs: `mode`, `scope`, `params` and `options`, as AIMP names them.
//!
//! What is known already is checked against the rules of the API and the contract of the target; the whole again before each submit.

use serde_json::{Map, Value};

use super::{
    PlannedInput,
    fit::Fitter,
    references::{Reads, Spot},
    site::{At, helped},
    targets::Found,
    types::Type,
};
use crate::{
    contract::{
        Checker, ValueKind, Violation,
        operation::{Asked, Part, violations},
    },
    diagnostic::{Code, Diagnostic, Severity},
    source::Pointer,
    tree::Tree,
};

/// What came of a step's operation.
#[derive(Debug, Default)]
pub(super) struct Operated {
    pub(super) inputs: Vec<PlannedInput>,
    pub(super) warnings: u32,
}

impl Fitter<'_, '_> {
    /// Compiles and checks what goes beside the inputs; `edges` takes what each template mentions.
    pub(super) fn operation(&self, found: Option<&Found>, mut edges: impl FnMut(&Pointer, Reads)) -> Operated {
        let mut operated = Operated::default();
        let mut asked = Asked::default();
        let step = self.step;
        let text = |text: &Option<String>| text.clone().map(Value::String);
        let map = |map: &Option<Map<_, _>>| map.clone().map(Value::Object);
        let parts = [
            ("mode", text(&step.mode), Spot::Mode),
            ("scope", text(&step.scope), Spot::Scope),
            ("params", map(&step.params), Spot::Params),
            ("options", map(&step.options), Spot::Options),
        ];
        let takes = found.is_none_or(|found| found.takes.operation);
        for (name, value, spot) in parts {
            let Some(value) = value else { continue };
            let pointer = self.pointer.join(name);
            if let Some(found) = found.filter(|_| !takes) {
                let message =
                    format!("`{name}` is for models of AIMP, and `{}` is none of its providers", found.provider);
                let diagnostic =
                    Diagnostic::error(Code::KeyOfOtherVerb, message).help("write the values under `inputs`");
                let at = self.site.at(diagnostic, &At::Key(&pointer), "does not belong here");
                self.site.tell(self.in_step(at));
            }
            let (input, wrong) = self.compiled(name, &value, &pointer, spot, found, &mut edges);
            let wrong = wrong || takes && self.is_never_text(spot, &input.tree, &pointer);
            let part = if wrong { Part::Unknown } else { self.part(&input.tree) };
            match spot {
                Spot::Mode => asked.mode = part,
                Spot::Scope => asked.scope = part,
                Spot::Params => asked.params = part,
                _ => asked.options = part,
            }
            operated.inputs.push(input);
        }
        if let Some(found) = found.filter(|found| found.takes.operation) {
            let checker = found.read.then_some(&*found.checker);
            for violation in violations(&asked, checker) {
                operated.warnings += u32::from(violation.severity == Severity::Warning);
                self.beside(violation);
            }
            let params = checker.and_then(|checker| self.of_operation(checker)).and_then(Checker::params);
            operated.warnings += params.map_or(0, |params| self.params(params, &operated.inputs));
        }
        operated
    }

    /// Tells of a `mode` or `scope` that is never text, and says whether it did.
    fn is_never_text(&self, spot: Spot, tree: &Tree, pointer: &Pointer) -> bool {
        let code = match spot {
            Spot::Mode => Code::UnknownMode,
            Spot::Scope => Code::BadScope,
            _ => return false,
        };
        let misfits = |member: &Type| match member {
            Type::Any | Type::Null | Type::Text | Type::Media(_) | Type::Either(_) => false,
            Type::Options(values) => !values.iter().any(Value::is_string),
            Type::Boolean | Type::Integer | Type::Number | Type::List(_) | Type::Map(_) | Type::Partly(_) => true,
        };
        // What is known is rendered, which says more exactly what is wrong.
        !self.is_known(tree) && self.never(&format!("`{}` must be text", spot.name()), |_| code, tree, pointer, misfits)
    }

    /// Checks each of the `params` where not all of them are known: what is known of it, and returns how many warnings there were.
    fn params(&self, checker: &Checker, operated: &[PlannedInput]) -> u32 {
        let Some(input) = operated.iter().find(|input| input.port == "params") else { return 0 };
        match &input.tree {
            tree if self.is_known(tree) => 0,
            Tree::Map(params) => {
                let contract = checker.contract();
                let named = params.iter().filter_map(|(key, value)| Some((key, contract.port(key)?, value)));
                named.map(|(key, port, value)| self.value(checker, port, value, &input.pointer.join(key))).sum()
            }
            _ => 0,
        }
    }

    /// Returns what checks the inputs of the step's operation; none where it is not known which that is.
    pub(super) fn of_operation<'c>(&self, checker: &'c Checker) -> Option<&'c Checker> {
        let Some(mode) = &self.step.mode else { return checker.for_mode(None).ok() };
        let (tree, errors) = Tree::compile(&Value::String(mode.clone()), &self.pointer.join("mode"));
        if !errors.is_empty() || !self.is_known(&tree) {
            return checker.modes().next().is_none().then_some(checker);
        }
        match tree.render(self.scope) {
            Ok(Value::String(mode)) => checker.for_mode(Some(&mode)).ok(),
            Ok(Value::Null) => checker.for_mode(None).ok(),
            _ => None,
        }
    }

    /// Returns which kind of medium an input takes, if it takes media.
    pub(super) fn medium_of(&self, found: &Found, input: &str) -> Option<ValueKind> {
        let contract = self.of_operation(&found.checker).unwrap_or(&found.checker).contract();
        let port = contract.resolve(input).ok()?;
        Some(contract.ports[port].kind).filter(|kind| kind.is_media())
    }

    /// Returns what is known of a value.
    fn part(&self, tree: &Tree) -> Part {
        if self.is_known(tree) {
            return tree.render(self.scope).map_or(Part::Unknown, Part::Known);
        }
        match tree {
            Tree::Map(map) => Part::Keys(map.keys().cloned().collect()),
            _ => Part::Unknown,
        }
    }

    /// Tells what is wrong beside the inputs, at the smallest place of it that is written.
    fn beside(&self, Violation { code, at, severity, message, help, .. }: Violation) {
        let mut place = at.iter().fold(self.pointer.clone(), |place, part| place.join(part));
        while self.site.document.map.get(&place).is_none() {
            let Some(parent) = place.parent() else { break };
            place = parent;
        }
        let diagnostic = Diagnostic { severity, ..Diagnostic::error(code, message) };
        let at = if place == *self.pointer { At::Key(&place) } else { At::Value(&place) };
        let told = self.site.at(diagnostic, &at, "");
        let told = if place == *self.pointer { told } else { self.in_step(told) };
        self.site.tell(helped(told, help));
    }
}
