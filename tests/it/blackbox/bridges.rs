//! Many bridges in one daemon: all are served, and an account that hardly answers holds up nobody but its own bridge.

use super::{DEADLINE, Place, eventually, eventually_within, town_options};
use salebridge::app::town::{BRIDGE, TownConfig, crowd, secret_of};
use salebridge::sandbox::faults::{Fault, Faults, ScriptedFault, ServiceName};
use salebridge::sandbox::town::Town;
use std::time::{Duration, Instant};

/// Bridges of the daemon; the first one breaks.
const BRIDGES: usize = 12;
/// Messages to each of them at once.
const MESSAGES: usize = 10;

/// How many lines of notes a town has.
fn lines(town: &Town) -> usize {
    town.look(|amo, _| amo.notes().map(|note| note.words().lines().count()).sum())
}

/// Has everybody written to at once in these towns; how long until the last one has its notes.
async fn served(towns: &[Town]) -> Duration {
    let wanted: Vec<usize> = towns.iter().map(|town| lines(town) + MESSAGES).collect();
    let began = Instant::now();
    for number in 0..MESSAGES {
        for town in towns {
            town.writes(number % 3, 0, &format!("слово {number}")).expect("a person");
        }
    }
    let is_done = || async { towns.iter().zip(&wanted).all(|(town, wanted)| lines(town) >= *wanted) };
    eventually_within(DEADLINE, "every town has its notes", is_done).await;
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_hardly_answers_does_not_slow_the_other_bridges() {
    let mut towns = Vec::new();
    for _ in 0..BRIDGES {
        towns.push(Town::found(town_options(), Faults::none()).await.expect("free ports"));
    }
    let place = Place::of_town(&towns[0]);
    let config = |town: &Town| {
        let (amo_url, salebot_url) = (town.amo_url(), town.salebot_url());
        TownConfig { amo_url, salebot_url, ..place.config.clone() }
    };
    place.write(&crowd(&towns.iter().map(config).collect::<Vec<TownConfig>>()));
    let daemon = place.start();
    for (number, town) in towns.iter().enumerate() {
        let secret = secret_of(&place.config, number);
        town.deliver_to(&place.url(&format!("/hooks/salebot/{BRIDGE}-{number}/{secret}"))).expect("a client");
    }
    place.ready().await;
    eventually("nothing waits anywhere", || async { place.statuses().iter().all(|bridge| bridge["idle"] == true) })
        .await;
    let before = served(&towns).await;

    towns[0].spoil(ScriptedFault::once(ServiceName::Amo, Fault::Slow { ms: 15_000 }).times(u64::MAX));
    for number in 0..10 * MESSAGES {
        towns[0].writes(number % 3, 0, &format!("лишнее {number}")).expect("a person");
    }
    let beside = served(&towns[1..]).await;
    // A message waits a second for others of its dialogue, and seven requests a second are allowed: both times are
    // short of what one slow answer takes.
    assert!(beside < before * 2 + Duration::from_secs(2), "{beside:?} beside a broken account, {before:?} before");
    assert!(beside < Duration::from_secs(15), "nobody waited for a slow answer of another account: {beside:?}");
    towns[0].calm();
    drop(daemon);
    for town in towns {
        town.close().await;
    }
}
