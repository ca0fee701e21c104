//! Listing, loading, assigning, lists and deleting.

use serde_json::json;

use super::super::options::{ClientNotFound, TimeForm};
use super::*;

fn ids(answer: &Value) -> Vec<i64> {
    answer["clients"].as_array().expect("clients").iter().map(|row| row["id"].as_i64().expect("an id")).collect()
}

#[test]
fn a_listed_client_has_the_members_of_the_official_example() {
    let mut salebot = salebot();
    let id = telegram(&mut salebot, "146467928", None);
    let answer = get(&mut salebot, "get_clients", &[]);
    assert_eq!(answer["status"], "success");
    let expected = json!({
        "id": id, "platform_id": "146467928", "client_type": 1, "name": null, "avatar": null, "message_id": null,
        "project_id": 400_000, "created_at": 1_779_978_822, "updated_at": 1_779_978_822, "custom_answer": null,
        "tag": null, "group": "some_bot", "operator_start_dialog": null,
    });
    assert_eq!(answer["clients"], json!([expected]));
}

#[test]
fn times_may_be_naive_texts() {
    let mut salebot = Salebot::new(SalebotOptions { time_form: TimeForm::NaiveText, ..SalebotOptions::default() });
    telegram(&mut salebot, "100", None);
    assert_eq!(get(&mut salebot, "get_clients", &[])["clients"][0]["created_at"], "2026-05-28 17:33:42.500000");
}

#[test]
fn pages_go_newest_first_or_in_reverse() {
    let mut salebot = salebot();
    let made: Vec<i64> = (0..5).map(|number| telegram(&mut salebot, &number.to_string(), None)).collect();
    assert_eq!(ids(&get(&mut salebot, "get_clients", &[("limit", "2")])), [made[4], made[3]]);
    assert_eq!(ids(&get(&mut salebot, "get_clients", &[("limit", "2"), ("offset", "3")])), [made[1], made[0]]);
    assert_eq!(ids(&get(&mut salebot, "get_clients", &[("limit", "2"), ("reverse", "1")])), [made[0], made[1]]);
    assert_eq!(ids(&get(&mut salebot, "get_clients", &[("offset", "5")])), Vec::<i64>::new());
}

#[test]
fn a_page_holds_500_at_most_and_reverse_paging_meets_everybody_once() {
    let mut salebot = salebot();
    let made = salebot.populate(NOW_MS, 20_000);
    assert_eq!(ids(&get(&mut salebot, "get_clients", &[("limit", "9999")])).len(), 500);
    let mut met = Vec::new();
    loop {
        let offset = met.len().to_string();
        let page = ids(&get(&mut salebot, "get_clients", &[("offset", &offset), ("reverse", "1")]));
        if page.is_empty() {
            break;
        }
        met.extend(page);
    }
    assert_eq!(met, salebot.clients().map(|client| client.id).collect::<Vec<_>>());
    assert_eq!((made.len(), met.len()), (20_000, 20_010), "ten have a WhatsApp card too");
}

#[test]
fn lists_take_known_clients_and_give_them_back() {
    let mut salebot = salebot();
    let (first, second) = (telegram(&mut salebot, "1", None), telegram(&mut salebot, "2", None));
    let answer =
        post(&mut salebot, "add_to_list", &json!({ "list_id": 1_170_282, "clients": [first, second.to_string(), 5] }));
    assert_eq!(answer["status"], "success");
    assert_eq!(salebot.list_members(1_170_282), [first, second]);
    assert_eq!(ids(&get(&mut salebot, "get_clients", &[("list", "1170282"), ("reverse", "1")])), [second, first]);
    post(&mut salebot, "remove_from_list", &json!({ "list_id": 1_170_282, "clients": [first] }));
    assert_eq!(salebot.list_members(1_170_282), [second]);
}

