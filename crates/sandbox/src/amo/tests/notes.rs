//! Notes: types, elements, times, listings.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::amo::edit::LeadDraft;
use crate::amo::fixture::USER_ADMIN;
use crate::amo::options::{Emoji, ItemErrors};
use crate::amo::records::{Element, ElementKind};

const NOTES: &str = "/api/v2/notes";

fn on_contact(id: u64, rest: Value) -> Value {
    let mut item = json!({ "element_id": id, "element_type": 1 });
    item.as_object_mut().expect("an object").extend(rest.as_object().expect("one").clone());
    item
}

fn common(id: u64, text: &str) -> Value {
    on_contact(id, json!({ "note_type": 4, "text": text }))
}

#[test]
fn a_note_reads_with_every_documented_key() {
    let mut bench = Bench::new();
    let person = bench.person("Anna");
    let item = on_contact(person, json!({ "note_type": "4", "text": "hello", "created_at": 1_700_000_000 }));
    let id = bench.add(NOTES, item);
    let notes = body(&bench.get(&format!("/api/v2/notes?type=contact&element_id={person}")));
    let expected = json!({
        "id": id,
        "responsible_user_id": USER_ADMIN,
        "created_by": USER_ADMIN,
        "created_at": 1_700_000_000,
        "updated_at": 1_700_000_000,
        "account_id": 13_667_499,
        "group_id": 0,
        "is_editable": true,
        "element_id": person,
        "element_type": 1,
        "attachment": "",
        "note_type": 4,
        "text": "hello",
        "_links": { "self": { "href": format!("/api/v2/notes?id={id}"), "method": "get" } },
    });
    assert_eq!(notes["_embedded"]["items"], json!([expected]));
}

#[rstest]
#[case::service(25, json!({ "text": "synced", "service": "bridge" }))]
#[case::sms_in(102, json!({ "text": "hi" }))]
#[case::sms_out(103, json!({ "text": "hi", "phone": "+79990000001" }))]
fn some_types_keep_their_text_among_parameters(#[case] note_type: u64, #[case] params: Value) {
    let mut bench = Bench::new();
    let person = bench.person("Anna");
    bench.add(NOTES, on_contact(person, json!({ "note_type": note_type, "params": params })));
    let note = body(&bench.get("/api/v2/notes?type=contact"))["_embedded"]["items"][0].clone();
    assert_eq!((&note["params"], note.get("text")), (&params, None));
    let kept = bench.amo.notes().next().expect("a note");
    assert_eq!(Some(kept.words()), params["text"].as_str());
}

#[test]
fn sms_parameters_may_read_back_in_upper_case() {
    let mut bench = Bench::with(|options| options.shapes.sms_params_upper_case = true);
    let person = bench.person("Anna");
    let params = json!({ "text": "hi", "phone": "+79990000001" });
    bench.add(NOTES, on_contact(person, json!({ "note_type": 103, "params": params })));
    let note = body(&bench.get("/api/v2/notes?type=contact"))["_embedded"]["items"][0].clone();
    assert_eq!(note["params"], json!({ "TEXT": "hi", "PHONE": "+79990000001" }));
}

#[rstest]
#[case::no_contact(json!({ "element_id": 5, "element_type": 1, "note_type": 4, "text": "x" }), 233)]
#[case::no_lead(json!({ "element_id": 5, "element_type": 2, "note_type": 4, "text": "x" }), 234)]
#[case::no_company(json!({ "element_id": 5, "element_type": 3, "note_type": 4, "text": "x" }), 226)]
#[case::no_kind(json!({ "element_id": 5, "element_type": 9, "note_type": 4, "text": "x" }), 232)]
#[case::no_element(json!({ "note_type": 4, "text": "x" }), 232)]
fn the_element_must_exist(#[case] item: Value, #[case] expected: u16) {
    let mut bench = Bench::with(|options| options.shapes.item_errors = ItemErrors::List);
    let embedded = bench.write(NOTES, &json!({ "add": [item] }));
    assert_eq!(embedded["errors"]["add"][0]["code"], expected);
    assert_eq!(bench.amo.notes().count(), 0);
}

