//! Bridges that a command drives itself, for one task, while no daemon runs.

use crate::app::env::SystemEnv;
use crate::app::lifecycle::STOP_TIMEOUT;
use crate::app::nodes::{self, Nodes, Task};
use crate::app::opened::Opened;
use crate::app::post::{Current, Post};
use crate::app::token;
use crate::app::wire::{self, Entrance, Lanes, Outside};
use crate::config::Config;
use crate::ports::store::StoreError;
use crate::store::Access;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Bridges that are driven here.
pub struct Driven {
    stop: CancellationToken,
    tasks: TaskTracker,
    posts: Vec<Arc<Post>>,
}

impl Driven {
    /// Requests granted and answers 429 so far.
    pub fn requests(&self) -> (u64, u64) {
        let lanes: Vec<Lanes> = self.posts.iter().filter_map(|post| Some(post.current()?.lanes)).collect();
        let reports = lanes.iter().flat_map(|lanes| lanes.reports().map(|(_, report)| report));
        reports.fold((0, 0), |(granted, throttled), report| (granted + report.granted, throttled + report.throttled))
    }

    /// What does not work at a bridge at the moment.
    pub fn fault(&self, bridge: &str) -> Option<String> {
        let post = self.posts.iter().find(|post| post.name == bridge)?;
        let health = post.current()?.bridge.health();
        let told = |part: &str, reason: &str| with_remedy(&format!("{part}: {reason}"), bridge);
        health.report().into_iter().find_map(|part| part.fault.map(|(reason, _)| told(&part.part, &reason)))
    }

    /// Something was asked for: it is looked at at once.
    pub fn wake(&self) {
        self.posts.iter().filter_map(|post| post.current()).for_each(|current| current.bridge.wake());
    }

    /// Ends it: what is under way is finished.
    pub async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(STOP_TIMEOUT, self.tasks.wait()).await.is_err() {
            tracing::warn!("work under way did not end in time; it is looked up at the next start");
        }
    }
}

/// What does not work, with what to do where it does not say so itself.
pub fn with_remedy(fault: &str, bridge: &str) -> String {
    match fault.contains("salebridge ") {
        true => fault.to_owned(),
        false => format!("{fault}; what to do: salebridge doctor --bridge {bridge}"),
    }
}

/// What does not work where a daemon carries out what was asked for: there is none any more.
pub async fn absence(opened: &Opened, bridge: &str) -> Option<String> {
    let told = "no daemon runs any more: start it (systemctl start salebridge), or end this command and type it again, \
                and it does the work itself";
    (!opened.is_driven(bridge).await).then(|| told.to_owned())
}

/// Opens the store. True in the second place when a daemon drives one of the bridges; else [`drive`] may.
pub async fn reach(config: &Config, bridges: &[String]) -> anyhow::Result<(Opened, bool)> {
    match Opened::open(config, Access::Driver).await {
        Ok(Opened::Postgres(store)) => {
            let held = store.holders().await?;
            let is_driven = held.iter().any(|holder| bridges.contains(&holder.bridge));
            Ok((Opened::Postgres(store), is_driven))
        }
        Ok(opened) => Ok((opened, false)),
        Err(error) if matches!(error.downcast_ref(), Some(StoreError::Driven(_))) => {
            Ok((Opened::open(config, Access::Shared).await?, true))
        }
        Err(error) => Err(error),
    }
}

/// Drives the bridges of a store that nobody drives.
pub fn drive(config: &Config, bridges: &[String], opened: &Opened, task: Task) -> anyhow::Result<Driven> {
    let outside = Outside { transport: wire::transport()?, env: Arc::new(SystemEnv), public_url: None };
    let mut own = Driven { stop: CancellationToken::new(), tasks: TaskTracker::new(), posts: Vec::new() };
    let mut posts = Vec::new();
    for settings in config.bridges.iter().filter(|settings| bridges.contains(&settings.name)) {
        let post = Arc::new(Post::new(&settings.name, None));
        let entrance = Entrance { arrived: Arc::clone(&post.arrived), ..Entrance::default() };
        let wired = wire::bridge(settings, entrance, opened.store(), &outside, own.stop.child_token())?;
        if let Opened::Sqlite(_) = opened {
            own.tasks.spawn(token::watch(&wired, Arc::clone(&outside.env), own.stop.child_token()));
            let bridge = Arc::clone(&wired.bridge);
            post.stand(Some(Current { bridge: wired.bridge, lanes: wired.lanes, token: wired.token }));
            own.tasks.spawn(async move { task.carry_out(&bridge).await });
        }
        own.posts.push(Arc::clone(&post));
        posts.push((settings.clone(), post));
    }
    if let Opened::Postgres(store) = opened {
        let nodes = Nodes {
            store: store.clone(),
            posts,
            id: nodes::node_id(outside.env.as_ref()),
            outside,
            task,
            at: task.told().to_owned(),
            stop: own.stop.clone(),
            tasks: own.tasks.clone(),
            beats: Arc::default(),
        };
        own.tasks.spawn(nodes.run());
    }
    Ok(own)
}
