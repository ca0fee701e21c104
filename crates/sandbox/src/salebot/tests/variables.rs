//! Writing and reading variables.

use serde_json::json;

use super::super::options::{AbsentForm, Acknowledgement, ClearedForm, UnknownVariables, VariablesForm, WithoutDeal};
use super::*;

fn with(options: SalebotOptions) -> (Salebot, i64) {
    let mut salebot = Salebot::new(options);
    let id = telegram(&mut salebot, "100", Some("Елена"));
    (salebot, id)
}

fn save(salebot: &mut Salebot, client_id: i64, variables: Value) -> Value {
    post(salebot, "save_variables", &json!({ "client_id": client_id, "variables": variables }))
}

fn read(salebot: &mut Salebot, client_id: i64) -> Value {
    get(salebot, "get_variables", &[("client_id", &client_id.to_string())])
}

#[test]
fn prefixes_choose_the_holder_and_the_deal_shadows_the_client() {
    let (mut salebot, id) = with(SalebotOptions::default());
    let order_id = order(&mut salebot, id);
    let variables = json!({ "client.phone": "88888888888", "step": "3", "city": "Псков", "client.city": "Тверь", "project.sale": "да" });
    assert_eq!(save(&mut salebot, id, variables), json!({ "status": "success" }));
    let client = salebot.client(id).expect("the client");
    assert_eq!(client.variables.get("phone"), Some(&json!("88888888888")));
    assert_eq!(client.variables.get("step"), None);
    assert_eq!(salebot.order(order_id).expect("the deal").variables["step"], "3");
    let read = read(&mut salebot, id);
    assert_eq!((&read["phone"], &read["city"], &read["sale"]), (&json!("88888888888"), &json!("Псков"), &json!("да")));
}

#[test]
fn the_answer_may_be_a_bare_ok() {
    let (mut salebot, id) =
        with(SalebotOptions { acknowledgement: Acknowledgement::Text, ..SalebotOptions::default() });
    let body = json!({ "client_id": id.to_string(), "variables": { "client.a": "1" } });
    let response = post_at(&mut salebot, NOW_MS, "save_variables", &body);
    assert_eq!((response.status, response.body.as_slice()), (200, b"ok".as_slice()));
}

#[test]
fn without_a_deal_plain_names_are_dropped_or_make_one() {
    let (mut salebot, id) = with(SalebotOptions::default());
    assert_eq!(save(&mut salebot, id, json!({ "step": "1" }))["status"], "success");
    assert!(salebot.orders(id).is_empty() && read(&mut salebot, id).get("step").is_none());
    let (mut salebot, id) =
        with(SalebotOptions { without_deal: WithoutDeal::ImplicitDeal, ..SalebotOptions::default() });
    save(&mut salebot, id, json!({ "step": "1" }));
    assert_eq!(read(&mut salebot, id)["step"], "1");
    assert_eq!(salebot.orders(id).iter().map(|order| order.state_id).collect::<Vec<_>>(), [None]);
}

#[test]
fn many_clients_are_written_at_once_and_strangers_passed_over() {
    let (mut salebot, first) = with(SalebotOptions::default());
    let second = telegram(&mut salebot, "101", None);
    let body = json!({ "clients": [first, second.to_string(), 7], "variables": { "client.vip": 1 } });
    assert_eq!(post(&mut salebot, "save_variables", &body)["status"], "success");
    for id in [first, second] {
        assert_eq!(salebot.client(id).expect("a client").variables["vip"], json!(1));
    }
    let unknown = json!({ "client_id": 7, "variables": { "client.vip": 1 } });
    assert_eq!(post(&mut salebot, "save_variables", &unknown)["status"], "client_not_found");
}

#[test]
fn an_empty_text_clears_a_variable() {
    for (cleared, left) in [(ClearedForm::Removed, None), (ClearedForm::EmptyText, Some(json!("")))] {
        let (mut salebot, id) = with(SalebotOptions { cleared, ..SalebotOptions::default() });
        save(&mut salebot, id, json!({ "client.city": "Псков" }));
        save(&mut salebot, id, json!({ "client.city": "" }));
        assert_eq!(read(&mut salebot, id).get("city").cloned(), left);
        let found = get(&mut salebot, "find_client_id_by_var", &[("var", "city"), ("val", "Псков")]);
        assert_eq!(found["status"], "client_not_found", "the old value is forgotten");
    }
}

