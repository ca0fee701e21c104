//! The simulated amoCRM: an account that holds state and answers API v2 and API v4 as the documentation has them.
//!
//! [`Amo::handle`] is a function of the state, the moment and the request: no clock, no sockets, no
//! randomness. `state` holds the records and knows no JSON; `v2` and `v4` are dialects over the same
//! records; `edit` is what people do in the web interface. What the documentation leaves
//! open is a choice in [`options`].

pub mod account;
mod answer;
mod call;
mod dates;
pub mod edit;
mod events;
pub mod fixture;
pub mod hooks;
mod limit;
mod oauth;
pub mod options;
mod search;
mod state;
#[cfg(test)]
mod tests;
mod texts;
mod traffic;
mod v2;
mod v4;
mod wire;

pub use self::hooks::{HookCounts, HookFault};
pub use self::options::AmoOptions;
pub use self::state::records;
pub use self::traffic::{LoggedRequest, Statistics};

use self::call::Call;
use self::limit::{Gate, Refusal};
use self::oauth::Grants;
use self::records::{Company, Contact, Element, Lead, Note, Task};
use self::state::world::World;
use self::traffic::Traffic;

use super::http::{Request, Response};
use super::server::{OutgoingWebhook, Service, TokenTrouble, WebhookOutcome};

/// One account with its API.
#[derive(Debug)]
pub struct Amo {
    options: AmoOptions,
    world: World,
    gate: Gate,
    traffic: Traffic,
    token: Option<String>,
    grants: Grants,
    manager: u64,
    latest_ms: i64,
}

impl Amo {
    /// An account without records.
    pub fn new(options: AmoOptions) -> Self {
        let account = &options.account;
        let manager = account.users.values().find(|user| user.id != account.current_user);
        Amo {
            world: World::new(&options),
            gate: Gate::new(),
            traffic: Traffic::new(options.limits.request_log_limit),
            token: Some(options.token.clone()),
            grants: Grants::default(),
            manager: manager.map_or(account.current_user, |user| user.id),
            latest_ms: i64::MIN,
            options,
        }
    }

    /// Answers a request at the given moment, in Unix milliseconds. A moment before that of an earlier
    /// request counts as that one's.
    pub fn handle(&mut self, now_ms: i64, request: &Request) -> Response {
        let now_ms = now_ms.max(self.latest_ms);
        self.latest_ms = now_ms;
        let author = self.options.account.current_user;
        let call = Call { options: &self.options, request, now_ms, author };
        let response = match self.gate.admit(&self.options.limits, now_ms) {
            Err(Refusal::TooMany) => answer::too_many(&call),
            Err(Refusal::Blocked) => answer::blocked(&call),
            Ok(()) => answer_admitted(&mut self.world, &mut self.grants, self.token.as_deref(), &call),
        };
        self.traffic.record(now_ms, request, &response);
        self.publish(now_ms);
        response
    }

    /// What happened goes into the list of events, and on its way to subscribers.
    fn publish(&mut self, now_ms: i64) {
        for news in self.world.news.take() {
            let items = hooks::body::items(&self.world, &self.options, &news);
            self.world.events.add(&news);
            self.world.hooks.tell(now_ms, items);
        }
    }

    /// Subscribes an address as an administrator does in the settings, or by the API.
    pub fn subscribe(&mut self, now_ms: i64, destination: &str, events: &[&str]) {
        self.publish(now_ms);
        self.world.hooks.subscribe(now_ms, destination, events.iter().map(|event| (*event).to_owned()), true);
    }

    /// Subscriptions: address, events, whether it is switched off.
    pub fn subscriptions(&self) -> impl Iterator<Item = (&str, Vec<&str>, bool)> {
        self.world.hooks.subscriptions()
    }

    /// Switches a subscription on or off, as an administrator does.
    pub fn switch_hook(&mut self, destination: &str, is_on: bool) {
        self.world.hooks.switch(destination, is_on);
    }

    /// Something is to go wrong with the next webhook that has no misfortune yet.
    pub fn spoil_hook(&mut self, fault: HookFault) {
        self.world.hooks.spoil(fault);
    }

    /// Has something told to a subscriber that did not happen, such as a customer's change: name and value pairs.
    pub fn tell_subscribers(&mut self, now_ms: i64, event: &str, pairs: &[(&str, &str)]) {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.world.hooks.tell(now_ms, vec![hooks::Item::whole(event, pairs)]);
    }

    /// How webhooks went so far.
    pub fn hook_counts(&self) -> HookCounts {
        self.world.hooks.counts()
    }

    /// Makes this the one token that is accepted.
    pub fn set_token(&mut self, token: impl Into<String>) {
        self.token = Some(token.into());
    }

    /// Accepts no token any more: every request gets 401.
    pub fn revoke_token(&mut self) {
        self.token = None;
    }

    /// A code for the integration, as its Keys tab shows it.
    pub fn new_code(&mut self, now_ms: i64) -> String {
        self.grants.new_code(&self.options.oauth, now_ms)
    }

