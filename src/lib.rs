//! Dagwood: a declarative workflow runner.

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
