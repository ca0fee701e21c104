//! Carrying out actions in amoCRM, fifty in a request.

use super::fresh::{in_its_second, later_than};
use super::lookup::{Found, LostNote};
use super::{Bridge, Outcome};
use crate::core::action::{Action, Confirm, Edit, NoteTarget};
use crate::core::apply;
use crate::core::fault::{Fault, FaultKind};
use crate::core::id::{ContactId, LeadId};
use crate::core::link::ClientLink;
use crate::core::model::{Contact, Lead};
use crate::core::plan::ground::Ground;
use crate::core::plan::{self, ResolvedRule, deal, person};
use crate::core::policy::CreateContact;
use crate::core::retry;
use crate::core::shape::Record;
use crate::core::time::Millis;
use crate::engine::record::was_tried;
use crate::ports::remote::{AMO_BATCH_MAX, Change, Draft, NewNote, Page, Priority};
use crate::ports::store::{OutboxRow, StoreError};
use futures::FutureExt;
use std::collections::{BTreeMap, BTreeSet};

/// A note whose contact is gone, and whose person has no other yet.
const NO_CONTACT: &str = "the person has no contact in amoCRM any more; the note waits for the next one";
/// The same where none is ever made …
const NEVER_A_CONTACT: &str =
    "the contact is gone, and people.create_contact makes no other: make or link one, then retry";
/// … and where none came for seven days.
const NO_CONTACT_CAME: &str = "the contact is gone, and no other came for seven days: make or link one, then retry";

impl Bridge {
    pub(super) async fn execute_amo(&self, rows: Vec<OutboxRow>) -> Result<(), StoreError> {
        let mut groups: BTreeMap<&'static str, Vec<OutboxRow>> = BTreeMap::new();
        for row in rows {
            groups.entry(row.action.name()).or_default().push(row);
        }
        for (name, mut rows) in groups {
            while !rows.is_empty() {
                let rest = rows.split_off(rows.len().min(AMO_BATCH_MAX));
                let outcomes = match name {
                    "create_contact" => self.create_contacts(&rows).await?,
                    "update_contact" => self.update_contacts(&rows).await?,
                    "update_lead" => self.update_leads(&rows).await?,
                    name if name.starts_with("function") => self.execute_functions(&rows).await?,
                    _ => self.add_notes(&rows).await?,
                };
                let stuck: BTreeSet<String> = rows
                    .iter()
                    .zip(&outcomes)
                    .filter(|(_, outcome)| must_wait(outcome))
                    .map(|(row, _)| row.action.key())
                    .collect();
                self.settle(&rows, outcomes).await?;
                // What stands behind a failed action of its own key waits for it.
                let (held, free): (Vec<_>, Vec<_>) =
                    rest.into_iter().partition(|row| stuck.contains(&row.action.key()));
                let untouched = held.iter().map(|_| Outcome::Untouched).collect();
                self.settle(&held, untouched).await?;
                rows = free;
            }
        }
        Ok(())
    }

