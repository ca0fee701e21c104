//! Starting, health, refusing, stopping.

use super::{Place, SECRET, eventually, found_town, free_port, text, town_options};
use salebridge::sandbox::faults::Faults;
use salebridge::sandbox::town::{Town, TownOptions};
use serde_json::Value;
use sqlx::{Connection, Executor, SqliteConnection};
use std::time::{Duration, Instant};

#[tokio::test]
async fn it_waits_for_amocrm_and_becomes_ready_by_itself() {
    let port = free_port();
    let place = Place::new(&format!("http://127.0.0.1:{port}"), "http://127.0.0.1:9");
    let daemon = place.start();
    place.live().await;
    eventually("the reason names the account", || async {
        let Some((503, body)) = place.get("/health/ready").await else { return false };
        let report: Value = serde_json::from_str(&body).expect("JSON");
        let faults = report["reasons"]["town"]["faults"].as_array().cloned().unwrap_or_default();
        report["ready"] == false && faults.iter().any(|fault| fault["part"] == "account")
    })
    .await;
    let options = salebridge::sandbox::town::TownOptions { amo_port: port, ..town_options() };
    let town = Town::found(options, Faults::none()).await.expect("the port is free again");
    place.ready().await;
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
}

#[tokio::test]
async fn pushed_bodies_are_stored_or_turned_away() {
    let place = Place::new("http://127.0.0.1:9", "http://127.0.0.1:9");
    let daemon = place.start();
    place.live().await;
    assert_eq!(place.post(&place.hook("another-secret-0123456789"), b"{}".to_vec()).await, Some(404));
    assert_eq!(place.post(&place.url(&format!("/hooks/salebot/nobody/{SECRET}")), b"{}".to_vec()).await, Some(404));
    assert_eq!(place.post(&place.hook(SECRET), vec![b' '; 1024 * 1024 + 1]).await, Some(413));
    assert_eq!(place.status()["dead_letters"], 0);
    assert_eq!(place.post(&place.hook(SECRET), b"this is no JSON".to_vec()).await, Some(200));
    assert_eq!(place.status()["dead_letters"], 1);
    assert_eq!(daemon.stop().await.code(), Some(0));
    // What was stored is there without the daemon too.
    assert_eq!(place.status()["dead_letters"], 1);
}

/// People of a first import are read once a second here: whoever writes while a daemon restarts must not wait for all of them.
#[tokio::test]
async fn a_stop_waits_for_nobody_who_is_only_read() {
    let options = TownOptions { contacts: 60, people: 60, ..town_options() };
    let town = Town::found(options, Faults::none()).await.expect("free ports");
    let place = Place::of_town(&town);
    let (slow, lively) = ("requests_per_second = 1\n", "requests_per_second = 50\nsave");
    assert!(place.config.text().contains(lively));
    let write = |text: &str| {
        for person in 0..40 {
            town.writes(person, 0, text).expect("a door");
        }
    };
    let daemon = place.start();
    place.ready().await;
    town.deliver_to(&place.hook(SECRET)).expect("a client");
    write("Добрый день");
    place.idle().await;
    assert_eq!(daemon.stop().await.code(), Some(0));

    place.write(&place.config.text().replace(lively, &format!("{slow}save")));
    let daemon = place.start();
    place.ready().await;
    write("И ещё");
    eventually("many wait to be read", || async {
        let (_, body) = place.get("/health/ready").await.expect("it answers");
        let report: Value = serde_json::from_str(&body).expect("JSON");
        report["reasons"]["town"]["lanes"]["salebot"]["waiting"][0].as_u64().is_some_and(|waiting| waiting > 20)
    })
    .await;
    let began = Instant::now();
    assert_eq!(daemon.stop().await.code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}, of forty seconds of reading", began.elapsed());
    let log = place.logged();
    assert!(log.contains("stopped") && !log.contains("did not end in time"), "{log}");

    place.write(&place.config.text());
    let daemon = place.start();
    place.idle().await;
    for text in ["Добрый день", "И ещё"] {
        assert_eq!(town.amo(|amo, _| amo.notes().filter(|note| note.words().contains(text)).count()), 40, "{text}");
    }
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
}

