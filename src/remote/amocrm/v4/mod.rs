//! amoCRM through its API v4.
//!
//! One call of [`Amo`] is one request, or the few that a list above the service's limit takes, that a page of five
//! hundred rows takes where amoCRM gives two hundred and fifty, or that v4 wants where v2 wanted one: a company is made
//! and linked by requests of its own, tags are compared before they are changed. Nothing is retried here.

mod account;
mod companies;
mod edit;
mod map;
mod records;
mod tags;
mod window;
mod wire;
mod write;

use crate::core::action::NoteTarget;
use crate::core::fault::Fault;
use crate::core::id::{ContactId, LeadId, NoteId};
use crate::core::model::{Account, Contact, Lead, Note};
use crate::core::time::Millis;
use crate::ports::env::Env;
use crate::ports::remote::{Amo, Change, Draft, NewNote, NewTask, Page, PageRequest, Priority, Task};
use crate::remote::amocrm::batch::{self, Verb};
use crate::remote::amocrm::fault;
use crate::remote::amocrm::page;
use crate::remote::amocrm::tasks::TaskRow;
use crate::remote::http::{Call, Credentials, RawAnswer, Sender, Transport};
use crate::remote::lane::{Lane, Outcome};
use account::Known;
use async_trait::async_trait;
use companies::Shelf;
use edit::{NOTE_COMMON, Write};
use jiff::tz::TimeZone;
use map::{Entity, FiledNote};
use records::page_query;
use secrecy::SecretString;
use std::sync::{Arc, Mutex};
use tags::Tagged;
use window::ROWS;
use wire::NoteRow;
use write::Batches;

/// Pages of a record's notes: 5000 notes.
const NOTES_PAGES_MAX: u32 = 20;

const CONTACT_NOTES: Batches = Batches { path: "/api/v4/contacts/notes", list: "notes" };
const LEAD_NOTES: Batches = Batches { path: "/api/v4/leads/notes", list: "notes" };
const TASKS: Batches = Batches { path: "/api/v4/tasks", list: "tasks" };

/// An amoCRM account spoken to through API v4.
#[derive(Debug)]
pub struct AmoV4 {
    sender: Sender,
    known: Mutex<Option<Known>>,
    companies: Shelf,
}

impl AmoV4 {
    /// `url` is the account's address, `https://example.amocrm.ru`; `lane` the account's own.
    pub fn new(
        url: &str,
        credentials: Arc<dyn Credentials>,
        transport: Arc<dyn Transport>,
        lane: Arc<Lane>,
        env: Arc<dyn Env>,
    ) -> AmoV4 {
        let base = SecretString::from(url.trim_end_matches('/'));
        let sender = Sender::new("amocrm", base, credentials, transport, lane, env, outcome);
        AmoV4 { sender, known: Mutex::default(), companies: Shelf::default() }
    }

    /// The account's lane, for its report.
    pub fn lane(&self) -> &Arc<Lane> {
        self.sender.lane()
    }

    /// Sends a read and returns the answer unless it is a fault.
    async fn get(
        &self,
        path: &'static str,
        query: Vec<(String, String)>,
        priority: Priority,
    ) -> Result<RawAnswer, Fault> {
        let answer = self.sender.call(Call { query, ..Call::get(path, path, priority) }).await?;
        match fault::fault(&answer, true, self.sender.now()) {
            Some(fault) => Err(fault),
            None => Ok(answer),
        }
    }

    /// The zone that dates are meant in; only asked for where there are dates.
    async fn zone(&self, has_dates: bool, priority: Priority) -> Result<TimeZone, Fault> {
        if has_dates { Ok(self.known(priority).await?.zone) } else { Ok(TimeZone::UTC) }
    }

    async fn create<E: Entity>(&self, drafts: &[Draft], priority: Priority) -> Vec<Result<u64, Fault>> {
        let has_dates = drafts.iter().any(|draft| edit::has_dates(&draft.edits));
        let zone = match self.zone(has_dates, priority).await {
            Ok(zone) => zone,
            Err(fault) => return drafts.iter().map(|_| Err(fault.clone())).collect(),
        };
        let writes: Vec<_> = drafts.iter().map(|draft| edit::draft(draft, &zone)).collect();
        let (records, companies) = apart(writes);
        let mut results = batch::send(&self.sender, &batches::<E>(), Verb::Add, records, priority).await;
        for (result, company) in results.iter_mut().zip(companies) {
            let (Ok(id), Some(name)) = (&*result, company) else { continue };
            if let Err(fault) = self.give_company(*id, &name, priority).await {
                // The record is there, and that is what counts; its company is missed again with its next change.
                tracing::warn!(record.id = id, "a new record has not got its company: {fault}");
            }
        }
        results
    }

