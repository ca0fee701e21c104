//! Rows of the database and our types.

use super::trouble::{Tried, Trouble};
use crate::core::action::Side;
use crate::core::id::{ClientId, ContactId, LeadId};
use crate::core::time::Millis;
use crate::ports::remote::Priority;
use crate::ports::store::{ActionState, Source, StoreError, Subject};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Type};

/// A row that is being read, with what an error needs to name the place.
pub(super) struct Reading<'r> {
    row: &'r SqliteRow,
    table: &'static str,
    id: String,
}

impl<'r> Reading<'r> {
    /// Reads a row of this table. Its first column names it in errors.
    pub(super) fn new(row: &'r SqliteRow, table: &'static str) -> Reading<'r> {
        let id = row.try_get::<i64, _>(0).map(|id| id.to_string());
        Reading { row, table, id: id.unwrap_or_else(|_| "?".to_owned()) }
    }

    fn unreadable(&self, column: &'static str, reason: impl Into<String>) -> Trouble {
        Trouble::Told(StoreError::Unreadable { table: self.table, column, row: self.id.clone(), reason: reason.into() })
    }

    /// A column as the database holds it.
    pub(super) fn get<T>(&self, column: &'static str) -> Tried<T>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite>,
    {
        // The driver's own text may quote the value.
        self.row.try_get(column).map_err(|_| self.unreadable(column, "not of the expected type"))
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

/// A word of ours that the database keeps as a small number. Numbers are never given a new meaning.
pub(super) trait Word: Copy + Sized + PartialEq + 'static {
    /// Every word, at the place of its number.
    const WORDS: &'static [Self];

    /// Its number.
    fn number(self) -> i64 {
        let place = Self::WORDS.iter().position(|word| *word == self);
        i64::try_from(place.unwrap_or_default()).unwrap_or_default()
    }

    /// The word of a number.
    fn from_number(number: i64) -> Option<Self> {
        Self::WORDS.get(usize::try_from(number).ok()?).copied()
    }
}

impl Word for Source {
    const WORDS: &'static [Source] = &[Source::Salebot, Source::Amo];
}

impl Word for Side {
    const WORDS: &'static [Side] = &[Side::Amo, Side::Salebot];
}

impl Word for Priority {
    const WORDS: &'static [Priority] = &[Priority::Person, Priority::Poll, Priority::Background];
}

impl Word for ActionState {
    const WORDS: &'static [ActionState] = &[ActionState::Ready, ActionState::Running, ActionState::Dead];
}

/// Which kind of record a mark is about, as a number.
pub(super) fn subject_kind(subject: Subject) -> i64 {
    match subject {
        Subject::Contact(_) => 0,
        Subject::Lead(_) => 1,
        Subject::Client(_) => 2,
        Subject::ContactHint(_) => 3,
        Subject::LeadHint(_) => 4,
    }
}

/// The record of a mark.
pub(super) fn subject(row: &Reading<'_>) -> Tried<Subject> {
    let id = row.id("subject")?;
    match row.get::<i64>("kind")? {
        0 => Ok(Subject::Contact(ContactId(id))),
        1 => Ok(Subject::Lead(LeadId(id))),
        2 => Ok(Subject::Client(ClientId(id))),
        3 => Ok(Subject::ContactHint(ContactId(id))),
        4 => Ok(Subject::LeadHint(LeadId(id))),
        _ => Err(row.unreadable("kind", "an unknown number")),
    }
}

/// JSON text of a value of ours.
///
/// # Errors
/// Only for a map whose keys are no texts; ours have none, but a store does not panic over it.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Tried<String> {
    serde_json::to_string(value)
        .map_err(|error| Trouble::Told(StoreError::Unavailable(format!("a value cannot be written as JSON: {error}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_word_has_a_number_of_its_own<T: Word + std::fmt::Debug>(all: &[T]) {
        assert_eq!(T::WORDS.len(), all.len());
        for word in all {
            assert_eq!(T::from_number(word.number()), Some(*word));
        }
        assert_eq!(T::from_number(-1), None);
        assert_eq!(T::from_number(9), None);
    }

    #[test]
    fn words_survive_the_database() {
        every_word_has_a_number_of_its_own(&[Source::Salebot, Source::Amo]);
        every_word_has_a_number_of_its_own(&[Side::Amo, Side::Salebot]);
        every_word_has_a_number_of_its_own(&Priority::ALL);
        every_word_has_a_number_of_its_own(&[ActionState::Ready, ActionState::Running, ActionState::Dead]);
    }
}
