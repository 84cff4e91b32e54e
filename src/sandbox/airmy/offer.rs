//! What AIRMY's skin offers: agents and pipelines, those of `offer.yaml`, those of the user's own contracts, those that requests have made.

use std::sync::Arc;

use indexmap::IndexMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    super::catalog::{Access, Node, Product},
    work::Skill,
};
use crate::{
    contract::{Contract, ValueKind},
    job::{Target, TargetKind},
};

/// When the agents of the beginning were made, as in the documents' example.
const MADE: &str = "2026-01-10T09:00:00Z";

/// How long a run of an agent of the user's own takes, in seconds.
const SECONDS_OF_OWN: f64 = 0.3;

/// The id of the node that an agent's files come from.
const PICTURE: &str = "picture";

/// An agent.
#[derive(Clone, Debug)]
pub(super) struct Agent {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) description: Option<String>,
    /// The JSON Schema of its input, if it publishes one.
    pub(super) input_schema: Option<Value>,
    pub(super) skill: Skill,
    pub(super) seconds: f64,
    pub(super) access: Access,
    pub(super) created_at: Timestamp,
}

impl Agent {
    /// Returns the agent as a thing that can be run.
    pub(super) fn product(&self) -> Arc<Product> {
        let gives = if self.skill == Skill::Illustrate { ValueKind::Image } else { ValueKind::Text };
        product(TargetKind::Agent, &self.id, &self.name, gives, self.seconds)
    }

    /// Says whether its deployments fail their health check: where its name or description says that it is unhealthy.
    pub(super) fn is_unhealthy(&self) -> bool {
        let texts = [Some(&self.name), self.description.as_ref()];
        texts.into_iter().flatten().any(|text| text.to_lowercase().contains("unhealthy"))
    }
}

/// A pipeline: steps that each run an agent.
#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) steps: Vec<PipelineStep>,
    pub(super) created_at: Timestamp,
}

impl Pipeline {
    /// Returns the pipeline as a thing that can be run, taking so many seconds.
    pub(super) fn product(&self, seconds: f64) -> Arc<Product> {
        product(TargetKind::Pipeline, &self.id, &self.name, ValueKind::Text, seconds)
    }
}

/// A step of a pipeline, as the published export of one has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PipelineStep {
    pub(super) id: String,
    /// An agent's id or name.
    pub(super) agent: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) depends_on: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) condition: Option<String>,
    /// The name of what comes out, for conditions and later steps; without one, the step's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) output: Option<String>,
}

fn product(kind: TargetKind, id: &str, name: &str, gives: ValueKind, seconds: f64) -> Arc<Product> {
    Arc::new(Product {
        contract: Contract::unchecked(Target { kind, id: id.to_owned() }, name),
        cost: 0.0,
        nodes: vec![Node { id: PICTURE.to_owned(), name: name.to_owned(), gives, seconds }],
        access: Access::Private,
        brain: None,
        tags: Vec::new(),
    })
}

/// All agents and pipelines, by id, the oldest first.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub(super) agents: IndexMap<String, Agent>,
    pub(super) pipelines: IndexMap<String, Pipeline>,
}

