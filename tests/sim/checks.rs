//! What must hold once the faults have stopped and both sides have come to rest. Everything is read
//! from the simulated services; what the bridge believes does not count.

use crate::bots::Asked;
use crate::network::POISON;
use crate::settings::{NotedOn, SOURCE};
use crate::world::{BRIDGE, Person, Said, World};
use crate::{bots, entered, triggers};
use salebridge::core::action::LinkRef;
use salebridge::core::function::Function;
use salebridge::core::id::LeadId;
use salebridge::core::policy::CallbackDelivery;
use salebridge::sandbox::amo::records::{Contact, Element, ElementKind, Lead};
use salebridge::sandbox::amo::{Amo, fixture};
use salebridge::sandbox::salebot::Salebot;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

/// Every broken promise in words; none: all are kept.
pub fn violations(world: &World) -> Vec<String> {
    let amo = world.network.amo.lock().unwrap();
    let salebot = world.network.salebot.lock().unwrap();
    let mut violations = Vec::new();
    let notes = lines_of_notes(&amo);
    messages_are_lines(world, &amo, &salebot, &notes, &mut violations);
    for person in &world.people {
        one_contact(world, &amo, &salebot, person, &mut violations);
        values_agree(world, &amo, &salebot, person, &mut violations);
    }
    if world.choices.has_no_orders {
        variables_speak_of_the_newest(world, &amo, &salebot, &mut violations);
    } else {
        one_order_per_lead(world, &amo, &salebot, &mut violations);
    }
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

/// A contact or a lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Contact(u64),
    Lead(u64),
}

impl Place {
    fn of(element: Element) -> Option<Place> {
        match element.kind {
            ElementKind::Contact => Some(Place::Contact(element.id)),
            ElementKind::Lead => Some(Place::Lead(element.id)),
            _ => None,
        }
    }

    fn is_there(self, amo: &Amo) -> bool {
        match self {
            Place::Contact(contact) => amo.contact(contact).is_some(),
            Place::Lead(lead) => amo.lead(lead).is_some(),
        }
    }
}

/// Lines of notes by contact and lead, in the order of the feed. Those that are gone have theirs as well.
fn lines_of_notes(amo: &Amo) -> BTreeMap<Place, Vec<String>> {
    let mut notes: Vec<_> = amo.notes().filter_map(|note| Some((Place::of(note.element)?, note))).collect();
    notes.sort_by_key(|(_, note)| (note.created_at, note.id));
    let mut lines: BTreeMap<Place, Vec<String>> = BTreeMap::new();
    for (place, note) in notes {
        lines.entry(place).or_default().extend(note.text.lines().map(str::to_owned));
    }
    lines
}

/// Every message stands in exactly one note, and that on a contact of whom it is about. Notes of a
/// deleted contact went with it: there is where a message said before may be, or may be as well when
/// it was not known whether it had been written.
fn messages_are_lines(
    world: &World,
    amo: &Amo,
    salebot: &Salebot,
    notes: &BTreeMap<Place, Vec<String>>,
    violations: &mut Vec<String>,
) {
    let mut places: BTreeMap<&str, Vec<Place>> = BTreeMap::new();
    for (place, lines) in notes {
        for line in lines {
            places.entry(line).or_default().push(*place);
        }
    }
    for said in &world.messages {
        let Said { client, text, at, by_bot, .. } = said;
        let Some(person) = world.people.iter().find(|person| person.clients.contains(client)) else { continue };
        let own = places_of(world, amo, person);
        let all = places.get(text.as_str()).cloned().unwrap_or_default();
        let (leads, contacts): (Vec<Place>, Vec<Place>) = all.iter().partition(|place| matches!(place, Place::Lead(_)));
        // The lead's copy of what stands on the contact as well goes with the lead.
        let is_copied = world.choices.noted_on == NotedOn::Both;
        let is_lead_right =
            !is_copied || leads.len() <= 1 && leads.iter().all(|lead| own.contains(lead) || !lead.is_there(amo));
        let places = if is_copied { contacts } else { all.clone() };
        let (there, gone): (Vec<Place>, Vec<Place>) = places.iter().partition(|place| place.is_there(amo));
        let was_anybodys =
            |place: &Place| matches!(place, Place::Lead(lead) if world.entered.handed_over.contains(lead));
        let may_be_gone = person.lost_at.max(person.deal_lost_at).is_some_and(|lost_at| *at <= lost_at)
            || gone.iter().any(was_anybodys);
        let is_right = match (there.as_slice(), gone.len()) {
            _ if *by_bot && world.choices.hears_people => all.is_empty(),
            ([], 0) => !is_news(world, said) || !gets_contact(world, salebot, person, *client),
            ([contact], 0) => own.contains(contact),
            ([contact], 1) => own.contains(contact) && may_be_gone,
            ([], 1) => may_be_gone,
            // It was not known whether it had been written, and the next contact went as well.
            ([], 2) => may_be_gone,
            // Merged by hand, and nothing tells into which contact: the writer gets another one.
            ([one, other], 0) => is_untold(person) && may_be_gone && own.contains(one) && own.contains(other),
            _ => false,
        };
        if !is_right || !is_lead_right {
            violations.push(format!("`{text}` of client {client} stands in notes of {all:?}, those there {own:?}"));
        }
    }
    dialogues_are_in_order(world, notes, violations);
}

