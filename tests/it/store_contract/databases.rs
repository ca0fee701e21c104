//! What only a server can do: be stopped and started, be used by several at once, be damaged from outside.

use super::{LATE, SHOP, add, body, new, update};
use crate::postgres::{self, Server};
use futures::future::{Future, join_all, poll_immediate};
use salebridge::core::action::Side;
use salebridge::core::id::ClientId;
use salebridge::core::link::ClientLink;
use salebridge::core::model::Client;
use salebridge::core::time::Millis;
use salebridge::ports::store::{Change, NewInbox, Received, Store, StoreError};
use salebridge::store::Access;
use salebridge::store::postgres::{PostgresOptions, PostgresStore};
use sqlx::Executor;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

async fn open(url: &str, access: Access) -> Result<PostgresStore, StoreError> {
    PostgresStore::open(PostgresOptions::new(url, access)).await
}

async fn node(url: &str) -> PostgresStore {
    open(url, Access::Driver).await.expect("opens")
}

async fn refusal(url: &str, access: Access) -> String {
    match open(url, access).await {
        Err(StoreError::Driven(text) | StoreError::Newer(text) | StoreError::Unavailable(text)) => text,
        other => panic!("not refused: {other:?}"),
    }
}

async fn run(url: &str, text: &'static str) {
    postgres::connect(url).await.execute(text).await.expect("runs");
}

/// The database of a test; without PostgreSQL the test ends here.
macro_rules! database {
    () => {
        match postgres::database().await {
            Some(url) => url,
            None => return,
        }
    };
}

