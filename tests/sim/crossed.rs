//! Worlds in which one answer comes late or is lost, and something happens before it comes: each shows one safeguard that
//! chance hardly ever needs.

use crate::scripts::{DOUBT_MS, LOOK_MS};
use crate::world::{Daemon, World};
use salebridge::sandbox::amo::edit::{ContactDraft, LeadDraft};
use salebridge::sandbox::amo::fixture;
use salebridge::sandbox::faults::{Fault, ScriptedFault, ServiceName};
use serde_json::Value;
use std::collections::BTreeSet;

/// From one poll to the next one.
const POLL_MS: i64 = 10_000;
/// The longest that listings lag behind.
const SHOWN_MS: i64 = 20_000;
/// How late an answer comes: less than anybody's patience, longer than anything else takes.
const LATE_MS: u64 = 8_000;

impl World {
    /// Lets everybody live until it is so.
    fn until(&mut self, daemon: &mut Daemon, what: &str, mut holds: impl FnMut(&World) -> bool) {
        let deadline = self.env.now_ms() + DOUBT_MS;
        while !holds(self) {
            assert!(self.env.now_ms() < deadline, "not so in time: {what}");
            self.pass(daemon, LOOK_MS);
        }
    }

    /// Lets everybody live for so long, webhooks included.
    fn pass(&mut self, daemon: &mut Daemon, by_ms: i64) {
        let until = self.env.now_ms() + by_ms;
        while self.env.now_ms() < until {
            self.post_hooks();
            self.deliver();
            let next = self.next_delivery().clamp(self.env.now_ms() + 1, until);
            self.live(daemon, next);
        }
        self.post_hooks();
        self.deliver();
    }

    /// Lets everybody live until so long after the next tick of the polls.
    fn pass_tick(&mut self, daemon: &mut Daemon, after_ms: i64) {
        let now = self.env.now_ms();
        self.pass(daemon, POLL_MS - now.rem_euclid(POLL_MS) + after_ms);
    }

    fn spoil(&self, fault: ScriptedFault) {
        self.network.faults.lock().unwrap().add(fault);
    }

    /// True once each misfortune of the script has happened.
    fn is_spoilt(&self) -> bool {
        self.network.faults.lock().unwrap().script_fired().iter().all(|fired| *fired > 0)
    }

    fn waits(world: &World) -> bool {
        world.counts().outbox > 0
    }

    /// The first person's contact and client.
    fn first(&self) -> (u64, i64) {
        (self.people[0].contact.expect("one each"), self.people[0].clients[0])
    }

    fn tells_position(&mut self, client: i64, position: &str) {
        let now = self.env.now_ms();
        self.network.salebot.lock().unwrap().set_variable(now, client, "client.position", position);
        self.says(client, "I have another position");
    }

    fn position(&self, contact: u64) -> String {
        let amo = self.network.amo.lock().unwrap();
        amo.contact(contact).expect("it is there").card.texts(fixture::FIELD_POSITION).concat()
    }

