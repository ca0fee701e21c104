//! API v4 against saved answers: what its pages show is read, what they ask for is sent.

use super::{Seen, Setup, answer, with_header};
use salebridge::core::action::{Edit, NoteTarget};
use salebridge::core::fault::{Fault, FaultKind};
use salebridge::core::id::{CompanyId, ContactId, EnumId, FieldId, LeadId, NoteId, PipelineId, StatusId, UserId};
use salebridge::core::model::{Company, Element, FieldKind};
use salebridge::core::selector::AddressPart;
use salebridge::core::time::Millis;
use salebridge::ports::remote::{Amo, Change, Draft, NewNote, NewTask, PageRequest, Priority};
use salebridge::remote::http::{RawAnswer, TransportError};
use salebridge::remote::lane::LaneState;
use serde_json::{Value, json};

const ALL: PageRequest = PageRequest { since: None, offset: 0, limit: 500 };

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../fixtures/amocrm_v4/", $name, ".json"))
    };
}

/// The account's own pages, and what the test has for the rest.
fn with_account(mut rest: impl FnMut(&Seen) -> RawAnswer + Send + 'static) -> Setup {
    Setup::answering(move |seen| {
        let body = match seen.url.split_once("/api/v4/").expect("v4").1.split('?').next().expect("a path") {
            "account" => fixture!("account_answer"),
            "contacts/custom_fields" | "leads/custom_fields" => fixture!("custom_fields_answer"),
            "leads/pipelines" => fixture!("pipelines_answer"),
            "users" => fixture!("users_answer"),
            "companies/55" => fixture!("companies_answer"),
            _ => return Ok(rest(seen)),
        };
        Ok(answer(200, body))
    })
}

fn problem(status: u16, detail: &str) -> RawAnswer {
    let body = json!({ "title": "x", "type": "https://httpstatus.es", "status": status, "detail": detail });
    with_header(answer(status, body.to_string()), "content-type", "application/problem+json")
}

fn kinds<T>(results: Vec<Result<T, Fault>>) -> Vec<Result<T, FaultKind>> {
    results.into_iter().map(|result| result.map_err(|fault| fault.kind)).collect()
}

fn named(name: &str) -> Draft {
    Draft { edits: vec![Edit::Name(name.to_owned())], created_at: 1_700_000_000 }
}

fn renamed(id: u64) -> Change<ContactId> {
    Change { id: ContactId(id), edits: vec![Edit::Name("x".to_owned())], updated_at: 1_700_000_200 }
}

/// Echoes every item, as the service does when all goes well.
fn echo(seen: &Seen, list: &str) -> RawAnswer {
    let items = seen.json();
    let items = items.as_array().expect("a list").iter().rev().enumerate();
    let rows: Vec<Value> = items
        .map(|(place, item)| match item.get("id") {
            Some(id) => json!({ "id": id, "updated_at": 1_700_000_200 }),
            None => json!({ "id": 6_001 + place, "request_id": item["request_id"] }),
        })
        .collect();
    answer(200, json!({ "_links": {}, "_embedded": { list: rows } }).to_string())
}

