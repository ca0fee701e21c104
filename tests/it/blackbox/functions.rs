//! A bot's call and a daemon that is killed while it is carried out.

use super::{Place, SECRET, client, eventually, found_town};
use salebridge::app::town::BRIDGE;
use salebridge::sandbox::faults::{Fault, ScriptedFault, ServiceName};
use serde_json::{Value, json};

const TOKEN: &str = "blackbox-functions-0123456789";

async fn call(place: &Place, function: &str, body: &Value) -> Option<Value> {
    let url = place.url(&format!("/functions/{BRIDGE}/{function}"));
    let request = client().post(url).bearer_auth(TOKEN).body(body.to_string());
    request.send().await.ok()?.json().await.ok()
}

#[tokio::test]
async fn a_killed_daemon_makes_the_lead_once_and_tells_the_bot() {
    let town = found_town().await;
    let place = Place::of_town(&town);
    let secret = format!("webhook_secret = \"{SECRET}\"\n");
    place.write(&place.config.text().replace(&secret, &format!("{secret}functions_token = \"{TOKEN}\"\n")));
    let daemon = place.start();
    town.deliver_to(&place.hook(SECRET)).expect("a client");
    place.ready().await;
    let person = town.enter(0, 0).expect("a regular");
    let body = json!({ "client_id": person, "lead_data": { "name": "Один на всех" } });
    let leads = || town.look(|amo, _| amo.leads().filter(|lead| lead.card.name == "Один на всех").count());
    // The lead is made, and the answer is still on its way when the daemon dies.
    town.spoil(ScriptedFault::once(ServiceName::Amo, Fault::Slow { ms: 20_000 }).on("/leads").by("POST"));
    let calling = call(&place, "amo_add_lead", &body);
    let made = eventually("the lead is made", || async { leads() == 1 });
    let (answer, ()) = futures::future::join(calling, made).await;
    assert_eq!(answer.map(|answer| answer["queued"].clone()), Some(json!(1)));
    daemon.kill();

    let daemon = place.start();
    place.ready().await;
    let told = || {
        town.look(|_, salebot| {
            salebot
                .callbacks()
                .filter(|one| one.client_id == person && one.text == "amo_function_done amo_add_lead")
                .count()
        })
    };
    eventually("the bot is told", || async { told() == 1 }).await;
    let again = call(&place, "amo_add_lead", &body).await.expect("an answer");
    let lead = town.look(|amo, _| amo.leads().find(|lead| lead.card.name == "Один на всех").map(|lead| lead.card.id));
    assert_eq!((&again["ok"], again["lead_id"].as_u64()), (&json!(1), lead), "{again}");
    assert_eq!((leads(), told()), (1, 1));
    place.idle().await;
    assert_eq!(daemon.stop().await.code(), Some(0));
    let log = place.logged();
    for secret in [TOKEN, "Один на всех"] {
        assert!(!log.contains(secret), "{secret} stands in the log");
    }
    assert!(log.contains("a bot called a function"), "{log}");
    town.close().await;
}
