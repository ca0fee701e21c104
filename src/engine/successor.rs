//! Contacts that are gone, and who took their place.
//!
//! A merge takes a contact away and leaves another with its leads, phone numbers and addresses; nothing names the two
//! together (amoCRM events page: `entity_merged` has no before and after). The successor of a contact that is gone is
//! who has the same number or address, exactly; and where nothing but a lead in common speaks for it, who was also told
//! to have been merged. Somebody else who merely took over a lead is not the same person.

use super::looked::{AGAIN_MS, Looked};
use super::record::Draft;
use super::watch::EVENTS;
use super::{Bridge, Failure};
use crate::core::id::{ClientId, ContactId, LeadId};
use crate::core::link::ClientLink;
use crate::core::model::Contact;
use crate::core::plan::ground::Ground;
use crate::core::seldom::Seldom;
use crate::core::time::Millis;
use crate::ports::remote::{AMO_IDS_MAX, Priority};
use crate::ports::store::{Change, Stored, Subject};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Under this name contacts are kept that were told to have been merged.
const MERGED: &str = "merged";
/// Most of them, the newest.
const MERGED_MAX: usize = 1_000;
/// For so long: a sweep comes every night.
const MERGED_MS: i64 = 7 * 86_400_000;

/// For so long at least the list of events is waited for: its reading may stand behind other requests.
const PATIENCE_MIN_MS: i64 = 60_000;

/// An event is listed at most so late, and tells its time in seconds.
const EVENT_LATE_MS: i64 = 2_000;

/// Who takes the place of contacts that are gone.
#[derive(Default)]
struct Succession {
    successors: BTreeMap<ClientId, ContactId>,
    /// Contacts whose leads somebody has now of whom no merge is known yet.
    undecided: BTreeMap<ContactId, ContactId>,
}

/// Who has the leads of a contact that is gone.
struct Heir {
    contact: ContactId,
    /// A merge of the one or the other was told of.
    is_merged: bool,
}

/// For so long nobody asks again, for the sake of contacts that have not changed, whether one is still there.
const ASKED_MS: i64 = 600_000;

/// Contacts that may be gone, as far as a restart does not matter.
#[derive(Debug, Default)]
pub(super) struct Missed {
    /// Since when contacts are known to be gone whose clients wait for the list of events, and who has their leads.
    /// After a restart they wait again.
    gone: Mutex<BTreeMap<ContactId, (Millis, ContactId)>>,
    /// The list of events is refused: nothing tells of merges there. Known from its first reading on.
    events_are_refused: AtomicBool,
    /// When contacts were last read because others have their numbers or leads.
    asked: Seldom<ContactId, ASKED_MS>,
}

impl Missed {
    /// True if a contact is to be read because another one has its number, address or lead. Two that are both there,
    /// as of people who share a phone, would ask for each other for ever: where nothing has changed once in a while is enough.
    pub(super) fn asks(&self, other: ContactId, is_changed: bool, now: Millis) -> bool {
        if is_changed {
            self.asked.done(other, now);
        }
        is_changed || self.asked.asks(other, now)
    }

    /// Whether the list of events can be read.
    pub(super) fn hears_events(&self, can_be_read: bool) {
        self.events_are_refused.store(!can_be_read, Ordering::Relaxed);
    }

    fn events_are_refused(&self) -> bool {
        self.events_are_refused.load(Ordering::Relaxed)
    }

    /// Contacts were merged: who shares a number is asked for anew.
    fn ask_anew(&self) {
        self.asked.forget();
    }

    fn noticed(&self, contact: ContactId, heir: ContactId, now: Millis) -> Millis {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner).entry(contact).or_insert((now, heir)).0
    }

    /// Who had its leads when it was first missed: they are known as theirs soon.
    fn heir(&self, contact: ContactId) -> Option<ContactId> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner).get(&contact).map(|(_, heir)| *heir)
    }

    fn forget(&self, contact: ContactId) {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner).remove(&contact);
    }
}

/// A contact that was told to have been merged.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Merged {
    contact: ContactId,
    at: Millis,
}

