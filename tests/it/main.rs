//! The integration tests, in one binary.

mod aimp;
mod airmy;
mod architecture;
mod armox;
mod artifact;
mod book;
mod bounds;
#[cfg(feature = "stores")]
mod bucket;
mod cache;
mod canary;
mod child;
mod cli;
mod diagnostics;
mod downloads;
#[cfg(unix)]
mod explanations;
mod fuzz;
mod hosts;
mod http;
mod kills;
mod language;
mod lock;
mod logs;
mod machine;
mod mutations;
mod notify;
mod observation;
mod openapi;
mod plan_schema;
mod project;
mod prune;
mod raw;
mod readme;
mod report;
mod request;
mod resume;
mod run;
mod sandbox;
mod sandbox_aimp;
mod sandbox_airmy;
mod scaffold;
mod schemas;
mod scripted;
mod signals;
mod simulation;
mod staging;
#[cfg(feature = "stores")]
mod stores;
mod suite;
mod told_of_nothing;
mod wire;

/// Says whether expected texts are to be written anew.
#[expect(clippy::disallowed_methods, reason = "a switch of the tests themselves, not of the library")]
fn update() -> bool {
    std::env::var_os("DAGWOOD_UPDATE").is_some_and(|value| value == "1")
}
