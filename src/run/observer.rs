//! Observers: who is told what happens in a run, after it is recorded. An observer that fails does not stop the run.

use jiff::Timestamp;

use crate::journal::{
    event::Record,
    state::{RunState, StepIndex},
};

/// Is told each record after it was applied.
pub trait Observer: Send {
    /// Takes a record and the state with it applied.
    fn record(&mut self, record: &Record, state: &RunState);

    /// Says whether [`Observer::tick`] is to be called several times a second.
    fn wants_ticks(&self) -> bool {
        false
    }

    /// Takes the time, and when each running job will be looked at next: for displays that move.
    fn tick(&mut self, _state: &RunState, _now: Timestamp, _next_look: &dyn Fn(StepIndex) -> Option<Timestamp>) {}
}
