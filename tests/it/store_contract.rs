//! What every store must do, whatever it is made of.
//!
//! Each test is a function over `Arc<dyn Store>`, run once for every kind of store. What only files can
//! do (crash, fill up, be opened twice) stands in `files`, what only a server can do in `databases`.

mod actions;
mod chains;
mod clock;
mod copying;
mod databases;
mod files;
mod inbox;
mod links;
mod marks;
mod model;
mod status;

use salebridge::core::action::{Action, NoteTarget};
use salebridge::core::fault::{Fault, FaultKind};
use salebridge::core::id::{ClientId, ContactId, InboxId, LeadId, MessageId};
use salebridge::core::time::Millis;
use salebridge::ports::remote::Priority;
use salebridge::ports::store::{Change, NewAction, NewInbox, Received, Source, Store};
use salebridge::store::Access;
use salebridge::store::memory::MemoryStore;
use salebridge::store::postgres::{PostgresOptions, PostgresStore};
use salebridge::store::sqlite::{SqliteOptions, SqliteStore};
use std::collections::BTreeMap;
use std::sync::Arc;
use tempfile::TempDir;

/// The bridge most tests write to.
const SHOP: &str = "shop";

/// A store under test, and the folder it lives in, if any.
struct Subject {
    store: Arc<dyn Store>,
    _folder: Option<TempDir>,
}

async fn memory_store(inbox_rows_max: u64) -> Subject {
    Subject { store: Arc::new(MemoryStore::new(inbox_rows_max)), _folder: None }
}

/// In a database of its own; none where PostgreSQL is not installed.
async fn postgres_store(inbox_rows_max: u64) -> Option<Subject> {
    let url = crate::postgres::database().await?;
    let mut options = PostgresOptions::new(url, Access::Driver);
    options.inbox_rows_max = inbox_rows_max;
    let store = PostgresStore::open(options).await.expect("opens");
    Some(Subject { store: Arc::new(store), _folder: None })
}

async fn sqlite_store(inbox_rows_max: u64) -> Subject {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut options = SqliteOptions::new(folder.path().join("bridge.db"), Access::Driver);
    options.inbox_rows_max = inbox_rows_max;
    let store = SqliteStore::open(options).await.expect("opens");
    Subject { store: Arc::new(store), _folder: Some(folder) }
}

/// Bodies that may wait in the stores of these tests.
const ROWS_MAX: u64 = 3000;

/// Runs each of these functions for every kind of store.
macro_rules! for_every_store {
    ($($test:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let subject = crate::store_contract::memory_store(crate::store_contract::ROWS_MAX).await;
                super::$test(std::sync::Arc::clone(&subject.store)).await;
            })*
        }
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let subject = crate::store_contract::sqlite_store(crate::store_contract::ROWS_MAX).await;
                super::$test(std::sync::Arc::clone(&subject.store)).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let subject = crate::store_contract::postgres_store(crate::store_contract::ROWS_MAX).await;
                if let Some(subject) = subject {
                    super::$test(std::sync::Arc::clone(&subject.store)).await;
                }
            })*
        }
    };
}
use for_every_store;

/// A body of a client's dialogue.
fn body(client: u64, message: u64, at: i64) -> NewInbox {
    NewInbox {
        bridge: SHOP.to_owned(),
        source: Source::Salebot,
        dedupe: Some(format!("m{message}")),
        client: Some(ClientId(client)),
        message: Some(MessageId(message)),
        received_at: Millis(at),
        body: format!("body of {message}").into_bytes(),
        broken: None,
    }
}

/// A body that belongs to nobody.
fn hint(at: i64) -> NewInbox {
    NewInbox { source: Source::Amo, dedupe: None, client: None, message: None, ..body(0, 0, at) }
}

async fn stored(store: &Arc<dyn Store>, body: NewInbox) -> InboxId {
    match store.receive(body).await {
        Ok(Received::Stored(id)) => id,
        other => panic!("not stored: {other:?}"),
    }
}

/// Variables of a client: repeatable, on Salebot's side, key `client:N`.
fn variables(client: u64, value: &str) -> Action {
    let variables = BTreeMap::from([("city".to_owned(), value.to_owned())]);
    Action::SaveVariables { client: ClientId(client), variables, confirms: Vec::new() }
}

/// A text to a client's bot: another name, but the key of [`variables`].
fn callback(client: u64, text: &str) -> Action {
    Action::Callback { client: ClientId(client), text: text.to_owned() }
}

/// A change of a contact: amoCRM's side, key `contact:N`.
fn update(contact: u64) -> Action {
    Action::UpdateContact {
        contact: ContactId(contact),
        edits: Vec::new(),
        seen: "f1".to_owned(),
        confirms: Vec::new(),
    }
}

/// A client for a contact: Salebot's side, but the key of [`update`].
fn load_client(contact: u64) -> Action {
    Action::LoadClient {
        contact: ContactId(contact),
        platform_id: "600000001".to_owned(),
        group_id: "7".to_owned(),
        client_type: 6,
    }
}

/// A note under a lead.
fn note(lead: u64, text: &str) -> Action {
    let (target, text) = (NoteTarget::Lead(LeadId(lead)), text.to_owned());
    Action::AddNote { target, client: ClientId(1), text, created_at: 1, messages: vec![MessageId(1)] }
}

/// An action to be recorded: no slot, a poll's priority, due at once.
fn new(action: Action) -> NewAction {
    NewAction { action, slot: None, priority: Priority::Poll, not_before: Millis(0), created_at: Millis(10), run: None }
}

fn add(new: NewAction) -> Change {
    Change::AddAction(Box::new(new))
}

/// Adds to a slot.
fn in_slot(slot: &str, action: Action) -> Change {
    add(NewAction { slot: Some(slot.to_owned()), ..new(action) })
}

fn fault() -> Fault {
    Fault::new(FaultKind::Transient, "no connection")
}

/// A time after everything in these tests.
const LATE: Millis = Millis(1_000_000);
