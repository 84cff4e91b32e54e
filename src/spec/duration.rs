//! Durations as the language writes them: `250ms`, `10s`, `15m`, `2h`, `1h30m`.

use std::{fmt, str::FromStr, time::Duration};

use schemars::JsonSchema;
use serde::Serialize;

/// A span of time, written as whole numbers with the units `h`, `m`, `s`, `ms`, largest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(pub Duration);

/// The longest duration that the language takes: a year of hours, so that sums with a clock never overflow.
pub const LONGEST: Duration = Duration::from_hours(366 * 24);

const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

impl FromStr for Period {
    type Err = String;

    /// Reads a duration; the error is a help text.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut rest = text;
        let mut units = UNITS.iter();
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, after) = rest.split_at(digits);
            let letters = after.len() - after.trim_start_matches(|c: char| c.is_ascii_lowercase()).len();
            let (unit, after) = after.split_at(letters);
            if number.is_empty() {
                return Err("write a duration such as `250ms`, `10s`, `15m`, `2h` or `1h30m`".to_owned());
            }
            if after.starts_with(['.', ',']) && unit.is_empty() {
                return Err("durations have whole numbers: write `1h30m`, not `1.5h`".to_owned());
            }
            if unit.is_empty() {
                return Err(format!("add a unit: `{number}s`, `{number}m`, `{number}h` or `{number}ms`"));
            }
            if unit == "d" {
                return Err("days are not a unit, as they are not always 24 hours long: write hours".to_owned());
            }
            let Some((_, factor)) = units.by_ref().find(|&&(name, _)| name == unit) else {
                return Err("the units are `h`, `m`, `s` and `ms`, largest first, each once".to_owned());
            };
            total = number
                .parse::<u64>()
                .ok()
                .and_then(|number| number.checked_mul(*factor))
                .and_then(|part| total.checked_add(part))
                .filter(|&total| u128::from(total) <= LONGEST.as_millis())
                .ok_or_else(|| "the longest duration is 8784h".to_owned())?;
            rest = after;
        }
        if text.is_empty() {
            return Err("write a duration such as `10s`".to_owned());
        }
        Ok(Self(Duration::from_millis(total)))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if left == 0 {
            return f.write_str("0s");
        }
        for (unit, factor) in UNITS {
            if left >= factor {
                write!(f, "{}{unit}", left / factor)?;
                left %= factor;
            }
        }
        Ok(())
    }
}

impl Serialize for Period {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Period {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A duration: whole numbers with the units h, m, s, ms, largest first",
            "pattern": "^(?=.)([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$",
            "examples": ["250ms", "10s", "15m", "2h", "1h30m"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_write_back() {
        for (text, milliseconds) in
            [("250ms", 250), ("10s", 10_000), ("15m", 900_000), ("2h", 7_200_000), ("1h30m", 5_400_000), ("0s", 0)]
        {
            let span: Period = text.parse().expect(text);
            assert_eq!(span.0.as_millis(), milliseconds, "{text}");
            assert_eq!(span.to_string(), text);
        }
    }

    #[test]
    fn bare_numbers_days_and_disorder_are_refused_with_help() {
        for (text, help) in [
            ("3", "add a unit"),
            ("1d", "days are not a unit"),
            ("10s1m", "largest first"),
            ("1s1s", "largest first"),
            ("", "write a duration"),
            ("soon", "write a duration"),
            ("99999999999h", "longest"),
            ("1.5h", "whole numbers"),
        ] {
            let error = text.parse::<Period>().expect_err(text);
            assert!(error.contains(help), "{text}: {error}");
        }
    }
}
