//! One person and one deal, all the way round; and nothing secret in what the daemon says.

use super::{Place, SECRET, TOKEN, eventually, found_town};
use rstest::rstest;
use salebridge::app::town::TRIGGER;
use salebridge::sandbox::amo::edit::LeadDraft;
use salebridge::sandbox::amo::fixture::{FIELD_LEAD_SOURCE, FIELD_POSITION};
use salebridge::sandbox::faults::{Fault, ScriptedFault, ServiceName};
use salebridge::sandbox::salebot::options::DEFAULT_KEY;
use salebridge::sandbox::salebot::state::OrderStatus;
use salebridge::sandbox::town::Town;
use serde_json::Value;

/// Words that nobody but the two services may keep.
const WORDS: &str = "слова только для двоих";

fn position(town: &Town, contact: u64) -> String {
    town.look(|amo, _| {
        let contact = amo.contact(contact).expect("the contact");
        contact.card.texts(FIELD_POSITION).concat()
    })
}

fn variable(town: &Town, client: i64, name: &str) -> String {
    town.look(|_, salebot| {
        let value = salebot.client(client).and_then(|client| client.variables.get(name));
        value.and_then(Value::as_str).unwrap_or_default().to_owned()
    })
}

/// Every request to amoCRM was one of this version.
fn assert_only_speaks(town: &Town, api: &str) {
    town.look(|amo, _| {
        let routes = &amo.statistics().by_route;
        assert!(!routes.is_empty());
        for route in routes.keys() {
            assert!(route.contains(&format!(" /api/{api}/")), "{route}");
        }
    });
}

#[rstest]
#[tokio::test]
async fn what_a_bot_writes_into_an_order_reaches_the_lead(#[values("v2", "v4")] api: &str) {
    let town = found_town().await;
    let place = Place::of_town(&town).speaking(api);
    let daemon = place.start();
    town.deliver_to(&place.hook(SECRET)).expect("a client");
    place.ready().await;
    let client = town.enter(0, 0).expect("a regular");
    let contact = town.cast().people[0].contact.expect("a regular is a contact");
    let draft =
        LeadDraft {
            name: "Новый заказ".into(), contact_ids: vec![contact], price: 1_200, ..LeadDraft::default()
        };
    let lead = town.amo(|amo, now_ms| amo.create_lead(now_ms, draft));
    let order = || town.look(|_, salebot| salebot.orders(client).last().map(|order| order.id));
    eventually("the lead is an order", || async { order().is_some() }).await;
    place.idle().await;
    let order = order().expect("the order");
    town.salebot(|salebot, _| {
        salebot.set_order_variable(order, "budget", &Value::from(5_000));
        salebot.set_order_variable(order, "source", &Value::from("Бот"))
    });
    town.writes(0, 0, "Да, оформляем.").expect("a regular");
    eventually("the lead has both", || async {
        town.look(|amo, _| {
            let lead = amo.lead(lead).expect("the lead");
            lead.price == 5_000 && lead.card.texts(FIELD_LEAD_SOURCE) == ["Бот"]
        })
    })
    .await;
    place.idle().await;
    assert_eq!(place.status()["dead_letters"], 0);
    assert_only_speaks(&town, api);
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
}

#[rstest]
#[tokio::test]
async fn values_leads_and_triggers_travel_both_ways(#[values("v2", "v4")] api: &str) {
    let town = found_town().await;
    let place = Place::of_town(&town).speaking(api);
    let daemon = place.start();
    town.deliver_to(&place.hook(SECRET)).expect("a client");
    place.ready().await;
    let client = town.enter(0, 0).expect("a regular");
    let contact = town.cast().people[0].contact.expect("a regular is a contact");
    eventually("the client knows its contact", || async {
        variable(&town, client, "amo_contact_id") == contact.to_string()
    })
    .await;

    town.salebot(|salebot, now_ms| salebot.set_variable(now_ms, client, "client.position", "Главный инженер"));
    town.writes(0, 0, WORDS).expect("a regular");
    eventually("the bot's value is in amoCRM", || async {
        position(&town, contact) == "Главный инженер"
    })
    .await;

    town.amo(|amo, now_ms| amo.set_contact_text(now_ms, contact, FIELD_POSITION, "Технический директор"));
    eventually("the manager's value is in Salebot", || async {
        variable(&town, client, "position") == "Технический директор"
    })
    .await;

    let draft =
        LeadDraft {
            name: "Новый заказ".into(), contact_ids: vec![contact], price: 1_200, ..LeadDraft::default()
        };
    let lead = town.amo(|amo, now_ms| amo.create_lead(now_ms, draft));
    let orders_of = |salebot: &salebridge::sandbox::salebot::Salebot| {
        let mark = format!("amoCRM lead {lead}");
        let orders = salebot.orders(client).into_iter().map(|order| (order.state_id, order.variables.clone()));
        orders
            .filter(|(_, variables)| variables.get("Описание") == Some(&Value::from(mark.as_str())))
            .collect::<Vec<_>>()
    };
    eventually("the lead is an order", || async { town.look(|_, salebot| orders_of(salebot).len() == 1) }).await;
    assert_eq!(town.look(|_, salebot| orders_of(salebot)[0].0), Some(35));

    let (pipeline, status, callback) = TRIGGER;
    town.amo(|amo, now_ms| amo.move_lead(now_ms, lead, pipeline, status));
    eventually("the order follows its lead", || async {
        town.look(|_, salebot| orders_of(salebot).iter().all(|(state, _)| *state == Some(37)))
    })
    .await;
    let expected = format!("{callback} {lead}");
    eventually("the bot was started", || async {
        town.look(|_, salebot| {
            salebot.callbacks().any(|callback| callback.client_id == client && callback.text == expected)
        })
    })
    .await;

    place.idle().await;
    assert_only_speaks(&town, api);
    let note = town.look(|amo, _| amo.notes().map(|note| note.words().to_owned()).collect::<Vec<_>>());
    assert!(note.len() == 1 && note[0].contains(WORDS), "one message, one note; the callback is none: {note:?}");
    assert_eq!(daemon.stop().await.code(), Some(0));
    let log = place.logged();
    for secret in [TOKEN, SECRET, DEFAULT_KEY, WORDS, "Технический директор", "+7 999", "7999000"] {
        assert!(!log.contains(secret), "{secret} stands in the log");
    }
    assert!(log.contains("salebridge listens"), "{log}");
    town.close().await;
}

