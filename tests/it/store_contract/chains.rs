//! The order of a key: what may be claimed, and when the next claim is worth trying.

use super::{SHOP, add, callback, fault, for_every_store, load_client, new, update, variables};
use salebridge::core::action::{Action, Side};
use salebridge::core::id::ActionId;
use salebridge::core::time::Millis;
use salebridge::ports::remote::Priority;
use salebridge::ports::store::{Change, NewAction, NextDue, OutboxRow, Store};
use std::sync::Arc;

for_every_store!(
    another_name_waits_for_the_one_before,
    the_same_name_goes_along,
    the_same_name_waits_for_one_that_is_not_due,
    a_running_one_holds_its_key,
    a_dead_one_holds_nothing,
    a_key_spans_both_sides,
    urgent_ones_come_first,
    what_stands_before_an_urgent_one_comes_with_it,
    a_limit_never_breaks_an_order,
    the_next_time_is_that_of_the_first_of_a_key,
    nothing_is_due_while_the_first_of_a_key_runs,
    a_claim_finds_something_once_the_next_time_has_come,
);

/// An action with a priority and a time.
fn at(action: Action, priority: Priority, not_before: i64) -> Change {
    add(NewAction { priority, not_before: Millis(not_before), ..new(action) })
}

fn poll(action: Action, not_before: i64) -> Change {
    at(action, Priority::Poll, not_before)
}

async fn commit(store: &Arc<dyn Store>, changes: Vec<Change>) -> Vec<ActionId> {
    store.commit(SHOP, changes).await.expect("commits")
}

async fn claim(store: &Arc<dyn Store>, side: Side, now: i64, rows_max: u32) -> Vec<ActionId> {
    ids(&store.claim(SHOP, side, Millis(now), rows_max).await.expect("claims"))
}

fn ids(rows: &[OutboxRow]) -> Vec<ActionId> {
    rows.iter().map(|row| row.id).collect()
}

async fn next(store: &Arc<dyn Store>) -> NextDue {
    store.next_due(SHOP).await.expect("reads")
}

async fn another_name_waits_for_the_one_before(store: Arc<dyn Store>) {
    let rows =
        commit(&store, vec![poll(variables(5, "a"), 0), poll(callback(5, "x"), 0), poll(callback(6, "x"), 0)]).await;
    assert_eq!(claim(&store, Side::Salebot, 100, 9).await, [rows[0], rows[2]]);
    commit(&store, vec![Change::ActionDone(rows[0])]).await;
    assert_eq!(claim(&store, Side::Salebot, 100, 9).await, [rows[1]]);
}

async fn the_same_name_goes_along(store: Arc<dyn Store>) {
    let changes = vec![
        poll(variables(5, "a"), 0),
        poll(variables(5, "b"), 0),
        poll(callback(5, "x"), 0),
        poll(variables(5, "c"), 0),
    ];
    let rows = commit(&store, changes).await;
    assert_eq!(claim(&store, Side::Salebot, 100, 9).await, rows[..2]);
}

async fn the_same_name_waits_for_one_that_is_not_due(store: Arc<dyn Store>) {
    let rows =
        commit(&store, vec![poll(variables(5, "a"), 0), poll(variables(5, "b"), 50), poll(variables(5, "c"), 0)]).await;
    assert_eq!(claim(&store, Side::Salebot, 49, 9).await, rows[..1]);
    commit(&store, vec![Change::ActionDone(rows[0])]).await;
    assert!(claim(&store, Side::Salebot, 49, 9).await.is_empty());
    assert_eq!(claim(&store, Side::Salebot, 50, 9).await, rows[1..]);
}

async fn a_running_one_holds_its_key(store: Arc<dyn Store>) {
    let rows = commit(&store, vec![poll(variables(5, "a"), 0)]).await;
    claim(&store, Side::Salebot, 100, 9).await;
    let later = commit(&store, vec![poll(variables(5, "b"), 0)]).await;
    assert!(claim(&store, Side::Salebot, 100, 9).await.is_empty());
    let again =
        Change::ActionRetry { id: rows[0], not_before: Millis(200), attempts: 1, in_doubt: false, fault: fault() };
    commit(&store, vec![again]).await;
    assert!(claim(&store, Side::Salebot, 199, 9).await.is_empty(), "it comes after the one that was put off");
    assert_eq!(claim(&store, Side::Salebot, 200, 9).await, [rows[0], later[0]]);
}

async fn a_dead_one_holds_nothing(store: Arc<dyn Store>) {
    let rows = commit(&store, vec![poll(variables(5, "a"), 0), poll(callback(5, "x"), 0)]).await;
    commit(&store, vec![Change::ActionDead { id: rows[0], fault: fault(), at: Millis(1) }]).await;
    assert_eq!(next(&store).await.salebot, Some(Millis(0)));
    assert_eq!(claim(&store, Side::Salebot, 100, 9).await, [rows[1]]);
}

