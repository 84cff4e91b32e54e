//! Who owns a run, who holds a group, and who wishes a run to end: files beside the database, so that the system itself lets go of them
//! when a process dies.
//!
//! A lock is one of the operating system (`File::try_lock`), held for life: a process that was paused cannot wake up beside its
//! successor. The file of a group names the run that holds it, for people and for `cancel_running`.

use std::{
    fs,
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{JournalError, memory::Memory};
use crate::id::{Digest, RunId};

/// How often a lock is tried that others only glance at: each glance takes some microseconds.
const GLANCES: u32 = 10_000;

/// A lock, held for as long as this lives.
#[derive(Debug)]
pub struct Ownership {
    _held: Held,
}

#[derive(Debug)]
enum Held {
    File(#[expect(dead_code, reason = "the lock is the file's")] fs::File),
    Memory(Memory, String),
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Self::Memory(memory, name) = self {
            memory.unlock(name);
        }
    }
}

/// What came of asking for a group.
#[derive(Debug)]
pub enum Group {
    /// It is this run's now.
    Held(Ownership),
    /// Another run has it.
    Busy {
        /// Which, where it can be told.
        holder: Option<RunId>,
    },
}

/// Where the locks are.
#[derive(Clone, Debug)]
pub(super) enum Locks {
    Folder(PathBuf),
    Memory(Memory),
}

impl Locks {
    /// Makes this process the owner of a run.
    pub(super) fn own(&self, run: RunId) -> Result<Ownership, JournalError> {
        match self {
            Self::Folder(folder) => match lock(&run_path(folder, run))? {
                Some(file) => Ok(Ownership { _held: Held::File(file) }),
                None => Err(JournalError::Owned(run)),
            },
            Self::Memory(memory) => {
                let name = run.to_string();
                if memory.lock(&name, run) {
                    Ok(Ownership { _held: Held::Memory(memory.clone(), name) })
                } else {
                    Err(JournalError::Owned(run))
                }
            }
        }
    }

    /// Says whether a process owns a run.
    pub(super) fn is_live(&self, run: RunId) -> bool {
        match self {
            Self::Folder(folder) => is_locked(&run_path(folder, run)),
            Self::Memory(memory) => memory.holder(&run.to_string()).is_some(),
        }
    }

    /// Asks for a group.
    pub(super) fn group(&self, name: &str, run: RunId) -> Result<Group, JournalError> {
        match self {
            Self::Folder(folder) => {
                // A name may be anything; its digest is a file's name everywhere.
                let path = folder.join("groups").join(Digest::of(name.as_bytes()).to_string());
                let Some(mut file) = lock(&path)? else { return Ok(Group::Busy { holder: holder(&path) }) };
                let wrong = |source| failed(&path, source);
                file.set_len(0).map_err(wrong)?;
                file.rewind().map_err(wrong)?;
                file.write_all(run.to_string().as_bytes()).map_err(wrong)?;
                Ok(Group::Held(Ownership { _held: Held::File(file) }))
            }
            Self::Memory(memory) => {
                let key = format!("group {name}");
                if memory.lock(&key, run) {
                    Ok(Group::Held(Ownership { _held: Held::Memory(memory.clone(), key) }))
                } else {
                    Ok(Group::Busy { holder: memory.holder(&key) })
                }
            }
        }
    }

    /// Leaves word that a run is to end, for the process that owns it.
    pub(super) fn wish_end(&self, run: RunId) -> Result<(), JournalError> {
        match self {
            Self::Folder(folder) => {
                let path = wish_path(folder, run);
                make_folder_of(&path)?;
                fs::write(&path, b"").map_err(|source| failed(&path, source))
            }
            Self::Memory(memory) => {
                memory.wish_end(run, true);
                Ok(())
            }
        }
    }

    /// Takes back what was left for a run.
    pub(super) fn clear_wish(&self, run: RunId) -> Result<(), JournalError> {
        match self {
            Self::Folder(folder) => {
                let path = wish_path(folder, run);
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&path, error)),
                    _ => Ok(()),
                }
            }
            Self::Memory(memory) => {
                memory.wish_end(run, false);
                Ok(())
            }
        }
    }

    /// Says whether a run is wished to end.
    pub(super) fn is_wished_to_end(&self, run: RunId) -> bool {
        match self {
            Self::Folder(folder) => wish_path(folder, run).exists(),
            Self::Memory(memory) => memory.is_wished_to_end(run),
        }
    }
}

/// Returns the file whose lock makes a process the owner of a run.
pub(super) fn run_path(folder: &Path, run: RunId) -> PathBuf {
    folder.join("locks").join(run.to_string())
}