    async fn create_contacts(&self, batch: &[OutboxRow]) -> Result<Vec<Outcome>, StoreError> {
        let mut outcomes: Vec<Option<Outcome>> = Vec::new();
        let (mut keys, mut taken) = (BTreeSet::new(), BTreeSet::new());
        for row in batch {
            // Whoever is there twice is made once: by the time the second one has its turn, there is a contact.
            let outcome = match keys.insert(row.action.key()) {
                true => self.already_made(row, &taken).await?,
                false => Some(Outcome::Untouched),
            };
            if let Some(Outcome::Contact(contact)) = &outcome {
                taken.insert(*contact);
            }
            outcomes.push(outcome);
        }
        let draft = |row: &OutboxRow| match &row.action {
            Action::CreateContact { edits, created_at, .. } => {
                Some(Draft { edits: edits.clone(), created_at: *created_at })
            }
            _ => None,
        };
        let open: Vec<usize> = (0..batch.len()).filter(|index| outcomes[*index].is_none()).collect();
        let drafts: Vec<Draft> = open.iter().filter_map(|index| draft(&batch[*index])).collect();
        let results =
            if drafts.is_empty() { Vec::new() } else { self.parts.amo.create_contacts(&drafts, urgency(batch)).await };
        for (index, result) in open.into_iter().zip(results) {
            outcomes[index] = Some(result.map_or_else(Outcome::Failed, Outcome::Contact));
        }
        Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or(Outcome::Untouched)).collect())
    }

    /// None: it is to be made. Its client may have got a contact in the meantime, and an attempt
    /// whose answer was lost may have made it.
    async fn already_made(&self, row: &OutboxRow, taken: &BTreeSet<ContactId>) -> Result<Option<Outcome>, StoreError> {
        let Action::CreateContact { clients, .. } = &row.action else { return Ok(None) };
        let ids: Vec<_> = clients.iter().copied().collect();
        let links = self.store().clients(self.name(), &ids).await?;
        if !links.is_empty() && links.iter().all(|link| link.contact.is_some()) {
            return Ok(Some(Outcome::Superfluous));
        }
        if !row.in_doubt {
            return Ok(None);
        }
        Ok(match self.look_for_contact(row, taken).await? {
            Ok(Found::Done(contact)) => Some(Outcome::Contact(contact)),
            Ok(Found::Theirs(contact)) => Some(Outcome::Met(contact)),
            Ok(Found::NotDone) => None,
            Ok(Found::Later(wait_ms)) => Some(Outcome::Unclear(wait_ms)),
            Err(fault) => Some(Outcome::Failed(harmless(fault))),
        })
    }

    /// Reads the contacts again, leaves out what somebody else changed, and writes the rest.
    async fn update_contacts(&self, batch: &[OutboxRow]) -> Result<Vec<Outcome>, StoreError> {
        let look = |rows: &[OutboxRow]| {
            let ids: Vec<ContactId> = rows.iter().filter_map(updated_contact).collect();
            async move { self.parts.amo.contacts_by_id(&ids, urgency(batch)).await }.boxed()
        };
        self.written_fresh(batch, look, |rows, page| self.write_contacts(rows, page).boxed()).await
    }

    /// Writes contacts that were read a moment ago.
    async fn write_contacts(&self, batch: &[OutboxRow], page: Page<Contact>) -> Result<Vec<Outcome>, StoreError> {
        let now = self.server_now(&page);
        let ids: Vec<ContactId> = batch.iter().filter_map(updated_contact).collect();
        let known = self.store().contacts(self.name(), &ids).await?;
        let known: BTreeMap<ContactId, String> =
            known.into_iter().map(|seen| (seen.contact, seen.fingerprint)).collect();
        let mut records: BTreeMap<ContactId, Contact> =
            page.rows.into_iter().map(|contact| (contact.id, contact)).collect();
        let mut outcomes = Vec::new();
        let mut changes = Vec::new();
        for row in batch {
            let Some(contact) = updated_contact(row).and_then(|id| records.remove(&id)) else {
                outcomes.push(Outcome::Failed(Fault::new(FaultKind::Gone, "the contact is not there any more")));
                continue;
            };
            let known = known.get(&contact.id).cloned().unwrap_or_default();
            let (outcome, change) = self.checked_update(row, contact, known, now);
            outcomes.push(outcome);
            changes.extend(change.map(|change| (outcomes.len() - 1, change)));
        }
        let sent: Vec<Change<ContactId>> = changes.iter().map(|(_, change)| change.clone()).collect();
        let results =
            if sent.is_empty() { Vec::new() } else { self.parts.amo.update_contacts(&sent, urgency(batch)).await };
        take_results(&mut outcomes, changes.into_iter().map(|(index, _)| index), results);
        Ok(outcomes)
    }

    /// What an update comes to if its writing succeeds, and what is to be written. `known`: the
    /// fingerprint of what was last planned from.
    fn checked_update(
        &self,
        row: &OutboxRow,
        before: Contact,
        known: String,
        now: Millis,
    ) -> (Outcome, Option<Change<ContactId>>) {
        let Action::UpdateContact { edits, seen, .. } = &row.action else { return (Outcome::Untouched, None) };
        let mut after = before.clone();
        apply::to_contact(&mut after, edits);
        let fingerprint = match self.ground() {
            // Only our own change is no news. What somebody else did meanwhile is still to be planned.
            Some(ground) if ground.contact_fingerprint(&before) == known => ground.contact_fingerprint(&after),
            _ => known,
        };
        let is_there = same_texts(&before, &after) && !edits.iter().any(|edit| matches!(edit, Edit::CompanyName(_)));
        if is_there {
            return (Outcome::Changed { version: before.updated_at, fingerprint }, None);
        }
        if person::edited_fingerprint(&before, edits) != *seen {
            let written = self.written(row, |ground| &ground.contact_rules, Record::Contact(&before));
            return (Outcome::Overtaken(written), None);
        }
        if let Some(wait) = in_its_second(row.fault.as_ref(), before.updated_at, now, self.now()) {
            return (wait, None);
        }
        let updated_at = later_than(before.updated_at, now);
        let change = Change { id: before.id, edits: edits.clone(), updated_at };
        (Outcome::Changed { version: updated_at, fingerprint }, Some(change))
    }

    /// What an attempt whose outcome is not known has written.
    fn written(&self, row: &OutboxRow, rules: fn(&Ground) -> &Vec<ResolvedRule>, record: Record<'_>) -> Vec<Confirm> {
        let ground = self.ground().filter(|_| was_tried(row));
        ground
            .map_or_else(Vec::new, |ground| plan::happened(rules(&ground), record, &ground.zone, row.action.confirms()))
    }

    /// The same for leads.
    async fn update_leads(&self, batch: &[OutboxRow]) -> Result<Vec<Outcome>, StoreError> {
        let look = |rows: &[OutboxRow]| {
            let ids: Vec<LeadId> = rows.iter().filter_map(updated_lead).collect();
            async move { self.parts.amo.leads_by_id(&ids, urgency(batch)).await }.boxed()
        };
        self.written_fresh(batch, look, |rows, page| self.write_leads(rows, page).map(Ok).boxed()).await
    }

    /// Writes leads that were read a moment ago.
    async fn write_leads(&self, batch: &[OutboxRow], page: Page<Lead>) -> Vec<Outcome> {
        let now = self.server_now(&page);
        let mut records: BTreeMap<LeadId, Lead> = page.rows.into_iter().map(|lead| (lead.id, lead)).collect();
        let mut outcomes = Vec::new();
        let mut changes = Vec::new();
        for row in batch {
            let Action::UpdateLead { lead: id, edits, seen, .. } = &row.action else {
                outcomes.push(Outcome::Untouched);
                continue;
            };
            let Some(mut lead) = records.remove(id).filter(|lead| !lead.is_deleted) else {
                outcomes.push(Outcome::Failed(Fault::new(FaultKind::Gone, "the lead is not there any more")));
                continue;
            };
            let before = lead.clone();
            apply::to_lead(&mut lead, edits);
            if before == lead {
                outcomes.push(Outcome::ChangedLead { version: before.updated_at });
            } else if deal::edited_fingerprint(&before, edits) != *seen {
                let written = self.written(row, |ground| &ground.lead_rules, Record::Lead(&before));
                outcomes.push(Outcome::Overtaken(written));
            } else if let Some(wait) = in_its_second(row.fault.as_ref(), before.updated_at, now, self.now()) {
                outcomes.push(wait);
            } else {
                let updated_at = later_than(before.updated_at, now);
                outcomes.push(Outcome::ChangedLead { version: updated_at });
                changes.push((outcomes.len() - 1, Change { id: *id, edits: edits.clone(), updated_at }));
            }
        }
        let sent: Vec<Change<LeadId>> = changes.iter().map(|(_, change)| change.clone()).collect();
        let results =
            if sent.is_empty() { Vec::new() } else { self.parts.amo.update_leads(&sent, urgency(batch)).await };
        take_results(&mut outcomes, changes.into_iter().map(|(index, _)| index), results);
        outcomes
    }

    async fn add_notes(&self, batch: &[OutboxRow]) -> Result<Vec<Outcome>, StoreError> {
        let mut outcomes: Vec<Option<Outcome>> = Vec::new();
        let mut notes = Vec::new();
        let (mut stuck, mut taken) = (BTreeSet::new(), BTreeSet::new());
        for (index, row) in batch.iter().enumerate() {
            let key = row.action.key();
            let Action::AddNote { text, created_at, .. } = &row.action else {
                outcomes.push(Some(Outcome::Untouched));
                continue;
            };
            // A dialogue stays in order: what stands behind a note that must wait waits with it.
            if stuck.contains(&key) {
                outcomes.push(Some(Outcome::Untouched));
                continue;
            }
            match self.note_place(row, &taken).await? {
                Ok(target) => {
                    outcomes.push(None);
                    notes.push((index, NewNote { target, text: text.clone(), created_at: *created_at }));
                }
                Err(outcome) => {
                    if must_wait(&outcome) {
                        stuck.insert(key);
                    }
                    if let Outcome::Note(_, note) = &outcome {
                        taken.insert(note.0);
                    }
                    outcomes.push(Some(outcome));
                }
            }
        }
        let sent: Vec<NewNote> = notes.iter().map(|(_, note)| note.clone()).collect();
        let results = if sent.is_empty() { Vec::new() } else { self.parts.amo.add_notes(&sent, urgency(batch)).await };
        for ((index, note), result) in notes.iter().zip(results) {
            outcomes[*index] = Some(result.map_or_else(Outcome::Failed, |id| Outcome::Note(note.target, id)));
        }
        Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or(Outcome::Untouched)).collect())
    }

    /// Where the note goes now, or what became of it. A contact that was deleted or merged away is
    /// followed to the one its client has now.
    async fn note_place(
        &self,
        row: &OutboxRow,
        taken: &BTreeSet<u64>,
    ) -> Result<Result<NoteTarget, Outcome>, StoreError> {
        let Action::AddNote { target: planned, client, text, created_at, .. } = &row.action else {
            return Ok(Err(Outcome::Untouched));
        };
        let mut target = *planned;
        if let NoteTarget::Contact(_) = target {
            match self.store().clients(self.name(), &[*client]).await?.first() {
                Some(ClientLink { contact: Some(contact), .. }) => target = NoteTarget::Contact(*contact),
                Some(link) => return Ok(Err(self.without_contact(row, link.unmatched))),
                None => {}
            }
        }
        if !row.in_doubt {
            return Ok(Ok(target));
        }
        let lost = LostNote { target, planned: *planned, text, created_at: *created_at };
        Ok(match self.look_for_note(row, &lost, taken).await? {
            Ok(Found::Done(note) | Found::Theirs(note)) => Err(Outcome::Note(target, note)),
            Ok(Found::Later(wait_ms)) => Err(Outcome::Unclear(wait_ms)),
            Ok(Found::NotDone) => Ok(target),
            // Gone: the record went with everything on it, so the note was not kept either.
            Err(fault) if fault.kind == FaultKind::Gone => Ok(target),
            Err(fault) => Err(Outcome::Failed(harmless(fault))),
        })
    }

    /// A note whose person has no contact. `is_nobody`: whose contact it may be was looked for in vain.
    pub(super) fn without_contact(&self, row: &OutboxRow, is_nobody: bool) -> Outcome {
        let now = self.now();
        let since = match &row.fault {
            Some(fault) if fault.reason == NO_CONTACT => fault.at.unwrap_or(row.created_at),
            _ => now,
        };
        let may_come = self.parts.policy.people.create_contact != CreateContact::Never;
        // Where it is not known whether it was written, since when that is so must be kept.
        let kept_at = row.fault.as_ref().and_then(|fault| fault.at).filter(|_| row.in_doubt);
        let fault = |reason: &str, at| Fault { at, ..Fault::new(FaultKind::Gone, reason) };
        match retry::next_contact_ms(is_nobody, may_come, now.since(since)) {
            Some(wait_ms) => {
                let at = if row.in_doubt { kept_at } else { Some(since) };
                Outcome::Waits(fault(NO_CONTACT, at), wait_ms)
            }
            None if is_nobody && !may_come => Outcome::GivenUp(fault(NEVER_A_CONTACT, kept_at)),
            None => Outcome::GivenUp(fault(NO_CONTACT_CAME, kept_at)),
        }
    }

    /// The server's clock, where it told it; ours otherwise. A time of change in the future would
    /// lock others out of the record.
    pub(super) fn server_now<T>(&self, page: &Page<T>) -> Millis {
        page.server_time.unwrap_or_else(|| self.now())
    }
}

