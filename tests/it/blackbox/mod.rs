//! The real binary against a town in this process: what an operator sees, and what both services hold.
//!
//! Tests wait for a state with a deadline, never for a time.

mod backfill;
mod bridges;
mod commands;
mod crash;
mod dead_letters;
mod doctor;
mod explain;
mod first_run;
mod functions;
mod hooks;
mod messages;
mod metrics;
mod nodes;
mod oauth;
mod round_trip;
mod running;
mod secrets;
mod storm;
mod undo;
mod undo_killed;
mod verify;

use crate::version;
use assert_cmd::cargo::CommandCargoExt;
use salebridge::app::town::{self, BRIDGE, Pace, TownConfig};
use salebridge::sandbox::faults::Faults;
use salebridge::sandbox::salebot::options::DEFAULT_KEY;
use salebridge::sandbox::town::{Town, TownOptions};
use serde_json::Value;
use std::fs::File;
use std::future::Future;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a state may take to come: far longer than it ever does.
const DEADLINE: Duration = Duration::from_secs(60);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(50);
const SECRET: &str = "blackbox-webhook-0123456789abcdef";
const TOKEN: &str = "blackbox-token-0123456789abcdef";

/// A folder with a configuration, its database and its logs.
struct Place {
    folder: TempDir,
    port: u16,
    config: TownConfig,
}

impl Place {
    /// For services at these addresses; the daemon gets a port of its own.
    fn new(amo_url: &str, salebot_url: &str) -> Place {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let config = TownConfig {
            store_url: format!("sqlite://{}", folder.path().join("salebridge.db").display()),
            listen: format!("127.0.0.1:{port}"),
            amo_url: amo_url.to_owned(),
            token: TOKEN.to_owned(),
            salebot_url: salebot_url.to_owned(),
            api_key: DEFAULT_KEY.to_owned(),
            webhook_secret: SECRET.to_owned(),
            pace: Pace::Lively,
        };
        let place = Place { folder, port, config };
        place.write(&place.config.text());
        place
    }

    fn of_town(town: &Town) -> Place {
        Place::new(&town.amo_url(), &town.salebot_url())
    }

    /// The same with another version of amoCRM's API.
    fn speaking(self, api: &str) -> Place {
        self.write(&self.config.text().replace("[bridge.amo]\n", &format!("[bridge.amo]\napi = \"{api}\"\n")));
        self
    }

