//! `undo` over the real program: what a backfill with a wrong mapping changed is put back, what somebody edited since
//! is left and listed, and nobody writes the undone values again.

use super::{Daemon, Place, eventually, found_town, text};
use salebridge::app::town;
use salebridge::sandbox::amo::fixture::FIELD_POSITION;
use salebridge::sandbox::faults::{Fault, ScriptedFault, ServiceName};
use salebridge::sandbox::town::Town;
use serde_json::Value;
use std::process::{Output, Stdio};

/// The pair that should never have been.
pub(super) const WRONG: &str = "contact.field.4396817=client.favourite";

pub(super) struct Person {
    pub(super) contact: u64,
    pub(super) client: i64,
}

impl Person {
    pub(super) fn favourite(&self, town: &Town) -> String {
        super::verify::variable(town, self.client, "favourite")
    }

    pub(super) fn drinks(&self, town: &Town, what: &str) {
        town.salebot(|salebot, now_ms| salebot.set_variable(now_ms, self.client, "client.favourite", what));
    }

    pub(super) fn position(&self, town: &Town) -> String {
        town.look(|amo, _| amo.contact(self.contact).expect("the contact").card.texts(FIELD_POSITION).concat())
    }

    /// True from when an edit is dated later than the contact's last change.
    fn is_behind(&self, town: &Town) -> bool {
        let updated_at = town.look(|amo, _| amo.contact(self.contact).expect("the contact").card.updated_at);
        updated_at < town::clock()() / 1_000
    }

    pub(super) fn works_as(&self, town: &Town, what: &str) {
        town.amo(|amo, now_ms| amo.set_contact_text(now_ms, self.contact, FIELD_POSITION, what));
    }
}

/// Runs a command to its end, off the runtime's threads: the town answers from there.
pub(super) async fn run(place: &Place, arguments: &[&str]) -> Output {
    let mut command = place.command(arguments);
    tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("no panic")
}

pub(super) async fn json(place: &Place, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = run(place, &[arguments, &["--json"]].concat()).await;
    let told = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("JSON: {}", text(&output)));
    (output.status.code(), told)
}

/// What becomes of the favourite or the position of these people; nothing else is told.
pub(super) fn fates(report: &Value, people: &[&Person]) -> Vec<(String, String)> {
    let all = report["values"].as_array().expect("a list").iter();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let told = all.map(|value| {
        assert_eq!(value["pair"], WRONG, "{report}");
        (word(&value["record"]), word(&value["what"]))
    });
    let is_theirs = |record: &str| {
        let of = |person: &Person| [format!("contact:{}", person.contact), format!("client:{}", person.client)];
        people.iter().flat_map(|person| of(person)).any(|own| own == record)
    };
    let mut own: Vec<(String, String)> = told.filter(|(record, _)| is_theirs(record)).collect();
    own.sort();
    own
}

