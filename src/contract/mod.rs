//! Contracts: what a target takes, as the API publishes it, in one form for all APIs: ports with their names, and a JSON Schema
//! over them.
//!
//! `published` reads a contract from the JSON Schema that an API publishes, `catalog` finds one by name, `names` says which port a key
//! means. `checker` checks: by `ports`, the JSON Schema that ports make, or by `rules`, the published one; `operation` knows what AIMP
//! refuses beside the inputs. What is refused is a `violation`; `words` says in words what a contract takes, `media` in what form it takes a file. `lock` keeps contracts in a file, `drift` says what changed between two. `editor` and `scaffold` write for people: a
//! schema to complete from, a workflow to start from. `schema` is the door to JSON Schema.

mod catalog;
mod checker;
pub mod drift;
mod editor;
mod effort;
pub mod lock;
mod measure;
pub mod media;
pub mod names;
pub mod operation;
mod ports;
mod published;
mod rules;
mod scaffold;
pub mod schema;
mod violation;
mod words;

pub use catalog::Catalog;
pub use checker::Checker;
pub use editor::editor_schema;
pub use names::Unresolved;
pub(crate) use published::is_usable;
pub use scaffold::scaffold;
pub use violation::Violation;
pub(crate) use violation::severity_of_one;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{id::Digest, job::Target};

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

    /// Returns the digest of everything that the contract says; equal contracts have equal ones, in whatever order a JSON Schema
    /// writes its keys.
    ///
    /// # Panics
    ///
    /// Never: contracts are plain data.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut value = serde_json::to_value(self).expect("contracts are plain data");
        value.sort_all_objects();
        Digest::of(value.to_string().as_bytes())
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

    /// Returns the kind that all options of a port have.
    #[must_use]
    pub fn of_options(options: &[Value]) -> Self {
        match options {
            [] => Self::Any,
            _ if options.iter().all(Value::is_string) => Self::Text,
            _ if options.iter().all(|option| option.is_i64() || option.is_u64()) => Self::Integer,
            _ if options.iter().all(Value::is_number) => Self::Number,
            _ if options.iter().all(Value::is_boolean) => Self::Boolean,
            _ => Self::Any,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::job::TargetKind;

    #[test]
    fn a_digest_knows_contracts_apart_and_not_the_order_of_keys() {
        let target = Target { kind: TargetKind::Agent, id: "ag_1".to_owned() };
        let of = |schema: Value| Contract::of_schema(target.clone(), "writer", schema).0;
        let one = of(json!({"properties": {"a": {"type": "string", "minLength": 1}}, "required": ["a"]}));
        let same = of(json!({"required": ["a"], "properties": {"a": {"minLength": 1, "type": "string"}}}));
        let other = of(json!({"properties": {"a": {"type": "string", "minLength": 2}}, "required": ["a"]}));
        assert_eq!(one.digest(), same.digest());
        assert_ne!(one.digest(), other.digest());
        assert_ne!(one.digest(), Contract { cost: Some(1.0), ..one.clone() }.digest());
    }
}
