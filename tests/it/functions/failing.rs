//! A slow or broken amoCRM: the bot is not kept waiting, and hears of the end.

use super::{Shop, eventually, on_contact};
use crate::version;
use salebridge::sandbox::faults::{Fault, ScriptedFault, ServiceName};
use serde_json::json;

fn gateway(code: u16) -> Fault {
    Fault::Status { code, body: None, retry_after: None }
}

#[tokio::test]
async fn a_slow_amocrm_is_answered_queued_and_called_back() {
    let shop = Shop::acquainted().await;
    shop.town.spoil(ScriptedFault::once(ServiceName::Amo, Fault::Slow { ms: 2_500 }).on("/notes").by("POST"));
    let answer = shop.call("amo_add_contact_notes", json!({ "text": "Позже", "wait": "1" })).await;
    assert_eq!((&answer["ok"], &answer["queued"]), (&json!(1), &json!(1)), "{answer}");
    eventually("the bot is called back", || async { shop.callbacks("amo_function_done amo_add_contact_notes") == 1 })
        .await;
    assert_eq!(shop.notes(on_contact(shop.contact)), ["Позже"]);
    assert_eq!(shop.variable("amo_result_function"), "amo_add_contact_notes");
    assert_eq!(shop.variable("amo_result_ok"), "1");
    assert!(!shop.variable("amo_result_note_id").is_empty());
    let again = shop.call("amo_add_contact_notes", json!({ "text": "Позже" })).await;
    assert_eq!(again["note_id"].to_string(), shop.variable("amo_result_note_id"));
    shop.close().await;
}

#[tokio::test]
async fn what_cannot_be_read_in_time_is_read_later() {
    let shop = Shop::acquainted().await;
    shop.town.spoil(ScriptedFault::once(ServiceName::Amo, gateway(502)).on("/contacts").by("GET").times(3));
    let answer = shop.call("amo_get_contact_info", json!({ "wait": 0 })).await;
    assert_eq!(answer["queued"], 1, "{answer}");
    eventually("the bot has the contact", || async {
        shop.callbacks("amo_function_done amo_get_contact_info") == 1
            && shop.variable("amo_result_contact_id") == shop.contact.to_string()
    })
    .await;
    shop.close().await;
}

#[tokio::test]
async fn a_call_survives_a_restart_while_amocrm_is_away() {
    let mut shop = Shop::acquainted().await;
    shop.town.spoil(ScriptedFault::once(ServiceName::Amo, gateway(503)).times(1_000_000));
    let lead = json!({ "lead_data": { "name": "После сбоя" }, "wait": 0 });
    assert_eq!(shop.call("amo_add_lead", lead.clone()).await["queued"], 1);
    shop.daemon.take().expect("it runs").stop().await;
    shop.town.calm();
    shop.start().await;
    eventually("the lead is made and told", || async {
        shop.lead_count("После сбоя") == 1 && shop.callbacks("amo_function_done amo_add_lead") == 1
    })
    .await;
    let again = shop.call("amo_add_lead", lead).await;
    assert_eq!(again["lead_id"].to_string(), shop.variable("amo_result_lead_id"), "{again}");
    assert_eq!(shop.lead_count("После сбоя"), 1);
    shop.close().await;
}

#[tokio::test]
async fn somebody_elses_edit_in_between_is_kept() {
    let shop = Shop::acquainted().await;
    let lead = shop.lead("Чай");
    // The write is lost; before it is tried again a manager edits the same lead.
    shop.town.spoil(ScriptedFault::once(ServiceName::Amo, gateway(502)).on("/leads").by(version::changing()));
    let call = shop.call("amo_set_tags", json!({ "tags": "бот", "lead_id": lead }));
    let (answer, ()) = futures::future::join(call, async {
        eventually("the first try has failed", || async { shop.town.spoilt() == [1] }).await;
        shop.town.amo(|amo, now_ms| {
            amo.set_lead_tags(now_ms, lead, &["менеджер"]);
            amo.set_lead_price(now_ms, lead, 999);
        });
    })
    .await;
    assert_eq!(answer["ok"], 1, "{answer}");
    let tags = || async { shop.call("amo_get_lead_info", json!({ "lead_id": lead })).await["tags"].clone() };
    eventually("both tags are there", || async { tags().await == "бот, менеджер" }).await;
    assert_eq!(shop.look_lead(lead, |lead| lead.price), 999);
    shop.close().await;
}

#[tokio::test]
async fn what_amocrm_refuses_is_told_and_leaves_no_dead_letter() {
    let shop = Shop::acquainted().await;
    let lead = shop.lead("Чай");
    let answer = shop.call("amo_create_task", json!({ "title": "x", "task_type_id": 99, "lead_id": lead })).await;
    assert_eq!((&answer["ok"], &answer["error"]), (&json!(0), &json!("refused")), "{answer}");
    let fine = shop.call("amo_create_task", json!({ "title": "x", "task_type_id": 2, "lead_id": lead })).await;
    assert_eq!(fine["ok"], 1, "{fine}");
    let counts = shop.daemon.as_ref().expect("it runs").store().counts(salebridge::app::town::BRIDGE).await;
    assert_eq!(counts.expect("reads").dead_letters, 0);
    shop.close().await;
}

#[tokio::test]
async fn an_unknown_name_has_the_account_read_again_but_not_each_time() {
    let shop = Shop::acquainted().await;
    let reads =
        || shop.town.look(|amo, _| amo.request_log().filter(|request| request.path.contains("/account")).count());
    let before = reads();
    for _ in 0..3 {
        let answer = shop.call("amo_set_contact_responsible_user", json!({ "user_id": 99 })).await;
        assert_eq!(answer["error"], "user_not_found", "{answer}");
    }
    assert_eq!(reads(), before + 1);
    shop.close().await;
}
