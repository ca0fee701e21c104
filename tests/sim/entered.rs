//! What people entered by hand, and whether the last word on each value is still there.
//!
//! That both sides agree is not enough: they could agree on what somebody had before the last edit.

use crate::checks::{contacts_of, has_client, subscriber};
use crate::world::{Person, World};
use salebridge::core::action::LinkRef;
use salebridge::core::id::LeadId;
use salebridge::sandbox::amo::records::Contact;
use salebridge::sandbox::amo::{Amo, fixture};
use salebridge::sandbox::salebot::Salebot;
use std::collections::{BTreeMap, BTreeSet};

/// How long after the fresh look before it a write goes out at most.
const UNSEEN_MS: i64 = 500;

/// The last words, by record.
#[derive(Debug, Clone, Default)]
pub struct Entered {
    /// Names of contacts.
    pub names: BTreeMap<u64, String>,
    /// Job titles from managers, by person and contact.
    pub positions: BTreeMap<(usize, u64), String>,
    /// Job titles from bots, by client.
    pub told: BTreeMap<i64, String>,
    /// Phone numbers that a manager added to a contact, and when. None is ever taken away by hand.
    pub phones: BTreeMap<u64, BTreeMap<String, i64>>,
    /// Phone numbers that clients told a bot.
    pub told_numbers: BTreeSet<String>,
    /// Phone numbers that a client had when it told a bot another one: they may go.
    pub replaced: BTreeSet<String>,
    /// A field of contacts that is not mapped.
    pub remarks: BTreeMap<u64, String>,
    /// Prices of leads from managers.
    pub prices: BTreeMap<u64, i64>,
    /// Budgets of their orders from bots.
    pub budgets: BTreeMap<u64, i64>,
    /// A field of leads from managers.
    pub sources: BTreeMap<u64, String>,
    /// The same from bots, by the lead that the variables of their client named, all that were told.
    pub told_sources: BTreeMap<u64, Vec<String>>,
    /// Leads that a manager gave to another contact.
    pub handed_over: BTreeSet<u64>,
    /// Who has them now.
    pub took_over: BTreeSet<u64>,
    /// Contacts that others were merged into.
    pub survivors: BTreeSet<u64>,
    /// Whose the leads were.
    pub gave_away: BTreeSet<u64>,
    /// Clients whose order was moved by hand.
    pub moved: BTreeSet<i64>,
}

/// Values that somebody entered and that are gone, or were replaced by older ones.
pub fn are_lost(world: &World, amo: &Amo, salebot: &Salebot, violations: &mut Vec<String>) {
    let entered = &world.entered;
    // Whom its client meets for the first time gets that one's name, where Salebot's is the one that counts.
    let meets_anew = world.choices.owners_turned && world.is_tidied;
    for (contact, name) in entered.names.iter().filter(|_| !meets_anew) {
        is_still(amo, *contact, "name", |contact| contact.card.name.clone(), name, violations);
    }
    for (contact, remark) in &entered.remarks {
        let held = |contact: &Contact| contact.card.texts(fixture::FIELD_TEXTAREA).concat();
        is_still(amo, *contact, "remark", held, remark, violations);
    }
    for (index, person) in world.people.iter().enumerate() {
        let contacts = contacts_of(amo, person);
        for contact in &contacts {
            phones_are_there(world, contact, violations);
        }
        // With a contact goes what was known of its clients: which of their values was the last.
        let is_frozen = || person.clients.iter().any(|client| world.is_frozen(*client));
        if !world.has_robots && person.lost_at.is_none() && person.twins == 0 && !is_frozen() {
            position_is_a_last_word(world, index, &contacts, violations);
        }
    }
    for lead in amo.leads().filter(|lead| has_client(lead, salebot)) {
        let words = [entered.prices.get(&lead.card.id), entered.budgets.get(&lead.card.id)];
        let words: Vec<i64> = words.into_iter().flatten().copied().collect();
        if !words.is_empty() && !words.contains(&lead.price) {
            violations.push(format!("lead {} costs {}, last entered were {words:?}", lead.card.id, lead.price));
        }
        let id = lead.card.id;
        let told = entered.told_sources.get(&id).into_iter().flatten();
        // What is told of a lead that is closed or not the newest, or is about to be, goes nowhere.
        let told: Vec<&String> =
            if world.choices.has_no_orders { told.collect() } else { told.last().into_iter().collect() };
        let words: Vec<&String> = entered.sources.get(&id).into_iter().chain(told).collect();
        let held = lead.card.texts(fixture::FIELD_LEAD_SOURCE).concat();
        // With a contact, or a lead that another contact has now, goes what was known of the word of its leads.
        let has_given = |contact: &u64| entered.gave_away.contains(contact);
        let is_known = |person: &Person| person.lost_at.is_none() && person.twins == 0;
        let has_known = !lead.contact_ids.iter().any(has_given)
            && world.people.iter().filter(|person| is_known(person)).any(|person| {
                contacts_of(amo, person).iter().any(|contact| lead.contact_ids.contains(&contact.card.id))
            });
        if has_known && held.starts_with("source ") && !held.starts_with(&format!("source {id}.")) {
            violations.push(format!("lead {id} got the source of another one: {held:?}"));
        }
        let may_be_empty = world.choices.has_no_orders && !entered.sources.contains_key(&id) && held.is_empty();
        // What a client says counts for more where Salebot is the owner, of whichever of several leads it was said.
        // A lead that was made a moment ago gets what a bot says before it knows of that.
        let may_be_anothers = world.choices.has_no_orders && held.starts_with("heard ");
        let is_owners = world.choices.owners_turned && (world.choices.has_no_orders || !has_known);
        if !words.is_empty()
            && !is_owners
            && !may_be_anothers
            && !may_be_empty
            && !words.contains(&&held)
            && !world.has_frozen(LinkRef::Lead(LeadId(id)))
        {
            violations.push(format!("source of lead {id} is {held:?}, last entered were {words:?}"));
        }
    }
}

