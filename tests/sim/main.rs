//! Deterministic simulation: one seed makes a world, and the real engine, the real adapters and the
//! real lanes live in it under a clock of our own, in one thread.
//!
//! - [`bots`]: bots that call functions.
//! - [`clock`]: virtual time and the executor.
//! - [`crossed`]: worlds in which an answer comes late, and something happens before it does.
//! - [`deeds`]: what people, bots and managers do.
//! - [`entered`]: whether the last word on each value is still there.
//! - [`flaky`]: a store whose disk is full now and then.
//! - [`hooks`]: webhooks on their way.
//! - [`kept`]: the store, of whatever make.
//! - [`network`]: the adapters' transport straight into the simulated services, faults included.
//! - [`points`]: a crash at a chosen call to a port.
//! - [`report`]: what happened, and what must have happened over many seeds.
//! - [`scripts`]: worlds in which one thing happens, in one order.
//! - [`settings`]: how the services behave, what goes wrong, what the bridge is told.
//! - [`tally`]: what the daemon did, read from what it stored and sent.
//! - [`triggers`]: events that start a bot.
//! - [`world`]: a run from its start to its end, crashes included.
//! - [`checks`]: what must hold once the faults have stopped.

mod bots;
mod checks;
mod clock;
mod crossed;
mod deeds;
mod entered;
mod flaky;
mod hooks;
mod kept;
mod network;
mod points;
mod report;
mod scripts;
mod settings;
mod tally;
mod triggers;
mod world;

use kept::Kept;
use report::Report;
use std::collections::BTreeMap;
use std::panic::UnwindSafe;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use world::World;

/// Runs one seed: what happened, or what went wrong.
fn run(seed: u64) -> Result<Report, String> {
    run_in(seed, Kept::in_memory)
}

fn run_in(seed: u64, kept: impl FnOnce() -> Kept + UnwindSafe) -> Result<Report, String> {
    let outcome = std::panic::catch_unwind(|| World::new(seed, kept()).run());
    match outcome {
        Ok(Ok(report)) => Ok(report),
        Ok(Err(violations)) => Err(violations.join("\n  ")),
        Err(_) => Err("it panicked, see above".to_owned()),
    }
}

/// So many failing seeds are enough to look at.
const FAILURES_MAX: usize = 8;

/// Runs many seeds on all cores and returns the sum of what happened.
fn run_all(seeds: std::ops::Range<u64>) -> Report {
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let next = AtomicU64::new(seeds.start);
    let total = Mutex::new((Report::default(), BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || total.lock().unwrap().1.len() >= FAILURES_MAX {
                        return;
                    }
                    let outcome = run(seed);
                    let (report, failures) = &mut *total.lock().unwrap();
                    match outcome {
                        Ok(one) => report.add(&one),
                        Err(failure) => {
                            // Of a run of hours one wants to know at once.
                            println!("seed {seed} fails");
                            failures.insert(seed, failure);
                        }
                    }
                    if (seed - seeds.start + 1).is_multiple_of(PROGRESS_EVERY) {
                        println!("seed {seed} of {} to {}: {} failed", seeds.start, seeds.end - 1, failures.len());
                    }
                }
            });
        }
    });
    let (report, failures) = total.into_inner().unwrap();
    let told: Vec<String> = failures.iter().map(|(seed, failure)| format!("seed {seed}:\n  {failure}")).collect();
    assert!(
        told.is_empty(),
        "{}\nplay one again: SIM_SEED={} cargo test --test sim replay -- --nocapture",
        told.join("\n"),
        failures.keys().next().unwrap_or(&0)
    );
    report
}

/// A run of hours tells how far it is, and whether waiting for its end is of any use.
const PROGRESS_EVERY: u64 = 1_000;

/// Played in every run of the tests.
const DEFAULT_SEEDS: std::ops::Range<u64> = 0..500;

