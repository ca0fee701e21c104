//! The migrations of PostgreSQL databases.

use super::trouble::{Tried, Trouble};
use crate::store::migrations::{Migrations, failed};
use sqlx::PgConnection;

/// Oldest first.
pub(super) static MIGRATIONS: Migrations = Migrations(&[
    (1, "initial", include_str!("../../../migrations/postgres/0001_initial.sql")),
    (2, "runs", include_str!("../../../migrations/postgres/0002_runs.sql")),
    (3, "deals_of_clients", include_str!("../../../migrations/postgres/0003_deals_of_clients.sql")),
]);

/// The number of the newest migration a database has; 0 for an empty one.
pub(super) async fn version(connection: &mut PgConnection) -> Tried<i64> {
    let known: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_class WHERE oid = to_regclass('_sqlx_migrations')")
        .fetch_one(&mut *connection)
        .await?;
    if known == 0 {
        return Ok(0);
    }
    Ok(sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations").fetch_one(connection).await?)
}

/// Applies what is missing, one program at a time. Returns the numbers of the applied migrations.
pub(super) async fn apply(connection: &mut PgConnection, place: &str) -> Tried<Vec<i64>> {
    let before = version(connection).await?;
    MIGRATIONS.check_not_newer(place, before)?;
    MIGRATIONS.migrator().run_direct(None, connection, false).await.map_err(|error| failed::<Trouble>(place, error))?;
    Ok(MIGRATIONS.since(before))
}

/// Refuses a database that is not as far as this program is, or further.
pub(super) fn check(place: &str, version: i64) -> Tried<()> {
    MIGRATIONS.check_not_newer(place, version)?;
    Ok(MIGRATIONS.check_not_older(place, version)?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn migrations_are_numbered_without_gaps() {
        assert!(super::MIGRATIONS.are_numbered());
    }
}
