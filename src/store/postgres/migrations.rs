//! The migrations this program carries, and how far a database is behind or ahead of them.

use super::trouble::{Tried, Trouble};
use crate::ports::store::StoreError;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{PgConnection, SqlSafeStr};

/// Number, name and text of every migration, oldest first.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "initial", include_str!("../../../migrations/postgres/0001_initial.sql")),
    (2, "runs", include_str!("../../../migrations/postgres/0002_runs.sql")),
];

/// The number of the newest migration this program knows.
pub(super) fn newest() -> i64 {
    MIGRATIONS.last().map_or(0, |(number, ..)| *number)
}

fn migrator() -> Migrator {
    let migration = |(number, name, text): &(i64, &'static str, &'static str)| {
        Migration::new(*number, (*name).into(), MigrationType::Simple, text.into_sql_str(), false)
    };
    Migrator::with_migrations(MIGRATIONS.iter().map(migration).collect())
}

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

/// Refuses a database that a newer program has changed.
pub(super) fn check_not_newer(place: &str, version: i64) -> Tried<()> {
    if version <= newest() {
        return Ok(());
    }
    Err(Trouble::Told(StoreError::Unavailable(format!(
        "{} has migration {version}, this program knows migrations up to {}: it was used by a newer salebridge; \
         install that version or a later one",
        place,
        newest()
    ))))
}

/// Refuses a database that lacks migrations, for those who must not apply them.
pub(super) fn check_not_older(place: &str, version: i64) -> Tried<()> {
    if version >= newest() {
        return Ok(());
    }
    Err(Trouble::Told(StoreError::Unavailable(format!(
        "{} has migrations up to {version}, this program needs {}: run `salebridge migrate`",
        place,
        newest()
    ))))
}

/// Applies what is missing, one program at a time. Returns the numbers of the applied migrations.
pub(super) async fn apply(connection: &mut PgConnection, place: &str) -> Tried<Vec<i64>> {
    let before = version(connection).await?;
    check_not_newer(place, before)?;
    migrator().run_direct(None, connection, false).await.map_err(|error| failed(place, error))?;
    Ok(since(before))
}

/// The numbers of the migrations after this one.
pub(super) fn since(before: i64) -> Vec<i64> {
    MIGRATIONS.iter().map(|(number, ..)| *number).filter(|number| *number > before).collect()
}

fn failed(place: &str, error: MigrateError) -> Trouble {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => Trouble::Sql(error),
        MigrateError::VersionMismatch(number) => Trouble::Told(StoreError::Unavailable(format!(
            "{} has another migration {number} than this program: it was made by a build that was never released",
            place
        ))),
        other => Trouble::Told(StoreError::Unavailable(format!("{}: {other}", place))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_without_gaps() {
        let numbers: Vec<i64> = MIGRATIONS.iter().map(|(number, ..)| *number).collect();
        assert_eq!(numbers, (1..=newest()).collect::<Vec<_>>());
    }
}
