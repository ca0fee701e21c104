//! Messages and edits: how many requests they need, and how long they are on their way.

use crate::backfill::acquaint;
use crate::daemon::{AMO_SECRET, DEADLINE, Place, SALEBOT_FREE};
use crate::process::{Process, quantile, until};
use crate::report::{Report, Target};
use crate::town::{Counts, Order, Towns, Way};
use crate::{Outcome, Wish};
use salebridge::app::town::Pace;
use serde_json::json;
use std::time::{Duration, Instant};

/// Schedules that do not come round while something is measured.
const POLLS_NEVER: &str = "poll_contacts = \"0 0 0 1 1 *\"\npoll_leads = \"0 0 0 1 1 *\"\nsweep = \"0 0 0 1 1 *\"\n";
/// A note holds what was written within this long.
const JOINED_MS: u64 = 30_000;

/// A town whose people are known, and a daemon that has nothing left to do.
struct Calm {
    towns: Towns,
    place: Place,
    daemon: Process,
}

impl Calm {
    /// So many people, with this under `[bridge.amo]`.
    fn of(people: usize, amo: &str, join: &str, public: bool) -> Outcome<Calm> {
        // Six of ten people are contacts.
        let people = people * 10 / 6 + 10;
        let mut towns = Towns::one(people * 2, people, false)?;
        let place = Place::of(&towns.addresses[0], Pace::Usual)?;
        let mut text = place.text().replace("[bridge.amo]\n", &format!("[bridge.amo]\n{amo}"));
        // Salebot's clients are not looked through meanwhile.
        text = text.replace("[bridge.salebot]\n", &format!("{SALEBOT_FREE}reconcile = \"0 0 0 1 1 *\"\n"));
        text = text.replace("join_within = \"30s\"", &format!("join_within = \"{join}\""));
        if public {
            let address = format!("[http]\npublic_url = \"http://{}\"\n", place.address());
            text = text.replace("[http]\n", &address);
        }
        place.write(&text)?;
        acquaint(&place, &mut towns)?;
        let daemon = place.daemon()?;
        if public && place.start(&["hooks", "install"])?.end()? != Some(0) {
            return Err(place.told(&"amoCRM's webhook was not installed"));
        }
        // Who has just become known is looked at once more: ten thousand take a minute or two.
        place.idle(DEADLINE * 5)?;
        let mut calm = Calm { towns, place, daemon };
        calm.towns.ask::<()>(0, Order::Deliver(calm.place.hook()))?;
        Ok(calm)
    }

    /// Has messages written and waits until all are in notes; what it took, and how long.
    fn write(&mut self, people: usize, messages: usize) -> Outcome<(Counts, f64, f64)> {
        let (before, cpu_s, began) = (self.towns.counts()?, self.daemon.cpu_s()?, Instant::now());
        let written: usize = self.towns.ask(0, Order::Write { people, messages })?;
        let mut now = Counts::default();
        until("all messages are in notes", DEADLINE * 3, Duration::from_millis(100), || {
            now = self.towns.counts().unwrap_or_default();
            now.lines >= before.lines + written
        })
        .map_err(|error| self.place.told(&error))?;
        Ok((now.since(&before), self.daemon.cpu_s()? - cpu_s, began.elapsed().as_secs_f64()))
    }
}

/// Requests for messages of known people, and for changed contacts.
pub fn requests(_wish: &Wish, report: &mut Report) -> Outcome<()> {
    let mut calm = Calm::of(200, POLLS_NEVER, "30s", false)?;
    let (counts, cpu_s, wall_s) = calm.write(200, 1_000)?;
    let what = "1,000 messages of 200 known people at once";
    report.held("requests", format!("{what}: to amoCRM"), counts.amo as f64, "", Target::AtMost(30.0));
    report.add("requests", format!("{what}: to Salebot"), counts.salebot as f64, "");
    report.add("requests", format!("{what}: until the last note, its window of 30 s included"), wall_s, "s");
    report.add("requests", format!("{what}: processor a message"), cpu_s * 1e3, "µs");
    eprintln!("  amoCRM {:?}\n  Salebot {:?}", counts.amo_routes, counts.salebot_actions);
    drop(calm);
    changed(report)
}

