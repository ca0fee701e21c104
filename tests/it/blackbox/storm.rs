//! A storm of messages over a daemon that is killed again and again: what was answered with 200 is there, once.

use super::{Daemon, LOOK, Place, SECRET, client, town_options};
use salebridge::sandbox::amo::records::ElementKind;
use salebridge::sandbox::faults::Faults;
use salebridge::sandbox::town::{Dice, Said, Town, TownOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Dialogues that write at the same time.
const SENDERS: usize = 8;
/// A kill comes at most so long after its part of the storm was let loose.
const MOMENT_MAX_MS: usize = 1_500;
/// How often a lively town is scanned for changed variables, and how often in a storm.
pub(super) const SCAN_OFTEN: &str = "reconcile = \"*/5 * * * * *\"";
pub(super) const SCAN_SELDOM: &str = "reconcile = \"0 */2 * * * *\"";
/// What was under way at a kill is looked for during a minute before it counts as not written, so
/// the end takes longer than other states do.
const CALM_MAX: Duration = Duration::from_secs(240);
/// How long a sender asks for an answer to one message, over all restarts.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// How big a storm is, and the seed of everything that happens in it by chance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storm {
    pub(super) seed: u64,
    pub(super) people: usize,
    pub(super) messages: usize,
    pub(super) kills: usize,
}

/// A message that will be written, and by whom.
pub(super) struct Letter {
    person: usize,
    door: usize,
    text: String,
}

impl Storm {
    /// The letters of each sender: one person's letters go through one sender, in order.
    pub(super) fn letters(&self, town: &Town, dice: &mut Dice) -> Vec<Vec<Letter>> {
        let mut letters: Vec<Vec<Letter>> = (0..SENDERS).map(|_| Vec::new()).collect();
        for number in 0..self.messages {
            // Everybody writes at least once, so everybody's contact is there in the end.
            let person = if number < self.people { number } else { dice.below(self.people) };
            let door = dice.below(town.cast().people[person].doors.len());
            letters[person % SENDERS].push(Letter { person, door, text: format!("слово {number} из бури") });
        }
        letters
    }

    async fn rage(self) {
        let options = TownOptions { seed: self.seed, contacts: self.people, people: self.people, ..town_options() };
        let town = Arc::new(Town::found(options, Faults::none()).await.expect("free ports"));
        let contacts_before = town.amo(|amo, _| amo.contact_count());
        let place = Arc::new(Place::of_town(&town));
        // A scan of everybody every few seconds would leave no moment without work.
        let config = place.config.text();
        assert!(config.contains(SCAN_OFTEN));
        place.write(&config.replace(SCAN_OFTEN, SCAN_SELDOM));
        let mut dice = Dice::seeded(self.seed);
        let gate = Arc::new(Semaphore::new(0));
        let mut senders = JoinSet::new();
        for letters in self.letters(&town, &mut dice) {
            senders.spawn(send(Arc::clone(&town), vec![place.hook(SECRET)], letters, Arc::clone(&gate)));
        }
        let mut daemon = place.start();
        place.ready().await;
        for round in 0..self.kills {
            gate.add_permits(self.messages * (round + 1) / self.kills - self.messages * round / self.kills);
            tokio::time::sleep(Duration::from_millis(dice.below(MOMENT_MAX_MS) as u64)).await;
            daemon.kill();
            daemon = place.start();
        }
        while let Some(sender) = senders.join_next().await {
            sender.expect("every message is answered with 200 in the end");
        }
        self.calm(&place, &town).await;
        self.judge(&town, contacts_before);
        self.close(place, daemon).await;
        Arc::into_inner(town).expect("the senders are done").close().await;
    }

    pub(super) async fn calm(&self, place: &Place, town: &Town) {
        let began = Instant::now();
        while place.status()["idle"] != true {
            let amo = town.amo(|amo, _| amo.statistics().by_status.clone());
            assert!(began.elapsed() < CALM_MAX, "{self:?}: work waits still: {}, amoCRM: {amo:?}", place.status());
            tokio::time::sleep(LOOK * 10).await;
        }
    }

