//! What people do outside the API.

use serde_json::json;

use super::super::state::OrderStatus;
use super::*;

#[test]
fn a_client_is_the_same_in_one_bot_and_another_in_the_next() {
    let mut salebot = salebot();
    let first = telegram(&mut salebot, "1", None);
    assert_eq!(telegram(&mut salebot, "1", Some("Анна")), first);
    assert_eq!(salebot.client(first).and_then(|client| client.name.as_deref()), Some("Анна"));
    let client_type = messenger::TELEGRAM;
    let new = NewClient { client_type, platform_id: "1", group: "second_bot", name: None };
    assert_ne!(salebot.add_client(NOW_MS, new), first);
    let business =
        NewClient { client_type: messenger::TELEGRAM_BUSINESS, platform_id: "1", group: "some_business", name: None };
    assert_ne!(salebot.add_client(NOW_MS, business), first);
    let same_group = NewClient { client_type: messenger::MAX, platform_id: "1", group: "some_bot", name: None };
    assert_ne!(salebot.add_client(NOW_MS, same_group), first, "the messenger counts too");
}

#[test]
fn an_operator_silences_the_bot_until_it_is_resumed() {
    let mut salebot = salebot();
    let id = telegram(&mut salebot, "1", None);
    salebot.operator_answers(NOW_MS, id, "a");
    let paused = |salebot: &Salebot| salebot.client(id).and_then(|client| client.paused_until_ms);
    assert_eq!(paused(&salebot), Some(NOW_MS + 86_400_000));
    post(&mut salebot, "callback", &json!({ "client_id": id, "message": "a" }));
    assert!(paused(&salebot).is_some());
    post(&mut salebot, "message", &json!({ "client_id": id, "message": "a", "resume_bot": "True" }));
    assert_eq!(paused(&salebot), None);
}

#[test]
fn an_operator_is_the_assigned_one() {
    let mut salebot = salebot();
    let id = telegram(&mut salebot, "1", None);
    post(&mut salebot, "assign_to_user", &json!({ "client_id": id, "email": "second@example.test" }));
    salebot.operator_answers(NOW_MS, id, "a");
    assert_eq!(salebot.history(id)[0].operator.as_deref(), Some("second@example.test"));
}

#[test]
fn a_group_chat_is_a_client_with_a_negative_id() {
    let mut salebot = salebot();
    let id = salebot.add_group_chat(NOW_MS, "some_bot", 1_001_234, "Жильцы дома");
    let client = salebot.client(id).expect("the chat");
    assert_eq!((client.platform_id.as_str(), client.name.as_deref()), ("-1001234", Some("Жильцы дома")));
    assert_eq!(salebot.history(id)[0].text.as_deref(), Some("new_chat_member"));
    assert_eq!(salebot.person_writes(NOW_MS, id, Some("всем привет"), &[]), Some(40_000_000_002));
}

#[test]
fn deals_are_made_moved_and_edited_by_hand() {
    let mut salebot = salebot();
    let id = telegram(&mut salebot, "1", None);
    let new = NewOrder { name: Some("Окна"), budget: Some(10), state_id: Some(41) };
    let order_id = salebot.add_order(NOW_MS, id, new).expect("a deal");
    assert!(salebot.move_order_by_hand(NOW_MS, order_id, 42));
    assert!(salebot.set_order_variable(order_id, "budget", &json!(20)));
    let order = salebot.order(order_id).expect("the deal");
    assert_eq!(
        (order.state_id, &order.variables["Название"], &order.variables["budget"]),
        (Some(42), &json!("Окна"), &json!(20))
    );
    assert_eq!(salebot.history(id)[0].text.as_deref(), Some("crm_state_changed Сервис: гарантия:Ремонт"));
    assert!(!salebot.move_order_by_hand(NOW_MS, order_id, 99));
    assert_eq!(salebot.add_order(NOW_MS, id, NewOrder { state_id: Some(99), ..NewOrder::default() }), None);
    assert!(salebot.close_order(order_id, OrderStatus::Archived, "дубль"));
    assert!(salebot.restore_order(order_id));
    assert_eq!(salebot.order(order_id).expect("the deal").variables["restored_from_archived"], "true");
}

#[test]
fn a_merged_card_names_the_main_one() {
    let mut salebot = salebot();
    let (main, other) = (telegram(&mut salebot, "1", None), whatsapp(&mut salebot, "79990000001"));
    assert!(salebot.merge_clients(NOW_MS, main, other));
    assert_eq!(salebot.variables(other).expect("the card")["main_client_id"], json!(main));
    assert!(!salebot.merge_clients(NOW_MS, main, main));
    assert!(!salebot.merge_clients(NOW_MS, 7, other));
}

#[test]
fn nobody_does_nothing() {
    let mut salebot = salebot();
    assert_eq!(salebot.person_writes(NOW_MS, 7, Some("a"), &[]), None);
    assert_eq!(salebot.operator_answers(NOW_MS, 7, "a"), None);
    assert_eq!(salebot.add_order(NOW_MS, 7, NewOrder::default()), None);
    assert!(!salebot.set_variable(NOW_MS, 7, "client.a", "1"));
    assert!(!salebot.delete_client(7));
    assert!(salebot.variables(7).is_none() && salebot.history(7).is_empty());
}

#[test]
fn a_new_client_may_get_a_deal_at_once() {
    let mut salebot = Salebot::new(SalebotOptions { deal_for_new_client: true, ..SalebotOptions::default() });
    let id = telegram(&mut salebot, "1", None);
    assert_eq!(salebot.orders(id).iter().map(|order| order.state_id).collect::<Vec<_>>(), [Some(35)]);
}

#[test]
fn the_same_doings_give_the_same_project() {
    let play = || {
        let mut salebot = salebot();
        let ids = salebot.populate(NOW_MS, 30);
        for id in ids {
            salebot.person_writes(NOW_MS, id, Some("a"), &[]);
        }
        salebot.take_webhooks()
    };
    assert_eq!(play(), play());
}
