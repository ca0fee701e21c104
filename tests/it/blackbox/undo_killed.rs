//! An undo that is killed in the middle, gone on with: every value is put back once, what somebody edited meanwhile
//! stays, nothing else is touched, and it is one undo in the end.

use super::undo::{Person, WRONG, fates, json, run, run_of};
use super::{Daemon, Place, TOKEN, eventually, text};
use salebridge::app::town;
use salebridge::ports::store::Store;
use salebridge::sandbox::faults::Faults;
use salebridge::sandbox::town::{Town, TownOptions};
use salebridge::store::Access;
use salebridge::store::sqlite::{SqliteOptions, SqliteStore};
use serde_json::{Map, Value};
use std::fs::File;
use std::process::Stdio;

/// Clients whose drink was overwritten with the contact's position, and contacts whose empty position was filled with
/// the client's drink.
struct Mistake {
    town: Town,
    place: Place,
    clients: Vec<Person>,
    contacts: Vec<Person>,
    run: String,
}

fn drink(person: &Person) -> String {
    format!("Напиток {}", person.client)
}

fn position(person: &Person) -> String {
    format!("Должность {}", person.contact)
}

impl Mistake {
    async fn made() -> Mistake {
        let mut options = TownOptions { seed: 11, contacts: 150, people: 120, ..TownOptions::new(town::clock()) };
        options.amo.token = TOKEN.to_owned();
        let town = Town::found(options, Faults::none()).await.expect("free ports");
        let place = Place::of_town(&town);
        let config = place.config.text().replace("client.position", "client.favourite");
        // Each value is a request of its own, so that a kill finds some done and some not.
        place.write(&config.replace("save_variables_per_second = 50", "save_variables_per_second = 12"));
        let mut people: Vec<Person> = Vec::new();
        for (at, person) in town.cast().people.iter().enumerate() {
            if let (Some(contact), Some(client)) = (person.contact, town.enter(at, 0)) {
                people.push(Person { contact, client });
            }
        }
        assert!(people.len() > 60, "more than a page of them: {}", people.len());
        let contacts = people.split_off(people.len() - 8);
        for person in &people {
            person.works_as(&town, &position(person));
            person.drinks(&town, &drink(person));
        }
        for person in &contacts {
            person.works_as(&town, "");
            person.drinks(&town, &drink(person));
        }
        let output = run(&place, &["backfill"]).await;
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        let wrong = run_of(&output);
        // So many values are not put back before somebody has looked.
        let unseen = run(&place, &["undo", &wrong, "--field", WRONG, "--yes"]).await;
        let look = format!("Look first, then the same with --yes: salebridge undo {wrong} --field '{WRONG}'\n");
        assert_eq!(unseen.status.code(), Some(1), "{}", text(&unseen));
        assert!(text(&unseen).contains(&look), "{}", text(&unseen));
        let dry = run(&place, &["undo", &wrong, "--field", WRONG]).await;
        assert_eq!(dry.status.code(), Some(0), "{}", text(&dry));
        let made = Mistake { town, place, clients: people, contacts, run: wrong };
        assert!(made.clients.iter().all(|person| person.favourite(&made.town) == position(person)));
        assert!(made.contacts.iter().all(|person| person.position(&made.town) == drink(person)));
        made
    }

    /// How many clients have their drink back.
    fn back(&self) -> usize {
        self.clients.iter().filter(|person| person.favourite(&self.town) == drink(person)).count()
    }

    /// Everything that an undo of these must not touch: every client's variables but the drink, every contact but
    /// those that get their position back.
    fn rest(&self) -> (Vec<Option<Map<String, Value>>>, Vec<String>) {
        self.town.look(|amo, salebot| {
            let clients = self.clients.iter().chain(&self.contacts).map(|person| {
                let mut variables = salebot.variables(person.client)?;
                variables.remove("favourite");
                Some(variables)
            });
            let is_put_back = |id: u64| self.contacts.iter().any(|person| person.contact == id);
            let others = amo.contacts().filter(|contact| !is_put_back(contact.card.id));
            (clients.collect(), others.map(|contact| format!("{:?}", contact.card)).collect())
        })
    }

    /// The undo, as somebody types it; its words go to a file.
    fn undoing(&self) -> Daemon {
        let log = File::create(self.place.path().join("undo.txt")).expect("a file");
        let mut command = self.place.command(&["undo", &self.run, "--field", WRONG, "--yes", "--json"]);
        let child = command.stdin(Stdio::null()).stdout(log).stderr(Stdio::null()).spawn().expect("it starts");
        Daemon { child }
    }

