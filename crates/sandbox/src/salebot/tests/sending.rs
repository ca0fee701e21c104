//! Callbacks, messages, broadcasts and their timing.

use serde_json::json;

use super::super::state::Origin;
use super::*;

fn callbacks(salebot: &Salebot) -> Vec<(i64, &str)> {
    salebot.callbacks().map(|callback| (callback.client_id, callback.text.as_str())).collect()
}

#[test]
fn a_callback_reaches_the_bot_and_keeps_the_rest_as_variables() {
    let mut salebot = salebot();
    let id = telegram(&mut salebot, "100", None);
    order(&mut salebot, id);
    let body = json!({
        "client_id": id.to_string(), "message": "paid", "resume_bot": true, "utm": "a", "client.score": 5,
        "variables": { "nested": 1 }, "bad name": "x",
    });
    assert_eq!(post(&mut salebot, "callback", &body)["status"], "success");
    assert_eq!(callbacks(&salebot), [(id, "paid")]);
    let variables = salebot.variables(id).expect("the client");
    assert_eq!((&variables["utm"], &variables["score"]), (&json!("a"), &json!(5)));
    assert!(
        !variables.contains_key("nested")
            && !variables.contains_key("bad name")
            && !variables.contains_key("resume_bot")
    );
    let message = &salebot.history(id)[0];
    assert_eq!((message.from_client, message.origin, message.at_ms), (true, Origin::Callback, NOW_MS));
}

#[test]
fn a_callback_finds_its_client_by_id_phone_or_email() {
    let mut salebot = salebot();
    let (first, second) = (telegram(&mut salebot, "1", None), telegram(&mut salebot, "2", None));
    salebot.set_variable(NOW_MS, first, "client.phone", "79990000001");
    salebot.set_variable(NOW_MS, second, "client.email", "b@example.test");
    for body in [
        json!({ "client_id": second, "client_phone": "79990000001", "message": "a" }),
        json!({ "client_phone": "79990000001", "client_email": "b@example.test", "message": "b" }),
        json!({ "client_email": "b@example.test", "message": "c" }),
    ] {
        post(&mut salebot, "callback", &body);
    }
    assert_eq!(callbacks(&salebot), [(second, "a"), (first, "b"), (second, "c")]);
    for body in [
        json!({ "client_id": 7, "message": "x" }),
        json!({ "message": "x" }),
        json!({ "client_phone": "1", "message": "x" }),
    ] {
        assert_eq!(post(&mut salebot, "callback", &body), json!({ "status": "client_not_found" }), "{body}");
    }
    assert_eq!(post(&mut salebot, "callback", &json!({ "client_id": first }))["status"], "error", "no text");
}

#[test]
fn a_callback_follows_a_value_pointer() {
    let mut salebot = salebot();
    let id = telegram(&mut salebot, "100", None);
    let path = format!("/api/{DEFAULT_KEY}/callback");
    let body = json!({ "my_client": id, "message": "Hello world" }).to_string().into_bytes();
    let response = salebot.handle(NOW_MS, &request("POST", &path, &[("value_client_id", "my_client")], body));
    assert_eq!((response.status, callbacks(&salebot)), (200, vec![(id, "Hello world")]));
}

#[test]
fn messenger_callbacks_find_user_and_group() {
    let mut salebot = salebot();
    let tg = telegram(&mut salebot, "146467928", None);
    let kinds = [(messenger::VKONTAKTE, "143000131"), (messenger::ODNOKLASSNIKI, "52000000000001")];
    let [vk, ok] = kinds.map(|(client_type, group)| {
        salebot.add_client(NOW_MS, NewClient { client_type, platform_id: "146467928", group, name: None })
    });
    for (action, group) in
        [("tg_callback", "some_bot"), ("vk_callback", "143000131"), ("ok_callback", "52000000000001")]
    {
        let body = json!({ "user_id": 146_467_928, "group_id": group, "message": action });
        assert_eq!(post(&mut salebot, action, &body)["status"], "success");
        let stranger = json!({ "user_id": "5", "group_id": group, "message": action });
        assert_eq!(post(&mut salebot, action, &stranger)["status"], "client_not_found");
    }
    assert_eq!(callbacks(&salebot), [(tg, "tg_callback"), (vk, "vk_callback"), (ok, "ok_callback")]);
}

