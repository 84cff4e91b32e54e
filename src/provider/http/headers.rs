//! What an answer's headers say: the server's time, the key's rate, and how long to wait. Pure functions over header texts.
//!
//! Vendors disagree on forms, and their documents leave some open; each reader here takes every form that occurs and reads
//! nonsense as absence, since no run may fail over an unreadable hint.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimeParser};

use crate::provider::RateHint;

/// The shortest wait that a `Retry-After` can ask for: a server that says 0 after a 429 means "soon", and would refuse again.
pub(super) const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait that is believed at all; the caller's own upper bound is smaller. It keeps sums of times in range.
const LONGEST_WAIT: Duration = Duration::from_hours(7 * 24);

/// From here on a number in `X-RateLimit-Reset` is a point in time: nobody's window lasts for 31 years.
const POINT_IN_TIME: f64 = 1e9;

/// From here on a point in time counts milliseconds: as seconds it would lie 3,000 years ahead.
const IN_MILLISECONDS: f64 = 1e11;

/// Reads a `Date` header, or any other HTTP date.
pub(super) fn date(text: &str) -> Option<Timestamp> {
    static PARSER: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);
    PARSER.parse_timestamp(text.trim()).ok()
}

/// Reads `Retry-After`: seconds, or a point in time by the server's clock.
pub(super) fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let wait = match text.trim().parse::<f64>() {
        Ok(seconds) => span(seconds)?,
        Err(_) => until(date(text)?, now),
    };
    Some(wait.max(SHORTEST_WAIT))
}

/// Reads the rate from `X-RateLimit-Limit`, `-Remaining` and `-Reset`.
pub(super) fn rate<'a>(header: impl Fn(&str) -> Option<&'a str>, now: Timestamp) -> RateHint {
    RateHint {
        limit: header("x-ratelimit-limit").and_then(count),
        remaining: header("x-ratelimit-remaining").and_then(count),
        reset: header("x-ratelimit-reset").and_then(|text| reset(text, now)),
    }
}

/// Reads a count; some vendors append a window as in `100;w=60`.
fn count(text: &str) -> Option<u32> {
    text.split([';', ',']).next().and_then(|number| number.trim().parse().ok())
}

/// Reads when the window is fresh again: seconds left, Unix time, or a date.
fn reset(text: &str, now: Timestamp) -> Option<Duration> {
    let Ok(number) = text.trim().parse::<f64>() else { return date(text).map(|point| until(point, now)) };
    if number < POINT_IN_TIME {
        return span(number);
    }
    let seconds = if number < IN_MILLISECONDS { number } else { number / 1000.0 };
    let since_epoch = SignedDuration::try_from_secs_f64(seconds).ok()?;
    Some(until(Timestamp::from_duration(since_epoch).ok()?, now))
}

/// Returns a span of seconds, a negative one as none at all.
fn span(seconds: f64) -> Option<Duration> {
    if seconds.is_nan() {
        return None;
    }
    Some(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT))
}

/// Returns how long it is until then, zero where it is past.
fn until(point: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(point.duration_since(now)).unwrap_or(Duration::ZERO).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        date("Wed, 21 Oct 2026 07:28:00 GMT").expect("an HTTP date")
    }

    #[test]
    fn retry_after_takes_seconds_and_dates_and_is_at_least_a_second() {
        let wait = |text: &str| retry_after(text, now()).map(|wait| wait.as_secs_f64());
        assert_eq!(wait("60"), Some(60.0));
        assert_eq!(wait(" 2.5 "), Some(2.5));
        assert_eq!(wait("0"), Some(1.0));
        assert_eq!(wait("-5"), Some(1.0));
        assert_eq!(wait("Wed, 21 Oct 2026 07:29:30 GMT"), Some(90.0));
        assert_eq!(wait("Wed, 21 Oct 2026 07:00:00 GMT"), Some(1.0));
        assert_eq!(wait("99999999999999999999999"), Some(604_800.0));
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("NaN"), None);
        assert_eq!(wait(""), None);
    }

    #[test]
    fn a_reset_above_ten_to_the_ninth_is_a_point_in_time() {
        let point = now().as_second() + 42;
        for (text, seconds) in [
            ("17".to_owned(), 17),
            ("0".to_owned(), 0),
            (point.to_string(), 42),
            (format!("{point}000"), 42),
            ((point - 100).to_string(), 0),
            ("Wed, 21 Oct 2026 07:28:10 GMT".to_owned(), 10),
        ] {
            assert_eq!(reset(&text, now()), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(reset("later", now()), None);
    }

    #[test]
    fn unreadable_rates_are_absent() {
        let headers = [("x-ratelimit-limit", "60;w=60"), ("x-ratelimit-remaining", "many")];
        let hint = rate(|name| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value), now());
        assert_eq!(hint, RateHint { limit: Some(60), remaining: None, reset: None });
    }
}
