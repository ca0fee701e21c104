//! Everything the demo runs: town, daemon, folder. And what can be seen of them.

use super::DemoOptions;
use super::view::Snapshot;
use crate::app::daemon::Daemon;
use crate::app::status;
use crate::app::telemetry;
use crate::app::town::{self, BRIDGE, Pace, TownConfig};
use crate::app::wire;
use crate::sandbox::amo::Amo;
use crate::sandbox::faults::Faults;
use crate::sandbox::salebot::Salebot;
use crate::sandbox::salebot::options::DEFAULT_KEY;
use crate::sandbox::town::{Town, TownOptions};
use anyhow::Context;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// Contacts the managers have entered.
const CONTACTS: usize = 200;
/// The demo listens on loopback only, so its secret need not be one.
const WEBHOOK_SECRET: &str = "demo-0123456789abcdef0123456789abcdef";
/// How much of the log is shown when the verdict fails.
const LOG_LINES_SHOWN: usize = 40;

/// Town and daemon at work.
pub(super) struct Stage {
    pub town: Town,
    daemon: Daemon,
    folder: Folder,
}

/// Where database and log lie.
enum Folder {
    Temporary(TempDir),
    Kept(PathBuf),
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Folder::Temporary(folder) => folder.path(),
            Folder::Kept(path) => path,
        }
    }
}

impl Stage {
    /// Founds the town, starts the daemon, and introduces Salebot to it.
    pub async fn build(options: &DemoOptions) -> anyhow::Result<Stage> {
        let folder = folder(options)?;
        let town_options = TownOptions {
            seed: options.seed,
            contacts: CONTACTS,
            people: options.people,
            ..TownOptions::new(town::clock())
        };
        let town = Town::found(town_options, Faults::none()).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no free port on 127.0.0.1")?;
        let address = listener.local_addr()?;
        let config = TownConfig {
            store_url: format!("sqlite://{}", folder.path().join("salebridge.db").display()),
            listen: address.to_string(),
            amo_url: town.amo_url(),
            token: town.look(|amo, _| amo.options().token.clone()),
            salebot_url: town.salebot_url(),
            api_key: DEFAULT_KEY.to_owned(),
            webhook_secret: WEBHOOK_SECRET.to_owned(),
            pace: Pace::Lively,
        };
        let file = folder.path().join("salebridge.toml");
        std::fs::write(&file, config.text()).with_context(|| format!("cannot write {}", file.display()))?;
        let checked = config.checked("salebridge.toml").map_err(|faults| anyhow::anyhow!(faults.render(false)))?;
        telemetry::start_in_file(&checked.log, &folder.path().join("salebridge.log"))?;
        let daemon = Daemon::start(&checked, Some(listener)).await?;
        town.deliver_to(&format!("http://{address}/hooks/salebot/{BRIDGE}/{WEBHOOK_SECRET}"))?;
        Ok(Stage { town, daemon, folder })
    }

    /// Where the daemon listens.
    pub fn address(&self) -> std::net::SocketAddr {
        self.daemon.address()
    }

    /// Where database, log and configuration lie, and whether they stay there.
    pub fn folder(&self) -> (&Path, bool) {
        (self.folder.path(), matches!(self.folder, Folder::Kept(_)))
    }

    /// What `status` says of the bridge.
    pub async fn status(&self) -> anyhow::Result<Value> {
        status::one(BRIDGE, self.daemon.store().as_ref(), None, wire::now()).await
    }

    /// Both sides and the daemon at this moment.
    pub async fn snapshot(&self) -> anyhow::Result<Snapshot> {
        let status = self.status().await?;
        let number = |name: &str| status[name].as_u64().unwrap_or(0);
        let lanes = self.daemon.insight().lanes(BRIDGE).unwrap_or_default();
        let lane = |name: &str| lanes[name]["state"].as_str().unwrap_or("–").to_owned();
        let said = self.town.said().len();
        let delivered = self.town.deliveries().delivered;
        Ok(self.town.look(|amo, salebot| Snapshot {
            contacts: amo.contact_count(),
            leads: amo.lead_count(),
            notes: amo.notes().count(),
            amo_requests: amo.statistics().requests,
            amo_peak: amo.statistics().peak_per_second,
            amo_lane: lane("amo"),
            clients: salebot.clients().count(),
            orders: order_count(salebot),
            messages: said,
            salebot_requests: salebot.statistics().total,
            salebot_lane: lane("salebot"),
            delivered,
            inbox: number("inbox"),
            outbox: number("outbox"),
            links: number("links"),
            dead_letters: number("dead_letters"),
        }))
    }

    /// Stops everything; shows the end of the log where that helps, and says where things stay.
    pub async fn strike(self, is_good: bool) {
        self.daemon.stop().await;
        self.town.close().await;
        if !is_good {
            show_log(&self.folder.path().join("salebridge.log"));
        }
        match self.folder {
            Folder::Kept(path) => {
                anstream::println!("\nConfiguration, database and log stay in {}.", path.display());
            }
            // What cannot be removed now is a temporary file like others.
            Folder::Temporary(folder) => drop(folder.close()),
        }
    }
}

fn folder(options: &DemoOptions) -> anyhow::Result<Folder> {
    let Some(path) = &options.keep else {
        return Ok(Folder::Temporary(tempfile::Builder::new().prefix("salebridge-demo").tempdir()?));
    };
    std::fs::create_dir_all(path).with_context(|| format!("cannot make the folder {}", path.display()))?;
    let database = path.join("salebridge.db");
    anyhow::ensure!(
        !database.exists(),
        "{} is there already: name an empty folder, a demo begins with an empty database",
        database.display()
    );
    Ok(Folder::Kept(path.canonicalize()?))
}

fn order_count(salebot: &Salebot) -> usize {
    salebot.clients().map(|client| client.orders.len()).sum()
}

fn show_log(path: &Path) {
    let Ok(text) = std::fs::read_to_string(path) else { return };
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LOG_LINES_SHOWN);
    anstream::println!("\nThe end of the daemon's log:");
    for line in &lines[from..] {
        anstream::println!("  {line}");
    }
}

/// Requests to both services that may change something there.
pub(super) fn writes(amo: &Amo, salebot: &Salebot) -> u64 {
    let posts = amo.statistics().by_route.iter().filter(|(route, _)| route.starts_with("POST "));
    let calls = salebot.statistics().by_action.iter().filter(|(action, _)| WRITING.contains(action));
    posts.map(|(_, count)| count).sum::<u64>() + calls.map(|(_, count)| count).sum::<u64>()
}

/// Salebot's actions that change something; all others only read.
const WRITING: [&str; 7] = [
    "save_variables",
    "create_order",
    "set_order_vars",
    "set_order_state",
    "move_order_to_next_state",
    "load_clients",
    "callback",
];
