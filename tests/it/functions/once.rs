//! What makes a record makes one, whatever happens to the call.

use super::{Shop, eventually, on_contact};
use salebridge::sandbox::faults::{Fault, ScriptedFault, ServiceName};
use serde_json::{Value, json};

fn new_lead() -> Value {
    json!({ "lead_data": { "name": "Один", "budget": 5 } })
}

#[tokio::test]
async fn the_same_call_makes_one_record_also_after_a_restart() {
    let mut shop = Shop::acquainted().await;
    let first = shop.call("amo_add_lead", new_lead()).await;
    assert_eq!(first["ok"], 1, "{first}");
    assert_eq!(shop.call("amo_add_lead", new_lead()).await, first);
    shop.restart().await;
    assert_eq!(shop.call("amo_add_lead", new_lead()).await, first);
    assert_eq!(shop.lead_count("Один"), 1);
    let other = shop.call("amo_add_lead", json!({ "lead_data": { "name": "Один", "budget": 6 } })).await;
    assert_ne!(other["lead_id"], first["lead_id"]);
    shop.close().await;
}

#[tokio::test]
async fn calls_at_one_moment_are_one() {
    let shop = Shop::acquainted().await;
    let answers = futures::future::join_all((0..6).map(|_| shop.call("amo_add_lead", new_lead()))).await;
    assert!(answers[0]["lead_id"].is_u64() && answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(shop.lead_count("Один"), 1);
    shop.close().await;
}

#[tokio::test]
async fn a_request_id_tells_calls_apart_and_together() {
    let shop = Shop::acquainted().await;
    let text = |text: &str, request: &str| json!({ "text": text, "request_id": request });
    let first = shop.call("amo_add_contact_notes", text("Раз", "r1")).await;
    assert_eq!(shop.call("amo_add_contact_notes", text("Два", "r1")).await, first);
    let second = shop.call("amo_add_contact_notes", text("Раз", "r2")).await;
    assert_ne!(second["note_id"], first["note_id"]);
    assert_eq!(shop.notes(on_contact(shop.contact)), ["Раз", "Раз"]);
    shop.close().await;
}

#[tokio::test]
async fn a_lost_answer_makes_no_second_record() {
    let shop = Shop::acquainted().await;
    for route in ["/leads", "/notes", "/tasks"] {
        shop.town.spoil(ScriptedFault::once(ServiceName::Amo, Fault::LostAnswer).on(route).by("POST"));
    }
    let lead = shop.call("amo_add_lead", new_lead()).await;
    assert_eq!(lead["ok"], 1, "{lead}");
    let made = || shop.town.look(|amo, _| amo.leads().find(|lead| lead.card.name == "Один").map(|lead| lead.card.id));
    eventually("the lead is there", || async { made().is_some() }).await;
    let id = made().expect("the lead");
    let note = shop.call("amo_add_contact_notes", json!({ "text": "Один раз" })).await;
    let task = shop.call("amo_create_task", json!({ "title": "Один раз", "lead_id": id })).await;
    assert_eq!((&note["ok"], &task["ok"]), (&json!(1), &json!(1)));
    // Found at once, or, where the answer came late, told to the bot.
    let told = |answer: &Value, callback: &str| answer["queued"].is_null() || shop.callbacks(callback) == 1;
    eventually("the bot knows all three", || async {
        told(&lead, "amo_function_done amo_add_lead")
            && told(&note, "amo_function_done amo_add_contact_notes")
            && told(&task, "amo_function_done amo_create_task")
    })
    .await;
    assert_eq!(shop.town.spoilt(), [1, 1, 1], "all three answers were lost");
    assert_eq!(shop.lead_count("Один"), 1);
    assert_eq!(shop.notes(on_contact(shop.contact)), ["Один раз"]);
    assert_eq!(shop.tasks(id).len(), 1);
    assert_eq!(shop.call("amo_add_lead", new_lead()).await["lead_id"], id, "the same call again");
    shop.close().await;
}

#[tokio::test]
async fn calls_of_one_bot_stay_in_order_though_it_does_not_wait() {
    let shop = Shop::open().await;
    // Nobody knows the person yet, so everything waits behind the look for the contact.
    let quick = |name: &'static str, mut arguments: Value| {
        arguments["wait"] = json!(0);
        shop.call(name, arguments)
    };
    quick("amo_add_lead", new_lead()).await;
    quick("amo_set_lead_name", json!({ "name": "Два" })).await;
    quick("amo_set_budget", json!({ "budget": 6 })).await;
    quick("amo_set_budget", json!({ "budget": 7 })).await;
    let state = || {
        shop.town.look(|amo, _| {
            let lead = amo.leads().find(|lead| lead.card.name == "Два" && lead.contact_ids.contains(&shop.contact));
            lead.map(|lead| lead.price)
        })
    };
    eventually("the new lead was renamed and got its budget", || async { state() == Some(7) }).await;
    eventually("the bot was told of each", || async {
        shop.callbacks("amo_function_done amo_set_budget") == 2 && shop.callbacks("amo_function_done amo_add_lead") == 1
    })
    .await;
    assert_eq!(state(), Some(7));
    shop.close().await;
}
