//! Custom fields: whole replacement, kinds, choices, addresses, dates, limits.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::amo::fixture::*;
use crate::amo::options::{DateShape, Emoji, NumberShape};

const CONTACTS: &str = "/api/v2/contacts";

fn with_field(field: u64, values: Value) -> Value {
    json!({ "name": "Anna", "custom_fields": [{ "id": field, "values": values }] })
}

/// The values of a field as they read, or null.
fn read(bench: &mut Bench, id: u64, field: u64) -> Value {
    let contact = bench.contact(id);
    let fields = contact["custom_fields"].as_array().cloned().unwrap_or_default();
    let found = fields.into_iter().find(|entry| entry["id"] == field);
    found.map_or(Value::Null, |entry| entry["values"].clone())
}

/// Writes a field of a new contact and reads it back.
fn round_trip(bench: &mut Bench, field: u64, values: Value) -> Value {
    let id = bench.add(CONTACTS, with_field(field, values));
    read(bench, id, field)
}

#[test]
fn phones_are_written_by_the_name_of_their_kind_and_read_by_its_number() {
    let phones = json!([
        { "value": "+79990000001", "enum": "MOB" },
        { "value": "+79990000002", "enum": "OTHER" },
    ]);
    let mut bench = Bench::new();
    let id = bench.add(CONTACTS, with_field(FIELD_PHONE, phones.clone()));
    assert_eq!(
        bench.contact(id)["custom_fields"][0],
        json!({
            "id": FIELD_PHONE, "name": "Телефон", "code": "PHONE", "is_system": true,
            "values": [
                { "value": "+79990000001", "enum": PHONE_CHOICES[2].to_string() },
                { "value": "+79990000002", "enum": PHONE_CHOICES[5].to_string() },
            ],
        })
    );
    let mut numeric = Bench::with(|options| {
        options.shapes.choice_id = NumberShape::Number;
        options.shapes.field_codes = false;
        options.shapes.field_types = true;
    });
    let id = numeric.add(CONTACTS, with_field(FIELD_PHONE, phones));
    let field = numeric.contact(id)["custom_fields"][0].clone();
    assert_eq!((&field["values"][0]["enum"], &field["field_type"]), (&json!(PHONE_CHOICES[2]), &json!(8)));
    assert!(field.get("code").is_none());
}

#[test]
fn a_phone_without_a_kind_is_of_the_first_one() {
    let read = round_trip(&mut Bench::new(), FIELD_PHONE, json!([{ "value": 89_990_000_001_u64 }]));
    assert_eq!(read, json!([{ "value": "89990000001", "enum": PHONE_CHOICES[0].to_string() }]));
}

#[test]
fn the_number_of_a_kind_is_refused_unless_chosen_otherwise() {
    let item = with_field(FIELD_EMAIL, json!([{ "value": "a@example.test", "enum": EMAIL_CHOICES[1] }]));
    assert!(Bench::new().refused(CONTACTS, item.clone()).contains("no such kind"));
    let mut lax = Bench::with(|options| options.writing.multitext_accepts_choice_ids = true);
    let id = lax.add(CONTACTS, item);
    assert_eq!(read(&mut lax, id, FIELD_EMAIL)[0]["enum"], EMAIL_CHOICES[1].to_string());
}

#[test]
fn a_sent_field_is_replaced_as_a_whole_and_others_stay() {
    let mut bench = Bench::new();
    let id = bench.person("Anna");
    bench.amo.add_phone(bench.now_ms, id, "+79990000001");
    bench.amo.add_email(bench.now_ms, id, "anna@example.test");
    let fields = json!([{ "id": FIELD_PHONE.to_string(), "values": [{ "value": "+79990000002", "enum": "WORK" }] }]);
    bench.update_contact(id, json!({ "custom_fields": fields }));
    let contact = bench.amo.contact(id).expect("a contact");
    assert_eq!(contact.card.texts(FIELD_PHONE), ["+79990000002"]);
    assert_eq!(contact.card.texts(FIELD_EMAIL), ["anna@example.test"]);
}

