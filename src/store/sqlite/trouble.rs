//! What can go wrong inside the adapter, and how it is told outside.

use crate::ports::store::StoreError;
use std::path::Path;

/// A failure before it is known which file it happened to.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The database's own.
    Sql(sqlx::Error),
    /// Already in its final words.
    Told(StoreError),
}

/// Result inside the adapter.
pub(super) type Tried<T> = Result<T, Trouble>;

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Trouble {
        Trouble::Sql(error)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Trouble {
        Trouble::Told(error)
    }
}

/// SQLite's result code without its extension, where there is one.
pub(super) fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

/// `SQLITE_FULL`: the file cannot grow.
const FULL: i32 = 13;
/// `SQLITE_IOERR`: reading or writing failed.
const IO_FAILED: i32 = 10;
/// What the shared memory of a database takes at its opening.
const ROOM_BYTES_MIN: u64 = 64 << 10;
/// `SQLITE_ERROR`: the statement itself is at fault.
const ERROR: i32 = 1;
/// `SQLITE_CONSTRAINT`: a row is at fault.
const CONSTRAINT: i32 = 19;
/// `SQLITE_MISMATCH`: a value is at fault.
const MISMATCH: i32 = 20;
/// `SQLITE_TOOBIG`: a value is over SQLite's own limit.
const TOO_BIG: i32 = 18;

impl Trouble {
    /// True when only this one request is at fault, so that others in the same transaction may go on.
    /// SQLite may have rolled back the whole transaction after any other failure
    /// (SQLite: "Response to errors within a transaction").
    pub(super) fn is_contained(&self) -> bool {
        match self {
            Trouble::Told(_) => true,
            Trouble::Sql(error) => {
                matches!(primary_code(error), Some(ERROR | CONSTRAINT | MISMATCH | TOO_BIG))
            }
        }
    }

    /// The same for the caller, naming the file.
    pub(super) fn told(self, path: &Path) -> StoreError {
        match self {
            Trouble::Told(error) => error,
            Trouble::Sql(error) if is_about_room(&error, path) => StoreError::Full(full_text(path)),
            Trouble::Sql(error) if is_about_rights(&error) && is_closed(path) => {
                StoreError::Unavailable(format!("{} may not be written by this user; {}", path.display(), whose(path)))
            }
            Trouble::Sql(error) => StoreError::Unavailable(format!("{}: {error}", path.display())),
        }
    }
}

/// True where the file cannot grow. A database that is opened on a full file system fails already with the files beside it,
/// and for SQLite that is any failure of a disk.
fn is_about_room(error: &sqlx::Error, path: &Path) -> bool {
    match primary_code(error) {
        Some(FULL) => true,
        Some(IO_FAILED) => free_bytes(path).is_some_and(|free| free < ROOM_BYTES_MIN),
        _ => false,
    }
}

/// How many bytes there is room for where this file or folder lies; none where it is not there.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let state = rustix::fs::statvfs(path).ok()?;
    Some(state.f_bavail.saturating_mul(state.f_frsize))
}

/// `SQLITE_READONLY` and `SQLITE_CANTOPEN`.
fn is_about_rights(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(8 | 14))
}

/// True where this user may not read and write the file.
pub fn is_closed(path: &Path) -> bool {
    let tried = std::fs::OpenOptions::new().read(true).write(true).open(path);
    tried.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
}

/// Whose a file may be that this user may not open, and what to do.
pub(super) fn whose(path: &Path) -> String {
    format!(
        "it belongs to another user, perhaps to root: chown it to the user that runs the daemon, {}*",
        path.display()
    )
}

pub(super) fn full_text(path: &Path) -> String {
    let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    format!(
        "{} ({} MiB) cannot grow: make room on its file system, nothing is taken in until then",
        path.display(),
        bytes >> 20
    )
}

/// A copy of an error: several callers share one commit and so one failure.
pub(super) fn copy(error: &StoreError) -> StoreError {
    match error {
        StoreError::Full(text) => StoreError::Full(text.clone()),
        StoreError::Driven(text) => StoreError::Driven(text.clone()),
        StoreError::Newer(text) => StoreError::Newer(text.clone()),
        StoreError::Unavailable(text) => StoreError::Unavailable(text.clone()),
        StoreError::Unreadable { table, column, row, reason } => {
            StoreError::Unreadable { table, column, row: row.clone(), reason: reason.clone() }
        }
    }
}
