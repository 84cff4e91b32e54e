//! The journal of runs: records, their fold, and where they are kept.

pub mod event;
pub mod state;
