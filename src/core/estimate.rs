//! How long a listing is about, and when its end is reached. Neither service tells how many records there are: amoCRM
//! answers pages alone (v2 contacts page: `limit_rows`, `limit_offset`), and so does Salebot (`get_clients`).

use super::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Shorter listings are read before an estimate would be worth its requests.
pub const WORTH_ROWS: u32 = 10_000;
/// Most questions about one listing: with them 100 000 contacts still cost fewer than 0.0021 requests each.
const PROBES_MAX: u32 = 6;
/// How far one looks ahead until the end is passed.
const FACTOR: f64 = 4.0;
/// Close enough: nobody plans by more.
const CLOSE: f64 = 1.25;

/// A search for a listing's end, by asking whether there is a row at an offset: far ahead until there is none, then
/// in between, always at the middle of the proportion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Gallop {
    /// There is a row at this offset.
    there: u32,
    /// There is none at this one; none: not found yet.
    past: Option<u32>,
    /// Questions so far.
    asked: u32,
}

impl Gallop {
    /// Rows were read up to here.
    pub fn read(&mut self, rows: u64) {
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        self.there = self.there.max(rows);
        // The listing grew, or its end was not what it seemed.
        self.past = self.past.filter(|past| *past > self.there);
    }

    /// The next offset to ask about; none: it is not worth it, or known well enough.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive number, cut at the largest"
    )]
    pub fn question(&self) -> Option<u32> {
        if self.there < WORTH_ROWS || self.asked >= PROBES_MAX {
            return None;
        }
        match self.past {
            None => Some((f64::from(self.there) * FACTOR).min(f64::from(u32::MAX)) as u32),
            Some(past) if f64::from(past) <= f64::from(self.there) * CLOSE => None,
            Some(past) => Some(middle(self.there, past)),
        }
    }

    /// The answer to a question.
    pub fn answer(&mut self, offset: u32, is_there: bool) {
        self.asked += 1;
        match is_there {
            true => self.there = self.there.max(offset),
            false => self.past = Some(self.past.map_or(offset, |past| past.min(offset))),
        }
    }

    /// A question had no answer. It is not asked again and again.
    pub fn unanswered(&mut self) {
        self.asked += 1;
    }

    /// About how many rows there are; none while that is not known.
    pub fn about(&self) -> Option<u64> {
        let past = self.past?;
        let is_asking = self.question().is_some();
        (!is_asking).then(|| u64::from(middle(self.there, past)))
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between two numbers that fit")]
fn middle(low: u32, high: u32) -> u32 {
    (f64::from(low.max(1)) * f64::from(high)).sqrt() as u32
}

/// How fast rows go by, over the last minute: a pause in the middle of an import, or a slow beginning, says nothing of the rest.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    seen: VecDeque<(Millis, u64)>,
}

/// What counts as now.
const WINDOW_MS: i64 = 60_000;
/// From less than that nothing follows.
const LEAST_MS: i64 = 2_000;

impl Pace {
    /// So many rows were looked at by now. Fewer than before: something else is counted from here on.
    pub fn saw(&mut self, now: Millis, rows: u64) {
        if self.seen.back().is_some_and(|(at, before)| rows < *before || now < *at) {
            self.seen.clear();
        }
        self.seen.push_back((now, rows));
        while self.seen.len() > 2 && self.seen.get(1).is_some_and(|(at, _)| now.since(*at) >= WINDOW_MS) {
            self.seen.pop_front();
        }
    }

    /// Rows a second; none while too little was seen.
    #[expect(clippy::cast_precision_loss, reason = "counts of rows and of milliseconds, far below 2^52")]
    pub fn per_second(&self) -> Option<f64> {
        let ((first_at, first), (last_at, last)) = (self.seen.front()?, self.seen.back()?);
        let millis = last_at.since(*first_at);
        (millis >= LEAST_MS).then(|| (last - first) as f64 * 1000.0 / millis as f64)
    }

