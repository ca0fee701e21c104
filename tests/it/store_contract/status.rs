//! Numbers and dead letters for the people who look after a bridge.

use super::{LATE, SHOP, add, body, fault, for_every_store, hint, new, stored, update, variables};
use salebridge::core::action::Side;
use salebridge::core::id::{ClientId, ContactId, InboxId};
use salebridge::core::link::ClientLink;
use salebridge::core::model::Client;
use salebridge::core::time::Millis;
use salebridge::ports::store::{ActionState, Change, Counts, DeadContent, Mark, NewAction, NewInbox, Store, Subject};
use std::sync::Arc;

for_every_store!(
    an_unknown_bridge_has_nothing,
    everything_is_counted,
    dead_letters_come_newest_first,
    a_dead_letter_is_shown_with_what_it_holds,
);

async fn an_unknown_bridge_has_nothing(store: Arc<dyn Store>) {
    assert_eq!(store.counts(SHOP).await.expect("reads"), Counts::default());
    assert!(store.dead_letters(SHOP, 9).await.expect("reads").is_empty());
    assert!(store.cursors(SHOP).await.expect("reads").is_empty());
    assert_eq!(store.rescue(SHOP).await.expect("rescues"), 0);
    assert!(store.claim(SHOP, Side::Amo, LATE, 9).await.expect("claims").is_empty());
}

fn link(client: u64, contact: Option<u64>) -> Change {
    let link = ClientLink::new(Client::unknown(ClientId(client)));
    Change::PutClient(Box::new(ClientLink { contact: contact.map(ContactId), ..link }))
}

async fn everything_is_counted(store: Arc<dyn Store>) {
    let first = stored(&store, body(5, 1, 300)).await;
    stored(&store, body(5, 2, 200)).await;
    stored(&store, hint(400)).await;
    stored(&store, NewInbox { broken: Some("odd".to_owned()), ..body(5, 3, 100) }).await;
    let action = |contact, at| add(NewAction { created_at: Millis(at), ..new(update(contact)) });
    let mark =
        |client| Change::Mark(Mark { subject: Subject::Client(ClientId(client)), due: LATE, attempts: 0, run: None });
    let mut changes = vec![action(1, 70), action(2, 50), action(3, 60), mark(5), mark(6), mark(5)];
    changes.extend([link(5, Some(1)), link(6, Some(1)), link(7, None)]);
    let added = store.commit(SHOP, changes).await.expect("commits");
    store.claim(SHOP, Side::Amo, LATE, 1).await.expect("claims");
    let expected = Counts {
        inbox: 3,
        marks: 2,
        outbox: 3,
        dead_letters: 1,
        links: 2,
        inbox_oldest: Some(Millis(200)),
        outbox_oldest: Some(Millis(50)),
    };
    assert_eq!(store.counts(SHOP).await.expect("reads"), expected);
    let dead = Change::ActionDead { id: added[1], fault: fault(), at: Millis(9) };
    store.commit(SHOP, vec![dead, Change::InboxDone(vec![first])]).await.expect("commits");
    let expected = Counts { inbox: 2, outbox: 2, dead_letters: 2, outbox_oldest: Some(Millis(60)), ..expected };
    assert_eq!(store.counts(SHOP).await.expect("reads"), expected);
    assert_eq!(store.counts("other").await.expect("reads"), Counts::default());
}

async fn dead_letters_come_newest_first(store: Arc<dyn Store>) {
    let keyed = stored(&store, NewInbox { broken: Some("odd".to_owned()), ..body(5, 1, 100) }).await;
    let keyless = stored(&store, NewInbox { broken: Some("odd".to_owned()), ..hint(300) }).await;
    let added =
        store.commit(SHOP, vec![add(new(variables(5, "a"))), add(new(variables(6, "a")))]).await.expect("commits");
    let dead = |id, at| Change::ActionDead { id, fault: fault(), at: Millis(at) };
    store.commit(SHOP, vec![dead(added[0], 200), dead(added[1], 300)]).await.expect("commits");
    let found = |letters: Vec<salebridge::ports::store::DeadLetter>| {
        letters.into_iter().map(|letter| (letter.queue, letter.id)).collect::<Vec<_>>()
    };
    let expected = [("inbox", keyless.0), ("outbox", added[1].0), ("outbox", added[0].0), ("inbox", keyed.0)];
    assert_eq!(found(store.dead_letters(SHOP, 9).await.expect("reads")), expected);
    assert_eq!(found(store.dead_letters(SHOP, 2).await.expect("reads")), expected[..2]);
    store.commit(SHOP, vec![Change::InboxDone(vec![keyless]), Change::ActionDone(added[0])]).await.expect("commits");
    assert_eq!(found(store.dead_letters(SHOP, 9).await.expect("reads")), [expected[1], expected[3]]);
    store.commit(SHOP, vec![Change::InboxDead(InboxId(999), "none".to_owned())]).await.expect("commits");
    assert_eq!(store.counts(SHOP).await.expect("reads").dead_letters, 2);
}

async fn a_dead_letter_is_shown_with_what_it_holds(store: Arc<dyn Store>) {
    let broken = NewInbox { broken: Some("odd".to_owned()), body: vec![0, 255, 7], ..body(5, 1, 100) };
    let broken = stored(&store, broken).await;
    let waiting = stored(&store, body(5, 2, 100)).await;
    let added = store.commit(SHOP, vec![add(new(update(1))), add(new(update(2)))]).await.expect("commits");
    store.claim(SHOP, Side::Amo, Millis(150), 1).await.expect("claims");
    let dead = Change::ActionDead { id: added[0], fault: fault(), at: Millis(200) };
    store.commit(SHOP, vec![dead]).await.expect("commits");
    let show = async |queue, id| store.dead_letter(SHOP, queue, id).await.expect("reads");

    let shown = show("inbox", broken.0).await.expect("is there");
    assert_eq!(shown.content, DeadContent::Body(vec![0, 255, 7]));
    let shown_action = show("outbox", added[0].0).await.expect("is there");
    assert_eq!(vec![shown_action.letter.clone(), shown.letter], store.dead_letters(SHOP, 9).await.expect("reads"));
    let DeadContent::Action(row) = shown_action.content else { panic!("{shown_action:?}") };
    assert_eq!((row.id, row.action, row.state), (added[0], update(1), ActionState::Dead));
    assert_eq!((row.first_attempt_at, row.fault), (Some(Millis(150)), Some(fault())));

    for (queue, id) in [("inbox", waiting.0), ("outbox", added[1].0), ("inbox", 999), ("outbox", 999), ("marks", 1)] {
        assert_eq!(show(queue, id).await, None, "{queue} {id}");
    }
    assert_eq!(store.dead_letter("other", "inbox", broken.0).await.expect("reads"), None);
}
