//! Checks numbers and durations against their bounds, which every message names.

use super::Checker;
use crate::config::report::At;
use jiff::SignedDuration;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

impl Checker<'_> {
    /// A whole number within bounds.
    pub(super) fn whole(&mut self, number: &At<i64>, bounds: RangeInclusive<i64>) -> Option<u64> {
        let fits = bounds.contains(&number.value);
        if !fits {
            self.out_of_bounds(number, bounds.start(), bounds.end(), "");
        }
        u64::try_from(number.value).ok().filter(|_| fits)
    }

    /// An id of a record: any whole number from 1.
    pub(super) fn id(&mut self, number: &At<i64>) -> Option<u64> {
        if number.value < 1 {
            self.report.fault(&number.place, "must be an id, a whole number from 1");
            return None;
        }
        u64::try_from(number.value).ok()
    }

    /// A number within bounds; `why` follows them in the message.
    pub(super) fn number(&mut self, number: &At<f64>, bounds: RangeInclusive<f64>, why: &str) -> Option<f64> {
        if !bounds.contains(&number.value) {
            self.out_of_bounds(number, bounds.start(), bounds.end(), why);
            return None;
        }
        Some(number.value)
    }

    fn out_of_bounds<T>(&mut self, number: &At<T>, low: impl Display, high: impl Display, why: &str) {
        self.report.fault(&number.place, format!("must lie between {low} and {high}{why}"));
    }

    /// A duration such as `"90s"` within bounds, which are given the same way.
    pub(super) fn duration(&mut self, text: &At<String>, low: &str, high: &str) -> Option<Duration> {
        let Some(duration) = parse(&text.value) else {
            let help = "write for example: 30s, 5m, 1h 30m";
            self.report.fault_with_help(&text.place, "is no duration", help);
            return None;
        };
        if parse(low).is_some_and(|low| duration < low) || parse(high).is_some_and(|high| duration > high) {
            self.out_of_bounds(text, low, high, "");
            return None;
        }
        Some(duration)
    }
}

/// A duration that is not negative.
fn parse(text: &str) -> Option<Duration> {
    let duration: SignedDuration = text.trim().parse().ok()?;
    Duration::try_from(duration).ok()
}
