//! Deals of SalebotCRM.

use serde_json::json;

use super::super::options::{Installation, NoDeal, OrderVariables, StageNotices};
use super::super::state::OrderStatus;
use super::*;

fn with_order(options: SalebotOptions) -> (Salebot, i64, i64) {
    let mut salebot = Salebot::new(options);
    let client_id = telegram(&mut salebot, "100", None);
    let order_id = order(&mut salebot, client_id);
    (salebot, client_id, order_id)
}

fn texts(salebot: &Salebot, client_id: i64) -> Vec<&str> {
    salebot.history(client_id).iter().filter_map(|message| message.text.as_deref()).collect()
}

#[test]
fn the_current_deal_is_the_last_open_one_or_the_chosen_one() {
    let (mut salebot, client_id, first) = with_order(SalebotOptions::default());
    let second = order(&mut salebot, client_id);
    let id = client_id.to_string();
    let query = [("client_id", id.as_str())];
    assert_eq!(get(&mut salebot, "get_current_order_id", &query), json!({ "status": "success", "order_id": second }));
    let other = telegram(&mut salebot, "200", None);
    let foreign = order(&mut salebot, other);
    assert!(!salebot.switch_order(client_id, foreign));
    assert!(salebot.switch_order(client_id, first));
    assert_eq!(get(&mut salebot, "get_current_order_id", &query)["order_id"], json!(first));
    salebot.close_order(first, OrderStatus::Won, "");
    assert_eq!(get(&mut salebot, "get_current_order_id", &query)["order_id"], json!(second));
    assert_eq!(
        get(&mut salebot, "get_current_order_id", &[("client_id", "7")]),
        json!({ "status": "client_not_found" })
    );
}

#[test]
fn a_client_without_a_deal_has_a_null_or_an_error() {
    for (no_deal, expected) in [
        (NoDeal::NullId, json!({ "status": "success", "order_id": null })),
        (NoDeal::NotFound, json!({ "status": "order not found" })),
    ] {
        let mut salebot = Salebot::new(SalebotOptions { no_deal, ..SalebotOptions::default() });
        let id = telegram(&mut salebot, "1", None).to_string();
        assert_eq!(get(&mut salebot, "get_current_order_id", &[("client_id", &id)]), expected);
        let state = get(&mut salebot, "get_order_state", &[("client_id", &id)]);
        assert_eq!(state, json!({ "status": "order not found" }));
    }
}

#[test]
fn deals_are_listed_by_status_under_the_singular_key() {
    let (mut salebot, client_id, first) = with_order(SalebotOptions::default());
    let others: Vec<i64> = (0..3).map(|_| order(&mut salebot, client_id)).collect();
    salebot.close_order(others[0], OrderStatus::Won, "");
    salebot.close_order(others[1], OrderStatus::Lost, "дорого");
    salebot.close_order(others[2], OrderStatus::Archived, "дубль");
    let id = client_id.to_string();
    let mut list = |status: &str| get(&mut salebot, "get_orders", &[("client_id", &id), ("order_status", status)]);
    assert_eq!(list("0"), json!({ "status": "success", "order_id": [first] }));
    assert_eq!(list("1")["order_id"], json!([others[0]]));
    assert_eq!(list("2")["order_id"], json!([others[1]]));
    assert_eq!(get(&mut salebot, "get_orders", &[("client_id", &id)])["order_id"], json!([first]));
    assert_eq!(salebot.order(others[1]).expect("a deal").variables["failed_reason"], "дорого");
    assert!(salebot.restore_order(others[1]));
    assert_eq!(salebot.order(others[1]).expect("a deal").variables["restored_from_failed"], "true");
}

#[test]
fn a_deals_state_is_read_by_id_or_of_the_current_one() {
    let (mut salebot, client_id, first) = with_order(SalebotOptions::default());
    let second = salebot.add_order(NOW_MS, client_id, NewOrder { state_id: Some(37), ..NewOrder::default() });
    let (id, first) = (client_id.to_string(), first.to_string());
    assert_eq!(second.map(|id| id > 40_000), Some(true));
    assert_eq!(
        get(&mut salebot, "get_order_state", &[("client_id", &id)]),
        json!({ "status": "success", "state_id": 37 })
    );
    let named = [("client_id", id.as_str()), ("order_id", first.as_str())];
    assert_eq!(get(&mut salebot, "get_order_state", &named)["state_id"], json!(35));
    let strange = [("client_id", id.as_str()), ("order_id", "1")];
    assert_eq!(get(&mut salebot, "get_order_state", &strange), json!({ "status": "order not found" }));
}

