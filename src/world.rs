//! The world: the only door to the outside's whims, which are the clock, sleep, random numbers and the environment.
//!
//! Everything that asks for the time or for randomness takes a [`World`], so that a test hands in one whose clock follows
//! Tokio's (pausable) timer, whose numbers follow a seed, and whose environment is a list. `clippy.toml` refuses the direct
//! ways.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use crate::id::RunId;

/// Clock, sleep, random numbers and environment of this process, or of a test.
#[derive(Clone)]
pub struct World {
    clock: Clock,
    random: Random,
    environment: Arc<BTreeMap<String, String>>,
}

#[derive(Clone)]
enum Clock {
    Real,
    /// `ahead`: by how many milliseconds somebody has put it on since.
    Scripted {
        start: Timestamp,
        origin: tokio::time::Instant,
        ahead: Arc<AtomicI64>,
    },
}

#[derive(Clone)]
enum Random {
    Real,
    Seeded(Arc<AtomicU64>),
}

impl World {
    /// Returns the real world, with the environment as it is at this moment.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub fn real() -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { clock: Clock::Real, random: Random::Real, environment: Arc::new(environment) }
    }

    /// Returns a world whose clock starts at `start` and follows Tokio's timer, paused or not, and whose random numbers
    /// follow `seed`.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub fn scripted(start: Timestamp, seed: u64, environment: BTreeMap<String, String>) -> Self {
        Self {
            clock: Clock::Scripted { start, origin: tokio::time::Instant::now(), ahead: Arc::default() },
            random: Random::Seeded(Arc::new(AtomicU64::new(seed))),
            environment: Arc::new(environment),
        }
    }

    /// Returns the same world with this environment.
    #[must_use]
    pub fn with_environment(mut self, environment: BTreeMap<String, String>) -> Self {
        self.environment = Arc::new(environment);
        self
    }

    /// Returns the same world with these variables where the environment has none of the name.
    #[must_use]
    pub fn with_further(mut self, variables: BTreeMap<String, String>) -> Self {
        let environment = Arc::make_mut(&mut self.environment);
        for (name, value) in variables {
            environment
                .entry(name)
                .and_modify(|known| {
                    if known.is_empty() {
                        known.clone_from(&value);
                    }
                })
                .or_insert(value);
        }
        self
    }

    /// Returns the time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub fn now(&self) -> Timestamp {
        match &self.clock {
            Clock::Real => Timestamp::now(),
            Clock::Scripted { start, origin, ahead } => {
                let passed = SignedDuration::try_from(origin.elapsed()).unwrap_or(SignedDuration::MAX);
                let passed = passed.saturating_add(SignedDuration::from_millis(ahead.load(Ordering::Relaxed)));
                start.saturating_add(passed).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// Puts the clock of a scripted world on, or back, as a person or a time server does; what sleeps is not touched. The real clock
    /// stays as it is.
    pub fn put_on(&self, by: SignedDuration) {
        if let Clock::Scripted { ahead, .. } = &self.clock {
            ahead.fetch_add(i64::try_from(by.as_millis()).unwrap_or_default(), Ordering::Relaxed);
        }
    }

    /// Returns the time since some moment before, by a clock that never jumps, whatever happens to the time of day.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub fn elapsed(&self) -> Duration {
        static ORIGIN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        match &self.clock {
            Clock::Real => ORIGIN.get_or_init(std::time::Instant::now).elapsed(),
            Clock::Scripted { origin, .. } => origin.elapsed(),
        }
    }

    /// Waits for `duration`; a paused Tokio timer makes it virtual.
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    /// Returns 64 random bits.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub fn random(&self) -> u64 {
        match &self.random {
            Random::Real => {
                // Of a version 4 UUID, 122 of 128 bits come from the system's generator; folding keeps all of them.
                let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
                high.rotate_left(32) ^ low
            }
            // SplitMix64: every counter value gives an independent, well-mixed number.
            Random::Seeded(counter) => {
                let state = counter.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
                let mut mixed = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
                mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
                mixed ^ (mixed >> 31)
            }
        }
    }

    /// Returns a new run id from the clock and random numbers.
    #[must_use]
    pub fn run_id(&self) -> RunId {
        let milliseconds = u64::try_from(self.now().as_millisecond()).unwrap_or_default();
        let (first, second) = (self.random().to_le_bytes(), self.random().to_le_bytes());
        let mut random = [0; 10];
        random[..8].copy_from_slice(&first);
        random[8..].copy_from_slice(&second[..2]);
        RunId::new(milliseconds, random)
    }

    /// Returns a variable of the environment; an empty one counts as absent.
    #[must_use]
    pub fn env(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl fmt::Debug for World {
    /// Leaves the environment out: it holds keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_scripted_world_follows_the_timer_and_the_seed() {
        let start = "2026-01-02T03:04:05Z".parse().expect("a timestamp");
        let world = World::scripted(start, 7, BTreeMap::new());
        let other = World::scripted(start, 7, BTreeMap::new());
        world.sleep(Duration::from_secs(90)).await;
        assert_eq!(world.now().to_string(), "2026-01-02T03:05:35Z");
        assert_eq!((world.random(), world.random()), (other.random(), other.random()));
        assert_ne!(world.random(), world.random());
        world.clone().put_on(SignedDuration::from_secs(-30));
        assert_eq!(world.now().to_string(), "2026-01-02T03:05:05Z", "clones have one clock");
    }

    #[test]
    fn further_variables_do_not_replace_what_is_there() {
        let own = [("A", "1"), ("B", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let more = [("A", "2"), ("B", "2"), ("C", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let world = World::real().with_environment(own.into()).with_further(more.into());
        assert_eq!(["A", "B", "C", "D"].map(|name| world.env(name)), [Some("1"), Some("2"), Some("2"), None]);
    }

    #[test]
    fn an_empty_variable_counts_as_absent() {
        let world = World::real().with_environment([("A".to_owned(), String::new())].into());
        assert_eq!(world.env("A"), None);
        assert!(!format!("{world:?}").contains("environment"));
    }
}
