//! `dagwood.lock`: the contracts that were read from the APIs, in one file that sorts and diffs well.
//!
//! Entries are sorted by provider, kind and id, so that two machines write the same bytes, and a change of one contract is a
//! change of a few lines.

use std::{collections::BTreeMap, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Catalog, Contract};
use crate::{
    diagnostic::{Code, Diagnostic},
    source::{Source, Span},
};

/// The version of the file that this release reads and writes.
const VERSION: u32 = 1;

/// The largest file that is read: the contracts of a large account take a few hundred kilobytes.
const LARGEST: usize = 16 << 20;

/// A contract with the provider that it was read from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Locked {
    /// Alias of the provider.
    pub provider: String,
    /// What it published.
    #[serde(flatten)]
    pub contract: Contract,
}

/// The contracts that a project was last checked against, as `dagwood lock` writes them.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Lock {
    /// The version of the file.
    version: u32,
    /// The contracts, sorted by provider, kind and id.
    #[serde(default)]
    contracts: Vec<Locked>,
}

/// Reads a lock file.
///
/// # Errors
///
/// A diagnostic with the place, when it is not such a file, is too large, or was written by a later release.
pub fn read(source: &Arc<Source>) -> Result<Vec<Locked>, Box<Diagnostic>> {
    if source.text.len() > LARGEST {
        let message = format!("the lock file has {} bytes, and at most {LARGEST} are read", source.text.len());
        return Err(Box::new(Diagnostic::error(Code::LockFile, message).at(source, Span::new(0..0), "")));
    }
    let lock: Lock = serde_yaml::from_str(&source.text).map_err(|error| {
        let start = error.location().map_or(0, |place| place.index()).min(source.text.len());
        let message = format!("the lock file cannot be read: {error}");
        let help = "write it again with `dagwood lock`";
        Box::new(Diagnostic::error(Code::LockFile, message).at(source, Span::new(start..start), "").help(help))
    })?;
    if lock.version != VERSION {
        let message = format!("the lock file has version {}, and this release reads {VERSION}", lock.version);
        return Err(Box::new(Diagnostic::error(Code::LockFile, message).at(source, Span::new(0..0), "")));
    }
    Ok(lock.contracts)
}

/// Writes a lock file, sorted.
///
/// # Panics
///
/// Never: contracts are plain data.
#[must_use]
pub fn write(contracts: Vec<Locked>) -> String {
    let mut contracts = contracts;
    contracts.sort_by(|a, b| (&a.provider, &a.contract.target).cmp(&(&b.provider, &b.contract.target)));
    contracts.dedup_by(|a, b| (&a.provider, &a.contract.target) == (&b.provider, &b.contract.target));
    serde_yaml::to_string(&Lock { version: VERSION, contracts }).expect("contracts are plain data")
}

/// Returns the catalogue of each provider in a lock file.
#[must_use]
pub fn catalogs(contracts: Vec<Locked>) -> BTreeMap<String, Catalog> {
    let mut found: BTreeMap<String, Vec<Contract>> = BTreeMap::new();
    for Locked { provider, contract } in contracts {
        found.entry(provider).or_default().push(contract);
    }
    found.into_iter().map(|(provider, contracts)| (provider, Catalog::new(contracts))).collect()
}

