//! The contracts that workflows are checked against: read from the APIs, or taken from `dagwood.lock`, then completed by those of the
//! project file.
//!
//! ```text
//! Wants ──▶ catalogues by alias, or why there are none ──▶ offers of a plan
//!   │           ▲ reads, all accounts at a time
//!   └── lock ───┘ with `--locked`: no request at all
//! ```

use std::collections::{BTreeMap, BTreeSet};

use super::{
    failure::Failure,
    home::Home,
    open::Backend,
    reading,
    remotes::Remotes,
    wants::{self, Wants},
};
use crate::{
    contract::{Catalog, Contract, lock},
    diagnostic::{Code, Diagnostic},
    job::{Target, TargetKind},
    plan::Offer,
    project::Kind,
    source::Pointer,
    spec::Document,
};

/// Contracts by alias, and why some are not there.
#[derive(Debug, Default)]
pub(crate) struct Contracts {
    catalogs: BTreeMap<String, Catalog>,
    missing: Vec<Missing>,
    /// Whether they come from the lock file.
    locked: bool,
    /// Targets that the lock file does not have, by alias.
    unlocked: BTreeSet<(String, TargetKind, String)>,
}

/// Why the contracts of a provider are not there.
#[derive(Debug)]
pub(crate) struct Missing {
    /// The alias.
    pub(crate) alias: String,
    /// What failed; none where there is no key.
    pub(crate) failure: Option<Failure>,
    /// In one sentence.
    pub(crate) why: String,
}

impl Contracts {
    /// Reads from the APIs what files want, and completes it.
    ///
    /// # Errors
    ///
    /// Where a contract of the project file cannot be used. What an API does is no error here: see [`Contracts::failure`].
    pub(crate) fn read(backend: &Backend, remotes: &Remotes, home: &Home, wants: &Wants) -> Result<Self, Failure> {
        let mut contracts = Self::published(backend, remotes, wants);
        contracts.complete(home, wants)?;
        Ok(contracts)
    }

    /// Reads from the APIs what files want, as it is published.
    pub(crate) fn published(backend: &Backend, remotes: &Remotes, wants: &Wants) -> Self {
        let mut contracts = Self::default();
        if !wants.is_empty() {
            for (alias, found) in backend.block_on(remotes.catalogs(wants)) {
                contracts.take(remotes, alias, found);
            }
        }
        contracts
    }

    /// Takes from the lock file what files want, and completes it.
    ///
    /// # Errors
    ///
    /// Where there is no such file, or it cannot be read, or a contract of the project file cannot be used.
    pub(crate) fn locked(home: &Home, wants: &Wants) -> Result<Self, Failure> {
        let locked = home.locked()?;
        if locked.is_none() && !wants.is_empty() {
            return Err(Failure::usage("there is no `dagwood.lock` at the project's root")
                .help("write it with `dagwood lock`, which reads the contracts of all workflows"));
        }
        let mut contracts = Self::of(lock::catalogs(locked.unwrap_or_default()), wants);
        contracts.locked = true;
        contracts.complete(home, wants)?;
        Ok(contracts)
    }

    /// Takes these for what files want.
    pub(crate) fn of(mut catalogs: BTreeMap<String, Catalog>, wants: &Wants) -> Self {
        let of = |alias: &str| (alias.to_owned(), catalogs.remove(alias).unwrap_or_default());
        Self { catalogs: wants.aliases().map(of).collect(), ..Self::default() }
    }

    fn take(&mut self, remotes: &Remotes, alias: String, found: Result<Option<Catalog>, Failure>) {
        let (failure, why) = match found {
            Ok(Some(catalog)) => {
                self.catalogs.insert(alias, catalog);
                return;
            }
            Ok(None) => {
                let key = remotes.door(&alias).map(|door| door.origin().key).unwrap_or_default();
                (None, format!("there is no key ({key}); `--sandbox` checks against the emulator"))
            }
            Err(failure) => {
                let why = reading::sentence(&failure);
                (Some(failure), why)
            }
        };
        self.missing.push(Missing { alias, failure, why });
    }