    /// The same with another store.
    fn keeping_in(mut self, url: &str) -> Place {
        self.config.store_url = url.to_owned();
        self.write(&self.config.text());
        self
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn file(&self) -> PathBuf {
        self.path().join("salebridge.toml")
    }

    /// Everything is logged: nothing of it may be a secret.
    fn write(&self, text: &str) {
        self.write_logging("info,salebridge=trace", "text", text);
    }

    fn write_logging(&self, level: &str, format: &str, text: &str) {
        let text = format!("[log]\nlevel = \"{level}\"\nformat = \"{format}\"\n\n{}", in_the_tests_version(text));
        std::fs::write(self.file(), text).expect("a configuration file");
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn hook(&self, secret: &str) -> String {
        self.url(&format!("/hooks/salebot/{BRIDGE}/{secret}"))
    }

    /// The command with this place's configuration.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = salebridge();
        command.arg("--config").arg(self.file()).args(arguments);
        command
    }

    /// Starts the daemon; its words go to a file.
    fn start(&self) -> Daemon {
        let log = File::options().create(true).append(true).open(self.log()).expect("a log file");
        let copy = log.try_clone().expect("the same log file");
        let mut command = self.command(&["run"]);
        let child = command.stdin(Stdio::null()).stdout(copy).stderr(log).spawn().expect("the daemon starts");
        Daemon { child }
    }

    fn log(&self) -> PathBuf {
        self.path().join("daemon.log")
    }

    fn logged(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// Status and body of an answer; none where nobody answers.
    async fn get(&self, path: &str) -> Option<(u16, String)> {
        let answer = client().get(self.url(path)).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    async fn post(&self, url: &str, body: Vec<u8>) -> Option<u16> {
        let answer = client().post(url).header("content-type", "application/json").body(body).send().await.ok()?;
        Some(answer.status().as_u16())
    }

    async fn is_live(&self) -> bool {
        self.get("/health/live").await.is_some_and(|(status, _)| status == 200)
    }

    async fn is_ready(&self) -> bool {
        self.get("/health/ready").await.is_some_and(|(status, _)| status == 200)
    }

    async fn live(&self) {
        eventually("the daemon is live", || self.is_live()).await;
    }

    async fn ready(&self) {
        eventually("the daemon is ready", || self.is_ready()).await;
    }

    /// What `status --json` says of the bridge.
    fn status(&self) -> Value {
        self.statuses().swap_remove(0)
    }

    /// The same of each of several bridges.
    fn statuses(&self) -> Vec<Value> {
        let output = self.command(&["status", "--json"]).output().expect("the command runs");
        assert!(output.status.success(), "{}", text(&output));
        let all: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        all["bridges"].as_array().cloned().expect("bridges")
    }

    async fn idle(&self) {
        eventually("nothing waits", || async { self.status()["idle"] == true }).await;
    }
}

/// `TEST_API=v4` has every test of this suite speak that version of amoCRM's API, but for those that name one.
fn in_the_tests_version(text: &str) -> String {
    if text.contains("\napi = \"") {
        return text.to_owned();
    }
    text.replace("[bridge.amo]\n", &format!("[bridge.amo]\napi = \"{}\"\n", version::spoken()))
}

/// A test that fails tells what the daemon said last: a machine elsewhere keeps nothing else.
impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logged = self.logged();
            let lines: Vec<&str> =
                logged.lines().filter(|line| !line.contains("TRACE") && !line.contains(" GET ")).collect();
            eprintln!("the daemon's last lines:\n{}", lines[lines.len().saturating_sub(80)..].join("\n"));
        }
    }
}

/// A running daemon; killed when a test ends early.
struct Daemon {
    child: Child,
}

impl Daemon {
    /// Asks it to stop, and waits until it has.
    async fn stop(mut self) -> ExitStatus {
        signal(&self.child, "TERM");
        self.ended().await
    }

    /// Waits until it has ended by itself.
    async fn ended(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("our own child") {
                return status;
            }
            assert!(began.elapsed() < DEADLINE, "the process has not ended");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Ends it with no chance to tidy up.
    fn kill(mut self) {
        self.child.kill().expect("our own child");
        self.child.wait().expect("our own child");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status();
    assert!(sent.expect("kill is there").success());
}

fn salebridge() -> Command {
    let mut command = Command::cargo_bin("salebridge").expect("the binary was built");
    command.env_remove("SALEBRIDGE_CONFIG").env_remove("JOURNAL_STREAM").env("NO_COLOR", "1");
    command
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn client() -> reqwest::Client {
    // Another test may have installed a provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().expect("a client")
}

/// A port that nobody uses, and that no other test gets. Below those that the system gives to connections and sandboxes: it
/// would give one of them away before the program that is to listen there has started.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    // Several processes of tests begin at different places.
    let begin = std::process::id().wrapping_mul(997);
    let mut ports = (0..COUNT).map(|_| FIRST + begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT);
    let free = ports.find_map(|port| {
        let port = u16::try_from(port).expect("a port");
        TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(port)
    });
    free.expect("a free port")
}

fn town_options() -> TownOptions {
    let mut options = TownOptions { seed: 7, contacts: 20, people: 10, ..TownOptions::new(town::clock()) };
    options.amo.token = TOKEN.to_owned();
    options
}

async fn found_town() -> Town {
    Town::found(town_options(), Faults::none()).await.expect("free ports")
}

/// Waits until it is so.
async fn eventually<F: Future<Output = bool>>(what: &str, holds: impl FnMut() -> F) {
    eventually_within(DEADLINE, what, holds).await;
}

/// The same with a deadline of its own.
async fn eventually_within<F: Future<Output = bool>>(deadline: Duration, what: &str, mut holds: impl FnMut() -> F) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < deadline, "not so in time: {what}");
        tokio::time::sleep(LOOK).await;
    }
}
