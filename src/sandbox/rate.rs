//! The rolling rate window of a key: so many requests in any 60 seconds. Pure; time is passed in.

use std::{collections::VecDeque, time::Duration};

use jiff::{SignedDuration, Timestamp};

/// How long a request counts.
pub const WINDOW: Duration = Duration::from_mins(1);

/// The requests of one key that still count.
#[derive(Clone, Debug, Default)]
pub struct Window {
    taken: VecDeque<Timestamp>,
}

/// How a key stands after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Requests per window.
    pub limit: u32,
    /// What is left of it.
    pub remaining: u32,
    /// How long until the oldest request no longer counts.
    pub reset: Duration,
}

impl Window {
    /// Counts a request, or says how long to wait until one is free. A refused request does not count.
    ///
    /// # Errors
    /// The wait, where the window is full.
    pub fn take(&mut self, limit: u32, now: Timestamp) -> Result<Standing, Duration> {
        while self.taken.front().is_some_and(|&oldest| now.duration_since(oldest) >= span()) {
            self.taken.pop_front();
        }
        let full = u32::try_from(self.taken.len()).is_ok_and(|taken| taken >= limit);
        if full {
            return Err(self.reset(now));
        }
        self.taken.push_back(now);
        let taken = u32::try_from(self.taken.len()).unwrap_or(u32::MAX);
        Ok(Standing { limit, remaining: limit.saturating_sub(taken), reset: self.reset(now) })
    }

    fn reset(&self, now: Timestamp) -> Duration {
        let Some(&oldest) = self.taken.front() else { return WINDOW };
        Duration::try_from(span() - now.duration_since(oldest)).unwrap_or(Duration::ZERO)
    }
}

fn span() -> SignedDuration {
    SignedDuration::try_from(WINDOW).expect("a minute fits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_rolls() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a timestamp");
        let at = |seconds| start + SignedDuration::from_secs(seconds);
        let mut window = Window::default();
        assert_eq!(window.take(2, at(0)), Ok(Standing { limit: 2, remaining: 1, reset: WINDOW }));
        assert_eq!(window.take(2, at(20)), Ok(Standing { limit: 2, remaining: 0, reset: Duration::from_secs(40) }));
        assert_eq!(window.take(2, at(30)), Err(Duration::from_secs(30)));
        assert!(window.take(2, at(60)).is_ok(), "the first no longer counts");
        assert_eq!(window.take(2, at(61)), Err(Duration::from_secs(19)));
    }
}
