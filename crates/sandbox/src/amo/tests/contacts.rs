//! Contacts: names, tags, links, companies, and the shapes they read in.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::amo::edit::LeadDraft;
use crate::amo::fixture::{USER_ADMIN, USER_SALES, USER_SUPPORT};
use crate::amo::options::{EmptyShape, NameRecognition};
use crate::amo::records::{Element, ElementKind};

const CONTACTS: &str = "/api/v2/contacts";

fn deal(bench: &mut Bench) -> u64 {
    bench.amo.create_lead(bench.now_ms, LeadDraft { name: "Deal".into(), ..LeadDraft::default() })
}

#[test]
fn a_bare_contact_reads_with_every_documented_key() {
    let mut bench = Bench::new();
    let id = bench.add(CONTACTS, json!({ "name": "Anna" }));
    let expected = json!({
        "id": id,
        "name": "Anna",
        "first_name": "",
        "last_name": "",
        "responsible_user_id": USER_ADMIN,
        "created_by": USER_ADMIN,
        "created_at": START_S,
        "updated_at": START_S,
        "account_id": 13_667_499,
        "updated_by": USER_ADMIN,
        "group_id": 0,
        "company": {},
        "leads": {},
        "customers": {},
        "closest_task_at": 0,
        "tags": {},
        "custom_fields": {},
        "_links": { "self": { "href": format!("/api/v2/contacts?id={id}"), "method": "get" } },
    });
    assert_eq!(bench.contact(id), expected);
}

#[rstest]
#[case::object(EmptyShape::Object, Some(json!({})))]
#[case::list(EmptyShape::List, Some(json!([])))]
#[case::null(EmptyShape::Null, Some(Value::Null))]
#[case::absent(EmptyShape::Absent, None)]
fn empty_containers_come_in_four_forms(#[case] shape: EmptyShape, #[case] expected: Option<Value>) {
    let mut bench = Bench::with(|options| options.shapes.empty = shape);
    let id = bench.person("Anna");
    let contact = bench.contact(id);
    for key in ["company", "leads", "customers", "tags", "custom_fields"] {
        assert_eq!(contact.get(key), expected.as_ref(), "{key}");
    }
}

#[rstest]
#[case::two_words(NameRecognition::TwoWords, "Anna", "Test")]
#[case::whole_in_first(NameRecognition::WholeInFirst, "Anna Test", "")]
#[case::off(NameRecognition::Off, "", "")]
fn a_name_may_be_split(#[case] names: NameRecognition, #[case] first_name: &str, #[case] last_name: &str) {
    let mut bench = Bench::with(|options| options.writing.names = names);
    let id = bench.add(CONTACTS, json!({ "name": "Anna Test" }));
    let contact = bench.contact(id);
    assert_eq!(contact["first_name"], first_name);
    assert_eq!(contact["last_name"], last_name);
}

#[test]
fn sent_parts_of_a_name_are_taken_and_make_the_name_where_it_is_missing() {
    let mut bench = Bench::new();
    let id = bench.add(CONTACTS, json!({ "name": "A. Test", "first_name": "Anna", "last_name": "Test" }));
    assert_eq!(bench.contact(id)["name"], "A. Test");
    bench.update_contact(id, json!({ "last_name": "Probe" }));
    let contact = bench.contact(id);
    assert_eq!((&contact["name"], &contact["first_name"]), (&json!("Anna Probe"), &json!("Anna")));
}

#[test]
fn the_parts_of_a_name_may_be_hidden() {
    let mut bench = Bench::with(|options| options.shapes.name_parts = false);
    let id = bench.person("Anna Test");
    assert!(bench.contact(id).get("first_name").is_none());
}

#[test]
fn tags_are_one_text_and_replace_the_old_set() {
    let mut bench = Bench::new();
    let id = bench.add(CONTACTS, json!({ "name": "Anna", "tags": "vip, new,,vip" }));
    let tags = bench.contact(id)["tags"].clone();
    assert_eq!(tags.as_array().map(Vec::len), Some(2));
    assert_eq!((&tags[0]["name"], &tags[1]["name"]), (&json!("vip"), &json!("new")));
    bench.update_contact(id, json!({ "name": "Anna Test" }));
    assert_eq!(bench.contact(id)["tags"], tags, "not sent, not changed");
    bench.update_contact(id, json!({ "tags": "new,paid" }));
    let later = bench.contact(id)["tags"].clone();
    assert_eq!((&later[0], &later[1]["name"]), (&tags[1], &json!("paid")), "a tag keeps its id");
    bench.update_contact(id, json!({ "tags": "" }));
    assert_eq!(bench.contact(id)["tags"], json!({}));
}

#[test]
fn contacts_do_not_take_a_list_of_tags() {
    let mut bench = Bench::new();
    assert!(bench.refused(CONTACTS, json!({ "name": "Anna", "tags": [1] })).contains("tags"));
}

#[test]
fn leads_are_added_by_naming_them_and_removed_only_through_unlink() {
    let mut bench = Bench::new();
    let (first, second) = (deal(&mut bench), deal(&mut bench));
    let id = bench.add(CONTACTS, json!({ "name": "Anna", "leads_id": [first.to_string()] }));
    bench.update_contact(id, json!({ "leads_id": [second] }));
    assert_eq!(bench.contact(id)["leads"]["id"], json!([first, second]));
    assert_eq!(bench.amo.lead(first).map(|lead| lead.contact_ids.clone()), Some(vec![id]));
    bench.update_contact(id, json!({ "leads_id": [], "unlink": { "leads_id": [first] } }));
    assert_eq!(bench.contact(id)["leads"]["id"], json!([second]));
    assert_eq!(bench.amo.lead(first).map(|lead| lead.contact_ids.len()), Some(0));
}

