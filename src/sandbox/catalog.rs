//! The catalogue: which models and apps the emulator has, what they take, what comes out, what they cost.
//!
//! The values are data in `catalog.yaml`. Contracts of the user's own (from a `dagwood.lock`) become products too, and stand in
//! for a product of the same id and for an app of the same name, so that a workflow written for a real account runs here as it is.

use std::sync::Arc;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    contract::{Contract, Port, ValueKind},
    job::{Target, TargetKind},
};

/// The id of the only output node of a model.
pub(super) const MODEL_NODE: &str = "output";

/// What a model or app of the user's own costs where its contract does not say.
const COST_OF_OWN: f64 = 100.0;

/// Everything that can be run, by target.
#[derive(Clone, Debug)]
pub struct Catalog {
    products: IndexMap<Target, Arc<Product>>,
}

/// A thing that can be run.
#[derive(Clone, Debug, PartialEq)]
pub struct Product {
    /// What it takes.
    pub contract: Contract,
    /// What a run costs.
    pub cost: f64,
    /// What comes out, node by node.
    pub nodes: Vec<Node>,
    /// Whose it is.
    pub access: Access,
    /// The id of the graph behind an app.
    pub brain: Option<String>,
    /// An app's tags.
    pub tags: Vec<String>,
}

/// A part of a product that gives an output.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Its id.
    pub id: String,
    /// Its name, drawn on what it gives.
    pub name: String,
    /// What it gives.
    #[serde(deserialize_with = "medium")]
    pub gives: ValueKind,
    /// How long it takes, before any factor.
    pub seconds: f64,
}

/// Whose an app is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Everybody's.
    Template,
    /// The account's own.
    Private,
    /// Another account's: not listed, not to be run.
    Foreign,
}

impl Catalog {
    /// Builds the catalogue, with the user's own contracts.
    ///
    /// # Panics
    /// Never: that the built-in part can be read is tested.
    #[must_use]
    pub fn new(own: &[Contract]) -> Self {
        let written: Written =
            serde_yaml::from_str(include_str!("catalog.yaml")).expect("the built-in catalogue can be read");
        let models = written.models.into_iter().map(Product::from);
        let apps = written.apps.into_iter().map(Product::from);
        // A workflow may name an app by its name: the user's own is meant then.
        let yields = |product: &Product| {
            let mine = &product.contract;
            mine.target.kind == TargetKind::App
                && own.iter().any(|contract| {
                    contract.target.kind == TargetKind::App
                        && contract.name == mine.name
                        && contract.target != mine.target
                })
        };
        let mut products: IndexMap<_, _> = models
            .chain(apps)
            .filter(|product| !yields(product))
            .map(|product| (product.contract.target.clone(), Arc::new(product)))
            .collect();
        for contract in own {
            let known = products.get(&contract.target).cloned();
            products.insert(contract.target.clone(), Arc::new(Product::own(contract, known.as_deref())));
        }
        Self { products }
    }

    /// Returns the product of a kind with this id.
    #[must_use]
    pub fn get(&self, kind: TargetKind, id: &str) -> Option<&Arc<Product>> {
        self.products.get(&Target { kind, id: id.to_owned() })
    }

    /// Returns what a list shows of a kind.
    pub fn listed(&self, kind: TargetKind) -> impl Iterator<Item = &Product> {
        self.products
            .values()
            .map(Arc::as_ref)
            .filter(move |product| product.contract.target.kind == kind && product.access != Access::Foreign)
    }
}

impl Product {
    /// Returns the kind of medium that it is known for: that of its first node.
    #[must_use]
    pub fn gives(&self) -> ValueKind {
        self.nodes.first().map_or(ValueKind::Image, |node| node.gives)
    }

    /// Says whether a run ends within the request: image and text models, as a rule.
    #[must_use]
    pub fn is_synchronous(&self) -> bool {
        self.contract.target.kind == TargetKind::Model && matches!(self.gives(), ValueKind::Image | ValueKind::Text)
    }