#[test]
fn whatsapp_and_email_callbacks_make_their_client() {
    let mut salebot = salebot();
    let body = json!({ "phone": "+7 999 000-00-01", "bot_id": "34810", "name": "Пётр", "message": "hi" });
    for _ in 0..2 {
        assert_eq!(post(&mut salebot, "whatsapp_callback", &body)["status"], "success");
    }
    let body = json!({ "email": "a@example.test", "email_id_bot": "bot@example.test", "message": "hi" });
    assert_eq!(post(&mut salebot, "email_callback", &body)["status"], "success");
    let made: Vec<_> = salebot.clients().map(|client| (client.client_type, client.platform_id.as_str())).collect();
    assert_eq!(made, [(messenger::WHATSAPP, "79990000001"), (messenger::EMAIL, "a@example.test")]);
    assert_eq!(salebot.callbacks().count(), 3);
    let named = salebot.clients().next().and_then(|client| client.name.as_deref());
    assert_eq!(named, Some("Пётр"));
    let wrong_bot = json!({ "phone": "79990000001", "bot_id": 1, "message": "hi" });
    assert_eq!(post(&mut salebot, "whatsapp_callback", &wrong_bot)["status"], "client_not_found");
}

#[test]
fn callbacks_by_platform_id_reach_those_in_the_project() {
    let mut salebot = salebot();
    let id = telegram(&mut salebot, "407184121", None);
    let body = json!({ "platform_ids": [407_184_121, "79609879898", "2rwewefw"], "group_id": "some_bot", "callback_text": "test" });
    assert_eq!(post(&mut salebot, "send_callback_by_platform_id", &body)["status"], "success");
    assert_eq!(callbacks(&salebot), [(id, "test")]);
    let many: Vec<i64> = (0..301).collect();
    let body = json!({ "platform_ids": many, "callback_text": "test" });
    assert_eq!(post(&mut salebot, "send_callback_by_platform_id", &body)["status"], "error");
}

#[test]
fn a_message_is_written_as_the_api_or_as_a_block() {
    let mut salebot = salebot();
    let id = telegram(&mut salebot, "100", None);
    post(&mut salebot, "message", &json!({ "client_id": id.to_string(), "message": "some_text" }));
    post(&mut salebot, "message", &json!({ "client_id": id, "message_id": "390" }));
    let file =
        json!({ "client_id": id, "attachment_url": "https://files.example.test/a.png", "attachment_type": "image" });
    post(&mut salebot, "message", &file);
    let seen: Vec<_> =
        salebot.history(id).iter().map(|message| (message.text.as_deref(), message.block_id, message.origin)).collect();
    let expected = [
        (Some("some_text"), None, Origin::Api),
        (Some("Здравствуйте! Чем помочь?"), Some(390), Origin::Ordinary),
        (None, None, Origin::Api),
    ];
    assert_eq!(seen, expected);
    assert_eq!(salebot.history(id)[2].attachments[0].kind, "image");
    assert_eq!(salebot.client(id).and_then(|client| client.block_id), Some(390));
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let mut salebot = salebot();
    let id = telegram(&mut salebot, "100", None);
    for body in [
        json!({ "client_id": id }),
        json!({ "client_id": id, "message_id": 1 }),
        json!({ "client_id": id, "attachment_url": "https://files.example.test/a" }),
        json!({ "client_id": id, "message": "a", "buttons": { "hint": "x" } }),
        json!({ "client_id": id, "message": "a", "time_shift": "soon" }),
        json!({ "client_id": id, "message": "a", "send_time": "завтра" }),
    ] {
        assert_eq!(post(&mut salebot, "message", &body)["status"], "error", "{body}");
    }
    assert_eq!(post(&mut salebot, "message", &json!({ "client_id": 7, "message": "a" }))["status"], "client_not_found");
    assert!(salebot.history(id).is_empty());
    let buttons =
        json!({ "hint": "x", "buttons": [{ "type": "reply", "text": "Цены", "line": 0, "index_in_line": 0 }] });
    for buttons in [buttons.clone(), buttons["buttons"].clone()] {
        let body = json!({ "client_id": id, "message": "a", "buttons": buttons });
        assert_eq!(post(&mut salebot, "message", &body)["status"], "success");
    }
}

#[test]
fn an_unsubscribed_person_gets_nothing_and_the_message_says_so() {
    let mut salebot = salebot();
    let id = telegram(&mut salebot, "100", None);
    salebot.set_variable(NOW_MS, id, "client.notSubscribed", "1");
    assert_eq!(post(&mut salebot, "message", &json!({ "client_id": id, "message": "a" }))["status"], "success");
    assert!(salebot.history(id)[0].error.is_some());
}

