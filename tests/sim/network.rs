//! The adapters' transport: straight into the simulated services, with faults on the way.

use crate::clock::{Random, SimEnv};
use crate::points::Points;
use crate::tally::Tally;
use async_trait::async_trait;
use salebridge::ports::env::Env;
use salebridge::remote::http::{RawAnswer, RawRequest, Transport, TransportError};
use salebridge::sandbox::amo::{Amo, fixture};
use salebridge::sandbox::faults::{Faults, ServiceName, serve};
use salebridge::sandbox::http::{Fate, Reply, Request, Response};
use salebridge::sandbox::salebot::Salebot;
use salebridge::sandbox::server::Service;
use secrecy::ExposeSecret;
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// The simulated amoCRM behind the trait that the faults work on.
struct AmoService<'a>(&'a mut Amo);

impl Service for AmoService<'_> {
    fn handle(&mut self, now_ms: i64, request: &Request) -> Response {
        self.0.handle(now_ms, request)
    }
}

/// A while in which a service does not want us.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub service: ServiceName,
    /// 401: the token has expired; 403: we are blocked.
    pub status: u16,
    pub from: i64,
    pub until: i64,
}

impl Refusal {
    fn answer(&self) -> Response {
        let (kind, body) = match self.status {
            401 => ("application/json", r#"{"title":"Unauthorized","status":401,"detail":"Token has expired"}"#),
            _ => ("text/html", "<html><head><title>403 Forbidden</title></head></html>"),
        };
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        Response { status: self.status, headers, body: body.as_bytes().to_vec() }
    }
}

/// A request that was refused: in which life of the daemon, on which lane, when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    pub life: u64,
    pub lane: &'static str,
    pub at: i64,
    /// The list of events or subscriptions: what they refuse says nothing of the account, so the lane learns nothing.
    pub is_aside: bool,
}

/// A write of ours that brought a contact's phone numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhonesWritten {
    pub contact: u64,
    pub at: i64,
}

/// Both services, and what goes wrong on the way to them.
pub struct Network {
    pub points: Arc<Points>,
    pub tally: Arc<Tally>,
    /// When which service refuses everything.
    pub refusals: Vec<Refusal>,
    pub refused: Mutex<Vec<Refused>>,
    pub phones_written: Mutex<Vec<PhonesWritten>>,
    /// How often the daemon has started.
    pub life: AtomicU64,
    pub env: Arc<SimEnv>,
    pub amo: Mutex<Amo>,
    pub salebot: Mutex<Salebot>,
    pub faults: Mutex<Faults>,
    pub random: Mutex<Random>,
    /// Requests as they left, for comparing runs.
    pub trace: Mutex<Vec<String>>,
}

/// Where the services are, for the adapters.
pub const AMO_URL: &str = "https://amo.test";
pub const SALEBOT_URL: &str = "https://salebot.test";

impl Network {
    /// What the service answers, and what becomes of it.
    fn ask(&self, request: &RawRequest) -> (Response, Fate) {
        let url = request.url.expose_secret();
        let (name, rest) = match url.strip_prefix(AMO_URL) {
            Some(rest) => (ServiceName::Amo, rest),
            None => (ServiceName::Salebot, url.strip_prefix(SALEBOT_URL).expect("an address of the simulation")),
        };
        let request = decoded(request, rest);
        let now = self.env.now_ms();
        let sent = readable(request.body.clone());
        if request.method == "POST" {
            self.tally.posted(&request.path, &sent);
        }
        if name == ServiceName::Amo && request.method != "GET" && request.path.contains("/contacts") {
            self.note_phones(&request.path, &request.body, now);
        }
        let is_poisoned = request.path.ends_with("/create_order") && sent.contains(POISON);
        let mut faults = self.faults.lock().unwrap();
        let refusal = self.refusals.iter().find(|it| it.service == name && (it.from..it.until).contains(&now));
        let reply = match name {
            _ if let Some(refusal) = refusal => {
                self.note_refused(name, &request.path, now);
                Reply { response: refusal.answer(), fate: Fate::Arrives { after_ms: 0 } }
            }
            _ if is_poisoned => Reply { response: not_this_one(), fate: Fate::Arrives { after_ms: 0 } },
            ServiceName::Amo => serve(&mut AmoService(&mut self.amo.lock().unwrap()), &mut faults, name, now, &request),
            ServiceName::Salebot => serve(&mut *self.salebot.lock().unwrap(), &mut faults, name, now, &request),
        };
        let action = request.path.rsplit('/').next().unwrap_or_default();
        if name == ServiceName::Amo && action == "events" {
            self.tally.answered(if reply.response.status < 300 { "events read" } else { "events refused" });
        }
        let line =
            format!("{now} {name:?} {} {action} {sent} {} {:?}", request.method, reply.response.status, reply.fate);
        self.trace.lock().unwrap().push(line);
        (reply.response, reply.fate)
    }

