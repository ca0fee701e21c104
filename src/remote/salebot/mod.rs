//! Salebot's HTTP API behind [`ports::remote::Salebot`](crate::ports::remote::Salebot).
//!
//! GET for reads, POST with JSON for writes. The project's key is a segment of every address
//! (`/api/{key}/{action}`, Salebot API page): it enters the sender's base and nothing else. Answers
//! are read leniently ([`crate::core::flex`]); what counts as success stands in `envelope`.

mod channels;
mod dialogue;
mod envelope;
mod fault;
mod finders;
mod orders;
mod variables;

pub use channels::Channel;

use crate::core::fault::Fault;
use crate::core::flex::{Notices, Object};
use crate::core::id::{ClientId, OrderId, StateId};
use crate::core::model::{ClientRow, FoundClient, Order, OrderStatus, Variables};
use crate::ports::env::Env;
use crate::ports::remote::{ClientAddress, HistoryLine, NewOrder, Page, Priority, Salebot, Wanted};
use crate::remote::http::{Call, InAddress, RawAnswer, Sender, Transport};
use crate::remote::lane::{Cost, Lane};
use async_trait::async_trait;
use channels::ChannelTypes;
use envelope::{Content, Form};
use fault::{Refusal, RefusalKind, incomplete};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// Milliseconds for requests that answer with long lists (others report up to a minute).
const LIST_TIMEOUT_MS: i64 = 60_000;
/// Most clients in one `save_variables` or `load_clients`: no limit is documented, so a modest one.
const CLIENTS_MAX: usize = 100;

/// The language of an installation: it names an order's own fields (Salebot's page on deals).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DealLanguage {
    /// `Название`, `Описание`.
    Russian,
    /// `Name`, `Description`.
    English,
}

impl DealLanguage {
    /// The international installation is at `.ai`; every other address is taken for the Russian one.
    ///
    /// Only one spelling is ever written: the other would show up as a variable of the order.
    pub fn of_url(url: &str) -> DealLanguage {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let host = rest.split(['/', ':', '?']).next().unwrap_or_default();
        if host.to_ascii_lowercase().ends_with(".ai") { DealLanguage::English } else { DealLanguage::Russian }
    }
}

/// What the adapter is made with.
pub struct SalebotOptions {
    /// `https://chatter.salebot.pro`; outer space and a trailing slash are dropped (addresses copied
    /// from the official page carry a space).
    pub url: String,
    /// The project's key.
    pub api_key: SecretString,
    /// Names of an order's own fields.
    pub language: DealLanguage,
    /// Tells notices from messages in histories.
    pub notices: Notices,
    /// The lane of every request but `save_variables`. Its daily budget is the project's quota.
    pub lane: Arc<Lane>,
    /// The lane of `save_variables`, the one action documented as unlimited: a higher rate, no budget.
    pub save_lane: Arc<Lane>,
}

/// One project's API.
pub struct SalebotApi {
    sender: Sender,
    save_sender: Sender,
    language: DealLanguage,
    notices: Notices,
    channel_types: ChannelTypes,
}

impl fmt::Debug for SalebotApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SalebotApi").field("language", &self.language).finish_non_exhaustive()
    }
}

impl SalebotApi {
    /// An adapter that has sent nothing yet.
    pub fn new(options: SalebotOptions, transport: Arc<dyn Transport>, env: Arc<dyn Env>) -> SalebotApi {
        let host = options.url.trim().trim_end_matches('/');
        let base = SecretString::from(format!("{host}/api/{}", path_segment(options.api_key.expose_secret())));
        let sender = Sender::new("Salebot", base, Arc::new(InAddress), transport, options.lane, env, fault::outcome);
        SalebotApi {
            save_sender: sender.with_lane(options.save_lane),
            sender,
            language: options.language,
            notices: options.notices,
            channel_types: ChannelTypes::default(),
        }
    }

    /// Asks for the connected channels: the cheapest proof that address and key are right.
    pub async fn channels(&self, priority: Priority) -> Result<Vec<Channel>, Fault> {
        let reply = self.get("connected_channels", Vec::new(), priority).await?;
        let text = reply.text();
        Ok(channels::channels(&reply.object(&text, Form::Flat)?))
    }

    /// Tells a thing that is not there from a key that is not accepted: both may be a bare 404.
    async fn missing_or_key(&self, refusal: Refusal, action: &str, priority: Priority) -> Result<(), Fault> {
        match refusal.kind {
            _ if refusal.is_missing() => Ok(()),
            RefusalKind::BareNotFound => self.channels(priority).await.map(drop),
            _ => Err(refusal.fault(action, true)),
        }
    }

    async fn get(
        &self,
        action: &'static str,
        query: Vec<(String, String)>,
        priority: Priority,
    ) -> Result<Reply, Fault> {
        let call = Call { query, ..Call::get(format!("/{action}"), action, priority) };
        self.send(&self.sender, call).await
    }

    /// A read that answers with a long list.
    async fn get_list(
        &self,
        action: &'static str,
        query: Vec<(String, String)>,
        priority: Priority,
    ) -> Result<Reply, Fault> {
        let get = Call::get(format!("/{action}"), action, priority);
        self.send(&self.sender, Call { query, timeout_ms: LIST_TIMEOUT_MS, ..get }).await
    }

    async fn post(
        &self,
        action: &'static str,
        body: &Value,
        priority: Priority,
        repeatable: bool,
    ) -> Result<Reply, Fault> {
        let call = Call::post(format!("/{action}"), action, body.to_string().into_bytes(), priority, repeatable);
        self.send(&self.sender, call).await
    }