    async fn update<E: Tagged, Id: Sync>(
        &self,
        changes: &[Change<Id>],
        id_of: fn(&Id) -> u64,
        priority: Priority,
    ) -> Vec<Result<(), Fault>> {
        let has_dates = changes.iter().any(|change| edit::has_dates(&change.edits));
        let zone = match self.zone(has_dates, priority).await {
            Ok(zone) => zone,
            Err(fault) => return changes.iter().map(|_| Err(fault.clone())).collect(),
        };
        let ids: Vec<u64> = changes.iter().map(|change| id_of(&change.id)).collect();
        let mut writes: Vec<_> =
            changes.iter().zip(&ids).map(|(change, id)| edit::change(change, *id, &zone)).collect();
        self.compare_tags::<E>(&mut writes, priority).await;
        let (records, companies) = apart(writes);
        let results = batch::send(&self.sender, &batches::<E>(), Verb::Update, records, priority).await;
        let mut done: Vec<Result<(), Fault>> = results.into_iter().map(|result| result.map(|_| ())).collect();
        for ((result, id), company) in done.iter_mut().zip(ids).zip(companies) {
            if let (Ok(()), Some(name)) = (&*result, company) {
                *result = self.give_company(id, &name, priority).await;
            }
        }
        done
    }
}

/// The batches of a kind of record.
fn batches<E: Entity>() -> Batches {
    Batches { path: E::PATH, list: E::LIST }
}

/// Records and the companies they are to get.
fn apart(writes: Vec<Result<Write, Fault>>) -> (Vec<Result<wire::RecordWrite, Fault>>, Vec<Option<String>>) {
    let split = |write: Result<Write, Fault>| match write {
        Ok(write) => (Ok(write.record), write.company),
        Err(fault) => (Err(fault), None),
    };
    writes.into_iter().map(split).unzip()
}

/// How the account stands after this answer. A 403 in JSON that carries none of the old numbers means one thing that
/// the token's user may not do (v4 users, notes pages); blocked accounts get a page.
fn outcome(answer: &RawAnswer, now: Millis) -> Outcome {
    if answer.status == 403 && fault::is_unnumbered(answer) {
        return Outcome::Accepted;
    }
    fault::outcome(answer, now)
}

#[async_trait]
impl Amo for AmoV4 {
    async fn account(&self, priority: Priority) -> Result<Account, Fault> {
        self.read_account(priority).await
    }

    async fn contacts(&self, request: PageRequest, priority: Priority) -> Result<Page<Contact>, Fault> {
        let mut page = self.listing::<Contact>(request, priority).await?;
        self.name_companies(&mut page.rows, priority).await?;
        Ok(page)
    }

    async fn leads(&self, request: PageRequest, priority: Priority) -> Result<Page<Lead>, Fault> {
        self.listing(request, priority).await
    }

    async fn contacts_by_id(&self, ids: &[ContactId], priority: Priority) -> Result<Page<Contact>, Fault> {
        let ids = ids.iter().map(|id| id.0).collect();
        let mut page = self.by_id::<Contact>(&ids, priority).await?;
        self.name_companies(&mut page.rows, priority).await?;
        Ok(page)
    }

    async fn leads_by_id(&self, ids: &[LeadId], priority: Priority) -> Result<Page<Lead>, Fault> {
        let ids = ids.iter().map(|id| id.0).collect();
        self.by_id(&ids, priority).await
    }

    async fn search_contacts(&self, query: &str, priority: Priority) -> Result<Page<Contact>, Fault> {
        if query.trim().is_empty() {
            return Ok(page::empty());
        }
        let found = self.search::<Contact>(query, Contact::WITH, priority).await?;
        let mut rows: Vec<Contact> = found.rows.into_iter().filter_map(|filed| filed.record).collect();
        self.name_companies(&mut rows, priority).await?;
        Ok(Page { rows, broken: found.broken, received: found.received, server_time: found.server_time })
    }

