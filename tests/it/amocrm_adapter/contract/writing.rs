//! What is written through either dialect, and read back through the other.

use super::{Dialect, POLL, Variant, World, kinds, meant};
use rstest::rstest;
use salebridge::core::action::{Edit, NoteTarget};
use salebridge::core::fault::FaultKind;
use salebridge::core::id::{ContactId, EnumId, FieldId, LeadId, PipelineId, StatusId, UserId};
use salebridge::core::model::{Element, FieldKind};
use salebridge::core::selector::AddressPart;
use salebridge::ports::remote::{Amo as _, Change, Draft, NewNote, NewTask};
use salebridge::sandbox::amo::fixture::*;
use salebridge::sandbox::amo::options::v4::MixedBatch;
use salebridge::sandbox::amo::records;

fn field(id: u64, kind: FieldKind, elements: Vec<Element>) -> Edit {
    Edit::Field { id: FieldId(id), kind, elements }
}

fn chosen(choice: u64) -> Element {
    Element { choice: Some(EnumId(choice)), ..Element::default() }
}

fn one(value: &str) -> Vec<Element> {
    vec![Element::text(value)]
}

fn every_field() -> Vec<Edit> {
    let coded = |value: &str, code: &str| Element { code: Some(code.to_owned()), ..Element::text(value) };
    let part = |value: &str, part| Element { part: Some(part), ..Element::text(value) };
    vec![
        field(
            FIELD_PHONE,
            FieldKind::Multitext,
            vec![
                coded("+79990000001", "MOB"),
                Element { choice: Some(EnumId(PHONE_CHOICES[0])), ..Element::text("+79990000002") },
            ],
        ),
        field(FIELD_POSITION, FieldKind::Text, one("Инженер")),
        field(FIELD_CHECKBOX, FieldKind::Checkbox, one("1")),
        field(FIELD_DATE, FieldKind::Date, one("2026-12-31")),
        field(FIELD_DATE_TIME, FieldKind::DateTime, one("2026-12-31 15:30:00")),
        field(FIELD_BIRTHDAY, FieldKind::Birthday, one("1990-05-01")),
        field(FIELD_NUMERIC, FieldKind::Numeric, one("12.5")),
        field(FIELD_URL, FieldKind::Url, one("https://example.test")),
        field(FIELD_TEXTAREA, FieldKind::TextArea, one("one\ntwo")),
        field(FIELD_SELECT, FieldKind::Select, vec![chosen(SELECT_CHOICES[1])]),
        field(
            FIELD_MULTISELECT,
            FieldKind::Multiselect,
            vec![chosen(MULTISELECT_CHOICES[0]), chosen(MULTISELECT_CHOICES[2])],
        ),
        field(
            FIELD_ADDRESS,
            FieldKind::SmartAddress,
            vec![part("ул. Ленина, 1", AddressPart::Line1), part("Тверь", AddressPart::City)],
        ),
    ]
}

fn change(world: &World, id: ContactId, edits: Vec<Edit>) -> Change<ContactId> {
    let stored = world.edit(|amo, _| amo.contact(id.0).expect("a contact").card.updated_at);
    Change { id, edits, updated_at: world.now_s().max(stored + 1) }
}

/// A world where phones may carry the number of their kind in v2 too.
fn world(variant: Variant) -> World {
    World::new(|options| {
        variant.set(options);
        options.writing.multitext_accepts_choice_ids = true;
    })
}

