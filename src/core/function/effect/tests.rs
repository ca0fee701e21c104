//! What a call makes of a record.

use super::*;
use crate::core::id::{ContactId, EnumId, LeadId};
use crate::core::model::{Contact, Element, FieldInfo, FieldKind, Fields, Pipeline};
use crate::core::policy::{
    CallbackDelivery, CreateClient, CreateContact, Direction, Guard, Notes, Orders, Outgoing, People, Policy,
};
use std::collections::BTreeMap;

const PHONE: FieldId = FieldId(1);
const SOURCE: FieldId = FieldId(2);
const DELIVERY: FieldId = FieldId(3);

fn field(name: &str, kind: FieldKind, code: Option<&str>, choices: &[(u64, &str)]) -> FieldInfo {
    let choices = choices.iter().map(|(id, name)| (EnumId(*id), (*name).to_owned())).collect();
    FieldInfo { name: name.to_owned(), kind, code: code.map(str::to_owned), choices }
}

fn ground() -> Ground {
    let pipeline = |name: &str, statuses: &[u64]| Pipeline {
        name: name.to_owned(),
        statuses: statuses.iter().map(|id| (StatusId(*id), format!("stage {id}"))).collect(),
    };
    let account = Account {
        contact_fields: BTreeMap::from([(PHONE, field("Телефон", FieldKind::Multitext, Some("PHONE"), &[]))]),
        lead_fields: BTreeMap::from([
            (SOURCE, field("Источник", FieldKind::Text, None, &[])),
            (DELIVERY, field("Доставка", FieldKind::Select, None, &[(31, "Курьер")])),
        ]),
        users: BTreeMap::from([(UserId(7), "Ольга".to_owned())]),
        pipelines: BTreeMap::from([
            (PipelineId(61), pipeline("Main", &[1001, 1002])),
            (PipelineId(62), pipeline("Service", &[2001])),
        ]),
        ..Account::default()
    };
    let policy = Policy {
        rules: Vec::new(),
        people: People {
            default_region: "RU".to_owned(),
            match_by: Vec::new(),
            create_contact: CreateContact::Never,
            create_client: CreateClient::Never,
            create_with: None,
        },
        orders: Orders { enabled: false, direction: Direction::ToSalebot, stages: Vec::new() },
        triggers: Vec::new(),
        callbacks: CallbackDelivery::default(),
        notes: Notes {
            on_contact: true,
            on_lead: false,
            incoming: true,
            outgoing: Outgoing::All,
            join_within_ms: 0,
            template: String::new(),
        },
        guard: Guard { max_cleared_share: 1.0, max_cleared_min: 50, freeze_after_flips: 6 },
    };
    Ground::new(policy, account)
}

fn lead() -> Lead {
    Lead {
        id: LeadId(301),
        name: "Чай".to_owned(),
        price: 0,
        pipeline: PipelineId(61),
        status: StatusId(1001),
        responsible: None,
        tags: BTreeSet::from(["Опт".to_owned()]),
        main_contact: None,
        contacts: BTreeSet::new(),
        fields: Fields::new(),
        is_deleted: false,
        created_at: 1,
        updated_at: 1,
    }
}

fn of_lead(wanted: Wanted) -> Result<Vec<Edit>, Option<String>> {
    edits(&ground(), Record::Lead(&lead()), &[wanted]).map_err(|answer| answer.error().map(str::to_owned))
}

fn field_of_lead(field: &str, value: &str) -> Result<Vec<Edit>, Option<String>> {
    of_lead(Wanted::Field { field: field.to_owned(), value: value.to_owned() })
}

fn stage(status: u64, pipeline: Option<u64>) -> Result<Vec<Edit>, Option<String>> {
    of_lead(Wanted::Stage { status: StatusId(status), pipeline: pipeline.map(PipelineId) })
}

fn refused<T>(error: &str) -> Result<T, Option<String>> {
    Err(Some(error.to_owned()))
}

