//! Contacts that were read, with their clients: variables read, values planned both ways.

use super::Bridge;
use super::around::Around;
use super::finding::Found;
use super::looked::{AGAIN_MS, Looked, MISSING_MS};
use super::poll::is_made_since;
use super::record::{Draft, doubts, doubts_of_making};
use crate::core::action::{Action, Confirm, LinkRef, NoteTarget, client_key, contact_key};
use crate::core::fault::Fault;
use crate::core::id::{ClientId, ContactId};
use crate::core::link::{ClientLink, ContactSeen};
use crate::core::model::{Contact, Variables};
use crate::core::people::MatchKey;
use crate::core::plan::deal;
use crate::core::plan::ground::Ground;
use crate::core::plan::person::{self, ClientSeen, PersonSeen};
use crate::core::plan::{Notice, Plan};
use crate::core::policy::TriggerEvent;
use crate::core::template::CallbackNames;
use crate::core::time::Millis;
use crate::ports::remote::Priority;
use crate::ports::store::{Change, Mark, OutboxRow, StoreError, Stored, Subject};
use futures::future::join_all;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// The clients of contacts that were read.
#[derive(Default)]
pub(super) struct Clients {
    /// Those that were linked before.
    pub links: Vec<ClientLink>,
    /// Those that are linked from now on.
    pub found: Found,
    /// Numbers and addresses of the contacts, as far as they were looked at before.
    pub keys: BTreeMap<ContactId, BTreeSet<MatchKey>>,
}

impl Clients {
    /// None but those that were linked before.
    pub(super) fn linked(links: Vec<ClientLink>) -> Clients {
        Clients { links, ..Clients::default() }
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &ClientLink> {
        self.links.iter().chain(&self.found.links)
    }
}

/// Variables of several clients, each read on its own.
pub(super) type Read = BTreeMap<ClientId, Result<Option<Variables>, Fault>>;

impl Bridge {
    /// Plans people from contacts that were just read. `news_since`: contacts made later are news.
    pub(super) async fn look_at_people(
        &self,
        ground: &Ground,
        mut contacts: Vec<Contact>,
        mut clients: Clients,
        priority: Priority,
        news_since: Option<Millis>,
        looked: &mut Looked,
    ) -> Result<(), StoreError> {
        let seen = self.contacts_seen(&contacts).await?;
        contacts.retain(|contact| {
            let version = seen.get(&contact.id).map(|seen| seen.version);
            !self.is_shown_older(Subject::Contact(contact.id), contact.updated_at, version, looked)
        });
        let looked_at: BTreeSet<ContactId> = contacts.iter().map(|contact| contact.id).collect();
        let is_looked_at = |link: &ClientLink| link.contact.is_some_and(|contact| looked_at.contains(&contact));
        clients.links.retain(is_looked_at);
        // Whose contact is shown in an older state is linked now and planned when that is looked at again.
        for link in clients.found.links.extract_if(.., |link| !is_looked_at(link)) {
            looked.drafts.extend(link.contact.map(|contact| self.linked(&link, contact, &[])));
        }
        let mut read = match ground.reads_client_variables() {
            true => self.read_variables(clients.links.iter().map(|link| link.client.id), priority).await,
            false => Read::new(),
        };
        read.extend(std::mem::take(&mut clients.found.variables).into_iter().map(|(id, read)| (id, Ok(Some(read)))));
        let around = self.around(ground, &contacts, &mut clients, seen).await?;
        let mut by_contact: BTreeMap<ContactId, Vec<&ClientLink>> = BTreeMap::new();
        for link in clients.all() {
            link.contact.into_iter().for_each(|contact| by_contact.entry(contact).or_default().push(link));
        }
        for contact in contacts {
            // Whose number it is rests on no plan: who writes before a late one is made again is found by it.
            looked.drafts.extend(put_keys(contact.id, around.keys_of(contact.id)).map(Draft::of));
            let mut clients = by_contact.remove(&contact.id).unwrap_or_default();
            let is_gone = |link: &ClientLink| matches!(read.get(&link.client.id), Some(Ok(None)));
            for link in clients.extract_if(.., |link| is_gone(link)) {
                looked.drafts.extend(self.told_missing(Subject::Client(link.client.id)).map(Draft::of));
                // Perhaps it was only not shown: once more, much later.
                if !looked.looks.contains_key(&Subject::Contact(contact.id)) {
                    looked.drafts.push(self.look_again(Subject::Contact(contact.id), MISSING_MS));
                }
            }
            let failed = clients.iter().find_map(|link| read.get(&link.client.id).and_then(|read| read.as_ref().err()));
            if let Some(fault) = failed {
                let subjects =
                    clients.iter().map(|link| Subject::Client(link.client.id)).chain([Subject::Contact(contact.id)]);
                looked.put_off(subjects, fault.clone());
                if looked.marks_failures {
                    looked.drafts.push(self.look_again(Subject::Contact(contact.id), AGAIN_MS));
                }
                continue;
            }
            looked.drafts.push(self.plan_person(ground, &contact, &clients, &read, &around, priority, news_since));
        }
        Ok(())
    }

