//! What the engine asks of its memory: each call is one whole transaction.
//!
//! Reading calls return what was committed. Everything that is decided at once is committed at once
//! through [`Store::commit`]; [`Store::receive`] is the one other write, made to be cheap for many
//! at a time. After either comes back, the change survives a loss of power.
//! Times and ids of the outside world are always the caller's. An id of 2^63 or more cannot be stored and fails the
//! call; ids of rows that are not there (any more), or of another bridge, are passed over.

use crate::core::action::{Action, Side, client_key, contact_key, lead_key};
use crate::core::fault::Fault;
use crate::core::id::{ActionId, ClientId, ContactId, InboxId, LeadId, MessageId};
use crate::core::link::{ClientLink, ContactSeen, DealLink};
use crate::core::people::MatchKey;
use crate::core::run::Run;
use crate::core::time::Millis;
use crate::ports::remote::Priority;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// Why the store did not do what was asked. Nothing of it was done.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No room on the disk. The text says where and how much there is.
    #[error("the disk is full: {0}")]
    Full(String),
    /// Another process drives this store. The text says which and what to do.
    #[error("{0}")]
    Driven(String),
    /// A newer program has changed it. The text says what to do; trying again is of no use.
    #[error("{0}")]
    Newer(String),
    /// The database does not answer, or refuses.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// A stored value cannot be read back.
    #[error("table {table}, column {column}, row {row}: {reason}")]
    Unreadable {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's id.
        row: String,
        /// What is wrong, without the value.
        reason: String,
    },
}

/// Result of a store call.
pub type Stored<T> = Result<T, StoreError>;

/// Which service pushed a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A Salebot project webhook.
    Salebot,
    /// An amoCRM webhook.
    Amo,
}

/// A pushed body on its way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInbox {
    /// The bridge's name.
    pub bridge: String,
    /// Who pushed it.
    pub source: Source,
    /// A second body of the same bridge and source with this key is not stored; none: always stored.
    pub dedupe: Option<String>,
    /// Whose dialogue, for the order within it.
    pub client: Option<ClientId>,
    /// The message, for the order within a dialogue.
    pub message: Option<MessageId>,
    /// When it came.
    pub received_at: Millis,
    /// As it came, at most 1 MiB.
    pub body: Vec<u8>,
    /// Set when it cannot be understood: it is stored as a dead letter with this reason.
    pub broken: Option<String>,
}

/// What became of a pushed body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It is on disk.
    Stored(InboxId),
    /// It was there already.
    Known,
}

/// A pushed body that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRow {
    /// Its row.
    pub id: InboxId,
    /// Who pushed it.
    pub source: Source,
    /// Whose dialogue.
    pub client: Option<ClientId>,
    /// The message.
    pub message: Option<MessageId>,
    /// When it came.
    pub received_at: Millis,
    /// Its dialogue waits until then, and the rest of it is not among these rows.
    pub held_until: Option<Millis>,
    /// As it came.
    pub body: Vec<u8>,
}

/// A record to look at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A contact.
    Contact(ContactId),
    /// A lead.
    Lead(LeadId),
    /// A client.
    Client(ClientId),
    /// A contact of which amoCRM says that it may have changed: it is read, and looked at only if it has.
    ContactHint(ContactId),
    /// The same for a lead.
    LeadHint(LeadId),
}

impl Subject {
    /// The record's name in the journal and in keys of actions.
    pub fn key(self) -> String {
        match self {
            Subject::Contact(id) | Subject::ContactHint(id) => contact_key(id),
            Subject::Lead(id) | Subject::LeadHint(id) => lead_key(id),
            Subject::Client(id) => client_key(id),
        }
    }
}

/// A hint that a record should be looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Which record.
    pub subject: Subject,
    /// Not before this. A record marked twice keeps the earlier time.
    pub due: Millis,
    /// How often it was put off because it could not be read; 0 for a fresh hint.
    pub attempts: u32,
    /// The run that led to it: what is decided about the record is its work. A record marked twice keeps the first one.
    pub run: Option<Run>,
}

/// A mark as it stands in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkRow {
    /// The mark.
    pub mark: Mark,
    /// Raised each time the record is marked, and never used again for any mark: a mark is only cleared if it was
    /// not set again meanwhile.
    pub revision: i64,
}

