//! Leads: stages, budgets, contacts, filters, the trash.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::amo::edit::LeadDraft;
use crate::amo::fixture::*;
use crate::amo::options::EmptyShape;
use crate::amo::records::{Element, ElementKind};

const LEADS: &str = "/api/v2/leads";

fn deal(bench: &mut Bench, stage: (u64, u64)) -> u64 {
    let draft = LeadDraft { name: "Deal".into(), stage: Some(stage), ..LeadDraft::default() };
    bench.amo.create_lead(bench.now_ms, draft)
}

/// Updates a lead one second later; the `_embedded` of the answer.
fn update(bench: &mut Bench, id: u64, changes: Value) -> Value {
    let mut item = json!({ "id": id, "updated_at": bench.wait(1).now_s() });
    item.as_object_mut().expect("an object").extend(changes.as_object().expect("one").clone());
    bench.write(LEADS, &json!({ "update": [item] }))
}

#[test]
fn a_bare_lead_reads_with_every_documented_key() {
    let mut bench = Bench::new();
    let id = bench.add(LEADS, json!({ "name": "Deal", "sale": "150000" }));
    let pipeline_links = json!({ "self": { "href": "/api/v2/pipelines?id=61", "method": "get" } });
    let expected = json!({
        "id": id,
        "name": "Deal",
        "responsible_user_id": USER_ADMIN,
        "created_by": USER_ADMIN,
        "updated_by": USER_ADMIN,
        "created_at": START_S,
        "updated_at": START_S,
        "account_id": 13_667_499,
        "is_deleted": false,
        "main_contact": {},
        "group_id": 0,
        "company": {},
        "closed_at": 0,
        "closest_task_at": 0,
        "loss_reason_id": 0,
        "tags": {},
        "custom_fields": {},
        "status_id": 1001,
        "sale": 150_000,
        "contacts": {},
        "pipeline": { "id": 61, "_links": pipeline_links },
        "_links": { "self": { "href": format!("/api/v2/leads?id={id}"), "method": "get" } },
    });
    assert_eq!(bench.item(LEADS, id), expected);
}

#[test]
fn empty_containers_of_leads_may_be_null() {
    let mut bench = Bench::with(|options| options.shapes.empty = EmptyShape::Null);
    let id = deal(&mut bench, (61, 1001));
    let lead = bench.item(LEADS, id);
    for key in ["company", "contacts", "main_contact", "tags", "custom_fields"] {
        assert_eq!(lead.get(key), Some(&Value::Null), "{key}");
    }
}

#[rstest]
#[case::nothing(json!({}), (61, 1001))]
#[case::stage_alone(json!({ "status_id": "2002" }), (62, 2002))]
#[case::pipeline_alone(json!({ "pipeline_id": 62 }), (62, 2001))]
#[case::closing_without_pipeline(json!({ "status_id": 142 }), (61, 142))]
#[case::closing_with_pipeline(json!({ "status_id": 143, "pipeline_id": 62 }), (62, 143))]
fn a_new_lead_finds_its_stage(#[case] stage: Value, #[case] expected: (u64, u64)) {
    let mut bench = Bench::new();
    let mut item = json!({ "name": "Deal" });
    item.as_object_mut().expect("an object").extend(stage.as_object().expect("one").clone());
    let id = bench.add(LEADS, item);
    let lead = bench.amo.lead(id).expect("a lead");
    assert_eq!((lead.pipeline_id, lead.status_id), expected);
}

#[rstest]
#[case::unknown(json!({ "name": "Deal", "status_id": 5 }))]
#[case::of_another_pipeline(json!({ "name": "Deal", "status_id": 2001, "pipeline_id": 61 }))]
#[case::no_name(json!({ "status_id": 1001 }))]
#[case::broken_budget(json!({ "name": "Deal", "sale": "a lot" }))]
fn unsuitable_leads_are_refused(#[case] item: Value) {
    let mut bench = Bench::new();
    bench.refused(LEADS, item);
    assert_eq!(bench.amo.lead_count(), 0);
}

#[test]
fn closing_sets_a_time_and_reopening_clears_it() {
    let mut bench = Bench::new();
    let id = deal(&mut bench, (62, 2001));
    update(&mut bench, id, json!({ "status_id": 142 }));
    let lead = bench.item(LEADS, id);
    assert_eq!((&lead["pipeline"]["id"], &lead["closed_at"]), (&json!(62), &json!(START_S + 1)));
    update(&mut bench, id, json!({ "status_id": 2002 }));
    assert_eq!(bench.item(LEADS, id)["closed_at"], 0);
}