    /// Every access token that OAuth gave ends now.
    pub fn expire_tokens(&mut self, now_ms: i64) {
        self.grants.expire(now_ms);
    }

    /// The integration is taken away: no token that OAuth gave is good any more.
    pub fn revoke_tokens(&mut self) {
        self.grants.revoke();
    }

    /// The account lives at another host from now on: `localhost:8071`.
    pub fn rename(&mut self, host: &str) {
        self.grants.rename(host);
    }

    /// Pairs that were given for a refresh token, and refresh tokens that were handed in a second time.
    pub fn renewals(&self) -> (u64, u64) {
        (self.grants.renewals, self.grants.reuses)
    }

    /// From now on access tokens live so long.
    pub fn set_token_life(&mut self, seconds: i64) {
        self.options.oauth.access_life_s = seconds;
    }

    /// Answers 403 to everything until then.
    pub fn block_until(&mut self, until_ms: i64) {
        self.gate.block_until(until_ms);
    }

    /// Ends a block, as amoCRM's support does on request.
    pub fn lift_block(&mut self) {
        self.gate.lift_block();
    }

    /// How this amoCRM behaves.
    pub fn options(&self) -> &AmoOptions {
        &self.options
    }

    /// Counts since the start.
    pub fn statistics(&self) -> &Statistics {
        &self.traffic.statistics
    }

    /// The latest requests, oldest first.
    pub fn request_log(&self) -> impl Iterator<Item = &LoggedRequest> {
        self.traffic.log.iter()
    }

    /// All contacts by id, without deleted ones.
    pub fn contacts(&self) -> impl Iterator<Item = &Contact> {
        self.world.contacts.rows()
    }

    /// How many contacts there are.
    pub fn contact_count(&self) -> usize {
        self.world.contacts.len()
    }

    /// One contact, unless deleted.
    pub fn contact(&self, id: u64) -> Option<&Contact> {
        self.world.contacts.get(id)
    }

    /// All leads by id, without deleted ones.
    pub fn leads(&self) -> impl Iterator<Item = &Lead> {
        self.world.leads.rows()
    }

    /// How many leads there are.
    pub fn lead_count(&self) -> usize {
        self.world.leads.len()
    }

    /// One lead, unless deleted.
    pub fn lead(&self, id: u64) -> Option<&Lead> {
        self.world.leads.get(id)
    }

    /// All companies by id.
    pub fn companies(&self) -> impl Iterator<Item = &Company> {
        self.world.companies.rows()
    }

    /// All notes by id.
    pub fn notes(&self) -> impl Iterator<Item = &Note> {
        self.world.notes.rows()
    }

    /// The notes on one record, oldest first.
    pub fn notes_of(&self, element: Element) -> impl Iterator<Item = &Note> {
        self.world.notes_on(element)
    }

    /// All tasks by id.
    pub fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.world.tasks.rows()
    }

    /// The tasks of one record, oldest first.
    pub fn tasks_of(&self, element: Element) -> impl Iterator<Item = &Task> {
        self.world.tasks_on(element)
    }
}

impl Service for Amo {
    fn handle(&mut self, now_ms: i64, request: &Request) -> Response {
        Self::handle(self, now_ms, request)
    }

    fn trouble(&mut self, now_ms: i64, trouble: TokenTrouble) {
        match trouble {
            TokenTrouble::Expire => self.expire_tokens(now_ms),
            TokenTrouble::Revoke => self.revoke_tokens(),
        }
    }

    fn advance(&mut self, now_ms: i64) {
        self.latest_ms = self.latest_ms.max(now_ms);
        self.publish(now_ms);
    }

    fn take_webhooks(&mut self) -> Vec<OutgoingWebhook> {
        self.world.hooks.take_due(self.latest_ms)
    }

    fn webhook_posted(&mut self, outcome: &WebhookOutcome) {
        self.world.hooks.posted(&self.options.hooks, outcome.id, outcome.status, outcome.at_ms);
    }
}

/// Checks size and token, then lets the API answer.
fn answer_admitted(world: &mut World, grants: &mut Grants, token: Option<&str>, call: &Call) -> Response {
    if call.request.body.len() > call.options.writing.max_body_bytes {
        return refusal(call, 413, 413, "the request is too large");
    }
    if let Some(response) = oauth::serve(grants, call) {
        return response;
    }
    if grants.has_left(call) {
        return oauth::left(call);
    }
    let bearer = call.request.header("authorization").and_then(|sent| sent.strip_prefix("Bearer "));
    if !bearer.is_some_and(|bearer| token == Some(bearer) || grants.accepts(bearer, call.now_ms)) {
        return refusal(call, 401, 110, "the access token is not valid");
    }
    if v4::is_meant(call) { v4::serve(world, call) } else { v2::serve(world, call) }
}

/// An error from before the dialects part.
fn refusal(call: &Call, status: u16, code: u16, text: &str) -> Response {
    if v4::is_meant(call) { v4::problem(call, status, text) } else { answer::problem(call, status, code, text) }
}
