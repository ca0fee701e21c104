//! A commit: changes in order, but as few statements as possible.
//!
//! A statement costs about the same for one row as for many, and a pass records hundreds of changes at
//! once. Changes of different tables do not see each other, so each table's are gathered, and runs
//! of one kind become one statement.

use super::rows::json;
use super::trouble::Tried;
use super::writer::{Request, Transaction};
use super::{clock, inbox, links, marks, outbox};
use crate::core::id::{ActionId, ClientId, ContactId};
use crate::core::time::Millis;
use crate::ports::store::{Change, Cursor, JournalEntry, Mark, NewAction, Subject};
use crate::store::order::{Table, cancels_first, gather, parts, table};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::mem::discriminant;

/// Applies changes to one bridge.
pub(super) struct Commit {
    pub(super) bridge: String,
    pub(super) changes: Vec<Change>,
}

#[async_trait]
impl Request for Commit {
    type Answer = Vec<ActionId>;

    fn bridge(&self) -> &str {
        &self.bridge
    }

    async fn apply(&mut self, tx: &mut Transaction<'_>) -> Tried<Vec<ActionId>> {
        let mut applying = Applying { bridge: tx.bridge(&self.bridge)?, tx, actions: Vec::new() };
        let mut tables: BTreeMap<Table, Vec<&Change>> = BTreeMap::new();
        for change in &self.changes {
            if let Change::ForgetContact(contact) = change {
                // It touches several tables: what was decided before it goes before it.
                applying.flush(std::mem::take(&mut tables)).await?;
                links::forget(applying.tx, applying.bridge, *contact).await?;
            } else {
                tables.entry(table(change)).or_default().push(change);
            }
        }
        applying.flush(tables).await?;
        Ok(applying.actions)
    }
}

const JOURNAL: &str = "INSERT INTO journal (bridge, at, subject, kind, detail) \
     SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?2) ORDER BY json_each.key";

const PUT_CURSOR: &str = "INSERT OR REPLACE INTO cursors (bridge, name, at, moved_at) VALUES (?1, ?2, ?3, ?4)";

const PUT_TEXT: &str = "INSERT OR REPLACE INTO texts (bridge, name, value) VALUES (?1, ?2, ?3)";

struct Applying<'t, 'w> {
    bridge: i64,
    tx: &'t mut Transaction<'w>,
    actions: Vec<ActionId>,
}

impl Applying<'_, '_> {
    async fn flush(&mut self, tables: BTreeMap<Table, Vec<&Change>>) -> Tried<()> {
        for (table, changes) in tables {
            let changes = if table == Table::Outbox { cancels_first(changes) } else { changes };
            for run in changes.chunk_by(|a, b| discriminant(*a) == discriminant(*b)) {
                self.run(run).await?;
            }
        }
        Ok(())
    }

    /// Applies changes of one kind. All match the arm that the first one matched.
    async fn run(&mut self, run: &[&Change]) -> Tried<()> {
        match run.first() {
            Some(Change::PutClient(_)) => {
                let links: Vec<_> = gather(run, |change| match change {
                    Change::PutClient(link) => Some(&**link),
                    _ => None,
                });
                links::put_clients(self.tx, self.bridge, &links).await
            }
            Some(Change::PutDeal(_)) => {
                let links: Vec<_> = gather(run, |change| match change {
                    Change::PutDeal(link) => Some(&**link),
                    _ => None,
                });
                links::put_deals(self.tx, self.bridge, &links).await
            }
            Some(Change::PutContact(_)) => {
                let seen: Vec<_> = gather(run, |change| match change {
                    Change::PutContact(seen) => Some(seen),
                    _ => None,
                });
                links::put_contacts(self.tx, self.bridge, &seen).await
            }
            Some(Change::PutKeys(..)) => self.put_keys(run).await,
            Some(Change::Mark(_)) => self.mark(run).await,
            Some(Change::Unmark(..)) => {
                let seen: Vec<(Subject, i64)> = gather(run, |change| match change {
                    Change::Unmark(subject, revision) => Some((*subject, *revision)),
                    _ => None,
                });
                marks::unmark(self.tx, self.bridge, &seen).await
            }
            Some(Change::AddAction(_)) => self.add_actions(run).await,
            Some(Change::ActionDone(_)) => {
                let ids: Vec<ActionId> = gather(run, |change| match change {
                    Change::ActionDone(id) => Some(*id),
                    _ => None,
                });
                outbox::drop_rows(self.tx, self.bridge, &ids).await
            }
            Some(Change::CancelSlot(_)) => self.cancel(run).await,
            Some(Change::InboxHold(..)) => self.hold(run).await,
            Some(Change::Journal(_)) => self.journal(run).await,
            _ => self.one_by_one(run).await,
        }
    }

