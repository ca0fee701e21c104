//! Bodies: stored once, handed out in the order of the dialogue, dealt with.

use super::{LATE, SHOP, body, for_every_store, hint, stored};
use salebridge::core::id::{ClientId, InboxId, MessageId};
use salebridge::core::time::Millis;
use salebridge::ports::store::{Change, InboxRow, NewInbox, Received, Source, Store, StoreError};
use std::sync::Arc;

for_every_store!(
    a_body_comes_back_as_it_was,
    a_key_is_stored_once_for_a_bridge_and_a_source,
    a_key_outlives_its_body,
    one_of_many_at_once_is_stored,
    dialogues_are_handed_out_whole_and_in_order,
    of_a_held_dialogue_comes_what_is_due,
    bodies_wait_each_until_its_own_time,
    the_clients_that_are_due_first_come_first,
    bodies_of_nobody_come_when_they_are_due,
    a_held_client_waits_and_then_comes_whole,
    a_hold_may_be_shortened,
    a_broken_body_is_a_dead_letter_at_once,
    a_dead_body_is_handed_out_no_more,
    a_dead_body_can_be_tried_again,
    too_many_waiting_bodies_are_refused,
    oversized_bodies_and_ids_are_refused,
    keys_are_pruned_by_age,
);

fn ids(rows: &[InboxRow]) -> Vec<InboxId> {
    rows.iter().map(|row| row.id).collect()
}

async fn due(store: &Arc<dyn Store>, now: i64) -> Vec<InboxId> {
    ids(&store.inbox_due(SHOP, Millis(now), 100, 100).await.expect("reads"))
}

async fn commit(store: &Arc<dyn Store>, change: Change) {
    store.commit(SHOP, vec![change]).await.expect("commits");
}

async fn a_body_comes_back_as_it_was(store: Arc<dyn Store>) {
    let raw = vec![0, 255, b'{', 0, 10];
    let id = stored(&store, NewInbox { body: raw.clone(), source: Source::Amo, ..body(5, 77, 100) }).await;
    let rows = store.inbox_due(SHOP, Millis(100), 1, 1).await.expect("reads");
    let expected = InboxRow {
        id,
        source: Source::Amo,
        client: Some(ClientId(5)),
        message: Some(MessageId(77)),
        received_at: Millis(100),
        held_until: None,
        body: raw,
    };
    assert_eq!(rows, [expected]);
    assert!(store.inbox_due("other", LATE, 9, 9).await.expect("reads").is_empty());
}

async fn a_key_is_stored_once_for_a_bridge_and_a_source(store: Arc<dyn Store>) {
    let first = stored(&store, body(5, 1, 100)).await;
    assert_eq!(store.receive(body(6, 1, 200)).await.expect("receives"), Received::Known);
    let amo = stored(&store, NewInbox { source: Source::Amo, ..body(5, 1, 100) }).await;
    stored(&store, NewInbox { bridge: "other".to_owned(), ..body(5, 1, 100) }).await;
    let second = stored(&store, hint(100)).await;
    let third = stored(&store, hint(100)).await;
    assert!(first < amo && amo < second && second < third, "ids rise in the order of receiving");
}

async fn a_key_outlives_its_body(store: Arc<dyn Store>) {
    let id = stored(&store, body(5, 1, 100)).await;
    let keyless = stored(&store, hint(100)).await;
    commit(&store, Change::InboxDone(vec![id, keyless, InboxId(999)])).await;
    assert!(due(&store, 1000).await.is_empty());
    assert_eq!(store.receive(body(5, 1, 300)).await.expect("receives"), Received::Known);
}

async fn one_of_many_at_once_is_stored(store: Arc<dyn Store>) {
    let calls = (0..64).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.receive(body(n % 4, 1, 100)).await.expect("receives") })
    });
    let mut stored = 0;
    for call in calls.collect::<Vec<_>>() {
        stored += i32::from(call.await.expect("ends") != Received::Known);
    }
    assert_eq!(stored, 1);
    assert_eq!(due(&store, 100).await.len(), 1);
}

