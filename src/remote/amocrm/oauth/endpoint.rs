//! The token endpoint and the question where an account lives now (OAuth pages).
//!
//! Every request goes through the account's lane like all others. What an answer says of the *account* (too fast, blocked)
//! is told apart from what it says of the *token*: only a refusal in amoCRM's own words is one.

use super::pair::Pair;
use crate::core::fault::{Fault, FaultKind};
use crate::core::time::Millis;
use crate::core::token;
use crate::ports::env::Env;
use crate::ports::remote::Priority;
use crate::remote::amocrm::fault::{self, quote};
use crate::remote::http::{Call, InAddress, RawAnswer, Sender, Transport};
use crate::remote::lane::{Lane, Outcome};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

const TOKENS: &str = "/oauth2/access_token";
const PRESENT_HOST: &str = "/oauth2/account/current/subdomain";
/// Deprecated, and asked where the present one does not answer.
const PRESENT_HOST_OLD: &str = "/oauth2/account/subdomain";
/// The official PHP client's patience. Shorter than a stopping daemon's, since the answer holds the only copy of the next
/// refresh token.
const TIMEOUT_MS: i64 = 20_000;

/// The integration that a human made in amoCRM.
#[derive(Clone)]
pub struct Integration {
    /// The account's address as configured: scheme and host.
    pub url: String,
    /// The integration's id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
    /// Its redirect address, letter by letter.
    pub redirect_uri: String,
}

impl fmt::Debug for Integration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Integration").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Integration {
    /// Scheme and host of the configured address.
    pub(super) fn address(&self) -> (&str, &str) {
        self.url.trim_end_matches('/').split_once("://").unwrap_or(("https", &self.url))
    }

    /// The service's own site: the page of consent is there (OAuth page; kommo's is alike). For an account on this machine
    /// it is that itself.
    pub fn site(&self) -> String {
        let (scheme, host) = self.address();
        let is_in = |domain: &str| host.ends_with(domain);
        match host {
            _ if is_in(".amocrm.ru") => "https://www.amocrm.ru".to_owned(),
            _ if is_in(".kommo.com") || is_in(".amocrm.com") => "https://www.kommo.com".to_owned(),
            _ => format!("{scheme}://{host}"),
        }
    }

    /// True where tokens may be sent to this host: amoCRM's own, and beside an account on this machine this machine.
    /// The name comes from a token, which anybody could have written.
    pub fn trusts(&self, host: &str) -> bool {
        let name = |host: &str| host.rsplit_once(':').map_or(host, |(name, _)| name).to_owned();
        let (_, own) = self.address();
        let is_local = |host: &str| matches!(name(host).as_str(), "127.0.0.1" | "localhost");
        let ends = [".amocrm.ru", ".kommo.com", ".amocrm.com"];
        token::is_host(host) && (ends.iter().any(|end| host.ends_with(end)) || (is_local(own) && is_local(host)))
    }
}

/// What is handed in for a pair.
pub(super) enum Grant<'a> {
    /// What the page of consent gave: lives 20 minutes, good for once.
    Code(&'a str),
    /// The refresh token of the last pair: good for once.
    Refresh(&'a SecretString),
}

/// What the endpoint thought of it.
#[derive(Debug)]
pub(super) enum Answered {
    /// The next pair.
    Pair(Box<Pair>),
    /// A refusal in amoCRM's own words, and its status.
    Refused(u16, String),
    /// Nobody at this host knows of tokens: the account was renamed, or the address is wrong.
    NotHere,
}

/// Asks for tokens.
pub(super) struct Endpoint {
    pub(super) integration: Integration,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) lane: Arc<Lane>,
    pub(super) env: Arc<dyn Env>,
}

