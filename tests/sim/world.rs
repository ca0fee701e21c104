//! One world: both services, people and managers, webhooks on their way, a daemon that crashes.

use crate::bots::{AGAIN_MS, Bots};
use crate::checks;
use crate::clock::{Random, SimEnv};
use crate::deeds::SHOWN_AFTER_MS;
use crate::entered::Entered;
use crate::flaky::Flaky;
use crate::kept::Kept;
use crate::network::{AMO_URL, Network, SALEBOT_URL};
use crate::points::Points;
use crate::report::Report;
use crate::settings::{
    Choices, Listens, amo_options, listens, policy, random_faults, refusals, salebot_options, timing,
};
use crate::triggers::{self, Events};
use salebridge::core::action::LinkRef;
use salebridge::core::flex::Notices;
use salebridge::core::guard::{self, Frozen};
use salebridge::core::id::ClientId;
use salebridge::core::policy::{CallbackDelivery, Policy};
use salebridge::core::retry::RetryPolicy;
use salebridge::core::time::Millis;
use salebridge::engine::{Bridge, HEARD, Parts};
use salebridge::inbound::SalebotDecoder;
use salebridge::ports::env::{Arrivals, Env};
use salebridge::ports::remote::{Amo as AmoPort, Decoder};
use salebridge::ports::store::{Counts, Store};
use salebridge::remote::amocrm::{AmoV2, AmoV4, Bearer, Dialect, LongLivedToken, Watcher};
use salebridge::remote::http::Transport;
use salebridge::remote::lane::{Lane, LaneOptions};
use salebridge::remote::salebot::{DealLanguage, SalebotApi, SalebotOptions as AdapterOptions};
use salebridge::sandbox::amo::Amo;
use salebridge::sandbox::faults::Faults;
use salebridge::sandbox::salebot::Salebot;
use salebridge::sandbox::salebot::options::DEFAULT_KEY;
use salebridge::sandbox::server::OutgoingWebhook;
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;

pub const BRIDGE: &str = "sim";
pub const START_MS: i64 = 1_760_000_000_000;
/// How long people are busy and faults happen.
const BUSY_MS: i64 = 150_000;
/// The same in the scenario of crashes.
const SCENARIO_MS: i64 = 45_000;
const SCENARIO_SEED: u64 = 12;
/// How long both sides may take to come to rest once the faults have stopped.
const REST_MS: i64 = 3_600_000;
/// How long what was written last may be on its way into listings after that …
pub const SHOWING_MS: i64 = 90_000;
/// … and how long nothing may be written then: some polls, and a look at Salebot's clients.
pub const QUIET_MS: i64 = 70_000;

/// From one sweep to the end of the next one, where they come often, or from one look back to the next one.
const SWEEP_EVERY_MS: i64 = 480_000;

/// For so long a client that was active is looked at with every walk over Salebot's clients, and a while.
const SILENCE_MS: i64 = 330_000;

/// A person of this world.
#[derive(Debug, Clone, Default)]
pub struct Person {
    /// The contact a manager has made, as long as it is there.
    pub contact: Option<u64>,
    /// The phone number, in the variables of every client.
    pub phone: Option<String>,
    /// One client a messenger.
    pub clients: Vec<i64>,
    /// When a contact of this person was last deleted or merged into another one.
    pub lost_at: Option<i64>,
    /// How often a manager made a contact for somebody who had one.
    pub twins: u64,
    /// When the last of those was made.
    pub twin_at: i64,
    /// There is or was a deal.
    pub had_deal: bool,
    /// When it was deleted.
    pub deal_lost_at: Option<i64>,
}

/// The engine at work.
pub type Daemon = Pin<Box<dyn Future<Output = ()>>>;

/// A message of a person or to one.
#[derive(Debug, Clone)]
pub struct Said {
    pub id: i64,
    pub client: i64,
    pub text: String,
    /// A bot wrote it.
    pub by_bot: bool,
    /// Virtual Unix milliseconds.
    pub at: i64,
}

/// A webhook of Salebot on its way.
pub struct Delivery {
    pub due: i64,
    pub client: i64,
    pub body: Vec<u8>,
}

