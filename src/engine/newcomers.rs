//! Clients without a contact: found, awaited, or given a new one.

use super::Bridge;
use super::looked::Looked;
use super::poll::CONTACTS;
use super::record::Draft;
use crate::core::action::{Action, client_key, new_contact_key};
use crate::core::fault::Fault;
use crate::core::id::{ClientId, ContactId};
use crate::core::link::ClientLink;
use crate::core::model::{Contact, Variables};
use crate::core::people::MatchKey;
use crate::core::plan::Notice;
use crate::core::plan::arrival::{self, Arrival, Newcomer};
use crate::core::plan::ground::Ground;
use crate::ports::remote::Priority;
use crate::ports::store::{Change, Mark, NewAction, StoreError, Stored, Subject};
use futures::future::join_all;
use serde_json::json;
use std::collections::BTreeSet;

/// Contacts being made at the same time that are looked through for a newcomer's keys.
const CREATIONS_MAX: u32 = 1_000;
/// Newcomers asked about at the same time; then they are recorded.
const GROUP_MAX: usize = 8;
/// How soon a newcomer whose contact is being made looks again.
const SOON_MS: i64 = 500;
/// How soon one looks again while so many contacts are being made that its own may be among those not looked through.
const CROWDED_MS: i64 = 30_000;

/// What both services know of a newcomer.
struct Known {
    variables: Variables,
    candidates: Vec<Contact>,
}

/// Contacts that are being made.
struct BeingMade {
    /// Their numbers and addresses.
    keys: BTreeSet<MatchKey>,
    /// True where there are more than were looked through.
    is_cut: bool,
}

impl Bridge {
    /// Finds out who these clients are.
    pub(super) async fn look_at_newcomers(
        &self,
        ground: &Ground,
        links: Vec<ClientLink>,
        priority: Priority,
        looked: &mut Looked,
    ) -> Result<(), StoreError> {
        let links: Vec<ClientLink> = links.into_iter().filter(|link| !link.client.is_group_chat()).collect();
        if links.is_empty() {
            return Ok(());
        }
        // A client whose contact is being made is marked again when it is there.
        let makers = self.makers(&links).await?;
        let links: Vec<ClientLink> = links.into_iter().filter(|link| !makers.contains(&link.client.id)).collect();
        // Before anybody is asked about: what is done by then is found, and what is not is here.
        let mut being_made = self.being_made().await?;
        // amoCRM's search misses numbers that were typed with spaces or brackets; what the first whole
        // listing remembers does not. Until then nobody with a number or an address is made anew.
        let is_indexed = self.store().cursor(self.name(), CONTACTS).await?.is_some();
        for group in links.chunks(GROUP_MAX) {
            let asked = join_all(group.iter().map(|link| self.ask_about(ground, link, priority))).await;
            for (link, asked) in group.iter().zip(asked) {
                match asked? {
                    // A dry run has compared every contact with Salebot's clients before it comes here.
                    Ok(known) if !is_indexed && !looked.is_dry && self.would_be_made(ground, link, &known) => {
                        looked.again.insert(Subject::Client(link.client.id), SOON_MS);
                    }
                    Ok(known) => self.decide_about(ground, link, &known, priority, &mut being_made, looked),
                    Err(fault) => looked.put_off([Subject::Client(link.client.id)], fault),
                }
            }
            // Nobody waits for those who come after them.
            if !looked.is_dry {
                if let Some(recorded) = &mut looked.recorded {
                    recorded.take(&looked.drafts);
                }
                self.record(looked.take_drafts(), Vec::new()).await?;
            }
        }
        Ok(())
    }

    /// What both services know of a newcomer.
    async fn ask_about(&self, ground: &Ground, link: &ClientLink, priority: Priority) -> Stored<Result<Known, Fault>> {
        let variables = match self.parts.salebot.variables(link.client.id, priority).await {
            Ok(variables) => variables.unwrap_or_default(),
            Err(fault) => return Ok(Err(fault)),
        };
        let candidates = self.candidates(ground, link, &variables, priority).await?;
        Ok(candidates.map(|candidates| Known { variables, candidates }))
    }

    /// True for somebody with a phone number or an e-mail address whom no known contact matches.
    fn would_be_made(&self, ground: &Ground, link: &ClientLink, known: &Known) -> bool {
        let keys = ground.client_keys(&link.client, &known.variables);
        let is_known = |contact: &Contact| {
            arrival::named_contact(&known.variables) == Some(contact.id)
                || keys.iter().any(|key| ground.contact_keys(contact).contains(key))
        };
        !keys.is_empty() && !known.candidates.iter().any(is_known)
    }

    fn decide_about(
        &self,
        ground: &Ground,
        link: &ClientLink,
        known: &Known,
        priority: Priority,
        being_made: &mut BeingMade,
        looked: &mut Looked,
    ) {
        let Known { variables, candidates } = known;
        let newcomer =
            Newcomer { client: &link.client, variables, candidates, being_made: &being_made.keys, now: self.now() };
        match arrival::arrive(ground, newcomer) {
            Arrival::Known { contact, others } => looked.drafts.push(self.linked(link, contact, &others)),
            Arrival::New(action) => {
                let Action::CreateContact { keys, .. } = action.as_ref() else { return };
                if !keys.is_empty() && being_made.is_cut && !looked.is_dry {
                    looked.again.insert(Subject::Client(link.client.id), CROWDED_MS);
                    return;
                }
                being_made.keys.extend(keys.iter().cloned());
                looked.drafts.push(self.to_be_made(link, *action, priority));
            }
            Arrival::Soon => {
                looked.again.insert(Subject::Client(link.client.id), SOON_MS);
            }
            Arrival::Nobody => looked.drafts.extend(self.nobody(link)),
        }
    }

