//! Opening the file: who may, how, and what is refused.

use super::migrations;
use super::trouble::{Tried, Trouble, full_text, whose};
use crate::ports::store::StoreError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Oldest SQLite without the WAL-reset corruption bug (SQLite 3.51.3 release notes).
const SQLITE_OLDEST: [u32; 3] = [3, 51, 3];

/// How long a write waits for another process that writes. A backfill's commits take milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a read waits for one of the readers.
const READER_TIMEOUT: Duration = Duration::from_secs(10);

/// The WAL file is cut back to this after it grew: a long read can make it large.
const WAL_BYTES: &str = "67108864";

/// Prepared statements a connection keeps. The whole adapter has fewer.
const STATEMENTS_MAX: usize = 128;

/// Rows a reader may be ahead of who reads them: with few, the two threads take turns at every row of a page.
const ROWS_BUFFERED: usize = 1_024;

/// A refusal to open, in words that say what to do.
fn refused(text: String) -> Trouble {
    Trouble::Told(StoreError::Unavailable(text))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Checks the folder and makes an empty file readable by its owner alone: it holds phone numbers and messages.
pub(super) fn create(path: &Path) -> Tried<()> {
    let folder = folder_of(path);
    if !folder.is_dir() {
        return Err(refused(format!(
            "the folder {} does not exist: make it and give it to the user salebridge runs as, or set store.url",
            folder.display()
        )));
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    owner_only(&mut options);
    match options.open(path) {
        Ok(_) => {
            give_to_folders_owner(path);
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(refused(format!("{} cannot be made: {error}", path.display()))),
    }
}

/// What root makes in the folder of the user that the daemon runs as is given to that user, who could not open it otherwise.
/// SQLite does the same with the files beside the database.
#[cfg(unix)]
fn give_to_folders_owner(path: &Path) {
    use std::os::unix::fs::{MetadataExt, chown};
    let (Ok(file), Ok(folder)) = (path.metadata(), folder_of(path).metadata()) else { return };
    // Nobody but root has files of root's. Where it may not be done, opening the file tells what to do.
    if file.uid() == 0 && folder.uid() != 0 {
        let _ = chown(path, Some(folder.uid()), Some(folder.gid()));
    }
}

#[cfg(not(unix))]
fn give_to_folders_owner(_path: &Path) {}

#[cfg(unix)]
fn owner_only(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}

#[cfg(not(unix))]
fn owner_only(_options: &mut OpenOptions) {}

/// The path without links, so that two names of one file meet in one lock.
pub(super) fn resolved(path: &Path) -> Tried<PathBuf> {
    path.canonicalize().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => refused(format!(
            "there is no database {}: `salebridge run` or `salebridge migrate` makes it",
            path.display()
        )),
        _ => refused(format!("{} cannot be opened: {error}", path.display())),
    })
}

/// Takes the lock of the one daemon that drives a file. It is held until the result is dropped,
/// and the system takes it back when the process dies.
pub(super) fn lock(path: &Path) -> Tried<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock_path = PathBuf::from(name);
    let failed = |error: std::io::Error| {
        if error.kind() == ErrorKind::StorageFull {
            return Trouble::Told(StoreError::Full(full_text(path)));
        }
        let what_to_do = match error.kind() {
            ErrorKind::PermissionDenied => format!("; {}", whose(path)),
            _ => String::new(),
        };
        refused(format!("{} cannot be locked: {error}{what_to_do}", lock_path.display()))
    };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    owner_only(&mut options);
    let mut file = options.open(&lock_path).map_err(failed)?;
    give_to_folders_owner(&lock_path);
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(in_use(path, &mut file)),
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    // The number is for the message of the next one only, so an old longer one must not shine through.
    file.set_len(0).map_err(failed)?;
    file.rewind().map_err(failed)?;
    write!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}

fn in_use(path: &Path, file: &mut File) -> Trouble {
    let mut holder = String::new();
    let known = file.take(20).read_to_string(&mut holder).is_ok() && !holder.is_empty();
    let holder = if known { format!(" (process {holder})") } else { String::new() };
    Trouble::Told(StoreError::Driven(format!(
        "{} is driven by another salebridge{holder}: stop that one first, or give this one a database of its own",
        path.display()
    )))
}

/// How the writing connection is opened.
pub(super) fn writing(path: &Path, size_max_bytes: Option<u64>) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        // NORMAL does not sync a commit in WAL mode: an answered webhook could vanish with the power.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        // No table refers to another: rows are tied by the code that writes them in one transaction.
        .foreign_keys(false)
        .statement_cache_capacity(STATEMENTS_MAX)
        .pragma("journal_size_limit", WAL_BYTES)
        .pragma("cache_size", "-8000")
        .disable_statement_logging();
    match size_max_bytes {
        Some(bytes) => options.pragma("max_page_count", (bytes / 4096).to_string()),
        None => options,
    }
}

/// The readers. They see what was committed and cannot write.
pub(super) fn readers(path: &Path, connections_max: u32) -> SqlitePool {
    // Not opened read-only: a reader that comes first after a crash must be able to recover the WAL.
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(false)
        .statement_cache_capacity(STATEMENTS_MAX)
        .row_buffer_size(ROWS_BUFFERED)
        .pragma("query_only", "ON")
        .disable_statement_logging();
    SqlitePoolOptions::new()
        .max_connections(connections_max)
        // A connection to a file of our own does not break while nobody uses it, and each asking is a way to its thread and back.
        .test_before_acquire(false)
        .acquire_timeout(READER_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(options)
}

/// Refuses an SQLite that is known to damage databases. An update of dependencies may bring one back.
pub(super) async fn check_library(connection: &mut SqliteConnection) -> Tried<()> {
    let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(connection).await?;
    if is_sound(&version) {
        return Ok(());
    }
    let [major, minor, patch] = SQLITE_OLDEST;
    Err(refused(format!(
        "this program was built with SQLite {version}, which can damage a database; {major}.{minor}.{patch} is needed"
    )))
}

fn is_sound(version: &str) -> bool {
    let numbers: Vec<u32> = version.split('.').map_while(|part| part.parse().ok()).collect();
    numbers.as_slice() >= SQLITE_OLDEST.as_slice()
}

/// Opens the writing connection and brings the database up to this program, or refuses.
pub(super) async fn prepared(options: &SqliteConnectOptions, path: &Path, migrate: bool) -> Tried<SqliteConnection> {
    let mut connection = options.connect().await?;
    check_library(&mut connection).await?;
    if migrate {
        migrations::apply(&mut connection, path).await?;
    } else {
        let version = migrations::version(&mut connection).await?;
        migrations::check(path, version)?;
    }
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("3.51.3", true)]
    #[case("3.52.0", true)]
    #[case("3.100.0", true)]
    #[case("4.0", true)]
    #[case("3.51.2", false)]
    #[case("3.50.9", false)]
    #[case("", false)]
    fn old_libraries_are_refused(#[case] version: &str, #[case] sound: bool) {
        assert_eq!(is_sound(version), sound);
    }

    #[tokio::test]
    async fn every_commit_is_synced() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("bridge.db");
        create(&path).expect("is made");
        let mut connection = prepared(&writing(&path, None), &path, true).await.expect("opens");
        let synchronous: i64 =
            sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut connection).await.expect("reads");
        assert_eq!(synchronous, 2, "2 is FULL (SQLite: pragma synchronous)");
    }
}
