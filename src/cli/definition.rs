//! What a run was made from, kept with it and read again: text, project file and contracts, so that a changed file does not change a run that
//! goes on (LANGUAGE.md, section 8).

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::home::Home;
use crate::{
    contract::lock::{self, Locked},
    job::TargetKind,
    journal::Definition,
    plan::{Plan, Work},
    spec::{self, Document},
};

/// Returns what a plan was made from.
pub(crate) fn of(home: &Home, plan: &Plan) -> Definition {
    let source = &plan.document.source;
    let path = Path::new(&*source.name);
    let project = home.file.written.as_ref().map(|(source, _)| {
        let path = Path::new(&*source.name);
        (std::path::absolute(path).unwrap_or_else(|_| path.to_owned()), source.text.to_string())
    });
    Definition {
        path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
        shown: source.name.clone(),
        text: source.text.to_string(),
        project,
        workflows: plan.document.all()[1..].iter().map(|document| text_of(document)).collect(),
        contracts: lock::write(contracts(plan)),
    }
}

/// Returns a file's absolute path, and its text.
fn text_of(document: &Document) -> (PathBuf, String) {
    let path = Path::new(&*document.source.name);
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    (spec::nested::normal(&path), document.source.text.to_string())
}

/// Returns the contracts of a plan's targets.
fn contracts(plan: &Plan) -> Vec<Locked> {
    let mut seen = HashSet::new();
    let mut contracts = Vec::new();
    for work in plan.all().into_iter().flat_map(Plan::works) {
        let Work::Run { provider, contract, .. } = work else { continue };
        let is_target = contract.contract().target.kind != TargetKind::Http;
        if is_target && seen.insert((provider, Arc::as_ptr(contract))) {
            contracts.push(Locked { provider: provider.clone(), contract: contract.contract().clone() });
        }
    }
    contracts
}
