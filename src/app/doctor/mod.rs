//! `doctor`: tries each need of a configuration in turn and says what to do about what is missing.
//!
//! A need that fails makes only those that rest on it "not tried", so that one run shows everything. Both services
//! are asked through the normal adapters and lanes, with few requests, and nothing is written anywhere.

mod amo;
mod hooks;
mod machine;
mod mapping;
mod salebot;
mod subject;
mod webhook;

pub use amo::{is_about_token, unreachable_remedy};
pub use subject::Subject;
pub use webhook::address as webhook_address;

use crate::app::settings;
use crate::app::wire::{self, Asked, Outside};
use crate::config::{Bridge, Config, Faults};
use crate::core::time::{CLOCK_OFF_MS, Millis};
use futures::stream::{self, StreamExt};
use machine::Machine;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// Why nothing is tried, and nothing told but this.
pub const UNSOUND: &str = "the configuration must be sound first";
/// Bridges that are tried at the same time.
const BRIDGES_AT_ONCE: usize = 4;
/// Requests a second to each service, beside a daemon that has its own.
const ASKED_PER_SECOND: f64 = 1.0;
/// The same where no daemon runs; the configured rate holds where it is lower.
const ALONE_PER_SECOND: f64 = 5.0;
/// amoCRM's limit (amoCRM reference, limits).
const AMO_LIMIT_PER_SECOND: f64 = 7.0;

/// How a need stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It is met.
    Fine,
    /// It could not be tried, or need not be.
    NotTried,
    /// It is met, and something may not be as it was meant.
    Warning,
    /// It is not met.
    Failed,
}

impl Outcome {
    /// The word for programs.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Fine => "ok",
            Outcome::NotTried => "not_tried",
            Outcome::Warning => "warning",
            Outcome::Failed => "failed",
        }
    }

    /// The sign for people.
    pub fn sign(self) -> &'static str {
        match self {
            Outcome::Fine => "✓",
            Outcome::NotTried => "–",
            Outcome::Warning => "!",
            Outcome::Failed => "✗",
        }
    }
}

/// One need and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Of which bridge; none for the machine's.
    pub bridge: Option<String>,
    /// What it is about.
    pub subject: Subject,
    /// How it stands.
    pub outcome: Outcome,
    /// What was found.
    pub found: String,
    /// What to do; none where nothing is to be done.
    pub remedy: Option<String>,
}

impl Need {
    fn new(subject: Subject, outcome: Outcome, found: impl Into<String>, remedy: Option<String>) -> Need {
        Need { bridge: None, subject, outcome, found: found.into(), remedy }
    }

    fn fine(subject: Subject, found: impl Into<String>) -> Need {
        Need::new(subject, Outcome::Fine, found, None)
    }

    fn warning(subject: Subject, found: impl Into<String>, remedy: impl Into<String>) -> Need {
        Need::new(subject, Outcome::Warning, found, Some(remedy.into()))
    }

    fn failed(subject: Subject, found: impl Into<String>, remedy: impl Into<String>) -> Need {
        Need::new(subject, Outcome::Failed, found, Some(remedy.into()))
    }

    fn not_tried(subject: Subject, reason: impl Into<String>) -> Need {
        Need::new(subject, Outcome::NotTried, reason, None)
    }

    fn of(self, bridge: &str) -> Need {
        Need { bridge: Some(bridge.to_owned()), ..self }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "bridge": self.bridge,
            "need": self.subject.key,
            "outcome": self.outcome.name(),
            "found": self.found,
            "why": self.subject.why,
            "remedy": self.remedy,
        })
    }
}

/// What became of an examination.
#[derive(Debug)]
pub struct Diagnosis {
    /// Every need, in the order in which they were tried.
    pub needs: Vec<Need>,
    /// What is wrong with the configuration.
    pub faults: Option<Faults>,
}

impl Diagnosis {
    /// True when nothing failed.
    pub fn is_well(&self) -> bool {
        self.faults.is_none() && self.count(Outcome::Failed) == 0
    }

    /// How many needs stand so.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.needs.iter().filter(|need| need.outcome == outcome).count()
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let needs: Vec<Value> = self.needs.iter().map(Need::json).collect();
        json!({ "ok": self.is_well(), "needs": needs })
    }
}

/// Tries everything that the file asks for, or what one bridge of it does; `tell` hears of each need as soon as it
/// was tried.
///
/// Errors: there is no such bridge.
pub async fn examine(path: &Path, only: Option<&str>, tell: &mut dyn FnMut(&Need)) -> anyhow::Result<Diagnosis> {
    let (config, faults) = settings::read_partly(path);
    let mut needs = Vec::new();
    let mut add = |need: Need, needs: &mut Vec<Need>| {
        tell(&need);
        needs.push(need);
    };
    add(configuration(path, config.as_ref(), faults.as_ref()), &mut needs);
    let Some(config) = config else {
        needs.extend(Subject::ALL.iter().map(|subject| Need::not_tried(*subject, UNSOUND)));
        return Ok(Diagnosis { needs, faults });
    };
    let names: Vec<&str> = config.bridges.iter().map(|bridge| bridge.name.as_str()).collect();
    if let Some(only) = only.filter(|only| !names.contains(only)) {
        anyhow::bail!("there is no bridge {only}: the configuration has {}", names.join(", "));
    }
    let mut machine = Machine::examine(&config).await;
    for need in std::mem::take(&mut machine.needs) {
        add(need, &mut needs);
    }
    let chosen: Vec<&Bridge> = config.bridges.iter().filter(|one| only.is_none_or(|only| one.name == only)).collect();
    let mut examined = stream::iter(chosen).map(|one| bridge(&config, one, &machine)).buffered(BRIDGES_AT_ONCE);
    while let Some((name, found)) = examined.next().await {
        for need in found {
            add(need.of(&name), &mut needs);
        }
    }
    drop(examined);
    machine.leave().await;
    Ok(Diagnosis { needs, faults })
}

