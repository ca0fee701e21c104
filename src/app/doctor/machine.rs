//! The needs of this machine: secrets, disk, store, the daemon, its port.

use super::{Need, Subject};
use crate::app::{status, wire};
use crate::config::{Config, SecretSource, StoreUrl};
use crate::core::probe::Key;
use crate::inbound::{ServerLimits, probe_router, serve};
use crate::ports::store::Store;
use crate::store::memory::MemoryStore;
use crate::store::sqlite::{self, Examined};
use secrecy::ExposeSecret;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Less room than this is used up by one busy day.
const ROOM_WARNING_BYTES: u64 = 1 << 30;
/// Less room than this is as good as none.
const ROOM_MIN_BYTES: u64 = 64 << 20;

/// Who answers on `http.listen` during the examination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listener {
    /// A daemon.
    Daemon,
    /// A stand-in of ours that answers probes and nothing else.
    StandIn,
    /// Nobody who could.
    Nobody,
}

/// What the bridges' needs rest on.
pub(super) struct Machine {
    /// What was found.
    pub(super) needs: Vec<Need>,
    /// Who answers on `http.listen`.
    pub(super) listener: Listener,
    /// True when a daemon works with these accounts now.
    pub(super) is_driven: bool,
    /// Tokens of OAuth are kept there; an empty one where the configured one cannot be read.
    pub(super) store: Arc<dyn Store>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Machine {
    /// Tries everything that no bridge is needed for.
    pub(super) async fn examine(config: &Config) -> Machine {
        let mut needs = vec![secrets(config)];
        let (store, driver) = match &config.store {
            StoreUrl::Sqlite(path) => {
                let folder = folder_of(path);
                needs.push(disk(&folder));
                sqlite_store(path, &folder).await
            }
            StoreUrl::Postgres(_) => (other_store(config).await, None),
            StoreUrl::Unread => (Need::not_tried(Subject::STORE, "its address could not be read"), None),
        };
        needs.push(store);
        let is_live = status::ask_daemon(config).await.is_some();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let mut listener = Listener::Daemon;
        if is_live {
            needs.push(Need::fine(Subject::DAEMON, running(driver.as_deref())));
            needs.push(Need::fine(Subject::PORT, format!("{} answers", config.http.listen)));
        } else {
            needs.push(idle_daemon(driver.as_deref()));
            let (need, bound) = port(config.http.listen).await;
            needs.push(need);
            listener = if bound.is_some() { Listener::StandIn } else { Listener::Nobody };
            if let Some(bound) = bound {
                tasks.spawn(serve(bound, probe_router(keys(config)), stop.child_token(), ServerLimits::default()));
            }
        }
        tasks.close();
        let store = match wire::read_store(config).await {
            Ok(store) => store,
            Err(_) => Arc::new(MemoryStore::default()),
        };
        Machine { needs, listener, is_driven: is_live || driver.is_some(), store, stop, tasks }
    }

    /// Gives the port back.
    pub(super) async fn leave(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

fn keys(config: &Config) -> std::collections::BTreeMap<String, Key> {
    let key = |secret: &secrecy::SecretString| Key::of_secret(secret.expose_secret());
    config.bridges.iter().map(|bridge| (bridge.name.clone(), key(&bridge.salebot.webhook_secret))).collect()
}

fn secrets(config: &Config) -> Need {
    let unread: Vec<&str> =
        config.secrets.iter().filter(|source| !source.is_read).map(|source| source.key.as_str()).collect();
    if !unread.is_empty() {
        return Need::not_tried(Subject::SECRETS, format!("not all can be read: {}", unread.join(", ")));
    }
    if !config.warnings.is_empty() {
        let (what, remedy): (Vec<&str>, Vec<&str>) = config
            .warnings
            .iter()
            .map(|warning| warning.rsplit_once(": ").unwrap_or((warning.as_str(), "close it to other users")))
            .unzip();
        return Need::warning(Subject::SECRETS, what.join("; "), remedy.join("; "));
    }
    let of_group: Vec<String> = config
        .secrets
        .iter()
        .filter_map(|source| source.file.as_ref())
        .filter(|file| mode(file).is_some_and(|mode| mode & 0o022 != 0))
        .map(|file| file.display().to_string())
        .collect();
    if !of_group.is_empty() {
        let files = of_group.join(" ");
        return Need::warning(Subject::SECRETS, format!("others may change {files}"), format!("chmod go-w {files}"));
    }
    let has_file = |source: &&SecretSource| source.file.as_ref().is_some_and(|file| mode(file).is_some());
    let files = config.secrets.iter().filter(has_file).count();
    let variables = config.secrets.iter().filter(|source| source.file.is_none()).count();
    let found = match config.secrets.len() {
        0 => "all stand in the configuration itself, which only its owner and group can read".to_owned(),
        _ => format!("{files} in files that only their owner and group can read, {variables} in variables"),
    };
    Need::fine(Subject::SECRETS, found)
}

fn mode(file: &Path) -> Option<u32> {
    std::fs::metadata(file).ok().map(|metadata| metadata.permissions().mode())
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn disk(folder: &Path) -> Need {
    let Some(free) = sqlite::free_bytes(folder) else {
        return Need::not_tried(Subject::DISK, format!("{} is not there", folder.display()));
    };
    let found = format!("{} MiB free at {}", free >> 20, folder.display());
    let remedy = "make room there, or set store.url to a file on another disk";
    match free {
        0..ROOM_MIN_BYTES => Need::failed(Subject::DISK, found, remedy),
        ROOM_MIN_BYTES..ROOM_WARNING_BYTES => Need::warning(Subject::DISK, found, remedy),
        _ => Need::fine(Subject::DISK, found),
    }
}

/// The need, and who drives the file.
async fn sqlite_store(path: &Path, folder: &Path) -> (Need, Option<String>) {
    let shown = path.display();
    if !folder.is_dir() {
        let remedy =
            format!("mkdir -p {0} && chown salebridge {0}, or set store.url to a file elsewhere", folder.display());
        return (Need::failed(Subject::STORE, format!("the folder {} does not exist", folder.display()), remedy), None);
    }
    if let Err(error) = tempfile::tempfile_in(folder) {
        let remedy = format!(
            "give the folder to the user salebridge runs as (chown salebridge {}), and run this as that user",
            folder.display()
        );
        return (
            Need::failed(Subject::STORE, format!("nothing can be written in {}: {error}", folder.display()), remedy),
            None,
        );
    }
    if let Some(need) = not_ours(path) {
        return (need, None);
    }
    match sqlite::examine(path).await {
        Ok(None) => (Need::fine(Subject::STORE, format!("{shown} is not there yet; the first start makes it")), None),
        Ok(Some(found)) => (sqlite_file(path, &found), found.driver),
        Err(reason) => {
            let remedy =
                "if it is no database of salebridge, set store.url to another file; if it is one, put back a copy";
            (Need::failed(Subject::STORE, reason, remedy), None)
        }
    }
}

/// A command that somebody else typed, root above all, may have made the database or what stands beside it.
fn not_ours(path: &Path) -> Option<Need> {
    let beside = |ending: &str| PathBuf::from(format!("{}{ending}", path.display()));
    let closed = ["", "-wal", "-shm", ".lock"].map(beside).into_iter().find(|file| sqlite::is_closed(file))?;
    let what =
        format!("{} may not be written by this user: it belongs to another one, perhaps to root", closed.display());
    let remedy = format!(
        "give it to the user salebridge runs as (chown salebridge: {}*), and run this as that user (sudo -u salebridge …)",
        path.display()
    );
    Some(Need::failed(Subject::STORE, what, remedy))
}

fn sqlite_file(path: &Path, found: &Examined) -> Need {
    let shown = path.display();
    if let Some(damage) = &found.damage {
        let remedy = format!(
            "stop the daemon, keep a copy of {shown}, and put back a sound one; `salebridge backfill` reads the rest again"
        );
        return Need::failed(Subject::STORE, format!("{shown} is damaged: {damage}"), remedy);
    }
    if found.version > found.newest {
        let what = format!(
            "{shown} was used by a newer salebridge (migration {}, this one knows {})",
            found.version, found.newest
        );
        return Need::failed(Subject::STORE, what, "install that version or a later one");
    }
    if found.version < found.newest {
        let what = format!("{shown} is of an older version (migration {} of {})", found.version, found.newest);
        return Need::warning(Subject::STORE, what, "`salebridge migrate`, or the next start, brings it up to date");
    }
    if mode(path).is_some_and(|mode| mode & 0o007 != 0) {
        let what = format!("{shown} holds phone numbers and messages and is open to everybody");
        return Need::warning(Subject::STORE, what, format!("chmod o-rwx {shown}"));
    }
    let looked = if found.is_whole { "sound" } else { "too large to look through now" };
    Need::fine(Subject::STORE, format!("{shown}: {} MiB, {looked}, migration {}", found.bytes >> 20, found.version))
}

/// A store that is no file: it answers, or says why not.
async fn other_store(config: &Config) -> Need {
    match wire::read_store(config).await {
        Ok(_) => Need::fine(Subject::STORE, "the database answers"),
        Err(error) => Need::failed(Subject::STORE, format!("{error:#}"), "correct store.url, or start the database"),
    }
}

fn running(driver: Option<&str>) -> String {
    driver.map_or_else(|| "runs".to_owned(), |driver| format!("runs ({driver})"))
}

fn idle_daemon(driver: Option<&str>) -> Need {
    match driver {
        Some(driver) => Need::warning(
            Subject::DAEMON,
            format!("{driver} drives this store and does not answer on http.listen"),
            "if it was started with another http.listen, restart it; else see its log: journalctl -u salebridge",
        ),
        None => Need::fine(
            Subject::DAEMON,
            "does not run; start it with systemctl start salebridge, or with `salebridge run` where there is no service",
        ),
    }
}

/// Whether the port can be had; it is kept if so.
async fn port(address: SocketAddr) -> (Need, Option<TcpListener>) {
    match TcpListener::bind(address).await {
        Ok(bound) => (Need::fine(Subject::PORT, format!("{address} is free")), Some(bound)),
        Err(error) => {
            let (what, remedy) = match error.kind() {
                ErrorKind::AddrInUse => (
                    format!("{address} is taken, and no salebridge answers there"),
                    format!(
                        "see by whom (ss -ltnp 'sport = :{}'): systemd itself is the service's own socket, and why the service does not \
                         start stands in journalctl -u salebridge; another program is to be stopped, or http.listen set to another port",
                        address.port()
                    ),
                ),
                ErrorKind::AddrNotAvailable => (
                    format!("{} is no address of this machine", address.ip()),
                    "set http.listen to 127.0.0.1:8080, or to one of this machine's addresses".to_owned(),
                ),
                ErrorKind::PermissionDenied => (
                    format!("this user may not listen on port {}", address.port()),
                    "set http.listen to a port above 1023; a web server in front serves 443".to_owned(),
                ),
                _ => (format!("{address} cannot be had: {error}"), "set http.listen to another address".to_owned()),
            };
            (Need::failed(Subject::PORT, what, remedy), None)
        }
    }
}
