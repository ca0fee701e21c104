//! Authorising by OAuth: the login, renewals while work goes on, kills around them, and the cure beside a running daemon.
//!
//! The commands ask the town of this process, which must go on while a test waits for them: hence two threads.

use super::{DEADLINE, Daemon, Place, SECRET, client, eventually, eventually_within, text, town_options};
use rstest::rstest;
use salebridge::app::town::BRIDGE;
use salebridge::sandbox::amo::options::OAuthOptions;
use salebridge::sandbox::faults::{Fault, Faults, ScriptedFault, ServiceName};
use salebridge::sandbox::town::Town;
use serde_json::Value;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const TOKENS: &str = "/oauth2/access_token";

/// A town whose access tokens live so long, and a place that is to authorise there.
pub(super) async fn found(life_s: i64) -> (Town, Place) {
    let mut options = town_options();
    options.amo.oauth.access_life_s = life_s;
    options.amo.limits.requests_per_second = None;
    let town = Town::found(options, Faults::none()).await.expect("free ports");
    let place = Place::of_town(&town);
    place.write(&authorising(&place, &town));
    (town, place)
}

/// The configuration with an integration in place of the token.
pub(super) fn authorising(place: &Place, town: &Town) -> String {
    let OAuthOptions { client_id, client_secret, redirect_uri, .. } = town.look(|amo, _| amo.options().oauth.clone());
    let table = format!(
        "[bridge.amo.oauth]\nclient_id = \"{client_id}\"\nclient_secret = \"{client_secret}\"\nredirect_uri = \"{redirect_uri}\"\n\n[bridge.salebot]\n"
    );
    let token = format!("token = \"{}\"\n", place.config.token);
    place.config.text().replace(&token, "").replace("[bridge.salebot]\n", &table)
}

impl Place {
    pub(super) fn said(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().expect("the command runs")
    }

    /// The address that `auth login` prints.
    fn consent(&self) -> String {
        let output = self.said(&["auth", "login"]);
        assert_eq!(output.status.code(), Some(75), "{}", text(&output));
        let said = text(&output);
        let address =
            said.lines().find(|line| line.starts_with("http")).unwrap_or_else(|| panic!("no address: {said}"));
        address.trim().to_owned()
    }

    /// Agrees on the page and hands in the address the browser was sent to.
    pub(super) async fn login(&self) -> String {
        let location = visited(&self.consent()).await;
        let output = self.said(&["auth", "login", "--bridge", BRIDGE, "--code", &location]);
        assert!(output.status.success(), "{}", text(&output));
        location
    }

    fn token(&self) -> Value {
        self.status()["token"].clone()
    }
}

/// Where the page of consent sends the browser.
async fn visited(address: &str) -> String {
    // Another client than the others': it follows nothing.
    drop(client());
    let browser = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
    let answer = browser.expect("a client").get(address).send().await.expect("an answer");
    answer.headers()["location"].to_str().expect("letters").to_owned()
}

fn renewals(town: &Town) -> (u64, u64) {
    town.look(|amo, _| amo.renewals())
}

fn notes_with(town: &Town, text: &str) -> usize {
    town.look(|amo, _| amo.notes().map(|note| note.words().matches(text).count()).sum())
}

#[rstest]
#[case("v2")]
#[case("v4")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_beside_the_daemon_lets_it_work_and_it_renews_by_itself(#[case] api: &str) {
    let (town, place) = found(8).await;
    let text = authorising(&place, &town).replace("[bridge.amo]\n", &format!("[bridge.amo]\napi = \"{api}\"\n"));
    place.write(&text);
    let daemon = place.start();
    town.deliver_to(&place.hook(SECRET)).expect("a client");
    place.live().await;
    eventually("the reason names the command", || async {
        let ready = place.get("/health/ready").await;
        ready.is_some_and(|(status, body)| status == 503 && body.contains("salebridge auth login --bridge town"))
    })
    .await;
    assert_eq!(place.token()["state"], "missing");
    place.login().await;
    town.amo(|amo, _| amo.set_token_life(86_400));
    place.ready().await;
    for person in 0..3 {
        town.writes(person, 0, "до продления;").expect("a person");
    }
    eventually("the token was renewed", || async { renewals(&town).0 > 0 }).await;
    for person in 0..3 {
        town.writes(person, 0, "после продления;").expect("a person");
    }
    let all = || async {
        notes_with(&town, "до продления;") == 3 && notes_with(&town, "после продления;") == 3
    };
    eventually_within(DEADLINE * 3, "all messages are notes", all).await;
    place.idle().await;
    assert_eq!(renewals(&town), (1, 0), "one renewal, and no token was handed in twice");
    let token = place.token();
    assert!(token["kind"] == "oauth" && token["state"] == "ok" && token["expires_at"].is_string(), "{token}");
    assert!(place.is_ready().await && place.status()["dead_letters"] == 0);
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
}

