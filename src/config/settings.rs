//! The checked configuration: what the rest of the daemon reads.

use crate::core::policy::Policy;
use secrecy::SecretString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A configuration without faults. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the bridge keeps what it must not forget.
    pub store: StoreUrl,
    /// What the daemon serves.
    pub http: Http,
    /// What the daemon tells about itself.
    pub log: Log,
    /// The bridges, at least one, with different names.
    pub bridges: Vec<Bridge>,
    /// What is allowed but unwise, as sentences to show to the operator.
    pub warnings: Vec<String>,
    /// Where secrets stand that do not stand in the configuration itself, in its order.
    pub secrets: Vec<SecretSource>,
}

/// Where a secret stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSource {
    /// The key that names it: `bridge[0].amo.token`.
    pub key: String,
    /// Its file; none for an environment variable.
    pub file: Option<PathBuf>,
    /// False where it could not be read, which is a fault of its own.
    pub is_read: bool,
}

/// Which database, and where.
#[derive(Debug, Clone)]
pub enum StoreUrl {
    /// A file; a relative path counts from the working folder.
    Sqlite(PathBuf),
    /// A connection address, which may hold a password.
    Postgres(SecretString),
    /// The address stands in a file or a variable that was not read ([`super::Secrets::Shape`]).
    Unread,
}

/// What the daemon serves.
#[derive(Debug, Clone)]
pub struct Http {
    /// The address and port to listen on.
    pub listen: SocketAddr,
    /// How the world reaches the daemon: scheme, host and perhaps a port, no slash at the end.
    pub public_url: Option<String>,
    /// Opens `/metrics` from other machines; none: they are kept out.
    pub metrics_token: Option<SecretString>,
}

/// What the daemon tells about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Directives as `tracing`'s `EnvFilter` reads them: `info` or `info,salebridge::engine=debug`.
    pub level: String,
    /// The form of the lines.
    pub format: LogFormat,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// The journal's own under systemd, else text.
    Auto,
    /// Text for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// One amoCRM account, one Salebot project, and their mapping.
#[derive(Debug, Clone)]
pub struct Bridge {
    /// `[a-z0-9-]+`, different for each bridge.
    pub name: String,
    /// The amoCRM account.
    pub amo: Amo,
    /// The Salebot project.
    pub salebot: Salebot,
    /// The mapping.
    pub policy: Policy,
}

/// The amoCRM account of a bridge. Schedules are cron lines of six fields, the first of them seconds, in UTC.
#[derive(Debug, Clone)]
pub struct Amo {
    /// Scheme, host and perhaps a port, no slash at the end.
    pub url: String,
    /// Which version of the API contacts and leads are read with.
    pub api: Api,
    /// How requests are authorised.
    pub auth: AmoAuth,
    /// 1 to 7, not always whole.
    pub requests_per_second: f64,
    /// When to ask for changed contacts.
    pub poll_contacts: String,
    /// When to ask for changed leads.
    pub poll_leads: String,
    /// When to read everything.
    pub sweep: String,
    /// How far every poll reads back before its own last time; at least a second.
    pub overlap: Duration,
    /// The occasional longer look back.
    pub recheck: Recheck,
    /// In the address of `POST /hooks/amo/{bridge}/{secret}`; `None`: no such address.
    pub webhook_secret: Option<SecretString>,
}

/// A version of amoCRM's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// `/api/v2/…`
    V2,
    /// `/api/v4/…`
    V4,
}

/// How requests to amoCRM are authorised.
#[derive(Debug, Clone)]
pub enum AmoAuth {
    /// A long-lived token.
    Token(SecretString),
    /// An integration whose tokens are kept in the store.
    OAuth(OAuth),
}

/// An integration of amoCRM.
#[derive(Debug, Clone)]
pub struct OAuth {
    /// Its id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
    /// Its redirect address, letter by letter.
    pub redirect_uri: String,
}

/// The occasional longer look back of a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recheck {
    /// How often.
    pub every: Duration,
    /// How far back; not shorter than `every`, so that no time stays unread twice.
    pub window: Duration,
}

/// The Salebot project of a bridge.
#[derive(Debug, Clone)]
pub struct Salebot {
    /// Scheme, host and perhaps a port, no slash at the end.
    pub url: String,
    /// The project's API key.
    pub api_key: SecretString,
    /// In the address of `POST /hooks/salebot/{bridge}/{secret}`.
    pub webhook_secret: SecretString,
    /// Authorises `/functions/{bridge}/…`; `None`: no such addresses.
    pub functions_token: Option<SecretString>,
    /// All requests but `save_variables`; more than 0.
    pub requests_per_second: f64,
    /// `save_variables` requests; more than 0.
    pub save_variables_per_second: f64,
    /// Requests a day, `save_variables` not counted; `None`: no budget.
    pub daily_budget: Option<u64>,
    /// When to look for what was never delivered: a cron line of six fields, in UTC.
    pub reconcile: String,
}
