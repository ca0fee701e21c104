//! Actions: recorded, replaced in their slot, settled.

use super::{LATE, SHOP, add, callback, fault, for_every_store, in_slot, load_client, new, note, update, variables};
use salebridge::core::action::Side;
use salebridge::core::fault::{Fault, FaultKind};
use salebridge::core::id::ActionId;
use salebridge::core::run::{Run, RunKind};
use salebridge::core::time::Millis;
use salebridge::ports::remote::Priority;
use salebridge::ports::store::{ActionState, Change, NewAction, OutboxRow, Store};
use std::sync::Arc;

for_every_store!(
    an_action_comes_back_as_it_was,
    actions_without_a_slot_all_stay,
    a_waiting_action_is_replaced_in_its_slot,
    an_equal_action_stays_as_it_is,
    a_running_action_keeps_its_place_before_the_new_one,
    a_slot_may_hold_two_after_a_retry,
    a_slot_can_change_hands_within_a_commit,
    cancelling_a_slot_spares_what_runs,
    a_settled_action_leaves,
    a_retry_waits_with_its_reason,
    a_dead_action_can_be_brought_back,
    a_crash_leaves_actions_in_doubt,
    pending_actions_are_found_by_key_and_by_name,
);

async fn commit(store: &Arc<dyn Store>, changes: Vec<Change>) -> Vec<ActionId> {
    store.commit(SHOP, changes).await.expect("commits")
}

async fn claim(store: &Arc<dyn Store>, side: Side) -> Vec<OutboxRow> {
    store.claim(SHOP, side, LATE, 100).await.expect("claims")
}

async fn named(store: &Arc<dyn Store>, name: &str) -> Vec<OutboxRow> {
    store.pending_named(SHOP, name, 100).await.expect("reads")
}

fn ids(rows: &[OutboxRow]) -> Vec<ActionId> {
    rows.iter().map(|row| row.id).collect()
}

fn retry(id: ActionId) -> Change {
    Change::ActionRetry { id, not_before: Millis(900), attempts: 2, in_doubt: true, fault: fault() }
}

fn run() -> Run {
    Run { at: Millis(1_795_283_228_007), kind: RunKind::Backfill }
}

async fn an_action_comes_back_as_it_was(store: Arc<dyn Store>) {
    let new = NewAction {
        action: note(301, "»  Анна: \"да\"\n"),
        slot: Some("notes:lead:301".to_owned()),
        priority: Priority::Person,
        not_before: Millis(70),
        created_at: Millis(60),
        run: Some(run()),
    };
    let ids = commit(&store, vec![add(new.clone())]).await;
    let expected = OutboxRow {
        id: ids[0],
        action: new.action,
        slot: new.slot,
        priority: Priority::Person,
        state: ActionState::Ready,
        attempts: 0,
        in_doubt: false,
        not_before: Millis(70),
        created_at: Millis(60),
        first_attempt_at: None,
        fault: None,
        run: Some(run()),
    };
    assert_eq!(named(&store, "add_note").await, std::slice::from_ref(&expected));
    let claimed = store.claim(SHOP, Side::Amo, Millis(75), 9).await.expect("claims");
    let running = OutboxRow { state: ActionState::Running, first_attempt_at: Some(Millis(75)), ..expected };
    assert_eq!(claimed, std::slice::from_ref(&running));
    assert_eq!(named(&store, "add_note").await, [running]);
}

async fn actions_without_a_slot_all_stay(store: Arc<dyn Store>) {
    let added =
        commit(&store, vec![add(new(variables(5, "a"))), add(new(variables(5, "a"))), in_slot("s", update(1))]).await;
    assert!(added[0] < added[1] && added[1] < added[2]);
    assert_eq!(ids(&named(&store, "save_variables").await), added[..2]);
}

async fn a_waiting_action_is_replaced_in_its_slot(store: Arc<dyn Store>) {
    let old = commit(&store, vec![in_slot("s", variables(5, "a")), in_slot("t", variables(6, "x"))]).await;
    let newer = commit(&store, vec![in_slot("s", variables(5, "b"))]).await;
    assert!(newer[0] > old[1]);
    let rows = named(&store, "save_variables").await;
    assert_eq!(ids(&rows), [old[1], newer[0]]);
    assert_eq!(rows[1].action, variables(5, "b"));
}

