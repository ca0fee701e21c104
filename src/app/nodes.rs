//! One node among several: takes the leases of bridges that nobody drives, keeps them, and drives.
//!
//! A lease lasts six seconds by the database's clock and is renewed three times in it. This node believes in it a
//! second less, from before it asked, and lets nothing leave after that: neither to the store, which compares
//! epochs itself, nor to amoCRM and Salebot (`Guarded`). So the last request of one driver and the first of the
//! next are further apart than the second that amoCRM counts by.

use crate::app::post::{Current, Post};
use crate::app::token;
use crate::app::wire::{self, Entrance, Outside};
use crate::config::Bridge as BridgeConfig;
use crate::core::time::Millis;
use crate::engine::Bridge;
use crate::ports::env::Env;
use crate::ports::store::{Store, Stored};
use crate::remote::http::{RawAnswer, RawRequest, Transport, TransportError};
use crate::store::postgres::PostgresStore;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a lease lasts. A node that dies is replaced after this and one look: within ten seconds.
const LEASE_MS: i64 = 6_000;
/// How much less we believe in: clocks of two machines run differently fast, and a request takes its time to leave.
const MARGIN_MS: i64 = 1_000;
/// How often leases are renewed.
const RENEW_MS: i64 = LEASE_MS / 3;
/// How often free leases are looked for.
const LOOK_MS: i64 = 1_000;
/// How often it is looked whether a bridge has come to its end after the stop.
const STOP_LOOK_MS: i64 = 50;

/// What is done with a bridge that is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Everything.
    Whole,
    /// A backfill alone.
    Backfill,
    /// An undo alone.
    Undo,
}

impl Task {
    /// Who does it, for people.
    pub fn told(self) -> &'static str {
        match self {
            Task::Whole => "a daemon",
            Task::Backfill => "a backfill",
            Task::Undo => "an undo",
        }
    }

    /// Works until the bridge's stop.
    pub async fn carry_out(self, bridge: &Bridge) {
        match self {
            Task::Whole => bridge.run().await,
            Task::Backfill => bridge.run_backfill().await,
            Task::Undo => bridge.run_undo().await,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the clock that goes on while the process stands still and cannot be set"
)]
fn monotonic() -> Instant {
    Instant::now()
}

/// Until when this node may believe in a lease.
pub struct LeaseClock {
    env: Arc<dyn Env>,
    until: Mutex<(Instant, Millis)>,
}

impl LeaseClock {
    fn new(env: Arc<dyn Env>, from: (Instant, Millis)) -> LeaseClock {
        LeaseClock { env, until: Mutex::new(end(from)) }
    }

    /// Both clocks must agree: one stands still while a machine sleeps, the other can be set.
    pub fn is_held(&self) -> bool {
        let (instant, wall) = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        monotonic() < instant && self.env.now() < wall
    }

    fn renew(&self, from: (Instant, Millis)) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = end(from);
    }
}

fn end((instant, wall): (Instant, Millis)) -> (Instant, Millis) {
    let lasts_ms = LEASE_MS - MARGIN_MS;
    (instant + Duration::from_millis(lasts_ms.unsigned_abs()), wall.plus(lasts_ms))
}

/// Sends only while the lease is held.
struct Guarded {
    transport: Arc<dyn Transport>,
    lease: Arc<LeaseClock>,
}

#[async_trait]
impl Transport for Guarded {
    async fn send(&self, request: RawRequest) -> Result<RawAnswer, TransportError> {
        if !self.lease.is_held() {
            return Err(TransportError::NotSent("this node's lease of the bridge has run out".to_owned()));
        }
        self.transport.send(request).await
    }
}

/// A bridge that is driven here.
struct Driving {
    epoch: i64,
    lease: Arc<LeaseClock>,
    lost: CancellationToken,
    task: JoinHandle<()>,
}