#[rstest]
#[case::no_text(json!({ "note_type": 4 }))]
#[case::text_instead_of_params(json!({ "note_type": 25, "text": "x" }))]
#[case::no_type(json!({ "text": "x" }))]
#[case::a_type_of_amo_alone(json!({ "note_type": 3, "text": "x" }))]
#[case::result_on_a_contact(json!({ "note_type": 13, "text": "x" }))]
fn unsuitable_notes_are_refused(#[case] item: Value) {
    let mut bench = Bench::new();
    let person = bench.person("Anna");
    bench.refused(NOTES, on_contact(person, item));
}

#[test]
fn the_result_of_a_task_is_a_note_on_it() {
    let mut bench = Bench::new();
    let id = bench.person("Anna");
    let contact = Element { kind: ElementKind::Contact, id };
    let task = bench.amo.add_task(bench.now_ms, contact, "Call", START_S).expect("a task");
    let note = |kind: u64| json!({ "element_id": task, "element_type": 4, "note_type": kind, "text": "done" });
    bench.refused(NOTES, note(4));
    let id = bench.add(NOTES, note(13));
    assert_eq!(bench.ids("/api/v2/notes?type=task"), [id]);
}

#[test]
fn a_listing_needs_the_type_and_thins_out_by_element_kind_and_time() {
    let mut bench = Bench::new();
    let people = bench.people(2);
    let lead = bench.amo.create_lead(bench.now_ms, LeadDraft { name: "Deal".into(), ..LeadDraft::default() });
    let first = bench.add(NOTES, common(people[0], "one"));
    let second = bench.wait(50).add(NOTES, common(people[1], "two"));
    let system = bench.amo.add_note(bench.now_ms, Element { kind: ElementKind::Contact, id: people[0] }, 2, "made");
    let on_lead = bench.add(NOTES, json!({ "element_id": lead, "element_type": 2, "note_type": 4, "text": "x" }));

    let missing = bench.get(NOTES);
    assert_eq!((missing.status, code(&missing)), (400, 221));
    let system = system.expect("a note");
    assert_eq!(bench.ids("/api/v2/notes?type=contact"), [first, second, system]);
    assert_eq!(bench.ids("/api/v2/notes?type=lead"), [on_lead]);
    assert_eq!(bench.ids(&format!("/api/v2/notes?type=contact&element_id={}", people[0])), [first, system]);
    assert_eq!(bench.ids("/api/v2/notes?type=contact&note_type=2"), [system]);
    assert_eq!(bench.ids_since("/api/v2/notes?type=contact&note_type=4", START_S + 10), [second]);
    let page = format!("/api/v2/notes?type=contact&element_id={}&limit_rows=1&limit_offset=1", people[0]);
    assert_eq!(bench.ids(&page), [system]);
    assert_eq!(bench.get("/api/v2/notes?type=company").status, 204);
}

#[test]
fn a_note_can_be_edited_but_not_back_in_time() {
    let mut bench = Bench::new();
    let person = bench.person("Anna");
    let id = bench.add(NOTES, common(person, "one"));
    let edit = |time: i64| json!({ "update": [{ "id": id, "updated_at": time, "text": "two" }] });
    assert!(bench.write(NOTES, &edit(START_S - 1)).get("errors").is_some());
    assert_eq!(bench.amo.notes().next().map(|note| note.words().to_owned()), Some("one".into()));
    assert!(bench.write(NOTES, &edit(START_S + 5)).get("errors").is_none());
    let note = bench.amo.notes().next().expect("a note");
    assert_eq!((note.words(), note.updated_at), ("two", START_S + 5));
}

#[test]
fn a_note_moves_the_time_of_its_contact_only_by_choice() {
    for touches in [false, true] {
        let mut bench = Bench::with(|options| options.touch.notes = touches);
        let person = bench.person("Anna");
        bench.wait(10).add(NOTES, common(person, "hello"));
        let moved = bench.contact(person)["updated_at"] != START_S;
        assert_eq!(moved, touches);
        assert_eq!(!bench.ids_since("/api/v2/contacts", START_S).is_empty(), touches);
    }
}

#[test]
fn notes_too_are_made_anew_by_every_request_and_may_lose_emoji() {
    let mut bench = Bench::with(|options| options.writing.emoji = Emoji::Cut);
    let id = bench.person("Anna");
    for _ in 0..2 {
        bench.add(NOTES, common(id, "fine 👍 indeed"));
    }
    let contact = Element { kind: ElementKind::Contact, id };
    let words: Vec<&str> = bench.amo.notes_of(contact).map(|note| note.words()).collect();
    assert_eq!(words, ["fine ", "fine "]);
}