#[tokio::test]
async fn migrations_are_applied_once_and_by_those_who_may() {
    let url = database!();
    let text = refusal(&url, Access::Shared).await;
    assert!(text.contains("salebridge migrate"), "{text}");
    // Several nodes may start at once.
    let applied = join_all((0..4).map(|_| PostgresStore::migrate(&url))).await;
    assert!(applied.iter().all(|applied| applied.is_ok()), "{applied:?}");
    assert!(PostgresStore::migrate(&url).await.expect("migrates").is_empty());
    open(&url, Access::Shared).await.expect("opens").close().await;
    let later =
        "INSERT INTO _sqlx_migrations SELECT 4711, 'later', installed_on, true, '', 0 FROM _sqlx_migrations LIMIT 1";
    run(&url, later).await;
    for access in [Access::Driver, Access::Shared] {
        let text = refusal(&url, access).await;
        assert!(text.contains("4711") && text.contains("newer salebridge"), "{text}");
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named_without_the_password() {
    let url = database!();
    let text = refusal(&url.replace("salebridge@", "salebridge:hush@").replace("/test", "/none"), Access::Driver).await;
    assert!(text.contains("none") && !text.contains("hush"), "{text}");
    let text = refusal("postgres://somebody:hush@127.0.0.1:1/sales", Access::Driver).await;
    assert!(text.contains("sales of somebody at 127.0.0.1:1") && !text.contains("hush"), "{text}");
}

#[tokio::test]
async fn every_session_confirms_what_is_on_disk_and_nothing_else() {
    let url = database!();
    run(
        &url,
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$",
    )
    .await;
    let store = node(&url).await;
    store.receive(body(5, 1, 100)).await.expect("receives");
    store.commit(SHOP, vec![add(new(update(1)))]).await.expect("commits");
    // A trigger sees the settings of the session that writes.
    run(
        &url,
        "CREATE TABLE seen (setting TEXT); \
         CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$; \
         CREATE TRIGGER look AFTER INSERT ON inbox EXECUTE FUNCTION look(); \
         CREATE TRIGGER look AFTER INSERT ON outbox EXECUTE FUNCTION look();",
    )
    .await;
    store.receive(body(5, 2, 100)).await.expect("receives");
    store.commit(SHOP, vec![add(new(update(2)))]).await.expect("commits");
    let mut connection = postgres::connect(&url).await;
    let seen: Vec<String> =
        sqlx::query_scalar("SELECT setting FROM seen").fetch_all(&mut connection).await.expect("reads");
    assert_eq!(seen, ["on", "on"]);
    store.close().await;
}

#[tokio::test]
async fn requests_at_the_same_time_share_a_commit() {
    let url = database!();
    let store = node(&url).await;
    join_all((0..64).map(|n| store.receive(body(n, n, 100)))).await;
    let counters = store.counters();
    assert_eq!(counters.commits.load(Ordering::Relaxed), 1);
    assert_eq!(counters.jobs.load(Ordering::Relaxed), 64);
    store.close().await;
}

/// Two nodes get the same bodies in opposite order, over and over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_bodies_at_two_nodes_are_stored_once() {
    let url = database!();
    let (one, two) = (node(&url).await, node(&url).await);
    for round in 0..10 {
        let ids = || round * 100..round * 100 + 100;
        let (a, b) = tokio::join!(
            join_all(ids().map(|n| one.receive(body(n % 7, n, 100)))),
            join_all(ids().rev().map(|n| two.receive(body(n % 7, n, 100)))),
        );
        let stored = a.iter().chain(&b).filter(|answer| matches!(answer, Ok(Received::Stored(_)))).count();
        let known = a.iter().chain(&b).filter(|answer| matches!(answer, Ok(Received::Known))).count();
        assert_eq!((stored, known), (100, 100));
    }
    assert_eq!(one.counts(SHOP).await.expect("reads").inbox, 1000);
    one.close().await;
    two.close().await;
}

#[tokio::test]
async fn commands_work_beside_the_nodes() {
    let url = database!();
    let daemon = node(&url).await;
    daemon.receive(body(5, 1, 100)).await.expect("receives");
    let command = open(&url, Access::Shared).await.expect("opens");
    assert_eq!(command.counts(SHOP).await.expect("reads").inbox, 1);
    command.commit(SHOP, vec![add(new(update(1)))]).await.expect("commits");
    assert_eq!(daemon.claim(SHOP, Side::Amo, LATE, 9).await.expect("claims").len(), 1);
    command.close().await;
    daemon.close().await;
}

#[tokio::test]
async fn a_caller_who_leaves_does_not_undo_it() {
    let url = database!();
    let store = node(&url).await;
    assert!(poll_immediate(store.receive(body(5, 1, 100))).await.is_none());
    assert!(poll_immediate(store.commit(SHOP, vec![add(new(update(1)))])).await.is_none());
    let handle = store.clone();
    drop(handle);
    store.close().await;
    let store = node(&url).await;
    let counts = store.counts(SHOP).await.expect("reads");
    assert_eq!((counts.inbox, counts.outbox), (1, 1));
    store.close().await;
    assert!(matches!(store.receive(body(1, 9999, 100)).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.counts(SHOP).await, Err(StoreError::Unavailable(_))));
}

fn client(id: u64) -> Change {
    let name = Some("Anna Secret".to_owned());
    Change::PutClient(Box::new(ClientLink::new(Client { name, ..Client::unknown(ClientId(id)) })))
}

#[tokio::test]
async fn an_unreadable_row_is_named_without_its_value() {
    let url = database!();
    let store = node(&url).await;
    store.commit(SHOP, vec![client(5), client(6)]).await.expect("commits");
    run(&url, "UPDATE clients SET facts = '{\"n\": \"Anna Secret\", \"c\": \"Secret\"}' WHERE client = 5").await;
    let error = store.clients(SHOP, &[ClientId(6), ClientId(5)]).await.expect_err("is unreadable");
    let StoreError::Unreadable { table, column, row, reason } = &error else { panic!("{error}") };
    assert_eq!((*table, *column, row.as_str()), ("clients", "facts", "5"));
    assert!(!reason.contains("Secret") && !error.to_string().contains("Anna"), "{error}");
    assert_eq!(store.clients(SHOP, &[ClientId(6)]).await.expect("reads").len(), 1);
    let added = store.commit(SHOP, vec![add(new(update(1))), add(new(update(2)))]).await.expect("commits");
    run(&url, "UPDATE outbox SET payload = '{\"do\": \"later\"}' WHERE key = 'contact:1'").await;
    let claimed = store.claim(SHOP, Side::Amo, LATE, 9).await.expect("claims the other");
    assert_eq!(claimed.into_iter().map(|row| row.id).collect::<Vec<_>>(), added[1..]);
    let letters = store.dead_letters(SHOP, 9).await.expect("reads");
    assert_eq!((letters[0].id, letters[0].died_at), (added[0].0, LATE));
    assert!(letters[0].reason.contains("payload") && letters[0].reason.ends_with("(broken)"), "{}", letters[0].reason);
    store.close().await;
}

/// A text with a NUL cannot be stored as it is, and must not stop its neighbours.
#[tokio::test]
async fn a_nul_in_a_key_does_no_harm() {
    let url = database!();
    let store = node(&url).await;
    let odd = NewInbox { dedupe: Some("m\0-1".to_owned()), broken: Some("odd\0".to_owned()), ..body(5, 1, 100) };
    let (odd, good) = tokio::join!(store.receive(odd.clone()), store.receive(body(5, 2, 100)));
    assert!(matches!((odd, good), (Ok(Received::Stored(_)), Ok(Received::Stored(_)))));
    store
        .commit(SHOP, vec![Change::CancelSlot("a\0b".to_owned()), Change::PutText("account", "\0".to_owned())])
        .await
        .expect("commits");
    assert_eq!(store.text(SHOP, "account").await.expect("reads").as_deref(), Some("\0"));
    store.close().await;
}

/// Bodies and commits go on through crashes of the server: what was confirmed is there once, and nothing that was
/// claimed is forgotten as running.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_loses_nothing_that_was_confirmed() {
    let Some(server) = tokio::task::spawn_blocking(Server::start).await.expect("starts") else { return };
    let url = server.database().await;
    // What is confirmed must survive the crash of this server, which runs without syncs but keeps its files.
    let store = Arc::new(node(&url).await);
    let (mut stored, mut added, mut claimed) = (Vec::new(), 0_u64, 0_u64);
    for round in 0..6_u64 {
        let calls = (0..200).map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { (n, store.receive(body(n % 9, round * 1000 + n, 100)).await) })
        });
        let calls: Vec<_> = calls.collect();
        let working = async {
            let recorded = store.commit(SHOP, (0..20).map(|n| add(new(update(round * 100 + n)))).collect()).await;
            let rows = store.claim(SHOP, Side::Amo, LATE, 20).await;
            (recorded, rows)
        };
        let crashing = async {
            if round % 2 == 0 {
                server.crash();
            } else {
                server.stop();
            }
            server.go_on();
        };
        let ((recorded, rows), ()) = tokio::join!(working, crashing);
        added += recorded.map_or(0, |ids| ids.len() as u64);
        let rows = rows.unwrap_or_default();
        claimed += rows.len() as u64;
        let done: Vec<_> = rows.iter().map(|row| Change::ActionDone(row.id)).collect();
        eventually(|| async { store.commit(SHOP, done.clone()).await.is_ok() }).await;
        for call in calls {
            let (n, answer) = call.await.expect("ends");
            if answer.is_ok() {
                stored.push(round * 1000 + n);
            }
        }
    }
    for message in &stored {
        let again =
            eventually_some(|| async { store.receive(body(message % 1000 % 9, *message, 100)).await.ok() }).await;
        assert_eq!(again, Received::Known, "{message} was confirmed");
    }
    // What is left is ready: no claim whose answer was lost still counts as running.
    let counted = eventually_some(|| async {
        let mut connection = postgres::connect(&url).await;
        let text = "SELECT count(*) FILTER (WHERE state = 1), count(*) FROM outbox";
        sqlx::query_as::<_, (i64, i64)>(text).fetch_one(&mut connection).await.ok()
    });
    let (running, left) = counted.await;
    assert_eq!(running, 0);
    assert!(left as u64 >= added.saturating_sub(claimed), "{left} left of {added}, {claimed} done");
    store.close().await;
}

