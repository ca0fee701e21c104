//! What is proposed for accounts and projects as people name things.

use super::*;

fn field(name: &str, kind: FieldKind, code: Option<&str>) -> FieldInfo {
    FieldInfo { name: name.to_owned(), kind, code: code.map(str::to_owned), choices: BTreeMap::new() }
}

fn account(contact: &[(u64, &str, FieldKind)], lead: &[(u64, &str, FieldKind)]) -> Account {
    let fields = |list: &[(u64, &str, FieldKind)]| {
        list.iter().map(|(id, name, kind)| (FieldId(*id), field(name, *kind, None))).collect::<BTreeMap<_, _>>()
    };
    let mut account = Account { contact_fields: fields(contact), lead_fields: fields(lead), ..Account::default() };
    account.contact_fields.insert(FieldId(1), field("Телефон", FieldKind::Multitext, Some("PHONE")));
    account.contact_fields.insert(FieldId(2), field("Email", FieldKind::Multitext, Some("EMAIL")));
    account
}

fn seen(clients: &[&str], orders: &[&str]) -> Seen {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Seen { client_variables: set(clients), order_variables: set(orders), states: BTreeSet::new() }
}

/// `amo salebot` of what is certain, and of what is not.
fn told(proposals: &[Proposal]) -> (Vec<String>, Vec<String>) {
    let (sure, unsure): (Vec<_>, Vec<_>) = proposals.iter().partition(|pair| pair.is_certain);
    let text = |pairs: Vec<&Proposal>| pairs.iter().map(|pair| format!("{} {}", pair.amo, pair.salebot)).collect();
    (text(sure), text(unsure))
}

#[test]
fn names_in_two_languages_find_each_other() {
    let account = account(
        &[(11, "Должность", FieldKind::Text), (12, "Город", FieldKind::Text), (13, "Любимый цвет", FieldKind::Text)],
        &[(21, "Источник", FieldKind::Text), (22, "Скидка", FieldKind::Numeric)],
    );
    let proposals = propose(&account, &seen(&["position", "gorod", "phone", "liubimyi_tsvet"], &["source"]));
    let (sure, unsure) = told(&proposals);
    assert_eq!(
        sure,
        [
            "contact.phone client.phone",
            "contact.email client.email",
            "contact.field.11 client.position",
            "contact.field.12 client.gorod",
            "contact.field.13 client.liubimyi_tsvet",
            "lead.price order.budget",
            "lead.field.21 order.source",
        ]
    );
    assert_eq!(
        unsure,
        ["contact.name client.crm_name", "contact.responsible client.crm_manager", "lead.field.22 order.discount"]
    );
}

#[test]
fn what_is_only_alike_is_not_certain() {
    let account = account(&[(11, "Категория клиента", FieldKind::Text), (12, "Citys", FieldKind::Text)], &[]);
    let (sure, unsure) = told(&propose(&account, &seen(&["kategoriia", "city"], &[])));
    assert!(sure.iter().all(|pair| !pair.contains("field")), "{sure:?}");
    assert!(unsure.contains(&"contact.field.11 client.kategoriia".to_owned()), "{unsure:?}");
}

#[test]
fn two_fields_for_one_variable_are_a_question() {
    let account = account(&[(11, "Город", FieldKind::Text), (12, "City", FieldKind::Text)], &[]);
    let proposals = propose(&account, &seen(&["city"], &[]));
    let of_city: Vec<_> = proposals.iter().filter(|pair| pair.salebot == "client.city").collect();
    assert_eq!(of_city.len(), 2);
    assert!(of_city.iter().all(|pair| !pair.is_certain), "{of_city:?}");
}

#[test]
fn what_cannot_be_written_only_travels_one_way() {
    let account = account(
        &[
            (11, "Город", FieldKind::Other(15)),
            (12, "Мессенджеры", FieldKind::Multitext),
            (13, "Salebot client ID", FieldKind::Text),
            (14, "Имя", FieldKind::Text),
        ],
        &[],
    );
    let proposals = propose(&account, &seen(&["city", "name", "avatar"], &[]));
    let of = |id: &str| proposals.iter().find(|pair| pair.amo == format!("contact.field.{id}"));
    assert_eq!(of("11").map(|pair| pair.direction), Some(Direction::ToSalebot));
    assert_eq!(of("12"), None);
    let client_id = of("13").expect("proposed");
    assert_eq!(
        (client_id.salebot.as_str(), client_id.direction, client_id.is_certain),
        ("client.id", Direction::ToAmo, true)
    );
    assert_eq!(of("14").map(|pair| (pair.salebot.as_str(), pair.is_certain)), Some(("client.first_name", false)));
    assert!(proposals.iter().all(|pair| pair.salebot != "client.name" && pair.salebot != "client.avatar"));
}

#[test]
fn a_phone_field_of_ones_own_does_not_take_the_phone() {
    let account = account(&[(11, "Мобильный", FieldKind::Text)], &[]);
    let (sure, unsure) = told(&propose(&account, &seen(&["phone"], &[])));
    assert!(sure.contains(&"contact.phone client.phone".to_owned()));
    assert_eq!(unsure.last().map(String::as_str), Some("contact.field.11 client.phone"));
}
