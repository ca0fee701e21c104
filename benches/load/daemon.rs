//! The program under measurement: a folder with its configuration and database, and how it is asked.

use crate::Outcome;
use crate::process::{Process, until};
use crate::town::Address;
use salebridge::app::town::{BRIDGE, Pace, TownConfig};
use salebridge::sandbox::salebot::options::DEFAULT_KEY;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// In the address of the webhook.
pub const SECRET: &str = "measured-webhook-0123456789abcdef";
/// In the address of amoCRM's.
pub const AMO_SECRET: &str = "measured-amo-hook-0123456789abcdef";
/// Salebot as fast as it answers.
pub const SALEBOT_FREE: &str = "[bridge.salebot]\nrequests_per_second = 1000\nsave_variables_per_second = 1000\n";
/// Far longer than anything takes that is waited for.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// A folder with a configuration and its database.
pub struct Place {
    folder: TempDir,
    config: TownConfig,
}

impl Place {
    /// For a town; the daemon gets a port of its own.
    pub fn of(town: &Address, pace: Pace) -> Outcome<Place> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let config = TownConfig {
            store_url: format!("sqlite://{}", folder.path().join("salebridge.db").display()),
            listen: format!("127.0.0.1:{port}"),
            amo_url: town.amo.clone(),
            token: town.token.clone(),
            salebot_url: town.salebot.clone(),
            api_key: DEFAULT_KEY.to_owned(),
            webhook_secret: SECRET.to_owned(),
            pace,
        };
        let place = Place { folder, config };
        place.write(&place.text())?;
        Ok(place)
    }

    /// The configuration as it is made for the town.
    pub fn text(&self) -> String {
        self.config.text()
    }

    /// What differs from town to town in it.
    pub fn config(&self) -> &TownConfig {
        &self.config
    }

    /// Writes another one.
    pub fn write(&self, text: &str) -> Outcome<()> {
        // It holds secrets, and the program complains about others who may read it.
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        Ok(options.open(self.folder.path().join("salebridge.toml"))?.write_all(text.as_bytes())?)
    }

    /// Lets the bridge ask Salebot as fast as it answers.
    pub fn hurry(self) -> Outcome<Place> {
        self.write(&self.text().replace("[bridge.salebot]\n", SALEBOT_FREE))?;
        Ok(self)
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.folder.path().join("salebridge.db")
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where the daemon listens.
    pub fn address(&self) -> &str {
        &self.config.listen
    }

    /// The path of the webhook.
    pub fn hook_path(&self) -> String {
        hook_path(BRIDGE, SECRET)
    }

    /// The address of the webhook.
    pub fn hook(&self) -> String {
        format!("http://{}{}", self.config.listen, self.hook_path())
    }

    /// The command with this configuration.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_salebridge"));
        command.arg("--config").arg(self.folder.path().join("salebridge.toml")).args(arguments);
        command.env_remove("SALEBRIDGE_CONFIG").env_remove("JOURNAL_STREAM").env("NO_COLOR", "1");
        // As the service's unit does.
        command.env("MALLOC_ARENA_MAX", "2").stdin(Stdio::null());
        command
    }

    /// Starts a command; its words go to a file.
    pub fn start(&self, arguments: &[&str]) -> Outcome<Process> {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log"))?;
        Process::start(self.command(arguments).stdout(log.try_clone()?).stderr(log))
    }

    /// Starts the daemon and waits until it is ready.
    pub fn daemon(&self) -> Outcome<Process> {
        let daemon = self.start(&["run"])?;
        self.ready()?;
        Ok(daemon)
    }

    /// Waits until the daemon is ready.
    pub fn ready(&self) -> Outcome<Duration> {
        let is_ready = || self.get("/health/ready").is_some_and(|(status, _)| status == 200);
        until("the daemon is ready", DEADLINE, Duration::from_millis(2), is_ready).map_err(|error| self.told(&error))
    }

    /// Waits until it answers at all.
    pub fn live(&self) -> Outcome<Duration> {
        let is_live = || self.get("/health/live").is_some_and(|(status, _)| status == 200);
        until("the daemon is live", DEADLINE, Duration::from_millis(2), is_live).map_err(|error| self.told(&error))
    }

    /// Waits until nothing waits or runs.
    pub fn idle(&self, deadline: Duration) -> Outcome<Duration> {
        let look = Duration::from_millis(300);
        until("nothing waits", deadline, look, || self.is_idle()).map_err(|error| self.told(&error))
    }

    /// Whether `status` calls every bridge idle.
    fn is_idle(&self) -> bool {
        let Ok(output) = self.command(&["status", "--json"]).output() else { return false };
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        status["bridges"].as_array().is_some_and(|bridges| bridges.iter().all(|bridge| bridge["idle"] == true))
    }

    /// An error with what the program said last.
    pub fn told(&self, error: &impl std::fmt::Display) -> Box<dyn std::error::Error + Send + Sync> {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        format!("{error}\n{}", lines[lines.len().saturating_sub(10)..].join("\n")).into()
    }

    /// Status and body of an answer; none where nobody answers.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"))
    }

    /// The same for a body that is pushed.
    pub fn push(&self, path: &str, body: &str) -> Option<(u16, String)> {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}");
        self.exchange(&format!("{head}\r\n\r\n{body}"))
    }

    fn exchange(&self, request: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(self.address()).ok()?;
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
    }
}

/// The path of a bridge's webhook.
pub fn hook_path(bridge: &str, secret: &str) -> String {
    format!("/hooks/salebot/{bridge}/{secret}")
}

/// A port nobody uses at this moment.
pub fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