/// A hundred contacts that are edited at once and seen by a poll.
fn changed(report: &mut Report) -> Outcome<()> {
    const EDITED: usize = 100;
    let mut calm = Calm::of(EDITED, "", "30s", false)?;
    let before = calm.towns.counts()?;
    let edited: usize = calm.towns.ask(0, Order::Edit(EDITED))?;
    let saved = |counts: &Counts| counts.salebot_actions.get("save_variables").copied().unwrap_or_default();
    let mut counts = Counts::default();
    // A person in two messengers has two clients.
    until("all edits are written", DEADLINE, Duration::from_millis(200), || {
        counts = calm.towns.counts().unwrap_or_default().since(&before);
        saved(&counts) >= edited as u64
    })
    .map_err(|error| calm.place.told(&error))?;
    calm.place.idle(DEADLINE)?;
    let counts = calm.towns.counts()?.since(&before);
    let each = |requests: u64| requests as f64 / edited as f64;
    let what = format!("{edited} contacts edited at once");
    report.add("requests", format!("{what}: to amoCRM, polls included, a contact"), each(counts.amo), "");
    report.add("requests", format!("{what}: to Salebot, a contact"), each(counts.salebot), "");
    eprintln!("  amoCRM {:?}\n  Salebot {:?}", counts.amo_routes, counts.salebot_actions);
    Ok(())
}

/// How long a change is on its way, either way.
pub fn latency(wish: &Wish, report: &mut Report) -> Outcome<()> {
    let samples = if wish.full { 100 } else { 20 };
    let polls = "poll_contacts = \"*/2 * * * * *\"\npoll_leads = \"1/2 * * * * *\"\noverlap = \"10s\"\n";
    let mut calm = Calm::of(50, polls, "0s", false)?;
    let ways: Vec<Way> = calm.towns.ask(0, Order::EditAndWait(samples))?;
    tell(report, "amoCRM → Salebot, polled every 2 s, from the edit", &ways, |way| way.took_ms, Target::None);
    // The first even second behind the edit is when it can be seen.
    let after_tick = |way: &Way| way.took_ms - (2_000 - way.began_ms.rem_euclid(2_000)) as f64;
    tell(report, "the same from the poll's tick", &ways, after_tick, Target::AtMost(2.0));
    let ways: Vec<Way> = calm.towns.ask(0, Order::SayAndWait(samples))?;
    tell(report, "Salebot → amoCRM, a variable, from the message", &ways, |way| way.took_ms, Target::AtMost(1.0));
    let ways: Vec<Way> = calm.towns.ask(0, Order::NoteAndWait(samples))?;
    tell(report, "Salebot → amoCRM, a note, from the message", &ways, |way| way.took_ms, Target::AtMost(1.0));
    drop(calm);
    let hooked = format!("webhook_secret = \"{AMO_SECRET}\"\n{POLLS_NEVER}");
    let mut calm = Calm::of(50, &hooked, "0s", true)?;
    let ways: Vec<Way> = calm.towns.ask(0, Order::EditAndWait(samples))?;
    tell(report, "amoCRM → Salebot, by webhook, from the edit", &ways, |way| way.took_ms, Target::AtMost(1.0));
    Ok(())
}

fn tell(report: &mut Report, what: &str, ways: &[Way], of: impl Fn(&Way) -> f64, target: Target) {
    let mut seconds: Vec<f64> = ways.iter().map(|way| of(way) / 1_000.0).collect();
    report.add("latency", format!("{what}: p50"), quantile(&mut seconds, 0.5), "s");
    report.held("latency", format!("{what}: p95"), quantile(&mut seconds, 0.95), "s", target);
}

/// How the cost of messages grows with the number of people who write.
pub fn growth(wish: &Wish, report: &mut Report) -> Outcome<()> {
    let sizes: &[usize] = if wish.full { &[10, 100, 1_000, 10_000] } else { &[10, 100, 1_000] };
    for &people in sizes {
        let mut calm = Calm::of(people, POLLS_NEVER, "30s", false)?;
        let messages = people * 5;
        let (counts, cpu_s, wall_s) = calm.write(people, messages)?;
        let each = |value: f64| value / messages as f64;
        let point = json!({
            "people": people,
            "cpu_us": each(cpu_s) * 1e6,
            "amo_requests": each(counts.amo as f64),
            "salebot_requests": each(counts.salebot as f64),
            "wall_s": wall_s - JOINED_MS as f64 / 1e3,
            "memory_mb": calm.daemon.memory().now,
        });
        report.point("people", point);
    }
    Ok(())
}
