//! What is read through either dialect.

use super::{Dialect, POLL, Variant, World, bare, meant};
use rstest::rstest;
use salebridge::core::action::NoteTarget;
use salebridge::core::id::{ContactId, LeadId, UserId};
use salebridge::core::time::Millis;
use salebridge::ports::remote::{Amo as _, PageRequest};
use salebridge::sandbox::amo::account::Field;
use salebridge::sandbox::amo::edit::{ContactDraft, LeadDraft};
use salebridge::sandbox::amo::fixture::*;
use salebridge::sandbox::amo::records::{Element, ElementKind, FieldValue};
use std::collections::BTreeSet;

/// Reads a whole listing as the engine does, with pages that share five rows.
async fn walk(world: &World, dialect: Dialect, since: Option<Millis>) -> (Vec<u64>, usize) {
    let mut request = PageRequest { since, offset: 0, limit: 500 };
    let (mut ids, mut calls) = (Vec::new(), 0);
    loop {
        let page = world.api(dialect).contacts(request, POLL).await.expect("a page");
        calls += 1;
        assert_eq!(page.broken, []);
        let rows: Vec<u64> = page.rows.iter().map(|contact| contact.id.0).collect();
        if request.offset > 0 {
            let shared: BTreeSet<u64> = ids.iter().rev().take(5).copied().collect();
            assert!(rows.iter().any(|id| shared.contains(id)), "pages that adjoin share rows");
        }
        ids.extend(rows);
        if page.received < request.limit {
            return (ids, calls);
        }
        request.offset += page.received - 5;
    }
}

#[rstest]
#[tokio::test]
async fn a_whole_listing_shows_every_row(
    #[values(Dialect::V2, Dialect::V4)] dialect: Dialect,
    #[values(0, 1, 249, 250, 251, 499, 500, 501, 1_260)] count: usize,
    #[values(Variant::Documented, Variant::OddShapes)] variant: Variant,
) {
    let world = variant.world();
    let made: BTreeSet<u64> = world.people(count).into_iter().map(|id| id.0).collect();
    let (ids, calls) = walk(&world, dialect, None).await;
    assert_eq!(ids.iter().copied().collect::<BTreeSet<_>>(), made);
    assert!(ids.len() <= count + 5 * calls, "each row once but for the shared ones");
}

#[rstest]
#[tokio::test]
async fn a_listing_of_changes_shows_them_and_ends_early(
    #[values(Dialect::V2, Dialect::V4)] dialect: Dialect,
    #[values(0, 3, 260, 700)] changed: usize,
) {
    for variant in Variant::ALL {
        let world = variant.world();
        let people = world.people(1_000);
        world.wait(60);
        let since = world.clock_now();
        world.wait(1);
        for id in people.iter().rev().take(changed) {
            world.edit(|amo, now_ms| amo.rename_contact(now_ms, id.0, "Anna Test"));
        }
        let (ids, _) = walk(&world, dialect, Some(since)).await;
        let expected: BTreeSet<u64> = people.iter().rev().take(changed).map(|id| id.0).collect();
        assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), expected, "{variant:?}");
        if dialect == Dialect::V4 && changed == 3 {
            assert_eq!(world.asked("/api/v4/contacts?"), 1, "{variant:?}: one page tells that the rest is older");
        }
    }
}

#[tokio::test]
async fn an_order_that_is_not_kept_costs_requests_and_no_row() {
    let world = World::new(|options| options.v4.keeps_order = false);
    let people = world.people(600);
    let since = world.clock_now();
    world.wait(1);
    world.edit(|amo, now_ms| amo.rename_contact(now_ms, people[550].0, "Anna Test"));
    let (ids, _) = walk(&world, Dialect::V4, Some(since)).await;
    assert!(ids.contains(&people[550].0));
}

#[tokio::test]
async fn filters_that_are_ignored_are_not_used_again() {
    let world = Variant::FalseFlag.world();
    let people = world.people(300);
    let since = Some(world.clock_now());
    for _ in 0..3 {
        walk(&world, Dialect::V4, since).await;
    }
    assert_eq!(world.asked("filter%5Bupdated_at%5D"), 1);
    let found = world.v4.contacts_by_id(&people[..3], POLL).await.expect("read");
    assert_eq!((found.rows.len(), world.asked("filter%5Bid%5D")), (3, 0));
}

