//! Instants in the forms Salebot writes them.

use crate::core::time::Millis;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// An instant as it was written somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The instant. Where no zone was written it is read as UTC.
    pub at: Millis,
    /// False where no zone was written: the true instant lies within half a day of `at`.
    pub zone_known: bool,
}

/// Beyond this a number counts milliseconds: as seconds it would be the year 5138.
const MILLIS_FROM: f64 = 1e11;
/// Beyond this a number counts microseconds.
const MICROS_FROM: f64 = 1e14;

impl Moment {
    /// Reads Unix seconds, milliseconds or microseconds, also with a fraction; `2026-05-28
    /// 17:33:42.539976` with no zone (met in `get_clients`); or either ISO form with one.
    pub fn parse(text: &str) -> Option<Moment> {
        let text = text.trim();
        let is_number = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'));
        match text.parse::<f64>() {
            Ok(number) if is_number => from_number(number),
            _ => from_date(text),
        }
    }
}

fn from_number(number: f64) -> Option<Moment> {
    let millis = match number.abs() {
        size if size >= MICROS_FROM => number / 1000.0,
        size if size >= MILLIS_FROM => number,
        _ => number * 1000.0,
    };
    let millis = millis.round();
    // A date is four digits of years: anything else is no instant but a mistake.
    (millis.is_finite() && (0.0..2.5e14).contains(&millis))
        .then_some(Moment { at: Millis(millis as i64), zone_known: true })
}

fn from_date(text: &str) -> Option<Moment> {
    let spelled = text.strip_suffix(" UTC").map(|rest| format!("{rest}Z")).unwrap_or_else(|| text.replace(" +", "+"));
    if let Ok(timestamp) = spelled.parse::<Timestamp>() {
        return Some(Moment { at: Millis(timestamp.as_millisecond()), zone_known: true });
    }
    let zoned = text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?;
    Some(Moment { at: Millis(zoned.timestamp().as_millisecond()), zone_known: false })
}
