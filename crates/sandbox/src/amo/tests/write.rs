//! Batches: errors beside successes, the optimistic lock, and the forms of the answer.

use serde_json::json;

use super::*;
use crate::amo::fixture::FIELD_POSITION;
use crate::amo::options::{ItemErrors, LinksKey, UnknownField, WriteTime};
use rstest::rstest;

const CONTACTS: &str = "/api/v2/contacts";

#[test]
fn the_same_request_twice_makes_two_contacts() {
    let mut bench = Bench::new();
    let content = json!({ "add": [{ "name": "Anna", "request_id": "r-1" }] });
    let first = bench.write(CONTACTS, &content);
    let second = bench.write(CONTACTS, &content);
    assert_eq!((&first["items"][0]["request_id"], &second["items"][0]["request_id"]), (&json!("r-1"), &json!("r-1")));
    assert_ne!(first["items"][0]["id"], second["items"][0]["id"]);
    assert_eq!(bench.amo.contact_count(), 2);
}

#[test]
fn a_request_id_is_echoed_as_sent_or_made_up() {
    let mut bench = Bench::new();
    let content = json!({ "add": [{ "name": "A", "request_id": 7 }, { "name": "B" }] });
    let items = bench.write(CONTACTS, &content)["items"].clone();
    assert_eq!(items[0]["request_id"], 7);
    assert!(items[1]["request_id"].is_u64());
}