#[test]
fn loading_finds_or_makes_and_reports_each_item() {
    let mut salebot = salebot();
    let known = telegram(&mut salebot, "274827917", None);
    let body = json!([
        { "platform_id": 274_827_917, "group_id": "some_bot", "client_type": 1 },
        { "platform_id": "79990000001@s.whatsapp.net", "group_id": 34_810, "client_type": 6 },
        { "platform_id": "79990000002", "group_id": "", "client_type": 13 },
        { "platform_id": "1", "group_id": "not_connected", "client_type": 1 },
    ]);
    let answer = post(&mut salebot, "load_clients", &body);
    assert_eq!(answer["status"], "success");
    let made = answer["items"][1]["id"].as_i64().expect("a made client");
    assert_eq!(
        answer["items"][0],
        json!({ "platform_id": "274827917", "group_id": "some_bot", "client_type": 1, "status": "success", "id": known })
    );
    assert_eq!(
        answer["items"][1],
        json!({ "platform_id": "79990000001", "group_id": 34_810, "client_type": 6, "status": "success", "id": made })
    );
    assert_eq!(answer["items"][2]["status"], "success");
    assert_eq!(answer["items"][3]["status"], "error");
    let again = post(&mut salebot, "load_clients", &body);
    assert_eq!(again["items"][1]["id"].as_i64(), Some(made), "a second time it is found");
    assert_eq!(post(&mut salebot, "load_clients", &json!({}))["status"], "error", "an object is no array");
}

#[test]
fn whatsapp_ids_may_gain_their_end() {
    let mut salebot = Salebot::new(SalebotOptions { whatsapp_suffix: true, ..SalebotOptions::default() });
    let body = json!([{ "platform_id": "+7 999 000-00-01", "group_id": 34_810, "client_type": 6 }]);
    let answer = post(&mut salebot, "load_clients", &body);
    assert_eq!(answer["items"][0]["platform_id"], "79990000001@s.whatsapp.net");
    assert_eq!(
        get(&mut salebot, "whatsapp_client_id", &[("phone", "79990000001")])["client_id"],
        answer["items"][0]["id"]
    );
}

#[test]
fn assigning_takes_the_named_operator_or_the_systems_choice() {
    let mut salebot = salebot();
    let id = telegram(&mut salebot, "1", None);
    post(&mut salebot, "assign_to_user", &json!({ "client_id": id, "email": "second@example.test" }));
    assert_eq!(salebot.client(id).and_then(|client| client.operator.clone()).as_deref(), Some("second@example.test"));
    post(&mut salebot, "assign_to_user", &json!({ "client_id": id }));
    assert_eq!(salebot.client(id).and_then(|client| client.operator.clone()).as_deref(), Some("first@example.test"));
    let stranger = post(&mut salebot, "assign_to_user", &json!({ "client_id": id, "email": "x@example.test" }));
    assert_eq!(stranger["status"], "error");
}

#[test]
fn client_not_found_comes_with_200_or_404() {
    for (form, status) in [(ClientNotFound::InBody, 200), (ClientNotFound::With404, 404)] {
        let mut salebot = Salebot::new(SalebotOptions { client_not_found: form, ..SalebotOptions::default() });
        let response = post_at(&mut salebot, NOW_MS, "assign_to_user", &json!({ "client_id": 5 }));
        assert_eq!((response.status, json_of(&response)), (status, json!({ "status": "client_not_found" })));
    }
}

#[test]
fn a_deleted_client_returns_with_a_new_id() {
    let mut salebot = salebot();
    let id = telegram(&mut salebot, "1", Some("Ольга"));
    salebot.set_variable(NOW_MS, id, "client.phone", "79990000001");
    let order_id = order(&mut salebot, id);
    post(&mut salebot, "add_to_list", &json!({ "list_id": 1, "clients": [id] }));
    assert_eq!(post(&mut salebot, "delete_clients", &json!({ "client_ids": [id] }))["status"], "success");
    assert!(salebot.client(id).is_none() && salebot.order(order_id).is_none() && salebot.list_members(1).is_empty());
    let found = get(&mut salebot, "find_client_id_by_phone", &[("phone", "79990000001")]);
    assert_eq!(found["status"], "client_not_found");
    assert_ne!(telegram(&mut salebot, "1", None), id);
    let many: Vec<i64> = (0..501).collect();
    assert_eq!(post(&mut salebot, "delete_clients", &json!({ "client_ids": many }))["status"], "error");
}
