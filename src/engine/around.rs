//! What is remembered around contacts that were read: asked for once for all of them, as a page has hundreds.

use super::Bridge;
use super::people::Clients;
use crate::core::action::{client_key, contact_key, new_contact_key};
use crate::core::id::{ClientId, ContactId, LeadId};
use crate::core::link::{ClientLink, ContactSeen, DealLink};
use crate::core::model::Contact;
use crate::core::people::MatchKey;
use crate::core::plan::ground::Ground;
use crate::ports::remote::AMO_IDS_MAX;
use crate::ports::store::{OutboxRow, Stored};
use std::collections::{BTreeMap, BTreeSet};

/// Most leads of a contact that are looked at for its sake.
const LEADS_MAX: usize = 50;

/// The store's side of contacts that were read.
#[derive(Default)]
pub(super) struct Around {
    /// How they were seen before.
    pub(super) seen: BTreeMap<ContactId, ContactSeen>,
    /// Writes to them and to their clients, and contacts being made for these, that wait or are under way, by key.
    pending: BTreeMap<String, Vec<OutboxRow>>,
    /// Their newest leads.
    deals: BTreeMap<LeadId, DealLink>,
    /// Their numbers and addresses.
    keys: BTreeMap<ContactId, BTreeSet<MatchKey>>,
    /// Whose these are.
    by_key: BTreeMap<MatchKey, ContactId>,
    /// Contacts with clients among those that have their keys or leads.
    linked: BTreeSet<ContactId>,
    /// Clients that are linked from now on.
    found: BTreeSet<ClientId>,
}

impl Bridge {
    /// How these contacts were seen before.
    pub(super) async fn contacts_seen(&self, contacts: &[Contact]) -> Stored<BTreeMap<ContactId, ContactSeen>> {
        let ids: Vec<ContactId> = contacts.iter().map(|contact| contact.id).collect();
        Ok(self.store().contacts(self.name(), &ids).await?.into_iter().map(|seen| (seen.contact, seen)).collect())
    }

    /// What is remembered around these contacts, whose clients these are.
    pub(super) async fn around(
        &self,
        ground: &Ground,
        contacts: &[Contact],
        clients: &mut Clients,
        seen: BTreeMap<ContactId, ContactSeen>,
    ) -> Stored<Around> {
        let mut keys = std::mem::take(&mut clients.keys);
        for contact in contacts {
            keys.entry(contact.id).or_insert_with(|| ground.contact_keys(contact));
        }
        let found = clients.found.links.iter().map(|link| link.client.id).collect();
        let mut around = Around { seen, keys, found, ..Around::default() };
        let with_clients: BTreeSet<ContactId> = clients.all().filter_map(|link| link.contact).collect();
        if !with_clients.is_empty() {
            let own = clients.all().flat_map(keys_of_client);
            let keys: Vec<String> = with_clients.into_iter().map(contact_key).chain(own).collect();
            for row in self.store().pending(self.name(), &keys).await? {
                around.pending.entry(row.action.key()).or_default().push(row);
            }
        }
        let leads: Vec<LeadId> = contacts.iter().flat_map(newest_leads).collect();
        if !leads.is_empty() {
            let deals = self.store().deals(self.name(), &leads).await?;
            around.deals = deals.into_iter().map(|deal| (deal.lead, deal)).collect();
        }
        let keys: BTreeSet<&MatchKey> = around.keys.values().flatten().collect();
        if !keys.is_empty() {
            let keys: Vec<MatchKey> = keys.into_iter().cloned().collect();
            around.by_key = self.store().contacts_by_key(self.name(), &keys).await?.into_iter().collect();
        }
        let others: BTreeSet<ContactId> =
            around.by_key.values().copied().chain(around.deals.values().filter_map(|deal| deal.contact)).collect();
        if !others.is_empty() {
            let links = self.store().clients_of(self.name(), &others.into_iter().collect::<Vec<_>>()).await?;
            around.linked = links.into_iter().filter_map(|link| link.contact).collect();
        }
        Ok(around)
    }
}

/// Of a contact that was not read.
static NO_KEYS: BTreeSet<MatchKey> = BTreeSet::new();

impl Around {
    /// The numbers and addresses of one of these contacts.
    pub(super) fn keys_of(&self, contact: ContactId) -> &BTreeSet<MatchKey> {
        self.keys.get(&contact).unwrap_or(&NO_KEYS)
    }

    /// True for a client that is linked from now on.
    pub(super) fn is_found(&self, client: ClientId) -> bool {
        self.found.contains(&client)
    }

    /// Writes to this contact, if it has clients, and to them; also the making of a contact for one of them.
    pub(super) fn pending_of(&self, contact: ContactId, clients: &[&ClientLink]) -> Vec<&OutboxRow> {
        if clients.is_empty() {
            return Vec::new();
        }
        let own = clients.iter().flat_map(|link| keys_of_client(link));
        let mut rows: Vec<&OutboxRow> =
            own.chain([contact_key(contact)]).filter_map(|key| self.pending.get(&key)).flatten().collect();
        rows.sort_unstable_by_key(|row| row.id);
        rows
    }

    /// Other contacts with clients that were known under this one's numbers and addresses, or had its leads: if they
    /// were merged into it, they are gone.
    pub(super) fn perhaps_merged(&self, contact: &Contact) -> BTreeSet<ContactId> {
        let by_key = self.keys_of(contact.id).iter().filter_map(|key| self.by_key.get(key).copied());
        // A lead of several people is known under one of them, who is still there.
        let by_lead = newest_leads(contact).filter_map(|lead| self.deals.get(&lead)?.contact);
        by_key.chain(by_lead).filter(|other| *other != contact.id && self.linked.contains(other)).collect()
    }

    /// Leads of a contact with clients: all where a client is met for the first time, as they have somebody
    /// to become orders of; else those not known as this contact's. A lead that was linked to it, or came
    /// with a merged contact, need not have changed itself.
    pub(super) fn leads_to_look_at(&self, contact: &Contact, clients: &[&ClientLink], is_changed: bool) -> Vec<LeadId> {
        let is_met = clients.iter().any(|link| link.bases.is_empty());
        if clients.is_empty() || !(is_met || is_changed) {
            return Vec::new();
        }
        let is_known = |lead: &LeadId| self.deals.get(lead).is_some_and(|deal| deal.contact == Some(contact.id));
        newest_leads(contact).take(LEADS_MAX).filter(|lead| is_met || !is_known(lead)).collect()
    }
}

/// Under these keys there is what waits for a client; of who agrees with nobody yet a contact may be being made.
fn keys_of_client(link: &ClientLink) -> impl Iterator<Item = String> + use<> {
    let id = link.client.id;
    std::iter::once(client_key(id)).chain(link.bases.is_empty().then(|| new_contact_key(id)))
}

/// The leads of a contact that are asked about, newest first.
fn newest_leads(contact: &Contact) -> impl Iterator<Item = LeadId> {
    contact.leads.iter().rev().take(AMO_IDS_MAX).copied()
}