    /// Exactly what was said, in the contact of whoever said it; one contact for everybody.
    pub(super) fn judge(&self, town: &Town, contacts_before: usize) {
        let found = lines(town);
        let entered = town.entered();
        let mut said: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for Said { client, text, .. } in town.said() {
            said.entry(client).or_default().push(text);
        }
        let mut homes: BTreeMap<usize, BTreeSet<u64>> = BTreeMap::new();
        for (client, texts) in &said {
            let lines = found.get(client).cloned().unwrap_or_default();
            let written: Vec<&String> = lines.iter().map(|(_, text)| text).collect();
            assert!(written.iter().copied().eq(texts), "{self:?}: client {client} said {texts:?}, notes: {lines:?}");
            homes.entry(entered[client]).or_default().extend(lines.iter().map(|(contact, _)| *contact));
        }
        assert_eq!(said.values().map(Vec::len).sum::<usize>(), self.messages, "{self:?}");
        assert_eq!(found.len(), said.len(), "{self:?}: somebody who said nothing has notes");
        for (person, contacts) in &homes {
            assert_eq!(contacts.len(), 1, "{self:?}: person {person} is spread over {contacts:?}");
            let known = town.cast().people[*person].contact;
            assert!(known.is_none_or(|known| contacts.contains(&known)), "{self:?}: person {person}: {contacts:?}");
        }
        let all: BTreeSet<u64> = homes.values().flatten().copied().collect();
        assert_eq!(all.len(), self.people, "{self:?}: two people share a contact");
        let new = town.cast().people.iter().filter(|person| person.contact.is_none()).count();
        let contacts = town.amo(|amo, _| amo.contact_count());
        assert_eq!(contacts, contacts_before + new, "{self:?}: contacts were made twice");
        let amo = town.amo(|amo, _| amo.statistics().clone());
        assert_eq!(amo.blocked(), 0, "{self:?}: {:?}", amo.by_status);
    }

    async fn close(&self, place: Arc<Place>, daemon: Daemon) {
        assert_eq!(place.status()["dead_letters"], 0, "{self:?}");
        assert_eq!(daemon.stop().await.code(), Some(0), "{self:?}");
    }
}

/// Lets each letter be written and posts its webhook, to one node after the other, until it is answered with 200:
/// what broke off may have been stored, and comes again.
pub(super) async fn send(town: Arc<Town>, hooks: Vec<String>, letters: Vec<Letter>, gate: Arc<Semaphore>) {
    let client = client();
    let mut turns = hooks.iter().cycle();
    for Letter { person, door, text } in letters {
        gate.acquire().await.expect("nobody closes it").forget();
        let number = town.enter(person, door).expect("a person");
        let bodies = town.salebot(|salebot, now_ms| {
            salebot.person_writes(now_ms, number, Some(&text), &[]).expect("a client");
            salebot.take_webhooks()
        });
        assert_eq!(bodies.len(), 1);
        let began = Instant::now();
        loop {
            let hook = turns.next().expect("there is a node");
            let post = client.post(hook).header("content-type", "application/json").body(bodies[0].body.clone());
            match post.send().await.ok().map(|answer| answer.status().as_u16()) {
                Some(200) => break,
                None | Some(503) => tokio::time::sleep(LOOK / 5).await,
                Some(status) => panic!("a message was turned away with {status}"),
            }
            assert!(began.elapsed() < ANSWER_MAX, "a message is not answered");
        }
    }
}

/// Contact and words of every line that stands in a note, by client, as they stand.
fn lines(town: &Town) -> BTreeMap<i64, Vec<(u64, String)>> {
    let mut lines: BTreeMap<i64, Vec<(u64, String)>> = BTreeMap::new();
    town.look(|amo, _| {
        for note in amo.notes() {
            assert_eq!(note.element.kind, ElementKind::Contact);
            for line in note.words().lines() {
                let (head, text) = line.split_once("]: ").expect("a line has a head");
                let (_, number) = head.rsplit_once('[').expect("the head names the client");
                let number = number.parse().expect("a client's number");
                lines.entry(number).or_default().push((note.element.id, text.to_owned()));
            }
        }
    });
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_in_a_storm_with_ten_kills() {
    Storm { seed: 20_261_120, people: 60, messages: 600, kills: 10 }.rage().await;
}

/// Takes a minute or several: `cargo test --test it great_storm -- --ignored`, with `STORM_SEED` for another storm.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "two thousand messages take a minute or several"]
async fn nothing_is_lost_or_doubled_in_a_great_storm() {
    let seed = std::env::var("STORM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    Storm { seed, people: 200, messages: 2_000, kills: 20 }.rage().await;
}
