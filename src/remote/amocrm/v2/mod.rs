//! amoCRM through its API v2.
//!
//! One call of [`Amo`] is one request, or the few that a list above the service's limit takes.
//! Nothing is retried here.

mod account;
mod edit;
mod listing;
mod map;
mod wire;
mod write;

use crate::core::action::NoteTarget;
use crate::core::fault::{Fault, FaultKind};
use crate::core::id::{ContactId, LeadId, NoteId};
use crate::core::model::{Account, Contact, Lead, Note};
use crate::ports::env::Env;
use crate::ports::remote::{
    AMO_IDS_MAX, AMO_PAGE_MAX, Amo, Change, Draft, NewNote, NewTask, Page, PageRequest, Priority, Task,
};
use crate::remote::amocrm::batch::{self, Verb};
use crate::remote::amocrm::fault;
use crate::remote::amocrm::page::{self, Wire};
use crate::remote::amocrm::tasks::TaskRow;
use crate::remote::http::{Call, Credentials, RawAnswer, Sender, Transport};
use crate::remote::lane::Lane;
use async_trait::async_trait;
use edit::NOTE_COMMON;
use map::FiledNote;
use secrecy::SecretString;
use std::collections::BTreeSet;
use std::sync::Arc;
use wire::{ContactRow, LeadRow, NoteRow};
use write::Batches;

const CONTACTS: &str = "/api/v2/contacts";
const LEADS: &str = "/api/v2/leads";
const NOTES: &str = "/api/v2/notes";
const TASKS: &str = "/api/v2/tasks";
const ACCOUNT: &str = "/api/v2/account";
/// The list of every answer.
const ITEMS: &str = "items";

/// Pages of a search: candidates beyond a thousand mean that the text tells nobody apart.
const SEARCH_PAGES_MAX: u32 = 2;
/// Pages of a record's notes: 5000 notes.
const NOTES_PAGES_MAX: u32 = 10;

/// An amoCRM account spoken to through API v2.
#[derive(Debug)]
pub struct AmoV2 {
    sender: Sender,
}

impl AmoV2 {
    /// `url` is the account's address, `https://example.amocrm.ru`; `lane` the account's own.
    pub fn new(
        url: &str,
        credentials: Arc<dyn Credentials>,
        transport: Arc<dyn Transport>,
        lane: Arc<Lane>,
        env: Arc<dyn Env>,
    ) -> AmoV2 {
        let base = SecretString::from(url.trim_end_matches('/'));
        AmoV2 { sender: Sender::new("amocrm", base, credentials, transport, lane, env, fault::outcome) }
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
        headers: Vec<(&'static str, String)>,
        priority: Priority,
    ) -> Result<RawAnswer, Fault> {
        let answer = self.sender.call(Call { query, headers, ..Call::get(path, path, priority) }).await?;
        match fault::fault(&answer, true, self.sender.now()) {
            Some(fault) => Err(fault),
            None => Ok(answer),
        }
    }

    async fn page<W: Wire>(
        &self,
        path: &'static str,
        request: PageRequest,
        priority: Priority,
    ) -> Result<Page<W::Record>, Fault> {
        let request = PageRequest { limit: request.limit.clamp(1, AMO_PAGE_MAX), ..request };
        let headers = match request.since {
            Some(instant) => vec![(listing::SINCE_HEADER, listing::since(instant)?)],
            None => Vec::new(),
        };
        page::page::<W>(&self.get(path, listing::query(request), headers, priority).await?, ITEMS)
    }

    /// Reads records by id. A row that was not asked for is dropped: where the filter is not
    /// understood, everything comes back.
    async fn by_id<W: Wire>(
        &self,
        path: &'static str,
        ids: BTreeSet<u64>,
        id_of: impl Fn(&W::Record) -> u64 + Send,
        priority: Priority,
    ) -> Result<Page<W::Record>, Fault> {
        let all: Vec<u64> = ids.iter().copied().collect();
        let mut pages = Vec::new();
        for chunk in all.chunks(AMO_IDS_MAX) {
            let mut query: Vec<_> = chunk.iter().map(|id| ("id[]".to_owned(), id.to_string())).collect();
            query.push(("limit_rows".to_owned(), AMO_PAGE_MAX.to_string()));
            pages.push(page::page::<W>(&self.get(path, query, Vec::new(), priority).await?, ITEMS)?);
        }
        let mut page = page::join(pages);
        let mut left = ids.clone();
        page.rows.retain(|row| left.remove(&id_of(row)));
        page.broken.retain(|row| row.id.is_none_or(|id| ids.contains(&id)));
        Ok(page)
    }

    async fn update(
        &self,
        path: &'static str,
        items: Vec<Result<wire::RecordWrite, Fault>>,
        priority: Priority,
    ) -> Vec<Result<(), Fault>> {
        let results = batch::send(&self.sender, &Batches(path), Verb::Update, items, priority).await;
        results.into_iter().map(|result| result.map(|_| ())).collect()
    }

    async fn add<W: serde::Serialize + Send>(
        &self,
        path: &'static str,
        items: Vec<Result<W, Fault>>,
        priority: Priority,
    ) -> Vec<Result<u64, Fault>> {
        batch::send(&self.sender, &Batches(path), Verb::Add, items, priority).await
    }
}

#[async_trait]
impl Amo for AmoV2 {
    async fn account(&self, priority: Priority) -> Result<Account, Fault> {
        let query = vec![
            ("with".to_owned(), "custom_fields,users,pipelines".to_owned()),
            ("free_users".to_owned(), "Y".to_owned()),
        ];
        let answer = self.get(ACCOUNT, query, Vec::new(), priority).await?;
        if !answer.looks_like_json() {
            return Err(Fault::new(FaultKind::Transient, "no account in the answer"));
        }
        account::read(&answer.body)
    }

