//! An SQLite file that is moved to another database, or filled from one.

use super::open;
use super::trouble::{Tried, Trouble};
use crate::ports::store::{StoreError, Stored};
use crate::store::copying::{Cell, Cells, CopySource, CopyTarget, Kind, TableForm};
use async_trait::async_trait;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Executor, Row, Sqlite, SqliteConnection};
use std::fs::File;
use std::path::{Path, PathBuf};

/// An SQLite file that nobody drives meanwhile.
#[derive(Debug)]
pub struct SqliteCopy {
    connection: SqliteConnection,
    path: PathBuf,
    _lock: File,
}

impl SqliteCopy {
    /// Opens a file to read from it. What is read is one moment's.
    ///
    /// # Errors
    /// [`StoreError::Driven`] while a daemon runs on it; else as for [`super::SqliteStore::open`].
    pub async fn source(path: &Path) -> Stored<SqliteCopy> {
        let opened = async {
            let path = open::resolved(path)?;
            Self::opened(path, "BEGIN").await
        };
        opened.await.map_err(|trouble: Trouble| trouble.told(path))
    }

    /// Opens a file to fill it, making it if needed.
    pub async fn target(path: &Path) -> Stored<SqliteCopy> {
        let opened = async {
            open::create(path)?;
            Self::opened(open::resolved(path)?, "BEGIN IMMEDIATE").await
        };
        opened.await.map_err(|trouble: Trouble| trouble.told(path))
    }

    async fn opened(path: PathBuf, begin: &'static str) -> Tried<SqliteCopy> {
        let lock = open::lock(&path)?;
        let mut connection = open::prepared(&open::writing(&path, None), &path, true).await?;
        connection.execute(begin).await?;
        Ok(SqliteCopy { connection, path, _lock: lock })
    }

    fn told(&self, error: sqlx::Error) -> StoreError {
        Trouble::Sql(error).told(&self.path)
    }

    async fn counted(&mut self, table: &TableForm) -> Stored<i64> {
        let text = format!("SELECT count(*) FROM {}", table.name);
        let counted = sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(&mut self.connection).await;
        counted.map_err(|error| self.told(error))
    }
}

type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

fn bound<'q>(query: Query<'q>, cell: &Cell) -> Query<'q> {
    match cell {
        Cell::Null => query.bind(None::<i64>),
        Cell::Number(number) => query.bind(*number),
        Cell::Text(text) => query.bind(text.clone()),
        Cell::Bytes(bytes) => query.bind(bytes.clone()),
    }
}

fn cells(row: &SqliteRow, table: &TableForm) -> Result<Cells, sqlx::Error> {
    let cell = |(place, (_, kind)): (usize, &(&str, Kind))| {
        Ok(match kind {
            Kind::Number | Kind::Flag => row.try_get::<Option<i64>, _>(place)?.map(Cell::Number),
            Kind::Text => row.try_get::<Option<String>, _>(place)?.map(Cell::Text),
            Kind::Bytes => row.try_get::<Option<Vec<u8>>, _>(place)?.map(Cell::Bytes),
        }
        .unwrap_or(Cell::Null))
    };
    table.columns.iter().enumerate().map(cell).collect()
}

#[async_trait]
impl CopySource for SqliteCopy {
    async fn page(&mut self, table: &TableForm, after: Option<&Cells>, rows_max: i64) -> Stored<Vec<Cells>> {
        let text = table.list_text(after.is_none());
        let mut query = sqlx::query(AssertSqlSafe(text)).bind(rows_max);
        for cell in after.into_iter().flat_map(|after| &after[..table.order]) {
            query = bound(query, cell);
        }
        let rows = query.fetch_all(&mut self.connection).await.map_err(|error| self.told(error))?;
        let read: Result<Vec<Cells>, _> = rows.iter().map(|row| cells(row, table)).collect();
        // The driver's own text may quote a value.
        read.map_err(|_| {
            StoreError::Unavailable(format!("{}: a row of {} cannot be read", self.path.display(), table.name))
        })
    }

    async fn count(&mut self, table: &TableForm) -> Stored<i64> {
        self.counted(table).await
    }
}

#[async_trait]
impl CopyTarget for SqliteCopy {
    async fn count(&mut self, table: &TableForm) -> Stored<i64> {
        self.counted(table).await
    }

    async fn add(&mut self, table: &TableForm, rows: &[Cells]) -> Stored<()> {
        let places = vec!["?"; table.columns.len()].join(", ");
        // A statement has a bound on its places (SQLite: "Implementation Limits"); 500 rows of 16 stay below it.
        for rows in rows.chunks(500) {
            let values = vec![format!("({places})"); rows.len()].join(", ");
            let mut query = sqlx::query(AssertSqlSafe(format!("{} VALUES {values}", table.insert_text())));
            for cell in rows.iter().flatten() {
                query = bound(query, cell);
            }
            query.persistent(false).execute(&mut self.connection).await.map_err(|error| self.told(error))?;
        }
        Ok(())
    }

    async fn keep(&mut self) -> Stored<()> {
        // SQLite goes on behind the highest row by itself.
        self.connection.execute("COMMIT").await.map(drop).map_err(|error| self.told(error))
    }
}
