//! Decides whether a configuration of the right shape makes sense, and builds what the daemon reads.
//!
//! Every part is looked at even when another is at fault, so that one report names all of them.

pub(super) mod address;
mod bounds;
mod policy;
mod rules;
mod schedule;
mod service;

use super::read::Secret;
use super::report::{At, Report};
use super::secret::Fetched;
use super::settings::{Bridge, Config, Http, Log, SecretSource, StoreUrl};
use super::{Checks, raw};
use crate::core::nearest::nearest;
use secrecy::{ExposeSecret, SecretString};
use std::net::SocketAddr;
use std::path::Path;

/// More bridges than this would not share one machine's lanes well.
const BRIDGES_MAX: usize = 1000;

/// Longer names make unreadable addresses, logs and metrics.
const NAME_CHARS_MAX: usize = 64;
/// Names of bridges.
const NAMES: &str = "for example: shop, shop-2";

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The check of one configuration and what it has found so far.
pub(super) struct Checker<'a> {
    pub(super) checks: &'a Checks<'a>,
    pub(super) folder: &'a Path,
    pub(super) report: Report,
    pub(super) warnings: Vec<String>,
    /// The secrets of all addresses that we serve, and the keys they stand under.
    pub(super) webhook_secrets: Vec<(SecretString, String)>,
    /// True when a secret stands in the configuration itself.
    pub(super) has_literals: bool,
    /// Where the secrets stand that stand elsewhere.
    pub(super) sources: Vec<SecretSource>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(checks: &'a Checks<'a>, folder: &'a Path, report: Report) -> Self {
        Self {
            checks,
            folder,
            report,
            warnings: Vec::new(),
            webhook_secrets: Vec::new(),
            has_literals: false,
            sources: Vec::new(),
        }
    }

    /// The faults, and whether secrets stand in the configuration itself.
    pub(super) fn finish(self) -> (Report, bool) {
        (self.report, self.has_literals)
    }

    /// The checked configuration; `None` when a part of it is at fault.
    pub(super) fn config(&mut self, root: &raw::Root) -> Option<Config> {
        let store = root.store.as_ref().and_then(|store| self.store(&store.value));
        let http = root.http.as_ref().and_then(|http| self.http(&http.value));
        let log = root.log.as_ref().and_then(|log| self.log(&log.value));
        let bridges = root.bridge.as_ref().and_then(|bridges| self.bridges(bridges));
        Some(Config {
            store: store?,
            http: http?,
            log: log?,
            bridges: bridges?,
            warnings: self.warnings.clone(),
            secrets: self.sources.clone(),
        })
    }

    fn store(&mut self, raw: &raw::Store) -> Option<StoreUrl> {
        let url = raw.url.as_ref()?;
        let Fetched::Known(value) = self.fetch(url)? else { return Some(StoreUrl::Unread) };
        let text = value.expose_secret();
        let postgres = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
        let fits = |rest: &str| !rest.is_empty() && !rest.contains(char::is_whitespace);
        if let Some(path) = text.strip_prefix("sqlite://").filter(|path| fits(path) && !path.contains(['?', '#'])) {
            return Some(StoreUrl::Sqlite(path.into()));
        }
        if postgres.is_some_and(fits) {
            self.has_literals |= matches!(url.value, Secret::Literal(_)) && text.contains('@');
            return Some(StoreUrl::Postgres(value));
        }
        self.report.fault_with_help(
            &url.place,
            "is no address of a store: no options, no spaces, and one of two schemes",
            "write sqlite:///absolute/path, sqlite://relative/path or postgres://user@host/database",
        );
        None
    }

    fn http(&mut self, raw: &raw::Http) -> Option<Http> {
        let listen = raw.listen.as_ref().and_then(|listen| {
            let address: Option<SocketAddr> = listen.value.parse().ok();
            if address.is_none() {
                self.report.fault_with_help(
                    &listen.place,
                    "must be an address in numbers with a port",
                    "write 127.0.0.1:8080, or [::1]:8080, or 0.0.0.0:8080 for every interface",
                );
            }
            address
        });
        let public_url = self.optional(raw.public_url.as_ref(), |checker, url| checker.base_address(url));
        let metrics_token = self.optional(raw.metrics_token.as_ref(), |checker, token| checker.webhook_secret(token));
        Some(Http { listen: listen?, public_url: public_url?, metrics_token: metrics_token? })
    }

    fn log(&mut self, raw: &raw::Log) -> Option<Log> {
        let level = raw.level.as_ref().and_then(|level| self.log_level(level));
        Some(Log { level: level?, format: raw.format.as_ref()?.value })
    }

    /// Directives such as `info,salebridge::engine=debug`.
    fn log_level(&mut self, level: &At<String>) -> Option<String> {
        for directive in level.value.split(',').map(str::trim) {
            let (target, word) = directive.split_once('=').unwrap_or(("", directive));
            let module = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
            if directive.starts_with('=') || !target.chars().all(module) {
                let example = "write for example: info,salebridge::engine=debug";
                self.report.fault_with_help(&level.place, "names no module in front of `=`", example);
                return None;
            }
            if !LEVELS.contains(&word.to_ascii_lowercase().as_str()) {
                let message = format!("has a level other than {}", LEVELS.join(", "));
                let help = match nearest(word, LEVELS) {
                    Some(known) => format!("did you mean `{known}`?"),
                    None => "write for example: info, or info,salebridge::engine=debug".to_owned(),
                };
                self.report.fault_with_help(&level.place, message, help);
                return None;
            }
        }
        Some(level.value.split(',').map(str::trim).collect::<Vec<_>>().join(","))
    }

    fn bridges(&mut self, raw: &At<Vec<At<raw::Bridge>>>) -> Option<Vec<Bridge>> {
        if raw.value.is_empty() {
            self.report.missing(&raw.place, "bridge", "needs at least one bridge", "add a [[bridge]] table");
        }
        if raw.value.len() > BRIDGES_MAX {
            self.report.fault(&raw.place, format!("has more than {BRIDGES_MAX} bridges"));
            return None;
        }
        self.unique_names(&raw.value);
        let bridges: Vec<_> = raw.value.iter().map(|bridge| self.bridge(bridge)).collect();
        bridges.into_iter().collect()
    }

    fn unique_names(&mut self, bridges: &[At<raw::Bridge>]) {
        let names: Vec<_> = bridges.iter().filter_map(|bridge| bridge.value.name.as_ref()).collect();
        for (index, name) in names.iter().enumerate() {
            if let Some(twin) = names[..index].iter().find(|twin| twin.value == name.value) {
                self.report.fault(&name.place, format!("is taken: {} has the same name", twin.place.path));
            }
        }
    }

    fn bridge(&mut self, raw: &At<raw::Bridge>) -> Option<Bridge> {
        let raw = &raw.value;
        let name = raw.name.as_ref().and_then(|name| self.name(name));
        let amo = raw.amo.as_ref().and_then(|amo| self.amo(amo));
        let salebot = raw.salebot.as_ref().and_then(|salebot| self.salebot(&salebot.value));
        let policy = self.policy(raw);
        Some(Bridge { name: name?, amo: amo?, salebot: salebot?, policy: policy? })
    }

    fn name(&mut self, name: &At<String>) -> Option<String> {
        if let Some(message) = fault_of_name(&name.value) {
            self.report.fault_with_help(&name.place, message, NAMES);
            return None;
        }
        Some(name.value.clone())
    }

    /// Checks what need not be there: `Some(None)` when it is not, `None` when it is at fault.
    fn optional<T, U>(
        &mut self,
        value: Option<&At<T>>,
        check: impl FnOnce(&mut Self, &At<T>) -> Option<U>,
    ) -> Option<Option<U>> {
        match value {
            Some(value) => check(self, value).map(Some),
            None => Some(None),
        }
    }
}

/// What is wrong with the name of a bridge, in one line; none where nothing is.
pub(super) fn fault_of_name(text: &str) -> Option<String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_sound = !text.is_empty() && text.len() <= NAME_CHARS_MAX && text.chars().all(fits);
    (!is_sound).then(|| format!("must have 1 to {NAME_CHARS_MAX} signs, each a small Latin letter, a digit or `-`"))
}
