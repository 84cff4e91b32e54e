//! The rate of one API key: what may be sent now, and when to ask again.
//!
//! The limiter follows what the API says (`X-RateLimit-*`, 429 with `Retry-After`) and keeps its own account of the rolling minute,
//! because answers come late and in any order. Cancels may use the whole rate and so may looks; submits leave a fifth of it, so that
//! running jobs are always seen. Until the first answer has told the limit, only a few requests are out, so that a wide workflow does
//! not run into a 429 before anything is known.

use std::{collections::VecDeque, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::decide::later;
use crate::{
    job::{Fault, FaultKind},
    provider::{Rate, RateHint},
};

/// The rolling window of every documented limit.
const WINDOW: SignedDuration = SignedDuration::from_secs(60);

/// Requests that may be out before the first answer.
const UNTOLD: u32 = 4;

/// A 429 holds everything back for at least this long, whatever it says.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// And for at most this long; an API that wants more is asked again then.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To call a job off.
    Cancel,
    /// To submit a job.
    Submit,
    /// To look at jobs.
    Look,
}

/// When to ask for a permit again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Then.
    Until(Timestamp),
    /// After the next answer.
    Answer,
}

/// The rate of one key.
#[derive(Clone, Debug, Default)]
pub struct Limiter {
    /// Requests in a window, as the API says.
    limit: Option<u32>,
    /// When the requests of this window left.
    sent: VecDeque<Timestamp>,
    /// What is left by the API's account, less what has left since.
    remaining: Option<(u32, Timestamp)>,
    /// Nothing leaves before.
    blocked: Option<Timestamp>,
    in_flight: u32,
    told: bool,
    /// Where a rate is documented or configured: what may leave before the API says anything.
    bucket: Option<Bucket>,
}

/// A token bucket: it holds a burst, and is refilled evenly.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    burst: f64,
    per_second: f64,
    /// What is in it; below zero where something left all the same.
    level: f64,
    filled_at: Timestamp,
}

impl Bucket {
    fn fill(&mut self, now: Timestamp) {
        let passed = now.duration_since(self.filled_at).as_secs_f64().max(0.0);
        self.level = (self.level + passed * self.per_second).min(self.burst);
        self.filled_at = now;
    }

    /// Returns how many may leave when `kept` are kept, or when the next one may.
    fn free(&self, kept: f64) -> Result<usize, Timestamp> {
        let free = self.level - kept;
        if free < 1.0 {
            let wait = Duration::try_from_secs_f64((1.0 - free) / self.per_second).unwrap_or(LONGEST_WAIT);
            return Err(later(self.filled_at, wait));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at least one, and at most a burst"
        )]
        Ok(free as usize)
    }
}

impl Limiter {
    /// Returns the limiter of a key whose rate is known before its API has said anything. Whether a burst comes on top of the minute, and
    /// whether the minute rolls, is not documented where there is one (`apis/airmy.md`), so the server's 429 has the last word.
    #[must_use]
    pub fn paced(rate: Rate, now: Timestamp) -> Self {
        let burst = f64::from(rate.burst.max(1));
        let per_second = f64::from(rate.per_minute.max(1)) / 60.0;
        let bucket = Bucket { burst, per_second, level: burst, filled_at: now };
        Self { bucket: Some(bucket), ..Self::default() }
    }

    /// Takes a permit to send one request now.
    ///
    /// # Errors
    ///
    /// When to ask again.
    pub fn take(&mut self, purpose: Purpose, now: Timestamp) -> Result<(), Wait> {
        self.available(purpose, now)?;
        self.force(now);
        Ok(())
    }

    /// Notes that a request leaves now, whatever the rate: a cancel that a signal wants within seconds.
    pub fn force(&mut self, now: Timestamp) {
        self.in_flight += 1;
        if let Some(bucket) = &mut self.bucket {
            bucket.fill(now);
            bucket.level -= 1.0;
        }
        if self.limit.is_some() || !self.told {
            self.sent.push_back(now);
        }
        if let Some((remaining, _)) = &mut self.remaining {
            *remaining = remaining.saturating_sub(1);
        }
    }

