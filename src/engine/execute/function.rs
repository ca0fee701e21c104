//! Carrying out the calls of bots in amoCRM, fifty in a request like all other writes.

use super::amo::{harmless, urgency};
use super::fresh::later_than;
use super::function_end::{Ending, Then};
use super::lookup::{Found, Look, LostNote};
use super::{Bridge, Outcome};
use crate::core::action::{Action, Edit, NoteTarget};
use crate::core::apply;
use crate::core::fault::{Fault, FaultKind};
use crate::core::function::effect;
use crate::core::function::report::report;
use crate::core::function::{Answer, Call, Wanted, Work};
use crate::core::id::{ContactId, LeadId};
use crate::core::model::{Contact, Lead};
use crate::core::plan::ground::Ground;
use crate::core::shape::Record;
use crate::core::text;
use crate::core::time::Millis;
use crate::engine::function::{gone, uncertain};
use crate::ports::remote::{self, AMO_IDS_MAX, Draft, NewNote, NewTask, Priority};
use crate::ports::store::{Change, Mark, OutboxRow, StoreError, Subject};
use std::collections::{BTreeMap, BTreeSet};

/// For how long a record that we know of may be missing where it is read: it was made a moment ago.
const LATE_MS: i64 = 3_000;
/// How often it is looked for.
const LOOK_MS: i64 = 500;

/// Records as they are at this moment.
pub(in crate::engine) struct Records {
    contacts: BTreeMap<ContactId, Contact>,
    leads: BTreeMap<LeadId, Lead>,
    unreadable: BTreeSet<u64>,
    now: Millis,
}

impl Records {
    /// The record, unless it is not there.
    pub(in crate::engine) fn get(&self, target: NoteTarget) -> Option<Record<'_>> {
        match target {
            NoteTarget::Contact(id) => self.contacts.get(&id).map(Record::Contact),
            NoteTarget::Lead(id) => self.leads.get(&id).filter(|lead| !lead.is_deleted).map(Record::Lead),
        }
    }

    /// True for one that is there and could not be read.
    pub(in crate::engine) fn is_unreadable(&self, target: NoteTarget) -> bool {
        match target {
            NoteTarget::Contact(ContactId(id)) | NoteTarget::Lead(LeadId(id)) => self.unreadable.contains(&id),
        }
    }
}

/// Changes on their way, each with the place of its call in the batch.
#[derive(Default)]
struct Changes {
    contacts: Vec<(usize, remote::Change<ContactId>)>,
    leads: Vec<(usize, remote::Change<LeadId>)>,
}

/// What has to be made, and the place of its call in the batch.
type Open<'a> = Vec<(usize, &'a Call, NoteTarget)>;

impl Bridge {
    /// Calls of one kind.
    pub(super) async fn execute_functions(&self, batch: &[OutboxRow]) -> Result<Vec<Outcome>, StoreError> {
        let Some(ground) = self.ground() else { return Ok(vec![Outcome::Untouched; batch.len()]) };
        let mut outcomes = vec![Outcome::Untouched; batch.len()];
        let calls: Open<'_> = batch.iter().enumerate().filter_map(|(place, row)| called(place, row)).collect();
        let targets: Vec<NoteTarget> = calls.iter().map(|(_, _, target)| *target).collect();
        let records = match self.read_records(&targets, urgency(batch)).await {
            Ok(records) => records,
            Err(fault) => return Ok(vec![Outcome::Failed(harmless(fault)); batch.len()]),
        };
        let works: Vec<_> =
            calls.iter().filter_map(|(_, call, target)| Some((records.get(*target)?, &call.work))).collect();
        let ground = self.ground_for(ground, &works).await;
        let mut open = Open::new();
        let mut changes = Changes::default();
        let (mut touched, mut missed) = (BTreeSet::new(), Vec::new());
        for (place, call, target) in calls {
            let Some(record) = records.get(target) else {
                outcomes[place] = self.absent(&batch[place], call, target, &records);
                if let (Outcome::Ended(_), NoteTarget::Contact(contact)) = (&outcomes[place], target) {
                    missed.push(contact);
                }
                continue;
            };
            match &call.work {
                Work::Info | Work::Field(_) => outcomes[place] = Outcome::ended(report(&ground, record, &call.work)),
                // Of two changes of one record the second is made from what the first has left.
                Work::Change(wanted) if touched.insert(target) => {
                    outcomes[place] = self.change(&ground, place, record, wanted, records.now, &mut changes);
                }
                Work::Change(_) => {}
                Work::Lead { responsible, .. } | Work::Task { responsible, .. } => {
                    match responsible.map(|user| effect::known_user(&ground.account, user)).transpose() {
                        Err(refused) => outcomes[place] = Outcome::ended(refused),
                        Ok(_) => open.push((place, call, target)),
                    }
                }
                Work::Note(_) => open.push((place, call, target)),
            }
        }
        self.look_at_gone(missed).await?;
        self.send_changes(changes, urgency(batch), &mut outcomes).await;
        self.make(&ground, batch, &records, open, &mut outcomes).await?;
        Ok(outcomes)
    }

