//! Whatever is sent, there is an answer, and links stay the same from both ends.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use super::*;
use crate::amo::fixture::{FIELD_ADDRESS, FIELD_DATE, FIELD_MULTISELECT, FIELD_PHONE};
use crate::amo::options::{ItemErrors, WriteTime};

const PATHS: [&str; 6] =
    ["/api/v2/contacts", "/api/v2/leads", "/api/v2/companies", "/api/v2/notes", "/api/v2/tasks", "/api/v2/account"];

const KEYS: [&str; 24] = [
    "id",
    "name",
    "updated_at",
    "created_at",
    "tags",
    "leads_id",
    "contacts_id",
    "company_id",
    "company_name",
    "unlink",
    "custom_fields",
    "values",
    "value",
    "enum",
    "subtype",
    "status_id",
    "pipeline_id",
    "sale",
    "element_id",
    "element_type",
    "note_type",
    "text",
    "params",
    "request_id",
];

/// Numbers that mean something to the account, and some that do not. The first ids given out are near.
const NUMBERS: [i64; 14] = [
    0,
    1,
    2,
    4,
    25,
    142,
    1001,
    10_000_001,
    10_000_003,
    FIELD_PHONE as i64,
    FIELD_ADDRESS as i64,
    FIELD_MULTISELECT as i64,
    FIELD_DATE as i64,
    i64::MAX,
];

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        select(NUMBERS.to_vec()).prop_map(Value::from),
        select(NUMBERS.to_vec()).prop_map(|number| Value::from(number.to_string())),
        Just(json!(-1.5)),
        "[a-zа-я🚀, 0-9+]{0,6}".prop_map(Value::from),
        select(vec!["WORK", "city", "2025-03-04"]).prop_map(Value::from),
    ]
}

fn content() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(4, 40, 5, |inner| {
        let object = prop::collection::vec((select(KEYS.to_vec()), inner.clone()), 0..5);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            object.prop_map(|pairs| { pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect() }),
        ]
    })
}

fn query() -> impl Strategy<Value = Vec<(String, String)>> {
    let names = vec![
        "id",
        "id[]",
        "id[",
        "limit_rows",
        "limit_offset",
        "query",
        "status[]",
        "type",
        "with",
        "filter[date_modify][from]",
        "element_id",
        "responsible_user_id[0]",
    ];
    let value = prop_oneof![
        select(vec!["contact", "only_deleted", "custom_fields", "18446744073709551615", "-1", ""])
            .prop_map(str::to_owned),
        select(NUMBERS.to_vec()).prop_map(|number| number.to_string()),
        "[a-zа-я0-9.:-]{0,6}",
    ];
    prop::collection::vec((select(names).prop_map(str::to_owned), value), 0..4)
}

/// Every link is there at both ends.
fn assert_links_agree(amo: &Amo) {
    for contact in amo.contacts() {
        let id = contact.card.id;
        for lead_id in &contact.lead_ids {
            let lead = amo.lead(*lead_id).expect("a linked lead");
            assert!(lead.contact_ids.contains(&id));
        }
        for company in amo.companies() {
            let is_there = company.contact_ids.contains(&id);
            assert_eq!(is_there, contact.company_id == Some(company.card.id));
        }
    }
    for lead in amo.leads() {
        let id = lead.card.id;
        for contact_id in &lead.contact_ids {
            let contact = amo.contact(*contact_id).expect("a linked contact");
            assert!(contact.lead_ids.contains(&id));
        }
        for company in amo.companies() {
            let is_there = company.lead_ids.contains(&id);
            assert_eq!(is_there, lead.company_id == Some(company.card.id));
        }
    }
}

/// A step of a story: a write, a read, or an edit by hand.
#[derive(Debug, Clone)]
enum Step {
    Write(&'static str, Value),
    Named(&'static str, Value),
    Raw(Vec<u8>),
    Read(&'static str, Vec<(String, String)>, String),
    Delete(Index),
    Restore(Index),
    Merge(Index, Index),
}

fn step() -> impl Strategy<Value = Step> {
    let path = || select(PATHS.to_vec());
    prop_oneof![
        1 => (path(), content()).prop_map(|(path, content)| Step::Write(path, content)),
        4 => (path(), content()).prop_map(|(path, content)| Step::Named(path, content)),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Step::Raw),
        1 => (path(), query(), "[A-Za-z, :0-9+-]{0,30}")
            .prop_map(|(path, query, since)| Step::Read(path, query, since)),
        1 => any::<Index>().prop_map(Step::Delete),
        1 => any::<Index>().prop_map(Step::Restore),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(one, other)| Step::Merge(one, other)),
    ]
}

/// A good item that also links, with odd keys beside.
fn named(bench: &Bench, content: Value) -> Value {
    let ids: Vec<u64> = (10_000_001..10_000_012).collect();
    let mut item = json!({
        "name": "Somebody",
        "updated_at": bench.now_s(),
        "leads_id": ids,
        "contacts_id": ids,
        "company_id": 10_000_000 + bench.now_s() % 12,
    });
    if let (Value::Object(item), Value::Object(odd)) = (&mut item, content) {
        item.extend(odd);
    }
    json!({ "add": [item], "update": [item] })
}

fn take(bench: &mut Bench, step: Step) {
    let known = |index: Index| 10_000_001 + index.index(12) as u64;
    let now_ms = bench.now_ms;
    let response = match step {
        Step::Write(path, content) => bench.post(path, &json!({ "add": [content], "update": [content] })),
        Step::Named(path, content) => {
            let content = named(bench, content);
            bench.post(path, &content)
        }
        Step::Raw(body) => bench.send(&Request { body, ..request("POST", PATHS[0], None) }),
        Step::Read(path, query, since) => {
            let mut request = Request { query, ..request("GET", path, None) };
            request.headers.push(("if-modified-since".into(), since));
            bench.send(&request)
        }
        Step::Delete(index) => {
            let _ = bench.amo.delete_contact(now_ms, known(index)) || bench.amo.delete_lead(now_ms, known(index));
            return;
        }
        Step::Restore(index) => {
            let _ = bench.amo.restore_contact(now_ms, known(index)) || bench.amo.restore_lead(now_ms, known(index));
            return;
        }
        Step::Merge(one, other) => {
            bench.amo.merge_contacts(now_ms, known(one), known(other));
            return;
        }
    };
    assert!([200, 204, 400, 405].contains(&response.status), "{}", response.status);
}

proptest! {
    #[test]
    fn no_request_is_too_odd(steps in prop::collection::vec(step(), 1..12), lists in any::<bool>()) {
        let mut bench = Bench::with(|options| {
            options.shapes.write_time = WriteTime::Milliseconds;
            options.listing.search_visible_after_ms = 1_500;
            options.touch.links = true;
            if lists {
                options.shapes.item_errors = ItemErrors::List;
            }
        });
        for step in steps {
            bench.wait(1);
            take(&mut bench, step);
            assert_links_agree(&bench.amo);
        }
    }
}
