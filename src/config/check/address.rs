//! Checks addresses: https, or http on this machine for the sandbox.

use super::Checker;
use crate::config::report::At;
use std::net::{IpAddr, Ipv6Addr};

/// Why a text is no address we can use, and what would be right.
struct Unfit(&'static str, &'static str);

const EXAMPLE: &str = "write for example: https://example.amocrm.ru";

impl Checker<'_> {
    /// An address of a service: scheme, host and perhaps a port. Without the slash at its end.
    pub(super) fn base_address(&mut self, url: &At<String>) -> Option<String> {
        self.address_result(url, base(url.value.trim()))
    }

    /// An address with a path, kept letter by letter: OAuth compares it so.
    pub(super) fn redirect_address(&mut self, url: &At<String>) -> Option<String> {
        let text = &url.value;
        let result = split(text).and_then(|(scheme, rest)| {
            let (authority, _) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            if text.contains('#') {
                return Err(Unfit("must not have a fragment (`#…`)", "drop what follows the `#`"));
            }
            endpoint(scheme, authority).map(|_| text.clone())
        });
        self.address_result(url, result)
    }

    fn address_result(&mut self, url: &At<String>, result: Result<String, Unfit>) -> Option<String> {
        match result {
            Ok(address) => Some(address),
            Err(Unfit(message, help)) => {
                self.report.fault_with_help(&url.place, message, help);
                None
            }
        }
    }
}

/// Scheme and what follows it.
fn split(text: &str) -> Result<(&str, &str), Unfit> {
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Unfit("must be an address without spaces", EXAMPLE));
    }
    text.split_once("://").ok_or(Unfit("must begin with https://", EXAMPLE))
}

/// What is wrong with the address of a service, in one line; none where nothing is.
pub(in crate::config) fn fault_of_address(text: &str) -> Option<String> {
    base(text.trim()).err().map(|Unfit(message, help)| format!("{message}: {help}"))
}

fn base(text: &str) -> Result<String, Unfit> {
    let (scheme, rest) = split(text)?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#', '\\']) {
        return Err(Unfit("must be scheme and host only, without a path", EXAMPLE));
    }
    endpoint(scheme, authority)
}

/// `https://host[:port]` in its plain form.
fn endpoint(scheme: &str, authority: &str) -> Result<String, Unfit> {
    if authority.contains('@') {
        return Err(Unfit("must not hold a name or password", EXAMPLE));
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if port.is_some_and(|port| !port.bytes().all(|b| b.is_ascii_digit()) || !matches!(port.parse::<u16>(), Ok(1..))) {
        return Err(Unfit("has a port that is no number from 1 to 65535", EXAMPLE));
    }
    let host = host_name(host).ok_or(Unfit("names no valid host", EXAMPLE))?;
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    match scheme.to_ascii_lowercase().as_str() {
        "https" => Ok(format!("https://{host}{port}")),
        "http" if is_loopback(&host) => Ok(format!("http://{host}{port}")),
        "http" => Err(Unfit("must begin with https://", "http:// is for this machine only, as http://127.0.0.1:8001")),
        _ => Err(Unfit("must begin with https://", EXAMPLE)),
    }
}

/// The host in small letters, a name in other than Latin letters in its wire form.
fn host_name(host: &str) -> Option<String> {
    if let Some(inner) = host.strip_prefix('[') {
        let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
        return Some(format!("[{address}]"));
    }
    let name = idna::domain_to_ascii_strict(host).ok()?;
    (!name.is_empty()).then_some(name)
}

/// True when the host is this machine.
fn is_loopback(host: &str) -> bool {
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    host == "localhost" || host.ends_with(".localhost") || address.is_some_and(|address| address.is_loopback())
}