#[test]
fn successes_and_errors_share_one_answer() {
    let mut bench = Bench::new();
    let id = bench.person("Anna");
    let now_s = bench.wait(10).now_s();
    let content = json!({
        "add": [{ "name": "Boris" }, { "tags": "nameless" }],
        "update": [
            { "id": id, "updated_at": now_s, "name": "Anna Test" },
            { "id": 5, "updated_at": now_s },
            { "name": "no id" },
        ],
    });
    let embedded = bench.write(CONTACTS, &content);
    assert_eq!(embedded["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(embedded["items"][1]["id"], id);
    let errors = &embedded["errors"];
    assert!(errors["add"]["1"].is_string() && errors["update"]["5"].is_string());
    assert!(errors["update"]["2"].is_string(), "without an id the position counts: {errors}");
    assert_eq!(bench.contact(id)["name"], "Anna Test");
}

#[test]
fn errors_may_be_a_list_with_codes() {
    let mut bench = Bench::with(|options| options.shapes.item_errors = ItemErrors::List);
    let content = json!({ "add": [{}], "update": [{ "id": 5, "updated_at": 1 }, { "id": 6 }] });
    let errors = bench.write(CONTACTS, &content)["errors"].clone();
    assert_eq!(errors["add"][0]["code"], 205);
    assert_eq!(errors["update"][0]["code"], 212);
    assert_eq!(errors["update"][1]["code"], 209);
}

#[rstest]
#[case::older(-1, false)]
#[case::equal(0, false)]
#[case::newer(1, true)]
fn an_update_needs_a_time_later_than_the_stored_one(#[case] step: i64, #[case] written: bool) {
    let mut bench = Bench::new();
    let id = bench.person("Anna");
    let item = json!({ "id": id.to_string(), "updated_at": (START_S + step).to_string(), "name": "Boris" });
    let embedded = bench.write(CONTACTS, &json!({ "update": [item] }));
    let message = embedded["errors"]["update"][id.to_string()].as_str();
    assert_eq!(message, (!written).then_some("Last modified date is older than in database"));
    assert_eq!(bench.contact(id)["name"], if written { "Boris" } else { "Anna" });
    let stored = if written { START_S + step } else { START_S };
    assert_eq!(bench.contact(id)["updated_at"], stored);
}

#[test]
fn a_manager_in_between_makes_an_update_stale() {
    let mut bench = Bench::new();
    let id = bench.person("Anna");
    let read_at = bench.contact(id)["updated_at"].as_i64().expect("a time");
    bench.wait(30);
    bench.amo.rename_contact(bench.now_ms, id, "Anna by hand");
    let item = json!({ "id": id, "updated_at": read_at + 1, "name": "Anna by robot" });
    let embedded = bench.write(CONTACTS, &json!({ "update": [item] }));
    assert_eq!(embedded["items"], json!([]));
    assert_eq!(bench.contact(id)["name"], "Anna by hand");
}

#[test]
fn times_are_stored_as_sent() {
    let mut bench = Bench::new();
    let sent = json!({ "name": "Old", "created_at": "1509051600", "updated_at": 1_509_051_700 });
    let id = bench.add(CONTACTS, sent);
    let read = bench.contact(id);
    assert_eq!((&read["created_at"], &read["updated_at"]), (&json!(1_509_051_600), &json!(1_509_051_700)));
    bench.update_contact(id, json!({ "created_at": 1_509_051_000 }));
    assert_eq!(bench.contact(id)["created_at"], 1_509_051_000);
    let plain = bench.add(CONTACTS, json!({ "name": "New" }));
    assert_eq!(bench.contact(plain)["created_at"], START_S);
    assert_eq!(bench.contact(plain)["updated_at"], START_S);
}

#[rstest]
#[case::nothing(json!({}), 206)]
#[case::no_object(json!([]), 206)]
#[case::empty_add(json!({ "add": [] }), 201)]
#[case::empty_update(json!({ "update": [] }), 208)]
#[case::no_list(json!({ "add": "Anna" }), 400)]
fn a_request_without_items_is_refused(#[case] content: serde_json::Value, #[case] expected: u16) {
    let mut bench = Bench::new();
    let response = bench.post(CONTACTS, &content);
    assert_eq!((response.status, code(&response)), (400, expected));
}

#[rstest]
#[case::older_text(500)]
#[case::newer_text(250)]
fn a_batch_beyond_the_limit_is_refused_as_a_whole(#[case] most: usize) {
    let mut bench = Bench::with(|options| options.writing.max_batch_items = most);
    let batch = |size| json!({ "add": vec![json!({ "name": "Anna" }); size] });
    assert_eq!(bench.post(CONTACTS, &batch(most)).status, 200);
    assert_eq!(bench.post(CONTACTS, &batch(most + 1)).status, 400);
    assert_eq!(bench.amo.contact_count(), most);
}

#[rstest]
#[case::nothing_written(false, 2)]
#[case::written_all_the_same(true, 5)]
fn a_large_batch_may_time_out(#[case] writes: bool, #[case] expected: usize) {
    let mut bench = Bench::with(|options| {
        options.writing.gateway_timeout_above = Some(2);
        options.writing.gateway_timeout_writes = writes;
    });
    let batch = |size| json!({ "add": vec![json!({ "name": "Anna" }); size] });
    assert_eq!(bench.post(CONTACTS, &batch(2)).status, 200);
    let response = bench.post(CONTACTS, &batch(3));
    assert_eq!((response.status, header(&response, "content-type")), (504, Some("text/html")));
    assert_eq!(bench.amo.contact_count(), expected);
}

#[test]
fn an_unknown_field_may_spoil_one_item_or_all() {
    let content = json!({ "add": [
        { "name": "Good", "custom_fields": [{ "id": FIELD_POSITION, "values": [{ "value": "Boss" }] }] },
        { "name": "Bad", "custom_fields": [{ "id": 99, "values": [{ "value": "x" }] }] },
    ] });
    let mut one = Bench::new();
    assert!(one.write(CONTACTS, &content)["errors"]["add"]["1"].is_string());
    assert_eq!(one.amo.contact_count(), 1);
    let mut all = Bench::with(|options| options.writing.unknown_field = UnknownField::RefusesRequest);
    let response = all.post(CONTACTS, &content);
    assert_eq!((response.status, code(&response)), (400, 400));
    assert_eq!(all.amo.contact_count(), 0);
}

#[test]
fn answers_name_their_links_one_way_or_the_other() {
    for (links, key, absent) in [(LinksKey::Links, "_links", "_link"), (LinksKey::Link, "_link", "_links")] {
        let mut bench = Bench::with(|options| options.shapes.write_links = links);
        let answer = body(&bench.post(CONTACTS, &json!({ "add": [{ "name": "Anna" }] })));
        assert_eq!(answer[key]["self"], json!({ "href": CONTACTS, "method": "post" }));
        assert!(answer.get(absent).is_none());
        assert_eq!(answer["_embedded"]["items"][0][key]["self"]["method"], "get");
    }
}

#[rstest]
#[case::seconds(WriteTime::Seconds, json!(START_S))]
#[case::milliseconds(WriteTime::Milliseconds, json!(START_S * 1_000))]
#[case::absent(WriteTime::Absent, json!(null))]
fn answers_tell_the_time_in_several_ways(#[case] shape: WriteTime, #[case] expected: serde_json::Value) {
    let mut bench = Bench::with(|options| options.shapes.write_time = shape);
    let embedded = bench.write(CONTACTS, &json!({ "add": [{ "name": "Anna" }] }));
    assert_eq!(embedded["items"][0]["updated_at"], expected);
}