    /// Returns how many requests may leave now: at least one.
    ///
    /// # Errors
    ///
    /// When to ask again, where none may.
    pub fn available(&mut self, purpose: Purpose, now: Timestamp) -> Result<usize, Wait> {
        if let Some(blocked) = self.blocked {
            if blocked > now {
                return Err(Wait::Until(blocked));
            }
            self.blocked = None;
        }
        let mut paced = usize::MAX;
        if let Some(bucket) = &mut self.bucket {
            bucket.fill(now);
            let kept = if purpose == Purpose::Submit { (bucket.burst / 5.0).floor() } else { 0.0 };
            paced = bucket.free(kept).map_err(Wait::Until)?;
        }
        if !self.told && self.bucket.is_none() {
            let free = UNTOLD.saturating_sub(self.in_flight) as usize;
            return if free > 0 { Ok(free) } else { Err(Wait::Answer) };
        }
        while self.sent.front().is_some_and(|&sent| now.duration_since(sent) >= WINDOW) {
            self.sent.pop_front();
        }
        let Some(limit) = self.limit else { return Ok(paced) };
        let kept = if purpose == Purpose::Submit { limit / 5 } else { 0 };
        let most = (limit - kept).max(1) as usize;
        if self.sent.len() >= most {
            return Err(Wait::Until(later(self.sent[self.sent.len() - most], WINDOW.unsigned_abs())));
        }
        let mut free = paced.min(most - self.sent.len());
        if let Some((remaining, reset)) = self.remaining {
            if reset <= now {
                self.remaining = None;
            } else if remaining <= kept {
                return Err(Wait::Until(reset));
            } else {
                free = free.min((remaining - kept) as usize);
            }
        }
        Ok(free)
    }

    /// Notes that nobody waits any more for the answer to a request.
    pub fn given_up(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Notes that a request was answered, or failed. Returns until when everything is held back, where the answer is a 429.
    pub fn answered(
        &mut self,
        rate: &RateHint,
        fault: Option<&Fault>,
        default_wait: Duration,
        now: Timestamp,
    ) -> Option<Timestamp> {
        self.in_flight = self.in_flight.saturating_sub(1);
        // A connection that was not made tells nothing about a limit, but there is nothing to wait for either.
        self.told = true;
        if rate.limit.is_some() {
            self.limit = rate.limit.map(|limit| limit.max(1));
        } else if self.limit.is_none() {
            self.sent.clear();
        }
        if let (Some(remaining), Some(reset)) = (rate.remaining, rate.reset) {
            let reset = later(now, reset.min(LONGEST_WAIT));
            self.remaining = Some((remaining.saturating_sub(self.in_flight), reset));
        }
        let fault = fault.filter(|fault| fault.kind == FaultKind::RateLimited)?;
        let wait = fault.retry_after.unwrap_or(default_wait).clamp(SHORTEST_WAIT, LONGEST_WAIT);
        let until = later(now, wait);
        self.blocked = self.blocked.max(Some(until));
        self.blocked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: RateHint = RateHint { limit: None, remaining: None, reset: None };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + seconds).expect("a timestamp")
    }

    fn told(limit: u32) -> Limiter {
        let mut limiter = Limiter::default();
        limiter.take(Purpose::Look, at(0)).expect("the first one may leave");
        let rate = RateHint { limit: Some(limit), remaining: Some(limit - 1), reset: Some(Duration::from_mins(1)) };
        limiter.answered(&rate, None, Duration::from_mins(1), at(0));
        limiter
    }

