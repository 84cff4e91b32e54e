//! Which provider a step goes to, and which target its name means there (LANGUAGE.md, sections 3 and 5).
//!
//! Each name is looked up once, and its contract compiled once, however many steps run it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde_json::{Map, Value};

use super::{
    Offer,
    site::{At, Site, helped},
};
use crate::{
    contract::{Checker, Contract},
    diagnostic::{Code, Diagnostic, nearest},
    job::{Target, TargetKind},
    source::Pointer,
    spec::Step,
};

/// What plans call the provider of a step with `http` that names none; see `provider::web`.
const ANY_SERVER: &str = "http";

/// What a step runs.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The alias of the provider.
    pub(super) provider: String,
    pub(super) checker: Arc<Checker>,
    /// Whether the API was asked for it, though it may publish nothing.
    pub(super) read: bool,
    /// What the provider takes beside the inputs.
    pub(super) takes: Takes,
}

/// What a provider takes, beyond values.
#[derive(Clone, Debug, Default)]
pub(super) struct Takes {
    /// A local file can be handed to it.
    pub(super) files: bool,
    /// Its runs have an operation.
    pub(super) operation: bool,
    /// Where it is; none where that is not known, or where any URL will do.
    pub(super) base_url: Option<String>,
}

/// Finds targets, and remembers them.
#[derive(Debug)]
pub(super) struct Targets<'a> {
    offers: &'a [Offer],
    /// Whether this is for a run; otherwise a provider without a key may be planned for.
    to_run: bool,
    found: HashMap<(usize, TargetKind, &'a str), Option<Found>>,
    /// Kinds and aliases for which it was told that no provider is there.
    told: HashSet<String>,
}

impl<'a> Targets<'a> {
    pub(super) fn new(offers: &'a [Offer], to_run: bool) -> Self {
        Self { offers, to_run, found: HashMap::new(), told: HashSet::new() }
    }

    /// Returns what a step runs, or tells why that is not known.
    pub(super) fn find(
        &mut self,
        site: &Site<'a>,
        step: &'a Step,
        pointer: &Pointer,
        kind: TargetKind,
        name: &'a str,
    ) -> Option<Found> {
        let offer = self.provider(site, step, pointer, kind)?;
        if let Some(Some(found)) = self.found.get(&(offer, kind, name)) {
            return Some(found.clone());
        }
        let Offer { alias, catalog, .. } = &self.offers[offer];
        let takes = self.takes(offer);
        let found = match catalog {
            None => Some(Found {
                provider: alias.clone(),
                checker: Arc::new(Checker::new(unread(kind, name))),
                read: false,
                takes,
            }),
            Some(catalog) => match catalog.find(kind, name).as_slice() {
                [contract] => {
                    Some(Found { provider: alias.clone(), checker: self.compiled(offer, contract), read: true, takes })
                }
                [] => {
                    let known: Vec<_> = catalog.of_kind(kind).collect();
                    Self::unknown(site, pointer, kind, name, alias, &known);
                    None
                }
                several => {
                    ambiguous(site, pointer, kind, name, several);
                    None
                }
            },
        };
        self.found.insert((offer, kind, name), found.clone());
        found
    }

    /// Returns whom a step with `http` asks: a provider's API where it names one, else any server. The provider under `defaults` is for jobs:
    /// a workflow that names one there may still ask other servers.
    pub(super) fn request(
        &mut self,
        site: &Site<'_>,
        step: &Step,
        pointer: &Pointer,
        parts: &Map<String, Value>,
    ) -> Option<Found> {
        let (provider, takes) = match step.provider.as_deref() {
            Some(alias) => {
                let offer = self.named(site, alias, &pointer.join("provider"), pointer, TargetKind::Http)?;
                (self.offers[offer].alias.clone(), self.takes(offer))
            }
            None => (ANY_SERVER.to_owned(), Takes::default()),
        };
        let method = parts.get("method").and_then(Value::as_str).unwrap_or("GET");
        let url = parts.get("url").and_then(Value::as_str).unwrap_or_default();
        let name = format!("{method} {}", url.split('?').next().unwrap_or_default());
        let contract = Contract::unchecked(Target { kind: TargetKind::Http, id: name.clone() }, name);
        Some(Found { provider, checker: Arc::new(Checker::new(contract)), read: false, takes })
    }

