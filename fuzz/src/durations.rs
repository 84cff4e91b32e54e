//! Durations: whatever is read is written in a way that reads as the same, and is no longer than the language allows.

use dagwood::spec::duration::{LONGEST, Period};

/// Reads a duration.
pub fn run(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match text.parse::<Period>() {
        Ok(period) => {
            assert!(period.0 <= LONGEST, "{text:?} is {period}");
            assert_eq!(period.to_string().parse(), Ok(period), "{text:?} is written as {period}");
        }
        Err(help) => assert!(!help.is_empty(), "{text:?} is refused without a word"),
    }
}
