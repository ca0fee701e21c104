//! Where a value comes from, and what would be written now.

use super::verify::{PAIR, in_step, variable, writes};
use super::{Place, eventually, salebridge, text};
use salebridge::app::town::{BRIDGE, TownConfig, crowd};
use salebridge::sandbox::amo::fixture::FIELD_POSITION;
use salebridge::sandbox::town::Town;
use std::process::Output;

fn run(place: &Place, arguments: &[&str]) -> Output {
    place.command(arguments).output().expect("the command runs")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_shows_an_edit_and_writes_nothing() {
    let (town, place, daemon, contact, client) = in_step().await;
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.amo(|amo, now_ms| amo.set_contact_text(now_ms, contact, FIELD_POSITION, "Смотритель маяка"));
    let before = (writes(&town), variable(&town, client, "position"));
    let (contact, id) = (contact.to_string(), client.to_string());
    for arguments in [&["plan"][..], &["plan", "--contact", &contact], &["plan", "--client", &id]] {
        let output = run(&place, arguments);
        let told = text(&output);
        assert_eq!(output.status.code(), Some(0), "{told}");
        for part in [PAIR, "both ways, amoCRM owns it", "write to Salebot: Смотритель маяка", "edited in amoCRM"]
        {
            assert!(told.contains(part), "{arguments:?}: {part} is missing in {told}");
        }
    }
    let line = run(&place, &["plan", "--contact", &contact, "--json"]);
    let read: serde_json::Value = serde_json::from_slice(&line.stdout).expect("JSON");
    let pair = read["pairs"].as_array().and_then(|pairs| pairs.iter().find(|pair| pair["pair"] == PAIR));
    assert_eq!(pair.map(|pair| (&pair["write"]["side"], &pair["agrees"])), Some((&"salebot".into(), &false.into())));
    assert_eq!((writes(&town), variable(&town, client, "position")), before, "nothing was written");
    for (arguments, code, told) in [
        (&["plan", "--bridge", "nobody"][..], 1, "town"),
        (&["plan", "--client", "999999999"], 1, "no bridge links"),
        (&["plan", "--contact", "1", "--lead", "1"], 2, "--lead"),
    ] {
        let output = run(&place, arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output));
        assert!(text(&output).contains(told), "{arguments:?}: {}", text(&output));
    }
    town.close().await;
    assert_eq!(run(&place, &["plan"]).status.code(), Some(75));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_that_cannot_be_asked_is_named_and_hides_no_other() {
    let (gone, town) = (super::found_town().await, super::found_town().await);
    let place = Place::of_town(&town);
    let config =
        |town: &Town| TownConfig { amo_url: town.amo_url(), salebot_url: town.salebot_url(), ..place.config.clone() };
    place.write(&crowd(&[config(&gone), config(&town)]));
    gone.close().await;
    assert!(run(&place, &["migrate"]).status.success());
    let output = run(&place, &["plan"]);
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(75), "{}", text(&output));
    assert!(complained.contains(&format!("{BRIDGE}-0: amoCRM could not be asked")), "{complained}");
    assert!(said.contains(&format!("{BRIDGE}-1: 0 records were looked at")), "{said}");
    assert!(run(&place, &["plan", "--bridge", &format!("{BRIDGE}-1")]).status.success());
    town.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_is_explained_from_event_to_confirmation() {
    let (town, place, daemon, contact, client) = in_step().await;
    town.amo(|amo, now_ms| amo.set_contact_text(now_ms, contact, FIELD_POSITION, "Смотритель маяка"));
    eventually("the value is in Salebot", || async {
        variable(&town, client, "position") == "Смотритель маяка"
    })
    .await;
    place.idle().await;
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
    let (contact, id) = (contact.to_string(), client.to_string());
    for arguments in [
        &["explain", "contact", &contact, "position"][..],
        &["explain", "client", &id, "client.position"],
        &["explain", "client", &id, PAIR],
    ] {
        let output = run(&place, arguments);
        let told = text(&output);
        assert_eq!(output.status.code(), Some(0), "{told}");
        for part in [PAIR, "set off by", "save_variables", "Смотритель маяка", "confirmed", "+03:00", "keeps 30 days"]
        {
            assert!(told.contains(part), "{arguments:?}: {part} is missing in {told}");
        }
        assert!(!told.contains("crm_name") && !told.contains('\u{1b}'), "one field alone: {told}");
    }
    let all = text(&run(&place, &["explain", "contact", &contact]));
    assert!(all.contains("amo_contact_id") && all.contains("crm_name"), "{all}");
    for (arguments, code, told) in [
        (&["explain", "contact", "999999999"][..], 1, "not known"),
        (&["explain", "contact", &contact, "shoe_size"], 1, "no pair has a field shoe_size"),
        (&["explain", "company", "1"], 2, "contact"),
        (&["explain", "client", &id, "--bridge", "nobody"], 1, "town"),
    ] {
        let output = run(&place, arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output));
        assert!(text(&output).contains(told), "{arguments:?}: {}", text(&output));
    }
    let output = salebridge().args(["--config", "/nonexistent/salebridge.toml", "explain", "lead", "1"]).output();
    assert_eq!(output.expect("it runs").status.code(), Some(78));
}
