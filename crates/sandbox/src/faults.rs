//! Scripted and random faults: what goes wrong with which request, the same on each run.
//!
//! A script is TOML ([`Faults::parse`]), one `[[fault]]` for each misfortune and at most one
//! `[random]` table:
//!
//! ```toml
//! [[fault]]
//! service = "salebot"      # amo or salebot; left out: both
//! route = "/create_order"  # a part of the path; left out: every path
//! method = "POST"          # left out: every method
//! skip = 1                 # let so many matching requests through first
//! count = 2                # then spoil so many (1 when left out)
//! kind = "lost_answer"
//!
//! [[fault]]
//! route = "/contacts"
//! kind = "expire_tokens"   # right before it; also: revoke_tokens
//!
//! [[fault]]
//! kind = "status"          # also: lost_request, slow (ms), html, truncated
//! code = 429
//! retry_after = 3          # seconds
//!
//! [random]
//! seed = 7
//! lost_answer = 5          # chances in a thousand requests
//! slow = 20
//! slow_ms = 1500
//! ```

mod random;
mod script;

use std::collections::BTreeMap;

use self::random::Random;
pub use self::random::RandomFaults;
use self::script::Script;
pub use self::script::{FaultError, ScriptedFault};
use super::http::{Fate, Reply, Request, Response};
use super::server::{Service, TokenTrouble};

/// Which of the two simulated services is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceName {
    /// The simulated amoCRM.
    Amo,
    /// The simulated Salebot.
    Salebot,
}

/// The kinds of fault, for counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The connection breaks before anything was done.
    LostRequest,
    /// The connection breaks after the work was done.
    LostAnswer,
    /// The work is done at once, the answer comes late.
    Slow,
    /// A gateway answers with a status of its own; nothing was done.
    Status,
    /// A gateway answers with an HTML page; nothing was done.
    Html,
    /// The work is done, the second half of the body is missing.
    Truncated,
    /// The access tokens that were given end right before this request.
    ExpireTokens,
    /// No token that was given is good any more, from right before this request on.
    RevokeTokens,
}

/// What happens to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// See [`FaultKind::LostRequest`].
    LostRequest,
    /// See [`FaultKind::LostAnswer`].
    LostAnswer,
    /// See [`FaultKind::Slow`].
    Slow {
        /// How late the answer comes, in milliseconds.
        ms: u64,
    },
    /// See [`FaultKind::Status`].
    Status {
        /// The status code.
        code: u16,
        /// The body; empty when left out.
        body: Option<String>,
        /// The `Retry-After` header, in seconds.
        retry_after: Option<u32>,
    },
    /// See [`FaultKind::Html`].
    Html {
        /// The status code: gateways use 502, captive ones 200.
        code: u16,
    },
    /// See [`FaultKind::Truncated`].
    Truncated,
    /// See [`FaultKind::ExpireTokens`].
    ExpireTokens,
    /// See [`FaultKind::RevokeTokens`].
    RevokeTokens,
}

impl Fault {
    /// Its kind.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::LostRequest => FaultKind::LostRequest,
            Self::LostAnswer => FaultKind::LostAnswer,
            Self::Slow { .. } => FaultKind::Slow,
            Self::Status { .. } => FaultKind::Status,
            Self::Html { .. } => FaultKind::Html,
            Self::Truncated => FaultKind::Truncated,
            Self::ExpireTokens => FaultKind::ExpireTokens,
            Self::RevokeTokens => FaultKind::RevokeTokens,
        }
    }
}

/// The plan: which requests meet which fault, and how often each did.
#[derive(Debug, Default)]
pub struct Faults {
    script: Script,
    random: Option<Random>,
    fired: BTreeMap<FaultKind, u64>,
    stopped: bool,
}

impl Faults {
    /// Nothing ever goes wrong.
    pub fn none() -> Self {
        Self::default()
    }

    /// A plan made in code.
    pub fn new(script: Vec<ScriptedFault>, random: Option<RandomFaults>) -> Self {
        Self { script: Script::new(script), random: random.map(Random::new), ..Self::default() }
    }