#[test]
fn the_lock_holds_for_leads_and_all_four_keys_may_be_required() {
    let mut bench = Bench::new();
    let id = deal(&mut bench, (61, 1001));
    let stale = json!({ "update": [{ "id": id, "updated_at": START_S, "sale": 5 }] });
    assert!(bench.write(LEADS, &stale)["errors"]["update"][id.to_string()].is_string());
    assert!(update(&mut bench, id, json!({ "sale": 5 })).get("errors").is_none());

    let mut strict = Bench::with(|options| options.writing.lead_update_needs_all = true);
    let id = deal(&mut strict, (61, 1001));
    assert!(update(&mut strict, id, json!({ "sale": 5 })).get("errors").is_some());
    let whole = json!({ "sale": 5, "name": "Deal", "status_id": 1002 });
    assert!(update(&mut strict, id, whole).get("errors").is_none());
}

#[test]
fn contacts_are_linked_the_first_is_the_main_one_and_the_next_follows_it() {
    let mut bench = Bench::new();
    let people = bench.people(2);
    let id = bench.add(LEADS, json!({ "name": "Deal", "contacts_id": people[1].to_string() }));
    update(&mut bench, id, json!({ "contacts_id": [people[0]] }));
    let lead = bench.item(LEADS, id);
    assert_eq!(lead["main_contact"]["id"], people[1]);
    assert_eq!(lead["contacts"]["id"], json!([people[1], people[0]]));
    assert_eq!(bench.contact(people[0])["leads"]["id"], json!([id]));
    update(&mut bench, id, json!({ "unlink": { "contacts_id": [people[1]] } }));
    assert_eq!(bench.item(LEADS, id)["main_contact"]["id"], people[0]);
}

#[test]
fn a_lead_has_at_most_forty_contacts_from_either_side() {
    let mut bench = Bench::new();
    let people = bench.people(41);
    bench.refused(LEADS, json!({ "name": "Deal", "contacts_id": people }));
    let id = bench.add(LEADS, json!({ "name": "Deal", "contacts_id": people[..40] }));
    bench.refused("/api/v2/contacts", json!({ "name": "One more", "leads_id": [id] }));
    let again = bench.update_contact(people[0], json!({ "leads_id": [id] }));
    assert!(again.get("errors").is_none(), "already linked: {again}");
}

#[test]
fn lead_tags_also_go_by_number_and_are_not_those_of_contacts() {
    let mut bench = Bench::new();
    let contact = bench.add("/api/v2/contacts", json!({ "name": "Anna", "tags": "vip" }));
    let id = bench.add(LEADS, json!({ "name": "Deal", "tags": "vip,new" }));
    let tags = bench.item(LEADS, id)["tags"].clone();
    assert_ne!(tags[0]["id"], bench.contact(contact)["tags"][0]["id"]);
    update(&mut bench, id, json!({ "tags": [tags[1]["id"], 77] }));
    assert_eq!(bench.item(LEADS, id)["tags"], json!([tags[1]]));
}

#[test]
fn an_unknown_lead_field_is_refused() {
    let item = json!({ "name": "Deal", "custom_fields": [{ "id": FIELD_PHONE, "values": [{ "value": "1" }] }] });
    assert!(Bench::new().refused(LEADS, item).contains("was not found"));
}

#[test]
fn filters_by_stage_activity_and_time() {
    let mut bench = Bench::new();
    let open = deal(&mut bench, (61, 1001));
    bench.wait(100);
    let service = bench.amo.create_lead(
        bench.now_ms,
        LeadDraft { name: "Service".into(), stage: Some((62, 2001)), ..LeadDraft::default() },
    );
    let won = deal(bench.wait(100), (61, 142));
    assert_eq!(bench.ids("/api/v2/leads?status[]=1001&status[]=142"), [open, won]);
    assert_eq!(bench.ids("/api/v2/leads?status=2001"), [service]);
    assert_eq!(bench.ids("/api/v2/leads?filter[active]=1"), [open, service]);
    let modified = format!("/api/v2/leads?filter[date_modify][from]={}", START_S + 100);
    assert_eq!(bench.ids(&modified), [service, won]);
    let created =
        format!("/api/v2/leads?filter[date_create][from]={}&filter[date_create][to]={}", START_S + 50, START_S + 100);
    assert_eq!(bench.ids(&created), [service]);
    assert_eq!(bench.ids("/api/v2/leads?filter[date_create][from]=2025-03-04 13:01:40"), [service, won]);
    assert_eq!(bench.ids("/api/v2/leads?query=serv"), [service]);
    assert_eq!(bench.ids_since(LEADS, START_S + 100), [won]);
}

