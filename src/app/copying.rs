//! `store copy`: everything from one database to another, all of it or nothing.

use crate::store::copying::{CopySource, CopyTarget, TABLES};
use crate::store::postgres::PostgresCopy;
use crate::store::sqlite::SqliteCopy;
use anyhow::bail;
use std::path::Path;

/// Rows that are read and written at a time.
const PAGE_ROWS: i64 = 2_000;

/// How far it is.
#[derive(Debug, Clone, Copy)]
pub struct CopyProgress {
    /// The table.
    pub table: &'static str,
    /// Rows of it that were written.
    pub done: i64,
    /// Rows it has.
    pub all: i64,
}

/// Where a database is.
enum Place<'a> {
    File(&'a Path),
    Server(&'a str),
}

fn place(url: &str) -> anyhow::Result<Place<'_>> {
    if let Some(path) = url.strip_prefix("sqlite://").filter(|path| !path.is_empty()) {
        return Ok(Place::File(Path::new(path)));
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Place::Server(url));
    }
    // The address itself may hold a password.
    bail!("a database is written as sqlite:///absolute/path or postgres://user@host/database")
}

/// Copies everything. Returns the rows of each table.
///
/// # Errors
/// A daemon works on either; the target is not empty; a count differs in the end. Nothing of it remains then.
pub async fn copy(from: &str, to: &str, told: impl Fn(CopyProgress)) -> anyhow::Result<Vec<(&'static str, i64)>> {
    let mut source: Box<dyn CopySource> = match place(from)? {
        Place::File(path) => Box::new(SqliteCopy::source(path).await?),
        Place::Server(url) => Box::new(PostgresCopy::source(url).await?),
    };
    let mut target: Box<dyn CopyTarget> = match place(to)? {
        Place::File(path) => Box::new(SqliteCopy::target(path).await?),
        Place::Server(url) => Box::new(PostgresCopy::target(url).await?),
    };
    for table in &TABLES {
        if target.count(table).await? > 0 {
            bail!("the target is not empty: table {} has rows. Copy into a database of its own", table.name);
        }
    }
    let mut copied = Vec::new();
    for table in &TABLES {
        let all = source.count(table).await?;
        let mut done = 0;
        let mut after = None;
        loop {
            let rows = source.page(table, after.as_ref(), PAGE_ROWS).await?;
            let Some(last) = rows.last() else { break };
            target.add(table, &rows).await?;
            done += i64::try_from(rows.len())?;
            told(CopyProgress { table: table.name, done, all });
            after = Some(last.clone());
        }
        let found = target.count(table).await?;
        if (done, found) != (all, all) {
            bail!("table {}: {all} rows there, {done} read, {found} written: nothing was kept", table.name);
        }
        copied.push((table.name, found));
    }
    target.keep().await?;
    Ok(copied)
}
