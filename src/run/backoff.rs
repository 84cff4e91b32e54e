//! How long to wait before something is tried again: exponential with full jitter, so that workers do not move in step.

use std::time::Duration;

use crate::{id::Digest, journal::event::RetryBrief};

/// The first wait is at most this long.
const FIRST: Duration = Duration::from_millis(500);

/// No wait is longer than this.
const LONGEST: Duration = Duration::from_secs(15);

/// Returns the wait before try number `tries` (from 1), for 64 random bits: evenly from a tenth of the bound to the bound, which
/// doubles with each try. Never zero, so that a server that refuses at once is not asked in a loop.
#[must_use]
pub fn wait(tries: u32, random: u64) -> Duration {
    let doubled = FIRST.saturating_mul(1 << tries.saturating_sub(1).min(16));
    spread(doubled.min(LONGEST), 0.1, 1.0, random)
}

/// Returns the wait before a step's next attempt, of which so many failed already: as its `retry` says, and up to a half shorter by chance,
/// so that the items of a fan-out do not come back together. Chance is a digest of `seed`: the same run decides the same.
#[must_use]
pub fn between_attempts(retry: &RetryBrief, failed: u32, seed: &str) -> Duration {
    let first = Duration::from_millis(retry.initial_ms);
    let grown = retry.factor.max(1.0).powi(i32::try_from(failed).unwrap_or(i32::MAX));
    let most = Duration::from_millis(retry.max_ms);
    let wait = Duration::try_from_secs_f64(first.as_secs_f64() * grown).unwrap_or(most).min(most);
    let digest = Digest::of(format!("{seed}/{failed}").as_bytes()).to_string();
    let random = u64::from_str_radix(&digest[..16], 16).expect("a digest is hexadecimal");
    spread(wait, 0.5, 1.0, random)
}

/// Returns `duration` times a random factor from `low` to `high`.
#[must_use]
pub fn spread(duration: Duration, low: f64, high: f64, random: u64) -> Duration {
    // The upper 53 bits fill a double's mantissa exactly.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let part = (random >> 11) as f64 / (1_u64 << 53) as f64;
    duration.mul_f64(low + (high - low) * part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_between_attempts_grow_to_their_bound_and_are_the_same_in_the_same_run() {
        let retry = RetryBrief { attempts: 9, on: Vec::new(), initial_ms: 1_000, factor: 2.0, max_ms: 5_000 };
        let waits: Vec<Duration> = (0..5).map(|failed| between_attempts(&retry, failed, "run/step")).collect();
        for (wait, most) in waits.iter().zip([1_000, 2_000, 4_000, 5_000, 5_000]) {
            assert!((most / 2..=most).contains(&u64::try_from(wait.as_millis()).expect("short")), "{waits:?}");
        }
        assert_eq!(waits[0], between_attempts(&retry, 0, "run/step"));
        assert_ne!(waits[0], between_attempts(&retry, 0, "run/other"));
        assert_eq!(
            between_attempts(&retry, u32::MAX, "run/step").min(Duration::from_secs(5)),
            between_attempts(&retry, u32::MAX, "run/step")
        );
    }

    #[test]
    fn waits_grow_to_a_bound_and_are_never_zero() {
        assert_eq!(wait(1, 0), Duration::from_millis(50));
        assert!(wait(1, u64::MAX) <= FIRST && wait(2, u64::MAX) > FIRST);
        for tries in [0, 1, 6, 20, u32::MAX] {
            for random in [0, 1 << 40, u64::MAX] {
                let wait = wait(tries, random);
                assert!(wait >= Duration::from_millis(50) && wait <= LONGEST, "{tries}: {wait:?}");
            }
        }
    }
}
