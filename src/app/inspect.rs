//! Records read on both sides and held against what is remembered, beside a daemon or without one. Nothing is written.

use crate::app::env::SystemEnv;
use crate::app::wire::{self, Asked, Outside};
use crate::app::{doctor, status};
use crate::config::{Bridge as BridgeConfig, Config, StoreUrl};
use crate::core::action::{Action, client_key, contact_key, lead_key};
use crate::core::fault::Fault;
use crate::core::id::{ClientId, ContactId, LeadId};
use crate::core::link::{ClientLink, ContactSeen, DealLink};
use crate::core::model::{Lead, Order, OrderStatus, Variables};
use crate::core::plan::deal::{self, DealSeen};
use crate::core::plan::ground::Ground;
use crate::core::plan::inspect::{self, Compared};
use crate::core::plan::person::{self, ClientSeen, PersonSeen};
use crate::ports::remote::{Priority, Salebot, Wanted};
use crate::ports::store::{OutboxRow, Store};
use crate::store::sqlite;
use futures::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// Records that are read together.
pub const TOGETHER: usize = 50;

/// Why nothing more could be looked at.
#[derive(Debug)]
pub enum Ended {
    /// A service could not be asked: try again later.
    Later(String),
    /// Anything else.
    Failed(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Ended {
    fn from(error: E) -> Ended {
        Ended::Failed(error.into())
    }
}

/// What was read of one record and its counterparts.
#[derive(Debug)]
pub struct Looked {
    /// `contact:101`, `lead:301`.
    pub record: String,
    /// `client:5`, for each client; the client of a lead.
    pub clients: BTreeSet<ClientId>,
    /// Every pair of it.
    pub pairs: Vec<Compared>,
    /// What is wrong with a whole record rather than with a value.
    pub troubles: Vec<Trouble>,
    /// True when the daemon has seen amoCRM's record as it is now.
    pub is_seen: bool,
    /// Actions about it that wait or run.
    pub pending: Vec<OutboxRow>,
    /// What would be done besides writing values, in words.
    pub besides: Vec<String>,
}

/// What is wrong with a whole record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Which record.
    pub record: String,
    /// The kind.
    pub kind: TroubleKind,
    /// In words.
    pub told: String,
}

/// The kinds of trouble with a whole record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TroubleKind {
    /// A service does not have it any more.
    Gone,
    /// It could not be read.
    Unread,
    /// An open lead has no order.
    NoOrder,
}

/// Reads one bridge's records.
pub struct Reader {
    /// The bridge's name.
    pub bridge: String,
    /// The memory.
    pub store: Arc<dyn Store>,
    /// The mapping, resolved.
    pub ground: Ground,
    asked: Asked,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("bridge", &self.bridge).finish_non_exhaustive()
    }
}

/// True when somebody drives the configured store now.
pub async fn is_driven(config: &Config) -> bool {
    let held = match &config.store {
        StoreUrl::Sqlite(path) => sqlite::is_driven(path),
        // Any node may drive it.
        StoreUrl::Postgres(_) => true,
        StoreUrl::Unread => false,
    };
    held || status::ask_daemon(config).await.is_some()
}

impl Reader {
    /// Reads the account's fields; `is_driven`: a daemon works beside.
    pub async fn open(config: &BridgeConfig, store: &Arc<dyn Store>, is_driven: bool) -> Result<Reader, Ended> {
        let rate = doctor::rate(config, is_driven)
            .map_err(|(found, remedy)| Ended::Failed(anyhow::anyhow!("{found}: {remedy}")))?;
        let outside = Outside { transport: wire::transport()?, env: Arc::new(SystemEnv), public_url: None };
        let asked = wire::asked(config, store, &outside, rate);
        let account = asked.amo.account(Priority::Background).await.map_err(|fault| later("amoCRM", &fault))?;
        let ground = Ground::new(config.policy.clone(), account);
        Ok(Reader { bridge: config.name.clone(), store: Arc::clone(store), ground, asked })
    }

