//! `dagwood schema --for WORKFLOW`: the schema of the language, narrowed to the targets that the project's accounts have, so that an editor
//! completes their names, their inputs and the values that these take.
//!
//! ```text
//! language's schema ─┬─ each verb: the ids and names that there are
//!                    └─ each target: if a step names it, then its `inputs` (and `mode`) are these
//! ```
//!
//! What cannot be known is left as it was: a kind that an API does not list, or an account that could not be asked.

use serde_json::{Map, Value, json};

use super::{
    context::Context,
    contracts,
    failure::Failure,
    home::Home,
    open::Backend,
    reading,
    remotes::{Door, Remotes},
    wants::Wants,
};
use crate::{
    contract::{Catalog, Checker, Contract, Mode, editor_schema, lock},
    job::TargetKind,
    plan::Offer,
    provider::Wanted,
    spec::schema::workflow_schema,
};

/// The kinds of targets that verbs name.
const KINDS: [TargetKind; 4] = [TargetKind::Model, TargetKind::App, TargetKind::Agent, TargetKind::Pipeline];

/// Returns the schema for the project of a workflow.
pub(crate) fn schema(context: &Context, workflow: &str, sandbox: bool, locked: bool) -> Result<Value, Failure> {
    let located = context.locate(workflow)?;
    let home = &located.home;
    let backend = Backend::open(context, home, sandbox, None)?;
    let remotes = backend.remotes(context, home, Vec::new());
    // It may be wrong: somebody is just writing it.
    let document = reading::load(&located.path)?.document;
    let offers = remotes.offers(document.as_deref());
    let offers = if locked {
        from_lock(home, offers)?
    } else {
        let wants = document.as_deref().map(|document| Wants::of(document, &offers)).unwrap_or_default();
        read(context, home, &backend, &remotes, &wants, offers)?
    };
    Ok(narrowed(workflow_schema(), &offers))
}

/// Takes the contracts of the lock file.
fn from_lock(home: &Home, mut offers: Vec<Offer>) -> Result<Vec<Offer>, Failure> {
    let mut locked = lock::catalogs(home.locked()?.unwrap_or_default());
    for offer in &mut offers {
        let mut catalog = locked.remove(&offer.alias).unwrap_or_default();
        contracts::supply(home, &offer.alias, &mut catalog)?;
        offer.catalog = Some(catalog);
    }
    Ok(offers)
}

/// Reads all that the configured accounts list, and, whole, what the workflow names: lists may say less.
fn read(
    context: &Context,
    home: &Home,
    backend: &Backend,
    remotes: &Remotes,
    wants: &Wants,
    mut offers: Vec<Offer>,
) -> Result<Vec<Offer>, Failure> {
    let doors: Vec<_> = remotes.doors().iter().filter(|door| remotes.is_configured(door)).collect();
    let reads = doors.iter().map(|door| list(remotes, door, wants));
    let read = backend.block_on(futures_util::future::join_all(reads));
    let mut failures = Vec::new();
    for (door, found) in doors.iter().zip(read) {
        match found {
            Ok(mut catalog) => {
                contracts::supply(home, &door.alias, &mut catalog)?;
                offers
                    .iter_mut()
                    .filter(|offer| offer.alias == door.alias)
                    .for_each(|offer| offer.catalog = Some(catalog.clone()));
            }
            Err(failure) => failures.push(failure),
        }
    }
    let any = offers.iter().any(|offer| offer.catalog.is_some());
    match failures.first() {
        Some(failure) if !any => return Err(failure.clone()),
        None if !any => {
            // Nobody is configured: say so as other commands do.
            remotes.chosen(None, |_| true)?;
        }
        _ => {}
    }
    for failure in &failures {
        context.printer.note(&format!("note: {}; what it has is not in the schema", reading::sentence(failure)));
    }
    Ok(offers)
}

async fn list(remotes: &Remotes, door: &Door, wants: &Wants) -> Result<Catalog, Failure> {
    let remote = remotes.remote(door)?;
    let kinds: Vec<_> =
        door.account.kind().targets().iter().copied().filter(|kind| *kind != TargetKind::Pipeline).collect();
    let listed = remote.catalog(&Wanted::Kinds(kinds)).await?;
    let named = wants.by_alias().find(|(alias, _)| *alias == door.alias).map(|(_, wanted)| wanted);
    let named = match named {
        Some(wanted) => remote.catalog(&wanted).await?,
        None => Catalog::default(),
    };
    // The later of two contracts of one target is the one that stays.
    Ok(Catalog::new(listed.iter().chain(named.iter()).cloned()))
}

