//! API v4, call by call, over the records that v2 has.

use rstest::rstest;
use serde_json::json;

use super::*;
use crate::amo::fixture::*;
use crate::amo::options::v4::{Filters, MissingRecord, MixedBatch, RefusedBy};

const CONTACTS: &str = "/api/v4/contacts";

fn v4_ids(response: &Response) -> Vec<u64> {
    if response.body.is_empty() {
        return Vec::new();
    }
    let body = body(response);
    let lists = body["_embedded"].as_object().expect("lists");
    let rows = lists.values().next().and_then(Value::as_array).expect("a list");
    rows.iter().map(|row| row["id"].as_u64().expect("an id")).collect()
}

fn patch(bench: &mut Bench, target: &str, content: Value) -> Response {
    bench.send(&request("PATCH", target, Some(&content)))
}

/// The code and place of the only refusal.
fn refusal(response: &Response) -> (String, String) {
    assert_eq!(response.status, 400, "{}", text(response));
    let body = body(response);
    let error = &body["validation-errors"][0]["errors"][0];
    let word = |key: &str| error[key].as_str().expect("a text").to_owned();
    (word("code"), word("path"))
}

#[test]
fn pages_go_on_until_there_is_no_next_link() {
    let mut bench = Bench::new();
    let made = bench.people(501);
    let mut found = Vec::new();
    for page in 1..=3 {
        let response = bench.get(&format!("{CONTACTS}?limit=500&page={page}&order[id]=asc"));
        let next = &body(&response)["_links"]["next"]["href"];
        assert_eq!(next.is_string(), page < 3);
        found.extend(v4_ids(&response));
    }
    assert_eq!(found, made, "a limit above 250 is not honoured, and nothing is lost");
    assert_eq!(v4_ids(&bench.get(CONTACTS)).len(), 50);
    let beyond = bench.get(&format!("{CONTACTS}?page=12"));
    assert_eq!((beyond.status, beyond.body.len()), (204, 0));
    assert_eq!(header(&beyond, "runtime-timestamp"), None, "that header is v2's");
}

#[test]
fn orders_are_kept() {
    let mut bench = Bench::new();
    let made = bench.people(3);
    bench.wait(1);
    bench.amo.rename_contact(bench.now_ms, made[0], "Changed");
    let ids = |bench: &mut Bench, order: &str| v4_ids(&bench.get(&format!("{CONTACTS}?{order}")));
    assert_eq!(ids(&mut bench, "order[updated_at]=desc"), [made[0], made[2], made[1]]);
    assert_eq!(ids(&mut bench, "order[updated_at]=asc"), [made[1], made[2], made[0]]);
    assert_eq!(ids(&mut bench, "order[id]=desc"), [made[2], made[1], made[0]]);
}

#[test]
fn filters_are_heeded_or_ignored_without_a_word() {
    for (filters, expected) in [(Filters::Heeded, 1), (Filters::Ignored, 3)] {
        let mut bench = Bench::with(|options| options.v4.filters = filters);
        let made = bench.people(3);
        let latest = bench.now_s();
        for filter in [
            format!("filter[updated_at][from]={latest}"),
            format!("filter[updated_at]={}", latest - 1),
            format!("filter[id][]={}", made[1]),
            format!("filter[id]={}", made[1]),
        ] {
            let found = v4_ids(&bench.get(&format!("{CONTACTS}?{filter}")));
            assert_eq!(found.len(), expected, "{filter}");
        }
    }
}

#[test]
fn what_v2_made_v4_reads_and_changes() {
    let mut bench = Bench::new();
    let id = bench.add(
        "/api/v2/contacts",
        json!({
            "name": "Анна Тестова", "tags": "vip,old",
            "custom_fields": [
                { "id": FIELD_PHONE, "values": [{ "value": "+79990000001", "enum": "MOB" }] },
                { "id": FIELD_DATE, "values": [{ "value": "2026-12-31" }] },
                { "id": FIELD_CHECKBOX, "values": [{ "value": "1" }] },
            ],
        }),
    );
    let contact = body(&bench.get(&format!("{CONTACTS}/{id}?with=leads")));
    let field = |id: u64| {
        let fields = contact["custom_fields_values"].as_array().expect("fields").iter();
        fields.filter(|field| field["field_id"] == id).map(|field| field["values"].clone()).next().expect("the field")
    };
    assert_eq!(field(FIELD_PHONE)[0]["enum_code"], "MOB");
    assert_eq!(
        (&field(FIELD_DATE)[0]["value"], &field(FIELD_CHECKBOX)[0]["value"]),
        (&json!(1_798_664_400), &json!(true))
    );
    assert_eq!(contact["_embedded"]["leads"], json!([]));
    let change = json!([{
        "id": id, "first_name": "Вера", "request_id": "c",
        "tags_to_add": [{ "name": "new" }], "tags_to_delete": [{ "name": "old" }],
        "custom_fields_values": [{ "field_code": "PHONE", "values": null }],
    }]);
    let answer = patch(&mut bench, CONTACTS, change);
    assert_eq!(body(&answer)["_embedded"]["contacts"][0]["id"], id);
    let card = bench.amo.contact(id).expect("the contact").card.clone();
    assert_eq!((card.name.as_str(), card.values(FIELD_PHONE).len()), ("Вера Тестова", 0));
    let tags: Vec<&str> = card.tags.iter().map(|tag| tag.name.as_str()).collect();
    assert_eq!((tags, card.texts(FIELD_DATE)), (vec!["vip", "new"], vec!["2026-12-31"]));
}

