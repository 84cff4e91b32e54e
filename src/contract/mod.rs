//! Contracts: what a target takes, as the API publishes it, in one form for all APIs: ports with their names, and a JSON Schema
//! over them.
//!
//! `names` says which port a key means, `checker` what a port takes, `operation` what may go beside the inputs, `schema` is the
//! door to JSON Schema, and `lock` keeps contracts in a file.

pub mod checker;
pub mod lock;
pub mod names;
pub mod operation;
mod published;
pub mod schema;

pub use checker::{Checker, Violation};
pub use names::Unresolved;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::job::{Target, TargetKind};

/// What a target takes and what is known of what it gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Contract {
    /// The target.
    pub target: Target,
    /// Its name for people; apps are also found by it.
    pub name: String,
    /// What it is, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Credits of one run, where published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// The kind of medium that comes out, where published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<ValueKind>,
    /// Whether the ports may be only a part of what the target takes: unknown keys are warnings then, else errors.
    #[serde(default)]
    pub open: bool,
    /// What the target takes, in the API's order.
    pub ports: Vec<Port>,
    /// The JSON Schema over the inputs, where the API publishes one or the project file gives one; the ports are then read from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// The operations of the target with what each takes (AIMP); empty where none are published.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modes: Vec<Mode>,
    /// Whether nothing is published of what the target takes: inputs are sent unchecked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unchecked: bool,
}

/// One operation of a target (AIMP's `mode`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Mode {
    /// Its name; an empty one stands for every operation that is not listed.
    pub name: String,
    /// The JSON Schema over its input, where published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// The JSON Schema over its `params`, where published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
    /// Whether it needs a `scope`, where published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs_scope: Option<bool>,
}

impl Mode {
    /// The operation that is run where none is named.
    pub const DEFAULT: &str = "execute";
}

impl Contract {
    /// Returns the contract of a target of which nothing is known but its name.
    #[must_use]
    pub fn unchecked(target: Target, name: impl Into<String>) -> Self {
        Self {
            target,
            name: name.into(),
            description: None,
            cost: None,
            output: None,
            open: true,
            ports: Vec::new(),
            schema: None,
            modes: Vec::new(),
            unchecked: true,
        }
    }
}

/// One input of a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Port {
    /// The name that the API wants under `inputs`.
    pub id: String,
    /// The name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The input of an inner model that an app's input feeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<String>,
    /// Whether a run without it is refused.
    #[serde(default)]
    pub required: bool,
    /// What one value is.
    pub kind: ValueKind,
    /// Whether the API wants a list of such values.
    #[serde(default)]
    pub many: bool,
    /// Whether `null` may be sent; else a null is left out.
    #[serde(default)]
    pub nullable: bool,
    /// The only values allowed, where published.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<Value>,
    /// The smallest number, where published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<f64>,
    /// The largest number, where published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<f64>,
    /// What the API takes when nothing is sent; never limits what may be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
}

impl Port {
    /// Returns an optional port of which no more is known than this.
    #[must_use]
    pub fn new(id: impl Into<String>, kind: ValueKind) -> Self {
        Self {
            id: id.into(),
            label: None,
            handle: None,
            required: false,
            kind,
            many: false,
            nullable: false,
            options: Vec::new(),
            minimum: None,
            maximum: None,
            default: None,
        }
    }
}

/// What one value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ValueKind {
    /// Text.
    Text,
    /// A number.
    Number,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// The URL of an image.
    Image,
    /// The URL of a video.
    Video,
    /// The URL of an audio recording.
    Audio,
    /// The URL of a 3d model.
    Model3d,
    /// Any scalar string: the API does not say more.
    Scalar,
    /// Anything.
    Any,
}

impl ValueKind {
    /// Says whether a value is the URL of a medium.
    #[must_use]
    pub fn is_media(self) -> bool {
        matches!(self, Self::Image | Self::Video | Self::Audio | Self::Model3d)
    }
}

/// The contracts of one provider.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    contracts: IndexMap<Target, Contract>,
}

impl Catalog {
    /// Builds a catalogue.
    #[must_use]
    pub fn new(contracts: impl IntoIterator<Item = Contract>) -> Self {
        Self { contracts: contracts.into_iter().map(|contract| (contract.target.clone(), contract)).collect() }
    }

    /// Returns all contracts of a kind, in the API's order.
    pub fn of_kind(&self, kind: TargetKind) -> impl Iterator<Item = &Contract> {
        self.contracts.values().filter(move |contract| contract.target.kind == kind)
    }

    /// Returns all contracts, in the API's order.
    pub fn iter(&self) -> impl Iterator<Item = &Contract> {
        self.contracts.values()
    }

    /// Returns the contracts that a name in a workflow may mean: the one with this id, else those with exactly this name.
    #[must_use]
    pub fn find(&self, kind: TargetKind, name: &str) -> Vec<&Contract> {
        let target = Target { kind, id: name.to_owned() };
        match self.contracts.get(&target) {
            Some(contract) => vec![contract],
            None if kind == TargetKind::Model => Vec::new(),
            None => self.of_kind(kind).filter(|contract| contract.name == name).collect(),
        }
    }
}
