//! The run of a plan: decide, record, act.

pub mod observer;
