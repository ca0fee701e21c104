//! Virtual time, and an executor that jumps to the next moment at which anything happens.

use async_trait::async_trait;
use salebridge::core::time::Millis;
use salebridge::ports::env::Env;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};

/// A small generator (splitmix64): the same seed draws the same numbers on every machine.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn seeded(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to, not including, `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub fn between(&mut self, from: i64, to: i64) -> i64 {
        from + self.below((to - from) as u64) as i64
    }

    /// True in `share` of a hundred draws.
    pub fn chance(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }
}

struct State {
    now: i64,
    /// How far our own clock is ahead of the world's.
    ahead: i64,
    is_halted: bool,
    timers: BTreeMap<(i64, u64), Waker>,
    next_timer: u64,
    random: Random,
}

/// The engine's world clock: time stands still while anything can run.
pub struct SimEnv(Mutex<State>);

impl SimEnv {
    pub fn new(now: i64, seed: u64) -> Arc<SimEnv> {
        let state = State {
            now,
            ahead: 0,
            is_halted: false,
            timers: BTreeMap::new(),
            next_timer: 0,
            random: Random::seeded(seed),
        };
        Arc::new(SimEnv(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub fn now_ms(&self) -> i64 {
        self.state().now
    }

    /// What our own clock shows.
    pub fn our_now_ms(&self) -> i64 {
        let state = self.state();
        state.now + state.ahead
    }

    /// Somebody sets our clock; the services keep theirs, and who sleeps goes on sleeping.
    pub fn jump(&self, by_ms: i64) {
        self.state().ahead += by_ms;
    }

    /// Stops the run where it is, for a crash.
    pub fn halt(&self) {
        self.state().is_halted = true;
    }

    /// Goes on after a halt; true if there was one.
    pub fn resume(&self) -> bool {
        std::mem::take(&mut self.state().is_halted)
    }

    /// Polls the future until `until`, jumping over the times in which nothing happens.
    pub fn run_until<F: Future + ?Sized>(&self, future: &mut Pin<Box<F>>, until: i64) -> Option<F::Output> {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&flag));
        let mut context = Context::from_waker(&waker);
        loop {
            while flag.0.swap(false, Ordering::SeqCst) {
                if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                    return Some(output);
                }
                if self.state().is_halted {
                    return None;
                }
            }
            if !self.advance(until) {
                return None;
            }
        }
    }

    /// Goes on to the next timer; false when there is none before `until`, which is then now.
    fn advance(&self, until: i64) -> bool {
        let mut state = self.state();
        let Some((&(due, id), _)) = state.timers.first_key_value().filter(|((due, _), _)| *due <= until) else {
            state.now = state.now.max(until);
            return false;
        };
        state.now = state.now.max(due);
        let waker = state.timers.remove(&(due, id));
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct Sleep<'a> {
    env: &'a SimEnv,
    due: i64,
    timer: Option<u64>,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.env.state();
        if state.now >= self.due {
            return Poll::Ready(());
        }
        let id = self.timer.unwrap_or_else(|| {
            state.next_timer += 1;
            state.next_timer
        });
        state.timers.insert((self.due, id), context.waker().clone());
        drop(state);
        self.timer = Some(id);
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.timer {
            self.env.state().timers.remove(&(self.due, id));
        }
    }
}

#[async_trait]
impl Env for SimEnv {
    fn now(&self) -> Millis {
        Millis(self.our_now_ms())
    }

    fn elapsed_ms(&self) -> i64 {
        self.now_ms()
    }

    async fn sleep(&self, millis: i64) {
        let due = self.now_ms() + millis.max(0);
        Sleep { env: self, due, timer: None }.await;
    }

    fn fraction(&self) -> f64 {
        self.state().random.below(1 << 20) as f64 / (1 << 20) as f64
    }
}
