//! Clock, waiting, chance and wake-ups. Every use of them goes through here, so that a simulation
//! can own them.

use crate::core::time::Millis;
use async_trait::async_trait;
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