/// Nobody else writes this value.
fn is_still(
    amo: &Amo,
    contact: u64,
    what: &str,
    read: impl Fn(&Contact) -> String,
    entered: &str,
    violations: &mut Vec<String>,
) {
    if let Some(held) = amo.contact(contact).map(read).filter(|held| held != entered) {
        violations.push(format!("{what} of contact {contact} is {held:?}, last entered was {entered:?}"));
    }
}

fn phones_are_there(world: &World, contact: &Contact, violations: &mut Vec<String>) {
    let Some(added) = world.entered.phones.get(&contact.card.id) else { return };
    let held: Vec<_> = contact.card.texts(fixture::FIELD_PHONE).iter().map(|phone| subscriber(phone)).collect();
    let is_there = |phone: &str| {
        let key = subscriber(phone);
        held.contains(&key) || key.is_some_and(|key| world.entered.replaced.contains(&key))
    };
    let missing = added.iter().filter(|(phone, at)| !is_there(phone) && !is_overwritten(world, contact.card.id, **at));
    let missing: Vec<&String> = missing.map(|(phone, _)| phone).collect();
    if !missing.is_empty() {
        violations.push(format!("contact {} has lost the phones {missing:?}, which nobody replaced", contact.card.id));
    }
}

/// API v2 refuses no write because of an edit of the same second, and v4 none at all: one between our fresh look and the write is
/// not promised to stay (docs/guarantees.md). Not where it had been there for longer than a request and a turn of the lane take.
fn is_overwritten(world: &World, contact: u64, added_at: i64) -> bool {
    let written = world.network.phones_written.lock().unwrap();
    written.iter().any(|write| write.contact == contact && (0..UNSEEN_MS).contains(&(write.at - added_at)))
}

/// Where both sides were edited at a time the owner wins, so it is the last word of either.
fn position_is_a_last_word(world: &World, index: usize, contacts: &[&Contact], violations: &mut Vec<String>) {
    let person = &world.people[index];
    let managers = world.entered.positions.range((index, 0)..=(index, u64::MAX)).map(|(_, word)| word);
    let bots = person.clients.iter().filter_map(|client| world.entered.told.get(client));
    let words: BTreeSet<&String> = managers.chain(bots).collect();
    if words.is_empty() {
        return;
    }
    for contact in contacts {
        let held = contact.card.texts(fixture::FIELD_POSITION).concat();
        if !held.is_empty() && !words.contains(&held) {
            violations.push(format!("position of contact {} is {held:?}, not of {words:?}", contact.card.id));
        }
        // Its own manager's word may have lost against another one, but is not gone without any.
        if held.is_empty() && world.entered.positions.contains_key(&(index, contact.card.id)) {
            violations.push(format!("position of contact {} is gone, not one of {words:?}", contact.card.id));
        }
    }
}