    /// Those of these clients whose contacts are being made.
    async fn makers(&self, links: &[ClientLink]) -> Stored<BTreeSet<ClientId>> {
        let keys: Vec<String> = links.iter().map(|link| new_contact_key(link.client.id)).collect();
        let rows = self.store().pending(self.name(), &keys).await?;
        let clients = rows.into_iter().map(|row| match row.action {
            Action::CreateContact { clients, .. } => clients,
            _ => BTreeSet::new(),
        });
        Ok(clients.flatten().collect())
    }

    /// The numbers and addresses of contacts that are being made.
    async fn being_made(&self) -> Stored<BeingMade> {
        let rows = self.store().pending_named(self.name(), "create_contact", CREATIONS_MAX).await?;
        let is_cut = rows.len() >= CREATIONS_MAX as usize;
        let keys = rows.into_iter().map(|row| match row.action {
            Action::CreateContact { keys, .. } => keys,
            _ => Default::default(),
        });
        Ok(BeingMade { keys: keys.flatten().collect(), is_cut })
    }

    /// Contacts this client may be: named by itself, remembered by key, else searched for.
    pub(super) async fn candidates(
        &self,
        ground: &Ground,
        link: &ClientLink,
        variables: &Variables,
        priority: Priority,
    ) -> Stored<Result<Vec<Contact>, Fault>> {
        let keys = ground.client_keys(&link.client, variables);
        let remembered = self.store().contacts_by_key(self.name(), &keys).await?;
        let mut ids: Vec<ContactId> = remembered.into_iter().map(|(_, contact)| contact).collect();
        ids.extend(arrival::named_contact(variables));
        ids.sort_unstable();
        ids.dedup();
        let mut candidates = Vec::new();
        if !ids.is_empty() {
            match self.parts.amo.contacts_by_id(&ids, priority).await {
                Ok(page) => candidates = page.rows,
                Err(fault) => return Ok(Err(fault)),
            }
        }
        let is_enough = |contact: &Contact| {
            arrival::named_contact(variables) == Some(contact.id)
                || keys.iter().any(|key| ground.contact_keys(contact).contains(key))
        };
        if candidates.iter().any(is_enough) {
            return Ok(Ok(candidates));
        }
        // What was listed is remembered however it was typed; only whom nobody listed yet is worth more than one search, and an
        // import has time for that.
        let queries_max = if priority == Priority::Person { usize::MAX } else { 1 };
        for key in &keys {
            for query in key.queries().iter().take(queries_max) {
                match self.parts.amo.search_contacts(query, priority).await {
                    Ok(page) => candidates.extend(page.rows),
                    Err(fault) => return Ok(Err(fault)),
                }
                if candidates.iter().any(|contact| ground.contact_keys(contact).contains(key)) {
                    return Ok(Ok(candidates));
                }
            }
        }
        Ok(Ok(candidates))
    }

    /// The client belongs to this contact from now on: its dialogue goes on, its values are looked at.
    pub(super) fn linked(&self, link: &ClientLink, contact: ContactId, others: &[ContactId]) -> Draft {
        let id = link.client.id;
        let now = self.now();
        let mut draft = Draft::about(Subject::Client(id));
        draft.rests_on_client(link);
        draft.put_client(link.clone().of_contact(Some(contact)));
        draft.changes.push(Change::Mark(Mark { subject: Subject::Client(id), due: now, attempts: 0, run: None }));
        draft.changes.push(Change::InboxHold(id, now));
        draft.changes.push(self.link_told(id, contact, others));
        draft
    }

    /// The journal's line on whose client it is.
    pub(super) fn link_told(&self, client: ClientId, contact: ContactId, others: &[ContactId]) -> Change {
        let detail = json!({ "linked": contact, "also_matching": others });
        self.journal(Notice { subject: client_key(client), kind: "linked", detail })
    }

    fn to_be_made(&self, link: &ClientLink, action: Action, priority: Priority) -> Draft {
        let now = self.now();
        let mut draft = Draft::about(Subject::Client(link.client.id));
        draft.rests_on_client(link);
        let new = NewAction { action, slot: None, priority, not_before: now, created_at: now, run: None };
        draft.changes.push(Change::AddAction(Box::new(new)));
        draft
    }

    /// No contact matches and none is to be made from what is known. Where that is no news nothing follows: the dialogue waits
    /// already, and to put it off once more would put off what came during this look.
    fn nobody(&self, link: &ClientLink) -> Option<Draft> {
        if link.unmatched {
            return None;
        }
        let mut draft = Draft::about(Subject::Client(link.client.id));
        draft.rests_on_client(link);
        draft.put_client(ClientLink { unmatched: true, ..link.clone() });
        draft.changes.push(Change::InboxHold(link.client.id, self.now()));
        Some(draft)
    }
}
