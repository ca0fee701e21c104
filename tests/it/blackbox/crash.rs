//! The daemon is killed at bad moments: nothing is lost, nothing is there twice.

use super::{DEADLINE, Place, SECRET, eventually, eventually_within, found_town};
use salebridge::sandbox::faults::{Fault, ScriptedFault, ServiceName};
use salebridge::sandbox::town::Town;
use std::time::Instant;

/// Lets somebody write and takes the webhook, which the test posts itself.
fn webhook(town: &Town, person: usize, text: &str) -> Vec<u8> {
    town.writes(person, 0, text).expect("a person");
    let mut webhooks = town.salebot(|salebot, _| salebot.take_webhooks());
    assert_eq!(webhooks.len(), 1);
    webhooks.remove(0).body
}

fn notes_with(town: &Town, text: &str) -> usize {
    town.look(|amo, _| amo.notes().map(|note| note.words().matches(text).count()).sum())
}

#[tokio::test]
async fn a_message_answered_with_200_survives_a_kill() {
    let town = found_town().await;
    let place = Place::of_town(&town);
    let mut daemon = place.start();
    place.ready().await;
    for round in 0..3 {
        let text = format!("сообщение перед сбоем {round};");
        let body = webhook(&town, round, &text);
        assert_eq!(place.post(&place.hook(SECRET), body.clone()).await, Some(200));
        daemon.kill();
        let killed = Instant::now();
        daemon = place.start();
        eventually("the note is there", || async { notes_with(&town, &text) > 0 }).await;
        eprintln!(
            "{} ms from the kill to the note, the note's window of a second included",
            killed.elapsed().as_millis()
        );
        // Somebody else may deliver it again.
        assert_eq!(place.post(&place.hook(SECRET), body).await, Some(200));
    }
    place.idle().await;
    for round in 0..3 {
        assert_eq!(notes_with(&town, &format!("сообщение перед сбоем {round};")), 1);
    }
    assert_eq!(place.status()["dead_letters"], 0);
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
}

#[tokio::test]
async fn a_write_whose_answer_never_came_is_not_repeated() {
    let town = found_town().await;
    let place = Place::of_town(&town);
    let daemon = place.start();
    place.ready().await;
    place.idle().await;
    let late = |path: &str| ScriptedFault::once(ServiceName::Amo, Fault::Slow { ms: 20_000 }).on(path).by("POST");
    town.spoil(late("/contacts"));
    let newcomer = town.cast().people.iter().rposition(|person| person.contact.is_none()).expect("somebody new");
    let body = webhook(&town, newcomer, "первое слово;");
    let contacts = town.amo(|amo, _| amo.contact_count());
    assert_eq!(place.post(&place.hook(SECRET), body).await, Some(200));
    eventually("the contact was made", || async { town.amo(|amo, _| amo.contact_count()) == contacts + 1 }).await;
    daemon.kill();

    town.spoil(late("/notes"));
    let daemon = place.start();
    eventually("the note was written", || async { notes_with(&town, "первое слово;") == 1 }).await;
    daemon.kill();

    let daemon = place.start();
    place.ready().await;
    place.idle().await;
    assert_eq!(town.amo(|amo, _| amo.contact_count()), contacts + 1);
    assert_eq!(notes_with(&town, "первое слово;"), 1);
    assert_eq!(place.status()["dead_letters"], 0);
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
}

#[tokio::test]
async fn a_note_in_doubt_is_not_overtaken_by_the_next_one() {
    let town = found_town().await;
    let place = Place::of_town(&town);
    let daemon = place.start();
    place.ready().await;
    place.idle().await;
    town.spoil(ScriptedFault::once(ServiceName::Amo, Fault::LostRequest).on("/notes").by("POST"));
    for (text, is_lost) in [("сначала;", true), ("потом;", false)] {
        let body = webhook(&town, 0, text);
        assert_eq!(place.post(&place.hook(SECRET), body).await, Some(200));
        eventually("the first note was lost on its way", || async { !is_lost || town.spoilt() == [1] }).await;
    }
    // It counts as not written only a minute after it was sent.
    let written = || async { notes_with(&town, "сначала;") > 0 && notes_with(&town, "потом;") > 0 };
    eventually_within(DEADLINE * 3, "both notes are there", written).await;
    let words = town.look(|amo, _| amo.notes().map(|note| note.words().to_owned()).collect::<String>());
    assert!(words.find("сначала;") < words.find("потом;"), "{words}");
    place.idle().await;
    assert_eq!(town.amo(|amo, _| amo.notes().count()), 2);
    assert_eq!(daemon.stop().await.code(), Some(0));
    town.close().await;
}