impl Bridge {
    /// Contacts that were read by id and were not there, with what becomes of their clients.
    pub(super) async fn contacts_gone(
        &self,
        ground: &Ground,
        gone: &[ContactId],
        priority: Priority,
    ) -> Result<Vec<Draft>, Failure> {
        if gone.is_empty() {
            return Ok(Vec::new());
        }
        let links = self.store().clients_of(self.name(), gone).await?;
        let found = self.successors(ground, gone, &links, priority).await?;
        let mut drafts = Vec::new();
        for contact in gone {
            let is_undecided = match found.undecided.get(contact) {
                Some(heir) => self.awaits_events(*contact, *heir).await?,
                None => false,
            };
            drafts.push(match is_undecided {
                true => self.look_again(Subject::Contact(*contact), AGAIN_MS),
                false => self.contact_gone(*contact, &links, &found.successors).await?,
            });
        }
        Ok(drafts)
    }

    /// Contacts whose leads somebody else has now. One that is gone may have been merged into them: that is decided before
    /// the leads are known as another's, as afterwards nothing tells who took whose place.
    pub(super) async fn look_at_former_owners(
        &self,
        ground: &Ground,
        mut owners: BTreeSet<ContactId>,
        priority: Priority,
        looked: &mut Looked,
    ) -> Result<(), Failure> {
        let is_decided =
            |owner: &ContactId| looked.drafts.iter().any(|draft| draft.subjects.contains(&Subject::Contact(*owner)));
        owners.retain(|owner| !is_decided(owner));
        if owners.is_empty() {
            return Ok(());
        }
        let links = self.store().clients_of(self.name(), &owners.into_iter().collect::<Vec<_>>()).await?;
        let linked: BTreeSet<ContactId> = links.iter().filter_map(|link| link.contact).collect();
        for ids in linked.into_iter().collect::<Vec<_>>().chunks(AMO_IDS_MAX) {
            let page = self.parts.amo.contacts_by_id(ids, priority).await?;
            let is_there = |id: &ContactId| {
                page.rows.iter().any(|contact| contact.id == *id) || page.broken.iter().any(|row| row.id == Some(id.0))
            };
            let gone: Vec<ContactId> = ids.iter().copied().filter(|id| !is_there(id)).collect();
            looked.drafts.extend(self.contacts_gone(ground, &gone, priority).await?);
        }
        Ok(())
    }

    /// True while the list of events may not have told of a merge yet.
    async fn awaits_events(&self, contact: ContactId, heir: ContactId) -> Stored<bool> {
        let now = self.now();
        let patience_ms = self.parts.timing.recheck_every_ms.saturating_mul(3).max(PATIENCE_MIN_MS);
        let cursor = self.store().cursor(self.name(), EVENTS).await?;
        let noticed_at = self.missed_contacts.noticed(contact, heir, now);
        // After an outage the list was not read for long, and what it tells is still to come.
        let has_told = cursor.is_some_and(|cursor| cursor.at.since(noticed_at) > EVENT_LATE_MS);
        let may_tell = self.watch.is_some() && !self.missed_contacts.events_are_refused();
        let waits = may_tell && !has_told && now.is_near(noticed_at, patience_ms);
        if !waits {
            self.missed_contacts.forget(contact);
        }
        Ok(waits)
    }

    /// Where there is one, the contact that each of these clients belongs to now.
    async fn successors(
        &self,
        ground: &Ground,
        gone: &[ContactId],
        links: &[ClientLink],
        priority: Priority,
    ) -> Result<Succession, Failure> {
        let mut succession = Succession::default();
        if links.is_empty() {
            return Ok(succession);
        }
        let heirs = self.heirs(gone, priority).await?;
        let mut read = self.read_variables(links.iter().map(|link| link.client.id), priority).await;
        for link in links {
            let Some(variables) = read.remove(&link.client.id) else { continue };
            let variables = variables?.unwrap_or_default();
            let keys = ground.client_keys(&link.client, &variables);
            let has_key = |contact: &Contact| keys.iter().any(|key| ground.contact_keys(contact).contains(key));
            let candidates = if keys.is_empty() {
                Vec::new()
            } else {
                self.candidates(ground, link, &variables, priority).await??
            };
            let by_key = candidates.iter().filter(|contact| !gone.contains(&contact.id) && has_key(contact));
            // Of several the oldest, as for everybody who arrives.
            let found = by_key.map(|contact| contact.id).min();
            let heir = link.contact.and_then(|contact| heirs.get(&contact));
            let proven = heir.filter(|heir| heir.is_merged).map(|heir| heir.contact);
            match found.or(proven) {
                Some(contact) => {
                    succession.successors.insert(link.client.id, contact);
                }
                None => succession.undecided.extend(link.contact.zip(heir.map(|heir| heir.contact))),
            }
        }
        Ok(succession)
    }