async fn dialogues_are_handed_out_whole_and_in_order(store: Arc<dyn Store>) {
    let late = stored(&store, body(5, 3, 300)).await;
    let other = stored(&store, body(4, 9, 120)).await;
    let early = stored(&store, body(5, 1, 110)).await;
    let unnumbered = stored(&store, NewInbox { message: None, dedupe: None, ..body(5, 0, 130) }).await;
    assert_eq!(
        due(&store, 130).await,
        [other, unnumbered, early, late],
        "the first one is due, so all of the client come"
    );
    let two = store.inbox_due(SHOP, Millis(400), 9, 2).await.expect("reads");
    assert_eq!(ids(&two), [other, unnumbered, early], "at most two of a client");
    assert!(due(&store, 109).await.is_empty());
}

async fn of_a_held_dialogue_comes_what_is_due(store: Arc<dyn Store>) {
    let later = stored(&store, body(5, 7, 100)).await;
    let whole = stored(&store, body(6, 8, 100)).await;
    commit(&store, Change::InboxHold(ClientId(5), Millis(500))).await;
    let new = stored(&store, body(5, 9, 200)).await;
    let rows = store.inbox_due(SHOP, Millis(200), 9, 9).await.expect("reads");
    let told: Vec<_> = rows.iter().map(|row| (row.id, row.held_until)).collect();
    assert_eq!(told, [(new, Some(Millis(500))), (whole, None)], "what came before it waits");
    let first = stored(&store, body(5, 6, 210)).await;
    assert_eq!(
        due(&store, 210).await,
        [first, later, new, whole],
        "one that belongs before all others brings them all"
    );
    commit(&store, Change::InboxHold(ClientId(5), Millis(500))).await;
    let more = [stored(&store, body(5, 11, 220)).await, stored(&store, body(5, 12, 230)).await];
    let two = store.inbox_due(SHOP, Millis(230), 9, 1).await.expect("reads");
    assert_eq!(ids(&two), [more[0], whole], "at most one of a client");
    assert_eq!(due(&store, 500).await, [first, later, new, more[0], more[1], whole]);
}

async fn the_clients_that_are_due_first_come_first(store: Arc<dyn Store>) {
    let mut rows = Vec::new();
    for (client, at) in [(1, 300), (2, 100), (3, 200), (2, 400)] {
        rows.push(stored(&store, body(client, at, at as i64)).await);
    }
    let chosen = store.inbox_due(SHOP, Millis(500), 2, 9).await.expect("reads");
    assert_eq!(ids(&chosen), [rows[1], rows[3], rows[2]]);
    assert!(store.inbox_due(SHOP, Millis(500), 0, 9).await.expect("reads").is_empty());
}

async fn bodies_of_nobody_come_when_they_are_due(store: Arc<dyn Store>) {
    let later = stored(&store, hint(300)).await;
    let first = stored(&store, hint(100)).await;
    let client = stored(&store, body(5, 1, 100)).await;
    assert_eq!(due(&store, 200).await, [first, client]);
    assert_eq!(due(&store, 300).await, [later, first, client], "by row, before those of clients");
    assert_eq!(ids(&store.inbox_due(SHOP, Millis(300), 9, 1).await.expect("reads")), [later, client]);
    commit(&store, Change::InboxDone(vec![first])).await;
    assert_eq!(due(&store, 300).await, [later, client]);
}

async fn a_held_client_waits_and_then_comes_whole(store: Arc<dyn Store>) {
    let first = stored(&store, body(5, 1, 100)).await;
    let other = stored(&store, body(6, 2, 100)).await;
    commit(&store, Change::InboxHold(ClientId(5), Millis(500))).await;
    assert_eq!(due(&store, 499).await, [other]);
    assert_eq!(store.next_due(SHOP).await.expect("reads").inbox, Some(Millis(100)));
    let new = stored(&store, body(5, 3, 200)).await;
    assert_eq!(due(&store, 200).await, [new, other], "one received later is due at once");
    commit(&store, Change::InboxHold(ClientId(5), Millis(500))).await;
    assert_eq!(due(&store, 499).await, [other]);
    commit(&store, Change::InboxDone(vec![other])).await;
    assert_eq!(store.next_due(SHOP).await.expect("reads").inbox, Some(Millis(500)));
    assert_eq!(due(&store, 500).await, [first, new]);
}