    async fn contacts(&self, request: PageRequest, priority: Priority) -> Result<Page<Contact>, Fault> {
        self.page::<ContactRow>(CONTACTS, request, priority).await
    }

    async fn leads(&self, request: PageRequest, priority: Priority) -> Result<Page<Lead>, Fault> {
        self.page::<LeadRow>(LEADS, request, priority).await
    }

    async fn contacts_by_id(&self, ids: &[ContactId], priority: Priority) -> Result<Page<Contact>, Fault> {
        let ids = ids.iter().map(|id| id.0).collect();
        self.by_id::<ContactRow>(CONTACTS, ids, |contact| contact.id.0, priority).await
    }

    async fn leads_by_id(&self, ids: &[LeadId], priority: Priority) -> Result<Page<Lead>, Fault> {
        let ids = ids.iter().map(|id| id.0).collect();
        self.by_id::<LeadRow>(LEADS, ids, |lead| lead.id.0, priority).await
    }

    async fn search_contacts(&self, query: &str, priority: Priority) -> Result<Page<Contact>, Fault> {
        let mut pages = Vec::new();
        if query.trim().is_empty() {
            return Ok(page::join(pages));
        }
        for number in 0..SEARCH_PAGES_MAX {
            let request = PageRequest { since: None, offset: number * AMO_PAGE_MAX, limit: AMO_PAGE_MAX };
            let mut parameters = listing::query(request);
            parameters.push(("query".to_owned(), query.to_owned()));
            let answer = self.get(CONTACTS, parameters, Vec::new(), priority).await?;
            let page = page::page::<ContactRow>(&answer, ITEMS)?;
            let is_last = page.received < AMO_PAGE_MAX;
            pages.push(page);
            if is_last {
                break;
            }
        }
        Ok(page::join(pages))
    }