fn configuration(path: &Path, config: Option<&Config>, faults: Option<&Faults>) -> Need {
    match (config, faults) {
        (_, Some(faults)) => {
            let first = faults.list().first();
            let told = first.map(|fault| match fault.path.as_str() {
                "" => fault.message.clone(),
                path => format!("{path}: {}", fault.message),
            });
            let help = first.and_then(|fault| fault.help.clone());
            let all = format!("`salebridge --config {} config check` shows each with its line", path.display());
            let remedy = help.map_or(all.clone(), |help| format!("{help}; {all}"));
            let count = faults.count();
            let plural = if count == 1 { "fault" } else { "faults" };
            Need::failed(
                Subject::CONFIGURATION,
                format!("{count} {plural}; the first: {}", told.unwrap_or_default()),
                remedy,
            )
        }
        (Some(config), None) => {
            let count = config.bridges.len();
            let bridges = if count == 1 { "1 bridge".to_owned() } else { format!("{count} bridges") };
            Need::fine(Subject::CONFIGURATION, format!("{}: {bridges}", path.display()))
        }
        (None, None) => Need::failed(Subject::CONFIGURATION, "nothing could be read", "see `salebridge config check`"),
    }
}

/// Tries both services of a bridge side by side, then what rests on both.
async fn bridge(config: &Config, bridge: &Bridge, machine: &Machine) -> (String, Vec<Need>) {
    let mut needs = Vec::new();
    let asked = ask(bridge, machine);
    match &asked {
        Ok(asked) => {
            let (of_amo, of_salebot) = futures::join!(
                amo::examine(bridge, asked),
                salebot::examine(bridge, &asked.salebot, &asked.salebot_deals)
            );
            needs.extend(of_amo.needs);
            let samples = of_salebot.samples;
            needs.extend(mapping::examine(bridge, of_amo.account.as_ref(), &samples));
            needs.extend(of_salebot.needs);
        }
        Err((what, remedy)) => needs.push(Need::failed(Subject::AMO, what, remedy)),
    }
    needs.push(webhook::examine(config, bridge, machine).await);
    needs.push(hooks::functions(config, bridge));
    let watcher = asked.as_ref().ok().map(|asked| &asked.watcher);
    needs.push(hooks::amo_subscription(config, bridge, watcher).await);
    (bridge.name.clone(), needs)
}

/// The services, asked so slowly that amoCRM's limit holds together with a running daemon.
fn ask(bridge: &Bridge, machine: &Machine) -> Result<Asked, (String, String)> {
    let rate = rate(bridge, machine.is_driven)?;
    let failed = |error: anyhow::Error| (format!("{error:#}"), "correct the configuration".to_owned());
    let transport = wire::transport().map_err(failed)?;
    let outside = Outside { transport, env: Arc::new(crate::app::env::SystemEnv), public_url: None };
    Ok(wire::asked(bridge, &machine.store, &outside, rate))
}

/// Requests a second to each service. Errors: the daemon leaves no room; what was found, what to do.
pub(super) fn rate(bridge: &Bridge, is_driven: bool) -> Result<f64, (String, String)> {
    let room = AMO_LIMIT_PER_SECOND - bridge.amo.requests_per_second;
    Ok(match is_driven {
        true if room < ASKED_PER_SECOND / 4.0 => {
            let found = "the running daemon may use all seven requests a second that amoCRM allows";
            return Err((found.to_owned(), "set amo.requests_per_second = 6, or stop the daemon for this".to_owned()));
        }
        true => room.min(ASKED_PER_SECOND),
        false => ALONE_PER_SECOND,
    })
}

/// How far a server's clock is from ours. `before` and `after`: ours around the request.
fn clock(subject: Subject, server: Option<Millis>, before: Millis, after: Millis) -> Need {
    let Some(server) = server else {
        return Need::not_tried(subject, "the answer does not tell the server's time");
    };
    let ahead_ms = Millis::ahead_of(server, before, after);
    let skew_s = (ahead_ms.saturating_abs() + 999) / 1000;
    let side = Millis::side_of(ahead_ms);
    let found = format!("this machine's clock is {skew_s} s {side} the server's");
    let remedy = "set the clock by the network: timedatectl set-ntp true";
    match skew_s {
        0..=2 => Need::fine(subject, "the same time to within two seconds"),
        3..=SKEW_WARNING_S => Need::fine(subject, found),
        _ if skew_s <= SKEW_MAX_S => Need::warning(subject, found, remedy),
        _ => Need::failed(subject, found, remedy),
    }
}

/// More than this is no network's delay.
const SKEW_WARNING_S: i64 = 10;
/// What is further off than this fails.
const SKEW_MAX_S: i64 = CLOCK_OFF_MS / 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_compared_around_the_request() {
        let at = |server: i64| {
            let server = Some(Millis::from_seconds(server));
            clock(Subject::AMO_CLOCK, server, Millis::from_seconds(1_000), Millis::from_seconds(1_030)).outcome
        };
        // A slow answer is no wrong clock.
        for (server, outcome) in [
            (1_000, Outcome::Fine),
            (1_030, Outcome::Fine),
            (999, Outcome::Fine),
            (1_090, Outcome::Warning),
            (900, Outcome::Warning),
            (2_000, Outcome::Failed),
            (500, Outcome::Failed),
        ] {
            assert_eq!(at(server), outcome, "{server}");
        }
        assert_eq!(clock(Subject::AMO_CLOCK, None, Millis(0), Millis(0)).outcome, Outcome::NotTried);
    }
}
