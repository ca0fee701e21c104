//! `backfill` over the real program: without a daemon and beside one, killed, stopped, dry.

use super::{Place, eventually, found_town};
use salebridge::sandbox::amo::edit::LeadDraft;
use salebridge::sandbox::amo::fixture::FIELD_POSITION;
use salebridge::sandbox::town::Town;
use serde_json::Value;
use std::process::{Output, Stdio};

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs the command to its end, off the runtime's threads: the town answers from there.
async fn backfill(place: &Place, arguments: &[&str]) -> Output {
    let mut command = place.command(&[&["backfill"], arguments].concat());
    tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("no panic")
}

fn variable(town: &Town, client: i64, name: &str) -> String {
    town.look(|_, salebot| {
        let value = salebot.client(client).and_then(|client| client.variables.get(name));
        value.and_then(Value::as_str).unwrap_or_default().to_owned()
    })
}

/// Gives the first person a client, and its contact a lead.
fn deal(town: &Town) -> (i64, u64) {
    let client = town.enter(0, 0).expect("a regular");
    let contact = town.cast().people[0].contact.expect("a regular is a contact");
    let draft =
        LeadDraft { name: "Давний заказ".into(), contact_ids: vec![contact], ..LeadDraft::default() };
    town.amo(|amo, now_ms| amo.create_lead(now_ms, draft));
    (client, contact)
}

#[tokio::test]
async fn a_first_import_without_a_daemon_links_writes_and_ends() {
    let town = found_town().await;
    let place = Place::of_town(&town);
    let (client, contact) = deal(&town);
    let newcomer = town.cast().people.iter().rposition(|person| person.contact.is_none()).expect("somebody new");
    let stranger = town.enter(newcomer, 0).expect("somebody new");
    let known = town.amo(|amo, _| amo.contact_count());
    let dry = backfill(&place, &["--dry-run"]).await;
    assert_eq!(dry.status.code(), Some(0), "{}", said(&dry));
    assert_eq!(variable(&town, client, "amo_contact_id"), "", "a dry run writes nothing");
    assert_eq!(town.amo(|amo, _| amo.contact_count()), known);
    assert!(said(&dry).contains("contacts looked at"), "{}", said(&dry));
    assert!(said(&dry).contains("belong together"), "{}", said(&dry));

    let output = backfill(&place, &[]).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(variable(&town, client, "amo_contact_id"), contact.to_string());
    assert_eq!(town.look(|_, salebot| salebot.orders(client).len()), 1, "{}", said(&output));
    let contacts = town.amo(|amo, _| amo.contact_count());
    assert_eq!(contacts, known + 1, "somebody without a contact gets one");
    assert_ne!(variable(&town, stranger, "amo_contact_id"), "");

    // Once more: everything is looked at, nothing is written.
    let writes = town.look(|amo, _| amo.contact(contact).map(|contact| contact.card.updated_at));
    let again = backfill(&place, &["--restart"]).await;
    assert_eq!(again.status.code(), Some(0), "{}", said(&again));
    assert!(!said(&again).contains(" planned"), "{}", said(&again));
    assert_eq!(town.look(|amo, _| amo.contact(contact).map(|contact| contact.card.updated_at)), writes);
    assert_eq!(
        (town.amo(|amo, _| amo.contact_count()), town.look(|_, salebot| salebot.orders(client).len())),
        (contacts, 1)
    );
    assert_eq!(
        place.status()["cursors"]["contacts"]["at"].as_str().map(str::is_empty),
        Some(false),
        "polls go on from here"
    );
    town.close().await;
}

#[tokio::test]
async fn beside_a_daemon_it_mends_what_polls_pass_over() {
    let town = found_town().await;
    let place = Place::of_town(&town);
    let (client, contact) = deal(&town);
    place.write(&place.config.text().replace("reconcile = \"*/5 * * * * *\"", "reconcile = \"0 0 0 1 1 *\""));
    let daemon = place.start();
    place.ready().await;
    eventually("the client knows its contact", || async {
        variable(&town, client, "amo_contact_id") == contact.to_string()
    })
    .await;
    place.idle().await;
    // A bot writes without a word from the person, and nobody looks at clients for a year.
    town.salebot(|salebot, now_ms| salebot.set_variable(now_ms, client, "client.position", "Главбух"));
    let output = backfill(&place, &["--only", "contacts"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(
        said(&output).contains("contacts looked at") && !said(&output).contains("leads looked at"),
        "{}",
        said(&output)
    );
    let held = town.look(|amo, _| amo.contact(contact).expect("the contact").card.texts(FIELD_POSITION).concat());
    assert_eq!(held, "Главбух");
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
}

#[tokio::test]
async fn killed_it_goes_on_where_it_was() {
    let town = found_town().await;
    let place = Place::of_town(&town);
    let (client, contact) = deal(&town);
    for _ in 0..3 {
        let mut command = place.command(&["backfill"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        let requests = town.look(|amo, _| amo.request_log().count());
        eventually("it asks amoCRM", || async { town.look(|amo, _| amo.request_log().count()) > requests + 2 }).await;
        child.kill().expect("it runs");
        child.wait().expect("it ends");
    }
    let output = backfill(&place, &[]).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(variable(&town, client, "amo_contact_id"), contact.to_string());
    assert_eq!(town.look(|_, salebot| salebot.orders(client).len()), 1);
    assert_eq!(place.status()["outbox"], 0);
    town.close().await;
}

#[tokio::test]
async fn wrong_input_names_what_is_right() {
    let town = found_town().await;
    let place = Place::of_town(&town);
    for (arguments, code, words) in [
        (vec!["--only", "deals"], 2, "contacts, leads, clients"),
        (vec!["--since", "yesterday"], 2, "2025-10-09"),
        (vec!["--bridge", "nobody"], 1, "town"),
    ] {
        let output = backfill(&place, &arguments).await;
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        assert!(said(&output).contains(words), "{}", said(&output));
    }
    town.close().await;
}