    /// Adds what the project file says of its own, and what no API lists.
    ///
    /// # Errors
    ///
    /// Where a contract of the project file cannot be used.
    pub(crate) fn complete(&mut self, home: &Home, wants: &Wants) -> Result<(), Failure> {
        for (alias, catalog) in &mut self.catalogs {
            supply(home, alias, catalog)?;
        }
        for (alias, wanted) in wants.by_alias() {
            let Some(catalog) = self.catalogs.get_mut(alias) else { continue };
            // There is no way to ask whether a pipeline is there: its name is taken for its id.
            for name in wanted.names(TargetKind::Pipeline) {
                if catalog.is_unlisted(TargetKind::Pipeline) && catalog.find(TargetKind::Pipeline, name).is_empty() {
                    add_unchecked(catalog, TargetKind::Pipeline, name);
                }
            }
        }
        Ok(())
    }

    /// Returns why contracts are missing.
    pub(crate) fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// Returns the catalogues by alias.
    pub(crate) fn into_catalogs(self) -> BTreeMap<String, Catalog> {
        self.catalogs
    }

    /// Returns what failed first.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.missing.iter().find_map(|missing| missing.failure.clone())
    }

    /// Tells which targets of a file the lock file does not have; they are taken for unchecked ones then, so that each is told once.
    pub(crate) fn tell_unlocked(&mut self, document: &Document, offers: &[Offer]) -> Vec<Diagnostic> {
        let mut wrong = Vec::new();
        if !self.locked {
            return wrong;
        }
        for wants::Named { alias, kind, name, document, pointer } in wants::targets(document, offers) {
            let Some(catalog) = self.catalogs.get_mut(alias) else { continue };
            let target = (alias.to_owned(), kind, name.to_owned());
            if catalog.find(kind, name).is_empty() {
                add_unchecked(catalog, kind, name);
                self.unlocked.insert(target);
            } else if !self.unlocked.contains(&target) {
                continue;
            }
            let message = format!("`dagwood.lock` has no {kind} `{name}` of `{alias}`");
            wrong.push(
                Diagnostic::error(Code::NotLocked, message)
                    .at(&document.source, document.map.value(&pointer), "not locked")
                    .help("`dagwood lock` reads its contract and adds it"),
            );
        }
        wrong
    }

    /// Returns the offers with the contracts.
    pub(crate) fn offers(&self, offers: &[Offer]) -> Vec<Offer> {
        let with = |offer: &Offer| Offer { catalog: self.catalogs.get(&offer.alias).cloned(), ..offer.clone() };
        offers.iter().map(with).collect()
    }
}

/// Adds a target of which nothing is known.
fn add_unchecked(catalog: &mut Catalog, kind: TargetKind, name: &str) {
    catalog.add(Contract::unchecked(Target { kind, id: name.to_owned() }, name));
}

/// Gives the targets of an account the contracts that the project file has for them.
///
/// # Errors
///
/// Where one cannot be used.
pub(crate) fn supply(home: &Home, alias: &str, catalog: &mut Catalog) -> Result<(), Failure> {
    let Some(kind) = home.file.project.kind(alias) else { return Ok(()) };
    if kind == Kind::Airmy {
        *catalog = std::mem::take(catalog).with_unlisted(TargetKind::Pipeline);
    }
    for supplied in home.file.project.contracts.iter().filter(|supplied| supplied.provider == alias) {
        if let Err(why) = catalog.supply(kind.targets(), &supplied.id, supplied.schema.clone()) {
            let name = format!("{alias}/{}", supplied.id);
            let at = Pointer::from_iter(["contracts", name.as_str()]);
            let diagnostic = Diagnostic::error(Code::BadContract, format!("the contract of `{name}` cannot be used"));
            return Err(Failure::Invalid(vec![home.file.at_key(diagnostic, &at, &why)]));
        }
    }
    Ok(())
}
