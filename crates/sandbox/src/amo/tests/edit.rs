//! What managers do, and how it shows in the API.

use serde_json::json;

use super::*;
use crate::amo::edit::LeadDraft;
use crate::amo::fixture::*;
use crate::amo::records::{Element, ElementKind};

const CONTACTS: &str = "/api/v2/contacts";

fn deal(bench: &mut Bench, contact_ids: Vec<u64>) -> u64 {
    let draft = LeadDraft { name: "Deal".into(), contact_ids, ..LeadDraft::default() };
    bench.amo.create_lead(bench.now_ms, draft)
}

#[test]
fn an_edit_is_made_now_in_the_name_of_the_manager() {
    let mut bench = Bench::new();
    let id = bench.add(CONTACTS, json!({ "name": "Anna" }));
    bench.amo.act_as(USER_SUPPORT);
    bench.wait(60);
    assert!(bench.amo.set_contact_text(bench.now_ms, id, FIELD_POSITION, "Boss"));
    let contact = bench.contact(id);
    assert_eq!((&contact["updated_by"], &contact["updated_at"]), (&json!(USER_SUPPORT), &json!(START_S + 60)));
    assert_eq!(contact["created_by"], USER_ADMIN);
    assert!(!bench.amo.rename_contact(bench.now_ms, 5, "Nobody"));
}

#[test]
fn two_edits_in_one_second_show_one_time() {
    let mut bench = Bench::new();
    let id = bench.person("Anna");
    bench.amo.rename_contact(bench.now_ms + 400, id, "Boris");
    bench.amo.rename_contact(bench.now_ms + 800, id, "Clara");
    let contact = bench.contact(id);
    assert_eq!((&contact["name"], &contact["updated_at"]), (&json!("Clara"), &json!(START_S)));
}

#[test]
fn phones_are_added_and_removed_one_by_one() {
    let mut bench = Bench::new();
    let id = bench.person("Anna");
    bench.amo.add_phone(bench.now_ms, id, "+79990000001");
    bench.amo.add_phone(bench.now_ms, id, "+79990000002");
    assert!(bench.amo.remove_phone(bench.now_ms, id, "+79990000001"));
    assert!(!bench.amo.remove_phone(bench.now_ms, id, "+79990000009"));
    let contact = bench.amo.contact(id).expect("a contact");
    assert_eq!(contact.card.texts(FIELD_PHONE), ["+79990000002"]);
}

#[test]
fn tags_move_the_time_only_by_choice() {
    for touches in [false, true] {
        let mut bench = Bench::with(|options| options.touch.tags = touches);
        let id = bench.person("Anna");
        bench.wait(10);
        bench.amo.set_contact_tags(bench.now_ms, id, &["vip"]);
        let contact = bench.contact(id);
        assert_eq!(contact["tags"][0]["name"], "vip");
        assert_eq!(contact["updated_at"] != START_S, touches);
    }
}

#[test]
fn a_deleted_contact_leaves_its_leads_and_comes_back_to_them() {
    let mut bench = Bench::new();
    let people = bench.people(2);
    let lead = deal(&mut bench, people.clone());
    bench.amo.delete_contact(bench.now_ms, people[0]);
    assert_eq!(bench.item("/api/v2/leads", lead)["main_contact"]["id"], people[1]);
    let update = json!({ "update": [{ "id": people[0], "updated_at": START_S + 99, "name": "x" }] });
    assert!(bench.write(CONTACTS, &update).get("errors").is_some());
    bench.wait(10);
    assert!(bench.amo.restore_contact(bench.now_ms, people[0]));
    assert_eq!(bench.item("/api/v2/leads", lead)["contacts"]["id"], json!([people[1], people[0]]));
    let restored = bench.contact(people[0]);
    assert_eq!((&restored["leads"]["id"], &restored["updated_at"]), (&json!([lead]), &json!(bench.now_s())));
}