/// An action to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAction {
    /// What is to be done.
    pub action: Action,
    /// A waiting action in the same slot is replaced, unless it is equal: then it stays as it is, with its
    /// attempts, times and priority. Only the actions are compared. After a retry two may wait in a slot: what is
    /// not equal goes, in doubt or not, so actions that must be looked up before a repeat belong in no slot
    /// that is written twice.
    pub slot: Option<String>,
    /// Who waits for it.
    pub priority: Priority,
    /// Not before this.
    pub not_before: Millis,
    /// When it was decided.
    pub created_at: Millis,
    /// By which run; none where no pass over records decided it.
    pub run: Option<Run>,
}

/// A recorded action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its row.
    pub id: ActionId,
    /// What is to be done.
    pub action: Action,
    /// Its slot.
    pub slot: Option<String>,
    /// Who waits for it.
    pub priority: Priority,
    /// Where it stands.
    pub state: ActionState,
    /// Attempts that count.
    pub attempts: u32,
    /// True when an attempt may have been carried out without our knowing.
    pub in_doubt: bool,
    /// Not before this.
    pub not_before: Millis,
    /// When it was decided.
    pub created_at: Millis,
    /// When it was first sent.
    pub first_attempt_at: Option<Millis>,
    /// Why the last attempt failed.
    pub fault: Option<Fault>,
    /// By which run it was decided. One that waits in its slot when another run decides the same keeps its own.
    pub run: Option<Run>,
}

/// Where an action stands. Done actions leave the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ActionState {
    /// Waits for its time, its turn or its lane.
    Ready,
    /// Is being carried out; after a crash it is `Ready` and in doubt.
    Running,
    /// Will not succeed without a human.
    Dead,
}

/// How far a listing has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Everything changed before this has been seen.
    pub at: Millis,
    /// When it was last moved.
    pub moved_at: Millis,
}

/// One line of the journal: what was decided or done, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// When.
    pub at: Millis,
    /// About which record: `contact:101`, `client:5`, `lead:301`.
    pub subject: String,
    /// What: `done`, `conflict`, `notice` …
    pub kind: &'static str,
    /// Details as JSON. Values of fields may stand here: the journal is the user's own, on their disk.
    pub detail: serde_json::Value,
}

/// A line of the journal as read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalRow {
    /// When.
    pub at: Millis,
    /// About which record.
    pub subject: String,
    /// What.
    pub kind: String,
    /// Details.
    pub detail: serde_json::Value,
}

/// One change of a transaction. They are applied in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// These bodies, waiting or dead, are dealt with. Their dedupe keys stay.
    InboxDone(Vec<InboxId>),
    /// Nothing of this client's bodies is due before then; a later hold replaces an earlier one, also by a
    /// shorter wait. Bodies received later are due at once.
    InboxHold(ClientId, Millis),
    /// These bodies wait until then, each of them once in the list. Those that do not wait any more are left as they are.
    InboxWait(Vec<(InboxId, Millis)>),
    /// This body cannot be dealt with. A dead one gets another reason; as a dead letter it has the time it came.
    InboxDead(InboxId, String),
    /// A dead body waits again, not before this. Others are left as they are.
    InboxRetry(InboxId, Millis),
    /// Stores a client's link, and raises its revision: what is stored has the old one plus one, the first has 1,
    /// whatever the given one is.
    PutClient(Box<ClientLink>),
    /// Stores a lead's link, and raises its revision in the same way.
    PutDeal(Box<DealLink>),
    /// Remembers a contact.
    PutContact(ContactSeen),
    /// Forgets a contact and the keys that lead to it; links of its clients stay and lose it, which raises their
    /// revision. Links of its leads stay as they are: the next look at the lead tells whom it is about.
    ForgetContact(ContactId),
    /// A contact is found by these keys and by no others. Keys of other contacts move over.
    PutKeys(ContactId, Vec<MatchKey>),
    /// Marks a record. One that is marked keeps the earlier time and the fewer attempts.
    Mark(Mark),
    /// Clears a mark if its revision is still this.
    Unmark(Subject, i64),
    /// Records an action.
    AddAction(Box<NewAction>),
    /// Drops the waiting action of a slot; one that is running stays.
    CancelSlot(String),
    /// An action was carried out and leaves the outbox.
    ActionDone(ActionId),
    /// An action goes back to wait, a dead one too.
    ActionRetry {
        /// Which.
        id: ActionId,
        /// Not before this.
        not_before: Millis,
        /// Attempts that count so far.
        attempts: u32,
        /// Whether it may have been carried out.
        in_doubt: bool,
        /// Why.
        fault: Fault,
    },
    /// An action becomes a dead letter.
    ActionDead {
        /// Which.
        id: ActionId,
        /// Why.
        fault: Fault,
        /// When.
        at: Millis,
    },
    /// Our clock was set back: what is put off until later than now waits as long as it would have, and not until the clock
    /// has caught up. Running and dead ones stay as they are. Alone in its commit.
    SetBack {
        /// What it shows now.
        now: Millis,
        /// By so many milliseconds at least; by as many more as something that waits came later than now.
        by_ms: i64,
    },
    /// Adds a line to the journal.
    Journal(JournalEntry),
    /// Moves a cursor.
    PutCursor(&'static str, Cursor),
    /// Keeps a text under a name (account metadata and the like).
    PutText(&'static str, String),
}

/// Numbers for `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Bodies that wait.
    pub inbox: u64,
    /// Marks that wait.
    pub marks: u64,
    /// Actions that wait or run.
    pub outbox: u64,
    /// Bodies and actions that will not succeed without a human.
    pub dead_letters: u64,
    /// Links between contacts and clients.
    pub links: u64,
    /// When the oldest waiting body came.
    pub inbox_oldest: Option<Millis>,
    /// When the oldest waiting action was decided.
    pub outbox_oldest: Option<Millis>,
}