#[test]
fn built_in_names_are_read_only_but_for_the_name() {
    let (mut salebot, id) = with(SalebotOptions::default());
    save(&mut salebot, id, json!({ "client.platform_id": "9", "client.name": "Анна" }));
    let read = read(&mut salebot, id);
    assert_eq!((&read["platform_id"], &read["name"]), (&json!("100"), &json!("Анна")));
}

#[test]
fn limits_and_names_are_held() {
    let (mut salebot, id) = with(SalebotOptions::default());
    assert_eq!(save(&mut salebot, id, json!({ "client.1st": "x" }))["status"], "error");
    assert_eq!(save(&mut salebot, id, json!({ "client.two words": "x" }))["status"], "error");
    assert_eq!(save(&mut salebot, id, json!({ "client.long": "я".repeat(100_001) }))["status"], "error");
    assert_eq!(save(&mut salebot, id, json!({ "client.long": "я".repeat(100_000) }))["status"], "success");
    let many: Value =
        (0..1_000).map(|number| (format!("client.v{number}"), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    assert_eq!(save(&mut salebot, id, many)["status"], "error", "1,000 beside the one there is");
    assert_eq!(salebot.client(id).expect("the client").variables.len(), 1, "a refused request writes nothing");
}

#[test]
fn built_in_values_are_merged_in_and_absent_ones_have_three_forms() {
    for (absent, written) in
        [(AbsentForm::NoneText, json!("NONE")), (AbsentForm::Null, json!(null)), (AbsentForm::EmptyText, json!(""))]
    {
        let (mut salebot, id) = with(SalebotOptions { absent, ..SalebotOptions::default() });
        let read = read(&mut salebot, id);
        assert_eq!(read["client_id"], json!(id));
        assert_eq!(read["client_type"], json!(1));
        assert_eq!(read["group"], "some_bot");
        assert_eq!(read["name"], "Елена");
        for name in ["main_client_id", "message_id", "tag", "avatar"] {
            assert_eq!(read[name], written, "{name}");
        }
        assert!(read.get("status").is_none());
    }
}

#[test]
fn the_order_id_of_a_bot_names_client_and_deal() {
    let (mut salebot, id) = with(SalebotOptions::default());
    let order_id = order(&mut salebot, id);
    assert_eq!(read(&mut salebot, id)["order_id"], json!(format!("{id}-{order_id}")));
}

#[test]
fn the_object_may_be_wrapped() {
    let (mut salebot, id) =
        with(SalebotOptions { variables_form: VariablesForm::Wrapped, ..SalebotOptions::default() });
    assert_eq!(read(&mut salebot, id)["variables"]["name"], "Елена");
}

#[test]
fn an_unknown_client_has_three_answers() {
    for (unknown_variables, status, body) in [
        (UnknownVariables::NotFound, 404, ""),
        (UnknownVariables::StatusInBody, 200, r#"{"status":"client_not_found"}"#),
        (UnknownVariables::EmptyObject, 200, "{}"),
    ] {
        let mut salebot = Salebot::new(SalebotOptions { unknown_variables, ..SalebotOptions::default() });
        let response = get_at(&mut salebot, NOW_MS, "get_variables", &[("client_id", "7")]);
        assert_eq!((response.status, String::from_utf8_lossy(&response.body).as_ref()), (status, body));
    }
}

#[test]
fn structures_are_kept_as_text() {
    let (mut salebot, id) = with(SalebotOptions::default());
    save(&mut salebot, id, json!({ "client.cart": { "a": [1, 2] } }));
    assert_eq!(read(&mut salebot, id)["cart"], r#"{"a":[1,2]}"#);
}

#[test]
fn a_full_client_takes_no_new_name_from_a_callback() {
    let (mut salebot, id) = with(SalebotOptions::default());
    for number in 0..1_001 {
        salebot.set_variable(NOW_MS, id, &format!("client.v{number}"), "x");
    }
    salebot.set_variable(NOW_MS, id, "client.v0", "y");
    let variables = &salebot.client(id).expect("the client").variables;
    assert_eq!((variables.len(), &variables["v0"]), (1_000, &json!("y")));
}

#[test]
fn project_variables_are_shared_and_cleared() {
    let (mut salebot, id) = with(SalebotOptions::default());
    let other = telegram(&mut salebot, "101", None);
    save(&mut salebot, id, json!({ "project.sale": "да" }));
    assert_eq!(read(&mut salebot, other)["sale"], "да");
    save(&mut salebot, id, json!({ "проект.sale": "" }));
    assert!(read(&mut salebot, other).get("sale").is_none());
}