#[tokio::test]
async fn what_one_dialect_writes_both_read_alike() {
    for variant in Variant::ALL {
        let mut read = Vec::new();
        for dialect in [Dialect::V2, Dialect::V4] {
            let world = world(variant);
            let api = world.api(dialect);
            let mut edits = vec![
                Edit::FirstName("Анна".to_owned()),
                Edit::LastName("Тестова".to_owned()),
                Edit::Tags(["vip".to_owned(), "новый".to_owned()].into()),
                Edit::Responsible(UserId(USER_SALES)),
            ];
            edits.extend(every_field());
            let draft = Draft { edits, created_at: world.now_s() - 100 };
            let made = api.create_contacts(&[draft], POLL).await;
            let id = *made[0].as_ref().unwrap_or_else(|fault| panic!("{variant:?} {dialect:?}: {fault}"));
            let account = world.v2.account(POLL).await.expect("read");
            let (by_v2, by_v4) = (world.contact(Dialect::V2, id).await, world.contact(Dialect::V4, id).await);
            assert_eq!(meant(&account, &by_v2), meant(&account, &by_v4), "{variant:?} {dialect:?}");
            assert_eq!((by_v4.name.as_str(), by_v4.tags.len(), by_v4.fields.len()), ("Анна Тестова", 2, 12));
            // As it was written, so that what was made can be told from what others made.
            assert_eq!(by_v4.fields[&FieldId(FIELD_DATE)], one("2026-12-31"), "{variant:?}");
            assert_eq!(by_v4.fields[&FieldId(FIELD_DATE_TIME)], one("2026-12-31 15:30:00"), "{variant:?}");
            read.push(meant(&account, &by_v4).1);
        }
        assert_eq!(read[0], read[1], "{variant:?}");
    }
}

#[rstest]
#[tokio::test]
async fn only_what_is_sent_changes_and_empty_clears(#[values(Dialect::V2, Dialect::V4)] dialect: Dialect) {
    for variant in Variant::ALL {
        let world = world(variant);
        let api = world.api(dialect);
        let id = world.person("Anna Test");
        world.wait(5);
        let all = change(&world, id, every_field());
        assert_eq!(api.update_contacts(&[all], POLL).await, [Ok(())], "{variant:?}");
        world.wait(5);
        let renamed = change(&world, id, vec![Edit::Name("Boris".to_owned())]);
        assert_eq!(api.update_contacts(std::slice::from_ref(&renamed), POLL).await, [Ok(())]);
        let contact = world.contact(dialect, id).await;
        assert_eq!((contact.name.as_str(), contact.fields.len()), ("Boris", 12), "{variant:?}");
        assert_eq!(contact.updated_at, renamed.updated_at, "the time of change is ours");
        world.wait(5);
        let cleared = every_field().into_iter().map(|edit| match edit {
            Edit::Field { id, kind, .. } => Edit::Field { id, kind, elements: vec![] },
            other => other,
        });
        let cleared = change(&world, id, cleared.collect());
        assert_eq!(api.update_contacts(&[cleared], POLL).await, [Ok(())], "{variant:?}");
        assert_eq!(world.contact(dialect, id).await.fields.len(), 0, "{variant:?}");
    }
}

#[tokio::test]
async fn tags_are_added_and_taken_away_one_by_one() {
    for variant in Variant::ALL {
        let world = world(variant);
        let ids: Vec<ContactId> = ["Anna", "Boris"].map(|name| world.person(name)).into();
        for id in &ids {
            world.edit(|amo, now_ms| amo.set_contact_tags(now_ms, id.0, &["old", "kept, with comma"]));
        }
        world.wait(5);
        let wanted = |names: &[&str]| Edit::Tags(names.iter().map(|name| (*name).to_owned()).collect());
        let changes = [
            change(&world, ids[0], vec![wanted(&["kept, with comma", "new"])]),
            change(&world, ids[1], vec![wanted(&[])]),
        ];
        assert_eq!(world.v4.update_contacts(&changes, POLL).await, [Ok(()), Ok(())], "{variant:?}");
        let tags = world.contact(Dialect::V4, ids[0]).await.tags;
        assert_eq!(tags, ["kept, with comma".to_owned(), "new".to_owned()].into(), "{variant:?}");
        assert!(world.contact(Dialect::V4, ids[1]).await.tags.is_empty());
        // Somebody was faster: seen while the tags are compared.
        let late = change(&world, ids[0], vec![wanted(&[])]);
        world.wait(60);
        world.edit(|amo, now_ms| amo.rename_contact(now_ms, ids[0].0, "Anna Test"));
        assert_eq!(kinds(world.v4.update_contacts(&[late], POLL).await), [Err(FaultKind::Changed)]);
    }
}

