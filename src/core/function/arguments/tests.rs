//! Every form in which bots send arguments.

use super::*;
use proptest::prelude::*;
use rstest::rstest;

fn read(query: &str, body: &str) -> Arguments {
    Arguments::read(query, body.as_bytes()).unwrap()
}

#[rstest]
#[case::json("", r#"{"client_id": 5, "name": "Чай & кофе"}"#)]
#[case::numbers_as_text("", r#"{"client_id": "5", "name": "Чай & кофе"}"#)]
#[case::twice_encoded("", r#""{\"client_id\": 5, \"name\": \"Чай & кофе\"}""#)]
#[case::thrice_encoded("", r#""\"{\\\"client_id\\\": 5, \\\"name\\\": \\\"Чай & кофе\\\"}\"""#)]
#[case::with_a_mark("", "\u{feff} {\"client_id\":5,\"name\":\"Чай & кофе\"}\n")]
#[case::form("", "client_id=5&name=%D0%A7%D0%B0%D0%B9+%26+%D0%BA%D0%BE%D1%84%D0%B5")]
#[case::raw_form("", "client_id=5&name=Чай %26 кофе")]
#[case::query("client_id=5&name=%D0%A7%D0%B0%D0%B9%20%26%20%D0%BA%D0%BE%D1%84%D0%B5", "")]
#[case::both("client_id=5", r#"{"name": "Чай & кофе"}"#)]
#[case::encoded_json(
    "",
    "%7B%22client_id%22%3A5%2C%22name%22%3A%22%D0%A7%D0%B0%D0%B9+%26+%D0%BA%D0%BE%D1%84%D0%B5%22%7D"
)]
#[case::capitals("", r#"{"Client_ID": 5, " NAME ": "Чай & кофе"}"#)]
#[case::body_before_query("name=other", r#"{"client_id": 5, "name": "Чай & кофе"}"#)]
#[case::nothing_said_in_the_body("client_id=5&name=Чай %26 кофе", r#"{"client_id": null, "name": ""}"#)]
fn one_call_in_many_forms(#[case] query: &str, #[case] body: &str) {
    let arguments = read(query, body);
    assert_eq!(arguments.get("client_id"), Some("5"));
    assert_eq!(arguments.get("name"), Some("Чай & кофе"));
}

#[rstest]
#[case("null")]
#[case("\"\"")]
#[case("\"  \"")]
#[case("\"None\"")]
#[case("\"NONE\"")]
#[case("\"none\"")]
#[case("\"null\"")]
#[case("\"Null\"")]
#[case("\"''\"")]
#[case("\"\\\"\\\"\"")]
#[case("\"undefined\"")]
#[case("\"#{amo_lead_id}\"")]
fn an_argument_is_left_out_in_every_spelling(#[case] value: &str) {
    let arguments = read("", &format!(r#"{{"lead_id": {value}, "args": ["x", {value}, 61]}}"#));
    assert_eq!(arguments.get("lead_id"), None);
    assert_eq!(arguments.of(["lead_id"], 1), None);
    assert_eq!(arguments.of(["pipeline_id"], 2), Some("61"));
}

#[rstest]
#[case(r#"{"args": [143, "", 61]}"#)]
#[case(r#"{"args": "[143, null, 61]"}"#)]
#[case("[143, \"None\", \"61\"]")]
#[case("args=%5B143%2C%22%22%2C61%5D")]
fn arguments_come_by_order(#[case] body: &str) {
    let arguments = read("", body);
    assert_eq!((arguments.of([], 0), arguments.of([], 1), arguments.of([], 2)), (Some("143"), None, Some("61")));
}

#[test]
fn structures_stay_json() {
    let arguments = read("", r#"{"lead_data": {"name": "x", "budget": 5}, "fields": "{\"1\": \"a\"}"}"#);
    assert_eq!(arguments.get("lead_data"), Some(r#"{"name": "x", "budget": 5}"#));
    assert_eq!(arguments.get("fields"), Some(r#"{"1": "a"}"#));
}

#[rstest]
#[case("{\"name\": \"a\nb\" ", "not JSON")]
#[case("{\"name\": ", "too early")]
#[case("just words", "key=value")]
fn what_cannot_be_read_is_said_without_quoting_it(#[case] body: &str, #[case] says: &str) {
    let error = Arguments::read("", body.as_bytes()).unwrap_err().to_string();
    assert!(error.contains(says) && !error.contains("words") && !error.contains("a\nb"), "{error}");
}

proptest! {
    #[test]
    fn nothing_breaks_it(query in ".{0,200}", body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Arguments::read(&query, &body);
    }

    #[test]
    fn almost_json_does_not_break_it(body in "[\\[\\]{}\",:%0-9a-f\\\\ =&]{0,200}") {
        let _ = Arguments::read(&body, body.as_bytes());
    }

    #[test]
    fn a_text_survives_every_form(text in "[^\\p{C}#]{1,40}") {
        prop_assume!(!is_left_out(&text));
        let json = serde_json::json!({ "name": text }).to_string();
        let twice = serde_json::json!(json).to_string();
        let escaped: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for body in [json, twice, format!("name={escaped}")] {
            let arguments = read("", &body);
            prop_assert_eq!(arguments.get("name"), Some(text.as_str()));
        }
    }
}
