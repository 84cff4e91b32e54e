//! Results that later runs may reuse, and why a run reused one or did not, for people.

use jiff::Timestamp;

use super::{
    style::{Style, Tone},
    table::{Side, Table},
    text,
};
use crate::journal::{
    cache::CachedResult,
    event::PassedOver,
    explain::{Explained, Outcome},
};

/// How much of a key is shown: as much as tells keys apart, and names one in `dagwood cache rm`.
const SHOWN: usize = 12;

/// Returns the table of results, one line each.
#[must_use]
pub fn entries(entries: &[CachedResult], style: &Style) -> String {
    let mut table = Table::new(&[Side::Left, Side::Left, Side::Left, Side::Left, Side::Left, Side::Right, Side::Right]);
    table.head(&["key", "from", "target", "run", "step", "files", "credits"]);
    for entry in entries {
        let key: String = entry.sent.key.key.to_string().chars().take(SHOWN).collect();
        let credits = entry.job.as_ref().and_then(|job| job.credits_charged);
        table.row([
            (Tone::Strong, key),
            (Tone::Plain, minute(entry.at)),
            (Tone::Plain, format!("{} {}", entry.sent.provider, entry.sent.target.id)),
            (Tone::Plain, super::runs::prefix(entry.run)),
            (Tone::Plain, entry.step.to_string()),
            (Tone::Plain, text::whole(entry.files.len() as u64)),
            (Tone::Plain, credits.map_or_else(|| style.none().to_owned(), text::number)),
        ]);
    }
    table.paint(style)
}

/// Returns why each step reused a result or did not, one line each.
#[must_use]
pub fn explained(explained: &[Explained], style: &Style) -> String {
    let mut table = Table::new(&[Side::Left, Side::Left, Side::Left]);
    for Explained { step, outcome } in explained {
        let (tone, word, why) = match outcome {
            Outcome::Hit { of } => (
                Tone::Good,
                "hit",
                of.map_or_else(String::new, |run| format!("the result of {}", super::runs::prefix(run))),
            ),
            Outcome::PassedOver { why } => {
                let why = match why {
                    PassedOver::TooOld => "the result of an equal submit was older than `ttl`",
                    PassedOver::Unexpected => "the result of an equal submit does not meet `expect`",
                    PassedOver::FilesGone => "files of the result of an equal submit were gone or changed",
                };
                (Tone::Odd, "missed", why.to_owned())
            }
            Outcome::Missed { nearest: None } => (Tone::Odd, "missed", "there was no result of this target".to_owned()),
            Outcome::Missed { nearest: Some(nearest) } => {
                let named = format!("{} of {}", nearest.step, super::runs::prefix(nearest.run));
                let why = if nearest.differs.is_empty() {
                    format!("the nearest result, {named}, has another `cache.key`")
                } else {
                    let differs: Vec<_> = nearest.differs.iter().map(|part| format!("`{part}`")).collect();
                    format!("the nearest result, {named}, differs in {}", differs.join(", "))
                };
                (Tone::Odd, "missed", why)
            }
        };
        table.row([(Tone::Strong, step.to_string()), (tone, word.to_owned()), (Tone::Plain, why)]);
    }
    table.paint(style)
}

/// Returns what was removed, in one line.
#[must_use]
pub fn removed(count: usize) -> String {
    match count {
        0 => "there are no such results to remove\n".to_owned(),
        count => format!("removed {}\n", text::count(count, "result")),
    }
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}
