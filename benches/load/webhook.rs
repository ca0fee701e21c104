//! Webhooks: durable answers a second and how long they take, beside a bare gateway on the same disk in the same run.

use crate::backfill::acquaint;
use crate::daemon::{DEADLINE, Place, free_port};
use crate::generator::{Answers, Storm, post};
use crate::process::{Helper, Process};
use crate::report::{Report, Target};
use crate::town::{Address, Order, Towns};
use crate::{Outcome, Wish};
use salebridge::app::town::Pace;
use std::error::Error;

/// Dialogues whose messages are posted.
const PEOPLE: usize = 200;
/// Connections of each round.
const CONNECTIONS: [usize; 4] = [1, 16, 64, 256];
/// The round that is held to a target.
const CONNECTIONS_HELD: usize = 64;
/// Ids of posted messages begin here: eleven digits, far above those the sandbox gives.
const FIRST_ID: u64 = 50_000_000_000;

/// Flat out and paced, the bare gateway before the daemon in each round.
pub fn run(wish: &Wish, report: &mut Report) -> Outcome<()> {
    let mut towns = Towns::one(PEOPLE, PEOPLE, false)?;
    let place = Place::of(&towns.addresses[0], Pace::Usual)?.hurry()?;
    acquaint(&place, &mut towns)?;
    let daemon = place.daemon()?;
    place.idle(DEADLINE)?;
    let bodies: Vec<(String, String)> = towns.ask(0, Order::Bodies(place.hook_path()))?;
    let mut bare = Bare::start(&place)?;
    let seconds = if wish.full { 20.0 } else { 6.0 };
    let mut round = Round { bodies, first_id: FIRST_ID };
    let (mut rate_held, mut bare_held) = (0.0, 0.0);
    for connections in CONNECTIONS {
        let (bare_answers, _) = round.post(&bare.address, &bare.helper.process, connections, seconds, None)?;
        let (answers, cpu_us) = round.post(place.address(), &daemon, connections, seconds, None)?;
        let what = format!("{connections} connections");
        tell(report, &format!("{what}, bare gateway"), &bare_answers);
        tell(report, &what, &answers);
        report.add("webhook", format!("{what}: processor a body"), cpu_us, "µs");
        if connections == CONNECTIONS_HELD {
            (rate_held, bare_held) = (answers.rate, bare_answers.rate);
            report.held("webhook", format!("{what}: answers"), answers.rate, "/s", Target::AtLeast(15_000.0));
            report.held("webhook", format!("{what}: p99"), answers.p99, "ms", Target::AtMost(20.0));
        }
    }
    let what = format!("{CONNECTIONS_HELD} connections: answers ÷ bare gateway's");
    report.held("webhook", what, rate_held / bare_held, "", Target::AtLeast(0.5));
    bare.helper.process.kill()?;
    report.add("webhook", "memory after the storm", daemon.memory().now, "MB");
    drop(daemon);
    stored_alone(report, &mut round, seconds)?;
    paced(report, &mut round, seconds)
}

/// While amoCRM does not answer: what is posted is stored, and nobody works on it yet.
fn stored_alone(report: &mut Report, round: &mut Round, seconds: f64) -> Outcome<()> {
    let nowhere = || Ok::<String, Box<dyn Error + Send + Sync>>(format!("http://127.0.0.1:{}", free_port()?));
    let town = Address { amo: nowhere()?, salebot: nowhere()?, token: "nobody-asks-0123456789".to_owned(), clients: 0 };
    let place = Place::of(&town, Pace::Usual)?;
    let daemon = place.start(&["run"])?;
    place.live()?;
    let (answers, cpu_us) = round.post(place.address(), &daemon, CONNECTIONS_HELD, seconds, None)?;
    tell(report, &format!("{CONNECTIONS_HELD} connections, amoCRM away"), &answers);
    report.add("webhook", format!("{CONNECTIONS_HELD} connections, amoCRM away: processor a body"), cpu_us, "µs");
    Ok(())
}

/// 500 a second to a daemon that has nothing left to do from the storm.
fn paced(report: &mut Report, round: &mut Round, seconds: f64) -> Outcome<()> {
    // Another town: in the first one everybody has just written.
    let mut towns = Towns::one(PEOPLE, PEOPLE, false)?;
    let place = Place::of(&towns.addresses[0], Pace::Usual)?.hurry()?;
    acquaint(&place, &mut towns)?;
    let daemon = place.daemon()?;
    place.idle(DEADLINE)?;
    let (answers, cpu_us) = round.post(place.address(), &daemon, 64, seconds, Some(500.0))?;
    tell(report, "paced 500/s", &answers);
    report.held("webhook", "paced 500/s: p99", answers.p99, "ms", Target::AtMost(5.0));
    report.add("webhook", "paced 500/s: processor a body, notes included", cpu_us, "µs");
    Ok(())
}

fn tell(report: &mut Report, what: &str, answers: &Answers) {
    report.add("webhook", format!("{what}: answers"), answers.rate, "/s");
    let times = format!("{:.2} / {:.2} / {:.2}", answers.p50, answers.p99, answers.p999);
    report.add("webhook", format!("{what}: p50 / p99 / p99.9 {times}, max"), answers.max, "ms");
    if answers.refused > 0 {
        report.held(
            "webhook",
            format!("{what}: answers other than 200"),
            answers.refused as f64,
            "",
            Target::AtMost(0.0),
        );
    }
}

/// Storms of ever new messages.
struct Round {
    bodies: Vec<(String, String)>,
    first_id: u64,
}

impl Round {
    /// What came of a storm, and microseconds of processor time for each body.
    fn post(
        &mut self,
        address: &str,
        process: &Process,
        connections: usize,
        seconds: f64,
        rate: Option<f64>,
    ) -> Outcome<(Answers, f64)> {
        let (address, bodies) = (address.to_owned(), self.bodies.clone());
        let storm = Storm { address, bodies, connections, seconds, rate, first_id: self.first_id };
        let before = process.cpu_s()?;
        let answers = post(&storm)?;
        let cpu_us = (process.cpu_s()? - before) * 1e6 / answers.taken.max(1) as f64;
        self.first_id += answers.taken + answers.refused + connections as u64;
        Ok((answers, cpu_us))
    }
}

/// The bare gateway.
struct Bare {
    helper: Helper,
    address: String,
}

impl Bare {
    /// On the disk of the daemon.
    fn start(place: &Place) -> Outcome<Bare> {
        let folder = place.path().display().to_string();
        let mut helper = Helper::start(&["gateway", &folder])?;
        let address = helper.hear()?;
        Ok(Bare { helper, address })
    }
}
