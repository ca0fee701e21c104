//! What only a file can do: be opened twice, crash, fill up, be damaged.

use super::{LATE, SHOP, add, body, new, stored, update, variables};
use futures::future::{join_all, poll_immediate};
use salebridge::core::action::Side;
use salebridge::core::id::{ActionId, ClientId};
use salebridge::core::link::ClientLink;
use salebridge::core::model::Client;
use salebridge::ports::store::{Change, NewInbox, Received, Store, StoreError};
use salebridge::store::sqlite::{Access, SqliteOptions, SqliteStore};
use sqlx::{ConnectOptions, SqliteConnection};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("bridge.db");
    (folder, path)
}

async fn open(path: &Path, access: Access) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(SqliteOptions::new(path, access)).await
}

async fn driver(path: &Path) -> SqliteStore {
    open(path, Access::Driver).await.expect("opens")
}

/// Why a file cannot be opened.
async fn refusal(path: &Path, access: Access) -> String {
    match open(path, access).await {
        Err(StoreError::Driven(text) | StoreError::Newer(text) | StoreError::Unavailable(text)) => text,
        other => panic!("not refused: {other:?}"),
    }
}

/// A connection of our own, to do what the store never would.
async fn raw(path: &Path) -> SqliteConnection {
    sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.expect("connects")
}

async fn run(path: &Path, text: &'static str) {
    sqlx::query(text).execute(&mut raw(path).await).await.expect("runs");
}

fn filler(at: i64) -> NewInbox {
    NewInbox { body: vec![b'x'; 30_000], dedupe: None, ..body(at as u64, at as u64, at) }
}

#[tokio::test]
async fn a_second_daemon_is_refused() {
    let (_folder, path) = folder();
    let first = driver(&path).await;
    let text = refusal(&path, Access::Driver).await;
    assert!(text.contains("bridge.db") && text.contains(&std::process::id().to_string()), "{text}");
    let link = path.with_file_name("link.db");
    std::os::unix::fs::symlink(&path, &link).expect("links");
    assert!(refusal(&link, Access::Driver).await.contains("driven by another"), "by another name too");
    first.close().await;
    driver(&path).await.close().await;
}

#[tokio::test]
async fn commands_work_beside_the_daemon() {
    let (_folder, path) = folder();
    let daemon = driver(&path).await;
    daemon.receive(body(5, 1, 100)).await.expect("receives");
    assert!(SqliteStore::migrate(&path).await.expect("is up to date").is_empty());
    let command = open(&path, Access::Shared).await.expect("opens");
    assert_eq!(command.counts(SHOP).await.expect("reads").inbox, 1);
    command.commit(SHOP, vec![add(new(update(1)))]).await.expect("commits");
    assert_eq!(daemon.claim(SHOP, Side::Amo, LATE, 9).await.expect("claims").len(), 1);
    command.close().await;
    daemon.close().await;
}

#[tokio::test]
async fn a_missing_database_or_folder_is_named() {
    let (_folder, path) = folder();
    let text = refusal(&path, Access::Shared).await;
    assert!(text.contains("bridge.db") && text.contains("salebridge migrate"), "{text}");
    assert!(!path.exists(), "looking makes no file");
    let text = refusal(&path.join("sub").join("bridge.db"), Access::Driver).await;
    assert!(text.contains("does not exist") && text.contains("store.url"), "{text}");
}

#[tokio::test]
async fn migrations_are_applied_once_and_by_those_who_may() {
    let (_folder, path) = folder();
    std::fs::write(&path, b"").expect("writes");
    assert!(refusal(&path, Access::Shared).await.contains("salebridge migrate"));
    assert_eq!(SqliteStore::migrate(&path).await.expect("migrates"), [1, 2, 3]);
    assert!(SqliteStore::migrate(&path).await.expect("migrates").is_empty());
    open(&path, Access::Shared).await.expect("opens").close().await;
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_left_alone() {
    let (_folder, path) = folder();
    SqliteStore::migrate(&path).await.expect("migrates");
    run(
        &path,
        "INSERT INTO _sqlx_migrations SELECT 4711, 'later', installed_on, 1, x'00', 0 FROM _sqlx_migrations LIMIT 1",
    )
    .await;
    for access in [Access::Driver, Access::Shared] {
        let text = refusal(&path, access).await;
        assert!(text.contains("4711") && text.contains("newer salebridge"), "{text}");
    }
    SqliteStore::migrate(&path).await.expect_err("is refused");
}

#[tokio::test]
async fn an_edited_migration_is_noticed() {
    let (_folder, path) = folder();
    SqliteStore::migrate(&path).await.expect("migrates");
    run(&path, "UPDATE _sqlx_migrations SET checksum = x'00'").await;
    assert!(refusal(&path, Access::Driver).await.contains("another migration 1"));
}

#[tokio::test]
async fn the_files_are_for_their_owner_alone() {
    let (_folder, path) = folder();
    let store = driver(&path).await;
    store.receive(body(5, 1, 100)).await.expect("receives");
    for name in ["bridge.db", "bridge.db-wal", "bridge.db-shm", "bridge.db.lock"] {
        let mode = std::fs::metadata(path.with_file_name(name)).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    store.close().await;
}

#[tokio::test]
async fn the_file_is_in_wal_mode() {
    let (_folder, path) = folder();
    driver(&path).await.close().await;
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut raw(&path).await).await.expect("reads");
    assert_eq!(mode, "wal");
}

/// The files as they are at this moment are what a loss of power leaves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_a_crash() {
    let (_folder, path) = folder();
    let store = Arc::new(driver(&path).await);
    let calls = (0..2000).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.receive(body(n % 50, n, 100)).await.expect("receives") })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_ne!(call.await.expect("ends"), Received::Known);
    }
    let (_other, image) = folder();
    for end in ["", "-wal"] {
        std::fs::copy(format!("{}{end}", path.display()), format!("{}{end}", image.display())).expect("copies");
    }
    let after: Arc<dyn Store> = Arc::new(driver(&image).await);
    assert_eq!(after.counts(SHOP).await.expect("reads").inbox, 2000);
    assert_eq!(after.receive(body(1, 1999, 100)).await.expect("receives"), Received::Known);
    store.close().await;
    let again = driver(&path).await;
    assert_eq!(again.counts(SHOP).await.expect("reads").inbox, 2000);
}

