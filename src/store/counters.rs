//! What the writer of a database has done since it was opened.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counted by the writer, read by anybody.
#[derive(Debug, Default)]
pub struct WriterCounters {
    /// Transactions that were committed, batches of bodies included.
    pub commits: AtomicU64,
    /// Requests in them; divided by `commits`: requests that shared a sync to disk.
    pub jobs: AtomicU64,
    /// Transactions that failed.
    pub failures: AtomicU64,
    /// Microseconds spent in those that were committed.
    pub commit_us: AtomicU64,
}

/// The same at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// See [`WriterCounters::commits`].
    pub commits: u64,
    /// See [`WriterCounters::jobs`].
    pub jobs: u64,
    /// See [`WriterCounters::failures`].
    pub failures: u64,
    /// See [`WriterCounters::commit_us`].
    pub commit_us: u64,
}

impl WriterCounters {
    /// What was counted so far.
    pub fn read(&self) -> Written {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Written {
            commits: of(&self.commits),
            jobs: of(&self.jobs),
            failures: of(&self.failures),
            commit_us: of(&self.commit_us),
        }
    }

    pub(super) fn committed(&self, jobs: u64, since: std::time::Instant) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.jobs.fetch_add(jobs, Ordering::Relaxed);
        let micros = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.commit_us.fetch_add(micros, Ordering::Relaxed);
    }

    /// When a transaction begins: for the length of it alone, which no decision rests on.
    #[expect(clippy::disallowed_methods, reason = "measures the disk; nothing is decided by it")]
    pub(super) fn begin() -> std::time::Instant {
        std::time::Instant::now()
    }
}