    fn takes(&self, offer: usize) -> Takes {
        let Offer { takes_files, takes_operation, base_url, .. } = &self.offers[offer];
        Takes { files: *takes_files, operation: *takes_operation, base_url: base_url.clone() }
    }

    /// Returns the compiled contract; one app that is named by name and by id is compiled once.
    fn compiled(&self, offer: usize, contract: &Contract) -> Arc<Checker> {
        let known =
            self.found.iter().filter(|((place, ..), _)| *place == offer).filter_map(|(_, found)| found.as_ref());
        let same = known.map(|found| &found.checker).find(|checker| checker.contract().target == contract.target);
        same.map_or_else(|| Arc::new(Checker::new(contract.clone())), Arc::clone)
    }

    fn provider(&mut self, site: &Site<'_>, step: &Step, pointer: &Pointer, kind: TargetKind) -> Option<usize> {
        let own = step.provider.as_deref().map(|alias| (alias, pointer.join("provider")));
        let default = || {
            let alias = site.document.workflow.defaults.provider.as_deref()?;
            Some((alias, Pointer::from_iter(["defaults", "provider"])))
        };
        match own.or_else(default) {
            Some((alias, place)) => self.named(site, alias, &place, pointer, kind),
            None => self.only(site, pointer, kind),
        }
    }

    fn named(
        &mut self,
        site: &Site<'_>,
        alias: &str,
        place: &Pointer,
        step: &Pointer,
        kind: TargetKind,
    ) -> Option<usize> {
        let Some(index) = self.offers.iter().position(|offer| offer.alias == alias) else {
            if self.told.insert(place.to_string()) {
                let aliases: Vec<_> = self.offers.iter().map(|offer| offer.alias.as_str()).collect();
                let help = match nearest(alias, aliases.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the providers are {}", quoted(&aliases)),
                };
                let diagnostic = Diagnostic::error(Code::UnknownProvider, format!("there is no provider `{alias}`"));
                site.tell(site.at(diagnostic, &At::Value(place), "unknown provider").help(help));
            }
            return None;
        };
        let offer = &self.offers[index];
        if !offer.kinds.contains(&kind) {
            let message = format!("provider `{alias}` does not run a step with `{kind}`");
            let verbs: Vec<_> = offer.kinds.iter().map(|kind| kind.verb()).collect();
            let diagnostic =
                site.at(Diagnostic::error(Code::ProviderVerb, message), &At::Key(&step.join(kind.verb())), "");
            let diagnostic = site.also(diagnostic, &At::Value(place), format!("it runs {}", quoted(&verbs)));
            site.tell(diagnostic);
            return None;
        }
        if self.to_run && !offer.configured {
            self.no_key(site, &At::Value(place), format!("provider `{alias}` has no key"), &[alias]);
            return None;
        }
        Some(index)
    }

