//! The planner's choices: no hot query may read a table from end to end.

use super::{Access, SqliteOptions, SqliteStore};
use super::{clock, inbox, links, marks, outbox, prune, reads};
use sqlx::Row;

/// Every statement that runs in a pass, a claim or for a webhook.
const HOT: &[&str] = &[
    clock::BY,
    clock::BODIES,
    clock::MARKS,
    clock::ACTIONS,
    inbox::COUNT_WAITING,
    inbox::DELETE_DONE,
    inbox::EMPTY_DONE,
    inbox::KILL,
    inbox::HOLD,
    inbox::WAIT,
    inbox::RETRY,
    inbox::PRUNE,
    links::CLEAR_KEYS,
    links::FORGET,
    links::UNLINK,
    links::CLIENTS,
    links::CLIENTS_OF,
    links::DEALS,
    links::DEALS_OF,
    links::DEALS_OF_CLIENTS,
    links::LINKED,
    links::DEALS_AFTER,
    links::CONTACTS,
    links::BY_KEY,
    marks::MARK,
    marks::UNMARK,
    marks::DUE,
    outbox::OF_SLOTS,
    outbox::DELETE,
    outbox::CANCEL,
    outbox::RETRY,
    outbox::KILL,
    outbox::RESCUE,
    outbox::CLAIMABLE,
    outbox::SET_RUNNING,
    prune::PRUNE_JOURNAL,
    reads::INBOX_DUE,
    reads::PENDING,
    reads::PENDING_NAMED,
    reads::NEXT_DUE,
    reads::CURSOR,
    reads::CURSORS,
    reads::TEXT,
    reads::JOURNAL,
    reads::DEAD_BODIES,
    reads::DEAD_ACTIONS,
    reads::DEAD_BODY,
    reads::DEAD_ACTION,
    reads::COUNTS,
    reads::WAITING,
];

/// Lists that the statement itself was given, or made and bounded.
const SHORT_LISTS: &[&str] = &[
    "json_each",
    "new VIRTUAL",
    "seen VIRTUAL",
    "held VIRTUAL",
    "due_first",
    "SCAN new",
    "picked",
    "chosen",
    "SCAN i",
    "SCAN o",
    "SCAN b",
    "SCAN (subquery",
    "CONSTANT ROW",
];

async fn plan(store: &SqliteStore, text: &'static str) -> Vec<String> {
    let explained = format!("EXPLAIN QUERY PLAN {text}");
    let mut query = sqlx::query(sqlx::AssertSqlSafe(explained));
    for _ in 0..(1..=9).filter(|number| text.contains(&format!("?{number}"))).count() {
        query = query.bind(None::<i64>);
    }
    let rows = query.fetch_all(&store.readers).await.unwrap_or_else(|error| panic!("{text}: {error}"));
    rows.iter().map(|row| row.get::<String, _>("detail")).collect()
}

#[tokio::test]
async fn hot_queries_use_their_indexes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = SqliteOptions::new(folder.path().join("bridge.db"), Access::Driver);
    let store = SqliteStore::open(options).await.expect("opens");
    for text in HOT {
        for step in plan(&store, text).await {
            let scans = step.starts_with("SCAN") && !SHORT_LISTS.iter().any(|list| step.contains(list));
            assert!(!scans, "{step}\nin {text}");
        }
    }
    store.close().await;
}

/// Orders that must come out of an index: sorting would read a whole backlog for each batch.
#[tokio::test]
async fn limited_queries_stop_early() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = SqliteOptions::new(folder.path().join("bridge.db"), Access::Driver);
    let store = SqliteStore::open(options).await.expect("opens");
    let limited = [
        marks::DUE,
        inbox::PRUNE,
        prune::PRUNE_JOURNAL,
        reads::PENDING_NAMED,
        reads::NEXT_DUE,
        reads::JOURNAL,
        reads::DEAD_BODIES,
        reads::DEAD_ACTIONS,
        links::LINKED,
        links::DEALS_AFTER,
    ];
    for text in limited {
        let steps = plan(&store, text).await;
        assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER BY")), "{steps:#?}\nin {text}");
    }
    let claim = plan(&store, outbox::CLAIMABLE).await;
    let inner = claim.iter().position(|step| step.contains("SCAN picked")).expect("the candidates are listed first");
    assert!(!claim[..inner].iter().any(|step| step.contains("TEMP B-TREE")), "{claim:#?}");
    store.close().await;
}

#[tokio::test]
async fn the_planner_is_asked_in_earnest() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = SqliteOptions::new(folder.path().join("bridge.db"), Access::Driver);
    let store = SqliteStore::open(options).await.expect("opens");
    let steps = plan(&store, "SELECT client FROM clients WHERE facts = ?1").await;
    assert!(steps.iter().any(|step| step.starts_with("SCAN clients")), "{steps:#?}");
    store.close().await;
}
