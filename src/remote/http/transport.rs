//! One request there and one answer back, on the real network or in its place.

use crate::core::fault::{Fault, FaultKind};
use crate::core::time::Millis;
use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::time::Duration;

/// Time to reach the host (the official PHP client's value).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
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
        #[expect(clippy::disallowed_methods, reason = "the one place that sends")]
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
