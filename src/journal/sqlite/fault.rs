//! What an error of SQLite means: that the file is held by somebody else, damaged, or has no room, or something that is told in
//! SQLite's own words.
//!
//! The difference is what a person does about it: wait, take a backup, make room. So it is made here, where the codes are known, and
//! not by reading messages.

use std::path::Path;

use rusqlite::{Error, ErrorCode, ffi};

use crate::journal::JournalError;

/// The extended codes of a write that the system refused. SQLite tells a full disk by a code of its own; a file that may not grow
/// (a quota, `ulimit -f`, a file system's largest file) is one of these.
const WRITES: [i32; 8] = [
    ffi::SQLITE_IOERR_WRITE,
    ffi::SQLITE_IOERR_FSYNC,
    ffi::SQLITE_IOERR_DIR_FSYNC,
    ffi::SQLITE_IOERR_TRUNCATE,
    ffi::SQLITE_IOERR_SHMOPEN,
    ffi::SQLITE_IOERR_SHMSIZE,
    ffi::SQLITE_IOERR_SHMMAP,
    ffi::SQLITE_IOERR_COMMIT_ATOMIC,
];

/// Returns what an error means for the journal at a path.
pub(super) fn fault(path: &Path, error: &Error) -> JournalError {
    let (path, message) = (path.display().to_string(), error.to_string());
    match error {
        Error::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => JournalError::Busy { path },
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => JournalError::Damaged { path, message },
            ErrorCode::DiskFull => JournalError::Unwritable { path, message },
            ErrorCode::SystemIoFailure if WRITES.contains(&failure.extended_code) => {
                JournalError::Unwritable { path, message }
            }
            _ => JournalError::Database { path, message },
        },
        // What this program wrote has the types that it reads: anything else was changed since.
        Error::FromSqlConversionFailure(..)
        | Error::InvalidColumnType(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::Utf8Error(..)
        | Error::QueryReturnedNoRows => JournalError::Damaged { path, message },
        _ => JournalError::Database { path, message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_says_what_is_wrong_with_the_file() {
        let word = |code| match fault(Path::new("state.db"), &Error::SqliteFailure(ffi::Error::new(code), None)) {
            JournalError::Busy { .. } => "busy",
            JournalError::Damaged { .. } => "damaged",
            JournalError::Unwritable { .. } => "unwritable",
            JournalError::Database { .. } => "other",
            error => panic!("{error}"),
        };
        for (code, expected) in [
            (ffi::SQLITE_BUSY, "busy"),
            (ffi::SQLITE_BUSY_SNAPSHOT, "busy"),
            (ffi::SQLITE_CORRUPT, "damaged"),
            (ffi::SQLITE_CORRUPT_INDEX, "damaged"),
            (ffi::SQLITE_NOTADB, "damaged"),
            (ffi::SQLITE_FULL, "unwritable"),
            (ffi::SQLITE_IOERR_WRITE, "unwritable"),
            (ffi::SQLITE_IOERR_SHMSIZE, "unwritable"),
            // The controls: reading failed, and a broken rule of ours.
            (ffi::SQLITE_IOERR_READ, "other"),
            (ffi::SQLITE_CONSTRAINT, "other"),
        ] {
            assert_eq!(word(code), expected, "{code}");
        }
    }
}
