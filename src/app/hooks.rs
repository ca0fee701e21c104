//! The subscription to amoCRM's webhooks: looked at, made, completed, taken back. Other programs' are never touched.

use crate::app::dead_letters::bridges;
use crate::app::doctor::is_about_token;
use crate::app::env::SystemEnv;
use crate::app::wire::{self, Outside};
use crate::config::{AmoAuth, Bridge, Config};
use crate::core::fault::{Fault, FaultKind};
use crate::core::hint::{Destination, EVENTS, Standing};
use crate::ports::env::Env;
use crate::ports::remote::Priority;
use crate::ports::watch::AmoWatch;
use crate::remote::lane::{Lane, LaneOptions};
use anyhow::bail;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Requests a second of a command. A daemon on the same account may send up to seven at the same time, and does not know
/// of it: so few that together they stay below what brings a block.
const RATE: f64 = 1.0;

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Subscribe, or complete the subscription.
    Install,
    /// Say how it stands.
    Status,
    /// Take it back.
    Remove,
}

/// How it stands with one bridge now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The bridge.
    pub bridge: String,
    /// In words, a line each; no secrets.
    pub lines: Vec<String>,
    /// What was wanted is so.
    pub is_good: bool,
}

/// Carries out a wish for every bridge that has a secret for it, or for the one that is named.
///
/// Errors: no such bridge, no secret, no public address. What amoCRM refuses is told bridge by bridge.
pub async fn carry_out(config: &Config, only: Option<&str>, wish: Wish) -> anyhow::Result<Vec<Told>> {
    let named = bridges(config, only)?;
    let chosen: Vec<&Bridge> = config
        .bridges
        .iter()
        .filter(|bridge| named.contains(&bridge.name.as_str()))
        .filter(|bridge| only.is_some() || bridge.amo.webhook_secret.is_some())
        .collect();
    let Some(public_url) = config.http.public_url.as_deref() else {
        bail!("amoCRM must be told where to post: set http.public_url to the address under which the world reaches us");
    };
    if chosen.is_empty() {
        bail!("{NO_SECRET}");
    }
    let mut told = Vec::new();
    for bridge in chosen {
        let Some(destination) = wire::destination(bridge, Some(public_url)) else {
            bail!("bridge {}: {NO_SECRET}", bridge.name);
        };
        let watcher = watcher(config, bridge).await?;
        let mut one = match one(&watcher, &bridge.name, &destination, wish).await {
            Ok(told) => told,
            Err(fault) => Told { bridge: bridge.name.clone(), lines: vec![remedy(bridge, &fault)], is_good: false },
        };
        one.lines.extend(warnings(public_url, wish));
        told.push(one);
    }
    Ok(told)
}

const NO_SECRET: &str = "webhooks of amoCRM need a secret in their address: set amo.webhook_secret (make one with: \
                         openssl rand -hex 32) and restart the daemon";

async fn watcher(config: &Config, bridge: &Bridge) -> anyhow::Result<impl AmoWatch> {
    let env: Arc<dyn Env> = Arc::new(SystemEnv);
    let outside = Outside { transport: wire::transport()?, env: Arc::clone(&env), public_url: None };
    let options = LaneOptions { follows_another: true, ..LaneOptions::new(format!("amoCRM of {}", bridge.name), RATE) };
    let lane = Arc::new(Lane::new(options, env));
    let token = wire::token_for_command(config, bridge, &outside, &lane).await?;
    Ok(wire::watcher(bridge, token, &outside, &lane))
}

async fn one(amo: &impl AmoWatch, bridge: &str, destination: &Destination, wish: Wish) -> Result<Told, Fault> {
    let mut standing = look(amo, destination).await?;
    let mut lines = Vec::new();
    match wish {
        Wish::Status => {}
        Wish::Install => {
            if !standing.is_good() {
                install(amo, destination, &standing).await?;
                standing = look(amo, destination).await?;
                lines.push("amoCRM was asked to post to us".to_owned());
            }
        }
        Wish::Remove => return remove(amo, bridge, destination, standing).await,
    }
    lines.push(match &standing.own {
        Some(own) if standing.is_good() => {
            format!("subscribed: {} ({} events)", destination.masked(), own.events.len())
        }
        _ => format!("not in order: {}", destination.masked()),
    });
    lines.extend(standing.complaint(bridge));
    lines.extend(others(&standing, bridge));
    Ok(Told { bridge: bridge.to_owned(), lines, is_good: standing.is_good() })
}

async fn look(amo: &impl AmoWatch, destination: &Destination) -> Result<Standing, Fault> {
    Ok(Standing::of(destination, amo.subscriptions(Priority::Person).await?))
}

