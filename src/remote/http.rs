//! The only place that sends: permit, secrets, timeout, bounded answer, trace.
//!
//! [`Sender`] knows neither service's envelope. It returns whatever answer came; what a status or
//! a body means is the adapter's business, which also tells the lane through a [`Classify`].

mod transport;

pub use transport::{
    BODY_MAX_BYTES, Method, RawAnswer, RawRequest, ReqwestTransport, SetupError, Transport, TransportError,
};

use super::lane::{Cost, Lane, Outcome};
use crate::core::fault::{Fault, FaultKind};
use crate::core::time::Millis;
use crate::ports::env::Env;
use crate::ports::remote::Priority;
use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::sync::Arc;

/// Time for a whole request unless a call says otherwise: a page of 500 rows takes seconds on a
/// busy account, and a gateway gives up after a minute at most.
pub const REQUEST_TIMEOUT_MS: i64 = 30_000;
/// What a call carries.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Body {
    /// Nothing.
    #[default]
    Empty,
    /// A JSON text.
    Json(Vec<u8>),
    /// Pairs, sent as `application/x-www-form-urlencoded`.
    Form(Vec<(String, String)>),
}

/// One request as an adapter asks for it.
pub struct Call {
    /// The method.
    pub method: Method,
    /// The address behind the base, with its leading slash: `/api/v2/contacts`.
    pub path: String,
    /// What the log may say instead of the address; holds nothing that changes from call to call.
    pub route: &'static str,
    /// Query pairs in order; a name may stand more than once.
    pub query: Vec<(String, String)>,
    /// Headers of this call alone; names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// What it carries.
    pub body: Body,
    /// Who waits for it.
    pub priority: Priority,
    /// True when sending it twice is harmless; decides what a lost answer means.
    pub repeatable: bool,
    /// Whether the lane's daily budget counts it.
    pub cost: Cost,
    /// Milliseconds for the whole request.
    pub timeout_ms: i64,
}

impl Call {
    /// A harmless read.
    pub fn get(path: impl Into<String>, route: &'static str, priority: Priority) -> Call {
        Call {
            method: Method::Get,
            path: path.into(),
            route,
            query: Vec::new(),
            headers: Vec::new(),
            body: Body::Empty,
            priority,
            repeatable: true,
            cost: Cost::Counted,
            timeout_ms: REQUEST_TIMEOUT_MS,
        }
    }

    /// A write of a JSON text; `repeatable` when doing it twice is harmless.
    pub fn post(
        path: impl Into<String>,
        route: &'static str,
        json: Vec<u8>,
        priority: Priority,
        repeatable: bool,
    ) -> Call {
        let get = Call::get(path, route, priority);
        Call { method: Method::Post, body: Body::Json(json), repeatable, ..get }
    }
}

/// What can be done about credentials that the service has refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    /// Others are at hand now: the same request may work the next time.
    Renewed,
    /// It could not be found out yet whether there are others.
    Later(Fault),
    /// There are no others. Why, and what a human must do.
    Refused(String),
    /// These are the only ones there can be.
    Unable,
}

/// What makes a request ours: a bearer, or nothing where the base holds the key.
#[async_trait]
pub trait Credentials: Send + Sync {
    /// Sees to it that there are some, before the request waits for its permit: this may send requests of its own.
    ///
    /// Errors: why none can be had now.
    async fn ready(&self) -> Result<(), Fault> {
        Ok(())
    }