    #[test]
    fn a_few_may_leave_before_the_first_answer() {
        let mut limiter = Limiter::default();
        for _ in 0..UNTOLD {
            limiter.take(Purpose::Submit, at(0)).expect("a few may leave");
        }
        assert_eq!(limiter.take(Purpose::Submit, at(0)), Err(Wait::Answer));
        limiter.answered(&NONE, None, Duration::from_mins(1), at(0));
        for _ in 0..1000 {
            limiter.take(Purpose::Submit, at(0)).expect("an API without a limit has none");
        }
    }

    #[test]
    fn submits_leave_a_fifth_of_the_rate_for_looks() {
        let mut limiter = told(10);
        for _ in 0..7 {
            limiter.take(Purpose::Submit, at(1)).expect("within the rate");
        }
        // The request at 0 is the oldest of eight.
        assert_eq!(limiter.take(Purpose::Submit, at(1)), Err(Wait::Until(at(60))));
        limiter.take(Purpose::Look, at(1)).expect("looks have the rest");
        limiter.take(Purpose::Cancel, at(1)).expect("and so have cancels");
        assert_eq!(limiter.take(Purpose::Look, at(1)), Err(Wait::Until(at(60))));
        limiter.take(Purpose::Look, at(61)).expect("the window has moved on");
    }

    #[test]
    fn a_documented_rate_is_a_bucket_with_a_burst() {
        let mut limiter = Limiter::paced(Rate { per_minute: 60, burst: 10 }, at(0));
        for _ in 0..8 {
            limiter.take(Purpose::Submit, at(0)).expect("a burst may leave at once, before any answer");
        }
        // A fifth of the burst is kept for looks; one comes back each second.
        assert_eq!(limiter.take(Purpose::Submit, at(0)), Err(Wait::Until(at(1))));
        limiter.take(Purpose::Look, at(0)).expect("looks have the rest");
        limiter.take(Purpose::Look, at(0)).expect("looks have the rest");
        assert_eq!(limiter.take(Purpose::Look, at(0)), Err(Wait::Until(at(1))));
        limiter.take(Purpose::Look, at(1)).expect("one has come back");
        // What was forced is owed.
        limiter.force(at(1));
        assert_eq!(limiter.take(Purpose::Look, at(1)), Err(Wait::Until(at(3))));
        assert_eq!(limiter.available(Purpose::Look, at(1000)), Ok(10), "never more than the burst");
    }

    #[test]
    fn what_others_use_of_the_key_counts() {
        let mut limiter = told(100);
        limiter.take(Purpose::Look, at(1)).expect("within the rate");
        let rate = RateHint { limit: Some(100), remaining: Some(20), reset: Some(Duration::from_secs(30)) };
        limiter.answered(&rate, None, Duration::from_mins(1), at(1));
        assert_eq!(limiter.take(Purpose::Submit, at(1)), Err(Wait::Until(at(31))));
        limiter.take(Purpose::Look, at(1)).expect("a look may");
        limiter.take(Purpose::Submit, at(31)).expect("after the reset");
    }

    #[test]
    fn a_429_holds_everything_back_for_as_long_as_it_says() {
        let mut limiter = told(100);
        let mut fault = Fault::new(FaultKind::RateLimited, "too many");
        fault.retry_after = Some(Duration::from_secs(7));
        limiter.take(Purpose::Submit, at(0)).expect("within the rate");
        assert_eq!(limiter.answered(&NONE, Some(&fault), Duration::from_mins(1), at(0)), Some(at(7)));
        assert_eq!(limiter.take(Purpose::Cancel, at(6)), Err(Wait::Until(at(7))));
        limiter.take(Purpose::Cancel, at(7)).expect("after the wait");
        // Nothing said: the provider's default; zero: a second at least.
        fault.retry_after = None;
        assert_eq!(limiter.answered(&NONE, Some(&fault), Duration::from_mins(1), at(10)), Some(at(70)));
        fault.retry_after = Some(Duration::ZERO);
        let mut fresh = told(100);
        assert_eq!(fresh.answered(&NONE, Some(&fault), Duration::from_mins(1), at(0)), Some(at(1)));
    }
}