    fn note_refused(&self, name: ServiceName, path: &str, at: i64) {
        let lane = match name {
            ServiceName::Amo => "amo",
            ServiceName::Salebot if path.ends_with("/save_variables") => "variables",
            ServiceName::Salebot => "salebot",
        };
        let life = self.life.load(Ordering::Relaxed);
        let is_aside = name == ServiceName::Amo && (path.ends_with("/events") || path.ends_with("/webhooks"));
        self.refused.lock().unwrap().push(Refused { life, lane, at, is_aside });
    }

    fn note_phones(&self, path: &str, body: &[u8], at: i64) {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let of_path = path.rsplit('/').next().and_then(|id| id.parse().ok());
        let list = body["update"].as_array().or(body.as_array()).cloned();
        let rows = list.unwrap_or_else(|| vec![body]);
        let has_phones = |row: &&Value| {
            let fields = [&row["custom_fields_values"], &row["custom_fields"]].into_iter().filter_map(Value::as_array);
            let id = |field: &Value| field["field_id"].as_u64().or(field["id"].as_u64());
            fields.flatten().any(|field| id(field) == Some(fixture::FIELD_PHONE))
        };
        let contacts = rows.iter().filter(has_phones).filter_map(|row| row["id"].as_u64().or(of_path));
        self.phones_written.lock().unwrap().extend(contacts.map(|contact| PhonesWritten { contact, at }));
    }

    /// Adds what a person did to the trace.
    pub fn note(&self, what: String) {
        let line = format!("{} {what}", self.env.now_ms());
        self.trace.lock().unwrap().push(line);
    }

    fn draw(&self, from: i64, to: i64) -> i64 {
        self.random.lock().unwrap().between(from, to)
    }
}

#[async_trait]
impl Transport for Network {
    async fn send(&self, request: RawRequest) -> Result<RawAnswer, TransportError> {
        let there = self.draw(5, 60);
        let back = self.draw(5, 60);
        self.points.pass().await;
        self.env.sleep(there).await;
        let (response, fate) = self.ask(&request);
        if request.method.name() == "POST" {
            self.points.pass().await;
        }
        let after_ms = match fate {
            Fate::Arrives { after_ms } => after_ms as i64,
            Fate::LostBefore if self.draw(0, 2) == 0 => {
                return Err(TransportError::NotSent("no connection".to_owned()));
            }
            Fate::LostBefore | Fate::LostAfter => {
                let wait = self.draw(10, request.timeout_ms);
                self.env.sleep(wait).await;
                return Err(TransportError::MaybeSent("the connection broke".to_owned()));
            }
        };
        if after_ms > request.timeout_ms {
            self.env.sleep(request.timeout_ms).await;
            return Err(TransportError::MaybeSent("no answer in time".to_owned()));
        }
        let mut headers = response.headers;
        if headers.iter().all(|(name, _)| !name.eq_ignore_ascii_case("date")) {
            // A server of HTTP tells its time with every answer (RFC 9110, 6.6.1).
            headers.push(("date".to_owned(), http_date(self.env.now_ms())));
        }
        self.env.sleep(back + after_ms).await;
        Ok(RawAnswer { status: response.status, headers, body: response.body })
    }
}

/// Salebot makes no order of a deal whose name has this in it.
pub const POISON: &str = "Poison";

fn not_this_one() -> Response {
    let body = br#"{"status":"fail","message":"Error in parameter format"}"#.to_vec();
    Response { status: 200, headers: vec![("content-type".to_owned(), "application/json".to_owned())], body }
}

fn http_date(now_ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(now_ms).expect("a time of the simulation");
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn decoded(request: &RawRequest, rest: &str) -> Request {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    Request {
        method: request.method.name().to_owned(),
        path: unescaped(path),
        query: query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect(),
        headers: request
            .headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.expose_secret().to_owned()))
            .collect(),
        body: request.body.clone(),
    }
}

fn pair(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (unescaped(&name.replace('+', " ")), unescaped(&value.replace('+', " ")))
}

fn unescaped(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    readable(out)
}

fn readable(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