#[tokio::test]
async fn the_documented_pages_are_read_whole() {
    let setup = with_account(|seen| match seen.url.contains("page=2") {
        true => answer(200, fixture!("contacts_last_page_answer")),
        false => answer(200, fixture!("contacts_list_answer")),
    });
    let page = setup.v4().contacts(ALL, Priority::Poll).await.unwrap();
    let ids: Vec<_> = page.rows.iter().map(|row| row.id.0).collect();
    assert_eq!(ids, [101, 102, 102, 104], "one is in the trash, one cannot be read");
    assert_eq!(page.broken.iter().map(|row| row.id).collect::<Vec<_>>(), [Some(105)]);
    assert!(!page.broken[0].reason.contains("7999"), "{:?}", page.broken);
    assert_eq!(page.received, 254, "a short page in between counts as a whole one");
    let anna = &page.rows[0];
    assert_eq!((anna.first_name.as_deref(), anna.last_name.as_deref()), (Some("Анна"), Some("Тестова")));
    assert_eq!((anna.created_at, anna.updated_at), (1_700_000_000, 1_700_000_100));
    assert_eq!(anna.company, Some(Company { id: CompanyId(55), name: Some("ООО Компания".to_owned()) }));
    assert_eq!(anna.leads, [LeadId(301), LeadId(302)].into());
    assert_eq!(anna.tags, ["vip".to_owned()].into());
    let field = |id: u64| anna.fields[&FieldId(id)].as_slice();
    let phone = |value: &str, choice: u64, code: &str| Element {
        choice: Some(EnumId(choice)),
        code: Some(code.to_owned()),
        ..Element::text(value)
    };
    assert_eq!(field(11), [phone("+79990000001", 21, "WORK"), phone("+79990000002", 23, "MOB")]);
    assert_eq!((field(12), field(13)), (&[Element::text("1")][..], &[Element::text("2024-05-01")][..]));
    assert_eq!(field(14), [Element::text("2024-05-01")], "the same day as the date in seconds");
    assert_eq!(field(15), [Element { choice: Some(EnumId(31)), ..Element::text("VIP") }]);
    let part = |value: &str, part| Element { part: Some(part), ..Element::text(value) };
    assert_eq!(field(16), [part("ул. Примерная, д. 1", AddressPart::Line1), part("RU", AddressPart::Country)]);
    assert!(field(17)[0].value.contains("vat_id"));
    let bare = &page.rows[1];
    assert!(bare.first_name.is_none() && bare.company.is_none() && bare.fields.is_empty() && bare.tags.is_empty());
    assert_eq!((page.rows[3].name.as_str(), page.rows[3].updated_at), ("12345", 1_700_000_030));
}

#[tokio::test]
async fn a_listing_is_asked_for_as_documented() {
    for (flag, filter) in
        [(json!(true), "&filter%5Bupdated_at%5D%5Bfrom%5D=1741082400"), (json!(false), ""), (json!(null), "")]
    {
        let setup = Setup::answering(move |seen| {
            let account = json!({ "id": 9, "is_api_filter_enabled": flag });
            Ok(if seen.url.contains("/account?") { answer(200, account.to_string()) } else { answer(204, "") })
        });
        let amo = setup.v4();
        let request = PageRequest { since: Some(Millis(1_741_082_400_999)), offset: 490, limit: 9_000 };
        amo.contacts(request, Priority::Poll).await.unwrap();
        amo.leads(request, Priority::Poll).await.unwrap();
        amo.leads(ALL, Priority::Poll).await.unwrap();
        let urls: Vec<String> = setup.seen().into_iter().map(|seen| seen.url).collect();
        let head = "https://example.test/api/v4";
        assert_eq!(urls[0], format!("{head}/account?with=datetime_settings%2Cis_api_filter_enabled"));
        let changes = format!("limit=250&page=2&with=leads&order%5Bupdated_at%5D=desc{filter}");
        assert_eq!(urls[1], format!("{head}/contacts?{changes}"));
        assert_eq!(urls[2], format!("{head}/leads?{}", changes.replace("with=leads", "with=contacts")));
        assert_eq!(urls[3], format!("{head}/leads?limit=250&page=1&with=contacts&order%5Bid%5D=asc"));
        assert_eq!(urls.len(), 4);
    }
}

