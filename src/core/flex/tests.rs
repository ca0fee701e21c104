//! Tables of the forms in which one meaning is written.

use super::*;
use crate::core::model::Attachment;
use crate::core::time::Millis;
use proptest::prelude::*;
use rstest::rstest;

fn flex(text: &str) -> Flex<'_> {
    Flex::parse(text).expect("the case is JSON")
}

#[rstest]
#[case("5", Some(5))]
#[case("\"5\"", Some(5))]
#[case("\" 5 \"", Some(5))]
#[case("5.0", Some(5))]
#[case("\"123.0\"", Some(123))]
#[case("1.23e9", Some(1_230_000_000))]
#[case("22222222222", Some(22_222_222_222))]
#[case("9223372036854775807", Some(i64::MAX))]
#[case("18446744073709551616", None)]
#[case("1e400", None)]
#[case("9007199254740993.5", None)]
#[case("5.5", None)]
#[case("\"inf\"", None)]
#[case("\"\"", None)]
#[case("\"NONE\"", None)]
#[case("null", None)]
#[case("true", None)]
#[case("[5]", None)]
#[case("-7", Some(-7))]
fn whole_numbers(#[case] text: &str, #[case] expected: Option<i64>) {
    assert_eq!(flex(text).integer(), expected);
}

#[test]
fn ids_are_above_zero_and_may_stand_alone_or_in_lists() {
    assert_eq!(flex("0").id(), None);
    assert_eq!(flex("-7").id(), None);
    assert_eq!(flex("[1, \"2\", null, 3.0, \"x\", {}]").ids(), vec![1, 2, 3]);
    assert_eq!(flex("7").ids(), vec![7]);
    assert_eq!(flex("null").ids(), Vec::<u64>::new());
}

#[rstest]
#[case("1", Some(true))]
#[case("0", Some(false))]
#[case("true", Some(true))]
#[case("false", Some(false))]
#[case("\"1\"", Some(true))]
#[case("\"0\"", Some(false))]
#[case("\"True\"", Some(true))]
#[case("\"false\"", Some(false))]
#[case("null", None)]
#[case("2", None)]
#[case("\"\"", None)]
#[case("[]", None)]
fn flags(#[case] text: &str, #[case] expected: Option<bool>) {
    assert_eq!(flex(text).truth(), expected);
}

#[rstest]
#[case("1700000000", 1_700_000_000_000, true)]
#[case("\"1700000000\"", 1_700_000_000_000, true)]
#[case("1700000000.25", 1_700_000_000_250, true)]
#[case("1700000000250", 1_700_000_000_250, true)]
#[case("1700000000250000", 1_700_000_000_250, true)]
#[case("\"2026-05-28 17:33:42.539976\"", 1_779_989_622_539, false)]
#[case("\"2026-05-28T17:33:42\"", 1_779_989_622_000, false)]
#[case("\"2026-05-28T17:33:42Z\"", 1_779_989_622_000, true)]
#[case("\"2026-05-28 17:33:42 UTC\"", 1_779_989_622_000, true)]
#[case("\"2026-05-28T20:33:42+03:00\"", 1_779_989_622_000, true)]
#[case("\"2026-05-28 20:33:42 +0300\"", 1_779_989_622_000, true)]
fn moments(#[case] text: &str, #[case] millis: i64, #[case] zone_known: bool) {
    assert_eq!(flex(text).moment(), Some(Moment { at: Millis(millis), zone_known }));
}

#[rstest]
#[case("null")]
#[case("\"\"")]
#[case("\"yesterday\"")]
#[case("1e300")]
#[case("-5")]
#[case("true")]
fn no_moments(#[case] text: &str) {
    assert_eq!(flex(text).moment(), None);
}

#[rstest]
#[case("\"74\"", Some("74"))]
#[case("74", Some("74"))]
#[case("74.50", Some("74.50"))]
#[case("true", Some("true"))]
#[case("\"NONE\"", None)]
#[case("\"None\"", None)]
#[case("\"none\"", None)]
#[case("\"null\"", None)]
#[case("\"\"", None)]
#[case("\"  \"", None)]
#[case("\"#{phone}\"", None)]
#[case("null", None)]
#[case("\"Nonette\"", Some("Nonette"))]
#[case("{\"a\":[1]}", Some("{\"a\":[1]}"))]
fn values_of_variables(#[case] text: &str, #[case] expected: Option<&str>) {
    assert_eq!(flex(text).variable().as_deref(), expected);
}

