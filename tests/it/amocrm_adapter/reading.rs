//! Listings, reads by id, search, notes, account.

use super::{Setup, answer, fixture, with_header};
use proptest::prelude::*;
use salebridge::core::action::NoteTarget;
use salebridge::core::fault::FaultKind;
use salebridge::core::id::{CompanyId, ContactId, EnumId, FieldId, LeadId, NoteId, PipelineId, StatusId, UserId};
use salebridge::core::model::{Contact, Element, FieldKind};
use salebridge::core::selector::AddressPart;
use salebridge::core::time::Millis;
use salebridge::ports::remote::{Amo, Page, PageRequest, Priority};
use serde_json::{Value, json};

const ALL: PageRequest = PageRequest { since: None, offset: 0, limit: 500 };

async fn contacts(body: &str) -> Page<Contact> {
    Setup::always(answer(200, body)).amo.contacts(ALL, Priority::Poll).await.unwrap()
}

fn kind_of(value: &str, choice: u64) -> Element {
    Element { choice: Some(EnumId(choice)), ..Element::text(value) }
}

#[tokio::test]
async fn the_documented_list_is_read_whole() {
    let page = contacts(fixture!("contacts_list_answer")).await;
    assert_eq!((page.received, page.broken.len(), page.server_time), (1, 0, Some(Millis(1_700_000_500_000))));
    let contact = &page.rows[0];
    assert_eq!((contact.id, contact.name.as_str()), (ContactId(1_099_181), "Екатерина Примерова"));
    assert_eq!(contact.responsible, Some(UserId(504_141)));
    assert_eq!((contact.created_at, contact.updated_at), (1_508_499_477, 1_509_019_136));
    let company = contact.company.as_ref().unwrap();
    assert_eq!((company.id, company.name.as_deref()), (CompanyId(1_099_180), Some("ООО Компания")));
    assert_eq!(contact.leads, [LeadId(1_090_391)].into());
    assert_eq!(contact.tags, ["важный".to_owned(), "доставка".to_owned()].into());
    assert_eq!(contact.fields[&FieldId(4_396_818)], [kind_of("+79990000004", 3_685_087)]);
    assert_eq!(contact.fields[&FieldId(4_400_116)], [kind_of("2", 3_692_663), kind_of("3", 3_692_664)]);
    let parts: Vec<_> = contact.fields[&FieldId(4_400_115)].iter().map(|element| element.part).collect();
    assert_eq!(parts, [Some(AddressPart::Line1), Some(AddressPart::Country)]);
}

#[tokio::test]
async fn odd_shapes_read_like_the_documented_ones() {
    let page = contacts(fixture!("contacts_list_odd_shapes")).await;
    assert_eq!(page.broken, []);
    let ids: Vec<_> = page.rows.iter().map(|row| row.id.0).collect();
    assert_eq!(ids, [101, 102, 103, 104, 105]);
    let first = &page.rows[0];
    assert_eq!((first.created_at, first.updated_at), (1_700_000_000, 1_700_000_100));
    assert_eq!((first.first_name.as_deref(), first.last_name.as_deref()), (Some("Пётр"), None));
    assert_eq!(first.responsible, Some(UserId(7)));
    for row in &page.rows[..3] {
        assert!(row.company.is_none() && row.leads.is_empty() && row.tags.is_empty() && row.fields.is_empty());
    }
    let odd = &page.rows[3];
    assert_eq!(odd.name, "12345");
    assert_eq!(odd.leads, [LeadId(301), LeadId(302)].into());
    assert_eq!(odd.company.as_ref().map(|company| (company.id, company.name.clone())), Some((CompanyId(55), None)));
    assert_eq!(odd.tags, ["vip".to_owned()].into());
    let field = |id: u64| odd.fields.get(&FieldId(id)).map(Vec::as_slice).unwrap_or_default();
    assert_eq!(field(11), [Element { code: Some("WORK".to_owned()), ..kind_of("+79990000001", 21) }]);
    assert_eq!(field(12), [Element::text("1")]);
    assert_eq!(field(13), [Element::text("2024-05-01 00:00:00")]);
    assert_eq!(field(14), [Element::text("1714510800")]);
    let parts: Vec<_> = field(15).iter().map(|element| element.part).collect();
    assert_eq!(parts, [Some(AddressPart::Line2), Some(AddressPart::Zip)]);
    assert_eq!(field(16), [Element::text("bare")]);
    assert_eq!(field(17), []);
    assert!(field(18)[0].value.contains("vat_id"));
    assert_eq!(field(19), [Element { code: Some("MOB".to_owned()), ..Element::text("+79990000005") }]);
    assert_eq!(field(20), [Element::text("3.5")]);
    let last = &page.rows[4];
    assert_eq!((last.leads.len(), last.company.as_ref().map(|company| company.id)), (1, Some(CompanyId(56))));
}

