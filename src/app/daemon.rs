//! The daemon: bridges and the HTTP side over one store, started and stopped together.

use crate::app::env::SystemEnv;
use crate::app::guest::Guest;
use crate::app::lifecycle::STOP_TIMEOUT;
use crate::app::metrics::{Meters, Metrics};
use crate::app::nodes::{self, Nodes, Task};
use crate::app::opened::Opened;
use crate::app::post::{Current, Post};
use crate::app::status::interval_json;
use crate::app::token;
use crate::app::wire::{self, Entrance, Lanes, Outside};
use crate::config::{Bridge as BridgeConfig, Config};
use crate::inbound::{self, BodyLimits, Door, Inbound, MetricsDoor, Readiness, ReadyReport, ServerLimits};
use crate::ports::env::Env;
use crate::ports::function::Functions;
use crate::ports::store::Store;
use crate::store::Access;
use crate::store::postgres::PostgresStore;
use anyhow::Context;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A running daemon.
pub struct Daemon {
    opened: Opened,
    inbound: Arc<Inbound>,
    insight: Arc<Insight>,
    address: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What the health pages and `status` can see of the running bridges.
pub struct Insight {
    posts: Vec<Arc<Post>>,
    env: Arc<dyn Env>,
    /// Of what drives bridges or waits for them.
    beats: Arc<AtomicU64>,
}

impl Daemon {
    /// Opens the store, binds the address unless a socket is given, and starts every bridge.
    ///
    /// Errors: the store cannot be opened, the port is in use, a configured feature is not there.
    /// amoCRM and Salebot need not be reachable: the bridges wait for them and say so.
    pub async fn start(config: &Config, listener: Option<TcpListener>) -> anyhow::Result<Daemon> {
        Opened::wait_for(config).await;
        let opened = Opened::open(config, Access::Driver).await?;
        let listener = match listener {
            Some(listener) => listener,
            None => bind(config.http.listen).await?,
        };
        let address = listener.local_addr()?;
        if address != config.http.listen && config.http.listen.port() != 0 {
            tracing::warn!(%address, configured = %config.http.listen, "the service manager's socket is not where http.listen is: deliveries come in at the socket, and status and doctor ask http.listen; make them one (systemctl edit salebridge.socket, or http.listen)");
        }
        let env: Arc<dyn Env> = Arc::new(SystemEnv);
        let public_url = config.http.public_url.clone();
        let outside = Outside { transport: wire::transport()?, env: Arc::clone(&env), public_url };
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let id = nodes::node_id(env.as_ref());
        let meters = Meters::default();
        let mut doors = BTreeMap::new();
        let mut posts = Vec::new();
        for settings in &config.bridges {
            let (post, door, watching) = stand(settings, &opened, &outside, &stop, &id, &meters)?;
            if let Some(watching) = watching {
                tasks.spawn(watching);
            }
            doors.insert(settings.name.clone(), door);
            posts.push(post);
        }
        let beats = Arc::new(AtomicU64::new(0));
        let insight = Arc::new(Insight { posts: posts.clone(), env: Arc::clone(&env), beats: Arc::clone(&beats) });
        let readiness = Arc::clone(&insight) as Arc<dyn Readiness>;
        let metrics = Metrics::new(meters, Arc::clone(&insight), opened.clone(), Arc::clone(&env));
        let metrics = MetricsDoor::new(Arc::new(metrics), config.http.metrics_token.as_ref());
        let inbound = Inbound::new(doors, opened.store(), env, readiness, BodyLimits::default());
        let inbound = Arc::new(inbound.with_metrics(metrics));
        let router = inbound::router(Arc::clone(&inbound));
        tasks.spawn(inbound::serve(listener, router, stop.child_token(), ServerLimits::default()));
        match &opened {
            Opened::Sqlite(_) => {
                for bridge in posts.iter().filter_map(|post| post.current()).map(|current| current.bridge) {
                    tasks.spawn(async move { bridge.run().await });
                }
            }
            Opened::Postgres(store) => {
                let nodes = Nodes {
                    store: store.clone(),
                    posts: config.bridges.iter().cloned().zip(posts).collect(),
                    outside,
                    task: Task::Whole,
                    id,
                    at: nodes::told_address(address),
                    stop: stop.clone(),
                    tasks: tasks.clone(),
                    beats,
                };
                tasks.spawn(listen(store.clone(), &nodes, stop.child_token()));
                tasks.spawn(nodes.run());
            }
        }
        tracing::info!(
            bridges = config.bridges.len(),
            "salebridge listens at {address}, version {}",
            env!("CARGO_PKG_VERSION")
        );
        Ok(Daemon { opened, inbound, insight, address, stop, tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The store, to read from.
    pub fn store(&self) -> Arc<dyn Store> {
        self.opened.store()
    }

    /// What can be seen of the bridges.
    pub fn insight(&self) -> Arc<Insight> {
        Arc::clone(&self.insight)
    }

    /// Finishes what is under way, then closes the store. What takes longer is cut off; it is looked
    /// up at the next start.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(STOP_TIMEOUT, self.tasks.wait()).await.is_err() {
            tracing::warn!("work under way did not end in time; it is looked up at the next start");
        }
        self.inbound.settle().await;
        self.opened.close().await;
    }
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}: stop what uses the port, or set http.listen to another one")
    })
}

