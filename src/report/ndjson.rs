//! One JSON line per record: `--format json` of `run`.

use std::io::Write;

use super::sink::Sink;
use crate::{
    journal::{event::Record, state::RunState},
    run::observer::Observer,
};

/// Writes each record as one line of JSON, as `schemas/event.schema.json` describes it.
pub struct Ndjson(Sink);

impl Ndjson {
    /// Builds the observer over the writer that it owns from now on.
    #[must_use]
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Self(Sink::new(out))
    }
}

impl Observer for Ndjson {
    fn record(&mut self, record: &Record, _state: &RunState) {
        if !self.0.is_open() {
            return;
        }
        let mut line = serde_json::to_vec(record).expect("a record is JSON");
        line.push(b'\n');
        self.0.write(&line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::{Captured, diamond, observe};

    #[test]
    fn each_record_is_a_line_that_reads_back() {
        let records = diamond();
        let out = Captured::default();
        observe(&records, &mut Ndjson::new(out.writer()));
        let read: Vec<Record> = out.text().lines().map(|line| serde_json::from_str(line).expect("a record")).collect();
        assert_eq!(read, records);
    }
}
