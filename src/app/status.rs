//! What `status` shows: the store's numbers, and the lanes of the daemon if one runs.

use crate::app::opened::Opened;
use crate::app::{last_run, release, token, wire};
use crate::config::{Bridge, Config};
use crate::core::gap::{self, Interval};
use crate::core::guard;
use crate::core::time::Millis;
use crate::engine::HEARD;
use crate::ports::store::{Cursor, Store};
use crate::remote::http::{Method, RawRequest, ReqwestTransport, Transport};
use crate::store::Access;
use serde_json::{Value, json};
use std::sync::Arc;

/// How far ahead work may lie and still count as waiting. Messages of people who are not contacts
/// yet lie further ahead.
const NEAR_MS: i64 = 3_600_000;

/// Where a status comes from: the store, and the daemon if one runs.
pub struct Source<'a> {
    config: &'a Config,
    opened: Opened,
    store: Arc<dyn Store>,
}

impl<'a> Source<'a> {
    /// Opens the store to read.
    pub async fn open(config: &'a Config) -> anyhow::Result<Source<'a>> {
        let opened = Opened::open(config, Access::Shared).await?;
        let store = opened.store();
        Ok(Source { config, opened, store })
    }

    /// The status at this moment.
    pub async fn now(&self) -> anyhow::Result<Value> {
        let live = ask_daemon(self.config).await;
        let mut status = collect(self.config, self.store.as_ref(), live.as_ref(), wire::now()).await?;
        // Where no daemon answers, somebody may work all the same: one that was started with another address, or a command.
        status["driver"] = match live {
            Some(_) => Value::Null,
            None => json!(self.opened.driver().await),
        };
        Ok(status)
    }
}

/// The status of all bridges in the form that is kept stable (see the documentation of `status --json`).
pub async fn collect(config: &Config, store: &dyn Store, live: Option<&Value>, now: Millis) -> anyhow::Result<Value> {
    let mut bridges = Vec::new();
    for bridge in &config.bridges {
        let token = token::known(bridge, store, live, now).await?;
        let own = live.and_then(|live| live.get("reasons")?.get(&bridge.name));
        let mut told = one(&bridge.name, store, own, now).await?;
        told["token"] = token;
        // False: the daemon that answers was started without this bridge.
        told["is_known"] = json!(live.is_none() || own.is_some());
        if own.is_none() {
            told["unproven"] = stopped_unproven(bridge, store, now).await?;
        }
        bridges.push(told);
    }
    Ok(json!({ "bridges": bridges, "running": live.is_some() }))
}

/// In what time messages may be missing while no daemon runs: since the last complete look.
async fn stopped_unproven(bridge: &Bridge, store: &dyn Store, now: Millis) -> anyhow::Result<Value> {
    let heard = store.cursor(&bridge.name, HEARD).await?;
    let late_after_ms = gap::late_after_ms(&bridge.salebot.reconcile, now);
    let interval = heard.and_then(|heard| gap::unproven(heard.at, true, late_after_ms, now));
    Ok(interval.map(interval_json).into_iter().collect())
}

/// The status of one bridge. `live`: what its daemon says.
pub async fn one(name: &str, store: &dyn Store, live: Option<&Value>, now: Millis) -> anyhow::Result<Value> {
    let counts = store.counts(name).await?;
    let due = store.next_due(name).await?;
    let is_far = |due: Option<Millis>| due.is_none_or(|due| due.since(now) > NEAR_MS);
    let looks = live.and_then(|live| live.get("under_way")?.as_array().cloned()).unwrap_or_default();
    let idle = looks.is_empty() && counts.outbox == 0 && is_far(due.inbox) && is_far(due.marks);
    let cursors = store
        .cursors(name)
        .await?
        .into_iter()
        .map(|(cursor, at)| (cursor, cursor_json(at, now)))
        .collect::<serde_json::Map<_, _>>();
    let (stops, frozen) = release::kept(store, name).await?;
    let run = last_run::of(name, store, now).await?;
    let sweep = store.text(name, guard::SWEEP).await?;
    let sweep = sweep.and_then(|text| serde_json::from_str::<guard::Sweep>(&text).ok());
    let mut errors = live.and_then(|live| live.get("faults")?.as_array().cloned()).unwrap_or_default();
    // The store knows what guards hold back, with a daemon and without.
    errors.retain(|error| error["part"] != "guard");
    errors.extend(release::errors(name, &stops, &frozen));
    for error in &mut errors {
        if let Some(since) = error["since"].as_i64() {
            error["for_s"] = json!(now.since(Millis(since)).max(0) / 1000);
        }
    }
    let age_s = |since: Option<Millis>| since.map(|since| now.since(since).max(0) / 1000);
    Ok(json!({
        "name": name,
        "inbox": counts.inbox,
        "outbox": counts.outbox,
        "marks": counts.marks,
        "dead_letters": counts.dead_letters,
        "frozen": frozen.len(),
        "links": counts.links,
        "idle": idle,
        "under_way": looks,
        "inbox_oldest_s": age_s(counts.inbox_oldest),
        "outbox_oldest_s": age_s(counts.outbox_oldest),
        "cursors": cursors,
        "lanes": live.and_then(|live| live.get("lanes").cloned()).unwrap_or_else(|| json!({ "amo": { "state": "stopped" }, "salebot": { "state": "stopped" } })),
        "unproven": live.and_then(|live| live.get("unproven").cloned()).unwrap_or_else(|| json!([])),
        "sweep": sweep.map(|sweep| json!({ "age_s": age_s(Some(sweep.at)), "listed": sweep.listed, "missed": sweep.missed, "gone": sweep.gone })),
        "run": run,
        "errors": errors,
    }))
}

fn cursor_json(cursor: Cursor, now: Millis) -> Value {
    json!({ "at": spelled(cursor.at), "age_s": now.since(cursor.moved_at).max(0) / 1000 })
}

/// An interval for health pages and `status`.
pub(super) fn interval_json(interval: Interval) -> Value {
    json!({ "from": spelled(interval.from), "to": spelled(interval.to) })
}

pub(super) fn spelled(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at.0).map(|at| at.to_string()).unwrap_or_default()
}

/// Asks the running daemon; none where no daemon answers, or another program does.
pub async fn ask_daemon(config: &Config) -> Option<Value> {
    wire::transport().ok()?;
    let transport = ReqwestTransport::new(false, ANSWER_BYTES_MAX).ok()?;
    let mut address = config.http.listen;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let request = RawRequest {
        method: Method::Get,
        url: format!("http://{address}/health/ready").into(),
        route: "/health/ready",
        headers: Vec::new(),
        body: Vec::new(),
        timeout_ms: DAEMON_TIMEOUT_MS,
    };
    let answer = transport.send(request).await.ok()?;
    let told: Value = serde_json::from_slice(&answer.body).ok()?;
    (told["ready"].is_boolean() && told["reasons"].is_object()).then_some(told)
}

/// A daemon on this machine answers at once or not at all.
const DAEMON_TIMEOUT_MS: i64 = 2_000;
/// A thousand bridges tell less than this about themselves.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