async fn bodies_wait_each_until_its_own_time(store: Arc<dyn Store>) {
    let rows = [stored(&store, body(5, 1, 100)).await, stored(&store, body(6, 2, 100)).await];
    let dealt_with = stored(&store, body(7, 3, 100)).await;
    commit(&store, Change::InboxDone(vec![dealt_with])).await;
    let until = vec![(rows[0], Millis(300)), (rows[1], Millis(200)), (dealt_with, Millis(150))];
    commit(&store, Change::InboxWait(until)).await;
    assert!(due(&store, 199).await.is_empty());
    assert_eq!(due(&store, 200).await, [rows[1]]);
    assert_eq!(due(&store, 300).await, rows);
    commit(&store, Change::InboxWait(Vec::new())).await;
}

async fn a_hold_may_be_shortened(store: Arc<dyn Store>) {
    let id = stored(&store, body(5, 1, 100)).await;
    commit(&store, Change::InboxHold(ClientId(5), Millis(500))).await;
    commit(&store, Change::InboxHold(ClientId(5), Millis(200))).await;
    assert_eq!(due(&store, 200).await, [id]);
}

async fn a_broken_body_is_a_dead_letter_at_once(store: Arc<dyn Store>) {
    let id = stored(&store, NewInbox { broken: Some("no JSON".to_owned()), ..body(5, 1, 100) }).await;
    assert!(due(&store, 1000).await.is_empty());
    let letters = store.dead_letters(SHOP, 9).await.expect("reads");
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!((letter.queue, letter.id, letter.what.as_str()), ("inbox", id.0, "salebot"));
    assert_eq!((letter.subject.as_str(), letter.reason.as_str()), ("client:5", "no JSON"));
    assert_eq!((letter.created_at, letter.died_at, letter.attempts), (Millis(100), Millis(100), 0));
    assert_eq!(store.receive(body(5, 1, 300)).await.expect("receives"), Received::Known);
    commit(&store, Change::InboxDone(vec![id])).await;
    assert!(store.dead_letters(SHOP, 9).await.expect("reads").is_empty());
    assert_eq!(store.receive(body(5, 1, 300)).await.expect("receives"), Received::Known);
}

async fn a_dead_body_is_handed_out_no_more(store: Arc<dyn Store>) {
    let id = stored(&store, body(5, 1, 100)).await;
    commit(&store, Change::InboxDead(id, "first".to_owned())).await;
    commit(&store, Change::InboxDead(id, "second".to_owned())).await;
    assert!(due(&store, 1000).await.is_empty());
    assert_eq!(store.next_due(SHOP).await.expect("reads").inbox, None);
    let letters = store.dead_letters(SHOP, 9).await.expect("reads");
    assert_eq!(letters.iter().map(|letter| letter.reason.as_str()).collect::<Vec<_>>(), ["second"]);
    commit(&store, Change::InboxDone(vec![id])).await;
    commit(&store, Change::InboxDead(id, "too late".to_owned())).await;
    assert!(store.dead_letters(SHOP, 9).await.expect("reads").is_empty());
}

async fn too_many_waiting_bodies_are_refused(store: Arc<dyn Store>) {
    let mut rows = Vec::new();
    for message in 0..super::ROWS_MAX {
        rows.push(body(message, message, 100));
    }
    let calls: Vec<_> = rows
        .into_iter()
        .map(|body| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.receive(body).await })
        })
        .collect();
    for call in calls {
        call.await.expect("ends").expect("there is room");
    }
    let refusal = store.receive(body(1, 99_999, 100)).await.expect_err("is refused");
    assert!(matches!(&refusal, StoreError::Full(text) if text.contains("shop") && text.contains("3000")), "{refusal}");
    stored(&store, NewInbox { bridge: "other".to_owned(), ..body(1, 99_999, 100) }).await;
    let some = store.inbox_due(SHOP, LATE, 2, 9).await.expect("reads");
    commit(&store, Change::InboxDone(vec![some[0].id])).await;
    commit(&store, Change::InboxDead(some[1].id, "odd".to_owned())).await;
    stored(&store, body(1, 99_999, 100)).await;
    stored(&store, body(1, 99_998, 100)).await;
    store.receive(body(1, 99_997, 100)).await.expect_err("is refused again");
}

