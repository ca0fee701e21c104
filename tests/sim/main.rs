//! Deterministic simulation: one seed makes a world, and the real engine, the real adapters and the
//! real lanes live in it under a clock of our own, in one thread.
//!
//! - [`clock`]: virtual time and the executor.
//! - [`flaky`]: a store whose disk is full now and then.
//! - [`network`]: the adapters' transport straight into the simulated services, faults included.
//! - [`settings`]: how the services behave, what goes wrong, what the bridge is told.
//! - [`world`]: people, managers, webhooks, crashes.
//! - [`checks`]: what must hold once the faults have stopped.

mod checks;
mod clock;
mod flaky;
mod network;
mod settings;
mod world;

use world::{Report, World};

/// Runs one seed and says how to run it again when it fails.
fn run(seed: u64) -> Report {
    let outcome = std::panic::catch_unwind(|| World::new(seed).run());
    match outcome {
        Ok(Ok(report)) => report,
        Ok(Err(violations)) => {
            panic!(
                "seed {seed}:\n  {}\nreplay: SIM_SEED={seed} cargo test --test sim replay -- --nocapture",
                violations.join("\n  ")
            )
        }
        Err(panic) => {
            eprintln!("seed {seed} panicked; replay: SIM_SEED={seed} cargo test --test sim replay -- --nocapture");
            std::panic::resume_unwind(panic)
        }
    }
}

/// Runs many seeds on all cores and returns the sum of what happened.
fn run_all(seeds: std::ops::Range<u64>) -> Report {
    let workers = std::thread::available_parallelism().map_or(2, usize::from) as u64;
    let total = std::sync::Mutex::new(Report::default());
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let (seeds, total) = (seeds.clone(), &total);
            scope.spawn(move || {
                for seed in seeds.filter(|seed| seed % workers == worker) {
                    let report = run(seed);
                    total.lock().unwrap().add(&report);
                }
            });
        }
    });
    total.into_inner().unwrap()
}

#[test]
fn every_seed_keeps_the_promises() {
    let report = run_all(0..120);
    println!("{report}");
    let unseen = report.never_happened();
    assert!(unseen.is_empty(), "these never happened over all seeds, so nothing is known about them: {unseen:?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    assert_eq!(run(3).trace, run(3).trace);
}

/// `SIM_SEED=17 cargo test --test sim replay -- --nocapture` plays one seed and prints what happens.
#[test]
fn replay() {
    let Some(seed) = std::env::var("SIM_SEED").ok().and_then(|seed| seed.parse().ok()) else { return };
    println!("{}", run(seed));
}

/// `cargo test --release --test sim sim_long -- --ignored`
#[test]
#[ignore = "takes minutes; for nights and before releases"]
fn sim_long() {
    println!("{}", run_all(1_000..51_000));
}
