//! One world: both services, people and managers, webhooks on their way, a daemon that crashes.

use crate::checks;
use crate::clock::{Random, SimEnv};
use crate::flaky::Flaky;
use crate::network::{AMO_URL, Network, SALEBOT_URL};
use crate::settings::{amo_options, policy, random_faults, salebot_options, timing};
use futures::FutureExt;
use salebridge::core::flex::Notices;
use salebridge::core::model::Event;
use salebridge::core::retry::RetryPolicy;
use salebridge::core::time::Millis;
use salebridge::engine::{Bridge, HEARD, Parts};
use salebridge::inbound::SalebotDecoder;
use salebridge::ports::env::{Bell, Env};
use salebridge::ports::remote::Decoder;
use salebridge::ports::store::{Counts, NewInbox, Source, Store};
use salebridge::remote::amocrm::{AmoV2, Bearer, LongLivedToken};
use salebridge::remote::http::Transport;
use salebridge::remote::lane::{Lane, LaneOptions};
use salebridge::remote::salebot::{DealLanguage, SalebotApi, SalebotOptions as AdapterOptions};
use salebridge::sandbox::amo::edit::{ContactDraft, LeadDraft};
use salebridge::sandbox::amo::{Amo, fixture};
use salebridge::sandbox::faults::Faults;
use salebridge::sandbox::salebot::options::DEFAULT_KEY;
use salebridge::sandbox::salebot::{NewClient, Salebot, Webhook};
use salebridge::store::memory::MemoryStore;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;

pub const BRIDGE: &str = "sim";
const START_MS: i64 = 1_760_000_000_000;
/// How long people are busy and faults happen.
const BUSY_MS: i64 = 240_000;
/// How long both sides may take to come to rest once the faults have stopped.
const REST_MS: i64 = 3_600_000;
/// How long nothing may be written after that.
const QUIET_MS: i64 = 120_000;

/// A person of this world.
#[derive(Debug, Clone)]
pub struct Person {
    /// The contact the manager had made before.
    pub contact: Option<u64>,
    /// The phone number, in the variables of every client.
    pub phone: Option<String>,
    /// One client a messenger.
    pub clients: Vec<i64>,
}

/// What happened in a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Requests as they left.
    pub trace: Vec<String>,
    counts: BTreeMap<String, u64>,
}

impl Report {
    pub fn add(&mut self, other: &Report) {
        for (what, count) in &other.counts {
            *self.counts.entry(what.clone()).or_default() += count;
        }
    }

    fn count(&mut self, what: impl Into<String>, count: u64) {
        *self.counts.entry(what.into()).or_default() += count;
    }

    /// Things a set of seeds must have met to mean anything.
    pub fn never_happened(&self) -> Vec<&'static str> {
        let needed = [
            "crashes",
            "store failures",
            "fault LostRequest",
            "fault LostAnswer",
            "fault Slow",
            "fault Status",
            "fault Html",
            "fault Truncated",
            "webhooks twice",
            "webhooks late",
            "webhooks lost",
            "outages",
            "messages recovered",
            "contacts made",
            "orders made",
            "notes",
            "messages",
            "renamed",
            "clients loaded",
            "variables set",
        ];
        needed.into_iter().filter(|what| self.counts.get(*what).copied().unwrap_or(0) == 0).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in &self.counts {
            writeln!(f, "{count:>9}  {what}")?;
        }
        Ok(())
    }
}

type Daemon = Pin<Box<dyn Future<Output = ()>>>;

/// A message of a person or to one.
#[derive(Debug, Clone)]
pub struct Said {
    pub id: i64,
    pub client: i64,
    pub text: String,
    /// Virtual Unix milliseconds.
    pub at: i64,
}

/// A webhook on its way.
struct Delivery {
    due: i64,
    client: i64,
    body: Vec<u8>,
}

