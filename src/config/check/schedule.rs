//! Checks schedules: six fields of cron, the first of them seconds, in UTC.

use super::Checker;
use crate::config::report::At;
use chrono::DateTime;
use std::str::FromStr;

impl Checker<'_> {
    /// A schedule that comes at least once after now.
    pub(super) fn schedule(&mut self, line: &At<String>) -> Option<String> {
        match check(&line.value, self.checks.now.as_second()) {
            Ok(schedule) => Some(schedule),
            Err((message, help)) => {
                self.report.fault_with_help(&line.place, message, help);
                None
            }
        }
    }
}

/// The fields with one space between them, or what is wrong and what would be right.
fn check(line: &str, now_s: i64) -> Result<String, (String, String)> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let line = fields.join(" ");
    match fields.len() {
        6 => {}
        5 => {
            return Err((
                "has five fields: it lacks the seconds".to_owned(),
                format!("put seconds in front: 0 {line}"),
            ));
        }
        count => {
            let message = format!("has {count} fields instead of six");
            let help = "write second, minute, hour, day, month, weekday: 0 */15 * * * *, or 0 30 3 * * MON-FRI";
            return Err((message, help.to_owned()));
        }
    }
    if has_numeric_weekday(fields[5]) {
        return Err((
            "has a weekday in numbers, which not everybody counts from the same day".to_owned(),
            "write weekdays by name: MON-FRI, or SAT,SUN".to_owned(),
        ));
    }
    let schedule = cron::Schedule::from_str(&line).map_err(|_| {
        let bounds = "second 0-59, minute 0-59, hour 0-23, day 1-31, month 1-12 or JAN-DEC, weekday MON-SUN";
        ("is no schedule".to_owned(), format!("the fields are: {bounds}; each *, a number, a list, a range or */step"))
    })?;
    let now = DateTime::from_timestamp(now_s, 0).unwrap_or_default();
    match schedule.after(&now).next() {
        Some(_) => Ok(line),
        None => Err(("never comes".to_owned(), "no month has such a day: write for example 0 30 3 1 * *".to_owned())),
    }
}

/// True when a number names a day; the number behind a slash is a step. (The `cron` crate counts 1 as
/// Sunday, crontab as Monday.)
fn has_numeric_weekday(field: &str) -> bool {
    field.split(',').any(|part| part.split('/').next().is_some_and(|days| days.contains(|c: char| c.is_ascii_digit())))
}
