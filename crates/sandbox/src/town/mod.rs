//! A town: both services on loopback, managers who have entered contacts and leads, and people who
//! write in several messengers.
//!
//! What is written in the services themselves is the truth that a bridge is measured against:
//! [`Town::said`] gives every message of every dialogue. Time comes from the caller.

mod cast;
mod chatter;
mod dice;
mod names;

pub use self::cast::{CONTACTS_MAX, Cast, Door, Person, Role, TOWN_MAX};
pub use self::chatter::Chatter;
pub use self::dice::Dice;

use super::amo::{Amo, AmoOptions};
use super::faults::{Faults, ScriptedFault, ServiceName};
use super::salebot::options::SalebotOptions;
use super::salebot::state::Origin;
use super::salebot::{NewClient, Salebot};
use super::server::{Clock, SenderOptions, Server, ServerOptions, WebhookCounts, WebhookOutcome, WebhookSender};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// Webhooks posted at once: Salebot delivers dialogues side by side.
const SENDER_CONCURRENCY: usize = 8;
/// How long Salebot waits for the answer to a webhook, in milliseconds.
const SENDER_TIMEOUT_MS: u64 = 10_000;

/// How long amoCRM waits for the answer to a webhook (amoCRM webhooks page), in milliseconds.
const HOOK_TIMEOUT_MS: u64 = 2_000;

/// How a town is founded.
#[derive(Clone)]
pub struct TownOptions {
    /// The same seed makes the same town.
    pub seed: u64,
    /// Contacts the managers have entered, at most [`CONTACTS_MAX`].
    pub contacts: usize,
    /// People who write, at most [`TOWN_MAX`].
    pub people: usize,
    /// amoCRM's port on 127.0.0.1; 0 takes a free one.
    pub amo_port: u16,
    /// Salebot's port; 0 takes a free one.
    pub salebot_port: u16,
    /// How this amoCRM behaves.
    pub amo: AmoOptions,
    /// How this Salebot behaves.
    pub salebot: SalebotOptions,
    /// Unix milliseconds.
    pub clock: Clock,
}

impl TownOptions {
    /// A small town on free ports, with services as they are documented.
    pub fn new(clock: Clock) -> Self {
        Self {
            seed: 1,
            contacts: 0,
            people: 0,
            amo_port: 0,
            salebot_port: 0,
            amo: AmoOptions::default(),
            salebot: SalebotOptions::default(),
            clock,
        }
    }
}

/// Why a town cannot be founded.
#[derive(Debug, thiserror::Error)]
pub enum TownError {
    /// The port is taken.
    #[error("{service} cannot listen on 127.0.0.1:{port}")]
    Port {
        /// Whose port.
        service: &'static str,
        /// Which port was asked for.
        port: u16,
        /// Why.
        source: std::io::Error,
    },
    /// No HTTP client can be built to post webhooks with.
    #[error("webhooks cannot be posted")]
    Sender(#[source] reqwest::Error),
}

/// One message of a dialogue, as Salebot keeps it. Callbacks and notices are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The message.
    pub message: i64,
    /// In whose dialogue.
    pub client: i64,
    /// From the person; else from a bot or an operator.
    pub from_person: bool,
    /// The words.
    pub text: String,
}

/// Both services at work.
pub struct Town {
    amo: Arc<Mutex<Amo>>,
    salebot: Arc<Mutex<Salebot>>,
    faults: Arc<Mutex<Faults>>,
    cast: Cast,
    /// Who stands behind a client.
    entered: Mutex<BTreeMap<i64, usize>>,
    groups: Mutex<Vec<i64>>,
    clock: Clock,
    servers: (Server, Server),
    sender: Mutex<Option<WebhookSender>>,
    /// Posts to whoever is subscribed.
    amo_sender: WebhookSender,
    stop: CancellationToken,
}

