//! The way out of an observer: a writer that falls silent at its first failure.
//!
//! A closed pipe (`dagwood run … | head`) must not stop a run that costs credits, nor panic. So a failed write drops the
//! writer, and everything after it is no work at all.

use std::io::Write;

/// A writer that is dropped when it fails.
pub(super) struct Sink(Option<Box<dyn Write + Send>>);

impl Sink {
    /// Wraps a writer.
    pub(super) fn new(out: Box<dyn Write + Send>) -> Self {
        Self(Some(out))
    }

    /// Says whether anybody still reads.
    pub(super) fn is_open(&self) -> bool {
        self.0.is_some()
    }

    /// Writes all of it at once and flushes.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        if let Some(out) = &mut self.0
            && out.write_all(bytes).and_then(|()| out.flush()).is_err()
        {
            self.0 = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_silences_it() {
        let mut sink = Sink::new(Box::new(Closed));
        assert!(sink.is_open());
        sink.write(b"a");
        assert!(!sink.is_open());
        sink.write(b"b");
    }
}
