//! The lock across runs: `concurrency.group` names it, and of the runs on one state that name the same, one goes on at a time
//! (LANGUAGE.md, section 1).
//!
//! The name is settled before the first step, so it reads inputs, vars and `run`, and nothing that a step gives. It is journalled and
//! shown to whoever waits, so it holds no secret.

use serde_json::Value;

use super::{
    references::{Names, Spot},
    site::{At, Site},
    types::Type,
};
use crate::{
    contract::schema::describe,
    diagnostic::{Code, Diagnostic},
    source::Pointer,
    spec::OnConflict,
    template::{Scope, TemplateError, TemplateErrorKind},
    tree::Tree,
};

/// What to write instead of what names no lock.
const HELP: &str =
    "write what tells the runs apart that may go on together, such as `\"poster-{{ inputs.customer }}\"`";

/// A lock across runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Its name.
    pub tree: Tree,
    /// Where that is written: `/concurrency/group`.
    pub pointer: Pointer,
    /// What a run does that finds it held.
    pub on_conflict: OnConflict,
}

impl Group {
    /// Returns the name; `scope` has `inputs`, `vars` and `run`. A number or a boolean is its text.
    ///
    /// # Errors
    /// What went wrong with the template, or that what it gives is no name: empty, null, a list or a map.
    pub fn name(&self, scope: &Scope) -> Result<String, (Pointer, TemplateError)> {
        let value = self.tree.render(scope)?;
        let what = match &value {
            Value::String(text) if text.trim().is_empty() => "an empty text",
            Value::String(text) => return Ok(text.trim().to_owned()),
            Value::Number(_) | Value::Bool(_) => return Ok(value.to_string()),
            other => describe(other),
        };
        let range = match &self.tree {
            Tree::Template { template, .. } => 0..template.text().len(),
            _ => 0..0,
        };
        let error = TemplateError::new(TemplateErrorKind::Failed, no_name(what), range).help(HELP);
        Err((self.pointer.clone(), error))
    }
}

fn no_name(what: &str) -> String {
    format!("`group` gives {what}, which names no lock")
}

/// Compiles the group and checks what it reads; what is all known is rendered, so that its failure is told before the run.
pub(super) fn group(site: &Site<'_>, names: &Names<'_>, scope: &Scope) -> Option<Group> {
    let concurrency = &site.document.workflow.concurrency;
    let text = concurrency.group.as_ref()?;
    let pointer = Pointer::from_iter(["concurrency", "group"]);
    let (tree, errors) = Tree::compile(&Value::String(text.clone()), &pointer);
    for (place, error) in &errors {
        site.tell_template(place, error);
    }
    let group = Group { tree, pointer, on_conflict: concurrency.on_conflict };
    if let Tree::Template { template, pointer } = &group.tree
        && !names.check(site, template, pointer, Spot::Group, None).wrong
    {
        let known = names.type_of_template(site, template);
        if template.references().iter().all(|reference| names.is_known(reference)) {
            if let Err((place, error)) = group.name(scope) {
                site.tell_template(&place, &error);
            }
        } else if matches!(known, Type::List(_) | Type::Map(_)) {
            let diagnostic = Diagnostic::error(Code::TemplateFailed, no_name(&known.describe())).help(HELP);
            site.tell(site.at(diagnostic, &At::Value(pointer), "not a text"));
        }
    }
    Some(group)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::{
        job::TargetKind,
        plan::{Given, Offer, plan},
        source::Source,
        spec,
        template::Root,
    };

    /// Plans a workflow with this concurrency and this input.
    fn group(concurrency: &str, team: Value) -> Result<Option<Group>, Vec<Code>> {
        let text = format!(
            "concurrency: {concurrency}\ninputs: {{ team: {{}} }}\nvars: {{ where: '{{{{ inputs.team or 0 }}}}-eu' }}\nsteps: {{ a: {{ set: {{ b: 1 }} }} }}\n"
        );
        let (document, told) = spec::load(Arc::new(Source::new("test.yaml", text)), "test");
        assert_eq!(told, []);
        let given = Given { inputs: [("team".to_owned(), team)].into_iter().collect(), ..Given::default() };
        let document = Arc::new(document.expect("a document"));
        let outcome = plan(&document, Some(&given), &[Offer::new("armox", &[TargetKind::Model])]);
        let codes = outcome.diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
        outcome.plan.map(|plan| plan.group).ok_or(codes)
    }

    fn scope(team: &Value) -> Scope {
        Scope::new()
            .with(Root::Inputs, &json!({ "team": team }))
            .with(Root::Vars, &json!({ "where": format!("{team}-eu") }))
            .with(Root::Run, &json!({ "id": "r1", "name": "test", "started_at": "2026-01-01T00:00:00Z" }))
    }

    #[test]
    fn a_group_is_named_by_inputs_vars_and_the_run() {
        for (text, team, name) in [
            ("posters", json!("x"), "posters"),
            ("'{{ inputs.team }}'", json!(" design "), "design"),
            ("'{{ inputs.team }}'", json!(7), "7"),
            ("'{{ run.name }}-{{ vars.where }}'", json!(7), "test-7-eu"),
        ] {
            let planned = group(&format!("{{ group: {text}, on_conflict: cancel_running }}"), team.clone());
            let planned = planned.expect("a plan").expect("a group");
            assert_eq!(planned.name(&scope(&team)), Ok(name.to_owned()), "{text}");
            assert_eq!(planned.on_conflict, OnConflict::CancelRunning);
            assert_eq!(planned.pointer.to_string(), "/concurrency/group");
        }
        assert_eq!(group("{ steps: 3 }", json!("x")), Ok(None));
        let queued = group("{ group: posters }", json!("x")).expect("a plan").expect("a group");
        assert_eq!(queued.on_conflict, OnConflict::Queue);
    }

    #[test]
    fn what_names_no_lock_is_told_before_the_run_where_it_can_be() {
        for team in [json!(""), json!(null), json!(["a"]), json!({ "a": 1 })] {
            assert_eq!(
                group("{ group: '{{ inputs.team }}' }", team.clone()),
                Err(vec![Code::TemplateFailed]),
                "{team}"
            );
        }
        // What reads `run` is rendered only then, and told at its place.
        let text = "{ group: '{{ run.name if inputs.team else inputs.team }}' }";
        let late = group(text, json!("")).expect("a plan").expect("a group");
        let (place, error) = late.name(&scope(&json!(""))).expect_err("no name");
        assert_eq!((place.to_string().as_str(), error.range), ("/concurrency/group", 0..text.len() - 13));
    }
}