pub struct World {
    pub env: Arc<SimEnv>,
    pub network: Arc<Network>,
    pub store: Arc<MemoryStore>,
    /// The same store as the daemon sees it.
    disk: Arc<Flaky>,
    pub people: Vec<Person>,
    /// Contacts that were there, or that a manager made.
    pub known_contacts: BTreeSet<u64>,
    /// Every message of a person or to one.
    pub messages: Vec<Said>,
    /// Clients of whom a webhook was lost.
    pub unheard: BTreeSet<i64>,
    /// Webhooks may arrive out of order in this world.
    pub is_disorderly: bool,
    /// Contacts without a client get one.
    pub loads_clients: bool,
    random: Random,
    deliveries: Vec<Delivery>,
    bell: Arc<Bell>,
    decoder: Arc<SalebotDecoder>,
    report: Report,
    crashes_left: u64,
    is_lossy: bool,
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut random = Random::seeded(seed);
        let env = SimEnv::new(START_MS, seed ^ 0xc10c);
        let amo = Amo::new(amo_options(&mut random));
        let salebot = Salebot::new(salebot_options(&mut random));
        let is_lossy = !random.chance(15);
        let faults = if is_lossy { Faults::new(Vec::new(), Some(random_faults(&mut random))) } else { Faults::none() };
        let network = Network {
            env: Arc::clone(&env),
            amo: Mutex::new(amo),
            salebot: Mutex::new(salebot),
            faults: Mutex::new(faults),
            random: Mutex::new(Random::seeded(seed ^ 0x4e77)),
            trace: Mutex::default(),
        };
        let crashes_left = if is_lossy { random.below(4) } else { 0 };
        let store = Arc::new(MemoryStore::default());
        let mut world = World {
            env,
            network: Arc::new(network),
            disk: Arc::new(Flaky::new(
                Arc::clone(&store),
                Random::seeded(seed ^ 0xd15c),
                if is_lossy { random.below(30) } else { 0 },
            )),
            store,
            people: Vec::new(),
            known_contacts: BTreeSet::new(),
            messages: Vec::new(),
            unheard: BTreeSet::new(),
            is_disorderly: random.chance(30),
            loads_clients: random.chance(20),
            random,
            deliveries: Vec::new(),
            bell: Arc::new(Bell::default()),
            decoder: Arc::new(SalebotDecoder::new(Notices::default())),
            report: Report::default(),
            crashes_left,
            is_lossy,
        };
        world.populate();
        world
    }

    /// Plays the world to its end. The violations, or what happened.
    pub fn run(mut self) -> Result<Report, Vec<String>> {
        let mut daemon = self.start();
        let busy_until = START_MS + BUSY_MS;
        let mut next_deed = START_MS + 1_000;
        let mut next_crash = self.next_crash();
        while self.env.now_ms() < busy_until {
            let next_delivery = self.deliveries.iter().map(|delivery| delivery.due).min().unwrap_or(i64::MAX);
            let next = next_deed.min(next_delivery).min(next_crash).min(busy_until);
            let _ = self.env.run_until(&mut daemon, next);
            let now = self.env.now_ms();
            if now >= next_deed {
                self.deed();
                next_deed = now + self.random.between(50, 6_000);
            }
            if now >= next_crash {
                drop(daemon);
                self.report.count("crashes", 1);
                self.stay_down();
                daemon = self.start();
                next_crash = self.next_crash();
                next_deed = next_deed.max(self.env.now_ms());
            }
            self.deliver();
        }
        self.network.faults.lock().unwrap().stop();
        self.disk.mend();
        self.settle(&mut daemon)?;
        self.finish()
    }

    /// Nobody works for a moment, while webhooks wait at the door, or for minutes, in which they find none.
    fn stay_down(&mut self) {
        let mut nobody: Daemon = Box::pin(std::future::pending());
        if !self.random.chance(40) {
            let until = self.env.now_ms() + self.random.between(0, 5_000);
            let _ = self.env.run_until(&mut nobody, until);
            return;
        }
        self.report.count("outages", 1);
        let until = self.env.now_ms() + self.random.between(60_000, 900_000);
        while self.env.now_ms() < until {
            let next = self.env.now_ms() + self.random.between(1_000, 60_000);
            let _ = self.env.run_until(&mut nobody, next.min(until));
            self.deed();
            let now = self.env.now_ms();
            let (missed, rest): (Vec<_>, Vec<_>) =
                std::mem::take(&mut self.deliveries).into_iter().partition(|delivery| delivery.due <= now);
            self.deliveries = rest;
            missed.into_iter().for_each(|delivery| self.lose(delivery.client));
        }
    }

    fn lose(&mut self, client: i64) {
        self.report.count("webhooks lost", 1);
        self.unheard.insert(client);
    }

    fn next_crash(&mut self) -> i64 {
        if self.crashes_left == 0 {
            return i64::MAX;
        }
        self.crashes_left -= 1;
        self.env.now_ms() + self.random.between(100, 90_000)
    }

    /// Runs until nothing waits, and then for a while in which nothing may be written.
    fn settle(&mut self, daemon: &mut Daemon) -> Result<(), Vec<String>> {
        let calm_since = self.env.now_ms();
        let deadline = calm_since + REST_MS;
        loop {
            let now = self.env.now_ms();
            let _ = self.env.run_until(daemon, now + 5_000);
            self.deliver();
            let counts = self.counts();
            let is_idle = counts.inbox == 0 && counts.outbox == 0 && counts.marks == 0;
            // What was lost is missed only by a look that began after it was said.
            let heard = self.heard();
            if self.deliveries.is_empty() && is_idle && heard > calm_since {
                break;
            }
            if now > deadline {
                return Err(vec![format!("it does not come to rest, heard until {heard}: {counts:?}")]);
            }
        }
        // What was written last may still be on its way into listings.
        let now = self.env.now_ms();
        let _ = self.env.run_until(daemon, now + QUIET_MS);
        let before = self.writes();
        let now = self.env.now_ms();
        let _ = self.env.run_until(daemon, now + QUIET_MS);
        let after = self.writes();
        if before == after {
            Ok(())
        } else {
            Err(vec![format!("something is still written at rest: {before:?} became {after:?}")])
        }
    }

    fn finish(mut self) -> Result<Report, Vec<String>> {
        let violations = checks::violations(&self);
        if !violations.is_empty() {
            if std::env::var("SIM_SEED").is_ok() {
                for line in self.network.trace.lock().unwrap().iter() {
                    println!("{line}");
                }
            }
            return Err(violations);
        }
        self.report.count("store failures", self.disk.failures());
        for (kind, count) in self.network.faults.lock().unwrap().fired() {
            self.report.count(format!("fault {kind:?}"), *count);
        }
        self.report.count("messages recovered", self.recovered());
        let amo = self.network.amo.lock().unwrap();
        let salebot = self.network.salebot.lock().unwrap();
        self.report.count("contacts made", (amo.contact_count() - self.known_contacts.len()) as u64);
        self.report.count("notes", amo.notes().count() as u64);
        self.report.count("orders made", salebot.clients().flat_map(|client| salebot.orders(client.id)).count() as u64);
        self.report.count("messages", self.messages.len() as u64);
        self.report.count("clients loaded", salebot.clients().filter(|client| client.client_type == 6).count() as u64);
        self.report.count("requests to amoCRM", amo.statistics().requests);
        self.report.count("virtual seconds", ((self.env.now_ms() - START_MS) / 1_000) as u64);
        drop((amo, salebot));
        self.report.trace = std::mem::take(&mut self.network.trace.lock().unwrap());
        Ok(self.report)
    }

    /// Until when the daemon says that it heard everything.
    fn heard(&self) -> i64 {
        let cursor = self.store.cursor(BRIDGE, HEARD).now_or_never().expect("at once").expect("never fails");
        cursor.map_or(0, |cursor| cursor.at.0)
    }

    /// Messages that the daemon says it recovered.
    fn recovered(&self) -> u64 {
        let clients: BTreeSet<i64> = self.messages.iter().map(|said| said.client).collect();
        let lines = clients.into_iter().flat_map(|client| {
            let subject = format!("client:{client}");
            let journal = self.store.journal(BRIDGE, &subject, 10_000);
            journal.now_or_never().expect("at once").expect("never fails")
        });
        lines.filter(|line| line.kind == "recovered").filter_map(|line| line.detail["messages"].as_u64()).sum()
    }

    pub fn counts(&self) -> Counts {
        self.store.counts(BRIDGE).now_or_never().expect("the memory store answers at once").expect("and never fails")
    }

    /// Writing requests that got through, by route.
    fn writes(&self) -> Vec<(String, u64)> {
        let amo = self.network.amo.lock().unwrap();
        let salebot = self.network.salebot.lock().unwrap();
        let amo_writes = amo
            .statistics()
            .by_route
            .iter()
            .filter(|(route, _)| route.starts_with("POST"))
            .map(|(route, count)| (route.clone(), *count));
        let reads = ["get_", "find_", "connected", "whatsapp_client_id", "check_", "online_"];
        let is_write = |action: &str| !reads.iter().any(|read| action.starts_with(read));
        let salebot_writes = salebot
            .statistics()
            .by_action
            .iter()
            .filter(|(action, _)| is_write(action))
            .map(|(action, count)| (action.to_string(), *count));
        amo_writes.chain(salebot_writes.collect::<Vec<_>>()).collect()
    }

    /// A daemon on what the store remembers.
    fn start(&self) -> Daemon {
        let env: Arc<dyn Env> = Arc::clone(&self.env) as Arc<dyn Env>;
        let transport: Arc<dyn Transport> = Arc::clone(&self.network) as Arc<dyn Transport>;
        let lane = |name: &str, rate: f64| Arc::new(Lane::new(LaneOptions::new(name, rate), Arc::clone(&env)));
        let token = Arc::new(Bearer(LongLivedToken("sandbox-token".into())));
        let amo = AmoV2::new(AMO_URL, token, Arc::clone(&transport), lane("amo", 6.0), Arc::clone(&env));
        let options = AdapterOptions {
            url: SALEBOT_URL.to_owned(),
            api_key: DEFAULT_KEY.into(),
            language: DealLanguage::Russian,
            notices: Notices::default(),
            lane: lane("salebot", 4.0),
            save_lane: lane("variables", 20.0),
        };
        let bridge = Bridge::new(Parts {
            name: BRIDGE.to_owned(),
            policy: policy(self.loads_clients),
            timing: timing(),
            retry: RetryPolicy::default(),
            store: Arc::clone(&self.disk) as Arc<dyn Store>,
            amo: Arc::new(amo),
            salebot: Arc::new(SalebotApi::new(options, transport, Arc::clone(&env))),
            env,
            decoder: Arc::clone(&self.decoder) as Arc<dyn Decoder>,
            arrived: Arc::clone(&self.bell),
            stop: CancellationToken::new(),
        });
        Box::pin(async move { bridge.run().await })
    }

    fn populate(&mut self) {
        let now = self.env.now_ms() - 86_400_000;
        let network = Arc::clone(&self.network);
        let mut amo = network.amo.lock().unwrap();
        let mut salebot = network.salebot.lock().unwrap();
        if self.loads_clients {
            // Somebody who never wrote: only the policy makes a client for them.
            let phones = vec!["+79990009999".to_owned()];
            let silent = ContactDraft { name: "Silent".to_owned(), phones, ..ContactDraft::default() };
            self.known_contacts.insert(amo.add_contact(now, silent));
        }
        for number in 0..4 + self.random.below(6) {
            let phone = (!self.random.chance(25)).then(|| format!("+7999000{:04}", number * 11 + 1));
            let is_known = phone.is_some() && self.random.chance(50);
            let contact = is_known.then(|| {
                let phones = vec![spelled(&mut self.random, phone.as_deref().unwrap_or_default())];
                amo.add_contact(
                    now,
                    ContactDraft { name: format!("Known {number}"), phones, ..ContactDraft::default() },
                )
            });
            self.known_contacts.extend(contact);
            if let Some(contact) = contact.filter(|_| self.random.chance(60)) {
                let draft = LeadDraft {
                    name: format!("Deal {number}"),
                    contact_ids: vec![contact],
                    price: 1_000,
                    stage: Some((61, 1001)),
                    ..LeadDraft::default()
                };
                amo.create_lead(now, draft);
            }
            let mut clients = Vec::new();
            for messenger in 0..1 + self.random.below(2) {
                let platform_id = format!("{}", 600_000_000 + number * 10 + messenger);
                let client_type = if messenger == 0 { 1 } else { 0 };
                let group = if messenger == 0 { "some_bot" } else { "club" };
                let name = format!("Person {number}");
                let new = NewClient { client_type, platform_id: &platform_id, group, name: Some(&name) };
                let id = salebot.add_client(now, new);
                if let Some(phone) = &phone {
                    salebot.set_variable(now, id, "client.phone", &spelled(&mut self.random, phone));
                }
                clients.push(id);
            }
            self.people.push(Person { contact, phone, clients });
        }
    }

    /// Somebody does something.
    fn deed(&mut self) {
        let person = self.random.pick(&self.people).clone();
        let client = *self.random.pick(&person.clients);
        match (self.random.below(12), person.contact) {
            (0..=5, _) => self.talk(client),
            (6, _) => self.tell_a_bot(client),
            (7..=10, Some(contact)) => self.manage(contact),
            (11, Some(contact)) => self.work_on_deal(contact),
            (_, _) => {}
        }
        let hooks = self.network.salebot.lock().unwrap().take_webhooks();
        self.post(hooks);
    }

    /// The person writes a few lines, or an operator answers.
    fn talk(&mut self, client: i64) {
        let now = self.env.now_ms();
        let number = self.messages.len();
        let network = Arc::clone(&self.network);
        let mut salebot = network.salebot.lock().unwrap();
        if self.random.chance(15) {
            let text = format!("answer {number}");
            self.messages.extend(salebot.operator_answers(now, client, &text).map(|id| Said {
                id,
                client,
                text,
                at: now,
            }));
            return;
        }
        for part in 0..1 + self.random.below(3) {
            let text = format!("message {number}.{part}");
            self.messages.extend(salebot.person_writes(now, client, Some(&text), &[]).map(|id| Said {
                id,
                client,
                text,
                at: now,
            }));
        }
    }

    /// A bot learns something and answers: that is how we hear of it.
    fn tell_a_bot(&mut self, client: i64) {
        let now = self.env.now_ms();
        let value = format!("position {}", self.random.below(5));
        let text = format!("noted {}", self.messages.len());
        let mut salebot = self.network.salebot.lock().unwrap();
        salebot.set_variable(now, client, "client.position", &value);
        let answer = salebot.bot_answers(now, client, &text, 390);
        drop(salebot);
        self.network.note(format!("client {client}: {value}"));
        self.report.count("variables set", 1);
        self.messages.extend(answer.map(|id| Said { id, client, text, at: now }));
    }

    /// A manager edits a contact.
    fn manage(&mut self, contact: u64) {
        let now = self.env.now_ms();
        let network = Arc::clone(&self.network);
        let mut amo = network.amo.lock().unwrap();
        let what = match self.random.below(4) {
            0 => {
                let name = format!("Renamed {}", self.random.below(9));
                amo.rename_contact(now, contact, &name);
                self.report.count("renamed", 1);
                name
            }
            1 => {
                let desk = format!("desk {}", self.random.below(5));
                amo.set_contact_text(now, contact, fixture::FIELD_POSITION, &desk);
                desk
            }
            2 => {
                let phone = format!("+7999111{:04}", self.random.below(10_000));
                amo.add_phone(now, contact, &phone);
                phone
            }
            _ => {
                let tags: Vec<&str> = ["vip", "new", "old"].into_iter().filter(|_| self.random.chance(50)).collect();
                amo.set_contact_tags(now, contact, &tags);
                tags.join(",")
            }
        };
        drop(amo);
        self.network.note(format!("contact {contact}: {what}"));
    }

    /// A manager moves a deal, or changes its price.
    fn work_on_deal(&mut self, contact: u64) {
        let now = self.env.now_ms();
        let mut amo = self.network.amo.lock().unwrap();
        let lead = amo.leads().find(|lead| lead.contact_ids.contains(&contact)).map(|lead| lead.card.id);
        let Some(lead) = lead else { return };
        if self.random.chance(50) {
            amo.move_lead(now, lead, 61, if self.random.chance(50) { 1001 } else { 1002 });
        } else {
            amo.set_lead_price(now, lead, self.random.between(1, 90) * 100);
        }
    }

    /// Puts webhooks on their way: in order, unless this world is disorderly.
    fn post(&mut self, hooks: Vec<Webhook>) {
        let now = self.env.now_ms();
        for hook in hooks {
            let client = hook.client_id;
            if self.is_lossy && self.random.chance(5) {
                self.lose(client);
                continue;
            }
            let order = self.deliveries.iter().map(|delivery| delivery.due).max().unwrap_or(now);
            let due = if self.is_disorderly && self.random.chance(20) {
                self.report.count("webhooks late", 1);
                now + self.random.between(10, 30_000)
            } else if self.is_disorderly {
                now + self.random.between(1, 200)
            } else {
                order.max(now) + self.random.between(1, 50)
            };
            if self.is_lossy && self.random.chance(5) {
                self.report.count("webhooks twice", 1);
                let again = due + self.random.between(1, 60_000);
                self.deliveries.push(Delivery { due: again, client, body: hook.body.clone() });
                if !self.is_disorderly {
                    // The second copy must not hold up the ones behind it.
                    let last = self.deliveries.len() - 1;
                    self.deliveries[last].due = due + 1;
                }
            }
            self.deliveries.push(Delivery { due, client, body: hook.body });
        }
        self.deliveries.sort_by_key(|delivery| delivery.due);
    }

    /// Hands over the webhooks that have arrived, as the HTTP side does.
    fn deliver(&mut self) {
        let now = self.env.now_ms();
        let (arrived, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.deliveries).into_iter().partition(|delivery| delivery.due <= now);
        self.deliveries = rest;
        for delivery in arrived {
            let Ok(event) = self.decoder.decode(&delivery.body) else { panic!("the sandbox sent what cannot be read") };
            let (client, message) = match &event {
                Event::Message(message) => (Some(message.client.id), message.id),
                Event::Notice { client, id, .. } => (Some(client.id), *id),
                Event::Nothing { .. } => (None, None),
            };
            let body = NewInbox {
                bridge: BRIDGE.to_owned(),
                source: Source::Salebot,
                dedupe: message.map(|message| self.decoder.dedupe(message)),
                client,
                message,
                received_at: Millis(now),
                body: delivery.body,
                broken: None,
            };
            self.store.receive(body).now_or_never().expect("the memory store answers at once").expect("and has room");
            self.bell.ring();
        }
    }
}

/// A phone number as people write it.
fn spelled(random: &mut Random, phone: &str) -> String {
    let national = &phone[2..];
    match random.below(3) {
        0 => phone.to_owned(),
        1 => format!("8{national}"),
        _ => format!("7{national}"),
    }
}