impl Town {
    /// Settles the town and opens both services. Nobody has written yet; regulars have a client.
    pub async fn found(options: TownOptions, faults: Faults) -> Result<Self, TownError> {
        let now_ms = (options.clock)();
        let mut amo = Amo::new(options.amo);
        let cast = cast::settle(&mut amo, now_ms, options.seed, options.contacts, options.people);
        let amo = Arc::new(Mutex::new(amo));
        let salebot = Arc::new(Mutex::new(Salebot::new(options.salebot)));
        let faults = Arc::new(Mutex::new(faults));
        let stop = CancellationToken::new();
        let server = |name, port| ServerOptions { name, port, clock: Arc::clone(&options.clock), stop: stop.clone() };
        let taken = |service, port| move |source| TownError::Port { service, port, source };
        let amo_server = server(ServiceName::Amo, options.amo_port);
        let amo_server = Server::start(Arc::clone(&amo), Arc::clone(&faults), amo_server).await;
        let amo_server = amo_server.map_err(taken("amoCRM", options.amo_port))?;
        let salebot_server = server(ServiceName::Salebot, options.salebot_port);
        let salebot_server = Server::start(Arc::clone(&salebot), Arc::clone(&faults), salebot_server).await;
        let salebot_server = match salebot_server {
            Ok(server) => server,
            Err(error) => {
                amo_server.stop().await;
                return Err(taken("Salebot", options.salebot_port)(error));
            }
        };
        let amo_sender = WebhookSender::start(
            Arc::clone(&amo),
            SenderOptions {
                url: String::new(),
                concurrency: SENDER_CONCURRENCY,
                timeout_ms: HOOK_TIMEOUT_MS,
                clock: Arc::clone(&options.clock),
                wake: amo_server.answered(),
                stop: stop.clone(),
            },
        );
        let amo_sender = amo_sender.map_err(TownError::Sender)?;
        let town = Self {
            amo,
            salebot,
            faults,
            cast,
            entered: Mutex::default(),
            groups: Mutex::default(),
            clock: options.clock,
            servers: (amo_server, salebot_server),
            sender: Mutex::new(None),
            amo_sender,
            stop,
        };
        for (number, person) in town.cast.people.iter().enumerate() {
            if person.role == Role::Regular {
                town.enter(number, 0);
            }
        }
        Ok(town)
    }

    /// Starts to post Salebot's webhooks there. The address may hold a secret; it is never printed.
    /// A second call changes the address; what was posted before is no longer counted.
    pub fn deliver_to(&self, url: &str) -> Result<(), TownError> {
        let options = SenderOptions {
            url: url.to_owned(),
            concurrency: SENDER_CONCURRENCY,
            timeout_ms: SENDER_TIMEOUT_MS,
            clock: Arc::clone(&self.clock),
            wake: self.servers.1.answered(),
            stop: self.stop.clone(),
        };
        let sender = WebhookSender::start(Arc::clone(&self.salebot), options).map_err(TownError::Sender)?;
        *lock(&self.sender) = Some(sender);
        Ok(())
    }

    /// How posting went so far.
    pub fn deliveries(&self) -> WebhookCounts {
        lock(&self.sender).as_ref().map(WebhookSender::counts).unwrap_or_default()
    }

    /// The latest deliveries, oldest first.
    pub fn delivery_log(&self) -> Vec<WebhookOutcome> {
        lock(&self.sender).as_ref().map(WebhookSender::log).unwrap_or_default()
    }

    /// Where amoCRM answers: `http://127.0.0.1:8071`.
    pub fn amo_url(&self) -> String {
        format!("http://{}", self.servers.0.address())
    }

    /// Where Salebot answers.
    pub fn salebot_url(&self) -> String {
        format!("http://{}", self.servers.1.address())
    }

    /// Who lives here.
    pub fn cast(&self) -> &Cast {
        &self.cast
    }

    /// Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    /// Lets a manager at amoCRM: the second argument is the time.
    pub fn amo<T>(&self, work: impl FnOnce(&mut Amo, i64) -> T) -> T {
        work(&mut lock(&self.amo), self.now_ms())
    }

