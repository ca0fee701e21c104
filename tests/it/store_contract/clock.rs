//! Our clock is set back: what is put off waits as long as it would have.

use super::{LATE, SHOP, add, body, for_every_store, hint, load_client, new, note, stored, update, variables};
use salebridge::core::action::{Action, Side};
use salebridge::core::id::{ClientId, ContactId, LeadId};
use salebridge::core::time::Millis;
use salebridge::ports::store::{Change, Mark, NewAction, NewInbox, NextDue, Store, Subject};
use std::sync::Arc;

for_every_store!(
    what_is_put_off_waits_as_long_as_it_would_have,
    what_is_from_a_time_to_come_tells_by_how_much,
    what_runs_and_other_bridges_are_left_alone,
    nothing_is_put_off_for_longer,
);

async fn commit(store: &Arc<dyn Store>, changes: Vec<Change>) {
    store.commit(SHOP, changes).await.expect("commits");
}

async fn next_due(store: &Arc<dyn Store>) -> NextDue {
    store.next_due(SHOP).await.expect("reads")
}

async fn set_back(store: &Arc<dyn Store>, now: i64, by_ms: i64) {
    commit(store, vec![Change::SetBack { now: Millis(now), by_ms }]).await;
}

fn later(not_before: i64, created_at: i64, action: Action) -> Change {
    add(NewAction { not_before: Millis(not_before), created_at: Millis(created_at), ..new(action) })
}

fn mark(id: u64, due: i64) -> Change {
    Change::Mark(Mark { subject: Subject::Lead(LeadId(id)), due: Millis(due), attempts: 1, run: None })
}

async fn what_is_put_off_waits_as_long_as_it_would_have(store: Arc<dyn Store>) {
    stored(&store, body(5, 1, 1_000)).await;
    let hold = Change::InboxHold(ClientId(5), Millis(5_030));
    commit(&store, vec![hold, mark(1, 5_020), later(5_010, 1_000, update(1)), later(5_040, 1_000, variables(5, "a"))])
        .await;
    set_back(&store, 2_000, 3_000).await;
    let due = |at| Some(Millis(at));
    let expected = NextDue { inbox: due(2_030), marks: due(2_020), amo: due(2_010), salebot: due(2_040) };
    assert_eq!(next_due(&store).await, expected);
    assert_eq!(store.claim(SHOP, Side::Amo, Millis(2_009), 9).await.expect("claims").len(), 0);
    let claimed = store.claim(SHOP, Side::Amo, Millis(2_010), 9).await.expect("claims");
    assert_eq!((claimed[0].not_before, claimed[0].created_at), (Millis(2_010), Millis(1_000)));
    assert_eq!(store.inbox_due(SHOP, Millis(2_030), 9, 9).await.expect("reads")[0].received_at, Millis(1_000));
    let marked = store.marks_due(SHOP, LATE, 9).await.expect("reads")[0].mark;
    assert_eq!((marked.due, marked.attempts), (Millis(2_020), 1));
}

async fn what_is_from_a_time_to_come_tells_by_how_much(store: Arc<dyn Store>) {
    commit(&store, vec![later(9_500, 9_000, update(1)), mark(1, 9_600)]).await;
    set_back(&store, 2_000, 0).await;
    let told = next_due(&store).await;
    assert_eq!((told.amo, told.marks), (Some(Millis(2_500)), Some(Millis(2_600))));
    stored(&store, body(5, 1, 9_800)).await;
    assert_eq!(next_due(&store).await.inbox, Some(Millis(9_800)));
    set_back(&store, 2_000, 100).await;
    assert_eq!(next_due(&store).await.inbox, Some(Millis(2_000)));
}

async fn what_runs_and_other_bridges_are_left_alone(store: Arc<dyn Store>) {
    commit(&store, vec![later(100, 100, note(1, "runs"))]).await;
    assert_eq!(store.claim(SHOP, Side::Amo, Millis(100), 9).await.expect("claims").len(), 1);
    store.commit("other", vec![later(5_000, 100, load_client(1)), mark(1, 5_000)]).await.expect("commits");
    stored(&store, NewInbox { bridge: "other".to_owned(), ..hint(5_000) }).await;
    set_back(&store, 50, 4_000).await;
    assert_eq!(store.claim(SHOP, Side::Amo, LATE, 9).await.expect("claims").len(), 0, "it still runs");
    let due = Some(Millis(5_000));
    let expected = NextDue { inbox: due, marks: due, amo: None, salebot: due };
    assert_eq!(store.next_due("other").await.expect("reads"), expected);
}

async fn nothing_is_put_off_for_longer(store: Arc<dyn Store>) {
    let contact = Subject::Contact(ContactId(1));
    let due = Change::Mark(Mark { subject: contact, due: Millis(1_000), attempts: 0, run: None });
    commit(&store, vec![due, later(7_000, 1_000, update(1)), later(2_500, 1_000, variables(5, "a"))]).await;
    set_back(&store, 2_000, 0).await;
    let told = next_due(&store).await;
    assert_eq!((told.marks, told.amo, told.salebot), (Some(Millis(1_000)), Some(Millis(7_000)), Some(Millis(2_500))));
    set_back(&store, 2_000, 1_000).await;
    let told = next_due(&store).await;
    assert_eq!((told.marks, told.amo, told.salebot), (Some(Millis(1_000)), Some(Millis(6_000)), Some(Millis(2_000))));
}
