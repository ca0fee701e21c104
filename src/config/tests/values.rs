//! Each key by itself: what is accepted, what is refused, and what the fault says.

use super::super::{AmoAuth, Api, LogFormat, StoreUrl, TemplateKind};
use super::*;
use crate::core::policy::{CreateClient, CreateContact, Direction, MatchBy, Outgoing};
use secrecy::ExposeSecret;
use std::time::Duration;

/// Section, line that is refused, key at fault behind the section, what the fault says.
const REFUSED: &[(&str, &str, &str)] = &[
    // Kinds of values and unknown keys.
    ("store", "url = 5", "must be a text"),
    ("store", "ulr = \"sqlite://x\"", "did you mean `url`?"),
    ("log", "colour = true", "known here: level, format"),
    ("bridge.amo", "requests_per_second = \"6\"", "must be a number, without quotes, not a text"),
    ("bridge.amo", "token = 5", "must be a text, { file = \"path\" } or { env = \"NAME\" }, not a number"),
    ("bridge.amo", "token = { fil = \"x\" }", "is no secret in a known form"),
    ("bridge.amo", "token = { file = \"x\", env = \"X\" }", "is no secret in a known form"),
    ("bridge.amo", "recheck = \"5m\"", "must be a table, not a text"),
    ("bridge.notes", "incoming = \"yes\"", "must be true or false"),
    ("bridge.salebot", "daily_budget = 1.5", "must be a whole number"),
    // Store, HTTP, log.
    ("store", "url = \"mysql://host/db\"", "sqlite:///absolute/path"),
    ("store", "url = \"sqlite://\"", "is no address of a store"),
    ("store", "url = \"sqlite://x.db?mode=rwc\"", "no options"),
    ("store", "url = \"postgres://\"", "is no address of a store"),
    ("http", "listen = \"localhost:8080\"", "write 127.0.0.1:8080"),
    ("http", "listen = \"127.0.0.1\"", "with a port"),
    ("http", "public_url = \"http://bridge.example.test\"", "must begin with https://"),
    ("http", "public_url = \"https://bridge.example.test/path\"", "without a path"),
    ("log", "level = \"inof\"", "did you mean `info`?"),
    ("log", "level = \"info,salebridge=loud\"", "off, error, warn, info, debug, trace"),
    ("log", "level = \"=info\"", "names no module"),
    ("log", "format = \"jsn\"", "did you mean \"json\"?"),
    // Bridge.
    ("bridge", "name = \"Shop\"", "small Latin letter"),
    ("bridge", "name = \"\"", "1 to 64"),
    // amoCRM.
    ("bridge.amo", "url = \"example.amocrm.ru\"", "must begin with https://"),
    ("bridge.amo", "url = \"http://example.amocrm.ru\"", "http:// is for this machine only"),
    ("bridge.amo", "url = \"ftp://example.amocrm.ru\"", "must begin with https://"),
    ("bridge.amo", "url = \"https://exa mple.ru\"", "without spaces"),
    ("bridge.amo", "url = \"https://u:p@example.test\"", "must not hold a name or password"),
    ("bridge.amo", "url = \"https://example.test?x=1\"", "without a path"),
    ("bridge.amo", "url = \"https://example.test:99999\"", "a port"),
    ("bridge.amo", "url = \"https://\"", "no valid host"),
    ("bridge.amo", "url = \"https://exa_mple!.test\"", "no valid host"),
    ("bridge.amo", "api = \"v3\"", "must be one of v2, v4"),
    ("bridge.amo", "token = \"two words\"", "without spaces"),
    ("bridge.amo", "token = \"\"", "is empty"),
    ("bridge.amo", "requests_per_second = 8", "between 1 and 7: amoCRM's limit is 7"),
    ("bridge.amo", "requests_per_second = 0.5", "between 1 and 7"),
    ("bridge.amo", "poll_contacts = \"*/10 * * * *\"", "put seconds in front: 0 */10 * * * *"),
    ("bridge.amo", "poll_leads = \"0 0 9 * * 1-5\"", "MON-FRI"),
    ("bridge.amo", "poll_leads = \"0 0 9 * * MON,3\"", "MON-FRI"),
    ("bridge.amo", "sweep = \"0 0 3 30 FEB *\"", "never comes"),
    ("bridge.amo", "sweep = \"0 0 3 * * * 2020\"", "has 7 fields"),
    ("bridge.amo", "sweep = \"0 0 25 * * *\"", "hour 0-23"),
    ("bridge.amo", "sweep = \"@daily\"", "instead of six"),
    ("bridge.amo", "overlap = \"0s\"", "between 1s and 24h"),
    ("bridge.amo", "overlap = \"60\"", "write for example: 30s"),
    ("bridge.amo", "overlap = \"-1m\"", "is no duration"),
    ("bridge.amo", "webhook_secret = \"short\"", "openssl rand -hex 32"),
    ("bridge.amo", "webhook_secret = \"0123456789abcde/\"", "16 to 256 signs"),
    // Salebot.
    ("bridge.salebot", "url = \"https://chatter.salebot.pro/api\"", "without a path"),
    ("bridge.salebot", "api_key = \"a/b\"", "none of /?#%"),
    ("bridge.salebot", "functions_token = \"0123456789 abcdef\"", "16 to 256 signs"),
    ("bridge.salebot", "functions_token = \"short\"", "openssl rand -hex 32"),
    ("bridge.salebot", "requests_per_second = 0", "between 0.01 and 100000"),
    ("bridge.salebot", "save_variables_per_second = -1", "between 0.01 and 100000"),
    ("bridge.salebot", "save_variables_per_second = nan", "finite"),
    ("bridge.salebot", "daily_budget = -1", "between 0 and 1000000000"),
    ("bridge.salebot", "reconcile = \"\"", "instead of six"),
    // People.
    ("bridge.people", "default_region = \"ru\"", "two capital letters"),
    ("bridge.people", "default_region = \"RUS\"", "two capital letters"),
    ("bridge.people", "create_contact = \"sometimes\"", "always, with_phone_or_email, never"),
    ("bridge.people", "create_client = \"load_clients\"", "create_with"),
    // Orders, notes, guard.
    ("bridge.orders", "direction = \"to_amo\"", "must be one of both, to_salebot"),
    ("bridge.notes", "outgoing = \"bots\"", "did you mean \"bot\"?"),
    ("bridge.notes", "join_within = \"11m\"", "between 0s and 10m"),
    ("bridge.notes", "template = \" \"", "must not be empty"),
    ("bridge.guard", "max_cleared_share = 1.5", "between 0 and 1"),
    ("bridge.guard", "max_cleared_min = -1", "between 0 and 1000000"),
    ("bridge.guard", "freeze_after_flips = 0", "between 1 and 1000"),
];

