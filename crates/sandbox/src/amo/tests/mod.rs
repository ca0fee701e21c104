//! The simulated amoCRM against the documentation, call by call.

mod account;
mod clients;
mod contacts;
mod edit;
mod fields;
mod gate;
mod leads;
mod listing;
mod notes;
mod oauth;
mod odd;
mod samples;
mod scale;
mod tasks;
mod v4;
mod write;

use serde_json::{Value, json};

use super::edit::ContactDraft;
use super::{Amo, AmoOptions};
use crate::http::{Request, Response};

/// 2025-03-04 10:00:00 UTC.
const START_S: i64 = 1_741_082_400;

/// No ids.
const NOTHING: [u64; 0] = [];

/// An account, a clock, and short ways to ask.
struct Bench {
    amo: Amo,
    now_ms: i64,
}

impl Bench {
    fn new() -> Self {
        Bench::with(|_| {})
    }

    /// An account without a request limit, as changed by `adjust`.
    fn with(adjust: impl FnOnce(&mut AmoOptions)) -> Self {
        let mut options = AmoOptions::default();
        options.limits.requests_per_second = None;
        adjust(&mut options);
        Bench { amo: Amo::new(options), now_ms: START_S * 1_000 }
    }

    fn now_s(&self) -> i64 {
        self.now_ms / 1_000
    }

    /// Lets seconds pass.
    fn wait(&mut self, seconds: i64) -> &mut Self {
        self.now_ms += seconds * 1_000;
        self
    }

    fn send(&mut self, request: &Request) -> Response {
        self.amo.handle(self.now_ms, request)
    }

    fn get(&mut self, target: &str) -> Response {
        self.send(&request("GET", target, None))
    }

    /// `GET` with `IF-MODIFIED-SINCE`.
    fn get_since(&mut self, target: &str, since_s: i64) -> Response {
        let mut request = request("GET", target, None);
        request.headers.push(("if-modified-since".into(), header_date(since_s)));
        self.send(&request)
    }

    /// The ids of a listing; none for any answer without a body.
    fn ids(&mut self, target: &str) -> Vec<u64> {
        ids_of(&self.get(target))
    }

    fn ids_since(&mut self, target: &str, since_s: i64) -> Vec<u64> {
        ids_of(&self.get_since(target, since_s))
    }

    /// The one item with this id.
    fn item(&mut self, path: &str, id: u64) -> Value {
        let response = self.get(&format!("{path}?id={id}"));
        body(&response)["_embedded"]["items"][0].clone()
    }

    fn contact(&mut self, id: u64) -> Value {
        self.item("/api/v2/contacts", id)
    }

    fn post(&mut self, path: &str, content: &Value) -> Response {
        self.send(&request("POST", path, Some(content)))
    }

    /// Posts and returns the `_embedded` of a 200.
    fn write(&mut self, path: &str, content: &Value) -> Value {
        let response = self.post(path, content);
        assert_eq!(response.status, 200, "{}", text(&response));
        body(&response)["_embedded"].clone()
    }

    /// Adds one item and returns its id.
    fn add(&mut self, path: &str, item: Value) -> u64 {
        let embedded = self.write(path, &json!({ "add": [item] }));
        assert!(embedded.get("errors").is_none(), "{embedded}");
        embedded["items"][0]["id"].as_u64().expect("an id")
    }

    /// Adds one item that is refused and returns the message.
    fn refused(&mut self, path: &str, item: Value) -> String {
        let embedded = self.write(path, &json!({ "add": [item] }));
        assert_eq!(embedded["items"], json!([]), "the item was written");
        embedded["errors"]["add"]["0"].as_str().expect("a message").to_owned()
    }

    /// Updates one contact under a time later than the stored one; the `_embedded` of the answer.
    fn update_contact(&mut self, id: u64, changes: Value) -> Value {
        let stored = self.amo.contact(id).expect("a contact").card.updated_at;
        let mut item = json!({ "id": id, "updated_at": self.now_s().max(stored + 1) });
        item.as_object_mut().expect("an object").extend(changes.as_object().expect("one").clone());
        self.write("/api/v2/contacts", &json!({ "update": [item] }))
    }

    /// A contact made by a manager now.
    fn person(&mut self, name: &str) -> u64 {
        self.amo.add_contact(self.now_ms, draft(name))
    }

    /// Contacts made one second after the other.
    fn people(&mut self, count: usize) -> Vec<u64> {
        let names = (0..count).map(|number| format!("Person {number}"));
        names.map(|name| self.wait(1).person(&name)).collect()
    }
}

fn draft(name: &str) -> ContactDraft {
    ContactDraft { name: name.into(), ..ContactDraft::default() }
}

/// A request with the good token; `target` is a path with an optional query, not encoded.
fn request(method: &str, target: &str, content: Option<&Value>) -> Request {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    Request {
        method: method.into(),
        path: path.into(),
        query: pairs.map(|(name, value)| (name.into(), value.into())).collect(),
        headers: vec![("authorization".into(), "Bearer sandbox-token".into())],
        body: content.map(|content| content.to_string().into_bytes()).unwrap_or_default(),
    }
}

fn header_date(unix_s: i64) -> String {
    let moment = jiff::Timestamp::from_second(unix_s).expect("a moment");
    moment.strftime("%a, %d %b %Y %H:%M:%S UTC").to_string()
}

fn text(response: &Response) -> &str {
    std::str::from_utf8(&response.body).expect("UTF-8")
}

fn body(response: &Response) -> Value {
    serde_json::from_slice(&response.body).expect("JSON")
}

fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn ids_of(response: &Response) -> Vec<u64> {
    if response.body.is_empty() {
        return Vec::new();
    }
    let body = body(response);
    let items = body["_embedded"]["items"].as_array().expect("items").iter();
    items.map(|item| item["id"].as_u64().expect("an id")).collect()
}

/// The code at the head of an error's `detail`.
fn code(response: &Response) -> u16 {
    let body = body(response);
    let detail = body["detail"].as_str().expect("a detail");
    detail.split(':').next().expect("a code").parse().expect("a number")
}