#[test]
fn filters_by_tasks() {
    let mut bench = Bench::new();
    let (idle, busy) = (deal(&mut bench, (61, 1001)), deal(&mut bench, (61, 1001)));
    let lead = Element { kind: ElementKind::Lead, id: busy };
    let task = bench.amo.add_task(bench.now_ms, lead, "Call", START_S + 60).expect("a task");
    assert_eq!(bench.ids("/api/v2/leads?filter[tasks]=1"), [idle]);
    assert_eq!(bench.ids("/api/v2/leads?filter[tasks]=2"), [busy]);
    bench.amo.complete_task(bench.now_ms, task);
    assert_eq!(bench.ids("/api/v2/leads?filter[tasks]=2"), NOTHING);
}

#[test]
fn deleted_leads_are_in_the_trash_alone() {
    let mut bench = Bench::new();
    let (gone, kept) = (deal(&mut bench, (61, 1001)), deal(&mut bench, (61, 1001)));
    bench.wait(10);
    bench.amo.delete_lead(bench.now_ms, gone);
    assert_eq!(bench.ids(LEADS), [kept]);
    assert_eq!(bench.get(&format!("/api/v2/leads?id={gone}")).status, 204);
    let trash = body(&bench.get("/api/v2/leads?with=only_deleted"));
    let items = trash["_embedded"]["items"].as_array().expect("items");
    assert_eq!((items.len(), &items[0]["id"], &items[0]["is_deleted"]), (1, &json!(gone), &json!(true)));
    assert_eq!(bench.ids_since("/api/v2/leads?with=only_deleted", START_S + 5), [gone]);
    assert_eq!(bench.ids_since("/api/v2/leads?with=only_deleted", START_S + 50), NOTHING);
}

#[test]
fn a_deleted_lead_may_still_be_read_by_its_id() {
    let mut bench = Bench::with(|options| options.listing.deleted_leads_by_id = true);
    let id = deal(&mut bench, (61, 1001));
    bench.amo.delete_lead(bench.now_ms, id);
    assert_eq!(bench.item(LEADS, id)["is_deleted"], true);
}

#[test]
fn additions_named_in_with_are_given() {
    let mut bench = Bench::new();
    deal(&mut bench, (61, 1001));
    let target = "/api/v2/leads?with=is_price_modified_by_robot,loss_reason_name";
    let lead = body(&bench.get(target))["_embedded"]["items"][0].clone();
    assert_eq!((&lead["is_price_modified_by_robot"], &lead["loss_reason_name"]), (&json!(false), &json!("")));
}

#[test]
fn a_lead_has_one_company_seen_from_both_ends() {
    let mut bench = Bench::new();
    let id = bench.add(LEADS, json!({ "name": "Deal", "company_name": "Acme" }));
    let company = bench.item(LEADS, id)["company"]["id"].as_u64().expect("an id");
    assert_eq!(bench.item("/api/v2/companies", company)["leads"]["id"], json!([id]));
    update(&mut bench, id, json!({ "unlink": { "company_id": 77 } }));
    assert_eq!(bench.item(LEADS, id)["company"]["id"], company);
    let other = bench.add("/api/v2/companies", json!({ "name": "Umbra", "leads_id": [id] }));
    assert_eq!(bench.item(LEADS, id)["company"]["name"], "Umbra");
    assert_eq!(bench.item("/api/v2/companies", company)["leads"], json!({}));
    bench.amo.delete_lead(bench.now_ms, id);
    assert_eq!(bench.item("/api/v2/companies", other)["leads"], json!({}));
    bench.amo.restore_lead(bench.now_ms, id);
    assert_eq!(bench.item("/api/v2/companies", other)["leads"]["id"], json!([id]));
}