async fn oversized_bodies_and_ids_are_refused(store: Arc<dyn Store>) {
    let exact = NewInbox { body: vec![b'x'; 1 << 20], ..body(1, 1, 100) };
    stored(&store, exact.clone()).await;
    let over = NewInbox { body: vec![b'x'; (1 << 20) + 1], ..body(1, 2, 100) };
    store.receive(over).await.expect_err("is refused");
    let odd = NewInbox { client: Some(ClientId(u64::MAX)), ..body(1, 3, 100) };
    store.receive(odd).await.expect_err("is refused");
    let odd = NewInbox { message: Some(MessageId(1 << 63)), ..body(1, 4, 100) };
    store.receive(odd).await.expect_err("is refused");
    let rows = store.inbox_due(SHOP, LATE, 9, 9).await.expect("reads");
    assert_eq!(rows.into_iter().map(|row| row.body.len()).collect::<Vec<_>>(), [1 << 20]);
}

async fn keys_are_pruned_by_age(store: Arc<dyn Store>) {
    let mut done = Vec::new();
    for message in 1..=4 {
        done.push(stored(&store, body(5, message, 100 * message as i64)).await);
    }
    let waiting = stored(&store, body(5, 9, 50)).await;
    let dead = stored(&store, NewInbox { broken: Some("odd".to_owned()), ..body(5, 8, 50) }).await;
    commit(&store, Change::InboxDone(done)).await;
    assert_eq!(store.prune(SHOP, Millis(400), 2).await.expect("prunes"), 2, "the oldest two");
    assert_eq!(store.receive(body(5, 3, 500)).await.expect("receives"), Received::Known);
    assert_eq!(store.prune(SHOP, Millis(400), 9).await.expect("prunes"), 1);
    stored(&store, body(5, 3, 500)).await;
    assert_eq!(store.receive(body(5, 4, 500)).await.expect("receives"), Received::Known, "as old as asked is kept");
    assert_eq!(store.prune("other", LATE, 9).await.expect("prunes"), 0);
    assert_eq!(store.dead_letters(SHOP, 9).await.expect("reads")[0].id, dead.0);
    assert!(due(&store, 1000).await.contains(&waiting));
}

async fn a_dead_body_can_be_tried_again(store: Arc<dyn Store>) {
    let broken = stored(&store, NewInbox { broken: Some("odd".to_owned()), ..body(5, 1, 100) }).await;
    let waiting = stored(&store, body(6, 2, 100)).await;
    let retry = |id| Change::InboxRetry(id, Millis(500));
    // One that is not dead keeps its time; one that is not there is passed over.
    store.commit(SHOP, vec![retry(broken), retry(waiting), retry(InboxId(999))]).await.expect("commits");
    let due = async |now| {
        let rows = store.inbox_due(SHOP, Millis(now), 9, 9).await.expect("reads");
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(due(499).await, [waiting]);
    assert_eq!(due(500).await, [broken, waiting]);
    let counts = store.counts(SHOP).await.expect("reads");
    assert_eq!((counts.inbox, counts.dead_letters), (2, 0));
    store.commit(SHOP, vec![Change::InboxDead(broken, "still odd".to_owned())]).await.expect("commits");
    assert_eq!(store.dead_letters(SHOP, 9).await.expect("reads")[0].reason, "still odd");
    store.commit(SHOP, vec![retry(broken), Change::InboxDone(vec![broken])]).await.expect("commits");
    store.commit(SHOP, vec![retry(broken)]).await.expect("commits");
    assert_eq!(due(500).await, [waiting], "what was dealt with does not come back");
}