    /// Salebot does not know a client any more that is linked, or the order of a lead: what is to be written there goes
    /// nowhere. Told now and then; the link stays, as nothing is lost by it.
    pub(super) fn told_missing(&self, subject: Subject) -> Option<Change> {
        let key = subject.key();
        if !self.missing.asks(subject, self.now()) {
            return None;
        }
        tracing::warn!(
            bridge = self.name(),
            record = key,
            "Salebot does not know this client, or this lead's order, any more; its values are not written there"
        );
        Some(self.journal(Notice { subject: key, kind: "notice", detail: json!({ "gone_in_salebot": true }) }))
    }

    /// Reads variables, at the pace of the lane; each answer stands for itself.
    pub(super) async fn read_variables(&self, clients: impl Iterator<Item = ClientId>, priority: Priority) -> Read {
        let reads = clients.map(|client| async move { (client, self.parts.salebot.variables(client, priority).await) });
        join_all(reads).await.into_iter().collect()
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one person's whole observation; a struct for this one call would only rename it"
    )]
    fn plan_person(
        &self,
        ground: &Ground,
        contact: &Contact,
        clients: &[&ClientLink],
        read: &Read,
        around: &Around,
        priority: Priority,
        news_since: Option<Millis>,
    ) -> Draft {
        let before = around.seen.get(&contact.id);
        let pending = around.pending_of(contact.id, clients);
        let mut in_doubt: Vec<Confirm> = pending.iter().copied().flat_map(doubts).collect();
        in_doubt.extend(pending.iter().flat_map(|row| doubts_of_making(row, contact, clients)));
        let variables =
            |link: &ClientLink| read.get(&link.client.id).and_then(|read| read.as_ref().ok()).and_then(Option::as_ref);
        let seen: Vec<ClientSeen<'_>> =
            clients.iter().map(|link| ClientSeen { link, variables: variables(link) }).collect();
        let mut plan = person::plan(ground, PersonSeen { contact, clients: &seen, in_doubt: &in_doubt });
        let was_told = add_callbacks(ground, contact, clients, before, news_since, &pending, &mut plan);
        let mut draft = Draft::about(Subject::Contact(contact.id));
        // Two looks at the same time must not tell the same news twice.
        draft.sight = was_told.then(|| (contact.id, before.cloned()));
        draft.keys.insert(contact_key(contact.id));
        for link in clients {
            draft.rests_on_client(link);
            let changed = with_bases(link, &mut plan);
            if around.is_found(link.client.id) {
                self.link_found(changed.unwrap_or_else(|| (*link).clone()), contact.id, &mut draft);
            } else if let Some(changed) = changed {
                draft.put_client(changed);
            }
        }
        let keys = around.keys_of(contact.id);
        let fingerprint = ground.keyed_fingerprint(contact, keys);
        let is_changed = before.is_none_or(|before| before.fingerprint != fingerprint);
        draft.put_contact(ContactSeen { contact: contact.id, fingerprint, version: contact.updated_at });
        for other in around.perhaps_merged(contact) {
            if !self.missed_contacts.asks(other, is_changed, self.now()) {
                continue;
            }
            // In the same turn as the leads below, and contacts come first: who had a lead is what tells them apart.
            let subject = Subject::Contact(other);
            draft.changes.push(Change::Mark(Mark { subject, due: self.now(), attempts: 0, run: None }));
        }
        for lead in around.leads_to_look_at(contact, clients, is_changed) {
            draft.changes.push(Change::Mark(Mark {
                subject: Subject::Lead(lead),
                due: self.now(),
                attempts: 0,
                run: None,
            }));
        }
        draft.cleared = plan.cleared;
        draft.changes.extend(self.plan_changes(plan, priority));
        draft
    }

