//! Finders, each also with nobody to find.

use serde_json::json;

use super::super::options::{FinderChoice, FinderMiss, IdListForm, PhoneMatch, PlatformMiss};
use super::*;

/// Two Telegram people and a WhatsApp card; the first person has a deal.
fn people(options: SalebotOptions) -> (Salebot, [i64; 3]) {
    let mut salebot = Salebot::new(options);
    let first = telegram(&mut salebot, "2568652", Some("ОЛЬГА"));
    let second = telegram(&mut salebot, "571830542", Some("Елена"));
    let third = whatsapp(&mut salebot, "79990000003");
    salebot.set_variable(NOW_MS, first, "client.tg_username", "@belik");
    for id in [first, second] {
        salebot.set_variable(NOW_MS, id, "client.city", "Псков");
    }
    salebot.set_variable(NOW_MS, first, "client.phone", "+7 (999) 000-00-01");
    salebot.set_variable(NOW_MS, second, "client.email", "second@example.test");
    order(&mut salebot, first);
    salebot.set_variable(NOW_MS, first, "car", "ВАЗ");
    (salebot, [first, second, third])
}

#[test]
fn platform_ids_find_a_top_level_array_like_the_official_example() {
    let (mut salebot, [first, second, _]) = people(SalebotOptions::default());
    let body = json!({ "platform_ids": [2_568_652, "571830542", "nobody"], "group_id": "some_bot" });
    let found = post(&mut salebot, "find_client_id_by_platform_id", &body);
    assert_eq!(
        keys(&found[0]),
        sorted(["id", "tag", "created_at", "name", "avatar", "platform_id", "group", "variables"])
    );
    assert_eq!(found[0]["variables"]["tg_username"], "@belik");
    assert_eq!((found[0]["id"].as_i64(), found[1]["id"].as_i64()), (Some(first), Some(second)));
    let other_bot = json!({ "platform_ids": ["2568652"], "group_id": "second_bot" });
    assert_eq!(post(&mut salebot, "find_client_id_by_platform_id", &other_bot), json!([]));
}

#[test]
fn nobody_by_platform_id_may_be_an_error_object() {
    let (mut salebot, _) =
        people(SalebotOptions { platform_miss: PlatformMiss::StatusInBody, ..SalebotOptions::default() });
    let body = json!({ "platform_ids": ["nobody"], "group_id": "some_bot" });
    assert_eq!(post(&mut salebot, "find_client_id_by_platform_id", &body)["status"], "error");
}

#[test]
fn the_online_chat_makes_a_client_once() {
    let mut salebot = salebot();
    let query = [("recipient", "dialogue-1"), ("name", "Гость"), ("tag", "sale")];
    let made = get(&mut salebot, "online_chat_client_id", &query);
    assert_eq!(keys(&made), ["client_id"]);
    assert_eq!(get(&mut salebot, "online_chat_client_id", &[("recipient", "dialogue-1")]), made);
    let client = salebot.client(made["client_id"].as_i64().expect("an id")).expect("the client");
    assert_eq!((client.name.as_deref(), client.tag.as_deref()), (Some("Гость"), Some("sale")));
    let mut strict = Salebot::new(SalebotOptions { online_chat_creates: false, ..SalebotOptions::default() });
    assert_eq!(get(&mut strict, "online_chat_client_id", &query)["status"], "client_not_found");
}

#[test]
fn a_whatsapp_number_is_found_in_any_writing_or_404() {
    let (mut salebot, [_, _, third]) = people(SalebotOptions::default());
    for phone in ["79990000003", "+7 999 000-00-03", "79990000003@s.whatsapp.net"] {
        assert_eq!(get(&mut salebot, "whatsapp_client_id", &[("phone", phone)]), json!({ "client_id": third }));
    }
    assert_eq!(get_at(&mut salebot, NOW_MS, "whatsapp_client_id", &[("phone", "79990000001")]).status, 404);
    let other = [("phone", "79990000003"), ("group_id", "1")];
    assert_eq!(get_at(&mut salebot, NOW_MS, "whatsapp_client_id", &other).status, 404);
}

#[test]
fn a_phone_is_found_among_variables_and_whatsapp_clients() {
    let (mut salebot, [first, _, third]) = people(SalebotOptions::default());
    let by = |salebot: &mut Salebot, phone| get(salebot, "find_client_id_by_phone", &[("phone", phone)]);
    assert_eq!(by(&mut salebot, "79990000001")["client_id"].as_i64(), Some(first));
    assert_eq!(by(&mut salebot, "79990000003")["client_id"].as_i64(), Some(third));
    assert_eq!(by(&mut salebot, "89990000001")["status"], "client_not_found", "8 is not 7");
    let (mut exact, [first, ..]) =
        people(SalebotOptions { phone_match: PhoneMatch::Exact, ..SalebotOptions::default() });
    assert_eq!(by(&mut exact, "79990000001")["status"], "client_not_found");
    assert_eq!(by(&mut exact, "+7 (999) 000-00-01")["client_id"].as_i64(), Some(first));
}