    /// Adds an entry to the script; it counts the requests from now on.
    pub fn add(&mut self, entry: ScriptedFault) {
        self.script.add(entry);
    }

    /// Reads a plan from TOML. Unknown keys, and keys that do not belong to a kind, are refused.
    pub fn parse(text: &str) -> Result<Self, FaultError> {
        let (script, random) = script::parse(text)?;
        Ok(Self::new(script, random))
    }

    /// What happens to this request. The script goes first; each of its entries counts every
    /// request it matches, also where another entry is the one that fires.
    pub fn decide(&mut self, service: ServiceName, request: &Request) -> Option<Fault> {
        if self.stopped {
            return None;
        }
        let scripted = self.script.decide(service, request);
        let drawn = self.random.as_mut().and_then(|random| random.decide(service));
        let fault = scripted.or(drawn)?;
        *self.fired.entry(fault.kind()).or_default() += 1;
        Some(fault)
    }

    /// From now on nothing goes wrong: a simulation ends with calm, to see both sides settle.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// How often each kind really fired.
    pub fn fired(&self) -> &BTreeMap<FaultKind, u64> {
        &self.fired
    }

    /// How often each entry of the script fired, in the order of the file.
    pub fn script_fired(&self) -> Vec<u64> {
        self.script.fired()
    }
}

/// Lets a service answer under a plan of faults.
pub fn serve(
    service: &mut dyn Service,
    faults: &mut Faults,
    name: ServiceName,
    now_ms: i64,
    request: &Request,
) -> Reply {
    let arrived = |response, after_ms| Reply { response, fate: Fate::Arrives { after_ms } };
    match faults.decide(name, request) {
        None => arrived(service.handle(now_ms, request), 0),
        Some(Fault::LostRequest) => Reply { response: gateway_answer(502, None, None), fate: Fate::LostBefore },
        Some(Fault::LostAnswer) => Reply { response: service.handle(now_ms, request), fate: Fate::LostAfter },
        Some(Fault::Slow { ms }) => arrived(service.handle(now_ms, request), ms),
        Some(Fault::Status { code, body, retry_after }) => arrived(gateway_answer(code, body, retry_after), 0),
        Some(Fault::Html { code }) => arrived(html_page(code), 0),
        Some(Fault::ExpireTokens) => {
            service.trouble(now_ms, TokenTrouble::Expire);
            arrived(service.handle(now_ms, request), 0)
        }
        Some(Fault::RevokeTokens) => {
            service.trouble(now_ms, TokenTrouble::Revoke);
            arrived(service.handle(now_ms, request), 0)
        }
        Some(Fault::Truncated) => {
            let mut response = service.handle(now_ms, request);
            response.body.truncate(response.body.len() / 2);
            arrived(response, 0)
        }
    }
}

fn gateway_answer(code: u16, body: Option<String>, retry_after: Option<u32>) -> Response {
    let body = body.unwrap_or_default().into_bytes();
    let kind = if body.starts_with(b"{") || body.starts_with(b"[") { "application/json" } else { "text/plain" };
    let mut headers = vec![("content-type".to_owned(), kind.to_owned())];
    if let Some(after_s) = retry_after {
        headers.push(("retry-after".to_owned(), after_s.to_string()));
    }
    Response { status: code, headers, body }
}

