//! The rates of a key: a rolling window (so many requests in any 60 seconds), and a bucket that fills again. Pure; time is passed in.

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

/// How a bucket fills: AIRMY's documents speak of requests per minute with a burst, which is read as a bucket of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refill {
    /// Tokens that come back in a minute.
    pub per_minute: u32,
    /// Tokens that the bucket holds.
    pub burst: u32,
}

impl Default for Refill {
    /// Returns the rate of AIRMY's free plan.
    fn default() -> Self {
        Self { per_minute: 100, burst: 150 }
    }
}

/// The tokens of one key.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    tokens: f64,
    filled_at: Timestamp,
}

impl Bucket {
    /// Begins full.
    #[must_use]
    pub fn new(refill: Refill, now: Timestamp) -> Self {
        Self { tokens: f64::from(refill.burst), filled_at: now }
    }

    /// Takes a token, or says how long to wait until there is one.
    ///
    /// # Errors
    /// The wait, where the bucket is empty.
    pub fn take(&mut self, refill: Refill, now: Timestamp) -> Result<(), Duration> {
        let per_second = f64::from(refill.per_minute.max(1)) / 60.0;
        let passed = now.duration_since(self.filled_at).as_secs_f64().max(0.0);
        self.tokens = (self.tokens + passed * per_second).min(f64::from(refill.burst));
        self.filled_at = now;
        if self.tokens < 1.0 {
            return Err(Duration::try_from_secs_f64((1.0 - self.tokens) / per_second).unwrap_or(WINDOW));
        }
        self.tokens -= 1.0;
        Ok(())
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

    #[test]
    fn a_bucket_takes_a_burst_and_fills_again() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a timestamp");
        let at = |seconds| start + SignedDuration::from_secs(seconds);
        let refill = Refill { per_minute: 30, burst: 3 };
        let mut bucket = Bucket::new(refill, at(0));
        assert_eq!((0..3).flat_map(|_| bucket.take(refill, at(0))).count(), 3);
        assert_eq!(bucket.take(refill, at(0)), Err(Duration::from_secs(2)));
        assert_eq!(bucket.take(refill, at(1)), Err(Duration::from_secs(1)));
        assert_eq!(bucket.take(refill, at(2)), Ok(()));
        assert_eq!((0..9).flat_map(|_| bucket.take(refill, at(600))).count(), 3, "no more than it holds");
    }
}
