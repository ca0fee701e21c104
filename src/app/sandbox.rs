//! The sandbox on its own: both services on loopback, for trying a configuration.

use crate::app::town::{self, Pace, TownConfig};
use crate::sandbox::faults::Faults;
use crate::sandbox::salebot::options::DEFAULT_KEY;
use crate::sandbox::town::{Chatter, Town, TownOptions};
use anyhow::Context;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// How often somebody writes, where people are to write.
const CHATTER_EVERY: Duration = Duration::from_secs(2);
/// After so many messages a manager edits something.
const EDIT_EVERY: usize = 3;
/// Contacts for each person who writes: most contacts of a business never do.
const CONTACTS_PER_PERSON: usize = 4;

/// What the sandbox is started with.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// amoCRM's port on 127.0.0.1; 0 takes a free one.
    pub amo_port: u16,
    /// Salebot's port.
    pub salebot_port: u16,
    /// People who may write.
    pub people: usize,
    /// Contacts of amoCRM; none: a few for each of the people.
    pub contacts: Option<usize>,
    /// Everybody has written before, and not only regulars.
    pub entered: bool,
    /// amoCRM takes any number of requests.
    pub unlimited: bool,
    /// The same seed makes the same people.
    pub seed: u64,
    /// A script of faults.
    pub faults: Option<PathBuf>,
    /// Where Salebot posts its messages.
    pub webhook: Option<String>,
    /// Whether people write and managers edit now and then.
    pub chatter: bool,
    /// Seconds an access token lives that OAuth gives.
    pub token_life_s: i64,
}

/// Runs until SIGINT or SIGTERM.
pub async fn run(options: &SandboxOptions) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let town = found(options).await?;
    if let Some(url) = &options.webhook {
        town.deliver_to(url)?;
    }
    introduce(&town, options);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = live(&town, options) => {}
    }
    let (said, counts) = (town.said().len(), town.deliveries());
    anstream::println!(
        "\n{said} messages were written; {} webhooks were delivered, {} not.",
        counts.delivered,
        counts.refused + counts.failed
    );
    town.close().await;
    Ok(())
}

async fn found(options: &SandboxOptions) -> anyhow::Result<Town> {
    let faults = match &options.faults {
        None => Faults::none(),
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            Faults::parse(&text).with_context(|| format!("{} is no script of faults", path.display()))?
        }
    };
    let mut town = TownOptions {
        seed: options.seed,
        contacts: options.contacts.unwrap_or(options.people.saturating_mul(CONTACTS_PER_PERSON)),
        people: options.people,
        amo_port: options.amo_port,
        salebot_port: options.salebot_port,
        ..TownOptions::new(town::clock())
    };
    town.amo.oauth.access_life_s = options.token_life_s;
    if options.unlimited {
        town.amo.limits.requests_per_second = None;
    }
    let town =
        Town::found(town, faults).await.context("use another --amo-port or --salebot-port, or 0 for a free one")?;
    if options.entered {
        for (number, person) in town.cast().people.iter().enumerate() {
            for door in 0..person.doors.len() {
                town.enter(number, door);
            }
        }
    }
    Ok(town)
}

/// Addresses and keys, and a configuration to begin with.
fn introduce(town: &Town, options: &SandboxOptions) {
    let (token, contacts) = town.look(|amo, _| (amo.options().token.clone(), amo.contact_count()));
    let config = TownConfig {
        store_url: "sqlite://salebridge.db".to_owned(),
        listen: "127.0.0.1:8080".to_owned(),
        amo_url: town.amo_url(),
        token,
        salebot_url: town.salebot_url(),
        api_key: DEFAULT_KEY.to_owned(),
        webhook_secret: EXAMPLE_SECRET.to_owned(),
        pace: Pace::Usual,
    };
    anstream::println!("amoCRM   {}   token {}   {contacts} contacts", config.amo_url, config.token);
    anstream::println!(
        "Salebot  {}   key {}   {} people",
        config.salebot_url,
        config.api_key,
        town.cast().people.len()
    );
    if options.webhook.is_none() {
        let url = format!("http://{}/hooks/salebot/{}/{EXAMPLE_SECRET}", config.listen, town::BRIDGE);
        anstream::println!("No webhooks are posted: name their address with --webhook {url}");
    }
    if !options.chatter {
        anstream::println!("Nobody writes on their own: --chatter makes them.");
    }
    introduce_oauth(town);
    anstream::println!("\nA configuration for it:\n\n{}", config.text());
    anstream::println!("Ctrl-C ends it.");
}

/// What is needed to try OAuth.
fn introduce_oauth(town: &Town) {
    let oauth = town.look(|amo, _| amo.options().oauth.clone());
    anstream::println!("\nTo try OAuth, write this instead of the token below, and then `salebridge auth login`:\n");
    anstream::println!(
        "[bridge.amo.oauth]\nclient_id = \"{}\"\nclient_secret = \"{}\"\nredirect_uri = \"{}\"\n",
        oauth.client_id,
        oauth.client_secret,
        oauth.redirect_uri
    );
    anstream::println!(
        "Its page agrees at once: the address in the `location` of `curl -i 'ADDRESS'` is what to paste. Access tokens live {} s.",
        oauth.access_life_s
    );
}

/// The sandbox's own address needs no real secret.
const EXAMPLE_SECRET: &str = "sandbox-0123456789abcdef0123456789";

/// Everyday life, if there is to be any; does not come back.
async fn live(town: &Town, options: &SandboxOptions) {
    if !options.chatter {
        return std::future::pending().await;
    }
    let mut chatter = Chatter::seeded(options.seed);
    for number in 1_usize.. {
        chatter.somebody_writes(town, number);
        if number.is_multiple_of(EDIT_EVERY) {
            chatter.somebody_edits(town);
        }
        tokio::time::sleep(CHATTER_EVERY).await;
    }
}
