//! The header `IF-MODIFIED-SINCE` in every form that clients are known to send.

use jiff::civil::DateTime;
use jiff::tz::Offset;

/// Month names as PHP's `M` prints them.
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The moment in Unix seconds, or `None` for text that is no such date.
///
/// The form is `D, d M Y H:i:s`, followed by nothing, `UTC`, `GMT` or a numeric zone. The weekday is
/// not checked: the documentation's own sample has a wrong one.
pub(super) fn moment(header: &str) -> Option<i64> {
    let after_weekday = header.split_once(',').map_or(header, |(_, rest)| rest);
    let words: Vec<&str> = after_weekday.split_whitespace().collect();
    let (date, zone) = match words[..] {
        [day, month, year, time] => ([day, month, year, time], "UTC"),
        [day, month, year, time, zone] => ([day, month, year, time], zone),
        _ => return None,
    };
    let offset = offset(zone)?;
    let timestamp = offset.to_timestamp(civil(date)?).ok()?;
    Some(timestamp.as_second())
}

fn civil([day, month, year, time]: [&str; 4]) -> Option<DateTime> {
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))?;
    let clock: Vec<i8> = time.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hour, minute, second] = clock[..] else {
        return None;
    };
    let month = i8::try_from(month + 1).ok()?;
    DateTime::new(year.parse().ok()?, month, day.parse().ok()?, hour, minute, second, 0).ok()
}

fn offset(zone: &str) -> Option<Offset> {
    if zone.eq_ignore_ascii_case("UTC") || zone.eq_ignore_ascii_case("GMT") {
        return Some(Offset::UTC);
    }
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits: i32 = zone.get(1..).filter(|digits| digits.len() == 4)?.parse().ok()?;
    Offset::from_seconds(sign * (digits / 100 * 3_600 + digits % 100 * 60)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::utc("Tue, 04 Mar 2025 10:00:00 UTC", Some(1_741_082_400))]
    #[case::gmt("Tue, 04 Mar 2025 10:00:00 GMT", Some(1_741_082_400))]
    #[case::no_zone("Tue, 04 Mar 2025 10:00:00", Some(1_741_082_400))]
    #[case::numeric_zone("Tue, 04 Mar 2025 10:00:00 +0000", Some(1_741_082_400))]
    #[case::moscow("Tue, 04 Mar 2025 13:00:00 +0300", Some(1_741_082_400))]
    #[case::wrong_weekday_of_the_sample("Mon, 01 Aug 2017 07:07:23 UTC", Some(1_501_571_243))]
    #[case::iso("2025-03-04T10:00:00Z", None)]
    #[case::no_such_day("Tue, 31 Feb 2025 10:00:00 UTC", None)]
    #[case::unknown_zone("Tue, 04 Mar 2025 10:00:00 MSK", None)]
    #[case::empty("", None)]
    fn forms_of_the_header(#[case] header: &str, #[case] expected: Option<i64>) {
        assert_eq!(moment(header), expected);
    }
}
