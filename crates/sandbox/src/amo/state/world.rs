//! All records of one account, and the changes that keep them consistent with each other.

use std::collections::BTreeMap;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::apply::{self, Change};
use super::news::{News, Waiting, What};
use super::patch::{Patch, RecordKind, Stage, TagName};
use super::records::{Card, Company, Contact, Element, ElementKind, Lead, Note, Tag, Task};
use super::table::{Carded, Row, Table};
use crate::amo::account::{Account, Field};
use crate::amo::events::Events;
use crate::amo::hooks::Hooks;
use crate::amo::options::{AmoOptions, HookOptions, NameRecognition, TouchOptions};

/// The first id given out: clear of the ids in the account's settings.
const FIRST_ID: u64 = 10_000_001;

/// The records of one account.
#[derive(Debug)]
pub struct World {
    pub(in crate::amo) account: Account,
    pub(in crate::amo) zone: TimeZone,
    pub(in crate::amo) contacts: Table<Contact>,
    pub(in crate::amo) leads: Table<Lead>,
    pub(in crate::amo) companies: Table<Company>,
    pub(in crate::amo) notes: Table<Note>,
    pub(in crate::amo) tasks: Table<Task>,
    pub(in crate::amo) touch: TouchOptions,
    /// What happened since it was last told.
    pub(in crate::amo) news: Waiting,
    /// Subscriptions, and what they are still to be told.
    pub(in crate::amo) hooks: Hooks,
    /// The account's list of events.
    pub(in crate::amo) events: Events,
    pub(in crate::amo) telling: HookOptions,
    names: NameRecognition,
    notes_of: BTreeMap<Element, Vec<u64>>,
    tasks_of: BTreeMap<Element, Vec<u64>>,
    tag_ids: BTreeMap<(RecordKind, String), u64>,
    tag_names: BTreeMap<(RecordKind, u64), String>,
    next_id: u64,
    next_request_id: u64,
}

impl World {
    pub(in crate::amo) fn new(options: &AmoOptions) -> Self {
        let order = options.listing.order;
        let delay_ms = options.listing.search_visible_after_ms;
        World {
            account: options.account.clone(),
            zone: zone_named(&options.account.timezone),
            contacts: Table::new(order, delay_ms),
            leads: Table::new(order, delay_ms),
            companies: Table::new(order, delay_ms),
            notes: Table::new(order, 0),
            tasks: Table::new(order, 0),
            touch: options.touch,
            news: Waiting::default(),
            hooks: Hooks::default(),
            events: Events::default(),
            telling: options.hooks.clone(),
            names: options.writing.names,
            notes_of: BTreeMap::new(),
            tasks_of: BTreeMap::new(),
            tag_ids: BTreeMap::new(),
            tag_names: BTreeMap::new(),
            next_id: FIRST_ID,
            next_request_id: 1,
        }
    }

    /// The custom fields of a kind of record.
    pub(in crate::amo) fn fields_of(&self, kind: RecordKind) -> &[Field] {
        let catalog = &self.account.fields;
        match kind {
            RecordKind::Contact => &catalog.contacts,
            RecordKind::Lead => &catalog.leads,
            RecordKind::Company => &catalog.companies,
        }
    }

    /// A number never given out before, for any kind of record.
    pub(in crate::amo) fn take_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// The number of an item whose sender gave it none.
    pub(in crate::amo) fn take_request_id(&mut self) -> u64 {
        let id = self.next_request_id;
        self.next_request_id += 1;
        id
    }

    /// Makes a record. Leads without a stage start at the first one of the main pipeline.
    pub(in crate::amo) fn create(&mut self, kind: RecordKind, patch: Patch, author: u64, now_ms: i64) -> u64 {
        let card = self.blank_card(&patch, author, now_ms);
        let id = card.id;
        match kind {
            RecordKind::Contact => self.contacts.insert(apply::blank_contact(card), now_ms),
            RecordKind::Company => self.companies.insert(apply::blank_company(card), now_ms),
            RecordKind::Lead => {
                let lead = apply::blank_lead(card, self.first_stage());
                self.leads.insert(lead, now_ms);
            }
        }
        let known = self.news.len();
        self.update(kind, id, patch, author, now_ms);
        self.news.forget(kind, id, known);
        self.tell(kind, id, What::Added, author, now_ms);
        id
    }

    /// Something happened to a record.
    pub(in crate::amo) fn tell(&mut self, kind: RecordKind, id: u64, what: What, by: u64, at_ms: i64) {
        self.news.add(News { kind, id, what, by, at_ms });
    }

