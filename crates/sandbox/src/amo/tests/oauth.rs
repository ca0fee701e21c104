//! Consent, codes, pairs, and where the account lives.

use serde_json::{Value, json};

use super::*;
use crate::amo::options::oauth::{TokenForm, ToldHost};

const CONTACTS: &str = "/api/v2/contacts";
const HOST: &str = "acme.amocrm.test";

impl Bench {
    fn exchange(&mut self, grant: &Value) -> (u16, Value) {
        let options = self.amo.options().oauth.clone();
        let mut body = json!({
            "client_id": options.client_id,
            "client_secret": options.client_secret,
            "redirect_uri": options.redirect_uri,
        });
        for (name, value) in grant.as_object().expect("an object") {
            body[name] = value.clone();
        }
        let sent = Request {
            method: "POST".into(),
            path: "/oauth2/access_token".into(),
            query: vec![],
            headers: vec![("host".into(), HOST.into())],
            body: body.to_string().into_bytes(),
        };
        let answer = self.send(&sent);
        (answer.status, serde_json::from_slice(&answer.body).expect("JSON"))
    }

    fn pair(&mut self) -> Value {
        let code = self.amo.new_code(self.now_ms);
        let (status, pair) = self.exchange(&json!({ "grant_type": "authorization_code", "code": code }));
        assert_eq!(status, 200, "{pair}");
        pair
    }

    fn renew(&mut self, pair: &Value) -> (u16, Value) {
        self.exchange(&json!({ "grant_type": "refresh_token", "refresh_token": pair["refresh_token"] }))
    }

    fn read_with(&mut self, pair: &Value) -> u16 {
        let bearer = format!("Bearer {}", pair["access_token"].as_str().expect("a token"));
        let headers = vec![("authorization".into(), bearer), ("host".into(), HOST.into())];
        self.send(&Request { headers, ..request("GET", CONTACTS, None) }).status
    }

    fn ask_host(&mut self, path: &str, header: (&str, &str)) -> (u16, Value) {
        let headers = vec![("host".into(), HOST.into()), (header.0.into(), header.1.into())];
        let answer = self.send(&Request { headers, ..request("GET", path, None) });
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
    }
}

#[test]
fn the_page_of_consent_sends_back_what_is_documented() {
    for (consents, parts) in [
        (true, ["code=def502", "state=s%201", "referer=acme.amocrm.test&platform=1"]),
        (false, ["error=access_denied", "state=s%201", "?"]),
    ] {
        let mut bench = Bench::with(|options| options.oauth.consents = consents);
        let query = [("client_id", bench.amo.options().oauth.client_id.clone()), ("state", "s 1".into())];
        let query = query.map(|(name, value)| (name.to_owned(), value)).into();
        let headers = vec![("host".into(), HOST.into())];
        let answer = bench.send(&Request { query, headers, ..request("GET", "/oauth", None) });
        let location = header(&answer, "location").unwrap_or_default();
        assert_eq!(answer.status, 302);
        assert!(
            location.starts_with("https://bridge.example.test/oauth?")
                && parts.iter().all(|part| location.contains(part)),
            "{location}"
        );
    }
}

#[test]
fn a_code_is_good_once_and_for_twenty_minutes() {
    let mut bench = Bench::new();
    let code = bench.amo.new_code(bench.now_ms);
    let grant = json!({ "grant_type": "authorization_code", "code": code });
    let (status, pair) = bench.wait(1_199).exchange(&grant);
    assert_eq!((status, pair["token_type"].as_str(), pair["expires_in"].as_i64()), (200, Some("Bearer"), Some(86_400)));
    assert_eq!(bench.exchange(&grant).0, 401);
    let late = bench.amo.new_code(bench.now_ms);
    let (status, refusal) = bench.wait(1_200).exchange(&json!({ "grant_type": "authorization_code", "code": late }));
    assert_eq!(status, 401);
    assert!(refusal["hint"].is_string() && refusal["type"].as_str().is_some_and(|kind| kind.contains("OAuthProblem")));
}

#[test]
fn each_renewal_kills_the_refresh_token_and_a_second_try_is_refused() {
    let mut bench = Bench::new();
    let first = bench.pair();
    let (status, second) = bench.renew(&first);
    assert_eq!(status, 200);
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_eq!([bench.read_with(&first), bench.read_with(&second)], [204, 204], "the former access token lives on");
    let (status, refusal) = bench.renew(&first);
    assert_eq!((status, refusal["hint"].as_str()), (401, Some("Token has been revoked")));
    assert_eq!(bench.amo.renewals(), (1, 1));
    assert_eq!(bench.renew(&second).0, 200, "nothing happened to the pair in force");
}

#[test]
fn access_tokens_end_and_what_is_not_documented_is_a_choice() {
    let mut bench = Bench::with(|options| {
        options.oauth.access_life_s = 60;
        options.oauth.renewal_ends_access = true;
        options.oauth.refusal = 400;
        options.oauth.tokens = TokenForm::Opaque;
    });
    let pair = bench.pair();
    assert!(pair["access_token"].as_str().is_some_and(|token| token.starts_with("opaque-")));
    assert_eq!([bench.wait(59).read_with(&pair), bench.wait(1).read_with(&pair)], [204, 401]);
    let (_, next) = bench.renew(&pair);
    let (_, last) = bench.renew(&next);
    assert_eq!([bench.read_with(&next), bench.read_with(&last)], [401, 204]);
    assert_eq!(bench.renew(&next).0, 400);
    bench.amo.revoke_tokens();
    assert_eq!((bench.read_with(&last), bench.renew(&last).0), (401, 400));
}

#[test]
fn the_integration_must_be_told_letter_by_letter() {
    let mut bench = Bench::new();
    let code = bench.amo.new_code(bench.now_ms);
    for (name, value) in
        [("client_id", "x"), ("client_secret", "x"), ("redirect_uri", "https://bridge.example.test/oauth/")]
    {
        let grant = json!({ "grant_type": "authorization_code", "code": code, name: value });
        assert_eq!(bench.exchange(&grant).0, 401, "{name}");
    }
    assert_eq!(bench.exchange(&json!({ "grant_type": "password" })).0, 400);
    assert_eq!(bench.exchange(&json!({ "grant_type": "authorization_code", "code": code })).0, 200);
}

#[test]
fn an_account_that_was_renamed_is_found() {
    let mut bench = Bench::new();
    let pair = bench.pair();
    bench.amo.rename("new.amocrm.test");
    assert_eq!((bench.read_with(&pair), bench.renew(&pair).0), (404, 404));
    let refresh = pair["refresh_token"].as_str().expect("a token");
    let bearer = format!("Bearer {}", pair["access_token"].as_str().expect("a token"));
    let (status, told) = bench.ask_host("/oauth2/account/current/subdomain", ("x-refresh-token", refresh));
    assert_eq!(
        (status, told["domain"].as_str(), told["subdomain"].as_str()),
        (200, Some("new.amocrm.test"), Some("new"))
    );
    assert_eq!(bench.ask_host("/oauth2/account/subdomain", ("authorization", &bearer)).1, told);
    assert_eq!(bench.ask_host("/oauth2/account/current/subdomain", ("x-refresh-token", "other")).0, 401);
    let mut silent = Bench::with(|options| options.oauth.tells_host = ToldHost::None);
    assert_eq!(silent.ask_host("/oauth2/account/subdomain", ("authorization", &bearer)).0, 404);
}
