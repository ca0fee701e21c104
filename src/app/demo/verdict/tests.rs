//! The verdict sees what a bridge must not do: each promise is broken by hand, in a town without a bridge.

use super::*;
use crate::app::town;
use crate::sandbox::amo::edit::{ContactDraft, LeadDraft};
use crate::sandbox::amo::fixture::FIELD_CLIENT_ID;
use crate::sandbox::amo::records::{Element, ElementKind, FieldValue};
use crate::sandbox::faults::Faults;
use crate::sandbox::town::{Role, TownOptions};

async fn town() -> Town {
    let options = TownOptions { seed: 7, contacts: 20, people: 10, ..TownOptions::new(town::clock()) };
    Town::found(options, Faults::none()).await.expect("free ports")
}

fn broken(town: &Town, triggered: &[u64]) -> Vec<&'static str> {
    Verdict::of_town(town, triggered).broken().iter().map(|row| row.what()).collect()
}

fn write_note(town: &Town, contact: u64, text: &str) {
    let element = Element { kind: ElementKind::Contact, id: contact };
    town.amo(|amo, now_ms| amo.add_note(now_ms, element, 4, text)).expect("the contact is there");
}

/// A regular who has written; person, client and contact.
fn regular_writes(town: &Town, text: &str) -> (i64, u64) {
    town.writes(0, 0, text).expect("a regular");
    (town.enter(0, 0).expect("a regular"), town.cast().people[0].contact.expect("a contact"))
}

const MESSAGES: &str = "messages written = lines in notes";
const DIALOGUES: &str = "dialogues word for word and in order";

#[tokio::test]
async fn a_lost_a_doubled_and_a_misplaced_message_are_seen() {
    let town = town().await;
    let (client, contact) = regular_writes(&town, "раз\nдва");
    assert!(broken(&town, &[]).contains(&MESSAGES), "lost");
    let note = format!("← Telegram 01.01.2026 10:00 [{client}]: раз\nдва");
    write_note(&town, contact, &note);
    let now = broken(&town, &[]);
    assert!(!now.contains(&MESSAGES) && !now.contains(&DIALOGUES), "{now:?}");
    write_note(&town, contact, &note);
    assert!(broken(&town, &[]).contains(&MESSAGES), "doubled");
    town.close().await;
}

#[tokio::test]
async fn a_message_in_another_contact_or_out_of_order_is_seen() {
    let town = town().await;
    let (client, contact) = regular_writes(&town, "раз");
    regular_writes(&town, "два");
    let line = |text: &str| format!("← Telegram 01.01.2026 10:00 [{client}]: {text}");
    write_note(&town, contact, &line("два"));
    write_note(&town, town.cast().contacts[5], &line("раз"));
    let now = broken(&town, &[]);
    assert!(!now.contains(&MESSAGES), "the number is right: {now:?}");
    assert!(now.contains(&DIALOGUES) && now.contains(&"dialogues in a wrong contact"), "{now:?}");
    town.close().await;
}

#[tokio::test]
async fn contacts_made_twice_or_for_a_group_are_seen() {
    let town = town().await;
    let stranger = town.cast().people.iter().position(|person| person.role == Role::Newcomer).expect("a newcomer");
    let client = town.writes(stranger, 0, "я новый").and_then(|_| town.enter(stranger, 0)).expect("a client");
    let one_each = "people who wrote, each with one contact";
    assert!(broken(&town, &[]).contains(&one_each), "missing");
    let draft = || ContactDraft {
        name: "Новый человек".to_owned(),
        phones: town.cast().people[stranger].phone.clone().into_iter().collect(),
        fields: BTreeMap::from([(FIELD_CLIENT_ID, vec![FieldValue::plain(client.to_string())])]),
        ..ContactDraft::default()
    };
    town.amo(|amo, now_ms| amo.add_contact(now_ms, draft()));
    let doubles = "contacts that share a phone, e-mail or client";
    let now = broken(&town, &[]);
    assert!(!now.contains(&one_each) && !now.contains(&doubles), "{now:?}");
    town.amo(|amo, now_ms| amo.add_contact(now_ms, draft()));
    let now = broken(&town, &[]);
    assert!(now.contains(&one_each) && now.contains(&doubles) && now.contains(&"contacts in all"), "{now:?}");

    let group = town.group_chat(77, "Клуб", "всем привет");
    write_note(&town, town.cast().contacts[0], &format!("← Telegram 01.01.2026 10:00 [{group}]: всем привет"));
    let contact = ContactDraft { name: "Клуб".to_owned(), ..ContactDraft::default() };
    town.amo(|amo, now_ms| amo.add_contact(now_ms, contact));
    let now = broken(&town, &[]);
    assert!(now.contains(&"contacts made from group chats") && now.contains(&"notes from group chats"), "{now:?}");
    town.close().await;
}

#[tokio::test]
async fn leads_without_orders_stages_without_callbacks_and_values_apart_are_seen() {
    let town = town().await;
    let contact = town.cast().people[0].contact.expect("a regular");
    let draft =
        LeadDraft { name: "Заказ".to_owned(), contact_ids: vec![contact], price: 100, ..LeadDraft::default() };
    let lead = town.amo(|amo, now_ms| amo.create_lead(now_ms, draft));
    let now = broken(&town, &[lead]);
    for row in [
        "leads of linked people, each one order",
        "bots started by a stage, each once",
        "values of people, equal on both sides",
    ] {
        assert!(now.contains(&row), "{row} in {now:?}");
    }
    town.close().await;
}

#[tokio::test]
async fn an_untouched_town_breaks_no_limit() {
    let town = town().await;
    let now = broken(&town, &[]);
    assert!(!now.contains(&"requests to amoCRM in any second") && !now.contains(&"answers 403"), "{now:?}");
    town.close().await;
}
