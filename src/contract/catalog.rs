//! The contracts of one provider, and how a name in a workflow finds one.

use indexmap::IndexMap;
use serde_json::Value;

use super::Contract;
use crate::job::{Target, TargetKind};

/// The contracts of one provider.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    contracts: IndexMap<Target, Contract>,
    /// Kinds of which the API lists nothing.
    unlisted: Vec<TargetKind>,
}

impl Catalog {
    /// Builds a catalogue.
    #[must_use]
    pub fn new(contracts: impl IntoIterator<Item = Contract>) -> Self {
        let contracts = contracts.into_iter().map(|contract| (contract.target.clone(), contract)).collect();
        Self { contracts, unlisted: Vec::new() }
    }

    /// Adds a contract; one of the same target is replaced.
    pub fn add(&mut self, contract: Contract) {
        self.contracts.insert(contract.target.clone(), contract);
    }

    /// Says that the API has no list of this kind, so that any id may be one of it, and is sent unchecked.
    #[must_use]
    pub fn with_unlisted(mut self, kind: TargetKind) -> Self {
        if !self.is_unlisted(kind) {
            self.unlisted.push(kind);
        }
        self
    }

    /// Says whether the API has no list of this kind: a name that is not found may be there all the same.
    #[must_use]
    pub fn is_unlisted(&self, kind: TargetKind) -> bool {
        self.unlisted.contains(&kind)
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

    /// Gives a target the contract that a person wrote for it, as a JSON Schema over its inputs. It replaces what was read; a
    /// target that was not read is added. Of several kinds, the first is meant that has such a target, else the first that the API does not
    /// list, else the first.
    ///
    /// # Errors
    ///
    /// A sentence, when the schema cannot be used or the name fits several targets.
    pub fn supply(&mut self, kinds: &[TargetKind], name: &str, schema: Value) -> Result<Target, String> {
        let read = kinds.iter().map(|&kind| self.find(kind, name)).find(|found| !found.is_empty()).unwrap_or_default();
        let known = match read.as_slice() {
            [] => None,
            [one] => Some((*one).clone()),
            several => {
                let ids: Vec<_> = several.iter().map(|contract| format!("`{}`", contract.target.id)).collect();
                return Err(format!("several are called `{name}`: name one by its id: {}", ids.join(", ")));
            }
        };
        let kind = || kinds.iter().find(|kind| self.is_unlisted(**kind)).or(kinds.first()).copied();
        let target = match &known {
            Some(contract) => contract.target.clone(),
            None => Target { kind: kind().ok_or("the provider runs nothing")?, id: name.to_owned() },
        };
        let called = known.as_ref().map_or(name, |contract| &contract.name).to_owned();
        let (mut contract, why) = Contract::of_schema(target.clone(), called, schema);
        if let Some(why) = why {
            return Err(why);
        }
        if let Some(Contract { description, cost, output, mut modes, .. }) = known {
            // It says what each operation takes.
            for mode in &mut modes {
                mode.schema = None;
            }
            contract = Contract { description, cost, output, modes, ..contract };
        }
        self.contracts.insert(target.clone(), contract);
        Ok(target)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::contract::{Checker, Mode};

    fn contract(kind: TargetKind, id: &str, name: &str) -> Contract {
        Contract::unchecked(Target { kind, id: id.to_owned() }, name)
    }

    #[test]
    fn ids_go_before_names_and_models_have_ids_alone() {
        let catalog = Catalog::new([
            contract(TargetKind::Agent, "ag_1", "writer"),
            contract(TargetKind::Agent, "writer", "other"),
            contract(TargetKind::Model, "m", "Model"),
        ]);
        let ids = |kind, name| -> Vec<String> {
            catalog.find(kind, name).iter().map(|contract| contract.target.id.clone()).collect()
        };
        assert_eq!(ids(TargetKind::Agent, "writer"), ["writer"]);
        assert_eq!(ids(TargetKind::Agent, "other"), ["writer"]);
        assert_eq!(ids(TargetKind::Model, "Model"), [] as [&str; 0]);
    }

    #[test]
    fn a_contract_that_a_person_wrote_wins() {
        let mode = Mode {
            name: "execute".to_owned(),
            schema: Some(json!({"required": ["a"]})),
            params: None,
            needs_scope: None,
        };
        let (read, _) = contract(TargetKind::Model, "m", "Model").with_modes(vec![mode]);
        let read = Contract { cost: Some(3.0), ..read };
        let mut catalog = Catalog::new([read]);
        let schema = json!({"properties": {"text": {"type": "string"}}, "required": ["text"]});
        let target = catalog.supply(&[TargetKind::Model], "m", schema.clone()).expect("a schema");
        let [found] = catalog.find(TargetKind::Model, "m")[..] else { panic!("one") };
        assert_eq!((&found.target, found.cost, found.name.as_str()), (&target, Some(3.0), "Model"));
        let checker = Checker::new(found.clone());
        let of_mode = checker.for_mode(Some("execute")).expect("a mode");
        assert_eq!(of_mode.contract().schema.as_ref(), Some(&schema), "of every operation");
    }

    #[test]
    fn what_was_not_read_is_added_where_the_api_lists_nothing() {
        let mut catalog =
            Catalog::new([contract(TargetKind::Agent, "ag_1", "writer")]).with_unlisted(TargetKind::Pipeline);
        let kinds = [TargetKind::Agent, TargetKind::Pipeline];
        let target = catalog.supply(&kinds, "pl_1", json!({"required": ["a"]})).expect("a schema");
        assert_eq!(target.kind, TargetKind::Pipeline);
        let target = catalog.supply(&kinds, "writer", json!({"required": ["a"]})).expect("a schema");
        assert_eq!((target.kind, target.id.as_str()), (TargetKind::Agent, "ag_1"));
        let why = catalog.supply(&kinds, "writer", json!({"type": "text"})).expect_err("no schema");
        assert!(why.contains("cannot be used"), "{why}");
        assert!(catalog.is_unlisted(TargetKind::Pipeline) && !catalog.is_unlisted(TargetKind::Agent));
    }
}
