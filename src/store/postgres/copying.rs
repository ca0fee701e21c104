//! A PostgreSQL database that is moved to another one, or filled from one.

use super::lease::HOLDERS;
use super::open::{self, Address};
use super::rows::{spelled, storable};
use super::trouble::{Tried, Trouble};
use crate::ports::store::{StoreError, Stored};
use crate::store::copying::{Cell, Cells, CopySource, CopyTarget, Kind, TABLES, TableForm};
use async_trait::async_trait;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{AssertSqlSafe, Executor, PgConnection, Postgres, Row};

/// A database that nobody drives meanwhile.
pub struct PostgresCopy {
    connection: PgConnection,
    address: Address,
}

impl PostgresCopy {
    /// Opens a database to read from it. What is read is one moment's.
    ///
    /// # Errors
    /// [`StoreError::Driven`] while a node drives one of its bridges; else as for [`super::PostgresStore::open`].
    pub async fn source(url: &str) -> Stored<PostgresCopy> {
        Self::opened(url, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
    }

    /// Opens a database to fill it. Whoever else would write to it waits, and fails in the end.
    pub async fn target(url: &str) -> Stored<PostgresCopy> {
        Self::opened(url, "BEGIN; LOCK TABLE bridges, inbox, leases IN ACCESS EXCLUSIVE MODE").await
    }

    async fn opened(url: &str, begin: &'static str) -> Stored<PostgresCopy> {
        let address = Address::read(url).map_err(|trouble| trouble.told("the address"))?;
        let opened = async {
            let mut connection = open::prepared(&address, true).await?;
            // A table of millions of rows is read and written in one transaction, with pauses of the other side.
            connection.execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0").await?;
            if let Some(row) = sqlx::query(HOLDERS).fetch_optional(&mut connection).await? {
                let (bridge, at): (String, String) = (row.try_get(0)?, row.try_get(1)?);
                return Err(Trouble::Told(StoreError::Driven(format!(
                    "bridge {bridge} is driven by the node at {at}: stop every node first"
                ))));
            }
            connection.execute(begin).await?;
            Ok(connection)
        };
        let opened: Tried<PgConnection> = opened.await;
        match opened {
            Ok(connection) => Ok(PostgresCopy { connection, address }),
            Err(trouble) => Err(trouble.told(&address.place)),
        }
    }

    fn told(&self, error: sqlx::Error) -> StoreError {
        Trouble::Sql(error).told(&self.address.place)
    }

    async fn counted(&mut self, table: &TableForm) -> Stored<i64> {
        let text = format!("SELECT count(*) FROM {}", table.name);
        let counted = sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(&mut self.connection).await;
        counted.map_err(|error| self.told(error))
    }
}

type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

fn bound<'q>(query: Query<'q>, cell: &Cell) -> Query<'q> {
    match cell {
        Cell::Null => query.bind(None::<i64>),
        Cell::Number(number) => query.bind(*number),
        Cell::Text(text) => query.bind(storable(text).into_owned()),
        Cell::Bytes(bytes) => query.bind(bytes.clone()),
    }
}

fn cells(row: &PgRow, table: &TableForm) -> Result<Cells, sqlx::Error> {
    let cell = |(place, (_, kind)): (usize, &(&str, Kind))| {
        Ok(match kind {
            Kind::Number => row.try_get::<Option<i64>, _>(place)?.map(Cell::Number),
            Kind::Flag => row.try_get::<Option<bool>, _>(place)?.map(|flag| Cell::Number(i64::from(flag))),
            Kind::Text => row.try_get::<Option<String>, _>(place)?.map(|text| Cell::Text(spelled(text))),
            Kind::Bytes => row.try_get::<Option<Vec<u8>>, _>(place)?.map(Cell::Bytes),
        }
        .unwrap_or(Cell::Null))
    };
    table.columns.iter().enumerate().map(cell).collect()
}

/// The cells of one column as a list. Cells of another kind than the column's are none.
fn column<T>(rows: &[Cells], place: usize, pick: impl Fn(&Cell) -> Option<T>) -> Vec<Option<T>> {
    rows.iter().map(|row| pick(&row[place])).collect()
}

fn list<'q>(query: Query<'q>, rows: &[Cells], place: usize, kind: Kind) -> Query<'q> {
    let number = |cell: &Cell| if let Cell::Number(number) = cell { Some(*number) } else { None };
    match kind {
        Kind::Number => query.bind(column(rows, place, number)),
        Kind::Flag => query.bind(column(rows, place, |cell| number(cell).map(|number| number != 0))),
        Kind::Text => query.bind(column(rows, place, |cell| {
            if let Cell::Text(text) = cell { Some(storable(text).into_owned()) } else { None }
        })),
        Kind::Bytes => query
            .bind(column(rows, place, |cell| if let Cell::Bytes(bytes) = cell { Some(bytes.clone()) } else { None })),
    }
}

#[async_trait]
impl CopySource for PostgresCopy {
    async fn page(&mut self, table: &TableForm, after: Option<&Cells>, rows_max: i64) -> Stored<Vec<Cells>> {
        let mut query = sqlx::query(AssertSqlSafe(table.list_text(after.is_none()))).bind(rows_max);
        for cell in after.into_iter().flat_map(|after| &after[..table.order]) {
            query = bound(query, cell);
        }
        let rows = query.fetch_all(&mut self.connection).await.map_err(|error| self.told(error))?;
        let read: Result<Vec<Cells>, _> = rows.iter().map(|row| cells(row, table)).collect();
        // The driver's own text may quote a value.
        read.map_err(|_| {
            StoreError::Unavailable(format!("{}: a row of {} cannot be read", self.address.place, table.name))
        })
    }

    async fn count(&mut self, table: &TableForm) -> Stored<i64> {
        self.counted(table).await
    }
}

#[async_trait]
impl CopyTarget for PostgresCopy {
    async fn count(&mut self, table: &TableForm) -> Stored<i64> {
        self.counted(table).await
    }

    async fn add(&mut self, table: &TableForm, rows: &[Cells]) -> Stored<()> {
        let kinds = table.columns.iter().enumerate().map(|(place, (_, kind))| {
            let name = match kind {
                Kind::Number => "bigint",
                Kind::Flag => "boolean",
                Kind::Text => "text",
                Kind::Bytes => "bytea",
            };
            format!("${}::{name}[]", place + 1)
        });
        let lists = kinds.collect::<Vec<_>>().join(", ");
        let text = format!("{} SELECT * FROM unnest({lists})", table.insert_text());
        let mut query = sqlx::query(AssertSqlSafe(text));
        for (place, (_, kind)) in table.columns.iter().enumerate() {
            query = list(query, rows, place, *kind);
        }
        query.execute(&mut self.connection).await.map(drop).map_err(|error| self.told(error))
    }

    async fn keep(&mut self) -> Stored<()> {
        for table in TABLES.iter().filter(|table| table.is_counted) {
            let (name, id) = (table.name, table.columns[0].0);
            // Behind the highest row, or at the beginning where there is none.
            let text = format!(
                "SELECT setval(pg_get_serial_sequence('{name}', '{id}'), coalesce(max({id}), 0) + 1, false) FROM {name}"
            );
            self.connection.execute(AssertSqlSafe(text)).await.map_err(|error| self.told(error))?;
        }
        self.connection.execute("COMMIT; ANALYZE").await.map(drop).map_err(|error| self.told(error))
    }
}
