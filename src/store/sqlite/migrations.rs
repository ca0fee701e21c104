//! The migrations of SQLite files.

use super::trouble::{Tried, Trouble};
use crate::store::migrations::{Migrations, failed};
use sqlx::SqliteConnection;
use std::path::Path;

/// Oldest first.
pub(super) static MIGRATIONS: Migrations = Migrations(&[
    (1, "initial", include_str!("../../../migrations/sqlite/0001_initial.sql")),
    (2, "runs", include_str!("../../../migrations/sqlite/0002_runs.sql")),
    (3, "deals_of_clients", include_str!("../../../migrations/sqlite/0003_deals_of_clients.sql")),
]);

/// The number of the newest migration a database has; 0 for an empty one.
pub(super) async fn version(connection: &mut SqliteConnection) -> Tried<i64> {
    let known: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'")
        .fetch_one(&mut *connection)
        .await?;
    if known == 0 {
        return Ok(0);
    }
    Ok(sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations").fetch_one(connection).await?)
}

/// Applies what is missing. Returns the numbers of the applied migrations.
pub(super) async fn apply(connection: &mut SqliteConnection, path: &Path) -> Tried<Vec<i64>> {
    let place = path.display().to_string();
    let before = version(connection).await?;
    MIGRATIONS.check_not_newer(&place, before)?;
    MIGRATIONS
        .migrator()
        .run_direct(None, connection, false)
        .await
        .map_err(|error| failed::<Trouble>(&place, error))?;
    Ok(MIGRATIONS.since(before))
}

/// Refuses a file that is not as far as this program is, or further.
pub(super) fn check(path: &Path, version: i64) -> Tried<()> {
    let place = path.display().to_string();
    MIGRATIONS.check_not_newer(&place, version)?;
    Ok(MIGRATIONS.check_not_older(&place, version)?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn migrations_are_numbered_without_gaps() {
        assert!(super::MIGRATIONS.are_numbered());
    }
}
