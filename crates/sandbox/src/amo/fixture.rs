//! A ready-made account: the field numbers of the documentation's examples, two pipelines, three users.

use std::collections::BTreeMap;

use super::account::{
    Account, Choice, Field, FieldCatalog, FieldKind, Pipeline, STATUS_LOST, STATUS_WON, Status, User,
};

/// The phone field of contacts; its choices are [`PHONE_CHOICES`].
pub const FIELD_PHONE: u64 = 4_396_818;
/// The e-mail field of contacts.
pub const FIELD_EMAIL: u64 = 4_396_819;
/// The job title of contacts.
pub const FIELD_POSITION: u64 = 4_396_817;
/// The messengers of contacts.
pub const FIELD_IM: u64 = 4_396_821;
/// The address in parts.
pub const FIELD_ADDRESS: u64 = 4_400_115;
/// A list with several choices at once.
pub const FIELD_MULTISELECT: u64 = 4_400_116;
/// A checkbox.
pub const FIELD_CHECKBOX: u64 = 4_400_117;
/// A day.
pub const FIELD_DATE: u64 = 4_400_118;
/// A day with a time.
pub const FIELD_DATE_TIME: u64 = 4_400_119;
/// A number.
pub const FIELD_NUMERIC: u64 = 4_400_120;
/// A list with one choice.
pub const FIELD_SELECT: u64 = 4_400_121;
/// A web address.
pub const FIELD_URL: u64 = 4_400_122;
/// Text of many lines.
pub const FIELD_TEXTAREA: u64 = 4_400_123;
/// A birthday.
pub const FIELD_BIRTHDAY: u64 = 4_400_124;
/// A one-line text, meant for the client's number in Salebot.
pub const FIELD_CLIENT_ID: u64 = 4_400_204;
/// A one-line text of leads.
pub const FIELD_LEAD_SOURCE: u64 = 4_500_301;
/// A number of leads.
pub const FIELD_LEAD_DISCOUNT: u64 = 4_500_302;
/// A list of leads with one choice.
pub const FIELD_LEAD_DELIVERY: u64 = 4_500_303;
/// A day of leads.
pub const FIELD_LEAD_SHIPPING: u64 = 4_500_304;
/// A list of leads with several choices.
pub const FIELD_LEAD_GOODS: u64 = 4_500_305;
/// The phone field of companies.
pub const FIELD_COMPANY_PHONE: u64 = 4_396_918;

/// The kinds of phones: `WORK, WORKDD, MOB, FAX, HOME, OTHER` in this order.
pub const PHONE_CHOICES: [u64; 6] = [3_685_083, 3_685_085, 3_685_087, 3_685_088, 3_685_089, 3_685_090];
/// The kinds of e-mails: `WORK, PRIV, OTHER`.
pub const EMAIL_CHOICES: [u64; 3] = [3_685_091, 3_685_092, 3_685_093];
/// The choices `1, 2, 3` of [`FIELD_MULTISELECT`].
pub const MULTISELECT_CHOICES: [u64; 3] = [3_692_662, 3_692_663, 3_692_664];
/// The choices of [`FIELD_SELECT`].
pub const SELECT_CHOICES: [u64; 3] = [3_692_671, 3_692_672, 3_692_673];
/// The choices of [`FIELD_LEAD_DELIVERY`].
pub const DELIVERY_CHOICES: [u64; 2] = [3_692_681, 3_692_682];

/// The user whose token the integration holds.
pub const USER_ADMIN: u64 = 504_141;
/// A salesperson.
pub const USER_SALES: u64 = 504_142;
/// Another salesperson, in a group of their own.
pub const USER_SUPPORT: u64 = 504_143;

/// The main pipeline: 1001, 1002, 1003, 142, 143.
pub const PIPELINE_MAIN: u64 = 61;
/// The second pipeline: 2001, 2002, 142, 143.
pub const PIPELINE_SERVICE: u64 = 62;

/// An account in Moscow time with every kind of field, ready for a demonstration.
pub fn account() -> Account {
    Account {
        id: 13_667_499,
        name: "Sandbox".into(),
        subdomain: "sandbox".into(),
        timezone: "Europe/Moscow".into(),
        currency: "RUB".into(),
        current_user: USER_ADMIN,
        users: users(),
        groups: BTreeMap::from([(0, "Отдел продаж".into()), (7, "Поддержка".into())]),
        fields: FieldCatalog { contacts: contact_fields(), leads: lead_fields(), companies: company_fields() },
        pipelines: pipelines(),
        task_types: BTreeMap::from([(1, "Звонок".into()), (2, "Встреча".into()), (3, "Письмо".into())]),
    }
}

fn users() -> BTreeMap<u64, User> {
    let user = |id, name: &str, login: &str, group_id, is_admin| User {
        id,
        name: name.into(),
        login: login.into(),
        group_id,
        is_admin,
        is_active: true,
        is_free: false,
        rights: BTreeMap::new(),
    };
    [
        user(USER_ADMIN, "Ольга Админова", "olga@example.test", 0, true),
        user(USER_SALES, "Пётр Продажин", "petr@example.test", 0, false),
        user(USER_SUPPORT, "Софья Помощь", "sofya@example.test", 7, false),
    ]
    .into_iter()
    .map(|user| (user.id, user))
    .collect()
}

