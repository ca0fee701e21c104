//! Consent, tokens, and where the account lives, as the OAuth pages have them.
//!
//! A code is good for once and twenty minutes; each renewal gives a new pair and kills the refresh token that was handed in.
//! One installation may have several pairs at once.

mod jwt;

use super::answer;
use super::call::Call;
use super::options::oauth::{OAuthOptions, TokenForm, ToldHost};
use crate::http::Response;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Everything that was given out. Nothing is forgotten: what was used once is known to have been.
#[derive(Debug, Default)]
pub(super) struct Grants {
    codes: BTreeMap<String, Code>,
    access: BTreeMap<String, Access>,
    refresh: BTreeMap<String, Refresh>,
    given: u64,
    /// Where the account was renamed to.
    host: Option<String>,
    /// Where it first gave tokens.
    home: Option<String>,
    /// Pairs given for a refresh token.
    pub(super) renewals: u64,
    /// Requests with a refresh token that was used before.
    pub(super) reuses: u64,
}

#[derive(Debug)]
struct Code {
    expires_ms: i64,
    is_used: bool,
}

#[derive(Debug)]
struct Access {
    expires_ms: i64,
    is_revoked: bool,
}

#[derive(Debug)]
struct Refresh {
    /// The access token of the same pair.
    access: String,
    expires_ms: i64,
    state: RefreshState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RefreshState {
    Fresh,
    Used,
    Revoked,
}

impl Grants {
    /// Whether requests with this token are let in.
    pub(super) fn accepts(&self, token: &str, now_ms: i64) -> bool {
        self.access.get(token).is_some_and(|access| !access.is_revoked && now_ms < access.expires_ms)
    }

    /// A code as the Keys tab of a private integration shows it.
    pub(super) fn new_code(&mut self, options: &OAuthOptions, now_ms: i64) -> String {
        let code = format!("def502{}", self.letters());
        let expires_ms = now_ms + options.code_life_s * 1_000;
        self.codes.insert(code.clone(), Code { expires_ms, is_used: false });
        code
    }

    /// Every access token that is out ends now.
    pub(super) fn expire(&mut self, now_ms: i64) {
        self.access.values_mut().for_each(|access| access.expires_ms = access.expires_ms.min(now_ms));
    }

    /// The integration is taken away: no pair is good any more.
    pub(super) fn revoke(&mut self) {
        self.access.values_mut().for_each(|access| access.is_revoked = true);
        self.refresh.values_mut().for_each(|refresh| refresh.state = RefreshState::Revoked);
    }

    /// The account has another address from now on.
    pub(super) fn rename(&mut self, host: &str) {
        self.host = Some(host.to_owned());
    }

    /// Whether a request came to an address that the account has left.
    pub(super) fn has_left(&self, call: &Call) -> bool {
        let asked = call.request.header("host").unwrap_or_default();
        self.host.as_deref().is_some_and(|host| host != asked)
    }

    fn present_host(&self, call: &Call) -> String {
        let asked = call.request.header("host").unwrap_or_default();
        self.host.as_deref().or(self.home.as_deref()).unwrap_or(asked).to_owned()
    }