    async fn notes(&self, target: NoteTarget, priority: Priority) -> Result<Vec<Note>, Fault> {
        let (kind, id) = edit::entity(target);
        let route = match target {
            NoteTarget::Contact(_) => "/api/v4/contacts/{id}/notes",
            NoteTarget::Lead(_) => "/api/v4/leads/{id}/notes",
        };
        let mut notes = Vec::new();
        for number in 1..=NOTES_PAGES_MAX {
            let mut query = page_query(number);
            query.push(("order[id]".to_owned(), "desc".to_owned()));
            query.push(("filter[note_type][]".to_owned(), NOTE_COMMON.to_owned()));
            let path = format!("/api/v4/{kind}/{id}/notes");
            let Some(answer) = self.get_if_there(path, route, query, priority).await? else { break };
            let rows = page::rows::<NoteRow>(&answer, "notes")?;
            let goes_on = rows.goes_on(ROWS);
            let page = rows.into_page();
            for row in &page.broken {
                tracing::warn!(note = row.id, "a note of {kind} {id} cannot be read: {}", row.reason);
            }
            notes.extend(page.rows);
            if !goes_on {
                break;
            }
        }
        Ok(wanted_notes(notes, id))
    }

    async fn tasks(&self, target: NoteTarget, priority: Priority) -> Result<Vec<Task>, Fault> {
        let (kind, id) = edit::entity(target);
        let mut tasks = Vec::new();
        for number in 1..=NOTES_PAGES_MAX {
            let mut query = page_query(number);
            query.push(("filter[entity_type]".to_owned(), kind.to_owned()));
            query.push(("filter[entity_id][]".to_owned(), id.to_string()));
            let path = TASKS.path.to_owned();
            let Some(answer) = self.get_if_there(path, TASKS.path, query, priority).await? else { break };
            let rows = page::rows::<TaskRow>(&answer, TASKS.list)?;
            let goes_on = rows.goes_on(ROWS);
            // Filters may be ignored.
            tasks.extend(rows.into_page().rows.into_iter().filter(|task| task.element.is_none_or(|of| of == id)));
            if !goes_on {
                break;
            }
        }
        Ok(tasks)
    }

    async fn create_contacts(&self, drafts: &[Draft], priority: Priority) -> Vec<Result<ContactId, Fault>> {
        self.create::<Contact>(drafts, priority).await.into_iter().map(|id| id.map(ContactId)).collect()
    }

    async fn create_leads(&self, drafts: &[Draft], priority: Priority) -> Vec<Result<LeadId, Fault>> {
        self.create::<Lead>(drafts, priority).await.into_iter().map(|id| id.map(LeadId)).collect()
    }

    async fn update_contacts(&self, changes: &[Change<ContactId>], priority: Priority) -> Vec<Result<(), Fault>> {
        self.update::<Contact, _>(changes, |id| id.0, priority).await
    }

    async fn update_leads(&self, changes: &[Change<LeadId>], priority: Priority) -> Vec<Result<(), Fault>> {
        self.update::<Lead, _>(changes, |id| id.0, priority).await
    }

    /// Notes of contacts and of leads have paths of their own.
    async fn add_notes(&self, notes: &[NewNote], priority: Priority) -> Vec<Result<NoteId, Fault>> {
        let is_of_contact = |note: &NewNote| matches!(note.target, NoteTarget::Contact(_));
        let (of_contacts, of_leads): (Vec<&NewNote>, Vec<&NewNote>) =
            notes.iter().partition(|note| is_of_contact(note));
        let mut results = Vec::new();
        for (notes, batches) in [(of_contacts, &CONTACT_NOTES), (of_leads, &LEAD_NOTES)] {
            let items = notes.into_iter().map(|note| Ok(edit::note(note))).collect();
            results.push(batch::send(&self.sender, batches, Verb::Add, items, priority).await.into_iter());
        }
        let mut next = |note: &NewNote| results[usize::from(!is_of_contact(note))].next();
        let lost = || Err(Fault::new(crate::core::fault::FaultKind::Uncertain, "the note has no answer"));
        notes.iter().map(|note| next(note).unwrap_or_else(lost).map(NoteId)).collect()
    }

    async fn add_tasks(&self, tasks: &[NewTask], priority: Priority) -> Vec<Result<u64, Fault>> {
        let items = tasks.iter().map(|task| Ok(edit::task(task))).collect();
        batch::send(&self.sender, &TASKS, Verb::Add, items, priority).await
    }
}

/// Common notes of this record, newest first, each once: filters may be ignored and pages overlap.
fn wanted_notes(mut notes: Vec<FiledNote>, entity: u64) -> Vec<Note> {
    notes.retain(|note| {
        note.entity.is_none_or(|id| id == entity) && note.note_type.as_deref().is_none_or(|kind| kind == NOTE_COMMON)
    });
    let mut notes: Vec<Note> = notes.into_iter().map(|filed| filed.note).collect();
    notes.sort_by_key(|note| std::cmp::Reverse((note.created_at, note.id)));
    notes.dedup_by_key(|note| note.id);
    notes
}
