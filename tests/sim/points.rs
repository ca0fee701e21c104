//! Every call of the daemon to a port, counted, and a crash at a chosen one.

use crate::clock::SimEnv;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts calls; at one of them the daemon stops for ever, as a process does that is killed there.
pub struct Points {
    env: Arc<SimEnv>,
    count: AtomicU64,
    crash_at: AtomicU64,
}

impl Points {
    pub fn new(env: Arc<SimEnv>) -> Arc<Points> {
        Arc::new(Points { env, count: AtomicU64::new(0), crash_at: AtomicU64::new(0) })
    }

    /// The daemon dies at the call of this number; the first one is 1.
    pub fn crash_at(&self, number: u64) {
        self.crash_at.store(number, Ordering::Relaxed);
    }

    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// A call begins, or has had its effect.
    pub async fn pass(&self) {
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        if number == self.crash_at.load(Ordering::Relaxed) {
            self.env.halt();
            std::future::pending::<()>().await;
        }
    }
}