#[test]
fn a_merge_unites_values_links_and_notes_and_the_loser_vanishes() {
    let mut bench = Bench::new();
    let people = bench.people(2);
    let (survivor, loser) = (people[0], people[1]);
    bench.amo.add_phone(bench.now_ms, survivor, "+79990000001");
    bench.amo.add_phone(bench.now_ms, loser, "+79990000001");
    bench.amo.add_phone(bench.now_ms, loser, "+79990000002");
    bench.amo.choose(bench.now_ms, survivor, FIELD_SELECT, &SELECT_CHOICES[..1]);
    bench.amo.choose(bench.now_ms, loser, FIELD_SELECT, &SELECT_CHOICES[1..2]);
    bench.amo.set_contact_text(bench.now_ms, loser, FIELD_POSITION, "Boss");
    bench.amo.set_contact_tags(bench.now_ms, loser, &["vip"]);
    let lead = deal(&mut bench, vec![loser]);
    let old = Element { kind: ElementKind::Contact, id: loser };
    bench.amo.add_note(bench.now_ms, old, 4, "hello");
    bench.wait(10);
    assert!(bench.amo.merge_contacts(bench.now_ms, survivor, loser));

    let card = &bench.amo.contact(survivor).expect("the survivor").card;
    assert_eq!(card.texts(FIELD_PHONE), ["+79990000001", "+79990000002"]);
    assert_eq!(card.texts(FIELD_SELECT), ["Новый"]);
    assert_eq!(card.texts(FIELD_POSITION), ["Boss"]);
    assert_eq!((card.tags.len(), card.updated_at), (1, bench.now_s()));
    assert_eq!(bench.amo.notes_of(Element { kind: ElementKind::Contact, id: survivor }).count(), 1);
    assert_eq!(bench.item("/api/v2/leads", lead)["main_contact"]["id"], survivor);
    assert_eq!(bench.get(&format!("/api/v2/contacts?id={loser}")).status, 204);
    assert!(!bench.amo.restore_contact(bench.now_ms, loser), "not even in the trash");
}

#[test]
fn a_merge_may_leave_the_time_alone() {
    let mut bench = Bench::with(|options| options.touch.merges = false);
    let people = bench.people(2);
    bench.wait(10);
    bench.amo.merge_contacts(bench.now_ms, people[0], people[1]);
    assert_eq!(bench.contact(people[0])["updated_at"], START_S + 1);
}

#[test]
fn leads_move_change_price_and_go_to_the_trash_and_back() {
    let mut bench = Bench::new();
    let person = bench.person("Anna");
    let lead = deal(&mut bench, vec![person]);
    assert!(bench.amo.move_lead(bench.now_ms, lead, PIPELINE_SERVICE, 2002));
    assert!(!bench.amo.move_lead(bench.now_ms, lead, PIPELINE_SERVICE, 1001));
    assert!(bench.amo.set_lead_price(bench.now_ms, lead, 700));
    let read = bench.item("/api/v2/leads", lead);
    assert_eq!((&read["pipeline"]["id"], &read["status_id"], &read["sale"]), (&json!(62), &json!(2002), &json!(700)));
    assert!(bench.amo.delete_lead(bench.now_ms, lead));
    assert_eq!(bench.contact(person)["leads"], json!({}));
    assert!(bench.amo.restore_lead(bench.now_ms, lead));
    assert_eq!(bench.contact(person)["leads"]["id"], json!([lead]));
    assert_eq!(bench.item("/api/v2/leads", lead)["is_deleted"], false);
}

#[test]
fn leads_and_contacts_are_linked_and_parted_by_hand() {
    let mut bench = Bench::new();
    let person = bench.person("Anna");
    let lead = deal(&mut bench, vec![]);
    assert!(bench.amo.link_lead(bench.now_ms, lead, person));
    assert_eq!(bench.contact(person)["leads"]["id"], json!([lead]));
    assert!(bench.amo.unlink_lead(bench.now_ms, lead, person));
    assert_eq!(bench.contact(person)["leads"], json!({}));
    assert!(!bench.amo.link_lead(bench.now_ms, lead, 5));
}

#[test]
fn edits_pass_the_lock_even_under_a_time_in_the_future() {
    let mut bench = Bench::new();
    let id = bench.person("Anna");
    bench.write(CONTACTS, &json!({ "update": [{ "id": id, "updated_at": START_S + 9_000 }] }));
    bench.wait(1);
    bench.amo.rename_contact(bench.now_ms, id, "By hand");
    let contact = bench.contact(id);
    assert_eq!((&contact["name"], &contact["updated_at"]), (&json!("By hand"), &json!(START_S + 1)));
}