    /// Tells tokens apart; nobody is to guess them here.
    fn letters(&mut self) -> String {
        self.given += 1;
        let mut held = self.given.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut text = String::new();
        for _ in 0..3 {
            held = (held ^ (held >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            text.push_str(&format!("{held:016x}"));
        }
        text
    }

    fn new_pair(&mut self, call: &Call) -> Value {
        let options = &call.options.oauth;
        let asked = call.request.header("host").unwrap_or_default();
        self.home.get_or_insert_with(|| asked.to_owned());
        let letters = self.letters();
        let expires_ms = call.now_ms + options.access_life_s * 1_000;
        let access = match options.tokens {
            TokenForm::Opaque => format!("opaque-{letters}"),
            TokenForm::Jwt => jwt::jwt(&json!({
                "aud": options.client_id,
                "jti": letters,
                "iat": call.now_s(),
                "nbf": call.now_s(),
                "exp": expires_ms.div_euclid(1_000),
                "sub": call.author.to_string(),
                "grant_type": "",
                "account_id": call.options.account.id,
                "base_domain": "amocrm.ru",
                "version": 2,
                "scopes": ["crm", "notifications"],
                "api_domain": asked,
            })),
        };
        let refresh = format!("def502{}", self.letters());
        self.access.insert(access.clone(), Access { expires_ms, is_revoked: false });
        let dies_ms = call.now_ms + options.refresh_life_s * 1_000;
        let kept = Refresh { access: access.clone(), expires_ms: dies_ms, state: RefreshState::Fresh };
        self.refresh.insert(refresh.clone(), kept);
        json!({
            "token_type": "Bearer",
            "expires_in": options.access_life_s,
            "access_token": access,
            "refresh_token": refresh,
        })
    }
}

/// Answers what concerns tokens; none for every other request.
pub(super) fn serve(grants: &mut Grants, call: &Call) -> Option<Response> {
    let path = call.request.path.trim_end_matches('/');
    Some(match (call.request.method.as_str(), path) {
        ("GET", "/oauth") => consent(grants, call),
        ("POST", "/oauth2/access_token") => tokens(grants, call),
        ("GET", "/oauth2/account/current/subdomain") => host_by_refresh_token(grants, call),
        ("GET", "/oauth2/account/subdomain") => host_by_access_token(grants, call),
        (_, "/oauth" | "/oauth2/access_token" | "/oauth2/account/current/subdomain" | "/oauth2/account/subdomain") => {
            answer::wrong_method(call)
        }
        _ => return None,
    })
}

/// The page of consent, where a person has answered already.
fn consent(grants: &mut Grants, call: &Call) -> Response {
    let options = &call.options.oauth;
    if call.request.param("client_id") != Some(options.client_id.as_str()) {
        return answer::problem(call, 404, 404, "there is no such integration");
    }
    let state = call.request.param("state").unwrap_or_default();
    let query = if options.consents {
        let (code, host) = (grants.new_code(options, call.now_ms), grants.present_host(call));
        format!(
            "code={code}&state={}&referer={}&platform=1&client_id={}",
            encoded(state),
            encoded(&host),
            options.client_id
        )
    } else {
        format!("error=access_denied&state={}", encoded(state))
    };
    let sign = if options.redirect_uri.contains('?') { '&' } else { '?' };
    let mut response = answer::empty(call, 302);
    response.headers.push(("location".into(), format!("{}{sign}{query}", options.redirect_uri)));
    response
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn tokens(grants: &mut Grants, call: &Call) -> Response {
    if grants.has_left(call) {
        return left(call);
    }
    let options = &call.options.oauth;
    let Ok(body) = serde_json::from_slice::<Value>(&call.request.body) else {
        return refusal(call, 400, "The request is missing a required parameter");
    };
    let sent = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    if sent("client_id") != options.client_id || sent("client_secret") != options.client_secret {
        return refusal(call, options.refusal, "Client authentication failed");
    }
    if sent("redirect_uri") != options.redirect_uri {
        return refusal(call, options.refusal, "The redirect URI is not that of the integration");
    }
    match sent("grant_type") {
        "authorization_code" => match grants.codes.get_mut(sent("code")) {
            None => refusal(call, options.refusal, "Cannot decrypt the authorization code"),
            Some(code) if code.is_used => refusal(call, options.refusal, "Authorization code has been revoked"),
            Some(code) if call.now_ms >= code.expires_ms => {
                refusal(call, options.refusal, "Authorization code has expired")
            }
            Some(code) => {
                code.is_used = true;
                answer::json(call, 200, &grants.new_pair(call))
            }
        },
        "refresh_token" => renewed(grants, call, sent("refresh_token")),
        _ => refusal(call, 400, "The authorization grant type is not supported"),
    }
}

fn renewed(grants: &mut Grants, call: &Call, token: &str) -> Response {
    let options = &call.options.oauth;
    let Some(refresh) = grants.refresh.get_mut(token) else {
        return refusal(call, options.refusal, "Cannot decrypt the refresh token");
    };
    match refresh.state {
        RefreshState::Fresh if call.now_ms < refresh.expires_ms => refresh.state = RefreshState::Used,
        RefreshState::Fresh => return refusal(call, options.refusal, "Token has expired"),
        RefreshState::Used => {
            grants.reuses += 1;
            return refusal(call, options.refusal, "Token has been revoked");
        }
        RefreshState::Revoked => return refusal(call, options.refusal, "Token has been revoked"),
    }
    let former = refresh.access.clone();
    if let Some(access) = grants.access.get_mut(&former).filter(|_| options.renewal_ends_access) {
        access.is_revoked = true;
    }
    grants.renewals += 1;
    answer::json(call, 200, &grants.new_pair(call))
}

/// As recorded of the endpoint.
fn refusal(call: &Call, status: u16, hint: &str) -> Response {
    let body = json!({
        "hint": hint,
        "title": answer::title(status),
        "type": "https://developers.amocrm.ru/v3/errors/OAuthProblemJson",
        "status": status,
        "detail": "The request cannot be carried out with what was sent",
    });
    answer::error(call, status, &body)
}

/// What a host answers that the account has left.
pub(super) fn left(call: &Call) -> Response {
    let status = call.options.oauth.left_host;
    answer::problem(call, status, 101, "there is no such account")
}

fn host_by_refresh_token(grants: &Grants, call: &Call) -> Response {
    let token = call.request.header("x-refresh-token").unwrap_or_default();
    let is_fresh = grants.refresh.get(token).is_some_and(|refresh| refresh.state == RefreshState::Fresh);
    match call.options.oauth.tells_host {
        ToldHost::Both if is_fresh => host(grants, call),
        ToldHost::Both => refusal(call, 401, "Token has been revoked"),
        ToldHost::OldOnly | ToldHost::None => answer::problem(call, 404, 404, "there is nothing at this address"),
    }
}

fn host_by_access_token(grants: &Grants, call: &Call) -> Response {
    let bearer = call.request.header("authorization").and_then(|sent| sent.strip_prefix("Bearer "));
    let is_known = bearer.is_some_and(|token| grants.access.contains_key(token));
    match call.options.oauth.tells_host {
        ToldHost::None => answer::problem(call, 404, 404, "there is nothing at this address"),
        _ if is_known => host(grants, call),
        _ => refusal(call, 401, "The access token is not known"),
    }
}

fn host(grants: &Grants, call: &Call) -> Response {
    let host = grants.present_host(call);
    let (subdomain, rest) = host.split_once('.').unwrap_or((host.as_str(), ""));
    let top = rest.rsplit('.').next().unwrap_or_default();
    let body =
        json!({ "id": call.options.account.id, "subdomain": subdomain, "domain": host, "top_level_domain": top });
    answer::json(call, 200, &body)
}