    /// How long so many rows will take at this pace; none where nobody can tell.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "an estimate")]
    pub fn left_ms(&self, rows: u64) -> Option<i64> {
        let rate = self.per_second().filter(|rate| *rate > 0.0)?;
        Some((rows as f64 * 1000.0 / rate) as i64)
    }
}

/// A length of time as people say it: `45 s`, `12 min`, `3 h 05 min`.
pub fn told(millis: i64) -> String {
    let seconds = millis.max(0).div_euclid(1000);
    match (seconds, seconds / 60) {
        (..90, _) => format!("{seconds} s"),
        (_, minutes @ ..90) => format!("{minutes} min"),
        (_, minutes) => format!("{} h {:02} min", minutes / 60, minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    /// Reads a listing of so many rows page by page, a question a page; the questions, and what is believed at the end
    /// of the questions.
    fn read(rows: u32) -> (u32, Option<u64>) {
        let (mut gallop, mut asked, mut at) = (Gallop::default(), 0, 0);
        while at < rows {
            at = (at + 500).min(rows);
            gallop.read(u64::from(at));
            let Some(offset) = gallop.question() else {
                if gallop.about().is_some() {
                    return (asked, gallop.about());
                }
                continue;
            };
            asked += 1;
            gallop.answer(offset, offset < rows);
        }
        (asked, gallop.about())
    }

    proptest! {
        #[test]
        fn a_few_questions_tell_the_length_roughly(rows in 60_000_u32..3_000_000) {
            let (asked, about) = read(rows);
            let about = about.expect("an estimate") as f64;
            prop_assert!(asked <= PROBES_MAX);
            prop_assert!((0.6..1.7).contains(&(about / f64::from(rows))), "{} of {}", about, rows);
        }

        #[test]
        fn a_short_listing_costs_no_question(rows in 0_u32..WORTH_ROWS) {
            prop_assert_eq!(read(rows), (0, None));
        }
    }

    #[test]
    fn a_hundred_thousand_are_known_within_a_tenth() {
        let (asked, about) = read(100_000);
        assert!(asked <= 6, "{asked}");
        assert!(about.is_some_and(|about| (90_000..=112_000).contains(&about)), "{about:?}");
    }

    #[test]
    fn a_listing_that_goes_on_past_its_end_is_not_known_any_more() {
        let mut gallop = Gallop::default();
        gallop.read(20_000);
        gallop.answer(24_000, false);
        assert!(gallop.about().is_some_and(|about| (20_000..24_000).contains(&about)));
        gallop.read(25_000);
        assert_eq!(gallop.about(), None);
    }

    #[test]
    fn the_pace_is_that_of_the_last_minute() {
        let mut pace = Pace::default();
        pace.saw(Millis(0), 0);
        pace.saw(Millis(1_000), 900);
        assert_eq!((pace.per_second(), pace.left_ms(10)), (None, None), "too early to tell");
        for second in 2..=200 {
            // A fast beginning, then ten rows a second.
            pace.saw(Millis(second * 1_000), 90_000 + u64::try_from(second).unwrap() * 10);
        }
        assert_eq!(pace.per_second().map(f64::round), Some(10.0));
        assert_eq!(pace.left_ms(600).map(|left| left / 1000), Some(60));
        pace.saw(Millis(201_000), 5);
        assert_eq!(pace.per_second(), None, "another part begins");
        pace.saw(Millis(261_000), 5);
        assert_eq!((pace.per_second(), pace.left_ms(1)), (Some(0.0), None), "it stands still");
    }

    #[rstest]
    #[case(0, "0 s")]
    #[case(89_999, "89 s")]
    #[case(90_000, "1 min")]
    #[case(5_399_000, "89 min")]
    #[case(11_100_000, "3 h 05 min")]
    fn a_length_of_time_is_short(#[case] millis: i64, #[case] words: &str) {
        assert_eq!(told(millis), words);
    }
}
