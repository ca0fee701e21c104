//! First imports: with amoCRM's limit by the real command, without it by the same code in a process of its own, as no
//! configuration lifts the limit.

use crate::daemon::{Place, SECRET};
use crate::process::{Helper, Memory};
use crate::report::{Report, Target};
use crate::town::{Address, Counts, Towns};
use crate::{Outcome, Wish};
use salebridge::app::backfill::{Backfills, Wish as BackfillWish};
use salebridge::app::town::{Pace, TownConfig};
use salebridge::core::backfill::Part;
use salebridge::sandbox::salebot::options::DEFAULT_KEY;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// Six people of ten are contacts: with so many people a twentieth of the contacts has a client.
fn people_for(contacts: usize) -> usize {
    contacts / 12
}

/// What the other process imports, and from where.
#[derive(Debug, Serialize, Deserialize)]
struct Import {
    database: String,
    town: Address,
    only_contacts: bool,
}

/// What an import took.
struct Took {
    wall_s: f64,
    cpu_s: f64,
    memory: Memory,
    counts: Counts,
}

/// The other process: one import without a limit. It stays until its figures are read.
pub fn serve() -> Outcome<()> {
    let mut lines = std::io::stdin().lines();
    let import: Import = serde_json::from_str(&lines.next().ok_or("nothing to import")??)?;
    let config = TownConfig {
        store_url: format!("sqlite://{}", import.database),
        listen: "127.0.0.1:8080".to_owned(),
        amo_url: import.town.amo,
        token: import.town.token,
        salebot_url: import.town.salebot,
        api_key: DEFAULT_KEY.to_owned(),
        webhook_secret: SECRET.to_owned(),
        pace: Pace::Usual,
    };
    let mut config = config.checked("import").map_err(|faults| faults.render(false))?;
    for bridge in &mut config.bridges {
        bridge.amo.requests_per_second = FREE;
        bridge.salebot.requests_per_second = FREE;
        bridge.salebot.save_variables_per_second = FREE;
    }
    let parts = if import.only_contacts { BTreeSet::from([Part::Contacts]) } else { Part::ALL.into() };
    let wish = BackfillWish {
        bridge: None,
        parts,
        since: None,
        until: None,
        since_span: None,
        until_span: None,
        dry_run: false,
        restart: false,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let seconds = runtime.block_on(async {
        let began = Instant::now();
        let (backfills, _) = Backfills::begin(&config, &wish).await?;
        while !backfills.standings().await?.iter().all(|standing| standing.is_over) {
            // Seldom, as looking is no part of what is measured.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let seconds = began.elapsed().as_secs_f64();
        backfills.end().await;
        anyhow::Ok(seconds)
    })?;
    println!("{seconds}");
    lines.next();
    Ok(())
}

/// Requests a second that nothing here reaches.
const FREE: f64 = 100_000.0;

/// An import without a limit.
fn import(contacts: usize, people: usize, only_contacts: bool) -> Outcome<Took> {
    let mut towns = Towns::one(contacts, people, false)?;
    let folder = tempfile::tempdir()?;
    import_into(&folder.path().join("salebridge.db"), &mut towns, only_contacts)
}

/// Has a place know everything a town has, as after a first import.
pub fn acquaint(place: &Place, towns: &mut Towns) -> Outcome<()> {
    import_into(&place.database(), towns, false).map(|_| ())
}

fn import_into(database: &Path, towns: &mut Towns, only_contacts: bool) -> Outcome<Took> {
    let before = towns.counts()?;
    let mut helper = Helper::start(&["import"])?;
    let town = towns.addresses[0].clone();
    let wall_s = helper.ask(&Import { database: database.display().to_string(), town, only_contacts })?;
    let (cpu_s, memory) = (helper.process.cpu_s()?, helper.process.memory());
    Ok(Took { wall_s, cpu_s, memory, counts: towns.counts()?.since(&before) })
}

/// The limit off: contacts a second, processor time for each, memory, requests.
pub fn free(_wish: &Wish, report: &mut Report) -> Outcome<()> {
    const CONTACTS: usize = 100_000;
    let each = |value: f64| value / CONTACTS as f64;
    let read = import(CONTACTS, 0, true)?;
    report.add(
        "backfill",
        "100,000 contacts without clients, contacts alone: contacts",
        CONTACTS as f64 / read.wall_s,
        "/s",
    );
    let cpu_us = each(read.cpu_s) * 1e6;
    report.held("backfill", "the same: processor a contact", cpu_us, "µs", Target::AtMost(40.0));
    let requests = each(read.counts.amo as f64);
    report.held("backfill", "the same: amoCRM's requests a contact", requests, "", Target::AtMost(0.0021));
    let took = import(CONTACTS, people_for(CONTACTS), true)?;
    report.add("backfill", "a twentieth has a client, contacts alone: contacts", CONTACTS as f64 / took.wall_s, "/s");
    let requests = each(took.counts.amo as f64);
    report.add("backfill", "the same: amoCRM's requests a contact, what is written to them included", requests, "");
    // What an open lead becomes is asked for and made by itself.
    let of_orders = |(name, count): (&String, &u64)| if name.contains("order") { *count } else { 0 };
    let orders: u64 = took.counts.salebot_actions.iter().map(of_orders).sum();
    let requests = each((took.counts.salebot - orders) as f64);
    report.held("backfill", "the same: Salebot's requests a contact", requests, "", Target::AtMost(0.12));
    report.add("backfill", "the same: Salebot's requests for orders, a contact", each(orders as f64), "");
    report.add("backfill", "the same: processor a contact", each(took.cpu_s) * 1e6, "µs");
    eprintln!("  amoCRM {:?}\n  Salebot {:?}", took.counts.amo_routes, took.counts.salebot_actions);
    let whole = import(CONTACTS, people_for(CONTACTS), false)?;
    report.add("backfill", "contacts, 50,000 leads and clients: whole import", whole.wall_s, "s");
    report.add("backfill", "the same: processor a contact", each(whole.cpu_s) * 1e6, "µs");
    report.add("backfill", "the same: amoCRM's requests a contact", each(whole.counts.amo as f64), "");
    report.add("backfill", "the same: Salebot's requests a contact", each(whole.counts.salebot as f64), "");
    report.held("backfill", "the same: memory at most", whole.memory.peak, "MB", Target::AtMost(80.0));
    eprintln!("  amoCRM {:?}\n  Salebot {:?}", whole.counts.amo_routes, whole.counts.salebot_actions);
    Ok(())
}

/// The limit on: the real command. Its time beside that which its requests need at the allowed rate.
pub fn limited(wish: &Wish, report: &mut Report) -> Outcome<()> {
    let contacts = if wish.full { 100_000 } else { 20_000 };
    let mut towns = Towns::one(contacts, people_for(contacts), true)?;
    // Salebot's usual rate would hide amoCRM's.
    let place = Place::of(&towns.addresses[0], Pace::Usual)?.hurry()?;
    let (before, began) = (towns.counts()?, Instant::now());
    let command = place.start(&["backfill"])?;
    let mut memory = Memory::default();
    while !command.has_ended() {
        let now = command.memory();
        memory = if now.peak > memory.peak { now } else { memory };
        std::thread::sleep(Duration::from_millis(20));
    }
    let (wall_s, cpu_s) = (began.elapsed().as_secs_f64(), command.cpu_s()?);
    if command.end()? != Some(0) {
        return Err(place.told(&"the backfill failed"));
    }
    let counts = towns.counts()?.since(&before);
    let floor_s = counts.amo as f64 / 6.0;
    let scenario = "backfill-limit";
    report.add(
        scenario,
        format!("{contacts} contacts, leads, clients at 6/s: amoCRM's requests"),
        counts.amo as f64,
        "",
    );
    report.add(scenario, "the time they need at that rate", floor_s, "s");
    report.held(scenario, "time ÷ that time", wall_s / floor_s, "", Target::AtMost(1.05));
    report.held(scenario, "answers 429", counts.too_many as f64, "", Target::AtMost(0.0));
    report.add(scenario, "processor a contact", cpu_s * 1e6 / contacts as f64, "µs");
    report.held(scenario, "memory at most", memory.peak, "MB", Target::AtMost(80.0));
    Ok(())
}

/// How an import grows with the number of contacts.
pub fn growth(wish: &Wish, report: &mut Report) -> Outcome<()> {
    let sizes: &[usize] = if wish.full { &[1_000, 10_000, 100_000, 1_000_000] } else { &[1_000, 10_000, 100_000] };
    for &contacts in sizes {
        // A town has 20,000 people at most.
        let took = import(contacts, people_for(contacts).min(20_000), true)?;
        let each = |value: f64| value / contacts as f64;
        let point = json!({
            "contacts": contacts,
            "wall_s": took.wall_s,
            "cpu_us": each(took.cpu_s) * 1e6,
            "peak_mb": took.memory.peak,
            "amo_requests": each(took.counts.amo as f64),
            "salebot_requests": each(took.counts.salebot as f64),
        });
        report.point("contacts", point);
    }
    Ok(())
}