#[rstest]
#[case::unknown_member(json!({ "nickname": "x" }), "FieldNotExpected", "nickname")]
#[case::v2_member(json!({ "custom_fields": [] }), "FieldNotExpected", "custom_fields")]
#[case::embedded_leads(json!({ "_embedded": { "leads": [{ "id": 1 }] } }), "FieldNotExpected", "_embedded.leads")]
#[case::tags_to_add_on_create(json!({ "tags_to_add": [{ "name": "x" }] }), "FieldNotExpected", "tags_to_add")]
#[case::number_as_text(json!({ "responsible_user_id": "504141" }), "InvalidType", "responsible_user_id")]
#[case::unknown_user(json!({ "responsible_user_id": 5 }), "NotSupportedChoice", "responsible_user_id")]
fn members_are_checked(#[case] item: Value, #[case] code: &str, #[case] path: &str) {
    let mut bench = Bench::new();
    let response = bench.post(CONTACTS, &json!([item]));
    assert_eq!(refusal(&response), (code.to_owned(), path.to_owned()));
    assert_eq!(bench.amo.contact_count(), 0);
}

#[rstest]
#[case::unknown_field(9, json!([{ "value": "x" }]), "NotSupportedChoice", "custom_fields_values.0.field_id")]
#[case::enum_on_write(FIELD_PHONE, json!([{ "value": "x", "enum": "MOB" }]), "FieldNotExpected", "custom_fields_values.0.values.0.enum")]
#[case::checkbox_as_text(FIELD_CHECKBOX, json!([{ "value": "1" }]), "InvalidType", "custom_fields_values.0.values.0.value")]
#[case::local_date(FIELD_DATE, json!([{ "value": "2026-12-31" }]), "InvalidType", "custom_fields_values.0.values.0.value")]
#[case::no_such_choice(FIELD_SELECT, json!([{ "enum_id": 1 }]), "NotSupportedChoice", "custom_fields_values.0.values.0.enum_id")]
#[case::no_such_part(FIELD_ADDRESS, json!([{ "value": "x", "enum_id": 7 }]), "NotSupportedChoice", "custom_fields_values.0.values.0.enum_id")]
#[case::too_long(FIELD_POSITION, json!([{ "value": "x".repeat(257) }]), "TooLong", "custom_fields_values.0.values.0.value")]
#[case::two_of_one(FIELD_POSITION, json!([{ "value": "x" }, { "value": "y" }]), "TooMany", "custom_fields_values.0.values")]
fn values_are_checked(#[case] field: u64, #[case] values: Value, #[case] code: &str, #[case] path: &str) {
    let mut bench = Bench::new();
    let item = json!({ "name": "x", "custom_fields_values": [{ "field_id": field, "values": values }] });
    assert_eq!(refusal(&bench.post(CONTACTS, &json!([item]))), (code.to_owned(), path.to_owned()));
}

#[test]
fn batches_are_lists_and_single_addresses_take_objects() {
    let mut bench = Bench::new();
    let id = bench.person("Anna");
    for content in [json!({ "add": [] }), json!([]), json!("x")] {
        assert_eq!(bench.post(CONTACTS, &content).status, 400, "{content}");
    }
    let one = format!("{CONTACTS}/{id}");
    assert_eq!(patch(&mut bench, &one, json!([{ "name": "Vera" }])).status, 405);
    assert_eq!(patch(&mut bench, &one, json!({ "name": "Vera" })).status, 200);
    assert_eq!(bench.amo.contact(id).expect("the contact").card.name, "Vera");
    let unknown = patch(&mut bench, CONTACTS, json!([{ "id": 5, "name": "x" }]));
    assert_eq!(refusal(&unknown), ("NotFound".to_owned(), "id".to_owned()));
}

#[test]
fn mixed_batches_and_names_of_items_follow_the_options() {
    for (mixed, refused_by, made, name) in
        [(MixedBatch::Nothing, RefusedBy::RequestId, 0, "b"), (MixedBatch::Rest, RefusedBy::Place, 1, "1")]
    {
        let mut bench = Bench::with(|options| (options.v4.mixed_batch, options.v4.refused_by) = (mixed, refused_by));
        let items = json!([{ "name": "good", "request_id": "a" }, { "name": 5, "request_id": "b" }]);
        let response = bench.post(CONTACTS, &items);
        assert_eq!(body(&response)["validation-errors"][0]["request_id"], name);
        assert_eq!((response.status, bench.amo.contact_count()), (400, made));
    }
    let answer = Bench::new().post(CONTACTS, &json!([{ "name": "x" }, { "name": "y", "request_id": 7 }]));
    let items = body(&answer)["_embedded"]["contacts"].clone();
    assert_eq!((&items[0]["request_id"], &items[1]["request_id"]), (&json!("0"), &json!(7)));
}