pub struct World {
    pub env: Arc<SimEnv>,
    pub network: Arc<Network>,
    pub kept: Arc<Kept>,
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
    /// amoCRM is spoken to through API v4.
    pub speaks_v4: bool,
    /// Managers delete and merge.
    pub is_tidied: bool,
    /// Our clock is set now and then.
    pub has_jumps: bool,
    /// One deal is refused by Salebot.
    pub has_poison: bool,
    /// A robot on each side corrects what the other one writes.
    pub has_robots: bool,
    /// Events of amoCRM start bots.
    pub starts_bots: bool,
    /// What becomes of a callback whose answer was lost.
    pub callbacks: CallbackDelivery,
    /// What its operator decided otherwise than others.
    pub choices: Choices,
    /// When the operator decides otherwise, and starts the daemon anew with what.
    change_of_mind: Option<(i64, Choices)>,
    /// What is different in the policy of a world with a script.
    pub ordained: fn(&mut Policy),
    /// The sweep comes every few minutes, and not only at night.
    sweeps_often: bool,
    pub random: Random,
    pub deliveries: Vec<Delivery>,
    /// A manager works on when everybody else has gone.
    has_evening: bool,
    /// Since when the bridge listens to Salebot, by true time. What was said before is no news.
    pub listens_since: AtomicI64,
    /// How the bridge hears of what happens in amoCRM.
    pub listens: Listens,
    /// amoCRM's webhooks on their way: when each arrives.
    pub hooks: Vec<(i64, OutgoingWebhook)>,
    /// What people did that starts bots.
    pub events: Events,
    /// What people entered by hand.
    pub entered: Entered,
    pub bots: Arc<Bots>,
    pub arrivals: Arc<Arrivals>,
    pub decoder: Arc<SalebotDecoder>,
    pub report: Report,
    crashes_left: u64,
    pub is_lossy: bool,
    /// The same from the beginning.
    pub was_lossy: bool,
    /// Who did something last, or was worked on.
    pub last_index: usize,
    /// What the robots did so far.
    pub corrections: u64,
    busy_ms: i64,
    deed_every_ms: i64,
    calls: u64,
}

/// Both services of a world on an empty trace.
fn network(seed: u64, env: &Arc<SimEnv>, amo: Amo, salebot: Salebot, faults: Faults) -> Network {
    Network {
        points: Points::new(Arc::clone(env)),
        tally: Arc::default(),
        refusals: refusals(&mut Random::seeded(seed ^ 0x403)),
        refused: Mutex::default(),
        phones_written: Mutex::default(),
        life: AtomicU64::new(0),
        env: Arc::clone(env),
        amo: Mutex::new(amo),
        salebot: Mutex::new(salebot),
        faults: Mutex::new(faults),
        random: Mutex::new(Random::seeded(seed ^ 0x4e77)),
        trace: Mutex::default(),
    }
}

impl World {
    pub fn new(seed: u64, kept: Kept) -> World {
        let is_lossy = !Random::seeded(seed ^ 0x1055).chance(15);
        let mut world = World::blank(seed, is_lossy, kept);
        let mut drawn = Random::seeded(seed ^ 0xc401);
        world.choices = Choices::drawn(&mut drawn);
        if drawn.chance(30) {
            world.change_of_mind = Some((START_MS + drawn.between(10_000, BUSY_MS), world.choices));
            world.choices = world.choices.before_a_change();
        }
        if world.has_robots {
            // A quarrel takes a while to be noticed.
            world.busy_ms = 240_000;
        }
        world.network.note(format!("{:?}, later {:?}", world.choices, world.change_of_mind));
        world.populate();
        world
    }

    /// A fixed day in the life of a small account, and a crash at one call of the daemon to a port; at
    /// none for 0.
    pub fn scenario(crash_at: u64) -> World {
        let mut world = World::blank(SCENARIO_SEED, false, Kept::in_memory());
        world.network =
            Arc::new(Network { refusals: Vec::new(), ..Arc::into_inner(world.network).expect("the only one") });
        (world.has_poison, world.has_robots) = (false, false);
        (world.is_disorderly, world.is_tidied, world.has_jumps, world.sweeps_often) = (false, true, false, false);
        world.loads_clients = true;
        (world.listens, world.has_evening) = (Listens::Hooks, false);
        world.busy_ms = SCENARIO_MS;
        world.deed_every_ms = 1_500;
        world.network.points.crash_at(crash_at);
        world.populate();
        world
    }