    /// The headers to add; names in lower case.
    async fn headers(&self) -> Result<Vec<(&'static str, SecretString)>, Fault>;

    /// The service answered 401 to these headers, or sent us elsewhere.
    async fn refused(&self, _sent: &[(&'static str, SecretString)]) -> Renewal {
        Renewal::Unable
    }

    /// Where the account is, if no longer at its configured address.
    fn base(&self) -> Option<SecretString> {
        None
    }
}

/// No headers: the key is part of the base address.
#[derive(Debug, Clone, Copy)]
pub struct InAddress;

#[async_trait]
impl Credentials for InAddress {
    async fn headers(&self) -> Result<Vec<(&'static str, SecretString)>, Fault> {
        Ok(Vec::new())
    }
}

/// Tells from an answer how the account stands. Each adapter has one.
pub type Classify = fn(&RawAnswer, Millis) -> Outcome;

/// One remote account: where it is, how we show who we are, how fast we may go.
pub struct Sender {
    service: &'static str,
    base: SecretString,
    credentials: Arc<dyn Credentials>,
    transport: Arc<dyn Transport>,
    lane: Arc<Lane>,
    env: Arc<dyn Env>,
    classify: Classify,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("service", &self.service).finish_non_exhaustive()
    }
}

impl Sender {
    /// `service` is the word for logs; `base` the address up to the calls' paths, without a
    /// trailing slash, the key in it where the service wants it there.
    pub fn new(
        service: &'static str,
        base: SecretString,
        credentials: Arc<dyn Credentials>,
        transport: Arc<dyn Transport>,
        lane: Arc<Lane>,
        env: Arc<dyn Env>,
        classify: Classify,
    ) -> Sender {
        Sender { service, base, credentials, transport, lane, env, classify }
    }

    /// The clock that everything here goes by.
    pub fn now(&self) -> Millis {
        self.env.now()
    }

    /// The account's lane.
    pub fn lane(&self) -> &Arc<Lane> {
        &self.lane
    }

    /// The same account by another lane, e.g. one with an allowance of its own.
    #[must_use]
    pub fn with_lane(&self, lane: Arc<Lane>) -> Sender {
        Sender {
            service: self.service,
            base: self.base.clone(),
            credentials: self.credentials.clone(),
            transport: self.transport.clone(),
            lane,
            env: self.env.clone(),
            classify: self.classify,
        }
    }

    /// Waits for a permit, sends once, tells the lane, returns whatever answer came.
    ///
    /// Errors: the lane's refusals; [`FaultKind::Transient`] when the request surely did not
    /// leave or is repeatable, [`FaultKind::Uncertain`] when an unrepeatable one may have arrived;
    /// `Transient` after a 401 that new credentials can mend, [`FaultKind::Auth`] after one that only a human can.
    pub async fn call(&self, call: Call) -> Result<RawAnswer, Fault> {
        self.credentials.ready().await?;
        let permit = self.lane.permit(call.priority, call.cost).await?;
        let credentials = match self.credentials.headers().await {
            Ok(headers) => headers,
            Err(fault) => {
                permit.unused();
                return Err(fault);
            }
        };
        let (method, route, repeatable) = (call.method.name(), call.route, call.repeatable);
        let started = self.env.now();
        let result = self.transport.send(self.raw(call, credentials.clone())).await;
        let ended = self.env.now();
        let elapsed_ms = ended.since(started);
        self.lane.count(result.as_ref().ok().map(|answer| answer.status));
        let answer = match result {
            Ok(answer) => answer,
            Err(error) => {
                permit.answered(Outcome::Unclear);
                tracing::debug!(
                    service = self.service,
                    route,
                    elapsed_ms,
                    "{} {method} {route}: {error}",
                    self.service
                );
                return Err(error.fault(repeatable));
            }
        };
        self.compare_clocks(&answer, started, ended);
        let status = answer.status;
        tracing::debug!(
            service = self.service,
            route,
            status,
            elapsed_ms,
            "{} {method} {route} {status} in {elapsed_ms} ms",
            self.service
        );
        let outcome = (self.classify)(&answer, ended);
        // An account that has moved is found in the same way.
        if outcome != Outcome::Auth || !matches!(status, 401 | 300..=399) {
            permit.answered(outcome);
            return Ok(answer);
        }
        match self.credentials.refused(&credentials).await {
            Renewal::Renewed => {
                permit.answered(Outcome::Unclear);
                Err(Fault::new(FaultKind::Transient, "the token is renewed now"))
            }
            Renewal::Later(fault) => {
                permit.answered(Outcome::Unclear);
                Err(fault)
            }
            Renewal::Refused(reason) => {
                permit.answered(outcome);
                self.lane.park(&reason);
                Err(Fault::new(FaultKind::Auth, reason))
            }
            Renewal::Unable => {
                permit.answered(outcome);
                Ok(answer)
            }
        }
    }

    /// A wrong clock is told when it is noticed, and stands in the lane's report from then on.
    fn compare_clocks(&self, answer: &RawAnswer, started: Millis, ended: Millis) {
        let Some(server) = answer.date() else { return };
        let ahead_ms = Millis::ahead_of(server, started, ended);
        if self.lane.dated(ahead_ms) {
            let (service, off_s) = (self.service, ahead_ms.saturating_abs() / 1_000);
            let side = Millis::side_of(ahead_ms);
            tracing::warn!(
                service,
                off_s,
                "this machine's clock is {off_s} s {side} {service}'s: set it by the network (timedatectl set-ntp true)"
            );
        }
    }

    fn raw(&self, call: Call, credentials: Vec<(&'static str, SecretString)>) -> RawRequest {
        let base = self.credentials.base();
        let mut url = format!("{}{}", base.as_ref().unwrap_or(&self.base).expose_secret(), call.path);
        for (place, (name, value)) in call.query.iter().enumerate() {
            url.push(if place == 0 { '?' } else { '&' });
            push_encoded(&mut url, name);
            url.push('=');
            push_encoded(&mut url, value);
        }
        let mut headers: Vec<_> =
            call.headers.into_iter().map(|(name, value)| (name, SecretString::from(value))).collect();
        headers.push(("accept", SecretString::from("application/json")));
        headers.extend(credentials);
        let (content_type, body) = match call.body {
            Body::Empty => (None, Vec::new()),
            Body::Json(json) => (Some("application/json"), json),
            Body::Form(pairs) => (Some("application/x-www-form-urlencoded"), form(&pairs)),
        };
        headers.extend(content_type.map(|text| ("content-type", SecretString::from(text))));
        let url = SecretString::from(url);
        RawRequest { method: call.method, url, route: call.route, headers, body, timeout_ms: call.timeout_ms }
    }
}

fn form(pairs: &[(String, String)]) -> Vec<u8> {
    let mut text = String::new();
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        push_encoded(&mut text, name);
        text.push('=');
        push_encoded(&mut text, value);
    }
    text.into_bytes()
}

/// Percent-encodes all but the characters that RFC 3986 calls unreserved: valid both in a query
/// and in a form.
fn push_encoded(target: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => target.push(char::from(byte)),
            _ => {
                const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                target.push('%');
                target.push(char::from(DIGITS[usize::from(byte >> 4)]));
                target.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        }
    }
}