    /// Returns how long a run takes, in seconds, before any factor.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.nodes.iter().map(|node| node.seconds).sum()
    }

    /// Builds a product from a contract of the user's own; what a contract does not say is as `known` has it.
    fn own(contract: &Contract, known: Option<&Self>) -> Self {
        let gives = contract.output.filter(|kind| kind.is_media() || *kind == ValueKind::Text);
        let node = || Node {
            id: MODEL_NODE.to_owned(),
            name: contract.name.clone(),
            gives: gives.unwrap_or(ValueKind::Image),
            seconds: 0.5,
        };
        Self {
            contract: contract.clone(),
            cost: contract.cost.or(known.map(|known| known.cost)).unwrap_or(COST_OF_OWN),
            nodes: known.map_or_else(|| vec![node()], |known| known.nodes.clone()),
            access: known.map_or(Access::Private, |known| known.access),
            brain: known.and_then(|known| known.brain.clone()),
            tags: known.map(|known| known.tags.clone()).unwrap_or_default(),
        }
    }
}

/// Returns the word of the API for a kind of medium.
#[must_use]
pub fn word(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Image => "image",
        ValueKind::Video => "video",
        ValueKind::Audio => "audio",
        ValueKind::Model3d => "3d",
        ValueKind::Number | ValueKind::Integer => "number",
        ValueKind::Boolean => "boolean",
        ValueKind::Text | ValueKind::Scalar | ValueKind::Any => "text",
    }
}

