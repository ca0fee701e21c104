//! Creates and updates: the documented requests, and an answer for each item.

use super::{Seen, Setup, answer, fixture};
use salebridge::core::action::{Edit, NoteTarget};
use salebridge::core::fault::{Fault, FaultKind};
use salebridge::core::id::{ContactId, EnumId, FieldId, LeadId, NoteId, PipelineId, StatusId, UserId};
use salebridge::core::model::{Element, FieldKind};
use salebridge::core::selector::AddressPart;
use salebridge::ports::remote::{Amo, Change, Draft, NewNote, NewTask, Priority};
use salebridge::remote::http::{RawAnswer, TransportError};
use serde_json::{Value, json};

fn field(id: u64, kind: FieldKind, elements: Vec<Element>) -> Edit {
    Edit::Field { id: FieldId(id), kind, elements }
}

fn coded(value: &str, code: &str) -> Element {
    Element { code: Some(code.to_owned()), ..Element::text(value) }
}

fn chosen(choice: u64) -> Element {
    Element { choice: Some(EnumId(choice)), ..Element::default() }
}

fn part(value: &str, part: AddressPart) -> Element {
    Element { part: Some(part), ..Element::text(value) }
}

fn draft(name: &str) -> Draft {
    Draft { edits: vec![Edit::Name(name.to_owned())], created_at: 1_700_000_000 }
}

fn change(id: u64) -> Change<ContactId> {
    Change { id: ContactId(id), edits: vec![Edit::Name("x".to_owned())], updated_at: 1_700_000_001 }
}

/// Numbers and numbers in quotes are the same on this wire.
fn loosely(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::String(number.to_string()),
        Value::Array(items) => items.into_iter().map(loosely).collect(),
        Value::Object(map) => map.into_iter().map(|(name, value)| (name, loosely(value))).collect(),
        other => other,
    }
}

fn kinds<T>(results: Vec<Result<T, Fault>>) -> Vec<Result<T, FaultKind>> {
    results.into_iter().map(|result| result.map_err(|fault| fault.kind)).collect()
}

/// Echoes every item, as the service does when all goes well.
fn echo(seen: &Seen) -> RawAnswer {
    let body = seen.json();
    let items = body["add"].as_array().or_else(|| body["update"].as_array()).unwrap();
    let rows: Vec<_> = items
        .iter()
        .map(|item| match item["request_id"].as_u64() {
            Some(request_id) => json!({ "id": 5_000 + request_id, "request_id": request_id.to_string() }),
            None => json!({ "id": item["id"] }),
        })
        .rev()
        .collect();
    answer(200, json!({ "_embedded": { "items": rows } }).to_string())
}

