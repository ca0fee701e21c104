//! What the daemon costs when nothing happens, and how soon it is there again.

use crate::backfill::acquaint;
use crate::daemon::{DEADLINE, Place, SALEBOT_FREE};
use crate::generator::{Storm, post};
use crate::process::{quantile, until};
use crate::report::{Report, Target};
use crate::town::{Order, Towns};
use crate::{Outcome, Wish};
use salebridge::app::town::{BRIDGE, Pace};
use salebridge::core::id::{ClientId, ContactId};
use salebridge::core::link::{Base, ClientLink, ContactSeen};
use salebridge::core::model::Client;
use salebridge::core::people::MatchKey;
use salebridge::ports::store::{Change, Store};
use salebridge::store::sqlite::{Access, SqliteOptions, SqliteStore};
use std::path::Path;
use std::time::{Duration, Instant};

/// Starts and kills that are timed.
const ROUNDS: usize = 7;

/// From the start of the process to the first "ready".
pub fn start(_wish: &Wish, report: &mut Report) -> Outcome<()> {
    let mut towns = Towns::one(1_000, 200, false)?;
    let mut first = Vec::new();
    for _ in 0..ROUNDS {
        let place = Place::of(&towns.addresses[0], Pace::Usual)?.hurry()?;
        let began = Instant::now();
        let _daemon = place.daemon()?;
        first.push(began.elapsed().as_secs_f64());
    }
    let place = Place::of(&towns.addresses[0], Pace::Usual)?.hurry()?;
    acquaint(&place, &mut towns)?;
    let mut again = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let _daemon = place.daemon()?;
        again.push(began.elapsed().as_secs_f64());
        place.idle(DEADLINE)?;
    }
    report.add("start", "to ready, no database yet: median", quantile(&mut first, 0.5), "s");
    report.held("start", "the same: slowest", quantile(&mut first, 1.0), "s", Target::AtMost(0.3));
    report.add("start", "to ready, 1,000 contacts known: median", quantile(&mut again, 0.5), "s");
    report.held("start", "the same: slowest", quantile(&mut again, 1.0), "s", Target::AtMost(0.3));
    Ok(())
}

/// From a kill with a stored message to its note.
pub fn kill(_wish: &Wish, report: &mut Report) -> Outcome<()> {
    let mut towns = Towns::one(200, 100, false)?;
    let place = Place::of(&towns.addresses[0], Pace::Usual)?.hurry()?;
    let text = place.text().replace("[bridge.salebot]\n", SALEBOT_FREE);
    place.write(&text.replace("join_within = \"30s\"", "join_within = \"0s\""))?;
    acquaint(&place, &mut towns)?;
    let bodies: Vec<(String, String)> = towns.ask(0, Order::Bodies(place.hook_path()))?;
    let mut daemon = place.daemon()?;
    // What everybody has just written is found in the histories.
    place.idle(DEADLINE)?;
    let mut took = Vec::new();
    let (path, body) = &bodies[0];
    for round in 0..ROUNDS {
        let lines = towns.counts()?.lines;
        let body = numbered(body, 50_000_000_000 + round as u64)?;
        let answer = place.push(path, &body);
        let began = Instant::now();
        daemon.kill()?;
        if answer.is_none_or(|(status, _)| status != 200) {
            return Err("a message was not taken".into());
        }
        if towns.counts()?.lines > lines {
            return Err("the note was sooner than the kill".into());
        }
        daemon = place.start(&["run"])?;
        // A look costs the town a count of its notes.
        let look = Duration::from_millis(5);
        let is_there = || towns.counts().is_ok_and(|counts| counts.lines > lines);
        match until("the note is there", DEADLINE, look, is_there) {
            Ok(_) => took.push(began.elapsed().as_secs_f64()),
            Err(error) => return Err(place.told(&error)),
        }
        place.idle(DEADLINE)?;
    }
    report.add("kill", "kill -9 to the note of a stored message: median", quantile(&mut took, 0.5), "s");
    report.held("kill", "the same: slowest", quantile(&mut took, 1.0), "s", Target::AtMost(2.0));
    Ok(())
}

/// A webhook's body with another message's id.
fn numbered(body: &str, id: u64) -> Outcome<String> {
    let at = body.find("\"id\":").ok_or("a body has no id")? + 5;
    let end = body[at..].find(|c: char| !c.is_ascii_digit()).ok_or("a body ends early")? + at;
    Ok(format!("{}{id}{}", &body[..at], &body[end..]))
}

/// Five and a half minutes, and a walk over Salebot's clients.
const SILENCE: Duration = Duration::from_secs(400);