    fn variable(&self, client: i64, name: &str) -> String {
        let salebot = self.network.salebot.lock().unwrap();
        let value = salebot.variables(client).and_then(|variables| variables.get(name).cloned());
        value.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// A poll's answer is on its way for eight seconds, and meanwhile the bridge writes what a person said to a contact that
    /// it shows as it was. Each position that the client has from then on, and the contact's at last.
    pub fn told_beside_a_late_listing() -> (BTreeSet<String>, String) {
        let (mut world, mut daemon) = World::calm();
        let (contact, client) = world.first();
        world.tells_position(client, "clerk");
        world.until(&mut daemon, "the first position arrives", |world| world.position(contact) == "clerk");
        // Listings show it by now, and every poll of this minute does.
        world.pass(&mut daemon, SHOWN_MS);
        world.pass_tick(&mut daemon, -LOOK_MS);
        let late = Fault::Slow { ms: LATE_MS };
        world.spoil(ScriptedFault::once(ServiceName::Amo, late).on("/contacts").by("GET"));
        world.until(&mut daemon, "the poll is on its way", World::is_spoilt);
        world.tells_position(client, "foreman");
        world.until(&mut daemon, "the second position arrives", |world| world.position(contact) == "foreman");
        let (mut had, told_at) = (BTreeSet::new(), world.env.now_ms());
        while world.env.now_ms() < told_at + DOUBT_MS {
            world.pass(&mut daemon, LOOK_MS);
            had.insert(world.variable(client, "position"));
        }
        (had, world.position(contact))
    }

    /// A write of ours is decided, and before it is sent a manager renames the contact. How long that takes to reach the client.
    pub fn renamed_before_a_write(name: &str) -> i64 {
        let (mut world, mut daemon) = World::calm();
        let (contact, client) = world.first();
        world.pass_tick(&mut daemon, 2_000);
        world.tells_position(client, "foreman");
        world.until(&mut daemon, "the write is decided", World::waits);
        let now = world.env.now_ms();
        world.network.amo.lock().unwrap().rename_contact(now, contact, name);
        world.until(&mut daemon, "the write is sent", |world| world.position(contact) == "foreman");
        world.until(&mut daemon, "the name arrives", |world| world.variable(client, "full") == name);
        world.env.now_ms() - now
    }

    /// A number that a person told is to be written through API v4, which takes an older state without a word. The look before
    /// it is on its way for eight seconds, and meanwhile a manager adds a number. The contact's numbers after that.
    pub fn phone_added_beside_a_long_look() -> Vec<String> {
        let (mut world, mut daemon) = World::calm_with(|world| world.speaks_v4 = true);
        let (contact, client) = world.first();
        world.pass_tick(&mut daemon, 1_000);
        let now = world.env.now_ms();
        world.network.salebot.lock().unwrap().set_variable(now, client, "client.phone", "+79990000077");
        world.says(client, "I have another number");
        world.until(&mut daemon, "the write is decided", World::waits);
        let late = Fault::Slow { ms: LATE_MS };
        world.spoil(ScriptedFault::once(ServiceName::Amo, late).on("/contacts").by("GET"));
        world.until(&mut daemon, "the look is on its way", World::is_spoilt);
        let now = world.env.now_ms();
        world.network.amo.lock().unwrap().add_phone(now, contact, "+79990000088");
        world.pass(&mut daemon, DOUBT_MS);
        let amo = world.network.amo.lock().unwrap();
        let contact = amo.contact(contact).expect("it is there");
        contact.card.texts(fixture::FIELD_PHONE).into_iter().map(str::to_owned).collect()
    }

    /// A note's answer is cut off, and before anybody looks for it a manager merges the contact into another one of the same
    /// person, which takes the note along. The contacts on which it is then.
    pub fn merged_while_a_note_is_in_doubt() -> (Vec<u64>, u64) {
        let (mut world, mut daemon) = World::calm();
        let (contact, client) = world.first();
        let now = world.env.now_ms();
        let phones = vec!["+79990000000".to_owned()];
        let twin = ContactDraft { name: "Neighbour again".to_owned(), phones, ..ContactDraft::default() };
        let twin = world.network.amo.lock().unwrap().add_contact(now, twin);
        world.pass(&mut daemon, DOUBT_MS);
        world.spoil(ScriptedFault::once(ServiceName::Amo, Fault::Truncated).on("/notes").by("POST"));
        world.says(client, "written once");
        world.until(&mut daemon, "the note is written", World::is_spoilt);
        let now = world.env.now_ms();
        world.network.amo.lock().unwrap().merge_contacts(now, twin, contact);
        world.pass(&mut daemon, 2 * DOUBT_MS);
        let amo = world.network.amo.lock().unwrap();
        let notes = amo.notes().filter(|note| note.words().contains("written once"));
        (notes.map(|note| note.element.id).collect(), twin)
    }

    /// The contact of a lead is deleted, its client gets a new one, and a bot changes the budget of the lead's order. How long
    /// that takes to reach the lead.
    pub fn budgeted_without_a_contact(budget: i64) -> i64 {
        let (mut world, mut daemon) = World::calm();
        let (contact, client) = world.first();
        let now = world.env.now_ms();
        let draft = LeadDraft {
            name: "Deal".to_owned(),
            contact_ids: vec![contact],
            price: 1_000,
            stage: Some((61, 1001)),
            ..LeadDraft::default()
        };
        let lead = world.network.amo.lock().unwrap().create_lead(now, draft);
        let order = |world: &World| world.network.salebot.lock().unwrap().orders(client).first().map(|order| order.id);
        world.until(&mut daemon, "the order is made", |world| order(world).is_some());
        world.pass(&mut daemon, DOUBT_MS);
        let now = world.env.now_ms();
        world.network.amo.lock().unwrap().delete_contact(now, contact);
        world.says(client, "is anybody there");
        world.pass(&mut daemon, DOUBT_MS);
        let (now, order) = (world.env.now_ms(), order(&world).expect("it was made"));
        world.network.salebot.lock().unwrap().set_order_variable(order, "budget", &Value::from(budget));
        world.says(client, "I have more money");
        let price = |world: &World| world.network.amo.lock().unwrap().lead(lead).expect("it is there").price;
        world.until(&mut daemon, "the budget arrives", |world| price(world) == budget);
        world.env.now_ms() - now
    }
}
