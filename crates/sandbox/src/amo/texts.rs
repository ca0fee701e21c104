//! Texts as they are stored: what a field takes, and what becomes of 4-byte characters.

use super::account::{Field, FieldKind};
use super::call::Call;
use super::options::Emoji;

/// The parts of an address; the place in the list, from 1, is the number read back (amoCRM v2 contacts page).
pub(super) const ADDRESS_PARTS: [&str; 6] = ["address_line_1", "address_line_2", "city", "state", "zip", "country"];

/// Whether a text is short enough for the field.
pub(super) fn fits(call: &Call, field: &Field, text: &str) -> bool {
    let is_limited = matches!(field.kind, FieldKind::Text | FieldKind::Url | FieldKind::StreetAddress);
    let limit = call.options.writing.text_limit_chars.filter(|_| is_limited);
    limit.is_none_or(|limit| text.chars().count() <= limit)
}

/// What is stored of a field's text; `None` when nothing of it is.
pub(super) fn kept(call: &Call, text: &str) -> Option<String> {
    let kept = match call.options.writing.emoji {
        Emoji::Kept => text,
        Emoji::Cut => before_emoji(text),
        Emoji::Dropped if before_emoji(text).len() < text.len() => "",
        Emoji::Dropped => text,
    };
    Some(kept.to_owned()).filter(|text| !text.is_empty())
}

/// A name or a note as it is stored.
pub(super) fn stored(call: &Call, text: &str) -> String {
    match call.options.writing.emoji {
        Emoji::Kept => text.to_owned(),
        Emoji::Cut | Emoji::Dropped => before_emoji(text).to_owned(),
    }
}

/// The text before its first 4-byte character.
fn before_emoji(text: &str) -> &str {
    let end = text.char_indices().find(|(_, character)| character.len_utf8() == 4);
    end.map_or(text, |(at, _)| &text[..at])
}