#[test]
fn half_an_emoji_does_not_lose_the_text() {
    assert_eq!(flex(r#""ok \ud83d""#).text().as_deref(), Some("ok \u{FFFD}\u{FFFD}\u{FFFD}"));
    assert_eq!(flex(r#""ok \ud83d\ude00""#).text().as_deref(), Some("ok 😀"));
    assert!(Object::parse(r#"{"\ud83d": 1, "id": 2}"#).is_ok_and(|object| object.id("id") == Some(2)));
}

#[test]
fn odd_members_leave_their_neighbours_alone() {
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let text = format!(r#"{{"id":1,"deep":{deep},"huge":1e999,"id":2}}"#);
    let object = Object::parse(&text).expect("an object");
    assert_eq!(object.id("id"), Some(2));
    assert!(object.get("deep").is_some_and(|deep| deep.tree().is_none()));
    assert_eq!(object.get("huge").and_then(Flex::integer), None);
}

#[test]
fn faults_of_shape_name_the_place_and_not_the_content() {
    let error = Object::parse("{\"secret\": \"letter\", oops}").expect_err("not JSON");
    assert_eq!(error.to_string(), "not JSON at line 1, column 22");
    assert_eq!(Object::parse("[1]").expect_err("a list").what, "not the expected kind of value");
    assert_eq!(Object::parse("").expect_err("nothing").what, "the text ends too early");
}

#[test]
fn a_client_by_any_name() {
    let text = r#"{"id":"811111111","recepient":600000001,"platform_id":"x","client_type":"1","name":"NONE",
        "avatar":null,"created_at":"1700000000","tag":null,"group":"some_bot"}"#;
    let client = Object::parse(text).expect("an object").client().expect("it has an id");
    assert_eq!(
        client,
        Client {
            id: ClientId(811_111_111),
            platform_id: Some("600000001".to_owned()),
            group: Some("some_bot".to_owned()),
            messenger: Some(1),
            name: None,
            tag: None,
            created_at: Some(1_700_000_000),
        }
    );
    for name in ["recipient", "platform_id"] {
        let text = format!(r#"{{"id":1,"{name}":"-100"}}"#);
        let client = Object::parse(&text).expect("an object").client().expect("it has an id");
        assert_eq!(client.platform_id.as_deref(), Some("-100"));
    }
    assert_eq!(Object::parse(r#"{"name":"Anna"}"#).expect("an object").client(), None);
}

#[rstest]
#[case("null", &[])]
#[case("[]", &[])]
#[case("{}", &[])]
#[case("\"\"", &[])]
#[case("\"[]\"", &[])]
#[case("17", &[])]
#[case("\"['https://files.example.test/1\"", &[])]
#[case(r#"["https://files.example.test/1","https://files.example.test/2"]"#, &[("1", None), ("2", None)])]
#[case(r#"[{"attachment_url":"https://files.example.test/1","attachment_type":"image"}]"#, &[("1", Some("image"))])]
#[case(r#"[{"url":"https://files.example.test/1","name":"a.png","type":"file"}]"#, &[("1", Some("file"))])]
#[case(r#"[{"file":"https://files.example.test/1","type":null}]"#, &[("1", None)])]
#[case(r#"{"attachment_url":"https://files.example.test/1"}"#, &[("1", None)])]
#[case(r#"{"image":"https://files.example.test/1","file":["https://files.example.test/2"],"size":"12"}"#,
    &[("2", Some("file")), ("1", Some("image"))])]
#[case("\"https://files.example.test/1\"", &[("1", None)])]
#[case("\"['https://files.example.test/1', 'https://files.example.test/2']\"", &[("1", None), ("2", None)])]
#[case(r#""[\"https://files.example.test/1\"]""#, &[("1", None)])]
#[case("\"[{'url': 'https://files.example.test/1', 'type': 'video', 'size': 3, 'a': None, 'b': True,}]\"",
    &[("1", Some("video"))])]
#[case("\"('https://files.example.test/1',)\"", &[("1", None)])]
fn attachments_in_every_form(#[case] text: &str, #[case] expected: &[(&str, Option<&str>)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, kind)| Attachment {
            url: format!("https://files.example.test/{name}"),
            kind: kind.map(str::to_owned),
        })
        .collect();
    assert_eq!(attachments(flex(text)), expected);
}

#[test]
fn a_voice_message_without_an_address_is_still_an_attachment() {
    let found = attachments(flex(r#"[{"attachment_url":"","attachment_type":"audio"}]"#));
    assert_eq!(found, vec![Attachment { url: String::new(), kind: Some("audio".to_owned()) }]);
}

#[test]
fn attachments_are_bounded() {
    let many = format!("[{}]", vec!["\"https://files.example.test/1\""; 1_000].join(","));
    assert_eq!(attachments(flex(&many)).len(), 100);
}

proptest! {
    #[test]
    fn no_text_breaks_the_reading(text in "\\PC{0,200}") {
        let quoted = serde_json::to_string(&text).expect("a text");
        let value = flex(&quoted);
        let _ = (value.integer(), value.truth(), value.moment(), value.present(), attachments(value));
        let _ = Flex::parse(&text).map(|value| (value.object().is_some(), attachments(value)));
        let read = value.text();
        prop_assert_eq!(read.as_deref(), Some(text.as_str()));
    }

    #[test]
    fn no_literal_breaks_the_reading(text in "[\\[\\](){}'\",:\\\\ a-zТ1\\.]{0,60}") {
        let _ = literal::parse(&text);
    }
}