#[test]
#[expect(clippy::disallowed_methods, reason = "how long the simulation takes is told by the clock on the wall")]
fn every_seed_keeps_the_promises() {
    let started_at = Instant::now();
    let report = run_all(DEFAULT_SEEDS);
    println!("{report}{:>9}  seconds of wall time", started_at.elapsed().as_secs());
    let unseen = report.never_happened();
    assert!(unseen.is_empty(), "these never happened over all seeds, so nothing is known about them: {unseen:?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    assert_eq!(run(3).unwrap().trace, run(3).unwrap().trace);
}

/// Polls, and looks at clients that wrote a moment ago, come to sixty; but nobody is read without end.
#[test]
fn people_who_share_a_number_are_at_rest() {
    let requests = World::neighbours();
    assert!(requests <= 120, "{requests} requests in less than three minutes of rest");
}

/// An edit that is dated before our own write is no late listing for ever, also where nothing but polls tells of it.
#[test]
fn an_edit_in_the_second_of_our_own_write_is_carried() {
    assert_eq!(World::renamed_in_the_second_of_a_write("Renamed at once").as_deref(), Some("Renamed at once"));
}

/// A write does not make the rest of its second look like a state that a listing shows late: in a minute a poll has told it.
#[test]
fn an_edit_just_after_our_own_write_comes_with_the_next_poll() {
    let taken = World::renamed_after_a_write_beside_a_remark("Renamed at once");
    assert!(taken < 61_000, "{taken} ms");
}

/// A plan of the first listing that comes too late, as its client wrote meanwhile, does not hide whose number it is.
#[test]
fn nobody_who_writes_during_the_first_listing_is_made_anew() {
    let made: Vec<(i64, usize)> = (0..3_000)
        .step_by(30)
        .map(|after_ms| (after_ms, World::contacts_made_when_written_to(after_ms)))
        .filter(|(_, made)| *made > 0)
        .collect();
    assert!(made.is_empty(), "{made:?}");
}

/// What a listing shows that was asked before we wrote is no edit of a manager's.
#[test]
fn a_listing_from_before_our_write_takes_nothing_back() {
    let (had, at_last) = World::told_beside_a_late_listing();
    assert_eq!((had.into_iter().collect::<Vec<_>>(), at_last.as_str()), (vec!["foreman".to_owned()], "foreman"));
}

/// A start that lies in the future by a clock that was set back does not hide that an attempt was made a moment ago.
#[test]
fn a_newcomer_after_the_clock_was_set_back_is_made_once() {
    assert_eq!(World::newcomer_after_the_clock_was_set_back(), 1);
}

/// Somebody else's contact in the place of one that we wanted to make is met for the first time: what it lacks was not cleared.
#[test]
fn a_contact_that_is_made_by_hand_meanwhile_is_met_and_not_ours() {
    let both = |text: &str| (text.to_owned(), text.to_owned());
    assert_eq!(World::made_by_hand_while_it_is_in_doubt(), [both("foreman"), both("By hand")]);
}

/// One of ours that a listing shows before its answer comes is no stranger's: what was said since is an edit.
#[test]
fn a_contact_that_is_listed_before_it_is_known_to_be_made_is_ours() {
    let both = "foreman".to_owned();
    assert_eq!(World::told_while_its_contact_is_in_doubt(), (both.clone(), both));
}

/// A lead that a bot had made is no news to it, also where a listing shows it before its making is known.
#[test]
fn a_bots_own_lead_that_is_listed_first_starts_no_trigger() {
    assert_eq!(World::told_of_its_own_lead(), 0);
}

/// Which of two names is ours counts also where nobody knows yet whether it was written.
#[test]
fn a_value_in_doubt_is_no_edit_of_a_manager() {
    let names = World::named_again_while_a_name_is_in_doubt("Known first", "Known second");
    assert_eq!(names, ("Known second".to_owned(), "Known second".to_owned()));
}

/// Only our own change is no news.
#[test]
fn an_edit_between_decision_and_write_is_carried() {
    let took_ms = World::renamed_before_a_write("Renamed before");
    assert!(took_ms < 35_000, "{took_ms} ms");
}

/// What was read long ago is read again before it is written over.
#[test]
fn a_number_that_is_added_during_a_long_look_is_kept() {
    let phones = World::phone_added_beside_a_long_look();
    for number in ["+79990000077", "+79990000088"] {
        assert!(phones.iter().any(|phone| phone == number), "{number} is missing in {phones:?}");
    }
}

/// The same of a lead's price.
#[test]
fn a_price_that_is_set_during_a_long_look_is_kept() {
    assert_eq!(World::priced_beside_a_long_look(4_200), (4_200, 4_200.into()));
}

/// A merge takes notes along, and so one that was perhaps written is looked for at the survivor.
#[test]
fn a_note_in_doubt_is_looked_for_after_a_merge() {
    let (on, survivor) = World::merged_while_a_note_is_in_doubt();
    assert_eq!(on, [survivor]);
}

/// Leads are found by the client of their order, whatever became of their contact.
#[test]
fn a_budget_reaches_a_lead_without_a_contact() {
    let took_ms = World::budgeted_without_a_contact(4_200);
    assert!(took_ms < 60_000, "{took_ms} ms");
}

/// Of two contacts that were perhaps made, each is somebody else's.
#[test]
fn namesakes_whose_contacts_are_in_doubt_get_one_each() {
    let ([one, other], made) = World::namesakes_whose_contacts_are_in_doubt();
    assert_ne!(one, other);
    assert_eq!(made, 2);
}

/// An old note of the same words is another one.
#[test]
fn a_note_is_not_taken_for_an_old_one_of_the_same_words() {
    assert_eq!(World::said_again_and_lost(), 2);
}

/// Nobody waits for the next look by the schedule.
#[test]
fn a_message_that_was_turned_away_is_found_at_once() {
    assert_eq!(World::turned_away(), 1);
}

/// Where the lead is gone a note goes to the contact, as it would have without one.
#[test]
fn a_note_for_a_lead_that_is_gone_goes_to_the_contact() {
    let (on, contact) = World::noted_on_a_lead_that_is_gone();
    assert_eq!(on, [contact]);
}

/// Each contact is made once, however many wait to be made.
#[test]
fn a_thousand_newcomers_while_amo_is_away_get_one_contact_each() {
    assert_eq!(World::newcomers_while_amo_is_away(1_010), 1_010);
}

/// What proved whose client it is tells what it has as well.
#[test]
fn who_is_found_is_read_once() {
    assert_eq!(World::reads_of_a_first_listing(), 2);
}

/// The next night would be late: until then nobody would know what is gone.
#[test]
fn a_sweep_that_failed_is_tried_again_within_minutes() {
    assert_eq!(World::sweeps_after_a_refusal(), (false, true));
}

/// What an import decided waits for the lane, and nobody waits behind it: two polls, as amoCRM shows the edit late, and a few
/// requests.
#[test]
fn nobody_waits_behind_a_long_queue() {
    let (took_ms, called) = World::renamed_beside_a_long_queue("Renamed meanwhile");
    assert!(took_ms < 20_000, "{took_ms} ms");
    assert!(called < 100, "{called} of four hundred were called before");
}

/// Nor behind the people whom an import has linked, and who are to be looked at.
#[test]
fn nobody_waits_behind_an_import() {
    let took_ms = World::said_beside_an_import("foreman");
    assert!(took_ms < 10_000, "{took_ms} ms");
}

/// Its client has a contact again without a word from the person, and the call is about that one.
#[test]
fn a_call_that_finds_a_contact_gone_goes_to_the_next_one() {
    let (named, noted, deleted) = World::called_after_a_deletion();
    assert!(named.as_ref().is_some_and(|named| *named != deleted.to_string()), "{named:?} after {deleted}");
    assert_eq!(noted.iter().map(u64::to_string).collect::<Vec<_>>(), named.into_iter().collect::<Vec<_>>());
}

/// Nothing that waits does so until the clock has caught up.
#[test]
fn what_was_said_before_the_clock_was_set_back_is_noted_soon() {
    for crashes in [false, true] {
        assert_eq!(World::said_before_the_clock_was_set_back(crashes), [1, 1], "crashes: {crashes}");
    }
}

/// Which of the two was first, the call or the contact, their times do not tell then.
#[test]
fn a_call_on_a_contact_that_is_made_again_is_not_carried_out_twice() {
    assert_eq!(World::called_on_a_contact_that_is_made_again(), 1);
}

/// Polls come to a dozen; nothing is asked twice a second until the clock has caught up.
#[test]
fn a_call_from_before_the_clock_was_set_back_is_no_storm() {
    let requests = World::called_before_the_clock_was_set_back();
    assert!(requests <= 40, "{requests} requests in a minute");
}

/// Some looks at its neighbour, who wrote a moment ago, and at the newest clients; nothing is tried without end.
#[test]
fn a_client_that_salebot_does_not_know_any_more_is_left_alone() {
    let requests = World::deleted_in_salebot();
    assert!(requests <= 40, "{requests} requests in less than three minutes");
}

/// `SIM_SEED=17 cargo test --test sim replay -- --nocapture` plays one seed and prints what happens.
#[test]
fn replay() {
    let Some(seed) = std::env::var("SIM_SEED").ok().and_then(|seed| seed.parse().ok()) else { return };
    match run(seed) {
        Ok(report) => {
            if std::env::var("SIM_TRACE").is_ok() {
                report.trace.iter().for_each(|line| println!("{line}"));
            }
            println!("{report}");
        }
        Err(failure) => panic!("seed {seed}:\n  {failure}"),
    }
}

/// `SIM_SEEDS=1000..1200 cargo test --test sim range` plays others than usual.
#[test]
fn range() {
    let Some(seeds) = asked_seeds() else { return };
    println!("{}", run_all(seeds));
}

fn asked_seeds() -> Option<std::ops::Range<u64>> {
    let seeds = std::env::var("SIM_SEEDS").ok()?;
    let (from, to) = seeds.split_once("..").expect("SIM_SEEDS=from..to");
    Some(from.parse().unwrap()..to.parse().unwrap())
}

/// Plays worlds over a database and over memory: every request is the same one at the same time.
fn same_as_in_memory(seeds: std::ops::Range<u64>, kept: fn() -> Option<Kept>) {
    let _databases_work_here = kept::runtime().enter();
    for seed in seeds {
        let Some(kept) = kept() else { return };
        let kept = std::panic::AssertUnwindSafe(kept);
        let found = run_in(seed, move || { kept }.0).unwrap_or_else(|why| panic!("seed {seed}:\n  {why}")).trace;
        let expected = run(seed).unwrap_or_else(|why| panic!("seed {seed}:\n  {why}")).trace;
        let at = found.iter().zip(&expected).position(|(found, expected)| found != expected);
        if let Some(at) = at {
            panic!("seed {seed} goes another way:\n  {}\nand in memory:\n  {}", found[at], expected[at]);
        }
        assert_eq!(found.len(), expected.len(), "seed {seed} ends sooner or later");
    }
}

/// Seeds that are played over each kind of database in every run of the tests.
const DATABASE_SEEDS: std::ops::Range<u64> = 0..2;

#[test]
fn sqlite_gives_the_same_run_as_memory() {
    same_as_in_memory(DATABASE_SEEDS, || Some(Kept::in_sqlite()));
}

#[test]
fn postgresql_gives_the_same_run_as_memory() {
    same_as_in_memory(DATABASE_SEEDS, Kept::in_postgres);
}

/// `cargo test --test sim databases_long -- --ignored`; `SIM_SEEDS` chooses others.
#[test]
#[ignore = "takes minutes; for nights and before releases"]
fn databases_long() {
    let seeds = asked_seeds().unwrap_or(100..300);
    same_as_in_memory(seeds.clone(), || Some(Kept::in_sqlite()));
    same_as_in_memory(seeds, Kept::in_postgres);
}

/// Plays the scenario with a crash at each of these calls, on all cores.
fn crash_at_all(points: &[u64]) {
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let next = AtomicU64::new(0);
    let failures = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    if failures.lock().unwrap().len() >= FAILURES_MAX {
                        return;
                    }
                    if let Err(failure) = crash_at(*point) {
                        failures.lock().unwrap().insert(*point, failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    let told: Vec<String> = failures.iter().map(|(point, why)| format!("crash at call {point}:\n  {why}")).collect();
    assert!(told.is_empty(), "{}\nplay one again: SIM_POINT=N cargo test --test sim crash", told.join("\n"));
}

fn crash_at(point: u64) -> Result<Report, String> {
    let outcome = std::panic::catch_unwind(|| World::scenario(point).run());
    outcome.map_or_else(|_| Err("it panicked, see above".to_owned()), |it| it.map_err(|why| why.join("\n  ")))
}

/// How many calls the scenario makes when nothing goes wrong.
fn calls_of_scenario() -> u64 {
    crash_at(0).expect("the scenario without a crash").counted("calls to ports")
}

/// Of so many calls one is tried in every run of the tests; `crash_long` tries all.
const STRIDE: u64 = 101;

/// `SIM_POINT=17` tries that call, printing what happens.
#[test]
fn a_crash_at_any_call_breaks_no_promise() {
    if let Some(point) = std::env::var("SIM_POINT").ok().and_then(|point| point.parse().ok()) {
        println!("{}", crash_at(point).unwrap_or_else(|why| panic!("crash at call {point}:\n  {why}")));
        return;
    }
    let calls = calls_of_scenario();
    let points: Vec<u64> = (1..=calls).filter(|point| point.is_multiple_of(STRIDE)).collect();
    println!("{calls} calls to ports; crashes at {} of them, every {STRIDE}th", points.len());
    crash_at_all(&points);
}

/// `cargo test --release --test sim crash_long -- --ignored`
#[test]
#[ignore = "takes minutes; for nights and before releases"]
fn crash_long() {
    let calls = calls_of_scenario();
    println!("{calls} calls to ports; a crash at each of them");
    crash_at_all(&(1..=calls).collect::<Vec<_>>());
}

/// `cargo test --release --test sim sim_long -- --ignored`
#[test]
#[ignore = "takes minutes; for nights and before releases"]
fn sim_long() {
    println!("{}", run_all(1_000..51_000));
}
