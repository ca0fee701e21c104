//! The only place that sends: permit, secrets, timeout, bounded answer, trace.
//!
//! [`Sender`] knows neither service's envelope. It returns whatever answer came; what a status or
//! a body means is the adapter's business, which also tells the lane through a [`Classify`].

use super::lane::{Cost, Lane, Outcome};
use crate::core::fault::{Fault, FaultKind};
use crate::core::time::Millis;
use crate::ports::env::Env;
use crate::ports::remote::Priority;
use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Time to reach the host (the official PHP client's value).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for a whole request unless a call says otherwise: a page of 500 rows takes seconds on a
/// busy account, and a gateway gives up after a minute at most.
pub const REQUEST_TIMEOUT_MS: i64 = 30_000;
/// Largest body we take in, after decompression: a page of 500 full records is 2–3 MiB.
pub const BODY_MAX_BYTES: usize = 16 * 1024 * 1024;
/// Idle connections are dropped before the far side does: a POST on a dead one is lost in a way
/// that cannot be told from one that arrived.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// `Retry-After` beyond this is not believed.
const RETRY_AFTER_MAX_MS: i64 = 5 * 60_000;

/// The methods in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Writes.
    Post,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// As it stands on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

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

/// A request ready to leave. Its address and headers may hold secrets and never print.
pub struct RawRequest {
    /// The method.
    pub method: Method,
    /// The whole address, query included.
    pub url: SecretString,
    /// What the log may say instead.
    pub route: &'static str,
    /// Names in lower case.
    pub headers: Vec<(&'static str, SecretString)>,
    /// The body, empty for none.
    pub body: Vec<u8>,
    /// Milliseconds for the whole request.
    pub timeout_ms: i64,
}

impl fmt::Debug for RawRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({} bytes)", self.method.name(), self.route, self.body.len())
    }
}

/// What came back, whatever its status.
#[derive(Clone, PartialEq, Eq)]
pub struct RawAnswer {
    /// The status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, decompressed.
    pub body: Vec<u8>,
}

impl fmt::Debug for RawAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {} ({} bytes)", self.status, self.body.len())
    }
}

impl RawAnswer {
    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// True for 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// True when the body begins like a JSON object or list; proxies answer in HTML.
    pub fn looks_like_json(&self) -> bool {
        let first = self.body.iter().find(|byte| !byte.is_ascii_whitespace());
        matches!(first, Some(b'{' | b'['))
    }

    /// The server's clock from `Date`.
    pub fn date(&self) -> Option<Millis> {
        self.header("date").and_then(http_date)
    }

    /// Milliseconds the service asks us to wait: `Retry-After` in seconds or as a date, at most
    /// five minutes.
    pub fn retry_after_ms(&self, now: Millis) -> Option<i64> {
        let text = self.header("retry-after")?.trim();
        let asked = match text.parse::<u64>() {
            Ok(seconds) => i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000),
            Err(_) => http_date(text)?.since(self.date().unwrap_or(now)),
        };
        Some(asked.clamp(0, RETRY_AFTER_MAX_MS))
    }
}

/// Reads `Tue, 04 Mar 2025 10:00:00 GMT`.
fn http_date(text: &str) -> Option<Millis> {
    let zoned = jiff::fmt::rfc2822::parse(text.trim()).ok()?;
    Some(Millis(zoned.timestamp().as_millisecond()))
}

/// Why there is no answer. The texts name no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The request surely did not leave: name look-up, connection, TLS.
    #[error("no connection: {0}")]
    NotSent(String),
    /// It may have arrived: timeout, broken connection, an answer cut short.
    #[error("the answer was lost: {0}")]
    MaybeSent(String),
    /// It arrived, and its answer is larger than we take in.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The bound.
        limit: usize,
    },
    /// It cannot be put on the wire, e.g. a line break in a header.
    #[error("the request cannot be sent: {0}")]
    Invalid(String),
}

impl TransportError {
    /// What follows from it. `repeatable`: sending the request twice is harmless.
    pub fn fault(&self, repeatable: bool) -> Fault {
        let kind = match self {
            TransportError::NotSent(_) => FaultKind::Transient,
            TransportError::MaybeSent(_) if repeatable => FaultKind::Transient,
            TransportError::TooLarge { .. } if repeatable => FaultKind::Broken,
            TransportError::MaybeSent(_) | TransportError::TooLarge { .. } => FaultKind::Uncertain,
            TransportError::Invalid(_) => FaultKind::Broken,
        };
        Fault::new(kind, self.to_string())
    }
}