#[rstest]
#[case::no_values(json!([]))]
#[case::null(json!(null))]
#[case::empty_value(json!([{ "value": "" }]))]
#[case::null_value(json!([{ "value": null }]))]
fn empty_values_clear(#[case] values: Value) {
    let mut bench = Bench::new();
    let id = bench.person("Anna");
    bench.amo.add_phone(bench.now_ms, id, "+79990000001");
    bench.amo.choose(bench.now_ms, id, FIELD_MULTISELECT, &MULTISELECT_CHOICES);
    for field in [FIELD_PHONE, FIELD_MULTISELECT] {
        let fields = json!([{ "id": field, "values": values }]);
        let embedded = bench.update_contact(id, json!({ "custom_fields": fields }));
        assert!(embedded.get("errors").is_none(), "{embedded}");
    }
    assert_eq!(bench.contact(id)["custom_fields"], json!({}));
}

#[test]
fn a_field_without_values_is_refused() {
    let item = json!({ "name": "Anna", "custom_fields": [{ "id": FIELD_PHONE }] });
    assert!(Bench::new().refused(CONTACTS, item).contains("has no value"));
}

#[rstest]
#[case::bare(json!([MULTISELECT_CHOICES[0].to_string(), MULTISELECT_CHOICES[2].to_string()]))]
#[case::bare_numbers(json!([MULTISELECT_CHOICES[0], MULTISELECT_CHOICES[2]]))]
#[case::objects(json!([{ "value": MULTISELECT_CHOICES[0] }, { "value": MULTISELECT_CHOICES[2] }]))]
#[case::enums(json!([{ "value": "1", "enum": MULTISELECT_CHOICES[0] }, { "enum": MULTISELECT_CHOICES[2].to_string() }]))]
fn list_choices_go_by_number(#[case] values: Value) {
    let expected = json!([
        { "value": "1", "enum": MULTISELECT_CHOICES[0].to_string() },
        { "value": "3", "enum": MULTISELECT_CHOICES[2].to_string() },
    ]);
    assert_eq!(round_trip(&mut Bench::new(), FIELD_MULTISELECT, values), expected);
}

#[rstest]
#[case::text_of_a_choice(FIELD_SELECT, json!([{ "value": "VIP" }]))]
#[case::choice_of_another_field(FIELD_SELECT, json!([{ "value": MULTISELECT_CHOICES[0] }]))]
#[case::two_of_one(FIELD_SELECT, json!([{ "value": SELECT_CHOICES[0] }, { "value": SELECT_CHOICES[1] }]))]
#[case::unknown_kind(FIELD_PHONE, json!([{ "value": "+79990000001", "enum": "BOAT" }]))]
#[case::unknown_part(FIELD_ADDRESS, json!([{ "value": "RU", "subtype": "planet" }]))]
#[case::part_by_number(FIELD_ADDRESS, json!([{ "value": "RU", "subtype": "6" }]))]
#[case::words_for_a_number(FIELD_NUMERIC, json!([{ "value": "many" }]))]
#[case::words_for_a_date(FIELD_DATE, json!([{ "value": "tomorrow" }]))]
#[case::words_for_a_checkbox(FIELD_CHECKBOX, json!([{ "value": "maybe" }]))]
#[case::two_texts(FIELD_POSITION, json!([{ "value": "a" }, { "value": "b" }]))]
#[case::a_list_as_text(FIELD_POSITION, json!([{ "value": ["a"] }]))]
#[case::unknown_field(99, json!([{ "value": "a" }]))]
fn unsuitable_values_are_refused(#[case] field: u64, #[case] values: Value) {
    let mut bench = Bench::new();
    assert!(bench.refused(CONTACTS, with_field(field, values)).contains(&field.to_string()));
    assert_eq!(bench.amo.contact_count(), 0);
}

