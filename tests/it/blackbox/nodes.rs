//! Daemons on PostgreSQL: one alone, several on one database, and a server that is stopped under them.

use super::storm::{SCAN_OFTEN, SCAN_SELDOM, Storm, send};
use super::{
    Daemon, LOOK, Place, SECRET, client, eventually, eventually_within, found_town, signal, text, town_options,
};
use crate::postgres::Server;
use salebridge::app::town::BRIDGE;
use salebridge::sandbox::amo::fixture::FIELD_POSITION;
use salebridge::sandbox::faults::{Fault, Faults, ScriptedFault, ServiceName};
use salebridge::sandbox::town::{Dice, Town, TownOptions};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// What is promised: so long after a node has died another one works.
const TAKEOVER: Duration = Duration::from_secs(10);

const FUNCTIONS_TOKEN: &str = "blackbox-functions-0123456789";

/// A server of one's own; none where PostgreSQL is not installed.
async fn server() -> Option<Server> {
    tokio::task::spawn_blocking(Server::start).await.expect("starts")
}

/// What a node says of the bridge; none while it does not answer.
async fn state(place: &Place) -> Option<Value> {
    let (_, body) = tokio::time::timeout(Duration::from_secs(1), place.get("/health/ready")).await.ok()??;
    let report: Value = serde_json::from_str(&body).ok()?;
    Some(report["reasons"][BRIDGE].clone())
}

async fn drives(place: &Place) -> bool {
    state(place).await.is_some_and(|state| state["lanes"]["amo"]["state"] != "elsewhere")
}

/// The node that drives the bridge and is ready, waited for.
async fn driver(places: &[Arc<Place>], but: Option<usize>, within: Duration) -> usize {
    let began = Instant::now();
    loop {
        for (number, place) in places.iter().enumerate().filter(|(number, _)| Some(*number) != but) {
            if drives(place).await && place.is_ready().await {
                return number;
            }
        }
        assert!(began.elapsed() < within, "nobody drives the bridge");
        tokio::time::sleep(LOOK).await;
    }
}

/// The same without a scan of everybody every few seconds, which would leave a busy machine no moment without work.
fn scanning_seldom(place: Place) -> Place {
    place.write(&place.config.text().replace(SCAN_OFTEN, SCAN_SELDOM));
    place
}

fn with_functions(place: &Place) {
    let text = place.config.text().replace(SCAN_OFTEN, SCAN_SELDOM);
    let secret = format!("webhook_secret = \"{SECRET}\"\n");
    place.write(&text.replace(&secret, &format!("{secret}functions_token = \"{FUNCTIONS_TOKEN}\"\n")));
}

async fn call(place: &Place, function: &str, body: &Value) -> Value {
    let url = place.url(&format!("/functions/{BRIDGE}/{function}"));
    let request = client().post(url).bearer_auth(FUNCTIONS_TOKEN).body(body.to_string());
    request.send().await.expect("an answer").json().await.expect("JSON")
}

fn position(town: &Town, contact: u64) -> String {
    town.look(|amo, _| amo.contact(contact).expect("the contact").card.texts(FIELD_POSITION).concat())
}

