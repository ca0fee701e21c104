//! Plain text forms: numbers, dates, truth, lists, comparison.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use std::collections::BTreeSet;
use unicode_normalization::UnicodeNormalization;

/// One form for comparing text: composed characters, single spaces, one kind of line end.
pub fn unified(text: &str) -> String {
    if is_unified(text) {
        return text.to_owned();
    }
    let text: String = text.nfc().collect::<String>().replace("\r\n", "\n");
    let lines: Vec<String> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    lines.join("\n").trim().to_owned()
}

/// True for printable ASCII with single spaces inside: most values, which cost nothing more then.
fn is_unified(text: &str) -> bool {
    let mut before = b' ';
    for byte in text.bytes() {
        if !byte.is_ascii_graphic() && (byte != b' ' || before == b' ') {
            return false;
        }
        before = byte;
    }
    before != b' ' || text.is_empty()
}

/// As [`unified`], without regard to case.
pub fn folded(text: &str) -> String {
    unified(text).to_lowercase()
}

/// Yes or no in the spellings people and both services use; none for anything else.
pub fn truth(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "1" | "1.0" | "true" | "yes" | "y" | "on" | "да" | "истина" => Some(true),
        "" | "0" | "0.0" | "false" | "no" | "n" | "off" | "нет" | "ложь" => Some(false),
        _ => None,
    }
}

/// A decimal number in one form: `1 200,50` → `1200.5`. None for anything else.
pub fn number(text: &str) -> Option<String> {
    let compact: String =
        text.chars().filter(|c| !c.is_whitespace() && *c != '\u{202f}').collect::<String>().replace(',', ".");
    let (sign, digits) = match compact.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", compact.as_str()),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let decimal = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !decimal(whole) || !decimal(fraction) || compact.len() > 40 {
        return None;
    }
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    let sign = if whole == "0" && fraction.is_empty() { "" } else { sign };
    Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

/// A number as whole units, the fraction dropped; no text is nothing.
pub fn whole(text: &str) -> Option<i64> {
    if text.trim().is_empty() {
        return Some(0);
    }
    number(text)?.split('.').next()?.parse().ok()
}

/// Items of a list separated by commas, without empty ones.
pub fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// As [`folded`], with one way of setting commas.
pub fn folded_item(text: &str) -> String {
    folded(&listed(text).collect::<Vec<_>>().join(", "))
}

/// As [`listed`], but an item that is one of `names` stays whole although it has commas in it: the
/// longest name that fits is taken.
pub fn listed_among<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let joined = |items: &[&str]| folded(&items.join(", "));
    let names: BTreeSet<String> = names.filter(|name| name.contains(',')).map(folded_item).collect();
    let items: Vec<&str> = listed(text).collect();
    let longest = names.iter().map(|name| listed(name).count()).max().unwrap_or(1);
    let mut out = Vec::new();
    let mut at = 0;
    while at < items.len() {
        let most = longest.min(items.len() - at);
        let taken = (2..=most).rev().find(|taken| names.contains(&joined(&items[at..at + taken]))).unwrap_or(1);
        out.push(items[at..at + taken].join(", "));
        at += taken;
    }
    out
}

/// A day or a moment as people and both services write it, in the form `2026-12-31` or
/// `2026-12-31 15:30:00`; midnight is the day alone. None for anything else.
pub fn date(text: &str) -> Option<String> {
    let text = text.trim().replace('T', " ");
    let (day, time) = text.split_once(' ').map_or((text.as_str(), ""), |(day, time)| (day, time.trim()));
    let day = day_of(day)?;
    let time = time.split(['.', '+', '-', 'Z']).next().unwrap_or_default();
    if time.is_empty() {
        return Some(day.to_string());
    }
    let mut parts = time.split(':').map(str::parse::<i8>);
    let (hour, minute) = (parts.next()?.ok()?, parts.next()?.ok()?);
    let second = parts.next().map_or(Ok(0), |second| second).ok()?;
    let moment = DateTime::new(day.year(), day.month(), day.day(), hour, minute, second, 0).ok()?;
    Some(moment_text(moment))
}

