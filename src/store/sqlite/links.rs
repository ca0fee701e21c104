//! Links, contacts and the keys that lead to them: written in runs, read by id.

use super::rows::{Reading, json};
use super::trouble::Tried;
use super::writer::Transaction;
use crate::core::id::ContactId;
use crate::core::link::{ClientLink, ContactSeen, DealLink};
use crate::core::people::MatchKey;
use crate::store::compact::{client_link, client_texts, deal_link, deal_texts};
use crate::store::limits::stored_id;
use sqlx::sqlite::SqliteRow;

const PUT_CLIENTS: &str = "INSERT INTO clients (bridge, client, contact, last_message_at, revision, facts, bases) \
     SELECT ?1, value ->> 0, value ->> 1, value ->> 2, 1, value ->> 3, value ->> 4 FROM json_each(?2) WHERE true \
     ORDER BY json_each.key ON CONFLICT (bridge, client) DO UPDATE SET contact = excluded.contact, \
     last_message_at = excluded.last_message_at, revision = revision + 1, facts = excluded.facts, bases = excluded.bases";

const PUT_DEALS: &str = "INSERT INTO deals (bridge, lead, contact, client, revision, facts, bases) \
     SELECT ?1, value ->> 0, value ->> 1, value ->> 2, 1, value ->> 3, value ->> 4 FROM json_each(?2) WHERE true \
     ORDER BY json_each.key ON CONFLICT (bridge, lead) DO UPDATE SET contact = excluded.contact, \
     client = excluded.client, revision = revision + 1, facts = excluded.facts, bases = excluded.bases";

const PUT_CONTACTS: &str = "INSERT INTO contacts (bridge, contact, version, fingerprint) \
     SELECT ?1, value ->> 0, value ->> 1, value ->> 2 FROM json_each(?2) WHERE true ORDER BY json_each.key \
     ON CONFLICT (bridge, contact) DO UPDATE SET version = excluded.version, fingerprint = excluded.fingerprint";

/// Keys of these contacts.
pub(super) const CLEAR_KEYS: &str = "DELETE FROM contact_keys INDEXED BY contact_keys_contact WHERE bridge = ?1 AND contact IN (SELECT value FROM json_each(?2))";

const PUT_KEYS: &str = "INSERT OR REPLACE INTO contact_keys (bridge, key, contact) \
     SELECT ?1, value ->> 0, value ->> 1 FROM json_each(?2) ORDER BY json_each.key";

pub(super) const FORGET: &str = "DELETE FROM contacts WHERE bridge = ?1 AND contact = ?2";

pub(super) const UNLINK: &str = "UPDATE clients INDEXED BY clients_contact SET contact = NULL, revision = revision + 1 \
     WHERE bridge = ?1 AND contact = ?2";

async fn put(tx: &mut Transaction<'_>, text: &'static str, bridge: i64, rows: String) -> Tried<()> {
    sqlx::query(text).bind(bridge).bind(rows).execute(&mut *tx.connection).await?;
    Ok(())
}

/// Stores clients' links.
pub(super) async fn put_clients(tx: &mut Transaction<'_>, bridge: i64, links: &[&ClientLink]) -> Tried<()> {
    let mut rows = Vec::with_capacity(links.len());
    for link in links {
        let contact = link.contact.map(|id| stored_id("contact", id.0)).transpose()?;
        let (facts, bases) = client_texts(link)?;
        rows.push((stored_id("client", link.client.id.0)?, contact, link.last_message_at, facts, bases));
    }
    put(tx, PUT_CLIENTS, bridge, json(&rows)?).await
}

/// Stores leads' links.
pub(super) async fn put_deals(tx: &mut Transaction<'_>, bridge: i64, links: &[&DealLink]) -> Tried<()> {
    let mut rows = Vec::with_capacity(links.len());
    for link in links {
        let contact = link.contact.map(|id| stored_id("contact", id.0)).transpose()?;
        let client = link.client.map(|id| stored_id("client", id.0)).transpose()?;
        let (facts, bases) = deal_texts(link)?;
        rows.push((stored_id("lead", link.lead.0)?, contact, client, facts, bases));
    }
    put(tx, PUT_DEALS, bridge, json(&rows)?).await
}

/// Remembers contacts.
pub(super) async fn put_contacts(tx: &mut Transaction<'_>, bridge: i64, seen: &[&ContactSeen]) -> Tried<()> {
    let mut rows = Vec::with_capacity(seen.len());
    for contact in seen {
        rows.push((stored_id("contact", contact.contact.0)?, contact.version, &contact.fingerprint));
    }
    put(tx, PUT_CONTACTS, bridge, json(&rows)?).await
}