#[tokio::test]
async fn an_unreadable_row_costs_no_neighbour_and_shows_no_value() {
    let page = contacts(fixture!("contacts_list_broken_rows")).await;
    let ids: Vec<_> = page.rows.iter().map(|row| row.id.0).collect();
    assert_eq!((ids, page.received), (vec![101, 103, 104], 6));
    assert_eq!(page.rows[1].name, "cut \u{fffd} emoji, whole 😀");
    let broken: Vec<_> = page.broken.iter().map(|row| row.id).collect();
    assert_eq!(broken, [Some(102), None, None]);
    assert!(page.broken[0].reason.contains("custom_fields[1].id"), "{}", page.broken[0].reason);
    assert!(page.broken.iter().all(|row| !row.reason.contains("7999")), "{:?}", page.broken);
}

#[tokio::test]
async fn bad_utf8_spoils_one_letter() {
    let mut body = br#"{"_embedded":{"items":[{"id":1,"name":"a"},{"id":2,"name":"x"#.to_vec();
    body.extend([0xD0, 0xFF]);
    body.extend(br#""}]}}"#);
    let page = Setup::always(answer(200, body)).amo.contacts(ALL, Priority::Poll).await.unwrap();
    assert_eq!(page.rows.len(), 2);
}

#[tokio::test]
async fn every_way_to_say_nothing_is_an_empty_page() {
    for (status, body) in [
        (204, ""),
        (304, ""),
        (200, ""),
        (200, " \n"),
        (200, "null"),
        (200, "[]"),
        (200, "{}"),
        (200, r#"{"_embedded":null}"#),
        (200, r#"{"_embedded":[]}"#),
        (200, r#"{"_embedded":{}}"#),
        (200, r#"{"_embedded":{"items":[]}}"#),
        (200, r#"{"_embedded":{"items":{}}}"#),
        (200, r#"{"_embedded":{"items":null}}"#),
        (200, r#"{"response":{"error":"nothing","error_code":"2002"}}"#),
        (404, r#"{"title":"x","code":2002}"#),
    ] {
        let page = Setup::always(answer(status, body)).amo.contacts(ALL, Priority::Poll).await;
        let page = page.unwrap_or_else(|fault| panic!("{status} {body}: {fault}"));
        assert_eq!((page.rows.len(), page.broken.len(), page.received), (0, 0, 0), "{status} {body}");
        assert!(page.server_time.is_some());
    }
}

#[tokio::test]
async fn what_is_no_list_is_never_taken_for_an_empty_one() {
    for (body, kind) in [
        ("<html>maintenance</html>", FaultKind::Transient),
        (r#"{"_embedded":{"items":[{"id":1},{"id":"#, FaultKind::Transient),
        (r#"{"_embedded":{"items":[{"id":1}]}} and more"#, FaultKind::Broken),
        (r#"{"items":[{"id":1}]}"#, FaultKind::Broken),
        (r#"{"response":{"error":"something went wrong"}}"#, FaultKind::Transient),
        (r#"{"response":{"error":"x","error_code":"219"}}"#, FaultKind::Transient),
        (r#"{"response":{"error":"x","error_code":"110"}}"#, FaultKind::Auth),
    ] {
        let fault = Setup::always(answer(200, body)).amo.contacts(ALL, Priority::Poll).await.unwrap_err();
        assert_eq!(fault.kind, kind, "{body}: {fault}");
    }
}

#[tokio::test]
async fn a_listing_is_asked_for_as_documented() {
    let setup = Setup::always(answer(204, ""));
    let request = PageRequest { since: Some(Millis(1_741_082_400_999)), offset: 490, limit: 9_000 };
    setup.amo.contacts(request, Priority::Poll).await.unwrap();
    setup.amo.leads(ALL, Priority::Poll).await.unwrap();
    let seen = setup.seen();
    assert_eq!(seen[0].url, "https://example.test/api/v2/contacts?limit_rows=500&limit_offset=490");
    assert_eq!(seen[0].header("if-modified-since"), Some("Tue, 04 Mar 2025 10:00:00 UTC"));
    assert_eq!(seen[0].header("authorization"), Some("Bearer token-that-must-not-leak"));
    assert_eq!(seen[1].url, "https://example.test/api/v2/leads?limit_rows=500");
    assert_eq!((seen[1].method, seen[1].header("if-modified-since")), ("GET", None));
}

#[tokio::test]
async fn the_servers_clock_comes_from_either_header() {
    let dated = with_header(answer(204, ""), "date", "Tue, 04 Mar 2025 10:00:00 GMT");
    for (answer, expected) in [
        (dated.clone(), Some(Millis(1_700_000_500_000))),
        (with_header(dated.clone(), "runtime-timestamp", "soon"), Some(Millis(1_741_082_400_000))),
        (with_header(answer(204, ""), "runtime-timestamp", ""), None),
    ] {
        let page = Setup::always(answer).amo.contacts(ALL, Priority::Poll).await.unwrap();
        assert_eq!(page.server_time, expected);
    }
}

#[tokio::test]
async fn leads_come_with_links_stage_and_trash() {
    let setup = Setup::always(answer(200, fixture!("leads_list_answer")));
    let page = setup.amo.leads(ALL, Priority::Poll).await.unwrap();
    let [lead, deleted, won] = page.rows.as_slice() else { panic!("{:?}", page.rows) };
    assert_eq!((lead.price, lead.pipeline, lead.status), (15_000, PipelineId(61), StatusId(1001)));
    assert_eq!(lead.main_contact, Some(ContactId(101)));
    assert_eq!(lead.contacts, [ContactId(101), ContactId(102)].into());
    assert_eq!(lead.fields[&FieldId(31)], [Element::text("2024-05-01 00:00:00")]);
    assert!(!lead.is_deleted && deleted.is_deleted && !won.is_deleted);
    assert_eq!((won.status, won.pipeline, won.main_contact, won.price), (StatusId::WON, PipelineId(61), None, 10));
    assert_eq!(page.broken.iter().map(|row| row.id).collect::<Vec<_>>(), [Some(303)]);
}

#[tokio::test]
async fn reads_by_id_are_cut_and_cleaned() {
    let setup = Setup::answering(|seen| {
        let asked: Vec<u64> =
            seen.url.split("id%5B%5D=").skip(1).map(|rest| rest.split('&').next().unwrap().parse().unwrap()).collect();
        assert!(asked.len() <= 250 && seen.url.len() < 8_000);
        // A server that ignores the filter, repeats itself and lacks number 7.
        let rows =
            asked.iter().chain([&asked[0], &9_999]).filter(|id| **id != 7).map(|id| json!({ "id": id, "name": "x" }));
        Ok(answer(200, json!({ "_embedded": { "items": rows.collect::<Vec<_>>() } }).to_string()))
    });
    let ids: Vec<_> = (1..=600).chain([1, 2]).map(ContactId).collect();
    let page = setup.amo.contacts_by_id(&ids, Priority::Background).await.unwrap();
    let mut found: Vec<_> = page.rows.iter().map(|row| row.id.0).collect();
    found.sort_unstable();
    assert_eq!(found, (1..=600).filter(|id| *id != 7).collect::<Vec<_>>());
    assert_eq!(setup.seen().len(), 3);
    let none = setup.amo.leads_by_id(&[], Priority::Background).await.unwrap();
    assert_eq!((none.rows.len(), setup.seen().len()), (0, 3));
}

#[tokio::test]
async fn a_search_stops_after_two_pages() {
    let setup = Setup::answering(|_| {
        let rows: Vec<_> = (1..=500).map(|id| json!({ "id": id })).collect();
        Ok(answer(200, json!({ "_embedded": { "items": rows } }).to_string()))
    });
    let page = setup.amo.search_contacts("9990000001 & <b>", Priority::Person).await.unwrap();
    assert_eq!((page.received, setup.seen().len()), (1_000, 2));
    assert!(setup.seen()[1].url.ends_with("?limit_rows=500&limit_offset=500&query=9990000001%20%26%20%3Cb%3E"));
    setup.amo.search_contacts("  ", Priority::Person).await.unwrap();
    assert_eq!(setup.seen().len(), 2);
}

#[tokio::test]
async fn notes_are_those_of_the_record_newest_first() {
    let setup = Setup::always(answer(200, fixture!("notes_list_answer")));
    let notes = setup.amo.notes(NoteTarget::Contact(ContactId(101)), Priority::Person).await.unwrap();
    let read: Vec<_> = notes.iter().map(|note| (note.id, note.text.as_str())).collect();
    assert_eq!(read, [(NoteId(901), "in params"), (NoteId(902), "upper case"), (NoteId(900), "first")]);
    assert_eq!(
        setup.seen()[0].url,
        "https://example.test/api/v2/notes?limit_rows=500&type=contact&element_id=101&note_type=4"
    );
    setup.amo.notes(NoteTarget::Lead(LeadId(301)), Priority::Person).await.unwrap();
    assert!(setup.seen()[1].url.contains("type=lead&element_id=301"));
}

#[tokio::test]
async fn the_account_is_read_in_both_shapes() {
    let setup = Setup::always(answer(200, fixture!("account_answer")));
    let account = setup.amo.account(Priority::Poll).await.unwrap();
    assert_eq!((account.id, account.time_zone.as_str()), (9, "Europe/Moscow"));
    let codes: Vec<_> = account.contact_fields.values().map(|field| field.code.as_deref()).collect();
    assert_eq!(codes, [None, Some("PHONE"), Some("EMAIL"), Some("IM"), None, None, None, Some("EXTRA")]);
    let kinds: Vec<_> = account.contact_fields.values().map(|field| field.kind).collect();
    let multitext = FieldKind::Multitext;
    let (address, other) = (FieldKind::SmartAddress, FieldKind::Other(15));
    assert_eq!(kinds, [FieldKind::Text, multitext, multitext, multitext, address, other, FieldKind::Select, multitext]);
    let phone = &account.contact_fields[&FieldId(11)];
    assert_eq!(phone.choices, [(EnumId(21), "WORK".to_owned()), (EnumId(22), "MOB".to_owned())].into());
    assert_eq!(account.contact_fields[&FieldId(13)].choices[&EnumId(41)], "SKYPE");
    assert_eq!(account.contact_fields[&FieldId(16)].choices.len(), 2);
    assert_eq!(account.lead_fields[&FieldId(31)].kind, FieldKind::Date);
    assert_eq!(account.users[&UserId(7)], "Оператор");
    let pipeline = &account.pipelines[&PipelineId(61)];
    assert_eq!((pipeline.name.as_str(), pipeline.statuses[&StatusId(1001)].as_str()), ("Воронка", "Новая"));
    assert!(setup.seen()[0].url.contains("with=custom_fields%2Cusers%2Cpipelines&free_users=Y"));
}

#[tokio::test]
async fn an_account_that_cannot_be_read_is_a_fault() {
    for (body, kind) in [
        ("<html></html>", FaultKind::Transient),
        (r#"{"id":9,"_embedded":"#, FaultKind::Transient),
        (r#"{"id":"nine"}"#, FaultKind::Broken),
        (r#"{"timezone":"Europe/Moscow"}"#, FaultKind::Broken),
    ] {
        let fault = Setup::always(answer(200, body)).amo.account(Priority::Poll).await.unwrap_err();
        assert_eq!(fault.kind, kind, "{body}: {fault}");
    }
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        let name = prop::sample::select(vec!["id", "value", "values", "enum", "subtype", "name", "0", "x"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.prop_map(str::to_owned), inner, 0..4)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever one member of one row holds: no crash, and both neighbours are there.
    #[test]
    fn no_row_spoils_its_neighbours(
        name in prop::sample::select(vec![
            "id", "name", "company", "leads", "tags", "custom_fields", "updated_at", "status_id",
            "custom_fields_values", "_embedded", "is_deleted", "price",
        ]),
        content in anything(),
    ) {
        let mut odd = json!({ "id": 2, "status_id": 1, "pipeline_id": 1 });
        odd[name] = content.clone();
        let sound = |id: u64| json!({ "id": id, "status_id": 1, "pipeline_id": 1 });
        for row in [odd, content] {
            let rows = json!([sound(1_001), row, sound(1_003)]);
            let body = json!({ "_embedded": { "items": rows, "contacts": rows, "leads": rows } }).to_string();
            let setup = Setup::always(answer(200, body));
            let v4 = setup.v4();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            for amo in [&setup.amo as &dyn Amo, &v4] {
                runtime.block_on(all_neighbours_are_there(amo));
            }
        }
    }
}

async fn all_neighbours_are_there(amo: &dyn Amo) {
    let contacts = amo.contacts(ALL, Priority::Poll).await.unwrap();
    let leads = amo.leads(ALL, Priority::Poll).await.unwrap();
    assert_eq!((contacts.received, leads.received), (3, 3));
    assert_eq!(contacts.rows.first().unwrap().id.0, 1_001);
    assert_eq!(contacts.rows.last().unwrap().id.0, 1_003);
    assert_eq!(leads.rows.first().unwrap().id.0, 1_001);
    assert_eq!(leads.rows.last().unwrap().id.0, 1_003);
    assert_eq!(leads.rows.len() + leads.broken.len(), 3);
}