impl Offer {
    /// Builds the offer, with the user's own contracts: like those of the other catalogue, they stand in for what has their id or name.
    pub(super) fn new(own: &[Contract]) -> Self {
        let written: Written =
            serde_yaml::from_str(include_str!("offer.yaml")).expect("the built-in offer can be read");
        let created_at = MADE.parse().expect("a timestamp");
        let yields = |kind, name: &str| own.iter().any(|own| own.target.kind == kind && own.name == name);
        let built_in = written.agents.into_iter().filter(|agent| !yields(TargetKind::Agent, &agent.name));
        let mut agents: IndexMap<_, _> = built_in
            .map(|agent| {
                let WrittenAgent { id, name, description, input_schema, skill, seconds, access } = agent;
                let description = Some(description);
                (id.clone(), Agent { id, name, description, input_schema, skill, seconds, access, created_at })
            })
            .collect();
        let of_own = |kind| own.iter().filter(move |own| own.target.kind == kind);
        for contract in of_own(TargetKind::Agent) {
            let agent = Agent {
                id: contract.target.id.clone(),
                name: contract.name.clone(),
                description: contract.description.clone(),
                input_schema: contract.schema.clone(),
                skill: Skill::Answer,
                seconds: SECONDS_OF_OWN,
                access: Access::Template,
                created_at,
            };
            agents.insert(agent.id.clone(), agent);
        }
        let built_in = written.pipelines.into_iter().filter(|pipeline| !yields(TargetKind::Pipeline, &pipeline.name));
        let mut pipelines: IndexMap<_, _> = built_in
            .map(|WrittenPipeline { id, name, steps }| (id.clone(), Pipeline { id, name, steps, created_at }))
            .collect();
        for contract in of_own(TargetKind::Pipeline) {
            let step = PipelineStep {
                id: "summary".to_owned(),
                agent: "ag_02SUMM".to_owned(),
                depends_on: Vec::new(),
                condition: None,
                output: None,
            };
            let (id, name) = (contract.target.id.clone(), contract.name.clone());
            pipelines.insert(id.clone(), Pipeline { id, name, steps: vec![step], created_at });
        }
        Self { agents, pipelines }
    }

    /// Returns the agent that a step of a pipeline means: the one with this id, else the first with this name.
    pub(super) fn agent_of_step(&self, named: &str) -> Option<&Agent> {
        self.agents.get(named).or_else(|| self.agents.values().find(|agent| agent.name == named))
    }
}

/// The offer as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    agents: Vec<WrittenAgent>,
    pipelines: Vec<WrittenPipeline>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAgent {
    id: String,
    name: String,
    description: String,
    input_schema: Option<Value>,
    skill: Skill,
    seconds: f64,
    #[serde(default = "everybodys")]
    access: Access,
}

fn everybodys() -> Access {
    Access::Template
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPipeline {
    id: String,
    name: String,
    steps: Vec<PipelineStep>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::schema::Schema;

    #[test]
    fn the_offer_can_be_run() {
        let offer = Offer::new(&[]);
        assert!(offer.agents["ag_01HXYZ"].input_schema.is_some() && offer.agents["ag_02SUMM"].input_schema.is_none());
        assert_eq!(offer.agents.values().filter(|agent| agent.name == "Translator").count(), 2);
        for agent in offer.agents.values() {
            assert!(agent.input_schema.as_ref().is_none_or(|schema| Schema::compile(schema).is_ok()), "{}", agent.id);
        }
        for pipeline in offer.pipelines.values() {
            for step in &pipeline.steps {
                assert!(offer.agent_of_step(&step.agent).is_some(), "{} in {}", step.agent, pipeline.name);
            }
        }
        assert_eq!(offer.agents.values().filter(|agent| agent.is_unhealthy()).count(), 1);
    }

    #[test]
    fn own_contracts_stand_in_for_what_has_their_name() {
        let own = |kind, id: &str, name: &str| Contract::unchecked(Target { kind, id: id.to_owned() }, name);
        let mut analyst = own(TargetKind::Agent, "ag_mine", "Analyst");
        analyst.schema = Some(serde_json::json!({"type": "object", "required": ["topic"]}));
        let offer = Offer::new(&[analyst, own(TargetKind::Pipeline, "pl_mine", "weekly")]);
        let analysts: Vec<_> = offer.agents.values().filter(|agent| agent.name == "Analyst").collect();
        assert_eq!(analysts.iter().map(|agent| agent.id.as_str()).collect::<Vec<_>>(), ["ag_mine"]);
        assert!(analysts[0].input_schema.is_some());
        assert!(offer.pipelines.contains_key("pl_mine") && offer.pipelines.contains_key("pl_01HXYZ"));
    }
}
