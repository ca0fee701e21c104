//! Rows of the database and our types.

use super::trouble::{Tried, Trouble};
use crate::core::time::Millis;
use crate::ports::store::{StoreError, Subject};
use crate::store::compact::Columns;
use crate::store::words::{self, subject_of};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row, Type};
use std::borrow::Cow;

pub(super) use crate::store::words::{Word, subject_kind};

/// A text as PostgreSQL can hold it: it knows no NUL. Structures need no such care, JSON spells both characters out.
pub(super) fn storable(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', ESCAPE]) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(ESCAPE, "\u{1}1").replace('\0', "\u{1}0"))
}

/// The text behind [`storable`].
pub(super) fn spelled(text: String) -> String {
    if !text.contains(ESCAPE) {
        return text;
    }
    let mut parts = text.split(ESCAPE);
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        whole.push(if part.starts_with('0') { '\0' } else { ESCAPE });
        whole.push_str(part.get(1..).unwrap_or_default());
    }
    whole
}

/// Stands before a digit for a character that PostgreSQL does not take, or for itself.
const ESCAPE: char = '\u{1}';

/// A row that is being read, with what an error needs to name the place.
pub(super) struct Reading<'r> {
    row: &'r PgRow,
    table: &'static str,
    id: String,
}

impl<'r> Reading<'r> {
    /// Reads a row of this table. Its first column names it in errors.
    pub(super) fn new(row: &'r PgRow, table: &'static str) -> Reading<'r> {
        let id = row.try_get::<i64, _>(0).map(|id| id.to_string());
        Reading { row, table, id: id.unwrap_or_else(|_| "?".to_owned()) }
    }

    fn unreadable(&self, column: &'static str, reason: impl Into<String>) -> Trouble {
        Trouble::Told(StoreError::Unreadable { table: self.table, column, row: self.id.clone(), reason: reason.into() })
    }

    /// A column as the database holds it.
    pub(super) fn get<T>(&self, column: &'static str) -> Tried<T>
    where
        T: Decode<'r, Postgres> + Type<Postgres>,
    {
        // The driver's own text may quote the value.
        self.row.try_get(column).map_err(|_| self.unreadable(column, "not of the expected type"))
    }

    /// A text of ours.
    pub(super) fn text(&self, column: &'static str) -> Tried<String> {
        self.get(column).map(spelled)
    }

    /// A text of ours that may be missing.
    pub(super) fn text_if_any(&self, column: &'static str) -> Tried<Option<String>> {
        Ok(self.get::<Option<String>>(column)?.map(spelled))
    }

    /// A time.
    pub(super) fn millis(&self, column: &'static str) -> Tried<Millis> {
        Ok(Millis(self.get(column)?))
    }

    /// A time that may be missing.
    pub(super) fn millis_if_any(&self, column: &'static str) -> Tried<Option<Millis>> {
        Ok(self.get::<Option<i64>>(column)?.map(Millis))
    }

    /// An id of a service.
    pub(super) fn id(&self, column: &'static str) -> Tried<u64> {
        self.get::<i64>(column)?.try_into().map_err(|_| self.unreadable(column, "negative"))
    }

    /// An id of a service that may be missing.
    pub(super) fn id_if_any(&self, column: &'static str) -> Tried<Option<u64>> {
        let id: Option<i64> = self.get(column)?;
        id.map(u64::try_from).transpose().map_err(|_| self.unreadable(column, "negative"))
    }

    /// A small count.
    pub(super) fn count(&self, column: &'static str) -> Tried<u32> {
        self.get::<i64>(column)?.try_into().map_err(|_| self.unreadable(column, "out of range"))
    }

    /// A structure.
    pub(super) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Tried<T> {
        self.parsed(column, self.get::<&str>(column)?)
    }

    /// A structure that may be missing.
    pub(super) fn json_if_any<T: DeserializeOwned>(&self, column: &'static str) -> Tried<Option<T>> {
        let text: Option<&str> = self.get(column)?;
        text.map(|text| self.parsed(column, text)).transpose()
    }

    fn parsed<T: DeserializeOwned>(&self, column: &'static str, text: &str) -> Tried<T> {
        serde_json::from_str(text).map_err(|error| {
            // serde's own text may quote the value.
            let place = error.column();
            let kind = if error.is_data() { "JSON of another shape" } else { "broken JSON" };
            self.unreadable(column, format!("{kind} at character {place}"))
        })
    }

    /// A word that the database keeps as a number.
    pub(super) fn word<T: Word>(&self, column: &'static str) -> Tried<T> {
        let number: i64 = self.get(column)?;
        T::from_number(number).ok_or_else(|| self.unreadable(column, "an unknown number"))
    }
}

/// The record of a mark.
pub(super) fn subject(row: &Reading<'_>) -> Tried<Subject> {
    let id = row.id("subject")?;
    subject_of(row.get("kind")?, id).ok_or_else(|| row.unreadable("kind", "an unknown number"))
}

impl Columns for Reading<'_> {
    type Trouble = Trouble;

    fn number(&self, column: &'static str) -> Tried<i64> {
        self.get(column)
    }

    fn id(&self, column: &'static str) -> Tried<u64> {
        Reading::id(self, column)
    }

    fn id_if_any(&self, column: &'static str) -> Tried<Option<u64>> {
        Reading::id_if_any(self, column)
    }

    fn millis_if_any(&self, column: &'static str) -> Tried<Option<Millis>> {
        Reading::millis_if_any(self, column)
    }

    fn json<T: DeserializeOwned>(&self, column: &'static str) -> Tried<T> {
        Reading::json(self, column)
    }
}

/// JSON text of a value of ours.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Tried<String> {
    Ok(words::json(value)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back() {
        for text in ["", "plain", "\0", "\u{1}", "\u{1}0", "\u{1}1\0\u{1}", "a\0\0b\u{1}\u{1}00"] {
            let stored = storable(text).into_owned();
            assert!(!stored.contains('\0'), "{text:?}");
            assert_eq!(spelled(stored), text);
        }
    }
}
