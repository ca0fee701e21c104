//! Channels, blocks, and the WhatsApp check.

use serde_json::json;

use super::super::project::Project;
use super::*;

#[test]
fn channels_stand_in_one_array_for_each_messenger() {
    let mut salebot = salebot();
    let answer = get(&mut salebot, "connected_channels", &[]);
    assert_eq!(answer["project_id"], json!(400_000));
    assert!(answer.get("status").is_none());
    for name in ["viber", "facebook", "telegram", "whatsapp", "avito", "ok", "vkontakte"] {
        assert!(answer[name].is_array(), "{name}");
    }
    let telegram =
        json!({ "id": 23, "short_name": "some_bot", "name": "some_bot", "enabled": true, "group_id": "some_bot" });
    assert_eq!(answer["telegram"][0], telegram);
    let viber = json!({ "id": 14, "uri": "viber_account", "name": "viber_account", "enabled": true, "group_id": 11 });
    assert_eq!(answer["viber"], json!([viber]));
    assert_eq!(answer["vkontakte"], json!([{ "id": 33, "group": "143000131", "group_id": "143000131" }]));
    assert_eq!((&answer["whatsapp"][0]["group_id"], &answer["whatsapp"][0]["status"]), (&json!(34_810), &json!(1)));
    assert_eq!(answer["facebook"], json!([]));
}

#[test]
fn blocks_are_listed() {
    let mut salebot = salebot();
    let answer = get(&mut salebot, "get_messages", &[]);
    assert_eq!(answer["status"], "success");
    assert_eq!(keys(&answer["messages"][0]), sorted(["id", "condition", "answer", "message_type", "description"]));
    assert_eq!(answer["messages"][0]["id"], json!(390));
}

#[test]
fn whatsapp_is_checked_in_any_writing() {
    let mut salebot = salebot();
    salebot.set_without_whatsapp("+7 999 000-00-02");
    let mut check = |phone: &str| post(&mut salebot, "check_whatsapp", &json!({ "phone": phone }))["result"].clone();
    assert_eq!(
        (check("+7 (999) 000-00-01"), check("79990000002"), check("12")),
        (json!(true), json!(false), json!(false))
    );
    assert_eq!(get(&mut salebot, "check_whatsapp", &[("phone", "79990000001")])["result"], json!(true));
    let mut bare = Project::default();
    bare.channels.retain(|channel| channel.client_type != messenger::WHATSAPP);
    let mut salebot = Salebot::with_project(SalebotOptions::default(), bare);
    assert_eq!(get(&mut salebot, "check_whatsapp", &[("phone", "79990000001")])["status"], "error");
}
