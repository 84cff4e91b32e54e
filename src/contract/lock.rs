//! `dagwood.lock`: the contracts that were read from the APIs, in one file that sorts and diffs well.
//!
//! Entries are sorted by provider, kind and id, so that two machines write the same bytes, and a change of one contract is a
//! change of a few lines.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Contract;
use crate::{
    diagnostic::{Code, Diagnostic},
    source::{Source, Span},
};

/// The version of the file that this release reads and writes.
const VERSION: u32 = 1;

/// A contract with the provider that it was read from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Locked {
    /// Alias of the provider.
    pub provider: String,
    /// What it published.
    #[serde(flatten)]
    pub contract: Contract,
}

#[derive(Serialize, Deserialize)]
struct Lock {
    version: u32,
    #[serde(default)]
    contracts: Vec<Locked>,
}

/// Reads a lock file.
///
/// # Errors
///
/// A diagnostic with the place, when it is not such a file or was written by a later release.
pub fn read(source: &Arc<Source>) -> Result<Vec<Locked>, Box<Diagnostic>> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contract::{Port, ValueKind},
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
}
