//! Pruning: taking old runs out of the journal, and what only they refer to.
//!
//! ```text
//! runs, newest first ──which──▶ chosen ──own──▶ removed one by one ──▶ payloads that no event names any more ──▶ the file shrinks
//! ```
//!
//! Pruning happens beside runs that go on. So a run is removed only by who owns it, in a transaction of its own, and no transaction
//! lasts longer than the write lock may be held.
//!
//! What must stay true: a run that a process has in hand is never touched, nor one that is not over unless that is asked for; claims
//! stay, since they keep a job that was paid for by one run from being taken for another's; what jobs of a target took stays, too.

use std::{collections::BTreeSet, fs};

use jiff::Timestamp;

use super::{
    History, Journal, JournalError, RunFilter, RunRow, Store,
    event::RunStatus,
    lock::{Locks, run_path},
    sqlite,
};
use crate::id::RunId;

/// Which runs are to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// Those that ended before this time; of those that are not over, those that have recorded nothing since.
    Before(Timestamp),
    /// All but so many of the newest.
    AllBut(usize),
}

/// What is to be removed.
#[derive(Clone, Copy, Debug)]
pub struct Pruning {
    /// Which runs.
    pub age: Age,
    /// Whether also those that are not over though no process has them in hand, and those of which a submit is unsettled.
    pub unfinished: bool,
    /// Whether it is only told what would be removed.
    pub dry_run: bool,
}

/// What was removed, or would be.
#[derive(Clone, Debug, Default)]
pub struct Pruned {
    /// The runs, the newest first.
    pub runs: Vec<RunRow>,
    /// The bytes of their events and of payloads that no other run refers to.
    pub bytes: u64,
    /// How many runs would have been removed as well, had [`Pruning::unfinished`] been asked for.
    pub kept_unfinished: usize,
}

impl Journal {
    /// Removes runs. Nothing is removed from a journal in memory.
    ///
    /// # Errors
    ///
    /// Where the database cannot be read or written. What was removed until then stays so.
    pub fn prune(&self, pruning: &Pruning) -> Result<Pruned, JournalError> {
        let (Store::Sqlite(writer), Locks::Folder(folder)) = (&self.store, &self.locks) else {
            return Ok(Pruned::default());
        };
        let Some(history) = History::open(folder)? else { return Ok(Pruned::default()) };
        let mut store = sqlite::prune::Pruner::open(writer.path())?;
        let rows = history.runs(&RunFilter::default())?;
        let last = store.last_times()?;
        let (chosen, kept_unfinished) = choose(rows, pruning, |row| {
            row.finished_at.or_else(|| last.get(&row.run).copied()).unwrap_or(row.started_at)
        });

        let mut pruned = Pruned { kept_unfinished, ..Pruned::default() };
        for row in chosen {
            if pruning.dry_run {
                // Of a run that failed, too: somebody may just go on with it.
                if !history.is_live(row.run) {
                    pruned.bytes += store.bytes_of(row.run)?;
                    pruned.runs.push(row);
                }
                continue;
            }
            let ownership = match self.own(row.run) {
                Ok(ownership) => ownership,
                Err(JournalError::Owned(_)) => continue,
                Err(error) => return Err(error),
            };
            if let Some(bytes) = store.remove(&row)? {
                pruned.bytes += bytes;
                pruned.runs.push(row.clone());
            }
            // Who opened the lock before this owns a run of which there is nothing, and finds that out at once.
            let _ = fs::remove_file(run_path(folder, row.run));
            drop(ownership);
        }
        let gone: BTreeSet<RunId> = pruned.runs.iter().map(|row| row.run).collect();
        let garbage = store.garbage(&gone)?;
        pruned.bytes += if pruning.dry_run { garbage.bytes() } else { store.sweep(garbage)? };
        let is_live = |row: &RunRow| row.live;
        if !pruning.dry_run && !pruned.runs.is_empty() && !history.runs(&RunFilter::default())?.iter().any(is_live) {
            // It holds the write lock for as long as it takes, which would end a run. Where it does not work, later runs fill the room.
            let _ = store.compact();
        }
        Ok(pruned)
    }
}

/// Returns the runs that are to be removed, of all, the newest first; and how many stay because they are not over.
fn choose(rows: Vec<RunRow>, pruning: &Pruning, ended: impl Fn(&RunRow) -> Timestamp) -> (Vec<RunRow>, usize) {
    let idle = rows.into_iter().filter(|row| !row.live);
    let (over, open): (Vec<_>, Vec<_>) = idle.partition(is_over);
    if pruning.unfinished {
        let mut all: Vec<_> = over.into_iter().chain(open).collect();
        all.sort_by_key(|row| std::cmp::Reverse((row.started_at, row.run)));
        return (old(all, pruning.age, &ended), 0);
    }
    let kept = match pruning.age {
        Age::Before(_) => old(open, pruning.age, &ended).len(),
        Age::AllBut(_) => open.len(),
    };
    (old(over, pruning.age, &ended), kept)
}

/// Says whether nothing is left to do about a run. One with an unsettled submit waits for a person.
fn is_over(row: &RunRow) -> bool {
    !matches!(row.status, RunStatus::Running | RunStatus::SubmitUnknown)
}

fn old(rows: Vec<RunRow>, age: Age, ended: impl Fn(&RunRow) -> Timestamp) -> Vec<RunRow> {
    match age {
        Age::Before(time) => rows.into_iter().filter(|row| ended(row) < time).collect(),
        Age::AllBut(newest) => rows.into_iter().skip(newest).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(n: u8, status: RunStatus, live: bool) -> RunRow {
        let at = |seconds: u8| Timestamp::from_second(i64::from(seconds)).expect("a time");
        RunRow {
            run: RunId::new(u64::from(n) * 1000, [n; 10]),
            workflow: "w".to_owned(),
            file: "w.yaml".to_owned(),
            status,
            live,
            started_at: at(n),
            finished_at: (status != RunStatus::Running).then(|| at(n + 1)),
            credits: 0.0,
            jobs: 0,
            sandbox: false,
            labels: [].into(),
        }
    }

    fn chosen(age: Age, unfinished: bool) -> (Vec<i64>, usize) {
        // The newest first: one runs, one was interrupted, one waits for a person, two are over.
        let rows = vec![
            row(50, RunStatus::Running, true),
            row(40, RunStatus::Failed, false),
            row(30, RunStatus::Running, false),
            row(20, RunStatus::SubmitUnknown, false),
            row(10, RunStatus::Succeeded, false),
        ];
        let pruning = Pruning { age, unfinished, dry_run: true };
        let (chosen, kept) = choose(rows, &pruning, |row| row.finished_at.unwrap_or(row.started_at));
        (chosen.iter().map(|row| row.started_at.as_second()).collect(), kept)
    }

    #[test]
    fn a_run_that_is_not_over_stays_unless_it_is_named_and_a_live_one_always() {
        assert_eq!(chosen(Age::AllBut(0), false), (vec![40, 10], 2));
        assert_eq!(chosen(Age::AllBut(1), false), (vec![10], 2));
        assert_eq!(chosen(Age::AllBut(0), true), (vec![40, 30, 20, 10], 0));
        assert_eq!(chosen(Age::AllBut(3), true), (vec![10], 0));
        let before = |second| Age::Before(Timestamp::from_second(second).expect("a time"));
        assert_eq!(chosen(before(41), false), (vec![10], 2));
        assert_eq!(chosen(before(42), false), (vec![40, 10], 2));
        assert_eq!(chosen(before(21), false), (vec![10], 0));
        assert_eq!(chosen(before(60), true), (vec![40, 30, 20, 10], 0));
    }
}
