//! The contract, call by call.

use super::changes::Commit;
use super::outbox::{Claim, Rescue, outbox_row};
use super::prune::Prune;
use super::rows::Reading;
use super::trouble::Tried;
use super::{SqliteStore, links, marks, reads};
use crate::core::action::Side;
use crate::core::id::{ActionId, ClientId, ContactId, LeadId};
use crate::core::link::{ClientLink, ContactSeen, DealLink};
use crate::core::people::MatchKey;
use crate::core::time::Millis;
use crate::ports::store::{
    Change, Counts, Cursor, DeadDetail, DeadLetter, InboxRow, JournalRow, MarkRow, NewInbox, NextDue, OutboxRow,
    Received, Store, Stored,
};
use async_trait::async_trait;
use sqlx::query;
use sqlx::sqlite::SqliteRow;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Ids as the reading statements take them. One that cannot be stored cannot be found either.
fn list(ids: impl Iterator<Item = u64>) -> String {
    let ids: Vec<String> = ids.filter(|id| i64::try_from(*id).is_ok()).map(|id| id.to_string()).collect();
    format!("[{}]", ids.join(","))
}

/// The id after which a listing goes on. Ids of the services are never negative; after one that cannot be stored
/// nothing comes.
fn place(after: Option<u64>) -> i64 {
    after.map_or(-1, |id| i64::try_from(id).unwrap_or(i64::MAX))
}

fn texts<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    serde_json::Value::from_iter(texts).to_string()
}

impl SqliteStore {
    /// What there is of these ids; nobody is asked about none.
    async fn of_ids<T>(
        &self,
        text: &'static str,
        bridge: &str,
        ids: impl ExactSizeIterator<Item = u64>,
        read: impl Fn(&SqliteRow) -> Tried<T>,
    ) -> Stored<Vec<T>> {
        if ids.len() == 0 {
            return Ok(Vec::new());
        }
        self.rows(query(text).bind(bridge.to_owned()).bind(list(ids)), read).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn receive(&self, body: NewInbox) -> Stored<Received> {
        self.delivered(body).await
    }

    async fn commit(&self, bridge: &str, changes: Vec<Change>) -> Stored<Vec<ActionId>> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        self.asked(Commit { bridge: bridge.to_owned(), changes }).await
    }

    async fn inbox_due(&self, bridge: &str, now: Millis, clients_max: u32, rows_max: u32) -> Stored<Vec<InboxRow>> {
        let query = query(reads::INBOX_DUE).bind(bridge.to_owned()).bind(now.0).bind(clients_max).bind(rows_max);
        self.rows(query, reads::inbox_row).await
    }

    async fn marks_due(&self, bridge: &str, now: Millis, rows_max: u32) -> Stored<Vec<MarkRow>> {
        self.rows(query(marks::DUE).bind(bridge.to_owned()).bind(now.0).bind(rows_max), marks::mark_row).await
    }

    async fn claim(&self, bridge: &str, side: Side, now: Millis, rows_max: u32) -> Stored<Vec<OutboxRow>> {
        self.asked(Claim { bridge: bridge.to_owned(), side, now, rows_max }).await
    }

    async fn rescue(&self, bridge: &str) -> Stored<u64> {
        self.asked(Rescue { bridge: bridge.to_owned() }).await
    }

    async fn pending(&self, bridge: &str, keys: &[String]) -> Stored<Vec<OutboxRow>> {
        let keys = texts(keys.iter().map(String::as_str));
        self.rows(query(reads::PENDING).bind(bridge.to_owned()).bind(keys), outbox_row).await
    }

    async fn pending_named(&self, bridge: &str, name: &str, rows_max: u32) -> Stored<Vec<OutboxRow>> {
        let query = query(reads::PENDING_NAMED).bind(bridge.to_owned()).bind(name.to_owned()).bind(rows_max);
        self.rows(query, outbox_row).await
    }

    async fn next_due(&self, bridge: &str) -> Stored<NextDue> {
        let rows = self.rows(query(reads::NEXT_DUE).bind(bridge.to_owned()), reads::next_due).await?;
        Ok(rows.into_iter().next().unwrap_or_default())
    }

    async fn clients(&self, bridge: &str, ids: &[ClientId]) -> Stored<Vec<ClientLink>> {
        self.of_ids(links::CLIENTS, bridge, ids.iter().map(|id| id.0), links::client_row).await
    }

    async fn clients_of(&self, bridge: &str, contacts: &[ContactId]) -> Stored<Vec<ClientLink>> {
        self.of_ids(links::CLIENTS_OF, bridge, contacts.iter().map(|id| id.0), links::client_row).await
    }

    async fn deals(&self, bridge: &str, leads: &[LeadId]) -> Stored<Vec<DealLink>> {
        self.of_ids(links::DEALS, bridge, leads.iter().map(|id| id.0), links::deal_row).await
    }

