//! The headers that every skin writes alike: times, and how long to wait. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimePrinter};

use super::{
    faults::{Effects, Variant},
    rate::Standing,
};

/// Returns the `Retry-After` of an answer.
pub(super) fn retry_after(wait: Duration, effects: &Effects, now: Timestamp) -> Option<(&'static str, String)> {
    if effects.has(Variant::NoRetryAfter) {
        return None;
    }
    let seconds = if effects.has(Variant::RetryAfterZero) { 0 } else { whole_seconds(wait) };
    let value = if effects.has(Variant::RetryAfterDate) { http_date(later(now, seconds)) } else { seconds.to_string() };
    Some(("Retry-After", value))
}

/// Returns the `X-RateLimit-*` of an answer.
pub(super) fn rate(standing: Standing, effects: &Effects, now: Timestamp) -> Vec<(&'static str, String)> {
    if effects.has(Variant::NoRate) {
        return Vec::new();
    }
    let span = whole_seconds(standing.reset);
    let reset =
        if effects.has(Variant::ResetAsSpan) { span.to_string() } else { later(now, span).as_second().to_string() };
    vec![
        ("X-RateLimit-Limit", standing.limit.to_string()),
        ("X-RateLimit-Remaining", standing.remaining.to_string()),
        ("X-RateLimit-Reset", reset),
    ]
}

/// Returns a span in seconds, a begun one counted whole.
pub(super) fn whole_seconds(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}

/// Returns a time as HTTP headers write it.
pub(super) fn http_date(time: Timestamp) -> String {
    DateTimePrinter::new().timestamp_to_rfc9110_string(&time).expect("a time of this age has a date")
}

/// Returns the time so many seconds from now.
pub(super) fn later(now: Timestamp, seconds: u64) -> Timestamp {
    let span = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    now.checked_add(span).unwrap_or(Timestamp::MAX)
}
