//! The project webhook.

use serde_json::json;

use super::super::options::{
    AttachmentsForm, EmptyAttachments, FilledAttachments, FlagForm, NumberForm, TimeForm, WebhookOptions,
};
use super::super::state::Attachment;
use super::*;

fn with(webhook: WebhookOptions) -> (Salebot, i64) {
    let mut salebot = Salebot::new(SalebotOptions { webhook, ..SalebotOptions::default() });
    let id = telegram(&mut salebot, "600000001", Some("Анна"));
    (salebot, id)
}

fn bodies(salebot: &mut Salebot) -> Vec<Value> {
    let taken = salebot.take_webhooks();
    taken.iter().map(|webhook| serde_json::from_slice(&webhook.body).expect("a JSON body")).collect()
}

#[test]
fn a_message_gives_exactly_this_body_and_gives_it_once() {
    let (mut salebot, id) = with(WebhookOptions::default());
    salebot.set_variable(NOW_MS, id, "client.tg_username", "@anna");
    let message_id = salebot.person_writes(NOW_MS, id, Some("Привет"), &[]).expect("the client");
    let taken = salebot.take_webhooks();
    let expected = format!(
        r#"{{"id":{message_id},"client":{{"id":{id},"recepient":"600000001","client_type":1,"name":"Анна","avatar":null,"created_at":1779978822,"tag":null,"group":"some_bot","variables":{{"tg_username":"@anna"}}}},"message":"Привет","attachments":[],"message_id":null,"project_id":400000,"is_input":1,"delivered":1,"error_message":null,"internal_id":"1"}}"#
    );
    assert_eq!(taken.len(), 1);
    assert_eq!((taken[0].message_id, taken[0].client_id), (message_id, id));
    assert_eq!(String::from_utf8_lossy(&taken[0].body), expected);
    assert!(salebot.take_webhooks().is_empty());
}

#[test]
fn message_ids_have_eleven_digits_and_grow() {
    let (mut salebot, id) = with(WebhookOptions::default());
    let ids: Vec<i64> = (0..3).filter_map(|_| salebot.person_writes(NOW_MS, id, Some("a"), &[])).collect();
    assert!(ids.is_sorted() && ids.iter().all(|id| id.to_string().len() == 11));
    let taken: Vec<i64> = salebot.take_webhooks().iter().map(|webhook| webhook.message_id).collect();
    assert_eq!(taken, ids);
}

