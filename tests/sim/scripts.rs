//! Worlds in which nothing is left to chance and nothing goes wrong: one thing happens, in one order.

use crate::kept::Kept;
use crate::network::{Network, Refusal};
use crate::settings::Listens;
use crate::world::{BRIDGE, Daemon, Person, QUIET_MS, SHOWING_MS, START_MS, World};
use salebridge::core::action::Action;
use salebridge::core::function::Function;
use salebridge::core::guard;
use salebridge::core::id::{ClientId, ContactId};
use salebridge::core::link::ClientLink;
use salebridge::core::model::Client;
use salebridge::core::run::{Run, RunKind};
use salebridge::core::time::Millis;
use salebridge::ports::remote::Priority;
use salebridge::ports::store::{Change, Mark, NewAction, Subject};
use salebridge::sandbox::amo::edit::ContactDraft;
use salebridge::sandbox::amo::fixture;
use salebridge::sandbox::faults::{Faults, ServiceName};
use salebridge::sandbox::salebot::NewClient;
use std::sync::Arc;

/// How often is looked whether the bridge has written.
pub const LOOK_MS: i64 = 20;
/// Clients that an import has something for.
const LONG_QUEUE: u64 = 400;
/// People whom an import has just linked.
const MANY_PEOPLE: u64 = 200;
/// Longer than an older state is doubted.
pub const DOUBT_MS: i64 = 300_000;

impl World {
    /// Two people with a contact and a client each, who belong together, in an account that is polled and nothing else.
    pub fn calm() -> (World, Daemon) {
        World::calm_with(|_| ())
    }

    /// The same in a world that is a little different.
    pub fn calm_with(change: impl FnOnce(&mut World)) -> (World, Daemon) {
        let (mut world, mut daemon) = World::founded_with(str::to_owned, change);
        let clients: Vec<i64> = world.people.iter().flat_map(|person| person.clients.clone()).collect();
        for client in clients {
            world.live(&mut daemon, world.env.now_ms() + 5_000);
            world.says(client, "hello");
            world.live(&mut daemon, world.env.now_ms() + 5_000);
            world.deliver();
        }
        assert_eq!(world.counts().links, 2, "both have their contact");
        (world, daemon)
    }

    /// The same when the daemon is started for the first time.
    fn founded() -> (World, Daemon) {
        World::founded_with(str::to_owned, |_| ())
    }

    /// Contacts have their numbers spelled like this, and the world is changed before the daemon starts.
    fn founded_with(spelled: fn(&str) -> String, change: impl FnOnce(&mut World)) -> (World, Daemon) {
        let mut world = World::blank(0, false, Kept::in_memory());
        world.network =
            Arc::new(Network { refusals: Vec::new(), ..Arc::into_inner(world.network).expect("the only one") });
        *world.network.faults.lock().unwrap() = Faults::none();
        (world.has_jumps, world.is_disorderly, world.listens) = (false, false, Listens::Polls);
        world.settle_neighbours(spelled);
        change(&mut world);
        let daemon = world.start();
        (world, daemon)
    }

    /// How often the variables of two clients are read in a first listing of contacts that finds both, until each has its
    /// contact's values.
    pub fn reads_of_a_first_listing() -> u64 {
        let (mut world, mut daemon) = World::founded();
        world.live(&mut daemon, world.env.now_ms() + 5_000);
        assert_eq!(world.counts().links, 2, "both have their contact");
        let salebot = world.network.salebot.lock().unwrap();
        for client in world.people.iter().flat_map(|person| &person.clients) {
            let variables = salebot.variables(*client).expect("it is there");
            assert!(variables.contains_key("amo_contact_id"), "{variables:?}");
        }
        salebot.statistics().by_action.get("get_variables").copied().unwrap_or_default()
    }

    /// amoCRM refuses everything while the night's sweep is due, and for a minute behind. Whether a sweep was through a minute
    /// later, and five minutes after that.
    pub fn sweeps_after_a_refusal() -> (bool, bool) {
        /// Half past three at night, after the world's beginning.
        const SWEEP_MS: i64 = START_MS + 67_000_000;
        let (mut world, mut daemon) = World::founded_with(str::to_owned, |world| {
            let refusal =
                Refusal { service: ServiceName::Amo, status: 500, from: SWEEP_MS - 1_000, until: SWEEP_MS + 60_000 };
            Arc::get_mut(&mut world.network).expect("the only one").refusals.push(refusal);
            let mut nobody: Daemon = Box::pin(std::future::pending());
            let _ = world.env.run_until(&mut nobody, SWEEP_MS - 60_000);
        });
        world.live(&mut daemon, SWEEP_MS - 5_000);
        assert_eq!(world.counts().links, 2, "both have their contact");
        let is_through = |world: &World| {
            world.kept.wait(world.kept.store.text(BRIDGE, guard::SWEEP)).expect("never fails").is_some()
        };
        world.live(&mut daemon, SWEEP_MS + 120_000);
        let before = is_through(&world);
        world.live(&mut daemon, SWEEP_MS + 420_000);
        (before, is_through(&world))
    }