    async fn notes(&self, target: NoteTarget, priority: Priority) -> Result<Vec<Note>, Fault> {
        let (kind, element) = match target {
            NoteTarget::Contact(id) => ("contact", id.0),
            NoteTarget::Lead(id) => ("lead", id.0),
        };
        let mut notes = Vec::new();
        for number in 0..NOTES_PAGES_MAX {
            let request = PageRequest { since: None, offset: number * AMO_PAGE_MAX, limit: AMO_PAGE_MAX };
            let mut query = listing::query(request);
            query.extend([
                ("type".to_owned(), kind.to_owned()),
                ("element_id".to_owned(), element.to_string()),
                ("note_type".to_owned(), NOTE_COMMON.to_string()),
            ]);
            let page = page::page::<NoteRow>(&self.get(NOTES, query, Vec::new(), priority).await?, ITEMS)?;
            for row in &page.broken {
                tracing::warn!(note = row.id, "a note of {kind} {element} cannot be read: {}", row.reason);
            }
            notes.extend(page.rows);
            if page.received < AMO_PAGE_MAX {
                break;
            }
        }
        Ok(wanted_notes(notes, element))
    }

    async fn tasks(&self, target: NoteTarget, priority: Priority) -> Result<Vec<Task>, Fault> {
        let (kind, element) = match target {
            NoteTarget::Contact(id) => ("contact", id.0),
            NoteTarget::Lead(id) => ("lead", id.0),
        };
        let mut tasks = Vec::new();
        for number in 0..NOTES_PAGES_MAX {
            let request = PageRequest { since: None, offset: number * AMO_PAGE_MAX, limit: AMO_PAGE_MAX };
            let mut query = listing::query(request);
            query.extend([("type".to_owned(), kind.to_owned()), ("element_id".to_owned(), element.to_string())]);
            let page = page::page::<TaskRow>(&self.get(TASKS, query, Vec::new(), priority).await?, ITEMS)?;
            // Filters may be ignored.
            tasks.extend(page.rows.into_iter().filter(|task| task.element.is_none_or(|id| id == element)));
            if page.received < AMO_PAGE_MAX {
                break;
            }
        }
        Ok(tasks)
    }

    async fn create_contacts(&self, drafts: &[Draft], priority: Priority) -> Vec<Result<ContactId, Fault>> {
        let items = drafts.iter().map(edit::draft).collect();
        self.add(CONTACTS, items, priority).await.into_iter().map(|id| id.map(ContactId)).collect()
    }

    async fn create_leads(&self, drafts: &[Draft], priority: Priority) -> Vec<Result<LeadId, Fault>> {
        let items = drafts.iter().map(edit::draft).collect();
        self.add(LEADS, items, priority).await.into_iter().map(|id| id.map(LeadId)).collect()
    }

    async fn update_contacts(&self, changes: &[Change<ContactId>], priority: Priority) -> Vec<Result<(), Fault>> {
        let items = changes.iter().map(|change| edit::change(change, change.id.0)).collect();
        self.update(CONTACTS, items, priority).await
    }

    async fn update_leads(&self, changes: &[Change<LeadId>], priority: Priority) -> Vec<Result<(), Fault>> {
        let items = changes.iter().map(|change| edit::change(change, change.id.0)).collect();
        self.update(LEADS, items, priority).await
    }

    async fn add_notes(&self, notes: &[NewNote], priority: Priority) -> Vec<Result<NoteId, Fault>> {
        let items = notes.iter().map(|note| Ok(edit::note(note))).collect();
        self.add(NOTES, items, priority).await.into_iter().map(|id| id.map(NoteId)).collect()
    }

    async fn add_tasks(&self, tasks: &[NewTask], priority: Priority) -> Vec<Result<u64, Fault>> {
        let items = tasks.iter().map(|task| Ok(edit::task(task))).collect();
        self.add(TASKS, items, priority).await
    }
}

/// Common notes of this record, newest first, each once: filters may be ignored and pages overlap.
fn wanted_notes(mut notes: Vec<FiledNote>, element: u64) -> Vec<Note> {
    notes.retain(|note| {
        note.element.is_none_or(|id| id == element) && note.note_type.is_none_or(|number| number == NOTE_COMMON)
    });
    let mut notes: Vec<Note> = notes.into_iter().map(|filed| filed.note).collect();
    notes.sort_by_key(|note| std::cmp::Reverse((note.created_at, note.id)));
    notes.dedup_by_key(|note| note.id);
    notes
}