#[test]
fn address_parts_go_by_name_and_come_by_number_and_those_not_sent_are_erased() {
    let mut bench = Bench::new();
    let parts = json!([
        { "value": "RU", "subtype": "country" },
        { "value": "Lenina 1", "subtype": "address_line_1" },
        { "value": "flat 2", "subtype": "address_line_2" },
        { "value": "Moscow", "subtype": "city" },
        { "value": "Moscow region", "subtype": "state" },
        { "value": "101010", "subtype": "zip" },
    ]);
    let id = bench.add(CONTACTS, with_field(FIELD_ADDRESS, parts));
    let stored = read(&mut bench, id, FIELD_ADDRESS);
    let numbers: Vec<&Value> = stored.as_array().expect("values").iter().map(|v| &v["subtype"]).collect();
    assert_eq!(numbers, ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(stored[2], json!({ "value": "Moscow", "subtype": "3" }));
    let fields = json!([{ "id": FIELD_ADDRESS, "values": [{ "value": "Tver", "subtype": "city" }] }]);
    bench.update_contact(id, json!({ "custom_fields": fields }));
    assert_eq!(read(&mut bench, id, FIELD_ADDRESS), json!([{ "value": "Tver", "subtype": "3" }]));
}

#[rstest]
#[case::checkbox_on(FIELD_CHECKBOX, json!(true), "1")]
#[case::checkbox_off(FIELD_CHECKBOX, json!("0"), "0")]
#[case::number(FIELD_NUMERIC, json!(12.5), "12.5")]
#[case::number_in_quotes(FIELD_NUMERIC, json!("7"), "7")]
#[case::day(FIELD_DATE, json!("2025-03-04"), "2025-03-04")]
#[case::day_and_time(FIELD_DATE_TIME, json!("2025-03-04 12:30:00"), "2025-03-04 12:30:00")]
#[case::unix(FIELD_DATE_TIME, json!(1_741_082_400), "1741082400")]
#[case::birthday(FIELD_BIRTHDAY, json!("04.03.1990"), "04.03.1990")]
#[case::address(FIELD_URL, json!("https://example.test"), "https://example.test")]
#[case::lines(FIELD_TEXTAREA, json!("a\nb"), "a\nb")]
fn plain_values_are_kept_as_text(#[case] field: u64, #[case] sent: Value, #[case] expected: &str) {
    let read = round_trip(&mut Bench::new(), field, json!([{ "value": sent }]));
    assert_eq!(read, json!([{ "value": expected }]));
}

#[rstest]
#[case::day("04.03.2025", "2025-03-04 00:00:00")]
#[case::unix("1741082400", "2025-03-04 13:00:00")]
fn dates_may_read_back_in_the_zone_of_the_account(#[case] sent: &str, #[case] expected: &str) {
    let mut bench = Bench::with(|options| options.shapes.dates = DateShape::Local);
    let read = round_trip(&mut bench, FIELD_DATE_TIME, json!([{ "value": sent }]));
    assert_eq!(read, json!([{ "value": expected }]));
}

#[test]
fn one_line_texts_end_at_256_characters() {
    let mut bench = Bench::new();
    let text = |length| json!([{ "value": "ы".repeat(length) }]);
    bench.add(CONTACTS, with_field(FIELD_CLIENT_ID, text(256)));
    bench.refused(CONTACTS, with_field(FIELD_CLIENT_ID, text(257)));
    bench.add(CONTACTS, with_field(FIELD_TEXTAREA, text(5_000)));
    let mut free = Bench::with(|options| options.writing.text_limit_chars = None);
    free.add(CONTACTS, with_field(FIELD_CLIENT_ID, text(257)));
}

#[rstest]
#[case::kept(Emoji::Kept, json!([{ "value": "Boss 🚀 of all" }]), "Anna 🚀")]
#[case::cut(Emoji::Cut, json!([{ "value": "Boss " }]), "Anna ")]
#[case::dropped(Emoji::Dropped, Value::Null, "Anna ")]
fn emoji_may_cut_a_value_short(#[case] emoji: Emoji, #[case] expected: Value, #[case] name: &str) {
    let mut bench = Bench::with(|options| options.writing.emoji = emoji);
    let mut item = with_field(FIELD_POSITION, json!([{ "value": "Boss 🚀 of all" }]));
    item["name"] = "Anna 🚀".into();
    let id = bench.add(CONTACTS, item);
    assert_eq!(read(&mut bench, id, FIELD_POSITION), expected);
    assert_eq!(bench.contact(id)["name"], name);
}