    /// A client that has its drink back and is known to have it: of a write under way at a kill nobody can tell whether
    /// it was done.
    async fn surely_back(&self) -> &Person {
        let options = SqliteOptions::new(self.place.path().join("salebridge.db"), Access::Driver);
        let store = SqliteStore::open(options).await.expect("nobody drives it");
        let mut found = None;
        for person in self.clients.iter().filter(|person| person.favourite(&self.town) == drink(person)) {
            let key = format!("client:{}", person.client);
            let lines = store.journal(town::BRIDGE, &key, 50).await.expect("reads");
            // The mistake and what put it back.
            let writes = lines.iter().filter(|line| line.kind == "done").count();
            let waiting = store.pending(town::BRIDGE, &[key]).await.expect("reads");
            if waiting.is_empty() && writes >= 2 {
                found = Some(person);
                break;
            }
        }
        store.close().await;
        found.expect("one of many")
    }

    async fn until_back(&self, many: usize) {
        eventually(&format!("{many} have their drink back"), || async { self.back() >= many }).await;
    }

    /// What the finished undo told: all of them put back but the one that was edited before.
    async fn is_told(&self, report: &Value, edited: &Person) {
        let mut expected: Vec<(String, String)> = Vec::new();
        for person in &self.clients {
            let what = if person.client == edited.client { "edited" } else { "put_back" };
            expected.push((format!("client:{}", person.client), what.to_owned()));
        }
        expected
            .extend(self.contacts.iter().map(|person| (format!("contact:{}", person.contact), "put_back".to_owned())));
        expected.sort();
        let everybody: Vec<&Person> = self.clients.iter().chain(&self.contacts).collect();
        assert_eq!(fates(report, &everybody), expected, "{report}");
        // It was one undo, however often it was gone on with.
        let (_, listed) = json(&self.place, &["undo"]).await;
        let of = listed.as_array().and_then(|all| all.iter().find(|one| one["run"] == *self.run)).expect("the run");
        assert_eq!(of["undone_by"], serde_json::json!([report["undo"]]), "{listed}");
    }

    /// All are as before but these, whom somebody gave something else.
    fn is_as_before(&self, but: &[(&Person, &str)]) {
        for person in &self.clients {
            let edited =
                but.iter().find(|(other, _)| other.client == person.client).map(|(_, drink)| (*drink).to_owned());
            assert_eq!(person.favourite(&self.town), edited.unwrap_or_else(|| drink(person)));
        }
        assert!(self.contacts.iter().all(|person| person.position(&self.town).is_empty()), "they were empty before");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_is_killed_again_and_again() {
    let made = Mistake::made().await;
    let (edited, mut again) = (&made.clients[20], &made.clients[1]);
    edited.drinks(&made.town, "Сок");
    let rest = made.rest();
    for many in [1, 9, 25, 55] {
        let undo = made.undoing();
        made.until_back(many).await;
        undo.kill();
        let back = made.back();
        assert!(back < made.clients.len() - 1, "it was killed before its end");
        if many == 25 {
            // Somebody thinks better of it: that is an edit of theirs, though it is what the run had written.
            again = made.surely_back().await;
            again.drinks(&made.town, &position(again));
        }
    }
    // Another undo would take this one back in the middle.
    let other = run(&made.place, &["undo", &made.run, "--yes"]).await;
    assert_eq!(other.status.code(), Some(1), "{}", text(&other));
    let goes_on = format!("salebridge undo {} --field '{WRONG}' --yes", made.run);
    assert!(text(&other).contains("not finished yet") && text(&other).contains(&goes_on), "{}", text(&other));
    let (code, done) = json(&made.place, &["undo", &made.run, "--field", WRONG, "--yes"]).await;
    assert_eq!(code, Some(3), "{done}");
    made.is_told(&done, edited).await;
    made.is_as_before(&[(edited, "Сок"), (again, &position(again))]);
    assert_eq!(made.rest(), rest, "nothing else is touched");
    let (_, twice) = json(&made.place, &["undo", &made.run, "--field", WRONG]).await;
    assert_eq!(twice["counts"]["put_back"].as_u64(), Some(1), "only what somebody wanted so since: {twice}");
    made.town.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_daemon_that_carries_it_out_is_killed() {
    let made = Mistake::made().await;
    let edited = &made.clients[20];
    edited.drinks(&made.town, "Сок");
    let mut daemon = made.place.start();
    made.place.ready().await;
    made.place.idle().await;
    let rest = made.rest();
    let mut undo = made.undoing();
    for many in [1, 20, 45] {
        made.until_back(many).await;
        daemon.kill();
        assert!(made.back() < made.clients.len() - 1, "it was killed before its end");
        daemon = made.place.start();
    }
    // The command waited for the next daemon, and that one went on by itself.
    assert_eq!(undo.ended().await.code(), Some(3));
    let told = std::fs::read_to_string(made.place.path().join("undo.txt")).expect("its words");
    let done: Value = serde_json::from_str(&told).expect("JSON");
    made.is_told(&done, edited).await;
    made.is_as_before(&[(edited, "Сок")]);
    made.place.idle().await;
    assert_eq!(made.rest(), rest, "nothing else is touched");
    made.is_as_before(&[(edited, "Сок")]);
    assert_eq!(daemon.stop().await.code(), Some(0));
    made.town.close().await;
}
