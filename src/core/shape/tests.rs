//! Tests of reading, comparing and writing values.

use super::*;
use crate::core::id::{CompanyId, ContactId, LeadId, PipelineId, StatusId};
use crate::core::model::Company;
use proptest::prelude::*;
use rstest::rstest;
use std::collections::BTreeSet;

const FIELD: FieldId = FieldId(11);

fn contact(elements: Vec<Element>) -> Contact {
    Contact {
        id: ContactId(1),
        name: "Anna".to_owned(),
        first_name: None,
        last_name: None,
        responsible: None,
        company: None,
        leads: BTreeSet::new(),
        tags: BTreeSet::new(),
        fields: [(FIELD, elements)].into(),
        created_at: 0,
        updated_at: 0,
    }
}

fn lead(price: i64) -> Lead {
    Lead {
        id: LeadId(1),
        name: "Lead".to_owned(),
        price,
        pipeline: PipelineId(1),
        status: StatusId(1),
        responsible: Some(UserId(7)),
        tags: BTreeSet::new(),
        main_contact: None,
        contacts: BTreeSet::new(),
        fields: Fields::new(),
        is_deleted: false,
        created_at: 0,
        updated_at: 0,
    }
}

fn field(form: Form, kind: FieldKind) -> Slot {
    Slot { place: Place::Field(FIELD, None), form, kind: Some(kind) }
}

fn typed(value: &str, choice: u64, code: Option<&str>) -> Element {
    Element { choice: Some(EnumId(choice)), code: code.map(str::to_owned), ..Element::text(value) }
}

fn edited(slot: &Slot, content: &[&str], contact: &Contact) -> Vec<Element> {
    let content: Content = content.iter().map(|text| (*text).to_owned()).collect();
    match edit(slot, &content, Some(Record::Contact(contact)), "RU") {
        Some(Edit::Field { elements, .. }) => elements,
        other => panic!("no edit of a field: {other:?}"),
    }
}

fn choices() -> BTreeMap<EnumId, String> {
    [(1, "Red"), (2, "Blue, light")].map(|(id, name)| (EnumId(id), name.to_owned())).into()
}

#[test]
fn phones_that_stay_keep_their_kind_and_an_edited_one_keeps_that_of_its_place() {
    let slot = field(Form::Phones, FieldKind::Multitext);
    let work = typed("+7 999 000-00-01", 100, None);
    let home = typed("+7 999 000-00-02", 200, Some("HOME"));
    let contact = contact(vec![work.clone(), home.clone()]);
    let edited = |content: &[&str]| edited(&slot, content, &contact);
    let new = |text: &str| Element { code: Some("MOB".to_owned()), ..Element::text(text) };
    assert_eq!(edited(&["+7 999 000-00-02", "+7 999 000-00-01"]), [home.clone(), work.clone()], "reordered");
    assert_eq!(
        edited(&["+7 999 000-00-01", "+79990000003"]),
        [work.clone(), Element { value: "+79990000003".to_owned(), ..home.clone() }],
        "edited"
    );
    assert_eq!(
        edited(&["+7 999 000-00-01", "+7 999 000-00-02", "+79990000003"]),
        [work.clone(), home.clone(), new("+79990000003")],
        "added"
    );
    assert_eq!(edited(&["+7 999 000-00-02"]), [home], "removed");
    assert_eq!(edited(&[]), [], "cleared");
    assert_eq!(edited(&["89990000001"])[0].choice, Some(EnumId(100)), "the same in another spelling");
}

#[test]
fn of_two_alike_both_keep_their_kind() {
    let slot = field(Form::Phones, FieldKind::Multitext);
    let (one, two) = (typed("89990000001", 100, None), typed("+79990000001", 200, None));
    let twice = contact(vec![one.clone(), Element::text(" "), two.clone()]);
    assert_eq!(edited(&slot, &["89990000001", "+79990000001"], &twice), [one.clone(), two.clone()]);
    assert_eq!(edited(&slot, &["+79990000001", "89990000001"], &twice), [two.clone(), one.clone()]);
    let edit = edited(&slot, &["+79990000009", "+79990000001"], &twice);
    assert_eq!(edit, [Element { value: "+79990000009".to_owned(), ..one }, two]);
}

#[test]
fn the_other_parts_of_an_address_stay() {
    let part = |value: &str, part| Element { part, ..Element::text(value) };
    let slot = Slot {
        place: Place::Field(FIELD, Some(AddressPart::City)),
        form: Form::Text { chars_max: Some(256) },
        kind: Some(FieldKind::SmartAddress),
    };
    let contact = contact(vec![
        part("RU", Some(AddressPart::Country)),
        part("somewhere", None),
        part("Tver", Some(AddressPart::City)),
        part("Street 1", Some(AddressPart::Line1)),
    ]);
    assert_eq!(read(&slot, Record::Contact(&contact), &TimeZone::UTC), ["Tver"]);
    let others = [part("somewhere", None), part("Street 1", Some(AddressPart::Line1))];
    let last = part("RU", Some(AddressPart::Country));
    let city = part("Pskov", Some(AddressPart::City));
    assert_eq!(edited(&slot, &["Pskov"], &contact), [&others[..], &[city, last.clone()]].concat());
    assert_eq!(edited(&slot, &[], &contact), [&others[..], &[last]].concat());
}

