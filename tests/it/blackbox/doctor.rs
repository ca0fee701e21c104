//! `doctor` over live services: what is in order, what is not, and that it changes nothing.
//!
//! The town answers on threads of its own, since a test waits for the command.

use super::{Place, SECRET, found_town, free_port, salebridge, text, town_options};
use rstest::rstest;
use salebridge::sandbox::faults::Faults;
use salebridge::sandbox::salebot::options::{ApiKey, DEFAULT_KEY, Permission, Refusal};
use salebridge::sandbox::town::{Town, TownOptions};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

/// What `doctor --json` said: exit code, and the needs.
struct Told {
    code: Option<i32>,
    needs: Vec<Value>,
    all: String,
}

impl Told {
    fn of(place: &Place) -> Told {
        let output = place.command(&["doctor", "--json"]).output().expect("the command runs");
        let all = text(&output);
        let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {all}"));
        let needs = json["needs"].as_array().cloned().expect("a list");
        assert_eq!(json["ok"] == true, output.status.success(), "{all}");
        for secret in [super::TOKEN, SECRET, DEFAULT_KEY] {
            assert!(!all.contains(secret), "a secret is told: {all}");
        }
        Told { code: output.status.code(), needs, all }
    }

    fn with(&self, outcome: &str) -> Vec<&str> {
        let needs = self.needs.iter().filter(|need| need["outcome"] == outcome);
        needs.filter_map(|need| need["need"].as_str()).collect()
    }

    /// The first need of this name.
    fn need(&self, name: &str) -> &Value {
        self.needs.iter().find(|need| need["need"] == name).unwrap_or_else(|| panic!("no {name} in {}", self.all))
    }

    /// Its outcome, and everything it says.
    fn said(&self, name: &str) -> (String, String) {
        let need = self.need(name);
        (need["outcome"].as_str().unwrap_or_default().to_owned(), need.to_string())
    }
}

impl Place {
    /// Rewrites the configuration, readable by its owner alone.
    fn edit(&self, change: impl FnOnce(String) -> String) {
        self.write(&change(self.config.text()));
        std::fs::set_permissions(self.file(), std::fs::Permissions::from_mode(0o600)).expect("our own file");
    }

    /// With an address from outside, which here is the port itself.
    fn with_public_url(text: &str, url: &str) -> String {
        text.replace("[http]\n", &format!("[http]\npublic_url = \"{url}\"\n"))
    }

    fn reachable(&self) {
        let url = self.url("");
        self.edit(|text| Place::with_public_url(&text, &url));
    }
}