    /// What a record has now that is told of by events of its own when it changes.
    fn standing(&self, kind: RecordKind, id: u64) -> Option<(u64, Option<Stage>)> {
        match kind {
            RecordKind::Contact => self.contacts.get(id).map(|row| (row.card.responsible_user_id, None)),
            RecordKind::Company => self.companies.get(id).map(|row| (row.card.responsible_user_id, None)),
            RecordKind::Lead => self.leads.get(id).map(|row| {
                let stage = Stage { pipeline_id: row.pipeline_id, status_id: row.status_id };
                (row.card.responsible_user_id, Some(stage))
            }),
        }
    }

    fn tell_of_change(&mut self, kind: RecordKind, id: u64, before: (u64, Option<Stage>), by: u64, at_ms: i64) {
        self.tell(kind, id, What::Updated, by, at_ms);
        let Some(now) = self.standing(kind, id) else { return };
        if now.0 != before.0 {
            self.tell(kind, id, What::Responsible(before.0), by, at_ms);
        }
        if let Some(stage) = before.1.filter(|_| now.1 != before.1) {
            self.tell(kind, id, What::Moved(stage), by, at_ms);
        }
    }

    /// Changes a record; the new `updated_at`, or `None` when there is no such record.
    pub(in crate::amo) fn update(
        &mut self,
        kind: RecordKind,
        id: u64,
        patch: Patch,
        author: u64,
        now_ms: i64,
    ) -> Option<i64> {
        let before = self.standing(kind, id)?;
        let tags = patch.tags.as_ref().map(|names| self.resolve_tags(kind, names));
        let change = Change { patch: &patch, tags, author, now_ms };
        let recognition = self.names;
        let updated_at = match kind {
            RecordKind::Contact => self.contacts.change(id, now_ms, |contact| {
                apply::rename_contact(contact, &patch, recognition);
                change.apply(&mut contact.card)
            }),
            RecordKind::Company => self.companies.change(id, now_ms, |company| change.apply(&mut company.card)),
            RecordKind::Lead => self.leads.change(id, now_ms, |lead| {
                apply::move_lead(lead, &patch, now_ms);
                change.apply(&mut lead.card)
            }),
        }?;
        self.relink(kind.element(id), patch, author, now_ms);
        self.tell_of_change(kind, id, before, author, now_ms);
        Some(updated_at)
    }

    fn relink(&mut self, element: Element, patch: Patch, author: u64, now_ms: i64) {
        for other in patch.unlinks {
            self.disconnect(element, other, now_ms);
        }
        if let Some(name) = patch.company_name {
            let company = Patch { name: Some(name), ..Patch::default() };
            let id = self.create(RecordKind::Company, company, author, now_ms);
            self.connect(element, RecordKind::Company.element(id), now_ms);
        }
        for other in patch.links {
            self.connect(element, other, now_ms);
        }
    }

    fn blank_card(&mut self, patch: &Patch, author: u64, now_ms: i64) -> Card {
        let now_s = now_ms.div_euclid(1_000);
        Card {
            id: self.take_id(),
            name: String::new(),
            created_at: patch.created_at.unwrap_or(now_s),
            updated_at: now_s,
            created_by: patch.created_by.unwrap_or(author),
            updated_by: author,
            responsible_user_id: author,
            changed_at_ms: now_ms,
            tags: Vec::new(),
            fields: BTreeMap::new(),
        }
    }

    fn first_stage(&self) -> Stage {
        let pipeline = self.account.main_pipeline();
        let status = pipeline.and_then(|pipeline| pipeline.statuses.first());
        Stage {
            pipeline_id: pipeline.map_or(0, |pipeline| pipeline.id),
            status_id: status.map_or(0, |status| status.id),
        }
    }

    /// The tags of these names, without repetition; new texts become new tags.
    pub(in crate::amo) fn resolve_tags(&mut self, kind: RecordKind, names: &[TagName]) -> Vec<Tag> {
        let mut tags: Vec<Tag> = Vec::new();
        for name in names {
            let tag = match name {
                TagName::Text(text) => Some(self.tag_named(kind, text)),
                TagName::Id(id) => self.tag_numbered(kind, *id),
            };
            tags.extend(tag.filter(|tag| !tags.contains(tag)));
        }
        tags
    }

