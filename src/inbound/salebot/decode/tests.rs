//! Every variant of a pushed body that the Salebot reference names, and some that nobody would send.

use super::*;
use crate::core::id::MessageId;
use crate::core::model::{Attachment, Notice};
use proptest::prelude::*;
use rstest::rstest;

fn decoder() -> SalebotDecoder {
    SalebotDecoder::new(Notices::new(vec!["bridge-said*".to_owned()]))
}

fn event(body: &str) -> Event {
    decoder().decode(body.as_bytes()).expect("the case can be read")
}

fn message(body: &str) -> Message {
    match event(body) {
        Event::Message(message) => message,
        other => panic!("no message: {other:?}"),
    }
}

/// A body around some members.
fn body_with(members: &str) -> String {
    format!(r#"{{"id":22222222222,"client":{{"id":5}},"project_id":400000,"is_input":1,{members}}}"#)
}

const FULL: &str = r#"{"id":22222222222,
    "client":{"id":811111111,"recepient":"600000001","client_type":1,"name":"Анна","avatar":"https://files.example.test/a",
              "created_at":"1700000000","tag":"spring","group":"some_bot","variables":{"tg_username":"@anna","phone":null}},
    "message":"Здравствуйте","attachments":null,"message_id":null,"project_id":400000,
    "is_input":1,"delivered":1,"error_message":null,"internal_id":"12345"}"#;

#[test]
fn a_whole_message() {
    let expected = Message {
        id: Some(MessageId(22_222_222_222)),
        client: Client {
            id: ClientId(811_111_111),
            platform_id: Some("600000001".to_owned()),
            group: Some("some_bot".to_owned()),
            messenger: Some(1),
            name: Some("Анна".to_owned()),
            tag: Some("spring".to_owned()),
            created_at: Some(1_700_000_000),
        },
        text: Some("Здравствуйте".to_owned()),
        attachments: Vec::new(),
        incoming: true,
        block: None,
        variables: Some([("tg_username".to_owned(), "@anna".to_owned())].into()),
        written_at: None,
    };
    assert_eq!(event(FULL), Event::Message(expected));
    let glance = decoder().glance(FULL.as_bytes());
    let dedupe = Some("22222222222".to_owned());
    assert_eq!(
        glance,
        Glance::Line { dedupe, client: ClientId(811_111_111), message: Some(MessageId(22_222_222_222)) }
    );
}

#[rstest]
#[case("1", true)]
#[case("0", false)]
#[case("true", true)]
#[case("false", false)]
#[case("\"1\"", true)]
#[case("\"0\"", false)]
#[case("\"False\"", false)]
#[case("null", true)]
#[case("\"?\"", true)]
fn directions(#[case] flag: &str, #[case] incoming: bool) {
    let body = format!(r#"{{"id":1,"client":{{"id":5}},"message":"x","is_input":{flag}}}"#);
    assert_eq!(message(&body).incoming, incoming);
}

#[test]
fn without_a_direction_a_block_speaks_for_the_bot() {
    let message = message(r#"{"id":1,"client":{"id":5},"message":"x","message_id":"390"}"#);
    assert_eq!((message.incoming, message.block), (false, Some(390)));
}

#[rstest]
#[case(r#""message":null"#, None)]
#[case(r#""message":"""#, None)]
#[case(r#""message":5"#, Some("5"))]
#[case(r#""message":{"text":"x"}"#, None)]
#[case(r#""message":"None""#, Some("None"))]
#[case(r#""message":"first","message":"second""#, Some("second"))]
#[case(r#""delivered":0"#, None)]
fn texts(#[case] members: &str, #[case] expected: Option<&str>) {
    assert_eq!(message(&body_with(members)).text.as_deref(), expected);
}

#[rstest]
#[case(r#""attachments":null"#, &[])]
#[case(r#""attachments":[]"#, &[])]
#[case(r#""attachments":{}"#, &[])]
#[case(r#""attachments":"?""#, &["?"])]
#[case(r#""attachments":["https://files.example.test/1"]"#, &["https://files.example.test/1"])]
#[case(r#""attachments":[{"url":"https://files.example.test/1","type":"image"}]"#, &["https://files.example.test/1"])]
#[case(r#""attachments":"['https://files.example.test/1', 'https://files.example.test/2']""#,
    &["https://files.example.test/1", "https://files.example.test/2"])]
