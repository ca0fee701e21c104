//! The town over real loopback sockets.

use super::*;
use std::sync::atomic::{AtomicI64, Ordering};

fn clock() -> Clock {
    let time = AtomicI64::new(1_779_978_822_500);
    Arc::new(move || time.fetch_add(1, Ordering::Relaxed))
}

async fn town(people: usize) -> Town {
    let options = TownOptions { seed: 7, contacts: 20, people, ..TownOptions::new(clock()) };
    Town::found(options, Faults::none()).await.expect("free ports")
}

#[tokio::test]
async fn regulars_are_clients_before_they_write_and_keep_their_number() {
    let town = town(10).await;
    let regulars = town.cast().people.iter().filter(|person| person.role == Role::Regular).count();
    assert_eq!(town.entered().len(), regulars);
    assert!(regulars > 0);
    let first = town.enter(0, 0);
    assert_eq!(first, town.enter(0, 0));
    assert_eq!(town.enter(0, 9), None);
    assert_eq!(town.writes(99, 0, "nobody"), None);
    town.close().await;
}

#[tokio::test]
async fn what_was_said_is_told_in_order_without_notices() {
    let town = town(10).await;
    let group = town.group_chat(100_200, "Клуб", "в группе");
    town.writes(0, 0, "первое");
    let client = town.enter(0, 0).expect("a client");
    town.salebot(|salebot, now_ms| salebot.operator_answers(now_ms, client, "второе"));
    let said = town.said();
    let words: Vec<&str> = said.iter().map(|said| said.text.as_str()).collect();
    assert_eq!(words, ["в группе", "первое", "второе"]);
    assert_eq!(said.iter().map(|said| said.from_person).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(town.groups(), [group]);
    town.close().await;
}

#[tokio::test]
async fn a_taken_port_is_named_with_its_service() {
    let first = town(0).await;
    let port = first.amo_url().rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port");
    let options = TownOptions { salebot_port: port, ..TownOptions::new(clock()) };
    let error = Town::found(options, Faults::none()).await.err().expect("the port is taken");
    assert_eq!(error.to_string(), format!("Salebot cannot listen on 127.0.0.1:{port}"));
    first.close().await;
}

#[tokio::test]
async fn everyday_life_goes_on_in_both_services() {
    let town = town(10).await;
    let mut chatter = Chatter::seeded(7);
    for number in 0..40 {
        assert!(chatter.somebody_writes(&town, number).is_some());
        chatter.somebody_edits(&town);
    }
    assert!(town.said().len() >= 40);
    assert!(town.amo(|amo, _| amo.lead_count()) > town.cast().leads.len());
    town.close().await;
}
