//! amoCRM's webhooks over the real binary: the commands, and what a kill right after an answer leaves.
//!
//! A command is waited for while the services of the town answer it, so these tests need a second thread.

use super::{Place, SECRET, eventually, found_town, text, town_options};
use rstest::rstest;
use salebridge::app::town::BRIDGE;
use salebridge::core::hint::EVENTS;
use salebridge::sandbox::amo::fixture::{FIELD_POSITION, USER_ADMIN};
use salebridge::sandbox::faults::Faults;
use salebridge::sandbox::town::Town;
use serde_json::Value;
use std::process::Output;

pub(super) const AMO_SECRET: &str = "blackbox-amo-hook-0123456789";

/// A place that takes amoCRM's webhooks; polls are rare, so that a change comes by hook or not at all.
pub(super) fn listening(town: &Town, api: &str, polls: bool) -> Place {
    let place = Place::of_town(town);
    let mut text = place
        .config
        .text()
        .replace("[bridge.amo]\n", &format!("[bridge.amo]\napi = \"{api}\"\nwebhook_secret = \"{AMO_SECRET}\"\n"));
    text = text.replace("[http]\n", &format!("[http]\npublic_url = \"http://127.0.0.1:{}\"\n", place.port));
    if !polls {
        for line in ["*/2 * * * * *", "1/2 * * * * *"] {
            text = text.replace(line, "0 0 0 1 1 *");
        }
    }
    place.write(&text);
    place
}

fn hooks(place: &Place, arguments: &[&str]) -> Output {
    place.command(&[&["hooks"], arguments].concat()).output().expect("the command runs")
}

fn destination(place: &Place) -> String {
    place.url(&format!("/hooks/amo/{BRIDGE}/{AMO_SECRET}"))
}

fn position(town: &Town, client: i64) -> String {
    town.look(|_, salebot| {
        let value = salebot.client(client).and_then(|client| client.variables.get("position"));
        value.and_then(Value::as_str).unwrap_or_default().to_owned()
    })
}

