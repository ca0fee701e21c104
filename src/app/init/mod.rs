//! `init`: from two addresses and two keys to a configuration that can be run.
//!
//! Both services are asked at once, so that a wrong key is told while it is at hand. The mapping is proposed by names
//! ([`crate::core::propose`]); what is not sure stands there as a comment.

mod files;
mod text;

pub use files::{Made, Plan, conflicts, secret_file};

use crate::app::doctor::{is_about_token, unreachable_remedy};
use crate::app::env::SystemEnv;
use crate::app::settings;
use crate::app::wire::{self, Asked, Outside};
use crate::config::{Api, Bridge};
use crate::core::fault::{Fault, FaultKind};
use crate::core::id::ClientId;
use crate::core::model::Account;
use crate::core::propose::{self, Proposal, Seen};
use crate::ports::remote::{Priority, Salebot, Wanted};
use crate::ports::store::Store;
use crate::remote::salebot::Channel;
use crate::store::memory::MemoryStore;
use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};
use std::path::Path;
use std::sync::Arc;

/// Requests a second to each service while setting up.
const REQUESTS_PER_SECOND: f64 = 5.0;
/// Clients whose variables and orders are looked at: the API lists neither names of variables nor stages.
const CLIENTS_SEEN: u32 = 8;
/// Orders of one client that are looked at.
const ORDERS_SEEN: usize = 2;

/// What has to be known of amoCRM to ask it.
#[derive(Debug, Clone)]
pub struct AmoAnswers {
    /// The account's address.
    pub url: String,
    /// The long-lived token.
    pub token: SecretString,
    /// The version of the API.
    pub api: Api,
}

/// What has to be known of Salebot to ask it.
#[derive(Debug, Clone)]
pub struct SalebotAnswers {
    /// The address of the API.
    pub url: String,
    /// The project's key.
    pub api_key: SecretString,
}

/// Why an answer was no good, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What happened.
    pub what: String,
    /// What to do.
    pub remedy: String,
    /// True: the token or key is at fault. False: the address, or the way to it.
    pub is_about_key: bool,
}

impl Refused {
    fn address(what: String, remedy: impl Into<String>) -> Refused {
        Refused { what, remedy: remedy.into(), is_about_key: false }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n  What to do: {}.", self.what, self.remedy)
    }
}

impl std::error::Error for Refused {}

/// What amoCRM told of itself.
#[derive(Debug, Clone)]
pub struct AmoSeen {
    /// In words: account and user.
    pub words: String,
    /// Fields, pipelines, users.
    pub account: Account,
}

/// What Salebot told of itself.
#[derive(Debug, Clone)]
pub struct SalebotSeen {
    /// Connected bots.
    pub channels: Vec<Channel>,
    /// What some clients and orders have.
    pub seen: Seen,
}