#[test]
fn a_company_is_made_by_name_or_linked_by_id_and_unlinked() {
    let mut bench = Bench::new();
    let id = bench.add(CONTACTS, json!({ "name": "Anna", "company_name": "Acme" }));
    let company = bench.contact(id)["company"].clone();
    assert_eq!(company["name"], "Acme");
    let company_id = company["id"].as_u64().expect("an id");
    let other = bench.add(CONTACTS, json!({ "name": "Boris", "company_id": company_id.to_string() }));
    let people = bench.item("/api/v2/companies", company_id)["contacts"]["id"].clone();
    assert_eq!(people, json!([id, other]));
    bench.update_contact(id, json!({ "unlink": { "company_id": company_id } }));
    assert_eq!(bench.contact(id)["company"], json!({}));
    let people = bench.item("/api/v2/companies", company_id)["contacts"]["id"].clone();
    assert_eq!(people, json!([other]));
}

#[test]
fn a_new_company_takes_the_place_of_the_old_one() {
    let mut bench = Bench::new();
    let id = bench.add(CONTACTS, json!({ "name": "Anna", "company_name": "Acme" }));
    let old = bench.contact(id)["company"]["id"].as_u64().expect("an id");
    bench.update_contact(id, json!({ "company_name": "Umbra" }));
    assert_eq!(bench.contact(id)["company"]["name"], "Umbra");
    assert_eq!(bench.item("/api/v2/companies", old)["contacts"], json!({}));
}

#[test]
fn customers_are_numbers_in_one_text() {
    let mut bench = Bench::new();
    let id = bench.add(CONTACTS, json!({ "name": "Anna", "customers_id": "466791,466792" }));
    assert_eq!(bench.contact(id)["customers"]["id"], json!([466_791, 466_792]));
    bench.update_contact(id, json!({ "unlink": { "customers_id": [466_791] } }));
    assert_eq!(bench.contact(id)["customers"]["id"], json!([466_792]));
}

#[test]
fn links_to_nothing_are_passed_over_or_refused() {
    let item = json!({ "name": "Anna", "leads_id": [77] });
    let mut lax = Bench::new();
    let id = lax.add(CONTACTS, item.clone());
    assert_eq!(lax.contact(id)["leads"], json!({}));
    let mut strict = Bench::with(|options| options.writing.refuses_unknown_links = true);
    assert!(strict.refused(CONTACTS, item).contains("77"));
}

#[test]
fn a_link_from_the_other_end_moves_the_time_only_by_choice() {
    for touches in [false, true] {
        let mut bench = Bench::with(|options| options.touch.links = touches);
        let lead = deal(&mut bench);
        bench.wait(10).add(CONTACTS, json!({ "name": "Anna", "leads_id": [lead] }));
        let moved = bench.amo.lead(lead).map(|lead| lead.card.updated_at > START_S);
        assert_eq!(moved, Some(touches));
    }
}

#[test]
fn the_user_in_charge_must_be_known_and_active() {
    let mut bench = Bench::with(|options| {
        let user = options.account.users.get_mut(&USER_SUPPORT).expect("a user");
        user.is_active = false;
    });
    let with_user = |user: u64| json!({ "name": "Anna", "responsible_user_id": user });
    let id = bench.add(CONTACTS, with_user(USER_SALES));
    assert_eq!(bench.contact(id)["responsible_user_id"], USER_SALES);
    assert!(bench.refused(CONTACTS, with_user(1)).contains("responsible_user_id"));
    assert!(bench.refused(CONTACTS, with_user(USER_SUPPORT)).contains("responsible_user_id"));
}

#[test]
fn the_group_is_that_of_the_user_in_charge() {
    let mut bench = Bench::new();
    let id = bench.add(CONTACTS, json!({ "name": "Anna", "responsible_user_id": USER_SUPPORT }));
    assert_eq!(bench.contact(id)["group_id"], 7);
}

#[test]
fn the_closest_task_is_the_earliest_open_one() {
    let mut bench = Bench::new();
    let id = bench.person("Anna");
    let contact = Element { kind: ElementKind::Contact, id };
    let early = bench.amo.add_task(bench.now_ms, contact, "Call", START_S + 100).expect("a task");
    bench.amo.add_task(bench.now_ms, contact, "Call again", START_S + 900);
    assert_eq!(bench.contact(id)["closest_task_at"], START_S + 100);
    bench.amo.complete_task(bench.now_ms, early);
    assert_eq!(bench.contact(id)["closest_task_at"], START_S + 900);
}

#[test]
fn companies_are_added_and_updated_as_contacts_are() {
    let mut bench = Bench::new();
    let person = bench.person("Anna");
    let id = bench.add("/api/v2/companies", json!({ "name": "Acme", "contacts_id": [person], "tags": "b2b" }));
    assert_eq!(bench.contact(person)["company"]["id"], id);
    let update = json!({ "update": [{ "id": id, "updated_at": START_S + 1, "name": "Acme Ltd" }] });
    bench.write("/api/v2/companies", &update);
    let company = bench.item("/api/v2/companies", id);
    assert_eq!((&company["name"], &company["tags"][0]["name"]), (&json!("Acme Ltd"), &json!("b2b")));
    assert_eq!(bench.ids("/api/v2/companies?query=acme"), [id]);
}