/// A dead letter, from either queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// `inbox` or `outbox`.
    pub queue: &'static str,
    /// Its row there.
    pub id: i64,
    /// What it is: an action's name, or the source of a body.
    pub what: String,
    /// About which record, where known: `client:5`.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// Since when it exists.
    pub created_at: Millis,
    /// When it was given up.
    pub died_at: Millis,
    /// How often it was tried.
    pub attempts: u32,
}

/// A dead letter with everything that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadDetail {
    /// The line of the list.
    pub letter: DeadLetter,
    /// What it holds.
    pub content: DeadContent,
}

/// What a dead letter holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadContent {
    /// A body, as it came.
    Body(Vec<u8>),
    /// An action.
    Action(Box<OutboxRow>),
    /// An action that cannot be read back, and why.
    Unreadable(String),
}

/// The memory of all bridges.
#[async_trait]
pub trait Store: Send + Sync {
    /// Stores a pushed body. Calls under way at the same time share one commit.
    ///
    /// Refused with [`StoreError::Full`], known or not, while too many bodies of its bridge wait (the limit is given
    /// when the store is opened), and with [`StoreError::Unavailable`] over 1 MiB.
    async fn receive(&self, body: NewInbox) -> Stored<Received>;

    /// Applies all changes or none. Returns the rows of the recorded actions, in order; an equal one
    /// that was already waiting in the slot returns its own row.
    async fn commit(&self, bridge: &str, changes: Vec<Change>) -> Stored<Vec<ActionId>>;

    /// The waiting bodies of at most `clients_max` clients of which at least one is due, and due bodies of no client.
    /// Of a client whose first body is due all of them; of others, whose dialogue is held, those that are due, told by
    /// `held_until`. Ordered by client, message, row, none first; at most `rows_max` for each client and for those of
    /// none. The clients that were due first are chosen.
    async fn inbox_due(&self, bridge: &str, now: Millis, clients_max: u32, rows_max: u32) -> Stored<Vec<InboxRow>>;

    /// Marks that are due, oldest first; of one time, the one set first.
    async fn marks_due(&self, bridge: &str, now: Millis, rows_max: u32) -> Stored<Vec<MarkRow>>;

    /// Takes actions that are due and sets them running. An action is left while an earlier one of
    /// its key waits or runs, unless that is of the same name and taken along; dead ones are not in the way, those
    /// of the other side are. Urgent ones first, then by row; what must go before an urgent one of its key comes
    /// right before it. An action that cannot be read becomes a dead letter, so that it stops no other.
    async fn claim(&self, bridge: &str, side: Side, now: Millis, rows_max: u32) -> Stored<Vec<OutboxRow>>;

