//! Do both sides agree, and does the operator hear the right cause when they do not; nothing is ever written.

use super::{Daemon, Place, SECRET, eventually, found_town, salebridge, text};
use salebridge::app::town::BRIDGE;
use salebridge::core::action::client_key;
use salebridge::core::fault::{Fault as Reason, FaultKind};
use salebridge::core::id::ClientId;
use salebridge::core::time::Millis;
use salebridge::ports::store::{Change, Mark, Store, Subject};
use salebridge::sandbox::amo::fixture::FIELD_POSITION;
use salebridge::sandbox::faults::{Fault, ScriptedFault, ServiceName};
use salebridge::sandbox::town::Town;
use salebridge::store::sqlite::{Access, SqliteOptions, SqliteStore};
use serde_json::Value;

/// The pair that the tests edit.
pub(super) const PAIR: &str = "contact.field.4396817=client.position";

/// A town with one client that its contact knows, everything in step; the daemon runs.
pub(super) async fn in_step() -> (Town, Place, Daemon, u64, i64) {
    let town = found_town().await;
    let place = Place::of_town(&town);
    let daemon = place.start();
    town.deliver_to(&place.hook(SECRET)).expect("a client");
    place.ready().await;
    let client = town.enter(0, 0).expect("a regular");
    let contact = town.cast().people[0].contact.expect("a regular is a contact");
    eventually("the client knows its contact", || async {
        variable(&town, client, "amo_contact_id") == contact.to_string()
    })
    .await;
    place.idle().await;
    (town, place, daemon, contact, client)
}

pub(super) fn variable(town: &Town, client: i64, name: &str) -> String {
    town.look(|_, salebot| {
        let value = salebot.client(client).and_then(|client| client.variables.get(name));
        value.and_then(Value::as_str).unwrap_or_default().to_owned()
    })
}

/// The exit code and what stands in the report.
fn verified(place: &Place, more: &[&str]) -> (Option<i32>, Value) {
    let output = place.command(&[&["verify", "--json"], more].concat()).output().expect("the command runs");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("JSON: {}", text(&output)));
    (output.status.code(), told["bridges"][0].clone())
}

/// The causes of what is told of the pair.
fn causes(report: &Value) -> Vec<String> {
    let all = report["differences"].as_array().expect("a list").iter();
    let own = all.filter(|one| one["pair"] == PAIR).map(|one| one["cause"].as_str().unwrap_or_default().to_owned());
    own.collect()
}

/// Takes away what a look at Salebot's newest clients marked just before the daemon stopped.
async fn unmark_all(store: &SqliteStore) {
    let rows = store.marks_due(BRIDGE, Millis(i64::MAX), 100).await.expect("marks");
    let cleared = rows.into_iter().map(|row| Change::Unmark(row.mark.subject, row.revision));
    store.commit(BRIDGE, cleared.collect()).await.expect("a commit");
}