/// Kills the daemon the moment amoCRM has given a new pair; the next one.
async fn killed_at_a_renewal(town: &Town, place: &Place, daemon: Daemon) -> Daemon {
    let (before, began) = (renewals(town).0, Instant::now());
    while renewals(town).0 == before {
        assert!(began.elapsed() < DEADLINE, "no renewal: {}", place.token());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    daemon.kill();
    place.start()
}

/// Either it works, or it says that a human is needed.
async fn standing(place: &Place) -> String {
    let began = Instant::now();
    loop {
        let told = place.token();
        let state = told["state"].as_str().unwrap_or_default().to_owned();
        let asks = told["note"].as_str().is_some_and(|note| note.contains("salebridge auth login --bridge town"));
        if (state == "ok" && place.is_ready().await) || (state == "refused" && asks) {
            return state;
        }
        assert!(began.elapsed() < DEADLINE, "neither works nor asks for a human: {told}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_around_renewals_lose_nothing_and_are_cured_by_a_login() {
    let (town, place) = found(6).await;
    place.login().await;
    let mut daemon = place.start();
    town.deliver_to(&place.hook(SECRET)).expect("a client");
    place.ready().await;
    let mut asked = 0;
    for round in 0..6 {
        town.writes(round, 0, "вокруг продления;").expect("a person");
        let is_lost = round % 3 == 0;
        if is_lost {
            town.spoil(ScriptedFault::once(ServiceName::Amo, Fault::Slow { ms: 15_000 }).on(TOKENS));
        }
        daemon = killed_at_a_renewal(&town, &place, daemon).await;
        place.live().await;
        let state = standing(&place).await;
        assert!(state == "refused" || !is_lost, "the answer cannot have been stored");
        if state == "refused" {
            asked += 1;
            place.login().await;
            eventually("the daemon has found the new pair", || async {
                place.token()["state"] == "ok" && place.is_ready().await
            })
            .await;
        }
    }
    town.amo(|amo, _| amo.set_token_life(86_400));
    let all = || async { notes_with(&town, "вокруг продления;") == 6 };
    eventually_within(DEADLINE * 4, "all messages are notes, once", all).await;
    place.idle().await;
    assert_eq!((notes_with(&town, "вокруг продления;"), place.status()["dead_letters"].clone()), (6, Value::from(0)));
    assert!(asked >= 2, "{asked}");
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_lost_and_a_stop_during_a_renewal() {
    let (town, place) = found(8).await;
    place.login().await;
    let daemon = place.start();
    place.ready().await;
    // A stop waits for the answer, which comes late.
    town.spoil(ScriptedFault::once(ServiceName::Amo, Fault::Slow { ms: 1_500 }).on(TOKENS));
    eventually("a renewal is under way", || async { renewals(&town).0 == 1 }).await;
    assert_eq!(daemon.stop().await.code(), Some(0));
    let daemon = place.start();
    place.ready().await;
    assert_eq!(renewals(&town).1, 0, "the pair was stored before the end");
    // Without a crash, too, an answer that is lost needs a human.
    town.spoil(ScriptedFault::once(ServiceName::Amo, Fault::LostAnswer).on(TOKENS));
    eventually("it asks for a human", || async { place.token()["state"] == "refused" }).await;
    assert!(place.token()["note"].as_str().is_some_and(|note| note.contains("answer to an earlier renewal was lost")));
    place.login().await;
    place.ready().await;
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pasted_is_looked_at_before_it_is_used() {
    let (town, place) = found(86_400).await;
    let address = place.consent();
    assert!(
        address.contains("client_id=") && address.contains("state=") && address.contains("mode=popup"),
        "{address}"
    );
    let location = visited(&address).await;
    let refused = |pasted: &str, says: &str| {
        let output = place.said(&["auth", "login", "--code", pasted]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        assert!(text(&output).contains(says), "{says}: {}", text(&output));
    };
    refused(&location.replace("state=", "state=0"), "`state`");
    let state = location.split("state=").nth(1).and_then(|rest| rest.split('&').next()).expect("a state").to_owned();
    refused(&format!("https://x.test/?code=c&state={state}&referer=other.amocrm.ru"), "other.amocrm.ru");
    refused(&format!("https://x.test/?error=access_denied&state={state}"), "access was refused");
    refused("https://x.test/nothing", "neither a code");
    refused("def50200-never-given", "refuses the code");
    assert_eq!(place.token()["state"], "missing");
    assert!(place.said(&["auth", "login", "--code", &location]).status.success());
    assert_eq!(place.token()["state"], "ok");
    refused(&location, "`state`");
    // A code that was shown on the Keys tab.
    let code = town.amo(|amo, now_ms| amo.new_code(now_ms));
    assert!(place.said(&["auth", "login", "--code", &code]).status.success());
    refused(&code, "good for once");
    let told = text(&place.said(&["auth", "status"]));
    assert!(told.contains("town: a pair of OAuth, ok") && told.contains("refresh token until"), "{told}");
    assert_eq!(place.said(&["auth", "login", "--bridge", "nobody"]).status.code(), Some(1));
    town.close().await;
}

fn fed(mut command: Command, input: &[u8]) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    child.stdin.take().expect("its input").write_all(input).expect("it reads");
    child.wait_with_output().expect("it ends")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_got_elsewhere_is_imported() {
    let (town, place) = found(86_400).await;
    let options = town.look(|amo, _| amo.options().oauth.clone());
    let code = town.amo(|amo, now_ms| amo.new_code(now_ms));
    let body = serde_json::json!({
        "client_id": options.client_id, "client_secret": options.client_secret, "redirect_uri": options.redirect_uri,
        "grant_type": "authorization_code", "code": code,
    });
    let asked = client().post(format!("{}{TOKENS}", town.amo_url())).body(body.to_string());
    let pair = asked.send().await.expect("an answer").bytes().await.expect("a body");
    for (bad, says) in [(&b"no json"[..], "token endpoint"), (b"{\"access_token\":\"a-secret\"}", "refresh_token")] {
        let output = fed(place.command(&["auth", "import", "-"]), bad);
        let told = text(&output);
        assert!(output.status.code() == Some(1) && told.contains(says) && !told.contains("a-secret"), "{told}");
    }
    let daemon = place.start();
    place.live().await;
    let output = fed(place.command(&["auth", "import", "-"]), &pair);
    assert!(output.status.success(), "{}", text(&output));
    place.ready().await;
    let file = place.path().join("pair.json");
    std::fs::write(&file, &pair).expect("a file");
    assert!(place.said(&["auth", "import", file.to_str().expect("a path")]).status.success());
    assert_eq!(place.said(&["auth", "import", "/nowhere/pair.json"]).status.code(), Some(1));
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_lived_token_needs_no_login_and_its_end_is_announced() {
    let (town, place) = found(86_400).await;
    // A JWT whose only claim is an `exp` of 2001: {"exp":1000000000}.
    let old = "eyJhbGciOiJub25lIn0.eyJleHAiOjEwMDAwMDAwMDB9.x";
    place.write(&place.config.text().replace(&place.config.token, old));
    let output = place.said(&["auth", "login"]);
    assert!(output.status.success() && text(&output).contains("needs no login"), "{}", text(&output));
    assert_eq!(place.said(&["auth", "import", "-"]).status.code(), Some(1));
    let told = text(&place.said(&["auth", "status"]));
    assert!(told.contains("a long-lived token, expired") && told.contains("2001-09-09"), "{told}");
    assert_eq!(place.token()["kind"], "long_lived");
    let daemon = place.start();
    place.live().await;
    eventually("it says so", || async {
        let ready = place.get("/health/ready").await.unwrap_or_default();
        ready.0 == 503
            && ready.1.contains("has expired on 2001-09-09")
            && place.status()["lanes"]["amo"]["state"] == "parked"
    })
    .await;
    assert_eq!(
        place.logged().lines().filter(|line| line.contains("ERROR") && line.contains("has expired on")).count(),
        1
    );
    let told = text(&place.said(&["status"]));
    assert!(told.contains("key to amoCRM") && told.contains("has expired on 2001-09-09"), "{told}");
    assert_eq!(daemon.stop().await.code(), Some(0));
    // One that tells nothing works like any other.
    place.write(&place.config.text());
    assert!(text(&place.said(&["auth", "status"])).contains("does not tell how long"));
    let daemon = place.start();
    place.ready().await;
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
}
