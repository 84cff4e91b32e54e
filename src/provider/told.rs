//! What several answers said beside their bodies, as one answer: a call of a provider may take several requests.

use jiff::Timestamp;

use super::{Answer, RateHint};
use crate::job::Fault;

/// What the headers of several answers said, the last one counting that said something.
#[derive(Default)]
pub(super) struct Told {
    rate: RateHint,
    server_time: Option<Timestamp>,
}

impl Told {
    /// Takes what an answer said, and returns its result.
    pub(super) fn take<T>(&mut self, answer: Answer<T>) -> Result<T, Fault> {
        if answer.rate != RateHint::default() {
            self.rate = answer.rate;
        }
        self.server_time = answer.server_time.or(self.server_time);
        answer.result
    }

    /// Returns the one answer.
    pub(super) fn answer<T>(self, result: Result<T, Fault>) -> Answer<T> {
        Answer { result, rate: self.rate, server_time: self.server_time }
    }
}