#[tokio::test]
async fn every_way_to_say_nothing_is_an_empty_page() {
    for (status, body) in [
        (204, ""),
        (200, ""),
        (200, "[]"),
        (200, r#"{"_embedded":null}"#),
        (200, r#"{"_embedded":{"contacts":[]}}"#),
        (200, r#"{"_embedded":{"contacts":null}}"#),
        (200, r#"{"_embedded":{}}"#),
    ] {
        let page = Setup::always(answer(status, body)).v4().contacts(ALL, Priority::Poll).await;
        let page = page.unwrap_or_else(|fault| panic!("{status} {body}: {fault}"));
        assert_eq!((page.rows.len(), page.received), (0, 0), "{status} {body}");
    }
}

#[tokio::test]
async fn leads_come_with_links_stage_and_trash() {
    let setup = Setup::always(answer(200, fixture!("leads_list_answer")));
    let page = setup.v4().leads(ALL, Priority::Poll).await.unwrap();
    let [lead, deleted] = page.rows.as_slice() else { panic!("{:?}", page.rows) };
    assert_eq!((lead.price, lead.pipeline, lead.status), (15_000, PipelineId(61), StatusId(1001)));
    assert_eq!((lead.main_contact, lead.contacts.len()), (Some(ContactId(102)), 2));
    assert_eq!(lead.fields[&FieldId(32)], [Element::text("Сайт")]);
    assert!(!lead.is_deleted && deleted.is_deleted);
    assert_eq!(page.broken.iter().map(|row| row.id).collect::<Vec<_>>(), [Some(303)]);
}

#[tokio::test]
async fn the_account_is_put_together() {
    let setup = with_account(|seen| panic!("not expected: {}", seen.url));
    let account = setup.v4().account(Priority::Poll).await.unwrap();
    assert_eq!((account.id, account.time_zone.as_str()), (9, "Europe/Moscow"));
    let phone = &account.contact_fields[&FieldId(11)];
    assert_eq!((phone.kind, phone.code.as_deref(), phone.choices.len()), (FieldKind::Multitext, Some("PHONE"), 2));
    assert_eq!(account.contact_fields[&FieldId(15)].kind, FieldKind::Select);
    assert_eq!(account.contact_fields[&FieldId(18)].kind, FieldKind::Other(0));
    assert_eq!(account.users[&UserId(504_141)], "Ольга Админова");
    assert_eq!(account.pipelines[&PipelineId(61)].statuses.len(), 2);
}

#[tokio::test]
async fn notes_are_those_of_the_record_newest_first() {
    let setup = Setup::always(answer(200, fixture!("notes_list_answer")));
    let notes = setup.v4().notes(NoteTarget::Contact(ContactId(101)), Priority::Poll).await.unwrap();
    let texts: Vec<_> = notes.iter().map(|note| (note.id.0, note.text.as_str())).collect();
    assert_eq!(texts, [(905, ""), (903, "third"), (901, "first")]);
    let url = &setup.seen()[0].url;
    assert!(url.contains("/contacts/101/notes?") && url.contains("filter%5Bnote_type%5D%5B%5D=common"), "{url}");
    let gone = Setup::always(problem(404, "Not found")).v4();
    assert_eq!(gone.notes(NoteTarget::Lead(LeadId(1)), Priority::Poll).await.unwrap(), []);
}

#[tokio::test]
async fn the_documented_add_is_what_we_send() {
    let setup = with_account(|seen| echo(seen, "contacts"));
    let field = |id, kind, elements| Edit::Field { id: FieldId(id), kind, elements };
    let edits = vec![
        Edit::Name("Анна Тестова".to_owned()),
        Edit::FirstName("Анна".to_owned()),
        Edit::Responsible(UserId(504_141)),
        Edit::Tags(["vip".to_owned(), "a, b".to_owned()].into()),
        field(
            11,
            FieldKind::Multitext,
            vec![
                Element { code: Some("MOB".to_owned()), ..Element::text("+79990000001") },
                Element { choice: Some(EnumId(21)), code: Some("WORK".to_owned()), ..Element::text("+79990000002") },
            ],
        ),
        field(12, FieldKind::Checkbox, vec![Element::text("да")]),
        field(13, FieldKind::Date, vec![Element::text("2024-05-01")]),
        field(15, FieldKind::Select, vec![Element { choice: Some(EnumId(31)), ..Element::text("VIP") }]),
        field(16, FieldKind::SmartAddress, vec![Element { part: Some(AddressPart::City), ..Element::text("Тверь") }]),
        field(19, FieldKind::Numeric, vec![Element::text("12.5")]),
    ];
    let draft = Draft { edits, created_at: 1_700_000_000 };
    assert_eq!(setup.v4().create_contacts(&[draft], Priority::Poll).await, [Ok(ContactId(6_001))]);
    let sent = setup.seen().pop().unwrap();
    assert_eq!((sent.method, sent.url.as_str()), ("POST", "https://example.test/api/v4/contacts"));
    assert_eq!(sent.json(), serde_json::from_str::<Value>(fixture!("contacts_add_request")).unwrap());
}

#[tokio::test]
async fn the_documented_update_is_what_we_send() {
    let setup = with_account(|seen| match seen.method {
        "GET" => {
            answer(200, r#"{"id":101,"updated_at":1700000100,"_embedded":{"tags":[{"name":"vip"},{"name":"kept"}]}}"#)
        }
        _ => echo(seen, "contacts"),
    });
    let edits = vec![
        Edit::LastName("Тестова".to_owned()),
        Edit::Tags(["kept".to_owned(), "new".to_owned()].into()),
        Edit::Field { id: FieldId(11), kind: FieldKind::Multitext, elements: vec![] },
    ];
    let change = Change { id: ContactId(101), edits, updated_at: 1_700_000_200 };
    assert_eq!(setup.v4().update_contacts(&[change], Priority::Poll).await, [Ok(())]);
    let sent = setup.seen().pop().unwrap();
    assert_eq!((sent.method, sent.url.as_str()), ("PATCH", "https://example.test/api/v4/contacts"));
    assert_eq!(sent.json(), serde_json::from_str::<Value>(fixture!("contacts_update_request")).unwrap());
}

#[tokio::test]
async fn batches_hold_fifty_and_answers_find_their_items() {
    let setup = Setup::answering(|seen| Ok(echo(seen, "leads")));
    let drafts: Vec<_> = (0..120).map(|number| named(&number.to_string())).collect();
    let results = setup.v4().create_leads(&drafts, Priority::Background).await;
    let sizes: Vec<_> = setup.seen().iter().map(|seen| seen.json().as_array().unwrap().len()).collect();
    assert_eq!(sizes, [50, 50, 20]);
    // The echo answers in reverse order: each id must still stand at its own draft.
    let length = |place: u64| if place < 100 { 50 } else { 20 };
    let expected: Vec<_> = (0..120).map(|place| Ok(LeadId(6_000 + length(place) - place % 50))).collect();
    assert_eq!(results, expected);
}

#[tokio::test]
async fn refused_changes_are_named_and_the_others_sent_again() {
    for name in ["102", "1"] {
        let refusal = fixture!("validation_errors").replace("\"102\"", &format!("\"{name}\""));
        let setup = Setup::answering(move |seen| {
            let is_bad = seen.body.contains("\"id\":102");
            Ok(if is_bad { answer(400, refusal.clone()) } else { echo(seen, "contacts") })
        });
        let changes = [renamed(101), renamed(102), renamed(103)];
        let results = setup.v4().update_contacts(&changes, Priority::Poll).await;
        assert_eq!(kinds(results.clone()), [Ok(()), Err(FaultKind::Rejected), Ok(())]);
        let reason = &results[1].as_ref().unwrap_err().reason;
        assert!(reason.contains("NotSupportedChoice") && !reason.contains("7999"), "{reason}");
        assert_eq!(setup.seen().len(), 2);
    }
}

#[tokio::test]
async fn what_was_to_be_made_beside_a_refused_item_is_in_doubt() {
    let refusal = fixture!("validation_errors").replace("\"102\"", "\"1002\"");
    let setup = Setup::each([answer(400, refusal)]);
    let results = setup.v4().create_contacts(&[named("a"), named("b"), named("c")], Priority::Poll).await;
    assert_eq!(kinds(results), [Err(FaultKind::Uncertain), Err(FaultKind::Rejected), Err(FaultKind::Uncertain)]);
}

#[tokio::test]
async fn a_refusal_that_names_nobody_is_halved() {
    let setup = Setup::answering(|seen| {
        let poisoned = seen.body.contains("poison");
        Ok(if poisoned { problem(400, "bad") } else { echo(seen, "contacts") })
    });
    let mut drafts: Vec<_> = (0..8).map(|number| named(&number.to_string())).collect();
    drafts[5] = named("poison");
    let results = kinds(setup.v4().create_contacts(&drafts, Priority::Background).await);
    let refused: Vec<_> = results.iter().map(Result::is_err).collect();
    assert_eq!(refused, [false, false, false, false, false, true, false, false]);
}

#[tokio::test]
async fn a_lost_answer_is_uncertain_when_made_and_repeatable_when_changed() {
    for broken in ["", "{", r#"{"_embedded":{"contacts":[]}}"#] {
        let setup = Setup::always(answer(200, broken));
        let made = kinds(setup.v4().create_contacts(&[named("a"), named("b")], Priority::Poll).await);
        assert_eq!(made, [Err(FaultKind::Uncertain), Err(FaultKind::Uncertain)], "{broken}");
        let changed = kinds(setup.v4().update_contacts(&[renamed(101), renamed(102)], Priority::Poll).await);
        assert_eq!(changed, [Err(FaultKind::Transient), Err(FaultKind::Transient)], "{broken}");
    }
    let lost = || Setup::answering(|_| Err(TransportError::MaybeSent("timeout".to_owned()))).v4();
    assert_eq!(kinds(lost().create_leads(&[named("a")], Priority::Poll).await), [Err(FaultKind::Uncertain)]);
    assert_eq!(kinds(lost().update_contacts(&[renamed(1)], Priority::Poll).await), [Err(FaultKind::Transient)]);
}

#[tokio::test]
async fn notes_and_tasks_have_the_documented_form() {
    let setup = Setup::answering(|seen| Ok(echo(seen, if seen.url.ends_with("/tasks") { "tasks" } else { "notes" })));
    let amo = setup.v4();
    let note = |target| NewNote { target, text: "hello".to_owned(), created_at: 1_700_000_000 };
    let notes = [note(NoteTarget::Lead(LeadId(301))), note(NoteTarget::Contact(ContactId(101)))];
    assert_eq!(amo.add_notes(&notes, Priority::Poll).await, [Ok(NoteId(6_001)), Ok(NoteId(6_001))]);
    let task = NewTask {
        target: NoteTarget::Lead(LeadId(301)),
        text: "call".to_owned(),
        due_at: 1_700_003_600,
        task_type: 1,
        responsible: Some(UserId(7)),
    };
    assert_eq!(amo.add_tasks(&[task], Priority::Poll).await, [Ok(6_001)]);
    let seen = setup.seen();
    assert!(seen[0].url.ends_with("/api/v4/contacts/notes") && seen[1].url.ends_with("/api/v4/leads/notes"));
    let note = |id: u64| json!([{ "entity_id": id, "note_type": "common", "params": { "text": "hello" }, "created_at": 1_700_000_000, "request_id": "1001" }]);
    assert_eq!((seen[0].json(), seen[1].json()), (note(101), note(301)));
    assert_eq!(
        seen[2].json(),
        json!([{ "entity_id": 301, "entity_type": "leads", "complete_till": 1_700_003_600, "task_type_id": 1, "text": "call", "responsible_user_id": 7, "request_id": "1001" }])
    );
}

#[tokio::test]
async fn answers_mean_what_the_pages_say() {
    use FaultKind::{Auth, Blocked, Broken, Rejected, Transient};
    for (answer, kind, state) in [
        (problem(401, "Unauthorized"), Auth, LaneState::Parked),
        (problem(402, "Payment Required"), Auth, LaneState::Parked),
        (problem(403, "Forbidden"), Auth, LaneState::Open),
        (problem(403, "244: no rights"), Auth, LaneState::Open),
        (problem(403, "113: the address is not allowed"), Auth, LaneState::Parked),
        (answer(403, "<html></html>"), Blocked, LaneState::Blocked),
        (problem(422, "cannot be processed"), Rejected, LaneState::Open),
        (problem(404, "Not found"), Broken, LaneState::Open),
        (answer(504, "<html></html>"), Transient, LaneState::Open),
        (answer(429, "<html></html>"), FaultKind::Throttled { after_ms: None }, LaneState::Paused),
    ] {
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let amo = Setup::always(answer).v4();
        let fault = amo.contacts(ALL, Priority::Poll).await.unwrap_err();
        assert_eq!((fault.kind, amo.lane().report().state), (kind, state), "{text}");
    }
}

#[tokio::test]
async fn a_record_is_only_gone_in_the_services_own_words() {
    let by_id = |answer| async move { Setup::always(answer).v4().leads_by_id(&[LeadId(301)], Priority::Poll).await };
    for gone in [answer(204, ""), problem(404, "Not found")] {
        assert_eq!(by_id(gone).await.unwrap().rows, []);
    }
    assert_eq!(by_id(answer(404, "<html></html>")).await.unwrap_err().kind, FaultKind::Broken);
    assert_eq!(by_id(answer(200, r#"{"id":302,"is_deleted":true}"#)).await.unwrap_err().kind, FaultKind::Broken);
}

#[tokio::test]
async fn reads_by_id_are_cut_and_cleaned() {
    let setup = Setup::answering(|seen| {
        if seen.url.contains("/account?") {
            return Ok(answer(200, r#"{"id":9,"is_api_filter_enabled":true}"#));
        }
        let asked: Vec<u64> = seen
            .url
            .split("id%5D%5B%5D=")
            .skip(1)
            .map(|rest| rest.split('&').next().unwrap().parse().unwrap())
            .collect();
        if asked.is_empty() {
            return Ok(answer(204, ""));
        }
        assert!(asked.len() <= 100 && seen.url.len() < 8_000);
        let rows = asked.iter().chain([&asked[0]]).filter(|id| **id != 7).map(|id| json!({ "id": id, "name": "x" }));
        Ok(answer(200, json!({ "_embedded": { "contacts": rows.collect::<Vec<_>>() } }).to_string()))
    });
    let ids: Vec<_> = (1..=250).chain([1, 2]).map(ContactId).collect();
    let page = setup.v4().contacts_by_id(&ids, Priority::Background).await.unwrap();
    let mut found: Vec<_> = page.rows.iter().map(|row| row.id.0).collect();
    found.sort_unstable();
    assert_eq!(found, (1..=250).filter(|id| *id != 7).collect::<Vec<_>>());
    assert_eq!(setup.seen().len(), 5, "the account, three filters, and the one that was missing");
}

#[tokio::test]
async fn a_company_that_an_earlier_try_made_is_linked_and_not_made_again() {
    let mut companies = Vec::new();
    let mut losses = vec!["POST companies", "POST contacts/101/link"];
    let setup = Setup::answering(move |seen| {
        let path = seen.url.split_once("/api/v4/").expect("v4").1.split('?').next().expect("a path").to_owned();
        let lists = |list: &str, rows: &Value| answer(200, json!({ "_embedded": { list: rows } }).to_string());
        let what = format!("{} {path}", seen.method);
        let done = match what.as_str() {
            "PATCH contacts" => echo(seen, "contacts"),
            "GET companies" if companies.is_empty() => answer(204, ""),
            "GET companies" => lists("companies", &json!(companies)),
            "POST companies" => {
                companies.push(json!({ "id": 54, "name": "ООО Пример", "_embedded": { "contacts": [{ "id": 9 }] } }));
                companies.push(json!({ "id": 55, "name": "ООО Пример", "_embedded": { "contacts": [] } }));
                lists("companies", &json!([{ "id": 55, "request_id": seen.json()[0]["request_id"] }]))
            }
            "POST contacts/101/link" => {
                assert_eq!(seen.json(), json!([{ "to_entity_id": 55, "to_entity_type": "companies" }]));
                lists("links", &json!([]))
            }
            other => panic!("not expected: {other}"),
        };
        match losses.first() == Some(&what.as_str()) {
            true => Err(TransportError::MaybeSent(losses.remove(0).to_owned())),
            false => Ok(done),
        }
    });
    let amo = setup.v4();
    let change = Change { edits: vec![Edit::CompanyName("ООО Пример".to_owned())], ..renamed(101) };
    for expected in [Err(FaultKind::Transient), Err(FaultKind::Transient), Ok(())] {
        let results = amo.update_contacts(std::slice::from_ref(&change), Priority::Poll).await;
        assert_eq!(kinds(results), [expected]);
    }
    let made = setup.seen().iter().filter(|seen| seen.method == "POST" && seen.url.ends_with("/companies")).count();
    assert_eq!(made, 1);
}
