//! What must hold once the faults have stopped and both sides have come to rest. Everything is read
//! from the simulated services; what the bridge believes does not count.

use crate::bots::Asked;
use crate::network::POISON;
use crate::world::{BRIDGE, Person, Said, World};
use crate::{bots, entered, triggers};
use salebridge::core::function::Function;
use salebridge::core::policy::CallbackDelivery;
use salebridge::sandbox::amo::records::{Contact, ElementKind, Lead};
use salebridge::sandbox::amo::{Amo, fixture};
use salebridge::sandbox::salebot::Salebot;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// Every broken promise in words; none: all are kept.
pub fn violations(world: &World) -> Vec<String> {
    let amo = world.network.amo.lock().unwrap();
    let salebot = world.network.salebot.lock().unwrap();
    let mut violations = Vec::new();
    let notes = lines_of_notes(&amo);
    messages_are_lines(world, &amo, &notes, &mut violations);
    for person in &world.people {
        one_contact(world, &amo, &salebot, person, &mut violations);
        values_agree(world, &amo, &salebot, person, &mut violations);
    }
    one_order_per_lead(world, &amo, &salebot, &mut violations);
    entered::are_lost(world, &amo, &salebot, &mut violations);
    bots::make_one_record(world, &amo, &mut violations);
    triggers::are_no_surprise(world, &salebot, &mut violations);
    if world.loads_clients {
        every_contact_has_a_client(world, &amo, &salebot, &mut violations);
    }
    let peak = amo.statistics().peak_per_second;
    if peak > 7 {
        violations.push(format!("amoCRM saw {peak} requests in one second"));
    }
    if !world.has_jumps {
        // A lane waits by its own clock.
        probes_are_rare(world, &mut violations);
    }
    let dead = world.kept.wait(world.kept.store.dead_letters(BRIDGE, 10)).expect("never fails");
    violations.extend(
        dead.iter()
            .filter(|letter| !(world.has_poison && letter.what == "create_order"))
            .filter(|letter| world.callbacks == CallbackDelivery::AtLeastOnce || letter.what != "callback")
            .map(|letter| format!("dead letter: {} of {}: {}", letter.what, letter.subject, letter.reason)),
    );
    violations
}

/// What was on its way when the first refusal came back.
const ON_THE_WAY_MS: i64 = 200;
/// The first wait of a closed lane, and the longest.
const PROBE_FIRST_MS: i64 = 60_000;
const PROBE_LAST_MS: i64 = 900_000;

/// While a service refuses everything, each lane of a daemon sends what is on its way, and then single
/// requests, each after twice the wait of the one before.
fn probes_are_rare(world: &World, violations: &mut Vec<String>) {
    let mut lanes: BTreeMap<(u64, &str), Vec<(i64, bool)>> = BTreeMap::new();
    for refused in world.network.refused.lock().unwrap().iter() {
        lanes.entry((refused.life, refused.lane)).or_default().push((refused.at, refused.is_aside));
    }
    for ((_, lane), refused) in lanes {
        // What is refused aside closes nothing, and as a probe leaves the wait as it is.
        let Some(first) = refused.iter().find(|(_, is_aside)| !is_aside).map(|(at, _)| *at) else { continue };
        let mut last = first;
        let mut wait = PROBE_FIRST_MS;
        for (at, is_aside) in refused.into_iter().filter(|(at, _)| *at > first + ON_THE_WAY_MS) {
            if at - last < wait {
                violations.push(format!("lane {lane} was closed and sent again after {} ms, not {wait}", at - last));
            }
            last = at;
            wait = if is_aside { wait } else { (wait * 2).min(PROBE_LAST_MS) };
        }
    }
}

/// Lines of notes by contact, in the order of the feed. Contacts that are gone have theirs as well.
fn lines_of_notes(amo: &Amo) -> BTreeMap<u64, Vec<String>> {
    let mut notes: Vec<_> = amo.notes().filter(|note| note.element.kind == ElementKind::Contact).collect();
    notes.sort_by_key(|note| (note.created_at, note.id));
    let mut lines: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for note in notes {
        lines.entry(note.element.id).or_default().extend(note.text.lines().map(str::to_owned));
    }
    lines
}