/// Gives contacts their keys, none of them twice. Keys they had are dropped, keys of others move over.
pub(super) async fn put_keys(tx: &mut Transaction<'_>, bridge: i64, keys: &[(ContactId, &[MatchKey])]) -> Tried<()> {
    let (mut contacts, mut rows) = (Vec::with_capacity(keys.len()), Vec::new());
    for (contact, keys) in keys {
        let contact = stored_id("contact", contact.0)?;
        contacts.push(contact);
        rows.extend(keys.iter().map(|key| (key.text(), contact)));
    }
    put(tx, CLEAR_KEYS, bridge, json(&contacts)?).await?;
    put(tx, PUT_KEYS, bridge, json(&rows)?).await
}

/// Forgets a contact and its keys; links of its clients lose it.
pub(super) async fn forget(tx: &mut Transaction<'_>, bridge: i64, contact: ContactId) -> Tried<()> {
    let contact = stored_id("contact", contact.0)?;
    put(tx, CLEAR_KEYS, bridge, json(&[contact])?).await?;
    for text in [FORGET, UNLINK] {
        sqlx::query(text).bind(bridge).bind(contact).execute(&mut *tx.connection).await?;
    }
    Ok(())
}

pub(super) const CLIENTS: &str = "SELECT client, contact, last_message_at, revision, facts, bases FROM clients \
     WHERE bridge = (SELECT id FROM bridges WHERE name = ?1) AND client IN (SELECT value FROM json_each(?2)) ORDER BY client";

pub(super) const CLIENTS_OF: &str = "SELECT client, contact, last_message_at, revision, facts, bases \
     FROM clients INDEXED BY clients_contact WHERE bridge = (SELECT id FROM bridges WHERE name = ?1) \
     AND contact IS NOT NULL AND contact IN (SELECT value FROM json_each(?2)) ORDER BY client";

pub(super) const DEALS: &str = "SELECT lead, contact, client, revision, facts, bases FROM deals \
     WHERE bridge = (SELECT id FROM bridges WHERE name = ?1) AND lead IN (SELECT value FROM json_each(?2)) ORDER BY lead";

pub(super) const DEALS_OF: &str = "SELECT lead, contact, client, revision, facts, bases \
     FROM deals INDEXED BY deals_contact WHERE bridge = (SELECT id FROM bridges WHERE name = ?1) \
     AND contact IS NOT NULL AND contact IN (SELECT value FROM json_each(?2)) ORDER BY lead";

pub(super) const DEALS_OF_CLIENTS: &str = "SELECT lead, contact, client, revision, facts, bases \
     FROM deals INDEXED BY deals_client WHERE bridge = (SELECT id FROM bridges WHERE name = ?1) \
     AND client IS NOT NULL AND client IN (SELECT value FROM json_each(?2)) ORDER BY lead";

pub(super) const LINKED: &str = "SELECT DISTINCT contact FROM clients INDEXED BY clients_contact \
     WHERE bridge = (SELECT id FROM bridges WHERE name = ?1) AND contact IS NOT NULL AND contact > ?2 \
     ORDER BY contact LIMIT ?3";

pub(super) const DEALS_AFTER: &str = "SELECT lead, contact, client, revision, facts, bases FROM deals \
     WHERE bridge = (SELECT id FROM bridges WHERE name = ?1) AND lead > ?2 ORDER BY lead LIMIT ?3";

pub(super) const CONTACTS: &str = "SELECT contact, version, fingerprint FROM contacts \
     WHERE bridge = (SELECT id FROM bridges WHERE name = ?1) AND contact IN (SELECT value FROM json_each(?2)) ORDER BY contact";

pub(super) const BY_KEY: &str = "SELECT contact, key FROM contact_keys \
     WHERE bridge = (SELECT id FROM bridges WHERE name = ?1) AND key IN (SELECT value FROM json_each(?2))";

/// A client's link from its row.
pub(super) fn client_row(row: &SqliteRow) -> Tried<ClientLink> {
    client_link(&Reading::new(row, "clients"))
}

/// A lead's link from its row.
pub(super) fn deal_row(row: &SqliteRow) -> Tried<DealLink> {
    deal_link(&Reading::new(row, "deals"))
}

/// A linked contact from its row.
pub(super) fn linked_row(row: &SqliteRow) -> Tried<ContactId> {
    Ok(ContactId(Reading::new(row, "clients").id("contact")?))
}

/// A contact from its row.
pub(super) fn contact_row(row: &SqliteRow) -> Tried<ContactSeen> {
    let row = Reading::new(row, "contacts");
    Ok(ContactSeen {
        contact: ContactId(row.id("contact")?),
        fingerprint: row.get("fingerprint")?,
        version: row.get("version")?,
    })
}

/// A key's text and its contact.
pub(super) fn key_row(row: &SqliteRow) -> Tried<(String, ContactId)> {
    let row = Reading::new(row, "contact_keys");
    Ok((row.get("key")?, ContactId(row.id("contact")?)))
}
