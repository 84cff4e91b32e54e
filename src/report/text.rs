//! Small words: durations, credits, counts, and text from outside made safe to show.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Returns a duration as people say it: `0.9s`, `12s`, `1m31s`, `2h03m`, `3d04h`.
pub(super) fn duration(duration: SignedDuration) -> String {
    let milliseconds = duration.as_millis().max(0);
    if milliseconds < 9_950 {
        let tenths = (milliseconds + 50) / 100;
        return format!("{}.{}s", tenths / 10, tenths % 10);
    }
    whole_seconds(SignedDuration::from_secs(i64::try_from((milliseconds + 500) / 1000).unwrap_or(i64::MAX)))
}

/// Returns a duration that moves before one's eyes: like [`duration`], but never tenths.
pub(super) fn whole_seconds(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// Returns the time of the day in UTC.
pub(super) fn clock(time: Timestamp) -> String {
    time.strftime("%H:%M:%S").to_string()
}

/// Returns a number with its thousands set apart, and at most two decimals; of less than a hundredth, what there is of it to a millionth.
pub(super) fn number(value: f64) -> String {
    let decimals = if value.abs() < 0.01 { 6 } else { 2 };
    let text = format!("{value:.decimals$}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let (sign, text) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, decimals) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    let mut out = String::new();
    for (ix, digit) in whole.chars().enumerate() {
        if ix > 0 && (whole.len() - ix) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(decimals) = decimals {
        let _ = write!(out, ".{decimals}");
    }
    if out == "0" { out } else { format!("{sign}{out}") }
}

/// Returns a count as a number with its thousands set apart.
pub(super) fn whole(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (ix, digit) in digits.chars().enumerate() {
        if ix > 0 && (digits.len() - ix).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Returns a size as people say it.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut tenths = bytes / 100;
    for unit in UNITS {
        if tenths < 100 {
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
        if tenths < 10_000 || unit == UNITS[UNITS.len() - 1] {
            return format!("{} {unit}", tenths / 10);
        }
        tenths /= 1000;
    }
    unreachable!("the last unit takes any number")
}

/// Returns a count and its noun: `1 image`, `3 images`.
pub(super) fn count(count: usize, noun: &str) -> String {
    format!("{} {noun}{}", whole(count as u64), if count == 1 { "" } else { "s" })
}

/// Says whether a character may be shown: no control character, nothing that turns the direction of writing.
fn is_shown(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// Returns text from outside as lines that are safe on a terminal. There is at least one line.
pub(super) fn lines(text: &str) -> Vec<String> {
    let lines: Vec<String> = text.trim_end().split('\n').map(|line| safe(line.trim_end_matches('\r'))).collect();
    if lines.is_empty() { vec![String::new()] } else { lines }
}

/// Returns text from outside as one line that is safe on a terminal.
pub(super) fn one_line(text: &str) -> String {
    text.split(['\n', '\r']).map(safe).filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join(" ")
}

/// Puts `?` for what must not be shown; a tab becomes two spaces.
fn safe(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for character in line.chars() {
        match character {
            '\t' => out.push_str("  "),
            character if is_shown(character) => out.push(character),
            _ => out.push('?'),
        }
    }
    out
}

/// Shortens text to some columns, with `mark` where something is left out.
pub(super) fn cut(text: &str, columns: usize, mark: &str) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let Some(room) = columns.checked_sub(mark.width()) else {
        return mark.chars().take(columns).collect();
    };
    let mut out = String::new();
    let mut used = 0;
    for character in text.chars() {
        used += character.width().unwrap_or_default();
        if used > room {
            break;
        }
        out.push(character);
    }
    // Summed characters and a measured text can differ (emoji sequences): what counts is the measured text.
    while out.width() > room {
        out.pop();
    }
    out.push_str(mark);
    out
}

/// Joins names, and counts those beyond the first few.
pub(super) fn names<'a>(names: impl IntoIterator<Item = &'a str>, most: usize) -> String {
    let mut names = names.into_iter();
    let mut out: Vec<String> = names.by_ref().take(most).map(str::to_owned).collect();
    let more = names.count();
    if more > 0 {
        out.push(format!("and {} more", whole(more as u64)));
    }
    out.join(", ")
}

/// Returns the part of a job's id that tells it apart: the first group of a UUID, else the whole id, bounded.
pub(super) fn job(id: &str) -> String {
    let id = one_line(id);
    let is_uuid = id.len() == 36
        && id
            .bytes()
            .enumerate()
            .all(|(ix, b)| if matches!(ix, 8 | 13 | 18 | 23) { b == b'-' } else { b.is_ascii_hexdigit() });
    if is_uuid { id[..8].to_owned() } else { cut(&id, 40, "..") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_as_people_say_them() {
        let said = |ms: i64| duration(SignedDuration::from_millis(ms));
        assert_eq!(said(-5), "0.0s");
        assert_eq!(said(880), "0.9s");
        assert_eq!(said(9_940), "9.9s");
        assert_eq!(said(9_960), "10s");
        assert_eq!(said(59_600), "1m00s");
        assert_eq!(said(91_000), "1m31s");
        assert_eq!(said(7_380_000), "2h03m");
        assert_eq!(said(100 * 3_600_000), "4d04h");
    }

    #[test]
    fn numbers_have_thousands_and_few_decimals() {
        assert_eq!(
            [number(0.0), number(200.0), number(8420.0), number(-1_234_567.891), number(0.015), number(-1e-9)],
            ["0", "200", "8,420", "-1,234,567.89", "0.01", "0"]
        );
        // What a run of a small model costs, where it is counted in money.
        assert_eq!([number(0.004), number(-0.000_25)], ["0.004", "-0.00025"]);
        assert_eq!([whole(0), whole(999), whole(1_000), whole(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([count(1, "image"), count(1200, "job")], ["1 image", "1,200 jobs"]);
    }

    #[test]
    fn text_from_outside_cannot_move_the_cursor() {
        assert_eq!(lines("a\u{1b}[2Jb\r\nc\td\u{202e}\n\n"), ["a?[2Jb", "c  d?"]);
        assert_eq!(lines(""), [""]);
        assert_eq!(one_line("a\n\n  b\r\nc"), "a   b c");
    }

    #[test]
    fn text_is_cut_by_columns() {
        assert_eq!(cut("絵を描く", 8, "…"), "絵を描く");
        assert_eq!(cut("絵を描く", 7, "…"), "絵を描…");
        assert_eq!(cut("絵を描く", 6, "…"), "絵を…");
        assert_eq!(cut("abc", 1, ".."), ".");
        assert_eq!(names(["a", "b", "c"], 2), "a, b, and 1 more");
    }

    #[test]
    fn a_job_is_told_by_the_first_group_of_its_uuid() {
        assert_eq!(job("0fefb57b-1c0a-4d5e-8f00-1234567890ab"), "0fefb57b");
        assert_eq!(job("run_01HX"), "run_01HX");
    }
}