/// Every message stands in exactly one note, and that on a contact of whom it is about. Notes of a
/// deleted contact went with it: there is where a message said before may be, or may be as well when
/// it was not known whether it had been written.
fn messages_are_lines(world: &World, amo: &Amo, notes: &BTreeMap<u64, Vec<String>>, violations: &mut Vec<String>) {
    let mut places: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (contact, lines) in notes {
        for line in lines {
            places.entry(line).or_default().push(*contact);
        }
    }
    for said in &world.messages {
        let Said { client, text, at, .. } = said;
        let Some(person) = world.people.iter().find(|person| person.clients.contains(client)) else { continue };
        let own: Vec<u64> = contacts_of(amo, person).iter().map(|contact| contact.card.id).collect();
        let places = places.get(text.as_str()).cloned().unwrap_or_default();
        let (there, gone): (Vec<u64>, Vec<u64>) = places.iter().partition(|contact| amo.contact(**contact).is_some());
        let may_be_gone = person.lost_at.is_some_and(|lost_at| *at <= lost_at);
        let is_right = match (there.as_slice(), gone.len()) {
            ([], 0) => !is_news(world, said),
            ([contact], 0) => own.contains(contact),
            ([contact], 1) => own.contains(contact) && may_be_gone,
            ([], 1) => may_be_gone,
            // It was not known whether it had been written, and the next contact went as well.
            ([], 2) => may_be_gone,
            // Merged by hand, and nothing tells into which contact: the writer gets another one.
            ([one, other], 0) => is_untold(person) && may_be_gone && own.contains(one) && own.contains(other),
            _ => false,
        };
        if !is_right {
            violations.push(format!("`{text}` of client {client} stands in notes of {places:?}, those there {own:?}"));
        }
    }
    // Notes have the time they were received by our clock, and amoCRM sorts by it.
    if world.is_disorderly || world.has_jumps {
        return;
    }
    for person in &world.people {
        for client in &person.clients {
            let mut said: Vec<&Said> = world.messages.iter().filter(|said| said.client == *client).collect();
            said.sort_by_key(|said| said.id);
            let places: BTreeMap<&str, usize> =
                said.iter().enumerate().map(|(place, said)| (said.text.as_str(), place)).collect();
            let apart_ms = if world.unheard.contains(client) { CLOSE_MS } else { 0 };
            for lines in notes.values() {
                let read: Vec<&Said> =
                    lines.iter().filter_map(|line| places.get(line.as_str()).map(|place| said[*place])).collect();
                // What stands there twice for that reason came with a whole dialogue.
                let is_doubled = is_untold(person) && read.iter().any(|said| has_twice(&read, said.id));
                if !is_doubled && !is_in_order(&read, apart_ms) {
                    let read: Vec<&str> = read.iter().map(|said| said.text.as_str()).collect();
                    violations.push(format!("the dialogue of client {client} is out of order: {read:?}"));
                }
            }
        }
    }
}

/// Nothing tells into which contact one of this person's was merged: they have no number, or several contacts have it.
fn is_untold(person: &Person) -> bool {
    person.phone.is_none() || person.twins > 1
}

fn has_twice(read: &[&Said], id: i64) -> bool {
    read.iter().filter(|said| said.id == id).count() > 1
}

/// A recovered message has the time it was written, a delivered one the time it came, and amoCRM sorts
/// by whole seconds: only those written further apart than this surely stand in order. A daemon that
/// is down for a moment takes what waited at the door five seconds late, and messages within two
/// seconds share a note.
const CLOSE_MS: i64 = 15_000;

/// No message stands before one that was said more than so long before it.
fn is_in_order(read: &[&Said], apart_ms: i64) -> bool {
    let mut newest: Option<&Said> = None;
    for said in read {
        if newest.is_some_and(|newest| said.id < newest.id && newest.at - said.at >= apart_ms) {
            return false;
        }
        newest = newest.filter(|newest| newest.id > said.id).or(Some(said));
    }
    true
}

/// Whom a number reaches, however it is written: all numbers here are of one country. The bridge's own
/// reading of numbers is not asked, as it is what is on trial.
pub fn subscriber(phone: &str) -> Option<String> {
    let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
    digits.len().checked_sub(10).map(|start| digits[start..].to_owned())
}

