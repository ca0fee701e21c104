//! Times on the wire: Unix seconds, or a naive text in the project's zone.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use serde_json::Value;

use super::options::{NumberForm, SalebotOptions, TimeForm};

impl SalebotOptions {
    /// A time in the form the options ask for.
    pub(super) fn time(&self, at_ms: i64) -> Value {
        match self.time_form {
            TimeForm::UnixSeconds => Value::from(at_ms.div_euclid(1_000)),
            TimeForm::NaiveText => Value::from(self.local(at_ms).strftime("%Y-%m-%d %H:%M:%S%.6f").to_string()),
        }
    }

    /// A message or block number in the form the options ask for.
    pub(super) fn number(&self, number: i64) -> Value {
        match self.number_form {
            NumberForm::Number => Value::from(number),
            NumberForm::Text => Value::from(number.to_string()),
        }
    }

    /// The wall clock of the project.
    pub(super) fn local(&self, at_ms: i64) -> DateTime {
        let instant = Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        self.zone().to_datetime(instant)
    }

    /// Unix milliseconds of `YYYY-MM-DD HH:MM:SS` on the project's wall clock.
    pub(super) fn parse_send_time(&self, text: &str) -> Option<i64> {
        let local = DateTime::strptime("%Y-%m-%d %H:%M:%S", text.trim()).ok()?;
        self.zone().to_timestamp(local).ok().map(Timestamp::as_millisecond)
    }

    /// Unix milliseconds of the first moment of a day given as `dd.mm.yyyy`.
    pub(super) fn parse_day(&self, text: &str) -> Option<i64> {
        let day = Date::strptime("%d.%m.%Y", text.trim()).ok()?;
        self.zone().to_timestamp(day.to_datetime(jiff::civil::Time::midnight())).ok().map(Timestamp::as_millisecond)
    }

    fn zone(&self) -> Offset {
        Offset::from_seconds(self.zone_offset_s).unwrap_or(Offset::UTC)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(time_form: TimeForm) -> SalebotOptions {
        SalebotOptions { time_form, zone_offset_s: 3 * 3_600, ..SalebotOptions::default() }
    }

    #[test]
    fn a_time_has_two_forms() {
        assert_eq!(options(TimeForm::UnixSeconds).time(1_588_248_599_500), Value::from(1_588_248_599));
        assert_eq!(options(TimeForm::NaiveText).time(1_588_248_599_500), Value::from("2020-04-30 15:09:59.500000"));
    }

    #[test]
    fn texts_are_read_on_the_wall_clock_of_the_project() {
        let options = options(TimeForm::UnixSeconds);
        assert_eq!(options.parse_send_time("2020-04-30 15:09:59"), Some(1_588_248_599_000));
        assert_eq!(options.parse_send_time("30.04.2020"), None);
        assert_eq!(options.parse_day("30.04.2020"), Some(1_588_194_000_000));
        assert_eq!(options.parse_day("2020-04-30"), None);
    }

    #[test]
    fn numbers_have_two_forms() {
        let texts = SalebotOptions { number_form: NumberForm::Text, ..SalebotOptions::default() };
        assert_eq!(texts.number(40_000_000_001), Value::from("40000000001"));
        assert_eq!(SalebotOptions::default().number(390), Value::from(390));
    }
}