#[test]
fn an_email_is_found_among_variables() {
    let (mut salebot, [_, second, _]) = people(SalebotOptions::default());
    let found = get(&mut salebot, "find_client_id_by_email", &[("email", "second@example.test")]);
    assert_eq!(found["client_id"].as_i64(), Some(second));
    let nobody = get(&mut salebot, "find_client_id_by_email", &[("email", "x@example.test")]);
    assert_eq!(nobody["status"], "client_not_found");
}

#[test]
fn a_variable_finds_the_oldest_or_the_newest() {
    let query = [("var", "city"), ("val", "Псков")];
    let (mut salebot, [first, second, _]) = people(SalebotOptions::default());
    let found = get(&mut salebot, "find_client_id_by_var", &query);
    assert_eq!(found, json!({ "status": "success", "client_id": first }));
    assert_eq!(get(&mut salebot, "find_latest_client_id_by_var", &query)["client_id"].as_i64(), Some(second));
    let (mut newest, [_, second, _]) =
        people(SalebotOptions { finder_choice: FinderChoice::Newest, ..SalebotOptions::default() });
    assert_eq!(get(&mut newest, "find_client_id_by_var", &query)["client_id"].as_i64(), Some(second));
    let other_bot = [("var", "city"), ("val", "Псков"), ("group_id", "second_bot")];
    assert_eq!(get(&mut salebot, "find_client_id_by_var", &other_bot)["status"], "client_not_found");
}

#[test]
fn a_deals_variable_is_found_where_it_is_asked_for() {
    let (mut salebot, [first, ..]) = people(SalebotOptions::default());
    let query = [("var", "car"), ("val", "ВАЗ")];
    assert_eq!(get(&mut salebot, "find_client_id_by_var", &query)["status"], "client_not_found");
    let in_orders = [("var", "car"), ("val", "ВАЗ"), ("search_in", "order")];
    assert_eq!(get(&mut salebot, "find_client_id_by_var", &in_orders)["client_id"].as_i64(), Some(first));
    assert_eq!(get(&mut salebot, "find_latest_client_id_by_var", &query)["client_id"].as_i64(), Some(first));
}

#[test]
fn nobody_has_three_answers_from_each_finder_of_one() {
    let finders: [(&str, &[(&str, &str)]); 4] = [
        ("find_client_id_by_phone", &[("phone", "1")]),
        ("find_client_id_by_email", &[("email", "1")]),
        ("find_client_id_by_var", &[("var", "a"), ("val", "1")]),
        ("find_latest_client_id_by_var", &[("var", "a"), ("val", "1")]),
    ];
    for (finder_miss, status, body) in [
        (FinderMiss::NotFound, 404, ""),
        (FinderMiss::StatusInBody, 200, r#"{"status":"client_not_found"}"#),
        (FinderMiss::NullId, 200, r#"{"client_id":null}"#),
    ] {
        let mut salebot = Salebot::new(SalebotOptions { finder_miss, ..SalebotOptions::default() });
        for (action, query) in finders {
            let response = get_at(&mut salebot, NOW_MS, action, query);
            assert_eq!((response.status, String::from_utf8_lossy(&response.body).as_ref()), (status, body), "{action}");
        }
    }
}

#[test]
fn everybody_with_a_value_is_listed_in_three_forms() {
    let query = [("var", "city"), ("val", "Псков")];
    for form in [IdListForm::ClientIds, IdListForm::Result, IdListForm::BareArray] {
        let (mut salebot, [first, second, _]) =
            people(SalebotOptions { id_list_form: form, ..SalebotOptions::default() });
        let found = get(&mut salebot, "find_all_client_id_by_var", &query);
        let nobody = get(&mut salebot, "find_all_client_id_by_var", &[("var", "city"), ("val", "Омск")]);
        let inside = |answer: &Value| match form {
            IdListForm::ClientIds => answer["client_ids"].clone(),
            IdListForm::Result => answer["result"].clone(),
            IdListForm::BareArray => answer.clone(),
        };
        assert_eq!((inside(&found), inside(&nobody)), (json!([first, second]), json!([])));
    }
}

#[test]
fn several_variables_must_all_hold() {
    let (mut salebot, [first, ..]) = people(SalebotOptions::default());
    let action = "find_all_client_id_by_several_vars";
    let both = get(&mut salebot, action, &[("city", "Псков"), ("car", "ВАЗ")]);
    assert_eq!(both, json!({ "status": "success", "client_ids": [first] }));
    assert_eq!(get(&mut salebot, action, &[("city", "Омск")])["client_ids"], json!([]));
    let four = [("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")];
    assert_eq!(get(&mut salebot, action, &four)["status"], "error");
}
