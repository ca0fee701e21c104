//! Schedules: cron lines with seconds, in UTC.

use super::time::Millis;
use chrono::{DateTime, Utc};
use cron::Schedule;
use std::str::FromStr;

/// The first time of a schedule after an instant; none when it never comes again. The line was
/// checked with the configuration, so one that does not parse never comes either.
pub fn next(line: &str, after: Millis) -> Option<Millis> {
    let schedule = Schedule::from_str(line).ok()?;
    let after: DateTime<Utc> = DateTime::from_timestamp_millis(after.0)?;
    schedule.after(&after).next().map(|at| Millis(at.timestamp_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_time_is_strictly_later() {
        let at = Millis(1_700_000_000_000);
        assert_eq!(next("*/10 * * * * *", at), Some(Millis(1_700_000_010_000)));
        assert_eq!(next("0 30 3 * * *", at), Some(Millis(1_700_019_000_000)));
        assert_eq!(next("not cron", at), None);
    }
}
