//! How long to wait before something is tried again: exponential with full jitter, so that workers do not move in step.

use std::time::Duration;

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