async fn eventually_some<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "not so in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn eventually<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    let mut ask = || {
        let holding = holds();
        async move { holding.await.then_some(()) }
    };
    eventually_some(&mut ask).await;
}

#[tokio::test]
async fn who_lost_its_lease_cannot_write_any_more() {
    let url = database!();
    let (one, two) = (node(&url).await, node(&url).await);
    let first = one.take_lease(SHOP, "one", "host one", 60_000).await.expect("asks").expect("is free");
    assert_eq!(two.take_lease(SHOP, "two", "host two", 60_000).await.expect("asks"), None);
    let driver = one.under(first);
    driver.commit(SHOP, vec![add(new(update(1)))]).await.expect("commits");
    assert_eq!(one.holders().await.expect("asks")[0].at, "host one");
    // It runs out; nobody takes it, so it is still ours.
    one.renew_leases("one", &[(SHOP.to_owned(), first)], -1).await.expect("asks");
    assert!(one.holders().await.expect("asks").is_empty());
    driver.claim(SHOP, Side::Amo, LATE, 9).await.expect("nobody has taken it");
    let second = two.take_lease(SHOP, "two", "host two", 60_000).await.expect("asks").expect("has run out");
    assert!(second > first);
    let refused = [
        driver.commit(SHOP, vec![add(new(update(2)))]).await.map(drop),
        driver.claim(SHOP, Side::Amo, LATE, 9).await.map(drop),
        driver.rescue(SHOP).await.map(drop),
        driver.prune(SHOP, LATE, 9).await.map(drop),
    ];
    assert!(refused.iter().all(|answer| matches!(answer, Err(StoreError::Driven(_)))), "{refused:?}");
    assert!(one.renew_leases("one", &[(SHOP.to_owned(), first)], 60_000).await.expect("asks").is_empty());
    assert!(matches!(driver.receive(body(5, 1, 100)).await, Ok(Received::Stored(_))), "any node takes bodies in");
    let next = two.under(second);
    assert_eq!(next.rescue(SHOP).await.expect("rescues"), 1, "what was claimed is looked up by the next one");
    assert_eq!(next.claim(SHOP, Side::Amo, LATE, 9).await.expect("claims").len(), 1);
    next.give_up_lease(SHOP, second).await.expect("gives up");
    assert!(one.take_lease(SHOP, "one", "host one", 60_000).await.expect("asks").expect("was given up") > second);
    one.close().await;
    two.close().await;
}