#[test]
fn a_choice_is_read_and_written_by_its_id() {
    let slot = field(Form::Choices(choices()), FieldKind::Multiselect);
    let contact = contact(vec![typed("old name", 2, None), typed("gone", 9, None)]);
    assert_eq!(read(&slot, Record::Contact(&contact), &TimeZone::UTC), ["Blue, light", "gone"]);
    let edit = edited(&slot, &["Blue, light", "gone", "Red"], &contact);
    let ids: Vec<_> = edit.iter().map(|element| element.choice.map(|id| id.0)).collect();
    assert_eq!(ids, [Some(2), Some(9), Some(1)], "one that the account does not name stays too");
}

#[rstest]
#[case("red", Some("Red"))]
#[case("2", Some("Blue, light"))]
#[case("blue,LIGHT", Some("Blue, light"))]
#[case("Pink", None)]
fn a_choice_is_known_by_name_or_id(#[case] text: &str, #[case] name: Option<&str>) {
    let form = Form::Choice(choices());
    assert_eq!(from_salebot(&form, text).ok(), name.map(|name| vec![name.to_owned()]));
    let several = from_salebot(&Form::Choices(choices()), &format!("{text}, red"));
    assert_eq!(several.ok(), name.map(|name| vec![name.to_owned(), "Red".to_owned()]));
}

#[rstest]
#[case("1700000000", "15.11.2023 01:13:20")]
#[case("2026-12-31 00:00:00", "31.12.2026")]
#[case("2026-12-31 15:30:00", "31.12.2026 15:30")]
#[case("some day", "some day")]
fn a_date_is_shown_in_the_account_zone(#[case] value: &str, #[case] shown: &str) {
    let zone = TimeZone::get("Europe/Moscow").unwrap();
    let contact = contact(vec![Element::text(value)]);
    let slot = field(Form::Date, FieldKind::DateTime);
    let content = read(&slot, Record::Contact(&contact), &zone);
    assert_eq!(salebot_text(&slot.form, &content), shown);
    assert_eq!(meaning(&slot.form, shown, "RU"), meaning(&slot.form, &content[0], "RU"));
}

#[test]
fn a_day_has_no_time() {
    assert_eq!(from_salebot(&Form::Day, "31.12.2026 15:30"), Ok(vec!["2026-12-31".to_owned()]));
    assert_eq!(salebot_text(&Form::Day, &["2026-12-31 03:00:00".to_owned()]), "31.12.2026");
    assert_eq!(meaning(&Form::Day, "2026-12-31", "RU"), meaning(&Form::Day, "31.12.2026 15:30", "RU"));
}

#[test]
fn a_box_is_checked_or_not() {
    let slot = field(Form::Checkbox, FieldKind::Checkbox);
    let is = |value: &str| read(&slot, Record::Contact(&contact(vec![Element::text(value)])), &TimeZone::UTC);
    assert_eq!((is("1"), is("0"), is("")), (vec!["1".to_owned()], vec![], vec![]));
    assert_eq!((salebot_text(&slot.form, &[]), salebot_text(&slot.form, &is("1"))), ("0".to_owned(), "1".to_owned()));
    assert_eq!(meaning(&slot.form, "", "RU"), meaning(&slot.form, "нет", "RU"));
    assert_ne!(meaning(&slot.form, "maybe", "RU"), meaning(&slot.form, "0", "RU"));
}

#[rstest]
#[case("1 200,50", Some(1200))]
#[case("", Some(0))]
#[case("many", None)]
#[case("99999999999999999999", None)]
fn a_budget_is_whole(#[case] text: &str, #[case] price: Option<i64>) {
    let slot = Slot { place: Place::Price, form: Form::Price, kind: None };
    let written = from_salebot(&Form::Price, text).ok();
    let edited = written.and_then(|content| edit(&slot, &content, Some(Record::Lead(&lead(5))), "RU"));
    assert_eq!(edited, price.map(Edit::Price));
    assert_eq!(read(&slot, Record::Lead(&lead(5)), &TimeZone::UTC), ["5"]);
}

#[test]
fn a_company_is_made_only_where_there_is_none() {
    let slot = Slot { place: Place::Company, form: Form::Company, kind: None };
    let mut person = contact(vec![]);
    let written = |person: &Contact, name: &str| edit(&slot, &[name.to_owned()], Some(Record::Contact(person)), "RU");
    assert_eq!(written(&person, "Shop"), Some(Edit::CompanyName("Shop".to_owned())));
    assert_eq!(written(&person, ""), None);
    person.company = Some(Company { id: CompanyId(1), name: None });
    assert_eq!(written(&person, "Shop"), None);
}

