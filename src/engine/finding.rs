//! Clients for contacts that have none: found by phone number and e-mail address, or made where the
//! policy wants it.
//!
//! Who is found is planned with the contact that was just read, and with the variables that proved whose client it is:
//! neither is asked for a second time.

use super::looked::Looked;
use super::record::Draft;
use super::{Bridge, Failure};
use crate::core::action::{Action, contact_key};
use crate::core::fault::Fault;
use crate::core::id::{ClientId, ContactId};
use crate::core::link::ClientLink;
use crate::core::model::{Client, Contact, Variables};
use crate::core::people::MatchKey;
use crate::core::plan::ground::Ground;
use crate::core::policy::{CreateClient, MatchBy};
use crate::ports::remote::Priority;
use crate::ports::store::{Change, NewAction, Subject};
use std::collections::{BTreeMap, BTreeSet};

/// Clients that were found, as they are linked from now on, and what was read of them.
#[derive(Default)]
pub(super) struct Found {
    pub links: Vec<ClientLink>,
    pub variables: BTreeMap<ClientId, Variables>,
}

impl Bridge {
    /// Clients of contacts that have none yet, by phone number and e-mail address: one request for a
    /// whole page, then one for each client found.
    pub(super) async fn find_clients(
        &self,
        ground: &Ground,
        contacts: &[&Contact],
        keys: &BTreeMap<ContactId, BTreeSet<MatchKey>>,
        priority: Priority,
        looked: &mut Looked,
    ) -> Result<Found, Failure> {
        let mut wanted: BTreeMap<&MatchKey, &Contact> = BTreeMap::new();
        for contact in contacts {
            for key in keys.get(&contact.id).into_iter().flatten() {
                wanted.entry(key).or_insert(contact);
            }
        }
        let ids = self.find_ids(ground, &wanted, priority).await?;
        let found = self.owners(ground, &wanted, ids, priority).await?;
        let with_client: BTreeSet<ContactId> = found.links.iter().filter_map(|link| link.contact).collect();
        let without = contacts.iter().filter(|contact| !with_client.contains(&contact.id));
        looked
            .drafts
            .extend(without.filter_map(|contact| self.to_be_loaded(ground, contact, priority)).collect::<Vec<_>>());
        Ok(found)
    }

    /// Which of the found clients belong to which contact, by what they say themselves.
    async fn owners(
        &self,
        ground: &Ground,
        wanted: &BTreeMap<&MatchKey, &Contact>,
        found: BTreeSet<ClientId>,
        priority: Priority,
    ) -> Result<Found, Failure> {
        let ids: Vec<ClientId> = found.into_iter().collect();
        let links = self.store().clients(self.name(), &ids).await?;
        let mut links: BTreeMap<ClientId, ClientLink> = links.into_iter().map(|link| (link.client.id, link)).collect();
        let free = ids.into_iter().filter(|id| links.get(id).is_none_or(|link| link.contact.is_none()));
        let read = self.read_variables(free.collect::<Vec<_>>().into_iter(), priority).await;
        let mut owned = Found::default();
        for (id, read) in read {
            let Some(variables) = read? else { continue };
            let link = links.remove(&id).unwrap_or_else(|| ClientLink::new(Client::unknown(id)));
            let keys = ground.client_keys(&link.client, &variables);
            let Some(contact) = keys.iter().find_map(|key| wanted.get(key)) else { continue };
            owned.links.push(link.of_contact(Some(contact.id)));
            owned.variables.insert(id, variables);
        }
        Ok(owned)
    }

    /// A client that was found is linked by the plan of its contact: its dialogue goes on. If that plan comes too late, the
    /// client finds out by itself whose it is.
    pub(super) fn link_found(&self, link: ClientLink, contact: ContactId, draft: &mut Draft) {
        let id = link.client.id;
        draft.subjects.push(Subject::Client(id));
        draft.put_client(link);
        draft.changes.push(Change::InboxHold(id, self.now()));
        draft.changes.push(self.link_told(id, contact, &[]));
    }

    /// A client to be made for a contact that has none, where the policy wants it: the phone number
    /// is the person's id in the messenger.
    fn to_be_loaded(&self, ground: &Ground, contact: &Contact, priority: Priority) -> Option<Draft> {
        let people = &ground.policy.people;
        let channel = people.create_with.as_ref().filter(|_| people.create_client == CreateClient::LoadClients)?;
        let platform_id = ground.contact_keys(contact).iter().find_map(|key| match key {
            MatchKey::Phone(phone) => Some(phone.trim_start_matches('+').to_owned()),
            MatchKey::Email(_) => None,
        })?;
        let now = self.now();
        let action = Action::LoadClient {
            contact: contact.id,
            platform_id,
            group_id: channel.group_id.clone(),
            client_type: channel.client_type,
        };
        let slot = Some(format!("{}/client", contact_key(contact.id)));
        let mut draft = Draft::about(Subject::Contact(contact.id));
        let new = NewAction { action, slot, priority, not_before: now, created_at: now, run: None };
        draft.changes.push(Change::AddAction(Box::new(new)));
        Some(draft)
    }

    async fn find_ids(
        &self,
        ground: &Ground,
        wanted: &BTreeMap<&MatchKey, &Contact>,
        priority: Priority,
    ) -> Result<BTreeSet<ClientId>, Fault> {
        let mut found = BTreeSet::new();
        for by in [MatchBy::Phone, MatchBy::Email] {
            let spellings: Vec<String> =
                wanted.keys().filter(|key| key.by() == by).flat_map(|key| key.spellings()).collect();
            if spellings.is_empty() {
                continue;
            }
            for name in ground.variable_names(by) {
                found.extend(self.parts.salebot.find_by_values(&name, &spellings, priority).await?);
            }
        }
        Ok(found)
    }
}
