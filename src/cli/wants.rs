//! What workflows want of each provider: the targets that they name, by alias, so that just these are read.
//!
//! The rule by which a step finds its provider is the plan's (LANGUAGE.md, section 3). It is followed here before there is a plan, since a
//! plan wants the contracts; where no provider is found, the plan tells why.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    job::TargetKind,
    plan::Offer,
    provider::Wanted,
    source::Pointer,
    spec::{Document, Verb},
};

/// The targets that files name, by alias.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wants {
    by_alias: BTreeMap<String, BTreeSet<(TargetKind, String)>>,
}

/// A step with the target that it names, and where.
#[derive(Debug)]
pub(crate) struct Named<'a> {
    /// The alias of its provider.
    pub(crate) alias: &'a str,
    /// What kind of target.
    pub(crate) kind: TargetKind,
    /// Its name as written.
    pub(crate) name: &'a str,
    /// The file that names it.
    pub(crate) document: &'a Document,
    /// Where that is written.
    pub(crate) pointer: Pointer,
}

impl Wants {
    /// Gathers what a file wants.
    pub(crate) fn of(document: &Document, offers: &[Offer]) -> Self {
        let mut wants = Self::default();
        for Named { alias, kind, name, .. } in targets(document, offers) {
            wants.by_alias.entry(alias.to_owned()).or_default().insert((kind, name.to_owned()));
        }
        // A request through a provider wants no contract, but its key.
        for alias in verbs(document).filter_map(|found| requested(&found)) {
            wants.by_alias.entry(alias.to_owned()).or_default();
        }
        wants
    }

    /// Gathers what several files want, each with its own offers.
    pub(crate) fn of_all<'a>(files: impl IntoIterator<Item = (&'a Document, &'a [Offer])>) -> Self {
        let mut all = Self::default();
        for (document, offers) in files {
            for (alias, names) in Self::of(document, offers).by_alias {
                all.by_alias.entry(alias).or_default().extend(names);
            }
        }
        all
    }

    /// Returns the aliases that files need.
    pub(crate) fn aliases(&self) -> impl Iterator<Item = &str> {
        self.by_alias.keys().map(String::as_str)
    }

    /// Returns what to read of each catalogue.
    pub(crate) fn by_alias(&self) -> impl Iterator<Item = (&str, Wanted)> {
        self.by_alias
            .iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(alias, names)| (alias.as_str(), Wanted::Named(names.iter().cloned().collect())))
    }

    /// Says whether no contract is wanted.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_alias().next().is_none()
    }
}

/// Returns the aliases that a file, and those that its steps run, call by their names.
pub(crate) fn named(document: &Document) -> BTreeSet<String> {
    let named = verbs(document).filter_map(|found| found.provider.map(str::to_owned));
    let defaults = document.all().into_iter().filter_map(|document| document.workflow.defaults.provider.clone());
    defaults.chain(named).collect()
}

/// Returns the kinds of targets of which a file does not say whose they are.
pub(crate) fn unnamed(document: &Document) -> BTreeSet<TargetKind> {
    let kinds = verbs(document).filter_map(|found| match found.verb {
        Verb::Run { kind, .. } if found.provider.is_none() => Some((*kind, found.document)),
        _ => None,
    });
    kinds.filter(|(_, document)| document.workflow.defaults.provider.is_none()).map(|(kind, _)| kind).collect()
}

/// Returns the targets that a file, and those that its steps run, name, with the providers that they are of, as far as that is clear.
pub(crate) fn targets<'a>(document: &'a Document, offers: &'a [Offer]) -> impl Iterator<Item = Named<'a>> {
    verbs(document).filter_map(move |found| {
        let Verb::Run { kind, name } = found.verb else { return None };
        let default = found.document.workflow.defaults.provider.as_deref();
        let alias = provider(offers, found.provider.or(default), *kind)?;
        Some(Named { alias, kind: *kind, name, document: found.document, pointer: found.pointer.join(kind.verb()) })
    })
}

/// A verb of a step, or of what stands in for it.
struct Found<'a> {
    document: &'a Document,
    pointer: Pointer,
    verb: &'a Verb,
    /// The alias that it goes to, where it says.
    provider: Option<&'a str>,
}