    /// A contact that is not there any more: its clients belong to its successor from now on. Without one they are on
    /// their own again: their next message finds a contact or makes a new one, and so does one that still waits to be
    /// noted.
    pub(super) async fn contact_gone(
        &self,
        contact: ContactId,
        links: &[ClientLink],
        successors: &BTreeMap<ClientId, ContactId>,
    ) -> Stored<Draft> {
        let mut draft = Draft::about(Subject::Contact(contact));
        draft.keys.insert(contact_key(contact));
        draft.changes.push(Change::ForgetContact(contact));
        let clients: Vec<ClientId> =
            links.iter().filter(|link| link.contact == Some(contact)).map(|link| link.client.id).collect();
        for link in links.iter().filter(|link| link.contact == Some(contact)) {
            draft.rests_on_client(link);
            // What waits to be told of this contact is not told any more: it would count as agreed on with the next one.
            draft.changes.push(Change::CancelSlot(person::slot_of_client(link.client.id)));
            let next = successors.get(&link.client.id).copied();
            draft.put_client(link.clone().of_contact(next));
            if let Some(next) = next {
                let mark = Mark { subject: Subject::Client(link.client.id), due: self.now(), attempts: 0, run: None };
                let detail = json!({ "linked": next, "instead_of": contact });
                let notice = Notice { subject: client_key(link.client.id), kind: "linked", detail };
                draft.changes.extend([Change::Mark(mark), self.journal(notice)]);
            }
        }
        let notes = NoteTarget::Contact(contact);
        for row in self.store().pending(self.name(), &[notes.key()]).await? {
            if let Action::AddNote { client, .. } = row.action {
                let mark = Mark { subject: Subject::Client(client), due: self.now(), attempts: 0, run: None };
                draft.changes.push(Change::Mark(mark));
            }
        }
        let unlinked: Vec<ClientId> = clients.iter().copied().filter(|id| !successors.contains_key(id)).collect();
        draft.unlinked = u64::from(!unlinked.is_empty());
        if !clients.is_empty() {
            let notice = Notice {
                subject: contact_key(contact),
                kind: "notice",
                detail: json!({ "gone": true, "unlinked": unlinked }),
            };
            draft.changes.push(self.journal(notice));
        }
        Ok(draft)
    }
}

/// The numbers and addresses that a contact is found by; none where it has none.
fn put_keys(contact: ContactId, keys: &BTreeSet<MatchKey>) -> Option<Change> {
    (!keys.is_empty()).then(|| Change::PutKeys(contact, keys.iter().cloned().collect()))
}

/// The link with the bases that the plan changes at once; none where it changes none.
pub(super) fn with_bases(link: &ClientLink, plan: &mut Plan) -> Option<ClientLink> {
    let mut changed = link.clone();
    let own = LinkRef::Client(link.client.id);
    plan.bases.retain(|(of, rule, base)| {
        let is_own = *of == own;
        if is_own {
            changed.bases.insert(rule.clone(), base.clone());
        }
        !is_own
    });
    (changed != *link).then_some(changed)
}

/// Callbacks for a contact that is new, or of which a client gets changed values that no look before had for it. True
/// where there are any.
fn add_callbacks(
    ground: &Ground,
    contact: &Contact,
    clients: &[&ClientLink],
    before: Option<&ContactSeen>,
    news_since: Option<Millis>,
    pending: &[&OutboxRow],
    plan: &mut Plan,
) -> bool {
    if clients.is_empty() || ground.policy.triggers.is_empty() {
        return false;
    }
    let is_new = before.is_none() && is_made_since(contact.created_at, news_since);
    let is_on_its_way = |action: &Action| pending.iter().any(|row| row.action == *action);
    // A contact that was made by us, and a client that was just linked, get their first values: no change.
    let was_seen = before.is_some_and(|before| !before.fingerprint.is_empty());
    let changed = |link: &ClientLink, plan: &Plan| {
        let own = |action: &Action| matches!(action, Action::SaveVariables { client, .. } if *client == link.client.id);
        let gets_values = |(_, action): &(_, Action)| own(action) && !is_on_its_way(action);
        was_seen && !link.bases.is_empty() && plan.actions.iter().any(gets_values)
    };
    let planned = plan.actions.len();
    let names = CallbackNames { contact: deal::contact_names(ground, contact), ..CallbackNames::default() };
    for link in clients {
        for trigger in &ground.policy.triggers {
            let fires = match trigger.on {
                TriggerEvent::ContactCreated => is_new,
                TriggerEvent::ContactChanged => changed(link, plan),
                TriggerEvent::LeadCreated
                | TriggerEvent::LeadStage
                | TriggerEvent::LeadDeleted
                | TriggerEvent::LeadResponsible => false,
            };
            if fires {
                deal::callback(plan, link.client.id, &contact_key(contact.id), trigger, &names);
            }
        }
    }
    plan.actions.len() > planned
}