/// Whether amoCRM answers at an address, before somebody looks for the token: no token is right here, and any answer
/// about it will do.
pub async fn look_for_amo(url: &str, api: Api) -> Result<(), Refused> {
    let amo = AmoAnswers { url: url.to_owned(), token: SecretString::from("-"), api };
    let asked = asked(&amo, &SalebotAnswers { url: SALEBOT_URL.to_owned(), api_key: SecretString::from("-") })?;
    match asked.inquiry.standing().await {
        Err(fault) if !is_about_token(&fault) => Err(refused_amo(&fault)),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Asks amoCRM: address, token, then everything that the mapping is proposed from.
pub async fn look_at_amo(answers: &AmoAnswers) -> Result<AmoSeen, Refused> {
    let asked = asked(answers, &SalebotAnswers { url: SALEBOT_URL.to_owned(), api_key: SecretString::from("-") })?;
    let standing = asked.inquiry.standing().await.map_err(|fault| refused_amo(&fault))?;
    let account = asked.amo.account(Priority::Person).await.map_err(|fault| refused_amo(&fault))?;
    let user = standing.user.and_then(|user| user.name).map(|name| format!(", as {name}")).unwrap_or_default();
    Ok(AmoSeen { words: format!("account {} \"{}\"{user}", standing.account, standing.name), account })
}

/// Asks Salebot: address, key, channels, and what some clients and orders have.
pub async fn look_at_salebot(answers: &SalebotAnswers) -> Result<SalebotSeen, Refused> {
    let amo = AmoAnswers { url: "http://127.0.0.1:1".to_owned(), token: SecretString::from("-"), api: Api::V2 };
    let asked = asked(&amo, answers)?;
    let channels = asked.salebot.channels(Priority::Person).await.map_err(|fault| refused_salebot(&fault))?;
    let mut seen = Seen::default();
    // What cannot be read only makes the proposal poorer.
    if let Ok(page) = asked.salebot.clients(0, CLIENTS_SEEN, false, Priority::Person).await {
        for row in page.rows {
            see_client(&asked, row.client.id, &mut seen).await;
        }
    }
    Ok(SalebotSeen { channels, seen })
}

async fn see_client(asked: &Asked, client: ClientId, seen: &mut Seen) {
    let variables = asked.salebot.variables(client, Priority::Person).await.ok().flatten().unwrap_or_default();
    let mut of_orders = Vec::new();
    let orders = asked.salebot_deals.active_orders(client, Priority::Person).await.unwrap_or_default();
    for order in orders.into_iter().take(ORDERS_SEEN) {
        if let Ok(Some(order)) = asked.salebot_deals.order(client, order, Wanted::Anything, Priority::Person).await {
            seen.states.extend(order.state);
            of_orders.extend(order.variables.into_keys());
        }
    }
    // An answer about a client holds its order's variables too.
    seen.client_variables.extend(variables.into_keys().filter(|name| !of_orders.contains(name)));
    seen.order_variables.extend(of_orders);
}

/// The installation in Russia.
pub const SALEBOT_URL: &str = "https://chatter.salebot.pro";

fn asked(amo: &AmoAnswers, salebot: &SalebotAnswers) -> Result<Asked, Refused> {
    let failed = |error: anyhow::Error| Refused::address(format!("{error:#}"), "try again");
    let bridge = provisional(amo, salebot)?;
    let outside = Outside { transport: wire::transport().map_err(failed)?, env: Arc::new(SystemEnv), public_url: None };
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    Ok(wire::asked(&bridge, &store, &outside, REQUESTS_PER_SECOND))
}

/// A bridge of the answers alone, checked as any other.
fn provisional(amo: &AmoAnswers, salebot: &SalebotAnswers) -> Result<Bridge, Refused> {
    let quoted = text::quoted;
    let text = format!(
        "[[bridge]]\nname = \"new\"\n[bridge.amo]\nurl = {}\napi = \"{}\"\ntoken = {}\nrequests_per_second = 6\n\
         [bridge.salebot]\nurl = {}\napi_key = {}\nrequests_per_second = 5\nwebhook_secret = \"0123456789abcdef\"\n",
        quoted(&amo.url),
        text::api(amo.api),
        quoted(amo.token.expose_secret()),
        quoted(&salebot.url),
        quoted(salebot.api_key.expose_secret()),
    );
    let config = settings::read_text(Path::new("init.toml"), &text).map_err(|faults| {
        let fault = faults.list().first().cloned();
        let key = fault.as_ref().map(|fault| fault.path.replace("bridge[0].", "")).unwrap_or_default();
        let what = fault.as_ref().map(|fault| format!("{key} {}", fault.message)).unwrap_or_default();
        let remedy = fault.and_then(|fault| fault.help).unwrap_or_else(|| "correct it".to_owned());
        Refused { is_about_key: key.ends_with("token") || key.ends_with("api_key"), ..Refused::address(what, remedy) }
    })?;
    config.bridges.into_iter().next().ok_or_else(|| Refused::address("nothing to ask".to_owned(), "try again"))
}

fn refused_amo(fault: &Fault) -> Refused {
    let remedy = if is_about_token(fault) {
        "make a new long-lived token in amoCRM (settings, Integrations, your integration, Keys and access) and give it here"
    } else {
        unreachable_remedy(fault)
    };
    let refused = Refused::address(format!("amoCRM: {}", fault.reason), remedy);
    Refused { is_about_key: is_about_token(fault), ..refused }
}

fn refused_salebot(fault: &Fault) -> Refused {
    let remedy = if fault.kind == FaultKind::Auth {
        "copy the project's API key again (Salebot: project settings, Integrations, API keys); it needs the permissions \
         to read and change clients and the CRM. Projects abroad have another --salebot-url"
    } else {
        unreachable_remedy(fault)
    };
    let refused = Refused::address(format!("Salebot: {}", fault.reason), remedy);
    Refused { is_about_key: fault.kind == FaultKind::Auth, ..refused }
}

/// Everything a configuration is written from.
#[derive(Debug, Clone)]
pub struct Answers {
    /// The bridge's name.
    pub name: String,
    /// amoCRM.
    pub amo: AmoAnswers,
    /// Salebot.
    pub salebot: SalebotAnswers,
    /// How the world reaches the daemon.
    pub public_url: Option<String>,
    /// The address to listen on.
    pub listen: String,
    /// The address of the store.
    pub store_url: String,
}

/// What a mapping is proposed from.
#[derive(Debug, Clone)]
pub struct Findings {
    /// amoCRM's account.
    pub account: Account,
    /// Salebot's project.
    pub salebot: SalebotSeen,
}

impl Findings {
    /// The pairs to begin with.
    pub fn proposals(&self) -> Vec<Proposal> {
        propose::propose(&self.account, &self.salebot.seen)
    }
}

/// The text of the configuration, checked as it will be read: secrets stand in files beside it.
///
/// Errors: an answer that makes no sound configuration, such as a name with capital letters.
pub fn compose(output: &Path, answers: &Answers, findings: &Findings) -> anyhow::Result<String> {
    let text = text::compose(answers, findings);
    let checked = settings::check_shape(output, &text);
    checked
        .map_err(|faults| anyhow::anyhow!("{}", faults.render(false)))
        .context("this would be no sound configuration")?;
    Ok(text)
}

/// A secret that nobody guesses: 32 bytes from the system's source of chance, in hexadecimal.
pub fn new_secret() -> anyhow::Result<SecretString> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).context("the system gives no random numbers")?;
    Ok(SecretString::from(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}

/// Where the store goes unless it is named: the installed daemon's folder for an installed configuration, else beside it.
pub fn usual_store(output: &Path) -> String {
    if output.starts_with("/etc/salebridge") {
        return "sqlite:///var/lib/salebridge/salebridge.db".to_owned();
    }
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    format!("sqlite://{}", folder.join("salebridge.db").display())
}
