//! Marks: hints that are never lost and never cleared by the wrong hand.

use super::{LATE, SHOP, for_every_store};
use salebridge::core::id::{ClientId, ContactId, LeadId};
use salebridge::core::run::{Run, RunKind};
use salebridge::core::time::Millis;
use salebridge::ports::store::{Change, Mark, MarkRow, Store, Subject};
use std::sync::Arc;

for_every_store!(
    marks_come_back_oldest_first,
    a_record_marked_twice_keeps_the_earlier_time,
    a_mark_set_again_is_not_cleared,
    a_revision_is_never_used_twice,
    a_record_marked_twice_keeps_the_first_run,
);

const CONTACT: Subject = Subject::Contact(ContactId(5));

fn mark(subject: Subject, due: i64, attempts: u32) -> Change {
    Change::Mark(Mark { subject, due: Millis(due), attempts, run: None })
}

async fn commit(store: &Arc<dyn Store>, changes: Vec<Change>) {
    store.commit(SHOP, changes).await.expect("commits");
}

async fn marks(store: &Arc<dyn Store>, now: Millis) -> Vec<MarkRow> {
    store.marks_due(SHOP, now, 100).await.expect("reads")
}

async fn marks_come_back_oldest_first(store: Arc<dyn Store>) {
    let lead = Subject::Lead(LeadId(5));
    let client = Subject::Client(ClientId(5));
    commit(&store, vec![mark(CONTACT, 300, 2), mark(lead, 100, 0), mark(client, 200, 0)]).await;
    let found = marks(&store, Millis(200)).await;
    assert_eq!(found.iter().map(|row| row.mark.subject).collect::<Vec<_>>(), [lead, client]);
    assert_eq!(marks(&store, LATE).await[2].mark, Mark { subject: CONTACT, due: Millis(300), attempts: 2, run: None });
    assert_eq!(store.marks_due(SHOP, LATE, 1).await.expect("reads").len(), 1);
    assert!(store.marks_due("other", LATE, 9).await.expect("reads").is_empty());
    assert_eq!(store.next_due(SHOP).await.expect("reads").marks, Some(Millis(100)));
}

async fn a_record_marked_twice_keeps_the_earlier_time(store: Arc<dyn Store>) {
    commit(&store, vec![mark(CONTACT, 500, 3)]).await;
    commit(&store, vec![mark(CONTACT, 200, 0), mark(CONTACT, 900, 7)]).await;
    let found = marks(&store, LATE).await;
    assert_eq!(
        found.iter().map(|row| row.mark).collect::<Vec<_>>(),
        [Mark { subject: CONTACT, due: Millis(200), attempts: 0, run: None }]
    );
    commit(&store, vec![mark(CONTACT, 700, 4)]).await;
    assert_eq!(marks(&store, LATE).await[0].mark.due, Millis(200));
}

async fn a_mark_set_again_is_not_cleared(store: Arc<dyn Store>) {
    commit(&store, vec![mark(CONTACT, 100, 0), mark(Subject::Lead(LeadId(5)), 100, 0)]).await;
    let seen = marks(&store, LATE).await;
    let revision = seen.iter().find(|row| row.mark.subject == CONTACT).expect("is marked").revision;
    commit(&store, vec![mark(CONTACT, 100, 0)]).await;
    commit(&store, vec![Change::Unmark(CONTACT, revision), Change::Unmark(CONTACT, revision + 1000)]).await;
    let again = marks(&store, LATE).await;
    assert_eq!(again.len(), 2);
    let row = again.iter().find(|row| row.mark.subject == CONTACT).expect("is marked still");
    assert!(row.revision > revision);
    commit(&store, vec![Change::Unmark(Subject::Lead(LeadId(5)), row.revision)]).await;
    assert_eq!(marks(&store, LATE).await.len(), 2, "the revision is another record's");
    commit(&store, vec![Change::Unmark(CONTACT, row.revision)]).await;
    assert_eq!(marks(&store, LATE).await.len(), 1);
}

async fn a_revision_is_never_used_twice(store: Arc<dyn Store>) {
    commit(&store, vec![mark(CONTACT, 100, 0)]).await;
    let old = marks(&store, LATE).await[0].revision;
    let put_off = vec![Change::Unmark(CONTACT, old), mark(CONTACT, 900, 1)];
    commit(&store, put_off.clone()).await;
    assert_eq!(marks(&store, LATE).await[0].mark.due, Millis(900), "cleared first, so the later time holds");
    commit(&store, put_off).await;
    let row = marks(&store, LATE).await[0];
    assert!(row.revision > old);
    assert_eq!((row.mark.due, row.mark.attempts), (Millis(900), 1), "someone late clears nothing");
}

async fn a_record_marked_twice_keeps_the_first_run(store: Arc<dyn Store>) {
    let run = |at, kind| Some(Run { at: Millis(at), kind });
    let by = |run, due| Change::Mark(Mark { subject: CONTACT, due: Millis(due), attempts: 0, run });
    let backfill = run(1_795_283_228_007, RunKind::Backfill);
    commit(&store, vec![mark(CONTACT, 500, 0)]).await;
    assert_eq!(marks(&store, LATE).await[0].mark.run, None);
    commit(&store, vec![by(backfill, 400)]).await;
    commit(&store, vec![by(run(1_795_283_229_000, RunKind::Message), 300)]).await;
    commit(&store, vec![mark(CONTACT, 200, 0)]).await;
    let row = marks(&store, LATE).await[0];
    assert_eq!((row.mark.run, row.mark.due), (backfill, Millis(200)));
}