fn html_page(code: u16) -> Response {
    let body = b"<html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1></body></html>".to_vec();
    Response { status: code, headers: vec![("content-type".to_owned(), "text/html".to_owned())], body }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts its calls and answers always the same.
    struct Counter(u64);

    impl Service for Counter {
        fn handle(&mut self, _now_ms: i64, _request: &Request) -> Response {
            self.0 += 1;
            Response { status: 200, headers: Vec::new(), body: b"{\"status\":\"success\"}".to_vec() }
        }
    }

    fn request(method: &str, path: &str) -> Request {
        Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    fn served(script: &str) -> (Reply, u64, Faults) {
        let mut faults = Faults::parse(script).expect("a good script");
        let mut service = Counter(0);
        let reply = serve(&mut service, &mut faults, ServiceName::Salebot, 0, &request("POST", "/api/k/message"));
        (reply, service.0, faults)
    }

    #[test]
    fn an_empty_plan_spoils_nothing() {
        let (reply, calls, faults) = served("");
        assert_eq!((reply.fate, calls), (Fate::Arrives { after_ms: 0 }, 1));
        assert!(faults.fired().is_empty());
    }

    #[test]
    fn a_lost_request_does_not_reach_the_service_and_a_lost_answer_does() {
        let (reply, calls, _) = served("[[fault]]\nkind = \"lost_request\"");
        assert_eq!((reply.fate, calls), (Fate::LostBefore, 0));
        let (reply, calls, faults) = served("[[fault]]\nkind = \"lost_answer\"");
        assert_eq!((reply.fate, calls), (Fate::LostAfter, 1));
        assert_eq!(faults.fired()[&FaultKind::LostAnswer], 1);
    }

    #[test]
    fn a_slow_answer_is_a_whole_one() {
        let (reply, calls, _) = served("[[fault]]\nkind = \"slow\"\nms = 1500");
        assert_eq!((reply.fate, calls), (Fate::Arrives { after_ms: 1_500 }, 1));
        assert_eq!(reply.response.body, b"{\"status\":\"success\"}");
    }

    #[test]
    fn a_status_is_answered_by_a_gateway() {
        let (reply, calls, _) = served("[[fault]]\nkind = \"status\"\ncode = 429\nretry_after = 3\nbody = \"{}\"");
        assert_eq!((reply.response.status, calls), (429, 0));
        assert!(reply.response.headers.contains(&("retry-after".to_owned(), "3".to_owned())));
        assert_eq!(reply.response.body, b"{}");
    }

    #[test]
    fn html_and_truncated_bodies_are_no_json() {
        let (reply, calls, _) = served("[[fault]]\nkind = \"html\"");
        assert_eq!((reply.response.status, calls), (502, 0));
        assert!(reply.response.body.starts_with(b"<html>"));
        let (reply, calls, _) = served("[[fault]]\nkind = \"truncated\"");
        assert_eq!((reply.response.status, calls), (200, 1));
        assert_eq!(reply.response.body, b"{\"status\":");
    }

    /// Remembers what was done to its tokens, and when it was asked.
    #[derive(Default)]
    struct Giver(Vec<Option<TokenTrouble>>);

    impl Service for Giver {
        fn handle(&mut self, _now_ms: i64, _request: &Request) -> Response {
            self.0.push(None);
            Response { status: 204, headers: Vec::new(), body: Vec::new() }
        }

        fn trouble(&mut self, _now_ms: i64, trouble: TokenTrouble) {
            self.0.push(Some(trouble));
        }
    }

    #[test]
    fn tokens_end_right_before_the_request() {
        for (kind, trouble) in [("expire_tokens", TokenTrouble::Expire), ("revoke_tokens", TokenTrouble::Revoke)] {
            let mut faults = Faults::parse(&format!("[[fault]]\nkind = \"{kind}\"\nskip = 1")).expect("a good script");
            let mut service = Giver::default();
            for _ in 0..3 {
                let reply = serve(&mut service, &mut faults, ServiceName::Amo, 0, &request("GET", "/"));
                assert_eq!((reply.response.status, reply.fate), (204, Fate::Arrives { after_ms: 0 }));
            }
            assert_eq!(service.0, [None, Some(trouble), None, None]);
        }
    }

    #[test]
    fn after_a_stop_nothing_goes_wrong() {
        let mut faults = Faults::parse("[[fault]]\nkind = \"html\"\ncount = 5").expect("a good script");
        assert!(faults.decide(ServiceName::Amo, &request("GET", "/")).is_some());
        faults.stop();
        assert_eq!(faults.decide(ServiceName::Amo, &request("GET", "/")), None);
    }
}