#[test]
fn a_whatsapp_message_makes_its_client() {
    let mut salebot = salebot();
    let body = json!({ "message": "some_text", "phone": "79990000001", "whatsapp_bot_id": 31 });
    assert_eq!(post(&mut salebot, "whatsapp_message", &body)["status"], "success");
    let made = salebot.clients().next().expect("a client");
    assert_eq!((made.platform_id.as_str(), made.group.as_str(), made.history.len()), ("79990000001", "34810", 1));
    assert_eq!(post(&mut salebot, "whatsapp_message", &json!({ "phone": "79990000002" }))["status"], "error");
    assert_eq!(salebot.clients().count(), 1, "a refused message makes nobody");
}

#[test]
fn timed_messages_wait_and_time_shift_wins() {
    let mut salebot = salebot();
    let id = telegram(&mut salebot, "100", None);
    let timed = json!({ "client_id": id, "message": "later", "time_shift": 60, "send_time": "2030-01-01 00:00:00" });
    post(&mut salebot, "message", &timed);
    post(&mut salebot, "callback", &json!({ "client_id": id, "message": "at", "send_time": "2026-05-28 17:33:50" }));
    assert_eq!((salebot.history(id).len(), salebot.next_due_ms()), (0, Some(1_779_978_830_000)));
    salebot.advance(NOW_MS + 59_999);
    assert_eq!(callbacks(&salebot), [(id, "at")]);
    get_at(&mut salebot, NOW_MS + 70_000, "get_messages", &[]);
    let times: Vec<i64> = salebot.history(id).iter().map(|message| message.at_ms).collect();
    assert_eq!(times, [1_779_978_830_000, NOW_MS + 60_000], "each at its own time, even when looked at later");
    assert_eq!(salebot.next_due_ms(), None);
}

#[test]
fn the_schedule_is_bounded() {
    let mut salebot = Salebot::new(SalebotOptions { schedule_limit: 1, ..SalebotOptions::default() });
    let id = telegram(&mut salebot, "100", None);
    let body = json!({ "client_id": id, "message": "later", "time_shift": 60 });
    assert_eq!(post(&mut salebot, "message", &body)["status"], "success");
    assert_eq!(post(&mut salebot, "message", &body)["status"], "error");
    let broadcast = json!({ "message": "a", "clients": [id] });
    assert_eq!(post(&mut salebot, "broadcast", &broadcast)["status"], "error");
    assert!(salebot.history(id).is_empty(), "refused as a whole");
}

#[test]
fn a_broadcast_takes_one_audience_and_keeps_its_distance() {
    let mut salebot = salebot();
    let ids = ["5", "58", "110"].map(|platform_id| telegram(&mut salebot, platform_id, None));
    post(&mut salebot, "add_to_list", &json!({ "list_id": 9, "clients": [ids[0]] }));
    post(&mut salebot, "broadcast", &json!({ "message": "a", "clients": [ids[0].to_string(), ids[1], 7] }));
    post(&mut salebot, "broadcast", &json!({ "message": "b", "list": 9, "shift": 0 }));
    let platforms = json!({ "message": "c", "platform_ids": [110], "group_id": "some_bot" });
    post(&mut salebot, "broadcast", &platforms);
    assert_eq!(salebot.next_due_ms(), Some(NOW_MS + 200), "the second of the first broadcast");
    salebot.advance(NOW_MS + 200);
    let texts =
        |id: i64| -> Vec<&str> { salebot.history(id).iter().filter_map(|message| message.text.as_deref()).collect() };
    assert_eq!((texts(ids[0]), texts(ids[1]), texts(ids[2])), (vec!["a", "b"], vec!["a"], vec!["c"]));
}

#[test]
fn a_broadcast_to_nobody_or_to_two_audiences_is_not_sent() {
    let mut salebot = salebot();
    let id = telegram(&mut salebot, "5", None);
    for body in [
        json!({ "message": "a" }),
        json!({ "message": "a", "clients": [id], "list": 1 }),
        json!({ "message": "a", "platform_ids": ["5"] }),
        json!({ "clients": [id] }),
    ] {
        assert_eq!(post(&mut salebot, "broadcast", &body)["status"], "error", "{body}");
    }
    assert!(salebot.history(id).is_empty());
}
