//! What the plan is made against: the emulator's three systems, as `offers.lock` keeps their contracts. A test of Dagwood holds the file
//! to what the emulator says; here no emulator runs.

use std::sync::{Arc, OnceLock};

use dagwood::{contract::lock, plan::Offer, project::Kind, source::Source};

/// The emulator's contracts.
const CONTRACTS: &str = include_str!("../offers.lock");

/// Returns the same, where there is a key for each.
pub(super) fn with_keys() -> &'static [Offer] {
    static OFFERS: OnceLock<Vec<Offer>> = OnceLock::new();
    OFFERS.get_or_init(|| offers().iter().map(|offer| Offer { configured: true, ..offer.clone() }).collect())
}

/// Returns what the emulator offers. There is no key for AIMP, as for most people, so that a model alone is one of Armox.
pub(super) fn offers() -> &'static [Offer] {
    static OFFERS: OnceLock<Vec<Offer>> = OnceLock::new();
    OFFERS.get_or_init(|| {
        let locked = lock::read(&Arc::new(Source::new("offers.lock", CONTRACTS))).expect("it was written by a test");
        let mut catalogs = lock::catalogs(locked);
        let mut offer = |kind: Kind, base_url: Option<&str>| Offer {
            catalog: catalogs.remove(kind.word()),
            base_url: base_url.map(str::to_owned),
            ..Offer::new(kind.word(), kind.targets())
        };
        vec![
            offer(Kind::Armox, None),
            offer(Kind::Airmy, Some("https://api.airmy.dev/v2")),
            Offer {
                configured: false,
                takes_files: true,
                takes_operation: true,
                ..offer(Kind::Aimp, Some("http://localhost:8080/api"))
            },
        ]
    })
}
