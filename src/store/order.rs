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
        | Change::ActionDead { .. } => Table::Outbox,
        Change::Journal(_) => Table::Journal,
        Change::PutCursor(..) => Table::Cursors,
        Change::PutText(..) => Table::Texts,
    }
}

/// The changes of a run that are of one kind, taken apart.
pub(super) fn gather<'c, T>(run: &[&'c Change], pick: impl Fn(&'c Change) -> Option<T>) -> Vec<T> {
    run.iter().filter_map(|change| pick(change)).collect()
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
