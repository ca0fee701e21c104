//! The daemon: bridges and the HTTP side over one store, started and stopped together.

use crate::app::env::SystemEnv;
use crate::app::status::interval_json;
use crate::app::token;
use crate::app::wire::{self, Lanes, Outside};
use crate::config::Config;
use crate::engine::{Bridge, Health};
use crate::inbound::{self, BodyLimits, Inbound, Readiness, ReadyReport, ServerLimits};
use crate::ports::env::Env;
use crate::ports::store::Store;
use crate::remote::amocrm::TokenSource;
use crate::store::sqlite::{Access, SqliteStore};
use anyhow::Context;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long work under way may take after the stop was asked for.
const STOP_TIMEOUT: Duration = Duration::from_secs(25);

/// A running daemon.
pub struct Daemon {
    store: Arc<SqliteStore>,
    inbound: Arc<Inbound>,
    insight: Arc<Insight>,
    address: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What the health pages and `status` can see of the running bridges.
pub struct Insight {
    bridges: Vec<Watched>,
    env: Arc<dyn Env>,
}

struct Watched {
    name: String,
    lanes: Lanes,
    health: Arc<Health>,
    token: Arc<dyn TokenSource>,
}

impl Daemon {
    /// Opens the store, binds the address unless a socket is given, and starts every bridge.
    ///
    /// Errors: the store cannot be opened, the port is in use, a configured feature is not there.
    /// amoCRM and Salebot need not be reachable: the bridges wait for them and say so.
    pub async fn start(config: &Config, listener: Option<TcpListener>) -> anyhow::Result<Daemon> {
        let store = wire::open_store(config, Access::Driver).await?;
        let listener = match listener {
            Some(listener) => listener,
            None => bind(config.http.listen).await?,
        };
        let address = listener.local_addr()?;
        let env: Arc<dyn Env> = Arc::new(SystemEnv);
        let outside = Outside { transport: wire::transport()?, env: Arc::clone(&env) };
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let mut doors = BTreeMap::new();
        let mut bridges: Vec<(Arc<Bridge>, Watched)> = Vec::new();
        for settings in &config.bridges {
            let wired = wire::bridge(settings, Arc::clone(&store) as Arc<dyn Store>, &outside, stop.child_token())?;
            tasks.spawn(token::watch(&wired, Arc::clone(&env), stop.child_token()));
            let watched = Watched {
                name: settings.name.clone(),
                lanes: wired.lanes,
                health: wired.bridge.health(),
                token: wired.token,
            };
            doors.insert(settings.name.clone(), wired.door);
            bridges.push((wired.bridge, watched));
        }
        let (bridges, watched): (Vec<_>, Vec<_>) = bridges.into_iter().unzip();
        let insight = Arc::new(Insight { bridges: watched, env: Arc::clone(&env) });
        let inbound = Inbound::new(
            doors,
            Arc::clone(&store) as Arc<dyn Store>,
            env,
            Arc::clone(&insight) as Arc<dyn Readiness>,
            BodyLimits::default(),
        );
        let inbound = Arc::new(inbound);
        tasks.spawn(inbound::serve(
            listener,
            inbound::router(Arc::clone(&inbound)),
            stop.child_token(),
            ServerLimits::default(),
        ));
        for bridge in bridges {
            tasks.spawn(async move { bridge.run().await });
        }
        tasks.close();
        tracing::info!(%address, bridges = config.bridges.len(), "salebridge listens");
        Ok(Daemon { store, inbound, insight, address, stop, tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The store, to read from.
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as Arc<dyn Store>
    }

    /// What can be seen of the bridges.
    pub fn insight(&self) -> Arc<Insight> {
        Arc::clone(&self.insight)
    }

    /// Finishes what is under way, then closes the store. What takes longer is cut off; it is looked
    /// up at the next start.
    pub async fn stop(self) {
        self.stop.cancel();
        if tokio::time::timeout(STOP_TIMEOUT, self.tasks.wait()).await.is_err() {
            tracing::warn!("work under way did not end in time; it is looked up at the next start");
        }
        self.inbound.settle().await;
        self.store.close().await;
    }
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}: stop what uses the port, or set http.listen to another one")
    })
}

impl Insight {
    /// Grows as long as the engine makes progress.
    pub fn beats(&self) -> u64 {
        self.bridges.iter().map(|bridge| bridge.health.beats()).sum()
    }

    /// Lanes of a bridge as JSON, by name.
    pub fn lanes(&self, name: &str) -> Option<serde_json::Value> {
        let bridge = self.bridges.iter().find(|bridge| bridge.name == name)?;
        Some(lanes_json(&bridge.lanes))
    }

    /// Faults of a bridge: part, reason, since when (Unix milliseconds).
    pub fn faults(&self, name: &str) -> Vec<(String, String, i64)> {
        let bridge = self.bridges.iter().find(|bridge| bridge.name == name);
        let parts = bridge.map(|bridge| bridge.health.report()).unwrap_or_default();
        parts.into_iter().filter_map(|part| part.fault.map(|(reason, since)| (part.part, reason, since.0))).collect()
    }
}

fn lanes_json(lanes: &Lanes) -> serde_json::Value {
    lanes
        .reports()
        .into_iter()
        .map(|(name, report)| (name.to_owned(), json!(report)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

impl Readiness for Insight {
    /// Ready: every bridge has read its account and its listings work. Reasons name what does not, and
    /// the time in which messages may be missing, and what becomes of the token; these alone do not make it unready.
    fn report(&self) -> ReadyReport {
        let mut ready = true;
        let mut bridges = serde_json::Map::new();
        for bridge in &self.bridges {
            let parts = bridge.health.report();
            let faults: Vec<_> = parts
                .iter()
                .filter_map(|part| {
                    part.fault
                        .as_ref()
                        .map(|(reason, since)| json!({ "part": part.part, "reason": reason, "since": since }))
                })
                .collect();
            let is_started = parts.iter().any(|part| part.part == "account" && part.ok_at.is_some());
            let bad = parts.iter().any(|part| part.fault.is_some() && NEEDED.contains(&part.part.as_str()));
            ready &= is_started && !bad;
            let unproven: Vec<_> = bridge.health.unproven(self.env.now()).map(interval_json).into_iter().collect();
            let lanes = lanes_json(&bridge.lanes);
            let now = self.env.now();
            let token = bridge.token.standing(now).map(|standing| token::told(&standing, now));
            let state = json!({
                "started": is_started,
                "faults": faults,
                "lanes": lanes,
                "unproven": unproven,
                "under_way": bridge.health.under_way(),
                "token": token,
            });
            bridges.insert(bridge.name.clone(), state);
        }
        ReadyReport { ready, reasons: bridges.into() }
    }
}

/// Parts without which a bridge does not do its work.
const NEEDED: [&str; 5] = ["account", "mapping", "contacts", "leads", "inbox"];
