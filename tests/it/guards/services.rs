//! Two services in miniature, for tests of the engine alone: what is put there is listed.

use async_trait::async_trait;
use salebridge::core::action::{Edit, NoteTarget};
use salebridge::core::fault::{Fault, FaultKind};
use salebridge::core::id::{ClientId, ContactId, FieldId, LeadId, NoteId, OrderId, PipelineId, StateId, StatusId};
use salebridge::core::model::{
    Account, ClientRow, Contact, Element, FieldInfo, FieldKind, FoundClient, Lead, Note, Order, OrderStatus, Variables,
};
use salebridge::ports::remote::{
    self, ClientAddress, Draft, HistoryLine, NewNote, NewOrder, NewTask, Page, PageRequest, Priority, Wanted,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const POSITION: FieldId = FieldId(3);

fn absent<T>() -> Result<T, Fault> {
    Err(Fault::new(FaultKind::Transient, "these tests have none"))
}

fn page<T>(rows: Vec<T>) -> Page<T> {
    let received = u32::try_from(rows.len()).expect("few rows");
    Page { rows, broken: Vec::new(), received, server_time: None }
}

/// A contact with this position; none where it is empty.
pub fn contact(id: u64, position: &str, updated_at: i64) -> Contact {
    let element = Element { value: position.to_owned(), choice: None, code: None, part: None };
    let fields = if position.is_empty() { BTreeMap::new() } else { BTreeMap::from([(POSITION, vec![element])]) };
    Contact {
        id: ContactId(id),
        name: "Anna Test".to_owned(),
        first_name: None,
        last_name: None,
        responsible: None,
        company: None,
        leads: BTreeSet::new(),
        tags: BTreeSet::new(),
        fields,
        created_at: 1_000,
        updated_at,
    }
}

/// An open lead of nobody.
pub fn lead(id: u64) -> Lead {
    Lead {
        id: LeadId(id),
        name: "A lead".to_owned(),
        price: 0,
        pipeline: PipelineId(61),
        status: StatusId(1001),
        responsible: None,
        tags: BTreeSet::new(),
        main_contact: None,
        contacts: BTreeSet::new(),
        fields: BTreeMap::new(),
        is_deleted: false,
        created_at: 1_000,
        updated_at: 1_000,
    }
}

/// amoCRM.
#[derive(Default)]
pub struct Amo {
    contacts: Mutex<BTreeMap<ContactId, Contact>>,
    leads: Mutex<BTreeMap<LeadId, Lead>>,
    hidden: Mutex<BTreeSet<ContactId>>,
    listings: AtomicUsize,
    notes: Mutex<Vec<(NoteTarget, String)>>,
    failing: Mutex<Vec<FaultKind>>,
}

impl Amo {
    /// The notes that were written, in order.
    pub fn notes(&self) -> Vec<(NoteTarget, String)> {
        self.notes.lock().expect("whole").clone()
    }

    pub fn put(&self, contact: Contact) {
        self.contacts.lock().expect("whole").insert(contact.id, contact);
    }

    /// The next reads by id fail like this, the last of these first.
    pub fn fail(&self, kinds: &[FaultKind]) {
        self.failing.lock().expect("whole").extend(kinds);
    }

    /// How many reads are still to fail.
    pub fn failing(&self) -> usize {
        self.failing.lock().expect("whole").len()
    }

    /// How often a listing of contacts was begun.
    pub fn listings(&self) -> usize {
        self.listings.load(Ordering::Relaxed)
    }

    pub fn put_lead(&self, lead: Lead) {
        self.leads.lock().expect("whole").insert(lead.id, lead);
    }

    /// No listing shows it any more, though it is there.
    pub fn hide(&self, id: u64) {
        self.hidden.lock().expect("whole").insert(ContactId(id));
    }

    pub fn position(&self, id: u64) -> String {
        let contacts = self.contacts.lock().expect("whole");
        let held = contacts[&ContactId(id)].fields.get(&POSITION).and_then(|elements| elements.first());
        held.map(|element| element.value.clone()).unwrap_or_default()
    }
}

#[async_trait]
impl remote::Amo for Amo {
    async fn account(&self, _: Priority) -> Result<Account, Fault> {
        let field =
            FieldInfo { name: "Position".to_owned(), kind: FieldKind::Text, code: None, choices: BTreeMap::new() };
        Ok(Account {
            id: 9,
            time_zone: "UTC".to_owned(),
            contact_fields: BTreeMap::from([(POSITION, field)]),
            lead_fields: BTreeMap::new(),
            users: BTreeMap::new(),
            pipelines: BTreeMap::new(),
        })
    }

    async fn contacts(&self, request: PageRequest, _: Priority) -> Result<Page<Contact>, Fault> {
        self.listings.fetch_add(usize::from(request.offset == 0), Ordering::Relaxed);
        let (contacts, hidden) = (self.contacts.lock().expect("whole"), self.hidden.lock().expect("whole"));
        let shown = contacts.values().filter(|contact| !hidden.contains(&contact.id));
        Ok(page(shown.skip(request.offset as usize).take(request.limit as usize).cloned().collect()))
    }

    async fn leads(&self, request: PageRequest, _: Priority) -> Result<Page<Lead>, Fault> {
        let leads = self.leads.lock().expect("whole");
        Ok(page(leads.values().skip(request.offset as usize).take(request.limit as usize).cloned().collect()))
    }

    async fn contacts_by_id(&self, ids: &[ContactId], _: Priority) -> Result<Page<Contact>, Fault> {
        if let Some(kind) = self.failing.lock().expect("whole").pop() {
            return Err(Fault::new(kind, "no such address"));
        }
        let contacts = self.contacts.lock().expect("whole");
        Ok(page(ids.iter().filter_map(|id| contacts.get(id)).cloned().collect()))
    }

    async fn leads_by_id(&self, ids: &[LeadId], _: Priority) -> Result<Page<Lead>, Fault> {
        let leads = self.leads.lock().expect("whole");
        Ok(page(ids.iter().filter_map(|id| leads.get(id)).cloned().collect()))
    }

    async fn search_contacts(&self, _: &str, _: Priority) -> Result<Page<Contact>, Fault> {
        Ok(page(Vec::new()))
    }

    async fn notes(&self, _: NoteTarget, _: Priority) -> Result<Vec<Note>, Fault> {
        absent()
    }

    async fn tasks(&self, _: NoteTarget, _: Priority) -> Result<Vec<remote::Task>, Fault> {
        absent()
    }

    async fn create_contacts(&self, drafts: &[Draft], _: Priority) -> Vec<Result<ContactId, Fault>> {
        drafts.iter().map(|_| absent()).collect()
    }

    async fn create_leads(&self, drafts: &[Draft], _: Priority) -> Vec<Result<LeadId, Fault>> {
        drafts.iter().map(|_| absent()).collect()
    }

    async fn update_contacts(&self, changes: &[remote::Change<ContactId>], _: Priority) -> Vec<Result<(), Fault>> {
        let mut contacts = self.contacts.lock().expect("whole");
        for change in changes {
            let held = contacts.get_mut(&change.id).expect("it is there");
            held.updated_at = change.updated_at;
            for edit in &change.edits {
                if let Edit::Field { id, elements, .. } = edit {
                    held.fields.insert(*id, elements.clone());
                }
            }
        }
        changes.iter().map(|_| Ok(())).collect()
    }

    async fn update_leads(&self, changes: &[remote::Change<LeadId>], _: Priority) -> Vec<Result<(), Fault>> {
        changes.iter().map(|_| absent()).collect()
    }

    async fn add_notes(&self, notes: &[NewNote], _: Priority) -> Vec<Result<NoteId, Fault>> {
        let contacts = self.contacts.lock().expect("whole");
        let mut written = self.notes.lock().expect("whole");
        let mut add = |note: &NewNote| match note.target {
            NoteTarget::Contact(id) if !contacts.contains_key(&id) => Err(Fault::new(FaultKind::Gone, "it is gone")),
            target => {
                written.push((target, note.text.clone()));
                Ok(NoteId(written.len() as u64))
            }
        };
        notes.iter().map(&mut add).collect()
    }

    async fn add_tasks(&self, tasks: &[NewTask], _: Priority) -> Vec<Result<u64, Fault>> {
        tasks.iter().map(|_| absent()).collect()
    }
}

/// Salebot.
#[derive(Default)]
pub struct Salebot {
    variables: Mutex<BTreeMap<ClientId, Variables>>,
    callbacks: Mutex<Vec<(ClientId, String)>>,
    refuses: AtomicBool,
    asked: Mutex<Vec<(ClientId, Priority)>>,
    refused: Mutex<BTreeMap<ClientId, FaultKind>>,
    saves: Mutex<Vec<Vec<ClientId>>>,
}

impl Salebot {
    /// Whose variables were asked for since the last time somebody wanted to know, and how urgently.
    pub fn asked(&self) -> Vec<(ClientId, Priority)> {
        std::mem::take(&mut *self.asked.lock().expect("whole"))
    }

    pub fn set(&self, client: u64, name: &str, value: &str) {
        let mut variables = self.variables.lock().expect("whole");
        variables.entry(ClientId(client)).or_default().insert(name.to_owned(), value.to_owned());
    }

    /// From now on nobody is told which clients there are.
    pub fn refuse(&self) {
        self.refuses.store(true, Ordering::Relaxed);
    }

    /// From now on it refuses whatever names this client.
    pub fn refuse_client(&self, client: u64, kind: FaultKind) {
        self.refused.lock().expect("whole").insert(ClientId(client), kind);
    }

    /// Whom each `save_variables` named.
    pub fn saves(&self) -> Vec<Vec<ClientId>> {
        self.saves.lock().expect("whole").clone()
    }

    /// The callbacks that were sent.
    pub fn callbacks(&self) -> Vec<(ClientId, String)> {
        self.callbacks.lock().expect("whole").clone()
    }

    /// How many clients hold this value.
    pub fn holding(&self, name: &str, value: &str) -> usize {
        let variables = self.variables.lock().expect("whole");
        variables.values().filter(|held| held.get(name).is_some_and(|held| held == value)).count()
    }
}

#[async_trait]
impl remote::Salebot for Salebot {
    async fn variables(&self, client: ClientId, priority: Priority) -> Result<Option<Variables>, Fault> {
        self.asked.lock().expect("whole").push((client, priority));
        Ok(self.variables.lock().expect("whole").get(&client).cloned())
    }

    async fn save_variables(&self, clients: &[ClientId], new: &Variables, _: Priority) -> Result<(), Fault> {
        self.saves.lock().expect("whole").push(clients.to_vec());
        if let Some(kind) = clients.iter().find_map(|client| self.refused.lock().expect("whole").get(client).copied()) {
            return Err(Fault::new(kind, "one of them is refused"));
        }
        let mut variables = self.variables.lock().expect("whole");
        for client in clients {
            let held = variables.entry(*client).or_default();
            held.extend(new.clone());
            held.retain(|_, value| !value.is_empty());
        }
        Ok(())
    }

    async fn find_by_values(&self, _: &str, _: &[String], _: Priority) -> Result<Vec<ClientId>, Fault> {
        Ok(Vec::new())
    }

    async fn find_by_platform(&self, _: &[String], _: &str, _: Priority) -> Result<Vec<FoundClient>, Fault> {
        absent()
    }

    async fn clients(&self, _: u32, _: u32, _: bool, _: Priority) -> Result<Page<ClientRow>, Fault> {
        if self.refuses.load(Ordering::Relaxed) {
            return absent();
        }
        Ok(page(Vec::new()))
    }

    async fn history(&self, _: ClientId, _: Priority) -> Result<Vec<HistoryLine>, Fault> {
        absent()
    }

    async fn active_orders(&self, _: ClientId, _: Priority) -> Result<Vec<OrderId>, Fault> {
        absent()
    }

    async fn order_status(&self, _: ClientId, _: OrderId, _: Priority) -> Result<Option<OrderStatus>, Fault> {
        absent()
    }

    async fn current_order(&self, _: ClientId, _: Priority) -> Result<Option<OrderId>, Fault> {
        absent()
    }

    async fn order(&self, _: ClientId, _: OrderId, _: Wanted<'_>, _: Priority) -> Result<Option<Order>, Fault> {
        absent()
    }

    async fn create_order(&self, _: &NewOrder, _: Priority) -> Result<OrderId, Fault> {
        absent()
    }

    async fn set_order_variables(&self, _: ClientId, _: OrderId, _: &Variables, _: Priority) -> Result<(), Fault> {
        absent()
    }

    async fn set_order_state(&self, _: ClientId, _: StateId, _: Priority) -> Result<(), Fault> {
        absent()
    }

    async fn callback(&self, client: ClientId, text: &str, _: Priority) -> Result<(), Fault> {
        self.callbacks.lock().expect("whole").push((client, text.to_owned()));
        Ok(())
    }

    async fn load_clients(&self, clients: &[ClientAddress], _: Priority) -> Vec<Result<ClientId, Fault>> {
        clients.iter().map(|_| absent()).collect()
    }
}
