//! The list of runs for people: one line a run, the newest first.

use jiff::{SignedDuration, Timestamp};

use super::{
    style::{Style, Tone},
    table::{Side, Table},
    text,
};
use crate::{
    id::RunId,
    journal::{RunRow, event::RunStatus, prune::Pruned},
};

/// Returns the table of runs.
#[must_use]
pub fn runs(rows: &[RunRow], now: Timestamp, style: &Style) -> String {
    let mut table = Table::new(&[
        Side::Left,
        Side::Left,
        Side::Left,
        Side::Left,
        Side::Right,
        Side::Right,
        Side::Right,
        Side::Left,
    ]);
    table.head(&["", "run", "workflow", "started", "took", "jobs", "credits", ""]);
    for row in rows {
        let (symbol, tone, word) = standing(row, style);
        let took = row.finished_at.or(row.live.then_some(now)).map(|end| end.duration_since(row.started_at));
        let mut remarks = vec![word];
        remarks.extend(row.sandbox.then_some("sandbox"));
        table.row([
            (tone, symbol.to_owned()),
            (Tone::Strong, prefix(row.run)),
            (Tone::Plain, row.workflow.clone()),
            (Tone::Plain, started(row.started_at, now)),
            (Tone::Plain, took.map_or_else(|| style.none().to_owned(), text::duration)),
            (Tone::Plain, text::whole(row.jobs)),
            (Tone::Plain, text::number(row.credits)),
            (tone, remarks.join(", ")),
        ]);
    }
    table.paint(style)
}

/// Returns what was removed, or would be, in one line.
#[must_use]
pub fn pruned(pruned: &Pruned, dry_run: bool) -> String {
    let verb = if dry_run { "would remove" } else { "removed" };
    match pruned.runs.len() {
        0 => format!("there are no such runs to remove{}\n", freed(pruned.bytes, dry_run)),
        count => format!("{verb} {} ({})\n", text::count(count, "run"), text::size(pruned.bytes)),
    }
}

/// Returns what was left behind by earlier runs, where there was something.
fn freed(bytes: u64, dry_run: bool) -> String {
    match (bytes, dry_run) {
        (0, _) => String::new(),
        (bytes, true) => format!("; {} belong to none", text::size(bytes)),
        (bytes, false) => format!("; {} that belonged to none are gone", text::size(bytes)),
    }
}

/// Returns that runs stay which nobody has in hand and which are not over.
#[must_use]
pub fn kept(count: usize) -> String {
    let (stay, them) = if count == 1 { ("stays", "it") } else { ("stay", "them") };
    format!("{} {stay}: `--unfinished` removes {them}, too", text::count(count, "unfinished run"))
}

/// Returns the part of an id that holds its millisecond: it names the run in every command, and fits a line.
pub(super) fn prefix(run: RunId) -> String {
    run.to_string().chars().take(13).collect()
}

/// Returns the day and minute, in UTC; the time alone within the last half day.
fn started(at: Timestamp, now: Timestamp) -> String {
    let recent = now.duration_since(at) < SignedDuration::from_hours(12);
    at.strftime(if recent { "%H:%M:%S" } else { "%Y-%m-%d %H:%M" }).to_string()
}

fn standing(row: &RunRow, style: &Style) -> (&'static str, Tone, &'static str) {
    let (unicode, ascii, tone, word) = match row.status {
        RunStatus::Succeeded => ("✔", "+", Tone::Good, "succeeded"),
        RunStatus::Failed => ("✖", "x", Tone::Bad, "failed"),
        RunStatus::Cancelled => ("■", "!", Tone::Odd, "cancelled"),
        RunStatus::SubmitUnknown => ("?", "?", Tone::Bad, "submit unknown"),
        RunStatus::Running if row.live => ("●", "*", Tone::Busy, "running"),
        RunStatus::Running => ("■", "!", Tone::Odd, "interrupted"),
    };
    (if style.unicode { unicode } else { ascii }, tone, word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(status: RunStatus, live: bool) -> RunRow {
        let started_at: Timestamp = "2026-01-02T12:00:03Z".parse().expect("a time");
        RunRow {
            run: RunId::new(1, [1; 10]),
            workflow: "launch".to_owned(),
            file: "launch.yaml".to_owned(),
            status,
            live,
            started_at,
            finished_at: (status != RunStatus::Running).then(|| started_at + SignedDuration::from_secs(151)),
            credits: 1620.0,
            jobs: 6,
            sandbox: status == RunStatus::Failed,
            labels: std::collections::BTreeMap::new(),
        }
    }

    #[test]
    fn each_run_is_a_line() {
        let now = "2026-01-02T12:10:03Z".parse().expect("a time");
        let rows = [
            row(RunStatus::Running, true),
            row(RunStatus::Running, false),
            row(RunStatus::Succeeded, false),
            row(RunStatus::Failed, false),
        ];
        insta::assert_snapshot!(runs(&rows, now, &Style::PLAIN), @r#"
   run            workflow  started     took  jobs  credits
●  00000000-0001  launch    12:00:03  10m00s     6    1,620  running
■  00000000-0001  launch    12:00:03       –     6    1,620  interrupted
✔  00000000-0001  launch    12:00:03   2m31s     6    1,620  succeeded
✖  00000000-0001  launch    12:00:03   2m31s     6    1,620  failed, sandbox
"#);
    }
}