/// The contacts of a person: by phone number, else by what our own field says.
pub fn contacts_of<'a>(amo: &'a Amo, person: &Person) -> Vec<&'a Contact> {
    let key = person.phone.as_deref().and_then(subscriber);
    let has_key = |contact: &Contact| {
        key.is_some() && contact.card.texts(fixture::FIELD_PHONE).iter().any(|phone| subscriber(phone) == key)
    };
    let is_ours = |contact: &Contact| {
        person.clients.iter().any(|client| contact.card.texts(fixture::FIELD_CLIENT_ID) == [client.to_string()])
    };
    amo.contacts()
        .filter(|contact| has_key(contact) || is_ours(contact) || person.contact == Some(contact.card.id))
        .collect()
}

/// True if the client has written, or was written to, since its contact was lost; or ever, if it was not.
fn has_said(world: &World, person: &Person, client: i64) -> bool {
    heard_since(world, client, person.lost_at.unwrap_or(i64::MIN), needs_contact)
}

/// A message was written, or a bot called such a function, later than that.
fn heard_since(world: &World, client: i64, since: i64, counts: fn(&Asked) -> bool) -> bool {
    world.messages.iter().any(|said| said.client == client && said.at > since && is_news(world, said))
        || world.bots.calls().iter().any(|call| call.client == client && call.sent_at > since && counts(call))
}

/// A call about a lead is carried out on the one that is known, whatever became of the contact; where none is known it may have
/// the person's contact made.
fn needs_contact(call: &Asked) -> bool {
    matches!(call.function, Function::AddLead | Function::AddContactNote)
}

/// It was said when the bridge had begun to listen.
fn is_news(world: &World, said: &Said) -> bool {
    said.at >= world.listens_since.load(Ordering::Relaxed)
}

/// How many contacts a person is to have: at least, at most.
fn expected_contacts(world: &World, person: &Person) -> (usize, usize) {
    let count = |test: &dyn Fn(i64) -> bool| person.clients.iter().filter(|client| test(**client)).count();
    let now = count(&|client| has_said(world, person, client));
    let ever = count(&|client| heard_since(world, client, i64::MIN, |_| true));
    match (&person.contact, &person.phone) {
        (Some(_), _) => (1, 1),
        (None, Some(_)) if person.lost_at.is_some() || person.twins > 0 => (now.min(1), 1),
        (None, Some(_)) => (now.min(1), ever.min(1)),
        // Merged by hand: its clients may share one, or get one of their own with their next message.
        (None, None) if person.lost_at.is_some() => (now.min(1), ever),
        (None, None) => (now, ever),
    }
}

fn one_contact(world: &World, amo: &Amo, salebot: &Salebot, person: &Person, violations: &mut Vec<String>) {
    let contacts = contacts_of(amo, person);
    let (least, most) = expected_contacts(world, person);
    if contacts.len() < least || contacts.len() > most {
        let names: Vec<_> = contacts.iter().map(|contact| (contact.card.id, contact.card.name.as_str())).collect();
        violations.push(format!("{person:?} has {} contacts, not {least} to {most}: {names:?}", contacts.len()));
    }
    for client in &person.clients {
        let named = variable(salebot, *client, "amo_contact_id");
        let is_right =
            named.as_deref().is_some_and(|named| contacts.iter().any(|contact| contact.card.id.to_string() == named));
        if has_said(world, person, *client) && !is_right {
            violations.push(format!("client {client} names the contact {named:?}"));
        }
    }
}

pub fn variable(salebot: &Salebot, client: i64, name: &str) -> Option<String> {
    let value = salebot.variables(client)?.get(name)?.clone();
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    (!text.is_empty() && text != "NONE" && text != "null").then_some(text)
}