#[rstest]
#[case("v2")]
#[case("v4")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_is_in_order_with_a_daemon_and_without_one(#[case] api: &str) {
    let town = found_town().await;
    let place = Place::of_town(&town);
    let url = place.url("");
    let version = format!("[bridge.amo]\napi = \"{api}\"\n");
    place.edit(|text| Place::with_public_url(&text, &url).replace("[bridge.amo]\n", &version));
    let alone = Told::of(&place);
    assert_eq!((alone.code, alone.with("failed"), alone.with("warning")), (Some(0), vec![], vec![]), "{}", alone.all);
    assert!(alone.said("webhook").1.contains("leads here"), "a stand-in answers: {}", alone.all);
    assert!(!place.path().join("salebridge.db").exists(), "doctor makes no database");

    let daemon = place.start();
    place.ready().await;
    place.idle().await;
    let counts =
        |town: &Town| town.look(|amo, salebot| (amo.notes().count(), amo.contact_count(), salebot.clients().count()));
    let before = counts(&town);
    let beside = Told::of(&place);
    assert_eq!(
        (beside.code, beside.with("failed"), beside.with("warning")),
        (Some(0), vec![], vec![]),
        "{}",
        beside.all
    );
    assert!(beside.said("daemon").1.contains("runs (process"), "{}", beside.all);
    assert_eq!(counts(&town), before, "doctor writes nothing");
    assert_eq!(place.status()["dead_letters"], 0, "the probe is no message");
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_run_shows_every_fault_with_its_remedy() {
    let mut options = town_options();
    options.salebot.keys = vec![ApiKey::limited(DEFAULT_KEY, &[Permission::ReadClients, Permission::WriteClients])];
    let town = Town::found(options, Faults::none()).await.expect("free ports");
    let place = Place::of_town(&town);
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    place.edit(|text| {
        Place::with_public_url(&text, &nowhere)
            .replace("contact.field.4396817", "contact.field.4396871")
            .replace("\"Категория\"", "\"Катгория\"")
            .replace("status = 1002", "status = 1009")
    });
    let told = Told::of(&place);
    assert_eq!(told.code, Some(1));
    for (need, remedy) in [
        ("fields", "4396817 (\\\"Должность\\\")"),
        ("stages", "1002 Переговоры"),
        ("salebot_read_deals", "RD"),
        ("webhook", "firewall"),
    ] {
        let (outcome, said) = told.said(need);
        assert_eq!(outcome, "failed", "{said}");
        assert!(said.contains(remedy), "{remedy} is missing in {said}");
    }
    assert!(told.all.contains("did you mean \\\"Категория\\\""), "{}", told.all);
    for need in ["amo", "amo_token", "salebot", "salebot_read_clients", "store", "port", "channels"] {
        assert_eq!(told.said(need).0, "ok", "{}", told.all);
    }
    town.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_leaves_only_what_rests_on_it() {
    let town = found_town().await;
    let place = Place::of_town(&town);
    place.edit(|text| text.replace(super::TOKEN, "another-token"));
    let told = Told::of(&place);
    assert_eq!(told.code, Some(1));
    assert_eq!(told.with("failed"), ["amo_token"], "{}", told.all);
    assert!(told.said("amo_token").1.contains("make a new long-lived token"), "{}", told.all);
    for need in ["amo_rights", "amo_account", "fields", "stages"] {
        assert_eq!(told.said(need).0, "not_tried", "{}", told.all);
    }
    assert_eq!(told.said("salebot").0, "ok");
    // People are told the same, plainly.
    let output = place.command(&["doctor"]).output().expect("the command runs");
    assert_eq!(output.status.code(), Some(1));
    let plain = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(
        plain.contains("✗ amoCRM token: ") && plain.contains("    What to do: ") && !plain.contains('\u{1b}'),
        "{plain}"
    );
    assert!(plain.contains("One thing is in the way"), "{plain}");
    town.close().await;
}

/// With amoCRM's webhooks turned on.
fn with_hooks(text: &str, url: &str) -> String {
    let secret = format!("[bridge.amo]\nwebhook_secret = \"{}\"\n", super::hooks::AMO_SECRET);
    Place::with_public_url(text, url).replace("[bridge.amo]\n", &secret)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_does_not_fit_has_its_own_remedy_by_how_the_bridge_authorises() {
    let (town, place) = super::oauth::found(86_400).await;
    let url = place.url("");
    let login = "salebridge auth login --bridge town";
    place.write(&with_hooks(&super::oauth::authorising(&place, &town), &url));
    assert!(place.said(&["migrate"]).status.success());
    let told = Told::of(&place);
    for need in ["amo_token", "amo_webhook"] {
        let remedy = told.need(need)["remedy"].as_str().unwrap_or_default();
        assert_eq!(remedy, login, "{}", told.all);
    }
    let said = text(&place.said(&["hooks", "status"]));
    assert!(said.contains(login) && !said.contains("(auth)") && !said.contains("amo.token"), "{said}");
    // A long-lived token is made by people; and no plan or right helps here.
    place.edit(|text| with_hooks(&text.replace(super::TOKEN, "another-token"), &url));
    let told = Told::of(&place);
    for need in ["amo_token", "amo_webhook"] {
        assert!(told.said(need).1.contains("make a new long-lived token"), "{}", told.all);
    }
    town.close().await;
}

#[rstest]
#[case(Refusal::NotFound)]
#[case(Refusal::Unauthorized)]
#[case(Refusal::Forbidden)]
#[case(Refusal::StatusInBody)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_told_from_a_missing_permission(#[case] refusal: Refusal) {
    let found = async |keys: Vec<ApiKey>| {
        let mut options = town_options();
        options.salebot.keys = keys;
        options.salebot.wrong_key = refusal;
        options.salebot.missing_permission = refusal;
        let town = Town::found(options, Faults::none()).await.expect("free ports");
        let told = Told::of(&Place::of_town(&town));
        town.close().await;
        told
    };
    let wrong = found(vec![ApiKey::full("another-key")]).await;
    assert_eq!(wrong.said("salebot").0, "failed", "{}", wrong.all);
    assert!(wrong.said("salebot").1.contains("RC, WC"), "{}", wrong.all);
    let limited = found(vec![ApiKey::limited(DEFAULT_KEY, &[Permission::ReadDeals, Permission::WriteDeals])]).await;
    assert_eq!(limited.said("salebot").0, "ok", "{}", limited.all);
    let (outcome, said) = limited.said("salebot_read_clients");
    assert!(outcome == "failed" && said.contains("(RC)"), "{said}");
}

#[rstest]
#[case("v2")]
#[case("v4")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_that_are_missing_are_named(#[case] api: &str) {
    let mut options = town_options();
    let current = options.amo.account.current_user;
    let user = options.amo.account.users.get_mut(&current).expect("the token's user");
    user.is_admin = false;
    user.rights = [("contact_edit".to_owned(), "D".to_owned()), ("lead_view".to_owned(), "M".to_owned())].into();
    let town = Town::found(options, Faults::none()).await.expect("free ports");
    let place = Place::of_town(&town).speaking(api);
    let (outcome, said) = Told::of(&place).said("amo_rights");
    assert_eq!(outcome, "failed", "{said}");
    assert!(said.contains("contact_edit: denied") && said.contains("lead_view: only its own records"), "{said}");
    assert!(!said.contains("contact_view"), "{said}");
    town.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_clock_is_told() {
    let ahead: salebridge::sandbox::server::Clock = {
        let clock = salebridge::app::town::clock();
        Arc::new(move || clock() + 3_600_000)
    };
    let mut options = TownOptions { contacts: 4, people: 2, ..TownOptions::new(ahead) };
    options.amo.token = super::TOKEN.to_owned();
    let town = Town::found(options, Faults::none()).await.expect("free ports");
    let place = Place::of_town(&town);
    let (outcome, said) = Told::of(&place).said("amo_clock");
    assert!(outcome == "failed" && said.contains("timedatectl") && said.contains("behind"), "{said}");
    // Nobody asks `doctor` while all seems well: the daemon tells it by itself.
    let daemon = place.start();
    place.ready().await;
    let status = super::text(&place.command(&["status"]).output().expect("it runs"));
    assert!(status.contains(" min behind amoCRM's") && status.contains("timedatectl"), "{status}");
    let (status, metrics) = place.get("/metrics").await.expect("an answer");
    let told = |line: &str| {
        line.starts_with("salebridge_clock_ahead_seconds") && (line.ends_with("-3599") || line.ends_with("-3600"))
    };
    assert!(status == 200 && metrics.lines().any(told), "{metrics}");
    assert!(place.logged().contains("s behind amocrm's"), "{}", place.logged());
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_leads_elsewhere_is_found() {
    let town = found_town().await;
    let (place, other) = (Place::of_town(&town), Place::of_town(&town));
    other.reachable();
    let daemon = other.start();
    other.live().await;
    // Another salebridge with the same secret is us as far as anybody can tell; with another secret it is not.
    place.edit(|text| Place::with_public_url(&text, &other.url("")).replace(SECRET, "some-other-secret-0123456789"));
    let (outcome, said) = Told::of(&place).said("webhook");
    assert!(outcome == "failed" && said.contains("404") && said.contains("another secret"), "{said}");
    // A service that answers everything in its own way.
    place.edit(|text| Place::with_public_url(&text, &town.amo_url()));
    let (outcome, said) = Told::of(&place).said("webhook");
    assert!(outcome == "failed" && said.contains("/hooks/"), "{said}");
    // The daemon runs with a secret that was changed in the file since.
    other.edit(|text| text.replace(SECRET, "a-new-secret-0123456789abcdef"));
    let (outcome, said) = Told::of(&other).said("webhook");
    assert!(outcome == "failed" && said.contains("restart the daemon"), "{said}");
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
}

#[test]
fn nothing_at_all_is_reachable_and_all_of_it_is_told() {
    let place = Place::new("http://127.0.0.1:9", "http://127.0.0.1:9");
    let taken = std::net::TcpListener::bind(place.config.listen.as_str()).expect("the port is free");
    place.edit(|text| text.replace("salebridge.db", "no-such-folder/salebridge.db"));
    let told = Told::of(&place);
    assert_eq!(told.code, Some(1));
    assert_eq!(told.with("failed"), ["store", "port", "amo", "salebot"], "{}", told.all);
    assert!(told.said("port").1.contains("ss -ltnp") && told.said("store").1.contains("mkdir"), "{}", told.all);
    drop(taken);
}

#[test]
fn a_faulty_configuration_is_78_and_what_can_be_tried_is_tried() {
    let place = Place::new("http://127.0.0.1:9", "http://127.0.0.1:9");
    place.edit(|text| text.replace("[bridge.notes]", "[bridge.nots]"));
    let told = Told::of(&place);
    assert_eq!(told.code, Some(78));
    assert!(told.said("configuration").1.contains("nots"), "{}", told.all);
    // A secret that is not there leaves the rest to be tried.
    place.edit(|text| text.replace(&format!("token = \"{}\"", super::TOKEN), "token = { file = \"no-such-token\" }"));
    let told = Told::of(&place);
    assert_eq!(told.code, Some(78));
    assert!(told.said("configuration").1.contains("no-such-token"), "{}", told.all);
    assert_eq!((told.said("amo").0.as_str(), told.said("salebot").0.as_str()), ("not_tried", "failed"), "{}", told.all);
    assert_eq!(told.said("store").0, "ok", "{}", told.all);
    let output = salebridge().args(["--config", "/nonexistent/x.toml", "doctor"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output).contains("salebridge init"), "{}", text(&output));
}

#[test]
fn a_bridge_of_many_can_be_chosen() {
    let place = Place::new("http://127.0.0.1:9", "http://127.0.0.1:9");
    let output = place.command(&["doctor", "--bridge", "nobody"]).output().expect("the command runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("town"), "{}", text(&output));
    let output = place.command(&["doctor", "--bridge", "town", "--addresses"]).output().expect("the command runs");
    assert!(text(&output).contains("set http.public_url"), "{}", text(&output));
    place.reachable();
    let output = place.command(&["doctor", "--addresses"]).output().expect("the command runs");
    assert!(text(&output).contains(&place.hook(SECRET)), "asked for, the address is told whole");
}

#[tokio::test]
async fn a_probe_without_the_proof_is_an_unknown_address() {
    use salebridge::core::probe::Key;
    let place = Place::new("http://127.0.0.1:9", "http://127.0.0.1:9");
    let daemon = place.start();
    place.live().await;
    let probe = place.hook("probe");
    let question = |key: &str| serde_json::to_vec(&Key::of_secret(key).question("once")).expect("JSON");
    for body in [Vec::new(), b"{}".to_vec(), b"no JSON".to_vec(), question("another-secret")] {
        assert_eq!(place.post(&probe, body).await, Some(404));
    }
    // The answer may come, and the connection end, before so much is sent.
    assert!(matches!(place.post(&probe, vec![b' '; 2_000_000]).await, None | Some(404)));
    let elsewhere = place.url("/hooks/salebot/nobody/probe");
    assert_eq!(place.post(&elsewhere, question(SECRET)).await, Some(404));
    assert_eq!(place.get("/hooks/salebot/town/probe").await.map(|(status, _)| status), Some(405));
    assert_eq!(place.post(&probe, question(SECRET)).await, Some(200));
    let status = place.status();
    assert_eq!((&status["inbox"], &status["dead_letters"]), (&Value::from(0), &Value::from(0)), "nothing is stored");
    assert_eq!(daemon.stop().await.code(), Some(0));
}
