//! Links, contacts and the keys that lead to them: written in runs, read by id.

use super::rows::{Reading, storable};
use super::trouble::Tried;
use super::writer::Transaction;
use crate::core::id::ContactId;
use crate::core::link::{ClientLink, ContactSeen, DealLink};
use crate::core::people::MatchKey;
use crate::store::compact::{client_link, client_texts, deal_link, deal_texts};
use crate::store::limits::stored_id;
use sqlx::postgres::PgRow;
use std::collections::BTreeMap;

const PUT_CLIENTS: &str = "INSERT INTO clients (bridge, client, contact, last_message_at, revision, facts, bases) \
     SELECT $1, client, contact, last_message_at, 1, facts, bases \
     FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[]) \
     AS new (client, contact, last_message_at, facts, bases) \
     ON CONFLICT (bridge, client) DO UPDATE SET contact = excluded.contact, last_message_at = excluded.last_message_at, \
     revision = clients.revision + 1, facts = excluded.facts, bases = excluded.bases";

const PUT_DEALS: &str = "INSERT INTO deals (bridge, lead, contact, client, revision, facts, bases) \
     SELECT $1, lead, contact, client, 1, facts, bases \
     FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[]) \
     AS new (lead, contact, client, facts, bases) \
     ON CONFLICT (bridge, lead) DO UPDATE SET contact = excluded.contact, client = excluded.client, \
     revision = deals.revision + 1, facts = excluded.facts, bases = excluded.bases";

const PUT_CONTACTS: &str = "INSERT INTO contacts (bridge, contact, version, fingerprint) \
     SELECT $1, contact, version, fingerprint FROM unnest($2::bigint[], $3::bigint[], $4::text[]) \
     AS new (contact, version, fingerprint) \
     ON CONFLICT (bridge, contact) DO UPDATE SET version = excluded.version, fingerprint = excluded.fingerprint";

/// Keys of these contacts.
pub(super) const CLEAR_KEYS: &str = "DELETE FROM contact_keys WHERE bridge = $1 AND contact = ANY ($2::bigint[])";

const PUT_KEYS: &str = "INSERT INTO contact_keys (bridge, key, contact) \
     SELECT $1, key, contact FROM unnest($2::text[], $3::bigint[]) AS new (key, contact) \
     ON CONFLICT (bridge, key) DO UPDATE SET contact = excluded.contact";

pub(super) const FORGET: &str = "DELETE FROM contacts WHERE bridge = $1 AND contact = $2";

pub(super) const UNLINK: &str =
    "UPDATE clients SET contact = NULL, revision = revision + 1 WHERE bridge = $1 AND contact = $2";

/// Stores clients' links, none of them twice.
pub(super) async fn put_clients(tx: &mut Transaction<'_>, links: &[&ClientLink]) -> Tried<()> {
    let (mut ids, mut contacts, mut heard) = (Vec::new(), Vec::new(), Vec::new());
    let (mut facts, mut bases) = (Vec::new(), Vec::new());
    for link in links {
        ids.push(stored_id("client", link.client.id.0)?);
        contacts.push(link.contact.map(|id| stored_id("contact", id.0)).transpose()?);
        heard.push(link.last_message_at.map(|at| at.0));
        let (fact, base) = client_texts(link)?;
        facts.push(fact);
        bases.push(base);
    }
    let query = sqlx::query(PUT_CLIENTS).bind(tx.bridge).bind(ids).bind(contacts).bind(heard).bind(facts).bind(bases);
    query.execute(&mut *tx.connection).await?;
    Ok(())
}

/// Stores leads' links, none of them twice.
pub(super) async fn put_deals(tx: &mut Transaction<'_>, links: &[&DealLink]) -> Tried<()> {
    let (mut ids, mut contacts, mut clients) = (Vec::new(), Vec::new(), Vec::new());
    let (mut facts, mut bases) = (Vec::new(), Vec::new());
    for link in links {
        ids.push(stored_id("lead", link.lead.0)?);
        contacts.push(link.contact.map(|id| stored_id("contact", id.0)).transpose()?);
        clients.push(link.client.map(|id| stored_id("client", id.0)).transpose()?);
        let (fact, base) = deal_texts(link)?;
        facts.push(fact);
        bases.push(base);
    }
    let query = sqlx::query(PUT_DEALS).bind(tx.bridge).bind(ids).bind(contacts).bind(clients).bind(facts).bind(bases);
    query.execute(&mut *tx.connection).await?;
    Ok(())
}

/// Remembers contacts, none of them twice.
pub(super) async fn put_contacts(tx: &mut Transaction<'_>, seen: &[&ContactSeen]) -> Tried<()> {
    let (mut ids, mut versions, mut fingerprints) = (Vec::new(), Vec::new(), Vec::new());
    for contact in seen {
        ids.push(stored_id("contact", contact.contact.0)?);
        versions.push(contact.version);
        fingerprints.push(storable(&contact.fingerprint).into_owned());
    }
    let query = sqlx::query(PUT_CONTACTS).bind(tx.bridge).bind(ids).bind(versions).bind(fingerprints);
    query.execute(&mut *tx.connection).await?;
    Ok(())
}

