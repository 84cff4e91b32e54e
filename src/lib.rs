//! Dagwood: a declarative workflow runner.
//!
//! ```text
//!  text ──parse──▶ Workflow ──plan──▶ Plan ──run──▶ Records ──fold──▶ RunState ──▶ Report
//!        spec          (+ inputs,      decide · record · act          terminal, lines, JSON,
//!                      contracts)                                     pictures: all readers
//! ```
//!
//! Each arrow is one function with one type in and one type out; nothing flows back. `examples/embed.rs` walks the whole path.
//!
//! | layer | modules | may use |
//! | --- | --- | --- |
//! | 0 | [`id`], [`world`], [`secret`], [`source`], [`diagnostic`] | each other |
//! | 1 | [`template`], [`tree`], [`contract`], [`job`], [`result`] | 0 |
//! | 2 | [`spec`]: the language as written | 0–1 |
//! | 3 | [`plan`]: what is settled before a run | 0–2 |
//! | 3 | [`provider`], [`artifact`]: the outside; they know nothing of workflows | 0–1 but templates |
//! | 4 | [`journal`]: records, their fold, and where they are kept | 0–3 |
//! | 5 | [`run`]: decide, record, act | 0–4 |
//! | 6 | [`report`]: what people and programs see | 0–5 |
//! | 7 | [`sandbox`] (uses 0, contracts and jobs alone), [`cli`] | all |
//!
//! `tests/it/architecture.rs` holds the code to this table.

pub mod artifact;
pub mod cli;
pub mod contract;
pub mod diagnostic;
pub mod id;
pub mod job;
pub mod journal;
pub mod plan;
pub mod provider;
pub mod report;
pub mod result;
pub mod run;
pub mod sandbox;
pub mod secret;
pub mod source;
pub mod spec;
pub mod template;
pub mod tree;
pub mod world;
