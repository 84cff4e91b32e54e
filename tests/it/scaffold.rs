//! Scaffolds: whatever the contract, the workflow that is written of it can be read, planned and run with its required inputs.

use std::sync::Arc;

use dagwood::{
    contract::{Catalog, Contract, Mode, Port, ValueKind, editor_schema, scaffold},
    job::{Target, TargetKind},
    plan::{Given, Offer, plan},
    source::Source,
    spec,
    template::mentions,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::plan_schema::sandbox_offers;

/// Plans a scaffold with the inputs that it requires, and says what is wrong with it.
fn problems(contract: &Contract) -> Vec<String> {
    let text = scaffold("own", contract);
    let (document, found) = spec::load(Arc::new(Source::new("scaffold.yaml", text.as_str())), "scaffold");
    let mut wrong: Vec<_> = found.iter().map(|found| format!("{}: {}\n{text}", found.code, found.message)).collect();
    let Some(document) = document.map(Arc::new) else { return wrong };
    let example = |input: &spec::Input| match input.schema.get("enum").and_then(Value::as_array) {
        Some(options) => options[0].clone(),
        None if input.file => json!("https://example.com/a.png"),
        None => match input.schema.get("type").and_then(Value::as_str) {
            Some("string") => json!("abc"),
            Some("integer" | "number") => input.schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
            Some("boolean") => json!(true),
            Some("array") => json!([]),
            _ => json!({}),
        },
    };
    let required = document.workflow.inputs.iter().filter(|(_, input)| input.is_required());
    let inputs: Map<String, Value> = required.map(|(name, input)| (name.clone(), example(input))).collect();
    let offer = Offer {
        catalog: Some(Catalog::new([contract.clone()])),
        takes_operation: true,
        ..Offer::new("own", &[contract.target.kind])
    };
    for given in [None, Some(Given { inputs, ..Given::default() })] {
        let outcome = plan(&document, given.as_ref(), std::slice::from_ref(&offer));
        wrong.extend(outcome.diagnostics.iter().map(|found| format!("{}: {}\n{text}", found.code, found.message)));
    }
    // An editor that knows the contract is content with it, too.
    let schema = jsonschema::validator_for(&editor_schema(contract)).expect("a schema");
    let (_, step) = document.workflow.steps.first().expect("a step");
    let inputs = Value::Object(step.inputs.clone().into_iter().collect());
    if contract.modes.is_empty() {
        wrong.extend(schema.iter_errors(&inputs).map(|error| format!("editor: {error}\n{text}")));
    }
    wrong
}

fn target(kind: TargetKind) -> Target {
    Target { kind, id: "t-1".to_owned() }
}

#[test]
fn everything_in_the_emulator_can_be_started_from() {
    let offers = sandbox_offers();
    let contracts = offers.iter().filter_map(|offer| offer.catalog.as_ref()).flat_map(Catalog::iter);
    let mut checked = 0;
    for contract in contracts {
        assert_eq!(problems(contract), [] as [&str; 0]);
        checked += 1;
    }
    assert!(checked > 4, "{checked}");
}

#[test]
fn published_schemas_can_be_started_from() {
    let schema = json!({
        "required": ["query", "files", "size"],
        "additionalProperties": false,
        "properties": {
            "query": {"type": "string", "description": "What: to \"write\" # of\nit", "default": "{{ no template }}"},
            "files": {"type": "array", "items": {"type": "string", "contentMediaType": "image/png"}},
            "size": {"type": "object", "properties": {"width": {"type": "integer"}}},
            "Größe": {"type": "integer", "minimum": 2, "default": 1},
            "steps": {"enum": [1, "two", true]},
            "yes": {"type": "boolean", "default": false},
            "tags": {"type": "array", "items": {"enum": ["a: b", "true", "~"]}, "default": ["~"]},
        },
    });
    for kind in [TargetKind::Model, TargetKind::App, TargetKind::Agent, TargetKind::Pipeline] {
        let (contract, why) = Contract::of_schema(target(kind), "1: a # name", schema.clone());
        assert_eq!(why, None);
        let plain = Contract::unchecked(target(kind), "");
        for contract in [contract, plain] {
            assert_eq!(problems(&contract), [] as [&str; 0]);
        }
    }
}

#[test]
fn operations_can_be_started_from() {
    let mode = |name: &str, needs_scope| Mode {
        name: name.to_owned(),
        schema: Some(json!({"required": ["text"], "properties": {"text": {"type": "string"}}})),
        params: Some(json!({"required": ["k"], "properties": {"k": {"type": "integer"}, "text": {"type": "string"}}})),
        needs_scope,
    };
    for modes in [vec![mode("execute", Some(false))], vec![mode("search", Some(true)), mode("index", None)]] {
        let (contract, told) = Contract::unchecked(target(TargetKind::Model), "m").with_modes(modes);
        assert_eq!(told, [] as [&str; 0]);
        assert_eq!(problems(&contract), [] as [&str; 0]);
    }
}

fn ports() -> impl Strategy<Value = Vec<Port>> {
    let kinds = prop::sample::select(vec![
        ValueKind::Text,
        ValueKind::Number,
        ValueKind::Integer,
        ValueKind::Boolean,
        ValueKind::Image,
        ValueKind::Model3d,
        ValueKind::Scalar,
        ValueKind::Any,
    ]);
    let default = prop_oneof![
        Just(None),
        Just(Some(json!(3))),
        Just(Some(json!("a"))),
        Just(Some(json!(["a"]))),
        Just(Some(json!(null))),
        Just(Some(json!(false))),
    ];
    let options = prop_oneof![3 => Just(Vec::new()), 1 => Just(vec![json!("a"), json!("1:1"), json!("yes")]), 1 => Just(vec![json!(3), json!("b")])];
    let port = ("[a-z]{1,3}|[ -~é\\n]{1,8}", ".{0,12}", any::<(bool, bool, bool)>(), kinds, options, default);
    let port = port.prop_map(|(id, label, (required, many, nullable), kind, options, default)| Port {
        label: Some(label).filter(|label| !label.is_empty()),
        required,
        many,
        nullable,
        // A URL is never one of a few words.
        options: if kind.is_media() { Vec::new() } else { options },
        default,
        minimum: Some(1.0).filter(|_| kind == ValueKind::Integer),
        ..Port::new(id, kind)
    });
    prop::collection::vec(port, 0..6).prop_map(|mut ports| {
        let mut seen = std::collections::HashSet::new();
        // What no workflow can name, nobody can start from.
        ports.retain(|port| seen.insert(port.id.clone()) && !mentions(&port.id));
        ports
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn any_contract_can_be_started_from(ports in ports(), open: bool, name in ".{0,12}") {
        let kind = if open { TargetKind::Model } else { TargetKind::App };
        let contract = Contract { open, unchecked: false, ports, ..Contract::unchecked(target(kind), name) };
        prop_assert_eq!(problems(&contract), Vec::<String>::new());
    }
}
