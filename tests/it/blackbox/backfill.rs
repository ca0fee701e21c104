//! `backfill` over the real program: without a daemon and beside one, killed, stopped, dry.

use super::{Place, SECRET, eventually, found_town};
use salebridge::app::town::BRIDGE;
use salebridge::sandbox::amo::LoggedRequest;
use salebridge::sandbox::amo::edit::LeadDraft;
use salebridge::sandbox::amo::fixture::FIELD_POSITION;
use salebridge::sandbox::faults::{Fault, ScriptedFault, ServiceName};
use salebridge::sandbox::town::Town;
use serde_json::Value;
use std::fs::File;
use std::process::{Output, Stdio};

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs the command to its end, off the runtime's threads: the town answers from there.
async fn backfill(place: &Place, arguments: &[&str]) -> Output {
    let mut command = place.command(&[&["backfill"], arguments].concat());
    tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("no panic")
}

fn variable(town: &Town, client: i64, name: &str) -> String {
    town.look(|_, salebot| {
        let value = salebot.client(client).and_then(|client| client.variables.get(name));
        value.and_then(Value::as_str).unwrap_or_default().to_owned()
    })
}

/// Gives the first person a client, and its contact a lead.
fn deal(town: &Town) -> (i64, u64) {
    let client = town.enter(0, 0).expect("a regular");
    let contact = town.cast().people[0].contact.expect("a regular is a contact");
    let draft =
        LeadDraft { name: "Давний заказ".into(), contact_ids: vec![contact], ..LeadDraft::default() };
    town.amo(|amo, now_ms| amo.create_lead(now_ms, draft));
    (client, contact)
}

#[tokio::test]
async fn a_first_import_without_a_daemon_links_writes_and_ends() {
    let town = found_town().await;
    let place = Place::of_town(&town);
    let (client, contact) = deal(&town);
    let newcomer = town.cast().people.iter().rposition(|person| person.contact.is_none()).expect("somebody new");
    let stranger = town.enter(newcomer, 0).expect("somebody new");
    let known = town.amo(|amo, _| amo.contact_count());
    let dry = backfill(&place, &["--dry-run"]).await;
    assert_eq!(dry.status.code(), Some(0), "{}", said(&dry));
    assert_eq!(variable(&town, client, "amo_contact_id"), "", "a dry run writes nothing");
    assert_eq!(town.amo(|amo, _| amo.contact_count()), known);
    assert!(said(&dry).contains("contacts looked at"), "{}", said(&dry));
    assert!(said(&dry).contains("belong together"), "{}", said(&dry));
    // What the new links would lead to is counted and shown, each of them once.
    let first = format!("client:{client}: ");
    for part in [
        "save_variables would be planned",
        "update_contact would be planned",
        "create_contact would be planned",
        "For example:",
        &first,
    ] {
        assert!(said(&dry).contains(part), "{part} is missing in {}", said(&dry));
    }
    let linked = |output: &Output| {
        let all = said(output);
        let line = all.lines().find(|line| line.contains("found to belong together")).expect("the line");
        line.split_whitespace().last().and_then(|count| count.parse::<u64>().ok())
    };
    let would_be = linked(&dry);

    let output = backfill(&place, &[]).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(variable(&town, client, "amo_contact_id"), contact.to_string());
    assert_eq!(town.look(|_, salebot| salebot.orders(client).len()), 1, "{}", said(&output));
    assert_eq!(linked(&output), would_be, "{}", said(&output));
    let contacts = town.amo(|amo, _| amo.contact_count());
    assert_eq!(contacts, known + 1, "somebody without a contact gets one");
    assert_ne!(variable(&town, stranger, "amo_contact_id"), "");

    // Once more: everything is looked at, nothing is written.
    let writes = town.look(|amo, _| amo.contact(contact).map(|contact| contact.card.updated_at));
    let again = backfill(&place, &["--restart"]).await;
    assert_eq!(again.status.code(), Some(0), "{}", said(&again));
    assert!(!said(&again).contains(" planned"), "{}", said(&again));
    assert_eq!(town.look(|amo, _| amo.contact(contact).map(|contact| contact.card.updated_at)), writes);
    assert_eq!(
        (town.amo(|amo, _| amo.contact_count()), town.look(|_, salebot| salebot.orders(client).len())),
        (contacts, 1)
    );
    assert_eq!(
        place.status()["cursors"]["contacts"]["at"].as_str().map(str::is_empty),
        Some(false),
        "polls go on from here"
    );
    town.close().await;
}