#[test]
fn each_direction_tells_who_wrote() {
    let (mut salebot, id) = with(WebhookOptions::default());
    salebot.person_writes(NOW_MS, id, Some("person"), &[]);
    salebot.bot_answers(NOW_MS, id, "bot", 390);
    salebot.operator_answers(NOW_MS, id, "operator");
    post(&mut salebot, "message", &json!({ "client_id": id, "message": "api" }));
    post(&mut salebot, "callback", &json!({ "client_id": id, "message": "callback" }));
    salebot.system_notice(NOW_MS, id, "new_chat_member");
    let seen: Vec<Value> = bodies(&mut salebot)
        .iter()
        .map(|body| json!([body["message"], body["is_input"], body["message_id"]]))
        .collect();
    let expected = [
        json!(["person", 1, null]),
        json!(["bot", 0, 390]),
        json!(["operator", 0, null]),
        json!(["api", 0, null]),
        json!(["callback", 1, null]),
        json!(["new_chat_member", 1, null]),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn undocumented_members_and_callbacks_can_be_left_out() {
    let options =
        WebhookOptions { variables: false, internal_id: false, callbacks: false, ..WebhookOptions::default() };
    let (mut salebot, id) = with(options);
    salebot.person_writes(NOW_MS, id, Some("a"), &[]);
    post(&mut salebot, "callback", &json!({ "client_id": id, "message": "callback" }));
    let bodies = bodies(&mut salebot);
    assert_eq!(bodies.len(), 1, "the callback is in the history only");
    assert_eq!(salebot.history(id).len(), 2);
    let members = [
        "id",
        "client",
        "message",
        "attachments",
        "message_id",
        "project_id",
        "is_input",
        "delivered",
        "error_message",
    ];
    assert_eq!(keys(&bodies[0]), sorted(members));
    let members = ["id", "recepient", "client_type", "name", "avatar", "created_at", "tag", "group"];
    assert_eq!(keys(&bodies[0]["client"]), sorted(members));
}

#[test]
fn attachments_come_in_six_forms() {
    let files = [
        Attachment { url: "https://files.example.test/1.png".to_owned(), kind: "image".to_owned() },
        Attachment { url: "https://files.example.test/it's.pdf".to_owned(), kind: "file".to_owned() },
    ];
    let [first, second] = [&files[0].url, &files[1].url];
    let objects = json!([
        { "attachment_url": first, "attachment_type": "image" },
        { "attachment_url": second, "attachment_type": "file" },
    ]);
    let python = r"['https://files.example.test/1.png', 'https://files.example.test/it\'s.pdf']";
    let cases = [
        (EmptyAttachments::Null, json!(null), FilledAttachments::Links, json!([first, second])),
        (EmptyAttachments::Array, json!([]), FilledAttachments::Objects, objects),
        (EmptyAttachments::Object, json!({}), FilledAttachments::PythonList, json!(python)),
    ];
    for (empty, without, filled, with_files) in cases {
        let attachments = AttachmentsForm { empty, filled };
        let (mut salebot, id) = with(WebhookOptions { attachments, ..WebhookOptions::default() });
        salebot.person_writes(NOW_MS, id, Some("a"), &[]);
        salebot.person_writes(NOW_MS, id, None, &files);
        let bodies = bodies(&mut salebot);
        assert_eq!((&bodies[0]["attachments"], &bodies[1]["attachments"]), (&without, &with_files));
        assert_eq!(bodies[1]["message"], json!(null));
    }
}

#[test]
fn numbers_times_and_flags_have_other_forms() {
    for (flags, yes, no) in [(FlagForm::Boolean, json!(true), json!(false)), (FlagForm::Text, json!("1"), json!("0"))] {
        let webhook = WebhookOptions { flags, ..WebhookOptions::default() };
        let (number_form, time_form) = (NumberForm::Text, TimeForm::NaiveText);
        let mut salebot = Salebot::new(SalebotOptions { webhook, number_form, time_form, ..SalebotOptions::default() });
        let id = telegram(&mut salebot, "1", None);
        salebot.set_variable(NOW_MS, id, "client.clientBlocked", "1");
        salebot.bot_answers(NOW_MS, id, "a", 390);
        let body = bodies(&mut salebot).remove(0);
        assert_eq!((&body["is_input"], &body["delivered"]), (&no, &no));
        assert_eq!(
            (&body["message_id"], &body["error_message"]),
            (&json!("390"), &json!("bot was blocked by the user"))
        );
        assert!(body["id"].is_string());
        assert_eq!(body["client"]["created_at"], "2026-05-28 17:33:42.500000");
        salebot.person_writes(NOW_MS, id, Some("a"), &[]);
        assert_eq!(bodies(&mut salebot)[0]["is_input"], yes);
    }
}

#[test]
fn the_queue_is_bounded_and_can_be_off() {
    let (mut salebot, id) = with(WebhookOptions { queue_limit: 2, ..WebhookOptions::default() });
    for text in ["a", "b", "c"] {
        salebot.person_writes(NOW_MS, id, Some(text), &[]);
    }
    let texts: Vec<Value> = bodies(&mut salebot).iter().map(|body| body["message"].clone()).collect();
    assert_eq!((texts, salebot.statistics().webhooks_dropped), (vec![json!("b"), json!("c")], 1));
    let (mut silent, id) = with(WebhookOptions { enabled: false, ..WebhookOptions::default() });
    silent.person_writes(NOW_MS, id, Some("a"), &[]);
    assert!(silent.take_webhooks().is_empty());
}
