//! The language as it runs, key by key, on a scripted provider under virtual time: what LANGUAGE.md promises of fan-outs, of the flow between
//! steps, of budgets, of workflows in workflows, and of results. That all of it survives crashes is the simulator's to show.

mod budget;
mod fan_out;
mod flow;
mod group;
mod keys;
mod nested;
mod results;
mod vars;

use std::time::Duration;

use crate::scripted::Behaviour;

/// A model whose jobs take so long.
fn takes(milliseconds: u64) -> Behaviour {
    Behaviour { takes: Duration::from_millis(milliseconds), ..Behaviour::default() }
}

/// A model whose jobs all fail.
fn failing() -> Behaviour {
    Behaviour { outcome: Err("it is overloaded".to_owned()), ..takes(100) }
}