#[test]
fn refused_values_name_line_key_and_remedy() {
    for (section, line, says) in REFUSED {
        let key = line.split('=').next().unwrap().trim();
        let path = match section.strip_prefix("bridge") {
            Some(rest) => format!("bridge[0]{rest}.{key}"),
            None => format!("{section}.{key}"),
        };
        assert_fault(&set(section, line), &path, line, says);
    }
}

#[test]
fn items_of_lists_are_named_by_their_number() {
    for (section, line, path, says) in [
        ("bridge.people", "match = [\"phone\", \"phne\"]", "bridge[0].people.match[1]", "did you mean \"phone\"?"),
        ("bridge.people", "match = [\"phone\", \"phone\"]", "bridge[0].people.match[1]", "stands twice"),
        ("bridge.notes", "on = [\"order\"]", "bridge[0].notes.on[0]", "must be one of contact, lead"),
        ("bridge.notes", "on = [\"lead\", \"lead\"]", "bridge[0].notes.on[1]", "stands twice"),
        (
            "bridge.amo",
            "recheck = { every = \"20m\", window = \"10m\" }",
            "bridge[0].amo.recheck.window",
            "shorter than `every`",
        ),
        ("bridge.amo", "recheck = { evry = \"5m\" }", "bridge[0].amo.recheck.evry", "did you mean `every`?"),
        (
            "bridge.salebot",
            "create_with = { group_id = \"1 2\", client_type = 6 }",
            "bridge[0].salebot.create_with.group_id",
            "no spaces",
        ),
        (
            "bridge.salebot",
            "create_with = { group_id = \"1\" }",
            "bridge[0].salebot.create_with.client_type",
            "client_type = 6",
        ),
    ] {
        assert_fault(&set(section, line), path, line, says);
    }
}

