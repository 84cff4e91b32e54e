//! The accounts of a project by their aliases, each reached with its own key alone.
//!
//! ```text
//! project file ─┐                        ┌─▶ offers (what plans may ask for)
//!               ├─▶ accounts by alias ───┤
//! environment ──┘   (or the emulator's)  └─▶ Remote, built when it is first asked for
//! ```
//!
//! With `--sandbox` every account goes to the skin of its system in the emulator: its URL and its key, so that nothing real is reached.
//! A key that is missing fails only what needs it.

use std::{cell::OnceCell, collections::BTreeMap, sync::Arc};

use super::{
    account::{self, Origin},
    context::Context,
    failure::Failure,
    home::Home,
    remote::Remote,
    wants::{self, Wants},
};
use crate::{
    contract::Catalog,
    diagnostic::{Code, Diagnostic, nearest},
    job::TargetKind,
    plan::{Offer, Plan, Work},
    project::{Account, Kind},
    provider::Provider,
    run::Bounds,
    sandbox::{Api, Sandbox},
    secret::{Redactor, Secret},
    source::Pointer,
    spec::Document,
};

/// The accounts of a project.
#[derive(Debug)]
pub(crate) struct Remotes {
    doors: Vec<Door>,
    redactor: Redactor,
    home: Home,
    context: Context,
    /// Whether the emulator stands behind all of them.
    sandbox: bool,
}

/// One account, and the way to it.
#[derive(Debug)]
pub(crate) struct Door {
    /// The alias.
    pub(crate) alias: String,
    /// What the project says of it.
    pub(crate) account: Account,
    /// Whether it is named in the project file, or its key is there.
    configured: bool,
    /// The URL and the key of the emulator.
    emulated: Option<(String, Secret)>,
    built: OnceCell<Result<Option<Remote>, Failure>>,
}

impl Door {
    /// Says where its key and its URL come from.
    pub(crate) fn origin(&self) -> Origin {
        Origin::of(&self.alias, &self.account)
    }

    /// Says whether a key for it is at hand; reads no file.
    fn has_key(&self, home: &Home) -> bool {
        self.emulated.is_some() || account::has_key(home, &self.account)
    }
}

impl Remotes {
    /// Looks at what is configured; reads no key and builds nothing. These secrets are redacted from what comes back.
    pub(crate) fn new(context: &Context, home: &Home, sandbox: Option<&Sandbox>, secrets: Vec<Secret>) -> Self {
        let doors = home.file.project.accounts().into_iter().map(|(alias, account, named)| Door {
            alias,
            configured: named || account::has_key(home, &account),
            emulated: sandbox.map(|sandbox| {
                let api = api(account.kind());
                (sandbox.base_url_of(api), Secret::new(api.key()))
            }),
            account,
            built: OnceCell::new(),
        });
        Self {
            doors: doors.collect(),
            redactor: Redactor::new(secrets),
            home: home.clone(),
            context: context.clone(),
            sandbox: sandbox.is_some(),
        }
    }

    /// Returns the account of an alias.
    pub(crate) fn door(&self, alias: &str) -> Option<&Door> {
        self.doors.iter().find(|door| door.alias == alias)
    }

    /// Returns all accounts.
    pub(crate) fn doors(&self) -> &[Door] {
        &self.doors
    }

    /// Says whether an account is named in the project file, or has a key.
    pub(crate) fn is_configured(&self, door: &Door) -> bool {
        door.configured || self.sandbox
    }

    /// Says whether the emulator stands behind the accounts.
    pub(crate) fn is_sandbox(&self) -> bool {
        self.sandbox
    }

    /// Returns the accounts that commands about accounts are about: the configured ones, in the emulator all; of these, the one that
    /// was asked for.
    ///
    /// # Errors
    ///
    /// Where there is no such account, or none is configured that fits.
    pub(crate) fn chosen(&self, alias: Option<&str>, fits: impl Fn(Kind) -> bool) -> Result<Vec<&Door>, Failure> {
        if let Some(alias) = alias {
            let Some(door) = self.door(alias) else {
                let aliases = || self.doors.iter().map(|door| door.alias.as_str());
                let failure = Failure::usage(format!("there is no provider `{alias}`"));
                return Err(match nearest(alias, aliases()) {
                    Some(near) => failure.help(format!("did you mean `{near}`?")),
                    None => failure.help(format!("the providers are {}", quoted(aliases()))),
                });
            };
            return Ok(vec![door]);
        }
        let able: Vec<_> = self.doors.iter().filter(|door| fits(door.account.kind())).collect();
        let configured: Vec<_> = able.iter().copied().filter(|door| self.is_configured(door)).collect();
        match (configured.is_empty(), able.first()) {
            (false, _) => Ok(configured),
            (true, Some(first)) => Err(Failure::no_key(&first.origin(), &others(&able[1..]))),
            (true, None) => Err(Failure::usage("the project file takes away every provider that could tell")),
        }
    }