    /// Sets running actions ready and in doubt: for the start after a crash. Returns how many.
    async fn rescue(&self, bridge: &str) -> Stored<u64>;

    /// Waiting and running actions of these keys, by row.
    async fn pending(&self, bridge: &str, keys: &[String]) -> Stored<Vec<OutboxRow>>;

    /// Waiting and running actions of this name (`Action::name`), by row, at most `rows_max`.
    async fn pending_named(&self, bridge: &str, name: &str, rows_max: u32) -> Stored<Vec<OutboxRow>>;

    /// When the next body, mark or action is due, per queue. Of a key the first action alone counts, for its own
    /// side, and nothing while that one is running: before that `claim` would not return any of them.
    async fn next_due(&self, bridge: &str) -> Stored<NextDue>;

    /// Links by client, ordered by client.
    async fn clients(&self, bridge: &str, ids: &[ClientId]) -> Stored<Vec<ClientLink>>;

    /// Links by contact, ordered by client.
    async fn clients_of(&self, bridge: &str, contacts: &[ContactId]) -> Stored<Vec<ClientLink>>;

    /// Deal links by lead, ordered by lead.
    async fn deals(&self, bridge: &str, leads: &[LeadId]) -> Stored<Vec<DealLink>>;

    /// Deal links by contact, ordered by lead.
    async fn deals_of(&self, bridge: &str, contacts: &[ContactId]) -> Stored<Vec<DealLink>>;

    /// Deal links by the client whose order they are, ordered by lead.
    async fn deals_of_clients(&self, bridge: &str, clients: &[ClientId]) -> Stored<Vec<DealLink>>;

    /// Contacts that clients belong to, each once, in order, those after this one.
    async fn linked_contacts(&self, bridge: &str, after: Option<ContactId>, rows_max: u32) -> Stored<Vec<ContactId>>;

    /// Deal links in the order of their leads, those after this one.
    async fn deals_after(&self, bridge: &str, after: Option<LeadId>, rows_max: u32) -> Stored<Vec<DealLink>>;

    /// What is remembered of contacts, ordered by contact.
    async fn contacts(&self, bridge: &str, ids: &[ContactId]) -> Stored<Vec<ContactSeen>>;

    /// Contacts by phone numbers and e-mail addresses, in the order asked for; keys that lead nowhere are left out.
    async fn contacts_by_key(&self, bridge: &str, keys: &[MatchKey]) -> Stored<Vec<(MatchKey, ContactId)>>;

    /// A cursor.
    async fn cursor(&self, bridge: &str, name: &str) -> Stored<Option<Cursor>>;

    /// All cursors of a bridge by name.
    async fn cursors(&self, bridge: &str) -> Stored<Vec<(String, Cursor)>>;

    /// A kept text.
    async fn text(&self, bridge: &str, name: &str) -> Stored<Option<String>>;

    /// The newest lines of the journal about a record, newest first.
    async fn journal(&self, bridge: &str, subject: &str, rows_max: u32) -> Stored<Vec<JournalRow>>;

    /// The newest dead letters, newest first by the time they were given up.
    async fn dead_letters(&self, bridge: &str, rows_max: u32) -> Stored<Vec<DeadLetter>>;

    /// A dead letter of `inbox` or `outbox` by its row; none where it is not there or not dead.
    async fn dead_letter(&self, bridge: &str, queue: &str, id: i64) -> Stored<Option<DeadDetail>>;

    /// Numbers for `status`.
    async fn counts(&self, bridge: &str) -> Stored<Counts>;

    /// How many actions wait or run, counted to `at_most`: cheap however many there are, for a door that many knock at.
    async fn outbox_waiting(&self, bridge: &str, at_most: u32) -> Stored<u64>;

    /// Drops dedupe keys of bodies that were dealt with and journal lines, both older than this, the oldest first, at
    /// most `rows_max` of each. Returns how many.
    async fn prune(&self, bridge: &str, before: Millis, rows_max: u32) -> Stored<u64>;
}

/// When each queue next has something to do; none: nothing waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NextDue {
    /// Bodies.
    pub inbox: Option<Millis>,
    /// Marks.
    pub marks: Option<Millis>,
    /// Actions to amoCRM.
    pub amo: Option<Millis>,
    /// Actions to Salebot.
    pub salebot: Option<Millis>,
}