fn wish_path(folder: &Path, run: RunId) -> PathBuf {
    folder.join("wishes").join(run.to_string())
}

fn failed(path: &Path, source: io::Error) -> JournalError {
    JournalError::Io { path: path.display().to_string(), source: Arc::new(source) }
}

fn make_folder_of(path: &Path) -> Result<(), JournalError> {
    let folder = path.parent().expect("a lock lies in a folder");
    fs::create_dir_all(folder).map_err(|source| failed(folder, source))
}

/// Locks a file, which is made where it is missing; none where another process has it.
fn lock(path: &Path) -> Result<Option<fs::File>, JournalError> {
    make_folder_of(path)?;
    let wrong = |source| failed(path, source);
    let file = fs::File::options().create(true).truncate(false).read(true).write(true).open(path).map_err(wrong)?;
    for _ in 0..GLANCES {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => {}
            Err(fs::TryLockError::Error(source)) => return Err(failed(path, source)),
        }
        // Somebody who only looks whether it is locked (`is_locked`) shares the lock for a moment, and owns nothing.
        match file.try_lock_shared() {
            Ok(()) => file.unlock().map_err(wrong)?,
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            Err(fs::TryLockError::Error(source)) => return Err(failed(path, source)),
        }
        std::thread::yield_now();
    }
    Ok(None)
}

/// Says whether a process holds the lock of a file.
pub(super) fn is_locked(path: &Path) -> bool {
    fs::File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
}

/// Reads which run holds a group.
fn holder(path: &Path) -> Option<RunId> {
    let mut text = String::new();
    fs::File::open(path).ok()?.take(64).read_to_string(&mut text).ok()?;
    text.parse().ok()
}

impl super::Journal {
    /// Makes this process the owner of a run.
    ///
    /// # Errors
    ///
    /// Where another process is, or the lock cannot be made.
    pub fn own(&self, run: RunId) -> Result<Ownership, JournalError> {
        self.locks.own(run)
    }

    /// Asks for a group, which no two runs hold at a time.
    ///
    /// # Errors
    ///
    /// Where the lock cannot be made.
    pub fn group(&self, name: &str, run: RunId) -> Result<Group, JournalError> {
        self.locks.group(name, run)
    }

    /// Leaves word that a run is to end, for the process that owns it.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub fn wish_end(&self, run: RunId) -> Result<(), JournalError> {
        self.locks.wish_end(run)
    }

    /// Takes back what was left for a run: it begins, or is over.
    ///
    /// # Errors
    ///
    /// Where it cannot be removed.
    pub fn clear_wish(&self, run: RunId) -> Result<(), JournalError> {
        self.locks.clear_wish(run)
    }

    /// Says whether a run is wished to end.
    #[must_use]
    pub fn is_wished_to_end(&self, run: RunId) -> bool {
        self.locks.is_wished_to_end(run)
    }
}

/// Says whether a process owns a run of a state folder.
pub(super) fn is_live(folder: &Path, run: RunId) -> bool {
    is_locked(&run_path(folder, run))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Journal;

    #[test]
    fn a_group_is_held_by_one_run_at_a_time_on_disk_and_in_memory() {
        let folder = tempfile::tempdir().expect("a folder");
        let (a, b) = (RunId::new(1, [1; 10]), RunId::new(2, [2; 10]));
        for journal in [Journal::open(folder.path()).expect("a journal"), Journal::memory()] {
            let Group::Held(held) = journal.group("deploy/eu", a).expect("a lock") else { panic!("it was free") };
            assert!(
                matches!(journal.group("deploy/eu", b).expect("a lock"), Group::Busy { holder } if holder == Some(a))
            );
            assert!(matches!(journal.group("deploy/us", b).expect("a lock"), Group::Held(_)));
            drop(held);
            assert!(matches!(journal.group("deploy/eu", b).expect("a lock"), Group::Held(_)));
            journal.wish_end(a).expect("it is written");
            assert!(journal.is_wished_to_end(a) && !journal.is_wished_to_end(b));
            journal.clear_wish(a).expect("it is removed");
            journal.clear_wish(a).expect("twice does no harm");
            assert!(!journal.is_wished_to_end(a));
        }
    }

    #[test]
    fn a_glance_takes_a_lock_from_nobody() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run");
        let over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !over.load(std::sync::atomic::Ordering::Relaxed) {
                        is_locked(&path);
                    }
                });
            }
            let taken = (0..2_000).filter(|_| lock(&path).expect("a lock").is_some()).count();
            over.store(true, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(taken, 2_000);
        });
    }
}
