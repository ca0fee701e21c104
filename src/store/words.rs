//! Words of ours that both databases keep as small numbers, and structures they keep as JSON texts.

use crate::core::action::Side;
use crate::core::id::{ClientId, ContactId, LeadId};
use crate::ports::remote::Priority;
use crate::ports::store::{ActionState, Source, StoreError, Stored, Subject};
use serde::Serialize;

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

/// The record of a mark; none for a number that means no kind.
pub(super) fn subject_of(kind: i64, id: u64) -> Option<Subject> {
    match kind {
        0 => Some(Subject::Contact(ContactId(id))),
        1 => Some(Subject::Lead(LeadId(id))),
        2 => Some(Subject::Client(ClientId(id))),
        3 => Some(Subject::ContactHint(ContactId(id))),
        4 => Some(Subject::LeadHint(LeadId(id))),
        _ => None,
    }
}

/// JSON text of a value of ours.
///
/// # Errors
/// Only for a map whose keys are no texts; ours have none, but a store does not panic over it.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Stored<String> {
    serde_json::to_string(value)
        .map_err(|error| StoreError::Unavailable(format!("a value cannot be written as JSON: {error}")))
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