async fn an_equal_action_stays_as_it_is(store: Arc<dyn Store>) {
    let first = commit(&store, vec![in_slot("s", variables(5, "a"))]).await;
    claim(&store, Side::Salebot).await;
    commit(&store, vec![retry(first[0])]).await;
    let before = named(&store, "save_variables").await;
    let hurried = NewAction { slot: Some("s".to_owned()), priority: Priority::Person, ..new(variables(5, "a")) };
    let added = commit(&store, vec![add(new(callback(6, "x"))), add(hurried), add(new(callback(6, "y")))]).await;
    assert_eq!(added[1], first[0], "its own row, at its place in the answer");
    assert!(added[0] < added[2]);
    assert_eq!(named(&store, "save_variables").await, before, "attempts, times and priority included");
}

async fn a_running_action_keeps_its_place_before_the_new_one(store: Arc<dyn Store>) {
    let first = commit(&store, vec![in_slot("s", variables(5, "a"))]).await;
    claim(&store, Side::Salebot).await;
    let second = commit(&store, vec![in_slot("s", variables(5, "a"))]).await;
    assert_ne!(first, second, "what runs was decided on older grounds");
    let third = commit(&store, vec![in_slot("s", variables(5, "b"))]).await;
    assert_eq!(ids(&named(&store, "save_variables").await), [first[0], third[0]]);
    assert!(claim(&store, Side::Salebot).await.is_empty(), "it waits for the running one");
    commit(&store, vec![Change::ActionDone(first[0])]).await;
    assert_eq!(ids(&claim(&store, Side::Salebot).await), third);
}

async fn a_slot_may_hold_two_after_a_retry(store: Arc<dyn Store>) {
    let first = commit(&store, vec![in_slot("s", variables(5, "a"))]).await;
    claim(&store, Side::Salebot).await;
    let second = commit(&store, vec![in_slot("s", variables(5, "b"))]).await;
    commit(&store, vec![retry(first[0])]).await;
    assert_eq!(ids(&named(&store, "save_variables").await), [first[0], second[0]]);
    let kept = commit(&store, vec![in_slot("s", variables(5, "b"))]).await;
    assert_eq!(kept, second);
    assert_eq!(ids(&named(&store, "save_variables").await), second, "the older one is out of date");
}

async fn a_slot_can_change_hands_within_a_commit(store: Arc<dyn Store>) {
    let added = commit(
        &store,
        vec![
            in_slot("s", variables(5, "a")),
            in_slot("s", variables(5, "b")),
            in_slot("s", variables(5, "b")),
            Change::CancelSlot("t".to_owned()),
            in_slot("t", variables(6, "a")),
            Change::CancelSlot("t".to_owned()),
        ],
    )
    .await;
    assert_eq!(added.len(), 4);
    assert!(added[0] < added[1] && added[1] == added[2] && added[2] < added[3]);
    assert_eq!(ids(&named(&store, "save_variables").await), [added[1]]);
}

async fn cancelling_a_slot_spares_what_runs(store: Arc<dyn Store>) {
    let running = commit(&store, vec![in_slot("s", variables(5, "a"))]).await;
    claim(&store, Side::Salebot).await;
    commit(&store, vec![in_slot("s", variables(5, "b")), in_slot("t", variables(5, "c"))]).await;
    commit(&store, vec![Change::CancelSlot("s".to_owned()), Change::CancelSlot("none".to_owned())]).await;
    let rows = named(&store, "save_variables").await;
    assert_eq!(rows.iter().map(|row| row.slot.as_deref()).collect::<Vec<_>>(), [Some("s"), Some("t")]);
    commit(&store, vec![Change::ActionDead { id: running[0], fault: fault(), at: Millis(1) }]).await;
    commit(&store, vec![Change::CancelSlot("s".to_owned())]).await;
    assert_eq!(store.dead_letters(SHOP, 9).await.expect("reads").len(), 1, "nor what is dead");
}

async fn a_settled_action_leaves(store: Arc<dyn Store>) {
    let added = commit(&store, vec![add(new(update(1))), add(new(update(2)))]).await;
    claim(&store, Side::Amo).await;
    commit(&store, vec![Change::ActionDone(added[0]), Change::ActionDone(ActionId(999))]).await;
    assert_eq!(ids(&named(&store, "update_contact").await), [added[1]]);
    let later = commit(&store, vec![Change::ActionDone(added[1]), add(new(update(3)))]).await;
    assert!(later[0] > added[1], "an id is never given out again");
    commit(&store, vec![retry(added[0]), Change::ActionDead { id: added[1], fault: fault(), at: Millis(1) }]).await;
    assert_eq!(ids(&named(&store, "update_contact").await), later, "what has left does not come back");
    assert!(store.dead_letters(SHOP, 9).await.expect("reads").is_empty());
}