/// Returns the JSON Schema of the file.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Lock).to_value()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        contract::{Mode, Port, ValueKind},
        job::{Target, TargetKind},
    };

    fn locked(id: &str) -> Locked {
        let port = Port {
            id: "prompt".to_owned(),
            label: Some("Prompt".to_owned()),
            handle: None,
            required: true,
            kind: ValueKind::Text,
            many: false,
            nullable: false,
            options: vec!["1:1".into(), 3.into()],
            minimum: None,
            maximum: Some(2.5),
            default: None,
        };
        let contract = Contract {
            schema: None,
            modes: Vec::new(),
            unchecked: false,
            target: Target { kind: TargetKind::Model, id: id.to_owned() },
            name: id.to_uppercase(),
            description: None,
            cost: Some(70.0),
            output: Some(ValueKind::Image),
            open: true,
            ports: vec![port],
        };
        Locked { provider: "armox".to_owned(), contract }
    }

    #[test]
    fn a_lock_reads_back_sorted() {
        let text = write(vec![locked("b"), locked("a"), locked("b")]);
        let source = Arc::new(Source::new("dagwood.lock", text.as_str()));
        assert_eq!(read(&source), Ok(vec![locked("a"), locked("b")]));
        assert!(text.starts_with("version: 1\ncontracts:\n- provider: armox\n"), "{text}");
    }

    #[test]
    fn what_is_no_lock_is_refused_with_its_place() {
        for text in ["version: 2", "version: 1\ncontracts: 3", "- a", "version: 1\ncontracts:\n- provider: a\n"] {
            let error = read(&Arc::new(Source::new("dagwood.lock", text))).expect_err(text);
            assert_eq!(error.code, Code::LockFile);
            assert!(error.primary().is_some());
        }
    }

    fn published(schema: Value) -> Locked {
        let mode = |name: &str, params, needs_scope| Mode { name: name.to_owned(), schema: None, params, needs_scope };
        let modes = vec![
            mode("search", Some(json!({"properties": {"top_k": {"type": "integer"}}})), Some(true)),
            mode("", None, None),
        ];
        let target = Target { kind: TargetKind::Model, id: "demo-model".to_owned() };
        let contract = Contract { schema: Some(schema), ..Contract::unchecked(target, "Demo").with_modes(modes).0 };
        Locked { provider: "aimp".to_owned(), contract }
    }

    #[test]
    fn what_is_published_reads_back() {
        let schema = json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "properties": {
                "yes": {"type": ["string", "null"], "pattern": "^[\\w.-]+\n$", "default": "no"},
                "n": {"minimum": -1.5e-7, "maximum": 9_007_199_254_740_993_u64, "enum": [1, 1.0, "1", true, null, "", "~", "0x1F", "1e3", "é\u{7f}\u{85}\u{2028}"]},
            },
        });
        let all = vec![published(schema), locked("z")];
        let text = write(all.clone());
        assert_eq!(read(&Arc::new(Source::new("dagwood.lock", text.as_str()))), Ok(all), "{text}");
    }

    #[test]
    fn a_file_of_the_first_release_is_read() {
        let text = "version: 1
contracts:
- provider: armox
  target:
    kind: model
    id: google/nano-banana
  name: Nano Banana
  cost: 70.0
  output: image
  open: true
  ports:
  - id: prompt
    label: Prompt
    required: true
    kind: text
";
        let read = read(&Arc::new(Source::new("dagwood.lock", text))).expect("an old file");
        let contract = &read[0].contract;
        assert!(contract.schema.is_none() && contract.modes.is_empty() && !contract.unchecked);
        assert!(!write(read).contains("modes"), "what is not there is not written");
    }

    #[test]
    fn each_provider_has_its_catalogue() {
        let mut other = locked("a");
        other.provider = "armox-eu".to_owned();
        let catalogs = catalogs(vec![locked("a"), locked("b"), other]);
        assert_eq!(catalogs.keys().collect::<Vec<_>>(), ["armox", "armox-eu"]);
        assert_eq!(catalogs["armox"].iter().count(), 2);
    }

    #[test]
    fn too_large_a_file_is_not_read() {
        let text = format!("version: 1\ncontracts: []\n#{}", "x".repeat(LARGEST));
        let error = read(&Arc::new(Source::new("dagwood.lock", text))).expect_err("too large");
        assert!(error.message.contains("at most"), "{error:?}");
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1.0e9..1.0e9).prop_map(|number: f64| json!(number)),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,6}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_schema_reads_back(schema in values()) {
            // An absent schema and null are the same.
            prop_assume!(!schema.is_null());
            let all = vec![published(schema)];
            let text = write(all.clone());
            prop_assert_eq!(read(&Arc::new(Source::new("dagwood.lock", text.as_str()))), Ok(all));
            prop_assert_eq!(write(super::read(&Arc::new(Source::new("dagwood.lock", text.as_str()))).expect("it reads back")), text);
        }
    }
}