    /// Returns the way to an account, or none where its key is missing.
    ///
    /// # Errors
    ///
    /// Where key or URL cannot be used.
    pub(crate) fn find(&self, door: &Door) -> Result<Option<Remote>, Failure> {
        door.built.get_or_init(|| self.build(door)).clone()
    }

    /// Returns the way to an account.
    ///
    /// # Errors
    ///
    /// Where its key is missing, or key or URL cannot be used.
    pub(crate) fn remote(&self, door: &Door) -> Result<Remote, Failure> {
        self.find(door)?.ok_or_else(|| Failure::no_key(&door.origin(), &[]))
    }

    fn build(&self, door: &Door) -> Result<Option<Remote>, Failure> {
        let Door { alias, account, .. } = door;
        let origin = door.origin();
        let key = match &door.emulated {
            Some((_, key)) => Some(key.clone()),
            None => account::key(&self.home, alias, account)?,
        };
        let Some(key) = key else { return Ok(None) };
        let url = self.base_url(door);
        // What is said of a gateway's own ways does not hold for the emulator.
        let account = if door.emulated.is_some() { &account.plain() } else { account };
        let provider = account::provider(account, key, url, self.redactor.clone(), self.home.world.clone());
        let provider = provider.map_err(|problem| {
            if account.base_url.is_some() {
                let at = Pointer::from_iter(["providers", alias.as_str()]);
                let diagnostic = Diagnostic::error(Code::OutOfRange, problem.to_string());
                return Failure::Invalid(vec![self.home.file.at_key(diagnostic, &at, "for this provider")]);
            }
            Failure::usage(problem.to_string())
                .help(format!("see {}, {}, `HTTPS_PROXY` in the environment", origin.key, origin.url))
        })?;
        Ok(Some(Remote::new(&self.context, origin, provider)))
    }

    /// Returns what the plan of a file may ask for, contracts left out.
    pub(crate) fn offers(&self, document: Option<&Document>) -> Vec<Offer> {
        let named = document.map(wants::named).unwrap_or_default();
        let mut offers: Vec<_> = self
            .doors
            .iter()
            .map(|door| {
                let kind = door.account.kind();
                let kinds: Vec<_> = kind.targets().iter().copied().chain([TargetKind::Http]).collect();
                Offer {
                    configured: door.configured,
                    base_url: Some(self.base_url(door)),
                    takes_operation: kind == Kind::Aimp,
                    // The others fetch a file by its URL.
                    takes_files: kind == Kind::Aimp || self.sandbox || self.home.file.project.staging.is_some(),
                    ..Offer::new(&door.alias, &kinds)
                }
            })
            .collect();
        if self.sandbox {
            first_of_each(&mut offers, document.map(wants::unnamed).unwrap_or_default());
            // In the emulator, whoever is called by its name is there, as if there were a key: a step that names nobody may then go to
            // several, and must say to whom.
            for offer in offers.iter_mut().filter(|offer| named.contains(&offer.alias)) {
                offer.configured = true;
            }
        }
        first_where_none(&mut offers);
        offers
    }

    /// Returns the base URL of an account as far as it is known without its key.
    fn base_url(&self, door: &Door) -> String {
        if let Some(Ok(Some(remote))) = door.built.get() {
            return remote.provider.base_url().to_owned();
        }
        let emulated = door.emulated.as_ref().map(|(url, _)| url.clone());
        let environment = || self.home.world.env(door.account.kind().url_variable()).map(str::to_owned);
        let given = emulated.or_else(|| door.account.base_url.clone()).or_else(environment);
        given.unwrap_or_else(|| account::default_url(door.account.kind()).to_owned())
    }

    /// Returns the accounts that files need and whose key is missing.
    pub(crate) fn without_key<'a>(&'a self, wants: &'a Wants) -> impl Iterator<Item = &'a Door> {
        wants.aliases().filter_map(|alias| self.door(alias)).filter(|door| !door.has_key(&self.home))
    }

    /// Returns the providers that a plan names, as a run wants them.
    ///
    /// # Errors
    ///
    /// Where a key is missing, or key or URL cannot be used.
    pub(crate) fn by_alias(&self, plan: &Plan) -> Result<BTreeMap<String, Arc<dyn Provider>>, Failure> {
        let mut providers = BTreeMap::new();
        for door in self.of_plan(plan) {
            providers.insert(door.alias.clone(), self.remote(door)?.provider);
        }
        Ok(providers)
    }

