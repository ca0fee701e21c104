//! Authorising a bridge at amoCRM: the address of the page of consent, what comes back from it, and a pair got elsewhere.
//!
//! Works beside a running daemon, which finds what is stored within seconds, and without one.

use crate::app::env::SystemEnv;
use crate::app::wire::{self, Outside};
use crate::config::{AmoAuth, Bridge, Config};
use crate::core::fault::FaultKind;
use crate::core::time::Millis;
use crate::ports::env::Env;
use crate::ports::store::{Change, Store};
use crate::remote::amocrm::{self, Integration, Pair};
use crate::remote::lane::{Lane, LaneOptions};
use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

/// What the address of the page of consent was given, to be compared with what comes back.
const STATE: &str = "amo_login_state";
/// So long an address that was printed is answered: the code in the answer lives 20 minutes.
const STATE_LIFE_MS: i64 = 60 * 60_000;
/// Largest file of tokens: real ones have three kilobytes.
pub const FILE_BYTES_MAX: u64 = 64 * 1024;

/// The bridge that is meant: the named one, or the only one.
pub fn bridge<'c>(config: &'c Config, named: Option<&str>) -> anyhow::Result<&'c Bridge> {
    let names = || config.bridges.iter().map(|bridge| bridge.name.as_str()).collect::<Vec<_>>().join(", ");
    match (named, config.bridges.as_slice()) {
        (None, [only]) => Ok(only),
        (None, _) => bail!("which bridge? Name one with --bridge: {}", names()),
        (Some(name), all) => all
            .iter()
            .find(|bridge| bridge.name == name)
            .with_context(|| format!("there is no bridge {name}; the configuration has {}", names())),
    }
}

/// Opens the store, making it where no daemon has been started yet.
pub async fn store(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    wire::migrate(config).await?;
    wire::read_store(config).await
}

/// A bridge that is to be authorised by OAuth.
pub struct Login<'c> {
    bridge: &'c Bridge,
    integration: Integration,
    store: Arc<dyn Store>,
}

/// How a login ended without a pair.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// amoCRM cannot be asked now.
    #[error("{0}")]
    Later(String),
    /// Anything else.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

#[derive(Serialize, Deserialize)]
struct KeptState {
    state: String,
    at: Millis,
}