    async fn deals_of(&self, bridge: &str, contacts: &[ContactId]) -> Stored<Vec<DealLink>> {
        self.of_ids(links::DEALS_OF, bridge, contacts.iter().map(|id| id.0), links::deal_row).await
    }

    async fn deals_of_clients(&self, bridge: &str, clients: &[ClientId]) -> Stored<Vec<DealLink>> {
        self.of_ids(links::DEALS_OF_CLIENTS, bridge, clients.iter().map(|id| id.0), links::deal_row).await
    }

    async fn linked_contacts(&self, bridge: &str, after: Option<ContactId>, rows_max: u32) -> Stored<Vec<ContactId>> {
        let query = query(links::LINKED).bind(bridge.to_owned()).bind(place(after.map(|id| id.0))).bind(rows_max);
        self.rows(query, links::linked_row).await
    }

    async fn deals_after(&self, bridge: &str, after: Option<LeadId>, rows_max: u32) -> Stored<Vec<DealLink>> {
        let query = query(links::DEALS_AFTER).bind(bridge.to_owned()).bind(place(after.map(|id| id.0))).bind(rows_max);
        self.rows(query, links::deal_row).await
    }

    async fn contacts(&self, bridge: &str, ids: &[ContactId]) -> Stored<Vec<ContactSeen>> {
        self.of_ids(links::CONTACTS, bridge, ids.iter().map(|id| id.0), links::contact_row).await
    }

    async fn contacts_by_key(&self, bridge: &str, keys: &[MatchKey]) -> Stored<Vec<(MatchKey, ContactId)>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<String> = keys.iter().map(MatchKey::text).collect();
        let query = query(links::BY_KEY).bind(bridge.to_owned()).bind(texts(names.iter().map(String::as_str)));
        let found: BTreeMap<String, ContactId> = self.rows(query, links::key_row).await?.into_iter().collect();
        let pair = |(key, name): (&MatchKey, &String)| Some((key.clone(), *found.get(name)?));
        Ok(keys.iter().zip(&names).filter_map(pair).collect())
    }

    async fn cursor(&self, bridge: &str, name: &str) -> Stored<Option<Cursor>> {
        let query = query(reads::CURSOR).bind(bridge.to_owned()).bind(name.to_owned());
        Ok(self.rows(query, reads::cursor_row).await?.pop().map(|(_, cursor)| cursor))
    }

    async fn cursors(&self, bridge: &str) -> Stored<Vec<(String, Cursor)>> {
        self.rows(query(reads::CURSORS).bind(bridge.to_owned()), reads::cursor_row).await
    }

    async fn text(&self, bridge: &str, name: &str) -> Stored<Option<String>> {
        let query = query(reads::TEXT).bind(bridge.to_owned()).bind(name.to_owned());
        Ok(self.rows(query, |row| Reading::new(row, "texts").get("value")).await?.pop())
    }

    async fn journal(&self, bridge: &str, subject: &str, rows_max: u32) -> Stored<Vec<JournalRow>> {
        let query = query(reads::JOURNAL).bind(bridge.to_owned()).bind(subject.to_owned()).bind(rows_max);
        self.rows(query, reads::journal_row).await
    }

    async fn dead_letters(&self, bridge: &str, rows_max: u32) -> Stored<Vec<DeadLetter>> {
        let bodies = query(reads::DEAD_BODIES).bind(bridge.to_owned()).bind(rows_max);
        let actions = query(reads::DEAD_ACTIONS).bind(bridge.to_owned()).bind(rows_max);
        let mut letters = self.rows(bodies, reads::dead_body).await?;
        letters.extend(self.rows(actions, reads::dead_action).await?);
        letters.sort_by_key(|letter| (Reverse(letter.died_at), letter.queue, Reverse(letter.id)));
        letters.truncate(rows_max as usize);
        Ok(letters)
    }

    async fn dead_letter(&self, bridge: &str, queue: &str, id: i64) -> Stored<Option<DeadDetail>> {
        let (text, read): (_, fn(&SqliteRow) -> _) = match queue {
            "inbox" => (reads::DEAD_BODY, reads::dead_body_detail),
            "outbox" => (reads::DEAD_ACTION, reads::dead_action_detail),
            _ => return Ok(None),
        };
        Ok(self.rows(query(text).bind(bridge.to_owned()).bind(id), read).await?.pop())
    }

    async fn counts(&self, bridge: &str) -> Stored<Counts> {
        let rows = self.rows(query(reads::COUNTS).bind(bridge.to_owned()), reads::counts).await?;
        Ok(rows.into_iter().next().unwrap_or_default())
    }

    async fn outbox_waiting(&self, bridge: &str, at_most: u32) -> Stored<u64> {
        let rows = self.rows(query(reads::WAITING).bind(bridge.to_owned()).bind(at_most), reads::waiting).await?;
        Ok(rows.into_iter().next().unwrap_or_default())
    }

    async fn prune(&self, bridge: &str, before: Millis, rows_max: u32) -> Stored<u64> {
        self.asked(Prune { bridge: bridge.to_owned(), before, rows_max }).await
    }
}