#[test]
fn an_unsorted_deal_has_no_state() {
    let (mut salebot, client_id, _) =
        with_order(SalebotOptions { first_stage_intake: false, ..SalebotOptions::default() });
    let state = get(&mut salebot, "get_order_state", &[("client_id", &client_id.to_string())]);
    assert_eq!(state, json!({ "status": "order not found" }));
}

#[test]
fn deal_variables_are_written_and_read() {
    let (mut salebot, client_id, order_id) = with_order(SalebotOptions::default());
    let variables = json!({ "var_name1": "111", "var_name2": "13.04.2023", "budget": 1_500, "Название": "Окна" });
    let body = json!({ "client_id": client_id, "order_id": order_id, "variables": variables });
    assert_eq!(post(&mut salebot, "set_order_vars", &body), json!({ "status": "success" }));
    let some = json!({ "client_id": client_id, "order_id": order_id, "variables": ["var_name1", "var_name2", "gone"] });
    let expected = json!({ "var_name1": "111", "var_name2": "13.04.2023", "gone": null });
    assert_eq!(post(&mut salebot, "get_order_vars", &some), json!({ "status": "success", "result": expected }));
    let all = json!({ "client_id": client_id, "order_id": order_id });
    assert_eq!(post(&mut salebot, "get_order_vars", &all)["result"], variables);
}

#[test]
fn what_is_told_of_a_deal_unasked_is_a_choice() {
    for (order_variables, some, all) in [
        (OrderVariables::Named, json!({ "a": "1", "gone": null }), json!({})),
        (OrderVariables::All, json!({ "a": "1", "b": "2" }), json!({ "a": "1", "b": "2" })),
    ] {
        let (mut salebot, client_id, order_id) =
            with_order(SalebotOptions { order_variables, ..SalebotOptions::default() });
        let written =
            json!({ "client_id": client_id, "order_id": order_id, "variables": json!({ "a": "1", "b": "2" }) });
        post(&mut salebot, "set_order_vars", &written);
        let mut body = json!({ "client_id": client_id, "order_id": order_id, "variables": ["a", "gone"] });
        assert_eq!(post(&mut salebot, "get_order_vars", &body)["result"], some);
        body["variables"] = json!(null);
        assert_eq!(post(&mut salebot, "get_order_vars", &body)["result"], all);
    }
}

#[test]
fn a_strange_deal_is_named_in_the_refusal() {
    let (mut salebot, client_id, order_id) = with_order(SalebotOptions::default());
    let other = telegram(&mut salebot, "200", None);
    let body = |client_id: i64, order_id: i64, variables: Value| json!({ "client_id": client_id, "order_id": order_id, "variables": variables });
    let strange = post(&mut salebot, "set_order_vars", &body(client_id, 12_345, json!({ "a": "1" })));
    assert_eq!(strange, json!({ "status": "order 12345 not found" }));
    let foreign = post(&mut salebot, "set_order_vars", &body(other, order_id, json!({ "a": "1" })));
    assert_eq!(foreign, json!({ "status": format!("order {order_id} not found") }));
    let nobody = post(&mut salebot, "get_order_vars", &body(7, order_id, json!(["a"])));
    assert_eq!(nobody, json!({ "status": "client_not_found" }));
    let budget = post(&mut salebot, "set_order_vars", &body(client_id, order_id, json!({ "budget": "много" })));
    assert_eq!(budget["message"], "budget must be a number");
}

#[test]
fn each_create_makes_another_deal() {
    let (mut salebot, client_id, first) = with_order(SalebotOptions::default());
    let body =
        json!({ "client_id": client_id, "name": "Окна", "description": "две створки", "budget": 100, "state_id": 36 });
    let made = post(&mut salebot, "create_order", &body);
    let order_id = made["order_id"].as_i64().expect("an id");
    assert_eq!(made, json!({ "status": "success", "order_id": order_id }));
    assert!(order_id > first);
    assert_ne!(post(&mut salebot, "create_order", &body)["order_id"].as_i64(), Some(order_id));
    let order = salebot.order(order_id).expect("the deal");
    assert_eq!(order.state_id, Some(36));
    assert_eq!((&order.variables["Название"], &order.variables["Описание"]), (&json!("Окна"), &json!("две створки")));
    assert_eq!(order.variables["budget"], json!(100));
    assert_eq!(salebot.orders(client_id).len(), 3);
}

#[test]
fn the_other_installation_names_its_fields_in_english() {
    let (mut salebot, client_id, _) =
        with_order(SalebotOptions { installation: Installation::International, ..SalebotOptions::default() });
    let made = post(&mut salebot, "create_order", &json!({ "client_id": client_id, "name": "Windows" }));
    let order = salebot.order(made["order_id"].as_i64().expect("an id")).expect("the deal");
    assert_eq!(order.variables["Name"], "Windows");
}