    pub fn blank(seed: u64, is_lossy: bool, kept: Kept) -> World {
        let mut random = Random::seeded(seed);
        let env = SimEnv::new(START_MS, seed ^ 0xc10c);
        let mut amo_options = amo_options(&mut random);
        let listens = listens(&mut Random::seeded(seed ^ 0x4007), &mut amo_options);
        let amo = Amo::new(amo_options);
        let salebot = Salebot::new(salebot_options(&mut random));
        let faults = if is_lossy { Faults::new(Vec::new(), Some(random_faults(&mut random))) } else { Faults::none() };
        let network = network(seed, &env, amo, salebot, faults);
        let (points, tally) = (Arc::clone(&network.points), Arc::clone(&network.tally));
        let crashes_left = if is_lossy { random.below(4) } else { 0 };
        let kept = Arc::new(kept);
        World {
            corrections: 0,
            last_index: 0,
            busy_ms: BUSY_MS,
            deed_every_ms: 3_600,
            calls: 0,
            env,
            network: Arc::new(network),
            disk: Arc::new(Flaky::new(
                Arc::clone(&kept),
                points,
                tally,
                Random::seeded(seed ^ 0xd15c),
                if is_lossy { random.below(30) } else { 0 },
            )),
            kept,
            people: Vec::new(),
            known_contacts: BTreeSet::new(),
            messages: Vec::new(),
            unheard: BTreeSet::new(),
            is_disorderly: random.chance(30),
            loads_clients: random.chance(20),
            speaks_v4: seed % 2 == 1,
            is_tidied: random.chance(50),
            sweeps_often: random.chance(50),
            callbacks: if random.chance(50) { CallbackDelivery::AtMostOnce } else { CallbackDelivery::AtLeastOnce },
            choices: Choices::default(),
            change_of_mind: None,
            ordained: |_| (),
            has_jumps: random.chance(20),
            has_poison: random.chance(10),
            has_robots: random.chance(16),
            random,
            deliveries: Vec::new(),
            listens_since: AtomicI64::new(START_MS),
            starts_bots: Random::seeded(seed ^ 0xb075).chance(40),
            has_evening: seed % 4 == 1 || seed % 4 == 2,
            listens,
            hooks: Vec::new(),
            events: Events::default(),
            entered: Entered::default(),
            bots: Arc::default(),
            arrivals: Arc::default(),
            decoder: Arc::new(SalebotDecoder::new(Notices::default())),
            report: Report::default(),
            crashes_left,
            is_lossy,
            was_lossy: is_lossy,
        }
    }

    /// Plays the world to its end. The violations, or what happened.
    pub fn run(self) -> Result<Report, Vec<String>> {
        let network = Arc::clone(&self.network);
        let outcome = self.play();
        if outcome.is_err() && std::env::var("SIM_SEED").is_ok() {
            network.trace.lock().unwrap().iter().for_each(|line| println!("{line}"));
        }
        outcome
    }

    fn play(mut self) -> Result<Report, Vec<String>> {
        self.subscribe();
        let mut daemon = self.start();
        let busy_until = START_MS + self.busy_ms;
        let mut next_deed = START_MS + 1_000;
        let mut next_crash = self.next_crash();
        let mut next_jump = self.next_jump();
        let mut next_correction = if self.has_robots { START_MS + 20_000 } else { i64::MAX };
        while self.env.now_ms() < busy_until {
            let next_delivery = self.next_delivery();
            let next = next_deed.min(next_delivery).min(next_crash).min(next_jump).min(next_correction).min(busy_until);
            self.live(&mut daemon, next);
            let now = self.env.now_ms();
            if now >= next_deed {
                self.deed();
                self.ask_again();
                // Now and then two do something in the same breath.
                let is_rash = self.random.chance(25);
                next_deed = now + self.random.between(10, if is_rash { 400 } else { self.deed_every_ms });
            }
            if now >= next_correction {
                self.correct();
                next_correction = now + 13_000;
            }
            if now >= next_jump {
                self.set_clock();
                next_jump = self.next_jump();
            }
            if now >= next_crash {
                drop(daemon);
                self.report.count("crashes", 1);
                self.stay_down();
                daemon = self.start();
                next_crash = self.next_crash();
                next_deed = next_deed.max(self.env.now_ms());
            }
            if let Some((_, choices)) = self.change_of_mind.take_if(|(at, _)| now >= *at) {
                drop(daemon);
                self.report.count("changes of the policy", 1);
                self.network.note(format!("from now on {choices:?}"));
                self.choices = choices;
                daemon = self.start();
            }
            self.post_hooks();
            self.deliver();
        }
        self.is_lossy = false;
        self.network.faults.lock().unwrap().stop();
        self.disk.mend();
        self.stir();
        self.live(&mut daemon, busy_until + AGAIN_MS);
        self.deliver();
        self.ask_again();
        if self.is_tidied {
            self.live(&mut daemon, busy_until + SHOWN_AFTER_MS);
            self.deliver();
            self.merge_twins();
        }
        self.settle(&mut daemon)?;
        if self.has_evening {
            self.evening(&mut daemon)?;
        }
        // A twin that a manager made while the daemon made another one.
        if self.merge_twins() {
            self.settle(&mut daemon)?;
        }
        self.finish()
    }