/// Returns every verb of a file, and of those that its steps run. What an entry of `fallback` leaves out is as in its step.
fn verbs(document: &Document) -> impl Iterator<Item = Found<'_>> {
    document.all().into_iter().flat_map(|document| {
        document.workflow.all_steps().flat_map(move |(id, step, finally)| {
            let pointer = Pointer::from_iter([if finally { "finally" } else { "steps" }]).join(id);
            let own =
                Found { document, pointer: pointer.clone(), verb: &step.verb, provider: step.provider.as_deref() };
            let entries = step.fallback.iter().enumerate().map(move |(place, entry)| {
                let verb = entry.verb.as_ref().unwrap_or(&step.verb);
                let alike = verb.key() == step.verb.key();
                Found {
                    document,
                    pointer: if entry.verb.is_some() { pointer.join("fallback").join(place) } else { pointer.clone() },
                    verb,
                    provider: entry.provider.as_deref().or_else(|| step.provider.as_deref().filter(|_| alike)),
                }
            });
            std::iter::once(own).chain(entries)
        })
    })
}

/// Returns the alias that a step's request goes through.
fn requested<'a>(found: &Found<'a>) -> Option<&'a str> {
    found.provider.filter(|_| matches!(found.verb, Verb::Http(_)))
}

/// Returns the alias of the provider that runs a step of this kind: the one that is named, else the only configured one, else the only one.
fn provider<'a>(offers: &'a [Offer], alias: Option<&str>, kind: TargetKind) -> Option<&'a str> {
    let able: Vec<_> = offers.iter().filter(|offer| offer.kinds.contains(&kind)).collect();
    let configured: Vec<_> = able.iter().copied().filter(|offer| offer.configured).collect();
    let found = match (alias, configured.as_slice()) {
        (Some(alias), _) => able.into_iter().find(|offer| offer.alias == alias),
        (None, [only]) => Some(*only),
        // Nobody is configured: the first one's key is missing.
        (None, []) => able.first().copied(),
        (None, _) => None,
    };
    found.map(|offer| offer.alias.as_str())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{source::Source, spec};

    #[test]
    fn each_target_is_asked_of_its_provider_once() {
        let text = "
defaults: { provider: armox }
steps:
  a: { model: x/y }
  b: { model: x/y }
  c: { provider: aimp, model: cap }
  d: { provider: airmy, agent: Writer }
  e: { provider: airmy, http: { url: /metrics } }
  f: { provider: nobody, model: z }
  g: { set: { k: 1 } }
";
        let (document, _) = spec::load(Arc::new(Source::new("a.yaml", text)), "a");
        let document = document.expect("a document");
        let offers = [
            Offer::new("armox", &[TargetKind::Model, TargetKind::App]),
            Offer::new("airmy", &[TargetKind::Agent, TargetKind::Pipeline]),
            Offer::new("aimp", &[TargetKind::Model]),
        ];
        let wants = Wants::of(&document, &offers);
        let named = |kind, name: &str| Wanted::Named(vec![(kind, name.to_owned())]);
        let expected = [
            ("aimp", named(TargetKind::Model, "cap")),
            ("airmy", named(TargetKind::Agent, "Writer")),
            ("armox", named(TargetKind::Model, "x/y")),
        ];
        assert_eq!(wants.by_alias().collect::<Vec<_>>(), expected);
        let places: Vec<_> = targets(&document, &offers).map(|named| named.pointer.to_string()).collect();
        assert_eq!(places, ["/steps/a/model", "/steps/b/model", "/steps/c/model", "/steps/d/agent"]);
        assert!(super::named(&document).contains("nobody"));
    }

    #[test]
    fn a_step_that_names_nobody_goes_to_the_only_configured_one() {
        let offer = |alias: &str, configured| Offer { configured, ..Offer::new(alias, &[TargetKind::Model]) };
        let find = |offers: &[Offer]| provider(offers, None, TargetKind::Model).map(str::to_owned);
        assert_eq!(find(&[offer("a", false), offer("b", true)]).as_deref(), Some("b"));
        assert_eq!(find(&[offer("a", true), offer("b", true)]), None);
        assert_eq!(find(&[offer("a", false), offer("b", false)]).as_deref(), Some("a"));
        assert_eq!(find(&[]), None);
    }
}