/// Subscriptions of the account without those of strangers.
fn ours(town: &Town, place: &Place) -> Vec<(usize, bool)> {
    let url = destination(place);
    town.look(|amo, _| {
        let all = amo.subscriptions().filter(|(to, ..)| *to == url);
        all.map(|(_, events, is_off)| (events.len(), is_off)).collect()
    })
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_made_looked_at_completed_and_taken_back(#[values("v2", "v4")] api: &str) {
    let town = found_town().await;
    let place = listening(&town, api, true);
    let foreign = "https://stranger.example.test/hooks/amo/town";
    town.amo(|amo, now_ms| amo.subscribe(now_ms, foreign, &["add_lead"]));
    let run = |arguments: &[&str], code: i32| {
        let output = hooks(&place, arguments);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(!said.contains(AMO_SECRET) && !said.contains(SECRET), "{said}");
        said
    };
    assert!(run(&["status"], 1).contains("salebridge hooks install --bridge town"));
    let said = run(&["install"], 0);
    assert!(said.contains(&format!("/hooks/amo/{BRIDGE}/…")) && said.contains("cannot reach it"), "{said}");
    assert_eq!(ours(&town, &place), [(EVENTS.len(), false)]);
    let requests = town.look(|amo, _| amo.statistics().requests);
    run(&["install", "--bridge", BRIDGE], 0);
    assert_eq!(town.look(|amo, _| amo.statistics().requests) - requests, 1, "nothing is to be done: one look");
    run(&["status"], 0);

    // An administrator takes an event away, and amoCRM switches it off.
    town.amo(|amo, now_ms| amo.subscribe(now_ms, &destination(&place), &["add_lead", "note_lead"]));
    assert!(run(&["status"], 1).contains("add_contact"));
    run(&["install"], 0);
    assert_eq!(ours(&town, &place), [(EVENTS.len() + 1, false)], "what else was asked for stays");
    town.amo(|amo, _| amo.switch_hook(&destination(&place), false));
    assert!(run(&["status"], 1).contains("switched our webhook off"));
    run(&["install"], 0);
    assert_eq!(ours(&town, &place), [(EVENTS.len() + 1, false)]);

    // An older secret of ours is told of and cleared away; another place of ours is told of and left alone.
    let older = place.url(&format!("/hooks/amo/{BRIDGE}/an-older-secret-0123456789"));
    let elsewhere = format!("https://else.example.test/hooks/amo/{BRIDGE}/another-secret-0123456789");
    town.amo(|amo, now_ms| [&older, &elsewhere].into_iter().for_each(|url| amo.subscribe(now_ms, url, &["add_lead"])));
    let said = run(&["status"], 0);
    assert!(said.contains("older secret") && said.contains("else.example.test"), "{said}");
    assert!(!said.contains("0123456789"), "{said}");
    assert!(run(&["remove"], 0).contains("removed"));
    assert!(run(&["remove"], 0).contains("nothing was subscribed"));
    let left: Vec<String> = town.look(|amo, _| amo.subscriptions().map(|(url, ..)| url.to_owned()).collect());
    assert_eq!(left, [elsewhere, foreign.to_owned()]);
    town.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_what_to_do(#[values("v2", "v4")] api: &str, #[values(0, 402, 403, 422)] status: u16) {
    let mut options = town_options();
    match status {
        0 => {
            options.amo.account.users.get_mut(&USER_ADMIN).expect("the user").is_admin = false;
        }
        status => options.amo.hooks.refused_with = Some(status),
    }
    let town = Town::found(options, Faults::none()).await.expect("free ports");
    let place = listening(&town, api, true);
    for arguments in [["install"], ["status"], ["remove"]] {
        let output = hooks(&place, &arguments);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("administrator") && said.contains("plan") && said.contains("polls"), "{said}");
    }
    town.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_configured_is_said() {
    let town = found_town().await;
    let place = Place::of_town(&town);
    let said = |place: &Place| text(&hooks(place, &["install"]));
    assert!(said(&place).contains("http.public_url"));
    place.write(&place.config.text().replace("[http]\n", "[http]\npublic_url = \"https://bridge.example.test\"\n"));
    let without_secret = said(&place);
    assert!(
        without_secret.contains("amo.webhook_secret") && without_secret.contains("openssl rand"),
        "{without_secret}"
    );
    assert!(text(&hooks(&place, &["status", "--bridge", "nobody"])).contains("there is no bridge nobody"));
    town.close().await;
}

/// The hook is answered, the process dies: the change arrives all the same, though nothing is polled.
#[tokio::test(flavor = "multi_thread")]
async fn an_answered_hook_survives_a_kill() {
    let town = found_town().await;
    let place = listening(&town, "v2", false);
    let daemon = place.start();
    place.ready().await;
    let client = town.enter(0, 0).expect("a regular");
    let contact = town.cast().people[0].contact.expect("a regular is a contact");
    eventually("the contact is known", || async { place.status()["links"].as_u64() > Some(0) }).await;
    place.idle().await;
    for round in 0..3 {
        // No answer of amoCRM for a while, so that the hook cannot have been worked on.
        town.amo(|amo, now_ms| amo.block_until(now_ms + 600_000));
        let value = format!("После удара {round}");
        town.amo(|amo, now_ms| amo.set_contact_text(now_ms, contact, FIELD_POSITION, &value));
        let answer = super::client()
            .post(destination(&place))
            .body(format!("contacts[update][0][id]={contact}&contacts[update][0][type]=contact"))
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 200);
        if round == 2 {
            break;
        }
        town.amo(|amo, _| amo.lift_block());
        eventually("the variable is there", || async { position(&town, client) == value }).await;
        place.idle().await;
    }
    daemon.kill();
    town.amo(|amo, _| amo.lift_block());
    let daemon = place.start();
    eventually("the variable is there", || async { position(&town, client) == "После удара 2" }).await;
    place.idle().await;
    assert_eq!(place.status()["dead_letters"], 0);
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
}

/// From the command to a variable: installed by the binary, posted by amoCRM, carried out by the daemon.
#[tokio::test(flavor = "multi_thread")]
async fn an_installed_hook_brings_changes_without_a_poll() {
    let town = found_town().await;
    let place = listening(&town, "v4", false);
    let daemon = place.start();
    place.ready().await;
    let client = town.enter(0, 0).expect("a regular");
    let contact = town.cast().people[0].contact.expect("a regular is a contact");
    eventually("the contact is known", || async { place.status()["links"].as_u64() > Some(0) }).await;
    place.idle().await;
    assert_eq!(hooks(&place, &["install"]).status.code(), Some(0));
    town.amo(|amo, now_ms| amo.set_contact_text(now_ms, contact, FIELD_POSITION, "По вебхуку"));
    eventually("the variable is there", || async { position(&town, client) == "По вебхуку" }).await;
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
}
