//! Status words: which of an API's words mean that a job is over, and how.
//!
//! AIRMY and AIMP show one word in their documents and leave the rest open, so the usual ones are known, without case, and a
//! person can add others. What must stay true: a word that nobody knows is never the end of a job.

use super::http::{bounded, one_line};
use crate::job::JobState;

/// Words for a job that came to its end.
const DONE: [&str; 4] = ["completed", "succeeded", "success", "done"];

/// Words for a job that failed.
const FAILED: [&str; 6] = ["failed", "error", "errored", "timed_out", "timeout", "expired"];

/// Words for a job that was called off.
const CANCELLED: [&str; 3] = ["cancelled", "canceled", "aborted"];

/// Words for a job that waits to begin.
const PENDING: [&str; 4] = ["queued", "pending", "accepted", "created"];

/// Words for a job under way.
const PROCESSING: [&str; 4] = ["running", "in_progress", "processing", "started"];

/// The words that end a job, beside the usual ones. What is given here goes before the usual meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusWords {
    /// Further words for a job that came to its end.
    pub done: Vec<String>,
    /// Further words for a job that failed.
    pub failed: Vec<String>,
    /// Further words for a job that was called off.
    pub cancelled: Vec<String>,
}

impl StatusWords {
    /// Reads a status word; one that is not known is kept as it is, and does not end the job.
    #[must_use]
    pub fn state(&self, word: &str) -> JobState {
        let folded = fold(word);
        let given = |words: &[String]| words.iter().any(|known| fold(known) == folded);
        let usual = |words: &[&str]| words.contains(&folded.as_str());
        if given(&self.done) {
            JobState::Completed
        } else if given(&self.failed) {
            JobState::Failed
        } else if given(&self.cancelled) {
            JobState::Cancelled
        } else if usual(&DONE) {
            JobState::Completed
        } else if usual(&FAILED) {
            JobState::Failed
        } else if usual(&CANCELLED) {
            JobState::Cancelled
        } else if usual(&PENDING) {
            JobState::Pending
        } else if usual(&PROCESSING) {
            JobState::Processing
        } else {
            JobState::Unknown(bounded(one_line(word)))
        }
    }
}

/// Returns a word without what does not matter: case, blanks round it, and what joins its parts.
fn fold(word: &str) -> String {
    word.trim().to_lowercase().replace([' ', '-'], "_")
}

/// Returns what to tell people of a state that is odd.
pub(crate) fn warning(state: &JobState) -> Option<String> {
    match state {
        JobState::Unknown(word) if word.is_empty() => Some("the job names no status".to_owned()),
        JobState::Unknown(word) => Some(format!("the job has the unknown status `{word}`; it counts as under way")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_words_without_case() {
        let words = StatusWords::default();
        for (state, list) in [
            (JobState::Completed, &DONE[..]),
            (JobState::Failed, &FAILED),
            (JobState::Cancelled, &CANCELLED),
            (JobState::Pending, &PENDING),
            (JobState::Processing, &PROCESSING),
        ] {
            for word in list {
                assert_eq!(words.state(word), state, "{word}");
                assert_eq!(words.state(&format!(" {} ", word.to_uppercase())), state, "{word}");
            }
        }
        assert_eq!(words.state("Timed-Out"), JobState::Failed);
        let odd = words.state("re\u{1b}heating");
        assert_eq!(odd, JobState::Unknown("re heating".to_owned()));
        assert!(!odd.is_terminal() && warning(&odd).is_some() && warning(&JobState::Pending).is_none());
    }

    #[test]
    fn a_person_can_add_words_and_change_what_one_means() {
        let list = |word: &str| vec![word.to_owned()];
        let words = StatusWords { done: list("Finished"), failed: list("success"), cancelled: list("stopped") };
        for (word, state) in [
            ("finished", JobState::Completed),
            ("SUCCESS", JobState::Failed),
            ("stopped", JobState::Cancelled),
            ("completed", JobState::Completed),
        ] {
            assert_eq!(words.state(word), state, "{word}");
        }
        assert!(!StatusWords::default().state("finished").is_terminal(), "the control: nobody said so");
    }
}