/// systemd starts nothing again that ends with 78.
#[tokio::test]
async fn a_program_older_than_its_database_ends_for_good() {
    let place = Place::new("http://127.0.0.1:9", "http://127.0.0.1:9");
    assert!(place.command(&["migrate"]).output().expect("it runs").status.success());
    let mut database = SqliteConnection::connect(&place.config.store_url).await.expect("opens");
    let later =
        "INSERT INTO _sqlx_migrations SELECT 4711, 'later', installed_on, 1, x'00', 0 FROM _sqlx_migrations LIMIT 1";
    database.execute(later).await.expect("inserts");
    database.close().await.expect("closes");
    let output = place.command(&["run"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output).contains("was used by a newer salebridge"), "{}", text(&output));
}

#[tokio::test]
async fn a_second_daemon_is_refused_with_what_to_do() {
    let place = Place::new("http://127.0.0.1:9", "http://127.0.0.1:9");
    let daemon = place.start();
    place.live().await;

    let same_port = Place::new("http://127.0.0.1:9", "http://127.0.0.1:9");
    same_port.write(&same_port.config.text().replace(&same_port.config.listen, &place.config.listen));
    let output = same_port.command(&["run"]).output().expect("the command runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("set http.listen"), "{}", text(&output));

    let same_file = Place::new("http://127.0.0.1:9", "http://127.0.0.1:9");
    same_file.write(&same_file.config.text().replace(&same_file.config.store_url, &place.config.store_url));
    let output = same_file.command(&["run"]).output().expect("the command runs");
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output).to_lowercase();
    assert!(told.contains("another salebridge") || told.contains("already"), "{told}");

    assert!(place.is_live().await, "the first one is not disturbed");
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn who_works_unheard_is_named_and_not_taken_for_stopped() {
    let place = Place::new("http://127.0.0.1:9", "http://127.0.0.1:9");
    let daemon = place.start();
    place.live().await;
    let told = |arguments: &[&str]| text(&place.command(arguments).output().expect("the command runs"));
    let json = || {
        let output = place.command(&["status", "--json"]).output().expect("the command runs");
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")
    };
    assert_eq!((&json()["running"], &json()["driver"]), (&Value::from(true), &Value::Null));
    // The file is edited, and the daemon not restarted.
    let (old, new) = (format!("127.0.0.1:{}", place.port), format!("127.0.0.1:{}", free_port()));
    place.write(&place.config.text().replace(&old, &new));
    let process = format!("process {}", daemon.child.id());
    let plain = told(&["status"]);
    assert!(plain.contains(&format!("{process} drives this store and does not answer on http.listen")), "{plain}");
    assert!(!plain.contains("nothing is received") && !plain.contains("stopped"), "{plain}");
    assert_eq!((&json()["running"], &json()["driver"]), (&Value::from(false), &Value::from(process)));
    assert_eq!(daemon.stop().await.code(), Some(0));
    let plain = told(&["status"]);
    assert!(plain.contains("nothing is received and nothing is written") && plain.contains("stopped"), "{plain}");
    assert_eq!(json()["driver"], Value::Null);
}

#[tokio::test]
async fn status_tells_what_is_documented() {
    let town = found_town().await;
    let place = Place::of_town(&town);
    let daemon = place.start();
    town.deliver_to(&place.hook(SECRET)).expect("a client");
    place.ready().await;
    place.idle().await;
    eventually("both listings were read", || async {
        let cursors = place.status()["cursors"].clone();
        cursors["contacts"]["at"].is_string() && cursors["leads"]["age_s"].is_i64()
    })
    .await;
    let status = place.status();
    for name in ["inbox", "outbox", "dead_letters", "frozen"] {
        assert!(status[name].is_u64(), "{name} in {status}");
    }
    assert_eq!(status["name"], "town");
    assert!(status["lanes"]["amo"]["state"] == "open" && status["lanes"]["salebot"]["state"] == "open", "{status}");
    eventually("no message from before the start can be missing", || async {
        let status = place.status();
        status["cursors"]["heard"]["at"].is_string() && status["unproven"] == serde_json::json!([])
    })
    .await;

    // A message whose note must wait for its window is work that waits.
    town.writes(0, 0, "Добрый день!").expect("a person");
    eventually("the message is not idleness", || async { place.status()["idle"] == false }).await;
    place.idle().await;
    assert_eq!(town.amo(|amo, _| amo.notes().count()), 1);
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
}
