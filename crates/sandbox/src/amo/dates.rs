//! Dates of custom fields and filters: local texts in the account's zone, or Unix seconds.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// Days alone (amoCRM v2 leads and custom fields pages).
const DAY_FORMATS: [&str; 3] = ["%Y-%m-%d", "%d.%m.%Y", "%Y/%m/%d"];

/// Days with a time.
const TIME_FORMATS: [&str; 2] = ["%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M:%S"];

/// The local date and time a text means; midnight where it names only a day.
pub(super) fn local(text: &str, zone: &TimeZone) -> Option<DateTime> {
    if let Ok(unix_s) = text.parse::<i64>() {
        let moment = Timestamp::from_second(unix_s).ok()?;
        return Some(moment.to_zoned(zone.clone()).datetime());
    }
    let times = TIME_FORMATS.iter().filter_map(|format| DateTime::strptime(format, text).ok());
    let days = DAY_FORMATS.iter().filter_map(|format| Date::strptime(format, text).ok());
    times.chain(days.map(|day| day.at(0, 0, 0, 0))).next()
}

/// The moment a text means, in Unix seconds.
pub(super) fn unix_s(text: &str, zone: &TimeZone) -> Option<i64> {
    let moment = zone.to_ambiguous_timestamp(local(text, zone)?).compatible().ok()?;
    Some(moment.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZoneDatabase;
    use rstest::rstest;

    fn moscow() -> TimeZone {
        TimeZoneDatabase::bundled().get("Europe/Moscow").expect("a bundled zone")
    }

    #[rstest]
    #[case::day("2025-03-04", Some(1_741_035_600))]
    #[case::dotted("04.03.2025", Some(1_741_035_600))]
    #[case::slashed("2025/03/04", Some(1_741_035_600))]
    #[case::time("2025-03-04 13:00:00", Some(1_741_082_400))]
    #[case::unix("1741082400", Some(1_741_082_400))]
    #[case::words("tomorrow", None)]
    fn texts_are_meant_in_the_zone_of_the_account(#[case] text: &str, #[case] expected: Option<i64>) {
        assert_eq!(unix_s(text, &moscow()), expected);
    }
}