/// This node.
pub struct Nodes {
    /// The store, without a lease.
    pub store: PostgresStore,
    /// Bridges and their posts.
    pub posts: Vec<(BridgeConfig, Arc<Post>)>,
    /// The outside world, unguarded.
    pub outside: Outside,
    /// What is done with bridges.
    pub task: Task,
    /// This process, and no other ever.
    pub id: String,
    /// Where it listens, for people.
    pub at: String,
    /// Ends it.
    pub stop: CancellationToken,
    /// Where its tasks go.
    pub tasks: TaskTracker,
    /// Grows as long as it works.
    pub beats: Arc<AtomicU64>,
}

/// A name for this process, for the lease table.
pub fn node_id(env: &dyn Env) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "digits of chance")]
    let chance = (env.fraction() * 1e15) as u64;
    format!("{}-{:x}-{chance:x}", std::process::id(), env.now().0)
}

/// This machine and the address it listens on.
pub fn told_address(listen: std::net::SocketAddr) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{} ({listen})", host.trim())
}

impl Nodes {
    /// Takes, keeps and drives until `stop`; then finishes what is under way and gives the leases up.
    pub async fn run(self) {
        let mut driving: BTreeMap<String, Driving> = BTreeMap::new();
        let mut renewed = monotonic();
        loop {
            self.beats.fetch_add(1, Ordering::Relaxed);
            let is_stopping = self.stop.is_cancelled();
            if monotonic().duration_since(renewed).as_millis() >= u128::from(RENEW_MS.unsigned_abs()) {
                renewed = monotonic();
                self.renew(&mut driving).await;
            }
            self.leave_ended(&mut driving).await;
            if is_stopping && driving.is_empty() {
                return;
            }
            if !is_stopping {
                self.look(&mut driving).await;
            }
            let pause_ms = if is_stopping { STOP_LOOK_MS } else { LOOK_MS };
            tokio::select! {
                () = self.outside.env.sleep(pause_ms) => {}
                () = self.stop.cancelled(), if !is_stopping => {}
            }
        }
    }

    fn moment(&self) -> (Instant, Millis) {
        (monotonic(), self.outside.env.now())
    }

    /// Renews all leases; bridges that another node has taken are let go at once.
    async fn renew(&self, driving: &mut BTreeMap<String, Driving>) {
        if driving.is_empty() {
            return;
        }
        let from = self.moment();
        let mine: Vec<(String, i64)> = driving.iter().map(|(name, one)| (name.clone(), one.epoch)).collect();
        let renewed = self.store.renew_leases(&self.id, &mine, LEASE_MS).await;
        let Some(renewed) = self.noted(renewed, |post| post.current().is_some()) else { return };
        for (name, one) in driving.iter() {
            if renewed.contains(name) {
                one.lease.renew(from);
            } else {
                tracing::warn!(bridge = name, "another node has taken the bridge over; this one lets go of it");
                one.lost.cancel();
            }
        }
    }

    /// What the store said of leases; a failure is noted at the posts it concerns.
    fn noted<T>(&self, said: Stored<T>, concerns: impl Fn(&Post) -> bool) -> Option<T> {
        let now = self.outside.env.now();
        let trouble = said.as_ref().err().map(|error| (error.to_string(), now));
        for (_, post) in self.posts.iter().filter(|(_, post)| concerns(post)) {
            if post.is_troubled(trouble.clone()) {
                match &trouble {
                    Some((reason, _)) => {
                        tracing::error!(
                            bridge = post.name,
                            "leases cannot be asked for; nothing is sent once this node's has run out: {reason}"
                        )
                    }
                    None => tracing::info!(bridge = post.name, "leases can be asked for again"),
                }
            }
        }
        said.ok()
    }

    /// Bridges whose task has ended leave their post; after a stop their lease is given up.
    async fn leave_ended(&self, driving: &mut BTreeMap<String, Driving>) {
        let ended: Vec<String> =
            driving.iter().filter(|(_, one)| one.task.is_finished()).map(|(name, _)| name.clone()).collect();
        for name in ended {
            let Some(one) = driving.remove(&name) else { continue };
            self.store.drives(&name, false);
            if let Some((_, post)) = self.posts.iter().find(|(_, post)| post.name == name) {
                post.stand(None);
            }
            if !one.lost.is_cancelled()
                && let Err(error) = self.store.give_up_lease(&name, one.epoch).await
            {
                tracing::warn!(bridge = name, "the lease could not be given up; it ends by itself: {error}");
            }
        }
    }

