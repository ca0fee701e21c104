//! A lane under a clock that only the test moves, on an executor that polls a task only when it
//! was woken: a lost wake-up shows as a task that never ends.

use super::state::DAY_MS;
use super::*;
use crate::core::fault::FaultKind;
use async_trait::async_trait;
use proptest::prelude::*;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

const START_MS: i64 = 1_700_000_000_000;

#[derive(Default)]
struct ManualClock {
    now_ms: AtomicI64,
    sleepers: Mutex<Vec<(i64, Waker)>>,
}

#[async_trait]
impl Env for ManualClock {
    fn now(&self) -> Millis {
        Millis(self.now_ms.load(Ordering::SeqCst))
    }

    async fn sleep(&self, millis: i64) {
        let until_ms = self.now().0 + millis;
        std::future::poll_fn(|context| {
            if self.now().0 >= until_ms {
                return Poll::Ready(());
            }
            self.sleepers.lock().unwrap().push((until_ms, context.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    fn fraction(&self) -> f64 {
        0.5
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

type Task = (Arc<Woken>, Pin<Box<dyn Future<Output = ()>>>);

struct World {
    clock: Arc<ManualClock>,
    lane: Rc<Lane>,
    tasks: Vec<Option<Task>>,
}

impl World {
    fn new(options: LaneOptions) -> World {
        let clock = Arc::new(ManualClock { now_ms: AtomicI64::new(START_MS), sleepers: Mutex::default() });
        World { lane: Rc::new(Lane::new(options, clock.clone())), clock, tasks: Vec::new() }
    }

    fn at_rate(per_second: f64) -> World {
        World::new(LaneOptions::new("amoCRM", per_second))
    }

    fn spawn(&mut self, task: impl Future<Output = ()> + 'static) -> usize {
        self.tasks.push(Some((Arc::new(Woken(AtomicBool::new(true))), Box::pin(task))));
        self.tasks.len() - 1
    }

    /// A task that takes a permit, notes when and who, and says how it went.
    fn request(&mut self, name: u32, priority: Priority, outcome: Outcome, log: &Log) -> usize {
        let (lane, clock, log) = (self.lane.clone(), self.clock.clone(), log.clone());
        self.spawn(async move {
            let result = lane.permit(priority, Cost::Counted).await;
            let kind = result.as_ref().err().map(|fault| fault.kind);
            log.borrow_mut().push((name, clock.now().0 - START_MS, kind));
            if let Ok(permit) = result {
                permit.answered(outcome);
            }
        })
    }

    /// Polls whatever was woken until nothing more happens at this instant.
    fn settle(&mut self) {
        while let Some(place) = self.tasks.iter().position(is_woken) {
            let (woken, task) = self.tasks[place].as_mut().unwrap();
            woken.0.store(false, Ordering::SeqCst);
            let waker = Waker::from(woken.clone());
            if task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                self.tasks[place] = None;
            }
        }
    }

    /// Lets time pass, from sleeper to sleeper.
    fn run_until(&mut self, offset_ms: i64) {
        loop {
            self.settle();
            let mut sleepers = self.clock.sleepers.lock().unwrap();
            let next = sleepers.iter().map(|(at, _)| *at).min().filter(|at| *at <= START_MS + offset_ms);
            let now_ms = next.unwrap_or(START_MS + offset_ms).max(self.clock.now().0);
            self.clock.now_ms.store(now_ms, Ordering::SeqCst);
            if next.is_none() {
                return;
            }
            sleepers.retain(|(at, waker)| {
                if *at <= now_ms {
                    waker.wake_by_ref();
                }
                *at > now_ms
            });
        }
    }

    /// Polls one task after the other, and so much time passes after each.
    fn run_busily(&mut self, poll_ms: i64) {
        let mut now_ms = self.clock.now().0;
        loop {
            let woken = self.tasks.iter().position(is_woken);
            if let Some(place) = woken {
                let (woken, task) = self.tasks[place].as_mut().unwrap();
                woken.0.store(false, Ordering::SeqCst);
                let waker = Waker::from(woken.clone());
                if task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                    self.tasks[place] = None;
                }
            }
            let mut sleepers = self.clock.sleepers.lock().unwrap();
            if woken.is_none() && sleepers.is_empty() {
                return;
            }
            now_ms += poll_ms;
            self.clock.now_ms.store(now_ms, Ordering::SeqCst);
            sleepers.retain(|(at, waker)| {
                if *at <= now_ms {
                    waker.wake_by_ref();
                }
                *at > now_ms
            });
        }
    }

    fn unfinished(&self) -> usize {
        self.tasks.iter().flatten().count()
    }
}

fn is_woken(task: &Option<Task>) -> bool {
    task.as_ref().is_some_and(|(woken, _)| woken.0.load(Ordering::SeqCst))
}

type Log = Rc<RefCell<Vec<(u32, i64, Option<FaultKind>)>>>;

fn names(log: &Log) -> Vec<u32> {
    log.borrow().iter().map(|(name, ..)| *name).collect()
}

fn times(log: &Log) -> Vec<i64> {
    log.borrow().iter().filter(|(.., kind)| kind.is_none()).map(|(_, at, _)| *at).collect()
}

fn priority() -> impl Strategy<Value = Priority> {
    prop::sample::select(Priority::ALL.to_vec())
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        12 => Just(Outcome::Accepted),
        1 => Just(Outcome::Unclear),
        1 => prop::option::of(0..20_000i64).prop_map(|after_ms| Outcome::Throttled { after_ms }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Whatever comes when, and whatever the answers are: no second holds more than the rate, and
    /// everybody gets through.
    #[test]
    fn no_second_holds_more_than_the_rate(
        rate in 0.7f64..25.0,
        requests in prop::collection::vec((0i64..4_000, priority(), outcome(), any::<bool>()), 1..80),
    ) {
        let mut world = World::at_rate(rate);
        let log = Log::default();
        let mut requests = requests;
        requests.sort_by_key(|(at, ..)| *at);
        let mut given_up = 0;
        for (name, (at, priority, outcome, gives_up)) in requests.iter().enumerate() {
            world.run_until(*at);
            let task = world.request(name as u32, *priority, *outcome, &log);
            // Every seventh gives up after it was queued: its place must not be lost to others.
            if *gives_up && name % 7 == 0 {
                world.settle();
                given_up += usize::from(world.tasks[task].take().is_some());
            }
        }
        world.run_until(40 * 60_000);
        prop_assert_eq!(world.unfinished(), 0);
        let times = times(&log);
        prop_assert_eq!(times.len() + given_up, requests.len());
        for (place, begin) in times.iter().enumerate() {
            let within = times[place..].iter().take_while(|at| **at < begin + 1000).count();
            prop_assert!(within as f64 <= rate.ceil(), "{} requests in a second at {}", within, rate);
        }
    }
}

#[test]
fn a_full_queue_is_served_at_the_whole_rate() {
    let mut world = World::at_rate(6.0);
    let log = Log::default();
    for name in 0..600 {
        world.request(name, Priority::Background, Outcome::Accepted, &log);
    }
    world.run_until(101_000);
    assert_eq!(world.unfinished(), 0);
    assert_eq!(names(&log), (0..600).collect::<Vec<_>>());
}

#[test]
fn the_higher_priority_goes_first_and_each_is_a_queue() {
    let mut world = World::at_rate(1.0);
    let log = Log::default();
    world.request(0, Priority::Background, Outcome::Accepted, &log);
    world.settle();
    for (name, priority) in [
        (30, Priority::Background),
        (20, Priority::Poll),
        (10, Priority::Person),
        (31, Priority::Background),
        (21, Priority::Poll),
        (11, Priority::Person),
    ] {
        world.request(name, priority, Outcome::Accepted, &log);
    }
    world.settle();
    assert_eq!(world.lane.report().waiting, [2, 2, 2]);
    world.run_until(10_000);
    assert_eq!(names(&log), [0, 10, 11, 20, 21, 30, 31]);
}

#[test]
fn a_flood_of_people_leaves_one_in_twenty_to_each_that_waits_below() {
    let mut world = World::at_rate(10.0);
    let log = Log::default();
    for name in 0..400 {
        world.request(name, Priority::Person, Outcome::Accepted, &log);
    }
    for name in 0..5 {
        world.request(1000 + name, Priority::Poll, Outcome::Accepted, &log);
        world.request(2000 + name, Priority::Background, Outcome::Accepted, &log);
    }
    world.run_until(60_000);
    let names = names(&log);
    let places = |from: u32| -> Vec<usize> {
        (from..from + 5).map(|name| names.iter().position(|known| *known == name).unwrap()).collect()
    };
    // The very first left before anybody below waited.
    assert_eq!(places(1000), [20, 40, 60, 80, 100]);
    assert_eq!(places(2000), [21, 41, 61, 81, 101]);
}

#[test]
fn a_429_pauses_the_lane_and_halves_the_rate() {
    let mut world = World::at_rate(10.0);
    let log = Log::default();
    world.request(0, Priority::Poll, Outcome::Throttled { after_ms: Some(7_000) }, &log);
    for name in 1..4 {
        world.request(name, Priority::Person, Outcome::Accepted, &log);
    }
    world.settle();
    world.run_until(1_000);
    assert_eq!(times(&log), [0]);
    let report = world.lane.report();
    assert_eq!((report.state, report.throttled, report.requests_per_second), (LaneState::Paused, 1, 5.0));
    assert_eq!(report.until, Some(Millis(START_MS + 7_000)));
    world.run_until(6_999);
    assert_eq!(times(&log).len(), 1);
    world.run_until(16_999);
    assert_eq!(times(&log)[1..], [7_000, 7_200, 7_400]);
    assert_eq!(world.lane.report().requests_per_second, 5.0);
    // Ten seconds after the pause it wins the first step back.
    world.run_until(17_000);
    assert_eq!(world.lane.report().requests_per_second, 6.0);
}

#[test]
fn pauses_double_while_the_answers_stay_429_and_are_capped() {
    let mut world = World::at_rate(1_000.0);
    let log = Log::default();
    for name in 0..4 {
        world.request(name, Priority::Poll, Outcome::Throttled { after_ms: None }, &log);
    }
    world.run_until(60_000);
    let times = times(&log);
    let pauses: Vec<i64> = times.windows(2).map(|pair| (pair[1] - pair[0]) / 1000).collect();
    assert_eq!(pauses, [1, 2, 4]);
    world.request(9, Priority::Poll, Outcome::Throttled { after_ms: Some(i64::MAX) }, &log);
    world.run_until(70_000);
    assert!(world.lane.report().until.unwrap() <= Millis(START_MS + 70_000 + 300_000));
}

#[test]
fn a_pause_set_from_outside_only_extends() {
    let mut world = World::at_rate(10.0);
    let log = Log::default();
    world.lane.pause_until(Millis(START_MS + 5_000));
    world.lane.pause_until(Millis(START_MS + 2_000));
    world.request(0, Priority::Person, Outcome::Accepted, &log);
    world.run_until(10_000);
    assert_eq!(times(&log), [5_000]);
}

#[test]
fn a_block_stops_everything_but_rare_probes() {
    let mut world = World::at_rate(10.0);
    let log = Log::default();
    for name in 0..3 {
        world.request(name, Priority::Person, Outcome::Blocked, &log);
    }
    world.settle();
    world.run_until(1_000);
    // The first met the block; those that waited behind it were told at once.
    assert_eq!(*log.borrow(), [(0, 0, None), (1, 0, Some(FaultKind::Blocked)), (2, 0, Some(FaultKind::Blocked))]);
    // Somebody asks every second for a quarter of an hour: only probes leave.
    for second in 1..=900 {
        world.run_until(second * 1_000);
        world.request(100, Priority::Poll, Outcome::Blocked, &log);
    }
    world.settle();
    assert_eq!(times(&log), [0, 60_000, 180_000, 420_000, 900_000]);
    assert_eq!(world.lane.report().state, LaneState::Blocked);
    world.run_until(1_900_000);
    world.request(200, Priority::Poll, Outcome::Accepted, &log);
    world.request(201, Priority::Poll, Outcome::Accepted, &log);
    world.run_until(1_901_000);
    assert_eq!(world.lane.report().state, LaneState::Open);
    // The one behind the probe was refused; the next goes through.
    world.request(202, Priority::Poll, Outcome::Accepted, &log);
    world.run_until(1_902_000);
    let log = log.borrow();
    let tail: Vec<_> = log[log.len() - 3..].iter().map(|(name, _, kind)| (*name, *kind)).collect();
    assert!(tail.contains(&(200, None)) && tail.contains(&(202, None)), "{tail:?}");
}

#[test]
fn an_old_answer_does_not_open_a_closed_lane() {
    let mut world = World::at_rate(10.0);
    let lane = world.lane.clone();
    let held = Rc::new(RefCell::new(Vec::new()));
    for _ in 0..2 {
        let (lane, held) = (lane.clone(), held.clone());
        world.spawn(async move {
            let permit = lane.permit(Priority::Poll, Cost::Counted).await.unwrap();
            held.borrow_mut().push(permit.number);
            std::mem::forget(permit);
        });
    }
    world.run_until(1_000);
    let held = held.borrow();
    lane.answered(held[1], Outcome::Auth);
    lane.answered(held[0], Outcome::Accepted);
    assert_eq!(lane.report().state, LaneState::Parked);
}

#[test]
fn a_dropped_probe_makes_room_for_the_next() {
    let mut world = World::at_rate(10.0);
    let log = Log::default();
    world.request(0, Priority::Poll, Outcome::Auth, &log);
    world.run_until(60_000);
    world.request(1, Priority::Poll, Outcome::Unclear, &log);
    world.run_until(60_500);
    world.request(2, Priority::Poll, Outcome::Accepted, &log);
    world.run_until(120_000);
    world.request(3, Priority::Poll, Outcome::Accepted, &log);
    world.run_until(121_000);
    assert_eq!(times(&log), [0, 60_000, 120_000]);
    assert_eq!(log.borrow()[2], (2, 60_500, Some(FaultKind::Auth)));
    assert_eq!(world.lane.report().state, LaneState::Open);
}

#[test]
fn whoever_gives_up_leaves_the_others_running() {
    let mut world = World::at_rate(1.0);
    let log = Log::default();
    world.request(0, Priority::Poll, Outcome::Accepted, &log);
    let watcher = world.request(1, Priority::Poll, Outcome::Accepted, &log);
    let second = world.request(2, Priority::Poll, Outcome::Accepted, &log);
    world.request(3, Priority::Poll, Outcome::Accepted, &log);
    world.settle();
    world.tasks[watcher] = None;
    world.settle();
    world.tasks[second] = None;
    world.run_until(10_000);
    assert_eq!(names(&log), [0, 3]);
    assert_eq!(times(&log), [0, 1_000]);
    assert_eq!(world.lane.report().waiting, [0, 0, 0]);
}

/// Whoever is to watch the clock next may be due by the time it is polled: then the one behind it watches.
#[test]
fn a_busy_machine_leaves_nobody_waiting() {
    let mut world = World::at_rate(100.0);
    let log = Log::default();
    for name in 0..20 {
        world.request(name, Priority::Background, Outcome::Accepted, &log);
    }
    world.settle();
    assert_eq!(world.unfinished(), 19);
    world.run_busily(15);
    assert_eq!(world.unfinished(), 0, "served: {:?}", names(&log));
}

#[test]
fn a_permit_granted_to_one_that_has_gone_costs_a_moment_and_no_budget() {
    let mut options = LaneOptions::new("amoCRM", 1.0);
    options.daily_budget = Some(3);
    let mut world = World::new(options);
    let log = Log::default();
    world.request(0, Priority::Poll, Outcome::Accepted, &log);
    world.settle();
    let gone = world.request(1, Priority::Person, Outcome::Accepted, &log);
    world.settle();
    // Its turn comes by another's step, and it is dropped before it looks.
    world.clock.now_ms.store(START_MS + 1_000, Ordering::SeqCst);
    world.request(2, Priority::Poll, Outcome::Accepted, &log);
    let (woken, task) = world.tasks[2].as_mut().unwrap();
    assert!(task.as_mut().poll(&mut Context::from_waker(&Waker::from(woken.clone()))).is_pending());
    world.tasks[gone] = None;
    world.run_until(5_000);
    assert_eq!(times(&log), [0, 2_000]);
    assert_eq!(world.lane.report().budget_left, Some(1));
}

#[test]
fn the_budget_ends_with_the_utc_day_and_spares_what_is_free() {
    let mut options = LaneOptions::new("Salebot", 10.0);
    options.daily_budget = Some(2);
    let mut world = World::new(options);
    let log = Log::default();
    for name in 0..3 {
        world.request(name, Priority::Poll, Outcome::Accepted, &log);
    }
    world.run_until(1_000);
    let until_midnight = DAY_MS - (START_MS + 200).rem_euclid(DAY_MS);
    let Some(FaultKind::Throttled { after_ms: Some(after_ms) }) = log.borrow()[2].2 else { panic!("not refused") };
    assert!((until_midnight..=until_midnight + 200).contains(&after_ms));
    let (lane, clock) = (world.lane.clone(), world.clock.clone());
    let free = log.clone();
    world.spawn(async move {
        let permit = lane.permit(Priority::Poll, Cost::Free).await.unwrap();
        free.borrow_mut().push((9, clock.now().0 - START_MS, None));
        permit.answered(Outcome::Accepted);
    });
    world.run_until(until_midnight + 1_000);
    world.request(4, Priority::Poll, Outcome::Accepted, &log);
    world.run_until(until_midnight + 2_000);
    assert_eq!(names(&log), [0, 1, 2, 9, 4]);
    assert_eq!(world.lane.report().budget_left, Some(1));
}

#[test]
fn the_queue_is_bounded() {
    let mut options = LaneOptions::new("amoCRM", 1.0);
    options.queue_max = 2;
    let mut world = World::new(options);
    let log = Log::default();
    for name in 0..4 {
        world.request(name, Priority::Poll, Outcome::Accepted, &log);
    }
    world.settle();
    let refused: Vec<_> = log.borrow().iter().filter(|(.., kind)| kind.is_some()).map(|(name, ..)| *name).collect();
    assert_eq!(refused, [3]);
    world.run_until(10_000);
    assert_eq!(times(&log), [0, 1_000, 2_000]);
}

#[test]
fn a_clock_set_back_does_not_stop_the_lane() {
    let mut world = World::at_rate(1.0);
    let log = Log::default();
    world.request(0, Priority::Poll, Outcome::Accepted, &log);
    world.run_until(500);
    world.clock.now_ms.store(START_MS - 3_600_000, Ordering::SeqCst);
    world.request(1, Priority::Poll, Outcome::Accepted, &log);
    world.run_until(-3_600_000 + 2_000);
    assert_eq!(world.unfinished(), 0);
}

#[test]
fn nobody_waits_for_a_lane_that_stops() {
    let stop = CancellationToken::new();
    let mut world = World::new(LaneOptions { stop: stop.clone(), ..LaneOptions::new("amoCRM", 1.0) });
    let log = Log::default();
    for name in 0..5 {
        world.request(name, Priority::Person, Outcome::Accepted, &log);
    }
    world.run_until(1_500);
    stop.cancel();
    world.request(5, Priority::Person, Outcome::Accepted, &log);
    world.run_until(1_600);
    let told: BTreeMap<_, _> = log.borrow().iter().map(|(name, _, kind)| (*name, *kind)).collect();
    let interrupted = (2..=5).map(|name| (name, Some(FaultKind::Interrupted)));
    assert_eq!(told, [(0, None), (1, None)].into_iter().chain(interrupted).collect());
    assert_eq!((world.unfinished(), world.lane.report().waiting), (0, [0; 3]));
}

#[test]
fn a_lane_that_follows_another_keeps_its_distance() {
    let mut world = World::new(LaneOptions { follows_another: true, ..LaneOptions::new("amoCRM", 5.0) });
    let log = Log::default();
    world.request(0, Priority::Person, Outcome::Accepted, &log);
    world.request(1, Priority::Person, Outcome::Accepted, &log);
    world.run_until(1_000);
    assert_eq!(times(&log), [200, 400]);
}