    /// What a call comes to whose record was not among those that were read.
    fn absent(&self, row: &OutboxRow, call: &Call, target: NoteTarget, records: &Records) -> Outcome {
        if records.is_unreadable(target) {
            return Outcome::Failed(Fault::new(FaultKind::Broken, "the record cannot be read"));
        }
        match call.without_record(row.in_doubt) {
            Some(_) if self.now().is_near(call.at, LATE_MS) => Outcome::Unclear(LOOK_MS),
            Some(call) => Outcome::GoesOn(Box::new(call)),
            None => Outcome::ended(gone(target)),
        }
    }

    /// Contacts and leads by id.
    pub(in crate::engine) async fn read_records(
        &self,
        targets: &[NoteTarget],
        priority: Priority,
    ) -> Result<Records, Fault> {
        let (mut contacts, mut leads) = (BTreeSet::new(), BTreeSet::new());
        for target in targets {
            match target {
                NoteTarget::Contact(id) => contacts.insert(*id),
                NoteTarget::Lead(id) => leads.insert(id.0),
            };
        }
        let mut records =
            Records { contacts: BTreeMap::new(), leads: BTreeMap::new(), unreadable: BTreeSet::new(), now: self.now() };
        if !contacts.is_empty() {
            let ids: Vec<ContactId> = contacts.into_iter().collect();
            let page = self.parts.amo.contacts_by_id(&ids, priority).await?;
            records.now = self.server_now(&page);
            records.unreadable.extend(page.broken.iter().filter_map(|row| row.id));
            records.contacts.extend(page.rows.into_iter().map(|contact| (contact.id, contact)));
        }
        if !leads.is_empty() {
            let ids: Vec<LeadId> = leads.into_iter().map(LeadId).collect();
            let page = self.parts.amo.leads_by_id(&ids, priority).await?;
            records.now = self.server_now(&page);
            records.unreadable.extend(page.broken.iter().filter_map(|row| row.id));
            records.leads.extend(page.rows.into_iter().map(|lead| (lead.id, lead)));
        }
        Ok(records)
    }

    /// Bots named these contacts, and they are gone. Those that have clients may have been merged, and nobody else need notice
    /// soon: they are looked at like any other. Contacts of nobody are not, whatever number a bot names.
    async fn look_at_gone(&self, gone: Vec<ContactId>) -> Result<(), StoreError> {
        if gone.is_empty() {
            return Ok(());
        }
        let due = self.now();
        let links = self.store().clients_of(self.name(), &gone).await?;
        let linked: BTreeSet<ContactId> = links.into_iter().filter_map(|link| link.contact).collect();
        let mark = |contact| Change::Mark(Mark { subject: Subject::Contact(contact), due, attempts: 0, run: None });
        self.commit(linked.into_iter().map(mark).collect()).await
    }

    /// What a change comes to if its writing succeeds; what is to be written joins `changes`.
    fn change(
        &self,
        ground: &Ground,
        place: usize,
        record: Record<'_>,
        wanted: &[Wanted],
        now: Millis,
        changes: &mut Changes,
    ) -> Outcome {
        let edits = match effect::edits(ground, record, wanted) {
            Ok(edits) => edits,
            Err(refused) => return Outcome::ended(refused),
        };
        match record {
            Record::Contact(before) => {
                let mut after = before.clone();
                apply::to_contact(&mut after, &edits);
                if after != *before {
                    let change =
                        remote::Change { id: before.id, edits, updated_at: later_than(before.updated_at, now) };
                    changes.contacts.push((place, change));
                }
                Outcome::ended(Answer::done().with("contact_id", before.id.0))
            }
            Record::Lead(before) => {
                let mut after = before.clone();
                apply::to_lead(&mut after, &edits);
                let is_there = after == *before;
                let updated_at = if is_there { before.updated_at } else { later_than(before.updated_at, now) };
                let ending = Ending { answer: lead_answer(&after, &edits), then: Then::changed(&after, updated_at) };
                if !is_there {
                    changes.leads.push((place, remote::Change { id: before.id, edits, updated_at }));
                }
                Outcome::Ended(Box::new(ending))
            }
        }
    }