    fn only(&mut self, site: &Site<'_>, pointer: &Pointer, kind: TargetKind) -> Option<usize> {
        let able = || self.offers.iter().enumerate().filter(|(_, offer)| offer.kinds.contains(&kind));
        let configured: Vec<_> = able().filter(|(_, offer)| offer.configured).collect();
        let verb = pointer.join(kind.verb());
        match (configured.as_slice(), able().collect::<Vec<_>>().as_slice()) {
            ([(index, _)], _) => Some(*index),
            // A workflow can be validated before there is a key.
            ([], [(index, _)]) if !self.to_run => Some(*index),
            ([], []) => {
                if self.told.insert(kind.to_string()) {
                    let diagnostic =
                        Diagnostic::error(Code::NoProvider, format!("no provider runs steps with `{kind}`"));
                    site.tell(site.at(diagnostic, &At::Key(&verb), "nobody can run this"));
                }
                None
            }
            ([], able) => {
                let aliases: Vec<_> = able.iter().map(|(_, offer)| offer.alias.as_str()).collect();
                let message = format!("no provider is configured that runs steps with `{kind}`");
                self.no_key(site, &At::Key(&verb), message, &aliases);
                None
            }
            (several, _) => {
                if self.told.insert(kind.to_string()) {
                    let aliases: Vec<_> = several.iter().map(|(_, offer)| offer.alias.as_str()).collect();
                    let message = format!("several providers run steps with `{kind}`: {}", quoted(&aliases));
                    let help = format!("name one: `provider: {}` in the step, or under `defaults`", aliases[0]);
                    let diagnostic = Diagnostic::error(Code::SeveralProviders, message);
                    site.tell(site.at(diagnostic, &At::Key(&verb), "which one is meant?").help(help));
                }
                None
            }
        }
    }

    fn no_key(&mut self, site: &Site<'_>, at: &At<'_>, message: String, aliases: &[&str]) {
        if !self.told.insert(message.clone()) {
            return;
        }
        let variables: Vec<_> =
            aliases.iter().map(|alias| format!("{}_API_KEY", alias.to_uppercase().replace('-', "_"))).collect();
        let help = format!("set {}, or try it without a key: `--sandbox`", variables.join(" or "));
        site.tell(site.at(Diagnostic::error(Code::NoProvider, message), at, "needs a provider").help(help));
    }

    fn unknown(site: &Site<'_>, pointer: &Pointer, kind: TargetKind, name: &str, alias: &str, known: &[&Contract]) {
        const LISTED: usize = 6;
        let help = if site.has_time() {
            let names = known.iter().map(|contract| contract.name.as_str());
            let ids = known.iter().map(|contract| contract.target.id.as_str());
            // A model is found by its id only.
            let near = nearest(name, ids.clone()).map(str::to_owned).or_else(|| match kind {
                TargetKind::Model => {
                    let near = nearest(name, names.clone())?;
                    known.iter().find(|contract| contract.name == near).map(|contract| contract.target.id.clone())
                }
                _ => nearest(name, names.clone()).map(str::to_owned),
            });
            let of_name = |contract: &&Contract| match kind {
                TargetKind::Model => contract.target.id.clone(),
                _ => contract.name.clone(),
            };
            match near {
                Some(near) => Some(format!("did you mean `{near}`?")),
                None if known.is_empty() => Some(format!("it offers no {kind}s")),
                None => {
                    let names: Vec<_> = known.iter().take(LISTED).map(of_name).collect();
                    let names: Vec<_> = names.iter().map(String::as_str).collect();
                    let more = if known.len() > LISTED { ", …" } else { "" };
                    Some(format!("it has {}{more}; `dagwood {kind}s` lists all", quoted(&names)))
                }
            }
        } else {
            None
        };
        let diagnostic = Diagnostic::error(Code::UnknownTarget, format!("provider `{alias}` has no {kind} `{name}`"));
        let place = pointer.join(kind.verb());
        site.tell(helped(site.at(diagnostic, &At::Value(&place), format!("unknown {kind}")), help));
    }
}

fn ambiguous(site: &Site<'_>, pointer: &Pointer, kind: TargetKind, name: &str, several: &[&Contract]) {
    let ids: Vec<_> = several.iter().map(|contract| contract.target.id.as_str()).collect();
    let place = pointer.join(kind.verb());
    let diagnostic = Diagnostic::error(Code::AmbiguousTarget, format!("{} {kind}s are called `{name}`", several.len()))
        .help(format!("name one by its id: {}", quoted(&ids)));
    site.tell(site.at(diagnostic, &At::Value(&place), "which one is meant?"));
}

/// Returns the contract of a target of which nothing was read.
fn unread(kind: TargetKind, name: &str) -> Contract {
    Contract::unchecked(Target { kind, id: name.to_owned() }, name)
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
