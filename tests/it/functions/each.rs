//! Each of the eighteen, and what it leaves in amoCRM.

use super::{Shop, eventually, on_contact, on_lead};
use salebridge::app::town::TRIGGER;
use salebridge::sandbox::amo::fixture::{
    FIELD_LEAD_DELIVERY, FIELD_LEAD_SOURCE, FIELD_PHONE, FIELD_POSITION, PIPELINE_SERVICE, USER_SALES, USER_SUPPORT,
};
use serde_json::{Value, json};

fn is_ok(answer: &Value) {
    assert_eq!((&answer["ok"], &answer["queued"]), (&json!(1), &Value::Null), "{answer}");
}

#[tokio::test]
async fn one_conversation_from_a_new_lead_to_its_end() {
    let shop = Shop::acquainted().await;
    let made = shop
        .call("amo_add_lead", json!({ "lead_data": format!(r#"{{"name": "Новый ЛИД", "budget": "1500", "responsible_id": {USER_SALES}}}"#) }))
        .await;
    is_ok(&made);
    let lead = made["lead_id"].as_u64().expect("an id");
    assert_eq!(made["contact_id"], shop.contact);
    shop.look_lead(lead, |lead| {
        assert_eq!((lead.card.name.as_str(), lead.price), ("Новый ЛИД", 1500));
        assert_eq!((lead.card.responsible_user_id, &lead.contact_ids), (USER_SALES, &vec![shop.contact]));
    });
    // None of what follows names the lead.
    is_ok(&shop.call("amo_set_lead_name", json!({ "name": "Чай оптом", "lead_id": "None" })).await);
    let moved = shop.call("amo_change_state", json!({ "status_id": "1002", "lead_id": "", "pipeline_id": null })).await;
    assert_eq!((&moved["status_id"], &moved["pipeline_id"]), (&json!(1002), &json!(61)), "{moved}");
    is_ok(&shop.call("amo_set_budget", json!({ "budget": "2 500" })).await);
    let task = shop
        .call(
            "amo_create_task",
            json!({ "args": ["Перезвонить", USER_SUPPORT.to_string(), "30", "2", "#{amo_lead_id}"] }),
        )
        .await;
    is_ok(&task);
    let tags = shop.call("amo_set_tags", json!({ "tags": "опт, чай" })).await;
    assert_eq!(tags["tags"], "опт, чай");
    is_ok(&shop.call("amo_set_tags", json!({ "tags": "Опт,срочно" })).await);
    is_ok(&shop.call("amo_add_notes", json!({ "text": "Две\nстроки" })).await);
    is_ok(&shop.call("amo_set_contact_name", json!({ "args": ["Жюль", "Тестов"] })).await);
    is_ok(&shop.call("amo_set_lead_responsible_user", json!({ "responsible_user_id": USER_SUPPORT })).await);
    is_ok(&shop.call("amo_set_contact_responsible_user", json!({ "user_id": USER_SALES })).await);
    shop.look_lead(lead, |lead| {
        let card = &lead.card;
        assert_eq!((card.name.as_str(), lead.status_id, lead.price), ("Чай оптом", 1002, 2500));
        assert_eq!(card.responsible_user_id, USER_SUPPORT);
    });
    let info = shop.call("amo_get_lead_info", json!({})).await;
    assert_eq!(info["tags"], "опт, срочно, чай", "added, and none twice");
    assert_eq!(shop.tasks(lead), [("Перезвонить".to_owned(), 2, USER_SUPPORT)]);
    assert_eq!(shop.notes(on_lead(lead)), ["Две\nстроки"]);
    shop.look_contact(|contact| {
        assert_eq!((contact.first_name.as_str(), contact.last_name.as_str()), ("Жюль", "Тестов"));
        assert_eq!(contact.card.responsible_user_id, USER_SALES);
    });
    eventually("the bot knows its new lead", || async { shop.variable("amo_lead_id") == lead.to_string() }).await;
    assert_eq!(shop.callbacks("amo_function_done amo_add_lead"), 0, "it had its answer");
    shop.close().await;
}

#[tokio::test]
async fn fields_are_written_and_read_by_number_and_by_name() {
    let shop = Shop::acquainted().await;
    let lead = shop.lead("Чай");
    let fields = json!({ FIELD_LEAD_SOURCE.to_string(): "Бот", "Доставка": "Курьер" }).to_string();
    is_ok(&shop.call("amo_add_lead_custom_fields", json!({ "args": [fields, "''", lead.to_string()] })).await);
    shop.look_lead(lead, |lead| {
        assert_eq!(lead.card.texts(FIELD_LEAD_SOURCE), ["Бот"]);
        assert_eq!(lead.card.texts(FIELD_LEAD_DELIVERY), ["Курьер"]);
    });
    is_ok(&shop.call("amo_add_lead_custom_fields", json!({ "args": [FIELD_LEAD_SOURCE, "Сайт", lead] })).await);
    let source = shop.call("amo_get_lead_custom_field", json!({ "var_id": "Источник", "lead_id": lead })).await;
    assert_eq!((&source["value"], &source["lead_id"]), (&json!("Сайт"), &json!(lead)), "{source}");
    let empty = shop.call("amo_get_lead_custom_field", json!({ "var_id": "Скидка", "lead_id": lead })).await;
    assert_eq!((&empty["ok"], &empty["value"]), (&json!(1), &json!("")));

    let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let before = shop.look_contact(|contact| owned(contact.card.texts(FIELD_PHONE)));
    let values = json!({ FIELD_POSITION.to_string(): "Инженер", FIELD_PHONE.to_string(): "+7 999 000-99-99" });
    is_ok(&shop.call("amo_add_contact_custom_fields", json!({ "fields": values })).await);
    shop.look_contact(|contact| {
        assert_eq!(contact.card.texts(FIELD_POSITION), ["Инженер"]);
        let phones = owned(contact.card.texts(FIELD_PHONE));
        assert!(phones.len() == before.len() + 1 && phones.starts_with(&before), "{phones:?}");
    });
    let position = shop.call("amo_get_contact_custom_field", json!({ "field": FIELD_POSITION })).await;
    assert_eq!((&position["value"], &position["contact_id"]), (&json!("Инженер"), &json!(shop.contact)));
    shop.close().await;
}

#[tokio::test]
async fn records_are_told_flat() {
    let shop = Shop::acquainted().await;
    let lead = shop.lead("Чай");
    shop.town.amo(|amo, now_ms| amo.set_lead_text(now_ms, lead, FIELD_LEAD_SOURCE, "Сайт"));
    let info = shop.call("amo_get_lead_info", json!({})).await;
    let expected = json!({ "ok": 1, "lead_id": lead, "name": "Чай", "budget": 100, "status_id": 1001,
        "status": "Первичный контакт", "pipeline_id": 61, "pipeline": "Воронка", "contact_id": shop.contact, "is_closed": 0 });
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(&info[name], value, "{name}: {info}");
    }
    assert_eq!(info[format!("field_{FIELD_LEAD_SOURCE}")], "Сайт");
    let person = shop.call("amo_get_contact_info", json!({})).await;
    assert_eq!(person["name"], shop.look_contact(|contact| contact.card.name.clone()));
    assert!(
        person["phone"].as_str().is_some_and(|phone| !phone.is_empty())
            && person["lead_ids"].as_str().is_some_and(|ids| ids.contains(&lead.to_string())),
        "{person}"
    );
    let nested = |answer: &Value| {
        answer.as_object().expect("an object").values().any(|value| value.is_object() || value.is_array())
    };
    assert!(!nested(&info) && !nested(&person));
    shop.close().await;
}

#[tokio::test]
async fn a_named_record_is_the_one_that_is_meant() {
    let shop = Shop::acquainted().await;
    let (first, second) = (shop.lead("Первая"), shop.lead("Вторая"));
    let other = shop.town.cast().people[2].contact.expect("another regular");
    is_ok(&shop.call("amo_set_budget", json!({ "budget": 7, "lead_id": first })).await);
    assert_eq!((shop.look_lead(first, |lead| lead.price), shop.look_lead(second, |lead| lead.price)), (7, 100));
    is_ok(
        &shop
            .call("amo_change_state", json!({ "status_id": 2001, "lead_id": first, "pipeline_id": PIPELINE_SERVICE }))
            .await,
    );
    assert_eq!(shop.look_lead(first, |lead| (lead.pipeline_id, lead.status_id)), (PIPELINE_SERVICE, 2001));
    is_ok(&shop.call("amo_add_contact_notes", json!({ "text": "Чужому", "contact_id": other })).await);
    is_ok(&shop.call("amo_add_contact_notes", json!({ "text": "Своему" })).await);
    assert_eq!(shop.notes(on_contact(other)), ["Чужому"]);
    assert_eq!(shop.notes(on_contact(shop.contact)), ["Своему"]);
    is_ok(&shop.call("amo_set_tags", json!({ "tags": "новый", "lead_id": second, "mode": "replace" })).await);
    let last = shop.call("amo_set_contact_name", json!({ "args": ["Анна", "", other] })).await;
    assert_eq!(last["contact_id"], other);
    let names = shop.town.look(|amo, _| amo.contact(other).map(|contact| contact.first_name.clone()));
    assert_eq!(names.as_deref(), Some("Анна"));
    shop.close().await;
}

#[tokio::test]
async fn somebody_unknown_becomes_a_contact_with_a_lead() {
    let shop = Shop::open().await;
    let newcomer = shop.town.enter(1, 0).expect("a newcomer");
    assert!(shop.town.cast().people[1].contact.is_none());
    let body = json!({ "client_id": newcomer, "name": "Первый заказ" }).to_string();
    let (status, _) = shop.send("amo_add_lead", body.clone()).await;
    assert_eq!(status, 200);
    let made = || {
        shop.town.look(|amo, _| {
            let lead = amo.leads().find(|lead| lead.card.name == "Первый заказ")?;
            Some((lead.card.id, lead.contact_ids.clone()))
        })
    };
    eventually("the lead has a contact", || async { made().is_some() }).await;
    let (lead, contacts) = made().expect("the lead");
    let variable = |name: &str| {
        shop.town.look(|_, salebot| {
            let value = salebot.client(newcomer).and_then(|client| client.variables.get(name));
            value.and_then(Value::as_str).unwrap_or_default().to_owned()
        })
    };
    eventually("the bot knows contact and lead", || async {
        variable("amo_contact_id") == contacts[0].to_string() && variable("amo_lead_id") == lead.to_string()
    })
    .await;
    let (_, again) = shop.send("amo_add_lead", body).await;
    assert_eq!(again["lead_id"], lead, "{again}");
    assert_eq!(shop.lead_count("Первый заказ"), 1);
    shop.close().await;
}

#[tokio::test]
async fn a_bots_own_move_starts_no_trigger_and_moves_the_order() {
    let shop = Shop::acquainted().await;
    let made = shop.call("amo_add_lead", json!({ "name": "Заказ" })).await;
    let lead = made["lead_id"].as_u64().expect("an id");
    let order = || shop.town.look(|_, salebot| salebot.orders(shop.client).last().and_then(|order| order.state_id));
    eventually("the lead is an order", || async { order() == Some(35) }).await;
    // The stage of the configured trigger.
    is_ok(&shop.call("amo_change_state", json!({ "status_id": 1003 })).await);
    eventually("the order follows", || async { order() == Some(37) }).await;
    assert_eq!(shop.callbacks(&format!("amo_invoice_stage {lead}")), 0, "its own move is no news");
    shop.close().await;
}

/// Between two polls, so that no listing ever shows the lead where the bot put it.
#[tokio::test]
async fn a_manager_who_undoes_a_bots_move_at_once_starts_the_trigger() {
    let shop = Shop::acquainted().await;
    let (pipeline, status, callback) = TRIGGER;
    let lead = shop.lead("Заказ");
    shop.town.amo(|amo, now_ms| amo.move_lead(now_ms, lead, pipeline, status));
    let order = || shop.town.look(|_, salebot| salebot.orders(shop.client).last().and_then(|order| order.state_id));
    eventually("the order stands where the lead does", || async { order() == Some(37) }).await;
    let told = format!("{callback} {lead}");
    let before = shop.callbacks(&told);
    for round in 1..=2 {
        // amoCRM tells times in seconds: within one, nobody could say who came first.
        let moved_at = shop.look_lead(lead, |lead| lead.card.updated_at);
        eventually("a second is over", || async { shop.town.now_ms() / 1_000 > moved_at }).await;
        is_ok(&shop.call("amo_change_state", json!({ "status_id": 1001 })).await);
        shop.town.amo(|amo, now_ms| amo.move_lead(now_ms, lead, pipeline, status));
        eventually("the manager's move is told", || async { shop.callbacks(&told) == before + round }).await;
    }
    assert_eq!((shop.callbacks(&told), order()), (before + 2, Some(37)));
    shop.close().await;
}