async fn a_key_spans_both_sides(store: Arc<dyn Store>) {
    let rows = commit(&store, vec![poll(update(1), 30), poll(load_client(1), 0)]).await;
    assert!(claim(&store, Side::Salebot, 100, 9).await.is_empty());
    assert_eq!(next(&store).await, NextDue { amo: Some(Millis(30)), ..NextDue::default() });
    assert_eq!(claim(&store, Side::Amo, 100, 9).await, [rows[0]]);
    assert!(claim(&store, Side::Salebot, 100, 9).await.is_empty());
    assert_eq!(next(&store).await, NextDue::default());
    commit(&store, vec![Change::ActionDone(rows[0])]).await;
    assert_eq!(next(&store).await, NextDue { salebot: Some(Millis(0)), ..NextDue::default() });
    assert_eq!(claim(&store, Side::Salebot, 100, 9).await, [rows[1]]);
}

async fn urgent_ones_come_first(store: Arc<dyn Store>) {
    let changes = vec![
        at(update(1), Priority::Background, 0),
        at(update(2), Priority::Poll, 20),
        at(update(3), Priority::Person, 0),
        at(update(4), Priority::Poll, 10),
        at(update(5), Priority::Person, 999),
    ];
    let rows = commit(&store, changes).await;
    assert_eq!(claim(&store, Side::Amo, 100, 2).await, [rows[2], rows[1]], "then by age, not by time");
    assert_eq!(claim(&store, Side::Amo, 100, 9).await, [rows[3], rows[0]]);
    assert!(claim(&store, Side::Amo, 100, 9).await.is_empty());
    assert!(claim(&store, Side::Amo, 999, 0).await.is_empty());
}

async fn what_stands_before_an_urgent_one_comes_with_it(store: Arc<dyn Store>) {
    let changes = vec![
        at(variables(1, "a"), Priority::Poll, 0),
        at(variables(2, "a"), Priority::Background, 0),
        at(variables(3, "a"), Priority::Person, 0),
        at(variables(2, "b"), Priority::Person, 0),
        at(variables(2, "c"), Priority::Background, 0),
    ];
    let rows = commit(&store, changes).await;
    let expected = [rows[2], rows[1], rows[3], rows[0], rows[4]];
    assert_eq!(claim(&store, Side::Salebot, 100, 9).await, expected);
}

async fn a_limit_never_breaks_an_order(store: Arc<dyn Store>) {
    let changes = vec![
        at(variables(2, "a"), Priority::Background, 0),
        at(variables(2, "b"), Priority::Background, 0),
        at(variables(2, "c"), Priority::Person, 0),
        at(variables(3, "a"), Priority::Poll, 0),
    ];
    let rows = commit(&store, changes).await;
    assert_eq!(claim(&store, Side::Salebot, 100, 2).await, rows[..2], "the first two of the urgent one's key");
    assert_eq!(claim(&store, Side::Salebot, 100, 9).await, [rows[3]], "the urgent one waits for those");
    commit(&store, vec![Change::ActionDone(rows[0]), Change::ActionDone(rows[1])]).await;
    assert_eq!(claim(&store, Side::Salebot, 100, 9).await, [rows[2]]);
}

async fn the_next_time_is_that_of_the_first_of_a_key(store: Arc<dyn Store>) {
    assert_eq!(next(&store).await, NextDue::default());
    let rows =
        commit(&store, vec![poll(variables(5, "a"), 80), poll(callback(5, "x"), 10), poll(callback(6, "x"), 90)]).await;
    assert_eq!(next(&store).await, NextDue { salebot: Some(Millis(80)), ..NextDue::default() });
    commit(&store, vec![Change::ActionDone(rows[0])]).await;
    assert_eq!(next(&store).await.salebot, Some(Millis(10)));
    commit(&store, vec![Change::ActionDone(rows[1]), poll(update(1), 70), poll(update(2), 60)]).await;
    assert_eq!(next(&store).await, NextDue { salebot: Some(Millis(90)), amo: Some(Millis(60)), ..NextDue::default() });
    assert_eq!(store.next_due("other").await.expect("reads"), NextDue::default());
}

async fn nothing_is_due_while_the_first_of_a_key_runs(store: Arc<dyn Store>) {
    commit(&store, vec![poll(variables(5, "a"), 0), poll(callback(5, "x"), 0), poll(callback(6, "x"), 90)]).await;
    claim(&store, Side::Salebot, 50, 9).await;
    assert_eq!(next(&store).await.salebot, Some(Millis(90)));
    store.rescue(SHOP).await.expect("rescues");
    assert_eq!(next(&store).await.salebot, Some(Millis(0)));
}

/// An engine that sleeps until the next time and then claims must never spin.
async fn a_claim_finds_something_once_the_next_time_has_come(store: Arc<dyn Store>) {
    let changes = vec![
        poll(update(1), 40),
        poll(load_client(1), 5),
        poll(variables(5, "a"), 25),
        poll(callback(5, "x"), 0),
        poll(update(1), 0),
        poll(variables(5, "b"), 60),
    ];
    commit(&store, changes).await;
    let mut claimed = 0;
    loop {
        let due = next(&store).await;
        let (side, time) = match due {
            NextDue { amo: Some(time), .. } => (Side::Amo, time),
            NextDue { salebot: Some(time), .. } => (Side::Salebot, time),
            _ => break,
        };
        assert!(claim(&store, side, time.0 - 1, 9).await.is_empty(), "nothing is to be had before");
        let rows = claim(&store, side, time.0, 9).await;
        assert!(!rows.is_empty(), "what is announced is there");
        claimed += rows.len();
        commit(&store, rows.into_iter().map(Change::ActionDone).collect()).await;
    }
    assert_eq!(claimed, 6);
}
