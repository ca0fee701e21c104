//! From a configuration to running parts.

use crate::app::opened::Opened;
use crate::config::{AmoAuth, Api, Bridge as BridgeConfig, Config, OAuth as OAuthConfig, StoreUrl};
use crate::core::flex::Notices;
use crate::core::hint::Destination;
use crate::core::policy::Trigger;
use crate::core::retry::RetryPolicy;
use crate::core::time::Millis;
use crate::engine::{Bridge, Parts, Timing, Watch};
use crate::inbound::{AmoReader, Door, SalebotDecoder};
use crate::ports::env::{Arrivals, Env};
use crate::ports::function::Functions;
use crate::ports::meter::{Meter, Sent, Traffic};
use crate::ports::remote::Amo;
use crate::ports::store::Store;
use crate::remote::amocrm::{
    AmoV2, AmoV4, Bearer, DatedToken, Dialect, Inquiry, Integration, OAuth, OAuthParts, TokenSource, Watcher,
};
use crate::remote::http::{ReqwestTransport, Transport};
use crate::remote::lane::{Lane, LaneOptions, LaneReport};
use crate::remote::salebot::{DealLanguage, SalebotApi, SalebotOptions};
use crate::store::Access;
use crate::store::postgres::PostgresStore;
use crate::store::sqlite::SqliteStore;
use anyhow::bail;
use secrecy::ExposeSecret;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Most bytes of an answer: a page of 500 contacts with many fields is about 2 MiB.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A bridge with what the outside needs of it.
pub struct Wired {
    /// The bridge.
    pub bridge: Arc<Bridge>,
    /// Its lanes.
    pub lanes: Lanes,
    /// Where its pushes come in.
    pub door: Door,
    /// Its token for amoCRM, to be seen to by `app::token::watch`.
    pub token: Arc<dyn TokenSource>,
}

/// What stands at a bridge's door whoever drives it.
#[derive(Default)]
pub struct Entrance {
    /// Counts what the bridge does; none: nobody watches.
    pub meter: Option<Arc<dyn Meter>>,
    /// Tells of what was received, and what could not be.
    pub arrived: Arc<Arrivals>,
    /// Who answers calls of bots; none: the bridge itself.
    pub functions: Option<Arc<dyn Functions>>,
}

/// What all bridges share of the outside world.
pub struct Outside {
    /// Sends requests.
    pub transport: Arc<dyn Transport>,
    /// Clock and chance.
    pub env: Arc<dyn Env>,
    /// How the world reaches us.
    pub public_url: Option<String>,
}

/// The lanes of a bridge.
#[derive(Clone)]
pub struct Lanes {
    /// amoCRM.
    pub amo: Arc<Lane>,
    /// Salebot.
    pub salebot: Arc<Lane>,
    /// Salebot's `save_variables`.
    pub save_variables: Arc<Lane>,
}