/// The post of a bridge and its door. Where one process drives everything, the bridge stands there from the start;
/// else it is put together once all the same: what cannot be driven is told at the start.
fn stand(
    settings: &BridgeConfig,
    opened: &Opened,
    outside: &Outside,
    stop: &CancellationToken,
    id: &str,
    meters: &Meters,
) -> anyhow::Result<(Arc<Post>, Door, Option<impl Future<Output = ()> + Send + use<>>)> {
    let name = &settings.name;
    let guest = match opened {
        Opened::Sqlite(_) => None,
        Opened::Postgres(_) => Some(Guest::new(opened.store(), Arc::clone(&outside.env), name, id)),
    };
    let is_alone = guest.is_none();
    let post = Arc::new(Post::new(name, guest).metered(meters.of(name)));
    let functions = Some(Arc::clone(&post) as Arc<dyn Functions>);
    let entrance = Entrance { meter: post.meter(), arrived: Arc::clone(&post.arrived), functions };
    let wired = wire::bridge(settings, entrance, opened.store(), outside, stop.child_token())?;
    let watching = is_alone.then(|| token::watch(&wired, Arc::clone(&outside.env), stop.child_token()));
    if is_alone {
        post.stand(Some(Current { bridge: wired.bridge, lanes: wired.lanes, token: wired.token }));
    }
    Ok((post, wired.door, watching))
}

/// Hears what other nodes stored.
fn listen(store: PostgresStore, nodes: &Nodes, stop: CancellationToken) -> impl Future<Output = ()> + use<> {
    let posts: Vec<Arc<Post>> = nodes.posts.iter().map(|(_, post)| Arc::clone(post)).collect();
    async move {
        let heard = |name: &str| posts.iter().filter(|post| post.name == name).for_each(|post| post.wake());
        tokio::select! {
            () = store.listen(heard) => {}
            () = stop.cancelled() => {}
        }
    }
}

impl Insight {
    /// Grows as long as the engine makes progress, or waits for its turn.
    pub fn beats(&self) -> u64 {
        let of_bridges = self.posts.iter().filter_map(|post| post.current());
        let engine: u64 = of_bridges.map(|current| current.bridge.health().beats()).sum();
        let is_waiting = self.posts.iter().any(|post| post.current().is_none());
        // While bridges are driven here, they are what must make progress.
        if is_waiting { engine.wrapping_add(self.beats.load(Ordering::Relaxed)) } else { engine }
    }

    /// The posts of all bridges.
    pub(super) fn posts(&self) -> impl Iterator<Item = &Post> {
        self.posts.iter().map(Arc::as_ref)
    }

    /// Lanes of a bridge as JSON, by name.
    pub fn lanes(&self, name: &str) -> Option<serde_json::Value> {
        Some(lanes_json(&self.current(name)?.lanes))
    }

    /// Faults of a bridge: part, reason, since when (Unix milliseconds).
    pub fn faults(&self, name: &str) -> Vec<(String, String, i64)> {
        let parts = self.current(name).map(|current| current.bridge.health().report()).unwrap_or_default();
        parts.into_iter().filter_map(|part| part.fault.map(|(reason, since)| (part.part, reason, since.0))).collect()
    }

    fn current(&self, name: &str) -> Option<Current> {
        self.posts.iter().find(|post| post.name == name)?.current()
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
    /// Ready: every bridge that is driven here has read its account and its listings work, and the store answers.
    /// Reasons name what does not, the time in which messages may be missing, and what becomes of the token; these
    /// alone do not make it unready.
    fn report(&self) -> ReadyReport {
        let mut ready = true;
        let mut bridges = serde_json::Map::new();
        for post in &self.posts {
            let (is_ready, mut state) = match post.current() {
                Some(current) => self.driven(&current),
                None => waiting(post),
            };
            let trouble = post.trouble();
            ready &= is_ready && trouble.is_none();
            if let (Some((reason, since)), Some(faults)) = (trouble, state["faults"].as_array_mut()) {
                faults.push(json!({ "part": "lease", "reason": reason, "since": since }));
            }
            bridges.insert(post.name.clone(), state);
        }
        ReadyReport { ready, reasons: bridges.into() }
    }
}

impl Insight {
    fn driven(&self, current: &Current) -> (bool, serde_json::Value) {
        let health = current.bridge.health();
        let parts = health.report();
        let faults: Vec<_> = parts
            .iter()
            .filter_map(|part| {
                let (reason, since) = part.fault.as_ref()?;
                Some(json!({ "part": part.part, "reason": reason, "since": since }))
            })
            .collect();
        let is_started = parts.iter().any(|part| part.part == "account" && part.ok_at.is_some());
        let bad = parts.iter().any(|part| part.fault.is_some() && NEEDED.contains(&part.part.as_str()));
        let unproven: Vec<_> = health.unproven(self.env.now()).map(interval_json).into_iter().collect();
        let lanes = lanes_json(&current.lanes);
        let now = self.env.now();
        let token = current.token.standing(now).map(|standing| token::told(&standing, now));
        let state = json!({
            "started": is_started,
            "faults": faults,
            "lanes": lanes,
            "unproven": unproven,
            "under_way": health.under_way(),
            "token": token,
        });
        (is_started && !bad, state)
    }
}

/// A bridge that another node drives: this one takes webhooks and calls for it.
fn waiting(post: &Post) -> (bool, serde_json::Value) {
    let elsewhere = post.elsewhere();
    let lane = || json!({ "state": "elsewhere" });
    let state = json!({
        "started": false,
        "driven_by": elsewhere,
        "faults": [],
        "lanes": { "amo": lane(), "salebot": lane(), "save_variables": lane() },
        "unproven": [],
        "under_way": [],
    });
    (elsewhere.is_some(), state)
}

/// Parts without which a bridge does not do its work.
const NEEDED: [&str; 5] = ["account", "mapping", "contacts", "leads", "inbox"];