/// It was not done, and what stands behind it in its key may not overtake it.
fn must_wait(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Failed(_) | Outcome::Overtaken(_) | Outcome::Unclear(_) | Outcome::Waits(..) | Outcome::Untouched
    )
}

fn updated_contact(row: &OutboxRow) -> Option<ContactId> {
    match &row.action {
        Action::UpdateContact { contact, .. } => Some(*contact),
        _ => None,
    }
}

fn updated_lead(row: &OutboxRow) -> Option<LeadId> {
    match &row.action {
        Action::UpdateLead { lead, .. } => Some(*lead),
        _ => None,
    }
}

/// Equal but for the kinds of phones and the like, which are not known in the same form on read.
fn same_texts(a: &Contact, b: &Contact) -> bool {
    let texts = |contact: &Contact| {
        let fields: BTreeMap<_, Vec<_>> = contact
            .fields
            .iter()
            .map(|(id, elements)| (*id, elements.iter().map(|element| (element.value.clone(), element.part)).collect()))
            .collect();
        let names = (contact.name.clone(), contact.first_name.clone(), contact.last_name.clone());
        (names, contact.tags.clone(), contact.responsible, fields)
    };
    texts(a) == texts(b)
}

/// A failed look is no attempt at doing the action, and leaves it in doubt. It says nothing of what was to be written either: a
/// minute in which a proxy answers 404 must not condemn everything that waits.
pub(super) fn harmless(fault: Fault) -> Fault {
    match fault.kind {
        FaultKind::Uncertain | FaultKind::Broken | FaultKind::Rejected => Fault { kind: FaultKind::Transient, ..fault },
        FaultKind::Transient
        | FaultKind::Throttled { .. }
        | FaultKind::Changed
        | FaultKind::Gone
        | FaultKind::Auth
        | FaultKind::Blocked
        | FaultKind::Interrupted => fault,
    }
}

fn take_results(outcomes: &mut [Outcome], indices: impl Iterator<Item = usize>, results: Vec<Result<(), Fault>>) {
    for (index, result) in indices.zip(results) {
        if let Err(fault) = result {
            outcomes[index] = Outcome::Failed(fault);
        }
    }
}

/// A batch is as urgent as its most urgent action.
pub(super) fn urgency(batch: &[OutboxRow]) -> Priority {
    batch.iter().map(|row| row.priority).min().unwrap_or(Priority::Background)
}