    /// Changes that are rare, or alone in their commit.
    async fn one_by_one(&mut self, run: &[&Change]) -> Tried<()> {
        for change in run {
            match change {
                Change::InboxWait(rows) => inbox::wait(self.tx, self.bridge, rows).await?,
                Change::InboxDone(ids) => inbox::done(self.tx, self.bridge, ids).await?,
                Change::InboxDead(id, reason) => inbox::dead(self.tx, self.bridge, *id, reason).await?,
                Change::InboxRetry(id, due) => inbox::retry(self.tx, self.bridge, *id, *due).await?,
                Change::ActionRetry { id, not_before, attempts, in_doubt, fault } => {
                    let (id, not_before, attempts, in_doubt) = (*id, *not_before, *attempts, *in_doubt);
                    let retry = outbox::Retry { id, not_before, attempts, in_doubt, fault };
                    outbox::retry(self.tx, self.bridge, retry).await?;
                }
                Change::ActionDead { id, fault, at } => outbox::dead(self.tx, self.bridge, *id, fault, *at).await?,
                Change::SetBack { now, by_ms } => clock::set_back(self.tx, self.bridge, *now, *by_ms).await?,
                Change::PutCursor(name, cursor) => self.put_cursor(name, *cursor).await?,
                Change::PutText(name, text) => self.put_text(name, text).await?,
                Change::ForgetContact(_)
                | Change::PutClient(_)
                | Change::PutDeal(_)
                | Change::PutContact(_)
                | Change::PutKeys(..)
                | Change::InboxHold(..)
                | Change::CancelSlot(_)
                | Change::Mark(_)
                | Change::Unmark(..)
                | Change::AddAction(_)
                | Change::ActionDone(_)
                | Change::Journal(_) => {}
            }
        }
        Ok(())
    }

    /// A contact that comes again starts a new statement: what came first must be undone by it.
    async fn put_keys(&mut self, run: &[&Change]) -> Tried<()> {
        let keys = gather(run, |change| match change {
            Change::PutKeys(contact, keys) => Some((*contact, keys.as_slice())),
            _ => None,
        });
        for part in parts(&keys, |(contact, _): &(ContactId, _)| Some(*contact)) {
            links::put_keys(self.tx, self.bridge, part).await?;
        }
        Ok(())
    }

    async fn mark(&mut self, run: &[&Change]) -> Tried<()> {
        let all: Vec<&Mark> = gather(run, |change| match change {
            Change::Mark(mark) => Some(mark),
            _ => None,
        });
        for part in parts(&all, |mark| Some(mark.subject)) {
            marks::mark(self.tx, self.bridge, part).await?;
        }
        Ok(())
    }

    async fn cancel(&mut self, run: &[&Change]) -> Tried<()> {
        let slots: Vec<&str> = gather(run, |change| match change {
            Change::CancelSlot(slot) => Some(slot.as_str()),
            _ => None,
        });
        outbox::cancel(self.tx, self.bridge, &slots).await
    }

    /// A client that comes again starts a new statement: the later time counts.
    async fn hold(&mut self, run: &[&Change]) -> Tried<()> {
        let all: Vec<(ClientId, Millis)> = gather(run, |change| match change {
            Change::InboxHold(client, due) => Some((*client, *due)),
            _ => None,
        });
        for part in parts(&all, |(client, _)| Some(*client)) {
            inbox::hold(self.tx, self.bridge, part).await?;
        }
        Ok(())
    }

    /// A slot that comes again starts a new statement: the later action replaces the earlier one.
    async fn add_actions(&mut self, run: &[&Change]) -> Tried<()> {
        let all: Vec<&NewAction> = gather(run, |change| match change {
            Change::AddAction(new) => Some(&**new),
            _ => None,
        });
        for part in parts(&all, |new| new.slot.as_deref()) {
            let added = outbox::add(self.tx, self.bridge, part).await?;
            self.actions.extend(added);
        }
        Ok(())
    }

    async fn journal(&mut self, run: &[&Change]) -> Tried<()> {
        let entries: Vec<&JournalEntry> = gather(run, |change| match change {
            Change::Journal(entry) => Some(entry),
            _ => None,
        });
        let mut rows = Vec::with_capacity(entries.len());
        for entry in entries {
            rows.push((entry.at, &entry.subject, entry.kind, json(&entry.detail)?));
        }
        sqlx::query(JOURNAL).bind(self.bridge).bind(json(&rows)?).execute(&mut *self.tx.connection).await?;
        Ok(())
    }

    async fn put_cursor(&mut self, name: &'static str, cursor: Cursor) -> Tried<()> {
        let query = sqlx::query(PUT_CURSOR).bind(self.bridge).bind(name).bind(cursor.at.0).bind(cursor.moved_at.0);
        query.execute(&mut *self.tx.connection).await?;
        Ok(())
    }

    async fn put_text(&mut self, name: &'static str, text: &str) -> Tried<()> {
        let query = sqlx::query(PUT_TEXT).bind(self.bridge).bind(name).bind(text.to_owned());
        query.execute(&mut *self.tx.connection).await?;
        Ok(())
    }
}
