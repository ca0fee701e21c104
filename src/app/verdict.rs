//! What a status means: whether all is well, and what to do if not. From the form that programs get, so that people
//! are told the same.

use crate::core::action::Side;
use crate::core::time::{CLOCK_OFF_MS, Millis};
use crate::engine::CLIENTS;
use crate::remote::lane::BUDGET;
use serde_json::Value;

/// Whether all is well, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// True: nobody has to do anything.
    pub is_well: bool,
    /// One sentence.
    pub headline: String,
    /// What is not well, each with what to do.
    pub troubles: Vec<String>,
    /// What is worth knowing and passes by itself.
    pub notes: Vec<String>,
}

/// A listing that was not read for so long is late at the usual schedules, and at slow ones somebody is used to it.
const LATE_S: i64 = 900;

/// A service that takes too few requests for longer than that is no passing thing: somebody else uses the account, or the
/// rate is set too high.
const LASTING_S: i64 = 600;

/// Judges the status of all bridges (see the documentation of `status --json`).
pub fn of(status: &Value) -> Verdict {
    let bridges = status["bridges"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_running = status["running"] == true;
    let (mut troubles, mut notes) = (Vec::new(), Vec::new());
    if !is_running {
        troubles.push(silence(status["driver"].as_str()));
    }
    for bridge in bridges {
        let name = bridge["name"].as_str().unwrap_or_default();
        troubles.extend(waiting_for_a_human(bridge).into_iter().map(|trouble| format!("{name}: {trouble}")));
        troubles.extend(failing(bridge).into_iter().map(|trouble| format!("{name}: {trouble}")));
        if is_running {
            if bridge["is_known"] == false {
                troubles.push(format!(
                    "{name}: the daemon was started without this bridge, so nobody drives it. What to do: systemctl restart salebridge"
                ));
            }
            troubles.extend(lanes(bridge).into_iter().map(|trouble| format!("{name}: {trouble}")));
        }
        notes.extend(passing(bridge, is_running).into_iter().map(|note| format!("{name}: {note}")));
    }
    troubles.extend(bridges.iter().find_map(wrong_clock));
    let is_well = troubles.is_empty();
    let headline = match (is_well, troubles.len()) {
        (true, _) if bridges.iter().all(|bridge| bridge["idle"] == true) => {
            format!("All is well. {}", rest(bridges.len()))
        }
        (true, _) => format!("All is well. {}", at_work(bridges)),
        (false, 1) => "One thing needs you:".to_owned(),
        (false, count) => format!("{count} things need you:"),
    };
    Verdict { is_well, headline, troubles, notes }
}

/// What it means that no daemon answers, by who drives the store all the same.
fn silence(driver: Option<&str>) -> String {
    match driver {
        Some(driver) => format!(
            "{driver} drives this store and does not answer on http.listen: restart it if http.listen was changed; a command \
             that drives it, such as a backfill, ends by itself."
        ),
        None => "The daemon does not answer: nothing is received and nothing is written. \
                 Start it: systemctl start salebridge (or: salebridge run)."
            .to_owned(),
    }
}

fn rest(bridges: usize) -> String {
    match bridges {
        1 => "Both sides are in step, nothing waits.".to_owned(),
        many => format!("{many} bridges are in step, nothing waits."),
    }
}

fn at_work(bridges: &[Value]) -> String {
    let sum = |key: &str| bridges.iter().map(|bridge| count(&bridge[key])).sum::<u64>();
    match (sum("inbox"), sum("outbox")) {
        (0, 0) => "At work: records and dialogues are read.".to_owned(),
        (inbox, outbox) => format!("At work: {inbox} messages to look at, {outbox} changes to write."),
    }
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn waiting_for_a_human(bridge: &Value) -> Vec<String> {
    let mut found = Vec::new();
    match count(&bridge["dead_letters"]) {
        0 => {}
        1 => {
            found.push("one message or change was given up. See which and why: salebridge dead-letters list".to_owned())
        }
        many => found
            .push(format!("{many} messages or changes were given up. See which and why: salebridge dead-letters list")),
    }
    found
}

/// What the bridge itself says does not work.
fn failing(bridge: &Value) -> Vec<String> {
    let errors = bridge["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let name = bridge["name"].as_str().unwrap_or_default();
    // Every part that asks the service meets it: it is told once.
    let spent = errors.iter().find(|error| is_budget(error)).map(|error| {
        let reason = error["reason"].as_str().unwrap_or_default().trim_end_matches(" (throttled)");
        format!("{reason}: nothing more is asked there until midnight UTC, and what is left waits. If that is too few requests, raise salebot.daily_budget")
    });
    let told = |error: &Value| {
        let part = error["part"].as_str().unwrap_or_default();
        let reason = error["reason"].as_str().unwrap_or_default();
        match part {
            // Their reasons say what to do.
            "guard" | "frozen" => reason.to_owned(),
            _ => format!("{part} does not work: {reason}. What to do: salebridge doctor --bridge {name}"),
        }
    };
    let others = errors.iter().filter(|error| !is_budget(error) && !is_passing_429(error));
    spent.into_iter().chain(others.map(told)).collect()
}

/// True for a part that stands still as what was allowed for the day is used up (`remote::lane`).
fn is_budget(error: &Value) -> bool {
    error["reason"].as_str().is_some_and(|reason| reason.starts_with(BUDGET))
}

/// True for a part that stands still only because its service got too many requests a short while ago.
fn is_passing_429(error: &Value) -> bool {
    // The end of a fault's text is its kind.
    let is_429 = error["reason"].as_str().is_some_and(|reason| reason.ends_with("(throttled)"));
    is_429 && !is_budget(error) && error["for_s"].as_i64().is_some_and(|seconds| seconds < LASTING_S)
}

/// Accounts that take nothing at the moment. A pause after too many requests ends by itself.
fn lanes(bridge: &Value) -> Vec<String> {
    let name = bridge["name"].as_str().unwrap_or_default();
    let told = |lane: &str, service: &str| match bridge["lanes"][lane]["state"].as_str() {
        Some("blocked") => Some(format!(
            "{service} has blocked this account, and is asked now and then whether it still does. If it stays so, write to its support"
        )),
        Some("parked") => {
            Some(format!("{service} does not accept the key or token. What to do: salebridge doctor --bridge {name}"))
        }
        _ => None,
    };
    [told("amo", "amoCRM"), told("salebot", "Salebot")].into_iter().flatten().collect()
}

/// True for a fault of this service. Salebot's name it, or are of a part that asks Salebot alone: its writes, and the
/// look at its clients.
fn is_of(error: &Value, lane: &str) -> bool {
    let is_salebots = error["reason"].as_str().is_some_and(|reason| reason.contains("Salebot"))
        || error["part"].as_str().is_some_and(|part| [Side::Salebot.name(), CLIENTS].contains(&part));
    is_salebots == (lane == "salebot")
}

/// A clock that is far from amoCRM's, or from Salebot's where that one tells no time. It is the machine's, so it is told once.
fn wrong_clock(bridge: &Value) -> Option<String> {
    let ahead =
        |(lane, service): (&str, &'static str)| Some((bridge["lanes"][lane]["clock_ahead_s"].as_i64()?, service));
    let (ahead_s, service) = [("amo", "amoCRM"), ("salebot", "Salebot")].into_iter().find_map(ahead)?;
    let side = Millis::side_of(ahead_s);
    (ahead_s.saturating_abs() > CLOCK_OFF_MS / 1_000).then(|| {
        format!(
            "This machine's clock is {} {side} {service}'s: times of notes are wrong, and of two edits the older may win. \
             Set it by the network: timedatectl set-ntp true",
            duration(ahead_s.saturating_abs())
        )
    })
}

fn passing(bridge: &Value, is_running: bool) -> Vec<String> {
    let mut found = Vec::new();
    for interval in bridge["unproven"].as_array().into_iter().flatten() {
        let at = |key: &str| interval[key].as_str().unwrap_or("?").to_owned();
        found.push(format!(
            "messages written from {} to {} may be missing; they are found in Salebot's histories {}.",
            at("from"),
            at("to"),
            if is_running { "by themselves" } else { "once the daemon runs" }
        ));
    }
    found.extend(bridge["token"]["note"].as_str().map(|note| format!("the key to amoCRM: {note}")));
    for (lane, service) in [("amo", "amoCRM"), ("salebot", "Salebot")] {
        let errors = bridge["errors"].as_array().into_iter().flatten();
        let waits = errors.filter(|error| is_passing_429(error)).any(|error| is_of(error, lane));
        if waits || bridge["lanes"][lane]["state"] == "paused" {
            found.push(format!("{service} got too many requests; it is asked again in a moment, more slowly."));
        }
    }
    for (cursor, what) in [("contacts", "contacts"), ("leads", "leads")] {
        let age = bridge["cursors"][cursor]["age_s"].as_i64();
        if is_running && age.is_none() && is_under_way(bridge, cursor) {
            found.push(format!(
                "{what} of amoCRM are read for the first time: each that may belong to somebody is asked for in Salebot, \
                 so it takes as long as salebot.requests_per_second allows. What changes meanwhile is not missed."
            ));
        }
        if let Some(age) = age.filter(|age| is_running && *age > LATE_S) {
            found.push(format!("{what} of amoCRM were last read whole {} ago.", duration(age)));
        }
    }
    found
}

/// True while this listing is being read.
pub fn is_under_way(bridge: &Value, cursor: &str) -> bool {
    bridge["under_way"].as_array().into_iter().flatten().any(|pass| pass == cursor)
}

/// A time as people say it: `40 s`, `12 min`, `3 h`, `5 days`.
pub fn duration(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bridge() -> Value {
        json!({
            "name": "shop", "inbox": 0, "outbox": 0, "dead_letters": 0, "frozen": 0, "idle": true,
            "cursors": { "contacts": { "age_s": 4 }, "leads": { "age_s": 9 } },
            "lanes": { "amo": { "state": "open" }, "salebot": { "state": "open" } }, "unproven": [], "errors": [],
        })
    }

    fn judged(change: impl FnOnce(&mut Value)) -> Verdict {
        let mut bridge = bridge();
        change(&mut bridge);
        of(&json!({ "running": true, "bridges": [bridge] }))
    }

    #[test]
    fn a_quiet_bridge_is_well() {
        let verdict = judged(|_| ());
        assert!(verdict.is_well && verdict.notes.is_empty());
        assert_eq!(verdict.headline, "All is well. Both sides are in step, nothing waits.");
        let busy = judged(|bridge| {
            bridge["idle"] = json!(false);
            bridge["outbox"] = json!(12);
        });
        assert_eq!(busy.headline, "All is well. At work: 0 messages to look at, 12 changes to write.");
        let reading = judged(|bridge| bridge["idle"] = json!(false));
        assert_eq!(reading.headline, "All is well. At work: records and dialogues are read.");
    }

    #[test]
    fn each_trouble_says_what_to_do() {
        let cases: [(&str, Value, &str); 4] = [
            ("dead_letters", json!(3), "dead-letters list"),
            ("errors", json!([{ "part": "contacts", "reason": "no connection", "since": 0 }]), "doctor --bridge shop"),
            ("lanes", json!({ "amo": { "state": "blocked" } }), "support"),
            ("lanes", json!({ "salebot": { "state": "parked" } }), "doctor --bridge shop"),
        ];
        for (key, value, remedy) in cases {
            let verdict = judged(|bridge| bridge[key] = value);
            assert!(!verdict.is_well, "{key}");
            assert_eq!(verdict.headline, "One thing needs you:");
            assert!(verdict.troubles[0].starts_with("shop: ") && verdict.troubles[0].contains(remedy), "{verdict:?}");
        }
    }

    #[test]
    fn a_wrong_clock_is_told_once() {
        let off = |ahead_s: i64| {
            let mut bridge = bridge();
            bridge["lanes"]["amo"]["clock_ahead_s"] = json!(ahead_s);
            of(&json!({ "running": true, "bridges": [bridge, bridge] }))
        };
        let (ahead, behind) = (off(7_200), off(-600));
        assert!(
            ahead.troubles[0].contains("2 h ahead of amoCRM") && ahead.troubles[0].contains("timedatectl"),
            "{ahead:?}"
        );
        assert!(behind.troubles[0].contains("10 min behind amoCRM"), "{behind:?}");
        assert_eq!((ahead.troubles.len(), behind.troubles.len()), (1, 1));
        assert!(off(20).is_well && off(-299).is_well);
    }

    #[test]
    fn what_passes_by_itself_is_a_note() {
        let verdict = judged(|bridge| {
            bridge["lanes"]["amo"]["state"] = json!("paused");
            bridge["unproven"] = json!([{ "from": "10:00", "to": "11:00" }]);
            bridge["cursors"]["leads"]["age_s"] = json!(90_000);
        });
        assert!(verdict.is_well);
        assert_eq!(verdict.notes.len(), 3, "{:?}", verdict.notes);
        assert!(verdict.notes[2].contains("25 h ago"));
    }

    #[test]
    fn a_429_is_a_note_until_it_lasts() {
        let throttled = |part: &str, for_s: i64| {
            let reason = "too many requests (throttled)";
            judged(|bridge| bridge["errors"] = json!([{ "part": part, "reason": reason, "since": 0, "for_s": for_s }]))
        };
        for (part, service) in
            [("contacts", "amoCRM"), ("amo", "amoCRM"), ("salebot", "Salebot"), ("clients", "Salebot")]
        {
            let verdict = throttled(part, LASTING_S - 1);
            assert!(verdict.is_well, "{verdict:?}");
            assert_eq!(verdict.notes.len(), 1, "{verdict:?}");
            assert!(
                verdict.notes[0].contains(service) && verdict.notes[0].contains("too many requests"),
                "{verdict:?}"
            );
            assert!(!throttled(part, LASTING_S).is_well, "it lasts");
        }
        let blocked = judged(|bridge| {
            let reason = "blocked for too many requests";
            bridge["errors"] =
                json!([{ "part": "amo", "reason": format!("{reason} (blocked)"), "since": 0, "for_s": 1 }]);
        });
        assert!(!blocked.is_well, "a block is no passing thing");
    }

    #[test]
    fn a_days_budget_that_is_used_up_needs_somebody_and_is_told_once() {
        let error = |part: &str| json!({ "part": part, "reason": "today's request budget for Salebot is used up (throttled)", "for_s": 5 });
        let verdict = judged(|bridge| bridge["errors"] = json!([error("clients"), error("passes"), error("contacts")]));
        assert_eq!((verdict.is_well, verdict.troubles.len(), verdict.notes.len()), (false, 1, 0), "{verdict:?}");
        assert!(verdict.troubles[0].contains("used up: nothing more is asked there until midnight UTC"), "{verdict:?}");
        assert!(verdict.troubles[0].ends_with("raise salebot.daily_budget"), "{verdict:?}");
        let elsewhere = judged(|bridge| {
            let reason = "Salebot find_clients answered 429 (throttled)";
            bridge["errors"] = json!([{ "part": "contacts", "reason": reason, "for_s": 5 }]);
        });
        assert!(elsewhere.notes[0].contains("Salebot got too many requests"), "{elsewhere:?}");
    }

    #[test]
    fn a_bridge_that_the_running_daemon_does_not_know_needs_a_restart() {
        let verdict = judged(|bridge| bridge["is_known"] = json!(false));
        assert!(verdict.troubles[0].contains("systemctl restart salebridge"), "{verdict:?}");
        assert!(judged(|bridge| bridge["is_known"] = json!(true)).is_well);
    }

    #[test]
    fn a_daemon_that_does_not_run_is_the_first_thing_to_mend() {
        let verdict = of(&json!({ "running": false, "bridges": [bridge()] }));
        assert!(verdict.troubles[0].contains("systemctl start salebridge"), "{verdict:?}");
        assert_eq!(verdict.troubles.len(), 1);
        let driven = of(&json!({ "running": false, "driver": "process 7", "bridges": [bridge()] }));
        let told = &driven.troubles[0];
        assert!(told.starts_with("process 7 drives this store and does not answer on http.listen"), "{told}");
        assert!(!told.contains("nothing is received"), "{told}");
    }
}
