//! What is kept of the dialogues of people without a contact. They may never get one, and their messages must not fill the
//! store until nobody's are taken.

use super::time::Millis;

/// Of one person so many messages are kept, the newest.
pub const LINES_MAX: usize = 100;
/// None is kept for longer than so many days.
pub const DAYS_MAX: i64 = 30;
/// While more than so many bodies of a bridge wait, none is kept for longer than a day.
pub const ROWS_MAX: u64 = 200_000;

const DAY_MS: i64 = 86_400_000;

/// Which messages of a dialogue are given up: true for each that is. `arrived`: when they came, in the dialogue's order;
/// `is_crowded`: more than [`ROWS_MAX`] bodies wait.
pub fn given_up(arrived: &[Millis], is_crowded: bool, now: Millis) -> Vec<bool> {
    let longest_ms = if is_crowded { DAY_MS } else { DAYS_MAX * DAY_MS };
    let too_many = arrived.len().saturating_sub(LINES_MAX);
    let is_old = |at: Millis| now.since(at) >= longest_ms;
    arrived.iter().enumerate().map(|(index, at)| index < too_many || is_old(*at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const NOW: Millis = Millis(100 * DAY_MS);

    #[rstest]
    #[case::few_and_new(3, 0, false, 0)]
    #[case::as_many_as_are_kept(LINES_MAX, 0, true, 0)]
    #[case::more(LINES_MAX + 7, 0, false, 7)]
    #[case::a_day_old(3, DAY_MS, false, 0)]
    #[case::a_day_old_in_a_crowd(3, DAY_MS, true, 3)]
    #[case::younger_in_a_crowd(3, DAY_MS - 1, true, 0)]
    #[case::a_month_old(3, DAYS_MAX * DAY_MS, false, 3)]
    #[case::from_before_the_clock_was_set_back(3, -DAY_MS, true, 0)]
    fn the_oldest_go_first(#[case] lines: usize, #[case] age_ms: i64, #[case] crowded: bool, #[case] expected: usize) {
        let ended = given_up(&vec![NOW.plus(-age_ms); lines], crowded, NOW);
        assert_eq!(ended.len(), lines);
        assert_eq!(ended.iter().filter(|ended| **ended).count(), expected);
        assert!(ended.iter().take(expected).all(|ended| *ended), "what is kept is the end of the dialogue");
    }
}