    fn tag_named(&mut self, kind: RecordKind, text: &str) -> Tag {
        let key = (kind, text.to_owned());
        if let Some(&id) = self.tag_ids.get(&key) {
            return Tag { id, name: key.1 };
        }
        let id = self.take_id();
        self.tag_names.insert((kind, id), key.1.clone());
        self.tag_ids.insert(key, id);
        Tag { id, name: text.to_owned() }
    }

    /// The tags of one kind of records, by id.
    pub(in crate::amo) fn tags_of(&self, kind: RecordKind) -> impl Iterator<Item = Tag> {
        let named = self.tag_names.range((kind, 0)..=(kind, u64::MAX));
        named.map(|((_, id), name)| Tag { id: *id, name: name.clone() })
    }

    fn tag_numbered(&self, kind: RecordKind, id: u64) -> Option<Tag> {
        self.tag_names.get(&(kind, id)).map(|name| Tag { id, name: name.clone() })
    }

    /// True if there is such a record to point at; customers are taken at their word.
    pub(in crate::amo) fn exists(&self, element: Element) -> bool {
        match element.kind {
            ElementKind::Contact => self.contacts.contains(element.id),
            ElementKind::Lead => self.leads.contains(element.id),
            ElementKind::Company => self.companies.contains(element.id),
            ElementKind::Task => self.tasks.contains(element.id),
            ElementKind::Customer => true,
        }
    }

    /// Marks a record as changed now, in the name of a user.
    pub(in crate::amo) fn touch(&mut self, element: Element, user_id: u64, now_ms: i64) {
        fn mark<T: Row + Carded>(table: &mut Table<T>, id: u64, user_id: u64, now_ms: i64) {
            table.change(id, now_ms, |row| row.card_mut().touch(user_id, now_ms));
        }
        match element.kind {
            ElementKind::Contact => mark(&mut self.contacts, element.id, user_id, now_ms),
            ElementKind::Lead => mark(&mut self.leads, element.id, user_id, now_ms),
            ElementKind::Company => mark(&mut self.companies, element.id, user_id, now_ms),
            ElementKind::Task | ElementKind::Customer => {}
        }
    }

    /// Adds a note under a new id.
    pub(in crate::amo) fn add_note(&mut self, mut note: Note, now_ms: i64) -> u64 {
        note.id = self.take_id();
        let (id, element, author) = (note.id, note.element, note.created_by);
        self.notes_of.entry(element).or_default().push(id);
        self.notes.insert(note, now_ms);
        if self.touch.notes {
            self.touch(element, author, now_ms);
        }
        id
    }

    /// Adds a task under a new id.
    pub(in crate::amo) fn add_task(&mut self, mut task: Task, now_ms: i64) -> u64 {
        task.id = self.take_id();
        let (id, element, author) = (task.id, task.element, task.created_by);
        self.tasks_of.entry(element).or_default().push(id);
        self.tasks.insert(task, now_ms);
        if self.touch.tasks {
            self.touch(element, author, now_ms);
        }
        id
    }

    /// The notes on a record, oldest first.
    pub(in crate::amo) fn notes_on(&self, element: Element) -> impl Iterator<Item = &Note> {
        let ids = self.notes_of.get(&element).into_iter().flatten();
        ids.filter_map(|&id| self.notes.get(id))
    }

    /// The tasks of a record, oldest first.
    pub(in crate::amo) fn tasks_on(&self, element: Element) -> impl Iterator<Item = &Task> {
        let ids = self.tasks_of.get(&element).into_iter().flatten();
        ids.filter_map(|&id| self.tasks.get(id))
    }

    /// The deadline of the next open task, 0 when there is none.
    pub(in crate::amo) fn closest_task_at(&self, element: Element) -> i64 {
        let open = self.tasks_on(element).filter(|task| !task.is_completed);
        open.map(|task| task.complete_till_at).min().unwrap_or(0)
    }

    /// Moves notes and tasks to another record.
    pub(in crate::amo) fn hand_over(&mut self, from: Element, to: Element, now_ms: i64) {
        for id in self.notes_of.remove(&from).unwrap_or_default() {
            self.notes.change(id, now_ms, |note| note.element = to);
            self.notes_of.entry(to).or_default().push(id);
        }
        for id in self.tasks_of.remove(&from).unwrap_or_default() {
            self.tasks.change(id, now_ms, |task| task.element = to);
            self.tasks_of.entry(to).or_default().push(id);
        }
    }
}

/// The zone of that name from the tables compiled in; UTC when there is none.
fn zone_named(name: &str) -> TimeZone {
    TimeZoneDatabase::bundled().get(name).unwrap_or(TimeZone::UTC)
}