#[tokio::test]
async fn beside_a_daemon_it_mends_what_polls_pass_over() {
    let town = found_town().await;
    let place = Place::of_town(&town);
    let (client, contact) = deal(&town);
    place.write(&place.config.text().replace("reconcile = \"*/5 * * * * *\"", "reconcile = \"0 0 0 1 1 *\""));
    let daemon = place.start();
    place.ready().await;
    eventually("the client knows its contact", || async {
        variable(&town, client, "amo_contact_id") == contact.to_string()
    })
    .await;
    place.idle().await;
    // A bot writes without a word from the person, and nobody looks at clients for a year.
    town.salebot(|salebot, now_ms| salebot.set_variable(now_ms, client, "client.position", "Главбух"));
    let output = backfill(&place, &["--only", "contacts"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(
        said(&output).contains("contacts looked at") && !said(&output).contains("leads looked at"),
        "{}",
        said(&output)
    );
    let held = town.look(|amo, _| amo.contact(contact).expect("the contact").card.texts(FIELD_POSITION).concat());
    assert_eq!(held, "Главбух");
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
}

/// The numbers of the last line that tells how far the leads are: rows, about how many, a second, and how long.
fn pace(said: &str) -> Option<[u64; 4]> {
    let line = said.lines().rfind(|line| line.contains(" of about ") && line.contains(" left"))?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let before = |what: &str| words.iter().position(|word| word.trim_end_matches(',') == what).map(|at| words[at - 1]);
    let unit = if line.contains(" s left") { "s" } else { "min" };
    let of = words.iter().position(|word| *word == "of")?;
    let numbers = [Some(words[of - 1]), before("rows"), before("rows/s"), before(unit)];
    let numbers: Vec<u64> = numbers.into_iter().filter_map(|word| word?.parse().ok()).collect();
    numbers.try_into().ok()
}

/// Leads in a page, as the bridge asks for them.
const PAGE: u64 = 500;

#[tokio::test]
async fn a_long_one_tells_how_fast_it_is_and_for_how_long_with_few_questions() {
    let town = found_town().await;
    let place = Place::of_town(&town);
    let all = 18_000;
    while town.look(|amo, _| amo.lead_count()) < all {
        // Nobody's: nothing is to be done about them, and they are quickly read.
        town.amo(|amo, now_ms| {
            for _ in 0..500 {
                amo.create_lead(now_ms, LeadDraft { name: "Заявка".into(), ..LeadDraft::default() });
            }
        });
    }
    let all = town.look(|amo, _| amo.lead_count()) as u64;
    // Slow enough that lines are printed while it goes.
    place.write(&place.config.text().replace("[bridge.amo]\n", "[bridge.amo]\nrequests_per_second = 4\n"));
    let output = backfill(&place, &["--only", "leads", "--dry-run"]).await;
    let told = said(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let [rows, about, a_second, _] = pace(&told).expect("a line with numbers");
    assert!(rows < about && (all * 3 / 5..all * 17 / 10).contains(&about), "{about} of {all}: {told}");
    assert!((PAGE..=4 * PAGE).contains(&a_second), "{told}");
    let sizes = |size: &str| {
        let is_one = |request: &&LoggedRequest| {
            let of_size =
                |(name, value): &(String, String)| matches!(name.as_str(), "limit_rows" | "limit") && value == size;
            request.path.ends_with("/leads") && request.query.iter().any(of_size)
        };
        town.look(|amo, _| amo.request_log().filter(is_one).count()) as u64
    };
    let questions = sizes("1");
    assert!((2..=6).contains(&questions), "{questions} questions: {told}");
    // Requests are told, and they are those that came.
    let (amo, salebot) = town.look(|amo, salebot| (amo.request_log().count() as u64, salebot.statistics().total));
    assert!(told.contains(&format!("{} requests, 0 answers 429\n", amo + salebot)), "{amo} and {salebot}: {told}");
    // The next one knows from the beginning, and asks nothing.
    let mut command = place.command(&["backfill", "--only", "leads"]);
    let errors = place.path().join("second.txt");
    let log = File::create(&errors).expect("a file");
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("it starts");
    let second = super::Daemon { child };
    let read = || std::fs::read_to_string(&errors).unwrap_or_default();
    eventually("it tells how far it is", || async { read().contains(" of about ") }).await;
    assert!(read().contains(&format!(" of about {all} rows")), "{}", read());
    assert_eq!(sizes("1"), questions);
    second.kill();
    town.close().await;
}

#[tokio::test]
async fn beside_a_daemon_it_tells_its_requests_and_answers_429() {
    let town = found_town().await;
    let place = Place::of_town(&town);
    let yearly = "\"0 0 0 1 1 *\"";
    let rare = ["\"*/2 * * * * *\"", "\"1/2 * * * * *\"", "\"*/5 * * * * *\""];
    place.write(&rare.iter().fold(place.config.text(), |text, often| text.replace(often, yearly)));
    let daemon = place.start();
    place.ready().await;
    place.idle().await;
    let sent = || town.look(|amo, salebot| amo.request_log().count() as u64 + salebot.statistics().total);
    let before = sent();
    let busy = Fault::Status { code: 429, body: None, retry_after: Some(1) };
    town.spoil(ScriptedFault::once(ServiceName::Amo, busy).on("/contacts"));
    let output = backfill(&place, &["--dry-run"]).await;
    let told = said(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    // The one that was answered by the gateway is in no log of the service.
    let came = sent() - before + 1;
    assert!(told.contains(&format!("{came} requests, 1 answers 429 until everything was read\n")), "{came}: {told}");
    let run = &place.status()["run"];
    assert_eq!((&run["kind"], &run["state"], &run["dry_run"]), (&"backfill".into(), &"through".into(), &true.into()));
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
}

#[tokio::test]
async fn a_daemon_that_ends_meanwhile_is_told_and_the_next_one_goes_on() {
    let town = found_town().await;
    let place = Place::of_town(&town);
    let daemon = place.start();
    place.ready().await;
    // Nothing is read until the next daemon.
    town.spoil(ScriptedFault::once(ServiceName::Amo, Fault::Slow { ms: 3_600_000 }).times(u64::MAX));
    let mut command = place.command(&["backfill"]);
    let told = tempfile::NamedTempFile::new().expect("a temporary file");
    let stderr = told.reopen().expect("the same file");
    let mut child = command.stdout(Stdio::null()).stderr(stderr).spawn().expect("it starts");
    let says = |what: &str| std::fs::read_to_string(told.path()).expect("text").contains(what);
    eventually("it waits", || async { says(&format!("{BRIDGE}: ")) }).await;
    daemon.kill();
    eventually("it says why", || async { says("no daemon runs any more: start it") }).await;
    town.calm();
    let daemon = place.start();
    let over = tokio::task::spawn_blocking(move || child.wait().expect("it ends"));
    assert_eq!(over.await.expect("waits").code(), Some(0));
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
}

/// Starts the command; its words go to the file.
fn begin(place: &Place, arguments: &[&str], file: &str) -> super::Daemon {
    let log = File::create(place.path().join(file)).expect("a file");
    let mut command = place.command(&[&["backfill"], arguments].concat());
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("it starts");
    super::Daemon { child }
}

#[tokio::test]
async fn another_one_takes_no_place_from_one_that_runs_unless_it_says_so() {
    let town = found_town().await;
    let place = Place::of_town(&town);
    let daemon = place.start();
    place.ready().await;
    place.idle().await;
    // Nothing is read, so that the first one is under way.
    town.spoil(ScriptedFault::once(ServiceName::Amo, Fault::Slow { ms: 3_600_000 }).times(u64::MAX));
    let mut first = begin(&place, &[], "first.txt");
    let under_way =
        || place.status()["run"]["dry_run"].as_bool().filter(|_| place.status()["run"]["state"] == "under_way");
    eventually("it is asked for", || async { under_way() == Some(false) }).await;
    let refused = backfill(&place, &["--dry-run"]).await;
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    let goes_on = format!("salebridge backfill --bridge {BRIDGE}. To give it up");
    assert!(said(&refused).contains("is not finished yet") && said(&refused).contains(&goes_on), "{}", said(&refused));
    assert_eq!(under_way(), Some(false), "the first one goes on");

    let second = begin(&place, &["--dry-run", "--restart"], "second.txt");
    assert_eq!(first.ended().await.code(), Some(1), "it does not wait for ever");
    let told = std::fs::read_to_string(place.path().join("first.txt")).expect("its words");
    let why = format!("another backfill was asked for in its place: salebridge backfill --bridge {BRIDGE} --dry-run");
    assert!(told.contains(&why), "{told}");
    assert_eq!(under_way(), Some(true), "and takes back nothing of others");
    assert_eq!(second.stop().await.code(), Some(75));
    eventually("it is taken back", || async { under_way().is_none() }).await;
    daemon.kill();
    town.close().await;
}

#[tokio::test]
async fn killed_it_goes_on_where_it_was() {
    let town = found_town().await;
    let place = Place::of_town(&town);
    let (client, contact) = deal(&town);
    // None of them may be through before it is killed.
    town.spoil(ScriptedFault::once(ServiceName::Amo, Fault::Slow { ms: 300 }).times(u64::MAX));
    for _ in 0..3 {
        let mut command = place.command(&["backfill"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        let requests = town.look(|amo, _| amo.request_log().count());
        eventually("it asks amoCRM", || async { town.look(|amo, _| amo.request_log().count()) > requests + 2 }).await;
        child.kill().expect("it runs");
        child.wait().expect("it ends");
    }
    town.calm();
    let run = place.status()["run"].clone();
    assert_eq!((&run["kind"], &run["state"]), (&"backfill".into(), &"under_way".into()), "{run}");
    let told = String::from_utf8(place.command(&["status"]).output().expect("it runs").stdout).expect("text");
    assert!(told.contains("LAST RUN") && told.contains(run["name"].as_str().expect("a name")), "{told}");
    // Its place is not lost to another one.
    let other = backfill(&place, &["--only", "leads"]).await;
    assert_eq!(other.status.code(), Some(1), "{}", said(&other));
    assert_eq!(place.status()["run"]["name"], run["name"]);
    let output = backfill(&place, &[]).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(variable(&town, client, "amo_contact_id"), contact.to_string());
    assert_eq!(town.look(|_, salebot| salebot.orders(client).len()), 1);
    assert_eq!(place.status()["outbox"], 0);
    town.close().await;
}

#[tokio::test]
async fn stopped_it_goes_on_with_a_span_typed_again_and_a_dry_run_begins_anew() {
    let town = found_town().await;
    let place = Place::of_town(&town);
    assert!(place.command(&["migrate"]).output().expect("it runs").status.success());
    let broken = Fault::Status { code: 503, body: None, retry_after: None };
    town.spoil(ScriptedFault::once(ServiceName::Amo, broken).on("/leads").times(u64::MAX));
    for (flags, then) in
        [(&["--dry-run"][..], "the same command begins anew."), (&[], "The same command goes on from there.")]
    {
        let said = place.path().join("said.txt");
        let errors = File::create(&said).expect("a file");
        let mut command = place.command(&[&["backfill", "--since", "2h"], flags].concat());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).spawn().expect("it starts");
        let mut stopped = super::Daemon { child };
        eventually("leads cannot be read", || async { place.status()["run"]["state"] == "rests" }).await;
        super::signal(&stopped.child, "TERM");
        assert_eq!(stopped.ended().await.code(), Some(75));
        let said = std::fs::read_to_string(&said).expect("text");
        assert!(said.contains(then), "{said}");
    }
    town.calm();
    let output = backfill(&place, &["--since", "2h"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("goes on where it was left"), "{}", said(&output));
    town.close().await;
}

#[tokio::test]
async fn what_others_left_behind_is_no_failure_of_it_and_its_own_is() {
    let town = found_town().await;
    let place = Place::of_town(&town);
    let daemon = place.start();
    place.ready().await;
    assert_eq!(place.post(&place.hook(SECRET), b"no JSON".to_vec()).await, Some(200));
    eventually("the body is given up", || async { place.status()["dead_letters"] == 1 }).await;
    place.idle().await;
    assert_eq!(daemon.stop().await.code(), Some(0));
    for arguments in [&["--dry-run"][..], &[]] {
        let output = backfill(&place, arguments).await;
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        assert!(said(&output).contains("1 dead letters of other work"), "{}", said(&output));
        assert!(!said(&output).contains("need a human"), "{}", said(&output));
    }
    // Salebot takes none of the first values.
    deal(&town);
    let refuses = Fault::Status { code: 400, body: None, retry_after: None };
    town.spoil(ScriptedFault::once(ServiceName::Salebot, refuses).on("save_variables").times(u64::MAX));
    let output = backfill(&place, &["--restart"]).await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("need a human"), "{}", said(&output));
    let rows = said(&output).lines().filter(|line| line.contains(" dead letters ")).count();
    assert_eq!(rows, 2, "its own in the table, and others': {}", said(&output));
    town.close().await;
}

#[tokio::test]
async fn wrong_input_names_what_is_right() {
    let town = found_town().await;
    let place = Place::of_town(&town);
    for (arguments, code, words) in [
        (vec!["--only", "deals"], 2, "contacts, leads, clients"),
        (vec!["--since", "yesterday"], 2, "2025-10-09"),
        (vec!["--since", "1h", "--until", "2h"], 2, "--until lies before --since"),
        (vec!["--since", "2025-10-09", "--until", "2025-10-08"], 2, "--until lies before --since"),
        (vec!["--bridge", "nobody"], 1, "town"),
    ] {
        let output = backfill(&place, &arguments).await;
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        assert!(said(&output).contains(words), "{}", said(&output));
    }
    town.close().await;
}