/// The services go on while a command is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_lives_through_a_server_that_stops() {
    let Some(server) = server().await else { return };
    let url = server.database().await;
    let town = found_town().await;
    let url = url.replace("salebridge@", "salebridge:hush-hush@");
    let place = scanning_seldom(Place::of_town(&town).keeping_in(&url));
    server.stop();
    eventually("nobody can reach the server", async || server.is_down()).await;
    let daemon = place.start();
    eventually("it waits for its database", || async { place.logged().contains("does not answer") }).await;
    server.go_on();
    place.ready().await;
    town.deliver_to(&place.hook(SECRET)).expect("a client");
    let client_number = town.enter(0, 0).expect("a regular");
    let contact = town.cast().people[0].contact.expect("a regular is a contact");
    let turn_round = async |value: &str| {
        town.salebot(|salebot, now_ms| salebot.set_variable(now_ms, client_number, "client.position", value));
        town.writes(0, 0, value).expect("a regular");
        eventually("the bot's value is in amoCRM", || async { position(&town, contact) == value }).await;
    };
    turn_round("Инженер").await;
    place.idle().await;

    server.crash();
    eventually("it is not ready, and says why", || async {
        let ready = place.get("/health/ready").await;
        ready.is_some_and(|(status, body)| status == 503 && body.contains("PostgreSQL"))
    })
    .await;
    assert!(place.is_live().await);
    let body = b"{ not JSON".to_vec();
    assert_eq!(place.post(&place.hook(SECRET), body.clone()).await, Some(503));
    server.go_on();
    eventually("it takes bodies again", || async { place.post(&place.hook(SECRET), body.clone()).await == Some(200) })
        .await;
    place.ready().await;
    turn_round("Директор").await;

    let output = place.command(&["dead-letters", "discard", "--all", "--yes"]).output().expect("the command runs");
    assert!(output.status.success() && text(&output).contains("discarded"), "{}", text(&output));
    let output = place.command(&["migrate"]).output().expect("the command runs");
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(daemon.stop().await.code(), Some(0));
    let backfill = place.command(&["backfill", "--only", "contacts"]).output().expect("the command runs");
    assert!(backfill.status.success(), "{}", text(&backfill));
    assert!(text(&backfill).contains("contacts looked at"), "{}", text(&backfill));
    assert!(!place.logged().contains("hush-hush") && !text(&backfill).contains("hush-hush"));
    town.close().await;
}

/// Three nodes under a storm of messages.
struct Trio {
    town: Arc<Town>,
    places: Vec<Arc<Place>>,
    daemons: Vec<Option<Daemon>>,
    gate: Arc<Semaphore>,
    senders: JoinSet<()>,
}

impl Trio {
    async fn start(storm: Storm, url: &str) -> Trio {
        let options = TownOptions { seed: storm.seed, contacts: 24, people: 24, ..town_options() };
        let town = Arc::new(Town::found(options, Faults::none()).await.expect("free ports"));
        let place = || Arc::new(scanning_seldom(Place::of_town(&town).keeping_in(url)));
        let places: Vec<Arc<Place>> = (0..3).map(|_| place()).collect();
        let daemons = places.iter().map(|place| Some(place.start())).collect();
        for place in &places {
            place.ready().await;
        }
        let hooks: Vec<String> = places.iter().map(|place| place.hook(SECRET)).collect();
        let (gate, mut senders) = (Arc::new(Semaphore::new(0)), JoinSet::new());
        let mut dice = Dice::seeded(storm.seed);
        for letters in storm.letters(&town, &mut dice) {
            senders.spawn(send(Arc::clone(&town), hooks.clone(), letters, Arc::clone(&gate)));
        }
        Trio { town, places, daemons, gate, senders }
    }

    /// Lets so many messages go and waits until the first of them have become notes.
    async fn works(&self, messages: usize) {
        let before = self.town.amo(|amo, _| amo.notes().count());
        self.gate.add_permits(messages);
        eventually("it works", || async { self.town.amo(|amo, _| amo.notes().count()) >= before + 3 }).await;
    }

    /// The node that drives the bridge dies in the middle of its work; another one takes over, and it comes back.
    async fn one_dies(&mut self) {
        let first = driver(&self.places, None, TAKEOVER).await;
        self.daemons[first].take().expect("it runs").kill();
        let died = Instant::now();
        driver(&self.places, Some(first), TAKEOVER).await;
        eprintln!("{} ms from the kill to a ready node", died.elapsed().as_millis());
        self.daemons[first] = Some(self.places[first].start());
    }