impl<'c> Login<'c> {
    /// None for a bridge with a long-lived token, which needs no login.
    pub fn new(bridge: &'c Bridge, store: Arc<dyn Store>) -> Option<Login<'c>> {
        let AmoAuth::OAuth(oauth) = &bridge.amo.auth else { return None };
        Some(Login { bridge, integration: wire::integration(bridge, oauth), store })
    }

    /// The page on which an administrator of the account agrees (OAuth page: `mode=popup` sends the browser on to the
    /// redirect address).
    pub async fn address(&self) -> anyhow::Result<String> {
        let state = drawn();
        let kept = KeptState { state: state.clone(), at: wire::now() };
        let change = Change::PutText(STATE, serde_json::to_string(&kept)?);
        self.store.commit(&self.bridge.name, vec![change]).await?;
        let query = [("client_id", self.integration.client_id.as_str()), ("state", &state), ("mode", "popup")];
        Ok(reqwest::Url::parse_with_params(&format!("{}/oauth", self.integration.site()), query)?.to_string())
    }

    /// Exchanges what was pasted, the code or the whole address, and stores the pair.
    pub async fn finish(&self, pasted: &str) -> Result<Pair, LoginError> {
        let code = self.code(pasted).await?;
        let outside = Outside { transport: wire::transport()?, env: Arc::new(SystemEnv), public_url: None };
        let name = format!("amoCRM of {}", self.bridge.name);
        let options =
            LaneOptions { follows_another: true, ..LaneOptions::new(name, self.bridge.amo.requests_per_second) };
        let lane = Arc::new(Lane::new(options, Arc::clone(&outside.env)));
        let parts = wire::oauth_parts(self.bridge, &self.store, &outside, &lane);
        let host = host(&self.integration.url).to_owned();
        let pair = amocrm::obtain(self.integration.clone(), &parts, &host, &code).await.map_err(|fault| match fault.kind {
            FaultKind::Transient | FaultKind::Throttled { .. } | FaultKind::Blocked | FaultKind::Interrupted => {
                LoginError::Later(format!("amoCRM cannot be asked now: {}. The code stays good for 20 minutes", fault.reason))
            }
            FaultKind::Uncertain => LoginError::Other(anyhow::anyhow!(
                "the answer was lost and the code is used up: {}. Nothing was stored; begin again with a new code",
                fault.reason
            )),
            _ => LoginError::Other(anyhow::anyhow!(
                "{}. Nothing was stored. A code is good for once and 20 minutes; see also that client_id, client_secret and redirect_uri are those of the integration, letter by letter, and that amo.url is the account's address",
                fault.reason
            )),
        })?;
        self.keep(&pair).await?;
        Ok(pair)
    }

    /// Stores a pair. A daemon that runs finds it within seconds.
    pub async fn keep(&self, pair: &Pair) -> anyhow::Result<()> {
        let changes = vec![pair.given(), Change::PutText(STATE, String::new())];
        self.store.commit(&self.bridge.name, changes).await.context("the token could not be stored")?;
        Ok(())
    }

    /// The code in what was pasted.
    async fn code(&self, pasted: &str) -> anyhow::Result<String> {
        let answer = match read(pasted)? {
            Pasted::Code(code) => return Ok(code),
            Pasted::Address(answer) => answer,
        };
        let kept = self.store.text(&self.bridge.name, STATE).await?.unwrap_or_default();
        let kept = serde_json::from_str::<KeptState>(&kept).ok();
        let kept = kept.filter(|kept| wire::now().since(kept.at).abs() < STATE_LIFE_MS);
        if kept.is_none_or(|kept| answer.state.as_deref() != Some(kept.state.as_str())) {
            bail!(
                "this is not the answer to the address that was printed last: its `state` is another one. Run `salebridge auth login` again and open the address it prints, or paste the code alone"
            );
        }
        let own = host(&self.integration.url);
        if let Some(referer) = answer.referer.filter(|referer| !referer.eq_ignore_ascii_case(own)) {
            bail!(
                "access was granted in the account {}, and amo.url of bridge {} is {own}: choose that account on the page, or correct amo.url",
                referer.chars().filter(|c| c.is_ascii_graphic()).take(80).collect::<String>(),
                self.bridge.name
            );
        }
        match (answer.error, answer.code) {
            (Some(error), _) if error == "access_denied" => {
                bail!(
                    "access was refused on the page. Open the address again, as an administrator of the account, and allow it"
                )
            }
            (Some(_), _) | (None, None) => bail!("amoCRM sent the browser back without a code. Open the address again"),
            (None, Some(code)) => Ok(code),
        }
    }
}

/// Scheme and path taken away.
fn host(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/')
}

/// Nobody can guess it: the keys of the standard library's hash maps come from the system's source of chance.
fn drawn() -> String {
    let draw = |_| format!("{:016x}", RandomState::new().build_hasher().finish());
    (0..2).map(draw).collect()
}

/// What a human pasted.
#[derive(Debug, PartialEq, Eq)]
enum Pasted {
    Code(String),
    Address(Answer),
}

/// What the redirect address was called with (OAuth page).
#[derive(Debug, Default, PartialEq, Eq)]
struct Answer {
    code: Option<String>,
    /// The account's host.
    referer: Option<String>,
    state: Option<String>,
    error: Option<String>,
}

fn read(pasted: &str) -> anyhow::Result<Pasted> {
    let pasted = pasted.trim().trim_matches(['"', '\'', '<', '>']).trim();
    if pasted.is_empty() {
        bail!("nothing was pasted");
    }
    let query = match pasted.split_once('?') {
        Some((_, query)) => query,
        None if pasted.contains("code=") || pasted.contains("error=") => pasted,
        None if pasted.bytes().all(|byte| byte.is_ascii_graphic()) && !pasted.contains("://") => {
            return Ok(Pasted::Code(pasted.to_owned()));
        }
        None => bail!("this is neither a code nor the address the browser was sent to, which has `?code=…` in it"),
    };
    let query = query.split('#').next().unwrap_or_default();
    let url = reqwest::Url::parse(&format!("http://localhost/?{query}"))?;
    let mut answer = Answer::default();
    for (name, value) in url.query_pairs() {
        let place = match name.as_ref() {
            "code" => &mut answer.code,
            "referer" => &mut answer.referer,
            "state" => &mut answer.state,
            "error" => &mut answer.error,
            _ => continue,
        };
        *place = Some(value.into_owned()).filter(|value| !value.is_empty());
    }
    Ok(Pasted::Address(answer))
}

/// Reads the JSON answer of the token endpoint that somebody else has kept.
pub fn pair_of_file(text: &[u8]) -> anyhow::Result<Pair> {
    Pair::read(text, SystemEnv.now()).context(
        "this is no answer of amoCRM's token endpoint: {\"access_token\":…,\"refresh_token\":…,\"expires_in\":…} was expected. A long-lived token needs no import: write it into amo.token",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_and_a_whole_address_are_told_apart() {
        assert_eq!(read(" def50200abc \n").unwrap(), Pasted::Code("def50200abc".to_owned()));
        let whole = "https://bridge.example.ru/oauth?code=def5%2B&referer=acme.amocrm.ru&state=s1&platform=1#x";
        let expected = Answer {
            code: Some("def5+".to_owned()),
            referer: Some("acme.amocrm.ru".to_owned()),
            state: Some("s1".to_owned()),
            error: None,
        };
        assert_eq!(read(whole).unwrap(), Pasted::Address(expected));
        let denied = read("\"https://x.test/?error=access_denied&state=s1\"").unwrap();
        assert!(
            matches!(denied, Pasted::Address(Answer { error: Some(error), code: None, .. }) if error == "access_denied")
        );
        assert!(matches!(read("code=abc&state=").unwrap(), Pasted::Address(Answer { state: None, .. })));
        for odd in ["", "  ", "https://bridge.example.ru/oauth", "two words"] {
            assert!(read(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn states_differ() {
        let drawn: std::collections::BTreeSet<String> = (0..100).map(|_| drawn()).collect();
        assert!(drawn.len() == 100 && drawn.iter().all(|state| state.len() == 32));
    }
}