    /// When all clients have been silent for so long that nobody looks at them any more, a manager goes over the
    /// contacts: only listings, webhooks and events tell of that.
    fn evening(&mut self, daemon: &mut Daemon) -> Result<(), Vec<String>> {
        let now = self.env.now_ms();
        self.live(daemon, now + SILENCE_MS);
        for index in 0..self.people.len() {
            let wait_ms = self.random.between(500, 9_000);
            let now = self.env.now_ms();
            self.live(daemon, now + wait_ms);
            if let Some(contact) = self.contact_ids(index).first() {
                self.report.count("edits in the evening", 1);
                self.manage(index, *contact);
            }
            self.post_hooks();
            self.deliver();
        }
        self.settle(daemon)
    }

    /// Lets the daemon live until then, and starts it again where it dies at a chosen call.
    pub fn live(&mut self, daemon: &mut Daemon, until: i64) {
        let _ = self.env.run_until(daemon, until);
        if self.env.resume() {
            self.report.count("crashes at a call", 1);
            self.network.note("the daemon dies".to_owned());
            // The old one is dropped first: two never live at once.
            *daemon = Box::pin(std::future::pending());
            *daemon = self.start();
            let _ = self.env.run_until(daemon, until);
        }
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
            self.post_hooks();
            self.turn_hooks_away();
        }
    }

    pub fn lose(&mut self, client: i64) {
        self.report.count("webhooks lost", 1);
        self.unheard.insert(client);
    }

    fn next_crash(&mut self) -> i64 {
        if self.crashes_left == 0 {
            return i64::MAX;
        }
        self.crashes_left -= 1;
        self.env.now_ms() + self.random.between(100, 60_000)
    }

    fn next_jump(&mut self) -> i64 {
        if !self.has_jumps {
            return i64::MAX;
        }
        self.env.now_ms() + self.random.between(1_000, 100_000)
    }

    /// Our clock leaps hours ahead, or is set back some minutes.
    fn set_clock(&mut self) {
        let is_ahead = self.random.chance(50);
        let by_ms =
            if is_ahead { self.random.between(60_000, 4 * 3_600_000) } else { -self.random.between(1_000, 600_000) };
        self.report.count(if is_ahead { "clock leaps ahead" } else { "clock leaps back" }, 1);
        self.network.note(format!("our clock leaps by {by_ms} ms"));
        self.env.jump(by_ms);
    }

    /// Runs until nothing waits, and then for a while in which nothing may be written.
    fn settle(&mut self, daemon: &mut Daemon) -> Result<(), Vec<String>> {
        let calm_since = self.env.now_ms();
        // The daemon counts by its own clock, and by the service's where that one is behind.
        let heard_since = calm_since.min(self.env.our_now_ms());
        let deadline = calm_since + REST_MS;
        let (mut walks, mut walked_at) = (0, self.heard().1);
        loop {
            let now = self.env.now_ms();
            self.live(daemon, now + 5_000);
            self.post_hooks();
            self.deliver();
            let counts = self.counts();
            let is_idle = !self.has_bodies_due() && counts.outbox == 0 && counts.marks == 0;
            // What was lost is missed only by a look that began after it was said.
            let (heard, moved_at) = self.heard();
            walks += u32::from(moved_at != walked_at);
            walked_at = moved_at;
            // A time to come, as our clock was set back, says nothing of when: the second walk surely began meanwhile.
            let is_heard = heard > heard_since && (heard <= self.env.our_now_ms() || walks > 1);
            if self.deliveries.is_empty() && self.hooks.is_empty() && is_idle && is_heard {
                break;
            }
            if now > deadline {
                let marks = self.kept.wait(self.kept.store.marks_due(BRIDGE, Millis(i64::MAX), 10));
                let marks = marks.expect("never fails");
                return Err(vec![format!("it does not come to rest, heard until {heard}: {counts:?}, {marks:?}")]);
            }
        }
        // Crashes are tried up to here: what follows only looks whether there is rest.
        self.calls = self.network.points.count();
        let is_told_by_sweep = self.report.counted("contacts merged") > 0
            || (self.starts_bots && self.report.counted("leads deleted") > 0);
        if is_told_by_sweep {
            // A merge that changed nothing in its survivor, or a deletion that nobody told of, is found by the next sweep or look
            // back, and not before.
            let now = self.env.now_ms();
            self.live(daemon, now + SWEEP_EVERY_MS);
            self.deliver();
        }
        // What was written last may still be on its way into listings.
        let now = self.env.now_ms();
        self.live(daemon, now + SHOWING_MS);
        let before = self.writes();
        let now = self.env.now_ms();
        self.live(daemon, now + QUIET_MS);
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
            return Err(violations);
        }
        self.report.count("store failures", self.disk.failures());
        for (kind, count) in self.network.faults.lock().unwrap().fired() {
            self.report.count(format!("fault {kind:?}"), *count);
        }
        for (what, count) in self.network.tally.counts() {
            self.report.count(what, count);
        }
        self.report.count("worlds", 1);
        for refused in self.network.refused.lock().unwrap().iter() {
            self.report.count(format!("requests refused on lane {}", refused.lane), 1);
        }
        for refusal in &self.network.refusals {
            self.report.count(format!("whiles of {} from {:?}", refusal.status, refusal.service), 1);
        }
        self.report.count("calls to ports", self.calls);
        self.report.count("messages recovered", self.recovered());
        let amo = self.network.amo.lock().unwrap();
        let salebot = self.network.salebot.lock().unwrap();
        self.report.count(
            "contacts made",
            amo.contacts().filter(|contact| !self.known_contacts.contains(&contact.card.id)).count() as u64,
        );
        self.report.count("notes", amo.notes().count() as u64);
        self.report.count("orders made", salebot.clients().flat_map(|client| salebot.orders(client.id)).count() as u64);
        self.report.count("messages", self.messages.len() as u64);
        self.report.count("clients loaded", salebot.clients().filter(|client| client.client_type == 6).count() as u64);
        for (word, count) in triggers::counts(&salebot) {
            self.report.count(format!("bots started by `{word}`"), count);
        }
        self.report.count("requests to amoCRM", amo.statistics().requests);
        self.report.count("virtual seconds", ((self.env.now_ms() - START_MS) / 1_000) as u64);
        drop((amo, salebot));
        self.report.trace = std::mem::take(&mut self.network.trace.lock().unwrap());
        Ok(self.report)
    }

    /// True where a value of this client's was carried in turns so often that it is left alone until somebody releases it.
    pub fn is_frozen(&self, client: i64) -> bool {
        self.has_frozen(LinkRef::Client(ClientId(client.unsigned_abs())))
    }

    pub fn has_frozen(&self, link: LinkRef) -> bool {
        let kept = self.kept.wait(self.kept.store.text(BRIDGE, guard::FROZEN)).expect("never fails");
        let frozen: Vec<Frozen> = guard::kept(kept.as_deref());
        frozen.iter().any(|pair| pair.link == link)
    }

    /// Until when the daemon says that it heard everything, and when it said so.
    fn heard(&self) -> (i64, i64) {
        let cursor = self.kept.wait(self.kept.store.cursor(BRIDGE, HEARD)).expect("never fails");
        cursor.map_or((0, 0), |cursor| (cursor.at.0, cursor.moved_at.0))
    }

    /// Messages that the daemon says it recovered.
    fn recovered(&self) -> u64 {
        let clients: BTreeSet<i64> = self.messages.iter().map(|said| said.client).collect();
        let lines = clients.into_iter().flat_map(|client| {
            let subject = format!("client:{client}");
            self.kept.wait(self.kept.store.journal(BRIDGE, &subject, 10_000)).expect("never fails")
        });
        lines.filter(|line| line.kind == "recovered").filter_map(|line| line.detail["messages"].as_u64()).sum()
    }

    /// True while something waits that is looked at before long. Messages of people who get no contact wait for a day.
    fn has_bodies_due(&self) -> bool {
        let soon = Millis(self.env.our_now_ms() + REST_MS);
        !self.kept.wait(self.kept.store.inbox_due(BRIDGE, soon, 1, 1)).expect("never fails").is_empty()
    }

    pub fn counts(&self) -> Counts {
        self.kept.wait(self.kept.store.counts(BRIDGE)).expect("never fails")
    }

    /// Writing requests that got through, by route.
    fn writes(&self) -> Vec<(String, u64)> {
        let amo = self.network.amo.lock().unwrap();
        let salebot = self.network.salebot.lock().unwrap();
        let amo_writes = amo
            .statistics()
            .by_route
            .iter()
            .filter(|(route, _)| !route.starts_with("GET"))
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
    pub fn start(&self) -> Daemon {
        self.network.life.fetch_add(1, Ordering::Relaxed);
        if self.heard().0 == 0 {
            // The one before it came to its end before it began to listen.
            self.listens_since.store(self.env.now_ms(), Ordering::Relaxed);
        }
        let env: Arc<dyn Env> = Arc::clone(&self.env) as Arc<dyn Env>;
        let transport: Arc<dyn Transport> = Arc::clone(&self.network) as Arc<dyn Transport>;
        let options = |name: &str, rate: f64| LaneOptions { follows_another: true, ..LaneOptions::new(name, rate) };
        let lane = |name: &str, rate: f64| Arc::new(Lane::new(options(name, rate), Arc::clone(&env)));
        let token = Arc::new(Bearer(LongLivedToken("sandbox-token".into())));
        let (amo_lane, amo_env) = (lane("amo", 6.0), Arc::clone(&env));
        let dialect = if self.speaks_v4 { Dialect::V4 } else { Dialect::V2 };
        let (watch_token, watch_transport, watch_lane) =
            (Arc::clone(&token), Arc::clone(&transport), Arc::clone(&amo_lane));
        let watcher = Watcher::new(AMO_URL, dialect, watch_token, watch_transport, watch_lane, Arc::clone(&env));
        let amo: Arc<dyn AmoPort> = match self.speaks_v4 {
            true => Arc::new(AmoV4::new(AMO_URL, token, Arc::clone(&transport), amo_lane, amo_env)),
            false => Arc::new(AmoV2::new(AMO_URL, token, Arc::clone(&transport), amo_lane, amo_env)),
        };
        let options = AdapterOptions {
            url: SALEBOT_URL.to_owned(),
            api_key: DEFAULT_KEY.into(),
            language: DealLanguage::Russian,
            notices: Notices::default(),
            lane: lane("salebot", 4.0),
            save_lane: lane("variables", 20.0),
        };
        let mut policy = policy(self.loads_clients, self.callbacks, self.starts_bots);
        self.choices.ordain(&mut policy);
        (self.ordained)(&mut policy);
        let bridge = Bridge::new(Parts {
            name: BRIDGE.to_owned(),
            policy,
            timing: timing(self.sweeps_often, self.listens != Listens::Polls),
            retry: RetryPolicy::default(),
            store: Arc::clone(&self.disk) as Arc<dyn Store>,
            amo,
            salebot: Arc::new(SalebotApi::new(options, transport, Arc::clone(&env))),
            env,
            decoder: Arc::clone(&self.decoder) as Arc<dyn Decoder>,
            arrived: Arc::clone(&self.arrivals),
            stop: CancellationToken::new(),
        });
        let bridge = match self.watch(watcher) {
            Some(watch) => bridge.watching(watch),
            None => bridge,
        };
        let (bots, network) = (Arc::clone(&self.bots), Arc::clone(&self.network));
        Box::pin(async move {
            futures::future::join(bridge.run(), bots.serve(&bridge, &network)).await;
        })
    }
}