/// Requests to amoCRM that are no reading.
pub(super) fn writes(town: &Town) -> u64 {
    town.look(|amo, _| {
        let routes = &amo.statistics().by_route;
        routes.iter().filter(|(route, _)| !route.starts_with("GET")).map(|(_, count)| count).sum()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sides_in_step_agree_and_an_edit_nobody_has_seen_is_told() {
    let (town, place, daemon, contact, client) = in_step().await;
    assert_eq!(daemon.stop().await.code(), Some(0));
    let before = (writes(&town), variable(&town, client, "position"));
    let (code, report) = verified(&place, &[]);
    assert_eq!((code, report["differences"].as_array().map(Vec::len)), (Some(0), Some(0)), "{report}");
    assert!(report["people"].as_u64() >= Some(1) && report["pairs"].as_u64() >= Some(5), "{report}");
    let told = text(&place.command(&["verify", "--bridge", BRIDGE]).output().expect("the command runs"));
    assert!(told.contains("both sides agree") && !told.contains('\u{1b}'), "{told}");

    town.amo(|amo, now_ms| amo.set_contact_text(now_ms, contact, FIELD_POSITION, "Смотритель маяка"));
    let (code, report) = verified(&place, &[]);
    assert_eq!((code, causes(&report)), (Some(3), vec!["unseen".to_owned()]), "{report}");
    let own = &report["differences"][0];
    assert_eq!(
        (&own["record"], &own["amo"][0]),
        (&Value::from(format!("client:{client}")), &Value::from("Смотритель маяка"))
    );
    let (code, sampled) = verified(&place, &["--sample", "1"]);
    assert_eq!((code, sampled["people"].as_u64()), (Some(3), Some(1)), "{sampled}");
    let table = place.command(&["verify"]).output().expect("the command runs");
    assert_eq!(table.status.code(), Some(3));
    assert!(text(&table).contains("Смотритель маяка") && text(&table).contains("1 unseen"), "{}", text(&table));
    assert_eq!((writes(&town), variable(&town, client, "position")), before, "nothing was written");
    town.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_state_of_a_write_is_named() {
    let (town, place, daemon, contact, client) = in_step().await;
    let away = Fault::Status { code: 503, body: None, retry_after: None };
    town.spoil(ScriptedFault::once(ServiceName::Salebot, away).on("save_variables").times(10_000));
    town.amo(|amo, now_ms| amo.set_contact_text(now_ms, contact, FIELD_POSITION, "Смотритель маяка"));
    eventually("the write waits", || async { place.status()["outbox"].as_u64() >= Some(1) }).await;
    assert_eq!(daemon.stop().await.code(), Some(0));
    let (code, report) = verified(&place, &[]);
    assert_eq!((code, causes(&report)), (Some(3), vec!["queued".to_owned()]), "{report}");

    let options = SqliteOptions::new(place.path().join("salebridge.db"), Access::Driver);
    let store = SqliteStore::open(options).await.expect("nobody drives it");
    let client = ClientId(u64::try_from(client).expect("an id"));
    let rows = store.pending(BRIDGE, &[client_key(client)]).await.expect("rows");
    let fault = Reason::new(FaultKind::Rejected, "refused by the test");
    let dead = rows.iter().map(|row| Change::ActionDead { id: row.id, fault: fault.clone(), at: Millis(1) });
    store.commit(BRIDGE, dead.collect()).await.expect("a commit");
    let (code, report) = verified(&place, &[]);
    assert_eq!((code, causes(&report)), (Some(3), vec!["dead".to_owned()]), "{report}");

    // A write that vanishes without a trace is what the command is for.
    let gone = rows.iter().map(|row| Change::ActionDone(row.id));
    store.commit(BRIDGE, gone.collect()).await.expect("a commit");
    unmark_all(&store).await;
    let (code, report) = verified(&place, &[]);
    assert_eq!((code, causes(&report)), (Some(3), vec!["lost".to_owned()]), "{report}");

    let mark = Mark { subject: Subject::Client(client), due: Millis(1), attempts: 0, run: None };
    store.commit(BRIDGE, vec![Change::Mark(mark)]).await.expect("a commit");
    let (code, report) = verified(&place, &[]);
    assert_eq!((code, causes(&report)), (Some(3), vec!["marked".to_owned()]), "{report}");

    let mut link = store.clients(BRIDGE, &[client]).await.expect("links").remove(0);
    link.bases.entry(PAIR.to_owned()).or_default().flips.frozen = true;
    store.commit(BRIDGE, vec![Change::PutClient(Box::new(link))]).await.expect("a commit");
    let (code, report) = verified(&place, &[]);
    assert_eq!((code, causes(&report)), (Some(3), vec!["frozen".to_owned()]), "{report}");
    store.close().await;
    town.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_away_and_wrong_input_are_told() {
    let (town, place, daemon, _, _) = in_step().await;
    let busy = place.command(&["verify", "--sample", "1"]).output().expect("the command runs");
    assert_eq!(busy.status.code(), Some(0), "beside a daemon: {}", text(&busy));
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
    let output = place.command(&["verify"]).output().expect("the command runs");
    assert_eq!(output.status.code(), Some(75), "{}", text(&output));
    assert!(text(&output).contains("amoCRM could not be asked"), "{}", text(&output));
    for (arguments, code, told) in [
        (&["verify", "--bridge", "nobody"][..], 1, "town"),
        (&["verify", "--sample", "0"], 2, "--sample"),
        (&["verify", "--sample", "many"], 2, "--sample"),
    ] {
        let output = place.command(arguments).output().expect("the command runs");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output));
        assert!(text(&output).contains(told), "{arguments:?}: {}", text(&output));
    }
    let output = salebridge().args(["--config", "/nonexistent/salebridge.toml", "verify"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(78));
}

/// The causes of what is told of a pair, or of whole records where it is empty.
fn causes_of(report: &Value, pair: &str) -> Vec<String> {
    let all = report["differences"].as_array().expect("a list").iter().filter(|one| one["pair"] == pair);
    all.map(|one| one["cause"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_and_what_the_mapping_does_not_carry_are_named() {
    let (town, place, daemon, contact, client) = in_step().await;
    assert_eq!(daemon.stop().await.code(), Some(0));
    // Both sides are edited while nobody looks, and then Salebot takes no writes: the loser is still there.
    let away = Fault::Status { code: 503, body: None, retry_after: None };
    town.spoil(ScriptedFault::once(ServiceName::Salebot, away).on("save_variables").times(10_000));
    town.amo(|amo, now_ms| amo.set_contact_text(now_ms, contact, FIELD_POSITION, "Смотритель маяка"));
    town.salebot(|salebot, now_ms| salebot.set_variable(now_ms, client, "client.position", "Капитан"));
    // A bot overwrites what the mapping carries to Salebot alone.
    town.salebot(|salebot, now_ms| salebot.set_variable(now_ms, client, "client.manager", "Никто"));
    let daemon = place.start();
    place.ready().await;
    eventually("the write waits", || async { place.status()["outbox"].as_u64() >= Some(1) }).await;
    assert_eq!(daemon.stop().await.code(), Some(0));
    let options = SqliteOptions::new(place.path().join("salebridge.db"), Access::Driver);
    let store = SqliteStore::open(options).await.expect("nobody drives it");
    unmark_all(&store).await;
    store.close().await;
    let (code, report) = verified(&place, &[]);
    assert_eq!((code, causes(&report)), (Some(3), vec!["conflict".to_owned()]), "{report}");
    let own = report["differences"].as_array().and_then(|all| all.iter().find(|one| one["pair"] == PAIR)).cloned();
    let why = own.as_ref().and_then(|own| own["why"].as_str()).unwrap_or_default();
    assert!(why.contains("Salebot's value gave way"), "{why}");
    assert_eq!(causes_of(&report, "contact.responsible=client.manager"), ["not_carried"], "{report}");
    town.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_gone_or_cannot_be_read_is_named() {
    let (town, place, daemon, contact, client) = in_step().await;
    let other = town.cast().people.iter().skip(1).position(|person| person.contact.is_some()).expect("another") + 1;
    let other_contact = town.cast().people[other].contact.expect("a regular");
    let other_client = town.enter(other, 0).expect("another");
    town.deliver_to(&place.hook(SECRET)).expect("a client");
    eventually("the other client knows its contact", || async {
        variable(&town, other_client, "amo_contact_id") == other_contact.to_string()
    })
    .await;
    place.idle().await;
    assert_eq!(daemon.stop().await.code(), Some(0));
    let away = Fault::Status { code: 503, body: None, retry_after: None };
    town.spoil(ScriptedFault::once(ServiceName::Salebot, away).on("get_variables"));
    let (code, report) = verified(&place, &[]);
    assert_eq!((code, causes_of(&report, "")), (Some(75), vec!["unread".to_owned()]), "{report}");
    assert_eq!(report["stopped"], Value::Null, "the others were compared: {report}");

    town.amo(|amo, now_ms| amo.delete_contact(now_ms, contact));
    let (code, report) = verified(&place, &[]);
    assert_eq!((code, causes_of(&report, "")), (Some(3), vec!["gone".to_owned()]), "{report}");
    let records: Vec<&Value> =
        report["differences"].as_array().expect("a list").iter().map(|one| &one["record"]).collect();
    assert!(records.contains(&&Value::from(format!("contact:{contact}"))), "{report}");
    assert!(!records.contains(&&Value::from(format!("client:{client}"))), "one line tells of it: {report}");
    town.close().await;
}
