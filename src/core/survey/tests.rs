//! What would fail later is found before, with the right name.

use super::*;
use crate::core::id::{EnumId, FieldId, StateId, UserId};
use crate::core::model::Pipeline;
use crate::core::policy::{
    CallbackDelivery, CreateClient, CreateContact, Direction, Guard, Notes, Orders, Outgoing, Owner, People, StageRow,
    Trigger, TriggerEvent,
};

fn account() -> Account {
    let field = |name: &str, kind, choices: &[(u64, &str)]| FieldInfo {
        name: name.to_owned(),
        kind,
        code: None,
        choices: choices.iter().map(|(id, name)| (EnumId(*id), (*name).to_owned())).collect(),
    };
    let pipeline = |name: &str, statuses: &[(u64, &str)]| Pipeline {
        name: name.to_owned(),
        statuses: statuses.iter().map(|(id, name)| (StatusId(*id), (*name).to_owned())).collect(),
    };
    Account {
        contact_fields: BTreeMap::from([
            (FieldId(4396817), field("Должность", FieldKind::Text, &[])),
            (FieldId(11), field("Категория", FieldKind::Select, &[(1, "Новый"), (2, "VIP")])),
            (FieldId(12), field("Город", FieldKind::Text, &[])),
            (FieldId(13), field("город", FieldKind::Text, &[])),
            (FieldId(14), field("Юрлицо", FieldKind::Other(15), &[])),
            (FieldId(15), field("Пустой", FieldKind::Select, &[])),
        ]),
        pipelines: BTreeMap::from([(
            PipelineId(61),
            pipeline("Воронка", &[(1001, "Первый"), (1002, "Второй"), (142, "Успех"), (143, "Провал")]),
        )]),
        users: BTreeMap::from([(UserId(1), "Ольга".to_owned()), (UserId(2), "ольга".to_owned())]),
        ..Account::default()
    }
}

fn policy(pairs: &[(&str, &str, Direction)]) -> Policy {
    let rule = |(amo, salebot, direction): &(&str, &str, Direction)| Rule {
        amo: amo.parse().expect("a selector"),
        salebot: salebot.parse().expect("a selector"),
        direction: *direction,
        owner: Owner::Amo,
    };
    Policy {
        rules: pairs.iter().map(rule).collect(),
        people: People {
            default_region: "RU".to_owned(),
            match_by: Vec::new(),
            create_contact: CreateContact::Always,
            create_client: CreateClient::Never,
            create_with: None,
        },
        orders: Orders { enabled: true, direction: Direction::Both, stages: Vec::new() },
        triggers: Vec::new(),
        callbacks: CallbackDelivery::AtMostOnce,
        notes: Notes {
            on_contact: true,
            on_lead: false,
            incoming: true,
            outgoing: Outgoing::All,
            join_within_ms: 0,
            template: String::new(),
        },
        guard: Guard { max_cleared_share: 0.2, max_cleared_min: 50, freeze_after_flips: 6 },
    }
}

/// The one finding of a single pair.
fn of(amo: &str, direction: Direction) -> Option<Finding> {
    let mut found = fields(&policy(&[(amo, "client.x", direction)]), &account());
    assert!(found.len() <= 1, "{found:?}");
    found.pop()
}

#[test]
fn a_mistyped_field_is_told_with_the_right_one() {
    let told = of("contact.field.\"Должность\"", Direction::Both);
    assert_eq!(told, None);
    let told = of("contact.field.\"Должост\"", Direction::Both).expect("a finding");
    assert!(told.is_fault && told.remedy.contains("\"Должность\""), "{told:?}");
    let told = of("contact.field.4396871", Direction::Both).expect("a finding");
    assert!(told.is_fault && told.remedy.contains("4396817 (\"Должность\")"), "{told:?}");
    let told = of("contact.field.\"Знак зодиака\"", Direction::Both).expect("a finding");
    assert!(told.remedy.contains("Должность, ") || told.remedy.contains("Город"), "{told:?}");
    let told = of("contact.phone", Direction::Both).expect("a finding");
    assert!(told.is_fault && told.what.contains("PHONE"), "{told:?}");
}