    /// People write so long after the first start, whose numbers were typed in amoCRM in a way that its search does not find.
    /// How many contacts there are more than before.
    pub fn contacts_made_when_written_to(after_ms: i64) -> usize {
        let (mut world, mut daemon) =
            World::founded_with(|phone| format!("8 ({}) {}-{}", &phone[2..5], &phone[5..8], &phone[8..]), |_| ());
        let contacts = |world: &World| world.network.amo.lock().unwrap().contact_count();
        let (before, now) = (contacts(&world), world.env.now_ms());
        let clients: Vec<i64> = world.people.iter().flat_map(|person| person.clients.clone()).collect();
        for (place, client) in (0..).zip(clients) {
            world.live(&mut daemon, now + after_ms + place * LOOK_MS);
            world.says(client, "hello");
            world.deliver();
        }
        world.live(&mut daemon, now + 30_000);
        world.deliver();
        world.live(&mut daemon, now + 90_000);
        assert_eq!(world.counts().links, 2, "both have a contact");
        contacts(&world) - before
    }

    /// How many requests both services see in the minutes after a manager gave one of two people the number of the other
    /// as well.
    pub fn neighbours() -> u64 {
        let (mut world, mut daemon) = World::calm();
        let (now, contact) = (world.env.now_ms(), world.people[0].contact.expect("one each"));
        world.network.amo.lock().unwrap().add_phone(now, contact, "+79990000001");
        let before = world.network.trace.lock().unwrap().len();
        world.live(&mut daemon, now + SHOWING_MS + QUIET_MS);
        let after = world.network.trace.lock().unwrap().len();
        (after - before) as u64
    }

    /// amoCRM refuses everything, and so many people write who were never seen before, again and again for a while. How many
    /// contacts there are more once it is over.
    pub fn newcomers_while_amo_is_away(newcomers: usize) -> usize {
        let (from, until) = (START_MS + 60_000, START_MS + 420_000);
        let refusal = Refusal { service: ServiceName::Amo, status: 403, from, until };
        let (mut world, mut daemon) = World::calm_with(|world| {
            Arc::get_mut(&mut world.network).expect("nobody else has it").refusals.push(refusal);
        });
        let contacts = |world: &World| world.network.amo.lock().unwrap().contact_count();
        let before = contacts(&world);
        world.live(&mut daemon, from + 1_000);
        let clients: Vec<i64> = (0..newcomers).map(|_| world.newcomer()).collect();
        clients.iter().for_each(|client| world.says(*client, "hello"));
        while world.env.now_ms() < until {
            world.deliver();
            world.live(&mut daemon, world.env.now_ms() + 1_000);
        }
        let deadline = until + 3_600_000;
        while world.counts().links < 2 + newcomers as u64 || world.counts().outbox > 0 {
            assert!(world.env.now_ms() < deadline, "everybody has a contact at last: {:?}", world.counts());
            world.live(&mut daemon, world.env.now_ms() + 10_000);
        }
        contacts(&world) - before
    }

    /// A manager types a remark and a name, and meanwhile the bridge writes another value to the same contact. It was edited
    /// in that very second, so the write is dated one second later, and the name that comes after it one second earlier. What
    /// the client is called some minutes later.
    pub fn renamed_in_the_second_of_a_write(name: &str) -> Option<String> {
        let (mut world, mut daemon) = World::calm();
        let (contact, client) = world.first();
        let now = world.env.now_ms();
        world.network.salebot.lock().unwrap().set_variable(now, client, "client.position", "foreman");
        world.says(client, "I am the foreman now");
        let written = |world: &World| {
            let amo = world.network.amo.lock().unwrap();
            let contact = amo.contact(contact).expect("it is there");
            (contact.card.texts(fixture::FIELD_POSITION) == ["foreman"]).then_some(contact.card.updated_at)
        };
        let dated = loop {
            let (now, remark) = (world.env.now_ms(), format!("as of {}", world.env.now_ms()));
            world.network.amo.lock().unwrap().set_contact_text(now, contact, fixture::FIELD_TEXTAREA, &remark);
            world.deliver();
            world.live(&mut daemon, world.env.now_ms() + LOOK_MS);
            if let Some(dated) = written(&world) {
                break dated;
            }
            assert!(world.env.now_ms() < now + QUIET_MS, "the bridge writes what the person said");
        };
        let now = world.env.now_ms();
        world.network.amo.lock().unwrap().rename_contact(now, contact, name);
        assert!(now.div_euclid(1_000) < dated, "the edit is older than our write: {now} and {dated}");
        world.live(&mut daemon, now + DOUBT_MS);
        let salebot = world.network.salebot.lock().unwrap();
        salebot.client(client)?.variables.get("full")?.as_str().map(str::to_owned)
    }

