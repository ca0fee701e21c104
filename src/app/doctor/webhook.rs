//! Whether what is sent to `public_url` comes here: a probe takes the way of a delivery.

use super::machine::{Listener, Machine};
use super::{Need, Subject};
use crate::app::wire;
use crate::config::{Bridge, Config};
use crate::core::probe::Key;
use crate::remote::http::{Method, RawAnswer, RawRequest, ReqwestTransport, Transport, TransportError};
use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};

/// A delivery is answered in less; the way may lead through a proxy in another country.
const PROBE_TIMEOUT_MS: i64 = 10_000;
/// An answer of ours is 64 bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The address that Salebot is to deliver to, secret included; none without a `public_url`.
pub fn address(config: &Config, bridge: &Bridge) -> Option<SecretString> {
    let base = config.http.public_url.as_ref()?;
    let secret = bridge.salebot.webhook_secret.expose_secret();
    Some(SecretString::from(format!("{base}/hooks/salebot/{}/{secret}", bridge.name)))
}

/// Tries the address from here to here.
pub(super) async fn examine(config: &Config, bridge: &Bridge, machine: &Machine) -> Need {
    let subject = Subject::WEBHOOK;
    if bridge.salebot.webhook_secret.expose_secret().is_empty() {
        return Need::not_tried(subject, "its secret could not be read");
    }
    let listen = listening(config);
    if machine.listener == Listener::Daemon
        && let Err(found) = probe(&listen, bridge, false).await
    {
        let what = format!("what answers on {} does not know this bridge: {found}", config.http.listen);
        return Need::failed(
            subject,
            what,
            "restart the daemon, so that it reads this configuration; else another program has the port",
        );
    }
    if machine.listener == Listener::Nobody {
        return Need::not_tried(subject, "nobody of ours can listen on http.listen");
    }
    let Some(public_url) = &config.http.public_url else {
        let remedy = "set http.public_url to the https address of the web server in front, for example https://bridge.example.ru";
        return Need::warning(subject, "http.public_url is not set, so the way from outside was not tried", remedy);
    };
    let shown = format!("{public_url}/hooks/salebot/{}/…", bridge.name);
    match probe(public_url, bridge, true).await {
        Ok(()) => Need::fine(subject, format!("{shown} leads here")),
        Err(found) => Need::failed(subject, format!("{shown}: {}", found.what), found.remedy),
    }
}

/// Where the daemon is reached on this machine.
fn listening(config: &Config) -> String {
    let mut address = config.http.listen;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{address}")
}

/// What came instead of the answer.
struct Astray {
    what: String,
    remedy: String,
}

impl std::fmt::Display for Astray {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

async fn probe(base: &str, bridge: &Bridge, through_proxy: bool) -> Result<(), Astray> {
    let key = Key::of_secret(bridge.salebot.webhook_secret.expose_secret());
    let nonce = nonce().map_err(|error| Astray { what: format!("{error:#}"), remedy: "try again".to_owned() })?;
    let answer = send(base, bridge, &key, &nonce, through_proxy).await;
    match answer {
        Ok(Ok(answer)) if answer.status == 200 && key.is_answer(&nonce, &String::from_utf8_lossy(&answer.body)) => {
            Ok(())
        }
        Ok(Ok(answer)) => Err(misled(&answer)),
        Ok(Err(error)) => Err(unreached(&error)),
        Err(error) => Err(Astray { what: format!("{error:#}"), remedy: "correct http.public_url".to_owned() }),
    }
}

fn nonce() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).context("the system gives no random numbers")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

async fn send(
    base: &str,
    bridge: &Bridge,
    key: &Key,
    nonce: &str,
    through_proxy: bool,
) -> anyhow::Result<Result<RawAnswer, TransportError>> {
    // Installs the provider of TLS.
    wire::transport()?;
    let transport = ReqwestTransport::new(through_proxy, ANSWER_BYTES_MAX)?;
    let request = RawRequest {
        method: Method::Post,
        url: format!("{base}/hooks/salebot/{}/probe", bridge.name).into(),
        route: "/hooks/salebot/{bridge}/probe",
        headers: vec![("content-type", SecretString::from("application/json"))],
        body: serde_json::to_vec(&key.question(nonce))?,
        timeout_ms: PROBE_TIMEOUT_MS,
    };
    Ok(transport.send(request).await)
}

/// Somebody answered, and it was not us.
fn misled(answer: &RawAnswer) -> Astray {
    let status = answer.status;
    let (what, remedy) = match status {
        200..=299 => ("another program answers there", "let the web server in front pass /hooks/ on to http.listen"),
        300..=399 => (
            "it redirects, and Salebot does not follow",
            "set http.public_url to the address it redirects to, or pass /hooks/ on without a redirect",
        ),
        401 | 403 => ("it asks who we are", "take /hooks/ out of what is protected; its secret protects it"),
        404 => (
            "it does not lead to this salebridge, or the one it leads to has another secret",
            "let the web server in front pass /hooks/ on to http.listen with its path unchanged; after a change of the secret restart the daemon",
        ),
        405 => ("it refuses POST", "let the web server in front pass POST on /hooks/"),
        413 => ("it refuses bodies of this size", "allow bodies of 1 MiB (nginx: client_max_body_size 1m)"),
        500..600 => ("the web server in front cannot reach salebridge", "let it pass /hooks/ on to http.listen"),
        _ => ("the answer is not understood", "let the web server in front pass /hooks/ on to http.listen"),
    };
    Astray { what: format!("{what} (status {status})"), remedy: remedy.to_owned() }
}

fn unreached(error: &TransportError) -> Astray {
    let told = error.to_string();
    let folded = told.to_lowercase();
    let remedy = if folded.contains("dns") || folded.contains("lookup") {
        "let the name's DNS record point to this machine, or correct http.public_url"
    } else if folded.contains("certificate") || folded.contains("tls") {
        "give the web server in front a certificate that is valid for this name (certbot does it for free)"
    } else if folded.contains("refused") {
        "start the web server in front, and open its port in the firewall"
    } else {
        "see that the web server in front runs and the firewall lets its port through; a network that cannot reach itself from inside gives this too"
    };
    Astray { what: told, remedy: remedy.to_owned() }
}