fn contact_fields() -> Vec<Field> {
    vec![
        system(FIELD_POSITION, "Должность", "POSITION", FieldKind::Text, vec![]),
        phone(FIELD_PHONE, PHONE_CHOICES),
        system(
            FIELD_EMAIL,
            "Email",
            "EMAIL",
            FieldKind::Multitext,
            choices(&EMAIL_CHOICES, &["WORK", "PRIV", "OTHER"]),
        ),
        system(
            FIELD_IM,
            "Мгн. сообщения",
            "IM",
            FieldKind::Multitext,
            choices(
                &[3_685_096, 3_685_097, 3_685_098, 3_685_099, 3_685_100, 3_685_101],
                &["SKYPE", "ICQ", "JABBER", "GTALK", "MSN", "OTHER"],
            ),
        ),
        custom(FIELD_ADDRESS, "Адрес", FieldKind::SmartAddress, vec![]),
        custom(
            FIELD_MULTISELECT,
            "Мультисписок",
            FieldKind::Multiselect,
            choices(&MULTISELECT_CHOICES, &["1", "2", "3"]),
        ),
        custom(FIELD_CHECKBOX, "Согласие на рассылку", FieldKind::Checkbox, vec![]),
        custom(FIELD_DATE, "Дата договора", FieldKind::Date, vec![]),
        custom(FIELD_DATE_TIME, "Время встречи", FieldKind::DateTime, vec![]),
        custom(FIELD_NUMERIC, "Бонусы", FieldKind::Numeric, vec![]),
        custom(FIELD_SELECT, "Категория", FieldKind::Select, choices(&SELECT_CHOICES, &["Новый", "Постоянный", "VIP"])),
        custom(FIELD_URL, "Сайт", FieldKind::Url, vec![]),
        custom(FIELD_TEXTAREA, "Комментарий", FieldKind::Textarea, vec![]),
        custom(FIELD_BIRTHDAY, "День рождения", FieldKind::Birthday, vec![]),
        custom(FIELD_CLIENT_ID, "Salebot client id", FieldKind::Text, vec![]),
    ]
}

fn lead_fields() -> Vec<Field> {
    vec![
        custom(FIELD_LEAD_SOURCE, "Источник", FieldKind::Text, vec![]),
        custom(FIELD_LEAD_DISCOUNT, "Скидка", FieldKind::Numeric, vec![]),
        custom(
            FIELD_LEAD_DELIVERY,
            "Доставка",
            FieldKind::Select,
            choices(&DELIVERY_CHOICES, &["Курьер", "Самовывоз"]),
        ),
        custom(FIELD_LEAD_SHIPPING, "Дата отгрузки", FieldKind::Date, vec![]),
        custom(FIELD_LEAD_GOODS, "Товары", FieldKind::Multiselect, choices(&[3_692_691, 3_692_692], &["Чай", "Кофе"])),
    ]
}

fn company_fields() -> Vec<Field> {
    vec![phone(FIELD_COMPANY_PHONE, [3_685_183, 3_685_185, 3_685_187, 3_685_188, 3_685_189, 3_685_190])]
}

fn phone(id: u64, ids: [u64; 6]) -> Field {
    let kinds = choices(&ids, &["WORK", "WORKDD", "MOB", "FAX", "HOME", "OTHER"]);
    system(id, "Телефон", "PHONE", FieldKind::Multitext, kinds)
}

fn choices(ids: &[u64], values: &[&str]) -> Vec<Choice> {
    ids.iter().zip(values).map(|(&id, &value)| Choice { id, value: value.into() }).collect()
}

fn system(id: u64, name: &str, code: &str, kind: FieldKind, choices: Vec<Choice>) -> Field {
    Field { id, name: name.into(), code: Some(code.into()), kind, is_system: true, choices }
}

fn custom(id: u64, name: &str, kind: FieldKind, choices: Vec<Choice>) -> Field {
    Field { id, name: name.into(), code: None, kind, is_system: false, choices }
}

fn pipelines() -> BTreeMap<u64, Pipeline> {
    let main = pipeline(
        PIPELINE_MAIN,
        "Воронка",
        true,
        &[(1001, "Первичный контакт"), (1002, "Переговоры"), (1003, "Ожидание оплаты")],
    );
    let service = pipeline(PIPELINE_SERVICE, "Сервис", false, &[(2001, "Обращение"), (2002, "В работе")]);
    BTreeMap::from([(main.id, main), (service.id, service)])
}

fn pipeline(id: u64, name: &str, is_main: bool, stages: &[(u64, &str)]) -> Pipeline {
    let open = stages.iter().zip(1..).map(|(&(id, name), place)| Status { id, name: name.into(), sort: place * 10 });
    let closing = [
        Status { id: STATUS_WON, name: "Успешно реализовано".into(), sort: 10_000 },
        Status { id: STATUS_LOST, name: "Закрыто и не реализовано".into(), sort: 11_000 },
    ];
    Pipeline { id, name: name.into(), is_main, statuses: open.chain(closing).collect() }
}