impl Endpoint {
    /// Exchanges a grant at this host.
    ///
    /// Errors: [`FaultKind::Uncertain`] where the grant may be used up and the answer is not there; any other kind where it
    /// surely is not, or the account as a whole is refused.
    pub(super) async fn exchange(&self, host: &str, grant: Grant<'_>) -> Result<Answered, Fault> {
        let Integration { client_id, client_secret, redirect_uri, .. } = &self.integration;
        let mut body = json!({
            "client_id": client_id,
            "client_secret": client_secret.expose_secret(),
            "redirect_uri": redirect_uri,
        });
        let (kind, name, value) = match &grant {
            Grant::Code(code) => ("authorization_code", "code", *code),
            Grant::Refresh(token) => ("refresh_token", "refresh_token", token.expose_secret()),
        };
        (body["grant_type"], body[name]) = (kind.into(), value.into());
        let asked_at = self.env.now();
        let call = Call::post(TOKENS, TOKENS, body.to_string().into_bytes(), Priority::Person, false);
        let answer = self.at(host).call(Call { timeout_ms: TIMEOUT_MS, ..call }).await?;
        self.read(&answer, asked_at, value)
    }

    fn read(&self, answer: &RawAnswer, asked_at: Millis, grant: &str) -> Result<Answered, Fault> {
        match answer.status {
            200..300 => {
                Pair::read(&answer.body, asked_at).map(|pair| Answered::Pair(Box::new(pair))).map_err(|error| {
                    Fault::new(
                        FaultKind::Uncertain,
                        format!("the answer of the token endpoint cannot be used: {error}"),
                    )
                })
            }
            300..400 | 404 => Ok(Answered::NotHere),
            400 | 401 if problem(answer).is_some() => {
                let words = problem(answer).unwrap_or_default();
                let secrets = [self.integration.client_secret.expose_secret(), grant];
                let says_secret = secrets.iter().any(|secret| !secret.is_empty() && words.contains(secret));
                let words = if says_secret || words.is_empty() { "no reason given".to_owned() } else { words };
                Ok(Answered::Refused(answer.status, words))
            }
            // Somebody between us and amoCRM: it says nothing of the token.
            400 | 401 => {
                let reason = format!("the token endpoint answered {} and not in amoCRM's words", answer.status);
                Err(Fault::new(FaultKind::Transient, reason))
            }
            status => Err(fault::fault(answer, false, self.env.now()).unwrap_or_else(|| {
                Fault::new(FaultKind::Uncertain, format!("status {status} of the token endpoint is not understood"))
            })),
        }
    }

    /// Where amoCRM says that the account lives now; none where it does not tell, or names a host that is not its own.
    pub(super) async fn present_host(&self, pair: &Pair) -> Option<String> {
        let api_domain = token::claims(pair.access.expose_secret()).and_then(|claims| claims.api_domain);
        if let Some(api_domain) = api_domain.filter(|host| self.integration.trusts(host)) {
            let headers = vec![("x-refresh-token", pair.refresh.expose_secret().to_owned())];
            let call = Call { headers, ..Call::get(PRESENT_HOST, PRESENT_HOST, Priority::Person) };
            if let Some(host) = self.told_host(&api_domain, call).await {
                return Some(host);
            }
        }
        let site = self.integration.site();
        let (_, site) = site.split_once("://")?;
        let headers = vec![("authorization", format!("Bearer {}", pair.access.expose_secret()))];
        self.told_host(site, Call { headers, ..Call::get(PRESENT_HOST_OLD, PRESENT_HOST_OLD, Priority::Person) }).await
    }

    /// Reads `{"id":1,"subdomain":"acme","domain":"acme.amocrm.ru","top_level_domain":"ru"}`.
    async fn told_host(&self, at: &str, call: Call) -> Option<String> {
        let answer = self.at(at).call(Call { timeout_ms: TIMEOUT_MS, ..call }).await.ok()?;
        let body: Value = serde_json::from_slice(&answer.body).ok().filter(|_| answer.is_success())?;
        let host = body.get("domain")?.as_str()?.trim().to_ascii_lowercase();
        self.integration.trusts(&host).then_some(host)
    }