#[tokio::test]
async fn a_body_that_a_node_with_a_fast_clock_took_in_is_due_at_once() {
    let url = database!();
    let node = node(&url).await;
    let now = Millis(std::time::UNIX_EPOCH.elapsed().expect("it is later").as_millis().try_into().expect("soon"));
    let ahead = NewInbox { received_at: now.plus(3_600_000), ..body(5, 1, 100) };
    assert!(matches!(node.receive(ahead).await, Ok(Received::Stored(_))));
    let due = node.inbox_due(SHOP, now.plus(5_000), 9, 9).await.expect("reads");
    assert_eq!(due.iter().map(|row| row.received_at).collect::<Vec<_>>(), [now.plus(3_600_000)]);
    node.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_stores_is_heard_by_the_others() {
    let url = database!();
    let (one, two) = (node(&url).await, node(&url).await);
    let (heard, mut bells) = tokio::sync::mpsc::unbounded_channel();
    let listener = two.clone();
    let listening = tokio::spawn(async move {
        listener.listen(|bridge| drop(heard.send(bridge.to_owned()))).await;
    });
    let began = Instant::now();
    let mut message = 0;
    // Until the channel is open nobody hears anything.
    while bells.try_recv().is_err() {
        assert!(began.elapsed() < Duration::from_secs(30), "nothing is heard");
        message += 1;
        one.receive(body(5, message, 100)).await.expect("receives");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    one.commit(SHOP, vec![add(new(update(1)))]).await.expect("commits");
    let heard = tokio::time::timeout(Duration::from_secs(30), bells.recv()).await.expect("is heard");
    assert_eq!(heard.as_deref(), Some(SHOP));
    listening.abort();
    one.close().await;
    two.close().await;
}