/// Three people: one value of each is overwritten by a wrong mapping, of the last one in amoCRM. Returns the run, too.
async fn mapped_wrongly() -> (Town, Place, [Person; 3], String) {
    let town = found_town().await;
    let place = Place::of_town(&town);
    place.write(&place.config.text().replace("client.position", "client.favourite"));
    let regulars: Vec<usize> =
        (0..town.cast().people.len()).filter(|at| town.cast().people[*at].contact.is_some()).collect();
    let person = |at: usize| Person {
        contact: town.cast().people[regulars[at]].contact.expect("a regular"),
        client: town.enter(regulars[at], 0).expect("a regular"),
    };
    let people = [person(0), person(1), person(2)];
    for (person, position, favourite) in
        [(&people[0], "Директор", "Чай"), (&people[1], "Бухгалтер", "Кофе"), (&people[2], "", "Какао")]
    {
        person.works_as(&town, position);
        person.drinks(&town, favourite);
    }
    let output = run(&place, &["backfill"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(people[0].favourite(&town), "Директор", "that is what went wrong");
    assert_eq!(people[1].favourite(&town), "Бухгалтер");
    assert_eq!(people[2].position(&town), "Какао");
    (town, place, people, run_of(&output))
}

/// The run that a backfill told the way back of.
pub(super) fn run_of(output: &Output) -> String {
    let told = text(output);
    told.lines().find_map(|line| line.split_once("salebridge undo ")).expect("the run is told").1.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_backfill_is_undone_and_what_was_edited_since_is_left() {
    let (town, place, people, wrong) = mapped_wrongly().await;
    let [anna, boris, vera] = &people;
    boris.drinks(&town, "Сок");
    let (code, listed) = json(&place, &["undo"]).await;
    assert_eq!(code, Some(0));
    assert!(listed.as_array().is_some_and(|runs| runs.iter().any(|run| run["run"] == *wrong)), "{listed}");

    // Dry by itself.
    let expected = |of_client: &str, of_contact: &str| {
        let mut all = vec![
            (format!("contact:{}", vera.contact), of_contact.to_owned()),
            (format!("client:{}", anna.client), of_client.to_owned()),
            (format!("client:{}", boris.client), "edited".to_owned()),
        ];
        all.sort();
        all
    };
    for arguments in [&["undo", &wrong, "--field", WRONG][..], &["undo", &wrong, "--field", WRONG, "--dry-run"]] {
        let (code, dry) = json(&place, arguments).await;
        let told = fates(&dry, &people.each_ref());
        assert_eq!((code, told), (Some(3), expected("put_back", "put_back")), "{dry}");
        assert_eq!(
            (anna.favourite(&town), vera.position(&town)),
            ("Директор".to_owned(), "Какао".to_owned()),
            "nothing was written"
        );
    }
    let told = text(&run(&place, &["undo", &wrong, "--field", WRONG]).await);
    for part in [
        "left: it was edited since",
        "\"Сок\"",
        "\"Директор\" → \"Чай\" would be put back",
        "--yes",
        "Nothing was written",
    ] {
        assert!(told.contains(part), "{part} is missing in {told}");
    }

    let (code, done) = json(&place, &["undo", &wrong, "--field", WRONG, "--yes"]).await;
    let told = fates(&done, &people.each_ref());
    assert_eq!((code, told), (Some(3), expected("put_back", "put_back")), "{done}");
    assert_eq!(anna.favourite(&town), "Чай");
    assert_eq!(boris.favourite(&town), "Сок", "what was edited since is left");
    assert_eq!(vera.position(&town), "", "it was empty before");
    assert_eq!(
        (anna.position(&town), vera.favourite(&town)),
        ("Директор".to_owned(), "Какао".to_owned()),
        "what the run did not change stays"
    );
    look_again(&town, &place, &people).await;
    // Once more there is nothing to do, and the undo is undone in its turn.
    let (_, twice) = json(&place, &["undo", &wrong, "--field", WRONG]).await;
    assert_eq!(twice["counts"]["put_back"], 0, "{twice}");
    let own = done["undo"].as_str().expect("its own run").to_owned();
    let (code, back) = json(&place, &["undo", &own, "--yes"]).await;
    assert_eq!(code, Some(0), "{back}");
    assert_eq!((anna.favourite(&town), vera.position(&town)), ("Директор".to_owned(), "Какао".to_owned()));
    let (_, listed) = json(&place, &["undo"]).await;
    let of = |run: &str| {
        listed.as_array().and_then(|all| all.iter().find(|one| one["run"] == *run)).cloned().unwrap_or_default()
    };
    assert_eq!(of(&wrong)["undone_by"][0], *own, "{listed}");
    assert_eq!(of(&own)["undone_by"].as_array().map(Vec::len), Some(1), "{listed}");
    town.close().await;
}

/// The same mapping looks at everything again: what was undone is not written once more, what was edited is.
async fn look_again(town: &Town, place: &Place, people: &[Person; 3]) {
    let [anna, boris, vera] = people;
    let again = run(place, &["backfill", "--restart"]).await;
    assert_eq!(again.status.code(), Some(0), "{}", text(&again));
    assert_eq!((anna.favourite(town), anna.position(town)), ("Чай".to_owned(), "Директор".to_owned()));
    assert_eq!((vera.favourite(town), vera.position(town)), ("Какао".to_owned(), String::new()));
    assert_eq!(boris.position(town), "Сок");
    let (code, verified) = json(place, &["verify"]).await;
    assert_eq!((code, verified["bridges"][0]["counts"]["undone"].as_u64() >= Some(2)), (Some(3), true), "{verified}");
    assert_eq!(verified["bridges"][0]["counts"]["lost"], Value::Null, "{verified}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_a_daemon_an_undo_holds_until_somebody_edits() {
    let (town, place, people, wrong) = mapped_wrongly().await;
    let [anna, _, vera] = &people;
    let daemon = place.start();
    place.ready().await;
    place.idle().await;
    let output = run(&place, &["undo", &wrong, "--yes"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!((anna.favourite(&town), vera.position(&town)), ("Чай".to_owned(), String::new()));
    // A poll and a look at the newest clients pass over it, and an edit of another value shows that they did.
    town.salebot(|salebot, now_ms| salebot.set_variable(now_ms, anna.client, "client.category", "VIP"));
    town.amo(|amo, now_ms| amo.rename_contact(now_ms, anna.contact, "Анна Новая"));
    eventually("the new name is told", || async {
        super::verify::variable(&town, anna.client, "crm_name") == "Анна Новая"
    })
    .await;
    place.idle().await;
    assert_eq!((anna.favourite(&town), anna.position(&town)), ("Чай".to_owned(), "Директор".to_owned()));
    // An edit is news like any other, in a second of its own: one in the second of our own write, which is dated one second
    // later, is believed after two and a half minutes only.
    eventually("the second of the last write is over", || async { anna.is_behind(&town) }).await;
    anna.works_as(&town, "Генерал");
    eventually("the edit is carried over", || async { anna.favourite(&town) == "Генерал" }).await;
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undo_takes_no_place_from_a_dry_run_that_somebody_watches() {
    let (town, place, people, wrong) = mapped_wrongly().await;
    let daemon = place.start();
    place.ready().await;
    place.idle().await;
    // Nothing can be read, so that the dry run is under way.
    let away = Fault::Status { code: 503, body: None, retry_after: None };
    for service in [ServiceName::Amo, ServiceName::Salebot] {
        town.spoil(ScriptedFault::once(service, away.clone()).times(u64::MAX));
    }
    let child = place.command(&["undo", &wrong]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let dry = Daemon { child: child.expect("it starts") };
    let is_under_way = || place.status()["run"]["dry_run"] == true && place.status()["run"]["kind"] == "undo";
    eventually("it is asked for", || async { is_under_way() }).await;
    let refused = run(&place, &["undo", &wrong, "--yes"]).await;
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    let told = format!("Ctrl-C: salebridge undo {wrong} --dry-run --bridge {}", town::BRIDGE);
    assert!(text(&refused).contains("is not finished yet") && text(&refused).contains(&told), "{}", text(&refused));
    assert!(is_under_way(), "the dry run goes on");
    // One that was killed, and that nobody carries out, is in nobody's way.
    dry.kill();
    daemon.kill();
    town.calm();
    let output = run(&place, &["undo", &wrong, "--yes"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(people[0].favourite(&town), "Чай");
    town.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mapping_that_was_mended_first_gets_no_undone_value_as_an_edit() {
    let (town, place, people, wrong) = mapped_wrongly().await;
    let [anna, boris, vera] = &people;
    // The right pair, and nothing stands for the favourite any more.
    place.write(&place.config.text());
    let output = run(&place, &["undo", &wrong, "--yes"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!((anna.favourite(&town), boris.favourite(&town)), ("Чай".to_owned(), "Кофе".to_owned()));
    assert_eq!(vera.position(&town), "");
    let again = run(&place, &["backfill", "--restart"]).await;
    assert_eq!(again.status.code(), Some(0), "{}", text(&again));
    assert_eq!((anna.favourite(&town), vera.position(&town)), ("Чай".to_owned(), String::new()));
    assert_eq!(super::verify::variable(&town, anna.client, "position"), "Директор", "the right pair carries");
    town.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_the_run_did_not_write_is_refused_and_what_puts_nothing_back_is_no_undo() {
    let (town, place, people, wrong) = mapped_wrongly().await;
    for typo in ["client.favorite", "favourite", "contact.field.4396817=client.position"] {
        for flags in [&[][..], &["--yes"]] {
            let output = run(&place, &[&["undo", &wrong, "--field", typo], flags].concat()).await;
            assert_eq!(output.status.code(), Some(1), "{}", text(&output));
            for part in [&format!("wrote no value of '{typo}'"), WRONG] {
                assert!(text(&output).contains(part), "{part} is missing in {}", text(&output));
            }
        }
    }
    let undone = async || {
        let (_, listed) = json(&place, &["undo"]).await;
        let found = listed.as_array().and_then(|all| all.iter().find(|one| one["run"] == *wrong));
        found.and_then(|one| one["undone_by"].as_array().map(Vec::len))
    };
    assert_eq!(undone().await, Some(0));
    // The mapping is mended, and knows nothing of what the run wrote.
    place.write(&place.config.text());
    for times in ["once", "and again, with nothing left to do"] {
        let output = run(&place, &["undo", &wrong, "--field", "client.favourite", "--yes"]).await;
        assert_eq!(output.status.code(), Some(0), "{times}: {}", text(&output));
        assert_eq!(people[0].favourite(&town), "Чай");
        assert_eq!(undone().await, Some(1), "{times}");
    }
    town.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_names_of_runs_say_what_is_right() {
    let town = found_town().await;
    let place = Place::of_town(&town);
    let output = run(&place, &["migrate"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    for (arguments, code, words) in [
        (&["undo"][..], 0, "No run has changed a value"),
        (&["undo", "yesterday"], 2, "20261121-174708-123-backfill"),
        (&["undo", "20261121-174708-123-backfill"], 1, "salebridge undo lists the runs"),
        (&["undo", "--yes"], 2, "RUN"),
        (&["undo", "20261121-174708-123-backfill", "--yes", "--dry-run"], 2, "--dry-run"),
        (&["undo", "20261121-174708-123-backfill", "--bridge", "nobody"], 1, "town"),
    ] {
        let output = run(&place, arguments).await;
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output));
        assert!(text(&output).contains(words), "{arguments:?}: {}", text(&output));
    }
    town.close().await;
}