/// Narrows the schema of the language.
fn narrowed(mut schema: Value, offers: &[Offer]) -> Value {
    let (mut conditions, mut of_fallback, mut verbs) = (Vec::new(), Vec::new(), Vec::new());
    for kind in KINDS {
        let able: Vec<_> = offers.iter().filter(|offer| offer.kinds.contains(&kind)).collect();
        let known: Vec<_> = able
            .iter()
            .filter_map(|offer| Some((offer.alias.as_str(), offer.catalog.as_ref()?)))
            .flat_map(|(alias, catalog)| catalog.of_kind(kind).map(move |contract| (alias, contract, catalog)))
            .collect();
        let unread = |offer: &&&Offer| {
            offer.configured && offer.catalog.as_ref().is_none_or(|catalog| catalog.is_unlisted(kind))
        };
        let whole = able.iter().filter(unread).count() == 0;
        let mut values = Vec::new();
        for (alias, contract, catalog) in &known {
            let names = names(contract, catalog);
            values.extend(names.iter().map(|name| value(name, alias, contract)));
            let rivals = known.iter().any(|(other, rival, _)| {
                other != alias && (rival.target.id == contract.target.id || names.contains(&rival.name.as_str()))
            });
            let whose = rivals.then_some(*alias);
            conditions.push(condition(kind, &names, whose, &step(contract)));
            // The mode of a fallback is that of its step, and so are its inputs where it has none.
            if contract.modes.is_empty() {
                let inputs = json!({"properties": {"inputs": editor_schema(contract)}});
                of_fallback.push(condition(kind, &names, whose, &inputs));
            }
        }
        if values.is_empty() {
            continue;
        }
        if !whole {
            values.push(json!({"type": "string", "minLength": 1}));
        }
        verbs.push((kind.verb(), values));
    }
    let aliases: Vec<_> = offers.iter().map(|offer| offer.alias.as_str()).collect();
    schema["properties"]["defaults"]["properties"]["provider"]["enum"] = json!(aliases);
    for (place, conditions) in [("/$defs/step", conditions), ("/$defs/step/properties/fallback/items", of_fallback)] {
        let part = schema.pointer_mut(place).expect("the schema has steps, and they have fallbacks");
        for (verb, values) in &verbs {
            let description = part["properties"][*verb]["description"].take();
            part["properties"][*verb] = json!({"description": description, "anyOf": values});
        }
        part["properties"]["provider"]["enum"] = json!(aliases);
        if !conditions.is_empty() {
            part["allOf"] = Value::Array(conditions);
        }
    }
    schema
}

/// Returns the names that mean a target: its id, and a name that no other has.
fn names<'a>(contract: &'a Contract, catalog: &Catalog) -> Vec<&'a str> {
    let Contract { target, name, .. } = contract;
    let mut names = vec![target.id.as_str()];
    let by_name = catalog.find(target.kind, name);
    if *name != target.id && matches!(by_name.as_slice(), [only] if only.target == *target) {
        // An app is called by its name where that is one.
        names.insert(0, name);
    }
    names
}

fn value(name: &str, alias: &str, contract: &Contract) -> Value {
    let mut words = vec![format!("{} of {alias}", contract.target.kind)];
    if contract.name != name {
        words.push(contract.name.clone());
    } else if contract.target.id != name {
        words.push(contract.target.id.clone());
    }
    words.extend(contract.cost.map(|cost| format!("{cost} credits")));
    words.extend(contract.description.clone());
    json!({"const": name, "description": words.join("; ")})
}

/// Returns what holds of a step, or of a fallback, that names a target.
fn condition(kind: TargetKind, names: &[&str], alias: Option<&str>, then: &Value) -> Value {
    let mut known = Map::new();
    known.insert(kind.verb().to_owned(), json!({"enum": names}));
    let mut required = vec![kind.verb()];
    if let Some(alias) = alias {
        known.insert("provider".to_owned(), json!({"const": alias}));
        required.push("provider");
    }
    json!({"if": {"properties": known, "required": required}, "then": then})
}

/// Returns what a step of a target may hold.
fn step(contract: &Contract) -> Value {
    if contract.modes.is_empty() {
        return with_inputs(contract);
    }
    let checker = Checker::new(contract.clone());
    let template = json!({"pattern": "\\{\\{"});
    let named = contract.modes.iter().filter(|mode| !mode.name.is_empty());
    let of_mode = |mode: &Mode| {
        let of = checker.for_mode(Some(&mode.name)).map_or(contract, Checker::contract);
        let is = json!({"properties": {"mode": {"const": mode.name}}, "required": ["mode"]});
        // Without `mode` the default one is run.
        let is = if mode.name == Mode::DEFAULT { json!({"anyOf": [is, {"not": {"required": ["mode"]}}]}) } else { is };
        let mut then = with_inputs(of);
        if mode.needs_scope == Some(true) {
            then["required"] = match then["required"].take() {
                Value::Array(mut required) => {
                    required.push(json!("scope"));
                    Value::Array(required)
                }
                _ => json!(["scope"]),
            };
        }
        json!({"if": is, "then": then})
    };
    let conditions: Vec<_> = named.clone().map(of_mode).collect();
    let mut step = json!({"allOf": conditions});
    // One without a name stands for all others.
    if contract.modes.iter().all(|mode| !mode.name.is_empty()) {
        let names: Vec<_> = named.map(|mode| mode.name.as_str()).collect();
        step["properties"] = json!({"mode": {"anyOf": [{"enum": names}, template]}});
    }
    step
}