#[rstest]
#[tokio::test]
async fn records_by_id_are_those_asked_for(#[values(Dialect::V2, Dialect::V4)] dialect: Dialect) {
    for variant in Variant::ALL {
        let world = variant.world();
        let people = world.people(300);
        let gone = people[7];
        world.edit(|amo, now_ms| amo.delete_contact(now_ms, gone.0));
        let asked: Vec<ContactId> = people[..130].iter().copied().chain([people[0], ContactId(5)]).collect();
        let page = world.api(dialect).contacts_by_id(&asked, POLL).await.expect("read");
        let found: BTreeSet<ContactId> = page.rows.iter().map(|contact| contact.id).collect();
        let expected: BTreeSet<ContactId> = people[..130].iter().copied().filter(|id| *id != gone).collect();
        assert_eq!((found.len(), found), (page.rows.len(), expected), "{variant:?}");
        assert!(page.server_time.is_some());
        assert_eq!(world.api(dialect).leads_by_id(&[LeadId(5)], POLL).await.expect("read").rows, []);
    }
}

#[tokio::test]
async fn a_record_that_listings_do_not_know_yet_is_still_there() {
    let world = World::new(|options| {
        Variant::Filters.set(options);
        options.listing.visible_after_ms = 600_000;
    });
    let people = world.people(3);
    let page = world.v4.contacts_by_id(&people, POLL).await.expect("read");
    assert_eq!(page.rows.len(), 3);
}

fn full_contact(world: &World) -> ContactId {
    let value = FieldValue::plain;
    let fields = [
        (FIELD_POSITION, vec![value("Инженер")]),
        (FIELD_CHECKBOX, vec![value("1")]),
        (FIELD_DATE, vec![value("2026-12-31")]),
        (FIELD_DATE_TIME, vec![value("2026-12-31 15:30:00")]),
        (FIELD_BIRTHDAY, vec![value("1990-05-01")]),
        (FIELD_NUMERIC, vec![value("12.5")]),
        (FIELD_URL, vec![value("https://example.test")]),
        (FIELD_TEXTAREA, vec![value("one\ntwo")]),
        (FIELD_SELECT, vec![FieldValue::chosen("VIP", SELECT_CHOICES[2])]),
        (
            FIELD_MULTISELECT,
            vec![FieldValue::chosen("1", MULTISELECT_CHOICES[0]), FieldValue::chosen("3", MULTISELECT_CHOICES[2])],
        ),
        (
            FIELD_ADDRESS,
            vec![
                FieldValue { value: "ул. Ленина, 1".to_owned(), choice_id: None, subtype: Some(1) },
                FieldValue { value: "Тверь".to_owned(), choice_id: None, subtype: Some(3) },
            ],
        ),
    ];
    let draft = ContactDraft {
        name: "Анна Тестова".to_owned(),
        phones: vec!["+79990000001".to_owned(), "+79990000002".to_owned()],
        emails: vec!["anna@example.test".to_owned()],
        tags: vec!["vip".to_owned(), "a, b".to_owned()],
        fields: fields.into(),
        responsible_user_id: Some(USER_SALES),
        company_name: Some("ООО Пример".to_owned()),
    };
    ContactId(world.edit(|amo, now_ms| amo.add_contact(now_ms, draft)))
}

#[tokio::test]
async fn a_contact_means_the_same_in_both_dialects() {
    for variant in Variant::ALL {
        let world = variant.world();
        let id = full_contact(&world);
        let leads = [0, 1].map(|_| {
            let draft = LeadDraft { name: "Заказ".to_owned(), contact_ids: vec![id.0], ..LeadDraft::default() };
            world.edit(|amo, now_ms| amo.create_lead(now_ms, draft))
        });
        let account = world.v2.account(POLL).await.expect("read");
        let (v2, v4) = (world.contact(Dialect::V2, id).await, world.contact(Dialect::V4, id).await);
        assert_eq!(v4.leads, leads.map(LeadId).into());
        assert_eq!(v4.company.as_ref().and_then(|company| company.name.as_deref()), Some("ООО Пример"));
        assert_eq!(meant(&account, &v4), meant(&account, &v2), "{variant:?}");
        assert_eq!(v4.fields.len(), 13);
        let listed = world.v4.contacts(PageRequest { since: None, offset: 0, limit: 500 }, POLL).await.expect("a page");
        assert_eq!(listed.rows, [v4], "{variant:?}: a listing shows what a read by id does");
    }
}

#[tokio::test]
async fn a_lead_means_the_same_in_both_dialects() {
    for variant in Variant::ALL {
        let world = variant.world();
        let (first, second) = (world.person("Anna"), world.person("Boris"));
        let draft = LeadDraft {
            name: "Заказ".to_owned(),
            contact_ids: vec![second.0, first.0],
            stage: Some((PIPELINE_SERVICE, 2002)),
            price: 1_500,
            tags: vec!["срочно".to_owned()],
            fields: [(FIELD_LEAD_SOURCE, vec![FieldValue::plain("Бот")])].into(),
            responsible_user_id: Some(USER_SUPPORT),
        };
        let id = LeadId(world.edit(|amo, now_ms| amo.create_lead(now_ms, draft)));
        let read = |dialect| world.api(dialect).leads_by_id(std::slice::from_ref(&id), POLL);
        let (v2, v4) = (read(Dialect::V2).await.expect("read").rows, read(Dialect::V4).await.expect("read").rows);
        assert_eq!(bare(&v4[0]), bare(&v2[0]), "{variant:?}");
        assert_eq!((v4[0].main_contact, v4[0].contacts.len()), (Some(second), 2));
        assert_eq!(v4[0].fields, v2[0].fields);
        let listed = world.v4.leads(PageRequest { since: None, offset: 0, limit: 500 }, POLL).await.expect("a page");
        assert_eq!(listed.rows, v4);
        world.edit(|amo, now_ms| amo.delete_lead(now_ms, id.0));
        let gone = read(Dialect::V4).await.expect("read").rows;
        assert!(gone.iter().all(|lead| lead.is_deleted), "{variant:?}: in the trash, or not there");
    }
}