#[rstest]
#[case::kept_back("at_most_once", 1, 1)]
#[case::sent_again("at_least_once", 2, 0)]
#[tokio::test]
async fn a_callback_whose_answer_was_lost(#[case] delivery: &str, #[case] times: usize, #[case] dead_letters: u64) {
    let town = found_town().await;
    let place = Place::of_town(&town);
    let choice = format!("[bridge.salebot]\ncallback_delivery = \"{delivery}\"\n");
    place.write(&place.config.text().replace("[bridge.salebot]\n", &choice));
    let daemon = place.start();
    place.ready().await;
    place.idle().await;
    let client = town.enter(0, 0).expect("a regular");
    let contact = town.cast().people[0].contact.expect("a regular is a contact");
    place.idle().await;
    town.spoil(ScriptedFault::once(ServiceName::Salebot, Fault::LostAnswer).on("/callback"));
    let (pipeline, status, callback) = TRIGGER;
    let orders = town.look(|_, salebot| salebot.orders(client).len());
    let draft = LeadDraft { name: "Счёт".into(), contact_ids: vec![contact], ..LeadDraft::default() };
    let lead = town.amo(|amo, now_ms| amo.create_lead(now_ms, draft));
    eventually("the lead is an order", || async { town.look(|_, salebot| salebot.orders(client).len() == orders + 1) })
        .await;
    place.idle().await;
    town.amo(|amo, now_ms| amo.move_lead(now_ms, lead, pipeline, status));
    let started = || {
        town.look(|_, salebot| {
            salebot.callbacks().filter(|done| done.client_id == client && done.text.starts_with(callback)).count()
        })
    };
    eventually("the callback came, or came again", || async {
        started() == times && place.status()["dead_letters"] == dead_letters
    })
    .await;
    place.idle().await;
    assert_eq!((started(), place.status()["dead_letters"].as_u64()), (times, Some(dead_letters)));
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
}

#[tokio::test]
async fn an_order_that_is_moved_moves_its_lead_and_comes_to_rest() {
    let town = found_town().await;
    let place = Place::of_town(&town);
    let daemon = place.start();
    town.deliver_to(&place.hook(SECRET)).expect("a client");
    place.ready().await;
    place.idle().await;
    let client = town.enter(0, 0).expect("a regular");
    let contact = town.cast().people[0].contact.expect("a regular is a contact");
    let orders = town.look(|_, salebot| salebot.orders(client).len());
    let draft = LeadDraft { name: "Доставка".into(), contact_ids: vec![contact], ..LeadDraft::default() };
    let lead = town.amo(|amo, now_ms| amo.create_lead(now_ms, draft));
    eventually("the lead is an order", || async { town.look(|_, salebot| salebot.orders(client).len() > orders) })
        .await;
    let order = town.look(|_, salebot| salebot.orders(client).last().expect("the order").id);
    place.idle().await;

    let (pipeline, status, callback) = TRIGGER;
    let stage = || town.look(|amo, _| amo.lead(lead).map(|lead| (lead.pipeline_id, lead.status_id)));
    assert!(town.salebot(|salebot, now_ms| salebot.move_order_by_hand(now_ms, order, 37)));
    eventually("the lead follows its order", || async { stage() == Some((pipeline, status)) }).await;
    place.idle().await;
    let started = town.look(|_, salebot| salebot.callbacks().filter(|done| done.text.starts_with(callback)).count());
    assert_eq!(started, 0, "a bot is not told what it did itself");

    town.amo(|amo, now_ms| amo.move_lead(now_ms, lead, 61, 1002));
    let state = || town.look(|_, salebot| salebot.order(order).and_then(|order| order.state_id));
    eventually("the order follows its lead", || async { state() == Some(36) }).await;
    place.idle().await;

    assert!(town.salebot(|salebot, _| salebot.close_order(order, OrderStatus::Won, "")));
    town.writes(0, 0, "Спасибо!").expect("a regular");
    eventually("the lead is won", || async { stage() == Some((pipeline, 142)) }).await;
    place.idle().await;
    assert_eq!((state(), place.status()["dead_letters"].as_u64()), (Some(36), Some(0)));
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
}