    async fn send_changes(&self, changes: Changes, priority: Priority, outcomes: &mut [Outcome]) {
        let (places, contacts): (Vec<_>, Vec<_>) = changes.contacts.into_iter().unzip();
        if !contacts.is_empty() {
            let results = self.parts.amo.update_contacts(&contacts, priority).await;
            refuse(outcomes, &places, results);
        }
        let (places, leads): (Vec<_>, Vec<_>) = changes.leads.into_iter().unzip();
        if !leads.is_empty() {
            let results = self.parts.amo.update_leads(&leads, priority).await;
            refuse(outcomes, &places, results);
        }
    }

    /// Makes what is not made yet: of those in doubt only what a look does not find.
    async fn make(
        &self,
        ground: &Ground,
        batch: &[OutboxRow],
        records: &Records,
        open: Open<'_>,
        outcomes: &mut [Outcome],
    ) -> Result<(), StoreError> {
        let mut left = Open::new();
        let (mut stuck, mut taken) = (BTreeSet::new(), BTreeSet::new());
        for (place, call, target) in open {
            let row = &batch[place];
            // In the order of the bot's calls: what stands behind one that must wait waits with it.
            if stuck.contains(&row.action.key()) {
                continue;
            }
            if !row.in_doubt && !call.in_doubt {
                left.push((place, call, target));
                continue;
            }
            match self.look_for_made(row, call, target, records, &taken).await? {
                Ok(Found::Done(id) | Found::Theirs(id)) => {
                    taken.insert(id);
                    outcomes[place] = Outcome::Ended(Box::new(Ending::made(call, target, id)));
                }
                Ok(Found::NotDone) if self.is_no_survivor(records.get(target), call) => {
                    outcomes[place] = Outcome::ended(uncertain());
                }
                Ok(Found::NotDone) => left.push((place, call, target)),
                Ok(Found::Later(wait_ms)) => {
                    stuck.insert(row.action.key());
                    outcomes[place] = Outcome::Unclear(wait_ms);
                }
                Err(fault) => {
                    stuck.insert(row.action.key());
                    outcomes[place] = Outcome::Failed(harmless(fault));
                }
            }
        }
        if !left.is_empty() {
            let endings = self.send_made(ground, &left, urgency(batch)).await;
            for ((place, ..), ending) in left.into_iter().zip(endings) {
                outcomes[place] = ending
                    .map_err(not_the_record)
                    .map_or_else(Outcome::Failed, |ending| Outcome::Ended(Box::new(ending)));
            }
        }
        Ok(())
    }

    /// True where the call brought its doubt along and its contact is, or may be, a new one: what was made on the one before is
    /// not there. Which of the two came first cannot be told once our clock was set.
    fn is_no_survivor(&self, record: Option<Record<'_>>, call: &Call) -> bool {
        let is_uneven = call.at > self.now() || self.clock.set_at().is_some();
        let is_new = |record: Record<'_>| matches!(record, Record::Contact(contact) if is_uneven || contact.created_at >= call.at.seconds());
        call.in_doubt && record.is_some_and(is_new)
    }

    /// All of one kind, since a batch is.
    async fn send_made(&self, ground: &Ground, calls: &Open<'_>, priority: Priority) -> Vec<Result<Ending, Fault>> {
        let (mut drafts, mut notes, mut tasks) = (Vec::new(), Vec::new(), Vec::new());
        for (_, call, target) in calls {
            match (&call.work, *target) {
                (Work::Lead { .. }, NoteTarget::Contact(contact)) => drafts.push(draft(ground, call, contact)),
                (Work::Note(text), target) => {
                    notes.push(NewNote { target, text: text.clone(), created_at: call.at.seconds() })
                }
                (Work::Task { text, minutes, task_type, responsible }, target) => tasks.push(NewTask {
                    target,
                    text: text.clone(),
                    due_at: call.due_at(*minutes),
                    task_type: *task_type,
                    responsible: *responsible,
                }),
                (Work::Lead { .. } | Work::Change(_) | Work::Info | Work::Field(_), _) => {}
            }
        }
        let amo = &self.parts.amo;
        let made: Vec<Result<u64, Fault>> = if !drafts.is_empty() {
            amo.create_leads(&drafts, priority).await.into_iter().map(|made| made.map(|id| id.0)).collect()
        } else if !notes.is_empty() {
            amo.add_notes(&notes, priority).await.into_iter().map(|made| made.map(|id| id.0)).collect()
        } else {
            amo.add_tasks(&tasks, priority).await
        };
        let ending = |(made, (_, call, target)): (Result<u64, Fault>, &(usize, &Call, NoteTarget))| {
            made.map(|id| Ending::made(call, *target, id))
        };
        made.into_iter().zip(calls).map(ending).collect()
    }

