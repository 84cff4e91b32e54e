//! The models of the marketplace: who they are, what each of their operations takes, what they cost.
//!
//! The values are data in `catalog.yaml`. A model of the user's own (from a `dagwood.lock`) joins them, and stands in for the one of the
//! same slug, so that a workflow written for a real workspace runs here as it is.

use std::sync::Arc;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;

use super::super::catalog::{Access, MODEL_NODE, Node, Product, medium};
use crate::{
    contract::{Contract, Mode, ValueKind},
    job::{Target, TargetKind},
};

/// The price of a model of the user's own, whose contract names none.
const PRICE_OF_OWN: f64 = 0.01;

/// How long a model of the user's own takes, in seconds.
const SECONDS_OF_OWN: f64 = 0.5;

/// All models.
#[derive(Debug)]
pub(in super::super) struct Models {
    all: Vec<Model>,
}

/// A model.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) id: String,
    pub(super) slug: String,
    /// The kind of medium that it is known for.
    pub(super) modality: String,
    /// Whether anybody may run it.
    pub(super) published: bool,
    /// Whether the list shows it.
    listed: bool,
    /// Whether its runs go on after the request.
    pub(super) long: bool,
    pub(super) work: Work,
    /// What each operation takes; nothing is published where there are none.
    pub(super) modes: IndexMap<String, Rules>,
    /// What the machine of all skins knows of it.
    pub(super) product: Arc<Product>,
}

/// What one operation takes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rules {
    pub(super) input_schema: Option<Value>,
    pub(super) params_schema: Option<Value>,
    /// Whether it is about one data set, and must say which.
    #[serde(default)]
    pub(super) requires_scope: bool,
}

/// What a model does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Work {
    /// Says what it was told.
    Echo,
    /// Indexes and searches.
    Search,
    /// Says what is in a picture.
    Caption,
    /// Gives a file, and answers with its URL.
    File,
    /// Gives text, and answers with it, not with JSON.
    Poem,
    /// Gives a file, and answers with its bytes.
    Bytes,
    /// Takes anything, and shows it.
    Open,
}

/// Says why there is no model to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoModel {
    /// None is published under this name.
    Unknown,
    /// Two are.
    Conflict,
}

impl Models {
    /// Builds the models, with the user's own contracts.
    pub(in super::super) fn new(own: &[Contract]) -> Self {
        let written: Vec<Written> =
            serde_yaml::from_str(include_str!("catalog.yaml")).expect("the built-in models can be read");
        let mut all: Vec<_> = written.into_iter().map(Model::from).collect();
        for contract in own.iter().filter(|contract| contract.target.kind == TargetKind::Model) {
            let place = all.iter().position(|model| model.slug == contract.target.id);
            match place {
                Some(place) => {
                    let known = all.remove(place);
                    all.insert(place, Model::own(contract, Some(&known)));
                }
                None => all.push(Model::own(contract, None)),
            }
        }
        Self { all }
    }

    /// Finds a published model by slug or identifier.
    pub(super) fn find(&self, name: &str) -> Result<&Model, NoModel> {
        let mut found = self.all.iter().filter(|model| model.published && (model.slug == name || model.id == name));
        let first = found.next().ok_or(NoModel::Unknown)?;
        if found.next().is_some() { Err(NoModel::Conflict) } else { Ok(first) }
    }

    /// Returns what the list shows.
    pub(super) fn listed(&self) -> Vec<&Model> {
        self.all.iter().filter(|model| model.published && model.listed).collect()
    }
}

impl Model {
    pub(super) fn name(&self) -> &str {
        &self.product.contract.name
    }

    /// Builds a model from a contract of the user's own; what the contract does not say is as `known` has it.
    fn own(contract: &Contract, known: Option<&Self>) -> Self {
        let gives = contract.output.or(known.map(|known| known.product.gives())).unwrap_or(ValueKind::Text);
        let work = known.map_or(if gives.is_media() { Work::File } else { Work::Open }, |known| known.work);
        let mut modes: IndexMap<_, _> =
            contract.modes.iter().map(|mode| (mode.name.clone(), Rules::from(mode))).collect();
        if modes.is_empty() && contract.schema.is_some() {
            let rules = Rules { input_schema: contract.schema.clone(), params_schema: None, requires_scope: false };
            modes.insert("execute".to_owned(), rules);
        }
        let node = Node {
            id: MODEL_NODE.to_owned(),
            name: contract.name.clone(),
            gives,
            seconds: known.map_or(SECONDS_OF_OWN, |known| known.product.seconds()),
        };
        Self {
            id: known.map_or_else(|| contract.target.id.clone(), |known| known.id.clone()),
            slug: contract.target.id.clone(),
            modality: known
                .map_or_else(|| super::super::catalog::word(gives).to_owned(), |known| known.modality.clone()),
            published: true,
            listed: true,
            long: known.is_some_and(|known| known.long),
            work,
            modes,
            product: Arc::new(Product {
                contract: contract.clone(),
                cost: contract.cost.or(known.map(|known| known.product.cost)).unwrap_or(PRICE_OF_OWN),
                nodes: vec![node],
                access: Access::Private,
                brain: None,
                tags: Vec::new(),
            }),
        }
    }
}