fn with_inputs(contract: &Contract) -> Value {
    let mut step = json!({"properties": {"inputs": editor_schema(contract)}});
    if contract.ports.iter().any(|port| port.required) {
        step["required"] = json!(["inputs"]);
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contract::{Port, ValueKind},
        job::Target,
    };

    fn contract(kind: TargetKind, id: &str, name: &str) -> Contract {
        let target = Target { kind, id: id.to_owned() };
        let port =
            Port { required: true, options: vec!["1:1".into(), "16:9".into()], ..Port::new("aspect", ValueKind::Text) };
        Contract { ports: vec![port], open: false, unchecked: false, ..Contract::unchecked(target, name) }
    }

    fn fits(offers: &[Offer], step: &Value) -> bool {
        // An editor's reader of schemas, whose patterns may look ahead.
        let schema = jsonschema::validator_for(&narrowed(workflow_schema(), offers)).expect("a schema");
        schema.is_valid(&json!({"steps": {"a": step}}))
    }

    #[test]
    fn only_what_is_there_can_be_named_and_its_inputs_are_known() {
        let catalog = Catalog::new([contract(TargetKind::App, "app_1", "Render")]);
        let offers = [Offer { catalog: Some(catalog), ..Offer::new("armox", &[TargetKind::Model, TargetKind::App]) }];
        for name in ["Render", "app_1"] {
            assert!(fits(&offers, &json!({"app": name, "inputs": {"aspect": "1:1"}})), "{name}");
            assert!(fits(&offers, &json!({"app": name, "inputs": {"aspect": "{{ inputs.a }}"}})), "{name}");
            assert!(!fits(&offers, &json!({"app": name, "inputs": {"aspect": "2:1"}})), "{name}");
            assert!(!fits(&offers, &json!({"app": name, "inputs": {"aspct": "1:1"}})), "{name}");
            assert!(!fits(&offers, &json!({"app": name})), "{name}");
        }
        assert!(!fits(&offers, &json!({"app": "Rendr", "inputs": {}})));
        // The control: no model is known, so none is refused.
        assert!(fits(&offers, &json!({"model": "x/y"})));
        assert!(!fits(&offers, &json!({"model": "x/y", "provider": "armx"})));
    }

    #[test]
    fn a_fallback_is_narrowed_as_its_step_is() {
        let catalog = Catalog::new([contract(TargetKind::App, "app_1", "Render")]);
        let offers = [Offer { catalog: Some(catalog), ..Offer::new("armox", &[TargetKind::App]) }];
        let with = |fallback: Value| json!({"app": "Render", "inputs": {"aspect": "1:1"}, "fallback": [fallback]});
        assert!(fits(&offers, &with(json!({"app": "app_1", "provider": "armox", "inputs": {"aspect": "16:9"}}))));
        // Its inputs are those of its step.
        assert!(fits(&offers, &with(json!({"app": "app_1"}))));
        for wrong in [
            json!({"app": "Rendr"}),
            json!({"app": "Render", "inputs": {"aspect": "2:1"}}),
            json!({"app": "Render", "inputs": {"aspct": "1:1"}}),
            json!({"app": "Render", "provider": "armx"}),
        ] {
            assert!(!fits(&offers, &with(wrong.clone())), "{wrong}");
        }
    }

    #[test]
    fn an_account_that_was_not_read_leaves_its_kinds_open() {
        let catalog = Catalog::new([contract(TargetKind::Model, "x/y", "Y")]);
        let offers = [
            Offer { catalog: Some(catalog), ..Offer::new("armox", &[TargetKind::Model]) },
            Offer::new("aimp", &[TargetKind::Model]),
        ];
        assert!(fits(&offers, &json!({"model": "demo"})));
        assert!(!fits(&offers, &json!({"model": "x/y", "inputs": {"aspect": "2:1"}})));
    }

    #[test]
    fn modes_have_inputs_of_their_own() {
        let mode = |name: &str, key: &str| Mode {
            name: name.to_owned(),
            schema: Some(
                json!({"properties": {key: {"type": "string"}}, "required": [key], "additionalProperties": false}),
            ),
            params: None,
            needs_scope: (name == "search").then_some(true),
        };
        let target = Target { kind: TargetKind::Model, id: "m".to_owned() };
        let (contract, _) =
            Contract::unchecked(target, "M").with_modes(vec![mode("execute", "text"), mode("search", "query")]);
        let offers = [Offer { catalog: Some(Catalog::new([contract])), ..Offer::new("aimp", &[TargetKind::Model]) }];
        assert!(fits(&offers, &json!({"model": "m", "inputs": {"text": "a"}})));
        assert!(!fits(&offers, &json!({"model": "m", "inputs": {"query": "a"}})));
        assert!(fits(&offers, &json!({"model": "m", "mode": "search", "scope": "s", "inputs": {"query": "a"}})));
        assert!(!fits(&offers, &json!({"model": "m", "mode": "search", "inputs": {"query": "a"}})));
        assert!(!fits(&offers, &json!({"model": "m", "mode": "serch", "inputs": {}})));
        assert!(fits(&offers, &json!({"model": "m", "mode": "{{ inputs.mode }}", "inputs": {}})));
    }
}
