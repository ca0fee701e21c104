//! Clock, waiting, chance and wake-ups. Every use of them goes through here, so that a simulation
//! can own them.

use crate::core::time::Millis;
use async_trait::async_trait;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

/// Clock, waiting and chance.
#[async_trait]
pub trait Env: Send + Sync {
    /// The wall clock.
    fn now(&self) -> Millis;

    /// Milliseconds since some moment, whatever becomes of the wall clock: how long something took. Where a clock is never
    /// set the wall clock will do.
    fn elapsed_ms(&self) -> i64 {
        self.now().0
    }

    /// Comes back after so many milliseconds; at once for none or fewer.
    async fn sleep(&self, millis: i64);

    /// An even draw from 0 up to, not including, 1.
    fn fraction(&self) -> f64;
}

/// Rings when something may be due earlier than the sleeper believes. A ring that nobody waits for
/// is kept for the next waiter, so none is lost.
#[derive(Debug, Default)]
pub struct Bell(Notify);

impl Bell {
    /// Wakes the sleeper.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    /// Comes back at the next ring, or at once if one was kept.
    pub async fn heard(&self) {
        self.0.notified().await;
    }
}

/// What the door of a bridge tells who drives it.
#[derive(Debug, Default)]
pub struct Arrivals {
    /// Rings when a body was received.
    pub bell: Bell,
    missed: AtomicU64,
    missed_bell: Bell,
}

impl Arrivals {
    /// A body could not be kept, and is not sent again.
    pub fn miss(&self) {
        self.missed.fetch_add(1, Ordering::SeqCst);
        self.missed_bell.ring();
    }

    /// How often that happened.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::SeqCst)
    }

    /// Comes back when it happens again, or at once if it did and nobody heard of it.
    pub async fn another_missed(&self) {
        self.missed_bell.heard().await;
    }
}