/// Carries one request there and its answer back. A simulation puts a state machine here.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends once; never repeats, never follows a redirect.
    async fn send(&self, request: RawRequest) -> Result<RawAnswer, TransportError>;
}

/// The real network. One for all bridges: connections and the TLS configuration are shared.
#[derive(Debug, Clone)]
pub struct ReqwestTransport {
    client: reqwest::Client,
    body_max_bytes: usize,
}

/// The network could not be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot set up HTTPS: {0}")]
pub struct SetupError(String);

impl ReqwestTransport {
    /// Needs the process's rustls provider to be installed. Proxy settings of the environment are
    /// heeded only when asked for, since a stray variable must not divert a bridge's keys.
    pub fn new(use_system_proxy: bool, body_max_bytes: usize) -> Result<ReqwestTransport, SetupError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(SetupError("no rustls provider is installed in this process".to_owned()));
        }
        let builder = reqwest::Client::builder()
            .user_agent(concat!("salebridge/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT);
        let builder = if use_system_proxy { builder } else { builder.no_proxy() };
        let client = builder.build().map_err(|error| SetupError(describe(error)))?;
        Ok(ReqwestTransport { client, body_max_bytes })
    }

    async fn read_body(&self, response: &mut reqwest::Response) -> Result<Vec<u8>, TransportError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if body.len() + chunk.len() > self.body_max_bytes {
                return Err(TransportError::TooLarge { limit: self.body_max_bytes });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

#[async_trait]
impl Transport for ReqwestTransport {
    async fn send(&self, request: RawRequest) -> Result<RawAnswer, TransportError> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        };
        let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
        let mut builder = self.client.request(method, request.url.expose_secret()).timeout(timeout);
        for (name, value) in &request.headers {
            let mut value = reqwest::header::HeaderValue::from_str(value.expose_secret())
                .map_err(|_| TransportError::Invalid(format!("header {name} holds a character it must not")))?;
            value.set_sensitive(true);
            builder = builder.header(*name, value);
        }
        if !request.body.is_empty() {
            builder = builder.body(request.body);
        }
        let built = builder.build().map_err(|error| TransportError::Invalid(describe(error)))?;
        let mut response = self.client.execute(built).await.map_err(lost)?;
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let (status, headers) = (response.status().as_u16(), headers.collect());
        let body = self.read_body(&mut response).await?;
        Ok(RawAnswer { status, headers, body })
    }
}

/// Tells a request that surely stayed here from one that may have arrived.
fn lost(error: reqwest::Error) -> TransportError {
    let (connecting, building) = (error.is_connect(), error.is_builder());
    let text = describe(error);
    match (connecting, building) {
        (true, _) => TransportError::NotSent(text),
        (_, true) => TransportError::Invalid(text),
        _ => TransportError::MaybeSent(text),
    }
}

/// The error with its causes, and without the address.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// What makes a request ours: a bearer, or nothing where the base holds the key.
#[async_trait]
pub trait Credentials: Send + Sync {
    /// The headers to add; names in lower case.
    async fn headers(&self) -> Result<Vec<(&'static str, SecretString)>, Fault>;

    /// The service answered 401. True when other credentials are at hand now, so that the same
    /// request may work the next time.
    async fn renew(&self) -> bool {
        false
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
    /// `Transient` after a 401 that new credentials can mend.
    pub async fn call(&self, call: Call) -> Result<RawAnswer, Fault> {
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
        let result = self.transport.send(self.raw(call, credentials)).await;
        let elapsed_ms = self.env.now().since(started);
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
        let status = answer.status;
        tracing::debug!(
            service = self.service,
            route,
            status,
            elapsed_ms,
            "{} {method} {route} {status} in {elapsed_ms} ms",
            self.service
        );
        let outcome = (self.classify)(&answer, self.env.now());
        if outcome == Outcome::Auth && status == 401 && self.credentials.renew().await {
            permit.answered(Outcome::Unclear);
            return Err(Fault::new(FaultKind::Transient, "the token had expired and is renewed now"));
        }
        permit.answered(outcome);
        Ok(answer)
    }

    fn raw(&self, call: Call, credentials: Vec<(&'static str, SecretString)>) -> RawRequest {
        let mut url = format!("{}{}", self.base.expose_secret(), call.path);
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