/// Memory, processor and requests of a daemon with nothing to do.
pub fn idle(_wish: &Wish, report: &mut Report) -> Outcome<()> {
    let mut towns = Towns::one(1_000, 200, false)?;
    let place = Place::of(&towns.addresses[0], Pace::Usual)?.hurry()?;
    acquaint(&place, &mut towns)?;
    let daemon = place.daemon()?;
    place.idle(DEADLINE)?;
    // Who was active shortly before the start is looked at for so long.
    std::thread::sleep(SILENCE);
    // A quarter of an hour holds one of everything that is repeated, but for the nightly sweep.
    let seconds = 900.0;
    let (before, cpu_s) = (towns.counts()?, daemon.cpu_s()?);
    std::thread::sleep(Duration::from_secs_f64(seconds));
    let (counts, cpu_s) = (towns.counts()?.since(&before), daemon.cpu_s()? - cpu_s);
    let hourly = |requests: u64| requests as f64 * 3_600.0 / seconds;
    let what = format!("requests in {seconds:.0} s, for an hour");
    report.held("idle", format!("{what}: amoCRM"), hourly(counts.amo), "/h", Target::AtMost(760.0));
    report.held("idle", format!("{what}: Salebot"), hourly(counts.salebot), "/h", Target::AtMost(10.0));
    report.add("idle", "processor", cpu_s / seconds * 100.0, "%");
    report.held("idle", "memory, 1,000 contacts known", daemon.memory().now, "MB", Target::AtMost(25.0));
    eprintln!("  amoCRM {:?}\n  Salebot {:?}", counts.amo_routes, counts.salebot_actions);
    Ok(())
}

/// Memory of a daemon that knows a million people and hears from some.
pub fn links(_wish: &Wish, report: &mut Report) -> Outcome<()> {
    const LINKS: u64 = 1_000_000;
    let mut towns = Towns::one(500, 200, false)?;
    let place = Place::of(&towns.addresses[0], Pace::Usual)?.hurry()?;
    acquaint(&place, &mut towns)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(fill(&place.database(), LINKS))?;
    let size = std::fs::metadata(place.database())?.len() as f64 / 1_048_576.0;
    let bodies: Vec<(String, String)> = towns.ask(0, Order::Bodies(place.hook_path()))?;
    let began = Instant::now();
    let daemon = place.daemon()?;
    report.held("links", "1,000,000 links: start to ready", began.elapsed().as_secs_f64(), "s", Target::AtMost(0.3));
    let connections = 16;
    let storm = Storm {
        address: place.address().to_owned(),
        bodies,
        connections,
        seconds: 10.0,
        rate: Some(200.0),
        first_id: 50_000_000_000,
    };
    post(&storm)?;
    std::thread::sleep(Duration::from_secs(20));
    let memory = daemon.memory();
    report.held("links", "1,000,000 links, after 2,000 messages: memory", memory.now, "MB", Target::AtMost(60.0));
    report.add("links", "the same: memory at most", memory.peak, "MB");
    report.add("links", "the same: database", size, "MB");
    Ok(())
}

/// Links of people the town does not know, as an import leaves them.
async fn fill(path: &Path, links: u64) -> Outcome<()> {
    const FIRST: u64 = 20_000_000;
    const AT_ONCE: u64 = 5_000;
    let store = SqliteStore::open(SqliteOptions::new(path, Access::Driver)).await?;
    for from in (0..links).step_by(AT_ONCE as usize) {
        let changes = (from..(from + AT_ONCE).min(links)).flat_map(|number| linked(FIRST + number)).collect();
        store.commit(BRIDGE, changes).await?;
    }
    store.close().await;
    Ok(())
}

fn linked(number: u64) -> [Change; 3] {
    let (contact, phone) = (ContactId(number), format!("+7999{number}"));
    let base = |value: &str| Base {
        amo: Some(vec![value.to_owned()]),
        salebot: Some(vec![value.to_owned()]),
        ..Base::default()
    };
    let link = ClientLink {
        contact: Some(contact),
        bases: [("contact.phone=client.phone", phone.as_str()), ("contact.field.4396817=client.position", "Закупщик")]
            .map(|(pair, value)| (pair.to_owned(), base(value)))
            .into(),
        ..ClientLink::new(Client::unknown(ClientId(number)))
    };
    let seen = ContactSeen { contact, fingerprint: format!("{number:032x}"), version: 1_700_000_000 };
    [
        Change::PutClient(Box::new(link)),
        Change::PutContact(seen),
        Change::PutKeys(contact, vec![MatchKey::Phone(phone)]),
    ]
}
