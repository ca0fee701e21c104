//! The two services as the engine sees them. One call here is one request there, or the few
//! requests that a batch above the service's size limit takes.
//!
//! Adapters never retry: they turn every failure into a [`Fault`] while the answer is at hand, and
//! the engine decides. Every call waits for its lane's permit.

use crate::core::action::{Edit, NoteTarget};
use crate::core::fault::Fault;
use crate::core::flex::Moment;
use crate::core::id::{ClientId, ContactId, LeadId, NoteId, OrderId, StateId};
use crate::core::model::{Account, ClientRow, Contact, Event, FoundClient, Lead, Note, Order, OrderStatus, Variables};
use crate::core::time::Millis;
use async_trait::async_trait;
use std::collections::BTreeSet;

/// Who waits for a request. A lane serves the higher first and never starves the lower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// A bot or a person.
    Person,
    /// A poll.
    Poll,
    /// A backfill or a sweep.
    Background,
}

impl Priority {
    /// Every priority, most urgent first.
    pub const ALL: [Priority; 3] = [Priority::Person, Priority::Poll, Priority::Background];
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows that could be read, in the order of the answer.
    pub rows: Vec<T>,
    /// Rows that could not be read: one must not cost the others.
    pub broken: Vec<BrokenRow>,
    /// How many rows the answer had, unreadable ones included. Fewer than asked for: the last page.
    pub received: u32,
    /// The server's clock when it answered, where the answer tells it.
    pub server_time: Option<Millis>,
}

/// A row that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenRow {
    /// Its id, where at least that could be read.
    pub id: Option<u64>,
    /// Where and why, without its values.
    pub reason: String,
}

/// Which part of a listing to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// Only rows changed later than this; none: all rows. The same for every page of one listing.
    pub since: Option<Millis>,
    /// Rows to skip.
    pub offset: u32,
    /// Rows to return, at most [`AMO_PAGE_MAX`].
    pub limit: u32,
}

/// Which variables of an order are asked for, besides its name, description and budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// No others. The order may be somebody else's, which has none of the three.
    Own,
    /// Those of these names. Others may come as well.
    Named(&'a BTreeSet<String>),
    /// Whatever there is, for who looks around: that an order tells everything unasked is not documented.
    Anything,
}

/// Most rows on a page of amoCRM (v2 contacts page: `limit_rows`).
pub const AMO_PAGE_MAX: u32 = 500;
/// Most items in a write to amoCRM (recommended at most 50).
pub const AMO_BATCH_MAX: usize = 50;
/// Most ids in one read by ids, so that the address stays short of 8 KiB.
pub const AMO_IDS_MAX: usize = 250;
/// Most rows on a page of Salebot's client list.
pub const SALEBOT_PAGE_MAX: u32 = 500;
/// Most messages of a client that can be had: the newest (Salebot API page, `get_history`).
pub const SALEBOT_HISTORY_MAX: u32 = 2_000;

/// A contact or lead to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its values.
    pub edits: Vec<Edit>,
    /// Unix seconds.
    pub created_at: i64,
}

/// Changes to an existing contact or lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change<Id> {
    /// Which.
    pub id: Id,
    /// The new values.
    pub edits: Vec<Edit>,
    /// The time of change to be stored, Unix seconds: strictly later than the stored one, or the
    /// service refuses (answered as [`crate::core::fault::FaultKind::Changed`]).
    pub updated_at: i64,
}

/// A note to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNote {
    /// Where.
    pub target: NoteTarget,
    /// The text.
    pub text: String,
    /// Unix seconds.
    pub created_at: i64,
}

/// A task to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTask {
    /// On which record.
    pub target: NoteTarget,
    /// What is to be done.
    pub text: String,
    /// Unix seconds of the deadline.
    pub due_at: i64,
    /// 1 call, 2 meeting, 3 mail, others are the account's own.
    pub task_type: u64,
    /// Who is to do it; none: the record's responsible user.
    pub responsible: Option<crate::core::id::UserId>,
}

/// A task as amoCRM showed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: u64,
    /// The record it stands on, where the answer tells it.
    pub element: Option<u64>,
    /// What is to be done.
    pub text: String,
    /// Unix seconds of the deadline.
    pub due_at: i64,
}

/// amoCRM.
///
/// Answers to batches stand in the order of the batch: item by item, since a success code can hide
/// single failures.
#[async_trait]
pub trait Amo: Send + Sync {
    /// Fields, choices, users, pipelines, time zone.
    async fn account(&self, priority: Priority) -> Result<Account, Fault>;

    /// A page of contacts.
    async fn contacts(&self, request: PageRequest, priority: Priority) -> Result<Page<Contact>, Fault>;

    /// A page of leads.
    async fn leads(&self, request: PageRequest, priority: Priority) -> Result<Page<Lead>, Fault>;

    /// Contacts by id, in any order; those that are not there are left out.
    async fn contacts_by_id(&self, ids: &[ContactId], priority: Priority) -> Result<Page<Contact>, Fault>;

    /// Leads by id, in any order; those that are not there are left out.
    async fn leads_by_id(&self, ids: &[LeadId], priority: Priority) -> Result<Page<Lead>, Fault>;

    /// Contacts in which the text occurs anywhere: candidates only, to be checked.
    async fn search_contacts(&self, query: &str, priority: Priority) -> Result<Page<Contact>, Fault>;

    /// Notes of a record made by hand or by us, newest page first where there are many.
    async fn notes(&self, target: NoteTarget, priority: Priority) -> Result<Vec<Note>, Fault>;

    /// Tasks of a record, in any order.
    async fn tasks(&self, target: NoteTarget, priority: Priority) -> Result<Vec<Task>, Fault>;

