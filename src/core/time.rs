//! Instants as plain numbers, so that both databases and every test agree on them.

use serde::{Deserialize, Serialize};

/// A machine's clock that is further from a service's makes the times of notes wrong, and the older of two edits win.
pub const CLOCK_OFF_MS: i64 = 300_000;

/// Milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub i64);

impl Millis {
    /// From whole Unix seconds, the unit of both services.
    pub const fn from_seconds(seconds: i64) -> Millis {
        Millis(seconds.saturating_mul(1000))
    }

    /// Whole Unix seconds, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Later by so many milliseconds.
    #[must_use]
    pub const fn plus(self, millis: i64) -> Millis {
        Millis(self.0.saturating_add(millis))
    }

    /// Earlier by so many milliseconds.
    #[must_use]
    pub const fn minus(self, millis: i64) -> Millis {
        Millis(self.0.saturating_sub(millis))
    }

    /// True within so many milliseconds of the other, before or after: what was long ago must not look recent for hours because
    /// the clock was set back.
    pub const fn is_near(self, other: Millis, within_ms: i64) -> bool {
        self.since(other).saturating_abs() < within_ms
    }

    /// How far this machine's clock is ahead of a server's, in milliseconds; negative: behind. `server`: what the answer's
    /// `Date` told, whole seconds. `before` and `after`: ours around the request, which need not be quick.
    pub fn ahead_of(server: Millis, before: Millis, after: Millis) -> i64 {
        let behind_ms = server.since(after).max(0);
        let ahead_ms = before.since(server.plus(999)).max(0);
        if behind_ms > 0 { -behind_ms } else { ahead_ms }
    }

    /// The words between two clocks, by [`Millis::ahead_of`] in whatever unit.
    pub const fn side_of(ahead: i64) -> &'static str {
        if ahead < 0 { "behind" } else { "ahead of" }
    }

    /// Milliseconds from `earlier` to this instant; negative when it is later.
    pub const fn since(self, earlier: Millis) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}