    /// A manager types a remark, the bridge writes another value to the same contact, and then the manager changes the name.
    /// How long that takes to reach the client, at the worst of some moments of a second.
    pub fn renamed_after_a_write_beside_a_remark(name: &str) -> i64 {
        let taken = (0..1_000).step_by(100).map(|into_second_ms| {
            let (mut world, mut daemon) = World::calm();
            let (contact, client) = world.first();
            let began = (world.env.now_ms() / 1_000 + 2) * 1_000 + into_second_ms;
            world.live(&mut daemon, began);
            world.network.amo.lock().unwrap().set_contact_text(began, contact, fixture::FIELD_TEXTAREA, "a remark");
            world.network.salebot.lock().unwrap().set_variable(began, client, "client.position", "foreman");
            world.says(client, "I am the foreman now");
            world.until(&mut daemon, "it is written", |world| world.position(contact) == "foreman");
            let renamed_at = world.env.now_ms();
            world.network.amo.lock().unwrap().rename_contact(renamed_at, contact, name);
            world.until(&mut daemon, "the name arrives", |world| world.variable(client, "full") == name);
            world.env.now_ms() - renamed_at
        });
        taken.max().expect("ten moments")
    }

    /// An import leaves callbacks to four hundred clients, four a second, and a manager renames somebody. How long that takes
    /// to reach the client, and how many of the others have been called by then.
    pub fn renamed_beside_a_long_queue(name: &str) -> (i64, u64) {
        let (mut world, mut daemon) = World::calm();
        let (contact, client) = world.first();
        let now = world.env.now_ms();
        let mut changes = Vec::new();
        for number in 0..LONG_QUEUE {
            // Nobody makes a contact for a group.
            let platform_id = format!("-100{number:04}");
            let new = NewClient { client_type: 1, platform_id: &platform_id, group: "some_bot", name: None };
            let other = world.network.salebot.lock().unwrap().add_client(now, new);
            let client = ClientId(u64::try_from(other).expect("an id"));
            let known = Client { platform_id: Some(platform_id), messenger: Some(1), ..Client::unknown(client) };
            changes.push(Change::PutClient(Box::new(ClientLink::new(known))));
            let action = Action::Callback { client, text: "imported".to_owned() };
            changes.push(Change::AddAction(Box::new(NewAction {
                action,
                slot: None,
                priority: Priority::Background,
                not_before: Millis(now),
                created_at: Millis(now),
                run: None,
            })));
        }
        world.kept.wait(world.kept.store.commit(BRIDGE, changes)).expect("never fails");
        let called = |world: &World| {
            let salebot = world.network.salebot.lock().unwrap();
            salebot.statistics().by_action.get("callback").copied().unwrap_or_default()
        };
        while called(&world) < 10 {
            world.live(&mut daemon, world.env.now_ms() + LOOK_MS);
        }
        let renamed_at = world.env.now_ms();
        world.network.amo.lock().unwrap().rename_contact(renamed_at, contact, name);
        world.until(&mut daemon, "it arrives", |world| world.variable(client, "full") == name);
        (world.env.now_ms() - renamed_at, called(&world))
    }

    /// An import leaves two hundred people to look at, four requests a second, and somebody writes whose bot has just learnt
    /// something. How long that takes to reach amoCRM.
    pub fn said_beside_an_import(position: &str) -> i64 {
        let (mut world, mut daemon) = World::calm();
        let now = world.env.now_ms();
        let mut changes = Vec::new();
        for number in 0..MANY_PEOPLE {
            let draft = ContactDraft { name: format!("Regular {number}"), ..ContactDraft::default() };
            let contact = ContactId(world.network.amo.lock().unwrap().add_contact(now, draft));
            let platform_id = format!("90000{number:04}");
            let new = NewClient { client_type: 1, platform_id: &platform_id, group: "some_bot", name: None };
            let client = world.network.salebot.lock().unwrap().add_client(now, new);
            let client = Client::unknown(ClientId(u64::try_from(client).expect("an id")));
            changes.push(Change::PutClient(Box::new(ClientLink { contact: Some(contact), ..ClientLink::new(client) })));
            let run = Some(Run { at: Millis(now), kind: RunKind::Backfill });
            changes.push(Change::Mark(Mark { subject: Subject::Contact(contact), due: Millis(now), attempts: 0, run }));
        }
        world.kept.wait(world.kept.store.commit(BRIDGE, changes)).expect("never fails");
        world.live(&mut daemon, now + 3_000);
        let (contact, client) = world.first();
        let said_at = world.env.now_ms();
        world.network.salebot.lock().unwrap().set_variable(said_at, client, "client.position", position);
        world.says(client, "I have another position");
        world.until(&mut daemon, "it arrives", |world| world.position(contact) == position);
        world.env.now_ms() - said_at
    }