#[test]
fn a_type_that_is_never_written_may_still_be_read() {
    assert!(of("contact.field.14", Direction::Both).expect("a finding").remedy.contains("to_salebot"));
    assert_eq!(of("contact.field.14", Direction::ToSalebot), None);
}

#[test]
fn names_that_two_fields_have_are_doubtful() {
    let told = of("contact.field.\"ГОРОД\"", Direction::Both).expect("a finding");
    assert!(!told.is_fault && told.remedy.contains("12, 13"), "{told:?}");
    assert!(!of("contact.field.15", Direction::ToAmo).expect("a finding").is_fault);
}

#[test]
fn stages_are_held_against_the_pipelines() {
    let row =
        |pipeline, status| StageRow { pipeline: PipelineId(pipeline), status: StatusId(status), state: StateId(37) };
    let mut policy = policy(&[]);
    assert_eq!(stages(&policy, &account()), []);
    policy.orders.stages = vec![row(61, 1001), row(61, 1009), row(62, 1001)];
    policy.triggers = vec![Trigger {
        on: TriggerEvent::LeadStage,
        pipeline: None,
        status: Some(StatusId(5)),
        callback: "x".to_owned(),
    }];
    let found = stages(&policy, &account());
    assert_eq!(found.iter().filter(|finding| finding.is_fault).count(), 3, "{found:?}");
    assert!(found[0].what.contains("1009") && found[0].remedy.contains("1001 Первый"), "{found:?}");
    assert!(found[1].remedy.contains("61 Воронка"), "{found:?}");
    let uncovered = found.last().expect("one");
    assert!(!uncovered.is_fault && uncovered.what.contains("61:1002 Второй"), "{uncovered:?}");
    assert!(!uncovered.what.contains("142"), "won and lost need no row: {uncovered:?}");
}

#[test]
fn users_who_cannot_be_told_apart_are_named() {
    let both = policy(&[("contact.responsible", "client.manager", Direction::Both)]);
    assert!(users(&both, &account())[0].what.contains("same name"));
    let one_way = policy(&[("contact.responsible", "client.manager", Direction::ToSalebot)]);
    assert_eq!(users(&one_way, &account()), []);
    assert!(users(&one_way, &Account::default())[0].remedy.contains("administrator"));
    assert_eq!(users(&policy(&[]), &Account::default()), []);
}

#[test]
fn a_value_that_is_no_choice_is_told_with_the_nearest() {
    let policy = policy(&[("contact.field.11", "client.category", Direction::Both)]);
    let with =
        |value: &str| choices(&policy, &account(), &Variables::from([("category".to_owned(), value.to_owned())]));
    assert_eq!(with("vip"), []);
    assert_eq!(with(""), []);
    assert!(with("Новы")[0].remedy.contains("\"Новый\""));
    assert!(with("Постоянный покупатель")[0].remedy.contains("Новый, VIP"));
    assert!(with(&"я".repeat(500))[0].what.chars().count() < 150, "a long value is cut");
}

#[test]
fn variables_that_stand_for_one_number_are_told() {
    let mut account = account();
    let phones = FieldInfo {
        name: "Телефон".to_owned(),
        kind: FieldKind::Multitext,
        code: Some("PHONE".to_owned()),
        choices: BTreeMap::new(),
    };
    account.contact_fields.insert(FieldId(20), phones);
    let told = |second: &str, direction| {
        let pairs = [
            ("contact.phone", "client.phone", Direction::Both),
            (second, "client.phone2", direction),
            ("contact.field.12", "client.city", Direction::Both),
        ];
        fields(&policy(&pairs), &account)
    };
    for second in ["contact.phone", "contact.field.20"] {
        let found = told(second, Direction::Both);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            !found[0].is_fault && found[0].what.starts_with("`client.phone`, `client.phone2` both hold"),
            "{found:?}"
        );
        assert!(found[0].remedy.contains("\"to_amo\" for `client.phone2`"), "{found:?}");
    }
    // One that only adds, one that only shows, and another field.
    assert_eq!(told("contact.phone", Direction::ToAmo), []);
    assert_eq!(told("contact.phone", Direction::ToSalebot), []);
    assert_eq!(told("contact.field.4396817", Direction::Both), []);
}
