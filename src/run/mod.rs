//! The run of a plan: decide, record, act.

pub mod backoff;
pub mod decide;
pub mod limits;
pub mod observer;
pub mod poll;