    /// People by their contacts, with every client of theirs.
    pub async fn people(&self, ids: &[ContactId]) -> Result<Vec<Looked>, Ended> {
        let page =
            self.asked.amo.contacts_by_id(ids, Priority::Background).await.map_err(|fault| later("amoCRM", &fault))?;
        let links = self.store.clients_of(&self.bridge, ids).await?;
        let seen = self.store.contacts(&self.bridge, ids).await?;
        let read = self.variables(links.iter().map(|link| link.client.id)).await;
        // One answer that fails is one client's; when all fail, Salebot is not there.
        let faults: Vec<&Fault> = read.values().filter_map(|read| read.as_ref().err()).collect();
        if let Some(fault) = faults.first().filter(|_| faults.len() == read.len()) {
            return Err(later("Salebot", fault));
        }
        let mut all = Vec::new();
        for id in ids {
            let clients: Vec<&ClientLink> = links.iter().filter(|link| link.contact == Some(*id)).collect();
            let mut looked = self.begun(contact_key(*id), clients.iter().map(|link| link.client.id)).await?;
            match page.rows.iter().find(|contact| contact.id == *id) {
                Some(contact) => {
                    let mut told = Vec::new();
                    let mut there = Vec::new();
                    for link in clients {
                        match read.get(&link.client.id) {
                            Some(Ok(Some(variables))) => there.push(ClientSeen { link, variables: Some(variables) }),
                            Some(Ok(None)) => told.push(gone(client_key(link.client.id), "Salebot")),
                            Some(Err(fault)) => told.push(unread(client_key(link.client.id), &fault.to_string())),
                            None => {}
                        }
                    }
                    looked.troubles = told;
                    let in_doubt = doubts(&looked.pending);
                    let seen_person = PersonSeen { contact, clients: &there, in_doubt: &in_doubt };
                    let plan = person::plan(&self.ground, seen_person);
                    looked.pairs = inspect::person(&self.ground, seen_person, &plan);
                    looked.is_seen = is_seen(&seen, *id, &self.ground.contact_fingerprint(contact));
                }
                None => looked.troubles.push(absent(&page.broken, id.0, contact_key(*id))),
            }
            all.push(looked);
        }
        Ok(all)
    }

    /// Leads with their orders and clients. Those without a client have no counterpart and are left out.
    pub async fn leads(&self, ids: &[LeadId]) -> Result<Vec<Looked>, Ended> {
        let page =
            self.asked.amo.leads_by_id(ids, Priority::Background).await.map_err(|fault| later("amoCRM", &fault))?;
        let deals = self.store.deals(&self.bridge, ids).await?;
        let contacts: BTreeSet<ContactId> =
            page.rows.iter().filter_map(Lead::person).chain(deals.iter().filter_map(|deal| deal.contact)).collect();
        let contacts: Vec<ContactId> = contacts.into_iter().collect();
        let mut clients = self.store.clients_of(&self.bridge, &contacts).await?;
        let owners: Vec<ClientId> = deals.iter().filter(|deal| deal.ordered).filter_map(|deal| deal.client).collect();
        let owners = self.store.clients(&self.bridge, &owners).await?;
        clients.retain(|link| owners.iter().all(|owner| owner.client.id != link.client.id));
        clients.extend(owners);
        let siblings = self.store.deals_of(&self.bridge, &contacts).await?;
        let mut all = Vec::new();
        for id in ids {
            let link = deals.iter().find(|deal| deal.lead == *id);
            let Some(lead) = page.rows.iter().find(|lead| lead.id == *id) else {
                if link.is_some_and(|link| link.open && link.client.is_some()) {
                    let mut looked = self.begun(lead_key(*id), link.and_then(|link| link.client)).await?;
                    looked.troubles.push(absent(&page.broken, id.0, lead_key(*id)));
                    all.push(looked);
                }
                continue;
            };
            let Some(client) = deal::chosen_client(link, lead.person(), &clients) else { continue };
            all.push(self.lead(lead, link, client, &siblings).await?);
        }
        Ok(all)
    }