#[test]
fn accepted_values() {
    for (section, line) in [
        ("store", "url = \"sqlite://data/x.db\""),
        ("store", "url = \"postgres:///db?host=/run/postgresql\""),
        ("http", "listen = \"[::1]:0\""),
        ("http", "public_url = \"https://bridge.example.test:8443/\""),
        ("log", "level = \"warn, salebridge::engine=TRACE\""),
        ("bridge", "name = \"shop-2\""),
        ("bridge.amo", "url = \"http://127.0.0.1:9001\""),
        ("bridge.amo", "url = \"http://localhost:9001/\""),
        ("bridge.amo", "url = \"http://[::1]:9001\""),
        ("bridge.amo", "requests_per_second = 1"),
        ("bridge.amo", "requests_per_second = 7"),
        ("bridge.amo", "poll_contacts = \"0 0 9 * * MON-FRI\""),
        ("bridge.amo", "poll_contacts = \"0 0 9 * * */2\""),
        ("bridge.amo", "sweep = \"0 0 3 29 FEB *\""),
        ("bridge.amo", "overlap = \"1h 30m\""),
        ("bridge.amo", "webhook_secret = \"0123456789abcdef\""),
        ("bridge.salebot", "requests_per_second = 0.5"),
        ("bridge.salebot", "functions_token = \"0123456789abcdeg\""),
        ("bridge.people", "match = []"),
        ("bridge.people", "create_client = \"create_order\""),
        ("bridge.notes", "on = []"),
        ("bridge.notes", "join_within = \"0s\""),
        ("bridge.notes", "join_within = \"10m\""),
        ("bridge.guard", "max_cleared_share = 1"),
        ("bridge.guard", "max_cleared_min = 0"),
    ] {
        accept(&set(section, line));
    }
}

#[test]
fn defaults_hold_where_nothing_is_written() {
    let config = accept(SMALL);
    assert!(matches!(config.store, StoreUrl::Sqlite(path) if path.ends_with("salebridge.db") && path.is_absolute()));
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!((config.log.level.as_str(), config.log.format), ("info", LogFormat::Auto));
    let bridge = &config.bridges[0];
    assert_eq!((bridge.amo.api, bridge.amo.requests_per_second), (Api::V2, 6.0));
    assert_eq!(bridge.amo.overlap, Duration::from_secs(60));
    assert_eq!(bridge.amo.recheck.window, Duration::from_secs(600));
    assert_eq!((bridge.amo.poll_leads.as_str(), bridge.amo.sweep.as_str()), ("*/10 * * * * *", "0 30 3 * * *"));
    assert!(matches!(&bridge.amo.auth, AmoAuth::Token(token) if token.expose_secret() == "MARKER-amo-token"));
    assert_eq!((bridge.salebot.requests_per_second, bridge.salebot.daily_budget), (2.0, None));
    assert_eq!(bridge.salebot.url, "https://chatter.salebot.pro");
    let policy = &bridge.policy;
    assert_eq!(policy.people.match_by, [MatchBy::Phone, MatchBy::Email]);
    assert_eq!(policy.people.create_contact, CreateContact::Always);
    assert_eq!(policy.people.create_client, CreateClient::Never);
    assert_eq!((policy.orders.enabled, policy.orders.direction), (true, Direction::Both));
    assert_eq!((policy.notes.on_contact, policy.notes.on_lead, policy.notes.join_within_ms), (true, false, 30_000));
    assert_eq!((policy.notes.incoming, policy.notes.outgoing), (true, Outgoing::All));
    assert_eq!(policy.guard.max_cleared_share, 0.2);
    assert_eq!((policy.guard.max_cleared_min, policy.guard.freeze_after_flips), (50, 6));
    assert!(config.warnings.is_empty());
}

