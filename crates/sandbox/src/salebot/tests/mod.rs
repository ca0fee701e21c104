//! Behaviour of the simulated Salebot, one file for each subject.

mod clients;
mod door;
mod finders;
mod history;
mod orders;
mod people;
mod project;
mod search;
mod sending;
mod variables;
mod webhook;

use serde_json::Value;

use super::options::{DEFAULT_KEY, SalebotOptions};
use super::project::messenger;
use super::{NewClient, NewOrder, Salebot};
use crate::http::{Request, Response};

/// A moment of the tests: 2026-05-28 17:33:42.5 in Moscow.
const NOW_MS: i64 = 1_779_978_822_500;

fn salebot() -> Salebot {
    Salebot::new(SalebotOptions::default())
}

fn request(method: &str, path: &str, query: &[(&str, &str)], body: Vec<u8>) -> Request {
    let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Request { method: method.to_owned(), path: path.to_owned(), query, headers: Vec::new(), body }
}

fn get_at(salebot: &mut Salebot, now_ms: i64, action: &str, query: &[(&str, &str)]) -> Response {
    salebot.handle(now_ms, &request("GET", &format!("/api/{DEFAULT_KEY}/{action}"), query, Vec::new()))
}

fn post_at(salebot: &mut Salebot, now_ms: i64, action: &str, body: &Value) -> Response {
    let body = body.to_string().into_bytes();
    salebot.handle(now_ms, &request("POST", &format!("/api/{DEFAULT_KEY}/{action}"), &[], body))
}

fn json_of(response: &Response) -> Value {
    serde_json::from_slice(&response.body).expect("a JSON body")
}

/// A GET that must answer 200 with JSON.
fn get(salebot: &mut Salebot, action: &str, query: &[(&str, &str)]) -> Value {
    let response = get_at(salebot, NOW_MS, action, query);
    assert_eq!(response.status, 200, "{action}");
    json_of(&response)
}

/// A POST that must answer 200 with JSON.
fn post(salebot: &mut Salebot, action: &str, body: &Value) -> Value {
    let response = post_at(salebot, NOW_MS, action, body);
    assert_eq!(response.status, 200, "{action}");
    json_of(&response)
}

fn telegram(salebot: &mut Salebot, platform_id: &str, name: Option<&str>) -> i64 {
    let client_type = messenger::TELEGRAM;
    salebot.add_client(NOW_MS, NewClient { client_type, platform_id, group: "some_bot", name })
}

fn whatsapp(salebot: &mut Salebot, platform_id: &str) -> i64 {
    let client_type = messenger::WHATSAPP;
    salebot.add_client(NOW_MS, NewClient { client_type, platform_id, group: "34810", name: None })
}

fn order(salebot: &mut Salebot, client_id: i64) -> i64 {
    salebot.add_order(NOW_MS, client_id, NewOrder::default()).expect("a client with this id")
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

fn sorted<const N: usize>(mut names: [&str; N]) -> [&str; N] {
    names.sort_unstable();
    names
}
