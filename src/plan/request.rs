//! The request of a step with `http`: its parts are the inputs of a job, each templated, checked as far as it is known.

use serde_json::{Map, Value};

use super::{
    PlannedInput,
    fit::Fitter,
    references::{Reads, Spot, may_hold_result},
    site::At,
    targets::Found,
    types::Type,
};
use crate::{
    diagnostic::{Code, Diagnostic},
    source::Pointer,
    tree::Tree,
};

impl<'a> Fitter<'_, 'a> {
    /// Compiles the parts of a request and checks its URL; `edges` takes what each template mentions.
    pub(super) fn request(
        &self,
        parts: &'a Map<String, Value>,
        found: Option<&Found>,
        mut edges: impl FnMut(&Pointer, Reads),
    ) -> Vec<PlannedInput> {
        let top = self.pointer.join("http");
        let mut inputs = Vec::with_capacity(parts.len());
        for (part, value) in parts.iter().filter(|(part, _)| !part.starts_with("x-")) {
            let (input, wrong) = self.compiled(part, value, &top.join(part), Spot::Http, found, &mut edges);
            match (part.as_str(), &input.tree) {
                _ if wrong => {}
                ("url", tree) if self.is_known(tree) => self.url(tree, &input.pointer, found),
                ("url", tree) => self.never_text("`url`", Code::RequestUrl, tree, &input.pointer),
                ("headers", Tree::Map(headers)) => {
                    for (name, tree) in headers {
                        self.never_text(
                            &format!("the header `{name}`"),
                            Code::InputType,
                            tree,
                            &input.pointer.join(name),
                        );
                    }
                }
                _ => {}
            }
            inputs.push(input);
        }
        inputs
    }

    /// Tells of a list or a map where text is wanted.
    fn never_text(&self, what: &str, code: Code, tree: &Tree, pointer: &Pointer) {
        let misfits = |one: &Type| matches!(one, Type::List(_) | Type::Map(_) | Type::Partly(_));
        self.never(&format!("{what} must be text"), |_| code, tree, pointer, misfits);
    }

    /// Compiles one value and checks its key and its references. Says whether something is wrong with it.
    pub(super) fn compiled(
        &self,
        name: &str,
        value: &Value,
        pointer: &Pointer,
        spot: Spot,
        found: Option<&Found>,
        edges: &mut impl FnMut(&Pointer, Reads),
    ) -> (PlannedInput, bool) {
        let (tree, errors) = Tree::compile_entry(name, value, pointer);
        let mut wrong = !errors.is_empty();
        for (place, error) in &errors {
            self.site.tell_template(place, error);
        }
        for (place, template) in tree.templates() {
            let reads = self.names.check(self.site, template, place, spot, Some(self.step));
            wrong |= reads.wrong;
            edges(place, reads);
            if matches!(spot, Spot::Inputs | Spot::Params | Spot::Nested) {
                let medium = found.filter(|_| spot == Spot::Inputs).and_then(|found| self.medium_of(found, name));
                wrong |= !self.can_hand_over(template, place, found, medium);
            }
        }
        let secret = tree.references().any(|(_, reference)| self.names.is_secret(self.site, reference));
        let of_results = tree.references().any(|(_, reference)| may_hold_result(reference, self.step));
        (PlannedInput { port: name.to_owned(), tree, pointer: pointer.clone(), secret, of_results }, wrong)
    }

    /// Says whether everything that a value reads is known before the run.
    pub(super) fn is_known(&self, tree: &Tree) -> bool {
        tree.references().all(|(_, reference)| self.names.is_known(reference))
    }

    /// Refuses a URL that no request can go to.
    fn url(&self, tree: &Tree, pointer: &Pointer, found: Option<&Found>) {
        let url = match tree.render(self.scope) {
            Ok(Value::String(url)) => url,
            Ok(_) => return,
            Err((place, error)) => return self.site.tell_template(&place, &error),
        };
        let shown = url.split(['?', '#']).next().unwrap_or_default();
        let names_provider = self.step.provider.is_some();
        let base = found.and_then(|found| found.takes.base_url.as_deref());
        let (message, help) = match origin(&url) {
            None if names_provider && !url.contains("://") => return,
            None => {
                let help = if names_provider {
                    "write a path of the API, or a URL on its host"
                } else {
                    "write a whole URL; a path of an API needs `provider`"
                };
                (format!("`{shown}` is not an http or https URL"), help)
            }
            Some(ref own) if names_provider && base.is_some_and(|base| origin(base).as_ref() != Some(own)) => {
                let help = "a provider's key goes to its own host only: leave `provider` out, or write a path";
                (format!("`{shown}` is on another host than the provider's API"), help)
            }
            Some(_) => return,
        };
        let diagnostic = Diagnostic::error(Code::RequestUrl, message).help(help);
        self.site.tell(self.in_step(self.site.at(diagnostic, &At::Value(pointer), "")));
    }
}

/// Returns scheme and host of an http or https URL, in lower case.
fn origin(url: &str) -> Option<(String, String)> {
    let (scheme, rest) = url.trim().split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let host = rest.split(['/', '?', '#']).next().filter(|host| !host.is_empty())?;
    let host = host.to_ascii_lowercase();
    let port = if scheme == "https" { ":443" } else { ":80" };
    let host = host.strip_suffix(port).unwrap_or(&host).to_owned();
    ["http", "https"].contains(&scheme.as_str()).then_some((scheme, host))
}