/// As [`date`], the day alone.
pub fn day(text: &str) -> Option<String> {
    let moment = date(text)?;
    Some(moment.split_once(' ').map_or(moment.as_str(), |(day, _)| day).to_owned())
}

fn day_of(text: &str) -> Option<Date> {
    let numbers = |separator| -> Option<[i16; 3]> {
        let parts: Vec<i16> = text.split(separator).map(|part| part.parse().ok()).collect::<Option<_>>()?;
        parts.try_into().ok()
    };
    let build = |year, month: i16, day: i16| Date::new(year, month.try_into().ok()?, day.try_into().ok()?).ok();
    match (numbers('-'), numbers('.'), numbers('/')) {
        (Some([year, month, day]), _, _) if year > 31 => build(year, month, day),
        (_, Some([day, month, year]), _) if year > 31 => build(year, month, day),
        (_, _, Some([year, month, day])) if year > 31 => build(year, month, day),
        _ => None,
    }
}

fn moment_text(moment: DateTime) -> String {
    if moment.time() == jiff::civil::Time::midnight() {
        return moment.date().to_string();
    }
    moment.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// An amoCRM date, a local text or Unix seconds, in the account's time zone (v2 sends local texts;
/// one kind of field was met with Unix seconds). None for anything else.
pub fn local_date(text: &str, zone: &TimeZone) -> Option<String> {
    let digits = text.trim();
    if !digits.is_empty() && digits.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit()) {
        let moment = jiff::Timestamp::from_second(digits.parse().ok()?).ok()?;
        return Some(moment_text(moment.to_zoned(zone.clone()).datetime()));
    }
    date(text)
}

/// A date of [`date`]'s form as Salebot writes its own: `31.12.2026` or `31.12.2026 15:30`.
pub fn shown_date(text: &str) -> String {
    let shown = |text: &str| -> Option<String> {
        match text.split_once(' ') {
            None => Some(text.parse::<Date>().ok()?.strftime("%d.%m.%Y").to_string()),
            Some(_) => {
                let moment: DateTime = text.replace(' ', "T").parse().ok()?;
                let form = if moment.second() == 0 { "%d.%m.%Y %H:%M" } else { "%d.%m.%Y %H:%M:%S" };
                Some(moment.strftime(form).to_string())
            }
        }
    };
    shown(text).unwrap_or_else(|| text.to_owned())
}

/// Puts `stand_in` where characters beyond U+FFFF stand: amoCRM was seen to cut values at the first
/// of them (reference, pitfalls of writing), and a cut value loses what follows.
pub fn without_supplementary(text: &str, stand_in: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_run = false;
    for c in text.chars() {
        let dropped = u32::from(c) > 0xFFFF || (in_run && matches!(c, '\u{200d}' | '\u{fe0f}'));
        if dropped && !in_run {
            out.push_str(stand_in);
        }
        if !dropped {
            out.push(c);
        }
        in_run = dropped;
    }
    out
}

/// What can be stored anywhere: no control characters but line ends and tabs, which services cut
/// values at or refuse.
pub fn without_controls(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t')).collect()
}

/// One line of at most so many signs, without what would move a terminal's cursor.
pub fn one_line(text: &str, chars_max: usize) -> String {
    let plain: String = text.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).collect();
    match plain.char_indices().nth(chars_max) {
        Some((at, _)) => format!("{}…", &plain[..at]),
        None => plain,
    }
}

/// True when `seen` is what a service may have made of `sent`: spaces trimmed or joined, characters
/// beyond U+FFFF dropped, or the text cut at the first of them or at a length limit. Case matters,
/// and nothing may have been added: people edit right after we write.
pub fn is_rewritten(sent: &str, seen: &str) -> bool {
    let plain = |text: &str| text.nfc().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ");
    let (sent_plain, seen_plain) = (plain(sent), plain(seen));
    if sent_plain == seen_plain || plain(&without_supplementary(sent, "")) == seen_plain {
        return true;
    }
    let cut_at = sent.char_indices().find(|(_, c)| u32::from(*c) > 0xFFFF).map(|(at, _)| at);
    let cut_short = cut_at.is_some_and(|at| plain(&sent[..at]) == seen_plain);
    let over_long = seen.chars().count() >= REWRITE_CHARS_MIN && sent_plain.starts_with(&seen_plain);
    cut_short || over_long
}