fn files(#[case] members: &str, #[case] expected: &[&str]) {
    let urls: Vec<String> =
        message(&body_with(members)).attachments.into_iter().map(|Attachment { url, .. }| url).collect();
    assert_eq!(urls, expected);
}

#[rstest]
#[case("new_chat_member", Notice::Other)]
#[case("left_chat_member", Notice::Other)]
#[case("crm_state_changed Продажи:Новая", Notice::Order)]
#[case("crm_system_state_changed success", Notice::Order)]
#[case("crm_lead_removed", Notice::Order)]
#[case("change_responsible_order", Notice::Order)]
#[case("new_task_added_callback task_id:5, task_name:x", Notice::Other)]
#[case("switch_to_telegram", Notice::Other)]
#[case("shop_success 500", Notice::Other)]
fn notices(#[case] text: &str, #[case] expected: Notice) {
    let body = body_with(&format!(r#""message":"{text}""#));
    let (client, id) = (Client::unknown(ClientId(5)), Some(MessageId(22_222_222_222)));
    assert_eq!(event(&body), Event::Notice { client, id, notice: expected });
}

#[test]
fn callbacks_of_ours_and_configured_texts_are_nothing() {
    for text in ["amo_state_changed 61:1001", "bridge-said something"] {
        let event = event(&body_with(&format!(r#""message":"{text}""#)));
        assert!(matches!(event, Event::Nothing { .. }), "{text}");
    }
}

#[rstest]
#[case(r#"{"id":1,"message":"x"}"#)]
#[case(r#"{"id":1,"client":null}"#)]
#[case(r#"{"id":1,"client":{}}"#)]
#[case(r#"{"id":1,"client":""}"#)]
#[case("{}")]
fn bodies_of_nobody(#[case] body: &str) {
    assert_eq!(decoder().glance(body.as_bytes()), Glance::Nobody);
    assert!(matches!(event(body), Event::Nothing { .. }));
}

#[rstest]
#[case("", "the body is empty")]
#[case(" \n", "the body is empty")]
#[case("hello", "at the body: not JSON at line 1, column 1")]
#[case("{'id': 1}", "at the body: not JSON at line 1, column 2")]
#[case(r#"{"id":1,"client":{"id":5}"#, "at the body: the text ends too early at line 1, column 25")]
#[case("[1]", "at the body: not the expected kind of value at line 1, column 0")]
#[case("5", "at the body: not the expected kind of value at line 1, column 1")]
#[case(r#"{"client":{"id":"abc"}}"#, UNREADABLE_CLIENT)]
#[case(r#"{"client":{"name":"Anna"}}"#, UNREADABLE_CLIENT)]
#[case(r#"{"client":[]}"#, UNREADABLE_CLIENT)]
#[case(r#"{"client":{"id":1e400}}"#, UNREADABLE_CLIENT)]
fn unreadable_bodies(#[case] body: &str, #[case] reason: &str) {
    assert_eq!(decoder().decode(body.as_bytes()), Err(reason.to_owned()));
    assert_eq!(decoder().glance(body.as_bytes()), Glance::Broken(reason.to_owned()));
}

#[test]
fn the_depth_of_a_list_costs_no_stack() {
    for deep in ["[".repeat(500_000), format!(r#"{{"id":1,"client":{}"#, "{\"a\":".repeat(100_000))] {
        assert!(decoder().decode(deep.as_bytes()).is_err());
        assert!(matches!(decoder().glance(deep.as_bytes()), Glance::Broken(_)));
    }
    let deep = format!("{}{}", "[".repeat(400_000), "]".repeat(400_000));
    let body = body_with(&format!(r#""message":"x","attachments":{deep},"other":{deep}"#));
    assert_eq!(message(&body).text.as_deref(), Some("x"));
}

#[test]
fn bytes_that_are_no_text_do_not_lose_the_message() {
    let mut body = br#"{"id":"7","client":{"id":5.0},"message":"caf"#.to_vec();
    body.extend_from_slice(b"\xe9\"}");
    match decoder().decode(&body) {
        Ok(Event::Message(message)) => assert_eq!(message.text.as_deref(), Some("caf\u{FFFD}")),
        other => panic!("no message: {other:?}"),
    }
    let with_mark = format!("\u{FEFF}{FULL}");
    assert_eq!(event(&with_mark), event(FULL));
}

#[test]
fn a_bare_id_is_a_client_and_no_id_is_no_key() {
    let message = message(r#"{"client":"5","message":"x"}"#);
    assert_eq!((message.client, message.id), (Client::unknown(ClientId(5)), None));
    let glance = decoder().glance(br#"{"client":{"id":5},"project_id":1}"#);
    assert_eq!(glance, Glance::Line { dedupe: None, client: ClientId(5), message: None });
}

proptest! {
    #[test]
    fn whatever_comes_both_looks_agree(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let is_broken = matches!(decoder().glance(&bytes), Glance::Broken(_));
        prop_assert_eq!(decoder().decode(&bytes).is_err(), is_broken);
    }

    #[test]
    fn a_spoiled_byte_loses_at_most_its_body(place in 0..FULL.len(), byte in any::<u8>()) {
        let mut bytes = FULL.as_bytes().to_vec();
        bytes[place] = byte;
        let is_broken = matches!(decoder().glance(&bytes), Glance::Broken(_));
        prop_assert_eq!(decoder().decode(&bytes).is_err(), is_broken);
    }
}

/// A value that may stand where an id does.
fn perhaps_an_id() -> impl Strategy<Value = String> {
    const ODD: &[&str] = &[
        "null",
        "0",
        "-1",
        r#""5""#,
        "5.0",
        "1e3",
        "[5]",
        "{}",
        r#"{"id":5}"#,
        r#"[{"id":5}]"#,
        "9223372036854775808",
    ];
    prop_oneof![any::<u32>().prop_map(|id| id.to_string()), proptest::sample::select(ODD).prop_map(str::to_owned)]
}

proptest! {
    /// The quick look at usual bodies and the close one at all others come to the same.
    #[test]
    fn both_ways_to_ids_agree(
        ids in (perhaps_an_id(), perhaps_an_id()),
        shape in 0..6_usize,
    ) {
        let (id, client) = ids;
        let body = match shape {
            0 => format!(r#"{{"id":{id},"client":{{"id":{client},"name":"x"}}}}"#),
            1 => format!(r#"{{"client":{{"name":null,"id":{client}}},"id":{id},"message":"x"}}"#),
            2 => format!(r#"{{"id":{id},"client":{client}}}"#),
            3 => format!(r#"{{"id":{id},"id":7,"client":{{"id":{client},"id":6}}}}"#),
            4 => format!(r#"[{id},{{"id":{client}}}]"#),
            _ => format!(r#" {{"id":{id},"client":[{client}]}}"#),
        };
        // A mark in front of it is no part of it, and has it looked at closely.
        prop_assert_eq!(decoder().glance(body.as_bytes()), decoder().glance(format!("\u{FEFF}{body}").as_bytes()));
    }
}

#[test]
fn a_recovered_message_is_read_as_the_delivered_one_with_its_time() {
    let file = |url: &str, kind: Option<&str>| Attachment { url: url.to_owned(), kind: kind.map(str::to_owned) };
    let files = vec![
        file("https://files.example.test/a.jpg", Some("image")),
        file("https://files.example.test/b", None),
        file("", Some("audio")),
    ];
    let Event::Message(delivered) = event(FULL) else { panic!("a message") };
    let written_at = Millis(1_700_000_000_123);
    let with_files = Message { text: None, attachments: files, incoming: false, block: Some(390), ..delivered.clone() };
    let bare = Message { client: Client::unknown(ClientId(5)), variables: None, ..delivered.clone() };
    for message in [delivered, with_files, bare] {
        let body = decoder().encode(&message, written_at);
        let expected = Message { written_at: Some(written_at), ..message };
        assert_eq!(decoder().decode(&body), Ok(Event::Message(expected.clone())));
        let Glance::Line { dedupe, client, message } = decoder().glance(&body) else { panic!("a line") };
        assert_eq!((client, message), (expected.client.id, expected.id));
        assert_eq!(dedupe.as_deref(), Some("22222222222"), "a delivered copy is known by the same key");
    }
}
