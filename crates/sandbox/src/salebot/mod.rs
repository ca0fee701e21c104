//! A Salebot project that holds state: the constructor's HTTP API, its webhook, and its people.
//!
//! [`Salebot`] is a state machine without I/O, clock or chance: `handle(now, request)` answers an
//! API request, the methods of `people` are what clients, bots and operators do, and
//! [`Salebot::take_webhooks`] gives what the project would post to its webhook address. Written
//! from the official pages alone; whatever they leave open is an option ([`options`]).

mod answer;
mod arguments;
mod callbacks;
mod channels;
mod clients;
mod finders;
mod history;
mod index;
mod messages;
pub mod options;
mod orders;
mod people;
pub mod project;
mod record;
mod routes;
mod schedule;
mod search;
pub mod state;
mod statistics;
#[cfg(test)]
mod tests;
mod times;
mod variables;
mod webhook;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value};

use self::index::{PlatformIndex, ValueIndex};
use self::options::SalebotOptions;
pub use self::people::{NewClient, NewOrder};
use self::project::Project;
use self::state::{Client, Message, Order, ReceivedCallback, Sending, Variables};
use self::statistics::Meter;
pub use self::statistics::{LoggedRequest, Statistics};
pub use self::webhook::Webhook;
use super::http::{Request, Response};
use super::server::{OutgoingWebhook, Service};

/// The first ids: message ids have 11 digits, so they pass 32 bits.
const FIRST_CLIENT_ID: i64 = 811_000_001;
const FIRST_ORDER_ID: i64 = 40_001;
const FIRST_MESSAGE_ID: i64 = 40_000_000_001;

/// A simulated Salebot project.
#[derive(Debug)]
pub struct Salebot {
    options: SalebotOptions,
    project: Project,
    clients: BTreeMap<i64, Client>,
    orders: BTreeMap<i64, Order>,
    project_variables: Variables,
    lists: BTreeMap<i64, BTreeSet<i64>>,
    phones_without_whatsapp: BTreeSet<String>,
    platforms: PlatformIndex,
    client_values: ValueIndex,
    order_values: ValueIndex,
    next_client_id: i64,
    next_order_id: i64,
    next_message_id: i64,
    scheduled: BTreeMap<(i64, u64), Sending>,
    next_sending: u64,
    webhooks: VecDeque<Webhook>,
    callbacks: VecDeque<ReceivedCallback>,
    meter: Meter,
}

impl Salebot {
    /// An empty project with the default channels, funnels, blocks and operators.
    pub fn new(options: SalebotOptions) -> Self {
        Self::with_project(options, Project::default())
    }

    /// An empty project set up in its own way.
    pub fn with_project(options: SalebotOptions, project: Project) -> Self {
        Self {
            options,
            project,
            clients: BTreeMap::new(),
            orders: BTreeMap::new(),
            project_variables: Variables::new(),
            lists: BTreeMap::new(),
            phones_without_whatsapp: BTreeSet::new(),
            platforms: PlatformIndex::default(),
            client_values: ValueIndex::default(),
            order_values: ValueIndex::default(),
            next_client_id: FIRST_CLIENT_ID,
            next_order_id: FIRST_ORDER_ID,
            next_message_id: FIRST_MESSAGE_ID,
            scheduled: BTreeMap::new(),
            next_sending: 0,
            webhooks: VecDeque::new(),
            callbacks: VecDeque::new(),
            meter: Meter::default(),
        }
    }

    /// Answers one API request at this Unix time in milliseconds. What was due before is sent first.
    pub fn handle(&mut self, now_ms: i64, request: &Request) -> Response {
        self.advance(now_ms);
        self.route(now_ms, request)
    }

    /// What the project posts to its webhook address, oldest first; each is given once.
    pub fn take_webhooks(&mut self) -> Vec<Webhook> {
        self.webhooks.drain(..).collect()
    }

    /// How the project is set up.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// The options it was made with.
    pub fn options(&self) -> &SalebotOptions {
        &self.options
    }

    /// All clients in the order of their ids.
    pub fn clients(&self) -> impl Iterator<Item = &Client> {
        self.clients.values()
    }

    /// One client.
    pub fn client(&self, id: i64) -> Option<&Client> {
        self.clients.get(&id)
    }

    /// What `get_variables` knows of a client: deal over client over project, and the built-ins.
    pub fn variables(&self, client_id: i64) -> Option<Map<String, Value>> {
        self.clients.get(&client_id).map(|client| self.merged_variables(client))
    }

    /// A client's deals, oldest first.
    pub fn orders(&self, client_id: i64) -> Vec<&Order> {
        let ids = self.clients.get(&client_id).map(|client| client.orders.as_slice()).unwrap_or_default();
        ids.iter().filter_map(|id| self.orders.get(id)).collect()
    }

    /// One deal.
    pub fn order(&self, id: i64) -> Option<&Order> {
        self.orders.get(&id)
    }

    /// A client's messages, oldest first.
    pub fn history(&self, client_id: i64) -> &[Message] {
        self.clients.get(&client_id).map(|client| client.history.as_slice()).unwrap_or_default()
    }

    /// The members of a list.
    pub fn list_members(&self, list_id: i64) -> Vec<i64> {
        self.lists.get(&list_id).into_iter().flatten().copied().collect()
    }

    /// The callbacks that reached bots, oldest first.
    pub fn callbacks(&self) -> impl Iterator<Item = &ReceivedCallback> {
        self.callbacks.iter()
    }

    /// What was asked of the project so far.
    pub fn statistics(&self) -> &Statistics {
        self.meter.statistics()
    }
}

impl Service for Salebot {
    fn handle(&mut self, now_ms: i64, request: &Request) -> Response {
        Self::handle(self, now_ms, request)
    }

    fn advance(&mut self, now_ms: i64) {
        Self::advance(self, now_ms);
    }

    fn take_webhooks(&mut self) -> Vec<OutgoingWebhook> {
        let taken = Self::take_webhooks(self);
        taken
            .into_iter()
            .map(|webhook| OutgoingWebhook {
                id: webhook.message_id,
                lane: webhook.client_id,
                destination: None,
                content_type: "application/json",
                headers: Vec::new(),
                body: webhook.body,
            })
            .collect()
    }
}