    /// What an attempt whose answer was lost may have made. `taken`: found for other calls a moment ago.
    async fn look_for_made(
        &self,
        row: &OutboxRow,
        call: &Call,
        target: NoteTarget,
        records: &Records,
        taken: &BTreeSet<u64>,
    ) -> Look<u64> {
        match (&call.work, records.get(target)) {
            (Work::Note(text), _) => {
                let planned = call.lost.unwrap_or(target);
                let lost = LostNote { target, planned, text, created_at: call.at.seconds() };
                let found = self.look_for_note(row, &lost, taken).await?;
                Ok(found.map(|found| found.map(|id| id.0)))
            }
            (Work::Task { text, minutes, .. }, _) => {
                self.look_for_task(row, target, text, call.due_at(*minutes), taken).await
            }
            (Work::Lead { .. }, Some(Record::Contact(contact))) => self.look_for_lead(row, call, contact, taken).await,
            _ => Ok(Ok(Found::NotDone)),
        }
    }

    async fn look_for_task(
        &self,
        row: &OutboxRow,
        target: NoteTarget,
        text: &str,
        due_at: i64,
        taken: &BTreeSet<u64>,
    ) -> Look<u64> {
        let tasks = match self.parts.amo.tasks(target, Priority::Person).await {
            Ok(tasks) => tasks,
            Err(fault) => return Ok(Err(fault)),
        };
        let mut known = self.accounted_for(target, "task").await?;
        known.extend(taken);
        let same = |task: &&remote::Task| task.due_at == due_at && text::is_rewritten(text, &task.text);
        let found = tasks.iter().filter(same).map(|task| task.id).filter(|id| !known.contains(id)).min();
        Ok(Ok(found.map_or_else(|| self.not_found(row), Found::Done)))
    }

    /// Among the contact's leads, one that was made when we said and has the name we gave it.
    async fn look_for_lead(&self, row: &OutboxRow, call: &Call, contact: &Contact, taken: &BTreeSet<u64>) -> Look<u64> {
        let ids: Vec<LeadId> = contact.leads.iter().rev().take(AMO_IDS_MAX).copied().collect();
        let leads = match self.parts.amo.leads_by_id(&ids, Priority::Person).await {
            _ if ids.is_empty() => Vec::new(),
            Ok(page) => page.rows,
            Err(fault) => return Ok(Err(fault)),
        };
        let mut known = self.accounted_for(NoteTarget::Contact(contact.id), "lead").await?;
        known.extend(taken);
        if let Some(lost) = call.lost {
            known.extend(self.accounted_for(lost, "lead").await?);
        }
        let same = |lead: &&Lead| call.may_have_made(lead) && !known.contains(&lead.id.0);
        let found = leads.iter().filter(same).map(|lead| lead.id.0).min();
        Ok(Ok(found.map_or_else(|| self.not_found(row), Found::Done)))
    }
}

fn called(place: usize, row: &OutboxRow) -> Option<(usize, &Call, NoteTarget)> {
    match &row.action {
        Action::Function(call) => Some((place, call, call.target?)),
        _ => None,
    }
}

fn draft(ground: &Ground, call: &Call, contact: ContactId) -> Draft {
    let mut edits = vec![Edit::Contact(contact)];
    if let Work::Lead { name, budget, responsible } = &call.work {
        edits.push(Edit::Name(name.clone()));
        edits.extend(budget.map(Edit::Price));
        edits.extend(responsible.or_else(|| effect::first_user(&ground.account)).map(Edit::Responsible));
    }
    Draft { edits, created_at: call.at.seconds() }
}

/// The ids, and what a bot may want to go on with.
fn lead_answer(lead: &Lead, edits: &[Edit]) -> Answer {
    let mut answer = Answer::done().with("lead_id", lead.id.0);
    if let Some(contact) = lead.person() {
        answer = answer.with("contact_id", contact.0);
    }
    for edit in edits {
        answer = match edit {
            Edit::Stage { pipeline, status } => answer.with("status_id", status.0).with("pipeline_id", pipeline.0),
            Edit::Tags(tags) => answer.with("tags", tags.iter().map(String::as_str).collect::<Vec<_>>().join(", ")),
            Edit::Price(price) => answer.with("budget", *price),
            _ => answer,
        };
    }
    answer
}

/// The record was there a moment ago: what is not found is something else that the call names, a type of task.
fn not_the_record(fault: Fault) -> Fault {
    match fault.kind {
        FaultKind::Gone => Fault { kind: FaultKind::Rejected, ..fault },
        _ => fault,
    }
}

fn refuse(outcomes: &mut [Outcome], places: &[usize], results: Vec<Result<(), Fault>>) {
    for (place, result) in places.iter().zip(results) {
        if let Err(fault) = result {
            outcomes[*place] = Outcome::Failed(fault);
        }
    }
}