#[tokio::test]
async fn a_store_that_is_dropped_finishes_first() {
    let (_folder, path) = folder();
    let store = driver(&path).await;
    let call = poll_immediate(store.receive(body(5, 1, 100))).await;
    assert!(call.is_none(), "it is under way");
    drop(store);
    let deadline = Instant::now() + Duration::from_secs(20);
    let store = loop {
        match open(&path, Access::Driver).await {
            Ok(store) => break store,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(store.counts(SHOP).await.expect("reads").inbox, 1);
    store.close().await;
}

#[tokio::test]
async fn a_caller_who_leaves_does_not_undo_it() {
    let (_folder, path) = folder();
    let store = driver(&path).await;
    assert!(poll_immediate(store.receive(body(5, 1, 100))).await.is_none());
    assert!(poll_immediate(store.commit(SHOP, vec![add(new(update(1)))])).await.is_none());
    store.receive(body(5, 2, 100)).await.expect("receives");
    // Nothing overtakes what was asked for before, but bodies.
    store.commit(SHOP, vec![Change::PutText("account", "known".to_owned())]).await.expect("commits");
    let counts = store.counts(SHOP).await.expect("reads");
    assert_eq!((counts.inbox, counts.outbox), (2, 1));
    store.close().await;
}

#[tokio::test]
async fn closing_serves_what_waits_and_refuses_the_rest() {
    let (_folder, path) = folder();
    let store = driver(&path).await;
    // All of them wait for the writer before the end is asked for: the runtime would let a task do so much only in turns.
    let calls = tokio::task::unconstrained(join_all((0..600).map(|n| store.receive(body(n, n, 100)))));
    let (answers, ()) = tokio::join!(calls, store.close());
    assert!(answers.iter().all(Result::is_ok));
    store.close().await;
    assert!(matches!(store.receive(body(1, 9999, 100)).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.counts(SHOP).await, Err(StoreError::Unavailable(_))));
    let store = driver(&path).await;
    assert_eq!(store.counts(SHOP).await.expect("reads").inbox, 600);
    store.close().await;
}

/// On one thread everything below is asked for before the writer has its turn.
#[tokio::test]
async fn requests_at_the_same_time_share_a_commit() {
    let (_folder, path) = folder();
    let store = driver(&path).await;
    join_all((0..64).map(|n| store.receive(body(n, n, 100)))).await;
    let counters = store.counters();
    assert_eq!(counters.commits.load(Ordering::Relaxed), 1);
    assert_eq!(counters.jobs.load(Ordering::Relaxed), 64);
    let (first, second, received, claimed) = tokio::join!(
        store.commit(SHOP, vec![add(new(update(3)))]),
        store.commit(SHOP, vec![add(new(update(4)))]),
        store.receive(body(1, 1001, 100)),
        store.claim(SHOP, Side::Amo, LATE, 9),
    );
    let added: Vec<ActionId> = [first, second].into_iter().flat_map(|added| added.expect("commits")).collect();
    received.expect("receives");
    assert_eq!(claimed.expect("claims").into_iter().map(|row| row.id).collect::<Vec<_>>(), added);
    assert_eq!(counters.commits.load(Ordering::Relaxed), 3, "bodies before, the rest together");
    assert_eq!(store.queued(), 0);
    store.close().await;
}

#[tokio::test]
async fn a_request_that_fails_takes_nobody_with_it() {
    let (_folder, path) = folder();
    let store = driver(&path).await;
    let counters = store.counters();
    let unstorable = Change::ForgetContact(salebridge::core::id::ContactId(u64::MAX));
    let (bad, good, received, claimed) = tokio::join!(
        store.commit(SHOP, vec![add(new(update(1))), unstorable]),
        store.commit(SHOP, vec![add(new(update(2)))]),
        store.receive(body(1, 1000, 100)),
        store.claim(SHOP, Side::Amo, LATE, 9),
    );
    assert_eq!(counters.commits.load(Ordering::Relaxed), 3, "the body, and each of the others by itself");
    assert_eq!(counters.failures.load(Ordering::Relaxed), 2, "together, and the one that cannot be stored");
    bad.expect_err("cannot be stored");
    let added = good.expect("is none of its business");
    received.expect("is none of its business");
    assert_eq!(claimed.expect("claims").into_iter().map(|row| row.id).collect::<Vec<_>>(), added);
    assert_eq!(store.queued(), 0);
    store.close().await;
}

#[tokio::test]
async fn a_full_disk_is_reported_and_survived() {
    let (_folder, path) = folder();
    let mut options = SqliteOptions::new(&path, Access::Driver);
    options.size_max_bytes = Some(1 << 20);
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(options).await.expect("opens"));
    let mut rows = Vec::new();
    let error = loop {
        assert!(rows.len() < 100, "it never fills up");
        match store.receive(filler(rows.len() as i64)).await {
            Ok(Received::Stored(id)) => rows.push(id),
            Ok(Received::Known) => panic!("it has no key"),
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, StoreError::Full(text) if text.contains("bridge.db")), "{error}");
    assert_eq!(store.counts(SHOP).await.expect("reads").inbox, rows.len() as u64, "reading goes on");
    let long = Change::PutText("account", "x".repeat(100_000));
    let (small, large) =
        tokio::join!(store.commit(SHOP, vec![add(new(variables(5, "a")))]), store.commit(SHOP, vec![long.clone()]),);
    assert!(matches!(large, Err(StoreError::Full(_))));
    assert!(matches!(small, Err(StoreError::Full(_))), "they share a commit, so they share its failure");
    store.commit(SHOP, vec![Change::InboxDone(rows[..20].to_vec())]).await.expect("makes room");
    store.commit(SHOP, vec![long]).await.expect("there is room");
    let id = stored(&store, filler(1)).await;
    assert!(id > rows[rows.len() - 1]);
    let counts = store.counts(SHOP).await.expect("reads");
    assert_eq!((counts.inbox, counts.outbox), (rows.len() as u64 - 19, 0));
}

fn client(id: u64) -> Change {
    let name = Some("Anna Secret".to_owned());
    Change::PutClient(Box::new(ClientLink::new(Client { name, ..Client::unknown(ClientId(id)) })))
}

#[tokio::test]
async fn an_unreadable_row_is_named_without_its_value() {
    let (_folder, path) = folder();
    let store = driver(&path).await;
    store.commit(SHOP, vec![client(5), client(6)]).await.expect("commits");
    run(&path, "UPDATE clients SET facts = '{\"n\": \"Anna Secret\", \"c\": \"Secret\"}' WHERE client = 5").await;
    let error = store.clients(SHOP, &[ClientId(6), ClientId(5)]).await.expect_err("is unreadable");
    let StoreError::Unreadable { table, column, row, reason } = &error else { panic!("{error}") };
    assert_eq!((*table, *column, row.as_str()), ("clients", "facts", "5"));
    assert!(!reason.contains("Secret") && !error.to_string().contains("Anna"), "{error}");
    assert_eq!(store.clients(SHOP, &[ClientId(6)]).await.expect("reads").len(), 1);
    run(&path, "UPDATE clients SET facts = '{', contact = -1 WHERE client = 6").await;
    assert!(store.clients(SHOP, &[ClientId(6)]).await.expect_err("is unreadable").to_string().contains("broken JSON"));
    store.close().await;
}

#[tokio::test]
async fn an_unreadable_action_becomes_a_dead_letter() {
    let (_folder, path) = folder();
    let store = driver(&path).await;
    let added = store.commit(SHOP, vec![add(new(update(1))), add(new(update(2)))]).await.expect("commits");
    run(&path, "UPDATE outbox SET payload = '{\"do\": \"later\"}' WHERE key = 'contact:1'").await;
    let claimed = store.claim(SHOP, Side::Amo, LATE, 9).await.expect("claims the other");
    assert_eq!(claimed.into_iter().map(|row| row.id).collect::<Vec<_>>(), added[1..]);
    let letters = store.dead_letters(SHOP, 9).await.expect("reads");
    assert_eq!((letters[0].id, letters[0].died_at), (added[0].0, LATE));
    assert!(letters[0].reason.contains("payload") && letters[0].reason.ends_with("(broken)"), "{}", letters[0].reason);
    store.close().await;
}