    /// Returns the accounts that a plan names, each once.
    pub(crate) fn of_plan(&self, plan: &Plan) -> Vec<&Door> {
        let named = |door: &&Door| {
            let mut works = plan.all().into_iter().flat_map(Plan::works);
            works.any(|work| matches!(work, Work::Run { provider, .. } if *provider == door.alias))
        };
        self.doors.iter().filter(named).collect()
    }

    /// Returns what each account may be asked at most, by alias, as a run wants it.
    pub(crate) fn bounds(&self) -> BTreeMap<String, Bounds> {
        self.doors.iter().map(|door| (door.alias.clone(), account::bounds(&door.account))).collect()
    }

    /// Reads the contracts that files want, all accounts at a time; by alias, none where the key is missing.
    pub(crate) async fn catalogs(&self, wants: &Wants) -> Vec<(String, Result<Option<Catalog>, Failure>)> {
        let reads = wants.by_alias().map(|(alias, wanted)| async move {
            let read = async {
                let Some(door) = self.door(alias) else { return Ok(None) };
                match self.find(door)? {
                    Some(remote) => remote.catalog(&wanted).await.map(Some),
                    None => Ok(None),
                }
            };
            (alias.to_owned(), read.await)
        });
        futures_util::future::join_all(reads).await
    }
}

/// Counts the first account that runs a kind as configured where none of these is: the emulator is all of them. Whom a file names for one
/// step says nothing of the others, there as elsewhere.
fn first_of_each(offers: &mut [Offer], kinds: impl IntoIterator<Item = TargetKind>) {
    for kind in kinds {
        let mut able = offers.iter_mut().filter(|offer| offer.kinds.contains(&kind));
        if let Some(first) = able.next()
            && !first.configured
            && !able.any(|offer| offer.configured)
        {
            first.configured = true;
        }
    }
}

/// Counts the first account of those that run a kind as configured where none is, so that a file can be checked, and is not told to be
/// ambiguous, before there is any key.
fn first_where_none(offers: &mut [Offer]) {
    let shares = |a: &Offer, b: &Offer| a.kinds.iter().any(|kind| *kind != TargetKind::Http && b.kinds.contains(kind));
    let firsts: Vec<_> = (0..offers.len())
        .filter(|&at| {
            let rivals = offers.iter().enumerate().filter(|(other, offer)| *other != at && shares(offer, &offers[at]));
            !offers[at].configured && rivals.into_iter().all(|(other, offer)| other > at && !offer.configured)
        })
        .collect();
    for at in firsts {
        offers[at].configured = true;
    }
}

/// Returns the emulator's skin of a system.
pub(crate) fn api(kind: Kind) -> Api {
    match kind {
        Kind::Armox => Api::Armox,
        Kind::Airmy => Api::Airmy,
        Kind::Aimp => Api::Aimp,
    }
}

fn others<'a>(doors: &[&'a Door]) -> Vec<&'a str> {
    doors.iter().map(|door| door.account.kind().key_variable()).collect()
}

fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offers(configured: &[&str]) -> Vec<(String, bool)> {
        let offer = |alias: &str, kinds: &[TargetKind]| Offer {
            configured: configured.contains(&alias),
            ..Offer::new(alias, kinds)
        };
        let mut offers = vec![
            offer("armox", &[TargetKind::Model, TargetKind::App, TargetKind::Http]),
            offer("airmy", &[TargetKind::Agent, TargetKind::Http]),
            offer("aimp", &[TargetKind::Model, TargetKind::Http]),
        ];
        first_where_none(&mut offers);
        offers.into_iter().map(|offer| (offer.alias, offer.configured)).collect()
    }

    #[test]
    fn in_the_emulator_each_kind_has_somebody() {
        let offer = |alias: &str, kinds: &[TargetKind], configured| Offer { configured, ..Offer::new(alias, kinds) };
        let find = |aimp, kinds: &[TargetKind]| {
            let mut offers = [
                offer("armox", &[TargetKind::Model, TargetKind::App], false),
                offer("aimp", &[TargetKind::Model], aimp),
            ];
            first_of_each(&mut offers, kinds.iter().copied());
            offers.map(|offer| offer.configured)
        };
        assert_eq!(find(true, &[TargetKind::Model]), [false, true], "the one that is configured is meant");
        assert_eq!(find(true, &[TargetKind::App]), [true, true]);
        assert_eq!(find(false, &[TargetKind::Model]), [true, false]);
        assert_eq!(find(false, &[]), [false, false]);
    }

    #[test]
    fn where_nobody_has_a_key_the_first_of_its_kind_is_meant() {
        let expect = |configured: &[&str], expected: [bool; 3]| {
            let found: Vec<_> = offers(configured).into_iter().map(|(_, configured)| configured).collect();
            assert_eq!(found, expected, "{configured:?}");
        };
        expect(&[], [true, true, false]);
        expect(&["aimp"], [false, true, true]);
        expect(&["armox", "aimp"], [true, true, true]);
    }
}