#[rstest]
#[tokio::test]
async fn a_stale_change_is_told_where_the_service_tells_it(#[values(Dialect::V2, Dialect::V4)] dialect: Dialect) {
    let world = World::new(|options| options.v4.locks = true);
    let ids = world.people(3);
    world.wait(5);
    let rename = |id: ContactId| change(&world, id, vec![Edit::Name("Mine".to_owned())]);
    let changes: Vec<_> = ids.iter().map(|id| rename(*id)).collect();
    world.wait(60);
    world.edit(|amo, now_ms| amo.rename_contact(now_ms, ids[1].0, "Theirs"));
    let results = kinds(world.api(dialect).update_contacts(&changes, POLL).await);
    assert_eq!(results, [Ok(()), Err(FaultKind::Changed), Ok(())]);
    assert_eq!(world.contact(dialect, ids[1]).await.name, "Theirs");
    assert_eq!(world.contact(dialect, ids[2]).await.name, "Mine");
}

#[rstest]
#[tokio::test]
async fn a_bad_change_costs_no_other(#[values(Dialect::V2, Dialect::V4)] dialect: Dialect) {
    for variant in Variant::ALL {
        let world = world(variant);
        let ids = world.people(5);
        world.wait(5);
        let mut changes: Vec<_> =
            ids.iter().map(|id| change(&world, *id, vec![Edit::Name("Mine".to_owned())])).collect();
        changes[1].edits.push(field(999, FieldKind::Text, one("x")));
        changes[3].edits.push(Edit::Responsible(UserId(999)));
        let results = kinds(world.api(dialect).update_contacts(&changes, POLL).await);
        let bad = || Err(FaultKind::Rejected);
        assert_eq!(results, [Ok(()), bad(), Ok(()), bad(), Ok(())], "{variant:?}");
        for (id, name) in ids.iter().zip(["Mine", "Person 1", "Mine", "Person 3", "Mine"]) {
            assert_eq!(world.contact(dialect, *id).await.name, name, "{variant:?}");
        }
    }
}

/// Whether the good ones of a refused batch were made is not documented: they are in doubt, and looked up.
#[tokio::test]
async fn a_bad_draft_is_told_from_those_in_doubt() {
    for variant in Variant::ALL {
        let world = world(variant);
        let draft = |name: &str, edit| Draft { edits: vec![Edit::Name(name.to_owned()), edit], created_at: 1 };
        let good = || field(FIELD_POSITION, FieldKind::Text, one("x"));
        let drafts = [draft("a", good()), draft("b", field(999, FieldKind::Text, one("x"))), draft("c", good())];
        let results = kinds(world.v4.create_contacts(&drafts, POLL).await);
        let doubt = || Err(FaultKind::Uncertain);
        assert_eq!(results, [doubt(), Err(FaultKind::Rejected), doubt()], "{variant:?}");
        let made = world.edit(|amo, _| (amo.contact_count(), amo.options().v4.mixed_batch));
        assert!(matches!(made, (0, MixedBatch::Nothing) | (2, MixedBatch::Rest)), "{variant:?}: {made:?}");
        let alone = kinds(world.v4.create_contacts(&drafts[1..2], POLL).await);
        assert_eq!(alone, [Err(FaultKind::Rejected)], "{variant:?}");
    }
}

#[rstest]
#[tokio::test]
async fn a_contact_gets_its_company(#[values(Dialect::V2, Dialect::V4)] dialect: Dialect) {
    for variant in Variant::ALL {
        let world = world(variant);
        let api = world.api(dialect);
        let named = |name: &str| Edit::CompanyName(name.to_owned());
        let draft = Draft { edits: vec![Edit::Name("Anna".to_owned()), named("ООО Пример")], created_at: 1 };
        let made = api.create_contacts(&[draft], POLL).await[0].clone().expect("made");
        let later = world.person("Boris");
        world.wait(5);
        let changed = change(&world, later, vec![named("ООО Другое")]);
        assert_eq!(api.update_contacts(&[changed], POLL).await, [Ok(())], "{variant:?}");
        for (id, name) in [(made, "ООО Пример"), (later, "ООО Другое")] {
            let company = world.contact(dialect, id).await.company.expect("a company");
            assert_eq!(company.name.as_deref(), Some(name), "{variant:?}");
        }
        assert_eq!(world.edit(|amo, _| amo.companies().count()), 2);
    }
}

