//! Subscribing through the API: v4 by addresses, v2 by addresses and events (amoCRM webhooks pages of both versions).

use serde_json::{Value, json};
use std::collections::BTreeSet;

use crate::amo::answer;
use crate::amo::call::Call;
use crate::amo::state::world::World;
use crate::http::Response;

/// Why nobody is let in: the plan, or the user's rights.
pub(in crate::amo) fn barred(world: &World, call: &Call) -> Option<(u16, &'static str)> {
    if let Some(status) = call.options.hooks.refused_with {
        return Some((status, "webhooks are not available"));
    }
    let is_admin = world.account.users.get(&call.author).is_some_and(|user| user.is_admin);
    (!is_admin).then_some((403, "administrators only"))
}

fn object(call: &Call) -> Option<serde_json::Map<String, Value>> {
    serde_json::from_slice(&call.request.body).ok()
}

fn events(value: Option<&Value>) -> Option<BTreeSet<String>> {
    value?.as_array()?.iter().map(|event| event.as_str().map(str::to_owned)).collect()
}

/// `GET`, `POST`, `DELETE /api/v4/webhooks`; an error is a status and its words.
pub(in crate::amo) fn v4(world: &mut World, call: &Call) -> Result<Response, (u16, &'static str)> {
    if let Some(barred) = barred(world, call) {
        return Err(barred);
    }
    let body = object(call).unwrap_or_default();
    let destination = body.get("destination").and_then(Value::as_str);
    match call.request.method.as_str() {
        "GET" => {
            let wanted = call.request.param("filter[destination]");
            let all = &world.hooks.all;
            let listed = all.iter().filter(|(url, _)| wanted.is_none_or(|wanted| *url == wanted));
            let rows: Vec<Value> = listed.map(|(url, _)| row(world, url)).collect();
            if rows.is_empty() {
                return Ok(answer::empty(call, 204));
            }
            Ok(answer::json(call, 200, &json!({ "_total_items": rows.len(), "_embedded": { "webhooks": rows } })))
        }
        "POST" => {
            let (Some(url), Some(events)) = (destination, events(body.get("settings"))) else {
                return Err((422, "destination and settings are needed"));
            };
            if !url.starts_with("http") || !url.is_ascii() {
                return Err((422, "the destination is no address"));
            }
            let switches_on = call.options.hooks.subscribing_switches_on;
            world.hooks.subscribe(call.now_ms, url, events.into_iter(), switches_on);
            let row = row(world, url);
            Ok(answer::json(call, 201, &row))
        }
        "DELETE" => match destination.and_then(|url| world.hooks.all.remove(url)) {
            Some(_) => Ok(answer::empty(call, 204)),
            None => Err((404, "there is no such subscription")),
        },
        _ => Err((405, "this method is not supported here")),
    }
}

fn row(world: &World, url: &str) -> Value {
    let one = &world.hooks.all[url];
    json!({
        "id": one.id, "destination": url, "created_at": one.created_at, "updated_at": one.updated_at,
        "account_id": world.account.id, "created_by": world.account.current_user, "sort": 10,
        "disabled": one.is_off, "settings": one.events,
    })
}

/// `GET /api/v2/webhooks`.
pub(in crate::amo) fn v2_list(world: &World, call: &Call) -> Response {
    let rows: Vec<Value> = world
        .hooks
        .all
        .iter()
        .map(|(url, one)| json!({ "id": one.id, "url": url, "events": one.events, "disabled": one.is_off }))
        .collect();
    if rows.is_empty() {
        return answer::empty(call, 204);
    }
    answer::json(call, 200, &json!({ "_links": {}, "_embedded": { "items": rows } }))
}

/// `POST /api/v2/webhooks/subscribe` and `…/unsubscribe`: each item is answered with a `result` of its own.
pub(in crate::amo) fn v2_change(world: &mut World, call: &Call, verb: &str) -> Response {
    let body = object(call).unwrap_or_default();
    let items = body.get(verb).and_then(Value::as_array).cloned().unwrap_or_default();
    if items.is_empty() {
        return answer::problem(call, 400, 103, "no parameters");
    }
    let mut done = Vec::new();
    for item in &items {
        let url = item.get("url").and_then(Value::as_str).unwrap_or_default();
        let events = events(item.get("events"));
        let result = match (verb, events) {
            (_, None) => false,
            ("subscribe", Some(events)) => url.is_ascii() && subscribed(world, call, url, events),
            (_, Some(events)) => unsubscribed(world, url, &events),
        };
        done.push(json!({ "url": url, "result": result }));
    }
    answer::json(call, 200, &json!({ "_links": {}, "_embedded": { "items": done } }))
}

fn subscribed(world: &mut World, call: &Call, url: &str, mut events: BTreeSet<String>) -> bool {
    if !url.starts_with("http") {
        return false;
    }
    if let Some(known) = world.hooks.all.get(url) {
        events.extend(known.events.iter().cloned());
    }
    world.hooks.subscribe(call.now_ms, url, events.into_iter(), call.options.hooks.subscribing_switches_on);
    true
}

fn unsubscribed(world: &mut World, url: &str, events: &BTreeSet<String>) -> bool {
    let Some(known) = world.hooks.all.get_mut(url) else { return false };
    known.events.retain(|event| !events.contains(event));
    if known.events.is_empty() {
        world.hooks.all.remove(url);
    }
    true
}