    async fn post_free(&self, action: &'static str, body: &Value, priority: Priority) -> Result<Reply, Fault> {
        let call = Call::post(format!("/{action}"), action, body.to_string().into_bytes(), priority, true);
        self.send(&self.save_sender, Call { cost: Cost::Free, ..call }).await
    }

    async fn send(&self, sender: &Sender, call: Call) -> Result<Reply, Fault> {
        let (action, repeatable) = (call.route, call.repeatable);
        let answer = sender.call(call).await?;
        Ok(Reply { answer, action, repeatable })
    }
}

/// An answer and what was asked.
struct Reply {
    answer: RawAnswer,
    action: &'static str,
    repeatable: bool,
}

impl Reply {
    /// The body; bytes that are no UTF-8 are replaced.
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.answer.body).into_owned()
    }

    fn open<'a>(&self, text: &'a str, form: Form) -> Result<Content<'a>, Refusal> {
        envelope::open(&self.answer, text, form)
    }

    fn fault(&self, refusal: &Refusal) -> Fault {
        refusal.fault(self.action, self.repeatable)
    }

    fn incomplete(&self, what: &str) -> Fault {
        incomplete(self.action, what, self.repeatable)
    }

    /// The object that a success must be.
    fn object<'a>(&self, text: &'a str, form: Form) -> Result<Object<'a>, Fault> {
        match self.open(text, form).map_err(|refusal| self.fault(&refusal))? {
            Content::Object(object) => Ok(object),
            Content::List(_) | Content::Done | Content::Words => Err(self.incomplete("its answer is no object")),
        }
    }

    /// A success that has nothing to tell.
    fn done(&self) -> Result<(), Fault> {
        let text = self.text();
        match self.open(&text, Form::Envelope).map_err(|refusal| self.fault(&refusal))? {
            Content::Object(_) | Content::Done => Ok(()),
            Content::List(_) | Content::Words => {
                Err(self.fault(&Refusal::unreadable(&self.answer, "a text that means nothing to us")))
            }
        }
    }
}

/// Percent-encodes what a path segment must not hold, so that a mistyped key stays a segment.
fn path_segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    for byte in text.trim().bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => segment.push(char::from(byte)),
            _ => segment.push_str(&format!("%{byte:02X}")),
        }
    }
    segment
}

fn pair(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}

#[async_trait]
impl Salebot for SalebotApi {
    async fn variables(&self, client: ClientId, priority: Priority) -> Result<Option<Variables>, Fault> {
        self.read_variables(client, priority).await
    }

    async fn save_variables(
        &self,
        clients: &[ClientId],
        variables: &Variables,
        priority: Priority,
    ) -> Result<(), Fault> {
        self.write_variables(clients, variables, priority).await
    }

    async fn find_by_values(&self, name: &str, values: &[String], priority: Priority) -> Result<Vec<ClientId>, Fault> {
        self.search_values(name, values, priority).await
    }

    async fn find_by_platform(
        &self,
        platform_ids: &[String],
        group_id: &str,
        priority: Priority,
    ) -> Result<Vec<FoundClient>, Fault> {
        self.search_platform(platform_ids, group_id, priority).await
    }

    async fn clients(
        &self,
        offset: u32,
        limit: u32,
        oldest_first: bool,
        priority: Priority,
    ) -> Result<Page<ClientRow>, Fault> {
        self.list_clients(offset, limit, oldest_first, priority).await
    }

    async fn history(&self, client: ClientId, priority: Priority) -> Result<Vec<HistoryLine>, Fault> {
        self.read_history(client, priority).await
    }

    async fn active_orders(&self, client: ClientId, priority: Priority) -> Result<Vec<OrderId>, Fault> {
        self.list_orders(client, OrderStatus::Active, priority).await
    }

    async fn order_status(
        &self,
        client: ClientId,
        order: OrderId,
        priority: Priority,
    ) -> Result<Option<OrderStatus>, Fault> {
        self.find_status(client, order, priority).await
    }

    async fn current_order(&self, client: ClientId, priority: Priority) -> Result<Option<OrderId>, Fault> {
        self.read_current_order(client, priority).await
    }

    async fn order(
        &self,
        client: ClientId,
        order: OrderId,
        wanted: Wanted<'_>,
        priority: Priority,
    ) -> Result<Option<Order>, Fault> {
        self.read_order(client, order, wanted, priority).await
    }

    async fn create_order(&self, order: &NewOrder, priority: Priority) -> Result<OrderId, Fault> {
        self.make_order(order, priority).await
    }

    async fn set_order_variables(
        &self,
        client: ClientId,
        order: OrderId,
        variables: &Variables,
        priority: Priority,
    ) -> Result<(), Fault> {
        self.write_order(client, order, variables, priority).await
    }

    async fn set_order_state(&self, client: ClientId, state: StateId, priority: Priority) -> Result<(), Fault> {
        self.move_order(client, state, priority).await
    }

    async fn callback(&self, client: ClientId, text: &str, priority: Priority) -> Result<(), Fault> {
        self.start_bot(client, text, priority).await
    }

    async fn load_clients(&self, clients: &[ClientAddress], priority: Priority) -> Vec<Result<ClientId, Fault>> {
        self.load(clients, priority).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_tells_the_language() {
        assert_eq!(DealLanguage::of_url("https://chatter.salebot.pro"), DealLanguage::Russian);
        assert_eq!(DealLanguage::of_url("https://chatter.Salebot.AI:443/"), DealLanguage::English);
        assert_eq!(DealLanguage::of_url("http://127.0.0.1:8080/x.ai"), DealLanguage::Russian);
    }

    #[test]
    fn a_key_stays_one_segment() {
        assert_eq!(path_segment(" 5a1e/../x?y "), "5a1e%2F..%2Fx%3Fy");
    }
}
