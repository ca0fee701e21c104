//! The requests of amoCRM's own v2 contacts page, with their shapes, and the answers it shows for them.

use serde_json::json;

use super::*;
use crate::amo::edit::LeadDraft;
use crate::amo::fixture::*;
use crate::amo::options::{LinksKey, WriteTime};

const CONTACTS: &str = "/api/v2/contacts";

/// Two leads and a company for the sample to link.
fn surroundings(bench: &mut Bench) -> (u64, u64, u64) {
    let deal = || LeadDraft { name: "Deal".into(), ..LeadDraft::default() };
    let first = bench.amo.create_lead(bench.now_ms, deal());
    let second = bench.amo.create_lead(bench.now_ms, deal());
    (first, second, bench.add("/api/v2/companies", json!({ "name": "ООО Пример" })))
}

fn sample_contact(first: u64, second: u64, company: u64) -> Value {
    json!({
        "name": "Иван Примеров",
        "responsible_user_id": "504141",
        "created_by": "504141",
        "created_at": "1509051600",
        "tags": "важный,доставка",
        "leads_id": [first.to_string(), second.to_string()],
        "company_id": company.to_string(),
        "custom_fields": [
            { "id": "4396817", "values": [{ "value": "Менеджер" }] },
            { "id": "4396818", "values": [
                { "value": "89990000001", "enum": "WORK" },
                { "value": "89990000002", "enum": "WORKDD" },
                { "value": "89990000003", "enum": "MOB" },
            ] },
            { "id": "4396819", "values": [{ "value": "ivan@example.test", "enum": "WORK" }] },
            { "id": "4396821", "values": [{ "value": "ivan.example", "enum": "SKYPE" }] },
            { "id": "4400115", "values": [
                { "value": "ул. Ленина, д. 1", "subtype": "address_line_1" },
                { "value": "Москва", "subtype": "city" },
                { "value": "101010", "subtype": "zip" },
                { "value": "RU", "subtype": "country" },
            ] },
            { "id": "4400116", "values": ["3692662", "3692663"] },
        ],
    })
}

#[test]
fn the_sample_of_adding_is_answered_as_shown() {
    let mut bench = Bench::with(|options| {
        options.shapes.write_links = LinksKey::Link;
        options.shapes.write_time = WriteTime::Absent;
    });
    let (first, second, company) = surroundings(&mut bench);
    let mut contact = sample_contact(first, second, company);
    contact["request_id"] = 1.into();
    let response = bench.post(CONTACTS, &json!({ "add": [contact] }));
    let id = ids_of(&response)[0];
    assert_eq!(
        body(&response),
        json!({
            "_link": { "self": { "href": CONTACTS, "method": "post" } },
            "_embedded": { "items": [{
                "id": id,
                "request_id": 1,
                "_link": { "self": { "href": format!("/api/v2/contacts?id={id}"), "method": "get" } },
            }] },
        })
    );
}

#[test]
fn the_sample_contact_reads_back_as_shown() {
    let mut bench = Bench::with(|options| options.shapes.field_codes = false);
    let (first, second, company) = surroundings(&mut bench);
    let id = bench.add(CONTACTS, sample_contact(first, second, company));
    let contact = bench.contact(id);
    assert_eq!(contact["created_at"], 1_509_051_600);
    assert_eq!(contact["updated_at"], START_S);
    assert_eq!(
        contact["company"],
        json!({
            "id": company,
            "name": "ООО Пример",
            "_links": { "self": { "href": format!("/api/v2/companies?id={company}"), "method": "get" } },
        })
    );
    assert_eq!(contact["leads"]["id"], json!([first, second]));
    let field = |id: u64, name: &str, is_system: bool, values: Value| json!({ "id": id, "name": name, "is_system": is_system, "values": values });
    assert_eq!(
        contact["custom_fields"],
        json!([
            field(4_396_817, "Должность", true, json!([{ "value": "Менеджер" }])),
            field(
                4_396_818,
                "Телефон",
                true,
                json!([
                    { "value": "89990000001", "enum": PHONE_CHOICES[0].to_string() },
                    { "value": "89990000002", "enum": PHONE_CHOICES[1].to_string() },
                    { "value": "89990000003", "enum": PHONE_CHOICES[2].to_string() },
                ])
            ),
            field(
                4_396_819,
                "Email",
                true,
                json!([
                    { "value": "ivan@example.test", "enum": EMAIL_CHOICES[0].to_string() },
                ])
            ),
            field(
                4_396_821,
                "Мгн. сообщения",
                true,
                json!([
                    { "value": "ivan.example", "enum": "3685096" },
                ])
            ),
            field(
                4_400_115,
                "Адрес",
                false,
                json!([
                    { "value": "ул. Ленина, д. 1", "subtype": "1" },
                    { "value": "Москва", "subtype": "3" },
                    { "value": "101010", "subtype": "5" },
                    { "value": "RU", "subtype": "6" },
                ])
            ),
            field(
                4_400_116,
                "Мультисписок",
                false,
                json!([
                    { "value": "1", "enum": "3692662" },
                    { "value": "2", "enum": "3692663" },
                ])
            ),
        ])
    );
}

#[test]
fn the_sample_of_updating_changes_one_field_alone() {
    let mut bench = Bench::new();
    let (first, second, company) = surroundings(&mut bench);
    let id = bench.add(CONTACTS, sample_contact(first, second, company));
    let before = bench.contact(id);
    let later = START_S + 1;
    let update = json!({ "update": [{
        "id": id.to_string(),
        "updated_at": later.to_string(),
        "custom_fields": [
            { "id": "4396819", "values": [{ "value": "new@example.test", "enum": "PRIV" }] },
        ],
    }] });
    let items = bench.write(CONTACTS, &update)["items"].clone();
    assert_eq!((&items[0]["id"], &items[0]["updated_at"]), (&json!(id), &json!(later)));
    let mut expected = before;
    expected["updated_at"] = later.into();
    expected["custom_fields"][2]["values"] =
        json!([{ "value": "new@example.test", "enum": EMAIL_CHOICES[1].to_string() }]);
    assert_eq!(bench.contact(id), expected);
}

#[test]
fn the_sample_listings_are_served() {
    let mut bench = Bench::new();
    let all = bench.people(20);
    assert_eq!(bench.ids("/api/v2/contacts/"), all);
    assert_eq!(bench.ids("/api/v2/contacts/?limit_rows=15"), all[..15]);
    assert_eq!(bench.ids("/api/v2/contacts/?limit_rows=15&limit_offset=2"), all[2..17]);
    let mut request = request("GET", "/api/v2/contacts/", None);
    request.headers.push(("if-modified-since".into(), "Mon, 01 Aug 2013 07:07:23".into()));
    assert_eq!(ids_of(&bench.send(&request)), all);
}
