//! What can go wrong inside the adapter, and how it is told outside.

use crate::ports::store::StoreError;

/// A failure before it is known which database it happened to.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The database's own, or the connection's.
    Sql(sqlx::Error),
    /// Already in its final words.
    Told(StoreError),
}

/// Result inside the adapter.
pub(super) type Tried<T> = Result<T, Trouble>;

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Trouble {
        Trouble::Sql(error)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Trouble {
        Trouble::Told(error)
    }
}

/// PostgreSQL's five characters, where the server told any (PostgreSQL: "Appendix A, Error Codes").
fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(|code| code.into_owned())
}

/// `disk_full`.
const DISK_FULL: &str = "53100";
/// `serialization_failure` and `deadlock_detected`: the same again may go well.
const AGAIN: [&str; 2] = ["40001", "40P01"];

impl Trouble {
    /// True when the connection is of no use any more: it broke, or the server ends it (class 57P: shutdown, crash,
    /// still starting; `idle_in_transaction_session_timeout` is 25P03).
    pub(super) fn is_lost(&self) -> bool {
        match self {
            Trouble::Told(_) => false,
            Trouble::Sql(error) => code(error).is_none_or(|code| code.starts_with("57P") || code == "25P03"),
        }
    }

    /// True when other writers were in the way, and the same once more may go well.
    pub(super) fn is_clash(&self) -> bool {
        match self {
            Trouble::Told(_) => false,
            Trouble::Sql(error) => code(error).is_some_and(|code| AGAIN.contains(&code.as_str())),
        }
    }

    /// The same for the caller, naming the database. The server's message is shown, its detail is not: that one
    /// quotes rows.
    pub(super) fn told(self, place: &str) -> StoreError {
        match self {
            Trouble::Told(error) => error,
            Trouble::Sql(error) if code(&error).as_deref() == Some(DISK_FULL) => StoreError::Full(format!(
                "{place} cannot grow: make room on the file system of its server, nothing is taken in until then"
            )),
            Trouble::Sql(sqlx::Error::Database(error)) => {
                StoreError::Unavailable(format!("{place}: {}", error.message()))
            }
            Trouble::Sql(sqlx::Error::PoolTimedOut) => {
                StoreError::Unavailable(format!("{place}: no connection in time: it does not answer, or is overloaded"))
            }
            Trouble::Sql(error) => StoreError::Unavailable(format!("{place}: {error}")),
        }
    }
}

/// A copy of an error: several callers share one statement and so one failure.
pub(super) fn copy(error: &StoreError) -> StoreError {
    match error {
        StoreError::Full(text) => StoreError::Full(text.clone()),
        StoreError::Driven(text) => StoreError::Driven(text.clone()),
        StoreError::Newer(text) => StoreError::Newer(text.clone()),
        StoreError::Unavailable(text) => StoreError::Unavailable(text.clone()),
        StoreError::Unreadable { table, column, row, reason } => {
            StoreError::Unreadable { table, column, row: row.clone(), reason: reason.clone() }
        }
    }
}