impl From<&Mode> for Rules {
    fn from(mode: &Mode) -> Self {
        Self {
            input_schema: mode.schema.clone(),
            params_schema: mode.params.clone(),
            requires_scope: mode.needs_scope.unwrap_or(false),
        }
    }
}

/// A model as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    slug: String,
    id: String,
    name: String,
    description: String,
    modality: String,
    work: Work,
    #[serde(deserialize_with = "medium")]
    gives: ValueKind,
    price: f64,
    seconds: f64,
    #[serde(default)]
    contract: IndexMap<String, Rules>,
    #[serde(default)]
    long: bool,
    #[serde(default = "yes")]
    published: bool,
    #[serde(default = "yes")]
    listed: bool,
}

fn yes() -> bool {
    true
}

impl From<Written> for Model {
    fn from(model: Written) -> Self {
        let target = Target { kind: TargetKind::Model, id: model.slug.clone() };
        let modes = model.contract.iter().map(|(name, rules)| Mode {
            name: name.clone(),
            schema: rules.input_schema.clone(),
            params: rules.params_schema.clone(),
            needs_scope: Some(rules.requires_scope),
        });
        let contract = Contract {
            description: Some(model.description),
            cost: Some(model.price),
            output: Some(model.gives),
            modes: modes.collect(),
            unchecked: model.contract.is_empty(),
            ..Contract::unchecked(target, model.name.clone())
        };
        let node = Node { id: MODEL_NODE.to_owned(), name: model.name, gives: model.gives, seconds: model.seconds };
        Self {
            id: model.id,
            slug: model.slug,
            modality: model.modality,
            published: model.published,
            listed: model.listed,
            long: model.long,
            work: model.work,
            modes: model.contract,
            product: Arc::new(Product {
                contract,
                cost: model.price,
                nodes: vec![node],
                access: Access::Template,
                brain: None,
                tags: Vec::new(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::contract::schema::Schema;

    #[test]
    fn models_are_found_by_slug_and_identifier_if_published_once() {
        let models = Models::new(&[]);
        let demo = models.find("demo-model").expect("the documented model");
        assert_eq!(models.find(&demo.id).map(|model| model.slug.as_str()), Ok("demo-model"));
        assert_eq!(models.find("nothing").err(), Some(NoModel::Unknown));
        assert_eq!(models.find("draft-model").err(), Some(NoModel::Unknown), "not published");
        assert_eq!(models.find("twin-model").err(), Some(NoModel::Conflict));
        assert_eq!(models.find("mdl_333c71d1").map(|model| model.slug.as_str()), Ok("twin-model"));
        let slugs: Vec<_> = models.listed().iter().map(|model| model.slug.clone()).collect();
        assert!(
            slugs.len() >= 9 && !slugs.contains(&"draft-model".to_owned()) && !slugs.contains(&"twin-model".to_owned())
        );
    }

    #[test]
    fn every_schema_is_one() {
        for model in &Models::new(&[]).all {
            for (mode, rules) in &model.modes {
                for schema in rules.input_schema.iter().chain(&rules.params_schema) {
                    assert!(Schema::compile(schema).is_ok(), "{} {mode}", model.slug);
                }
            }
        }
    }

    #[test]
    fn own_models_join_and_replace() {
        let target = |id: &str| Target { kind: TargetKind::Model, id: id.to_owned() };
        let mut demo = Contract::unchecked(target("demo-model"), "Ours");
        demo.schema = Some(json!({"type": "object", "required": ["line"]}));
        demo.cost = Some(5.0);
        let mut new = Contract::unchecked(target("acme-draw"), "Draw");
        new.output = Some(ValueKind::Image);
        let models = Models::new(&[demo, new]);
        let demo = models.find("demo-model").expect("ours");
        assert_eq!(
            (demo.name(), demo.work, demo.modes.keys().next().map(String::as_str)),
            ("Ours", Work::Echo, Some("execute"))
        );
        assert!((demo.product.cost - 5.0).abs() < 0.001);
        let new = models.find("acme-draw").expect("the new one");
        assert_eq!((new.work, new.modes.len()), (Work::File, 0));
    }
}