#[tokio::test]
async fn the_documented_add_is_what_we_send() {
    let draft = Draft {
        edits: vec![
            Edit::Name("Анна Тестова".to_owned()),
            Edit::Responsible(UserId(504_141)),
            Edit::Tags(["доставка".to_owned(), "важный".to_owned()].into()),
            field(4_396_817, FieldKind::Text, vec![Element::text("Менеджер по продажам")]),
            field(
                4_396_818,
                FieldKind::Multitext,
                vec![coded("+79990000001", "WORK"), coded("+79990000002", "WORKDD"), coded("+79990000003", "MOB")],
            ),
            field(4_396_819, FieldKind::Multitext, vec![coded("anna@example.test", "WORK")]),
            field(4_396_821, FieldKind::Multitext, vec![coded("anna.example", "SKYPE")]),
            field(
                4_400_115,
                FieldKind::SmartAddress,
                vec![
                    part("ул. Примерная, д. 1", AddressPart::Line1),
                    part("Москва", AddressPart::City),
                    part("101010", AddressPart::Zip),
                    part("RU", AddressPart::Country),
                ],
            ),
            field(4_400_116, FieldKind::Multiselect, vec![chosen(3_692_662), chosen(3_692_663)]),
        ],
        created_at: 1_509_051_600,
    };
    let setup = Setup::always(answer(200, fixture!("contacts_add_answer")));
    let created = setup.amo.create_contacts(&[draft], Priority::Person).await;
    assert_eq!(created, [Ok(ContactId(1_099_235))]);
    let mut expected: Value = serde_json::from_str(fixture!("contacts_add_request")).unwrap();
    for unused in ["created_by", "leads_id", "company_id"] {
        expected["add"][0].as_object_mut().unwrap().remove(unused).unwrap();
    }
    let seen = &setup.seen()[0];
    let mut sent = seen.json();
    assert!(sent["add"][0].as_object_mut().unwrap().remove("request_id").is_some());
    assert_eq!(loosely(sent), loosely(expected));
    assert_eq!((seen.method, seen.url.as_str()), ("POST", "https://example.test/api/v2/contacts"));
    assert_eq!(seen.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn the_documented_update_is_what_we_send() {
    let change = Change {
        id: ContactId(41_560),
        edits: vec![field(4_396_819, FieldKind::Multitext, vec![coded("anna@example.test", "WORK")])],
        updated_at: 1_508_965_200,
    };
    let setup = Setup::answering(|seen| Ok(echo(seen)));
    assert_eq!(setup.amo.update_contacts(&[change], Priority::Person).await, [Ok(())]);
    let expected: Value = serde_json::from_str(fixture!("contacts_update_request")).unwrap();
    assert_eq!(loosely(setup.seen()[0].json()), loosely(expected));
}

#[tokio::test]
async fn every_edit_has_its_form() {
    let lead = |edits| Change { id: LeadId(301), edits, updated_at: 1_700_000_001 };
    let cases = [
        (
            Edit::Stage { pipeline: PipelineId(61), status: StatusId(142) },
            json!({ "pipeline_id": 61, "status_id": 142 }),
        ),
        (Edit::Price(15_000), json!({ "sale": 15_000 })),
        (Edit::Tags([].into()), json!({ "tags": "" })),
        (Edit::FirstName("A".to_owned()), json!({ "first_name": "A" })),
        (Edit::LastName(String::new()), json!({ "last_name": "" })),
        (Edit::CompanyName("ООО".to_owned()), json!({ "company_name": "ООО" })),
        (field(1, FieldKind::Select, vec![chosen(5)]), values(json!([{ "value": "5" }]))),
        (field(1, FieldKind::Select, vec![]), values(json!([{ "value": "" }]))),
        (field(1, FieldKind::Multiselect, vec![]), values(json!([]))),
        (field(1, FieldKind::Multitext, vec![]), values(json!([{ "value": "" }]))),
        (field(1, FieldKind::SmartAddress, vec![]), values(json!([{ "value": "", "subtype": "address_line_1" }]))),
        (field(1, FieldKind::Checkbox, vec![Element::text("true")]), values(json!([{ "value": "1" }]))),
        (field(1, FieldKind::Checkbox, vec![Element::text("0")]), values(json!([{ "value": "0" }]))),
        (field(1, FieldKind::Checkbox, vec![]), values(json!([{ "value": "" }]))),
        (field(1, FieldKind::Date, vec![Element::text("2024-05-01")]), values(json!([{ "value": "2024-05-01" }]))),
        (field(1, FieldKind::Numeric, vec![Element::text("3.5")]), values(json!([{ "value": "3.5" }]))),
        (
            field(1, FieldKind::Multitext, vec![Element { choice: Some(EnumId(21)), ..Element::text("+79990000001") }]),
            values(json!([{ "value": "+79990000001", "enum": "21" }])),
        ),
    ];
    for (edit, expected) in cases {
        let setup = Setup::answering(|seen| Ok(echo(seen)));
        assert_eq!(setup.amo.update_leads(&[lead(vec![edit.clone()])], Priority::Poll).await, [Ok(())]);
        let mut sent = setup.seen()[0].json()["update"][0].clone();
        let sent = sent.as_object_mut().unwrap();
        assert_eq!((sent.remove("id"), sent.remove("updated_at")), (Some(json!(301)), Some(json!(1_700_000_001))));
        assert_eq!(json!(sent), expected, "{edit:?}");
    }
}

fn values(values: Value) -> Value {
    json!({ "custom_fields": [{ "id": 1, "values": values }] })
}

#[tokio::test]
async fn what_cannot_be_written_stops_nobody_else() {
    let bad = |edit| Draft { edits: vec![Edit::Name("x".to_owned()), edit], created_at: 1 };
    let drafts = [
        draft("good"),
        bad(Edit::Tags(["one, two".to_owned()].into())),
        bad(field(1, FieldKind::Other(15), vec![Element::text("x")])),
        bad(field(1, FieldKind::Select, vec![Element::text("no choice")])),
        bad(field(1, FieldKind::SmartAddress, vec![Element::text("no part")])),
        Draft { edits: vec![], created_at: 1 },
        Draft { edits: vec![Edit::FirstName("Анна".to_owned()), Edit::LastName("Т".to_owned())], created_at: 1 },
    ];
    let setup = Setup::answering(|seen| Ok(echo(seen)));
    let results = kinds(setup.amo.create_contacts(&drafts, Priority::Poll).await);
    let rejected = || Err(FaultKind::Rejected);
    assert_eq!(
        results,
        [Ok(ContactId(6_001)), rejected(), rejected(), rejected(), rejected(), rejected(), Ok(ContactId(6_002))]
    );
    let sent = setup.seen()[0].json();
    assert_eq!(sent["add"].as_array().unwrap().len(), 2);
    assert_eq!(sent["add"][1]["name"], "Анна Т");
}

#[tokio::test]
async fn batches_hold_fifty_and_answers_find_their_items() {
    let setup = Setup::answering(|seen| Ok(echo(seen)));
    let drafts: Vec<_> = (0..120).map(|number| draft(&number.to_string())).collect();
    let results = setup.amo.create_contacts(&drafts, Priority::Background).await;
    let sizes: Vec<_> = setup.seen().iter().map(|seen| seen.json()["add"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [50, 50, 20]);
    // The echo answers in reverse order: each id must still stand at its own draft.
    let expected: Vec<_> = (0..120u64).map(|place| Ok(ContactId(6_001 + place % 50))).collect();
    assert_eq!(results, expected);
    let changes = [change(1), change(2), change(1)];
    assert_eq!(setup.amo.update_contacts(&changes, Priority::Poll).await, [Ok(()), Ok(()), Ok(())]);
    assert_eq!(setup.seen().len(), 5, "two changes of one record do not share a batch");
    assert_eq!(setup.amo.update_contacts(&[], Priority::Poll).await, []);
    assert_eq!(setup.seen().len(), 5);
}

#[tokio::test]
async fn single_refusals_of_an_update_in_both_shapes() {
    let changes = [change(101), change(102), change(103)];
    let setup = Setup::always(answer(200, fixture!("update_partial_failure_map")));
    let results = setup.amo.update_contacts(&changes, Priority::Poll).await;
    assert_eq!(kinds(results.clone()), [Err(FaultKind::Changed), Err(FaultKind::Rejected), Ok(())]);
    assert!(results[1].as_ref().unwrap_err().reason.contains("code 204 (no such custom field)"));
    let setup = Setup::always(answer(200, fixture!("update_partial_failure_list")));
    let results = setup.amo.update_contacts(&changes, Priority::Poll).await;
    assert_eq!(kinds(results), [Err(FaultKind::Rejected), Err(FaultKind::Gone), Ok(())]);
}

#[tokio::test]
async fn single_refusals_of_an_add_in_both_shapes() {
    let drafts = [draft("a"), draft("b"), draft("c")];
    let setup = Setup::always(answer(200, fixture!("add_partial_failure_map")));
    let results = setup.amo.create_contacts(&drafts, Priority::Poll).await;
    assert_eq!(kinds(results.clone()), [Err(FaultKind::Rejected), Ok(ContactId(502)), Err(FaultKind::Rejected)]);
    assert!(!format!("{results:?}").contains("7999"), "{results:?}");
    assert!(results[2].as_ref().unwrap_err().reason.contains("too many linked records"));
    let setup = Setup::always(answer(200, fixture!("add_partial_failure_list")));
    let results = setup.amo.create_contacts(&drafts, Priority::Poll).await;
    assert_eq!(kinds(results), [Err(FaultKind::Rejected), Ok(ContactId(502)), Err(FaultKind::Rejected)]);
}

#[tokio::test]
async fn an_item_without_an_answer_is_uncertain_when_made_and_repeatable_when_changed() {
    for body in [
        r#"{"_embedded":{"items":[]}}"#,
        r#"{"_embedded":{"items":[{"id":7}]}}"#,
        r#"{"_embedded":{"items":[{"id":7,"request_id":"99"},{"id":8,"request_id":"98"}]}}"#,
        r#"{"_embedded":{"items":[{"id":0},{"id":0}]}}"#,
        r#"{"_embedded":{"items":[{"id":7"#,
        "<html></html>",
        "",
    ] {
        let setup = Setup::always(answer(200, body));
        let made = kinds(setup.amo.create_contacts(&[draft("a"), draft("b")], Priority::Poll).await);
        assert_eq!(made, [Err(FaultKind::Uncertain), Err(FaultKind::Uncertain)], "{body}");
        let changed = kinds(setup.amo.update_contacts(&[change(101), change(102)], Priority::Poll).await);
        assert_eq!(changed, [Err(FaultKind::Transient), Err(FaultKind::Transient)], "{body}");
    }
}

#[tokio::test]
async fn without_any_request_id_the_order_decides_only_when_the_count_fits() {
    let setup = Setup::always(answer(200, r#"{"_embedded":{"items":[{"id":7},{"id":8}]}}"#));
    let made = setup.amo.create_leads(&[draft("a"), draft("b")], Priority::Poll).await;
    assert_eq!(made, [Ok(LeadId(7)), Ok(LeadId(8))]);
    let made = kinds(setup.amo.create_leads(&[draft("a"), draft("b"), draft("c")], Priority::Poll).await);
    assert_eq!(made, vec![Err(FaultKind::Uncertain); 3]);
}

#[tokio::test]
async fn a_poisoned_batch_condemns_only_the_poison() {
    for status in [400, 413, 422] {
        let setup = Setup::answering(move |seen| {
            let poisoned = seen.body.contains("poison");
            Ok(if poisoned { answer(status, r#"{"title":"Bad Request","status":400}"#) } else { echo(seen) })
        });
        let mut drafts: Vec<_> = (0..50).map(|number| draft(&number.to_string())).collect();
        drafts[17] = draft("poison");
        let results = kinds(setup.amo.create_contacts(&drafts, Priority::Background).await);
        for (place, result) in results.into_iter().enumerate() {
            let expected = if place == 17 { Err(FaultKind::Rejected) } else { Ok(ContactId(6_001 + place as u64)) };
            assert_eq!(result, expected, "{place}");
        }
        assert!(setup.seen().len() <= 13, "{} requests", setup.seen().len());
    }
}

#[tokio::test]
async fn a_refusal_that_names_written_items_is_not_sent_again() {
    let body = r#"{"_embedded":{"items":[{"id":7,"request_id":1001}],"errors":{"add":{"1002":{"code":204}}}}}"#;
    let setup = Setup::each([answer(400, body)]);
    let made = kinds(setup.amo.create_contacts(&[draft("a"), draft("b")], Priority::Poll).await);
    assert_eq!(made, [Ok(ContactId(7)), Err(FaultKind::Rejected)]);
}

#[tokio::test]
async fn a_lost_answer_is_uncertain_when_made_and_repeatable_when_changed() {
    use FaultKind::{Broken, Transient, Uncertain};
    for (error, made, changed) in [
        (TransportError::MaybeSent("timeout".to_owned()), Uncertain, Transient),
        (TransportError::NotSent("refused".to_owned()), Transient, Transient),
        (TransportError::TooLarge { limit: 1 }, Uncertain, Broken),
    ] {
        let setup = Setup::answering(move |_| Err(error.clone()));
        let drafts = setup.amo.create_contacts(&[draft("a"), draft("b")], Priority::Poll).await;
        assert_eq!(kinds(drafts), [Err(made), Err(made)]);
        let target = NoteTarget::Contact(ContactId(101));
        let note = NewNote { target, text: "hello".to_owned(), created_at: 1 };
        assert_eq!(kinds(setup.amo.add_notes(&[note], Priority::Poll).await), [Err(made)]);
        assert_eq!(kinds(setup.amo.update_contacts(&[change(1)], Priority::Poll).await), [Err(changed)]);
    }
}

#[tokio::test]
async fn notes_and_tasks_have_the_documented_form() {
    let setup = Setup::answering(|seen| Ok(echo(seen)));
    let note = NewNote { target: NoteTarget::Lead(LeadId(301)), text: "hello".to_owned(), created_at: 1_700_000_000 };
    assert_eq!(setup.amo.add_notes(&[note], Priority::Poll).await, [Ok(NoteId(6_001))]);
    let task = NewTask {
        target: NoteTarget::Contact(ContactId(101)),
        text: "call".to_owned(),
        due_at: 1_700_003_600,
        task_type: 1,
        responsible: Some(UserId(7)),
    };
    assert_eq!(setup.amo.add_tasks(&[task], Priority::Poll).await, [Ok(6_001)]);
    let seen = setup.seen();
    assert_eq!(
        seen[0].json()["add"][0],
        json!({ "element_id": 301, "element_type": 2, "note_type": 4, "text": "hello", "created_at": 1_700_000_000, "request_id": 1_001 })
    );
    assert_eq!(
        seen[1].json()["add"][0],
        json!({ "element_id": 101, "element_type": 1, "complete_till_at": 1_700_003_600, "task_type": 1, "text": "call", "responsible_user_id": 7, "request_id": 1_001 })
    );
}
