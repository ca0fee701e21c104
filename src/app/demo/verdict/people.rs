//! People and contacts: nobody twice, nobody missing, no group chat among them.

use super::{Row, Truth};
use crate::sandbox::amo::fixture::{FIELD_CLIENT_ID, FIELD_EMAIL, FIELD_PHONE};
use crate::sandbox::amo::records::Contact;
use std::collections::{BTreeMap, BTreeSet};

/// The last ten digits: the same however the country code is typed.
pub(super) fn national(phone: &str) -> String {
    let digits: Vec<char> = phone.chars().filter(char::is_ascii_digit).collect();
    digits[digits.len().saturating_sub(10)..].iter().collect()
}

/// A contact's phone numbers in that form.
pub(super) fn phones(contact: &Contact) -> BTreeSet<String> {
    contact.card.texts(FIELD_PHONE).into_iter().map(national).collect()
}

pub(super) fn rows(truth: &Truth<'_>) -> Vec<Row> {
    let writers = truth.writers();
    let not_one = |person: &usize| {
        let contacts = truth.contacts_of(*person);
        (contacts.len() != 1).then(|| format!("person {person}: {} contacts", contacts.len()))
    };
    let wrong: Vec<String> = writers.iter().filter_map(not_one).collect();
    let newcomers = writers.iter().filter(|person| truth.cast.people[**person].contact.is_none()).count();
    vec![
        Row::all("people who wrote, each with one contact", writers.len(), &wrong),
        Row::equal("contacts in all", truth.cast.contacts.len() + newcomers, truth.amo.contact_count()),
        Row::none("contacts that share a phone, e-mail or client", &doubles(truth)),
        Row::none("contacts made from group chats", &of_groups(truth)),
    ]
}

fn doubles(truth: &Truth<'_>) -> Vec<String> {
    let mut holders: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for contact in truth.amo.contacts() {
        let emails = contact.card.texts(FIELD_EMAIL).into_iter().map(str::to_lowercase);
        let clients = contact.card.texts(FIELD_CLIENT_ID).into_iter().map(|id| format!("client {id}"));
        let keys: BTreeSet<String> = phones(contact).into_iter().chain(emails).chain(clients).collect();
        for key in keys {
            holders.entry(key).or_default().push(contact.card.id);
        }
    }
    let shared = holders.into_values().filter(|holders| holders.len() > 1);
    shared.map(|holders| format!("contacts {holders:?}")).collect()
}

fn of_groups(truth: &Truth<'_>) -> Vec<String> {
    let groups: Vec<_> = truth.groups.iter().filter_map(|id| truth.salebot.client(*id)).collect();
    let is_group = |contact: &&Contact| {
        let ids = contact.card.texts(FIELD_CLIENT_ID);
        groups.iter().any(|group| {
            group.name.as_deref() == Some(contact.card.name.as_str()) || ids.contains(&group.id.to_string().as_str())
        })
    };
    truth.amo.contacts().filter(is_group).map(|contact| format!("contact {}", contact.card.id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_is_the_same_however_it_is_typed() {
        for phone in ["+7 999 000-00-01", "8 (999) 000-00-01", "79990000001", "9990000001"] {
            assert_eq!(national(phone), "9990000001");
        }
        assert_eq!(national("12"), "12");
    }
}
