//! Dagwood runs declarative workflows: YAML files that describe graphs (DAGs) of hosted model, app and agent runs.
//!
//! The `dagwood` command is a thin edge around this library. A program can do everything that it does: `examples/embed.rs` walks
//! the whole path, `examples/custom_provider.rs` brings an API of its own.
//!
//! # The path
//!
//! ```text
//!  text ──parse──▶ Workflow ──plan──▶ Plan ──run──▶ Records ──fold──▶ RunState ──▶ Report
//!        spec          (+ inputs,      decide · record · act          terminal, lines, JSON,
//!                      contracts)                                     pictures: all readers
//! ```
//!
//! Each arrow is one function with one type in and one type out; nothing flows back. What is unsettled in one stage cannot be
//! written down in the next: a [`plan::Plan`] holds no unknown name, no cycle, no unchecked input.
//!
//! - [`spec::open`] reads a file into a [`spec::Document`]: the workflow, and where each part of it stands in the text.
//! - [`plan::plan`] makes a [`plan::Plan`] of it, given the inputs of a run and what each provider offers.
//! - [`run::Execution`] runs a plan. [`run::decide`] holds all policy as a pure function; what is intended is a
//!   [`journal::event::Record`] on disk before it is done.
//! - [`journal::state::RunState`] is the fold of a run's records. Reports, exit codes and history read it and nothing else.
//! - [`report`] makes text, JSON and pictures of it.
//!
//! What is wrong comes in three families: a [`diagnostic::Diagnostic`] is about what a person wrote, a [`job::Fault`] about what an
//! API did, and the errors of modules about what the machine did.
//!
//! # The layers
//!
//! A module may use its own layer and lower numbers, but for the exceptions named. `tests/it/architecture.rs` holds the code to
//! this, and to one door for each big dependency.
//!
//! | layer | module | what it is |
//! | --- | --- | --- |
//! | 0 | [`id`] | ids as newtypes: parsing one is validating it |
//! | 0 | [`path`] | paths of saved files: parsing one is validating it |
//! | 0 | [`world`] | clock, sleep, random numbers, environment: the only door to them |
//! | 0 | [`secret`] | values that never show, and their redaction in what comes from outside |
//! | 0 | [`source`] | a text with a name; the way from a JSON pointer to a place in it |
//! | 0 | [`diagnostic`] | what is wrong with what a person wrote, as data; drawing it, explaining it |
//! | 1 | [`template`] | texts with `{{ }}`: compiled, their references known, rendered within bounds |
//! | 1 | [`tree`] | a value with templates in it |
//! | 1 | [`contract`] | what a target takes: ports, their names, a JSON Schema |
//! | 1 | [`job`] | the words of the job APIs: requests, states, faults |
//! | 1 | [`result`] | the result of a step |
//! | 2 | [`spec`] | a workflow as written: YAML with places, every key of the language |
//! | 2 | [`project`] | the project file as written: accounts, where things lie, contracts that no API publishes |
//! | 3 | [`plan`] | a workflow as settled: graph, waves, types, credits; uses neither providers nor artifacts |
//! | 3 | [`provider`] | the APIs, behind one trait; knows nothing of templates, workflows and plans |
//! | 3 | [`artifact`] | what comes out becomes files, whole or not at all; knows as little |
//! | 4 | [`journal`] | events, the fold over them, and where they are kept |
//! | 5 | [`run`] | decide, record, act; limits, looking at jobs, the one loop that owns a run |
//! | 6 | [`report`] | what people and programs see of a run |
//! | 7 | [`sandbox`] | the emulator; uses layer 0, [`contract`] and [`job`] alone, so that it can judge the rest |
//! | 7 | [`cli`] | the `dagwood` command; the only place that prints |
//!
//! # A plan from a text
//!
//! ```
//! use std::sync::Arc;
//!
//! use dagwood::{plan, source::Source, spec};
//!
//! let text = r#"
//! inputs: { name: { type: string, default: Ada } }
//! steps:
//!   greeting: { set: { text: "Hello {{ inputs.name }}" } }
//!   letter: { set: { body: "{{ steps.greeting.output.text }}!" } }
//! "#;
//! let (document, wrong) = spec::load(Arc::new(Source::new("hello.yaml", text)), "hello");
//! assert!(wrong.is_empty());
//!
//! // Nothing is offered, since `set` needs no provider.
//! let outcome = plan::plan(&Arc::new(document.expect("it was read")), Some(&plan::Given::default()), &[]);
//! assert_eq!(outcome.plan.expect("nothing is wrong with it").waves().len(), 2);
//! ```

pub mod artifact;
pub mod cli;
pub mod contract;
pub mod diagnostic;
pub mod id;
pub mod job;
pub mod journal;
pub mod path;
pub mod plan;
pub mod project;
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
