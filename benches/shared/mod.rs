//! What several benches plan with.

use dagwood::{
    contract::{Catalog, Contract, Port, ValueKind},
    job::{Target, TargetKind},
    plan::Offer,
};

/// Returns the offer of a provider `api` that has one model, `m`, which takes a `prompt` and gives a text.
pub(crate) fn offer() -> Offer {
    let contract = Contract {
        schema: None,
        modes: Vec::new(),
        unchecked: false,
        target: Target { kind: TargetKind::Model, id: "m".to_owned() },
        name: "m".to_owned(),
        description: None,
        cost: Some(1.0),
        output: Some(ValueKind::Text),
        open: false,
        ports: vec![Port::new("prompt", ValueKind::Text)],
    };
    Offer { catalog: Some(Catalog::new(vec![contract])), ..Offer::new("api", &[TargetKind::Model]) }
}