/// Lines of a client stand in the order in which they were said.
fn dialogues_are_in_order(world: &World, notes: &BTreeMap<Place, Vec<String>>, violations: &mut Vec<String>) {
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
            // Notes of one second stand in the order of their numbers, and one that follows to the next contact has a later one.
            let is_moved = person.lost_at.is_some() && world.choices.joins_nothing;
            let apart_ms = match world.unheard.contains(client) {
                true => CLOSE_MS,
                false => i64::from(is_moved) * 1_000,
            };
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

/// Where notes of a person belong: contacts, and leads of theirs or of nobody's who is there. One that was handed over may
/// have been anybody's.
fn places_of(world: &World, amo: &Amo, person: &Person) -> Vec<Place> {
    let own: Vec<u64> = contacts_of(amo, person).iter().map(|contact| contact.card.id).collect();
    let is_own = |lead: &&Lead| {
        let mut there = lead.contact_ids.iter().filter(|contact| amo.contact(**contact).is_some()).peekable();
        let was_anybodys = world.entered.handed_over.contains(&lead.card.id);
        was_anybodys || there.peek().is_none() || there.any(|contact| own.contains(contact))
    };
    let leads: Vec<Place> = amo.leads().filter(is_own).map(|lead| Place::Lead(lead.card.id)).collect();
    // Who was deleted and had given a lead to somebody whom a third one was merged into looks as if merged there.
    let heirs = world.entered.took_over.intersection(&world.entered.survivors).filter(|_| person.lost_at.is_some());
    let own = own.iter().chain(heirs).copied().collect::<BTreeSet<u64>>();
    own.into_iter().map(Place::Contact).chain(leads).collect()
}

/// True unless the policy leaves people without a contact until they tell a number, and this client's person has told none.
fn gets_contact(world: &World, salebot: &Salebot, person: &Person, client: i64) -> bool {
    !world.choices.wants_number || person.phone.is_some() || variable(salebot, client, "phone").is_some()
}

/// True if the client has written, or was written to, since its contact was lost; or ever, if it was not.
fn has_said(world: &World, salebot: &Salebot, person: &Person, client: i64) -> bool {
    // What is not written down, or on a lead that is still there, finds no contact gone.
    let choices = world.choices;
    let is_on_lead = choices.noted_on == NotedOn::Lead && person.lost_at.is_some();
    let is_noted = |said: &Said| !(is_on_lead || said.by_bot && choices.hears_people);
    let since = person.lost_at.unwrap_or(i64::MIN);
    gets_contact(world, salebot, person, client) && heard_since(world, client, since, is_noted, needs_contact)
}

/// Such a message was written, or a bot called such a function, later than that.
fn heard_since(
    world: &World,
    client: i64,
    since: i64,
    is_told: impl Fn(&Said) -> bool,
    counts: fn(&Asked) -> bool,
) -> bool {
    let is_told = |said: &Said| is_news(world, said) && is_told(said);
    world.messages.iter().any(|said| said.client == client && said.at > since && is_told(said))
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
fn expected_contacts(world: &World, salebot: &Salebot, person: &Person) -> (usize, usize) {
    let count = |test: &dyn Fn(i64) -> bool| person.clients.iter().filter(|client| test(**client)).count();
    let now = count(&|client| has_said(world, salebot, person, client));
    let gets = |client| gets_contact(world, salebot, person, client);
    let ever = count(&|client| gets(client) && heard_since(world, client, i64::MIN, |_| true, |_| true));
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
    let (least, most) = expected_contacts(world, salebot, person);
    if contacts.len() < least || contacts.len() > most {
        let names: Vec<_> = contacts.iter().map(|contact| (contact.card.id, contact.card.name.as_str())).collect();
        violations.push(format!("{person:?} has {} contacts, not {least} to {most}: {names:?}", contacts.len()));
    }
    for client in &person.clients {
        let named = variable(salebot, *client, "amo_contact_id");
        let is_right =
            named.as_deref().is_some_and(|named| contacts.iter().any(|contact| contact.card.id.to_string() == named));
        if has_said(world, salebot, person, *client) && !is_right {
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
        let is_one_way = world.choices.is_one_way;
        if !world.has_robots && !is_one_way && !world.is_frozen(*client) {
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
        // What a client had of an earlier contact is not taken away by one that has nothing, where it cannot be put there.
        if !is_one_way || person.lost_at.is_none() {
            differ("tags", Some(tags.join(",")), Some(told.join(",")));
        }
        let phones: Vec<_> = contact.card.texts(fixture::FIELD_PHONE).iter().map(|phone| subscriber(phone)).collect();
        let told = variable(salebot, *client, "phone").map(|phone| subscriber(&phone));
        if told.as_ref().is_some_and(|told| !phones.contains(told))
            || (told.is_none() && !phones.is_empty() && !is_one_way)
        {
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
            let was_moved = world.choices.orders_follow && world.entered.moved.contains(&order.client_id);
            if order.state_id != state && !was_moved {
                violations
                    .push(format!("order {} stands at {:?}, its lead at {}", order.id, order.state_id, lead.status_id));
            }
            source_agrees(world, lead, order.client_id, salebot, violations);
            let budget = order.variables.get("budget").map(|value| value.to_string().trim_matches('"').to_owned());
            if budget != Some(lead.price.to_string()) {
                violations.push(format!("order {} has the budget {budget:?}, its lead {}", order.id, lead.price));
            }
        }
    }
}

/// The variables of the client whose order it is speak of the lead.
fn source_agrees(world: &World, lead: &Lead, client: i64, salebot: &Salebot, violations: &mut Vec<String>) {
    if !world.choices.carries_source || world.has_frozen(LinkRef::Lead(LeadId(lead.card.id))) {
        return;
    }
    let amo = lead.card.texts(fixture::FIELD_LEAD_SOURCE).concat();
    let told = variable(salebot, client, SOURCE).unwrap_or_default();
    if amo != told {
        violations.push(format!("source of lead {} and client {client}: {amo:?} and {told:?}", lead.card.id));
    }
}

/// Of the newest open lead of a contact one of its clients tells: which it is, how it is called, what is known of it.
fn variables_speak_of_the_newest(world: &World, amo: &Amo, salebot: &Salebot, violations: &mut Vec<String>) {
    let made = salebot.clients().map(|client| salebot.orders(client.id).len()).sum::<usize>();
    if made > 0 {
        violations.push(format!("{made} orders were made, though none is wanted"));
    }
    let clients: Vec<i64> = salebot.clients().map(|client| client.id).collect();
    for contact in amo.contacts().map(|contact| contact.card.id) {
        let names = |client: &&i64| variable(salebot, **client, "amo_contact_id") == Some(contact.to_string());
        let own: Vec<i64> = clients.iter().filter(names).copied().collect();
        let open = amo.leads().filter(|lead| lead.contact_ids.first() == Some(&contact) && lead.closed_at == 0);
        // Of one that was given to this contact nothing tells: neither record counts as changed.
        let is_told = |lead: &&Lead| !own.is_empty() && !world.entered.handed_over.contains(&lead.card.id);
        let Some(lead) = open.max_by_key(|lead| lead.card.id).filter(is_told) else { continue };
        let source = lead.card.texts(fixture::FIELD_LEAD_SOURCE).concat();
        let has_source = |client: i64| {
            !world.choices.carries_source
                || world.has_frozen(LinkRef::Lead(LeadId(lead.card.id)))
                || variable(salebot, client, SOURCE).unwrap_or_default() == source
        };
        let speaks = |client: &i64| {
            variable(salebot, *client, "amo_lead_id") == Some(lead.card.id.to_string())
                && variable(salebot, *client, "deal").as_deref() == Some(lead.card.name.as_str())
                && has_source(*client)
        };
        if !own.iter().any(speaks) {
            let told = |client: &i64| ["amo_lead_id", "deal", SOURCE].map(|name| variable(salebot, *client, name));
            let told: Vec<_> = own.iter().map(told).collect();
            violations.push(format!("lead {} ({}, {source:?}) is not told: {told:?}", lead.card.id, lead.card.name));
        }
    }
}