    /// Lets people, bots and operators at Salebot: the second argument is the time.
    pub fn salebot<T>(&self, work: impl FnOnce(&mut Salebot, i64) -> T) -> T {
        work(&mut lock(&self.salebot), self.now_ms())
    }

    /// Looks at both services at one moment.
    pub fn look<T>(&self, look: impl FnOnce(&Amo, &Salebot) -> T) -> T {
        let amo = lock(&self.amo);
        let salebot = lock(&self.salebot);
        look(&amo, &salebot)
    }

    /// Something is to go wrong from now on.
    pub fn spoil(&self, fault: ScriptedFault) {
        lock(&self.faults).add(fault);
    }

    /// How often each spoilt thing has happened, in the order it was asked for.
    pub fn spoilt(&self) -> Vec<u64> {
        lock(&self.faults).script_fired()
    }

    /// Nothing goes wrong any more.
    pub fn calm(&self) {
        lock(&self.faults).stop();
    }

    /// A person opens the chat behind one of their doors; the client they are there. None for a
    /// person or door that is not there.
    pub fn enter(&self, person: usize, door: usize) -> Option<i64> {
        let known = self.cast.people.get(person)?;
        let door = known.doors.get(door)?;
        let client = self.salebot(|salebot, now_ms| {
            let new = NewClient {
                client_type: door.client_type,
                platform_id: &door.platform_id,
                group: door.group,
                name: Some(&known.name),
            };
            let client = salebot.add_client(now_ms, new);
            let is_new = salebot.client(client).is_some_and(|client| client.variables.is_empty());
            if is_new {
                for (name, value) in &door.variables {
                    salebot.set_variable(now_ms, client, name, value);
                }
            }
            client
        });
        lock(&self.entered).insert(client, person);
        Some(client)
    }

    /// A person writes; the message.
    pub fn writes(&self, person: usize, door: usize, text: &str) -> Option<i64> {
        let client = self.enter(person, door)?;
        self.salebot(|salebot, now_ms| salebot.person_writes(now_ms, client, Some(text), &[]))
    }

    /// A bot is put into a group chat, and somebody writes there.
    pub fn group_chat(&self, chat_id: i64, title: &str, text: &str) -> i64 {
        let client = self.salebot(|salebot, now_ms| {
            let client = salebot.add_group_chat(now_ms, "some_bot", chat_id, title);
            salebot.person_writes(now_ms, client, Some(text), &[]);
            client
        });
        lock(&self.groups).push(client);
        client
    }

    /// Clients that are group chats.
    pub fn groups(&self) -> Vec<i64> {
        lock(&self.groups).clone()
    }

    /// The person behind each client that was ever opened.
    pub fn entered(&self) -> BTreeMap<i64, usize> {
        lock(&self.entered).clone()
    }

    /// Every message of every dialogue, in order.
    pub fn said(&self) -> Vec<Said> {
        self.salebot(|salebot, _| said(salebot))
    }

    /// Ends servers and sender; returns when all their tasks are gone.
    pub async fn close(self) {
        self.stop.cancel();
        let sender = lock(&self.sender).take();
        if let Some(sender) = sender {
            sender.stop().await;
        }
        self.amo_sender.stop().await;
        self.servers.0.stop().await;
        self.servers.1.stop().await;
    }
}

fn said(salebot: &Salebot) -> Vec<Said> {
    let of_client = |client: i64| {
        let messages = salebot.history(client).iter().filter(|message| message.origin == Origin::Ordinary);
        messages.filter_map(move |message| {
            let text = message.text.clone()?;
            Some(Said { message: message.id, client, from_person: message.from_client, text })
        })
    };
    let mut said: Vec<Said> = salebot.clients().flat_map(|client| of_client(client.id)).collect();
    said.sort_by_key(|said| said.message);
    said
}

/// Both services stay whole between calls, so a panic elsewhere leaves them usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
