//! Changes sorted for few statements: by table, by kind, nothing twice in one statement.
//!
//! Changes of different tables do not see each other, so each table's are gathered, and runs of one kind
//! become one statement.

use crate::ports::store::Change;
use std::collections::BTreeSet;

/// The tables that changes go to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    Inbox,
    Clients,
    Deals,
    Contacts,
    Keys,
    Marks,
    Outbox,
    Journal,
    Cursors,
    Texts,
}

/// The table that a change goes to.
pub(super) fn table(change: &Change) -> Table {
    match change {
        Change::InboxDone(_)
        | Change::InboxHold(..)
        | Change::InboxWait(_)
        | Change::InboxDead(..)
        | Change::InboxRetry(..) => Table::Inbox,
        Change::PutClient(_) => Table::Clients,
        Change::PutDeal(_) => Table::Deals,
        Change::PutContact(_) | Change::ForgetContact(_) => Table::Contacts,
        Change::PutKeys(..) => Table::Keys,
        Change::Mark(_) | Change::Unmark(..) => Table::Marks,
        Change::AddAction(_)
        | Change::CancelSlot(_)
        | Change::ActionDone(_)
        | Change::ActionRetry { .. }
        | Change::ActionDead { .. }
        // Of every queue, and alone in its commit.
        | Change::SetBack { .. } => Table::Outbox,
        Change::Journal(_) => Table::Journal,
        Change::PutCursor(..) => Table::Cursors,
        Change::PutText(..) => Table::Texts,
    }
}

/// The changes of a run that are of one kind, taken apart.
pub(super) fn gather<'c, T>(run: &[&'c Change], pick: impl Fn(&'c Change) -> Option<T>) -> Vec<T> {
    run.iter().filter_map(|change| pick(change)).collect()
}

/// The outbox's changes with those first that empty slots, as far as it makes no difference: planning a page of records
/// empties a slot here and fills one there, and one statement empties them all.
pub(super) fn cancels_first(changes: Vec<&Change>) -> Vec<&Change> {
    let (mut sorted, mut rest, mut filled) = (Vec::with_capacity(changes.len()), Vec::new(), BTreeSet::new());
    for change in changes {
        match change {
            Change::CancelSlot(slot) if !filled.contains(slot.as_str()) => sorted.push(change),
            Change::CancelSlot(_) => rest.push(change),
            Change::AddAction(new) => {
                filled.extend(new.slot.as_deref());
                rest.push(change);
            }
            // It may bring an action back into a slot.
            _ => {
                sorted.append(&mut rest);
                filled.clear();
                sorted.push(change);
            }
        }
    }
    sorted.append(&mut rest);
    sorted
}

/// Splits a run so that nothing comes twice in a part.
pub(super) fn parts<'a, T, K: Ord + Copy>(run: &'a [T], key: impl Fn(&'a T) -> Option<K>) -> Vec<&'a [T]> {
    let (mut parts, mut start, mut seen) = (Vec::new(), 0, BTreeSet::new());
    for (place, item) in run.iter().enumerate() {
        let Some(key) = key(item) else { continue };
        if !seen.insert(key) {
            parts.push(&run[start..place]);
            start = place;
            seen = BTreeSet::from([key]);
        }
    }
    parts.push(&run[start..]);
    parts
}
