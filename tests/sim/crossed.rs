//! Worlds in which one answer comes late or is lost, and something happens before it comes: each shows one safeguard that
//! chance hardly ever needs.

use crate::scripts::{DOUBT_MS, LOOK_MS};
use crate::settings;
use crate::world::{Daemon, World};
use salebridge::core::function::Function;
use salebridge::core::policy::Owner;
use salebridge::sandbox::amo::edit::{ContactDraft, LeadDraft};
use salebridge::sandbox::amo::fixture;
use salebridge::sandbox::amo::records::{Element, ElementKind};
use salebridge::sandbox::faults::{Fault, ScriptedFault, ServiceName};
use salebridge::sandbox::salebot::NewClient;
use serde_json::Value;
use std::collections::BTreeSet;

/// From one poll to the next one.
const POLL_MS: i64 = 10_000;
/// The longest that listings lag behind.
const SHOWN_MS: i64 = 20_000;
/// A note as people write it.
const NOTE_TYPE: u64 = 4;
const DAY_MS: i64 = 86_400_000;
/// So long is amoCRM away.
const AWAY_MS: i64 = 240_000;
/// How late an answer comes: less than anybody's patience, longer than anything else takes.
const LATE_MS: u64 = 8_000;

impl World {
    /// Lets everybody live until it is so.
    pub fn until(&mut self, daemon: &mut Daemon, what: &str, mut holds: impl FnMut(&World) -> bool) {
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

    /// Nobody works for so long.
    fn idle(&mut self, by_ms: i64) {
        let mut nobody: Daemon = Box::pin(std::future::pending());
        let _ = self.env.run_until(&mut nobody, self.env.now_ms() + by_ms);
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

    /// A bot learns something of somebody, who says so.
    fn tells(&mut self, client: i64, name: &str, value: &str) {
        let now = self.env.now_ms();
        self.network.salebot.lock().unwrap().set_variable(now, client, &format!("client.{name}"), value);
        self.says(client, "I have something new");
    }

    /// Somebody who has not written yet.
    pub fn newcomer(&self) -> i64 {
        let mut salebot = self.network.salebot.lock().unwrap();
        let platform_id = &format!("799{}", salebot.clients().count());
        let new = NewClient { client_type: 1, platform_id, group: "some_bot", name: Some("Newcomer") };
        salebot.add_client(self.env.now_ms(), new)
    }

    pub fn position(&self, contact: u64) -> String {
        let amo = self.network.amo.lock().unwrap();
        amo.contact(contact).expect("it is there").card.texts(fixture::FIELD_POSITION).concat()
    }

    pub fn variable(&self, client: i64, name: &str) -> String {
        let salebot = self.network.salebot.lock().unwrap();
        let value = salebot.variables(client).and_then(|variables| variables.get(name).cloned());
        value.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// A poll's answer is on its way for eight seconds, and meanwhile the bridge writes what a person said to a contact that
    /// it shows as it was. Each position that the client has from then on, and the contact's at last.
    pub fn told_beside_a_late_listing() -> (BTreeSet<String>, String) {
        let (mut world, mut daemon) = World::calm();
        let (contact, client) = world.first();
        world.tells(client, "position", "clerk");
        world.until(&mut daemon, "the first position arrives", |world| world.position(contact) == "clerk");
        // Listings show it by now, and every poll of this minute does.
        world.pass(&mut daemon, SHOWN_MS);
        world.pass_tick(&mut daemon, -LOOK_MS);
        world.look_long(&mut daemon, "/contacts");
        world.tells(client, "position", "foreman");
        world.until(&mut daemon, "the second position arrives", |world| world.position(contact) == "foreman");
        let (mut had, told_at) = (BTreeSet::new(), world.env.now_ms());
        while world.env.now_ms() < told_at + DOUBT_MS {
            world.pass(&mut daemon, LOOK_MS);
            had.insert(world.variable(client, "position"));
        }
        (had, world.position(contact))
    }

    /// A bot learns a name, which is written to a contact and whose answer is cut off, as is the look that follows; at once it
    /// learns another one. What the person is called on both sides at last: the contact's name, the client's.
    pub fn named_again_while_a_name_is_in_doubt(first: &str, second: &str) -> (String, String) {
        let (mut world, mut daemon) = World::calm();
        let (contact, client) = world.first();
        world.pass_tick(&mut daemon, 1_000);
        world.spoil(ScriptedFault::once(ServiceName::Amo, Fault::Truncated).on("/contacts").by("POST"));
        world.tells(client, "full", first);
        world.until(&mut daemon, "the first name is written", World::is_spoilt);
        world.spoil(ScriptedFault::once(ServiceName::Amo, Fault::Truncated).on("/contacts").by("GET"));
        world.until(&mut daemon, "nobody knows of it", World::is_spoilt);
        world.tells(client, "full", second);
        world.pass(&mut daemon, DOUBT_MS);
        let name = world.network.amo.lock().unwrap().contact(contact).expect("it is there").card.name.clone();
        (name, world.variable(client, "full"))
    }

    /// A write of ours is decided, and before it is sent a manager renames the contact. How long that takes to reach the client.
    pub fn renamed_before_a_write(name: &str) -> i64 {
        let (mut world, mut daemon) = World::calm();
        let (contact, client) = world.first();
        world.pass_tick(&mut daemon, 2_000);
        world.tells(client, "position", "foreman");
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
        world.tells(client, "phone", "+79990000077");
        world.until(&mut daemon, "the write is decided", World::waits);
        world.look_long(&mut daemon, "/contacts");
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
        let (lead, order) = world.deal(&mut daemon);
        let now = world.env.now_ms();
        world.network.amo.lock().unwrap().delete_contact(now, contact);
        world.says(client, "is anybody there");
        world.pass(&mut daemon, DOUBT_MS);
        let now = world.env.now_ms();
        world.tells_budget(client, order, budget);
        world.until(&mut daemon, "the budget arrives", |world| world.price(lead) == budget);
        world.env.now_ms() - now
    }

    /// A budget that a bot told is to be written through API v4. The look before it is on its way for eight seconds, and
    /// meanwhile a manager sets another price. The lead's price after that, and the order's budget.
    pub fn priced_beside_a_long_look(price: i64) -> (i64, Value) {
        let (mut world, mut daemon) = World::calm_with(|world| world.speaks_v4 = true);
        let (_, client) = world.first();
        let (lead, order) = world.deal(&mut daemon);
        world.pass_tick(&mut daemon, 1_000);
        world.tells_budget(client, order, price + 1);
        world.until(&mut daemon, "the write is decided", World::waits);
        world.look_long(&mut daemon, "/leads");
        let now = world.env.now_ms();
        world.network.amo.lock().unwrap().set_lead_price(now, lead, price);
        world.pass(&mut daemon, DOUBT_MS);
        let salebot = world.network.salebot.lock().unwrap();
        let budget = salebot.orders(client).first().and_then(|order| order.variables.get("budget").cloned());
        (world.price(lead), budget.unwrap_or_default())
    }

    /// Our clock is set back behind the start of the daemon, and a minute later a newcomer's contact is made, whose answer is cut
    /// off. How many contacts there are more, once it is known.
    pub fn newcomer_after_the_clock_was_set_back() -> usize {
        let (mut world, mut daemon) = World::calm();
        world.env.jump(-600_000);
        world.pass(&mut daemon, 90_000);
        let contacts = |world: &World| world.network.amo.lock().unwrap().contact_count();
        let (before, client) = (contacts(&world), world.newcomer());
        world.pass_tick(&mut daemon, 1_000);
        world.spoil(ScriptedFault::once(ServiceName::Amo, Fault::Truncated).on("/contacts").by("POST"));
        world.says(client, "hello");
        world.until(&mut daemon, "the contact is made", World::is_spoilt);
        world.pass(&mut daemon, DOUBT_MS);
        assert_eq!(world.counts().links, 3, "it is known whose it is");
        contacts(&world) - before
    }

    /// A newcomer's contact is to be made, a gateway answers in amoCRM's place, and before anybody looks whether it was made a
    /// manager makes one with the same number and no position. Position and name on both sides at last: the contact's, the
    /// client's.
    pub fn made_by_hand_while_it_is_in_doubt() -> [(String, String); 2] {
        let (mut world, mut daemon) = World::calm();
        let (now, client) = (world.env.now_ms(), world.newcomer());
        for (name, value) in [("phone", "+79990000050"), ("position", "foreman"), ("full", "Newcomer")] {
            world.network.salebot.lock().unwrap().set_variable(now, client, &format!("client.{name}"), value);
        }
        world.pass_tick(&mut daemon, 1_000);
        let gateway = Fault::Status { code: 502, body: None, retry_after: None };
        world.spoil(ScriptedFault::once(ServiceName::Amo, gateway).on("/contacts").by("POST"));
        world.says(client, "hello");
        world.until(&mut daemon, "the contact is to be made", World::is_spoilt);
        let now = world.env.now_ms();
        let phones = vec!["+79990000050".to_owned()];
        let draft = ContactDraft { name: "By hand".to_owned(), phones, ..ContactDraft::default() };
        let contact = world.network.amo.lock().unwrap().add_contact(now, draft);
        world.pass(&mut daemon, DOUBT_MS);
        assert_eq!(world.variable(client, "amo_contact_id"), contact.to_string(), "nobody else is made");
        let name = world.network.amo.lock().unwrap().contact(contact).expect("it is there").card.name.clone();
        let position = (world.position(contact), world.variable(client, "position"));
        [position, (name, world.variable(client, "full"))]
    }

    /// The daemon is killed before it hears that a newcomer's contact was made, the bot learns another position meanwhile, and
    /// the first listing shows the contact. Position on both sides at last: the contact's, the client's.
    pub fn told_while_its_contact_is_in_doubt() -> (String, String) {
        let (mut world, mut daemon) = World::calm_with(|world| {
            world.ordained = |policy| policy.rules.iter_mut().for_each(|rule| rule.owner = Owner::Amo);
        });
        let (now, client) = (world.env.now_ms(), world.newcomer());
        for (name, value) in [("phone", "+79990000050"), ("position", "clerk")] {
            world.network.salebot.lock().unwrap().set_variable(now, client, &format!("client.{name}"), value);
        }
        world.pass_tick(&mut daemon, 1_000);
        let late = Fault::Slow { ms: LATE_MS };
        world.spoil(ScriptedFault::once(ServiceName::Amo, late).on("/contacts").by("POST"));
        world.says(client, "hello");
        world.until(&mut daemon, "the contact is made", World::is_spoilt);
        drop(daemon);
        world.idle(2 * SHOWN_MS);
        let now = world.env.now_ms();
        world.network.salebot.lock().unwrap().set_variable(now, client, "client.position", "foreman");
        // The look for it is turned away so often that it comes back less and less; a listing comes first.
        let away = Fault::Status { code: 502, body: None, retry_after: None };
        world.spoil(ScriptedFault::once(ServiceName::Amo, away).times(u64::MAX));
        let mut daemon = world.start();
        world.pass(&mut daemon, AWAY_MS);
        world.network.faults.lock().unwrap().stop();
        world.until(&mut daemon, "a listing shows whose it is", |world| world.counts().links == 3);
        assert!(World::waits(&world), "its making is still in doubt");
        world.pass(&mut daemon, DOUBT_MS);
        let contact = world.variable(client, "amo_contact_id").parse().expect("it has a contact");
        (world.position(contact), world.variable(client, "position"))
    }

    /// A bot has a lead made, the daemon is killed before it hears of that, and the first listing shows the lead. How often
    /// the bot is told of a new lead.
    pub fn told_of_its_own_lead() -> usize {
        let (mut world, mut daemon) =
            World::calm_with(|world| world.ordained = |policy| policy.triggers = settings::triggers());
        let (_, client) = world.first();
        let late = Fault::Slow { ms: LATE_MS };
        world.spoil(ScriptedFault::once(ServiceName::Amo, late).on("/leads").by("POST"));
        world.bots.ask(Function::AddLead, client, "made by a bot".to_owned(), true, world.env.now_ms());
        world.until(&mut daemon, "the lead is made", World::is_spoilt);
        drop(daemon);
        world.idle(2 * SHOWN_MS);
        // The look for it is turned away so often that it comes back less and less; a listing comes first.
        let away = Fault::Status { code: 502, body: None, retry_after: None };
        world.spoil(ScriptedFault::once(ServiceName::Amo, away).times(u64::MAX));
        let mut daemon = world.start();
        world.pass(&mut daemon, AWAY_MS);
        world.network.faults.lock().unwrap().stop();
        let before = world.network.trace.lock().unwrap().len();
        world.until(&mut daemon, "a listing shows the lead", |world| {
            world.network.trace.lock().unwrap()[before..]
                .iter()
                .any(|line| line.contains(" GET leads ") && line.contains(" 200 "))
        });
        assert!(World::waits(&world), "its making is still in doubt");
        world.pass(&mut daemon, DOUBT_MS);
        assert_eq!(
            world.network.amo.lock().unwrap().leads().filter(|lead| lead.card.name == "made by a bot").count(),
            1
        );
        let salebot = world.network.salebot.lock().unwrap();
        salebot.callbacks().filter(|callback| callback.text.starts_with("made ")).count()
    }

    /// Two people of one name and no number write at the same moment, the daemon is killed before it hears that their contacts
    /// were made, and nothing in a contact tells whose it is. The contact of each, and how many there are more.
    pub fn namesakes_whose_contacts_are_in_doubt() -> ([String; 2], usize) {
        let (mut world, mut daemon) = World::calm_with(|world| {
            world.ordained = |policy| policy.rules.retain(|rule| rule.salebot.to_string() != "client.id");
        });
        let before = world.network.amo.lock().unwrap().contact_count();
        let both = [world.newcomer(), world.newcomer()];
        world.pass_tick(&mut daemon, 1_000);
        let late = Fault::Slow { ms: LATE_MS };
        world.spoil(ScriptedFault::once(ServiceName::Amo, late).on("/contacts").by("POST"));
        both.iter().for_each(|client| world.says(*client, "hello"));
        let now = world.env.now_ms();
        world.deliveries.iter_mut().for_each(|delivery| delivery.due = now);
        world.until(&mut daemon, "the contacts are made", World::is_spoilt);
        drop(daemon);
        let made = world.network.amo.lock().unwrap().contact_count() - before;
        assert_eq!(made, 2, "in one request");
        // Until listings show both.
        world.idle(2 * SHOWN_MS);
        let mut daemon = world.start();
        world.pass(&mut daemon, DOUBT_MS);
        let contacts = world.network.amo.lock().unwrap().contact_count() - before;
        (both.map(|client| world.variable(client, "amo_contact_id")), contacts)
    }

    /// A bot's call makes a note whose answer is lost, the contact is deleted, and our clock is set back: the next contact is
    /// dated before the call. How often the note is there, on either contact.
    pub fn called_on_a_contact_that_is_made_again() -> usize {
        let (mut world, mut daemon) = World::calm();
        let (contact, client) = world.first();
        world.pass_tick(&mut daemon, 1_000);
        world.spoil(ScriptedFault::once(ServiceName::Amo, Fault::LostAnswer).on("/notes").by("POST"));
        let now = world.env.now_ms();
        world.bots.ask(Function::AddContactNote, client, "called once".to_owned(), true, now);
        world.until(&mut daemon, "the note is made", World::is_spoilt);
        let now = world.env.now_ms();
        world.network.amo.lock().unwrap().delete_contact(now, contact);
        world.env.jump(-3_600_000);
        world.says(client, "still here");
        world.pass(&mut daemon, DOUBT_MS);
        let next = world.variable(client, "amo_contact_id");
        assert_ne!(next, contact.to_string(), "there is a new contact");
        let amo = world.network.amo.lock().unwrap();
        amo.notes().filter(|note| note.words() == "called once").count()
    }

    /// Somebody has just written, amoCRM answers nobody, and our clock is set back by an hour, beneath a running daemon or
    /// between two. How often each of two messages is noted some minutes after amoCRM answers again.
    pub fn said_before_the_clock_was_set_back(crashes: bool) -> [usize; 2] {
        let (mut world, mut daemon) = World::calm();
        let (_, client) = world.first();
        let away = Fault::Status { code: 503, body: None, retry_after: None };
        world.spoil(ScriptedFault::once(ServiceName::Amo, away).times(u64::MAX));
        world.says(client, "said before");
        world.pass(&mut daemon, 20_000);
        world.says(client, "said just before");
        world.pass(&mut daemon, 4_000);
        world.env.jump(-3_600_000);
        if crashes {
            drop(daemon);
            daemon = world.start();
        }
        world.pass(&mut daemon, 20_000);
        world.network.faults.lock().unwrap().stop();
        world.pass(&mut daemon, DOUBT_MS);
        let amo = world.network.amo.lock().unwrap();
        let notes: Vec<&str> = amo.notes().map(|note| note.words()).collect();
        ["said before", "said just before"].map(|text| notes.iter().map(|note| note.matches(text).count()).sum())
    }

    /// A message finds the store full. In how many notes it is before the next look by the schedule.
    pub fn turned_away() -> usize {
        let (mut world, mut daemon) = World::calm();
        let minute = 60_000;
        let begins = world.env.now_ms() / minute * minute + minute + 5_000;
        world.live(&mut daemon, begins);
        let (_, client) = world.first();
        world.network.salebot.lock().unwrap().person_writes(begins, client, Some("nobody took it"), &[]);
        drop(world.network.salebot.lock().unwrap().take_webhooks());
        world.arrivals.miss();
        world.live(&mut daemon, begins + 40_000);
        let amo = world.network.amo.lock().unwrap();
        amo.notes().filter(|note| note.words() == "nobody took it").count()
    }

    /// Somebody says what was noted three days ago, and the note is lost on its way. How often it stands there at last.
    pub fn said_again_and_lost() -> usize {
        let (mut world, mut daemon) = World::calm();
        let (contact, client) = world.first();
        let (long_ago, element) =
            (world.env.now_ms() - 3 * DAY_MS, Element { kind: ElementKind::Contact, id: contact });
        world.network.amo.lock().unwrap().add_note(long_ago, element, NOTE_TYPE, "Call me").expect("it is there");
        world.pass(&mut daemon, DOUBT_MS);
        let gateway = Fault::Status { code: 502, body: None, retry_after: None };
        world.spoil(ScriptedFault::once(ServiceName::Amo, gateway).on("/notes").by("POST"));
        world.says(client, "Call me");
        world.pass(&mut daemon, DOUBT_MS);
        assert!(world.is_spoilt());
        let amo = world.network.amo.lock().unwrap();
        amo.notes().filter(|note| note.words() == "Call me").count()
    }

    /// Notes go to leads, and somebody writes whose lead was deleted, which nobody has heard of. The contacts the note is on
    /// at last, and the person's.
    pub fn noted_on_a_lead_that_is_gone() -> (Vec<u64>, u64) {
        let (mut world, mut daemon) = World::calm_with(|world| {
            world.ordained = |policy| (policy.notes.on_contact, policy.notes.on_lead) = (false, true);
        });
        let (contact, client) = world.first();
        let (lead, _) = world.deal(&mut daemon);
        // Its first attempt comes to nothing, and before the next one the lead is gone.
        let gateway = Fault::Status { code: 502, body: None, retry_after: None };
        world.spoil(ScriptedFault::once(ServiceName::Amo, gateway).on("/notes").by("POST"));
        world.says(client, "is it still there");
        world.until(&mut daemon, "the note is on its way", World::is_spoilt);
        let now = world.env.now_ms();
        assert!(world.network.amo.lock().unwrap().delete_lead(now, lead));
        world.pass(&mut daemon, DOUBT_MS);
        let amo = world.network.amo.lock().unwrap();
        let notes = amo.notes().filter(|note| note.words().contains("is it still there"));
        (notes.map(|note| note.element.id).collect(), contact)
    }

    /// The next look at records of this kind is on its way for eight seconds.
    fn look_long(&mut self, daemon: &mut Daemon, route: &str) {
        let late = Fault::Slow { ms: LATE_MS };
        self.spoil(ScriptedFault::once(ServiceName::Amo, late).on(route).by("GET"));
        self.until(daemon, "the look is on its way", World::is_spoilt);
    }

    /// A lead of the first person, and its order, both at rest.
    fn deal(&mut self, daemon: &mut Daemon) -> (u64, i64) {
        let (contact, client) = self.first();
        let now = self.env.now_ms();
        let draft = LeadDraft {
            name: "Deal".to_owned(),
            contact_ids: vec![contact],
            price: 1_000,
            stage: Some((61, 1001)),
            ..LeadDraft::default()
        };
        let lead = self.network.amo.lock().unwrap().create_lead(now, draft);
        let order = |world: &World| world.network.salebot.lock().unwrap().orders(client).first().map(|order| order.id);
        self.until(daemon, "the order is made", |world| order(world).is_some());
        self.pass(daemon, DOUBT_MS);
        (lead, order(self).expect("it was made"))
    }

    fn tells_budget(&mut self, client: i64, order: i64, budget: i64) {
        self.network.salebot.lock().unwrap().set_order_variable(order, "budget", &Value::from(budget));
        self.says(client, "I have more money");
    }

    fn price(&self, lead: u64) -> i64 {
        self.network.amo.lock().unwrap().lead(lead).expect("it is there").price
    }
}