    fn at(&self, host: &str) -> Sender {
        let (scheme, _) = self.integration.address();
        let base = SecretString::from(format!("{scheme}://{host}"));
        let (transport, lane, env) = (Arc::clone(&self.transport), Arc::clone(&self.lane), Arc::clone(&self.env));
        Sender::new("amocrm", base, Arc::new(InAddress), transport, lane, env, outcome)
    }
}

/// What the account's lane is to know: that a token is refused is no news of the account.
fn outcome(answer: &RawAnswer, now: Millis) -> Outcome {
    match fault::outcome(answer, now) {
        Outcome::Auth => Outcome::Unclear,
        Outcome::Accepted if !answer.is_success() => Outcome::Unclear,
        other => other,
    }
}

/// amoCRM's words in a refusal, bare of values: `{"hint":"Token has been revoked","title":"…","detail":"…"}` (seen). None
/// for anything else than a report in JSON.
fn problem(answer: &RawAnswer) -> Option<String> {
    let value: Value = serde_json::from_slice(&answer.body).ok()?;
    let object = value.as_object()?;
    let words = ["hint", "detail", "error_description", "message", "title", "error"];
    let found = words.iter().filter_map(|name| object.get(*name)?.as_str()).map(quote).find(|text| !text.is_empty());
    let is_report =
        ["title", "status", "type", "hint", "detail", "error"].iter().any(|name| object.contains_key(*name));
    is_report.then(|| found.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn integration(url: &str) -> Integration {
        Integration {
            url: url.to_owned(),
            client_id: "id".to_owned(),
            client_secret: "secret".into(),
            redirect_uri: "https://example.test/".to_owned(),
        }
    }

    #[rstest]
    #[case("https://acme.amocrm.ru", "https://www.amocrm.ru")]
    #[case("https://acme.kommo.com", "https://www.kommo.com")]
    #[case("https://acme.amocrm.com", "https://www.kommo.com")]
    #[case("http://127.0.0.1:8071", "http://127.0.0.1:8071")]
    fn the_site_goes_by_the_account(#[case] url: &str, #[case] site: &str) {
        assert_eq!(integration(url).site(), site);
    }

    #[rstest]
    #[case("https://acme.amocrm.ru", "new.amocrm.ru", true)]
    #[case("https://acme.amocrm.ru", "api-b.kommo.com", true)]
    #[case("https://acme.amocrm.ru", "amocrm.ru.example.test", false)]
    #[case("https://acme.amocrm.ru", "evilamocrm.ru", false)]
    #[case("https://acme.amocrm.ru", "x@new.amocrm.ru", false)]
    #[case("https://acme.amocrm.ru", "127.0.0.1:80", false)]
    #[case("http://127.0.0.1:8071", "localhost:8071", true)]
    #[case("http://127.0.0.1:8071", "example.test", false)]
    fn tokens_go_to_amocrm_alone(#[case] url: &str, #[case] host: &str, #[case] trusted: bool) {
        assert_eq!(integration(url).trusts(host), trusted);
    }

    #[test]
    fn only_a_report_in_json_is_a_refusal() {
        let said = |body: &str| problem(&RawAnswer { status: 401, headers: vec![], body: body.into() });
        let seen = r#"{"hint":"Token has been revoked","title":"Unauthorized","status":401,"detail":"x"}"#;
        assert_eq!(said(seen).as_deref(), Some("Token has been revoked"));
        assert_eq!(
            said(r#"{"title":"Bad Request","detail":"the token \"def50200\" is bad"}"#).as_deref(),
            Some("the token … is bad")
        );
        assert_eq!(said(r#"{"status":401}"#).as_deref(), Some(""));
        for other in ["", "<html></html>", "{}", "[1]", "{\"hint\":\"cut"] {
            assert_eq!(said(other), None, "{other}");
        }
    }
}
