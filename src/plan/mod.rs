//! The plan.

pub mod graph;

pub use graph::StepIx;