    /// Takes what nobody drives.
    async fn look(&self, driving: &mut BTreeMap<String, Driving>) {
        if self.posts.iter().all(|(_, post)| driving.contains_key(&post.name)) {
            return;
        }
        let held = self.store.holders().await;
        let Some(held) = self.noted(held, |post| !driving.contains_key(&post.name)) else { return };
        for (config, post) in &self.posts {
            if driving.contains_key(&post.name) {
                continue;
            }
            let holder = held.iter().find(|holder| holder.bridge == post.name);
            post.is_elsewhere(holder.map(|holder| holder.at.clone()));
            if holder.is_none() {
                let from = self.moment();
                let taken = self.store.take_lease(&post.name, &self.id, &self.at, LEASE_MS).await;
                if let Some(Some(epoch)) = self.noted(taken, |one| one.name == post.name) {
                    self.begin(config, post, epoch, from, driving);
                }
            }
        }
    }

    fn begin(
        &self,
        config: &BridgeConfig,
        post: &Arc<Post>,
        epoch: i64,
        from: (Instant, Millis),
        driving: &mut BTreeMap<String, Driving>,
    ) {
        let lease = Arc::new(LeaseClock::new(Arc::clone(&self.outside.env), from));
        let transport = Guarded { transport: Arc::clone(&self.outside.transport), lease: Arc::clone(&lease) };
        let public_url = self.outside.public_url.clone();
        let outside = Outside { transport: Arc::new(transport), env: Arc::clone(&self.outside.env), public_url };
        let store: Arc<dyn Store> = Arc::new(self.store.under(epoch));
        let entrance = Entrance { meter: post.meter(), arrived: Arc::clone(&post.arrived), functions: None };
        let wired = match wire::bridge(config, entrance, store, &outside, self.stop.child_token()) {
            Ok(wired) => wired,
            Err(error) => {
                // The same was tried at the start.
                tracing::error!(bridge = post.name, "the bridge cannot be driven: {error:#}");
                return;
            }
        };
        tracing::info!(bridge = post.name, epoch, "this node drives the bridge");
        self.store.drives(&post.name, true);
        post.is_elsewhere(None);
        let watching = token::watch(&wired, Arc::clone(&outside.env), self.stop.child_token());
        post.stand(Some(Current { bridge: Arc::clone(&wired.bridge), lanes: wired.lanes, token: wired.token }));
        let lost = CancellationToken::new();
        let (bridge, given, task) = (wired.bridge, lost.clone(), self.task);
        let task = self.tasks.spawn(async move {
            let work = async {
                tokio::join!(task.carry_out(&bridge), watching);
            };
            // Without its lease a bridge is dropped where it stands: whoever drives it now looks at what was under way.
            tokio::select! {
                biased;
                () = given.cancelled() => {}
                () = work => {}
            }
        });
        driving.insert(post.name.clone(), Driving { epoch, lease, lost, task });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::env::SystemEnv;

    #[test]
    fn a_lease_is_believed_in_for_less_than_it_lasts() {
        let env: Arc<dyn Env> = Arc::new(SystemEnv);
        let now = (monotonic(), env.now());
        let lease = LeaseClock::new(Arc::clone(&env), now);
        assert!(lease.is_held());
        let ago = |ms: i64| (now.0 - Duration::from_millis(ms.unsigned_abs()), now.1.plus(-ms));
        lease.renew(ago(LEASE_MS - MARGIN_MS));
        assert!(!lease.is_held());
        // Whichever clock says so: the machine slept, or its clock was set.
        lease.renew((now.0, ago(LEASE_MS).1));
        assert!(!lease.is_held());
        lease.renew((ago(LEASE_MS).0, now.1));
        assert!(!lease.is_held());
    }
}