/// The shortest text that is taken for one cut at a length limit: the smallest limit met is 255.
const REWRITE_CHARS_MIN: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("1 200,50", Some("1200.5"))]
    #[case("007", Some("7"))]
    #[case("-0.0", Some("0"))]
    #[case("-3.10", Some("-3.1"))]
    #[case("12\u{a0}000", Some("12000"))]
    #[case("1.2.3", None)]
    #[case("abc", None)]
    #[case("", None)]
    #[case(".", None)]
    fn numbers_have_one_form(#[case] text: &str, #[case] form: Option<&str>) {
        assert_eq!(number(text).as_deref(), form);
    }

    #[rstest]
    #[case("31.12.2026", Some("2026-12-31"))]
    #[case("2026-12-31", Some("2026-12-31"))]
    #[case("2026/12/31", Some("2026-12-31"))]
    #[case("2026-12-31 00:00:00", Some("2026-12-31"))]
    #[case("31.12.2026 15:30", Some("2026-12-31 15:30:00"))]
    #[case("2026-12-31T15:30:05", Some("2026-12-31 15:30:05"))]
    #[case("31.13.2026", None)]
    #[case("tomorrow", None)]
    #[case("12", None)]
    fn dates_have_one_form(#[case] text: &str, #[case] form: Option<&str>) {
        assert_eq!(date(text).as_deref(), form);
    }

    #[rstest]
    #[case("2026-12-31T15:30:05+03:00")]
    #[case("2026-12-31 15:30:05-03:00")]
    #[case("2026-12-31T15:30:05.000Z")]
    fn an_offset_is_that_of_the_account(#[case] text: &str) {
        assert_eq!(date(text).as_deref(), Some("2026-12-31 15:30:05"));
    }

    #[rstest]
    #[case("red, Moscow, centre, blue", &["red", "Moscow, centre", "blue"])]
    #[case("moscow,CENTRE", &["moscow, CENTRE"])]
    #[case("Moscow, north", &["Moscow", "north"])]
    #[case(" , ", &[])]
    fn a_name_with_commas_stays_whole(#[case] text: &str, #[case] items: &[&str]) {
        assert_eq!(listed_among(text, ["Moscow, centre", "red"].into_iter()), items);
    }

    #[test]
    fn unix_seconds_are_read_in_the_account_zone() {
        let moscow = TimeZone::get("Europe/Moscow").unwrap();
        assert_eq!(local_date("1700000000", &moscow).as_deref(), Some("2023-11-15 01:13:20"));
        assert_eq!(local_date("1699995600", &moscow).as_deref(), Some("2023-11-15"));
        assert_eq!(local_date("-10800", &moscow).as_deref(), Some("1970-01-01"));
        assert_eq!(local_date("0", &TimeZone::UTC).as_deref(), Some("1970-01-01"));
        assert_eq!(local_date("-", &moscow), None);
        assert_eq!(shown_date("2023-11-15 01:13:20"), "15.11.2023 01:13:20");
        assert_eq!(shown_date("2023-11-15"), "15.11.2023");
    }

    #[rstest]
    #[case("Anna 😀 Test", "Anna Test", true)]
    #[case("Anna 😀 Test", "Anna", true)]
    #[case("Anna  Test ", "Anna Test", true)]
    #[case("Anna Test", "Anna", false)]
    #[case("Anna", "Anna Test", false)]
    #[case("Anna", "anna", false)]
    #[case("Anna", "Anna 😀", false)]
    #[case("😀 Anna", "", true)]
    #[case("one\r\ntwo", "one two", true)]
    #[case("Anna", "", false)]
    fn what_a_service_makes_of_a_value_is_recognised(#[case] sent: &str, #[case] seen: &str, #[case] rewritten: bool) {
        assert_eq!(is_rewritten(sent, seen), rewritten);
    }
}