    /// A contact is deleted, of which polls tell nothing, and a bot wants a note on it. The contact that the client names half
    /// a minute later, and on which the note is then; and the one that was deleted.
    pub fn called_after_a_deletion() -> (Option<String>, Vec<u64>, u64) {
        let (mut world, mut daemon) = World::calm();
        let (contact, client) = world.calls_for_a_deleted();
        world.live(&mut daemon, world.env.now_ms() + 30_000);
        let salebot = world.network.salebot.lock().unwrap();
        let named = salebot.client(client).and_then(|client| client.variables.get("amo_contact_id")?.as_str());
        let amo = world.network.amo.lock().unwrap();
        let noted = amo.notes().filter(|note| note.words() == "called for nobody").map(|note| note.element.id);
        (named.map(str::to_owned), noted.collect(), contact)
    }

    /// The same, by a bot whose call came before our clock was set back by ten minutes. How many requests amoCRM sees in a
    /// minute.
    pub fn called_before_the_clock_was_set_back() -> u64 {
        let (mut world, mut daemon) = World::calm();
        world.env.jump(-600_000);
        world.calls_for_a_deleted();
        let asked = |world: &World| world.network.amo.lock().unwrap().statistics().requests;
        let before = asked(&world);
        world.live(&mut daemon, world.env.now_ms() + 60_000);
        asked(&world) - before
    }

    /// A contact is deleted, and its client's bot wants a note on it: who both are.
    fn calls_for_a_deleted(&self) -> (u64, i64) {
        let (contact, client) = self.first();
        let now = self.env.now_ms();
        self.network.amo.lock().unwrap().delete_contact(now, contact);
        self.bots.ask(Function::AddContactNote, client, "called for nobody".to_owned(), true, now);
        (contact, client)
    }

    /// Somebody deletes a client in Salebot, and a manager renames its contact. How many requests Salebot sees in the minutes
    /// after that.
    pub fn deleted_in_salebot() -> u64 {
        let (mut world, mut daemon) = World::calm();
        let (contact, client) = world.first();
        assert!(world.network.salebot.lock().unwrap().delete_client(client), "it was there");
        let now = world.env.now_ms();
        world.network.amo.lock().unwrap().rename_contact(now, contact, "Renamed for nobody");
        let asked = |world: &World| world.network.salebot.lock().unwrap().statistics().total;
        let before = asked(&world);
        world.live(&mut daemon, now + SHOWING_MS + QUIET_MS);
        asked(&world) - before
    }

    /// The first person's contact and client.
    pub fn first(&self) -> (u64, i64) {
        (self.people[0].contact.expect("one each"), self.people[0].clients[0])
    }

    pub fn says(&mut self, client: i64, text: &str) {
        let now = self.env.now_ms();
        self.network.salebot.lock().unwrap().person_writes(now, client, Some(text), &[]);
        let hooks = self.network.salebot.lock().unwrap().take_webhooks();
        self.post(hooks);
    }

    /// Two contacts, and a client of each that has its number.
    fn settle_neighbours(&mut self, spelled: fn(&str) -> String) {
        let now = self.env.now_ms() - 86_400_000;
        let network = Arc::clone(&self.network);
        let mut amo = network.amo.lock().unwrap();
        let mut salebot = network.salebot.lock().unwrap();
        for number in 0..2 {
            let name = format!("Neighbour {number}");
            let phone = format!("+7999000000{number}");
            let phones = vec![spelled(&phone)];
            let contact = amo.add_contact(now, ContactDraft { name: name.clone(), phones, ..ContactDraft::default() });
            let platform_id = format!("70000000{number}");
            let new = NewClient { client_type: 1, platform_id: &platform_id, group: "some_bot", name: Some(&name) };
            let client = salebot.add_client(now, new);
            salebot.set_variable(now, client, "client.phone", &phone);
            self.people.push(Person { contact: Some(contact), clients: vec![client], ..Person::default() });
        }
    }
}
