//! From AIRMY's agents to contracts. Pure functions.
//!
//! What an agent's input schema is called, and whether an agent has one, is not documented. So it is looked for in all likely
//! places; and what is no JSON Schema of an object that can be compiled is none, which leaves the agent unchecked rather than
//! wrongly refused.

use serde_json::Value;

use crate::{
    contract::Contract,
    job::{Target, TargetKind},
    provider::json::{id, present, text},
};

/// The names of lists of agents.
pub(super) const AGENT_LISTS: [&str; 3] = ["data", "items", "agents"];

/// Where an agent's input schema may be, the likeliest first.
const SCHEMAS: [&[&str]; 5] =
    [&["input_schema"], &["inputSchema"], &["schema", "input"], &["config", "input_schema"], &["parameters"]];

/// What a schema without `type` has if it is one of an object.
const TELLING: [&str; 8] =
    ["properties", "required", "additionalProperties", "patternProperties", "$ref", "allOf", "anyOf", "oneOf"];

/// Reads an agent; one without an id cannot be run and is left out, unless it is known whom was asked for.
pub(super) fn of_agent(value: &Value, asked: Option<&str>) -> Option<Contract> {
    let agent = ["agent", "data"].iter().filter_map(|key| value.get(*key)).find(|inner| inner.is_object());
    let agent = agent.filter(|_| value.get("id").is_none()).unwrap_or(value);
    let id = present(agent, &["id", "agent_id"]).and_then(id).or_else(|| asked.map(str::to_owned))?;
    let target = Target { kind: TargetKind::Agent, id: id.clone() };
    let name = text(agent, &["name"]).unwrap_or(id);
    let contract = schemas(agent)
        .map(|schema| Contract::of_schema(target.clone(), name.clone(), schema.clone()))
        .find_map(|(contract, problem)| problem.is_none().then_some(contract))
        .unwrap_or_else(|| Contract::unchecked(target.clone(), name.clone()));
    Some(Contract { description: text(agent, &["description"]), ..contract })
}

/// Returns what may be the schema of what an agent takes, the likeliest first.
fn schemas(agent: &Value) -> impl Iterator<Item = &Value> {
    let at = move |path: &[&str]| path.iter().try_fold(agent, |value, key| value.get(*key));
    SCHEMAS.iter().filter_map(move |path| at(path)).filter(|schema| tells_of_an_object(schema))
}

/// Says whether a value may be a schema that tells something of an object. `parameters`, say, may be the settings of a model.
fn tells_of_an_object(value: &Value) -> bool {
    let Some(map) = value.as_object() else { return false };
    match map.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        Some(_) => false,
        None => TELLING.iter().any(|key| map.contains_key(*key)) && map.get("properties").is_none_or(Value::is_object),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Row: agent object: the input schema's name and form.
    #[test]
    fn a_schema_is_found_in_every_likely_place() {
        let schema = json!({"type": "object", "required": ["query"], "properties": {"query": {"type": "string"}}});
        for (row, agent) in [
            ("input_schema", json!({"input_schema": schema})),
            ("inputSchema", json!({"input_schema": null, "inputSchema": schema})),
            ("schema.input", json!({"schema": {"input": schema, "output": {}}})),
            ("config.input_schema", json!({"config": {"input_schema": schema}})),
            ("parameters", json!({"parameters": schema})),
            ("the first that is one", json!({"input_schema": "see the page", "parameters": schema})),
        ] {
            let mut agent = agent;
            agent["id"] = json!("ag_1");
            let contract = of_agent(&agent, None).expect(row);
            assert_eq!((contract.schema.as_ref(), contract.unchecked), (Some(&schema), false), "{row}");
            assert_eq!((contract.ports[0].id.as_str(), contract.ports[0].required), ("query", true), "{row}");
        }
    }

    /// Same row: none, or no JSON Schema object: any object is accepted, and the contract says that it is unchecked.
    #[test]
    fn what_is_no_schema_of_an_object_checks_nothing() {
        for none in [
            json!(null),
            json!({}),
            json!([]),
            json!(true),
            json!("https://example.com/schema.json"),
            json!({"type": "string"}),
            json!({"temperature": 0.7}),
            json!({"query": {"type": "string"}}),
            json!({"properties": ["query"]}),
            json!({"type": "object", "properties": {"query": {"type": "strong"}}}),
            json!({"type": "object", "$ref": "https://example.com/schema.json"}),
        ] {
            let agent = json!({"id": "ag_1", "name": "Analyst", "input_schema": none, "parameters": none});
            let contract = of_agent(&agent, None).expect("an agent");
            assert!(contract.unchecked && contract.schema.is_none() && contract.open, "{none}");
        }
        let untyped = json!({"id": "ag_1", "input_schema": {"required": ["query"]}});
        assert!(!of_agent(&untyped, None).expect("an agent").unchecked);
    }

    #[test]
    fn agents_in_their_forms() {
        for (row, agent, asked, found) in [
            ("plain", json!({"id": "ag_1", "name": "Analyst"}), None, Some(("ag_1", "Analyst"))),
            ("no name", json!({"id": "ag_1", "name": null}), None, Some(("ag_1", "ag_1"))),
            ("agent_id", json!({"agent_id": "ag_1"}), None, Some(("ag_1", "ag_1"))),
            ("wrapped", json!({"agent": {"id": "ag_1", "name": "Analyst"}}), None, Some(("ag_1", "Analyst"))),
            ("wrapped in data", json!({"data": {"id": "ag_1", "name": "Analyst"}}), None, Some(("ag_1", "Analyst"))),
            ("a number", json!({"id": 7}), None, Some(("7", "7"))),
            ("no id", json!({"name": "Analyst"}), None, None),
            ("no id, but asked for", json!({"name": "Analyst"}), Some("ag_1"), Some(("ag_1", "Analyst"))),
        ] {
            let contract = of_agent(&agent, asked);
            let seen = contract.as_ref().map(|contract| (contract.target.id.as_str(), contract.name.as_str()));
            assert_eq!(seen, found, "{row}");
        }
    }
}