fn values_agree(world: &World, amo: &Amo, salebot: &Salebot, person: &Person, violations: &mut Vec<String>) {
    for client in &person.clients {
        let named = variable(salebot, *client, "amo_contact_id").and_then(|id| id.parse().ok());
        let Some(contact) = named.and_then(|id: u64| amo.contact(id)) else { continue };
        let mut differ = |what: &str, amo: Option<String>, salebot: Option<String>| {
            if amo != salebot {
                violations.push(format!(
                    "{what} of client {client} and contact {}: {amo:?} and {salebot:?}",
                    contact.card.id
                ));
            }
        };
        differ("name", Some(contact.card.name.clone()), variable(salebot, *client, "full"));
        let position = contact.card.texts(fixture::FIELD_POSITION).first().map(|text| (*text).to_owned());
        // What two robots correct for ever is frozen as it is; and so is what people changed in turns more often than people do.
        if !world.has_robots && !world.is_frozen(*client) {
            differ("position", position, variable(salebot, *client, "position"));
        }
        let mut tags: Vec<String> = contact.card.tags.iter().map(|tag| tag.name.clone()).collect();
        let mut told: Vec<String> = variable(salebot, *client, "tags")
            .unwrap_or_default()
            .split(", ")
            .filter(|tag| !tag.is_empty())
            .map(str::to_owned)
            .collect();
        tags.sort();
        told.sort();
        differ("tags", Some(tags.join(",")), Some(told.join(",")));
        let phones: Vec<_> = contact.card.texts(fixture::FIELD_PHONE).iter().map(|phone| subscriber(phone)).collect();
        let told = variable(salebot, *client, "phone").map(|phone| subscriber(&phone));
        if told.as_ref().is_some_and(|told| !phones.contains(told)) || (told.is_none() && !phones.is_empty()) {
            violations.push(format!("phone of client {client}: {told:?} is not among {phones:?}"));
        }
    }
}

fn every_contact_has_a_client(world: &World, amo: &Amo, salebot: &Salebot, violations: &mut Vec<String>) {
    let has_phone =
        |contact: &u64| amo.contact(*contact).is_some_and(|it| !it.card.texts(fixture::FIELD_PHONE).is_empty());
    // The survivor of a merge that changed nothing in it is not news: until the sweep, or the next message,
    // its client stays under the loser.
    let twins: Vec<u64> = world
        .people
        .iter()
        .filter(|person| person.twins > 0)
        .flat_map(|person| contacts_of(amo, person))
        .map(|contact| contact.card.id)
        .collect();
    let known = world.known_contacts.iter().filter(|contact| !twins.contains(contact));
    for contact in known.filter(|contact| has_phone(contact)) {
        let named = |client: &i64| variable(salebot, *client, "amo_contact_id") == Some(contact.to_string());
        if !salebot.clients().map(|client| client.id).any(|client| named(&client)) {
            violations.push(format!("contact {contact} has no client, though one was to be made"));
        }
    }
}

/// True while a client names one of the lead's contacts: otherwise nobody is left to whom its order belongs.
pub fn has_client(lead: &Lead, salebot: &Salebot) -> bool {
    let names = |client: i64, contact: &u64| variable(salebot, client, "amo_contact_id") == Some(contact.to_string());
    lead.contact_ids.iter().any(|contact| salebot.clients().any(|client| names(client.id, contact)))
}

fn one_order_per_lead(world: &World, amo: &Amo, salebot: &Salebot, violations: &mut Vec<String>) {
    for lead in amo.leads().filter(|lead| !lead.card.name.starts_with(POISON)) {
        let mark = format!("amoCRM lead {}", lead.card.id);
        let orders: Vec<_> = salebot
            .clients()
            .flat_map(|client| salebot.orders(client.id))
            .filter(|order| order.variables.values().any(|value| value.as_str() == Some(&mark)))
            .collect();
        let has_client = has_client(lead, salebot);
        // The contact it was made for may have been deleted since.
        let most = usize::from(has_client || world.is_tidied);
        if orders.len() < usize::from(has_client) || orders.len() > most {
            violations.push(format!(
                "lead {} has {} orders, its person has a client: {has_client}",
                lead.card.id,
                orders.len()
            ));
        }
        for order in orders.into_iter().filter(|_| has_client) {
            let state = match lead.status_id {
                1001 => Some(37),
                1002 => Some(38),
                _ => None,
            };
            if order.state_id != state {
                violations
                    .push(format!("order {} stands at {:?}, its lead at {}", order.id, order.state_id, lead.status_id));
            }
            let budget = order.variables.get("budget").map(|value| value.to_string().trim_matches('"').to_owned());
            if budget != Some(lead.price.to_string()) {
                violations.push(format!("order {} has the budget {budget:?}, its lead {}", order.id, lead.price));
            }
        }
    }
}
