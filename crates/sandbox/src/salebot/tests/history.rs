//! `get_history` and `clear_history`.

use serde_json::json;

use super::super::options::{AttachmentsForm, EmptyAttachments, FilledAttachments, NoErrorForm, NumberForm};
use super::super::state::Attachment;
use super::*;

const DAY_MS: i64 = 86_400_000;

fn history(salebot: &mut Salebot, client_id: i64, more: &[(&str, &str)]) -> Value {
    let id = client_id.to_string();
    let query: Vec<(&str, &str)> = std::iter::once(("client_id", id.as_str())).chain(more.iter().copied()).collect();
    get(salebot, "get_history", &query)
}

#[test]
fn a_message_has_the_members_of_the_official_example() {
    let mut salebot = Salebot::new(SalebotOptions { no_error: NoErrorForm::TrueText, ..SalebotOptions::default() });
    let client_id = telegram(&mut salebot, "100", None);
    let id = salebot.bot_answers(NOW_MS, client_id, "Пышь тышь", 390);
    let answer = history(&mut salebot, client_id, &[]);
    let expected = json!({
        "id": id, "answered": true, "client_replica": false, "message_id": 390, "message_from_outside": 0,
        "created_at": 1_779_978_822, "text": "Пышь тышь", "attachments": {}, "delivered": true,
        "error_message": "true", "manager_id": null, "manager_email": null,
    });
    assert_eq!(answer, json!({ "status": "success", "result": [expected] }));
}

#[test]
fn writers_can_be_told_apart() {
    let mut salebot = salebot();
    let id = telegram(&mut salebot, "100", None);
    salebot.person_writes(NOW_MS, id, Some("person"), &[]);
    salebot.operator_answers(NOW_MS, id, "operator");
    post(&mut salebot, "message", &json!({ "client_id": id, "message": "api" }));
    post(&mut salebot, "callback", &json!({ "client_id": id, "message": "callback" }));
    let answer = history(&mut salebot, id, &[]);
    let seen: Vec<_> = answer["result"]
        .as_array()
        .expect("messages")
        .iter()
        .map(|row| json!([row["text"], row["client_replica"], row["message_from_outside"], row["manager_id"]]))
        .collect();
    let expected = [
        json!(["callback", true, 3, null]),
        json!(["api", false, 1, null]),
        json!(["operator", false, 0, 12_486]),
        json!(["person", true, 0, null]),
    ];
    assert_eq!(seen, expected, "newest first");
}

#[test]
fn oldest_first_limits_to_the_newest_all_the_same() {
    let mut salebot = Salebot::new(SalebotOptions { history_newest_first: false, ..SalebotOptions::default() });
    let id = telegram(&mut salebot, "100", None);
    for text in ["a", "b", "c"] {
        salebot.person_writes(NOW_MS, id, Some(text), &[]);
    }
    let answer = history(&mut salebot, id, &[("limit", "2")]);
    assert_eq!((&answer["result"][0]["text"], &answer["result"][1]["text"]), (&json!("b"), &json!("c")));
}

#[test]
fn days_are_whole_and_come_in_pairs() {
    let mut salebot = salebot();
    let id = telegram(&mut salebot, "100", None);
    for day in 0..3 {
        salebot.person_writes(NOW_MS + day * DAY_MS, id, Some(&day.to_string()), &[]);
    }
    let answer = history(&mut salebot, id, &[("start_date", "29.05.2026"), ("stop_date", "29.05.2026")]);
    assert_eq!(answer["result"].as_array().map(Vec::len), Some(1));
    assert_eq!(answer["result"][0]["text"], "1");
    assert_eq!(history(&mut salebot, id, &[("start_date", "29.05.2026")])["status"], "error");
    assert_eq!(history(&mut salebot, id, &[("start_date", "x"), ("stop_date", "y")])["status"], "error");
}

#[test]
fn attachments_have_their_own_form_in_the_history() {
    let file = Attachment { url: "https://files.example.test/a.ogg".to_owned(), kind: "audio".to_owned() };
    let cases = [
        (EmptyAttachments::Null, json!(null), FilledAttachments::Links, json!([file.url])),
        (
            EmptyAttachments::Array,
            json!([]),
            FilledAttachments::Objects,
            json!([{ "attachment_url": file.url, "attachment_type": "audio" }]),
        ),
    ];
    for (empty, without, filled, with) in cases {
        let history_attachments = AttachmentsForm { empty, filled };
        let mut salebot = Salebot::new(SalebotOptions { history_attachments, ..SalebotOptions::default() });
        let id = telegram(&mut salebot, "100", None);
        salebot.person_writes(NOW_MS, id, Some("a"), &[]);
        salebot.person_writes(NOW_MS, id, None, std::slice::from_ref(&file));
        let answer = history(&mut salebot, id, &[]);
        assert_eq!((&answer["result"][0]["attachments"], &answer["result"][1]["attachments"]), (&with, &without));
        assert_eq!(answer["result"][0]["text"], json!(null));
    }
}

#[test]
fn numbers_may_be_texts_and_old_messages_are_dropped() {
    let options = SalebotOptions { number_form: NumberForm::Text, history_limit: 2, ..SalebotOptions::default() };
    let mut salebot = Salebot::new(options);
    let id = telegram(&mut salebot, "100", None);
    let ids: Vec<_> = (0..3).filter_map(|_| salebot.bot_answers(NOW_MS, id, "a", 390)).collect();
    let answer = history(&mut salebot, id, &[]);
    assert_eq!(answer["result"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        (&answer["result"][0]["id"], &answer["result"][0]["message_id"]),
        (&json!(ids[2].to_string()), &json!("390"))
    );
}

#[test]
fn a_cleared_history_is_empty_and_an_unknown_client_has_none() {
    let mut salebot = salebot();
    let id = telegram(&mut salebot, "100", None);
    salebot.person_writes(NOW_MS, id, Some("a"), &[]);
    assert_eq!(get(&mut salebot, "clear_history", &[("client_id", &id.to_string())])["status"], "success");
    assert_eq!(history(&mut salebot, id, &[])["result"], json!([]));
    assert_eq!(history(&mut salebot, 7, &[])["status"], "client_not_found");
}