    async fn lead(
        &self,
        lead: &Lead,
        link: Option<&DealLink>,
        client: &ClientLink,
        siblings: &[DealLink],
    ) -> Result<Looked, Ended> {
        let is_current = deal::is_current(lead, Some(client), siblings);
        let record = lead_key(lead.id);
        let mut looked = self.begun(record.clone(), [client.client.id]).await?;
        let speech = match self.speech(lead, client.client.id, link, is_current).await {
            Ok(speech) => speech,
            Err(fault) => {
                looked.troubles.push(unread(record, &fault.to_string()));
                return Ok(looked);
            }
        };
        let order = link.and_then(|link| link.order);
        if let (Some(order), None) = (order, &speech.order) {
            looked.troubles.push(gone(format!("order:{order}"), "Salebot"));
        }
        let in_doubt = doubts(&looked.pending);
        let seen = DealSeen {
            lead,
            link,
            contact: None,
            client: Some(client),
            variables: speech.variables.as_ref(),
            order: speech.order.as_ref(),
            order_status: speech.status,
            is_current,
            siblings,
            is_news: false,
            in_doubt: &in_doubt,
        };
        let (plan, _) = deal::plan(&self.ground, seen);
        looked.pairs = inspect::deal(&self.ground, seen, &plan);
        let fingerprint = self.ground.lead_fingerprint(lead);
        looked.is_seen = link.is_some_and(|link| link.fingerprint == fingerprint);
        if self.ground.policy.orders.enabled && lead.is_open() && order.is_none() {
            let told = "the lead is open and has no order".to_owned();
            looked.troubles.push(Trouble { record, kind: TroubleKind::NoOrder, told });
        }
        looked.besides = plan.actions.iter().filter_map(|(_, action)| beside(action)).collect();
        Ok(looked)
    }

    /// What Salebot says about a lead; an order is read only where it is expected.
    async fn speech(
        &self,
        lead: &Lead,
        client: ClientId,
        link: Option<&DealLink>,
        is_current: bool,
    ) -> Result<Speech, Fault> {
        let salebot = &self.asked.salebot;
        let mut speech = Speech::default();
        if is_current {
            speech.variables = salebot.variables(client, Priority::Background).await?;
        }
        if let Some(order) = link.and_then(|link| link.order) {
            let names = self.ground.order_variables();
            speech.order = salebot.order(client, order, Wanted::Named(&names), Priority::Background).await?;
            if speech.order.is_some() && self.ground.leads_follow_orders() && lead.is_open() {
                speech.status = salebot.order_status(client, order, Priority::Background).await?;
            }
        }
        Ok(speech)
    }

    async fn variables(
        &self,
        clients: impl Iterator<Item = ClientId>,
    ) -> BTreeMap<ClientId, Result<Option<Variables>, Fault>> {
        let salebot = &self.asked.salebot;
        let reads =
            clients.map(|client| async move { (client, salebot.variables(client, Priority::Background).await) });
        join_all(reads).await.into_iter().collect()
    }

    async fn begun(&self, record: String, clients: impl IntoIterator<Item = ClientId>) -> Result<Looked, Ended> {
        let clients: BTreeSet<ClientId> = clients.into_iter().collect();
        let keys: Vec<String> = clients.iter().map(|id| client_key(*id)).chain([record.clone()]).collect();
        let pending = self.store.pending(&self.bridge, &keys).await?;
        let (pairs, troubles, besides) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Looked { record, clients, pairs, troubles, is_seen: false, pending, besides })
    }
}

/// What Salebot says about a lead.
#[derive(Default)]
struct Speech {
    variables: Option<Variables>,
    order: Option<Order>,
    status: Option<OrderStatus>,
}

fn later(service: &str, fault: &Fault) -> Ended {
    Ended::Later(format!("{service} could not be asked: {fault}"))
}

fn doubts(pending: &[OutboxRow]) -> Vec<crate::core::action::Confirm> {
    let tried = |row: &&OutboxRow| row.in_doubt || row.attempts > 0 || row.first_attempt_at.is_some();
    pending.iter().filter(tried).flat_map(|row| row.action.confirms().to_vec()).collect()
}

fn is_seen(seen: &[ContactSeen], id: ContactId, fingerprint: &str) -> bool {
    seen.iter().any(|seen| seen.contact == id && seen.fingerprint == fingerprint)
}

fn gone(record: String, service: &str) -> Trouble {
    Trouble { record, kind: TroubleKind::Gone, told: format!("{service} does not have it any more") }
}

fn unread(record: String, reason: &str) -> Trouble {
    Trouble { record, kind: TroubleKind::Unread, told: format!("it could not be read: {reason}") }
}

/// What was not among the rows of an answer: unreadable, or not there.
fn absent(broken: &[crate::ports::remote::BrokenRow], id: u64, record: String) -> Trouble {
    match broken.iter().find(|row| row.id == Some(id)) {
        Some(row) => unread(record, &row.reason),
        None => gone(record, "amoCRM"),
    }
}

/// What an action does besides writing values.
fn beside(action: &Action) -> Option<String> {
    match action {
        Action::CreateOrder { lead, .. } => Some(format!("an order would be made for lead {lead}")),
        Action::Callback { client, text } => Some(format!("the bot of client {client} would be started with: {text}")),
        _ => None,
    }
}