/// Gives contacts their keys, none of them twice. Keys they had are dropped, keys of others move over.
pub(super) async fn put_keys(tx: &mut Transaction<'_>, keys: &[(ContactId, &[MatchKey])]) -> Tried<()> {
    let (mut contacts, mut holders) = (Vec::with_capacity(keys.len()), BTreeMap::new());
    for (contact, keys) in keys {
        let contact = stored_id("contact", contact.0)?;
        contacts.push(contact);
        // Of two contacts with one key the later has it.
        holders.extend(keys.iter().map(|key| (storable(&key.text()).into_owned(), contact)));
    }
    sqlx::query(CLEAR_KEYS).bind(tx.bridge).bind(contacts).execute(&mut *tx.connection).await?;
    if !holders.is_empty() {
        let (keys, contacts): (Vec<String>, Vec<i64>) = holders.into_iter().unzip();
        sqlx::query(PUT_KEYS).bind(tx.bridge).bind(keys).bind(contacts).execute(&mut *tx.connection).await?;
    }
    Ok(())
}

/// Forgets a contact and its keys; links of its clients lose it.
pub(super) async fn forget(tx: &mut Transaction<'_>, contact: ContactId) -> Tried<()> {
    let contact = stored_id("contact", contact.0)?;
    sqlx::query(CLEAR_KEYS).bind(tx.bridge).bind(vec![contact]).execute(&mut *tx.connection).await?;
    for text in [FORGET, UNLINK] {
        sqlx::query(text).bind(tx.bridge).bind(contact).execute(&mut *tx.connection).await?;
    }
    Ok(())
}

pub(super) const CLIENTS: &str = "SELECT client, contact, last_message_at, revision, facts, bases FROM clients \
     WHERE bridge = (SELECT id FROM bridges WHERE name = $1) AND client = ANY ($2::bigint[]) ORDER BY client";

pub(super) const CLIENTS_OF: &str = "SELECT client, contact, last_message_at, revision, facts, bases \
     FROM clients WHERE bridge = (SELECT id FROM bridges WHERE name = $1) \
     AND contact IS NOT NULL AND contact = ANY ($2::bigint[]) ORDER BY client";

pub(super) const DEALS: &str = "SELECT lead, contact, client, revision, facts, bases FROM deals \
     WHERE bridge = (SELECT id FROM bridges WHERE name = $1) AND lead = ANY ($2::bigint[]) ORDER BY lead";

pub(super) const DEALS_OF: &str = "SELECT lead, contact, client, revision, facts, bases \
     FROM deals WHERE bridge = (SELECT id FROM bridges WHERE name = $1) \
     AND contact IS NOT NULL AND contact = ANY ($2::bigint[]) ORDER BY lead";

pub(super) const DEALS_OF_CLIENTS: &str = "SELECT lead, contact, client, revision, facts, bases \
     FROM deals WHERE bridge = (SELECT id FROM bridges WHERE name = $1) \
     AND client IS NOT NULL AND client = ANY ($2::bigint[]) ORDER BY lead";

pub(super) const LINKED: &str = "SELECT DISTINCT contact FROM clients \
     WHERE bridge = (SELECT id FROM bridges WHERE name = $1) AND contact IS NOT NULL AND contact > $2 \
     ORDER BY contact LIMIT $3";

pub(super) const DEALS_AFTER: &str = "SELECT lead, contact, client, revision, facts, bases FROM deals \
     WHERE bridge = (SELECT id FROM bridges WHERE name = $1) AND lead > $2 ORDER BY lead LIMIT $3";

pub(super) const CONTACTS: &str = "SELECT contact, version, fingerprint FROM contacts \
     WHERE bridge = (SELECT id FROM bridges WHERE name = $1) AND contact = ANY ($2::bigint[]) ORDER BY contact";

pub(super) const BY_KEY: &str = "SELECT contact, key FROM contact_keys \
     WHERE bridge = (SELECT id FROM bridges WHERE name = $1) AND key = ANY ($2::text[])";

/// A client's link from its row.
pub(super) fn client_row(row: &PgRow) -> Tried<ClientLink> {
    client_link(&Reading::new(row, "clients"))
}

/// A lead's link from its row.
pub(super) fn deal_row(row: &PgRow) -> Tried<DealLink> {
    deal_link(&Reading::new(row, "deals"))
}

/// A linked contact from its row.
pub(super) fn linked_row(row: &PgRow) -> Tried<ContactId> {
    Ok(ContactId(Reading::new(row, "clients").id("contact")?))
}

/// A contact from its row.
pub(super) fn contact_row(row: &PgRow) -> Tried<ContactSeen> {
    let row = Reading::new(row, "contacts");
    Ok(ContactSeen {
        contact: ContactId(row.id("contact")?),
        fingerprint: row.text("fingerprint")?,
        version: row.get("version")?,
    })
}

/// A key's text and its contact.
pub(super) fn key_row(row: &PgRow) -> Tried<(String, ContactId)> {
    let row = Reading::new(row, "contact_keys");
    Ok((row.get("key")?, ContactId(row.id("contact")?)))
}
