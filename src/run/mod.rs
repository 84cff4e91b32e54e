//! The run of a plan: decide, record, act.
//!
//! [`decide`] holds all policy as a pure function, `driver` is the one loop that owns a run, `attempt` and `save` are its effects,
//! [`limits`] and [`poll`] say when an API may be asked, and [`observer`]s are told what was recorded.

mod attempt;
pub mod backoff;
pub mod decide;
mod driver;
pub mod limits;
pub mod observer;
pub mod poll;
mod save;
pub mod settle;

pub use driver::{
    Bounds, Execution, GroupWish, Notice, Observation, RunError, Signal, Taken, Verdict, VerdictError, is_left_running,
    outputs_by, scope_of_run,
};