/// The catalogue as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    models: Vec<WrittenModel>,
    apps: Vec<WrittenApp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenModel {
    id: String,
    name: String,
    description: String,
    #[serde(deserialize_with = "media")]
    takes: Vec<ValueKind>,
    prompt: Prompt,
    #[serde(deserialize_with = "medium")]
    gives: ValueKind,
    cost: f64,
    seconds: f64,
    settings: Vec<WrittenSetting>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Prompt {
    Required,
    Optional,
    None,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSetting {
    key: String,
    label: String,
    kind: SettingKind,
    default: Option<Value>,
    #[serde(default)]
    options: Vec<Value>,
    min: Option<f64>,
    max: Option<f64>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SettingKind {
    Select,
    Number,
    Toggle,
    Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenApp {
    id: String,
    name: String,
    description: String,
    brain: String,
    tags: Vec<String>,
    access: Access,
    cost: f64,
    inputs: Vec<WrittenInput>,
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenInput {
    id: String,
    label: String,
    #[serde(deserialize_with = "medium")]
    kind: ValueKind,
    #[serde(default)]
    many: bool,
    required: bool,
    handle: String,
}

pub(super) fn medium<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<ValueKind, D::Error> {
    let text = String::deserialize(deserializer)?;
    kind_of(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no kind of value")))
}

fn media<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<ValueKind>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts
        .iter()
        .map(|text| kind_of(text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no kind of value"))))
        .collect()
}

fn kind_of(word: &str) -> Option<ValueKind> {
    Some(match word {
        "text" => ValueKind::Text,
        "number" => ValueKind::Number,
        "boolean" => ValueKind::Boolean,
        "image" => ValueKind::Image,
        "video" => ValueKind::Video,
        "audio" => ValueKind::Audio,
        "3d" => ValueKind::Model3d,
        _ => return None,
    })
}

fn port(id: &str, label: &str, kind: ValueKind) -> Port {
    Port { label: Some(label.to_owned()), ..Port::new(id, kind) }
}

impl From<WrittenModel> for Product {
    fn from(model: WrittenModel) -> Self {
        let mut ports = Vec::new();
        if model.prompt != Prompt::None {
            ports
                .push(Port { required: model.prompt == Prompt::Required, ..port("prompt", "Prompt", ValueKind::Text) });
        }
        for &kind in model.takes.iter().filter(|kind| kind.is_media()) {
            // Without a prompt, the medium is all there is to work on.
            let required = model.prompt == Prompt::None;
            let label = format!("Input {}", word(kind));
            ports.push(Port { required, many: true, ..port(&format!("{}_input", word(kind)), &label, kind) });
        }
        ports.extend(model.settings.into_iter().map(|setting| Port {
            options: setting.options,
            minimum: setting.min,
            maximum: setting.max,
            default: setting.default,
            ..port(
                &setting.key,
                &setting.label,
                match setting.kind {
                    SettingKind::Select => ValueKind::Scalar,
                    SettingKind::Number => ValueKind::Number,
                    SettingKind::Toggle => ValueKind::Boolean,
                    SettingKind::Text => ValueKind::Text,
                },
            )
        }));
        let node =
            Node { id: MODEL_NODE.to_owned(), name: model.name.clone(), gives: model.gives, seconds: model.seconds };
        Self {
            contract: Contract {
                schema: None,
                modes: Vec::new(),
                unchecked: false,
                target: Target { kind: TargetKind::Model, id: model.id },
                name: model.name,
                description: Some(model.description),
                cost: Some(model.cost),
                output: Some(model.gives),
                open: true,
                ports,
            },
            cost: model.cost,
            nodes: vec![node],
            access: Access::Template,
            brain: None,
            tags: Vec::new(),
        }
    }
}

impl From<WrittenApp> for Product {
    fn from(app: WrittenApp) -> Self {
        let ports = app
            .inputs
            .into_iter()
            .map(|input| Port {
                handle: Some(input.handle),
                required: input.required,
                many: input.many,
                ..port(&input.id, &input.label, input.kind)
            })
            .collect();
        Self {
            contract: Contract {
                schema: None,
                modes: Vec::new(),
                unchecked: false,
                target: Target { kind: TargetKind::App, id: app.id },
                name: app.name,
                description: Some(app.description),
                // The API does not publish what an app costs.
                cost: None,
                output: None,
                open: false,
                ports,
            },
            cost: app.cost,
            nodes: app.nodes,
            access: app.access,
            brain: Some(app.brain),
            tags: app.tags,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_has_what_the_documents_show() {
        let catalog = Catalog::new(&[]);
        assert!(catalog.listed(TargetKind::Model).count() >= 8);
        assert!(catalog.listed(TargetKind::App).count() >= 4);
        let app = catalog.get(TargetKind::App, "cb2bbd2d-b538-4d34-a54e-a9158c2e0dbb").expect("the documented app");
        assert_eq!(app.contract.name, "Sketch to Render");
        assert_eq!(app.nodes[0].id, "6fa95504-bf6c-44e6-bdda-c418903abc8c");
        let banana = catalog.get(TargetKind::Model, "google/nano-banana").expect("the documented model");
        assert!(banana.is_synchronous());
        assert_eq!(banana.contract.cost, Some(70.0));
        assert!(catalog.listed(TargetKind::App).any(|app| app.nodes.len() == 3));
        assert!(catalog.listed(TargetKind::App).any(|app| app.access == Access::Private));
    }

    #[test]
    fn own_contracts_join_and_replace() {
        let mut own = Catalog::new(&[]).get(TargetKind::Model, "kling/video").expect("a model").contract.clone();
        own.cost = Some(1.0);
        let mut new = own.clone();
        new.target.id = "acme/own".to_owned();
        new.output = Some(ValueKind::Audio);
        let mut app = own.clone();
        app.target = Target { kind: TargetKind::App, id: "another-id".to_owned() };
        app.name = "Sketch to Render".to_owned();
        let catalog = Catalog::new(&[own, new, app]);
        let named: Vec<_> =
            catalog.listed(TargetKind::App).filter(|app| app.contract.name == "Sketch to Render").collect();
        assert_eq!(named.iter().map(|app| app.contract.target.id.as_str()).collect::<Vec<_>>(), ["another-id"]);
        assert!(catalog.get(TargetKind::Model, "kling/video").is_some_and(|product| (product.cost - 1.0).abs() < 0.01));
        assert!(catalog.get(TargetKind::Model, "acme/own").is_some_and(|product| !product.is_synchronous()));
    }

    #[test]
    fn ids_are_unique() {
        let catalog = Catalog::new(&[]);
        let mut ids: Vec<_> = catalog
            .products
            .values()
            .filter(|product| product.contract.target.kind == TargetKind::App)
            .flat_map(|app| app.contract.ports.iter().map(|port| &port.id).chain(app.nodes.iter().map(|node| &node.id)))
            .collect();
        let all = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }
}