    /// The node that drives the bridge stands still for longer than its lease, and goes on as if nothing had happened.
    async fn one_freezes(&self) {
        let second = driver(&self.places, None, TAKEOVER).await;
        let child = &self.daemons[second].as_ref().expect("it runs").child;
        signal(child, "STOP");
        let froze = Instant::now();
        driver(&self.places, Some(second), TAKEOVER).await;
        eprintln!("{} ms from the freeze to a ready node", froze.elapsed().as_millis());
        signal(child, "CONT");
        eventually("the thawed one knows its place", || async {
            state(&self.places[second]).await.is_some_and(|state| state["lanes"]["amo"]["state"] == "elsewhere")
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_when_nodes_die_and_freeze() {
    let Some(server) = server().await else { return };
    let url = server.database().await;
    let storm = Storm { seed: 20_261_121, people: 24, messages: 240, kills: 0 };
    let mut trio = Trio::start(storm, &url).await;
    // Nobody has written yet.
    let contacts_before = trio.town.amo(|amo, _| amo.contact_count());
    let quarter = storm.messages / 4;
    trio.works(quarter).await;
    trio.one_dies().await;
    trio.works(quarter).await;
    trio.one_freezes().await;
    // The server is gone for a moment.
    trio.gate.add_permits(quarter);
    server.crash();
    server.go_on();
    trio.gate.add_permits(storm.messages - 3 * quarter);
    let Trio { town, places, daemons, mut senders, .. } = trio;
    while let Some(sender) = senders.join_next().await {
        sender.expect("every message is answered with 200 in the end");
    }
    let last = driver(&places, None, TAKEOVER * 3).await;
    storm.calm(&places[last], &town).await;
    storm.judge(&town, contacts_before);
    let statistics = town.amo(|amo, _| amo.statistics().clone());
    assert_eq!(statistics.with_status(429), 0, "{:?}", statistics.by_status);
    for (place, daemon) in places.iter().zip(daemons.into_iter().flatten()) {
        assert_eq!(place.status()["dead_letters"], 0);
        assert_eq!(daemon.stop().await.code(), Some(0));
    }
    drop(places);
    Arc::into_inner(town).expect("the senders are done").close().await;
}

#[tokio::test]
async fn a_bot_may_call_at_any_node() {
    let Some(server) = server().await else { return };
    let url = server.database().await;
    let town = found_town().await;
    let places: Vec<Arc<Place>> = (0..2).map(|_| Arc::new(Place::of_town(&town).keeping_in(&url))).collect();
    places.iter().for_each(|place| with_functions(place));
    let daemons: Vec<Daemon> = places.iter().map(|place| place.start()).collect();
    for place in &places {
        place.ready().await;
    }
    let driving = driver(&places, None, TAKEOVER).await;
    let guest = &places[1 - driving];
    town.deliver_to(&guest.hook(SECRET)).expect("a client");
    let person = town.enter(0, 0).expect("a regular");
    places[driving].idle().await;
    let began = Instant::now();
    let answer = call(guest, "amo_add_lead", &json!({ "client_id": person, "lead_data": { "name": "Сразу" } })).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(answer["ok"], 1, "{answer}");
    assert!(answer["lead_id"].is_u64(), "{answer}");
    let info = call(guest, "amo_get_contact_info", &json!({ "client_id": person })).await;
    assert_eq!(info["ok"], 1, "{info}");
    assert!(info.get("queued").is_none(), "{info}");

    town.spoil(ScriptedFault::once(ServiceName::Amo, Fault::Slow { ms: 7_000 }).on("/leads").by("POST"));
    let body = json!({ "client_id": person, "lead_data": { "name": "Потом" } });
    let answer = call(guest, "amo_add_lead", &body).await;
    assert_eq!((&answer["ok"], &answer["queued"]), (&json!(1), &json!(1)), "{answer}");
    let told = || {
        town.look(|_, salebot| {
            let done = |text: &str| text == "amo_function_done amo_add_lead";
            salebot.callbacks().filter(|one| one.client_id == person && done(&one.text)).count()
        })
    };
    eventually_within(Duration::from_secs(90), "the bot is told", || async { told() == 1 }).await;
    places[driving].idle().await;
    let leads = |name: &str| town.look(|amo, _| amo.leads().filter(|lead| lead.card.name == name).count());
    assert_eq!((leads("Сразу"), leads("Потом"), told()), (1, 1, 1));
    let again = call(guest, "amo_add_lead", &body).await;
    assert!(again["lead_id"].is_u64(), "{again}");
    assert_eq!(leads("Потом"), 1);
    for daemon in daemons {
        assert_eq!(daemon.stop().await.code(), Some(0));
    }
    town.close().await;
}
