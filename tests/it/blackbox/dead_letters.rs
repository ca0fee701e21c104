//! Dead letters and guards as an operator meets them: listed, shown, retried, discarded, released.

use super::{Place, SECRET, eventually, text};
use serde_json::Value;
use std::process::{Output, Stdio};

const BODY: &str = "this is no JSON, said +79990000001";

/// A place with this many dead bodies and no daemon any more.
async fn place_with_dead(count: usize) -> Place {
    let place = Place::new("http://127.0.0.1:9", "http://127.0.0.1:9");
    let daemon = place.start();
    place.live().await;
    for number in 0..count {
        assert_eq!(place.post(&place.hook(SECRET), format!("{BODY} {number}").into_bytes()).await, Some(200));
    }
    assert_eq!(daemon.stop().await.code(), Some(0));
    place
}

fn run(place: &Place, arguments: &[&str]) -> Output {
    place.command(arguments).stdin(Stdio::null()).output().expect("the command runs")
}

fn listed(place: &Place, filters: &[&str]) -> Vec<Value> {
    let output = run(place, &[&["dead-letters", "list", "--json"], filters].concat());
    assert!(output.status.success(), "{}", text(&output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn names(letters: &[Value]) -> Vec<String> {
    letters.iter().map(|letter| letter["id"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn dead_letters_are_listed_and_filtered() {
    let place = place_with_dead(2).await;
    let letters = listed(&place, &[]);
    assert_eq!(letters.len(), 2);
    for (key, value) in [("bridge", "town"), ("queue", "inbox"), ("what", "salebot")] {
        assert_eq!(letters[0][key], value);
    }
    for (filters, count) in [
        (["--bridge", "town"], 2),
        (["--queue", "inbox"], 2),
        (["--queue", "outbox"], 0),
        (["--what", "salebot"], 2),
        (["--what", "callback"], 0),
        (["--since", "1h"], 2),
        (["--since", "2999-01-01"], 0),
    ] {
        assert_eq!(listed(&place, &filters).len(), count, "{filters:?}");
    }
    let plain = run(&place, &["dead-letters", "list"]);
    let told = String::from_utf8(plain.stdout).expect("UTF-8");
    assert_eq!(told.trim_end().lines().count(), 3, "a heading and a line each: {told}");
    assert!(told.contains(&names(&letters)[0]) && !told.contains('\u{1b}') && !told.contains(BODY), "{told}");
    let none = run(&place, &["dead-letters", "list", "--queue", "outbox", "--what", "add_note", "--since", "2h"]);
    let sentence = "None of the 2 dead letters fits --since 2h --queue outbox --what add_note.\n";
    assert_eq!(String::from_utf8_lossy(&none.stdout), sentence);
    assert!(run(&place, &["dead-letters", "discard", "--yes", "--all"]).status.success());
    for filters in [&[][..], &["--queue", "outbox"]] {
        let none = run(&place, &[&["dead-letters", "list"], filters].concat());
        assert_eq!(String::from_utf8_lossy(&none.stdout), "There are no dead letters.\n");
    }
}

#[tokio::test]
async fn one_is_shown_with_what_to_do_and_its_body_on_request_alone() {
    let place = place_with_dead(1).await;
    let name = names(&listed(&place, &[])).remove(0);
    let told = text(&run(&place, &["dead-letters", "show", &name]));
    for part in [name.as_str(), "reason", "what to do", "bytes"] {
        assert!(told.contains(part), "{part} is missing in {told}");
    }
    assert!(!told.contains("79990000001"), "{told}");
    let told = text(&run(&place, &["dead-letters", "show", &name, "--values"]));
    assert!(told.contains(BODY), "{told}");
    let shown = run(&place, &["dead-letters", "show", &name, "--json"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    assert_eq!(shown["size_bytes"], BODY.len() + 2);
    assert!(shown["content"].is_null() && shown["remedy"].is_string(), "{shown}");
}

#[tokio::test]
async fn one_is_discarded_only_when_somebody_says_so() {
    let place = place_with_dead(2).await;
    let all = names(&listed(&place, &[]));
    let asked = run(&place, &["dead-letters", "discard", &all[0]]);
    assert_eq!(asked.status.code(), Some(1));
    assert!(text(&asked).contains("--yes"), "{}", text(&asked));
    assert_eq!(listed(&place, &[]).len(), 2);
    // Named twice it is one.
    let done = run(&place, &["dead-letters", "discard", "--yes", &all[0], &all[0]]);
    assert!(done.status.success() && text(&done).contains("1 dead letter was discarded"), "{}", text(&done));
    assert_eq!(names(&listed(&place, &[])), all[1..]);
    let again = run(&place, &["dead-letters", "discard", "--yes", &all[1], &all[0]]);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again).contains("nothing was done"), "{}", text(&again));
    assert_eq!(names(&listed(&place, &[])), all[1..]);
    assert!(run(&place, &["dead-letters", "discard", "--yes", "--all", "--queue", "outbox"]).status.success());
    assert_eq!(listed(&place, &[]).len(), 1);
    assert!(run(&place, &["dead-letters", "discard", "--yes", "--all"]).status.success());
    assert_eq!(place.status()["dead_letters"], 0);
}

#[tokio::test]
async fn a_retry_is_taken_up_by_a_running_daemon() {
    let town = super::found_town().await;
    let place = Place::of_town(&town);
    let daemon = place.start();
    place.ready().await;
    assert_eq!(place.post(&place.hook(SECRET), BODY.as_bytes().to_vec()).await, Some(200));
    let name = names(&listed(&place, &[])).remove(0);
    let output = run(&place, &["dead-letters", "retry", &name]);
    assert!(output.status.success() && text(&output).contains("1 dead letter is tried again"), "{}", text(&output));
    // It is as unreadable as before; the daemon has looked at it and given it its own reason.
    eventually("the daemon gives it up again", || async { place.status()["dead_letters"] == 1 }).await;
    let output = run(&place, &["dead-letters", "retry", "--all", "--what", "salebot"]);
    assert!(text(&output).contains("1 dead letter is tried again"), "{}", text(&output));
    eventually("the daemon gives it up again", || async { place.status()["dead_letters"] == 1 }).await;
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
}

#[tokio::test]
async fn wrong_input_says_what_is_right() {
    let place = place_with_dead(1).await;
    for (arguments, code, told) in [
        (&["show", "12"][..], 2, "outbox:12"),
        (&["show", "marks:1"], 2, "outbox:12"),
        (&["show", "outbox:77"], 1, "no dead letter outbox:77"),
        (&["retry"], 2, "<ID>"),
        (&["retry", "inbox:1", "--all"], 2, "--all"),
        (&["retry", "inbox:1", "--queue", "inbox"], 1, "--all"),
        (&["list", "--since", "soon"], 2, "how long ago"),
        (&["list", "--queue", "marks"], 2, "outbox"),
        (&["list", "--what", "addnote"], 2, "add_note, save_variables"),
        (&["discard", "--yes", "--all", "--what", "Salebot"], 2, "salebot, amo"),
        (&["list", "--bridge", "nobody"], 1, "town"),
    ] {
        let output = run(&place, &[&["dead-letters"], arguments].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output));
        assert!(text(&output).contains(told), "{arguments:?}: {}", text(&output));
    }
    assert_eq!(listed(&place, &[]).len(), 1);
}

#[tokio::test]
async fn without_anything_held_back_there_is_nothing_to_release() {
    let place = place_with_dead(0).await;
    for arguments in [&["release"][..], &["release", "--dry-run"], &["release", "--bridge", "town"]] {
        let output = run(&place, arguments);
        assert!(output.status.success() && text(&output).contains("Nothing is held back."), "{}", text(&output));
    }
    let output = run(&place, &["release", "--bridge", "nobody"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("town"), "{}", text(&output));
}