#[test]
fn addresses_take_their_plain_form() {
    for (written, plain) in [
        ("https://Example.AMOCRM.ru/", "https://example.amocrm.ru"),
        (" https://example.test:8443 ", "https://example.test:8443"),
        ("https://пример.рф", "https://xn--e1afmkfd.xn--p1ai"),
    ] {
        let config = check(&set("bridge.amo", &format!("url = \"{written}\"")));
        match config {
            Ok(config) => assert_eq!(config.bridges[0].amo.url, plain),
            Err(faults) => panic!("{faults}"),
        }
    }
}

#[test]
fn one_of_token_and_oauth_authorises() {
    const OAUTH: &str = "\n[bridge.amo.oauth]\nclient_id = \"id\"\nclient_secret = \"s\"\nredirect_uri = \"https://example.test/oauth\"\n";
    let both = format!("{SMALL}{OAUTH}");
    assert_fault(&both, "bridge[0].amo.oauth", "[bridge.amo.oauth]", "only one of them");
    let token = "token = \"MARKER-amo-token\"\n";
    assert_fault(&SMALL.replace(token, ""), "bridge[0].amo.token", "[bridge.amo]", "[bridge.amo.oauth]");
    let config = accept(&both.replace(token, ""));
    assert!(matches!(&config.bridges[0].amo.auth, AmoAuth::OAuth(oauth) if oauth.client_id == "id"));
    for (line, key, says) in [
        ("redirect_uri = \"http://example.test/oauth\"", "redirect_uri", "must begin with https://"),
        ("redirect_uri = \"https://example.test/#x\"", "redirect_uri", "fragment"),
        ("client_id = \"two words\"", "client_id", "without spaces"),
    ] {
        let text = set_in(&both.replace(token, ""), "bridge.amo.oauth", line);
        assert_fault(&text, &format!("bridge[0].amo.oauth.{key}"), line, says);
    }
}

#[test]
fn templates_go_through_the_compiler() {
    let refuse = |kind: TemplateKind, text: &str| match (kind, text.contains("{{")) {
        (TemplateKind::Note, true) => Err("line 1: no closing braces".to_owned()),
        _ => Ok(()),
    };
    let checks = Checks::new(&no_variables, now()).template(&refuse);
    let text = set("bridge.notes", "template = \"{{ text\"");
    let faults = check_text("shop.toml", Path::new(""), &text, &checks).unwrap_err();
    assert_eq!(faults.list()[0].path, "bridge[0].notes.template");
    assert!(faults.list()[0].message.contains("no closing braces"));
    let long = format!("template = \"{}\"", "x".repeat(4097));
    assert_fault(&set("bridge.notes", &long), "bridge[0].notes.template", &long, "4096 bytes");
    accept(&set("bridge.notes", &format!("template = \"{}\"", "x".repeat(4096))));
}

#[test]
fn both_webhooks_of_a_bridge_have_secrets_of_their_own() {
    let text = set("bridge.amo", "webhook_secret = \"MARKER-salebot-webhook\"");
    let line = "webhook_secret = \"MARKER-salebot-webhook\"";
    let faults = check(&text).unwrap_err();
    let [fault] = faults.list() else { panic!("{faults}") };
    assert_eq!(fault.path, "bridge[0].salebot.webhook_secret");
    assert_eq!(fault.line, 1 + text.lines().collect::<Vec<_>>().iter().rposition(|known| *known == line).unwrap());
    assert!(fault.message.contains("bridge[0].amo.webhook_secret"), "{faults}");
}

#[test]
fn a_faulty_channel_is_not_reported_as_missing() {
    let line = "create_with = { group_id = 5, client_type = 6 }";
    let text = set_in(&set("bridge.salebot", line), "bridge.people", "create_client = \"load_clients\"");
    assert_fault(&text, "bridge[0].salebot.create_with.group_id", line, "must be a text in quotes");
    let line = "create_with = 5";
    let text = set_in(&set("bridge.salebot", line), "bridge.people", "create_client = \"load_clients\"");
    assert_fault(&text, "bridge[0].salebot.create_with", line, "must be a table");
}