#[test]
fn a_stage_finds_its_pipeline() {
    let at = |pipeline, status| Ok(vec![Edit::Stage { pipeline: PipelineId(pipeline), status: StatusId(status) }]);
    assert_eq!(stage(1002, None), at(61, 1002));
    assert_eq!(stage(2001, None), at(62, 2001));
    assert_eq!(stage(143, None), at(61, 143));
    assert_eq!(stage(143, Some(62)), at(62, 143));
    assert_eq!(stage(1002, Some(62)), refused("status_not_found"));
    assert_eq!(stage(143, Some(99)), refused("status_not_found"));
    assert_eq!(stage(9999, None), refused("status_not_found"));
}

#[test]
fn tags_are_added_and_replaced() {
    let tags = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(of_lead(Wanted::MoreTags(tags(&["опт", "Чай"]))), Ok(vec![Edit::Tags(tags(&["Опт", "Чай"]))]));
    assert_eq!(of_lead(Wanted::Tags(tags(&["Чай"]))), Ok(vec![Edit::Tags(tags(&["Чай"]))]));
}

#[test]
fn fields_go_by_number_and_by_name() {
    let source = Edit::Field { id: SOURCE, kind: FieldKind::Text, elements: vec![Element::text("Бот")] };
    assert_eq!(field_of_lead("2", "Бот"), Ok(vec![source.clone()]));
    assert_eq!(field_of_lead("источник", "Бот"), Ok(vec![source]));
    let courier = Element { choice: Some(EnumId(31)), ..Element::text("Курьер") };
    assert_eq!(
        field_of_lead("Доставка", "курьер"),
        Ok(vec![Edit::Field { id: DELIVERY, kind: FieldKind::Select, elements: vec![courier] }])
    );
    assert_eq!(field_of_lead("3", "Голубь"), refused("wrong_value"));
    assert_eq!(field_of_lead("99", "x"), refused("field_not_found"));
}

#[test]
fn unknown_users_are_refused() {
    assert_eq!(of_lead(Wanted::Responsible(UserId(7))), Ok(vec![Edit::Responsible(UserId(7))]));
    assert_eq!(of_lead(Wanted::Responsible(UserId(8))), refused("user_not_found"));
    assert_eq!(first_user(&ground().account), Some(UserId(7)));
    let task = |user| Work::Task { text: "x".to_owned(), minutes: 1, task_type: 1, responsible: Some(UserId(user)) };
    let is_unknown = |work: &Work| is_unknown(&ground(), Record::Lead(&lead()), work);
    assert!(is_unknown(&task(8)) && !is_unknown(&task(7)));
    assert!(is_unknown(&Work::Field("99".to_owned())) && !is_unknown(&Work::Field("2".to_owned())));
    let courier = Wanted::Field { field: "3".to_owned(), value: "Голубь".to_owned() };
    assert!(!is_unknown(&Work::Change(vec![courier])), "a wrong value stays wrong");
}

#[test]
fn one_more_phone_number_leaves_the_others() {
    let held = vec![Element { code: Some("WORK".to_owned()), ..Element::text("+7 999 000-00-01") }];
    let contact = Contact {
        id: ContactId(101),
        name: "Анна Тест".to_owned(),
        first_name: None,
        last_name: None,
        responsible: None,
        company: None,
        leads: BTreeSet::new(),
        tags: BTreeSet::new(),
        fields: Fields::from([(PHONE, held.clone())]),
        created_at: 1,
        updated_at: 1,
    };
    let numbers = |value: &str| {
        let wanted = Wanted::Field { field: "1".to_owned(), value: value.to_owned() };
        match edits(&ground(), Record::Contact(&contact), &[wanted]).unwrap().remove(0) {
            Edit::Field { elements, .. } => elements,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(numbers("89990000001"), held, "the same number in another spelling");
    let values: Vec<String> = numbers("+79990000002").into_iter().map(|element| element.value).collect();
    assert_eq!(values, ["+7 999 000-00-01", "+79990000002"]);
}