#[tokio::test]
async fn the_account_is_the_same_in_both_dialects() {
    for variant in Variant::ALL {
        let world = variant.world();
        let (v2, v4) = (world.v2.account(POLL).await.expect("read"), world.v4.account(POLL).await.expect("read"));
        assert_eq!(v4, v2, "{variant:?}");
    }
}

#[tokio::test]
async fn many_fields_come_in_pages_of_fifty() {
    let world = World::new(|options| {
        Variant::OddShapes.set(options);
        options.v4.custom_fields_rows = 50;
        let field = options.account.fields.leads[0].clone();
        options.account.fields.leads =
            (0..120).map(|number| Field { id: 7_000_000 + number, ..field.clone() }).collect();
    });
    assert_eq!(world.v4.account(POLL).await.expect("read").lead_fields.len(), 120);
}

#[tokio::test]
async fn users_that_are_not_shown_stop_nothing() {
    let world = World::new(|options| options.v4.shows_users = false);
    let account = world.v4.account(POLL).await.expect("read");
    assert_eq!((account.users.len(), account.pipelines.len()), (0, 2));
    assert_eq!(world.v4.account(POLL).await.expect("read again").users.get(&UserId(USER_ADMIN)), None);
}

#[rstest]
#[tokio::test]
async fn companies_are_named_whatever_filters_do(#[values(5, 60)] count: usize) {
    for variant in Variant::ALL {
        let world = variant.world();
        for number in 0..count {
            let company_name = Some(format!("Company {number}"));
            let draft = ContactDraft { name: format!("Person {number}"), company_name, ..ContactDraft::default() };
            world.edit(|amo, now_ms| amo.add_contact(now_ms, draft));
        }
        let page = world.v4.contacts(PageRequest { since: None, offset: 0, limit: 500 }, POLL).await.expect("a page");
        for contact in &page.rows {
            let company = contact.company.as_ref().and_then(|company| company.name.clone());
            assert_eq!(company, Some(contact.name.replace("Person", "Company")), "{variant:?}");
        }
        let before = world.requests.lock().expect("whole").len();
        assert!(before <= 40, "{variant:?}: {before} requests");
    }
}

#[rstest]
#[tokio::test]
async fn a_search_finds_candidates(#[values(Dialect::V2, Dialect::V4)] dialect: Dialect) {
    for variant in Variant::ALL {
        let world = variant.world();
        world.people(30);
        let id = full_contact(&world);
        for (query, expected) in [("9990000002", vec![id]), ("тестова", vec![id]), ("nobody", vec![]), ("  ", vec![])]
        {
            let page = world.api(dialect).search_contacts(query, POLL).await.expect("read");
            let found: Vec<ContactId> = page.rows.iter().map(|contact| contact.id).collect();
            assert_eq!(found, expected, "{variant:?} {query}");
        }
    }
}

#[rstest]
#[tokio::test]
async fn notes_are_those_by_hand_newest_first(#[values(Dialect::V2, Dialect::V4)] dialect: Dialect) {
    for variant in Variant::ALL {
        let world = variant.world();
        let (person, other) = (world.person("Anna"), world.person("Boris"));
        let on = |id: ContactId| Element { kind: ElementKind::Contact, id: id.0 };
        for number in 0..600 {
            world.wait(1);
            world.edit(|amo, now_ms| amo.add_note(now_ms, on(person), 4, &format!("note {number}")));
            world.edit(|amo, now_ms| amo.add_note(now_ms, on(other), 4, "other"));
            world.edit(|amo, now_ms| amo.add_note(now_ms, on(person), 10, "call"));
        }
        let notes = world.api(dialect).notes(NoteTarget::Contact(person), POLL).await.expect("read");
        assert_eq!(notes.len(), 600, "{variant:?}");
        assert_eq!((notes[0].text.as_str(), notes[599].text.as_str()), ("note 599", "note 0"));
        assert_eq!(notes[0].created_at, world.now_s());
        let none = world.api(dialect).notes(NoteTarget::Lead(LeadId(5)), POLL).await.expect("read");
        assert_eq!(none, []);
    }
}
