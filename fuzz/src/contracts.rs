//! Contracts: what an API says of its targets, a JSON Schema that a person wrote, and a lock file.
//!
//! As JSON, an input is an answer of each of the catalogues, and a schema with a value for it (`{"schema": …, "value": …}`). As text, it is
//! a lock file. Whatever was read can be checked with, shown, and written to a lock that reads back.

use std::sync::Arc;

use dagwood::{
    contract::{
        Catalog, Checker, Contract, drift, editor_schema,
        lock::{self, Locked},
        scaffold,
        schema::Schema,
    },
    job::TargetKind,
    provider::{aimp, airmy, armox},
    source::Source,
};
use serde_json::{Map, Value, json};

use super::reader::tell;

/// The most contracts of one input that are looked at closely: they are all alike.
const MOST: usize = 20;

/// Reads contracts.
pub fn run(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match lock::read(&Arc::new(Source::new("dagwood.lock", text))) {
        Ok(locked) => locked.iter().take(MOST).for_each(|locked| use_contract(&locked.contract)),
        Err(diagnostic) => tell(&[*diagnostic]),
    }
    let Ok(answer) = serde_json::from_str::<Value>(text) else { return };
    let of_armox =
        [TargetKind::Model, TargetKind::App].map(|kind| armox::contracts_in(kind, &answer).unwrap_or_default());
    let found = [of_armox.concat(), airmy::contracts_in(&answer), aimp::contracts_in(&answer)];
    for contracts in found {
        keep(&contracts);
        contracts.iter().take(MOST).for_each(use_contract);
    }
    let (schema, value) = (answer.get("schema").unwrap_or(&answer), answer.get("value").unwrap_or(&answer));
    if let Ok(compiled) = Schema::compile(schema) {
        let complaints = compiled.complaints(value);
        assert_eq!(compiled.fits(value), complaints.is_empty(), "{schema} of {value}: {complaints:?}");
    }
}

/// Writes contracts to a lock file, which must read back.
fn keep(contracts: &[Contract]) {
    let locked = |contract: &Contract| Locked { provider: "api".to_owned(), contract: contract.clone() };
    let written = lock::write(contracts.iter().map(locked).collect());
    let read = lock::read(&Arc::new(Source::new("dagwood.lock", written.as_str())));
    let read = read.unwrap_or_else(|diagnostic| panic!("{written}\n{diagnostic:?}"));
    assert_eq!(lock::write(read.clone()), written);
    let catalog = Catalog::new(read.into_iter().map(|locked| locked.contract));
    for contract in catalog.iter() {
        let found = catalog.find(contract.target.kind, &contract.target.id);
        assert_eq!(found, [contract]);
    }
}

/// Checks inputs by a contract, and writes what is written from one.
fn use_contract(contract: &Contract) {
    let (inputs, params) = (examples(contract), Map::from_iter([("top_k".to_owned(), json!(3))]));
    let checker = Checker::new(contract.clone());
    let modes: Vec<Option<&str>> = checker.modes().map(Some).take(MOST).chain([None, Some("complete")]).collect();
    for mode in modes {
        let Ok(checker) = checker.for_mode(mode) else { continue };
        let _ = checker.prepare(inputs.clone());
        let map: Map<String, Value> = inputs.iter().cloned().collect();
        let _ = (checker.together(&map), checker.warnings(&map), checker.check_params(&params));
        let _ = checker.unknown("prompt");
        for port in checker.contract().ports.iter().take(MOST) {
            for value in [json!(null), json!("a"), json!(1.5), json!(["a"]), json!({"a": 1})] {
                let _ = (checker.check(port, &value), checker.check_item(port, &value));
            }
        }
    }
    let _ = (scaffold("api", contract), editor_schema(contract), contract.digest());
    assert_eq!(drift::drift(contract, contract), [], "a contract differs from itself");
}

/// Returns a value for some ports, good or bad.
fn examples(contract: &Contract) -> Vec<(String, Value)> {
    let values =
        [json!("a"), json!(3), json!(["https://example.com/a.png"]), json!(null), json!(true), json!({"a": [1]})];
    let ports = contract.ports.iter().take(MOST).map(|port| port.id.clone());
    ports.chain(["other".to_owned()]).zip(values.into_iter().cycle()).collect()
}
