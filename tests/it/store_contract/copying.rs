//! Everything moves from SQLite to PostgreSQL and back, and nothing is changed by it.

use super::{LATE, SHOP, add, body, fault, hint, in_slot, new, note, update, variables};
use crate::postgres;
use salebridge::app::copying::copy;
use salebridge::core::action::Side;
use salebridge::core::id::{ClientId, ContactId, LeadId};
use salebridge::core::link::{ClientLink, ContactSeen};
use salebridge::core::model::Client;
use salebridge::core::people::MatchKey;
use salebridge::core::time::Millis;
use salebridge::ports::store::{Change, Cursor, JournalEntry, Mark, NewInbox, Received, Store, Subject};
use salebridge::store::Access;
use salebridge::store::copying::{Cells, CopySource, TABLES};
use salebridge::store::postgres::{PostgresCopy, PostgresOptions, PostgresStore};
use salebridge::store::sqlite::{SqliteCopy, SqliteOptions, SqliteStore};
use std::collections::BTreeSet;
use std::path::Path;

const ODD: &str = "q\" \0 \u{1}0 ж😀 '";

/// Something in every table, and in every column that may be empty.
async fn fill(store: &dyn Store) {
    for n in 0..5_000 {
        // In one batch after the other.
        store.receive(NewInbox { bridge: format!("{SHOP}{}", n % 3), ..body(n % 50, n, 100) }).await.expect("receives");
    }
    let Ok(Received::Stored(done)) = store.receive(body(7, 9_001, 100)).await else { panic!("is new") };
    store.receive(NewInbox { broken: Some(ODD.to_owned()), body: vec![0, 255, 1], ..hint(5) }).await.expect("receives");
    let link = ClientLink::new(Client { name: Some(ODD.to_owned()), ..Client::unknown(ClientId(5)) });
    let mark = |subject| Change::Mark(Mark { subject, due: Millis(5), attempts: 2, run: None });
    let line = JournalEntry { at: Millis(9), subject: ODD.to_owned(), kind: "done", detail: serde_json::json!(ODD) };
    let changes = vec![
        Change::InboxDone(vec![done]),
        Change::PutClient(Box::new(ClientLink { contact: Some(ContactId(1)), ..link.clone() })),
        Change::PutClient(Box::new(ClientLink { client: Client::unknown(ClientId(6)), ..link })),
        Change::PutContact(ContactSeen { contact: ContactId(1), fingerprint: ODD.to_owned(), version: -3 }),
        Change::PutKeys(ContactId(1), vec![MatchKey::Email(ODD.to_owned())]),
        mark(Subject::Contact(ContactId(1))),
        mark(Subject::Lead(LeadId(2))),
        in_slot(ODD, variables(5, ODD)),
        add(new(update(1))),
        add(new(note(3, "x"))),
        Change::Journal(line),
        Change::PutCursor("contacts", Cursor { at: Millis(1), moved_at: Millis(2) }),
        Change::PutText("account", ODD.to_owned()),
    ];
    let added = store.commit(SHOP, changes).await.expect("commits");
    store.claim(SHOP, Side::Amo, LATE, 1).await.expect("claims");
    let dead = Change::ActionDead { id: added[2], fault: fault(), at: Millis(50) };
    store.commit(SHOP, vec![dead]).await.expect("commits");
}

async fn everything(source: &mut dyn CopySource) -> Vec<(&'static str, Vec<Cells>)> {
    let mut all = Vec::new();
    for table in &TABLES {
        all.push((table.name, source.page(table, None, 100_000).await.expect("reads")));
    }
    all
}

async fn of_file(path: &Path) -> Vec<(&'static str, Vec<Cells>)> {
    everything(&mut SqliteCopy::source(path).await.expect("opens")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_there_and_back_is_the_same() {
    let Some(url) = postgres::database().await else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (first, second) = (folder.path().join("first.db"), folder.path().join("second.db"));
    let (from, back) = (format!("sqlite://{}", first.display()), format!("sqlite://{}", second.display()));
    let store = SqliteStore::open(SqliteOptions::new(&first, Access::Driver)).await.expect("opens");
    fill(&store).await;
    let refused = copy(&from, &url, |_| {}).await.expect_err("a daemon runs on it").to_string();
    assert!(refused.contains("driven by another salebridge"), "{refused}");
    store.close().await;
    let before = of_file(&first).await;

    let copied = copy(&from, &url, |_| {}).await.expect("copies");
    assert!(copied.iter().all(|(name, rows)| *name == "deals" || *rows > 0), "{copied:?}");
    let refused = copy(&from, &url, |_| {}).await.expect_err("is not empty").to_string();
    assert!(refused.contains("not empty"), "{refused}");
    assert_eq!(everything(&mut PostgresCopy::source(&url).await.expect("opens")).await, before);
    copy(&url, &back, |_| {}).await.expect("copies back");
    assert_eq!(of_file(&second).await, before);

    // Rows that come later get ids of their own.
    let store = PostgresStore::open(PostgresOptions::new(&url, Access::Driver)).await.expect("opens");
    assert_eq!(store.receive(body(7, 9_001, 100)).await.expect("receives"), Received::Known);
    assert!(matches!(store.receive(body(7, 9_002, 100)).await, Ok(Received::Stored(_))));
    let added = store.commit(SHOP, vec![add(new(update(9)))]).await.expect("commits");
    assert_eq!(store.pending(SHOP, &["contact:9".to_owned()]).await.expect("reads")[0].id, added[0]);
    store.take_lease(SHOP, "one", "host one", 60_000).await.expect("asks").expect("is free");
    let third = format!("sqlite://{}", folder.path().join("third.db").display());
    let refused = copy(&url, &third, |_| {}).await.expect_err("a node drives it").to_string();
    assert!(refused.contains("host one"), "{refused}");
    store.close().await;
}

/// A column that a later migration adds must not be left behind.
#[tokio::test]
async fn every_column_is_copied() {
    let Some(url) = postgres::database().await else { return };
    PostgresStore::migrate(&url).await.expect("migrates");
    let text = "SELECT table_name::text || '.' || column_name::text FROM information_schema.columns \
         WHERE table_schema = 'public' AND table_name NOT IN ('leases', '_sqlx_migrations')";
    let mut connection = postgres::connect(&url).await;
    let found: Vec<String> = sqlx::query_scalar(text).fetch_all(&mut connection).await.expect("reads");
    // Epochs are about the nodes of this database.
    let found: BTreeSet<String> = found.into_iter().filter(|column| column != "bridges.epoch").collect();
    let copied = TABLES.iter().flat_map(|table| table.columns.iter().map(|(name, _)| format!("{}.{name}", table.name)));
    assert_eq!(found, copied.collect());
}