    /// Contacts that have the leads of those gone now, one for each.
    async fn heirs(&self, gone: &[ContactId], priority: Priority) -> Result<BTreeMap<ContactId, Heir>, Failure> {
        let deals = self.store().deals_of(self.name(), gone).await?;
        let ids: Vec<LeadId> = deals.iter().rev().take(AMO_IDS_MAX).map(|deal| deal.lead).collect();
        let merged = self.merged().await?;
        let leads = match ids.is_empty() {
            true => Vec::new(),
            false => self.parts.amo.leads_by_id(&ids, priority).await?.rows,
        };
        let mut heirs: BTreeMap<ContactId, BTreeSet<ContactId>> = BTreeMap::new();
        for lead in &leads {
            let before = deals.iter().find(|deal| deal.lead == lead.id).and_then(|deal| deal.contact);
            if let (Some(before), Some(now)) = (before, lead.person()) {
                heirs.entry(before).or_default().insert(now);
            }
        }
        let was_merged = |contact: ContactId| merged.iter().any(|merged| merged.contact == contact);
        let only = |(before, now): (ContactId, BTreeSet<ContactId>)| {
            let contact = *now.first().filter(|heir| now.len() == 1 && !gone.contains(heir))?;
            Some((before, Heir { contact, is_merged: was_merged(before) || was_merged(contact) }))
        };
        let missed = gone.iter().filter_map(|contact| Some((*contact, self.missed_contacts.heir(*contact)?)));
        let missed: Vec<_> = missed.filter(|(contact, _)| !heirs.contains_key(contact)).collect();
        heirs.extend(missed.into_iter().map(|(contact, heir)| (contact, BTreeSet::from([heir]))));
        Ok(heirs.into_iter().filter_map(only).collect())
    }

    async fn merged(&self) -> Stored<Vec<Merged>> {
        let text = self.store().text(self.name(), MERGED).await?.unwrap_or_default();
        let mut merged: Vec<Merged> = serde_json::from_str(&text).unwrap_or_default();
        let now = self.now();
        merged.retain(|merged| now.since(merged.at) < MERGED_MS);
        Ok(merged)
    }

    /// Remembers contacts that were told to have been merged.
    pub(super) async fn remember_merged(&self, contacts: &BTreeSet<ContactId>) -> Stored<Vec<Change>> {
        self.missed_contacts.ask_anew();
        let mut merged = self.merged().await?;
        merged.retain(|merged| !contacts.contains(&merged.contact));
        let at = self.now();
        merged.extend(contacts.iter().map(|contact| Merged { contact: *contact, at }));
        let merged = merged.split_off(merged.len().saturating_sub(MERGED_MAX));
        Ok(vec![Change::PutText(MERGED, serde_json::to_string(&merged).unwrap_or_default())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_that_share_a_number_do_not_ask_for_each_other_for_ever() {
        let (missed, now) = (Missed::default(), Millis(1_000_000));
        let (one, other) = (ContactId(1), ContactId(2));
        assert!(missed.asks(other, true, now), "the one has changed");
        assert!(missed.asks(one, false, now), "and nobody asked for it yet");
        assert!(!missed.asks(other, false, now.plus(500)));
        assert!(missed.asks(other, true, now.plus(1_000)), "a change may be a merge");
        assert!(missed.asks(other, false, now.plus(1_000 + ASKED_MS)), "now and then all the same");
        assert!(missed.asks(other, false, now.minus(ASKED_MS)), "also after the clock was set back");
        assert!(!missed.asks(other, false, now.minus(ASKED_MS)));
        missed.ask_anew();
        assert!(missed.asks(other, false, now.minus(ASKED_MS)), "after a merge");
        assert!(missed.asked.len() <= 2);
    }
}