#[rstest]
#[tokio::test]
async fn leads_move_and_close(#[values(Dialect::V2, Dialect::V4)] dialect: Dialect) {
    for variant in Variant::ALL {
        let world = world(variant);
        let api = world.api(dialect);
        let stage = |pipeline, status| Edit::Stage { pipeline: PipelineId(pipeline), status: StatusId(status) };
        let edits = vec![Edit::Name("Заказ".to_owned()), Edit::Price(100), stage(PIPELINE_MAIN, 1002)];
        let made =
            api.create_leads(&[Draft { edits, created_at: world.now_s() }], POLL).await[0].clone().expect("made");
        world.wait(5);
        let edits = vec![Edit::Price(250), stage(PIPELINE_SERVICE, 142), Edit::Tags(["x".to_owned()].into())];
        let changed = Change { id: made, edits, updated_at: world.now_s() };
        assert_eq!(api.update_leads(&[changed], POLL).await, [Ok(())], "{variant:?}");
        let lead = api.leads_by_id(&[made], POLL).await.expect("read").rows.remove(0);
        assert_eq!((lead.price, lead.pipeline, lead.status), (250, PipelineId(PIPELINE_SERVICE), StatusId::WON));
        assert_eq!(lead.tags, ["x".to_owned()].into(), "{variant:?}");
    }
}

#[rstest]
#[tokio::test]
async fn notes_and_tasks_stand_where_they_belong(#[values(Dialect::V2, Dialect::V4)] dialect: Dialect) {
    for variant in Variant::ALL {
        let world = world(variant);
        let api = world.api(dialect);
        let person = world.person("Anna");
        let draft = Draft { edits: vec![Edit::Name("Заказ".to_owned())], created_at: 1 };
        let lead = api.create_leads(&[draft], POLL).await[0].clone().expect("made");
        let (on_person, on_lead) = (NoteTarget::Contact(person), NoteTarget::Lead(lead));
        let note = |target, text: &str| NewNote { target, text: text.to_owned(), created_at: 1_600_000_000 };
        let notes = [note(on_lead, "first"), note(on_person, "second"), note(on_lead, "third")];
        let made = api.add_notes(&notes, POLL).await;
        assert!(made.iter().all(Result::is_ok), "{variant:?}: {made:?}");
        let texts = |notes: Vec<salebridge::core::model::Note>| notes.into_iter().map(|note| (note.id, note.text));
        let of_lead: Vec<_> = texts(api.notes(on_lead, POLL).await.expect("read")).collect();
        let expected = [(made[2].clone(), "third"), (made[0].clone(), "first")];
        assert_eq!(of_lead, expected.map(|(id, text)| (id.expect("made"), text.to_owned())), "{variant:?}");
        assert_eq!(api.notes(on_person, POLL).await.expect("read")[0].created_at, 1_600_000_000);
        let task = NewTask {
            target: on_person,
            text: "call".to_owned(),
            due_at: 1_800_000_000,
            task_type: 1,
            responsible: None,
        };
        assert!(api.add_tasks(&[task], POLL).await[0].is_ok());
        let element = records::Element { kind: records::ElementKind::Contact, id: person.0 };
        world.edit(|amo, _| assert_eq!(amo.tasks_of(element).count(), 1));
        let lost = note(NoteTarget::Lead(LeadId(5)), "nowhere");
        assert_eq!(kinds(api.add_notes(&[lost], POLL).await), [Err(FaultKind::Gone)], "{variant:?}");
    }
}