    /// Makes contacts. Not repeatable.
    async fn create_contacts(&self, drafts: &[Draft], priority: Priority) -> Vec<Result<ContactId, Fault>>;

    /// Makes leads. Not repeatable.
    async fn create_leads(&self, drafts: &[Draft], priority: Priority) -> Vec<Result<LeadId, Fault>>;

    /// Changes contacts.
    async fn update_contacts(&self, changes: &[Change<ContactId>], priority: Priority) -> Vec<Result<(), Fault>>;

    /// Changes leads.
    async fn update_leads(&self, changes: &[Change<LeadId>], priority: Priority) -> Vec<Result<(), Fault>>;

    /// Writes notes. Not repeatable.
    async fn add_notes(&self, notes: &[NewNote], priority: Priority) -> Vec<Result<NoteId, Fault>>;

    /// Writes tasks. Not repeatable.
    async fn add_tasks(&self, tasks: &[NewTask], priority: Priority) -> Vec<Result<u64, Fault>>;
}

/// A client to be found or made by its id in the messenger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAddress {
    /// The person's id in the messenger.
    pub platform_id: String,
    /// The channel, as `connected_channels` names it.
    pub group_id: String,
    /// The messenger's number.
    pub client_type: i64,
}

/// An order to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrder {
    /// Whose.
    pub client: ClientId,
    /// Its name.
    pub name: String,
    /// Its description; holds the mark by which a lost answer is looked up.
    pub description: String,
    /// Its budget.
    pub budget: i64,
    /// Its first stage.
    pub state: Option<StateId>,
}

/// A line of a client's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryLine {
    /// The message; `client` holds the id alone.
    pub message: crate::core::model::Message,
    /// When it was written.
    pub at: Option<Moment>,
    /// True for callbacks, notices and what came from outside.
    pub is_notice: bool,
}

/// Salebot.
#[async_trait]
pub trait Salebot: Send + Sync {
    /// Variables of a client, values only; none where the client is not there. Service names included.
    async fn variables(&self, client: ClientId, priority: Priority) -> Result<Option<Variables>, Fault>;

    /// Writes the same variables of several clients (`client.` is put before each name). Empty clears.
    async fn save_variables(
        &self,
        clients: &[ClientId],
        variables: &Variables,
        priority: Priority,
    ) -> Result<(), Fault>;

    /// Clients whose client variable has one of these values: one request for all of them.
    async fn find_by_values(&self, name: &str, values: &[String], priority: Priority) -> Result<Vec<ClientId>, Fault>;

    /// Clients by their ids in the messenger: one request for all of them.
    async fn find_by_platform(
        &self,
        platform_ids: &[String],
        group_id: &str,
        priority: Priority,
    ) -> Result<Vec<FoundClient>, Fault>;

    /// A page of all clients, newest first, or oldest first when `oldest_first`.
    async fn clients(
        &self,
        offset: u32,
        limit: u32,
        oldest_first: bool,
        priority: Priority,
    ) -> Result<Page<ClientRow>, Fault>;

    /// Messages of a client, oldest first, at most the newest [`SALEBOT_HISTORY_MAX`].
    async fn history(&self, client: ClientId, priority: Priority) -> Result<Vec<HistoryLine>, Fault>;

    /// Active orders of a client.
    async fn active_orders(&self, client: ClientId, priority: Priority) -> Result<Vec<OrderId>, Fault>;

    /// Whether an order is worked on; none for one that is neither active nor won nor lost. Up to three requests.
    async fn order_status(
        &self,
        client: ClientId,
        order: OrderId,
        priority: Priority,
    ) -> Result<Option<OrderStatus>, Fault>;

    /// The order that requests without an order id act on.
    async fn current_order(&self, client: ClientId, priority: Priority) -> Result<Option<OrderId>, Fault>;

    /// Stage and variables of an order, none where it is not there. Name, description and budget are
    /// in the variables as `name`, `description`, `budget`, whatever is wanted besides.
    async fn order(
        &self,
        client: ClientId,
        order: OrderId,
        wanted: Wanted<'_>,
        priority: Priority,
    ) -> Result<Option<Order>, Fault>;

    /// Makes an order. Not repeatable.
    async fn create_order(&self, order: &NewOrder, priority: Priority) -> Result<OrderId, Fault>;

    /// Writes variables of an order; `name`, `description`, `budget` are the order's own.
    async fn set_order_variables(
        &self,
        client: ClientId,
        order: OrderId,
        variables: &Variables,
        priority: Priority,
    ) -> Result<(), Fault>;

    /// Moves the client's current order to a stage.
    async fn set_order_state(&self, client: ClientId, state: StateId, priority: Priority) -> Result<(), Fault>;

    /// Starts the client's bot with a text. Not repeatable, not to be looked up.
    async fn callback(&self, client: ClientId, text: &str, priority: Priority) -> Result<(), Fault>;

    /// Finds or makes clients, in the order asked.
    async fn load_clients(&self, clients: &[ClientAddress], priority: Priority) -> Vec<Result<ClientId, Fault>>;
}

/// Knows the form of stored bodies. The inbound adapter of the service provides it.
pub trait Decoder: Send + Sync {
    /// Reads a body; the error names the place and never quotes the content.
    fn decode(&self, body: &[u8]) -> Result<Event, String>;

    /// Writes a message that was never delivered as the body it would have come in, and when it was
    /// written: [`Decoder::decode`] gives it back with `written_at` set.
    fn encode(&self, message: &crate::core::model::Message, written_at: Millis) -> Vec<u8>;

    /// The key under which a delivered copy of this message is stored, so that it is stored once.
    fn dedupe(&self, message: crate::core::id::MessageId) -> String;
}
