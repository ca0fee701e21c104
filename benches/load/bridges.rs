//! Many bridges in one process: what each costs, whether they are served alike, and what one broken account does to
//! the others.

use crate::daemon::{DEADLINE, Place, SALEBOT_FREE, hook_path};
use crate::process::{Process, quantile, until};
use crate::report::{Report, Target};
use crate::town::{Counts, Order, Plan, Towns};
use crate::{Outcome, Wish};
use salebridge::app::town::{BRIDGE, Pace, TownConfig, crowd, secret_of};
use serde_json::json;
use std::time::{Duration, Instant};

/// People of each bridge, of whom 24 are contacts.
const PEOPLE: usize = 40;
/// Messages to each bridge at once.
const MESSAGES: usize = 20;

/// Bridges with nothing to do, and one daemon for all.
struct Crowd {
    towns: Towns,
    place: Place,
    daemon: Process,
    ready_s: f64,
}

impl Crowd {
    fn of(bridges: usize) -> Outcome<Crowd> {
        let towns = Towns::found(&Plan { towns: bridges, contacts: 50, people: PEOPLE, limited: false })?;
        let place = Place::of(&towns.addresses[0], Pace::Usual)?;
        let configs = towns.addresses.iter().map(|address| {
            let (amo_url, salebot_url) = (address.amo.clone(), address.salebot.clone());
            TownConfig { amo_url, salebot_url, token: address.token.clone(), ..place.config().clone() }
        });
        let text = crowd(&configs.collect::<Vec<TownConfig>>()).replace("[bridge.salebot]\n", SALEBOT_FREE);
        // The window in which messages are joined would hide who is served late.
        place.write(&text.replace("join_within = \"30s\"", "join_within = \"0s\""))?;
        let began = Instant::now();
        let daemon = place.daemon()?;
        let ready_s = began.elapsed().as_secs_f64();
        place.idle(DEADLINE * 3)?;
        let mut crowd = Crowd { towns, place, daemon, ready_s };
        for number in 0..bridges {
            let secret = secret_of(crowd.place.config(), number);
            let url = format!("http://{}{}", crowd.place.address(), hook_path(&format!("{BRIDGE}-{number}"), &secret));
            crowd.towns.ask::<()>(number, Order::Deliver(url))?;
        }
        Ok(crowd)
    }

    /// Seconds until each of these bridges has all its messages in notes, when all are written to at once.
    fn served(&mut self, bridges: std::ops::Range<usize>) -> Outcome<Vec<f64>> {
        let lines = |towns: &mut Towns, number| towns.ask::<Counts>(number, Order::Count).map(|counts| counts.lines);
        let mut waiting = Vec::new();
        for number in bridges.clone() {
            waiting.push((number, lines(&mut self.towns, number)? + MESSAGES));
        }
        let began = Instant::now();
        for number in bridges {
            self.towns.ask::<usize>(number, Order::Write { people: PEOPLE, messages: MESSAGES })?;
        }
        let mut took = Vec::new();
        until("every bridge has written its notes", DEADLINE, Duration::from_millis(20), || {
            waiting.retain(|(number, wanted)| {
                let is_done = lines(&mut self.towns, *number).is_ok_and(|lines| lines >= *wanted);
                if is_done {
                    took.push(began.elapsed().as_secs_f64());
                }
                !is_done
            });
            waiting.is_empty()
        })
        .map_err(|error| self.place.told(&error))?;
        Ok(took)
    }
}

/// One, ten, fifty, two hundred bridges; at the end one of them breaks.
pub fn run(wish: &Wish, report: &mut Report) -> Outcome<()> {
    let seconds = if wish.full { 120.0 } else { 30.0 };
    let mut alone_mb = 0.0;
    for bridges in [1_usize, 10, 50, 200] {
        let mut crowd = Crowd::of(bridges)?;
        let cpu_s = crowd.daemon.cpu_s()?;
        std::thread::sleep(Duration::from_secs_f64(seconds));
        let cpu = (crowd.daemon.cpu_s()? - cpu_s) / seconds * 100.0;
        let memory_mb = crowd.daemon.memory().now;
        alone_mb = if bridges == 1 { memory_mb } else { alone_mb };
        let mut took = crowd.served(0..bridges)?;
        report.point(
            "bridges",
            json!({
                "bridges": bridges,
                "memory_mb": memory_mb,
                "cpu_percent": cpu,
                "ready_s": crowd.ready_s,
                "threads": crowd.daemon.threads(),
                "first_served_s": quantile(&mut took, 0.0),
                "last_served_s": quantile(&mut took, 1.0),
            }),
        );
        if bridges == 200 {
            report.add("bridges", "200 idle bridges: memory of each", (memory_mb - alone_mb) / 199.0, "MB");
            report.add("bridges", "200 idle bridges: processor", cpu, "%");
            fairness(report, &mut crowd, &mut took)?;
        }
    }
    Ok(())
}

/// All are served alike, and stay so when one account hardly answers.
fn fairness(report: &mut Report, crowd: &mut Crowd, took: &mut [f64]) -> Outcome<()> {
    let (middle, last) = (quantile(took, 0.5), quantile(took, 1.0));
    let what = format!("{MESSAGES} messages to each of 200 at once");
    report.add("bridges", format!("{what}: half are served after"), middle, "s");
    report.add("bridges", format!("{what}: all are served after"), last, "s");
    crowd.towns.ask::<()>(0, Order::Stall)?;
    crowd.towns.ask::<usize>(0, Order::Write { people: PEOPLE, messages: 10 * MESSAGES })?;
    let mut beside = crowd.served(1..200)?;
    report.add("bridges", "one account hardly answers: half of the others", quantile(&mut beside, 0.5), "s");
    let slower = quantile(&mut beside, 1.0) / last;
    report.held("bridges", "one account hardly answers: last of the others ÷ before", slower, "", Target::AtMost(1.5));
    Ok(())
}
