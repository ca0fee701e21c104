//! How far a database is behind or ahead of the migrations this program carries. Each adapter has a list of its own.

use crate::ports::store::{StoreError, Stored};
use sqlx::SqlSafeStr;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};

/// Number, name and text of every migration of one kind of database, oldest first.
pub(super) struct Migrations(pub(super) &'static [(i64, &'static str, &'static str)]);

impl Migrations {
    /// True where they are numbered from 1 without gaps.
    #[cfg(test)]
    pub(super) fn are_numbered(&self) -> bool {
        self.0.iter().map(|(number, ..)| *number).eq(1..=self.newest())
    }

    /// The number of the newest migration this program knows.
    pub(super) fn newest(&self) -> i64 {
        self.0.last().map_or(0, |(number, ..)| *number)
    }

    /// The numbers of the migrations after this one.
    pub(super) fn since(&self, before: i64) -> Vec<i64> {
        self.0.iter().map(|(number, ..)| *number).filter(|number| *number > before).collect()
    }

    /// What applies them.
    pub(super) fn migrator(&self) -> Migrator {
        let migration = |(number, name, text): &(i64, &'static str, &'static str)| {
            Migration::new(*number, (*name).into(), MigrationType::Simple, text.into_sql_str(), false)
        };
        Migrator::with_migrations(self.0.iter().map(migration).collect())
    }

    /// Refuses a database that a newer program has changed. `place`: the database, as people are told of it.
    pub(super) fn check_not_newer(&self, place: &str, version: i64) -> Stored<()> {
        if version <= self.newest() {
            return Ok(());
        }
        Err(StoreError::Newer(format!(
            "{place} has migration {version}, this program knows migrations up to {}: it was used by a newer salebridge; \
             install that version or a later one",
            self.newest()
        )))
    }

    /// Refuses a database that lacks migrations, for those who must not apply them.
    pub(super) fn check_not_older(&self, place: &str, version: i64) -> Stored<()> {
        if version >= self.newest() {
            return Ok(());
        }
        Err(StoreError::Unavailable(format!(
            "{place} has migrations up to {version}, this program needs {}: run `salebridge migrate`",
            self.newest()
        )))
    }
}

/// Why migrations could not be applied, as the adapter's own trouble.
pub(super) fn failed<T: From<sqlx::Error> + From<StoreError>>(place: &str, error: MigrateError) -> T {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        MigrateError::VersionMismatch(number) => StoreError::Unavailable(format!(
            "{place} has another migration {number} than this program: it was made by a build that was never released"
        ))
        .into(),
        other => StoreError::Unavailable(format!("{place}: {other}")).into(),
    }
}