/// v4 replaces the events of an address, so what it was told of besides stays among them.
async fn install(amo: &impl AmoWatch, destination: &Destination, standing: &Standing) -> Result<(), Fault> {
    let mut events: BTreeSet<String> = EVENTS.iter().map(|event| (*event).to_owned()).collect();
    if let Some(own) = &standing.own {
        events.extend(own.events.iter().cloned());
        if own.is_disabled {
            // Whether asking again switches it on is not documented; a new one is on.
            amo.unsubscribe(&destination.url(), &own.events, Priority::Person).await?;
        }
    }
    amo.subscribe(&destination.url(), &events, Priority::Person).await
}

async fn remove(
    amo: &impl AmoWatch,
    bridge: &str,
    destination: &Destination,
    standing: Standing,
) -> Result<Told, Fault> {
    let is_there = standing.own.is_some();
    for own in standing.own.iter().chain(&standing.older) {
        amo.unsubscribe(&own.url, &own.events, Priority::Person).await?;
    }
    let left = look(amo, destination).await?;
    let is_good = left.own.is_none() && left.older.is_empty();
    let mut lines = vec![match (is_there, is_good) {
        (_, false) => {
            format!("amoCRM still posts to us: {}; remove it in its settings under Webhooks", destination.masked())
        }
        (true, true) => format!("removed: {}; polls find every change", destination.masked()),
        (false, true) => "nothing was subscribed".to_owned(),
    }];
    if !standing.older.is_empty() {
        lines.push(format!("removed {} of an older secret", standing.older.len()));
    }
    Ok(Told { bridge: bridge.to_owned(), lines, is_good })
}

/// Subscriptions that look like ours.
fn others(standing: &Standing, bridge: &str) -> Vec<String> {
    let mut lines = Vec::new();
    if !standing.older.is_empty() {
        lines.push(format!(
            "{} more with an older secret, which we refuse; clear away with: salebridge hooks remove --bridge {bridge}, then install",
            standing.older.len()
        ));
    }
    for place in &standing.elsewhere {
        lines.push(format!(
            "another address looks like ours and is left alone: {place}; if it is an old one, remove it in amoCRM's settings"
        ));
    }
    lines
}

/// What an operator can do about a refusal. A reason that names a command says all there is to do.
fn remedy(bridge: &Bridge, fault: &Fault) -> String {
    let login = format!("authorise again: salebridge auth login --bridge {}", bridge.name);
    let help = match (fault.kind, &bridge.amo.auth) {
        _ if fault.reason.contains("salebridge ") => return format!("amoCRM did not do it: {}", fault.reason),
        (FaultKind::Rejected, _) => {
            "webhooks are managed by administrators only (use an administrator's token) and need the plan \"Advanced\" or a \
             higher one; without them polls find every change all the same"
        }
        (FaultKind::Auth, AmoAuth::Token(_)) => "check amo.url and amo.token",
        (FaultKind::Auth, AmoAuth::OAuth(_)) if is_about_token(fault) => login.as_str(),
        (FaultKind::Auth, AmoAuth::OAuth(_)) => "check amo.url",
        (FaultKind::Blocked | FaultKind::Throttled { .. }, _) => "wait a while and try again",
        _ => "try again",
    };
    format!("amoCRM did not do it: {fault}; {help}")
}

/// What may keep amoCRM from reaching us.
fn warnings(public_url: &str, wish: Wish) -> Vec<String> {
    if wish == Wish::Remove {
        return Vec::new();
    }
    let mut lines = Vec::new();
    let host = public_url.split_once("://").map_or(public_url, |(_, rest)| rest);
    if public_url.starts_with("http://") {
        lines.push("warning: http.public_url is on this machine; amoCRM itself cannot reach it".to_owned());
    }
    if host.split(['.', ':']).any(|label| label.starts_with("xn--")) {
        lines.push(format!(
            "warning: amoCRM does not take addresses in Cyrillic; it is given {host}, the same in Latin letters (punycode). \
             If nothing arrives, use a name in Latin letters"
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_amocrm_may_not_reach_are_warned_of() {
        assert_eq!(warnings("https://bridge.example.ru", Wish::Install), Vec::<String>::new());
        assert!(warnings("http://127.0.0.1:8080", Wish::Status)[0].contains("on this machine"));
        assert!(warnings("https://xn--80aswg.xn--p1ai:8443", Wish::Install)[0].contains("punycode"));
        assert_eq!(warnings("http://127.0.0.1:8080", Wish::Remove), Vec::<String>::new());
    }
}
