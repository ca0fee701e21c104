//! Who is this client? An existing contact, a new one, or nobody yet.

use super::ground::{Ground, client_fact};
use super::push_edit;
use crate::core::action::{Action, Edit};
use crate::core::id::ContactId;
use crate::core::link::{Base, Bases, Content};
use crate::core::model::{Client, Contact, Element, FieldKind, Variables};
use crate::core::people::MatchKey;
use crate::core::policy::CreateContact;
use crate::core::selector::SalebotField;
use crate::core::shape;
use crate::core::text;
use crate::core::time::Millis;
use std::collections::BTreeSet;

/// What is known of a client without a contact.
#[derive(Debug, Clone, Copy)]
pub struct Newcomer<'a> {
    /// The client.
    pub client: &'a Client,
    /// Its variables.
    pub variables: &'a Variables,
    /// Contacts it may be: named by the client, or found by phone or e-mail. Checked here.
    pub candidates: &'a [Contact],
    /// Keys of contacts that are being made at this moment.
    pub being_made: &'a BTreeSet<MatchKey>,
    /// Now, for the creation time.
    pub now: Millis,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// This contact. `others`: more contacts that match as well; the oldest was taken.
    Known {
        /// The contact.
        contact: ContactId,
        /// Other matches.
        others: Vec<ContactId>,
    },
    /// A contact is to be made.
    New(Box<Action>),
    /// A contact with one of the client's keys is being made: ask again when it is there.
    Soon,
    /// Nobody yet: the policy makes no contact from what is known.
    Nobody,
}

/// The contact's id that the client itself names: the variable of the removed integration.
pub fn named_contact(variables: &Variables) -> Option<ContactId> {
    let named = ["amo_contact_id", "amo_client_id"].into_iter().find_map(|name| variables.get(name));
    named.and_then(|text| text.trim().parse().ok()).filter(|id| *id > 0).map(ContactId)
}

/// Decides. Candidates are taken in the policy's order: named, then by phone, then by e-mail.
pub fn arrive(ground: &Ground, newcomer: Newcomer<'_>) -> Arrival {
    let keys = ground.client_keys(newcomer.client, newcomer.variables);
    let named =
        named_contact(newcomer.variables).filter(|id| newcomer.candidates.iter().any(|contact| contact.id == *id));
    if let Some(contact) = named {
        return Arrival::Known { contact, others: Vec::new() };
    }
    for key in &keys {
        let mut found: Vec<ContactId> = newcomer
            .candidates
            .iter()
            .filter(|contact| ground.contact_keys(contact).contains(key))
            .map(|contact| contact.id)
            .collect();
        found.sort_unstable();
        found.dedup();
        if let Some((contact, others)) = found.split_first() {
            return Arrival::Known { contact: *contact, others: others.to_vec() };
        }
    }
    if keys.iter().any(|key| newcomer.being_made.contains(key)) {
        return Arrival::Soon;
    }
    let wanted = match ground.policy.people.create_contact {
        CreateContact::Always => true,
        CreateContact::WithPhoneOrEmail => !keys.is_empty(),
        CreateContact::Never => false,
    };
    if !wanted || newcomer.client.is_group_chat() {
        return Arrival::Nobody;
    }
    Arrival::New(Box::new(draft(ground, newcomer, keys)))
}

/// The contact with everything the client brings along.
fn draft(ground: &Ground, newcomer: Newcomer<'_>, keys: Vec<MatchKey>) -> Action {
    let mut edits = Vec::new();
    let mut places = BTreeSet::new();
    let mut bases = Bases::new();
    for rule in ground.contact_rules.iter().filter(|rule| rule.rule.direction.writes_amo()) {
        let Some(text) = client_text(ground, newcomer, &rule.rule.salebot) else { continue };
        let Ok(content) = shape::from_salebot(&rule.slot.form, &text) else { continue };
        if content.is_empty() || places.contains(&rule.slot.place) {
            continue;
        }
        if let Some(edit) = shape::edit(&rule.slot, &content, None, ground.region()) {
            places.insert(rule.slot.place.clone());
            push_edit(&mut edits, &rule.slot, edit);
            bases.insert(rule.key.clone(), born_base(content, text));
        }
    }
    for key in &keys {
        add_key(ground, &mut edits, key);
    }
    if !edits.iter().any(|edit| matches!(edit, Edit::Name(_))) {
        edits.insert(0, Edit::Name(display_name(newcomer)));
    }
    Action::CreateContact {
        edits,
        created_at: newcomer.now.seconds(),
        clients: BTreeSet::from([newcomer.client.id]),
        keys: keys.into_iter().collect(),
        bases,
    }
}

fn client_text(ground: &Ground, newcomer: Newcomer<'_>, field: &SalebotField) -> Option<String> {
    match field {
        SalebotField::Client(name) => newcomer.variables.get(name).cloned(),
        SalebotField::Fact(fact) => client_fact(newcomer.client, *fact, &ground.zone),
        SalebotField::Order(_) => None,
    }
}

/// The base of a value the contact is made with: agreed, whatever amoCRM makes of it.
fn born_base(content: Content, text: String) -> Base {
    Base {
        ours: content.iter().cloned().collect(),
        sent_amo: vec![content.clone()],
        amo: Some(content),
        salebot: Some(vec![text]),
        ..Base::default()
    }
}

/// A phone number or e-mail address the contact must be found by, though no pair maps it.
fn add_key(ground: &Ground, edits: &mut Vec<Edit>, key: &MatchKey) {
    let (code, kind, value) = match key {
        MatchKey::Phone(phone) => ("PHONE", "MOB", phone),
        MatchKey::Email(email) => ("EMAIL", "WORK", email),
    };
    let Ok(id) = shape::system_field(&ground.account, code) else { return };
    let element = Element { code: Some(kind.to_owned()), ..Element::text(value) };
    let held = edits.iter_mut().find_map(|edit| match edit {
        Edit::Field { id: held, elements, .. } if *held == id => Some(elements),
        _ => None,
    });
    let same = |element: &Element| match key {
        MatchKey::Phone(_) => crate::core::people::phone_key(&element.value, ground.region()).as_ref() == Some(key),
        MatchKey::Email(_) => crate::core::people::email_key(&element.value).as_ref() == Some(key),
    };
    match held {
        Some(elements) if elements.iter().any(same) => {}
        Some(elements) => elements.push(element),
        None => edits.push(Edit::Field { id, kind: FieldKind::Multitext, elements: vec![element] }),
    }
}

/// A name for the contact: amoCRM requires one.
fn display_name(newcomer: Newcomer<'_>) -> String {
    let known = [
        newcomer.variables.get("full_name"),
        newcomer.client.name.as_ref(),
        newcomer.variables.get("name"),
        newcomer.variables.get("tg_username"),
    ];
    let readable = |name: &String| {
        let name = text::unified(&text::without_supplementary(name, ""));
        (!name.is_empty()).then_some(name)
    };
    known.into_iter().flatten().find_map(readable).unwrap_or_else(|| match &newcomer.client.platform_id {
        Some(platform_id) => format!("Salebot {platform_id}"),
        None => format!("Salebot {}", newcomer.client.id),
    })
}
