//! Moving everything from one kind of database to the other: which tables there are, and their rows in a form that
//! both can read and write.

use crate::ports::store::Stored;
use async_trait::async_trait;

/// What a column holds, in both databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Number,
    /// Yes or no: a number in SQLite.
    Flag,
    /// A text of ours, which may hold any character.
    Text,
    /// Bytes.
    Bytes,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// None.
    Null,
    /// A number, or a flag as 0 or 1.
    Number(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// One row, its cells in the order of the table's columns.
pub type Cells = Vec<Cell>;

/// A table that is moved. Its rows are listed in the order of `order`, the first columns.
#[derive(Debug)]
pub struct TableForm {
    /// Its name.
    pub name: &'static str,
    /// Its columns.
    pub columns: &'static [(&'static str, Kind)],
    /// How many of them, from the first, tell one row from another.
    pub order: usize,
    /// The first column is counted by the database, which must go on behind the highest one.
    pub is_counted: bool,
}

use Kind::{Bytes, Flag, Number, Text};

/// Every table but the leases, which are about processes and not about bridges.
pub const TABLES: [TableForm; 11] = [
    TableForm { name: "bridges", columns: &[("id", Number), ("name", Text)], order: 1, is_counted: true },
    TableForm {
        name: "inbox",
        columns: &[
            ("id", Number),
            ("bridge", Number),
            ("source", Number),
            ("state", Number),
            ("dedupe", Text),
            ("client", Number),
            ("message", Number),
            ("received_at", Number),
            ("due", Number),
            ("reason", Text),
            ("body", Bytes),
        ],
        order: 1,
        is_counted: true,
    },
    TableForm {
        name: "marks",
        columns: &[
            ("revision", Number),
            ("bridge", Number),
            ("kind", Number),
            ("subject", Number),
            ("due", Number),
            ("attempts", Number),
            ("run", Text),
        ],
        order: 1,
        is_counted: true,
    },
    TableForm {
        name: "outbox",
        columns: &[
            ("id", Number),
            ("bridge", Number),
            ("side", Number),
            ("state", Number),
            ("priority", Number),
            ("in_doubt", Flag),
            ("attempts", Number),
            ("not_before", Number),
            ("created_at", Number),
            ("first_attempt_at", Number),
            ("died_at", Number),
            ("name", Text),
            ("key", Text),
            ("slot", Text),
            ("fault", Text),
            ("payload", Text),
            ("run", Text),
        ],
        order: 1,
        is_counted: true,
    },
    TableForm {
        name: "clients",
        columns: &[
            ("bridge", Number),
            ("client", Number),
            ("contact", Number),
            ("last_message_at", Number),
            ("revision", Number),
            ("facts", Text),
            ("bases", Text),
        ],
        order: 2,
        is_counted: false,
    },
    TableForm {
        name: "deals",
        columns: &[
            ("bridge", Number),
            ("lead", Number),
            ("contact", Number),
            ("client", Number),
            ("revision", Number),
            ("facts", Text),
            ("bases", Text),
        ],
        order: 2,
        is_counted: false,
    },
    TableForm {
        name: "contacts",
        columns: &[("bridge", Number), ("contact", Number), ("version", Number), ("fingerprint", Text)],
        order: 2,
        is_counted: false,
    },
    TableForm {
        name: "contact_keys",
        columns: &[("bridge", Number), ("key", Text), ("contact", Number)],
        order: 2,
        is_counted: false,
    },
    TableForm {
        name: "cursors",
        columns: &[("bridge", Number), ("name", Text), ("at", Number), ("moved_at", Number)],
        order: 2,
        is_counted: false,
    },
    TableForm {
        name: "texts",
        columns: &[("bridge", Number), ("name", Text), ("value", Text)],
        order: 2,
        is_counted: false,
    },
    TableForm {
        name: "journal",
        columns: &[
            ("id", Number),
            ("bridge", Number),
            ("at", Number),
            ("subject", Text),
            ("kind", Text),
            ("detail", Text),
        ],
        order: 1,
        is_counted: true,
    },
];

impl TableForm {
    fn names(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    /// The statement that lists the rows after a place, `$1` being the bound and the place following it. Both
    /// databases read `$n`.
    pub(super) fn list_text(&self, is_first: bool) -> String {
        let keys = self.columns[..self.order].iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let after = (2..self.order + 2).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ");
        let condition = if is_first { String::new() } else { format!(" WHERE ({keys}) > ({after})") };
        format!("SELECT {} FROM {}{condition} ORDER BY {keys} LIMIT $1", self.names(), self.name)
    }

    /// The columns of an insertion: `INSERT INTO name (columns)`.
    pub(super) fn insert_text(&self) -> String {
        format!("INSERT INTO {} ({})", self.name, self.names())
    }
}

/// A database that is read from.
#[async_trait]
pub trait CopySource: Send {
    /// The next rows of a table after this one, at most so many.
    async fn page(&mut self, table: &TableForm, after: Option<&Cells>, rows_max: i64) -> Stored<Vec<Cells>>;

    /// How many rows a table has.
    async fn count(&mut self, table: &TableForm) -> Stored<i64>;
}

/// A database that is written to, in one transaction: all of it or nothing.
#[async_trait]
pub trait CopyTarget: Send {
    /// How many rows a table has, those added included.
    async fn count(&mut self, table: &TableForm) -> Stored<i64>;

    /// Adds rows.
    async fn add(&mut self, table: &TableForm, rows: &[Cells]) -> Stored<()>;

    /// Lets counted columns go on behind the rows that were added, and keeps everything. Dropped without this,
    /// nothing of it remains.
    async fn keep(&mut self) -> Stored<()>;
}
