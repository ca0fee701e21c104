//! What the server asks of a simulated service.

use super::WebhookOutcome;
use crate::http::{Request, Response};

/// A webhook a service wants posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingWebhook {
    /// Its number in the service, given back in the outcome.
    pub id: i64,
    /// Webhooks of one lane are posted one after the other; lanes do not wait for each other.
    pub lane: i64,
    /// Where to; none takes the address the sender was started with.
    pub destination: Option<String>,
    /// The content type of the body.
    pub content_type: &'static str,
    /// Further headers, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What becomes of the tokens that a service gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenTrouble {
    /// All access tokens end now.
    Expire,
    /// No token is good any more, refresh tokens included.
    Revoke,
}

/// A simulated service: a state machine that takes the time with each call.
pub trait Service: Send {
    /// Answers one request; `now_ms` is Unix milliseconds.
    fn handle(&mut self, now_ms: i64, request: &Request) -> Response;

    /// Something happens to the tokens it gave. Services that give none have nothing to do.
    fn trouble(&mut self, _now_ms: i64, _trouble: TokenTrouble) {}

    /// Does what has become due by now. Services without timed work have nothing to do.
    fn advance(&mut self, _now_ms: i64) {}

    /// The webhooks that came up since the last call; each is given once.
    fn take_webhooks(&mut self) -> Vec<OutgoingWebhook> {
        Vec::new()
    }

    /// How posting one of them ended, for services that post again or give up on an address.
    fn webhook_posted(&mut self, _outcome: &WebhookOutcome) {}
}
