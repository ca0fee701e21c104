//! Who lives in the town: contacts and leads that the managers entered, and people who write.
//!
//! The same seed and the same numbers give the same town.

use super::dice::Dice;
use super::names;
use crate::amo::Amo;
use crate::amo::account::{STATUS_LOST, STATUS_WON};
use crate::amo::edit::{ContactDraft, LeadDraft};
use crate::amo::fixture::{
    FIELD_POSITION, FIELD_SELECT, PIPELINE_MAIN, PIPELINE_SERVICE, SELECT_CHOICES, USER_SALES, USER_SUPPORT,
};
use crate::amo::records::FieldValue;
use crate::salebot::project::messenger;
use std::collections::BTreeMap;

/// Most people who write: enough for a crowd.
pub const TOWN_MAX: usize = 20_000;
/// Most contacts; nearly all of them never write.
pub const CONTACTS_MAX: usize = 1_000_000;
/// Phone numbers from here on are those of people nobody has entered: behind those of every contact.
const NEWCOMERS_FROM: usize = 5_000_000;

const POSITIONS: [&str; 5] = ["Директор", "Закупщик", "Бухгалтер", "Логист", "Технолог"];
const GOODS: [&str; 5] = ["Чай листовой", "Кофе в зёрнах", "Посуда", "Подарочный набор", "Сладости"];
const STAGES: [(u64, u64); 7] = [
    (PIPELINE_MAIN, 1001),
    (PIPELINE_MAIN, 1002),
    (PIPELINE_MAIN, 1003),
    (PIPELINE_SERVICE, 2001),
    (PIPELINE_SERVICE, 2002),
    (PIPELINE_MAIN, STATUS_WON),
    (PIPELINE_MAIN, STATUS_LOST),
];

/// What the business knows of a person before they write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A contact with a phone, who has written to the bot before.
    Regular,
    /// A contact, recognised by the phone number that is the messenger's id.
    ByPhone,
    /// A contact, recognised by e-mail.
    ByEmail,
    /// A contact with a phone, who writes in two messengers.
    Everywhere,
    /// Nobody's contact; the bot knows the phone.
    Newcomer,
    /// Nobody's contact, and writes in two messengers with one phone.
    TwoDoors,
    /// Nobody's contact, without a phone or e-mail.
    Stranger,
}

/// One messenger in which a person writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// The messenger's number.
    pub client_type: i64,
    /// The bot.
    pub group: &'static str,
    /// The id in the messenger.
    pub platform_id: String,
    /// Variables the bot has asked for.
    pub variables: Vec<(&'static str, String)>,
}

/// Somebody who writes to the bots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The name in the messengers; no two people share one.
    pub name: String,
    /// What is known of them.
    pub role: Role,
    /// The phone number in digits, `79990000001`, where the business can know it.
    pub phone: Option<String>,
    /// The e-mail address, where the business can know it.
    pub email: Option<String>,
    /// The contact the managers entered before.
    pub contact: Option<u64>,
    /// Where they write; never empty.
    pub doors: Vec<Door>,
}

/// Everybody, and what the managers entered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cast {
    /// Who writes.
    pub people: Vec<Person>,
    /// Contacts entered before, also those who never write.
    pub contacts: Vec<u64>,
    /// Leads entered before.
    pub leads: Vec<u64>,
}

/// Enters contacts and leads, and makes up the people.
pub(super) fn settle(amo: &mut Amo, now_ms: i64, seed: u64, contacts: usize, people: usize) -> Cast {
    let (contacts, people) = (contacts.min(CONTACTS_MAX), people.min(TOWN_MAX));
    let mut dice = Dice::seeded(seed);
    let mut cast = Cast::default();
    for number in 0..contacts {
        let id = amo.add_contact(now_ms, contact_draft(&mut dice, number));
        cast.contacts.push(id);
        if number % 2 == 0 {
            cast.leads.push(amo.create_lead(now_ms, lead_draft(&mut dice, number, id)));
        }
    }
    let mut entered = cast.contacts.iter().copied().enumerate();
    for number in 0..people {
        let person = make_person(&mut dice, number, contacts, || entered.next());
        cast.people.push(person);
    }
    cast
}

fn contact_draft(dice: &mut Dice, number: usize) -> ContactDraft {
    let mut fields = BTreeMap::new();
    if dice.percent(60) {
        let position = dice.choose(&POSITIONS).copied().unwrap_or_default();
        fields.insert(FIELD_POSITION, vec![FieldValue::plain(position)]);
    }
    if dice.percent(40) {
        let (choice, value) = [(0, "Новый"), (1, "Постоянный"), (2, "VIP")][dice.below(3)];
        fields.insert(FIELD_SELECT, vec![FieldValue::chosen(value, SELECT_CHOICES[choice])]);
    }
    ContactDraft {
        name: names::full_name(number),
        phones: vec![names::typed(&names::phone(number), dice.below(4))],
        emails: vec![names::email(number)],
        fields,
        responsible_user_id: Some([USER_SALES, USER_SUPPORT][dice.below(2)]),
        ..ContactDraft::default()
    }
}