async fn a_retry_waits_with_its_reason(store: Arc<dyn Store>) {
    let added = commit(&store, vec![add(new(update(1)))]).await;
    store.claim(SHOP, Side::Amo, Millis(50), 9).await.expect("claims");
    commit(&store, vec![retry(added[0])]).await;
    assert!(store.claim(SHOP, Side::Amo, Millis(899), 9).await.expect("claims").is_empty());
    assert_eq!(store.next_due(SHOP).await.expect("reads").amo, Some(Millis(900)));
    let again = store.claim(SHOP, Side::Amo, Millis(900), 9).await.expect("claims");
    assert_eq!((again[0].attempts, again[0].in_doubt, again[0].fault.clone()), (2, true, Some(fault())));
    assert_eq!(again[0].first_attempt_at, Some(Millis(50)), "the first attempt, not the last");
}

async fn a_dead_action_can_be_brought_back(store: Arc<dyn Store>) {
    let added = commit(&store, vec![add(new(note(301, "x")))]).await;
    claim(&store, Side::Amo).await;
    let refusal = Fault::new(FaultKind::Throttled { after_ms: Some(5) }, "400");
    commit(&store, vec![Change::ActionDead { id: added[0], fault: refusal, at: Millis(77) }]).await;
    assert!(named(&store, "add_note").await.is_empty());
    let letters = store.dead_letters(SHOP, 9).await.expect("reads");
    let letter = &letters[0];
    assert_eq!((letter.queue, letter.id, letter.what.as_str()), ("outbox", added[0].0, "add_note"));
    assert_eq!((letter.subject.as_str(), letter.reason.as_str()), ("lead:301", "400 (throttled)"));
    assert_eq!((letter.created_at, letter.died_at, letter.attempts), (Millis(10), Millis(77), 0));
    commit(&store, vec![retry(added[0])]).await;
    assert!(store.dead_letters(SHOP, 9).await.expect("reads").is_empty());
    assert_eq!(ids(&claim(&store, Side::Amo).await), added);
}

async fn a_crash_leaves_actions_in_doubt(store: Arc<dyn Store>) {
    commit(&store, vec![add(new(update(1))), add(new(update(2))), add(new(callback(5, "x")))]).await;
    let claimed = store.claim(SHOP, Side::Amo, Millis(50), 1).await.expect("claims");
    assert_eq!(store.rescue("other").await.expect("rescues"), 0);
    assert_eq!(store.rescue(SHOP).await.expect("rescues"), 1);
    assert_eq!(store.rescue(SHOP).await.expect("rescues"), 0);
    let again = claim(&store, Side::Amo).await;
    let doubts: Vec<_> = again.iter().map(|row| (row.id == claimed[0].id, row.in_doubt, row.attempts)).collect();
    assert_eq!(doubts, [(true, true, 0), (false, false, 0)]);
    assert_eq!(again[0].first_attempt_at, Some(Millis(50)));
}

async fn pending_actions_are_found_by_key_and_by_name(store: Arc<dyn Store>) {
    let added = commit(
        &store,
        vec![
            add(new(variables(5, "a"))),
            add(new(update(1))),
            add(new(callback(5, "x"))),
            add(new(load_client(1))),
            add(new(callback(6, "x"))),
            add(new(callback(5, "y"))),
        ],
    )
    .await;
    claim(&store, Side::Amo).await;
    commit(&store, vec![Change::ActionDead { id: added[5], fault: fault(), at: Millis(1) }]).await;
    let keys = ["contact:1".to_owned(), "client:5".to_owned(), "client:7".to_owned(), "client:5".to_owned()];
    assert_eq!(ids(&store.pending(SHOP, &keys).await.expect("reads")), added[..4], "by row, running ones too");
    assert!(store.pending(SHOP, &[]).await.expect("reads").is_empty());
    assert_eq!(ids(&named(&store, "callback").await), [added[2], added[4]]);
    assert_eq!(ids(&store.pending_named(SHOP, "callback", 1).await.expect("reads")), [added[2]]);
}
