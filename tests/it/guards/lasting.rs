//! What must come to its end though something fails on the way: answers to bots, and what is too old to be kept.

use super::failing::Failing;
use super::{NEVER, SHOP, Shop, contact, eventually};
use salebridge::app::env::SystemEnv;
use salebridge::core::action::{Action, NoteTarget};
use salebridge::core::flips::Flips;
use salebridge::core::function::{Call, Function, LEFT, Work};
use salebridge::core::id::{ClientId, ContactId};
use salebridge::core::time::Millis;
use salebridge::ports::env::Env;
use salebridge::ports::remote::Priority;
use salebridge::ports::store::{Change, JournalEntry, NewAction, Store};
use salebridge::store::memory::MemoryStore;
use serde_json::json;
use std::sync::Arc;

/// A call that arrived at another node, whose bot has left there already.
fn left_behind(client: u64, now: Millis) -> [Change; 2] {
    let call = Call {
        ticket: format!("ticket of {client}"),
        function: Function::GetContactInfo,
        client: ClientId(client),
        target: Some(NoteTarget::Contact(ContactId(client))),
        is_found: false,
        lost: None,
        in_doubt: false,
        work: Work::Info,
        at: now,
        once_ms: None,
        waits_until: Some(now),
    };
    let left = JournalEntry { at: now, subject: call.subject(), kind: LEFT, detail: json!({ "at": now }) };
    let action = Action::Function(Box::new(call));
    let new = NewAction { action, slot: None, priority: Priority::Person, not_before: now, created_at: now, run: None };
    [Change::Journal(left), Change::AddAction(Box::new(new))]
}

#[tokio::test]
async fn a_store_that_fails_after_the_settlement_loses_no_answer() {
    let store = Arc::new(MemoryStore::default());
    let seen = Arc::new(Failing::new(Arc::clone(&store)));
    let shop = Shop::over(store, seen, Arc::new(SystemEnv), (NEVER, NEVER), 6);
    for id in [1, 2] {
        shop.link(id, "manager", Flips::default()).await;
        shop.amo.put(contact(id, "manager", 1_000));
    }
    shop.put([1, 2].into_iter().flat_map(|id| left_behind(id, SystemEnv.now())).collect()).await;
    shop.during(async {
        eventually("both bots are called back", || async { shop.salebot.callbacks().len() == 2 }).await;
    })
    .await;
    assert!(shop.salebot.callbacks().iter().all(|(_, text)| text.contains("amo_get_contact_info")));
}

/// More than a portion of lines that are too old.
async fn grown_old(shop: &Shop) {
    let line = |at| JournalEntry { at: Millis(at), subject: "contact:1".to_owned(), kind: "done", detail: json!({}) };
    shop.put((1..=12_000).map(|at| Change::Journal(line(at))).collect()).await;
}

async fn forgets(shop: &Shop) {
    grown_old(shop).await;
    shop.during(async {
        eventually("what is too old is gone", || async {
            shop.store.journal(SHOP, "contact:1", 1).await.expect("reads").is_empty()
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn one_look_drops_all_that_is_too_old() {
    forgets(&Shop::new(NEVER, NEVER, 6)).await;
}

#[tokio::test]
async fn what_is_too_old_goes_while_salebot_refuses_us() {
    let shop = Shop::new(NEVER, NEVER, 6);
    shop.salebot.refuse();
    forgets(&shop).await;
}
