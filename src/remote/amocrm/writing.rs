//! What holds for a write whatever the version of the API.

use crate::core::fault::{Fault, FaultKind};
use crate::core::id::FieldId;

/// What amoCRM would refuse, refused by us.
pub(super) fn rejected(reason: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Rejected, reason)
}

/// A list's value that is none of its choices.
pub(super) fn no_choice(id: FieldId) -> Fault {
    rejected(format!("a value of list {id} is none of its choices"))
}

/// A part of an address without the name of the part.
pub(super) fn no_part(id: FieldId) -> Fault {
    rejected(format!("a value of address {id} names no part"))
}

/// A field of a kind whose form on write is not known.
pub(super) fn never_written(id: FieldId, number: u32) -> Fault {
    rejected(format!("field {id} is of type {number}, which is never written"))
}

/// Whether a checkbox is to be checked.
pub(super) fn is_yes(value: &str) -> bool {
    !matches!(value.trim().to_lowercase().as_str(), "" | "0" | "false" | "no" | "n" | "нет")
}

/// The name a new record gets: its own, else what first and last name give. v2 requires one (v2 contacts page), and in
/// v4 a record without one cannot be told from others.
pub(super) fn new_name(name: Option<&str>, parts: [Option<&str>; 2]) -> Result<String, Fault> {
    let joined = || parts.into_iter().flatten().collect::<Vec<_>>().join(" ").trim().to_owned();
    let name = name.map_or_else(joined, str::to_owned);
    if name.is_empty() { Err(rejected("a record cannot be made without a name")) } else { Ok(name) }
}