#[test]
fn what_cannot_be_emptied_is_not() {
    let slot = |place, form| Slot { place, form, kind: None };
    let users = Form::User([(UserId(7), "Boris".to_owned())].into());
    assert_eq!(edit(&slot(Place::Name, Form::Name), &[], None, "RU"), None);
    assert_eq!(edit(&slot(Place::Responsible, users.clone()), &[], None, "RU"), None);
    assert_eq!(edit(&slot(Place::Id, Form::ReadOnly), &["1".to_owned()], None, "RU"), None);
    let boris = from_salebot(&users, "7").unwrap();
    let responsible = slot(Place::Responsible, users);
    assert_eq!(edit(&responsible, &boris, None, "RU"), Some(Edit::Responsible(UserId(7))));
    assert_eq!(read(&responsible, Record::Lead(&lead(0)), &TimeZone::UTC), ["Boris"]);
    let first = slot(Place::FirstName, Form::Text { chars_max: None });
    assert_eq!(edit(&first, &[], None, "RU"), Some(Edit::FirstName(String::new())));
}

#[rstest]
#[case("Anna 😀 B\0", Some("Anna  B"))]
#[case("😀", None)]
#[case("\0", None)]
#[case("line\nline\ttab", Some("line\nline\ttab"))]
fn what_amocrm_cuts_at_is_not_written(#[case] text: &str, #[case] written: Option<&str>) {
    for form in [Form::Text { chars_max: Some(256) }, Form::Name, Form::Several, Form::Tags] {
        assert_eq!(from_salebot(&form, text).ok(), written.map(|text| vec![text.to_owned()]));
    }
}

#[test]
fn a_text_that_is_too_long_is_refused() {
    let form = Form::Text { chars_max: Some(3) };
    assert_eq!(from_salebot(&form, "абв😀").unwrap(), ["абв"]);
    assert_eq!(from_salebot(&form, "абвг"), Err("longer than the 3 characters amoCRM takes".to_owned()));
}

fn account() -> Account {
    let info = |name: &str, kind, code: Option<&str>| FieldInfo {
        name: name.to_owned(),
        kind,
        code: code.map(str::to_owned),
        choices: BTreeMap::new(),
    };
    let contact_fields = [
        (FieldId(1), info("Phone", FieldKind::Multitext, Some("PHONE"))),
        (FieldId(2), info("Position", FieldKind::Text, None)),
        (FieldId(3), info("Address", FieldKind::SmartAddress, None)),
        (FieldId(4), info("File", FieldKind::Other(25), None)),
        (FieldId(5), info("Born", FieldKind::Birthday, None)),
    ];
    Account { contact_fields: contact_fields.into(), ..Account::default() }
}

#[rstest]
#[case(AmoPart::Phone, Some((Place::Field(FieldId(1), None), Form::Phones)))]
#[case(AmoPart::Email, None)]
#[case(AmoPart::Name, Some((Place::Name, Form::Name)))]
#[case(AmoPart::Price, Some((Place::Price, Form::Price)))]
#[case(custom_part("position", None), Some((Place::Field(FieldId(2), None), Form::Text { chars_max: Some(256) })))]
#[case(custom_part("Position", Some(AddressPart::City)), None)]
#[case(custom_part("Address", None), Some((Place::Field(FieldId(3), Some(AddressPart::Line1)), Form::Text { chars_max: Some(256) })))]
#[case(custom_part("File", None), Some((Place::Field(FieldId(4), None), Form::ReadOnly)))]
#[case(custom_part("Born", None), Some((Place::Field(FieldId(5), None), Form::Day)))]
#[case(custom_part("Nothing", None), None)]
fn a_selector_is_resolved_by_the_account(#[case] part: AmoPart, #[case] slot: Option<(Place, Form)>) {
    let resolved = resolve(&AmoField { entity: Entity::Contact, part }, &account());
    assert_eq!(resolved.ok().map(|slot| (slot.place, slot.form)), slot);
}

fn custom_part(name: &str, address: Option<AddressPart>) -> AmoPart {
    AmoPart::Custom { field: FieldRef::Name(name.to_owned()), address }
}

proptest! {
    /// What is written reads back as the same content, whatever was there before.
    #[test]
    fn an_edit_holds_its_content(
        values in prop::collection::vec("[+0-9a-z]{1,12}", 0..5),
        before in prop::collection::vec(("[+0-9a-z ]{0,12}", 0..3_u64), 0..5),
    ) {
        let elements = before.iter().map(|(value, choice)| typed(value, *choice, None)).collect();
        for form in [Form::Phones, Form::Emails, Form::Several] {
            let slot = field(form, FieldKind::Multitext);
            let texts: Vec<&str> = values.iter().map(String::as_str).collect();
            let elements: Vec<Element> = edited(&slot, &texts, &contact(Clone::clone(&elements)));
            prop_assert_eq!(read(&slot, Record::Contact(&contact(elements)), &TimeZone::UTC), values.clone());
        }
    }
}
