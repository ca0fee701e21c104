//! Looks at a database without opening it for work: for `doctor`, beside a daemon or without one.

use super::{migrations, open};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use std::fs::{File, TryLockError};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What was found of a database file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// Bytes of the file.
    pub bytes: u64,
    /// The newest migration it has.
    pub version: i64,
    /// The newest migration this program knows.
    pub newest: i64,
    /// The process that drives it, as far as it has told; none where nobody does.
    pub driver: Option<String>,
    /// What SQLite found broken; none for a sound file.
    pub damage: Option<String>,
    /// False where the look through the whole file took too long and was given up.
    pub is_whole: bool,
}

/// A larger file is looked through in longer than anybody waits.
const LOOK_MAX: Duration = Duration::from_secs(30);
/// How long a writer may be in the way.
const BUSY_MAX: Duration = Duration::from_secs(5);

/// Looks at a database; none where there is no file.
///
/// Errors: the file cannot be read, or is no database; in words, with the path.
pub async fn examine(path: &Path) -> Result<Option<Examined>, String> {
    let bytes = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{} cannot be opened: {error}", path.display())),
    };
    let failed = |error: sqlx::Error| format!("{} cannot be read: {error}", path.display());
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(BUSY_MAX)
        .pragma("query_only", "ON")
        .disable_statement_logging();
    let mut connection: SqliteConnection = options.connect().await.map_err(failed)?;
    let version = migrations::version(&mut connection).await.map_err(|trouble| trouble.told(path).to_string())?;
    let looked = tokio::time::timeout(LOOK_MAX, damage(&mut connection)).await;
    let (damage, is_whole) = match looked {
        Ok(found) => (found.map_err(failed)?, true),
        Err(_) => (None, false),
    };
    if is_whole {
        connection.close().await.map_err(failed)?;
    }
    Ok(Some(Examined {
        bytes,
        version,
        newest: migrations::MIGRATIONS.newest(),
        driver: driver(path),
        damage,
        is_whole,
    }))
}

async fn damage(connection: &mut SqliteConnection) -> Result<Option<String>, sqlx::Error> {
    let found: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(connection).await?;
    Ok((found != "ok").then_some(found))
}

/// True when somebody drives the file now.
pub fn is_driven(path: &Path) -> bool {
    driver(path).is_some()
}

/// Who holds the lock of the one that drives the file, in words: `process 123`. It is asked for and given back at once.
pub fn driver(path: &Path) -> Option<String> {
    let resolved = open::resolved(path).ok()?;
    let mut name = resolved.into_os_string();
    name.push(".lock");
    let mut file = File::open(PathBuf::from(name)).ok()?;
    match file.try_lock_shared() {
        Ok(()) | Err(TryLockError::Error(_)) => None,
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let known = file.by_ref().take(20).read_to_string(&mut holder).is_ok() && !holder.is_empty();
            Some(if known { format!("process {holder}") } else { "another process".to_owned() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Access, SqliteOptions, SqliteStore};
    use super::*;

    #[tokio::test]
    async fn a_file_is_seen_as_it_is() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("bridge.db");
        assert_eq!(examine(&path).await, Ok(None));
        let store = SqliteStore::open(SqliteOptions::new(&path, Access::Driver)).await.expect("opens");
        let found = examine(&path).await.expect("reads").expect("is there");
        assert_eq!((found.version, found.damage, found.is_whole), (found.newest, None, true));
        assert_eq!(found.driver, Some(format!("process {}", std::process::id())));
        store.close().await;
        assert_eq!(examine(&path).await.expect("reads").expect("is there").driver, None);
        std::fs::write(&path, vec![b'x'; 8192]).expect("writes");
        assert!(examine(&path).await.expect_err("is no database").contains("bridge.db"));
    }
}