fn lead_draft(dice: &mut Dice, number: usize, contact: u64) -> LeadDraft {
    LeadDraft {
        name: lead_name(dice, number),
        contact_ids: vec![contact],
        stage: dice.choose(&STAGES).copied(),
        price: price(dice),
        ..LeadDraft::default()
    }
}

/// What a lead is called; the number tells it from all others.
pub(super) fn lead_name(dice: &mut Dice, number: usize) -> String {
    format!("{} №{number}", dice.choose(&GOODS).copied().unwrap_or_default())
}

/// A budget in whole roubles.
pub(super) fn price(dice: &mut Dice) -> i64 {
    i64::try_from(dice.below(900)).unwrap_or(0) * 100 + 1_000
}

/// A job title.
pub(super) fn position(dice: &mut Dice) -> &'static str {
    dice.choose(&POSITIONS).copied().unwrap_or_default()
}

/// Person number so-and-so. Who is to be known takes the next contact; when there are none left, the
/// person is a newcomer.
fn make_person(
    dice: &mut Dice,
    number: usize,
    contacts: usize,
    mut next_contact: impl FnMut() -> Option<(usize, u64)>,
) -> Person {
    let wanted = [
        Role::Regular,
        Role::Newcomer,
        Role::Regular,
        Role::ByPhone,
        Role::TwoDoors,
        Role::ByEmail,
        Role::Stranger,
        Role::Everywhere,
        Role::Newcomer,
        Role::Regular,
    ][number % 10];
    let is_known = matches!(wanted, Role::Regular | Role::ByPhone | Role::ByEmail | Role::Everywhere);
    let entered = if is_known { next_contact() } else { None };
    let role = if is_known && entered.is_none() { Role::Newcomer } else { wanted };
    let key = entered.map_or(NEWCOMERS_FROM + number, |(place, _)| place);
    let name = names::full_name(entered.map_or(contacts + number, |(place, _)| place));
    let (phone, email) = (names::phone(key), names::email(key));
    let doors = doors(dice, role, number, &phone, &email);
    Person {
        name,
        role,
        phone: (!matches!(role, Role::ByEmail | Role::Stranger)).then_some(phone),
        email: (role == Role::ByEmail).then_some(email),
        contact: entered.map(|(_, id)| id),
        doors,
    }
}

fn doors(dice: &mut Dice, role: Role, number: usize, phone: &str, email: &str) -> Vec<Door> {
    let messenger_id = (600_000_001 + number).to_string();
    let door = |client_type, group, variables: Vec<(&'static str, String)>| Door {
        client_type,
        group,
        platform_id: messenger_id.clone(),
        variables,
    };
    let typed = names::typed(phone, dice.below(4));
    let telegram = door(messenger::TELEGRAM, "some_bot", vec![("client.phone", typed.clone())]);
    let whatsapp = Door { platform_id: phone.to_owned(), ..door(messenger::WHATSAPP, "34810", Vec::new()) };
    match role {
        // What a bot has asked for long ago stands there as plain digits, and can be searched for.
        Role::Regular => vec![door(messenger::TELEGRAM, "some_bot", vec![("client.phone", phone.to_owned())])],
        Role::Newcomer if dice.percent(50) => vec![telegram],
        Role::Newcomer => vec![door(messenger::VKONTAKTE, "143000131", vec![("client.phone", typed)])],
        Role::ByPhone => vec![whatsapp],
        Role::ByEmail => vec![door(messenger::VKONTAKTE, "143000131", vec![("client.email", email.to_owned())])],
        Role::Everywhere | Role::TwoDoors => vec![telegram, whatsapp],
        Role::Stranger if dice.percent(50) => vec![door(messenger::VIBER, "11", Vec::new())],
        Role::Stranger => vec![door(messenger::ONLINE_CHAT, "5kqEXAMPLExamplechatw==", Vec::new())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amo::AmoOptions;
    use std::collections::BTreeSet;

    fn cast(seed: u64, contacts: usize, people: usize) -> Cast {
        settle(&mut Amo::new(AmoOptions::default()), 1_779_978_822_500, seed, contacts, people)
    }

    #[test]
    fn the_same_seed_makes_the_same_town() {
        assert_eq!(cast(7, 50, 30), cast(7, 50, 30));
        assert_ne!(cast(7, 50, 30), cast(8, 50, 30));
    }

    #[test]
    fn nobody_shares_a_name_a_phone_or_a_contact() {
        let people = cast(1, 200, 300).people;
        for kept in [
            people.iter().map(|person| Some(person.name.clone())).collect::<Vec<_>>(),
            people.iter().map(|person| person.phone.clone()).collect(),
            people.iter().map(|person| person.contact.map(|id| id.to_string())).collect(),
        ] {
            let kept: Vec<String> = kept.into_iter().flatten().collect();
            assert_eq!(kept.iter().collect::<BTreeSet<_>>().len(), kept.len());
        }
        assert!(people.iter().all(|person| !person.doors.is_empty()));
    }

    #[test]
    fn without_contacts_everybody_is_new() {
        assert!(cast(1, 0, 20).people.iter().all(|person| person.contact.is_none()));
    }
}
