//! Applying changes. They were checked, so none can fail.

use super::{Bridge, Ids};
use crate::core::id::{ActionId, ContactId};
use crate::core::people::MatchKey;
use crate::core::time::Millis;
use crate::ports::store::{Change, JournalRow, Mark, MarkRow};

impl Bridge {
    /// Applies a change; the row of a recorded action.
    pub(super) fn apply(&mut self, change: Change, ids: &mut Ids) -> Option<ActionId> {
        match change {
            Change::InboxDone(done) => self.inbox.done(&done),
            Change::InboxHold(client, due) => self.inbox.hold(client, due),
            Change::InboxWait(rows) => self.inbox.wait(&rows),
            Change::InboxDead(id, reason) => self.inbox.kill(id, reason),
            Change::InboxRetry(id, due) => self.inbox.retry(id, due),
            Change::PutClient(mut link) => {
                link.revision = self.clients.get(&link.client.id).map_or(1, |old| old.revision + 1);
                self.clients.insert(link.client.id, *link);
            }
            Change::PutDeal(mut link) => {
                link.revision = self.deals.get(&link.lead).map_or(1, |old| old.revision + 1);
                self.deals.insert(link.lead, *link);
            }
            Change::PutContact(seen) => drop(self.contacts.insert(seen.contact, seen)),
            Change::ForgetContact(contact) => self.forget(contact),
            Change::PutKeys(contact, keys) => self.put_keys(contact, keys),
            Change::Mark(mark) => self.mark(mark, &mut ids.mark),
            Change::Unmark(subject, revision) => {
                if self.marks.get(&subject).is_some_and(|row| row.revision == revision) {
                    self.marks.remove(&subject);
                }
            }
            Change::AddAction(new) => return Some(self.outbox.add(*new, &mut ids.outbox)),
            Change::CancelSlot(slot) => self.outbox.cancel(&slot),
            Change::ActionDone(id) => self.outbox.done(id),
            Change::ActionRetry { id, not_before, attempts, in_doubt, fault } => {
                self.outbox.retry(id, not_before, attempts, in_doubt, fault);
            }
            Change::ActionDead { id, fault, at } => self.outbox.kill(id, fault, at),
            Change::Journal(entry) => {
                let (at, subject, kind, detail) = (entry.at, entry.subject, entry.kind.to_owned(), entry.detail);
                self.journal.push(JournalRow { at, subject, kind, detail });
            }
            Change::SetBack { now, by_ms } => self.set_back(now, by_ms),
            Change::PutCursor(name, cursor) => drop(self.cursors.insert(name.to_owned(), cursor)),
            Change::PutText(name, text) => drop(self.texts.insert(name.to_owned(), text)),
        }
        None
    }

    fn set_back(&mut self, now: Millis, by_ms: i64) {
        let newest = self.inbox.newest().max(self.outbox.newest());
        let by_ms = newest.map_or(by_ms, |newest| by_ms.max(newest.since(now)));
        if by_ms <= 0 {
            return;
        }
        let dues = self.marks.values_mut().map(|row| &mut row.mark.due);
        let dues = dues.chain(self.inbox.dues()).chain(self.outbox.dues());
        dues.filter(|due| **due > now).for_each(|due| *due = due.minus(by_ms).max(now));
    }

    fn mark(&mut self, mut mark: Mark, last_id: &mut i64) {
        if let Some(MarkRow { mark: old, .. }) = self.marks.get(&mark.subject) {
            mark.due = mark.due.min(old.due);
            mark.attempts = mark.attempts.min(old.attempts);
            mark.run = old.run.or(mark.run);
        }
        *last_id += 1;
        self.marks.insert(mark.subject, MarkRow { mark, revision: *last_id });
    }

    fn put_keys(&mut self, contact: ContactId, keys: Vec<MatchKey>) {
        self.keys.retain(|_, holder| *holder != contact);
        self.keys.extend(keys.into_iter().map(|key| (key, contact)));
    }

    fn forget(&mut self, contact: ContactId) {
        self.contacts.remove(&contact);
        self.keys.retain(|_, holder| *holder != contact);
        for link in self.clients.values_mut().filter(|link| link.contact == Some(contact)) {
            link.contact = None;
            link.revision += 1;
        }
    }

    /// Drops old dedupe keys and journal lines, oldest first.
    pub(super) fn prune(&mut self, before: Millis, rows_max: usize) -> u64 {
        let mut old: Vec<(Millis, usize)> = self
            .journal
            .iter()
            .enumerate()
            .map(|(place, row)| (row.at, place))
            .filter(|(at, _)| *at < before)
            .collect();
        old.sort_unstable();
        old.truncate(rows_max);
        let mut places: Vec<usize> = old.iter().map(|(_, place)| *place).collect();
        places.sort_unstable();
        for place in places.iter().rev() {
            self.journal.remove(*place);
        }
        places.len() as u64 + self.inbox.prune(before, rows_max)
    }
}