impl Lanes {
    /// By name, for `status`.
    pub fn reports(&self) -> [(&'static str, LaneReport); 3] {
        [
            ("amo", self.amo.report()),
            ("salebot", self.salebot.report()),
            ("save_variables", self.save_variables.report()),
        ]
    }
}

impl Traffic for Lanes {
    fn sent(&self) -> Sent {
        self.reports().iter().fold(Sent::default(), |sent, (_, report)| Sent {
            background: sent.background + report.background,
            throttled: sent.throttled + report.throttled,
        })
    }
}

/// Opens the store beside a running daemon. Commands that commit change only what the daemon leaves alone: dead
/// letters, and requests to it.
pub async fn read_store(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    Ok(Opened::open(config, Access::Shared).await?.store())
}

/// Brings the database to this version's form.
pub async fn migrate(config: &Config) -> anyhow::Result<()> {
    match &config.store {
        StoreUrl::Sqlite(path) => Ok(SqliteStore::migrate(path).await.map(|_| ())?),
        StoreUrl::Postgres(url) => Ok(PostgresStore::migrate(url.expose_secret()).await.map(|_| ())?),
        StoreUrl::Unread => bail!("store.url was not read"),
    }
}

/// The wall clock, for commands.
pub fn now() -> Millis {
    crate::app::env::SystemEnv.now()
}

/// The one client for all bridges.
pub fn transport() -> anyhow::Result<Arc<dyn Transport>> {
    // A second installation in one process (tests) finds the first one in place.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(Arc::new(ReqwestTransport::new(true, ANSWER_BYTES_MAX)?))
}

/// Puts a bridge together.
pub fn bridge(
    config: &BridgeConfig,
    entrance: Entrance,
    store: Arc<dyn Store>,
    outside: &Outside,
    stop: CancellationToken,
) -> anyhow::Result<Wired> {
    let Outside { transport, env, public_url } = outside;
    let lanes = lanes(config, env, &stop);
    let notices = Notices::new(own_callbacks(&config.policy.triggers));
    let Entrance { meter, arrived, functions } = entrance;
    let token = token_source(config, &store, outside, &lanes.amo, true);
    let bridge = Bridge::new(Parts {
        name: config.name.clone(),
        policy: config.policy.clone(),
        timing: timing(config),
        retry: RetryPolicy::default(),
        store,
        amo: amo(config, &token, outside, &lanes),
        salebot: Arc::new(salebot(config, transport, env, &lanes, notices.clone())),
        env: Arc::clone(env),
        decoder: Arc::new(SalebotDecoder::new(notices.clone())),
        arrived: Arc::clone(&arrived),
        stop,
    });
    let watch = Watch {
        reader: Arc::new(AmoReader),
        amo: Arc::new(watcher(config, Arc::clone(&token), outside, &lanes.amo)),
        destination: destination(config, public_url.as_deref()),
    };
    let bridge = bridge.watching(watch).telling(Arc::new(lanes.clone()));
    let bridge = Arc::new(match meter {
        Some(meter) => bridge.metered(meter),
        None => bridge,
    });
    let mut door = Door::new(&config.salebot.webhook_secret, arrived, notices);
    if let Some(token) = &config.salebot.functions_token {
        door = door.with_functions(token, functions.unwrap_or_else(|| Arc::clone(&bridge) as Arc<dyn Functions>));
    }
    if let Some(secret) = &config.amo.webhook_secret {
        door = door.with_amo_hooks(secret);
    }
    Ok(Wired { bridge, lanes, door, token })
}

/// Where amoCRM's webhooks come in; none without a secret or a public address.
pub(super) fn destination(config: &BridgeConfig, public_url: Option<&str>) -> Option<Destination> {
    let secret = config.amo.webhook_secret.as_ref()?;
    Some(Destination::new(public_url?, &config.name, secret.expose_secret()))
}

/// What the account tells on its own account.
pub(super) fn watcher(
    config: &BridgeConfig,
    token: Arc<dyn TokenSource>,
    outside: &Outside,
    lane: &Arc<Lane>,
) -> Watcher {
    let dialect = match config.amo.api {
        Api::V2 => Dialect::V2,
        Api::V4 => Dialect::V4,
    };
    let (transport, env) = (Arc::clone(&outside.transport), Arc::clone(&outside.env));
    Watcher::new(&config.amo.url, dialect, Arc::new(Bearer(token)), transport, Arc::clone(lane), env)
}

/// Both services of a bridge, for who asks beside a daemon and is no engine.
pub struct Asked {
    /// amoCRM, in the configured version.
    pub amo: Arc<dyn Amo>,
    /// Whose token it is.
    pub inquiry: Inquiry,
    /// Whether it tells us of changes.
    pub watcher: Watcher,
    /// Salebot.
    pub salebot: SalebotApi,
    /// Salebot once more, by a lane of its own: a refusal of one permission closes a lane, and must not hide another.
    pub salebot_deals: SalebotApi,
}

/// Puts both services of a bridge together, at most `requests_per_second` to each.
pub fn asked(config: &BridgeConfig, store: &Arc<dyn Store>, outside: &Outside, requests_per_second: f64) -> Asked {
    let Outside { transport, env, .. } = outside;
    let mut config = config.clone();
    for rate in [&mut config.amo.requests_per_second, &mut config.salebot.requests_per_second] {
        *rate = rate.min(requests_per_second);
    }
    let never = CancellationToken::new();
    let (own, deals) = (lanes(&config, env, &never), lanes(&config, env, &never));
    let notices = Notices::new(own_callbacks(&config.policy.triggers));
    // It looks at a token that is renewed by whoever drives the bridge.
    let token = token_source(&config, store, outside, &own.amo, false);
    let inquiry = Inquiry::new(
        &config.amo.url,
        Arc::new(Bearer(Arc::clone(&token))),
        Arc::clone(transport),
        Arc::clone(&own.amo),
        Arc::clone(env),
        config.amo.api == Api::V4,
    );
    Asked {
        amo: amo(&config, &token, outside, &own),
        watcher: watcher(&config, token, outside, &own.amo),
        inquiry,
        salebot: salebot(&config, transport, env, &own, notices.clone()),
        salebot_deals: salebot(&config, transport, env, &deals, notices),
    }
}

/// How the callbacks we send begin, so that they are no messages when they come back. Only a first
/// word that no person would write is taken: one with an underscore.
fn own_callbacks(triggers: &[Trigger]) -> Vec<String> {
    let head = |trigger: &Trigger| {
        let fixed = trigger.callback.split("{{").next().and_then(|fixed| fixed.split("{%").next()).unwrap_or_default();
        let word = fixed.split_whitespace().next().unwrap_or_default().to_owned();
        (word.contains('_') && word.len() >= 5).then(|| format!("{word}*"))
    };
    triggers.iter().filter_map(head).collect()
}

fn lanes(config: &BridgeConfig, env: &Arc<dyn Env>, stop: &CancellationToken) -> Lanes {
    let lane =
        |options: LaneOptions| Arc::new(Lane::new(LaneOptions { stop: stop.clone(), ..options }, Arc::clone(env)));
    let name = &config.name;
    Lanes {
        amo: lane(LaneOptions {
            follows_another: true,
            ..LaneOptions::new(format!("amoCRM of {name}"), config.amo.requests_per_second)
        }),
        salebot: lane(LaneOptions {
            daily_budget: config.salebot.daily_budget,
            ..LaneOptions::new(format!("Salebot of {name}"), config.salebot.requests_per_second)
        }),
        save_variables: lane(LaneOptions::new(
            format!("Salebot variables of {name}"),
            config.salebot.save_variables_per_second,
        )),
    }
}

/// The integration of a bridge that authorises by OAuth, with the account's address.
pub fn integration(config: &BridgeConfig, configured: &OAuthConfig) -> Integration {
    let OAuthConfig { client_id, client_secret, redirect_uri } = configured.clone();
    Integration { url: config.amo.url.clone(), client_id, client_secret, redirect_uri }
}

/// Where a bridge's tokens come from. `renews`: true for who drives the bridge, false for everybody else.
pub fn token_source(
    config: &BridgeConfig,
    store: &Arc<dyn Store>,
    outside: &Outside,
    lane: &Arc<Lane>,
    renews: bool,
) -> Arc<dyn TokenSource> {
    match &config.amo.auth {
        AmoAuth::Token(token) => Arc::new(DatedToken::new(token.clone(), Arc::clone(&outside.env))),
        AmoAuth::OAuth(configured) => {
            let parts = OAuthParts { renews, ..oauth_parts(config, store, outside, lane) };
            Arc::new(OAuth::new(integration(config, configured), parts))
        }
    }
}

/// The token for a command beside whoever drives the bridge. Only OAuth needs the store for it, which may not be there
/// before the daemon was started once.
pub(super) async fn token_for_command(
    config: &Config,
    bridge: &BridgeConfig,
    outside: &Outside,
    lane: &Arc<Lane>,
) -> anyhow::Result<Arc<dyn TokenSource>> {
    match &bridge.amo.auth {
        AmoAuth::Token(token) => Ok(Arc::new(DatedToken::new(token.clone(), Arc::clone(&outside.env)))),
        AmoAuth::OAuth(_) => Ok(token_source(bridge, &read_store(config).await?, outside, lane, false)),
    }
}

/// What asks for tokens works with.
pub fn oauth_parts(config: &BridgeConfig, store: &Arc<dyn Store>, outside: &Outside, lane: &Arc<Lane>) -> OAuthParts {
    OAuthParts {
        bridge: config.name.clone(),
        store: Arc::clone(store),
        lane: Arc::clone(lane),
        transport: Arc::clone(&outside.transport),
        env: Arc::clone(&outside.env),
        renews: true,
    }
}

fn amo(config: &BridgeConfig, token: &Arc<dyn TokenSource>, outside: &Outside, lanes: &Lanes) -> Arc<dyn Amo> {
    let bearer = Arc::new(Bearer(Arc::clone(token)));
    let (url, lane) = (&config.amo.url, Arc::clone(&lanes.amo));
    let (transport, env) = (Arc::clone(&outside.transport), Arc::clone(&outside.env));
    match config.amo.api {
        Api::V2 => Arc::new(AmoV2::new(url, bearer, transport, lane, env)),
        Api::V4 => Arc::new(AmoV4::new(url, bearer, transport, lane, env)),
    }
}

fn salebot(
    config: &BridgeConfig,
    transport: &Arc<dyn Transport>,
    env: &Arc<dyn Env>,
    lanes: &Lanes,
    notices: Notices,
) -> SalebotApi {
    let options = SalebotOptions {
        url: config.salebot.url.clone(),
        api_key: config.salebot.api_key.clone(),
        language: DealLanguage::of_url(&config.salebot.url),
        notices,
        lane: Arc::clone(&lanes.salebot),
        save_lane: Arc::clone(&lanes.save_variables),
    };
    SalebotApi::new(options, Arc::clone(transport), Arc::clone(env))
}

fn timing(config: &BridgeConfig) -> Timing {
    let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    Timing {
        poll_contacts: config.amo.poll_contacts.clone(),
        poll_leads: config.amo.poll_leads.clone(),
        sweep: config.amo.sweep.clone(),
        reconcile: config.salebot.reconcile.clone(),
        overlap_ms: millis(config.amo.overlap),
        recheck_every_ms: millis(config.amo.recheck.every),
        recheck_window_ms: millis(config.amo.recheck.window),
    }
}