#[test]
fn a_deal_goes_to_the_id_before_the_phone_before_the_email() {
    let (mut salebot, client_id, _) = with_order(SalebotOptions::default());
    let by_phone = whatsapp(&mut salebot, "79990000001");
    let all = json!({ "client_id": client_id, "phone": "79990000001", "email": "a@example.test" });
    let owner = |salebot: &mut Salebot, body: &Value| {
        let made = post(salebot, "create_order", body)["order_id"].as_i64().expect("an id");
        salebot.order(made).expect("the deal").client_id
    };
    assert_eq!(owner(&mut salebot, &all), client_id);
    let two = json!({ "phone": "+7 999 000-00-01", "email": "a@example.test" });
    assert_eq!(owner(&mut salebot, &two), by_phone);
    let made = owner(&mut salebot, &json!({ "email": "new@example.test" }));
    assert_eq!(salebot.client(made).map(|client| client.client_type), Some(messenger::EMAIL));
    assert_eq!(owner(&mut salebot, &json!({ "email": "new@example.test" })), made, "a second time it is found");
    let made = owner(&mut salebot, &json!({ "phone": "79990000002" }));
    assert_eq!(salebot.client(made).map(|client| client.client_type), Some(messenger::WHATSAPP));
    for body in [json!({}), json!({ "client_id": 7, "phone": "79990000001" })] {
        assert_eq!(post(&mut salebot, "create_order", &body), json!({ "status": "client_not_found" }), "{body}");
    }
}

#[test]
fn a_bad_stage_or_budget_makes_no_deal() {
    let (mut salebot, client_id, _) = with_order(SalebotOptions::default());
    for body in [json!({ "client_id": client_id, "state_id": 99 }), json!({ "client_id": client_id, "budget": "x" })] {
        assert_eq!(post(&mut salebot, "create_order", &body)["status"], "error", "{body}");
    }
    assert_eq!(salebot.orders(client_id).len(), 1);
}

#[test]
fn a_stage_change_is_told_with_names_that_hold_colons() {
    let (mut salebot, client_id, order_id) = with_order(SalebotOptions::default());
    let body = json!({ "client_id": client_id, "state_id": 38 });
    assert_eq!(post(&mut salebot, "set_order_state", &body)["status"], "success");
    post(&mut salebot, "set_order_state", &body);
    assert_eq!(salebot.order(order_id).and_then(|order| order.state_id), Some(38));
    assert_eq!(texts(&salebot, client_id), ["crm_state_changed Продажи:Оплата: частично"], "once for one change");
    assert_eq!(salebot.client(client_id).expect("the client").variables["callback_order_id"], json!(order_id));
    assert_eq!(salebot.take_webhooks().len(), 1);
}

#[test]
fn stage_notices_can_be_off_or_come_always() {
    for (stage_notices, count) in [(StageNotices::Never, 0), (StageNotices::Always, 2)] {
        let (mut salebot, client_id, _) = with_order(SalebotOptions { stage_notices, ..SalebotOptions::default() });
        for _ in 0..2 {
            post(&mut salebot, "set_order_state", &json!({ "client_id": client_id, "state_id": 36 }));
        }
        assert_eq!(texts(&salebot, client_id).len(), count, "{stage_notices:?}");
    }
}

#[test]
fn set_order_state_needs_a_client_a_deal_and_a_stage() {
    let (mut salebot, client_id, _) = with_order(SalebotOptions::default());
    let without = telegram(&mut salebot, "2", None);
    let mut status = |client_id: i64, state_id: i64| {
        post(&mut salebot, "set_order_state", &json!({ "client_id": client_id, "state_id": state_id }))["status"]
            .clone()
    };
    assert_eq!(status(7, 36), "client_not_found");
    assert_eq!(status(without, 36), "order not found");
    assert_eq!(status(client_id, 99), "error");
}

#[test]
fn the_next_stage_is_one_further_on_each_call_until_the_last() {
    let (mut salebot, client_id, order_id) = with_order(SalebotOptions::default());
    let body = json!({ "client_id": client_id, "order_id": order_id });
    let states: Vec<Value> =
        (0..4).map(|_| post(&mut salebot, "move_order_to_next_state", &body)["state_id"].clone()).collect();
    assert_eq!(states, [json!(36), json!(37), json!(38), json!(38)]);
    assert_eq!(texts(&salebot, client_id).len(), 3);
    let nobody = post(&mut salebot, "move_order_to_next_state", &json!({ "client_id": 7, "order_id": order_id }));
    assert_eq!(nobody, json!({ "status": "client_not_found" }));
}