#[test]
fn links_are_made_read_and_undone() {
    let mut bench = Bench::new();
    let person = bench.person("Anna");
    let made = body(&bench.post("/api/v4/companies", &json!([{ "name": "ООО Пример" }])));
    let company = made["_embedded"]["companies"][0]["id"].as_u64().expect("an id");
    let lead =
        json!([{ "name": "Заказ", "_embedded": { "contacts": [{ "id": person }] }, "price": 5, "status_id": 1002 }]);
    let lead = body(&bench.post("/api/v4/leads", &lead))["_embedded"]["leads"][0]["id"].as_u64().expect("an id");
    let far = json!([{ "to_entity_id": company, "to_entity_type": "companies" }]);
    assert_eq!(bench.post(&format!("{CONTACTS}/{person}/link"), &far).status, 200);
    let contact = bench.amo.contact(person).expect("the contact");
    assert_eq!((contact.company_id, contact.lead_ids.contains(&lead)), (Some(company), true));
    let links = body(&bench.get(&format!("/api/v4/leads/{lead}/links")));
    assert_eq!(links["_embedded"]["links"][0]["metadata"]["main_contact"], true);
    assert_eq!(bench.post(&format!("{CONTACTS}/{person}/unlink"), &far).status, 204);
    assert_eq!(bench.amo.contact(person).expect("the contact").company_id, None);
}

#[test]
fn notes_and_tasks_are_kept_with_those_of_v2() {
    let mut bench = Bench::new();
    let person = bench.person("Anna");
    let notes = json!([
        { "entity_id": person, "note_type": "common", "params": { "text": "by hand" } },
        { "entity_id": person, "note_type": "service_message", "params": { "service": "we", "text": "synced" } },
    ]);
    assert_eq!(bench.post("/api/v4/contacts/notes", &notes).status, 200);
    let common = bench.get(&format!("/api/v4/contacts/{person}/notes?filter[note_type][]=common&order[id]=desc"));
    assert_eq!(body(&common)["_embedded"]["notes"][0]["params"]["text"], "by hand");
    assert_eq!(bench.ids(&format!("/api/v2/notes?type=contact&element_id={person}")).len(), 2);
    for bad in [
        json!([{ "entity_id": 5, "note_type": "common", "params": { "text": "x" } }]),
        json!([{ "entity_id": person, "note_type": "common", "text": "x" }]),
        json!([{ "entity_id": person, "note_type": 4, "params": { "text": "x" } }]),
    ] {
        assert_eq!(bench.post("/api/v4/contacts/notes", &bad).status, 400, "{bad}");
    }
    let task =
        json!([{ "text": "call", "complete_till": 1_800_000_000, "entity_id": person, "entity_type": "contacts" }]);
    let made = body(&bench.post("/api/v4/tasks", &task))["_embedded"]["tasks"][0]["id"].clone();
    assert_eq!(patch(&mut bench, "/api/v4/tasks", json!([{ "id": made, "is_completed": true }])).status, 200);
    let open = bench.get("/api/v4/tasks?filter[is_completed]=0");
    assert_eq!(open.status, 204);
    assert_eq!(body(&bench.get("/api/v2/tasks"))["_embedded"]["items"][0]["is_completed"], true);
}

#[test]
fn what_is_not_there_is_told_as_chosen() {
    for (missing, status) in [(MissingRecord::NoContent, 204), (MissingRecord::NotFound, 404)] {
        let mut bench = Bench::with(|options| options.v4.missing = missing);
        assert_eq!(bench.get("/api/v4/leads/5").status, status);
        assert_eq!(bench.get("/api/v4/leads/5/notes").status, status);
    }
    let mut bench = Bench::new();
    assert_eq!(bench.get("/api/v4/nothing").status, 404);
    assert_eq!(bench.send(&request("DELETE", CONTACTS, None)).status, 405);
    bench.amo.revoke_token();
    let refused = bench.get(CONTACTS);
    assert_eq!((refused.status, body(&refused)["status"].clone()), (401, json!(401)));
    assert_eq!(header(&refused, "content-type"), Some("application/problem+json"));
}

#[test]
fn both_versions_share_one_limit() {
    let mut bench = Bench::with(|options| options.limits.requests_per_second = Some(2));
    let statuses = ["/api/v2/contacts", "/api/v4/contacts", "/api/v4/leads"].map(|target| bench.get(target).status);
    assert_eq!(statuses, [204, 204, 429]);
}
